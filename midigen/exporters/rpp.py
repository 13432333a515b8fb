"""A REAPER project (``.rpp``): text that REAPER opens and saves itself, written by the library ``rpp``.

For every part a track with its notes and one with its stem, which is not copied: the project says where it lies,
relative to itself. An item's own volume brings the stem to its place in a balanced band, so that the track's fader,
pan, mute and solo are those of the session. Sections are regions; lyrics are text events in the notes. REAPER's effects
keep what they are set to in a form of their own, so equalisers, compressors and sends are left to the studio.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from midigen import __version__
from midigen.effects.stereo import factor
from midigen.errors import MissingTool
from midigen.exporters import Project, Strip
from midigen.exporters.markup import decimal
from midigen.midi import BANK_SELECT
from midigen.score import Part, Score

_NAMESPACE = uuid.UUID("6d696469-6765-6e00-8000-72707000726f")  # identifiers are made from names, the same each time
OF_REAPER = "6.0"  # whose way of writing this is; later ones read it too
LYRIC = 5  # the type of a lyric among a MIDI file's meta events


class Rpp:
    """The exporter: ``.rpp``."""

    suffixes = (".rpp",)
    wants_stems = True

    def check(self) -> None:
        """Raise :class:`MissingTool` where the library ``rpp`` is not installed."""
        try:
            import rpp  # noqa: F401
        except ImportError:
            raise MissingTool("rpp is not installed: REAPER projects need it; pip install rpp") from None

    def write(self, project: Project, path: Path, place: Path) -> None:
        self.check()
        lines = _lines_of(_project(project, place.parent))
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def _lines_of(element: Any, indent: str = "") -> Iterator[str]:
    """What ``rpp.dumps`` writes, line by line: it takes minutes for a hundred thousand notes, being quadratic."""
    import rpp

    def dumped(children: list[Any]) -> list[str]:
        lines: list[str] = rpp.dumps(rpp.Element(element.tag, element.attrib, children)).rstrip("\n").split("\n")
        return lines

    first, last = dumped([])
    yield indent + first
    for is_element, group in groupby(element, lambda child: isinstance(child, rpp.Element)):
        if is_element:
            for child in group:
                yield from _lines_of(child, indent + "  ")
        else:
            while block := list(islice(group, 500)):
                yield from (indent + line for line in dumped(block)[1:-1])
    yield indent + last


def _element(tag: str, *values: Any, children: list[Any] | None = None) -> Any:
    from rpp import Element

    return Element(tag, [_plain(value) for value in values], children if children is not None else [])


def _line(*values: Any) -> list[str]:
    return [_plain(value) for value in values]


def _plain(value: Any) -> str:
    """A value as one word of a line, or a text that the library puts in quotes."""
    return decimal(value, 12) if isinstance(value, float) else " ".join(str(value).split())


def _identifier(*names: object) -> str:
    return f"{{{str(uuid.uuid5(_NAMESPACE, '/'.join(map(str, names)))).upper()}}}"


def _project(project: Project, folder: Path) -> Any:
    score = project.score
    rates = [strip.stem.rate for strip in project.strips if strip.stem is not None]
    first = score.metres[0]
    root = _element("REAPER_PROJECT", "0.1", f"{OF_REAPER}/midigen-{__version__}", 0)
    root.append(_line("TITLE", project.title))
    root.append(_line("TIMEMODE", 1, 5, -1, 30, 0, 0, -1))
    root.append(_line("TEMPO", float(score.tempos[0].qpm), first.numerator, first.denominator))
    root.append(_line("SAMPLERATE", rates[0] if rates else 44_100, 1 if rates else 0, 0))
    root.append(_line("MASTER_VOLUME", 1, 0, -1, -1, 1))
    if len(score.tempos) > 1 or len(score.metres) > 1:
        root.append(_tempos(score))
    root.extend(_regions(score))
    for strip in project.strips:
        both = strip.part is not None and strip.stem is not None
        if strip.part is not None:
            name = f"{strip.name} (MIDI)" if both else strip.name
            root.append(_track(strip, name, "notes", _notes_item(strip.part, name, score)))
        if strip.stem is not None:
            root.append(_track(strip, strip.name, "audio", _sound_item(strip, folder)))
    return root


def _tempos(score: Score) -> Any:
    """The tempo map: a point for every change of tempo or metre, holding until the next."""
    points = sorted({tempo.tick for tempo in score.tempos} | {metre.tick for metre in score.metres})
    lines = [_line("ACT", 1, -1), _line("VIS", 1, 0, 1), _line("DEFSHAPE", 1, -1, -1)]
    tempos = {tempo.tick: float(tempo.qpm) for tempo in score.tempos}
    metres = {metre.tick: metre for metre in score.metres}
    qpm, before = tempos[0], None
    for tick, seconds in zip(points, score.seconds(np.array(points)).tolist(), strict=True):
        qpm = tempos.get(tick, qpm)
        point: list[object] = ["PT", seconds, qpm, 1]
        if (metre := metres.get(tick)) is not None:
            # 1: tempo and metre; 5: the bar before it may be cut short.
            bars = 0.0 if before is None else (tick - before.tick) / (before.quarters * score.ticks_per_quarter)
            point += [(metre.denominator << 16) + metre.numerator, 0, 1 if bars.is_integer() else 5]
            before = metre
        lines.append(_line(*point))
    return _element("TEMPOENVEX", children=lines)


def _regions(score: Score) -> list[list[str]]:
    """A region for each section, from its marker to the next."""
    found = []
    ends = [*(marker.tick for marker in score.markers), max(score.end_ticks, 1)][1:]
    for number, (marker, end) in enumerate(zip(score.markers, ends, strict=False), 1):
        start, stop = float(score.seconds(marker.tick)), float(score.seconds(max(end, marker.tick)))
        found.append(_line("MARKER", number, start, marker.text or f"section {number}", 1))
        found.append(_line("MARKER", number, stop, "", 1))
    return found


def _track(strip: Strip, name: str, what: str, item: Any) -> Any:
    red, green, blue = (int(strip.colour[i : i + 2], 16) for i in (1, 3, 5))
    track = _element("TRACK", _identifier(strip.name, what))
    track.append(_line("NAME", name))
    track.append(_line("PEAKCOL", 0x1000000 | blue << 16 | green << 8 | red))
    track.append(_line("VOLPAN", factor(strip.channel.gain_db), strip.pan, -1, -1, 1))
    track.append(_line("MUTESOLO", int(strip.channel.mute), int(strip.channel.solo), 0))
    track.append(_line("NCHAN", 2))
    track.append(_line("TRACKID", _identifier(strip.name, what)))
    track.append(item)
    return track


def _item(name: str, what: str, seconds: float, gain: float, source: Any) -> Any:
    item = _element("ITEM")
    for line in (
        ("POSITION", 0.0), ("LENGTH", float(seconds)), ("LOOP", 0), ("IGUID", _identifier(name, what, "item")),
        ("NAME", name), ("VOLPAN", float(gain), 0, 1, -1), ("SOFFS", 0), ("GUID", _identifier(name, what, "take")),
    ):  # fmt: skip
        item.append(_line(*line))
    item.append(source)
    return item


def _sound_item(strip: Strip, folder: Path) -> Any:
    assert strip.stem is not None
    try:
        file = Path(os.path.relpath(strip.stem.path, folder)).as_posix()
    except ValueError:  # on Windows, from one drive to another
        file = str(strip.stem.path.absolute())
    source = _element("SOURCE", "WAVE", children=[["FILE", file]])
    return _item(strip.name, "audio", strip.stem.seconds, factor(strip.trim_db), source)


def _notes_item(part: Part, name: str, score: Score) -> Any:
    end = max(score.end_ticks, 1)
    source = _element("SOURCE", "MIDI", children=[_line("HASDATA", 1, score.ticks_per_quarter, "QN")])
    now = 0
    for tick, _, said in sorted(_events(part), key=lambda event: event[:2]):
        source.append(_text_event(tick - now, said) if isinstance(said, str) else _line("E", tick - now, *said))
        now = tick
    source.append(_line("E", max(end - now, 0), "b0", "7b", "00"))  # where the item's music ends
    return _item(name, "notes", float(score.seconds(end)), 1.0, source)


def _events(part: Part) -> list[tuple[int, int, Any]]:
    """Tick, order at it, and a MIDI message in hexadecimal or the text of a lyric."""
    channel = 9 if part.is_drum else 0
    found: list[tuple[int, int, Any]] = []

    def say(tick: int, order: int, status: int, *data: int) -> None:
        found.append((tick, order, [f"{status | channel:02x}", *(f"{value:02x}" for value in (*data, 0)[:2])]))

    if part.bank:
        for number, value in zip(BANK_SELECT, divmod(part.bank, 128), strict=True):
            say(0, 1, 0xB0, number, value)
    say(0, 2, 0xC0, part.program)
    for control in part.controls:
        say(control.tick, 3, 0xB0, control.number, control.value)
    for bend in part.bends:
        say(bend.tick, 3, 0xE0, (bend.value + 8192) & 0x7F, (bend.value + 8192) >> 7)
    found += [(lyric.tick, 5, lyric.text.rstrip("\r\n")) for lyric in part.lyrics if lyric.text.strip()]
    for note in part.notes:
        say(note.onset_ticks, 6, 0x90, note.pitch, note.velocity)
        say(note.end_ticks, 4 if note.duration_ticks else 7, 0x80, note.pitch, 0)
    return found


def _text_event(delta: int, text: str) -> Any:
    data = base64.b64encode(bytes([0xFF, LYRIC]) + text.encode()).decode("ascii")
    return _element("X", delta, 0, 0, 0, LYRIC, text, children=[data])
