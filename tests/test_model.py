"""The transformer: its sizes, its first weights, and the table of its matrices."""

from __future__ import annotations

import numpy as np
import pytest

from midigen.errors import BadRequest, CheckpointError
from midigen.model import (
    SIZES,
    Size,
    build_model,
    load_state,
    parameter_count,
    parameter_shapes,
    size_named,
    state_of,
)

TINY = SIZES["tiny"]
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def model():
    return build_model(TINY, 300, seed=1)


@pytest.mark.parametrize("name", SIZES)
def test_the_table_of_shapes_is_what_transformers_builds(name):
    with torch.device("meta"):  # shapes without memory; the largest would take a quarter of a gigabyte
        from transformers import LlamaConfig, LlamaForCausalLM

        size = SIZES[name]
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=1000,
                hidden_size=size.d_model,
                intermediate_size=size.d_ff,
                num_hidden_layers=size.layers,
                num_attention_heads=size.heads,
                num_key_value_heads=size.kv_heads,
                head_dim=size.head_dim,
                tie_word_embeddings=True,
            )
        )
    assert {key: tuple(value.shape) for key, value in model.named_parameters()} == parameter_shapes(size, 1000)


def test_the_sizes_are_what_their_names_promise():
    millions = {name: parameter_count(size, 1500) / 1e6 for name, size in SIZES.items()}
    assert list(millions) == ["tiny", "micro", "mini", "small", "base", "large"]
    for name, (low, high) in {
        "tiny": (0.05, 0.2),
        "micro": (0.9, 1.6),
        "mini": (2, 5),
        "small": (7, 10),
        "base": (22, 28),
        "large": (50, 70),
    }.items():
        assert low < millions[name] < high
    assert size_named("base") is SIZES["base"]


def test_parameter_count_counts_the_model(model):
    assert parameter_count(TINY, 300) == sum(parameter.numel() for parameter in model.parameters())


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_alone(model):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = state_of(build_model(TINY, 300, seed=1))
    assert torch.equal(torch.rand(3), expected)
    other = state_of(build_model(TINY, 300, seed=2))
    for name, value in state_of(model).items():
        np.testing.assert_array_equal(value, again[name])
        assert value.ndim == 1 or not np.array_equal(value, other[name])


def test_the_first_weights_are_as_loud_as_they_should_be(model):
    state = state_of(model)
    assert np.std(state["model.embed_tokens.weight"]) == pytest.approx(0.02, rel=0.05)
    assert np.std(state["model.layers.0.mlp.up_proj.weight"]) == pytest.approx(0.02, rel=0.05)
    for name in ("self_attn.o_proj", "mlp.down_proj"):
        assert np.std(state[f"model.layers.1.{name}.weight"]) == pytest.approx(0.01, rel=0.05)  # 0.02 / sqrt(2 x 2)
    assert (state["model.norm.weight"] == 1).all()


def test_a_fresh_model_knows_nothing_and_can_learn(model):
    ids = torch.arange(64)[None] % 300
    loss = model(input_ids=ids, labels=ids).loss
    assert loss.item() == pytest.approx(np.log(300), rel=0.02)
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.config._attn_implementation == "sdpa"


def test_the_future_does_not_reach_the_past(model):
    ids = torch.arange(40)[None] % 300
    changed = ids.clone()
    changed[0, 30:] = 7
    with torch.no_grad():
        before, after = model(input_ids=ids).logits, model(input_ids=changed).logits
    torch.testing.assert_close(before[:, :30], after[:, :30])
    assert not torch.allclose(before[:, 30:], after[:, 30:])


def test_state_survives_the_way_out_and_in(model):
    other = build_model(TINY, 300, seed=9)
    load_state(other, state_of(model))
    for name, value in state_of(other).items():
        np.testing.assert_array_equal(value, state_of(model)[name])


def test_weights_of_another_size_are_refused(model):
    state = state_of(model)
    with pytest.raises(CheckpointError, match=r"model.norm.weight is \(3,\)"):
        load_state(model, state | {"model.norm.weight": np.ones(3, np.float32)})
    del state["model.norm.weight"]
    with pytest.raises(CheckpointError, match=r"model.norm.weight is in only one"):
        load_state(model, state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"rope_theta": -1.0}, "rope_theta is -1.0"),
        ({"heads": 6, "kv_heads": 4}, "6 heads cannot share 4 kv_heads"),
        ({"heads": 3, "kv_heads": 1}, "d_model 128 is not a multiple of 3 heads"),
        ({"head_dim": 24}, "head_dim is 24"),
    ],
)
def test_impossible_sizes_are_refused(change, words):
    dials = {"d_model": 128, "layers": 2, "heads": 4, "kv_heads": 2, "d_ff": 256, "context": 128} | change
    with pytest.raises(BadRequest, match=words):
        Size(**dials)


def test_unknown_names_and_empty_vocabularies_are_refused():
    with pytest.raises(BadRequest, match="'huge': choose one of tiny, micro, mini"):
        size_named("huge")
    with pytest.raises(BadRequest, match="vocabulary_size is 0"):
        build_model(TINY, 0, seed=0)
