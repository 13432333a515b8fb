"""Songs that benchmarks read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from midigen.corpus import find_files
from midigen.errors import MidigenError
from midigen.midi import read_midi
from midigen.score import Score


def read_scores(sources: Sequence[str]) -> Iterator[tuple[str, Score]]:
    """The MIDI files in folders and archives that can be read, each with its name."""
    for _, name, read in find_files(sources):
        try:
            yield name, read_midi(read(), name)
        except MidigenError:
            continue
