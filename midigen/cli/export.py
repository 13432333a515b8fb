"""``midigen export``"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "song", metavar="SONG", help="any Standard MIDI File, or a folder that compose has written (with its stems)"
    )
    parser.add_argument(
        "--to", metavar="FORMAT", default=None,
        help="musicxml (notation), dawproject (Bitwig Studio, Studio One, Cubase) or rpp (REAPER) "
        "(default: as the suffix of the output says)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=None,
        help="one that is there is replaced (default: in the song's folder, or beside the MIDI file)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from midigen.exporting import export

    written = export(args.song, args.output, to=args.to)
    print(f"{written}: {_size(written)}")
    return 0


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size // 1000, 1)} kB"
