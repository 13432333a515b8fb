"""Cross-part gain: how much a part's notes are easier to foresee for a model that is given another part of the song.

For every ordered pair of instruments, and every song, one window of up to :data:`BARS` bars in which both play
throughout. The model reads it three times: with the other part beside, first in each bar, as ``midigen accompany``
gives it; with the part alone; and with the other part of another song in its place: of the same metre, moved to the
same key, as near in tempo as can be had, playing in the same bars. Form and harmony are absent and nothing is said of
how the parts play, so that nothing else could tell one part of the other. The gain is the difference of the part's nats
a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from midigen.analysis import estimate_key, home_shift
from midigen.cells import Cells, SongView
from midigen.evaluation.losses import NoteLosses, Row
from midigen.tokenizers.vocabulary import LANES, Vocabulary
from midigen.tokenizers.window import ABSENT, FIRST_PART, MISSING, OWNERS, PartHeader, Window, arrange

BARS, FEWEST_BARS = 16, 8
RIVALS = 5  # songs next in tempo, of which one lends its part
MOST_SONGS, MOST_WITH_DRUMS = 200, 48  # of a pair; the interval says what that leaves open
KINDS = ("piano", "guitar", "bass", "drums")
PAIRS = tuple((part, other) for part in KINDS for other in KINDS if part != other)


@dataclass(frozen=True)
class Passage:
    """One part in ``bars`` bars from ``first`` of song number ``song``, moved to C major or A minor: ``cells`` has its
    ids bar by bar, none empty. ``minor`` and ``metre`` are the song's, ``tempo`` its tempo bin."""

    song: int
    first: int
    kind: str
    cells: tuple[np.ndarray, ...]
    metre: int
    minor: bool
    tempo: int


@dataclass(frozen=True)
class Gain:
    """Nats a note of a part in one song: with its companion given, alone, and with another song's in its place (NaN
    where no other song has such a part)."""

    song: int
    given: float
    alone: float
    foreign: float


def cross_part_gains(
    losses: NoteLosses,
    cells: Cells,
    context: int,
    seed: int = 0,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[tuple[str, str], list[Gain]]:
    """For every one of ``pairs``, ``(part, companion)``: a :class:`Gain` a song that has both, of at most
    :data:`MOST_SONGS` songs drawn with ``seed`` (with drums :data:`MOST_WITH_DRUMS`).
    ``on_done(done, total)`` counts readings.

    All parts are moved to C major or A minor, so that another song's part is in the key of the one it takes the place
    of, and every model is at home there, whatever keys it has learned from.
    """
    random = np.random.default_rng(seed)
    found: dict[tuple[str, str], list[Gain]] = {}
    trials: dict[tuple[str, str], list[_Trial]] = {}
    for part, other in pairs:
        places = [place for song in range(cells.songs) if (place := _place(cells, song, part, other))]
        most = MOST_WITH_DRUMS if "drums" in (part, other) else MOST_SONGS
        chosen = np.sort(random.permutation(len(places))[:most]).tolist()
        trials[part, other] = [
            _trial(mine, its, _rival(its, places, random), cells.vocabulary, context)
            for mine, its in (places[number] for number in chosen)
        ]
    total, before = sum(len(trial.windows) for some in trials.values() for trial in some), 0
    for pair, some in trials.items():

        def tell(done: int, before: int = before) -> None:
            if on_done:
                on_done(before + done, total)

        windows = [window for trial in some for window in trial.windows]
        read = iter(losses.read(windows, tell))
        owner = OWNERS.index(pair[0])
        found[pair] = []
        for trial in some:
            mine = [next(read) for _ in trial.windows]
            nats = [float(one.nats[owner].sum() / max(one.notes[owner], 1)) for one in mine]
            found[pair].append(Gain(trial.song, nats[0], nats[1], nats[2] if len(nats) > 2 else float("nan")))
        before += len(windows)
    return found


@dataclass(frozen=True)
class _Trial:
    """One song's windows: with the companion given, alone, and with another song's, where there is one."""

    song: int
    windows: list[Row]


def _place(cells: Cells, number: int, part: str, other: str) -> tuple[Passage, Passage] | None:
    """The first longest stretch, up to :data:`BARS`, of one metre in which the first parts of both kinds play in each
    bar."""
    song = cells.song(number)
    rows = []
    for kind in (part, other):
        row = [r for r, lane in enumerate(song.lanes.tolist()) if LANES[lane] == (kind, 0)]
        if not row:
            return None
        rows.append(row[0])
    plays = np.all(song.lengths[[1 + r for r in rows]] > 0, axis=0) & (song.metres >= 0)
    best, run = (0, 0), 0
    for bar in range(song.bars):
        run = (run + 1 if bar and song.metres[bar] == song.metres[bar - 1] else 1) if plays[bar] else 0
        if best[1] < min(run, BARS):
            best = (bar - run + 1, min(run, BARS))
    first, bars = best
    if bars < FEWEST_BARS:
        return None
    tonic, mode = estimate_key(song.chroma[first : first + bars].sum(axis=0, dtype=np.int64))
    home = home_shift(tonic, mode)
    for shift in (home, home - 12 if home > 0 else home + 12):
        passages = [_passage(cells.vocabulary, song, number, r, first, bars, shift, mode) for r in rows]
        if all(passages):
            return passages[0], passages[1]  # type: ignore[return-value]  # none is None
    return None


def _passage(
    vocabulary: Vocabulary, song: SongView, number: int, row: int, first: int, bars: int, shift: int, mode: str
) -> Passage | None:
    kind = LANES[song.lanes[row]][0]
    moved = vocabulary.transposition(shift, kind)
    cells = tuple(moved[song.cell(1 + row, bar)] for bar in range(first, first + bars))
    if any((cell < 0).any() for cell in cells):
        return None
    tempo = int(song.tempos[first])
    return Passage(number, first, kind, cells, int(song.metres[first]), mode == "minor", tempo)


def _rival(companion: Passage, places: list[tuple[Passage, Passage]], random: np.random.Generator) -> Passage | None:
    """The companion of another song, of the same metre and mode and as many bars, drawn of those next in tempo."""
    fitting = [
        its
        for _, its in places
        if its.song != companion.song
        and (its.metre, its.minor) == (companion.metre, companion.minor)
        and len(its.cells) >= len(companion.cells)
    ]
    fitting.sort(key=lambda its: (abs(its.tempo - companion.tempo), its.song))
    return fitting[int(random.integers(min(len(fitting), RIVALS)))] if fitting else None


def _trial(part: Passage, companion: Passage, rival: Passage | None, vocabulary: Vocabulary, context: int) -> _Trial:
    bars = len(part.cells)
    while True:  # the same bars for all three
        windows = [_window(part, other, bars) for other in (companion, None, rival)[: 3 if rival else 2]]
        rows = [arrange(window, vocabulary) for window in windows]
        if max(len(ids) for ids, _, _ in rows) <= context:
            return _Trial(part.song, rows)
        bars -= 1


def _window(part: Passage, companion: Passage | None, bars: int) -> Window:
    nothing = np.zeros(0, dtype=np.uint16)
    players = [companion, part] if companion else [part]
    status = np.full((FIRST_PART + len(players), bars), ABSENT, dtype=np.int8)
    status[FIRST_PART:] = MISSING  # the companion stands beside, as midigen.composition.layout has it
    return Window(
        parts=[PartHeader(player.kind) for player in players],
        cells=[[nothing] * bars] * FIRST_PART + [[cell.astype(np.uint16) for cell in p.cells[:bars]] for p in players],
        status=status,
        left=np.full(bars, 64) - np.arange(bars),  # nothing is said of where the song ends
        metre=part.metre,
        tempo=part.tempo,
        key=9 + 12 if part.minor else 0,
        opening=False,
    )


def worths(found: list[Gain]) -> dict[str, list[float]]:
    """What the true companion is worth beside none (``"absent"``) and beside another song's (``"foreign"``), a value a
    song, in nats a note."""
    return {
        "absent": [gain.alone - gain.given for gain in found],
        "foreign": [gain.foreign - gain.given for gain in found],
    }
