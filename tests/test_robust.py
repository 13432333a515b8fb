"""Broken files: what comes out is a reading or one line, soon, and in little memory. The long runs: benchmarks/fuzz."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Ended, needs_fluidsynth
from hexdumps import END, header, smf
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.readers import READERS
from benchmarks.fuzz.running import judge, megabytes
from midigen.corpus import find_files
from midigen.errors import BadFile, CorpusError, MidigenError
from midigen.events import LARGEST_FILE, MOST_EVENTS, meta, read_events
from midigen.lyrics import read_lyrics
from midigen.midi import midi_bytes, read_midi
from midigen.opened import open_song
from midigen.score import Note, Part, Score, Text

NOTE = bytes.fromhex("00903c40603c00")
TINY = smf("00 ff0304 566f6978  # a name\n00 ff5103 07a120\n00 c005\n00 903c40\n60 3c00\n00 ff0502 6c61\n" + END)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Whole files for each reader, made once."""
    return {name: reader.seeds(tmp_path_factory.mktemp(name)) for name, reader in READERS.items()}


DOORS = [pytest.param(name, marks=needs_fluidsynth) if name == "synth" else name for name in READERS]


@pytest.mark.parametrize("name", DOORS)
def test_whole_files_are_read(name: str, seeds: dict[str, list[bytes]], tmp_path: Path) -> None:
    verdicts = [judge(name, data, tmp_path) for data in seeds[name]]
    assert all(what in ("read", "refused") for what, _ in verdicts), verdicts
    # An archive is tried as every kind; a song of three notes has no chords to be heard.
    assert name in ("archive", "song") or all(what == "read" for what, _ in verdicts), verdicts


@pytest.mark.parametrize("name", DOORS)
def test_what_is_broken_by_chance(name: str, seeds: dict[str, list[bytes]], tmp_path: Path) -> None:
    for number in range(40):
        data = mutated(seeds[name], READERS[name].words, 7, number)
        what, trace = judge(name, data, tmp_path)
        assert what in ("read", "refused"), (
            f"python -m benchmarks.fuzz {name} --seed 7 --case {number}: {what}\n{trace}"
        )


def test_the_same_number_breaks_the_same_way(seeds: dict[str, list[bytes]]) -> None:
    one, two = (mutated(seeds["midi"], READERS["midi"].words, 1, 5) for _ in range(2))
    assert one == two
    assert one != mutated(seeds["midi"], READERS["midi"].words, 2, 5)


def test_judges_tell_what_may_not_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dataclasses import replace

    import benchmarks.fuzz.running as running

    def two_lines(path: Path, data: bytes) -> None:
        raise BadFile("one\ntwo")

    def hangs(path: Path, data: bytes) -> None:
        while True:
            pass

    monkeypatch.setattr(running, "MOST_SECONDS", 0.1)
    for read, says in (
        (lambda path, data: 1 / 0, "ZeroDivisionError"),
        (two_lines, "several lines"),
        (hangs, "ten seconds"),
    ):
        monkeypatch.setitem(READERS, "midi", replace(READERS["midi"], read=read))
        assert says in judge("midi", b"", tmp_path)[0]


def one_line(read: Callable[[bytes], object], data: bytes) -> str:
    """The refusal of ``read``, or nothing where it reads; never anything else."""
    try:
        read(data)
    except MidigenError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


MIDI_READERS = (read_midi, read_events, open_song)


def test_a_small_file_cut_at_every_byte() -> None:
    for read in MIDI_READERS:
        assert not one_line(read, TINY)
        refused = [bool(one_line(read, TINY[:size])) for size in range(len(TINY))]
        assert all(refused[:14])  # symusic takes the tracks that are whole
    assert all(one_line(open_song, TINY[:size]) for size in range(len(TINY)))


def test_every_bit_of_a_small_file_turned() -> None:
    for place in range(len(TINY) * 8):
        data = bytearray(TINY)
        data[place // 8] ^= 1 << place % 8
        for read in MIDI_READERS:
            one_line(read, bytes(data))


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 18]))
@settings(max_examples=40)
def test_lengths_that_are_wrong(length: int, place: int) -> None:
    data = TINY[:place] + length.to_bytes(4, "big") + TINY[place + 4 :]
    for read in MIDI_READERS:
        one_line(read, data)


@pytest.mark.parametrize("tempo", ["000000", "000001", "ffffff"])
@pytest.mark.parametrize("metre", ["00020818", "ff001808", "01ff1808", "04021808"])
def test_tempos_and_metres_beyond_reason(tempo: str, metre: str) -> None:
    song = smf(f"00 ff5103 {tempo}\n00 ff5804 {metre}\n00 903c40\n8fffff7f 803c00\n{END}", division=1)
    for read in (read_midi, open_song):
        if not one_line(read, song):
            found: Any = read(song)
            score = getattr(found, "score", found)
            assert np.isfinite(score.duration_seconds)
            assert midi_bytes(score)


@pytest.mark.parametrize("name", ["midi", "song", "play", "export", "archive"])
def test_bars_without_end_take_neither_time_nor_memory(
    name: str, seeds: dict[str, list[bytes]], tmp_path: Path
) -> None:
    """Sixty bytes that claim a billion bars."""
    song = smf(f"00 ff5103 000001\n00 ff5804 01061808\n00 903c40\n8fffff7f 803c00\n{END}", division=1)
    before = megabytes()
    assert judge(name, song, tmp_path)[0] in ("read", "refused")
    assert megabytes() - before < 300
    many = smf("".join(f"01 ff5804 0{1 + n % 4}051808\n01 ff5103 07a1{n % 256:02x}\n" for n in range(6_000)) + END,
               "".join("8100 903c40\n60 803c00\n" for _ in range(400)) + END, division=480)  # fmt: skip
    assert judge(name, many, tmp_path)[0] in ("read", "refused")


@pytest.mark.parametrize("name", ["songs.zip", "songs.tar.xz"])
def test_an_archive_that_is_odd_inside_is_told_in_a_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("é.mid", TINY)  # a name that says it is UTF-8, and is not
        path.write_bytes(path.read_bytes().replace("é".encode(), b"\xf1\xa9"))
    else:
        with tarfile.open(path, "w:xz") as archive:
            info = tarfile.TarInfo("a.mid")
            info.size = len(TINY) * 400
            archive.addfile(info, io.BytesIO(np.random.default_rng(0).bytes(info.size)))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
    with pytest.raises(CorpusError, match="cannot be read") as caught:
        for _, _, read in find_files([path]):
            read()
    assert "\n" not in str(caught.value)


def test_times_beyond_32_bits() -> None:
    far = "ffffff7f ff0600\n" * 9  # nine times as far as one delta goes
    for line in ("00 ff510307a120", "00 b04007", "00 e00040", "00 ff0502 6c61", "00 ff5902 0000"):
        song = smf(f"{far}{line}\n{END}", f"00 903c40\n60 803c00\n{END}")
        assert "beyond tick" in one_line(open_song, song)
        if not (said := one_line(read_midi, song)):  # of a track without notes symusic keeps no controllers
            assert midi_bytes(read_midi(song)) and line[3:5] in ("b0", "e0")
        else:
            assert "beyond tick" in said
    with pytest.raises(MidigenError, match="ticks are counted from 0"):
        midi_bytes(Score((), markers=(Text(-1, "x"),)))


def test_tracks_that_are_not_there_and_tracks_without_number() -> None:
    claimed = header(1, 1)[:10] + b"\xff\xff" + header(1, 1)[12:] + TINY[14:]
    assert "track 2 of 65535" in one_line(open_song, claimed)
    one_line(read_midi, claimed)
    empty = b"MTrk\0\0\0\4\0\xff\x2f\0"
    many = header(1, 1)[:10] + b"\xff\xff" + header(1, 1)[12:] + empty * 65_535
    for read in MIDI_READERS:
        one_line(read, many)


def test_a_hundred_megabytes_of_one_note(tmp_path: Path) -> None:
    """In a process of its own, so that its memory can be told from ours."""
    track = NOTE * (100 * 2**20 // len(NOTE))
    path = tmp_path / "long.mid"
    with path.open("wb") as file:
        file.write(header(1, 1) + b"MTrk" + struct.pack(">I", len(track)))
        file.write(track)
    just = tmp_path / "just.mid"
    body = NOTE[:4] + bytes.fromhex("603c00003c40") * (MOST_EVENTS // 4 - 10) + bytes.fromhex("00ff2f00")
    just.write_bytes(header(1, 1) + b"MTrk" + struct.pack(">I", len(body)) + body)
    script = (
        "import resource, sys, time\n"
        "from midigen.errors import MidigenError\nfrom midigen.midi import read_midi\n"
        "from midigen.opened import open_song\n"
        "base, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()\n"
        "for path in sys.argv[1:]:\n"
        "    for read in (read_midi, open_song):\n"
        "        try: found = read(path); print('read')\n"
        "        except MidigenError as error: print(error)\n"
        "        found = None\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base, time.monotonic() - began)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), str(just)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    *lines, numbers = done.stdout.splitlines()
    assert done.stderr == ""
    assert [line.partition(": ")[2][:22] for line in lines[:2]] == ["larger than 16 MB; giv"] * 2
    kilobytes, seconds = map(float, numbers.split())
    assert kilobytes < 500 * 1024
    assert seconds < 40  # for four readings; a machine may be busy
    assert path.stat().st_size > LARGEST_FILE


@pytest.mark.parametrize("charset", ["latin-1", "cp1251", "shift_jis", "gb18030", "big5", "euc_kr", "utf-16"])
def test_texts_in_any_charset(charset: str) -> None:
    for words in ("Über é", "Привет", "ピアノ", "钢琴", "피아노", "\ud7a3"):
        try:
            text = words.encode(charset)
        except UnicodeEncodeError:
            continue
        lines = "\n".join(f"00 {meta(kind, text).hex()}" for kind in (1, 3, 4, 5, 6))
        song = smf(f"{lines}\n00 903c40\n60 803c00\n{END}")
        for found in (read_midi(song), open_song(song).score):
            midi_bytes(found)
        one_line(read_lyrics, song)


def test_brackets_inside_brackets_without_end(midigen: Callable[..., Ended]) -> None:
    deep = "[" * 200_000
    Path("midigen.json").write_text(deep)
    Path("mix.toml").write_text(f"a = {deep}")
    Path("words.txt").write_text(deep)
    Path("chart.txt").write_text(f"| C {deep}")
    Path("checkpoint").mkdir()
    Path("checkpoint/config.json").write_text(deep)
    Path("song.mid").write_bytes(midi_bytes(Score((Part("x", notes=(Note(0, 60, 480, 64),)),))))
    for words in (
        ("compose", "--again", "midigen.json"),
        ("mix", "mix.toml"),
        ("lyrics", "song.mid", "words.txt"),
        ("compose", "--chords", "chart.txt"),
        ("compose", "--model", "checkpoint", "--bars", 1),
    ):
        assert midigen(*words).complains(), words


def wav(samples: np.ndarray, subtype: str = "FLOAT") -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 44_100, format="WAV", subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (wav(np.zeros((0, 2))), "no sound"),
        (wav(np.full((64, 2), np.nan)), "not numbers"),
        (wav(np.full((64, 2), np.inf)), "not numbers"),
        (wav(np.zeros((64, 2)))[:30], "not audio"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(4096), "not audio"),  # a video, renamed
        (b"\x1a\x45\xdf\xa3" + bytes(2048), "not audio"),  # Matroska
        (TINY, "not audio"),
    ],
    ids=["empty", "no frames", "NaN", "infinite", "cut", "MP4", "Matroska", "MIDI"],
)
def test_sounds_that_are_none(data: bytes, says: str, midigen: Callable[..., Ended]) -> None:
    Path("sound.wav").write_bytes(data)
    assert midigen("meter", "sound.wav").complains("sound.wav", says)


def test_a_header_that_promises_hours_takes_no_memory(tmp_path: Path) -> None:
    whole = wav(np.zeros((64, 2)), "PCM_16")
    at = whole.index(b"data") + 4
    for size in (0x7FFFFFF0, 0xFFFFFFFF):
        data = whole[:at] + struct.pack("<I", size) + whole[at + 4 :]
        assert judge("sound", data, tmp_path)[0] in ("read", "refused")


def test_a_record_of_other_types(tmp_path: Path, seeds: dict[str, list[bytes]]) -> None:
    record = json.loads(seeds["record"][0])
    for key in record["settings"]:
        values: list[Any] = [None, True, -1, 1e308, "", "x", [], {}, [[]], {"piano": None}, {"piano": 1e300}]
        for value in values:
            changed = {**record, "settings": {**record["settings"], key: value}}
            what, trace = judge("record", json.dumps(changed).encode(), tmp_path)
            assert what in ("read", "refused"), f"{key} = {value!r}: {what}\n{trace}"
