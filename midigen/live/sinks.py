"""Where sound goes: into a file, as fast as it comes, or to the system's audio, as fast as it is heard.

The only room that knows sounddevice, which binds PortAudio.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from midigen.audio import AudioWriter
from midigen.errors import BadRequest, MissingTool, OutputError
from midigen.live.ring import Ring

INSTALL_SOUNDDEVICE = "pip install sounddevice (or the extra: pip install '.[live]')"
INSTALL_PORTAUDIO = "apt install libportaudio2 (Debian/Ubuntu); elsewhere it comes with sounddevice"
ELSEWHERE = "play into a file with --to song.wav, or to a MIDI port with --midi-port"
BUFFER_SECONDS = 0.25
SHORTEST_BUFFER, LONGEST_BUFFER = 0.05, 5.0


class Sink(Protocol):
    """Takes sound in stereo, float32 ``(2, n)``, block by block, until it is closed."""

    @property
    def gaps(self) -> int:
        """How often somebody heard silence because a block was late."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def write(self, block: np.ndarray) -> None:
        """Take a block; waits where it has to."""
        ...


class FileSink:
    """A sound file; its suffix says the format. It appears when all is written, or not at all."""

    gaps = 0

    def __init__(self, path: str | Path, rate: int) -> None:
        self._writer = AudioWriter(path, rate, 2)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def write(self, block: np.ndarray) -> None:
        self._writer.write(block)


class NullSink:
    """Nowhere: for music that is sent as MIDI."""

    gaps = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def write(self, block: np.ndarray) -> None:
        return None


class DeviceSink:
    """The system's audio, or the device whose name holds ``device``.

    ``buffer_seconds`` of sound lie in a ring between the thread that plays and the callback of the audio system, which
    only copies: it waits for nobody, and where the ring is empty it plays silence and counts a gap. Raises
    :class:`MissingTool` where a library is missing, :class:`OutputError` where there is no device, and
    :class:`BadRequest` for one that is not there or a buffer out of range (0.05 to 5 s).
    """

    def __init__(self, rate: int, device: str | None = None, buffer_seconds: float = BUFFER_SECONDS) -> None:
        if not SHORTEST_BUFFER <= buffer_seconds <= LONGEST_BUFFER:
            raise BadRequest(
                f"buffer {buffer_seconds:g} is outside {SHORTEST_BUFFER:g} to {LONGEST_BUFFER:g} seconds: 0.25 is usual"
            )
        self._sounddevice = sounddevice = load_sounddevice()
        self._rate = rate
        self._ring = Ring(round(buffer_seconds * rate))
        self._playing = False
        number = None if device is None else _device_number(sounddevice, device)
        try:
            self._stream: Any = sounddevice.OutputStream(
                samplerate=rate, channels=2, dtype="float32", device=number, callback=self._called, latency="high"
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            raise OutputError(
                f"no audio device plays at {rate} frames a second ({_first_line(error)}); {ELSEWHERE}"
            ) from None

    @property
    def gaps(self) -> int:
        return self._ring.gaps

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._playing and kind is None:
            self._ring.end()
            while self._ring.held and self._stream.active:
                time.sleep(0.02)
            self._stream.stop()  # waits until what was given is heard
        self._stream.close()

    def write(self, block: np.ndarray) -> None:
        """Take a block; waits until there is room for it. Sound begins when the ring is half full."""
        while not self._ring.write(block):
            self._begin()
            if not self._stream.active:
                raise OutputError(f"the audio device has stopped; start again, or {ELSEWHERE}")
            time.sleep(block.shape[1] / self._rate / 4)
        if self._ring.held >= self._ring.frames // 2:
            self._begin()

    def _begin(self) -> None:
        if not self._playing:
            self._playing = True
            try:
                self._stream.start()
            except self._sounddevice.PortAudioError as error:
                raise OutputError(f"the audio device does not start ({_first_line(error)}); {ELSEWHERE}") from None

    def _called(self, out: np.ndarray, frames: int, when: Any, status: Any) -> None:
        """PortAudio's callback: ``out`` is ``(frames, 2)``. Takes no lock and waits for nobody."""
        self._ring.read_into(out)


def load_sounddevice() -> Any:
    """The module sounddevice. Raises :class:`MissingTool` that says what to install."""
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise MissingTool(f"sounddevice is not installed: {INSTALL_SOUNDDEVICE}; or {ELSEWHERE}") from None
    except OSError:
        raise MissingTool(f"the PortAudio library is missing: {INSTALL_PORTAUDIO}; or {ELSEWHERE}") from None
    return sounddevice


def _device_number(sounddevice: Any, name: str) -> int:
    outputs = {
        number: device["name"]
        for number, device in enumerate(sounddevice.query_devices())
        if device["max_output_channels"] >= 2
    }
    fits = [number for number, one in outputs.items() if name.casefold() in one.casefold()]
    if not fits:
        there = ", ".join(dict.fromkeys(outputs.values())) or "none"
        raise BadRequest(f"audio device {name!r} is not there: there are {there}; or {ELSEWHERE}")
    return fits[0]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
