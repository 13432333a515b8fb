"""What is off when a piece is written is written again: the part and the bars to blame, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_composition import make_model

from midigen.composition import leaning, open_player
from midigen.composition.counting import Count
from midigen.composition.mending import mend, miss_of
from midigen.composition.player import Player
from midigen.composition.promises import shortfalls
from midigen.composition.settling import Request, open_table
from midigen.composition.table import Lane, Table
from midigen.composition.writing import Writer
from midigen.generation import Sampling
from midigen.prompt import Prompt
from midigen.tokenizers.window import FIRST_PART, HARMONY, PartHeader


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Player:
    return open_player(make_model(tmp_path_factory.mktemp("models") / "brief", 2048, 1.3))


@pytest.fixture
def written(player: Player) -> Callable[..., Writer]:
    def write(**asked: object) -> Writer:
        request = Request.read(Prompt(seed=3, metre="4/4", temperature=0.8, **asked))  # type: ignore[arg-type]
        random = np.random.Generator(np.random.PCG64(3))
        sampling = Sampling(0.8, 0.98)
        table, _ = open_table(request, player.engine, player.vocabulary, player.tokenizer, sampling, random)
        writer = Writer(table, player.engine, sampling, random)
        writer.write()
        return writer

    return write


def cells(table: Table) -> dict[tuple[int, int], bytes]:
    return {(row, bar): table.cell(row, bar).tobytes() for row in range(table.rows) for bar in range(table.bars)}


def test_what_is_as_asked_for_stays(written: Callable[..., Writer]) -> None:
    writer = written(bars=6, parts=("piano", "bass"))
    before, state = cells(writer.table), writer.random.bit_generator.state
    mend(writer)
    assert cells(writer.table) == before and writer.random.bit_generator.state == state


def test_a_part_that_plays_too_little_is_written_again_and_no_other(written: Callable[..., Writer]) -> None:
    writer = written(bars=8, parts=("piano", "bass"), form="A4 A4", ending="open")
    table, row = writer.table, FIRST_PART
    lane = table.lanes[0]
    usual = writer.counts.of(0).notes / 8
    lane.density = (usual * 2, usual * 2 + 4)
    before = cells(table)
    mend(writer)
    after = cells(table)
    changed = {place for place in before if before[place] != after[place]}
    assert changed and {place[0] for place in changed} == {row}
    assert lane.density[0] <= writer.counts.of(0).notes / 8 < lane.density[1]
    assert writer.counts.of(0) == sum((Count.of(table.notes(0, bar)) for bar in range(8)), Count())
    for bar in range(4):  # what was the same is the same again
        if before[row, bar] == before[row, bar + 4] and before[HARMONY, bar] == before[HARMONY, bar + 4]:
            assert after[row, bar] == after[row, bar + 4]


def test_the_key_hears_what_stands_in_the_end(written: Callable[..., Writer]) -> None:
    writer = written(bars=6, parts=("guitar",))
    writer.tonality = leaning.Tonality(0)
    for bar in range(6):
        writer._hear(0, bar, 1)
    writer.write_again({(0, 2)})
    writer.copy(0, 2, 4)
    time = np.zeros(12)
    for bar in range(6):
        notes = writer.table.notes(0, bar)
        np.add.at(time, notes[:, 2] % 12, notes[:, 1])
    assert np.array_equal(writer.tonality._time, time)
    assert writer.table.wanted.all()


def test_what_is_missed_is_told() -> None:
    header = PartHeader("piano", 0)
    played = Count(notes=40, pitches=40 * 60, onsets=20)
    assert miss_of(Lane(header, "piano", density=(4, 6), register=(58, 64), together=(1.5, 2.2)), played, 8) is None
    too_few = miss_of(Lane(header, "piano", density=(6, 8)), played, 8)
    assert too_few is not None and too_few.owed == 7 * 8 - 40 and too_few.of(Count(5)) == 2
    too_high = miss_of(Lane(header, "piano", register=(46, 52)), played, 8)
    assert too_high is not None and too_high.owed == -11 * 40 and too_high.of(Count(2, 110)) == -12
    too_thin = miss_of(Lane(header, "piano", together=(3, 4)), played, 8)
    assert too_thin is not None and too_thin.owed == 30 and too_thin.of(Count(4, 0, 2)) == 3


@pytest.mark.parametrize("kind", ["piano", "guitar"])
def test_a_take_that_misses_its_role_is_at_fault(kind: str, tmp_path: Path) -> None:
    from midigen.score import Key, Note, Part, Score

    request = Request.read(Prompt(bars=2, parts=(f"{kind}:lead",), key="C"))
    chords = tuple(Note(480 * beat, pitch, 480, 80) for beat in range(8) for pitch in (72, 76, 79))
    score = Score((Part(f"{kind} lead", kind, 0, notes=chords),), keys=(Key(0, 6, "major"),), bars=2)
    missed = shortfalls(score, request)
    assert any("3.0 notes at once" in what for what in missed) and any("another key" in what for what in missed)
