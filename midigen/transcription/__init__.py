"""Recordings brought back to notes: a cleaned sound in, the notes of one part out; and the bars they are in.

:func:`listen` hears the notes of one recording; :func:`midigen.transcription.beats.find_bars` finds tempo and bar lines
of all that play together; :func:`midigen.transcription.writing.to_score` writes them down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from midigen.audio import Signal
from midigen.profiles.onsets import Curves, curves_of
from midigen.transcription.activations import RATE, activations_of, mono_at
from midigen.transcription.notes import KINDS, ear_for, find_notes
from midigen.transcription.partials import partials_of

__all__ = ["KINDS", "Heard", "listen"]


@dataclass(frozen=True, eq=False)
class Heard:
    """One part as it was heard: ``name``, ``kind`` (piano, guitar or bass), ``notes`` as
    :func:`midigen.transcription.notes.find_notes` has them, and the ``curves`` of the sound."""

    name: str
    kind: str
    notes: np.ndarray
    curves: Curves


def listen(signal: Signal, kind: str, name: str = "", on_second: Callable[[float], None] | None = None) -> Heard:
    """Hear the notes that ``signal`` plays, a recording of one instrument of ``kind`` without much noise.

    Times are those of the signal. It is read a few times, block by block. Raises
    :class:`midigen.errors.BadRequest` for an instrument that cannot be heard.
    """
    ear_for(kind)
    sound = mono_at(signal, RATE)
    peak = max((float(np.abs(block).max(initial=0)) for block in sound.blocks()), default=0.0)
    curves = curves_of(sound, peak)
    if peak == 0:
        return Heard(name or kind, kind, np.zeros((0, 4)), curves)
    heard = activations_of(sound, on_second)
    return Heard(name or kind, kind, find_notes(heard, curves, partials_of(sound), kind), curves)
