"""Evaluation: losses are taken apart without loss, listening is noticed, and a report says what is there."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from songs import small_corpus, write_songs

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from midigen.cells import Cells
from midigen.checkpoint import save_checkpoint
from midigen.dataset import Batch, Mixture, Windows, judging
from midigen.errors import BadRequest, CorpusError, OutputError
from midigen.evaluation import evaluate, listening
from midigen.evaluation.listening import cross_part_gains, worths
from midigen.evaluation.losses import NOTE_KINDS, NoteLosses, SongLosses, drawn_windows
from midigen.evaluation.report import write_report
from midigen.model import SIZES, build_model, state_of
from midigen.tokenizers.vocabulary import Vocabulary
from midigen.tokenizers.window import OWNERS
from midigen.training import Steps, evaluate_loss


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    return Cells(small_corpus(tmp_path_factory.getbasetemp()), "train")


@pytest.fixture(scope="module")
def model(cells: Cells) -> Any:
    return build_model(SIZES["tiny"], cells.vocabulary.size, 0).eval()


def batches_of(cells: Cells, windows: int = 4) -> list[Batch]:
    return Steps(Windows(cells, 512, 0, judging(Mixture())), windows, 1024)[0]


def test_taken_apart_the_loss_is_the_loss(cells: Cells, model: Any) -> None:
    songs, rows = drawn_windows(cells, 512, 0, judging(Mixture()), 4)
    read = NoteLosses(model, cells.vocabulary).read(rows)
    found = SongLosses(zip(songs, read, strict=True))
    whole = evaluate_loss(model, batches_of(cells), cells.vocabulary)
    assert found.per_note().value == pytest.approx(whole["per_note"], rel=1e-5)
    for part, values in found.table().items():
        assert values["all"].value == pytest.approx(whole[f"per_note.{part}"], rel=1e-5)
        assert sum(values[kind].value for kind in NOTE_KINDS) == pytest.approx(values["all"].value, rel=1e-5)
    assert found.perplexity("harmony").value > 1
    lanes = sum(found.a_note(lane).value for lane in ("structure", "form", "harmony"))
    notes = found.notes.sum(axis=0)
    own = sum(values["all"].value * notes[OWNERS.index(part)] for part, values in found.table().items())
    assert lanes + own / notes.sum() == pytest.approx(found.per_note().value, rel=1e-5)


def test_windows_are_read_in_any_company_and_come_back_in_order(cells: Cells, model: Any) -> None:
    songs, rows = drawn_windows(cells, 512, 0, judging(Mixture()), 6)
    assert len(set(songs)) > 1 and all(0 <= song < cells.songs for song in songs)
    done: list[int] = []
    losses = NoteLosses(model, cells.vocabulary)
    together = losses.read(rows, done.append)
    assert done[-1] == 6
    for row, found in zip(rows, together, strict=True):
        (alone,) = losses.read([row])
        assert found.nats == pytest.approx(alone.nats, rel=1e-4, abs=1e-4)
        assert (found.notes == alone.notes).all() and (found.tokens == alone.tokens).all()


def test_velocity_and_duration_come_from_the_chain_rule(cells: Cells) -> None:
    """A model that knows every velocity and nothing of durations: all nats of a touch are the duration's."""
    v = cells.vocabulary
    durations = v.sizes["touch"] // 32
    (batch,) = batches_of(cells, 1)

    class Model:
        def model(self, input_ids: Any, use_cache: bool) -> Any:
            logits = torch.full((*input_ids.shape, v.size), -30.0)
            for row in range(len(batch.ids)):
                for at, token in enumerate(batch.ids[row, 1:].tolist()):
                    kind, value = v.value(token)
                    if kind == "touch":
                        first = v.first["touch"] + value // durations * durations
                        logits[row, at, first : first + durations] = 0
                    else:
                        logits[row, at, token] = 0
            return SimpleNamespace(last_hidden_state=logits)

        def lm_head(self, hidden: Any) -> Any:
            return hidden

    (found,) = NoteLosses(Model(), v).by_row(batch)
    touches = np.array([[v.value(t)[0] == "touch" for t in row] for row in batch.ids.tolist()])
    touches &= batch.learn
    assert touches.any()
    nats = dict(zip(NOTE_KINDS, found.nats.sum(axis=0), strict=True))
    assert nats["duration"] == pytest.approx(touches.sum() * np.log(durations), rel=1e-4)
    assert nats["velocity"] == pytest.approx(0, abs=1e-3)


class Echo:
    """A model that believes in what stands in the sequence already, and a little in everything."""

    def __init__(self, size: int) -> None:
        self._size = size

    def model(self, input_ids: Any, use_cache: bool) -> Any:
        seen = torch.nn.functional.one_hot(input_ids, self._size).float().cumsum(dim=1)
        return SimpleNamespace(last_hidden_state=torch.log(seen + 0.01))

    def lm_head(self, hidden: Any) -> Any:
        return hidden


def test_a_model_that_listens_gains_by_it_and_a_deaf_one_does_not(cells: Cells) -> None:
    size, pairs = cells.vocabulary.size, (("guitar", "piano"),)
    (heard,) = cross_part_gains(NoteLosses(Echo(size), cells.vocabulary), cells, 256, pairs=pairs).values()
    songs = [gain.song for gain in heard]
    assert len(songs) == len(set(songs)) > 3
    assert np.mean(worths(heard)["absent"]) > 0.05  # piano and guitar of these songs share pitches
    assert np.isfinite(worths(heard)["foreign"]).any()

    class Deaf(Echo):
        def model(self, input_ids: Any, use_cache: bool) -> Any:
            return SimpleNamespace(last_hidden_state=torch.zeros(*input_ids.shape, size))

    (deaf,) = cross_part_gains(NoteLosses(Deaf(size), cells.vocabulary), cells, 256, pairs=pairs).values()
    for values in worths(deaf).values():
        assert np.nan_to_num(values) == pytest.approx(0, abs=1e-4)


def test_a_rival_is_another_song_that_plays_in_every_bar(cells: Cells) -> None:
    places = [p for song in range(cells.songs) if (p := listening._place(cells, song, "guitar", "piano"))]
    for part, companion in places:
        assert part.song == companion.song and len(part.cells) == len(companion.cells) <= listening.BARS
        assert all(len(cell) for cell in companion.cells)
        rival = listening._rival(companion, places, np.random.default_rng(0))
        if rival is not None:
            assert rival.song != companion.song and rival.kind == "piano"
            assert (rival.metre, rival.minor) == (companion.metre, companion.minor)
            assert len(rival.cells) >= len(companion.cells)


@pytest.fixture(scope="module")
def checkpoint(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "tiny"
    vocabulary = Vocabulary()
    tokenizer = {**vocabulary.to_spec(), "transpose": "key", "keys": [1 / 24] * 24}
    save_checkpoint(folder, state_of(model), SIZES["tiny"], tokenizer, {}, "", None)
    return folder


def test_a_report_has_songs_and_pieces_side_by_side(checkpoint: Path, tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", 6, bars=40)
    stages: list[str] = []
    found = evaluate(
        checkpoint, songs=[tmp_path / "songs"], pieces=2, bars=32, windows=2, requests=2,
        on_progress=lambda stage, done, total: stages.append(stage),
    )  # fmt: skip
    assert list(dict.fromkeys(stages)) == ["songs", "preparing", "loss", "listening", "pieces", "requests"]
    write_report(found, tmp_path)
    numbers = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert numbers["counted"]["real"] == {"seen": 6, "measured": 3}  # in 4/4, with a bass
    assert numbers["counted"]["composed"]["seen"] == 2
    loss = numbers["loss"]["nats a note"]
    assert loss == pytest.approx(found.facts["loss"]["nats a note"], abs=1e-4)
    assert loss["low"] <= loss["value"] <= loss["high"]
    kept = numbers["controls"]["kept"]
    for name in ("bars", "metre", "tempo", "parts", "key signature"):
        assert kept[name]["composed"]["value"] == 1 and kept[name]["pieces"] == 2
        assert kept[name]["composed"]["low"] < 0.5  # two pieces prove little
    assert kept["distinct velocities in 8 bars, median"]["real"]["value"] > 0
    assert 0 <= numbers["degenerate"]["share"]["value"] <= 1
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for words in (
        "nats a note",
        "piano given guitar",
        "pitch-class entropy",
        "nobody would keep",
        "what was asked for?",
    ):
        assert words in text
    for picture in ("similarity", "gains", "likeness", "notes"):
        assert (tmp_path / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
        assert f"({picture}.png)" in text


def test_songs_in_an_archive_are_read_and_what_is_broken_is_counted(checkpoint: Path, tmp_path: Path) -> None:
    paths = write_songs(tmp_path / "songs", 2, bars=40)
    with zipfile.ZipFile(tmp_path / "songs.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
        archive.writestr("broken.mid", b"MThd, or so it says")
    found = evaluate(checkpoint, songs=[tmp_path / "songs.zip"], pieces=0, windows=1, requests=0)
    assert found.facts["counted"]["real"]["seen"] == 3
    assert found.facts["loss"]["songs"] == 2


def test_the_same_seed_gives_the_same_report(checkpoint: Path) -> None:
    one, other = (evaluate(checkpoint, pieces=2, bars=32, requests=1, seed=3).json() for _ in range(2))
    assert one == other


def test_pieces_that_are_kept_are_not_composed_again(checkpoint: Path, tmp_path: Path) -> None:
    def facts(**said: Any) -> str:
        return evaluate(checkpoint, pieces=2, bars=32, requests=0, **said).json()

    whole = facts()
    assert facts(keep=tmp_path / "kept") == whole
    kept = tmp_path / "kept" / "0.mid"
    before = kept.stat().st_mtime_ns
    (tmp_path / "kept" / "1.mid").write_bytes(kept.read_bytes()[:50])  # killed while it was written
    assert facts(keep=tmp_path / "kept") == whole
    assert kept.stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="another number of bars"):
        evaluate(checkpoint, pieces=1, bars=40, requests=0, keep=tmp_path / "kept")
    with pytest.raises(OutputError, match="not a folder of pieces"):
        evaluate(checkpoint, pieces=1, bars=32, requests=0, keep=checkpoint)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"pieces": -1}, "pieces -1"),
        ({"pieces": 0, "requests": 0}, "nothing to evaluate"),
        ({"requests": -1}, "requests -1"),
        ({"bars": 16}, "bars 16 is not a whole number from 32"),
        ({"windows": 0}, "windows 0"),
    ],
)
def test_what_cannot_be_had_is_said(checkpoint: Path, said: dict[str, int], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        evaluate(checkpoint, **said)  # type: ignore[arg-type]


def test_a_folder_without_songs_is_named(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no MIDI file found"):
        evaluate(checkpoint, songs=[tmp_path], pieces=0)
