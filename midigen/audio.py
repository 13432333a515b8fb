"""Sampled sound, and sound files in and out. The only room that knows soundfile."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from midigen.errors import BadFile, BadRequest, OutputError

WAV_SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}
LOWEST_RATE, HIGHEST_RATE = 8_000, 384_000
MOST_CHANNELS = 16
_BLOCK_FRAMES = 65_536  # libsndfile's Vorbis coder overflows its stack on very long single calls


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

    def padded(self, frames: int) -> Audio:
        """The same sound with silence after it, ``frames`` long; itself where it is that long already."""
        missing = frames - self.frames
        return self if missing <= 0 else Audio(np.pad(self.samples, ((0, 0), (0, missing))), self.rate)


def read_audio(path: str | Path) -> Audio:
    """Read a sound file (WAV, FLAC, OGG, AIFF, MP3: whatever libsndfile reads) into :class:`Audio`.

    Raises :class:`BadFile` where the file is missing, a folder, unreadable, empty, or not audio.
    """
    import soundfile

    path = Path(path)
    cure = "give a WAV, FLAC, OGG, AIFF or MP3 file"
    if path.is_dir():
        raise BadFile(f"{path}: is a folder; {cure}")
    try:
        if path.stat().st_size == 0:
            raise BadFile(f"{path}: is empty (0 bytes); {cure}")
        with path.open("rb") as opened, soundfile.SoundFile(opened) as file:
            rate, blocks = int(file.samplerate), []
            while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
                blocks.append(block)
    except FileNotFoundError:
        raise BadFile(f"{path}: no such file; {cure}") from None
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror}); {cure}") from None
    except soundfile.SoundFileError:
        raise BadFile(f"{path}: is not audio or is damaged; {cure}") from None
    if not blocks:
        raise BadFile(f"{path}: holds no sound (0 frames); {cure}")
    try:
        return Audio(np.ascontiguousarray(np.concatenate(blocks).T), rate)
    except BadRequest as error:
        raise BadFile(f"{path}: {error}") from None


def write_wav(audio: Audio, path: str | Path, bits: int = 24) -> Path:
    """Write ``audio`` as a WAV file of 16, 24 or 32 ``bits`` (whole numbers); returns the path.

    Samples beyond full scale are clipped: a mix is under its ceiling, and stems keep the synthesizer's headroom. The
    same sound gives the same bytes (no dither, no date). The file is written beside ``path`` and then renamed.
    Raises :class:`BadRequest` for other ``bits`` and :class:`OutputError` where the disk is full or not writable.
    """
    import soundfile

    if bits not in WAV_SUBTYPES:
        raise BadRequest(f"{bits} bits: choose 16, 24 or 32")
    path = Path(path)
    # Into memory first: libsndfile reports a full disk as "System error", a plain write says what happened.
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", audio.rate, audio.channels, WAV_SUBTYPES[bits], format="WAV") as file:
        for start in range(0, audio.frames, _BLOCK_FRAMES):
            file.write(_whole_numbers(audio.samples[:, start : start + _BLOCK_FRAMES].T, bits))
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(buffer.getbuffer())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        cure = "free some space or choose another folder"
        raise OutputError(f"{path}: cannot be written ({error.strerror}); {cure}") from None
    except BaseException:  # Ctrl-C in the middle leaves nothing behind
        beside.unlink(missing_ok=True)
        raise
    return path


def _whole_numbers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples rounded to ``bits`` and clipped, at the top of int32 (libsndfile cuts off instead of rounding)."""
    steps = 2.0 ** (bits - 1)
    rounded = np.clip(np.rint(samples.astype(np.float64) * steps), -steps, steps - 1).astype(np.int64)
    return (rounded << (32 - bits)).astype(np.int32)
