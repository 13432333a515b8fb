"""``midigen harmonise``"""

from __future__ import annotations

import argparse

from midigen.cli.editing import add_shared_options, add_song, run_edit
from midigen.cli.values import given, part_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_song(parser)
    parser.add_argument("--melody", metavar="PART", help="the part to harmonise (default: the whole file)")
    parser.add_argument("--add", metavar="LIST", type=part_names, help="the band (default: piano,guitar,bass)")
    add_shared_options(parser, program=True)


def run(args: argparse.Namespace) -> int:
    from midigen.edits import harmonise

    return run_edit(args, "harmonise", harmonise, given(args, ["melody", "add"]))
