"""What the network hears: how likely each pitch begins and sounds, every 12 milliseconds. The room of basic-pitch.

The network is that of R. M. Bittner, J. J. Bosch, D. Rubinstein, G. Meseguer-Brocal and S. Ewert, "A lightweight
instrument-agnostic model for polyphonic note transcription and multipitch estimation", ICASSP 2022, as its ONNX file in
``basic_pitch/`` (Apache-2.0, see LICENSE and NOTICE there). Only the file is used: the package wants TensorFlow, has a
release for no Python after 3.11 that is without it, and finds its notes with fixed thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.signals import at_rate, in_blocks

RATE, HOP = 22_050, 256
WINDOW = 2 * RATE - HOP  # what the network takes at once
WINDOW_FRAMES = 172  # and gives
MARGIN = 15  # frames at either end of a window, where it has heard little of what is around
STEP = WINDOW_FRAMES - 2 * MARGIN - 1  # frames from window to window: a whole number, so that all are on one grid
FRAME_SECONDS = HOP / RATE
LOWEST_PITCH, PITCHES = 21, 88
MODEL = Path(__file__).parent / "basic_pitch" / "nmp.onnx"
_INPUT, _ONSETS, _NOTES = "serving_default_input_2:0", "StatefulPartitionedCall:2", "StatefulPartitionedCall:1"


@dataclass(frozen=True, eq=False)
class Activations:
    """``onsets`` and ``notes``: how likely a pitch begins, and sounds, float16 ``(frames, 88)``, 0 to 1, of the MIDI
    pitches from 21 on. Frame *n* is that of the time *n* times ``FRAME_SECONDS``."""

    onsets: np.ndarray
    notes: np.ndarray

    @property
    def frames(self) -> int:
        return len(self.onsets)


class _Mono:
    """``signal`` with its channels averaged."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self.rate, self.frames, self.channels = signal.rate, signal.frames, 1

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        for block in self._signal.blocks(size):
            yield block.mean(axis=0, keepdims=True)


def mono_at(signal: Signal, rate: int) -> Signal:
    """``signal`` as one channel at ``rate`` frames a second."""
    return at_rate(signal if signal.channels == 1 else _Mono(signal), rate)


def activations_of(signal: Signal, on_second: Callable[[float], None] | None = None) -> Activations:
    """Listen to ``signal``, window by window. ``on_second`` is told how many seconds are done."""
    sound = mono_at(signal, RATE)
    session = _session()
    step = STEP * HOP
    kept = np.zeros((1, MARGIN * HOP), dtype=np.float32)
    frames = sound.frames // HOP + 1
    onsets: list[np.ndarray] = []
    notes: list[np.ndarray] = []
    blocks = in_blocks(sound.blocks(), step)
    done = 0
    while done < frames:
        while kept.shape[1] < WINDOW:
            block = next(blocks, None)
            if block is None:
                kept = np.pad(kept, ((0, 0), (0, WINDOW - kept.shape[1])))
            else:
                kept = np.concatenate([kept, block], axis=1)
        found = session.run([_ONSETS, _NOTES], {_INPUT: kept[:, :WINDOW, None]})
        for rows, values in zip((onsets, notes), found, strict=True):
            rows.append(values[0, MARGIN : MARGIN + STEP].astype(np.float16))  # hours of it are kept
        kept = kept[:, step:]
        done += STEP
        if on_second is not None:
            on_second(min(done, frames) * FRAME_SECONDS)
    return Activations(np.concatenate(onsets)[:frames], np.concatenate(notes)[:frames])


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # the network is small: more threads wait for each other
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
