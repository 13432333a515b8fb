"""Words to syllables that can be sung.

Hyphenation dictionaries (pyphen's) say where a word may be broken at the end of a line: never wrong by much, but they
leave out breaks that look poor in print (``a-way``, ``o-ver``). So the vowels of each piece are counted, and a piece
with several nuclei is divided once more. In regular languages that alone gives the syllables; English and French have
rules of their own for what is written and not sounded.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

from midigen.lyrics.languages import Language, need_for_lyrics

_HYPHENS = "-‐‑\ue000/"  # the last but one is what a hyphen that is read is while words are divided
# Consonants that begin a syllable together, where more than one stands between two vowels.
_ONSETS = re.compile(
    r"(?:sch|str|spr|scr|spl|thr|phr|chr|ch|sh|th|ph|gh|wh|qu|ll|rr|ñ|gn|gl|ng(?=\b)|[bcdfgkptv][rl]|[st]w|kn|sz|cz|dz|"
    r"дж|[бвгдкпстф][рл])$"
)
_SILENT_E = re.compile(r"(?<=[^aeiouy\W])e$")
_ENGLISH = re.compile(
    r"^y(?=[aeiou])|(?<=q)u|(?<=g)u(?=[aei])"  # consonants, taken out before the groups are counted
)
_ENGLISH_GROUPS = re.compile(r"i(?=[aou])|[eoyau](?=ing\b)|(?<=[^g])u(?=[aeo]\w)|[aeiouy]+")
# Sung often, and spelled against the rules.
_IRREGULAR = (
    "ev-ery ev-ery-thing ev-ery-one ev-ery-bod-y ev-ery-where eve-ning eve-nings may-be some-times heart-ache "
    "some-bod-y an-y man-y peo-ple o-cean cre-ate cre-at-ed pi-an-o re-al sci-ence li-on cli-ent po-et po-em "
    "po-et-ry vi-o-lin di-a-mond di-a-monds tri-umph qui-et di-et the-a-ter li-ar u-su-al ca-su-al re-al-ly "
    "cru-el fu-el du-et so-ci-e-ty va-ri-e-ty anx-i-e-ty ex-pe-ri-ence au-di-ence an-cient some-one some-day "
    "for-ev-er nev-er ev-er what-ev-er who-ev-er how-ev-er when-ev-er wher-ev-er there-fore o-a-sis i-de-a a-re-a "
    "stere-o vid-e-o ro-de-o a-cre se-ance o'er e'er ne'er gold-en wom-en wom-an"
)
_ENGLISH_WORDS = {word.replace("-", ""): word.split("-") for word in _IRREGULAR.split()}
_FRENCH_GROUPS = re.compile(r"[éï](?=[aeiouâàê])|[aeiouyàâäéèêëîïôöùûüœæ]+")


def split_word(word: str, language: Language) -> list[str]:
    """The syllables of one word, punctuation left where it stands; joined they are the word.

    Raises :class:`midigen.errors.MissingTool` where the language needs pyphen and it is not installed.
    """
    if len(word) < 2:
        return [word]
    if language.code == "ko":
        return _blocks(word)
    lowered = word.lower()
    if len(lowered) != len(word):  # letters that grow when lowered are none of a language here
        return [word]
    breaks: set[int] = set()
    before = None
    for start, end in _letters(lowered):
        breaks |= {start + place for place in _breaks(lowered[start:end], language)}
        if before is not None and not lowered[before:start].strip(_HYPHENS):  # well-known
            breaks.add(start)
        before = end
    places = [0, *sorted(breaks), len(word)]
    return [word[a:b] for a, b in pairwise(places)]


def _letters(word: str) -> list[tuple[int, int]]:
    """The stretches of letters (with marks and apostrophes inside) of a word."""
    return [match.span() for match in re.finditer(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u0e31-\u0e4e'’])*", word)]


def _breaks(word: str, language: Language) -> set[int]:
    """Where a word of small letters is divided."""
    if len(word) > 100:
        return set()
    pieces = [word]
    if language.dictionary:
        marks = _dictionary(language.dictionary).positions(word)
        pieces = [word[a:b] for a, b in pairwise([0, *(int(mark) for mark in marks), len(word)])]
    if language.code in ("en", "fr") or language.nucleus:
        pieces = _with_vowels(pieces, language)
    if language.code == "en":
        base = word.removesuffix("'s").removesuffix("’s")
        if base in _ENGLISH_WORDS:
            return _places(_ENGLISH_WORDS[base])
        if re.search(r"[^aeiouyrnlw]n['’]t$", word):  # did-n't
            return _breaks(word[:-3], language) | {len(word) - 3}
    breaks: set[int] = set()
    at = 0
    for number, piece in enumerate(pieces):
        if at:
            breaks.add(at)
        breaks |= {at + place for place in _inside(piece, language, last=number == len(pieces) - 1)}
        at += len(piece)
    return breaks


def _places(pieces: list[str]) -> set[int]:
    return set(accumulate(len(piece) for piece in pieces[:-1]))


@lru_cache(maxsize=8)
def _dictionary(name: str) -> Any:
    need_for_lyrics("pyphen", "mark the syllables yourself (hel-lo)")
    import pyphen

    return pyphen.Pyphen(lang=name, left=1, right=1)


def _with_vowels(pieces: list[str], language: Language) -> list[str]:
    """Pieces without one vowel that sounds put to their neighbours."""
    joined: list[str] = []
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        before = joined[-1] if joined else ""
        consonant = before == "y" and piece[0] in "aeiou" and language.code == "en"
        mute = bool(joined) and not (_nuclei(piece, language, last) and _nuclei(before, language, False))
        if consonant or mute:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def _nuclei(piece: str, language: Language, last: bool) -> list[tuple[int, int]]:
    """Where the vowels that sound stand in a piece; ``last``: of its word."""
    if language.code == "en":
        return _english(piece, last)
    if language.code == "fr":
        return _french(piece, last)
    return [match.span() for match in re.finditer(language.nucleus, piece)]


def _inside(piece: str, language: Language, last: bool) -> set[int]:
    """Where a piece is to be divided so that each has one nucleus."""
    if not language.nucleus and language.code not in ("en", "fr"):
        return set()
    breaks = set()
    for (_, end), (start, _) in pairwise(_nuclei(piece, language, last)):
        between = piece[end:start]
        if len(between) < 2:
            breaks.add(end)
            continue
        onset = _ONSETS.search(between)
        breaks.add(onset.start() + end if onset and onset.start() >= 0 else start - 1)
    return breaks


def _english(piece: str, last: bool) -> list[tuple[int, int]]:
    """The groups of vowels that sound in English, by spelling."""
    plain = re.sub(r"['’]", "'", piece)
    plain = _ENGLISH.sub(lambda match: "h" * len(match.group()), plain)
    groups = [match.span() for match in _ENGLISH_GROUPS.finditer(plain)]
    # "-tion", "-cial", "-gious", "-ssia": the i softens what is before it.
    soft = re.compile(r"(?:[tcsgx]|ll)i(?=[aou])")
    groups = [
        (a, b)
        for a, b in groups
        if not (b - a == 1 and plain[a] == "i" and a and soft.search(plain, max(a - 2, 0), a + 2))
    ]
    groups = [(a, b) for a, b in groups if b > a]
    if len(groups) > 1:
        start = groups[-1][0]
        tail = plain[start:]
        before = plain[start - 1] if start else ""
        silent = (
            (tail == "e" and before not in "aeiouy" and not re.search(r"[^aeiouylrw']le$", plain))
            or (
                tail == "es"
                and not re.search(r"(?:[sxz]|ch|sh|[cg])es$", plain)
                and not re.search(r"[^aeiouylr]les$", plain)
            )
            or (tail in ("ed", "ed'") and before not in "td" and not re.search(r"[^aeiouylr]led$", plain) is not None)
            or tail in ("e's", "e'll", "e'd", "e've", "e're")
        )
        if silent and (last or tail == "e"):
            groups = groups[:-1]
    if last and re.search(r"[sth]m$", plain) and plain.endswith(("ism", "thm", "asm")):
        groups.append((len(plain) - 1, len(plain)))
    return groups


def _french(piece: str, last: bool) -> list[tuple[int, int]]:
    """The groups of vowels that sound in French; a mute e at the end of a word does not (write it: bel-le)."""
    plain = re.sub(r"qu(?=[aeiouéèêîïôâà])|gu(?=[eiéèêî])", lambda match: match.group()[0] + "h", piece)
    groups = [match.span() for match in _FRENCH_GROUPS.finditer(plain)]
    divided: list[tuple[int, int]] = []
    for start, end in groups:
        # After two consonants of which the second is l or r an i is a syllable: ou-bli-er, tri-omphe.
        if end - start > 1 and plain[start] == "i" and re.search(r"[bcdfgptv][lr]$", plain[:start]):
            divided += [(start, start + 1), (start + 1, end)]
        elif end - start > 2 and plain[start] == "o" and plain[start + 1] == "y":  # voy-age
            divided += [(start, start + 2), (start + 2, end)]
        else:
            divided.append((start, end))
    if last and len(divided) > 1 and plain[divided[-1][0] :] in ("e", "es"):
        divided.pop()
    return divided


def _blocks(word: str) -> list[str]:
    """Korean: a syllable a block."""
    pieces: list[str] = []
    for letter in word:
        if pieces and not ("\uac00" <= letter <= "\ud7a3" and unicodedata.category(pieces[-1][-1])[0] in "LM"):
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces
