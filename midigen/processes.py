"""The processes of a training run: one, or those that ``torchrun`` started, who add up what each of them has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Processes:
    """The processes of a run: one, or those that ``torchrun`` started."""

    def __init__(self) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.local = int(os.environ.get("LOCAL_RANK", "0"))

    def join(self, device: str) -> None:
        import torch.distributed as dist

        if self.count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")

    def sum(self, tensors: list[torch.Tensor]) -> None:
        """Add ``tensors`` over all processes, in place."""
        import torch
        import torch.distributed as dist

        if self.count > 1:
            flat = torch.cat([t.reshape(-1) for t in tensors])
            dist.all_reduce(flat)
            at = 0
            for tensor in tensors:
                tensor.copy_(flat[at : at + tensor.numel()].view_as(tensor))
                at += tensor.numel()

    def agree(self, value: float, device: str) -> float:
        """The first process's value, for decisions by the clock."""
        import torch
        import torch.distributed as dist

        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        dist.broadcast(shared, 0)
        return float(shared.item())

    def leave(self) -> None:
        import torch.distributed as dist

        if self.count > 1 and dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()
