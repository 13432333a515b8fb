"""Syllables, and how the lyric events of MIDI files spell them.

MIDI's recommended practice 17 (SMF Lyric Meta Event Definition, 1997) is what midigen writes: an event a syllable, a
space after the last of a word, a carriage return after the last of a line, a line feed after the last of a verse. What
others write is read as well: hyphens at the end of a syllable that goes on, the slashes of karaoke files, marks for a
syllable that is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from midigen.errors import BadRequest
from midigen.score import Text

LINE, SECTION = "line", "section"
_ENDS = {"": "", LINE: "\r", SECTION: "\n"}
_BLANK = " \t\r\n\v\f\0\u3000"  # some programs end every text with a NUL
_HELD = ("", "_", "-", "~", "+")  # what stands for "the syllable before goes on"
# Scripts without spaces between words, whose signs are each sung by themselves: kana, CJK ideographs, compatibility
# ideographs, and the planes of rarer ones.
_SIGNS = ((0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


@dataclass(frozen=True, slots=True, order=True)
class Syllable:
    """What is sung from ``tick`` on, up to the next syllable or rest.

    ``text`` is what is read, without marks or white space at its ends. ``joins`` says that the next one follows without
    a space: in the same word, or, in Chinese and Japanese, anyhow. ``ends`` is ``"line"`` or ``"section"`` (a verse)
    for the last of one, else empty.
    """

    tick: int
    text: str
    joins: bool = False
    ends: str = ""

    def __post_init__(self) -> None:
        if self.ends not in _ENDS:
            raise BadRequest(f"syllable {self.text!r} ends {self.ends!r}: choose line, section, or nothing")


def is_sign(letter: str) -> bool:
    """Whether ``letter`` is of a script that writes no spaces between words: kana, or a Chinese character."""
    return any(first <= ord(letter) <= last for first, last in _SIGNS)


def syllables_of(texts: Iterable[Text]) -> tuple[Syllable, ...]:
    """The syllables of a track's lyric events (or, of a karaoke file, of its text events), in order of time."""
    said = [text for text in sorted(texts, key=lambda text: text.tick) if not text.text.startswith(("@", "{#", "{@"))]
    spaced = any(t.text.endswith((" ", "\r", "\n")) or t.text.startswith((" ", "/", "\\")) for t in said)
    # Some write hyphens and spaces, both. One hyphen alone may be spelling (well-known).
    going_on = [text.text for text in said if not text.text.endswith((" ", "\r", "\n"))]
    hyphened = len(going_on) > 2 and all(words.endswith("-") for words in going_on)
    found: list[Syllable] = []
    for tick, words in ((text.tick, text.text.strip("\0")) for text in said):
        core = words.strip(_BLANK)
        opens = {"/": LINE, "\\": SECTION}.get(core[:1], "")
        if opens:
            core = core[1:].strip(_BLANK)
        if found and (opens or words[:1].isspace()):  # what begins anew ends what was before
            found[-1] = replace(found[-1], joins=False, ends=found[-1].ends or opens)
        # A line feed inside is how programs on Unix write a line's end, so two make a verse's.
        after = words[len(words.rstrip(_BLANK)) :] if core or found else ""
        ends = SECTION if "\n\n" in after or ("\n" in after and "\r" not in after) else LINE if "\r" in after else ""
        if core in _HELD:
            if found:
                joins = found[-1].joins and not after if spaced else core == "-" or found[-1].joins
                found[-1] = replace(found[-1], joins=joins, ends=found[-1].ends or ends)
            continue
        if not spaced:
            goes_on = len(core) > 1 and core.endswith("-")
            core, joins = (core.rstrip("-" + _BLANK), True) if goes_on else (core, False)
        else:
            joins = not after
            if joins and hyphened:
                core = core.rstrip("-" + _BLANK)
        if core:
            found.append(Syllable(tick, core, joins, ends))
    if found:
        slashed = any(
            text.text[:1] in ("/", "\\") for text in said
        )  # which say where lines begin, and not the last end
        found[-1] = replace(found[-1], joins=False, ends=found[-1].ends or (SECTION if slashed else ""))
    return tuple(found)


def texts_of(syllables: Iterable[Syllable]) -> tuple[Text, ...]:
    """The lyric events that say ``syllables``, as recommended practice 17 has them."""
    return tuple(Text(s.tick, s.text + ("" if s.joins else " ") + _ENDS[s.ends]) for s in syllables)


def syllabics(syllables: Sequence[Syllable]) -> tuple[str, ...]:
    """For each syllable what notation needs to set hyphens: ``"single"``, ``"begin"``, ``"middle"`` or ``"end"``."""
    goes_on = [
        one.joins and not one.ends and not is_sign(one.text[-1]) and not is_sign(after.text[0])
        for one, after in pairwise(syllables)
    ] + [False]
    names = {(False, False): "single", (False, True): "begin", (True, True): "middle", (True, False): "end"}
    return tuple(
        names[before, after] for before, after in zip([False, *goes_on], goes_on[: len(syllables)], strict=False)
    )


def lines_of(syllables: Iterable[Syllable]) -> list[list[Syllable]]:
    """Syllables line by line."""
    lines: list[list[Syllable]] = [[]]
    for syllable in syllables:
        lines[-1].append(syllable)
        if syllable.ends:
            lines.append([])
    return [line for line in lines if line]


def words_of(syllables: Iterable[Syllable]) -> str:
    """Syllables as the text they spell: a line a line, an empty line between sections."""
    text = "".join(s.text + ("" if s.joins else " ") + {"": "", LINE: "\n", SECTION: "\n\n"}[s.ends] for s in syllables)
    return "\n".join(line.strip() for line in text.split("\n")).strip()
