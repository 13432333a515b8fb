"""What is measured on notes: each measure on music for which the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from midigen.evaluation import measures
from midigen.evaluation.measures import Excerpt, can_be_stopped, cut, excerpt, similarity_curve, where_all_play
from midigen.evaluation.statistics import interval, overlap, spread
from midigen.grid import Grid, Lane

BAR = 48  # positions of 4/4


def notes(*rows: tuple[int, int, int, int]) -> np.ndarray:
    """Notes from bar, position, duration and pitch."""
    return np.array([(*row, 20) for row in rows], dtype=np.int32).reshape(-1, 5)


def grid_of(bars: int, **parts: np.ndarray) -> Grid:
    lanes = tuple(Lane(kind, 0, 0, rows) for kind, rows in parts.items())
    return Grid(np.full(bars, BAR), np.zeros(bars, dtype=int), np.full(bars, 120.0), lanes, 1.0)


def piece(bars: int = 4, **parts: np.ndarray) -> Excerpt:
    return cut(grid_of(bars, **parts), 0, bars)


def test_entropy_of_one_pitch_class_is_nothing_and_of_two_is_a_bit() -> None:
    one = piece(piano=notes((0, 0, 12, 60), (1, 0, 12, 72)))
    two = piece(piano=notes((0, 0, 12, 60), (1, 0, 12, 67)))
    assert measures.pitch_class_entropy(one) == 0
    assert measures.pitch_class_entropy(two) == pytest.approx(1.0)


def test_scale_consistency_is_the_share_in_the_best_scale() -> None:
    white = [(0, 4 * i, 4, 60 + step) for i, step in enumerate((0, 2, 4, 5, 7, 9, 11))]
    assert measures.scale_consistency(piece(piano=notes(*white))) == 1
    assert measures.scale_consistency(piece(piano=notes(*white, (1, 0, 4, 61)))) == pytest.approx(7 / 8)


def test_groove_consistency_counts_sixteenths_that_differ() -> None:
    same = piece(2, piano=notes((0, 0, 12, 60), (1, 0, 12, 72)))
    moved = piece(2, piano=notes((0, 0, 12, 60), (1, 12, 12, 60)))
    assert measures.groove_consistency(same) == 1
    assert measures.groove_consistency(moved) == pytest.approx(14 / 16)


def test_repetition_looks_at_each_part_for_itself_and_not_at_lengths() -> None:
    four = piece(
        4,
        piano=notes((0, 0, 12, 60), (1, 0, 24, 60), (2, 0, 12, 62), (3, 0, 12, 60)),
        bass=notes((0, 0, 12, 40), (1, 0, 12, 41)),
    )
    assert measures.repetition(four) == pytest.approx(2 / 6)


def test_parts_that_share_every_chord_are_near_in_tonal_space() -> None:
    roots = [40, 45, 38, 43, 40, 46, 41, 36]
    bass = notes(*((bar, 0, 48, root) for bar, root in enumerate(roots)))
    triads = [(bar, 0, 48, 12 + root + step) for bar, root in enumerate(roots) for step in (0, 4, 7)]
    turned = [(bar, 0, 48, 12 + roots[(bar + 3) % 8] + step) for bar in range(8) for step in (0, 4, 7)]
    with_it = measures.tonal_gain(piece(8, bass=bass, guitar=notes(*triads)), "guitar", "bass")
    beside = measures.tonal_gain(piece(8, bass=bass, guitar=notes(*turned)), "guitar", "bass")
    assert with_it > 0.25
    assert beside < 0.1
    assert math.isnan(measures.tonal_gain(piece(8, bass=bass), "guitar", "bass"))


def test_jaccard_looks_only_where_both_play() -> None:
    two = piece(
        3,
        piano=notes((0, 0, 12, 60), (0, 24, 12, 60), (2, 0, 12, 60)),
        guitar=notes((0, 0, 12, 60), (1, 0, 12, 60)),
    )
    assert measures.onset_jaccard(two, "piano", "guitar") == pytest.approx(1 / 2)
    assert where_all_play(two, "piano", "guitar").bars == 1


def test_notes_a_bar_leave_out_bars_of_rest() -> None:
    assert measures.notes_a_bar(piece(8, bass=notes((0, 0, 12, 40), (0, 12, 12, 40), (5, 0, 12, 40))), "bass") == 1.5


def test_bass_onsets_that_are_single() -> None:
    assert measures.single_bass_onsets(piece(bass=notes((0, 0, 12, 40), (0, 0, 12, 52), (1, 0, 12, 40)))) == 0.5


@pytest.mark.parametrize(
    ("shape", "possible"),
    [
        ((40, 47, 52, 56, 59, 64), True),  # E major, open
        ((41, 48, 53, 57, 60, 65), True),  # F major, barred
        ((40, 41), False),  # both would need the lowest string
        ((60, 61, 62, 63), False),  # a cluster of four
        ((40, 88), False),  # open E and the 24th fret
        ((48, 52, 55, 60, 64), True),  # C major, open
        ((43, 68), True),  # third fret low, fourth fret high
        ((43, 75), False),  # third fret low, eleventh high
        ((64, 65), True),  # open first string, sixth fret of the second
        (tuple(range(40, 80, 5)), False),  # eight notes
    ],
)
def test_what_one_hand_can_stop(shape: tuple[int, ...], possible: bool) -> None:
    assert can_be_stopped(shape) is possible


def test_the_guitar_measure_is_over_shapes_and_not_over_single_notes() -> None:
    four = piece(guitar=notes((0, 0, 12, 40), (0, 0, 12, 41), (1, 0, 12, 64), (2, 0, 12, 48), (2, 0, 12, 52)))
    assert measures.playable_guitar(four) == 0.5
    assert math.isnan(measures.playable_guitar(piece(guitar=notes((0, 0, 12, 40)))))


def test_similarity_curve_finds_the_period() -> None:
    rows = [(bar, 0, 12, 60 + bar % 4) for bar in range(64)]
    curve = similarity_curve(grid_of(64, piano=notes(*rows)))
    assert curve.shape == (32,)
    assert (curve[3::4] == 1).all() and (np.delete(curve, np.arange(3, 32, 4)) == 0).all()
    assert np.isnan(similarity_curve(grid_of(8, piano=notes(*rows[:8])))[8:]).all()


def test_excerpt_is_where_all_three_play_and_nothing_of_a_piece_without_such_bars() -> None:
    both = [(bar, 0, 12, 60) for bar in range(64)]
    late = [(bar, 0, 12, 40) for bar in range(20, 64)]
    chosen = excerpt(grid_of(64, piano=notes(*both), guitar=notes(*both), bass=notes(*late)))
    assert chosen is not None and chosen.bars == 32
    assert all(len(rows) == 32 for rows in chosen.parts.values())
    assert excerpt(grid_of(31, piano=notes(*both[:31]), guitar=notes(*both[:31]), bass=notes(*late[:11]))) is None
    assert excerpt(grid_of(64, piano=notes(*both), guitar=notes(*both), bass=notes(*late[:15]))) is None


def test_measures_of_what_is_empty_are_no_numbers() -> None:
    empty = piece()
    for name, measure in measures.MEASURES.items():
        if name not in ("groove consistency", "distinct velocities, of 32"):
            assert math.isnan(measure(empty)), name


def test_bootstrap_holds_the_mean_of_a_known_population() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    found = interval(values)
    assert found.low < 5 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 2 / 20, rel=0.2)
    assert interval([1.0, float("nan"), 3.0]).value == 2
    assert math.isnan(interval([]).value)


def test_spread_and_overlap() -> None:
    found = spread([1, 2, 3, 4, 5])
    assert (found.median.value, found.first_quartile, found.third_quartile, found.pieces) == (3, 2, 4, 5)
    bins = np.arange(0, 11.0)
    assert overlap([1, 2, 3], [1, 2, 3], bins) == pytest.approx(1)
    assert overlap([1, 1], [5, 5], bins) == 0
    assert math.isnan(overlap([], [1], bins))
