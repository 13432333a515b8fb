"""The sounds in a SoundFont, and which of them plays a part: as its program says, or as the user asks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from midigen.errors import BadRequest
from midigen.score import Part

DRUM_BANK = 128  # SoundFont 2.04, section 7.2: percussion presets
_NEAREST = 3  # how many are named where none fits
_WHERE = re.compile(r"(?:(\d+):)?(\d+)")


@dataclass(frozen=True, order=True)
class Preset:
    """A sound in a font: ``bank`` 0..128 (128 is percussion), ``program`` 0..127, and its ``name`` there."""

    bank: int
    program: int
    name: str

    def __str__(self) -> str:
        return f"{self.bank}:{self.program} {self.name}"


def choose_preset(
    known: Sequence[Preset], part: Part, font_name: str, *, chosen: bool = False, asked: str | None = None
) -> Preset:
    """The one of ``known`` that plays ``part``.

    ``asked`` is the user's word for it, ``None`` where there is none: a name in any case, whole or a part that fits one
    preset only; a program (``"25"``), in the bank that the part's own program would be looked for in; or bank and
    program (``"8:25"``). Raises :class:`BadRequest`, with the nearest that there are, where it is not in the font.

    Without it the part's bank counts as MIDI has it (coarse times 128 plus fine), then as Roland GS (coarse alone) and
    Yamaha XG (fine alone) do; then bank 0. A missing program gives way to the nearest in its family of eight, then to
    the font's first. Drums sound from bank 128 only, unless the user ``chosen`` the font for them: it may be a drum
    kit at 0. Raises :class:`BadRequest` for a font without a drum kit, or with nothing else.
    """
    if asked is not None:
        return _asked(known, part, font_name, asked.strip())
    drums = [p for p in known if p.bank == DRUM_BANK]
    melodic = [p for p in known if p.bank != DRUM_BANK]
    pool = (drums or (melodic if chosen else [])) if part.is_drum else melodic
    if not pool:
        lacks = "drum kit" if part.is_drum else "melodic sound"
        raise BadRequest(f"SoundFont {font_name} has no {lacks} for part {part.name!r}: choose another font for it")
    by_place = {(p.bank, p.program): p for p in pool}
    exact = [by_place[bank, part.program] for bank in _banks(part) if (bank, part.program) in by_place]
    if exact:
        return exact[0]
    if not part.is_drum:
        family = [p for p in pool if p.program // 8 == part.program // 8]
        if family:
            return min(family, key=lambda p: (p.bank != 0, abs(p.program - part.program), p))
    return pool[0]


def _banks(part: Part) -> list[int]:
    """Where a program of ``part`` is looked for, in order."""
    return [DRUM_BANK, 0] if part.is_drum else [part.bank, part.bank // 128, part.bank % 128, 0]


def _asked(known: Sequence[Preset], part: Part, font_name: str, asked: str) -> Preset:
    banks = _banks(part)

    def likely(preset: Preset) -> tuple[int, int, Preset]:
        """Small for what lies in the part's own banks, then for melodic sounds where no drums are asked for."""
        place = banks.index(preset.bank) if preset.bank in banks else len(banks)
        return place, abs((preset.bank == DRUM_BANK) - part.is_drum), preset

    where = _WHERE.fullmatch(asked)
    if where and int(where[2]) <= 127:
        program = int(where[2])
        if where[1] is not None:
            fitting = [p for p in known if (p.bank, p.program) == (int(where[1]), program)]
        else:
            fitting = [p for p in known if p.program == program and (p.bank == DRUM_BANK) <= part.is_drum]
        nearest = sorted(known, key=lambda p: (abs(p.program - program), likely(p)))
    else:
        fitting = [p for p in known if _plain(p.name) == _plain(asked)]
        if not fitting and _plain(asked):
            fitting = [p for p in known if _plain(asked) in _plain(p.name)]
            if len({_plain(p.name) for p in fitting}) > 1:
                names = ", ".join(str(p) for p in sorted(fitting, key=likely)[:6])
                raise BadRequest(f"preset {asked!r}{_for(part)} fits {names}: say which")
        nearest = sorted(known, key=lambda p: (-_alike(asked, p.name), likely(p)))
    if fitting:
        return min(fitting, key=likely)
    there = ", ".join(str(p) for p in nearest[:_NEAREST]) or "none"
    raise BadRequest(
        f"SoundFont {font_name} has no preset {asked!r}{_for(part)}: the nearest are {there}; "
        f"midigen soundfonts --presets {font_name} lists them all"
    )


def _alike(asked: str, name: str) -> float:
    """How much ``asked`` looks like a preset's ``name``, or like one of its words: 0 to 1."""
    words = [name, *re.split(r"[^A-Za-z0-9]+", name)]
    return max(difflib.SequenceMatcher(None, _plain(asked), _plain(word)).ratio() for word in words)


def _for(part: Part) -> str:
    return f" for part {part.name!r}" if part.name else ""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
