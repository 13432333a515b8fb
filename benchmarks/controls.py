"""Whether pieces are what was asked for: every control drawn at random and measured again on the score.

Two pieces in three ask at once for bars, metre, tempo, key, parts (some with roles), their sounds, how much and how
high they play or in what range, mostly for a form, and for an ending: closed in every other piece. The third asks for
piano, guitar and bass and says nothing of how they play: what the other wishes cost its form and ending shows beside
it. Given folders or archives of MIDI files (--songs), it measures on those what has no right answer: how exactly
sections come back, how pieces end, how many velocities there are.

    python -m benchmarks.controls --pieces 30 --songs validation.tar.xz

The key of the notes is :func:`midigen.analysis.estimate_key` over all of them; its relative counts, having the same
signature. Amounts and heights are in the bins of the vocabulary (:data:`midigen.tokenizers.vocabulary.DENSITY_EDGES`
notes a bar, :data:`~midigen.tokenizers.vocabulary.REGISTER_EDGES` of the mean pitch). Bars are compared as the form
lane compares them: notes in common over notes in either, by part, position and pitch. A piece ends closed as
:func:`benchmarks.measures.closes` has it. Intervals are 95 %, by bootstrap over pieces.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.likeness import SCALES
from benchmarks.measures import bar_sets, closes, excerpt, interval, likeness_of, read_scores, repeats_of, straight_grid
from midigen.analysis import beat_chroma, estimate_key
from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.composition.takes import faults_of
from midigen.composition.wishes import DENSITIES, REGISTERS, ROLES
from midigen.errors import BadRequest, MidigenError
from midigen.grid import to_grid
from midigen.instruments import INSTRUMENTS
from midigen.midi import write_midi
from midigen.performance import humanise
from midigen.prompt import DEFAULT_PARTS, METRES, Prompt
from midigen.score import KEY_NAMES, Score, parse_key
from midigen.tokenizers.vocabulary import DENSITY_EDGES, POLYPHONY_EDGES, REGISTER_EDGES

BARS = (8, 12, 16, 20, 24, 28, 32)
FORMS = ("AABA", "ABAB", "ABAC", "AA'BA'", "ABA'B", "AABB", "intro:2 verse chorus verse chorus2", "verse verse2 chorus")
CHANCES = {"piano": 0.85, "guitar": 0.85, "bass": 0.8, "drums": 0.5}
SECOND, ROLE, FORM, RANGE = 0.2, 0.2, 0.75, 0.4  # chances of a second guitar or piano, of a role, a form, a range
PLAIN = 3  # every so many pieces one that says nothing of its parts
STRANGER = 0.15  # of a sound from another family
WINDOW = 8  # bars in which velocities are counted: as many as the shortest piece has
LEAST_REAL = 16  # bars of a real song
EXACT = 0.995

Draw = dict[str, list[list[float]]]  # one list of values a piece


def is_plain(seed: int) -> bool:
    """Whether the piece of ``seed`` says nothing of its parts."""
    return seed % PLAIN == PLAIN - 1


def draw_prompt(seed: int) -> Prompt:
    """A request for a piece, everything in it drawn with ``seed``."""
    random = np.random.default_rng([seed, 2])
    while True:
        kinds = [kind for kind, chance in CHANCES.items() if random.random() < chance]
        if len(set(kinds) - {"drums"}) < 2:
            continue
        if random.random() < SECOND:
            kinds.append(str(random.choice([k for k in kinds if k in ("piano", "guitar")] or ["piano"])))
        parts = tuple(f"{k}:{random.choice(list(ROLES[k]))}" if random.random() < ROLE else k for k in kinds)
        density, register, span, program = {}, {}, {}, {}
        for kind in dict.fromkeys(kinds):
            row = INSTRUMENTS[kind]
            words = list(DENSITIES[kind])
            # In words, or in notes a bar between those of the words' outer bins.
            bins = DENSITIES[kind][words[0]], DENSITIES[kind][words[-1]]
            number = round(float(random.uniform(DENSITY_EDGES[bins[0] - 1], DENSITY_EDGES[bins[1]])), 1)
            density[kind] = str(random.choice(words)) if random.random() < 0.7 else number
            program[kind] = int(random.integers(128) if random.random() < STRANGER else random.choice(row.programs))
            if kind == "drums":
                continue
            if random.random() < RANGE:
                low = int(random.integers(row.lowest, row.highest - 18))
                span[kind] = (low, int(random.integers(low + 12, min(low + 36, row.highest) + 1)))
            else:
                register[kind] = str(random.choice(list(REGISTERS[kind])))
        mode = str(random.choice(("major", "minor")))
        prompt = Prompt(
            bars=int(random.choice(BARS)),
            parts=parts,
            tempo_qpm=float(random.integers(50, 201)),
            key=f"{random.choice(KEY_NAMES[mode])} {mode}",
            metre=str(random.choice(METRES)),
            seed=seed,
            form=str(random.choice(FORMS)) if random.random() < FORM else None,
            density=density, register=register, span=span, program=program,
            ending="close" if seed % 2 == 0 else "open",
        )  # fmt: skip
        if is_plain(seed):
            form = prompt.form or FORMS[0]
            prompt = replace(prompt, parts=DEFAULT_PARTS, density={}, register={}, span={}, program={}, form=form)
        try:
            Request.read(prompt)
        except BadRequest:  # a form that does not go into so few bars
            continue
        return prompt


@dataclass
class Findings:
    """What the pieces were like: by control, the values of each piece."""

    values: Draw = field(default_factory=lambda: defaultdict(list))
    words: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    odd: list[str] = field(default_factory=list)

    def add(self, name: str, values: Sequence[float]) -> None:
        self.values[name].append([float(v) for v in values])

    def __getitem__(self, name: str) -> list[list[float]]:
        return self.values[name]


def check_frame(score: Score, request: Request, found: Findings) -> None:
    """What holds for the whole piece: bars, metre, tempo, parts, key; and what nobody would keep."""
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
    chroma = beat_chroma(straight_grid(score))[0].sum(axis=0)
    found.add("scale", [chroma[SCALES[relative_major(tonic, mode)]].sum() / max(chroma.sum(), 1)])
    heard, heard_mode = estimate_key(chroma)
    in_key = relative_major(heard, heard_mode) == relative_major(tonic, mode)
    found.add("key of the notes", [in_key])
    if not in_key:
        sounds = f"{KEY_NAMES[heard_mode][heard]} {heard_mode}"
        found.odd.append(f"{prompt.seed} (asked for {prompt.key}, sounds in {sounds})")
    found.odd += [f"{prompt.seed} ({fault})" for fault in faults_of(score)]


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


def measure_songs(sources: Sequence[str]) -> Findings:
    """Form, endings and velocities of real songs, in their middle 32 bars; their endings at the end."""
    found = Findings()
    for _, score in read_scores(sources):
        grid = to_grid(score)
        kinds = {lane.kind for lane in grid.lanes} - {"drums"}
        if grid.bars < LEAST_REAL or len(kinds) < 2:
            continue
        bars = min(max(BARS), grid.bars)
        middle = excerpt(grid, (grid.bars - bars) // 2, bars)
        for same, values in repeats_of(middle).items():
            found.add("same" if same else "varied", values)
        if grid.metres[-1] >= 0:
            found.add("ends closed, open", [closes(grid)])
        found.add("velocities", [velocities(score, (grid.bars - WINDOW) // 2)])
    return found


def shown(values: list[list[float]], statistic: Callable[[np.ndarray], float], percent: bool = False) -> str:
    """A statistic with its interval; a dash where nothing was measured."""
    middle, low, high = interval(values, statistic)
    if not np.isfinite(middle):
        return "–"
    if percent:
        return f"{100 * middle:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def share(test: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], float]:
    """The statistic that is the share of values for which ``test`` holds."""
    return lambda values: float(np.mean(test(values)))


def tables(found: Findings, shapes: dict[str, Findings], pieces: int) -> list[str]:
    """The tables, as lines: what was kept; form, endings and velocities, a column for each of ``shapes``; misses."""
    lines = [f"{pieces} pieces; 95 % intervals\n", "| asked for | kept | wanted |", "|---|--:|--:|"]
    for name in ("bars", "metre", "tempo", "parts", "programs", "ranges", "key signature"):
        what = "notes inside the range" if name == "ranges" else name
        lines.append(f"| {what} | {shown(found[name], np.mean, True)} | 100 % |")
    lines.append(f"| key of the notes, or its relative | {shown(found['key of the notes'], np.mean, True)} | 90 % |")
    lines.append(f"| sounding time on the key's scale (natural minor) | {shown(found['scale'], np.mean, True)} | |")
    for name in ("density", "register", "polyphony"):
        what = f"{name} of roles" if name == "polyphony" else name
        lines.append(f"| {what}, exact bin | {shown(found[name], share(lambda x: x == 0), True)} | |")
        lines.append(f"| {what}, within one | {shown(found[name], share(lambda x: abs(x) <= 1), True)} | |")
    exact = share(lambda x: x >= EXACT)
    rows: list[tuple[str, str, Callable[[np.ndarray], float], bool]] = [
        ("bars labelled the same: similarity, median", "same", np.median, False),
        ("bars labelled the same: exact copies", "same", exact, True),
        ("bars labelled as varied: similarity, median", "varied", np.median, False),
        ("bars labelled as varied: exact copies", "varied", exact, True),
        ("bars labelled differently: similarity, median", "different", np.median, False),
        ("last bar closes, `--ending close`", "ends closed, close", np.mean, True),
        ("last bar closes, `--ending open` (real songs: all)", "ends closed, open", np.mean, True),
        ("pieces that nobody would keep", "faults", np.mean, True),
        (f"distinct velocities in {WINDOW} bars, median", "velocities", np.median, False),
        ("the same, `--humanise 1`", "velocities, humanised", np.median, False),
    ]
    lines.append(f"\n| | {' | '.join(shapes)} |\n|---|{'--:|' * len(shapes)}")
    for what, name, statistic, percent in rows:
        cells = [shown(shape[name], statistic, percent) for shape in shapes.values()]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    lines.append(f"\n| bins off, by metre | {' | '.join(METRES)} |\n|---|{'--:|' * len(METRES)}")
    for name in sorted({name for name, _ in found.words}):
        cells = [counted(found.words[name, metre]) for metre in METRES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def counted(values: list[int]) -> str:
    """``-1: 2, 0: 5``: how often a part was so many bins off."""
    return ", ".join(f"{off:+d}: {times}" if off else f"0: {times}" for off, times in sorted(Counter(values).items()))


def main() -> None:
    """Compose, measure and print the tables."""
    parser = argparse.ArgumentParser(description="Whether pieces are what was asked for.")
    parser.add_argument("--pieces", type=int, default=30)
    parser.add_argument("--model", default=None)
    parser.add_argument("--songs", nargs="*", default=[], help="MIDI files, folders or archives of them, to compare")
    parser.add_argument("--save", metavar="FOLDER", help="write every piece here, called by its seed")
    args = parser.parse_args()
    player, found = open_player(args.model), Findings()
    shapes = {"everything asked for": Findings(), "parts as they come": Findings()}
    for seed in range(args.pieces):
        request = Request.read(draw_prompt(seed))
        score, _ = write_piece(request, player)
        check_frame(score, request, found)
        check_parts(score, request, found)
        check_shape(score, request, shapes["parts as they come" if is_plain(seed) else "everything asked for"])
        if args.save:
            Path(args.save).mkdir(parents=True, exist_ok=True)
            write_midi(score, Path(args.save, f"{seed}.mid"))
        print(f"\r{seed + 1} of {args.pieces} pieces", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if args.songs:
        shapes["real songs"] = measure_songs(args.songs)
    print("\n".join(tables(found, shapes, args.pieces)))
    if found.odd:
        print(f"\nSeeds to look at: {'; '.join(found.odd)}.")


if __name__ == "__main__":
    try:
        main()
    except MidigenError as error:
        sys.exit(str(error))
