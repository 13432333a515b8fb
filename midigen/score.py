"""The score: notes in ticks, with everything a musician needs kept, and the map from ticks to seconds and bars."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from midigen.errors import BadFile, BadRequest
from midigen.instruments import OTHER

LONGEST_TICKS = 2**31 - 1  # what a tick may be in a file; none of music comes near
MOST_BARS = 20_000  # of a score whose bars are counted: more than ten hours of music
TICKS_PER_QUARTER = 480  # what midigen writes; divisible by 12, so the model's grid falls on whole ticks


def _check(value: int, low: int, high: int, what: str) -> None:
    if not low <= value <= high:
        raise BadRequest(f"{what} {value} is outside {low}..{high}")


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """``onset_ticks`` from 0, ``duration_ticks`` from 0, ``pitch`` 0..127, ``velocity`` 1..127."""

    onset_ticks: int
    pitch: int
    duration_ticks: int
    velocity: int

    def __post_init__(self) -> None:
        if not (0 <= self.pitch <= 127 and 1 <= self.velocity <= 127 and self.onset_ticks >= 0 <= self.duration_ticks):
            _check(self.pitch, 0, 127, "pitch")
            _check(self.velocity, 1, 127, "velocity")
            raise BadRequest(f"a note at tick {self.onset_ticks} lasting {self.duration_ticks}: both must be 0 or more")

    @property
    def end_ticks(self) -> int:
        return self.onset_ticks + self.duration_ticks


@dataclass(frozen=True, slots=True, order=True)
class Control:
    """A controller change: ``number`` 0..127, ``value`` 0..127."""

    tick: int
    number: int
    value: int


@dataclass(frozen=True, slots=True, order=True)
class Bend:
    """A pitch bend: ``value`` -8192..8191, 0 at rest."""

    tick: int
    value: int


@dataclass(frozen=True, slots=True, order=True)
class Tempo:
    """``qpm``: quarter notes a minute, above 0."""

    tick: int
    qpm: float

    def __post_init__(self) -> None:
        if not self.qpm > 0:
            raise BadRequest(f"tempo {self.qpm} is not above 0 quarters a minute")


@dataclass(frozen=True, slots=True, order=True)
class Metre:
    """A time signature: ``numerator``/``denominator``."""

    tick: int
    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        _check(self.numerator, 1, 255, "metre numerator")
        if self.denominator not in (1, 2, 4, 8, 16, 32, 64):
            raise BadRequest(f"metre {self.numerator}/{self.denominator}: the denominator must be a power of two to 64")

    @property
    def quarters(self) -> float:
        """The length of a bar in quarter notes."""
        return self.numerator * 4 / self.denominator

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A key signature: ``tonic`` pitch class 0..11 (C = 0), ``mode`` ``"major"`` or ``"minor"``."""

    tick: int
    tonic: int
    mode: str

    def __post_init__(self) -> None:
        _check(self.tonic, 0, 11, "tonic")
        if self.mode not in ("major", "minor"):
            raise BadRequest(f"mode {self.mode!r}: choose major or minor")

    def __str__(self) -> str:
        return f"{KEY_NAMES[self.mode][self.tonic]} {self.mode}"


# The spelling that has fewer accidentals; ties as most scores print them.
KEY_NAMES = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}


@dataclass(frozen=True, slots=True, order=True)
class Text:
    """A word at a place: a lyric, a marker (a section's name), or a chord symbol."""

    tick: int
    text: str


@dataclass(frozen=True)
class Part:
    """One instrument's music.

    ``kind`` is a row of :mod:`midigen.instruments` or ``"other"``; ``program`` (0..127) and ``bank`` choose the sound.
    Notes, controls and bends are sorted by time. ``lyrics`` are what is sung to the part, as its track in a MIDI file
    says it: see :mod:`midigen.syllables`.
    """

    name: str
    kind: str = OTHER
    program: int = 0
    is_drum: bool = False
    bank: int = 0
    notes: tuple[Note, ...] = ()
    controls: tuple[Control, ...] = ()
    bends: tuple[Bend, ...] = ()
    lyrics: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        _check(self.program, 0, 127, "program")

    @cached_property
    def note_table(self) -> np.ndarray:
        """``(n, 4)`` int64: onset ticks, duration ticks, pitch, velocity; in order of onset, then pitch."""
        rows = [(n.onset_ticks, n.duration_ticks, n.pitch, n.velocity) for n in self.notes]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    @property
    def end_ticks(self) -> int:
        return max((n.end_ticks for n in self.notes), default=0)


@dataclass(frozen=True)
class Score:
    """A piece: parts over one map of tempo, metre and key.

    Ticks are counted from 0 with ``ticks_per_quarter`` to a quarter note. ``lyrics`` are those that belong to no part
    (of a track without notes, or of several parts). Where a map is empty at tick 0 the MIDI
    standard's values hold: 120 quarters a minute and 4/4.
    """

    parts: tuple[Part, ...]
    tempos: tuple[Tempo, ...] = (Tempo(0, 120.0),)
    metres: tuple[Metre, ...] = (Metre(0, 4, 4),)
    keys: tuple[Key, ...] = ()
    markers: tuple[Text, ...] = ()
    chords: tuple[Text, ...] = ()
    lyrics: tuple[Text, ...] = ()
    title: str = ""
    ticks_per_quarter: int = TICKS_PER_QUARTER
    bars: int | None = field(default=None)  # the length in bars where it is known; else it follows from the notes

    def __post_init__(self) -> None:
        if self.ticks_per_quarter < 1:
            raise BadRequest(f"ticks per quarter {self.ticks_per_quarter}: must be 1 or more")
        if not self.tempos or self.tempos[0].tick > 0:
            object.__setattr__(self, "tempos", (Tempo(0, 120.0), *self.tempos))
        if not self.metres or self.metres[0].tick > 0:
            object.__setattr__(self, "metres", (Metre(0, 4, 4), *self.metres))

    @property
    def end_ticks(self) -> int:
        """The end of the last note, or of the last bar where the length in bars is known."""
        last = max((part.end_ticks for part in self.parts), default=0)
        return max(last, int(self.bar_starts(self.bars + 1)[-1])) if self.bars else last

    def seconds(self, ticks: np.ndarray | int) -> np.ndarray:
        """Times in seconds of ``ticks`` (any shape), through the tempo map; float64 of the same shape."""
        starts = np.array([t.tick for t in self.tempos], dtype=np.float64)
        per_tick = 60.0 / (np.array([t.qpm for t in self.tempos]) * self.ticks_per_quarter)
        at_start = np.concatenate([[0.0], np.cumsum(np.diff(starts) * per_tick[:-1])])
        ticks = np.asarray(ticks, dtype=np.float64)
        index = np.clip(np.searchsorted(starts, ticks, side="right") - 1, 0, None)
        return np.asarray(at_start[index] + (ticks - starts[index]) * per_tick[index])

    def ticks(self, seconds: np.ndarray | float) -> np.ndarray:
        """The inverse of :meth:`seconds`, rounded to whole ticks (int64)."""
        starts = np.array([t.tick for t in self.tempos], dtype=np.float64)
        per_tick = 60.0 / (np.array([t.qpm for t in self.tempos]) * self.ticks_per_quarter)
        at_start = np.concatenate([[0.0], np.cumsum(np.diff(starts) * per_tick[:-1])])
        seconds = np.asarray(seconds, dtype=np.float64)
        index = np.clip(np.searchsorted(at_start, seconds, side="right") - 1, 0, None)
        return np.rint(starts[index] + (seconds - at_start[index]) / per_tick[index]).astype(np.int64)

    @property
    def duration_seconds(self) -> float:
        return float(self.seconds(self.end_ticks))

    def bar_starts(self, count: int | None = None) -> np.ndarray:
        """Ticks at which bars start, ``(count,)`` int64; without ``count``, one beyond the bar of the last note's end.

        A metre change inside a bar cuts that bar short, as notation programs do. Raises :class:`BadFile` where there
        are more than ``MOST_BARS``.
        """
        stop = max(self.end_ticks, 1) if count is None else None
        starts: list[int] = []
        for i, metre in enumerate(self.metres):
            until = self.metres[i + 1].tick if i + 1 < len(self.metres) else None
            length = metre.quarters * self.ticks_per_quarter
            number = 0
            while True:
                tick = metre.tick + round(number * length)
                if until is not None and tick >= until:
                    break
                starts.append(tick)
                if count is None and len(starts) > MOST_BARS + 1:
                    raise BadFile(f"{self.title or 'the score'}: more than {MOST_BARS:,} bars; give a song")
                if (count is not None and len(starts) >= count) or (stop is not None and tick >= stop):
                    return np.array(starts, dtype=np.int64)
                number += 1
        raise AssertionError("the last metre has no end")  # the loop above returns

    def metre_at(self, tick: int) -> Metre:
        return self.metres[bisect_right(self.metres, tick, key=lambda metre: metre.tick) - 1]

    def only(self, part: Part) -> Score:
        """The same piece with one part: what a renderer is given."""
        return replace(self, parts=(part,))


SUSTAIN_PEDAL = 64  # the controller's number (MIDI 1.0, table of control changes); values from 64 are "down"


def sustained_ends(part: Part) -> np.ndarray:
    """The ticks at which the notes stop sounding, ``(n,)`` int64, in the order of ``part.note_table``.

    A note let go while the sustain pedal is down sounds until the pedal comes up, or until its pitch is struck again;
    under a pedal that never comes up, until the last note of the part is let go. A note never gets shorter.
    """
    table = part.note_table
    onsets, ends, pitches = table[:, 0], table[:, 0] + table[:, 1], table[:, 2]
    pedal = [(c.tick, c.value >= 64) for c in part.controls if c.number == SUSTAIN_PEDAL]
    if not len(table) or not any(down for _, down in pedal):
        return ends
    ticks = np.array([tick for tick, _ in pedal], dtype=np.int64)
    down = np.array([is_down for _, is_down in pedal], dtype=bool)
    # Strictly before the end: of a key and the pedal moving at one tick, the key goes first. A pedal that comes up at
    # that tick therefore gives back the same end, which makes the function idempotent.
    last = np.searchsorted(ticks, ends, side="left") - 1
    held = (last >= 0) & down[np.maximum(last, 0)]
    releases = np.append(ticks[~down], ends.max())
    release = releases[np.searchsorted(ticks[~down], ends, side="left")]
    key = pitches * 2**40 + onsets  # one number orders by pitch, then onset
    line = np.append(np.sort(key), 2**60)
    again = line[np.searchsorted(line, key, side="right")] - pitches * 2**40  # beyond any tick for a pitch's last note
    return np.where(held, np.maximum(ends, np.minimum(release, again)), ends)


def sustained(part: Part) -> Part:
    """The part with its notes as long as they sound under the sustain pedal: see :func:`sustained_ends`.

    The pedal's controls stay, since playing them again changes nothing.
    """
    ends = sustained_ends(part)
    table = part.note_table
    if np.array_equal(ends, table[:, 0] + table[:, 1]):
        return part
    notes = (
        replace(note, duration_ticks=end - note.onset_ticks)
        for note, end in zip(part.notes, ends.tolist(), strict=True)
    )
    return replace(part, notes=tuple(sorted(notes)))


def parse_key(text: str) -> tuple[int, str]:
    """``"A minor"``, ``"Am"``, ``"F#"``, ``"Bb major"`` to ``(tonic, mode)``. Raises :class:`BadRequest`."""
    words = text.strip().replace("♯", "#").replace("♭", "b")
    name, _, mode = words.partition(" ")
    mode = mode.strip().lower()
    if not mode and len(name) > 1 and name.endswith("m"):
        name, mode = name[:-1], "minor"
    mode = {"": "major", "maj": "major", "min": "minor", "m": "minor", "moll": "minor", "dur": "major"}.get(mode, mode)
    letters = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    accidentals = name[1:]
    known = name[:1].upper() in letters and accidentals in ("", "#", "b") and mode in ("major", "minor")
    if not known:
        raise BadRequest(f"key {text!r}: write a note and a mode, such as 'C major', 'A minor', 'F# minor' or 'Bb'")
    shift = {"": 0, "#": 1, "b": -1}[accidentals]
    return (letters[name[0].upper()] + shift) % 12, mode


def parse_metre(text: str) -> tuple[int, int]:
    """``"4/4"`` to ``(4, 4)``. Raises :class:`BadRequest`."""
    above, _, below = text.partition("/")
    if not (text.isascii() and above.isdigit() and below.isdigit()):
        raise BadRequest(f"metre {text!r}: write it as 4/4, 3/4, 2/4 or 6/8")
    metre = Metre(0, int(above), int(below))
    return metre.numerator, metre.denominator


def file_name(name: str) -> str:
    """A part's name as the name of a file, on any system."""
    return re.sub(r'[\x00-\x1f/\\:*?"<>|]+', "-", name).strip(" .")[:60] or "part"


def named_apart(score: Score) -> Score:
    """The score with a name of its own for each part, as its stem's file needs one."""
    parts: list[Part] = []
    taken: set[str] = set()
    for part in score.parts:
        name = first = file_name(part.name)
        again = 1
        while name.casefold() in taken:  # some file systems do not tell "Bass" from "bass"
            again += 1
            name = f"{first} {again}"
        taken.add(name.casefold())
        parts.append(replace(part, name=name))
    return replace(score, parts=tuple(parts))
