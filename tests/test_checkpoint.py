"""Checkpoints: what goes in comes out, and what is broken is refused with the cure."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from midigen import checkpoint as room
from midigen.checkpoint import (
    Checkpoint,
    checkpoint_names,
    default_checkpoint_path,
    is_feed_forward,
    open_checkpoint,
    save_checkpoint,
)
from midigen.errors import CheckpointError, OutputError
from midigen.model import SIZES, parameter_shapes
from midigen.quantization import BLOCK, Blocks, Rows, to_blocks, to_rows

TINY = SIZES["tiny"]
TOKENIZER = {"kind": "test", "names": ["bar", "köln", "♯"], "depth": {"a": [1, 2]}}
PROVENANCE = {"songs": 12, "rights": "none"}


def some_state(seed=0, vocabulary_size=40):
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 0.1, shape).astype(np.float32)
        for name, shape in parameter_shapes(TINY, vocabulary_size).items()
    }


@pytest.fixture
def saved(tmp_path):
    return save_checkpoint(tmp_path / "mine", some_state(), TINY, TOKENIZER, PROVENANCE, card="# Mine\n")


def test_what_is_saved_is_what_is_opened(saved):
    checkpoint, state = open_checkpoint(saved), some_state()
    assert (checkpoint.size, checkpoint.vocabulary_size) == (TINY, 40)
    assert (checkpoint.tokenizer, checkpoint.provenance) == (TOKENIZER, PROVENANCE)
    assert checkpoint.sha256 == hashlib.sha256((saved / "model.safetensors").read_bytes()).hexdigest()
    assert checkpoint.architecture["family"] == "llama" and checkpoint.architecture["d_ff"] == TINY.d_ff
    assert (saved / "README.md").read_text() == "# Mine\n"
    weights = checkpoint.weights()
    assert weights.keys() == state.keys()
    for name, value in state.items():
        assert weights[name].dtype == np.float32
        if value.ndim == 1:
            np.testing.assert_array_equal(weights[name], value)
        else:
            matrix = checkpoint.quantized(name)
            assert isinstance(matrix, Rows) and matrix.codes.dtype == np.int8 and matrix.shape == value.shape
            assert matrix.scale.dtype == np.float32 and matrix.scale.shape == (len(value),)
            np.testing.assert_array_equal(weights[name], to_rows(value).floats())


def in_blocks(state):
    """As packing does it: the feed-forward part in 4 bits."""
    return {name: to_blocks(value) if is_feed_forward(name) else value for name, value in state.items()}


@pytest.fixture
def saved_in_blocks(tmp_path):
    return save_checkpoint(tmp_path / "blocks", in_blocks(some_state()), TINY, TOKENIZER, PROVENANCE)


def test_a_feed_forward_part_in_4_bits_comes_out_as_it_went_in(saved, saved_in_blocks, tmp_path):
    checkpoint, state = open_checkpoint(saved_in_blocks), some_state()
    assert checkpoint.format_version == 2 and open_checkpoint(saved).format_version == 1
    for name, value in state.items():
        if not is_feed_forward(name):
            np.testing.assert_array_equal(checkpoint.weights()[name], open_checkpoint(saved).weights()[name])
            continue
        matrix = checkpoint.quantized(name)
        assert isinstance(matrix, Blocks) and matrix.scale.shape == (len(value), value.shape[1] // BLOCK)
        np.testing.assert_array_equal(matrix.packed, to_blocks(value).packed)
        np.testing.assert_array_equal(checkpoint.weights()[name], to_blocks(value).floats())
    files = [(folder / "model.safetensors").stat().st_size for folder in (saved_in_blocks, saved)]
    assert files[0] < files[1]
    on_grid = {
        name: checkpoint.quantized(name) if value.ndim == 2 else value for name, value in checkpoint.weights().items()
    }
    again = save_checkpoint(tmp_path / "again", on_grid, TINY, TOKENIZER, PROVENANCE)
    assert open_checkpoint(again).sha256 == checkpoint.sha256  # nothing is rounded twice


def test_half_a_feed_forward_part_in_4_bits_is_refused(tmp_path):
    state = in_blocks(some_state())
    state["model.layers.1.mlp.up_proj.weight"] = some_state()["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError, match=r"up_proj.weight is not on the grid of format 2"):
        save_checkpoint(tmp_path / "bad", state, TINY, {}, {})
    attention = "model.layers.0.self_attn.q_proj.weight"
    with pytest.raises(CheckpointError, match=r"q_proj.weight is not on the grid of format 2"):
        save_checkpoint(
            tmp_path / "bad", {**in_blocks(some_state()), attention: to_blocks(some_state()[attention])}, TINY, {}, {}
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": 1}, "model.safetensors is damaged"),
        ({"format_version": 3}, "format 3 is newer than this midigen reads (2); update midigen"),
        ({"d_ff": 128}, "another type or shape"),
        ({"d_ff": 100}, "blocks of 32"),
        ({"d_ff": 3}, "blocks of 32"),
    ],
)
def test_4_bits_that_do_not_fit_the_configuration_are_refused(saved_in_blocks, change, words):
    config = json.loads((saved_in_blocks / "config.json").read_text())
    for key, value in change.items():
        (config if key in config else config["architecture"])[key] = value
    (saved_in_blocks / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(saved_in_blocks)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_8_bits_that_call_themselves_4_are_refused(saved):
    config = json.loads((saved / "config.json").read_text()) | {"format_version": 2}
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="another type or shape"):
        open_checkpoint(saved)


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    again = save_checkpoint(tmp_path / "again", some_state(), TINY, TOKENIZER, PROVENANCE, card="# Mine\n")
    for file in ("model.safetensors", "config.json", "README.md"):
        assert (saved / file).read_bytes() == (again / file).read_bytes()
    other = save_checkpoint(tmp_path / "other", some_state(1), TINY, TOKENIZER, PROVENANCE)
    assert open_checkpoint(other).sha256 != open_checkpoint(saved).sha256
    assert not (other / "README.md").exists()


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    state = some_state()
    state["model.layers.1.mlp.up_proj.weight"][3, 3] = np.nan
    with pytest.raises(CheckpointError, match="not a finite number"):
        save_checkpoint(tmp_path / "bad", state, TINY, {}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_weights_that_do_not_fit_are_refused(tmp_path, change):
    state = some_state()
    if change == "missing":
        del state["model.layers.0.self_attn.k_proj.weight"]
    elif change == "unknown":
        state["model.layers.2.self_attn.k_proj.weight"] = np.zeros((2, 2), np.float32)
    else:
        state["model.norm.weight"] = np.ones(3, np.float32)
    with pytest.raises(CheckpointError, match="do not fit the size"):
        save_checkpoint(tmp_path / "bad", state, TINY, {}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_takes_the_place_of_the_old_one_and_keeps_the_users_files(saved):
    (saved / "notes.txt").write_text("mine")
    (saved / "plots").mkdir()
    (saved / "plots" / "loss.png").write_bytes(b"png")
    save_checkpoint(saved, some_state(2), TINY, {}, {})
    np.testing.assert_allclose(
        open_checkpoint(saved).weights()["model.norm.weight"], some_state(2)["model.norm.weight"]
    )
    assert (saved / "notes.txt").read_text() == "mine"
    assert (saved / "plots" / "loss.png").read_bytes() == b"png"
    assert not (saved / "README.md").exists()  # it described the old weights
    assert [entry.name for entry in saved.parent.iterdir()] == ["mine"]


def test_an_open_checkpoint_goes_on_when_it_is_replaced(saved):
    checkpoint = open_checkpoint(saved)
    save_checkpoint(saved, some_state(2), TINY, {}, {})
    np.testing.assert_array_equal(checkpoint.vector("model.norm.weight"), some_state(0)["model.norm.weight"])


def test_what_is_not_a_checkpoint_is_not_replaced(tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"jpg")
    with pytest.raises(OutputError, match="is not a checkpoint"):
        save_checkpoint(tmp_path / "holiday", some_state(), TINY, {}, {})
    assert [entry.name for entry in (tmp_path / "holiday").iterdir()] == ["photo.jpg"]
    (tmp_path / "file").write_text("text")
    with pytest.raises(OutputError, match="is not a checkpoint"):
        save_checkpoint(tmp_path / "file", some_state(), TINY, {}, {})
    (tmp_path / "empty").mkdir()
    assert open_checkpoint(save_checkpoint(tmp_path / "empty", some_state(), TINY, {}, {})).tokenizer == {}


def test_a_failed_write_leaves_the_old_checkpoint(saved, monkeypatch):
    before = (saved / "model.safetensors").read_bytes()

    rename = os.rename
    failures = iter([OSError(28, "No space left on device")])

    def rename_but_once(source, target):
        if target == saved and (failure := next(failures, None)):
            raise failure
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename_but_once)
        with pytest.raises(OutputError, match="No space left on device"):
            save_checkpoint(saved, some_state(2), TINY, {}, {})
    assert (saved / "model.safetensors").read_bytes() == before
    assert open_checkpoint(saved).tokenizer == TOKENIZER
    assert [entry.name for entry in saved.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "flipped", "folder"])
def test_damage_is_found_and_said_in_one_line(saved, file, damage):
    path = saved / file
    data = path.read_bytes()
    if damage in ("gone", "folder"):
        path.unlink()
        if damage == "folder":
            path.mkdir()
    elif damage == "flipped":
        middle = len(data) // 2 if file == "model.safetensors" else data.index(b"vocabulary_size")
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
    else:
        path.write_bytes(data[: len(data) // 2 if damage == "half" else 0])
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(saved)
    message = str(caught.value)
    assert "\n" not in message and file in message and str(saved) in message
    assert ("missing" if damage == "gone" else "damaged") in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": 3}, "format 3 is newer than this midigen reads (2); update midigen"),
        ({"format_version": None}, "no format version"),
        ({"architecture": {"family": "rnn"}}, "update midigen"),
        ({"architecture": {"family": "llama", "vocabulary_size": 40, "d_model": 3}}, "config.json is damaged"),
        ({"architecture": "llama"}, "config.json is damaged"),
        ({"weights_sha256": "0" * 64}, "SHA-256 differs"),
        ({"tokenizer": None}, "config.json is damaged"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(saved, change, words):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(saved)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dial", "value", "words"), [("d_ff", 128, "another type or shape"), ("layers", 3, "layers.2.* is only in")]
)
def test_weights_that_do_not_fit_the_configuration_are_refused(saved, dial, value, words):
    config = json.loads((saved / "config.json").read_text())
    config["architecture"][dial] = value
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=words):
        open_checkpoint(saved)


def test_missing_folders_are_named_with_what_there_is(tmp_path, monkeypatch, saved):
    monkeypatch.setattr(room, "_FOLDER", tmp_path)
    assert checkpoint_names() == ["mine"]
    assert isinstance(open_checkpoint("mine"), Checkpoint)
    songs = tmp_path / "elsewhere" / "mine"  # a folder of that name that holds something else
    songs.mkdir(parents=True)
    monkeypatch.chdir(songs.parent)
    assert open_checkpoint("mine").path == tmp_path / "mine"
    with pytest.raises(CheckpointError, match=r"nowhere: no such checkpoint; .* installed: mine"):
        open_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="default: no such checkpoint"):
        open_checkpoint()
    with pytest.raises(CheckpointError, match="is a file"):
        open_checkpoint(saved / "config.json")
    saved.rename(tmp_path / "default")
    assert open_checkpoint().path == default_checkpoint_path() == tmp_path / "default"


def test_opening_needs_no_torch(saved):
    program = (
        "import sys; from midigen.checkpoint import open_checkpoint\n"
        "weights = open_checkpoint(sys.argv[1]).weights()\n"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy and len(weights) == 20, heavy"
    )
    subprocess.run([sys.executable, "-c", program, str(saved)], check=True)
