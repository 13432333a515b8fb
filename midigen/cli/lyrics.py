"""``midigen lyrics``"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from midigen.cli.values import song_file

if TYPE_CHECKING:
    from midigen.lyrics import Lyrics

SUFFIXES = (".mid", ".midi", ".kar", ".lrc", ".txt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "midi", metavar="SONG.mid", type=song_file, help="any Standard MIDI File, or a folder that compose has written"
    )
    parser.add_argument(
        "words", metavar="WORDS.txt", nargs="?", default=None,
        help="what is sung, a line a phrase; without it the lyrics of the song are printed",
    )  # fmt: skip
    parser.add_argument(
        "--part", metavar="PART", default=None,
        help="who sings: a name, an instrument, or a number (default: the part that is most of a melody)",
    )  # fmt: skip
    parser.add_argument(
        "--language", metavar="CODE", default=None, help="such as en, de, pt, zh, ja (default: found in the words)"
    )
    parser.add_argument("--pinyin", action="store_true", help="write Chinese characters as pinyin")
    parser.add_argument("--replace", action="store_true", help="set new words where the part has some already")
    parser.add_argument("--marks", action="store_true", help="print with marks: - between syllables, _ for held notes")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=None,
        help="with words: the MIDI file, .kar and .lrc go beside it (default: named after the song); without: a .lrc, "
        ".kar or .txt",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace files that are there already")


def run(args: argparse.Namespace) -> int:
    return _read(args) if args.words is None else _set(args)


def _set(args: argparse.Namespace) -> int:
    from midigen.errors import BadRequest
    from midigen.lyrics import set_lyrics

    if args.marks:
        raise BadRequest("--marks prints the lyrics of a song: leave the words out")
    target = Path(args.output) if args.output is not None else _next(Path(args.midi))
    if target.suffix.lower() not in (".mid", ".midi"):
        raise BadRequest(f"{target}: with words the output is a MIDI file; give a name that ends in .mid")
    targets = [target, target.with_suffix(".kar"), target.with_suffix(".lrc")]
    for place in targets:
        _check(place, args)
    sung = set_lyrics(
        args.midi, args.words, part=args.part, language=args.language, pinyin=args.pinyin, replacing=args.replace
    )
    sung.save(target)
    print(f"{target}: {len(sung.syllables)} syllables for {sung.part}, {sung.language}")
    print(f"  {'  '.join(str(place) for place in targets[1:])}")
    for remark in sung.remarks:
        print(f"  {remark}")
    return 0


def _next(song: Path) -> Path:
    """A name after the song's, that is not taken yet."""
    name = f"{song.parent.name if song.name == 'song.mid' and song.parent.name else song.stem}-lyrics"
    path, number = Path(f"{name}.mid"), 1
    while path.exists() or path.is_symlink():
        number += 1
        path = Path(f"{name}-{number}.mid")
    return path


def _check(target: Path, args: argparse.Namespace) -> None:
    from midigen.errors import OutputError

    if target.is_dir():
        raise OutputError(f"{target}: is a folder; give a file such as {target / 'song.mid'}")
    if target.exists():
        if Path(args.midi).exists() and target.samefile(args.midi):
            raise OutputError(f"{target}: is the song itself; choose another name")
        if not args.force:
            raise OutputError(f"{target}: is there already; choose another name, or add --force to replace it")


def _read(args: argparse.Namespace) -> int:
    from midigen.errors import BadRequest
    from midigen.folders import write_beside
    from midigen.lyrics import read_lyrics

    for option in ("language", "pinyin", "replace"):
        if getattr(args, option):
            raise BadRequest(f"--{option} is for words that are set: give their file as well")
    target = Path(args.output) if args.output is not None else None
    if target is not None:
        if target.suffix.lower() not in SUFFIXES[2:]:
            raise BadRequest(
                f"{target}: lyrics are written as .lrc, .kar or .txt; give a name that ends in one of these"
            )
        _check(target, args)
    sung = _one(read_lyrics(args.midi), args.part)
    text = sung.marked if args.marks else sung.text + "\n"
    if target is None:
        sys.stdout.write(text)
        return 0
    data = {".kar": sung.kar, ".lrc": sung.lrc.encode("utf-8"), ".txt": text.encode("utf-8")}[target.suffix.lower()]
    write_beside(target, data)
    print(f"{target}: {len(sung.syllables)} syllables")
    return 0


def _one(found: list[Lyrics], part: str | None) -> Lyrics:
    """The lyrics of the part that is asked for; else the longest."""
    from midigen.errors import BadRequest

    if part is None:
        return max(found, key=lambda sung: len(sung.syllables))
    fits = [sung for sung in found if sung.part.casefold() == part.strip().casefold()]
    if not fits:
        raise BadRequest(
            f"part {part!r} has no lyrics: {', '.join(sung.part or 'a track without notes' for sung in found)} has"
        )
    return fits[0]
