"""The one table of tokens. Everything else about tokens is derived from it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from midigen.analysis import FORM_DISTANCES, NO_CHORD, QUALITY_NAMES
from midigen.errors import BadRequest, CheckpointError
from midigen.grid import DURATIONS, LONGEST_BAR, METRES, VELOCITY_BINS
from midigen.instruments import INSTRUMENTS

MOST_BARS = 64  # in one window
LANES = tuple((row.name, slot) for row in INSTRUMENTS.values() for slot in range(row.slots))
SPECIALS = ("pad", "start", "fill", "end", "unset")
PAD, START, FILL, END, UNSET = range(len(SPECIALS))
LOWEST_PITCH, HIGHEST_PITCH = 21, 108
LOWEST_DRUM, HIGHEST_DRUM = INSTRUMENTS["drums"].lowest, INSTRUMENTS["drums"].highest

# Note spellings that were compared before the first checkpoint (docs/lab-book.md has the numbers).
NOTE_TOKENS = ("attribute", "pair", "running", "joined")

# Tempo bins: quarters a minute, evenly spaced on a logarithmic scale (each about 7 % wide).
TEMPO_EDGES = np.geomspace(35, 260, 31)
DENSITY_EDGES = np.array([0.5, 1.5, 3, 5, 7, 10, 14, 20, 30])  # notes a bar
POLYPHONY_EDGES = np.array([1.05, 1.5, 2.2, 3, 4])  # notes an onset
REGISTER_EDGES = np.arange(34, 84, 6)  # mean pitch


class Vocabulary:
    """Blocks of consecutive ids, one block a type of token.

    ``note_tokens`` chooses how a note is spelled: ``"attribute"`` (position where it changes, velocity, duration,
    pitch), ``"pair"`` (velocity and duration in one token), ``"running"`` (the pair only where it changes, as in
    MIDI's running status), or ``"joined"`` (running, with position and pitch in one token).
    """

    def __init__(self, note_tokens: str = "running") -> None:
        if note_tokens not in NOTE_TOKENS:
            raise BadRequest(f"note tokens {note_tokens!r}: choose one of {', '.join(NOTE_TOKENS)}")
        self.note_tokens = note_tokens
        self._transpositions: dict[tuple[int, str], np.ndarray] = {}
        drums = HIGHEST_DRUM - LOWEST_DRUM + 1
        pitches = HIGHEST_PITCH - LOWEST_PITCH + 1
        sizes = {
            "special": len(SPECIALS),
            "metre": len(METRES),
            "tempo": len(TEMPO_EDGES) + 1,
            "key": 24,
            "opening": 2,  # whether the window begins the piece
            "bars": MOST_BARS,
            "lane": 2 + len(LANES),  # form, harmony, parts
            "program": 128,
            "density": len(DENSITY_EDGES) + 1,
            "polyphony": len(POLYPHONY_EDGES) + 1,
            "register": len(REGISTER_EDGES) + 1,
            "bar": MOST_BARS,
            "left": MOST_BARS + 1,  # bars that follow in the piece; the last value is "that many or more"
            "form": 1 + 2 * len(FORM_DISTANCES),  # new, then (same, varied) for each distance
            "chord": 1 + 12 * len(QUALITY_NAMES),  # no chord, then root by quality
            "chord_bass": 12,
            "position": LONGEST_BAR,
            "drum_velocity": VELOCITY_BINS,
        }
        if note_tokens == "attribute":
            sizes |= {"velocity": VELOCITY_BINS, "duration": len(DURATIONS)}
        else:
            sizes |= {"touch": VELOCITY_BINS * len(DURATIONS)}  # velocity by duration
        if note_tokens == "joined":
            sizes |= {"pitch": LONGEST_BAR * pitches, "drum": LONGEST_BAR * drums}
        else:
            sizes |= {"pitch": pitches, "drum": drums}
        self.first: dict[str, int] = {}
        self.sizes = sizes
        at = 0
        for name, size in sizes.items():
            self.first[name] = at
            at += size
        self.size = at

    def id(self, kind: str, value: int) -> int:
        """The id of the token of type ``kind`` with ``value`` (from 0)."""
        if not 0 <= value < self.sizes[kind]:
            raise BadRequest(f"token {kind} {value}: values run from 0 to {self.sizes[kind] - 1}")
        return self.first[kind] + int(value)

    def ids(self, kind: str) -> range:
        """All ids of one type."""
        return range(self.first[kind], self.first[kind] + self.sizes[kind])

    def value(self, token: int) -> tuple[str, int]:
        """Type and value of an id."""
        kind = self._kinds[token]
        return kind, int(token) - self.first[kind]

    def name(self, token: int) -> str:
        """A readable, unique name: ``Pitch_60``."""
        kind, value = self.value(token)
        if kind == "special":
            return f"{SPECIALS[value].upper()}_None"  # as miditok names special tokens
        return f"{''.join(word.capitalize() for word in kind.split('_'))}_{value}"

    @cached_property
    def _kinds(self) -> list[str]:
        return [kind for kind, size in self.sizes.items() for _ in range(size)]

    def mask(self, kind: str) -> np.ndarray:
        """``(size,)`` bool: true for ids of one type."""
        out = np.zeros(self.size, dtype=bool)
        out[self.first[kind] : self.first[kind] + self.sizes[kind]] = True
        return out

    @cached_property
    def ends_note(self) -> np.ndarray:
        """``(size,)`` bool: tokens that complete a note (every note has exactly one)."""
        return self.mask("pitch") | self.mask("drum")

    @cached_property
    def opens(self) -> np.ndarray:
        """``(size,)`` bool: tokens that open a bar or a cell, or end the window. Not to be written to."""
        mask = self.mask("lane") | self.mask("bar")
        mask[END] = True
        mask.flags.writeable = False
        return mask

    def lane(self, kind: str, slot: int) -> int:
        """The id that opens a cell of a part's lane."""
        return self.id("lane", 2 + LANES.index((kind, slot)))

    @property
    def form_lane(self) -> int:
        """The id that says, in the header, that there is a form lane."""
        return self.id("lane", 0)

    @property
    def harmony_lane(self) -> int:
        """The id that opens a harmony cell, and says in the header that there is a harmony lane."""
        return self.id("lane", 1)

    def chord(self, root: int, quality: str) -> int:
        """The id of a chord; ``root`` 0..11 or ``NO_CHORD``."""
        return self.id("chord", 0 if root == NO_CHORD else 1 + QUALITY_NAMES.index(quality) * 12 + root)

    def chord_of(self, token: int) -> tuple[int, str]:
        """Root and quality of a chord's id."""
        value = token - self.first["chord"]
        return (NO_CHORD, "") if value == 0 else ((value - 1) % 12, QUALITY_NAMES[(value - 1) // 12])

    def key(self, tonic: int, mode: str) -> int:
        """The id of a key; ``tonic`` 0..11, ``mode`` major or minor."""
        return self.id("key", tonic + (12 if mode == "minor" else 0))

    def transposition(self, semitones: int, kind: str) -> np.ndarray:
        """``(size,)`` int32: each id moved by ``semitones``; -1 where the pitch leaves the range of ``kind``.

        Of the kind "pitched" the range is all that has a token; of "drums" and of other words no pitch is moved. Not to
        be written to: who asks again gets the same.
        """
        if (semitones, kind) in self._transpositions:
            return self._transpositions[semitones, kind]
        table = np.arange(self.size, dtype=np.int32)
        for name in ("key", "chord_bass", "chord"):
            first = self.first[name] + (1 if name == "chord" else 0)
            values = np.arange(self.first[name] + self.sizes[name] - first)
            table[first + values] = first + values // 12 * 12 + (values % 12 + semitones) % 12
        if kind == "pitched" or (kind != "drums" and kind in INSTRUMENTS):
            lowest, highest = LOWEST_PITCH, HIGHEST_PITCH
            if kind in INSTRUMENTS:
                lowest, highest = INSTRUMENTS[kind].lowest, INSTRUMENTS[kind].highest
            values = np.arange(self.sizes["pitch"])
            pitch = values % (HIGHEST_PITCH - LOWEST_PITCH + 1) + LOWEST_PITCH + semitones
            moved = self.first["pitch"] + values + semitones
            table[self.first["pitch"] + values] = np.where((pitch >= lowest) & (pitch <= highest), moved, -1)
        table.flags.writeable = False
        self._transpositions[semitones, kind] = table
        return table

    def to_spec(self) -> dict[str, Any]:
        """What a checkpoint records, enough to rebuild the vocabulary and to notice that the table has changed."""
        return {
            "representation": "midigen-lanes",
            "version": 1,
            "note_tokens": self.note_tokens,
            "lanes": [list(lane) for lane in LANES],
            "blocks": dict(self.sizes),
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Vocabulary:
        """Raises :class:`CheckpointError` where the spec is of another representation."""
        try:
            vocabulary = cls(spec["note_tokens"])
            own = vocabulary.to_spec()
            same = own == {key: spec[key] for key in own}  # a checkpoint may say more than the table
        except (KeyError, TypeError, BadRequest):
            same = False
        if not same:
            spec = spec if isinstance(spec, dict) else {}
            raise CheckpointError(
                f"tokenizer {spec.get('representation')!r} version {spec.get('version')!r} is not this release's table "
                "of tokens; train again or install the release that wrote it"
            )
        return vocabulary


def tempo_bin(tempo_qpm: float) -> int:
    """The value of the tempo token for quarters a minute."""
    return int(np.searchsorted(TEMPO_EDGES, tempo_qpm, side="right"))


def tempo_of(tempo_bin: int) -> int:
    """A whole tempo (quarters a minute) in the middle of a bin."""
    edges = np.concatenate([TEMPO_EDGES[:1] / 1.07, TEMPO_EDGES, TEMPO_EDGES[-1:] * 1.07])
    return round(float(np.sqrt(edges[tempo_bin] * edges[tempo_bin + 1])))
