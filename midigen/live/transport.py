"""The transport: bars become blocks of sound, one after the other, and what was asked for happens at bar lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np

from midigen.composition.live import Bar
from midigen.errors import MidigenError
from midigen.live.band import Band
from midigen.live.commands import Command, Parts
from midigen.live.handover import Handover
from midigen.renderers import TAIL_SECONDS
from midigen.renderers.events import BLOCK, blocks_of
from midigen.score import Score
from midigen.session import Session

RESUMED_WITH = 2  # bars that have to be ready before music that had to wait goes on
SILENT = 10 ** (-80 / 20)
SILENT_SECONDS = 0.3  # under that, and what rings is over


@dataclass(frozen=True)
class Played:
    """What is over: a command that was carried out at ``bar`` (from 0), or one that could not be, and why."""

    bar: int
    text: str
    error: str = ""


class Transport:
    """Plays the bars of ``handover`` with ``band``.

    ``score`` has the tempo map. ``patient``: nobody hears it yet, so bars that are not written are waited for; else the
    music stands still, and rings on, until there are two. Commands happen at their bars, or the next; so does what is
    written into ``mix_file``, a ``mix.toml``. ``on_news`` is told what was carried out or could not be, and ``on_wait``
    the bar (from 0) that is waited for.
    """

    def __init__(
        self,
        score: Score,
        handover: Handover,
        band: Band,
        *,
        patient: bool,
        block_frames: int = 512,
        mix_file: Path | None = None,
        on_news: Callable[[Played], None] = lambda news: None,
        on_wait: Callable[[int], None] = lambda bar: None,
    ) -> None:
        self._score, self._handover, self._band = score, handover, band
        self._patient, self._block = patient, block_frames
        self._mix_file = mix_file
        self._mix_stamp = _stamp(mix_file)
        self._on_news, self._on_wait = on_news, on_wait
        self._parts: Parts = [(part.name, part.kind) for part in score.parts]
        self._lock = Lock()  # of the commands, for as long as it takes to look at a list
        self._commands: list[Command] = []
        self._left = 0  # frames of the present bar
        self._bar = -1
        self._stopping = False
        self._tail: _Tail | None = None
        self._skipped = band.latency_frames  # frames in which nothing can sound yet
        self.waits, self.waited_frames, self.music_frames = 0, 0, 0
        self._waiting = False

    @property
    def seconds_left(self) -> float:
        """How long it takes until the next bar is due."""
        return math.inf if self._patient else self._left / self._band.rate

    def add(self, commands: Iterable[Command]) -> None:
        """Commands to the mixer, and to stop; from any thread."""
        with self._lock:
            self._commands.extend(commands)

    def blocks(self) -> Iterator[np.ndarray | Bar]:
        """All that is heard, float32 ``(2, n)``, until the last note has rung out; and each bar just before its sound.

        The first frame is the first that may sound: what the effects need to look ahead is left out.
        """
        held: list[np.ndarray] = []
        frames = 0
        while True:
            bar = self._bar_line() if not self._left and self._tail is None else None
            if bar is not None:
                if held:
                    yield np.concatenate(held, axis=1)
                    held, frames = [], 0
                yield bar
            sound = self._next(self._block - frames)
            if sound is None:
                break
            held.append(self._after_the_beginning(sound))
            frames += sound.shape[1]
            if frames >= self._block:
                yield held[0] if len(held) == 1 else np.concatenate(held, axis=1)
                held, frames = [], 0
        if held:
            yield np.concatenate(held, axis=1)

    def _after_the_beginning(self, sound: np.ndarray) -> np.ndarray:
        late = min(self._skipped, sound.shape[1])
        self._skipped -= late
        return sound[:, late:] if late else sound

    def _next(self, frames: int) -> np.ndarray | None:
        if self._tail is not None:
            return self._tail.play(self._band, frames)
        if not self._left:
            self.waited_frames += frames if self._waiting else 0
            return self._band.wait(frames)
        frames = min(frames, self._left)
        self._left -= frames
        self.music_frames += frames
        return self._band.play(frames)

    def _bar_line(self) -> Bar | None:
        """Begin the next bar, if it is there; or the end, or a wait."""
        self._look_at_commands(self._bar + 1)
        if self._stopping or self._handover.has_ended:
            self._band.finish()
            self._tail = _Tail(self._band)
            return None
        if self._waiting and self._handover.ready < RESUMED_WITH and not self._handover.is_written:
            return None
        bar = self._handover.take(patient=self._patient)
        if bar is None:
            if not self._waiting and self._bar >= 0:  # the first bar may take its time
                self._waiting, self.waits = True, self.waits + 1
                self._on_wait(self._bar + 1)
            return None
        self._waiting = False
        start, end = (int(blocks_of(self._score, t, self._band.rate)) for t in (bar.start_ticks, bar.end_ticks))
        self._left = (end - start) * BLOCK
        self._handover.bar_seconds = self._left / self._band.rate
        self._bar = bar.number
        self._band.begin(bar)
        return bar

    def _look_at_commands(self, bar: int) -> None:
        with self._lock:
            due = [one for one in self._commands if one.bar is None or one.bar - 1 <= bar]
            self._commands = [one for one in self._commands if one not in due]
        for command in due:
            if command.verb == "stop":
                self._stopping = True
                self._on_news(Played(bar, "stop"))
                continue
            self._turn(bar, str(replace(command, bar=None)), partial(command.turned, parts=self._parts))
        if self._mix_file is not None and (stamp := _stamp(self._mix_file)) != self._mix_stamp:
            self._mix_stamp = stamp
            if stamp is not None:
                self._turn(bar, f"{self._mix_file}", self._read_mix)

    def _read_mix(self, session: Session) -> Session:
        from midigen.session.files import read_session

        assert self._mix_file is not None
        return read_session(self._mix_file)

    def _turn(self, bar: int, text: str, turned: Callable[[Session], Session]) -> None:
        try:
            self._band.set(turned(self._band.session))
        except MidigenError as error:  # the music goes on as it was
            self._on_news(Played(bar, text, str(error)))
        else:
            self._on_news(Played(bar, text))


class _Tail:
    """What rings on after the last bar: until it is silent, ten seconds at most."""

    def __init__(self, band: Band) -> None:
        self._left = math.ceil(TAIL_SECONDS * band.rate / BLOCK) * BLOCK + band.latency_frames // BLOCK * BLOCK
        self._whole = self._left
        self._latency = band.latency_frames
        self._silent = 0

    def play(self, band: Band, frames: int) -> np.ndarray | None:
        played = self._whole - self._left
        if self._left <= 0 or (played > self._latency and self._silent >= SILENT_SECONDS * band.rate):
            return None
        frames = min(frames, self._left)
        sound = band.play(frames)
        fade = round(0.5 * band.rate)
        if self._left < fade:  # still sounding: end it without a click
            sound = sound * np.linspace(self._left / fade, (self._left - frames) / fade, frames, dtype=np.float32)
        self._left -= frames
        loud = np.abs(sound).max(initial=0.0) >= SILENT
        self._silent = 0 if loud else self._silent + frames
        return sound


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """What changes when a file is written."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
