"""The usual spectra of the instruments, which the automatic equaliser compares with: measured from renders of songs.

    python benchmarks/references.py FOLDER [FOLDER ...] [--songs 20] [--seed 0]

Every folder is searched for MIDI files, and so many songs are drawn from it that have all four instruments. Of each,
60 seconds from its middle are played by both SoundFonts of ``FONTS``, at the tempo of their beginning. Prints the table
of :mod:`midigen.profiles.equalising`. With the defaults it takes ten minutes or more.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from midigen.errors import MidigenError
from midigen.instruments import INSTRUMENTS
from midigen.midi import read_midi
from midigen.profiles.equalising import Reference
from midigen.renderers import render
from midigen.renderers.cache import Cache
from midigen.score import Part, Score, Tempo
from midigen.soundfonts import choose_soundfont
from midigen.spectra import power_db, spectrum_of

FONTS = ("MuseScore_General_Lite", "FluidR3_GM")
SECONDS = 60.0
LEAST_NOTES = 24
LOWEST_DB = -150.0  # what rounding leaves of nothing


def excerpt(score: Score, part: Part) -> Score:
    """``part`` alone, for ``SECONDS`` from the middle of the piece."""
    begin = max((score.duration_seconds - SECONDS) / 2, 0.0)
    start, stop = (int(score.ticks(seconds)) for seconds in (begin, begin + SECONDS))
    notes = (replace(n, onset_ticks=n.onset_ticks - start) for n in part.notes if start <= n.onset_ticks < stop)
    controls = (replace(c, tick=max(c.tick - start, 0)) for c in part.controls if c.tick < stop)
    tempo = [tempo for tempo in score.tempos if tempo.tick <= start][-1]
    short = replace(part, notes=tuple(notes), controls=tuple(controls), bends=())
    return Score((short,), tempos=(Tempo(0, tempo.qpm),), ticks_per_quarter=score.ticks_per_quarter)


def songs_of(folder: Path, number: int, seed: int) -> Iterator[dict[str, Score]]:
    """Of ``number`` songs that have all instruments, the fullest part of each."""
    files = sorted(folder.rglob("*.mid"))
    random.Random(seed).shuffle(files)
    for path in files:
        try:
            score = read_midi(path)
        except MidigenError:
            continue
        fullest: dict[str, Score] = {}
        for part in score.parts:
            short = excerpt(score, part) if part.kind in INSTRUMENTS else None
            least = len(fullest[part.kind].parts[0].notes) if part.kind in fullest else LEAST_NOTES - 1
            if short is not None and len(short.parts[0].notes) > least:
                fullest[part.kind] = short
        if len(fullest) < len(INSTRUMENTS):
            continue
        print(path.name, file=sys.stderr)
        yield fullest
        number -= 1
        if not number:
            return


def reference_of(octaves_db: np.ndarray) -> Reference:
    """The reference of renders whose octave bands have the levels ``octaves_db``, ``(renders, 10)``."""
    octaves_db = np.maximum(octaves_db, LOWEST_DB)
    whole = power_db(np.sum(10 ** (octaves_db / 10), axis=1, keepdims=True))
    usual = Reference(tuple(np.round(np.median(octaves_db - whole, axis=0), 1).tolist()))
    deviations = np.array([usual.deviations_db(one) for one in octaves_db])
    low, median, high = np.percentile(deviations, (25, 50, 75), axis=0)
    mud, presence = np.round(np.stack([median, high - low], axis=1), 1).tolist()
    return Reference(usual.levels_db, tuple(mud), tuple(presence))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path)
    parser.add_argument("--songs", type=int, default=20, help="from each folder (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    fonts = [choose_soundfont(name) for name in FONTS]
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for folder in args.folders:
        for song in songs_of(folder, args.songs, args.seed):
            for kind, score in song.items():
                for font in fonts:
                    (stem,) = render(score, font, cache=Cache(None))
                    levels = spectrum_of(stem.audio).octaves_db()
                    if np.isfinite(levels).any():  # a part may be turned down to nothing
                        found[kind].append(levels)
    for kind in INSTRUMENTS:
        print(f"{kind} ({len(found[kind])} renders): {reference_of(np.stack(found[kind]))}")


if __name__ == "__main__":
    main()
