"""Training windows: drawn by their number alone, inside the context, and without a word about what is to be written."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
from songs import STYLES, make_song, small_corpus

from midigen.analysis import estimate_key
from midigen.cells import Cells, SongView, unpack
from midigen.dataset import Mixture, Steps, Windows, batches, judging, loader
from midigen.errors import BadRequest, CheckpointError, CorpusError
from midigen.grid import Grid, Lane, to_grid
from midigen.instruments import INSTRUMENTS
from midigen.tokenizers.encoding import encode
from midigen.tokenizers.spelling import read_form, read_notes
from midigen.tokenizers.vocabulary import LANES, PAD, Vocabulary
from midigen.tokenizers.window import ABSENT, FIRST_PART, FORM, GIVEN, HARMONY, MISSING, Window, arrange, measure

V = Vocabulary()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_corpus(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def cells(corpus: Path) -> Cells:
    return Cells(corpus, "train")


@pytest.fixture
def copied(corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpus, tmp_path / "corpus", ignore=shutil.ignore_patterns("cells", "chunks")))


class Memory:
    """Songs on the grid in the place of :class:`Cells`."""

    vocabulary, folder = V, Path("memory")

    def __init__(self, grids: list[Grid]) -> None:
        self.songs = [self.view(grid) for grid in grids]

    @staticmethod
    def view(grid: Grid) -> SongView:
        song = encode(grid, V)
        lengths = song.lengths.astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths.ravel())])
        return SongView(
            song.tokens, lengths, starts, song.lanes, song.programs, song.metres, song.tempos, song.similarity,
            song.chroma,
        )  # fmt: skip

    def draw(self, random: np.random.Generator) -> int:
        return int(random.integers(len(self.songs)))

    def song(self, number: int) -> SongView:
        return self.songs[number]


def dice(number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[7, number]))


# Cells


def test_cells_are_memory_mapped_and_hold_the_songs(cells: Cells, corpus: Path) -> None:
    for name in ("tokens", "lengths", "similarity", "chroma", "song_bars"):
        assert isinstance(getattr(cells, name), np.memmap)
    spec = json.loads((corpus / "corpus.json").read_text())
    assert cells.songs == spec["songs"]["train"]
    with np.load(corpus / "train-0000.npz") as shard:
        np.testing.assert_array_equal(cells.tokens, shard["tokens"])
        at = 0
        for number in range(cells.songs):
            song = cells.song(number)
            whole = np.concatenate([song.cell(row, b) for row in range(len(song.lanes) + 1) for b in range(song.bars)])
            np.testing.assert_array_equal(whole, shard["tokens"][at : at + len(whole)])
            at += len(whole)
            assert song.similarity.shape[0] == song.chroma.shape[0] == song.bars == len(song.metres)
        assert at == len(shard["tokens"])


def test_songs_are_drawn_by_length_and_weight(copied: Path) -> None:
    shard = copied / "train-0000.npz"
    with np.load(shard) as found:
        arrays = dict(found)
    arrays["song_weight"][:] = 0
    arrays["song_weight"][[2, 5]] = 1, 3
    np.savez(shard, **arrays)
    cells = Cells(copied, "train")
    drawn = [cells.draw(dice(i)) for i in range(200)]
    assert set(drawn) == {2, 5} and 1.8 < drawn.count(5) / drawn.count(2) < 5
    arrays["song_weight"][:] = 0
    np.savez(shard, **arrays)
    with pytest.raises(CorpusError, match="weight 0"):
        Cells(copied, "train")


def test_a_corrupt_shard_is_named_and_left_out_every_time(copied: Path) -> None:
    good = (copied / "train-0000.npz").read_bytes()
    (copied / "train-0001.npz").write_bytes(good[: len(good) // 2])
    (copied / "train-0002.npz").write_bytes(good)
    (copied / "train-0003.npz").write_bytes(good.replace(b"song_bars.npy", b"song_barz.npy"))
    alone = len(np.load(copied / "train-0000.npz")["song_bars"])
    for _ in range(2):
        with pytest.warns(UserWarning, match="corrupt shard left out") as caught:
            cells = Cells(copied, "train")
        assert [str(w.message).split(":")[0] for w in caught] == ["train-0001.npz", "train-0003.npz"]
        assert cells.songs == 2 * alone
    for number in (0, 2):
        (copied / f"train-000{number}.npz").write_bytes(b"nothing")
    with pytest.warns(UserWarning), pytest.raises(CorpusError, match="no shard can be read"):
        Cells(copied, "train")


def test_shards_are_unpacked_once_and_again_when_they_change(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Cells(copied, "train")
    tokens = np.array(first.tokens)
    with monkeypatch.context() as patch:
        patch.setattr("midigen.cells.unpack", lambda *_: pytest.fail("unpacked again"))
        Cells(copied, "train")
    with np.load(copied / "train-0000.npz") as found:
        arrays = dict(found)
    np.savez(copied / "train-0001.npz", **arrays)
    assert Cells(copied, "train").songs == 2 * first.songs
    np.testing.assert_array_equal(first.tokens, tokens)  # who has the old files mapped is not disturbed


def test_processes_may_unpack_at_the_same_time(copied: Path) -> None:
    shards = sorted(copied.glob("train-*.npz"))
    context = multiprocessing.get_context("fork")
    others = [
        context.Process(target=unpack, args=(shards, copied / "cells" / "train", Cells(copied, "train").vocabulary))
        for _ in range(2)
    ]
    for process in others:
        process.start()
    sums = {int(Cells(copied, "train").tokens.sum(dtype=np.int64)) for _ in range(5)}
    for process in others:
        process.join(60)
        assert process.exitcode == 0
    assert sums == {int(Cells(copied, "train").tokens.sum(dtype=np.int64))}
    assert not [p for p in (copied / "cells" / "train").iterdir() if p.suffix not in (".npy", ".json")]


def test_what_is_no_corpus_is_refused(tmp_path: Path, copied: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpus.json.*midigen prepare"):
        Cells(tmp_path, "train")
    with pytest.raises(CorpusError, match="no test shard"):
        Cells(copied, "test")
    spec = copied / "corpus.json"
    table = json.loads(spec.read_text())
    table["vocabulary"]["version"] = 9
    spec.write_text(json.dumps(table))
    with pytest.raises(CheckpointError, match="version 9"):
        Cells(copied, "train")
    for broken in ("{", "[]", "{}"):
        spec.write_text(broken)
        with pytest.raises(CorpusError, match="prepare the corpus again"):
            Cells(copied, "train")


# Windows


def test_a_window_depends_on_seed_and_number_alone(cells: Cells) -> None:
    one, other = Windows(cells, 512, 3), Windows(cells, 512, 3)
    order = [5, 0, 3, 0]
    found = {i: one[i] for i in order}
    for i in sorted(order):
        for mine, theirs in zip(found[i], other[i], strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert any(not np.array_equal(one[i][0], Windows(cells, 512, 4)[i][0]) for i in range(3))


@pytest.mark.parametrize("context", [384, 1024])
def test_windows_fit_the_context_and_teach(cells: Cells, context: int) -> None:
    windows = Windows(cells, context)
    drawn = [windows[i] for i in range(200)]
    lengths = np.array([len(ids) for ids, _, _ in drawn])
    assert lengths.max() <= context and lengths.mean() > 0.5 * min(context, 800)
    assert sum(learn.sum() for _, learn, _ in drawn) >= 0.6 * lengths.sum()
    for ids, learn, owner in drawn:
        assert ids.dtype == np.uint16 and len(ids) == len(learn) == len(owner) and PAD not in ids
        assert V.ends_note[ids[learn]].any()


def test_a_context_that_no_song_fits_is_said(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midigen.dataset.MOST_DRAWS", 300)
    with pytest.raises(CorpusError, match="no window of its songs fits 40 tokens"):
        Windows(cells, 40)[0]


def drawn_windows(cells: Cells, mixture: Mixture, count: int) -> list[Window]:
    windows = Windows(cells, 1024, 0, mixture)
    return [w for w in (windows.window(dice(i)) for i in range(count)) if w is not None]


@pytest.mark.parametrize("transpose", ["key", "random", "none"])
def test_windows_are_moved_as_a_whole_and_stay_in_range(cells: Cells, transpose: str) -> None:
    windows = drawn_windows(cells, Mixture(transpose=transpose, unset=0), 100)
    assert len(windows) > 50
    for window in windows:
        for number, part in enumerate(window.parts):
            row = INSTRUMENTS[part.kind]
            played = [c for c in window.cells[FIRST_PART + number] if len(c)]
            pitch = np.concatenate([read_notes(c, part.kind, V)[:, 2] for c in played]) if played else np.zeros(0)
            assert (pitch >= row.lowest).all() and (pitch <= row.highest).all()
    keys = {w.key for w in windows}
    assert keys == {0, 21} if transpose == "key" else len(keys) > (14 if transpose == "random" else 3)


def test_chords_move_with_the_notes(cells: Cells) -> None:
    """The same window three times: as it is, at home, and what is between them is one transposition of everything."""
    straight, home = (
        drawn_windows(cells, Mixture(1, 0, 0, 0, 0, chart=0, unset=0, transpose=t), 30) for t in ("none", "key")
    )
    for window, moved in zip(straight, home, strict=True):
        assert window.key is not None and moved.key is not None
        steps = {0: -window.key, 1: 9 - window.key}[window.key // 12] % 12
        for row in range(HARMONY, len(window.cells)):
            kind = "" if row == HARMONY else window.parts[row - FIRST_PART].kind
            for cell, other in zip(window.cells[row], moved.cells[row], strict=True):
                ways = [V.transposition(steps + octave, kind)[cell].tolist() for octave in (0, -12, -24)]
                assert other.tolist() in ways


def test_an_unknown_transposition_is_refused() -> None:
    with pytest.raises(BadRequest, match="key, random, none"):
        Mixture(transpose="up")


def test_the_key_follows_the_transposition(cells: Cells) -> None:
    mixture = Mixture(1, 0, 0, 0, 0, chart=0, unset=0, drop_drums=1, drop_part=0, transpose="random")
    for window in drawn_windows(cells, mixture, 40):
        chroma = np.zeros(12)
        for number, part in enumerate(window.parts):
            for cell in window.cells[FIRST_PART + number]:
                notes = read_notes(cell, part.kind, V)
                np.add.at(chroma, notes[:, 2] % 12, notes[:, 1])
        tonic, mode = estimate_key(chroma)
        assert window.key is not None
        same = window.key == tonic + 12 * (mode == "minor")
        assert same or (window.key % 12 - tonic) % 12 in (3, 5, 7, 9)  # a near relation, where notes hang over the edge


def test_every_task_gives_what_it_says(cells: Cells) -> None:
    none = dict.fromkeys(("compose", "continue_", "accompany", "infill", "vary"), 0.0)
    plain = {"chart": 0.0, "no_form": 0.0, "no_harmony": 0.0, "bare": 0.0}
    for task in none:
        seen = 0
        for window in drawn_windows(cells, Mixture(**{**none, task: 1.0}, **plain), 40):  # type: ignore[arg-type]
            status = window.status[FIRST_PART:]
            missing, given = status == MISSING, status == GIVEN
            assert missing.any()
            if task == "compose" or (task == "accompany" and len(status) == 1):
                assert missing.all()
            elif task == "continue_":
                bars = missing.any(axis=0)
                assert (missing.all(axis=0) == bars).all() and bars[-1] and (np.diff(bars.astype(int)) >= 0).all()
            elif task == "accompany":
                assert (given.all(axis=1) | missing.all(axis=1)).all() and given.any()
            elif task == "infill":
                rows, bars = missing.any(axis=1), missing.any(axis=0)
                assert missing[np.ix_(rows, bars)].all() and (np.diff(np.flatnonzero(bars)) == 1).all()
            else:
                assert (missing.all(axis=0) == missing.any(axis=0)).all()
            if task != "continue_":
                assert (window.status != ABSENT).all()
            seen += 1
        assert seen > 20


def test_bare_windows_say_nothing_but_the_parts(cells: Cells) -> None:
    for window in drawn_windows(cells, Mixture(bare=1.0), 60):
        assert (window.status[[FORM, HARMONY]] == ABSENT).all()
        for part in window.parts:
            assert {part.program, part.density, part.polyphony, part.register} == {None}


def test_descriptors_are_of_the_missing_cells(cells: Cells) -> None:
    for window in drawn_windows(cells, Mixture(0, 1, 1, 1, 0, unset=0, bare=0), 60):
        for number, part in enumerate(window.parts):
            missing = [
                window.cells[FIRST_PART + number][b]
                for b in np.flatnonzero(window.status[FIRST_PART + number] == MISSING)
            ]
            assert (part.density, part.polyphony, part.register) == measure(missing, part.kind, V)


def test_header_values_are_unset_as_often_as_asked(cells: Cells) -> None:
    windows = drawn_windows(cells, Mixture(unset=0.3), 200)
    for name in ("metre", "tempo", "key"):
        assert 0.2 < np.mean([getattr(w, name) is None for w in windows]) < 0.4
    assert all(w.metre is None and w.parts[0].density is None for w in drawn_windows(cells, Mixture(unset=1.0), 20))
    lanes = [(p.kind, p.slot) for w in windows for p in w.parts]
    # Two thirds of the songs have drums, and 35 % of their windows.
    with_drums = np.mean([any(p.kind == "drums" for p in w.parts) for w in windows])
    assert set(lanes) <= set(LANES) and 0.1 < with_drums < 0.4


def test_form_speaks_of_what_is_there_and_given_form_of_what_is_given(cells: Cells) -> None:
    seen = 0
    for chart in (0.0, 1.0):
        for window in drawn_windows(cells, Mixture(0, 2, 0, 1, 1, chart=chart, no_form=0), 150):
            there = (window.status[FIRST_PART:] != ABSENT).any(axis=0)
            given = (window.status[FIRST_PART:] == GIVEN).all(axis=0)
            for bar in np.flatnonzero(window.status[FORM] != ABSENT).tolist():
                (token,) = window.cells[FORM][bar].tolist()
                distance, _ = read_form(token, V)
                assert distance <= bar
                if distance:
                    assert there[bar - distance]
                    if window.status[FORM, bar] == GIVEN and not chart:
                        assert given[bar] and given[bar - distance]
                        seen += 1
            assert chart or (given[window.status[HARMONY] == GIVEN]).all()
    assert seen > 20


def changed(grid: Grid, window: Window) -> Grid:
    """``grid`` with every note in the missing cells of ``window`` a semitone away."""
    first = grid.bars - 1 - int(window.left[0])
    rows = {(p.kind, p.slot): row for row, p in enumerate(window.parts, start=FIRST_PART)}
    lanes = []
    for lane in grid.lanes:
        notes = lane.notes.copy()
        if (lane.kind, lane.slot) in rows:
            missing = np.flatnonzero(window.status[rows[lane.kind, lane.slot]] == MISSING) + first
            moved = np.isin(notes[:, 0], missing)
            notes[moved, 3] += 1 if moved.any() and notes[moved, 3].max() < INSTRUMENTS[lane.kind].highest else -1
        lanes.append(Lane(lane.kind, lane.slot, lane.program, notes))
    return Grid(grid.bar_lengths, grid.metres, grid.tempos, tuple(lanes), grid.alignment)


def test_nothing_before_fill_tells_of_the_missing_notes() -> None:
    """Other notes in the missing cells change nothing that is given but what the header is allowed to say.

    That is the key of the window and the register of the missing cells. A chord symbol of a given bar may change where
    the bar stands next to a missing one, for notes ring over the bar line and a change of chord is weighed against
    its neighbours.
    """
    grids = [
        to_grid(make_song(STYLES[i % 3], seed=i, bars=40, metre=("4/4", "3/4")[i % 2], tonic=3 * i)) for i in range(4)
    ]
    mixture = Mixture(chart=0, unset=0, transpose="none")
    chords = rung = windows = 0
    for number in range(60):
        memory = Memory(grids)
        before = Windows(memory, 10**6, 0, mixture).window(dice(number))  # type: ignore[arg-type]
        if before is None:
            continue
        song = int(dice(number).integers(len(grids)))
        memory.songs[song] = Memory.view(changed(grids[song], before))
        after = Windows(memory, 10**6, 0, mixture).window(dice(number))  # type: ignore[arg-type]
        assert after is not None
        slides = ABSENT in before.status or ABSENT in after.status
        if slides and not np.array_equal(before.status, after.status):
            continue  # a window that slides is given the bars that its missing ones follow
        np.testing.assert_array_equal(before.status, after.status)
        windows += 1
        for name in ("metre", "tempo", "opening"):
            assert getattr(before, name) == getattr(after, name)
        for part, other in zip(before.parts, after.parts, strict=True):
            assert (part.kind, part.slot, part.program, part.density, part.polyphony) == (
                other.kind, other.slot, other.program, other.density, other.polyphony,
            )  # fmt: skip
        missing = np.flatnonzero((before.status[FIRST_PART:] == MISSING).any(axis=0))
        for row, bar in np.argwhere(before.status == GIVEN).tolist():
            same = np.array_equal(before.cells[row][bar], after.cells[row][bar])
            if row == HARMONY:
                chords, rung = chords + 1, rung + (not same)
                assert same or np.abs(missing - bar).min() <= 2
            else:
                assert same
        assert not np.array_equal(arrange(before, V)[0], arrange(after, V)[0])
    assert windows > 45 and chords > 80 and rung < 0.03 * chords


def test_windows_open_and_end_with_the_song(cells: Cells) -> None:
    opening = drawn_windows(cells, Mixture(opening=1.0, ending=0.0), 30)
    assert all(w.opening for w in opening)
    ending = drawn_windows(cells, Mixture(opening=0.0, ending=1.0, continue_=0), 30)
    assert all(w.left[-1] == 0 for w in ending)
    inside = drawn_windows(cells, Mixture(opening=0.0, ending=0.0), 60)
    assert any(not w.opening for w in inside)


# Steps


def test_batches_hold_every_window_once_and_no_more_than_asked(cells: Cells) -> None:
    windows = [Windows(cells, 512, 0, judging(Mixture()))[i] for i in range(12)]
    made = batches(windows, 1200)
    found = []
    for batch in made:
        assert batch.ids.size <= 1200 or len(batch.ids) == 1
        assert batch.ids.dtype == np.int64 and batch.ids.shape == batch.learn.shape == batch.owner.shape
        for ids, learn in zip(batch.ids, batch.learn, strict=True):
            length = int((ids != PAD).sum())
            assert not ids[length:].any() and not learn[length:].any()
            found.append(ids[:length].tolist())
    assert sorted(found) == sorted(ids.tolist() for ids, _, _ in windows)
    assert len(batches(windows, 1)) == 12


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_gives_the_steps_asked_for(cells: Cells, workers: int) -> None:
    pytest.importorskip("torch")
    steps = Steps(Windows(cells, 384, 1), 3, 800)
    made = list(loader(steps, 4, 6, workers))
    assert len(made) == 2
    for step, found in zip((4, 5), made, strict=True):
        for mine, theirs in zip(steps[step], found, strict=True):
            np.testing.assert_array_equal(mine.ids, theirs.ids)
            np.testing.assert_array_equal(mine.learn, theirs.learn)
