"""Stems that are there already: how they are found and named, and ``midigen mix``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Ended, needs_fluidsynth

from midigen.audio import Audio, open_audio, read_audio, write_audio
from midigen.errors import BadFile, BadRequest
from midigen.loudness import measure
from midigen.midi import write_midi
from midigen.mixdown import kind_of_name, mix_files, open_stems, placed
from midigen.mixing import blend
from midigen.score import Score
from midigen.session import Channel, DuckedBy, Sends, Session, StemFile
from midigen.session.files import NAME, read_session, write_session
from midigen.session.presets import PRESETS, preset

Command = Callable[..., Ended]
RATE = 44_100


def tone(path: Path, hertz: float, rate: int = RATE, channels: int = 2) -> Path:
    """Half a second of a struck tone."""
    time = np.arange(rate // 2) / rate
    wave = (0.3 * np.sin(2 * np.pi * hertz * time) * np.exp(-6 * time)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_audio(Audio(np.tile(wave, (channels, 1)), rate), path)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A song's folder, as far as mixing looks at it."""
    folder = tmp_path / "song"
    for name, hertz in (("piano", 440), ("bass", 80), ("drums", 200)):
        tone(folder / "stems" / f"{name}.wav", hertz)
    stems = {name: StemFile(f"stems/{name}.wav", name, "Font", "Sound") for name in ("piano", "bass", "drums")}
    session = preset("rock").seated([(name, name) for name in stems])
    write_session(Session(stems, session.channels, session.buses, tempo_qpm=90.0), folder / NAME)
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("piano", "piano"), ("Grand Piano 2", "piano"), ("01 Bass take 3", "bass"), ("BassDI", "bass"),
        ("E-Guitar", "guitar"), ("gtr+guitars L", "guitar"), ("contrabass", "bass"), ("drumkit", "drums"),
        ("DRUMS", "drums"), ("bass drum", "drums"), ("bassdrum", "drums"), ("Bassoon", "other"), ("Klavier", "other"),
        ("guitar and bass", "guitar"), ("", "other"),
    ],
)  # fmt: skip
def test_the_instrument_is_read_off_the_name(name: str, kind: str) -> None:
    assert kind_of_name(name) == kind


def test_a_song_stands_for_its_session(song: Path) -> None:
    for source in (song, song / NAME):
        stems, session = open_stems([source])
        assert [(stem.name, stem.kind, stem.sound) for stem in stems] == [
            (name, name, "Sound") for name in ("piano", "bass", "drums")
        ]
        assert session == read_session(song)
    stems, session = open_stems([song / "stems"])  # a folder of sound files is no more than that
    assert [stem.name for stem in stems] == ["bass", "drums", "piano"]
    assert session == preset("pop").seated([(stem.name, stem.kind) for stem in stems])


def test_what_is_asked_for_goes_before_the_session(song: Path) -> None:
    _, plain = open_stems([song])
    _, asked = open_stems([song], gain_db={"bass": -3}, solo="bass, piano", target_lufs="podcast")
    assert [asked.channels[name].solo for name in ("piano", "bass", "drums")] == [True, True, False]
    assert asked.channels["bass"].gain_db == -3
    assert (asked.master.lufs, plain.master.lufs) == (-16, -14)
    _, other = open_stems([song], preset=preset("ballad"))
    assert open_stems([song], preset="ballad")[1] == other
    assert other.reverb == preset("ballad").reverb and not other.buses
    assert (other.stems, other.tempo_qpm) == (plain.stems, 90.0)


def test_more_stems_join_a_session_with_their_balance_and_seat(song: Path) -> None:
    extra = tone(song.parent / "E-Guitar.flac", 330)
    stems, session = open_stems([song, extra])
    assert [stem.name for stem in stems][-1] == "E-Guitar"
    assert session.channels["E-Guitar"] == Channel(pan=0.25)
    assert session.channels["bass"] == read_session(song).channels["bass"]
    assert [strip.name for strip in mix_files([song, extra]).applied] == ["piano", "bass", "drums", "E-Guitar"]


def test_what_is_saved_mixes_alike_from_wherever_it_lies(song: Path, tmp_path: Path) -> None:
    for folder in (song, tmp_path / "elsewhere", song / "stems"):
        folder.mkdir(exist_ok=True)
        stems, session = open_stems([song], gain_db={"bass": 2})
        saved = write_session(placed(session, stems, folder), folder / "mine.toml")
        assert "\\" not in saved.read_text(encoding="utf-8")
        again = read_session(saved)
        assert again.channels == session.channels
        assert again.stems["bass"].soundfont == "Font"
        first, second = mix_files([song], gain_db={"bass": 2}), mix_files([saved])
        np.testing.assert_array_equal(first.audio.samples, second.audio.samples)


def test_stems_of_one_song_in_other_files_and_rates(tmp_path: Path) -> None:
    tone(tmp_path / "piano.mp3", 440, 48_000)
    tone(tmp_path / "bass.ogg", 80, 22_050, channels=1)
    mixed = mix_files([tmp_path], preset="dry")
    assert (mixed.signal.rate, mixed.signal.channels) == (48_000, 2)
    assert mix_files([tmp_path], preset="dry", rate=44_100).signal.rate == 44_100


def empty(song: Path) -> None:
    (song / NAME).unlink()
    shutil.rmtree(song / "stems")


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (
            lambda song: (song / "stems" / "bass.wav").unlink(),
            BadFile,
            r"mix.toml: \[stems.bass\] .*bass.wav: no such f",
        ),
        (lambda song: (song / "stems" / "bass.wav").write_bytes(b"RIFF"), BadFile, r"\[stems.bass\] .*is not audio"),
        (lambda song: write_session(Session(), song / NAME), BadFile, r"names no stems; give each a section"),
        (lambda song: (song / NAME).write_text("a = 1"), BadFile, "has no key 'a'"),
        (empty, BadFile, "holds no sound files"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    change: Callable[[Path], object], error: type[Exception], says: str, song: Path
) -> None:
    change(song)
    with pytest.raises(error, match=says) as caught:
        open_stems([song])
    assert "\n" not in str(caught.value)


def test_names_must_tell_stems_apart(song: Path) -> None:
    with pytest.raises(BadRequest, match=r"two mixes, .* and .*: give one of them"):
        open_stems([song, song / NAME])
    with pytest.raises(BadRequest, match="stem 'bass' is given twice"):
        open_stems([song, song / "stems" / "bass.wav"])
    with pytest.raises(BadRequest, match="no stems"):
        open_stems([])
    with pytest.raises(BadRequest, match="unknown preset 'polka'"):
        open_stems([song], preset="polka")


# The command


@pytest.fixture
def command(midigen: Command, song: Path) -> Command:
    """The command line in a folder where the song lies."""
    shutil.copytree(song, "song")
    return midigen


def test_mix_writes_what_it_is_told_to(command: Command) -> None:
    ended = command(
        "mix", "song", "--lufs", "broadcast", "--mute", "drums", "-o", "all.flac", "--bits", 16,
        "--stems", "parts", "--save", "mine.toml", "--picture", "all.png",
    )  # fmt: skip
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == "all.flac: piano, bass; -23.0 LUFS, true peak " + ended.out.splitlines()[0][-9:]
    assert Path("all.png").read_bytes().startswith(b"\x89PNG")
    reading = measure(open_audio("all.flac"))
    assert reading.integrated_lufs == pytest.approx(-23, abs=0.1)
    assert sorted(path.name for path in Path("parts").iterdir()) == ["bass.wav", "piano.wav", "reverb.wav"]
    parts = [read_audio(path).samples for path in sorted(Path("parts").iterdir())]
    stems, session = open_stems(["mine.toml"])
    desk, _, _ = blend(stems, session)
    whole = np.concatenate(list(desk.blocks()), axis=1)
    np.testing.assert_allclose(sum(parts), whole, atol=2e-4)  # 16 bits each, since they were asked for
    assert session.channels["drums"].mute and session.master.target_lufs == "broadcast"
    assert command("mix", "mine.toml", "-o", "again.flac", "--bits", 16).out.startswith(
        "again.flac: piano, bass; -23.0"
    )
    assert Path("again.flac").read_bytes() == Path("all.flac").read_bytes()


def test_every_mix_gets_its_picture_and_no_other_picture_is_lost(command: Command) -> None:
    assert command("mix", "song", "-o", "one.wav").out.splitlines()[-1] == "one.png"
    first = Path("one.png").read_bytes()
    assert command("mix", "song", "-o", "one.wav", "--mute", "drums").out.splitlines()[-1] == "one.png"
    assert Path("one.png").read_bytes() != first  # its own may be drawn anew
    Path("two.png").write_bytes(first.replace(b"midigen", b"another"))  # a cover, say
    said = command("mix", "song", "-o", "two.wav").out.splitlines()[-1]
    assert said.startswith("two.png is there and none of midigen's: not drawn; --picture FILE.png")
    assert Path("two.png").read_bytes() != first and b"another" in Path("two.png").read_bytes()[:512]
    assert command("mix", "song", "-o", "two.wav", "--picture", "two.png").out.splitlines()[-1] == "two.png"
    assert command("mix", "song", "-o", "three.wav", "--no-picture").code == 0
    assert Path("three.wav").exists() and not Path("three.png").exists()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_title_and_artist_go_into_the_tags_and_come_from_the_session(suffix: str, command: Command) -> None:
    words = ["mix", "song", "-o", f"a.{suffix}", "--no-picture", "--save", "named.toml"]
    assert command(*words, "--title", "Nachtlied", "--artist", "Ада").code == 0
    assert command("mix", "named.toml", "-o", f"b.{suffix}", "--no-picture", "--preset", "rock").code == 0
    for name in ("a", "b"):
        data = Path(f"{name}.{suffix}").read_bytes()
        assert b"Nachtlied" in data and "Ада".encode() in data
    assert read_session("named.toml").title == "Nachtlied"


def test_an_automatic_equaliser_can_be_asked_for(command: Command) -> None:
    words = ["mix", "song", "--preset", "dry", "--no-picture", "-o"]
    assert command(*words, "plain.wav").code == 0
    assert command(*words, "auto.wav", "--auto-equaliser", "--save", "auto.toml").code == 0
    assert Path("auto.wav").read_bytes() != Path("plain.wav").read_bytes()
    assert all(channel.equaliser.auto for channel in read_session("auto.toml").channels.values())


@pytest.mark.parametrize("suffix", ["wav", "ogg", "mp3"])
def test_the_suffix_says_the_format(suffix: str, command: Command) -> None:
    assert command("mix", "song", "--rate", 48_000, "-o", f"x.{suffix}").code == 0
    assert open_audio(f"x.{suffix}").rate == 48_000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--gain", "piano=500"], ["piano: gain 500.0", "-60 to 24 dB"]),
        (["--gain", "flute=1"], ["no part 'flute'", "piano, bass, drums"]),
        (["--pan", "bass=nan"], ["bass: pan nan", "-1 to 1"]),
        (["--mute", "piano,bass,drums"], ["every part is muted"]),
        (["--lufs", "lound"], ["loudness 'lound'", "streaming, podcast, broadcast, off"]),
        (["--preset", "jazz"], ["unknown preset 'jazz'", "jazz-trio"]),
        (["--rate", "7"], ["rate 7"]),
        (["--bits", "12"], ["12 bits", "16, 24 or 32"]),
        (["-o", "x.flac", "--bits", "32"], ["32 bits", "16 or 24"]),
        (["-o", "x.xyz"], [".xyz", ".wav, .flac, .ogg or .mp3"]),
        (["-o", "x.mp3", "--rate", "96000"], ["96000", ".mp3"]),
        (["-o", "song"], ["is a folder"]),
        (["-o", "gone/x.wav"], ["gone: no such folder"]),
        (["-o", "song/stems/bass.wav"], ["is one of the stems"]),
        (["--stems", "song/stems"], ["holds the stems that are mixed"]),
        (["--stems", "song/mix.toml"], ["is a file"]),
        (["--save", "mix.json"], ["ends in .toml"]),
        (["--picture", "mix.jpg"], ["ends in .png"]),
        (["--picture", "gone/mix.png"], ["no such folder"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_mixed_is_told_in_one_line(words: list[str], says: list[str], command: Command) -> None:
    before = sorted(Path().rglob("*"))
    assert command("mix", "song", *words).complains(*says)
    assert sorted(Path().rglob("*")) == before


def test_a_mistake_in_the_file_is_told_with_its_place(command: Command) -> None:
    path = Path("song", NAME)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('[channels.bass.ducking]\nby = "drums"', '[channels.bass.ducking]\nby = "drms"'))
    assert command("mix", "song").complains("song/mix.toml: bass is ducked by 'drms'", "did you mean drums?")
    path.write_text(text.replace("tempo_qpm = 90.0", "tempo_qpm = "))
    assert command("mix", "song/mix.toml").complains("song/mix.toml: line 7 is not TOML")


def test_help_names_the_presets(midigen: Command) -> None:
    said = " ".join(midigen("mix", "--help").out.split())
    assert all(name in said for name in PRESETS)


def test_ducking_and_sends_come_through_the_file(song: Path) -> None:
    session = read_session(song)
    assert session.channels["bass"].ducking == preset("rock").channels["bass"].ducking
    assert isinstance(session.channels["bass"].ducking, DuckedBy)
    assert session.channels["piano"].sends == Sends(-17)


@needs_fluidsynth
def test_a_part_plays_the_sound_that_is_asked_for(midigen: Command, band: Callable[..., Score]) -> None:
    write_midi(band(1), "band.mid")
    words = ["render", "band.mid", "--soundfont", "TimGM6mb"]
    assert midigen(*words, "--sound-for", "piano=Church Organ", "--sound-for", "bass=0:38", "-o", "out").code == 0
    stems = read_session("out").stems
    assert (stems["piano"].preset, stems["bass"].preset) == ("Church Organ", "Synth Bass 1")
    assert midigen(*words, "-o", "usual").code == 0
    assert Path("out/stems/piano.wav").read_bytes() != Path("usual/stems/piano.wav").read_bytes()
    assert midigen(*words, "--sound-for", "piano=8:99", "-o", "no").complains(
        "TimGM6mb has no preset '8:99' for part 'piano'", "midigen soundfonts --presets TimGM6mb"
    )
    assert midigen(*words, "--sound-for", "piano=Chruch Organ", "-o", "no").complains("nearest are 0:19 Church Organ")
    assert midigen(*words, "--sound-for", "flute=1", "-o", "no").complains("part 'flute' is not in this song")
    assert not Path("no").exists()


@needs_fluidsynth
def test_a_rendered_song_is_mixed_as_asked_and_mixed_again_from_its_folder(
    midigen: Command, band: Callable[..., Score]
) -> None:
    write_midi(band(1), "band.mid")
    words = ("--soundfont", "TimGM6mb", "--preset", "rock", "--rate", 48_000, "--format", "flac", "--gain", "bass=-2")
    assert "mix.flac" in midigen("render", "band.mid", *words).out
    folder = Path("band")
    assert {path.name for path in folder.iterdir()} >= {
        "song.mid",
        "stems",
        "mix.flac",
        "mix.toml",
        "mix.png",
        "midigen.json",
    }
    session = read_session(folder)
    assert session.buses == preset("rock").buses
    assert session.channels["bass"].gain_db == -2
    assert session.stems["bass"].soundfont == "TimGM6mb" and session.stems["bass"].preset
    assert session.tempo_qpm == pytest.approx(120)
    assert midigen("mix", "band", "-o", "again.flac").code == 0
    first, again = read_audio(folder / "mix.flac"), read_audio("again.flac")
    assert (first.rate, first.frames) == (again.rate, again.frames) == (48_000, again.frames)
    np.testing.assert_allclose(first.samples, again.samples, atol=1e-3)  # the stems were rounded to 24 bits
    assert midigen("render", "band.mid", *words, "-o", "band", "--force").code == 0  # nothing in it is a stranger's


@needs_fluidsynth
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--preset", "polka"], ["unknown preset 'polka'"]),
        (["--rate", "22050"], ["rate 22050", "44100, 48000 or 96000"]),
        (["--format", "aiff"], ["format 'aiff'", "wav, flac, ogg or mp3"]),
        (["--format", "mp3", "--rate", "96000"], ["mp3"]),
        (["--lufs", "lound"], ["loudness 'lound'"]),
        (["--gain", "bass=99"], ["bass: gain 99.0"]),
        (["--mute", "piano,guitar,bass"], ["every part is muted"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_had_is_refused_before_it_is_rendered(
    words: list[str], says: list[str], midigen: Command, band: Callable[..., Score]
) -> None:
    write_midi(band(1), "band.mid")
    assert midigen("render", "band.mid", "--soundfont", "TimGM6mb", *words).complains(*says)
    assert [path.name for path in Path().iterdir()] == ["band.mid"]
