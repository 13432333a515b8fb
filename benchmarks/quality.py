"""What the fast mode costs in quality: nats a note of songs that the model has not learned from, engine by engine.

    python -m benchmarks.quality VALIDATION.tar.xz [--songs 40] [--bars 12]

The same tokens are read by each engine and mode, and how well each foretold them is summed over all. "In steps" feeds
one token at a time, as composing does, "in fours" as guesses are fed. Without an archive the model's own pieces are
read, composed in exact mode.
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator

import numpy as np

from midigen.checkpoint import open_checkpoint
from midigen.composition import compose_score
from midigen.engines import Engine, open_engine
from midigen.errors import MidigenError
from midigen.grid import to_grid
from midigen.midi import read_midi
from midigen.prompt import Prompt
from midigen.score import Score
from midigen.tokenizers.encoding import encode
from midigen.tokenizers.spelling import spell_form
from midigen.tokenizers.vocabulary import LANES, Vocabulary
from midigen.tokenizers.window import FIRST_PART, FORM, MISSING, PartHeader, Window, arrange

WAYS = {
    "exact": ("onnx", "exact", 0), "exact, in steps": ("onnx", "exact", 1), "exact, in fours": ("onnx", "exact", 4),
    "fast": ("onnx", "fast", 0), "fast, in steps": ("onnx", "fast", 1), "fast, in fours": ("onnx", "fast", 4),
}  # fmt: skip


def window_of(score: Score, vocabulary: Vocabulary, most_bars: int, context: int) -> tuple[np.ndarray, np.ndarray]:
    """A song's beginning as one window that is all to be written: ids, and which of them bear loss."""
    grid = to_grid(score)
    song = encode(grid, vocabulary)
    bars = min(most_bars, grid.bars)
    starts = np.concatenate([[0], np.cumsum(song.lengths.astype(np.int64).ravel())])
    lanes = [LANES[number] for number in song.lanes]
    present = np.ones(bars, dtype=bool)
    cells = [
        [np.array([spell_form(song.similarity[b] / 100, present, b, vocabulary)], dtype=np.uint16) for b in range(bars)]
    ]
    for row in range(len(lanes) + 1):
        first = row * grid.bars
        cells.append([song.tokens[starts[first + bar] : starts[first + bar + 1]] for bar in range(bars)])
    assert FORM == 0
    window = Window(
        parts=[PartHeader(kind, slot) for kind, slot in lanes],
        cells=cells,
        status=np.full((FIRST_PART + len(lanes), bars), MISSING, dtype=np.int8),
        left=grid.bars - 1 - np.arange(bars),
        metre=int(song.metres[0]),
    )
    ids, learn, _ = arrange(window, vocabulary)
    return ids[:context].astype(np.int64), learn[:context]


def songs_of(archive: str | None, most: int) -> Iterator[Score]:
    """Real songs, or pieces of the model."""
    if archive is None:
        for seed in range(most):
            yield compose_score(Prompt(12, seed=seed), mode="exact")
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".mid") else None
            if file is not None and most:
                try:
                    score = read_midi(file.read(), member.name)
                except MidigenError:
                    continue
                most -= 1
                yield score


def losses(take: Engine, ids: np.ndarray, cut: int) -> np.ndarray:
    """Nats of every id but the first, fed ``cut`` at a time (0: all at once)."""
    take.rewind(0)
    step = cut or len(ids)
    known = ids[:-1]
    logits = np.concatenate([take.feed_all(known[at : at + step]) for at in range(0, len(known), step)])
    logits = logits.astype(np.float64)
    top = logits.max(axis=1, keepdims=True)
    every = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return every - logits[np.arange(len(ids) - 1), ids[1:]]


def main() -> None:
    """Measure and print the table. Ends with an error where the fast mode costs more than half a percent."""
    parser = argparse.ArgumentParser(description="What the fast mode costs in quality.")
    parser.add_argument("archive", nargs="?")
    parser.add_argument("--songs", type=int, default=40)
    parser.add_argument("--bars", type=int, default=12)
    args = parser.parse_args()
    checkpoint = open_checkpoint()
    vocabulary = Vocabulary.from_spec(checkpoint.tokenizer)
    takes = {label: open_engine(checkpoint, engine, mode, threads=1) for label, (engine, mode, _) in WAYS.items()}
    total: dict[str, list[float]] = {label: [] for label in WAYS}
    notes, songs = 0, 0
    for score in songs_of(args.archive, args.songs):
        try:
            ids, learn = window_of(score, vocabulary, args.bars, checkpoint.size.context)
        except MidigenError:  # in a metre without tokens
            continue
        songs += 1
        notes += int(vocabulary.ends_note[ids].sum())
        for label, (_, _, cut) in WAYS.items():
            total[label].append(float(losses(takes[label], ids, cut)[learn[1:]].sum()))
    what = "songs that it has not learned from" if args.archive else "pieces of its own"
    print(f"{songs} {what}, {notes:,} notes, the first {args.bars} bars of each\n")
    print("| | nats a note | against exact |\n|---|--:|--:|")
    base = sum(total["exact"])
    for label, values in total.items():
        print(f"| {label} | {sum(values) / notes:.4f} | {100 * (sum(values) / base - 1):+.3f} % |")
    if abs(sum(total["fast, in steps"]) / base - 1) > 0.005:
        raise SystemExit("the fast mode costs more than half a percent")


if __name__ == "__main__":
    main()
