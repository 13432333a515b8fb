"""Composed pieces beside real songs: every measure, the curve of bars that come back, histograms, shared runs.

What chance and choice alone make is measured with the same ruler: the real songs are cut in halves at random, and one
half is compared with the other (``"halves"``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from midigen.evaluation.measures import KINDS
from midigen.evaluation.pieces import COLUMNS, MEASURED, Pieces
from midigen.evaluation.statistics import (
    NOTHING,
    Interval,
    around,
    draws,
    mean_curves,
    overlap,
    overlap_interval,
    share,
    spread,
)
from midigen.grid import DURATIONS
from midigen.originality import SHORTEST, Index

BINS = {
    "pitch": np.arange(20.5, 109),
    "duration": np.concatenate([[0.5], np.sqrt(np.array(DURATIONS[:-1]) * np.array(DURATIONS[1:])), [1e6]]),
    "velocity": np.arange(-0.5, 32),
}
RUNS = (SHORTEST, 16, 24)  # notes
HALVES = 50  # ways of cutting real songs in two
FEWEST_TO_HALVE = 8  # songs


def compare(groups: Mapping[str, Pieces], index: Index | None) -> dict[str, Any]:
    """The facts of ``groups``, ``"real"`` and ``"composed"`` or one of them, each with a piece that is measured."""
    curves = {name: np.array(group.curves) for name, group in groups.items()}
    facts: dict[str, Any] = {
        "likeness": {
            name: {group: asdict(spread(found.values(name))) for group, found in groups.items()} for name in MEASURED
        },
        "similarity": {name: _curve(found) for name, found in curves.items()},
    }
    if len(groups) == 2:
        real, composed = groups["real"], groups["composed"]
        facts["similarity error"] = asdict(_apart(curves["real"], curves["composed"]))
        facts["overlap"] = {
            kind: {
                what: asdict(
                    overlap_interval(real.notes.get((kind, what), []), composed.notes.get((kind, what), []), BINS[what])
                )
                for what in COLUMNS
            }
            for kind in KINDS
        }
        if len(real.rows) >= FEWEST_TO_HALVE:
            facts["halves"] = _halves(real, curves["real"])
    if index is not None:
        facts["originality"] = {"false positives": index.false_positives} | {
            name: _runs(np.array(group.runs)) for name, group in groups.items()
        }
    return facts


def _curve(curves: np.ndarray) -> dict[str, list[float]]:
    """The mean curve with the bounds of its interval, distance by distance."""
    mean, drawn = mean_curves(curves)[0], mean_curves(curves, draws(len(curves)))
    bounds = [around(float(value), column) for value, column in zip(mean, drawn.T, strict=True)]
    return {
        "mean": mean.tolist(), "low": [found.low for found in bounds], "high": [found.high for found in bounds],
    }  # fmt: skip


def _error(real: np.ndarray, composed: np.ndarray) -> np.ndarray:
    """The mean distance of curves ``(..., 32)`` over the distances that both have."""
    apart = np.abs(composed - real)
    known = np.isfinite(apart)
    with np.errstate(invalid="ignore"):
        error: np.ndarray = np.where(known, apart, 0).sum(axis=-1) / known.sum(axis=-1)
    return error


def _apart(real: np.ndarray, composed: np.ndarray) -> Interval:
    """The error of the mean curve, songs and pieces drawn again. A distance grows by noise alone, in a bootstrap once
    more, so the draws are moved to have the value in their middle."""
    value = float(_error(mean_curves(real)[0], mean_curves(composed)[0]))
    drawn = _error(mean_curves(real, draws(len(real))), mean_curves(composed, draws(len(composed), 1)))
    if not np.isfinite(value):
        return NOTHING
    found = around(value, drawn - np.nanmedian(drawn) + value)
    return Interval(value, max(found.low, 0.0), found.high)


def _halves(real: Pieces, curves: np.ndarray) -> dict[str, Any]:
    """The similarity error and the overlaps of one half of the real songs with the other, in the mean over ways of
    cutting."""
    random = np.random.default_rng(0)
    errors: list[float] = []
    common: dict[tuple[str, str], list[float]] = {(kind, what): [] for kind in KINDS for what in COLUMNS}
    for _ in range(HALVES):
        order = random.permutation(len(curves))
        one, other = order[: len(order) // 2].tolist(), order[len(order) // 2 :].tolist()
        errors.append(float(_error(mean_curves(curves[one])[0], mean_curves(curves[other])[0])))
        for (kind, what), values in common.items():
            notes = real.notes.get((kind, what), [])
            here, there = (np.concatenate([np.zeros(0), *(notes[k] for k in half)]) for half in (one, other))
            values.append(overlap(here, there, BINS[what]))
    return {
        "similarity error": float(np.mean(errors)),
        "overlap": {kind: {what: float(np.mean(common[kind, what])) for what in COLUMNS} for kind in KINDS},
    }


def _runs(runs: np.ndarray) -> dict[str, Any]:
    """How long the longest shared runs of pieces are: shares of them, quantiles of their lengths, and how many pieces
    have a run of each length (0: none that is long enough to be told)."""
    lengths, counts = np.unique(runs, return_counts=True)
    return {f"share of {least} notes or more": asdict(share(runs >= least)) for least in RUNS} | {
        "quantiles": {f"{level} %": float(np.percentile(runs, level)) for level in (50, 75, 90, 95, 99)},
        "longest": int(runs.max()),
        "lengths": {str(length): count for length, count in zip(lengths.tolist(), counts.tolist(), strict=True)},
    }
