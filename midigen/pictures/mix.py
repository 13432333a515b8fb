"""A mix as a picture: its waveform, its loudness over time, its spectrum, and how loud its parts are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from midigen.errors import BadRequest
from midigen.pictures.page import (
    FAINT,
    GREY,
    HEAD,
    INK,
    LEFT,
    LONGEST_NAME,
    RIGHT,
    WIDTH,
    Sheet,
    clock,
    colour_of,
    decibels_said,
    finite,
    frequency_axis,
    new_page,
    shortened,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOMENTARY_SECONDS, MOMENTARY_HOP_SECONDS = 0.4, 0.01  # EBU Tech 3341
SHORT_TERM_SECONDS, SHORT_TERM_HOP_SECONDS = 3.0, 0.1
WAVE, LOUDNESS, BELOW = 190, 230, 300  # dots: heights of the charts
GAP, FOOT, ROW, TALLEST_ROW = 74, 58, 26, 52
SPECTRUM_WIDTH, PAN_WIDTH, NAMES, VALUES = 850, 150, 150, 64
LOUDNESS_FLOOR_LUFS = -45.0
SPECTRUM_DEPTH_DB = 70.0
MOST_POINTS = 3_000  # of a curve: twice as many as there are dots
WAVE_LIGHT, WAVE_DARK, CURVE, PALE, TARGET = "#9db7d8", "#3b6fb6", "#23262b", "#aeb4bd", "#c0392b"


@dataclass(frozen=True)
class StemRow:
    """One part of the mix: ``lufs``, its loudness as it goes into the mix (``-inf`` for silence), ``pan`` from -1
    (left) to 1 (right), and whether it is ``heard``. ``kind`` is a row of the instrument table or "other"."""

    name: str
    kind: str
    lufs: float
    pan: float
    heard: bool = True

    def __post_init__(self) -> None:
        if not -1 <= self.pan <= 1:
            raise BadRequest(f"{self.name}: pan {self.pan} is outside -1 (left)..1 (right)")


@dataclass(frozen=True, eq=False)
class MixTrace:
    """What :func:`draw_mix` draws of a mix of ``seconds``.

    The outline: of every column, ``column_seconds`` long, the ``lowest`` and the ``highest`` sample and the ``rms``;
    ``(columns,)`` each, full scale at 1, as :class:`midigen.tracing.Envelope` has them. The loudness curves are those
    of :class:`midigen.loudness.Loudness`: LUFS, every 10 ms over 400 ms and every 100 ms over 3 s, the first from the
    beginning on. ``spectrum_db`` are levels at ``spectrum_hz`` (rising), of a third of an octave each. ``target_lufs``
    and ``ceiling_dbtp`` may be ``None``. ``stems`` are drawn in their order. Raises :class:`BadRequest` for lengths
    that do not fit together.
    """

    seconds: float
    column_seconds: float
    lowest: np.ndarray
    highest: np.ndarray
    rms: np.ndarray
    momentary_lufs: np.ndarray
    short_term_lufs: np.ndarray
    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float
    spectrum_hz: np.ndarray
    spectrum_db: np.ndarray
    stems: Sequence[StemRow] = ()
    target_lufs: float | None = None
    ceiling_dbtp: float | None = None
    title: str = "mix"

    def __post_init__(self) -> None:
        columns = {len(self.lowest), len(self.highest), len(self.rms)}
        if len(columns) > 1:
            raise BadRequest(f"an outline of {' and '.join(map(str, sorted(columns)))} columns: give one of each kind")
        if len(self.spectrum_hz) != len(self.spectrum_db):
            raise BadRequest(
                f"{len(self.spectrum_db)} levels at {len(self.spectrum_hz)} frequencies: give as many of both"
            )
        if not (self.seconds >= 0 and self.column_seconds > 0):
            raise BadRequest(
                f"a mix of {self.seconds} s in columns of {self.column_seconds} s: give 0 or more, above 0"
            )


def draw_mix(trace: MixTrace, target: str | Path | IO[bytes]) -> None:
    """Draw ``trace`` as a PNG into ``target``, a path or a binary file.

    From top to bottom: the waveform (peaks light, effective level dark), momentary and short-term loudness with the
    integrated value and the target, and side by side the average spectrum in thirds of an octave and the parts with
    their loudness and place. The same trace gives the same bytes with the same matplotlib.
    """
    below = max(BELOW, ROW * len(trace.stems))
    height = HEAD + WAVE + GAP + LOUDNESS + GAP + below + FOOT
    facts = [
        clock(trace.seconds),
        f"integrated {decibels_said(trace.integrated_lufs, 'LUFS')}",
        "" if trace.target_lufs is None else f"target {decibels_said(trace.target_lufs, 'LUFS')}",
        f"loudness range {trace.range_lu:.1f} LU",
        f"true peak {decibels_said(trace.true_peak_dbtp, 'dBTP')}",
        "" if trace.ceiling_dbtp is None else f"ceiling {decibels_said(trace.ceiling_dbtp, 'dBTP')}",
    ]
    with new_page(WIDTH, height, target) as figure:
        sheet = Sheet(figure, height, trace.title, facts)
        wide = WIDTH - LEFT - RIGHT
        place = HEAD + 24
        _draw_wave(sheet.chart(LEFT, place, wide, WAVE - 24, "Waveform: peaks and effective level"), trace)
        place += WAVE + GAP - 24
        _draw_loudness(sheet.chart(LEFT, place, wide, LOUDNESS, "Loudness"), trace)
        place += LOUDNESS + GAP
        title = "Average spectrum, thirds of an octave (pink noise is level)"
        _draw_spectrum(sheet.chart(LEFT, place, SPECTRUM_WIDTH, below, title), trace)
        _draw_stems(sheet, trace, place, below)


def _draw_wave(axes: Axes, trace: MixTrace) -> None:
    starts = np.arange(len(trace.lowest)) * trace.column_seconds
    edges = np.minimum(np.append(starts, starts[-1] + trace.column_seconds if len(starts) else 0.0), trace.seconds)
    highest = float(max(np.abs(trace.highest).max(initial=0), np.abs(trace.lowest).max(initial=0)))
    reach = 1.02 if highest <= 1 else 1.02 * highest
    if len(starts):
        axes.stairs(trace.highest, edges, baseline=trace.lowest, fill=True, color=WAVE_LIGHT, linewidth=0)
        axes.stairs(trace.rms, edges, baseline=-trace.rms, fill=True, color=WAVE_DARK, linewidth=0)
    if trace.ceiling_dbtp is not None:
        ceiling = 10 ** (trace.ceiling_dbtp / 20)
        axes.hlines(
            [ceiling, -ceiling], 0, max(trace.seconds, 0.1), colors=TARGET, linewidths=0.9, linestyles=(0, (4, 3))
        )
    levels = (0, -6, -12)
    heights = [10 ** (level / 20) for level in levels]
    axes.set_ylim(-reach, reach)
    axes.set_yticks(
        [*heights, *(-h for h in heights)],
        2 * [f"{level}".replace("-", "−") for level in levels],
    )
    axes.set_ylabel("dBFS", fontsize=8, color=GREY, labelpad=2)
    time_axis(axes, trace.seconds)


def _draw_loudness(axes: Axes, trace: MixTrace) -> None:
    known = [
        value for value in (trace.integrated_lufs, trace.target_lufs) if value is not None and math.isfinite(value)
    ]
    heard = np.concatenate([trace.momentary_lufs, trace.short_term_lufs])
    heard = heard[np.isfinite(heard)]
    top = max([float(heard.max(initial=-30.0)), *known]) + 3
    # Down to the quiet passages, not to the silence at the end.
    quiet = trace.short_term_lufs[np.isfinite(trace.short_term_lufs)]
    deep = float(np.percentile(quiet, 5)) - 8 if len(quiet) else LOUDNESS_FLOOR_LUFS
    floor = min([max(deep, LOUDNESS_FLOOR_LUFS), *(value - 12 for value in known), top - 20])
    curves = (
        (trace.momentary_lufs, MOMENTARY_HOP_SECONDS, MOMENTARY_SECONDS, "momentary (400 ms)", PALE, 0.8),
        (trace.short_term_lufs, SHORT_TERM_HOP_SECONDS, SHORT_TERM_SECONDS, "short-term (3 s)", WAVE_DARK, 2.0),
    )
    for values, hop, length, name, colour, width in curves:
        if not len(values):
            continue
        # Each value in the middle of what it is measured over; of several in one dot the loudest.
        step = -(-len(values) // MOST_POINTS)
        kept = np.maximum.reduceat(finite(values, floor), np.arange(0, len(values), step))
        times = np.minimum(np.arange(len(kept)) * step * hop + length / 2, trace.seconds)
        axes.plot(times, kept, color=colour, linewidth=width, label=name, solid_joinstyle="round")
    end = max(trace.seconds, 0.1)
    for value, name, colour, dashes in (
        (trace.integrated_lufs, "integrated", INK, (1, 0)),
        (trace.target_lufs, "target", TARGET, (4, 3)),
    ):
        if value is not None and math.isfinite(value):
            label = f"{name} {decibels_said(value, 'LUFS')}"
            axes.plot([0, end], [value, value], color=colour, linewidth=1.2, dashes=dashes, label=label)
    axes.set_ylim(floor, top)
    axes.set_ylabel("LUFS", fontsize=8, color=GREY, labelpad=2)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1.0), ncols=4, frameon=False, fontsize=8.5, labelcolor=INK,
        borderaxespad=0.1, handlelength=1.6, columnspacing=1.6,
    )  # fmt: skip
    time_axis(axes, trace.seconds)


def _draw_spectrum(axes: Axes, trace: MixTrace) -> None:
    levels = np.asarray(trace.spectrum_db, dtype=np.float64)
    heard = levels[np.isfinite(levels)]
    top = 5 * math.ceil((float(heard.max(initial=-SPECTRUM_DEPTH_DB)) + 3) / 5)
    floor = top - SPECTRUM_DEPTH_DB
    if len(heard):
        shown = finite(levels, floor)
        axes.fill_between(trace.spectrum_hz, floor, shown, color=WAVE_LIGHT, alpha=0.45, linewidth=0)
        axes.plot(trace.spectrum_hz, shown, color=WAVE_DARK, linewidth=1.6)
    axes.set_ylim(floor, top)
    axes.set_ylabel("dB", fontsize=8, color=GREY, labelpad=2)
    frequency_axis(axes)


def _draw_stems(sheet: Sheet, trace: MixTrace, place: float, height: float) -> None:
    left = LEFT + SPECTRUM_WIDTH + 60
    bars_left = left + NAMES
    pans_left = WIDTH - RIGHT - PAN_WIDTH - 12
    wide = pans_left - bars_left - VALUES
    rows = list(trace.stems)
    space = min(height / max(len(rows), 1), TALLEST_ROW)
    height = space * max(len(rows), 1)
    bars = sheet.chart(bars_left, place, wide, height, "")
    pans = sheet.chart(pans_left, place, PAN_WIDTH, height, "Pan")
    sheet.words(left, place - 14, "Balance: loudness of the parts", fontsize=9.5, fontweight="bold")
    known = [row.lufs for row in rows if math.isfinite(row.lufs)]
    top = 5 * math.ceil((max(known, default=-20.0) + 1) / 5)
    lowest = 5.0 * math.floor((min(known, default=0.0) - 3) / 5)
    low = max(min(top - 30.0, lowest), top - 60.0)
    for number, row in enumerate(rows):
        middle = number + 0.5
        colour = colour_of(row.kind, number) if row.heard else FAINT
        ink = INK if row.heard else GREY
        y = place + (number + 0.5) * space
        sheet.words(left, y, shortened(row.name, LONGEST_NAME), fontsize=9, color=ink)
        value = decibels_said(row.lufs, "", 1).strip() if row.heard else "muted"
        sheet.words(pans_left - 14, y, value, fontsize=9, color=ink, ha="right")
        if math.isfinite(row.lufs):
            bars.barh([middle], [max(row.lufs - low, 0)], left=low, height=0.62, color=colour)
        pans.plot([0, row.pan], [middle, middle], color=colour, linewidth=2, solid_capstyle="butt")
        pans.plot([row.pan], [middle], marker="o", markersize=6, color=colour)
    for axes in (bars, pans):
        axes.set_ylim(max(len(rows), 1), 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    bars.set_xlim(low, top)
    bars.set_xticks(np.arange(10 * math.ceil(low / 10), top + 1, 10))
    bars.set_xlabel("LUFS", fontsize=8, color=GREY, labelpad=2)
    pans.set_xlim(-1.12, 1.12)
    pans.set_xticks([-1, 0, 1], ["left", "centre", "right"])
    pans.axvline(0, color="#b4b9c2", linewidth=0.8)
