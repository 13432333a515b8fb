"""What stands in a window, and in which order: known parts beside those that are written, and sections that return."""

from __future__ import annotations

import numpy as np
import pytest

from midigen.composition.hands import Returning
from midigen.composition.layout import FOLLOW, NEXT_FILL, RETURNS, WIDE_FILL, look_back, next_window
from midigen.composition.table import Lane, Table
from midigen.grid import METRES
from midigen.tokenizers.grammar import FormCell
from midigen.tokenizers.spelling import read_form
from midigen.tokenizers.vocabulary import Vocabulary
from midigen.tokenizers.window import FIRST_PART, FORM, GIVEN, HARMONY, MISSING, PartHeader, Window, arrange

V = Vocabulary()
PIANO, BASS, GUITAR = FIRST_PART, FIRST_PART + 1, FIRST_PART + 2


def cell_of(kind: str, pitch: int) -> np.ndarray:
    ids = [V.id("position", 0), V.id("touch", 20 * (V.sizes["touch"] // 32)), V.id("pitch", pitch - 21)]
    return np.array(ids, dtype=np.uint16)


def table_of(bars: int, wanted: tuple[str, ...], chords: bool = True) -> Table:
    """Piano, bass and guitar in 4/4, all known but what is ``wanted``, and the chords where these are to be open."""
    kinds = ("piano", "bass", "guitar")
    zero = np.zeros(bars, dtype=np.int64)
    metres = zero + METRES.index("4/4")
    lanes = [Lane(PartHeader(kind), kind) for kind in kinds]
    table = Table(V, lanes, metres, zero + 20, zero, zero, np.zeros((3, bars), dtype=bool))
    chord = np.array([V.id("chord", 0)], dtype=np.uint16)
    for number, kind in enumerate(kinds):
        if kind in wanted:
            table.wanted[number] = True
        else:
            table.cells[FIRST_PART + number] = [cell_of(kind, 40 + 10 * number + bar % 5) for bar in range(bars)]
    table.cells[HARMONY] = [chord if chords else None] * bars
    return table


def order_of(window: Window, bar: int) -> list[str]:
    """The parts of a bar in the order in which they stand after FILL."""
    rows: list[int] = np.flatnonzero(window.status[:, bar] == MISSING).tolist()
    return [window.parts[at - FIRST_PART].kind for at in rows if at >= FIRST_PART]


@pytest.mark.parametrize("wanted", [("bass",), ("piano",), ("piano", "guitar")])
def test_known_parts_stand_beside_and_before_those_that_are_written(wanted: tuple[str, ...]) -> None:
    table = table_of(8, wanted)
    layout = next_window(table, 2048, V)
    for bar in range(8):
        known = [kind for kind in ("piano", "bass", "guitar") if kind not in wanted]
        assert order_of(layout.window, bar) == [*known, *wanted]
        assert (layout.window.status[:, bar] == MISSING).all()
    assert sorted(layout.rows) == [FORM, HARMONY, PIANO, BASS, GUITAR]
    for at, row in enumerate(layout.rows[FIRST_PART:], FIRST_PART):
        assert layout.window.parts[at - FIRST_PART] is table.lanes[row - FIRST_PART].header


def test_where_chords_are_open_known_parts_are_given_before_them() -> None:
    window = next_window(table_of(8, ("bass",), chords=False), 2048, V).window
    kinds = [part.kind for part in window.parts]
    assert (window.status[FIRST_PART + kinds.index("piano")] == GIVEN).all()
    assert (window.status[[HARMONY, FIRST_PART + kinds.index("bass")]] == MISSING).all()
    ids, learn, _ = arrange(window, V)
    pitch = np.flatnonzero((ids >= V.first["pitch"]) & (ids < V.first["pitch"] + V.sizes["pitch"]))
    assert len(pitch) and not learn[pitch].any()


def test_a_section_that_is_to_come_back_is_in_the_window() -> None:
    table = table_of(64, ())
    table.cells[FORM] = [np.array([V.id("form", 0)], dtype=np.uint16)] * 64
    table.wanted[:, 48:] = True
    for number in range(3):
        table.cells[FIRST_PART + number][48:] = [None] * 16
    window = next_window(table, 400, V, back=40)
    here = np.flatnonzero((window.window.status == GIVEN).all(axis=0)) + window.first
    assert set(range(window.fill.start - 40, window.fill.stop - 40)) & set(here.tolist())
    assert window.back == 40
    near = next_window(table, 400, V)
    assert min(np.flatnonzero((near.window.status == GIVEN).all(axis=0)) + near.first) > 20  # no room for it by itself


def begun(bars: int, written: int, notes: int = 1, longest: int = 1) -> Table:
    """A table whose first bars are written, ``notes`` in each cell and ``longest`` in the last of them."""
    table = table_of(bars, ())
    table.cells[FORM] = [np.array([V.id("form", 0)], dtype=np.uint16)] * bars
    for number, kind in enumerate(("piano", "bass", "guitar")):
        known = [np.tile(cell_of(kind, 50), notes)] * (written - 1) + [np.tile(cell_of(kind, 50), longest)]
        table.cells[FIRST_PART + number][:written] = known
    for row in table.cells:
        row[written:] = [None] * (bars - written)
    table.wanted[:, written:] = True
    return table


def test_a_window_is_wide_where_there_is_room_and_nothing_is_asked_for() -> None:
    table = begun(32, 16)
    assert next_window(table, 2048, V).fill == range(16, 16 + NEXT_FILL)
    wide = next_window(table, 2048, V, wide=True)
    assert wide.fill == range(16, 16 + WIDE_FILL)
    given = (wide.window.status[:, :16] == GIVEN).all(axis=0)
    assert given.all() and wide.first == 0
    assert next_window(begun(20, 16), 2048, V, wide=True).fill == range(16, 20)
    full = begun(32, 16, notes=9, longest=9)
    assert next_window(full, 2048, V, wide=True).fill == range(16, 24)  # what is known leaves no room for more
    known = begun(32, 16)
    known.cells[HARMONY][30] = known.cells[HARMONY][0]
    assert next_window(known, 2048, V, wide=True).fill == range(16, 24)
    asked = begun(32, 16)
    asked.follows[25] = (9, True)
    assert next_window(asked, 2048, V, wide=True).fill == range(16, 24)


def test_one_full_bar_does_not_leave_a_window_without_a_past() -> None:
    layout = next_window(begun(32, 16, notes=4, longest=20), 1300, V)
    given = np.flatnonzero((layout.window.status == GIVEN).all(axis=0)) + layout.first
    assert len(given) >= 5 and 15 in given  # with room for eight like the last it would be that one alone


def test_sections_come_back_as_often_as_in_songs() -> None:
    assert {look_back(0, luck) for luck in np.linspace(0, 1, 50, endpoint=False)} == {0}
    drawn = np.array([look_back(48, luck) for luck in np.linspace(0, 1, 20_000, endpoint=False)])
    for distance, share in RETURNS.items():
        assert np.mean(drawn == distance) * FOLLOW == pytest.approx(share, abs=1e-3)
    assert look_back(20, 0.0) == 16 and {look_back(20, luck) for luck in np.linspace(0, 1, 999)} == {0, 16, 20}


def test_the_hand_makes_a_form_follow_the_section() -> None:
    random = np.random.default_rng(0)
    present = np.ones(33, dtype=bool)
    cell = FormCell(32, present, V)
    found = []
    for _ in range(200):
        logits = random.normal(0, 1, V.size)
        Returning(24, 12.0, V).lean(logits, cell, 0)
        logits[~cell.allowed()] = -np.inf
        found.append(read_form(int(logits.argmax()), V))
    assert {distance for distance, _ in found} == {24} and {same for _, same in found} == {True, False}
