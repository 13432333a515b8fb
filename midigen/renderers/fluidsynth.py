"""One part to one stem with FluidSynth: the only room that knows pyfluidsynth.

The synthesizer is driven through pyfluidsynth's handle on the C library, because its Python class renders 16-bit
samples, which clip. Every part gets a fresh synthesizer, so that a stem depends on its own notes and on nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import math
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from threading import Event, Lock
from typing import Any

import numpy as np

from midigen.errors import BadFile, BadRequest, MissingTool
from midigen.renderers import TAIL_SECONDS, AnotherPart
from midigen.renderers.events import BLOCK, Message, blocks_of, messages
from midigen.renderers.presets import Preset, choose_preset
from midigen.score import Part, Score
from midigen.soundfonts import SoundFont

RENDERING = 1  # of this module: to be raised whenever the samples it gives change
POLYPHONY = 1024  # voices; FluidSynth's own 256 drops some in dense music
PIECE_BLOCKS = 1024  # 65,536 frames: what is in memory of a stem
SILENT = 10 ** (-80 / 20)  # a release is over when it stays under this
FADE_SECONDS = 0.5  # of a tail that is still sounding when it has to end
DRUM_CHANNEL, MELODIC_CHANNEL = 9, 0
# A sound that wants no delay gets one of 2**-10 s (SoundFont 2.04, section 8.1.3, generator 33), in whole blocks: none
# at 44,100 frames a second, one from 65,536 on.
DELAY_SECONDS = 2.0**-10
LOOK_BLOCKS = 64  # blocks of a tail rendered between two looks at its level
INSTALL = (
    "install it with 'apt install libfluidsynth3' (Debian/Ubuntu), 'brew install fluid-synth' (macOS), or unpack "
    r"FluidSynth's release zip to C:\tools\fluidsynth (Windows)"
)
_loading = Lock()


class FluidSynth:
    """A :class:`midigen.renderers.Renderer`.

    Stems are stereo and dry (reverb and chorus belong to the mix). An onset lies within 32 samples of
    :meth:`Score.seconds`: on the nearest of the 64-sample blocks that FluidSynth works in. The release is kept until
    it falls under -80 dBFS, at most 10 s. What plays a part: :func:`midigen.renderers.presets.choose_preset`.
    """

    def version(self) -> str:
        return f"{RENDERING} {library_version()} {platform.machine()}"

    def play(
        self,
        score: Score,
        font: SoundFont,
        *,
        rate: int,
        chosen: bool,
        preset: str | None,
        write: Callable[[np.ndarray], None],
        stop: Event,
    ) -> str:
        with self.begin(score, font, rate=rate, chosen=chosen, preset=preset, write=write) as playing:
            return playing.finish(score, stop)

    def begin(
        self,
        score: Score,
        font: SoundFont,
        *,
        rate: int,
        chosen: bool,
        preset: str | None,
        write: Callable[[np.ndarray], None],
    ) -> FluidSynthPlaying:
        return FluidSynthPlaying(score, font, rate, chosen, preset, write)


class FluidSynthPlaying:
    """A part that is being played; keeps :class:`midigen.renderers.Playing`."""

    def __init__(
        self,
        score: Score,
        font: SoundFont,
        rate: int,
        chosen: bool,
        preset: str | None,
        write: Callable[[np.ndarray], None],
    ) -> None:
        self._font, self._rate, self._write = font, rate, write
        self._chosen, self._asked = chosen, preset
        self._synthesizer = contextlib.ExitStack()
        library, synth, font_id = self._synthesizer.enter_context(_synthesizer(font, rate))
        self._library, self._synth, self._font_id = library, synth, font_id
        (part,) = score.parts
        try:
            self._presets = _presets(library, synth, font_id)
            self._sound = self._choose(part)
        except BaseException:
            self._synthesizer.close()
            raise
        self._player: _Player | None = None  # none before the first note
        self._sent: list[Message] = []

    def _choose(self, part: Part) -> Preset:
        return choose_preset(self._presets, part, self._font.name, chosen=self._chosen, asked=self._asked)

    def __enter__(self) -> FluidSynthPlaying:
        return self

    def __exit__(self, *error: object) -> None:
        self._synthesizer.close()

    def go_on(self, score: Score, until_tick: int, stop: Event) -> None:
        """Play what comes before the block of ``until_tick``; notes from there on may still change."""
        until = int(blocks_of(score, until_tick, self._rate))
        player, coming = self._prepare(score)
        if player is None:
            return
        for message in coming:
            # Never beyond the last message: what rings on after it is the tail, unless something follows.
            player.advance(min(message.block, until), stop)
            if message.block >= until or stop.is_set():
                return
            player.send(message)
            self._sent.append(message)

    def finish(self, score: Score, stop: Event) -> str:
        player, coming = self._prepare(score)
        if player is not None:
            _play(player, coming, self._rate, stop)
        return self._sound.name

    def _prepare(self, score: Score) -> tuple[_Player | None, list[Message]]:
        """The player, once there are notes, and the messages that it has not had. Raises :class:`AnotherPart`."""
        (part,) = score.parts
        coming = messages(score, part, self._rate) if part.notes else []
        if coming[: len(self._sent)] != self._sent or self._choose(part) != self._sound:
            raise AnotherPart
        if self._player is None and part.notes:
            channel = DRUM_CHANNEL if part.is_drum else MELODIC_CHANNEL
            sound = self._sound
            selected = self._library.fluid_synth_program_select(
                self._synth, channel, self._font_id, sound.bank, sound.program
            )
            if selected != 0:
                raise BadFile(f"{self._font.path}: preset {sound.name!r} cannot be loaded; the SoundFont is damaged")
            ahead = int(DELAY_SECONDS * self._rate / BLOCK)
            self._player = _Player(self._library, self._synth, channel, self._write, ahead)
        coming = coming[len(self._sent) :]
        if self._player is not None and coming and coming[0].block < self._player.now:
            raise AnotherPart
        return self._player, coming


class OpenSynthesizer:
    """A synthesizer for ``part`` that stays open and plays what it is sent, block after block: for live use.

    The same messages at the same blocks give the samples that :class:`FluidSynth` renders. ``sound`` names what plays.
    One thread at a time may use it. Raises what :meth:`FluidSynth.play` raises.
    """

    def __init__(
        self, part: Part, font: SoundFont, rate: int, *, chosen: bool = False, preset: str | None = None
    ) -> None:
        self._open = contextlib.ExitStack()
        library, synth, font_id = self._open.enter_context(_synthesizer(font, rate))
        with contextlib.ExitStack() as failed:
            failed.callback(self._open.close)
            sound = choose_preset(_presets(library, synth, font_id), part, font.name, chosen=chosen, asked=preset)
            channel = DRUM_CHANNEL if part.is_drum else MELODIC_CHANNEL
            if library.fluid_synth_program_select(synth, channel, font_id, sound.bank, sound.program) != 0:
                raise BadFile(f"{font.path}: preset {sound.name!r} cannot be loaded; the SoundFont is damaged")
            failed.pop_all()
        self.sound = sound.name
        self._player = _Player(library, synth, channel, lambda piece: None)
        self.ahead = int(DELAY_SECONDS * rate / BLOCK)  # blocks by which all sounds late

    def send(self, message: Message) -> None:
        """Do what ``message`` says, from the next block on."""
        self._player.send(message)

    def play(self, blocks: int) -> np.ndarray:
        """The next ``blocks`` of 64 frames: float32 ``(2, 64 * blocks)``."""
        sound = np.zeros((2, blocks * BLOCK), dtype=np.float32)  # the library adds to what is there
        self._player.play_into(sound, 0, blocks)
        return sound

    def close(self) -> None:
        """Give the synthesizer back; it cannot play any more."""
        self._open.close()


def presets(font: SoundFont) -> list[Preset]:
    """The sounds in ``font``, in order of bank and program, as FluidSynth sees them (SF2 and SF3)."""
    with _synthesizer(font, 44_100) as (library, synth, font_id):
        return _presets(library, synth, font_id)


def library_version() -> str:
    """The version of the FluidSynth library, such as ``"2.3.1"``."""
    library = load_library()
    library.fluid_version_str.restype = ctypes.c_char_p
    return str(library.fluid_version_str().decode())


def load_library() -> Any:
    """FluidSynth's C library, with its own messages silenced. Raises :class:`MissingTool` with the cure."""
    with _loading:
        try:
            if "fluidsynth" not in sys.modules:
                # pyfluidsynth looks for the library when it is imported, and prints where it is if CI is set
                with contextlib.redirect_stdout(io.StringIO()):
                    importlib.import_module("fluidsynth")
            import fluidsynth

            library = fluidsynth._fl
        except (ImportError, OSError, AttributeError) as error:
            if isinstance(error, ModuleNotFoundError) and error.name == "fluidsynth":
                raise MissingTool("the Python package pyfluidsynth is missing: pip install pyfluidsynth") from None
            raise MissingTool(f"the FluidSynth library is missing: {INSTALL}") from None
        if not hasattr(library, "fluid_synth_process"):
            raise MissingTool(f"the FluidSynth library is too old: {INSTALL}")
        if not getattr(library, "midigen_prototypes", False):
            _declare(library)
            library.midigen_prototypes = True
        return library


def _declare(library: Any) -> None:
    """The C prototypes of what is used, so that pointers are not cut to 32 bits."""
    pointer, whole, text, real = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_double
    prototypes: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "new_fluid_settings": (pointer, ()),
        "delete_fluid_settings": (None, (pointer,)),
        "fluid_settings_setint": (whole, (pointer, text, whole)),
        "fluid_settings_setnum": (whole, (pointer, text, real)),
        "new_fluid_synth": (pointer, (pointer,)),
        "delete_fluid_synth": (None, (pointer,)),
        "fluid_synth_sfload": (whole, (pointer, text, whole)),
        "fluid_synth_get_sfont_by_id": (pointer, (pointer, whole)),
        "fluid_sfont_iteration_start": (None, (pointer,)),
        "fluid_sfont_iteration_next": (pointer, (pointer,)),
        "fluid_preset_get_name": (text, (pointer,)),
        "fluid_preset_get_banknum": (whole, (pointer,)),
        "fluid_preset_get_num": (whole, (pointer,)),
        "fluid_synth_program_select": (whole, (pointer, whole, whole, whole, whole)),
        "fluid_synth_noteon": (whole, (pointer, whole, whole, whole)),
        "fluid_synth_noteoff": (whole, (pointer, whole, whole)),
        "fluid_synth_cc": (whole, (pointer, whole, whole, whole)),
        "fluid_synth_pitch_bend": (whole, (pointer, whole, whole)),
        "fluid_synth_get_active_voice_count": (whole, (pointer,)),
        "fluid_synth_process": (whole, (pointer, whole, whole, pointer, whole, pointer)),
        "fluid_set_log_function": (pointer, (whole, pointer, pointer)),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    for level in range(5):  # from panic to debug: midigen says what went wrong itself, in one line
        library.fluid_set_log_function(level, None, None)


# The library fills tables and default modulators that all synthesizers share while it makes the first one, and a second
# thread does not wait for that: its notes would lack the modulators, some decibels louder. So one at a time.
_SETTING_UP = threading.Lock()


@contextlib.contextmanager
def _synthesizer(font: SoundFont, rate: int) -> Iterator[tuple[Any, int, int]]:
    """A fresh synthesizer with ``font`` loaded: the library, the synthesizer, and the font's number in it."""
    library = load_library()
    with _SETTING_UP:
        settings = library.new_fluid_settings()
    whole_settings = {
        b"synth.polyphony": POLYPHONY,
        b"synth.reverb.active": 0,
        b"synth.chorus.active": 0,
        b"synth.dynamic-sample-loading": 1,  # only the presets that are played; unknown, and refused, before 2.0
        b"synth.threadsafe-api": 0,  # one thread drives each synthesizer
        b"synth.lock-memory": 0,
        b"synth.cpu-cores": 1,
        b"synth.midi-channels": 16,
    }
    for name, value in whole_settings.items():
        library.fluid_settings_setint(settings, name, value)
    library.fluid_settings_setnum(settings, b"synth.sample-rate", float(rate))
    with _SETTING_UP:
        synth = library.new_fluid_synth(settings)
    try:
        if not synth:
            raise BadRequest(f"FluidSynth refuses a sample rate of {rate}: choose 44100 or 48000")
        with _quiet_glib(library):
            font_id = library.fluid_synth_sfload(synth, os.fsencode(font.path), 0)
        if font_id < 0:
            raise BadFile(f"{font.path}: FluidSynth cannot use this SoundFont; it is damaged or of another kind")
        yield library, synth, font_id
    finally:
        if synth:
            library.delete_fluid_synth(synth)
        library.delete_fluid_settings(settings)


@contextlib.contextmanager
def _quiet_glib(library: Any) -> Iterator[None]:
    """Keep GLib from printing: a file that is no SoundFont is tried as DLS too, by a library that logs through GLib."""
    try:
        set_handler = library.g_log_set_default_handler  # found where FluidSynth was built with GLib
    except AttributeError:
        yield
        return
    set_handler.restype, set_handler.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_void_p)
    with _loading:  # one handler for the whole process
        before = set_handler(ctypes.cast(_say_nothing, ctypes.c_void_p), None)
        try:
            yield
        finally:
            set_handler(before, None)


@ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def _say_nothing(domain: bytes, level: int, message: bytes, data: int) -> None:
    """A GLogFunc."""


def _presets(library: Any, synth: int, font_id: int) -> list[Preset]:
    font = library.fluid_synth_get_sfont_by_id(synth, font_id)
    library.fluid_sfont_iteration_start(font)
    found = []
    while preset := library.fluid_sfont_iteration_next(font):
        name = library.fluid_preset_get_name(preset).decode("utf-8", errors="replace").strip()
        found.append(Preset(library.fluid_preset_get_banknum(preset), library.fluid_preset_get_num(preset), name))
    return sorted(found)


class _Player:
    """A synthesizer that plays from block to block and hands on what it played, a piece at a time.

    The first ``ahead`` blocks are left out: nothing sounds that early, and the rest comes to its time.
    """

    def __init__(
        self, library: Any, synth: int, channel: int, write: Callable[[np.ndarray], None], ahead: int = 0
    ) -> None:
        self.library, self.synth, self.channel = library, synth, channel
        self.write = write
        self._left_out = ahead * BLOCK
        self.now = 0  # the block that comes next
        self._piece = np.zeros((2, PIECE_BLOCKS * BLOCK), dtype=np.float32)
        self._filled = 0  # blocks of the piece
        self._send = {
            "on": library.fluid_synth_noteon,
            "off": library.fluid_synth_noteoff,
            "control": library.fluid_synth_cc,
            "bend": library.fluid_synth_pitch_bend,
        }

    def send(self, message: Message) -> None:
        self._send[message.action](self.synth, self.channel, *message.values)

    def advance(self, until: int, stop: Event) -> None:
        """Play up to the block ``until``, and hand on the pieces that are full."""
        while self.now < until and not stop.is_set():
            blocks = min(until - self.now, PIECE_BLOCKS - self._filled)
            self.play_into(self._piece, self._filled, blocks)
            self._filled += blocks
            if self._filled == PIECE_BLOCKS:
                self.flush()

    def flush(self) -> None:
        """Hand on what was played."""
        self.write(self._piece[:, self._left_out : self._filled * BLOCK])
        self._left_out = 0
        self._piece[:] = 0  # the library adds to what is there
        self._filled = 0

    def play_into(self, sound: np.ndarray, block: int, blocks: int) -> None:
        """Add the next ``blocks`` to ``sound`` (float32 ``(2, any)``), at its block ``block``."""
        pointers = (ctypes.c_void_p * 2)(*(row.ctypes.data + block * BLOCK * sound.itemsize for row in sound))
        if self.library.fluid_synth_process(self.synth, blocks * BLOCK, 0, None, 2, pointers) != 0:
            raise BadFile("FluidSynth stopped while rendering; try another SoundFont")
        self.now += blocks


def _play(player: _Player, score: list[Message], rate: int, stop: Event) -> None:
    """Send the messages at their blocks, and play what lies between and what rings on after the last."""
    for message in score:
        player.advance(message.block, stop)
        if stop.is_set():
            return
        player.send(message)
    player.flush()
    longest = math.ceil(TAIL_SECONDS * rate / BLOCK)
    tail = np.zeros((2, longest * BLOCK), dtype=np.float32)
    now = 0
    while now < longest and not stop.is_set():
        blocks = min(LOOK_BLOCKS, longest - now)
        player.play_into(tail, now, blocks)
        peak = float(np.abs(tail[:, now * BLOCK : (now + blocks) * BLOCK]).max())
        now += blocks
        if peak < SILENT or player.library.fluid_synth_get_active_voice_count(player.synth) == 0:
            player.write(tail[:, : now * BLOCK])
            return
    fade = min(round(FADE_SECONDS * rate), tail.shape[1])  # still sounding: end it without a click
    tail[:, tail.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    player.write(tail)
