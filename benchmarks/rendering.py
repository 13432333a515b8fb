"""Rendering a song to stems in multiples of real time, beside the usual ways from MIDI to sound.

    python -m benchmarks.rendering [SONG.mid] [--runs 5] [--soundfont NAME|PATH] [--threads 2]

All of them play the same file with the same SoundFont, taking turns in one run, and the table gives the median of the
runs and their range: wall time, the processor time of the process and its children, and how many times as long the wall
time is as midigen's. The fluidsynth program makes stems in one run for each, as whoever wants stems from it has to.
Without a file a song of 120 seconds for piano, guitar, bass and drums is written first.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from midigen.midi import read_midi, write_midi
from midigen.renderers import Stem, render
from midigen.renderers.cache import Cache
from midigen.renderers.library import library_version
from midigen.score import Note, Part, Score, Tempo
from midigen.soundfonts import SoundFont, choose_soundfont

QUARTER = 480
BAR = 4 * QUARTER
CHORDS = ((57, 60, 64), (53, 57, 60), (55, 60, 64), (55, 59, 62))  # A minor, F, C, G: the commonest loop there is
RATE = 44_100
Race = Mapping[str, Callable[[], object]]


def song(bars: int = 60, tempo_qpm: float = 120.0) -> Score:
    """Comping piano, arpeggiated guitar, bass on the roots and a backbeat: 2 seconds a bar."""
    chance = random.Random(7)
    piano, guitar, bass, drums = [], [], [], []

    def note(onset: int, pitch: int, length: int, velocity: int) -> Note:
        return Note(onset + chance.randrange(12), pitch, length, velocity + chance.randrange(-8, 9))

    for bar in range(bars):
        start, chord = bar * BAR, CHORDS[bar % len(CHORDS)]
        for beat in (0, 1.5, 2, 3.5):
            piano += [note(start + round(beat * QUARTER), pitch, 400, 76) for pitch in chord]
        piano += [note(start + i * 2 * QUARTER, chance.choice(chord) + 12, 900, 88) for i in range(2)]
        guitar += [note(start + i * QUARTER // 2, (chord * 3)[i], 460, 72) for i in range(8)]
        bass += [note(start + i * QUARTER // 2, chord[0] - 24 + 12 * (i % 4 == 3), 220, 90) for i in range(8)]
        drums += [note(start + i * QUARTER // 2, 42, 60, 70) for i in range(8)]
        drums += [note(start + i * QUARTER, (36, 38)[i % 2], 60, 100) for i in range(4)]
    parts = (
        Part("piano", "piano", 0, notes=tuple(sorted(piano))),
        Part("guitar", "guitar", 25, notes=tuple(sorted(guitar))),
        Part("bass", "bass", 33, notes=tuple(sorted(bass))),
        Part("drums", "drums", 0, is_drum=True, notes=tuple(sorted(drums))),
    )
    return Score(parts, (Tempo(0, tempo_qpm),), title="benchmark", bars=bars)


def take_turns(race: Race, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each, ``runs`` times in turn, after one unmeasured turn (imports, file cache)."""
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in race}
    for turn in range(runs + 1):
        for label, action in race.items():
            wall, before = time.perf_counter(), os.times()
            action()
            after = os.times()
            if turn:
                times[label].append((time.perf_counter() - wall, sum(after[:4]) - sum(before[:4])))
    return times


def print_table(times: Mapping[str, list[tuple[float, float]]], seconds: float) -> None:
    """The table in Markdown; ratios are to the first row."""
    print("| | wall s | range | × real time | as long as the first | processor s | × real time |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    first = statistics.median(wall for wall, _ in next(iter(times.values())))
    for label, runs in times.items():
        walls = [wall for wall, _ in runs]
        wall, used = statistics.median(walls), statistics.median(used for _, used in runs)
        span = f"{min(walls):.2f}–{max(walls):.2f}"
        row = f"{wall:.2f} | {span} | {seconds / wall:.0f} | {wall / first:.2f} | {used:.2f} | {seconds / used:.0f}"
        print(f"| {label} | {row} |")


def contestants(path: Path, font: SoundFont, folder: Path, threads: int) -> tuple[dict[str, Callable[[], object]], str]:
    """What takes turns, in order, and what is missing here."""
    score = read_midi(path)
    cache, full = Cache(folder / "empty"), Cache(folder / "full")
    render(score, font, cache=full)
    counter = iter(range(10**6))

    def from_nothing() -> None:
        cache.clear()
        render(score, font, threads=threads, cache=cache)

    def one_changed() -> None:
        bass = next(part for part in score.parts if part.kind == "bass")
        number = next(counter)  # another change each time
        first = replace(bass.notes[0], velocity=1 + number % 127, duration_ticks=300 + number // 127)
        changed = replace(bass, notes=(first, *bass.notes[1:]))
        parts = tuple(changed if part is bass else part for part in score.parts)
        stems = render(replace(score, parts=parts), font, threads=threads, cache=full)
        assert sum(not stem.cached for stem in stems) == 1

    def none_changed() -> list[Stem]:
        stems = render(score, font, threads=threads, cache=full)
        assert all(stem.cached for stem in stems)
        return stems

    race: dict[str, Callable[[], object]] = {
        f"midigen: stems, {threads} threads": from_nothing,
        "midigen: stems, one thread, nothing kept": lambda: render(score, font, threads=1, cache=Cache(None)),
        "midigen: stems again, the bass changed": one_changed,
        "midigen: stems again, nothing changed": none_changed,
    }
    if shutil.which("fluidsynth"):
        alone = [write_midi(score.only(part), folder / f"{n}.mid") for n, part in enumerate(score.parts)]

        def in_turn() -> None:
            for midi in alone:
                fluidsynth(midi, font)

        def side_by_side() -> None:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda midi: fluidsynth(midi, font), alone))

        race["`fluidsynth -F`: stems, one run for each"] = in_turn
        race[f"`fluidsynth -F`: stems, {threads} runs at a time"] = side_by_side
        race["`fluidsynth -F`: the whole song to one file"] = lambda: fluidsynth(path, font)
        missing = ""
    else:
        missing = "(the program fluidsynth is not installed)"

    def pretty_midi_synthesis() -> None:
        import pretty_midi

        pretty_midi.PrettyMIDI(str(path)).fluidsynth(fs=RATE, synthesizer=str(font.path))

    race["`pretty_midi.fluidsynth`: the whole song to one array"] = pretty_midi_synthesis
    return race, missing


def fluidsynth(midi: Path, font: SoundFont) -> None:
    """The program's own way to a file; its reverb and chorus are off (-R, -C), as in midigen's stems."""
    command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-r", str(RATE), "-F", str(midi.with_suffix(".wav"))]
    subprocess.run([*command, str(font.path), str(midi)], check=True, capture_output=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Render to stems in multiples of real time.")
    parser.add_argument("midi", nargs="?", type=Path, help="a .mid file; without it a song of 120 s is written")
    parser.add_argument("--runs", type=int, default=5, help="how often each takes its turn")
    parser.add_argument("--soundfont", help="name or path; without it the best one found")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    font = choose_soundfont(options.soundfont)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "song.mid"
        if options.midi is None:
            write_midi(song(), path)
        else:
            shutil.copyfile(options.midi, path)
        race, missing = contestants(path, font, Path(name), options.threads)
        times = take_turns(race, options.runs)
        score = read_midi(path)
    notes = sum(len(part.notes) for part in score.parts)
    print(f"{score.duration_seconds:.0f} s of music, {len(score.parts)} parts, {notes} notes; {font.name}; ", end="")
    print(f"FluidSynth {library_version()}; {os.cpu_count()} processors; median of {options.runs} runs, taking turns\n")
    print_table(times, score.duration_seconds)
    if missing:
        print(f"\n{missing}")


if __name__ == "__main__":
    main()
