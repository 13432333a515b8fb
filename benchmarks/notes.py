"""Notes a second while composing: midigen's engines, grammar and all, beside ``transformers``' plain ``generate``.

    python -m benchmarks.notes --runs 5 [--model CHECKPOINT] [--bars 32]

All on one thread and in its processor time, taking turns, loading left out. For every piece, ``generate`` samples
freely, without grammar, as many tokens as that piece takes: in the spelling of the checkpoint, on its weights; and in
the usual one, a token for each of position, velocity, length and pitch of a note, on random weights for that vocabulary
and of the same size. What does not fit a context is made in several. "As fast as" compares, piece by piece, with the
time that generate would take for the tokens of just this music. Cells that midigen takes over from other bars are among
its notes: what counts is how long the piece takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from midigen.checkpoint import Checkpoint, open_checkpoint
from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.grid import to_grid
from midigen.model import build_model, load_state
from midigen.prompt import Prompt
from midigen.score import Score
from midigen.tokenizers.encoding import encode
from midigen.tokenizers.vocabulary import START, Vocabulary


@dataclass(frozen=True)
class Piece:
    """A piece that was written: how long it took, and how many tokens its music takes in each spelling."""

    seconds: float
    notes: int
    calls: int
    tokens: int
    spelled: dict[str, int]


WAYS = {"fast": ("onnx", "fast"), "exact": ("onnx", "exact"), "torch": ("torch", "exact")}
GENERATE, ATTRIBUTE = "transformers generate, same spelling", "transformers generate, one token an attribute"


def tokens_of(score: Score, vocabulary: Vocabulary) -> int:
    """The tokens of a piece: its notes and chords as ``vocabulary`` spells them, and what opens bars and cells."""
    song = encode(to_grid(score), vocabulary)
    bars = score.bars or 1
    return len(song.tokens) + bars * (3 + 1 + len(score.parts))


def generate_seconds(model: Any, first: list[int], length: int, context: int) -> float:
    """Processor seconds in which ``model`` makes ``length`` tokens after ``first``, in pieces that fit ``context``."""
    import torch

    ids = torch.tensor([first])
    began = time.thread_time()
    while length > 0:
        piece = min(length, context - len(first) - 1)
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=piece, min_new_tokens=piece, do_sample=True,
            top_k=0, eos_token_id=None,
        )  # fmt: skip
        length -= piece
    return time.thread_time() - began


def models(checkpoint: Checkpoint) -> dict[str, tuple[Any, Vocabulary]]:
    """What ``generate`` works on: the weights of the checkpoint, and random ones for the other spelling."""
    plain = Vocabulary("attribute")
    same = build_model(checkpoint.size, checkpoint.vocabulary_size, seed=0).eval()
    load_state(same, checkpoint.weights())
    return {
        GENERATE: (same, Vocabulary.from_spec(checkpoint.tokenizer)),
        ATTRIBUTE: (build_model(checkpoint.size, plain.size, seed=0).eval(), plain),
    }


def main() -> None:
    """Measure and print the table."""
    import torch

    parser = argparse.ArgumentParser(description="Notes a second while composing.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bars", type=int, default=32)
    parser.add_argument("--model", default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = open_checkpoint(args.model)
    players = {label: open_player(args.model, engine, mode, threads=1) for label, (engine, mode) in WAYS.items()}
    others = models(checkpoint)
    pieces: dict[str, list[Piece]] = defaultdict(list)
    a_token: dict[str, list[float]] = defaultdict(list)  # seconds of generate
    for run in range(args.runs + 1):  # the first warms up
        request = Request.read(Prompt(args.bars if run else 4, seed=run, metre="4/4"))
        for label, player in players.items():
            began = time.thread_time()
            score, tally = write_piece(request, player)
            seconds = time.thread_time() - began
            notes = sum(len(part.notes) for part in score.parts)
            spelled = {other: tokens_of(score, vocabulary) for other, (_, vocabulary) in others.items()}
            pieces[label].append(Piece(seconds, notes, tally.calls, tally.tokens, spelled))
        for label, (model, vocabulary) in others.items():
            length = pieces["exact"][-1].spelled[label]
            first = [START, vocabulary.id("metre", 0)]
            a_token[label].append(generate_seconds(model, first, length, checkpoint.size.context) / length)
    print(f"{args.bars} bars of piano, guitar and bass, {args.runs} pieces, one thread; medians, of processor time\n")
    print("| | s a piece | notes a second | range | as fast as generate | as fast as one token an attribute "
          "| engine steps a note | tokens drawn a note |\n|---|--:|--:|--:|--:|--:|--:|--:|")  # fmt: skip
    for other in (ATTRIBUTE, GENERATE):
        made = pieces["exact"][1:]
        seconds_ = [token * piece.spelled[other] for token, piece in zip(a_token[other][1:], made, strict=True)]
        rates = [piece.notes / second for piece, second in zip(made, seconds_, strict=True)]
        tokens = sum(piece.spelled[other] for piece in made) / sum(piece.notes for piece in made)
        print(
            f"| {other} | {statistics.median(seconds_):.2f} | {statistics.median(rates):.0f} | {min(rates):.0f} to "
            f"{max(rates):.0f} | | | {tokens:.2f} | {tokens:.2f} |"
        )
    for label in WAYS:
        made = pieces[label][1:]
        rates = [piece.notes / piece.seconds for piece in made]
        against = [
            statistics.median(
                token * piece.spelled[other] / piece.seconds
                for token, piece in zip(a_token[other][1:], made, strict=True)
            )
            for other in (GENERATE, ATTRIBUTE)
        ]
        notes = sum(piece.notes for piece in made)
        print(
            f"| {label} | {statistics.median(piece.seconds for piece in made):.2f} | {statistics.median(rates):.0f} | "
            f"{min(rates):.0f} to {max(rates):.0f} | {against[0]:.1f}x | {against[1]:.1f}x | "
            f"{sum(piece.calls for piece in made) / notes:.2f} | {sum(piece.tokens for piece in made) / notes:.2f} |"
        )


if __name__ == "__main__":
    main()
