"""``midigen accompany``"""

from __future__ import annotations

import argparse

from midigen.cli.editing import add_shared_options, add_song, run_edit
from midigen.cli.values import given, part_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_song(parser)
    parser.add_argument(
        "--add", metavar="LIST", type=part_names, required=True,
        help="parts to write: from piano, guitar, bass, drums, with a role where one is wanted (guitar:rhythm)",
    )  # fmt: skip
    parser.add_argument(
        "--keep", metavar="LIST", type=part_names, help="parts of the song that stay (default: all of them)"
    )
    add_shared_options(parser, program=True)


def run(args: argparse.Namespace) -> int:
    from midigen.edits import accompany

    return run_edit(args, "accompany", accompany, given(args, ["add", "keep"]))
