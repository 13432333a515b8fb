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
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

import numpy as np

from midigen.audio import Audio
from midigen.errors import BadFile, BadRequest, MissingTool
from midigen.renderers import Stem
from midigen.renderers.events import BLOCK, Message, messages
from midigen.score import Part, Score
from midigen.soundfonts import SoundFont

POLYPHONY = 1024  # voices; FluidSynth's own 256 drops some in dense music
TAIL_SECONDS = 10.0  # the longest release that is waited for
SILENT = 10 ** (-80 / 20)  # a release is over when it stays under this
FADE_SECONDS = 0.5  # of a tail that is still sounding when it has to end
DRUM_BANK = 128  # SoundFont 2.04, section 7.2: percussion presets
DRUM_CHANNEL, MELODIC_CHANNEL = 9, 0
LOOK_BLOCKS = 64  # blocks of a tail rendered between two looks at its level
INSTALL = (
    "install it with 'apt install libfluidsynth3' (Debian/Ubuntu), 'brew install fluid-synth' (macOS), or unpack "
    r"FluidSynth's release zip to C:\tools\fluidsynth (Windows)"
)
_loading = Lock()


@dataclass(frozen=True, order=True)
class Preset:
    """A sound in a font: ``bank`` 0..128 (128 is percussion), ``program`` 0..127, and its ``name`` there."""

    bank: int
    program: int
    name: str


def render_part(
    score: Score, font: SoundFont, *, rate: int = 44_100, chosen: bool = False, stop: Event | None = None
) -> Stem:
    """Render the one part of ``score`` with ``font``; see :class:`midigen.renderers.Renderer`.

    The stem is stereo and dry (reverb and chorus belong to the mix). An onset lies within 32 samples of
    :meth:`Score.seconds`: on the nearest of the 64-sample blocks that FluidSynth works in. The release is kept until
    it falls under -80 dBFS, at most 10 s. A preset that the font lacks is replaced by the nearest of its family.
    """
    (part,) = score.parts
    with _synthesizer(font, rate) as (library, synth, font_id):
        preset = _choose_preset(_presets(library, synth, font_id), part, font, chosen)
        if not part.notes:
            return Stem(part.name, part.kind, Audio(np.zeros((2, 0), dtype=np.float32), rate), preset.name)
        channel = DRUM_CHANNEL if part.is_drum else MELODIC_CHANNEL
        if library.fluid_synth_program_select(synth, channel, font_id, preset.bank, preset.program) != 0:
            raise BadFile(f"{font.path}: preset {preset.name!r} cannot be loaded; the SoundFont is damaged")
        samples = _play(library, synth, channel, messages(score, part, rate), rate, stop or Event())
    return Stem(part.name, part.kind, Audio(samples, rate), preset.name)


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


def _choose_preset(known: list[Preset], part: Part, font: SoundFont, chosen: bool) -> Preset:
    """The preset that plays ``part``.

    A part's bank counts as MIDI has it (coarse times 128 plus fine), then as Roland GS (coarse alone) and Yamaha XG
    (fine alone) do; then bank 0. A missing program gives way to the nearest in its family of eight, then to the
    font's first. Drums sound from bank 128 only, unless the user chose the font for them: it may be a drum kit at 0.
    """
    drums = [p for p in known if p.bank == DRUM_BANK]
    melodic = [p for p in known if p.bank != DRUM_BANK]
    if part.is_drum:
        pool = drums or (melodic if chosen else [])
        banks = [DRUM_BANK, 0]
    else:
        pool = melodic
        banks = [part.bank, part.bank // 128, part.bank % 128, 0]
    if not pool:
        lacks = "drum kit" if part.is_drum else "melodic sound"
        raise BadRequest(f"SoundFont {font.name} has no {lacks} for part {part.name!r}: choose another font for it")
    by_place = {(p.bank, p.program): p for p in pool}
    exact = [by_place[bank, part.program] for bank in banks if (bank, part.program) in by_place]
    if exact:
        return exact[0]
    if not part.is_drum:
        family = [p for p in pool if p.program // 8 == part.program // 8]
        if family:
            return min(family, key=lambda p: (p.bank != 0, abs(p.program - part.program), p))
    return pool[0]


def _play(library: Any, synth: int, channel: int, score: list[Message], rate: int, stop: Event) -> np.ndarray:
    """Send the messages at their blocks and render what lies between; float32 ``(2, frames)``."""
    last = score[-1].block
    longest = last + math.ceil(TAIL_SECONDS * rate / BLOCK)
    sound = np.zeros((2, longest * BLOCK), dtype=np.float32)  # the library adds to what is there
    left, right = (row.ctypes.data for row in sound)
    pointers = (ctypes.c_void_p * 2)()
    width = sound.itemsize

    def advance(block: int, until: int) -> None:
        pointers[0], pointers[1] = left + block * BLOCK * width, right + block * BLOCK * width
        if library.fluid_synth_process(synth, (until - block) * BLOCK, 0, None, 2, pointers) != 0:
            raise BadFile("FluidSynth stopped while rendering; try another SoundFont")

    send = {
        "on": library.fluid_synth_noteon,
        "off": library.fluid_synth_noteoff,
        "control": library.fluid_synth_cc,
        "bend": library.fluid_synth_pitch_bend,
    }
    now = 0
    for message in score:
        if message.block > now:
            if stop.is_set():
                return sound[:, : now * BLOCK]
            advance(now, message.block)
            now = message.block
        send[message.action](synth, channel, *message.values)
    while now < longest and not stop.is_set():
        until = min(now + LOOK_BLOCKS, longest)
        advance(now, until)
        peak = float(np.abs(sound[:, now * BLOCK : until * BLOCK]).max())
        now = until
        if peak < SILENT or library.fluid_synth_get_active_voice_count(synth) == 0:
            return sound[:, : now * BLOCK].copy()
    fade = min(round(FADE_SECONDS * rate), sound.shape[1])  # still sounding: end it without a click
    sound[:, sound.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return sound
