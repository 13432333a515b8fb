"""The instrument table: name, General MIDI programs, playable range, seat in the mix. A new instrument is a row."""

from __future__ import annotations

from dataclasses import dataclass

from midigen.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of the table.

    ``programs`` are General MIDI programs, counted from 0. ``lowest`` and ``highest`` are MIDI pitches (0 to 127) that
    the model may write. ``slots`` is how many parts of this kind one song may have. ``level_lu`` is the instrument's
    loudness in a balanced band, in LU relative to the other instruments; ``pan`` runs from -1 (left) to 1 (right).
    ``colour`` is used in pictures.
    """

    name: str
    programs: tuple[int, ...]
    default_program: int
    lowest: int
    highest: int
    slots: int
    level_lu: float
    pan: float
    colour: str
    is_drum: bool = False


# Ranges: piano A0..C8; guitar E2 down to D2 for drop tunings, up to E6; bass B0 (five strings) to G4;
# drums are the General MIDI percussion key map with the Roland GS additions below it.
INSTRUMENTS: dict[str, Instrument] = {
    row.name: row
    for row in (
        Instrument("piano", tuple(range(0, 8)), 0, 21, 108, 2, -1.0, -0.15, "#3b6fb6"),
        Instrument("guitar", tuple(range(24, 32)), 25, 38, 88, 2, -1.5, 0.25, "#d9822b"),
        Instrument("bass", tuple(range(32, 40)), 33, 23, 67, 1, 0.0, 0.0, "#3f9142"),
        Instrument("drums", tuple(range(0, 128)), 0, 27, 87, 1, 0.5, 0.0, "#8a5aa8", is_drum=True),
    )
}
OTHER = "other"  # the kind of a part whose program belongs to no row


def instrument(name: str) -> Instrument:
    """The row called ``name``. Raises :class:`BadRequest` that lists the known names."""
    if name not in INSTRUMENTS:
        raise BadRequest(f"unknown part {name!r}: choose from {', '.join(INSTRUMENTS)}")
    return INSTRUMENTS[name]


def kind_of(program: int, is_drum: bool) -> str:
    """The name of the row that a General MIDI ``program`` (0 to 127) belongs to, or ``"other"``."""
    if is_drum:
        return "drums"
    for row in INSTRUMENTS.values():
        if not row.is_drum and program in row.programs:
            return row.name
    return OTHER
