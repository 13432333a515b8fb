"""What a model makes of validation songs: the losses of their windows, and whether it hears one part in another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from midigen.cells import Cells
from midigen.checkpoint import Checkpoint
from midigen.corpus import prepare
from midigen.dataset import Mixture, judging
from midigen.evaluation.listening import Gain, cross_part_gains, worths
from midigen.evaluation.losses import Nats, NoteLosses, SongLosses, drawn_windows, fastest_precision
from midigen.evaluation.statistics import interval

Progress = Callable[[str, int, int], None]  # stage, done, total


def read_songs(
    opened: Checkpoint, songs: Sequence[str | Path], windows: int, seed: int, threads: int | None, tell: Progress
) -> dict[str, Any]:
    """The facts ``"loss"`` and ``"cross-part gain"`` of a checkpoint on ``songs``, folders or archives."""
    import torch

    from midigen.model import build_model, load_state

    torch.set_num_threads(threads or 1)
    mixture = Mixture(**opened.provenance["plan"]["mixture"]) if opened.provenance else Mixture()
    with tempfile.TemporaryDirectory() as folder:
        tell("preparing", 0, 1)
        prepare([], folder, validation=songs, note_tokens=opened.tokenizer["note_tokens"])
        tell("preparing", 1, 1)
        cells = Cells(folder, "validation")
        # Attention as torch has it: where nothing is learned, it is faster than that for training on a CPU.
        model = build_model(opened.size, cells.vocabulary.size, 0)
        load_state(model, opened.weights())
        model.eval()
        losses = NoteLosses(model, cells.vocabulary, fastest_precision())
        # What a header says of parts is measured on them: a model that is told it has been told of the answer.
        judged, half = judging(mixture), -(-windows // 2)
        told = partial(_tell_loss, tell, windows + half)
        context = opened.size.context
        plain = _windows(losses, cells, context, seed, replace(judged, unset=1.0), windows, partial(told, 0))
        header = SongLosses(_windows(losses, cells, context, seed, judged, half, partial(told, windows)))
        found, same = SongLosses(plain), SongLosses(plain[:half])
        gains = cross_part_gains(
            losses, cells, context, seed, on_done=lambda done, total: tell("listening", done, total)
        )
        kept = cells.songs
        del cells  # its files are mapped: they must be let go before the folder is
    return {
        "loss": {
            "songs": kept,
            "read": found.songs,
            "windows": windows,
            "nats a note": asdict(found.per_note()),
            "header": {
                "windows": half,
                "told": asdict(header.per_note()),
                "nothing said": asdict(same.per_note()),
            },
            "parts": {part: {kind: asdict(v) for kind, v in row.items()} for part, row in found.table().items()},
            "lanes, nats a note": {lane: asdict(found.a_note(lane)) for lane in ("structure", "form", "harmony")},
            "perplexity": {lane: asdict(found.perplexity(lane)) for lane in ("form", "harmony")},
        },
        "cross-part gain": {f"{part} given {other}": _gains(found) for (part, other), found in gains.items()},
    }


def _windows(
    losses: NoteLosses, cells: Cells, context: int, seed: int, mixture: Mixture, windows: int,
    on_done: Callable[[int], None],
) -> list[tuple[int, Nats]]:  # fmt: skip
    songs, rows = drawn_windows(cells, context, seed, mixture, windows)
    return list(zip(songs, losses.read(rows, on_done), strict=True))


def _tell_loss(tell: Progress, total: int, before: int, done: int) -> None:
    tell("loss", before + done, total)


def _gains(found: list[Gain]) -> dict[str, Any]:
    return {
        "songs": len(found),
        "nats a note": float(np.mean([gain.given for gain in found])) if found else float("nan"),
        **{beside: asdict(interval(values)) for beside, values in worths(found).items()},
    }
