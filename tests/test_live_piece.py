"""A piece that is handed on bar by bar: the same as when it is written whole, and other from where chords change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from midigen.charts import read_chart
from midigen.composition import open_player, write_piece
from midigen.composition.live import Bar, Change, LivePiece
from midigen.composition.player import Player
from midigen.composition.settling import Request
from midigen.errors import BadRequest
from midigen.prompt import Prompt
from midigen.score import Note, Part, Score

PARTS = ("piano", "guitar", "bass", "drums")


@pytest.fixture(scope="module")
def player(tiny_model: Path) -> Player:
    return open_player(tiny_model)


def played(player: Player, prompt: Prompt, on_bar: Callable[[Bar], Change | None] = lambda bar: None) -> Score:
    """The piece as somebody hears it who takes the last version of every bar."""
    piece = LivePiece(Request.read(prompt), player)
    heard: dict[int, Bar] = {}

    def hear(bar: Bar) -> Change | None:
        heard[bar.number] = bar
        return on_bar(bar)

    piece.write(hear)
    return piece.whole([heard[number] for number in range(piece.bars)])


def beginning_in(score: Score, part: int, bar: Bar) -> list[Note]:
    return [n for n in score.parts[part].notes if bar.start_ticks <= n.onset_ticks < bar.end_ticks]


def begun(part: Part, before: int) -> list[tuple[int, int, int]]:
    """Where, on what key and how strongly notes begin; how long they last may hang on what follows."""
    return [(n.onset_ticks, n.pitch, n.velocity) for n in part.notes if n.onset_ticks < before]


def taken(changes: dict[int, Change], bar: Bar) -> Change | None:
    return changes.pop(bar.number, None)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(bars=20, parts=PARTS, seed=3),
        Prompt(bars=9, parts=PARTS, seed=4, metre="2/4", tempo_qpm=300, ending="open"),
        Prompt(bars=8, parts=("piano", "piano", "bass"), seed=5, metre="6/8", form="AB", density={"bass": "busy"}),
        Prompt(bars=6, seed=6, metre="3/4", chords="[Verse] Dm7 | G7 Am | C", swing=0.8),
    ],
    ids=["plain", "fast", "form", "chart"],
)
def test_the_bars_are_those_of_the_piece_that_is_written_whole(player: Player, prompt: Prompt) -> None:
    whole, _ = write_piece(Request.read(prompt), player, mends=False)
    bars: list[Bar] = []
    piece = LivePiece(Request.read(prompt), player)
    piece.write(bars.append)
    assert [bar.number for bar in bars] == list(range(whole.bars or 0))
    assert piece.whole(bars) == whole
    assert replace(piece.score, parts=()) == replace(whole, parts=(), chords=piece.score.chords)
    for bar in bars:
        for number, part in enumerate(bar.parts):
            expected = beginning_in(whole, number, bar)
            got = list(part.notes)
            assert [(n.onset_ticks, n.pitch, n.velocity) for n in got] == [
                (n.onset_ticks, n.pitch, n.velocity) for n in expected
            ]
            # Only what sounds again, or ends with the piece, is shorter there.
            assert all(long.duration_ticks >= cut.duration_ticks for long, cut in zip(got, expected, strict=True))
            assert (part.name, part.program) == (whole.parts[number].name, whole.parts[number].program)
    told = [text for bar in bars for text in bar.chords]
    assert [t for n, t in enumerate(told) if not n or told[n - 1].text != t.text] == list(whole.chords)


def test_chords_change_from_their_bar_on_and_nothing_before_it(player: Player) -> None:
    prompt = Prompt(bars=16, parts=PARTS, metre="4/4", seed=7)
    before, _ = write_piece(Request.read(prompt), player)
    chart = read_chart("Eb | Bb7")
    seen: list[int] = []

    def change(bar: Bar) -> Change | None:
        seen.append(bar.number)
        return Change(5, chart) if bar.number == 9 and seen.count(9) == 1 else None

    score = played(player, prompt, change)
    assert seen == [*range(10), *range(5, 16)]
    assert [c.text for c in score.chords if c.tick >= 5 * 1920][:3] == ["Eb", "Bb7", "Eb"]
    for part, old in zip(score.parts, before.parts, strict=True):
        assert begun(part, 5 * 1920) == begun(old, 5 * 1920)
        assert part.notes != old.notes


def test_a_change_gives_the_same_piece_however_far_the_writing_was_ahead(player: Player) -> None:
    prompt = Prompt(bars=12, parts=PARTS, metre="4/4", seed=8)
    chart = read_chart("Am | F")
    scores = []
    for ahead in (4, 7, 11):
        changes = {ahead: Change(5, chart)}
        scores.append(played(player, prompt, partial(taken, changes)))
    assert scores[0] == scores[1] == scores[2]


def test_chords_may_be_given_up_again(player: Player) -> None:
    prompt = Prompt(bars=8, metre="4/4", parts=PARTS, seed=9, chords="C | G")
    changes = {3: Change(4, None)}
    score = played(player, prompt, partial(taken, changes))
    texts = [c.text for c in score.chords if c.tick < 4 * 1920]
    assert texts == ["C", "G", "C", "G"]


def test_what_was_heard_stays_in_the_piece(player: Player) -> None:
    """Bars that were played before their new version was ready are those that the piece goes on from, and keeps."""
    prompt = Prompt(bars=8, parts=PARTS, metre="4/4", seed=10)
    first: dict[int, Bar] = {}
    heard: list[Bar] = []
    chart = read_chart("F#")

    def on_bar(bar: Bar) -> Change | None:
        if bar.number not in first:
            first[bar.number] = bar
            return Change(3, chart) if bar.number == 6 else None
        if bar.number == 3:  # too late: 3 and 4 were played
            heard.extend(first[number] for number in range(5))
            return Change(5, chart, heard=tuple(heard[2:]))
        heard.append(bar)
        return None

    piece = LivePiece(Request.read(prompt), player)
    piece.write(on_bar)
    score = piece.whole(heard)
    whole, _ = write_piece(Request.read(prompt), player, mends=False)
    for part, old in zip(score.parts, whole.parts, strict=True):
        assert begun(part, 5 * 1920) == begun(old, 5 * 1920)
    assert [c for c in score.chords if c.tick < 5 * 1920] == [c for c in whole.chords if c.tick < 5 * 1920]
    assert {c.text for c in score.chords if c.tick >= 5 * 1920} == {"F#"}


def test_the_first_bars_alone(player: Player) -> None:
    prompt = Prompt(bars=12, parts=PARTS, metre="4/4", seed=11, form="verse:4 chorus:8")
    bars: list[Bar] = []
    piece = LivePiece(Request.read(prompt), player)
    piece.write(bars.append)
    beginning = piece.whole(bars[:4])
    assert beginning.bars == 4
    assert [m.text for m in beginning.markers] == ["verse"]
    assert max(part.end_ticks for part in beginning.parts) <= 4 * np.diff(beginning.bar_starts(2))[0]


def test_humanise_is_refused(player: Player) -> None:
    with pytest.raises(BadRequest, match="humanise needs the whole piece"):
        LivePiece(Request.read(Prompt(seed=1, humanise=0.5)), player)
