"""The desk while it plays: what the desk of a whole mix gives, and no click where something is turned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from midigen.audio import Audio
from midigen.desk import Desk, Line
from midigen.effects.delay import Delay
from midigen.errors import BadRequest
from midigen.livedesk import LiveDesk
from midigen.loudness import Meter
from midigen.mixing import balance_trim_db
from midigen.session import Session, keys_of
from midigen.session.presets import PRESETS, preset

RATE, BLOCK = 44_100, 512
PARTS = [("piano", "piano"), ("guitar", "guitar"), ("bass", "bass"), ("drums", "drums")]
LEVELS = {"piano": -30.0, "guitar": -25.0, "bass": -20.0, "drums": -28.0}


def sounds(seconds: float) -> dict[str, np.ndarray]:
    """Notes of each part that come and go, at about the levels that are expected."""
    dice = np.random.default_rng(1)
    t = np.arange(BLOCK * round(seconds * RATE / BLOCK)) / RATE
    found = {}
    for number, (name, _) in enumerate(PARTS):
        hz = 110 * (number + 1)
        envelope = np.exp(-4 * ((t + 0.1 * number) % 0.5))
        tone = 10 ** (LEVELS[name] / 20) * 3 * envelope * np.sin(2 * np.pi * hz * t)
        found[name] = np.stack([tone, 0.8 * tone + dice.normal(0, 0.001, len(t))]).astype(np.float32)
    return found


def live(desk: LiveDesk, stems: dict[str, np.ndarray], at: Callable[[int], None] = lambda number: None) -> np.ndarray:
    """What comes out, in its place in time."""
    frames = next(iter(stems.values())).shape[1]
    padded = {name: np.pad(stem, ((0, 0), (0, 4 * BLOCK))) for name, stem in stems.items()}
    out = []
    for number, start in enumerate(range(0, frames + 4 * BLOCK, BLOCK)):
        at(number)
        out.append(desk.process({name: stem[:, start : start + BLOCK] for name, stem in padded.items()}))
    return np.concatenate(out, axis=1)[:, desk.latency_frames :][:, :frames]


def quiet(session: Session) -> Session:
    """Without a master: its gain is not the live one's, and its limiter looks at the whole."""
    return replace(session, master=replace(session.master, target_lufs="off", compressor=None, ceiling_dbtp=0.0))


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_desk_that_nobody_turns_is_the_desk_of_the_whole_mix(name: str) -> None:
    session = quiet(preset(name)).seated(PARTS)
    if name == "rock":  # and echoes
        guitar = session.channels["guitar"]
        channels = {**session.channels, "guitar": replace(guitar, sends=replace(guitar.sends, delay_db=-12))}
        session = replace(session, channels=channels)
    session = replace(session, master=replace(session.master, equaliser=preset("dry").master.equaliser))
    stems = sounds(1.5)
    lines = []
    for part, kind in PARTS:
        channel = session.channels[part]
        by = channel.ducking.by if channel.ducking else ""
        keys = tuple(sorted(keys_of(part, by, PARTS)))
        lines.append(Line(part, Audio(stems[part], RATE), channel, balance_trim_db(LEVELS[part], kind), keys))
    expected = np.concatenate(list(Desk(lines, session).blocks()), axis=1)[:, : stems["piano"].shape[1]]
    assert np.abs(expected).max() < 0.8  # under the ceiling: the limiter has nothing to do
    got = live(LiveDesk(PARTS, session, LEVELS, RATE, BLOCK), stems)
    assert np.abs(got - expected).max() < 1e-5


def steepest(sound: np.ndarray) -> float:
    return float(np.abs(np.diff(sound, 2, axis=1)).max())


def turned(session: Session, what: str) -> Session:
    piano = session.channels["piano"]
    changes = {
        "gain": {"piano": replace(piano, gain_db=-12.0)},
        "pan": {"piano": replace(piano, pan=-1.0)},
        "mute": {"piano": replace(piano, mute=True)},
        "equaliser": {"piano": replace(piano, equaliser=replace(piano.equaliser, mid_db=9.0))},
        "sends": {"piano": replace(piano, sends=replace(piano.sends, reverb_db=None))},
        "compressor": {"piano": replace(piano, compressor=None)},
    }
    if what == "room":
        return replace(session, reverb=replace(session.reverb, decay_seconds=2.5))
    return replace(session, channels={**session.channels, **changes[what]})


@pytest.mark.parametrize("what", ["gain", "pan", "mute", "equaliser", "sends", "compressor", "room"])
def test_what_is_turned_is_heard_and_does_not_click(what: str) -> None:
    session = quiet(preset("pop")).seated(PARTS)
    t = np.arange(BLOCK * 100) / RATE
    hum = {name: np.zeros((2, len(t)), dtype=np.float32) for name, _ in PARTS}
    hum["piano"] = np.tile(0.1 * np.sin(2 * np.pi * 220 * t), (2, 1)).astype(np.float32)
    desk = LiveDesk(PARTS, session, LEVELS, RATE, BLOCK)
    before = live(LiveDesk(PARTS, session, LEVELS, RATE, BLOCK), hum)

    def turn(number: int) -> None:
        if number == 60:
            desk.set(turned(session, what))

    after = live(desk, hum, turn)
    at = 60 * BLOCK
    assert np.array_equal(before[:, :at], after[:, :at])
    assert np.abs(before - after)[:, at + 2 * BLOCK :].max() > (1e-4 if what == "room" else 1e-3)
    settled = slice(20 * BLOCK, None)
    bend = max(steepest(before[:, settled]), steepest(after[:, at + 10 * BLOCK :]))
    assert steepest(after[:, settled]) < bend + 5e-4  # a step would be a hundred times that


def test_a_return_that_is_changed_rings_on() -> None:
    session = quiet(preset("ballad")).seated(PARTS)
    stems = {name: np.zeros((2, 120 * BLOCK), dtype=np.float32) for name, _ in PARTS}
    stems["piano"][:, 10 * BLOCK : 11 * BLOCK] = np.random.default_rng(0).normal(0, 0.1, BLOCK)
    desk = LiveDesk(PARTS, session, LEVELS, RATE, BLOCK)
    other = replace(session, reverb=replace(session.reverb, size_m=8.0))
    before = live(LiveDesk(PARTS, session, LEVELS, RATE, BLOCK), stems)
    after = live(desk, stems, lambda number: desk.set(other) if number == 20 else None)
    assert np.abs(before - after).max() < 1e-6
    assert np.abs(after[:, 60 * BLOCK :]).max() > 1e-4


def test_parts_and_the_whole_are_ridden_to_their_places() -> None:
    session = replace(preset("dry"), master=replace(preset("dry").master, target_lufs=-20.0))
    stems = sounds(30.0)
    wrong = {name: level + offset for (name, level), offset in zip(LEVELS.items(), (6, -6, 3, -3), strict=True)}
    desk = LiveDesk(PARTS, session, wrong, RATE, BLOCK)
    out = live(desk, stems, lambda number: desk.at_bar() if number % 86 == 0 else None)
    meter = Meter(RATE, 2)
    meter.feed(out[:, -10 * RATE :])
    assert abs(meter.reading().integrated_lufs + 20) < 1.0
    assert meter.reading().true_peak_dbtp <= -0.99
    first = Meter(RATE, 2)
    first.feed(out[:, : 3 * RATE])
    assert abs(first.reading().integrated_lufs + 20) > abs(meter.reading().integrated_lufs + 20)


def test_the_ceiling_is_kept() -> None:
    loud = {name: 20 * stem for name, stem in sounds(2.0).items()}
    desk = LiveDesk(PARTS, preset("rock"), LEVELS, RATE, BLOCK)
    meter = Meter(RATE, 2)
    meter.feed(live(desk, loud))
    assert meter.reading().true_peak_dbtp <= -1 + 0.01
    assert desk.limited_db > 3


def test_a_session_that_does_not_fit_leaves_all_as_it_is() -> None:
    session = quiet(preset("pop")).seated(PARTS)
    desk = LiveDesk(PARTS, session, LEVELS, RATE, BLOCK)
    silent = {name: replace(channel, mute=True) for name, channel in session.channels.items()}
    with pytest.raises(BadRequest, match="nothing to mix"):
        desk.set(replace(session, channels=silent))
    assert desk.session == session
    stems = sounds(0.5)
    assert np.array_equal(live(desk, stems), live(LiveDesk(PARTS, session, LEVELS, RATE, BLOCK), stems))


def test_another_bus_and_another_echo_are_taken_on() -> None:
    session = quiet(preset("rock")).seated(PARTS)
    bass = session.channels["bass"]
    other = replace(
        session,
        channels={**session.channels, "bass": replace(bass, bus="mix", sends=replace(bass.sends, delay_db=-6.0))},
        delay=replace(session.delay, feedback=0.5),
    )
    assert other.delay.at(120) != Delay()
    desk = LiveDesk(PARTS, session, LEVELS, RATE, BLOCK)
    stems = sounds(2.0)
    out = live(desk, stems, lambda number: desk.set(other) if number == 0 else None)
    fresh = live(LiveDesk(PARTS, other, LEVELS, RATE, BLOCK), stems)
    assert np.abs(out - fresh)[:, 8 * BLOCK :].max() < 1e-3
