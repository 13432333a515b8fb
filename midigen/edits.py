"""The verbs on a musician's own song, as one function each: more bars, more parts, other notes in some bars.

The song is a MIDI file, its bytes, or the folder of a song.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midigen.folders import song_in
from midigen.midi import read_midi
from midigen.prompt import DEFAULT_PARTS, Prompt
from midigen.record import RECORD_FORMAT
from midigen.score import named_apart
from midigen.song import OnBar, OnPart, OnStage, Song, beside, finish, named, tell_stage, warm_up
from midigen.sound import Sound

if TYPE_CHECKING:
    from midigen.composition.edits import Edit
    from midigen.composition.player import Player
    from midigen.opened import OpenedSong

OF_PROMPT = {f.name for f in fields(Prompt)} - {"bars", "parts", "tempo_qpm", "key", "metre", "form"}
OF_SOUND = {f.name for f in fields(Sound)}
OF_MODEL = {"checkpoint": None, "engine": "onnx", "mode": "fast", "threads": None}


@dataclass(frozen=True)
class Listener:
    """Who is told how the work goes on; see :func:`midigen.compose`."""

    on_bar: OnBar | None = None
    on_stage: OnStage | None = None
    on_part: OnPart | None = None


def continue_song(
    source: str | Path | bytes, *, bars: int = 16, listener: Listener = Listener(), **options: Any
) -> Song:
    """The song of a MIDI file with ``bars`` more bars for its piano, guitar, bass and drum parts.

    ``options`` are those of :func:`midigen.compose` for sampling (``seed``, ``takes``, ``temperature``, ``top_p``), for
    what is written (``chords``, ``density``, ``register``, ``span``, ``ending``), for sound and for the model.
    Everything that was there stays as it is, to the event. Raises :class:`midigen.errors.MidigenError`.
    """

    def write(song: OpenedSong, prompt: Prompt, player: Player, on_bar: OnBar | None) -> Edit:
        from midigen.composition.edits import continue_song

        return continue_song(song, replace(prompt, bars=bars), player, on_bar=on_bar)

    Prompt(bars=bars)  # refused before anything is read
    return _edited("continue", source, {"bars": bars}, write, listener, options)


def accompany(
    source: str | Path | bytes,
    *,
    add: Sequence[str] | str,
    keep: Sequence[str] | str | None = None,
    listener: Listener = Listener(),
    **options: Any,
) -> Song:
    """The song of a MIDI file with the parts ``add`` beside its own, or beside those of them that it is to ``keep``.

    ``options`` as :func:`continue_song`'s; ``program`` too.
    """

    def write(song: OpenedSong, prompt: Prompt, player: Player, on_bar: OnBar | None) -> Edit:
        from midigen.composition.edits import accompany_song

        kept = None if keep is None else named(keep)
        return accompany_song(song, replace(prompt, parts=named(add)), player, keep=kept, on_bar=on_bar)

    Prompt(parts=named(add))
    said = {"add": list(named(add)), "keep": None if keep is None else list(named(keep))}
    return _edited("accompany", source, said, write, listener, options)


def harmonise(
    source: str | Path | bytes,
    *,
    melody: str | None = None,
    add: Sequence[str] | str = DEFAULT_PARTS,
    listener: Listener = Listener(),
    **options: Any,
) -> Song:
    """Chords under a melody, and a band that plays them: the part ``melody`` is kept, or the whole file.

    ``options`` as :func:`accompany`'s. The chords are written into the MIDI file as symbols.
    """

    def write(song: OpenedSong, prompt: Prompt, player: Player, on_bar: OnBar | None) -> Edit:
        from midigen.composition.edits import accompany_song

        kept = None if melody is None else (melody,)
        return accompany_song(song, replace(prompt, parts=named(add)), player, keep=kept, harmonise=True, on_bar=on_bar)

    Prompt(parts=named(add))
    return _edited("harmonise", source, {"melody": melody, "add": list(named(add))}, write, listener, options)


def infill(
    source: str | Path | bytes,
    *,
    bars: tuple[int, int],
    parts: Sequence[str] | str = (),
    listener: Listener = Listener(),
    **options: Any,
) -> Song:
    """The song of a MIDI file with the notes of ``parts`` in ``bars`` (first and last, from 1) written anew.

    Without ``parts`` all that the model knows are. ``options`` as :func:`continue_song`'s.
    """

    def write(song: OpenedSong, prompt: Prompt, player: Player, on_bar: OnBar | None) -> Edit:
        from midigen.composition.edits import infill_song

        return infill_song(song, prompt, player, parts=named(parts), bars=bars, on_bar=on_bar)

    return _edited("infill", source, {"bars": list(bars), "parts": list(named(parts))}, write, listener, options)


def vary(
    source: str | Path | bytes,
    *,
    bars: tuple[int, int],
    parts: Sequence[str] | str = (),
    strength: float = 0.5,
    listener: Listener = Listener(),
    **options: Any,
) -> Song:
    """The song of a MIDI file with ``bars`` varied: ``strength`` 0 leaves them, 1 keeps nothing of their notes.

    ``options`` as :func:`infill`'s.
    """

    def write(song: OpenedSong, prompt: Prompt, player: Player, on_bar: OnBar | None) -> Edit:
        from midigen.composition.edits import infill_song

        return infill_song(song, prompt, player, parts=named(parts), bars=bars, strength=strength, on_bar=on_bar)

    said = {"bars": list(bars), "parts": list(named(parts)), "strength": strength}
    return _edited("vary", source, said, write, listener, options)


Write = Callable[["OpenedSong", Prompt, "Player", "OnBar | None"], "Edit"]


def _edited(
    verb: str,
    source: str | Path | bytes,
    said: dict[str, Any],
    write: Write,
    listener: Listener,
    options: dict[str, Any],
) -> Song:
    from midigen.composition.player import open_player
    from midigen.composition.takes import make_takes
    from midigen.opened import open_song
    from midigen.patching import patch
    from midigen.renderers.library import load_library

    strange = sorted(options.keys() - OF_PROMPT - OF_SOUND - OF_MODEL.keys() - {"takes", "keep_takes", "most_shared"})
    if strange:
        raise TypeError(f"{verb}() has no argument {strange[0]!r}")
    prompt = Prompt(**{name: options[name] for name in options.keys() & OF_PROMPT}).with_seed()
    sound = Sound(**{name: options[name] for name in options.keys() & OF_SOUND})
    model: dict[str, Any] = {name: options.get(name, usual) for name, usual in OF_MODEL.items()}
    takes = options.get("takes", 1)
    opened = open_song(source if isinstance(source, bytes) else song_in(source))
    load_library()
    player = open_player(**model)
    tell_stage(listener.on_stage, "compose")
    beside(warm_up)
    patched: dict[int, bytes] = {}

    def make(number: int, seed: int, player: Player) -> tuple[Any, Any, list[str]]:
        edit = write(opened, replace(prompt, seed=seed), player, listener.on_bar if number == 0 else None)
        data = patch(opened, spans=edit.spans, added=edit.added, chords=edit.chords)
        patched[seed] = data
        return named_apart(read_midi(data, str(opened.label))), edit.tally, []

    assert prompt.seed is not None
    made = make_takes(make, player, prompt.seed, takes, model["threads"], most_shared=options.get("most_shared", 1000))
    score = made[0].score
    names = [(part.name, part.kind) for part in score.parts]
    sound.check([name for name, _ in names], [kind for _, kind in names])
    settings = {
        name: value for name, value in {**prompt.settings(), **said}.items() if name in said or name in OF_PROMPT
    }
    record = {
        "made_by": f"midigen {verb}",
        "format": RECORD_FORMAT,
        "source": {"name": Path(opened.label).name, "sha256": hashlib.sha256(opened.data).hexdigest()},
        "settings": {
            **settings,
            "takes": takes,
            **sound.settings(),
            **{k: v for k, v in model.items() if k != "threads"},
        },
        "takes": [take.facts() for take in made],
    }
    song = finish(
        score, patched[made[0].seed], record, sound.fonts(names), sound, model["threads"], listener.on_stage,
        listener.on_part,
    )  # fmt: skip
    if options.get("keep_takes"):
        song = replace(song, takes=tuple(patched[take.seed] for take in made))
    return song
