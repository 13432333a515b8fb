"""``midigen profile``"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midigen.renderers import Stem
    from midigen.soundfonts import SoundFont

FONT_SUFFIXES = (".sf2", ".sf3")
SOUND_SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3", ".toml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", metavar="STEM|FONT", nargs="+",
        help="sound files, folders of them, songs' folders; or SoundFonts, by name or path",
    )  # fmt: skip
    parser.add_argument(
        "--part", metavar="PART", default=None,
        help="the instrument: piano, guitar, bass or drums (default: of a SoundFont all four, of a sound file what "
        "its name tells)",
    )  # fmt: skip
    parser.add_argument(
        "--preset", metavar="PRESET", default=None,
        help="the sound in the SoundFont, by name, program (25) or bank and program (8:25); with --part",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="DIR", default=None,
        help="also write a picture (.png) and the numbers (.json) of each profile into this folder; files that are "
        "there are replaced",
    )  # fmt: skip


@dataclass(frozen=True)
class _Described:
    """A profile, ready to be told: the name of its files, its lines, its numbers, and what draws it."""

    name: str
    headline: str
    facts: Sequence[tuple[str, str]]
    numbers: dict[str, Any]
    draw: Callable[[IO[bytes]], None]


def run(args: argparse.Namespace) -> int:
    from midigen.errors import BadRequest, OutputError
    from midigen.instruments import instrument

    if args.part is not None:
        instrument(args.part)  # raises for what is none
    if args.preset is not None and args.part is None:
        raise BadRequest(f"--preset {args.preset} without --part: say which instrument it is to play")
    folder = None if args.output is None else Path(args.output)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; give a folder")
    opened = [_opened(source, args) for source in args.sources]  # what cannot be read is said before the work
    names: set[str] = set()
    for sounds in opened:
        for sound in sounds:
            for described in sound():
                print(described.headline)
                for name, value in described.facts:
                    print(f"  {name:<24}{value}")
                if folder is not None:
                    _write(described, folder, names)
    return 0


def _opened(source: str, args: argparse.Namespace) -> list[Callable[[], Iterator[_Described]]]:
    """What ``source`` stands for, each to be profiled when it is called."""
    from midigen.errors import BadRequest
    from midigen.instruments import INSTRUMENTS
    from midigen.mixdown import open_stems
    from midigen.soundfonts import choose_soundfont

    path = Path(source)
    if _is_font(path):
        font = choose_soundfont(source)
        parts = [args.part] if args.part is not None else list(INSTRUMENTS)
        return [partial(_of_font, font, part, args.preset, sure=args.part is not None) for part in parts]
    if args.preset is not None:
        raise BadRequest(f"--preset {args.preset} for {source}: a sound file has none; leave it out")
    stems, _ = open_stems([source])
    return [partial(_of_stem, stem, args.part or stem.kind) for stem in stems]


def _is_font(path: Path) -> bool:
    """Whether a source is meant as a SoundFont: by its ending or its first bytes, or as a name of no file."""
    if path.suffix.lower() in FONT_SUFFIXES:
        return True
    if path.is_dir():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return path.suffix.lower() not in SOUND_SUFFIXES
    return head[:4] == b"RIFF" and head[8:12] == b"sfbk"


def _of_stem(stem: Stem, kind: str) -> Iterator[_Described]:
    from midigen.portraits import stem_sheet
    from midigen.profiles import profile_of
    from midigen.profiles.equalising import suggest_equaliser

    profile = profile_of(stem.audio)
    sheet = stem_sheet(profile, stem.name, kind)

    def draw(target: IO[bytes]) -> None:
        from midigen.pictures import draw_profile

        draw_profile(sheet, target)

    suggestion = suggest_equaliser(profile, kind)
    equaliser = {**suggestion.settings(), "reasons": list(suggestion.reasons)}
    numbers = {"name": stem.name, "part": kind, **profile.to_dict(), "suggested_equaliser": equaliser}
    yield _Described(stem.name, f"{stem.name}: {', '.join(sheet.headline)}", sheet.facts, numbers, draw)


def _of_font(font: SoundFont, part: str, preset: str | None, *, sure: bool) -> Iterator[_Described]:
    """One profile, or none where the font has no such instrument and nobody asked for that one."""
    from midigen.errors import BadRequest
    from midigen.portraits import font_sheet
    from midigen.profiles.fonts import profile_of_font

    try:
        profile = profile_of_font(font, part, preset)
    except BadRequest as error:
        if sure:
            raise
        print(f"{font.name}, {part}: left out: {error}")
        return
    sheet = font_sheet(profile)

    def draw(target: IO[bytes]) -> None:
        from midigen.pictures import draw_font_profile

        draw_font_profile(sheet, target)

    yield _Described(
        f"{font.name}-{part}", f"{font.name}, {part}: {', '.join(sheet.headline)}", sheet.facts, profile.to_dict(), draw
    )


def _write(described: _Described, folder: Path, taken: set[str]) -> None:
    """The picture and the numbers, under a name that this run has not used yet."""
    import io
    import json
    import os
    import re

    from midigen.folders import writing

    name = first = re.sub(r'[\x00-\x1f/\\:*?"<>|]+', "-", described.name).strip(" .") or "profile"
    number = 1
    while name in taken:
        number += 1
        name = f"{first}-{number}"
    taken.add(name)
    picture = io.BytesIO()
    described.draw(picture)
    text = json.dumps(described.numbers, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in ((folder / f"{name}.png", picture.getvalue()), (folder / f"{name}.json", text.encode())):
            beside = path.with_name(f"{path.name}.part")
            beside.write_bytes(data)
            os.replace(beside, path)
            print(f"  {path}")
