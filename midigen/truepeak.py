"""True peaks: how high a sound rises between its samples (ITU-R BS.1770-4, annex 2, eight times oversampled).

The standard asks for four times at least, which may miss half a decibel of a cymbal; ffmpeg's meter, finer than that,
then read up to 0.3 dB over the ceiling on limited noise. With eight times and a filter that reaches 12 frames to either
side it read none.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from midigen.filtering import windowed_lowpass

OVERSAMPLING = 8
CELL_FRAMES = 16  # frames interpolated at once
_REACH = 12  # the interpolator looks this many frames to either side
_CHUNK = 1_024 * CELL_FRAMES  # frames worked on at a time, always the same ones however a sound is cut into blocks
_COLUMNS = 56  # cells in one matrix product: few enough that BLAS starts no threads, whose number could change bits


@cache
def _between() -> tuple[np.ndarray, float, float]:
    """The matrix from the frames around a cell to the points between its frames, and how high these can be.

    float32 ``(7 * CELL_FRAMES, CELL_FRAMES + 2 * _REACH)``: the points at one eighth to seven eighths of the way from
    each frame to the next, from the frames ``_REACH`` before the cell up to ``_REACH`` after it. A point lies near the
    straight line between its neighbours: off it by no more than the second value (0.72) times the largest step from
    frame to frame around it and the third (0.0009) times the highest frame around it.
    """
    taps = windowed_lowpass(2 * _REACH * OVERSAMPLING + 1, 1 / OVERSAMPLING, 4.0) * OVERSAMPLING
    matrix = np.zeros((OVERSAMPLING - 1, CELL_FRAMES, CELL_FRAMES + 2 * _REACH), dtype=np.float32)
    by_step = by_level = 0.0
    for part in range(1, OVERSAMPLING):
        kernel = taps[part::OVERSAMPLING][::-1]
        for frame in range(CELL_FRAMES):
            matrix[part - 1, frame, frame + 1 : frame + 1 + 2 * _REACH] = kernel
        bent = kernel.copy()  # what the kernel adds to the straight line; summed by parts it weighs the steps
        bent[_REACH - 1 : _REACH + 1] -= (1 - part / OVERSAMPLING, part / OVERSAMPLING)
        sums = np.cumsum(bent)
        by_step, by_level = max(by_step, float(np.abs(sums[:-1]).sum())), max(by_level, abs(float(sums[-1])))
    return matrix.reshape(-1, CELL_FRAMES + 2 * _REACH), by_step, by_level + 1e-5  # float32 rounds


class TruePeaks:
    """The true peak of every hop of a sound, over all channels, from blocks of any size.

    ``hop_frames`` is a multiple of ``CELL_FRAMES``. The level of a hop is the largest magnitude of its frames and of
    what lies between them and up to the first frame of the next, full scale at 1. The levels do not depend on the size
    of the blocks. Where only high levels matter much time is saved: with ``floor`` hops that can pass it are
    interpolated, with ``within_db`` hops that can come so near to the highest peak so far, with both hops of either
    kind; the others have the level of their samples. ``chunk_frames``, a multiple of the hop, are worked on at a time:
    levels come as much later, at most, than the sound.
    """

    def __init__(
        self,
        channels: int,
        hop_frames: int = CELL_FRAMES,
        floor: float | None = None,
        within_db: float | None = None,
        chunk_frames: int = _CHUNK,
    ) -> None:
        assert hop_frames % CELL_FRAMES == 0 and chunk_frames % hop_frames == 0
        self._chunk = chunk_frames
        self._hop_frames = hop_frames
        self.floor = (math.inf if within_db is not None else 0.0) if floor is None else floor
        self._share = math.inf if within_db is None else 10 ** (-within_db / 20)
        # a cell before the next chunk, which starts with silence, and what came since
        self._pending = np.zeros((channels, CELL_FRAMES), dtype=np.float32)
        self._highest = 0.0

    def feed(self, block: np.ndarray) -> np.ndarray:
        """Take a block, float32 ``(channels, frames)``; returns the levels of the hops that are done, float32."""
        pending = np.concatenate([self._pending, block], axis=1, dtype=np.float32)
        done, start = [], 0
        while pending.shape[1] - start >= CELL_FRAMES + self._chunk + CELL_FRAMES:
            levels = self._levels(pending[:, start : start + CELL_FRAMES + self._chunk + CELL_FRAMES])
            self._highest = max(self._highest, float(levels.max()))
            done.append(levels)
            start += self._chunk
        self._pending = pending[:, start:]
        return np.concatenate(done) if done else np.zeros(0, dtype=np.float32)

    def rest(self) -> np.ndarray:
        """The levels of the hops that are not done, as if silence followed. More blocks may be fed after this."""
        frames = self._pending.shape[1] - CELL_FRAMES
        whole = -(-frames // self._hop_frames) * self._hop_frames
        return self._levels(np.pad(self._pending, ((0, 0), (0, whole - frames + CELL_FRAMES))))

    def _levels(self, frames: np.ndarray) -> np.ndarray:
        """The levels of the hops in ``frames``, which have a cell more at either end."""
        matrix, by_step, by_level = _between()
        cells = frames.shape[1] // CELL_FRAMES - 2
        if not cells:
            return np.zeros(0, dtype=np.float32)
        magnitudes = np.abs(frames)
        highest = _by_cell(magnitudes)
        levels = highest[:, 1:-1].copy()
        highest_so_far = max(self._highest, float(levels.max()))
        floor = min(self.floor, highest_so_far * self._share) if highest_so_far else 0.0
        steps = np.zeros_like(frames)
        np.abs(np.subtract(frames[:, 1:], frames[:, :-1], out=steps[:, :-1]), out=steps[:, :-1])
        bound = np.maximum(levels, magnitudes[:, 2 * CELL_FRAMES :: CELL_FRAMES])  # the last point is before the next
        bound += _around(_by_cell(steps)) * np.float32(by_step) + _around(highest) * np.float32(by_level)
        chosen = bound > floor
        count = int(np.count_nonzero(chosen))
        if count:
            width = CELL_FRAMES + 2 * _REACH
            frames = np.ascontiguousarray(frames)
            all_windows = np.lib.stride_tricks.sliding_window_view(frames, width, axis=1)
            windows = np.zeros((-(-count // _COLUMNS) * _COLUMNS, width), dtype=np.float32)
            windows[:count] = all_windows[:, CELL_FRAMES - _REACH :: CELL_FRAMES][:, :cells][chosen]
            turned = np.ascontiguousarray(windows.reshape(-1, _COLUMNS, width).transpose(0, 2, 1))
            between = np.matmul(matrix, turned)
            peaks = np.abs(between, out=between).max(axis=1).reshape(-1)[:count]
            levels[chosen] = np.maximum(levels[chosen], peaks)
        levels = levels.max(axis=0)
        per_hop = self._hop_frames // CELL_FRAMES
        return levels if per_hop == 1 else levels.reshape(-1, per_hop).max(axis=1)


def _by_cell(values: np.ndarray) -> np.ndarray:
    """The largest of each cell: ``(channels, frames)`` to ``(channels, cells)``."""
    cells = values.reshape(len(values), -1, CELL_FRAMES)
    # turned first, so that the maximum is taken over long rows: four times as fast
    highest: np.ndarray = np.ascontiguousarray(cells.transpose(2, 0, 1)).max(axis=0)
    return highest


def _around(cells: np.ndarray) -> np.ndarray:
    """The largest of each cell and its neighbours, but for the first and the last cell."""
    return np.maximum(np.maximum(cells[:, :-2], cells[:, 2:]), cells[:, 1:-1])
