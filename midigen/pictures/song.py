"""A score as a picture: a piano roll with one colour a part, in systems like a page of music."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from midigen.instruments import INSTRUMENTS
from midigen.pictures.page import FAINT, GREY, INK, OTHER_COLOURS, PAPER, new_page
from midigen.score import Part, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS_A_SYSTEM = 16
MOST_SYSTEMS = 40  # beyond, the systems get longer, so that the picture stays one that programs can open
# Lengths are whole pixels, so that every semitone is equally tall and its edges are sharp.
WIDTH, LEAST_WIDTH = 1650, 880
LEFT, RIGHT = 60, 22
HEAD, GAP, FOOT = 84, 38, 12
LEGEND_WIDTH, LEGEND_ROW, LONGEST_NAME = 210, 22, 20  # dots, dots, letters
SEMITONE = 5
LEAST_PITCHES = 30
BLACK_KEY = "#f3f4f6"

# The lanes of the drums, from the floor up, by General MIDI percussion key.
DRUM_LANES: tuple[tuple[str, frozenset[int]], ...] = (
    ("kick", frozenset({35, 36})),
    ("snare", frozenset({37, 38, 39, 40})),
    ("toms", frozenset({41, 43, 45, 47, 48, 50})),
    ("hi-hat", frozenset({42, 44, 46})),
    ("ride", frozenset({51, 53, 59})),
    ("crash", frozenset({49, 52, 55, 57})),
    ("other", frozenset()),
)
DRUM_LANE = 13 / SEMITONE  # the height of a lane of the drums, in semitones of the roll above it


def _colours(score: Score) -> list[str]:
    """One colour a part. A second part of a kind is the first one's colour, darker and turned."""
    colours: list[str] = []
    seen: dict[str, int] = {}
    for part in score.parts:
        again = seen[part.kind] = seen.get(part.kind, -1) + 1
        if part.kind not in INSTRUMENTS:
            colours.append(OTHER_COLOURS[again % len(OTHER_COLOURS)])
            continue
        code = INSTRUMENTS[part.kind].colour.lstrip("#")
        red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
        hue, light, strength = colorsys.rgb_to_hls(red, green, blue)
        shifted = colorsys.hls_to_rgb((hue - 0.06 * again) % 1, max(light - 0.12 * again, 0.2), strength)
        colours.append("#" + "".join(f"{round(255 * value):02x}" for value in shifted))
    return colours


def _lane_of(pitch: int) -> int:
    for lane, (_, pitches) in enumerate(DRUM_LANES):
        if pitch in pitches:
            return lane
    return len(DRUM_LANES) - 1


def _rectangles(axes: Axes, boxes: list[tuple[float, float, float, float]], colours: Any) -> None:
    from matplotlib.collections import PolyCollection

    corners = [((x, y), (x, y + h), (x + w, y + h), (x + w, y)) for x, y, w, h in boxes]
    axes.add_collection(PolyCollection(corners, facecolors=colours, edgecolors="none", snap=False))


class _Page:
    """What is the same for every system: pitches shown, bars, colours."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.colours = _colours(score)
        grid = score.bar_starts(score.bars + 1) if score.bars else score.bar_starts()
        if len(grid) < 2:
            grid = score.bar_starts(2)
        self.grid = grid  # (bars + 1,): where bars start, and the end of the last
        self.bars = len(grid) - 1
        self.bars_a_system = max(BARS_A_SYSTEM, -(-self.bars // MOST_SYSTEMS))
        self.systems = -(-self.bars // self.bars_a_system)
        pitched = [part.note_table[:, 2] for part in score.parts if not part.is_drum and part.notes]
        pitches = np.concatenate(pitched) if pitched else np.array([60])
        low, high = int(pitches.min()) - 2, int(pitches.max()) + 3
        spare = max(LEAST_PITCHES - (high - low), 0)
        self.low, self.high = low - spare // 2, high + spare - spare // 2
        used = {_lane_of(int(p)) for part in score.parts if part.is_drum for p in np.unique(part.note_table[:, 2])}
        self.lanes = sorted(used)
        self.floor = self.low - DRUM_LANE * len(self.lanes) - (2 if self.lanes else 0)

    @property
    def pitches(self) -> float:
        return self.high - self.floor

    def window(self, system: int) -> tuple[int, int, int, int]:
        """First bar, the bar beyond the last, and their ticks; the last system is as long as the others."""
        first = system * self.bars_a_system
        beyond = min(first + self.bars_a_system, self.bars)
        start, stop = int(self.grid[first]), int(self.grid[beyond])
        missing = self.bars_a_system - (beyond - first)
        if missing and self.systems > 1:
            bar = (stop - start) / (beyond - first)
            return first, beyond, start, round(stop + missing * bar)
        return first, beyond, start, stop


def _draw_ground(axes: Axes, page: _Page, first: int, beyond: int, start: int) -> None:
    stop = float(page.grid[beyond])
    black = [p for p in range(page.low, page.high) if p % 12 in (1, 3, 6, 8, 10)]
    _rectangles(axes, [(start, p, stop - start, 1) for p in black], BLACK_KEY)
    axes.hlines([p for p in range(page.low, page.high) if p % 12 == 0], start, stop, colors=FAINT, linewidths=0.8)
    if page.lanes:
        levels = [page.floor + DRUM_LANE * i for i in range(len(page.lanes) + 1)]
        axes.hlines(levels, start, stop, colors=FAINT, linewidths=0.5)
    beats: list[float] = []
    for bar in range(first, beyond):
        metre = page.score.metre_at(int(page.grid[bar]))
        length = 4 * page.score.ticks_per_quarter / metre.denominator
        beats += list(np.arange(page.grid[bar] + length, page.grid[bar + 1] - 1, length))
    axes.vlines(beats, page.floor, page.high, colors=FAINT, linewidths=0.4)
    bars = page.grid[first : beyond + 1]
    strong = [t for i, t in enumerate(bars) if (first + i) % 4 == 0]
    axes.vlines(bars, page.floor, page.high, colors="#b4b9c2", linewidths=0.8)
    axes.vlines(strong, page.floor, page.high, colors="#7b828d", linewidths=1.0)
    for i, tick in enumerate(bars[:-1]):
        number = first + i + 1
        axes.text(
            tick, page.floor - 0.6, str(number), fontsize=7, va="top", ha="left",
            color=INK if number % 4 == 1 else "#8b919b",
        )  # fmt: skip


def _draw_part(axes: Axes, page: _Page, part: Part, colour: str, start: int, stop: int) -> None:
    table = part.note_table
    least = page.score.ticks_per_quarter / 16  # a note of no length is still seen
    lengths = np.maximum(table[:, 1], least)
    shown = (table[:, 0] < stop) & (table[:, 0] + lengths > start)
    if not shown.any():
        return
    onsets, lengths, pitches, velocities = table[shown, 0], lengths[shown], table[shown, 2], table[shown, 3]
    left, right = np.maximum(onsets, start), np.minimum(onsets + lengths, stop)
    gap = page.score.ticks_per_quarter / 24  # repeated notes stay apart
    right = np.where(right - left > 3 * gap, right - gap, right)
    rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    # Loudness as opacity: soft notes are pale, yet none vanishes.
    rgba = np.column_stack([np.tile(rgb, (len(onsets), 1)), 0.35 + 0.65 * velocities / 127])
    if part.is_drum:
        tick = page.score.ticks_per_quarter / 5  # a stroke has no length worth drawing
        rows = [page.lanes.index(_lane_of(int(p))) for p in pitches]
        bottoms = page.floor + DRUM_LANE * np.array(rows) + 2 / SEMITONE
        boxes = [(x, y, min(tick, stop - x), DRUM_LANE - 4 / SEMITONE) for x, y in zip(left, bottoms, strict=True)]
    else:
        boxes = [(x, p + 0.1, r - x, 0.8) for x, r, p in zip(left, right, pitches, strict=True)]
    _rectangles(axes, boxes, rgba)


def _draw_words(axes: Axes, page: _Page, start: int, stop: int) -> None:
    """Chords and section markers above the roll, each where it begins; words that would touch are left out."""
    room = (stop - start) * 0.028
    beyond = -np.inf
    for chord in page.score.chords:
        if start <= chord.tick < stop and chord.tick >= beyond:
            axes.text(chord.tick, page.high + 0.5, chord.text, fontsize=8, va="bottom", ha="left", color=INK)
            beyond = chord.tick + max(room, room * 0.22 * (len(chord.text) + 1))
    for marker in page.score.markers:
        if start <= marker.tick < stop:
            axes.text(
                marker.tick, page.high + 4.6, marker.text, fontsize=8, va="bottom", ha="left", color=PAPER,
                fontweight="bold", bbox={"boxstyle": "round,pad=0.25", "facecolor": INK, "edgecolor": "none"},
            )  # fmt: skip


def _draw_axis(axes: Axes, page: _Page) -> None:
    octaves = [p for p in range(page.low, page.high) if p % 12 == 0]
    places = [p + 0.5 for p in octaves]
    names = [f"C{p // 12 - 1}" for p in octaves]
    for row, lane in enumerate(page.lanes):
        places.append(page.floor + DRUM_LANE * (row + 0.5))
        names.append(DRUM_LANES[lane][0])
    axes.set_yticks(places, names, fontsize=6.5, color=GREY)
    axes.set_xticks([])
    axes.tick_params(length=0, pad=4)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_song(score: Score, target: str | Path | IO[bytes]) -> None:
    """Draw ``score`` as a PNG into ``target``, a path or a binary file.

    Systems of 16 bars from top to bottom, pitch upwards, one colour a part, the louder the note the stronger its
    colour; drums in lanes of their own below; bar numbers under, chords and section markers over each system. The same
    score gives the same bytes with the same matplotlib.
    """
    from matplotlib.lines import Line2D

    page = _Page(score)
    words = SEMITONE * (9 if score.markers else 4 if score.chords else 0)
    roll = round(SEMITONE * page.pitches)
    width = WIDTH if page.systems > 1 else max(WIDTH * page.bars // page.bars_a_system, LEAST_WIDTH)
    # A band's legend stands beside the title; an orchestra's gets rows of its own below the music.
    many = len(score.parts) > 4
    columns = max((width - LEFT - RIGHT) // LEGEND_WIDTH, 1)
    below = -(-len(score.parts) // columns) * LEGEND_ROW if many else 0
    height = HEAD + page.systems * (words + roll + GAP) + FOOT + below
    with new_page(width, height, target) as figure:
        left, right = LEFT / width, 1 - RIGHT / width
        for system in range(page.systems):
            first, beyond, start, stop = page.window(system)
            floor = height - HEAD - system * (words + roll + GAP) - words - roll
            axes = figure.add_axes((left, floor / height, right - left, roll / height))
            axes.set_xlim(start, stop)
            axes.set_ylim(page.floor, page.high)
            axes.set_facecolor("none")
            _draw_ground(axes, page, first, beyond, start)
            for part, colour in zip(score.parts, page.colours, strict=True):
                _draw_part(axes, page, part, colour, start, int(page.grid[beyond]))
            _draw_words(axes, page, start, int(page.grid[beyond]))
            _draw_axis(axes, page)
        metre = score.metres[0]
        facts = [
            str(score.keys[0]) if score.keys else "",
            f"{score.tempos[0].qpm:.0f} bpm",
            str(metre),
            f"{page.bars} bars",
        ]
        figure.text(
            left, 1 - 34 / height, score.title or "midigen", fontsize=13, fontweight="bold", color=INK, va="center"
        )
        figure.text(left, 1 - 60 / height, "  ·  ".join(f for f in facts if f), fontsize=9, color=GREY, va="center")
        handles = [
            Line2D([], [], color=colour, linewidth=6, label=f"{part.name[:LONGEST_NAME]} ({len(part.notes)})")
            for part, colour in zip(score.parts, page.colours, strict=True)
        ]
        if handles:
            figure.legend(
                handles=handles, loc="lower left" if many else "upper right",
                bbox_to_anchor=(left, 8 / height) if many else (right, 1 - 14 / height),
                ncols=columns if many else len(handles),
                frameon=False, fontsize=9, labelcolor=INK, handlelength=1.2, borderaxespad=0,
            )  # fmt: skip
