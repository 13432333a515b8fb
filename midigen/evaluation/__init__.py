"""How good a model is: on songs that it has not learned from, and in what it composes beside them.

``evaluate`` reads validation songs three ways: as windows for the model to foresee
(:mod:`~midigen.evaluation.losses`), as pairs of parts of which one is told (:mod:`~midigen.evaluation.listening`), and
as music to be measured (:mod:`~midigen.evaluation.measures`) beside pieces that the model composes.
``docs/evaluation.md`` defines every number.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from midigen.cells import Cells
from midigen.checkpoint import Checkpoint, open_checkpoint
from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.corpus import find_files, prepare
from midigen.dataset import Mixture, Windows, judging
from midigen.errors import BadRequest, CorpusError, MidigenError, need_for_training
from midigen.evaluation.listening import Gain, cross_part_gains, worths
from midigen.evaluation.losses import NoteLosses
from midigen.evaluation.measures import KINDS, MEASURES
from midigen.evaluation.pieces import COLUMNS, Pieces
from midigen.evaluation.statistics import interval, overlap, spread
from midigen.grid import DURATIONS
from midigen.midi import read_midi
from midigen.originality import SHORTEST, Index
from midigen.prompt import Prompt

__all__ = ["Evaluation", "evaluate"]

METRE = "4/4"  # of composed pieces, as reference values are of songs in it
MOST_BARS, MOST_PIECES, MOST_WINDOWS = 512, 10_000, 10_000
FEWEST_BARS = 32
BINS = {
    "pitch": np.arange(20.5, 109),
    "duration": np.concatenate([[0.5], np.sqrt(np.array(DURATIONS[:-1]) * np.array(DURATIONS[1:])), [1e6]]),
    "velocity": np.arange(-0.5, 32),
}
Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class Evaluation:
    """``facts`` is all that was found, ready for JSON; ``curves`` and ``pools`` are what pictures are drawn of: curves
    by ``"real"`` and ``"composed"``, ``(32,)``, and values of notes by those, part and kind."""

    facts: dict[str, Any]
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    pools: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict)

    def json(self) -> str:
        """The facts as JSON; what was not measured is null."""
        return json.dumps(_plain(self.facts), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def evaluate(
    checkpoint: str | Path | None = None,
    *,
    songs: Sequence[str | Path] = (),
    pieces: int = 200,
    bars: int = 64,
    windows: int = 200,
    seed: int = 0,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Evaluate ``checkpoint`` (a folder, the name of a shipped one, or ``None`` for the default).

    ``songs`` are folders or archives of MIDI files that it has not learned from; without any, only what it composes is
    measured. ``pieces`` (0 to 10,000) of ``bars`` bars (32 to 512) in 4/4 are composed with piano, guitar and bass,
    from seeds ``seed`` on, nothing else asked for. ``windows`` (1 to 10,000) validation windows are read for the loss.
    Needs torch where there are songs. Raises :class:`BadRequest`, :class:`CorpusError`, :class:`MissingTool`.
    """
    _check("pieces", pieces, 0, MOST_PIECES)
    _check("bars", bars, FEWEST_BARS, MOST_BARS)
    _check("windows", windows, 1, MOST_WINDOWS)
    if not pieces and not songs:
        raise BadRequest("nothing to evaluate: give --songs, or --pieces of 1 or more")
    opened = open_checkpoint(checkpoint)
    tell = on_progress or (lambda stage, done, total: None)
    index = Index.from_file(opened.index_file) if opened.index_file else None
    facts: dict[str, Any] = {
        "checkpoint": opened.provenance.get("name", "") if opened.provenance else "",
        "asked": {"pieces": pieces, "bars": bars, "windows": windows, "seed": seed},
    }
    real, composed = Pieces(), Pieces()
    if songs:
        need_for_training("torch", "transformers")
        files = sum(1 for _ in find_files(songs))
        if not files:
            places = ", ".join(map(str, songs))
            raise CorpusError(f"{places}: no MIDI file found; give folders or archives with .mid files")
        # What is in an archive can be read only while it is gone through.
        for number, (_, name, read) in enumerate(find_files(songs), start=1):
            try:
                score = read_midi(read(), name)
            except MidigenError:
                real.pass_over()
            else:
                real.add(name, score, index, composed=False)
            tell("songs", number, files)
        facts |= _read(opened, songs, windows, seed, threads, tell)
    if pieces:
        player = open_player(checkpoint, threads=threads)
        for number in range(pieces):
            request = Request.read(Prompt(bars, metre=METRE, seed=(seed + number) % 2**32))
            score, _ = write_piece(request, player)
            composed.add(str(request.prompt.seed), score, index, composed=True)
            tell("pieces", number + 1, pieces)
    groups = {name: group for name, group in (("real", real), ("composed", composed)) if group.rows}
    facts["likeness"] = {
        name: {group: asdict(spread(found.values(name))) for group, found in groups.items()} for name in MEASURES
    }
    facts["counted"] = {
        name: {"seen": group.seen, "measured": len(group.rows)}
        for name, group in (("real", real), ("composed", composed))
        if group.seen
    }
    curves = {name: group.curve() for name, group in groups.items()}
    facts["similarity"] = {name: curve.tolist() for name, curve in curves.items()}
    pools = {
        (group, kind, what): found.pool(kind, what)
        for group, found in groups.items()
        for kind in KINDS
        for what in COLUMNS
    }
    if len(groups) == 2:
        apart = np.abs(curves["composed"] - curves["real"])
        facts["similarity error"] = float(np.mean(apart[np.isfinite(apart)]))
        facts["overlap"] = {
            kind: {
                what: overlap(pools["real", kind, what], pools["composed", kind, what], BINS[what]) for what in COLUMNS
            }
            for kind in KINDS
        }
    if pieces:
        facts["degenerate"] = {
            "share": asdict(interval([name in composed.faults for name in _seeds(seed, pieces)])),
            "pieces": composed.faults,
        }
    if index is not None:
        facts["originality"] = {
            "false positives": index.false_positives,
            **{
                name: {
                    f"share of {least} notes or more": asdict(interval(np.array(group.runs) >= least))
                    for least in (SHORTEST, 16, 24)
                }
                | {"longest": max(group.runs)}
                for name, group in groups.items()
            },
        }
    return Evaluation(facts, curves, pools)


def _seeds(seed: int, pieces: int) -> list[str]:
    return [str((seed + number) % 2**32) for number in range(pieces)]


def _read(
    opened: Checkpoint, songs: Sequence[str | Path], windows: int, seed: int, threads: int | None, tell: Progress
) -> dict[str, Any]:
    """What the model makes of ``songs``: losses and cross-part gains."""
    import torch

    from midigen.attention import use_blocks
    from midigen.model import build_model, load_state
    from midigen.training import Steps

    torch.set_num_threads(threads or 1)
    mixture = Mixture(**opened.provenance["plan"]["mixture"]) if opened.provenance else Mixture()
    with tempfile.TemporaryDirectory() as folder:
        prepare([], folder, validation=songs, note_tokens=opened.tokenizer["note_tokens"])
        cells = Cells(folder, "validation")
        model = build_model(opened.size, cells.vocabulary.size, 0)
        use_blocks(model)
        load_state(model, opened.weights())
        model.eval()
        losses = NoteLosses(model, cells.vocabulary)
        batches = Steps(Windows(cells, opened.size.context, seed, judging(mixture)), windows, 4096)[0]
        for number, batch in enumerate(batches, start=1):
            losses.add([batch])
            tell("loss", number, len(batches))
        at_home = opened.tokenizer.get("transpose") == "key"
        gains = cross_part_gains(
            model,
            cells,
            opened.size.context,
            at_home,
            seed,
            on_done=lambda done, total: tell("listening", done, total),
        )
        kept = cells.songs
        del cells  # its files are mapped: they must be let go before the folder is
    return {
        "loss": {
            "songs": kept,
            "windows": windows,
            "nats a note": losses.per_note(),
            "parts": losses.table(),
            "perplexity": {lane: losses.perplexity(lane) for lane in ("form", "harmony")},
        },
        "cross-part gain": {f"{part} given {other}": _gains(found) for (part, other), found in gains.items()},
    }


def _gains(found: list[Gain]) -> dict[str, Any]:
    return {
        "songs": len(found),
        "nats a note": float(np.mean([gain.given for gain in found])) if found else float("nan"),
        **{beside: asdict(interval(values)) for beside, values in worths(found).items()},
    }


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequest(f"{name} {value!r} is not a whole number from {low} to {high:,}: choose one of those")


def _plain(value: Any) -> Any:
    """``value`` with what JSON has no word for as ``None``."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 5) if np.isfinite(value) else None
    return value
