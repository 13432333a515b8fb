"""Pictures of an evaluation: composed pieces beside real songs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from midigen.pictures.page import GREY, INK, LEFT, RIGHT, WIDTH, Sheet, colour_of, new_page

REAL, COMPOSED = "#8a8f99", "#d9822b"
COLOURS = {"real": REAL, "composed": COMPOSED}
NAMES = {"real": "real songs", "composed": "composed"}


def draw_curves(curves: Mapping[str, Mapping[str, Sequence[float]]], target: str | Path | IO[bytes]) -> None:
    """How alike bars are by their distance: ``curves`` by group, each with ``"mean"``, ``"low"`` and ``"high"`` for
    every distance from one bar on, 0 to 1; as a PNG."""
    height = 560
    with new_page(WIDTH, height, target) as figure:
        sheet = Sheet(
            figure,
            height,
            "Bars that come back",
            ["notes in common over notes in either", "bands: 95 % intervals of the means"],
        )
        axes = sheet.chart(LEFT, 130, WIDTH - LEFT - RIGHT, 360, "Likeness of two bars, by how many bars lie between")
        for group, curve in curves.items():
            distances = np.arange(1, len(curve["mean"]) + 1)
            axes.fill_between(distances, curve["low"], curve["high"], color=COLOURS[group], alpha=0.2, linewidth=0)
            axes.plot(distances, curve["mean"], color=COLOURS[group], marker="o", markersize=3, label=NAMES[group])
        longest = max(len(curve["mean"]) for curve in curves.values())
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


def draw_gains(gains: Mapping[str, Mapping[str, Any]], target: str | Path | IO[bytes]) -> None:
    """What knowing another part is worth, with 95 % intervals: two marks for every pair of ``gains``, whose values
    have ``"absent"`` and ``"foreign"``, each an :class:`midigen.evaluation.statistics.Interval` as a mapping."""
    row, head = 34, 130
    height = head + row * len(gains) + 60
    styles = {"absent": (REAL, "against none", -0.16), "foreign": (COMPOSED, "against another song's", 0.16)}
    with new_page(WIDTH, height, target) as figure:
        sheet = Sheet(figure, height, "Do the parts hear each other?", ["nats a note saved by knowing the other part"])
        axes = sheet.chart(LEFT + 230, head, WIDTH - LEFT - RIGHT - 240, row * len(gains), "Part, given another")
        for beside, (colour, name, aside) in styles.items():
            known = [(place, found[beside]) for place, found in enumerate(gains.values())
                     if np.isfinite(found[beside]["value"])]  # fmt: skip
            for place, found in known:
                axes.plot([found["low"], found["high"]], [place + aside] * 2, color=colour, linewidth=2)
            places = [place + aside for place, _ in known]
            axes.plot([found["value"] for _, found in known], places, "o", color=colour, markersize=5, label=name)
        for place, pair in enumerate(gains):
            sheet.words(LEFT, head + row * (place + 0.5), pair, fontsize=9, color=GREY)
        axes.set_ylim(len(gains) - 0.5, -0.5)
        axes.set_yticks([])
        axes.axvline(0, color=INK, linewidth=1)
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def draw_runs(lengths: Mapping[str, Mapping[str, int]], target: str | Path | IO[bytes]) -> None:
    """How many pieces share a run with the training songs, by the least length of the run: ``lengths`` by group, how
    many pieces have a longest run of so many notes (as text; ``"0"``: none that can be told)."""
    height = 560
    with new_page(WIDTH, height, target) as figure:
        sheet = Sheet(figure, height, "Runs shared with training songs", ["the longest of each excerpt"])
        axes = sheet.chart(LEFT, 130, WIDTH - LEFT - RIGHT, 360, "Per cent of excerpts with a run of so many notes")
        longest = max(int(length) for counts in lengths.values() for length in counts)
        places = np.arange(12, max(longest, 24) + 2)
        for group, counts in lengths.items():
            runs = np.repeat([int(length) for length in counts], list(counts.values()))
            share = 100 * (runs[:, None] >= places).mean(axis=0)
            axes.step(places, share, where="mid", color=COLOURS[group], linewidth=2, label=NAMES[group])
        axes.set_xlim(places[0] - 0.5, places[-1] + 0.5)
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))  # per cent: no run at all is a flat line, not a close-up
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
