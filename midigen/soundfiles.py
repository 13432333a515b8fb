"""Sound files, written block by block: WAV, FLAC, OGG Vorbis and MP3. With :mod:`midigen.audio` the room of soundfile.

The same sound gives the same bytes: no dither, no dates, and an OGG stream gets a fixed serial number in place of
libsndfile's random one. WAV files are :mod:`midigen.wavfiles`' own; the others are coded by libsndfile.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

import numpy as np

from midigen.errors import BadRequest, MissingTool, OutputError
from midigen.wavfiles import LoudnessFields, Tags, WavFile, whole_numbers

LOWEST_RATE, HIGHEST_RATE = 8_000, 384_000
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
HIGHEST_VORBIS_RATE = 200_000  # beyond, libsndfile 1.2.2 does not refuse but crash
MOST_CHANNELS = 16
BLOCK_FRAMES = 65_536  # also a must: libsndfile's Vorbis coder overflows its stack on very long single calls

# suffix: (format and subtype as soundfile names them, bits that may be asked for: none where a codec decides)
FORMATS: dict[str, tuple[str, dict[int, str]]] = {
    ".wav": ("WAV", {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}),
    ".flac": ("FLAC", {16: "PCM_16", 24: "PCM_24"}),
    ".ogg": ("OGG", {0: "VORBIS"}),
    ".mp3": ("MP3", {0: "MPEG_LAYER_III"}),
}
# How libsndfile is to code: Vorbis of quality 6 and LAME's V2, both about 190 kbit/s and held to be transparent.
_LOSSY: dict[str, dict[str, Any]] = {
    ".ogg": {"compression_level": 0.4},
    ".mp3": {"compression_level": 0.2, "bitrate_mode": "VARIABLE"},
}
_Result = TypeVar("_Result")
_OGG_SERIAL = int.from_bytes(b"midi", "little")
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_sound_file(path: str | Path, rate: int, channels: int, bits: int = 24) -> None:
    """Raise what :class:`AudioWriter` would raise for these, before there is any sound; nothing is written.

    :class:`BadRequest` for a suffix that is not in ``FORMATS`` and a rate, a number of channels or bits that such a
    file does not hold; :class:`MissingTool` where libsndfile is too old for MP3.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(list(FORMATS)[:-1]) + " or " + list(FORMATS)[-1]
        raise BadRequest(f"{path}: {suffix or 'a name without a suffix'} is no sound file known here; choose {known}")
    kind, subtypes = FORMATS[suffix]
    if 0 not in subtypes and bits not in subtypes:
        choices = [str(number) for number in subtypes]
        raise BadRequest(f"{bits} bits: choose {', '.join(choices[:-1])} or {choices[-1]} for {suffix}")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadRequest(f"sample rate {rate} is outside {LOWEST_RATE}..{HIGHEST_RATE} frames a second")
    if not 1 <= channels <= MOST_CHANNELS:
        raise BadRequest(f"{channels} channels: a sound has 1 to {MOST_CHANNELS}")
    other = f"{path}: {channels} channels at {rate} frames a second are not for {suffix}"
    if suffix == ".flac" and (channels > 8 or (rate > 65_535 and rate % 10)):
        raise BadRequest(f"{other}: give 1 to 8, at rates that are multiples of 10, or choose .wav")
    if suffix == ".ogg" and rate > HIGHEST_VORBIS_RATE:
        raise BadRequest(f"{other}: give a rate up to {HIGHEST_VORBIS_RATE}, or choose .wav or .flac")
    if suffix == ".mp3":
        if channels > 2 or rate not in MP3_RATES:
            raise BadRequest(f"{other}: give 1 or 2, at {', '.join(map(str, MP3_RATES))}, or choose .wav or .flac")
        import soundfile

        if kind not in soundfile.available_formats():
            version = soundfile.__libsndfile_version__
            raise MissingTool(f"libsndfile {version} writes no MP3: pip install 'soundfile>=0.13', or choose .ogg")


class AudioWriter:
    """A sound file that is written block by block, within a ``with`` statement.

    The suffix of ``path`` says the format. ``bits``: .wav 16 or 24 (whole numbers) or 32 (floating point), .flac 16
    or 24; .ogg and .mp3 have none. ``rate`` 8,000 to 384,000 frames a second, ``channels`` 1 to 16, as far as the
    format goes (FLAC: 8 channels; MP3: 2 channels, 48,000). Samples beyond full scale are clipped, but for floating
    point. ``tags`` are the title and so on; ``start_seconds`` (0 or more) is the place on a timeline that WAV files
    keep as their time reference, so that stems line up in any DAW; ``loudness`` fills a WAV's loudness fields.

    The sound goes to ``path`` with ``.part`` behind it, which is renamed at the end of the block and removed where
    the block ends in an error. Raises what :func:`check_sound_file` raises, :class:`BadRequest` for blocks of another
    shape or with samples that are not finite, and :class:`OutputError` where the disk is full or not writable.
    """

    def __init__(
        self,
        path: str | Path,
        rate: int,
        channels: int,
        bits: int = 24,
        tags: Tags | None = None,
        start_seconds: float | None = None,
        loudness: LoudnessFields | None = None,
    ) -> None:
        check_sound_file(path, rate, channels, bits)
        start_seconds = start_seconds or 0.0
        if not 0 <= start_seconds < 1e6:  # refuses NaN too
            raise BadRequest(f"a start at {start_seconds} seconds: give 0 or more")
        self.path = Path(path)
        self.rate, self.channels, self.bits = rate, channels, bits
        self.frames = 0  # written so far
        self._tags, self._start_seconds, self._loudness = tags or Tags(), start_seconds, loudness
        self._beside = self.path.with_name(self.path.name + ".part")
        self._file: IO[bytes] | None = None
        self._coder: WavFile | _Coded | None = None

    def __enter__(self) -> AudioWriter:
        try:
            self._file = self._beside.open("w+b")
            if self.path.suffix.lower() == ".wav":
                self._coder = WavFile(self._file, self, self._tags, self._start_seconds, self._loudness)
            else:
                self._coder = _Coded(self._file, self, self._tags)
        except OSError as error:
            self._give_up()
            raise self._refusal(error) from None
        except BaseException:
            self._give_up()
            raise
        return self

    def write(self, block: np.ndarray) -> None:
        """Add a block of samples, ``(channels, frames)`` of any length, full scale at -1..1."""
        if self._coder is None:
            raise RuntimeError("write within a with statement: with AudioWriter(...) as writer")
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise BadRequest(f"a block of shape {block.shape}: give ({self.channels}, frames)")
        if not np.isfinite(block).all():
            raise BadRequest(f"{self.path}: the sound holds samples that are not numbers (NaN or infinity)")
        try:
            for start in range(0, block.shape[1], BLOCK_FRAMES):
                self._coder.write(block[:, start : start + BLOCK_FRAMES])
        except OSError as error:
            raise self._refusal(error) from None
        self.frames += block.shape[1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._give_up()
            return
        assert self._coder is not None and self._file is not None
        try:
            self._coder.close()
            self._file.close()
            os.replace(self._beside, self.path)
        except OSError as refused:
            self._give_up()
            raise self._refusal(refused) from None
        except BaseException:  # Ctrl-C in the middle leaves nothing behind
            self._give_up()
            raise

    def _give_up(self) -> None:
        if isinstance(self._coder, _Coded):
            self._coder.abandon()
        if self._file is not None:
            with suppress(OSError):  # what a full disk did not take is flushed once more, in vain
                self._file.close()
            with suppress(OSError):
                self._beside.unlink(missing_ok=True)
        self._coder = self._file = None

    def _refusal(self, error: OSError) -> OutputError:
        cure = "free some space or choose another folder"
        return OutputError(f"{self.path}: cannot be written ({error.strerror or error}); {cure}")


class _Coded:
    """A file that libsndfile codes. What the system refuses is kept aside: libsndfile only says "System error"."""

    def __init__(self, file: IO[bytes], form: AudioWriter, tags: Tags) -> None:
        import soundfile

        suffix = form.path.suffix.lower()
        kind, subtypes = FORMATS[suffix]
        self.bits = form.bits if form.bits in subtypes else 0
        head = _id3(tags) if suffix == ".mp3" else b""  # libsndfile writes ID3v1: 30 signs of Latin-1
        file.write(head)
        self.file, self.path, self.suffix = file, form.path, suffix
        self.guarded = _Guarded(file, len(head))
        self.failures = (soundfile.SoundFileError, AssertionError)  # the second where fewer frames were taken
        self.waiting = np.zeros((form.channels, 0), dtype=np.float32)
        self.coder: Any = None
        with self._said():
            options: dict[str, Any] = {"format": kind, **_LOSSY.get(suffix, {})}
            self.coder = soundfile.SoundFile(
                self.guarded, "w", form.rate, form.channels, subtypes[self.bits], **options
            )
        if suffix != ".mp3":
            for name in Tags.__slots__:
                if getattr(tags, name):
                    setattr(self.coder, name, getattr(tags, name))

    def write(self, block: np.ndarray) -> None:
        """Take up to ``BLOCK_FRAMES`` frames. They are coded that many at a time, for Vorbis pages depend on it."""
        self.waiting = np.concatenate([self.waiting, block], axis=1, dtype=np.float32)
        if self.waiting.shape[1] >= BLOCK_FRAMES:
            self._code(self.waiting[:, :BLOCK_FRAMES])
            self.waiting = self.waiting[:, BLOCK_FRAMES:].copy()

    def _code(self, block: np.ndarray) -> None:
        if self.bits:
            samples = whole_numbers(block, self.bits) << (32 - self.bits)  # libsndfile takes the upper bits
        else:
            samples = np.clip(block.T, -1, 1, dtype=np.float32, order="C")
        with self._said():
            self.coder.write(samples)

    def close(self) -> None:
        self._code(self.waiting)
        with self._said():
            self.coder.close()
        self.file.flush()
        if self.suffix == ".ogg":
            _settle_serials(self.file)
            self.file.flush()

    def abandon(self) -> None:
        if self.coder is not None:
            with suppress(*self.failures):
                self.coder.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Let the system's reason come before libsndfile's."""
        try:
            yield
        except self.failures as error:
            self.guarded.check()
            raise OutputError(f"{self.path}: libsndfile cannot write it ({error}); choose .wav") from None
        self.guarded.check()


class _Guarded:
    """A file as libsndfile sees it through its callbacks, from which nothing can be raised: what is, is kept for later.

    It begins at ``base`` of the true file.
    """

    def __init__(self, file: IO[bytes], base: int) -> None:
        self.file, self.base = file, base
        self.error: BaseException | None = None  # Ctrl-C comes here too

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def write(self, data: bytes) -> int:
        return self._kept(lambda: self.file.write(data), 0)

    def readinto(self, buffer: Any) -> int:
        data = self._kept(lambda: self.file.read(len(buffer)), b"")
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self._kept(self.file.tell, self.base) - self.base

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + (self.base if whence == io.SEEK_SET else 0)
        return self._kept(lambda: self.file.seek(place, whence), self.base - 1) - self.base

    def _kept(self, action: Callable[[], _Result], otherwise: _Result) -> _Result:
        if self.error is None:
            try:
                return action()
            except BaseException as error:
                self.error = error
        return otherwise


def _id3(tags: Tags) -> bytes:
    """An ID3v2.4 tag in UTF-8."""
    said = {b"TIT2": tags.title, b"TPE1": tags.artist, b"TSSE": tags.software}
    frames = [(name, b"\x03" + text.encode()) for name, text in said.items() if text]
    if tags.comment:
        frames.append((b"COMM", b"\x03und\0" + tags.comment.encode()))
    body = b"".join(name + _seven_bits(len(data)) + b"\0\0" + data for name, data in frames)
    return b"ID3\x04\0\0" + _seven_bits(len(body)) + body if body else b""


def _seven_bits(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _settle_serials(file: IO[bytes]) -> None:
    """Give all pages of an OGG file the same fixed serial number and the checksum that then is right (RFC 3533).

    The checksum is CRC-32 as zlib has it, but for the order of bits and what it begins and ends with.
    """
    place = 0
    while True:
        file.seek(place)
        head = file.read(27)
        if len(head) < 27:
            return
        lengths = file.read(head[26])
        page = head[:14] + struct.pack("<I", _OGG_SERIAL) + head[18:22] + bytes(4) + head[26:] + lengths
        page += file.read(sum(lengths))
        other_way = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
        checksum = int(f"{other_way:032b}"[::-1], 2)
        file.seek(place + 14)
        file.write(page[14:22] + struct.pack("<I", checksum))
        place += len(page)
