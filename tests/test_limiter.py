"""The limiter: nothing passes the ceiling, and what need not be touched is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.audio import Audio, Signal
from midigen.limiter import (
    ATTACK_SECONDS,
    MARGIN_DB,
    RELEASE_DB_PER_SECOND,
    Limited,
    LiveLimiter,
    gain_curve,
    hop_frames,
    limit,
)
from midigen.loudness import true_peak_dbtp

RATE = 44_100


def whole(signal: Signal, size: int = 65_536) -> np.ndarray:
    return np.concatenate(list(signal.blocks(size)), axis=1)


def drums(seconds: float = 2.0, rate: int = RATE, seed: int = 1) -> Audio:
    rng = np.random.default_rng(seed)
    frames = np.arange(round(seconds * rate))
    strokes = rng.standard_normal((2, len(frames))) * np.exp(-(frames % (rate // 5)) / (rate / 40))
    return Audio((0.3 * strokes).astype(np.float32), rate)


@pytest.mark.parametrize(("rate", "frames"), [(8_000, 16), (44_100, 16), (48_000, 16), (96_000, 32), (192_000, 64)])
def test_a_hop_is_a_third_of_a_millisecond(rate: int, frames: int) -> None:
    assert hop_frames(rate) == frames


@given(
    spikes=st.lists(st.tuples(st.integers(0, 19_999), st.floats(-8, 8, width=32)), min_size=1, max_size=12),
    gain_db=st.floats(-10, 12),
)
@settings(max_examples=40)
def test_every_sample_is_under_the_ceiling_and_what_is_far_away_is_left(
    spikes: list[tuple[int, float]], gain_db: float
) -> None:
    samples = 0.01 * np.sin(np.arange(20_000) / 20, dtype=np.float64)
    for frame, value in spikes:
        samples[frame] += value
    sound = Audio(np.stack([samples, 0.5 * samples]).astype(np.float32), RATE)
    result = limit(sound, gain_db, -1.0)
    limited = whole(result)
    assert np.abs(limited).max() <= 10 ** (-1 / 20) + 1e-6
    gained = sound.samples * np.float32(10 ** (gain_db / 20))
    assert (np.abs(limited) <= np.abs(gained) + 1e-6).all()
    # both channels move together, so that the picture stays
    np.testing.assert_allclose(limited[1], 0.5 * limited[0], atol=1e-6)
    if result.limited_db == 0:
        np.testing.assert_array_equal(limited, gained)
    untouched = max(min(frame for frame, _ in spikes) - 1_000, 0)
    np.testing.assert_array_equal(limited[:, :untouched], gained[:, :untouched])


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("ceiling", [-1.0, -6.0])
@pytest.mark.parametrize("gain_db", [3.0, 12.0])
def test_true_peaks_stay_under_the_ceiling(rate: int, ceiling: float, gain_db: float) -> None:
    sound = drums(1.0, rate)
    result = limit(sound, gain_db, ceiling)
    assert ceiling - 0.2 < true_peak_dbtp(result) <= ceiling
    assert result.limited_db == pytest.approx(true_peak_dbtp(sound) + gain_db - ceiling + MARGIN_DB, abs=0.01)


@given(sizes=st.lists(st.integers(1, 9_000), min_size=1, max_size=2), frames=st.integers(1, 30_000))
@settings(max_examples=30)
def test_samples_do_not_depend_on_the_blocks(sizes: list[int], frames: int) -> None:
    sound = Audio(drums(1.0).samples[:, :frames].copy(), RATE)
    result = limit(sound, 12.0, -1.0)
    expected = whole(result)
    for size in sizes:  # and it may be read again and again
        np.testing.assert_array_equal(whole(result, size), expected)
    assert (result.rate, result.channels, result.frames) == (RATE, 2, frames)
    assert expected.dtype == np.float32 and expected.shape == (2, frames)


def test_what_is_under_the_ceiling_is_only_multiplied() -> None:
    sound = drums()
    quiet_db = -2.0 - true_peak_dbtp(sound)
    result = limit(sound, quiet_db, -1.0)
    assert result.limited_db == 0
    np.testing.assert_array_equal(whole(result), sound.samples * np.float32(10 ** (quiet_db / 20)))


def test_the_source_is_not_written_into() -> None:
    sound = drums()
    before = sound.samples.copy()
    whole(limit(sound, 12.0, -1.0))
    np.testing.assert_array_equal(sound.samples, before)


def test_the_gain_falls_ahead_of_a_peak_and_comes_back_along_a_line() -> None:
    hop_rate = RATE / hop_frames(RATE)
    levels = np.full(6_000, 0.1, dtype=np.float32)
    levels[3_000] = 2.0
    curve = gain_curve(levels, RATE, 0.0, -1.0)
    assert curve is not None
    curve_db = 20 * np.log10(curve.astype(np.float64))
    needed_db = -1.0 - MARGIN_DB - 20 * math.log10(2)
    assert curve_db.min() == pytest.approx(needed_db, abs=1e-4)
    assert curve_db[3_000] == pytest.approx(needed_db, abs=1e-4)
    begins = np.flatnonzero(curve_db < -1e-6)[0]
    assert 0 < (3_000 - begins) / hop_rate <= 2.2 * ATTACK_SECONDS
    later = curve_db[3_100:3_200]  # past what is smoothed
    np.testing.assert_allclose(np.diff(later), RELEASE_DB_PER_SECOND / hop_rate, atol=1e-5)
    ends = np.flatnonzero(curve_db < -1e-6)[-1]
    assert (ends - 3_000) / hop_rate == pytest.approx(-needed_db / RELEASE_DB_PER_SECOND, abs=2.2 * ATTACK_SECONDS)


@given(seed=st.integers(0, 99), hops=st.integers(1, 20_000), spread=st.floats(0.0, 3.0))
@settings(max_examples=30)
def test_the_curve_is_at_or_under_what_every_hop_needs(seed: int, hops: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    levels = np.exp(spread * rng.standard_normal(hops) - 2).astype(np.float32)
    curve = gain_curve(levels, RATE, 3.0, -1.0)
    if curve is None:
        assert 20 * math.log10(levels.max()) + 3.0 <= -1.0 + 1e-5
        return
    assert curve.shape == levels.shape and curve.max() <= 1 and curve.min() > 0
    assert 20 * np.log10((levels * curve).max()) + 3.0 <= -1.0 - MARGIN_DB + 1e-4


def test_a_long_curve_has_no_seams() -> None:
    """It is worked out piece by piece; a shift of the sound must shift the curve and do nothing else."""
    levels = np.exp(np.random.default_rng(3).standard_normal(30_000) - 2).astype(np.float32)
    curve = gain_curve(levels, RATE, 0.0, -6.0)
    shifted = gain_curve(np.concatenate([np.zeros(5_000, dtype=np.float32), levels]), RATE, 0.0, -6.0)
    assert curve is not None and shifted is not None
    np.testing.assert_allclose(shifted[5_000:], curve, atol=1e-6)
    assert (shifted[:4_900] == 1).all()


def test_between_the_hops_the_gain_runs_straight() -> None:
    factors = np.array([1.0, 0.5, 0.75], dtype=np.float32)
    result = Limited(Audio(np.ones((1, 40), dtype=np.float32), RATE), 0.0, factors)
    expected = np.interp(np.arange(40), (np.arange(3) + 0.5) * 16 - 0.5, factors)
    np.testing.assert_allclose(whole(result)[0], expected, atol=1e-6)
    np.testing.assert_array_equal(whole(result, 7), whole(result))
    assert result.limited_db == pytest.approx(20 * math.log10(2))


def test_silence_and_the_shortest_sounds() -> None:
    silence = limit(Audio(np.zeros((2, 9_999), dtype=np.float32), RATE), 24.0, -1.0)
    assert silence.limited_db == 0 and not whole(silence).any()
    for frames in (1, 15, 17, 300):
        short = limit(Audio(np.full((1, frames), 0.9, dtype=np.float32), RATE), 6.0, -1.0)
        assert true_peak_dbtp(short) <= -1.0
        assert short.limited_db > 4


@pytest.mark.parametrize(("rate", "size"), [(44_100, 512), (48_000, 333), (96_000, 1_024)])
def test_a_live_limiter_gives_what_the_limiter_of_the_whole_does(rate: int, size: int) -> None:
    sound = drums(rate=rate)
    loud = Audio(sound.samples * np.float32(5), rate)
    expected = whole(limit(loud, 0.0, -1.0))
    live = LiveLimiter(rate, -1.0)
    fed = np.pad(loud.samples, ((0, 0), (0, live.latency_frames)))
    blocks = [live.process(fed[:, start : start + size]) for start in range(0, fed.shape[1], size)]
    got = np.concatenate(blocks, axis=1)[:, live.latency_frames :]
    # Before the middle of the first hop the one stands still, where the other comes from the silence before.
    assert np.abs(got - expected)[:, hop_frames(rate) // 2 :].max() < 1e-6
    assert np.abs(got - expected).max() < 1e-3
    assert live.limited_db > 6
    assert true_peak_dbtp(Audio(got, rate)) <= -1.0


def test_a_live_limiter_leaves_what_is_under_the_ceiling() -> None:
    sound = drums().samples * np.float32(0.2)
    live = LiveLimiter(RATE, -1.0)
    fed = np.pad(sound, ((0, 0), (0, live.latency_frames)))
    got = np.concatenate([live.process(fed[:, at : at + 512]) for at in range(0, fed.shape[1], 512)], axis=1)
    assert np.array_equal(got[:, live.latency_frames :], sound)
    live.set_ceiling(-20.0)
    quiet = np.concatenate([live.process(fed[:, at : at + 512]) for at in range(0, fed.shape[1], 512)], axis=1)
    assert np.abs(quiet[:, live.latency_frames * 2 :]).max() <= 10 ** (-20 / 20)
