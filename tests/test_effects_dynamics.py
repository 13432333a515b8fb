"""Compression and ducking: the static curve, the times, and what they leave alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from midigen.effects.dynamics import Compressor, Ducking
from midigen.errors import BadRequest

RATE = 44_100


def tone(level_db: float, seconds: float, hz: float = 997.0, rate: int = RATE) -> np.ndarray:
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave, wave]).astype(np.float32)


def gain_db(setting: Compressor | Ducking, key: np.ndarray, rate: int = RATE) -> np.ndarray:
    """The gain that is put on a constant while ``key`` sounds, left side."""
    constant = np.ones((2, key.shape[1]), dtype=np.float32)
    heard = setting.processor(rate).process(constant, key)
    assert np.array_equal(heard[0], heard[1])
    return 20 * np.log10(heard[0].astype(np.float64))


@pytest.mark.parametrize("knee_db", [0, 6, 20])
@pytest.mark.parametrize("ratio", [1.5, 4, 100])
def test_steady_levels_come_out_on_the_static_curve(ratio: float, knee_db: float) -> None:
    setting = Compressor(-20, ratio, attack_ms=5, release_ms=80, knee_db=knee_db, makeup_db=1.5)
    for level_db in (-50, -30, -26, -22, -20, -18, -14, -5, 0):
        heard = setting.processor(RATE).process(tone(level_db, 0.5))
        reached_db = 20 * math.log10(float(np.abs(heard[:, RATE // 4 :]).max()))
        over_db = level_db + 20  # Giannoulis et al. (2012), equation 4
        if 2 * abs(over_db) < knee_db:
            expected_db = level_db + (1 / ratio - 1) * (over_db + knee_db / 2) ** 2 / (2 * knee_db)
        else:
            expected_db = level_db if over_db <= 0 else -20 + over_db / ratio
        assert reached_db == pytest.approx(expected_db + 1.5, abs=0.05)
        assert float(setting.output_db(np.array(level_db))) == pytest.approx(expected_db + 1.5)


@pytest.mark.parametrize("rate", [22_050, 44_100, 96_000])
@pytest.mark.parametrize(("attack_ms", "release_ms"), [(5, 60), (20, 200), (100, 500)])
def test_attack_and_release_take_their_time(attack_ms: float, release_ms: float, rate: int) -> None:
    setting = Compressor(-20, 4, attack_ms, release_ms, knee_db=0)  # takes 15 dB from full scale, nothing from -40
    loud, quiet = 0.5 + 6 * attack_ms / 1_000, 6 * release_ms / 1_000
    key = np.concatenate([tone(-40, 0.2, rate=rate), tone(0, loud, rate=rate), tone(-40, quiet, rate=rate)], axis=1)
    curve_db = gain_db(setting, key, rate)
    begin, end = round(0.2 * rate), round(0.2 * rate) + round(loud * rate)
    assert not curve_db[:begin].any()
    assert curve_db[end - 1] == pytest.approx(-15, abs=0.05)
    there_ms = np.flatnonzero(curve_db[begin:end] <= -15 * (1 - 1 / math.e))[0] / rate * 1_000
    assert there_ms == pytest.approx(attack_ms, abs=1.6 + 0.05 * attack_ms)  # one to two steps of 0.7 ms late
    back_ms = np.flatnonzero(curve_db[end:] >= -15 / math.e)[0] / rate * 1_000
    assert back_ms == pytest.approx(1_000 / 60 + release_ms, abs=2.5 + 0.02 * release_ms)  # the hold comes first
    assert curve_db[-1] > -0.2
    moves = np.diff(curve_db)
    assert moves[begin:end].max() < 1e-4 and moves[end + rate // 50 :].min() > -1e-4, "it turned round on its way"


@pytest.mark.parametrize("hz", [31, 41.2, 82.4, 440])
def test_the_gain_does_not_follow_the_wave_of_a_low_note(hz: float) -> None:
    curve_db = gain_db(Compressor(-20, 8, attack_ms=1, release_ms=30), tone(-3, 1.0, hz))
    assert np.ptp(curve_db[RATE // 2 :]) < 0.02


def test_under_the_threshold_not_a_bit_changes() -> None:
    samples = tone(-30, 0.3)
    assert Compressor(-20, 4).processor(RATE).process(samples) is samples


def test_a_ratio_of_one_is_the_make_up_gain_alone() -> None:
    samples = tone(0, 0.1)
    assert np.array_equal(
        Compressor(-60, 1, makeup_db=6).processor(RATE).process(samples), samples * np.float32(10**0.3)
    )


@settings(max_examples=30)
@example(threshold_db=-20.0, ratio=2.0, knee_db=2.2250738585072014e-308, levels=[0.0, -20.0])
@given(
    threshold_db=st.floats(-60, 0), ratio=st.floats(1, 100), knee_db=st.floats(0, 40),
    levels=st.lists(st.floats(-90, 20), min_size=2, max_size=20),
)  # fmt: skip
def test_the_curve_never_turns_loud_into_quiet(
    threshold_db: float, ratio: float, knee_db: float, levels: list[float]
) -> None:
    setting, level_db = Compressor(threshold_db, ratio, knee_db=knee_db), np.sort(levels)
    assert (np.diff(setting.output_db(level_db)) >= -1e-9).all()
    assert (setting.reduction_db(level_db) >= 0).all()


def test_the_picture_stands_still() -> None:
    left_only = tone(0, 0.3)
    left_only[1] *= 0.01
    heard = Compressor(-20, 4).processor(RATE).process(left_only)
    assert np.allclose(heard[0] * 0.01, heard[1], rtol=1e-5, atol=1e-9)
    assert np.abs(heard[1, RATE // 5 :]).max() < 0.004  # the right side went down with the left


@pytest.mark.parametrize("depth_db", [0.5, 6, 24])
def test_a_ducker_lowers_by_its_depth_and_never_by_more(depth_db: float) -> None:
    setting = Ducking(depth_db, threshold_db=-40, attack_ms=10, release_ms=50)
    key = np.concatenate([np.zeros((2, 4_410), np.float32), tone(-3, 0.4), np.zeros((2, RATE), np.float32)], axis=1)
    curve_db = gain_db(setting, key)
    assert not curve_db[:4_410].any()
    assert curve_db.min() >= -depth_db - 1e-5
    assert curve_db[4_410 + 17_000] == pytest.approx(-depth_db, abs=1e-4)
    assert abs(curve_db[-1]) < 1e-4


def test_a_ducker_takes_little_for_a_quiet_key_and_nothing_for_none() -> None:
    setting, samples = Ducking(depth_db=6, threshold_db=-40), tone(-10, 0.5)
    assert gain_db(setting, tone(-38, 1.0))[-1] == pytest.approx(-2, abs=0.05)
    ducker = setting.processor(RATE)
    assert ducker.process(samples, tone(-41, 0.5)) is samples
    assert ducker.process(samples, np.zeros_like(samples)) is samples


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 9_000), max_size=10))
def test_blocks_with_a_key_do_not_matter(cuts: list[int]) -> None:
    dice = np.random.default_rng(1)
    samples = dice.uniform(-1, 1, (2, 9_000)).astype(np.float32)
    key = (dice.uniform(-1, 1, (1, 9_000)) * (np.arange(9_000) % 3_000 < 900)).astype(np.float32)
    setting = Ducking(8, -30, 3, 20)
    whole, ducker = setting.processor(RATE).process(samples, key), setting.processor(RATE)
    pieces = zip(np.split(samples, sorted(cuts), axis=1), np.split(key, sorted(cuts), axis=1), strict=True)
    assert np.concatenate([ducker.process(*pair) for pair in pieces], axis=1).tobytes() == whole.tobytes()


def test_a_key_must_be_as_long_as_its_block() -> None:
    with pytest.raises(ValueError, match="10 frames for a block of 20"):
        Ducking().processor(RATE).process(np.zeros((2, 20), np.float32), np.zeros((2, 10), np.float32))


@pytest.mark.parametrize(
    ("kind", "setting", "says"),
    [
        (Compressor, {"ratio": 0.5}, "ratio 0.5 .* 1 to 100"),
        (Compressor, {"threshold_db": 3}, "threshold 3 .* -80 to 0 dB"),
        (Compressor, {"attack_ms": 0}, "compressor attack 0 .* 0.1 to 500 ms"),
        (Ducking, {"depth_db": -1}, "depth -1 "),
        (Ducking, {"release_ms": 0}, "ducking release 0 "),
    ],
)
def test_what_is_out_of_range_is_refused(kind: type, setting: dict[str, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        kind(**setting)
