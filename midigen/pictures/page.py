"""What all pictures have in common: the colours, the letters, the look of a chart, and how a page becomes a file."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from midigen.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MADE_BY = "midigen"  # in every picture's metadata: which may be drawn anew, unlike others'
DOTS_AN_INCH = 110
INK, GREY, FAINT, PAPER = "#23262b", "#5d636d", "#d7dae0", "#ffffff"
OTHER_COLOURS = ("#5a6b7b", "#b0486f", "#2a8c8c", "#7d6b2f")  # what is in no row of the instrument table
WIDTH, LEFT, RIGHT = 1650, 74, 26  # dots
TITLE_Y, FACTS_Y, HEAD = 34, 62, 96  # dots from the top
LONGEST_TITLE, LONGEST_NAME = 90, 18  # letters
OCTAVE_TICKS_HZ = (31.5, 63, 125, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000)
OCTAVE_NAMES = ("31", "63", "125", "250", "500", "1k", "2k", "4k", "8k", "16k")


@contextmanager
def new_page(width: int, height: int, target: str | Path | IO[bytes]) -> Iterator[Figure]:
    """An empty figure of ``width`` by ``height`` dots, written as a PNG to ``target`` when the block ends well.

    The same drawing gives the same bytes with the same matplotlib, whatever style the reader has set.
    """
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # "building the font cache", on a first run
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name in letters that it has not: boxes
        matplotlib.rcdefaults()  # not the reader's own style
        figure = Figure(figsize=(width / DOTS_AN_INCH, height / DOTS_AN_INCH), dpi=DOTS_AN_INCH, facecolor=PAPER)
        FigureCanvasAgg(figure)
        yield figure
        # matplotlib would write its version and thereby change the bytes from release to release.
        figure.savefig(target, format="png", metadata={"Software": MADE_BY})


class Sheet:
    """A page of charts, ``height`` dots tall: places in dots from the top left."""

    def __init__(self, figure: Figure, height: int, title: str, facts: Sequence[str]) -> None:
        self.figure, self.height = figure, height
        self.words(LEFT, TITLE_Y, shortened(title, LONGEST_TITLE), fontsize=13, fontweight="bold")
        self.words(LEFT, FACTS_Y, "  ·  ".join(fact for fact in facts if fact), fontsize=9.5, color=GREY)

    def words(self, x: float, y: float, text: str, **style: Any) -> None:
        """Words that begin at ``x``, with their middle at ``y``."""
        style = {"color": INK, "va": "center", "ha": "left", "parse_math": False, **style}
        self.figure.text(x / WIDTH, 1 - y / self.height, text, **style)

    def chart(self, x: float, y: float, width: float, height: float, title: str) -> Axes:
        """A chart whose frame is ``width`` by ``height`` dots, with its ``title`` above."""
        axes = self.figure.add_axes((x / WIDTH, 1 - (y + height) / self.height, width / WIDTH, height / self.height))
        self.words(x, y - 14, title, fontsize=9.5, fontweight="bold")
        axes.set_facecolor("none")
        axes.set_axisbelow(True)
        axes.grid(color=FAINT, linewidth=0.6)
        axes.tick_params(length=0, labelsize=8, labelcolor=GREY, pad=4)
        for name, spine in axes.spines.items():
            spine.set_visible(name in ("left", "bottom"))
            spine.set_color("#b4b9c2")
        return axes


def shortened(text: str, letters: int) -> str:
    """``text`` in so many letters at most, and on one line."""
    text = " ".join(text.split())
    return text if len(text) <= letters else text[: letters - 1] + "…"


def colour_of(kind: str, others: int = 0) -> str:
    """The colour of an instrument; of one that is in no row of the table, one of the others in turn."""
    return INSTRUMENTS[kind].colour if kind in INSTRUMENTS else OTHER_COLOURS[others % len(OTHER_COLOURS)]


def mixed(colour: str, other: str, share: float) -> str:
    """``colour`` with a ``share`` (0 to 1) of ``other`` in it."""
    pairs = [(int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def decibels_said(value: float | None, unit: str, digits: int = 1) -> str:
    """``-14.0 LUFS``, and ``silence`` for what is infinite or not a number."""
    if value is None or not math.isfinite(value):
        return "silence"
    return f"{value:.{digits}f} {unit}".replace("-", "−")


def clock(seconds: float) -> str:
    """``3:05``, and with hours where there are some."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def time_axis(axes: Axes, seconds: float) -> None:
    """Ticks at whole seconds, minutes or parts of them, eight or so."""
    seconds = max(seconds, 0.1)
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((s for s in steps if seconds / s <= 12), steps[-1])
    ticks = np.arange(0, seconds + step / 1000, step)
    axes.set_xlim(0, seconds)
    axes.set_xticks(ticks, [f"{tick:.1f}" if step < 1 else clock(tick) for tick in ticks.tolist()])


def frequency_axis(axes: Axes, low_hz: float = 25.0, high_hz: float = 20_000.0) -> None:
    """A logarithmic axis with the octaves named."""
    axes.set_xscale("log")
    axes.set_xlim(low_hz, high_hz)
    shown = [(hz, name) for hz, name in zip(OCTAVE_TICKS_HZ, OCTAVE_NAMES, strict=True) if low_hz <= hz <= high_hz]
    axes.set_xticks([hz for hz, _ in shown], [name for _, name in shown])
    axes.minorticks_off()
    axes.set_xlabel("Hz", fontsize=8, color=GREY, labelpad=2)


def finite(values: np.ndarray, floor: float) -> np.ndarray:
    """Decibels to draw: what is under the floor of the chart, or silent, lies on it."""
    return np.maximum(np.nan_to_num(np.asarray(values, dtype=np.float64), nan=floor, neginf=floor, posinf=0.0), floor)
