"""``midigen soundfonts``"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midigen.errors import BadRequest

if TYPE_CHECKING:
    from midigen.renderers.cache import Cache
    from midigen.soundfonts import SoundFont

AUDITION_LUFS = -20.0  # fonts differ by 10 dB and more: what is heard one after the other is to be equally loud
_BEST = ""  # --presets without a font


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Without an option: the SoundFonts found, where they are looked for, and the cache of stems."
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--presets", metavar="FONT", nargs="?", const=_BEST, default=None,
        help="list the sounds in a font (name or path; default: the best one found): bank:program and name",
    )  # fmt: skip
    what.add_argument(
        "--audition", metavar="FONT", default=None,
        help="write a short phrase for each instrument, played by a font, as WAV files",
    )  # fmt: skip
    what.add_argument("--clear-cache", action="store_true", help="forget the stems that were kept to be used again")
    parser.add_argument(
        "--preset", metavar="SOUND", default=None, help='with --audition: one sound only, "Steel Guitar", 25 or 8:25'
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", default=None,
        help="with --audition: the folder to write (default: audition- and the font's name, or the next free name)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from midigen.soundfonts import choose_soundfont

    if args.audition is None and (args.preset is not None or args.output is not None):
        option = "--preset" if args.preset is not None else "--output"
        raise BadRequest(f"{option} is for --audition: midigen soundfonts --audition FONT {option} ...")
    if args.presets is not None:
        return _list_presets(choose_soundfont(args.presets or None))
    if args.audition is not None:
        return _audition(choose_soundfont(args.audition), args.preset, args.output)
    if args.clear_cache:
        return _clear_cache()
    return _list_fonts()


def _list_fonts() -> int:
    from midigen.renderers.cache import open_cache
    from midigen.soundfonts import CURE, find_soundfonts, search_places

    fonts = find_soundfonts()
    for number, font in enumerate(fonts):
        size = f"{font.bytes / 1e6:.0f} MB"
        print(f"{font.name:<28} {size:>7}  {font.path}{'  (default)' if number == 0 else ''}")
        sounds = f"{font.presets} sound{'s' if font.presets != 1 else ''}"
        also = f"also called {', '.join(font.aliases)}" if font.aliases else ""
        licence = font.licence or "licence: the file does not say"
        print(f"{'':<28} {'':>7}  {'; '.join(text for text in (sounds, licence, also) if text)}")
    if not fonts:
        print(f"No SoundFont found; {CURE}.")
    else:
        print(
            "\nIts sounds by name: midigen soundfonts --presets FONT; to hear them: midigen soundfonts --audition FONT"
        )
    print("\nLooked for in:")
    for place in search_places():
        print(f"  {place}{'' if place.exists() else '  (not there)'}")
    print(f"\n{_about(open_cache())}")
    return 0


def _about(cache: Cache) -> str:
    from midigen.renderers.cache import ENVIRONMENT, ENVIRONMENT_GB

    if cache.folder is None:
        return f"Stems are not kept to be used again: {ENVIRONMENT} or {ENVIRONMENT_GB} is off."
    if not cache.writable():
        return f"Stems cannot be kept in {cache.folder}: let {ENVIRONMENT} name a folder that can be written."
    count, size = cache.contents()
    bound = f"at most {cache.most_bytes / 1e6:.0f} MB"
    return f"Stems to be used again: {count} of {size / 1e6:.0f} MB ({bound}) in {cache.folder}"


def _list_presets(font: SoundFont) -> int:
    from midigen.renderers.library import presets

    for preset in presets(font):
        print(f"{f'{preset.bank}:{preset.program}':>7}  {preset.name}")
    return 0


def _audition(font: SoundFont, preset: str | None, output: str | None) -> int:
    from midigen.audio import write_audio
    from midigen.folders import free_name, new_folder, writing
    from midigen.mastering import master
    from midigen.renderers.auditions import audition

    folder = Path(output) if output is not None else free_name(f"audition-{font.name}")
    with new_folder(folder) as draft, writing(folder):
        stems = audition(font, preset)
        for stem in stems:
            write_audio(master(stem.audio, target_lufs=AUDITION_LUFS).signal, draft / f"{stem.name}.wav")
    for stem in stems:
        print(f"{folder / stem.name}.wav  {stem.sound}")
    return 0


def _clear_cache() -> int:
    from midigen.renderers.cache import open_cache

    cache = open_cache()
    count, size = cache.clear()
    print(f"{count} stems of {size / 1e6:.0f} MB cleared" + (f" from {cache.folder}" if cache.folder else ""))
    return 0
