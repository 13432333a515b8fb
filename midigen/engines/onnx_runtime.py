"""The default engine: ONNX Runtime on the CPU, from the checkpoint alone. Loads neither torch nor transformers.

A step touches Python in one call: ids, lengths and logits live in arrays that are bound once, and the cache is one
buffer a layer that attention reads and writes in place. The buffers are as long as the context, but memory is taken
only for what has been fed, because the operating system hands out untouched pages lazily.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midigen.checkpoint import Checkpoint
from midigen.engines import check_ids, check_rewind
from midigen.engines.onnx_graph import build_graph
from midigen.errors import MissingTool

if TYPE_CHECKING:
    import onnxruntime

# Longer runs of ids are fed in pieces of this many: attention's scratch memory is heads x piece x past.
PIECE = 256


class OnnxEngine:
    """A take on ONNX Runtime; keeps :class:`midigen.engines.Engine`."""

    def __init__(self, checkpoint: Checkpoint, mode: str, threads: int) -> None:
        self._start(checkpoint, _open_session(checkpoint, mode, threads))

    def _start(self, checkpoint: Checkpoint, session: onnxruntime.InferenceSession) -> None:
        self._checkpoint = checkpoint
        self._session = session
        self._position = 0
        size = checkpoint.size
        shape = (1, size.kv_heads, size.context, size.head_dim)
        self._cache = {
            f"{what}.{layer}": np.zeros(shape, np.float32) for layer in range(size.layers) for what in ("key", "value")
        }
        self._step = self._run(length=1, rows=1)

    def _run(self, length: int, rows: int) -> _Run:
        return _Run(self._session, self._cache, length, rows, self.vocabulary_size)

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
        ids = check_ids(ids, self.vocabulary_size, self._position, self.context)
        if len(ids) == 1:
            return self._advance(self._step, ids)[0].copy()
        for start in range(0, len(ids), PIECE):
            piece = ids[start : start + PIECE]
            logits = self._advance(self._run(len(piece), rows=1), piece)
        return logits[0]

    def feed_all(self, ids: np.ndarray) -> np.ndarray:
        ids = check_ids(ids, self.vocabulary_size, self._position, self.context)
        pieces = [ids[start : start + PIECE] for start in range(0, len(ids), PIECE)]
        return np.concatenate([self._advance(self._run(len(piece), len(piece)), piece) for piece in pieces])

    def _advance(self, run: _Run, ids: np.ndarray) -> np.ndarray:
        logits = run(ids, self._position)
        self._position += len(ids)
        return logits

    def rewind(self, position: int) -> None:
        self._position = check_rewind(position, self._position)

    def fork(self) -> OnnxEngine:
        take = object.__new__(OnnxEngine)
        take._start(self._checkpoint, self._session)
        take._position = self._position
        for name, past in self._cache.items():
            take._cache[name][:, :, : self._position] = past[:, :, : self._position]
        return take


class _Run:
    """The graph's inputs and outputs bound to arrays, for ``length`` ids and the logits of the last ``rows``."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        cache: dict[str, np.ndarray],
        length: int,
        rows: int,
        vocabulary_size: int,
    ) -> None:
        self._session = session
        self._cache = cache  # the binding knows addresses only; this keeps what is there
        self._ids = np.zeros((1, length), np.int64)
        self._last_position = np.zeros(1, np.int32)
        self._total_length = np.zeros(1, np.int32)
        self._first_row = np.array([length - rows], np.int64)
        self._logits = np.empty((1, rows, vocabulary_size), np.float32)
        self._binding = session.io_binding()
        self._bind("ids", self._ids)
        self._bind("last_position", self._last_position)
        self._bind("total_length", self._total_length)
        self._bind("first_row", self._first_row)
        self._bind("logits", self._logits, output=True)
        for name, buffer in cache.items():
            self._bind(f"past_{name}", buffer)
            self._bind(f"present_{name}", buffer, output=True)

    def _bind(self, name: str, array: np.ndarray, output: bool = False) -> None:
        bind = self._binding.bind_output if output else self._binding.bind_input
        bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def __call__(self, ids: np.ndarray, position: int) -> np.ndarray:
        """Feed ``ids`` (length,) after ``position`` tokens.

        Returns float32 (rows, vocabulary_size) that the next call of the same run overwrites.
        """
        self._ids[0] = ids
        self._last_position[0] = position + len(ids) - 1
        self._total_length[0] = position + len(ids)
        self._session.run_with_iobinding(self._binding)
        return self._logits[0]


def _open_session(checkpoint: Checkpoint, mode: str, threads: int) -> onnxruntime.InferenceSession:
    try:
        import onnx  # noqa: F401  # needed to write the graph
        import onnxruntime
    except ImportError as error:
        raise MissingTool(
            f"the onnx engine needs {error.name}, which is not installed: pip install {error.name}"
        ) from None

    options = onnxruntime.SessionOptions()
    # With more threads than query heads, attention cuts the past into one piece a thread, and the sum's rounding would
    # depend on how many there are.
    options.intra_op_num_threads = min(threads, checkpoint.size.heads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A waiting thread that spins takes the core that is rendering the previous bars.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    graph = build_graph(checkpoint, eight_bit=mode == "fast")
    names = list(graph.weights)
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(graph.weights[name]) for name in names]
    options.add_external_initializers(names, values)
    return onnxruntime.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"])
