"""``midigen clean``"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from midigen.cli.values import given, number, whole

if TYPE_CHECKING:
    from midigen.restoring import CleanedFile

OPTIONS = ("format", "noise", "noise_span", "force", "jobs", "rate", "target_lufs", "reduction_db", "trim", "hum")
COLUMNS = (("offset", "offset", 4), ("floor_dbfs", "floor dBFS", 1), ("snr_db", "SNR dB", 1),
           ("integrated_lufs", "LUFS", 1), ("sample_peak_dbfs", "dBFS", 1), ("true_peak_dbtp", "dBTP", 1))  # fmt: skip
_WIDTH = 17


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="AUDIO", nargs="+", help="sound files, or folders of them")
    parser.add_argument(
        "-o", "--output", metavar="DIR", default="cleaned", help="the folder to write (default: cleaned)"
    )
    group = parser.add_argument_group("noise (default: found in the lead-in or where it is quietest)")
    group.add_argument(
        "--noise", metavar="FILE", default=argparse.SUPPRESS, help="a recording of nothing but the noise"
    )
    group.add_argument(
        "--noise-from", dest="noise_span", metavar="START-END", type=_span, default=argparse.SUPPRESS,
        help="where in the recording there is nothing else, in seconds: 0-0.8",
    )  # fmt: skip
    group.add_argument(
        "--reduction", dest="reduction_db", metavar="DB", type=number, default=argparse.SUPPRESS,
        help="how far noise is turned down at most, 0 to 80; 0 leaves it (default: 30)",
    )  # fmt: skip
    group.add_argument(
        "--keep-hum", dest="hum", action="store_false", default=argparse.SUPPRESS, help="leave mains hum"
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "--keep-start", dest="trim", action="store_false", default=argparse.SUPPRESS,
        help="leave the silence before the first note",
    )  # fmt: skip
    group.add_argument(
        "--rate", metavar="HZ", type=whole, default=argparse.SUPPRESS,
        help="frames a second, such as 44100 (default: the recording's)",
    )  # fmt: skip
    group.add_argument(
        "--lufs", dest="target_lufs", metavar="LUFS", type=_loudness, default=argparse.SUPPRESS,
        help="integrated loudness, as far as peaks stay under -1 dBTP, or off (default: -18)",
    )  # fmt: skip
    group.add_argument(
        "--format", metavar="FORMAT", default=argparse.SUPPRESS, help="wav, flac, ogg or mp3 (default: wav)"
    )
    group.add_argument("--force", action="store_true", default=argparse.SUPPRESS, help="replace files that are there")
    group.add_argument(
        "--jobs", metavar="N", type=whole, default=argparse.SUPPRESS, help="processes (default: one a processor)"
    )


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from midigen.restoring import REPORT, clean_files

    tqdm.monitor_interval = 0
    with tqdm(desc="Cleaning", unit=" files", disable=None, leave=False, file=sys.stderr) as bar:
        done = clean_files(args.sources, args.output, on_file=lambda _: bar.update(1), **given(args, OPTIONS))
    good = [one for one in done if one.target is not None]
    if good:
        width = max(len(str(one.target)) for one in good)
        heads = "".join(f"{head:>{_WIDTH}}" for _, head, _ in COLUMNS)
        print(f"{'':<{width}}{heads}  hum    noise from")
        for one in good:
            print(f"{one.target!s:<{width}}{_cells(one)}  {one.hum or '-':<5}  {one.noise}")
        print(f"Pictures beside the files; all numbers: {args.output}/{REPORT}")
    bad = [one for one in done if one.target is None]
    for one in bad:
        print(f"midigen: {one.error}", file=sys.stderr)
    return 2 if bad else 0


def _cells(one: CleanedFile) -> str:
    assert one.before is not None and one.after is not None
    cells = []
    for key, _, digits in COLUMNS:
        pair = [_said(side[key], digits) for side in (one.before, one.after)]
        cells.append(f"{' > '.join(pair):>{_WIDTH}}")
    return "".join(cells)


def _said(value: float | None, digits: int) -> str:
    return "silent" if value is None else f"{value:.{digits}f}".replace("-0.0000", "0.0000")


def _span(text: str) -> tuple[float, float]:
    first, dash, last = text.partition("-")
    if not dash or not last:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as START-END in seconds, such as 0-0.8")
    return number(first), number(last)


def _loudness(text: str) -> float | None:
    return None if text.strip().lower() == "off" else number(text)
