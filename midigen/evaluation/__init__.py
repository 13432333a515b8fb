"""How good a model is: on songs that it has not learned from, and in what it composes beside them.

``evaluate`` reads validation songs three ways: as windows for the model to foresee
(:mod:`~midigen.evaluation.losses`), as pairs of parts of which one is told (:mod:`~midigen.evaluation.listening`), and
as music to be measured (:mod:`~midigen.evaluation.measures`) beside pieces that the model composes
(:mod:`~midigen.evaluation.likeness`). It also asks for pieces with everything in them drawn at random, and measures
whether they are what was asked for (:mod:`~midigen.evaluation.controls`). ``docs/evaluation.md`` defines every number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from midigen.checkpoint import open_checkpoint
from midigen.composition import Player, open_player, write_piece
from midigen.composition.settling import Request
from midigen.corpus import find_files
from midigen.errors import BadRequest, CorpusError, MidigenError, need_for_training
from midigen.evaluation import controls
from midigen.evaluation.asking import draw_prompt
from midigen.evaluation.composed import compose_pieces
from midigen.evaluation.likeness import compare
from midigen.evaluation.measures import KINDS
from midigen.evaluation.pieces import COLUMNS, FAULTS, Pieces
from midigen.evaluation.reading import Progress, read_songs
from midigen.evaluation.statistics import share
from midigen.midi import read_midi
from midigen.originality import Index

__all__ = ["Evaluation", "evaluate"]

MOST_BARS, MOST_PIECES, MOST_WINDOWS = 512, 10_000, 10_000
FEWEST_BARS = 32


@dataclass(frozen=True)
class Evaluation:
    """``facts`` is all that was found, ready for JSON; ``pools`` is what histograms are drawn of: values of notes by
    ``"real"`` and ``"composed"``, part and kind."""

    facts: dict[str, Any]
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
    requests: int = 32,
    seed: int = 0,
    threads: int | None = None,
    keep: str | Path | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Evaluate ``checkpoint`` (a folder, the name of a shipped one, or ``None`` for the default).

    ``songs`` are folders or archives of MIDI files that it has not learned from; without any, only what it composes is
    measured. ``pieces`` (0 to 10,000) of ``bars`` bars (32 to 512) in 4/4 are composed with piano, guitar and bass,
    from seeds ``seed`` on, nothing else asked for; with a folder to ``keep`` them in they are written there as MIDI
    files, and those that are there from an earlier run are taken. ``windows`` (1 to 10,000) validation windows are read
    for the loss. ``requests`` (0 to 10,000) pieces are asked for with everything drawn at random, to measure how well
    controls are kept. Needs torch where there are songs. Raises :class:`BadRequest`, :class:`CorpusError`,
    :class:`MissingTool`, :class:`OutputError`.
    """
    _check("pieces", pieces, 0, MOST_PIECES)
    _check("bars", bars, FEWEST_BARS, MOST_BARS)
    _check("windows", windows, 1, MOST_WINDOWS)
    _check("requests", requests, 0, MOST_PIECES)
    if not pieces and not songs and not requests:
        raise BadRequest("nothing to evaluate: give --songs, or --pieces or --requests of 1 or more")
    opened = open_checkpoint(checkpoint)
    tell = on_progress or (lambda stage, done, total: None)
    index = Index.from_file(opened.index_file) if opened.index_file else None
    facts: dict[str, Any] = {
        "checkpoint": opened.provenance.get("name", "") if opened.provenance else "",
        "asked": {"pieces": pieces, "bars": bars, "windows": windows, "requests": requests, "seed": seed},
    }
    real, composed = Pieces(), Pieces()
    kept = {"real": controls.Findings(), "composed": controls.Findings()}
    if songs:
        need_for_training("torch", "transformers")
        _measure_songs(songs, real, kept["real"], index, tell)
        facts |= read_songs(opened, songs, windows, seed, threads, tell)
    player = open_player(checkpoint, threads=threads)
    seeds = [(seed + number) % 2**32 for number in range(pieces)]
    folder = Path(keep) if keep is not None else None
    for number, (own, score) in enumerate(compose_pieces(opened, player, bars, seeds, folder), start=1):
        composed.add(str(own), score, index, composed=True)
        tell("pieces", number, pieces)
    groups = {name: group for name, group in (("real", real), ("composed", composed)) if group.rows}
    facts["counted"] = {
        name: {"seen": group.seen, "measured": len(group.rows)}
        for name, group in (("real", real), ("composed", composed))
        if group.seen
    }
    facts |= compare(groups, index)
    if pieces:
        facts["degenerate"] = {
            "share": asdict(share([str(own) in composed.faults for own in seeds])),
            "faults": {
                fault: asdict(share([any(sign in said for said in composed.faults.get(str(own), [])) for own in seeds]))
                for fault, sign in FAULTS.items()
            },
            "pieces": composed.faults,
        }
    if requests:
        _ask(player, requests, kept["composed"], tell)
        facts["controls"] = _controls(kept, with_songs=bool(songs))
    pools = {
        (group, kind, what): found.pool(kind, what)
        for group, found in groups.items()
        for kind in KINDS
        for what in COLUMNS
    }
    return Evaluation(facts, pools)


def _measure_songs(
    songs: Sequence[str | Path], real: Pieces, kept: controls.Findings, index: Index | None, tell: Progress
) -> None:
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
            controls.observe(score, kept)
        tell("songs", number, files)


def _ask(player: Player, requests: int, found: controls.Findings, tell: Progress) -> None:
    """Compose what was asked for at random, and measure it; the requests are the same in every evaluation."""
    for number in range(requests):
        request = Request.read(draw_prompt(number))
        score, _ = write_piece(request, player)
        controls.check(score, request, found)
        tell("requests", number + 1, requests)


def _controls(kept: dict[str, controls.Findings], *, with_songs: bool) -> dict[str, Any]:
    rows = {}
    for row in (*controls.KEPT, *controls.SHAPES):
        rows[row.said] = {
            "composed": asdict(row.of(kept["composed"])),
            "percent": row.percent,
            "wanted": row.wanted,
            "pieces": sum(bool(values) for values in kept["composed"].values.get(row.name, [])),
        }
        if with_songs and row.name in kept["real"].values:
            rows[row.said]["real"] = asdict(row.of(kept["real"]))
    return {"kept": rows, "odd": kept["composed"].odd}


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
