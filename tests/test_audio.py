"""Sound in memory and in files."""

from __future__ import annotations

import contextlib
import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen import wavfiles
from midigen.audio import (
    BLOCK_FRAMES,
    Audio,
    AudioWriter,
    Tags,
    check_sound_file,
    open_audio,
    read_audio,
    write_audio,
    write_wav,
)
from midigen.errors import BadFile, BadRequest, MissingTool, OutputError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def noise(frames: int = 1_000, channels: int = 2, rate: int = 44_100) -> Audio:
    values = np.random.default_rng(1).uniform(-0.9, 0.9, (channels, frames))
    return Audio(values.astype(np.float32), rate)


def tone(seconds: float = 1.0, rate: int = 44_100) -> Audio:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return Audio(np.stack([wave, -0.5 * wave]).astype(np.float32), rate)


def read_through(path: Path, size: int) -> np.ndarray:
    return np.concatenate(list(open_audio(path).blocks(size)), axis=1)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("suffix", "bits"), [(".wav", 16), (".wav", 24), (".flac", 16), (".flac", 24)])
def test_what_is_written_is_read_within_half_a_step(
    tmp_path: Path, suffix: str, bits: int, channels: int, rate: int
) -> None:
    sound = noise(70_001, channels, rate)  # longer than one block of the writer, and odd
    read = read_audio(write_audio(sound, tmp_path / f"a{suffix}", bits))
    assert (read.rate, read.channels, read.frames) == (rate, channels, 70_001)
    assert np.abs(read.samples - sound.samples).max() <= 0.5 / 2 ** (bits - 1) + 2**-25


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_24_bits_are_read_as_libsndfile_reads_them(tmp_path: Path, channels: int) -> None:
    import soundfile

    sound = noise(1_001, channels)
    own = write_audio(sound, tmp_path / "own.wav", tags=Tags("a title"))
    others = tmp_path / "others.wav"
    soundfile.write(others, sound.samples.T, 44_100, subtype="PCM_24")
    longer = tmp_path / "longer.wav"  # with a chunk of odd size
    data = others.read_bytes()
    longer.write_bytes(data[:12] + b"note\3\0\0\0abc\0" + data[12:])
    wrong_way = tmp_path / "rifx.wav"  # left to libsndfile
    soundfile.write(wrong_way, sound.samples.T, 44_100, subtype="PCM_24", endian="BIG")
    for path in (own, others, longer, wrong_way):
        expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
        np.testing.assert_array_equal(read_audio(path).samples, expected.T)


def test_32_bits_are_floating_point_and_lose_nothing(tmp_path: Path) -> None:
    loud = Audio(noise().samples * np.float32(5), 48_000)  # beyond full scale too
    np.testing.assert_array_equal(read_audio(write_audio(loud, tmp_path / "a.wav", 32)).samples, loud.samples)


@pytest.mark.parametrize(("suffix", "rate"), [(".ogg", 44_100), (".ogg", 96_000), (".mp3", 48_000), (".mp3", 44_100)])
def test_lossy_files_sound_the_same(tmp_path: Path, suffix: str, rate: int) -> None:
    sound = tone(2, rate)
    read = read_audio(write_audio(sound, tmp_path / f"a{suffix}"))
    assert (read.rate, read.channels, read.frames) == (rate, 2, sound.frames)
    error = read.samples - sound.samples
    assert 10 * math.log10((sound.samples**2).sum() / (error**2).sum()) > 35


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_sound_gives_the_same_bytes_however_it_is_cut(tmp_path: Path, suffix: str) -> None:
    sound = noise(80_000)
    first = write_audio(sound, tmp_path / f"a{suffix}").read_bytes()
    for size in (777, 80_000):
        with AudioWriter(tmp_path / f"b{suffix}", sound.rate, sound.channels) as writer:
            for block in sound.blocks(size):
                writer.write(block)
        assert writer.frames == 80_000
        assert writer.path.read_bytes() == first


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_tags_are_read_again(tmp_path: Path, suffix: str) -> None:
    import soundfile

    title = "Ein Lied von über dreißig Zeichen\n für\0 alle"
    path = write_audio(tone(0.1), tmp_path / f"a{suffix}", tags=Tags(title, "midigen & band", "a comment"))
    with soundfile.SoundFile(path) as file:
        assert file.title == "Ein Lied von über dreißig Zeichen für alle"
        assert file.artist == "midigen & band"
        assert file.comment == "a comment"
        assert suffix == ".mp3" or file.software.startswith("midigen ")
        assert not file.date


def chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a WAV in their order."""
    found, place = {}, 12
    while place < len(data):
        name, size = struct.unpack("<4sI", data[place : place + 8])
        found[name] = data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    assert place == len(data)
    return found


@dataclass(frozen=True)
class Measured:
    integrated_lufs: float = -14.03
    range_lu: float = 3.2
    true_peak_dbtp: float = -1.05
    momentary_max_lufs: float = -9.9
    short_term_max_lufs: float = -math.inf


def test_a_wav_is_a_broadcast_wave_that_knows_its_place(tmp_path: Path) -> None:
    tags = Tags("Piano", comment="first take, très bien")
    path = write_audio(noise(3, 1, 48_000), tmp_path / "a.wav", 24, tags, 100_000.5, Measured())
    data = path.read_bytes()
    assert data[:4] == b"RIFF" and struct.unpack("<I", data[4:8]) == (len(data) - 8,)
    found = chunks(data)
    assert list(found) == [b"JUNK", b"bext", b"fmt ", b"LIST", b"data"]
    assert len(found[b"data"]) == 9  # and a byte of padding
    assert not len(found[b"bext"]) % 2
    bext = found[b"bext"]
    assert bext[:256].rstrip(b"\0") == b"first take, tr?s bien"
    assert bext[256:288].rstrip(b"\0") == b"midigen"
    assert not bext[288:338].strip(b"\0")  # no reference, no date, no time
    low, high, version = struct.unpack("<IIH", bext[338:348])
    assert (low + (high << 32), version) == (round(100_000.5 * 48_000), 2)
    assert struct.unpack("<5h", bext[412:422]) == (-1403, 320, -105, -990, 0x7FFF)
    assert bext[602:].rstrip(b"\0") == b"A=PCM,F=48000,W=24,M=mono,T=midigen\r\n"


def test_without_a_measurement_the_loudness_fields_are_unused(tmp_path: Path) -> None:
    bext = chunks(write_wav(noise(), tmp_path / "a.wav").read_bytes())[b"bext"]
    assert struct.unpack("<5h", bext[412:422]) == (0x7FFF,) * 5
    assert struct.unpack("<II", bext[338:346]) == (0, 0)


@pytest.mark.parametrize(("bits", "channels"), [(16, 2), (24, 2), (32, 2), (24, 5)])
def test_a_wav_that_grows_too_long_becomes_rf64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, channels: int
) -> None:
    import soundfile

    sound = noise(1_000, channels)
    small = write_audio(sound, tmp_path / "a.wav", bits).read_bytes()
    monkeypatch.setattr(wavfiles, "LARGEST_RIFF", len(small) - 9)
    path = write_audio(sound, tmp_path / "b.wav", bits)
    large = path.read_bytes()
    assert len(large) == len(small)
    assert large[:16] == b"RF64\xff\xff\xff\xffWAVEds64"
    data_bytes = 1_000 * channels * bits // 8
    assert struct.unpack("<IQQQI", large[16:48]) == (28, len(large) - 8, data_bytes, 1_000, 0)
    with soundfile.SoundFile(path) as file:
        assert file.format == "RF64"
    np.testing.assert_array_equal(read_audio(path).samples, read_audio(tmp_path / "a.wav").samples)


def test_sound_beyond_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    loud = Audio(np.array([[2.0, -2.0, 0.0]], dtype=np.float32), 44_100)
    for name in ("a.wav", "a.flac"):
        np.testing.assert_allclose(read_audio(write_audio(loud, tmp_path / name)).samples, [[1, -1, 0]], atol=1e-6)


@given(sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=3))
@settings(max_examples=20)
def test_blocks_of_any_size_are_the_same_sound(sizes: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    sound = noise(2_000)
    path = tmp_path_factory.getbasetemp() / "blocks.wav"
    if not path.exists():
        write_audio(sound, path, 32)
    for size in sizes:
        for signal in (sound, open_audio(path)):  # both may be read again and again
            blocks = list(signal.blocks(size))
            assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
            assert {block.shape[1] for block in blocks[:-1]} <= {size}
            np.testing.assert_array_equal(np.concatenate(blocks, axis=1), sound.samples)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_is_a_signal_that_is_read_from_disk(tmp_path: Path, suffix: str) -> None:
    path = write_audio(tone(2), tmp_path / f"a{suffix}")
    file = open_audio(str(path))
    assert (file.path, file.rate, file.channels, file.frames, file.seconds) == (path, 44_100, 2, 88_200, 2.0)
    whole = read_audio(path).samples
    for size in (10_000, 2 * BLOCK_FRAMES):
        np.testing.assert_array_equal(read_through(path, size), whole)


def test_blocks_under_one_frame_are_refused(tmp_path: Path) -> None:
    for signal in (noise(), open_audio(write_wav(noise(), tmp_path / "a.wav"))):
        with pytest.raises(BadRequest, match="blocks of 0 frames"):
            list(signal.blocks(0))


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
        for read in (read_audio, open_audio):
            with pytest.raises(BadFile, match=says) as caught:
                read(tmp_path / name)
            assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_file_with_samples_that_are_not_numbers_is_refused(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 44_100, subtype="FLOAT")
    with pytest.raises(BadFile, match=r"nan\.wav: .*not numbers"):
        read_audio(tmp_path / "nan.wav")


def test_rates_and_channels_that_no_sound_has_are_refused(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "slow.wav", np.zeros(9), 4_000)
    soundfile.write(tmp_path / "wide.wav", np.zeros((9, 17)), 44_100)
    for name, says in (("slow.wav", "sample rate 4000 is outside 8000"), ("wide.wav", "has 17 channels")):
        with pytest.raises(BadFile, match=says):
            open_audio(tmp_path / name)


def test_a_file_that_breaks_off_or_is_gone_is_refused(tmp_path: Path) -> None:
    path = write_audio(noise(200_000), tmp_path / "a.flac")
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(BadFile, match=r"a\.flac: .*(ends early|damaged)"):
        read_audio(path)
    file = open_audio(write_wav(noise(), tmp_path / "b.wav"))
    file.path.unlink()
    with pytest.raises(BadFile, match="No such file"):
        list(file.blocks())


def test_an_mp3_that_breaks_off_or_tells_no_length_is_what_there_is_of_it(tmp_path: Path) -> None:
    path = write_audio(tone(4), tmp_path / "a.mp3")
    data = path.read_bytes()
    xing = data.index(b"Xing")
    for cut in (data[: len(data) // 2], data[:xing] + bytes(8) + data[xing + 8 :]):
        path.write_bytes(cut)
        file = open_audio(path)
        assert 1.5 < file.seconds < 4.2
        assert read_through(path, 10_000).shape == (2, file.frames)


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


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, suffix: str) -> None:
    path = write_audio(noise(2_000), tmp_path / f"mix{suffix}")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with files_up_to(20_000), pytest.raises(OutputError, match=r"mix\.\w+: cannot be written \(File too large\)"):
        write_audio(noise(150_000), path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_goes_wrong_while_writing_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    for wrong, error in ((KeyboardInterrupt(), KeyboardInterrupt), (None, BadRequest)):
        with pytest.raises(error), AudioWriter(tmp_path / f"a{suffix}", 44_100, 2) as writer:
            writer.write(noise().samples)
            if wrong:
                raise wrong
            writer.write(np.full((2, 9), np.nan, dtype=np.float32))
    wrong_shape = pytest.raises(BadRequest, match=r"shape \(1, 9\): give \(2, frames\)")
    with wrong_shape, AudioWriter(tmp_path / f"a{suffix}", 44_100, 2) as writer:
        writer.write(np.zeros((1, 9), dtype=np.float32))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_wav(noise(), tmp_path / "nowhere" / "a.wav")


@pytest.mark.parametrize(
    ("name", "rate", "channels", "bits", "says"),
    [
        ("a.aac", 44_100, 2, 24, r"a\.aac: \.aac is no sound file known here; choose \.wav, \.flac, \.ogg or \.mp3"),
        ("a", 44_100, 2, 24, "a name without a suffix"),
        ("a.wav", 44_100, 2, 20, "20 bits: choose 16, 24 or 32 for .wav"),
        ("a.flac", 44_100, 2, 32, "32 bits: choose 16 or 24 for .flac"),
        ("a.wav", 4_000, 2, 24, "sample rate 4000 is outside 8000..384000"),
        ("a.wav", 44_100, 17, 24, "17 channels: a sound has 1 to 16"),
        ("a.flac", 44_100, 9, 24, "9 channels at 44100 .* are not for .flac: give 1 to 8"),
        ("a.flac", 88_201, 2, 24, "multiples of 10"),
        ("a.ogg", 384_000, 2, 24, "give a rate up to 200000"),
        ("a.mp3", 96_000, 2, 24, "are not for .mp3: give 1 or 2, at 8000, .*48000, or choose .wav or .flac"),
        ("a.mp3", 44_100, 3, 24, "3 channels"),
    ],
)
def test_what_a_file_cannot_hold_is_said_before_there_is_any_sound(
    tmp_path: Path, name: str, rate: int, channels: int, bits: int, says: str
) -> None:
    with pytest.raises(BadRequest, match=says):
        check_sound_file(tmp_path / name, rate, channels, bits)
    with pytest.raises(BadRequest, match=says):
        AudioWriter(tmp_path / name, rate, channels, bits)


def test_an_old_libsndfile_says_that_it_writes_no_mp3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "", "OGG": ""})
    monkeypatch.setattr(soundfile, "__libsndfile_version__", "1.0.31")
    with pytest.raises(MissingTool, match=r"libsndfile 1\.0\.31 writes no MP3: .*or choose \.ogg"):
        write_audio(noise(), tmp_path / "a.mp3")


def test_a_start_before_the_beginning_is_refused(tmp_path: Path) -> None:
    for start in (-1.0, math.nan):
        with pytest.raises(BadRequest, match="give 0 or more"):
            AudioWriter(tmp_path / "a.wav", 44_100, 2, start_seconds=start)
