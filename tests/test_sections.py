"""What is heard in whole songs: sections that come back, and songs of every odd kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from songs import STYLES, delayed, make_song, transposed

from midigen.errors import BadRequest
from midigen.forms import Form
from midigen.grid import METRES
from midigen.score import Metre, Note, Part, Score, Tempo
from midigen.sections import MOST_BARS, hear, hear_form, likeness, whole_grid

BAR = 1920


def cut(score: Score, first: int, last: int, to: int = 0) -> Score:
    """Bars ``first`` up to ``last`` of a song in 4/4, begun at bar ``to``."""
    parts = []
    for part in score.parts:
        inside = (n for n in part.notes if first * BAR <= n.onset_ticks < last * BAR)
        moved = (replace(n, onset_ticks=n.onset_ticks + (to - first) * BAR) for n in inside)
        parts.append(replace(part, notes=tuple(sorted(moved))))
    return replace(score, parts=tuple(parts))


def joined(sections: Sequence[Score], bars: Sequence[int]) -> Score:
    """Songs one after the other, the first ``bars`` of each."""
    starts = np.concatenate([[0], np.cumsum(bars)[:-1]]).tolist()
    pieces = [cut(song, 0, length, to=start) for song, length, start in zip(sections, bars, starts, strict=True)]
    parts = [
        replace(part, notes=tuple(note for piece in pieces for note in piece.parts[number].notes))
        for number, part in enumerate(pieces[0].parts)
    ]
    return replace(pieces[0], parts=tuple(parts))


def section(name: str, semitones: int = 0) -> Score:
    """Eight bars that have nothing of their own again: of one song for each name."""
    song = make_song(STYLES["ABC".index(name)], seed=ord(name), bars=16)
    return transposed(cut(song, 4, 12), semitones)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("human", [False, True])
def test_a_song_form_is_heard(style: str, human: bool) -> None:
    form = hear_form(whole_grid(make_song(style, bars=32, human=human)))
    assert str(form) == "A4 A4 B4 A4 A4 A4 B4 A4"


@pytest.mark.parametrize("names", ["ABABCB", "ABAB", "ABACA", "AABA"])
def test_verses_and_choruses_are_heard(names: str) -> None:
    song = joined([section(name) for name in names], [8] * len(names))
    form = hear_form(whole_grid(song))
    found = [s.base for s in form.sections for _ in range(s.bars)]
    letters = {name: letter for letter, name in zip("ABC", dict.fromkeys(names), strict=False)}
    # Each of these sections has two halves; they may be heard as sections of their own, but alike wherever they are.
    truth = [letters[name] for name in names for _ in range(8)]
    assert {8 * number for number in range(len(names))} <= {s.first for s in form.sections}
    for bar in range(len(truth)):
        for other in range(bar % 8, bar, 8):
            assert (found[bar] == found[other]) == (truth[bar] == truth[other]), (str(form), bar, other)


def test_a_section_in_another_key_is_that_section_varied() -> None:
    song = joined([section("A"), section("B"), section("A", 2), section("B", 2)], [8] * 4)
    sections = hear_form(whole_grid(song)).sections
    again = [s for s in sections if s.first >= 16]
    before = {s.first: s for s in sections}
    assert all(s.is_varied and before[s.first - 16].base == s.base for s in again)


def test_every_bar_belongs_to_a_section() -> None:
    for bars in (1, 2, 3, 5, 7, 13, 29):
        grid = whole_grid(cut(make_song("rock", bars=32), 0, bars))
        form = hear_form(grid)
        assert form.bars == grid.bars == bars
        assert isinstance(form, Form) and form.is_settled


def test_likeness_is_a_likeness() -> None:
    alike = likeness(whole_grid(make_song("ballad", bars=16)))
    for matrix in (alike.notes, alike.blocks, alike.texture):
        assert matrix.shape == (16, 16)
        assert np.allclose(matrix, matrix.T, atol=1e-5)
        assert matrix.min() >= 0 and matrix.max() <= 1 + 1e-5
        assert np.allclose(np.diagonal(matrix), 1, atol=1e-5)
    assert np.allclose(np.diagonal(alike.notes, -4)[:4], 1)  # A comes back note for note
    assert np.all(np.diagonal(alike.notes, -4)[4:8] < 0.9)  # B is other music


def test_the_same_song_is_heard_the_same() -> None:
    song = make_song("shuffle", bars=24, human=True)
    assert hear(song).chart == hear(song).chart
    assert str(hear_form(whole_grid(song))) == str(hear_form(whole_grid(song)))


def test_what_is_heard_is_said_together() -> None:
    song = make_song("ballad", tonic=2, bars=16, tempo_qpm=88)
    heard = hear(song)
    chart = heard.chart
    assert len(chart) == 16 and heard.key == (2, "major") == chart.key()
    assert (chart.title, chart.stated_metre, chart.stated_tempo_qpm) == (song.title, "4/4", 88)
    assert [s.text for s in chart.in_order[:4]] == ["D", "Bm", "G", "A"]
    assert chart.labels == tuple((s.first, s.name) for s in heard.form.sections)
    assert list(heard.chords) == chart.chords(16, "4/4")


def test_all_parts_are_heard_and_bars_are_those_of_the_file() -> None:
    song = make_song("rock", bars=8)
    strings = replace(song.parts[0], name="strings", kind="other", program=48)
    few = replace(song.parts[2], notes=song.parts[2].notes[:3])
    grid = whole_grid(delayed(replace(song, parts=(strings, few)), 2 * BAR))
    assert grid.bars == 10 and [len(lane.notes) for lane in grid.lanes] == [len(strings.notes), 3]
    assert grid.lanes[0].notes[:, 0].min() == 2
    heard = hear(delayed(song, BAR))
    assert not heard.chart.in_order[0].is_chord and heard.chart.in_order[1].is_chord


def test_odd_songs() -> None:
    piano = make_song("ballad", bars=4).parts[0]
    with pytest.raises(BadRequest, match="no notes"):
        hear(Score(()))
    with pytest.raises(BadRequest, match="no notes"):
        hear(Score((replace(piano, notes=()),)))
    drums = make_song("rock", bars=8, parts=("drums",))
    with pytest.raises(BadRequest, match="drums alone"):
        hear(drums)
    assert hear_form(whole_grid(drums)).bars == 8  # form there is all the same
    one = hear(Score((Part("piano", "piano", notes=(Note(0, 60, 480, 64),)),)))
    assert len(one.chart) == 1 and one.chart.in_order[0].root == 0
    with pytest.raises(BadRequest, match=f"more than {MOST_BARS} bars"):
        hear(Score((replace(piano, notes=(Note(0, 60, 480, 64), Note((MOST_BARS + 1) * BAR, 60, 480, 64))),)))


@pytest.mark.parametrize("metre", ["3/4", "2/4", "6/8", "7/8", "5/8", "12/8"])
def test_other_metres(metre: str) -> None:
    heard = hear(make_song("ballad", metre=metre, bars=16))
    known = metre in METRES
    assert heard.chart.stated_metre == (metre if known else None)
    assert len(heard.chart) == heard.form.bars == 16
    if known:
        assert heard.chart.chords(16, metre) == list(heard.chords)


def test_metres_and_tempos_that_change() -> None:
    song = make_song("rock", bars=8)
    song = replace(
        song,
        metres=(Metre(0, 4, 4), Metre(4 * BAR, 3, 4), Metre(5 * BAR, 3, 4), Metre(5 * BAR, 4, 4)),
        tempos=(Tempo(0, 100.0), Tempo(2 * BAR, 140.0)),
    )
    heard = hear(song)
    grid = heard.grid
    assert grid.bar_lengths.tolist() == [48] * 4 + [36, 12] + [48] * 3
    assert grid.metres.tolist()[4:7] == [METRES.index("3/4"), -1, 0]
    assert grid.tempos[[1, 2]].tolist() == [100, 140]
    assert len(heard.chart) == heard.form.bars == 9
