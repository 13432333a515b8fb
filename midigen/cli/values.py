"""What is written on the command line, as values; and the options that several verbs share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def song_file(text: str) -> str:
    """A MIDI file; for the folder of a song, the one in it."""
    from midigen.folders import song_in

    return str(song_in(text))


def song_name(midi: str, usual: str = "song") -> str:
    """What a song is called: as its file; as its folder where that is one that compose has written."""
    path = Path(midi).absolute()
    in_folder = path.name == "song.mid" and (path.parent / "midigen.json").is_file()
    return (path.parent.name if in_folder else path.stem) or usual


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def parts_and_numbers(text: str) -> list[tuple[str, float]]:
    """``"piano=-3,bass=2"`` to ``[("piano", -3.0), ("bass", 2.0)]``."""
    pairs = []
    for pair in text.split(","):
        part, equals, value = pair.rpartition("=")
        if not equals or not part.strip():
            raise argparse.ArgumentTypeError(f"{text!r}: write it as PART=NUMBER, such as piano=-3")
        pairs.append((part.strip(), number(value)))
    return pairs


def part_and_text(text: str) -> tuple[str, str]:
    """``"bass=/path/to.sf2"`` to ``("bass", "/path/to.sf2")``."""
    part, equals, value = text.partition("=")
    if not equals or not part.strip() or not value.strip():
        raise argparse.ArgumentTypeError(f"{text!r}: write it as PART=NAME or PART=PATH")
    return part.strip(), value.strip()


def part_names(text: str) -> list[str]:
    """``"piano,bass"`` to ``["piano", "bass"]``."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("names no part")
    return names


def format_names(text: str) -> list[str]:
    """``"musicxml,rpp"`` to ``["musicxml", "rpp"]``."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("names no format")
    return names


def loudness(text: str) -> float | str:
    """``"-14"`` to -14.0; names such as ``"streaming"`` and ``"off"`` as they are."""
    try:
        return float(text)
    except ValueError:
        return text.strip().lower()


def add_mix_options(parser: argparse.ArgumentParser) -> None:
    """The mixer: ``--preset``, ``--gain``, ``--pan``, ``--mute``, ``--solo``, ``--lufs``.

    As in every group here, what is not given is left out of the result: a default has one home, the function called.
    """
    group = parser.add_argument_group("mix (PART is a part, or an instrument for all its parts; may be given again)")
    group.add_argument(
        "--preset", metavar="NAME", default=argparse.SUPPRESS,
        help="what to begin with: pop, rock, jazz-trio, ballad, or dry (balance and seats only) (default: pop)",
    )  # fmt: skip
    pairs: dict[str, Any] = {"default": argparse.SUPPRESS, "type": parts_and_numbers, "action": "extend"}
    group.add_argument("--gain", dest="gain_db", metavar="PART=DB", help="decibels: piano=-3", **pairs)
    group.add_argument("--pan", metavar="PART=SEAT", help="-1 (left) to 1 (right): guitar=0.4", **pairs)
    names: dict[str, Any] = {"default": argparse.SUPPRESS, "type": part_names, "action": "extend"}
    group.add_argument("--mute", metavar="PART", help="leave out of the mix: bass or bass,drums", **names)
    group.add_argument("--solo", metavar="PART", help="leave out all the others", **names)
    group.add_argument(
        "--lufs", dest="target_lufs", metavar="LUFS", type=loudness, default=argparse.SUPPRESS,
        help="loudness of the mix: a number, streaming (-14), podcast (-16), broadcast (-23) or off "
        "(default: the preset's, mostly -14)",
    )  # fmt: skip
    group.add_argument(
        "--auto-equaliser", action="store_true", default=argparse.SUPPRESS,
        help="let each part's own spectrum set the bands of its equaliser that are off (of --preset dry, all)",
    )  # fmt: skip


def add_soundfont_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sound")
    group.add_argument(
        "--soundfont", metavar="NAME|PATH", default=argparse.SUPPRESS,
        help="the SoundFont that plays (default: the best one found, see midigen soundfonts)",
    )  # fmt: skip
    group.add_argument(
        "--soundfont-for", metavar="PART=NAME|PATH", type=part_and_text, action="append", default=argparse.SUPPRESS,
        help="another SoundFont for one part; may be given again",
    )  # fmt: skip
    group.add_argument(
        "--sound-for", metavar="PART=SOUND", type=part_and_text, action="append", default=argparse.SUPPRESS,
        help='another sound of its SoundFont for one part: "Steel Guitar", a program (25), or bank and program (8:25); '
        "midigen soundfonts --presets lists them; may be given again",
    )  # fmt: skip


def add_output_options(parser: argparse.ArgumentParser, default: str) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", metavar="DIR", default=None, help=f"the folder to write (default: {default})")
    group.add_argument(
        "--rate", metavar="HZ", type=whole, default=argparse.SUPPRESS,
        help="frames a second: 44100, 48000 or 96000 (default: 44100)",
    )  # fmt: skip
    group.add_argument(
        "--format", metavar="FORMAT", default=argparse.SUPPRESS,
        help="of the mix: wav, flac, ogg or mp3; stems are always WAV (default: wav)",
    )  # fmt: skip
    group.add_argument(
        "--export", metavar="FORMAT", type=format_names, action="extend", default=[],
        help="also write the song as musicxml, dawproject or rpp; several: musicxml,rpp",
    )  # fmt: skip
    group.add_argument("--force", action="store_true", default=False, help="replace a song that is there already")
    group.add_argument(
        "--threads", metavar="N", type=whole, default=argparse.SUPPRESS,
        help="changes the time taken, never the sound (default: one to compose, all to render)",
    )  # fmt: skip
    group.add_argument("--timings", action="store_true", default=False, help="tell on stderr how long each stage took")


def given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Those of the options ``names`` that the user gave; pairs as mappings."""
    found: dict[str, Any] = {}
    for name in names:
        if hasattr(args, name):
            value = getattr(args, name)
            found[name] = dict(value) if name in PAIRS else value
    return found


PAIRS = ("gain_db", "pan", "soundfont_for", "sound_for", "density", "register", "span", "program")
REMIX_OPTIONS = ("preset", "gain_db", "pan", "mute", "solo", "target_lufs", "auto_equaliser", "rate")
MIX_OPTIONS = (*REMIX_OPTIONS, "format")
SOUNDFONT_OPTIONS = ("soundfont", "soundfont_for", "sound_for")


def merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``before`` with ``changes``; of pairs (gains, pans, fonts) only those that are named are changed."""
    result = dict(before)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = {**result[name], **value} if both else value
    return result
