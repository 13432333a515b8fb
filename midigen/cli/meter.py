"""``midigen meter``"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midigen.loudness import Loudness

# field of a reading: (what it is called, its unit, the head of its column)
FIELDS = {
    "integrated_lufs": ("integrated", "LUFS", "LUFS"),
    "short_term_max_lufs": ("short-term, maximum", "LUFS", "short"),
    "momentary_max_lufs": ("momentary, maximum", "LUFS", "moment"),
    "range_lu": ("range", "LU", "LU"),
    "sample_peak_dbfs": ("sample peak", "dBFS", "dBFS"),
    "true_peak_dbtp": ("true peak", "dBTP", "dBTP"),
}
_CHANNELS = {1: "mono", 2: "stereo", 3: "3 channels", 4: "4 channels", 5: "5 channels"}
_WIDTH = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="sound files: WAV, FLAC, OGG, AIFF or MP3")
    parser.add_argument(
        "--json", action="store_true", help="print JSON: a list, one object a file; null is -inf: silence"
    )


def run(args: argparse.Namespace) -> int:
    from midigen.audio import open_audio
    from midigen.errors import BadFile, BadRequest
    from midigen.loudness import measure

    files = [open_audio(path) for path in args.files]  # what cannot be read is said before anything is measured
    table = len(files) > 1 and not args.json
    name_width = max(len(str(file.path)) for file in files)
    if table:
        heads = "".join(f"{head:>{_WIDTH}}" for _, _, head in FIELDS.values())
        print(f"{'':<{name_width}}{'time':>{_WIDTH}}{heads}")
    readings = []
    for file in files:
        try:
            reading = measure(file)
        except BadRequest as error:
            raise BadFile(f"{file.path}: {error}") from None
        readings.append(_plain(file.path, file.seconds, reading))
        if table:
            values = "".join(f"{getattr(reading, field):>{_WIDTH}.1f}" for field in FIELDS)
            print(f"{file.path!s:<{name_width}}{_clock(file.seconds):>{_WIDTH}}{values}", flush=True)
        elif not args.json:
            print(f"{file.path}: {_clock(file.seconds)}, {file.rate} Hz, {_CHANNELS[file.channels]}")
            for field, (name, unit, _) in FIELDS.items():
                print(f"  {name:<20}{getattr(reading, field):>{_WIDTH}.1f} {unit}")
    if args.json:
        print(json.dumps(readings, indent=2, ensure_ascii=False, allow_nan=False))
    return 0


def _plain(path: Path, seconds: float, reading: Loudness) -> dict[str, str | float | None]:
    """A reading as JSON can hold it, which knows no infinity."""
    values = {field: getattr(reading, field) for field in FIELDS}
    kept = {field: round(value, 3) if math.isfinite(value) else None for field, value in values.items()}
    return {"file": str(path), "seconds": round(seconds, 3), **kept}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
