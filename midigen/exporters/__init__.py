"""What a song can be handed on as: a shelf of formats, and a song as they are given it.

A :class:`Project` is a song laid out for another program: its score, and for every part a strip with its stem, how it
is balanced and what its channel is set to. An exporter writes one file of it. Another package adds a format with an
entry point in the group ``midigen.exporters``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from midigen.audio import AudioFile
from midigen.instruments import INSTRUMENTS
from midigen.plugins import Shelf
from midigen.score import Part, Score
from midigen.session import Channel

EXPORTERS = Shelf(
    "exporter",
    {
        "musicxml": "midigen.exporters.musicxml:MusicXML",
        "dawproject": "midigen.exporters.dawproject:DAWproject",
        "rpp": "midigen.exporters.rpp:Rpp",
    },
)
OTHER_COLOUR = "#7a828e"


@dataclass(frozen=True, eq=False)
class Strip:
    """A part on its way to a studio: its notes (``part``), its sound (``stem``, before the mixer), or both.

    ``trim_db`` is what brings the stem to its place in a balanced band, so that the gain of its ``channel`` means the
    same as in ``mix.toml``.
    """

    name: str
    kind: str
    channel: Channel = field(default_factory=Channel)
    part: Part | None = None
    stem: AudioFile | None = None
    trim_db: float = 0.0

    @property
    def pan(self) -> float:
        return self.channel.pan or 0.0

    @property
    def colour(self) -> str:
        """As ``#rrggbb``: that of its instrument in midigen's pictures."""
        return INSTRUMENTS[self.kind].colour if self.kind in INSTRUMENTS else OTHER_COLOUR


@dataclass(frozen=True, eq=False)
class Project:
    """A song to be exported: ``score`` with the names of its parts, chords and lyrics, and a strip for each part."""

    score: Score
    strips: tuple[Strip, ...] = ()

    @property
    def title(self) -> str:
        return self.score.title or "midigen"

    @property
    def seconds(self) -> float:
        """To the end of the music, or of the longest stem's."""
        stems = [strip.stem.seconds for strip in self.strips if strip.stem is not None]
        return max([self.score.duration_seconds, *stems])


class Exporter(Protocol):
    """What stands on the shelf, and is called without arguments to get one.

    ``suffixes`` are those of its files, the usual one first; ``wants_stems`` says whether stems are to be opened and
    measured for it.
    """

    suffixes: tuple[str, ...]
    wants_stems: bool

    def check(self) -> None:
        """Raise :class:`midigen.errors.MissingTool` where a library that it needs is not installed."""
        ...

    def write(self, project: Project, path: Path, place: Path) -> None:
        """Write ``project`` to ``path``, which is renamed to ``place`` when all is well.

        The same project makes the same bytes. Raises :class:`midigen.errors.MidigenError`.
        """
        ...


def plain_tempo(qpm: float) -> float:
    """A tempo without what a MIDI file's whole microseconds left of it: 86 for 86.000052."""
    short = round(qpm, 2)
    return short if short > 0 and round(6e7 / short) == round(6e7 / qpm) else qpm
