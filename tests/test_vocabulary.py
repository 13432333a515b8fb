"""The table of tokens: blocks without holes, names that are unique, and no stranger's table."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.errors import BadRequest, CheckpointError
from midigen.instruments import INSTRUMENTS
from midigen.tokenizers.vocabulary import (
    LANES,
    LOWEST_PITCH,
    NOTE_TOKENS,
    TEMPO_EDGES,
    Vocabulary,
    tempo_bin,
    tempo_of,
)


@pytest.fixture(params=NOTE_TOKENS)
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return Vocabulary(request.param)


def test_every_id_is_of_one_type(vocabulary: Vocabulary) -> None:
    listed = [token for kind in vocabulary.sizes for token in vocabulary.ids(kind)]
    assert listed == list(range(vocabulary.size))
    assert sum(vocabulary.mask(kind).astype(int) for kind in vocabulary.sizes).tolist() == [1] * vocabulary.size  # type: ignore[union-attr]
    assert vocabulary.size <= 2**16  # ids are stored in sixteen bits


def test_ids_names_and_values_agree(vocabulary: Vocabulary) -> None:
    for token in range(vocabulary.size):
        kind, value = vocabulary.value(token)
        assert vocabulary.id(kind, value) == token
    assert len({vocabulary.name(token) for token in range(vocabulary.size)}) == vocabulary.size
    with pytest.raises(BadRequest, match="values run from 0 to 11"):
        vocabulary.id("chord_bass", 12)


def test_lanes_chords_and_keys_have_ids_of_their_own(vocabulary: Vocabulary) -> None:
    lanes = [vocabulary.form_lane, vocabulary.harmony_lane, *(vocabulary.lane(*lane) for lane in LANES)]
    assert lanes == list(vocabulary.ids("lane"))
    for token in vocabulary.ids("chord"):
        assert vocabulary.chord(*vocabulary.chord_of(token)) == token
    keys = [vocabulary.key(tonic, mode) for mode in ("major", "minor") for tonic in range(12)]
    assert keys == list(vocabulary.ids("key"))


def test_a_vocabulary_is_rebuilt_from_its_spec(vocabulary: Vocabulary) -> None:
    again = Vocabulary.from_spec(copy.deepcopy(vocabulary.to_spec()))
    assert (again.note_tokens, again.first, again.size) == (vocabulary.note_tokens, vocabulary.first, vocabulary.size)
    more = Vocabulary.from_spec({**vocabulary.to_spec(), "keys": [1.0]})  # a checkpoint may say more than the table
    assert more.to_spec() == vocabulary.to_spec()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"representation": "remi"},
        {"note_tokens": "words"},
        {"note_tokens": ["running"]},
        {"lanes": []},
        {"blocks": {**Vocabulary().sizes, "touch": 31}},
    ],
    ids=str,
)
def test_a_table_that_has_changed_is_refused_in_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError) as caught:
        Vocabulary.from_spec({**Vocabulary().to_spec(), **change})
    assert "train again" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", [{}, [], None, "lanes"], ids=repr)
def test_what_is_no_table_is_refused_too(spec: Any) -> None:
    with pytest.raises(CheckpointError, match="train again"):
        Vocabulary.from_spec(spec)


@given(st.integers(-11, 11), st.sampled_from(list(INSTRUMENTS)), st.sampled_from(NOTE_TOKENS))
def test_transposing_back_is_the_identity(semitones: int, kind: str, note_tokens: str) -> None:
    v = Vocabulary(note_tokens)
    there, back = v.transposition(semitones, kind), v.transposition(-semitones, kind)
    kept = np.flatnonzero(there >= 0)
    row, span = INSTRUMENTS[kind], 108 - 21 + 1
    inside = (kept < v.first["pitch"]) | (kept >= v.first["pitch"] + v.sizes["pitch"])
    pitch = (kept - v.first["pitch"]) % span + LOWEST_PITCH
    kept = kept[inside | row.is_drum | ((pitch >= row.lowest) & (pitch <= row.highest))]
    np.testing.assert_array_equal(back[there[kept]], kept)
    moves = {v.value(t)[0] for t in np.flatnonzero((there >= 0) & (there != np.arange(v.size))).tolist()}
    everything = {"key", "chord", "chord_bass"} | (set() if row.is_drum else {"pitch"})
    assert moves == (everything if semitones else set())


def test_transposition_moves_what_sounds_and_keeps_the_range() -> None:
    v = Vocabulary()
    up = v.transposition(5, "bass")
    assert up[v.id("pitch", 40 - LOWEST_PITCH)] == v.id("pitch", 45 - LOWEST_PITCH)
    assert up[v.id("pitch", 67 - LOWEST_PITCH)] == -1  # the bass ends at 67
    assert up[v.chord(9, "m7")] == v.chord(2, "m7")
    assert up[v.chord(-1, "")] == v.chord(-1, "")  # no chord stays none
    assert up[v.id("chord_bass", 11)] == v.id("chord_bass", 4)
    assert up[v.key(10, "minor")] == v.key(3, "minor")
    drums = v.transposition(5, "drums")
    assert (drums[v.ids("drum")] == v.ids("drum")).all()


def test_tempo_bins_hold_their_own_middle() -> None:
    for number in range(len(TEMPO_EDGES) + 1):
        assert tempo_bin(tempo_of(number)) == number
    assert tempo_bin(1) == 0 and tempo_bin(999) == len(TEMPO_EDGES)
    assert all(abs(tempo_of(tempo_bin(qpm)) / qpm - 1) < 0.05 for qpm in range(40, 250))


def test_an_unknown_spelling_is_refused() -> None:
    with pytest.raises(BadRequest, match="attribute, pair, running, joined"):
        Vocabulary("bytes")
