"""Small recordings made up in tests: plucked tones, noises, and how far one sound is from another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.denoising import noise as noise_of_kind
from benchmarks.denoising import si_sdr_db

__all__ = ["RATE", "melody", "noise", "plucked", "si_sdr_db"]

RATE = 22_050


def plucked(notes: Sequence[tuple[float, float]], seconds: float, rate: int = RATE) -> np.ndarray:
    """Tones with eight partials that fade, float64 ``(frames,)``: ``notes`` are (onset in seconds, frequency)."""
    sound = np.zeros(round(seconds * rate))
    for onset, hz in notes:
        first = round(onset * rate)
        times = np.arange(len(sound) - first) / rate
        tone = sum(np.sin(2 * np.pi * hz * k * times) * np.exp(-times * (1.5 + k)) / k for k in range(1, 9))
        sound[first:] += tone * np.minimum(times / 0.004, 1)
    return 0.2 * sound


def melody(seconds: float, lead: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Two voices in quarters and halves at 120 a minute, after ``lead`` seconds of silence."""
    scale = [220 * 2 ** (step / 12) for step in (0, 3, 7, 10, 12, 7, 5, 3)]
    beats = int((seconds - lead) / 0.5)
    notes = [(lead + beat * 0.5, scale[beat % 8]) for beat in range(beats)]
    notes += [(lead + beat * 0.5, scale[beat // 2 % 8] / 2) for beat in range(0, beats, 2)]
    return plucked(notes, seconds, rate)


def noise(kind: str, frames: int, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """White noise, hiss, that of a room, or hum, of mean square 1: see :mod:`benchmarks.denoising`."""
    return noise_of_kind(kind, frames, seed, rate)
