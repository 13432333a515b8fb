"""Whatever the grammar allows decodes, spells again to the very same ids, and comes to an end."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from songs import STYLES, make_song

from midigen.analysis import FORM_DISTANCES, QUALITY_NAMES, beat_length
from midigen.errors import BadRequest
from midigen.grid import METRES, bar_positions, to_grid
from midigen.instruments import INSTRUMENTS
from midigen.tokenizers.encoding import encode
from midigen.tokenizers.grammar import MOST_NOTES, Cell, FormCell, HarmonyCell, PartCell, SettledCell
from midigen.tokenizers.spelling import read_chords, read_form, read_notes, spell_chords, spell_notes
from midigen.tokenizers.vocabulary import LOWEST_PITCH, Vocabulary

VOCABULARIES = {name: Vocabulary(name) for name in ("running", "pair")}
seeds = st.integers(0, 2**32)


def walk(cell: Cell, random: np.random.Generator, leave: float) -> list[int]:
    """Random allowed tokens, all types of token alike; where the cell may end, it does with chance ``leave``."""
    written: list[int] = []
    for _ in range(10_000):
        allowed = np.flatnonzero(cell.allowed())
        assert not cell.over()[allowed].any(), "what can only come later cannot come now"
        if cell.may_end and (not len(allowed) or random.random() < leave):
            return written
        assert len(allowed), "a cell that may not end must have a way on"
        kinds: dict[str, list[int]] = {}
        for token in allowed.tolist():
            kinds.setdefault(VOCABULARIES["running"].value(token)[0], []).append(token)
        token = int(random.choice(kinds[sorted(kinds)[random.integers(len(kinds))]]))
        cell.push(token)
        written.append(token)
    raise AssertionError("the cell does not end")


@given(
    seeds, st.sampled_from(list(INSTRUMENTS)), st.sampled_from(METRES), st.sampled_from(sorted(VOCABULARIES)),
    st.sampled_from([0.0, 0.02, 0.3]), st.booleans(),
)  # fmt: skip
def test_notes_that_are_allowed_are_spelled_so(
    seed: int, kind: str, metre: str, note_tokens: str, leave: float, must_play: bool
) -> None:
    v, row, length = VOCABULARIES[note_tokens], INSTRUMENTS[kind], bar_positions(metre)
    ids = walk(PartCell(kind, length, v, must_play), np.random.default_rng(seed), leave)
    notes = read_notes(np.array(ids, dtype=np.int64), kind, v)
    assert len(notes) == v.ends_note[ids].sum() <= MOST_NOTES
    assert len(notes) or not must_play
    position, duration, pitch, velocity = notes.T
    assert (position < length).all() and (np.diff(position) >= 0).all()
    assert (pitch >= row.lowest).all() and (pitch <= row.highest).all()
    assert (duration >= 1).all() and (velocity >= 0).all() and (velocity < 32).all()
    lane = np.concatenate([np.zeros((len(notes), 1), dtype=np.int64), notes], axis=1)
    assert lane.tolist() == sorted(lane.tolist(), key=lambda n: (n[1], n[3]))
    assert len({(n[1], n[3]) for n in lane.tolist()}) == len(lane)  # no note twice
    if note_tokens == "running":
        assert spell_notes(lane, kind, 1, v)[0].tolist() == ids


@given(seeds, st.sampled_from(METRES), st.sampled_from([0.0, 0.3]))
def test_chords_that_are_allowed_are_spelled_so(seed: int, metre: str, leave: float) -> None:
    v, beat = VOCABULARIES["running"], beat_length(METRES.index(metre))
    ids = walk(HarmonyCell(bar_positions(metre), beat, v), np.random.default_rng(seed), leave)
    chords = read_chords(np.array(ids), 0, v)
    assert chords and chords[0].position == 0
    positions = [c.position for c in chords]
    assert positions == sorted(set(positions)) and all(p % beat == 0 and p < bar_positions(metre) for p in positions)
    assert spell_chords(chords, 1, v)[0].tolist() == ids


@given(seeds, st.integers(0, 63))
def test_form_points_to_bars_that_are_there(seed: int, bar: int) -> None:
    v, random = VOCABULARIES["running"], np.random.default_rng(seed)
    present = random.random(64) < 0.5
    cell = FormCell(bar, present, v)
    reachable = {read_form(t, v) for t in np.flatnonzero(cell.allowed()).tolist()}
    expected = {(d, s) for d in FORM_DISTANCES for s in (True, False) if d <= bar and present[bar - d]}
    assert reachable == expected | {(0, False)}
    assert len(walk(cell, random, 1.0)) == 1 and cell.may_end and not cell.allowed().any()


def test_a_part_that_must_play_cannot_leave_before_it_has() -> None:
    v = VOCABULARIES["running"]
    silent, loud = PartCell("bass", 48, v), PartCell("bass", 48, v, must_play=True)
    assert silent.may_end and not loud.may_end
    for kind, value in (("position", 12), ("touch", 3), ("pitch", 20)):
        assert loud.allowed()[v.id(kind, value)]
        loud.push(v.id(kind, value))
        assert loud.may_end == (kind == "pitch")


def test_the_touch_in_force_is_not_said_again() -> None:
    v = VOCABULARIES["running"]
    cell = PartCell("piano", 48, v)
    for kind, value in (("position", 0), ("touch", 3), ("pitch", 20)):
        cell.push(v.id(kind, value))
    assert not cell.allowed()[v.id("touch", 3)] and cell.allowed()[v.id("touch", 4)]
    assert not cell.allowed()[v.id("pitch", 20)] and cell.allowed()[v.id("pitch", 21)]
    assert not cell.allowed()[v.id("position", 0)] and cell.allowed()[v.id("position", 1)]
    cell.push(v.id("position", 47))
    assert not cell.may_end and cell.allowed()[v.id("pitch", 0)]  # the lowest again, at the new place


@pytest.mark.parametrize("note_tokens", ["attribute", "joined"])
def test_spellings_without_a_grammar_are_refused(note_tokens: str) -> None:
    with pytest.raises(BadRequest, match="use 'running' or 'pair'"):
        PartCell("piano", 48, Vocabulary(note_tokens))


@pytest.mark.parametrize("metre", ["4/4", "6/8", "3/4"])
@pytest.mark.parametrize("style", STYLES)
def test_what_songs_are_made_of_is_allowed(style: str, metre: str) -> None:
    """Else the model would learn what it may never write."""
    v = VOCABULARIES["running"]
    grid = to_grid(make_song(style, metre=metre, bars=16, human=True, seed=4))
    song = encode(grid, v)
    length, beat = bar_positions(metre), beat_length(METRES.index(metre))
    edges = np.concatenate([[0], np.cumsum(song.lengths.astype(int).ravel())])
    for number, (first, stop) in enumerate(pairwise(edges.tolist())):
        row = number // grid.bars
        cell: Cell = PartCell(grid.lanes[row - 1].kind, length, v) if row else HarmonyCell(length, beat, v)
        for token in song.tokens[first:stop].tolist():
            assert cell.allowed()[token] and not cell.over()[token]
            cell.push(token)
        assert cell.may_end


def test_the_chord_that_a_piece_ends_with_stands_alone_on_its_root() -> None:
    v = Vocabulary()
    cell = HarmonyCell(48, 12, v, silence=False, root=9)
    chords = np.flatnonzero(cell.allowed())
    assert {v.chord_of(int(token))[0] for token in chords} == {9} and len(chords) == len(QUALITY_NAMES)
    cell.push(v.chord(9, "m"))
    assert cell.may_end and not cell.allowed().any()


def test_a_settled_cell_leaves_no_choice() -> None:
    v = Vocabulary()
    cell = SettledCell(np.array([v.id("position", 0), v.id("touch", 5), v.id("pitch", 30)]), v)
    written = []
    while not cell.may_end:
        (token,) = np.flatnonzero(cell.allowed()).tolist()
        written.append(token)
        cell.push(token)
    assert written == [v.id("position", 0), v.id("touch", 5), v.id("pitch", 30)]
    assert not cell.allowed().any() and not cell.over().any()


def test_a_part_may_be_kept_to_a_span_of_pitches() -> None:
    v = Vocabulary()
    cell = PartCell("guitar", 48, v, shift=-2, span=(40, 52))
    cell.push(v.id("position", 0))
    cell.push(v.id("touch", 100))
    pitches = np.flatnonzero(cell.allowed()) - v.first["pitch"] + LOWEST_PITCH
    assert pitches.min() - 2 == 40 and pitches.max() - 2 == 52


def test_a_form_that_has_no_token_is_a_new_bar() -> None:
    v = Vocabulary()
    cell = FormCell(10, np.ones(11, dtype=bool), v)
    assert cell.nearest(8, True) == v.id("form", 1 + 2 * FORM_DISTANCES.index(8))
    assert cell.nearest(8, False) == v.id("form", 2 + 2 * FORM_DISTANCES.index(8))
    assert cell.nearest(5, True) == cell.nearest(12, True) == v.id("form", 0)
