"""A band of synthesizers that others bring: its music goes to a MIDI port, each message at its time.

The only room that knows python-rtmidi (imported as rtmidi).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from midigen.composition.live import Bar
from midigen.errors import BadRequest, MissingTool, OutputError
from midigen.renderers.events import BEND_CENTRE, BLOCK, Keyboard, Message
from midigen.score import Score
from midigen.session import Session

INSTALL = "pip install python-rtmidi (or the extra: pip install '.[live]')"
RATE = 48_000  # of the frames that time is counted in: no sound has it
DRUM_CHANNEL = 9
VOLUME, PAN, BANK, BANK_FINE, ALL_SOUND_OFF, ALL_NOTES_OFF = 7, 10, 0, 32, 120, 123  # MIDI 1.0, control changes
USUAL_VOLUME, MIDDLE = 100, 64


class Port(Protocol):
    """What takes MIDI messages, three bytes or less each."""

    def send_message(self, message: list[int]) -> None: ...
    def close_port(self) -> None: ...


class Clock:
    """Time in seconds, from any beginning."""

    def now(self) -> float:
        return time.monotonic()

    def sleep_until(self, seconds: float) -> None:
        """Wait until :meth:`now` is ``seconds``; not at all where it is that late already."""
        left = seconds - time.monotonic()
        if left > 0:
            time.sleep(left)


class PortBand:
    """A :class:`midigen.live.band.Band` whose synthesizers hang at ``port``: parts on channels of their own (from
    the sixteenth on they share them), drums on 10, with bank and program at the start.

    Gains are sent as volume (controller 7, by its law of 40 log10; more than 4 dB up it cannot go), pans as controller
    10, and a part that is not heard gets volume 0. The rest of the mix is the synthesizers' own. Time is kept by
    ``clock``: a message is never early, and music that had to wait goes on later.
    """

    rate = RATE
    latency_frames = 0

    def __init__(self, score: Score, session: Session, port: Port, clock: Clock | None = None) -> None:
        self._port, self._clock = port, clock or Clock()
        self._names = [(part.name, part.kind) for part in score.parts]
        melodic = [channel for channel in range(16) if channel != DRUM_CHANNEL]
        self._channels = [
            DRUM_CHANNEL if part.is_drum else melodic[number % len(melodic)] for number, part in enumerate(score.parts)
        ]
        self._keyboards = [Keyboard(score, RATE) for _ in score.parts]
        self._coming: list[deque[Message]] = [deque() for _ in score.parts]
        self._frame = 0  # of the music
        self._shift = 0  # frames that it stood still
        self._begun: float | None = None
        for part, channel in zip(score.parts, self._channels, strict=True):
            self._send(0xB0 | channel, BANK, part.bank // 128)
            self._send(0xB0 | channel, BANK_FINE, part.bank % 128)
            self._send(0xC0 | channel, part.program)
        self._session = session
        self.set(session)

    @property
    def session(self) -> Session:
        return self._session

    def set(self, session: Session) -> None:
        """Gain, pan and who is heard; see :class:`midigen.live.band.Band`."""
        session = session.seated(self._names)
        heard = session.heard(self._names)
        self._session = session
        for (name, _), channel in zip(self._names, self._channels, strict=True):
            strip = session.channels[name]
            volume = round(USUAL_VOLUME * 10 ** (strip.gain_db / 40)) if heard[name] else 0
            self._send(0xB0 | channel, VOLUME, min(volume, 127))
            self._send(0xB0 | channel, PAN, min(round(MIDDLE + 64 * (strip.pan or 0.0)), 127))

    def begin(self, bar: Bar) -> None:
        for part, keyboard, coming in zip(bar.parts, self._keyboards, self._coming, strict=True):
            # What the file says of volume and pan was meant for its own mix; here the session has them.
            messages = keyboard.bar(part, bar.end_ticks)
            coming.extend(m for m in messages if m.action != "control" or m.values[0] not in (VOLUME, PAN))

    def play(self, frames: int) -> np.ndarray:
        """Send what falls into ``frames``, and wait until they are over."""
        end = self._frame + frames
        due = sorted(
            (
                (message.block * BLOCK, part, number, message)
                for part, coming in enumerate(self._coming)
                for number, message in enumerate(coming)
                if message.block * BLOCK < end
            ),
            key=lambda one: one[:3],
        )
        for at, part, _, message in due:
            self._coming[part].popleft()
            self._wait_for(max(at, self._frame))
            self._play(message, self._channels[part])
        self._frame = end
        self._wait_for(end)
        return np.zeros((2, frames), dtype=np.float32)

    def wait(self, frames: int) -> np.ndarray:
        """Let keys go, and wait."""
        for keyboard, channel in zip(self._keyboards, self._channels, strict=True):
            for pitch in keyboard.let_go():
                self._send(0x80 | channel, pitch, 0)
        self._shift += frames
        self._wait_for(self._frame)
        return np.zeros((2, frames), dtype=np.float32)

    def finish(self) -> None:
        for keyboard, coming in zip(self._keyboards, self._coming, strict=True):
            coming.extend(keyboard.rest())

    def close(self) -> None:
        """Silence every channel and give the port back."""
        for channel in sorted(set(self._channels)):
            self._send(0xB0 | channel, ALL_NOTES_OFF, 0)
            self._send(0xB0 | channel, ALL_SOUND_OFF, 0)
        self._port.close_port()

    def _wait_for(self, frame: int) -> None:
        if self._begun is None:
            self._begun = self._clock.now()
        self._clock.sleep_until(self._begun + (frame + self._shift) / RATE)

    def _play(self, message: Message, channel: int) -> None:
        if message.action == "on":
            self._send(0x90 | channel, *message.values)
        elif message.action == "off":
            self._send(0x80 | channel, message.values[0], 0)
        elif message.action == "control":
            self._send(0xB0 | channel, *message.values)
        else:
            bend = min(max(message.values[0], 0), 2 * BEND_CENTRE - 1)
            self._send(0xE0 | channel, bend & 0x7F, bend >> 7)

    def _send(self, *message: int) -> None:
        self._port.send_message(list(message))


def open_port(name: str) -> Port:
    """The MIDI output whose name holds ``name``. Raises :class:`MissingTool` with what to install, :class:`OutputError`
    where the system has no MIDI, and :class:`BadRequest` that lists the ports there are."""
    try:
        import rtmidi
    except ModuleNotFoundError:
        raise MissingTool(f"python-rtmidi is not installed: {INSTALL}") from None
    try:
        with _quiet():
            out: Any = rtmidi.MidiOut()
            ports = list(out.get_ports())
    except (OSError, RuntimeError):  # rtmidi's own errors are OSErrors
        raise OutputError(
            "this system has no MIDI ports (on Linux: no ALSA sequencer, modprobe snd-seq); play into a file with --to"
        ) from None
    fits = [number for number, port in enumerate(ports) if name.casefold() in port.casefold()]
    if not fits:
        there = ", ".join(ports) or "none; start the synthesizer first"
        raise BadRequest(f"MIDI port {name!r} is not there: there are {there}")
    out.open_port(fits[0])
    port: Port = out
    return port


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep C libraries from writing to stderr: ALSA says in lines of its own what is said in one here."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
