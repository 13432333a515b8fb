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
from midigen.errors import BadRequest, CorpusError
from midigen.evaluation import evaluate, listening
from midigen.evaluation.listening import cross_part_gains, worths
from midigen.evaluation.losses import NOTE_KINDS, NoteLosses
from midigen.evaluation.report import write_report
from midigen.model import SIZES, build_model, state_of
from midigen.tokenizers.vocabulary import Vocabulary
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
    batches = batches_of(cells)
    found = NoteLosses(model, cells.vocabulary)
    found.add(batches)
    whole = evaluate_loss(model, batches, cells.vocabulary)
    assert found.per_note() == pytest.approx(whole["per_note"], rel=1e-5)
    for part, values in found.table().items():
        assert values["all"] == pytest.approx(whole[f"per_note.{part}"], rel=1e-5)
        assert sum(values[kind] for kind in NOTE_KINDS) == pytest.approx(values["all"], rel=1e-5)
    assert found.perplexity("harmony") > 1


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

    found = NoteLosses(Model(), v)
    found.add([batch])
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
    (heard,) = cross_part_gains(Echo(size), cells, 256, at_home=True, pairs=pairs).values()
    songs = [gain.song for gain in heard]
    assert len(songs) == len(set(songs)) > 3
    assert np.mean(worths(heard)["absent"]) > 0.05  # piano and guitar of these songs share pitches
    assert np.isfinite(worths(heard)["foreign"]).any()

    class Deaf(Echo):
        def model(self, input_ids: Any, use_cache: bool) -> Any:
            return SimpleNamespace(last_hidden_state=torch.zeros(*input_ids.shape, size))

    (deaf,) = cross_part_gains(Deaf(size), cells, 256, at_home=True, pairs=pairs).values()
    for values in worths(deaf).values():
        assert np.nan_to_num(values) == pytest.approx(0, abs=1e-4)


def test_a_rival_is_another_song_that_plays_in_every_bar(cells: Cells) -> None:
    places = [p for song in range(cells.songs) if (p := listening._place(cells, song, "guitar", "piano", True))]
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
        checkpoint, songs=[tmp_path / "songs"], pieces=2, bars=32, windows=2,
        on_progress=lambda stage, done, total: stages.append(stage),
    )  # fmt: skip
    assert list(dict.fromkeys(stages)) == ["songs", "loss", "listening", "pieces"]
    write_report(found, tmp_path)
    numbers = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert numbers["counted"]["real"] == {"seen": 6, "measured": 3}  # in 4/4, with a bass
    assert numbers["counted"]["composed"]["seen"] == 2
    assert numbers["loss"]["nats a note"] == pytest.approx(found.facts["loss"]["nats a note"], abs=1e-4)
    assert 0 <= numbers["degenerate"]["share"]["value"] <= 1
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for words in ("nats a note", "piano given guitar", "pitch-class entropy", "nobody would keep"):
        assert words in text
    assert (tmp_path / "similarity.png").read_bytes().startswith(b"\x89PNG")


def test_songs_in_an_archive_are_read_and_what_is_broken_is_counted(checkpoint: Path, tmp_path: Path) -> None:
    paths = write_songs(tmp_path / "songs", 2, bars=40)
    with zipfile.ZipFile(tmp_path / "songs.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
        archive.writestr("broken.mid", b"MThd, or so it says")
    found = evaluate(checkpoint, songs=[tmp_path / "songs.zip"], pieces=0, windows=1)
    assert found.facts["counted"]["real"]["seen"] == 3
    assert found.facts["loss"]["songs"] == 2


def test_the_same_seed_gives_the_same_report(checkpoint: Path) -> None:
    one, other = (evaluate(checkpoint, pieces=2, bars=32, seed=3).json() for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"pieces": -1}, "pieces -1"),
        ({"pieces": 0}, "nothing to evaluate"),
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
