"""How a song was made, as plain values: what ``midigen.json`` holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from midigen import __version__
from midigen.errors import BadFile
from midigen.folders import RECORD
from midigen.score import Score

RECORD_FORMAT = 1


def read_settings(record: str | Path, known: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a composed song's ``midigen.json`` keeps, by the names of :func:`midigen.compose`'s arguments.

    ``record`` is that file or its folder; ``known`` are the settings there are, with their types as they are annotated.
    Raises :class:`BadFile` for another file, for a setting that is not known, and for one of another type.
    """
    path = Path(record)
    path = path / RECORD if path.is_dir() else path
    cure = f"give the {RECORD} of a song that midigen composed, or its folder"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFile(f"{path}: no such file; {cure}") from None
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror}); {cure}") from None
    except (ValueError, RecursionError):  # of brackets inside brackets without end
        raise BadFile(f"{path}: not JSON; {cure}") from None
    settings = data.get("settings") if isinstance(data, dict) else None
    if not isinstance(settings, dict) or data.get("made_by") != "midigen compose":
        raise BadFile(f"{path}: not the record of a composed song; {cure}")
    if data.get("format") != RECORD_FORMAT:
        raise BadFile(
            f"{path}: record of format {data.get('format')}, this midigen reads {RECORD_FORMAT}; update midigen"
        )
    strange = sorted(settings.keys() - set(known))
    if strange:
        raise BadFile(f"{path}: unknown setting {strange[0]!r}; {cure}")
    for name, value in settings.items():
        if not _is_a(known[name], value):
            raise BadFile(f"{path}: setting {name!r} is {str(value)[:40]!r}, no {known[name]}; {cure}")
    if "preset" not in settings:  # of a song from before there were presets, and "off" was null
        off = {"target_lufs": "off"} if settings.get("target_lufs", 0) is None else {}
        settings = {**settings, "preset": "dry", **off}
    return settings


def _is_a(annotation: str, value: Any) -> bool:
    """Whether a value of JSON is one of the types of an annotation such as ``Mapping[str, float] | None``."""
    return any(_is_one(kind.strip(), value) for kind in annotation.split("|"))


def _is_one(kind: str, value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return kind == {True: "bool", False: "bool", None: "None"}[value]
    if isinstance(value, dict):
        inner = kind.removeprefix("Mapping[str, ").removesuffix("]")
        return kind.startswith("Mapping") and all(_is_one(inner, one) for one in value.values())
    if isinstance(value, list):  # a range of pitches may be a pair
        pair = kind == "Any" and len(value) == 2 and all(isinstance(one, str | int) for one in value)
        return pair or (kind.startswith("Sequence") and all(isinstance(one, str) for one in value))
    types: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    return kind == "Any" or isinstance(value, types.get(kind, ()))


def describe(score: Score) -> dict[str, Any]:
    """What the score holds, in plain values: bars, key, tempo, metre, seconds, and the number of notes of each part."""
    return {
        "bars": score.bars or len(score.bar_starts()) - 1,
        "key": str(score.keys[0]) if score.keys else None,
        "tempo_qpm": round(score.tempos[0].qpm, 3),
        "metre": str(score.metres[0]),
        "seconds": round(score.duration_seconds, 3),
        "notes": {part.name: len(part.notes) for part in score.parts},
    }


def versions() -> dict[str, str]:
    """The versions that the bytes of a song depend on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from midigen.renderers.library import library_version

    found = {"midigen": __version__, "python": platform.python_version(), "fluidsynth": library_version()}
    for name in ("numpy", "scipy", "onnxruntime", "mido", "soundfile", "soxr", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # vendored or frozen: the record says so instead of failing
            found[name] = "unknown"
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
