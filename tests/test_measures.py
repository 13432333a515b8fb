"""What is measured on notes: each measure on music for which the answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from midigen.corpus import find_files
from midigen.errors import MidigenError
from midigen.evaluation import measures
from midigen.evaluation.likeness import _error
from midigen.evaluation.measures import Excerpt, can_be_stopped, cut, excerpt, similarity_curve, where_all_play
from midigen.evaluation.pieces import VELOCITIES, Pieces
from midigen.evaluation.statistics import (
    draws,
    interval,
    mean_curves,
    overlap,
    overlap_interval,
    pooled,
    ratio,
    share,
    spread,
)
from midigen.grid import Grid, Lane
from midigen.midi import read_midi
from midigen.score import Note, Part, Score

VALIDATION = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "band-val.tar.xz"

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


def test_repetition_hears_sixteenths() -> None:
    near = piece(2, piano=notes((0, 0, 12, 60), (0, 13, 12, 62), (1, 0, 12, 60), (1, 12, 12, 62)))
    far = piece(2, piano=notes((0, 0, 12, 60), (0, 15, 12, 62), (1, 0, 12, 60), (1, 12, 12, 62)))
    assert (measures.repetition(near), measures.repetition(far)) == (0.5, 0)


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
    bars = piece(
        2,
        piano=notes((0, 0, 12, 60), *((1, 12 * k, 12, 60) for k in range(4))),
        guitar=notes((0, 0, 12, 60), (1, 0, 12, 60)),
    )
    assert measures.onset_jaccard(bars, "piano", "guitar") == pytest.approx((1 + 1 / 4) / 2)  # bars count alike
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
        if name not in ("groove consistency", "steps of velocity in use, of 32"):
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


def test_a_ratio_counts_songs_and_not_their_notes() -> None:
    """Twenty songs of unlike length; nats a note differ from song to song and hardly inside one."""
    random = np.random.default_rng(2)
    notes_ = random.integers(50, 1000, 20)
    a_note = random.normal(3, 0.5, 20)
    found = ratio(notes_ * a_note, notes_)
    assert found.value == pytest.approx((notes_ * a_note).sum() / notes_.sum())
    assert 0.25 < found.high - found.low < 1  # songs, not the 10,000 notes, are what is many
    again = ratio(np.repeat(notes_ * a_note, 4), np.repeat(notes_, 4))
    assert again.high - again.low == pytest.approx((found.high - found.low) / 2, rel=0.2)
    assert math.isnan(ratio([1, 2], [0, 0]).value)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    inside = [low <= 1 <= high for low, high in (
        (found.low, found.high) for found in (interval(random.exponential(1, 60), seed=k) for k in range(200))
    )]  # fmt: skip
    assert 0.88 < np.mean(inside) < 0.985


def test_none_of_many_is_no_certain_zero() -> None:
    none = share([False] * 40)
    assert (none.value, none.low) == (0, 0) and none.high == pytest.approx(0.0876, abs=1e-3)  # Wilson 1927
    assert share([True] * 40).low == pytest.approx(1 - none.high)
    half = share([True, False] * 50)
    assert (half.low, half.high) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert math.isnan(share([]).value)


def test_pooled_values_are_drawn_piece_by_piece() -> None:
    groups = [[0.0] * 50, [1.0] * 50] * 5
    found = pooled(groups, np.mean)
    assert found.value == 0.5
    assert found.high - found.low > 0.4  # ten pieces, however many values


def test_mean_curves_leave_out_what_is_too_short() -> None:
    curves = np.array([[0.2, np.nan], [0.4, 0.6]])
    assert mean_curves(curves)[0] == pytest.approx([0.3, 0.6])
    drawn = mean_curves(curves, draws(2))
    assert drawn.shape == (len(draws(2)), 2) and draws(2).sum(axis=1).tolist() == [2] * len(drawn)
    assert np.isnan(drawn[:, 1]).any()  # where the first alone was drawn
    assert _error(np.array([0.1, np.nan]), np.array([0.4, 0.5])) == pytest.approx(0.3)


def test_overlap_has_an_interval_over_pieces() -> None:
    bins = np.arange(0, 11.0)
    random = np.random.default_rng(4)
    one, other = ([random.integers(0, 10, 50) for _ in range(30)] for _ in range(2))
    found = overlap_interval(one, other, bins)
    assert found.low <= found.value <= 1 and found.value == pytest.approx(
        overlap(np.concatenate(one), np.concatenate(other), bins)
    )
    assert math.isnan(overlap_interval([], other, bins).value)


def test_velocities_are_counted_where_all_play() -> None:
    def part(kind: str, program: int, bars: range, velocity: int) -> Part:
        made = tuple(Note(1920 * bar, 50, 480, velocity + bar % 3) for bar in bars)
        return Part(kind, kind, program, notes=made)

    score = Score((
        part("piano", 0, range(60), 30), part("guitar", 25, range(60), 60), part("bass", 33, range(28, 60), 90)
    ), ticks_per_quarter=480)  # fmt: skip
    assert measures.distinct_velocities(score) == 9
    assert measures.distinct_velocities(score, bars=1) == 3


@pytest.mark.skipif(not VALIDATION.is_file(), reason="the corpus is not here")
def test_the_reference_values_of_the_corpus_come_out() -> None:
    """Medians of the validation songs, as they were measured by others (to what rounding and a grid may change)."""
    found = Pieces()
    for _, name, read in find_files([VALIDATION]):
        try:
            found.add(name, read_midi(read(), name), None, composed=False)
        except MidigenError:
            found.pass_over()
    assert (found.seen, len(found.rows)) == (113, 95)
    for name, median, room in (
        ("pitch-class entropy, bits", 2.74, 0.02), ("scale consistency", 0.974, 0.006),
        ("groove consistency", 0.875, 0.003), ("exact bar repetition", 0.436, 0.005),
        ("notes a bar: piano", 9.9, 0.15), ("notes a bar: guitar", 13.1, 0.15), ("notes a bar: bass", 4.6, 0.1),
        ("tonal-distance gain: guitar and bass", 0.310, 0.006), ("tonal-distance gain: piano and bass", 0.249, 0.006),
        ("tonal-distance gain: piano and guitar", 0.363, 0.006), ("onset Jaccard: guitar and bass", 0.44, 0.02),
        ("onset Jaccard: piano and bass", 0.40, 0.01), ("onset Jaccard: piano and guitar", 0.43, 0.01),
        (VELOCITIES, 53, 0), ("bass onsets that are single", 1, 0),
    ):  # fmt: skip
        assert np.nanmedian(found.values(name)) == pytest.approx(median, abs=room + 1e-9), name
