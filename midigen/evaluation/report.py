"""An evaluation as Markdown, and as a folder with its numbers and pictures."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from midigen.evaluation import Evaluation
from midigen.evaluation.likeness import BINS
from midigen.pictures.evaluation import draw_curves, draw_gains, draw_likeness, draw_pools, draw_runs

REPORT, NUMBERS = "report.md", "report.json"


def write_report(found: Evaluation, folder: str | Path) -> None:
    """Write ``report.md``, ``report.json`` and, of what was measured, ``gains.png``, ``likeness.png``,
    ``similarity.png``, ``notes.png`` and ``runs.png`` into ``folder``, which is there."""
    folder, facts = Path(folder), found.facts
    pictures: dict[str, Callable[[io.BytesIO], None]] = {}
    if "cross-part gain" in facts:
        pictures["gains.png"] = lambda target: draw_gains(facts["cross-part gain"], target)
    if len(facts["similarity"]) == 2:
        pictures["likeness.png"] = lambda target: draw_likeness(facts["likeness"], target)
    if facts["similarity"]:
        pictures["similarity.png"] = lambda target: draw_curves(facts["similarity"], target)
        pictures["notes.png"] = lambda target: draw_pools(found.pools, BINS, target)
    if len(runs := _runs_of(facts)):
        pictures["runs.png"] = lambda target: draw_runs(
            {name: group["lengths"] for name, group in runs.items()}, target
        )
    for name, draw in pictures.items():
        buffer = io.BytesIO()
        draw(buffer)
        (folder / name).write_bytes(buffer.getvalue())
    (folder / NUMBERS).write_text(found.json(), encoding="utf-8")
    (folder / REPORT).write_text(markdown(facts, list(pictures)), encoding="utf-8")


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
    if "controls" in facts:
        said.append(f"{asked['requests']} pieces were asked for with everything drawn at random")
    lines += [
        "; ".join(said) + ". Intervals are 95 %, by bootstrap over songs, of shares of pieces score intervals. "
        "`docs/evaluation.md` defines every number.",
        "",
    ]
    for section in (_loss, _gains, _likeness, _structure, _originality, _degenerate, _controls):
        lines += section(facts, pictures)
    return "\n".join(lines)


def _shown(name: str, pictures: list[str]) -> list[str]:
    return [f"![{name.removesuffix('.png')}]({name})", ""] if name in pictures else []


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


def _loss(facts: dict[str, Any], pictures: list[str]) -> list[str]:
    if "loss" not in facts:
        return []
    loss = facts["loss"]
    kinds, header = list(next(iter(loss["parts"].values()), {})), loss["header"]
    rows = [
        [part, *(_interval(values[kind], 2 if kind != "all" else 3) for kind in kinds)]
        for part, values in loss["parts"].items()
    ]
    lanes = [
        [lane, _interval(found), _interval(loss["perplexity"][lane], 2) if lane in loss["perplexity"] else "–"]
        for lane, found in loss["lanes, nats a note"].items()
    ]
    whole = (
        f"**{_interval(loss['nats a note'])} nats a note**, everything that had to be written counted, on "
        f"{loss['windows']} windows of {loss['read']} of the {loss['songs']} songs that can be prepared, "
        f"nothing said in the header. On the first {header['windows']} of them "
        f"{_number(header['nothing said']['value'])}, "
        f"and {_number(header['told']['value'])} where the header says what it says in training."
    )
    return [
        "## Loss on validation songs",
        "",
        whole,
        "",
        *_table(["nats a note of its own", *kinds], rows),
        *_table(["lane", "nats a note of all parts", "perplexity a token"], lanes),
    ]


def _gains(facts: dict[str, Any], pictures: list[str]) -> list[str]:
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
    band = [found for pair, found in facts["cross-part gain"].items() if "drums" not in pair]
    sure = {beside: sum(found[beside]["low"] > 0 for found in band) for beside in ("absent", "foreign")}
    what = (
        "What knowing another part of the song is worth, in nats a note, beside not knowing it, and beside another "
        f"song's part in its place. Of the {len(band)} pairs of piano, guitar and bass, {sure['absent']} gain for "
        f"certain beside none, {sure['foreign']} beside another song's."
    )
    head = ["part, given", "songs", "nats a note", "against none", "against another song's"]
    picture = _shown("gains.png", pictures)
    return ["## Do the parts hear each other?", "", what, "", *_table(head, rows), *picture]


def _likeness(facts: dict[str, Any], pictures: list[str]) -> list[str]:
    groups = list(facts["similarity"])
    if not groups:
        return []
    both = len(groups) == 2
    rows = []
    for name, found in facts["likeness"].items():
        row = [name]
        for spread in found.values():
            row.append(_interval(spread["median"]))
            row.append(f"{_number(spread['first_quartile'])} .. {_number(spread['third_quartile'])}")
        if both:
            row.append(_inside(found))
        rows.append(row)
    head = ["median", *(word for group in groups for word in (group, "quartiles"))]
    table = _table([*head, "inside"] if both else head, rows)
    return ["## Likeness to real songs", "", *table, *_shown("likeness.png", pictures)]


def _inside(found: dict[str, Any]) -> str:
    if not found["real"]["pieces"] or not found["composed"]["pieces"]:
        return "–"
    real, middle = found["real"], found["composed"]["median"]["value"]
    return "yes" if real["first_quartile"] <= middle <= real["third_quartile"] else "**no**"


def _structure(facts: dict[str, Any], pictures: list[str]) -> list[str]:
    drawn = [*_shown("similarity.png", pictures), *_shown("notes.png", pictures)]
    title = ["## Bars that come back, and the notes in them", ""]
    if "similarity error" not in facts:
        return [*title, *drawn] if drawn else []
    overlap, halves = facts["overlap"], facts.get("halves")
    whats = list(next(iter(overlap.values())))
    rows = []
    for kind, found in overlap.items():
        row = [kind]
        for what in whats:
            row.append(_interval(found[what], 2))
            row.append(_number(halves["overlap"][kind][what], 2) if halves else "–")
        rows.append(row)
    curve = (
        f"Likeness of bars 1 to 32 bars apart: the mean curve of composed pieces is "
        f"{_interval(facts['similarity error'])} from that of real songs, in the mean over distances"
    )
    curve += f"; halves of the real songs are {_number(halves['similarity error'])} from each other." if halves else "."
    head = ["histograms in common", *(word for what in whats for word in (what, "real halves"))]
    return [*title, curve, "", *_table(head, rows), *drawn]


def _runs_of(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: found for name, found in facts.get("originality", {}).items() if isinstance(found, dict)}


def _originality(facts: dict[str, Any], pictures: list[str]) -> list[str]:
    if "originality" not in facts:
        return []
    groups = _runs_of(facts)
    first: dict[str, Any] = next(iter(groups.values()), {})
    names = [name for name in first if name.startswith("share")]
    rows = [[name, *(_interval(found[name], percent=True) for found in groups.values())] for name in names]
    for level in first.get("quantiles", {}):
        rows.append(
            [f"{level} have at most, notes", *(f"{found['quantiles'][level]:.0f}" for found in groups.values())]
        )
    rows.append(["longest run, notes", *(str(found["longest"]) for found in groups.values())])
    one_in = 1 / max(facts["originality"]["false positives"], 1e-9)
    doubt = f"One window of twelve notes in {one_in:,.0f} is believed to be known wrongly. 0: none long enough to tell."
    table = _table(["excerpts with a run of", *groups], rows)
    return ["## Runs shared with training songs", "", doubt, "", *table, *_shown("runs.png", pictures)]


def _degenerate(facts: dict[str, Any], pictures: list[str]) -> list[str]:
    if "degenerate" not in facts:
        return []
    found = facts["degenerate"]
    rows = [[fault, _interval(share, percent=True)] for fault, share in found["faults"].items()]
    lines = [
        "## Pieces that nobody would keep",
        "",
        f"{_interval(found['share'], percent=True)} of the composed pieces.",
        "",
        *_table(["fault", "share of pieces"], rows),
    ]
    lines += [f"- seed {seed}: {', '.join(faults)}" for seed, faults in found["pieces"].items()]
    return [*lines, ""] if found["pieces"] else lines


def _controls(facts: dict[str, Any], pictures: list[str]) -> list[str]:
    if "controls" not in facts:
        return []
    kept = facts["controls"]["kept"]
    real = any("real" in found for found in kept.values())
    rows = []
    for said, found in kept.items():
        cells = [_interval(found["composed"], 2, percent=found["percent"]), str(found["pieces"]), found["wanted"]]
        if real:
            cells.append(_interval(found["real"], 2, percent=found["percent"]) if "real" in found else "")
        rows.append([said, *cells])
    what = "Every control, measured again on the piece that was asked for."
    head = ["asked for", "composed", "pieces", "wanted", *(["real songs"] if real else [])]
    odd = facts["controls"]["odd"]
    looked = [f"Seeds to look at: {'; '.join(odd)}.", ""] if odd else []
    return ["## Are pieces what was asked for?", "", what, "", *_table(head, rows), *looked]
