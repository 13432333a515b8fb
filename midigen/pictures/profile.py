"""An instrument's sound as a picture: of a stem, or of the test notes that a SoundFont played."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from midigen.errors import BadRequest
from midigen.pictures.page import (
    GREY,
    HEAD,
    INK,
    LEFT,
    PAPER,
    RIGHT,
    WIDTH,
    Sheet,
    colour_of,
    finite,
    frequency_axis,
    mixed,
    new_page,
    shortened,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_HEIGHT, LEVEL_HEIGHT, GAP, FOOT = 250, 156, 84, 54  # dots
THREE = (WIDTH - LEFT - RIGHT - 2 * 78) / 3  # the width of one of three charts side by side
TWO_THIRDS = 2 * THREE + 78
FACTS_WIDTH, FACT_ROW, LONGEST_FACT = 168, 22, 44
LEVEL_DEPTH_DB, SPECTRUM_DEPTH_DB = 60.0, 80.0
MOST_POINTS = 3_000
NOTE_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
LEAST_ATTACK_MS, LONGEST_DECAY_SECONDS = 0.5, 30.0

Facts = Sequence[tuple[str, str]]  # of the numbers beside the charts, each its name and what it is


@dataclass(frozen=True, eq=False)
class StemSheet:
    """What :func:`draw_profile` draws of a stem.

    ``level_db`` every ``level_seconds`` from the beginning; ``onsets``, all notes' beginnings in seconds. Of the notes
    that were measured: ``note_level_db``, ``note_centroid_hz``, and with NaN where it is not known ``note_pitch``
    (MIDI), ``note_attack_seconds``, ``note_decay_seconds``; ``(notes,)`` each. ``pitch_remark``, where it is not empty,
    stands in place of the pitches. ``spectrum_db`` are levels at ``spectrum_hz``; ``usual_db``, the same of what is
    usual for the instrument, and ``equaliser_db``, a suggested correction there, may be ``None``.
    """

    title: str
    kind: str
    seconds: float
    level_seconds: float
    level_db: np.ndarray
    onsets: np.ndarray
    note_level_db: np.ndarray
    note_centroid_hz: np.ndarray
    note_pitch: np.ndarray
    note_attack_seconds: np.ndarray
    note_decay_seconds: np.ndarray
    spectrum_hz: np.ndarray
    spectrum_db: np.ndarray
    usual_db: np.ndarray | None = None
    equaliser_db: np.ndarray | None = None
    pitch_remark: str = ""
    headline: Sequence[str] = ()
    facts: Facts = ()

    def __post_init__(self) -> None:
        notes = (self.note_level_db, self.note_centroid_hz, self.note_pitch, self.note_attack_seconds,
                 self.note_decay_seconds)  # fmt: skip
        _check_lengths("notes", notes)
        curves = (self.spectrum_hz, self.spectrum_db, self.usual_db, self.equaliser_db)
        _check_lengths("frequencies", [curve for curve in curves if curve is not None])


@dataclass(frozen=True, eq=False)
class FontSheet:
    """What :func:`draw_font_profile` draws of test notes.

    ``loudness_lufs``, ``centroid_hz``, ``attack_seconds`` and ``decay_seconds`` are ``(pitches, velocities)``, NaN
    where it is not known; ``pitch_names`` say what the pitches are. ``outlines`` are, of one pitch, each velocity with
    times in seconds and levels in dB; ``held_seconds`` is when notes are let go, ``None`` for drums.
    """

    title: str
    kind: str
    pitches: Sequence[int]
    pitch_names: Sequence[str]
    velocities: Sequence[int]
    loudness_lufs: np.ndarray
    centroid_hz: np.ndarray
    attack_seconds: np.ndarray
    decay_seconds: np.ndarray
    outlines: Sequence[tuple[int, np.ndarray, np.ndarray]]
    outline_name: str
    held_seconds: float | None
    headline: Sequence[str] = ()
    facts: Facts = ()

    def __post_init__(self) -> None:
        shape = (len(self.pitches), len(self.velocities))
        for name in ("loudness_lufs", "centroid_hz", "attack_seconds", "decay_seconds"):
            if np.shape(getattr(self, name)) != shape:
                raise BadRequest(f"{name} of shape {np.shape(getattr(self, name))}: give (pitches, velocities) {shape}")
        if len(self.pitch_names) != len(self.pitches):
            raise BadRequest(f"{len(self.pitch_names)} names of {len(self.pitches)} pitches: give one for each")


def draw_profile(sheet: StemSheet, target: str | Path | IO[bytes]) -> None:
    """Draw the sound of a stem as a PNG into ``target``, a path or a binary file.

    The level over time with the beginnings of the notes; the average spectrum beside what is usual; the numbers; then
    brightness over level, the pitches, and attack over decay. The same sheet gives the same bytes with the same
    matplotlib.
    """
    colour = colour_of(sheet.kind)
    middle = max(ROW_HEIGHT, FACT_ROW * len(sheet.facts))
    height = HEAD + 24 + LEVEL_HEIGHT + middle + ROW_HEIGHT + 2 * GAP + FOOT
    with new_page(WIDTH, height, target) as figure:
        page = Sheet(figure, height, sheet.title, sheet.headline)
        place = HEAD + 24
        wide = WIDTH - LEFT - RIGHT
        title = "Level, and where notes begin"
        _draw_level(page.chart(LEFT, place, wide, LEVEL_HEIGHT, title), sheet, colour)
        place += LEVEL_HEIGHT + GAP
        title = "Average spectrum, thirds of an octave"
        _draw_spectrum(page.chart(LEFT, place, TWO_THIRDS, middle, title), sheet, colour)
        _write_facts(page, LEFT + TWO_THIRDS + 78, place, sheet.facts)
        place += middle + GAP
        lefts = [LEFT + number * (THREE + 78) for number in range(3)]
        _draw_brightness(page.chart(lefts[0], place, THREE, ROW_HEIGHT, "Brightness over level"), sheet, colour)
        _draw_pitches(page.chart(lefts[1], place, THREE, ROW_HEIGHT, "Pitches"), sheet, colour)
        _draw_shapes(page.chart(lefts[2], place, THREE, ROW_HEIGHT, "Attack and decay of the notes"), sheet, colour)


def draw_font_profile(sheet: FontSheet, target: str | Path | IO[bytes]) -> None:
    """Draw the sound of a SoundFont's instrument as a PNG into ``target``, a path or a binary file.

    Loudness and brightness over velocity, a line a pitch; the level of one pitch over time, a line a velocity; attack
    and decay over the pitches; the numbers. The same sheet gives the same bytes with the same matplotlib.
    """
    below = max(ROW_HEIGHT, FACT_ROW * len(sheet.facts))
    height = HEAD + 24 + ROW_HEIGHT + GAP + below + FOOT
    with new_page(WIDTH, height, target) as figure:
        page = Sheet(figure, height, sheet.title, sheet.headline)
        lefts = [LEFT + number * (THREE + 78) for number in range(3)]
        place = HEAD + 24
        pitches = _shades(colour_of(sheet.kind), len(sheet.pitches))
        strengths = _shades(colour_of(sheet.kind), len(sheet.velocities))
        axes = page.chart(lefts[0], place, THREE, ROW_HEIGHT, "Loudness over velocity")
        _draw_velocities(axes, sheet, sheet.loudness_lufs, pitches, "LUFS")
        axes = page.chart(lefts[1], place, THREE, ROW_HEIGHT, "Brightness over velocity: spectral centroid")
        _draw_velocities(axes, sheet, sheet.centroid_hz, pitches, "Hz")
        _hertz(axes, sheet.centroid_hz)
        title = f"Level over time of {sheet.outline_name}, a line a velocity"
        _draw_outlines(page.chart(lefts[2], place, THREE, ROW_HEIGHT, title), sheet, strengths)
        place += ROW_HEIGHT + GAP
        axes = page.chart(lefts[0], place, THREE, ROW_HEIGHT, "Attack over pitch, a dot a velocity")
        _draw_over_pitches(axes, sheet, 1000 * sheet.attack_seconds, strengths, "milliseconds")
        title = f"Decay by 60 dB over pitch{', while held' if sheet.held_seconds is not None else ''}"
        axes = page.chart(lefts[1], place, THREE, ROW_HEIGHT, title)
        _draw_over_pitches(axes, sheet, sheet.decay_seconds, strengths, "seconds")
        _write_facts(page, lefts[2], place, sheet.facts)


def _draw_level(axes: Axes, sheet: StemSheet, colour: str) -> None:
    levels = np.asarray(sheet.level_db, dtype=np.float64)
    heard = levels[np.isfinite(levels)]
    top = 5 * math.ceil((float(heard.max(initial=-LEVEL_DEPTH_DB)) + 2) / 5)
    floor = top - LEVEL_DEPTH_DB
    if len(levels):
        step = -(-len(levels) // MOST_POINTS)
        kept = np.maximum.reduceat(finite(levels, floor), np.arange(0, len(levels), step))
        times = np.minimum(np.arange(len(kept)) * step * sheet.level_seconds, sheet.seconds)
        axes.fill_between(times, floor, kept, color=colour, alpha=0.75, linewidth=0)
    axes.vlines(sheet.onsets, top - 3, top, colors=INK, linewidths=0.6)
    axes.set_ylim(floor, top)
    axes.set_ylabel("dBFS", fontsize=8, color=GREY, labelpad=5)
    time_axis(axes, sheet.seconds)


def _draw_spectrum(axes: Axes, sheet: StemSheet, colour: str) -> None:
    levels = np.asarray(sheet.spectrum_db, dtype=np.float64)
    heard = levels[np.isfinite(levels)]
    top = 5 * math.ceil((float(heard.max(initial=-SPECTRUM_DEPTH_DB)) + 6) / 5)
    floor = top - SPECTRUM_DEPTH_DB
    if len(heard):
        shown = finite(levels, floor)
        axes.fill_between(sheet.spectrum_hz, floor, shown, color=colour, alpha=0.25, linewidth=0)
        axes.plot(sheet.spectrum_hz, shown, color=colour, linewidth=1.8, label="this part")
        if sheet.usual_db is not None:
            usual = finite(sheet.usual_db, floor)
            axes.plot(sheet.spectrum_hz, usual, color=GREY, linewidth=1.3, linestyle=(0, (4, 3)),
                      label=f"usual for {sheet.kind}")  # fmt: skip
        if sheet.equaliser_db is not None and np.abs(sheet.equaliser_db).max() > 0.05:
            shaped = finite(levels + sheet.equaliser_db, floor)
            axes.plot(sheet.spectrum_hz, shaped, color=INK, linewidth=1.1, label="with the suggested equaliser")
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1.0), ncols=3, frameon=False, fontsize=8.5, labelcolor=INK,
            borderaxespad=0.1, handlelength=1.8, columnspacing=1.6,
        )  # fmt: skip
    axes.set_ylim(floor, top)
    axes.set_ylabel("dB", fontsize=8, color=GREY, labelpad=5)
    frequency_axis(axes)


def _draw_brightness(axes: Axes, sheet: StemSheet, colour: str) -> None:
    axes.set_ylabel("spectral centroid, Hz", fontsize=8, color=GREY, labelpad=5)
    axes.set_xlabel("level of the note, dBFS", fontsize=8, color=GREY, labelpad=5)
    if not len(sheet.note_level_db):
        _say(axes, "no notes")
        return
    axes.scatter(sheet.note_level_db, sheet.note_centroid_hz, s=14, color=colour, alpha=0.7, linewidths=0)
    low, high = float(np.min(sheet.note_level_db)), float(np.max(sheet.note_level_db))
    axes.set_xlim(low - max(3.0, 0.05 * (high - low)), high + max(3.0, 0.05 * (high - low)))
    _hertz(axes, np.asarray(sheet.note_centroid_hz))


def _draw_pitches(axes: Axes, sheet: StemSheet, colour: str) -> None:
    known = np.asarray(sheet.note_pitch, dtype=np.float64)
    known = np.rint(known[np.isfinite(known)]).astype(int)
    if sheet.pitch_remark or not len(known):
        _say(axes, sheet.pitch_remark or "no clear pitch")
        return
    low, high = int(known.min()) - 2, int(known.max()) + 2
    counts = np.bincount(known - low, minlength=high - low + 1)
    axes.bar(np.arange(low, high + 1), counts, width=0.86, color=colour)
    octaves = high - low > 14
    ticks = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0 or not octaves]
    axes.set_xticks(ticks, [pitch_name(pitch) for pitch in ticks])
    axes.set_xlim(low - 0.5, high + 0.5)
    axes.set_yticks(np.unique(np.rint(np.linspace(0, counts.max(), 5)).astype(int)))
    axes.set_ylabel("notes", fontsize=8, color=GREY, labelpad=5)


def _draw_shapes(axes: Axes, sheet: StemSheet, colour: str) -> None:
    attacks = 1000 * np.asarray(sheet.note_attack_seconds, dtype=np.float64)
    decays = np.asarray(sheet.note_decay_seconds, dtype=np.float64)
    both = np.isfinite(attacks) & np.isfinite(decays)
    axes.set_xlabel("attack, milliseconds", fontsize=8, color=GREY, labelpad=5)
    axes.set_ylabel("decay by 60 dB, seconds", fontsize=8, color=GREY, labelpad=5)
    if not both.any():
        _say(axes, "notes run into each other: neither can be told" if len(both) else "no notes")
        return
    x, y = np.maximum(attacks[both], LEAST_ATTACK_MS), np.minimum(decays[both], LONGEST_DECAY_SECONDS)
    axes.scatter(x, y, s=14, color=colour, alpha=0.7, linewidths=0)
    _logarithmic(axes, "x", x)
    _logarithmic(axes, "y", y)


def _draw_velocities(axes: Axes, sheet: FontSheet, values: np.ndarray, colours: Sequence[str], unit: str) -> None:
    for name, row, colour in zip(sheet.pitch_names, values, colours, strict=True):
        axes.plot(sheet.velocities, row, color=colour, linewidth=1.6, marker="o", markersize=3.5, label=name)
    axes.set_xlabel("velocity", fontsize=8, color=GREY, labelpad=5)
    axes.set_ylabel(unit, fontsize=8, color=GREY, labelpad=5)
    axes.set_xlim(0, 128)
    axes.set_xticks(list(sheet.velocities))
    if unit == "LUFS":
        axes.legend(
            loc="lower right", ncols=2, frameon=False, fontsize=8, labelcolor=INK, handlelength=1.2, columnspacing=1.0
        )


def _draw_outlines(axes: Axes, sheet: FontSheet, colours: Sequence[str]) -> None:
    colour = dict(zip(sheet.velocities, colours, strict=True))
    heard = np.concatenate([np.zeros(0), *(levels for _, _, levels in sheet.outlines)])
    heard = heard[np.isfinite(heard)]
    top = 5 * math.ceil((float(heard.max(initial=-LEVEL_DEPTH_DB)) + 2) / 5)
    floor = top - LEVEL_DEPTH_DB
    for velocity, seconds, levels in sheet.outlines:
        axes.plot(seconds, finite(levels, floor), color=colour[velocity], linewidth=1.4, label=str(velocity))
    if sheet.held_seconds is not None:
        axes.axvline(sheet.held_seconds, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.text(sheet.held_seconds, floor + 1.5, "let go ", fontsize=8, color=GREY, va="bottom", ha="right")
    if sheet.outlines:
        axes.legend(loc="upper right", frameon=False, fontsize=8, labelcolor=INK, handlelength=1.2, borderaxespad=0.1)
    axes.set_ylim(floor, top)
    axes.set_xlim(0, max((float(seconds[-1]) for _, seconds, _ in sheet.outlines), default=1.0))
    axes.set_xlabel("seconds", fontsize=8, color=GREY, labelpad=5)
    axes.set_ylabel("dBFS", fontsize=8, color=GREY, labelpad=5)


def _draw_over_pitches(axes: Axes, sheet: FontSheet, values: np.ndarray, colours: Sequence[str], unit: str) -> None:
    places = np.arange(len(sheet.pitches))
    for column, (velocity, colour) in enumerate(zip(sheet.velocities, colours, strict=True)):
        shift = 0.5 * (column / max(len(colours) - 1, 1) - 0.5)
        axes.scatter(places + shift, values[:, column], s=20, color=colour, linewidths=0, label=str(velocity))
    axes.set_xticks(places, list(sheet.pitch_names))
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_ylabel(unit, fontsize=8, color=GREY, labelpad=5)
    known = values[np.isfinite(values)]
    if not len(known):
        _say(axes, "cannot be told")
        return
    _logarithmic(axes, "y", known)


def _write_facts(page: Sheet, x: float, y: float, facts: Facts) -> None:
    for number, (name, value) in enumerate(facts):
        middle = y + (number + 0.5) * FACT_ROW
        page.words(x, middle, name, fontsize=9, color=GREY)
        page.words(x + FACTS_WIDTH, middle, shortened(re.sub(r"-(?=\d)", "−", value), LONGEST_FACT), fontsize=9)


def _say(axes: Axes, text: str) -> None:
    """Words in place of a chart."""
    axes.set_xticks([])
    axes.set_yticks([])
    words, lines = text.split(), [""]
    for word in words:
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < 44 else [*lines, word]
    axes.text(0.5, 0.5, "\n".join(lines), transform=axes.transAxes, ha="center", va="center", fontsize=9, color=GREY,
              parse_math=False)  # fmt: skip


def _hertz(axes: Axes, values: np.ndarray) -> None:
    known = values[np.isfinite(values) & (values > 0)]
    if len(known):
        _logarithmic(axes, "y", known)


def _logarithmic(axes: Axes, which: str, values: np.ndarray) -> None:
    """A logarithmic axis around ``values``, above 0, with plain numbers at 1, 2, 5 of every power of ten, or more."""
    low, high = float(values.min()) / 1.25, float(values.max()) * 1.25
    if high / low < 3:
        middle = math.sqrt(low * high)
        low, high = middle / math.sqrt(3), middle * math.sqrt(3)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [digit * 10.0**power for power in decades for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) > 3:
            break
    axis = axes.xaxis if which == "x" else axes.yaxis
    if which == "x":
        axes.set_xscale("log")
        axes.set_xlim(low, high)
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def _shades(colour: str, number: int) -> list[str]:
    """So many shades of ``colour``, from pale to dark."""
    shades = []
    for place in np.linspace(0, 1, max(number, 1)).tolist():
        shades.append(
            mixed(colour, PAPER, 0.6 - 1.2 * place) if place < 0.5 else mixed(colour, INK, 1.1 * (place - 0.5))
        )
    return shades[:number]


def pitch_name(pitch: int) -> str:
    """``C4`` for 60."""
    return f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}"


def _check_lengths(what: str, rows: Sequence[np.ndarray]) -> None:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise BadRequest(f"values of {' and '.join(map(str, lengths))} {what}: give as many of each kind")
