from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.errors import BadFile, MidigenError, OutputError
from midigen.midi import from_pretty_midi, midi_bytes, read_midi, to_pretty_midi, write_midi
from midigen.score import Bend, Control, Key, Metre, Note, Part, Score, Tempo, Text

ticks = st.integers(0, 20_000)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@st.composite
def lines(draw: st.DrawFn) -> tuple[Note, ...]:
    """Notes as a MIDI file can say them: on one key the first to begin is the first to end."""
    notes: list[Note] = []
    for pitch in draw(st.lists(st.integers(0, 127), min_size=1, max_size=4, unique=True)):
        count = draw(st.integers(1, 5))
        onsets = sorted(draw(st.lists(ticks, min_size=count, max_size=count, unique=True)))
        ends = sorted(draw(st.lists(ticks, min_size=count, max_size=count)))
        for onset, end in zip(onsets, ends, strict=True):
            notes.append(Note(onset, pitch, max(end - onset, 0), draw(st.integers(1, 127))))
    return tuple(sorted(notes))


def in_time(events: list) -> tuple:
    return tuple(sorted(events, key=lambda event: event.tick))


controls = st.builds(Control, ticks, st.sampled_from((1, 7, 10, 11, 64, 66)), st.integers(0, 127))
bends = st.builds(Bend, ticks, st.integers(-8192, 8191))
parts = st.builds(
    Part,
    name=words.filter(str.strip).map(str.strip),
    program=st.integers(0, 127),
    bank=st.integers(0, 128 * 128 - 1),
    is_drum=st.booleans(),
    notes=lines(),
    controls=st.lists(controls, max_size=6).map(in_time),
    bends=st.lists(bends, max_size=6).map(in_time),
    lyrics=st.lists(st.builds(Text, ticks, words), max_size=4, unique_by=lambda text: text.tick).map(in_time),
)
# A tempo is kept in whole microseconds a quarter.
tempos = st.builds(lambda tick, microseconds: Tempo(tick, 6e7 / microseconds), ticks, st.integers(150_000, 3_000_000))
metres = st.builds(Metre, ticks, st.integers(1, 15), st.sampled_from((1, 2, 4, 8, 16, 32)))
keys = st.builds(Key, ticks, st.integers(0, 11), st.sampled_from(("major", "minor")))


def one_a_tick(events: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(events, max_size=4, unique_by=lambda event: event.tick).map(in_time)


scores = st.builds(
    Score,
    parts=st.lists(parts, min_size=1, max_size=4, unique_by=lambda part: part.is_drum or id(part)).map(tuple),
    tempos=one_a_tick(tempos),
    metres=one_a_tick(metres),
    keys=one_a_tick(keys),
    markers=one_a_tick(st.builds(Text, ticks, words)),
    lyrics=one_a_tick(st.builds(Text, ticks, words)),
    ticks_per_quarter=st.sampled_from((24, 96, 480, 960)),
)


@given(scores)
def test_what_is_written_is_read(score: Score) -> None:
    found = read_midi(midi_bytes(score))
    assert [p.name for p in found.parts] == [p.name for p in score.parts]
    for part, original in zip(found.parts, score.parts, strict=True):
        assert part.notes == original.notes
        assert (part.program, part.bank, part.is_drum) == (original.program, original.bank, original.is_drum)
        assert part.controls == original.controls
        assert part.bends == original.bends
        assert part.lyrics == original.lyrics
    assert [(t.tick, pytest.approx(t.qpm, rel=1e-6)) for t in found.tempos] == [(t.tick, t.qpm) for t in score.tempos]
    assert found.metres == score.metres
    assert found.keys == score.keys
    assert found.markers == score.markers
    assert found.lyrics == score.lyrics
    assert found.ticks_per_quarter == score.ticks_per_quarter
    assert midi_bytes(replace(found, chords=score.chords, title=score.title)) == midi_bytes(score)


@given(st.binary(max_size=200), st.booleans())
def test_noise_is_refused_and_never_crashes(noise: bytes, with_header: bool) -> None:
    data = midi_bytes(Score((Part("x", notes=(Note(0, 60, 480, 64),)),)))[:14] + noise if with_header else noise
    try:
        read_midi(data, "noise.mid")
    except MidigenError as refused:
        assert str(refused).startswith("noise.mid: ")
        assert "\n" not in str(refused)


@given(st.data())
def test_a_file_cut_short_is_refused_or_read_in_part(data: st.DataObject) -> None:
    whole = midi_bytes(Score((Part("x", notes=tuple(Note(i * 480, 60, 240, 64) for i in range(20))),)))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        score = read_midi(cut, "cut.mid")
    except BadFile as refused:
        assert "\n" not in str(refused)
    else:
        assert all(len(part.notes) <= 20 for part in score.parts)


def test_a_file_from_another_program() -> None:
    # One chunk a line, as the MIDI 1.0 standard's appendix prints files: running status, type 0, two channels.
    data = bytes.fromhex(
        "4d546864 00000006 0000 0001 0060"  # MThd, 6 bytes: type 0, one track, 96 ticks a quarter
        "4d54726b 0000003c"  # MTrk, 60 bytes
        "00 ff58 04 03022408"  # 3/4
        "00 ff51 03 07a120"  # 500,000 microseconds a quarter: 120
        "00 c0 21"  # channel 1: program 33, a bass
        "00 c1 1a"  # channel 2: program 26, a guitar
        "00 90 2460"  # C2
        "60 2400"  # running status: its end, a note on of velocity 0
        "00 91 3c40"  # C4 on channel 2
        "30 e1 0050"  # bent up
        "30 813c40"  # and let go
        "00 90 2660"
        "60 802640"
        "00 99 2a50"  # a closed hi-hat on channel 10
        "30 892a40"
        "00 ff2f00"
    )
    assert int.from_bytes(data[18:22]) == len(data) - 22
    score = read_midi(data)
    assert {(part.kind, part.program, part.is_drum) for part in score.parts} == {
        ("bass", 33, False),
        ("guitar", 26, False),
        ("drums", 0, True),
    }
    by_kind = {part.kind: part for part in score.parts}
    assert by_kind["bass"].notes == (Note(0, 36, 96, 96), Note(192, 38, 96, 96))
    assert by_kind["guitar"].bends == (Bend(144, 2048),)
    assert str(score.metres[0]) == "3/4"
    assert score.ticks_per_quarter == 96


def test_a_riff_wrapped_file_is_read() -> None:
    inner = midi_bytes(Score((Part("x", notes=(Note(0, 60, 480, 64),)),)))
    chunk = b"data" + len(inner).to_bytes(4, "little") + inner
    wrapped = b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"RMID" + chunk
    assert read_midi(wrapped) == read_midi(inner)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a MIDI file"),
        (b"hello, I am a text", "not a MIDI file"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "not a MIDI file"),
        (b"MThd\x00\x00\x00\x06\x00", "truncated"),
        (bytes.fromhex("4d546864 00000006 0000 0001 e728"), "SMPTE"),  # 25 frames of 40 parts a second
        (bytes.fromhex("4d546864 00000006 0000 0001 0000"), "MIDI"),
    ],
    ids=["empty", "text", "wave", "truncated", "film", "no ticks"],
)
def test_what_is_no_midi_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        read_midi(data, "x.mid")


def test_channels_of_one_track_are_not_called_after_it(band: Callable[..., Score]) -> None:
    several = mido.MidiFile(file=io.BytesIO(midi_bytes(band())))
    one = mido.MidiFile(type=0, ticks_per_beat=several.ticks_per_beat)
    one.tracks.append(mido.merge_tracks(list(several.tracks)))
    one.tracks[0].insert(0, mido.MetaMessage("track_name", name="Our Song"))
    data = io.BytesIO()
    one.save(file=data)
    score = read_midi(data.getvalue(), "ours.mid")
    assert len(score.parts) > 1 and [part.name for part in score.parts] == [part.kind for part in score.parts]


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such file"):
        read_midi(tmp_path / "gone.mid")
    with pytest.raises(BadFile, match="cannot be read"):
        read_midi(tmp_path)


def test_the_pedal_keeps_its_order_within_a_tick() -> None:
    track = mido.MidiTrack()
    for message in (
        mido.Message("note_on", note=60, velocity=90, time=0),
        mido.Message("control_change", control=64, value=127, time=100),
        mido.Message("control_change", control=64, value=0, time=0),
        mido.Message("note_off", note=60, time=100),
    ):
        track.append(message)
    file = mido.MidiFile(type=0, ticks_per_beat=480)
    file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    (part,) = read_midi(buffer.getvalue()).parts
    assert [control.value for control in part.controls] == [127, 0]


def test_the_file_is_laid_out_for_a_workstation(band: Callable[..., Score]) -> None:
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(band(drums=True))))
    assert (file.type, file.ticks_per_beat) == (1, 480)
    conductor, *tracks = file.tracks
    kinds = {message.type for message in conductor}
    assert {"set_tempo", "time_signature", "key_signature", "marker", "text", "track_name"} <= kinds
    assert [track.name for track in tracks] == ["piano", "guitar", "bass", "drums"]
    channels = [{m.channel for m in track if not m.is_meta} for track in tracks]
    assert channels == [{0}, {1}, {2}, {9}]
    assert len({sum(m.time for m in track) for track in file.tracks}) == 1  # all tracks end together


def test_writing_leaves_the_file_or_nothing(tmp_path: Path, band: Callable[..., Score]) -> None:
    path = write_midi(band(), tmp_path / "song.mid")
    assert path.read_bytes() == midi_bytes(band())
    (tmp_path / "taken.mid").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_midi(band(), tmp_path / "taken.mid")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["song.mid", "taken.mid"]


def test_pretty_midi_and_back(band: Callable[..., Score]) -> None:
    original = band(drums=True)
    there = to_pretty_midi(original)
    assert [i.name for i in there.instruments] == [p.name for p in original.parts]
    back = from_pretty_midi(there)
    assert [part.name for part in back.parts] == [part.name for part in original.parts]
    for part, first in zip(back.parts, original.parts, strict=True):
        assert len(part.notes) == len(first.notes)
        scale = original.ticks_per_quarter / back.ticks_per_quarter
        assert [n.onset_ticks * scale for n in part.notes] == pytest.approx([n.onset_ticks for n in first.notes], abs=3)
