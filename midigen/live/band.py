"""The band that is heard: a synthesizer for every part, and the desk that mixes them, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from midigen.composition.live import Bar
from midigen.livedesk import LiveDesk
from midigen.profiles.levels import expected_lufs
from midigen.renderers import font_of
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


class SynthBand:
    """A :class:`Band` of SoundFonts, mixed as ``session`` says.

    ``score`` has tempo and parts, whose notes do not matter; ``fonts`` are those of :meth:`midigen.sound.Sound.fonts`,
    ``presets`` the sounds in them by part or instrument. Raises :class:`midigen.errors.MidigenError`.
    """

    def __init__(
        self,
        score: Score,
        fonts: Mapping[str, SoundFont],
        session: Session,
        rate: int,
        block_frames: int,
        presets: Mapping[str, str] | None = None,
    ) -> None:
        self.rate = rate
        self._bars = 0

        def opened(part: Part) -> tuple[LivePart, float]:
            font, chosen = font_of(part, fonts)
            preset = (presets or {}).get(part.name, (presets or {}).get(part.kind))
            live = LivePart(score, part, font, rate, chosen=chosen, preset=preset)
            return live, expected_lufs(part, font, chosen=chosen, preset=preset)

        with ThreadPoolExecutor(max(len(score.parts), 1)) as pool:  # a SoundFont may take a second to unpack
            made = list(pool.map(opened, score.parts))
        self._parts = [live for live, _ in made]
        self._desk = LiveDesk(
            [(live.name, live.kind) for live in self._parts],
            session,
            {live.name: lufs for live, lufs in made},
            rate,
            block_frames,
        )

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


def warm_up(score_parts: list[Part], fonts: Mapping[str, SoundFont], rate: int) -> None:
    """Unpack the sounds that these parts will most likely have, so that they are there when they are asked for."""
    for part in score_parts:
        font, chosen = font_of(part, fonts)
        LivePart(Score((part,)), part, font, rate, chosen=chosen).close()
