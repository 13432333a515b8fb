"""FluidSynth's C library: how it is found, its synthesizers, and what is loaded into them.

It is driven through pyfluidsynth's handle on it, because the Python class there renders 16-bit samples, which clip.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from midigen.errors import BadFile, BadRequest, MissingTool
from midigen.renderers.divided import PROGRAMS, Divided, divided
from midigen.renderers.presets import Preset
from midigen.soundfonts import SoundFont

POLYPHONY = 1024  # voices; FluidSynth's own 256 drops some in dense music
INSTALL = (
    "install it with 'apt install libfluidsynth3' (Debian/Ubuntu), 'brew install fluid-synth' (macOS), or unpack "
    r"FluidSynth's release zip to C:\tools\fluidsynth (Windows)"
)
_loading = Lock()
_listing = Lock()
_listed: dict[tuple[str, int, int], list[Preset]] = {}


def presets(font: SoundFont) -> list[Preset]:
    """The sounds in ``font``, in order of bank and program, as FluidSynth sees them (SF2 and SF3).

    Raises :class:`BadFile` for a font that it cannot use."""
    with _listing:  # whoever comes second finds it done
        try:
            facts = font.path.stat()
        except OSError as error:
            raise BadFile(f"{font.path}: cannot be read ({error.strerror}); choose another SoundFont") from None
        key = str(font.path), facts.st_size, facts.st_mtime_ns
        if key not in _listed:
            with synthesizer(font.path, 44_100) as (library, synth, font_id):
                _listed[key] = _presets(library, synth, font_id)
        return list(_listed[key])


class Sounding:
    """A synthesizer for one sound of a font, a fresh one; closed at the end of a ``with`` statement.

    Where the font is compressed, it has the sound in ``pieces``, and what a key needs is unpacked when it is first
    pressed, or before by :meth:`unpack`. Raises :class:`BadFile`, :class:`BadRequest` and :class:`MissingTool`.
    """

    def __init__(self, font: SoundFont, sound: Preset, rate: int, channel: int) -> None:
        self.channel = channel
        self._rate = rate
        self._open = contextlib.ExitStack()
        self.pieces: Divided | None = None
        self._selected = -1
        self._there: set[int] = set()  # pieces that are unpacked
        if hasattr(load_library(), "fluid_synth_pin_preset"):  # before 2.2 what nobody plays is packed up again
            self.pieces = divided(font, sound.bank, sound.program)
        path = font.path if self.pieces is None else self.pieces.path
        self.library, self.synth, self._font_id = self._open.enter_context(synthesizer(path, rate))
        if self.pieces is None and self._select(sound.bank, sound.program) != 0:
            self.close()
            raise BadFile(f"{font.path}: preset {sound.name!r} cannot be loaded; the SoundFont is damaged")

    def __enter__(self) -> Sounding:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._open.close()

    def press(self, pitch: int, velocity: int) -> None:
        """Begin a note."""
        if self.pieces is not None:
            number = int(self.pieces.numbers[pitch, velocity])
            if number not in (self._selected, -1):  # where nothing sounds, nothing sounds in any piece
                self.unpack(number)
                self._select(*divmod(number, PROGRAMS))
                self._selected = number
        self.library.fluid_synth_noteon(self.synth, self.channel, pitch, velocity)

    def unpack(self, number: int) -> None:
        """Unpack a piece of :attr:`pieces`: for this synthesizer, and for others as long as this one is open."""
        assert self.pieces is not None
        if number not in self._there:
            with self.pieces.unpacking(number):
                self.library.fluid_synth_pin_preset(self.synth, self._font_id, *divmod(number, PROGRAMS))
            self._there.add(number)

    def _select(self, bank: int, program: int) -> int:
        return int(self.library.fluid_synth_program_select(self.synth, self.channel, self._font_id, bank, program))


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
        "fluid_synth_pin_preset": (whole, (pointer, whole, whole, whole)),
        "fluid_synth_noteon": (whole, (pointer, whole, whole, whole)),
        "fluid_synth_noteoff": (whole, (pointer, whole, whole)),
        "fluid_synth_cc": (whole, (pointer, whole, whole, whole)),
        "fluid_synth_pitch_bend": (whole, (pointer, whole, whole)),
        "fluid_synth_get_active_voice_count": (whole, (pointer,)),
        "fluid_synth_process": (whole, (pointer, whole, whole, pointer, whole, pointer)),
        "fluid_set_log_function": (pointer, (whole, pointer, pointer)),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(library, name, None)
        if function is None:  # of a later version; who uses it looks whether it is there
            continue
        function.restype, function.argtypes = result, arguments
    for level in range(5):  # from panic to debug: midigen says what went wrong itself, in one line
        library.fluid_set_log_function(level, None, None)


# The library fills tables and default modulators that all synthesizers share while it makes the first one, and a second
# thread does not wait for that: its notes would lack the modulators, some decibels louder. So one at a time.
_SETTING_UP = threading.Lock()


@contextlib.contextmanager
def synthesizer(path: Path, rate: int) -> Iterator[tuple[Any, int, int]]:
    """A fresh synthesizer with a font loaded: the library, the synthesizer, and the font's number in it."""
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
            font_id = library.fluid_synth_sfload(synth, os.fsencode(path), 0)
        if font_id < 0:
            raise BadFile(f"{path}: FluidSynth cannot use this SoundFont; it is damaged or of another kind")
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
