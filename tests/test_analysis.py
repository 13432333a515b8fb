"""What the music says: keys, chords that were written, and bars that come back."""

from __future__ import annotations

import numpy as np
import pytest
from songs import SCALES, make_song

from midigen.analysis import (
    FORM_DISTANCES,
    NO_CHORD,
    QUALITIES,
    SAME,
    VARIED,
    Chord,
    bar_similarity,
    beat_chroma,
    beat_length,
    estimate_chords,
    estimate_key,
    note_names,
)
from midigen.grid import METRES, Grid, Lane, to_grid

METRE = METRES.index("4/4")


def grid_of(bars: int, **lanes: list[tuple[int, int, int, int]]) -> Grid:
    """A grid of 4/4 from (bar, position, duration, pitch) by kind."""
    return Grid(
        np.full(bars, 48),
        np.full(bars, METRE),
        np.full(bars, 100.0),
        tuple(
            Lane(kind, 0, 0, np.array([[*note, 16] for note in sorted(notes)], dtype=np.int32).reshape(-1, 5))
            for kind, notes in lanes.items()
        ),
        1.0,
    )


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", range(12))
def test_a_scale_that_rests_on_its_triad_has_its_key(tonic: int, mode: str) -> None:
    chroma = np.zeros(12)
    for step, degree in enumerate(SCALES[mode]):
        chroma[(tonic + degree) % 12] = 2.5 if step in (0, 2, 4) else 1
    assert estimate_key(chroma) == (tonic, mode)
    assert estimate_key(1000 * chroma) == (tonic, mode)


def test_songs_are_heard_in_the_key_they_were_written_in() -> None:
    for tonic in (0, 3, 7):
        for mode in ("major", "minor"):
            chroma = beat_chroma(to_grid(make_song("ballad", tonic=tonic, mode=mode)))[0].sum(axis=0)
            found = estimate_key(chroma)
            relative = ((tonic + 9) % 12, "minor") if mode == "major" else ((tonic + 3) % 12, "major")
            assert found in ((tonic, mode), relative)


def test_a_flat_profile_is_c_major() -> None:
    assert estimate_key(np.zeros(12)) == estimate_key(np.full(12, 3.0)) == (0, "major")


PROGRESSION = [
    (0, "", 0), (9, "m", 9), (2, "m7", 2), (7, "7", 7), (0, "maj7", 0), (5, "", 9), (11, "dim", 11), (4, "7", 4),
    (9, "m", 9), (2, "sus4", 2), (2, "", 2), (7, "5", 7), (8, "aug", 8), (0, "", 0), (1, "dim7", 1), (11, "m7b5", 11),
]  # fmt: skip


@pytest.mark.parametrize("semitones", [0, 6])
def test_a_written_progression_is_read_back(semitones: int) -> None:
    piano, bass = [], []
    for bar, (root, quality, low) in enumerate(PROGRESSION):
        for beat in range(0, 48, 12):
            piano += [(bar, beat, 12, 48 + semitones + root + i) for i in QUALITIES[quality][0]]
            bass.append((bar, beat, 12, 36 + (low + semitones) % 12))
    found = estimate_chords(grid_of(len(PROGRESSION), piano=piano, bass=bass))
    move = lambda pitch: (pitch + semitones) % 12  # noqa: E731
    assert found == [Chord(bar, 0, move(r), q, move(b)) for bar, (r, q, b) in enumerate(PROGRESSION)]


def test_chords_may_change_inside_a_bar_and_are_said_again_at_every_bar() -> None:
    piano, bass = [], []
    for bar, halves in enumerate((((0, ""), (7, "")), ((9, "m"), (9, "m")), ((9, "m"), (5, "")))):
        for half, (root, quality) in enumerate(halves):
            for beat in (0, 12):
                piano += [(bar, 24 * half + beat, 12, 60 + root + i) for i in QUALITIES[quality][0]]
                bass.append((bar, 24 * half + beat, 12, 36 + root))
    found = estimate_chords(grid_of(3, piano=piano, bass=bass))
    assert [(c.bar, c.position, str(c)) for c in found] == [
        (0, 0, "C"), (0, 24, "G"), (1, 0, "Am"), (2, 0, "Am"), (2, 24, "F"),
    ]  # fmt: skip


def test_silence_has_no_chord() -> None:
    chords = estimate_chords(
        grid_of(3, piano=[(0, 0, 48, p) for p in (60, 64, 67)] + [(2, 0, 48, 60)], drums=[(1, 0, 1, 36)])
    )
    assert [c.bar for c in chords] == [0, 1, 2]
    assert chords[1] == Chord(1, 0, NO_CHORD, "", NO_CHORD) and str(chords[1]) == "N.C."


def test_chord_symbols_are_spelled() -> None:
    assert str(Chord(0, 0, 10, "m7", 10)) == "Bbm7"
    assert str(Chord(0, 0, 0, "", 4)) == "C/E"


def test_beats_hold_the_time_that_sounds_in_them() -> None:
    grid = grid_of(2, piano=[(0, 6, 24, 60), (1, 36, 48, 64)], bass=[(0, 0, 12, 40)], drums=[(0, 0, 1, 36)])
    chroma, bass, bars, inside = beat_chroma(grid)
    assert bars.tolist() == [0] * 4 + [1] * 4 and inside.tolist() == [0, 12, 24, 36] * 2
    assert chroma[:, 0].tolist() == [6, 12, 6, 0, 0, 0, 0, 0]
    assert chroma[:, 4].tolist() == [12, 0, 0, 0, 0, 0, 0, 12]  # cut at the end of the song
    assert bass[0].nonzero()[0].tolist() == [4]
    assert beat_length(METRES.index("6/8")) == 18 and beat_length(METRES.index("3/4")) == 12


def test_bars_alike_are_found_at_their_distance() -> None:
    first = [(0, 12, p) for p in (60, 64, 67, 72)]
    bars = {
        0: first,
        1: [(24, 12, 50)],
        2: first,  # the same as bar 0
        3: [*first[:3], (0, 12, 71)],  # three of five in common
        4: [],
        6: [],
    }
    notes = [(bar, *note) for bar, played in bars.items() for note in played]
    similarity = bar_similarity(grid_of(7, piano=notes, drums=[(5, 0, 1, 36)]))
    assert similarity.shape == (7, len(FORM_DISTANCES))
    at = {d: k for k, d in enumerate(FORM_DISTANCES)}
    assert similarity[2, at[2]] == 1 and similarity[2, at[1]] == 0
    assert similarity[3, at[1]] == similarity[3, at[3]] == np.float32(0.6)
    assert similarity[5, at[1]] == similarity[6, at[2]] == 1  # silence is like silence; drums do not count
    assert similarity[4, at[4]] == 0 and not similarity[0].any()
    assert similarity[1, at[2] :].sum() == 0  # nothing lies before the song
    assert SAME > VARIED


def test_a_song_in_sections_says_so() -> None:
    similarity = bar_similarity(to_grid(make_song("ballad", bars=16)))
    at = {d: k for k, d in enumerate(FORM_DISTANCES)}
    assert (similarity[4:8, at[4]] == 1).all()  # A A
    assert (similarity[8:12, at[8]] < SAME).all()  # B
    assert (similarity[12:16, at[12]] == 1).all()  # A again


def test_bars_of_different_length_are_not_compared() -> None:
    grid = grid_of(2, piano=[(0, 0, 12, 60), (1, 0, 12, 60)])
    grid = Grid(np.array([48, 36]), grid.metres, grid.tempos, grid.lanes, 1.0)
    assert not bar_similarity(grid).any()


def test_chords_are_spelled_as_the_key_is() -> None:
    minor = Chord(0, 0, 1, "m", 8)
    assert minor.spelled(note_names(1, "minor")) == "C#m/G#"
    assert minor.spelled(note_names(8, "major")) == "Dbm/Ab"
    assert minor.spelled(note_names(2, "major")) == "C#m/G#"
    assert Chord(0, 0, 10, "7", 10).spelled(note_names(0, "major")) == "Bb7"
