"""A whole song as cells: what ``prepare`` writes to disk and what a musician's own song becomes before an edit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midigen.analysis import bar_similarity, beat_chroma, estimate_chords
from midigen.grid import Grid
from midigen.tokenizers.spelling import read_notes, spell_chords, spell_notes
from midigen.tokenizers.vocabulary import LANES, Vocabulary, tempo_bin


@dataclass(frozen=True)
class Song:
    """Cells of one song, tokenised once; windows are cut from it while training.

    ``tokens`` (uint16) holds the cells one after the other, the harmony lane first and then lane by lane, each in
    order of bars; ``lengths`` ``(1 + lanes, bars)`` counts the ids of each cell. ``lanes`` and ``programs`` are
    ``(lanes,)``: the index into ``LANES`` and the General MIDI program. ``metres`` (index into ``METRES``, -1
    unusable), ``tempos`` (bins), ``similarity`` (percent, see :func:`midigen.analysis.bar_similarity`) and ``chroma``
    (sounding time by pitch class) have one row a bar.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    lanes: np.ndarray
    programs: np.ndarray
    metres: np.ndarray
    tempos: np.ndarray
    similarity: np.ndarray
    chroma: np.ndarray


def encode(grid: Grid, vocabulary: Vocabulary) -> Song:
    """All cells of ``grid``, with what the header and the form lane are computed from."""
    bars = grid.bars
    tokens, lengths = [], []
    for ids, counts in (
        spell_chords(estimate_chords(grid), bars, vocabulary),
        *(spell_notes(lane.notes, lane.kind, bars, vocabulary) for lane in grid.lanes),
    ):
        tokens.append(ids)
        lengths.append(counts)
    chroma, _, beat_bar, _ = beat_chroma(grid)
    per_bar = np.zeros((bars, 12))
    np.add.at(per_bar, beat_bar, chroma)
    return Song(
        tokens=np.concatenate(tokens).astype(np.uint16),
        lengths=np.stack(lengths).astype(np.uint16),
        lanes=np.array([LANES.index((lane.kind, lane.slot)) for lane in grid.lanes], dtype=np.uint8),
        programs=np.array([lane.program for lane in grid.lanes], dtype=np.uint8),
        metres=grid.metres.astype(np.int8),
        tempos=np.array([tempo_bin(t) for t in grid.tempos], dtype=np.uint8),
        similarity=np.rint(bar_similarity(grid) * 100).astype(np.uint8),
        chroma=np.minimum(per_bar, 65535).astype(np.uint16),
    )


def round_trips(grid: Grid, song: Song, vocabulary: Vocabulary) -> bool:
    """Whether every note on the grid comes back from its tokens unchanged."""
    at = int(song.lengths[0].sum())
    for number, lane in enumerate(grid.lanes):
        size = int(song.lengths[1 + number].sum())
        ids = song.tokens[at : at + size]
        at += size
        counts = np.cumsum(np.concatenate([[0], song.lengths[1 + number].astype(np.int64)]))
        places = np.searchsorted(counts, np.flatnonzero(vocabulary.ends_note[ids]), side="right") - 1
        back = np.concatenate([places[:, None], read_notes(ids, lane.kind, vocabulary)], axis=1)
        if not np.array_equal(back, lane.notes):
            return False
    return True
