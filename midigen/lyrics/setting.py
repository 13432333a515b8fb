"""Words set to a melody: which phrase sings which line, and which note which syllable.

Two searches by dynamic programming. The outer gives each line a run of notes: a run begins where the melody breathes,
has at least a note a syllable and not many more, and no more haste than a tongue allows; notes between runs are left
alone. The inner puts the syllables of a line on notes of its run: on those that are long, strong in the bar, after a
rest or of a new pitch stroke; the notes between carry the syllable before on (a melisma).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen.lyrics.melody import Melody
from midigen.lyrics.sheet import Line, Section, Sheet
from midigen.score import Score
from midigen.syllables import LINE, SECTION, Syllable

GROUP = 48  # lines that are placed together
HELD = 0.22  # cost of a note more than there are syllables
LEFT = 0.3  # of a note left alone between two lines
WEAK = 2.2  # of a line that begins where nothing breathes
ACROSS = 1.2  # of a breath inside a line, a quarter of rest or more
QUICKEST = 0.17  # seconds a syllable; faster is a tongue twister
NO_BAR = 50.0  # of a line whose marks wait for more bars than it has
MOST_MORE = 24  # notes of a run beyond its syllables


@dataclass(frozen=True)
class Setting:
    """Words on a melody: the syllables with their ticks, what did not fit, and how many notes were left at the end.

    ``extents`` has for each syllable the tick at which its last note ends.
    """

    syllables: tuple[Syllable, ...]
    extents: tuple[int, ...]
    remarks: tuple[str, ...]
    notes_left: int


def set_words(sheet: Sheet, melody: Melody, score: Score) -> Setting:
    """The words of ``sheet`` on ``melody``, a line of ``score``.

    A section whose name is that of a marker begins there (one that comes again, at the next of the name); others follow
    each other. Where notes run out, what is left over is said in the remarks: no line is bent to make room.
    """
    found: list[Syllable] = []
    extents: list[int] = []
    remarks: list[str] = []
    begins = _homes(sheet, melody, score)
    place = 0
    for first, last, start in _blocks(begins, sheet):
        stop = next((at for at in begins[last:] if at is not None), len(melody))
        place = max(place, start)
        lines = [(section, line) for section in sheet.sections[first:last] for line in section.lines]
        runs, stuck = _runs(lines, melody, place, stop)
        for number, ((section, line), run) in enumerate(zip(lines, runs, strict=False)):
            last = number + 1 == len(runs) or lines[number + 1][0] is not section
            ends = SECTION if last else LINE
            said, until, missing = _set_line(line, melody, run, ends)
            found += said
            extents += until
            if missing:
                remarks.append(f"line {line.number} ({_short(line)}): {missing}")
            place = run[1]
        remarks += _left_over([line for _, line in lines[len(runs) :]], stuck, section=sheet.sections[first].name)
        place = max(place, start)
    left = len(melody) - place
    if left and found:
        bar = int(melody.bars[place]) + 1
        remarks.append(f"{left} note{'s' if left > 1 else ''} without words after the last line, from bar {bar}")
    return Setting(tuple(found), tuple(extents), tuple(remarks), left)


def _homes(sheet: Sheet, melody: Melody, score: Score) -> list[int | None]:
    """For each section the note it is to begin with, where a marker says so."""
    marks = [(_plain(m.text), m.tick) for m in score.markers]
    near = score.ticks_per_quarter // 12
    used: dict[str, int] = {}
    homes: list[int | None] = []
    latest = -1
    for section in sheet.sections:
        name = _plain(section.name)
        ticks = [tick for text, tick in marks if text == name] if name else []
        number = used.get(name, 0)
        used[name] = number + 1
        home = None
        if number < len(ticks):
            # A pickup of up to a quarter sings with the bar that follows.
            home = int(np.searchsorted(melody.onsets, ticks[number] - near))
            if home <= latest or home >= len(melody):
                home = None
            else:
                latest = home
        homes.append(home)
    return homes


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _blocks(begins: Sequence[int | None], sheet: Sheet) -> list[tuple[int, int, int]]:
    """Sections that follow each other, up to the next that has a home: first, last (not included), and their note."""
    blocks: list[tuple[int, int, int]] = []
    for number, home in enumerate(begins):
        if home is not None or not blocks:
            blocks.append((number, number + 1, home or 0))
        else:
            blocks[-1] = (blocks[-1][0], number + 1, blocks[-1][2])
    return blocks


Run = tuple[int, int]


def _runs(lines: Sequence[tuple[Section, Line]], melody: Melody, start: int, stop: int) -> tuple[list[Run], int]:
    """A run of notes (first, and the one after the last) for as many lines as there are notes for; and how many notes
    were there for the next one."""
    runs: list[Run] = []
    at = start
    while len(runs) < len(lines) and at < stop:
        group = lines[len(runs) : len(runs) + GROUP]
        placed = _place(group, melody, at, min(stop, at + 64 + 6 * sum(line.notes for _, line in group)))
        if not placed:
            # Not one whole line fits: as much of it as there are notes.
            return [*runs, (at, stop)], 0
        runs += placed
        at = placed[-1][1]
        if len(placed) < len(group):
            if at < stop:
                runs.append((at, stop))
            return runs, stop - at
    return runs, max(stop - at, 0)


def _place(lines: Sequence[tuple[Section, Line]], melody: Melody, start: int, stop: int) -> list[Run]:
    """The best runs for as many of ``lines``, from the first on, as fit between two notes."""
    count = stop - start
    breaths = np.clip(melody.breaths[start:stop], 0, 1.4)
    begin_cost = WEAK * np.maximum(1.0 - np.append(breaths, 1.2), 0)  # a run may end where the melody does
    begin_cost[0] = min(begin_cost[0], 0.4)
    rests = np.minimum(melody.rests[start:stop], 2.0)
    across = np.append(0, np.cumsum(ACROSS * np.where(rests >= 0.9, rests, 0)))
    seconds = melody.seconds[start:stop]
    last = seconds[-1] + float(melody.quarters[stop - 1]) * 0.5 if count else 0.0
    seconds = np.append(seconds, melody.seconds[stop] if stop < len(melody) else last)
    bars = melody.bars[start:stop]
    best = np.full(count + 1, np.inf)
    best[0] = 0.0
    chosen: list[tuple[np.ndarray, np.ndarray]] = []
    ends: list[np.ndarray] = []
    for section, line in lines:
        # Notes left alone before the line: the cheapest end of the line before it, for every note it may begin with.
        slope = LEFT * np.arange(count + 1)
        lowest = np.minimum.accumulate(best - slope)
        came = np.maximum.accumulate(np.where(best - slope <= lowest, np.arange(count + 1), 0))
        ready = lowest + slope + begin_cost * (1.5 if line is section.lines[0] else 1.0)
        following = np.full(count + 1, np.inf)
        lengths = np.zeros(count + 1, dtype=np.int64)
        need = line.notes
        shortest = _shortest(line, bars) if any(syllable.new_bar for syllable in line.syllables[1:]) else None
        for length in range(need, min(need + max(MOST_MORE, need), count) + 1):
            a = np.arange(0, count - length + 1)  # where a run may begin
            b = a + length
            hurry = np.maximum(QUICKEST - (seconds[b] - seconds[a]) / need, 0) / QUICKEST
            cost = ready[a] + HELD * (length - need) + (across[b] - across[np.minimum(a + 1, count)]) + 8.0 * hurry
            if shortest is not None:
                cost = cost + NO_BAR * (shortest[a] > length)
            better = cost < following[b]
            following[b] = np.where(better, cost, following[b])
            lengths[b] = np.where(better, length, lengths[b])
        if not np.isfinite(following).any():
            break
        chosen.append((lengths, came))
        ends.append(following)
        best = following
    runs: list[Run] = []
    if not ends:
        return runs
    # After the last line a breath is as good as an end; where more are waiting, the sooner the better.
    fits = len(ends) == len(lines)
    until = int(np.argmin(ends[-1] + (0.5 * begin_cost if fits else np.arange(count + 1))))
    for lengths, came in reversed(chosen):
        first = until - int(lengths[until])
        runs.append((start + first, start + until))
        until = int(came[first])
    return runs[::-1]


def _shortest(line: Line, bars: np.ndarray) -> np.ndarray:
    """For each note of a stretch, how many a line that begins there needs at least, its bar marks kept."""
    following = np.searchsorted(bars, bars, side="right")  # the first note of the next bar
    shortest = np.full(len(bars), 2 * len(bars) + 1)
    for first in range(len(bars)):
        place = before = first
        for number, syllable in enumerate(line.syllables):
            if number and syllable.new_bar:
                place = max(place, int(following[before]))
            if place >= len(bars):
                break
            before = place
            place += 1 + syllable.holds
        else:
            shortest[first] = place - first
    return shortest


def _set_line(line: Line, melody: Melody, run: Run, ends: str) -> tuple[list[Syllable], list[int], str]:
    """A line on the notes of its run: syllables, the ticks at which they end, and what is missing, in words."""
    syllables = list(line.syllables)
    first, last = run
    room = last - first
    kept = 0
    notes = 0
    while kept < len(syllables) and notes + 1 + syllables[kept].holds <= room:
        notes += 1 + syllables[kept].holds
        kept += 1
    missing = ""
    if kept < len(syllables):
        left, whole = len(syllables) - kept, len(syllables)
        missing = f"{left} of its {whole} syllable{'s' if whole > 1 else ''} found no note"
        syllables = syllables[:kept]
    places = _places(line, kept, melody, run, bars=True)
    if places is None:
        places = _places(line, kept, melody, run, bars=False)
        missing = missing or "a | found no bar line in its phrase"
    assert places is not None
    if not places:
        return [], [], missing
    found, until = [], []
    sung = [(syllable, place) for syllable, place in zip(syllables, places, strict=True) if syllable.text]
    borders = [*places[1:], last]
    after = dict(zip(places, borders, strict=True))
    for number, (syllable, place) in enumerate(sung):
        end = number == len(sung) - 1
        tick = int(melody.onsets[place])
        found.append(Syllable(tick, syllable.text, syllable.joins and not end, ends if end else ""))
        until.append(int(melody.ends[max(after[place] - 1, place)]))
    return found, until, missing


def _places(line: Line, count: int, melody: Melody, run: Run, *, bars: bool) -> list[int] | None:
    """The notes of the first ``count`` syllables of a line; ``None`` where its bar marks cannot be kept."""
    first, last = run
    room = last - first
    syllables = line.syllables[:count]
    if not syllables:
        return []
    pitches = np.array([note.pitch for note in melody.notes[first:last]])
    onsets = np.append(melody.onsets[first : last + 1], melody.ends[-1:])[: room + 1]
    lengths = melody.ends[first:last] - melody.onsets[first:last]
    again = np.append(False, pitches[1:] == pitches[:-1])
    sounding = melody.quarters[first:last] * lengths / np.maximum(np.diff(onsets), 1)  # quarters
    worth = (
        np.sqrt(np.minimum(sounding, 4.0))
        + 0.7 * melody.beats[first:last]
        + 1.5 * np.minimum(melody.rests[first:last], 1.0)
        + 0.4 * again
    )
    bar_of = np.searchsorted(melody.bars[first:last], melody.bars[first:last])  # the first note of the same bar
    beats = melody.beats[first:last]
    tail = [0] * count  # the notes that the syllables from here on need
    for number in range(count - 1, -1, -1):
        tail[number] = 1 + syllables[number].holds + (tail[number + 1] if number + 1 < count else 0)
    best = np.full(room, -np.inf)
    best[0] = worth[0]
    came: list[np.ndarray] = []
    for number in range(1, count):
        syllable, before = syllables[number], syllables[number - 1]
        reach = np.maximum.accumulate(best)
        at = np.maximum.accumulate(np.where(best >= reach, np.arange(room), 0))
        limit = np.arange(room) - 1 - before.holds
        if bars and syllable.new_bar:
            limit = np.minimum(limit, bar_of - 1)
        fits = (limit >= 0) & (np.arange(room) <= room - tail[number])
        source = np.maximum(limit, 0)
        gain = worth + (0.25 * beats if syllable.begins else 0.0)
        best = np.where(fits, reach[source] + gain, -np.inf)
        came.append(np.where(fits, at[source], 0))
    if not np.isfinite(best).any():
        return None
    place = int(np.argmax(best))
    places = [place]
    for steps in reversed(came):
        place = int(steps[place])
        places.append(place)
    return [first + place for place in reversed(places)]


def _left_over(lines: Sequence[Line], room: int, *, section: str) -> list[str]:
    """Lines that found no notes, in words."""
    if not lines:
        return []
    where = f" in [{section}]" if section else ""
    syllables = sum(len(line.syllables) for line in lines)
    if len(lines) == 1:
        return [f"line {lines[0].number}{where} ({_short(lines[0])}): no note is left for its {syllables} syllables"]
    return [f"lines {lines[0].number} to {lines[-1].number}{where}: no note is left for their {syllables} syllables"]


def _short(line: Line) -> str:
    return line.text if len(line.text) <= 32 else line.text[:29] + "..."
