"""The texts in which musicians write chords: charts in bars, ChordPro, and chords above lyrics; all to lines of tokens.

ChordPro is read as https://www.chordpro.org describes it: ``[C]lyrics``, sections, ``{chorus}``, and grids, whose
lines are charts. Neither it nor chords above lyrics say how long a chord lasts: without bar lines each is a bar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from midigen.charts.bars import HOLDS, SLASHES, TIMES, Line, Token, is_content

_TOKEN = re.compile(
    r"(?P<bar>[|‖]+\.(?=\s|$)|:?[|‖│]+(?:[:\]]|\[(?=\d))?|\[(?=\d[\d,.-]*\s))"
    r"|\[(?P<label>[^\[\]|]*)\]"
    r"|(?P<word>\d(?:,\d)+\.?|(?:\([^()|\n]*\)|(?!:[|‖│])[^\s|‖│\[\],])+)"
    r"|(?P<rest>[^\s,])"
)
_COMMENT = re.compile(r"^\s*#.*|(?<=\s)#(?!\d).*")  # in "(b9, #11)" it is a sharp
_DIRECTIVE = re.compile(r"\s*\{\s*([A-Za-z_][\w-]*)\s*:?\s*(.*?)\s*\}\s*")
_LABEL_LINE = re.compile(r"\s*\[([^\]|]*)\]\s*")
_HEADING = re.compile(
    r"\s*[(<]?((?:intro|verse|(?:pre-?|post-?)?chorus|bridge|outro|refrain|solo|interlude|instrumental|coda|ending|hook"
    r"|middle(?: 8| eight)?|vamp|tag|break|turnaround)\b['’\s\d]*)[)>]?\s*:?\s*",
    re.IGNORECASE,
)
_STATED = re.compile(
    r"\s*(title|key|time|metre|meter|tempo|bpm|capo|artist|composer|by|style|tuning|form)\s*:\s*(.*?)\s*", re.IGNORECASE
)
_NAMED = re.compile(r"\s*([^\s:|\[\]{}][^:|\[\]{}]*):(?=\s|$)")
# Chords by their letters, English words by their use: no line of lyrics becomes a chart for them.
_WORDS_TOO = {"A", "Am", "Do", "Go"}
_SEPARATORS = ("-", "–", "−", "→", "->", ",")

_LONG = {"t": "title", "st": "subtitle", "c": "comment", "ci": "comment", "soc": "start_of_chorus",
         "eoc": "end_of_chorus", "sov": "start_of_verse", "eov": "end_of_verse", "sob": "start_of_bridge",
         "eob": "end_of_bridge", "sog": "start_of_grid", "eog": "end_of_grid", "sot": "start_of_tab",
         "eot": "end_of_tab", "comment_italic": "comment", "comment_box": "comment", "cb": "comment"}  # fmt: skip
_NO_CHORDS = ("tab", "abc", "ly", "svg", "textblock")


@dataclass
class Row:
    """A line of the text while it is found out what it is."""

    kind: str  # "blank", "chart", "inline", "label", "heading" or "text"
    text: str
    at: int
    tokens: tuple[Token, ...] = ()


@dataclass
class Sheet:
    """A text as lines of tokens; ``facts`` are the title, key, time and tempo that it states."""

    lines: list[Line] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def read_sheet(text: str) -> Sheet:
    """Find out how ``text`` is written and cut it into lines of tokens. Raises nothing: bars are read later."""
    sheet = Sheet()
    rows = list(_rows(text, sheet.facts))
    inline = any(row.kind == "inline" for row in rows)
    for row in rows:  # a lone [C] is a chord where chords stand in brackets, else a section's name
        if inline and row.kind == "label" and is_content(row.text):
            row.kind = "inline"
    has_lyrics = inline or any(row.kind == "text" and len(row.text.split()) > 1 for row in rows)
    for row in rows:
        if row.kind == "text" and not has_lyrics:
            row.kind = "chart"  # a word that is no chord, and is told so
    charts = [row for row in rows if row.kind == "chart"]
    has_bars = any(token.kind == "bar" for row in charts for token in row.tokens)
    progression = bool(charts) and not has_bars and not has_lyrics and _is_a_progression(charts)
    for row in rows:
        if row.kind in ("label", "heading"):
            sheet.lines.append(Line((Token("label", row.text.strip(), row.at),)))
        elif row.kind == "chart":
            apart = progression or (has_lyrics and not any(token.kind == "bar" for token in row.tokens))
            sheet.lines.append(Line(_without_separators(row.tokens) if progression else row.tokens, apart))
        elif row.kind == "inline":
            sheet.lines.append(_inline_line(row))
        elif row.kind in ("recall", "end"):
            sheet.lines.append(Line((Token(row.kind, row.text, row.at),)))
    return sheet


def _rows(text: str, facts: dict[str, str]) -> Iterator[Row]:
    at, skipped = 0, ""
    for whole in text.splitlines(keepends=True):
        line = _COMMENT.sub("", whole.rstrip("\r\n"))
        directive = _DIRECTIVE.fullmatch(line)
        if directive:
            name = directive[1].lower()
            name = _LONG.get(name, name)
            verb, _, what = name.partition("_of_")
            if skipped:
                skipped = "" if (verb, what) == ("end", skipped) else skipped
            elif verb == "start" and what in _NO_CHORDS:
                skipped = what
            else:
                yield from _directive(name, directive[2], at, facts)
        elif not skipped:
            yield from _row(line, at, facts)
        at += len(whole)


def _directive(name: str, value: str, at: int, facts: dict[str, str]) -> Iterator[Row]:
    verb, _, what = name.partition("_of_")
    if name in ("title", "key", "time", "tempo"):
        facts.setdefault(name, value)
    elif verb == "start" and what:
        label = re.search(r"label=\"([^\"]*)\"", value)
        said = label[1] if label else "" if what == "grid" or "=" in value else value
        if said or what != "grid":
            yield Row("label", said or what.replace("_", " ").capitalize(), at)
    elif verb == "end":
        yield Row("end", what, at)
    elif name == "chorus":
        yield Row("recall", value or "Chorus", at)
    elif name == "comment" and _HEADING.fullmatch(value):
        yield Row("label", value.rstrip(":"), at)


def _row(line: str, at: int, facts: dict[str, str]) -> Iterator[Row]:
    heading, stated = _HEADING.fullmatch(line), _STATED.fullmatch(line)
    label = _LABEL_LINE.fullmatch(line)
    if not line.strip():
        yield Row("blank", "", at)
    elif stated:
        name = stated[1].lower()
        facts.setdefault({"metre": "time", "meter": "time", "bpm": "tempo"}.get(name, name), stated[2])
    elif heading:
        yield Row("heading", heading[1].strip(), at)
    elif label:
        yield Row("label", label[1], at + line.index("["))
    else:
        tokens = tuple(_tokens(line, at))
        named = _NAMED.match(line)
        if named:  # "A: C | F" and "Verse 1:" name sections; "and then he said: no" does not
            rest = tuple(token for token in tokens if token.at >= at + named.end())
            if (rest and _kind(line[named.end() :], rest) == "chart") or (not rest and len(named[1].split()) <= 3):
                yield Row("label", named[1].strip(), at)
                line, tokens = line[named.end() :], rest
        if tokens:
            yield Row(_kind(line, tokens), line, at, tokens)


def _tokens(line: str, at: int) -> Iterator[Token]:
    for found in _TOKEN.finditer(line):
        kind = found.lastgroup or "rest"
        text = found[kind]
        if kind == "bar":
            text = "||" if text == "[" else text.replace("‖", "||").replace("│", "|").rstrip(".][")
        yield Token("word" if kind == "rest" else kind, text.strip(), at + found.start())


def _kind(line: str, tokens: tuple[Token, ...]) -> str:
    """Whether a line is in bars, lyrics with chords in brackets, or neither."""
    brackets = [token for token in tokens if token.kind == "label"]
    words = [token.text for token in tokens if token.kind == "word"]
    chords = [token for token in brackets if is_content(token.text) or token.text[:1] == "*"]
    sure = sum(is_content(word) and word not in _WORDS_TOO for word in words)
    maybe = sum(is_content(word) for word in words)
    glued = re.search(r"\][^\W\d_]|[^\W\d_]\[", line) is not None
    if chords and (glued or (words and 2 * sure < len(words)) or (len(chords) == len(brackets) > 1 and not words)):
        return "inline"
    if any(token.kind == "bar" for token in tokens) or maybe == len(words) or 2 * sure >= len(words):
        return "chart"
    return "text"


def _is_a_progression(charts: list[Row]) -> bool:
    """Without bar lines: whether each chord is a bar, rather than each line.

    A line is a bar where beats are marked in it; else one line alone is a progression, a chord a bar, and so are lines
    of more than two chords on average, since hardly any music has so many in every bar.
    """
    words = [[token.text for token in row.tokens if token.kind == "word"] for row in charts]
    if len(charts) == 1 and _has_separators(words[0]):
        return True
    marks = any(SLASHES.fullmatch(word) or word in HOLDS for line in words for word in line)
    chords = [sum(not TIMES.fullmatch(word) for word in line) for line in words]
    return not marks and (len(charts) == 1 or sum(chords) > 2 * len(charts))


def _has_separators(words: list[str]) -> bool:
    """``C - Am - F - G``"""
    return (
        len(words) >= 3
        and len(words) % 2 == 1
        and all(word in _SEPARATORS for word in words[1::2])
        and not any(word in _SEPARATORS for word in words[::2])
    )


def _without_separators(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    return tuple(token for token in tokens if token.text not in _SEPARATORS)


def _inline_line(row: Row) -> Line:
    """The chords in the brackets of a line of lyrics, and its bar lines."""
    kept = []
    for token in row.tokens or (Token("label", row.text, row.at),):
        if token.kind == "bar":
            kept.append(token)
        elif token.kind == "label" and token.text and token.text[0] != "*":
            kept.append(Token("word", token.text, token.at + 1))
    return Line(tuple(kept), apart=not any(token.kind == "bar" for token in kept))
