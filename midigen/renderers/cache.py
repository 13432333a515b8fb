"""Stems that were rendered before, kept on disk by what they were made of.

A stem's key is the hash of everything its samples depend on, so an entry is never out of date: it is found, or it is
not. Entries appear whole (written beside, then renamed), tell by a checksum whether they still are, and leave when the
folder grows beyond its bound, those first that were not used for longest. Any number of processes may share a folder.

A folder that cannot be written is no error: stems then lie in temporary files, which are gone with their last reader.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from midigen.errors import BadRequest, OutputError
from midigen.renderers.stemfiles import FORMAT, StemSound, StemWriter, check_stem, open_stem, plain_bytes
from midigen.score import Score

ENVIRONMENT = "MIDIGEN_CACHE"
ENVIRONMENT_GB = "MIDIGEN_CACHE_GB"
MOST_GB = 2.0
LARGEST_HASHED = 10**9  # bytes of a font; a larger one is known by its place, size and times instead of its contents
_STALE_SECONDS = 3600  # a file that nobody has written to for so long is left from a process that was ended
_ENTRY, _DRAFT, _MEMO = ".stem", ".part", ".font"


@dataclass(frozen=True)
class Cache:
    """A folder of stems, of ``most_bytes`` at most; ``None`` for the folder keeps nothing."""

    folder: Path | None
    most_bytes: int = round(MOST_GB * 1e9)

    def find(self, key: str) -> tuple[StemSound, str] | None:
        """The stem ``key`` and the name of what played it, or ``None`` where it is not there, or no longer whole."""
        if self.folder is None:
            return None
        path = self._entry(key)
        try:
            file = path.open("rb")
        except OSError:
            return None
        try:
            header = check_stem(file, key)
        except (ValueError, OSError):
            file.close()
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):  # a cache that may only be read
            os.utime(path)
        return open_stem(file, header), header.sound

    def has(self, key: str) -> bool:
        """Whether there is an entry ``key``, whole or not."""
        return self.folder is not None and self._entry(key).exists()

    def draft(self, key: str, rate: int) -> Draft:
        """A stem to be written, within a ``with`` statement."""
        return Draft(self, key, rate)

    def identity(self, font: Path) -> str:
        """What tells a font's contents from others': their SHA-256, remembered by the file's place, size and times.

        Those are all of it where the font is very large, or nothing is kept. Raises :class:`OSError` where it cannot
        be read.
        """
        digest = None if self.folder is None else self.digest(font)
        return _known_by(font) if digest is None else digest

    def digest(self, font: Path) -> str | None:
        """The SHA-256 of a font's contents, remembered where stems are kept; ``None`` where the font is very large.

        Raises :class:`OSError` where it cannot be read.
        """
        if font.stat().st_size > LARGEST_HASHED:
            return None
        memo = None
        if self.folder is not None:
            name = hashlib.sha256(_known_by(font).encode(errors="surrogateescape")).hexdigest()
            memo = self.folder / (name + _MEMO)
            with suppress(OSError, ValueError):
                digest = memo.read_text(encoding="ascii")
                if len(digest) == 64 and int(digest, 16) >= 0:
                    return digest
        with font.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if self.folder is None or memo is None:
            return digest
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            beside = memo.with_name(f"{memo.stem}-{os.getpid()}{_DRAFT}")
            beside.write_text(digest, encoding="ascii")
            os.replace(beside, memo)
        return digest

    def contents(self) -> tuple[int, int]:
        """How many stems are kept, and their bytes."""
        sizes = [size for _, size, _ in self._entries()]
        return len(sizes), sum(sizes)

    def writable(self) -> bool:
        """Whether stems can be kept here: tried, not guessed."""
        if self.folder is None:
            return False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                return True
        except OSError:
            return False

    def trim(self, most_bytes: int | None = None) -> None:
        """Take out what was not used for longest, until ``most_bytes`` (the bound by default) are left."""
        kept, most = 0, self.most_bytes if most_bytes is None else most_bytes
        for path, size, _ in sorted(self._entries(), key=lambda entry: (-entry[2], entry[0].name)):
            if kept + size <= most:
                kept += size
            else:
                with suppress(OSError):  # another process was quicker, or (on Windows) reads it
                    path.unlink()
        for path in self._files(_DRAFT):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink()

    def clear(self) -> tuple[int, int]:
        """Take everything out; returns how many stems went, and their bytes. Nothing else in the folder is touched."""
        before = self.contents()
        for path in [*self._files(_ENTRY), *self._files(_DRAFT), *self._files(_MEMO)]:
            with suppress(OSError):
                path.unlink()
        after = self.contents()
        return before[0] - after[0], before[1] - after[1]

    def with_room(self, needed_bytes: int) -> Cache:
        """This cache, or one that keeps nothing where only the system's place for temporary files has room enough.

        Entries give way first. Raises :class:`OutputError` where there is no room at all.
        """
        places = [Path(tempfile.gettempdir())]
        if self.folder is not None and self.writable():
            missing = needed_bytes - shutil.disk_usage(self.folder).free
            if missing > 0:
                self.trim(max(self.contents()[1] - missing, 0))
                missing = needed_bytes - shutil.disk_usage(self.folder).free
            if missing <= 0:
                return self
            places.insert(0, self.folder)
        if shutil.disk_usage(places[-1]).free >= needed_bytes:
            return replace(self, folder=None)
        tried = " and in ".join(map(str, places))
        raise OutputError(
            f"the stems need {needed_bytes / 1e9:.1f} GB on disk, more than is free in {tried}: "
            f"render a shorter song or fewer parts, free some, or let TMPDIR or {ENVIRONMENT} name another folder"
        )

    def _entry(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / (key + _ENTRY)

    def _entries(self) -> Iterator[tuple[Path, int, int]]:
        """Entries with their bytes and the time of their last use."""
        for path in self._files(_ENTRY):
            with suppress(OSError):
                facts = path.stat()
                yield path, facts.st_size, facts.st_mtime_ns

    def _files(self, suffix: str) -> list[Path]:
        if self.folder is None:
            return []
        try:
            return sorted(path for path in self.folder.iterdir() if path.suffix == suffix)
        except OSError:
            return []


def _known_by(font: Path) -> str:
    """A font's place, size, times and number, which change whenever it does."""
    facts = font.stat()
    return f"{font} {facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino}"


class Draft:
    """A stem while it is written. Without :meth:`finish` it vanishes at the end of the block."""

    def __init__(self, cache: Cache, key: str, rate: int) -> None:
        self._cache, self._key, self._rate = cache, key, rate
        self._path: Path | None = None  # none: a temporary file without a name
        self._finished = False

    def __enter__(self) -> Draft:
        self._file = self._open()
        self._writer = StemWriter(self._file, self._key, self._rate)
        return self

    def _open(self) -> IO[bytes]:
        folder = self._cache.folder
        if folder is not None:
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                handle, name = tempfile.mkstemp(_DRAFT, f"{self._key[:16]}-", folder)
                self._path = Path(name)
                return os.fdopen(handle, "w+b")
        try:
            return tempfile.TemporaryFile()  # closed with its last reader
        except OSError as error:
            raise OutputError(f"no folder for temporary files ({error}); let TMPDIR name one") from None

    def write(self, piece: np.ndarray) -> None:
        """Add float32 ``(2, any)``. Raises :class:`OutputError` where the disk is full."""
        try:
            self._writer.write(piece)
        except OSError as error:
            raise self._refusal(error) from None

    def finish(self, sound: str, key: str | None = None) -> StemSound:
        """The whole stem, played by ``sound``, now in its place; ``key`` is its own where it was not known before."""
        self._key = self._key if key is None else key
        try:
            header = self._writer.finish(sound, key)
        except OSError as error:
            raise self._refusal(error) from None
        self._finished = True
        if self._path is not None:
            self._keep(self._path)
        return open_stem(self._file, header)

    def _keep(self, path: Path) -> None:
        final = self._cache._entry(self._key)
        if os.name == "nt":  # which renames no open file
            self._file.close()
            os.replace(path, final)
            self._file = final.open("rb")
            return
        try:
            os.replace(path, final)
        except OSError:  # cleared away meanwhile: the open file is still whole
            path.unlink(missing_ok=True)

    def _refusal(self, error: OSError) -> OutputError:
        place = self._cache.folder if self._path is not None else tempfile.gettempdir()
        variable = ENVIRONMENT if self._path is not None else "TMPDIR"
        return OutputError(
            f"{place}: a stem cannot be written ({error.strerror or error}); free some space, or let {variable} name "
            "another folder"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._finished:
            return
        with suppress(OSError):  # what a full disk did not take is flushed once more, in vain
            self._file.close()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()


def open_cache() -> Cache:
    """The cache that the environment asks for.

    ``MIDIGEN_CACHE`` names a folder, or is ``off``; without it stems are kept in the user's cache folder, where the
    platform has it. ``MIDIGEN_CACHE_GB`` is the bound, a number from 0 (2 without it). Nothing is made or read yet.
    Raises :class:`BadRequest` for a bound that is no number.
    """
    gigabytes = MOST_GB
    if said := os.environ.get(ENVIRONMENT_GB, "").strip():
        try:
            gigabytes = float(said)
        except ValueError:
            gigabytes = -1.0
        if not 0 <= gigabytes < 1e9:
            raise BadRequest(f"{ENVIRONMENT_GB} is {said!r}: give gigabytes, such as {MOST_GB:g}")
    asked = os.environ.get(ENVIRONMENT, "").strip()
    folder: Path | None
    if asked.lower() == "off" or not gigabytes:
        folder = None
    elif asked:
        folder = Path(os.path.abspath(os.path.expanduser(asked))) / "stems"
    else:
        import platformdirs

        folder = platformdirs.user_cache_path("midigen", appauthor=False) / "stems"
        if not folder.is_absolute():  # a user without a home
            folder = None
    return Cache(folder, round(gigabytes * 1e9))


def key_of(score: Score, **facts: str | int) -> str:
    """The key of a stem: SHA-256 of ``facts`` and of all that happens in the one part of ``score``, and when.

    Its notes, controls and bends are hashed in ticks (which order what falls together) and in seconds, through the
    tempo map. Names, titles, lyrics and the other parts do not count.
    """
    (part,) = score.parts
    digest = hashlib.sha256(json.dumps([FORMAT, facts], sort_keys=True).encode())
    notes = part.note_table
    notes = notes[np.lexsort(notes.T[::-1])]  # in one order, however they were listed
    controls = np.array([(c.tick, c.number, c.value) for c in part.controls], dtype=np.int64).reshape(-1, 3)
    bends = np.array([(b.tick, b.value) for b in part.bends], dtype=np.int64).reshape(-1, 2)
    for table, ticks in (
        (notes, np.stack([notes[:, 0], notes[:, 0] + notes[:, 1]])),
        (controls, controls[:, 0]),
        (bends, bends[:, 0]),
    ):
        digest.update(plain_bytes(table))
        digest.update(plain_bytes(score.seconds(ticks)))
    return digest.hexdigest()
