"""The transformer and its one dial, the size. Knows nothing about tokenization: ids go in, logits come out.

A decoder-only LLaMA (Touvron et al., 2023, arXiv:2302.13971): RMSNorm before each block, rotary positions, SwiGLU,
grouped-query attention (Ainslie et al., 2023, arXiv:2305.13245), no biases, and one matrix for input and output
embeddings. The sizes are shallow and wide, because one token at a time on a CPU costs memory traffic and a fixed toll
per layer. Few key and value heads keep the cache small, and query heads narrower in all than the stream keep
attention affordable: at 2,000 tokens of past it costs more time than every matrix together, in proportion to layers x
heads x head_dim, while the feed-forward part, where most of the parameters are, costs the same at any length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.errors import BadRequest, CheckpointError

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

INIT_STD = 0.02


@dataclass(frozen=True)
class Size:
    """The dials of one model.

    ``d_model``: width of the residual stream. ``layers``: number of blocks. ``heads``: query heads of ``head_dim``
    each; divides ``d_model``. ``kv_heads``: key and value heads; divides ``heads``. ``d_ff``: inner width of the
    feed-forward part. ``context``: longest sequence, in tokens. ``rope_theta``: base of the rotary wavelengths.
    ``norm_epsilon``: added to the mean square in RMSNorm. All are positive, and ``head_dim`` is a multiple of 16;
    else :class:`BadRequest`.
    """

    d_model: int
    layers: int
    heads: int
    kv_heads: int
    d_ff: int
    context: int
    head_dim: int = 64
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise BadRequest(f"model size: {field.name} is {getattr(self, field.name)!r}; it must be positive")
        if self.heads % self.kv_heads:
            raise BadRequest(f"model size: {self.heads} heads cannot share {self.kv_heads} kv_heads; use a divisor")
        if self.d_model % self.heads:  # transformers refuses it, although the widths need not be related
            raise BadRequest(f"model size: d_model {self.d_model} is not a multiple of {self.heads} heads; make it one")
        if self.head_dim % 16:
            raise BadRequest(f"model size: head_dim is {self.head_dim}; use a multiple of 16")


SIZES: dict[str, Size] = {
    "tiny": Size(d_model=64, layers=2, heads=2, kv_heads=1, d_ff=96, context=512, head_dim=32),
    "micro": Size(d_model=192, layers=3, heads=3, kv_heads=1, d_ff=576, context=2048),
    "mini": Size(d_model=256, layers=4, heads=4, kv_heads=1, d_ff=768, context=2048),
    "small": Size(d_model=384, layers=5, heads=4, kv_heads=2, d_ff=1152, context=4096),
    "base": Size(d_model=768, layers=5, heads=6, kv_heads=2, d_ff=1792, context=8192),
    "large": Size(d_model=896, layers=7, heads=8, kv_heads=2, d_ff=2816, context=8192),
}


def size_named(name: str) -> Size:
    """The size called ``name`` in :data:`SIZES`. Raises :class:`BadRequest` that lists the known names."""
    if name not in SIZES:
        raise BadRequest(f"unknown model size {name!r}: choose one of {', '.join(SIZES)}")
    return SIZES[name]


def parameter_shapes(size: Size, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Name to shape of every weight, from input to output; matrices are (output, input), as torch has them.

    The one place that spells the architecture out without torch: checkpoints are checked against it, and the ONNX
    engine is built from it. The output embedding is not listed, because it is the input embedding.
    """
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary_size, size.d_model)}
    for layer in range(size.layers):
        prefix = f"model.layers.{layer}."
        shapes[prefix + "input_layernorm.weight"] = (size.d_model,)
        shapes[prefix + "self_attn.q_proj.weight"] = (size.heads * size.head_dim, size.d_model)
        shapes[prefix + "self_attn.k_proj.weight"] = (size.kv_heads * size.head_dim, size.d_model)
        shapes[prefix + "self_attn.v_proj.weight"] = (size.kv_heads * size.head_dim, size.d_model)
        shapes[prefix + "self_attn.o_proj.weight"] = (size.d_model, size.heads * size.head_dim)
        shapes[prefix + "post_attention_layernorm.weight"] = (size.d_model,)
        shapes[prefix + "mlp.gate_proj.weight"] = (size.d_ff, size.d_model)
        shapes[prefix + "mlp.up_proj.weight"] = (size.d_ff, size.d_model)
        shapes[prefix + "mlp.down_proj.weight"] = (size.d_model, size.d_ff)
    shapes["model.norm.weight"] = (size.d_model,)
    return shapes


def parameter_count(size: Size, vocabulary_size: int) -> int:
    """How many numbers are trained; the tied embedding counts once."""
    return sum(int(np.prod(shape)) for shape in parameter_shapes(size, vocabulary_size).values())


def build_model(size: Size, vocabulary_size: int, seed: int) -> LlamaForCausalLM:
    """A fresh ``LlamaForCausalLM`` in float32 on the CPU, whose weights depend on the arguments alone.

    Initialised as GPT-2 is (Radford et al., 2019): normal with deviation 0.02, and the two matrices of a block that
    write to the residual stream smaller by ``sqrt(2 * layers)``, so that depth does not make the stream louder.
    The global random state of torch is left as it was.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if vocabulary_size < 1:
        raise BadRequest(f"model: vocabulary_size is {vocabulary_size}; it must be positive")
    settings: dict[str, Any] = {
        "vocab_size": vocabulary_size,
        "hidden_size": size.d_model,
        "intermediate_size": size.d_ff,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "head_dim": size.head_dim,
        "max_position_embeddings": size.context,
        "rms_norm_eps": size.norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": size.rope_theta},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        # Which ids begin, end and pad a sequence is the tokenizer's business; generation stops by its own rule.
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        "attn_implementation": "sdpa",
    }
    with torch.random.fork_rng(devices=[]):  # building draws random numbers that are overwritten below
        model = LlamaForCausalLM(LlamaConfig(**settings)).float()
    generator = torch.Generator().manual_seed(seed)
    residual_std = INIT_STD / (2 * size.layers) ** 0.5
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in parameter_shapes(size, vocabulary_size):
            if parameters[name].ndim == 1:
                parameters[name].fill_(1.0)
                continue
            writes_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
            parameters[name].normal_(0.0, residual_std if writes_residual else INIT_STD, generator=generator)
    return model


def state_of(model: LlamaForCausalLM) -> dict[str, np.ndarray]:
    """The weights of ``model`` as float32 arrays on the CPU, by the names of :func:`parameter_shapes`."""
    return {name: value.detach().float().cpu().numpy().copy() for name, value in model.named_parameters()}


def load_state(model: LlamaForCausalLM, weights: Mapping[str, np.ndarray]) -> None:
    """Copy ``weights`` into ``model``, on whatever device and in whatever precision it is.

    Raises :class:`CheckpointError` when a name is missing or unknown, or a shape differs.
    """
    import torch

    parameters = dict(model.named_parameters())
    for name in sorted(parameters.keys() ^ weights.keys()):
        raise CheckpointError(f"weights do not fit the model: {name} is in only one of them; use a matching size")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if tuple(parameter.shape) != weights[name].shape:
                raise CheckpointError(
                    f"weights do not fit the model: {name} is {weights[name].shape}, the model has "
                    f"{tuple(parameter.shape)}; use a matching size"
                )
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(weights[name], dtype=np.float32)))
