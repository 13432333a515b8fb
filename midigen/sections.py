"""What is heard in a whole song: the sections it is made of, and with them its chords, key, metre and tempo.

Sections are found by the three signs of Sargent, Bimbot and Vincent ("Estimating the structural segmentation of popular
music pieces under regularity constraints", 2017): a section is music that was there before (repetition), it begins
where the music changes (novelty, after Foote, 2000), and it is about as long as sections are (regularity). The cuts
that cost least are found by dynamic programming. The constants were chosen on songs whose files name their sections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from midigen.analysis import Chord, beat_chroma, beat_length, estimate_chords, note_names
from midigen.charts import Chart, Symbol, chart_of, without_repeats
from midigen.errors import BadRequest
from midigen.forms import Form
from midigen.grid import METRES, POSITIONS_PER_QUARTER, Grid, Lane, bar_positions, quantise
from midigen.score import Score, sustained
from midigen.written import chart_of_symbols, chords_of_bars

MOST_BARS = 2048  # what can be compared bar by bar in reasonable memory

# How alike two bars are: shares of their notes and of their harmony, and what a pair at rest counts as.
NOTES_SHARE = 0.3
CELLS = 4  # harmony is compared quarter by quarter of a bar, whatever its metre
UNRELATED = 0.7  # the share of pairs of bars, in any song, taken to have nothing to do with each other
PLAYING_SHARE = 0.4  # for novelty, how much it counts which parts play

# What a section costs. The unit is a bar that has nothing in common with the one it follows.
NEW_BAR = 0.5  # of a section that follows no other
REPEAT = 0.25  # for pointing back at all
SECTION = 0.8
NOVELTY = 2.5  # saved where the music changes most in this song
NOVELTY_BARS = 6  # on either side
IRREGULAR = 1.0  # times _irregularity
LONGEST = 24

SAME_LETTER = 0.6  # mean likeness from which two sections have one letter
SAME_SECTION = 0.75  # shared notes from which they are the same and not varied
NEAREST_CUT = 4  # bars; cuts that repeats bring along keep this distance
MOST_PRIMES = 3
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_PITCHES, _STEPS = np.arange(12)[None], np.arange(1, 12)[:, None]


@dataclass(frozen=True)
class Likeness:
    """How alike the bars of a song are: every matrix ``(bars, bars)``, 0 to 1.

    ``notes`` are notes in common over notes in either; ``blocks`` is what sections are compared by, notes and harmony
    above what unrelated bars of this song have in common; ``texture`` adds which parts play.
    """

    notes: np.ndarray
    blocks: np.ndarray
    texture: np.ndarray


def whole_grid(score: Score) -> Grid:
    """Every part of ``score`` as a lane of its own, from its first bar to the last in which a note begins.

    Unlike :func:`midigen.grid.to_grid` nothing is left out, and the bars are those of the file. Raises
    :class:`BadRequest` where there is no note, or more than :data:`MOST_BARS` bars.
    """
    last = max((note.onset_ticks for part in score.parts for note in part.notes), default=-1)
    if last < 0:
        raise BadRequest("it holds no notes: there is nothing to hear")
    scale = POSITIONS_PER_QUARTER / score.ticks_per_quarter
    ticks = score.bar_starts(MOST_BARS + 2)
    if ticks[-1] <= last:
        raise BadRequest(f"it has more than {MOST_BARS} bars; cut it into shorter files")
    ticks = ticks[: int((ticks <= last).sum()) + 1]
    edges = np.rint(ticks * scale).astype(np.int64)
    lengths = np.diff(edges)
    kept = lengths > 0  # a metre that is taken back at once leaves a bar of no length
    starts, lengths = edges[:-1][kept], lengths[kept]
    names = [str(score.metre_at(int(tick))) for tick in ticks[:-1][kept]]
    metres = [
        METRES.index(name) if name in METRES and bar_positions(name) == length else -1
        for name, length in zip(names, lengths.tolist(), strict=True)
    ]
    tempos = np.full(len(starts), score.tempos[0].qpm, dtype=np.float32)
    for tempo in score.tempos:
        tempos[ticks[:-1][kept] >= tempo.tick - score.ticks_per_quarter // 2] = tempo.qpm
    lanes = []
    for number, part in enumerate(score.parts):
        kind = "drums" if part.is_drum else "bass" if part.kind == "bass" else "piano"
        notes = quantise(sustained(part).note_table, starts, scale, "drums" if part.is_drum else "")
        lanes.append(Lane(kind, number, part.program, notes))
    return Grid(lengths, np.array(metres), tempos, tuple(lanes), 1.0)


def likeness(grid: Grid) -> Likeness:
    """Compare every bar with every other. Drums are left out, unless there is nothing else."""
    lanes = [lane for lane in grid.lanes if lane.kind != "drums" and len(lane.notes)] or list(grid.lanes)
    notes = _shared_notes(lanes, grid.bars)
    harmony = _shared_harmony(grid)
    fits = grid.bar_lengths[:, None] == grid.bar_lengths[None]
    notes, harmony = notes * fits, harmony * fits
    mixed = NOTES_SHARE * notes + (1 - NOTES_SHARE) * harmony
    pairs = mixed[np.triu_indices(grid.bars, 1)]
    floor = min(float(np.quantile(pairs, UNRELATED)), 0.8) if len(pairs) else 0.0
    blocks = np.clip((mixed - floor) / (1 - floor), 0, 1)
    playing = np.zeros((grid.bars, len(grid.lanes)))
    for number, lane in enumerate(grid.lanes):
        playing[:, number] = np.minimum(np.bincount(lane.notes[:, 0], minlength=grid.bars), 8) / 8
    alike = np.ones((grid.bars, grid.bars))
    for column in playing.T:
        alike -= np.abs(column[:, None] - column[None]) / len(grid.lanes)
    return Likeness(notes, blocks, (1 - PLAYING_SHARE) * blocks + PLAYING_SHARE * alike)


def _shared_notes(lanes: Sequence[Lane], bars: int) -> np.ndarray:
    """Notes in common over notes in either bar, by part, position and pitch; two silent bars are alike."""
    keys = np.concatenate([(n * 128 + lane.notes[:, 1]) * 128 + lane.notes[:, 3] for n, lane in enumerate(lanes)])
    both = np.unique(np.stack([keys, np.concatenate([lane.notes[:, 0] for lane in lanes])]), axis=1)
    sizes = np.bincount(both[1], minlength=bars).astype(np.float32)
    _, which, counts = np.unique(both[0], return_inverse=True, return_counts=True)
    column = np.cumsum(counts > 1) - 1  # a note of one bar alone is shared with none
    often = counts[which] > 1
    there = np.zeros((bars, int((counts > 1).sum())), dtype=np.float32)
    there[both[1][often], column[which[often]]] = 1
    common = there @ there.T
    np.fill_diagonal(common, sizes)
    either = sizes[:, None] + sizes[None] - common
    return np.where(either > 0, common / np.maximum(either, 1), 1.0).astype(np.float32)


def _shared_harmony(grid: Grid) -> np.ndarray:
    """The cosine between the pitch classes of two bars, and between their basses, cell by cell; silence is alike."""
    cells = _harmony(grid)
    silent = (~cells.any(axis=3)).reshape(grid.bars, -1).astype(np.float32)
    flat = cells.reshape(grid.bars, -1)
    return (flat @ flat.T + silent @ silent.T) / (2 * CELLS)


def _harmony(grid: Grid) -> np.ndarray:
    """``(bars, cells, 2, 12)``: the pitch classes that sound, and those of the bass, each of length 1 or silent."""
    chroma, bass, bars, inside = beat_chroma(grid)
    cell = np.minimum(inside * CELLS // grid.bar_lengths[bars], CELLS - 1)
    heard = np.zeros((grid.bars, CELLS, 2, 12), dtype=np.float32)
    np.add.at(heard[:, :, 0], (bars, cell), chroma.astype(np.float32))
    np.add.at(heard[:, :, 1], (bars, cell), bass.astype(np.float32))
    return heard / np.maximum(np.linalg.norm(heard, axis=3, keepdims=True), 1e-9)


def hear_form(grid: Grid) -> Form:
    """The sections of a song, with letters in order of appearance; a prime for one that comes back varied.

    Every bar belongs to one section. A section that comes back in another key is varied too.
    """
    alike = likeness(grid)
    cuts = _cut(alike)
    return Form.of(
        (name, last - first)
        for name, (first, last) in zip(_named(cuts, alike, _harmony(grid)), pairwise(cuts), strict=True)
    )


def _cut(alike: Likeness) -> list[int]:
    """The bars at which sections begin, and the number of bars."""
    bars = len(alike.blocks)
    novelty = _novelty(alike.texture)
    # strange[d, e]: how unlike the bars before bar e, all together, are to those d bars before them. No bar has one
    # before the song's first; the price keeps such repeats from being chosen.
    strange = np.zeros((bars, bars + 1))
    for lag in range(1, bars):
        unlike = np.full(bars, float(bars))
        unlike[lag:] = 1 - np.diagonal(alike.blocks, -lag)
        strange[lag, 1:] = np.cumsum(unlike)
    best = np.full(bars + 1, np.inf)
    best[0] = 0
    prices = {}  # of each length: what the section that ends before each bar costs, and the lag of its model
    for length in range(1, min(LONGEST, bars) + 1):
        price, model = np.full(bars + 1, NEW_BAR * length), np.zeros(bars + 1, dtype=np.int64)
        if length < bars:
            repeats = strange[length:, length:] - strange[length:, :-length]
            least = np.argmin(repeats, axis=0)
            cheapest = np.concatenate([np.full(length, np.inf), repeats[least, np.arange(len(least))] + REPEAT])
            is_repeat = cheapest < price
            model[is_repeat] = length + np.concatenate([np.zeros(length, dtype=np.int64), least])[is_repeat]
            price = np.minimum(price, cheapest)
        prices[length] = price + SECTION + IRREGULAR * _irregularity(length), model
    origin: list[tuple[int, int]] = [(0, 0)] * (bars + 1)
    for end in range(1, bars + 1):
        for length in range(1, min(LONGEST, end) + 1):
            price, model = prices[length]
            start = end - length
            total = best[start] + price[end] - NOVELTY * novelty[start]
            if total < best[end]:
                best[end], origin[end] = total, (start, int(model[end]))
    sections, end = [], bars
    while end > 0:
        start, lag = origin[end]
        sections.append((start, end, lag))
        end = start
    return _with_inherited(sections[::-1], alike.blocks)


def _irregularity(length: int) -> float:
    """How unusual a section of ``length`` bars is: 0 for 8, more the longer or shorter, and for odd numbers."""
    return 0.35 * abs(float(np.log2(length / 8))) + (0.0 if length % 4 == 0 else 0.35 if length % 2 == 0 else 0.7)


def _novelty(texture: np.ndarray) -> np.ndarray:
    """How much the music changes at each bar, 0 to 1 (the most in this song); 0 for the first."""
    bars = len(texture)
    change = np.zeros(bars)
    for bar in range(1, bars):
        before, after = slice(max(0, bar - NOVELTY_BARS), bar), slice(bar, bar + NOVELTY_BARS)
        within = (texture[before, before].mean() + texture[after, after].mean()) / 2
        change[bar] = max(within - texture[before, after].mean(), 0)
    return change / max(float(change.max()), 1e-9)


def _with_inherited(sections: Sequence[tuple[int, int, int]], blocks: np.ndarray) -> list[int]:
    """The cuts of ``sections`` (start, end, lag of the model or 0), and those that follow from the repeats: a model
    begins and ends where its repeat does, and a repeat is cut where its model is."""
    cuts = {0, len(blocks), *(start for start, _, _ in sections)}

    def add(bar: int) -> None:
        if all(abs(bar - cut) >= NEAREST_CUT for cut in cuts):
            cuts.add(bar)

    for _ in range(2):
        for start, end, lag in sections:
            if lag and np.mean(np.diagonal(blocks[start:end, start - lag : end - lag])) >= SAME_LETTER:
                add(start - lag)
                add(end - lag)
                for cut in sorted(cuts):
                    if start - lag < cut < end - lag:
                        add(cut + lag)
    return sorted(cuts)


def _named(cuts: Sequence[int], alike: Likeness, harmony: np.ndarray) -> list[str]:
    """A letter for each section, with primes where it is one of before varied."""
    names: list[str] = []
    known: list[tuple[int, int, str, str]] = []  # first, last, letter, primes
    for first, last in pairwise(cuts):
        letter, moved = _letter(first, last, known, alike.blocks, harmony)
        if letter is None:
            used = {letter for _, _, letter, _ in known}
            # Of more sections than there are letters the last ones are called alike; no song has been met with so many.
            letter, primes = LETTERS[min(len(used), len(LETTERS) - 1)], ""
        else:
            primes = _primes(first, last, letter, moved, known, alike.notes)
        known.append((first, last, letter, primes))
        names.append(letter + primes)
    return names


def _letter(
    first: int,
    last: int,
    known: Sequence[tuple[int, int, str, str]],
    blocks: np.ndarray,
    harmony: np.ndarray,
) -> tuple[str | None, bool]:
    """The letter of the section most alike, of about the same length, and whether it stood in another key."""
    best, letter, moved = SAME_LETTER, None, False
    for begin, end, name, _ in known:
        shared = min(last - first, end - begin)
        if shared < 0.6 * max(last - first, end - begin):
            continue
        same = float(np.mean(np.diagonal(blocks[first : first + shared, begin : begin + shared])))
        if same >= best:
            best, letter, moved = same, name, False
        if shared < 4:
            continue
        # Harmony alone, so more of it is asked for; a section of one chord fits any other of one chord.
        here, there = harmony[first : first + shared].reshape(-1, 12), harmony[begin : begin + shared].reshape(-1, 12)
        together = (here.T @ there)[_PITCHES, (_PITCHES - _STEPS) % 12].sum(axis=1)  # for each transposition
        transposed = float(together.max() / max((here * here).sum(), 1e-9))
        if transposed > 0.9 and transposed - 0.2 > best and _moves(harmony[begin : begin + shared]):
            best, letter, moved = transposed - 0.2, name, True
    return letter, moved


def _moves(harmony: np.ndarray) -> bool:
    """Whether the harmony changes enough to be known again in another key."""
    chords = harmony[:, 0, 0]
    return bool((np.sum(chords * np.roll(chords, 1, axis=0), axis=-1) < 0.7).sum() >= 2)


def _primes(
    first: int, last: int, letter: str, moved: bool, known: Sequence[tuple[int, int, str, str]], notes: np.ndarray
) -> str:
    """The primes of the section that this one is the same as, else one more than there were."""
    best, primes = 0.0, ""
    marks = {mark for _, _, name, mark in known if name == letter}
    for begin, end, name, mark in known:
        if name != letter:
            continue
        shared = min(last - first, end - begin)
        same = float(np.mean(np.diagonal(notes[first : first + shared, begin : begin + shared])))
        if same > best:
            best, primes = same, mark
    if (best >= SAME_SECTION and not moved) or len(marks) > MOST_PRIMES:
        return primes
    return "'" * len(marks)


@dataclass(frozen=True)
class Heard:
    """A song as it is heard: ``chart`` (with title, key, metre and tempo stated and the sections named), ``form``, and
    ``chords`` on ``grid``, whose bars are those of the file. ``is_written`` says that the chords were not heard but
    stand in the file."""

    chart: Chart
    form: Form
    chords: tuple[Chord, ...]
    grid: Grid
    is_written: bool = False

    @property
    def key(self) -> tuple[int, str]:
        return self.chart.key()


def hear(score: Score, symbols: Sequence[tuple[int, Symbol]] = ()) -> Heard:
    """Hear chords, key and form of ``score``.

    Where ``symbols`` are given, as :func:`midigen.written.written_symbols` finds them in a file, they are its chords.
    Raises :class:`BadRequest` as :func:`whole_grid` does, and where nothing but drums plays.
    """
    grid = whole_grid(score)
    if not symbols and all(lane.kind == "drums" for lane in grid.lanes if len(lane.notes)):
        raise BadRequest("it holds drums alone: there are no chords to hear")
    beats = [
        list(range(0, length, beat_length(metre) if metre >= 0 else POSITIONS_PER_QUARTER))
        for length, metre in zip(grid.bar_lengths.tolist(), grid.metres.tolist(), strict=True)
    ]
    form = hear_form(grid)
    if symbols:
        chart = chart_of_symbols(symbols, beats, grid, score.ticks_per_quarter)
        chords = chords_of_bars(chart, beats)
        tonic, mode = chart.key()
    else:
        chords = without_repeats(estimate_chords(grid))
        chart = chart_of(chords, beats)
        tonic, mode = chart.key()
        chart = chart.transposed(0, note_names(tonic, mode))
    chart = replace(
        chart,
        labels=tuple((section.first, section.name) for section in form.sections),
        title=score.title,
        stated_key=(tonic, mode),
        stated_metre=METRES[grid.metres[0]] if grid.metres[0] >= 0 else None,
        stated_tempo_qpm=float(score.tempos[0].qpm),
    )
    return Heard(chart, form, tuple(chords), grid, bool(symbols))
