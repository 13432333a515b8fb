"""Gain, width and place between left and right.

*Pan.* The angle is ``(pan + 1) * 45`` degrees. A mono sound gets its cosine to the left and its sine to the right
(-3.01 dB each at the centre: constant power). For a stereo sound pan is a balance: left is multiplied by the square
root of two times the cosine, right by that times the sine, which leaves a sound at the centre as it is and gives one
that is the same on both sides the same power at every pan, as the mono law does. Hard left keeps the left side only,
3.01 dB up.

*Width.* Mid is half the sum of the sides and side half their difference (Blumlein); width multiplies the side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from midigen.effects import check_number

LOWEST_GAIN_DB, HIGHEST_GAIN_DB = -60.0, 24.0
WIDEST = 2.0


def factor(gain_db: float) -> float:
    """What samples are multiplied by for ``gain_db``; ``factor(-g)`` undoes ``factor(g)``, and 0 is exactly 1."""
    return 10.0 ** (gain_db / 20.0)


def pan_gains(pan: float, channels: int) -> tuple[float, float]:
    """The factors for left and right of a sound of ``channels`` 1 or 2, ``pan`` -1..1; see the law at the top."""
    angle = (pan + 1) * math.pi / 4
    scale = 1.0 if channels == 1 else math.sqrt(2)
    # Exact where musicians expect it: nothing of the other side when hard panned, untouched in the centre.
    if pan == 0:
        return (scale * math.sqrt(0.5), scale * math.sqrt(0.5)) if channels == 1 else (1.0, 1.0)
    left, right = math.cos(angle), math.sin(angle)
    return (0.0 if pan == 1 else scale * left), (0.0 if pan == -1 else scale * right)


@dataclass(frozen=True)
class Stereo:
    """A place in the picture: ``pan`` -1 (left) to 1 (right), ``width`` 0 (mono) over 1 (as it is) to 2, ``gain_db``
    -60 to 24. Width comes first, then pan and gain."""

    pan: float = 0.0
    width: float = 1.0
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        check_number(self.pan, -1, 1, "pan", "", "-1 is left, 0 the middle, 1 right")
        check_number(self.width, 0, WIDEST, "width", "", "0 is mono, 1 leaves it as it is")
        check_number(self.gain_db, LOWEST_GAIN_DB, HIGHEST_GAIN_DB, "gain", "dB", "0 leaves it as it is")

    def processor(self, rate: int) -> Panner:
        """A processor; it is the same at every ``rate``."""
        return Panner(self)


class Panner:
    """Places a sound, see :class:`Stereo`. Takes mono ``(1, n)`` too, which has no width."""

    latency_frames = 0
    tail_frames = 0

    def __init__(self, setting: Stereo) -> None:
        gain, width = factor(setting.gain_db), setting.width
        self._mono = [np.float32(side * gain) for side in pan_gains(setting.pan, 1)]
        sides = [side * gain for side in pan_gains(setting.pan, 2)]
        self._own = [np.float32(side * (1 + width) / 2) for side in sides]
        self._other = [np.float32(side * (1 - width) / 2) for side in sides]
        self._narrows = width != 1
        self._idle = self._own == [1.0, 1.0] and not self._narrows

    def process(self, block: np.ndarray) -> np.ndarray:
        """Float32 ``(1 or 2, n)`` to float32 ``(2, n)``."""
        if block.shape[0] == 1:
            return np.concatenate([block * self._mono[0], block * self._mono[1]])
        if self._idle:
            return block
        placed = np.empty_like(block)
        for side in (0, 1):
            np.multiply(block[side], self._own[side], out=placed[side])
            if self._narrows:
                placed[side] += block[1 - side] * self._other[side]
        return placed
