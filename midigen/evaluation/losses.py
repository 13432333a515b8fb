"""Nats of single tokens: by part, and by what of a note they say. Needs torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from midigen.dataset import Batch
from midigen.grid import DURATIONS, VELOCITY_BINS
from midigen.tokenizers.vocabulary import HIGHEST_PITCH, LOWEST_PITCH, Vocabulary
from midigen.tokenizers.window import OWNERS

# What a token of a part says. "leaving off" is the token that ends a cell, whatever follows.
NOTE_KINDS = ("onset", "pitch", "velocity", "duration", "leaving off")
_ONSET, _PITCH, _VELOCITY, _DURATION, _LEAVING = range(len(NOTE_KINDS))
_PLAIN = {"position": _ONSET, "pitch": _PITCH, "drum": _PITCH, "velocity": _VELOCITY, "drum_velocity": _VELOCITY,
          "duration": _DURATION}  # fmt: skip


class NoteLosses:
    """Adds up the nats of a model on batches of windows.

    ``nats`` is ``(owners, kinds)``: of every owner in :data:`~midigen.tokenizers.window.OWNERS` by :data:`NOTE_KINDS`
    (owners that are no parts have all of theirs in the last column); ``notes`` and ``tokens`` are ``(owners,)``. A
    token that says two things, such as velocity and duration, is taken apart by the chain rule: -log p(velocity,
    duration) =
    -log p(velocity) - log p(duration | velocity). Where the touch of the note before stands, that it does is told by
    the pitch token, and its nats are counted there.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        self._model, self._v = model, vocabulary
        self.nats = np.zeros((len(OWNERS), len(NOTE_KINDS)))
        self.notes = np.zeros(len(OWNERS))
        self.tokens = np.zeros(len(OWNERS))
        # Blocks whose tokens say two things: which, and how many values the second has.
        self._pairs: dict[str, tuple[int, int, int]] = {}
        if vocabulary.note_tokens != "attribute":
            self._pairs["touch"] = (_VELOCITY, _DURATION, len(DURATIONS))
        if vocabulary.note_tokens == "joined":
            self._pairs["pitch"] = (_ONSET, _PITCH, HIGHEST_PITCH - LOWEST_PITCH + 1)
            self._pairs["drum"] = (_ONSET, _PITCH, vocabulary.sizes["drum"] // vocabulary.sizes["position"])
        assert vocabulary.sizes.get("touch", VELOCITY_BINS * len(DURATIONS)) == VELOCITY_BINS * len(DURATIONS)

    def add(self, batches: Iterable[Batch]) -> None:
        """Read ``batches``; only tokens that bear loss and stand after FILL count."""
        for batch in batches:
            for row in self.by_row(batch):
                self.nats += row[0]
                self.notes += row[1]
                self.tokens += row[2]

    def by_row(self, batch: Batch) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """``(nats, notes, tokens)`` of each window of ``batch``, shaped as the sums are."""
        import torch

        learn = batch.learn.copy()
        learn[:, 0] = False
        targets = torch.from_numpy(batch.ids[:, 1:])
        where = torch.from_numpy(learn[:, 1:])
        with torch.no_grad():
            hidden = self._model.model(input_ids=torch.from_numpy(batch.ids[:, :-1]), use_cache=False).last_hidden_state
            logs = torch.log_softmax(self._model.lm_head(hidden[where]).float(), dim=-1)
        ids = targets[where].numpy()
        parts = np.zeros((len(ids), len(NOTE_KINDS)))
        parts[:, _LEAVING] = -logs[torch.arange(len(ids)), torch.from_numpy(ids)].numpy()
        v = self._v
        for kind, column in _PLAIN.items():
            if kind in v.first and kind not in self._pairs:
                self._move(parts, (ids >= v.first[kind]) & (ids < v.first[kind] + v.sizes[kind]), column)
        for kind, (one, other, values) in self._pairs.items():
            inside = (ids >= v.first[kind]) & (ids < v.first[kind] + v.sizes[kind])
            if not inside.any():
                continue
            block = logs[torch.from_numpy(inside), v.first[kind] : v.first[kind] + v.sizes[kind]]
            first = torch.logsumexp(block.reshape(len(block), -1, values), dim=-1)
            said = torch.from_numpy((ids[inside] - v.first[kind]) // values)
            nats = -first[torch.arange(len(said)), said].numpy()
            parts[inside, one], parts[inside, other] = nats, parts[inside, _LEAVING] - nats
            parts[inside, _LEAVING] = 0
        owners = batch.owner[:, 1:][learn[:, 1:]]
        rows = np.nonzero(learn[:, 1:])[0]
        written = v.ends_note[ids]
        found = []
        for row in range(len(batch.ids)):
            mine = rows == row
            nats, notes, tokens = np.zeros_like(self.nats), np.zeros_like(self.notes), np.zeros_like(self.tokens)
            np.add.at(nats, owners[mine], parts[mine])
            np.add.at(notes, owners[mine], written[mine])
            np.add.at(tokens, owners[mine], 1)
            found.append((nats, notes, tokens))
        return found

    def _move(self, parts: np.ndarray, inside: np.ndarray, column: int) -> None:
        parts[inside, column] = parts[inside, _LEAVING]
        if column != _LEAVING:
            parts[inside, _LEAVING] = 0

    def per_note(self) -> float:
        """All nats that had to be written over all notes."""
        return float(self.nats.sum() / max(self.notes.sum(), 1))

    def table(self) -> dict[str, dict[str, float]]:
        """Of each part: nats a note of its own, whole (``"all"``) and by kind. Parts without notes are left out."""
        return {
            name: {"all": float(self.nats[row].sum() / self.notes[row])}
            | {kind: float(self.nats[row, column] / self.notes[row]) for column, kind in enumerate(NOTE_KINDS)}
            for row, name in enumerate(OWNERS)
            if self.notes[row]
        }

    def perplexity(self, lane: str) -> float:
        """exp(nats a token) of the lane ``"form"`` or ``"harmony"``; NaN where it has no token."""
        row = OWNERS.index(lane)
        return float(np.exp(self.nats[row].sum() / self.tokens[row])) if self.tokens[row] else float("nan")
