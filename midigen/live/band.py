"""The band that is heard: a synthesizer for every part, and the desk that mixes them, block by block."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from midigen.composition.live import Bar
from midigen.live.rack import Rack
from midigen.livedesk import LiveDesk
from midigen.mixing import BAND_LUFS
from midigen.renderers.live import LivePart
from midigen.score import Score
from midigen.session import Session


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
    """A :class:`Band` of SoundFonts: the parts of ``score``, whose notes do not matter, on the synthesizers of
    ``rack``, mixed as ``session`` says. Raises :class:`midigen.errors.MidigenError`."""

    def __init__(self, score: Score, rack: Rack, session: Session, block_frames: int) -> None:
        self.rate = rack.rate
        self._bars = 0
        parts = [(part.name, part.kind) for part in score.parts]
        # The desk is made while sounds are unpacked: both take tenths of a second.
        self._desk = LiveDesk(parts, session, dict.fromkeys(dict(parts), BAND_LUFS), rack.rate, block_frames)
        opened = rack.open(score.parts)
        self._desk.expect({part.name: lufs for part, (_, lufs) in zip(score.parts, opened, strict=True)})
        self._parts = [
            LivePart(score, part, synthesizer, rack.rate)
            for part, (synthesizer, _) in zip(score.parts, opened, strict=True)
        ]

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
