"""How strong each semitone is over time, by a plain spectrum: which overtones a note has, and which it lacks.

The network says what sounds; whether that is a note or another's overtone is told by the partials between: a note an
octave too high lacks every second one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midigen.audio import Signal
from midigen.spectra import Frames
from midigen.transcription.activations import HOP, LOWEST_PITCH, RATE

LENGTH = 4096  # 0.19 s
ROWS = 88 + 36  # semitones from A0 on: three octaves of overtones over the highest key
FLOOR_DB = -80.0
AFTER_FRAMES, BEFORE_FRAMES = 8, -8  # 0.09 s: the middle of a stretch that has the note, and of one that has not


@dataclass(frozen=True, eq=False)
class Partials:
    """``level_db``, float16 ``(frames, ROWS)``, is the level around each semitone from MIDI pitch 21 on against the
    loudest of the whole sound, ``FLOOR_DB`` at least; frames are those of the network, each the middle of its own
    stretch."""

    level_db: np.ndarray

    def at(self, frames: np.ndarray, pitches: np.ndarray) -> np.ndarray:
        """Levels at ``frames`` of MIDI ``pitches``, of any one shape; ``FLOOR_DB`` where there is none."""
        rows = np.asarray(pitches) - LOWEST_PITCH
        inside = (rows >= 0) & (rows < ROWS) & bool(len(self.level_db))
        if not inside.any():
            return np.full(np.broadcast(frames, rows).shape, FLOOR_DB)
        places = np.clip(frames, 0, len(self.level_db) - 1)
        return np.where(inside, self.level_db[places, np.clip(rows, 0, ROWS - 1)].astype(np.float64), FLOOR_DB)


def partials_of(sound: Signal) -> Partials:
    """The partials of ``sound``, one channel at the network's rate."""
    frames = Frames(1, LENGTH, HOP, lead=LENGTH // 2)
    window = np.hanning(LENGTH)
    first, last = _lines()
    rows: list[np.ndarray] = []

    def take(batch: np.ndarray) -> None:
        lines = np.fft.rfft(batch[0] * window)
        power = np.concatenate([np.zeros((len(lines), 1)), np.cumsum(lines.real**2 + lines.imag**2, axis=1)], axis=1)
        level = 10 * np.log10(np.maximum(power[:, last] - power[:, first], 1e-12))
        rows.append(level.astype(np.float16))  # hours of it are kept; to a sixteenth of a decibel

    for block in sound.blocks():
        for batch in frames.feed(block):
            take(batch)
    rest = frames.rest()
    if rest is not None:
        take(rest)
    levels = np.concatenate(rows) if rows else np.zeros((0, ROWS), dtype=np.float16)
    return Partials(np.maximum(levels - levels.max(initial=-200.0), np.float16(FLOOR_DB)))


def _lines() -> tuple[np.ndarray, np.ndarray]:
    """The lines of a spectrum that belong to each semitone: first, and the one after the last."""
    middles = 440 * 2 ** ((np.arange(ROWS) + LOWEST_PITCH - 69) / 12) * LENGTH / RATE
    first = np.rint(middles * 2 ** (-0.5 / 12)).astype(int)
    last = np.maximum(np.rint(middles * 2 ** (0.5 / 12)).astype(int), first + 1)
    most = LENGTH // 2
    return np.minimum(first, most), np.minimum(last, most + 1)
