"""Small but musical songs for tests: a band that plays a progression in a key, in sections that come back (AABA)."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from midigen.midi import write_midi
from midigen.score import Key, Metre, Note, Part, Score, Tempo

QUARTER = 480
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
# Steps of the scale (0 = tonic), a bar each, for the sections A and B.
PROGRESSIONS = {
    "ballad": ((0, 5, 3, 4), (3, 4, 0, 5)),
    "rock": ((0, 3, 0, 4), (5, 3, 4, 4)),
    "shuffle": ((0, 0, 3, 0), (4, 3, 0, 4)),
}
STYLES = tuple(PROGRESSIONS)


def _grid(style: str, length: int) -> list[int]:
    """Ticks inside a bar at which a melody may begin a note."""
    step = QUARTER // 3 if style == "shuffle" else QUARTER // 4
    return list(range(0, length, step))


def make_song(
    style: str = "ballad",
    *,
    tonic: int = 0,
    mode: str = "major",
    metre: str = "4/4",
    bars: int = 16,
    tempo_qpm: float = 100.0,
    parts: tuple[str, ...] = ("piano", "guitar", "bass", "drums"),
    seed: int = 0,
    human: bool = False,
) -> Score:
    """A song for ``parts``. ``seed`` decides the melody; ``human`` moves onsets by up to 12 ticks and shortens notes.

    Sections of four bars follow the form A A B A; in A, the piano's melody is note for note the same each time.
    """
    dice = random.Random(f"{style} {mode} {metre} {seed}")
    above, below = map(int, metre.split("/"))
    length = above * 4 * QUARTER // below
    scale = SCALES[mode]

    def tone(step: int, low: int) -> int:
        return low + (tonic + scale[step % 7] + 12 * (step // 7)) % 12 + 12 * (step // 7 > 0)

    def melody(root: int) -> list[tuple[int, int, int, int]]:
        """One bar: onset, duration, pitch, velocity."""
        starts = sorted({0, *dice.sample(_grid(style, length)[1:], 5)})
        step = root + dice.choice((0, 2, 4))
        notes = []
        for onset, following in zip(starts, [*starts[1:], length], strict=True):
            notes.append((onset, following - onset, 60 + tonic + scale[step % 7], 72 + dice.randrange(0, 40)))
            step = (step + dice.choice((-3, -2, -1, 1, 2, 3))) % 7
        return notes

    picking = [dice.choice((0, 2, 4, 7)) for _ in range(24)]
    walking = [0, *(dice.choice((0, 2, 4)) for _ in range(11))]
    sections = {
        name: [(root, melody(root)) for root in PROGRESSIONS[style][number]] for number, name in enumerate("AB")
    }
    lines: dict[str, list[tuple[int, int, int, int]]] = {name: [] for name in ("piano", "guitar", "bass", "drums")}
    for bar in range(bars):
        start = bar * length
        root, tune = sections["AABA"[bar // 4 % 4]][bar % 4]
        lines["piano"] += [(start + onset, duration, pitch, velocity) for onset, duration, pitch, velocity in tune]
        lines["piano"] += [(start, length, tone(root + k, 48), 60) for k in (0, 2, 4)]
        step = QUARTER // 2 if style != "shuffle" else QUARTER // 3
        for number, onset in enumerate(range(0, length, step)):
            strum = (0, picking[number] or 4) if style == "rock" else (picking[number],)
            lines["guitar"] += [(start + onset, step, tone(root + k, 48), 80 + 8 * (onset == 0)) for k in strum]
            lines["drums"].append((start + onset, 60, 42, 70))
        for number, onset in enumerate(range(0, length, QUARTER)):
            lines["bass"].append((start + onset, QUARTER, tone(root + walking[number], 36), 95))
            lines["drums"].append((start + onset, 60, 38 if number % 2 else 36, 100))
    programs = {"piano": 0, "guitar": 25, "bass": 33, "drums": 0}
    band = []
    for kind in parts:
        played = lines[kind]
        if human:
            played = [
                (max(o + dice.randint(-12, 12), 0), max(d - dice.randint(0, 20), 30), p, v + dice.randint(-4, 4))
                for o, d, p, v in played
            ]
        notes = tuple(sorted({(o, p): Note(o, p, d, v) for o, d, p, v in played}.values()))
        band.append(Part(kind, kind, programs[kind], is_drum=kind == "drums", notes=notes))
    return Score(
        tuple(band),
        tempos=(Tempo(0, tempo_qpm),),
        metres=(Metre(0, above, below),),
        keys=(Key(0, tonic, mode),),
        title=f"{style} {seed}",
    )


def transposed(score: Score, semitones: int) -> Score:
    """Every pitch but the drums' moved."""
    parts = []
    for part in score.parts:
        notes = part.notes if part.is_drum else tuple(replace(n, pitch=n.pitch + semitones) for n in part.notes)
        parts.append(replace(part, notes=notes))
    return replace(score, parts=tuple(parts))


def delayed(score: Score, ticks: int) -> Score:
    """Every note later, the bar lines where they were."""
    return replace(
        score,
        parts=tuple(
            replace(p, notes=tuple(replace(n, onset_ticks=n.onset_ticks + ticks) for n in p.notes)) for p in score.parts
        ),
    )


def small_corpus(base: Path) -> Path:
    """A corpus of 18 short songs, prepared once in ``base`` (the whole session's folder); not to be written to."""
    from midigen.corpus import prepare

    output = base / "small-corpus"
    if not (output / "corpus.json").exists():
        write_songs(base / "small-songs", 18)
        prepare([base / "small-songs"], output, validation_share=0.2, jobs=1)
    return output


def write_songs(folder: Path, count: int, *, bars: int = 16, first_seed: int = 0) -> list[Path]:
    """``count`` different songs in several styles, keys and metres as ``.mid`` files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        seed = first_seed + number
        song = make_song(
            STYLES[seed % 3],
            tonic=seed * 5 % 12,
            mode=("major", "minor")[seed % 2],
            metre=("4/4", "4/4", "3/4", "6/8")[seed % 4],
            bars=bars,
            tempo_qpm=80.0 + 7 * (seed % 9),
            parts=("piano", "guitar", "bass", "drums") if seed % 3 else ("piano", "guitar"),
            seed=seed,
            human=seed % 2 == 1,
        )
        paths.append(write_midi(song, folder / f"song-{seed:03d}.mid"))
    return paths
