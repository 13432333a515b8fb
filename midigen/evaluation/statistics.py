"""Medians, quartiles and what of them is chance: the bootstrap over songs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000  # of a bootstrap
LEVEL = 95.0  # per cent


@dataclass(frozen=True)
class Interval:
    """A ``value`` with the bounds of its 95 % interval; all NaN where nothing was measured."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """One number a piece, summed up: the ``median`` with its interval, the quartiles, and how many ``pieces`` had
    it."""

    median: Interval
    first_quartile: float
    third_quartile: float
    pieces: int


def interval(
    values: Sequence[float] | np.ndarray, statistic: Callable[[np.ndarray], float] = np.mean, seed: int = 0
) -> Interval:
    """``statistic`` of one value a song, and its 95 % bootstrap interval (percentiles of :data:`DRAWS` draws of songs
    with replacement; Efron 1979). What is not a number is left out."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return Interval(float("nan"), float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    drawn = [float(statistic(known[random.integers(0, len(known), len(known))])) for _ in range(DRAWS)]
    low, high = np.percentile(drawn, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(float(statistic(known)), float(low), float(high))


def spread(values: Sequence[float] | np.ndarray) -> Spread:
    """The median of ``values`` with its interval, and the quartiles."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return Spread(interval(known), float("nan"), float("nan"), 0)
    first, third = np.percentile(known, [25, 75])
    return Spread(interval(known, np.median), float(first), float(third), len(known))


def overlap(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray, bins: np.ndarray) -> float:
    """The area that two histograms over the edges ``bins`` have in common, 0 to 1 (Yang and Lerch 2020 compare
    distributions so); NaN where one has no value inside."""
    shares = []
    for values in (one, other):
        counts = np.histogram(np.asarray(values, dtype=float), bins)[0].astype(float)
        if not counts.sum():
            return float("nan")
        shares.append(counts / counts.sum())
    return float(np.minimum(*shares).sum())
