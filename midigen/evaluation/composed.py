"""The pieces that are measured: composed one after another, and kept where that is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from midigen import __version__
from midigen.checkpoint import Checkpoint
from midigen.composition import Player, write_piece
from midigen.composition.settling import Request
from midigen.errors import MidigenError, OutputError
from midigen.folders import write_beside, writing
from midigen.midi import midi_bytes, read_midi
from midigen.prompt import Prompt
from midigen.score import Score

METRE = "4/4"  # as reference values are of songs in it
SOURCE = "pieces.json"  # what the pieces of a folder are made by


def compose_pieces(
    opened: Checkpoint, player: Player, bars: int, seeds: list[int], keep: Path | None
) -> Iterator[tuple[int, Score]]:
    """A piece for each of ``seeds``: piano, guitar and bass, ``bars`` bars in 4/4, nothing else asked for.

    With a folder to ``keep`` them in, each is written there as it is made, and one that is there already is read
    instead, so that an evaluation that was stopped goes on. Raises :class:`OutputError` for a folder that holds pieces
    of another model or another length.
    """
    if keep is not None:
        _check_source(opened, bars, keep)
    for seed in seeds:
        path = keep / f"{seed}.mid" if keep is not None else None
        if path is not None and path.is_file():
            try:
                yield seed, read_midi(path)
                continue
            except MidigenError:  # cut short, perhaps: it is made again
                pass
        score, _ = write_piece(Request.read(Prompt(bars, metre=METRE, seed=seed)), player)
        if path is not None:
            data = midi_bytes(score)
            write_beside(path, data)
            score = read_midi(data, path.name)  # the same, whether it was made now or earlier
        yield seed, score


def _check_source(opened: Checkpoint, bars: int, keep: Path) -> None:
    source = {"weights": opened.sha256, "bars": bars, "midigen": __version__}
    path = keep / SOURCE
    with writing(keep):
        keep.mkdir(parents=True, exist_ok=True)
        inside = {entry.name for entry in keep.iterdir()}
    if SOURCE in inside:
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            there = None
        if there != source:
            raise OutputError(
                f"{keep}: holds pieces of another model, another version or another number of bars; choose a new folder"
            )
    elif inside:
        raise OutputError(f"{keep}: is not empty and not a folder of pieces; choose a new or an empty folder")
    else:
        write_beside(path, (json.dumps(source, indent=1) + "\n").encode())
