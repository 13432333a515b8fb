"""How well music is written down, and how fast, on real songs (files, folders or archives of MIDI files).

    python -m benchmarks.notation validation.tar.xz --songs 40

*Places.* Songs are put on the grid first: what that says is the truth. Then they are played by
:func:`midigen.performance.humanise` and :func:`midigen.performance.swing`, and written down again. Told is the share of
noteheads that stand where they stood, for songs that were straight. *Marks*: ties, rests and signs a notehead, which a
reader pays for. *MuseScore*, where it is installed: whether it plays the notes that are written.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.sources import read_scores
from midigen.errors import BadRequest
from midigen.exporters.musicxml import sheet_bytes
from midigen.midi import read_midi
from midigen.notation import engrave
from midigen.notation.rhythm import UNITS
from midigen.notation.sheet import Sheet
from midigen.performance import humanise, swing
from midigen.score import Note, Score

PLAYED = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 0.7), (0.0, 1.0), (0.7, 0.8))  # humanise, swing


def heads_of(sheet: Sheet) -> list[set[tuple[int, int]]]:
    """Of each part the onsets (units) and pitches of its noteheads, ties counted once."""
    return [
        {
            (measure.start + sign.piece.start, head.pitch)
            for staff in part.staves
            for measure, voices in zip(sheet.measures, staff.bars, strict=True)
            for voice in voices
            for sign in voice
            for head in sign.heads
            if not head.tied_from
        }
        for part in sheet.parts
    ]


def on_grid(score: Score) -> Score:
    """``score`` with every note where its notation has it, as long as it was."""
    ticks = 480
    scale = ticks / score.ticks_per_quarter
    parts = []
    for part, heads in zip([part for part in score.parts if part.notes], heads_of(engrave(score)), strict=True):
        lengths = {note.pitch: max(round(note.duration_ticks * scale), 60) for note in part.notes}
        notes = sorted(Note(at * ticks // UNITS, pitch, lengths[pitch], 80) for at, pitch in heads)
        parts.append(replace(part, notes=tuple(notes), controls=(), bends=(), lyrics=()))

    def moved(tick: int) -> int:
        return round(tick * scale)

    return replace(
        score,
        parts=tuple(parts),
        tempos=tuple(replace(one, tick=moved(one.tick)) for one in score.tempos),
        metres=tuple(replace(one, tick=moved(one.tick)) for one in score.metres),
        keys=tuple(replace(one, tick=moved(one.tick)) for one in score.keys),
        markers=(), chords=(), lyrics=(), ticks_per_quarter=ticks,
    )  # fmt: skip


def kept(true: Sequence[set[tuple[int, int]]], found: Sequence[set[tuple[int, int]]]) -> tuple[int, int]:
    """Noteheads where they stood, and all of them."""
    return sum(len(a & b) for a, b in zip(true, found, strict=True)), sum(map(len, true))


def opened_by_musescore(program: str, sheet: Sheet, folder: Path) -> tuple[int, int]:
    """Noteheads that MuseScore plays where they are written, and all."""
    source, target = folder / "score.musicxml", folder / "score.mid"
    source.write_bytes(sheet_bytes(sheet))
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    subprocess.run([program, "-o", target, source], env=environment, capture_output=True, timeout=300, check=True)
    back = read_midi(target)
    heard = [{(round(n.onset_ticks * UNITS / back.ticks_per_quarter), n.pitch) for p in back.parts for n in p.notes}]
    everything = [set().union(*heads_of(sheet))]
    return kept(everything, heard)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How well music is written down, and how fast.")
    parser.add_argument("songs_from", nargs="+", metavar="SONGS", help="MIDI files, folders or archives of them")
    parser.add_argument("--songs", type=int, default=40, metavar="N", help="how many (default: 40)")
    parser.add_argument("--musescore", type=int, default=5, metavar="N", help="so many through MuseScore (default: 5)")
    args = parser.parse_args(argv)
    scores = [score for _, score in islice(read_scores(args.songs_from), args.songs) if score.parts]
    right: Counter[tuple[float, float]] = Counter()
    count: Counter[tuple[float, float]] = Counter()
    signs: Counter[str] = Counter()
    each: list[float] = []
    sheets: list[Sheet] = []
    for score in scores:
        begun = time.perf_counter()
        sheet = engrave(score)
        sheet_bytes(sheet)
        notes = sum(len(part.notes) for part in score.parts)
        each.append(1000 * (time.perf_counter() - begun) / notes)
        for part in sheet.parts:
            for staff in part.staves:
                for sign in (sign for voices in staff.bars for voice in voices for sign in voice):
                    signs["noteheads"] += len(sign.heads)
                    signs["tied"] += sum(head.tied_from for head in sign.heads)
                    signs["rests"] += sign.is_rest and not sign.fills_bar
                    signs["in tuplets"] += len(sign.heads) * (sign.piece.tuplet is not None)
        if len(sheets) < args.musescore:
            sheets.append(sheet)
        if sheet.swing is not None:
            continue
        straight = on_grid(score)
        true = heads_of(engrave(straight))
        for human, swung in PLAYED:
            try:
                played = humanise(swing(straight, swung), human, 1)
            except BadRequest:  # a metre that cannot swing
                continue
            found = heads_of(engrave(played))
            good, all_of_them = kept(true, found)
            right[human, swung] += good
            count[human, swung] += all_of_them
    print(f"{len(scores)} songs, {signs['noteheads']:,} noteheads; {np.median(each):.2f} ms a note (median of songs)")
    for what in ("tied", "rests", "in tuplets"):
        print(f"  {what}: {signs[what] / max(signs['noteheads'], 1):.3f} a notehead")
    for human, swung in PLAYED:
        if count[human, swung]:
            share = right[human, swung] / count[human, swung]
            print(f"  humanise {human:.1f}, swing {swung:.1f}: {share:.4f} of {count[human, swung]:,} where they stood")
    program = next(filter(None, map(shutil.which, ("mscore3", "musescore3", "mscore", "musescore"))), None)
    if program is not None and sheets:
        with tempfile.TemporaryDirectory() as folder:
            played_back = [opened_by_musescore(program, sheet, Path(folder)) for sheet in sheets]
        good, all_of_them = map(sum, zip(*played_back, strict=True))
        print(f"  MuseScore plays {good / all_of_them:.4f} of {all_of_them:,} noteheads where they are written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
