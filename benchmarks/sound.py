"""Rendering and mixing in multiples of real time, beside the two usual ways from MIDI to sound.

    python benchmarks/sound.py [SONG.mid] [--runs 3] [--soundfont NAME|PATH]

All of them play the same file with the same SoundFont, taking turns in one run, and the table gives the median of
the runs and their range: wall time, and the processor time of the process and its children. Without a file a song
of 120 seconds for piano, guitar, bass and drums is written first.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from midigen.audio import write_wav
from midigen.midi import read_midi, write_midi
from midigen.mixing import mix
from midigen.renderers import Stem, render
from midigen.renderers.fluidsynth import library_version
from midigen.score import Note, Part, Score, Tempo
from midigen.soundfonts import SoundFont, choose_soundfont

QUARTER = 480
BAR = 4 * QUARTER
CHORDS = ((57, 60, 64), (53, 57, 60), (55, 60, 64), (55, 59, 62))  # A minor, F, C, G: the commonest loop there is


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


def measured(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall and on the processor, children included."""
    wall, before = time.perf_counter(), os.times()
    action()
    after = os.times()
    return time.perf_counter() - wall, sum(after[:4]) - sum(before[:4])


def contestants(
    score: Score, path: Path, font: SoundFont, folder: Path
) -> tuple[dict[str, Callable[[], object]], list[str]]:
    """What takes turns, in order, and what is missing here."""
    stems: list[Stem] = []

    def render_with(threads: int | None) -> None:
        stems[:] = render(score, font, threads=threads)

    def fluidsynth_program() -> None:
        # its reverb and chorus off (-R, -C), as in the stems
        command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-r", "44100", "-F", str(folder / "f.wav")]
        subprocess.run([*command, str(font.path), str(path)], check=True, capture_output=True)

    def pretty_midi_synthesis() -> None:
        import pretty_midi

        pretty_midi.PrettyMIDI(str(path)).fluidsynth(fs=44_100, synthesizer=str(font.path))

    races: dict[str, Callable[[], object]] = {
        "midigen: render to stems": lambda: render_with(None),
        "midigen: render to stems, one thread": lambda: render_with(1),
        "midigen: mix the stems": lambda: mix(stems),
        "midigen: write stems and mix as 24-bit WAV": lambda: [
            write_wav(stem.audio, folder / f"{number}.wav") for number, stem in enumerate([*stems, mix_of(stems)])
        ],
    }
    missing = []
    if shutil.which("fluidsynth"):
        races["`fluidsynth -F` to one file"] = fluidsynth_program
    else:
        missing.append("the program fluidsynth is not installed")
    races["`pretty_midi.fluidsynth` to one array"] = pretty_midi_synthesis
    return races, missing


def mix_of(stems: list[Stem]) -> Stem:
    """A stand-in as long as the mix, so that writing is measured without mixing."""
    return Stem("mix", "other", stems[0].audio)


def main() -> None:
    parser = argparse.ArgumentParser(description="Render and mix in multiples of real time.")
    parser.add_argument("midi", nargs="?", type=Path, help="a .mid file; without it a song of 120 s is written")
    parser.add_argument("--runs", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--soundfont", help="name or path; without it the best one found")
    options = parser.parse_args()
    font = choose_soundfont(options.soundfont)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = options.midi or write_midi(song(), folder / "song.mid")
        score = read_midi(path)
        races, missing = contestants(score, path, font, folder)
        for action in races.values():  # once unmeasured: imports, and the font in the file cache
            action()
        times: dict[str, list[tuple[float, float]]] = {label: [] for label in races}
        for _ in range(options.runs):
            for label, action in races.items():
                times[label].append(measured(action))
    seconds = score.duration_seconds
    notes = sum(len(part.notes) for part in score.parts)
    print(f"{seconds:.0f} s of music, {len(score.parts)} parts, {notes} notes; {font.name}; FluidSynth", end=" ")
    print(f"{library_version()}; {os.cpu_count()} processors; median of {options.runs} runs, taking turns\n")
    print("| | wall s | range | × real time | processor s | × real time |\n|---|--:|--:|--:|--:|--:|")
    for label, runs in times.items():
        walls = [wall for wall, _ in runs]
        wall, processor = statistics.median(walls), statistics.median(used for _, used in runs)
        span = f"{min(walls):.2f}–{max(walls):.2f}"
        print(f"| {label} | {wall:.2f} | {span} | {seconds / wall:.0f} | {processor:.2f} | {seconds / processor:.0f} |")
    for line in missing:
        print(f"\n({line})")


if __name__ == "__main__":
    main()
