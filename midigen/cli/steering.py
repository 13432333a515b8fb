"""The options with which a musician steers what is written; several verbs share them."""

from __future__ import annotations

import argparse
from typing import Any

from midigen.cli.values import number, part_and_text, whole

SAMPLING_OPTIONS = ("seed", "temperature", "top_p")
TAKES_OPTIONS = ("takes", "keep_takes", "most_shared")
PART_OPTIONS = ("density", "register", "span", "program")
PLAYED_OPTIONS = ("swing", "swing_unit", "humanise")
MODEL_OPTIONS = ("checkpoint", "engine", "mode")


def add_sampling_options(group: argparse._ArgumentGroup) -> None:
    """``--seed``, ``--takes``, ``--keep-takes``, ``--temperature``, ``--top-p``."""
    group.add_argument("--seed", metavar="N", type=whole, help="the same seed and options give the same song")
    group.add_argument("--takes", metavar="N", type=whole, help="try so many, 1 to 64, and keep the best (default: 1)")
    group.add_argument(
        "--keep-takes", action="store_true", default=argparse.SUPPRESS,
        help="write the MIDI of all takes, the best first, into takes/",
    )  # fmt: skip
    group.add_argument("--temperature", metavar="T", type=number, help="above 0, up to 2: lower is safer (default: 1)")
    group.add_argument(
        "--top-p", metavar="P", type=number, help="draw from this share of the likeliest, up to 1 (default: 0.98)"
    )


def add_part_options(parser: argparse.ArgumentParser, program: bool = True) -> None:
    """What is said of single parts."""
    group = parser.add_argument_group("parts (PART is a part, or an instrument for all its parts; may be given again)")
    pairs: dict[str, Any] = {"default": argparse.SUPPRESS, "type": part_and_text, "action": "append"}
    group.add_argument(
        "--density", metavar="PART=HOW", help="sparse, medium, busy, or notes a bar: guitar=sparse", **pairs
    )
    group.add_argument(
        "--register", metavar="PART=WHERE", help="low, middle, high, or a mean pitch: piano=high, bass=G1", **pairs
    )
    group.add_argument("--range", dest="span", metavar="PART=LOW-HIGH", help="never outside: guitar=E2-E4", **pairs)
    if program:
        group.add_argument(
            "--program",
            metavar="PART=SOUND",
            help="General MIDI number or name: guitar=27, bass='acoustic bass'",
            **pairs,
        )


def add_played_options(group: argparse._ArgumentGroup) -> None:
    """How the grid is played."""
    group.add_argument("--swing", metavar="X", type=number, help="0 straight to 1 triplet feel (default: 0)")
    group.add_argument("--swing-unit", choices=("eighth", "sixteenth"), help="which notes swing (default: eighth)")
    group.add_argument(
        "--humanise", metavar="X", type=number,
        help="0 exact to 1 as loose as people play, in time and touch (default: 0)",
    )  # fmt: skip


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model writes, and how it is computed."""
    model = parser.add_argument_group("model")
    model.add_argument("--model", dest="checkpoint", metavar="NAME|PATH", help="a checkpoint (default: midigen's own)")
    model.add_argument("--engine", metavar="NAME", help="onnx, or torch with the extra 'train' (default: onnx)")
    model.add_argument(
        "--mode", choices=("fast", "exact"), help="fast: 8-bit; exact: 32-bit arithmetic (default: fast)"
    )


def bars_of(text: str) -> tuple[int, int]:
    """``"9-16"`` to (9, 16), ``"9"`` to (9, 9): first and last, counted from 1."""
    first, dash, last = text.partition("-")
    try:
        bounds = int(first), int(last if dash else first)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as FIRST-LAST, such as 9-16") from None
    if not 1 <= bounds[0] <= bounds[1]:
        raise argparse.ArgumentTypeError(f"{text!r}: bars count from 1, the first before the last")
    return bounds
