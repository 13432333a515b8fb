"""How people play: the measurements behind midigen.feel, and the same of what midigen plays.

    python -m benchmarks.timing band-train.tar.xz --every 2
    python -m benchmarks.timing band-train.tar.xz --every 2 --humanise 1

Reads songs in 2/4, 3/4 and 4/4 and prints, for each kind of part, medians over parts with quartiles in brackets:

- timing, in milliseconds at 120 quarters a minute (500 to a quarter; at other tempos in proportion, which the first
  table is there to check). Deviations are from the nearest sixteenth, in a part that has none from the nearest eighth
  triplet, so that one of a whole grid position is still seen. Only parts that were played are measured: 19 of 20 onsets
  within a twelfth of a quarter of that grid, not more than 3 of 5 within a tick of their median, on 6 ticks of
  difference or more, at least 96 ticks a quarter, and no passage that was played once and then copied (deviations that
  correlate by more than a half with those 4, 8, 16 or 32 quarters later). Rounding to ticks is taken off the variances.
- loudness, in MIDI velocities, of parts with 8 different ones or more in songs in 4/4 throughout.
- swing: the place of an offbeat eighth in its quarter, where it is alone in it; the median of a song.

``--humanise AMOUNT`` takes the playing out of those same parts (onsets to the grid, one velocity), has midigen play
them, and measures that. Songs arranged by a program that has a random timing of its own (``mma__*``) are passed over.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from midigen.corpus import find_files
from midigen.errors import MidigenError
from midigen.feel import ACCENTS, DRUM_SECTIONS, PLACES, accents_of, sections_of
from midigen.grid import POSITIONS_PER_QUARTER
from midigen.midi import read_midi
from midigen.performance import humanise
from midigen.score import TICKS_PER_QUARTER, Note, Part, Score

QUARTER_MS = 500.0  # at 120 quarters a minute
FEWEST_ONSETS = 60
FARTHEST_MS = 40.0  # farther than a twelfth of a quarter is a wrong note, not timing
TRIMMED = 0.7  # mean of the lower nine tenths of chi-square over its freedom: 0.62 with 1 (two notes), 0.74 with 2
LAGS = (0.5, 1.0, 2.0, 3.0, 6.0, 10.0)  # quarters; no whole bars of 4/4, since copied bars would count
Section = tuple[int, str]  # a part's number and which of its sections
COPIES = (4, 8, 16, 32)  # quarters
Found = dict[tuple[str, str], dict[str, list[float]]]  # (table, row) to column to one value a part


class Onsets:
    """The notes of a section, gathered by onset.

    ``grid``: positions a quarter of the section's own grid (4 or 3); ``at``: the onsets on it; ``of``: which of them a
    note belongs to; ``late_ms``: how late each note is; ``mean_ms``: how late each onset is.
    """

    def __init__(self, table: np.ndarray, ticks_per_quarter: int) -> None:
        quarters = table[:, 0] / ticks_per_quarter
        near = {grid: np.mean(np.abs(quarters - np.rint(quarters * grid) / grid) < 1 / 12) for grid in (4, 3)}
        self.grid = 4 if near[4] >= 0.95 else 3
        self.near = float(near[self.grid])
        steps = np.rint(quarters * self.grid).astype(np.int64)
        self.tick_ms = QUARTER_MS / ticks_per_quarter
        self.late_ms = (quarters - steps / self.grid) * QUARTER_MS
        self.pitch, self.velocity = table[:, 2].astype(float), table[:, 3].astype(float)
        self.at, self.of, self.count = np.unique(steps, return_inverse=True, return_counts=True)
        self.mean_ms = self.mean(self.late_ms)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """``values`` of notes averaged over each onset."""
        return np.bincount(self.of, values) / self.count

    def within(self, values: np.ndarray) -> float:
        """The variance of ``values`` among what is struck together, the widest tenth of the chords left out.

        Those are broken chords and ornaments; what they take off a normal spread is put back. Not a number where hardly
        anything is struck together.
        """
        several = self.count >= 2
        if several.sum() < 20:
            return np.nan
        square = np.bincount(self.of, (values - self.mean(values)[self.of]) ** 2)
        variances = np.sort(square[several] / (self.count[several] - 1))
        return float(variances[: int(0.9 * len(variances))].mean()) / TRIMMED

    @property
    def positions(self) -> np.ndarray:
        """Where the onsets are meant to be, in positions of midigen's grid."""
        return self.at * (POSITIONS_PER_QUARTER // self.grid)

    def again(self, values: np.ndarray, quarters: float) -> float:
        """The correlation of ``values`` with those so much later; not a number where too few onsets have such."""
        steps = quarters * self.grid
        wanted = self.at + int(steps)
        later = np.searchsorted(self.at, wanted)
        both = np.append(self.at, -1)[later] == wanted
        if steps % 1 or both.sum() < 20 or values.var() == 0:
            return np.nan
        left = values - values.mean()
        return float(np.mean(left[both] * left[later[both]]) / values.var())

    @property
    def played(self) -> bool:
        """Whether the timing is a player's."""
        exact = np.mean(np.abs(self.late_ms - np.median(self.late_ms)) <= 1.01 * self.tick_ms)
        different = len(np.unique(np.rint(self.late_ms / self.tick_ms)))
        enough = len(self.at) >= FEWEST_ONSETS and self.tick_ms <= QUARTER_MS / 96
        if not (enough and self.near >= 0.95 and exact <= 0.6 and different >= 6):
            return False
        rest = np.clip(self.mean_ms - np.median(self.mean_ms), -FARTHEST_MS, FARTHEST_MS)
        return not any(self.again(rest, lag) > 0.5 for lag in COPIES)


def split(score: Score) -> Iterator[tuple[Section, Part, np.ndarray]]:
    """Every section of every part and its notes; only a drummer's part has more than one section."""
    for number, part in enumerate(score.parts):
        names = sections_of(part)
        for name in np.unique(names):
            yield (number, str(name)), part, part.note_table[names == name]


def played_sections(score: Score) -> set[Section]:
    """The sections with a player's timing."""
    ticks = score.ticks_per_quarter
    return {key for key, _, table in split(score) if len(table) >= FEWEST_ONSETS and Onsets(table, ticks).played}


def loud_sections(score: Score) -> set[Section]:
    """The sections with a player's velocities."""
    if any((m.numerator, m.denominator) != (4, 4) for m in score.metres):
        return set()
    found = set()
    for key, _, table in split(score):
        if len(table) >= 2 * FEWEST_ONSETS and len(np.unique(table[:, 3])) >= 8:
            onsets = Onsets(table, score.ticks_per_quarter)
            if onsets.near >= 0.95 and len(onsets.at) >= FEWEST_ONSETS:
                found.add(key)
    return found


def measure_timing(score: Score, chosen: set[Section], found: Found) -> None:
    """Lag, spread, wander and chords of the ``chosen`` sections, and what any two of them have in common."""
    drums = [part.note_table for part in score.parts if part.is_drum and len(part.notes) >= FEWEST_ONSETS]
    beat = float(np.median(Onsets(np.concatenate(drums), score.ticks_per_quarter).late_ms)) if drums else np.nan
    players: list[tuple[Section, dict[int, float]]] = []
    for key, part, table in split(score):
        if key not in chosen:
            continue
        onsets, out = Onsets(table, score.ticks_per_quarter), found["timing", key[1]]
        out["lag to the drums"].append(np.nan if part.is_drum else float(np.median(onsets.mean_ms)) - beat)
        rounding = onsets.tick_ms**2 / 12 / np.mean(onsets.count)
        rest = np.clip(onsets.mean_ms - np.median(onsets.mean_ms), -FARTHEST_MS, FARTHEST_MS)
        out["spread"].append(float(np.sqrt(max(rest.var() - rounding, 0))))
        place = np.maximum(accents_of(score, onsets.positions) - ACCENTS.index("beat"), 0)
        for index, label in enumerate(PLACES):
            here = place == index
            enough = here.sum() >= 20
            mean, variance = (rest[here].mean(), rest[here].var()) if enough else (np.nan, np.nan)
            out[f"late on the {label}"].append(float(mean))
            out[f"spread on the {label}"].append(float(np.sqrt(np.maximum(variance - rounding, 0))))
            rest[here] -= mean if enough else 0.0
        for lag in LAGS:
            out[f"again after {lag:g}"].append(onsets.again(rest, lag))
        if len(score.tempos) == 1:
            band = min(int(score.tempos[0].qpm // 20) * 20, 160)
            found["tempo", f"from {band:3d} quarters a minute"]["spread"].append(out["spread"][-1])
        players.append((key, dict(zip(onsets.positions.tolist(), rest.tolist(), strict=True))))
        strums = key[1] == "guitar" and measure_strums(onsets, part, found)
        if not strums:
            variance = onsets.within(onsets.late_ms) - onsets.tick_ms**2 / 12
            out["within a chord"].append(float(np.sqrt(np.maximum(variance, 0))))
    for index, ((number, name), mine) in enumerate(players):
        for (other_number, other), theirs in players[:index]:
            both = sorted(mine.keys() & theirs.keys())
            if len(both) >= 40:
                joint = np.cov([mine[at] for at in both], [theirs[at] for at in both])
                correlation = joint[0, 1] / np.sqrt(max(joint[0, 0] * joint[1, 1], 1e-9))
                if correlation < 0.9:  # else one is a copy of the other
                    drummer = number == other_number and {name, other} <= set(DRUM_SECTIONS)
                    row = found["together", "hands and feet of a drummer" if drummer else "two players"]
                    row["covariance, ms^2"].append(float(joint[0, 1]))
                    row["correlation"].append(float(correlation))


def measure_strums(onsets: Onsets, part: Part, found: Found) -> bool:
    """Whether a guitar's chords of three notes or more are strummed; if so how fast, and where up and where down."""
    if onsets.grid != 4 or (onsets.count >= 3).sum() < 30:
        return False
    late = onsets.late_ms - onsets.mean_ms[onsets.of]
    height = onsets.pitch - onsets.mean(onsets.pitch)[onsets.of]
    size = np.sqrt(np.bincount(onsets.of, late**2) * np.bincount(onsets.of, height**2))
    rising = np.divide(np.bincount(onsets.of, late * height), size, out=np.zeros(len(size)), where=size > 0)
    width = np.zeros(len(onsets.at))
    np.maximum.at(width, onsets.of, late)
    least = np.zeros(len(onsets.at))
    np.minimum.at(least, onsets.of, late)
    width -= least
    spread = (onsets.count >= 3) & (width >= 2 * onsets.tick_ms)
    strums = bool(spread.sum() >= 30 and np.mean(np.abs(rising[spread]) > 0.6) > 0.7)
    kind = "acoustic" if part.program < 26 else "electric"
    found["strums", kind]["share of parts"].append(float(strums))
    if strums:
        step = onsets.at % 4
        fine = np.mean(step[onsets.count >= 3] % 2) > 0.1
        row = found["strums", f"{kind}, to {'sixteenths' if fine else 'eighths'}"]
        row["a string to the next"].append(float(np.median((width / np.maximum(onsets.count - 1, 1))[spread])))
        for label, here in (("beat", step == 0), ("offbeat", step == 2), ("sixteenth", step % 2 == 1)):
            if (spread & here).sum() >= 8:
                row[f"upward on the {label}"].append(float(np.mean(rising[spread & here] < 0)))
    return strums


def measure_loudness(score: Score, chosen: set[Section], found: Found) -> None:
    """Accents, spread and wander of the velocities of the ``chosen`` sections."""
    for key, _, table in split(score):
        if key in chosen:
            onsets, out = Onsets(table, score.ticks_per_quarter), found["loudness", key[1]]
            loud = onsets.mean(onsets.velocity)
            place, rest = accents_of(score, onsets.positions), loud - loud.mean()
            for index, label in enumerate(ACCENTS):
                here = place == index
                enough = here.sum() >= 12
                out[label].append(float(loud[here].mean() - loud.mean()) if enough else np.nan)
                rest[here] -= rest[here].mean() if enough else 0.0
            out["spread"].append(float(rest.std()))
            out["within a chord"].append(float(np.sqrt(onsets.within(onsets.velocity))))
            out["different"].append(float(len(np.unique(table[:, 3]))))
            for lag in LAGS:
                out[f"again after {lag:g}"].append(onsets.again(rest, lag))


def measure_swing(score: Score, found: Found) -> None:
    """The median place of a song's lone offbeats in their quarters (0.5 straight, 0.667 triplet)."""
    offbeats = []
    for part in score.parts:
        onsets = np.unique(np.rint(part.note_table[:, 0] * 96 / score.ticks_per_quarter)) / 96
        quarter = np.floor(onsets + 1 / 16).astype(np.int64)
        place = onsets - quarter
        inner = (place > 0.2) & (place < 0.85)
        alone = np.bincount(quarter, inner)[quarter] == 1 if len(onsets) else inner
        offbeats.append(place[alone & (place > 0.4) & (place < 0.8)])
    places = np.concatenate(offbeats) if offbeats else np.zeros(0)
    if len(places) >= 64:
        middle = float(np.median(places))
        found["swing", "all songs"]["share that swings"].append(float(middle > 0.54))
        if middle > 0.54:
            found["swing", "songs that swing"]["place"].append(middle)


def unplayed(score: Score, chosen: set[Section]) -> Score:
    """The ``chosen`` sections with their onsets on their grids and one velocity; the other notes are left out."""
    notes: dict[int, list[Note]] = defaultdict(list)
    step = TICKS_PER_QUARTER // POSITIONS_PER_QUARTER
    factor = TICKS_PER_QUARTER / score.ticks_per_quarter
    for key, _, table in split(score):
        if key in chosen:
            onsets = Onsets(table, score.ticks_per_quarter)
            at = (onsets.positions[onsets.of] * step).tolist()
            lengths = np.maximum(np.rint(table[:, 1] * factor), 1).astype(int).tolist()
            level = int(np.median(table[:, 3]))
            placed = {(o, p): Note(o, p, d, level) for o, p, d in zip(at, table[:, 2].tolist(), lengths, strict=True)}
            notes[key[0]] += placed.values()
    return replace(
        score,
        ticks_per_quarter=TICKS_PER_QUARTER,
        parts=tuple(
            replace(p, notes=tuple(sorted(notes[n])), controls=(), bends=()) for n, p in enumerate(score.parts)
        ),
        tempos=tuple(replace(t, tick=round(t.tick * factor)) for t in score.tempos),
        metres=tuple(replace(m, tick=round(m.tick * factor)) for m in score.metres),
    )


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="How people play, and how midigen does.")
    parser.add_argument("songs", nargs="+", metavar="FOLDER_OR_ARCHIVE")
    parser.add_argument("--every", type=int, default=1, help="read every so many-th song")
    parser.add_argument("--humanise", type=float, default=None, metavar="AMOUNT")
    args = parser.parse_args()
    found: Found = defaultdict(lambda: defaultdict(list))
    songs = played = 0
    for number, (_, name, read) in enumerate(find_files(args.songs)):
        if number % args.every or "mma__" in name:
            continue
        try:
            score = read_midi(read(), name)
        except MidigenError:
            continue
        if any(m.denominator != 4 or m.numerator not in (2, 3, 4) for m in score.metres):
            continue
        songs += 1
        timed, loud = played_sections(score), loud_sections(score)
        played += bool(timed)
        if args.humanise is None:
            measure_swing(score, found)
            measure_timing(score, timed, found)
            measure_loudness(score, loud, found)
        elif timed | loud:
            score = humanise(unplayed(score, timed | loud), args.humanise, seed=number)
            measure_timing(score, timed, found)
            measure_loudness(score, loud, found)
    print(f"{songs} songs, {played} with a part that was played\n")
    for table in dict.fromkeys(table for table, _ in found):
        rows = {row: columns for (t, row), columns in sorted(found.items()) if t == table}
        labels = list(dict.fromkeys(label for columns in rows.values() for label in columns))
        print(f"| {table} | " + " | ".join(rows) + " |\n|---|" + "--:|" * len(rows))
        for label in labels:
            print(f"| {label} | " + " | ".join(summary(columns.get(label, [])) for columns in rows.values()) + " |")
        print()


def summary(values: list[float]) -> str:
    """The median and, in brackets, the quartiles and the number of values; of shares (0 and 1) the mean."""
    known = np.array([v for v in values if np.isfinite(v)])
    if not len(known):
        return ""
    if np.isin(known, (0.0, 1.0)).all():
        return f"{known.mean():.2f} (of {len(known)})"
    low, middle, high = np.percentile(known, (25, 50, 75))
    return f"{middle:.2f} ({low:.2f} .. {high:.2f}; {len(known)})"


if __name__ == "__main__":
    main()
