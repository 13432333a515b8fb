"""A reverb: convolution with the responses of a synthesised room, in partitions of one length.

Convolution runs in the frequency domain, partition by partition (overlap-save with a frequency-domain delay line:
F. Wefers, "Partitioned convolution algorithms for real-time auralization", 2015). The partitions lie at fixed places of
the sound, wherever its blocks end, so the samples do not depend on the blocks; the price is a latency of one partition.
Where a partition of the sound is silent nothing is computed for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from midigen.effects import check_number
from midigen.effects.rooms import impulse_response
from midigen.errors import BadRequest
from midigen.fourier import irfft, rfft

# Of a partition, to the nearest power of two frames: where convolving costs least, a third of what rings being near it.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.37, 1.5


@dataclass(frozen=True)
class Reverb:
    """A room, heard alone, without the sound itself: what a send returns.

    ``decay_seconds`` 0.1 to 10 is the time in which lows and mids fall by 60 dB (RT60); at ``damping_hz`` (0, off, or
    1,000 to 20,000) it is half as long, and at other frequencies ``decay_seconds / (1 + (f / damping_hz)^2)``.
    ``pre_delay_ms`` 0 to 500 comes before everything. ``low_cut_hz`` 0 (off) or 20 to 1,000 keeps the bass out, by
    12 dB an octave. ``width`` 0 (mono) to 1: at 1 the two sides are unrelated. ``size_m``, the length of the room, 3 to
    60, sets the early reflections; 0 has none.

    Pink noise comes back as loud (BS.1770) as it is sent: a send at -12 dB adds a room 12 LU under the sound.
    """

    decay_seconds: float = 1.2
    pre_delay_ms: float = 10.0
    damping_hz: float = 6_000.0
    low_cut_hz: float = 120.0
    width: float = 1.0
    size_m: float = 10.0

    def __post_init__(self) -> None:
        check_number(self.decay_seconds, 0.1, 10, "reverb decay", "seconds", "0.5 is a room, 2 a hall")
        check_number(self.pre_delay_ms, 0, 500, "reverb pre-delay", "ms", "0 to 30 is usual")
        check_number(self.damping_hz, 1_000, 20_000, "reverb damping", "Hz", "6000 is usual", or_zero=True)
        check_number(self.low_cut_hz, 20, 1_000, "reverb low cut", "Hz", "120 is usual", or_zero=True)
        check_number(self.width, 0, 1, "reverb width", "", "1 is wide, 0 mono")
        check_number(self.size_m, 3, 60, "reverb size", "metres", "6 is a room, 24 a hall", or_zero=True)

    def response(self, rate: int) -> np.ndarray:
        """The impulse responses at ``rate``: float32 ``(2 sides in, 2 sides out, frames)``, the pre-delay included."""
        room = impulse_response(self.decay_seconds, self.damping_hz, self.low_cut_hz, self.width, self.size_m, rate)
        return np.pad(room, ((0, 0), (0, 0), (round(self.pre_delay_ms / 1_000 * rate), 0)))

    def processor(self, rate: int) -> Convolver:
        """A processor for ``rate`` frames a second. The first of a kind takes some tenths of a second to make."""
        return Convolver(*_in_partitions(self, rate))

    def live_processor(self, rate: int, partition_frames: int) -> Convolver:
        """A processor whose partitions are short: more work, and little latency, what the pre-delay has room for taken
        from that."""
        early = min(round(self.pre_delay_ms / 1_000 * rate), partition_frames)
        spectra, frames = _in_short_partitions(self, rate, partition_frames, early)
        return Convolver(spectra, partition_frames, frames, early)


REVERBS = MappingProxyType(
    {
        "room": Reverb(decay_seconds=0.5, pre_delay_ms=4, damping_hz=7_000, low_cut_hz=120, size_m=7),
        "hall": Reverb(decay_seconds=2.2, pre_delay_ms=20, damping_hz=5_000, low_cut_hz=120, size_m=26),
        # A plate has no walls: it is dense at once, bright and thin.
        "plate": Reverb(decay_seconds=1.5, pre_delay_ms=10, damping_hz=9_000, low_cut_hz=200, size_m=0),
    }
)


def reverb_named(name: str, **changes: Any) -> Reverb:
    """The reverb ``name`` of ``REVERBS`` with ``changes`` to its fields. Raises :class:`BadRequest` for others."""
    if name not in REVERBS:
        raise BadRequest(f"unknown reverb {name!r}: choose one of {', '.join(REVERBS)}")
    return replace(REVERBS[name], **changes)


@lru_cache(maxsize=4)  # with the responses, see there
def _in_partitions(reverb: Reverb, rate: int) -> tuple[tuple[np.ndarray | None, ...], int, int]:
    """The spectra of the partitions, complex64 ``(2 in, 2 out, bins)``, ``None`` for silence; their length and that
    of the whole response, in frames."""
    response = reverb.response(rate)
    seconds = min(max(response.shape[-1] / rate / 3, _SHORTEST_SECONDS), _LONGEST_SECONDS)
    frames = 2 ** round(math.log2(seconds * rate))
    return _spectra(response, frames), frames, response.shape[-1]


@lru_cache(maxsize=4)
def _in_short_partitions(
    reverb: Reverb, rate: int, partition_frames: int, early_frames: int
) -> tuple[tuple[np.ndarray | None, ...], int]:
    """The spectra of partitions of a given length, of the response without its first ``early_frames``, which are
    silent; and the length of what is left."""
    response = reverb.response(rate)[..., early_frames:]
    return _spectra(response, partition_frames), response.shape[-1]


def _spectra(response: np.ndarray, frames: int) -> tuple[np.ndarray | None, ...]:
    pieces = (response[..., start : start + frames] for start in range(0, response.shape[-1], frames))
    return tuple(rfft(piece, 2 * frames) if piece.any() else None for piece in pieces)


class Convolver:
    """Convolves a sound in stereo with four responses, given in partitions; see :class:`Reverb`.

    The latency is a partition, less the ``early_frames`` that were cut from the silence before the responses.
    """

    def __init__(
        self,
        spectra: tuple[np.ndarray | None, ...],
        partition_frames: int,
        response_frames: int,
        early_frames: int = 0,
    ) -> None:
        self.latency_frames = partition_frames - early_frames
        self._size = partition_frames
        self.tail_frames = response_frames - 1
        self._response = spectra
        self._heard = np.zeros((2, 2 * partition_frames), dtype=np.float32)  # the partition before, and the present
        self._said = np.zeros((2, partition_frames), dtype=np.float32)
        self._place = 0
        self._past: list[np.ndarray | None] = []  # spectra of what was heard, the latest first
        bins = partition_frames + 1
        self._sum = np.empty((2, 2, bins), dtype=np.complex64)
        self._term = np.empty_like(self._sum)

    def process(self, block: np.ndarray) -> np.ndarray:
        """Float32 ``(2, n)`` to float32 ``(2, n)``, ``latency_frames`` later."""
        reverberated = np.empty_like(block)
        start, frames, size = 0, block.shape[1], self._size
        while start < frames:
            stop = min(start + size - self._place, frames)
            end = self._place + stop - start
            reverberated[:, start:stop] = self._said[:, self._place : end]
            self._heard[:, size + self._place : size + end] = block[:, start:stop]
            start, self._place = stop, end
            if end == size:
                self._turn()
        return reverberated

    def _turn(self) -> None:
        """A partition is full: work out what it, and those before it, make heard during the next one."""
        size = self._size
        self._past.insert(0, rfft(self._heard) if self._heard.any() else None)
        del self._past[len(self._response) :]
        self._heard[:, :size] = self._heard[:, size:]
        self._place = 0
        started = False
        for spectrum, response in zip(self._past, self._response, strict=False):
            if spectrum is None or response is None:
                continue
            # Both ways out from each way in: (2 in, 1, bins) times (2 in, 2 out, bins).
            np.multiply(spectrum[:, np.newaxis], response, out=self._term if started else self._sum)
            if started:
                self._sum += self._term
            started = True
        if started:
            self._said = irfft(self._sum[0] + self._sum[1], 2 * size)[:, size:]
        else:
            self._said = np.zeros((2, size), dtype=np.float32)
