"""Small recordings made up in tests: plucked tones, noises, and how far one sound is from another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import butter, sosfilt

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


# Background noise of a quiet room by octaves: NC-15 (ANSI S12.2), with an octave more at either end.
ROOM_HZ = (31.5, 63, 125, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000)
ROOM_DB = (58, 47, 36, 29, 22, 17, 14, 12, 11, 10)


def melody(seconds: float, lead: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Two voices in quarters and halves at 120 a minute, after ``lead`` seconds of silence."""
    scale = [220 * 2 ** (step / 12) for step in (0, 3, 7, 10, 12, 7, 5, 3)]
    beats = int((seconds - lead) / 0.5)
    notes = [(lead + beat * 0.5, scale[beat % 8]) for beat in range(beats)]
    notes += [(lead + beat * 0.5, scale[beat // 2 % 8] / 2) for beat in range(0, beats, 2)]
    return plucked(notes, seconds, rate)


def noise(kind: str, frames: int, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """White noise, hiss (over 3 kHz), that of a quiet room, or hum (50 Hz), of mean square 1."""
    dice = np.random.default_rng(seed)
    white = dice.standard_normal(frames)
    if kind == "hiss":
        sound = sosfilt(butter(2, 3000, "high", fs=rate, output="sos"), white)
    elif kind == "room":
        hz = np.maximum(np.fft.rfftfreq(frames, 1 / rate), ROOM_HZ[0])
        level_db = np.interp(np.log(hz), np.log(ROOM_HZ), np.array(ROOM_DB) - 10 * np.log10(ROOM_HZ))
        sound = np.fft.irfft(np.fft.rfft(white) * 10 ** (level_db / 20), frames)
    elif kind == "hum":
        turns = 2 * np.pi * 49.97 * np.arange(frames) / rate
        sound = np.sum([np.sin(k * turns + k) / k for k in (1, 2, 3, 4, 5, 7, 9)], axis=0)
    else:
        assert kind == "white"
        sound = white
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))


def si_sdr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """The scale-invariant ratio of signal to distortion (J. Le Roux and others, 2019), in dB."""
    reference, estimate = reference - reference.mean(), estimate - estimate.mean()
    part = np.dot(estimate, reference) / np.dot(reference, reference) * reference
    return float(10 * np.log10(np.sum(part**2) / np.sum((estimate - part) ** 2)))
