"""From a request to a song: compose, and compose again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from midigen.errors import BadRequest
from midigen.midi import midi_bytes
from midigen.prompt import DEFAULT_PARTS, Prompt
from midigen.record import RECORD_FORMAT, read_settings
from midigen.song import OnBar, OnPart, OnStage, Song, beside, finish, named, tell_stage, warm_up
from midigen.sound import Sound


def compose(
    *,
    bars: int | None = None,
    parts: Sequence[str] | str = DEFAULT_PARTS,
    tempo_qpm: float | None = None,
    key: str | None = None,
    metre: str | None = None,
    seed: int | None = None,
    temperature: float = Prompt.temperature,
    top_p: float = Prompt.top_p,
    chords: str | None = None,
    form: str | None = None,
    density: Mapping[str, Any] | None = None,
    register: Mapping[str, Any] | None = None,
    span: Mapping[str, Any] | None = None,
    program: Mapping[str, Any] | None = None,
    swing: float = 0.0,
    swing_unit: str = "eighth",
    humanise: float = 0.0,
    ending: str = "close",
    lyrics: str | None = None,
    lyrics_part: str | None = None,
    lyrics_language: str | None = None,
    pinyin: bool = False,
    takes: int = 1,
    keep_takes: bool = False,
    most_shared: int = 16,
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
    checkpoint: str | None = None,
    engine: str = "onnx",
    mode: str = "fast",
    threads: int | None = None,
    on_bar: OnBar | None = None,
    on_stage: OnStage | None = None,
    on_part: OnPart | None = None,
) -> Song:
    """Compose, render and mix a song.

    The arguments up to ``ending`` are those of :class:`midigen.prompt.Prompt`. ``lyrics`` (a file's name, or the words)
    are set to the notes of ``lyrics_part`` as :func:`midigen.set_lyrics` does. Of ``takes`` (1 to 64) the best is
    taken, and the MIDI of all is kept with ``keep_takes``; a take that shares more than ``most_shared`` notes in a row
    with a song that the model has learned from is drawn again. Then follow those of :class:`midigen.sound.Sound`;
    ``checkpoint`` is a model's folder or name, ``engine`` and ``mode`` say how it is computed. ``threads`` changes the
    time taken, never the song. ``on_bar`` is told the bars done and in all, ``on_stage`` what begins, ``on_part`` the
    part that is rendered. The same arguments give the same song; where ``seed`` is left out one is drawn, and stands
    in the song's record. Raises :class:`midigen.errors.MidigenError`.
    """
    prompt = Prompt(
        bars, named(parts), tempo_qpm, key, metre, seed, temperature, top_p, _chart_text(chords), form, density,
        register, span, program, swing, swing_unit, humanise, ending,
    ).with_seed()  # fmt: skip
    sound = Sound(
        soundfont, soundfont_for, gain_db, pan, named(mute), named(solo), target_lufs, preset, rate, format, sound_for,
        auto_equaliser,
    )  # fmt: skip
    names = list(zip(prompt.part_names, prompt.kinds, strict=True))
    words = None
    if lyrics is not None:
        from midigen.lyrics import lyrics_text, read_sheet

        words = lyrics_text(lyrics)
        sheet = read_sheet(words, lyrics_language, pinyin=pinyin)
        _check_singer(lyrics_part, names)
    # All that can be refused is refused before the model starts.
    sound.check(prompt.part_names, prompt.kinds)
    fonts = sound.fonts(names)
    from midigen.checkpoint import open_checkpoint
    from midigen.composition import compose_takes
    from midigen.composition.settling import Request
    from midigen.renderers import processors
    from midigen.renderers.ahead import Ahead
    from midigen.renderers.library import load_library

    Request.read(prompt)
    load_library()
    model = open_checkpoint(checkpoint)
    tell_stage(on_stage, "compose")
    beside(warm_up)
    with ExitStack() as resources:
        begun = None
        # What a human hand does to a bar depends on all of them, and which take is taken is not known before the end.
        if takes == 1 and not prompt.humanise and threads != 1 and processors() > 1:
            begun = resources.enter_context(Ahead(fonts, rate=sound.rate, presets=sound.sound_for))
        made = compose_takes(
            prompt,
            takes,
            most_shared=most_shared,
            checkpoint=checkpoint,
            engine=engine,
            mode=mode,
            threads=threads,
            on_bar=on_bar,
            on_written=begun.tell if begun else None,
        )
        score = made[0].score
        sung = None
        if words is not None:
            from midigen.lyrics import sing

            score, sung = sing(score, sheet, lyrics_part)
        record = {
            "made_by": "midigen compose",
            "format": RECORD_FORMAT,
            "settings": {
                **prompt.settings(),
                **_lyrics_settings(words, lyrics_part, lyrics_language, pinyin),
                "takes": takes,
                "keep_takes": keep_takes,
                "most_shared": most_shared,
                **sound.settings(),
                "checkpoint": checkpoint,
                "engine": engine,
                "mode": mode,
            },
            "takes": [take.facts() for take in made],
            "checkpoint": {"name": model.path.name, "sha256": model.sha256},
        }
        song = finish(score, midi_bytes(score), record, fonts, sound, threads, on_stage, on_part, begun)
    song = replace(song, lyrics=sung)
    return replace(song, takes=tuple(midi_bytes(take.score) for take in made)) if keep_takes else song


def _check_singer(part: str | None, names: Sequence[tuple[str, str]]) -> None:
    """Refuse a singer who is not in the band, before anything is composed."""
    known = {word for pair in names for word in pair} | {str(number + 1) for number in range(len(names))}
    if part is not None and part.strip().casefold() not in known:
        raise BadRequest(f"lyrics part {part!r} is not in the band: choose from {', '.join(name for name, _ in names)}")


def _lyrics_settings(words: str | None, part: str | None, language: str | None, pinyin: bool) -> dict[str, Any]:
    """For the record; songs without words say nothing of them."""
    if words is None:
        return {}
    return {"lyrics": words, "lyrics_part": part, "lyrics_language": language, "pinyin": pinyin}


def _chart_text(chords: str | None) -> str | None:
    """The text of a chart, also where a file of it is named: what a record keeps is the chart itself."""
    if chords is None:
        return None
    from midigen.charts import chart_text

    return chart_text(chords)


def compose_again(record: str | Path, **changes: Any) -> Song:
    """Make the song of a ``midigen.json`` again, or a song that differs from it in ``changes``: :func:`compose`'s own.

    ``record`` is that file or its folder. Without changes, on the same versions, the bytes are the same.
    """
    return compose(**{**settings_of(record), **changes})


def settings_of(record: str | Path) -> dict[str, Any]:
    """The arguments of :func:`compose` that made a song, from its ``midigen.json`` or its folder."""
    return read_settings(record, {name: compose.__annotations__[name] for name in compose.__kwdefaults__ or {}})
