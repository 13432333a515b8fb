"""Effects: a shelf of processors that stand between a stem and the mix. They know samples, never MIDI.

Every effect is two things. A *setting* is a frozen dataclass with what a producer would turn
(:class:`midigen.effects.equaliser.Equaliser`, :class:`~midigen.effects.dynamics.Compressor`,
:class:`~midigen.effects.dynamics.Ducking`, :class:`~midigen.effects.reverb.Reverb`,
:class:`~midigen.effects.delay.Delay`, :class:`~midigen.effects.stereo.Stereo`): it checks itself, and can be written
down. Its ``processor(rate)`` makes an :class:`Effect` that holds the state for one passage of one sound: for another
passage make another one, it costs little.

What all of them keep:

* The samples that come out do not depend on how the sound was cut into blocks, to the last bit.
* float32 goes in and comes out; recursion runs in float64.
* What is set to do nothing gives back the very block it was given.
* Silence stays silence, and becomes exactly that again when an effect has rung off: states that have fallen under
  ``QUIET`` are set to zero at fixed places, so that no denormal numbers slow the machine down.
* Nothing becomes NaN, up to a million times full scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Protocol

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.errors import BadRequest

TAIL_DB = -72.0  # what an effect rings with under that, against its beginning, is not waited for
QUIET = 1e-15  # -300 dB: nobody's sound, far under the resolution of float32 at any level that is one


class Effect(Protocol):
    """A processor at work on one sound in stereo, block after block.

    ``process`` takes float32 ``(2, n)`` with any ``n`` and gives as many frames; it may give back ``block`` itself and
    never writes into it. What goes in at a frame comes out ``latency_frames`` later: who mixes drops as many frames
    at the beginning. Silence that follows a sound is silence again, but for what lies under ``TAIL_DB``, after
    ``tail_frames`` (and the latency).
    """

    @property
    def latency_frames(self) -> int: ...
    @property
    def tail_frames(self) -> int: ...
    def process(self, block: np.ndarray) -> np.ndarray: ...


class Setting(Protocol):
    """What an effect is to do, at any rate. Raises :class:`BadRequest` when it is made with what cannot be had."""

    def processor(self, rate: int) -> Effect: ...


class Processed:
    """``signal`` through the effects of ``settings``, one after the other, worked out as it is read.

    In stereo: a mono signal goes to both sides at -3.01 dB, as in the middle of the pan law. In its place in time,
    whatever the latency of the effects, and followed by their tails; ``frames``, if given, is the length instead (what
    rings on is cut off there). Raises :class:`BadRequest` for more than two channels.
    """

    def __init__(self, signal: Signal, settings: Sequence[Setting], frames: int | None = None) -> None:
        if signal.channels > 2:
            raise BadRequest(f"a sound of {signal.channels} channels cannot go through effects: give mono or stereo")
        if frames is not None and frames < 0:
            raise BadRequest(f"a length of {frames} frames: give 0 or more, or leave it out to keep the tail")
        self._signal = signal
        self._settings = tuple(settings)
        effects = self._effects()
        self._latency = sum(effect.latency_frames for effect in effects)
        self._frames = signal.frames + sum(effect.tail_frames for effect in effects) if frames is None else frames

    @property
    def rate(self) -> int:
        return self._signal.rate

    @property
    def channels(self) -> int:
        return 2

    @property
    def frames(self) -> int:
        return self._frames

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        effects = self._effects()
        early, left = self._latency, self._frames
        for block in self._fed(size):
            for effect in effects:
                block = effect.process(block)
            dropped = min(early, block.shape[1])
            early -= dropped
            block = block[:, dropped : dropped + left]
            left -= block.shape[1]
            if block.shape[1]:
                yield block
            if not left:
                return

    def _effects(self) -> list[Effect]:
        return [setting.processor(self._signal.rate) for setting in self._settings]

    def _fed(self, size: int) -> Iterator[np.ndarray]:
        """The signal in stereo, then silence for as long as it takes to push everything out."""
        fed = 0
        for block in self._signal.blocks(size):
            fed += block.shape[1]
            yield block if block.shape[0] == 2 else np.repeat(block * np.float32(math.sqrt(0.5)), 2, axis=0)
        while fed < self._frames + self._latency:
            frames = min(size, self._frames + self._latency - fed)
            fed += frames
            yield np.zeros((2, frames), dtype=np.float32)


def check_number(
    value: object, low: float, high: float, what: str, unit: str, cure: str, *, or_zero: bool = False
) -> None:
    """Raise :class:`BadRequest` where ``value`` is no number from ``low`` to ``high`` (nor 0, with ``or_zero``)."""
    good = isinstance(value, Real) and not isinstance(value, bool)
    if good and (low <= float(value) <= high or (or_zero and value == 0)):  # type: ignore[arg-type]  # NaN: false
        return
    allowed = f"{'0 (off) or ' if or_zero else ''}{low:g} to {high:g}{' ' + unit if unit else ''}"
    raise BadRequest(f"{what} {value!r} is not a number of {allowed}: {cure}")


def check_flag(value: object, what: str) -> None:
    """Raise :class:`BadRequest` where ``value`` is not ``True`` or ``False``."""
    if not isinstance(value, bool):
        raise BadRequest(f"{what} {value!r}: say true or false")
