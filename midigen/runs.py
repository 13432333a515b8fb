"""What a training run leaves in its folder, read back: weights, facts, and the state from which it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from midigen.checkpoint import open_checkpoint
from midigen.errors import BadRequest, MidigenError, TrainingError

COUNTS = ("step", "tokens", "seconds", "best", "since_best", "rows")  # of a state; whole numbers, but for two
ENDS = ("steps", "minutes")  # of a plan: a finished run may be given a longer end
BEST, FACTS, STATE = "best.safetensors", "best.json", "state.pt"


@contextmanager
def broken_as(message: str) -> Iterator[None]:
    """Whatever goes wrong inside, but for midigen's own errors, is a :class:`TrainingError` that says ``message``.

    For files that others read: torch, safetensors and json have a dozen kinds of errors for those that are broken.
    """
    try:
        yield
    except MidigenError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:120]
        said = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        raise TrainingError(f"{message} ({said})") from None


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The weights that a run kept. Raises :class:`TrainingError`."""
    from safetensors.numpy import load_file

    with broken_as(f"{path}: cannot be read as weights; give a run's {BEST}"):
        return load_file(path)


def begin_with(start: str) -> Mapping[str, np.ndarray]:
    """The weights that a run begins with: a file of them, or those of a checkpoint (its folder or its name)."""
    return read_weights(start) if Path(start).is_file() else open_checkpoint(start).weights()


def earlier(start: str | None) -> list[dict[str, float]]:
    """Steps, tokens and seconds of the runs that the weights at ``start`` come from, the first one first.

    Read from the ``best.json`` beside them, or from what a checkpoint says of itself; weights that lie alone have no
    known past. Raises :class:`TrainingError`.
    """
    if start and not Path(start).is_file():
        said = open_checkpoint(start).provenance
        with broken_as(f"{start}: does not say how it was trained; copy it again"):
            if not said:
                return []
            own = {"step": said["steps"], "tokens": said["tokens_learned"], "seconds": said["seconds"]}
            return [*said.get("before", []), own]
    facts = Path(start).with_name(FACTS) if start else None
    if facts is None or not facts.is_file():
        return []
    with broken_as(f"{facts}: cannot be read; copy it again, or delete it"):
        past = read_facts(facts)
        return [*past.get("before", []), {key: past[key] for key in ("step", "tokens", "seconds")}]


def read_facts(path: Path) -> dict[str, Any]:
    """A table that a run wrote as JSON. Raises :class:`TrainingError`."""
    with broken_as(f"{path}: cannot be read; train until the first validation"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError("not a table")
        return facts


def read_state(path: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a run with this ``plan``: :data:`COUNTS`, ``weights`` by name as arrays, and the ``optimizers``'.

    Raises :class:`TrainingError` for what is no state, and :class:`BadRequest` for that of another plan.
    """
    import torch

    with broken_as(f"{path}: is no state of this run; delete it to begin anew"):
        state = torch.load(path, map_location="cpu", weights_only=True)
        before = {name: value for name, value in state["plan"].items() if name not in ENDS}
        weights = {str(name): value.numpy() for name, value in state["weights"].items()}
        for name in COUNTS:
            if not isinstance(state[name], int | float) or state[name] < 0:
                raise ValueError(f"{name} is {state[name]!r}")
        optimizers = list(state["optimizers"])
    if before != {name: value for name, value in plan.items() if name not in ENDS}:
        raise BadRequest(f"{path.parent}: holds a run with another plan; choose another folder or the same settings")
    return {**{name: state[name] for name in COUNTS}, "weights": weights, "optimizers": optimizers}
