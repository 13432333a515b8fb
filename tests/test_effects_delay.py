"""Echoes: when they come, how loud, from where; and note values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from midigen.effects.delay import Delay, note_seconds
from midigen.errors import BadRequest

RATE = 8_000


def click(frames: int, at: int = 0) -> np.ndarray:
    samples = np.zeros((2, frames), dtype=np.float32)
    samples[:, at] = 1, 0.5
    return samples


def test_echoes_come_evenly_and_fade_by_the_feedback() -> None:
    heard = Delay(0.1, feedback=0.5, damping_hz=0, low_cut_hz=0).processor(RATE).process(click(4_000, 10))
    expected = np.zeros((2, 4_000))
    for number in range(1, 5):
        expected[:, 10 + number * 800] = 0.5 ** (number - 1), 0.5**number
    assert np.allclose(heard, expected, atol=1e-7)


def test_ping_pong_goes_from_side_to_side_with_the_power_of_the_middle() -> None:
    samples = np.zeros((2, 4_000), dtype=np.float32)
    samples[:, 0] = 1
    setting = Delay(0.1, feedback=0.5, damping_hz=0, low_cut_hz=0, ping_pong=True)
    heard = setting.processor(RATE).process(samples)
    places = [(int(side), int(frame)) for side, frame in np.argwhere(heard)]
    assert sorted(places, key=lambda place: place[1]) == [(0, 800), (1, 1_600), (0, 2_400), (1, 3_200)]
    assert heard[0, 800] == pytest.approx(math.sqrt(2)) and heard[1, 1_600] == pytest.approx(math.sqrt(0.5))


def test_every_round_loses_highs_and_lows() -> None:
    setting = Delay(0.5, feedback=0.9, damping_hz=1_000, low_cut_hz=100)
    heard = setting.processor(RATE).process(click(3 * 4_000 + 1))
    rounds = [heard[0, number * 4_000 : (number + 1) * 4_000].astype(np.float64) for number in (1, 2)]
    first_db, second_db = (20 * np.log10(np.abs(np.fft.rfft(part))) for part in rounds)
    hz = np.fft.rfftfreq(4_000, 1 / RATE)

    def fall_db(at_hz: float, *, low: bool) -> float:
        """A one-pole, 3 dB down at its frequency, on the axis that the bilinear transform bends."""
        bent = math.tan(math.pi * at_hz / RATE) / math.tan(math.pi * (1_000 if low else 100) / RATE)
        return -10 * math.log10(1 + (bent**2 if low else bent**-2))

    for at_hz in (50, 100, 400, 1_000, 3_000):
        loss_db = fall_db(at_hz, low=True) + fall_db(at_hz, low=False)
        bin_number = int(np.argmin(np.abs(hz - at_hz)))
        assert first_db[bin_number] == pytest.approx(loss_db, abs=0.1)
        assert second_db[bin_number] == pytest.approx(2 * loss_db + 20 * math.log10(0.9), abs=0.1)


def test_without_feedback_there_is_one_echo() -> None:
    effect = Delay(0.2, feedback=0, damping_hz=0, low_cut_hz=0).processor(RATE)
    heard = effect.process(click(5_000))
    assert np.argwhere(heard[0]).ravel().tolist() == [1_600]
    assert effect.tail_frames == 1_600


def test_the_tail_is_as_long_as_echoes_are_heard() -> None:
    effect = Delay(0.1, feedback=0.5, damping_hz=0, low_cut_hz=0).processor(RATE)
    heard = np.abs(effect.process(click(20_000))[0])
    assert effect.tail_frames == 13 * 800
    assert heard[effect.tail_frames + 1 :].max() < 10 ** (-72 / 20) <= heard[effect.tail_frames - 801 :].max() * 2


@pytest.mark.parametrize(
    ("note", "seconds"),
    [
        ("1/4", 0.5), ("1/8", 0.25), ("1/8.", 0.375), ("1/8t", 1 / 6), ("1/4T", 1 / 3), (" 1/16 ", 0.125), ("1/1", 2.0),
        ("3/16", 0.375), ("1/2.", 1.5), ("1/64", 1 / 32),
    ],
)  # fmt: skip
def test_note_values_at_120_quarters_a_minute(note: str, seconds: float) -> None:
    assert note_seconds(note, 120) == pytest.approx(seconds)
    assert note_seconds(note, 60) == pytest.approx(2 * seconds)


@pytest.mark.parametrize("note", ["", "1/3", "quarter", "1/8..", "1/8.t", "0/4", "1 / 8", "-1/4", "1/4x", None, 0.25])
def test_what_is_no_note_value_is_refused(note: str) -> None:
    with pytest.raises(BadRequest, match=r"note value .*write one such as 1/4, 1/8"):
        note_seconds(note, 120)


@pytest.mark.parametrize("tempo_qpm", [0, -120, float("nan"), float("inf")])
def test_what_is_no_tempo_is_refused(tempo_qpm: float) -> None:
    with pytest.raises(BadRequest, match="tempo"):
        note_seconds("1/4", tempo_qpm)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"feedback": 1}, "feedback 1 is not a number of 0 to 0.95: at 1 echoes would never end"),
        ({"feedback": -0.1}, "feedback -0.1"),
        ({"seconds": 0}, "delay 0 is not a number of 0.01 to 5 seconds"),
        ({"ping_pong": 1}, "ping-pong 1: say true or false"),
        ({"damping_hz": 50}, "damping 50 .*0 .off. or 200 to 20000 Hz"),
    ],
)
def test_what_is_out_of_range_is_refused(setting: dict[str, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        Delay(**setting)  # type: ignore[arg-type]
