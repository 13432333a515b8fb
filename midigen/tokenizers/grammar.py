"""Which token may come next inside a cell. What the grammar allows always decodes, and a bar always ends.

One small state machine a type of cell. Each has ``allowed()``, a bool mask over the vocabulary; ``may_end``, whether
the token that opens whatever follows may come; ``over()``, a mask of tokens that can only belong to a later cell, so
that a model that wants one of them holds this cell to be over; and ``push(token)``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from midigen.analysis import FORM_DISTANCES, NO_CHORD, QUALITY_NAMES
from midigen.errors import BadRequest
from midigen.grid import VELOCITY_BINS
from midigen.instruments import INSTRUMENTS
from midigen.tokenizers.vocabulary import (
    HIGHEST_DRUM,
    HIGHEST_PITCH,
    LOWEST_DRUM,
    LOWEST_PITCH,
    Vocabulary,
)

MOST_NOTES = 96  # in one cell; real bars hold up to about 60


class Cell(Protocol):
    """The content of one cell while it is written."""

    @property
    def may_end(self) -> bool: ...

    def allowed(self) -> np.ndarray: ...

    def over(self) -> np.ndarray: ...

    def push(self, token: int) -> None: ...


class SettledCell:
    """A cell whose ids are known: it leaves no choice, and costs the model no step."""

    def __init__(self, ids: np.ndarray, vocabulary: Vocabulary) -> None:
        self._ids = ids
        self._nothing = np.zeros(vocabulary.size, dtype=bool)
        self._written = 0

    @property
    def may_end(self) -> bool:
        return self._written == len(self._ids)

    def allowed(self) -> np.ndarray:
        mask = self._nothing.copy()
        mask[self._ids[self._written : self._written + 1]] = True
        return mask

    def over(self) -> np.ndarray:
        return self._nothing

    def push(self, token: int) -> None:
        self._written += 1


class FormCell:
    """One token: a new bar, or the distance to an earlier bar of the window that is present."""

    def __init__(self, bar: int, present: np.ndarray, vocabulary: Vocabulary) -> None:
        self._mask = np.zeros(vocabulary.size, dtype=bool)
        self._mask[vocabulary.id("form", 0)] = True
        for k, distance in enumerate(FORM_DISTANCES):
            if distance <= bar and present[bar - distance]:
                self._mask[vocabulary.id("form", 1 + 2 * k) : vocabulary.id("form", 2 + 2 * k) + 1] = True
        self._done = False
        self._v = vocabulary

    @property
    def may_end(self) -> bool:
        return self._done

    def nearest(self, distance: int, same: bool) -> int:
        """The token that says "follows the bar ``distance`` before", or "new" where there is none for it."""
        if distance not in FORM_DISTANCES:
            return self._v.id("form", 0)
        token = self._v.id("form", 1 + 2 * FORM_DISTANCES.index(distance) + (0 if same else 1))
        return token if self._mask[token] else self._v.id("form", 0)

    def allowed(self) -> np.ndarray:
        return self._mask & (not self._done)

    def over(self) -> np.ndarray:
        return np.zeros_like(self._mask)

    def push(self, token: int) -> None:
        self._done = True


class HarmonyCell:
    """A chord at the bar line, and further ones on later beats; a bass after a chord where it is not the root.

    ``silence`` allows "no chord", which stands for a bar in which nobody plays. With a ``root`` the bar has one chord
    on that root and no other: the chord that a piece ends with.
    """

    def __init__(
        self, bar_length: int, beat: int, vocabulary: Vocabulary, silence: bool = True, root: int | None = None
    ) -> None:
        self._v = vocabulary
        self._chords = vocabulary.mask("chord")
        self._chords[vocabulary.chord(NO_CHORD, "")] = silence
        self._closes = root is not None
        if root is not None:
            self._chords[:] = False
            self._chords[[vocabulary.chord(root, quality) for quality in QUALITY_NAMES]] = True
        self._beats = np.arange(0, bar_length, beat)
        self._position = 0
        self._needs_chord = True
        self._bass_for = -1  # the root just written; -1 where no bass may follow

    @property
    def may_end(self) -> bool:
        return not self._needs_chord

    def allowed(self) -> np.ndarray:
        v = self._v
        if self._needs_chord:
            return self._chords
        mask = np.zeros(v.size, dtype=bool)
        if self._closes:
            return mask
        mask[v.first["position"] + self._beats[self._beats > self._position]] = True
        if self._bass_for >= 0:
            mask |= v.mask("chord_bass")
            mask[v.id("chord_bass", self._bass_for)] = False
        return mask

    def over(self) -> np.ndarray:
        v = self._v
        mask = v.opens.copy()
        mask[v.first["position"] : v.first["position"] + self._position + 1] = True
        return mask

    def push(self, token: int) -> None:
        kind, value = self._v.value(token)
        if kind == "chord":
            self._needs_chord = False
            self._bass_for = self._v.chord_of(token)[0]
        elif kind == "chord_bass":
            self._bass_for = -1
        else:
            self._position, self._needs_chord, self._bass_for = value, True, -1


class PartCell:
    """Notes in order of position, then pitch, inside the instrument's range; every note has a velocity and length.

    ``must_play`` forbids an empty cell. ``shift`` is by how many semitones the notes are to be moved when they are
    written: they stay in the instrument's range, or in ``span`` (lowest and highest MIDI pitch), when they have been.
    ``quietest`` is the lowest velocity bin. What is written so far can be read from ``position``, ``touch``, ``pitch``
    (ids; -1 before the first), ``placed`` and ``touched`` (whether one of the first two waits for its note) and
    ``notes``, their number.
    """

    def __init__(
        self,
        kind: str,
        bar_length: int,
        vocabulary: Vocabulary,
        must_play: bool = False,
        shift: int = 0,
        quietest: int = 0,
        span: tuple[int, int] | None = None,
    ) -> None:
        v = self._v = vocabulary
        if v.note_tokens not in ("running", "pair"):
            raise BadRequest(f"note tokens {v.note_tokens!r} can be measured but not written; use 'running' or 'pair'")
        row = INSTRUMENTS[kind]
        self._drum = row.is_drum
        low, high = (LOWEST_DRUM, HIGHEST_DRUM) if row.is_drum else (LOWEST_PITCH, HIGHEST_PITCH)
        block = v.first["drum" if row.is_drum else "pitch"]
        shift = 0 if row.is_drum else shift
        lowest, highest = span if span and not row.is_drum else (row.lowest, row.highest)
        self._first_pitch = block + max(lowest - shift, low) - low
        self._end_pitch = block + min(highest - shift, high) - low + 1
        touch = "drum_velocity" if row.is_drum else "touch"
        self._first_touch = v.first[touch] + quietest * (v.sizes[touch] // VELOCITY_BINS)
        self._end_touch = v.first[touch] + v.sizes[touch]
        self._first_position = v.first["position"]
        self._end_position = v.first["position"] + bar_length
        self._next_position = self._first_position  # the earliest that may come
        self._next_pitch = self._first_pitch  # the lowest that may come at this position
        self.touch = -1  # in force
        self.position = -1
        self.pitch = -1
        self.placed = False  # a position has been written and waits for its first note
        self.touched = False  # a touch has been written and waits for its note
        self.notes = 0
        self._must_play = must_play

    @property
    def may_end(self) -> bool:
        return not self.placed and not self.touched and not (self._must_play and not self.notes)

    def allowed(self) -> np.ndarray:
        mask = np.zeros(self._v.size, dtype=bool)
        if self.touched:
            mask[self._next_pitch : self._end_pitch] = True
            return mask
        fresh = self._v.note_tokens == "pair" and not self._drum
        started = self._next_position > self._first_position
        if not self.placed and self.notes < MOST_NOTES:
            mask[self._next_position : self._end_position] = True
        if started and (self.placed or self.notes < MOST_NOTES) and self._next_pitch < self._end_pitch:
            mask[self._first_touch : self._end_touch] = True
            if self.touch >= 0 and not fresh:
                mask[self.touch] = False  # running status: said only where it changes
                mask[self._next_pitch : self._end_pitch] = True
        return mask

    def over(self) -> np.ndarray:
        mask = self._v.opens.copy()
        mask[self._first_position : self._next_position] = True
        return mask

    def push(self, token: int) -> None:
        if self._first_position <= token < self._end_position:
            self._next_position = token + 1
            self._next_pitch = self._first_pitch
            self.position, self.pitch, self.placed = token, -1, True
        elif self._first_touch <= token < self._end_touch:
            self.touch, self.touched = token, True
        else:
            self.pitch = token
            self._next_pitch = token + 1
            self.placed = self.touched = False
            self.notes += 1
