"""The transformer as an ONNX graph, built in memory from a checkpoint: nodes here, weights handed over beside them.

Written with ONNX Runtime's own operators for language models (domain ``com.microsoft``): ``GroupQueryAttention`` does
the rotary positions, writes keys and values in place and attends, and ``MatMulNBits`` multiplies by weights of 8 or 4
bits.
Query, key and value matrices are one matrix, as are gate and up, because each call has a toll of its own.

There are several kinds. ``EXACT`` is float32 throughout. ``STEPS`` has the weights as they are stored and a cache of
bytes, whose units are folded into the weights beside (:func:`in_cache_units`). ``READING`` is for many ids on top of
that same cache: what is filled of it becomes float32 again, and what is new comes out as bytes, to be put there by the
caller. Where it multiplies whole numbers of 8 bits by one another, weights of 4 bits are put on the grid of 8.

Inputs: ``ids`` int64 (takes, n); ``last_position`` int32 (takes,), position of each take's last id; ``total_length``
int32 (1,), the largest of them plus one; ``first_row`` int64 (1,), the first of the n rows whose logits are wanted; and
for each layer ``past_key.L`` and ``past_value.L`` float32 (takes, kv_heads, context, head_dim). Outputs: ``logits``
float32 (takes, rows, vocabulary), and ``present_key.L`` and ``present_value.L``, to be bound to the memory of the past.
The cache is int8 in all kinds but ``EXACT``. ``READING`` has one input more, ``past_length`` int64 (1,), and its
``present_key.L`` and ``present_value.L`` are the new rows alone, int8 (takes, kv_heads, n, head_dim). Several takes go
together one id at a time only: attention refuses more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.checkpoint import Checkpoint
from midigen.model import Size
from midigen.quantization import BLOCK, LOWEST, Blocks, Matrix

if TYPE_CHECKING:
    import onnx

MICROSOFT = "com.microsoft"
# Columns that share one scale of the activations, for weights of 8 bits. These have one scale a row, repeated for each
# block. From 128 on the kernel sums one row in another order than several, so that a token's logits would depend on its
# company; 64 costs 3 to 4 % more time than 128, and rounds the activations a little more finely.
BYTES_BLOCK = 64
REACH = 8.0  # deviations of a channel of keys or values that a byte of the cache can tell apart
ZERO_POINT = 128  # MatMulNBits stores unsigned bytes, and this is its zero
assert LOWEST == -8  # its zero in 4 bits is 8, as the checkpoint stores them
INT8_ACTIVATIONS = 4  # accuracy_level: the only one whose kernel does not expand the weights at every step


class Kind(Enum):
    """What a graph is for."""

    EXACT = "exact"
    STEPS = "steps"
    READING = "reading"
    READING_IN_BLOCKS = "reading in blocks"  # without products that need exact sums of bytes


@dataclass(frozen=True)
class Graph:
    """A serialised ONNX model without its weights, and the weights by name."""

    model: bytes
    weights: dict[str, np.ndarray]


def build_graph(checkpoint: Checkpoint, kind: Kind) -> Graph:
    """The graph of ``checkpoint``."""
    return _Builder(checkpoint, kind).build()


def rotary_tables(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines, float32 (context, head_dim / 2); every product rounded to float32, as transformers does."""
    exponents = np.arange(0, size.head_dim, 2, dtype=np.float32) / np.float32(size.head_dim)
    frequencies = np.float32(1.0) / np.float32(size.rope_theta) ** exponents
    angles = np.arange(size.context, dtype=np.float32)[:, None] * frequencies
    return np.cos(angles), np.sin(angles)


def in_cache_units(projections: list[Matrix], gamma: np.ndarray, size: Size) -> list[Matrix]:
    """The matrices of query, key, value and output, with the scales of their rows changed so that keys and values come
    out in steps of a byte, and attention and the block do what they did.

    What comes in is normed, times ``gamma``: a row with weights w gives numbers whose deviation is that of ``w *
    gamma``, if no direction is preferred. In the shipped model the largest in a dozen songs is 1.6 to 7.5 times as
    far out, and ``REACH`` times is the end of the byte's range. Two channels that rotary positions turn into one
    another need one unit; a query is multiplied by what its key is divided by.
    """
    q, k, v, o = projections
    half, group = size.head_dim // 2, size.heads // size.kv_heads

    def deviation(matrix: Matrix) -> np.ndarray:
        return np.linalg.norm(matrix.floats() * gamma, axis=1).reshape(size.kv_heads, size.head_dim)

    keys = deviation(k)
    pairs = np.hypot(keys[:, :half], keys[:, half:])
    unit = np.tile(np.maximum(pairs, 1e-20), 2) * (REACH / 127)
    value_unit = max(float(deviation(v).max()), 1e-20) * (REACH / 127)
    return [
        q.times(np.repeat(unit, group, axis=0).ravel()),
        k.times(1 / unit.ravel()),
        v.times(np.full(v.shape[0], 1 / value_unit)),
        o.times(np.full(o.shape[0], value_unit)),
    ]


class _Builder:
    def __init__(self, checkpoint: Checkpoint, kind: Kind) -> None:
        self.checkpoint = checkpoint
        self.size = checkpoint.size
        self.kind = kind
        self.reads = kind in (Kind.READING, Kind.READING_IN_BLOCKS)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.constants: list[onnx.TensorProto] = []  # small, and looked at while the graph is optimised

    def build(self) -> Graph:
        from onnx import TensorProto, helper

        size, vocabulary_size = self.size, self.checkpoint.vocabulary_size
        embedding = self.checkpoint.quantized("model.embed_tokens.weight")
        self.weight("embedding", embedding.floats())
        cos, sin = rotary_tables(size)
        self.weight("cos", cos)
        self.weight("sin", sin)
        stream = self.node("Gather", ["embedding", "ids"], "embedded")
        written = ""  # what the last block has to add to the stream; the next norm adds it
        for layer in range(size.layers):
            prefix = f"model.layers.{layer}."
            stream, normed = self.add_and_norm(stream, written, prefix + "input_layernorm.weight")
            attended = self.attention(layer, normed, prefix + "self_attn.")
            stream, normed = self.add_and_norm(stream, attended, prefix + "post_attention_layernorm.weight")
            written = self.feed_forward(normed, prefix + "mlp.")
        rows = ["first_row", self.constant("end", [np.iinfo(np.int64).max]), self.constant("row_axis", [1])]
        stream = self.node("Slice", [stream, *rows], "last_stream")
        written = self.node("Slice", [written, *rows], "last_written")
        _, normed = self.add_and_norm(stream, written, "model.norm.weight")
        self.product(normed, [embedding], "logits")

        number = TensorProto.FLOAT if self.kind is Kind.EXACT else TensorProto.INT8
        cache: list[str | int | None] = ["takes", size.kv_heads, size.context, size.head_dim]
        new: list[str | int | None] = ["takes", size.kv_heads, "n", size.head_dim]
        past, present = (
            [
                helper.make_tensor_value_info(f"{when}_{what}.{layer}", number, shape)
                for layer in range(size.layers)
                for what in ("key", "value")
            ]
            for when, shape in (("past", cache), ("present", new if self.reads else cache))
        )
        inputs = [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["takes", "n"]),
            helper.make_tensor_value_info("last_position", TensorProto.INT32, ["takes"]),
            helper.make_tensor_value_info("total_length", TensorProto.INT32, [1]),
            helper.make_tensor_value_info("first_row", TensorProto.INT64, [1]),
        ]
        if self.reads:
            inputs.append(helper.make_tensor_value_info("past_length", TensorProto.INT64, [1]))
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["takes", "rows", vocabulary_size])
        graph = helper.make_graph(
            self.nodes,
            "midigen",
            inputs + past,
            [logits, *present],
            self.constants + [_placeholder(name, value) for name, value in self.weights.items()],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return Graph(model.SerializeToString(), self.weights)

    def weight(self, name: str, value: np.ndarray) -> str:
        self.weights[name] = np.ascontiguousarray(value)
        return name

    def constant(self, name: str, values: Any) -> str:
        """A tensor of a few numbers; whole ones in a list are int64, others float32."""
        from onnx import numpy_helper

        array = np.asarray(values)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if all(name != known.name for known in self.constants):
            self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.add(operator, inputs, [output], domain, **attributes)
        return output

    def add(self, operator: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(
            helper.make_node(operator, inputs, outputs, name=outputs[0], domain=domain or None, **attributes)
        )

    def add_and_norm(self, stream: str, written: str, name: str) -> tuple[str, str]:
        """RMSNorm of ``stream`` plus ``written``; returns the sum and its norm."""
        gamma = self.weight(name, self.checkpoint.vector(name))
        normed = f"{name}/normed"
        epsilon = self.size.norm_epsilon
        if not written:
            self.add("SimplifiedLayerNormalization", [stream, gamma], [normed], epsilon=epsilon, axis=-1)
            return stream, normed
        total = f"{name}/stream"
        self.add(
            "SkipSimplifiedLayerNormalization",
            [stream, written, gamma],
            [normed, "", "", total],
            MICROSOFT,
            epsilon=epsilon,
        )
        return total, normed

    def attention(self, layer: int, normed: str, prefix: str) -> str:
        projections = [self.checkpoint.quantized(f"{prefix}{part}_proj.weight") for part in "qkvo"]
        if self.kind is not Kind.EXACT:
            gamma = self.checkpoint.vector(f"model.layers.{layer}.input_layernorm.weight")
            projections = in_cache_units(projections, gamma, self.size)
        packed = self.product(normed, projections[:3], f"{prefix}qkv")
        attended = f"{prefix}attended"
        past = [f"past_key.{layer}", f"past_value.{layer}"]
        present = [f"present_key.{layer}", f"present_value.{layer}"]
        scales: list[str] = []
        more: dict[str, Any] = {}
        if self.kind is Kind.STEPS:
            one = self.constant("one", [1.0])
            scales = ["", "", "", one, one]
            more = {"k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR", "kv_cache_bit_width": 8}
        if self.reads:
            past = [self.past_as_float(name) for name in past]
            rows, present = present, [f"{name}/float" for name in present]
        self.add(
            "GroupQueryAttention",
            [packed, "", "", *past, "last_position", "total_length", "cos", "sin", *scales],
            [attended, *present],
            MICROSOFT,
            num_heads=self.size.heads,
            kv_num_heads=self.size.kv_heads,
            do_rotary=1,
            **more,
        )
        if self.reads:
            for name, row in zip(present, rows, strict=True):
                self.rows_as_bytes(name, row)
        return self.product(attended, projections[3:], f"{prefix}o")

    def past_as_float(self, name: str) -> str:
        """What is filled of a cache of bytes."""
        start, axis = self.constant("start", [0]), self.constant("place_axis", [2])
        filled = self.node("Slice", [name, start, "past_length", axis], f"{name}/filled")
        return self.node("Cast", [filled], f"{name}/float", to=1)

    def rows_as_bytes(self, name: str, output: str) -> None:
        """What is new of keys or values, rounded as the steps round it."""
        end, axis = self.constant("end", [np.iinfo(np.int64).max]), self.constant("place_axis", [2])
        new = self.node("Slice", [name, "past_length", end, axis], f"{name}/new")
        one, zero = self.constant("scale_of_bytes", 1.0), self.constant("zero_of_bytes", np.int8(0))
        self.node("QuantizeLinear", [new, one, zero], output)

    def feed_forward(self, normed: str, prefix: str) -> str:
        matrices = [self.checkpoint.quantized(f"{prefix}{part}_proj.weight") for part in ("gate", "up")]
        both = self.product(normed, matrices, f"{prefix}gate_up")
        widths = self.constant(f"{prefix}widths", [self.size.d_ff, self.size.d_ff])
        self.add("Split", [both, widths], [f"{prefix}gate", f"{prefix}up"], axis=-1)
        gate = self.node("QuickGelu", [f"{prefix}gate"], f"{prefix}silu", MICROSOFT, alpha=1.0)  # x * sigmoid(x)
        inner = self.node("Mul", [gate, f"{prefix}up"], f"{prefix}inner")
        return self.product(inner, [self.checkpoint.quantized(f"{prefix}down_proj.weight")], f"{prefix}down")

    def product(self, operand: str, matrices: Sequence[Matrix], output: str) -> str:
        """``operand`` times the transposed matrices, whose outputs are side by side."""
        if self.kind is Kind.EXACT:
            weights = self.weight(f"{output}/weights", np.concatenate([matrix.floats() for matrix in matrices]).T)
            return self.node("MatMul", [operand, weights], output)
        # One scale for all activations does for what a norm has made even; for the others it costs 0.2 % of the loss.
        if self.kind is Kind.READING and output.endswith(("qkv", "gate_up")):
            # There is no such product of 4 bits: they are put on the grid of 8 for it.
            rows = [matrix.rows() if isinstance(matrix, Blocks) else matrix for matrix in matrices]
            weights = self.weight(f"{output}/weights", np.concatenate([matrix.codes for matrix in rows]).T)
            scales = self.weight(f"{output}/scales", np.concatenate([matrix.scale for matrix in rows]))
            return self.node("DynamicQuantizeMatMul", [operand, weights, scales], output, MICROSOFT)
        bits, block = (4, BLOCK) if isinstance(matrices[0], Blocks) else (8, BYTES_BLOCK)
        numbers, scales = zip(*(_for_blocks(matrix) for matrix in matrices), strict=True)
        return self.node(
            "MatMulNBits",
            [
                operand,
                self.weight(f"{output}/weights", _side_by_side(numbers)),
                self.weight(f"{output}/scales", _side_by_side(scales)),
            ],
            output,
            MICROSOFT,
            K=matrices[0].shape[1],
            N=sum(matrix.shape[0] for matrix in matrices),
            bits=bits,
            block_size=block,
            accuracy_level=INT8_ACTIVATIONS,
        )


def _for_blocks(matrix: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, uint8 (rows, blocks, bytes), and scales, float32 (rows, blocks), as ``MatMulNBits`` wants them."""
    if isinstance(matrix, Blocks):
        return matrix.packed.reshape(*matrix.scale.shape, BLOCK // 2), matrix.scale
    rows, columns = matrix.shape
    blocks = -(-columns // BYTES_BLOCK)
    padded = np.full((rows, blocks * BYTES_BLOCK), ZERO_POINT, dtype=np.uint8)
    np.add(matrix.codes, ZERO_POINT, out=padded[:, :columns], dtype=np.int16, casting="unsafe")
    return padded.reshape(rows, blocks, BYTES_BLOCK), np.repeat(matrix.scale[:, None], blocks, axis=1)


def _side_by_side(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _placeholder(name: str, value: np.ndarray) -> onnx.TensorProto:
    """A tensor of the graph whose bytes are handed to the session by name, so that they are not copied into it."""
    import onnx

    tensor = onnx.TensorProto(name=name, dims=value.shape, data_type=onnx.helper.np_dtype_to_tensor_dtype(value.dtype))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="beside")
    return tensor
