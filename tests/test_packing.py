"""From a run to a checkpoint: the numbers that are reported are those of the weights that are shipped."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from songs import small_corpus

pytest.importorskip("torch")
pytest.importorskip("transformers")

from midigen.cells import Cells
from midigen.checkpoint import open_checkpoint, save_checkpoint
from midigen.errors import CorpusError, TrainingError
from midigen.losscurves import draw_losses
from midigen.model import SIZES, parameter_count
from midigen.packing import key_shares, pack
from midigen.quantization import Blocks, to_rows
from midigen.runs import read_state, read_weights
from midigen.tokenizers.vocabulary import Vocabulary
from midigen.training import Plan, train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_corpus(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = Plan(
        size="tiny", context=320, steps=8, windows_a_step=4, most_tokens=640, validation_windows=3, learning_rate=1e-2,
        precision="float32",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("run")
    train(corpus, folder, plan, device="cpu", threads=1)
    return folder


def test_a_run_becomes_a_checkpoint_that_opens(run: Path, corpus: Path, tmp_path: Path) -> None:
    losses = pack(run, tmp_path / "model", corpus, name="tin-can", about="Songs of **nobody**.", windows=6, threads=1)
    before, after = losses["float32"], losses["int4 grid"]
    assert set(before) == set(after) and before != after
    for name, value in before.items():
        assert after[name] == pytest.approx(value, rel=0.01)
    opened = open_checkpoint(tmp_path / "model")
    assert opened.size == SIZES["tiny"] and Vocabulary.from_spec(opened.tokenizer).note_tokens == "running"
    assert opened.provenance["validation"]["int4 grid"]["per_note"] == round(after["per_note"], 4)
    assert opened.provenance["steps"] == 8 and opened.provenance["corpus"]["sources"] == {"small-songs": 18}
    trained = read_weights(run / "best.safetensors")
    for name, packed in opened.weights().items():
        if ".mlp." in name:
            assert isinstance(opened.quantized(name), Blocks)
            assert np.square(packed - trained[name]).mean() < 0.03 * np.square(trained[name]).mean()
        else:
            assert np.abs(packed - trained[name]).max() <= 0.5 / 127 * np.abs(trained[name]).max() + 1e-7
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    parameters = parameter_count(SIZES["tiny"], opened.vocabulary_size)
    for words in (
        "tin-can",
        "Songs of **nobody**.",
        f"{parameters:,}",
        f"{after['per_note']:.3f}",
        "small-songs (18 songs)",
    ):
        assert words in card


def in_8_bits(packed: Path, run: Path, folder: Path) -> Path:
    """The checkpoint as midigen wrote it before there were 4 bits, with what it remembers of its losses."""
    opened, trained = open_checkpoint(packed), read_weights(run / "best.safetensors")
    known = opened.provenance
    known["validation"] = {"float32": known["validation"]["float32"], "int8 grid": known["validation"]["float32"]}
    state = {name: to_rows(value) if value.ndim == 2 else value for name, value in trained.items()}
    index = (packed / "originality.bin").read_bytes()
    return save_checkpoint(folder, state, opened.size, opened.tokenizer, known, "# Old\n", index)


def test_a_checkpoint_in_8_bits_is_brought_to_4(run: Path, corpus: Path, tmp_path: Path) -> None:
    pack(run, tmp_path / "model", corpus, name="tin-can", about="Songs of **nobody**.", windows=3, threads=1)
    old = in_8_bits(tmp_path / "model", run, tmp_path / "old")
    assert open_checkpoint(old).format_version == 1
    losses = pack(old, tmp_path / "new", corpus, windows=3, threads=1)
    new, direct = open_checkpoint(tmp_path / "new"), open_checkpoint(tmp_path / "model")
    assert set(losses) == {"int8 grid", "int4 grid"} and new.format_version == 2
    assert set(new.provenance["validation"]) == {"float32", "int8 grid", "int4 grid"}
    assert (new.size, new.tokenizer) == (direct.size, direct.tokenizer)
    for key in ("name", "about", "plan", "steps", "tokens_learned", "before", "corpus", "originality"):
        assert new.provenance[key] == direct.provenance[key]
    for name, value in direct.weights().items():
        error = np.square(new.weights()[name] - value).mean()
        assert error < 0.03 * np.square(value).mean()
    card = (tmp_path / "new" / "README.md").read_text(encoding="utf-8")
    assert all(words in card for words in ("tin-can", "Songs of **nobody**.", "| | float32 | int8 grid | int4 grid |"))
    assert (tmp_path / "new" / "originality.bin").read_bytes() == (old / "originality.bin").read_bytes()
    with pytest.raises(TrainingError, match="new: is packed already; give the run"):
        pack(tmp_path / "new", tmp_path / "newer", corpus)
    # Losses of other windows are not told beside those that are measured now.
    pack(old, tmp_path / "other", corpus, windows=2, threads=1)
    assert set(open_checkpoint(tmp_path / "other").provenance["validation"]) == {"int8 grid", "int4 grid"}
    # It can be learned from, as any other.
    plan = Plan(size="tiny", context=320, steps=1, validation_windows=2, start=str(tmp_path / "new"))
    weights = read_weights(train(corpus, tmp_path / "further", plan, device="cpu", threads=1))
    assert 0 < np.abs(weights["model.norm.weight"] - new.weights()["model.norm.weight"]).max() < 0.1


def test_a_checkpoint_that_says_nothing_of_its_training_is_not_packed(
    corpus: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="does not say how it was trained") as caught:
        pack(tiny_model, tmp_path / "model", corpus)
    assert "\n" not in str(caught.value) and not (tmp_path / "model").exists()


def test_packing_again_gives_the_same_bytes(run: Path, corpus: Path, tmp_path: Path) -> None:
    for name in ("one", "two", "two"):  # over itself, too
        pack(run, tmp_path / name, corpus, windows=2, threads=1)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two and set(one) == {"model.safetensors", "config.json", "README.md", "originality.bin"}


def test_keys_are_counted(corpus: Path) -> None:
    shares = key_shares(Cells(corpus, "train"))
    assert len(shares) == 24 and sum(shares) == pytest.approx(1, abs=1e-3) and sum(s > 0 for s in shares) > 4


def test_what_cannot_be_packed_is_refused(run: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not a run with weights"):
        pack(tmp_path, tmp_path / "model", corpus)
    other = tmp_path / "other"
    shutil.copytree(run, other)
    (other / "best.json").rename(other / "aside.json")
    with pytest.raises(TrainingError, match="train until the first validation"):
        pack(other, tmp_path / "model", corpus)
    (other / "aside.json").rename(other / "best.json")
    facts = json.loads((other / "best.json").read_text())
    facts["vocabulary"]["note_tokens"] = "pair"
    (other / "best.json").write_text(json.dumps(facts))
    with pytest.raises(TrainingError, match="give the corpus that it was trained on"):
        pack(other, tmp_path / "model", corpus)
    (other / "best.safetensors").write_bytes(b"nothing")
    with pytest.raises(TrainingError) as caught:
        pack(other, tmp_path / "model", corpus)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"size": "mini"}', "[" * 200_000, "\udcff"])
def test_facts_that_are_none_are_told_in_a_line(run: Path, corpus: Path, tmp_path: Path, text: str) -> None:
    for name in ("best.json", "plan.json", "log.jsonl", "state.pt"):
        other = tmp_path / name
        shutil.copytree(run, other)
        (other / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(TrainingError, match=name) as caught:
            if name == "log.jsonl":
                draw_losses(other)
            elif name == "state.pt":
                read_state(other / name, {})
            else:
                pack(other, tmp_path / "model", corpus)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "model").exists()


def test_a_shard_that_is_wrong_inside_is_left_out(corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "corpus"
    other.mkdir()
    shutil.copy(corpus / "corpus.json", other)
    (shard,) = sorted(corpus.glob("train-*.npz"))
    with np.load(shard) as arrays:
        whole = dict(arrays)
    for key, value in (
        ("tokens", 60_000), ("lanes", 200), ("metres", 99), ("song_bars", 3), ("song_weight", np.nan), ("lengths", 0)
    ):  # fmt: skip
        broken = {**whole, key: whole[key].copy()}
        broken[key][0] = value
        np.savez(other / shard.name, allow_pickle=False, **broken)
        with pytest.warns(UserWarning, match="corrupt shard left out"), pytest.raises(CorpusError, match="no shard"):
            Cells(other, "train")
    np.savez(other / shard.name, allow_pickle=False, **whole)
    assert Cells(other, "train").songs == len(whole["song_bars"])
    (other / "cells" / "train" / "shards.json").write_text("{")
    assert Cells(other, "train").songs == len(whole["song_bars"])
    (other / "cells" / "train" / "tokens.npy").write_bytes(b"nothing")
    with pytest.raises(CorpusError, match="delete it"):
        Cells(other, "train")


def test_loss_curves_need_a_log(run: Path, tmp_path: Path) -> None:
    first = draw_losses(run).read_bytes()
    assert draw_losses(run).read_bytes() == first  # same run, same picture
    with pytest.raises(TrainingError, match="no log"):
        draw_losses(tmp_path)
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(TrainingError, match="no step yet"):
        draw_losses(tmp_path)


def test_plans_are_kept_as_they_were(run: Path) -> None:
    plan = json.loads((run / "plan.json").read_text())
    assert plan["mixture"] == asdict(Plan(steps=1).mixture) and plan["steps"] == 8 and plan["size"] == "tiny"
