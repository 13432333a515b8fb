"""Gain, pan and width, by algebra."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.effects.stereo import Stereo, factor, pan_gains
from midigen.errors import BadRequest

RATE = 44_100


def sound(channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, 500)).astype(np.float32)


def placed(samples: np.ndarray, **setting: float) -> np.ndarray:
    return Stereo(**setting).processor(RATE).process(samples)


@given(gain_db=st.floats(-24, 24))
def test_a_gain_is_undone_by_its_opposite(gain_db: float) -> None:
    there = placed(sound(), gain_db=gain_db)
    assert np.allclose(placed(there, gain_db=-gain_db), sound(), rtol=3e-7, atol=0)
    assert factor(gain_db) * factor(-gain_db) == pytest.approx(1, abs=1e-15)


def test_six_decibels_are_nearly_a_factor_of_two() -> None:
    assert factor(0) == 1.0
    assert factor(20 * math.log10(2)) == pytest.approx(2)
    assert np.array_equal(placed(sound(), gain_db=20), sound() * np.float32(10))


@given(pan=st.floats(-1, 1))
def test_pan_keeps_the_power_of_a_mono_sound(pan: float) -> None:
    left, right = pan_gains(pan, 1)
    assert left**2 + right**2 == pytest.approx(1)
    assert (left > right) == (pan < 0) or abs(pan) < 1e-9
    # the same on both sides, at the power of the middle: the balance agrees with the mono law
    assert np.allclose(np.array(pan_gains(pan, 2)) * math.sqrt(0.5), (left, right))
    assert pan_gains(-pan, 1) == pytest.approx((right, left))


@pytest.mark.parametrize("channels", [1, 2])
def test_hard_left_leaves_nothing_on_the_right(channels: int) -> None:
    heard = placed(sound(channels), pan=-1)
    assert not heard[1].any()
    assert np.allclose(heard[0], sound(channels)[0] * (1 if channels == 1 else math.sqrt(2)))
    assert not placed(sound(channels), pan=1)[0].any()


def test_the_middle_is_three_decibels_down_in_mono() -> None:
    assert 20 * math.log10(pan_gains(0, 1)[0]) == pytest.approx(-3.0103, abs=1e-4)
    assert pan_gains(0, 2) == (1.0, 1.0)


def test_no_width_is_mono_and_twice_is_twice_the_side() -> None:
    narrow = placed(sound(), width=0)
    assert np.array_equal(narrow[0], narrow[1])
    assert np.allclose(narrow[0], sound().mean(axis=0), atol=1e-6)
    wide, before = placed(sound(), width=2), sound()
    assert np.allclose(wide[0] - wide[1], 2 * (before[0] - before[1]), atol=1e-5)
    assert np.allclose(wide.sum(axis=0), before.sum(axis=0), atol=1e-5)


@given(width=st.floats(0.5, 2))
def test_a_width_is_undone_by_its_inverse(width: float) -> None:
    assert np.allclose(placed(placed(sound(), width=width), width=1 / width), sound(), atol=5e-6)


def test_width_does_nothing_to_mono() -> None:
    assert np.array_equal(placed(sound(1), width=2), placed(sound(1)))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"pan": 1.1}, "pan 1.1"),
        ({"width": -0.1}, "width -0.1"),
        ({"gain_db": 30}, "30 is not a number of -60 to 24 dB"),
    ],
)
def test_what_is_out_of_range_is_refused(setting: dict[str, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        Stereo(**setting)
