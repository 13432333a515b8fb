"""What is music and what is noise under a thousand hertz: told by small networks that look at the spectrogram.

The noise of a room lies where basses play, and a rule that weighs each place by its neighbours tells the two badly
apart there. So for the low lines of each window length there are two convolutional networks, of 5,500 and 800 weights:
one sees the power over that of the noise, the other the power of a first estimate of the music too. Both answer by how
much the a-priori SNR is another than what they are shown, within bounds: a place that stands far out of the noise is
left as it is, whatever they have learned. benchmarks.lowlines learns them, from songs that are rendered with freely
licensed SoundFonts and noises that are drawn: nothing of either is in weights.json, which holds the weights alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

WEIGHTS = Path(__file__).parent / "weights.json"
LINES = (65, 129, 257)  # the lowest, of the three windows: up to 1.4 kHz at 44.1 kHz
SURE_SHARE, LAST_SHARE = 0.7, 0.95  # of the lines: up to the first the networks decide, from the last on the rule
FIRST_DILATIONS = ((1, 1), (2, 1), (4, 2), (8, 1), (1, 1))  # of each layer, over frames and lines; kernels are 3 by 3
SECOND_DILATIONS = ((1, 1), (1, 1))
ROWS = 8  # frames that are convolved at once: their neighbours fit a processor's cache, which halves the time
MOST_NATS = 6.0  # by so much at most the networks change an SNR: what stands far out of the noise stays as it is
LEAST_RATIO, LEAST_MUSIC = 1e-3, 1e-4  # of the noise: what logarithms begin at
SHOWN, SHOWN_FROM, SHOWN_TO = 0.25, -2.0, 3.0  # logarithms are shown by a quarter and no farther than this


@dataclass(frozen=True, eq=False)
class Network:
    """``kernels`` are float32 ``(out, 9 in)``, the nine in the order of frames, then lines; ``shifts`` ``(out,)``;
    from the second layer on a layer adds to what it is given. ``last`` ``(in,)`` and ``bias`` make one value of it."""

    kernels: tuple[np.ndarray, ...]
    shifts: tuple[np.ndarray, ...]
    last: np.ndarray
    bias: np.float32
    dilations: tuple[tuple[int, int], ...]

    def values(self, shown: np.ndarray) -> np.ndarray:
        """The answer at every place of ``shown``, ``(in, frames, lines)``: float32 ``(frames, lines)``."""
        for kernel, shift, dilation in zip(self.kernels, self.shifts, self.dilations, strict=True):
            heard = np.maximum(_convolved(shown, kernel, dilation) + shift[:, None, None], 0)
            shown = heard if shown.shape[0] != heard.shape[0] else shown + heard
        answer: np.ndarray = np.tensordot(self.last, shown, axes=1) + self.bias
        return answer


def _convolved(shown: np.ndarray, kernel: np.ndarray, dilation: tuple[int, int]) -> np.ndarray:
    """Nine neighbours, so far apart, weighed by ``kernel``; beyond the edges there is nothing."""
    channels, frames, lines = shown.shape
    down, across = dilation
    padded = np.pad(shown, ((0, 0), (down, down), (across, across)))
    weighed = np.empty((len(kernel), frames, lines), dtype=np.float32)
    for first in range(0, frames, ROWS):
        count = min(ROWS, frames - first)
        beside = np.empty((channels, 9, count, lines), dtype=np.float32)
        for place in range(9):
            row, column = first + place // 3 * down, place % 3 * across
            beside[:, place] = padded[:, row : row + count, column : column + lines]
        weighed[:, first : first + count] = (kernel @ beside.reshape(channels * 9, -1)).reshape(-1, count, lines)
    return weighed


@lru_cache(maxsize=1)
def networks() -> tuple[tuple[Network, ...], tuple[Network, ...]]:
    """The first and the second network of each window length, short to long."""
    data = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    rows = []
    for name, dilations in (("first", FIRST_DILATIONS), ("second", SECOND_DILATIONS)):
        rows.append(tuple(
            Network(
                tuple(np.array(kernel, dtype=np.float32) for kernel in one["kernels"]),
                tuple(np.array(shift, dtype=np.float32) for shift in one["shifts"]),
                np.array(one["last"], dtype=np.float32),
                np.float32(one["bias"]),
                dilations,
            )
            for one in data[name]
        ))  # fmt: skip
    return rows[0], rows[1]


def first_gain(ratio: np.ndarray, window: int, rule: np.ndarray) -> np.ndarray:
    """The gain by the power over the noise, ``(frames, lines)``: ``rule``, but for the low lines.

    ``window`` is 0 to 2, from short to long.
    """
    low = min(LINES[window], ratio.shape[1])
    logs = np.log(ratio[:, :low] + np.float32(LEAST_RATIO))
    return _joined(logs, networks()[0][window].values(np.stack([_shown(logs), _heights(logs)])), rule)


def second_gain(ratio: np.ndarray, music: np.ndarray, window: int, rule: np.ndarray) -> np.ndarray:
    """As :func:`first_gain`, with the power of a first estimate of the ``music`` over the noise beside ``ratio``."""
    low = min(LINES[window], ratio.shape[1])
    logs = np.log(ratio[:, :low] + np.float32(LEAST_RATIO))
    heard = np.log(music[:, :low] + np.float32(LEAST_MUSIC))
    shown = np.stack([_shown(logs), _shown(heard), _heights(logs)])
    return _joined(heard, networks()[1][window].values(shown), rule)


def _shown(logs: np.ndarray) -> np.ndarray:
    return np.clip(logs * np.float32(SHOWN), SHOWN_FROM, SHOWN_TO)


def _heights(logs: np.ndarray) -> np.ndarray:
    """How high each line is, 0 to 1."""
    return np.broadcast_to(np.linspace(0, 1, logs.shape[1], dtype=np.float32), logs.shape)


def _joined(logs: np.ndarray, answer: np.ndarray, rule: np.ndarray) -> np.ndarray:
    """The gain of Wiener's filter for low lines, whose a-priori SNR has the logarithm ``logs`` and ``answer`` together;
    ``rule`` for high ones."""
    gain = rule.copy()
    low = logs.shape[1]
    prior = logs + np.clip(answer, -MOST_NATS, MOST_NATS)
    share = np.linspace(0, 1, low)
    wanted = np.clip((LAST_SHARE - share) / (LAST_SHARE - SURE_SHARE), 0, 1).astype(np.float32)
    gain[:, :low] += wanted * (1 / (1 + np.exp(-np.clip(prior, -60, 60))) - gain[:, :low])
    return gain
