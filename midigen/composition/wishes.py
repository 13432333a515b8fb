"""What a musician says of a part, in the units of the header: roles, densities, registers, ranges, sounds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from midigen.errors import BadRequest
from midigen.general_midi import GM_NAMES
from midigen.instruments import INSTRUMENTS
from midigen.prompt import Prompt
from midigen.tokenizers.vocabulary import DENSITY_EDGES, POLYPHONY_EDGES, REGISTER_EDGES

# Notes a bar that the words mean, as bins of the vocabulary: near the first quartile, the median and the upper tenth of
# real songs (docs/lab-book.md), one bin apart or more so that each can be told from the next.
DENSITIES = {
    "piano": {"sparse": 3, "medium": 5, "busy": 7},
    "guitar": {"sparse": 3, "medium": 6, "busy": 8},
    "bass": {"sparse": 2, "medium": 3, "busy": 5},
    "drums": {"sparse": 5, "medium": 7, "busy": 8},
}
# Mean pitches that the words mean, as bins.
REGISTERS = {
    "piano": {"low": 3, "middle": 5, "high": 7},
    "guitar": {"low": 3, "middle": 4, "high": 6},
    "bass": {"low": 0, "middle": 1, "high": 2},
}
NOTES_A_BAR = 0.0, 45.0  # the least and the most, where a bin of densities has no edge
NOTES_AT_ONCE = (1.0, 5.0)  # the ends of the outer bins of notes an onset
NARROWEST_SPAN = 5  # semitones; fewer pitches than that make no line


@dataclass(frozen=True)
class Role:
    """A way of playing: bins for the header (``None``: the model's choice) and a General MIDI program."""

    density: int | None = None
    polyphony: int | None = None
    register: int | None = None
    program: int | None = None


ROLES: dict[str, dict[str, Role]] = {
    "piano": {
        "lead": Role(density=5, polyphony=0, register=7),
        "chords": Role(polyphony=4, register=5),
        "pad": Role(density=3, polyphony=4, register=5),
        "arpeggio": Role(density=6, polyphony=1, register=5),
    },
    "guitar": {
        "lead": Role(density=5, polyphony=0, register=6, program=29),
        "rhythm": Role(density=8, polyphony=4, register=3, program=27),
        "strum": Role(density=8, polyphony=5, register=4, program=25),
        "arpeggio": Role(density=6, polyphony=1, register=4, program=24),
    },
    "bass": {
        "roots": Role(density=2, polyphony=0),
        "walking": Role(density=3, polyphony=0, program=32),
        "eighths": Role(density=5, polyphony=0),
    },
    "drums": {"groove": Role(density=7), "fills": Role(density=8)},
}


@dataclass(frozen=True)
class Wish:
    """One part of a prompt: what its header says (``pitch`` is its mean pitch), and bounds that are kept (see
    :class:`midigen.composition.table.Lane`)."""

    kind: str
    slot: int
    name: str
    program: int | None = None
    density: int | None = None
    polyphony: int | None = None
    pitch: float | None = None
    span: tuple[int, int] | None = None
    density_bounds: tuple[float, float] | None = None
    register_bounds: tuple[float, float] | None = None
    polyphony_bounds: tuple[float, float] | None = None


def wishes_of(prompt: Prompt) -> list[Wish]:
    """Every part of ``prompt``, in its order. Raises :class:`BadRequest` for what cannot be had."""
    _check_names(prompt)
    wishes: list[Wish] = []
    for kind, role_name, name in zip(prompt.kinds, prompt.roles, prompt.part_names, strict=True):
        role = _role(kind, role_name)
        density = _density(kind, _said(prompt.density, name, kind))
        density = density if density is not None else role.density
        register = _register(kind, _said(prompt.register, name, kind))
        span = _span(kind, _said(prompt.span, name, kind))
        program = _program(kind, _said(prompt.program, name, kind))
        height = register if register is not None else role.register
        bounds = None if height is None else bin_bounds(REGISTER_EDGES, height, 28, 90)
        if span and bounds:
            if register is not None and (bounds[1] < span[0] or bounds[0] > span[1]):
                raise BadRequest(f"{name}: no pitch of its range lies in that register; leave one of the two out")
            bounds = max(bounds[0], span[0]), min(bounds[1], span[1])
            bounds = bounds if bounds[0] < bounds[1] else None  # the range goes before a role's register
        middle = bounds or span
        stacks = role.polyphony
        together = None if stacks is None else bin_bounds(POLYPHONY_EDGES, stacks, *NOTES_AT_ONCE)
        wishes.append(
            Wish(
                kind=kind,
                slot=sum(wish.kind == kind for wish in wishes),
                name=name,
                program=program if program is not None else role.program,
                density=density,
                polyphony=role.polyphony,
                pitch=None if middle is None else sum(middle) / 2,
                span=span,
                density_bounds=None if density is None else bin_bounds(DENSITY_EDGES, density, *NOTES_A_BAR),
                register_bounds=bounds,
                polyphony_bounds=together,
            )
        )
    return wishes


def bin_bounds(edges: np.ndarray, number: int, lowest: float, highest: float) -> tuple[float, float]:
    """The values between which bin ``number`` lies."""
    around = [lowest, *edges.tolist(), highest]
    return float(around[number]), float(around[number + 1])


def parse_pitch(text: str) -> int:
    """``"E1"``, ``"Bb3"``, ``"F#2"`` or a number to a MIDI pitch (C4 is 60). Raises :class:`BadRequest`."""
    found = re.fullmatch(r"([A-Ga-g])([#b♯♭]?)(-?\d)", text.strip())
    if found:
        letter, accidental, octave = found.groups()
        step = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter.upper()]
        step += {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[accidental]
        pitch = 12 * (int(octave) + 1) + step
    elif text.strip().isdigit():
        pitch = int(text)
    else:
        raise BadRequest(
            f"pitch {text!r}: write a note and its octave, such as E1 or Bb3 (C4 is middle C), or 0 to 127"
        )
    if not 0 <= pitch <= 127:
        raise BadRequest(f"pitch {text!r} is outside MIDI's 0 to 127 (C-1 to G9)")
    return pitch


def _check_names(prompt: Prompt) -> None:
    known = list(dict.fromkeys([*prompt.part_names, *prompt.kinds]))
    for what, said in (("density", prompt.density), ("register", prompt.register), ("range", prompt.span),
                       ("program", prompt.program)):  # fmt: skip
        for name in said or {}:
            if name not in known:
                raise BadRequest(f"{what} for {name!r}: no such part in this song; choose from {', '.join(known)}")


def _said(mapping: Mapping[str, Any] | None, name: str, kind: str) -> Any:
    mapping = mapping or {}
    return mapping.get(name, mapping.get(kind))


def _role(kind: str, name: str | None) -> Role:
    if name is None:
        return Role()
    roles = ROLES[kind]
    if name not in roles:
        raise BadRequest(f"role {kind}:{name}: a {kind} can be {', '.join(roles)}")
    return roles[name]


def _density(kind: str, said: Any) -> int | None:
    if said is None:
        return None
    words = DENSITIES[kind]
    if isinstance(said, str) and said.strip().lower() in words:
        return words[said.strip().lower()]
    number = _number(said)
    if number is None or not 0.5 <= number <= 45:
        raise BadRequest(f"density {kind}={said}: say {', '.join(words)}, or notes a bar from 0.5 to 45")
    return int(np.searchsorted(DENSITY_EDGES, number, side="right"))


def _register(kind: str, said: Any) -> int | None:
    if said is None:
        return None
    if kind == "drums":
        raise BadRequest("register drums: drums have no register; leave it out")
    words = REGISTERS[kind]
    if isinstance(said, str) and said.strip().lower() in words:
        return words[said.strip().lower()]
    try:
        pitch = parse_pitch(str(said))
    except BadRequest:
        raise BadRequest(f"register {kind}={said}: say {', '.join(words)}, or a mean pitch such as C4") from None
    row = INSTRUMENTS[kind]
    if not row.lowest <= pitch <= row.highest:
        raise BadRequest(f"register {kind}={said}: {kind} plays from pitch {row.lowest} to {row.highest}")
    return int(np.searchsorted(REGISTER_EDGES, pitch, side="right"))


def _span(kind: str, said: Any) -> tuple[int, int] | None:
    if said is None:
        return None
    row = INSTRUMENTS[kind]
    cure = f"write it as LOWEST-HIGHEST, such as {kind}=E2-E4, inside {row.lowest} to {row.highest}"
    if kind == "drums":
        raise BadRequest("range drums: drums have no range; leave it out")
    if isinstance(said, str):
        ends = re.fullmatch(r"\s*(\S+?)\s*(?:-|to|\.\.)\s*([A-Ga-g0-9]\S*)\s*", said)
        if not ends:
            raise BadRequest(f"range {kind}={said}: {cure}")
        try:
            low, high = parse_pitch(ends[1]), parse_pitch(ends[2])
        except BadRequest as error:
            raise BadRequest(f"range {kind}={said}: {error}") from None
    elif isinstance(said, list | tuple) and len(said) == 2 and all(isinstance(pitch, int) for pitch in said):
        low, high = said
    else:
        raise BadRequest(f"range {kind}={said}: {cure}")
    if high - low < NARROWEST_SPAN:
        raise BadRequest(f"range {kind}={said}: give {NARROWEST_SPAN} semitones or more, lowest first")
    if low < row.lowest or high > row.highest:
        raise BadRequest(f"range {kind}={said}: {kind} plays from pitch {row.lowest} to {row.highest}; {cure}")
    return low, high


def _program(kind: str, said: Any) -> int | None:
    if said is None:
        return None
    row = INSTRUMENTS[kind]
    number = _number(said)
    if number is not None and number == int(number):
        if not 0 <= number <= 127:
            raise BadRequest(f"program {kind}={said}: General MIDI programs are 0 to 127")
        return int(number)
    if row.is_drum:
        raise BadRequest(
            f"program drums={said}: drum kits have numbers: 0 standard, 8 room, 16 power, 25 TR-808, 40 brush"
        )
    wanted = re.sub(r"[^a-z0-9]", "", str(said).lower())
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): number for number, name in enumerate(GM_NAMES)}
    own = {name: plain[name] for name in plain if plain[name] in row.programs}
    for names in (own, plain):
        if wanted in names:
            return names[wanted]
        inside = [number for name, number in names.items() if wanted and wanted in name]
        if len(inside) == 1 or (inside and names is own):
            return inside[0]
    near = difflib.get_close_matches(wanted, list(own), n=1, cutoff=0.4) or list(own)[:1]
    raise BadRequest(
        f"program {kind}={said}: no General MIDI sound of that name; give 0 to 127 or a name such as "
        f"{GM_NAMES[own[near[0]]]!r}"
    )


def _number(said: Any) -> float | None:
    try:
        return float(said)
    except (TypeError, ValueError):
        return None
