"""How near a piece comes to the songs learned from: what is quoted is found, what is not is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from songs import STYLES, make_song

from midigen.cells import Cells
from midigen.corpus import prepare
from midigen.errors import BadFile
from midigen.midi import midi_bytes
from midigen.originality import INDEX_FILE, SHORTEST, Index, build_index, index_corpus, longest_run
from midigen.score import Note, Part, Score


def line(seed: int, notes: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Onsets (ticks of 480) and pitches of a line without any pattern."""
    dice = np.random.default_rng(seed)
    onsets = np.cumsum(dice.choice([120, 240, 360, 480], notes))
    return onsets, dice.integers(55, 80, notes)


def score_of(*lines: tuple[np.ndarray, np.ndarray], kind: str = "guitar") -> Score:
    parts = []
    for number, (onsets, pitches) in enumerate(lines):
        notes = tuple(Note(int(o), int(p), 100, 90) for o, p in zip(onsets, pitches, strict=True))
        name = kind if not number else f"{kind} {number + 1}"
        parts.append(Part(name, kind, 25 if kind == "guitar" else 0, notes=notes))
    return Score(tuple(parts))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six songs of patterns, and one whose guitar plays line 1."""
    folder = tmp_path_factory.mktemp("songs")
    for number in range(6):
        song = make_song(STYLES[number % len(STYLES)], seed=number)
        (folder / f"{number}.mid").write_bytes(midi_bytes(song))
    own = score_of(line(1))
    piano = Part("piano", "piano", 0, notes=tuple(Note(480 * i, 60 + i % 3, 400, 80) for i in range(70)))
    (folder / "own.mid").write_bytes(midi_bytes(Score((*own.parts, piano))))
    output = tmp_path_factory.mktemp("prepared") / "corpus"
    prepare([folder], output, validation_share=0, jobs=1)
    return output


@pytest.fixture(scope="module")
def index(corpus: Path) -> Index:
    return Index.from_file(corpus / INDEX_FILE)


def test_preparing_leaves_an_index_and_does_it_once(corpus: Path) -> None:
    path = corpus / INDEX_FILE
    before = path.stat().st_mtime_ns
    assert index_corpus(corpus) == path and path.stat().st_mtime_ns == before
    assert build_index(Cells(corpus, "train")).to_bytes() == path.read_bytes()  # the same bytes every time


@pytest.mark.parametrize("length", [SHORTEST, 16, 40])
@pytest.mark.parametrize("semitones", [0, -7])
def test_a_quotation_is_found_in_any_key_and_at_any_place(index: Index, length: int, semitones: int) -> None:
    onsets, pitches = line(1)
    own_onsets, own_pitches = line(2, 60)
    quoted = slice(30, 30 + length)
    shifted = onsets[quoted] - onsets[30] + 480 * 4 * 20
    all_onsets = np.concatenate([own_onsets[own_onsets < shifted[0]], shifted])
    all_pitches = np.concatenate([own_pitches[: (own_onsets < shifted[0]).sum()], pitches[quoted] + semitones])
    run = longest_run(score_of((all_onsets, all_pitches)), index)
    assert length <= run.notes <= length + 1  # the note before may happen to fit
    assert run.part == "guitar" and run.bar in (19, 20)


def test_what_is_new_shares_nothing(index: Index) -> None:
    assert longest_run(score_of(line(5), line(6)), index).notes == 0
    assert longest_run(score_of((line(1)[0], line(7)[1])), index).notes == 0  # the rhythm alone is nobody's
    assert longest_run(Score(()), index).notes == 0


def test_a_chord_counts_with_its_highest_note(index: Index) -> None:
    onsets, pitches = line(1)
    low = score_of((np.repeat(onsets, 2), np.stack([pitches, pitches - 12], axis=1).ravel()))
    assert longest_run(low, index).notes == len(pitches)


def test_scales_and_repeated_notes_are_no_quotation(index: Index) -> None:
    steady = np.arange(120) * 240
    assert longest_run(score_of((steady, 55 + np.arange(120) % 7)), index).notes == 0


def test_drums_are_not_compared(index: Index) -> None:
    onsets, pitches = line(1)
    notes = tuple(Note(int(o), int(p), 100, 90) for o, p in zip(onsets, pitches, strict=True))
    assert longest_run(Score((Part("kit", "drums", is_drum=True, notes=notes),)), index).notes == 0


def test_the_filter_forgets_nothing_and_seldom_believes_too_much(corpus: Path) -> None:
    index = build_index(Cells(corpus, "train"), most_bytes=4_000)
    strangers = np.random.default_rng(0).integers(0, 2**63, 200_000).astype(np.uint64)
    assert index.knows(strangers).mean() == pytest.approx(index.false_positives, rel=0.5, abs=1e-4)
    assert len(index.to_bytes()) <= 4_000


def test_a_broken_index_is_said(tmp_path: Path, index: Index) -> None:
    for data in (b"", b"nothing of the kind", index.to_bytes()[:-1]):
        (tmp_path / "index").write_bytes(data)
        with pytest.raises(BadFile, match="pack the model again"):
            Index.from_file(tmp_path / "index")
