"""``mix.toml``: a whole mix as one file that people read and edit, in TOML 1.0 (https://toml.io).

Read by the standard library's tomllib, written by tomlkit, which knows comments. Every key is one field of a dataclass
of :mod:`midigen.session`, every section one dataclass: there is no second list of them here.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from midigen.effects.dynamics import Compressor
from midigen.errors import BadFile, BadRequest, OutputError
from midigen.folders import writing
from midigen.session import Bus, Channel, ChannelEqualiser, DuckedBy, Sends, Session, nearest
from midigen.session.words import WORDS

NAME = "mix.toml"
FORMAT = 1
_KINDS_OF_VALUE = {float: "a number", int: "a whole number", bool: "true or false", str: "a text in quotes"}


def read_session(path: str | Path) -> Session:
    """Read the :class:`~midigen.session.Session` of a ``mix.toml``, or of one in the folder ``path``.

    What is left out has its default; the files of stems stay as they are written there, relative to the file. Raises
    :class:`BadFile`, with the file and the section, for what is not TOML, for keys that are not known or hold what
    they may not, and for names (of buses, of parts) that stand for nothing.
    """
    path = Path(path)
    path = path / NAME if path.is_dir() else path
    try:
        table = _parse(path, path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise BadFile(f"{path}: no such file; give a {NAME}, such as lies in the folder of a song") from None
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror}); give a {NAME}") from None
    except UnicodeDecodeError:
        raise BadFile(f"{path}: is not a text in UTF-8; save it as such") from None
    found = table.pop("format", FORMAT)
    if found != FORMAT or isinstance(found, bool):
        raise BadFile(f"{path}: of format {found!r}, this midigen reads {FORMAT}; update midigen")
    session: Session = _built(path, Session, table, "")
    try:
        if session.stems:
            session.check(session.parts)
    except BadRequest as error:
        raise BadFile(f"{path}: {error}") from None
    return session


def write_session(session: Session, path: str | Path) -> Path:
    """Write ``session`` as a ``mix.toml`` that says what can be turned; returns the path.

    Reading it gives an equal session. The file is written beside ``path`` and then renamed. Raises
    :class:`midigen.errors.OutputError` where it cannot be written, and for names that no TOML file can hold.
    """
    path = Path(path)
    try:
        data = session_text(session).encode("utf-8")
    except UnicodeEncodeError:
        raise OutputError(f"{path}: a name in the mix is not text; rename the part, bus or file") from None
    beside = path.with_name(path.name + ".part")
    with writing(path):
        try:
            beside.write_bytes(data)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    return path


def session_text(session: Session) -> str:
    """What :func:`write_session` writes."""
    import tomlkit

    said: set[type] = set()
    document = tomlkit.document()
    title = " ".join(session.title.split())
    about = f"The mix{' of ' + title if title else ''}. Change what you like, save it, and run:  midigen mix {NAME}"
    document.add(tomlkit.comment(_one_line(about)))
    document.add(tomlkit.comment("What is left out has its default. midigen mix --help tells the rest."))
    document.add(tomlkit.nl())
    document.add("format", tomlkit.item(FORMAT))
    _fill(document, session, said)
    text = tomlkit.dumps(document)
    unused = _examples(session, said)
    if unused:
        text += "\n# More that can be turned: take away the # before it, and put the part that you mean.\n#\n"
        text += "".join(f"# {line}".rstrip() + "\n" for line in unused.splitlines())
    return text


def _parse(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:  # ValueError: a date that is none
        place = re.search(r"\(at line (\d+), column (\d+)\)$", str(error))
        what = re.sub(r" \(at [^()]*\)$", "", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        raise BadFile(f"{path}: line {line} is not TOML ({what}); put it right, or write the file anew") from None


def _built(path: Path, kind: Any, table: Mapping[str, Any], section: str) -> Any:
    """The dataclass ``kind`` from the keys of ``table``."""
    hints = _hints(kind)
    where = f"{path}: [{section}]" if section else f"{path}:"
    for key in table:
        if key not in hints:
            what = "section" if isinstance(table[key], dict) else "key"
            raise BadFile(f"{where} has no {what} {key!r}{nearest(key, hints)}: there are {', '.join(WORDS[kind])}")
    for field in fields(kind):
        if field.name not in table and field.default is MISSING and field.default_factory is MISSING:
            raise BadFile(f"{where} lacks {field.name}: {WORDS[kind][field.name]}")
    inner = f"{section}." if section else ""
    values = {key: _value(path, hints[key], value, where, f"{inner}{_quoted(key)}", WORDS[kind][key])
              for key, value in table.items()}  # fmt: skip
    try:
        return kind(**values)
    except BadRequest as error:
        raise BadFile(f"{where} {error}") from None


def _value(path: Path, hint: Any, value: Any, where: str, section: str, words: str) -> Any:
    """``value`` of a key of type ``hint``; ``words`` say what is allowed there."""
    allowed = [one for one in get_args(hint) if one is not type(None)] if _is_union(hint) else [hint]
    first = allowed[0]
    key = section.rpartition(".")[2]
    if get_origin(first) is Mapping or is_dataclass(first):
        if not isinstance(value, dict):
            raise BadFile(f"{where} {key} = {_shown(value)}: is a section, write it as [{section}]: {words}")
        if is_dataclass(first):
            return _built(path, first, value, section)
        inner = get_args(first)[1]
        for name, one in value.items():
            if not isinstance(one, dict):
                raise BadFile(
                    f"{path}: [{section}] {name} = {_shown(one)}: give each of them a section, such as "
                    f"[{section}.{_quoted(name)}]"
                )
        return {name: _built(path, inner, one, f"{section}.{_quoted(name)}") for name, one in value.items()}
    for kind in allowed:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if kind is float and (isinstance(value, float) or whole):
            return float(max(min(value, 10**300), -(10**300))) if whole else value  # TOML has whole numbers of any size
        if (kind is int and whole) or (kind in (bool, str) and isinstance(value, kind)):
            return value
    if isinstance(value, dict):
        raise BadFile(f"{where} has no section {key!r}; {key} is a key: {words}")
    kinds = " or ".join(_KINDS_OF_VALUE[kind] for kind in allowed)
    raise BadFile(f"{where} {key} = {_shown(value)}: give {kinds}: {words}")


def _fill(table: Any, value: Any, said: set[type]) -> None:
    """Put the fields of the dataclass ``value`` into ``table``, with words for those of a kind not yet in ``said``."""
    import tomlkit

    kind = type(value)
    explain = kind not in said
    said.add(kind)
    defaults = {field.name: field for field in fields(kind)}
    later, items = [], {}
    for key in WORDS[kind]:
        one = getattr(value, key)
        if is_dataclass(one) or isinstance(one, Mapping):
            later.append((key, one))
        elif one is not None or not _is_section(kind, key):
            items[key] = None if one is None else tomlkit.item(one)
    widths = {key: len(key) + 3 + len(item.as_string()) for key, item in items.items() if item is not None}
    for key, item in items.items():
        words = WORDS[kind][key]
        if item is None:
            table.add(tomlkit.comment(f"{key}: {words}"))
            continue
        if explain:
            item.comment(words)
            item.trivia.comment_ws = " " * (2 + max(widths.values()) - widths[key])
        table.add(key, item)
    for key, one in later:
        field = defaults[key]
        plain = field.default_factory() if field.default_factory is not MISSING else None
        if isinstance(one, Mapping):
            group = tomlkit.table(is_super_table=True)
            for name, inner in one.items():
                section = tomlkit.table()
                _fill(section, inner, said)
                group.append(name, section)
            if one:
                table.append(key, group)
        elif kind is Session or one != plain:
            section = tomlkit.table()
            _fill(section, one, said)
            table.append(key, section)


def _examples(session: Session, said: set[type]) -> str:
    """The sections that a session does without, as they would look, for what a producer may want to add."""
    import tomlkit

    name = next(iter(session.channels), "piano")
    other = next((other for other in session.channels if other != name), "drums")
    channel = Channel()
    if ChannelEqualiser not in said:
        channel = replace(channel, equaliser=ChannelEqualiser(high_pass_hz=30.0))
    if Compressor not in said:
        channel = replace(channel, compressor=Compressor())
    if DuckedBy not in said:
        channel = replace(channel, ducking=DuckedBy(by=other))
    if Sends not in said:
        channel = replace(channel, sends=Sends(reverb_db=-12.0, delay_db=-18.0))
    table = tomlkit.document()
    if Bus not in said:
        section = tomlkit.table()
        _fill(section, Bus(), said)
        buses = tomlkit.table(is_super_table=True)
        buses.append("band", section)
        table.append("buses", buses)
    sections = tomlkit.table()
    _fill(sections, channel, said | {Channel})
    for key in WORDS[Channel]:
        if key in sections and not is_dataclass(getattr(channel, key)):
            sections.remove(key)
    if sections:
        parts, one = tomlkit.table(is_super_table=True), tomlkit.table(is_super_table=True)
        for key, section in sections.items():
            one.append(key, section)
        parts.append(name, one)
        table.append("channels", parts)
    return tomlkit.dumps(table)


def _is_section(kind: type, key: str) -> bool:
    """Whether the field ``key`` of ``kind`` is written as a section of its own."""
    hint = _hints(kind)[key]
    return any(is_dataclass(one) or get_origin(one) is Mapping for one in (hint, *get_args(hint)))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _quoted(key: str) -> str:
    """A key as it stands in the name of a section."""
    import tomlkit

    return tomlkit.key(key).as_string()


def _shown(value: Any) -> str:
    """A value as its one line in a message."""
    shown = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    text = shown or (f'"{value}"' if isinstance(value, str) else str(value))
    return _one_line(text if len(text) <= 40 else text[:37] + "...")


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
