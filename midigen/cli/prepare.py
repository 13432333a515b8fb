"""``midigen prepare``"""

from __future__ import annotations

import argparse
import sys
import time

from midigen.cli.values import number, part_and_text, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help="folders or archives (.tar.xz, .zip ...) of MIDI")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="the prepared corpus, such as data/songs")
    parser.add_argument(
        "--validation", metavar="SOURCE", action="append", default=[],
        help="songs to validate on, kept apart; may be given again (default: a share of the others)",
    )  # fmt: skip
    parser.add_argument(
        "--validation-share", metavar="SHARE", type=number, default=0.02, help="where none are given (default: 0.02)"
    )
    parser.add_argument(
        "--weight", metavar="NAME=W", type=part_and_text, action="append", default=[],
        help="how often songs of a source, or of a file name's beginning before __, are drawn (1 is usual, 0 never)",
    )  # fmt: skip
    parser.add_argument(
        "--note-tokens", metavar="NAME", default="running",
        help="how notes are spelled: running, pair, or (to measure only) attribute, joined (default: running)",
    )  # fmt: skip
    parser.add_argument("--jobs", metavar="N", type=whole, default=None, help="processes (default: one a core)")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from midigen.corpus import prepare

    weights = {name: number(value) for name, value in args.weight}
    tqdm.monitor_interval = 0
    began = time.monotonic()
    with tqdm(unit=" files", disable=None, leave=False, file=sys.stderr) as bar:
        report = prepare(
            args.sources, args.output, validation=args.validation, validation_share=args.validation_share,
            weights=weights, note_tokens=args.note_tokens, jobs=args.jobs,
            on_files=lambda done: bar.update(done - bar.n),
        )  # fmt: skip
    files = sum(report.kept.values()) + sum(report.refused.values())
    minutes = max((time.monotonic() - began) / 60, 1e-9)
    print(f"{files:>8,} files, {files / minutes:,.0f} a minute")
    for split, count in report.kept.items():
        print(f"{count:>8,} kept for {split}")
    for reason, count in report.refused.items():
        print(f"{count:>8,} refused: {reason}")
    print(f"{report.notes:>8,} notes, {report.tokens:,} tokens in {report.shards} shards")
    print(f"Every file and what became of it: {report.table}")
    return 0
