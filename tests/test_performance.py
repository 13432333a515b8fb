"""What a player adds, and above all what stays as it is written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from songs import QUARTER, STYLES, make_song

from midigen.errors import BadRequest
from midigen.feel import ACCENTS, FEELS, accents_of
from midigen.grid import nearest_duration, to_grid
from midigen.performance import humanise, swing
from midigen.score import Bend, Control, Metre, Note, Part, Score, Tempo, Text, sustained

STEP = QUARTER // 12
BAR = 4 * QUARTER


def steady(kind: str, pitches: tuple[int, ...], step: int, bars: int = 64, *, length: int = 0) -> Score:
    """The same chord at every ``step`` ticks, as a machine plays it; legato without a ``length``."""
    programs = {"piano": 0, "guitar": 25, "bass": 33}
    onsets = range(0, bars * BAR, step)
    notes = tuple(Note(onset, pitch, length or step, 80) for onset in onsets for pitch in pitches)
    return Score((Part(kind, kind, programs.get(kind, 0), is_drum=kind == "drums", notes=notes),))


def late_ms(score: Score, step: int) -> dict[int, np.ndarray]:
    """How late the notes at each onset of a :func:`steady` part are, lowest note first, in ms at 120."""
    table = score.parts[0].note_table
    meant = np.rint(table[:, 0] / step).astype(int) * step
    late: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for at, onset, pitch in zip(meant.tolist(), table[:, 0].tolist(), table[:, 2].tolist(), strict=True):
        late[at].append((pitch, (onset - at) * 500 / QUARTER))
    return {at: np.array([ms for _, ms in sorted(notes)]) for at, notes in sorted(late.items())}


def written(score: Score, part: Part) -> list[tuple[int, int, int]]:
    """Position, pitch and length of every note as the grid has it."""
    table, scale = sustained(part).note_table, 12 / score.ticks_per_quarter
    lengths = np.ones(len(table)) if part.is_drum else nearest_duration(table[:, 1] * scale)
    rows = np.stack([np.rint(table[:, 0] * scale), table[:, 2], lengths], axis=1).astype(int).tolist()
    return sorted((position, pitch, length) for position, pitch, length in rows)


def overlaps(part: Part) -> int:
    """How many notes begin while one of their pitch sounds."""
    ends: dict[int, int] = {}
    count = 0
    for note in part.notes:
        count += note.onset_ticks < ends.get(note.pitch, 0)
        ends[note.pitch] = max(ends.get(note.pitch, 0), note.end_ticks)
    return count


def as_before(score: Score, result: Score) -> bool:
    """Whether nothing but notes differs."""
    stripped = [replace(s, parts=tuple(replace(p, notes=()) for p in s.parts)) for s in (score, result)]
    return stripped[0] == stripped[1]


@st.composite
def parts(draw: st.DrawFn, kind: str, ticks: int, on_grid: bool) -> Part:
    step = ticks // 12 if on_grid else 1
    onset = st.integers(0, 100 if on_grid else 8 * ticks)
    length = st.integers(1, 24) if on_grid else st.integers(0, 3 * ticks)
    rows = draw(st.lists(st.tuples(onset, st.integers(40, 46), length, st.integers(1, 127)), min_size=1, max_size=30))
    # One note a pitch at a time, as fingers have it.
    notes: list[Note] = []
    for at, pitch, duration, velocity in sorted(rows):
        free = all(n.pitch != pitch or (n.end_ticks <= at * step and n.onset_ticks < at * step) for n in notes)
        if free:
            notes.append(Note(at * step, pitch, duration * step, velocity))
    pedal = draw(st.lists(st.tuples(st.integers(0, 10 * ticks), st.integers(0, 127)), max_size=4))
    controls = tuple(Control(tick, 64, value) for tick, value in sorted(pedal))
    return Part(kind, kind, draw(st.integers(24, 27)), kind == "drums", notes=tuple(notes), controls=controls)


@st.composite
def scores(draw: st.DrawFn) -> Score:
    on_grid = draw(st.booleans())
    ticks = draw(st.sampled_from([24, 48, 96, 480, 960] if on_grid else [1, 25, 96, 100, 480, 1000]))
    kinds = draw(st.lists(st.sampled_from(["piano", "guitar", "bass", "drums", "other"]), min_size=1, max_size=2))
    metres = draw(st.sampled_from(["4/4", "3/4", "6/8", "7/8", "2/2"]))
    above, below = map(int, metres.split("/"))
    return Score(
        tuple(draw(parts(kind, ticks, on_grid)) for kind in kinds),
        tempos=(Tempo(0, draw(st.floats(20, 300))), Tempo(2 * ticks + 1, draw(st.floats(20, 300)))),
        metres=(Metre(0, above, below), Metre(3 * ticks, 4, 4)),
        chords=(Text(0, "C"),),
        lyrics=(Text(5, "la"),),
        markers=(Text(3, "verse"),),
        ticks_per_quarter=ticks,
    )


@settings(max_examples=80)
@given(scores(), st.floats(0.05, 1), st.integers(0, 2**32 - 1))
def test_what_is_written_stays(score: Score, amount: float, seed: int) -> None:
    played = humanise(score, amount, seed)
    assert as_before(score, played)
    for part, other in zip(score.parts, played.parts, strict=True):
        assert written(score, part) == written(played, other)
        assert overlaps(other) == 0
        assert other.end_ticks <= part.end_ticks
        assert list(other.notes) == sorted(other.notes)
        assert all(18 <= note.velocity <= 127 for note in other.notes)
        assert min(note.duration_ticks for note in other.notes) >= min(1, *(n.duration_ticks for n in part.notes))
        # One note a pitch and tick, so that the notes of a pitch can be told apart by their order.
        pairs = zip(
            sorted(part.notes, key=lambda n: (n.pitch, n.onset_ticks)),
            sorted(other.notes, key=lambda n: (n.pitch, n.onset_ticks)),
            strict=True,
        )
        moved: dict[int, list[int]] = defaultdict(list)
        for before, after in pairs:
            moved[before.onset_ticks].append(after.onset_ticks)
        order = [moved[onset] for onset in sorted(moved)]
        assert all(max(early) < min(late) for early, late in pairwise(order))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("tempo", "human"), [(20.0, False), (300.0, False), (120.0, True)])
def test_the_grid_reads_the_same_song(style: str, tempo: float, human: bool) -> None:
    song = make_song(style, tempo_qpm=tempo, human=human)
    played = humanise(song, 1.0, 5)
    assert played.parts != song.parts
    before, after = to_grid(song), to_grid(played)
    np.testing.assert_array_equal(before.bar_lengths, after.bar_lengths)
    for lane, other in zip(before.lanes, after.lanes, strict=True):
        np.testing.assert_array_equal(lane.notes[:, :4], other.notes[:, :4])


def test_nothing_asked_is_nothing_done() -> None:
    song = make_song("rock")
    assert humanise(song, 0, 1) is song
    assert swing(song, 0) is song


def test_a_seed_says_it_all() -> None:
    song = make_song("ballad")
    assert humanise(song, 0.7, 3) == humanise(song, 0.7, 3)
    assert humanise(song, 0.7, 3).parts != humanise(song, 0.7, 4).parts


def test_parts_know_nothing_of_each_other() -> None:
    song = make_song("rock")
    whole = {part.name: part for part in humanise(song, 1.0, 9).parts}
    extra = replace(song.parts[0], name="second piano")
    for changed in (song.parts[1:], song.parts[::-1], (extra, *song.parts), song.parts[2:3]):
        for part in humanise(replace(song, parts=tuple(changed)), 1.0, 9).parts:
            assert part == whole.get(part.name, part)
    assert humanise(replace(song, parts=(extra,)), 1.0, 9).parts[0].notes != whole["piano"].notes


def test_two_parts_of_one_name_are_two_players() -> None:
    song = make_song("ballad", parts=("piano",))
    one, two = humanise(replace(song, parts=song.parts * 2), 1.0, 2).parts
    assert one.notes != two.notes


def test_a_later_bar_does_not_change_the_timing_of_an_earlier_one() -> None:
    song = make_song("rock", parts=("bass",))
    cut = replace(song, parts=(replace(song.parts[0], notes=song.parts[0].notes[:-8]),))
    long, short = (humanise(s, 1.0, 1).parts[0].notes for s in (song, cut))
    assert [n.onset_ticks for n in short[:-1]] == [n.onset_ticks for n in long[: len(short) - 1]]


@pytest.mark.parametrize("kind", ["piano", "bass"])
def test_as_loose_as_people_play(kind: str) -> None:
    step, lines = QUARTER // 2, {}
    for amount in (0.5, 1.0):
        straight = steady(kind, (40,), step, length=120)
        played = [late_ms(humanise(straight, amount, seed), step) for seed in range(6)]
        lines[amount] = np.array([np.concatenate(list(late.values())) for late in played])
    wanted = np.mean(FEELS[kind].spread_ms[:2])
    assert lines[1.0].std(axis=1).mean() == pytest.approx(wanted, rel=0.12)
    assert lines[0.5].std(axis=1).mean() == pytest.approx(wanted / 2, rel=0.15)
    rest = lines[1.0] - lines[1.0].mean(axis=1, keepdims=True)
    again = [float(np.mean(rest[:, lag:] * rest[:, :-lag]) / rest.var()) for lag in (1, 2, 24)]
    # Slow enough to lean, quick enough to come back: 0.30, 0.19 and nothing in the corpus.
    assert again == pytest.approx([0.3, 0.19, 0.0], abs=0.08)


def test_a_chord_is_struck_nearly_together() -> None:
    late = late_ms(humanise(steady("piano", (48, 55, 64), QUARTER), 1.0, 3), QUARTER)
    within = np.sqrt(np.mean([values.var(ddof=1) for values in late.values()]))
    between = np.std([values.mean() for values in late.values()])
    assert within == pytest.approx(FEELS["piano"].chord_ms, rel=0.2)
    assert between > 1.5 * within


def test_a_strumming_hand_goes_down_on_the_beat_and_up_between() -> None:
    for step, up_at in ((QUARTER // 2, QUARTER // 2), (QUARTER // 4, QUARTER // 4)):
        strummed = humanise(steady("guitar", (40, 47, 52, 56), step), 1.0, 7)
        late = late_ms(strummed, step)
        rising = {at: bool((np.diff(values) >= 0).all()) for at, values in late.items()}
        falling = {at: bool((np.diff(values) <= 0).all()) for at, values in late.items()}
        beats = [at for at in late if at % QUARTER == 0]
        ups = [at for at in late if at % (2 * up_at) == up_at]
        assert np.mean([rising[at] for at in beats]) > 0.9
        assert np.mean([falling[at] for at in ups]) > 0.7
        assert all(rising[at] or falling[at] for at in late)  # no string out of its turn
    width = [values.max() - values.min() for values in late.values()]
    assert 8 < np.median(width) < 25


def test_two_notes_of_a_guitar_are_no_strum() -> None:
    late = late_ms(humanise(steady("guitar", (40, 47), QUARTER), 1.0, 7), QUARTER)
    assert 0.3 < np.mean([values[0] < values[1] for values in late.values()]) < 0.7


def test_timing_scales_with_the_beat() -> None:
    song = make_song("ballad")
    slow, fast = (humanise(replace(song, tempos=(Tempo(0, qpm),)), 1.0, 1) for qpm in (40.0, 240.0))
    assert slow.parts == fast.parts


def test_too_few_ticks_leave_no_room() -> None:
    coarse = Score((Part("piano", "piano", notes=tuple(Note(24 * i, 60, 24, 70) for i in range(40))),))
    coarse = replace(coarse, ticks_per_quarter=24)
    played = humanise(coarse, 1.0, 1).parts[0]
    assert [n.onset_ticks for n in played.notes] == [24 * i for i in range(40)]
    assert len({n.velocity for n in played.notes}) > 5


def test_an_ornament_moves_as_one() -> None:
    notes = (Note(QUARTER - 9, 72, 8, 80), Note(QUARTER, 74, 200, 80))
    shifts = set()
    for seed in range(20):
        grace, main = humanise(Score((Part("piano", "piano", notes=notes),)), 1.0, seed).parts[0].notes
        assert main.onset_ticks - grace.onset_ticks == 9
        shifts.add(main.onset_ticks - QUARTER)
    assert len(shifts) > 5


def test_flat_velocities_come_alive() -> None:
    for name in ("rock", "shuffle"):
        song = make_song(name, bars=32)
        flat = replace(
            song, parts=tuple(replace(p, notes=tuple(replace(n, velocity=82) for n in p.notes)) for p in song.parts)
        )
        for part in humanise(flat, 1.0, 2).parts:
            velocities = np.array([note.velocity for note in part.notes])
            assert len(np.unique(velocities)) >= 20
            assert abs(velocities.mean() - 82) < 4


def test_hats_get_the_accents_of_the_metre() -> None:
    played = humanise(steady("drums", (42,), QUARTER // 4), 1.0, 4)
    table = played.parts[0].note_table
    place = accents_of(played, np.rint(table[:, 0] / STEP).astype(int))
    loud = {label: table[place == index, 3].mean() for index, label in enumerate(ACCENTS) if (place == index).any()}
    wanted = dict(zip(ACCENTS, FEELS["hats"].accents, strict=True))
    for label in ("downbeat", "half bar", "beat", "offbeat"):
        assert loud[label] - loud["sixteenth"] == pytest.approx(wanted[label] - wanted["sixteenth"], abs=3)


def test_what_is_lively_already_is_only_smoothed() -> None:
    dice = np.random.default_rng(0)
    flat = steady("drums", (42,), QUARTER // 2)
    loud = np.clip(70 - 14 * (np.arange(512) % 2) + dice.normal(0, 12, 512), 20, 120).astype(int) // 4 * 4 + 2
    notes = tuple(replace(n, velocity=v) for n, v in zip(flat.parts[0].notes, loud.tolist(), strict=True))
    lively = replace(flat, parts=(replace(flat.parts[0], notes=notes),))
    played = np.array([n.velocity for n in humanise(lively, 1.0, 1).parts[0].notes])
    assert 0.8 < np.std(played - loud) < 1.6  # what the bins of four took away, no more
    assert len(np.unique(played)) > 2 * len(np.unique(loud))


@pytest.mark.parametrize(
    ("metre", "expected"),
    [
        ((4, 4), {0: "downbeat", 12: "beat", 24: "half bar", 36: "beat", 6: "offbeat", 27: "sixteenth", 16: "triplet"}),
        ((3, 4), {0: "downbeat", 12: "beat", 24: "beat", 18: "offbeat", 35: "sixteenth", 32: "triplet"}),
        ((6, 8), {0: "downbeat", 18: "half bar", 6: "offbeat", 30: "offbeat", 12: "offbeat", 9: "sixteenth"}),
        ((12, 8), {0: "downbeat", 18: "beat", 36: "half bar", 54: "beat", 22: "sixteenth"}),
        ((2, 4), {0: "downbeat", 12: "half bar", 18: "offbeat"}),
    ],
)
def test_places_in_a_bar(metre: tuple[int, int], expected: dict[int, str]) -> None:
    length = metre[0] * 48 // metre[1]
    part = Part("piano", "piano", notes=(Note(0, 60, 12 * BAR, 80),))
    score = Score((part,), metres=(Metre(0, 4, 4), Metre(2 * BAR, *metre)))
    for bar in (0, 3):
        at = np.array(list(expected)) + 96 + bar * length
        assert [ACCENTS[i] for i in accents_of(score, at)] == list(expected.values())


def test_swing_puts_the_offbeat_on_the_triplet() -> None:
    straight = steady("piano", (60,), QUARTER // 2, 2)
    for amount, place in ((1.0, 320), (0.5, 280)):
        notes = swing(straight, amount).parts[0].notes
        assert [n.onset_ticks for n in notes] == [b * QUARTER + o for b in range(8) for o in (0, place)]
        assert [n.duration_ticks for n in notes] == [place, QUARTER - place] * 8  # ends move too
    sixteenths = swing(steady("piano", (60,), QUARTER // 4, 1), 1.0).parts[0].notes
    assert [n.onset_ticks for n in sixteenths[:5]] == [0, 160, 320, 400, 480]
    fine = swing(steady("piano", (60,), QUARTER // 4, 1), 1.0, "sixteenth").parts[0].notes
    assert [n.onset_ticks for n in fine[:5]] == [0, 160, 240, 400, 480]


def test_swing_leaves_triplets_to_the_part_that_plays_them() -> None:
    triplets = steady("piano", (72,), QUARTER // 3, 1).parts[0]
    eighths = steady("bass", (40,), QUARTER // 2, 1).parts[0]
    mixed = replace(triplets, name="both", notes=tuple(sorted(triplets.notes[:6] + eighths.notes[4:])))
    swung = swing(Score((triplets, eighths, mixed)), 1.0).parts
    assert swung[0] == triplets
    assert [n.onset_ticks for n in swung[1].notes[:3]] == [0, 320, 480]
    assert [n.onset_ticks for n in swung[2].notes] == [0, 160, 320, 480, 640, 800, 960, 1280, 1440, 1760]


@settings(max_examples=80)
@given(scores(), st.floats(0.05, 1), st.sampled_from(["eighth", "sixteenth"]))
def test_swing_keeps_the_order_and_the_beats(score: Score, amount: float, unit: str) -> None:
    swung = swing(score, amount, unit)  # the last metre is 4/4, so some bar can always swing
    assert as_before(score, swung)
    np.testing.assert_array_equal(score.bar_starts(16), swung.bar_starts(16))
    pair = score.ticks_per_quarter * (1 if unit == "eighth" else 0.5)
    bars = score.bar_starts()
    for part, other in zip(score.parts, swung.parts, strict=True):
        assert overlaps(other) == 0
        after: dict[int, list[int]] = defaultdict(list)
        pairs = zip(
            sorted(part.notes, key=lambda n: (n.pitch, n.onset_ticks)),
            sorted(other.notes, key=lambda n: (n.pitch, n.onset_ticks)),
            strict=True,
        )
        for before, note in pairs:
            assert note.velocity == before.velocity
            assert 0 <= note.onset_ticks - before.onset_ticks <= pair / 6 + 1
            inside = before.onset_ticks - bars[np.searchsorted(bars, before.onset_ticks, side="right") - 1]
            assert inside % pair or note.onset_ticks == before.onset_ticks
            after[before.onset_ticks].append(note.onset_ticks)
        line = [after[onset] for onset in sorted(after)]
        assert all(len(set(ticks)) == 1 for ticks in line)
        assert all(early[0] <= late[0] for early, late in pairwise(line))


def test_swing_follows_the_metre() -> None:
    eighths = tuple(Note(i * 240, 60, 240, 80) for i in range(24))
    score = Score(
        (Part("piano", "piano", notes=eighths),), metres=(Metre(0, 6, 8), Metre(2880, 3, 4), Metre(4320, 5, 8))
    )
    onsets = [n.onset_ticks for n in swing(score, 1.0).parts[0].notes]
    assert onsets[:12] == [i * 240 for i in range(12)]  # dotted beats have no pairs
    assert onsets[12:18] == [2880 + o for o in (0, 320, 480, 800, 960, 1280)]
    assert onsets[18:] == [4320 + i * 240 for i in range(6)]
    only = replace(score, metres=score.metres[:1])
    with pytest.raises(BadRequest, match=r"swing of eighths in 6/8.*swing sixteenths"):
        swing(only, 0.5)
    notes = tuple(Note(i * 120, 60, 120, 80) for i in range(12))
    fine = swing(replace(only, parts=(replace(only.parts[0], notes=notes),)), 1.0, "sixteenth")
    assert [n.onset_ticks for n in fine.parts[0].notes[:4]] == [0, 160, 240, 400]


def test_swing_does_not_cross_a_bar_line_that_cuts_a_beat() -> None:
    notes = tuple(Note(i * 120, 60, 120, 80) for i in range(16))
    score = Score((Part("piano", "piano", notes=notes),), metres=(Metre(0, 4, 4), Metre(1200, 4, 4)))
    onsets = [n.onset_ticks for n in swing(score, 1.0).parts[0].notes]
    assert onsets[8:12] == [960, 1080, 1200, 1360]  # two sixteenths are left of the first bar, then beats begin anew


def test_swung_and_played_reads_as_swung() -> None:
    swung = swing(make_song("rock"), 1.0)
    for part, other in zip(swung.parts, humanise(swung, 1.0, 1).parts, strict=True):
        assert written(swung, part) == written(swung, other)


def test_controls_bends_and_words_stay(band) -> None:
    score = band(drums=True)
    bent = replace(score.parts[1], bends=(Bend(130, 300), Bend(250, 0)))
    score = replace(score, parts=(score.parts[0], bent, *score.parts[2:]), lyrics=(Text(250, "oh"),))
    for result in (humanise(score, 1.0, 1), swing(score, 0.6), swing(score, 1.0, "sixteenth")):
        assert result != score
        assert as_before(score, result)


def test_a_part_without_notes_is_left_alone() -> None:
    empty = Part("piano", "piano")
    assert humanise(Score((empty,)), 1.0, 1).parts == (empty,)
    assert swing(Score((empty,)), 1.0).parts == (empty,)


@pytest.mark.parametrize("amount", [-0.1, 1.01, float("nan"), "much", True, None])
def test_amounts_are_from_0_to_1(amount: float) -> None:
    song = make_song("rock", bars=4)
    with pytest.raises(BadRequest, match=r"humanise .* from 0 to 1"):
        humanise(song, amount, 1)
    with pytest.raises(BadRequest, match=r"swing .* from 0 to 1"):
        swing(song, amount)


def test_other_mistakes_are_named() -> None:
    song = make_song("rock", bars=4)
    with pytest.raises(BadRequest, match="swing unit 'quarter': choose from eighth, sixteenth"):
        swing(song, 0.5, "quarter")
    for seed in (-1, 1.5, True):
        with pytest.raises(BadRequest, match="humanise seed"):
            humanise(song, 0.5, seed)  # type: ignore[arg-type]
