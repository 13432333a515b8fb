"""The transformer as an ONNX graph, built in memory from a checkpoint: nodes here, weights handed over beside them.

Written with ONNX Runtime's own operators for language models (domain ``com.microsoft``): ``GroupQueryAttention`` does
the rotary positions, writes keys and values in place and attends, and ``MatMulNBits`` multiplies by 8-bit weights.
Query, key and value matrices are one matrix, as are gate and up, because each call has a toll of its own.

Inputs: ``ids`` int64 (takes, n); ``last_position`` int32 (takes,), position of each take's last id; ``total_length``
int32 (1,), the largest of them plus one; ``first_row`` int64 (1,), the first of the n rows whose logits are wanted; and
for each layer ``past_key.L`` and ``past_value.L`` float32 (takes, kv_heads, context, head_dim). Outputs: ``logits``
float32 (takes, rows, vocabulary), and ``present_key.L`` and ``present_value.L``, to be bound to the memory of the past.
Several takes go together one id at a time only: attention refuses more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.checkpoint import Checkpoint, from_grid
from midigen.model import Size

if TYPE_CHECKING:
    import onnx

MICROSOFT = "com.microsoft"
# Columns that share one scale of the activations. The weights have one scale a row, repeated for each block. From 128
# on the kernel sums one row in another order than several, so that a token's logits would depend on its company; 64
# costs 3 to 4 % more time than 128, and rounds the activations a little more finely.
BLOCK = 64
ZERO_POINT = 128  # MatMulNBits stores unsigned bytes, and this is its zero
INT8_ACTIVATIONS = 4  # accuracy_level: the only one whose kernel does not expand the weights at every step


@dataclass(frozen=True)
class Graph:
    """A serialised ONNX model without its weights, and the weights by name."""

    model: bytes
    weights: dict[str, np.ndarray]


def build_graph(checkpoint: Checkpoint, eight_bit: bool) -> Graph:
    """The graph of ``checkpoint``: 8-bit weights as stored, or float32 weights of the same values."""
    return _Builder(checkpoint, eight_bit).build()


def rotary_tables(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines, float32 (context, head_dim / 2); every product rounded to float32, as transformers does."""
    exponents = np.arange(0, size.head_dim, 2, dtype=np.float32) / np.float32(size.head_dim)
    frequencies = np.float32(1.0) / np.float32(size.rope_theta) ** exponents
    angles = np.arange(size.context, dtype=np.float32)[:, None] * frequencies
    return np.cos(angles), np.sin(angles)


class _Builder:
    def __init__(self, checkpoint: Checkpoint, eight_bit: bool) -> None:
        self.checkpoint = checkpoint
        self.size = checkpoint.size
        self.eight_bit = eight_bit
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.constants: list[onnx.TensorProto] = []  # small, and looked at while the graph is optimised

    def build(self) -> Graph:
        from onnx import TensorProto, helper

        size, vocabulary_size = self.size, self.checkpoint.vocabulary_size
        embedding = self.checkpoint.quantized("model.embed_tokens.weight")
        self.weight("embedding", from_grid(*embedding))
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

        cache_shape: list[str | int | None] = ["takes", size.kv_heads, size.context, size.head_dim]
        past, present = (
            [
                helper.make_tensor_value_info(f"{when}_{what}.{layer}", TensorProto.FLOAT, cache_shape)
                for layer in range(size.layers)
                for what in ("key", "value")
            ]
            for when in ("past", "present")
        )
        inputs = [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["takes", "n"]),
            helper.make_tensor_value_info("last_position", TensorProto.INT32, ["takes"]),
            helper.make_tensor_value_info("total_length", TensorProto.INT32, [1]),
            helper.make_tensor_value_info("first_row", TensorProto.INT64, [1]),
        ]
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

    def constant(self, name: str, values: list[int]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
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
        projections = [self.checkpoint.quantized(f"{prefix}{part}_proj.weight") for part in "qkv"]
        packed = self.product(normed, projections, f"{prefix}qkv")
        attended = f"{prefix}attended"
        self.add(
            "GroupQueryAttention",
            [packed, "", "", f"past_key.{layer}", f"past_value.{layer}", "last_position", "total_length", "cos", "sin"],
            [attended, f"present_key.{layer}", f"present_value.{layer}"],
            MICROSOFT,
            num_heads=self.size.heads,
            kv_num_heads=self.size.kv_heads,
            do_rotary=1,
        )
        return self.product(attended, [self.checkpoint.quantized(f"{prefix}o_proj.weight")], f"{prefix}o")

    def feed_forward(self, normed: str, prefix: str) -> str:
        matrices = [self.checkpoint.quantized(f"{prefix}{part}_proj.weight") for part in ("gate", "up")]
        both = self.product(normed, matrices, f"{prefix}gate_up")
        widths = self.constant(f"{prefix}widths", [self.size.d_ff, self.size.d_ff])
        self.add("Split", [both, widths], [f"{prefix}gate", f"{prefix}up"], axis=-1)
        gate = self.node("QuickGelu", [f"{prefix}gate"], f"{prefix}silu", MICROSOFT, alpha=1.0)  # x * sigmoid(x)
        inner = self.node("Mul", [gate, f"{prefix}up"], f"{prefix}inner")
        return self.product(inner, [self.checkpoint.quantized(f"{prefix}down_proj.weight")], f"{prefix}down")

    def product(self, operand: str, matrices: list[tuple[np.ndarray, np.ndarray]], output: str) -> str:
        """``operand`` times the transposed matrices, whose outputs are side by side."""
        quantized = np.concatenate([q for q, _ in matrices])
        scale = np.concatenate([s for _, s in matrices])
        if not self.eight_bit:
            weights = self.weight(f"{output}/weights", from_grid(quantized, scale).T)
            return self.node("MatMul", [operand, weights], output)
        rows, columns = quantized.shape
        blocks = -(-columns // BLOCK)
        padded = np.full((rows, blocks * BLOCK), ZERO_POINT, dtype=np.uint8)
        np.add(quantized, ZERO_POINT, out=padded[:, :columns], dtype=np.int16, casting="unsafe")
        weights = self.weight(f"{output}/weights", padded.reshape(rows, blocks, BLOCK))
        scales = self.weight(f"{output}/scales", np.repeat(scale[:, None], blocks, axis=1))
        return self.node(
            "MatMulNBits",
            [operand, weights, scales],
            output,
            MICROSOFT,
            K=columns,
            N=rows,
            bits=8,
            block_size=BLOCK,
            accuracy_level=INT8_ACTIVATIONS,
        )


def _placeholder(name: str, value: np.ndarray) -> onnx.TensorProto:
    """A tensor of the graph whose bytes are handed to the session by name, so that they are not copied into it."""
    import onnx

    tensor = onnx.TensorProto(name=name, dims=value.shape, data_type=onnx.helper.np_dtype_to_tensor_dtype(value.dtype))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="beside")
    return tensor
