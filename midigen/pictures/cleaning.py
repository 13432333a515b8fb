"""A recording before and after it was cleaned, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from midigen.pictures.page import (
    GREY,
    HEAD,
    INK,
    LEFT,
    RIGHT,
    WIDTH,
    Sheet,
    finite,
    frequency_axis,
    new_page,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL, SPECTROGRAM, SPECTRUM = 190, 210, 230  # dots
GAP, FOOT = 62, 56
FLOOR_DB, DEPTH_DB = -110.0, 90.0
BEFORE, AFTER, NOISE = "#c2703d", "#3b6fb6", "#8a8f98"
MOST_POINTS = 1_600


@dataclass(frozen=True, eq=False)
class Side:
    """A recording of ``seconds``: its level in dB over cells of ``level_seconds``, and its spectrum over time in dB,
    ``(columns, bands)``, of bands around ``band_hz``."""

    seconds: float
    level_seconds: float
    level_db: np.ndarray
    columns_db: np.ndarray
    band_hz: np.ndarray


@dataclass(frozen=True, eq=False)
class CleaningSheet:
    """What :func:`draw_cleaning` draws. ``noise_hz`` and ``noise_db`` are the noise that was found, in the bands of
    ``before``; ``noise_spans`` where it was listened to; ``start_seconds`` what was cut from the beginning."""

    title: str
    facts: Sequence[str]
    before: Side
    after: Side
    noise_db: np.ndarray
    noise_spans: Sequence[tuple[float, float]]
    start_seconds: float


def draw_cleaning(sheet: CleaningSheet, target: str | Path | IO[bytes]) -> None:
    """Draw ``sheet`` as a PNG into ``target``, a path or a binary file.

    From top to bottom: the level over time, before and after; the two spectrograms, in the same colours; the average
    spectra with the noise that was found.
    """
    height = HEAD + LEVEL + 2 * SPECTROGRAM + SPECTRUM + 3 * GAP + FOOT + 24
    with new_page(WIDTH, height, target) as figure:
        page = Sheet(figure, height, sheet.title, sheet.facts)
        wide = WIDTH - LEFT - RIGHT
        place = HEAD + 24
        _draw_levels(page.chart(LEFT, place, wide, LEVEL, "Level over time"), sheet)
        place += LEVEL + GAP
        top = max(float(np.quantile(finite(side.columns_db, -140), 0.999)) for side in (sheet.before, sheet.after))
        for side, name in ((sheet.before, "Before"), (sheet.after, "After")):
            _draw_spectrogram(page.chart(LEFT, place, wide, SPECTROGRAM, name), side, top)
            place += SPECTROGRAM + GAP
        _draw_spectra(page.chart(LEFT, place, wide, SPECTRUM, "Average spectrum, and the noise found"), sheet)


def _draw_levels(axes: Axes, sheet: CleaningSheet) -> None:
    for first, last in sheet.noise_spans:
        axes.axvspan(first, last, color=NOISE, alpha=0.25, linewidth=0)
    for side, shift, colour, name in (
        (sheet.before, 0.0, BEFORE, "before"),
        (sheet.after, sheet.start_seconds, AFTER, "after"),
    ):
        step = -(-len(side.level_db) // MOST_POINTS)
        kept = np.maximum.reduceat(finite(side.level_db, FLOOR_DB), np.arange(0, len(side.level_db), step))
        times = shift + (np.arange(len(kept)) + 0.5) * step * side.level_seconds
        axes.plot(times, kept, color=colour, linewidth=1.1, label=name)
    if sheet.noise_spans:
        axes.plot([], [], color=NOISE, alpha=0.4, linewidth=6, label="noise listened to")
    axes.set_ylim(FLOOR_DB, 3)
    axes.set_ylabel("dBFS", fontsize=8, color=GREY, labelpad=2)
    time_axis(axes, sheet.before.seconds)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1.0), ncols=3, frameon=False, fontsize=8.5, labelcolor=INK,
        borderaxespad=0.1, handlelength=1.6, columnspacing=1.6,
    )  # fmt: skip


def _draw_spectrogram(axes: Axes, side: Side, top: float) -> None:
    edges = np.sqrt(side.band_hz[1:] * side.band_hz[:-1])
    edges = np.concatenate([[side.band_hz[0] ** 2 / edges[0]], edges, [side.band_hz[-1] ** 2 / edges[-1]]])
    times = np.linspace(0, side.seconds, len(side.columns_db) + 1)
    axes.grid(False)
    axes.pcolormesh(
        times, edges, side.columns_db.T, vmin=top - DEPTH_DB, vmax=top, cmap="magma", shading="flat", rasterized=True
    )
    axes.set_yscale("log")
    axes.set_ylim(edges[0], edges[-1])
    ticks = [hz for hz in (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000) if edges[0] <= hz <= edges[-1]]
    axes.set_yticks(ticks, [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks])
    axes.minorticks_off()
    axes.set_ylabel("Hz", fontsize=8, color=GREY, labelpad=2)
    time_axis(axes, side.seconds)


def _draw_spectra(axes: Axes, sheet: CleaningSheet) -> None:
    curves = [
        (sheet.before.band_hz, _average(sheet.before.columns_db), BEFORE, "before"),
        (sheet.after.band_hz, _average(sheet.after.columns_db), AFTER, "after"),
        (sheet.before.band_hz, sheet.noise_db, NOISE, "noise"),
    ]
    top = max(float(finite(values, -140).max()) for _, values, _, _ in curves) + 6
    for hz, values, colour, name in curves:
        axes.plot(hz, finite(values, top - 100), color=colour, linewidth=1.6, label=name)
    axes.set_ylim(top - 100, top)
    axes.set_ylabel("dB", fontsize=8, color=GREY, labelpad=2)
    frequency_axis(axes, float(sheet.before.band_hz[0]), float(sheet.before.band_hz[-1]))
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1.0), ncols=3, frameon=False, fontsize=8.5, labelcolor=INK,
        borderaxespad=0.1, handlelength=1.6, columnspacing=1.6,
    )  # fmt: skip


def _average(columns_db: np.ndarray) -> np.ndarray:
    mean: np.ndarray = 10 * np.log10((10 ** (columns_db / 10)).mean(axis=0))
    return mean
