"""A song's folder: it appears whole, or not at all, and takes the place of nothing but another song."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from midigen.errors import OutputError

RECORD = "midigen.json"  # what makes a folder a song's
OWN_FILES = {RECORD, "song.mid", "song.png", "mix.wav", "stems"}
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


@contextmanager
def new_folder(folder: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A folder to fill beside ``folder``, which takes its place when the block ends well and vanishes when it does not.

    That the place can be written to is found at once, before the work of the block. Raises :class:`OutputError` as
    :func:`check_place` does, and where the system refuses.
    """
    asked, folder = Path(folder), Path(os.path.abspath(folder))  # messages say what the user said
    check_place(asked, force=force)
    made: list[Path] = []  # parents that were not there before
    draft: Path | None = None
    try:
        with writing(asked):
            missing = [parent for parent in folder.parents if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir()
                made.append(parent)
            draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
            draft.chmod(0o777 & ~_umask())  # mkdtemp's folders are for their owner only
            probe = draft / RECORD
            probe.write_bytes(b"\0" * 65_536)  # a full disk still makes folders
            probe.unlink()
        yield draft
        with writing(asked):
            check_place(asked, force=force)  # again: minutes may have passed
            _put_in_place(draft, folder)
        made = []
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # someone else may use them by now
            for parent in reversed(made):
                parent.rmdir()


def _put_in_place(draft: Path, folder: Path) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    aside = draft.with_name(draft.name + ".old")
    folder.rename(aside)
    try:
        draft.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
