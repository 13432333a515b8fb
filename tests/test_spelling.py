"""Cells to ids and back: whatever can be played in a bar is spelled and read without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.analysis import FORM_DISTANCES, NO_CHORD, QUALITY_NAMES, SAME, VARIED, Chord
from midigen.grid import DURATIONS, LONGEST_BAR
from midigen.instruments import INSTRUMENTS
from midigen.tokenizers.spelling import read_chords, read_form, read_notes, spell_chords, spell_form, spell_notes
from midigen.tokenizers.vocabulary import NOTE_TOKENS, Vocabulary

VOCABULARIES = {name: Vocabulary(name) for name in NOTE_TOKENS}


@st.composite
def lanes(draw: st.DrawFn) -> tuple[str, int, np.ndarray]:
    """A kind, a number of bars, and notes as :class:`midigen.grid.Lane` has them."""
    kind = draw(st.sampled_from(list(INSTRUMENTS)))
    row = INSTRUMENTS[kind]
    bars = draw(st.integers(1, 4))
    places = draw(
        st.sets(
            st.tuples(st.integers(0, bars - 1), st.integers(0, LONGEST_BAR - 1), st.integers(row.lowest, row.highest)),
            max_size=24,
        )
    )
    lengths = st.just(1) if row.is_drum else st.sampled_from(DURATIONS.tolist())
    touches = draw(st.lists(st.tuples(lengths, st.integers(0, 31)), min_size=1, max_size=4))
    notes = [
        (bar, position, *touches[number % len(touches)][:1], pitch, touches[number % len(touches)][1])
        for number, (bar, position, pitch) in enumerate(sorted(places))
    ]
    return kind, bars, np.array(notes, dtype=np.int32).reshape(-1, 5)


@given(lanes(), st.sampled_from(NOTE_TOKENS))
def test_notes_come_back_unchanged(lane: tuple[str, int, np.ndarray], note_tokens: str) -> None:
    kind, bars, notes = lane
    v = VOCABULARIES[note_tokens]
    ids, lengths = spell_notes(notes, kind, bars, v)
    assert ids.dtype == np.uint16 and len(lengths) == bars and lengths.sum() == len(ids)
    np.testing.assert_array_equal(read_notes(ids, kind, v), notes[:, 1:])
    edges = np.concatenate([[0], np.cumsum(lengths)])
    for bar in range(bars):
        cell = ids[edges[bar] : edges[bar + 1]]
        mine = notes[notes[:, 0] == bar]
        np.testing.assert_array_equal(read_notes(cell, kind, v), mine[:, 1:])
        # A cell's spelling depends on that cell alone, so that any of them may be missing.
        alone, _ = spell_notes(mine * np.array([0, 1, 1, 1, 1]), kind, 1, v)
        np.testing.assert_array_equal(alone, cell)
        assert v.ends_note[cell].sum() == len(mine)


def test_running_tokens_are_said_where_they_change() -> None:
    notes = np.array([[0, 0, 12, 60, 9], [0, 0, 12, 64, 9], [0, 12, 12, 60, 9], [0, 24, 6, 60, 9], [1, 0, 6, 60, 9]])
    kinds = {}
    for name, v in VOCABULARIES.items():
        ids, lengths = spell_notes(notes, "piano", 2, v)
        kinds[name] = [v.value(t)[0] for t in ids.tolist()]
        assert lengths.tolist()[1] == len(kinds[name]) - lengths[0]
    p, t, n = "position", "touch", "pitch"
    assert kinds["running"] == [p, t, n, n, p, n, p, t, n, p, t, n]
    assert kinds["pair"] == [p, t, n, t, n, p, t, n, p, t, n, p, t, n]
    assert kinds["joined"] == [t, n, n, n, t, n, t, n]
    assert kinds["attribute"] == [x for k in kinds["pair"] for x in (("velocity", "duration") if k == t else (k,))]


def test_ids_without_a_position_or_a_touch_spell_no_note() -> None:
    v = VOCABULARIES["running"]
    pitch, position, touch = v.id("pitch", 40), v.id("position", 12), v.id("touch", 100)
    assert len(read_notes(np.array([pitch, position, pitch]), "piano", v)) == 0
    assert len(read_notes(np.array([pitch, position, touch, pitch]), "piano", v)) == 1
    assert len(read_notes(np.array([], dtype=np.uint16), "piano", v)) == 0


@st.composite
def harmony(draw: st.DrawFn) -> tuple[int, list[Chord]]:
    bars = draw(st.integers(1, 4))
    chords = []
    for bar in range(bars):
        for position in sorted({0, *draw(st.sets(st.sampled_from([12, 18, 24, 36]), max_size=3))}):
            root = draw(st.integers(NO_CHORD, 11))
            quality = draw(st.sampled_from(QUALITY_NAMES)) if root != NO_CHORD else ""
            bass = draw(st.integers(0, 11)) if root != NO_CHORD and draw(st.booleans()) else root
            chords.append(Chord(bar, position, root, quality, bass))
    return bars, chords


@given(harmony())
def test_chords_come_back_unchanged(piece: tuple[int, list[Chord]]) -> None:
    bars, chords = piece
    v = VOCABULARIES["running"]
    ids, lengths = spell_chords(chords, bars, v)
    edges = np.concatenate([[0], np.cumsum(lengths)])
    assert edges[-1] == len(ids)
    assert [c for b in range(bars) for c in read_chords(ids[edges[b] : edges[b + 1]], b, v)] == chords


def test_form_points_to_the_most_alike_bar_that_is_there() -> None:
    v = VOCABULARIES["running"]
    at = {d: k for k, d in enumerate(FORM_DISTANCES)}

    def form(bar: int, absent: tuple[int, ...] = (), **alike: float) -> tuple[int, bool]:
        similarity = np.zeros(len(FORM_DISTANCES))
        for name, value in alike.items():
            similarity[at[int(name[1:])]] = value
        present = np.ones(64, dtype=bool)
        present[list(absent)] = False
        return read_form(spell_form(similarity, present, bar, v), v)

    assert form(20) == (0, False)
    assert form(20, d4=VARIED) == (0, False)  # not above
    assert form(20, d4=0.7) == (4, False)
    assert form(20, d4=SAME) == (4, True)
    assert form(20, d4=0.7, d8=0.95) == (8, True)
    assert form(20, d4=0.95, d8=0.96) == (4, True)  # of bars as alike, the nearer
    assert form(20, absent=(16,), d4=1.0, d8=0.8) == (8, False)
    assert form(3, d4=1.0) == (0, False)  # before the window
    assert form(0, d1=1.0) == (0, False)


def test_every_form_token_is_read() -> None:
    v = VOCABULARIES["running"]
    values = [read_form(token, v) for token in v.ids("form")]
    assert values[0] == (0, False)
    assert values[1:] == [(d, same) for d in FORM_DISTANCES for same in (True, False)]


@pytest.mark.parametrize("kind", list(INSTRUMENTS))
def test_an_empty_lane_is_empty_cells(kind: str) -> None:
    for v in VOCABULARIES.values():
        ids, lengths = spell_notes(np.zeros((0, 5), dtype=np.int32), kind, 3, v)
        assert len(ids) == 0 and lengths.tolist() == [0, 0, 0]
