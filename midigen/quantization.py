"""The two grids that matrices of weights lie on, and back to floats.

``Rows``: whole numbers of 8 bits with one scale a row. ``Blocks``: whole numbers of 4 bits with one scale for every
:data:`BLOCK` of them along a row, two to a byte, as they are stored and as ONNX Runtime multiplies by them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midigen.errors import CheckpointError

ROWS_MAX = 127  # symmetric, so that -q is on the grid too and 0 is exact
# Numbers of 4 bits that share a scale. From 64 on, ONNX Runtime 1.32 sums one row of activations in another order than
# several, so that a token's logits would depend on its company.
BLOCK = 32
LOWEST, HIGHEST = -8, 7  # of 4 bits; scales may be negative, so that either end of a block can be the far one
# Of the scale that just holds the largest weight: a smaller one clips that, and is finer for the rest.
FACTORS = np.linspace(0.6, 1.1, 11, dtype=np.float32)


@dataclass(frozen=True)
class Rows:
    """``codes`` int8 (rows, columns) and ``scale`` float32 (rows,): a weight is their product."""

    codes: np.ndarray
    scale: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.codes.shape

    def floats(self) -> np.ndarray:
        """The float32 matrix (rows, columns) that this stands for."""
        return self.codes.astype(np.float32) * self.scale[:, None]

    def times(self, factors: np.ndarray) -> Rows:
        """The matrix whose rows are ``factors`` (rows,) times as large; no number changes, only scales do."""
        return Rows(self.codes, (self.scale * factors).astype(np.float32))


@dataclass(frozen=True)
class Blocks:
    """``packed`` uint8 (rows, columns / 2) and ``scale`` float32 (rows, columns / ``BLOCK``).

    A byte holds two numbers, the first in its lower half, each with 8 added. A weight is its number times the scale of
    its block.
    """

    packed: np.ndarray
    scale: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.packed.shape[0], 2 * self.packed.shape[1])

    def codes(self) -> np.ndarray:
        """The numbers, int8 (rows, columns), ``LOWEST`` to ``HIGHEST``."""
        codes = np.empty(self.shape, np.int8)
        codes[:, ::2] = self.packed & 15
        codes[:, 1::2] = self.packed >> 4
        codes += LOWEST
        return codes

    def floats(self) -> np.ndarray:
        """The float32 matrix (rows, columns) that this stands for."""
        rows, columns = self.shape
        blocks = self.codes().reshape(rows, -1, BLOCK) * self.scale[:, :, None]
        return blocks.reshape(rows, columns)

    def rows(self) -> Rows:
        """The same matrix on the grid of 8 bits, for products that know no blocks: within half a scale everywhere."""
        scale = np.abs(self.scale).max(axis=1) * np.float32(-LOWEST / ROWS_MAX)  # for the farthest there could be
        codes = self.codes().reshape(*self.scale.shape, BLOCK) * (self.scale / scale[:, None])[:, :, None]
        return Rows(np.rint(codes, out=codes).astype(np.int8).reshape(self.shape), scale)

    def times(self, factors: np.ndarray) -> Blocks:
        """The matrix whose rows are ``factors`` (rows,) times as large; no number changes, only scales do."""
        return Blocks(self.packed, (self.scale * np.reshape(factors, (-1, 1))).astype(np.float32))


Matrix = Rows | Blocks


def to_rows(weights: np.ndarray) -> Rows:
    """Put a matrix (rows, columns) on the grid of 8 bits.

    What comes out is within half a scale of the weight everywhere; the scale is the row's largest absolute weight over
    127. A row of zeros has scale 1. Raises :class:`CheckpointError` where a weight is not finite.
    """
    weights = finite(weights)
    peak = np.abs(weights).max(axis=1, initial=0.0)
    # Shorter scales that clip the largest weight were tried: for matrices like these they lower the error by 0.2 % at
    # the most, and the plain scale keeps the largest weight exactly.
    scale = np.where(peak > 0, peak / np.float32(ROWS_MAX), 1.0).astype(np.float32)
    scale = np.maximum(scale, np.finfo(np.float32).tiny)  # a subnormal scale would lose its digits
    return Rows(np.clip(np.rint(weights / scale[:, None]), -ROWS_MAX, ROWS_MAX).astype(np.int8), scale)


def to_blocks(weights: np.ndarray) -> Blocks:
    """Put a matrix (rows, columns) on the grid of 4 bits, each weight by itself; of a block's :func:`scales` the one
    with the least squared error. :mod:`midigen.rounding` does better where it is known what the matrix multiplies.

    Raises :class:`CheckpointError` where a weight is not finite, or ``columns`` is not a multiple of ``BLOCK``.
    """
    weights = finite(weights)
    rows, columns = weights.shape
    if columns % BLOCK:
        raise CheckpointError(f"a matrix of {columns} columns has no blocks of {BLOCK}; use a multiple")
    blocks = weights.reshape(rows, -1, BLOCK)
    best = np.full(blocks.shape[:2], np.inf, np.float32)
    kept, codes = np.ones_like(best), np.zeros(blocks.shape, np.int8)
    for scale in scales(blocks):
        tried = nearest(blocks, scale[..., None])
        error = np.square(tried * scale[..., None] - blocks).sum(axis=-1)
        better = error < best
        best, kept = np.where(better, error, best), np.where(better, scale, kept)
        codes = np.where(better[..., None], tried, codes).astype(np.int8)
    return pack_blocks(codes.reshape(rows, columns), kept)


def scales(blocks: np.ndarray) -> np.ndarray:
    """Scales to try for blocks (..., ``BLOCK``) of weights: float32 (tries, ...), none of them zero.

    In one half of them the largest weight is at the far end of the numbers, in the other at the near one.
    """
    at = np.abs(blocks).argmax(axis=-1)[..., None]
    peak = np.take_along_axis(blocks, at, axis=-1)[..., 0].astype(np.float32)
    far = peak / np.float32(LOWEST)
    tiny = np.finfo(np.float32).tiny
    far = np.where(np.abs(far) < tiny, tiny, far)
    signed = np.concatenate([FACTORS, -FACTORS]).reshape(-1, *[1] * far.ndim)
    tries = (signed * far).astype(np.float32)
    return np.where(np.abs(tries) < tiny, tiny, tries)


def nearest(weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The numbers of 4 bits, as float32, that come nearest to ``weights`` in steps of ``scale``."""
    return np.clip(np.rint(weights / scale), LOWEST, HIGHEST)


def pack_blocks(codes: np.ndarray, scale: np.ndarray) -> Blocks:
    """Numbers ``LOWEST`` to ``HIGHEST`` (rows, columns), two to a byte, with ``scale`` (rows, columns / ``BLOCK``)."""
    above = (codes - LOWEST).astype(np.uint8)
    return Blocks(above[:, ::2] | above[:, 1::2] << 4, np.ascontiguousarray(scale, np.float32))


def finite(weights: np.ndarray) -> np.ndarray:
    """``weights`` in float32, or :class:`CheckpointError` where one is not a finite number."""
    weights = np.asarray(weights, dtype=np.float32)
    if not np.isfinite(weights).all():
        raise CheckpointError("a weight is not a finite number; train again with a lower learning rate")
    return weights
