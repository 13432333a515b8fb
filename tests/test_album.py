"""Many songs: each as compose makes it, resumed where it was stopped, and nothing of another's touched."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import needs_fluidsynth

import midigen
from midigen import workers
from midigen.album import TABLE, compose_album, read_row, table_of
from midigen.errors import BadFile, BadRequest, MidigenError, OutputError
from midigen.folders import clear_drafts
from midigen.workers.processes import Processes

SETTINGS: dict[str, Any] = {"bars": 2, "parts": "piano,bass", "preset": "dry"}


class Here:
    """A crew that works in this process, one after the other, and counts."""

    shares_disk = True
    seen = 0

    def __init__(self, hands: int | None = None, address: str | None = None) -> None:
        pass

    def run(self, task: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for number, job in reversed(list(enumerate(jobs))):  # the order is nobody's promise
            Here.seen += 1
            yield number, task(job)


class Away(Here):
    """The same, but its disk is another."""

    shares_disk = False


@pytest.fixture(autouse=True)
def crews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Here, "seen", 0)
    monkeypatch.setitem(workers.CREWS._loaded, "here", Here)
    monkeypatch.setitem(workers.CREWS._loaded, "away", Away)


@needs_fluidsynth
def test_a_song_of_an_album_is_the_one_that_its_seed_makes(tmp_path: Path) -> None:
    rows = compose_album(tmp_path / "album", 2, crew="here", seed=7, **SETTINGS)
    assert [row.seed for row in rows] == [7, 8]
    midigen.compose(seed=8, threads=1, **SETTINGS).save(tmp_path / "alone")
    for name in ("song.mid", "mix.wav", "stems/piano.wav", "midigen.json"):
        assert (tmp_path / "album" / "song-8" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    table = (tmp_path / "album" / TABLE).read_text(encoding="utf-8").splitlines()
    assert len(table) == 3 and table[2].startswith("8\tsong-8\t")
    assert len(table_of(rows)) == 3


@needs_fluidsynth
def test_it_goes_on_where_it_was_and_grows(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    compose_album(tmp_path, 1, crew="here", seed=7, **SETTINGS)
    stray = tmp_path / ".song-8.0123abcd.part"
    stray.mkdir()
    rows = compose_album(tmp_path, 2, crew="away", on_song=lambda *n: done.append(n), **SETTINGS)
    assert [row.seed for row in rows] == [7, 8] and Here.seen == 2
    assert done == [(1, 2), (2, 2)] and not stray.exists()
    assert json.loads((tmp_path / "song-8" / "midigen.json").read_text())["settings"]["seed"] == 8
    with pytest.raises(OutputError, match=r"asked for otherwise \(bars\)"):
        compose_album(tmp_path, 3, crew="here", **{**SETTINGS, "bars": 3})
    with pytest.raises(OutputError, match=r"asked for otherwise \(seed\)"):
        compose_album(tmp_path, 3, crew="here", seed=9, **SETTINGS)


def test_what_cannot_be_had_is_said_before_anything_is_made(tmp_path: Path) -> None:
    for count in (0, -1, 100_001, True):
        with pytest.raises(BadRequest, match="count"):
            compose_album(tmp_path / "a", count)
    with pytest.raises(BadRequest, match="jobs 0"):
        compose_album(tmp_path / "a", 1, jobs=0)
    with pytest.raises(BadRequest, match="unknown crew 'ants': choose one of"):
        compose_album(tmp_path / "a", 1, crew="ants")
    with pytest.raises(BadRequest, match="address"):
        compose_album(tmp_path / "a", 1, address="10.0.0.1")
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds no album"):
        compose_album(tmp_path / "b", 1, crew="here", **SETTINGS)
    with pytest.raises(BadRequest, match="Hmaj"):
        compose_album(tmp_path / "c", 1, crew="here", chords="C | Hmaj", **SETTINGS)


def test_a_song_that_broke_a_promise_is_a_row_and_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from midigen import album
    from midigen.composition.promises import BrokenPromise

    def broken(**settings: Any) -> None:
        raise BrokenPromise("bars: 3 instead of 2")

    monkeypatch.setattr(album, "compose", broken)
    rows = compose_album(tmp_path, 2, crew="here", seed=1, **SETTINGS)
    assert [row.error for row in rows] == ["bars: 3 instead of 2"] * 2
    assert "not composed" in (tmp_path / TABLE).read_text(encoding="utf-8")


def test_a_record_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "midigen.json").write_text("{}")
    with pytest.raises(BadFile, match="not the record of a song"):
        read_row(tmp_path)


def test_only_drafts_are_cleared(tmp_path: Path) -> None:
    for name in (".song-1.0123abcd.part", "song-2", ".mine.part", ".git"):
        (tmp_path / name).mkdir()
    clear_drafts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", ".mine.part", "song-2"]


def square(number: int) -> int:
    if number < 0:
        raise BadRequest(f"number {number} is negative")
    return number * number


def vanish(number: int) -> int:
    os._exit(9)


def test_processes_do_every_job_once_and_pass_errors_on() -> None:
    assert sorted(Processes(2).run(square, [3, 1, 2])) == [(0, 9), (1, 1), (2, 4)]
    with pytest.raises(BadRequest, match="number -1 is negative"):
        list(Processes(1).run(square, [-1, 2]))


def test_a_process_that_vanishes_is_one_line() -> None:
    with pytest.raises(MidigenError, match="ended in the middle"):
        list(Processes(1).run(vanish, [1]))


@needs_fluidsynth
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_stopped_it_leaves_no_process_and_no_half_song(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "midigen", "compose", "--count", "50", "--bars", "2", "--jobs", "1", "-o", "album"]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "MARK_OF_THIS_TEST": str(tmp_path)}
    ours = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)

    def running() -> int:
        found = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                found += f"MARK_OF_THIS_TEST={tmp_path}\0".encode() in (process / "environ").read_bytes()
            except OSError:
                continue
        return found

    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("album/song-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    ours.send_signal(signal.SIGINT)
    _, said = ours.communicate(timeout=60)
    assert ours.returncode == 130 and said.decode().strip().splitlines()[-1] == "midigen: stopped"
    while running() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running() == 0
    assert not list(tmp_path.glob("album/.*"))
    for song in tmp_path.glob("album/song-*"):
        assert (song / "midigen.json").is_file()


@needs_fluidsynth
@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="ray is not installed")
@pytest.mark.filterwarnings("ignore")
def test_rays_workers_make_the_same_songs(tmp_path: Path) -> None:
    compose_album(tmp_path / "ray", 2, crew="ray", jobs=1, seed=7, **SETTINGS)
    compose_album(tmp_path / "here", 2, crew="here", seed=7, **SETTINGS)
    for name in ("song-7/song.mid", "song-8/mix.wav"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
