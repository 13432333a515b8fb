"""``midigen pack``"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from midigen.cli.values import whole
from midigen.errors import BadFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a training run, or a checkpoint in 8 bits")
    parser.add_argument("--corpus", metavar="CORPUS", required=True, help="the prepared corpus it was trained on")
    parser.add_argument(
        "-o", "--output", metavar="DIR", default=None,
        help="the checkpoint to write (default: midigen's own, replaced: what compose uses from then on)",
    )  # fmt: skip
    parser.add_argument("--name", default=None, help="what the model card calls it (default: as before, or midigen)")
    parser.add_argument("--about", metavar="FILE", default=None, help="Markdown for the card: data and rights")
    parser.add_argument("--windows", metavar="N", type=whole, default=200, help="to measure the loss on (default: 200)")
    parser.add_argument("--threads", metavar="N", type=whole, default=None, help="CPU threads")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from midigen.checkpoint import default_checkpoint_path
    from midigen.packing import pack

    about = ""
    if args.about:
        try:
            about = Path(args.about).read_text(encoding="utf-8")
        except OSError as error:
            raise BadFile(f"{args.about}: cannot be read ({error.strerror}); give a Markdown file") from None
        except UnicodeDecodeError:
            raise BadFile(f"{args.about}: is not text in UTF-8; give a Markdown file") from None
    output = args.output or default_checkpoint_path()
    tqdm.monitor_interval = 0
    with tqdm(desc="Rounding", unit=" matrices", disable=None, leave=False, file=sys.stderr) as bar:

        def on_rounded(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        losses = pack(
            args.run, output, args.corpus, name=args.name, about=about, windows=args.windows, threads=args.threads,
            on_rounded=on_rounded,
        )  # fmt: skip
    for kind, values in losses.items():
        print(f"{kind}: {values['per_note']:.4f} nats a note on validation songs")
    print(f"Checkpoint: {output}")
    return 0
