"""How loud a sound is: integrated loudness and true peak (ITU-R BS.1770-4, EBU R 128)."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from midigen.audio import Audio
from midigen.errors import BadRequest

BLOCK_SECONDS = 0.4  # BS.1770-4: gating blocks of 400 ms that overlap by 75 %
HOP_SECONDS = 0.1
OVERSAMPLING = 4  # BS.1770-4 annex 2 asks for at least this at 44.1 and 48 kHz
_REACH = 10  # the interpolator looks this many samples to either side
_CHUNK = 4_096  # frames interpolated at a time: they stay in the cache, and quiet ones are left out


def integrated_lufs(audio: Audio) -> float:
    """Gated integrated loudness in LUFS; ``-inf`` for silence and for what lies under the -70 LUFS gate throughout.

    A sound under 400 ms is measured as one block with silence after it. An incomplete last block does not count, as
    the standard has it. Raises :class:`BadRequest` for more than five channels.
    """
    if audio.channels > 5:
        raise BadRequest(f"loudness of {audio.channels} channels: give 1 to 5")
    if not audio.samples.any():
        return -math.inf
    import pyloudnorm  # brings scipy along: 0.3 s that silence does not need

    hop = round(HOP_SECONDS * audio.rate)
    frames = max(audio.frames // hop * hop, math.ceil(BLOCK_SECONDS * audio.rate))
    # float32 is enough: pyloudnorm computes in float64, and only keeps its filtered signal in what it is given
    data = audio.padded(frames).samples[:, :frames].T
    # "DeMan" is the class whose coefficients are the standard's own; the default only comes near them.
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(pyloudnorm.Meter(audio.rate, filter_class="DeMan").integrated_loudness(data))
    return value if math.isfinite(value) else -math.inf


@cache
def _between() -> tuple[np.ndarray, ...]:
    """The filters for the points one, two and three quarters of the way from a sample to the next; 20 taps each."""
    from scipy.signal import firwin

    taps = firwin(2 * _REACH * OVERSAMPLING + 1, 1 / OVERSAMPLING, window=("kaiser", 5.0)) * OVERSAMPLING
    return tuple(np.ascontiguousarray(taps[phase::OVERSAMPLING], dtype=np.float32) for phase in range(1, OVERSAMPLING))


def true_peak_envelope(samples: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """The largest magnitude near each frame, over all channels, between the samples too.

    ``samples`` is float32 ``(channels, frames)``; the result is float32 ``(frames,)``: for frame *n* the maximum of
    the four times oversampled signal from *n* up to *n* + 1. Stretches that cannot reach ``floor``, whatever lies
    between their samples, are not interpolated: the maximum is right wherever it is ``floor`` or more.
    """
    filters = _between()
    largest_rise = max(float(np.abs(taps).sum()) for taps in filters)
    frames = samples.shape[1]
    envelope = np.abs(samples).max(axis=0) if frames else np.zeros(0, dtype=np.float32)
    for start in range(0, frames, _CHUNK):
        stop = min(start + _CHUNK, frames)
        before, after = max(start - _REACH, 0), min(stop + _REACH, frames)
        if float(envelope[before:after].max()) * largest_rise < floor:
            continue
        for channel in samples:
            padded = np.zeros(stop - start + 2 * _REACH, dtype=np.float32)
            padded[_REACH - (start - before) : _REACH + (after - start)] = channel[before:after]
            for taps in filters:
                fine = np.convolve(padded, taps, "valid")[1 : stop - start + 1]
                np.maximum(envelope[start:stop], np.abs(fine, out=fine), out=envelope[start:stop])
    return envelope


def true_peak_dbtp(audio: Audio) -> float:
    """The true peak in dBTP by four times oversampling; ``-inf`` for silence."""
    sample_peak = float(np.abs(audio.samples).max(initial=0.0))
    peak = float(true_peak_envelope(audio.samples, floor=sample_peak).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf
