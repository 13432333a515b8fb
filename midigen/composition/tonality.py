"""The key of a piece while it is written: what it sounds in so far, and hands that bring it back where it strays.

A model that learned every song in one key has learned it from keys that were estimated, and many of them wrongly;
what it writes drifts to a neighbour's key and stays there. The hands here do nothing while a piece is heard in its key,
and push the more the further it is heard in another.
"""

from __future__ import annotations

import numpy as np

from midigen.analysis import QUALITIES, QUALITY_NAMES, correlate_keys
from midigen.composition.hands import reweigh
from midigen.generation import Hand
from midigen.grid import POSITIONS_PER_QUARTER
from midigen.tokenizers.grammar import Cell, HarmonyCell, PartCell
from midigen.tokenizers.vocabulary import LOWEST_PITCH, Vocabulary

# By how much the correlation of a piece with its key (or the relative) leads that with every other key: below the first
# the hands push fully, above the second not at all. Of 32 bars of real songs three in four lead by 0.10, half by 0.19.
TOO_LITTLE, ENOUGH = 0.02, 0.12
LIKELY = 3.0  # nats behind the likeliest chord: so far odds are flattened
HEARD_QUARTERS = 12.0  # of sounding notes: until then the lead says little, and counts in part
_PROFILES = correlate_keys(np.eye(12))  # (pitch classes, keys)


def _chord_weights() -> np.ndarray:
    """``(qualities, roots, pitch classes)``: what a pitch class counts in each chord, its tones in the mean and the
    root half as much again."""
    weights = np.zeros((len(QUALITY_NAMES), 12, 12))
    for quality, (steps, _) in enumerate(QUALITIES.values()):
        for root in range(12):
            weights[quality, root, [(root + step) % 12 for step in steps]] += 1 / len(steps)
            weights[quality, root, root] += 0.5
    return weights


_CHORDS = _chord_weights()


class Tonality:
    """What has sounded so far, for a piece in ``key`` (0..11 major, 12..23 minor), as the model knows it."""

    def __init__(self, key: int) -> None:
        relative = (key + 9) % 12 + 12 if key < 12 else (key - 12 + 3) % 12
        self._own = np.array([key, relative])
        self.tonic = key % 12
        self._time = np.zeros(12)
        self._pull: np.ndarray | None = None  # kept until more is heard

    def add(self, pitches: np.ndarray, durations: np.ndarray, times: int = 1) -> None:
        """Hear notes (of the model's key), ``times`` -1 takes them back."""
        np.add.at(self._time, pitches % 12, times * durations)
        self._pull = None

    @property
    def lead(self) -> float:
        """By how much the correlation with its key or the relative is above that with any other (-2..2)."""
        fits = correlate_keys(self._time)
        return float(fits[self._own].max() - np.delete(fits, self._own).max())

    def pull(self) -> np.ndarray:
        """``(12,)``, for each pitch class how it would help (-1..1, about), the whole 0 where there is no need."""
        if self._pull is None:
            self._pull = self._weighed()
        return self._pull

    def _weighed(self) -> np.ndarray:
        if not self._time.any():
            return np.zeros(12)
        need = float(np.clip((ENOUGH - self.lead) / (ENOUGH - TOO_LITTLE), 0, 1))
        need *= min(1.0, float(self._time.sum()) / (HEARD_QUARTERS * POSITIONS_PER_QUARTER))
        if not need:
            return np.zeros(12)
        fits = correlate_keys(self._time)
        others = fits.copy()
        others[self._own] = -2
        away = _PROFILES[:, self._own[int(np.argmax(fits[self._own]))]] - _PROFILES[:, int(np.argmax(others))]
        return need * away / max(float(np.abs(away).max()), 1e-9)


class InKey(Hand):
    """Leans a harmony cell towards chords that bring the piece back into its key, by ``strength`` nats at most.

    ``opens`` nats are for chords on the tonic where a piece begins; by ``warmth`` the odds between chords are flattened
    (1: as the model has them).
    """

    def __init__(
        self, tonality: Tonality, strength: float, vocabulary: Vocabulary, opens: float = 0.0, warmth: float = 1.0
    ) -> None:
        v, pull = vocabulary, tonality.pull()
        first = v.first["chord"] + 1
        self._block = slice(first, first + 12 * len(QUALITY_NAMES))
        push = strength * (_CHORDS @ pull)
        push[:, tonality.tonic] += opens
        self._push, self._warmth = push.reshape(-1), warmth

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, HarmonyCell)
        # Flattened among the likely chords: what the model hardly believes in stays as far behind them as it was.
        behind = np.maximum(logits[self._block] - logits[self._block].max(), -LIKELY)
        reweigh(logits, self._block, self._push + behind * (1 / self._warmth - 1))


class OnScale(Hand):
    """Leans pitches towards those that bring the piece back into its key, by ``strength`` nats at most."""

    def __init__(self, tonality: Tonality, strength: float, vocabulary: Vocabulary) -> None:
        v = vocabulary
        classes = (np.arange(v.sizes["pitch"]) + LOWEST_PITCH) % 12
        self._block = slice(v.first["pitch"], v.first["pitch"] + v.sizes["pitch"])
        self._push = strength * tonality.pull()[classes]
        self._idle = not self._push.any()

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        if not self._idle:
            reweigh(logits, self._block, self._push)
