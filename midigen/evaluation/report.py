"""An evaluation as Markdown, and as a folder with its numbers and pictures."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from midigen.evaluation import BINS, Evaluation
from midigen.pictures.evaluation import draw_curves, draw_likeness, draw_pools

REPORT, NUMBERS = "report.md", "report.json"


def write_report(found: Evaluation, folder: str | Path) -> None:
    """Write ``report.md``, ``report.json`` and, of what was measured, ``likeness.png``, ``similarity.png`` and
    ``notes.png`` into ``folder``, which is there."""
    folder = Path(folder)
    pictures: dict[str, Callable[[io.BytesIO], None]] = {}
    if found.curves:
        pictures["similarity.png"] = lambda target: draw_curves(found.curves, target)
        pictures["notes.png"] = lambda target: draw_pools(found.pools, BINS, target)
    if len(found.curves) == 2:
        pictures["likeness.png"] = lambda target: draw_likeness(found.facts["likeness"], target)
    for name, draw in pictures.items():
        buffer = io.BytesIO()
        draw(buffer)
        (folder / name).write_bytes(buffer.getvalue())
    (folder / NUMBERS).write_text(found.json(), encoding="utf-8")
    (folder / REPORT).write_text(markdown(found.facts, list(pictures)), encoding="utf-8")


def markdown(facts: dict[str, Any], pictures: list[str]) -> str:
    """The report as Markdown; ``pictures`` are the files that it shows."""
    asked = facts["asked"]
    lines = [f"# Evaluation{' of ' + facts['checkpoint'] if facts['checkpoint'] else ''}", ""]
    counted = facts["counted"]
    said = []
    if "real" in counted:
        real = counted["real"]
        said.append(f"{real['measured']} of {real['seen']} validation songs have an excerpt in 4/4 to be measured")
    if "composed" in counted:
        mine = counted["composed"]
        said.append(f"{mine['seen']} pieces of {asked['bars']} bars were composed from seed {asked['seed']} on, "
                    f"{mine['measured']} of them measured")  # fmt: skip
    lines += [
        "; ".join(said) + ". Intervals are 95 %, by bootstrap over songs. `docs/evaluation.md` defines every number.",
        "",
    ]
    for section in (_loss, _gains, _likeness, _structure, _originality, _degenerate):
        lines += section(facts)
    for picture in pictures:
        lines += [f"![{picture}]({picture})", ""]
    return "\n".join(lines)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        "|---|" + "--:|" * (len(head) - 1),
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _interval(found: dict[str, float], digits: int = 3, percent: bool = False) -> str:
    if not math.isfinite(found["value"]):
        return "–"
    scale, digits, sign = (100, 1, " %") if percent else (1, digits, "")
    value, low, high = (f"{scale * found[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value}{sign} ({low} to {high})"


def _loss(facts: dict[str, Any]) -> list[str]:
    if "loss" not in facts:
        return []
    loss = facts["loss"]
    kinds = list(next(iter(loss["parts"].values())))
    rows = [[part, *(_number(values[kind]) for kind in kinds)] for part, values in loss["parts"].items()]
    harmony, form = (_number(loss["perplexity"][lane], 2) for lane in ("harmony", "form"))
    whole = (
        f"**{loss['nats a note']:.3f} nats a note**, everything that had to be written counted, on {loss['windows']} "
        f"windows of {loss['songs']} songs. Perplexity a token: harmony {harmony}, form {form}."
    )
    return ["## Loss on validation songs", "", whole, "", *_table(["nats a note of its own", *kinds], rows)]


def _gains(facts: dict[str, Any]) -> list[str]:
    if "cross-part gain" not in facts:
        return []
    rows = [
        [
            pair,
            str(found["songs"]),
            _number(found["nats a note"]),
            _interval(found["absent"]),
            _interval(found["foreign"]),
        ]
        for pair, found in facts["cross-part gain"].items()
    ]
    what = (
        "What knowing another part of the song is worth, in nats a note, beside not knowing it, and beside another "
        "song's part in its place."
    )
    head = ["part, given", "songs", "nats a note", "against none", "against another song's"]
    return ["## Do the parts hear each other?", "", what, "", *_table(head, rows)]


def _likeness(facts: dict[str, Any]) -> list[str]:
    groups = list(facts["counted"])
    both = len(groups) == 2
    rows = []
    for name, found in facts["likeness"].items():
        if not found:
            continue
        row = [name]
        for group in groups:
            if group in found:
                spread = found[group]
                row.append(_interval(spread["median"]))
                row.append(f"{_number(spread['first_quartile'])} .. {_number(spread['third_quartile'])}")
            else:
                row += ["–", "–"]
        if both:
            row.append(_inside(found))
        rows.append(row)
    head = ["median", *(word for group in groups for word in (group, "quartiles"))]
    return ["## Likeness to real songs", "", *_table([*head, "inside"] if both else head, rows)]


def _inside(found: dict[str, Any]) -> str:
    if len(found) < 2 or not found["real"]["pieces"] or not found["composed"]["pieces"]:
        return "–"
    real, middle = found["real"], found["composed"]["median"]["value"]
    return "yes" if real["first_quartile"] <= middle <= real["third_quartile"] else "**no**"


def _structure(facts: dict[str, Any]) -> list[str]:
    if "similarity error" not in facts:
        return []
    overlap = facts["overlap"]
    whats = list(next(iter(overlap.values())))
    rows = [[kind, *(_number(found[what], 2) for what in whats)] for kind, found in overlap.items()]
    curve = (
        f"Likeness of bars 1 to 32 bars apart: the mean curve of composed pieces is {facts['similarity error']:.3f} "
        "from that of real songs, in the mean over distances."
    )
    table = _table(["histograms in common", *whats], rows)
    return ["## Bars that come back, and the notes in them", "", curve, "", *table]


def _originality(facts: dict[str, Any]) -> list[str]:
    if "originality" not in facts:
        return []
    groups = {name: found for name, found in facts["originality"].items() if isinstance(found, dict)}
    names = [name for name in next(iter(groups.values())) if name != "longest"] if groups else []
    rows = [[name, *(_interval(found[name], percent=True) for found in groups.values())] for name in names]
    rows.append(["longest run, notes", *(str(found["longest"]) for found in groups.values())])
    one_in = 1 / max(facts["originality"]["false positives"], 1e-9)
    doubt = f"One window of twelve notes in {one_in:,.0f} is believed to be known wrongly."
    return ["## Runs shared with training songs", "", doubt, "", *_table(["excerpts with a run of", *groups], rows)]


def _degenerate(facts: dict[str, Any]) -> list[str]:
    if "degenerate" not in facts:
        return []
    found = facts["degenerate"]
    lines = [
        "## Pieces that nobody would keep",
        "",
        f"{_interval(found['share'], percent=True)} of the composed pieces.",
        "",
    ]
    return lines + [f"- seed {seed}: {', '.join(faults)}" for seed, faults in found["pieces"].items()] + [""]
