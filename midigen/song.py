"""The whole journey, and what comes out of it: a song with its stems, its mix, its picture and its record."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from midigen.errors import BadFile, BadRequest
from midigen.folders import RECORD, new_folder, writing
from midigen.instruments import INSTRUMENTS, OTHER
from midigen.midi import midi_bytes, read_midi
from midigen.prompt import DEFAULT_PARTS, Prompt, parse_parts
from midigen.record import RECORD_FORMAT, describe, read_settings, sha256_of, versions
from midigen.score import Part, Score
from midigen.sound import TARGET_LUFS, Sound

if TYPE_CHECKING:
    from midigen.mixing import Mix, Strip
    from midigen.renderers import Stem
    from midigen.soundfonts import SoundFont

OnBar = Callable[[int, int], None]
OnStage = Callable[[str], None]  # told "compose", "render" or "mix" as each begins
OnPart = Callable[[str], None]


@dataclass(frozen=True)
class Song:
    """A finished song.

    ``midi`` and ``picture`` are the bytes of a ``.mid`` and a ``.png`` file; ``stems`` are one a part, before the
    mixer; ``record`` says how the song was made, as plain values.
    """

    score: Score
    midi: bytes
    stems: tuple[Stem, ...]
    mix: Mix
    picture: bytes
    record: dict[str, Any]

    def __repr__(self) -> str:
        parts = ", ".join(f"{part.name} ({len(part.notes)} notes)" for part in self.score.parts)
        return f"<Song: {self.score.title or 'untitled'}; {parts}; {self.score.duration_seconds:.0f} s>"

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the song's folder: ``song.mid``, ``stems/``, ``mix.wav``, ``song.png`` and ``midigen.json``.

        All of it appears at once, or nothing does. Raises :class:`OutputError` where the folder holds something
        already; ``force`` replaces a song, and never anything else.
        """
        with new_folder(folder, force=force) as draft:
            self.write_into(draft)
        return Path(folder)

    def write_into(self, folder: Path) -> None:
        """Write the files into a folder that is there and empty, such as one of :func:`midigen.folders.new_folder`."""
        from midigen.audio import write_wav

        with writing(folder):
            (folder / "song.mid").write_bytes(self.midi)
            (folder / "song.png").write_bytes(self.picture)
            (folder / "stems").mkdir()
            for stem in self.stems:
                write_wav(stem.audio, folder / "stems" / f"{stem.name}.wav")
            write_wav(self.mix.audio, folder / "mix.wav")
            files = {
                path.relative_to(folder).as_posix(): sha256_of(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
            text = json.dumps({**self.record, "files": files}, indent=2, ensure_ascii=False, allow_nan=False)
            (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def compose(
    *,
    bars: int = Prompt.bars,
    parts: Sequence[str] | str = DEFAULT_PARTS,
    tempo_qpm: float | None = None,
    key: str | None = None,
    metre: str | None = None,
    seed: int | None = None,
    temperature: float = Prompt.temperature,
    top_p: float = Prompt.top_p,
    soundfont: str | None = None,
    soundfont_for: Mapping[str, str] | None = None,
    gain_db: Mapping[str, float] | None = None,
    pan: Mapping[str, float] | None = None,
    mute: Sequence[str] | str = (),
    solo: Sequence[str] | str = (),
    target_lufs: float | None = TARGET_LUFS,
    checkpoint: str | None = None,
    engine: str = "onnx",
    mode: str = "fast",
    threads: int | None = None,
    on_bar: OnBar | None = None,
    on_stage: OnStage | None = None,
    on_part: OnPart | None = None,
) -> Song:
    """Compose, render and mix a song.

    The first row of arguments is :class:`midigen.prompt.Prompt`, the second :class:`midigen.sound.Sound`;
    ``checkpoint`` is a model's folder or name, ``engine`` and ``mode`` say how it is computed. ``threads`` changes the
    time taken, never the song. ``on_bar`` is told the bars done and in all, ``on_stage`` what begins, ``on_part`` the
    part that is rendered. The same arguments give the same song; where ``seed`` is left out one is drawn, and stands
    in the song's record. Raises :class:`midigen.errors.MidigenError`.
    """
    prompt = Prompt(bars, named(parts), tempo_qpm, key, metre, seed, temperature, top_p).with_seed()
    sound = Sound(soundfont, soundfont_for, gain_db, pan, named(mute), named(solo), target_lufs)
    names = list(zip(prompt.part_names, prompt.parts, strict=True))
    # All that can be refused is refused before the model starts.
    sound.check(prompt.part_names, prompt.parts)
    fonts, strips = sound.fonts(names), sound.strips(names)
    from midigen.checkpoint import open_checkpoint
    from midigen.composition import compose_score
    from midigen.renderers.fluidsynth import load_library

    load_library()
    model = open_checkpoint(checkpoint)
    _stage(on_stage, "compose")
    _beside(_warm_up)
    score = compose_score(prompt, checkpoint=checkpoint, engine=engine, mode=mode, threads=threads, on_bar=on_bar)
    record = {
        "made_by": "midigen compose",
        "format": RECORD_FORMAT,
        "settings": {
            "bars": prompt.bars,
            "parts": list(prompt.parts),
            "tempo_qpm": prompt.tempo_qpm,
            "key": prompt.key,
            "metre": prompt.metre,
            "seed": prompt.seed,
            "temperature": prompt.temperature,
            "top_p": prompt.top_p,
            **sound.settings(),
            "checkpoint": checkpoint,
            "engine": engine,
            "mode": mode,
        },
        "checkpoint": {"name": model.path.name, "sha256": model.sha256},
    }
    return _finish(score, midi_bytes(score), record, fonts, strips, target_lufs, threads, on_stage, on_part)


def compose_again(record: str | Path, **changes: Any) -> Song:
    """Make the song of a ``midigen.json`` again, or a song that differs from it in ``changes``: :func:`compose`'s own.

    ``record`` is that file or its folder. Without changes, on the same versions, the bytes are the same.
    """
    return compose(**{**settings_of(record), **changes})


def settings_of(record: str | Path) -> dict[str, Any]:
    """The arguments of :func:`compose` that made a song, from its ``midigen.json`` or its folder."""
    return read_settings(record, compose.__kwdefaults__ or {})


def render_midi(
    source: str | Path,
    *,
    soundfont: str | None = None,
    soundfont_for: Mapping[str, str] | None = None,
    gain_db: Mapping[str, float] | None = None,
    pan: Mapping[str, float] | None = None,
    mute: Sequence[str] | str = (),
    solo: Sequence[str] | str = (),
    target_lufs: float | None = TARGET_LUFS,
    threads: int | None = None,
    on_stage: OnStage | None = None,
    on_part: OnPart | None = None,
) -> Song:
    """Render and mix any MIDI file. Arguments as :func:`compose`'s; the song keeps the file's own bytes."""
    try:
        data = Path(source).read_bytes()
    except FileNotFoundError:
        raise BadFile(f"{source}: no such file; give the path of a .mid file") from None
    except OSError as error:
        raise BadFile(f"{source}: cannot be read ({error.strerror}); give the path of a .mid file") from None
    score = _named_apart(read_midi(data, str(source)))
    if not score.parts:
        raise BadFile(f"{source}: holds no notes; give a .mid file with music in it")
    sound = Sound(soundfont, soundfont_for, gain_db, pan, named(mute), named(solo), target_lufs)
    names = [(part.name, part.kind) for part in score.parts]
    sound.check([name for name, _ in names], [kind for _, kind in names])
    record = {
        "made_by": "midigen render",
        "format": RECORD_FORMAT,
        "source": {"name": Path(source).name, "sha256": hashlib.sha256(data).hexdigest()},
        "settings": sound.settings(),
    }
    return _finish(
        score, data, record, sound.fonts(names), sound.strips(names), target_lufs, threads, on_stage, on_part
    )


def mix_files(
    sources: Sequence[str | Path],
    *,
    gain_db: Mapping[str, float] | None = None,
    pan: Mapping[str, float] | None = None,
    mute: Sequence[str] | str = (),
    solo: Sequence[str] | str = (),
    target_lufs: float | None = TARGET_LUFS,
) -> Mix:
    """Mix stems that are there already. ``sources`` are sound files, folders of them, or folders of songs.

    A stem is called like its file; its instrument is the one that the name begins with ("guitar 2", "Bass take 3").
    """
    from midigen.audio import read_audio
    from midigen.mixing import mix
    from midigen.renderers import Stem

    stems = [Stem(path.stem, _kind_of_name(path.stem), read_audio(path)) for path in stem_files(sources)]
    names = [(stem.name, stem.kind) for stem in stems]
    for name, _ in names:
        if sum(name == other for other, _ in names) > 1:
            raise BadRequest(f"stem {name!r} is given twice: give every stem a name of its own")
    sound = Sound(gain_db=gain_db, pan=pan, mute=named(mute), solo=named(solo))
    sound.check([name for name, _ in names], [kind for _, kind in names])
    return mix(stems, sound.strips(names), target_lufs=target_lufs)


def stem_files(sources: Sequence[str | Path]) -> list[Path]:
    """The sound files that ``sources`` stand for: themselves, or those in a folder or in its ``stems/``."""
    found: list[Path] = []
    for source in map(Path, sources):
        if not source.is_dir():
            found.append(source)
            continue
        folder = source / "stems" if (source / "stems").is_dir() else source
        inside = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".wav", ".flac", ".aif", ".aiff", ".ogg"))
        if not inside:
            raise BadFile(f"{source}: holds no sound files; give stems, or the folder of a song")
        found += inside
    if not found:
        raise BadRequest("no stems: give sound files, or the folder of a song")
    return found


def _finish(
    score: Score,
    midi: bytes,
    record: dict[str, Any],
    fonts: Mapping[str, SoundFont],
    strips: Mapping[str, Strip],
    target_lufs: float | None,
    threads: int | None,
    on_stage: OnStage | None,
    on_part: OnPart | None,
) -> Song:
    """From a score to a song: the part of the journey that composing and rendering share."""
    from midigen.mixing import mix
    from midigen.renderers import font_of, render
    from midigen.renderers.fluidsynth import load_library

    load_library()
    picture = _beside(_picture, score)
    _stage(on_stage, "render")
    stems = tuple(render(score, fonts, threads=threads, on_part=on_part))
    _stage(on_stage, "mix")
    mixed = mix(stems, strips, target_lufs=target_lufs)
    drawn = picture.result()
    hashes = {path: sha256_of(path) for path in {font.path for font in fonts.values()}}
    played = {part.name: font_of(part, fonts)[0] for part in score.parts}
    record = {
        **record,
        "soundfonts": {name: {"name": font.name, "sha256": hashes[font.path]} for name, font in played.items()},
        "music": describe(score),
        "loudness": {
            "integrated_lufs": _plain(mixed.integrated_lufs),
            "true_peak_dbtp": _plain(mixed.true_peak_dbtp),
            "master_gain_db": _plain(mixed.master_gain_db),
        },
        "versions": versions(),
    }
    return Song(score, midi, stems, mixed, drawn, record)


def named(parts: Sequence[str] | str) -> tuple[str, ...]:
    """Names of parts, however they were given: ``"piano,bass"`` or ``["piano", "bass"]``."""
    return parse_parts(parts) if isinstance(parts, str) else tuple(parts)


def file_name(name: str) -> str:
    """A part's name as the name of a file, on any system."""
    return re.sub(r'[\x00-\x1f/\\:*?"<>|]+', "-", name).strip(" .")[:60] or "part"


def _named_apart(score: Score) -> Score:
    """The score with a name of its own for each part, as its stem's file needs one."""
    parts: list[Part] = []
    taken: set[str] = set()
    for part in score.parts:
        name = first = file_name(part.name)
        again = 1
        while name.casefold() in taken:  # some file systems do not tell "Bass" from "bass"
            again += 1
            name = f"{first} {again}"
        taken.add(name.casefold())
        parts.append(replace(part, name=name))
    return replace(score, parts=tuple(parts))


def _kind_of_name(name: str) -> str:
    first = re.split(r"[^a-z]", name.lower(), maxsplit=1)[0]
    return first if first in INSTRUMENTS else OTHER


def _stage(on_stage: OnStage | None, name: str) -> None:
    if on_stage is not None:
        on_stage(name)


def _beside(work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Begin ``work`` beside the caller and return its result to come.

    A daemon thread and not an executor, which waits for its thread even when the caller is broken off: nobody wants
    to wait for libraries that load when the song is given up.
    """
    result: Future[Any] = Future()

    def run() -> None:
        try:
            result.set_result(work(*arguments))
        except BaseException as error:  # the caller's to raise, when it asks for the result
            result.set_exception(error)

    Thread(target=run, daemon=True).start()
    return result


def _picture(score: Score) -> bytes:
    from midigen.pictures import draw_song

    buffer = io.BytesIO()
    draw_song(score, buffer)
    return buffer.getvalue()


def _warm_up() -> None:
    """Draw nothing and measure a moment of sound, so that the libraries are loaded while the model is at work."""
    import numpy as np

    from midigen.audio import Audio
    from midigen.mixing import master

    _picture(Score(()))
    master(Audio(np.full((2, 4_410), 0.5, dtype=np.float32), 44_100))


def _plain(value: float) -> float | None:
    return round(value, 3) if value == value and abs(value) != float("inf") else None  # JSON has no infinity
