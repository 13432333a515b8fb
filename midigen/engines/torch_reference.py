"""The reference engine: the model as it was trained, in torch and float32, on the numbers of the checkpoint's grid.

What the other engines are measured against. Needs torch and transformers.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any

import numpy as np

from midigen.checkpoint import Checkpoint
from midigen.engines import check_ids, check_rewind
from midigen.errors import MissingTool
from midigen.model import build_model, load_state


class TorchEngine:
    """A take on torch; keeps :class:`midigen.engines.Engine`.

    Both modes are float32, which keeps the promise of either. ``threads`` is not used: torch's kernels cut sums by the
    number of threads, so the reference keeps to one.
    """

    ahead = 3

    def __init__(self, checkpoint: Checkpoint, mode: str, threads: int | None) -> None:
        self._size = checkpoint.size
        self._vocabulary_size = checkpoint.vocabulary_size
        try:
            self._model = build_model(checkpoint.size, checkpoint.vocabulary_size, seed=0).eval()
        except ImportError as error:
            raise MissingTool(
                f"the torch engine needs {error.name}, which is not installed: install the extra 'train', "
                "or use the engine 'onnx'"
            ) from None
        load_state(self._model, checkpoint.weights())
        self._cache: Any = None  # transformers makes one in the first step
        # From 5.24 on transformers calls it by a shorter name, and warns of the other.
        self._past = "cache" if "cache" in signature(self._model.forward).parameters else "past_key_values"

    @property
    def vocabulary_size(self) -> int:
        return self._vocabulary_size

    @property
    def context(self) -> int:
        return self._size.context

    @property
    def position(self) -> int:
        return 0 if self._cache is None else int(self._cache.get_seq_length())

    def feed(self, ids: np.ndarray) -> np.ndarray:
        return self._run(ids, rows=1)[0]

    def feed_all(self, ids: np.ndarray, rows: int | None = None) -> np.ndarray:
        return self._run(ids, rows or 0)  # transformers reads 0 as all

    def _run(self, ids: np.ndarray, rows: int) -> np.ndarray:
        import torch

        ids = check_ids(ids, self.vocabulary_size, self.position, self.context)
        with torch.inference_mode(), _one_thread():
            output = self._model(
                input_ids=torch.tensor(ids)[None], use_cache=True, logits_to_keep=rows, **{self._past: self._cache}
            )
        self._cache = output[self._past]
        logits: np.ndarray = output.logits[0].numpy()
        return logits

    def rewind(self, position: int) -> None:
        surplus = self.position - check_rewind(position, self.position)
        if position == 0:
            self._cache = None
        elif surplus:
            self._cache.crop(-surplus)

    def fork(self) -> TorchEngine:
        take = copy.copy(self)
        take._cache = copy.deepcopy(self._cache)
        return take

    def company(self, count: int) -> TorchCompany:
        return TorchCompany(self, count)


class TorchCompany:
    """Takes that are computed one after the other: the reference makes no haste; keeps
    :class:`midigen.engines.Company`."""

    def __init__(self, engine: TorchEngine, count: int) -> None:
        self.takes: list[TorchEngine] = []
        for _ in range(count):
            take = copy.copy(engine)
            take._cache = None
            self.takes.append(take)

    def step(self, numbers: Sequence[int], ids: Sequence[int]) -> np.ndarray:
        for number, token in zip(numbers, ids, strict=True):
            take = self.takes[number]
            check_ids(np.array([token]), take.vocabulary_size, take.position, take.context)
        return np.stack(
            [self.takes[number].feed(np.array([token])) for number, token in zip(numbers, ids, strict=True)]
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """The number of threads is the whole process's in torch, so it is put back."""
    import torch

    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
