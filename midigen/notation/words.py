"""What is said beside the notes: where in which bar chords, sections, tempos and syllables stand."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from midigen.charts.symbols import Misread, read_symbol
from midigen.notation.quantising import Strike
from midigen.notation.rhythm import UNITS, Measure
from midigen.notation.sheet import Lyric, Placed
from midigen.score import Part, Score
from midigen.syllables import syllabics, syllables_of

SAME_TEMPO = 0.02  # what a tempo must change by, as a share, to be written anew


def with_singer(score: Score) -> Score:
    """The score with lyrics of no part given to the part that has a note under most of them."""
    if not score.lyrics or any(part.lyrics for part in score.parts):
        return score
    ticks = {text.tick for text in score.lyrics}

    def fit(part: Part) -> float:
        onsets = set(part.note_table[:, 0].tolist()) if not part.is_drum else set()
        return len(ticks & onsets) - 0.01 * len(onsets)

    singer = max(range(len(score.parts)), key=lambda number: (fit(score.parts[number]), -number))
    parts = list(score.parts)
    if len(ticks & set(parts[singer].note_table[:, 0].tolist())) >= len(ticks) / 2:
        parts[singer] = replace(parts[singer], lyrics=score.lyrics)
    return replace(score, parts=tuple(parts))


def lyrics_under(part: Part, strikes: Sequence[Strike], ticks_per_quarter: int) -> dict[int, Lyric]:
    """The syllables of ``part`` by the onset (units) of the note that each is sung on."""
    syllables = syllables_of(part.lyrics)
    if not syllables or not strikes:
        return {}
    onset_of = {strike.tick: strike.onset for strike in strikes}
    ticks = sorted(onset_of)
    found: dict[int, tuple[str, str]] = {}
    for syllable, syllabic in zip(syllables, syllabics(syllables), strict=True):
        after = bisect_left(ticks, syllable.tick)
        near = min(ticks[max(after - 1, 0) : after + 1], key=lambda tick: abs(tick - syllable.tick))
        if abs(near - syllable.tick) > ticks_per_quarter / 4:  # sung over a note that is held, or over none
            continue
        found.setdefault(onset_of[near], (syllable.text, syllabic))
    onsets, last = sorted(set(onset_of.values())), max(found, default=0)
    ends = {onset: max(strike.end for strike in strikes if strike.onset == onset) for onset in found}
    lyrics: dict[int, Lyric] = {}
    for onset, (text, syllabic) in found.items():
        following = bisect_right(onsets, onset)
        goes_on = onset < last and onsets[following] not in found
        # A syllable is held over the next note where that comes at once, and a word's end shows it with a line.
        held = goes_on and onsets[following] - ends[onset] < UNITS / 4 and syllabic in ("single", "end")
        lyrics[onset] = Lyric(text, syllabic, held)
    return lyrics


def place_of(tick: int, score: Score, measures: Sequence[Measure], *, to_bar: bool = False) -> tuple[int, int]:
    """The number of a measure and the nearest beat in it; with ``to_bar`` the beginning of the nearest bar."""
    where = tick * UNITS / score.ticks_per_quarter
    number = max(bisect_right(measures, where + UNITS / 4, key=lambda measure: measure.start) - 1, 0)
    measure = measures[number]
    if to_bar:
        later = number + 1 < len(measures) and where - measure.start > measure.length / 2
        return (number + 2, 0) if later else (number + 1, 0)
    beats = measure.beats[:-1] if where < measure.start + measure.length - UNITS / 4 else measure.beats[:1]
    place = min(beats, key=lambda beat: abs(measure.start + beat - where))
    return number + 1, place


def chords_over(score: Score, measures: Sequence[Measure]) -> tuple[Placed, ...]:
    """The chord symbols that can be read, on the beats of ``measures``; the last one said at a beat."""
    by_place: dict[tuple[int, int], Placed] = {}
    for text in score.chords:
        symbol = read_symbol(text.text)
        if not isinstance(symbol, Misread):
            place = place_of(text.tick, score, measures)
            by_place[place] = Placed(*place, text.text, symbol)
    return tuple(by_place[place] for place in sorted(by_place))


def tempos_over(score: Score, measures: Sequence[Measure]) -> tuple[tuple[int, int, float, bool], ...]:
    """The tempos as measure (from 1), place (units), quarters a minute, and whether a reader is told."""
    scale = UNITS / score.ticks_per_quarter
    starts = [measure.start for measure in measures]
    by_place: dict[tuple[int, int], float] = {}
    for tempo in score.tempos:
        number = max(bisect_right(starts, tempo.tick * scale + 0.5) - 1, 0)
        place = min(round(tempo.tick * scale) - starts[number], measures[number].length - 1)
        by_place[number + 1, max(place, 0)] = tempo.qpm
    last = dict(sorted(by_place))  # the last place of each measure
    shown: float | None = None
    found = []
    for (number, place), qpm in sorted(by_place.items()):
        # A tempo that follows a player beat by beat is for playing; a reader is told what stays for a bar or more.
        lasts = last[number] == place
        tell = shown is None or (lasts and place == 0 and abs(qpm - shown) > SAME_TEMPO * shown)
        shown = qpm if tell else shown
        found.append((number, place, qpm, tell))
    return tuple(found)
