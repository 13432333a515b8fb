"""The tables of a SoundFont: read as they stand in the file, and written again.

FluidSynth reads a font for itself; this is for what it does not do (:mod:`midigen.renderers.divided`). Section numbers
are those of the SoundFont Technical Specification 2.04.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

import numpy as np

from midigen.soundfonts import chunks

KEYS, VELOCITIES, INSTRUMENT, SAMPLE = 43, 44, 41, 53  # generators, section 8.1.2
LARGEST = 2**16 - 1  # the tables are joined by 16-bit numbers
_BAG = [("generator", "<u2"), ("modulator", "<u2")]
TABLES: dict[bytes, list[tuple[str, str]]] = {  # section 7
    b"phdr": [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")],
    b"pbag": _BAG,
    b"pmod": [("all", "V10")],
    b"pgen": [("number", "<u2"), ("amount", "<u2")],
    b"inst": [("name", "S20"), ("bag", "<u2")],
    b"ibag": _BAG,
    b"imod": [("all", "V10")],
    b"igen": [("number", "<u2"), ("amount", "<u2")],
    b"shdr": [
        ("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4"), ("loop_end", "<u4"),
        ("rate", "<u4"), ("key", "u1"), ("correction", "i1"), ("link", "<u2"), ("type", "<u2"),
    ],
}  # fmt: skip


class Odd(Exception):
    """A font that is better left to FluidSynth as it is."""


@dataclass(frozen=True)
class Zone:
    """A zone of a preset or an instrument: its generators and modulators as they stand there; what it plays (an
    instrument or a sample, ``None`` for a zone of defaults), the generator that says so, and for which keys and
    velocities it does, first and last."""

    generators: np.ndarray
    modulators: np.ndarray
    plays: int | None
    says: int
    keys: tuple[int, int]
    velocities: tuple[int, int]


def read_tables(file: IO[bytes]) -> tuple[bytes, tuple[int, int], dict[bytes, np.ndarray]]:
    """A font's INFO list, the place and size of its samples, and its tables. Raises :class:`Odd`, and
    :class:`ValueError` for a table that is cut."""
    size = os.fstat(file.fileno()).st_size
    info, smpl, tables = b"", (0, 0), dict[bytes, np.ndarray]()
    for name, place, length in chunks(file, 12, size):
        file.seek(place)
        kind = file.read(4) if name == b"LIST" and length >= 4 else b""
        if kind == b"INFO":
            info = kind + file.read(length - 4)
        elif kind == b"sdta":
            inside = {one: (at, many) for one, at, many in chunks(file, place + 4, place + length)}
            if list(inside) != [b"smpl"]:
                raise Odd
            smpl = inside[b"smpl"]
        elif kind == b"pdta":
            for table, at, many in chunks(file, place + 4, place + length):
                if table in TABLES:
                    file.seek(at)
                    tables[table] = np.frombuffer(file.read(many), dtype=TABLES[table])
    if not info or not smpl[1] or len(tables) != len(TABLES):
        raise Odd
    return info, smpl, tables


def zones_of(
    tables: dict[bytes, np.ndarray],
    bag: bytes,
    generator: bytes,
    modulator: bytes,
    bags: np.ndarray,
    number: int,
    plays: int,
) -> list[Zone]:
    """The zones of the preset or instrument ``number``, whose ``bags`` are those of its table; ``bag``, ``generator``
    and ``modulator`` name the tables below it, and ``plays`` is the generator of what a zone plays. Raises
    :class:`Odd`."""
    if number + 1 >= len(bags):
        raise Odd
    first, last = int(bags[number]), int(bags[number + 1])
    places = tables[bag][first : last + 1]
    if len(places) != last - first + 1:
        raise Odd
    zones: list[Zone] = []
    for here, there in pairwise(places):
        generators = tables[generator][here["generator"] : there["generator"]]
        modulators = tables[modulator][here["modulator"] : there["modulator"]]
        said = generators["number"].tolist()
        amounts = dict(zip(said, generators["amount"].tolist(), strict=True))
        if len(amounts) != len(said):
            raise Odd
        zone = Zone(
            generators, modulators, amounts.get(plays), said.index(plays) if plays in amounts else -1,
            _range(amounts, KEYS), _range(amounts, VELOCITIES),
        )  # fmt: skip
        # Only the first may be one of defaults, and those of a range are read in different ways.
        if zone.plays is None and (zones or KEYS in amounts or VELOCITIES in amounts):
            raise Odd
        zones.append(zone)
    return zones


def _range(amounts: dict[int, int], number: int) -> tuple[int, int]:
    amount = amounts.get(number, 127 << 8)
    low, high = amount & 255, amount >> 8
    if not low <= high <= 127:
        raise Odd
    return low, high


class ZonesWritten:
    """Zones of a new font: their bags, generators and modulators."""

    def __init__(self) -> None:
        self.bags: list[tuple[int, int]] = []
        self.generators: list[np.ndarray] = []
        self.modulators: list[np.ndarray] = []
        self._generators = self._modulators = 0

    def add(self, zone: Zone, plays: int | None = None) -> None:
        """Append ``zone``, which ``plays`` this from now on."""
        self.bags.append((self._generators, self._modulators))
        generators = zone.generators
        if plays is not None:
            generators = generators.copy()
            generators["amount"][zone.says] = plays
        self.generators.append(generators)
        self.modulators.append(zone.modulators)
        self._generators += len(generators)
        self._modulators += len(zone.modulators)

    def tables(self) -> tuple[bytes, bytes, bytes]:
        """Bags, modulators and generators, each with the one that ends it."""
        bags = [*self.bags, (self._generators, self._modulators)]
        if max(len(bags), *bags[-1]) > LARGEST:
            raise Odd
        generators = b"".join(one.tobytes() for one in self.generators) + bytes(4)
        return (
            np.array(bags, dtype="<u2").tobytes(),
            b"".join(one.tobytes() for one in self.modulators) + bytes(10),
            generators,
        )


def chunk(name: bytes, data: bytes) -> bytes:
    """A RIFF chunk, up to an even place."""
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
