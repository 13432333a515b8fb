"""``midigen mix``"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midigen.cli.values import REMIX_OPTIONS, add_mix_options, given, whole

if TYPE_CHECKING:
    from midigen.renderers import Stem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "stems", metavar="STEMS", nargs="+", help="sound files, a folder of them, a song's folder, or a mix.toml"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="mix.wav",
        help="the file to write, .wav, .flac, .ogg or .mp3; one that is there is replaced (default: mix.wav)",
    )  # fmt: skip
    parser.add_argument(
        "--bits", metavar="N", type=whole, default=None,
        help="16, 24 or 32 (floating point, .wav only) (default: 24; for --stems 32)",
    )  # fmt: skip
    parser.add_argument(
        "--rate", metavar="HZ", type=whole, default=argparse.SUPPRESS,
        help="frames a second, such as 48000 (default: the highest of the stems')",
    )  # fmt: skip
    parser.add_argument(
        "--stems", dest="stems_folder", metavar="DIR", default=None,
        help="also write what is heard of each part, and of reverb and delay, to files that add up to the mix before "
        "its master",
    )  # fmt: skip
    picture = parser.add_mutually_exclusive_group()
    picture.add_argument(
        "--picture", metavar="FILE.png", default=None,
        help="where the mix is drawn (default: beside it, by its name, unless another's picture is there)",
    )  # fmt: skip
    picture.add_argument("--no-picture", action="store_true", help="do not draw the mix")
    parser.add_argument("--title", default=None, help="of the song, for the tags (default: the mix.toml's)")
    parser.add_argument("--artist", default=None, help="for the tags, too (default: the mix.toml's)")
    parser.add_argument(
        "--save", metavar="FILE.toml", default=None, help="also write the mix as a mix.toml, to be edited and run again"
    )
    add_mix_options(parser)


def run(args: argparse.Namespace) -> int:
    from midigen.audio import Tags, check_sound_file, write_audio
    from midigen.cli.summary import levels
    from midigen.folders import writing
    from midigen.mixdown import open_stems, placed
    from midigen.mixing import export_stems, mix

    options = given(args, REMIX_OPTIONS)
    stems, session = open_stems(args.stems, **{name: options[name] for name in options if name != "rate"})
    named = {name: getattr(args, name) for name in ("title", "artist") if getattr(args, name) is not None}
    session = replace(session, **named)
    target = _target(args.output, "mix.wav")
    rate = options.get("rate", max(stem.audio.rate for stem in stems))
    bits = 24 if args.bits is None else args.bits
    check_sound_file(target, rate, 2, bits)
    _check_places(args, target, stems)
    mixed = mix(stems, session, rate=rate)
    with writing(target):
        tags = Tags(title=session.title, artist=session.artist)
        write_audio(mixed.signal, target, bits, tags, loudness=mixed.loudness)
    heard = [strip.name for strip in mixed.applied if strip.heard]
    print(f"{target}: {', '.join(heard)}; {levels(mixed)}")
    picture = target.with_suffix(".png") if args.picture is None else Path(args.picture)
    if args.picture is None and not args.no_picture and _of_others(picture):
        print(f"{picture} is there and none of midigen's: not drawn; --picture FILE.png names another")
    elif not args.no_picture:
        from midigen.song import mix_picture

        with writing(picture):
            picture.write_bytes(mix_picture(mixed, session.title or target.name))
        print(picture)
    if args.stems_folder is not None:
        with writing(Path(args.stems_folder)):
            paths = export_stems(stems, session, args.stems_folder, bits=args.bits or 32, rate=rate)
        print(f"{args.stems_folder}: {', '.join(path.name for path in paths)}")
    if args.save is not None:
        from midigen.session.files import write_session

        path = Path(args.save)
        print(write_session(placed(mixed.session, stems, path.parent), path))
    return 0


def _of_others(picture: Path) -> bool:
    """Whether there is a file that must not be replaced unasked: anything but a picture that midigen has drawn."""
    from midigen.pictures import MADE_BY

    if not picture.exists():
        return False
    if not picture.is_file():
        return True
    with picture.open("rb") as file:
        return f"Software\0{MADE_BY}".encode() not in file.read(512)


def _target(text: str, example: str) -> Path:
    """A file to be written: in a folder that is there, and no folder itself."""
    from midigen.errors import OutputError

    target = Path(text)
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; give a file such as {target / example}")
    if not target.parent.is_dir():
        raise OutputError(f"{target.parent}: no such folder; make it first, or choose another")
    return target


def _check_places(args: argparse.Namespace, target: Path, stems: list[Stem]) -> None:
    """Refuse what would be written over the stems, or could not be written, before the work."""
    from midigen.errors import OutputError

    paths: list[Path] = [_path_of(stem.audio) for stem in stems]
    if target.exists() and any(target.samefile(path) for path in paths):
        raise OutputError(f"{target}: is one of the stems; choose another name")
    folder = None if args.stems_folder is None else Path(args.stems_folder)
    if folder is not None and folder.exists():
        if not folder.is_dir():
            raise OutputError(f"{folder}: is a file; choose another folder")
        if any(folder.samefile(path.parent) for path in paths):
            raise OutputError(f"{folder}: holds the stems that are mixed; choose another folder")
    for text, suffix in ((args.picture, ".png"), (args.save, ".toml")):
        if text is not None and _target(text, f"mix{suffix}").suffix.lower() != suffix:
            raise OutputError(f"{text}: give a name that ends in {suffix}")


def _path_of(sound: Any) -> Path:
    return Path(sound.path)
