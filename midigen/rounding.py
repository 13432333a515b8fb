"""Weights to 4 bits, with the error of each number made good by those that are rounded after it.

The method is GPTQ (Frantar et al., 2022, arXiv:2210.17323): what counts is not how far a matrix is off but how far what
it gives is, on average over the inputs that it sees. For this their second moments are enough. Columns are rounded one
after another, and what is lost in one is taken over, as far as moments tell, by the columns to come. Layers are rounded
from input to output, each with the inputs that those rounded before give it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.dataset import Batch
from midigen.quantization import BLOCK, Blocks, finite, nearest, pack_blocks, scales
from midigen.tokenizers.vocabulary import PAD

if TYPE_CHECKING:
    import torch

DAMPING = 0.01  # of the mean second moment, added to each: what was seen is not all there is


def compensated(weights: np.ndarray, moments: np.ndarray) -> Blocks:
    """A matrix (rows, columns) on the grid of 4 bits, rounded for inputs with second moments (columns, columns).

    ``moments[i, j]`` is the mean of input i times input j. Blocks are taken in the order of their mean squares, and
    columns within them: those that count most are rounded first, while there are others to make good for them. Of the
    scales of a block the one is kept that leaves the least to make good. Raises :class:`CheckpointError` where a weight
    is not finite.
    """
    weights = finite(weights)
    rows, columns = weights.shape
    power = np.diag(moments)
    moments = moments + np.eye(columns) * (DAMPING * power.mean() or 1.0)
    first = np.argsort(-power.reshape(-1, BLOCK).mean(axis=1), kind="stable")
    order = np.concatenate(
        [block * BLOCK + np.argsort(-power[block * BLOCK :][:BLOCK], kind="stable") for block in first]
    )
    share = _shares(moments[np.ix_(order, order)])
    left = weights[:, order]
    codes, scale = np.empty((rows, columns), np.int8), np.empty((rows, columns // BLOCK), np.float32)
    for place, block in enumerate(first):
        start, stop = place * BLOCK, (place + 1) * BLOCK
        tries = scales(left[:, start:stop])
        rounded, lost = _round_block(left[:, start:stop], tries, share[start:stop, start:stop])
        best = np.square(lost).sum(axis=0).argmin(axis=0), np.arange(rows)
        codes[:, order[start:stop]] = rounded[:, *best].T
        scale[:, block] = tries[best]
        left[:, stop:] -= lost[:, *best].T @ share[start:stop, stop:]
    return pack_blocks(codes, scale)


def _shares(moments: np.ndarray) -> np.ndarray:
    """The upper triangle whose square is the inverse of ``moments``: row i, over its first number, says how much of an
    error in column i the later columns take over, when those before are fixed."""
    # From the last column on, so that no inverse of the moments themselves is needed, which would be less exact.
    upper = np.linalg.cholesky(moments[::-1, ::-1])[::-1, ::-1]
    return np.linalg.inv(upper).astype(np.float32)


def _round_block(weights: np.ndarray, tries: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A block (rows, ``BLOCK``) rounded with each of the scales (tries, rows): numbers, and what they lose in shares,
    both (``BLOCK``, tries, rows)."""
    left = np.repeat(weights.T[:, None], len(tries), axis=1)
    rounded, lost = np.empty_like(left), np.empty_like(left)
    for at in range(BLOCK):
        rounded[at] = nearest(left[at], tries)
        lost[at] = (left[at] - rounded[at] * tries) / share[at, at]
        left[at + 1 :] -= share[at, at + 1 :, None, None] * lost[at]
    return rounded, lost


def round_feed_forward(
    model: Any, batches: Sequence[Batch], on_done: Callable[[int, int], None] | None = None
) -> dict[str, Blocks]:
    """The matrices of the feed-forward part of ``model``, by name, rounded for what it computes in ``batches``.

    The model's own are replaced by what they are rounded to. ``on_done`` is told how many matrices are rounded, and of
    how many.
    """
    import torch

    done: dict[str, Blocks] = {}
    layers = model.model.layers
    for number, layer in enumerate(layers):
        # Gate and up see the same.
        for parts in (("gate_proj", "up_proj"), ("down_proj",)):
            moments = _moments(model, getattr(layer.mlp, parts[0]), batches)
            for part in parts:
                parameter = getattr(layer.mlp, part).weight
                blocks = compensated(parameter.detach().numpy(), moments)
                with torch.no_grad():
                    parameter.copy_(torch.from_numpy(blocks.floats()))
                done[f"model.layers.{number}.mlp.{part}.weight"] = blocks
                if on_done:
                    on_done(len(done), 3 * len(layers))
    return done


class _Enough(Exception):
    """The rest of the model is not needed."""


def _moments(model: Any, product: Any, batches: Sequence[Batch]) -> np.ndarray:
    """Second moments of what ``product``, a part of ``model``, is given in ``batches``: float64 (columns, columns)."""
    import torch

    total = torch.zeros(product.in_features, product.in_features, dtype=torch.float64)
    count = 0

    def watch(_: Any, given: tuple[torch.Tensor, ...]) -> None:
        nonlocal count
        seen = given[0][real].double()
        total.addmm_(seen.T, seen)
        count += len(seen)
        raise _Enough

    hook = product.register_forward_pre_hook(watch)
    try:
        with torch.no_grad():
            for batch in batches:
                real = torch.from_numpy(batch.ids != PAD)
                with suppress(_Enough):
                    model.model(input_ids=torch.from_numpy(batch.ids), use_cache=False)
    finally:
        hook.remove()
    return (total / count).numpy()
