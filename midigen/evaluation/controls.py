"""Whether pieces are what was asked for: every control measured again on the score.

The key of the notes is :func:`midigen.analysis.estimate_key` over all of them; its relative counts, having the same
signature. Amounts and heights are in the bins of the vocabulary (:data:`midigen.tokenizers.vocabulary.DENSITY_EDGES`
notes a bar, :data:`~midigen.tokenizers.vocabulary.REGISTER_EDGES` of the mean pitch). Bars are compared as the form
lane compares them: notes in common over notes in either, by part, position and pitch. A piece ends closed as
:func:`midigen.evaluation.bars.closes` has it. Intervals are 95 %, by bootstrap over pieces; where all pieces are alike,
score intervals of their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from midigen.analysis import beat_chroma, estimate_key
from midigen.charts import parse_chart
from midigen.composition.settling import Request
from midigen.composition.takes import faults_of
from midigen.errors import MidigenError
from midigen.evaluation.bars import bar_sets, closes, likeness_of, repeats_of, straight_grid, stretch
from midigen.evaluation.chords import bass_at_changes, chord_tone_share, recovered
from midigen.evaluation.measures import SCALES
from midigen.evaluation.statistics import Interval, pooled
from midigen.evaluation.statistics import share as of_pieces
from midigen.grid import to_grid
from midigen.instruments import INSTRUMENTS
from midigen.performance import humanise, swing
from midigen.score import KEY_NAMES, Score, parse_key
from midigen.tokenizers.vocabulary import DENSITY_EDGES, POLYPHONY_EDGES, REGISTER_EDGES

WINDOW = 8  # bars in which velocities are counted: as many as the shortest piece has
LEAST_REAL, MOST_REAL = 16, 32  # bars of a real song
EXACT = 0.995


@dataclass
class Findings:
    """What pieces were like: by control, the values of each piece; how many bins a part was off, by what was asked of
    which instrument and by metre; and what is odd, by the piece's seed."""

    values: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    words: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    odd: list[str] = field(default_factory=list)

    def add(self, name: str, values: Sequence[float]) -> None:
        """The values of one piece; a piece may have none."""
        self.values[name].append([float(v) for v in values if np.isfinite(v)])

    def __getitem__(self, name: str) -> list[list[float]]:
        return self.values[name]


def check(score: Score, request: Request, found: Findings, shapes: Findings | None = None) -> None:
    """Measure everything that ``request`` asks for on ``score``; of the form, the ending and the velocities into
    ``shapes``, where that is given."""
    check_frame(score, request, found)
    check_parts(score, request, found)
    check_chords(score, request, found)
    check_swing(score, found)
    check_shape(score, request, shapes or found)


def check_frame(score: Score, request: Request, found: Findings) -> None:
    """What holds for the whole piece: bars, metre, tempo, parts, sections, key; and what nobody would keep."""
    prompt = request.prompt
    assert prompt.key is not None
    tonic, mode = parse_key(prompt.key)
    end = int(score.bar_starts(request.bars + 1)[-1])
    last = max((note.end_ticks for part in score.parts for note in part.notes), default=0)
    found.add("bars", [score.bars == request.bars and last <= end])
    found.add("metre", [[str(metre) for metre in score.metres] == [prompt.metre]])
    found.add("tempo", [[tempo.qpm for tempo in score.tempos] == [prompt.tempo_qpm]])
    got = tuple((part.name, part.kind) for part in score.parts)
    found.add("parts", [got == tuple(zip(prompt.part_names, prompt.kinds, strict=True))])
    found.add("key signature", [[(key.tonic, key.mode) for key in score.keys] == [(tonic, mode)]])
    if request.form is not None:
        starts = score.bar_starts(request.bars)
        wanted = [(int(starts[section.first]), section.name) for section in request.form.sections]
        found.add("sections", [[(marker.tick, marker.text) for marker in score.markers] == wanted])
    found.odd += [f"{prompt.seed} ({fault})" for fault in faults_of(score)]
    if request.chart is not None:  # whose chords are asked for, whatever their key
        return
    chroma = beat_chroma(straight_grid(score))[0].sum(axis=0)
    found.add("scale", [chroma[SCALES[relative_major(tonic, mode)]].sum() / max(chroma.sum(), 1)])
    heard, heard_mode = estimate_key(chroma)
    in_key = relative_major(heard, heard_mode) == relative_major(tonic, mode)
    found.add("key of the notes", [in_key])
    if not in_key:
        sounds = f"{KEY_NAMES[heard_mode][heard]} {heard_mode}"
        found.odd.append(f"{prompt.seed} (asked for {prompt.key}, sounds in {sounds})")


def relative_major(tonic: int, mode: str) -> int:
    """The tonic of the major key with the same signature."""
    return (tonic + (3 if mode == "minor" else 0)) % 12


def check_parts(score: Score, request: Request, found: Findings) -> None:
    """Sounds, ranges, amounts and heights of the parts."""
    rows: dict[str, list[float]] = {"programs": [], "ranges": [], "density": [], "register": [], "polyphony": []}
    for part, wish in zip(score.parts, request.wishes, strict=True):
        pitches = np.array([note.pitch for note in part.notes])
        if wish.program is not None:
            rows["programs"].append(part.program == wish.program)
        if wish.span is not None:
            rows["ranges"] += ((pitches >= wish.span[0]) & (pitches <= wish.span[1])).tolist()
        if wish.density is not None:
            off = int(np.searchsorted(DENSITY_EDGES, len(pitches) / request.bars, side="right")) - wish.density
            rows["density"].append(off)
            found.words[f"density of {part.kind}", request.prompt.metre or ""].append(off)
        if wish.register_bounds is not None and wish.span is None and len(pitches):
            asked = np.searchsorted(REGISTER_EDGES, np.mean(wish.register_bounds), side="right")
            off = int(np.searchsorted(REGISTER_EDGES, pitches.mean(), side="right") - asked)
            rows["register"].append(off)
            found.words[f"register of {part.kind}", request.prompt.metre or ""].append(off)
        if wish.polyphony is not None and len(pitches):
            onsets = len({note.onset_ticks for note in part.notes})
            rows["polyphony"].append(
                int(np.searchsorted(POLYPHONY_EDGES, len(pitches) / onsets, side="right")) - wish.polyphony
            )
    for name, values in rows.items():
        found.add(name, values)


def check_chords(score: Score, request: Request, found: Findings) -> None:
    """Whether the chart's symbols stand where it has them, and whether they are played."""
    if request.chart is None or request.prompt.chords is None:
        return
    metre, ticks = request.prompt.metre or "4/4", score.bar_starts(request.bars)
    wanted = [(int(ticks[bar]), symbol) for bar, position, symbol in request.chart.symbols(request.bars, metre)
              if position == 0]  # fmt: skip
    changes = [w for before, w in zip([None, *wanted], wanted, strict=False) if not before or before[1] != w[1]]
    found.add("chord symbols", [[(text.tick, text.text) for text in score.chords] == changes])
    chords = parse_chart(request.prompt.chords).chords(request.bars, metre)
    grid = stretch(straight_grid(score), 0, request.bars)
    begun, firm = bass_at_changes(grid, chords)
    third, _, _ = recovered(grid, chords)
    for name, value in (("chord tones", chord_tone_share(grid, chords)), ("bass at changes", begun),
                        ("firm bass", firm), ("chords heard", third)):  # fmt: skip
        found.add(name, [value])


def check_swing(score: Score, found: Findings) -> None:
    """Whether the second eighth of a beat comes where a swing of one half puts it: 7/12 into the beat."""
    if score.metres[0].denominator != 4:
        return
    quarter, before, after = score.ticks_per_quarter, [], []
    for straight, swung in zip(score.parts, swing(score, 0.5).parts, strict=True):
        before += straight.note_table[:, 0].tolist()
        after += swung.note_table[:, 0].tolist()
    offbeats = [late % quarter for on, late in zip(before, after, strict=True) if on % quarter == quarter // 2]
    # A beat in which a part plays triplets is left as it is: it swings already.
    found.add("swing", [abs(place - 7 * quarter / 12) <= 1 for place in offbeats])


def check_shape(score: Score, request: Request, found: Findings) -> None:
    """How alike bars are to those that they are to follow, and to those of sections with another name; the ending,
    the velocities, and whether anything is wrong with the piece."""
    grid, seed = straight_grid(score, tuple(INSTRUMENTS)), request.prompt.seed
    assert seed is not None
    found.add(f"ends closed, {request.prompt.ending}", [closes(grid)])
    found.add("faults", [bool(faults_of(score))])
    found.add("velocities", [velocities(score, 0)])
    found.add("velocities, humanised", [velocities(humanise(score, 1.0, seed), 0)])
    if request.form is None:
        return
    sets, last = bar_sets(grid), request.bars - (request.prompt.ending == "close")  # a bar that closes is like no other
    follows = request.form.follows
    for same, name in ((True, "same"), (False, "varied")):
        pairs = [(bar, f[0]) for bar, f in enumerate(follows[:last]) if f and f[0] >= 0 and f[1] == same]
        found.add(name, [likeness_of(sets[bar], sets[other]) for bar, other in pairs])
    sections = request.form.sections
    pairs = [
        (one.first + bar, other.first + bar)
        for number, one in enumerate(sections)
        for other in sections[:number]
        if one.base != other.base
        for bar in range(min(one.bars, other.bars))
        if one.first + bar < last
    ]
    found.add("different", [likeness_of(sets[bar], sets[other]) for bar, other in pairs])


def velocities(score: Score, first: int) -> int:
    """Distinct velocities of piano, guitar and bass in :data:`WINDOW` bars from ``first`` on."""
    begin, end = score.bar_starts(first + WINDOW + 1)[[first, -1]]
    pitched = [part for part in score.parts if part.kind in INSTRUMENTS and not part.is_drum]
    return len({n.velocity for part in pitched for n in part.notes if begin <= n.onset_ticks < end})


def observe(score: Score, found: Findings) -> None:
    """Form, ending and velocities of a real song, in its middle bars, its ending at the end: what has no right answer
    is compared with these. One that has no usable grid is passed over."""
    try:
        grid = to_grid(score)
    except MidigenError:
        return
    kinds = {lane.kind for lane in grid.lanes} - {"drums"}
    if grid.bars < LEAST_REAL or len(kinds) < 2:
        return
    bars = min(MOST_REAL, grid.bars)
    for same, values in repeats_of(stretch(grid, (grid.bars - bars) // 2, bars)).items():
        found.add("same" if same else "varied", values)
    if grid.metres[-1] >= 0:
        found.add("ends closed, open", [closes(grid)])
    found.add("velocities", [velocities(score, (grid.bars - WINDOW) // 2)])


def share(test: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], float]:
    """The statistic that is the share of values for which ``test`` holds."""
    return lambda values: float(np.mean(test(values)))


@dataclass(frozen=True)
class Row:
    """A line of the table: what is said, of which values, summed up how, as a percentage or not, and what a perfect
    band would reach, where there is such a thing."""

    said: str
    name: str
    statistic: Callable[[np.ndarray], float] = np.mean
    percent: bool = True
    wanted: str = ""

    def of(self, found: Findings) -> Interval:
        """Its value with its interval over pieces."""
        groups = [group for group in found.values.get(self.name, []) if group]
        whole = pooled(groups, self.statistic)
        if self.percent and whole.low == whole.high and whole.value in (0, 1):
            # All pieces alike: what no draw of them can tell from certainty.
            return of_pieces([bool(whole.value)] * len(groups))
        return whole


_ALL = "100 %"
_EXACT = share(lambda x: x >= EXACT)
_SAME, _NEAR = share(lambda x: x == 0), share(lambda x: np.abs(x) <= 1)
KEPT = (
    *(Row(name, name, wanted=_ALL) for name in ("bars", "metre", "tempo", "parts", "programs")),
    Row("notes inside the range", "ranges", wanted=_ALL),
    *(Row(name, name, wanted=_ALL) for name in ("key signature", "sections", "chord symbols")),
    Row("offbeats where `--swing 0.5` puts them", "swing"),
    Row("key of the notes, or its relative", "key of the notes", wanted="90 %"),
    Row("sounding time on the key's scale (natural minor)", "scale"),
    Row("density, exact bin", "density", _SAME),
    Row("density, within one", "density", _NEAR),
    Row("register, exact bin", "register", _SAME),
    Row("register, within one", "register", _NEAR),
    Row("polyphony of roles, exact bin", "polyphony", _SAME),
    Row("polyphony of roles, within one", "polyphony", _NEAR),
    Row("sounding time on tones of the chart's chords", "chord tones"),
    Row("changes of chord at which the bass begins a note", "bass at changes"),
    Row("of those, on the root, the fifth or the written bass", "firm bass"),
    Row("bars whose chord is heard again: root and third", "chords heard"),
)
SHAPES = (
    Row("bars labelled the same: similarity, median", "same", np.median, False),
    Row("bars labelled the same: exact copies", "same", _EXACT),
    Row("bars labelled as varied: similarity, median", "varied", np.median, False),
    Row("bars labelled as varied: exact copies", "varied", _EXACT),
    Row("bars labelled differently: similarity, median", "different", np.median, False),
    Row("last bar closes, `--ending close`", "ends closed, close"),
    Row("last bar closes, `--ending open` (real songs: all)", "ends closed, open"),
    Row("pieces that nobody would keep", "faults"),
    Row(f"distinct velocities in {WINDOW} bars, median", "velocities", np.median, False),
    Row("the same, `--humanise 1`", "velocities, humanised", np.median, False),
)
