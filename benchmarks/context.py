"""What a long context buys: the loss a note by how far into the window the note stands, and with the past cut off.

    python -m benchmarks.context CORPUS [--model CHECKPOINT] [--windows 48]

Each validation window is read twice: whole, and in pieces of a quarter of the context that cannot see each other. The
difference at the same places is what the longer past is worth.
"""

from __future__ import annotations

import argparse

import numpy as np

from midigen.attention import use_blocks
from midigen.cells import Cells
from midigen.checkpoint import open_checkpoint
from midigen.dataset import Mixture, Windows, judging
from midigen.model import build_model, load_state


def main() -> None:
    """Measure and print the table."""
    import torch

    parser = argparse.ArgumentParser(description="What a long context buys.")
    parser.add_argument("corpus")
    parser.add_argument("--model", default=None)
    parser.add_argument("--windows", type=int, default=48)
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = open_checkpoint(args.model)
    cells = Cells(args.corpus, "validation")
    mixture = judging(Mixture(transpose=checkpoint.tokenizer.get("transpose", "none")))
    windows = Windows(cells, checkpoint.size.context, 0, mixture)
    model = build_model(checkpoint.size, checkpoint.vocabulary_size, seed=0).eval()
    use_blocks(model)
    load_state(model, checkpoint.weights())
    quarter = checkpoint.size.context // 4
    nats, cut, notes = np.zeros(4), np.zeros(4), np.zeros(4)
    with torch.no_grad():
        for number in range(args.windows):
            ids, learn, _ = windows[number]
            tokens = torch.from_numpy(ids.astype(np.int64))[None]
            for first in range(0, len(ids) - 1, quarter):
                stop = min(first + quarter, len(ids) - 1)
                bears = torch.from_numpy(learn[first + 1 : stop + 1])
                target = tokens[0, first + 1 : stop + 1]
                near = model(input_ids=tokens[:, first:stop]).logits[0]
                far = model(input_ids=tokens[:, :stop]).logits[0, first:]
                place = first // quarter
                for sums, logits in ((nats, far), (cut, near)):
                    losses = torch.nn.functional.cross_entropy(logits.float(), target, reduction="none")
                    sums[place] += float(losses[bears].sum())
                notes[place] += int(cells.vocabulary.ends_note[ids[first + 1 : stop + 1]].sum())
    print("| tokens into the window | notes | nats a note, whole past | nats a note, past of this quarter only |")
    print("|---|--:|--:|--:|")
    for place in range(4):
        if notes[place]:
            span = f"{place * quarter} to {(place + 1) * quarter}"
            print(
                f"| {span} | {notes[place]:.0f} | {nats[place] / notes[place]:.2f} | {cut[place] / notes[place]:.2f} |"
            )


if __name__ == "__main__":
    main()
