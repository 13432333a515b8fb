"""Notes a second while composing: midigen's engines, grammar and all, beside ``transformers``' plain ``generate``.

    python -m benchmarks.notes --runs 5 [--model CHECKPOINT]

All on one thread and on the same weights, taking turns. ``generate`` samples freely from the header of the same piece,
without grammar, for as many tokens as the piece has; its notes are the tokens that complete one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict

import numpy as np

from midigen.checkpoint import open_checkpoint
from midigen.composition import compose_score
from midigen.model import build_model, load_state
from midigen.prompt import Prompt
from midigen.tokenizers.vocabulary import START, Vocabulary

BARS = 16
WAYS = {"onnx fast": ("onnx", "fast"), "onnx exact": ("onnx", "exact"), "torch engine": ("torch", "exact")}
GENERATE = "transformers generate"
TOKENS_A_NOTE = 2.4  # structure and harmony included; only says how long generate is to run


def main() -> None:
    """Measure and print the table."""
    import torch

    parser = argparse.ArgumentParser(description="Notes a second while composing.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = open_checkpoint(args.model)
    vocabulary = Vocabulary.from_spec(checkpoint.tokenizer)
    model = build_model(checkpoint.size, checkpoint.vocabulary_size, seed=0).eval()
    load_state(model, checkpoint.weights())
    rates: dict[str, list[float]] = defaultdict(list)
    for run in range(args.runs + 1):  # the first warms up
        notes = 0
        for label, (engine, mode) in WAYS.items():
            began = time.perf_counter()
            score = compose_score(
                Prompt(BARS, seed=run, metre="4/4"), checkpoint=args.model, engine=engine, mode=mode, threads=1
            )
            seconds = time.perf_counter() - began
            notes = sum(len(part.notes) for part in score.parts)
            rates[label].append(notes / seconds)
        torch.manual_seed(run)
        ids = torch.tensor([[START, vocabulary.id("metre", 0)]])
        length = min(int(notes * TOKENS_A_NOTE), checkpoint.size.context - 2)
        began = time.perf_counter()
        written = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=length, do_sample=True, top_k=0, eos_token_id=None
        )
        seconds = time.perf_counter() - began
        rates[GENERATE].append(int(vocabulary.ends_note[np.asarray(written[0])].sum()) / seconds)
    base = statistics.median(rates[GENERATE][1:])
    print(f"{BARS} bars of piano, guitar and bass, {args.runs} runs, loading included except for generate\n")
    print("| | notes a second | range | to generate |\n|---|--:|--:|--:|")
    for label in (GENERATE, *WAYS):
        values = rates[label][1:]
        middle = statistics.median(values)
        print(f"| {label} | {middle:.0f} | {min(values):.0f} to {max(values):.0f} | {middle / base:.1f}x |")


if __name__ == "__main__":
    main()
