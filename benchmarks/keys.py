"""Which estimator of a key to believe: well-known profiles, on songs whose files say their key.

Takes the songs with one key signature that is not that of C (which many programs write where nobody said a key) and
hears the key of their notes: of the whole song, and of 32 bars in its middle, as long as most pieces that are measured.
Right is the key or its relative, which has the same signature.

    python -m benchmarks.keys band-train.tar.xz --songs 600

Profiles: Krumhansl and Kessler (1982, probe tones), Temperley (2001), Bellman (2005, after Budge 1943), Aarden (2003,
Essen folk songs), Temperley (2007, Kostka-Payne) and Albrecht and Shanahan (2013), each by correlation with the time
that pitch classes sound; the last also by Euclidean distance between shares, as its authors have it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from midigen.analysis import beat_chroma
from midigen.corpus import find_files
from midigen.errors import MidigenError
from midigen.evaluation.bars import stretch
from midigen.grid import to_grid
from midigen.midi import read_midi

BARS = 32

# Source of the numbers: the papers, as music21 (analysis.discrete) and others print them. From the tonic on.
PROFILES: dict[str, tuple[list[float], list[float]]] = {
    "Krumhansl and Kessler 1982": (
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ),
    "Temperley 2001": (
        [5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0],
        [5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0],
    ),
    "Bellman-Budge 2005": (
        [16.80, 0.86, 12.95, 1.41, 13.49, 11.93, 1.25, 20.28, 1.80, 8.04, 0.62, 10.57],
        [18.16, 0.69, 12.99, 13.34, 1.07, 11.15, 1.38, 21.07, 7.49, 1.53, 0.92, 10.21],
    ),
    "Aarden-Essen 2003": (
        [17.7661, 0.145624, 14.9265, 0.160186, 19.8049, 11.3587, 0.291248, 22.062, 0.145624, 8.15494, 0.232998, 4.9512],
        [18.2648, 0.737619, 14.0499, 16.8599, 0.702494, 14.4362, 0.702494, 18.6161, 4.56621, 1.93186, 7.37619, 1.75623],
    ),
    "Temperley 2007": (
        [0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400],
        [0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330],
    ),
    "Albrecht and Shanahan 2013": (
        [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081],
        [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052],
    ),
}  # fmt: skip
DISTANCE = "Albrecht and Shanahan 2013, by distance"


def signature_heard(chroma: np.ndarray, profile: str) -> int:
    """The tonic of the major key with the signature of the key that ``profile`` finds in ``chroma`` ``(12,)``."""
    name = profile.removesuffix(", by distance")
    keys = np.stack([np.roll(row, tonic) for row in PROFILES[name] for tonic in range(12)])
    if profile == DISTANCE:
        shares = keys / keys.sum(axis=1, keepdims=True)
        best = int(np.argmin(np.linalg.norm(shares - chroma / max(chroma.sum(), 1e-9), axis=1)))
    else:
        centred = keys - keys.mean(axis=1, keepdims=True)
        centred /= np.linalg.norm(centred, axis=1, keepdims=True)
        best = int(np.argmax(centred @ (chroma - chroma.mean())))
    return (best % 12 + (3 if best >= 12 else 0)) % 12


def main() -> None:
    """Hear the keys and print the table."""
    parser = argparse.ArgumentParser(description="which estimator of a key to believe")
    parser.add_argument("source", nargs="+", help="MIDI files, folders or archives of them")
    parser.add_argument("--songs", type=int, default=600, help="as many songs with a signature (default: 600)")
    args = parser.parse_args()
    right: dict[str, dict[str, list[bool]]] = {"whole song": defaultdict(list), f"{BARS} bars": defaultdict(list)}
    away: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    songs = 0
    for _, name, read in find_files(args.source):
        try:
            score = read_midi(read(), name)
            said = {(key.tonic + (3 if key.mode == "minor" else 0)) % 12 for key in score.keys}
            if len(said) != 1 or said == {0}:
                continue
            grid = to_grid(score)
        except MidigenError:
            continue
        (signature,) = said
        songs += 1
        middle = stretch(grid, max(0, (grid.bars - BARS) // 2), min(BARS, grid.bars))
        for where, part in zip(right, (grid, middle), strict=True):
            chroma = beat_chroma(part)[0].sum(axis=0)
            for profile in (*PROFILES, DISTANCE):
                heard = signature_heard(chroma, profile)
                right[where][profile].append(heard == signature)
                if where == "whole song":
                    away[profile][(heard - signature) % 12] += 1
        if songs == args.songs:
            break
    print(f"{songs} songs\n\n| | {' | '.join(right)} | a fifth too high | a fifth too low |\n|---|--:|--:|--:|--:|")
    for profile in (*PROFILES, DISTANCE):
        cells = [f"{100 * np.mean(right[where][profile]):.1f} %" for where in right]
        cells += [f"{100 * away[profile][step] / songs:.1f} %" for step in (7, 5)]
        print(f"| {profile} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
