"""Engines: one contract for all of them, exactness against torch, and independence of threads and company."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial

import numpy as np
import pytest

from midigen import engines
from midigen.checkpoint import is_feed_forward, open_checkpoint, save_checkpoint
from midigen.engines import ENGINES, STEP, onnx_runtime, open_engine
from midigen.engines.onnx_graph import rotary_tables
from midigen.engines.onnx_runtime import PIECE
from midigen.engines.together import side_by_side
from midigen.errors import BadRequest, MissingTool
from midigen.model import SIZES, Size, build_model, parameter_shapes, state_of
from midigen.quantization import to_blocks

TINY = SIZES["tiny"]
# Longer than one piece, several heads to a key, widths that do not fill the blocks of the 8-bit product.
WIDE = Size(d_model=96, layers=2, heads=4, kv_heads=2, d_ff=160, context=2 * PIECE + 100, head_dim=32)
VOCABULARY_SIZE = 90

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def loud_state(size, seed):
    """Random weights larger than a fresh model's, so that attention looks at something and logits are spread."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.uniform(0.5, 1.5, shape).astype(np.float32)
        if len(shape) == 1
        else rng.normal(0, 1.5 / np.sqrt(shape[1]), shape).astype(np.float32)
        for name, shape in parameter_shapes(size, VOCABULARY_SIZE).items()
    }


@pytest.fixture(scope="module", params=["8 bits", "4 bits"])
def checkpoint(request, tmp_path_factory):
    """On either grid: of 8 bits throughout, and with a feed-forward part of 4."""
    folder, state = tmp_path_factory.mktemp("engines") / "wide", loud_state(WIDE, seed=0)
    if request.param == "4 bits":
        state = {name: to_blocks(value) if is_feed_forward(name) else value for name, value in state.items()}
    return open_checkpoint(save_checkpoint(folder, state, WIDE, {}, {}))


@pytest.fixture(scope="module")
def reference(checkpoint):
    """Torch's logits after each of the ids, in one run."""
    take = open_engine(checkpoint, "torch", "exact")
    return take.feed_all(some_ids())


def some_ids(count=WIDE.context, seed=1):
    return np.random.default_rng(seed).integers(0, VOCABULARY_SIZE, count)


@pytest.fixture(params=[("onnx", "exact"), ("onnx", "fast"), ("torch", "exact")], ids="-".join, scope="module")
def opened(request, checkpoint):
    return open_engine(checkpoint, *request.param)


@pytest.fixture
def take(opened):
    opened.rewind(0)
    return opened


# The contract, for every engine and mode


def test_feeding_moves_the_position_and_gives_one_row(take):
    assert (take.position, take.vocabulary_size, take.context) == (0, VOCABULARY_SIZE, WIDE.context)
    logits = take.feed(some_ids(7))
    assert logits.shape == (VOCABULARY_SIZE,) and logits.dtype == np.float32 and take.position == 7
    assert take.feed_all(some_ids(5)).shape == (5, VOCABULARY_SIZE) and take.position == 12
    assert take.feed(np.array([3], np.int32)).shape == (VOCABULARY_SIZE,) and take.position == 13


def test_logits_are_the_callers_to_keep(take):
    first = take.feed(some_ids(1))
    kept = first.copy()
    first_again = first
    take.feed(some_ids(1, seed=2))
    np.testing.assert_array_equal(first_again, kept)
    first += 1.0  # writable


def test_the_last_row_of_all_is_what_feed_gives(take):
    ids = some_ids(2 * PIECE + 9)
    every = take.feed_all(ids)
    take.rewind(0)
    np.testing.assert_allclose(take.feed(ids), every[-1], atol=2e-4)


def test_rewinding_forgets(take):
    ids = some_ids(60)
    take.feed(ids[:40])
    expected = [take.feed(ids[at : at + 1]) for at in range(40, 60)]
    take.rewind(40)
    assert take.position == 40
    take.feed(some_ids(15, seed=8))  # another continuation
    take.rewind(40)
    for at, logits in enumerate(expected, start=40):
        np.testing.assert_array_equal(take.feed(ids[at : at + 1]), logits)


def test_a_fork_goes_its_own_way(take):
    ids, other_ids = some_ids(50), some_ids(50, seed=3)
    take.feed(ids[:30])
    fork = take.fork()
    assert fork.position == 30
    expected = [take.feed(ids[at : at + 1]) for at in range(30, 50)]
    take.rewind(30)
    fork_alone = take.fork()
    other_expected = [fork_alone.feed(other_ids[at : at + 1]) for at in range(30, 50)]
    for at in range(30, 50):  # side by side, as they were alone
        np.testing.assert_array_equal(take.feed(ids[at : at + 1]), expected[at - 30])
        np.testing.assert_array_equal(fork.feed(other_ids[at : at + 1]), other_expected[at - 30])
    assert not np.array_equal(expected[-1], other_expected[-1])


def test_what_cannot_be_fed_is_refused_and_changes_nothing(take):
    take.feed(some_ids(20))
    for ids, words in [
        (np.array([], np.int64), "one or more"),
        (np.array([[1, 2]]), "in one row"),
        (np.array([0.5]), "whole numbers"),
        (np.array([VOCABULARY_SIZE]), f"token {VOCABULARY_SIZE}: outside the vocabulary"),
        (np.array([1, -2, 3]), "token -2: outside"),
        (some_ids(WIDE.context - 19), f"more than the model's context of {WIDE.context}: ask for fewer"),
    ]:
        for feed in (take.feed, take.feed_all):
            with pytest.raises(BadRequest) as caught:
                feed(ids)
            assert words in str(caught.value) and "\n" not in str(caught.value)
    assert take.position == 20
    for position in (-1, 21):
        with pytest.raises(BadRequest, match="from 0 to 20"):
            take.rewind(position)
    assert take.feed(some_ids(WIDE.context - 20)).shape == (VOCABULARY_SIZE,)  # the very last place is usable


# Exactness


@pytest.mark.parametrize(
    "cuts",
    [[WIDE.context], [1] * 70, [50, 1, 1, 1, 200, 1, 30, 1], [PIECE, PIECE], [PIECE + 1, PIECE - 1, 1]],
    ids=["at-once", "stepping", "mixed", "pieces", "across-pieces"],
)
def test_exact_is_torch_however_the_ids_are_cut(checkpoint, reference, cuts):
    take, ids = open_engine(checkpoint, "onnx", "exact"), some_ids()
    assert np.std(reference) > 0.5  # logits with something to get wrong
    for length in cuts:
        start = take.position
        logits = take.feed_all(ids[start : start + length])
        np.testing.assert_allclose(logits, reference[start : start + length], atol=1e-3)


def test_exact_is_torch_after_a_rewind(checkpoint, reference):
    take, ids = open_engine(checkpoint, "onnx", "exact"), some_ids()
    take.feed(ids[:300])
    take.feed(some_ids(40, seed=5))
    take.rewind(280)
    np.testing.assert_allclose(take.feed_all(ids[280:400]), reference[280:400], atol=1e-3)


def test_fast_multiplies_the_same_grid(checkpoint, reference):
    """Only activations, keys and values are rounded: the error is that of 8 bits, and has no direction."""
    take, ids = open_engine(checkpoint, mode="fast"), some_ids()
    read = take.feed_all(ids)
    take.rewind(0)
    stepped = np.stack([take.feed(ids[at : at + 1]) for at in range(len(ids))])
    for logits in (read, stepped):
        error = logits - reference
        assert 0 < np.std(error) < 0.1 * np.std(reference)
        assert abs(np.mean(error)) < 0.02 * np.std(reference)


def test_fast_reads_alike_where_bytes_cannot_be_summed_exactly(checkpoint, reference, monkeypatch):
    """Processors without VNNI: other products for prompts, the same cache."""
    assert onnx_runtime.sums_are_whole() in (True, False)
    take, ids, rows = open_engine(checkpoint, mode="fast"), some_ids(), {}
    for whole in (True, False):
        monkeypatch.setattr(onnx_runtime, "sums_are_whole", lambda whole=whole: whole)
        take = open_engine(checkpoint, mode="fast")
        rows[whole] = np.concatenate([take.feed_all(ids[:400]), take.feed_all(ids[400:401])])
        assert 0 < np.std(rows[whole] - reference[:401]) < 0.1 * np.std(reference)
    assert not np.array_equal(rows[True], rows[False])


def test_steps_are_alike_to_the_bit_however_they_are_cut(checkpoint):
    """So that a guess of what follows decides what a token costs, and not which it is."""
    ids, rows = some_ids(), []
    for cut in (1, 2, 3, STEP):
        take = open_engine(checkpoint, mode="fast")
        take.feed(ids[:300])
        rows.append(np.concatenate([take.feed_all(ids[at : at + cut]) for at in range(300, 300 + 6 * STEP, cut)]))
        np.testing.assert_array_equal(rows[-1], rows[0])


def test_positions_turn_as_transformers_turns_them():
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    size = SIZES["base"]
    rotary = LlamaRotaryEmbedding(build_model(size, 8, seed=0).config)
    cos, sin = rotary(torch.zeros(1), torch.arange(size.context)[None])
    for table, theirs in zip(rotary_tables(size), (cos, sin), strict=True):
        np.testing.assert_allclose(table, theirs[0, :, : size.head_dim // 2].numpy(), atol=1e-3)


# Independence


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_threads_change_nothing(checkpoint, mode):
    def everything(threads):
        take, ids = open_engine(checkpoint, mode=mode, threads=threads), some_ids()
        prefill = take.feed_all(ids[:-30])
        return np.concatenate([prefill, *([take.feed(ids[at : at + 1])] for at in range(len(ids) - 30, len(ids)))])

    alone = everything(None)
    for threads in (1, 2, 3, 9):  # nine are more than the heads there are
        np.testing.assert_array_equal(everything(threads), alone)


def test_more_threads_than_heads_change_nothing_in_a_long_past(tmp_path):
    """With idle threads, attention would cut a past as long as this into one piece for each of them."""
    size = Size(d_model=32, layers=1, heads=2, kv_heads=1, d_ff=32, context=4096, head_dim=16)
    checkpoint = open_checkpoint(save_checkpoint(tmp_path / "long", loud_state(size, 1), size, {}, {}))
    ids, steps = some_ids(4000), []
    for threads in (1, 2, 8):
        take = open_engine(checkpoint, threads=threads)
        take.feed(ids)
        steps.append([take.feed(ids[at : at + 1]) for at in range(20)])
    np.testing.assert_array_equal(steps[0], steps[1])
    np.testing.assert_array_equal(steps[0], steps[2])


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_takes_at_the_same_time_are_as_they_are_alone(checkpoint, mode):
    first = open_engine(checkpoint, mode=mode, threads=2)
    sequences = [some_ids(80, seed=seed) for seed in range(3)]

    def play(take, ids, into):
        into.extend(take.feed(ids[at : at + 1]) for at in range(len(ids)))

    alone: list[list[np.ndarray]] = []
    for ids in sequences:
        alone.append([])
        play(first.fork(), ids, alone[-1])
    together: list[list[np.ndarray]] = [[] for _ in sequences]
    players = [
        threading.Thread(target=play, args=(first.fork(), ids, into))
        for ids, into in zip(sequences, together, strict=True)
    ]
    for player in players:
        player.start()
    for player in players:
        player.join()
    np.testing.assert_array_equal(together, alone)
    assert first.position == 0


# Loss on a model that has learned something


def chain(rows, length, seed):
    """Sequences in which each token has four successors of known probability."""
    successors = np.array([np.random.default_rng(token).permutation(VOCABULARY_SIZE)[:4] for token in range(90)])
    rng = np.random.default_rng(seed)
    out = np.zeros((rows, length), np.int64)
    for at in range(1, length):
        out[:, at] = successors[out[:, at - 1], rng.choice(4, rows, p=[0.6, 0.25, 0.1, 0.05])]
    return out


@pytest.fixture(scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # for steps as small as these, a second thread costs more than it gives
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, one_thread):
    model = build_model(TINY, VOCABULARY_SIZE, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for step in range(150):
        ids = torch.tensor(chain(16, 48, seed=100 + step))
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("engines") / "trained"
    return model, open_checkpoint(save_checkpoint(folder, state_of(model), TINY, {}, {}))


def loss_of(logits, ids):
    logits = logits.astype(np.float64)
    logits -= np.log(np.exp(logits - logits.max()).sum(axis=1))[:, None] + logits.max()
    return -logits[np.arange(len(ids)), ids]


def test_the_loss_of_fast_is_that_of_the_trained_weights(trained):
    model, checkpoint = trained
    held_out = chain(6, 400, seed=7)
    with torch.no_grad():
        as_trained = model(input_ids=torch.tensor(held_out[:, :-1])).logits.numpy()
    losses = {"trained": np.mean([loss_of(row, ids[1:]) for row, ids in zip(as_trained, held_out, strict=True)])}
    for mode in ("exact", "fast"):
        take, rows = open_engine(checkpoint, mode=mode), []
        for ids in held_out:
            take.rewind(0)
            rows.append(loss_of(take.feed_all(ids[:-1]), ids[1:]))
        losses[mode] = np.mean(rows)
    assert 1.0 < losses["trained"] < 1.4  # learned: log(90) is 4.5, the chain's own entropy 1.03
    assert losses["exact"] == pytest.approx(losses["trained"], rel=0.005)
    assert losses["fast"] == pytest.approx(losses["trained"], rel=0.005)


def test_sampling_from_exact_is_sampling_from_torch(trained):
    def song(engine):
        take, dice, token, out = open_engine(trained[1], engine, "exact"), np.random.default_rng(3), 5, []
        for _ in range(300):
            logits = take.feed(np.array([token]))
            odds = np.exp(logits - logits.max(), dtype=np.float64)
            token = int(np.searchsorted(np.cumsum(odds), dice.random() * odds.sum()))
            out.append(token)
        return out

    assert song("onnx") == song("torch")


# The door


def test_unknown_names_modes_and_threads_are_refused(checkpoint):
    assert {"onnx", "torch"} <= set(ENGINES)
    with pytest.raises(BadRequest, match=r"unknown engine 'tpu': choose one of .*onnx.*torch"):
        open_engine(checkpoint, "tpu")
    with pytest.raises(BadRequest, match="unknown mode 'slow': choose one of fast, exact"):
        open_engine(checkpoint, mode="slow")
    with pytest.raises(BadRequest, match="threads is 0; use 1 or more"):
        open_engine(checkpoint, threads=0)


@pytest.mark.parametrize(("engine", "library"), [("onnx", "onnxruntime"), ("onnx", "onnx"), ("torch", "transformers")])
def test_a_missing_library_is_named_with_the_cure(checkpoint, monkeypatch, engine, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingTool, match=f"needs {library}, which is not installed.*install"):
        engines.open_engine(checkpoint, engine)


def test_the_onnx_engine_loads_no_torch(checkpoint):
    program = (
        "import sys, numpy; from midigen.checkpoint import open_checkpoint; from midigen.engines import open_engine\n"
        "assert not {'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "take = open_engine(open_checkpoint(sys.argv[1])); take.feed(numpy.array([1, 2, 3]))\n"
        "heavy = {'torch', 'transformers', 'scipy', 'miditok'} & set(sys.modules)\n"
        "assert take.position == 3 and not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program, str(checkpoint.path)], check=True)


# Takes that go together


@pytest.mark.parametrize(("engine", "mode"), [("onnx", "exact"), ("onnx", "fast"), ("torch", "exact")])
def test_a_step_together_is_the_step_that_each_would_take_alone(checkpoint, engine, mode):
    first = open_engine(checkpoint, engine, mode, threads=1)
    prompts = [some_ids(count, seed=count) for count in (1, 300, 40, 7)]
    steps = [some_ids(12, seed=50 + number) for number in range(4)]
    alone = []
    for prompt, ids in zip(prompts, steps, strict=True):
        take = first.fork()
        alone.append([take.feed(prompt), *(take.feed(ids[at : at + 1]) for at in range(12))])
    company = first.company(4)
    for take, prompt, expected in zip(company.takes, prompts, alone, strict=True):
        np.testing.assert_array_equal(take.feed(prompt), expected[0])
    fed = [0, 0, 0, 0]
    for numbers in [(0, 1, 2, 3), (1,), (0, 2), (1, 3), (0, 3), *[(0, 1, 2, 3)] * 8]:  # some wait in between
        logits = company.step(numbers, [int(steps[number][fed[number]]) for number in numbers])
        for number, row in zip(numbers, logits, strict=True):
            fed[number] += 1
            np.testing.assert_array_equal(row, alone[number][fed[number]])
    assert [take.position for take in company.takes] == [len(p) + n for p, n in zip(prompts, fed, strict=True)]


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_company_refuses_before_anybody_moves(checkpoint, engine):
    company = open_engine(checkpoint, engine, "exact").company(3)
    company.takes[2].feed(some_ids(WIDE.context))
    with pytest.raises(BadRequest, match=f"token {VOCABULARY_SIZE}: outside"):
        company.step([0, 1], [3, VOCABULARY_SIZE])
    with pytest.raises(BadRequest, match="more than the model's context"):
        company.step([0, 2], [3, 3])
    assert [take.position for take in company.takes] == [0, 0, WIDE.context]
    full = company.takes[2].fork()
    company.step([0, 1], [3, 4])  # the full take waits beside them, and forgets nothing
    company.takes[2].rewind(WIDE.context - 1)
    full.rewind(WIDE.context - 1)
    np.testing.assert_array_equal(company.takes[2].feed(np.array([7])), full.feed(np.array([7])))


def test_takes_at_one_table_are_as_they_are_alone(checkpoint):
    def song(engine, seed, length):
        """A few hundred tokens, with prompts and guesses of several ids in between, as composing has them."""
        dice, out = np.random.default_rng(seed), list[int]()
        engine.feed(some_ids(20 + seed, seed=seed))
        for step in range(length):
            logits = engine.feed(np.array([len(out) % VOCABULARY_SIZE]))
            if step % 17 == seed:
                logits = engine.feed_all(some_ids(3, seed=step), rows=2)[-1]
            out.append(int(np.argmax(logits + dice.gumbel(size=len(logits)))))
        return out

    first = open_engine(checkpoint, threads=1)
    lengths = [60, 200, 5, 130, 1]
    alone = [song(first.fork(), seed, length) for seed, length in enumerate(lengths)]
    for company in (alone, alone[:2]):
        works = [partial(song, seed=seed, length=lengths[seed]) for seed in range(len(company))]
        assert side_by_side(first.company(len(company)), works) == company


def test_an_error_of_one_take_ends_all(checkpoint):
    ended = []

    def fails(engine):
        engine.feed(np.array([1]))
        raise BadRequest("enough")

    def goes_on(engine):
        try:
            for _ in range(100):
                engine.feed(np.array([1]))
        finally:
            ended.append(engine.position)

    with pytest.raises(BadRequest, match="enough"):
        side_by_side(open_engine(checkpoint).company(2), [goes_on, fails])
    assert ended and ended[0] < 100
