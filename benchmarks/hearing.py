"""How well notes are heard: F-measures on recordings whose notes are known, beside basic-pitch's own way to notes.

    python -m benchmarks.hearing band-val.tar.xz --fonts FluidR3_GM FluidR3Mono_GM --songs 10
    python -m benchmarks.hearing band-train.tar.xz --fonts MuseScore_General_Lite:14:150 TimGM6mb:8:250 --fit

The recordings are those of benchmarks.recordings. A note is heard where one of its pitch begins within 50 ms of it
(mir_eval.transcription, offsets and velocities left out); each is matched once. "onsets" is the same without pitches
(mir_eval.onset). "basic-pitch" takes the same activations to notes with the thresholds that it has by default, where it
is installed (pip install --no-deps basic-pitch resampy). Figures are means over recordings. Of the bars that are found
from sound and notes of that one part: "tempo", the share of recordings within 4 % of the true one; "or x2", or of its
double or half; "metre"; "bars", those whose first bar line is within 0.1 s of a true one, tempo and metre being right.

``--fit`` learns what weighs candidates (midigen/transcription/weights.json) from the recordings: a network of one
hidden layer. It prints what this does on songs of which it has learned nothing (one third of them in turn). Songs and
fonts that are measured later must not be among them. FONT:14:150 are 14 songs, each the first that will do of 150.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.recordings import LEAD_SECONDS, Recording, recordings
from midigen.instruments import INSTRUMENTS
from midigen.profiles.onsets import Curves, curves_of
from midigen.transcription.activations import (
    FRAME_SECONDS,
    LOWEST_PITCH,
    RATE,
    Activations,
    activations_of,
    mono_at,
)
from midigen.transcription.beats import find_bars
from midigen.transcription.candidates import COLUMNS, Candidates, candidates_of
from midigen.transcription.notes import KINDS, LATE_SECONDS, WEIGHTS, Ear, chosen, find_notes
from midigen.transcription.partials import Partials, partials_of

TOLERANCE = 0.05
LABEL_SECONDS = 0.045  # how near a candidate must be to a note to be one, in learning
UNITS, DECAY, EPOCHS = 24, 0.3, 80
THRESHOLDS = np.arange(0.2, 0.66, 0.05)
FOLDS = 3


@dataclass(frozen=True, eq=False)
class Listened:
    """A recording and all that is known of it before notes are chosen."""

    recording: Recording
    heard: Activations
    curves: Curves
    partials: Partials


def listened(one: Recording) -> Listened:
    """Hear what is in a recording."""
    sound = mono_at(one.audio, RATE)
    peak = float(np.abs(one.audio.samples).max())
    return Listened(one, activations_of(sound), curves_of(sound, peak), partials_of(sound))


def scores(truth: np.ndarray, notes: np.ndarray) -> tuple[float, float, float, float]:
    """Precision, recall and F of notes (onset and pitch), and F of onsets alone."""
    import mir_eval

    if not len(notes):
        return 0.0, 0.0, 0.0, 0.0
    intervals = [np.column_stack([rows[:, 0], rows[:, 0] + 0.1]) for rows in (truth, notes)]
    hz = [440 * 2 ** ((rows[:, 2] - 69) / 12) for rows in (truth, notes)]
    precision, recall, f, _ = mir_eval.transcription.precision_recall_f1_overlap(
        intervals[0], hz[0], intervals[1], hz[1], onset_tolerance=TOLERANCE, offset_ratio=None
    )
    together = [rows[np.concatenate([[True], np.diff(rows[:, 0]) > 0.03]), 0] for rows in (truth, notes)]
    onsets, _, _ = mir_eval.onset.f_measure(*together, window=TOLERANCE)
    return precision, recall, f, onsets


def bars_found(one: Recording, curves: Curves, notes: np.ndarray) -> tuple[bool, bool, bool, bool]:
    """Whether the tempo is right, or its double or half is, and the metre, and the bar lines."""
    if not len(notes):
        return False, False, False, False
    grid = find_bars(curves, notes)
    true, metre = one.score.tempos[0].qpm, one.score.metres[0]
    tempo = abs(grid.qpm / true - 1) < 0.04
    nearly = any(abs(grid.qpm / true / times - 1) < 0.04 for times in (0.5, 1, 2))
    length = metre.quarters * 60 / true
    off = (grid.beats[0] - LEAD_SECONDS) % length
    there = tempo and grid.metre == str(metre) and min(off, length - off) < 0.1
    return tempo, nearly, grid.metre == str(metre), there


def basic_pitch_notes(heard: Activations) -> np.ndarray | None:
    """The notes that basic-pitch finds by default; ``None`` where it is not installed."""
    try:
        from basic_pitch.note_creation import output_to_notes_polyphonic
    except ImportError:
        return None
    found = output_to_notes_polyphonic(
        heard.notes.copy(), heard.onsets.copy(), onset_thresh=0.5, frame_thresh=0.3, min_note_len=11,
        infer_onsets=True, max_freq=None, min_freq=None, melodia_trick=True,
    )  # fmt: skip
    rows = [(start * FRAME_SECONDS, end * FRAME_SECONDS, pitch, 100) for start, end, pitch, _ in found]
    notes = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return notes[np.lexsort((notes[:, 2], notes[:, 0]))]


def measure(sources: Sequence[str], kinds: Sequence[str], fonts: Sequence[str], count: int) -> Iterator[str]:
    """The lines of the table."""
    yield (
        "| instrument, font | songs | notes | F | precision | recall | onsets | basic-pitch: F | onsets | "
        "tempo | or x2 | metre | bars |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for kind in kinds:
        for number, font in enumerate(fonts):
            ours, others, bars, notes = [], [], [], 0
            for one in recordings(sources, kind, font, count, skip=number, every=2):
                known = listened(one)
                found = find_notes(known.heard, known.curves, known.partials, kind)
                ours.append(scores(one.notes, found))
                usual = basic_pitch_notes(known.heard)
                others.append((np.nan,) * 4 if usual is None else scores(one.notes, usual))
                notes += len(one.notes)
                bars.append(bars_found(one, known.curves, found))
                print(f"{kind} {font} {one.name}: {ours[-1][2]:.3f} ({others[-1][2]:.3f})", file=sys.stderr)
            p, r, f, onsets = np.mean(ours, axis=0)
            _, _, usual_f, usual_onsets = np.mean(others, axis=0)
            yield (
                f"| {kind}, {font} | {len(ours)} | {notes} | **{f:.3f}** | {p:.3f} | {r:.3f} | {onsets:.3f} | "
                f"{usual_f:.3f} | {usual_onsets:.3f} | "
                + " | ".join(f"{share:.0%}" for share in np.mean(bars, axis=0))
                + " |"
            )


def labels_of(found: Candidates, truth: np.ndarray) -> np.ndarray:
    """Which candidates are notes, 0 or 1."""
    times = found.frames * FRAME_SECONDS - LATE_SECONDS
    labels = np.zeros(len(times))
    for pitch in np.unique(truth[:, 2]):
        onsets = np.sort(truth[truth[:, 2] == pitch, 0])
        mine = np.flatnonzero(found.pitches == pitch)
        after = np.searchsorted(onsets, times[mine]).clip(0, len(onsets) - 1)
        before = (after - 1).clip(0)
        near = np.minimum(np.abs(onsets[after] - times[mine]), np.abs(onsets[before] - times[mine]))
        labels[mine] = near <= LABEL_SECONDS
    return labels


def learn(table: np.ndarray, labels: np.ndarray, kind: str) -> Ear:
    """An ear that tells notes from other candidates; its threshold is one half."""
    from sklearn.neural_network import MLPClassifier

    mean, scale = table.mean(axis=0), table.std(axis=0) + 1e-3
    network = MLPClassifier(
        (UNITS,), alpha=DECAY, max_iter=EPOCHS, random_state=0, learning_rate_init=2e-3, batch_size=256, tol=0,
        n_iter_no_change=EPOCHS,
    )  # fmt: skip
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stops where it is told to
        network.fit((table - mean) / scale, labels)
    (hidden, out), (shift, bias) = network.coefs_, network.intercepts_
    return Ear(mean, scale, hidden, shift, out[:, 0], float(bias[0]), 0.5, kind == "bass")


def notes_by(ear: Ear, found: Candidates) -> np.ndarray:
    """Onsets and pitches of what ``ear`` takes for notes, in the columns of notes."""
    kept = chosen(found, ear.probability(found.table), ear)
    onsets = np.maximum(found.frames[kept] * FRAME_SECONDS - LATE_SECONDS, 0)
    notes = np.column_stack([onsets, onsets + 0.1, found.pitches[kept], np.full(len(kept), 100.0)])
    return notes[np.lexsort((notes[:, 2], notes[:, 0]))]


def fit(known: list[tuple[str, Candidates, np.ndarray]], kind: str) -> Ear:
    """Learn from ``(song, candidates, notes)``, with the threshold that is best on songs not learned from."""
    names = sorted({name for name, _, _ in known})
    folds = [names.index(name) % FOLDS for name, _, _ in known]  # a song in two fonts is one song
    labels = [labels_of(found, truth) for _, found, truth in known]
    results: dict[float, list[float]] = {float(t): [] for t in THRESHOLDS}
    for fold in range(FOLDS):
        inside = [i for i, f in enumerate(folds) if f != fold]
        ear = learn(
            np.concatenate([known[i][1].table for i in inside]), np.concatenate([labels[i] for i in inside]), kind
        )
        for i in (i for i, f in enumerate(folds) if f == fold):
            for threshold, values in results.items():
                tried = Ear(**{**vars(ear), "threshold": threshold})
                values.append(scores(known[i][2], notes_by(tried, known[i][1]))[2])
    best = max(results, key=lambda t: np.mean(results[t]))
    print(f"{kind}: F {np.mean(results[best]):.3f} on songs not learned from, at {best:.2f}")
    whole = learn(np.concatenate([found.table for _, found, _ in known]), np.concatenate(labels), kind)
    return Ear(**{**vars(whole), "threshold": best})


def plain(ear: Ear) -> dict[str, Any]:
    """An ear as JSON can hold it."""
    arrays = {key: np.round(getattr(ear, key), 4).tolist() for key in ("mean", "hidden", "shift", "out")}
    return {**arrays, "scale": np.round(ear.scale, 5).tolist(), "bias": round(ear.bias, 4),
            "threshold": round(ear.threshold, 3)}  # fmt: skip


def main() -> None:
    """Measure, or fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--fonts", nargs="+", required=True)
    parser.add_argument("--songs", type=int, default=10, help="of each instrument and font")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    if not args.fit:
        for line in measure(args.sources, args.kinds, args.fonts, args.songs):
            print(line, flush=True)
        return
    ears = json.loads(WEIGHTS.read_text(encoding="utf-8"))["ears"] if WEIGHTS.exists() else {}
    for kind in args.kinds:
        row, known = INSTRUMENTS[kind], []
        for number, words in enumerate(args.fonts):
            font, songs, every = (*words.split(":"), args.songs, 150)[:3]
            for one in recordings(args.sources, kind, font, int(songs), skip=7 + 73 * number, every=int(every)):
                heard = listened(one)
                found = candidates_of(heard.heard, heard.curves, heard.partials, row.lowest, row.highest)
                known.append((one.name, found, one.notes))
        ears[kind] = plain(fit(known, kind))
    WEIGHTS.write_text(json.dumps({"columns": COLUMNS, "ears": ears}) + "\n", encoding="utf-8")
    print(f"{WEIGHTS}: written; lowest pitch of the network {LOWEST_PITCH}")


if __name__ == "__main__":
    main()
