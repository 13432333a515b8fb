"""Chord charts: every spelling of a chord, every way to write bars, and where the chords fall on the grid."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.analysis import NO_CHORD, QUALITIES, Chord, beat_length, estimate_chords
from midigen.charts import (
    Chart,
    Symbol,
    beats_of,
    chart_of,
    chart_text,
    nearest_quality,
    parse_chart,
    parse_symbol,
    read_chart,
    without_repeats,
)
from midigen.errors import BadFile, BadRequest
from midigen.grid import METRES, bar_positions
from midigen.score import parse_key

NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")


def intervals(text: str) -> set[int]:
    symbol = parse_symbol(text)
    return {(tone - symbol.root) % 12 for tone in symbol.tones}


def written(chart: Chart) -> list[str]:
    """The bars of a chart as text."""
    return [bar for line in str(chart).split("\n") if line[0] == "|" for bar in line.strip("| ").split(" | ")]


# Symbols


@pytest.mark.parametrize(
    ("spellings", "tones", "quality"),
    [
        ("C CM Cmaj Cma CMaj CMajor Cmajor", {0, 4, 7}, ""),
        ("Cm Cmin Cmi C- CMI CMin Cminor C−", {0, 3, 7}, "m"),
        ("C7 Cdom7", {0, 4, 7, 10}, "7"),
        ("CM7 Cmaj7 Cma7 CMa7 CMAJ7 CΔ CΔ7 C△7 C∆ C^ C^7 C7M Cj7 C(maj7)", {0, 4, 7, 11}, "maj7"),
        ("Cm7 Cmin7 Cmi7 C-7 Cm⁷", {0, 3, 7, 10}, "m7"),
        ("Cm(maj7) CmM7 Cmmaj7 C-Δ C-^7 CminMaj7 Cm/maj7 Cm#7 Cm+7", {0, 3, 7, 11}, "m"),
        ("Cdim C° Co Cº Cm(b5) Cmb5", {0, 3, 6}, "dim"),
        ("Cdim7 C°7 Co7 D♭⁰⁷", {0, 3, 6, 9}, "dim7"),
        ("Cø Cø7 CØ7 Cm7b5 C-7b5 C-7(b5) Cmin7(♭5) Cm7-5 Chdim Ch7", {0, 3, 6, 10}, "m7b5"),
        ("Caug C+ C#5_ C(#5) C+5 Caugmented", {0, 4, 8}, "aug"),
        ("C+7 C7#5 C7+ C7+5 Caug7 C7(#5) C7aug", {0, 4, 8, 10}, "aug"),
        ("Csus Csus4 C4", {0, 5, 7}, "sus4"),
        ("Csus2", {0, 2, 7}, "sus2"),
        ("C7sus4 C7sus Csus7", {0, 5, 7, 10}, "sus4"),
        ("C9sus C9sus4 Csus9", {0, 2, 5, 7, 10}, "sus4"),
        ("C13sus4", {0, 2, 5, 7, 9, 10}, "sus4"),
        ("C7sus4(b9) C7susb9", {0, 1, 5, 7, 10}, "sus4"),
        ("C6 CM6 Cmaj6 Cadd6", {0, 4, 7, 9}, "6"),
        ("C6/9 C69 C6add9 C6(9)", {0, 2, 4, 7, 9}, "6"),
        ("Cm6 C-6 Cmin6", {0, 3, 7, 9}, "m6"),
        ("Cm6/9 Cm69", {0, 2, 3, 7, 9}, "m6"),
        ("C9 C7(9) C7/9", {0, 2, 4, 7, 10}, "7"),
        ("Cmaj9 CM9 CΔ9", {0, 2, 4, 7, 11}, "maj7"),
        ("Cm9 C-9 Cmin9", {0, 2, 3, 7, 10}, "m7"),
        ("C11", {0, 2, 4, 5, 7, 10}, "7"),
        ("Cm11", {0, 2, 3, 5, 7, 10}, "m7"),
        ("C13", {0, 2, 4, 7, 9, 10}, "7"),
        ("C7(13) C7/13", {0, 4, 7, 9, 10}, "7"),
        ("Cadd9 C(add9) Cadd2 C2 CMadd9", {0, 2, 4, 7}, ""),
        ("Cmadd9 Cm(add9)", {0, 2, 3, 7}, "m"),
        ("Cadd11 Cadd4", {0, 4, 5, 7}, ""),
        ("C(add9,11)", {0, 2, 4, 5, 7}, ""),
        ("C7b9 C7(b9) C7-9 C7♭9", {0, 1, 4, 7, 10}, "7"),
        ("C7#9 C7(#9) C7+9 C7♯9", {0, 3, 4, 7, 10}, "7"),
        ("C7b5 C7(b5) C7-5", {0, 4, 6, 10}, "7"),
        ("C7#11 C7(#11) C7+11", {0, 4, 6, 7, 10}, "7"),
        ("C7b13", {0, 4, 7, 8, 10}, "7"),
        ("C7#5#9 C7(#5,#9) C7#9#5 C7(#5 #9)", {0, 3, 4, 8, 10}, "aug"),
        ("C13b9 C13(b9)", {0, 1, 4, 7, 9, 10}, "7"),
        ("C13#11", {0, 2, 4, 6, 7, 9, 10}, "7"),
        ("Cmaj7#11 CM7(#11) CΔ#11", {0, 4, 6, 7, 11}, "maj7"),
        ("C7alt Calt", {0, 1, 3, 4, 6, 8, 10}, "7"),
        ("C5", {0, 7}, "5"),
        ("C(no3) Cno3 Comit3", {0, 7}, "5"),
        ("Cno5", {0, 4}, ""),
        ("C7no5 C7(omit5)", {0, 4, 10}, "7"),
        ("C9(no3,5) C9no3no5", {0, 2, 10}, "sus2"),
        ("C(b5)", {0, 4, 6}, ""),
    ],
)
def test_a_chord_in_all_its_spellings(spellings: str, tones: set[int], quality: str) -> None:
    for text in spellings.replace("(#5 #9)", "(#5~#9)").split():
        text = text.replace("~", " ").replace("C#5_", "C(#5)")  # C#5 is a fifth on C sharp
        assert intervals(text) == tones, text
        assert parse_symbol(text).quality == quality, text


def test_roots_and_basses() -> None:
    for text, root, bass in (
        ("C", 0, 0), ("F#m7", 6, 6), ("G♭", 6, 6), ("Cb", 11, 11), ("E#", 5, 5), ("Bbb7", 9, 9), ("F##", 7, 7),
        ("G/B", 7, 11), ("C6/9/E", 0, 4), ("Am7/G", 9, 7), ("D/F#", 2, 6), ("C/B♭", 0, 10), ("Am/g", 9, 7),
    ):  # fmt: skip
        symbol = parse_symbol(text)
        assert (symbol.root, symbol.bass) == (root, bass), text
        assert {root, bass} <= symbol.tones
    assert parse_symbol("Bb5").tones == {10, 5}  # a fifth on B flat
    assert parse_symbol("Bbb5").tones == {10, 2, 4}  # B flat with a flat fifth
    assert parse_symbol("C/D").tones == {0, 2, 4, 7}


def test_no_chord() -> None:
    for text in ("N.C.", "NC", "n.c.", "N.C"):
        symbol = parse_symbol(text)
        assert (symbol.root, symbol.bass, symbol.quality, symbol.tones) == (NO_CHORD, NO_CHORD, "", frozenset())


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("root", range(12))
def test_what_is_heard_can_be_read(root: int, quality: str) -> None:
    for bass in (root, (root + 4) % 12):
        symbol = parse_symbol(Chord(0, 0, root, quality, bass).spelled(NAMES))
        assert (symbol.root, symbol.quality, symbol.bass) == (root, quality, bass)
        assert symbol.tones == {(root + tone) % 12 for tone in QUALITIES[quality][0]} | {bass}


@given(st.frozensets(st.integers(1, 11)))
def test_every_chord_has_a_nearest_quality(tones: frozenset[int]) -> None:
    assert nearest_quality(tones | {0}) in QUALITIES


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("Cmaj8", "after 'Cmaj' expected", "extension"),
        ("Hm", "expected a root A to G", "write B for H"),
        ("am", "expected a root", "capital letter"),
        ("C7b", "after 'C7' expected", "5, 9, 11 or 13"),
        ("C7b4", "after 'C7' expected", "5, 9, 11 or 13"),
        ("C/H", "after 'C' expected", "bass note"),
        ("C/", "after 'C' expected", "bass note"),
        ("Cadd5", "after 'C' expected", "after add"),
        ("C7(b9", "after 'C7(b9' expected", "closing )"),
        ("C7b9)", "after 'C7b9' expected", "extension"),
        ("Cmm7", "after 'Cm' expected", "extension"),
        ("Cblah", "after 'Cb' expected", "quality"),
        ("Csus8", "after 'Csus' expected", "extension"),
        ("", "expected a root", "A to G"),
    ],
)
def test_what_is_no_chord_is_told_where(text: str, place: str, expected: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_symbol(text)
    message = str(caught.value)
    assert message.startswith(f"{text!r} is no chord: {place}") and expected in message and "\n" not in message


@given(st.text(alphabet="ABCDEFGmaj7913b#/+-()susdimno°øΔ5, ", max_size=12))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        symbol = parse_symbol(text)
    except BadRequest as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(symbol, Symbol) and symbol.quality in QUALITIES and symbol.root in symbol.tones


# Bars


@pytest.mark.parametrize(
    ("text", "bars"),
    [
        ("C | Am7 | F G/B | C", "C|Am7|F G/B|C"),
        ("| C | Am7 |\n| F G/B | C ||", "C|Am7|F G/B|C"),
        ("|C|Am7|F G/B|C|]", "C|Am7|F G/B|C"),
        ("C\nAm7\nF G/B\nC", "C|Am7|F G/B|C"),  # a bar a line
        ("C Am F G", "C|Am|F|G"),  # a bar a chord
        ("C - Am - F - G", "C|Am|F|G"),
        ("C, Am, F, G", "C|Am|F|G"),
        ("C,Am,F,G", "C|Am|F|G"),
        ("C G Am F\nF G C C", "C|G|Am|F|F|G|C|C"),
        ("C / / G", "C / / G"),
        ("C // G // | F", "C / / G / /|F"),
        ("C . . G | - - F -", "C / / G|G / F /"),
        ("C/// | F", "C / / /|F"),
        ("C | G |", "C|G"),
        ("C |  | G", "C|C|G"),
        ("C | % | G | %", "C|C|G|G"),
        ("C F | % . . . |", "C F|C F"),
        ("C | G | %% | F", "C|G|C|G|F"),
        ("C | G | // | F", "C|G|C|G|F"),
        ("|: C | G :| F", "C|G|C|G|F"),
        ("C | G :| F", "C|G|C|G|F"),
        ("|: C | G :| x3 | F", "C|G|C|G|C|G|F"),
        ("|: C | G :|x3", "C|G|C|G|C|G"),
        ("||: C :||: G :||", "C|C|G|G"),
        ("|: C :|: G :|", "C|C|G|G"),
        ("|: C | G |1. F :|2. Am | D ||", "C|G|F|C|G|Am|D"),
        ("|: C |1 F :|2 A |", "C|F|C|A"),
        ("|: C |1,2. F :|3. A |", "C|F|C|F|C|A"),
        ("|: C |1.-2. F :| A", "C|F|C|F|C|A"),
        ("|: C |1-2. F :|3. A :|", "C|F|C|F|C|A"),
        ("|: C |[1. F :|[2. A | B |", "C|F|C|A|B"),
        ("|: C |1. F :| G", "C|F|C|G"),
        ("C | G x4", "C|G|C|G|C|G|C|G"),
        ("C | G | x2\nF", "C|G|C|G|F"),
        ("C | G x2 | F", "C|G|G|F"),
        ("C G (x2)", "C|G|C|G"),
        ("C | 2x | F", None),
        ("N.C. | C | NC", "N.C.|C|NC"),
        ("C | F#m # and so on\n# nothing here\nBb7(b9, #11)", "C|F#m|Bb7(b9, #11)"),
        ("(C) | F, | G*", "C|F|G"),
        ("A: C | F\nB: G | C\nA:", "C|F|G|C|C|F"),
        ("[A] C | F [B] | G", "C|F|G"),
        ("[Verse]\nC | G\n[Chorus]\nF | C\n[Verse]\n[Chorus]", "C|G|F|C|C|G|F|C"),
        ("My song\n\n| C | Am |\n", "C|Am"),
        ("♭", None),
        ("", None),
        ("| | |", None),
    ],
)
def test_bars(text: str, bars: str | None) -> None:
    if bars is None:
        with pytest.raises(BadRequest):
            parse_chart(text)
    else:
        assert written(parse_chart(text)) == bars.split("|")


def test_names_of_sections_are_kept() -> None:
    chart = parse_chart("[Intro]\nC | G\n\n[Verse 1]\nAm | F :|\n[Intro]\n")
    assert chart.labels == ((0, "Intro"), (2, "Verse 1"), (4, "Verse 1"), (6, "Intro"))
    assert len(chart) == 8
    assert parse_chart("Verse 1: | C | G |\nChorus:\n| F |").labels == ((0, "Verse 1"), (2, "Chorus"))
    assert parse_chart("|: [A] C :| [B] F").labels == ((0, "A"), (1, "A"), (2, "B"))


CHORDPRO = """
# A ballad
{title: Shore}
{key: G}
{tempo: 72 bpm}
{time: 3/4}
{start_of_verse: Verse 1}
[G]Down by the [C]shore and [D7]on
[*softly][Em]I go [N.C.]
{end_of_verse}

{soc}
Da [C]da [(D/F#)]da
{eoc}
{start_of_tab}
e|--3--2--0--|
{end_of_tab}
{chorus}
{start_of_grid shape="2x4"}
| G . . . | C . D . |
{end_of_grid}
"""


def test_chordpro() -> None:
    chart = parse_chart(CHORDPRO)
    assert written(chart) == ["G", "C", "D7", "Em", "N.C.", "C", "D/F#", "C", "D/F#", "G / / /", "C / D /"]
    assert chart.labels == ((0, "Verse 1"), (5, "Chorus"), (7, "Chorus"), (9, ""))
    assert (chart.title, chart.stated_key, chart.stated_metre, chart.stated_tempo_qpm) == (
        "Shore",
        (7, "major"),
        "3/4",
        72,
    )
    assert chart.key() == (7, "major")
    with pytest.raises(BadRequest, match="Chorus"):
        parse_chart("{chorus}\n[C]la la")


def test_chordpro_of_chords_alone_and_with_bar_lines() -> None:
    assert written(parse_chart("[Am] [F] [C] [G]")) == ["Am", "F", "C", "G"]
    assert written(parse_chart("[A]Home is [E]where [D]it\n[A]")) == ["A", "E", "D", "A"]
    assert written(parse_chart("[C]Some [G]words | [F]more |")) == ["C G", "F"]


def test_chords_above_lyrics() -> None:
    chart = parse_chart(
        "Title of the thing\nKey: A minor\n\nVerse 1:\n"
        "       Am         C/G\nA long way, a long way I go\nF          C   x2\nAm I there? Do tell\n\n"
        "Chorus\nDm7 G7\nGo on\n\nChorus\n"
    )
    assert written(chart) == ["Am", "C/G", "F", "C", "F", "C", "Dm7", "G7", "Dm7", "G7"]
    assert chart.labels == ((0, "Verse 1"), (6, "Chorus"), (8, "Chorus"))
    assert chart.stated_key == (9, "minor")


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("C | Am | Cmaj8 | G", "chart, bar 3, character 14:", "'Cmaj8' is no chord: after 'Cmaj' expected"),
        ("C | G | H", "chart, bar 3, character 9:", "'H' is no chord: expected a root"),
        ("C | G\nAm | Fx", "chart, bar 4, line 2, character 7:", "'Fx' is no chord: after 'F' expected"),
        ("C\nAmm\nF", "chart, bar 2, line 2, character 3:", "'Amm' is no chord"),
        ("C Foo G Bar", "chart, bar 2, character", "'Foo' is no chord"),
        ("[C]la la [Gx]la", "chart, bar 2, character 12:", "'Gx' is no chord"),
        ("% | C", "chart, bar 1, character 1:", "there is none"),
        ("C | // | F", "chart, bar 2, character 5:", "no two bars before it"),
        ("C | % G | F", "chart, bar 2, character 5:", "stands alone"),
        ("/ C | F", "chart, bar 1, character 1:", "none before it"),
        ("x2", "chart, bar 1, character 1:", "nothing before it"),
        ("C | G | x99", "chart, bar 3, character 9:", "1 to 64 times"),
        (":| C", "chart, bar 1, character 1:", "nothing to repeat"),
        ("C x2 G | F", "chart, bar 1, character 3:", "how often"),
        ("|: C |1. F |2. G :|", "chart, bar 3, character 13:", "not closed"),
        ("C x64\n" * 80, "chart, bar 65, line 65, character 1:", "more than 4096 bars"),
    ],
)
def test_errors_name_the_bar_and_the_character(text: str, where: str, what: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_chart(text)
    assert str(caught.value).startswith(where) and what in str(caught.value) and "\n" not in str(caught.value)


# On the grid


@pytest.mark.parametrize(
    ("text", "metre", "places"),
    [
        ("C G |", "4/4", [0, 24]),
        ("C G Am |", "4/4", [0, 24, 36]),
        ("C G Am F |", "4/4", [0, 12, 24, 36]),
        ("C / / G |", "4/4", [0, 36]),
        ("C / G |", "4/4", [0, 36]),  # two shares of a bar in three: the first takes what is left over
        ("C / / / G / / / |", "4/4", [0, 24]),
        ("C G |", "3/4", [0, 24]),
        ("C G Am |", "3/4", [0, 12, 24]),
        ("C G |", "2/4", [0, 12]),
        ("C G |", "6/8", [0, 18]),
        ("C / / G / / |", "6/8", [0, 18]),
        ("C G F |", "12/8", [0, 36, 54]),
        ("C G |", "5/4", [0, 36]),
        ("C G |", "7/8", [0, 24]),
    ],
)
def test_chords_share_a_bar_in_beats(text: str, metre: str, places: list[int]) -> None:
    assert [chord.position for chord in parse_chart(text).chords(1, metre)] == places


@pytest.mark.parametrize(
    ("text", "metre"),
    [("F | C D E F G |", "4/4"), ("F | C G D |", "2/4"), ("F | C G D |", "6/8"), ("F | C / / G |", "3/4")],
)
def test_more_chords_than_beats_are_refused(text: str, metre: str) -> None:
    with pytest.raises(BadRequest, match=rf"bar 2 \(C .*beats of {metre}"):
        parse_chart(text).chords(2, metre)
    with pytest.raises(BadRequest, match="metre '5/8'"):
        parse_chart("C").chords(1, "5/8")


def test_the_chart_begins_again_where_it_is_short_and_every_bar_says_its_chord() -> None:
    chart = parse_chart("C | % | Am7 - F/A -")
    assert len(chart) == 3
    assert chart.chords(5, "4/4") == [
        Chord(0, 0, 0, "", 0), Chord(1, 0, 0, "", 0), Chord(2, 0, 9, "m7", 9), Chord(2, 24, 5, "", 9),
        Chord(3, 0, 0, "", 0), Chord(4, 0, 0, "", 0),
    ]  # fmt: skip
    assert chart.symbols(4, "4/4") == [(0, 0, "C"), (1, 0, "C"), (2, 0, "Am7"), (2, 24, "F/A"), (3, 0, "C")]
    assert parse_chart("N.C. C |").chords(1, "4/4")[0] == Chord(0, 0, NO_CHORD, "", NO_CHORD)


def test_what_the_model_does_not_know_of_a_symbol_is_kept_in_its_text() -> None:
    chart = parse_chart("C7 C9 C13 G |")
    assert [(c.position, c.quality) for c in chart.chords(1, "4/4")] == [(0, "7"), (36, "")]
    assert [text for _, _, text in chart.symbols(1, "4/4")] == ["C7", "C9", "C13", "G"]
    assert parse_chart("C C C G |").symbols(1, "4/4") == [(0, 0, "C"), (0, 36, "G")]


def test_bars_may_have_metres_of_their_own() -> None:
    chart = parse_chart("C G | C G")
    assert [(c.bar, c.position) for c in chart.chords(2, ["4/4", "3/4"])] == [(0, 0), (0, 24), (1, 0), (1, 24)]
    with pytest.raises(BadRequest, match="1 metres for 2 bars"):
        chart.chords(2, ["4/4"])


@pytest.mark.parametrize("metre", METRES)
def test_beats(metre: str) -> None:
    beats = beats_of(metre)
    assert beats[0] == 0 and beats[-1] < bar_positions(metre)
    assert {b - a for a, b in pairwise(beats)} <= {beat_length(METRES.index(metre))}


symbols = st.builds(
    lambda root, quality, bass: NAMES[root] + quality + ("" if bass is None else "/" + NAMES[bass]),
    st.integers(0, 11),
    st.sampled_from([*QUALITIES, "9", "13", "7alt", "6/9", "add9", "m(maj7)", "7(b9,#11)"]),
    st.one_of(st.none(), st.integers(0, 11)),
) | st.just("N.C.")
charts = st.lists(
    st.lists(symbols | st.just("/"), min_size=1, max_size=4).filter(lambda b: b[0] != "/"), min_size=1
).map(lambda bars: "| " + " | ".join(" ".join(bar) for bar in bars) + " |")


@given(charts, st.sampled_from(["4/4", "12/8", "5/4"]))
def test_a_chart_reads_what_it_writes(text: str, metre: str) -> None:
    chart = parse_chart(text)
    assert parse_chart(str(chart)) == chart
    chords = chart.chords(len(chart), metre)
    heard = chart_of(chords, [beats_of(metre)] * len(chart), NAMES)
    assert parse_chart(str(heard)).chords(len(chart), metre) == chords


@given(charts, st.integers(-13, 13))
def test_transposition(text: str, semitones: int) -> None:
    chart = parse_chart(text)
    moved = chart.transposed(semitones, NAMES)
    for before, after in zip(chart.in_order, moved.in_order, strict=True):
        assert after.tones == {(tone + semitones) % 12 for tone in before.tones}
        assert parse_symbol(after.text) == after
        assert (after.quality, after.is_chord) == (before.quality, before.is_chord)
    assert [bar for bar, _ in moved.labels] == [bar for bar, _ in chart.labels]
    assert moved.transposed(-semitones, NAMES) == chart


def test_transposition_spells_as_the_new_key_does() -> None:
    assert written(parse_chart("C | Am7 | F | G/B").transposed(1)) == ["Db", "Bbm7", "Gb", "Ab/C"]
    assert written(parse_chart("C | Am7 | F | G/B").transposed(4)) == ["E", "C#m7", "A", "B/D#"]
    stated = parse_chart("{key: Am}\nAm | E♭7(♯9)/G").transposed(2)
    assert stated.stated_key == (11, "minor") and written(stated) == ["Bm", "F7(♯9)/A"]


def test_doubles_inside_a_bar_are_left_out() -> None:
    chords = [Chord(0, 0, 0, "", 0), Chord(0, 12, 0, "", 0), Chord(0, 24, 7, "", 7), Chord(1, 0, 7, "", 7)]
    assert without_repeats(chords) == [chords[0], chords[2], chords[3]]


# Keys

KEYS = """
C: C | Am | F | G
C: Dm7 | G7 | Cmaj7 | A7
C: C7 | F7 | C7 | C7 | F7 | F7 | C7 | C7 | G7 | F7 | C7 | G7
Am: Am | G | F | E
Am: Bm7b5 | E7 | Am | Am
Am: Am | C | D | F | Am | E | Am | E
G: G | Em | C | D7
F: F7 | Bb7 | F7 | Cm7 F7 | Bb7 | Bdim7 | F7 | D7 | Gm7 | C7 | F7 D7 | Gm7 C7
Em: Am7 | D7 | Gmaj7 | Cmaj7 | F#m7b5 | B7 | Em | Em
Dm: Dm7 | Dm7 | Dm7 | Dm7 | Ebm7 | Ebm7 | Dm7 | Dm7
A: A | F#m | D | E
Cm: Cm7 | Fm7 | Dm7b5 | G7 | Cm
Bm: Bm | F# | A | E | G | D | Em | F#
C: C | Cmaj7 | C7 | F | Fm | C | G7 | C
D: D | Dsus4 | D | Dsus2 | A | A | G | D
"""


@pytest.mark.parametrize("line", KEYS.strip().split("\n"))
def test_keys_of_progressions(line: str) -> None:
    key, text = line.split(": ")
    tonic, mode = parse_key(key)
    chart = parse_chart(text)
    for semitones in range(12):
        assert chart.transposed(semitones, NAMES).key() == ((tonic + semitones) % 12, mode)


def test_a_stated_key_goes_before_what_is_heard() -> None:
    assert parse_chart("{key: Em}\nC | F | G | C").key() == (4, "minor")
    assert parse_chart("{key: as you like}\nC | F | G | C").key() == (0, "major")
    assert parse_chart("N.C. | N.C.").key() == (0, "major")


# Files


def test_charts_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "song.txt"
    file.write_bytes("\ufeffC | Am\r\nF | G\r\n".encode())
    assert written(read_chart(file)) == written(read_chart(str(file))) == ["C", "Am", "F", "G"]
    assert written(read_chart("C | Am | F | G")) == ["C", "Am", "F", "G"]
    assert chart_text("C | Am") == "C | Am" and chart_text(file) == "C | Am\nF | G\n"
    long = " | ".join(["Cmaj7"] * 2000)
    assert len(read_chart(long)) == 2000
    for name in ("missing.txt", "song.cho"):
        with pytest.raises(BadFile, match=rf"{name}: no such file"):
            read_chart(name)
    with pytest.raises(BadFile, match="no such file"):
        read_chart(tmp_path / "C")
    (tmp_path / "noise.txt").write_bytes(b"\xff\xfe\x80\x81")
    with pytest.raises(BadFile, match="is no text"):
        read_chart(tmp_path / "noise.txt")


def test_what_is_heard_of_a_song_is_a_chart() -> None:
    from songs import make_song

    from midigen.sections import whole_grid

    for metre in ("4/4", "3/4", "6/8"):
        grid = whole_grid(make_song("rock", metre=metre, bars=16))
        chords = without_repeats(estimate_chords(grid))
        chart = chart_of(chords, [beats_of(metre)] * grid.bars)
        assert parse_chart(str(chart)).chords(grid.bars, metre) == chords
