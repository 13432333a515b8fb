"""``midigen transcribe``"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from midigen.cli.values import given, number, whole

if TYPE_CHECKING:
    from midigen.transcribing import Transcribed

OPTIONS = ("instrument", "as_is", "tempo_qpm", "metre", "key", "quantise")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", metavar="AUDIO", nargs="+",
        help="sound files, each a song; or folders: of stems, which become the parts of one song, or of such folders",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="FILE.mid|DIR", default=None,
        help="the MIDI file, or the folder for several (default: NAME.mid in the current folder)",
    )  # fmt: skip
    group = parser.add_argument_group("what is played (whatever you leave out is found)")
    group.add_argument(
        "--instrument", metavar="NAME", default=argparse.SUPPRESS,
        help="piano, guitar or bass (default: as the file's name says, else piano)",
    )  # fmt: skip
    group.add_argument(
        "--tempo", dest="tempo_qpm", metavar="QPM", type=number, default=argparse.SUPPRESS, help="quarters a minute"
    )
    group.add_argument("--metre", metavar="N/N", default=argparse.SUPPRESS, help="such as 3/4")
    group.add_argument("--key", metavar="KEY", default=argparse.SUPPRESS, help="such as 'A minor'")
    group.add_argument(
        "--as-is", action="store_true", default=argparse.SUPPRESS, help="the recordings are clean: leave them"
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "--quantise", metavar="GRID", default=argparse.SUPPRESS,
        help="onsets and lengths on 1/4, 1/8, 1/8t, 1/16, 1/16t or 1/32, t for triplets (default: as played)",
    )  # fmt: skip
    group.add_argument("--jobs", metavar="N", type=whole, default=None, help="processes (default: one a processor)")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from midigen.transcribing import Hearing, transcribe_files

    tqdm.monitor_interval = 0
    how = Hearing(**given(args, OPTIONS))
    with tqdm(desc="Listening", unit=" songs", disable=None, leave=False, file=sys.stderr) as bar:
        done = transcribe_files(args.sources, args.output, how, jobs=args.jobs, on_song=lambda _: bar.update(1))
    for one in done:
        if one.target is not None:
            print(_said(one))
        for note in one.notes:
            print(f"  {note}")
    bad = [one for one in done if one.target is None]
    for one in bad:
        print(f"midigen: {one.error}", file=sys.stderr)
    return 2 if bad else 0


def _said(one: Transcribed) -> str:
    score = one.score
    assert score is not None
    bars = len(score.bar_starts()) - 1
    tempos = [tempo.qpm for tempo in score.tempos]
    tempo = f"{tempos[0]:.1f}" if len(tempos) == 1 else f"{min(tempos):.0f} to {max(tempos):.0f}"
    parts = ", ".join(f"{name} {count} notes" for name, _, count in one.parts)
    return f"{one.target}: {parts}; {bars} bars of {score.metres[0]} at {tempo} a minute, {score.keys[0]}"
