"""Chord symbols as MusicXML says them: a root, a kind out of its list, and degrees added, altered or left out."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from midigen.charts.symbols import Symbol, parse_symbol
from midigen.exporters.markup import add
from midigen.notation.spelling import line_of, named, root_name

# MusicXML 4.0, kind-value: semitones above the root. Where two would do as well the first is taken. The eleventh of a
# thirteenth chord is left out, as players do.
KINDS: dict[str, frozenset[int]] = {
    name: frozenset(tones)
    for name, tones in (
        ("major", (0, 4, 7)), ("minor", (0, 3, 7)), ("augmented", (0, 4, 8)), ("diminished", (0, 3, 6)),
        ("dominant", (0, 4, 7, 10)), ("major-seventh", (0, 4, 7, 11)), ("minor-seventh", (0, 3, 7, 10)),
        ("diminished-seventh", (0, 3, 6, 9)), ("augmented-seventh", (0, 4, 8, 10)),
        ("half-diminished", (0, 3, 6, 10)), ("major-minor", (0, 3, 7, 11)), ("major-sixth", (0, 4, 7, 9)),
        ("minor-sixth", (0, 3, 7, 9)), ("dominant-ninth", (0, 2, 4, 7, 10)), ("major-ninth", (0, 2, 4, 7, 11)),
        ("minor-ninth", (0, 2, 3, 7, 10)), ("dominant-11th", (0, 2, 4, 5, 7, 10)), ("major-11th", (0, 2, 4, 5, 7, 11)),
        ("minor-11th", (0, 2, 3, 5, 7, 10)), ("dominant-13th", (0, 2, 4, 7, 9, 10)),
        ("major-13th", (0, 2, 4, 7, 9, 11)), ("minor-13th", (0, 2, 3, 7, 9, 10)),
        ("suspended-second", (0, 2, 7)), ("suspended-fourth", (0, 5, 7)), ("power", (0, 7)),
    )
}  # fmt: skip
_DEGREES = {1: (9, -1), 2: (9, 0), 3: (9, 1), 4: (3, 0), 5: (11, 0), 6: (11, 1), 7: (5, 0), 8: (13, -1), 9: (13, 0),
            10: (7, 0), 11: (7, 1)}  # fmt: skip
_BASS = re.compile(r"/[A-Ga-g](##|bb|#|b|♯|♭|)$")


def add_harmony(parent: Element, symbol: Symbol, text: str, offset: int = 0) -> Element:
    """A ``harmony`` element under ``parent``: ``symbol``, shown as ``text``, ``offset`` divisions after here."""
    harmony = add(parent, "harmony", print_frame="no")
    if not symbol.is_chord:
        root = add(harmony, "root")
        add(root, "root-step", "C", text="")
        add(harmony, "kind", "none", text=text)
    else:
        name = root_name(symbol)
        root = add(harmony, "root")
        _note(root, "root", line_of(name))
        slash = _BASS.search(text)
        shown = text[len(name) : slash.start() if slash else None]
        kind, degrees = kind_of(symbol)
        add(harmony, "kind", kind, text=shown)
        if slash:
            bass = add(harmony, "bass")
            _note(bass, "bass", line_of(slash[0][1:]))
        for value, alter, what in degrees:
            degree = add(harmony, "degree", print_object="no")
            add(degree, "degree-value", value)
            add(degree, "degree-alter", alter)
            add(degree, "degree-type", what)
    if offset:
        add(harmony, "offset", offset)
    return harmony


def _note(parent: Element, what: str, line: int) -> None:
    name = named(line, 60)
    add(parent, f"{what}-step", name.step)
    if name.alter:
        add(parent, f"{what}-alter", name.alter)


def kind_of(symbol: Symbol) -> tuple[str, list[tuple[int, int, str]]]:
    """The nearest kind, and the degrees (value, alter, type) that make it the chord."""
    slash = _BASS.search(symbol.text)
    plain = parse_symbol(symbol.text[: slash.start()]) if slash else symbol  # the bass is said beside the kind
    tones = {(tone - symbol.root) % 12 for tone in plain.tones}
    kind = min(KINDS, key=lambda name: len(KINDS[name] ^ tones) + 0.1 * (not KINDS[name] <= tones))
    missing, extra = KINDS[kind] - tones, tones - KINDS[kind]
    degrees: list[tuple[int, int, str]] = []
    for fifth, alter in ((6, -1), (8, 1)):
        if 7 in missing and fifth in extra:
            degrees.append((5, alter, "alter"))
            missing, extra = missing - {7}, extra - {fifth}
    degrees += [(*_DEGREES[tone], "add") for tone in sorted(extra)]
    degrees += [(_DEGREES[tone][0], 0, "subtract") for tone in sorted(missing) if tone]
    return kind, degrees
