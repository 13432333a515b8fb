"""The log of a training run, as a picture."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np

from midigen.errors import TrainingError
from midigen.runs import broken_as

SMOOTH = 20  # steps in the running mean of the training loss


def draw_losses(run: str | Path) -> Path:
    """Draw ``run/log.jsonl`` to ``run/losses.png``: training loss, validation loss a note by part, learning rate.

    Raises :class:`TrainingError` where there is no log.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    log = Path(run) / "log.jsonl"
    if not log.is_file():
        raise TrainingError(f"{run}: no log.jsonl; give the folder of a training run")
    with broken_as(f"{log}: is no log of a training run"):
        rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        tokens, loss, rates = (np.array([float(row[k]) for row in rows]) for k in ("tokens", "loss", "learning_rate"))
        judged = [
            (row["tokens"] / 1e6, {str(k): float(v) for k, v in row["validation"].items()})
            for row in rows
            if row["validation"]
        ]
        if not np.isfinite([*tokens, *rates]).all() or max([*tokens, *rates], default=0) > 1e18:
            raise ValueError("numbers out of reach")
    if not rows:
        raise TrainingError(f"{log}: no step yet; wait for the first")
    tokens = tokens / 1e6
    figure = Figure(figsize=(10, 7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(tokens, loss, color="#bbbbbb", linewidth=0.6, label="each step")
    if len(loss) >= SMOOTH:
        smooth = np.convolve(loss, np.ones(SMOOTH) / SMOOTH, mode="valid")
        above.plot(tokens[SMOOTH - 1 :], smooth, color="#3b6fb6", label=f"mean of {SMOOTH} steps")
    above.set_ylabel("training loss, nats a token")
    rate = above.twinx()
    rate.plot(tokens, rates, color="#d9822b", linewidth=0.8, linestyle=":")
    rate.set_ylabel("learning rate (dotted)")
    above.legend(loc="upper right")
    for name in sorted({key for _, values in judged for key in values if key.startswith("per_note")}):
        points = [(t, values[name]) for t, values in judged if name in values]
        label = name.removeprefix("per_note").strip(".") or "all"
        below.plot(*zip(*points, strict=True), marker=".", linewidth=2 if label == "all" else 1, label=label)
    below.set_xlabel("millions of tokens learned from")
    below.set_ylabel("validation loss, nats a note")
    if judged:
        below.legend(loc="upper right", ncols=4, fontsize="small")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    path = Path(run) / "losses.png"
    beside = path.with_name("losses.png.part")
    beside.write_bytes(buffer.getvalue())
    os.replace(beside, path)
    return path
