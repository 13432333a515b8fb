"""The two grids of weights, and rounding with compensation: less is lost where inputs go together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midigen.errors import CheckpointError
from midigen.quantization import BLOCK, HIGHEST, LOWEST, Blocks, pack_blocks, scales, to_blocks, to_rows
from midigen.rounding import compensated


def some_weights(rows: int = 24, columns: int = 4 * BLOCK, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(5, (rows, columns)).astype(np.float32) * 0.05


def correlated_inputs(columns: int, count: int = 4000, seed: int = 1) -> np.ndarray:
    """Inputs that a few directions rule, some channels of which are loud, as behind a norm."""
    channels, dice = np.random.default_rng(9), np.random.default_rng(seed)
    mixture, loudness = channels.normal(size=(columns // 4, columns)), channels.lognormal(0, 0.7, columns)
    few = dice.normal(size=(count, columns // 4)) @ mixture / columns**0.5
    return (few + 0.1 * dice.normal(size=few.shape)) * loudness


def given_error(weights: np.ndarray, blocks: Blocks, inputs: np.ndarray) -> float:
    """Of what the matrix gives: squared error over squares."""
    return float(np.square(inputs @ (blocks.floats() - weights).T).sum() / np.square(inputs @ weights.T).sum())


def test_on_the_grid_of_8_bits_all_is_within_half_a_step() -> None:
    dice = np.random.default_rng(3)
    weights = (dice.standard_t(4, (50, 70)) * dice.uniform(1e-6, 1e3, (50, 1))).astype(np.float32)
    rows = to_rows(weights)
    assert np.abs(rows.codes.astype(int)).max(axis=1).tolist() == [127] * 50
    np.testing.assert_allclose(rows.scale, np.abs(weights).max(axis=1) / 127, rtol=1e-6)
    assert (np.abs(rows.floats() - weights) <= rows.scale[:, None] * 0.5001).all()


def test_what_is_on_the_grid_of_8_bits_stays_there() -> None:
    rows = to_rows(some_weights())
    again = to_rows(rows.floats())
    np.testing.assert_array_equal(rows.codes, again.codes)
    np.testing.assert_allclose(rows.scale, again.scale, rtol=1e-6)


def test_the_grid_of_8_bits_takes_rows_of_zeros_and_of_almost_nothing() -> None:
    weights = np.zeros((3, 16), np.float32)
    weights[1] = 1e-41  # below the smallest normal number
    weights[2, 5] = -2.0
    rows = to_rows(weights)
    assert (rows.floats()[0] == 0).all() and np.isfinite(rows.scale).all()
    np.testing.assert_allclose(rows.floats(), weights, atol=1e-38)
    assert rows.codes[2, 5] == -127


def test_four_bits_are_two_to_a_byte_and_come_out_as_they_went_in() -> None:
    dice = np.random.default_rng(0)
    codes = dice.integers(LOWEST, HIGHEST + 1, (5, 3 * BLOCK)).astype(np.int8)
    scale = dice.normal(size=(5, 3)).astype(np.float32)
    blocks = pack_blocks(codes, scale)
    assert (
        blocks.packed.dtype == np.uint8 and blocks.packed.shape == (5, 3 * BLOCK // 2) and blocks.shape == codes.shape
    )
    np.testing.assert_array_equal(blocks.codes(), codes)
    np.testing.assert_array_equal(blocks.floats(), codes * np.repeat(scale, BLOCK, axis=1))
    np.testing.assert_array_equal(blocks.packed[:, 0] & 15, codes[:, 0] + 8)  # the first one in the lower half
    factors = dice.uniform(0.5, 2, 5)
    np.testing.assert_allclose(blocks.times(factors).floats(), blocks.floats() * factors[:, None], rtol=1e-6)


def test_four_bits_go_to_the_grid_of_8() -> None:
    for weights in (some_weights(), np.full((3, 2 * BLOCK), 1e-41, np.float32)):
        blocks = to_blocks(weights)
        rows = blocks.rows()
        assert rows.codes.dtype == np.int8 and rows.scale.dtype == np.float32 and rows.shape == blocks.shape
        assert (np.abs(rows.floats() - blocks.floats()) <= rows.scale[:, None] * 0.5001).all()
        assert (rows.scale <= 8 / 7 * to_rows(blocks.floats()).scale * 1.0001).all() or weights.max() < 1e-30


def test_on_the_grid_of_4_bits_the_scale_is_the_best_of_those_tried() -> None:
    weights = some_weights()
    blocks = to_blocks(weights)
    parts = weights.reshape(24, -1, BLOCK)
    errors = [
        np.square(np.clip(np.rint(parts / s[..., None]), LOWEST, HIGHEST) * s[..., None] - parts).sum(axis=2)
        for s in scales(parts)
    ]
    found = np.square(blocks.floats().reshape(parts.shape) - parts).sum(axis=2)
    np.testing.assert_allclose(found, np.min(errors, axis=0), rtol=1e-4)
    assert 0.001 < np.square(blocks.floats() - weights).sum() / np.square(weights).sum() < 0.012


def test_the_grid_of_4_bits_takes_zeros_almost_nothing_and_one_sided_blocks() -> None:
    weights = np.zeros((4, BLOCK), np.float32)
    weights[1] = 1e-41
    weights[2] = np.linspace(0.1, 0.8, BLOCK)  # the far end is -8: its scale is negative
    weights[3] = -weights[2]
    for blocks in (to_blocks(weights), compensated(weights, np.zeros((BLOCK, BLOCK)))):
        assert np.isfinite(blocks.scale).all() and (blocks.scale != 0).all()
        np.testing.assert_allclose(blocks.floats()[:2], 0, atol=1e-37)
        assert np.abs(blocks.floats()[2:] - weights[2:]).max() < 0.06
    with pytest.raises(CheckpointError, match="no blocks of 32"):
        to_blocks(np.zeros((2, BLOCK + 8), np.float32))
    weights[0, 3] = np.inf
    with pytest.raises(CheckpointError, match="not a finite number"):
        to_blocks(weights)


def test_errors_that_are_made_good_cost_less_where_inputs_go_together() -> None:
    weights, inputs = some_weights(), correlated_inputs(4 * BLOCK)
    moments = inputs.T @ inputs / len(inputs)
    fresh = correlated_inputs(4 * BLOCK, count=1000, seed=2)
    plain, good = to_blocks(weights), compensated(weights, moments)
    assert given_error(weights, good, fresh) < 0.5 * given_error(weights, plain, fresh)
    # What has no say in the outputs is what pays.
    assert np.square(good.floats() - weights).sum() > np.square(plain.floats() - weights).sum()


def test_with_independent_inputs_there_is_nothing_to_make_good() -> None:
    weights = some_weights()
    np.testing.assert_array_equal(compensated(weights, np.eye(4 * BLOCK)).packed, to_blocks(weights).packed)


def test_rounding_goes_from_layer_to_layer_with_what_the_rounded_ones_give(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from midigen.dataset import Batch
    from midigen.model import SIZES, build_model, load_state, state_of
    from midigen.rounding import round_feed_forward

    torch.set_num_threads(1)
    model = build_model(SIZES["tiny"], 50, seed=0)
    dice = np.random.default_rng(0)
    state = {
        name: value if value.ndim == 1 else dice.normal(0, 1 / np.sqrt(value.shape[1]), value.shape).astype(np.float32)
        for name, value in state_of(model).items()
    }
    ids = dice.integers(1, 50, (6, 200))
    ids[:3, 150:] = 0  # padding is not looked at
    batches = [Batch(part, part > 0, np.zeros(part.shape, np.uint8)) for part in (ids[:3], ids[3:])]
    with torch.no_grad():
        load_state(model, state)
        wanted = model(input_ids=torch.from_numpy(ids)).logits
        told: list[tuple[int, int]] = []
        done = round_feed_forward(model, batches, lambda *numbers: told.append(numbers))
        rounded = model(input_ids=torch.from_numpy(ids)).logits
        for name, blocks in done.items():
            np.testing.assert_array_equal(state_of(model)[name], blocks.floats())
        plain = {name: to_blocks(value).floats() if name in done else value for name, value in state.items()}
        load_state(model, plain)
        nearest = model(input_ids=torch.from_numpy(ids)).logits
    assert len(done) == 6 and told[-1] == (6, 6) and all(".mlp." in name for name in done)
    real = torch.from_numpy(ids != 0)
    assert (rounded - wanted)[real].square().mean() < 0.85 * (nearest - wanted)[real].square().mean()
    again = build_model(SIZES["tiny"], 50, seed=0)
    load_state(again, state)
    ids[:3, 150:] = 0
    unpadded = [Batch(ids[:3, :150], ids[:3, :150] > 0, batches[0].owner[:, :150]), batches[1]]
    for name, blocks in round_feed_forward(again, unpadded).items():
        np.testing.assert_allclose(blocks.floats(), done[name].floats(), atol=2e-2)
