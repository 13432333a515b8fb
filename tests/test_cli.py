from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Ended, needs_fluidsynth

from midigen import __version__
from midigen.cli import VERBS, build_parser
from midigen.midi import midi_bytes, read_midi, write_midi
from midigen.score import Note, Part, Score

ROOT = Path(__file__).resolve().parents[1]
FONT = ("--soundfont", "TimGM6mb")
Command = Callable[..., Ended]


@pytest.fixture
def compose(midigen: Command, tiny_model: Path) -> Command:
    def run(*words: object) -> Ended:
        return midigen("compose", "--bars", 1, "--model", tiny_model, *FONT, *words)

    return run


def here() -> list[str]:
    return sorted(os.listdir())


# Help


def test_help_names_every_verb(midigen: Command) -> None:
    for words in ([], ["--help"]):
        ended = midigen(*words)
        assert (ended.code, ended.err) == (0, "")
        assert all(verb in ended.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, midigen: Command) -> None:
    ended = midigen(verb, "--help")
    assert ended.code == 0
    assert f"usage: midigen {verb}" in ended.out
    _, parser = build_parser(verb)
    assert parser is not None
    assert all(action.help for action in parser._actions)


def test_version(midigen: Command) -> None:
    assert midigen("--version").out == f"midigen {__version__}\n"


# Composing


@needs_fluidsynth
def test_compose_writes_a_song_and_tells_where(compose: Command) -> None:
    ended = compose("--parts", "piano,bass", "--seed", 3, "--tempo", 90, "--key", "F#m", "--metre", "3/4", "-o", "mine")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("mine: 1 bar, F# minor, 90 bpm, 3/4, 0:02")
    assert "LUFS" in ended.out
    assert here() == ["mine"]
    score = read_midi("mine/song.mid")
    assert [part.name for part in score.parts] == ["piano", "bass"]
    assert score.tempos[0].qpm == pytest.approx(90)
    assert (str(score.metres[0]), str(score.keys[0])) == ("3/4", "F# minor")


@needs_fluidsynth
def test_the_default_folder_is_called_after_the_seed(compose: Command) -> None:
    assert compose("--seed", 3).code == 0
    assert compose("--seed", 3).code == 0
    assert here() == ["song-3", "song-3-2"]
    first, second = (Path(name, "midigen.json").read_bytes() for name in here())
    assert first == second
    assert compose().code == 0
    (drawn,) = set(here()) - {"song-3", "song-3-2"}
    seed = json.loads(Path(drawn, "midigen.json").read_text())["settings"]["seed"]
    assert drawn == f"song-{seed}"


@needs_fluidsynth
def test_again_keeps_what_is_not_changed(compose: Command, midigen: Command) -> None:
    assert compose("--seed", 3, "--gain", "piano=-3,bass=1", "--mute", "guitar", "-o", "a").code == 0
    assert midigen("compose", "--again", "a", "-o", "b").code == 0
    assert midigen("compose", "--again", "a/midigen.json", "--gain", "bass=2", "--lufs", "-20", "-o", "c").code == 0
    records = {name: Path(name, "midigen.json").read_bytes() for name in "abc"}
    assert records["a"] == records["b"]
    settings = json.loads(records["c"])["settings"]
    assert settings["gain_db"] == {"piano": -3.0, "bass": 2.0}
    assert settings["mute"] == ["guitar"]
    assert Path("a/song.mid").read_bytes() == Path("c/song.mid").read_bytes()
    assert json.loads(records["c"])["loudness"]["integrated_lufs"] == pytest.approx(-20, abs=0.1)


@needs_fluidsynth
def test_force_replaces_a_song(compose: Command) -> None:
    assert compose("--seed", 1, "-o", "x").code == 0
    refused = compose("--seed", 2, "-o", "x")
    assert refused.complains("x", "--force")
    assert json.loads(Path("x/midigen.json").read_text())["settings"]["seed"] == 1
    assert compose("--seed", 2, "-o", "x", "--force").code == 0
    assert json.loads(Path("x/midigen.json").read_text())["settings"]["seed"] == 2
    assert here() == ["x"]


@needs_fluidsynth
def test_timings_tell_each_stage(compose: Command) -> None:
    told = compose("--timings").err
    for stage in ("compose", "first bar", "render", "mix", "write", "total"):
        assert any(line.startswith(stage) and line.split(" s")[0].split()[-1] for line in told.splitlines()), stage


# What is refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bars", "0"], ("bars 0", "1 to 512")),
        (["--bars", "10001"], ("bars 10001", "1 to 512")),
        (["--bars", "many"], ("'many'", "whole number")),
        (["--parts", "piano,violin"], ("'violin'", "piano, guitar, bass, drums")),
        (["--parts", "bass,bass"], ("'bass'", "2 times")),
        (["--parts", ","], ("--parts",)),
        (["--key", "H dorian"], ("'H dorian'", "A minor")),
        (["--metre", "5/4"], ("'5/4'", "4/4, 3/4, 2/4, 6/8")),
        (["--tempo", "0"], ("tempo 0", "20 to 300")),
        (["--seed", "-1"], ("seed -1",)),
        (["--temperature", "0"], ("temperature 0", "above 0")),
        (["--top-p", "1.5"], ("top-p 1.5",)),
        (["--soundfont", "gone.sf2"], ("gone.sf2",)),
        (["--soundfont", "no-font.sf2"], ("no-font.sf2", "not a SoundFont")),
        (["--soundfont-for", "bass"], ("'bass'", "PART=")),
        (["--soundfont-for", "drums=x"], ("'drums'", "not in this song")),
        (["--gain", "piano"], ("'piano'", "piano=-3")),
        (["--gain", "piano=loud"], ("'loud'", "number")),
        (["--gain", "piano=200"], ("200", "-60")),
        (["--pan", "piano=3"], ("pan 3", "-1")),
        (["--mute", "tuba"], ("'tuba'", "piano, guitar, bass")),
        (["--lufs", "9"], ("loudness 9",)),
        (["--model", "gone"], ("gone", "checkpoint")),
        (["--engine", "abacus"], ("'abacus'", "onnx")),
        (["--mode", "slow"], ("slow", "fast")),
        (["--threads", "0"], ("threads", "0")),
        (["--again", "gone"], ("gone", "no such file")),
        (["--bar", "3"], ("--bar", "did you mean --bars?")),
        (["extra"], ("unknown argument extra",)),
        (["-o", "no-font.sf2"], ("no-font.sf2", "is a file")),
        (["-o", "."], ("midigen: .: ", "the folder you are in")),
        (["-o", "/proc/self/song"], ("/proc/self/song", "cannot be written")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_requests_get_one_line_and_leave_nothing(words: list[str], said: tuple[str, ...], compose: Command) -> None:
    Path("no-font.sf2").write_bytes(b"RIFF\x04\x00\x00\x00WAVE")
    ended = compose(*words)
    assert ended.complains(*said), ended
    assert ended.out == ""
    assert here() == ["no-font.sf2"]


def test_an_unknown_verb_gets_the_nearest(midigen: Command) -> None:
    assert midigen("compoze").complains("compoze", "did you mean compose?")
    assert midigen("--verson").complains("--verson", "did you mean --version?")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("gone.mid", None, "no such file"),
        ("text.mid", b"hello", "not a MIDI file"),
        ("cut.mid", midi_bytes(Score((Part("x", notes=(Note(0, 60, 480, 64),)),)))[:40], "MIDI file"),
        ("empty.mid", b"", "not a MIDI file"),
        ("silent.mid", midi_bytes(Score((Part("x"),))), "no notes"),
    ],
)
def test_render_refuses_what_is_no_music(name: str, data: bytes | None, said: str, midigen: Command) -> None:
    if data is not None:
        Path(name).write_bytes(data)
    before = here()
    assert midigen("render", name, "-o", "out").complains(name, said)
    assert here() == before


@needs_fluidsynth
def test_render_and_mix_any_file(midigen: Command, band: Callable[..., Score]) -> None:
    write_midi(band(2, drums=True), "band.mid")
    ended = midigen("render", "band.mid", *FONT, "--gain", "bass=2")
    assert (ended.code, ended.err) == (0, "")
    assert sorted(os.listdir("band/stems")) == ["bass.wav", "drums.wav", "guitar.wav", "piano.wav"]
    stems = {path: path.stat().st_mtime_ns for path in Path("band/stems").iterdir()}
    ended = midigen("mix", "band", "-o", "again.wav", "--solo", "bass", "--lufs", "off")
    assert ended.code == 0
    assert ended.out.startswith("again.wav: bass; ")
    assert {path: path.stat().st_mtime_ns for path in Path("band/stems").iterdir()} == stems
    assert here() == ["again.png", "again.wav", "band", "band.mid"]


@needs_fluidsynth
@needs_fluidsynth
def test_a_songs_folder_stands_for_its_midi_file_and_gives_its_name(
    midigen: Command, compose: Command, tiny_model: Path
) -> None:
    assert compose("--seed", 3, "-o", "mine").code == 0
    ended = midigen("render", "mine", "--preset", "dry", *FONT)
    assert ended.code == 0 and Path("mine-2/song.mid").read_bytes() == Path("mine/song.mid").read_bytes()
    ended = midigen("infill", "mine", "--parts", "bass", "--bars", "1-1", "--model", tiny_model, *FONT)
    assert ended.code == 0 and Path("mine-infill/song.mid").is_file() and "mine-infill: 1 bar" in ended.out
    Path("nothing").mkdir()
    assert midigen("render", "nothing").complains("nothing/song.mid", "no such file")
    assert midigen("vary", "nothing", "--bars", "1").complains("nothing/song.mid", "no such file")


def test_mix_never_writes_over_a_stem(midigen: Command, band: Callable[..., Score]) -> None:
    write_midi(band(1), "band.mid")
    assert midigen("render", "band.mid", *FONT).code == 0
    before = Path("band/stems/bass.wav").read_bytes()
    assert midigen("mix", "band", "-o", "band/stems/bass.wav").complains("bass.wav", "one of the stems")
    assert midigen("mix", "band", "-o", "band").complains("is a folder")
    assert midigen("mix", "band", "-o", "mix.xyz").complains("mix.xyz", ".wav", ".mp3")
    assert midigen("mix", "band", "-o", "gone/mix.wav").complains("gone")
    assert midigen("mix", "band", "--gain", "drums=1").complains("'drums'", "piano, guitar, bass")
    assert midigen("mix", "band.mid").complains("band.mid", "not audio")
    assert Path("band/stems/bass.wav").read_bytes() == before


def test_soundfonts_are_listed_with_their_places(midigen: Command) -> None:
    ended = midigen("soundfonts")
    assert ended.code == 0
    assert "TimGM6mb" in ended.out
    assert re.search(r"^ +\d+ sounds?; ", ended.out, re.MULTILINE)
    assert str(Path.cwd() / "soundfonts") in ended.out


# How it ends


def test_a_missing_synthesizer_has_a_cure(compose: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes.util

    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    assert compose().complains("FluidSynth", "apt install")
    assert here() == []


def test_a_mistake_of_ours_is_said_to_be_one(compose: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import midigen.composition

    def stumble(*_: object, **__: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(midigen.composition, "compose_takes", stumble)
    ended = compose()
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "KeyError" in ended.err
    assert here() == []


def run_apart(words: list[str], place: Path, before: str = "") -> subprocess.Popen[str]:
    """The command line in a process of its own, with the signals of a terminal."""
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"{before}\nfrom midigen.__main__ import main\nsys.exit(main())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@needs_fluidsynth
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "terminated"])
@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.7])
def test_stopped_in_the_middle_nothing_is_left(
    sent: signal.Signals, code: int, seconds: float, tmp_path: Path, tiny_model: Path
) -> None:
    words = ["compose", "--bars", "512", "--seed", "1", "--model", str(tiny_model), *FONT, "-o", "a/song"]
    with run_apart(words, tmp_path) as process:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("a/.song*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(tmp_path.glob("a/.song*")), "it never began"
        time.sleep(seconds)
        process.send_signal(sent)
        _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert said == ("midigen: stopped\n" if sent is signal.SIGINT else "")
    assert list(tmp_path.iterdir()) == []


@needs_fluidsynth
def test_a_full_disk_gets_one_line_and_leaves_nothing(tmp_path: Path, tiny_model: Path) -> None:
    # A limit on the size of files stands for the end of the disk: the system refuses in the middle of a write.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))"
    words = ["compose", "--bars", "2", "--model", str(tiny_model), *FONT]
    with run_apart(words, tmp_path, before=limit) as process:
        out, said = process.communicate(timeout=60)
    assert Ended(process.returncode, out, said).complains("space"), said
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "midigen", "soundfonts"],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
