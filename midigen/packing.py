"""From a training run to a checkpoint that composes: weights on their grid, measured again, with a model card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from midigen.analysis import estimate_key
from midigen.attention import use_blocks
from midigen.cells import Cells
from midigen.checkpoint import (
    CONFIG_FILE,
    ROWS_ONLY,
    checkpoint_names,
    is_feed_forward,
    open_checkpoint,
    save_checkpoint,
)
from midigen.dataset import Batch, Mixture, Steps, Windows, batches, judging
from midigen.errors import TrainingError, need_for_training
from midigen.model import Size, build_model, load_state, parameter_count, parameter_shapes, size_named
from midigen.originality import SHORTEST, Index, index_corpus
from midigen.quantization import BLOCK, Matrix, to_rows
from midigen.rounding import round_feed_forward
from midigen.runs import BEST, FACTS, broken_as, earlier, read_facts, read_weights
from midigen.training import Plan, evaluate_loss

KEYS = {
    "key": "All music was moved to C major or A minor, and is moved back where a song is composed.",
    "random": "All music was moved to random keys.",
    "none": "All music was left in its keys.",
}


FLOAT, BYTES, NIBBLES = "float32", "int8 grid", "int4 grid"  # what losses are of, in provenance and on the card
CALIBRATION_TOKENS = 50_000  # of training songs, for which weights are rounded
CALIBRATION_SEED = 4


@dataclass(frozen=True)
class Trained:
    """What is to be packed: weights by name, and what is known of them."""

    weights: Mapping[str, np.ndarray | Matrix]
    grid: str  # that the weights are on: ``FLOAT`` or ``BYTES``
    size: Size
    plan: Plan
    vocabulary: Any  # its description, as a tokenizer gives it
    provenance: dict[str, Any]
    index: bytes | None  # of the songs learned from, where that is not to be made from the corpus


def pack(
    run: str | Path,
    output: str | Path,
    corpus: str | Path,
    *,
    name: str | None = None,
    about: str = "",
    windows: int = 200,
    threads: int | None = None,
    on_rounded: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Write the best weights of ``run`` as a checkpoint folder ``output``; returns the validation losses.

    The matrices of the feed-forward part are rounded to 4 bits, for windows of ``corpus``' training songs
    (:mod:`midigen.rounding`), and all others to 8. Where ``d_model`` or ``d_ff`` does not make whole blocks, all are in
    8 bits. ``run`` may also be a checkpoint in 8 bits, its folder or its name, to be brought to this grid.

    The loss a note is measured on ``windows`` validation windows of ``corpus``, in float32, before and after: what is
    reported is what is shipped. ``name`` is what the model card calls it (else what it was called, or "midigen"),
    ``about`` Markdown for the card on where the training songs come from and what may be done with them (else what was
    said before). ``on_rounded`` is told how many matrices are in 4 bits, and of how many. Raises
    :class:`TrainingError`.
    """
    need_for_training("torch", "transformers")
    import torch

    trained = _checkpoint(run) if _is_checkpoint(run) else _run(Path(run))
    size, plan = trained.size, trained.plan
    if threads:
        torch.set_num_threads(threads)
    cells, songs = Cells(corpus, "validation"), Cells(corpus, "train")
    vocabulary = cells.vocabulary
    if vocabulary.to_spec() != trained.vocabulary:
        raise TrainingError(f"{corpus}: its tokens are not those of {run}; give the corpus that it was trained on")
    context = min(plan.context or size.context, size.context)
    validation = Steps(Windows(cells, context, 0, judging(plan.mixture)), windows, plan.most_tokens)[0]
    model = build_model(size, vocabulary.size, 0)
    use_blocks(model)
    load_state(model, _floats(trained.weights))
    losses = {trained.grid: evaluate_loss(model, validation, vocabulary)}

    on_grid = dict(trained.weights)
    blocks = size.d_model % BLOCK == 0 and size.d_ff % BLOCK == 0
    for key, value in trained.weights.items():
        if isinstance(value, np.ndarray) and value.ndim == 2 and not (blocks and is_feed_forward(key)):
            on_grid[key] = to_rows(value)
    load_state(model, _floats(on_grid))  # rounding is for what the matrices are given by those beside them
    if blocks:
        calibration = _calibration(Windows(songs, context, CALIBRATION_SEED, plan.mixture), plan.most_tokens)
        on_grid |= round_feed_forward(model, calibration, on_rounded)
        load_state(model, _floats(on_grid))
    losses[NIBBLES if blocks else BYTES] = evaluate_loss(model, validation, vocabulary)

    facts = read_facts(Path(corpus) / "corpus.json")
    known = trained.provenance
    provenance = {
        **known,
        "name": name or known.get("name", "midigen"),
        "about": about.strip() or known.get("about", ""),
        "corpus": {key: facts[key] for key in ("songs", "sources", "notes", "tokens") if key in facts},
        "plan": asdict(plan),
        "validation_windows": windows,
        "validation": {
            **_measured_before(known, windows, losses),
            **{kind: {k: round(v, 4) for k, v in values.items()} for kind, values in losses.items()},
        },
    }
    index = trained.index
    if index is None and (path := index_corpus(corpus)):
        index, found = path.read_bytes(), Index.from_file(path)
        provenance["originality"] = {
            "runs": found.windows, "notes": SHORTEST, "false_positives": round(found.false_positives, 6)
        }  # fmt: skip
    tokenizer = {**vocabulary.to_spec(), "transpose": plan.mixture.transpose, "keys": key_shares(songs)}
    card = model_card(provenance, parameter_count(size, vocabulary.size))
    save_checkpoint(output, on_grid, size, tokenizer, provenance, card, index)
    return losses


def _run(run: Path) -> Trained:
    """What a training run left."""
    if not (run / BEST).is_file():
        raise TrainingError(f"{run}: not a run with weights to pack; train until the first validation")
    weights, best, plan = read_weights(run / BEST), read_facts(run / FACTS), plan_of(run)
    past = earlier(str(run / BEST))
    provenance = {
        "steps": past[-1]["step"],
        "tokens_learned": past[-1]["tokens"],
        "seconds": past[-1]["seconds"],
        "before": past[:-1],
    }
    return Trained(weights, FLOAT, size_named(plan.size), plan, best.get("vocabulary"), provenance, None)


def _is_checkpoint(run: str | Path) -> bool:
    folder = Path(run)
    return (folder / CONFIG_FILE).is_file() or (str(run) in checkpoint_names() and not (folder / BEST).is_file())


def _checkpoint(run: str | Path) -> Trained:
    """What a checkpoint in 8 bits says of itself."""
    opened = open_checkpoint(run)
    if opened.format_version > ROWS_ONLY:
        raise TrainingError(f"{run}: is packed already; give the run that it came from, or a checkpoint in 8 bits")
    weights: dict[str, np.ndarray | Matrix] = {
        name: opened.quantized(name) if len(shape) == 2 else opened.vector(name)
        for name, shape in parameter_shapes(opened.size, opened.vocabulary_size).items()
    }
    with broken_as(f"{run}: does not say how it was trained; give the run that it came from"):
        known = opened.provenance
        plan = read_plan(known["plan"])
        model_card({**known, "validation": {BYTES: {}}}, 0)  # everything that it needs
        spec = {key: value for key, value in opened.tokenizer.items() if key not in ("transpose", "keys")}
    index = opened.index_file.read_bytes() if opened.index_file else None
    return Trained(weights, BYTES, opened.size, plan, spec, known, index)


def _floats(weights: Mapping[str, np.ndarray | Matrix]) -> dict[str, np.ndarray]:
    return {name: value if isinstance(value, np.ndarray) else value.floats() for name, value in weights.items()}


def _calibration(windows: Windows, most_tokens: int) -> list[Batch]:
    """As many windows as make :data:`CALIBRATION_TOKENS`."""
    taken: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while sum(len(ids) for ids, _, _ in taken) < CALIBRATION_TOKENS:
        taken.append(windows[len(taken)])
    return batches(taken, most_tokens)


def _measured_before(
    known: Mapping[str, Any], windows: int, losses: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Losses that a checkpoint remembers, where what is measured again says that they are of the same windows."""
    remembered: dict[str, dict[str, float]] = known.get("validation", {})
    same = BYTES in remembered and known.get("validation_windows") == windows
    return remembered if same and abs(remembered[BYTES]["per_note"] - losses[BYTES]["per_note"]) < 1e-3 else {}


def plan_of(run: Path) -> Plan:
    """The plan of a run. Raises :class:`TrainingError`."""
    settings = read_facts(run / "plan.json")
    with broken_as(f"{run / 'plan.json'}: is no plan of this release; train again"):
        return read_plan(settings)


def read_plan(settings: Mapping[str, Any]) -> Plan:
    """The plan that was written as a table."""
    return Plan(**{**settings, "mixture": Mixture(**settings["mixture"])})


def key_shares(cells: Cells) -> list[float]:
    """How often songs are in each of 24 keys (C major to B major, C minor to B minor), by their weights; sums to 1."""
    shares = np.zeros(24)
    for number in range(cells.songs):
        tonic, mode = estimate_key(cells.song(number).chroma.sum(axis=0, dtype=np.int64))
        shares[tonic + (12 if mode == "minor" else 0)] += cells.song_weight[number]
    return [round(float(share), 4) for share in shares / shares.sum()]


def model_card(provenance: Mapping[str, Any], parameters: int) -> str:
    """The checkpoint's README, in Markdown."""
    plan, corpus, losses = provenance["plan"], provenance["corpus"], provenance["validation"]
    songs = ", ".join(f"{count:,} {split}" for split, count in corpus.get("songs", {}).items())
    sources = ", ".join(f"{name} ({count:,} songs)" for name, count in corpus.get("sources", {}).items())
    rows = ["| | " + " | ".join(losses) + " |", "|---|" + "--:|" * len(losses)]
    names = {"loss": "nats a token", "per_note": "**nats a note, everything counted**"}
    *_, shipped = losses.values()
    grid = "in 8 bits with one scale a row"
    if NIBBLES in losses:
        grid = (
            f"the feed-forward\npart, most of all, in 4 bits with one scale for {BLOCK} of them, "
            "the others in 8 bits with one scale a row"
        )
    for key in shipped:
        label = names.get(key, key.removeprefix("per_note.") + ", nats a note")
        rows.append(f"| {label} | " + " | ".join(f"{values[key]:.3f}" for values in losses.values()) + " |")
    stages = [
        *((run["step"], run["tokens"], run["seconds"]) for run in provenance["before"]),
        (provenance["steps"], provenance["tokens_learned"], provenance["seconds"]),
    ]
    said = (f"{n:,} steps, {tokens:,} tokens, {seconds / 60:.0f} minutes" for n, tokens, seconds in stages)
    compute = "; then ".join(said)
    return f"""# Model card: {provenance["name"]}

A decoder-only transformer (LLaMA style, size "{plan["size"]}", {parameters:,} parameters) that writes multi-track music
as tokens: form, harmony, and parts for piano, guitar, bass and drums, bar by bar. Its weights are one file, {grid};
every engine computes with the same numbers.

## Trained on

Songs: {songs}; from {sources or "sources that the corpus does not name"}. The prepared corpus holds
{corpus.get("notes", 0):,} notes as {corpus.get("tokens", 0):,} tokens.

{provenance.get("about") or "Nothing was said about the rights in these songs."}

## Compute

{compute} (tokens learned from; wall time).
Optimiser {plan["optimizer"]}, learning rate {plan["learning_rate"]}, {plan["schedule"]} schedule, {plan["precision"]},
context {plan["context"] or "as the size"}, seed {plan["seed"]}{" (the last run's)" if len(stages) > 1 else ""}.
{KEYS[plan["mixture"]["transpose"]]}

## Validation loss

On {provenance["validation_windows"]} windows of validation songs, everything to be composed (nothing given). Of every
part its own tokens over its own notes; of harmony, form and structure over all notes.

{chr(10).join(rows)}

## For what, and for what not

For sketching, composing and studying accompaniment for a small band. Not for imitating a named artist, and not a
judge of what music is good. It knows Western popular styles from sequenced files best, metres of two, three and four
quarters and 6/8, and no lyrics. It can come close to songs it has learned from: compare before you publish.
"""
