"""``midigen render``"""

from __future__ import annotations

import argparse
from pathlib import Path

from midigen.cli.progress import Progress
from midigen.cli.stopping import stop_at_once
from midigen.cli.values import (
    MIX_OPTIONS,
    SOUNDFONT_OPTIONS,
    add_mix_options,
    add_output_options,
    add_soundfont_options,
    given,
    song_file,
    song_name,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "midi", metavar="FILE.mid", type=song_file, help="any Standard MIDI File, or a folder that compose has written"
    )
    add_soundfont_options(parser)
    add_mix_options(parser)
    add_output_options(parser, "named after the file, or the next free name")


def run(args: argparse.Namespace) -> int:
    stop_at_once()
    with Progress(timings=args.timings) as progress:
        return _render(args, progress)


def _render(args: argparse.Namespace, progress: Progress) -> int:
    from midigen.cli.summary import tell
    from midigen.exporting import formats_of
    from midigen.folders import free_name, new_folder
    from midigen.song import render_midi

    folder = Path(args.output) if args.output is not None else free_name(song_name(args.midi))
    formats = formats_of(args.export)  # refused before anything is made
    with new_folder(folder, force=args.force) as draft:
        song = render_midi(
            args.midi, **given(args, [*SOUNDFONT_OPTIONS, *MIX_OPTIONS, "threads"]),
            on_stage=progress.stage, on_part=progress.part,
        )  # fmt: skip
        progress.stage("write")
        song.write_into(draft, formats)
    progress.close()
    tell(song, folder, formats)
    return 0
