"""The cells of a prepared corpus on disk, memory-mapped. Needs numpy alone."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from midigen.analysis import FORM_DISTANCES
from midigen.errors import CorpusError
from midigen.grid import METRES
from midigen.tokenizers.vocabulary import LANES, TEMPO_EDGES, Vocabulary

PER_TOKEN = ("tokens",)
PER_CELL = ("lengths",)
PER_LANE = ("lanes", "programs")
PER_BAR = ("metres", "tempos", "similarity", "chroma")
PER_SONG = ("song_bars", "song_lanes", "song_tokens", "song_weight")


class Cells:
    """A prepared corpus, memory-mapped: one split.

    The compressed shards of ``folder`` are unpacked beside themselves once, under ``folder/cells``. A shard that
    cannot be read is named in a warning and left out. Raises :class:`CorpusError`.
    """

    def __init__(self, folder: str | Path, split: str) -> None:
        self.folder = Path(folder)
        spec = self.folder / "corpus.json"
        if not spec.is_file():
            raise CorpusError(f"{folder}: not a prepared corpus (no corpus.json); run midigen prepare first")
        try:
            table = json.loads(spec.read_text(encoding="utf-8"))["vocabulary"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorpusError(f"{spec}: cannot be read ({type(error).__name__}); prepare the corpus again") from None
        self.vocabulary = Vocabulary.from_spec(table)
        shards = sorted(self.folder.glob(f"{split}-*.npz"))
        if not shards:
            raise CorpusError(f"{folder}: no {split} shard; prepare again with songs for it")
        cells = self.folder / "cells" / split
        mark = [[s.name, s.stat().st_size, s.stat().st_mtime_ns] for s in shards]
        done = cells / "shards.json"
        if not _says(done, mark):
            left_out = unpack(shards, cells, self.vocabulary)
            # Shards that were left out are not marked as done: they are tried again, and named again, next time.
            beside = done.with_name(f"{done.name}.{os.getpid()}")
            beside.write_text(json.dumps([m for m in mark if m[0] not in left_out]))
            os.replace(beside, done)
        try:
            for key in PER_TOKEN + PER_CELL + PER_LANE + PER_BAR + PER_SONG:
                setattr(self, key, np.load(cells / f"{key}.npy", mmap_mode="r"))
        except (OSError, ValueError, EOFError) as error:
            reason = type(error).__name__
            raise CorpusError(f"{cells}: cannot be read ({reason}); delete it, and it is unpacked again") from None
        self.songs = len(self.song_bars)
        if not self.songs:
            raise CorpusError(f"{folder}: the {split} split holds no song; prepare again with more songs")
        cells_of = self.song_bars.astype(np.int64) * (self.song_lanes + 1)
        self._first_bar, self._first_lane, self._first_cell, self._first_token = (
            np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
            for counts in (self.song_bars, self.song_lanes, cells_of, self.song_tokens)
        )
        # A song's chance to be drawn grows with its length and its weight.
        self._chance = np.cumsum(self.song_bars * self.song_weight, dtype=np.float64)
        if not self._chance[-1] > 0:
            raise CorpusError(f"{folder}: every song of the {split} split has the weight 0; prepare again with others")

    tokens: np.ndarray
    lengths: np.ndarray
    lanes: np.ndarray
    programs: np.ndarray
    metres: np.ndarray
    tempos: np.ndarray
    similarity: np.ndarray
    chroma: np.ndarray
    song_bars: np.ndarray
    song_lanes: np.ndarray
    song_tokens: np.ndarray
    song_weight: np.ndarray

    def draw(self, random: np.random.Generator) -> int:
        """The number of a song."""
        return int(np.searchsorted(self._chance, random.random() * self._chance[-1], side="right"))

    def song(self, number: int) -> SongView:
        bars, lanes = int(self.song_bars[number]), int(self.song_lanes[number])
        bar, lane, cell = self._first_bar[number], self._first_lane[number], self._first_cell[number]
        token = int(self._first_token[number])
        lengths = np.asarray(self.lengths[cell : cell + bars * (lanes + 1)]).astype(np.int64).reshape(lanes + 1, bars)
        return SongView(
            tokens=self.tokens[token : token + int(self.song_tokens[number])],
            lengths=lengths,
            starts=np.concatenate([[0], np.cumsum(lengths.ravel())]),
            lanes=self.lanes[lane : lane + lanes],
            programs=self.programs[lane : lane + lanes],
            metres=self.metres[bar : bar + bars],
            tempos=self.tempos[bar : bar + bars],
            similarity=self.similarity[bar : bar + bars],
            chroma=self.chroma[bar : bar + bars],
        )


def _says(done: Path, mark: list[list[Any]]) -> bool:
    """Whether the file ``done`` holds ``mark``."""
    try:
        return bool(json.loads(done.read_text(encoding="utf-8")) == mark)
    except (OSError, ValueError, RecursionError):
        return False


def unpack(shards: list[Path], cells: Path, vocabulary: Vocabulary) -> set[str]:
    """Write the arrays of compressed shards as plain ``.npy`` files that can be memory-mapped, a shard at a time.

    Every file is written beside and renamed, so that a run that has mapped the old one, or another process that
    unpacks the same shards, is not disturbed. Returns the names of the shards that were left out.
    """
    cells.mkdir(parents=True, exist_ok=True)
    keys = PER_TOKEN + PER_CELL + PER_LANE + PER_BAR + PER_SONG
    good: list[tuple[Path, dict[str, tuple[tuple[int, ...], Any]]]] = []
    for shard in shards:
        try:
            with open(shard, "rb") as file, np.load(file) as arrays:
                read = {key: arrays[key] for key in keys}
            check_shard(read, vocabulary)
            shapes = {key: (array.shape, array.dtype) for key, array in read.items()}
        except Exception as error:  # zip, zlib, key and value errors: whatever is wrong, the others can still teach
            why = " ".join(str(error).split())[:200]
            warnings.warn(f"{shard.name}: corrupt shard left out ({type(error).__name__}: {why})", stacklevel=2)
            continue
        good.append((shard, shapes))
    if not good:
        raise CorpusError(f"{cells.parent.parent}: no shard can be read; prepare the corpus again")
    whole = {}
    beside = {key: cells / f"{key}.npy.{os.getpid()}" for key in keys}
    for key in keys:
        shape, dtype = good[0][1][key]
        rows = sum(shapes[key][0][0] for _, shapes in good)
        whole[key] = np.lib.format.open_memmap(beside[key], mode="w+", dtype=dtype, shape=(rows, *shape[1:]))
    at = dict.fromkeys(keys, 0)
    for shard, _ in good:
        with open(shard, "rb") as file, np.load(file) as arrays:
            for key in keys:
                values = arrays[key]
                whole[key][at[key] : at[key] + len(values)] = values
                at[key] += len(values)
    for key, array in whole.items():
        array.flush()
        os.replace(beside[key], cells / f"{key}.npy")
    return {shard.name for shard in shards} - {shard.name for shard, _ in good}


def check_shard(arrays: dict[str, np.ndarray], vocabulary: Vocabulary) -> None:
    """Raise :class:`ValueError` where the arrays of a shard do not fit each other, or hold what nothing stands for."""
    within = {
        "tokens": (0, vocabulary.size - 1), "lengths": (0, np.inf), "lanes": (0, len(LANES) - 1), "programs": (0, 127),
        "metres": (-1, len(METRES) - 1), "tempos": (0, len(TEMPO_EDGES)), "similarity": (0, 100), "chroma": (0, np.inf),
        "song_bars": (1, np.inf), "song_lanes": (1, np.inf), "song_tokens": (0, np.inf), "song_weight": (0, 1e6),
    }  # fmt: skip
    columns = {"similarity": len(FORM_DISTANCES), "chroma": 12}
    for key, (lowest, highest) in within.items():
        values = arrays[key]
        if values.shape[1:] != ((columns[key],) if key in columns else ()) or values.ndim == 0:
            raise ValueError(f"{key} has the shape {values.shape}")
        if values.dtype.kind not in ("f" if key == "song_weight" else "iu"):
            raise ValueError(f"{key} holds {values.dtype}")
        if values.size and not (values.min() >= lowest and values.max() <= highest):
            raise ValueError(f"{key} holds {values.min()} to {values.max()}, not {lowest} to {highest}")
    bars, lanes, tokens = (arrays[key].astype(np.int64) for key in ("song_bars", "song_lanes", "song_tokens"))
    if not len(bars) == len(lanes) == len(tokens) == len(arrays["song_weight"]):
        raise ValueError("its songs are not told alike")
    cells = bars * (lanes + 1)
    for keys, counts in ((PER_TOKEN, tokens), (PER_CELL, cells), (PER_LANE, lanes), (PER_BAR, bars)):
        for key in keys:
            if len(arrays[key]) != counts.sum():
                raise ValueError(f"{key} has {len(arrays[key])} rows, its songs {counts.sum()}")
    edges = np.concatenate([[0], np.cumsum(arrays["lengths"], dtype=np.int64)])[np.cumsum(cells)]
    if not np.array_equal(edges, np.cumsum(tokens)):
        raise ValueError("the lengths of its cells are not those of its songs")


@dataclass(frozen=True)
class SongView:
    """One song of a :class:`Cells`; the fields are those of :class:`midigen.tokenizers.encoding.Song`."""

    tokens: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray
    lanes: np.ndarray
    programs: np.ndarray
    metres: np.ndarray
    tempos: np.ndarray
    similarity: np.ndarray
    chroma: np.ndarray

    @property
    def bars(self) -> int:
        return len(self.metres)

    def cell(self, row: int, bar: int) -> np.ndarray:
        """The ids of lane ``row`` (0 harmony, 1 the first part ...) in ``bar``."""
        at = row * self.bars + bar
        return self.tokens[self.starts[at] : self.starts[at + 1]]
