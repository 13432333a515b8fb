"""The reverb: its decay, its level, its picture, and that it convolves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from midigen.audio import Audio
from midigen.effects import Processed, reverb
from midigen.effects.reverb import REVERBS, Reverb, reverb_named
from midigen.effects.rooms import impulse_response
from midigen.errors import BadRequest


def in_octave(response: np.ndarray, hz: float, rate: int) -> np.ndarray:
    """``response`` in the octave around ``hz``, its time kept."""
    from scipy.signal import butter, sosfiltfilt

    sections = butter(4, (hz / np.sqrt(2), hz * np.sqrt(2)), "bandpass", fs=rate, output="sos")
    filtered: np.ndarray = sosfiltfilt(sections, np.pad(response.astype(np.float64), ((0, 0), (0, 0), (0, rate // 4))))
    return filtered


def decay_seconds(response: np.ndarray, rate: int) -> float:
    """RT60 by Schroeder's backward integration: the line from -5 to -35 dB (T30 of ISO 3382-1), mean of the paths."""
    times = []
    for path in response.reshape(-1, response.shape[-1]):
        left = np.cumsum(path[::-1] ** 2)[::-1]
        level_db = 10 * np.log10(np.maximum(left / left[0], 1e-12))
        begin, end = (int(np.argmax(level_db <= edge_db)) for edge_db in (-5, -35))
        slope = np.polyfit(np.arange(begin, end) / rate, level_db[begin:end], 1)[0]
        times.append(-60 / slope)
    return float(np.mean(times))


def pink(seconds: float, rate: int, seed: int) -> np.ndarray:
    frames = round(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(frames))
    hz = np.fft.rfftfreq(frames, 1 / rate)
    spectrum[hz < 20] = 0
    spectrum[hz >= 20] /= np.sqrt(hz[hz >= 20])
    noise = np.fft.irfft(spectrum, frames)
    return (0.1 * noise / noise.std()).astype(np.float32)


def loudness_lufs(samples: np.ndarray, rate: int) -> float:
    import pyloudnorm

    return float(pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples.T.astype(np.float64)))


@pytest.mark.parametrize("rate", [22_050, 44_100])
@pytest.mark.parametrize("name", list(REVERBS))
def test_it_decays_in_its_time(name: str, rate: int) -> None:
    setting = REVERBS[name]
    response = setting.response(rate)
    # ISO 3382-1 gives a room the mean of the octaves at 500 and 1,000 Hz as its one number
    middle = np.mean([decay_seconds(in_octave(response, hz, rate), rate) for hz in (500, 1_000)])
    assert middle == pytest.approx(setting.decay_seconds, rel=0.1)
    for hz in (250, 2_000, 4_000):
        expected = setting.decay_seconds / (1 + (hz / setting.damping_hz) ** 2)
        assert decay_seconds(in_octave(response, hz, rate), rate) == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1, 4])
def test_without_damping_all_frequencies_decay_alike(seconds: float) -> None:
    response = Reverb(decay_seconds=seconds, damping_hz=0, low_cut_hz=0, size_m=0, pre_delay_ms=0).response(22_050)
    assert decay_seconds(response.astype(np.float64), 22_050) == pytest.approx(seconds, rel=0.05)


def test_highs_decay_faster_the_lower_the_damping() -> None:
    times = []
    for damping_hz in (2_000, 5_000, 12_000, 0):
        response = Reverb(decay_seconds=1, damping_hz=damping_hz).response(22_050)
        times.append(decay_seconds(in_octave(response, 4_000, 22_050), 22_050))
    assert times == sorted(times) and times[0] < 0.5 < 0.9 < times[-1]


@pytest.mark.parametrize("name", list(REVERBS))
def test_the_sides_are_unrelated_yet_add_up(name: str) -> None:
    rate = 44_100
    response = REVERBS[name].response(rate).astype(np.float64)
    for source in (*response, response.sum(axis=0)):  # from the left, from the right, from the middle
        assert abs(np.corrcoef(source)[0, 1]) < 0.1
        powers = (source**2).sum(axis=1)
        assert powers[0] == pytest.approx(powers[1], rel=0.1), "it leans to one side"
    for hz in (125, 250, 500, 1_000, 2_000, 4_000, 8_000):
        middle = in_octave(response, hz, rate).sum(axis=0)
        folded_db = 10 * np.log10((middle.sum(axis=0) ** 2).sum() / (middle**2).sum())
        assert abs(folded_db) < 2, "something is lost, or doubled, in mono"


@pytest.mark.parametrize("width", [0, 0.5, 1])
def test_width_is_how_unrelated_the_sides_are(width: float) -> None:
    response = Reverb(decay_seconds=1, width=width, size_m=0).response(22_050).astype(np.float64)
    expected = (1 - width**2) / (1 + width**2)
    assert np.corrcoef(response[0])[0, 1] == pytest.approx(expected, abs=0.03)
    if not width:
        assert np.array_equal(response[:, 0], response[:, 1])


@pytest.mark.parametrize("name", list(REVERBS))
def test_pink_noise_comes_back_as_loud_as_it_goes_in(name: str) -> None:
    rate = 44_100
    one, two = pink(6, rate, 1), pink(6, rate, 2)
    for sides in ((one, two), (one, one), (one, 0 * one)):
        sent = np.stack(sides)
        heard = np.concatenate(
            list(Processed(Audio(sent, rate), [REVERBS[name]], frames=sent.shape[1]).blocks()), axis=1
        )
        settled = slice(2 * rate, None)
        change = loudness_lufs(heard[:, settled], rate) - loudness_lufs(sent[:, settled], rate)
        assert change == pytest.approx(0, abs=0.5)


def test_it_is_a_convolution_with_its_response() -> None:
    from scipy.signal import oaconvolve

    rate, setting = 8_000, Reverb(decay_seconds=1.1, pre_delay_ms=30)
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 30_000)).astype(np.float32)
    samples[:, 9_000:22_000] = 0
    response = setting.response(rate).astype(np.float64)
    expected = sum(oaconvolve(samples[side].astype(np.float64)[np.newaxis], response[side], axes=1) for side in (0, 1))
    signal = Processed(Audio(samples, rate), [setting])
    heard = np.concatenate(list(signal.blocks(5_000)), axis=1)
    assert heard.shape == expected.shape
    assert np.abs(heard - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("rate", [48_000, 96_000])
def test_it_is_the_same_room_at_every_rate(rate: int) -> None:
    # up to 15 kHz, in bins of a third of a hertz; the rounding of a pre-delay to whole frames is no matter here
    usual, other = (
        np.fft.rfft(Reverb(decay_seconds=1, pre_delay_ms=0).response(each).astype(np.float64), 3 * each)[..., :45_000]
        for each in (44_100, rate)
    )
    assert np.linalg.norm(other - usual) < 0.005 * np.linalg.norm(usual)


def test_it_is_the_same_every_time() -> None:
    first = impulse_response(0.5, 6_000, 100, 1.0, 8, 22_050)
    impulse_response.cache_clear()
    assert impulse_response(0.5, 6_000, 100, 1.0, 8, 22_050).tobytes() == first.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0] = 1


def test_nothing_comes_before_the_pre_delay() -> None:
    response = Reverb(pre_delay_ms=50).response(8_000)
    assert not response[..., :400].any()
    assert response[..., 400:440].any()


def test_the_low_cut_keeps_the_bass_out() -> None:
    def power(low_cut_hz: float) -> float:
        response = Reverb(decay_seconds=2, low_cut_hz=low_cut_hz).response(22_050)
        return float((in_octave(response, 63, 22_050) ** 2).sum())

    assert 10 * np.log10(power(250) / power(0)) == pytest.approx(-24, abs=3)  # two octaves, 12 dB each


@pytest.mark.parametrize("size_m", [3, 8, 60])
def test_rooms_of_every_size_have_early_reflections(size_m: float) -> None:
    rate = 44_100
    bare, room = (Reverb(decay_seconds=2, pre_delay_ms=0, size_m=size).response(rate) for size in (0, size_m))
    # reflections stand out of the noise, and the larger the room the later the first of them
    assert np.abs(room).max() > 2.5 * np.abs(bare).max()
    first_ms = np.argmax(np.abs(room).max(axis=(0, 1)) > 0.5 * np.abs(room).max()) / rate * 1_000
    assert first_ms == pytest.approx(0.446 * size_m, rel=0.1)


def test_silence_between_sounds_costs_no_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    rate = 8_000
    counted: list[object] = []
    real = reverb.rfft
    effect = Reverb(decay_seconds=0.3).processor(rate)

    def counting(*words: Any) -> np.ndarray:
        counted.append(words)
        return np.asarray(real(*words))

    monkeypatch.setattr(reverb, "rfft", counting)
    burst = np.ones((2, 100), dtype=np.float32)
    effect.process(np.concatenate([burst, np.zeros((2, 50 * effect.latency_frames), np.float32)], axis=1))
    assert len(counted) == 2  # the partition with the burst is heard in two windows, and 48 are passed over


def test_a_reverb_by_name_may_be_changed() -> None:
    assert reverb_named("hall") == REVERBS["hall"]
    longer = reverb_named("hall", decay_seconds=4)
    assert longer.decay_seconds == 4 and longer.size_m == REVERBS["hall"].size_m
    with pytest.raises(BadRequest, match="unknown reverb 'cave': choose one of room, hall, plate"):
        reverb_named("cave")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"decay_seconds": 0}, "reverb decay 0 is not a number of 0.1 to 10 seconds"),
        ({"width": 1.5}, "width 1.5"),
        ({"damping_hz": 500}, "damping 500 .* 0 .off. or 1000 to 20000 Hz"),
        ({"size_m": 1}, "size 1 .* 0 .off. or 3 to 60 metres"),
        ({"pre_delay_ms": -1}, "pre-delay -1"),
    ],
)
def test_what_is_out_of_range_is_refused(setting: dict[str, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        Reverb(**setting)
