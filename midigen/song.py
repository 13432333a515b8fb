"""The whole journey, and what comes out of it: a song with its stems, its mix, its picture and its record."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from midigen import filtering
from midigen.errors import BadFile
from midigen.events import read_file
from midigen.folders import RECORD, new_folder, song_in, writing
from midigen.midi import read_midi
from midigen.mixdown import mix_files as mix_files
from midigen.prompt import parse_parts
from midigen.record import RECORD_FORMAT, describe, sha256_of, versions
from midigen.score import Score, named_apart
from midigen.sound import Sound

if TYPE_CHECKING:
    from midigen.lyrics import Lyrics
    from midigen.mixing import Mix
    from midigen.renderers import Stem
    from midigen.renderers.ahead import Ahead
    from midigen.session import Session
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
    takes: tuple[bytes, ...] = ()  # the MIDI of every take, the best first, where they are to be kept
    format: str = "wav"  # of the mix
    lyrics: Lyrics | None = None  # where it is sung

    def __repr__(self) -> str:
        parts = ", ".join(f"{part.name} ({len(part.notes)} notes)" for part in self.score.parts)
        return f"<Song: {self.score.title or 'untitled'}; {parts}; {self.score.duration_seconds:.0f} s>"

    def save(self, folder: str | Path, *, force: bool = False, export: Sequence[str] | str = ()) -> Path:
        """Write the song's folder: ``song.mid``, ``stems/``, ``mix.wav`` (or of another format), ``mix.toml``,
        ``mix.png``, ``song.png`` and ``midigen.json``; with lyrics ``song.kar`` and ``song.lrc``.

        All of it appears at once, or nothing does. Raises :class:`OutputError` where the folder holds something
        already; ``force`` replaces a song, and never anything else. ``export`` names formats of
        :mod:`midigen.exporters` ("musicxml", "dawproject", "rpp") that are written beside, as ``song.musicxml`` and so
        on.
        """
        from midigen.exporting import formats_of

        formats = formats_of(export)
        with new_folder(folder, force=force) as draft:
            self.write_into(draft, formats)
        return Path(folder)

    def write_into(self, folder: Path, export: Sequence[str] = ()) -> None:
        """Write the files into a folder that is there and empty, such as one of :func:`midigen.folders.new_folder`."""
        from midigen.audio import Tags, write_audio
        from midigen.session import StemFile
        from midigen.session.files import NAME, write_session

        with writing(folder):
            (folder / "song.mid").write_bytes(self.midi)
            (folder / "song.png").write_bytes(self.picture)
            if self.lyrics is not None:
                (folder / "song.kar").write_bytes(self.lyrics.kar)
                (folder / "song.lrc").write_text(self.lyrics.lrc, encoding="utf-8")
            (folder / "stems").mkdir()
            if self.takes:
                (folder / "takes").mkdir()
                for number, take in enumerate(self.takes, 1):
                    (folder / "takes" / f"{number:02d}.mid").write_bytes(take)
            drawing = beside(mix_picture, self.mix, self.score.title or "mix")
            for stem in self.stems:
                write_audio(stem.audio, folder / "stems" / f"{stem.name}.wav", tags=Tags(title=stem.name))
            mix = folder / f"mix.{self.format}"
            write_audio(self.mix.signal, mix, tags=Tags(title=self.score.title), loudness=self.mix.loudness)
            fonts = {name: font["name"] for name, font in self.record["soundfonts"].items()}
            files = {
                stem.name: StemFile(f"stems/{stem.name}.wav", stem.kind, fonts[stem.name], stem.sound)
                for stem in self.stems
            }
            write_session(replace(self.mix.session, stems=files), folder / NAME)
            (folder / "mix.png").write_bytes(drawing.result())
            if export:
                from midigen.exporting import export_into, with_texts

                trims = {one.name: one.trim_db for one in self.mix.applied}
                export_into(folder, with_texts(self.score, self.midi), export, trims)
            hashes = {
                path.relative_to(folder).as_posix(): sha256_of(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
            text = json.dumps({**self.record, "files": hashes}, indent=2, ensure_ascii=False, allow_nan=False)
            (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def render_midi(
    source: str | Path,
    *,
    soundfont: str | None = None,
    soundfont_for: Mapping[str, str] | None = None,
    gain_db: Mapping[str, float] | None = None,
    pan: Mapping[str, float] | None = None,
    mute: Sequence[str] | str = (),
    solo: Sequence[str] | str = (),
    target_lufs: float | str | None = None,
    preset: str | None = None,
    rate: int = Sound.rate,
    format: str = Sound.format,
    sound_for: Mapping[str, str] | None = None,
    auto_equaliser: bool = False,
    threads: int | None = None,
    on_stage: OnStage | None = None,
    on_part: OnPart | None = None,
) -> Song:
    """Render and mix any MIDI file, or that of a song's folder. Arguments as :func:`compose`'s; the file's own bytes
    are kept."""
    source = song_in(source)
    data = read_file(source, str(source))
    score = named_apart(read_midi(data, str(source)))
    if not score.parts:
        raise BadFile(f"{source}: holds no notes; give a .mid file with music in it")
    sound = Sound(
        soundfont, soundfont_for, gain_db, pan, named(mute), named(solo), target_lufs, preset, rate, format, sound_for,
        auto_equaliser,
    )  # fmt: skip
    names = [(part.name, part.kind) for part in score.parts]
    sound.check([name for name, _ in names], [kind for _, kind in names])
    record = {
        "made_by": "midigen render",
        "format": RECORD_FORMAT,
        "source": {"name": Path(source).name, "sha256": hashlib.sha256(data).hexdigest()},
        "settings": sound.settings(),
    }
    return finish(score, data, record, sound.fonts(names), sound, threads, on_stage, on_part)


def finish(
    score: Score,
    midi: bytes,
    record: dict[str, Any],
    fonts: Mapping[str, SoundFont],
    sound: Sound,
    threads: int | None,
    on_stage: OnStage | None,
    on_part: OnPart | None,
    begun: Ahead | None = None,
    session: Session | None = None,
) -> Song:
    """From a score to a song: the part of the journey that every verb shares. ``midi`` are the bytes of its file;
    ``begun`` are the stems as far as they were rendered while the score was written; ``session`` is the mix where it
    is not what ``sound`` says."""
    from midigen.mixing import mix
    from midigen.renderers import font_of, render
    from midigen.renderers.cache import open_cache
    from midigen.renderers.library import load_library

    load_library()
    picture = beside(_picture, score)
    tell_stage(on_stage, "render")
    stems = tuple(
        render(
            score, fonts, rate=sound.rate, presets=sound.sound_for, threads=threads, on_part=on_part, begun=begun
        )
    )  # fmt: skip
    tell_stage(on_stage, "mix")
    parts = [(part.name, part.kind) for part in score.parts]
    session = sound.session(parts, round(score.tempos[0].qpm, 3)) if session is None else session
    session = replace(session, title=score.title)
    mixed = mix(stems, session, threads=threads)
    drawn = picture.result()
    cache = open_cache()
    hashes = {path: cache.digest(path) for path in {font.path for font in fonts.values()}}
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
    return Song(score, midi, stems, mixed, drawn, record, format=sound.format)


def named(parts: Sequence[str] | str) -> tuple[str, ...]:
    """Names of parts, however they were given: ``"piano,bass"`` or ``["piano", "bass"]``."""
    return parse_parts(parts) if isinstance(parts, str) else tuple(parts)


def tell_stage(on_stage: OnStage | None, name: str) -> None:
    """Tell that the stage ``name`` begins, if anybody wants to know."""
    if on_stage is not None:
        on_stage(name)


def beside(work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Begin ``work`` beside the caller and return its result to come.

    A daemon thread and not an executor, which waits for its thread even when the caller is broken off: nobody wants
    to wait for libraries that load when the song is given up.
    """
    filtering.load()
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


def mix_picture(mix: Mix, title: str = "mix") -> bytes:
    """The mix as a PNG: waveform, loudness, spectrum, and the balance of its parts; see
    :func:`midigen.pictures.draw_mix`. Reads the mix once."""
    from midigen.pictures import draw_mix
    from midigen.portraits import mix_trace

    buffer = io.BytesIO()
    draw_mix(mix_trace(mix, title), buffer)
    return buffer.getvalue()


def warm_up() -> None:
    """Draw nothing and mix a moment of sound, so that what mixing needs is there while the model is at work."""
    import numpy as np

    from midigen.audio import Audio
    from midigen.mixing import mix
    from midigen.renderers import Stem

    _picture(Score(()))
    mix([Stem("piano", "piano", Audio(np.full((2, 4_410), 0.5, dtype=np.float32), 44_100))])


def _plain(value: float) -> float | None:
    return round(value, 3) if value == value and abs(value) != float("inf") else None  # JSON has no infinity
