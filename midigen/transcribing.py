"""The verb that brings recordings back to scores: a file, or a folder of stems as a song of several parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from midigen.analysis import estimate_key
from midigen.audio import open_audio
from midigen.cleaning import Cleaning, clean
from midigen.errors import BadFile, BadRequest, MidigenError
from midigen.folders import writing
from midigen.midi import write_midi
from midigen.mixdown import SUFFIXES, kind_of_name
from midigen.profiles.onsets import Curves
from midigen.score import Key, Score, parse_key, parse_metre
from midigen.transcription import KINDS, Heard, listen
from midigen.transcription.activations import mono_at
from midigen.transcription.beats import FASTEST_QPM, SLOWEST_QPM, find_bars, need_librosa
from midigen.transcription.writing import GRIDS, to_score
from midigen.workers import CREWS

STEMS = "stems"  # where a song's folder has its sound files


@dataclass(frozen=True)
class Transcribed:
    """A song that was heard: ``target`` is its MIDI file (``None`` where ``error`` says why there is none), ``parts``
    are names, instruments and numbers of notes, ``notes`` what is to be told, such as files that were left out."""

    source: Path
    target: Path | None
    score: Score | None
    parts: tuple[tuple[str, str, int], ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Hearing:
    """How to hear.

    ``instrument`` is piano, guitar or bass; without it a file's name tells, and what tells of none is heard as piano.
    ``as_is`` leaves recordings uncleaned. ``tempo_qpm``, ``metre`` and ``key`` are known already; otherwise they are
    found. ``quantise`` is a grid such as ``"1/16"``. Raises :class:`BadRequest`.
    """

    instrument: str | None = None
    as_is: bool = False
    tempo_qpm: float | None = None
    metre: str | None = None
    key: str | None = None
    quantise: str | None = None

    def __post_init__(self) -> None:
        if self.instrument is not None and self.instrument not in KINDS:
            raise BadRequest(f"instrument {self.instrument!r}: choose {', '.join(KINDS)}")
        if self.tempo_qpm is not None and not SLOWEST_QPM / 2 <= self.tempo_qpm <= FASTEST_QPM * 2:
            raise BadRequest(
                f"tempo {self.tempo_qpm:g} is outside {SLOWEST_QPM / 2:g}..{FASTEST_QPM * 2:g} quarters a minute"
            )
        if self.metre is not None:
            parse_metre(self.metre)
        if self.key is not None:
            parse_key(self.key)
        if self.quantise is not None and self.quantise not in GRIDS:
            raise BadRequest(f"grid {self.quantise!r}: choose {', '.join(GRIDS)} (t: triplets)")
        if self.tempo_qpm is None:
            need_librosa()


def transcribe(sources: str | Path | Sequence[str | Path], how: Hearing = Hearing(), title: str = "") -> Score:
    """The sound files ``sources``, each a part, as one score. See :class:`Hearing`.

    Parts are called like their instrument, with a number where there are several. Raises
    :class:`midigen.errors.MidigenError`.
    """
    files = [sources] if isinstance(sources, str | Path) else list(sources)
    score, _ = _heard_together([Path(file) for file in files], how, title)
    return score


def transcribe_files(
    sources: Sequence[str | Path],
    output: str | Path | None = None,
    how: Hearing = Hearing(),
    *,
    jobs: int | None = None,
    on_song: Callable[[Transcribed], None] | None = None,
) -> list[Transcribed]:
    """Hear each of ``sources`` and write a MIDI file of it: a sound file is a song of one part, a folder of sound files
    a song of as many, a folder of such folders as many songs.

    ``output`` is the MIDI file for a single song, else the folder for all (default: the current folder). Songs
    are heard side by side in ``jobs`` processes (one a processor). One that cannot be heard does not stop the others.
    Raises :class:`BadRequest`, :class:`BadFile` where a source is missing or holds no sound.
    """
    if jobs is not None and jobs < 1:
        raise BadRequest(f"jobs {jobs}: must be 1 or more")
    songs = [song for source in sources for song in _songs(Path(source))]
    targets = _targets([source for source, _ in songs], output)
    orders = [(source, files, target, how) for (source, files), target in zip(songs, targets, strict=True)]
    done: dict[int, Transcribed] = {}
    if jobs == 1 or len(orders) == 1:
        results = ((number, _hear_one(order)) for number, order in enumerate(orders))
    else:
        results = CREWS.get("processes")(jobs).run(_hear_one, orders)
    for number, one in results:
        done[number] = one
        if on_song is not None:
            on_song(one)
    return [done[number] for number in range(len(orders))]


def _songs(source: Path) -> list[tuple[Path, list[Path]]]:
    """The songs in ``source``: what each is called after, and its sound files."""
    if not source.exists():
        raise BadFile(f"{source}: no such file; give sound files or folders of them")
    if not source.is_dir():
        return [(source, [source])]
    folder = source / STEMS if (source / STEMS).is_dir() else source
    inside = _sounds(folder)
    if inside:
        return [(source, inside)]
    songs = [song for sub in sorted(p for p in source.iterdir() if p.is_dir()) for song in _songs_below(sub)]
    if not songs:
        raise BadFile(f"{source}: holds no sound files; give {', '.join(SUFFIXES)}")
    return songs


def _songs_below(folder: Path) -> list[tuple[Path, list[Path]]]:
    inside = _sounds(folder / STEMS if (folder / STEMS).is_dir() else folder)
    return [(folder, inside)] if inside else []


def _sounds(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _targets(sources: list[Path], output: str | Path | None) -> list[Path]:
    names = [source.resolve().name if source.is_dir() else source.stem for source in sources]
    output = Path() if output is None else Path(output)
    if output.suffix.lower() in (".mid", ".midi"):
        if len(names) > 1:
            raise BadRequest(f"{output}: one file for {len(names)} songs; give a folder with -o")
        return [output]
    targets = [output / f"{name}.mid" for name in names]
    for number, target in enumerate(targets):
        if target in targets[:number]:
            raise BadRequest(f"{sources[number]}: {target} would be written twice; give the songs different names")
    return targets


def _hear_one(order: tuple[Path, list[Path], Path, Hearing]) -> Transcribed:
    """One song; what the user can put right is told and stops nothing else. Runs in a process of its own."""
    source, files, target, how = order
    try:
        score, said = _heard_together(files, how, target.stem)
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        write_midi(score, target)
    except MidigenError as error:
        return Transcribed(source, None, None, error=str(error))
    parts = tuple((part.name, part.kind, len(part.notes)) for part in score.parts)
    return Transcribed(source, target, score, parts, tuple(said))


def _heard_together(files: list[Path], how: Hearing, title: str) -> tuple[Score, list[str]]:
    parts, said = [], []
    for file in files:
        told = kind_of_name(file.stem)
        if how.instrument is None and told == "drums":
            said.append(f"{file}: left out: drums have no pitches to be heard")
            continue
        kind = how.instrument or (told if told in KINDS else KINDS[0])
        if how.instrument is None and told not in KINDS:
            said.append(f"{file}: heard as {kind}; say --instrument {'|'.join(KINDS)}, or name the file after one")
        part = _heard(file, kind, how)
        if len(part.notes):
            parts.append(part)
        else:
            said.append(f"{file}: left out: no notes are heard in it")
    if not parts:
        reason = said[-1] if len(files) == 1 and said else f"{files[0].parent}: no notes are heard in these files"
        raise BadFile(reason.replace("left out: ", "") + "; is it music, and is --instrument right?")
    parts = _named_apart(parts)
    notes = np.concatenate([part.notes for part in parts])
    grid = find_bars(_together([part.curves for part in parts]), notes, qpm=how.tempo_qpm, metre=how.metre)
    score = to_score(parts, grid, quantise=how.quantise, title=title)
    if how.key is None:
        chroma = np.bincount(notes[:, 2].astype(int) % 12, weights=notes[:, 1] - notes[:, 0], minlength=12)
        tonic, mode = estimate_key(chroma)
    else:
        tonic, mode = parse_key(how.key)
    return replace(score, keys=(Key(0, tonic, mode),)), said


def _heard(file: Path, kind: str, how: Hearing) -> Heard:
    """The part in one file. Nothing is cut from its beginning: stems of one song must stay together."""
    sound = open_audio(file)
    if how.as_is:
        return listen(sound, kind)
    cleaned = clean(mono_at(sound, sound.rate), Cleaning(trim=False, target_lufs=None))
    return listen(cleaned.signal, kind)


def _named_apart(parts: list[Heard]) -> list[Heard]:
    """Parts by instrument in the order of the table, called after it: guitar, guitar 2."""
    parts = sorted(parts, key=lambda part: KINDS.index(part.kind))
    counts: dict[str, int] = {}
    named = []
    for part in parts:
        number = counts[part.kind] = counts.get(part.kind, 0) + 1
        named.append(replace(part, name=part.kind if number == 1 else f"{part.kind} {number}"))
    return named


def _together(curves: list[Curves]) -> Curves:
    """The curves of all parts as one: each flux counts by its own loudest."""
    length = max(len(one.flux) for one in curves)
    flux, level = np.zeros(length), np.full(length, -200.0)
    for one in curves:
        flux[: len(one.flux)] += one.flux / (np.quantile(one.flux, 0.99) + 1e-9)
        level[: len(one.level_db)] = np.maximum(level[: len(one.level_db)], one.level_db)
    return Curves(curves[0].seconds, level, flux)
