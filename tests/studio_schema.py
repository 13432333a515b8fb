"""The part of DAWproject 1.0's schema (Project.xsd) that midigen writes: elements, what they hold in which order, and
their attributes with what may stand there; those with a star are required."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

NAMED = {"name": r"[^\0]*", "color": r"#[0-9a-f]{6}", "comment": r"[^\0]*", "id": r"id\d+"}
TIME = {"timeUnit": "beats|seconds", "track": r"id\d+"}
NUMBER, BOOL = r"-?\d+(\.\d+)?", "true|false"
UNIT = "linear|normalized|percent|decibel|hertz|semitones|seconds|beats|bpm"
REAL = {**NAMED, "max": NUMBER, "min": NUMBER, "*unit": UNIT, "value": NUMBER}
FADES = {"fadeTimeUnit": "beats|seconds", "fadeInTime": NUMBER, "fadeOutTime": NUMBER}
TIMELINES = "(Lanes|Notes|Clips|Warps|Audio|Points)"

# name: (children as a pattern over their names, each followed by a space; attributes)
SCHEMA: dict[str, tuple[str, dict[str, str]]] = {
    "Project": ("Application (Transport )?(Structure )?(Arrangement )?(Scenes )?", {"*version": r"1\.0"}),
    "Application": ("", {"*name": ".+", "*version": ".+"}),
    "Transport": ("(Tempo )?(TimeSignature )?", {}),
    "Tempo": ("", REAL),
    "TimeSignature": ("", {**NAMED, "*numerator": r"\d+", "*denominator": r"\d+"}),
    "Structure": ("(Track )*", {}),
    "Track": ("(Channel )?(Track )*", {**NAMED, "contentType": "(notes|audio|audio notes)", "loaded": BOOL}),
    "Channel": (
        "(Devices )?(Mute )?(Pan )?(Sends )?(Volume )?",
        {**NAMED, "audioChannels": r"\d+", "destination": r"id\d+", "role": "regular|master", "solo": BOOL},
    ),
    "Mute": ("", {**NAMED, "value": BOOL}),
    "Pan": ("", REAL),
    "Volume": ("", REAL),
    "Arrangement": ("(Lanes )?(Markers )?(TempoAutomation )?(TimeSignatureAutomation )?", NAMED),
    "Lanes": (f"({TIMELINES} )*", {**NAMED, **TIME}),
    "Clips": ("(Clip )*", {**NAMED, **TIME}),
    "Clip": (
        f"({TIMELINES} )?",
        {**NAMED, **FADES, "*time": NUMBER, "duration": NUMBER, "contentTimeUnit": "beats|seconds",
         "playStart": NUMBER},
    ),
    "Notes": ("(Note )*", {**NAMED, **TIME}),
    "Note": (
        "",
        {"*time": NUMBER, "*duration": NUMBER, "*channel": r"\d+", "*key": r"\d+", "vel": NUMBER, "rel": NUMBER},
    ),
    "Points": ("Target (RealPoint )*", {**NAMED, **TIME, "unit": UNIT}),
    "TempoAutomation": ("Target (RealPoint )*", {**NAMED, **TIME, "unit": UNIT}),
    "TimeSignatureAutomation": ("Target (TimeSignaturePoint )*", {**NAMED, **TIME, "unit": UNIT}),
    "Target": (
        "",
        {"parameter": r"id\d+", "expression": "channelController|pitchBend", "channel": r"\d+", "controller": r"\d+"},
    ),
    "RealPoint": ("", {"*time": NUMBER, "*value": NUMBER, "interpolation": "hold|linear"}),
    "TimeSignaturePoint": ("", {"*time": NUMBER, "*numerator": r"\d+", "*denominator": r"\d+"}),
    "Warps": (f"{TIMELINES} (Warp )+", {**NAMED, **TIME, "*contentTimeUnit": "beats|seconds"}),
    "Warp": ("", {"*time": NUMBER, "*contentTime": NUMBER}),
    "Audio": (
        "File ",
        {**NAMED, **TIME, "algorithm": ".+", "*channels": r"\d+", "*duration": NUMBER, "*sampleRate": r"\d+"},
    ),
    "File": ("", {"*path": ".+", "external": BOOL}),
    "Markers": ("(Marker )+", {**NAMED, **TIME}),
    "Marker": ("", {**NAMED, "*time": NUMBER}),
    "Scenes": ("", {}),
}  # fmt: skip


def check_project(root: Element) -> None:
    """Assert that a ``project.xml`` is as the schema has it, and that every reference leads to something."""
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids), "identifiers are of one thing each"
    for element in root.iter():
        children, attributes = SCHEMA[element.tag]
        inside = "".join(f"{child.tag} " for child in element)
        assert re.fullmatch(children, inside), f"{element.tag}: {inside}"
        known = {name.lstrip("*"): pattern for name, pattern in attributes.items()}
        for name, value in element.attrib.items():
            assert name in known, f"{element.tag} has no {name}"
            assert re.fullmatch(known[name], value, re.DOTALL), f"{element.tag} {name}={value!r}"
        for name in attributes:
            assert not name.startswith("*") or name[1:] in element.attrib, f"{element.tag} lacks {name[1:]}"
        for name in ("destination", "track", "parameter"):
            assert element.get(name) in (None, *ids), f"{element.tag} {name} leads nowhere"
