"""A song's folder: it appears whole, or not at all, and takes the place of nothing but another song."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from midigen.errors import OutputError

RECORD = "midigen.json"  # what makes a folder a song's
OWN_FILES = {RECORD, "song.mid", "song.kar", "song.lrc", "song.png", "stems", "takes", "mix.toml", "mix.png"}
OWN_FILES |= {f"song.{suffix}" for suffix in ("musicxml", "dawproject", "rpp")}
OWN_FILES |= {f"mix.{suffix}" for suffix in ("wav", "flac", "ogg", "mp3")}
_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says while ``path`` is written into an :class:`OutputError` of one line."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OutputError(f"{path}: no space left to write to; free some, or choose another folder") from None
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from None


def check_place(folder: str | Path, *, force: bool = False) -> None:
    """Raise :class:`OutputError` where ``folder`` may not be written: it is a file, or holds something already.

    ``force`` allows a song to be replaced, as long as nothing but what midigen wrote lies in its folder.
    """
    folder = Path(folder)
    with writing(folder):
        if not folder.exists() and not folder.is_symlink():
            return
        if not folder.is_dir():
            raise OutputError(f"{folder}: is a file; choose another folder")
        if folder.samefile(Path.cwd()):  # it would be taken from under the shell's feet
            raise OutputError(f"{folder}: is the folder you are in; give a new name, such as my-song")
        inside = {entry.name for entry in folder.iterdir()}
    if not inside:
        return
    strange = sorted(inside - OWN_FILES)
    if RECORD not in inside:
        raise OutputError(f"{folder}: is not empty and not a song of midigen's; choose a new or an empty folder")
    if not force:
        raise OutputError(f"{folder}: holds a song already; choose another folder, or add --force to replace it")
    if strange:
        raise OutputError(f"{folder}: holds {strange[0]!r}, which midigen did not write; choose another folder")


def free_name(name: str) -> Path:
    """``name`` in the current folder, or the first of ``name-2``, ``name-3``, ... that is not taken."""
    path, number = Path(name), 1
    while path.exists() or path.is_symlink():
        number += 1
        path = Path(f"{name}-{number}")
    return path


class _Draft:
    """What lies on the disk while a folder is written, and how to take it back."""

    def __init__(self, folder: Path) -> None:
        name = f".{folder.name}.{secrets.token_hex(4)}.part"
        self.folder = folder
        self.path = folder.with_name(name)
        self.aside = folder.with_name(f"{name}.old")  # a song that is being replaced
        self.parents = [parent for parent in reversed(folder.parents) if not parent.exists()]  # made by us

    def begin(self) -> None:
        """Make the folder, and find out whether it can be written to."""
        for parent in self.parents:
            parent.mkdir()
        self.path.mkdir()
        probe = self.path / RECORD
        probe.write_bytes(bytes(65_536))  # a full disk still makes folders
        probe.unlink()

    def put_in_place(self) -> None:
        if self.folder.exists():
            self.folder.rename(self.aside)
        self.path.rename(self.folder)

    def clear(self) -> None:
        """Leave what was there before, or the new folder if it is in place already. May be called at any time."""
        if self.aside.exists() and not self.folder.exists():
            self.aside.rename(self.folder)
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(self.aside, ignore_errors=True)
        if not self.folder.exists():
            with suppress(OSError):  # someone else may use them by now
                for parent in reversed(self.parents):
                    parent.rmdir()


_unfinished: list[_Draft] = []


def clear_unfinished() -> None:
    """Take back every folder that is being written: for a program that is about to end in the middle of its work."""
    for draft in _unfinished:
        draft.clear()


def write_beside(path: str | Path, data: bytes) -> None:
    """Write a file beside its place first, then put it there, so that nothing is left half-written.

    Raises :class:`OutputError`.
    """
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    with writing(path):
        try:
            beside.write_bytes(data)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


def clear_drafts(folder: Path) -> None:
    """Remove from ``folder`` what songs left there whose program was ended with no chance to clear up."""
    for draft in folder.glob(".*.part"):
        if draft.is_dir() and _DRAFT.fullmatch(draft.name):
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def new_folder(folder: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A folder to fill beside ``folder``, which takes its place when the block ends well and vanishes when it does not.

    That the place can be written to is found at once, before the work of the block. Raises :class:`OutputError` as
    :func:`check_place` does, and where the system refuses.
    """
    folder = Path(folder)  # as the user wrote it, for messages
    check_place(folder, force=force)
    draft = _Draft(Path(os.path.abspath(folder)))
    _unfinished.append(draft)
    try:
        with writing(folder):
            draft.begin()
        yield draft.path
        with writing(folder):
            check_place(folder, force=force)  # again: minutes may have passed
            draft.put_in_place()
    finally:
        draft.clear()
        _unfinished.remove(draft)


def song_in(path: str | Path) -> Path:
    """A MIDI file; for the folder of a song, the one that is in it."""
    return Path(path, "song.mid") if Path(path).is_dir() else Path(path)
