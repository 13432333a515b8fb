"""Stems that are there already, to a mix: sound files, folders of them, a song's folder or its ``mix.toml``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from midigen.errors import BadFile, BadRequest
from midigen.instruments import INSTRUMENTS, OTHER

if TYPE_CHECKING:
    from midigen.mixing import Mix
    from midigen.renderers import Stem
    from midigen.session import Session

SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")


def mix_files(
    sources: Sequence[str | Path],
    *,
    preset: str | Session | None = None,
    gain_db: Mapping[str, float] | None = None,
    pan: Mapping[str, float] | None = None,
    mute: Sequence[str] | str = (),
    solo: Sequence[str] | str = (),
    target_lufs: float | str | None = None,
    auto_equaliser: bool = False,
    rate: int | None = None,
    threads: int | None = None,
) -> Mix:
    """Mix stems that are there already: :func:`open_stems`, and then :func:`midigen.mixing.mix`.

    The other arguments go before what the ``mix.toml`` or the ``preset`` says: see
    :meth:`midigen.session.Session.changed` and :func:`midigen.mixing.mix`. Raises
    :class:`midigen.errors.MidigenError`.
    """
    from midigen.mixing import mix

    stems, session = open_stems(
        sources, preset=preset, gain_db=gain_db, pan=pan, mute=mute, solo=solo, target_lufs=target_lufs,
        auto_equaliser=auto_equaliser,
    )  # fmt: skip
    return mix(stems, session, rate=rate, threads=threads)


def open_stems(
    sources: Sequence[str | Path],
    *,
    preset: str | Session | None = None,
    gain_db: Mapping[str, float] | None = None,
    pan: Mapping[str, float] | None = None,
    mute: Sequence[str] | str = (),
    solo: Sequence[str] | str = (),
    target_lufs: float | str | None = None,
    auto_equaliser: bool = False,
) -> tuple[list[Stem], Session]:
    """The stems that ``sources`` stand for, and the session that they are to be mixed with.

    A source is a sound file, a folder of them, the folder of a song, or a ``mix.toml``; of the last two only one. A
    song's folder that has a ``mix.toml`` stands for it. A sound file's part is called like the file, and its
    instrument is the first that the name tells of ("01 Bass take 3", "E-Guitar"). ``preset``, the name of one or a
    session for any parts, sets all anew; without it sound files alone get the default one, and beside a ``mix.toml``
    their balance and seat. The other arguments are :meth:`midigen.session.Session.changed`'s. Raises :class:`BadFile`
    for what cannot be read and :class:`BadRequest`.
    """
    from midigen.audio import open_audio
    from midigen.renderers import Stem
    from midigen.session.files import NAME, read_session
    from midigen.session.presets import DEFAULT_PRESET
    from midigen.session.presets import preset as preset_named

    chosen = DEFAULT_PRESET if preset is None else preset
    base = preset_named(chosen) if isinstance(chosen, str) else chosen
    stems: list[Stem] = []
    read: Path | None = None
    for source in map(Path, sources):
        if not (source.suffix.lower() == ".toml" or (source / NAME).is_file()):
            stems += [Stem(path.stem, kind_of_name(path.stem), open_audio(path)) for path in _sound_files(source)]
            continue
        path = source / NAME if source.is_dir() else source
        if read is not None:
            raise BadRequest(f"two mixes, {read} and {path}: give one of them, and the other's stems")
        read, session = path, read_session(path)
        if not session.stems:
            raise BadFile(f"{path}: names no stems; give each a section, such as [stems.piano] with file = ...")
        for name, one in session.stems.items():
            try:
                stems.append(Stem(name, one.kind, open_audio(path.parent / one.file), one.preset))
            except BadFile as error:
                raise BadFile(f"{path}: [stems.{name}] {error}") from None
        kept = {name: getattr(session, name) for name in ("stems", "tempo_qpm", "title", "artist")}
        base = session if preset is None else replace(base, **kept)
    if not stems:
        raise BadRequest("no stems: give sound files, or the folder of a song")
    parts = [(stem.name, stem.kind) for stem in stems]
    for name, _ in parts:
        if sum(name == other for other, _ in parts) > 1:
            raise BadRequest(f"stem {name!r} is given twice: give every stem a name of its own")
    mute, solo = (one.split(",") if isinstance(one, str) else one for one in (mute, solo))
    mute, solo = ([name.strip() for name in one if name.strip()] for one in (mute, solo))
    session = base.seated(parts).changed(
        parts, gain_db=gain_db, pan=pan, mute=mute, solo=solo, target_lufs=target_lufs, auto_equaliser=auto_equaliser
    )
    return stems, session


def placed(session: Session, stems: Sequence[Stem], folder: str | Path) -> Session:
    """``session`` with the files of ``stems``, from :func:`open_stems`, as a ``mix.toml`` in ``folder`` names them."""
    from midigen.audio import AudioFile
    from midigen.session import StemFile

    files = {}
    for stem in stems:
        assert isinstance(stem.audio, AudioFile)
        try:
            file = os.path.relpath(stem.audio.path, folder)
        except ValueError:  # on Windows, from one drive to another
            file = os.path.abspath(stem.audio.path)
        before = session.stems.get(stem.name)
        files[stem.name] = StemFile(
            Path(file).as_posix(), stem.kind, before.soundfont if before else "", before.preset if before else ""
        )
    return replace(session, stems=files)


def kind_of_name(name: str) -> str:
    """The instrument that a sound file's ``name`` tells of, "other" where it tells of none.

    >>> [kind_of_name(name) for name in ("01 Bass take 3", "E-Guitar", "Bass drum", "Bassoon", "Klavier")]
    ['bass', 'guitar', 'drums', 'other', 'other']
    """
    found = {}
    for kind in INSTRUMENTS:
        # "drum" for "drums"; a bassoon is no bass, and a bass drum is a drum
        pattern = kind.removesuffix("s") if kind == "drums" else rf"{kind}(?!oon|[ _-]?drum)"
        if match := re.search(pattern, name.lower()):
            found[match.start()] = kind
    return found[min(found)] if found else OTHER


def _sound_files(source: Path) -> list[Path]:
    """The sound file ``source``, or those in it, or in its ``stems/``."""
    if not source.is_dir():
        return [source]
    folder = source / "stems" if (source / "stems").is_dir() else source
    inside = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not inside:
        raise BadFile(f"{source}: holds no sound files; give stems, or the folder of a song")
    return inside
