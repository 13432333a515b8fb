"""What of a part is sung: its top line, and where that breathes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from midigen.errors import BadRequest
from midigen.score import Note, Part, Score

_SINGERS = re.compile(
    r"voc|vox|voice|sing|lead|melod|tune|solo|lyric|karaoke|gesang|stimme|chant|voix|canto|voz|soprano|alto|tenor|"
    r"メロディ|ボーカル|歌|旋律|主唱|보컬|вокал|голос|мелод",
    re.IGNORECASE,
)
TOGETHER = 1 / 12  # of a quarter: notes that begin inside this are struck at once
FAR_BELOW = 12  # semitones under the line around it: no melody, but what fills its rests
FEWEST_NOTES = 4


@dataclass(frozen=True)
class Melody:
    """The line of one part: its notes in order, one at a time.

    All arrays are ``(n,)``, a value a note: ``onsets`` and ``ends`` in ticks, ``quarters`` the time to the next onset,
    ``seconds`` the onset in seconds, ``rests`` the quarters of silence before the note (0 before the first), ``bars``
    its bar (from 0), ``beats`` how strong its place in the bar is (1 on the first beat, 0.6 on others, 0.3 on halves of
    beats, 0 elsewhere), ``breaths`` how well a line begins there (0 to 1 and over).
    """

    notes: tuple[Note, ...]
    onsets: np.ndarray
    ends: np.ndarray
    quarters: np.ndarray
    seconds: np.ndarray
    rests: np.ndarray
    bars: np.ndarray
    beats: np.ndarray
    breaths: np.ndarray

    def __len__(self) -> int:
        return len(self.notes)


def top_line(part: Part, ticks_per_quarter: int) -> list[Note]:
    """The highest notes of a part, one at a time: its melody, where it has chords or a second hand as well."""
    near = round(TOGETHER * ticks_per_quarter)
    line: list[Note] = []
    for note in sorted(part.notes, key=lambda note: (note.onset_ticks, -note.pitch)):
        if line and note.onset_ticks - line[-1].onset_ticks <= near:
            if note.pitch > line[-1].pitch:
                line[-1] = note
            continue
        if line and note.pitch < line[-1].pitch:
            # Under a note that still sounds for most of this one, it accompanies.
            shared = min(line[-1].end_ticks, note.end_ticks) - note.onset_ticks
            if 2 * shared > note.duration_ticks:
                continue
        line.append(note)
    if len(line) == len(part.notes) or len(line) < FEWEST_NOTES:
        return line
    pitches = np.array([note.pitch for note in line])
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(pitches, 8, mode="reflect" if len(line) > 8 else "edge"), 17
    )
    kept = pitches > np.median(windows, axis=1) - FAR_BELOW
    return [note for note, stays in zip(line, kept.tolist(), strict=True) if stays]


def melody_of(score: Score, number: int) -> Melody:
    """The melody of part ``number`` (from 0) of a score."""
    part = score.parts[number]
    notes = tuple(top_line(part, score.ticks_per_quarter))
    tpq = score.ticks_per_quarter
    onsets = np.array([note.onset_ticks for note in notes], dtype=np.int64)
    ends = np.array([note.end_ticks for note in notes], dtype=np.int64)
    ends = np.minimum(ends, np.append(onsets[1:], ends[-1:]))
    quarters = (np.append(onsets[1:], ends[-1:]) - onsets) / tpq
    rests = np.maximum(np.append(0, onsets[1:] - ends[:-1]), 0) / tpq
    starts = score.bar_starts()
    bars = np.maximum(np.searchsorted(starts, onsets + tpq // 24, side="right") - 1, 0)
    beats = np.zeros(len(notes))
    lengths = np.zeros(len(notes))
    for place, onset in enumerate(onsets.tolist()):
        metre = score.metre_at(onset)
        beat = 1.5 if metre.denominator == 8 and metre.numerator % 3 == 0 else 4 / metre.denominator
        inside = (onset - int(starts[bars[place]])) / tpq / beat
        lengths[place] = metre.quarters
        for step, strength in ((0.0, 1.0), (1.0, 0.6), (0.5, 0.3)):
            if abs(inside - (round(inside / step) * step if step else 0)) * beat < 1 / 24:
                beats[place] = strength
                break
    marks = np.array([m.tick for m in score.markers] or [-(10**9)], dtype=np.int64)
    # A line begins after a rest or a long note, with a bar or a little before one, and with a section.
    breaths = np.minimum(rests, 1.0)
    usual = float(np.median(quarters)) if len(notes) else 1.0
    before = np.append(0.0, quarters[:-1])
    breaths = np.maximum(breaths, 0.6 * np.clip((before - usual) / max(2 * usual, 0.5), 0, 1))
    fresh = np.append(True, bars[1:] > bars[:-1])
    pickup = np.append(fresh[1:], False) & (quarters <= 1)
    breaths = breaths + np.where(fresh, np.where(bars % 4 == 0, 0.45, np.where(bars % 2 == 0, 0.4, 0.2)), 0)
    breaths = np.maximum(breaths, np.where(pickup & ~fresh, np.minimum(rests, 1) + 0.1, 0))
    if len(notes):
        breaths = breaths + 0.5 * (np.abs(onsets[:, None] - marks[None, :]).min(axis=1) <= tpq // 12)
    return Melody(notes, onsets, ends, quarters, score.seconds(onsets), rests, bars, beats, breaths)


def choose_part(score: Score, wanted: str | None = None, words: int = 0) -> int:
    """The number (from 0) of the part that is sung: the one called ``wanted`` (by name, instrument, or number from 1),
    else the one that is named as a singer is, or has most of a melody, with notes for so many ``words``.
    Raises :class:`BadRequest`."""
    there = ", ".join(f"{part.name} ({part.kind})" for part in score.parts)
    if wanted is not None:
        plain = wanted.strip().casefold()
        fits = [n for n, part in enumerate(score.parts) if part.name.casefold() == plain]
        fits = fits or [n for n, part in enumerate(score.parts) if part.kind == plain]
        fits = fits or (
            [int(plain) - 1] if re.fullmatch("[0-9]{1,4}", plain) and 0 < int(plain) <= len(score.parts) else []
        )
        if not fits:
            raise BadRequest(f"part {wanted!r} is not in this song: there are {there}")
        fits = [n for n in fits if score.parts[n].notes] or fits
        return max(fits, key=lambda n: (_tunefulness(score, score.parts[n], words), -n))
    playing = [n for n, part in enumerate(score.parts) if len(part.notes) >= FEWEST_NOTES and not part.is_drum]
    playing = playing or [n for n, part in enumerate(score.parts) if part.notes and not part.is_drum]
    if not playing:
        raise BadRequest("the song has no part with a melody: words need notes to be sung to")
    return max(playing, key=lambda n: (_tunefulness(score, score.parts[n], words), -n))


def _tunefulness(score: Score, part: Part, words: int) -> float:
    """How much a part is like a melody: its name, one note at a time, in a singer's range, at a singer's pace."""
    if not part.notes or part.is_drum:
        return -10.0
    line = top_line(part, score.ticks_per_quarter)
    table = part.note_table
    pitch = float(np.median([note.pitch for note in line]))
    alone = len(line) / len(table)
    seconds = max(score.duration_seconds, 1.0)
    pace = len(line) / seconds
    points = 1.5 * alone
    points += 1.0 - min(abs(pitch - 67) / 24, 1.5)
    points += 1.0 - min(abs(np.log2(max(pace, 0.05) / 2.0)), 2.0) / 2
    points += 5.0 * bool(_SINGERS.search(part.name)) + 2.0 * (part.program in (52, 53, 54, 85))  # voices
    points += 1.5 * min(len(line) / words, 1.0) if words else 0.0
    points -= 2.0 * (part.kind == "bass")
    steps = np.abs(np.diff([note.pitch for note in line])) if len(line) > 1 else np.zeros(1)
    return points + 0.5 * float((steps <= 4).mean())


def check_melody(melody: Melody, name: str) -> None:
    """Raise :class:`BadRequest` where there is nothing to sing to."""
    if not len(melody):
        raise BadRequest(f"part {name!r} has no notes: choose one that plays")
