"""The verb ``play``, from the words of the command line or of a program to music."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midigen.errors import BadFile, BadRequest
from midigen.prompt import Prompt, parse_parts
from midigen.sound import Sound

if TYPE_CHECKING:
    from midigen.composition.live import Bar
    from midigen.live.commands import Command
    from midigen.live.playing import Live, Report
    from midigen.live.transport import Played

_NAMES = ("mute", "solo", "parts")


def play(
    song: str | Path | None = None,
    *,
    on_bar: Callable[[Bar], None] = lambda bar: None,
    keep: str | Path | None = None,
    force: bool = False,
    **settings: Any,
) -> Report:
    """Play a piece while it is composed, or the MIDI file (or song folder) ``song``; returns when it is over.

    The arguments are :func:`open_live`'s. ``on_bar`` is given each bar as it begins; ``keep`` is a folder into which
    the music, as it was heard, is then written as :func:`midigen.compose` writes a song (``force`` replaces one).
    Raises :class:`midigen.errors.MidigenError`.
    """
    from midigen.live.keeping import kept

    with open_live(song, **settings) as live:
        for bar in live:
            on_bar(bar)
        if keep is not None:
            kept(live).save(keep, force=force)
        return live.report()


def open_live(
    song: str | Path | None = None,
    *,
    to: str | Path | None = None,
    device: str | None = None,
    midi_port: str | None = None,
    buffer_seconds: float = 0.25,
    mix_file: str | Path | None = None,
    commands: str | Path | Iterable[str | Command] = (),
    on_news: Callable[[Played], None] = lambda news: None,
    on_wait: Callable[[int], None] = lambda bar: None,
    checkpoint: str | None = None,
    engine: str = "onnx",
    mode: str = "fast",
    threads: int | None = None,
    **settings: Any,
) -> Live:
    """A :class:`~midigen.live.playing.Live` that is ready to be iterated over.

    ``song`` is a MIDI file or the folder of a song, whose ``mix.toml`` then is the ``mix_file``; without it a piece is
    composed. ``to`` a sound file, to the audio ``device`` (the system's own without it), or to a ``midi_port``: devices
    and ports by a part of their names. ``commands`` are lines (:mod:`midigen.live.commands`) or a file of them.
    ``on_news`` is told what was changed, ``on_wait`` the bar (from 0) that the music has to wait for. The ``settings``
    are those of :func:`midigen.compose` for the music and the sound, but for lyrics and takes: what is heard at once
    cannot be chosen. Raises :class:`BadRequest` for others, and all that :class:`~midigen.live.playing.Live` raises.
    """
    _check_settings(settings, with_music=song is None)
    plain: dict[str, Any] = {
        name: parse_parts(value) if name in _NAMES and isinstance(value, str) else value
        for name, value in settings.items()
    }
    sound = Sound(**{field.name: plain[field.name] for field in fields(Sound) if field.name in plain})
    prompt = Prompt(**{field.name: plain[field.name] for field in fields(Prompt) if field.name in plain})
    score, source = None, None
    if song is not None:
        score, source, mix_file = _opened(Path(song), mix_file)
    names = list(zip(prompt.part_names, prompt.kinds, strict=True))
    parts = names if score is None else [(part.name, part.kind) for part in score.parts]
    rack = None
    if midi_port is None:
        # Before all that is loaded for composing: to unpack a piano takes as long as that.
        from midigen.live.rack import open_rack

        rack = open_rack(sound, parts, score)
    try:
        from midigen.live.commands import read_commands
        from midigen.live.playing import Live, Output

        if prompt.chords is not None:
            from midigen.charts import chart_text

            prompt = replace(prompt, chords=chart_text(prompt.chords))
        given = read_commands(commands) if isinstance(commands, str | Path) else _read(commands)
        live = Live(
            prompt, song=score, sound=sound,
            output=Output(to, device, midi_port, buffer_seconds), mix_file=mix_file, commands=given,
            checkpoint=checkpoint, engine=engine, mode=mode, threads=threads, on_news=on_news, on_wait=on_wait,
            rack=rack,
        )  # fmt: skip
    except BaseException:
        if rack is not None:
            rack.close()
        raise
    live.source = source
    return live


def _check_settings(settings: Mapping[str, Any], *, with_music: bool) -> None:
    sound, music = ({field.name for field in fields(kind)} for kind in (Sound, Prompt))
    for name in settings:
        if name in sound or (with_music and name in music):
            continue
        if name in music:
            raise BadRequest(f"{name} is for composing: leave it out where a song is played, or leave the song out")
        raise BadRequest(f"{name} is nothing that play takes: it takes compose's settings, but for lyrics and takes")


def _opened(path: Path, mix_file: str | Path | None) -> tuple[Any, Path, str | Path | None]:
    from midigen.midi import read_midi
    from midigen.session.files import NAME
    from midigen.song import named_apart

    file = path / "song.mid" if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise BadFile(f"{path}: holds no song.mid; give a MIDI file, or the folder of a song")
    score = named_apart(read_midi(file))
    if not any(part.notes for part in score.parts):
        raise BadFile(f"{path}: holds no notes; give a .mid file with music in it")
    beside = file.parent / NAME
    if mix_file is None and path.is_dir() and beside.is_file():
        mix_file = beside
    return score, file, mix_file


def _read(commands: Iterable[str | Command]) -> list[Command]:
    from midigen.live.commands import read_commands

    lines: Sequence[str | Command] = list(commands)
    read = [one for one in lines if not isinstance(one, str)]
    return [*read, *read_commands([one for one in lines if isinstance(one, str)])]
