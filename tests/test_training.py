"""Training: it learns, it resumes to the digit, it stops in time, and any number of processes takes the same steps."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from songs import small_corpus

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from midigen import training
from midigen.attention import use_blocks
from midigen.cells import Cells
from midigen.dataset import Mixture, Steps, Windows, judging
from midigen.errors import BadRequest, TrainingError
from midigen.losscurves import draw_losses
from midigen.model import SIZES, build_model
from midigen.tokenizers.window import OWNERS
from midigen.training import OPTIMIZERS, Plan, Progress, evaluate_loss, rate, token_losses, train

PLAN = Plan(
    size="tiny", context=320, steps=6, windows_a_step=4, most_tokens=640, validation_windows=4, schedule="constant",
    warmup=0.0, precision="float32", save_every_seconds=1e9, learning_rate=5e-3,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_corpus(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps that nothing disturbed."""
    run = tmp_path_factory.mktemp("run")
    train(corpus, run, PLAN, device="cpu", threads=1)
    return run


def log(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return rows


def steady(run: Path) -> list[dict[str, Any]]:
    """The log without the clock."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "share")} for row in log(run)]


def test_the_loss_falls(corpus: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    plan = replace(PLAN, steps=24, validate_every=12, learning_rate=1e-2)
    best = train(corpus, tmp_path, plan, device="cpu", threads=1, on_step=told.append)
    losses = [p.loss for p in told]
    assert abs(losses[0] - math.log(Cells(corpus, "train").vocabulary.size)) < 0.5  # it begins by guessing
    assert np.mean(losses[-5:]) < losses[0] - 1.5
    judged = [p.validation for p in told if p.validation]
    assert len(judged) == 2 and judged[1]["per_note"] < judged[0]["per_note"]
    facts = json.loads((tmp_path / "best.json").read_text())
    assert best.is_file() and facts["step"] == 24 and facts["validation"] == judged[1]
    assert draw_losses(tmp_path).read_bytes()[:4] == b"\x89PNG"


def test_the_validation_speaks_of_every_part(corpus: Path, finished: Path) -> None:
    (last,) = [row["validation"] for row in log(finished) if row["validation"]]
    judge = Windows(Cells(corpus, "validation"), 320, 0, judging(Mixture()))
    written = {int(k) for i in range(4) for k in np.unique(judge[i][2][judge[i][1]])}
    parts = {f"per_note.{OWNERS[k]}" for k in written}
    assert len(parts) >= 5 and "per_note.drums" not in parts  # composing is judged without drums
    assert set(last) == {"loss", "per_note", *parts}
    assert all(math.isfinite(v) and v > 0 for v in last.values()) and last["per_note"] > last["loss"]


def test_losses_add_up_to_those_of_every_token(corpus: Path) -> None:
    """``evaluate_loss`` against a plain sum over single windows, through another attention."""
    windows = Windows(Cells(corpus, "validation"), 320, 0, judging(Mixture()))
    vocabulary = windows.cells.vocabulary
    model = build_model(SIZES["tiny"], vocabulary.size, 3)
    nats, notes = np.zeros(len(OWNERS)), np.zeros(len(OWNERS))
    tokens = 0
    with torch.no_grad():
        for i in range(3):
            ids, learn, owner = windows[i]
            logits = model(torch.tensor(ids.astype(np.int64))[None]).logits[0, :-1].double()
            each = -torch.log_softmax(logits, -1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:].astype(np.int64))]
            wanted = learn[1:]
            tokens += int(wanted.sum())
            np.add.at(nats, owner[1:][wanted], each.numpy()[wanted])
            np.add.at(notes, owner[1:][wanted], vocabulary.ends_note[ids[1:][wanted]])
    use_blocks(model)
    found = evaluate_loss(model, Steps(windows, 3, 700)[0], vocabulary)
    assert found["loss"] == pytest.approx(nats.sum() / tokens, rel=1e-5)
    assert found["per_note"] == pytest.approx(nats.sum() / notes.sum(), rel=1e-5)
    for part in np.flatnonzero(notes).tolist():
        assert found[f"per_note.{OWNERS[part]}"] == pytest.approx(nats[part] / notes[part], rel=1e-5)
    assert found["per_note.form"] == pytest.approx(nats[1] / notes.sum(), rel=1e-5)


def test_attention_in_blocks_is_attention(corpus: Path) -> None:
    """Losses and gradients as torch's own kernel has them, over more rows than one block holds."""
    batch = Steps(Windows(Cells(corpus, "train"), 512), 3, 4096)[0][0]
    assert batch.ids.shape[1] > 256
    results = []
    for blocks in (False, True):
        model = build_model(SIZES["tiny"], Cells(corpus, "train").vocabulary.size, 1)
        if blocks:
            use_blocks(model)
        losses, _ = token_losses(model, batch, "cpu", "float32")
        losses.sum().backward()
        results.append(
            (losses.detach().numpy(), [p.grad.numpy().copy() for p in model.parameters() if p.grad is not None])
        )
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-4, atol=1e-4)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * float(np.abs(one).max()))


def test_a_longer_end_goes_on_as_if_it_had_been_asked_for_at_once(corpus: Path, finished: Path, tmp_path: Path) -> None:
    train(corpus, tmp_path, replace(PLAN, steps=3), device="cpu", threads=1)
    assert len(log(tmp_path)) == 3
    train(corpus, tmp_path, PLAN, device="cpu", threads=1)
    one, other = steady(tmp_path), steady(finished)
    assert one[2]["validation"] and not other[2]["validation"]  # the end of the first run is judged
    one[2]["validation"] = None
    assert one == other


def test_a_killed_run_goes_on_exactly(corpus: Path, finished: Path, tmp_path: Path) -> None:
    def die(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    plan = replace(PLAN, save_every_seconds=1e-9)  # after every step
    other_saves = tmp_path / "often", tmp_path / "at-the-end"
    for run, asked in zip(other_saves, (plan, PLAN), strict=True):
        with pytest.raises(KeyboardInterrupt):
            train(corpus, run, asked, device="cpu", threads=1, on_step=die)
        assert len(log(run)) == 5 and (run / "state.pt").exists() == (asked is plan)
        train(corpus, run, asked, device="cpu", threads=1)
        assert steady(run) == steady(finished)
        assert (run / "best.safetensors").read_bytes() == (finished / "best.safetensors").read_bytes()
        assert not list(run.glob("*.part"))


def test_another_plan_does_not_go_on(corpus: Path, finished: Path) -> None:
    with pytest.raises(BadRequest, match="another plan"):
        train(corpus, finished, replace(PLAN, seed=1), device="cpu")
    before = (finished / "log.jsonl").read_bytes()
    assert train(corpus, finished, PLAN, device="cpu") == finished / "best.safetensors"  # done already
    assert (finished / "log.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_steps(corpus: Path, tmp_path: Path, name: str) -> None:
    plan = replace(PLAN, optimizer=name, steps=3, validation_windows=1, windows_a_step=2)
    train(corpus, tmp_path, plan, device="cpu", threads=1)
    rows = log(tmp_path)
    assert all(math.isfinite(row["loss"]) for row in rows) and (tmp_path / "state.pt").exists()
    train(corpus, tmp_path, replace(plan, steps=4), device="cpu", threads=1)  # its state is kept, too
    assert len(log(tmp_path)) == 4


def test_bfloat16_is_close_to_float32(corpus: Path, finished: Path, tmp_path: Path) -> None:
    train(corpus, tmp_path, replace(PLAN, steps=2, precision="bfloat16"), device="cpu", threads=1)
    for mine, theirs in zip(log(tmp_path), log(finished), strict=False):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=0.01)


def test_a_compiled_model_is_compiled_and_learns_alike(
    corpus: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.utils import counters

    # Traced as for any compiler, and run as traced: a C++ compiler would take minutes for a second of training.
    compiles = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiles(self, backend="eager", **options))
    counters.clear()
    train(corpus, tmp_path, replace(PLAN, steps=2), device="cpu", threads=1, compile_model=True)
    assert counters["frames"]["ok"] > 0
    losses = [row["loss"] for row in log(tmp_path)]
    assert losses == pytest.approx([row["loss"] for row in log(finished)[:2]], rel=1e-5)


def test_a_loss_that_is_no_number_names_the_step(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = replace(PLAN, learning_rate=1e30, clip=1e30, optimizer="sgd", save_every_seconds=1e-9)
    with pytest.raises(TrainingError, match=r"the (validation )?loss (of|after) step \d") as caught:
        train(corpus, tmp_path / "hot", plan, device="cpu", threads=1)
    assert "\n" not in str(caught.value) and "lower the learning rate" in str(caught.value)
    losses, calls = token_losses, [0]

    def poisoned(*arguments: Any) -> Any:
        found, owners = losses(*arguments)
        calls[0] += 1
        return found * (float("nan") if calls[0] > 6 else 1.0), owners

    monkeypatch.setattr(training, "token_losses", poisoned)
    with pytest.raises(TrainingError, match=r"loss of step (\d) is nan.*windows \d+ to \d+"):
        train(corpus, tmp_path / "nan", replace(PLAN, save_every_seconds=1e-9), device="cpu", threads=1)
    state = torch.load(tmp_path / "nan" / "state.pt", weights_only=True)
    assert all(torch.isfinite(w).all() for w in state["weights"].values())  # what is kept is sound
    monkeypatch.undo()
    train(corpus, tmp_path / "nan", replace(PLAN, save_every_seconds=1e-9), device="cpu", threads=1)
    assert len(log(tmp_path / "nan")) == 6


def test_patience_ends_a_run_that_gains_nothing(corpus: Path, tmp_path: Path) -> None:
    plan = replace(
        PLAN, steps=50, learning_rate=1e-12, optimizer="sgd", validate_every=1, patience=3, validation_windows=1
    )
    train(corpus, tmp_path, plan, device="cpu", threads=1)
    rows = log(tmp_path)
    assert 3 <= len(rows) < 20 and json.loads((tmp_path / "best.json").read_text())["step"] <= len(rows) - 3
    assert (tmp_path / "state.pt").exists()
    train(corpus, tmp_path, plan, device="cpu", threads=1)
    assert log(tmp_path) == rows  # it stays ended


def test_minutes_are_kept(corpus: Path, finished: Path, tmp_path: Path) -> None:
    plan = replace(
        PLAN, steps=None, minutes=0.1, schedule="cosine", warmup=0.1, validate_every=10_000, validation_windows=100
    )
    began = time.monotonic()
    train(corpus, tmp_path, plan, device="cpu", threads=1)
    took = time.monotonic() - began
    assert took < 6.4  # the last validation alone takes over a second
    rows = log(tmp_path)
    assert rows[-1]["validation"] and rows[-1]["seconds"] > 2.9
    rates = [row["learning_rate"] for row in rows]
    assert rates[-1] < 0.25 * max(rates) and max(rates) > 0.8 * plan.learning_rate


def test_two_processes_take_the_steps_of_one(corpus: Path, tmp_path: Path) -> None:
    """The first step is one batch: the second process has nothing to do in it, and must keep up all the same."""

    def padded(seed: int) -> list[int]:
        steps = Steps(Windows(Cells(corpus, "train"), 320, seed), PLAN.windows_a_step, 10**6)
        return [steps[number][0].ids.size for number in range(4)]

    seed = next(seed for seed in range(100) if padded(seed)[0] < min(padded(seed)[1:]))
    plan = replace(PLAN, steps=4, seed=seed, most_tokens=padded(seed)[0], patience=100, validate_every=2)
    script = tmp_path / "run.py"
    script.write_text(
        "import json, sys\nfrom midigen.dataset import Mixture\nfrom midigen.training import Plan, train\n"
        "said = json.loads(sys.argv[3])\n"
        "said['mixture'] = Mixture(**said['mixture'])\n"
        "train(sys.argv[1], sys.argv[2], Plan(**said), device='cpu', threads=1)\n"
    )
    root = Path(__file__).resolve().parents[1]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script),
         str(corpus), str(tmp_path / "two"), json.dumps(asdict(plan))],
        check=True, capture_output=True, timeout=240,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    train(corpus, tmp_path / "one", plan, device="cpu", threads=1)
    one, two = log(tmp_path / "one"), log(tmp_path / "two")
    assert len(one) == len(two) == 4
    for mine, theirs in zip(one, two, strict=True):
        assert mine["tokens"] == theirs["tokens"]
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    assert one[-1]["validation"]["per_note"] == pytest.approx(two[-1]["validation"]["per_note"], rel=1e-4)


def test_the_learning_rate_rises_and_falls() -> None:
    for schedule in training.SCHEDULES:
        plan = replace(PLAN, schedule=schedule, warmup=0.1, final_share=0.05)
        rates = np.array([rate(plan, share) for share in np.linspace(0, 1, 101)])
        assert 0 < rates[0] < 0.05 * plan.learning_rate and (np.diff(rates[:11]) > 0).all()
        assert rates.max() == pytest.approx(plan.learning_rate)
        assert (np.diff(rates[11:]) <= 1e-12).all()
        assert rates[-1] == pytest.approx(plan.learning_rate * (1 if schedule == "constant" else 0.05))
    assert rate(replace(PLAN, warmup=0.0), 0.0) == PLAN.learning_rate


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer": "lion"}, "choose one of adamw"),
        ({"schedule": "step"}, "cosine, linear, constant"),
        ({"precision": "int4"}, "bfloat16 or float32"),
        ({"size": "giant"}, "tiny, micro"),
        ({"steps": None}, "--steps or --minutes"),
        ({"minutes": 1.0}, "--steps or --minutes"),
        ({"steps": 0}, "above 0"),
        ({"learning_rate": float("nan")}, "learning rate nan"),
        ({"windows_a_step": 0}, "windows a step 0"),
        ({"validation_windows": -1}, "validation windows -1"),
    ],
)
def test_plans_check_themselves(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        replace(PLAN, **change)


def test_a_plan_names_its_mixture() -> None:
    assert PLAN.mixture == Mixture()
