"""``train()`` and what it needs: optimisers by name, the schedule, validation, and a state that resumes exactly.

Needs torch, transformers, numpy and safetensors alone. Under ``torchrun`` every process takes its share of each step's
batches and gradients are summed, so that any number of processes takes the same steps as one.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.attention import use_blocks
from midigen.dataset import Batch, Cells, Mixture, Steps, Windows, judging, loader
from midigen.errors import BadRequest, TrainingError, need_for_training
from midigen.model import build_model, load_state, parameter_count, size_named, state_of
from midigen.processes import Processes
from midigen.runs import COUNTS, begin_with, broken_as, earlier, read_state
from midigen.tokenizers.window import OWNERS

if TYPE_CHECKING:
    import torch

SCHEDULES = ("cosine", "linear", "constant")
# torch's own optimisers by the names of its documentation, lower case; "muon" is Muon for the matrices inside the
# blocks and AdamW for the embedding and the norms, as its author advises (Jordan et al., 2024).
OPTIMIZERS = ("adamw", "adam", "adagrad", "adadelta", "adamax", "nadam", "radam", "rmsprop", "sgd", "muon")
BUDGET_USED = 0.94  # share of --minutes that training may take; the rest is for the last validation and writing


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run. ``minutes`` or ``steps`` bounds it; with ``minutes`` the schedule follows the
    clock, so that the learning rate reaches its end inside the budget on any machine."""

    size: str = "mini"
    optimizer: str = "muon"
    learning_rate: float = 3e-3
    final_share: float = 0.05  # of the learning rate, at the end
    warmup: float = 0.03  # share of the run
    schedule: str = "cosine"
    weight_decay: float = 0.05
    clip: float = 1.0  # the norm that gradients are cut to
    windows_a_step: int = 8
    most_tokens: int = 4096  # in one forward pass; a step's windows are spread over as many passes as it takes
    context: int | None = None  # tokens; the size's own where it is None
    steps: int | None = None
    minutes: float | None = None
    validate_every: int = 200  # steps
    validation_windows: int = 48
    patience: int = 0  # validations without a better loss before stopping; 0: never
    save_every_seconds: float = 120.0
    precision: str = "bfloat16"  # or float32
    seed: int = 0
    start: str | None = None  # weights (a run's best.safetensors, or a checkpoint) to begin with, not random ones
    mixture: Mixture = field(default_factory=Mixture)

    def __post_init__(self) -> None:
        size_named(self.size)
        if self.optimizer not in OPTIMIZERS:
            raise BadRequest(f"unknown optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
        if self.schedule not in SCHEDULES:
            raise BadRequest(f"unknown schedule {self.schedule!r}: choose one of {', '.join(SCHEDULES)}")
        if self.precision not in ("bfloat16", "float32"):
            raise BadRequest(f"unknown precision {self.precision!r}: choose bfloat16 or float32")
        if (self.steps is None) == (self.minutes is None):
            raise BadRequest("give either --steps or --minutes, to say when training ends")
        for name in ("learning_rate", "windows_a_step", "most_tokens", "validate_every", "validation_windows"):
            if not getattr(self, name) > 0:
                raise BadRequest(f"{name.replace('_', ' ')} {getattr(self, name)}: must be above 0")
        if not all(value is None or value > 0 for value in (self.steps, self.minutes)):
            raise BadRequest("steps and minutes must be above 0")


@dataclass
class Progress:
    """Where a run is: what ``on_step`` is told."""

    step: int
    share: float  # of the run, 0..1
    loss: float  # nats a token, of this step
    learning_rate: float
    tokens: int  # that bore loss so far
    seconds: float
    validation: dict[str, float] | None = None


def make_optimizer(name: str, model: Any, learning_rate: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """The optimisers of a run (two for ``muon``); norms and the embedding are not decayed."""
    import torch

    named = list(model.named_parameters())
    inner = [p for n, p in named if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in named if p.ndim != 2 or "embed" in n]
    groups = [{"params": inner, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    if name == "muon":
        # match_rms_adamw scales updates so that AdamW's learning rate serves both (Liu et al., 2025).
        return [
            torch.optim.Muon(inner, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=learning_rate, weight_decay=0.0, betas=(0.9, 0.95)),
        ]
    extra: dict[str, Any] = {"betas": (0.9, 0.95)} if name in ("adamw", "adam", "nadam", "radam", "adamax") else {}
    if name == "sgd":
        extra = {"momentum": 0.9}
    classes = {cls.lower(): getattr(torch.optim, cls) for cls in (
        "AdamW", "Adam", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "RMSprop", "SGD")}  # fmt: skip
    return [classes[name](groups, lr=learning_rate, **extra)]


def rate(plan: Plan, share: float) -> float:
    """The learning rate after ``share`` (0..1) of the run."""
    if share < plan.warmup:
        return plan.learning_rate * max(share / plan.warmup, 0.01)
    past = min((share - plan.warmup) / max(1 - plan.warmup, 1e-9), 1.0)
    fall = {"cosine": (1 + math.cos(math.pi * past)) / 2, "linear": 1 - past, "constant": 1.0}[plan.schedule]
    return plan.learning_rate * (plan.final_share + (1 - plan.final_share) * fall)


def token_losses(model: Any, batch: Batch, device: str, precision: str) -> tuple[torch.Tensor, np.ndarray]:
    """Nats of every token that bears loss, and their owners, in the order of the batch.

    The output layer runs only where there is something to learn: a third of the work at this size.
    """
    import torch

    ids = torch.from_numpy(batch.ids).to(device)
    learn = batch.learn[:, 1:]
    where = torch.from_numpy(learn).to(device)
    with torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        # Padding stands at the end, where causal attention cannot see it: no mask is needed.
        hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state[where]
        logits = model.lm_head(hidden)
    losses = torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][where], reduction="none")
    return losses, batch.owner[:, 1:][learn]


def evaluate_loss(
    model: Any, batches: Iterable[Batch], vocabulary: Any, device: str = "cpu", precision: str = "float32"
) -> dict[str, float]:
    """Validation loss: ``loss`` (nats a token), ``per_note`` (all nats the model had to generate over all notes), and
    ``per_note.<owner>`` for each part (its own nats over its own notes), for harmony and form over all notes."""
    import torch

    nats, tokens, notes = np.zeros(len(OWNERS)), np.zeros(len(OWNERS)), np.zeros(len(OWNERS))
    model.eval()
    with torch.no_grad():
        for batch in batches:
            losses, owner = token_losses(model, batch, device, precision)
            np.add.at(nats, owner, losses.double().cpu().numpy())
            np.add.at(tokens, owner, 1)
            written = vocabulary.ends_note[batch.ids[:, 1:][batch.learn[:, 1:]]]
            np.add.at(notes, owner, written)
    model.train()
    result = {"loss": nats.sum() / tokens.sum(), "per_note": nats.sum() / max(notes.sum(), 1)}
    for k, name in enumerate(OWNERS):
        own = notes[k] if notes[k] else notes.sum()
        if tokens[k]:
            result[f"per_note.{name}"] = nats[k] / max(own, 1)
    return {key: float(value) for key, value in result.items()}


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def train(
    corpus: str | Path,
    output: str | Path,
    plan: Plan,
    *,
    device: str | None = None,
    threads: int | None = None,
    workers: int = 0,
    compile_model: bool = False,
    on_step: Callable[[Progress], None] | None = None,
) -> Path:
    """Train on a prepared ``corpus`` and keep the best weights by validation loss a note in ``output``.

    ``output`` receives ``plan.json``, ``log.jsonl`` (a line a step), ``best.safetensors`` with ``best.json``, and
    ``state.pt``, from which the same call goes on exactly where a killed run stopped (its last save). Returns the path
    of the best weights. Raises :class:`TrainingError` where the loss is not a number, naming step and windows.
    """
    need_for_training("torch", "transformers")
    import torch
    from safetensors.numpy import save_file

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if threads:
        torch.set_num_threads(threads)
    processes = Processes()
    processes.join(device)
    began = time.monotonic()
    if device == "cuda":
        device = f"cuda:{processes.local}"
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    size = size_named(plan.size)
    context = min(plan.context or size.context, size.context)
    cells = Cells(corpus, "train")
    vocabulary = cells.vocabulary
    steps = Steps(Windows(cells, context, plan.seed, plan.mixture), plan.windows_a_step, plan.most_tokens)
    judge = Steps(
        Windows(Cells(corpus, "validation"), context, 0, judging(plan.mixture)),
        plan.validation_windows,
        plan.most_tokens,
    )
    validation = judge[0]

    model: Any = build_model(size, vocabulary.size, plan.seed)
    model.to(device)
    if plan.start:
        load_state(model, begin_with(plan.start))
    if device == "cpu":
        use_blocks(model)
    if compile_model:
        model.model.compile(
            dynamic=True
        )  # in place: what runs here is the stack of blocks, and its weights keep their names
    optimizers = make_optimizer(plan.optimizer, model, plan.learning_rate, plan.weight_decay)
    step, tokens, seconds, best, since_best, rows = 0, 0, 0.0, math.inf, 0, 0
    state_path, log_path = output / "state.pt", output / "log.jsonl"
    settings = json.loads(json.dumps(asdict(plan)))
    if state_path.exists():
        state = read_state(state_path, settings)
        load_state(model, state["weights"])
        with broken_as(f"{state_path}: is no state of this run; delete it to begin anew"):
            for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        step, tokens, seconds, best, since_best, rows = (state[name] for name in COUNTS)
        began -= seconds
    lead = processes.rank == 0
    if lead:
        _write(output / "plan.json", json.dumps(settings, indent=1) + "\n")
        kept = log_path.read_text(encoding="utf-8", errors="replace").splitlines()[:rows] if log_path.exists() else []
        _write(log_path, "".join(line + "\n" for line in kept))

    def save() -> None:
        beside = state_path.with_name("state.pt.part")
        torch.save(
            {
                "plan": settings, "step": step, "tokens": tokens, "seconds": seconds, "best": best,
                "since_best": since_best, "rows": rows,
                "weights": {k: torch.from_numpy(v) for k, v in state_of(model).items()},
                "optimizers": [o.state_dict() for o in optimizers],
            },
            beside,
        )  # fmt: skip
        os.replace(beside, state_path)

    saved_at, saved_step = time.monotonic(), step
    budget = (plan.minutes or 0) * 60 * BUDGET_USED
    judged = sum(batch.ids.size for batch in validation)
    spent, fed = 0.0, 0  # seconds in steps, and ids that went through the model in them
    stream = loader(steps, step, plan.steps or 10**9, workers)
    share = 0.0
    while True:
        share = step / plan.steps if plan.steps else processes.agree(seconds / budget, device)
        if share >= 1 or (plan.patience and since_best >= plan.patience):
            break
        learning_rate = rate(plan, share)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.zero_grad(set_to_none=False)
        total = torch.zeros(2, device=device)  # nats, tokens
        step_began = time.monotonic()
        for batch in next(stream)[processes.rank :: processes.count]:
            fed += batch.ids.size
            losses, _ = token_losses(model, batch, device, plan.precision)
            losses.sum().backward()
            total += torch.tensor([float(losses.detach().sum()), losses.numel()], device=device)
        for parameter in model.parameters():
            if parameter.grad is None:  # a process that had no batch in the first step takes part in it all the same
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        processes.sum([total, *gradients])
        loss, count = float(total[0] / total[1]), int(total[1])
        torch._foreach_div_(gradients, float(count))
        norm = float(torch.nn.utils.clip_grad_norm_(list(model.parameters()), plan.clip))
        if not math.isfinite(loss + norm):  # before the weights are touched
            first = step * plan.windows_a_step
            raise TrainingError(
                f"the loss of step {step} is {loss} and its gradient {norm} (windows {first} to "
                f"{first + plan.windows_a_step - 1}); lower the learning rate, or train in float32"
            )
        for optimizer in optimizers:
            optimizer.step()
        step, tokens = step + 1, tokens + count
        seconds, spent = time.monotonic() - began, spent + time.monotonic() - step_began
        progress = Progress(step, share, loss, learning_rate, tokens, seconds)
        last = bool(plan.steps and step >= plan.steps)
        if plan.minutes:
            # In a short run the last validation may need more than its share: half of what training takes a token.
            room = plan.minutes * 60 - 0.5 * judged * spent / max(fed, 1)
            budget = max(min(budget, room), 30 * plan.minutes)
            last = processes.agree(seconds / budget, device) >= 1  # every process must judge at the same step
        if step % plan.validate_every == 0 or last:
            progress.validation = evaluate_loss(model, validation, vocabulary, device, plan.precision)
            if not math.isfinite(progress.validation["loss"]):
                raise TrainingError(
                    f"the validation loss after step {step - 1} is {progress.validation['loss']}; lower the learning "
                    "rate, or train in float32"
                )
            since_best += 1
            if progress.validation["per_note"] < best:
                best, since_best = progress.validation["per_note"], 0
                if lead:
                    beside = output / "best.safetensors.part"
                    save_file(state_of(model), beside)
                    os.replace(beside, output / "best.safetensors")
                    facts = {"step": step, "tokens": tokens, "seconds": round(time.monotonic() - began, 1),
                             "parameters": parameter_count(size, vocabulary.size), "size": plan.size,
                             "validation": progress.validation, "vocabulary": vocabulary.to_spec(),
                             "before": earlier(plan.start)}  # fmt: skip
                    _write(output / "best.json", json.dumps(facts, indent=1) + "\n")
            seconds = time.monotonic() - began
        rows += 1
        if lead:
            with open(log_path, "a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(progress)) + "\n")
            if time.monotonic() - saved_at > plan.save_every_seconds or last:
                save()
                saved_at, saved_step = time.monotonic(), step
        if on_step and lead:
            on_step(progress)
    if lead and saved_step != step:  # patience or the clock ended the run at a step that looked like any other
        save()
    processes.leave()
    return output / "best.safetensors"
