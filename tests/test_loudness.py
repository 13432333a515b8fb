"""Loudness and peaks against the signals of EBU Tech 3341 and 3342 (1 kHz on both channels, unless said)."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.audio import Audio
from midigen.errors import BadRequest
from midigen.loudness import Energies, Meter, integrated_lufs, k_weighting, measure, true_peak_dbtp
from midigen.truepeak import CELL_FRAMES, OVERSAMPLING, TruePeaks

RATE = 48_000
Steps = list[tuple[float, float]]


def tone(*steps: tuple[float, float], rate: int = RATE, channels: int = 2, hertz: float = 1_000) -> Audio:
    """A sine whose peak is at each of the levels (dBFS) for the seconds given."""
    gain = np.concatenate([np.full(round(seconds * rate), 10 ** (dbfs / 20)) for dbfs, seconds in steps])
    wave = gain * np.sin(2 * np.pi * hertz * np.arange(len(gain)) / rate)
    return Audio(np.tile(wave.astype(np.float32), (channels, 1)), rate)


def music(seconds: float, rate: int = RATE, channels: int = 2, seed: int = 0) -> Audio:
    """Noise that comes in strokes, loud and soft, and rests."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * rate)
    levels = 10 ** (rng.uniform(-60, -6, math.ceil(seconds / 0.2)) / 20) * (
        rng.uniform(size=math.ceil(seconds / 0.2)) > 0.2
    )
    strokes = np.repeat(levels, math.ceil(0.2 * rate))[:frames] * np.exp(
        -(np.arange(frames) % round(0.2 * rate)) / 4_000
    )
    return Audio((strokes * rng.standard_normal((channels, frames)) / 3).astype(np.float32), rate)


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
def test_integrated_loudness_of_the_standard_signals(steps: Steps, reads: float, rate: int) -> None:
    assert integrated_lufs(tone(*steps, rate=rate)) == pytest.approx(reads, abs=0.1)


def test_integrated_loudness_of_five_channels() -> None:
    levels = (-28, -28, -24, -30, -30)  # left, right, centre, surrounds: case 6
    samples = np.concatenate([tone((level, 20), channels=1).samples for level in levels])
    assert integrated_lufs(Audio(samples, RATE)) == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("level", [-23, -33])
def test_a_steady_tone_reads_the_same_everywhere(level: float) -> None:
    reading = measure(tone((level, 20)))  # cases 1 and 2
    for value in (reading.integrated_lufs, reading.momentary_max_lufs, reading.short_term_max_lufs):
        assert value == pytest.approx(level, abs=0.1)
    assert reading.range_lu == pytest.approx(0, abs=0.01)
    assert (reading.sample_peak_dbfs, reading.true_peak_dbtp) == pytest.approx((level, level), abs=0.05)
    assert len(reading.momentary_lufs) == 1_961 and len(reading.short_term_lufs) == 171


def test_short_term_loudness_of_case_9() -> None:
    curve = measure(tone(*[(-20, 1.34), (-30, 1.66)] * 5)).short_term_lufs
    np.testing.assert_allclose(curve, -23, atol=0.1)


@pytest.mark.parametrize("number", range(0, 20, 3))
def test_short_term_loudness_of_case_10(number: int) -> None:
    sound = tone((-200, 0.15 * number + 1e-9), (-23, 3), (-200, 1))
    assert measure(sound).short_term_max_lufs == pytest.approx(-23, abs=0.1)


def test_momentary_loudness_of_case_12() -> None:
    curve = measure(tone(*[(-20, 0.18), (-30, 0.22)] * 25)).momentary_lufs
    np.testing.assert_allclose(curve, -23, atol=0.1)


@pytest.mark.parametrize("number", range(0, 20, 3))
def test_momentary_loudness_of_case_13(number: int) -> None:
    sound = tone((-200, 0.02 * number + 1e-9), (-23, 0.4), (-200, 1))
    assert measure(sound).momentary_max_lufs == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "reads"),
    [((-20, -30), 10), ((-20, -15), 5), ((-40, -20), 20), ((-50, -35, -20, -35, -50), 15)],
    ids=["case 1", "case 2", "case 3", "case 4"],
)
def test_loudness_range_of_the_standard_signals(levels: tuple[float, ...], reads: float) -> None:
    sound = tone(*[(level, 20) for level in levels], rate=44_100)
    assert measure(sound).range_lu == pytest.approx(reads, abs=1)


def test_at_48_khz_the_filters_are_those_of_the_standard() -> None:
    tables = [  # BS.1770-4, tables 1 and 2
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48_000), tables, atol=1e-8)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 88_200, 96_000, 192_000, 384_000])
def test_a_tone_reads_the_same_at_every_rate(rate: int) -> None:
    near = 0.1 if rate >= 11_025 else 0.2  # the bilinear transform squeezes what is near half the rate
    assert integrated_lufs(tone((-23, 3), rate=rate)) == pytest.approx(-23, abs=near)
    assert integrated_lufs(tone((-23, 3), rate=rate, hertz=100)) == pytest.approx(
        integrated_lufs(tone((-23, 3), hertz=100)), abs=0.02
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_pyloudnorm_reads_the_same(rate: int, channels: int) -> None:
    sound = music(12, rate, channels, seed=channels)
    # "DeMan" is its class whose coefficients are the standard's own; the default only comes near them
    with np.errstate(divide="ignore"):
        expected = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(sound.samples.T)
    assert integrated_lufs(sound) == pytest.approx(expected, abs=0.005)


@given(
    frames=st.integers(0, 20_000),
    sizes=st.lists(st.integers(1, 9_000), min_size=1, max_size=5),
    rate=st.sampled_from([8_000, 11_025, 22_050, 44_100]),
    seed=st.integers(0, 9),
)
@settings(max_examples=25)
def test_the_reading_does_not_depend_on_the_blocks(frames: int, sizes: list[int], rate: int, seed: int) -> None:
    sound = Audio(music(4, rate, seed=seed).samples[:, :frames].copy(), rate)
    meter = Meter(rate, 2)
    start, number = 0, 0
    while start < frames:
        size = sizes[number % len(sizes)]
        meter.feed(sound.samples[:, start : start + size])
        if number == 1:
            meter.reading()  # a look in between changes nothing
        start, number = start + size, number + 1
    cut, whole = meter.reading(), measure(sound)
    for field in ("integrated_lufs", "range_lu", "momentary_max_lufs", "sample_peak_dbfs", "true_peak_dbtp"):
        assert getattr(cut, field) == getattr(whole, field), field
    np.testing.assert_array_equal(cut.momentary_lufs, whole.momentary_lufs)
    np.testing.assert_array_equal(cut.short_term_lufs, whole.short_term_lufs)


def test_a_reading_with_a_gain_is_that_of_the_louder_sound() -> None:
    sound = music(8)
    for gain_db in (-30.0, 0.0, 12.5):
        meter = Meter(sound.rate, 2)
        meter.feed(sound.samples)
        told = meter.reading(gain_db)
        true = measure(Audio(sound.samples * np.float32(10 ** (gain_db / 20)), sound.rate))
        for field in ("integrated_lufs", "range_lu", "short_term_max_lufs", "sample_peak_dbfs", "true_peak_dbtp"):
            assert getattr(told, field) == pytest.approx(getattr(true, field), abs=1e-4), field


def test_a_mono_tone_is_three_decibels_under_the_same_in_stereo() -> None:
    stereo, mono = (integrated_lufs(tone((-23, 5), channels=n)) for n in (2, 1))
    assert stereo - mono == pytest.approx(10 * math.log10(2), abs=1e-6)


@pytest.mark.parametrize("frames", [0, 1, 1_000, RATE, 200_000])
def test_silence_is_minus_infinity(frames: int) -> None:
    reading = measure(Audio(np.zeros((2, frames), dtype=np.float32), RATE))
    assert {reading.integrated_lufs, reading.momentary_max_lufs, reading.short_term_max_lufs} == {-math.inf}
    assert {reading.sample_peak_dbfs, reading.true_peak_dbtp} == {-math.inf}
    assert reading.range_lu == 0
    assert np.isneginf(reading.momentary_lufs).all() and np.isneginf(reading.short_term_lufs).all()


def test_silence_after_a_sound_is_silence_again() -> None:
    sound = np.zeros((2, 20 * RATE), dtype=np.float32)
    sound[:, :RATE] = tone((-6, 1)).samples
    reading = measure(Audio(sound, RATE))
    assert np.isneginf(reading.momentary_lufs[200:]).all()
    assert np.isneginf(reading.short_term_lufs[40:]).all()


def test_what_is_under_the_gate_throughout_is_minus_infinity() -> None:
    reading = measure(tone((-75, 5)))
    assert reading.integrated_lufs == -math.inf
    assert reading.momentary_max_lufs == pytest.approx(-75, abs=0.1)


@pytest.mark.parametrize("seconds", [0.001, 0.1, 0.3, 0.4, 0.45])
def test_a_very_short_sound_counts_as_one_block_with_silence_after_it(seconds: float) -> None:
    reading = measure(tone((-20, seconds)))
    for value, length in ((reading.integrated_lufs, 0.4), (reading.short_term_max_lufs, 3.0)):
        expected = -20 + 10 * math.log10(min(seconds, length) / length)
        # a step has a spectrum of its own, which matters the more the shorter the sound is
        assert value == pytest.approx(expected, abs=0.1 if seconds >= 0.1 else 3)
    assert reading.range_lu == 0


def test_what_follows_the_last_whole_block_does_not_count() -> None:
    sound = tone((-23, 5))
    assert integrated_lufs(tone((-23, 5), (0, 0.05))) == integrated_lufs(sound)


@pytest.mark.parametrize("channels", [0, 6])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    with pytest.raises(BadRequest, match=f"loudness of {channels} channels: give 1 to 5"):
        Meter(RATE, channels)


@given(frames=st.integers(1, 500), parts=st.integers(1, 40), sizes=st.lists(st.integers(1, 300), min_size=1))
@settings(max_examples=50)
def test_cells_share_their_frames_evenly_and_lose_none(frames: int, parts: int, sizes: list[int]) -> None:
    energies, parts = Energies(1, frames, min(parts, frames)), min(parts, frames)
    ends = [energies.end(cell) for cell in range(2 * parts)]
    assert ends[parts - 1] == frames and ends[-1] == 2 * frames
    lengths = np.diff([0, *ends])
    assert lengths.min() >= frames // parts and lengths.max() <= -(-frames // parts)
    found = np.concatenate([energies.feed(np.ones((1, size))) for size in sizes])
    total = sum(sizes)
    whole = [end for cell in range(total * parts // frames + 2) if (end := energies.end(cell)) <= total]
    np.testing.assert_array_equal(found, np.diff([0, *whole]))


# Peaks


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize(
    ("divisor", "degrees", "amplitude", "reads"),
    [(4, 0, 0.5, -6), (4, 45, 0.5, -6), (6, 60, 0.5, -6), (8, 67.5, 0.5, -6), (4, 45, 1.41, 3)],
    ids=["case 15", "case 16", "case 17", "case 18", "case 19"],
)
def test_true_peak_of_the_standard_signals(
    divisor: int, degrees: float, amplitude: float, reads: float, rate: int
) -> None:
    frames = np.arange(rate)
    # faded in and out: a tone that begins at once overshoots when it is interpolated, and truly so
    fade = np.minimum(np.minimum(frames, frames[::-1]) / 1_000, 1)
    wave = amplitude * fade * np.sin(2 * np.pi * frames / divisor + math.radians(degrees))
    sound = Audio(np.tile(wave.astype(np.float32), (2, 1)), rate)
    for measured in (true_peak_dbtp(sound), measure(sound).true_peak_dbtp):
        assert reads - 0.4 <= measured <= reads + 0.2


def levels_of(samples: np.ndarray, peaks: TruePeaks, *sizes: int) -> np.ndarray:
    found, start = [], 0
    for size in sizes:
        found.append(peaks.feed(samples[:, start : start + size]))
        start += size
    return np.concatenate([*found, peaks.feed(samples[:, start:]), peaks.rest()])


def test_levels_are_those_of_a_fine_interpolation() -> None:
    from scipy.signal import butter, resample_poly, sosfilt

    noise = np.random.default_rng(4).standard_normal((2, 9_600))
    samples = sosfilt(butter(8, 0.75, output="sos"), noise, axis=1).astype(np.float32)
    fine = np.abs(resample_poly(samples.astype(np.float64), OVERSAMPLING, 1, axis=1, window=("kaiser", 4.0)))
    expected = fine.reshape(2, -1, CELL_FRAMES * OVERSAMPLING).max(axis=(0, 2))
    levels = levels_of(samples, TruePeaks(2))
    assert levels.shape == (600,)
    assert (levels >= np.abs(samples).reshape(2, -1, CELL_FRAMES).max(axis=(0, 2))).all()
    assert np.abs(20 * np.log10(levels / expected)).max() < 0.1  # another filter


def test_longer_hops_have_the_highest_level_of_shorter_ones() -> None:
    samples = np.random.default_rng(5).uniform(-0.5, 0.5, (2, 40_000)).astype(np.float32)
    short, long = levels_of(samples, TruePeaks(2)), levels_of(samples, TruePeaks(2, 4 * CELL_FRAMES))
    np.testing.assert_array_equal(long, short.reshape(-1, 4).max(axis=1))


@given(sizes=st.lists(st.integers(0, 30_000), max_size=4), choice=st.sampled_from(["all", "floor", "within", "both"]))
@settings(max_examples=25)
def test_levels_do_not_depend_on_the_blocks_and_are_right_where_they_matter(sizes: list[int], choice: str) -> None:
    rng = np.random.default_rng(6)
    samples = (rng.standard_normal((2, 40_001)) * np.exp(-np.arange(40_001) / 9_000)).astype(np.float32)
    full = levels_of(samples, TruePeaks(2))
    arguments = {
        "all": {},
        "floor": {"floor": 0.7},
        "within": {"within_db": 6.0},
        "both": {"floor": 0.7, "within_db": 6.0},
    }[choice]
    levels = levels_of(samples, TruePeaks(2, **arguments), *sizes)  # type: ignore[arg-type]
    np.testing.assert_array_equal(levels, levels_of(samples, TruePeaks(2, **arguments)))  # type: ignore[arg-type]
    lowest = {"all": 0.0, "floor": 0.7, "within": full.max() / 2, "both": min(0.7, full.max() / 2)}[choice]
    matters = full > lowest
    assert choice == "all" or not matters.all()
    np.testing.assert_allclose(levels[matters], full[matters], rtol=1e-6)
    assert (levels <= full * (1 + 1e-6)).all()
