"""A ring of samples between a thread that plays and one that may never wait."""

from __future__ import annotations

import numpy as np


class Ring:
    """Room for ``frames`` of sound in stereo; one thread writes, one reads, and neither locks.

    Each side has a count of its own that only grows, and is changed after the samples are: a reader never sees a frame
    that is not written yet, a writer never writes over one that is not read.
    """

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self._samples = np.zeros((frames, 2), dtype=np.float32)
        self._written = self._read = 0
        self._ended = False
        self.gaps = 0

    @property
    def held(self) -> int:
        """The frames that are written and not read."""
        return self._written - self._read

    def write(self, block: np.ndarray) -> bool:
        """Take ``block``, float32 ``(2, n)`` with ``n`` at most ``frames``, whole; ``False`` where there is no room."""
        count = block.shape[1]
        if count > self.frames - self.held:
            return False
        at = self._written % self.frames
        first = min(count, self.frames - at)
        self._samples[at : at + first] = block.T[:first]
        self._samples[: count - first] = block.T[first:]
        self._written += count
        return True

    def end(self) -> None:
        """Nothing more is written: silence is no gap from here on."""
        self._ended = True

    def read_into(self, out: np.ndarray) -> None:
        """Fill ``out``, float32 ``(n, 2)``; silence where there is not enough, which is a gap."""
        wanted = len(out)
        count = min(wanted, self.held)
        at = self._read % self.frames
        first = min(count, self.frames - at)
        out[:first] = self._samples[at : at + first]
        out[first:count] = self._samples[: count - first]
        out[count:] = 0.0
        self._read += count
        if count < wanted and not self._ended:
            self.gaps += 1
