"""Forms: which sections a piece has, how long they are, and which of them come back.

``AABA``, ``A8 A8 B8 A8``, ``A A' B A`` or ``intro:4 verse:8 chorus:8 verse2:8 outro:4``: a name that returns is the
same music again; with a prime or a number after a word (``A'``, ``verse2``) it is that section varied.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from midigen.errors import BadRequest

USUAL_BARS = 8  # of a section whose length is not said
MOST_BARS = 4096
MOST_TIMES = 64
NEW = (-1, False)  # a bar that follows no earlier one

_LETTER = re.compile(r"([A-Z])(['’′´`]*)(\d*)")
_ROW = re.compile(r"(?:[A-Z]['’′´`]*\d*)+")
_SMALL_ROW = re.compile(r"[a-f]+\d*")  # "aaba", typed in a hurry; no section's name is spelled with these letters
_WORD = re.compile(r"([^\W\d_](?:[\w-]*[^\W\d_])?)(\d*)(['’′´`]*)")
_ITEM = re.compile(r"([^\s,;|:()]+)(?:\s*:\s*(\w*)|\((\w*)\)|\s+(\d+)(?![\w×]))?(?:\s+[x×](\d+)\b|[×](\d+))?")
_NAMES = {"INTRO", "VERSE", "CHORUS", "BRIDGE", "OUTRO", "REFRAIN", "SOLO", "CODA", "HOOK", "TAG", "ENDING", "BREAK"}
_DASH = re.compile(r"(?<=[A-Z'’′0-9])-(?=[A-Z](?![a-z]))")  # A-B-A
_GAP = re.compile(r"(?:[\s,;|–]|-(?=\s|$))*")


@dataclass(frozen=True)
class Section:
    """A section of ``bars`` bars from bar ``first`` (from 0) on.

    ``name`` is as written, ``base`` without primes and numbers, ``mark`` those; ``occurrence`` counts, from 1, the
    sections of the same ``base``.
    """

    name: str
    first: int
    bars: int
    base: str
    mark: str
    occurrence: int

    @property
    def last(self) -> int:
        """Its last bar."""
        return self.first + self.bars - 1

    @property
    def is_varied(self) -> bool:
        return bool(self.mark)


@dataclass(frozen=True)
class Item:
    """A section as it was asked for: ``bars`` is ``None`` where its length was not said."""

    name: str
    base: str
    mark: str
    bars: int | None


@dataclass(frozen=True)
class Form:
    """Sections in order. ``items`` are as asked for; where a length is open it is :data:`USUAL_BARS` until
    :meth:`fit` settles it."""

    items: tuple[Item, ...]

    def __post_init__(self) -> None:
        if not self.items:
            raise BadRequest("the form has no sections: write AABA, or verse:8 chorus:8")
        wrong = next((item for item in self.items if item.bars is not None and item.bars < 1), None)
        if wrong:
            raise BadRequest(f"section {wrong.name}: {wrong.bars} bars; give 1 or more")
        if self.bars > MOST_BARS:
            raise BadRequest(f"the form has {self.bars} bars: at most {MOST_BARS} can be laid out; shorten it")

    @classmethod
    def of(cls, sections: Iterable[tuple[str, int]]) -> Form:
        """The form of sections given by name and bars."""
        return cls(tuple(Item(name, *_base_and_mark(name), bars) for name, bars in sections))

    def __str__(self) -> str:
        """As :func:`parse_form` reads it: ``A8 A8 B8 A8``."""
        return " ".join(
            f"{item.name}{'' if _LETTER.fullmatch(item.name) and not item.name[-1].isdigit() else ':'}{item.bars}"
            if item.bars is not None
            else item.name
            for item in self.items
        )

    @property
    def bars(self) -> int:
        return sum(item.bars or USUAL_BARS for item in self.items)

    @property
    def is_settled(self) -> bool:
        """Whether the length of every section was said."""
        return all(item.bars is not None for item in self.items)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections with their places, lengths that are open taken as :data:`USUAL_BARS`."""
        sections: list[Section] = []
        seen: Counter[str] = Counter()
        first = 0
        for item in self.items:
            seen[item.base.casefold()] += 1
            bars = item.bars or USUAL_BARS
            sections.append(Section(item.name, first, bars, item.base, item.mark, seen[item.base.casefold()]))
            first += bars
        return tuple(sections)

    @property
    def follows(self) -> tuple[tuple[int, bool] | None, ...]:
        """For each bar the bar that it follows, and whether as the same (else varied).

        The model is the most recent earlier section of the same name and mark, the same; or, where none has the mark,
        the most recent of the name, varied. Sections of unlike length are aligned at their starts: bars beyond the
        model are ``None``, as are those of a section that is new, which may follow anything in it or before. The first
        bar of such a section is :data:`NEW`.
        """
        return self._follows(most_recent=True)

    @property
    def originals(self) -> tuple[tuple[int, bool] | None, ...]:
        """As :attr:`follows`, but with the first of the sections that come into question in place of the last."""
        return self._follows(most_recent=False)

    def _follows(self, most_recent: bool) -> tuple[tuple[int, bool] | None, ...]:
        bars: list[tuple[int, bool] | None] = []
        for number, section in enumerate(self.sections):
            alike = [s for s in self.sections[:number] if s.base.casefold() == section.base.casefold()]
            same = [s for s in alike if s.mark == section.mark]
            if not alike:
                bars += [NEW, *[None] * (section.bars - 1)]
                continue
            model = (same or alike)[-1 if most_recent else 0]
            bars += [
                (model.first + bar, bool(same)) if bar < model.bars else None  #
                for bar in range(section.bars)
            ]
        return tuple(bars)

    def fit(self, bars: int) -> Form:
        """The form in ``bars`` bars: open lengths share what is left in phrases of 8, 4 or 2 bars where they can; a
        form that is all said is played as often as it goes into ``bars``. Raises :class:`BadRequest` where it cannot.
        """
        said = sum(item.bars for item in self.items if item.bars is not None)
        still_open = [number for number, item in enumerate(self.items) if item.bars is None]
        if not still_open:
            times, rest = divmod(bars, said)
            if rest or not times:
                raise BadRequest(
                    f"form {self}: its sections have {said} bars, which do not make {bars}; ask for {said} bars or a "
                    "multiple, or leave a length open"
                )
            return Form(self.items * times)
        left = bars - said
        if left < len(still_open):
            raise BadRequest(
                f"form {self}: {bars} bars leave {max(left, 0)} for {len(still_open)} sections without a length; ask "
                f"for {said + len(still_open)} bars or more"
            )
        shares = _shared(left, [self.items[number].base.casefold() for number in still_open])
        items = list(self.items)
        for number, share in zip(still_open, shares, strict=True):
            items[number] = replace(items[number], bars=share)
        return Form(tuple(items))


def _shared(bars: int, names: Sequence[str]) -> list[int]:
    """``bars`` for sections of ``names``, in the longest phrases (of 8, 4, 2 bars or 1) that share them out evenly: no
    section twice as long as another, those of one name alike, and an odd number of bars only where it must be."""

    def faults(phrase: int) -> tuple[bool, int, int, bool, int]:
        shares = _in_phrases(bars, names, phrase)
        unlike = sum(share != shares[names.index(name)] for share, name in zip(shares, names, strict=True))
        return max(shares) > 2 * min(shares), unlike, sum(share % 2 for share in shares), bars % phrase > 0, -phrase

    return _in_phrases(bars, names, min((p for p in (8, 4, 2, 1) if bars // p >= len(names)), key=faults))


def _in_phrases(bars: int, names: Sequence[str], phrase: int) -> list[int]:
    """``bars`` in whole phrases, as even as can be; what is over goes to all sections of a name, or else to the last
    ones."""
    phrases, rest = divmod(bars, phrase)
    each, over = divmod(phrases, len(names))
    shares = [each * phrase] * len(names)
    for name, count in Counter(names).most_common():
        if count <= over:
            shares = [share + phrase * (other == name) for share, other in zip(shares, names, strict=True)]
            over -= count
    for number in range(over):
        shares[-1 - number] += phrase
    shares[-1] += rest
    return shares


def _base_and_mark(name: str) -> tuple[str, str]:
    letter = re.fullmatch(r"([A-Z])(['’′´`]*)", name)
    word = _WORD.fullmatch(name)
    if letter:
        return letter[1], "'" * len(letter[2])
    if word and len(word[1]) > 1:
        return word[1], ("" if word[2] == "1" else word[2]) + "'" * len(word[3])
    return name, ""


def parse_form(text: str) -> Form:
    """Read a form: letters in a row (``AABA``, ``A8 A'8 B4``) or names with their bars (``verse:8``, ``verse2``).

    A number after a letter is its bars, a number after a word one more of that word, varied; ``verse:8 x2`` is twice
    the same, and ``AABA:32`` shares 32 bars among the four. Raises :class:`BadRequest` with the character where it
    cannot be read.
    """
    items: list[Item] = []
    text = _DASH.sub(" ", text)
    at = 0
    while True:
        gap = _GAP.match(text, at)
        at = gap.end() if gap else at
        if at >= len(text):
            break
        found = _ITEM.match(text, at)
        if not found:
            raise BadRequest(f"form, character {at + 1}: {text[at]!r}; {_CURE}")
        group = _group(found)
        times = int(found[5] or found[6] or 1)
        if not 1 <= times <= MOST_TIMES:
            raise BadRequest(f"form, character {found.start() + 1}: {found[0]!r}: 1 to {MOST_TIMES} times")
        items += group * times
        if len(items) > MOST_BARS:
            raise BadRequest(f"the form has more than {MOST_BARS} sections; shorten it")
        at = found.end()
    if not items:
        raise BadRequest(f"the form is empty: {_CURE}")
    return Form(tuple(items))


_CURE = "write letters such as AABA or A8 A8 B8 A8, or names and bars such as intro:4 verse:8 chorus:8"


def _group(found: re.Match[str]) -> list[Item]:
    """The sections that one word of a form names: several for letters in a row."""
    word, length, where = found[1], next((found[n] for n in (2, 3, 4) if found[n] is not None), None), found.start() + 1
    if length is not None and not (length.isascii() and length.isdigit() and 0 < int(length) <= MOST_BARS):
        raise BadRequest(f"form, character {where}: {found[0]!r}: give its bars as a number from 1 to {MOST_BARS}")
    bars = int(length) if length is not None else None
    if (_ROW.fullmatch(word) or _SMALL_ROW.fullmatch(word)) and word.rstrip("0123456789'") not in _NAMES:
        letters = _LETTER.findall(word.upper())
        if any(number and not 0 < int(number) <= MOST_BARS for _, _, number in letters):
            raise BadRequest(f"form, character {where}: {word!r}: a section has 1 to {MOST_BARS} bars")
        if bars is not None and any(number for _, _, number in letters):
            raise BadRequest(f"form, character {where}: {found[0]!r} says its bars twice; write {word} or A:8")
        row = [
            Item(letter + "'" * len(primes), letter, "'" * len(primes), int(number) if number else None)
            for letter, primes, number in letters
        ]
        if bars is None or len(row) == 1:
            return [replace(item, bars=bars if bars is not None else item.bars) for item in row]
        if bars < len(row):
            raise BadRequest(f"form, character {where}: {found[0]!r}: {len(row)} sections need {len(row)} bars or more")
        return [
            replace(item, bars=share)
            for item, share in zip(row, _shared(bars, [item.base for item in row]), strict=True)
        ]
    if not _WORD.fullmatch(word):
        raise BadRequest(f"form, character {where}: {word!r} is no section; {_CURE}")
    return [Item(word, *_base_and_mark(word), bars)]
