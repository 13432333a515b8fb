"""From a training run to a checkpoint that composes: weights on the 8-bit grid, measured again, with a model card."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from midigen.analysis import estimate_key
from midigen.attention import use_blocks
from midigen.cells import Cells
from midigen.checkpoint import open_checkpoint, save_checkpoint
from midigen.dataset import Mixture, Steps, Windows, judging
from midigen.errors import TrainingError, need_for_training
from midigen.model import build_model, load_state, parameter_count, size_named
from midigen.originality import SHORTEST, Index, index_corpus
from midigen.runs import BEST, FACTS, broken_as, earlier, read_facts, read_weights
from midigen.training import Plan, evaluate_loss

KEYS = {
    "key": "All music was moved to C major or A minor, and is moved back where a song is composed.",
    "random": "All music was moved to random keys.",
    "none": "All music was left in its keys.",
}


def pack(
    run: str | Path,
    output: str | Path,
    corpus: str | Path,
    *,
    name: str = "midigen",
    about: str = "",
    windows: int = 200,
    threads: int | None = None,
) -> dict[str, dict[str, float]]:
    """Write the best weights of ``run`` as a checkpoint folder ``output``; returns the validation losses.

    The loss a note is measured on ``windows`` validation windows of ``corpus``, in float32, before and after the
    weights are put on the grid: what is reported is what is shipped. ``about`` is Markdown for the model card on where
    the training songs come from and what may be done with them. Raises :class:`TrainingError`.
    """
    need_for_training("torch", "transformers")
    import torch

    run = Path(run)
    if not (run / BEST).is_file():
        raise TrainingError(f"{run}: not a run with weights to pack; train until the first validation")
    weights, best = read_weights(run / BEST), read_facts(run / FACTS)
    plan = asdict(plan_of(run))
    if threads:
        torch.set_num_threads(threads)
    size = size_named(plan["size"])
    cells = Cells(corpus, "validation")
    vocabulary = cells.vocabulary
    if vocabulary.to_spec() != best.get("vocabulary"):
        raise TrainingError(f"{corpus}: its tokens are not those of {run}; give the corpus that it was trained on")
    facts, past = read_facts(Path(corpus) / "corpus.json"), earlier(str(run / BEST))
    context = min(plan["context"] or size.context, size.context)
    mixture = Mixture(**plan["mixture"])
    validation = Steps(Windows(cells, context, 0, judging(mixture)), windows, plan["most_tokens"])[0]
    tokenizer = {
        **vocabulary.to_spec(),
        "transpose": mixture.transpose,
        "keys": key_shares(Cells(corpus, "train")),
    }
    model = build_model(size, vocabulary.size, 0)
    use_blocks(model)
    load_state(model, weights)
    losses = {"float32": evaluate_loss(model, validation, vocabulary)}
    provenance: dict[str, Any] = {
        "name": name,
        "corpus": {key: facts[key] for key in ("songs", "sources", "notes", "tokens") if key in facts},
        "plan": plan,
        "steps": past[-1]["step"],
        "tokens_learned": past[-1]["tokens"],
        "seconds": past[-1]["seconds"],
        "before": past[:-1],
        "validation_windows": windows,
    }
    path = index_corpus(corpus)
    index = path.read_bytes() if path else None
    if path:
        known = Index.from_file(path)
        provenance["originality"] = {
            "runs": known.windows, "notes": SHORTEST, "false_positives": round(known.false_positives, 6)
        }  # fmt: skip
    save_checkpoint(output, weights, size, tokenizer, provenance, originality=index)
    load_state(model, open_checkpoint(output).weights())
    losses["int8 grid"] = evaluate_loss(model, validation, vocabulary)
    provenance["validation"] = {kind: {k: round(v, 4) for k, v in values.items()} for kind, values in losses.items()}
    card = model_card(provenance, parameter_count(size, vocabulary.size), about)
    save_checkpoint(output, weights, size, tokenizer, provenance, card, index)
    return losses


def plan_of(run: Path) -> Plan:
    """The plan of a run. Raises :class:`TrainingError`."""
    settings = read_facts(run / "plan.json")
    with broken_as(f"{run / 'plan.json'}: is no plan of this release; train again"):
        settings["mixture"] = Mixture(**settings["mixture"])
        return Plan(**settings)


def key_shares(cells: Cells) -> list[float]:
    """How often songs are in each of 24 keys (C major to B major, C minor to B minor), by their weights; sums to 1."""
    shares = np.zeros(24)
    for number in range(cells.songs):
        tonic, mode = estimate_key(cells.song(number).chroma.sum(axis=0, dtype=np.int64))
        shares[tonic + (12 if mode == "minor" else 0)] += cells.song_weight[number]
    return [round(float(share), 4) for share in shares / shares.sum()]


def model_card(provenance: dict[str, Any], parameters: int, about: str) -> str:
    """The checkpoint's README, in Markdown."""
    plan, corpus, losses = provenance["plan"], provenance["corpus"], provenance["validation"]
    songs = ", ".join(f"{count:,} {split}" for split, count in corpus.get("songs", {}).items())
    sources = ", ".join(f"{name} ({count:,} songs)" for name, count in corpus.get("sources", {}).items())
    rows = ["| | " + " | ".join(losses) + " |", "|---|" + "--:|" * len(losses)]
    names = {"loss": "nats a token", "per_note": "**nats a note, everything counted**"}
    for key in losses["int8 grid"]:
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
as tokens: form, harmony, and parts for piano, guitar, bass and drums, bar by bar. It is one file of 8-bit weights with
one scale a row; every engine computes with the same numbers.

## Trained on

Songs: {songs}; from {sources or "sources that the corpus does not name"}. The prepared corpus holds
{corpus.get("notes", 0):,} notes as {corpus.get("tokens", 0):,} tokens.

{about.strip() or "Nothing was said about the rights in these songs."}

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
