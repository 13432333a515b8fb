"""``midigen continue``"""

from __future__ import annotations

import argparse

from midigen.cli.editing import add_shared_options, add_song, run_edit
from midigen.cli.values import given, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_song(parser)
    parser.add_argument("--bars", metavar="N", type=whole, help="how many more, 1 to 512 (default: 16)")
    parser.add_argument("--ending", choices=("close", "open"), help="how the last bar ends (default: close)")
    add_shared_options(parser)


def run(args: argparse.Namespace) -> int:
    from midigen.edits import continue_song

    return run_edit(args, "continue", continue_song, given(args, ["bars"]))
