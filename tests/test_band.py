"""The miditok tokenizer: songs come back, a saved tokenizer loads, and a stranger's file is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from songs import STYLES, make_song

from midigen.errors import CheckpointError
from midigen.grid import to_grid
from midigen.midi import from_symusic, to_symusic, write_midi
from midigen.score import Metre, Score

miditok = pytest.importorskip("miditok")

from midigen.tokenizers.band import Band  # noqa: E402
from midigen.tokenizers.vocabulary import NOTE_TOKENS, Vocabulary  # noqa: E402


@pytest.fixture(scope="module")
def band() -> Band:
    return Band()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("metre", ["4/4", "6/8"])
def test_a_song_comes_back_note_for_note(band: Band, style: str, metre: str) -> None:
    song = make_song(style, metre=metre, bars=8, tonic=3, mode="minor", tempo_qpm=97)
    back = from_symusic(band.decode(band.encode(to_symusic(song))))
    before, after = to_grid(song), to_grid(back)
    assert [(x.kind, x.slot, x.program) for x in after.lanes] == [(x.kind, x.slot, x.program) for x in before.lanes]
    for lane, other in zip(before.lanes, after.lanes, strict=True):
        np.testing.assert_array_equal(lane.notes[:, [0, 1, 3, 4]], other.notes[:, [0, 1, 3, 4]])
    assert str(back.metres[0]) == metre and abs(back.tempos[0].qpm / 97 - 1) < 0.05


@pytest.mark.parametrize("note_tokens", NOTE_TOKENS)
def test_what_was_decoded_encodes_to_the_same_ids(note_tokens: str) -> None:
    band = Band(note_tokens)
    song = make_song("rock", bars=72, human=True)  # longer than one window
    once = band.encode(to_symusic(song))
    again = band.encode(band.decode(once))
    assert band.encode(band.decode(again)).ids == again.ids
    assert once.ids.count(1) == 2 and once.tokens[0] == "START_None"


def test_a_file_is_encoded(band: Band, tmp_path: Path) -> None:
    song = make_song("ballad", bars=8)
    path = write_midi(song, tmp_path / "song.mid")
    assert band.encode(path).ids == band.encode(to_symusic(song)).ids


def test_ids_are_those_of_the_vocabulary(band: Band) -> None:
    v = Vocabulary()
    assert len(band) == v.size
    assert {token: name for name, token in band.vocab.items()} == {t: v.name(t) for t in range(v.size)}


@pytest.mark.parametrize("note_tokens", ["running", "attribute"])
def test_a_saved_tokenizer_loads(tmp_path: Path, note_tokens: str) -> None:
    band = Band(note_tokens)
    band.save(tmp_path / "tokenizer.json")
    again = Band(params=tmp_path / "tokenizer.json")
    assert again.lanes_vocabulary.note_tokens == note_tokens and again.vocab == band.vocab
    song = to_symusic(make_song("shuffle", bars=8))
    assert again.encode(song).ids == band.encode(song).ids


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path, band: Band) -> None:
    path = tmp_path / "remi.json"
    miditok.REMI().save(path)
    with pytest.raises(CheckpointError, match="train again") as caught:
        Band(params=path)
    assert "\n" not in str(caught.value)
    band.save(tmp_path / "band.json")
    changed: dict[str, Any] = json.loads((tmp_path / "band.json").read_text())
    changed["midigen"]["version"] = 99
    path.write_text(json.dumps(changed))
    with pytest.raises(CheckpointError, match="99"):
        Band(params=path)


def test_music_without_a_band_is_no_music(band: Band) -> None:
    empty = band.encode(to_symusic(Score(parts=())))
    assert not from_symusic(band.decode(empty)).parts


def test_a_change_of_metre_opens_another_window(band: Band) -> None:
    song = make_song("rock", bars=12)
    song = replace(song, metres=(Metre(0, 4, 4), Metre(4 * 1920, 3, 4)))
    ids = band.encode(to_symusic(song)).ids
    assert ids.count(1) == 2
    assert from_symusic(band.decode(ids)).bar_starts()[-1] <= 4 * 1920  # as far as the first change


@pytest.mark.parametrize("note_tokens", NOTE_TOKENS)
def test_types_of_tokens_follow_one_another_as_said(note_tokens: str) -> None:
    band = Band(note_tokens)
    for style in STYLES:
        sequence = band.encode(to_symusic(make_song(style, bars=8)))
        assert band.tokens_errors(sequence) == 0
        assert band.tokens_errors(miditok.TokSequence(ids=sequence.ids[::-1])) > 0.1
