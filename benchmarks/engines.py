"""How many tokens a second each engine makes, beside ``transformers``' own ``generate`` on the same weights.

    python benchmarks/engines.py [SIZE | CHECKPOINT ...] [--steps 20] [--longest 2000] [--vocabulary 1000]

It prints a Markdown table for each. A size by name gets random weights, which run as fast as trained ones. Everything
runs on one thread. At each of several lengths of the past every engine makes a few tokens in turn, so that whatever
else the machine does falls on all of them alike; the figures are medians over all those tokens, sampling included, and
of processor time, which on a machine of one's own is the time that passes; the ratio of that stands beside.
"Reading" is how fast a given past is taken in.

The floor: a step has to read every weight once and the keys and values of its past, so it cannot take less than their
bytes over the bandwidth of one thread, measured here with BLAS's dot product on as many bytes. "Of the floor" is how
near an engine comes to that, in the middle of the pasts.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: the bandwidth is that of one thread

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from midigen.checkpoint import Checkpoint, is_feed_forward, open_checkpoint, save_checkpoint
from midigen.engines import Engine, open_engine
from midigen.errors import MidigenError
from midigen.model import SIZES, build_model, load_state, parameter_count, parameter_shapes, state_of
from midigen.quantization import BLOCK, Blocks, to_blocks

OURS = {"torch engine": ("torch", "exact"), "onnx exact": ("onnx", "exact"), "onnx fast": ("onnx", "fast")}
GENERATE = "transformers generate"


def floor_seconds(checkpoint: Checkpoint, mode: str, past: int) -> float:
    """The least a step can take after ``past`` tokens: what it has to read, over the bandwidth for so much."""
    size = checkpoint.size
    weights = weight_bytes(checkpoint, mode)
    cache = 2 * size.layers * size.kv_heads * size.head_dim * (1 if mode == "fast" else 4) * past
    return (weights + cache) / bandwidth(int(weights + cache))


def weight_bytes(checkpoint: Checkpoint, mode: str) -> float:
    """Bytes of all weights, and in ``"fast"`` of the scale of each block."""
    from midigen.engines.onnx_graph import BYTES_BLOCK

    shapes = parameter_shapes(checkpoint.size, checkpoint.vocabulary_size)
    if mode != "fast":
        return 4 * sum(math.prod(shape) for shape in shapes.values())
    total = 0.0
    for name, shape in shapes.items():
        if len(shape) == 1:
            total += 4 * shape[0]
        elif isinstance(checkpoint.quantized(name), Blocks):
            total += math.prod(shape) * (1 / 2 + 4 / BLOCK)
        else:
            total += math.prod(shape) * (1 + 4 / BYTES_BLOCK)
    return total


def bandwidth(size_bytes: int) -> float:
    """Bytes a second that one thread reads of ``size_bytes`` again and again: the best of thirty."""
    one, other = (np.ones(max(size_bytes // 8, 1), dtype=np.float32) for _ in range(2))
    best = np.inf
    for _ in range(30):
        start = time.perf_counter()
        np.dot(one, other)
        best = min(best, time.perf_counter() - start)
    return (one.nbytes + other.nbytes) / best


def sample(logits: np.ndarray, dice: np.random.Generator) -> int:
    """A token drawn from the softmax of ``logits`` (vocabulary_size,)."""
    odds = np.exp(logits - logits.max())
    heap = np.cumsum(odds, dtype=np.float64)
    return min(int(np.searchsorted(heap, dice.random() * heap[-1])), len(logits) - 1)


def clocks() -> np.ndarray:
    """Seconds of this thread's processor time, and of the day."""
    return np.array([time.thread_time(), time.perf_counter()])


def engine_seconds(engine: Engine, past: np.ndarray, steps: int) -> np.ndarray:
    """Seconds, of the processor and of the day, of each of ``steps`` tokens made after ``past`` (n,): (steps, 2)."""
    engine.rewind(0)
    dice = np.random.default_rng(0)
    token = sample(engine.feed(past), dice)
    seconds = []
    for _ in range(steps + 1):
        start = clocks()
        token = sample(engine.feed(np.array([token])), dice)
        seconds.append(clocks() - start)
    return np.array(seconds[1:])  # the first one finds the caches cold


def generate_seconds(model: Any, past: np.ndarray, steps: int) -> np.ndarray:
    """As :func:`engine_seconds`, for ``model.generate`` with its dynamic cache: the time between its tokens."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    ticks: list[np.ndarray] = []

    class Watch(StoppingCriteria):
        """Is asked after every token, and notes when."""

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            ticks.append(clocks())
            return torch.zeros(len(input_ids), dtype=torch.bool)

    ids = torch.tensor(past)[None]
    model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=steps + 2,  # the first comes out of the past, the second finds the caches cold
        do_sample=True,
        top_k=0,
        stopping_criteria=StoppingCriteriaList([Watch()]),
    )
    return np.diff(np.array(ticks), axis=0)[1:]


def measure(checkpoint: Checkpoint, pasts: list[int], steps: int) -> str:
    """A Markdown table of every engine on ``checkpoint``, for pasts of these many tokens."""
    import torch

    torch.set_num_threads(1)
    model = build_model(checkpoint.size, checkpoint.vocabulary_size, seed=0).eval()
    load_state(model, checkpoint.weights())
    engines = {label: open_engine(checkpoint, name, mode, threads=1) for label, (name, mode) in OURS.items()}
    ids = np.random.default_rng(0).integers(0, checkpoint.vocabulary_size, max(pasts))
    seconds: dict[str, list[np.ndarray]] = {label: [] for label in (GENERATE, *OURS)}
    reading: dict[str, float] = {}
    for past in pasts:
        seconds[GENERATE].append(generate_seconds(model, ids[:past], steps))
        for label, engine in engines.items():
            seconds[label].append(engine_seconds(engine, ids[:past], steps))
    for label, engine in engines.items():
        engine.rewind(0)
        start = time.thread_time()
        engine.feed(ids)
        reading[label] = len(ids) / (time.thread_time() - start)
    base = np.median(np.concatenate(seconds[GENERATE]), axis=0)
    middle = len(pasts) // 2
    modes = {GENERATE: "exact", **{label: mode for label, (_, mode) in OURS.items()}}
    floors = {label: floor_seconds(checkpoint, mode, pasts[middle]) for label, mode in modes.items()}
    lines = [
        f"| engine | tokens/s | to generate | by the clock | past of {pasts[0]} | past of {pasts[-1]} "
        "| reading, tokens/s | the floor, tokens/s | of the floor |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for label, rows in seconds.items():
        every = np.median(np.concatenate(rows), axis=0)
        rates = [1 / np.median(part[:, 0]) for part in (np.concatenate(rows), rows[0], rows[-1])]
        lines.append(
            f"| {label} | {rates[0]:,.0f} | {base[0] / every[0]:.1f}x | {base[1] / every[1]:.1f}x | "
            f"{rates[1]:,.0f} | {rates[2]:,.0f} | "
            + (f"{reading[label]:,.0f} | " if label in reading else "| ")
            + f"{1 / floors[label]:,.0f} | {floors[label] / np.median(rows[middle][:, 0]):.0%} |"
        )
    return "\n".join(lines)


def checkpoint_for(name: str, vocabulary_size: int, folder: Path) -> Checkpoint:
    """The checkpoint called ``name``, or one of random weights in ``folder`` when it is the name of a size."""
    if name not in SIZES:
        return open_checkpoint(name)
    state = state_of(build_model(SIZES[name], vocabulary_size, seed=0))
    # On the grid that packed ones are on; what is lost in rounding is nothing to random weights.
    on_grid = {key: to_blocks(value) if is_feed_forward(key) else value for key, value in state.items()}
    return open_checkpoint(save_checkpoint(folder / name, on_grid, SIZES[name], {}, {}))


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", default=["small", "base"], help="sizes, or folders of checkpoints")
    parser.add_argument("--vocabulary", type=int, default=1000, help="size of the vocabulary of random weights")
    parser.add_argument("--steps", type=int, default=20, help="tokens at each length of the past")
    parser.add_argument("--longest", type=int, default=2000, help="longest past, in tokens")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            try:
                checkpoint = checkpoint_for(name, arguments.vocabulary, Path(folder))
            except MidigenError as error:
                raise SystemExit(str(error)) from None
            longest = min(arguments.longest, checkpoint.size.context - arguments.steps - 3)
            pasts = sorted({int(past) for past in np.linspace(2, longest, 9)})
            millions = parameter_count(checkpoint.size, checkpoint.vocabulary_size) / 1e6
            print(f"\n**{name}**, {millions:.1f} M parameters\n")
            print(measure(checkpoint, pasts, arguments.steps), flush=True)


if __name__ == "__main__":
    main()
