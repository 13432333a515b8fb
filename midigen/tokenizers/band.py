"""midigen's representation as a miditok tokenizer, for everything in Python that speaks miditok.

The vocabulary, the grid and the cells are those of this package; miditok gives the interface (``encode``, ``decode``,
``TokSequence``, ``save``). A tokenizer that was saved is loaded with ``Band(params=path)``.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from miditok import MusicTokenizer, TokenizerConfig, TokSequence

from midigen.analysis import estimate_key
from midigen.errors import CheckpointError
from midigen.grid import METRES, to_grid
from midigen.midi import from_symusic, to_symusic
from midigen.score import Key, Score, Tempo
from midigen.tokenizers.decoding import read_piece
from midigen.tokenizers.encoding import encode
from midigen.tokenizers.spelling import spell_form
from midigen.tokenizers.vocabulary import LANES, MOST_BARS, SPECIALS, Vocabulary, tempo_of
from midigen.tokenizers.window import FIRST_PART, FORM, HARMONY, MISSING, PartHeader, Window, arrange, read_windows


class Band(MusicTokenizer):
    """Lanes and cells as a ``miditok.MusicTokenizer`` with one stream of tokens for the whole band.

    ``encode`` takes a ``symusic.Score`` or a path and gives a ``TokSequence``: windows of up to 64 bars, one after the
    other, each with every cell to be written. ``decode`` reads such ids, and any that the model writes.
    """

    def __init__(self, note_tokens: str = "running", params: str | Path | None = None) -> None:
        self.lanes_vocabulary = Vocabulary(note_tokens)
        config = TokenizerConfig(
            special_tokens=[name.upper() for name in SPECIALS],
            use_programs=True,
            one_token_stream_for_programs=True,
        )
        super().__init__(config, params=params)

    def _load_from_json(self, file_path: str | Path) -> None:
        super()._load_from_json(file_path)
        spec: dict[str, Any] = getattr(self, "midigen", {})
        self.lanes_vocabulary = Vocabulary.from_spec(spec)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "midigen": self.lanes_vocabulary.to_spec()}

    def _tweak_config_before_creating_voc(self) -> None:
        self._disable_attribute_controls()

    def _create_base_vocabulary(self) -> list[str]:
        v = self.lanes_vocabulary
        return [v.name(token) for token in range(len(SPECIALS), v.size)]

    def preprocess_score(self, score: Any) -> Any:
        """Nothing: the grid quantises."""
        return score

    def _score_to_tokens(self, score: Any, attribute_controls_indexes: Any = None) -> TokSequence:
        v = self.lanes_vocabulary
        grid = to_grid(from_symusic(score))
        song = encode(grid, v)
        starts = np.concatenate([[0], np.cumsum(song.lengths.astype(np.int64).ravel())])
        ids: list[int] = []
        for first in _window_starts(grid.metres):
            run = np.flatnonzero(grid.metres[first : first + MOST_BARS] != grid.metres[first])
            bars = int(run[0]) if len(run) else min(MOST_BARS, grid.bars - first)
            span = range(first, first + bars)
            cells = [[np.zeros(0, dtype=np.uint16)] * bars]
            for row in range(len(song.lengths)):
                at = [row * grid.bars + bar for bar in span]
                cells.append([song.tokens[starts[i] : starts[i + 1]] for i in at])
            present = np.ones(bars, dtype=bool)
            cells[FORM] = [
                np.array([spell_form(song.similarity[b] / 100, present, b - first, v)], dtype=np.uint16) for b in span
            ]
            tonic, mode = estimate_key(song.chroma[first : first + bars].sum(axis=0, dtype=np.int64))
            lanes = [LANES[i] for i in song.lanes]
            window = Window(
                parts=[
                    PartHeader(kind, slot, None if kind == "drums" else int(song.programs[n]))
                    for n, (kind, slot) in enumerate(lanes)
                ],
                cells=cells,
                status=np.full((FIRST_PART + len(lanes), bars), MISSING, dtype=np.int8),
                left=grid.bars - 1 - np.arange(first, first + bars),
                metre=int(song.metres[first]),
                tempo=int(song.tempos[first]),
                key=tonic + (12 if mode == "minor" else 0),
                opening=first == 0,
            )
            ids += arrange(window, v)[0].tolist()
        sequence = TokSequence(ids=ids)
        self.complete_sequence(sequence)
        return sequence

    def _tokens_to_score(self, tokens: Any, programs: Any = None) -> Any:
        v = self.lanes_vocabulary
        windows = read_windows(tokens.ids, v)
        if not windows:
            return to_symusic(Score(parts=()))
        first = windows[0]
        metre = METRES[first.metre] if first.metre is not None else "4/4"
        # Windows of one metre are joined; a song whose metre changes comes back as far as its first change.
        lanes = {(p.kind, p.slot): p for w in windows for p in w.parts}
        rows: list[list[np.ndarray | None]] = [[] for _ in range(FIRST_PART + len(lanes))]
        for window in windows:
            if window.metre != first.metre:
                break
            have = [(p.kind, p.slot) for p in window.parts]
            for row in (FORM, HARMONY):
                rows[row] += window.cells[row]
            for number, lane in enumerate(lanes):
                silent: list[np.ndarray | None] = [None] * window.bars
                rows[FIRST_PART + number] += window.cells[FIRST_PART + have.index(lane)] if lane in have else silent
        score = read_piece(list(lanes.values()), rows, metre, v)
        tempo = (Tempo(0, float(tempo_of(first.tempo))),) if first.tempo is not None else score.tempos
        key = (Key(0, first.key % 12, "minor" if first.key >= 12 else "major"),) if first.key is not None else ()
        return to_symusic(Score(**{**_fields(score), "tempos": tempo, "keys": key}))

    def _add_time_events(self, events: list[Any], time_division: int) -> list[Any]:
        raise CheckpointError("midigen's cells hold their own positions; use encode()")

    def _create_token_types_graph(self) -> dict[str, set[str]]:
        """Which type of token may follow which, as miditok counts its errors; the exact grammar is ``grammar``."""
        note_tokens = self.lanes_vocabulary.note_tokens
        touch = "Velocity" if note_tokens == "attribute" else "Touch"
        place = set() if note_tokens == "joined" else {"Position"}
        again = {touch} if note_tokens in ("attribute", "pair") else {touch, "Pitch"}
        begin = place or {touch, "DrumVelocity"}
        graph = {
            "Metre": {"Tempo"}, "Tempo": {"Key"}, "Key": {"Opening"}, "Opening": {"Bars"}, "Bars": {"Lane"},
            "Lane": {"Lane", "Program", "Density", "Bar", "Chord", *begin}, "Program": {"Density"},
            "Density": {"Polyphony"}, "Polyphony": {"Register"}, "Register": {"Lane", "Bar"},
            "Bar": {"Left"}, "Left": {"Form", "Lane"}, "Form": {"Lane", "Bar"},
            "Chord": {"ChordBass", "Position", "Lane", "Bar"}, "ChordBass": {"Position", "Lane", "Bar"},
            "Position": {"Chord", "DrumVelocity", "Drum", *again} if place else {"Chord"},
            touch: {"Duration" if note_tokens == "attribute" else "Pitch"},
            "DrumVelocity": {"Drum"}, "Pitch": {"Lane", "Bar", *place, *again},
            "Drum": {"Lane", "Bar", "DrumVelocity", "Drum", *place},
        }  # fmt: skip
        return graph | ({"Duration": {"Pitch"}} if note_tokens == "attribute" else {})

    def _tokens_errors(self, tokens: list[str]) -> int:
        """Successions of types that the graph does not have, and positions that go back inside a cell."""
        errors, position = 0, -1
        pairs = [token.split("_") for token in tokens]
        for (before, _), (kind, value) in pairwise(pairs):
            wrong = kind not in self.tokens_types_graph[before]
            if kind == "Position":
                wrong |= int(value) <= position
                position = int(value)
            elif kind in ("Lane", "Bar", "START"):
                position = -1
            errors += wrong
        return errors

    def _add_special_tokens_to_types_graph(self) -> None:
        super()._add_special_tokens_to_types_graph()
        types = {name.upper() for name in SPECIALS}  # miditok lets them follow one another by name only, not by type
        for name in types:
            self.tokens_types_graph[name] |= types


def _window_starts(metres: np.ndarray) -> list[int]:
    """First bars of windows: every 64 bars and at every change of metre, bars without a known metre left out."""
    starts: list[int] = []
    for bar, metre in enumerate(metres.tolist()):
        fresh = not starts or bar - starts[-1] >= MOST_BARS or metre != metres[bar - 1]
        if metre >= 0 and fresh:
            starts.append(bar)
    return starts


def _fields(score: Score) -> dict[str, Any]:
    return {name: getattr(score, name) for name in score.__dataclass_fields__}
