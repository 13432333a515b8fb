"""``midigen mix``"""

from __future__ import annotations

import argparse
from pathlib import Path

from midigen.cli.values import MIX_OPTIONS, add_mix_options, given


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stems", metavar="STEMS", nargs="+", help="sound files, a folder of them, or a song's folder")
    parser.add_argument(
        "-o", "--output", metavar="FILE.wav", default="mix.wav",
        help="the file to write; one that is there is replaced (default: mix.wav)",
    )  # fmt: skip
    add_mix_options(parser)


def run(args: argparse.Namespace) -> int:
    from midigen.audio import write_wav
    from midigen.cli.summary import levels
    from midigen.errors import OutputError
    from midigen.folders import writing
    from midigen.song import mix_files, stem_files

    target = Path(args.output)
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; give a file such as {target / 'mix.wav'}")
    if target.suffix.lower() != ".wav":
        raise OutputError(f"{target}: mixes are WAV files; give a name that ends in .wav")
    if target.exists() and any(target.samefile(stem) for stem in stem_files(args.stems) if stem.exists()):
        raise OutputError(f"{target}: is one of the stems; choose another name")
    if not target.parent.is_dir():
        raise OutputError(f"{target.parent}: no such folder; make it first, or choose another")
    mix = mix_files(args.stems, **given(args, MIX_OPTIONS))
    with writing(target):
        write_wav(mix.audio, target)
    heard = [strip.name for strip in mix.applied if strip.heard]
    print(f"{target}: {', '.join(heard) or 'nothing'}; {levels(mix)}")
    return 0
