"""Pictures of an evaluation: composed pieces beside real songs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from midigen.pictures.page import GREY, INK, LEFT, RIGHT, WIDTH, Sheet, colour_of, new_page

REAL, COMPOSED = "#8a8f99", "#d9822b"
COLOURS = {"real": REAL, "composed": COMPOSED}
NAMES = {"real": "real songs", "composed": "composed"}


def draw_curves(curves: Mapping[str, np.ndarray], target: str | Path | IO[bytes]) -> None:
    """How alike bars are by their distance: ``curves`` by group, ``(distances,)`` from one bar on, 0 to 1; as a PNG."""
    height = 560
    with new_page(WIDTH, height, target) as figure:
        sheet = Sheet(figure, height, "Bars that come back", ["notes in common over notes in either"])
        axes = sheet.chart(LEFT, 130, WIDTH - LEFT - RIGHT, 360, "Likeness of two bars, by how many bars lie between")
        for group, curve in curves.items():
            distances = np.arange(1, len(curve) + 1)
            axes.plot(distances, curve, color=COLOURS[group], marker="o", markersize=3, label=NAMES[group])
        longest = max(len(curve) for curve in curves.values())
        axes.set_xlim(0.5, longest + 0.5)
        axes.set_xticks([1, *range(4, longest + 1, 4)])
        axes.set_ylim(0, None)
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def draw_likeness(likeness: Mapping[str, Mapping[str, Any]], target: str | Path | IO[bytes]) -> None:
    """Every measure of composed pieces on the scale of real songs: 0 is their median, and the grey band their
    quartiles.

    ``likeness`` is that of an evaluation's facts: measure, group, :class:`midigen.evaluation.statistics.Spread` as a
    mapping.
    """
    known = {
        name: found
        for name, found in likeness.items()
        if len(found) == 2 and found["real"]["pieces"] and found["composed"]["pieces"]
        and found["real"]["third_quartile"] > found["real"]["first_quartile"]
    }  # fmt: skip
    row, head = 30, 130
    height = head + row * len(known) + 60
    with new_page(WIDTH, height, target) as figure:
        facts = ["dot and bar: median and quartiles of composed pieces", "band: quartiles of real songs"]
        sheet = Sheet(figure, height, "Likeness to real songs", facts)
        axes = sheet.chart(
            LEFT + 330, head, WIDTH - LEFT - RIGHT - 340, row * len(known), "Quartile ranges from the median"
        )
        for place, (name, found) in enumerate(known.items()):
            real, mine = found["real"], found["composed"]
            middle, width = real["median"]["value"], real["third_quartile"] - real["first_quartile"]
            band = [(real[q] - middle) / width for q in ("first_quartile", "third_quartile")]
            axes.barh(place, band[1] - band[0], left=band[0], height=0.7, color=REAL, alpha=0.35, linewidth=0)
            ends = np.clip([(mine[q] - middle) / width for q in ("first_quartile", "third_quartile")], -3, 3)
            dot = float(np.clip((mine["median"]["value"] - middle) / width, -3, 3))
            axes.plot(ends, [place, place], color=COMPOSED, linewidth=2)
            axes.plot([dot], [place], color=COMPOSED, marker="o", markersize=6)
            sheet.words(LEFT, head + row * (place + 0.5), name, fontsize=9, color=GREY)
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.set_yticks([])
        axes.set_xlim(-3.1, 3.1)
        axes.axvline(0, color=REAL, linewidth=1)


def draw_pools(
    pools: Mapping[tuple[str, str, str], np.ndarray], bins: Mapping[str, np.ndarray], target: str | Path | IO[bytes]
) -> None:
    """Histograms of single notes: a row a part, a column each for pitch, duration and velocity.

    ``pools`` by group, part and what; ``bins`` the edges for each of the last.
    """
    kinds = list(dict.fromkeys(kind for _, kind, _ in pools))
    whats = list(bins)
    head, row = 130, 230
    height = head + row * len(kinds) + 10
    width = (WIDTH - LEFT - RIGHT) / len(whats)
    with new_page(WIDTH, height, target) as figure:
        said = ["grey: real songs, filled", "line: composed, in the part's colour"]
        sheet = Sheet(figure, height, "Notes", said)
        for k, kind in enumerate(kinds):
            for w, what in enumerate(whats):
                unit = {
                    "pitch": "MIDI pitch",
                    "duration": "duration, steps of the grid",
                    "velocity": "velocity, 32 steps",
                }
                axes = sheet.chart(
                    LEFT + w * width, head + k * row, width - 60, row - 70, f"{kind}: {unit.get(what, what)}"
                )
                places = np.arange(len(bins[what]) - 1)
                for group in ("real", "composed"):
                    values = pools.get((group, kind, what))
                    if values is None or not len(values):
                        continue
                    share = np.histogram(values, bins[what])[0] / len(values)
                    if group == "real":
                        axes.fill_between(places, share, step="mid", color=REAL, alpha=0.45, linewidth=0)
                    else:
                        axes.step(places, share, where="mid", color=colour_of(kind), linewidth=1.5)
                edges = bins[what]
                shown = places[:: max(len(places) // 6, 1)]
                labels = {"pitch": edges[:-1] + 0.5, "velocity": edges[:-1] + 0.5}.get(what, edges[:-1])
                axes.set_xticks(shown, [f"{labels[i]:.0f}" for i in shown])
                axes.set_ylim(0, None)
