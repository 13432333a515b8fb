"""Sound in memory and in files."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from midigen.audio import Audio, read_audio, write_wav
from midigen.errors import BadFile, BadRequest, OutputError


def noise(frames: int = 1_000, channels: int = 2, rate: int = 44_100) -> Audio:
    values = np.random.default_rng(1).uniform(-0.9, 0.9, (channels, frames))
    return Audio(values.astype(np.float32), rate)


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_is_read_within_half_a_step(tmp_path: Path, bits: int, channels: int) -> None:
    sound = noise(70_000, channels, 48_000)  # longer than one block of the writer
    read = read_audio(write_wav(sound, tmp_path / "a.wav", bits))
    assert (read.rate, read.channels, read.frames) == (48_000, channels, 70_000)
    assert np.abs(read.samples - sound.samples).max() <= 0.5 / 2 ** (bits - 1) + 2**-25


def test_the_same_sound_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_wav(noise(), tmp_path / "a.wav").read_bytes()
    assert first == write_wav(noise(), tmp_path / "b.wav").read_bytes()
    assert len(first) == 44 + 1_000 * 2 * 3  # a bare header: no date, no peak chunk


def test_sound_beyond_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    loud = Audio(np.array([[2.0, -2.0, 0.0]], dtype=np.float32), 44_100)
    np.testing.assert_allclose(read_audio(write_wav(loud, tmp_path / "a.wav")).samples, [[1, -1, 0]], atol=1e-6)


def test_samples_are_seen_read_only_and_the_array_given_stays_free() -> None:
    given = np.zeros((1, 4), dtype=np.float32)
    sound = Audio(given, 44_100)
    with pytest.raises(ValueError, match="read-only"):
        sound.samples[0, 0] = 1
    given[0, 0] = 1


def test_padding_adds_silence_after_the_sound() -> None:
    sound = noise(10)
    longer = sound.padded(15)
    assert longer.frames == 15
    assert not longer.samples[:, 10:].any()
    np.testing.assert_array_equal(longer.samples[:, :10], sound.samples)
    assert sound.padded(3) is sound


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros(4, dtype=np.float32), 44_100, r"shape \(4,\)"),
        (np.zeros((2, 4)), 44_100, "float64"),
        (np.zeros((0, 4), dtype=np.float32), 44_100, "channels"),
        (np.zeros((17, 4), dtype=np.float32), 44_100, "1..16"),
        (np.array([[np.nan]], dtype=np.float32), 44_100, "not numbers"),
        (np.array([[np.inf]], dtype=np.float32), 44_100, "not numbers"),
        (np.zeros((2, 4), dtype=np.float32), 7_999, "sample rate 7999 is outside 8000..384000"),
    ],
)
def test_audio_checks_itself(samples: np.ndarray, rate: int, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        Audio(samples, rate)


def test_files_that_are_no_sound_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("Once upon a time there was no header here.\n" * 9)
    write_wav(Audio(np.zeros((1, 0), dtype=np.float32), 44_100), tmp_path / "none.wav")
    cases = {"missing.wav": "no such file", "empty.wav": "0 bytes", "text.wav": "not audio", "none.wav": "0 frames"}
    for name, says in {**cases, "": "is a folder"}.items():
        with pytest.raises(BadFile, match=says) as caught:
            read_audio(tmp_path / name)
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_file_with_samples_that_are_not_numbers_is_refused(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 44_100, subtype="FLOAT")
    with pytest.raises(BadFile, match=r"nan\.wav: .*not numbers"):
        read_audio(tmp_path / "nan.wav")


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The system refuses longer files meanwhile, much as a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = write_wav(noise(10), tmp_path / "mix.wav")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with files_up_to(20_000), pytest.raises(OutputError, match=r"mix\.wav: cannot be written"):
        write_wav(noise(100_000), path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [p.name for p in tmp_path.iterdir()] == ["mix.wav"]


def test_a_folder_that_is_not_there_and_odd_bits_get_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_wav(noise(), tmp_path / "nowhere" / "a.wav")
    with pytest.raises(BadRequest, match="20 bits: choose 16, 24 or 32"):
        write_wav(noise(), tmp_path / "a.wav", 20)
