"""``midigen evaluate``"""

from __future__ import annotations

import argparse
from pathlib import Path

from midigen.cli.progress import Counter
from midigen.cli.stopping import stop_at_once
from midigen.cli.values import whole

LABELS = {
    "songs": "Measuring songs",
    "preparing": "Preparing songs",
    "loss": "Reading windows",
    "listening": "Reading pairs of parts",
    "pieces": "Composing pieces",
    "requests": "Composing what was asked for",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", nargs="?", default=None,
        help="a folder, or the name of a model that comes with midigen (default: the one that compose uses)",
    )  # fmt: skip
    parser.add_argument(
        "--songs", metavar="DIR", nargs="+", default=[],
        help="folders or archives of MIDI files that the model has not learned from; without, only pieces are measured",
    )  # fmt: skip
    parser.add_argument("--pieces", metavar="N", type=whole, help="to compose (default: 200; 0: none)")
    parser.add_argument("--bars", metavar="N", type=whole, help="of each (default: 64)")
    parser.add_argument("--windows", metavar="N", type=whole, help="of songs, for the loss (default: 200)")
    parser.add_argument(
        "--requests", metavar="N", type=whole,
        help="pieces asked for with everything drawn at random, to measure how controls are kept (default: 32)",
    )  # fmt: skip
    parser.add_argument(
        "--keep", metavar="FOLDER",
        help="keep the composed pieces here as MIDI files, and go on with those of an evaluation that was stopped",
    )  # fmt: skip
    parser.add_argument("--seed", metavar="N", type=whole, help="of the first piece (default: 0)")
    parser.add_argument("--threads", metavar="N", type=whole, help="CPU threads (default: 1)")
    parser.add_argument("-o", "--output", metavar="FOLDER", default="evaluation", help="(default: evaluation)")
    parser.add_argument("--force", action="store_true", default=False, help="replace what is in FOLDER")


def run(args: argparse.Namespace) -> int:
    stop_at_once()
    from midigen.evaluation import evaluate
    from midigen.evaluation.report import REPORT, write_report
    from midigen.folders import new_folder

    said = {
        name: vars(args)[name]
        for name in ("pieces", "bars", "windows", "requests", "seed", "threads", "keep")
        if name in args
    }
    with new_folder(Path(args.output), force=args.force) as draft:
        with Counter() as counter:
            found = evaluate(
                args.checkpoint, songs=args.songs, **said,
                on_progress=lambda stage, done, total: counter.tell(LABELS[stage], done, total),
            )  # fmt: skip
        write_report(found, draft)
    print(Path(args.output, REPORT))
    return 0
