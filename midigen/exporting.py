"""Songs into other programs: notation programs and studios, in the formats of :mod:`midigen.exporters`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from midigen.charsets import decode, one_line
from midigen.errors import BadFile, BadRequest, OutputError
from midigen.events import META, TRACK_NAME, meta_of
from midigen.exporters import EXPORTERS, Exporter, Project, Strip, plain_tempo
from midigen.folders import writing
from midigen.midi import read_midi
from midigen.opened import open_song
from midigen.score import Score, Text, named_apart
from midigen.session import Session, nearest
from midigen.written import written_symbols

SONG = "song"  # what an export is called inside the folder of a song


def export(source: str | Path | Score, output: str | Path | None = None, *, to: str | None = None) -> Path:
    """Write a song in another format; returns the file.

    ``source`` is a MIDI file, the folder of a song (which has stems and a ``mix.toml``), or a :class:`Score`. ``to`` is
    the name of the format ("musicxml", "dawproject", "rpp"); without it the suffix of ``output`` says it. Without
    ``output`` the file lies in the song's folder, or beside the MIDI file. One that is there is replaced, when the new
    one is whole. Raises :class:`BadRequest` for a format that is not known, :class:`BadFile` for a source that cannot
    be read, :class:`midigen.errors.MissingTool` and :class:`OutputError`.
    """
    if to is None and output is None:
        raise BadRequest(
            f"export to what? say one of {', '.join(EXPORTERS.names())} with --to, or give a file to write"
        )
    to = format_of(Path(output)) if to is None and output is not None else to
    assert to is not None
    exporter = exporter_of(to)
    place = _place(source, output, to, exporter)
    return write_export(read_project(source, stems=exporter.wants_stems), to, place)


def exporter_of(name: str) -> Exporter:
    """The exporter called ``name``, ready to be used.

    Raises :class:`BadRequest` that lists those there are, and :class:`midigen.errors.MissingTool`.
    """
    if name not in EXPORTERS.names():
        there = ", ".join(EXPORTERS.names())
        raise BadRequest(f"unknown format {name!r}{nearest(name, EXPORTERS.names())}: choose one of {there}")
    exporter: Exporter = EXPORTERS.get(name)()
    exporter.check()
    return exporter


def formats_of(text: str | Sequence[str]) -> tuple[str, ...]:
    """Names of formats, ``"musicxml,rpp"`` or a list of them, each once. Raises as :func:`exporter_of` does."""
    names = text.split(",") if isinstance(text, str) else text
    found = tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
    for name in found:
        exporter_of(name)
    return found


def format_of(path: Path) -> str:
    """The format that a file's suffix says. Raises :class:`BadRequest` where none does."""
    known = {suffix: name for name in EXPORTERS for suffix in EXPORTERS.get(name).suffixes}
    if path.suffix.lower() not in known:
        raise BadRequest(
            f"{path}: its suffix is of no format; choose {', '.join(sorted(known))}, or say which with --to"
        )
    return known[path.suffix.lower()]


def file_of(name: str) -> str:
    """What an export to the format ``name`` is called in a song's folder."""
    return SONG + EXPORTERS.get(name).suffixes[0]


def write_export(project: Project, to: str, place: Path) -> Path:
    """Write ``project`` in the format ``to`` at ``place``: beside it first, then renamed."""
    exporter = exporter_of(to)
    if place.is_dir():
        raise OutputError(f"{place}: is a folder; give a file such as {place / file_of(to)}")
    beside = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    with writing(place):
        try:
            exporter.write(project, beside, place)
            os.replace(beside, place)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    return place


def read_project(source: str | Path | Score, *, stems: bool = True) -> Project:
    """A song from a file, a folder or a score, with its ``stems`` where it has such and they are wanted."""
    if isinstance(source, Score):
        return project_of(named_apart(source))
    path = Path(source)
    folder = path if path.is_dir() else None
    file = path / f"{SONG}.mid" if folder is not None else path
    if folder is not None and not file.is_file():
        raise BadFile(f"{path}: holds no {SONG}.mid; give a MIDI file, or a folder that compose has written")
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise BadFile(f"{file}: no such file; give the path of a .mid file") from None
    except OSError as error:
        raise BadFile(f"{file}: cannot be read ({error.strerror}); give the path of a .mid file") from None
    score = named_apart(read_midi(data, str(file)))
    if not score.parts:
        raise BadFile(f"{file}: holds no notes; give a .mid file with music in it")
    return project_of(with_texts(score, data), folder if stems else None)


def with_texts(score: Score, data: bytes) -> Score:
    """``score`` with the title and the chord symbols that the MIDI file ``data`` has as text and readers leave out."""
    try:
        song = open_song(data)
    except BadFile:  # what read the score takes some files as they are that are broken elsewhere
        return score
    title = score.title
    if len(song.file.tracks) > 1:
        head = song.file.tracks[0].events
        names = [said for event in head if event.data[0] == META and (said := meta_of(event))[0] == TRACK_NAME]
        title = next((name for _, text in names if (name := one_line(decode(text, song.charset)))), title)
    chords = score.chords or tuple(Text(tick, symbol.text) for tick, symbol in written_symbols(song))
    return replace(score, title=title, chords=chords)


def project_of(score: Score, folder: Path | None = None, trims: Mapping[str, float] | None = None) -> Project:
    """``score`` laid out with the stems and the session of ``folder``, or with the default one's gains and seats.

    ``trims`` are the decibels that balance the stems, by name, where they are known; else stems are measured.
    """
    # A song in memory and the one that is read from its file make the same project.
    score = replace(score, tempos=tuple(replace(tempo, qpm=plain_tempo(tempo.qpm)) for tempo in score.tempos))
    parts = {part.name: part for part in score.parts}
    if folder is None:
        session = _default([(part.name, part.kind) for part in score.parts])
        strips = [Strip(part.name, part.kind, session.channels[part.name], part) for part in score.parts]
        return Project(score, tuple(strips))
    from midigen.audio import AudioFile
    from midigen.mixdown import open_stems
    from midigen.mixing import balance_trim_db, measure_stem

    stems, session = open_stems([folder])
    strips = []
    for stem in stems:
        assert isinstance(stem.audio, AudioFile)
        known = None if trims is None else trims.get(stem.name)
        trim = balance_trim_db(measure_stem(stem.audio).lufs, stem.kind) if known is None else known
        channel = session.channels[stem.name]
        strips.append(Strip(stem.name, stem.kind, channel, parts.pop(stem.name, None), stem.audio, round(trim, 3)))
    left = _default([(part.name, part.kind) for part in parts.values()])
    strips += [Strip(name, part.kind, left.channels[name], part) for name, part in parts.items()]
    return Project(score, tuple(strips))


def export_into(folder: Path, score: Score, formats: Iterable[str], trims: Mapping[str, float]) -> list[Path]:
    """Write a song's exports into its folder, whose stems and ``mix.toml`` are there."""
    formats = list(formats)
    wanted = [name for name in formats if exporter_of(name).wants_stems]
    full = project_of(score, folder if wanted else None, trims)
    return [write_export(full, name, folder / file_of(name)) for name in formats]


def _default(parts: Sequence[tuple[str, str]]) -> Session:
    from midigen.session.presets import DEFAULT_PRESET, preset

    return preset(DEFAULT_PRESET).seated(parts)


def _place(source: str | Path | Score, output: str | Path | None, to: str, exporter: Exporter) -> Path:
    if output is not None:
        place = Path(output)
        if isinstance(source, str | Path) and place.exists() and Path(source).exists() and place.samefile(source):
            raise OutputError(f"{place}: is the song itself; choose another name")
        return (
            place / file_of(to) if place.is_dir() and not isinstance(source, Score) and place == Path(source) else place
        )
    if isinstance(source, Score):
        return Path(file_of(to))
    path = Path(source)
    return path / file_of(to) if path.is_dir() else path.with_suffix(exporter.suffixes[0])
