"""Recordings made fit to be mixed, transcribed and learned from: clean, and of one level and rate.

In this order: the offset is taken off, mains hum is subtracted, noise is turned down, the silence before the first note
is cut, the rate is changed, the loudness is set. Nothing is added and nothing limited.

Why own code (measured, see ``docs/lab-book.md``): noisereduce, the best-kept library for it, loses 10 dB of music at
30 dB of input SNR even with a profile, for it gates with masks that reach 0; pyroomacoustics' filters are for speech;
ffmpeg's and sox's are programs, that gain less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from midigen.audio import BLOCK_FRAMES, HIGHEST_RATE, LOWEST_RATE, Signal
from midigen.cleaning.denoising import Denoised
from midigen.cleaning.hum import Hum, WithoutHum, find_hum
from midigen.cleaning.measuring import Condition, condition_of, over_floor
from midigen.cleaning.noise import (
    CELL_SECONDS,
    LEAD_IN,
    NoiseProfile,
    example_from,
    find_noise,
    level_curve,
    no_noise,
    noise_of,
)
from midigen.errors import BadRequest
from midigen.loudness import Meter
from midigen.mastering import HIGHEST_TARGET_LUFS, LOWEST_TARGET_LUFS
from midigen.signals import Recorded, Stretch, at_rate

TARGET_LUFS = -18.0  # room for the peaks of a single instrument
CEILING_DBTP = -1.0
REDUCTION_DB = 30.0
BYTES_IN_MEMORY = 48 * 2**20  # of a recording while it is cleaned; several are at once
START_DB = -45.0  # under the loud passages: what is softer has not begun
LOUD_SHARE = 0.95
START_LEAD_SECONDS = 0.03


@dataclass(frozen=True)
class Cleaning:
    """How to clean.

    ``rate`` is in frames a second (``None``: as it is), ``target_lufs`` -70 to -5 (``None``: the level is left as it
    is), ``reduction_db``, 0 to 80, how far noise is turned down at most (0: not at all). ``noise`` is an example of the
    noise, ``noise_span`` where in the recording there is nothing else, in seconds; without either it is found. Without
    ``trim`` the silence before the first note stays, and without ``hum`` mains hum does. Raises :class:`BadRequest`.
    """

    rate: int | None = None
    target_lufs: float | None = TARGET_LUFS
    reduction_db: float = REDUCTION_DB
    trim: bool = True
    hum: bool = True
    noise: Signal | None = None
    noise_span: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise BadRequest(f"sample rate {self.rate} is outside {LOWEST_RATE}..{HIGHEST_RATE} frames a second")
        if self.target_lufs is not None and not LOWEST_TARGET_LUFS <= self.target_lufs <= HIGHEST_TARGET_LUFS:
            raise BadRequest(
                f"loudness target {self.target_lufs} LUFS is outside {LOWEST_TARGET_LUFS:g}..{HIGHEST_TARGET_LUFS:g}"
            )
        if not 0 <= self.reduction_db <= 80:
            raise BadRequest(f"noise reduction {self.reduction_db:g} dB is outside 0..80")
        if self.noise is not None and self.noise_span is not None:
            raise BadRequest("an example of the noise and a passage of it: give one of them")


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A recording that was cleaned.

    ``start_seconds`` were cut from its beginning; ``gain_db`` set the loudness, and is less than asked for where peaks
    forbid more. ``hum`` is that of the channel with most of it. The floor of ``after`` is that of the passage that was
    quietest before, be it cut or not.
    """

    signal: Signal
    before: Condition
    after: Condition
    profile: NoiseProfile
    hum: Hum | None
    start_seconds: float
    gain_db: float


def clean(signal: Signal, how: Cleaning = Cleaning()) -> Cleaned:
    """``signal``, cleaned. However long it is, little of it is in memory at once.

    Raises :class:`BadRequest` for more than five channels or for noise that cannot be learned from, and
    :class:`midigen.errors.OutputError` where there is no room for temporary files.
    """
    before = condition_of(signal)
    sound: Signal = _Shifted(signal, before.offsets)
    hums = find_hum(sound) if how.hum else ()
    hum = max((one for one in hums if one is not None), key=lambda one: one.level_db, default=None)
    if hum is not None:
        sound = Recorded(WithoutHum(sound, hums), BYTES_IN_MEMORY)
    profile = _profile(sound, how)
    if profile.level_db > -math.inf and how.reduction_db > 0:
        sound = Recorded(Denoised(sound, profile, how.reduction_db), BYTES_IN_MEMORY)
    squares = level_curve(sound).squares
    start = _start(sound, profile) if how.trim else 0
    if start:
        sound = Stretch(sound, start, sound.frames - start)
    start_seconds = start / sound.rate
    sound = at_rate(sound, how.rate or sound.rate)
    gain_db = 0.0
    if how.target_lufs is not None:
        meter = Meter(sound.rate, sound.channels)
        for block in sound.blocks():
            meter.feed(block)
        reading = meter.reading()
        if reading.integrated_lufs > -math.inf:
            gain_db = min(how.target_lufs - reading.integrated_lufs, CEILING_DBTP - reading.true_peak_dbtp)
            sound = _Louder(sound, gain_db)
    floor_dbfs, snr_db = over_floor(squares * 10 ** (gain_db / 10), before.quietest)
    after = replace(condition_of(sound), floor_dbfs=floor_dbfs, snr_db=snr_db)
    return Cleaned(sound, before, after, profile, hum, start_seconds, gain_db)


def _profile(sound: Signal, how: Cleaning) -> NoiseProfile:
    if how.reduction_db == 0:
        return no_noise(sound, "left as it is")
    if how.noise is not None:
        return noise_of(how.noise, sound, "example")
    if how.noise_span is not None:
        return noise_of(example_from(sound, *how.noise_span), sound, "the passage given")
    return find_noise(sound)


def _start(sound: Signal, profile: NoiseProfile) -> int:
    """The frame where the first note begins, or a little before; 0 where there is only silence.

    In a lead-in that was listened to there is none: what is left of its noise does not count.
    """
    levels = level_curve(sound, START_LEAD_SECONDS)
    loud = float(np.quantile(levels.squares, LOUD_SHARE))
    begun = levels.squares > loud * 10 ** (START_DB / 10)
    if profile.source == LEAD_IN:
        begun[: int((profile.spans[0][1] - CELL_SECONDS) / levels.seconds)] = False
    first = np.flatnonzero(begun)[:1]
    return max(round((first[0] - 1) * levels.seconds * sound.rate), 0) if len(first) else 0


class _Changed:
    """A signal whose blocks are those of another, one by one."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal

    @property
    def rate(self) -> int:
        return self._signal.rate

    @property
    def channels(self) -> int:
        return self._signal.channels

    @property
    def frames(self) -> int:
        return self._signal.frames


class _Shifted(_Changed):
    """``signal`` less the offset of each channel."""

    def __init__(self, signal: Signal, offsets: tuple[float, ...]) -> None:
        super().__init__(signal)
        self._offsets = np.array(offsets, dtype=np.float32)[:, None]

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        for block in self._signal.blocks(size):
            yield block - self._offsets


class _Louder(_Changed):
    def __init__(self, signal: Signal, gain_db: float) -> None:
        super().__init__(signal)
        self._gain = np.float32(10 ** (gain_db / 20))

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        for block in self._signal.blocks(size):
            yield block * self._gain
