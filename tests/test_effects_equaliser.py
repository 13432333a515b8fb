"""The equaliser's measured response, against the analogue prototypes of the cookbook."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.effects.equaliser import Equaliser
from midigen.errors import BadRequest


def measured_db(setting: Equaliser, hz: np.ndarray, rate: int) -> np.ndarray:
    """The gain of a processor at ``hz``, from the spectrum of what it makes of a click."""
    click = np.zeros((2, 2 * rate), dtype=np.float32)
    click[:, 0] = 1
    heard = setting.processor(rate).process(click).astype(np.float64)
    assert np.array_equal(heard[0], heard[1])
    spectrum = np.abs(np.fft.rfft(heard[0]))
    return 20 * np.log10(spectrum[np.rint(2 * hz).astype(int)])  # the bins are half a hertz apart


def analogue_db(band: str, gain_db: float, centre_hz: float, quality: float, hz: np.ndarray, rate: int) -> np.ndarray:
    """|H(s)| of the cookbook's prototypes, on the frequency axis that the bilinear transform bends."""
    s = 1j * np.tan(np.pi * hz / rate) / math.tan(math.pi * centre_hz / rate)
    a = 10 ** (gain_db / 40)
    if band == "mid":
        gain = (s * s + s * (a / quality) + 1) / (s * s + s / (a * quality) + 1)
    else:
        low = a * (s * s + math.sqrt(2 * a) * s + a) / (a * s * s + math.sqrt(2 * a) * s + 1)
        high = a * (a * s * s + math.sqrt(2 * a) * s + 1) / (s * s + math.sqrt(2 * a) * s + a)
        gain = low if band == "low" else high
    return 20 * np.log10(np.abs(gain))


HZ = np.array([20.0, 40, 80, 120, 200, 400, 700, 1_000, 1_500, 3_000, 5_000, 6_000, 8_000, 10_000])


@pytest.mark.parametrize("rate", [22_050, 44_100, 96_000])
@pytest.mark.parametrize("gain_db", [-24, -3, 0.5, 12])
@pytest.mark.parametrize(("band", "centre_hz"), [("low", 120), ("mid", 1_000), ("mid", 5_000), ("high", 6_000)])
def test_a_band_has_the_response_of_its_prototype(band: str, centre_hz: float, gain_db: float, rate: int) -> None:
    setting = Equaliser(**{f"{band}_db": gain_db, f"{band}_hz": centre_hz})  # type: ignore[arg-type]
    expected = analogue_db(band, gain_db, centre_hz, 0.7, HZ, rate)
    assert np.abs(measured_db(setting, HZ, rate) - expected).max() < 0.01
    assert np.abs(setting.response_db(HZ, rate) - expected).max() < 1e-6


@pytest.mark.parametrize("quality", [0.1, 0.7, 10])
def test_a_bell_is_as_wide_as_its_quality_says(quality: float) -> None:
    setting = Equaliser(mid_db=-12, mid_hz=1_000, mid_q=quality)
    assert setting.response_db(np.array([1_000.0]), 48_000)[0] == pytest.approx(-12)
    # at half of the decibels the bell is f / Q wide, on the bent axis
    width = 1 / quality
    edges = np.arctan(np.tan(np.pi * 1_000 / 48_000) * (np.sqrt(1 + width**2 / 4) + np.array([-1, 1]) * width / 2))
    assert setting.response_db(edges * 48_000 / np.pi, 48_000) == pytest.approx([-6, -6])


@pytest.mark.parametrize(("slope_db", "order"), [(12, 2), (24, 4)])
@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_the_high_pass_is_a_butterworth_filter(slope_db: int, order: int, rate: int) -> None:
    setting = Equaliser(high_pass_hz=100, high_pass_slope_db=slope_db)
    hz = np.array([25.0, 50, 100, 200, 400, 1_000, 3_000])
    bent = np.tan(np.pi * hz / rate) / math.tan(math.pi * 100 / rate)
    expected = -10 * np.log10(1 + bent ** (-2 * order))
    assert np.abs(measured_db(setting, hz, rate) - expected).max() < 0.01
    assert setting.response_db(np.array([100.0]), rate)[0] == pytest.approx(-3.0103, abs=1e-4)
    octave = np.diff(setting.response_db(np.array([12.5, 25.0]), rate))[0]
    assert octave == pytest.approx(slope_db, abs=0.1)


def test_a_constant_does_not_pass_the_high_pass() -> None:
    heard = Equaliser(high_pass_hz=30).processor(44_100).process(np.ones((2, 88_200), dtype=np.float32))
    assert np.abs(heard[:, -100:]).max() < 1e-6


@settings(max_examples=25)
@given(
    low_db=st.floats(-12, 12), mid_db=st.floats(-12, 12), high_db=st.floats(-12, 12), mid_q=st.floats(0.3, 5),
    mid_hz=st.floats(100, 8_000),
)  # fmt: skip
def test_opposite_settings_undo_each_other(
    low_db: float, mid_db: float, high_db: float, mid_q: float, mid_hz: float
) -> None:
    one = Equaliser(low_db=low_db, mid_db=mid_db, high_db=high_db, mid_q=mid_q, mid_hz=mid_hz)
    other = replace(one, low_db=-low_db, mid_db=-mid_db, high_db=-high_db)
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 4_000)).astype(np.float32)
    there = one.processor(44_100).process(samples)
    assert np.allclose(other.processor(44_100).process(there), samples, atol=2e-5)


def test_bands_add_up_in_decibels() -> None:
    bands = [Equaliser(low_db=5), Equaliser(mid_db=-4), Equaliser(high_db=3), Equaliser(high_pass_hz=50)]
    together = Equaliser(high_pass_hz=50, low_db=5, mid_db=-4, high_db=3)
    expected = sum(band.response_db(HZ, 44_100) for band in bands)
    assert np.allclose(together.response_db(HZ, 44_100), expected)
    assert len(together.sections(44_100)) == 4


def test_a_band_that_the_rate_cannot_carry_is_left_out() -> None:
    setting = Equaliser(mid_db=6, mid_hz=9_000, high_db=6, high_hz=4_000)
    assert len(setting.sections(8_000)) == 0
    assert len(setting.sections(16_000)) == 1
    assert len(setting.sections(44_100)) == 2
    samples = np.ones((2, 10), dtype=np.float32)
    assert setting.processor(8_000).process(samples) is samples


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"high_pass_hz": 5}, "high-pass 5 is not a number of 0 .off. or 10 to 2000 Hz"),
        ({"high_pass_slope_db": 18}, "slope 18: choose 12 or 24"),
        ({"low_db": 25}, "low shelf gain 25 .* -24 to 24 dB"),
        ({"mid_q": 0}, "mid band Q 0 "),
        ({"high_hz": 30_000}, "high shelf frequency 30000"),
        ({"mid_db": True}, "mid band gain True"),
    ],
)
def test_what_is_out_of_range_is_refused(setting: dict[str, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        Equaliser(**setting)  # type: ignore[arg-type]
