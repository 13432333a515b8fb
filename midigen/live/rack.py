"""The synthesizers of a band, opened while everything else gets ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from midigen import filtering
from midigen.instruments import INSTRUMENTS
from midigen.renderers import font_of
from midigen.renderers.fluidsynth import OpenSynthesizer
from midigen.renderers.library import load_library
from midigen.score import Part, Score
from midigen.sound import Sound
from midigen.soundfonts import SoundFont


class Rack:
    """The synthesizers of a band, which are opened side by side: unpacking a sound may take a second.

    ``fonts`` are those of :meth:`midigen.sound.Sound.fonts`, ``presets`` the sounds in them by part or instrument. What
    a part will play may not be known yet: one that is opened for it all the same is used if it is right.
    """

    def __init__(self, fonts: Mapping[str, SoundFont], rate: int, presets: Mapping[str, str] | None = None) -> None:
        filtering.load()
        self.rate = rate
        self._fonts, self._presets = fonts, presets or {}
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="rack")
        self._likely: dict[str, tuple[Part, Future[tuple[OpenSynthesizer, float]]]] = {}

    def expect(self, part: Part) -> None:
        """Open what ``part`` will most likely play."""
        self._likely[part.name] = part, self._pool.submit(self._open, part)

    def ask(self, parts: Sequence[Part]) -> None:
        """Open what ``parts`` play: it is known now."""
        for part in parts:
            likely, future = self._likely.get(part.name, (None, None))
            if future is None or likely is None or _sound(likely) != _sound(part):
                self._discard(future)
                self.expect(part)

    def open(self, parts: Sequence[Part]) -> list[tuple[OpenSynthesizer, float]]:
        """The synthesizers of ``parts``, and how loud each is expected to be (LUFS). Raises
        :class:`midigen.errors.MidigenError`."""
        self.ask(parts)
        opening = [self._likely.pop(part.name)[1] for part in parts]
        self.close()
        return [future.result() for future in opening]

    def _open(self, part: Part) -> tuple[OpenSynthesizer, float]:
        font, chosen = font_of(part, self._fonts)
        preset = self._presets.get(part.name, self._presets.get(part.kind))
        synthesizer = OpenSynthesizer(part, font, self.rate, chosen=chosen, preset=preset)
        synthesizer.unpack()
        from midigen.profiles.levels import expected_lufs  # half a second of imports, beside the unpacking of others

        # While the first is open, its samples are there for another one.
        return synthesizer, expected_lufs(part, font, chosen=chosen, preset=preset)

    def close(self) -> None:
        """Close what was opened and not asked for."""
        for _, future in self._likely.values():
            self._discard(future)
        self._likely = {}
        self._pool.shutdown(wait=False)

    def _discard(self, future: Future[tuple[OpenSynthesizer, float]] | None) -> None:
        """Close what nobody wants as soon as it is open; what went wrong with it is nobody's business."""
        if future is not None and not future.cancel():
            future.add_done_callback(lambda done: None if done.exception() else done.result()[0].close())


def _sound(part: Part) -> tuple[str, int, int, bool]:
    """What decides which sound plays a part."""
    return part.kind, part.program, part.bank, part.is_drum


def usual_parts(parts: Sequence[tuple[str, str]]) -> list[Part]:
    """Parts (name and instrument) with the sounds that are usual for them."""
    rows = [(name, INSTRUMENTS[kind]) for name, kind in parts]
    return [Part(name, row.name, row.default_program, row.is_drum) for name, row in rows]


def open_rack(sound: Sound, parts: Sequence[tuple[str, str]], song: Score | None = None) -> Rack:
    """A rack in which the sounds of ``song``, or those that ``parts`` (name and instrument) will most likely have, are
    being opened. Raises :class:`midigen.errors.MidigenError` for a SoundFont or library that is not there."""
    fonts = sound.fonts(parts)
    load_library()
    rack = Rack(fonts, sound.rate, sound.sound_for)
    for part in song.parts if song is not None else usual_parts(parts):
        rack.expect(part)
    return rack
