"""Stems that are kept: found by what they were made of, never out of date, never in the way."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import make_band
from synthetic_soundfont import Sound, write_soundfont

from midigen.errors import BadFile, BadRequest, OutputError
from midigen.renderers import Stem, render
from midigen.renderers.cache import Cache, key_of, open_cache
from midigen.renderers.fluidsynth import FluidSynth
from midigen.renderers.stemfiles import FRAME_BYTES, HEADER_BYTES, StemHeader
from midigen.score import Bend, Control, Note, Part, Score, Tempo
from midigen.soundfonts import SoundFont, read_soundfont

BAND = make_band(1, drums=True)  # piano, guitar, bass, drums


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> SoundFont:
    return read_soundfont(write_soundfont(tmp_path_factory.mktemp("fonts") / "synthetic.sf2"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where stems are kept in this test: not there yet."""
    monkeypatch.setenv("MIDIGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MIDIGEN_CACHE_GB", raising=False)
    return tmp_path / "cache" / "stems"


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the parts that the synthesizer really played."""
    names: list[str] = []
    play = FluidSynth.play

    def counted(self, score, *arguments, **settings):
        names.append(score.parts[0].name)
        return play(self, score, *arguments, **settings)

    monkeypatch.setattr(FluidSynth, "play", counted)
    return names


def digests(stems: list[Stem]) -> list[str]:
    return [hashlib.sha256(b"".join(block.tobytes() for block in stem.audio.blocks())).hexdigest() for stem in stems]


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.stem"))


def changed(score: Score, name: str, change: Callable[[Part], Part]) -> Score:
    return replace(score, parts=tuple(change(part) if part.name == name else part for part in score.parts))


def test_what_did_not_change_is_not_rendered_again(font: SoundFont, rendered: list[str]) -> None:
    first = render(BAND, font)
    assert sorted(rendered) == ["bass", "drums", "guitar", "piano"]
    assert not any(stem.cached for stem in first)
    rendered.clear()
    told: list[str] = []
    again = render(BAND, font, threads=1, on_part=told.append)
    assert rendered == []
    assert all(stem.cached for stem in again)
    assert sorted(told) == ["bass", "drums", "guitar", "piano"]
    assert digests(again) == digests(first)
    assert [(s.name, s.kind, s.sound, s.audio.rate) for s in again] == [
        (s.name, s.kind, s.sound, s.audio.rate) for s in first
    ]


def test_the_bytes_are_the_same_without_a_cache(
    font: SoundFont, folder: Path, rendered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = digests(render(BAND, font))
    before = {path: path.read_bytes() for path in entries(folder)}
    monkeypatch.setenv("MIDIGEN_CACHE", "off")
    off = render(BAND, font)
    assert digests(off) == kept and len(rendered) == 8
    assert not any(stem.cached for stem in off)
    monkeypatch.setenv("MIDIGEN_CACHE", str(folder.parent))
    shutil.rmtree(folder)
    render(BAND, font)
    assert {path: path.read_bytes() for path in entries(folder)} == before


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda s: replace(s, title="x", chords=(), markers=(), keys=()), set()),
        (lambda s: changed(s, "bass", lambda p: replace(p, name="low")), set()),
        (lambda s: replace(s, parts=s.parts[::-1]), set()),
        (lambda s: changed(s, "bass", lambda p: replace(p, notes=p.notes[::-1])), set()),
        (lambda s: changed(s, "bass", lambda p: replace(p, notes=p.notes[:-1])), {"bass"}),
        (lambda s: changed(s, "bass", lambda p: replace(p, controls=(Control(7, 7, 50),))), {"bass"}),
        (lambda s: changed(s, "bass", lambda p: replace(p, bends=(Bend(7, 50),))), {"bass"}),
        (lambda s: changed(s, "bass", lambda p: replace(p, program=34)), {"bass"}),
        (lambda s: changed(s, "bass", lambda p: replace(p, bank=1)), {"bass"}),
        (lambda s: replace(s, tempos=(Tempo(0, 121.0),)), {"piano", "guitar", "bass", "drums"}),
        # a note of the guitar ends later than that, and the piano's pedal comes up later
        (lambda s: replace(s, tempos=(*s.tempos, Tempo(1_875, 60.0))), {"piano", "guitar"}),
    ],
    ids=[
        "words", "name", "order", "listing", "note", "control", "bend", "program", "bank", "tempo", "later tempo",
    ],
)  # fmt: skip
def test_only_what_is_heard_counts(
    font: SoundFont, rendered: list[str], change: Callable[[Score], Score], again: set[str]
) -> None:
    render(BAND, font)
    rendered.clear()
    stems = render(change(BAND), font)
    assert set(rendered) == again
    assert {stem.name for stem in stems if not stem.cached} == again


def test_every_note_counts_in_all_it_is() -> None:
    notes = (Note(0, 60, 100, 80), Note(50, 64, 100, 80))
    keys = {key_of(Score((Part("x", notes=notes),)))}
    for change in (
        {"onset_ticks": 51}, {"pitch": 65}, {"duration_ticks": 99}, {"velocity": 81},
    ):  # fmt: skip
        keys.add(key_of(Score((Part("x", notes=(notes[0], replace(notes[1], **change))),))))
    keys.add(key_of(Score((Part("x", notes=notes),), ticks_per_quarter=960)))
    keys.add(key_of(Score((Part("x", notes=notes[:1]),))))
    keys.add(key_of(Score((Part("x", notes=(*notes, notes[0])),))))
    keys.add(key_of(Score((Part("x", notes=notes),)), rate=48_000))
    assert len(keys) == 9


def test_rate_preset_and_the_contents_of_the_font_count(tmp_path: Path, font: SoundFont, rendered: list[str]) -> None:
    def plays_again(of: SoundFont, **settings) -> bool:
        rendered.clear()
        render(BAND.only(BAND.parts[2]), of, **settings)
        return bool(rendered)

    assert plays_again(font)
    assert plays_again(font, rate=48_000)
    assert plays_again(font, presets={"bass": "Bell"})
    assert not plays_again(font)
    copy = Path(shutil.copy(font.path, tmp_path / "copy.sf2"))
    assert not plays_again(read_soundfont(copy))
    write_soundfont(copy, (Sound(0, 33, "Bass", "constant"),))
    assert plays_again(read_soundfont(copy))


def test_parts_that_sound_alike_are_rendered_once(font: SoundFont, rendered: list[str]) -> None:
    bass = BAND.parts[2]
    told: list[str] = []
    stems = render(replace(BAND, parts=(bass, replace(bass, name="double"))), font, on_part=told.append)
    assert len(rendered) == 1
    assert told == ["bass", "double"] and [stem.name for stem in stems] == told
    assert digests(stems)[0] == digests(stems)[1]


def test_a_font_is_hashed_once(font: SoundFont, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = open_cache().identity(font.path)
    assert identity == hashlib.sha256(font.path.read_bytes()).hexdigest()
    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
        assert open_cache().identity(font.path) == identity
        patched.setattr("midigen.renderers.cache.LARGEST_HASHED", 100)  # a larger one never is
        assert open_cache().identity(font.path).startswith(str(font.path))
        assert open_cache().digest(font.path) is None
    assert Cache(None).digest(font.path) == open_cache().digest(font.path) == identity
    assert Cache(None).identity(font.path) != identity  # hashing takes longer than it could save
    (memo,) = folder.glob("*.font")
    memo.write_text("nonsense")
    assert open_cache().identity(font.path) == identity


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:100],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:5_000] + bytes([data[5_000] ^ 1]) + data[5_001:],
        lambda data: data.replace(b"Bass", b"Base", 1),
        lambda data: data.replace(b"44100", b"48000", 1),
        lambda data: b"\xff" * len(data),
        lambda data: bytes(HEADER_BYTES) + data[HEADER_BYTES:],
    ],
    ids=["empty", "no sound", "short", "long", "a bit", "name", "rate", "noise", "no header"],
)
def test_what_is_damaged_is_rendered_again(
    font: SoundFont, folder: Path, rendered: list[str], damage: Callable[[bytes], bytes]
) -> None:
    bass = BAND.only(BAND.parts[2])
    first = digests(render(bass, font))
    (entry,) = entries(folder)
    whole = entry.read_bytes()
    assert damage(whole) != whole
    entry.write_bytes(damage(whole))
    again = render(bass, font)
    assert len(rendered) == 2 and digests(again) == first and not again[0].cached
    assert entry.read_bytes() == whole


def test_another_stem_under_the_name_is_not_taken(font: SoundFont, folder: Path, rendered: list[str]) -> None:
    right = digests(render(BAND, font))
    one, other, *_ = entries(folder)
    shutil.copy(one, other)
    assert digests(render(BAND, font)) == right
    assert len(rendered) == 5


def test_a_name_of_any_letters_fits_the_header() -> None:
    data = StemHeader("k" * 64, "ü" * 50, 44_100, 2**40).to_bytes(0)
    assert len(data) == HEADER_BYTES
    assert StemHeader.from_bytes(data).sound == "ü" * 50


@pytest.mark.parametrize("name", ["", "名" * 300, "\N{PILE OF POO}" * 40, 'with "quotes" and \\'])
def test_every_sounds_name_can_be_kept(tmp_path: Path, name: str) -> None:
    cache = Cache(tmp_path)
    with cache.draft("key", 44_100) as draft:
        draft.write(np.ones((2, 5), dtype=np.float32))
        draft.finish(name)
    found = cache.find("key")
    assert found is not None
    assert name.startswith(found[1]) and (found[1] or not name)
    assert found[0].frames == 5 and found[0].samples.all()


def test_a_folder_that_cannot_be_written_changes_nothing_but_time(
    tmp_path: Path, font: SoundFont, folder: Path, rendered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = digests(render(BAND, font))
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MIDIGEN_CACHE", str(tmp_path / "file"))
    assert not open_cache().writable()
    for _ in range(2):
        rendered.clear()
        assert digests(render(BAND, font)) == right
        assert len(rendered) == 4
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="everything can be written by root")
def test_a_folder_that_can_only_be_read_still_serves(font: SoundFont, folder: Path, rendered: list[str]) -> None:
    right = digests(render(BAND, font))
    folder.chmod(0o500)
    try:
        assert digests(render(BAND, font)) == right and len(rendered) == 4
    finally:
        folder.chmod(0o700)


def test_nothing_is_left_in_the_place_for_temporary_files(
    tmp_path: Path, font: SoundFont, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("MIDIGEN_CACHE", "off")
    stems = render(BAND, font)
    assert all(np.concatenate(list(stem.audio.blocks()), axis=1).any() for stem in stems)
    assert not list((tmp_path / "tmp").iterdir())  # they have no names there


def test_the_folder_stays_within_its_bound_and_the_last_used_stay(tmp_path: Path) -> None:
    def keep(cache: Cache, key: str, frames: int = 1_000) -> None:
        with cache.draft(key, 44_100) as draft:
            draft.write(np.full((2, frames), 0.5, dtype=np.float32))
            draft.finish("x")

    one = HEADER_BYTES + 1_000 * FRAME_BYTES
    cache = Cache(tmp_path, 3 * one)
    for number, key in enumerate("abcd"):
        keep(cache, key)
        os.utime(tmp_path / f"{key}.stem", (1_000 + number, 1_000 + number))
    assert cache.find("a") is not None  # used now
    cache.trim()
    assert [path.stem for path in entries(tmp_path)] == ["a", "c", "d"]
    keep(cache, "huge", 5_000)  # larger than all that may stay: it goes, and not the others for it
    cache.trim()
    assert [path.stem for path in entries(tmp_path)] == ["a", "c", "d"]
    assert cache.contents() == (3, 3 * one)


def test_a_render_keeps_to_the_bound_and_its_stems_can_be_read(
    font: SoundFont, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = digests(render(BAND, font))
    size = sum(path.stat().st_size for path in entries(folder))
    shutil.rmtree(folder)
    monkeypatch.setenv("MIDIGEN_CACHE_GB", str(size / 2 / 1e9))
    stems = render(BAND, font)
    assert 0 < sum(path.stat().st_size for path in entries(folder)) <= size / 2
    open_cache().clear()
    assert digests(stems) == right


def test_what_others_left_unfinished_goes_when_it_is_old(tmp_path: Path) -> None:
    old, new, foreign = tmp_path / "old.part", tmp_path / "new.part", tmp_path / "notes.txt"
    for path in (old, new, foreign):
        path.write_text("x")
    os.utime(old, (time.time() - 4_000,) * 2)
    Cache(tmp_path).trim()
    assert not old.exists() and new.exists() and foreign.exists()
    Cache(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_render_that_fails_leaves_nothing(font: SoundFont, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self, score, *arguments, write, **settings):
        write(np.ones((2, 100), dtype=np.float32))
        raise BadFile("damaged")

    with monkeypatch.context() as patched:
        patched.setattr(FluidSynth, "play", fails)
        with pytest.raises(BadFile, match="damaged"):
            render(BAND, font)
    assert not entries(folder) and not list(folder.glob("*.part"))

    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(BAND, font, threads=1, on_part=interrupt)
    assert not list(folder.glob("*.part"))


def test_samples_that_are_no_numbers_are_refused(font: SoundFont, folder: Path, monkeypatch) -> None:
    def wrong(self, *arguments, write, **settings):
        write(np.full((2, 100), np.nan, dtype=np.float32))

    monkeypatch.setattr(FluidSynth, "play", wrong)
    with pytest.raises(BadFile, match="not numbers"):
        render(BAND, font)
    assert not entries(folder)


def test_a_full_disk_gets_one_line(font: SoundFont, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("midigen.renderers.stemfiles.StemWriter.write", full)
    with pytest.raises(OutputError, match=r"stems: a stem cannot be written .No space left.*MIDIGEN_CACHE") as caught:
        render(BAND, font)
    assert "\n" not in str(caught.value)
    assert not list(folder.glob("*.part"))


def test_where_there_is_no_room_old_stems_give_way_then_the_temporary_folder_serves(
    tmp_path: Path, font: SoundFont, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(BAND, font)
    temporary = Path(tempfile.gettempdir())
    free = {folder: 0, temporary: 10**12}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, free[Path(path)]))  # type: ignore[attr-defined]
    tempo = replace(BAND, tempos=(Tempo(0, 90.0),))
    assert all(stem.audio.frames for stem in render(tempo, font))
    assert not entries(folder)  # all gave way, in vain
    free[temporary] = 10
    with pytest.raises(OutputError, match=r"need 0\.0 GB on disk, more than is free in .*stems and in "):
        render(tempo, font)


def test_processes_share_a_folder_that_is_cleared_under_them(tmp_path: Path, font: SoundFont, folder: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from test_stem_cache import BAND, digests;"
        "from midigen.renderers import render; from midigen.soundfonts import read_soundfont;"
        "font = read_soundfont(sys.argv[1])\n"
        "print({tuple(digests(render(BAND, font))) for _ in range(4)})"
    )
    here = Path(__file__).parent
    environment = {**os.environ, "MIDIGEN_CACHE_GB": "0.002"}  # for two of the four stems
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(font.path), str(here)],
            cwd=here.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    while any(one.poll() is None for one in running):
        open_cache().clear()
        time.sleep(0.05)
    said = [one.communicate() for one in running]
    assert [one.returncode for one in running] == [0, 0], said
    expected = {tuple(digests(render(BAND, font)))}
    assert [out.strip() for out, _ in said] == [str(expected)] * 2


def test_the_environment_names_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    assert open_cache() == Cache(tmp_path / "cache" / "stems", 2 * 10**9)
    monkeypatch.setenv("MIDIGEN_CACHE", "OFF")
    assert open_cache().folder is None
    monkeypatch.setenv("MIDIGEN_CACHE", "")
    assert open_cache().folder == platformdirs.user_cache_path("midigen", appauthor=False) / "stems"
    monkeypatch.setenv("MIDIGEN_CACHE_GB", "0.5")
    assert open_cache().most_bytes == 5 * 10**8
    monkeypatch.setenv("MIDIGEN_CACHE_GB", "0")
    assert open_cache().folder is None
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("MIDIGEN_CACHE_GB", wrong)
        with pytest.raises(BadRequest, match=f"MIDIGEN_CACHE_GB is '{wrong}'"):
            open_cache()


def test_the_command_line_tells_the_place_and_clears_it(midigen, font: SoundFont, folder: Path) -> None:
    assert f"0 of 0 MB (at most 2000 MB) in {folder}" in midigen("soundfonts").out
    render(BAND, font)
    (folder / "mine.txt").write_text("mine")
    assert f"4 of 3 MB (at most 2000 MB) in {folder}" in midigen("soundfonts").out
    assert midigen("soundfonts", "--clear-cache").out == f"4 stems of 3 MB cleared from {folder}\n"
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
