"""The default engine: ONNX Runtime on the CPU, from the checkpoint alone. Loads neither torch nor transformers.

A step touches Python in one call: ids, lengths and logits live in arrays that are bound once, and the cache is one
buffer a layer that attention reads and writes in place; only in 8 bits the few rows of a prompt are copied there. The
buffers are as long as the context, but memory is taken only for what has been fed, because the operating system hands
out untouched pages lazily.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from midigen.checkpoint import Checkpoint
from midigen.engines import STEP, check_ids, check_rewind
from midigen.engines.onnx_graph import Kind, build_graph
from midigen.engines.pace import Pace
from midigen.errors import MissingTool

if TYPE_CHECKING:
    import onnxruntime

    Sessions = Pace["Pair"]

# Longer runs of ids are fed in pieces of this many: attention's scratch memory is heads x piece x past.
PIECE = 256


class Pair:
    """Two graphs that share a cache: for steps of up to ``STEP`` ids, and for reading more.

    In float32 both are one. In 8 bits, a step is bound by memory, and wants weights and cache in bytes, while a prompt
    is bound by arithmetic: it wants large products of bytes, and attention in float32, which takes a quarter of the
    time that attention to bytes takes for many ids. The second graph is opened when it is needed.
    """

    def __init__(self, checkpoint: Checkpoint, mode: str, threads: int) -> None:
        self._checkpoint, self._threads = checkpoint, threads
        self.apart = mode == "fast"
        self.steps = _open_session(checkpoint, Kind.STEPS if self.apart else Kind.EXACT, threads)
        self._reading = None if self.apart else self.steps
        self._lock = Lock()

    @property
    def reading(self) -> onnxruntime.InferenceSession:
        with self._lock:
            if self._reading is None:
                kind = Kind.READING if sums_are_whole() else Kind.READING_IN_BLOCKS
                self._reading = _open_session(self._checkpoint, kind, self._threads)
            return self._reading


class OnnxEngine:
    """A take on ONNX Runtime; keeps :class:`midigen.engines.Engine`.

    With ``threads`` of ``None`` it watches whether a second thread pays (:mod:`midigen.engines.pace`).
    """

    def __init__(self, checkpoint: Checkpoint, mode: str, threads: int | None) -> None:
        # With more threads than query heads, attention cuts the past into one piece a thread, and the sum's rounding
        # would depend on how many there are.
        most = checkpoint.size.heads
        if threads is None:
            pace = Pace(lambda number: Pair(checkpoint, mode, number), most=most)
        else:
            pace = Pace(lambda _: Pair(checkpoint, mode, min(threads, most)), most=1)
        self._start(checkpoint, pace, _cache_of(checkpoint, 1, mode), mode)

    def _start(self, checkpoint: Checkpoint, pace: Sessions, cache: dict[str, np.ndarray], mode: str) -> None:
        self._checkpoint = checkpoint
        self._pace = pace
        self._position = 0
        self._cache = cache
        self._mode = mode
        # In float32 four ids take a fifth longer than one, in 8 bits two to three times as long, and two ids half as
        # long again ("Guesses, windows and the clock" in the lab book).
        self.ahead = 1 if mode == "fast" else 3
        self._kept: dict[tuple[int, int], _Run] = {}

    def _run(self, length: int, rows: int) -> _Run:
        run = self._kept.get((length, rows))
        if run is None:
            run = _Run(self._cache, length, rows, self.vocabulary_size)
            if length <= STEP:  # those come again and again
                self._kept[length, rows] = run
        return run

    @property
    def vocabulary_size(self) -> int:
        return self._checkpoint.vocabulary_size

    @property
    def context(self) -> int:
        return self._checkpoint.size.context

    @property
    def position(self) -> int:
        return self._position

    def feed(self, ids: np.ndarray) -> np.ndarray:
        return self.feed_all(ids, rows=1)[0]

    def feed_all(self, ids: np.ndarray, rows: int | None = None) -> np.ndarray:
        ids = check_ids(ids, self.vocabulary_size, self._position, self.context)
        rows = len(ids) if rows is None else min(rows, len(ids))
        if len(ids) == 1:
            return self._advance(ids, 1).copy()
        pieces = []
        for start in range(0, len(ids), PIECE):
            piece = ids[start : start + PIECE]
            wanted = start + len(piece) - (len(ids) - rows)  # of this piece; the graph computes one row at least
            logits = self._advance(piece, min(max(wanted, 1), len(piece)))
            if wanted > 0:
                pieces.append(logits.copy())
        return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]

    def _advance(self, ids: np.ndarray, rows: int) -> np.ndarray:
        run = self._run(len(ids), rows)
        run.ids[0] = ids
        stop = self._position + len(ids)
        logits: np.ndarray = run(self._pace, stop - 1, stop)[0]
        self._position = stop
        return logits

    def rewind(self, position: int) -> None:
        self._position = check_rewind(position, self._position)

    def fork(self) -> OnnxEngine:
        (take,) = self.company(1).takes
        take._position = self._position
        for name, past in self._cache.items():
            take._cache[name][:, :, : self._position] = past[:, :, : self._position]
        return take

    def company(self, count: int) -> OnnxCompany:
        return OnnxCompany(self._checkpoint, self._pace, count, self._mode)


class OnnxCompany:
    """Takes whose caches lie side by side, so that one run computes a step of several; keeps
    :class:`midigen.engines.Company`."""

    def __init__(self, checkpoint: Checkpoint, pace: Sessions, count: int, mode: str) -> None:
        self._cache = _cache_of(checkpoint, count, mode)
        self._pace = pace
        self._vocabulary_size = checkpoint.vocabulary_size
        self._kept: dict[tuple[int, int], _Run] = {}
        self.takes: list[OnnxEngine] = []
        for number in range(count):
            take = object.__new__(OnnxEngine)
            take._start(checkpoint, pace, {name: both[number : number + 1] for name, both in self._cache.items()}, mode)
            self.takes.append(take)

    def step(self, numbers: Sequence[int], ids: Sequence[int]) -> np.ndarray:
        # All, before anything is changed.
        for number, token in zip(numbers, ids, strict=True):
            take = self.takes[number]
            check_ids(np.array([token]), self._vocabulary_size, take.position, take.context)
        first, stop = min(numbers), max(numbers) + 1
        run = self._kept.get((first, stop))
        if run is None:
            cache = {name: both[first:stop] for name, both in self._cache.items()}
            run = self._kept[first, stop] = _Run(cache, 1, 1, self._vocabulary_size, takes=stop - first)
        # A take between that is not to move computes too, and what it writes lies beyond its past.
        run.ids[:] = 0
        for number, token in zip(numbers, ids, strict=True):
            run.ids[number - first] = token
        places = np.array([min(take.position, take.context - 1) for take in self.takes[first:stop]])
        logits = run(self._pace, places, int(places.max()) + 1)
        for number in numbers:
            self.takes[number]._position += 1
        return logits[[number - first for number in numbers], 0]


class _Run:
    """The graph's inputs and outputs bound to arrays, for ``length`` ids of each of several ``takes`` and the logits
    of the last ``rows`` of them. Put the ids into ``ids`` (takes, length), then call it."""

    def __init__(
        self, cache: dict[str, np.ndarray], length: int, rows: int, vocabulary_size: int, takes: int = 1
    ) -> None:
        self._cache = cache  # a binding knows addresses only; this keeps what is there
        self._length = length
        self.ids = np.zeros((takes, length), np.int64)
        self._last_position = np.zeros(takes, np.int32)
        self._total_length = np.zeros(1, np.int32)
        self._first_row = np.array([length - rows], np.int64)
        self._past_length = np.zeros(1, np.int64)
        self._logits = np.empty((takes, rows, vocabulary_size), np.float32)
        self._bindings: dict[onnxruntime.InferenceSession, onnxruntime.IOBinding] = {}
        # Only in reading: what is to be written into the cache.
        self._new = {
            name: np.empty((*past.shape[:2], length, past.shape[3]), past.dtype)
            for name, past in cache.items()
            if length > STEP and past.dtype == np.int8
        }

    def _bound(self, session: onnxruntime.InferenceSession) -> onnxruntime.IOBinding:
        binding = self._bindings.get(session)
        if binding is None:
            binding = self._bindings[session] = session.io_binding()
            inputs: dict[str, np.ndarray] = {
                "ids": self.ids,
                "last_position": self._last_position,
                "total_length": self._total_length,
                "first_row": self._first_row,
                **{f"past_{name}": buffer for name, buffer in self._cache.items()},
            }
            if self._new:
                inputs["past_length"] = self._past_length
            outputs = {f"present_{name}": buffer for name, buffer in (self._new or self._cache).items()}
            for name, array in inputs.items():
                binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
            for name, array in {**outputs, "logits": self._logits}.items():
                binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return binding

    def __call__(self, pace: Sessions, last: int | np.ndarray, total: int) -> np.ndarray:
        """Feed ``ids``, the last of each take to its position ``last`` (one number, or (takes,)); ``total`` tokens are
        then in the longest.

        Returns float32 (takes, rows, vocabulary_size) that the next call of the same run overwrites.
        """
        self._last_position[:] = last
        self._total_length[0] = total
        if self._new:
            past = self._past_length[0] = total - self._length
            pace.run(self._read, timed=False)
            for name, rows in self._new.items():
                self._cache[name][:, :, past:total] = rows
        else:
            pace.run(self._step, timed=self._length == 1)
        return self._logits

    def _read(self, pair: Pair) -> None:
        pair.reading.run_with_iobinding(self._bound(pair.reading))

    def _step(self, pair: Pair) -> None:
        pair.steps.run_with_iobinding(self._bound(pair.steps))


def _cache_of(checkpoint: Checkpoint, takes: int, mode: str) -> dict[str, np.ndarray]:
    size = checkpoint.size
    shape = (takes, size.kv_heads, size.context, size.head_dim)
    kind = np.int8 if mode == "fast" else np.float32
    return {f"{what}.{layer}": np.zeros(shape, kind) for layer in range(size.layers) for what in ("key", "value")}


def _open_session(checkpoint: Checkpoint, kind: Kind, threads: int) -> onnxruntime.InferenceSession:
    try:
        import onnx  # noqa: F401  # needed to write the graph
        import onnxruntime
    except ImportError as error:
        raise MissingTool(
            f"the onnx engine needs {error.name}, which is not installed: pip install {error.name}"
        ) from None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A waiting thread that spins takes the core that is rendering the previous bars.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    graph = build_graph(checkpoint, kind)
    names = list(graph.weights)
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(graph.weights[name]) for name in names]
    options.add_external_initializers(names, values)
    return onnxruntime.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"])


@cache
def sums_are_whole() -> bool:
    """Whether products of bytes are summed up exactly. Processors without VNNI may do it in 16 bits, which overflow."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    weights = np.full((64, 16), 127, np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["bytes", "weights"], ["sums"])],
        "probe",
        [helper.make_tensor_value_info("bytes", TensorProto.UINT8, [4, 64])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, [4, 16])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"bytes": np.full((4, 64), 255, np.uint8)})
    return bool(np.all(sums == 64 * 127 * 255))
