"""The hands that lean on the model's choices: each moves what it is for, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from midigen.analysis import FORM_DISTANCES, Chord
from midigen.composition.counting import Count, Counts
from midigen.composition.hands import Amount, ByChart, Closing, Follow, InHarmony, Register, Together, reference_of
from midigen.composition.leaning import MOST_ALIKE, USUAL, Conductor
from midigen.composition.table import Lane, Table, cell_of, moved
from midigen.generation import Drawn, Forced, Hand, Sampling, write
from midigen.grid import DURATIONS
from midigen.tokenizers.grammar import FormCell, PartCell
from midigen.tokenizers.spelling import read_notes
from midigen.tokenizers.vocabulary import LOWEST_PITCH, Vocabulary
from midigen.tokenizers.window import FIRST_PART, HARMONY, PartHeader

V = Vocabulary()
ENDER = V.first["bar"]
BAR = 48


class Dull:
    """An engine to which every kind of token is as likely as another, and every token of a kind; ending by choice."""

    ahead = 3

    def __init__(self, ending: float = 0.0) -> None:
        self.position, self.context, self.vocabulary_size = 0, 10_000, V.size
        self.logits = np.full(V.size, -20.0, dtype=np.float32)
        for kind in ("position", "touch", "pitch", "drum", "drum_velocity"):
            self.logits[V.mask(kind)] = -np.log(V.sizes[kind])
        self.logits[ENDER] = ending

    def feed(self, ids: np.ndarray) -> np.ndarray:
        self.position += len(ids)
        return self.logits.copy()


def bar_of(kind: str, hands: Sequence[Hand], seed: int, ending: float = -1.0) -> np.ndarray:
    """The notes ``(n, 4)`` of one bar that is drawn with ``hands`` from an engine without an opinion."""
    cells: list[list[int]] = []
    item = Drawn(lambda: (PartCell(kind, BAR, V), hands), cells.append)
    random = np.random.Generator(np.random.PCG64(seed))
    write(Dull(ending), [1], [item, Forced([ENDER])], Sampling(1.0, 1.0), random)  # type: ignore[arg-type]
    return read_notes(np.array(cells[0]), kind, V)


RIFF = np.array([[0, 6, 40, 20], [6, 6, 47, 20], [12, 3, 40, 22], [24, 6, 45, 20], [24, 6, 52, 20], [40, 4, 43, 21]])


def test_a_firm_hand_plays_the_other_bar_again() -> None:
    follow = Follow(reference_of(cell_of(RIFF, "guitar", V), "guitar", V), 60.0)
    assert np.array_equal(bar_of("guitar", [follow], 0), RIFF)


def test_a_light_hand_plays_some_of_it_and_goes_on_after_what_is_new() -> None:
    reference = reference_of(cell_of(RIFF, "guitar", V), "guitar", V)

    def alike(strength: float) -> float:
        shares = []
        theirs = {(p, q) for p, _, q, _ in RIFF.tolist()}
        for seed in range(12):
            ours = {(p, q) for p, _, q, _ in bar_of("guitar", [Follow(reference, strength)], seed).tolist()}
            shares.append(len(ours & theirs) / len(ours | theirs))
        return float(np.mean(shares))

    none, light, firm = alike(0.0), alike(6.0), alike(11.0)
    assert none < 0.1 < light < firm and firm > 0.8


def test_the_reference_has_a_row_a_note_in_the_spelling_of_the_cell() -> None:
    rows = reference_of(cell_of(RIFF, "guitar", V), "guitar", V)
    assert rows.shape == (6, 3)
    assert (rows[:, 0] - V.first["position"]).tolist() == RIFF[:, 0].tolist()
    assert (rows[:, 2] - V.first["pitch"] + LOWEST_PITCH).tolist() == RIFF[:, 2].tolist()
    assert len(reference_of(np.zeros(0, dtype=np.uint16), "guitar", V)) == 0


@pytest.mark.parametrize("semitones", [-7, 3, 12])
def test_a_cell_that_is_moved_comes_back(semitones: int) -> None:
    cell = cell_of(RIFF, "guitar", V)
    there = moved(cell, "guitar", semitones, V)
    assert (read_notes(there, "guitar", V)[:, 2] == RIFF[:, 2] + semitones).all()
    assert np.array_equal(moved(there, "guitar", -semitones, V), cell)
    assert moved(cell, "drums", semitones, V) is cell


def test_notes_without_a_token_are_left_out_of_a_moved_cell() -> None:
    notes = np.array([[0, 6, 21, 20], [12, 6, 30, 20]])
    assert read_notes(moved(cell_of(notes, "piano", V), "piano", -5, V), "piano", V).tolist() == [[12, 6, 25, 20]]


def classes_of(hands: list[Hand], kind: str = "piano", bars: int = 30) -> np.ndarray:
    return np.concatenate([bar_of(kind, hands, seed)[:, 2] for seed in range(bars)]) % 12


def test_harmony_leans_towards_the_chord_in_force() -> None:
    chords = [Chord(0, 0, 0, "", 0), Chord(0, 24, 7, "7", 7)]
    played = np.concatenate([bar_of("piano", [InHarmony(chords, "piano", 4.0, V)], seed) for seed in range(30)])
    first, second = played[played[:, 0] < 24][:, 2] % 12, played[played[:, 0] >= 24][:, 2] % 12
    assert np.isin(first, [0, 4, 7]).mean() > 0.8 and np.isin(second, [7, 11, 2, 5]).mean() > 0.8
    assert np.isin(classes_of([]), [0, 4, 7]).mean() < 0.4


def test_harmony_leaves_the_odds_of_playing_at_all_alone() -> None:
    logits = np.random.default_rng(0).normal(size=V.size)
    cell = PartCell("piano", BAR, V)
    cell.push(V.id("position", 0))
    leant = logits.copy()
    InHarmony([Chord(0, 0, 2, "m", 2)], "piano", 5.0, V).lean(leant, cell, ENDER)
    pitches = np.array(V.ids("pitch"))
    others = np.setdiff1d(np.arange(V.size), pitches)
    assert np.array_equal(leant[others], logits[others])
    assert np.exp(leant[pitches]).sum() == pytest.approx(np.exp(logits[pitches]).sum())


def test_a_bass_begins_a_chord_on_its_root_its_fifth_or_its_own_bass() -> None:
    root = [InHarmony([Chord(0, 0, 9, "m", 9)], "bass", 1.0, V)]
    slash = [InHarmony([Chord(0, 0, 9, "m", 0)], "bass", 1.0, V)]
    for seed in range(20):
        for hands, allowed in ((root, (9, 4)), (slash, (0,))):
            notes = bar_of("bass", hands, seed)
            on_one = notes[notes[:, 0] == 0]
            assert all(pitch % 12 in allowed for pitch in on_one[:1, 2].tolist())


def test_tones_that_nobody_plays_are_wanted_more() -> None:
    chords = [Chord(0, 0, 0, "7", 0)]
    heard = np.array([[0, 12, pitch] for pitch in (48, 55, 58)])
    lacking = partial(InHarmony, chords, "piano", 2.0, V, heard, missing=3.0)
    full = partial(InHarmony, chords, "piano", 2.0, V, np.append(heard, [[0, 12, 52]], axis=0), missing=3.0)
    first = {
        name: np.mean([bar[0, 2] % 12 == 4 for seed in range(60) if len(bar := bar_of("piano", [make()], seed))])
        for name, make in (("lacking", lacking), ("full", full))
    }
    assert first["lacking"] > first["full"] + 0.2


def test_a_seventh_that_is_asked_for_is_played_and_one_that_is_not_is_rare() -> None:
    def share(quality: str) -> float:
        hands = partial(InHarmony, [Chord(0, 0, 0, quality, 0)], "piano", 2.0, V, np.zeros((0, 3), int), missing=3.0)
        notes = np.concatenate([bar_of("piano", [hands()], seed) for seed in range(30)])
        return float((notes[:, 2] % 12 == 10).mean())

    assert share("7") > 0.15 > 3 * share("")


def test_what_sounds_under_one_chord_says_nothing_of_the_next() -> None:
    chords = [Chord(0, 0, 0, "", 0), Chord(0, 24, 5, "", 5)]
    hand = InHarmony(chords, "piano", 2.0, V, np.array([[0, 24, 48], [24, 24, 53]]), missing=3.0)
    assert hand._time[0].tolist() == [24 * (n == 0) for n in range(12)]
    assert hand._time[1].tolist() == [24 * (n == 5) for n in range(12)]


def test_a_bass_begins_a_note_where_a_chord_begins() -> None:
    chords = [Chord(0, 0, 0, "", 0), Chord(0, 24, 5, "", 5)]

    def begun(hands: list[Hand]) -> float:
        bars = [set(bar_of("bass", hands, seed, -3.0)[:, 0].tolist()) for seed in range(40)]
        return float(np.mean([24 in bar for bar in bars]))

    assert begun([InHarmony(chords, "bass", 3.0, V)]) > 2 * begun([])


@pytest.mark.parametrize(("least", "most"), [(1.5, 3), (5, 7), (7, 10)])
@pytest.mark.parametrize("kind", ["guitar", "drums"])
def test_an_amount_is_kept_on_average(kind: str, least: float, most: float) -> None:
    density = least, most
    lane = Lane(PartHeader(kind, 0), kind, density=density)
    table = Table(
        V, [lane], np.zeros(16, int), np.zeros(16, int), np.zeros(16, int), np.zeros(16, int),
        np.ones((1, 16), dtype=bool), ends=False,
    )  # fmt: skip
    counts = Counts(table, list(range(16)))
    for bar in range(16):
        share = counts.share(0, bar, density)
        table.cells[FIRST_PART][bar] = cell_of(
            bar_of(kind, [Amount(share.goal, share.least, share.most, BAR, kind, V)], bar), kind, V
        )
        counts.keep(0, bar)
    assert least <= counts.of(0).notes / 16 < most


def test_what_was_left_unplayed_is_made_up_for_and_a_close_is_allowed_for() -> None:
    density = 8.0, 10.0
    lane = Lane(PartHeader("piano", 0), "piano", density=density)
    bars = np.zeros(8, int)
    table = Table(V, [lane], bars, bars, bars, bars, np.ones((1, 8), dtype=bool))
    counts = Counts(table, list(range(8)))
    assert counts.share(0, 0, density).goal == pytest.approx(9 * 8 / 7)
    table.cells[FIRST_PART][0] = cell_of(np.array([[12 * n, 6, 60, 20] for n in range(4)]), "piano", V)
    counts.keep(0, 0)
    counts.keep(0, 0)  # written again
    assert counts.of(0) == counts.cell(0, 0) == Count(4, 240, 4)
    assert counts.share(0, 1, density).goal == pytest.approx(2 * 9 * 8 / 7 - 4)
    counts.forget(0, 0)
    assert counts.of(0) == Count() and counts.share(0, 0, density).goal == pytest.approx(9 * 8 / 7)


@pytest.mark.parametrize(("goal", "alone"), [(1.0, True), (1.3, False), (2.6, False), (3.5, False)])
def test_notes_at_once_are_kept_on_average(goal: float, alone: bool) -> None:
    notes = onsets = 0
    for bar in range(12):
        played = bar_of("guitar", [Together(goal, notes, onsets, "guitar", V, alone)], bar, -2.0)
        notes, onsets = notes + len(played), onsets + len(np.unique(played[:, 0]))
    assert abs(notes / onsets - goal) < (0.02 if alone else 0.3)


@pytest.mark.parametrize("leaves", [0, 2, 4])
def test_a_variation_leaves_a_note_out_and_keeps_the_others(leaves: int) -> None:
    reference = reference_of(cell_of(RIFF, "guitar", V), "guitar", V)
    theirs = {(p, q) for p, _, q, _ in RIFF.tolist()}
    for seed in range(6):
        ours = {(p, q) for p, _, q, _ in bar_of("guitar", [Follow(reference, 30.0, leaves)], seed).tolist()}
        assert (int(RIFF[leaves, 0]), int(RIFF[leaves, 2])) not in ours and len(ours & theirs) >= 3


def test_a_rhythm_is_kept_without_its_pitches() -> None:
    reference = reference_of(cell_of(RIFF, "guitar", V), "guitar", V)
    pitches = slice(V.first["pitch"], V.first["pitch"] + V.sizes["pitch"])
    played = bar_of("guitar", [Follow(reference, 60.0, -1, pitches)], 0)
    assert set(played[:, 0]) == set(RIFF[:, 0]) and set(played[:, 2]) != set(RIFF[:, 2])


def test_a_form_follows_bars_of_the_same_chords() -> None:
    alike = [None, True, False, *[None] * (len(FORM_DISTANCES) - 3)]
    logits = np.zeros(V.size)
    ByChart(alike, V).lean(logits, FormCell(8, np.ones(8, dtype=bool), V), ENDER)
    first = V.first["form"]
    assert logits[first : first + 3].tolist() == [0, 0, 0]  # new, and what is not known
    assert logits[first + 3] > logits[first + 4] > 0 > logits[first + 6] > logits[first + 5]


@pytest.mark.parametrize("goal", [45, 60, 75])
def test_a_register_is_kept_on_average(goal: int) -> None:
    pitches: list[int] = []
    for bar in range(12):
        mean = float(np.mean(pitches)) if pitches else 0.0
        hand = Register(goal - 3, goal + 3, mean, len(pitches), shift=4, vocabulary=V)
        pitches += (bar_of("piano", [hand], bar)[:, 2] - 4).tolist()  # as they sound: the model writes 4 higher
    assert abs(np.mean(pitches) - goal) < 3


def test_a_last_bar_is_short_of_onsets_and_held() -> None:
    held, onsets, usual = [], [], []
    for seed in range(20):
        notes = bar_of("piano", [Closing("piano", BAR, V)], seed, -3.0)
        last = notes[notes[:, 0] == notes[:, 0].max()]
        held.append(bool((last[:, 1] >= 0.75 * (BAR - last[:, 0])).all()))
        onsets.append(len(np.unique(notes[:, 0])))
        usual.append(len(np.unique(bar_of("piano", [], seed, -3.0)[:, 0])))
    assert all(held) and max(onsets) <= 2 and np.mean(onsets) < np.mean(usual)
    assert DURATIONS.max() >= BAR


def test_a_part_that_plays_the_same_for_too_long_plays_something_else() -> None:
    bars = np.zeros(20, dtype=int)
    lanes = [Lane(PartHeader(kind), kind) for kind in ("piano", "bass", "drums")]
    table = Table(V, lanes, bars, bars, bars, bars, np.ones((3, 20), dtype=bool))
    riff = cell_of(np.array([[0, 12, 40, 20], [24, 12, 43, 20]]), "bass", V)
    louder = cell_of(np.array([[0, 12, 40, 28], [24, 6, 43, 28]]), "bass", V)
    beat = cell_of(np.array([[0, 1, 36, 20]]), "drums", V)
    chords = np.array([V.chord(0, "")], dtype=np.uint16)
    for bar in range(10):
        for row, cell in enumerate((np.array([V.id("form", 0)], dtype=np.uint16), chords)):
            table.cells[row][bar] = cell
        table.cells[FIRST_PART][bar] = cell_of(np.array([[0, 12, 60 + bar, 20]]), "piano", V)
        table.cells[FIRST_PART + 1][bar] = louder if bar == 5 else riff
        table.cells[FIRST_PART + 2][bar] = beat
    conductor = Conductor(table, USUAL, Counts(table, list(range(20))), None, set())

    def repeated(bar: int) -> set[int]:
        table.cells[1][bar] = chords
        return conductor.what_repeats(bar, (bar - 1, True), np.zeros(4))

    assert repeated(MOST_ALIKE - 1) == {HARMONY, FIRST_PART, FIRST_PART + 1, FIRST_PART + 2}
    assert repeated(MOST_ALIKE) == {HARMONY, FIRST_PART, FIRST_PART + 2}
    (follow,) = [hand for hand in conductor.for_part(1, MOST_ALIKE, 0, None, 0.9) if isinstance(hand, Follow)]
    assert follow.leaves == 1  # one of the two notes is not played again
    assert not any(isinstance(h, Follow) and h.leaves >= 0 for h in conductor.for_part(0, MOST_ALIKE, 0, None, 0.9))


def test_a_last_chord_is_as_full_as_those_before_it() -> None:
    sizes = [len(bar_of("piano", [Closing("piano", BAR, V, 3.2)], seed, -3.0)) for seed in range(20)]
    alone = [len(bar_of("piano", [Closing("piano", BAR, V, 1.1)], seed, -3.0)) for seed in range(20)]
    assert 2.5 < np.mean(sizes) < 4 and np.mean(alone) < 1.6
