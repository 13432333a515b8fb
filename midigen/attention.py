"""Causal attention for training on a CPU, in blocks of rows.

torch's fused kernel takes half of a training step on a CPU at this size. Plain products over blocks of rows, each with
the columns up to its last row, use the same fast matrix product as the rest of the model and compute half of the
square; measured on one core they train 1.35 times as many tokens a second (docs/lab-book.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "midigen_blocks"
ROWS = 256  # in one block


def attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    """Causal attention of ``query`` ``(batch, heads, time, width)`` on ``key`` and ``value`` ``(batch, kv heads, time,
    width)``; returns ``(batch, time, heads, width)``, as ``transformers`` has it. Padding must stand at the end."""
    import torch

    batch, heads, time, width = query.shape
    shared = key.shape[1]
    group = heads // shared
    key, value = key.contiguous(), value.contiguous()
    query = (query * options["scaling"]).reshape(batch, shared, group, time, width)
    blocks = []
    for first in range(0, time, ROWS):
        stop = min(first + ROWS, time)
        rows = query[:, :, :, first:stop].reshape(batch, shared, group * (stop - first), width)
        scores = torch.matmul(rows, key[:, :, :stop].transpose(-1, -2)).view(batch, shared, group, stop - first, stop)
        later = torch.full((stop - first, stop), float("-inf"), dtype=scores.dtype, device=scores.device).triu(
            first + 1
        )
        weights = torch.softmax(scores + later, dim=-1).view(batch, shared, group * (stop - first), stop)
        blocks.append(torch.matmul(weights, value[:, :, :stop]).view(batch, heads, stop - first, width))
    return torch.cat(blocks, dim=2).transpose(1, 2).contiguous(), None


def use_blocks(model: Any) -> None:
    """Make a ``transformers`` model attend with :func:`attend`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    model.set_attn_implementation(NAME)
