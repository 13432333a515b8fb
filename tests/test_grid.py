"""From free timing to notation: what lands where on the grid, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from songs import QUARTER, delayed, make_song

from midigen.grid import (
    DURATIONS,
    METRES,
    Grid,
    bar_positions,
    nearest_duration,
    to_grid,
    velocities_of,
)
from midigen.instruments import INSTRUMENTS
from midigen.score import Control, Metre, Note, Part, Score, Tempo

POSITION = QUARTER // 12
BAR = 4 * QUARTER


def line(kind: str, notes: list[tuple[int, int, int]], program: int | None = None) -> Part:
    """A part from (onset, duration, pitch), with velocities that differ."""
    row = INSTRUMENTS[kind]
    played = tuple(Note(o, p, d, 40 + 4 * (i % 20)) for i, (o, d, p) in enumerate(sorted(notes)))
    return Part(kind, kind, row.default_program if program is None else program, is_drum=row.is_drum, notes=played)


def quarters(pitch: int, bars: int, first_bar: int = 0) -> list[tuple[int, int, int]]:
    return [(first_bar * BAR + i * QUARTER, QUARTER, pitch) for i in range(4 * bars)]


def only_lane(grid: Grid) -> np.ndarray:
    (lane,) = grid.lanes
    return lane.notes


def test_notes_on_the_grid_come_through_exactly() -> None:
    dice = np.random.default_rng(1)
    played = sorted(
        {
            (int(p), int(dice.integers(21, 109))): int(dice.choice(DURATIONS)) for p in dice.integers(0, 48 * 6, 120)
        }.items()
    )
    notes = tuple(
        Note(at * POSITION, pitch, length * POSITION, 4 * (i % 32) + 2)
        for i, ((at, pitch), length) in enumerate(played)
    )
    grid = to_grid(Score((Part("piano", "piano", notes=notes),)))
    first = notes[0].onset_ticks // BAR
    expected = [[at // 48 - first, at % 48, length, pitch, i % 32] for i, ((at, pitch), length) in enumerate(played)]
    assert only_lane(grid).tolist() == expected
    assert (velocities_of(only_lane(grid)[:, 1:]) // 4).tolist() == [n.velocity // 4 for n in notes]


def test_a_step_of_velocities_is_played_in_full_and_alike_wherever_it_comes_again() -> None:
    notes = np.array([(p, 12, pitch, b) for p in range(48) for pitch in range(36, 96) for b in range(32)])
    velocities = velocities_of(notes)
    assert (velocities[notes[:, 3] > 0] // 4 == notes[notes[:, 3] > 0, 3]).all() and velocities.min() == 1
    for column, value in ((0, 0), (0, 24), (2, 60), (3, 20)):  # no beat, pitch or step has a favourite
        shares = np.bincount(velocities[notes[:, column] == value] % 4, minlength=4) / (notes[:, column] == value).sum()
        assert (np.abs(shares - 0.25) < 0.06).all()
    assert (velocities_of(notes[::-1])[::-1] == velocities).all()
    line = velocities_of(np.array([(p, 3, 43, 22) for p in range(0, 48, 6)]))  # a bass on one note
    assert len(np.unique(line)) >= 3


@given(st.integers(1, 20_000))
def test_the_nearest_duration_has_no_nearer_neighbour(positions: int) -> None:
    chosen = int(nearest_duration(np.array([positions]))[0])
    ratios = np.abs(np.log2(DURATIONS / positions))
    assert ratios[DURATIONS.tolist().index(chosen)] == pytest.approx(ratios.min())


def test_human_timing_lands_where_it_was_meant() -> None:
    straight, human = (to_grid(make_song("rock", human=h)) for h in (False, True))
    for lane, other in zip(straight.lanes, human.lanes, strict=True):
        np.testing.assert_array_equal(lane.notes[:, [0, 1, 3]], other.notes[:, [0, 1, 3]])


def test_alignment_is_the_share_of_onsets_on_sixteenths_and_triplets() -> None:
    good = [(i * QUARTER // 4, 100, 60) for i in range(16)] + [(BAR + i * QUARTER // 3, 100, 60) for i in range(12)]
    off = [(2 * BAR + i * QUARTER + 5 * QUARTER // 12, 100, 60) for i in range(7)]  # a position no sixteenth has
    assert to_grid(Score((line("piano", good),))).alignment == 1.0
    assert to_grid(Score((line("piano", good + off),))).alignment == pytest.approx(28 / 35)


def test_any_number_of_ticks_a_quarter_will_do() -> None:
    song = make_song("shuffle", metre="3/4")
    reference = to_grid(song)
    for ticks in (96, 960, 1000):
        factor = ticks / QUARTER
        parts = tuple(
            replace(
                p,
                notes=tuple(
                    replace(
                        n, onset_ticks=round(n.onset_ticks * factor), duration_ticks=round(n.duration_ticks * factor)
                    )
                    for n in p.notes
                ),
            )
            for p in song.parts
        )
        grid = to_grid(replace(song, parts=parts, ticks_per_quarter=ticks))
        np.testing.assert_array_equal(grid.bar_lengths, reference.bar_lengths)
        for lane, other in zip(grid.lanes, reference.lanes, strict=True):
            np.testing.assert_array_equal(lane.notes, other.notes)


def test_the_sustain_pedal_lengthens_notes() -> None:
    part = line("piano", [(o, 60, p) for o, _, p in quarters(60, 4)])
    dry = only_lane(to_grid(Score((part,))))
    wet = replace(part, controls=(Control(0, 64, 127), Control(QUARTER * 3 - 10, 64, 0)))
    lengthened = only_lane(to_grid(Score((wet,))))
    assert set(dry[:, 2].tolist()) == {2}  # 60 ticks: one and a half positions, nearer to two
    assert lengthened[:3, 2].tolist() == [12, 12, 12] and set(lengthened[3:, 2].tolist()) == {2}


@pytest.mark.parametrize("quarter", [1, 3])
def test_a_shifted_bar_line_is_put_right(quarter: int) -> None:
    strum = [(i * QUARTER // 2, 200, 48 + i % 7) for i in range(64)]
    roots = [(bar * BAR, 3 * QUARTER, 36 + bar) for bar in range(8)] + [
        (bar * BAR + 3 * QUARTER, 240, 43) for bar in range(8)
    ]
    straight = Score((line("guitar", strum), line("bass", roots)))
    shifted = delayed(straight, quarter * QUARTER)
    grid, moved = to_grid(straight), to_grid(shifted)
    assert moved.bars == grid.bars
    for lane, other in zip(grid.lanes, moved.lanes, strict=True):
        np.testing.assert_array_equal(lane.notes, other.notes)


def test_bar_lines_stay_where_the_bass_does_not_contradict_them() -> None:
    for song in (make_song("rock"), make_song("shuffle"), delayed(make_song("rock"), 2 * QUARTER)):
        first_onsets = sorted({n.onset_ticks for n in song.parts[2].notes})[:4]
        bass = next(lane for lane in to_grid(song).lanes if lane.kind == "bass").notes
        assert [n // POSITION % 48 for n in first_onsets] == bass[:4, 1].tolist()
    # A bass that plays every quarter alike gives no reason to move anything.
    even = Score((line("piano", quarters(60, 8)), line("bass", quarters(36, 8, first_bar=0)[1:])))
    assert to_grid(even).lanes[1].notes[0].tolist()[:2] == [0, 12]


def test_a_change_of_metre_changes_the_bars_and_cuts_one_short() -> None:
    metres = (
        Metre(0, 4, 4),
        Metre(2 * BAR, 3, 4),
        Metre(2 * BAR + 6 * QUARTER, 6, 8),
        Metre(2 * BAR + 10 * QUARTER, 4, 4),
    )
    # 6/8 lasts three quarters a bar: the second bar of 6/8 is cut after one quarter.
    notes = [(i * QUARTER, QUARTER, 60 + i % 12) for i in range(26)]
    grid = to_grid(Score((line("piano", notes),), metres=metres))
    assert grid.bar_lengths.tolist() == [48, 48, 36, 36, 36, 12, 48, 48]
    names = [METRES[m] if m >= 0 else "" for m in grid.metres]
    assert names == ["4/4", "4/4", "3/4", "3/4", "6/8", "", "4/4", "4/4"]
    assert grid.bar_starts.tolist() == [0, 48, 96, 132, 168, 204, 216, 264, 312]
    assert 5 not in only_lane(grid)[:, 0]  # the bar that is cut short keeps no notes
    assert len(only_lane(grid)) == 25  # and its one is the only one missing


def test_a_metre_the_model_does_not_know_leaves_its_bars_empty() -> None:
    metres = (Metre(0, 11, 8), Metre(2 * 11 * QUARTER // 2, 4, 4))
    notes = [(i * QUARTER, QUARTER, 60) for i in range(40)]
    grid = to_grid(Score((line("piano", notes),), metres=metres))
    assert grid.metres[0] == METRES.index("4/4")  # the empty bars of 11/8 before it are trimmed away
    assert only_lane(grid)[0, 0] == 0
    assert len(only_lane(grid)) == 40 - 11


def test_tempos_are_those_at_the_bar_lines() -> None:
    tempos = (Tempo(0, 90.0), Tempo(BAR, 120.0), Tempo(2 * BAR + QUARTER, 60.0))
    grid = to_grid(Score((line("piano", quarters(60, 4)),), tempos=tempos))
    assert grid.tempos.tolist() == [90.0, 120.0, 120.0, 60.0]


def test_doubled_notes_become_the_longest_of_them() -> None:
    notes = quarters(60, 4)
    short = [(o + 1, 60, p) for o, _, p in notes]  # the same place on the grid
    assert only_lane(to_grid(Score((line("piano", notes + short),)))).tolist() == [
        [b, p, 12, 60, v] for b, p, d, _, v in only_lane(to_grid(Score((line("piano", notes + short),)))).tolist()
    ]
    assert len(only_lane(to_grid(Score((line("piano", notes + short),))))) == 16


@pytest.mark.parametrize("kind", list(INSTRUMENTS))
def test_notes_beyond_the_instrument_are_left_out(kind: str) -> None:
    row = INSTRUMENTS[kind]
    pitches = [row.lowest - 1, row.lowest, row.highest, row.highest + 1]
    notes = [(i * QUARTER, QUARTER, pitch) for i in range(16) for pitch in pitches]
    lane = only_lane(to_grid(Score((line(kind, notes),))))
    assert set(lane[:, 3].tolist()) == {row.lowest, row.highest}


def test_drum_hits_have_no_length() -> None:
    lane = only_lane(to_grid(Score((line("drums", [(o, 900, p) for o, _, p in quarters(38, 4)]),))))
    assert set(lane[:, 2].tolist()) == {1}


def test_two_guitars_are_two_lanes_the_busier_first() -> None:
    rhythm = [(i * QUARTER // 2, 200, 45 + i % 5) for i in range(64)]
    lead = [(i * QUARTER, 400, 70 + i % 7) for i in range(32)]
    lanes = to_grid(Score((line("guitar", lead, 30), line("guitar", rhythm, 25)))).lanes
    assert [(x.kind, x.slot, x.program, len(x.notes)) for x in lanes] == [("guitar", 0, 25, 64), ("guitar", 1, 30, 32)]


def test_a_guitarist_who_changes_the_sound_keeps_the_lane() -> None:
    verse, chorus = quarters(50, 5), quarters(60, 4, first_bar=5)
    (lane,) = to_grid(Score((line("guitar", chorus, 30), line("guitar", verse, 25)))).lanes
    assert len(lane.notes) == 36 and lane.program == 25
    assert lane.notes[:, 0].tolist() == sorted(lane.notes[:, 0].tolist())


def test_a_part_that_doubles_another_is_dropped_and_a_third_has_no_place() -> None:
    first, second, third = (
        [(i * QUARTER // 2 + k, 200, low + i % 5) for i in range(64)] for k, low in ((0, 45), (40, 60), (80, 70))
    )
    assert len(to_grid(Score((line("guitar", first), line("guitar", first[:-3])))).lanes) == 1
    lanes = to_grid(Score(tuple(line("guitar", x) for x in (first, second, third)))).lanes
    assert len(lanes) == INSTRUMENTS["guitar"].slots == 2


def test_drum_parts_are_one_kit() -> None:
    (kit,) = to_grid(Score((line("drums", quarters(36, 4)), line("drums", quarters(42, 4), 25)))).lanes
    assert set(kit.notes[:, 3].tolist()) == {36, 42} and kit.program == 0


def test_silence_before_and_after_is_trimmed_and_inside_it_stays() -> None:
    notes = quarters(60, 3, first_bar=4) + quarters(62, 3, first_bar=9)
    grid = to_grid(Score((line("piano", notes),), tempos=(Tempo(0, 70.0), Tempo(4 * BAR, 100.0)), bars=20))
    assert grid.bars == 8 and len(grid.metres) == len(grid.tempos) == 8
    assert sorted(set(only_lane(grid)[:, 0].tolist())) == [0, 1, 2, 5, 6, 7]
    assert set(grid.tempos.tolist()) == {100.0}


def test_effects_and_strangers_are_no_parts() -> None:
    few = line("guitar", quarters(60, 4)[:15])
    strings = Part("strings", "other", 48, notes=tuple(Note(i * QUARTER, 60, 400, 80) for i in range(40)))
    grid = to_grid(Score((line("piano", quarters(60, 4)), few, strings)))
    assert [lane.kind for lane in grid.lanes] == ["piano"]
    assert to_grid(Score((few,))).lanes == ()


def test_every_metre_has_a_bar_of_whole_positions() -> None:
    for metre in METRES:
        above, below = map(int, metre.split("/"))
        assert bar_positions(metre) * below == above * 48
