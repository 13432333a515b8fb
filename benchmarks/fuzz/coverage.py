"""Fuzzing that is led by coverage: atheris looks for inputs that reach lines no other input has reached.

python -m benchmarks.fuzz.coverage midi -max_total_time=600 [corpus folder, and other options of libFuzzer]

Needs ``pip install atheris``. What it finds is written as ``crash-...``, ``timeout-...`` or ``oom-...`` into the
current folder: an exception that is not midigen's own, an error of several lines, ten seconds, 500 MB.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.fuzz.running import MOST_MEGABYTES, MOST_SECONDS, megabytes


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
        path = folder / reader.name
        corpus = folder / "corpus"
        corpus.mkdir()
        for number, data in enumerate(reader.seeds(folder)):
            (corpus / str(number)).write_bytes(data)
            path.write_bytes(data)
            # What is imported inside functions has to be imported here: later it would not be instrumented.
            with contextlib.suppress(MidigenError):
                reader.read(path, data)
        quoted = ("".join(f"\\x{byte:02x}" for byte in word[:60]) for word in reader.words)
        words = folder / "words.dict"
        words.write_text("".join(f'"{word}"\n' for word in quoted), encoding="ascii")

    def one(data: bytes) -> None:
        path.write_bytes(data)
        try:
            reader.read(path, data)
        except MidigenError as error:
            assert str(error) and "\n" not in str(error), "an error of several lines, or none"

    limits = [f"-timeout={MOST_SECONDS:.0f}", f"-rss_limit_mb={megabytes() + MOST_MEGABYTES:.0f}"]
    atheris.Setup([sys.argv[0], *limits, f"-dict={words}", *sys.argv[2:], str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
