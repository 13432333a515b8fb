"""Many songs of one request: a folder for each, begun again where it was stopped, and a table of all.

Song number ``n`` has the seed ``seed + n``, and is the one that ``compose`` makes with that seed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from midigen.composing import compose
from midigen.composition.promises import BrokenPromise
from midigen.errors import BadFile, BadRequest, OutputError
from midigen.exporting import formats_of
from midigen.folders import RECORD, clear_drafts, new_folder, write_beside, writing
from midigen.prompt import LARGEST_SEED, fresh_seed
from midigen.workers import CREWS, Crew

ALBUM, TABLE = "album.json", "songs.tsv"
ALBUM_FORMAT = 1
MOST_SONGS = 100_000
COLUMNS = ("seed", "folder", "key", "tempo", "metre", "bars", "seconds", "notes", "LUFS", "shared", "faults")


@dataclass(frozen=True)
class Row:
    """One song in the table: what :data:`COLUMNS` name, as text; ``error`` says why there is none."""

    seed: int
    cells: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True)
class _Order:
    """One song to be made: its settings, and where to, or ``None`` where it is to be handed back; and what other
    formats it is written in."""

    settings: dict[str, Any]
    folder: str | None
    export: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Made:
    error: str = ""
    files: Mapping[str, bytes] | None = None


def compose_album(
    folder: str | Path,
    count: int,
    *,
    jobs: int | None = None,
    crew: str = "processes",
    address: str | None = None,
    export: Sequence[str] | str = (),
    on_song: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> list[Row]:
    """Compose ``count`` songs (1 to 100,000) into ``folder``, each in a folder of its own called after its seed.

    ``settings`` are those of :func:`midigen.compose`; ``seed`` is the first song's. ``jobs`` songs are made at once
    (``None``: one a processor), by a ``crew`` of :mod:`midigen.workers`, at ``address`` where it is elsewhere. Songs
    that are there are kept: the same call goes on where another was stopped, and a larger ``count`` adds to it.
    ``export`` is :meth:`midigen.Song.save`'s. Returns a row a song and leaves the table in ``songs.tsv``.
    ``on_song(done, total)`` is told of each. Raises :class:`OutputError` where the folder holds something else, and
    what ``compose`` raises; a song that breaks a promise is a row with an error.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_SONGS:
        raise BadRequest(f"count {count!r} is not a whole number from 1 to {MOST_SONGS:,}: give one of those")
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise BadRequest(f"jobs {jobs!r} is not a whole number from 1 up: give how many songs to make at once")
    formats = formats_of(export)
    hands: Crew = CREWS.get(crew)(jobs, address)
    folder = Path(folder)
    first = begin_album(folder, settings)
    seeds = [(first + number) % (LARGEST_SEED + 1) for number in range(count)]
    missing = [seed for seed in seeds if not (folder / _name(seed) / RECORD).is_file()]
    done = count - len(missing)
    if on_song and done:
        on_song(done, count)
    errors: dict[int, str] = {}
    orders = [
        _Order(
            {**settings, "seed": seed, "threads": 1}, str(folder / _name(seed)) if hands.shares_disk else None, formats
        )
        for seed in missing
    ]
    if orders:
        # What is wrong with the request is wrong with every song: the first is enough to say it.
        for number, made in hands.run(_make, orders):
            seed = missing[number]
            if made.error:
                errors[seed] = made.error
            elif made.files is not None:
                _write(folder / _name(seed), made.files)
            done += 1
            if on_song:
                on_song(done, count)
    rows = [Row(seed, (), errors[seed]) if seed in errors else read_row(folder / _name(seed)) for seed in seeds]
    write_beside(folder / TABLE, _tsv(rows).encode())
    return rows


def read_row(folder: Path) -> Row:
    """The row of the song in ``folder``, from its record. Raises :class:`BadFile`."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        music, take = record["music"], record["takes"][0]
        loudness = record["loudness"]["integrated_lufs"]
        return Row(
            record["settings"]["seed"],
            (
                str(record["settings"]["seed"]),
                folder.name,
                music["key"] or "",
                f"{music['tempo_qpm']:g}",
                music["metre"],
                str(music["bars"]),
                f"{music['seconds']:.0f}",
                " ".join(f"{part}:{notes}" for part, notes in music["notes"].items()),
                "silent" if loudness is None else f"{loudness:.1f}",
                str(shared["notes"]) if (shared := take["shared"]) else "",
                "; ".join(take["faults"]),
            ),
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise BadFile(
            f"{folder / RECORD}: not the record of a song ({type(error).__name__}); delete {folder} and go on"
        ) from None


def table_of(rows: Iterable[Row]) -> list[str]:
    """The table as lines for a screen, its columns in line; songs that there are not, with the reason."""
    rows = list(rows)
    lines = [COLUMNS, *(row.cells for row in rows if not row.error)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return shown + [f"{row.seed}  not composed: {row.error}" for row in rows if row.error]


def _tsv(rows: Iterable[Row]) -> str:
    lines = ["\t".join(COLUMNS)]
    lines += ["\t".join(row.cells) if not row.error else f"{row.seed}\t\tnot composed: {row.error}" for row in rows]
    return "\n".join(lines) + "\n"


def _name(seed: int) -> str:
    return f"song-{seed}"


def begin_album(folder: Path, settings: Mapping[str, Any]) -> int:
    """The seed of the first song. ``folder`` is an album of these settings, or becomes one; raises :class:`OutputError`
    where it is something else, and :class:`BadFile` where what it says of itself cannot be read."""
    said = json.loads(json.dumps({name: value for name, value in settings.items() if name not in ("seed", "threads")}))
    seed = settings.get("seed")
    path = folder / ALBUM
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file; choose another folder")
        if folder.is_dir() and any(folder.iterdir()) and not path.is_file():
            raise OutputError(
                f"{folder}: is not empty and holds no album of midigen's; choose a new or an empty folder"
            )
        if path.is_file():
            try:
                known = json.loads(path.read_text(encoding="utf-8"))
                before, first = known["settings"], known["seed"]
                if not isinstance(before, dict) or type(first) is not int or not 0 <= first <= LARGEST_SEED:
                    raise TypeError
            except (ValueError, KeyError, TypeError, RecursionError):
                raise BadFile(f"{path}: not an album's record; choose another folder") from None
            changed = sorted(name for name in before.keys() | said.keys() if before.get(name) != said.get(name))
            if seed is not None and seed != first:
                changed.append("seed")
            if changed:
                raise OutputError(
                    f"{folder}: holds songs that were asked for otherwise ({', '.join(changed)}); give the same "
                    "settings to go on, or choose another folder"
                )
            clear_drafts(folder)
            return first
        first = fresh_seed() if seed is None else seed
        if isinstance(first, bool) or not isinstance(first, int) or not 0 <= first <= LARGEST_SEED:
            raise BadRequest(f"seed {first!r} is not a whole number from 0 to {LARGEST_SEED}: give one of those")
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": ALBUM_FORMAT, "seed": first, "settings": said}, indent=2, ensure_ascii=False)
        write_beside(path, (text + "\n").encode())
    return first


def _make(order: _Order) -> _Made:
    """Compose one song, here or on another machine."""
    try:
        song = compose(**order.settings)
    except BrokenPromise as error:
        return _Made(error=str(error))
    if order.folder is not None:
        song.save(order.folder, export=order.export)
        return _Made()
    with tempfile.TemporaryDirectory() as place:
        draft = Path(place, "song")
        draft.mkdir()
        song.write_into(draft, order.export)
        files = {path.relative_to(draft).as_posix(): path.read_bytes() for path in draft.rglob("*") if path.is_file()}
    return _Made(files=files)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    with new_folder(folder) as draft, writing(folder):
        for name, data in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_bytes(data)
