"""MIDI-GPT, trained by its own trainer on the same songs with the same processor time, beside midigen.

    pip install midigpt lightning datasets pyarrow
    python -m benchmarks.peers.midi_gpt_training band-train.tar.xz band-val.tar.xz --corpus data/band -o data/peer \\
        --minutes 25

The archives are those that ``--corpus`` was prepared from: the songs that it kept for training and for validation are
what both sides get, as the same notes (:mod:`benchmarks.peers.midi_gpt_songs`). First midigen trains for ``--minutes``
by the clock, on one thread, and the processor time that it took is MIDI-GPT's budget; with ``--run`` a run that is
there already is the one to compare with, and ``--processor-minutes`` its processor time (by default the time by the
clock that it wrote down, which is the same on a core of its own).

MIDI-GPT (Pasquier et al. 2025, arXiv:2501.17011) is its configuration ``yellow_small``: a GPT-2 of 6 layers, 8 heads
and width 512, 647 tokens, windows of 4 and 8 bars. Its trainer (``python -m midigpt.training.trainer``) runs unchanged,
in bfloat16 as midigen does: its own data set, augmentation (six semitones up and down, velocities by a fifth),
infilling, AdamW and warm-up. Its learning rate is meant for millions of windows; here it is ``--learning-rate``, the
best of those that are given, each tried on a tenth of the budget that is not counted. How many steps the budget allows
is found by timing a few; killed and started again it goes on from its last checkpoint.

**Loss a note**: nats of every token that it would have to write over the notes, on the validation songs, cut into
windows of 8 bars (its longest); what it writes of a part before its notes (polyphony, durations) counts, as those
values are measured on the notes; instruments, time signatures and the number of bars do not. Of midigen everything
after the header counts: form, harmony, structure, notes; its header says nothing. Both describe a note by position
(twelve a quarter), pitch, 32 velocities and duration. midigen writes chords and a form besides, and its windows are as
long as its context: the loss within its first 8 bars is given too. **Notes a second** of processor time, and **bar
repetition** of what is composed, with the other measures of :mod:`midigen.evaluation.measures`, beside the validation
songs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.budget import processor_seconds, training_seconds
from benchmarks.peers.midi_gpt import CONTEXT, HEADS, LAYERS, PROGRAMS, WIDTH, encoder
from benchmarks.peers.midi_gpt_songs import grids, kept_files, window_of, write_parquet
from midigen.cells import Cells
from midigen.checkpoint import Checkpoint, open_checkpoint
from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.dataset import Mixture, judging
from midigen.errors import MidigenError
from midigen.evaluation.losses import NoteLosses, SongLosses, drawn_windows
from midigen.evaluation.pieces import MEASURED, Pieces
from midigen.evaluation.statistics import Interval, interval, ratio
from midigen.midi import read_midi
from midigen.prompt import Prompt

TRAINER = "midigpt.training.trainer"
WINDOW = 8  # bars
PIECE = 32  # bars that are composed
TRIED = 0.1  # of the budget, for each learning rate
CHECKPOINTS = 4
FRAME = ("PieceStart", "NumBars", "Instrument", "TimeSig", "Track")  # said, not written; a track opens with these


def remembered(path: Path) -> dict[str, Any]:
    """What an earlier run wrote down; nothing where there was none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def remember(path: Path, facts: dict[str, Any]) -> None:
    """Write ``facts`` beside and put them in place."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def train_midigen(args: argparse.Namespace, out: Path) -> tuple[Path, float]:
    """The run's folder and its processor seconds."""
    if args.run:
        run = Path(args.run)
        said = remembered(run / "best.json")
        if not said:
            sys.exit(f"{run}: no best.json; give the folder of a run that has validated once")
        return run, 60 * args.processor_minutes if args.processor_minutes else float(said["seconds"])
    run, note = out / "midigen", out / "midigen.json"
    said = remembered(note)
    if not said:
        command = ["midigen", "train", args.corpus, "-o", str(run), "--size", args.size, "--minutes", str(args.minutes)]
        command += ["--threads", "1", "--validate-every", "100"]
        said = {"seconds": training_seconds(command, run, out / "midigen.log")}
        remember(note, said)
    return run, float(said["seconds"])


def train_peer(args: argparse.Namespace, out: Path, budget: float) -> tuple[Path, dict[str, Any]]:
    """The weights of MIDI-GPT and the facts of its training, ``budget`` processor seconds long."""
    songs, judged, note = out / "train.parquet", out / "validation.parquet", out / "peer.json"
    facts = remembered(note)
    if "songs" not in facts:
        print("Writing songs for MIDI-GPT ...", file=sys.stderr)
        facts["songs"] = write_parquet(args.songs, Path(args.corpus), "train", songs)
        write_parquet(args.songs, Path(args.corpus), "validation", judged, most=2 * args.batch)
        remember(note, facts)
    (out / "encoder.json").write_text(json.dumps(encoder()), encoding="utf-8")
    places = {"MIDIGPT_CACHE": str(out / "cache"), "HF_HOME": str(out / "cache"), "HF_HUB_OFFLINE": "1"}

    def run(name: str, steps: int, rate: float) -> float:
        folder = out / name
        folder.mkdir(exist_ok=True)
        config = {
            "encoder_config_path": str(out / "encoder.json"), "learning_rate": rate, "lr_scheduler_type": "cosine",
            "warmup_steps": max(steps // 20, 2), "max_steps": steps, "precision": "bf16", "n_embd": WIDTH,
            "n_layer": LAYERS, "n_head": HEADS, "max_seq_len": CONTEXT, "mask_apply_probability": 0.0,
            "infill_probability": args.infill, "save_steps": max(steps // CHECKPOINTS, 1), "logging_steps": 1,
            # It does not start without songs to validate on: a batch of them, twice in an epoch.
            "eval_steps": max(facts["songs"] // args.batch // 2, 1), "limit_val_batches": 1,
            "per_device_batch_size": args.batch, "gradient_accumulation_steps": 1, "output_dir": str(folder),
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        command = [TRAINER, "--config", str(folder / "config.json"), "--train-data", str(songs),
                   "--eval-data", str(judged), "--resume-from", "auto"]  # fmt: skip
        return processor_seconds(command, out / "peer.log", places)

    if "step_seconds" not in facts:
        print("Timing MIDI-GPT's trainer ...", file=sys.stderr)
        run("timing", 1, 1e-4)  # reads all songs once and remembers which are good: not counted
        short, long = (run(f"timing-{steps}", steps, 1e-4) for steps in (1, 1 + args.timed))
        facts |= {"step_seconds": (long - short) / args.timed, "start_seconds": short}
        remember(note, facts)
    if "rate" not in facts:
        steps = max(int(TRIED * budget / facts["step_seconds"]), 4)
        losses = {}
        for rate in args.learning_rate if len(args.learning_rate) > 1 else []:
            print(f"Trying a learning rate of {rate:g} for {steps} steps ...", file=sys.stderr)
            run(f"rate-{rate:g}", steps, rate)
            losses[rate] = last_loss(out / f"rate-{rate:g}")
        best = min(losses, key=lambda rate: losses[rate]) if losses else args.learning_rate[0]
        facts |= {"rate": best, "rates": {f"{rate:g}": loss for rate, loss in losses.items()}}
        remember(note, facts)
    if "steps" not in facts:
        facts["steps"] = max(int((budget - facts["start_seconds"]) / facts["step_seconds"]), 1)
        remember(note, facts)
    weights = out / "peer" / "model_final.safetensors"
    if not weights.is_file():
        print(f"Training MIDI-GPT for {facts['steps']} steps ...", file=sys.stderr)
        done = steps_done(out / "peer")  # of a start that was killed: what they took is what they usually take
        facts["seconds"] = run("peer", facts["steps"], facts["rate"]) + done * facts["step_seconds"]
        remember(note, facts)
    return weights, facts


def steps_done(folder: Path) -> int:
    """The steps of the last checkpoint that its trainer left there; 0 where there is none."""
    found = [re.search(r"step=(\d+)", path.name) for path in (folder / "checkpoints").glob("*.ckpt")]
    return max((int(match[1]) for match in found if match), default=0)


def last_loss(folder: Path) -> float:
    """The mean training loss of the last quarter of the steps that its trainer wrote down."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line["train/loss_step"] for line in lines if "train/loss_step" in line]
    return float(np.mean(losses[-max(len(losses) // 4, 1) :]))


def peer_losses(model: Any, tokenizer: Any, songs: Sequence[tuple[str, Any]]) -> tuple[dict[str, Interval], int]:
    """Nats a note by the kind of token, and ``"all"``; and how many windows there were."""
    import torch

    vocabulary = tokenizer._vocab
    kinds = [vocabulary.decode(token)[0].name for token in range(vocabulary.size())]
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    windows = 0
    for name, grid in songs:
        for first in range(0, grid.bars - WINDOW + 1, WINDOW):
            made = window_of(grid, first, WINDOW)
            if made is None:
                continue
            score, notes = made
            ids = torch.tensor(tokenizer.encode(score))
            if len(ids) > CONTEXT:
                continue
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(ids[None, :-1])[0][0]
            nats = torch.nn.functional.cross_entropy(logits.float(), ids[1:], reduction="none").numpy()
            for token, value in zip(ids[1:].tolist(), nats.tolist(), strict=True):
                sums[name][kinds[token]] += value
            sums[name]["notes"] += notes
            windows += 1
    notes_ = [song["notes"] for song in sums.values()]
    written = [kind for kind in dict.fromkeys(kinds) if kind not in FRAME]
    found = {"all": ratio([sum(song[kind] for kind in written) for song in sums.values()], notes_)}
    for kind in [*written, *FRAME]:
        of_kind = ratio([song[kind] for song in sums.values()], notes_)
        if of_kind.value > 0:
            found[f"{kind} (not counted)" if kind in FRAME else kind] = of_kind
    return found, windows


def midigen_losses(checkpoint: Checkpoint, corpus: str, windows: int) -> dict[str, Interval]:
    """Nats a note with nothing said in the header: on whole windows, and on windows of at most 8 bars."""
    from midigen.model import build_model, load_state

    assert checkpoint.provenance is not None
    cells = Cells(corpus, "validation")
    model = build_model(checkpoint.size, checkpoint.vocabulary_size, 0).eval()
    load_state(model, checkpoint.weights())
    losses = NoteLosses(model, cells.vocabulary, "bfloat16")
    mixture = replace(judging(Mixture(**checkpoint.provenance["plan"]["mixture"])), unset=1.0)
    songs, rows = drawn_windows(cells, checkpoint.size.context, 0, mixture, windows)
    bar = [cells.vocabulary.first["bar"], cells.vocabulary.first["bar"] + cells.vocabulary.sizes["bar"]]

    def cut(row: Any) -> Any:
        """The beginning of a window: what stands before its ninth bar."""
        ids, learn, owner = row
        opened = np.flatnonzero((ids >= bar[0]) & (ids < bar[1]) & learn)
        stop = int(opened[WINDOW]) if len(opened) > WINDOW else len(ids)
        return ids[:stop], learn[:stop], owner[:stop]

    whole = SongLosses(zip(songs, losses.read(rows), strict=True))
    short = SongLosses(zip(songs, losses.read([cut(row) for row in rows]), strict=True))
    return {"whole windows": whole.per_note(), f"their first {WINDOW} bars": short.per_note()}


def compose_both(weights: Path, model: Path, pieces: int) -> tuple[dict[str, Pieces], dict[str, list[float]]]:
    """Pieces of 32 bars of both, measured, and the notes a second of processor time of each."""
    import tempfile

    from midigpt import Bar, Score, Track
    from midigpt.inference import GenerationRequest, InferenceConfig, InferenceEngine, TrackPrompt

    engine = InferenceEngine.from_checkpoint(str(weights), device="cpu")
    player = open_player(model, threads=1)
    found, rates = {"MIDI-GPT": Pieces(), "midigen": Pieces()}, {"MIDI-GPT": [0.0] * 0, "midigen": [0.0] * 0}
    for seed in range(pieces):
        began = time.process_time()
        empty = Score(tracks=[Track(bars=[Bar() for _ in range(PIECE)], instrument=program) for program in PROGRAMS])
        request = GenerationRequest(
            tracks=[TrackPrompt(id=n, bars=list(range(PIECE)), autoregressive=True) for n in range(len(PROGRAMS))],
            config=InferenceConfig(seed=seed, model_dim=WINDOW, mask_mode="attention", top_p=0.98),
        )
        result = engine.session(empty, request).run()
        notes = sum(len(bar.notes) for track in result.tracks for bar in track.bars)
        rates["MIDI-GPT"].append(notes / (time.process_time() - began))
        with tempfile.TemporaryDirectory() as place:
            path = Path(place, "piece.mid")
            result.to_midi(str(path))
            _add(found["MIDI-GPT"], str(seed), path)
        began = time.process_time()
        score, _ = write_piece(Request.read(Prompt(PIECE, metre="4/4", seed=seed)), player)
        rates["midigen"].append(sum(len(part.notes) for part in score.parts) / (time.process_time() - began))
        found["midigen"].add(str(seed), score, None, composed=True)
        print(f"\r{seed + 1} of {pieces} pieces", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found, rates


def _add(found: Pieces, name: str, path: Path) -> None:
    try:
        found.add(name, read_midi(path), None, composed=True)
    except MidigenError:
        found.pass_over()


def said(found: Interval, digits: int = 3) -> str:
    """A value with its interval."""
    return (
        "–"
        if found.value != found.value
        else f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"
    )


def main() -> None:
    """Train, compare, and write the tables."""
    import torch

    parser = argparse.ArgumentParser(description="MIDI-GPT's yellow_small and midigen on the same songs and compute.")
    parser.add_argument("songs", nargs="+", help="the archives or folders that the corpus was prepared from")
    parser.add_argument("--corpus", required=True, help="what midigen prepare wrote")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="started again, it goes on there")
    parser.add_argument("--minutes", type=float, default=25, help="of midigen's training, by the clock (default: 25)")
    parser.add_argument("--size", default="mini", help="of midigen (default: mini)")
    parser.add_argument("--run", help="a run of midigen's that is there already, instead of training one")
    parser.add_argument("--processor-minutes", type=float, help="what that run took (default: what it wrote down)")
    parser.add_argument("--learning-rate", type=float, nargs="+", default=[3e-4, 1e-3], help="of MIDI-GPT")
    parser.add_argument("--batch", type=int, default=8, help="windows a step of MIDI-GPT (default: 8)")
    parser.add_argument(
        "--infill", type=float, default=0.75, help="share of infilling windows (default: its own, 0.75)"
    )
    parser.add_argument("--timed", type=int, default=6, help="steps that are timed (default: 6)")
    parser.add_argument("--windows", type=int, default=200, help="of validation songs, for midigen (default: 200)")
    parser.add_argument("--pieces", type=int, default=12, help="of 32 bars, by each (default: 12)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    out = Path(args.output)
    out.mkdir(parents=True, exist_ok=True)
    run, seconds = train_midigen(args, out)
    weights, facts = train_peer(args, out, seconds)
    packed = out / "midigen-model"
    if not (packed / "config.json").is_file():
        from midigen.packing import pack

        pack(run, packed, args.corpus, name="midigen-peer", windows=16, threads=1)
    lines = tables(args, packed, weights, seconds, facts)
    (out / "comparison.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def tables(args: argparse.Namespace, packed: Path, weights: Path, seconds: float, facts: dict[str, Any]) -> list[str]:
    """Everything that is compared, as Markdown."""
    from midigpt.inference.model import GPT2LMHeadModel
    from midigpt.tokenizer.tokenizer import Tokenizer

    checkpoint = open_checkpoint(packed)
    assert checkpoint.provenance is not None
    validation = list(grids(args.songs, kept_files(Path(args.corpus), "validation")))
    ours = midigen_losses(checkpoint, args.corpus, args.windows)
    model = GPT2LMHeadModel.from_pretrained(str(weights))
    theirs, windows = peer_losses(model, Tokenizer.from_checkpoint(str(weights)), validation)
    size = sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())
    lines = [
        f"midigen: {seconds / 60:.1f} minutes of processor time. MIDI-GPT: {facts['steps']} steps of {args.batch} "
        f"windows ({facts.get('seconds', 0) / 60:.1f} minutes, {size / 1e6:.1f} M parameters, learning rate "
        f"{facts['rate']:g}; "
        f"tried: {facts['rates'] or 'that one'}). {windows} windows of {WINDOW} bars of {len(validation)} songs.\n",
        "| nats a note | |\n|---|--:|",
        *(f"| midigen, {name} | {said(found)} |" for name, found in ours.items()),
        *(f"| MIDI-GPT, {name} | {said(found)} |" for name, found in theirs.items()),
    ]
    if args.pieces:
        found, rates = compose_both(weights, packed, args.pieces)
        real = Pieces()
        for name, score in _scores(args, validation):
            real.add(name, score, None, composed=False)
        found["real songs"] = real
        lines += ["", f"| median | {' | '.join(found)} |", f"|---|{'--:|' * len(found)}"]
        cells = [said(interval(rates[name], np.median), 0) if name in rates else "" for name in found]
        lines.append(f"| notes a second of processor time, {PIECE} bars | {' | '.join(cells)} |")
        lines.append(
            f"| pieces with an excerpt, of all | {' | '.join(f'{len(g.rows)} of {g.seen}' for g in found.values())} |"
        )
        for name in MEASURED:
            cells = [said(interval(group.values(name), np.median)) if group.rows else "–" for group in found.values()]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _scores(args: argparse.Namespace, validation: Sequence[tuple[str, Any]]) -> Any:
    from midigen.corpus import find_files

    names = {name for name, _ in validation}
    for _, name, read in find_files(args.songs):
        if name in names:
            yield name, read_midi(read(), name)


if __name__ == "__main__":
    try:
        main()
    except MidigenError as error:
        sys.exit(str(error))
