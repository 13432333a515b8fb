"""``midigen infill``"""

from __future__ import annotations

import argparse

from midigen.cli.editing import add_shared_options, add_song, run_edit
from midigen.cli.steering import bars_of
from midigen.cli.values import given, part_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_song(parser)
    parser.add_argument("--bars", metavar="FIRST-LAST", type=bars_of, required=True, help="such as 9-16")
    parser.add_argument(
        "--parts", metavar="LIST", type=part_names,
        help="by name, instrument, or number in the file (default: every piano, guitar, bass and drum part)",
    )  # fmt: skip
    add_shared_options(parser)


def run(args: argparse.Namespace) -> int:
    from midigen.edits import infill

    return run_edit(args, "infill", infill, given(args, ["bars", "parts"]))
