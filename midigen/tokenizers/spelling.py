"""Cells to ids and back: the notes of a lane, its chords, its form. Vectorised over a whole song."""

from __future__ import annotations

import numpy as np

from midigen.analysis import FORM_DISTANCES, SAME, VARIED, Chord
from midigen.grid import DURATIONS
from midigen.tokenizers.vocabulary import HIGHEST_DRUM, HIGHEST_PITCH, LOWEST_DRUM, LOWEST_PITCH, Vocabulary


def spell_notes(notes: np.ndarray, kind: str, bars: int, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Spell a lane's notes ``(n, 5)`` (see :class:`midigen.grid.Lane`), bar by bar.

    Returns ``(ids uint16, lengths)``: the ids of all cells one after the other and the number of ids in each of the
    ``bars`` cells. A cell's spelling depends on that cell alone.
    """
    v = vocabulary
    bar, position, duration, pitch, velocity = notes.T.astype(np.int64)
    fresh = np.concatenate([[True], bar[1:] != bar[:-1]])[: len(bar)]
    columns: list[tuple[np.ndarray, np.ndarray]] = []  # (ids, whether each is written)
    always = np.ones(len(bar), dtype=bool)
    moved = fresh | _changed(position)
    if v.note_tokens != "joined":
        columns.append((v.first["position"] + position, moved))
    if kind == "drums":
        columns.append((v.first["drum_velocity"] + velocity, fresh | _changed(velocity)))
        key = v.first["drum"] + pitch - LOWEST_DRUM
        span = HIGHEST_DRUM - LOWEST_DRUM + 1
    else:
        length = np.searchsorted(DURATIONS, duration)
        touch = velocity * len(DURATIONS) + length
        if v.note_tokens == "attribute":
            columns += [(v.first["velocity"] + velocity, always), (v.first["duration"] + length, always)]
        else:
            written = always if v.note_tokens == "pair" else fresh | _changed(touch)
            columns.append((v.first["touch"] + touch, written))
        key = v.first["pitch"] + pitch - LOWEST_PITCH
        span = HIGHEST_PITCH - LOWEST_PITCH + 1
    columns.append((key + position * span if v.note_tokens == "joined" else key, always))
    ids = np.stack([c for c, _ in columns], axis=1)
    written = np.stack([w for _, w in columns], axis=1)
    lengths = np.zeros(bars, dtype=np.int64)
    np.add.at(lengths, bar, written.sum(axis=1))
    return ids[written].astype(np.uint16), lengths


def _changed(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]


def read_notes(ids: np.ndarray, kind: str, vocabulary: Vocabulary) -> np.ndarray:
    """The notes of cells spelled one after the other: ``(n, 4)`` position, duration, pitch, velocity bin.

    A pitch that comes before any position or velocity, as in no cell that was spelled here, is passed over.
    """
    v = vocabulary
    ids = np.asarray(ids, dtype=np.int64)
    needed = ["velocity", "duration"] if v.note_tokens == "attribute" else ["touch"]
    needed = ["drum_velocity"] if kind == "drums" else needed
    needed += ["position"] if v.note_tokens != "joined" else []
    last_said = {}
    for name in needed:
        inside = (ids >= v.first[name]) & (ids < v.first[name] + v.sizes[name])
        last_said[name] = np.maximum.accumulate(np.where(inside, np.arange(len(ids)), -1))
    notes = np.flatnonzero(v.ends_note[ids] & np.all([where >= 0 for where in last_said.values()], axis=0))

    def latest(name: str) -> np.ndarray:
        return ids[last_said[name][notes]] - v.first[name]

    block, low, high = (
        ("drum", LOWEST_DRUM, HIGHEST_DRUM) if kind == "drums" else ("pitch", LOWEST_PITCH, HIGHEST_PITCH)
    )
    value = ids[notes] - v.first[block]
    if v.note_tokens == "joined":
        position, value = value // (high - low + 1), value % (high - low + 1)
    else:
        position = latest("position")
    if kind == "drums":
        velocity, duration = latest("drum_velocity"), np.ones(len(notes), dtype=np.int64)
    elif v.note_tokens == "attribute":
        velocity, duration = latest("velocity"), DURATIONS[latest("duration")]
    else:
        touch = latest("touch")
        velocity, duration = touch // len(DURATIONS), DURATIONS[touch % len(DURATIONS)]
    return np.stack([position, duration, value + low, velocity], axis=1).reshape(-1, 4)


def spell_chords(chords: list[Chord], bars: int, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Harmony cells: position where it is not the bar line, chord, and the bass where it is not the root."""
    ids: list[int] = []
    lengths = np.zeros(bars, dtype=np.int64)
    for chord in chords:
        spelled = [vocabulary.id("position", chord.position)] if chord.position else []
        spelled.append(vocabulary.chord(chord.root, chord.quality))
        if chord.bass != chord.root:
            spelled.append(vocabulary.id("chord_bass", chord.bass))
        ids += spelled
        lengths[chord.bar] += len(spelled)
    return np.array(ids, dtype=np.uint16), lengths


def read_chords(ids: np.ndarray, bar: int, vocabulary: Vocabulary) -> list[Chord]:
    """The chords of one harmony cell, said to be those of ``bar``."""
    chords: list[Chord] = []
    position = 0
    for token in np.asarray(ids, dtype=np.int64).tolist():
        kind, value = vocabulary.value(token)
        if kind == "position":
            position = value
        elif kind == "chord":
            root, quality = vocabulary.chord_of(token)
            chords.append(Chord(bar, position, root, quality, root))
        elif kind == "chord_bass" and chords:
            last = chords[-1]
            chords[-1] = Chord(last.bar, last.position, last.root, last.quality, value)
    return chords


def spell_form(similarity: np.ndarray, present: np.ndarray, bar: int, vocabulary: Vocabulary) -> int:
    """The form token of window bar ``bar``: the most alike of the earlier bars that are ``present`` in the window.

    ``similarity`` is that bar's row of :func:`midigen.analysis.bar_similarity`; ``present`` is bool, one a window bar.
    """
    best, degree = -1, VARIED
    for k, distance in enumerate(FORM_DISTANCES):
        if distance <= bar and present[bar - distance] and similarity[k] > degree + (0.02 if best >= 0 else 0):
            best, degree = k, float(similarity[k])
    return vocabulary.id("form", 0 if best < 0 else 1 + 2 * best + (0 if degree >= SAME else 1))


def read_form(token: int, vocabulary: Vocabulary) -> tuple[int, bool]:
    """``(distance, same)``; distance 0 for a new bar."""
    value = token - vocabulary.first["form"]
    return (0, False) if value == 0 else (FORM_DISTANCES[(value - 1) // 2], (value - 1) % 2 == 0)
