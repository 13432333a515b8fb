"""Sound in memory and in files, both read block by block. With :mod:`midigen.soundfiles` the room of soundfile.

Sound crosses the rooms as a :class:`Signal`: something that can be read from start to end, again and again, without
ever being in memory as a whole. :class:`Audio` is one that is in memory, :class:`AudioFile` one that is on disk.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from midigen.errors import BadFile, BadRequest
from midigen.soundfiles import (
    BLOCK_FRAMES,
    FORMATS,
    HIGHEST_RATE,
    LOWEST_RATE,
    MOST_CHANNELS,
    AudioWriter,
    LoudnessFields,
    Tags,
    check_sound_file,
)
from midigen.wavfiles import from_24_bits, sound_place

__all__ = [
    "BLOCK_FRAMES",
    "FORMATS",
    "HIGHEST_RATE",
    "LOWEST_RATE",
    "MOST_CHANNELS",
    "Audio",
    "AudioFile",
    "AudioWriter",
    "LoudnessFields",
    "Signal",
    "Tags",
    "check_sound_file",
    "open_audio",
    "read_audio",
    "write_audio",
    "write_wav",
]

_CURE = "give a WAV, FLAC, OGG, AIFF or MP3 file"
_UNKNOWN_FRAMES = 2**48  # libsndfile's word for a length that the file does not tell is far beyond


class Signal(Protocol):
    """A sound that is read in blocks: as often as one likes, and the same each time, whatever the size of the blocks.

    ``blocks`` gives float32 of shape ``(channels, n)``, ``n`` at most ``size``, ``frames`` in all. Who reads must not
    write into a block.
    """

    @property
    def rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def frames(self) -> int: ...
    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]: ...


@dataclass(frozen=True, eq=False)
class Audio:
    """A piece of sound.

    ``samples`` is float32 of shape ``(channels, frames)``, full scale at -1..1 (values beyond are allowed until the
    sound is written), seen read-only through this object. ``rate`` is in frames a second, 8,000 to 384,000.
    Raises :class:`BadRequest` for another shape or type, a rate outside that range, or samples that are not finite.
    """

    samples: np.ndarray
    rate: int

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise BadRequest(f"sample rate {self.rate} is outside {LOWEST_RATE}..{HIGHEST_RATE} frames a second")
        shape, dtype = np.shape(self.samples), getattr(self.samples, "dtype", type(self.samples).__name__)
        if dtype != np.float32 or len(shape) != 2 or not 1 <= shape[0] <= MOST_CHANNELS:
            raise BadRequest(
                f"audio of type {dtype} and shape {shape}: give float32 samples of shape (channels, frames) "
                f"with 1..{MOST_CHANNELS} channels"
            )
        if not np.isfinite(self.samples).all():
            raise BadRequest("audio holds samples that are not numbers (NaN or infinity); render or export it again")
        view = self.samples.view()
        view.flags.writeable = False
        object.__setattr__(self, "samples", view)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        """Views of the samples, ``size`` frames at a time; the last is what is left. See :class:`Signal`."""
        for start in range(0, self.frames, _checked(size)):
            yield self.samples[:, start : start + size]

    def padded(self, frames: int) -> Audio:
        """The same sound with silence after it, ``frames`` long; itself where it is that long already."""
        missing = frames - self.frames
        return self if missing <= 0 else Audio(np.pad(self.samples, ((0, 0), (0, missing))), self.rate)


@dataclass(frozen=True)
class AudioFile:
    """A sound file as :func:`open_audio` found it; its samples are read from disk each time they are asked for."""

    path: Path
    rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        """The samples, ``size`` frames at a time; the last block is what is left. See :class:`Signal`.

        Raises :class:`BadFile` where the file is no longer what it was, ends too early, or holds samples that are not
        finite.
        """
        import soundfile

        _checked(size)
        left = self.frames
        try:
            with self.path.open("rb") as opened, soundfile.SoundFile(opened) as file:
                read = self._reader(opened, file)
                while left:
                    # never more at once than the Vorbis decoder's stack can bear
                    pieces, wanted = [], min(size, left)
                    while wanted:
                        piece = read(min(wanted, BLOCK_FRAMES))
                        if not piece.shape[1] or len(piece) != self.channels:
                            raise BadFile(f"{self.path}: ends early or is damaged; export it again")
                        pieces.append(piece)
                        wanted -= piece.shape[1]
                    block = np.ascontiguousarray(pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1))
                    if not np.isfinite(block).all():
                        raise BadFile(
                            f"{self.path}: holds samples that are not numbers (NaN or infinity); export it again"
                        )
                    left -= block.shape[1]
                    yield block
        except OSError as error:
            raise BadFile(f"{self.path}: cannot be read ({error.strerror}); {_CURE}") from None
        except soundfile.SoundFileError:
            raise BadFile(f"{self.path}: is not audio or is damaged; {_CURE}") from None

    def _reader(self, opened: IO[bytes], file: Any) -> Callable[[int], np.ndarray]:
        """What reads the next frames, ``(channels, n)``: libsndfile, but for the commonest files, see wavfiles."""
        if file.format in ("WAV", "WAVEX", "RF64") and file.subtype == "PCM_24":
            before = opened.tell()  # libsndfile goes on from there
            place = sound_place(opened)
            frame_bytes = 3 * self.channels
            if place is not None and place + self.frames * frame_bytes <= opened.seek(0, io.SEEK_END):
                opened.seek(place)
                return lambda frames: from_24_bits(opened.read(frames * frame_bytes), self.channels)
            opened.seek(before)
        # soundfile seeks to where it is after every read, where an MP3 then goes on with other samples
        file.seekable = lambda: False
        return lambda frames: file.read(frames, dtype="float32", always_2d=True).T


def open_audio(path: str | Path) -> AudioFile:
    """Open a sound file (WAV, FLAC, OGG, AIFF, MP3: whatever libsndfile reads) to read it block by block.

    Raises :class:`BadFile` where the file is missing, a folder, unreadable, empty, not audio, or of a rate or number
    of channels that :class:`Audio` does not take.
    """
    import soundfile

    path = Path(path)
    if path.is_dir():
        raise BadFile(f"{path}: is a folder; {_CURE}")
    try:
        if path.stat().st_size == 0:
            raise BadFile(f"{path}: is empty (0 bytes); {_CURE}")
        with path.open("rb") as opened, soundfile.SoundFile(opened) as file:
            rate, channels, frames = int(file.samplerate), int(file.channels), int(file.frames)
            # A FLAC that was written into a pipe does not tell its length, and that of an MP3 may be an estimate.
            if frames > _UNKNOWN_FRAMES or file.format == "MP3":
                file.seekable = lambda: False  # see `AudioFile._reader`
                frames = 0
                while read := len(file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                    frames += read
    except FileNotFoundError:
        raise BadFile(f"{path}: no such file; {_CURE}") from None
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror}); {_CURE}") from None
    except soundfile.SoundFileError:
        raise BadFile(f"{path}: is not audio or is damaged; {_CURE}") from None
    if not frames:
        raise BadFile(f"{path}: holds no sound (0 frames); {_CURE}")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadFile(f"{path}: sample rate {rate} is outside {LOWEST_RATE}..{HIGHEST_RATE}; resample it")
    if channels > MOST_CHANNELS:
        raise BadFile(f"{path}: has {channels} channels; give one with 1 to {MOST_CHANNELS}")
    return AudioFile(path, rate, channels, frames)


def read_audio(path: str | Path) -> Audio:
    """Read a sound file into memory as :class:`Audio`. Raises :class:`BadFile` as :func:`open_audio` does."""
    file = open_audio(path)
    samples = np.empty((file.channels, file.frames), dtype=np.float32)
    start = 0
    for block in file.blocks():
        samples[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return Audio(samples, file.rate)


def write_audio(
    signal: Signal,
    path: str | Path,
    bits: int = 24,
    tags: Tags | None = None,
    start_seconds: float | None = None,
    loudness: LoudnessFields | None = None,
) -> Path:
    """Write ``signal`` as a sound file whose suffix says the format; returns the path. See :class:`AudioWriter`."""
    with AudioWriter(path, signal.rate, signal.channels, bits, tags, start_seconds, loudness) as writer:
        for block in signal.blocks():
            writer.write(block)
    return Path(path)


def write_wav(audio: Signal, path: str | Path, bits: int = 24) -> Path:
    """:func:`write_audio` without tags."""
    return write_audio(audio, path, bits)


def _checked(size: int) -> int:
    if size < 1:
        raise BadRequest(f"blocks of {size} frames: give 1 or more")
    return size
