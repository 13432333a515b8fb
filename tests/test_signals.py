"""Signals made of others: the samples are the same however they are cut, and an hour needs no more memory."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.audio import BLOCK_FRAMES, Audio
from midigen.errors import BadRequest, OutputError
from midigen.signals import Beginning, Recorded, Resampled, at_rate, in_blocks

RATE = 44_100


def noise(frames: int, rate: int = RATE, channels: int = 2) -> Audio:
    rng = np.random.default_rng(frames)
    return Audio(rng.standard_normal((channels, frames)).astype(np.float32), rate)


def read(signal: Any, size: int = BLOCK_FRAMES) -> np.ndarray:
    return np.concatenate([np.zeros((signal.channels, 0), dtype=np.float32), *signal.blocks(size)], axis=1)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 40), max_size=12), size=st.integers(1, 50))
def test_pieces_of_any_length_come_in_blocks_of_one(lengths: list[int], size: int) -> None:
    whole = np.arange(2 * sum(lengths), dtype=np.float32).reshape(2, -1)
    ends = np.cumsum([0, *lengths])
    pieces = [whole[:, start:stop] for start, stop in pairwise(ends)]
    blocks = list(in_blocks(iter(pieces), size))
    np.testing.assert_array_equal(np.concatenate([whole[:, :0], *blocks], axis=1), whole)
    assert all(block.shape[1] == size for block in blocks[:-1])
    assert all(0 < block.shape[1] <= size for block in blocks)


def test_blocks_of_nothing_are_refused() -> None:
    with pytest.raises(BadRequest, match="blocks of 0 frames"):
        list(in_blocks([], 0))


@pytest.mark.parametrize("most_bytes", [0, 600_000, None])
def test_what_is_recorded_is_read_again_by_many_at_once(most_bytes: int | None) -> None:
    sound = noise(3 * BLOCK_FRAMES + 100)
    recorded = Recorded(sound, most_bytes)
    assert (recorded.rate, recorded.channels, recorded.frames) == (sound.rate, 2, sound.frames)
    with ThreadPoolExecutor(3) as pool:
        for samples in pool.map(lambda size: read(recorded, size), (BLOCK_FRAMES, 1_000, 100_000)):
            np.testing.assert_array_equal(samples, sound.samples)


def test_a_sound_is_recorded_once() -> None:
    class Once:
        rate, channels, frames, times = RATE, 1, 10, 0

        def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
            self.times += 1
            yield np.full((1, 10), self.times, dtype=np.float32)

    recorded = Recorded(Once())
    assert read(recorded).tolist() == read(recorded).tolist() == [[1.0] * 10]


def test_a_place_that_is_full_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(OutputError, match=r"no room for the mix while it is made .*; free some space, or let TMPDIR"):
        Recorded(noise(1_000), 0)


@pytest.mark.parametrize(("before", "after"), [(44_100, 48_000), (48_000, 44_100), (22_050, 44_100), (96_000, 8_000)])
def test_a_tone_is_the_same_tone_at_another_rate(before: int, after: int) -> None:
    def tone(rate: int) -> np.ndarray:
        time = np.arange(rate) / rate
        fade = 0.5 - 0.5 * np.cos(2 * np.pi * time)
        return (fade * np.sin(2 * np.pi * 1_000 * time)).astype(np.float32)[np.newaxis]

    resampled = Resampled(Audio(tone(before), before), after)
    assert (resampled.rate, resampled.frames) == (after, after)
    np.testing.assert_allclose(read(resampled), tone(after), atol=1e-4)


@given(frames=st.integers(1, 3_000), rate=st.sampled_from([8_000, 11_025, 44_101, 96_000]), size=st.integers(1, 9_999))
@settings(max_examples=30, deadline=None)
def test_it_is_as_long_as_the_original_and_does_not_depend_on_the_blocks(frames: int, rate: int, size: int) -> None:
    resampled = Resampled(noise(frames), rate)
    whole = read(resampled)
    assert whole.shape == (2, resampled.frames)
    assert abs(resampled.frames - frames * rate / RATE) <= 1
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(read(resampled, size), whole)


def test_silence_stays_silence_and_the_same_rate_the_same_sound() -> None:
    silence = Audio(np.zeros((2, 5_000), dtype=np.float32), RATE)
    assert not read(at_rate(silence, 48_000)).any()
    assert at_rate(silence, RATE) is silence


def test_the_beginning_of_a_sound() -> None:
    sound = noise(1_000)
    for frames in (0, 1, 999, 1_000, 2_000):
        beginning = Beginning(sound, frames)
        assert beginning.frames == min(frames, 1_000)
        for size in (7, 1_000):
            np.testing.assert_array_equal(read(beginning, size), sound.samples[:, :frames])


def test_a_recording_knows_how_far_it_is_heard() -> None:
    samples = np.zeros((2, BLOCK_FRAMES + 500), dtype=np.float32)
    assert Recorded(Audio(samples, RATE)).heard_frames == 0
    for frame in (0, 7, BLOCK_FRAMES - 1, BLOCK_FRAMES, BLOCK_FRAMES + 499):
        samples[1, frame] = -1e-4
        assert Recorded(Audio(samples.copy(), RATE)).heard_frames == frame + 1
