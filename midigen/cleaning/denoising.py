"""Noise taken out of a sound by what is known of it: an empirical Wiener filter in two steps, read in segments.

The first step weighs each place of the spectrogram by its power and that of its neighbours, against the noise. It is
taken with windows of three lengths, for a long one tells tones apart and a short one beats, and the three results are
averaged: a first estimate of the music. The second weighs again, by what that estimate has where, as in the empirical
Wiener filter of S. P. Ghael, A. M. Sayeed and R. G. Baraniuk, "Improved wavelet denoising via empirical Wiener
filtering", SPIE 3169, 1997. Looking at neighbours in both directions is what separates music from noise: see G. Yu,
S. Mallat and E. Bacry, "Audio denoising by time-frequency block thresholding", IEEE Trans. Signal Processing 56, 2008.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.cleaning.lowlines import first_gain, second_gain
from midigen.cleaning.noise import NoiseProfile, noise_window, window_lengths
from midigen.signals import in_blocks

OVERLAP = 4  # frames over every sample
SEGMENT_WINDOWS = 64  # the longest windows in a segment: twelve seconds, which bounds the memory
MARGIN_WINDOWS = 7  # context on either side, as far as the networks and overlap reach
NEIGHBOURS = (9, 5)  # frames and lines that are weighed together
OVER = 1.2  # times the noise: what a neighbourhood must have to be music
LEAST_POWER = 1e-14  # under the noise of 24 bits


class Denoised:
    """``signal`` without the noise that ``profile`` describes, filtered as it is read; as long as it, and in its place.

    ``most_db`` (0 or more) is how far noise is turned down at most. The samples do not depend on the size of the
    blocks. Channels are filtered each for itself. Where the profile is silent, so is the filter: the samples then are
    those of ``signal`` to rounding.
    """

    def __init__(self, signal: Signal, profile: NoiseProfile, most_db: float) -> None:
        self._signal, self._profile = signal, profile
        self._least_gain = np.float32(10 ** (-most_db / 20))

    @property
    def rate(self) -> int:
        return self._signal.rate

    @property
    def channels(self) -> int:
        return self._signal.channels

    @property
    def frames(self) -> int:
        return self._signal.frames

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        return in_blocks(self._pieces(), size)

    def _pieces(self) -> Iterator[np.ndarray]:
        longest = window_lengths(self.rate)[-1]
        margin, length = MARGIN_WINDOWS * longest, SEGMENT_WINDOWS * longest
        left = self.frames
        for samples in with_context(self._signal, length, margin):
            heard = min(left, length)
            samples = samples[:, : heard + 2 * margin]
            cleaned = np.stack([
                denoised(channel, [p[at] for p in self._profile.powers], self._least_gain, self._profile.alone)
                for at, channel in enumerate(samples)
            ])  # fmt: skip
            yield cleaned[:, margin : margin + heard]
            left -= heard


def with_context(signal: Signal, length: int, margin: int) -> Iterator[np.ndarray]:
    """``signal`` in segments of ``length`` with ``margin`` more on either side, ``(channels, length + 2 margin)``.

    Where the sound has not begun or has ended there is silence.
    """
    before = np.zeros((signal.channels, margin), dtype=np.float32)
    waiting = [before]
    held, given = margin, 0
    for block in in_blocks(signal.blocks(), length):
        waiting.append(block)
        held += block.shape[1]
        while held >= length + 2 * margin:
            samples = np.concatenate(waiting, axis=1)
            yield samples[:, : length + 2 * margin]
            given += length
            waiting, held = [samples[:, length:]], held - length
    samples = np.concatenate(waiting, axis=1)
    while given < signal.frames:
        missing = max(length + 2 * margin - samples.shape[1], 0)
        samples = np.pad(samples, ((0, 0), (0, missing)))
        yield samples[:, : length + 2 * margin]
        given += length
        samples = samples[:, length:]


def denoised(samples: np.ndarray, powers: list[np.ndarray], least_gain: np.float32, sure: bool = True) -> np.ndarray:
    """One channel, float32 ``(frames,)``, without noise; ``powers`` as in :class:`NoiseProfile`.

    Where these are not ``sure`` to be noise, the networks may turn down no more in the end than the rule does: a clean
    recording then keeps as much as without them. What lies nearer to either end than ``MARGIN_WINDOWS`` is not whole.
    """
    if not any(power.max() > LEAST_POWER for power in powers):
        return samples
    lengths = [2 * (len(power) - 1) for power in powers]
    spectra = [spectrogram(samples, length) for length in lengths]
    noises = [np.maximum(power, LEAST_POWER).astype(np.float32) for power in powers]
    first = np.zeros_like(samples)
    windows = list(zip(lengths, spectra, noises, strict=True))
    for window, (length, lines, noise) in enumerate(windows):
        ratio = _power(lines) / noise
        first += resynthesised(lines * first_gain(ratio, window, _first_rule(ratio)), length, len(samples))
    first /= len(lengths)
    second = np.zeros_like(samples)
    for window, (length, lines, noise) in enumerate(windows):
        music = _power(spectrogram(first, length)) / noise
        rule = music / (1 + music)
        gain = second_gain(_power(lines) / noise, music, window, rule)
        gain = gain if sure else np.maximum(gain, rule)
        second += resynthesised(lines * np.maximum(gain, least_gain), length, len(samples))
    return second / np.float32(len(lengths))


def _first_rule(ratio: np.ndarray) -> np.ndarray:
    """The gain by the power over the noise, ``(frames, lines)``: that of the neighbourhood, then that of the place."""
    from scipy.ndimage import uniform_filter

    music = np.maximum(uniform_filter(ratio, NEIGHBOURS, mode="nearest") - OVER, 0)
    gain = music / (1 + music)
    music = gain * gain * ratio
    weighed: np.ndarray = music / (1 + music)
    return weighed


def _power(lines: np.ndarray) -> np.ndarray:
    power: np.ndarray = lines.real**2 + lines.imag**2
    return power


def spectrogram(samples: np.ndarray, length: int) -> np.ndarray:
    """Frames of ``length``, a quarter apart, as spectra: complex64 ``(frames, length / 2 + 1)``.

    The window is that of :func:`noise_window`.
    """
    from scipy.fft import rfft

    window = noise_window(length).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[:: length // OVERLAP]
    lines: np.ndarray = rfft(frames * window, axis=1)
    return lines


def resynthesised(lines: np.ndarray, length: int, frames: int) -> np.ndarray:
    """The sound of a :func:`spectrogram`, float32 ``(frames,)``; what no four frames lie over is not whole."""
    from scipy.fft import irfft

    hop = length // OVERLAP
    window = (noise_window(length) * hop).astype(np.float32)
    pieces = irfft(lines, length, axis=1) * window
    sound = np.zeros((len(pieces) + OVERLAP - 1, hop), dtype=np.float32)
    for quarter in range(OVERLAP):
        sound[quarter : quarter + len(pieces)] += pieces[:, quarter * hop : (quarter + 1) * hop]
    flat = sound.reshape(-1)
    whole = np.zeros(frames, dtype=np.float32)
    whole[: min(len(flat), frames)] = flat[:frames]
    return whole
