"""What the musician asks for. What is left as ``None`` is the model's to choose."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

from midigen.errors import BadRequest
from midigen.instruments import instrument
from midigen.score import KEY_NAMES, parse_key, parse_metre

MOST_BARS = 512
SLOWEST_QPM, FASTEST_QPM = 20.0, 300.0
METRES = ("4/4", "3/4", "2/4", "6/8")
LARGEST_SEED = 2**32 - 1
HOTTEST = 2.0
DEFAULT_PARTS = ("piano", "guitar", "bass")
ENDINGS = ("close", "open")
SWING_UNITS = ("eighth", "sixteenth")


def _whole(value: object, low: int, high: int, what: str, cure: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequest(f"{what} {value!r} is not a whole number from {low} to {high}: {cure}")


def _real(value: object, low: float, high: float, what: str, cure: str, above_low: bool = False) -> None:
    good = isinstance(value, Real) and not isinstance(value, bool) and low <= float(value) <= high  # NaN compares false
    if not good or (above_low and float(value) == low):  # type: ignore[arg-type]  # good says that it is a number
        allowed = f"above {low:g} and up to {high:g}" if above_low else f"from {low:g} to {high:g}"
        raise BadRequest(f"{what} {value!r} is not a number {allowed}: {cure}")


def parse_parts(text: str) -> tuple[str, ...]:
    """``"piano, guitar:lead"`` to ``("piano", "guitar:lead")``. Names are checked by :class:`Prompt`."""
    return tuple(name.strip().lower() for name in text.split(","))


def fresh_seed() -> int:
    """A seed that nobody asked for, 0 to 2**32 - 1, from the system's source of randomness."""
    return secrets.randbelow(LARGEST_SEED + 1)


@dataclass(frozen=True)
class Prompt:
    """A request for a piece. It checks itself and raises :class:`BadRequest` for what cannot be had.

    ``bars`` 1 to 512; ``None`` is as many as the chords or the form have, else 32. ``parts`` are rows of
    :mod:`midigen.instruments`, in the order they are shown, with a role where one is wanted ("guitar:lead"); one may be
    named again as often as its row has ``slots``. ``tempo_qpm`` 20 to 300 quarter notes a minute. ``key`` as
    :func:`midigen.score.parse_key` reads it and ``metre`` one of ``METRES``; both are kept in their one spelling
    ("Am" becomes "A minor"). ``seed`` 0 to 2**32 - 1; without one, :meth:`with_seed` draws it. ``temperature`` above 0
    up to 2: lower is safer, higher is wilder. ``top_p`` above 0 up to 1: the share of the likeliest choices to draw
    from (Holtzman et al., 2020).

    ``chords`` is a chart (:mod:`midigen.charts`) and ``form`` a form (:mod:`midigen.forms`), as text. ``density``,
    ``register``, ``span`` and ``program`` go from a part's name, or from an instrument for all its parts, to what
    :mod:`midigen.composition.wishes` reads. ``swing`` and ``humanise`` 0 to 1 are how the grid is played; ``ending`` is
    "close" for a last bar that closes the piece, "open" for one that leaves it open.
    """

    bars: int | None = None
    parts: tuple[str, ...] = DEFAULT_PARTS
    tempo_qpm: float | None = None
    key: str | None = None
    metre: str | None = None
    seed: int | None = None
    temperature: float = 1.0
    top_p: float = 0.98
    chords: str | None = None
    form: str | None = None
    density: Mapping[str, Any] | None = None
    register: Mapping[str, Any] | None = None
    span: Mapping[str, Any] | None = None
    program: Mapping[str, Any] | None = None
    swing: float = 0.0
    swing_unit: str = "eighth"
    humanise: float = 0.0
    ending: str = "close"

    def __post_init__(self) -> None:
        if self.bars is not None:
            _whole(self.bars, 1, MOST_BARS, "bars", "ask for 8, 16 or 32, for example")
        object.__setattr__(self, "parts", _checked_parts(self.parts))
        if self.tempo_qpm is not None:
            _real(self.tempo_qpm, SLOWEST_QPM, FASTEST_QPM, "tempo", "give quarter notes a minute, such as 120")
            object.__setattr__(self, "tempo_qpm", float(self.tempo_qpm))
        if self.key is not None:
            tonic, mode = parse_key(str(self.key))
            object.__setattr__(self, "key", f"{KEY_NAMES[mode][tonic]} {mode}")
        if self.metre is not None:
            object.__setattr__(self, "metre", _checked_metre(str(self.metre)))
        if self.seed is not None:
            _whole(self.seed, 0, LARGEST_SEED, "seed", "leave it out to have one drawn")
        _real(self.temperature, 0.0, HOTTEST, "temperature", "1 is the usual", above_low=True)
        _real(self.top_p, 0.0, 1.0, "top-p", "1 draws from everything", above_low=True)
        _real(self.swing, 0.0, 1.0, "swing", "0 is straight, 1 is a triplet feel")
        _real(self.humanise, 0.0, 1.0, "humanise", "0 is exact, 1 is as loose as people play")
        for what, value, known in (("ending", self.ending, ENDINGS), ("swing unit", self.swing_unit, SWING_UNITS)):
            if value not in known:
                raise BadRequest(f"{what} {value!r}: choose {' or '.join(known)}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The instrument of each part."""
        return tuple(part.partition(":")[0] for part in self.parts)

    @property
    def roles(self) -> tuple[str | None, ...]:
        """The role of each part that was given one."""
        return tuple(part.partition(":")[2] or None for part in self.parts)

    @property
    def part_names(self) -> tuple[str, ...]:
        """One name a part, with its role; one that is asked for again is numbered ("guitar", "guitar 2")."""
        names: list[str] = []
        plain = [part.replace(":", " ") for part in self.parts]
        for number, name in enumerate(plain):
            again = plain[:number].count(name)
            names.append(f"{name} {again + 1}" if again else name)
        return tuple(names)

    def settings(self) -> dict[str, Any]:
        """As plain values, for the record."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
        }

    def only(self, kind: str, name: str) -> Prompt:
        """The request as it concerns one part, of ``kind`` and called ``name`` in a song that is there already."""

        def of(said: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            found = (said or {}).get(name, (said or {}).get(kind))
            return None if found is None else {kind: found}

        return replace(
            self, parts=(kind,), density=of(self.density), register=of(self.register), span=of(self.span), program=None
        )

    def with_seed(self) -> Prompt:
        """The same request with its seed settled, so that the piece can be made again."""
        return self if self.seed is not None else replace(self, seed=fresh_seed())


def _checked_parts(parts: Iterable[str]) -> tuple[str, ...]:
    kinds = parse_parts(parts) if isinstance(parts, str) else tuple(parts)
    if not kinds or kinds == ("",):
        raise BadRequest(f"no parts: name at least one, such as {','.join(DEFAULT_PARTS)}")
    plain = [kind.partition(":")[0].strip() for kind in kinds]
    for kind in plain:
        slots = instrument(kind).slots
        if plain.count(kind) > slots:
            raise BadRequest(
                f"part {kind!r} is asked for {plain.count(kind)} times: at most {slots} fit one song; ask for fewer"
            )
    return tuple(":".join(word.strip() for word in kind.split(":", 1)).rstrip(":") for kind in kinds)


def _checked_metre(text: str) -> str:
    above, below = parse_metre(text.strip())
    if f"{above}/{below}" not in METRES:
        raise BadRequest(f"metre {text!r} is not one the model knows: choose one of {', '.join(METRES)}")
    return f"{above}/{below}"
