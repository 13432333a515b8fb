from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.errors import BadRequest
from midigen.score import (
    KEY_NAMES,
    Bend,
    Control,
    Key,
    Metre,
    Note,
    Part,
    Score,
    Tempo,
    parse_key,
    parse_metre,
    sustained,
    sustained_ends,
)

ticks = st.integers(0, 100_000)
tempo_maps = st.lists(st.builds(Tempo, ticks, st.floats(10, 400)), max_size=6, unique_by=lambda tempo: tempo.tick).map(
    lambda tempos: tuple(sorted(tempos))
)
metre_maps = st.lists(
    st.builds(Metre, ticks, st.integers(1, 13), st.sampled_from((2, 4, 8, 16))), max_size=4, unique_by=lambda m: m.tick
).map(lambda metres: tuple(sorted(metres)))
notes = st.builds(Note, st.integers(0, 500), st.integers(58, 62), st.integers(0, 200), st.integers(1, 127))
pedals = st.builds(Control, st.integers(0, 800), st.just(64), st.sampled_from((0, 63, 64, 127)))
parts = st.builds(
    lambda notes, pedals: Part(
        "piano", notes=tuple(sorted(notes)), controls=tuple(sorted(pedals, key=lambda c: c.tick))
    ),
    st.lists(notes, max_size=20),
    st.lists(pedals, max_size=8),
)


def seconds_by_hand(score: Score, tick: int) -> float:
    """The slow and plain way: add up what lies between one tempo and the next."""
    total = 0.0
    for tempo, following in zip(score.tempos, [*score.tempos[1:], None], strict=True):
        stop = tick if following is None else min(tick, following.tick)
        if stop > tempo.tick:
            total += (stop - tempo.tick) * 60 / (tempo.qpm * score.ticks_per_quarter)
    return total


@given(tempo_maps, st.lists(ticks, min_size=1, max_size=8), st.sampled_from((24, 96, 480, 960)))
def test_seconds_follow_the_tempo_map_and_come_back(tempos: tuple[Tempo, ...], where: list[int], division: int) -> None:
    score = Score((), tempos=tempos, ticks_per_quarter=division)
    seconds = score.seconds(np.array(where))
    assert seconds.shape == (len(where),)
    assert seconds == pytest.approx([seconds_by_hand(score, tick) for tick in where], rel=1e-9, abs=1e-9)
    assert score.ticks(seconds).tolist() == where


def test_without_a_map_the_standard_holds() -> None:
    score = Score((), tempos=(Tempo(960, 60.0),), metres=(Metre(1920, 3, 4),))
    assert float(score.seconds(960)) == pytest.approx(1.0)  # two quarters at 120
    assert float(score.seconds(1440)) == pytest.approx(2.0)  # and one at 60
    assert str(score.metre_at(0)) == "4/4"


@given(metre_maps, st.integers(1, 40))
def test_bars_fill_the_time_from_metre_to_metre(metres: tuple[Metre, ...], count: int) -> None:
    score = Score((), metres=metres)
    starts = score.bar_starts(count)
    assert len(starts) == count
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    changes = {metre.tick for metre in score.metres if metre.tick <= starts[-1]}
    assert changes <= set(starts.tolist())  # a new metre begins a bar
    for start, following in itertools.pairwise(starts):
        length = score.metre_at(int(start)).quarters * score.ticks_per_quarter
        assert following - start <= round(length) + 1


@given(metre_maps, st.integers(0, 20_000))
def test_the_last_note_lies_inside_the_bars(metres: tuple[Metre, ...], end: int) -> None:
    score = Score((Part("x", notes=(Note(0, 60, end, 64),)),), metres=metres)
    starts = score.bar_starts()
    assert starts[-1] >= end
    assert len(starts) < 2 or starts[-2] < max(end, 1)


def test_a_known_length_outlasts_the_notes() -> None:
    score = Score((Part("x", notes=(Note(0, 60, 480, 64),)),), bars=4)
    assert score.end_ticks == 4 * 1920
    assert score.duration_seconds == pytest.approx(8.0)


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_every_name_of_a_key_is_read_back(mode: str) -> None:
    for tonic, name in enumerate(KEY_NAMES[mode]):
        assert parse_key(f"{name} {mode}") == (tonic, mode)
        assert parse_key(str(Key(0, tonic, mode))) == (tonic, mode)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Am", (9, "minor")),
        ("C", (0, "major")),
        (" f#m ", (6, "minor")),
        ("B♭ maj", (10, "major")),
        ("Cb", (11, "major")),
        ("B#", (0, "major")),
        ("E  MINOR", (4, "minor")),
        ("bm", (11, "minor")),
    ],
)
def test_keys_as_people_write_them(text: str, key: tuple[int, str]) -> None:
    assert parse_key(text) == key


@given(st.text(max_size=12))
def test_any_text_is_a_key_or_is_refused(text: str) -> None:
    try:
        tonic, mode = parse_key(text)
    except BadRequest as refused:
        assert "\n" not in str(refused)
    else:
        assert 0 <= tonic < 12
        assert mode in ("major", "minor")


@pytest.mark.parametrize("text", ["", "4", "4/", "/4", "4/3", "0/4", "-3/4", "4/4/4", "²/4", "a/b"])
def test_what_is_no_metre_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_metre(text)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Note(0, 128, 1, 64),
        lambda: Note(0, 60, 1, 0),
        lambda: Note(-1, 60, 1, 64),
        lambda: Note(0, 60, -1, 64),
        lambda: Tempo(0, 0.0),
        lambda: Tempo(0, float("nan")),
        lambda: Metre(0, 0, 4),
        lambda: Metre(0, 4, 3),
        lambda: Key(0, 12, "major"),
        lambda: Key(0, 0, "dorian"),
        lambda: Part("x", program=128),
        lambda: Score((), ticks_per_quarter=0),
    ],
)
def test_nouns_check_themselves(wrong) -> None:
    with pytest.raises(BadRequest):
        wrong()


def end_under_pedal(part: Part, note: Note) -> int:
    """The slow and plain way: walk through the pedal's moves from the moment the key is let go."""
    down = False
    for control in part.controls:
        if control.tick < note.end_ticks:
            down = control.value >= 64
    if not down:
        return note.end_ticks
    release = [c.tick for c in part.controls if c.tick >= note.end_ticks and c.value < 64]
    again = [n.onset_ticks for n in part.notes if n.pitch == note.pitch and n.onset_ticks > note.onset_ticks]
    let_go = release[0] if release else max(n.end_ticks for n in part.notes)
    return max(min([let_go, *again]), note.end_ticks)


@given(parts)
def test_the_pedal_holds_notes(part: Part) -> None:
    held = sustained(part)
    assert sustained_ends(part).tolist() == [end_under_pedal(part, note) for note in part.notes]
    assert sorted(note.end_ticks for note in held.notes) == sorted(sustained_ends(part).tolist())
    assert held.controls == part.controls
    assert list(held.notes) == sorted(held.notes)
    assert sustained(held) == held


def test_a_pedal_pressed_again_at_once_lets_go_in_between() -> None:
    pedal = (Control(0, 64, 127), Control(480, 64, 0), Control(480, 64, 127), Control(960, 64, 0))
    part = Part("x", notes=(Note(0, 60, 100, 64), Note(500, 64, 100, 64)), controls=pedal, bends=(Bend(0, 5),))
    assert [note.end_ticks for note in sustained(part).notes] == [480, 960]
