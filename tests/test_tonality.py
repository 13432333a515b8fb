"""The key of a piece while it is written: no push where it is heard, and one that brings it back where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from midigen.analysis import correlate_keys, estimate_key
from midigen.composition.tonality import InKey, OnScale, Tonality
from midigen.tokenizers.grammar import HarmonyCell, PartCell
from midigen.tokenizers.vocabulary import LOWEST_PITCH, Vocabulary

V = Vocabulary()
ENDER = V.first["bar"]
C_MAJOR, A_MINOR = 0, 21


def heard(key: int, *chords: tuple[int, ...], quarters: int = 24) -> Tonality:
    tonality = Tonality(key)
    for chord in chords:
        tonality.add(np.array(chord), np.full(len(chord), 12 * quarters))
    return tonality


@pytest.mark.parametrize("key", [C_MAJOR, A_MINOR])
def test_a_piece_that_is_heard_in_its_key_or_the_relative_is_left_alone(key: int) -> None:
    tonality = heard(key, (60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
    assert tonality.lead > 0.2 and not tonality.pull().any()


def test_a_piece_that_strays_is_pulled_back() -> None:
    tonality = heard(C_MAJOR, (62, 66, 69), (67, 71, 74), (69, 73, 76), (62, 66, 69))  # D major
    pull = tonality.pull()
    assert tonality.lead < 0 and pull[[0, 5]].min() > 0 > pull[[6, 1]].max()  # C and F, not F# and C#
    while tonality.lead < 0.1:
        tonality.add(np.array([60 + int(np.argmax(tonality.pull() + 1e-9))]), np.array([48]))
    assert estimate_key(tonality._time)[0] in (0, 9)


def test_little_music_says_little() -> None:
    much, little = heard(C_MAJOR, (66, 70, 73)), heard(C_MAJOR, (66, 70, 73), quarters=1)
    assert np.abs(little.pull()).max() < np.abs(much.pull()).max()
    assert not Tonality(C_MAJOR).pull().any()


def test_what_is_taken_back_was_never_heard() -> None:
    tonality = heard(C_MAJOR, (60, 64, 67))
    before = tonality.pull()
    tonality.add(np.array([66, 70]), np.array([400, 400]))
    tonality.add(np.array([66, 70]), np.array([400, 400]), -1)
    assert np.array_equal(tonality.pull(), before)


def test_chords_and_pitches_lean_back_and_the_rest_is_as_it_was() -> None:
    tonality = heard(C_MAJOR, (62, 66, 69), (67, 71, 74), (69, 73, 76))
    logits = np.zeros(V.size)
    InKey(tonality, 3.0, V).lean(logits, HarmonyCell(48, 12, V), ENDER)
    assert logits[V.chord(0, "")] > logits[V.chord(2, "")] and logits[V.chord(5, "")] > logits[V.chord(9, "")]
    chords = np.array(V.ids("chord"))[1:]
    assert np.exp(logits[chords]).sum() == pytest.approx(len(chords))
    assert not logits[np.setdiff1d(np.arange(V.size), chords)].any()
    leant = np.zeros(V.size)
    OnScale(tonality, 1.0, V).lean(leant, PartCell("piano", 48, V), ENDER)
    pitch = V.first["pitch"] - LOWEST_PITCH
    assert leant[pitch + 60] > 0 > leant[pitch + 66]


def test_an_opening_is_on_the_tonic_more_often_and_warmth_flattens() -> None:
    logits = np.random.default_rng(0).normal(size=V.size) * 2
    opened, warm = logits.copy(), logits.copy()
    InKey(Tonality(A_MINOR), 3.0, V, opens=1.0).lean(opened, HarmonyCell(48, 12, V), ENDER)
    assert opened[V.chord(9, "m")] > logits[V.chord(9, "m")] and opened[V.chord(2, "m")] < logits[V.chord(2, "m")]
    InKey(Tonality(A_MINOR), 3.0, V, warmth=1.5).lean(warm, HarmonyCell(48, 12, V), ENDER)
    chords = np.array(V.ids("chord"))[1:]
    order = chords[np.argsort(logits[chords])]
    near = order[logits[order] > logits[order[-1]] - 3]
    assert len(near) > 1 and np.ptp(warm[near]) == pytest.approx(np.ptp(logits[near]) / 1.5)
    assert warm[order[1]] - warm[order[0]] == pytest.approx(logits[order[1]] - logits[order[0]])


def test_correlations_are_those_that_a_key_is_estimated_by() -> None:
    random = np.random.default_rng(1)
    for chroma in random.random((20, 12)):
        best = int(np.argmax(correlate_keys(chroma)))
        assert estimate_key(chroma) == (best % 12, "major" if best < 12 else "minor")
    assert not correlate_keys(np.ones(12)).any()
    assert correlate_keys(random.random((3, 12))).shape == (3, 24)
