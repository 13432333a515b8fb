"""How near a piece comes to the songs that a model has learned from: the longest run that it shares with them.

A *run* is a stretch of the top line of one part (the highest note of each onset), free of transposition: it is made of
*steps*, each the interval to the next note and the distance between the two onsets on the grid. Only stretches with
:data:`DISTINCT` different steps among :data:`WINDOW` count, since everybody plays scales and repeated notes: without
such a rule more than half of real windows share a run of twelve notes with a corpus of two thousand songs.

The index holds a hash of every :data:`WINDOW` steps of every training song that are so varied, in a Bloom filter
(Bloom 1970): a set that never forgets, and now and then believes to know what it does not. A run is a chain of windows
that the index knows. The windows of a chain may come from different songs, and one in some thousands is believed
wrongly (:attr:`Index.false_positives`), so the length is an upper bound. Needs numpy alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from midigen.cells import Cells, SongView
from midigen.errors import BadFile
from midigen.grid import METRES, POSITIONS_PER_QUARTER, bar_positions
from midigen.score import Score
from midigen.tokenizers.spelling import read_notes
from midigen.tokenizers.vocabulary import LANES, Vocabulary

WINDOW = 11  # steps, twelve notes: what musicians would call a quotation
DISTINCT = 8  # different steps among them, at least
SHORTEST = WINDOW + 1  # notes of the shortest run that can be told
LARGEST_BYTES = 8_000_000
HASHES = 12
FARTHEST = 96  # positions: two bars of 4/4; all longer distances are alike
INDEX_FILE = "originality.bin"
MAGIC = b"midigen-originality-1\n"


@dataclass(frozen=True)
class Run:
    """The longest shared run: its length in ``notes`` (0 where none of :data:`SHORTEST` or more is shared), the part it
    is in, and the bar (from 0) that it begins in."""

    notes: int = 0
    part: str = ""
    bar: int = 0


@dataclass(frozen=True, eq=False)
class Index:
    """``bits`` is uint8 ``(n,)``, the filter's bits; ``windows`` how many different ones it holds."""

    bits: np.ndarray
    windows: int

    @property
    def false_positives(self) -> float:
        """How often a window that is in no song is believed to be: the share of bits set, to the power of hashes."""
        return float(np.unpackbits(self.bits).mean() ** HASHES)

    def knows(self, hashes: np.ndarray) -> np.ndarray:
        """Whether each of ``hashes`` ``(n,)`` uint64 is in the index, bool ``(n,)``."""
        found = np.ones(len(hashes), dtype=bool)
        for place in _places(hashes, 8 * len(self.bits)):
            found &= (self.bits[place >> 3] >> (place & 7).astype(np.uint8)) & 1 == 1
        return found

    def to_bytes(self) -> bytes:
        """As the bytes of a file."""
        return MAGIC + np.array([self.windows, len(self.bits)], dtype="<u8").tobytes() + self.bits.tobytes()

    @classmethod
    def from_file(cls, path: str | Path) -> Index:
        """Raises :class:`BadFile` for what is no index."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise BadFile(f"{path}: cannot be read ({error.strerror}); pack the model again") from None
        head = len(MAGIC)
        if data[:head] != MAGIC or len(data) < head + 16:
            raise BadFile(f"{path}: not an index of originality; pack the model again")
        windows, size = (int(n) for n in np.frombuffer(data, dtype="<u8", count=2, offset=head))
        if len(data) != head + 16 + size or not size:
            raise BadFile(f"{path}: cut short ({len(data)} bytes); pack the model again")
        return cls(np.frombuffer(data, dtype=np.uint8, offset=head + 16), windows)


def build_index(cells: Cells, most_bytes: int = LARGEST_BYTES) -> Index:
    """The index of every song of ``cells``, in at most ``most_bytes``."""
    found: list[np.ndarray] = []
    held: np.ndarray = np.zeros(0, dtype=np.uint64)
    for number in range(cells.songs):
        for onsets, pitches in _lines_of(cells.song(number), cells.vocabulary):
            hashes, distinct = _windows(*_steps(onsets, pitches))
            found.append(np.unique(hashes[distinct >= DISTINCT]))
        if sum(map(len, found)) > 2_000_000 or number == cells.songs - 1:
            held = np.unique(np.concatenate([held, *found]))
            found = []
    # Twelve hashes are best at 17 bits a window, where one window in four thousand is believed wrongly.
    size = min(most_bytes - len(MAGIC) - 16, max(len(held) * 24 // 8, 64))
    bits = np.zeros(size, dtype=np.uint8)
    for place in _places(held, 8 * size):
        np.bitwise_or.at(bits, place >> 3, np.left_shift(1, place & 7).astype(np.uint8))
    return Index(bits, len(held))


def index_corpus(folder: str | Path) -> Path | None:
    """Build the index of a prepared corpus and leave it in its folder; returns the file, ``None`` without songs to
    train on. One that is there and younger than the songs is kept."""
    folder = Path(folder)
    shards = list(folder.glob("train-*.npz"))
    if not shards:
        return None
    path = folder / INDEX_FILE
    if not path.is_file() or path.stat().st_mtime < max(shard.stat().st_mtime for shard in shards):
        beside = path.with_name(f"{path.name}.part")
        beside.write_bytes(build_index(Cells(folder, "train")).to_bytes())
        os.replace(beside, path)
    return path


def longest_run(score: Score, index: Index) -> Run:
    """The longest run that a part of ``score`` shares with the songs of ``index``; see the head of this module."""
    scale = POSITIONS_PER_QUARTER / score.ticks_per_quarter
    starts = np.rint(score.bar_starts() * scale).astype(np.int64)
    best = Run()
    for part in score.parts:
        if part.is_drum or not part.notes:
            continue
        onsets, pitches = top_line(np.rint(part.note_table[:, 0] * scale).astype(np.int64), part.note_table[:, 2])
        notes, first = longest_in_line(onsets, pitches, index)
        if notes > best.notes:
            bar = int(np.searchsorted(starts, onsets[first], side="right")) - 1
            best = Run(notes, part.name, bar)
    return best


def longest_in_line(onsets: np.ndarray, pitches: np.ndarray, index: Index) -> tuple[int, int]:
    """Notes of the longest run of one line (as :func:`top_line` gives it) that ``index`` knows, and where it begins; 0
    where none is shared."""
    hashes, distinct = _windows(*_steps(onsets, pitches))
    known = index.knows(hashes) & (distinct >= DISTINCT)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    best = (0, 0)
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        notes = end - begin + WINDOW
        if notes > best[0]:
            best = (notes, begin)
    return best


def _lines_of(song: SongView, vocabulary: Vocabulary) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """The top line of each pitched part of a prepared song: onsets in positions, and pitches."""
    known = [bar_positions(METRES[metre]) if metre >= 0 else 48 for metre in song.metres.tolist()]
    bar_starts = np.concatenate([[0], np.cumsum(known)])
    for row, lane in enumerate(song.lanes.tolist(), start=1):
        kind = LANES[lane][0]
        if kind == "drums":
            continue
        first, last = song.starts[row * song.bars], song.starts[(row + 1) * song.bars]
        ids = np.asarray(song.tokens[first:last]).astype(np.int64)
        edges = song.starts[row * song.bars : (row + 1) * song.bars + 1] - first
        bar = np.searchsorted(edges, np.flatnonzero(vocabulary.ends_note[ids]), side="right") - 1
        notes = read_notes(ids, kind, vocabulary)
        if len(notes) == len(bar):
            yield top_line(bar_starts[bar] + notes[:, 0], notes[:, 2])


def top_line(onsets: np.ndarray, pitches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Onsets (positions) and pitches of the highest note of each onset, in order."""
    order = np.lexsort((-pitches, onsets))
    first = np.concatenate([[True], np.diff(onsets[order]) > 0])[: len(order)]
    return onsets[order][first], pitches[order][first]


def _steps(onsets: np.ndarray, pitches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.diff(pitches).astype(np.int64), np.minimum(np.diff(onsets), FARTHEST).astype(np.int64)


def _codes(intervals: np.ndarray, distances: np.ndarray) -> np.ndarray:
    return (intervals + 128) * 128 + distances


def _windows(intervals: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hash of every :data:`WINDOW` steps, and how many of them differ."""
    codes = _codes(intervals, distances)
    if len(codes) < WINDOW:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    rows = np.lib.stride_tricks.sliding_window_view(codes, WINDOW)
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for column in range(WINDOW):
        hashes = _mixed(hashes ^ rows[:, column].astype(np.uint64))
    distinct = 1 + (np.diff(np.sort(rows, axis=1), axis=1) != 0).sum(axis=1)
    return hashes, distinct


def _mixed(values: np.ndarray) -> np.ndarray:
    """A step of SplitMix64 (Steele, Lea and Flood 2014): every bit of the result hangs on every bit of the value."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _places(hashes: np.ndarray, bits: int) -> Sequence[np.ndarray]:
    """The bits of each hash (Kirsch and Mitzenmacher 2006: two halves make any number of hashes)."""
    one, two = hashes & np.uint64(0xFFFFFFFF), (hashes >> np.uint64(32)) | np.uint64(1)
    return [((one + np.uint64(i) * two) % np.uint64(bits)).astype(np.int64) for i in range(HASHES)]
