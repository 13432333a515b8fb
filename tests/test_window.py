"""Windows: laid out as one sequence and read back, and nothing before FILL that tells of what comes after it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.grid import DURATIONS
from midigen.tokenizers.spelling import spell_notes
from midigen.tokenizers.vocabulary import END, FILL, LANES, START, UNSET, Vocabulary
from midigen.tokenizers.window import (
    ABSENT,
    FIRST_PART,
    FORM,
    GIVEN,
    HARMONY,
    MISSING,
    OWNERS,
    PartHeader,
    Window,
    arrange,
    measure,
    read_windows,
)

V = Vocabulary()


def some_window(random: np.random.Generator, bars: int, lanes: list[tuple[str, int]]) -> Window:
    """Cells that are there have random content, often none; header values are set or unset by chance."""
    rows = FIRST_PART + len(lanes)
    status = random.integers(0, 3, (rows, bars)).astype(np.int8)
    nothing = np.zeros(0, dtype=np.uint16)
    cells = [[nothing] * bars for _ in range(rows)]
    for row, bar in np.argwhere(status != ABSENT).tolist():
        if row == FORM:
            ids = [int(random.choice(V.ids("form")))]
        elif row == HARMONY:
            ids = random.choice(V.ids("chord"), random.integers(1, 3)).tolist()
        else:
            kind = lanes[row - FIRST_PART][0]
            count = int(random.integers(0, 5))
            places = np.sort(random.choice(48 * 20, count, replace=False))
            notes = np.stack(
                [0 * places, places // 20, np.full(count, 1 if kind == "drums" else int(random.choice(DURATIONS))),
                 40 + places % 20, random.integers(0, 32, count)], axis=1,
            )  # fmt: skip
            ids = spell_notes(notes, kind, 1, V)[0].tolist()
        cells[row][bar] = np.array(ids, dtype=np.uint16)

    def maybe(size: int) -> int | None:
        return int(random.integers(size)) if random.random() < 0.7 else None

    parts = [
        PartHeader(kind, slot, maybe(128), maybe(V.sizes["density"]), maybe(V.sizes["polyphony"]), maybe(9))
        for kind, slot in lanes
    ]
    return Window(
        parts, cells, status, random.integers(0, 65, bars),
        metre=maybe(10), tempo=maybe(32), key=maybe(24), opening=bool(random.integers(2)),
    )  # fmt: skip


windows = st.builds(
    lambda seed, bars, lanes: some_window(np.random.default_rng(seed), bars, lanes),
    st.integers(0, 2**32),
    st.integers(1, 64),
    st.lists(st.sampled_from(LANES), min_size=1, unique=True),
)


def same(window: Window, other: Window) -> None:
    assert other.parts == list(window.parts)
    for name in ("metre", "tempo", "key", "opening", "bars"):
        assert getattr(other, name) == getattr(window, name)
    np.testing.assert_array_equal(other.status, window.status)
    there = (window.status != ABSENT).any(axis=0)
    np.testing.assert_array_equal(other.left[there], window.left[there])
    for row, bar in np.argwhere(window.status != ABSENT).tolist():
        np.testing.assert_array_equal(other.cells[row][bar], window.cells[row][bar])


@settings(max_examples=30)
@given(windows)
def test_a_window_is_read_back_from_its_sequence(window: Window) -> None:
    ids, _, _ = arrange(window, V)
    (back,) = read_windows(ids.tolist(), V)
    same(window, back)
    np.testing.assert_array_equal(arrange(back, V)[0], ids)


@settings(max_examples=30)
@given(windows, windows)
def test_windows_may_follow_one_another(first: Window, second: Window) -> None:
    ids = [*arrange(first, V)[0].tolist(), *arrange(second, V)[0].tolist()]
    back = read_windows(ids, V)
    assert len(back) == 2
    same(first, back[0])
    same(second, back[1])


@settings(max_examples=30)
@given(windows)
def test_loss_is_borne_by_what_follows_fill_and_by_what_the_header_says(window: Window) -> None:
    ids, learn, owner = arrange(window, V)
    assert ids[0] == START and ids[-1] == END and len(ids) == len(learn) == len(owner)
    (fill,) = np.flatnonzero(ids == FILL)
    assert learn[fill + 1 :].all()
    before = np.flatnonzero(learn[: fill + 1])
    kinds = [V.value(t)[0] for t in ids[before].tolist()]
    said = [k for k in ("metre", "tempo", "key") if getattr(window, k) is not None]
    for part in window.parts:
        said += [k for k in ("program", "density", "polyphony", "register") if getattr(part, k) is not None]
    assert kinds == said
    assert UNSET not in ids[before]
    assert not owner[: fill + 1][learn[: fill + 1]].any()  # the header is structure


@settings(max_examples=30)
@given(windows)
def test_missing_cells_come_in_order_of_bars_and_lanes(window: Window) -> None:
    ids, _, _ = arrange(window, V)
    tail = ids[int(np.flatnonzero(ids == FILL)[0]) + 1 :].tolist()
    bars = [V.value(t)[1] for t in tail if V.value(t)[0] == "bar"]
    assert bars == np.flatnonzero((window.status == MISSING).any(axis=0)).tolist()
    lanes = [V.harmony_lane, *(V.lane(p.kind, p.slot) for p in window.parts)]
    expected = [
        lanes[row - 1] for bar in bars for row in np.flatnonzero(window.status[:, bar] == MISSING) if row != FORM
    ]
    assert [t for t in tail if V.value(t)[0] == "lane"] == expected


def test_a_token_that_ends_a_cell_belongs_to_that_cell() -> None:
    piano, bass = ([V.id("position", 0), V.id("touch", 5), V.id("pitch", p)] for p in (40, 20))
    cells = [
        [np.array(c, dtype=np.uint16) for c in row]
        for row in ([[V.id("form", 0)]] * 2, [[V.chord(0, "")]] * 2, [piano, piano], [[], bass])
    ]
    window = Window(
        [PartHeader("piano"), PartHeader("bass")], cells, np.full((4, 2), MISSING, np.int8), np.array([1, 0])
    )
    ids, _, owner = arrange(window, V)
    fill = ids.tolist().index(FILL)
    said = [
        f"{V.name(t)}:{OWNERS[o]}" for t, o in zip(ids[fill + 1 :].tolist(), owner[fill + 1 :].tolist(), strict=True)
    ]
    harmony, play, low = V.name(V.harmony_lane), V.name(V.lane("piano", 0)), V.name(V.lane("bass", 0))
    one = [
        "Form_0:form", f"{harmony}:structure", f"{V.name(V.chord(0, ''))}:harmony", f"{play}:harmony",
        "Position_0:piano", "Touch_5:piano", "Pitch_40:piano", f"{low}:piano",
    ]  # fmt: skip
    assert said == [
        "Bar_0:structure", "Left_1:structure", *one,
        "Bar_1:bass", "Left_0:structure", *one, "Position_0:bass", "Touch_5:bass", "Pitch_20:bass", "END_None:bass",
    ]  # fmt: skip


def test_a_sequence_that_breaks_off_gives_what_it_has() -> None:
    window = some_window(np.random.default_rng(5), 8, [("piano", 0), ("bass", 0)])
    ids = arrange(window, V)[0].tolist()
    for stop in range(len(ids)):
        for back in read_windows(ids[:stop], V):
            assert (back.status[:, : window.bars] <= 2).all()
    (back,) = read_windows(ids[:-1], V)
    same(window, back)
    assert read_windows([], V) == [] and read_windows([FILL, V.id("bar", 3), 70], V) == []


@given(st.lists(st.integers(0, V.size - 1), max_size=60), st.integers(0, 3))
def test_any_ids_can_be_read(noise: list[int], at: int) -> None:
    window = some_window(np.random.default_rng(at), 2, [("guitar", 0)])
    ids = arrange(window, V)[0].tolist()
    for back in read_windows([*ids[: 7 + 4 * at], *noise, *ids[7 + 4 * at :]], V):
        assert back.status.shape == (FIRST_PART + len(back.parts), back.bars)


def test_cells_are_measured() -> None:
    chord = np.array([[0, p, 12, pitch, 9] for p in (0, 12) for pitch in (60, 64, 67)])
    ids, _ = spell_notes(chord, "piano", 1, V)
    density, polyphony, register = measure([ids, ids[:0]], "piano", V)  # three notes a bar, three an onset, mean 63.7
    assert (density, polyphony, register) == (3, 4, 5)
    assert measure([], "piano", V) == (None, None, None)
    assert measure([ids[:0]], "bass", V) == (0, None, None)
    hits, _ = spell_notes(np.array([[0, p, 1, 36, 20] for p in range(0, 48, 12)]), "drums", 1, V)
    assert measure([hits], "drums", V) == (3, 0, None)


@pytest.mark.parametrize("status", [GIVEN, MISSING])
def test_lanes_of_form_and_harmony_are_announced_where_they_are_there(status: int) -> None:
    window = some_window(np.random.default_rng(0), 3, [("piano", 0)])
    window.status[FORM] = ABSENT
    window.status[HARMONY] = status
    ids = arrange(window, V)[0].tolist()
    assert V.form_lane not in ids and ids[6] == V.harmony_lane
