"""A folder or archive of songs to cells on disk: what is kept, what is refused and why, and the split.

The work goes in two steps, so that it can be stopped at any time: files are read in parallel, a chunk at a time, and
each chunk is kept under ``chunks/``; then twins are found, the songs are split, and the tokens are packed into
compressed shards that can be carried to a machine with nothing but numpy and torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from midigen.errors import BadRequest, CorpusError, MidigenError
from midigen.fingerprints import find_copies, find_twins, sketch
from midigen.grid import METRES, Grid, to_grid
from midigen.midi import read_midi
from midigen.originality import index_corpus
from midigen.orphans import end_with_parent
from midigen.tokenizers.encoding import encode, round_trips
from midigen.tokenizers.vocabulary import Vocabulary

ENDINGS = (".mid", ".midi", ".kar", ".rmi", ".smf")
ARCHIVES = (".tar", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".zip")
CHUNK = 256  # files
SHARD = 1024  # songs
FEWEST_BARS = 8
FEWEST_NOTES = 32  # in each of at least two parts
FEWEST_ALIGNED = 0.8  # share of onsets on sixteenths and eighth triplets
LARGEST_FILE = 8 << 20  # bytes; a song of an hour has under one million
OTHER_METRE = "metre: under 8 bars in a metre the model knows"
ARRAYS = ("tokens", "lengths", "lanes", "programs", "metres", "tempos", "similarity", "chroma")


@dataclass(frozen=True)
class Report:
    """What became of a corpus: songs kept by split, files refused by reason, and where the table is."""

    kept: dict[str, int]
    refused: dict[str, int]
    table: Path
    shards: int
    notes: int
    tokens: int


def find_files(sources: Sequence[str | Path]) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """``(source, name, read)`` of every MIDI file in folders, archives and single files, in a fixed order.

    ``read`` must be called before the next item is asked for: archives are streams. Raises :class:`CorpusError`.
    """
    for source in map(Path, sources):
        label = _printable(source.name or source.resolve().name)
        if source.is_dir():
            inside = sorted(p for p in source.rglob("*") if p.is_file())
            for path in inside:
                if path.name.lower().endswith(ENDINGS):
                    yield label, _printable(str(path.relative_to(source))), partial(_read_file, path)
                elif path.name.lower().endswith(ARCHIVES):
                    yield from _archived(path, _printable(path.name))
        elif source.name.lower().endswith(ARCHIVES) and source.is_file():
            yield from _archived(source, label)
        elif source.is_file():
            yield label, label, partial(_read_file, source)
        else:
            raise CorpusError(f"{source}: no such folder or archive; give folders, .tar.xz, .tar.gz or .zip files")


def _archived(path: Path, label: str) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    with _naming(path):
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if info.filename.lower().endswith(ENDINGS) and not info.is_dir():
                        yield label, _printable(info.filename), partial(_read_member, path, archive.open, info)
        else:
            with tarfile.open(path, "r|*") as stream:
                for member in stream:
                    if member.isfile() and member.name.lower().endswith(ENDINGS):
                        yield label, _printable(member.name), partial(_read_member, path, stream.extractfile, member)


@contextmanager
def _naming(archive: Path) -> Iterator[None]:
    """Whatever is wrong with ``archive`` is said in one line; the libraries have a dozen kinds of errors."""
    try:
        yield
    except CorpusError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorpusError(f"{archive}: the archive cannot be read ({reason}); fetch or pack it again") from None


def _read_member(path: Path, open_member: Callable[[Any], Any], member: Any) -> bytes:
    # Here, and not where the archive is walked: a member is read while the walk waits.
    with _naming(path), open_member(member) as file:
        data: bytes = file.read(LARGEST_FILE + 1)  # enough to see that it is too large
    return data


def _read_file(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError:  # one file that may not be read must not stop thousands; the table names it
        return b""


def _printable(name: str) -> str:
    """``name`` as it can stand in a table: no control characters, and what is not UTF-8 replaced."""
    return "".join(c if c >= " " else "?" for c in name.encode("utf-8", "replace").decode("utf-8"))


def refusal(grid: Grid) -> str | None:
    """Why a song cannot teach, or ``None``: the first reason that holds."""
    playing = [lane for lane in grid.lanes if lane.kind != "drums" and len(lane.notes) >= FEWEST_NOTES]
    if not playing:
        return "empty parts: no piano, guitar or bass with 32 notes"
    if len({lane.kind for lane in playing}) < 2:
        return "one part only: a band needs two of piano, guitar and bass"
    if grid.alignment < FEWEST_ALIGNED:
        return "no usable bar grid: onsets off the sixteenths and triplets"
    if (grid.metres >= 0).sum() < FEWEST_BARS:
        short = grid.bars < FEWEST_BARS
        return "too short: under 8 bars" if short else OTHER_METRE
    return None


def read_song(name: str, data: bytes, vocabulary: Vocabulary) -> tuple[dict[str, object], dict[str, np.ndarray] | None]:
    """One file to a row of the table and, where it is kept, its arrays."""
    row: dict[str, object] = {"file": name, "reason": "", "bars": 0, "notes": 0, "alignment": 0.0, "velocities": 0}
    if not data or len(data) > LARGEST_FILE:
        row["reason"] = f"too large: over {LARGEST_FILE >> 20} MiB" if data else "unreadable: empty or locked"
        return row, None
    try:
        score = read_midi(data, name)
        if not any(part.notes for part in score.parts):
            row["reason"] = "no notes"
            return row, None
        if int(score.seconds(score.end_ticks)) > 3600 or len(score.bar_starts()) > 2000:
            row["reason"] = "too long: over an hour or 2,000 bars"
            return row, None
        grid = to_grid(score)
    except MidigenError as error:
        row["reason"] = "unreadable: " + str(error).removeprefix(f"{name}: ").split("(")[0].split(";")[0].strip()
        return row, None
    row |= {"bars": grid.bars, "alignment": round(grid.alignment, 3), "notes": sum(len(x.notes) for x in grid.lanes)}
    reason = refusal(grid)
    if reason:
        # Bars in a metre without tokens are left empty, so that they look like silence by now.
        known = [str(score.metre_at(int(tick))) in METRES for tick in score.bar_starts()]
        row["reason"] = OTHER_METRE if np.mean(known) < 0.5 else reason
        return row, None
    velocities = {v for part in score.parts if part.kind != "other" for v in {n.velocity for n in part.notes}}
    row["velocities"] = len(velocities)
    song = encode(grid, vocabulary)
    if not round_trips(grid, song, vocabulary):
        row["reason"] = "does not come back from its tokens unchanged"
        return row, None
    arrays = {key: getattr(song, key) for key in ARRAYS}
    arrays["sketch"] = sketch(grid)
    return row, arrays


def _read_chunk(files: list[tuple[str, str, bytes]], note_tokens: str, path: str) -> int:
    """Read one chunk of files and write it to ``path``; runs in a worker process."""
    vocabulary = Vocabulary(note_tokens)
    rows, arrays = [], {}
    for number, (source, name, data) in enumerate(files):
        try:
            row, song = read_song(name, data, vocabulary)
        except Exception as error:  # one odd file must not stop thousands; the table names it
            row, song = {"file": name, "reason": f"unreadable: {type(error).__name__} {error}"[:160]}, None
        rows.append({"source": source, **row})
        for key, value in (song or {}).items():
            arrays[f"{number}.{key}"] = value
    arrays["rows"] = np.frombuffer(json.dumps(rows).encode(), dtype=np.uint8)
    beside = path + ".part"
    with open(beside, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    os.replace(beside, path)
    return len(files)


def prepare(
    sources: Sequence[str | Path],
    output: str | Path,
    *,
    validation: Sequence[str | Path] = (),
    validation_share: float = 0.02,
    weights: dict[str, float] | None = None,
    note_tokens: str = "running",
    jobs: int | None = None,
    on_files: Callable[[int], None] | None = None,
) -> Report:
    """Read ``sources`` (folders or archives), refuse what cannot teach, split by song and write cells and tokens.

    ``validation`` are sources whose songs are all validation; without any, ``validation_share`` of the songs are drawn
    by a hash of their name. ``weights`` maps a source, or the beginning of a file name up to ``__``, to how often its
    songs are drawn (1 is usual). ``on_files(n)`` is told how many files are done. Run again, it goes on where it
    stopped. Raises :class:`CorpusError` or :class:`BadRequest`.
    """
    if not 0 <= validation_share < 1:
        raise BadRequest(f"validation share {validation_share}: must be from 0 up to, not including, 1")
    output = Path(output)
    chunks = output / "chunks"
    if output.is_dir() and any(output.iterdir()) and not chunks.is_dir():
        raise CorpusError(f"{output}: holds something that midigen prepare did not write; choose a new folder")
    if next(find_files([*sources, *validation]), None) is None:
        raise CorpusError(
            f"{', '.join(map(str, sources))}: no MIDI file found; give folders or archives with .mid files"
        )
    chunks.mkdir(parents=True, exist_ok=True)
    jobs = jobs or os.cpu_count() or 1
    paths: list[tuple[Path, str]] = []
    asked: set[Path] = set()
    done = 0
    # A fresh interpreter each: forking a process whose libraries run threads may hang.
    with _one_thread_each(), ProcessPoolExecutor(jobs, get_context("spawn"), initializer=end_with_parent) as pool:
        running: deque[Future[int]] = deque()
        try:
            for split, chunk in _chunked(sources, validation):
                mark = hashlib.sha256(note_tokens.encode())
                for source, name, data in chunk:
                    mark.update(f"{source}\0{name}\0{len(data)}\0{zlib.crc32(data)}\0".encode())
                path = chunks / f"{mark.hexdigest()[:16]}.npz"
                paths.append((path, split))
                if path.exists() or path in asked:  # the same files may be given twice
                    done += len(chunk)
                else:
                    running.append(pool.submit(_read_chunk, chunk, note_tokens, str(path)))
                    asked.add(path)
                while len(running) > 2 * jobs:  # what bounds the memory: chunks in flight
                    done += _result(running.popleft())
                if on_files:
                    on_files(done)
            for future in running:
                done += _result(future)
                if on_files:
                    on_files(done)
        except BaseException:  # interrupted: what runs is finished, what waits is for another time
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    report = _pack(output, paths, validation_share if not validation else 0.0, weights or {}, note_tokens)
    index_corpus(output)  # what a piece is compared with, to tell how near it comes to these songs
    return report


def _result(future: Future[int]) -> int:
    try:
        return future.result()
    except BrokenProcessPool:
        raise CorpusError(
            "a process that read files has died, perhaps for want of memory; run again, with fewer --jobs"
        ) from None


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Tell numpy in processes started meanwhile to use one thread: pools of threads would wait for each other."""
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _chunked(
    sources: Sequence[str | Path], validation: Sequence[str | Path]
) -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    # Validation first: where two songs are twins, the one met first is kept.
    for split, group in (("validation", validation), ("train", sources)):
        chunk: list[tuple[str, str, bytes]] = []
        for source, name, read in find_files(group):
            chunk.append((source, name, read()))
            if len(chunk) == CHUNK:
                yield split, chunk
                chunk = []
        if chunk:
            yield split, chunk


def _pack(
    output: Path, paths: list[tuple[Path, str]], share: float, weights: dict[str, float], note_tokens: str
) -> Report:
    rows: list[dict[str, object]] = []
    sketches: list[np.ndarray] = []
    contents: list[bytes] = []
    places: list[tuple[Path, int, int]] = []  # chunk, number in the chunk, row
    spec_path = output / "corpus.json"
    spec_path.unlink(missing_ok=True)  # written last: a folder without it is not taken for a corpus
    for path, split in paths:
        with _opened(path) as chunk:
            for number, row in enumerate(json.loads(bytes(chunk["rows"]))):
                row["split"] = ""
                if not row["reason"]:
                    row["split"] = "validation" if _lot(row) < share else split
                    sketches.append(chunk[f"{number}.sketch"])
                    contents.append(hashlib.sha256(chunk[f"{number}.tokens"].tobytes()).digest())
                    places.append((path, number, len(rows)))
                rows.append(row)
    kept_rows = [rows[r] for _, _, r in places]
    if share and len(kept_rows) > 1 and all(row["split"] == "train" for row in kept_rows):
        min(kept_rows, key=_lot)["split"] = "validation"  # a small folder, too, must be fit to train on
    order = sorted(range(len(places)), key=lambda i: rows[places[i][2]]["split"] != "validation")
    pairs = find_twins([sketches[i] for i in order]) + find_copies([contents[i] for i in order])
    for later, earlier in pairs:
        mine, other = rows[places[order[later]][2]], rows[places[order[earlier]][2]]
        if not mine["reason"] and not other["reason"]:
            mine["reason"] = f"twin of {other['file']}"
            mine["split"] = ""
    for row in rows:
        row["weight"] = _weight(row, weights)
    table = output / "table.tsv"
    columns = ("source", "file", "split", "reason", "bars", "notes", "alignment", "velocities", "weight")
    lines = ["\t".join(columns)] + ["\t".join(str(row.get(c, "")) for c in columns) for row in rows]
    _write_text(table, "\n".join(lines) + "\n")
    shards, tokens = 0, 0
    for old in output.glob("*-[0-9][0-9][0-9][0-9].npz"):
        old.unlink()
    for split in ("validation", "train"):
        members = [(path, number, rows[r]) for path, number, r in places if rows[r]["split"] == split]
        for first in range(0, len(members), SHARD):
            tokens += _write_shard(output / f"{split}-{first // SHARD:04d}.npz", members[first : first + SHARD])
            shards += 1
    kept = Counter(str(row["split"]) for row in rows if not row["reason"])
    refused = Counter(str(row["reason"]) for row in rows if row["reason"] and not str(row["reason"]).startswith("twin"))
    twins = sum(str(row["reason"]).startswith("twin") for row in rows)
    refused.update({"twin": twins} if twins else {})
    notes = sum(int(str(row["notes"])) for row in rows if not row["reason"])
    drawn = [row for row in rows if not row["reason"] and float(str(row["weight"])) > 0]
    spec = {
        "format": 1,
        "vocabulary": Vocabulary(note_tokens).to_spec(),
        "songs": dict(Counter(str(row["split"]) for row in drawn)),
        "sources": dict(Counter(str(row["source"]) for row in drawn)),
        "refused": dict(refused.most_common()),
        "notes": notes,
        "tokens": tokens,
    }
    _write_text(spec_path, json.dumps(spec, indent=1) + "\n")
    return Report(dict(kept), dict(refused.most_common()), table, shards, notes, tokens)


def _lot(row: dict[str, object]) -> float:
    """A number from 0 up to 1 that depends on the file's name alone."""
    return zlib.crc32(str(row["file"]).encode()) / 2**32


@contextmanager
def _opened(chunk: Path) -> Iterator[Any]:
    try:
        with open(chunk, "rb") as file, np.load(file) as arrays:
            yield arrays
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        raise CorpusError(f"{chunk}: is damaged; delete it and prepare again") from None


def _weight(row: dict[str, object], weights: dict[str, float]) -> float:
    """How often a song is drawn: by its source, half where it is loosely aligned or has no dynamics to teach."""
    name = Path(str(row["file"])).name
    weight = weights.get(str(row["source"]), 1.0) * weights.get(name.split("__")[0], 1.0)
    if float(str(row.get("alignment", 0))) < 0.9:
        weight *= 0.5
    if int(str(row.get("velocities", 0))) <= 2:
        weight *= 0.5
    return round(weight, 4)


def _write_shard(path: Path, members: list[tuple[Path, int, dict[str, object]]]) -> int:
    """Pack songs into one compressed file of flat arrays; returns the number of tokens."""
    columns: dict[str, list[np.ndarray]] = {key: [] for key in ARRAYS}
    chunks: dict[Path, dict[str, np.ndarray]] = {}
    for chunk_path, number, _ in members:
        if chunk_path not in chunks:
            with _opened(chunk_path) as chunk:
                chunks = {chunk_path: {key: chunk[key] for key in chunk.files}}  # members come chunk by chunk
        for key in ARRAYS:
            columns[key].append(chunks[chunk_path][f"{number}.{key}"])
    arrays = {
        key: np.concatenate([a.reshape(-1, *a.shape[2:]) if key == "lengths" else a for a in columns[key]])
        for key in ARRAYS
    }
    arrays["song_bars"] = np.array([len(a) for a in columns["metres"]], dtype=np.int32)
    arrays["song_lanes"] = np.array([len(a) for a in columns["lanes"]], dtype=np.int32)
    arrays["song_tokens"] = np.array([len(a) for a in columns["tokens"]], dtype=np.int64)
    arrays["song_weight"] = np.array([row["weight"] for _, _, row in members], dtype=np.float32)
    beside = path.with_name(path.name + ".part")
    with open(beside, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    os.replace(beside, path)
    return int(arrays["song_tokens"].sum())


def _write_text(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
