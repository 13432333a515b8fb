"""A musician's own song as a table: parts to lanes, bars to columns, with the chords, form and keys that it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen import grid as grids
from midigen.analysis import bar_similarity, beat_chroma, estimate_chords, estimate_key, home_shift
from midigen.composition.table import Lane, Table, cell_of
from midigen.composition.wishes import Wish
from midigen.errors import BadRequest
from midigen.grid import METRES, POSITIONS_PER_QUARTER, Grid
from midigen.instruments import INSTRUMENTS
from midigen.opened import OpenedSong
from midigen.score import Note, Score, sustained
from midigen.tokenizers.spelling import spell_chords, spell_form
from midigen.tokenizers.vocabulary import Vocabulary, tempo_bin
from midigen.tokenizers.window import FIRST_PART, FORM, HARMONY, PartHeader, measure

LOCAL_BARS = 16  # to either side: how far the key of a place is heard
FULL_HARMONY = 1.5  # notes an onset: from here on the given parts say their chords themselves


@dataclass(frozen=True)
class Ruler:
    """The bars of a song: ``starts`` in ticks (one more than there are bars), metres and tempos for each."""

    starts: np.ndarray
    metres: np.ndarray
    tempos: np.ndarray
    ticks_per_quarter: int

    @property
    def bars(self) -> int:
        return len(self.metres)

    @property
    def starts_in_positions(self) -> np.ndarray:
        """As :attr:`starts`, on the grid."""
        return np.rint(self.starts * (POSITIONS_PER_QUARTER / self.ticks_per_quarter)).astype(np.int64)

    def tick(self, bar: int, position: int) -> int:
        """The tick of a grid position, which may lie beyond its bar."""
        return int(self.starts[bar]) + round(position * self.ticks_per_quarter / POSITIONS_PER_QUARTER)


def ruler_of(score: Score, more: int = 0) -> Ruler:
    """The bars of ``score`` that hold notes, from its first, and ``more`` after them."""
    last = max((note.onset_ticks for part in score.parts for note in part.notes), default=-1)
    count = int((score.bar_starts() <= last).sum()) + more if last >= 0 else more
    starts = score.bar_starts(count + 1)
    scale = POSITIONS_PER_QUARTER / score.ticks_per_quarter
    lengths = np.diff(np.rint(starts * scale))
    metres = [str(score.metre_at(int(tick))) for tick in starts[:-1]]
    known = [
        METRES.index(metre) if metre in METRES and grids.bar_positions(metre) == length else -1
        for metre, length in zip(metres, lengths, strict=True)
    ]
    tempos = np.array([score.tempos[0].qpm] * count)
    for tempo in score.tempos:
        tempos[starts[:-1] >= tempo.tick - score.ticks_per_quarter // 2] = tempo.qpm
    return Ruler(starts, np.array(known, dtype=np.int64), tempos, score.ticks_per_quarter)


@dataclass
class Reading:
    """A song as a table, and which of its parts each lane is (``None`` for a lane that is new)."""

    table: Table
    ruler: Ruler
    sources: list[int | None]
    heard: Grid  # every pitched part, also those that have no lane

    def lane_of(self, part: int) -> int:
        """The lane of a part of the song. Raises :class:`BadRequest` where it has none."""
        if part not in self.sources:
            raise BadRequest(f"part {part + 1} of the song has no place beside so many others of its kind; remove some")
        return self.sources.index(part)


def read_song(
    song: OpenedSong, vocabulary: Vocabulary, *, targets: Sequence[int] = (), added: Sequence[Wish] = (), more: int = 0
) -> Reading:
    """The table of ``song`` with everything known, ``added`` lanes open, and ``more`` open bars at its end.

    ``targets`` are parts that must have a lane, since they are to be changed. Parts that no lane is left for, and those
    of other instruments, are heard for their harmony all the same; one melody of another instrument is given the lane
    that suits it. Raises :class:`BadRequest`.
    """
    score, v = song.score, vocabulary
    ruler = ruler_of(score, more)
    if not ruler.bars:
        raise BadRequest("the song holds no notes: give one with music in it")
    edges = ruler.starts_in_positions
    scale = POSITIONS_PER_QUARTER / score.ticks_per_quarter
    places = _places(song, targets, added)
    notes = {
        number: grids.quantise(sustained(part).note_table, edges[:-1], scale, "drums" if part.is_drum else "")
        for number, part in enumerate(score.parts)
    }
    heard = _heard(song, notes, ruler)
    lanes: list[Lane] = []
    sources: list[int | None] = []
    for number, (kind, slot) in places.items():
        part = score.parts[number]
        row = INSTRUMENTS[kind]
        known = part.program if part.program in row.programs else row.default_program
        program = None if kind == "drums" else known
        lanes.append(Lane(PartHeader(kind, slot, program), part.name, part.program))
        sources.append(number)
    for wish in added:
        taken = {lane.header.slot for lane in lanes if lane.kind == wish.kind}
        slot = next(slot for slot in range(INSTRUMENTS[wish.kind].slots) if slot not in taken)
        header = PartHeader(wish.kind, slot, wish.program, wish.density, wish.polyphony)
        bounds = wish.density_bounds, wish.register_bounds, wish.polyphony_bounds
        lanes.append(Lane(header, wish.name, wish.program, wish.span, *bounds))
        sources.append(None)
    keys, shifts = _keys(heard)
    table = Table(
        vocabulary=v,
        lanes=lanes,
        metres=ruler.metres,
        tempos=np.array([tempo_bin(float(tempo)) for tempo in ruler.tempos]),
        shifts=shifts,
        keys=keys,
        wanted=np.zeros((len(lanes), ruler.bars), dtype=bool),
        ends=False,
    )
    for lane, source in enumerate(sources):
        for bar in range(ruler.bars - more):
            if source is not None:
                rows = notes[source][notes[source][:, 0] == bar][:, [1, 2, 3, 4]]
                table.cells[FIRST_PART + lane][bar] = cell_of(_in_range(rows, lanes[lane].kind), lanes[lane].kind, v)
    _hear_harmony(table, heard, ruler.bars - more)
    _hear_form(table, heard, ruler.bars - more)
    for lane, source in enumerate(sources):
        table.wanted[lane] = source is None
    table.wanted[:, ruler.bars - more :] = True
    return Reading(table, ruler, sources, heard)


def described(reading: Reading, lane: int, bars: Sequence[int]) -> None:
    """Say in the header of a lane what it plays in ``bars``: what is written anew is to go on in that way."""
    table, row = reading.table, FIRST_PART + lane
    known = [bar for bar in bars if table.cells[row][bar] is not None and len(table.cell(row, bar))]
    if known:
        header = table.lanes[lane].header
        cells = [table.at_home(row, bar, int(table.shifts[bar])) for bar in known]
        said = measure(cells, header.kind, table.vocabulary)
        table.lanes[lane].header = PartHeader(header.kind, header.slot, header.program, *said)


def notes_of(reading: Reading, lane: int, bars: Sequence[int], end_tick: int) -> list[Note]:
    """The notes of a lane in ``bars``, in ticks, each cut where its pitch is struck again and at ``end_tick``."""
    rows: list[list[int]] = []
    for bar in bars:
        notes = reading.table.notes(lane, bar)
        for (position, duration, pitch, _), velocity in zip(
            notes.tolist(), grids.velocities_of(notes).tolist(), strict=True
        ):
            onset = reading.ruler.tick(bar, position)
            until = min(reading.ruler.tick(bar, position + duration), end_tick)
            rows.append([onset, max(until - onset, 1), pitch, velocity])
    table = np.array(sorted(rows), dtype=np.int64).reshape(-1, 4)
    for pitch in np.unique(table[:, 2]):
        same = np.flatnonzero(table[:, 2] == pitch)
        table[same[:-1], 1] = np.minimum(table[same[:-1], 1], np.diff(table[same, 0]))
    return [Note(onset, pitch, duration, velocity) for onset, duration, pitch, velocity in table.tolist()]


def _places(song: OpenedSong, targets: Sequence[int], added: Sequence[Wish]) -> dict[int, tuple[str, int]]:
    """A lane for each part that has one: those to be changed first, then the fullest; a melody of another instrument
    takes what is left."""
    free = {name: list(range(row.slots)) for name, row in INSTRUMENTS.items()}
    for wish in added:
        if not free[wish.kind]:
            raise BadRequest(f"{wish.kind}: the model knows {INSTRUMENTS[wish.kind].slots} in one song; add fewer")
        free[wish.kind].pop()
    parts = song.score.parts
    order = sorted(range(len(parts)), key=lambda n: (n not in targets, -len(parts[n].notes), n))
    places: dict[int, tuple[str, int]] = {}
    strangers = []
    for number in order:
        kind = "drums" if parts[number].is_drum else parts[number].kind
        if free.get(kind):
            places[number] = (kind, free[kind].pop(0))
        elif not parts[number].is_drum:
            strangers.append(number)
    for number in strangers:
        pitches = parts[number].note_table[:, 2]
        low = float(pitches.mean()) < 45
        for kind in ("bass", "piano", "guitar") if low else ("piano", "guitar"):
            if free[kind] and number not in places:
                places[number] = (kind, free[kind].pop(0))
    missing = [number for number in targets if number not in places]
    if missing:
        raise BadRequest(
            f"part {parts[missing[0]].name!r}: the model has no lane for it beside the others; choose a piano, guitar, "
            "bass or drum part"
        )
    return {number: places[number] for number in sorted(places)}


def _heard(song: OpenedSong, notes: dict[int, np.ndarray], ruler: Ruler) -> Grid:
    """Every part as a lane of one grid: what chords, keys and form are heard from."""
    lanes = []
    for number, part in enumerate(song.score.parts):
        kind = "drums" if part.is_drum else "bass" if part.kind == "bass" else "piano"
        lanes.append(grids.Lane(kind, number, part.program, notes[number]))
    lengths = np.diff(ruler.starts_in_positions)
    return Grid(lengths, ruler.metres, ruler.tempos, tuple(lanes), 1.0)


def _keys(heard: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The key at each bar as the model knows it, and the semitones to there, from what is heard around it."""
    chroma, _, beat_bar, _ = beat_chroma(heard)
    per_bar = np.zeros((heard.bars, 12))
    np.add.at(per_bar, beat_bar, chroma)
    keys, shifts = np.zeros(heard.bars, dtype=np.int64), np.zeros(heard.bars, dtype=np.int64)
    for bar in range(heard.bars):
        near = per_bar[max(0, bar - LOCAL_BARS) : bar + LOCAL_BARS + 1].sum(axis=0)
        tonic, mode = estimate_key(near if near.any() else per_bar.sum(axis=0))
        shifts[bar] = home_shift(tonic, mode)
        keys[bar] = (tonic + shifts[bar]) % 12 + (12 if mode == "minor" else 0)
    return keys, shifts


def _hear_harmony(table: Table, heard: Grid, bars: int) -> None:
    ids, lengths = spell_chords(estimate_chords(heard), heard.bars, table.vocabulary)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for bar in range(bars):
        table.cells[HARMONY][bar] = ids[starts[bar] : starts[bar + 1]].astype(np.uint16)


def _hear_form(table: Table, heard: Grid, bars: int) -> None:
    similarity = bar_similarity(heard)
    present = np.ones(heard.bars, dtype=bool)
    for bar in range(bars):
        token = spell_form(similarity[bar], present, bar, table.vocabulary)
        table.cells[FORM][bar] = np.array([token], dtype=np.uint16)


def says_its_chords(heard: Grid, parts: Sequence[int]) -> bool:
    """Whether ``parts`` (their numbers in the song) are full enough to say their chords: a bass, or several at once."""
    onsets = notes = 0
    for lane in heard.lanes:
        if lane.slot in parts and lane.kind != "drums":
            if lane.kind == "bass" and len(parts) > 1:
                return True
            notes += len(lane.notes)
            onsets += len({(bar, position) for bar, position in lane.notes[:, :2].tolist()})
    return notes > FULL_HARMONY * max(onsets, 1) or sum(lane.slot in parts for lane in heard.lanes) > 2


def _in_range(rows: np.ndarray, kind: str) -> np.ndarray:
    """Notes moved by octaves into the range of ``kind``; what no octave brings there is left out."""
    row = INSTRUMENTS[kind]
    if row.is_drum:
        return rows[(rows[:, 2] >= row.lowest) & (rows[:, 2] <= row.highest)]
    rows = rows.copy()
    for _ in range(6):
        rows[:, 2] += 12 * (rows[:, 2] < row.lowest) - 12 * (rows[:, 2] > row.highest)
    rows = rows[np.lexsort((-rows[:, 1], rows[:, 2], rows[:, 0]))]
    same = np.zeros(len(rows), dtype=bool)
    same[1:] = (rows[1:, [0, 2]] == rows[:-1, [0, 2]]).all(axis=1)
    return rows[~same]
