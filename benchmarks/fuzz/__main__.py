"""``python -m benchmarks.fuzz``: see :mod:`benchmarks.fuzz`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.readers import READERS
from benchmarks.fuzz.running import fuzz


def main() -> int:
    """Fuzz the readers that are asked for; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description="Broken files against every reader.")
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)} (default: all)")
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="this one alone, here, with its traceback")
    args = parser.parse_args()
    for name in args.readers:
        if name not in READERS:
            parser.error(f"no reader {name!r}: choose from {', '.join(READERS)}")
    if args.case is not None:
        return _once(args.readers or list(READERS), args.seed, args.case)
    print("| reader | files | read | refused | seconds | more memory, MB | found |\n|---|--:|--:|--:|--:|--:|--:|")
    worst = 0
    for name in args.readers or READERS:
        began = time.monotonic()
        read, refused, memory, found = fuzz(name, args.cases, args.seed)
        spent = time.monotonic() - began
        print(
            f"| {name} | {args.cases:,} | {read:,} | {refused:,} | {spent:.0f} | {memory:.0f} | {len(found)} |",
            flush=True,
        )
        for what, count in Counter(finding.what.split(":")[0] for finding in found).most_common(20):
            one = next(finding for finding in found if finding.what.startswith(what))
            print(
                f"{count} x {one.what}; python -m benchmarks.fuzz {name} --seed {args.seed} --case {one.number}",
                file=sys.stderr,
            )
            print("".join(f"    {line}\n" for line in one.trace.splitlines()[-6:]), file=sys.stderr)
        worst = max(worst, bool(found))
    return worst


def _once(names: list[str], seed: int, number: int) -> int:
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            reader = READERS[name]
            data = mutated(reader.seeds(folder), reader.words, seed, number)
            Path(f"{name}-{number}.bin").write_bytes(data)
            path = folder / reader.name
            path.write_bytes(data)
            print(f"{name}-{number}.bin: {len(data)} bytes")
            reader.read(path, data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
