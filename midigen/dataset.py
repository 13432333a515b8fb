"""Cells on disk to training windows. Needs numpy and torch alone, so that it runs where miditok is not installed.

Window number ``i`` of a stream depends on ``(seed, i)`` and nothing else: a run that was killed goes on with the very
windows it would have seen, and several processes share one stream without talking.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from midigen.analysis import FORM_DISTANCES, estimate_key, home_shift
from midigen.cells import Cells, SongView
from midigen.errors import BadRequest, CorpusError
from midigen.tokenizers.spelling import spell_form
from midigen.tokenizers.vocabulary import LANES
from midigen.tokenizers.window import (
    ABSENT,
    FIRST_PART,
    FORM,
    GIVEN,
    HARMONY,
    MISSING,
    PartHeader,
    Window,
    arrange,
    measure,
)

TRANSPOSE = ("key", "random", "none")
MOST_DRAWS = 10_000  # for one window; a real corpus takes two or three


@dataclass(frozen=True)
class Mixture:
    """What a training window asks for. Shares of tasks are relative; the others are probabilities from 0 to 1."""

    compose: float = 0.4
    continue_: float = 0.18
    accompany: float = 0.24
    infill: float = 0.12
    vary: float = 0.06
    chart: float = 0.25  # that the harmony, and as often the form, is the user's own and given whole
    no_form: float = 0.1
    no_harmony: float = 0.1
    bare: float = 0.08  # that there is neither form nor harmony, and nothing is said of how the parts play;
    bare_given: float = 0.6  # that some of its parts are given then, and the task is not drawn,
    bare_pair: float = 0.5  # that it has two parts at most,
    bare_solo: float = 0.25  # or one
    unset: float = 0.3  # each value of the header
    drop_drums: float = 0.65
    drop_second: float = 0.7  # the second piano or guitar
    drop_part: float = 0.08
    resting: float = 0.25  # a part that is silent in a larger share of the bars rests,
    drop_resting: float = 0.85  # and is left out
    quiet: float = 0.15  # most bars, as a share, in which nobody plays
    opening: float = 0.25  # windows that begin with the song
    ending: float = 0.2  # windows that end with it
    transpose: str = "key"  # to C major or A minor; "random": to any key; "none"

    def __post_init__(self) -> None:
        if self.transpose not in TRANSPOSE:
            raise BadRequest(f"transpose {self.transpose!r}: choose one of {', '.join(TRANSPOSE)}")

    @property
    def tasks(self) -> tuple[tuple[str, float], ...]:
        names = ("compose", "continue_", "accompany", "infill", "vary")
        return tuple((name, getattr(self, name)) for name in names)


def judging(mixture: Mixture) -> Mixture:
    """What a model that learns from ``mixture`` is judged by: piano, guitar and bass, all to be composed."""
    transpose = "key" if mixture.transpose == "key" else "none"
    return Mixture(1, 0, 0, 0, 0, chart=0, no_form=0, no_harmony=0, bare=0, drop_drums=1, drop_second=1, drop_part=0,
                   transpose=transpose)  # fmt: skip


class Windows:
    """Training windows of a prepared corpus: ``windows[i]`` is ``(ids, learn, owner)`` of at most ``context`` ids."""

    def __init__(self, cells: Cells, context: int, seed: int = 0, mixture: Mixture | None = None) -> None:
        self.cells, self.context, self.seed = cells, context, seed
        self.mixture = mixture or Mixture()
        self._moved: dict[tuple[str, int], np.ndarray] = {}

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = np.random.Generator(np.random.Philox(key=[self.seed, number]))
        for _ in range(MOST_DRAWS):
            window = self.window(random)
            if window is not None:
                ids, learn, owner = arrange(window, self.cells.vocabulary)
                if len(ids) <= self.context:
                    return ids, learn, owner
        raise CorpusError(
            f"{self.cells.folder}: no window of its songs fits {self.context} tokens; train with a longer context"
        )

    def _transposed(self, ids: np.ndarray, kind: str, semitones: int) -> np.ndarray:
        if not semitones:
            return np.asarray(ids)
        key = (kind, semitones)
        if key not in self._moved:
            self._moved[key] = self.cells.vocabulary.transposition(semitones, kind)
        return self._moved[key][ids]

    def window(self, random: np.random.Generator) -> Window | None:
        """A window drawn with ``random``, or ``None`` where the drawn place has nothing to teach."""
        mix, vocabulary = self.mixture, self.cells.vocabulary
        song = self.cells.song(self.cells.draw(random))
        place = self._place(song, random)
        if place is None:
            return None
        task = str(
            random.choice(
                [n for n, _ in mix.tasks], p=np.array([s for _, s in mix.tasks]) / sum(s for _, s in mix.tasks)
            )
        )
        bare = mix.bare > 0 and random.random() < mix.bare  # no draw at 0: the windows that judge stay as they are
        if bare and random.random() < mix.bare_given:
            task = "accompany"
        slides = task == "continue_" and random.random() < 0.5
        span = int(random.choice([4, 8, 16, 24, 32, 48, 64] if not slides else [16, 24, 32, 48, 64],
                                 p=[0.05, 0.15, 0.3, 0.2, 0.2, 0.05, 0.05] if not slides else None))  # fmt: skip
        first, stop = place[0], min(place[1], place[0] + span)
        if place[2]:  # the end of the song
            first = max(place[0], place[1] - span)
            stop = place[1]

        plays = song.lengths[1:, first:stop] > 0
        rows = self._band(song, plays, random)
        if bare:
            rows = self._few(song, rows, random)
        if not rows or plays[rows].any(axis=0).mean() < 1 - mix.quiet:
            return None
        has_form, has_harmony = random.random() >= mix.no_form, random.random() >= mix.no_harmony
        has_form, has_harmony = has_form and not bare, has_harmony and not bare
        cost = song.lengths[[1 + r for r in rows], first:stop] + 1
        per_bar = cost.sum(axis=0) + 2 + has_form + has_harmony * (1 + song.lengths[0, first:stop])
        room = self.context - 8 - 2 - 5 * len(rows)
        if not slides:
            if task in ("accompany", "infill"):
                per_bar = per_bar + 2  # a bar with cells given and missing is opened twice
            order = per_bar[::-1] if place[2] else per_bar
            fits = int(np.searchsorted(np.cumsum(order), room, side="right"))
            if fits < min(4, stop - first):
                return None
            first, stop = (stop - fits, stop) if place[2] and fits < stop - first else (first, min(stop, first + fits))
            per_bar = per_bar[:0]
        bars = stop - first
        status = np.full((FIRST_PART + len(rows), bars), MISSING, dtype=np.int8)
        if slides:
            keep = self._slide(song, first, bars, per_bar, room, random)
            if keep is None:
                return None
            status[:] = keep
        else:
            self._mask(task, status, random)
        parts_given = (status[FIRST_PART:] == GIVEN).all(axis=0)
        here = (status[FIRST_PART:] != ABSENT).any(axis=0)
        status[FORM] = np.where(here, np.where(parts_given, GIVEN, MISSING), ABSENT)
        status[HARMONY] = status[FORM]
        if random.random() < mix.chart:
            status[HARMONY, here] = GIVEN
        form_chart = random.random() < mix.chart
        if form_chart:
            status[FORM, here] = GIVEN
        if not has_form:
            status[FORM] = ABSENT
        if not has_harmony:
            status[HARMONY] = ABSENT

        tonic, mode = estimate_key(song.chroma[first:stop].sum(axis=0, dtype=np.int64))
        semitones = self._semitones(song, rows, (first, stop), home_shift(tonic, mode), random)
        if semitones is None:
            return None
        kinds = [LANES[song.lanes[r]] for r in rows]
        nothing = np.zeros(0, dtype=np.uint16)
        cells: list[list[np.ndarray]] = [[nothing] * bars for _ in range(FIRST_PART + len(rows))]
        for bar in np.flatnonzero(here).tolist():
            if has_form:
                # A given form may speak only of what is given; the user's own chart, and the model, of everything.
                known = here if form_chart or status[FORM, bar] == MISSING else parts_given
                token = spell_form(song.similarity[first + bar] / 100, known, bar, vocabulary)
                cells[FORM][bar] = np.array([token], dtype=np.uint16)
            if has_harmony:
                cells[HARMONY][bar] = self._transposed(song.cell(0, first + bar), "", semitones)
            for k, row in enumerate(rows):
                cells[FIRST_PART + k][bar] = self._transposed(song.cell(1 + row, first + bar), kinds[k][0], semitones)

        def said(value: int | None) -> int | None:
            return None if random.random() < mix.unset else value

        parts = []
        for k, row in enumerate(rows):
            kind, slot = kinds[k]
            missing = np.flatnonzero(status[FIRST_PART + k] == MISSING).tolist()
            values = measure([cells[FIRST_PART + k][b] for b in missing], kind, vocabulary)
            program = None if kind == "drums" else int(song.programs[row])
            parts.append(PartHeader(kind, slot, *(None if bare or v is None else said(v) for v in (program, *values))))
        return Window(
            parts=parts,
            cells=cells,
            status=status,
            left=song.bars - 1 - np.arange(first, stop),
            metre=said(int(song.metres[first])),
            tempo=said(int(song.tempos[first])),
            key=said((tonic + semitones) % 12 + (12 if mode == "minor" else 0)),
            opening=first == 0,
        )

    def _place(self, song: SongView, random: np.random.Generator) -> tuple[int, int, bool] | None:
        """First bar, the end of the run of one metre, and whether the window is to end with the song."""
        whim = random.random()
        changes = np.flatnonzero(np.diff(song.metres)) + 1
        if whim < self.mixture.opening:
            first, ending = 0, False
        elif whim < self.mixture.opening + self.mixture.ending:
            first, ending = (int(changes[-1]) if len(changes) else 0), True
        else:
            first, ending = int(random.integers(0, max(song.bars - 3, 1))), False
        if song.metres[first] < 0:
            return None
        later = changes[changes > first]
        stop = int(later[0]) if len(later) else song.bars
        return (first, stop, ending) if stop - first >= 4 else None

    def _band(self, song: SongView, plays: np.ndarray, random: np.random.Generator) -> list[int]:
        """The rows of the parts in the window, in random order; ``plays`` is ``(parts, bars)`` bool.

        Parts that mostly rest are mostly left out: whoever asks for a part wants to hear it.
        """
        kept = []
        for row in np.flatnonzero(plays.any(axis=1)).tolist():
            kind, slot = LANES[song.lanes[row]]
            if kind == "drums":
                chance = self.mixture.drop_drums
            else:
                chance = self.mixture.drop_second if slot else self.mixture.drop_part
            if plays[row].mean() < 1 - self.mixture.resting:
                chance = max(chance, self.mixture.drop_resting)
            if random.random() >= chance:
                kept.append(row)
        random.shuffle(kept)
        return kept if any(LANES[song.lanes[r]][0] != "drums" for r in kept) else []

    def _few(self, song: SongView, rows: list[int], random: np.random.Generator) -> list[int]:
        """Two of ``rows``, or one, or all of them, drums not alone: what parts say of each other is clearest there."""
        whim = random.random()
        most = (
            1 if whim < self.mixture.bare_solo else 2 if whim < self.mixture.bare_solo + self.mixture.bare_pair else 0
        )
        few = rows[:most] if most else rows
        return few if any(LANES[song.lanes[r]][0] != "drums" for r in few) else rows

    def _mask(self, task: str, status: np.ndarray, random: np.random.Generator) -> None:
        """Mark what is given for one of the tasks; everything is missing before."""
        parts, bars = status.shape[0] - FIRST_PART, status.shape[1]
        if task == "continue_":
            status[:, : int(random.integers(1, max(bars * 2 // 3, 2)))] = GIVEN
        elif task == "accompany" and parts > 1:
            given = random.permutation(parts)[: int(random.integers(1, parts))]
            status[FIRST_PART + given] = GIVEN
        elif task == "infill":
            first = int(random.integers(0, bars))
            length = int(random.integers(1, max(bars * 3 // 4, 2)))
            wanted = random.permutation(parts)[: int(random.integers(1, parts + 1))]
            status[:] = GIVEN
            status[(FIRST_PART + wanted)[:, None], np.arange(first, min(first + length, bars))[None]] = MISSING
        elif task == "vary":
            again = np.asarray(random.random(bars) < random.uniform(0.2, 0.7))
            again[int(random.integers(0, bars))] = True
            status[:, ~again] = GIVEN

    def _slide(
        self, song: SongView, first: int, bars: int, per_bar: np.ndarray, room: int, random: np.random.Generator
    ) -> np.ndarray | None:
        """A status for each bar: the last ones missing, those before and those they follow given, others absent."""
        fill = int(random.integers(4, 17))
        if bars <= fill:
            return None
        wanted = np.full(bars, ABSENT, dtype=np.int8)
        wanted[bars - fill :] = MISSING
        room -= int(per_bar[bars - fill :].sum())
        recent = list(range(bars - fill - 1, max(bars - fill - 1 - int(random.integers(4, 13)), -1), -1))
        best = song.similarity[first + bars - fill : first + bars].argmax(axis=1)
        pointed = [b - FORM_DISTANCES[k] for b, k in zip(range(bars - fill, bars), best, strict=True)]
        for bar in recent + [b for b in pointed if b >= 0] + random.permutation(bars - fill).tolist()[:4]:
            if wanted[bar] == ABSENT and room >= per_bar[bar]:
                wanted[bar] = GIVEN
                room -= int(per_bar[bar])
        return wanted if room >= 0 and (wanted == GIVEN).any() else None

    def _semitones(
        self, song: SongView, rows: list[int], span: tuple[int, int], home: int, random: np.random.Generator
    ) -> int | None:
        """By how much to transpose: the first of a few that keeps every note in its instrument's range.

        Home, an octave beyond where that is too low or too high, or nothing; or four random ones, then none at all.
        """
        how = self.mixture.transpose
        if how == "none":
            return 0
        tries = (home, home - 12 if home > 0 else home + 12) if how == "key" else (*random.integers(-5, 7, 4), 0)
        for semitones in map(int, tries):
            if not semitones or all(self._fits(song, row, span, semitones) for row in rows):
                return semitones
        return None

    def _fits(self, song: SongView, row: int, span: tuple[int, int], semitones: int) -> bool:
        at = (1 + row) * song.bars
        ids = song.tokens[song.starts[at + span[0]] : song.starts[at + span[1]]]
        return bool((self._transposed(ids, LANES[song.lanes[row]][0], semitones) >= 0).all())


@dataclass(frozen=True)
class Batch:
    """Windows padded to one length: ``ids`` ``(rows, time)`` int64, ``learn`` bool and ``owner`` uint8 alike."""

    ids: np.ndarray
    learn: np.ndarray
    owner: np.ndarray


def collate(windows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Batch:
    """Windows as one batch, padded at the end to the longest."""
    longest = max(len(ids) for ids, _, _ in windows)
    shape = (len(windows), longest)
    ids, learn, owner = np.zeros(shape, np.int64), np.zeros(shape, bool), np.zeros(shape, np.uint8)
    for row, (a, b, c) in enumerate(windows):
        ids[row, : len(a)], learn[row, : len(b)], owner[row, : len(c)] = a, b, c
    return Batch(ids, learn, owner)


def batches(windows: list[tuple[np.ndarray, np.ndarray, np.ndarray]], most_tokens: int) -> list[Batch]:
    """Group windows of like length into batches of at most ``most_tokens`` ids, padding included (at least one row)."""
    ordered = sorted(windows, key=lambda w: len(w[0]))
    groups: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[]]
    for window in ordered:
        if groups[-1] and (len(groups[-1]) + 1) * len(window[0]) > most_tokens:
            groups.append([])
        groups[-1].append(window)
    return [collate(group) for group in groups if group]


class Steps:
    """What each optimiser step learns from: ``steps[s]`` is its list of batches. Fit for a torch ``DataLoader``."""

    def __init__(self, windows: Windows, windows_a_step: int, most_tokens: int) -> None:
        self.windows, self.windows_a_step, self.most_tokens = windows, windows_a_step, most_tokens

    def __getitem__(self, step: int) -> list[Batch]:
        first = step * self.windows_a_step
        return batches([self.windows[i] for i in range(first, first + self.windows_a_step)], self.most_tokens)

    def __iter__(self) -> Iterator[list[Batch]]:
        step = 0
        while True:
            yield self[step]
            step += 1


def loader(steps: Steps, first_step: int, last_step: int, workers: int) -> Iterator[list[Batch]]:
    """The batches of steps ``first_step`` up to ``last_step``, made ahead of time by ``workers`` processes."""
    from torch.utils.data import DataLoader

    workers = min(workers, max((os.cpu_count() or 1) - 1, 0))
    order: Any = range(first_step, last_step)
    options: dict[str, Any] = {"prefetch_factor": 8} if workers else {}
    return iter(DataLoader(steps, sampler=order, batch_size=None, num_workers=workers, collate_fn=_same, **options))  # type: ignore[arg-type]


def _same(step: list[Batch]) -> list[Batch]:
    return step
