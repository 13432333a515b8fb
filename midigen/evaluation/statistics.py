"""Medians, quartiles and what of them is chance: the bootstrap over songs.

What is drawn again is always the song (or the piece), whole, however many windows, bars or notes of it there are: what
lies in one song is no stranger to the rest of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000  # of a bootstrap
LEVEL = 95.0  # per cent
_DEVIATES = 1.959964  # standard deviations of a normal distribution that hold as much

Statistic = Callable[..., np.ndarray]  # of values along an axis


@dataclass(frozen=True)
class Interval:
    """A ``value`` with the bounds of its 95 % interval; all NaN where nothing was measured."""

    value: float
    low: float
    high: float


NOTHING = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Spread:
    """One number a piece, summed up: the ``median`` with its interval, the quartiles, and how many ``pieces`` had
    it."""

    median: Interval
    first_quartile: float
    third_quartile: float
    pieces: int


def around(value: float, drawn: Sequence[float] | np.ndarray) -> Interval:
    """``value`` with the percentiles of what it was in the draws of a bootstrap (Efron 1979); NaN among them are left
    out."""
    drawn = np.asarray(drawn, dtype=float)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or not math.isfinite(value):
        return NOTHING
    low, high = np.percentile(drawn, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))


def draws(songs: int, seed: int = 0) -> np.ndarray:
    """How often each of ``songs`` songs is drawn in every draw of a bootstrap, with replacement: int
    ``(DRAWS, songs)``, each row summing to ``songs``."""
    return np.random.default_rng(seed).multinomial(songs, np.full(songs, 1 / songs), size=DRAWS)


def interval(values: Sequence[float] | np.ndarray, statistic: Statistic = np.mean, seed: int = 0) -> Interval:
    """``statistic`` of one value a song, and its 95 % bootstrap interval (percentiles of :data:`DRAWS` draws of songs
    with replacement). What is not a number is left out. ``statistic`` takes an ``axis`` as numpy's do."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return NOTHING
    random = np.random.default_rng(seed)
    drawn = [
        statistic(known[random.integers(0, len(known), (rows, len(known)))], axis=1)
        for rows in _portions(DRAWS, len(known))
    ]
    return around(float(statistic(known, axis=0)), np.concatenate(drawn))


def _portions(total: int, width: int, most: int = 4_000_000) -> list[int]:
    """``total`` rows of ``width`` values in portions of at most ``most`` values."""
    rows = max(most // max(width, 1), 1)
    return [min(rows, total - first) for first in range(0, total, rows)]


def ratio(above: Sequence[float] | np.ndarray, below: Sequence[float] | np.ndarray, seed: int = 0) -> Interval:
    """The sum of ``above`` over that of ``below``, a value a song in each, such as nats and notes; songs are drawn
    whole. Nothing where the whole of ``below`` is 0."""
    above, below = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    if not below.sum():
        return NOTHING
    counts = draws(len(below), seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        return around(float(above.sum() / below.sum()), (counts @ above) / (counts @ below))


def pooled(groups: Sequence[Sequence[float]], statistic: Callable[[np.ndarray], float], seed: int = 0) -> Interval:
    """``statistic`` of all values of all ``groups`` (pieces) together; groups are drawn whole."""
    arrays = [np.asarray(group, dtype=float) for group in groups if len(group)]
    if not arrays:
        return NOTHING
    random = np.random.default_rng(seed)
    drawn = [
        float(statistic(np.concatenate([arrays[k] for k in random.integers(0, len(arrays), len(arrays))])))
        for _ in range(DRAWS)
    ]
    return around(float(statistic(np.concatenate(arrays))), drawn)


def share(found: Sequence[bool] | np.ndarray) -> Interval:
    """The share of pieces of which something is true, with its score interval (Wilson 1927). A bootstrap would call
    none of 40 a certain 0; this says up to 8.8 %."""
    found = np.asarray(found, dtype=bool)
    count = len(found)
    if not count:
        return NOTHING
    part, square = float(found.mean()), _DEVIATES**2
    middle = (part + square / (2 * count)) / (1 + square / count)
    half = _DEVIATES * math.sqrt(part * (1 - part) / count + square / (4 * count**2)) / (1 + square / count)
    return Interval(part, max(middle - half, 0.0) if part else 0.0, min(middle + half, 1.0) if part < 1 else 1.0)


def spread(values: Sequence[float] | np.ndarray) -> Spread:
    """The median of ``values`` with its interval, and the quartiles."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return Spread(NOTHING, math.nan, math.nan, 0)
    first, third = np.percentile(known, [25, 75])
    return Spread(interval(known, np.median), float(first), float(third), len(known))


def overlap(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray, bins: np.ndarray) -> float:
    """The area that two histograms over the edges ``bins`` have in common, 0 to 1 (Yang and Lerch 2020 compare
    distributions so); NaN where one has no value inside."""
    counts = [np.histogram(np.asarray(values, dtype=float), bins)[0] for values in (one, other)]
    return float(_in_common(*counts))


def overlap_interval(one: Sequence[np.ndarray], other: Sequence[np.ndarray], bins: np.ndarray) -> Interval:
    """:func:`overlap` of two pools of values, given piece by piece; pieces of both are drawn again."""
    tables = [np.array([np.histogram(values, bins)[0] for values in group], dtype=float) for group in (one, other)]
    if not all(len(table) and table.sum() for table in tables):
        return NOTHING
    drawn = [draws(len(table), seed) @ table for seed, table in enumerate(tables)]
    return around(float(_in_common(*(table.sum(axis=0) for table in tables))), _in_common(*drawn))


def _in_common(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The common area of histograms along the last axis; NaN where one is empty."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [counts / counts.sum(axis=-1, keepdims=True) for counts in (one, other)]
    common: np.ndarray = np.minimum(*shares).sum(axis=-1)
    return common


def mean_curves(curves: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """The mean of ``curves`` ``(pieces, n)`` in every draw, float ``(draws, n)``; NaN values are left out of the
    means, and a mean of nothing is NaN. ``counts`` are :func:`draws`; without them the one mean of all, ``(1, n)``."""
    known = np.isfinite(curves)
    counts = np.ones((1, len(curves)), dtype=int) if counts is None else counts
    with np.errstate(invalid="ignore", divide="ignore"):
        means: np.ndarray = (counts @ np.where(known, curves, 0)) / (counts @ known.astype(float))
    return means
