"""What a musician says while the music plays, a line each: ``gain bass -3``, ``chords Am F C G``, ``9: mute piano``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from midigen.errors import BadFile, BadRequest
from midigen.session import Session, nearest
from midigen.session.presets import preset

if TYPE_CHECKING:
    from midigen.charts import Chart

VERBS = {
    "gain": "gain PART DB: a part's level, 0 is balanced",
    "pan": "pan PART SEAT: -1 (left) to 1 (right)",
    "mute": "mute PART",
    "unmute": "unmute PART",
    "solo": "solo PART: the others are silent",
    "unsolo": "unsolo PART",
    "preset": "preset NAME: pop, rock, jazz-trio, ballad or dry",
    "loudness": "loudness LUFS: of the whole, such as -16",
    "chords": "chords CHART: from there on, again and again; without a chart the model chooses",
    "stop": "stop: end with this bar, and ring out",
    "help": "help",
}
HELP = "\n".join(
    ["  " + words for words in VERBS.values()] + ["  with a bar before it, such as  9: mute piano, from there"]
)
_LINE = re.compile(r"(?:(\d+)\s*:)?\s*(\S*)\s*(.*)", re.DOTALL)
Parts = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Command:
    """A line that was read. ``bar``, from 1, is where it takes effect; ``None`` is the next bar. ``words`` are what
    follows the ``verb``, one of :data:`VERBS`."""

    verb: str
    words: str = ""
    bar: int | None = None

    def __str__(self) -> str:
        return f"{f'{self.bar}: ' if self.bar else ''}{self.verb}{f' {self.words}' if self.words else ''}"

    @property
    def turns_the_mix(self) -> bool:
        return self.verb not in ("chords", "stop", "help")

    def chart(self) -> Chart | None:
        """The chords of a ``chords`` command, ``None`` where the model is to choose. Raises :class:`BadRequest`."""
        from midigen.charts import read_chart

        return read_chart(self.words) if self.words else None

    def turned(self, session: Session, parts: Parts) -> Session:
        """``session``, seated for ``parts``, as a command to the mixer has it. Raises :class:`BadRequest`."""
        return _TURNS[self.verb](session, parts, self.words)


def read_command(line: str) -> Command | None:
    """The command of a ``line``; ``None`` for an empty one and for a remark (``#``). Raises :class:`BadRequest`."""
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    found = _LINE.fullmatch(line)
    assert found is not None  # it fits everything
    bar, verb, words = found[1], found[2].lower(), " ".join(found[3].split())
    if verb not in VERBS:
        raise BadRequest(f"unknown command {verb!r}{nearest(verb, VERBS)}: choose {', '.join(VERBS)}")
    if bar is not None and int(bar) < 1:
        raise BadRequest(f"bar {bar}: bars count from 1")
    command = Command(verb, words, None if bar is None else int(bar))
    if verb == "chords":
        command.chart()
    elif verb in ("stop", "help") and words:
        raise BadRequest(f"{verb} takes nothing after it, found {words!r}")
    elif command.turns_the_mix and not words:
        raise BadRequest(f"{verb} lacks its words: write {VERBS[verb]}")
    return command


def read_commands(source: str | Path | Iterable[str]) -> list[Command]:
    """The commands of a file, a line each, or of lines. Raises :class:`BadFile` and, with the number of the line,
    :class:`BadRequest`."""
    label = "commands"
    if isinstance(source, str | Path):
        label = str(source)
        try:
            source = Path(source).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise BadFile(f"{label}: no such file; give one with a command a line, such as  5: gain bass -3") from None
        except UnicodeDecodeError:
            raise BadFile(f"{label}: is not text; give one with a command a line, such as  5: gain bass -3") from None
        except OSError as error:
            raise BadFile(f"{label}: cannot be read ({error.strerror}); give a file of commands") from None
    commands = []
    for number, line in enumerate(source, 1):
        try:
            command = read_command(line)
        except BadRequest as error:
            raise BadRequest(f"{label}, line {number}: {error}") from None
        if command is not None:
            commands.append(command)
    return commands


def check_commands(commands: Iterable[Command], session: Session, parts: Parts) -> None:
    """Raise :class:`BadRequest` for a command to the mixer that these ``parts`` cannot follow."""
    for command in commands:
        if command.turns_the_mix:
            session = command.turned(session, parts)


def _part_and_number(words: str, verb: str) -> tuple[str, float]:
    part, _, value = words.replace("=", " ").rpartition(" ")
    try:
        return part.strip(), float(value)
    except ValueError:
        raise BadRequest(f"{verb} {words}: write {VERBS[verb]}") from None


def _gain(session: Session, parts: Parts, words: str) -> Session:
    part, db = _part_and_number(words, "gain")
    return session.changed(parts, gain_db={part: db})


def _pan(session: Session, parts: Parts, words: str) -> Session:
    part, seat = _part_and_number(words, "pan")
    return session.changed(parts, pan={part: seat})


def _switched(name: str, on: bool) -> Callable[[Session, Parts, str], Session]:
    def switch(session: Session, parts: Parts, words: str) -> Session:
        named = [one.strip() for one in words.split(",") if one.strip()]
        session = session.changed(parts, **{name: named})  # type: ignore[arg-type]  # checks the names
        if not on:
            off = {part: replace(session.channels[part], **{name: False})  # type: ignore[arg-type]
                   for part, kind in parts if part in named or kind in named}  # fmt: skip
            session = replace(session, channels={**session.channels, **off})
        session.heard(parts)
        return session

    return switch


def _preset(session: Session, parts: Parts, words: str) -> Session:
    named = preset(words)
    mixed = {name: getattr(named, name) for name in ("channels", "buses", "reverb", "delay", "master")}
    return replace(session, **mixed).seated(parts)


def _loudness(session: Session, parts: Parts, words: str) -> Session:
    try:
        target: float | str = float(words)
    except ValueError:
        target = words
    return session.changed(parts, target_lufs=target)


_TURNS: dict[str, Callable[[Session, Parts, str], Session]] = {
    "gain": _gain,
    "pan": _pan,
    "mute": _switched("mute", True),
    "unmute": _switched("mute", False),
    "solo": _switched("solo", True),
    "unsolo": _switched("solo", False),
    "preset": _preset,
    "loudness": _loudness,
}
