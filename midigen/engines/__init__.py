"""Next-token engines: one protocol, and a shelf of ways to keep it.

An engine knows ids and logits, nothing of music. Every engine computes with the numbers of the checkpoint's grid; they
differ in speed, in what has to be installed, and in how the arithmetic is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from midigen.checkpoint import Checkpoint
from midigen.errors import BadRequest
from midigen.plugins import Shelf

ENGINES = Shelf(
    "engine",
    {
        "onnx": "midigen.engines.onnx_runtime:OnnxEngine",
        "torch": "midigen.engines.torch_reference:TorchEngine",
    },
)
MODES = ("fast", "exact")
STEP = 8  # so many ids at a time are a step: a token, and what is guessed to follow it; more are a prompt


class Engine(Protocol):
    """One take: a sequence that grows token by token, with the keys and values of its past in a cache.

    The logits depend on the ids fed and on how they were cut into calls, to the bit; not on the number of threads,
    nor on other takes, also those of its company. A different cut changes only the rounding: of float32 by some 1e-5,
    of 8-bit numbers by some hundredths, where up to ``STEP`` ids are fed in one way and more in another; however up to
    ``STEP`` ids are cut among themselves changes nothing there. One take belongs to one thread at a time; different
    takes may be used at the same time.
    """

    @property
    def vocabulary_size(self) -> int:
        """Number of logits; ids are 0 to ``vocabulary_size - 1``."""
        ...

    @property
    def context(self) -> int:
        """The longest sequence, in tokens."""
        ...

    @property
    def position(self) -> int:
        """How many tokens have been fed and are in the cache."""
        ...

    @property
    def ahead(self) -> int:
        """How many guesses pay when they are fed together with a step (:mod:`midigen.drafting`)."""
        ...

    def feed(self, ids: np.ndarray) -> np.ndarray:
        """Append ``ids`` (n,), n >= 1, and return float32 logits (vocabulary_size,) of the token that follows.

        The array is the caller's to keep. Raises :class:`BadRequest` for an empty sequence, an id outside the
        vocabulary, or more than ``context`` tokens in all; the take is then as it was.
        """
        ...

    def feed_all(self, ids: np.ndarray, rows: int | None = None) -> np.ndarray:
        """As :meth:`feed`, with the logits after every one of the ids, or of the last ``rows`` (1 or more) of them:
        float32 (rows, vocabulary_size)."""
        ...

    def rewind(self, position: int) -> None:
        """Forget everything from ``position`` on; 0 to the present position, else :class:`BadRequest`."""
        ...

    def fork(self) -> Engine:
        """Another take that shares the weights and starts from a copy of this one's past."""
        ...

    def company(self, count: int) -> Company:
        """``count`` new takes (1 or more) with the same weights and no past, which can go together."""
        ...


class Company(Protocol):
    """Takes that are fed one by one like any others, or one id each at the same time.

    What a take is given does not depend on the company, to the bit. All of them belong to one thread at a time.
    """

    @property
    def takes(self) -> Sequence[Engine]: ...

    def step(self, numbers: Sequence[int], ids: Sequence[int]) -> np.ndarray:
        """Feed ``ids[i]`` to the take ``numbers[i]`` (in ascending order, each once); float32 (n, vocabulary_size).

        The array is the caller's to keep. Raises as :meth:`Engine.feed` does, and all takes are then as they were.
        """
        ...


def open_engine(checkpoint: Checkpoint, name: str = "onnx", mode: str = "fast", threads: int | None = None) -> Engine:
    """Open the engine called ``name`` on a checkpoint, at position 0.

    ``mode``: ``"fast"`` multiplies weights as they are stored, in 8 or 4 bits, with 8-bit activations and keeps keys
    and values in 8 bits, where the engine can (the loss stays within 0.5 % of float), ``"exact"`` computes in float32
    (logits within 1e-3 of torch). ``threads``: how many cores one step may use; ``None`` leaves that to the engine,
    which takes a second one where that is measured to pay. Raises :class:`BadRequest` for an unknown name or mode or
    fewer threads than 1, and :class:`MissingTool` when the engine's library is not installed.
    """
    if mode not in MODES:
        raise BadRequest(f"unknown mode {mode!r}: choose one of {', '.join(MODES)}")
    if threads is not None and threads < 1:
        raise BadRequest(f"threads is {threads}; use 1 or more")
    engine: Engine = ENGINES.get(name)(checkpoint, mode, threads)
    return engine


def check_ids(ids: np.ndarray, vocabulary_size: int, position: int, context: int) -> np.ndarray:
    """``ids`` as int64 (n,), or :class:`BadRequest`: what every engine refuses, in the same words."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu":
        raise BadRequest(f"ids of shape {ids.shape} and type {ids.dtype}: feed one or more whole numbers in one row")
    ids = ids.astype(np.int64, copy=False)
    low, high = (ids[0], ids[0]) if len(ids) == 1 else (ids.min(), ids.max())
    if low < 0 or high >= vocabulary_size:
        raise BadRequest(f"token {low if low < 0 else high}: outside the vocabulary, 0 to {vocabulary_size - 1}")
    if position + len(ids) > context:
        raise BadRequest(
            f"{position + len(ids)} tokens are more than the model's context of {context}: ask for fewer bars or parts"
        )
    return ids


def check_rewind(target: int, position: int) -> int:
    """``target``, or :class:`BadRequest` when it is not a place in the past."""
    if not 0 <= target <= position:
        raise BadRequest(f"cannot rewind to {target}: give a position from 0 to {position}")
    return target
