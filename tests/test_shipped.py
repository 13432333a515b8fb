"""The checkpoint that ships: that it is whole, says what it is, and computes alike in every engine and mode."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from midigen import generation
from midigen.checkpoint import Checkpoint, checkpoint_names, default_checkpoint_path, open_checkpoint
from midigen.composition import compose_score, compose_takes, open_player, write_piece, writing
from midigen.composition.settling import Request
from midigen.engines import open_engine
from midigen.grid import to_grid
from midigen.midi import read_midi
from midigen.prompt import Prompt
from midigen.score import Score
from midigen.tokenizers.encoding import encode
from midigen.tokenizers.spelling import spell_form
from midigen.tokenizers.vocabulary import LANES, Vocabulary
from midigen.tokenizers.window import FIRST_PART, FORM, MISSING, PartHeader, Window, arrange

VALIDATION = Path(__file__).parents[2] / "shared" / "corpus" / "band-val.tar.xz"


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return open_checkpoint()


@pytest.fixture(scope="module")
def vocabulary(shipped: Checkpoint) -> Vocabulary:
    return Vocabulary.from_spec(shipped.tokenizer)


@pytest.fixture(scope="module")
def piece() -> Score:
    return compose_score(Prompt(bars=8, seed=11, metre="4/4"), mode="exact")


def as_shipped(checkpoint: Checkpoint) -> dict[str, float]:
    """Validation losses of the weights as they are in the file: those that were measured last."""
    *_, losses = checkpoint.provenance["validation"].values()
    return losses


def as_sequence(score: Score, vocabulary: Vocabulary, bars: int = 8) -> np.ndarray:
    """The first ``bars`` of a score as the sequence of a window that is all to be composed."""
    grid = to_grid(score)
    song = encode(grid, vocabulary)
    bars = min(bars, grid.bars)
    starts = np.concatenate([[0], np.cumsum(song.lengths.astype(np.int64).ravel())])
    lanes = [LANES[i] for i in song.lanes]
    cells = [[np.zeros(0, dtype=np.uint16)] * bars]
    for row in range(len(lanes) + 1):
        at = row * grid.bars
        cells.append([song.tokens[starts[at + bar] : starts[at + bar + 1]] for bar in range(bars)])
    present = np.ones(bars, dtype=bool)
    cells[FORM] = [
        np.array([spell_form(song.similarity[b] / 100, present, b, vocabulary)], dtype=np.uint16) for b in range(bars)
    ]
    window = Window(
        parts=[PartHeader(kind, slot) for kind, slot in lanes],
        cells=cells,
        status=np.full((FIRST_PART + len(lanes), bars), MISSING, dtype=np.int8),
        left=grid.bars - 1 - np.arange(bars),
        metre=int(song.metres[0]),
    )
    return arrange(window, vocabulary)[0].astype(np.int64)


def nats(shipped: Checkpoint, ids: np.ndarray, engine: str, mode: str) -> float:
    """The loss of ``ids`` after the first, in nats, token by token as composing does it (short prefill, then steps)."""
    player = open_engine(shipped, engine, mode)
    logits = [player.feed_all(ids[:16])]
    logits += [player.feed(ids[i : i + 1])[None] for i in range(16, len(ids) - 1)]
    table = np.concatenate(logits).astype(np.float64)
    table -= table.max(axis=1, keepdims=True)
    table -= np.log(np.exp(table).sum(axis=1, keepdims=True))
    return float(-table[np.arange(len(ids) - 1), ids[1:]].sum())


def test_is_small_and_says_what_it_is(shipped: Checkpoint) -> None:
    folder = default_checkpoint_path()
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 30e6
    card = (folder / "README.md").read_text(encoding="utf-8")
    for heading in ("## Trained on", "## Compute", "## Validation loss", "## For what, and for what not"):
        assert heading in card
    assert "Rights" in card
    assert f"{as_shipped(shipped)['per_note']:.3f}" in card


@pytest.mark.parametrize("name", checkpoint_names())
def test_the_grid_costs_next_to_nothing(name: str) -> None:
    # The bound on everything that makes the fast mode fast is 0.5 %; 8-bit activations and caches take 0.1 % at most.
    checkpoint = open_checkpoint(name)
    trained = checkpoint.provenance["validation"]["float32"]
    assert checkpoint.format_version == 2 and "about" in checkpoint.provenance
    assert as_shipped(checkpoint)["per_note"] == pytest.approx(trained["per_note"], rel=0.004)


def test_it_has_learned(shipped: Checkpoint) -> None:
    # A model that knows only how often each token occurs stands at about 5.5 nats a token.
    assert as_shipped(shipped)["loss"] < 3.5


def test_exact_logits_are_those_of_torch(shipped: Checkpoint, piece: Score, vocabulary: Vocabulary) -> None:
    pytest.importorskip("torch")
    ids = as_sequence(piece, vocabulary)[:600]
    onnx = open_engine(shipped, "onnx", "exact").feed_all(ids)
    torch = open_engine(shipped, "torch", "exact").feed_all(ids)
    assert np.abs(onnx - torch).max() < 1e-3


def test_fast_loses_less_than_half_a_percent_on_its_own_music(
    shipped: Checkpoint, piece: Score, vocabulary: Vocabulary
) -> None:
    ids = as_sequence(piece, vocabulary)[:800]
    assert nats(shipped, ids, "onnx", "fast") == pytest.approx(nats(shipped, ids, "onnx", "exact"), rel=0.005)


@pytest.mark.skipif(not VALIDATION.is_file(), reason="the validation songs are not here")
def test_fast_loses_less_than_half_a_percent_on_real_songs(shipped: Checkpoint, vocabulary: Vocabulary) -> None:
    import tarfile

    exact = fast = 0.0
    with tarfile.open(VALIDATION, "r|*") as archive:
        songs = (archive.extractfile(m) for m in archive if m.isfile())
        for number, file in enumerate(songs):
            if number % 12 or file is None:
                continue
            ids = as_sequence(read_midi(file.read(), f"song {number}"), vocabulary, bars=6)[:500]
            exact += nats(shipped, ids, "onnx", "exact")
            fast += nats(shipped, ids, "onnx", "fast")
    assert fast == pytest.approx(exact, rel=0.005)


def test_the_notes_do_not_depend_on_the_number_of_threads() -> None:
    one, two = (compose_score(Prompt(bars=4, seed=5), threads=threads) for threads in (1, 2))
    assert one == two


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_a_take_is_the_same_alone_and_in_company(mode: str) -> None:
    prompt = Prompt(4, seed=5, metre="4/4")
    made = {
        threads: compose_takes(prompt, 5, mode=mode, threads=threads) for threads in (1, 2)
    }  # one table of five, and tables of three and two
    assert [(t.seed, t.score, t.nats) for t in made[1]] == [(t.seed, t.score, t.nats) for t in made[2]]
    for take in made[1]:
        alone = compose_score(Prompt(4, seed=take.seed, metre="4/4"), mode=mode)
        assert alone.parts == take.score.parts


def test_guesses_change_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request.read(Prompt(16, seed=2, metre="4/4"))
    score, tally = write_piece(request, open_player(mode="exact"))
    assert tally.right > 10 and tally.calls < tally.tokens
    monkeypatch.setattr(writing, "write", partial(generation.write, ahead=0))
    plain, plain_tally = write_piece(request, open_player(mode="exact"))
    assert plain_tally.guesses == 0 and plain_tally.calls == plain_tally.tokens == tally.tokens
    assert plain.parts == score.parts


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_weights_are_mapped_and_not_read_into_memory(shipped: Checkpoint) -> None:
    shipped.vector("model.norm.weight")
    maps = Path("/proc/self/maps").read_text()
    assert str((shipped.path / "model.safetensors").resolve()) in maps


@pytest.mark.skipif("clean" not in checkpoint_names(), reason="no second checkpoint in this tree")
def test_the_clean_model_has_learned_from_clear_songs_alone_and_composes() -> None:
    checkpoint = open_checkpoint("clean")
    assert checkpoint.provenance is not None
    assert set(checkpoint.provenance["corpus"]["sources"]) == {"clean.tar.xz"}
    assert checkpoint.provenance["plan"]["start"] is None and not checkpoint.provenance["before"]
    score = compose_score(Prompt(bars=8, seed=1, metre="4/4"), checkpoint="clean")
    assert [part.name for part in score.parts] == ["piano", "guitar", "bass"] and all(p.notes for p in score.parts)
