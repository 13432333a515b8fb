"""A preset of a compressed SoundFont (SF3), divided so that only those of its samples are unpacked that sound.

FluidSynth unpacks all samples of a preset when that is chosen: a second of the processor for a piano of 144, of which a
song plays thirty, and its first bar ten. So a font is written (into memory, where the system has files there) that has
the preset in pieces: one for all keys and velocities that sound the same samples. Each piece has the very zones of the
whole, generators and modulators and all, but for those that its keys and velocities never reach, so that a note
sounds the same to the bit. Section numbers are those of the SoundFont Technical Specification 2.04; samples are
as in FluidSynth's reading of SF3, where start and end count bytes of an Ogg stream in place of points.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from midigen.renderers.fonttables import (
    INSTRUMENT,
    LARGEST,
    SAMPLE,
    TABLES,
    Odd,
    Zone,
    ZonesWritten,
    chunk,
    read_tables,
    zones_of,
)
from midigen.soundfonts import SoundFont

LEAST_BYTES = 400_000  # of compressed samples: fewer are unpacked in hundredths of a second
PROGRAMS = 128  # in a bank
_USUAL_PITCH, _USUAL_VELOCITY = 60, 72
_MOST_CELLS = 200_000  # that zones may cover; more is no font that somebody made
_VORBIS, _ROM = 0x10, 0x8000  # of a sample's type


@dataclass(eq=False)
class Divided:
    """A font of pieces, as long as this lives: ``path`` is what FluidSynth is to open.

    ``numbers`` (int16 ``(128, 128)``) has the piece for each key and velocity, -1 where nothing sounds. The piece
    ``number`` is program ``number % 128`` of bank ``number // 128``.
    """

    path: Path
    numbers: np.ndarray
    _busy: dict[int, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def unpacking(self, number: int) -> threading.Lock:
        """To be held while a piece is unpacked: two threads at once would both do all of the work, and of two one
        after the other the second finds it done."""
        with self._lock:
            return self._busy.setdefault(number, threading.Lock())

    def usual_first(self) -> list[int]:
        """The pieces, those first that a part most likely plays: of usual velocities, from the middle outwards."""
        nearest: dict[int, tuple[int, int]] = {}
        rows, columns = np.nonzero(self.numbers >= 0)
        away = zip(np.abs(columns - _USUAL_VELOCITY).tolist(), np.abs(rows - _USUAL_PITCH).tolist(), strict=True)
        for number, (velocity, pitch) in zip(self.numbers[rows, columns].tolist(), away, strict=True):
            place = velocity, pitch
            if number not in nearest or place < nearest[number]:
                nearest[number] = place
        return sorted(nearest, key=lambda number: nearest[number])


_made: weakref.WeakValueDictionary[tuple[str, int, int, int, int], Divided] = weakref.WeakValueDictionary()
_making = threading.Lock()


def divided(font: SoundFont, bank: int, program: int) -> Divided | None:
    """The preset at ``bank`` and ``program`` of ``font`` in pieces; one for all who ask while somebody has it.

    ``None`` where it is not worth it (what is not compressed, or small), where the font is unlike others, and where
    there is no room for the file: FluidSynth then plays the font itself.
    """
    with _making, contextlib.suppress(Odd, OSError, ValueError, struct.error):
        facts = font.path.stat()
        key = str(font.path), facts.st_size, facts.st_mtime_ns, bank, program
        known = _made.get(key)
        if known is None:
            known = _divide(font.path, bank, program)
            _made[key] = known
        return known
    return None


def _divide(path: Path, bank: int, program: int) -> Divided:
    with path.open("rb") as file:
        info, smpl, tables = read_tables(file)
        headers = tables[b"phdr"][:-1]
        (found,) = np.nonzero((headers["bank"] == bank) & (headers["program"] == program))
        if len(found) != 1:
            raise Odd
        presets = zones_of(tables, b"pbag", b"pgen", b"pmod", tables[b"phdr"]["bag"], int(found[0]), INSTRUMENT)
        used = sorted({zone.plays for zone in presets if zone.plays is not None})
        bags = tables[b"inst"]["bag"]
        instruments = {one: zones_of(tables, b"ibag", b"igen", b"imod", bags, one, SAMPLE) for one in used}
        samples = sorted({zone.plays for zones in instruments.values() for zone in zones if zone.plays is not None})
        if not samples or samples[-1] >= len(tables[b"shdr"]) - 1:
            raise Odd
        chosen = tables[b"shdr"][samples].copy()
        types = chosen["type"]
        if not (types & _VORBIS).all() or (types & _ROM).any() or (chosen["end"] < chosen["start"]).any():
            raise Odd
        if int((chosen["end"].astype(np.int64) - chosen["start"]).sum()) < LEAST_BYTES:
            raise Odd
        runs = _runs(chosen, smpl[1])
        numbers, pieces = _partition(presets, instruments)
        pdta = _pieces(tables, headers[found[0]], presets, instruments, pieces, samples, chosen, runs)
        return _written(file, info, smpl, runs, pdta, numbers)


@dataclass(frozen=True)
class _Piece:
    """What a piece is made of: zones of the preset, and zones of each instrument, by their places."""

    zones: frozenset[int]
    inside: dict[int, frozenset[int]]


def _partition(presets: list[Zone], instruments: dict[int, list[Zone]]) -> tuple[np.ndarray, list[_Piece]]:
    """The piece of each key and velocity, and the pieces."""
    meetings: list[
        tuple[int, int, int, int, int, int, int, int]
    ] = []  # keys and velocities (first and one beyond), and the zones that meet in them
    for place, zone in enumerate(presets):
        if zone.plays is None:
            continue
        for inner, one in enumerate(instruments[zone.plays]):
            if one.plays is not None:
                low, high = max(zone.keys[0], one.keys[0]), min(zone.keys[1], one.keys[1])
                soft, loud = max(zone.velocities[0], one.velocities[0]), min(zone.velocities[1], one.velocities[1])
                if low <= high and soft <= loud:
                    meetings.append((low, high + 1, soft, loud + 1, place, zone.plays, inner, one.plays))
    keys = sorted({0, 128, *(m[0] for m in meetings), *(m[1] for m in meetings)})
    velocities = sorted({0, 128, *(m[2] for m in meetings), *(m[3] for m in meetings)})
    key_of, velocity_of = ({value: n for n, value in enumerate(edges)} for edges in (keys, velocities))
    cells: dict[tuple[int, int], tuple[set[int], set[int]]] = {}  # the samples that sound in each, and the meetings
    covered = 0
    for number, (low, high, soft, loud, *_, sample) in enumerate(meetings):
        across = range(velocity_of[soft], velocity_of[loud])
        for row in range(key_of[low], key_of[high]):
            covered += len(across)
            if covered > _MOST_CELLS:
                raise Odd
            for column in across:
                samples, meeting = cells.setdefault((row, column), (set(), set()))
                samples.add(sample)
                meeting.add(number)
    known: dict[frozenset[int], int] = {}
    met: list[set[int]] = []
    numbers = np.full((128, 128), -1, dtype=np.int16)
    for (row, column), (samples, meeting) in sorted(cells.items()):
        number = known.setdefault(frozenset(samples), len(known))
        if number == len(met):
            met.append(set())
        met[number] |= meeting
        numbers[keys[row] : keys[row + 1], velocities[column] : velocities[column + 1]] = number
    pieces = []
    for meeting in met:
        inside: dict[int, set[int]] = {}
        for number in meeting:
            inside.setdefault(meetings[number][5], set()).add(meetings[number][6])
        pieces.append(
            _Piece(frozenset(meetings[n][4] for n in meeting), {one: frozenset(zones) for one, zones in inside.items()})
        )
    if not 1 < len(pieces) <= PROGRAMS * 100:
        raise Odd
    return numbers, pieces


def _pieces(
    tables: dict[bytes, np.ndarray],
    header: np.ndarray,
    presets: list[Zone],
    instruments: dict[int, list[Zone]],
    pieces: list[_Piece],
    samples: list[int],
    chosen: np.ndarray,
    runs: list[_Run],
) -> bytes:
    """The tables of the new font. ``chosen`` are the headers of ``samples``, which lie in ``runs``."""
    new_sample = {old: new for new, old in enumerate(samples)}
    chosen["link"] = [new_sample.get(int(link), 0) for link in chosen["link"]]
    outer, inner = ZonesWritten(), ZonesWritten()
    phdr: list[tuple[Any, ...]] = []
    inst: list[tuple[Any, ...]] = []
    for number, piece in enumerate(pieces):
        new_instrument: dict[int, int] = {}
        for one, zones in sorted(piece.inside.items()):
            new_instrument[one] = len(inst)
            inst.append((tables[b"inst"]["name"][one], len(inner.bags)))
            for place, zone in enumerate(instruments[one]):
                if zone.plays is None:
                    inner.add(zone)
                elif place in zones:
                    inner.add(zone, new_sample[zone.plays])
        phdr.append((header["name"], number % PROGRAMS, number // PROGRAMS, len(outer.bags), bytes(12)))
        for place, zone in enumerate(presets):
            if zone.plays is None:
                outer.add(zone)
            elif place in piece.zones:
                outer.add(zone, new_instrument[zone.plays])
    phdr.append((b"EOP", 0, 0, len(outer.bags), bytes(12)))
    inst.append((b"EOI", len(inner.bags)))
    if len(inst) > LARGEST:
        raise Odd
    moved = chosen.copy()
    for run in runs:
        (inside,) = np.nonzero((chosen["start"] >= run.start) & (chosen["end"] <= run.stop))
        for edge in ("start", "end"):
            moved[edge][inside] = moved[edge][inside].astype(np.int64) + run.shift
    pbag, pmod, pgen = outer.tables()
    ibag, imod, igen = inner.tables()
    last = np.zeros(1, dtype=TABLES[b"shdr"])
    last["name"] = b"EOS"
    contents = {
        b"phdr": np.array(phdr, dtype=TABLES[b"phdr"]).tobytes(), b"pbag": pbag, b"pmod": pmod, b"pgen": pgen,
        b"inst": np.array(inst, dtype=TABLES[b"inst"]).tobytes(), b"ibag": ibag, b"imod": imod, b"igen": igen,
        b"shdr": moved.tobytes() + last.tobytes(),
    }  # fmt: skip
    return b"pdta" + b"".join(chunk(name, data) for name, data in contents.items())


@dataclass(frozen=True)
class _Run:
    """Samples that touch or overlap, and stay together: ``start`` to ``stop`` in the old font's samples, in bytes, and
    by how much they move."""

    start: int
    stop: int
    shift: int


def _runs(chosen: np.ndarray, size: int) -> list[_Run]:
    edges: list[list[int]] = []
    for start, stop in sorted(zip(chosen["start"].tolist(), chosen["end"].tolist(), strict=True)):
        if stop > size:
            raise Odd
        if edges and start <= edges[-1][1]:
            edges[-1][1] = max(edges[-1][1], stop)
        else:
            edges.append([start, stop])
    runs, at = [], 0
    for start, stop in edges:
        runs.append(_Run(start, stop, at - start))
        at += stop - start
    return runs


def _written(
    old: IO[bytes], info: bytes, smpl: tuple[int, int], runs: list[_Run], pdta: bytes, numbers: np.ndarray
) -> Divided:
    """The new font in a file of its own, which is gone with what is returned."""
    size = sum(run.stop - run.start for run in runs)
    samples = struct.pack("<4sI4s4sI", b"LIST", 12 + size + size % 2, b"sdta", b"smpl", size)
    tables = bytes(size % 2) + chunk(b"LIST", pdta)
    head = chunk(b"LIST", info) + samples
    whole = 4 + len(head) + size + len(tables)
    handle, path, gone = _new_file()
    made = Divided(path, numbers)
    weakref.finalize(made, gone)
    with mmap.mmap(old.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as font:
        _write(handle, struct.pack("<4sI4s", b"RIFF", whole, b"sfbk") + head)
        for run in runs:
            with font[smpl[0] + run.start : smpl[0] + run.stop] as piece:
                _write(handle, piece)
        _write(handle, tables)
    return made


def _write(handle: int, data: bytes | memoryview) -> None:
    with memoryview(data) as left:
        at = 0
        while at < len(left):
            with left[at:] as rest:
                at += os.write(handle, rest)


def _new_file() -> tuple[int, Path, Callable[[], None]]:
    """A file that is open for writing, its path, and what takes it away."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("midigen")
        path = Path(f"/proc/self/fd/{handle}")
        if path.exists():
            return handle, path, partial(os.close, handle)
        os.close(handle)
    handle, name = tempfile.mkstemp(".sf3", "midigen-")

    def gone() -> None:
        with contextlib.suppress(OSError):
            os.close(handle)
        with contextlib.suppress(OSError):
            os.unlink(name)

    return handle, Path(name), gone
