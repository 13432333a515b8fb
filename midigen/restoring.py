"""The verb that cleans recordings: files and folders of them, side by side, to files with a picture each."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from midigen.audio import check_sound_file, open_audio, write_audio
from midigen.cleaning import Cleaned, Cleaning, clean
from midigen.cleaning.measuring import Condition
from midigen.errors import BadFile, BadRequest, MidigenError, OutputError
from midigen.folders import write_beside, writing
from midigen.pictures.cleaning import CleaningSheet, Side, draw_cleaning
from midigen.pictures.page import clock, decibels_said
from midigen.spectra import power_db
from midigen.workers import CREWS

SOUND_SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
FORMATS = ("wav", "flac", "ogg", "mp3")
REPORT = "cleaning.json"


@dataclass(frozen=True)
class CleanedFile:
    """What became of one recording: where it is now (``None`` where ``error`` says why not), and what was measured.

    ``before`` and ``after`` are :meth:`midigen.cleaning.measuring.Condition.facts`; ``hum`` and ``noise`` say what was
    found; ``cut_seconds`` were cut from the beginning; ``gain_db`` set the loudness.
    """

    source: Path
    target: Path | None
    error: str = ""
    before: dict[str, float | None] | None = None
    after: dict[str, float | None] | None = None
    hum: str = ""
    noise: str = ""
    cut_seconds: float = 0.0
    gain_db: float = 0.0

    def facts(self) -> dict[str, Any]:
        """As JSON can hold it."""
        paths = {"source": str(self.source), "file": None if self.target is None else str(self.target)}
        return {**{key: value for key, value in vars(self).items() if key not in ("source", "target")}, **paths}


def clean_files(
    sources: Sequence[str | Path],
    output: str | Path = "cleaned",
    *,
    format: str = "wav",
    noise: str | Path | None = None,
    noise_span: tuple[float, float] | None = None,
    force: bool = False,
    jobs: int | None = None,
    on_file: Callable[[CleanedFile], None] | None = None,
    **how: Any,
) -> list[CleanedFile]:
    """Clean sound files, and all in folders, into the folder ``output``: each as a file with a picture (PNG) beside it.

    ``how`` are the fields of :class:`midigen.cleaning.Cleaning`; ``noise`` is a file with nothing but noise. Folders
    keep their inner order. Recordings are cleaned side by side, in ``jobs`` processes (one a processor). What is cut
    from the beginning stands in a WAV file as its time stamp. A file that cannot be read or cleaned does not stop the
    others; it is in the result with its ``error``. The numbers are also written to ``cleaning.json``. Raises
    :class:`BadRequest`, :class:`BadFile` where a source is missing, and :class:`OutputError`.
    """
    if format not in FORMATS:
        raise BadRequest(f"format {format!r}: choose {', '.join(FORMATS)}")
    if jobs is not None and jobs < 1:
        raise BadRequest(f"jobs {jobs}: must be 1 or more")
    cleaning = Cleaning(**how, noise_span=noise_span)
    if noise is not None:
        cleaning = replace(cleaning, noise=open_audio(noise))
    output = Path(output)
    pairs = list(_places(sources, output, format))
    _check_places(pairs, output, force)
    done: list[CleanedFile] = []

    def take(one: CleanedFile) -> None:
        done.append(one)
        if on_file is not None:
            on_file(one)

    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    orders = [(source, target, cleaning) for source, target in pairs]
    if jobs == 1 or len(orders) == 1:
        for order in orders:
            take(_clean_one(order))
    else:
        for _, one in CREWS.get("processes")(jobs).run(_clean_one, orders):
            take(one)
    places = {source: number for number, (source, _) in enumerate(pairs)}
    done.sort(key=lambda one: places[one.source])
    text = json.dumps([one.facts() for one in done], indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with writing(output):
        write_beside(output / REPORT, text.encode())
    return done


def _places(sources: Sequence[str | Path], output: Path, format: str) -> Iterator[tuple[Path, Path]]:
    """Each sound file, and where it goes."""
    for source in map(Path, sources):
        if not source.is_dir():
            if not source.exists():
                raise BadFile(f"{source}: no such file; give sound files or folders of them")
            yield source, output / f"{source.stem}.{format}"
            continue
        inside = sorted(p for p in source.rglob("*") if p.suffix.lower() in SOUND_SUFFIXES and p.is_file())
        inside = [path for path in inside if output.resolve() not in path.resolve().parents]
        if not inside:
            raise BadFile(f"{source}: holds no sound files; give {', '.join(SOUND_SUFFIXES)}")
        for path in inside:
            yield path, output / path.relative_to(source).with_suffix(f".{format}")


def _check_places(pairs: list[tuple[Path, Path]], output: Path, force: bool) -> None:
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; choose another folder")
    seen: dict[Path, Path] = {}
    for source, target in pairs:
        if target in seen:
            raise BadRequest(f"{source} and {seen[target]} would both become {target}: clean them apart, each with -o")
        seen[target] = source
        if target.exists():
            if target.samefile(source):
                raise OutputError(f"{target}: is the recording itself; choose another folder with -o")
            if not force:
                raise OutputError(f"{target}: is there already; choose another folder with -o, or add --force")


def _clean_one(order: tuple[Path, Path, Cleaning]) -> CleanedFile:
    """Clean one file; what the user can put right is told and stops nothing. Runs in a process of its own."""
    source, target, how = order
    try:
        recording = open_audio(source)
        try:
            check_sound_file(target, how.rate or recording.rate, recording.channels)
            cleaned = clean(recording, how)
        except BadRequest as error:
            raise BadRequest(f"{source}: {error}") from None
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        write_audio(cleaned.signal, target, start_seconds=cleaned.start_seconds)
        picture = io.BytesIO()
        draw_cleaning(sheet_of(cleaned, source.name), picture)
        with writing(target):
            write_beside(target.with_suffix(".png"), picture.getvalue())
    except OutputError:
        raise
    except MidigenError as error:
        return CleanedFile(source, None, str(error))
    hum = cleaned.hum
    return CleanedFile(
        source, target, "", cleaned.before.facts(), cleaned.after.facts(),
        "" if hum is None else f"{hum.mains_hz:g} Hz", cleaned.profile.source, round(cleaned.start_seconds, 3),
        round(cleaned.gain_db, 2),
    )  # fmt: skip


def sheet_of(cleaned: Cleaned, title: str) -> CleaningSheet:
    """What :func:`midigen.pictures.draw_cleaning` draws of ``cleaned``."""
    before, after = cleaned.before, cleaned.after

    def change(unit: str, digits: int, one: float, other: float) -> str:
        return f"{decibels_said(one, unit, digits)} → {decibels_said(other, unit, digits)}"

    facts = [
        f"{clock(before.seconds)} → {clock(after.seconds)}",
        f"offset {before.offset:.4f} → {abs(after.offset):.4f}",
        "floor " + change("dBFS", 0, before.floor_dbfs, after.floor_dbfs),
        change("LUFS", 1, before.integrated_lufs, after.integrated_lufs),
        change("dBTP", 1, before.true_peak_dbtp, after.true_peak_dbtp),
        "" if cleaned.hum is None else f"hum {cleaned.hum.mains_hz:g} Hz, {cleaned.hum.level_db:.0f} dB",
        f"noise: {cleaned.profile.source}",
    ]
    return CleaningSheet(title, facts, _side(before), _side(after), _noise_db(cleaned), cleaned.profile.spans,
                         cleaned.start_seconds)  # fmt: skip


def _side(condition: Condition) -> Side:
    levels = condition.levels
    return Side(condition.seconds, levels.seconds, levels.level_db, condition.columns_db, condition.band_hz)


def _noise_db(cleaned: Cleaned) -> np.ndarray:
    """The noise's power in the bands of the picture."""
    profile, middles = cleaned.profile, cleaned.before.band_hz
    power = profile.powers[-1].mean(axis=0)
    step = profile.rate / 2 / (len(power) - 1)
    ratio = np.sqrt(middles[1] / middles[0])
    below = np.concatenate([[0.0], np.cumsum(power) / (len(power) - 1)])
    edges = np.arange(len(below)) * step - step / 2
    return power_db(np.interp(middles * ratio, edges, below) - np.interp(middles / ratio, edges, below))
