"""From the words of a chart to the bars that are played: what fills a bar, repeats, endings, sections again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from midigen.charts.symbols import Misread, Symbol, read_symbol, told
from midigen.errors import BadRequest

MOST_PLAYED = 4096  # bars with all repeats written out
MOST_TIMES = 64

HOLDS = (".", "-", "–", "−", "_")
BAR_AGAIN, TWO_BARS_AGAIN = ("%", "٪", "𝄎"), ("%%", "//")
SLASHES = re.compile(r"/+")
_WITH_SLASHES = re.compile(r"(.*[^/])(/{2,})")
TIMES = re.compile(r"\(?(?:[x×](\d+)|(\d+)[x×])\)?", re.IGNORECASE)
ENDING = re.compile(r"\[?(\d\.?(?:[,-]\d\.?)*):?")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a chart and its first character in the text. ``kind`` is "word", "bar" (a bar line), "label" (a
    section's name), "recall" (a section by name, again) or "end" (of a section)."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Line:
    """The tokens of one line; where ``apart`` is set each of its chords is a bar, else bar lines and the line's end
    divide them."""

    tokens: tuple[Token, ...]
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A chord from part ``part`` on of a bar that is written in ``parts`` equal parts."""

    symbol: Symbol
    part: int
    parts: int


Bar = tuple[Placed, ...]


def is_content(word: str) -> bool:
    """Whether ``word`` is something that a bar may hold."""
    if word in HOLDS or word in BAR_AGAIN or word in TWO_BARS_AGAIN or SLASHES.fullmatch(word):
        return True
    if TIMES.fullmatch(word):
        return True
    slashed = _WITH_SLASHES.fullmatch(word)
    return not isinstance(read_symbol(bare(slashed[1] if slashed else word)), Misread)


def bare(word: str) -> str:
    """A chord without what stands around it: a comma, the parentheses of a chord that may be left out."""
    word = word.rstrip(",;*")
    return word[1:-1] if word[:1] == "(" and word[-1:] == ")" else word


@dataclass
class Player:
    """Plays the lines of a chart into bars, with a name for those that begin a section.

    ``text`` is what the tokens were read from, for messages. Raises :class:`BadRequest` with bar, line and character.
    """

    text: str
    played: list[tuple[Bar, str | None]] = field(default_factory=list)
    _words: list[Token] = field(default_factory=list)
    _written: int = 0
    _label: str | None = None
    _section: tuple[str, int] | None = None
    _sections: dict[str, list[tuple[Bar, str | None]]] = field(default_factory=dict)
    _repeat_from: int = 0
    _is_open: bool = False  # a repeat was begun by |:
    _body: list[tuple[Bar, str | None]] = field(default_factory=list)
    _ending_from: int | None = None
    _endings: int = 0
    _times: int = 1
    _awaits_ending: bool = False

    def play(self, lines: Sequence[Line]) -> None:
        """Play ``lines`` to the end."""
        for line in lines:
            self._play_line(line)
        self._leave_repeat()
        self._leave_section()

    def _play_line(self, line: Line) -> None:
        begin = len(self.played)
        before: Token | None = None
        tokens = list(line.tokens)
        while tokens:
            token = tokens.pop(0)
            following = tokens[0] if tokens else None
            times = TIMES.fullmatch(token.text) if token.kind == "word" else None
            if token.kind == "bar":
                if self._words:
                    self._close_bar()
                elif before and before.kind == "bar" and before.text == token.text == "|":
                    self._words.append(Token("word", HOLDS[0], token.at))  # a bar left empty: the chord goes on
                    self._close_bar()
                if token.text[0] == ":":
                    count = TIMES.fullmatch(following.text) if following else None
                    if count:
                        tokens.pop(0)
                    self._end_repeat(token.at, self._count(count, token.at) if count else 2)
                if len(token.text) > 1 and token.text[-1] == ":":
                    self._leave_repeat()
                    self._is_open = True
            elif token.kind in ("label", "recall", "end"):
                self._turn(token)
            elif before and before.kind == "bar" and ENDING.fullmatch(token.text):
                self._begin_ending(token)
            elif times:
                self._again(token, times, begin, following)
            else:
                self._words.append(token)
                if line.apart:
                    self._close_bar()
            before = token
        if self._words:
            self._close_bar()

    def fail(self, at: int, what: str) -> NoReturn:
        """Raise :class:`BadRequest` for ``what`` is wrong at character ``at`` of the text."""
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        where = f"line {line}, character {column}" if "\n" in self.text.strip() else f"character {at + 1}"
        raise BadRequest(f"chart, bar {self._written + 1}, {where}: {what}")

    # What a bar holds

    def _close_bar(self) -> None:
        words, self._words = self._words, []
        texts = [word.text for word in words]
        if len(words) == 1 and texts[0] in TWO_BARS_AGAIN:
            if len(self.played) < 2:
                self.fail(words[0].at, f"{texts[0]} plays two bars again, but there are no two bars before it")
            for bar, _ in self.played[-2:]:
                self._append(bar, words[0].at)
            self._written += 2
            return
        again = [word for word in words if word.text in BAR_AGAIN]
        if again:
            strange = [word for word in words if word.text not in BAR_AGAIN and word.text not in HOLDS]
            if strange or len(again) > 1:
                self.fail(again[0].at, f"{again[0].text} is the bar before again, and stands alone in its bar")
            if not self.played:
                self.fail(again[0].at, f"{again[0].text} plays the bar before again, but there is none")
            self._append(self.played[-1][0], words[0].at)
        else:
            self._append(self._bar(words), words[0].at)
        self._written += 1

    def _bar(self, words: Sequence[Token]) -> Bar:
        parts: list[Symbol | None] = []
        for word in words:
            if word.text in HOLDS:
                parts.append(None)
            elif SLASHES.fullmatch(word.text):
                parts += [None] * len(word.text)
            else:
                slashed = _WITH_SLASHES.fullmatch(word.text)
                parts.append(self._symbol(word, slashed[1] if slashed else word.text))
                parts += [None] * len(slashed[2]) if slashed else []
        if parts[0] is None:
            if not self.played:
                self.fail(words[0].at, f"{words[0].text!r} holds a chord, but there is none before it")
            parts[0] = self.played[-1][0][-1].symbol
        return tuple(Placed(symbol, part, len(parts)) for part, symbol in enumerate(parts) if symbol is not None)

    def _symbol(self, word: Token, text: str) -> Symbol:
        inner = bare(text)
        symbol = read_symbol(inner)
        if isinstance(symbol, Misread):
            at = word.at + text.find(inner) + symbol.at
            self.fail(at, f"{inner!r} is no chord: {told(inner, symbol)}")
        return symbol

    def _append(self, bar: Bar, at: int) -> None:
        if self._awaits_ending:
            self._leave_repeat()
        if self._label is not None:
            self._section = (self._label, len(self.played))
        self.played.append((bar, self._label))
        self._label = None
        self._check_length(at)

    def _extend(self, bars: list[tuple[Bar, str | None]], times: int = 1, at: int = 0) -> None:
        if len(self.played) + times * len(bars) > MOST_PLAYED:
            self.fail(at, f"with its repeats the chart has more than {MOST_PLAYED} bars; repeat less")
        self.played += bars * times

    def _check_length(self, at: int) -> None:
        if len(self.played) > MOST_PLAYED:
            self.fail(at, f"the chart has more than {MOST_PLAYED} bars; shorten it")

    # Repeats

    def _count(self, found: re.Match[str], at: int) -> int:
        count = int(found[1] or found[2])
        if not 1 <= count <= MOST_TIMES:
            self.fail(at, f"{found[0]!r}: something may be played 1 to {MOST_TIMES} times")
        return count

    def _again(self, token: Token, times: re.Match[str], begin: int, following: Token | None) -> None:
        """``x3`` before a bar line: that bar; at the end of a line: the line."""
        count = self._count(times, token.at)
        if self._words and following and following.kind == "bar":
            self._close_bar()
            begin = len(self.played) - 1
        elif following and (following.kind != "bar" or not self._words):
            self.fail(token.at, f"{token.text!r}: how often stands after a repeat :|, or at the end of a bar or line")
        elif self._words:
            self._close_bar()
        if begin == len(self.played):
            self.fail(token.at, f"{token.text!r}: there is nothing before it on this line to play again")
        self._extend(self.played[begin:], count - 1, token.at)

    def _end_repeat(self, at: int, count: int) -> None:
        if self._ending_from is not None:
            self._extend([*self._body, *self.played[self._ending_from :]], self._times - 1, at)
            self._ending_from, self._awaits_ending = None, True
            return
        repeated = self.played[self._repeat_from :]
        if not repeated:
            self.fail(at, "there is nothing to repeat before :|")
        self._extend(repeated, count - 1, at)
        self._repeat_from, self._is_open = len(self.played), False

    def _begin_ending(self, token: Token) -> None:
        numbers = [int(number) for number in re.findall(r"\d", token.text)]
        if "-" in token.text:
            numbers = list(range(numbers[0], numbers[-1] + 1))
        if self._awaits_ending:
            self._extend(self._body, at=token.at)
            self._awaits_ending = False
        elif self._ending_from is None:
            self._body, self._endings = self.played[self._repeat_from :], 0
        else:
            self.fail(token.at, f"ending {token.text!r}: the ending before it is not closed by :|")
        self._ending_from, self._times = len(self.played), max(len(numbers), 1)
        self._endings += 1

    def _leave_repeat(self) -> None:
        """What comes is played once. After a first ending alone the body is played again without it."""
        if self._awaits_ending and self._endings == 1:
            self._extend(self._body)
        self._awaits_ending, self._ending_from, self._body = False, None, []
        self._repeat_from, self._is_open = len(self.played), False

    # Sections

    def _turn(self, token: Token) -> None:
        if self._words:
            self._close_bar()
        if not self._is_open or self._awaits_ending:  # :| alone goes back to where the section began
            self._leave_repeat()
        self._leave_section()
        if token.kind in ("label", "end"):
            self._label = token.text if token.kind == "label" else ""  # what comes after a section has no name
        elif token.kind == "recall":
            self._label = token.text
            if token.text.casefold() not in self._sections:
                self.fail(token.at, f"{token.text!r} is to be played again, but no such section came before")
            self._leave_section()
            self._label = ""

    def _leave_section(self) -> None:
        """The section ends here. One of a name that was there before and without bars of its own is played again."""
        if self._section:
            name, first = self._section
            self._sections.setdefault(name.casefold(), self.played[first:])
        self._section = None
        if self._label:
            known = self._sections.get(self._label.casefold(), [])
            self._extend([(bar, self._label if number == 0 else None) for number, (bar, _) in enumerate(known)])
        self._label = None
