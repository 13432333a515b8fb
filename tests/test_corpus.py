"""Preparing a corpus: every file is accounted for, stopping costs little, and the same songs give the same bytes."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from songs import QUARTER, make_song, small_corpus, transposed, write_songs

from midigen import corpus
from midigen.corpus import find_files, prepare
from midigen.errors import BadRequest, CorpusError
from midigen.midi import midi_bytes, write_midi
from midigen.score import Metre, Score
from midigen.tokenizers.vocabulary import Vocabulary


class Pool:
    """A pool of processes without processes: work is done when its result is asked for. Counts what is in flight."""

    made: list[Pool]

    def __init__(self, jobs: int, mp_context: object = None, initializer: object = None) -> None:
        self.jobs, self.submitted, self.in_flight, self.most_in_flight = jobs, 0, 0, 0
        Pool.made.append(self)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def shutdown(self, **_: object) -> None:
        pass

    def submit(self, work: Callable[..., int], *arguments: Any) -> Future[int]:
        self.submitted += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        pool = self

        class Later(Future[int]):
            def result(self, timeout: float | None = None) -> int:
                pool.in_flight -= 1
                return work(*arguments)

        return Later()


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Pool]]:
    Pool.made = []
    monkeypatch.setattr(corpus, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(corpus, "CHUNK", 4)
    yield Pool.made


def rows(output: Path) -> list[dict[str, str]]:
    lines = [line.split("\t") for line in (output / "table.tsv").read_text(encoding="utf-8").splitlines()]
    assert {len(line) for line in lines} == {len(lines[0])}
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def files_of(output: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(output.iterdir()) if p.is_file()}


def off_the_grid(score: Score) -> Score:
    parts = tuple(
        replace(p, notes=tuple(replace(n, onset_ticks=n.onset_ticks * 131 // 127 + 50) for n in p.notes))
        for p in score.parts
    )
    return replace(score, parts=parts)


def test_processes_prepare_a_corpus(tmp_path_factory: pytest.TempPathFactory) -> None:
    output = small_corpus(tmp_path_factory.getbasetemp())
    spec = json.loads((output / "corpus.json").read_text())
    table = rows(output)
    assert len(table) == 18 and all(not row["reason"] for row in table)
    assert spec["songs"] == {s: sum(row["split"] == s for row in table) for s in ("train", "validation")}
    assert spec["sources"] == {"small-songs": 18} and spec["notes"] == sum(int(row["notes"]) for row in table)
    assert Vocabulary.from_spec(spec["vocabulary"]).note_tokens == "running"
    with np.load(output / "train-0000.npz") as shard:
        assert shard["song_bars"].tolist() == [16] * spec["songs"]["train"]
        assert len(shard["tokens"]) == shard["song_tokens"].sum() == shard["lengths"].sum()
        assert len(shard["lengths"]) == (shard["song_bars"] * (shard["song_lanes"] + 1)).sum()
        assert len(shard["chroma"]) == shard["song_bars"].sum()


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "noise.mid": (lambda: b"\x00\x01 not music", "unreadable: not a MIDI file"),
    "empty.mid": (lambda: b"", "unreadable: empty or locked"),
    "cut.mid": (lambda: midi_bytes(make_song(bars=8))[:900], "unreadable: broken MIDI file"),
    "huge.mid": (lambda: b"MThd" + b"\0" * corpus.LARGEST_FILE, "too large: over 8 MiB"),
    "silent.mid": (lambda: midi_bytes(replace(make_song(), parts=())), "no notes"),
    "solo.mid": (
        lambda: midi_bytes(make_song(parts=("piano",))),
        "one part only: a band needs two of piano, guitar and bass",
    ),
    "drums.mid": (
        lambda: midi_bytes(make_song(parts=("drums",))),
        "empty parts: no piano, guitar or bass with 32 notes",
    ),
    "sparse.mid": (
        lambda: midi_bytes(
            replace(make_song(), parts=tuple(replace(p, notes=p.notes[:20]) for p in make_song().parts))
        ),
        "empty parts: no piano, guitar or bass with 32 notes",
    ),
    "short.mid": (lambda: midi_bytes(make_song("rock", bars=7)), "too short: under 8 bars"),
    "free.mid": (
        lambda: midi_bytes(off_the_grid(make_song())),
        "no usable bar grid: onsets off the sixteenths and triplets",
    ),
    "odd.mid": (
        lambda: midi_bytes(replace(make_song(bars=32), metres=(Metre(0, 4, 4), Metre(4 * 4 * QUARTER, 13, 8)))),
        "metre: under 8 bars in a metre the model knows",
    ),
    "eleven.mid": (
        lambda: midi_bytes(replace(make_song(bars=32), metres=(Metre(0, 11, 8),))),
        "metre: under 8 bars in a metre the model knows",
    ),
    "endless.mid": (
        lambda: midi_bytes(make_song(bars=64, tempo_qpm=4.0)),
        "too long: over an hour or 2,000 bars",
    ),
    "z-twin.mid": (lambda: midi_bytes(transposed(make_song("rock", seed=9), 2)), "twin of good.mid"),
    "tab\tand (paren): x.mid": (lambda: b"MThd\0\0", "unreadable: truncated MIDI file"),
}


def test_every_file_has_a_row_and_what_is_refused_has_a_reason(tmp_path: Path, pools: list[Pool]) -> None:
    folder = tmp_path / "songs"
    folder.mkdir()
    for name, (make, _) in REFUSED.items():
        (folder / name).write_bytes(make())
    write_midi(make_song("rock", seed=9), folder / "good.mid")
    write_midi(make_song("ballad", seed=9), folder / "deep.kar")
    (folder / "notes.txt").write_text("no song")
    report = prepare([folder], tmp_path / "out", validation_share=0)
    table = {row["file"]: row for row in rows(tmp_path / "out")}
    assert {name: row["reason"] for name, row in table.items() if row["reason"]} == {
        name.replace("\t", "?"): reason for name, (_, reason) in REFUSED.items()
    }
    assert report.kept == {"train": 2} and sum(report.refused.values()) == len(REFUSED)
    assert report.refused["twin"] == 1 and report.refused["one part only: a band needs two of piano, guitar and bass"]
    assert all(not row["split"] for row in table.values() if row["reason"])


def test_folders_and_archives_give_the_same_songs(tmp_path: Path) -> None:
    folder = tmp_path / "band"
    paths = write_songs(folder / "inner", 3, bars=8)
    packed = {}
    for name in ("band.tar.xz", "band.tgz", "band.tar"):
        mode = {"band.tar.xz": "w:xz", "band.tgz": "w:gz", "band.tar": "w"}[name]
        with tarfile.open(tmp_path / name, mode) as tar:  # type: ignore[call-overload]
            tar.add(folder, arcname="band")
        packed[name] = "band/inner/"
    with zipfile.ZipFile(tmp_path / "band.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    packed["band.zip"] = ""
    expected = [p.read_bytes() for p in paths]
    assert [read() for _, _, read in find_files([folder])] == expected
    for name, inside in packed.items():
        found = [(source, file, read()) for source, file, read in find_files([tmp_path / name])]
        assert sorted(found) == [(name, inside + p.name, data) for p, data in zip(paths, expected, strict=True)]
    nested = tmp_path / "shelf"
    nested.mkdir()
    shutil.copy(tmp_path / "band.tar.xz", nested)
    shutil.copy(paths[0], nested / "ALONE.MIDI")
    assert [(s, n.rsplit("/")[-1]) for s, n, _ in find_files([nested])][:2] == [
        ("shelf", "ALONE.MIDI"), ("band.tar.xz", "song-000.mid"),
    ]  # fmt: skip
    assert [n for _, n, _ in find_files([paths[1]])] == ["song-001.mid"]


def test_names_that_no_table_can_hold_are_made_printable(tmp_path: Path, pools: list[Pool]) -> None:
    archive = tmp_path / "old.tar"
    data = midi_bytes(make_song())
    with tarfile.open(archive, "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("caf\xe9\n.mid")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    prepare([archive], tmp_path / "out")
    assert [row["file"] for row in rows(tmp_path / "out")] == ["caf??.mid"]


@pytest.mark.parametrize("name", ["band.tar.xz", "band.tar.gz", "band.zip", "locked.zip"])
def test_a_damaged_archive_is_named_in_one_line(tmp_path: Path, name: str, pools: list[Pool]) -> None:
    write_songs(tmp_path / "band", 4)
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for song in sorted((tmp_path / "band").iterdir()):
                archive.write(song, song.name)
        data = bytearray(path.read_bytes())
        if name == "locked.zip":
            for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # mark the first member as encrypted
                data[data.index(signature) + flags] |= 1
        else:
            data[120:140] = b"\xff" * 20
    else:
        with tarfile.open(path, "w:xz" if name.endswith("xz") else "w:gz") as tar:
            tar.add(tmp_path / "band", arcname="band")
        data = bytearray(path.read_bytes())
        data = data[: len(data) // 2]
    path.write_bytes(bytes(data))
    with pytest.raises(CorpusError, match="cannot be read") as caught:
        prepare([path], tmp_path / "out")
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "corpus.json").exists()


def test_nothing_to_read_is_said(tmp_path: Path, pools: list[Pool]) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CorpusError, match="no MIDI file found"):
        prepare([tmp_path / "nothing"], tmp_path / "out")
    with pytest.raises(CorpusError, match="no such folder or archive"):
        prepare([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(BadRequest, match="validation share 1"):
        prepare([tmp_path], tmp_path / "out", validation_share=1)


def test_a_second_run_reads_nothing_again_and_writes_the_same_bytes(tmp_path: Path, pools: list[Pool]) -> None:
    write_songs(tmp_path / "songs", 10, bars=8)
    first = prepare([tmp_path / "songs"], tmp_path / "out", validation_share=0.3)
    before = files_of(tmp_path / "out")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "chunks").iterdir()}
    again = prepare([tmp_path / "songs"], tmp_path / "out", validation_share=0.3)
    assert [pool.submitted for pool in pools] == [3, 0] and first == again
    assert files_of(tmp_path / "out") == before
    assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "chunks").iterdir()}
    elsewhere = prepare([tmp_path / "songs"], tmp_path / "elsewhere", validation_share=0.3)
    assert replace(elsewhere, table=first.table) == first and files_of(tmp_path / "elsewhere") == before


def test_new_files_cost_only_themselves(tmp_path: Path, pools: list[Pool]) -> None:
    write_songs(tmp_path / "songs", 8, bars=8)
    prepare([tmp_path / "songs"], tmp_path / "out")
    write_songs(tmp_path / "songs", 3, bars=8, first_seed=20)  # their names come last
    report = prepare([tmp_path / "songs"], tmp_path / "out")
    assert [pool.submitted for pool in pools] == [2, 1] and sum(report.kept.values()) == 11


def test_an_interrupted_run_goes_on(tmp_path: Path, pools: list[Pool]) -> None:
    write_songs(tmp_path / "songs", 16, bars=8)
    done: list[int] = []

    def stop(count: int) -> None:
        done.append(count)
        if count >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([tmp_path / "songs"], tmp_path / "out", jobs=1, on_files=stop)
    assert len(list((tmp_path / "out" / "chunks").glob("*.npz"))) == 1
    assert not (tmp_path / "out" / "corpus.json").exists()
    done.clear()
    report = prepare([tmp_path / "songs"], tmp_path / "out", jobs=1, on_files=done.append)
    assert pools[1].submitted == 3 and sum(report.kept.values()) == 16
    assert done == sorted(done) and done[-1] == 16


def test_a_pack_that_broke_off_is_no_corpus(tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    write_songs(tmp_path / "songs", 4, bars=8)
    prepare([tmp_path / "songs"], tmp_path / "out")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(corpus, "_write_shard", full)
        with pytest.raises(OSError, match="space"):
            prepare([tmp_path / "songs"], tmp_path / "out")
    assert not (tmp_path / "out" / "corpus.json").exists()
    prepare([tmp_path / "songs"], tmp_path / "out")
    assert (tmp_path / "out" / "corpus.json").exists() and (tmp_path / "out" / "train-0000.npz").exists()


def test_few_files_are_in_flight(tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    write_songs(tmp_path / "songs", 14, bars=8)
    monkeypatch.setattr(corpus, "CHUNK", 1)
    prepare([tmp_path / "songs"], tmp_path / "out", jobs=2)
    assert pools[0].submitted == 14 and pools[0].most_in_flight == 2 * 2 + 1


def test_a_damaged_chunk_and_a_dead_process_are_said_in_one_line(
    tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_songs(tmp_path / "songs", 2, bars=8)
    prepare([tmp_path / "songs"], tmp_path / "out")
    (chunk,) = (tmp_path / "out" / "chunks").iterdir()
    chunk.write_bytes(chunk.read_bytes()[:200])
    with pytest.raises(CorpusError, match="is damaged; delete it and prepare again"):
        prepare([tmp_path / "songs"], tmp_path / "out")
    chunk.unlink()

    def die(*_: object) -> int:
        raise BrokenProcessPool("A process in the process pool was terminated abruptly")

    monkeypatch.setattr(corpus, "_read_chunk", die)
    with pytest.raises(CorpusError, match="fewer --jobs"):
        prepare([tmp_path / "songs"], tmp_path / "out")


def test_one_file_that_breaks_the_reader_stops_nothing(
    tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_songs(tmp_path / "songs", 3)
    read_song = corpus.read_song

    def fragile(name: str, data: bytes, vocabulary: Vocabulary) -> Any:
        if name == "song-001.mid":
            raise ZeroDivisionError("odd")
        return read_song(name, data, vocabulary)

    monkeypatch.setattr(corpus, "read_song", fragile)
    prepare([tmp_path / "songs"], tmp_path / "out")
    assert [row["reason"] for row in rows(tmp_path / "out")] == ["", "unreadable: ZeroDivisionError odd", ""]


def test_validation_songs_of_their_own_are_kept_apart(tmp_path: Path, pools: list[Pool]) -> None:
    write_songs(tmp_path / "songs", 5)
    write_songs(tmp_path / "judges", 2, first_seed=30)
    write_midi(transposed(make_song("shuffle", seed=77), 3), tmp_path / "judges" / "x.mid")
    write_midi(make_song("shuffle", seed=77), tmp_path / "songs" / "a-copy.mid")
    report = prepare([tmp_path / "songs"], tmp_path / "out", validation=[tmp_path / "judges"], validation_share=0.9)
    assert report.kept == {"validation": 3, "train": 5}
    splits = {row["file"]: (row["source"], row["split"], row["reason"]) for row in rows(tmp_path / "out")}
    assert splits["a-copy.mid"] == ("songs", "", "twin of x.mid")
    assert all(
        split == {"songs": "train", "judges": "validation"}[source] for source, split, why in splits.values() if not why
    )


def test_twins_never_stand_on_both_sides(tmp_path: Path, pools: list[Pool]) -> None:
    (tmp_path / "songs").mkdir()
    for number in range(12):
        song = transposed(make_song("rock", seed=number % 3), number % 5)
        write_midi(song, tmp_path / "songs" / f"{number}.mid")
    report = prepare([tmp_path / "songs"], tmp_path / "out", validation_share=0.5)
    assert sum(report.kept.values()) == 3 and report.refused == {"twin": 9}
    names = {row["file"]: row["reason"] for row in rows(tmp_path / "out")}
    for name, reason in names.items():
        if reason:
            other = reason.removeprefix("twin of ")
            assert int(name[:-4]) % 3 == int(other[:-4]) % 3 and not names[other]


def test_a_small_folder_has_a_song_to_validate_on(tmp_path: Path, pools: list[Pool]) -> None:
    write_songs(tmp_path / "songs", 4)
    report = prepare([tmp_path / "songs"], tmp_path / "out", validation_share=1e-6)
    assert report.kept == {"train": 3, "validation": 1}
    assert prepare([tmp_path / "songs"], tmp_path / "out", validation_share=0).kept == {"train": 4}


def test_the_split_follows_the_name_alone(tmp_path: Path, pools: list[Pool]) -> None:
    write_songs(tmp_path / "songs", 12, bars=8)
    prepare([tmp_path / "songs"], tmp_path / "out", validation_share=0.4)
    before = {row["file"]: row["split"] for row in rows(tmp_path / "out")}
    (tmp_path / "songs" / "song-000.mid").unlink()
    prepare([tmp_path / "songs"], tmp_path / "less", validation_share=0.4)
    after = {row["file"]: row["split"] for row in rows(tmp_path / "less")}
    assert set(before.values()) == {"train", "validation"}
    assert after == {name: split for name, split in before.items() if name in after}


def test_weights_are_of_sources_and_of_beginnings_of_names(tmp_path: Path, pools: list[Pool]) -> None:
    (tmp_path / "songs").mkdir()
    for number, name in enumerate(("jazz__a.mid", "pop__b.mid", "c.mid", "flat__d.mid")):
        song = make_song("ballad", seed=40 + number)
        if name.startswith("flat"):  # one loudness throughout
            song = replace(
                song, parts=tuple(replace(p, notes=tuple(replace(n, velocity=80) for n in p.notes)) for p in song.parts)
            )
        write_midi(song, tmp_path / "songs" / name)
    prepare([tmp_path / "songs"], tmp_path / "out", validation_share=0, weights={"songs": 2.0, "jazz": 3.0, "pop": 0.0})
    weights = {row["file"]: float(row["weight"]) for row in rows(tmp_path / "out")}
    assert weights == {"jazz__a.mid": 6.0, "pop__b.mid": 0.0, "c.mid": 2.0, "flat__d.mid": 1.0}
    with np.load(tmp_path / "out" / "train-0000.npz") as shard:
        assert sorted(shard["song_weight"].tolist()) == [0, 1, 2, 6]
    assert json.loads((tmp_path / "out" / "corpus.json").read_text())["sources"] == {"songs": 3}


def test_the_same_source_given_twice_is_read_once(tmp_path: Path, pools: list[Pool]) -> None:
    write_songs(tmp_path / "songs", 4)
    report = prepare([tmp_path / "songs", tmp_path / "songs"], tmp_path / "out")
    assert pools[0].submitted == 1 and report.refused == {"twin": 4}


def test_many_songs_are_several_shards(tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SHARD", 3)
    write_songs(tmp_path / "songs", 7, bars=8)
    report = prepare([tmp_path / "songs"], tmp_path / "out", validation_share=0)
    assert report.shards == 3 and sum(p.name.startswith("train-") for p in (tmp_path / "out").iterdir()) == 3
    monkeypatch.setattr(corpus, "SHARD", 100)
    prepare([tmp_path / "songs"], tmp_path / "out", validation_share=0)
    assert [p.name for p in (tmp_path / "out").glob("train-*")] == ["train-0000.npz"]  # no old shard is left behind


def test_no_process_outlives_one_that_was_killed(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    write_songs(tmp_path / "songs", 40)
    command = [sys.executable, "-m", "midigen", "prepare", str(tmp_path / "songs"), "-o", str(tmp_path / "data")]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--jobs", "2"], **silent) as ours:  # type: ignore[call-overload]
        helpers: list[Any] = []
        while ours.poll() is None and not helpers:
            time.sleep(0.01)
            with contextlib.suppress(psutil.Error):  # the process was looked at as it began or ended
                helpers = [p for p in psutil.Process(ours.pid).children() if "spawn_main" in " ".join(p.cmdline())]
        ours.kill()
    assert helpers
    _, left = psutil.wait_procs(helpers, timeout=60)
    assert not left
