"""Every door by which a file comes into midigen, and small whole files for each, to be broken."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz import doors
from benchmarks.studios import studio_song
from midigen.midi import midi_bytes

WORDS = (b"[Verse]\nWal-king down__ the riv-er | road\n\n\xe6\x9c\x88\xe4\xba\xae * la~la", "été où Straße".encode())
CHARTS = (
    b"{title: T}\n{key: A minor}\n{time: 4/4}\n[verse]\nC | Am7 | F G/B | %\n|: C7(b9,#11) / / N.C. :| x3\n",
    b"[C]Some [Am7]words [F#m7b5/A]here\n{soc}\n[G]la\n{eoc}\n{chorus}\n",
    b"C      Am7   F\nSome words to sing\n",
)


@dataclass(frozen=True)
class Reader:
    """A door: what is done with a file (its path, and what is in it), the file's name, and whole files to begin with.

    ``words`` are pieces that files of this kind are made of, to be put in where it hurts.
    """

    read: Callable[[Path, bytes], object]
    name: str
    seeds: Callable[[Path], list[bytes]]
    words: tuple[bytes, ...] = ()


def _read_midi(path: Path, data: bytes) -> None:
    from midigen.errors import MidigenError
    from midigen.events import read_events
    from midigen.midi import midi_bytes, read_midi
    from midigen.opened import open_song

    refusals = []
    for read in (read_midi, read_events, open_song):
        try:
            found = read(data, "broken.mid")  # type: ignore[operator]
        except MidigenError as error:
            refusals.append(error)
            continue
        if read is not read_events:
            score: Any = getattr(found, "score", found)
            score.duration_seconds  # noqa: B018
            midi_bytes(score)
    if refusals:
        raise refusals[0]


def _read_whole_midi(path: Path, data: bytes) -> None:
    """A grid, chords and lyrics from it too: what the verbs do with a song before the model is asked."""
    from midigen.errors import MidigenError
    from midigen.grid import to_grid
    from midigen.lyrics import read_lyrics, set_lyrics
    from midigen.midi import read_midi
    from midigen.opened import open_song
    from midigen.sections import hear

    refusals = []
    score = read_midi(data, "broken.mid")
    for work in (
        lambda: to_grid(score),
        lambda: hear(score),
        lambda: open_song(data, "broken.mid"),
        lambda: read_lyrics(data),
        lambda: set_lyrics(data, "la la la\nlo", language="en", replacing=True),
    ):
        try:
            work()
        except MidigenError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def midi_seeds(folder: Path) -> list[bytes]:
    """Small files with every kind of event; type 0 and 1, RIFF, karaoke, other charsets."""
    from midigen.lyrics import set_lyrics

    song = midi_bytes(studio_song())
    note = bytes.fromhex("00903c40603c0000ff2f00")
    tiny = b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk" + struct.pack(">I", len(note)) + note
    odd = bytes.fromhex(
        "00ff0303e38394 00ff51031e8480 00ff580406030818 00ff5902fd01 00ff0600 00ff7f0143 00f0034312f7 00f702ff51"
        "00c005 00b04079 00e00040 00a03c40 00d050 00903c40 10 3c00 00903c40 00903c41 8100803c40 00ff0502e9e8 00ff2f00"
    )
    events = b"MThd\0\0\0\6\0\1\0\2\1\xe0MTrk" + struct.pack(">I", len(odd)) + odd
    events += b"XFIH\0\0\0\2ab" + b"MTrk" + struct.pack(">I", len(note)) + note
    riff = b"RMIDdata" + struct.pack("<I", len(tiny)) + tiny + b"\0" * (len(tiny) % 2)
    kar = set_lyrics(song, "la la\nlo", language="en", replacing=True).kar
    return [song, tiny, events, b"RIFF" + struct.pack("<I", len(riff)) + riff, kar]


MIDI_WORDS = (
    b"MThd", b"MTrk", b"\xff\x2f\0", b"\xff\x51\x03\0\0\0", b"\xff\x51\x03\xff\xff\xff", b"\xff\x58\x04\0\0\0\0",
    b"\xff\x58\x04\xff\x06\x18\x08", b"\xff\x59\x02\x80\x01", b"\xff\xff\xff\x7f", b"\x81\x80\x80\x80\x80", b"\xf0",
    b"\xf7", b"\xff\xff", b"\x80", b"\0\0\0\xff", b"\x7f\xff\xff\xff", b"\xff\x05\x01 ", b"\x90\x3c\x40",
    b"\0\xff\x21\x01\xff",
)  # fmt: skip


def _read_chart(path: Path, data: bytes) -> None:
    from midigen.charts import read_chart

    str(read_chart(path))


def _read_words(path: Path, data: bytes) -> None:
    from midigen.lyrics import lyrics_text, read_sheet, sing

    # English, so that no library that guesses languages is at work a hundred thousand times.
    sing(studio_song(), read_sheet(lyrics_text(path), "en"))


def _read_session(path: Path, data: bytes) -> None:
    from midigen.session.files import read_session

    read_session(path)


def session_seeds(folder: Path) -> list[bytes]:
    """A mix as midigen writes it."""
    from midigen.session.files import session_text
    from midigen.sound import Sound

    parts = [("piano", "piano"), ("bass", "bass")]
    return [session_text(Sound(preset=name).session(parts, 100.0)).encode() for name in ("pop", "dry")]


def _read_record(path: Path, data: bytes) -> None:
    from midigen.composing import settings_of
    from midigen.composition.settling import Request
    from midigen.prompt import Prompt
    from midigen.sound import Sound

    settings = settings_of(path)
    prompt = Prompt(**{f.name: settings[f.name] for f in fields(Prompt) if f.name in settings}).with_seed()
    sound = Sound(**{f.name: settings[f.name] for f in fields(Sound) if f.name in settings})
    sound.check(prompt.part_names, prompt.kinds)
    Request.read(prompt)


def record_seeds(folder: Path) -> list[bytes]:
    """A record as midigen writes it."""
    from midigen.prompt import Prompt
    from midigen.record import RECORD_FORMAT
    from midigen.sound import Sound

    prompt = Prompt(bars=8, seed=3, key="A minor", chords="C | Am", density={"piano": "busy"}, span={"bass": "E1-G2"})
    settings = {**prompt.settings(), "takes": 2, "keep_takes": False, "most_shared": 16, **Sound().settings()}
    record = {"made_by": "midigen compose", "format": RECORD_FORMAT, "settings": settings}
    return [json.dumps(record, indent=2).encode()]


JSON_WORDS = (
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b"[]",
    b"{}",
    b'""',
    b'"x"',
    b"[" * 100_000,
    b"9" * 5000,
    b"\xff",
)


def _read_sound(path: Path, data: bytes) -> None:
    from midigen.audio import read_audio

    read_audio(path)


def sound_seeds(folder: Path) -> list[bytes]:
    """A tenth of a second in every format that midigen writes, and AIFF and 8 bits beside."""
    import soundfile

    from midigen.audio import Audio, write_audio

    samples = np.random.default_rng(0).normal(0, 0.1, (2, 4410)).astype(np.float32)
    seeds = []
    for suffix in ("wav", "flac", "ogg", "mp3"):
        seeds.append(write_audio(Audio(samples, 44_100), folder / f"seed.{suffix}").read_bytes())
    for form, subtype in (
        ("WAV", "FLOAT"),
        ("AIFF", "PCM_16"),
        ("WAV", "PCM_U8"),
        ("W64", "PCM_24"),
        ("CAF", "ALAC_16"),
    ):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples.T, 44_100, format=form, subtype=subtype)
        seeds.append(buffer.getvalue())
    return seeds


def _read_recording(path: Path, data: bytes) -> None:
    from midigen.audio import open_audio
    from midigen.cleaning import Cleaning, clean

    clean(open_audio(path), Cleaning())


def _read_album(path: Path, data: bytes) -> None:
    """The same bytes as what an album says of itself, and as the record of a song in it."""
    from midigen.album import ALBUM, begin_album, read_row
    from midigen.errors import MidigenError
    from midigen.folders import RECORD

    folder = path.parent / "album"
    song = folder / "song-1"
    song.mkdir(parents=True, exist_ok=True)
    refusals = []
    for place in (folder / ALBUM, song / RECORD):
        place.write_bytes(data)
    for read in (lambda: begin_album(folder, {"bars": 4}), lambda: read_row(song)):
        try:
            read()
        except MidigenError as error:
            refusals.append(error)
    if len(refusals) == 2:
        raise refusals[0]


def album_seeds(folder: Path) -> list[bytes]:
    """What an album says of itself, and what a song does, both in one."""
    record = {
        "format": 1, "seed": 1, "settings": {"bars": 4, "seed": 1},
        "music": {"key": "C major", "tempo_qpm": 120, "metre": "4/4", "bars": 4, "seconds": 8, "notes": {"piano": 3}},
        "loudness": {"integrated_lufs": -14.0}, "takes": [{"shared": {"notes": 12}, "faults": ["piano is empty"]}],
    }  # fmt: skip
    album = {"format": 1, "seed": 1, "settings": {"bars": 4}}
    return [json.dumps(record, indent=2).encode(), json.dumps(album, indent=2).encode()]


def _read_font(path: Path, data: bytes) -> None:
    from midigen.soundfonts import read_soundfont

    read_soundfont(path)


def font_seeds(folder: Path) -> list[bytes]:
    """A SoundFont of one preset, headers alone."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    info = chunk(b"ifil", struct.pack("<HH", 2, 4)) + chunk(b"INAM", b"Tiny\0\0") + chunk(b"ICOP", b"CC0, nobody\0")
    tables = chunk(b"phdr", bytes(76)) + chunk(b"pbag", bytes(8)) + chunk(b"shdr", bytes(92))
    body = b"sfbk" + chunk(b"LIST", b"INFO" + info) + chunk(b"LIST", b"sdta" + chunk(b"smpl", bytes(64)))
    body += chunk(b"LIST", b"pdta" + tables)
    return [b"RIFF" + struct.pack("<I", len(body)) + body]


def _read_checkpoint(path: Path, data: bytes) -> None:
    """The file is the configuration and the weights, one after the other; the hash is put right, so that what stands
    in the weights is read."""
    from midigen.checkpoint import CONFIG_FILE, WEIGHTS_FILE, open_checkpoint

    size = int.from_bytes(data[:4], "little") % (len(data) + 1)
    folder = path.parent / "checkpoint"
    folder.mkdir(exist_ok=True)
    config, weights = data[4 : 4 + size], data[4 + size :]
    try:
        table = json.loads(config)
        if isinstance(table, dict) and "weights_sha256" in table:
            table["weights_sha256"] = hashlib.sha256(weights).hexdigest()
            config = json.dumps(table).encode()
    except (ValueError, RecursionError):
        pass
    (folder / CONFIG_FILE).write_bytes(config)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    open_checkpoint(folder).weights()


def checkpoint_seeds(folder: Path) -> list[bytes]:
    """The smallest models of either format, with random weights."""
    from midigen.checkpoint import CONFIG_FILE, WEIGHTS_FILE, is_feed_forward, save_checkpoint
    from midigen.model import Size, parameter_shapes
    from midigen.quantization import to_blocks
    from midigen.tokenizers.vocabulary import Vocabulary

    vocabulary, seeds = Vocabulary(), []
    for width in (16, 32):
        size = Size(d_model=width, layers=1, heads=1, kv_heads=1, d_ff=width, context=1024, head_dim=16)
        state = {name: np.zeros(shape, np.float32) for name, shape in parameter_shapes(size, vocabulary.size).items()}
        on_grid = {name: to_blocks(x) if width == 32 and is_feed_forward(name) else x for name, x in state.items()}
        saved = save_checkpoint(folder / "model", on_grid, size, vocabulary.to_spec(), {"weights": "none"})
        config, weights = (saved / CONFIG_FILE).read_bytes(), (saved / WEIGHTS_FILE).read_bytes()
        seeds.append(len(config).to_bytes(4, "little") + config + weights)
    return seeds


def _read_archive(path: Path, data: bytes) -> None:
    from midigen.corpus import find_files, read_song
    from midigen.errors import MidigenError
    from midigen.tokenizers.vocabulary import Vocabulary

    vocabulary = Vocabulary()
    refusals = []
    for suffix in (".zip", ".tar", ".tar.xz", ".tar.gz"):
        archive = path.with_name(f"songs{suffix}")
        archive.write_bytes(data)
        try:
            for number, (_, name, read) in enumerate(find_files([archive])):
                read_song(name, read(), vocabulary)
                if number > 20:
                    break
        except MidigenError as error:
            refusals.append(error)
        archive.unlink()
    if refusals:
        raise refusals[0]


def archive_seeds(folder: Path) -> list[bytes]:
    """Two songs in each kind of archive."""
    songs = midi_seeds(folder)[:2]
    seeds = []
    for mode in ("w", "w:xz", "w:gz", "w:bz2"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
            for number, song in enumerate(songs):
                info = tarfile.TarInfo(f"songs/{number}.mid")
                info.size = len(song)
                tar.addfile(info, io.BytesIO(song))
        seeds.append(buffer.getvalue())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for number, song in enumerate(songs):
                archive.writestr(f"{number}.mid", song)
        seeds.append(buffer.getvalue())
    return seeds


SOUND_WORDS = (
    b"RIFF", b"data", b"fmt ", b"\xff\xff\xff\xff", b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"OggS", b"fLaC", b"\0\0\0\0",
)  # fmt: skip

READERS = {
    "midi": Reader(_read_midi, "broken.mid", midi_seeds, MIDI_WORDS),
    "song": Reader(_read_whole_midi, "broken.mid", midi_seeds, MIDI_WORDS),
    "chart": Reader(
        _read_chart,
        "broken.txt",
        lambda _: list(CHARTS),
        (b"|:", b":|", b"x999999999", b"{chorus}", b"[", b"%" * 50, b"(" * 3000, b"C7(b9", b"\xff\xfe", b"| " * 2000),
    ),
    "lyrics": Reader(
        _read_words,
        "broken.txt",
        lambda _: list(WORDS),
        (b"_" * 500, b"*" * 500, b"|" * 500, b"\\-", b"[x]\n", b"\xff", b"a-" * 900),
    ),
    "session": Reader(
        _read_session,
        "mix.toml",
        session_seeds,
        (
            b"[",
            b"]]",
            b"=",
            b"nan",
            b"inf",
            b"-1e999",
            b"1979-05-27",
            b'"""',
            b"[" * 5000,
            b"{",
            b"true",
            b"\xff",
            b"0x1F",
        ),
    ),
    "record": Reader(_read_record, "midigen.json", record_seeds, JSON_WORDS),
    "album": Reader(_read_album, "broken.json", album_seeds, JSON_WORDS),
    "sound": Reader(_read_sound, "broken.wav", sound_seeds, SOUND_WORDS),
    "recording": Reader(_read_recording, "broken.wav", sound_seeds, SOUND_WORDS),
    "soundfont": Reader(
        _read_font, "broken.sf2", font_seeds, (b"LIST", b"pdta", b"phdr", b"\xff\xff\xff\xff", b"ICOP", b"\0\0\0\0")
    ),
    "checkpoint": Reader(_read_checkpoint, "broken.bin", checkpoint_seeds, (*JSON_WORDS, b'"F32"', b'"data_offsets"')),
    "archive": Reader(
        _read_archive, "broken.zip", archive_seeds, (b"PK\x03\x04", b"PK\x01\x02", b"ustar", b"\xff\xff\xff\xff")
    ),
    "commands": Reader(doors.read_command_file, "broken.txt", lambda _: list(doors.COMMANDS), doors.COMMAND_WORDS),
    "play": Reader(doors.read_played, "broken.mid", doors.small_song, MIDI_WORDS),
    "export": Reader(doors.read_exported, "broken.mid", doors.small_song, MIDI_WORDS),
    "profile": Reader(doors.read_profiled, "broken.wav", sound_seeds, SOUND_WORDS),
    "synth": Reader(
        doors.read_synth,
        "broken.sf2",
        doors.synth_seeds,
        (b"LIST", b"pdta", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x35\0"),
    ),
    "corpus": Reader(doors.read_corpus, "broken.bin", doors.corpus_seeds, (*JSON_WORDS, b"\x93NUMPY", b"PK\x01\x02")),
    "run": Reader(doors.read_run, "broken.bin", doors.run_seeds, JSON_WORDS),
}
