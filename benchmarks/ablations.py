"""What each idea of the model is worth: variants trained one after another at equal compute, and measured alike.

    python -m midigen prepare band-train.tar.xz partial-train.tar.xz -o data/all --validation band-val.tar.xz
    python -m benchmarks.ablations data/all -o data/ablations --songs band-val.tar.xz --minutes 25 \\
        --attribute data/attribute --whole-bands data/bands

Variants: everything; without the form lane; without the harmony lane; without either; one token an attribute of a note
instead of merged ones (``--attribute``, a corpus prepared with ``--note-tokens attribute``); without songs of two of
the three instruments (``--whole-bands``, prepared with ``--weight partial-train.tar.xz=0``: how often songs are drawn
is settled when a corpus is prepared); more windows with parts given. A variant whose corpus is not given is left out.
Each has a folder; run again, what is there is taken, and a variant that was stopped goes on.

From scratch, half an hour teaches loss, but neither form nor listening. With ``--start default`` every variant goes on
from the same trained weights: what it then loses without a lane is a lower bound, as the weights have learned with it.

Every one trains for ``--minutes`` by the clock on one thread, so run them on a core of its own, or give ``--steps``.

What is compared, on the same validation songs: **nats of the notes a note** (the tokens of the parts alone, over notes:
the one loss that means the same with lanes and without, with a token an attribute and with merged ones), and with
everything that had to be written; the notes again **with the lanes given**, which shows what they are worth where they
are right; **cross-part gain** of all six pairs in the mean, beside another song's part and beside none; the **error of
the similarity curve** and **exact repetition** of composed pieces beside those of the songs. A variant without a lane
composes without it, and so without the bars that follow others. Intervals are 95 %, over songs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.budget import training_seconds
from benchmarks.sources import read_scores
from midigen.cells import Cells
from midigen.checkpoint import open_checkpoint
from midigen.composition import Player, open_player, score_of, write_piece
from midigen.composition.layout import Layout
from midigen.composition.settling import Request, open_table
from midigen.composition.writing import Writer
from midigen.dataset import Mixture, judging
from midigen.errors import MidigenError
from midigen.evaluation.likeness import compare
from midigen.evaluation.listening import PAIRS, cross_part_gains, worths
from midigen.evaluation.losses import NoteLosses, SongLosses, drawn_windows, fastest_precision
from midigen.evaluation.pieces import Pieces
from midigen.evaluation.statistics import Interval, interval, ratio
from midigen.folders import write_beside
from midigen.generation import Sampling
from midigen.midi import midi_bytes, read_midi
from midigen.prompt import Prompt
from midigen.score import Score
from midigen.tokenizers.window import ABSENT, FORM, HARMONY, OWNERS

BAND = tuple((part, other) for part, other in PAIRS if "drums" not in (part, other))
PARTS = [row for row, owner in enumerate(OWNERS) if owner in ("piano", "guitar", "bass", "drums")]
BARS = 64
WRITTEN = ("running", "pair")  # spellings that pieces are composed in; the others can be measured alone


@dataclass(frozen=True)
class Variant:
    """A name, what its mixture says (``NAME=VALUE``), and which corpus it learns from."""

    name: str
    mixture: tuple[str, ...] = ()
    corpus: str = "corpus"


VARIANTS = (
    Variant("everything"),
    Variant("no form lane", ("no_form=1",)),
    Variant("no harmony lane", ("no_harmony=1",)),
    Variant("neither lane", ("no_form=1", "no_harmony=1")),
    Variant("a token an attribute", corpus="attribute"),
    Variant("whole bands alone", corpus="whole_bands"),
    Variant("more given parts", ("compose=0.35", "accompany=0.35")),
)


def train(variant: Variant, corpus: str, folder: Path, args: argparse.Namespace) -> float:
    """Train one variant, or go on with it; the processor seconds of all its starts."""
    note = folder / "processor.json"
    said = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    if not said:
        length = ["--steps", str(args.steps)] if args.steps else ["--minutes", str(args.minutes)]
        command = ["midigen", "train", corpus, "-o", str(folder / "run"), "--size", args.size, "--threads", "1"]
        command += [*length, "--seed", str(args.seed), "--validate-every", str(args.validate_every)]
        if args.start:
            command += ["--start", args.start]
        if args.learning_rate:
            command += ["--learning-rate", str(args.learning_rate), "--warmup", "0.02"]
        for words in variant.mixture:
            command += ["--mixture", words]
        said = {"seconds": training_seconds(command, folder / "run", folder / "log.txt")}
        remember(note, said)
    return float(said["seconds"])


def remember(path: Path, facts: dict[str, Any]) -> None:
    """Write ``facts`` beside and put them in place."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def losses_of(losses: NoteLosses, cells: Cells, context: int, mixture: Mixture, windows: int) -> dict[str, Interval]:
    """Nats a note of the parts' own tokens, and of everything that had to be written."""
    songs, rows = drawn_windows(cells, context, 0, mixture, windows)
    found = SongLosses(zip(songs, losses.read(rows), strict=True))
    own = found.nats[:, PARTS].sum(axis=(1, 2))
    return {"notes": ratio(own, found.notes.sum(axis=1)), "everything": found.per_note()}


def measure(variant: Variant, corpus: str, folder: Path, args: argparse.Namespace, real: Pieces) -> dict[str, Any]:
    """Everything that is compared of one variant."""
    from midigen.model import build_model, load_state
    from midigen.packing import pack

    packed = folder / "model"
    if not (packed / "config.json").is_file():
        pack(folder / "run", packed, corpus, name="ablation", windows=16, threads=1)
    checkpoint = open_checkpoint(packed)
    assert checkpoint.provenance is not None
    cells = Cells(corpus, "validation")
    model = build_model(checkpoint.size, checkpoint.vocabulary_size, 0).eval()
    load_state(model, checkpoint.weights())
    losses = NoteLosses(model, cells.vocabulary, fastest_precision())
    mixture = Mixture(**checkpoint.provenance["plan"]["mixture"])
    # Lanes that it has never seen are not asked of it, nor given.
    plain = replace(judging(mixture), unset=1.0, no_form=float(mixture.no_form == 1),
                    no_harmony=float(mixture.no_harmony == 1))  # fmt: skip
    context = checkpoint.size.context
    alone = losses_of(losses, cells, context, plain, args.windows)
    given = losses_of(losses, cells, context, replace(plain, chart=1.0), args.windows)
    gains = cross_part_gains(losses, cells, context, pairs=BAND)
    facts: dict[str, Any] = {
        "nats of notes a note": asdict(alone["notes"]),
        "nats a note, everything written": asdict(alone["everything"]),
        "nats of notes a note, lanes given": asdict(given["notes"]),
    }
    for beside in ("foreign", "absent"):
        worth = {pair: interval(worths(found)[beside]) for pair, found in gains.items()}
        facts[f"cross-part gain, {beside}"] = {
            "mean": asdict(_mean_gain(gains, beside)),
            "sure": sum(found.low > 0 for found in worth.values()),
            **{f"{part} given {other}": asdict(found) for (part, other), found in worth.items()},
        }
    lanes = ((FORM, plain.no_form), (HARMONY, plain.no_harmony))
    if cells.vocabulary.note_tokens in WRITTEN:
        facts |= composed(packed, folder, args.pieces, real, tuple(row for row, gone in lanes if gone))
    facts["steps"] = checkpoint.provenance["steps"]
    return facts


def _mean_gain(gains: dict[tuple[str, str], list[Any]], beside: str) -> Interval:
    """The mean over pairs and songs; a song is drawn with all its pairs."""
    sums: dict[int, list[float]] = {}
    for found in gains.values():
        for gain, worth in zip(found, worths(found)[beside], strict=True):
            if np.isfinite(worth):
                sums.setdefault(gain.song, []).append(worth)
    return ratio([sum(values) for values in sums.values()], [len(values) for values in sums.values()])


class Without(Writer):
    """Writes a piece of which the lanes in ``absent`` (rows of the table) are neither written nor known."""

    absent: tuple[int, ...] = ()

    def _write_window(self, layout: Layout) -> None:
        neutral = {FORM: np.array([self.table.vocabulary.first["form"]]), HARMONY: np.zeros(0)}  # follows no bar
        for row in self.absent:
            layout.window.status[row] = ABSENT
            for bar in layout.fill:
                self.table.cells[row][bar] = neutral[row].astype(np.uint16)
        super()._write_window(layout)


def compose(player: Player, seed: int, absent: tuple[int, ...]) -> Score:
    """A piece of piano, guitar and bass in 4/4, as ``midigen compose`` writes it but for the lanes that are absent."""
    request = Request.read(Prompt(BARS, metre="4/4", seed=seed))
    if not absent:
        return write_piece(request, player)[0]
    random, sampling = np.random.Generator(np.random.PCG64(seed)), Sampling()
    table, key = open_table(request, player.engine, player.vocabulary, player.tokenizer, sampling, random)
    writer = Without(table, player.engine, sampling, random)
    writer.absent = absent
    writer.write()
    return score_of(request, table, key)


def composed(packed: Path, folder: Path, pieces: int, real: Pieces, absent: tuple[int, ...]) -> dict[str, Any]:
    """The similarity error and the repetition of pieces that the variant composes, beside real songs'."""
    place = folder / "pieces"
    place.mkdir(exist_ok=True)
    player, found = open_player(packed, threads=1), Pieces()
    for seed in range(pieces):
        path = place / f"{seed}.mid"
        if not path.is_file():
            write_beside(path, midi_bytes(compose(player, seed, absent)))
        found.add(str(seed), read_midi(path), None, composed=True)
    if not found.rows or not real.rows:
        return {"faults": len(found.faults)}
    facts = compare({"real": real, "composed": found}, None)
    repetition = facts["likeness"]["exact bar repetition"]["composed"]["median"]
    return {"similarity error": facts["similarity error"], "exact bar repetition": repetition,
            "faults": len(found.faults)}  # fmt: skip


def table(found: dict[str, dict[str, Any]], real: Pieces) -> list[str]:
    """One line a variant."""
    head = ["variant", "processor minutes", "steps", "nats of notes a note", "with both lanes given",
            "everything written", "gain, another song's (pairs sure)", "gain, none (pairs sure)", "similarity error",
            "exact repetition", "pieces at fault"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    for name, facts in found.items():
        cells = [f"{facts['seconds'] / 60:.1f}", f"{facts['steps']:,}"]
        for key in ("nats of notes a note", "nats of notes a note, lanes given", "nats a note, everything written"):
            cells.append(said(facts[key]))
        for beside in ("foreign", "absent"):
            gain = facts[f"cross-part gain, {beside}"]
            cells.append(f"{said(gain['mean'])}, {gain['sure']} of {len(BAND)}")
        cells += [said(facts[key]) if key in facts else "–" for key in ("similarity error", "exact bar repetition")]
        cells.append(str(facts.get("faults", "–")))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if real.rows:
        repetition = np.nanmedian(real.values("exact bar repetition"))
        lines.append(f"\nExact repetition of the validation songs: {repetition:.3f}.")
    return lines


def said(found: dict[str, float]) -> str:
    """A value with its interval."""
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def songs_of(sources: Sequence[str]) -> Pieces:
    """Real songs, measured as composed pieces are."""
    real = Pieces()
    for name, score in read_scores(sources):
        real.add(name, score, None, composed=False)
    return real


def main() -> None:
    """Train, measure and write the table."""
    import torch

    parser = argparse.ArgumentParser(description="What each idea of the model is worth, at equal compute.")
    parser.add_argument("corpus", help="a folder that midigen prepare wrote, with validation songs")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="run again, it goes on there")
    parser.add_argument("--attribute", help="the same songs, prepared with --note-tokens attribute")
    parser.add_argument("--whole-bands", help="the same songs, prepared with --weight partial-train.tar.xz=0")
    parser.add_argument("--songs", nargs="*", default=[], help="the validation songs, for the form of pieces")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="these alone")
    parser.add_argument("--size", default="mini", help="(default: mini)")
    parser.add_argument("--minutes", type=float, default=25, help="of each (default: 25)")
    parser.add_argument("--steps", type=int, help="of each, instead of minutes")
    parser.add_argument("--start", help="weights that all variants start from, as of midigen train")
    parser.add_argument("--learning-rate", type=float, help="as of midigen train (default: its own)")
    parser.add_argument("--validate-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--windows", type=int, default=200, help="of validation songs (default: 200)")
    parser.add_argument("--pieces", type=int, default=24, help="composed by each (default: 24)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    names = [variant.name for variant in VARIANTS]
    for name in args.only or []:
        if name not in names:
            parser.error(f"no variant {name!r}: choose from {', '.join(names)}")
    out = Path(args.output)
    out.mkdir(parents=True, exist_ok=True)
    real = songs_of(args.songs)
    found: dict[str, dict[str, Any]] = {}
    for variant in VARIANTS:
        corpus = getattr(args, variant.corpus)
        if corpus is None or (args.only and variant.name not in args.only):
            continue
        if args.start and variant.corpus == "attribute":  # other tokens than those of the weights to start from
            continue
        folder = out / variant.name.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        facts = folder / "facts.json"
        if not facts.is_file():
            print(f"{variant.name} ...", file=sys.stderr, flush=True)
            seconds = train(variant, corpus, folder, args)
            remember(facts, {"seconds": seconds} | measure(variant, corpus, folder, args, real))
        found[variant.name] = json.loads(facts.read_text(encoding="utf-8"))
        lines = table(found, real)
        (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(table(found, real)))


if __name__ == "__main__":
    try:
        main()
    except MidigenError as error:
        sys.exit(str(error))
