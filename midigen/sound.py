"""How the parts of a song are to sound: which SoundFont plays each, and what the mixer makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from midigen.session import Session
    from midigen.soundfonts import SoundFont

RATES = (44_100, 48_000, 96_000)
FORMATS = ("wav", "flac", "ogg", "mp3")


@dataclass(frozen=True)
class Sound:
    """How the parts are to sound.

    Mappings go from a part's name, or from an instrument (which then means every part of its kind), to: the path or
    name of a SoundFont; decibels; a seat from -1 (left) to 1 (right). ``soundfont`` is for the parts that
    ``soundfont_for`` does not name; without both the best one found is taken. ``target_lufs`` is the loudness of the
    mix: -70 to -5, or "streaming", "podcast", "broadcast" or "off"; ``None`` is what the preset has. ``preset`` is
    what the mixer begins with (see :func:`midigen.session.presets.preset`; ``None`` is the default one). ``rate`` is
    44100, 48000 or 96000 frames a second; the mix is written as ``format`` wav, flac, ogg or mp3. ``sound_for`` are
    sounds in the SoundFonts in place of the parts' own programs: a name ("Steel Guitar"), a program ("25"), or bank and
    program ("8:25"). With ``auto_equaliser`` every part's own spectrum sets the bands of its equaliser that are off.
    """

    soundfont: str | None = None
    soundfont_for: Mapping[str, str] | None = None
    gain_db: Mapping[str, float] | None = None
    pan: Mapping[str, float] | None = None
    mute: Sequence[str] = ()
    solo: Sequence[str] = ()
    target_lufs: float | str | None = None
    preset: str | None = None
    rate: int = RATES[0]
    format: str = FORMATS[0]
    sound_for: Mapping[str, str] | None = None
    auto_equaliser: bool = False

    def check(self, names: Iterable[str], kinds: Iterable[str]) -> None:
        """Raise :class:`BadRequest` for a part that is to be changed and is not there, and for values out of range."""
        from midigen.audio import check_sound_file

        if self.rate not in RATES:
            raise BadRequest(f"rate {self.rate}: choose {', '.join(map(str, RATES[:-1]))} or {RATES[-1]}")
        if self.format not in FORMATS:
            raise BadRequest(f"format {self.format!r}: choose {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
        check_sound_file(f"mix.{self.format}", self.rate, 2)
        parts = list(zip(names, kinds, strict=True))
        known = list(dict.fromkeys([name for name, _ in parts] + [kind for _, kind in parts]))
        for name in (*(self.soundfont_for or {}), *(self.sound_for or {})):
            if name not in known:
                raise BadRequest(f"part {name!r} is not in this song: choose from {', '.join(known)}")
        self.session(parts).heard(parts)

    def fonts(self, parts: Iterable[tuple[str, str]]) -> dict[str, SoundFont]:
        """The SoundFonts as a renderer takes them: of each part that has one of its own, and of all others.

        ``parts`` are pairs of name and kind. Raises :class:`midigen.errors.BadFile` for what is no SoundFont, and
        :class:`BadRequest` for a sound that is not in it.
        """
        parts = list(parts)
        from midigen.renderers import DEFAULT
        from midigen.soundfonts import choose_soundfont

        asked = {name: _meant(self.soundfont_for, name, kind, None) for name, kind in parts}
        found = {text: choose_soundfont(text) for text in {text for text in asked.values() if text is not None}}
        fonts = {name: found[text] for name, text in asked.items() if text is not None}
        if None in asked.values():
            fonts[DEFAULT] = choose_soundfont(self.soundfont)
        for name, kind in parts:
            if (sound := _meant(self.sound_for, name, kind, None)) is not None:
                _check_sound(sound, name, kind, fonts.get(name) or fonts[DEFAULT])
        return fonts

    def session(self, parts: Iterable[tuple[str, str]], tempo_qpm: float | None = None) -> Session:
        """The mixer's settings for ``parts`` (pairs of name and kind): the preset's, with the user's changes."""
        from midigen.session.presets import DEFAULT_PRESET, preset

        parts = list(parts)
        session = preset(DEFAULT_PRESET if self.preset is None else self.preset).seated(parts)
        if tempo_qpm is not None:
            session = replace(session, tempo_qpm=tempo_qpm)
        return session.changed(
            parts, gain_db=self.gain_db, pan=self.pan, mute=self.mute, solo=self.solo, target_lufs=self.target_lufs,
            auto_equaliser=self.auto_equaliser,
        )  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """As plain values, for the record."""
        return {
            "soundfont": self.soundfont,
            "soundfont_for": dict(self.soundfont_for or {}),
            "gain_db": dict(self.gain_db or {}),
            "pan": dict(self.pan or {}),
            "mute": list(self.mute),
            "solo": list(self.solo),
            "target_lufs": self.target_lufs,
            "preset": self.preset,
            "rate": self.rate,
            "format": self.format,
            "sound_for": dict(self.sound_for or {}),
            "auto_equaliser": self.auto_equaliser,
        }


def _check_sound(sound: str, name: str, kind: str, font: SoundFont) -> None:
    """Raise :class:`BadRequest`, with the nearest that there are, where ``font`` has no such ``sound`` for the part."""
    from midigen.renderers.library import presets
    from midigen.renderers.presets import choose_preset
    from midigen.score import Part

    row = INSTRUMENTS.get(kind)
    part = Part(name, kind, row.default_program if row else 0, is_drum=row is not None and row.is_drum)
    choose_preset(presets(font), part, font.name, asked=sound)


def _meant(by_name: Mapping[str, Any] | None, name: str, kind: str, otherwise: Any) -> Any:
    by_name = by_name or {}
    return by_name.get(name, by_name.get(kind, otherwise))
