from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import needs_fluidsynth

import midigen
from midigen.audio import read_audio
from midigen.composing import compose, compose_again
from midigen.errors import BadFile, BadRequest, MissingTool, OutputError
from midigen.folders import RECORD, free_name, new_folder
from midigen.midi import read_midi, write_midi
from midigen.score import Note, Part, Score
from midigen.song import Song, mix_files, render_midi

FONT = "TimGM6mb"  # comes with the Python packages


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(tiny_model: Path) -> Song:
    return compose(bars=2, seed=5, key="Am", parts=("piano", "bass"), checkpoint=str(tiny_model), soundfont=FONT)


@needs_fluidsynth
def test_a_song_is_one_folder(made: Song, tmp_path: Path) -> None:
    folder = made.save(tmp_path / "deep" / "song")
    assert contents(folder).keys() == {
        "song.mid", "song.png", "mix.wav", "mix.toml", "mix.png", "stems/piano.wav", "stems/bass.wav", RECORD
    }  # fmt: skip
    assert [p.name for p in folder.parent.iterdir()] == ["song"]
    score = read_midi(folder / "song.mid")
    assert [part.name for part in score.parts] == ["piano", "bass"]
    assert str(score.keys[0]) == "A minor"
    mix = read_audio(folder / "mix.wav")
    assert (mix.channels, mix.rate) == (2, 44_100)
    assert mix.seconds >= made.score.duration_seconds


@needs_fluidsynth
def test_the_record_says_how_to_make_it_again(made: Song, tmp_path: Path, tiny_model: Path) -> None:
    folder = made.save(tmp_path / "song")
    record = json.loads((folder / RECORD).read_text())
    assert record["settings"]["seed"] == 5
    assert record["settings"]["key"] == "A minor"
    assert record["checkpoint"]["sha256"] == hashlib.sha256((tiny_model / "model.safetensors").read_bytes()).hexdigest()
    assert set(record["soundfonts"]) == {"piano", "bass"}
    assert {"midigen", "python", "numpy", "onnxruntime", "fluidsynth"} <= set(record["versions"])
    files = {name: hashlib.sha256(data).hexdigest() for name, data in contents(folder).items() if name != RECORD}
    assert record["files"] == files
    again = compose_again(folder / RECORD, threads=1).save(tmp_path / "again")
    assert contents(again) == contents(folder)


@needs_fluidsynth
def test_changes_are_made_to_the_same_song(made: Song, tmp_path: Path) -> None:
    folder = made.save(tmp_path / "song")
    other = compose_again(folder, gain_db={"bass": -6.0})
    assert other.midi == made.midi
    assert other.record["settings"]["gain_db"] == {"bass": -6.0}
    assert (other.mix.audio.samples != made.mix.audio.samples).any()


@needs_fluidsynth
def test_names_may_come_as_one_text(made: Song, tiny_model: Path) -> None:
    song = compose(
        bars=2, seed=5, key="Am", parts="piano, bass", mute="bass", checkpoint=str(tiny_model), soundfont=FONT
    )
    assert song.midi == made.midi
    assert [strip.heard for strip in song.mix.applied] == [True, False]


@needs_fluidsynth
def test_a_seed_that_was_drawn_is_written_down(tiny_model: Path) -> None:
    song = compose(bars=1, parts=("bass",), checkpoint=str(tiny_model), soundfont=FONT)
    assert isinstance(song.record["settings"]["seed"], int)


@needs_fluidsynth
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"gain_db": {"drums": 3.0}}, BadRequest, "'drums'.*piano, bass"),
        ({"gain_db": {"bass": 99.0}}, BadRequest, "99"),
        ({"pan": {"bass": 2.0}}, BadRequest, "pan 2"),
        ({"target_lufs": 3.0}, BadRequest, "loudness 3"),
        ({"soundfont_for": {"bass": "no-such-font"}}, BadFile, "no-such-font"),
        ({"sound_for": {"bass": "9:99"}}, BadRequest, "no preset '9:99' for part 'bass'"),
        ({"sound_for": {"flute": "9"}}, BadRequest, "part 'flute'"),
        ({"checkpoint": "no-such-model"}, midigen.errors.CheckpointError, "no-such-model"),
        ({"engine": "abacus"}, BadRequest, "'abacus'"),
        ({"mode": "hasty"}, BadRequest, "'hasty'"),
        ({"threads": 0}, BadRequest, "threads"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_before_a_bar_is_composed(
    wrong: dict[str, Any], error: type[Exception], words: str, tiny_model: Path
) -> None:
    bars: list[int] = []
    settings = {"bars": 1, "parts": ("piano", "bass"), "checkpoint": str(tiny_model), "soundfont": FONT, **wrong}
    with pytest.raises(error, match=words):
        compose(**settings, on_bar=lambda done, total: bars.append(done))
    assert not bars


def test_a_missing_synthesizer_is_told_before_a_bar_is_composed(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ctypes.util

    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    with pytest.raises(MissingTool, match="apt install"):
        compose(bars=1, checkpoint=str(tiny_model), soundfont=FONT, on_bar=lambda *_: pytest.fail("it composed"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[]", "not the record"),
        ('{"made_by": "midigen render", "format": 1, "settings": {}}', "not the record"),
        ('{"made_by": "midigen compose", "format": 99, "settings": {}}', "format 99"),
        ('{"made_by": "midigen compose", "format": 1, "settings": {"os": 1}}', "'os'"),
    ],
)
def test_what_is_no_record_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(BadFile, match=words):
        compose_again(tmp_path)
    with pytest.raises(BadFile, match="no such file"):
        compose_again(tmp_path / "gone.json")


@needs_fluidsynth
def test_any_midi_file_is_rendered(tmp_path: Path, band: Callable[..., Score]) -> None:
    score = band(1)
    twins = tuple(
        Part(name, "other", program, notes=score.parts[0].notes)
        for name, program in (("Str/ings", 48), ("str/ings", 49), ("..", 56))
    )
    source = write_midi(Score(twins, bars=1), tmp_path / "mine.mid")
    song = render_midi(source, soundfont=FONT)
    folder = song.save(tmp_path / "out")
    assert sorted(p.name for p in (folder / "stems").iterdir()) == ["Str-ings.wav", "part.wav", "str-ings 2.wav"]
    assert (folder / "song.mid").read_bytes() == source.read_bytes()
    assert json.loads((folder / RECORD).read_text())["source"]["name"] == "mine.mid"


@needs_fluidsynth
def test_mixing_the_stems_alone_gives_the_same_mix(made: Song, tmp_path: Path) -> None:
    folder = made.save(tmp_path / "song")
    for sources in ([folder], [folder / "stems"], [folder / "stems" / "piano.wav", folder / "stems" / "bass.wav"]):
        mix = mix_files(sources)
        assert {strip.kind for strip in mix.applied} == {"piano", "bass"}
        # The stems were rounded to 24 bits on their way through the files.
        difference = abs(mix.audio.samples - made.mix.audio.samples).max()
        assert difference < 1e-3
    muted = mix_files([folder], mute=["piano"])
    assert [strip.heard for strip in muted.applied if strip.kind == "piano"] == [False]


def test_stems_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="holds no sound files"):
        mix_files([tmp_path])
    with pytest.raises(BadFile, match="no such file"):
        mix_files([tmp_path / "gone.wav"])
    with pytest.raises(BadRequest, match="no stems"):
        mix_files([])


def test_a_score_without_notes_is_refused(tmp_path: Path) -> None:
    empty = write_midi(Score((Part("x"),)), tmp_path / "empty.mid")
    with pytest.raises(BadFile, match="holds no notes"):
        render_midi(empty)


# The folder


def fill(folder: Path, text: str = "") -> None:
    (folder / RECORD).write_text(text)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "song"
    with pytest.raises(RuntimeError, match="halfway"), new_folder(target) as draft:
        fill(draft)
        raise RuntimeError("halfway")
    assert list(tmp_path.iterdir()) == []
    with new_folder(target) as draft:
        fill(draft)
        assert not target.exists()
    assert contents(tmp_path) == {f"a/b/song/{RECORD}": b""}
    assert target.stat().st_mode & 0o777 == target.parent.stat().st_mode & 0o777


@pytest.mark.parametrize("force", [False, True])
def test_only_a_song_is_replaced_and_only_by_force(force: bool, tmp_path: Path) -> None:
    target = tmp_path / "song"
    target.mkdir()
    with new_folder(target, force=force) as draft:  # an empty folder is as good as none
        fill(draft, "first")
    if force:
        with new_folder(target, force=True) as draft:
            fill(draft, "second")
    else:
        with pytest.raises(OutputError, match="--force"), new_folder(target):
            pytest.fail("it was opened")
    assert contents(tmp_path) == {f"song/{RECORD}": b"second" if force else b"first"}
    (target / "my notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"my notes\.txt" if force else "--force"), new_folder(target, force=force):
        pytest.fail("it was opened")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="not a song"), new_folder(tmp_path / "others", force=force):
        pytest.fail("it was opened")
    with pytest.raises(OutputError, match="is a file"), new_folder(target / RECORD, force=force):
        pytest.fail("it was opened")


def test_what_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not a song"), new_folder(tmp_path / "song") as draft:
        fill(draft)
        (tmp_path / "song").mkdir()
        (tmp_path / "song" / "theirs").write_text("theirs")
    assert contents(tmp_path) == {"song/theirs": b"theirs"}


def test_a_place_that_cannot_be_written_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), new_folder("/proc/self/song"):
        pytest.fail("it was opened")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), new_folder(tmp_path / "file" / "song"):
        pytest.fail("it was opened")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for the end of the disk: the system refuses in the middle of a write."""
    script = (
        "import resource; from midigen.folders import new_folder, writing\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "with new_folder('song') as draft:\n"
        "    with writing(draft):\n"
        "        (draft / 'mix.wav').write_bytes(bytes(200_000))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(Path(midigen.__file__).parents[1]), "PATH": ""},
    )
    assert done.returncode == 1
    assert "OutputError" in done.stderr.splitlines()[-1]
    assert "no space left" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_next_free_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert free_name("song-7") == Path("song-7")
    for name in ("song-7", "song-7-2"):
        Path(name).mkdir()
    assert free_name("song-7") == Path("song-7-3")


def test_what_a_score_holds_is_told_in_plain_values() -> None:
    from midigen.record import describe

    facts = describe(Score((Part("x", notes=(Note(0, 60, 0, 64),)),), bars=3))
    assert facts["bars"] == 3
    assert facts["notes"] == {"x": 1}
    assert facts["seconds"] == 6.0
