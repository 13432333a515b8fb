"""How the parts of a song are to sound: which SoundFont plays each, and where each stands in the mix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midigen.errors import BadRequest

if TYPE_CHECKING:
    from midigen.mixing import Strip
    from midigen.soundfonts import SoundFont

TARGET_LUFS = -14.0  # what streaming services play at


@dataclass(frozen=True)
class Sound:
    """How the parts are to sound.

    Mappings go from a part's name, or from an instrument (which then means every part of its kind), to: the path or
    name of a SoundFont; decibels; a seat from -1 (left) to 1 (right). ``soundfont`` is for the parts that
    ``soundfont_for`` does not name; without both the best one found is taken. ``target_lufs`` is the loudness of the
    mix, ``None`` leaves it as it falls.
    """

    soundfont: str | None = None
    soundfont_for: Mapping[str, str] | None = None
    gain_db: Mapping[str, float] | None = None
    pan: Mapping[str, float] | None = None
    mute: Sequence[str] = ()
    solo: Sequence[str] = ()
    target_lufs: float | None = TARGET_LUFS

    def check(self, names: Iterable[str], kinds: Iterable[str]) -> None:
        """Raise :class:`BadRequest` for a part that is to be changed and is not there, and a loudness out of range."""
        from midigen.mixing import HIGHEST_TARGET_LUFS, LOWEST_TARGET_LUFS

        known = list(dict.fromkeys([*names, *kinds]))
        wanted = [*(self.soundfont_for or {}), *(self.gain_db or {}), *(self.pan or {}), *self.mute, *self.solo]
        for name in wanted:
            if name not in known:
                raise BadRequest(f"part {name!r} is not in this song: choose from {', '.join(known)}")
        if self.target_lufs is not None and not LOWEST_TARGET_LUFS <= self.target_lufs <= HIGHEST_TARGET_LUFS:
            raise BadRequest(
                f"loudness {self.target_lufs:g} LUFS is outside {LOWEST_TARGET_LUFS:g} to {HIGHEST_TARGET_LUFS:g}: "
                f"{TARGET_LUFS:g} is what streaming services play at"
            )

    def fonts(self, parts: Iterable[tuple[str, str]]) -> dict[str, SoundFont]:
        """The SoundFonts as a renderer takes them: of each part that has one of its own, and of all others.

        ``parts`` are pairs of name and kind. Raises :class:`midigen.errors.BadFile` for what is no SoundFont.
        """
        from midigen.renderers import DEFAULT
        from midigen.soundfonts import choose_soundfont

        asked = {name: _meant(self.soundfont_for, name, kind, None) for name, kind in parts}
        found = {text: choose_soundfont(text) for text in {text for text in asked.values() if text is not None}}
        fonts = {name: found[text] for name, text in asked.items() if text is not None}
        if None in asked.values():
            fonts[DEFAULT] = choose_soundfont(self.soundfont)
        return fonts

    def strips(self, parts: Iterable[tuple[str, str]]) -> dict[str, Strip]:
        """The mixer's strip of every part, by its name. ``parts`` are pairs of name and kind."""
        from midigen.mixing import Strip

        return {
            name: Strip(
                gain_db=_meant(self.gain_db, name, kind, 0.0),
                pan=_meant(self.pan, name, kind, None),
                mute=name in self.mute or kind in self.mute,
                solo=name in self.solo or kind in self.solo,
            )
            for name, kind in parts
        }

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
        }


def _meant(by_name: Mapping[str, Any] | None, name: str, kind: str, otherwise: Any) -> Any:
    by_name = by_name or {}
    return by_name.get(name, by_name.get(kind, otherwise))
