"""The band that is heard: a synthesizer for every part, and the desk that mixes them, block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from midigen.composition.live import Bar
from midigen.livedesk import LiveDesk
from midigen.profiles.levels import expected_lufs
from midigen.renderers import font_of
from midigen.renderers.fluidsynth import OpenSynthesizer
from midigen.renderers.live import LivePart
from midigen.score import Part, Score
from midigen.session import Session
from midigen.soundfonts import SoundFont


class Band(Protocol):
    """Who plays the bars. Frames come in multiples of 64, at ``rate`` a second; sound is float32 ``(2, frames)``."""

    rate: int

    @property
    def latency_frames(self) -> int:
        """How much later than it is played the music sounds."""
        ...

    @property
    def session(self) -> Session:
        """The mix as it is set by now, with a channel for every part."""
        ...

    def begin(self, bar: Bar) -> None:
        """A bar begins; it is the next one."""
        ...

    def set(self, session: Session) -> None:
        """Mix as ``session`` says from here on. Raises :class:`midigen.errors.BadRequest`, and then nothing changes."""
        ...

    def play(self, frames: int) -> np.ndarray:
        """The music goes on for ``frames``."""
        ...

    def wait(self, frames: int) -> np.ndarray:
        """The music stands still: what sounds rings on."""
        ...

    def finish(self) -> None:
        """No more bars come."""
        ...

    def close(self) -> None:
        """Nothing more is played."""
        ...


class Rack:
    """The synthesizers of a band, which are opened side by side: unpacking a sound may take a second.

    ``fonts`` are those of :meth:`midigen.sound.Sound.fonts`, ``presets`` the sounds in them by part or instrument. What
    a part will play may not be known yet: one that is opened for it all the same is used if it is right.
    """

    def __init__(self, fonts: Mapping[str, SoundFont], rate: int, presets: Mapping[str, str] | None = None) -> None:
        self.rate = rate
        self._fonts, self._presets = fonts, presets or {}
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="rack")
        self._likely: dict[str, tuple[Part, Future[tuple[OpenSynthesizer, float]]]] = {}

    def expect(self, part: Part) -> None:
        """Open what ``part`` will most likely play."""
        self._likely[part.name] = part, self._pool.submit(self._open, part)

    def open(self, parts: Sequence[Part]) -> list[tuple[OpenSynthesizer, float]]:
        """The synthesizers of ``parts``, and how loud each is expected to be (LUFS). Raises
        :class:`midigen.errors.MidigenError`."""
        opening = []
        for part in parts:
            likely, future = self._likely.pop(part.name, (None, None))
            if future is None or likely is None or _sound(likely) != _sound(part):
                self._discard(future)
                future = self._pool.submit(self._open, part)
            opening.append(future)
        for _, future in self._likely.values():
            self._discard(future)
        self._pool.shutdown(wait=False)
        return [future.result() for future in opening]

    def _open(self, part: Part) -> tuple[OpenSynthesizer, float]:
        font, chosen = font_of(part, self._fonts)
        preset = self._presets.get(part.name, self._presets.get(part.kind))
        synthesizer = OpenSynthesizer(part, font, self.rate, chosen=chosen, preset=preset)
        # While the first is open, its samples are there for another one.
        return synthesizer, expected_lufs(part, font, chosen=chosen, preset=preset)

    def _discard(self, future: Future[tuple[OpenSynthesizer, float]] | None) -> None:
        """Close what nobody wants as soon as it is open; what went wrong with it is nobody's business."""
        if future is not None and not future.cancel():
            future.add_done_callback(lambda done: None if done.exception() else done.result()[0].close())


def _sound(part: Part) -> tuple[str, int, int, bool]:
    """What decides which sound plays a part."""
    return part.kind, part.program, part.bank, part.is_drum


class SynthBand:
    """A :class:`Band` of SoundFonts: the parts of ``score``, whose notes do not matter, on the synthesizers of
    ``rack``, mixed as ``session`` says. Raises :class:`midigen.errors.MidigenError`."""

    def __init__(self, score: Score, rack: Rack, session: Session, block_frames: int) -> None:
        self.rate = rack.rate
        self._bars = 0
        opened = rack.open(score.parts)
        self._parts = [
            LivePart(score, part, synthesizer, rack.rate)
            for part, (synthesizer, _) in zip(score.parts, opened, strict=True)
        ]
        levels = {part.name: lufs for part, (_, lufs) in zip(score.parts, opened, strict=True)}
        parts = [(part.name, part.kind) for part in score.parts]
        self._desk = LiveDesk(parts, session, levels, rack.rate, block_frames)

    @property
    def latency_frames(self) -> int:
        return self._desk.latency_frames

    @property
    def session(self) -> Session:
        return self._desk.session

    @property
    def limited_db(self) -> float:
        return self._desk.limited_db

    def begin(self, bar: Bar) -> None:
        for live, part in zip(self._parts, bar.parts, strict=True):
            live.add(part, bar.end_ticks)
        if self._bars:
            self._desk.at_bar()
        self._bars += 1

    def set(self, session: Session) -> None:
        self._desk.set(session)

    def play(self, frames: int) -> np.ndarray:
        return self._desk.process({live.name: live.play(frames) for live in self._parts})

    def wait(self, frames: int) -> np.ndarray:
        return self._desk.process({live.name: live.wait(frames) for live in self._parts})

    def finish(self) -> None:
        for live in self._parts:
            live.finish()

    def close(self) -> None:
        for live in self._parts:
            live.close()
