"""Twins are found in any key; songs that merely share a style are not twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from songs import STYLES, delayed, make_song, transposed

from midigen.fingerprints import DISTINCT, RUN, SKETCH, find_copies, find_twins, run_hashes, sketch, top_line
from midigen.grid import to_grid


def test_a_transposed_song_has_the_same_sketch() -> None:
    song = make_song("ballad", bars=12)
    reference = sketch(to_grid(song))
    assert 8 <= len(reference) <= SKETCH and (np.diff(reference.astype(object)) > 0).all()
    for semitones in (-5, 3, 7):
        np.testing.assert_array_equal(sketch(to_grid(transposed(song, semitones))), reference)


def test_twins_are_paired_and_different_songs_are_not() -> None:
    songs = [make_song(style, seed=seed) for style in STYLES for seed in (1, 2)]
    copy = transposed(songs[0], 4)
    cut = replace(
        delayed(songs[3], 4 * 480),
        parts=tuple(replace(p, notes=p.notes[: len(p.notes) * 3 // 4]) for p in delayed(songs[3], 4 * 1920).parts),
    )
    pairs = find_twins([sketch(to_grid(song)) for song in [*songs, copy, cut]])
    assert (6, 0) in pairs and (7, 3) in pairs
    assert all({later, earlier} in ({6, 0}, {7, 3}) for later, earlier in pairs)


def test_the_top_line_is_the_highest_note_of_each_onset() -> None:
    notes = np.array([[0, 0, 12, 60, 9], [0, 0, 12, 67, 9], [0, 12, 12, 62, 9], [1, 0, 12, 55, 9], [1, 0, 12, 59, 9]])
    assert top_line(notes, np.array([0, 48, 96])).tolist() == [[0, 67], [12, 62], [48, 59]]


def test_a_hash_hears_steps_of_pitch_and_of_time_and_nothing_else() -> None:
    dice = np.random.default_rng(2)
    line = np.stack([np.cumsum(dice.integers(1, 13, 40)), 60 + np.cumsum(dice.integers(-3, 4, 40))], axis=1)
    hashes = run_hashes(line)
    assert len(hashes) == 40 - RUN and len(set(hashes.tolist())) == len(hashes)
    np.testing.assert_array_equal(run_hashes(line + np.array([96, -7])), hashes)
    for column in (0, 1):
        other = line.copy()
        other[20:, column] += 1  # one step differs
        changed = run_hashes(other) != hashes
        assert changed[8:20].all() and not changed[:8].any() and not changed[20:].any()


def test_drones_and_short_lines_say_nothing() -> None:
    steps = np.arange(60)
    assert not len(run_hashes(np.stack([6 * steps, 60 + 0 * steps], axis=1)))
    assert not len(run_hashes(np.stack([6 * steps, 60 + steps % (DISTINCT - 1)], axis=1)))
    assert not len(run_hashes(np.stack([steps[:RUN], steps[:RUN] % 11], axis=1)))


def test_equal_contents_are_copies_of_the_first() -> None:
    assert find_copies([b"a", b"b", b"a", b"c", b"a"]) == [(2, 0), (4, 0)]
