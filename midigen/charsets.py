"""Text in MIDI files: the standard leaves the charset open, so it is guessed from what makes readable words.

Libraries that guess charsets want a page; a file's part names are a few words. charset-normalizer reads most names of
one word wrongly; chardet does better, at the price of one more thing to install, and knows no instruments.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import islice

from midigen.recognition import has_music_word

USUAL = "utf-8"  # what midigen writes
MOST_TEXTS = 100  # are looked at; a karaoke file has thousands
# Of two that are as likely, the first. Windows' charsets hold all of those they grew from (Latin-1, GB2312, KS X 1001).
_SINGLE = ("cp1252", "cp1251", "cp1250")
_DOUBLE = ("cp932", "gb18030", "big5", "cp949")
# For each double-byte charset: ranges of first bytes, whether the second is 0xA1 or more, and how odd such a sign is.
_ODDITY: dict[str, tuple[tuple[int, int, bool, float], ...]] = {
    "cp932": ((0x81, 0x83, False, 0.05), (0x88, 0x97, False, 0.15), (0x98, 0xEA, False, 0.5)),  # kana, kanji by level
    "gb18030": ((0xA1, 0xA5, True, 0.2), (0xB0, 0xD7, True, 0.12), (0xD8, 0xF7, True, 0.5)),
    "big5": ((0xA1, 0xA3, False, 0.2), (0xA4, 0xC6, False, 0.15), (0xC9, 0xF9, False, 0.6)),
    "cp949": ((0xA1, 0xA3, True, 0.5), (0xB0, 0xC8, True, 0.2), (0xCA, 0xFD, True, 1.0)),  # signs, Hangul, Hanja
}
_STRANGE, _IN_A_WORD = 2.0, 0.4
_SIGNS = "©®°·´’‘“”«»…–—№ªº¡¿"


def guess_charset(texts: Iterable[bytes]) -> str:
    """The charset of all ``texts`` of a file together, as Python names it; UTF-8 where they are ASCII.

    Tells UTF-8, Western and Central European, Cyrillic, Japanese, Chinese (both scripts) and Korean Windows charsets
    apart by how common the letters are that come out, and whether they spell an instrument.
    """
    distinct = dict.fromkeys(text for text in texts if not text.isascii())
    foreign = list(islice((text for text in distinct if not _is_utf8(text)), MOST_TEXTS))
    if not foreign:
        return USUAL
    return min((*_SINGLE, *_DOUBLE), key=lambda charset: sum(_oddity(text, charset) for text in foreign))


def decode(text: bytes, charset: str) -> str:
    """``text`` as words: in UTF-8 where it can be, else in ``charset``. Never fails."""
    return text.decode("utf-8") if _is_utf8(text) else text.decode(charset, "replace")


def one_line(words: str) -> str:
    """``words`` without control characters and with single spaces: fit to be shown and typed."""
    return " ".join("".join(" " if unicodedata.category(c)[0] == "C" else c for c in words).split())


def encode(words: str, charset: str) -> bytes:
    """``words`` in the charset of a file, or in UTF-8 where that one has no such letters."""
    try:
        return words.encode(charset)
    except UnicodeEncodeError:
        return words.encode("utf-8")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _oddity(text: bytes, charset: str) -> float:
    """How unlikely ``text`` is to be in ``charset``: the sum over its letters that are not ASCII."""
    try:
        words = text.decode(charset)
    except UnicodeDecodeError:
        # It speaks against a charset, but is no proof: a text may be cut off, or be in another one.
        return _STRANGE * sum(byte >= 0x80 for byte in text)
    one = _oddity_of_letter if charset in _SINGLE else _oddity_of_sign
    total = sum(one(words, at, charset) for at, letter in enumerate(words) if not letter.isascii())
    return total / 10 if has_music_word(words) else total


def _oddity_of_sign(words: str, at: int, charset: str) -> float:
    raw, before, after = words[at].encode(charset), words[max(at - 1, 0) : at], words[at + 1 : at + 2]
    if len(raw) == 1:  # Japanese half-width signs: words are written in them, but any byte may look like one
        return 0.35 if any("\uff66" <= near <= "\uff9f" for near in (before, after)) else 1.0
    # "Egg´s" in Latin-1 would be a Chinese sign between two letters.
    in_a_word = before.isascii() and before.isalpha() and raw[-1] < 0x80
    for first, last, high, cost in _ODDITY[charset]:
        if len(raw) == 2 and first <= raw[0] <= last and (raw[1] >= 0xA1 or not high):
            return cost + _IN_A_WORD * in_a_word
    return _STRANGE


def _oddity_of_letter(words: str, at: int, charset: str) -> float:
    letter, before, after = words[at], words[max(at - 1, 0) : at], words[at + 1 : at + 2]
    if letter in _SIGNS:
        return 0.3
    if not letter.isalpha():
        return 1.0 if letter.isprintable() else _STRANGE
    if letter.isupper() and before.islower():
        return 1.5
    plain = [near for near in (before, after) if near.isalpha()]
    if not plain:
        return 0.25  # a word of one letter
    if charset == "cp1251":
        if any(near.isascii() for near in plain):
            return 0.8  # Cyrillic and Latin in one word
        return 0.12 if "а" <= letter.lower() <= "я" or letter in "ёЁ" else 0.5
    common = 0.15 if charset == "cp1252" else 0.2
    return common if any(near.isascii() for near in plain) else 0.7
