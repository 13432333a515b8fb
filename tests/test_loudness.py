"""Loudness and true peak against the signals of EBU Tech 3341 (1 kHz on both channels, unless said)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from midigen.audio import Audio
from midigen.errors import BadRequest
from midigen.loudness import integrated_lufs, true_peak_dbtp, true_peak_envelope

RATE = 48_000


def tone(*steps: tuple[float, float], rate: int = RATE, channels: int = 2, hertz: float = 1_000) -> Audio:
    """A sine whose peak is at each of the levels (dBFS) for the seconds given."""
    gain = np.concatenate([np.full(round(seconds * rate), 10 ** (dbfs / 20)) for dbfs, seconds in steps])
    wave = gain * np.sin(2 * np.pi * hertz * np.arange(len(gain)) / rate)
    return Audio(np.tile(wave.astype(np.float32), (channels, 1)), rate)


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize(
    ("steps", "reads"),
    [
        ([(-23, 20)], -23),
        ([(-33, 20)], -33),
        ([(-36, 10), (-23, 60), (-36, 10)], -23),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
    ],
    ids=["case 1", "case 2", "case 3", "case 4", "case 5"],
)
def test_integrated_loudness_of_the_standard_signals(steps: list[tuple[float, float]], reads: float, rate: int) -> None:
    assert integrated_lufs(tone(*steps, rate=rate)) == pytest.approx(reads, abs=0.1)


def test_integrated_loudness_of_five_channels() -> None:
    levels = (-28, -28, -24, -30, -30)  # left, right, centre, surrounds: case 6
    samples = np.concatenate([tone((level, 20), channels=1).samples for level in levels])
    assert integrated_lufs(Audio(samples, RATE)) == pytest.approx(-23, abs=0.1)


def test_a_mono_tone_is_three_decibels_under_the_same_in_stereo() -> None:
    stereo, mono = (integrated_lufs(tone((-23, 5), channels=n)) for n in (2, 1))
    assert stereo - mono == pytest.approx(10 * math.log10(2), abs=1e-6)


@pytest.mark.parametrize("frames", [0, 1, 1_000, RATE])
def test_silence_is_minus_infinity(frames: int) -> None:
    silence = Audio(np.zeros((2, frames), dtype=np.float32), RATE)
    assert integrated_lufs(silence) == -math.inf
    assert true_peak_dbtp(silence) == -math.inf


def test_what_is_under_the_gate_throughout_is_minus_infinity() -> None:
    assert integrated_lufs(tone((-75, 5))) == -math.inf


@pytest.mark.parametrize("seconds", [0.001, 0.1, 0.3, 0.4, 0.45])
def test_a_very_short_sound_counts_as_one_block_with_silence_after_it(seconds: float) -> None:
    sound = tone((-20, seconds))
    expected = -20 + 10 * math.log10(min(seconds, 0.4) / 0.4)
    # a step has a spectrum of its own, which matters the more the shorter the sound is
    assert integrated_lufs(sound) == pytest.approx(expected, abs=0.1 if seconds >= 0.1 else 3)


def test_what_follows_the_last_whole_block_does_not_count() -> None:
    sound = tone((-23, 5))
    assert integrated_lufs(tone((-23, 5), (0, 0.05))) == integrated_lufs(sound)


def test_six_channels_are_refused() -> None:
    with pytest.raises(BadRequest, match="6 channels"):
        integrated_lufs(tone((-23, 1), channels=6))


@pytest.mark.parametrize(
    ("divisor", "degrees", "amplitude", "reads"),
    [(4, 0, 0.5, -6), (4, 45, 0.5, -6), (6, 60, 0.5, -6), (8, 67.5, 0.5, -6), (4, 45, 1.41, 3)],
    ids=["case 15", "case 16", "case 17", "case 18", "case 19"],
)
def test_true_peak_of_the_standard_signals(divisor: int, degrees: float, amplitude: float, reads: float) -> None:
    frames = np.arange(RATE)
    # faded in and out: a tone that begins at once overshoots when it is interpolated, and truly so
    fade = np.minimum(np.minimum(frames, frames[::-1]) / 1_000, 1)
    wave = amplitude * fade * np.sin(2 * np.pi * frames / divisor + math.radians(degrees))
    measured = true_peak_dbtp(Audio(np.tile(wave.astype(np.float32), (2, 1)), RATE))
    assert reads - 0.4 <= measured <= reads + 0.2


def test_the_envelope_does_not_depend_on_how_the_sound_is_cut() -> None:
    rng = np.random.default_rng(3)
    samples = rng.uniform(-0.5, 0.5, (2, 10_000)).astype(np.float32)
    whole = true_peak_envelope(samples)
    assert whole.shape == (10_000,)
    assert (whole >= np.abs(samples).max(axis=0)).all()
    cut = 3_333  # the interpolator reaches 10 frames to each side
    np.testing.assert_allclose(true_peak_envelope(samples[:, cut:])[10:], whole[cut + 10 :], atol=1e-6)
    np.testing.assert_allclose(true_peak_envelope(samples[:, :cut])[:-10], whole[: cut - 10], atol=1e-6)


def test_the_envelope_is_that_of_a_fine_interpolation() -> None:
    from scipy.signal import resample_poly

    samples = np.random.default_rng(4).uniform(-0.5, 0.5, (1, 9_000)).astype(np.float32)
    fine = np.abs(resample_poly(samples[0].astype(np.float64), 4, 1)).reshape(-1, 4).max(axis=1)
    expected = np.maximum(fine, np.abs(samples[0]))
    np.testing.assert_allclose(true_peak_envelope(samples), expected, rtol=1e-3)  # 0.01 dB


def test_leaving_out_what_cannot_be_the_peak_does_not_change_the_peak() -> None:
    rng = np.random.default_rng(6)
    samples = (rng.standard_normal((2, 60_000)) * np.exp(-np.arange(60_000) / 9_000)).astype(np.float32)
    full = float(true_peak_envelope(samples).max())
    assert true_peak_dbtp(Audio(samples, RATE)) == pytest.approx(20 * math.log10(full), abs=1e-9)
