"""A window of a piece as a table of cells, and the sequence that the model reads and writes.

Rows are lanes (form, harmony, then the parts in the order they are written), columns are bars. Every cell is given,
missing or absent. The sequence is ``header, given cells, FILL, missing cells in bar order, END``; every task is a
choice of which cells are missing. Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen.tokenizers.vocabulary import (
    DENSITY_EDGES,
    END,
    FILL,
    LANES,
    LOWEST_PITCH,
    MOST_BARS,
    POLYPHONY_EDGES,
    REGISTER_EDGES,
    START,
    UNSET,
    Vocabulary,
)

ABSENT, GIVEN, MISSING = 0, 1, 2
FORM, HARMONY, FIRST_PART = 0, 1, 2  # rows

# Who a token's loss belongs to.
OWNERS = ("structure", "form", "harmony", "piano", "guitar", "bass", "drums")


@dataclass(frozen=True)
class PartHeader:
    """What the header says of a part: which lane it is, and the values a user may set; ``None`` is unset."""

    kind: str
    slot: int = 0
    program: int | None = None
    density: int | None = None
    polyphony: int | None = None
    register: int | None = None


@dataclass
class Window:
    """``cells[row][bar]`` holds the ids of that cell's content; ``status`` is ``(rows, bars)`` int8.

    ``metre``, ``tempo`` and ``key`` are values of their token types or ``None`` (unset); ``opening`` says whether the
    first bar begins the piece; ``left[bar]`` counts the bars of the piece that follow that bar.
    """

    parts: Sequence[PartHeader]
    cells: list[list[np.ndarray]]
    status: np.ndarray
    left: np.ndarray
    metre: int | None = None
    tempo: int | None = None
    key: int | None = None
    opening: bool = True

    @property
    def bars(self) -> int:
        """How many bars the window spans, absent ones included."""
        return int(self.status.shape[1])


def measure(
    cells: Sequence[np.ndarray], kind: str, vocabulary: Vocabulary
) -> tuple[int | None, int | None, int | None]:
    """Density, polyphony and register bins of a part's cells; ``None`` where there is nothing to measure."""
    ids = np.concatenate(cells).astype(np.int64) if cells else np.zeros(0, dtype=np.int64)
    notes = int(vocabulary.ends_note[ids].sum())
    density = int(np.searchsorted(DENSITY_EDGES, notes / max(len(cells), 1), side="right"))
    if not notes:
        return (density if cells else None), None, None
    first = vocabulary.first["position"]
    if vocabulary.note_tokens == "joined":
        return density, None, None
    onsets = int(((ids >= first) & (ids < first + vocabulary.sizes["position"])).sum())
    polyphony = int(np.searchsorted(POLYPHONY_EDGES, notes / onsets, side="right"))
    if kind == "drums":
        return density, polyphony, None
    first = vocabulary.first["pitch"]
    pitch = ids[(ids >= first) & (ids < first + vocabulary.sizes["pitch"])] - first + LOWEST_PITCH
    return density, polyphony, int(np.searchsorted(REGISTER_EDGES, pitch.mean(), side="right"))


def header_ids(window: Window, vocabulary: Vocabulary) -> list[int]:
    """The header: metre, tempo, key, opening, number of bars, then each lane with what is said of it."""
    v = vocabulary

    def said(kind: str, value: int | None) -> int:
        return UNSET if value is None else v.id(kind, value)

    ids = [START, said("metre", window.metre), said("tempo", window.tempo), said("key", window.key)]
    ids += [v.id("opening", int(window.opening)), v.id("bars", window.bars - 1)]
    ids += [lane for row, lane in ((FORM, v.form_lane), (HARMONY, v.harmony_lane)) if window.status[row].any()]
    for part in window.parts:
        ids += [v.lane(part.kind, part.slot), said("program", part.program), said("density", part.density)]
        ids += [said("polyphony", part.polyphony), said("register", part.register)]
    return ids


def bar_ids(window: Window, bar: int, vocabulary: Vocabulary) -> list[int]:
    """What opens a bar: its number in the window and how many bars of the piece follow it."""
    return [vocabulary.id("bar", bar), vocabulary.id("left", min(int(window.left[bar]), MOST_BARS))]


def lane_id(window: Window, row: int, vocabulary: Vocabulary) -> int | None:
    """The token that opens a cell of ``row``; a form cell is one token and needs none."""
    if row == FORM:
        return None
    if row == HARMONY:
        return vocabulary.harmony_lane
    part = window.parts[row - FIRST_PART]
    return vocabulary.lane(part.kind, part.slot)


def owner_of(window: Window, row: int) -> int:
    """The index in :data:`OWNERS` of what ``row`` holds."""
    if row < FIRST_PART:
        return row + 1
    return OWNERS.index(window.parts[row - FIRST_PART].kind)


def arrange(window: Window, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The whole sequence: ``(ids uint16, learn bool, owner uint8)``, each ``(length,)``.

    ``learn`` marks tokens that bear loss: what follows FILL, and the header's metre, tempo, key, and what it says of
    the parts, where they are set, so that the model can choose them when a musician does not. ``owner`` indexes
    :data:`OWNERS`; the token that ends a cell belongs to that cell, because leaving off is part of playing.
    """
    header = header_ids(window, vocabulary)
    chosen = [i for i in (1, 2, 3) if header[i] != UNSET]
    said = ("program", "density", "polyphony", "register")
    chosen += [i for i, token in enumerate(header) if vocabulary.value(token)[0] in said]
    pieces: list[np.ndarray] = [np.array(header, dtype=np.uint16)]
    owners: list[np.ndarray] = [np.zeros(len(header), dtype=np.uint8)]

    def write(wanted: int) -> int:
        ending = 0
        for bar in range(window.bars):
            rows = np.flatnonzero(window.status[:, bar] == wanted).tolist()
            if not rows:
                continue
            opening = bar_ids(window, bar, vocabulary)
            pieces.append(np.array(opening, dtype=np.uint16))
            owners.append(np.array([ending, 0], dtype=np.uint8))

            ending = 0
            for row in rows:
                lane = lane_id(window, row, vocabulary)
                content = window.cells[row][bar]
                owner = owner_of(window, row)
                if lane is not None:
                    pieces.append(np.array([lane], dtype=np.uint16))
                    owners.append(np.array([ending], dtype=np.uint8))

                pieces.append(content)
                owners.append(np.full(len(content), owner, dtype=np.uint8))

                ending = owner if row != FORM else 0
        return ending

    write(GIVEN)
    pieces.append(np.array([FILL], dtype=np.uint16))
    owners.append(np.zeros(1, dtype=np.uint8))
    prompt = sum(len(p) for p in pieces)
    ending = write(MISSING)
    pieces.append(np.array([END], dtype=np.uint16))
    owners.append(np.array([ending], dtype=np.uint8))
    ids = np.concatenate(pieces).astype(np.uint16)
    learn = np.zeros(len(ids), dtype=bool)
    learn[prompt:] = True
    learn[chosen] = True
    return ids, learn, np.concatenate(owners)


def read_windows(ids: Sequence[int], vocabulary: Vocabulary) -> list[Window]:
    """The inverse of :func:`arrange`, for one sequence or several one after the other.

    Every cell that is there comes back with its status; ``left`` and header values too. Tokens that stand outside any
    window or bar are passed over, and a sequence that breaks off gives the cells it has.
    """
    v = vocabulary
    windows: list[Window] = []
    window: Window | None = None
    status, row, bar = GIVEN, -1, -1
    rows: dict[int, int] = {}
    content: list[int] = []

    def close() -> None:
        if window is not None and row >= 0 and bar >= 0:
            window.cells[row][bar] = np.array(content, dtype=np.uint16)
            window.status[row, bar] = status

    sequence = [int(i) for i in ids]
    at = 0
    while at < len(sequence):
        token = sequence[at]
        kind, value = v.value(token)
        if token == START:
            close()
            window, at, rows = _read_header(sequence, at, v)
            windows.append(window)
            status, row, bar, content = GIVEN, -1, -1, []
            continue
        at += 1
        if window is None:
            continue
        if token in (FILL, END):
            close()
            status, row, bar = MISSING, -1, -1
        elif kind == "bar":
            close()
            row, bar = -1, value if value < window.bars else -1
        elif kind == "left" and bar >= 0:
            window.left[bar] = value
        elif kind == "form" and bar >= 0:
            row, content = FORM, [token]
        elif kind == "lane" and bar >= 0:
            close()
            row, content = rows.get(token, -1), []
        else:
            content.append(token)
    close()
    return windows


def _read_header(sequence: list[int], at: int, v: Vocabulary) -> tuple[Window, int, dict[int, int]]:
    """Window, the index after its header, and the row of each lane token."""

    def value(index: int) -> int | None:
        return None if index >= len(sequence) or sequence[index] == UNSET else v.value(sequence[index])[1]

    metre, tempo, key, opening, last = (value(at + i) for i in range(1, 6))
    at += 6
    rows = {v.form_lane: FORM, v.harmony_lane: HARMONY}
    parts: list[PartHeader] = []
    lanes = {v.lane(kind, slot): (kind, slot) for kind, slot in LANES}
    while at < len(sequence) and v.value(sequence[at])[0] == "lane":
        token = sequence[at]
        at += 1
        if token in lanes:
            kind, slot = lanes[token]
            rows[token] = FIRST_PART + len(parts)
            parts.append(PartHeader(kind, slot, *(value(at + i) for i in range(4))))
            at += 4
    bars = (last or 0) + 1
    nothing = np.zeros(0, dtype=np.uint16)
    window = Window(
        parts=parts,
        cells=[[nothing] * bars for _ in range(FIRST_PART + len(parts))],
        status=np.full((FIRST_PART + len(parts), bars), ABSENT, dtype=np.int8),
        left=np.zeros(bars, dtype=np.int64),
        metre=metre,
        tempo=tempo,
        key=key,
        opening=bool(opening),
    )
    return window, at, rows
