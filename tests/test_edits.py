"""Editing a musician's own song: what is asked for is written, and everything else stays, to the event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from midigen.composition.edits import STIFFEST, Edit, accompany_song, continue_song, infill_song
from midigen.composition.player import Player, open_player
from midigen.composition.reading import read_song, ruler_of, says_its_chords
from midigen.errors import BadRequest
from midigen.midi import midi_bytes, read_midi
from midigen.opened import OpenedSong, open_song
from midigen.patching import patch
from midigen.prompt import Prompt
from midigen.score import Metre, Note, Part, Score, Tempo
from midigen.tokenizers.window import FIRST_PART, FORM, HARMONY


@pytest.fixture(scope="module")
def player(tiny_model: Path) -> Player:
    return open_player(tiny_model)


@pytest.fixture
def song(band: Callable[..., Score]) -> OpenedSong:
    return open_song(midi_bytes(band(8, drums=True)), "band.mid")


def done(song: OpenedSong, edit: Edit) -> Score:
    """The song after the edit; :func:`patch` itself refuses to touch anything else."""
    return read_midi(patch(song, spans=edit.spans, added=edit.added, chords=edit.chords))


def notes_of(score: Score, name: str, first: int = 0, last: int = 10**9) -> list[Note]:
    """The notes of a part that begin in bars ``first`` up to ``last`` (of 1920 ticks), counted from 0."""
    (part,) = (part for part in score.parts if part.name == name)
    return [note for note in part.notes if first * 1920 <= note.onset_ticks < last * 1920]


ASKED = Prompt(seed=1, temperature=0.8)


def test_a_song_is_read_to_the_cell(song: OpenedSong, player: Player) -> None:
    reading = read_song(song, player.vocabulary)
    table = reading.table
    assert table.bars == 8 and [lane.kind for lane in table.lanes] == ["piano", "guitar", "bass", "drums"]
    assert not table.wanted.any() and all(table.whole(bar) for bar in range(8))
    assert table.notes(2, 3)[:, 0].tolist() == [0, 12, 24, 36]
    assert (table.notes(1, 0)[:, 2] == [61, 52, 56, 61, 52, 56, 61, 52]).all()  # Am in the guitar's eighths
    assert set(table.shifts.tolist()) <= {0, -3, 3}
    for row in (FORM, HARMONY):
        assert all(len(table.cell(row, bar)) for bar in range(8))


@pytest.mark.parametrize("parts", [["bass"], ["piano", "guitar"], []])
def test_only_the_bars_that_were_asked_for_change(song: OpenedSong, player: Player, parts: list[str]) -> None:
    told: list[tuple[int, int]] = []
    edit = infill_song(song, ASKED, player, parts=parts, bars=(3, 5), on_bar=lambda *bar: told.append(bar))
    after = done(song, edit)
    for part in song.score.parts:
        same = notes_of(after, part.name, 0, 2), notes_of(after, part.name, 5)
        assert same == (notes_of(song.score, part.name, 0, 2), notes_of(song.score, part.name, 5))
        changed = notes_of(after, part.name, 2, 5) != notes_of(song.score, part.name, 2, 5)
        assert changed == (not parts or part.name in parts)
    assert told == [(1, 3), (2, 3), (3, 3)]
    again = infill_song(song, ASKED, player, parts=parts, bars=(3, 5))
    assert again.spans == edit.spans
    assert infill_song(song, replace(ASKED, seed=2), player, parts=parts, bars=(3, 5)).spans != edit.spans


def test_a_variation_keeps_more_the_weaker_it_is(song: OpenedSong, player: Player) -> None:
    theirs = {(n.onset_ticks, n.pitch) for n in notes_of(song.score, "guitar", 0, 8)}

    def kept(strength: float) -> float:
        edit = infill_song(song, ASKED, player, parts=["guitar"], bars=(1, 8), strength=strength)
        ours = {(n.onset_ticks, n.pitch) for n in notes_of(done(song, edit), "guitar", 0, 8)}
        return len(ours & theirs) / len(ours | theirs)

    assert kept(0.0) == 1.0 and kept(0.05) > kept(1.0)
    assert STIFFEST > 0
    assert infill_song(song, ASKED, player, parts=[], bars=(1, 2), strength=0.0) == Edit()


def test_a_song_goes_on_where_it_ended(song: OpenedSong, player: Player) -> None:
    edit = continue_song(song, replace(ASKED, bars=4), player)
    after = done(song, edit)
    assert ruler_of(after).bars <= 12
    for part in song.score.parts:
        assert notes_of(after, part.name, 0, 8) == notes_of(song.score, part.name)
        assert notes_of(after, part.name, 12) == []
    assert any(notes_of(after, part.name, 8, 12) for part in song.score.parts)
    assert edit.chords and edit.chords[0].tick == 8 * 1920


def test_new_parts_play_beside_the_old(song: OpenedSong, player: Player) -> None:
    alone = open_song(midi_bytes(replace(song.score, parts=song.score.parts[:1])))
    edit = accompany_song(alone, replace(ASKED, parts=("bass", "guitar:rhythm")), player)
    after = done(alone, edit)
    assert [part.name for part in after.parts] == ["piano", "bass", "guitar rhythm"]
    assert after.parts[0].notes == alone.score.parts[0].notes
    assert after.parts[2].program == 27 and all(part.notes for part in after.parts)


def test_parts_that_are_not_kept_make_room(song: OpenedSong, player: Player) -> None:
    edit = accompany_song(song, replace(ASKED, parts=("bass",)), player, keep=["guitar", "drums"])
    after = done(song, edit)
    assert {part.name for part in after.parts} == {"guitar", "drums", "bass"}
    assert notes_of(after, "guitar") == notes_of(song.score, "guitar")
    assert notes_of(after, "bass") != notes_of(song.score, "bass")


def melody(program: int = 73, metre: tuple[int, int] = (4, 4)) -> OpenedSong:
    """A flute alone."""
    notes = tuple(Note(240 * i, 72 + (0, 4, 7, 4)[i % 4], 240, 80) for i in range(64))
    score = Score((Part("tune", "other", program, notes=notes),), metres=(Metre(0, *metre),))
    return open_song(midi_bytes(score))


def test_a_melody_on_any_instrument_is_heard_and_harmonised(player: Player) -> None:
    song = melody()
    reading = read_song(song, player.vocabulary)
    assert [lane.kind for lane in reading.table.lanes] == ["piano"]  # a lane is lent to it
    assert len(reading.table.cell(FIRST_PART, 0)) > 0
    assert not says_its_chords(reading.heard, [0])
    told: list[tuple[int, int]] = []
    asked = replace(ASKED, parts=("piano", "bass"))
    edit = accompany_song(song, asked, player, harmonise=True, on_bar=lambda *bar: told.append(bar))
    assert edit.chords and done(song, edit).parts[0].notes == song.score.parts[0].notes
    bars = reading.table.bars  # written for the chords, and once more with the melody beside
    assert told == [(bar, 2 * bars) for bar in range(1, 2 * bars + 1)]
    assert accompany_song(song, asked, player, harmonise=True) == edit


def test_a_melody_goes_on_in_the_lane_it_was_lent(player: Player) -> None:
    song = melody()
    after = done(song, continue_song(song, replace(ASKED, bars=2), player))
    assert [part.program for part in after.parts] == [73] and len(after.parts[0].notes) > len(song.score.parts[0].notes)


def test_a_band_says_its_chords_itself(song: OpenedSong, player: Player) -> None:
    assert says_its_chords(read_song(song, player.vocabulary).heard, [0, 1, 2])


def test_tempo_and_metre_may_change_on_the_way(player: Player, band: Callable[..., Score]) -> None:
    moved = replace(
        band(6), metres=(Metre(0, 4, 4), Metre(3 * 1920, 3, 4)), tempos=(Tempo(0, 100.0), Tempo(1920, 140.0)), bars=None
    )
    song = open_song(midi_bytes(moved))
    edit = infill_song(song, ASKED, player, parts=["bass"], bars=(2, 5))
    after = done(song, edit)
    assert after.metres == moved.metres and len(after.tempos) == 2
    edges = ruler_of(after).starts
    (bass,) = (part for part in after.parts if part.name == "bass")
    inside = [note for note in bass.notes if edges[1] <= note.onset_ticks < edges[5]]
    assert inside and all((note.onset_ticks - edges[1]) % 40 == 0 for note in inside)


@pytest.mark.parametrize("resolution", [24, 96, 220, 960])
def test_other_resolutions_are_kept(player: Player, resolution: int) -> None:
    notes = tuple(Note(resolution * i, 40 + i % 5, resolution // 2, 90) for i in range(32))
    song = open_song(midi_bytes(Score((Part("bass", "bass", 33, notes=notes),), ticks_per_quarter=resolution)))
    edit = infill_song(song, ASKED, player, parts=["bass"], bars=(3, 4))
    bar = 4 * resolution
    assert all(2 * bar <= n.onset_ticks < 4 * bar and n.end_ticks <= 4 * bar for s in edit.spans for n in s.notes)


def test_what_cannot_be_done_is_said_in_one_line(song: OpenedSong, player: Player) -> None:
    cases: list[tuple[Callable[[], Edit], str]] = [
        (lambda: infill_song(song, ASKED, player, parts=["tuba"], bars=(1, 2)), "there are piano (piano), guitar"),
        (lambda: infill_song(song, ASKED, player, parts=[], bars=(7, 9)), "the song has bars 1 to 8"),
        (lambda: infill_song(song, ASKED, player, parts=[], bars=(1, 2), strength=2), "outside 0 (as it is) to 1"),
        (lambda: infill_song(melody(), ASKED, player, parts=[], bars=(1, 2)), "no piano, guitar, bass or drum part"),
        (
            lambda: infill_song(melody(0, (11, 8)), ASKED, player, parts=["tune"], bars=(1, 2)),
            "in a metre the model does not know",
        ),
    ]
    for attempt, words in cases:
        with pytest.raises(BadRequest) as said:
            attempt()
        assert words in str(said.value) and "\n" not in str(said.value)


def test_an_empty_song_and_one_of_drums_alone(player: Player) -> None:
    empty = open_song(midi_bytes(Score(())))
    with pytest.raises(BadRequest, match="no notes"):
        accompany_song(empty, ASKED, player)
    beat = tuple(Note(480 * i, 36, 60, 100) for i in range(16))
    drums = open_song(midi_bytes(Score((Part("kit", "drums", is_drum=True, notes=beat),))))
    edit = accompany_song(drums, replace(ASKED, parts=("bass",)), player)
    assert edit.added[0].notes
    assert np.all([note.end_ticks <= 4 * 1920 for note in edit.added[0].notes])
