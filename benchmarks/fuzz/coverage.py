"""Fuzzing that is led by coverage: atheris looks for inputs that reach lines no other input has reached.

python -m benchmarks.fuzz.coverage midi -max_total_time=600 [corpus folder, and other options of libFuzzer]

Needs ``pip install atheris``. What it finds is written as ``crash-...`` into the current folder.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Instrument midigen, then read what libFuzzer makes up, without end."""
    try:
        atheris: Any = import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris")
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    with atheris.instrument_imports(include=["midigen"]):
        from benchmarks.fuzz.readers import READERS
        from midigen.errors import MidigenError

        if name not in READERS:
            sys.exit(f"say which reader: {', '.join(READERS)}")
        reader = READERS[name]
        folder = Path(tempfile.mkdtemp())
        (folder / "corpus").mkdir()
        for number, data in enumerate(reader.seeds(folder)):
            (folder / "corpus" / str(number)).write_bytes(data)
            reader.read(folder / reader.name, data) if name == "midi" else None

    def one(data: bytes) -> None:
        path = folder / reader.name
        path.write_bytes(data)
        try:
            reader.read(path, data)
        except MidigenError as error:
            assert str(error) and "\n" not in str(error), "an error of several lines, or none"

    options = [sys.argv[0], "-timeout=10", "-rss_limit_mb=1500", *sys.argv[2:], str(folder / "corpus")]
    atheris.Setup(options, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
