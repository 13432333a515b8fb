"""What the verbs that work on a musician's own song share: their options, and the way from a request to a folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from midigen.cli.progress import Progress
from midigen.cli.steering import (
    MODEL_OPTIONS,
    PART_OPTIONS,
    SAMPLING_OPTIONS,
    TAKES_OPTIONS,
    add_model_options,
    add_part_options,
    add_sampling_options,
)
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


def add_song(parser: argparse.ArgumentParser) -> None:
    """The song, and that nothing has a default here: it has one home, the function called."""
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument(
        "midi", metavar="SONG.mid", type=song_file, help="any Standard MIDI File, or a folder that compose has written"
    )


def add_shared_options(parser: argparse.ArgumentParser, program: bool = False) -> None:
    """Chords, parts, takes, sound, mix, model and output."""
    music = parser.add_argument_group("music")
    music.add_argument("--chords", metavar="CHART|FILE", help="chords to follow, such as 'C | Am7 | F G/B | C'")
    add_part_options(parser, program=program)
    add_sampling_options(parser.add_argument_group("takes"))
    add_soundfont_options(parser)
    add_mix_options(parser)
    add_model_options(parser)
    add_output_options(parser, "named after the song and the verb, or the next free name")


def run_edit(args: argparse.Namespace, verb: str, edit: Callable[..., Any], said: Mapping[str, Any]) -> int:
    """Do it: ``edit`` is a function of :mod:`midigen.edits`, ``said`` its own arguments."""
    stop_at_once()
    with Progress(timings=args.timings) as progress:
        from midigen.cli.summary import tell
        from midigen.edits import Listener
        from midigen.exporting import formats_of
        from midigen.folders import free_name, new_folder

        names = (*SAMPLING_OPTIONS, *TAKES_OPTIONS, *PART_OPTIONS, "chords", "ending", "threads")
        options = given(args, (*names, *SOUNDFONT_OPTIONS, *MIX_OPTIONS, *MODEL_OPTIONS))
        folder = Path(args.output) if args.output is not None else free_name(f"{song_name(args.midi)}-{verb}")
        listener = Listener(progress.bar, progress.stage, progress.part)
        formats = formats_of(args.export)  # refused before anything is made
        with new_folder(folder, force=args.force) as draft:
            song = edit(args.midi, **said, listener=listener, **options)
            progress.stage("write")
            song.write_into(draft, formats)
        progress.close()
        tell(song, folder, formats)
    return 0
