"""What midigen writes goes through other programs, driven for real where they are installed; and through midi.py."""

from __future__ import annotations

import shutil
import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest
from songs import STYLES, make_song

from benchmarks.studios import FACTS, STUDIOS, Studio, import_into_lmms, look_at, run, studio_song
from midigen.checkpoint import checkpoint_names
from midigen.midi import midi_bytes, read_midi
from midigen.opened import open_song
from midigen.score import Part, Score

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
ALL = set(FACTS)
# What each has to keep; it may keep more in another version.
KEEPS = {
    "midigen itself": ALL,
    "symusic": ALL - {"chords"},
    "mido": ALL,
    "pretty_midi": ALL - {"markers"},
    "midicsv and csvmidi": ALL,
    "music21": ALL - {"markers", "chords"},
    "MuseScore 3": {"notes", "names", "programs", "tempos", "metres", "chords", "lyrics"},
    "timidity": {"notes", "names", "programs", "tempos", "metres", "keys", "chords"},
}
GOOD = {"yes", "played"}


@pytest.mark.filterwarnings("ignore")  # of the other programs' own
@pytest.mark.parametrize("studio", [s for s in STUDIOS if s.name in KEEPS], ids=lambda studio: studio.name)
def test_what_another_program_keeps(studio: Studio) -> None:
    if not studio.is_here:
        pytest.skip(f"{studio.name} is not installed")
    found = look_at(studio, studio_song())
    assert {fact for fact in FACTS if found[fact] in GOOD} >= KEEPS[studio.name], found


@pytest.mark.skipif(shutil.which("lmms") is None, reason="LMMS is not installed")
def test_lmms_imports_it(tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(midi_bytes(studio_song()))
    # It tells of sound cards that are not there; that it ended well, and in time, is looked at inside.
    assert "mthd" in import_into_lmms(tmp_path).lower()


def test_a_program_that_fails_or_hangs_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        run("sh", "-c", "exit 3", folder=tmp_path)
    with pytest.raises(RuntimeError, match="longer than"):
        run("sleep", "5", folder=tmp_path, limit_s=0.1)


def test_more_parts_than_channels() -> None:
    one = make_song("ballad", bars=4)
    parts = [Part(f"part {n}", program=n, notes=one.parts[1 + n % 2].notes) for n in range(40)]
    score = Score((*parts, one.parts[3]), tempos=one.tempos)
    data = midi_bytes(score)
    for found in (read_midi(data), open_song(data).score):
        assert [(p.name, p.program, p.notes) for p in found.parts] == [
            (p.name, p.program, p.notes) for p in score.parts
        ]
    opened = open_song(data)
    assert len({(part.port, part.channel) for part in opened.parts}) == 41
    assert {part.port for part in opened.parts} == {0, 1, 2}
    assert {part.port for part in open_song(midi_bytes(one)).parts} == {0}
    assert b"\xff\x21" not in midi_bytes(one)


def assert_it_returns(data: bytes) -> Score:
    """Read, written, and read again: every note and all that goes with it is there."""
    score = read_midi(data)
    again = read_midi(midi_bytes(score))
    assert [(p.name, p.program, p.bank, p.is_drum) for p in again.parts] == [
        (p.name, p.program, p.bank, p.is_drum) for p in score.parts
    ]
    for part, before in zip(again.parts, score.parts, strict=True):
        assert (part.notes, part.controls, part.bends, part.lyrics) == (
            before.notes, before.controls, before.bends, before.lyrics,
        )  # fmt: skip
    assert (again.tempos, again.metres, again.keys, again.markers, again.lyrics) == (
        score.tempos, score.metres, score.keys, score.markers, score.lyrics,
    )  # fmt: skip
    return score


def assert_the_same(read: Score, song: Score) -> None:
    """Every note there is. Of several that sound on one key of a part MIDI cannot tell which ends when."""
    assert [part.name for part in read.parts] == [part.name for part in song.parts if part.notes]
    for part, before in zip(read.parts, (part for part in song.parts if part.notes), strict=True):
        ends = [sorted((n.pitch, n.end_ticks) for n in one.notes) for one in (part, before)]
        begins = [sorted((n.pitch, n.onset_ticks, n.velocity) for n in one.notes) for one in (part, before)]
        assert ends[0] == ends[1]
        assert begins[0] == begins[1]


def test_two_hundred_songs_of_ours_return_whole() -> None:
    for number in range(200):
        song = make_song(
            STYLES[number % 3],
            tonic=number * 7 % 12,
            mode=("major", "minor")[number % 2],
            metre=("4/4", "3/4", "6/8", "2/4")[number % 4],
            bars=8,
            tempo_qpm=60 + number,
            seed=number,
            human=number % 2 == 1,
        )
        assert_the_same(assert_it_returns(midi_bytes(song)), song)


@pytest.mark.skipif("default" not in checkpoint_names(), reason="no checkpoint in this tree")
def test_songs_that_the_model_writes_return_whole() -> None:
    from midigen.composition import open_player, write_piece
    from midigen.composition.settling import Request
    from midigen.prompt import Prompt

    player = open_player()
    for seed in range(12):
        prompt = Prompt(
            bars=2, parts=("piano", "guitar", "bass", "drums")[: 2 + seed % 3], seed=seed, humanise=seed % 2
        )
        song, _ = write_piece(Request.read(prompt), player)
        assert_the_same(assert_it_returns(midi_bytes(song)), song)


@pytest.mark.skipif(not (CORPUS / "band-val.tar.xz").is_file(), reason="the corpus is not here")
def test_two_hundred_real_songs_return_whole() -> None:
    until = time.monotonic() + 120
    done = lost = 0
    for archive, most in (("band-val.tar.xz", 113), ("clean.tar.xz", 87)):
        taken = 0
        with tarfile.open(CORPUS / archive, "r|xz") as stream:
            for member in stream:
                if taken == most:
                    break
                if not (member.isfile() and member.name.endswith(".mid")):
                    continue
                file = stream.extractfile(member)
                assert file is not None
                data = file.read()
                score = assert_it_returns(data)
                # The quick reader against the one that reads every event: only notes never let go may be missing.
                if taken % 8 == 0:
                    there = Counter(note for part in open_song(data).score.parts for note in part.notes)
                    there.subtract(note for part in score.parts for note in part.notes)
                    assert min(there.values(), default=0) >= 0
                    lost += sum(there.values())
                taken += 1
                done += 1
                assert time.monotonic() < until, f"only {done} in two minutes"
    assert done == 200
    assert lost <= 2
