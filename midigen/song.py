"""The whole journey, and what comes out of it: a song with its stems, its mix, its picture and its record."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midigen import __version__
from midigen.errors import BadFile, BadRequest
from midigen.folders import RECORD, new_folder, writing
from midigen.instruments import INSTRUMENTS, OTHER
from midigen.midi import midi_bytes, read_midi
from midigen.prompt import DEFAULT_PARTS, Prompt
from midigen.score import Part, Score
from midigen.sound import TARGET_LUFS, Sound

if TYPE_CHECKING:
    from midigen.mixing import Mix, Strip
    from midigen.renderers import Stem
    from midigen.soundfonts import SoundFont

RECORD_FORMAT = 1
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
                path.relative_to(folder).as_posix(): _sha256(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
            text = json.dumps({**self.record, "files": files}, indent=2, ensure_ascii=False, allow_nan=False)
            (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def compose(
    *,
    bars: int = Prompt.bars,
    parts: Sequence[str] = DEFAULT_PARTS,
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
    mute: Sequence[str] = (),
    solo: Sequence[str] = (),
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
    prompt = Prompt(bars, tuple(parts), tempo_qpm, key, metre, seed, temperature, top_p).with_seed()
    sound = Sound(soundfont, soundfont_for, gain_db, pan, mute, solo, target_lufs)
    names = list(zip(prompt.part_names, prompt.parts, strict=True))
    # All that can be refused is refused before the model starts.
    sound.check(prompt.part_names, prompt.parts)
    fonts, strips = sound.fonts(names), sound.strips(names)
    from midigen.checkpoint import open_checkpoint
    from midigen.composition import compose_score
    from midigen.renderers.fluidsynth import load_library

    load_library()
    model = open_checkpoint(checkpoint)
    with ThreadPoolExecutor(1) as beside:
        _stage(on_stage, "compose")
        ready = beside.submit(_warm_up)
        score = compose_score(prompt, checkpoint=checkpoint, engine=engine, mode=mode, threads=threads, on_bar=on_bar)
        ready.result()
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
    return compose(**{**read_settings(record), **changes})


def read_settings(record: str | Path) -> dict[str, Any]:
    """The arguments of :func:`compose` that a song's ``midigen.json`` keeps. Raises :class:`BadFile`."""
    path = Path(record)
    path = path / RECORD if path.is_dir() else path
    cure = f"give the {RECORD} of a song that midigen composed, or its folder"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFile(f"{path}: no such file; {cure}") from None
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror}); {cure}") from None
    except ValueError:
        raise BadFile(f"{path}: not JSON; {cure}") from None
    settings = data.get("settings") if isinstance(data, dict) else None
    if not isinstance(settings, dict) or data.get("made_by") != "midigen compose":
        raise BadFile(f"{path}: not the record of a composed song; {cure}")
    if data.get("format") != RECORD_FORMAT:
        raise BadFile(
            f"{path}: record of format {data.get('format')}, this midigen reads {RECORD_FORMAT}; update midigen"
        )
    strange = sorted(settings.keys() - (compose.__kwdefaults__ or {}).keys())
    if strange:
        raise BadFile(f"{path}: unknown setting {strange[0]!r}; {cure}")
    return settings


def render_midi(
    source: str | Path,
    *,
    soundfont: str | None = None,
    soundfont_for: Mapping[str, str] | None = None,
    gain_db: Mapping[str, float] | None = None,
    pan: Mapping[str, float] | None = None,
    mute: Sequence[str] = (),
    solo: Sequence[str] = (),
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
    sound = Sound(soundfont, soundfont_for, gain_db, pan, mute, solo, target_lufs)
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
    mute: Sequence[str] = (),
    solo: Sequence[str] = (),
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
    sound = Sound(gain_db=gain_db, pan=pan, mute=mute, solo=solo)
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

    with ThreadPoolExecutor(1) as beside:
        picture = beside.submit(_picture, score)
        _stage(on_stage, "render")
        stems = tuple(render(score, fonts, threads=threads, on_part=on_part))
        _stage(on_stage, "mix")
        mixed = mix(stems, strips, target_lufs=target_lufs)
        drawn = picture.result()
    hashes = {path: _sha256(path) for path in {font.path for font in fonts.values()}}
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


def describe(score: Score) -> dict[str, Any]:
    """What the score holds, in plain values: bars, key, tempo, metre, seconds, and the number of notes of each part."""
    return {
        "bars": score.bars or len(score.bar_starts()) - 1,
        "key": str(score.keys[0]) if score.keys else None,
        "tempo_qpm": round(score.tempos[0].qpm, 3),
        "metre": str(score.metres[0]),
        "seconds": round(score.duration_seconds, 3),
        "notes": {part.name: len(part.notes) for part in score.parts},
    }


def versions() -> dict[str, str]:
    """The versions that the bytes of a song depend on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from midigen.renderers.fluidsynth import library_version

    found = {"midigen": __version__, "python": platform.python_version(), "fluidsynth": library_version()}
    for name in ("numpy", "scipy", "onnxruntime", "mido", "soundfile", "pyloudnorm", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # vendored or frozen: the record says so instead of failing
            found[name] = "unknown"
    return found


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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
