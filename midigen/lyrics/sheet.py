"""Words as a musician writes them, read into what is to be sung: sections, lines and syllables.

Marks are those that ABC notation (2.1, "lyrics") gives its ``w:`` lines: ``-`` divides a word, ``_`` holds the syllable
before for one more note, ``*`` leaves a note without words, ``~`` puts two words on one note, ``|`` waits for the next
bar, ``\\-`` is a hyphen that is read. An empty line begins a section, a line in brackets (``[Chorus]``) names it.
Chords in brackets, time tags of LRC files and directives of ChordPro are passed over.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from midigen.errors import BadFile, BadRequest
from midigen.lyrics.languages import (
    CHINESE,
    ENGLISH,
    JAPANESE,
    LANGUAGES,
    Language,
    detect,
    language_of,
    need_for_lyrics,
)
from midigen.lyrics.splitting import split_word
from midigen.syllables import is_sign

LARGEST_FILE = 1 << 20  # bytes; the longest opera's words have half of that
MOST_SYLLABLES = 20_000
_TAG = re.compile(r"\[[^\[\]\n]*\]|<\d+:[\d.]+>")  # chords and times inside a line
_TIME = re.compile(r"\[\d+:[\d.:]+\]")
_LRC_HEAD = re.compile(r"\[(ti|ar|al|au|by|re|ve|length|offset|la|#)\s*:([^\]]*)\]", re.IGNORECASE)
_DIRECTIVE = re.compile(r"\{\s*(\w+)\s*:?([^{}]*)\}")
_HEADING = re.compile(r"\[([^\[\]]+)\]:?|\{\s*(?:c|comment|soc|sov|sob|start_of_\w+)\s*:?([^{}]*)\}")
# A kanji's reading beside it, as 夢(ゆめ) or 夢《ゆめ》, is what is sung.
_READING = re.compile(r"[\u3400-\u9fff々]+[(（《]([\u3040-\u30ff]+)[)）》]")
_SMALL_KANA = "ぁぃぅぇぉゃゅょゎァィゥェォャュョヮっッ"
# In French a hyphen before these is spelling and no mark: dormez-vous, peut-être.
_FRENCH = re.compile(
    r"-(?=(?:je|tu|il|elle|on|nous|vous|ils|elles|ce|moi|toi|lui|leur|y|en|le|la|les|t|là|ci|être|même|mêmes)\b)",
    re.IGNORECASE,
)
_HYPHEN = "\ue000"  # stands for a hyphen that is read


@dataclass(frozen=True)
class Sung:
    """A syllable to be set: its text (empty: a note without words), whether the next follows without a space, for how
    many notes more it is held, and whether it waits for a new bar. ``begins`` says that a word begins here."""

    text: str
    joins: bool = False
    holds: int = 0
    new_bar: bool = False
    begins: bool = True


@dataclass(frozen=True)
class Line:
    """A line: its number in the text (from 1), as it is written there, and its syllables (one or more)."""

    number: int
    text: str
    syllables: tuple[Sung, ...]

    @property
    def notes(self) -> int:
        """The fewest notes it can be set to."""
        return sum(1 + syllable.holds for syllable in self.syllables)


@dataclass(frozen=True)
class Section:
    """Lines that belong together; ``name`` as a heading says it, or empty."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Sheet:
    """All that is to be sung, the language it was divided in, and remarks on what may surprise."""

    sections: tuple[Section, ...]
    language: Language
    title: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> int:
        """The fewest notes that it can all be set to."""
        return sum(line.notes for section in self.sections for line in section.lines)


def lyrics_text(path_or_text: str | Path) -> str:
    """The words themselves: those of the file, where one is named, else ``path_or_text``. Raises :class:`BadFile`."""
    name = str(path_or_text)
    cure = "give a text file of words (UTF-8), a line a phrase"
    try:
        is_file = Path(name).is_file()
    except (OSError, ValueError):  # too long for a name, or with characters that no name has
        is_file = False
    if not is_file:
        if isinstance(path_or_text, Path) or re.fullmatch(
            r"\S+\.(?:txt|lrc|lyrics?|cho|crd|pro|md)", name, re.IGNORECASE
        ):
            raise BadFile(f"{name}: no such file; {cure}")
        return name
    try:
        data = Path(name).read_bytes()[: LARGEST_FILE + 1]
    except OSError as error:
        raise BadFile(f"{name}: cannot be read ({error.strerror}); {cure}") from None
    if len(data) > LARGEST_FILE:
        raise BadFile(f"{name}: longer than {LARGEST_FILE >> 20} MB; {cure}")
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile(f"{name}: is not text in UTF-8; save it as UTF-8") from None


def read_sheet(text: str, language: str | None = None, *, pinyin: bool = False) -> Sheet:
    """Words, read: in ``language`` (a code such as ``"de"`` or a name), or in the one that they seem to be in.

    ``pinyin`` writes Chinese characters as pinyin with tone marks. Raises :class:`BadRequest` where nothing is to be
    sung, and :class:`midigen.errors.MissingTool` for a library that is not installed.
    """
    if len(text) > LARGEST_FILE:
        raise BadRequest(f"lyrics of {len(text)} characters: give at most {LARGEST_FILE}")
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    title = ""
    sections: list[tuple[str, list[tuple[int, str]]]] = [("", [])]
    for number, raw in enumerate(text.split("\n"), 1):
        if head := _LRC_HEAD.match(raw.strip()):
            title = head[2].strip() if head[1].lower() == "ti" else title
            continue
        line = _TIME.sub("", raw).strip()
        heading = _HEADING.fullmatch(line)
        if heading:
            name = (heading[1] or heading[2] or "").strip()
            sections.append((name, []))
        elif directive := _DIRECTIVE.fullmatch(line):
            title = directive[2].strip() if directive[1].lower() in ("title", "t") else title
        elif line.startswith("#"):
            continue
        elif not line:
            if sections[-1][1]:
                sections.append(("", []))
        elif words := _TAG.sub("", line).strip():
            sections[-1][1].append((number, words))
    spoken = "\n".join(words for _, lines in sections for _, words in lines)
    found = language_of(language) if language else detect(re.sub(r"[-_*~|]", "", spoken))
    read: list[Section] = []
    count = 0
    for name, lines in sections:
        done = []
        for number, words in lines:
            if sung := tuple(_sung(words, found)):
                done.append(Line(number, words, sung))
                count += len(sung)
                if count > MOST_SYLLABLES:
                    raise BadRequest(f"lyrics of more than {MOST_SYLLABLES} syllables, at line {number}: give fewer")
        if done:
            read.append(Section(name, tuple(done)))
    if not read:
        raise BadRequest("the lyrics hold no words: write a line for each phrase")
    remarks = []
    if found.code == JAPANESE and re.search(r"[\u3400-\u9fff]", _READING.sub("", spoken)):
        remarks.append("a kanji is set to one note; where it is sung on more write its reading beside it: 夢(ゆめ)")
    sheet = Sheet(tuple(read), found, title, tuple(remarks))
    return _to_pinyin(sheet) if pinyin else sheet


def _sung(line: str, language: Language) -> Iterator[Sung]:
    """The syllables of a line, marks taken in."""
    line = _READING.sub(lambda match: match[1], line).replace("\\-", _HYPHEN)
    if language.code == "fr":
        line = _FRENCH.sub(_HYPHEN, line)
    found: list[Sung] = []
    new_bar = False
    join_next = False
    for word in re.sub(r"([|*])", r" \1 ", line).split():
        if word == "|":
            new_bar = True
        elif word == "*":
            found.append(Sung("", False, 0, new_bar))
            new_bar = False
        elif not word.strip("_-"):
            holds = word.count("_")
            if found and holds:
                found[-1] = replace(found[-1], holds=found[-1].holds + holds)
            elif found and word == "-":  # hel - lo
                found[-1] = replace(found[-1], joins=True)
                join_next = True
        elif not any(c.isalnum() for c in word):  # a dash, an ellipsis: to be read with what is before it
            if found and found[-1].text:
                found[-1] = replace(found[-1], text=f"{found[-1].text} {_read(word)}")
        else:
            pieces = list(_word(word, language))
            pieces[0] = replace(pieces[0], new_bar=new_bar, begins=not join_next)
            found += pieces
            new_bar, join_next = False, pieces[-1].joins
    if found and found[-1].joins:
        found[-1] = replace(found[-1], joins=False)
    if any(syllable.text for syllable in found):
        yield from found


def _word(word: str, language: Language) -> Iterator[Sung]:
    """The syllables of what stands between two spaces."""
    parts = re.split(r"-+", word)
    goes_on = parts[-1] == "" and len(parts) > 1
    parts = [part for part in parts if part.strip("_")] or [word]
    marked = len(parts) > 1 or goes_on
    for number, part in enumerate(parts):
        holds = len(part) - len(part.rstrip("_"))
        last = number == len(parts) - 1
        pieces = [part] if marked and not any(map(is_sign, part)) else _pieces(part.replace("_", ""), language)
        pieces = [piece.replace("_", "") for piece in pieces]
        for place, piece in enumerate(pieces):
            end = place == len(pieces) - 1
            joins = not (end and last) or goes_on
            text = _read(piece)
            yield Sung(text, joins, holds if end else 0, begins=number == 0 and place == 0)


def _read(text: str) -> str:
    """As it is to be read: the marks for spaces and hyphens as what they stand for."""
    return " ".join(text.replace("~", " ").replace(_HYPHEN, "-").split())


def _pieces(word: str, language: Language) -> list[str]:
    """A word, or a run of Chinese or Japanese, in syllables; punctuation stays with what it stands beside."""
    if "~" in word:  # words that are to share a note are not divided
        return [word]
    if not any(map(is_sign, word)):
        if language.code in (CHINESE, JAPANESE):  # a word of another tongue inside a song in these
            language = LANGUAGES[ENGLISH]
        return split_word(word, language)
    pieces: list[str] = []
    opening = plain = ""
    for letter in word:
        if is_sign(letter) or letter == "々":
            if plain:
                pieces += split_word(plain, LANGUAGES[ENGLISH])
                plain = ""
            if letter in _SMALL_KANA and pieces and not opening:
                pieces[-1] += letter
            else:
                pieces.append(opening + letter)
                opening = ""
        elif letter.isalnum() or (plain and letter in "'’"):
            plain += letter if plain else opening + letter
            opening = ""
        elif unicodedata.category(letter) in ("Ps", "Pi"):
            if plain:
                pieces += split_word(plain, LANGUAGES[ENGLISH])
                plain = ""
            opening += letter
        elif plain:
            plain += letter
        elif pieces:
            pieces[-1] += letter
        else:
            opening += letter
    if plain:
        pieces += split_word(plain, LANGUAGES[ENGLISH])
    if opening and pieces:
        pieces[-1] += opening
    return pieces or [word]


def _to_pinyin(sheet: Sheet) -> Sheet:
    """The sheet with Chinese characters as pinyin with tone marks; phrases decide how a character is read.

    Raises :class:`midigen.errors.MissingTool` where pypinyin is not installed.
    """
    need_for_lyrics("pypinyin", "leave --pinyin out")
    import pypinyin

    def line(one: Line) -> Line:
        # Read as one run, so that characters with several readings are told apart by their neighbours.
        joined = "".join(syllable.text for syllable in one.syllables)
        han = [c for c in joined if _is_han(c)]
        read = [
            sounds[0]
            for sounds in pypinyin.pinyin("".join(c if _is_han(c) else " " for c in joined))
            if sounds[0].strip()
        ]
        if len(read) != len(han):  # a character that it does not know
            read = [pypinyin.pinyin(c)[0][0] for c in han]
        sounds = iter(read)
        done = []
        for syllable in one.syllables:
            text = "".join(next(sounds) if _is_han(c) else c for c in syllable.text)
            done.append(replace(syllable, text=text, joins=syllable.joins and text == syllable.text))
        return replace(one, syllables=tuple(done))

    return replace(sheet, sections=tuple(replace(s, lines=tuple(map(line, s.lines))) for s in sheet.sections))


def _is_han(letter: str) -> bool:
    return "\u3400" <= letter <= "\u9fff"
