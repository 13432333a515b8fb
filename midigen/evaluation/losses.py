"""Nats of single tokens: by part, and by what of a note they say. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from midigen.cells import Cells
from midigen.dataset import Batch, Mixture, Windows, collate
from midigen.evaluation.statistics import Interval, ratio
from midigen.grid import DURATIONS, VELOCITY_BINS
from midigen.tokenizers.vocabulary import HIGHEST_PITCH, LOWEST_PITCH, Vocabulary
from midigen.tokenizers.window import OWNERS

# What a token of a part says. "leaving off" is the token that ends a cell, whatever follows.
NOTE_KINDS = ("onset", "pitch", "velocity", "duration", "leaving off")
_ONSET, _PITCH, _VELOCITY, _DURATION, _LEAVING = range(len(NOTE_KINDS))
_PLAIN = {"position": _ONSET, "pitch": _PITCH, "drum": _PITCH, "velocity": _VELOCITY, "drum_velocity": _VELOCITY,
          "duration": _DURATION}  # fmt: skip
MOST_TOKENS = 4096  # in one pass

Row = tuple[np.ndarray, np.ndarray, np.ndarray]  # ids, learn, owner of a window


def fastest_precision() -> str:
    """``"bfloat16"`` where this processor multiplies in it, which is twice as fast, else ``"float32"``.

    In bfloat16 only the products inside the blocks are: losses a note differ by 1e-4, differences of losses by 5e-4.
    """
    import torch

    can = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return "bfloat16" if can() else "float32"


@dataclass(frozen=True)
class Nats:
    """The nats of one window: ``nats`` ``(owners, kinds)``, of every owner in
    :data:`~midigen.tokenizers.window.OWNERS` by :data:`NOTE_KINDS` (owners that are no parts have all of theirs in the
    last column), and ``notes`` and ``tokens`` ``(owners,)``."""

    nats: np.ndarray
    notes: np.ndarray
    tokens: np.ndarray


class NoteLosses:
    """Reads windows with a model and says what each of their tokens cost.

    A token that says two things, such as velocity and duration, is taken apart by the chain rule: -log p(velocity,
    duration) = -log p(velocity) - log p(duration | velocity). Where the touch of the note before stands, that it does
    is told by the pitch token, and its nats are counted there. Only tokens that bear loss and stand after FILL count.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, precision: str = "float32") -> None:
        self._model, self._v, self._precision = model, vocabulary, precision
        # Blocks whose tokens say two things: which, and how many values the second has.
        self._pairs: dict[str, tuple[int, int, int]] = {}
        if vocabulary.note_tokens != "attribute":
            self._pairs["touch"] = (_VELOCITY, _DURATION, len(DURATIONS))
        if vocabulary.note_tokens == "joined":
            self._pairs["pitch"] = (_ONSET, _PITCH, HIGHEST_PITCH - LOWEST_PITCH + 1)
            self._pairs["drum"] = (_ONSET, _PITCH, vocabulary.sizes["drum"] // vocabulary.sizes["position"])
        assert vocabulary.sizes.get("touch", VELOCITY_BINS * len(DURATIONS)) == VELOCITY_BINS * len(DURATIONS)

    def read(self, windows: Sequence[Row], on_done: Callable[[int], None] | None = None) -> list[Nats]:
        """The nats of each of ``windows``, those of like length read together; ``on_done`` is told how many are."""
        order = sorted(range(len(windows)), key=lambda number: len(windows[number][0]))
        groups: list[list[int]] = []
        for number in order:
            if not groups or (len(groups[-1]) + 1) * len(windows[number][0]) > MOST_TOKENS:
                groups.append([])
            groups[-1].append(number)
        found: dict[int, Nats] = {}
        for group in groups:
            found.update(zip(group, self.by_row(collate([windows[number] for number in group])), strict=True))
            if on_done:
                on_done(len(found))
        return [found[number] for number in range(len(windows))]

    def by_row(self, batch: Batch) -> list[Nats]:
        """The nats of each window of ``batch``."""
        import torch

        learn = batch.learn.copy()
        learn[:, 0] = False
        targets = torch.from_numpy(batch.ids[:, 1:])
        where = torch.from_numpy(learn[:, 1:])
        with torch.no_grad():
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._precision == "bfloat16"):
                # Padding stands at the end, where causal attention cannot see it: no mask is needed.
                ids_in = torch.from_numpy(batch.ids[:, :-1])
                hidden = self._model.model(input_ids=ids_in, use_cache=False).last_hidden_state
            logs = torch.log_softmax(self._model.lm_head(hidden[where].float()), dim=-1)
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
        count = len(batch.ids)
        sums = np.zeros((count, len(OWNERS), len(NOTE_KINDS)))
        notes, tokens = np.zeros(sums.shape[:2]), np.zeros(sums.shape[:2])
        np.add.at(sums, (rows, owners), parts)
        np.add.at(notes, (rows, owners), v.ends_note[ids])
        np.add.at(tokens, (rows, owners), 1)
        return [Nats(sums[row], notes[row], tokens[row]) for row in range(count)]

    def _move(self, parts: np.ndarray, inside: np.ndarray, column: int) -> None:
        parts[inside, column] = parts[inside, _LEAVING]
        if column != _LEAVING:
            parts[inside, _LEAVING] = 0


class SongLosses:
    """Nats of many windows, summed up song by song: ``nats`` ``(songs, owners, kinds)``, ``notes`` and ``tokens``
    ``(songs, owners)``. Intervals are over songs, each drawn with all of its windows."""

    def __init__(self, windows: Iterable[tuple[int, Nats]]) -> None:
        sums: dict[int, Nats] = {}
        for song, read in windows:
            so_far = sums.get(song)
            sums[song] = read if so_far is None else Nats(
                so_far.nats + read.nats, so_far.notes + read.notes, so_far.tokens + read.tokens
            )  # fmt: skip
        self.songs = len(sums)
        self.nats = np.array([read.nats for read in sums.values()]).reshape(-1, len(OWNERS), len(NOTE_KINDS))
        self.notes = np.array([read.notes for read in sums.values()]).reshape(-1, len(OWNERS))
        self.tokens = np.array([read.tokens for read in sums.values()]).reshape(-1, len(OWNERS))

    def per_note(self) -> Interval:
        """All nats that had to be written over all notes."""
        return ratio(self.nats.sum(axis=(1, 2)), self.notes.sum(axis=1))

    def table(self) -> dict[str, dict[str, Interval]]:
        """Of each part: nats a note of its own, whole (``"all"``) and by kind. Parts without notes are left out."""
        return {
            name: {"all": ratio(self.nats[:, row].sum(axis=1), self.notes[:, row])}
            | {kind: ratio(self.nats[:, row, column], self.notes[:, row]) for column, kind in enumerate(NOTE_KINDS)}
            for row, name in enumerate(OWNERS)
            if self.notes[:, row].sum()
        }

    def a_note(self, lane: str) -> Interval:
        """The nats of the lane ``"form"`` or ``"harmony"`` over all notes."""
        return ratio(self.nats[:, OWNERS.index(lane)].sum(axis=1), self.notes.sum(axis=1))

    def perplexity(self, lane: str) -> Interval:
        """exp(nats a token) of the lane ``"form"`` or ``"harmony"``; NaN where it has no token."""
        row = OWNERS.index(lane)
        found = ratio(self.nats[:, row].sum(axis=1), self.tokens[:, row])
        return Interval(*(float(np.exp(value)) for value in (found.value, found.low, found.high)))


class _Noting:
    """A corpus that remembers which song was drawn last."""

    def __init__(self, cells: Cells) -> None:
        self._cells, self.last = cells, -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cells, name)

    def draw(self, random: np.random.Generator) -> int:
        self.last = self._cells.draw(random)
        return self.last


def drawn_windows(cells: Cells, context: int, seed: int, mixture: Mixture, count: int) -> tuple[list[int], list[Row]]:
    """The first ``count`` windows of a stream (:class:`midigen.dataset.Windows`), and the song that each is from."""
    noting = _Noting(cells)
    windows = Windows(noting, context, seed, mixture)  # type: ignore[arg-type]  # it does what Cells do
    songs, rows = [], []
    for number in range(count):
        rows.append(windows[number])
        songs.append(noting.last)
    return songs, rows
