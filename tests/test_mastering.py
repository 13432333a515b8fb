"""Mastering, by what meters read of it: this house's own, and ffmpeg's."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.audio import BLOCK_FRAMES, Audio, write_audio
from midigen.errors import BadRequest
from midigen.loudness import measure
from midigen.mastering import LARGEST_LIMITING_DB, Mastered, master

RATE = 44_100


def band(seconds: float = 6.0, rate: int = RATE, channels: int = 2, seed: int = 0) -> Audio:
    """Drums over a bass and a chord, with a soft beginning."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    beat = time % 0.5
    kick = np.sin(2 * np.pi * 60 * beat) * np.exp(-beat * 15)
    snare = rng.standard_normal((channels, len(time))) * np.exp(-((time + 0.25) % 0.5) * 25) * 0.3
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in (55, 220, 277, 330)) * 0.05
    return Audio(((kick + snare + tones) * np.minimum(0.2 + time / 3, 1) * 0.5).astype(np.float32), rate)


def whole(result: Mastered, size: int = BLOCK_FRAMES) -> Audio:
    return Audio(np.concatenate(list(result.signal.blocks(size)), axis=1), result.signal.rate)


class Counted:
    """A signal that counts how often it is read."""

    def __init__(self, audio: Audio) -> None:
        self.audio, self.readings = audio, 0
        self.rate, self.channels, self.frames = audio.rate, audio.channels, audio.frames

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        self.readings += 1
        return self.audio.blocks(size)


def check(result: Mastered, target_lufs: float | None, ceiling_dbtp: float = -1.0) -> None:
    """What is said of the result is what a meter reads, and it is what was asked for."""
    reading = measure(whole(result))
    for field in ("integrated_lufs", "true_peak_dbtp", "sample_peak_dbfs", "range_lu", "momentary_max_lufs"):
        assert getattr(result.loudness, field) == pytest.approx(getattr(reading, field), abs=0.001), field
    assert reading.true_peak_dbtp <= ceiling_dbtp
    if target_lufs is not None:
        assert reading.integrated_lufs == pytest.approx(target_lufs, abs=0.1)


@pytest.mark.parametrize("target", [-40.0, -23.0, -16.0, -14.0])
@pytest.mark.parametrize("ceiling", [-1.0, -3.0])
def test_loudness_and_ceiling_are_met(target: float, ceiling: float) -> None:
    check(master(band(), target_lufs=target, ceiling_dbtp=ceiling), target, ceiling)


@pytest.mark.parametrize(("rate", "channels", "target"), [(48_000, 1, -17.0), (96_000, 2, -15.0), (22_050, 5, -9.0)])
def test_they_are_met_at_other_rates_and_channels(rate: int, channels: int, target: float) -> None:
    result = master(band(3.0, rate, channels), target_lufs=target)
    check(result, target)
    assert result.limited_db > 0
    assert (result.signal.rate, result.signal.channels, result.signal.frames) == (rate, channels, 3 * rate)


@given(seed=st.integers(0, 99), level=st.floats(-40, 20), target=st.floats(-30, -12), low=st.floats(20, 15_000))
@settings(max_examples=15)
def test_they_are_met_by_any_noise(seed: int, level: float, target: float, low: float) -> None:
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng(seed)
    frames = 2 * RATE
    strokes = np.exp(-(np.arange(frames) % rng.integers(2_000, 30_000)) / rng.integers(300, 20_000))
    noise = sosfilt(butter(2, low, fs=RATE, output="sos"), rng.standard_normal((2, frames)), axis=1) * strokes
    sound = Audio((noise / np.abs(noise).max() * 10 ** (level / 20)).astype(np.float32), RATE)
    result = master(sound, target_lufs=target)
    out_of_reach = result.limited_db >= LARGEST_LIMITING_DB - 0.1
    check(result, None if out_of_reach else target)
    assert not out_of_reach or result.integrated_lufs <= target + 0.05


def test_a_sound_that_needs_no_limiting_is_only_multiplied_and_read_once() -> None:
    sound = Counted(band())
    result = master(sound, target_lufs=-30)
    assert sound.readings == 1
    assert result.limited_db == 0
    expected = sound.audio.samples * np.float32(10 ** (result.gain_db / 20))
    np.testing.assert_array_equal(whole(result).samples, expected)


def test_limiting_takes_two_readings() -> None:
    sound = Counted(band())
    result = master(sound)
    assert result.limited_db > 1
    assert sound.readings == 2


def test_without_a_target_only_the_ceiling_is_kept() -> None:
    quiet = band()
    left = master(quiet, target_lufs=None)
    assert (left.gain_db, left.limited_db) == (0, 0)
    assert left.signal is quiet
    loud = master(Audio(quiet.samples * np.float32(8), RATE), target_lufs=None)
    check(loud, None)
    assert loud.gain_db == 0
    assert loud.limited_db > LARGEST_LIMITING_DB  # there is no target that could be given up for it


def test_a_target_out_of_reach_keeps_the_ceiling_and_says_so() -> None:
    frames = np.zeros((2, 4 * RATE), dtype=np.float32)
    frames[:, :: RATE // 4] = 0.5  # clicks: loud peaks, little loudness
    result = master(Audio(frames, RATE))
    check(result, None)
    assert result.integrated_lufs < -15
    assert result.limited_db == pytest.approx(LARGEST_LIMITING_DB, abs=0.2)


def test_soft_parts_that_are_lifted_over_the_gate_count() -> None:
    """Under -70 LUFS they were not heard; 40 dB up they are, and the gain must not be the plain difference."""
    rng = np.random.default_rng(2)
    levels = np.repeat([10 ** (-62 / 20), 10 ** (-69 / 20)], 3 * RATE)
    result = master(Audio((rng.standard_normal((2, 6 * RATE)) * levels).astype(np.float32), RATE), target_lufs=-25.0)
    check(result, -25.0)


def test_silence_stays_silence() -> None:
    for frames in (0, 1, RATE):
        silence = Audio(np.zeros((2, frames), dtype=np.float32), RATE)
        result = master(silence)
        assert result.signal is silence
        assert (result.integrated_lufs, result.true_peak_dbtp) == (-math.inf, -math.inf)
        assert (result.gain_db, result.limited_db) == (0, 0)


def test_what_lies_under_the_gate_is_not_blown_up() -> None:
    faint = Audio(np.full((2, RATE), 1e-6, dtype=np.float32), RATE)
    result = master(faint)
    assert result.signal is faint
    assert result.integrated_lufs == -math.inf


def test_the_shortest_sounds() -> None:
    for frames in (1, 30, 1_000):
        result = master(Audio(np.full((1, frames), 0.9, dtype=np.float32), RATE))
        assert np.isfinite(whole(result).samples).all()
        assert measure(whole(result)).true_peak_dbtp <= -1.0


@given(size=st.integers(1_000, 70_000))
@settings(max_examples=5)
def test_the_same_sound_gives_the_same_samples_in_any_blocks(size: int) -> None:
    first = whole(master(band(3.0)))
    np.testing.assert_array_equal(whole(master(band(3.0)), size).samples, first.samples)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"target_lufs": 0.0}, r"loudness target 0\.0 LUFS is outside -70\.\.-5"),
        ({"target_lufs": math.nan}, "target nan"),
        ({"ceiling_dbtp": 0.1}, r"ceiling 0\.1 dBTP is outside -20\.\.0"),
        ({"ceiling_dbtp": math.nan}, "ceiling nan"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        master(band(0.5), **values)  # type: ignore[arg-type]


def test_six_channels_are_refused() -> None:
    with pytest.raises(BadRequest, match="6 channels"):
        master(band(0.5, channels=6))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("target", [-23.0, -14.0])
def test_another_meter_reads_the_same(tmp_path: Path, target: float) -> None:
    path = write_audio(master(band(), target_lufs=target).signal, tmp_path / "mix.wav")
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    summary = report[report.rindex("Summary:") :]
    loudness = float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary)[1])  # type: ignore[index]
    peak = float(re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary)[1])  # type: ignore[index]
    assert loudness == pytest.approx(target, abs=0.1 + 1e-9)  # it prints one digit
    assert peak <= -1.0
