"""A score to stems: one part at a time, each by a synthesizer of its own, side by side in threads.

A stem goes to disk as it is played, and is kept there by what it was made of (:mod:`midigen.renderers.cache`), so that
what did not change is not rendered again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Protocol

import numpy as np

from midigen.audio import Signal
from midigen.errors import BadFile, BadRequest
from midigen.plugins import Shelf
from midigen.renderers.cache import Cache, key_of, open_cache
from midigen.renderers.stemfiles import FRAME_BYTES, StemSound
from midigen.score import Part, Score
from midigen.soundfonts import SoundFont

if TYPE_CHECKING:
    from midigen.renderers.ahead import Ahead

RENDERERS = Shelf("renderer", {"fluidsynth": "midigen.renderers.fluidsynth:FluidSynth"})
DEFAULT = "default"  # the key of the font for parts that no other key names
LOWEST_RATE, HIGHEST_RATE = 8_000, 96_000
TAIL_SECONDS = 10.0  # the longest release that is waited for


@dataclass(frozen=True, eq=False)
class Stem:
    """One part as sound. ``kind`` is a row of the instrument table or ``"other"``; ``sound`` names what played it.

    ``cached`` says that it was rendered before and only found.
    """

    name: str
    kind: str
    audio: Signal
    sound: str = ""
    cached: bool = False


class Renderer(Protocol):
    """What stands on the shelf, and is called without arguments to get one: it plays a score of one part."""

    def version(self) -> str:
        """All that the samples depend on and :meth:`play` is not given, as a word for the cache."""
        ...

    def play(
        self,
        score: Score,
        font: SoundFont,
        *,
        rate: int,
        chosen: bool,
        preset: str | None,
        write: Callable[[np.ndarray], None],
        stop: Event,
    ) -> str:
        """Play the part to the end of its release, and return the name of the sound that played it.

        The samples go to ``write`` piece by piece, float32 ``(2, any)``; it copies them. ``chosen`` says that the user
        asked for this font for this very part, ``preset`` is the user's word for the sound in it. ``stop`` is looked
        at now and then: once it is set, the rest does not matter. Same arguments, same samples.
        """
        ...

    def begin(
        self,
        score: Score,
        font: SoundFont,
        *,
        rate: int,
        chosen: bool,
        preset: str | None,
        write: Callable[[np.ndarray], None],
    ) -> Playing:
        """Begin to play a part of which not all is known. Arguments as those of :meth:`play`."""
        ...


class AnotherPart(Exception):
    """What was played ahead is not how the part goes."""


class Playing(Protocol):
    """A part that is played bit by bit, while its score grows; closed at the end of a ``with`` statement.

    To the end it gives the samples that :meth:`Renderer.play` gives for the last of the scores. Where that cannot be,
    because a score does not begin as the ones before did, it raises :class:`AnotherPart`.
    """

    def go_on(self, score: Score, until_tick: int, stop: Event) -> None:
        """Play what comes before ``until_tick``, from where on the score may still grow."""
        ...

    def finish(self, score: Score, stop: Event) -> str:
        """Play the rest of the whole score, and return the name of the sound."""
        ...

    def __enter__(self) -> Playing: ...

    def __exit__(self, *error: object) -> None: ...


@dataclass(frozen=True)
class _Job:
    """What is to be rendered, once for all parts that sound alike."""

    score: Score
    font: SoundFont
    chosen: bool
    preset: str | None
    key: str

    @property
    def part(self) -> Part:
        return self.score.parts[0]


def font_of(part: Part, fonts: Mapping[str, SoundFont] | SoundFont) -> tuple[SoundFont, bool]:
    """The font for ``part`` (by its name, then its kind, then ``"default"``), and whether it was meant for it.

    Raises :class:`BadRequest` where no key fits.
    """
    if isinstance(fonts, SoundFont):
        return fonts, False
    for key in (part.name, part.kind):
        if key in fonts:
            return fonts[key], True
    if DEFAULT not in fonts:
        raise BadRequest(f"no SoundFont for part {part.name!r}: name one for it, for {part.kind!r} or for {DEFAULT!r}")
    return fonts[DEFAULT], False


def render(
    score: Score,
    fonts: Mapping[str, SoundFont] | SoundFont,
    *,
    rate: int = 44_100,
    presets: Mapping[str, str] | None = None,
    threads: int | None = None,
    on_part: Callable[[str], None] | None = None,
    renderer: str = "fluidsynth",
    cache: Cache | None = None,
    begun: Ahead | None = None,
) -> list[Stem]:
    """Render every part of ``score``, in their order, at ``rate`` frames a second (8,000 to 96,000).

    ``fonts`` is one font, or fonts by part name or kind, with ``"default"`` for the rest. ``presets`` are the sounds
    in them that are wanted, by part name or kind: a name ("Steel Guitar"), a program ("25"), or bank and program
    ("8:25"); a part that is not named plays its own program. ``threads`` is 1 or more (without it, as many as there are
    parts, up to the number of processors); the samples do not depend on it. ``on_part`` is called with a part's name
    when it is done. ``cache`` is where stems are kept, by default as the environment has it
    (:func:`midigen.renderers.cache.open_cache`): those with ``cached`` set were not rendered now. ``begun`` are the
    parts as far as they were rendered while the score was written (:mod:`midigen.renderers.ahead`); the samples do not
    depend on it.

    The stems are read from disk, block by block. All get the length of the longest, and the score's at least.
    Raises :class:`BadRequest`, :class:`midigen.errors.BadFile`, :class:`midigen.errors.MissingTool`, and
    :class:`midigen.errors.OutputError` where there is no room for the stems.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadRequest(f"sample rate {rate} is outside {LOWEST_RATE}..{HIGHEST_RATE} frames a second")
    if threads is not None and threads < 1:
        raise BadRequest(f"threads {threads}: must be 1 or more")
    if not score.parts:
        raise BadRequest("the score has no parts: nothing to render")
    player: Renderer = RENDERERS.get(renderer)()
    cache = open_cache() if cache is None else cache
    jobs = _jobs(score, fonts, presets or {}, {"renderer": renderer, "version": player.version(), "rate": rate}, cache)
    stop = Event()

    def stem_of(job: _Job) -> tuple[StemSound, str, bool] | None:
        if found := cache.find(job.key):
            return *found, True
        if begun is not None and (played := begun.finish(job.score, job.font, job.chosen, job.preset, job.key, stop)):
            return *played, False
        with place.draft(job.key, rate) as draft:
            sound = player.play(
                job.score, job.font, rate=rate, chosen=job.chosen, preset=job.preset, write=draft.write, stop=stop
            )
            return None if stop.is_set() else (draft.finish(sound), sound, False)

    # The most notes first: the longest job then never starts last.
    different = sorted({job.key: job for job in jobs}.values(), key=lambda job: (-len(job.part.notes), job.key))
    new = sum(not cache.has(job.key) for job in different)
    place = cache.with_room(math.ceil((score.duration_seconds + TAIL_SECONDS) * rate) * FRAME_BYTES * new)
    done: dict[str, tuple[StemSound, str, bool]] = {}
    with ThreadPoolExecutor(min(threads or processors(), len(different))) as pool:
        waiting = {pool.submit(stem_of, job): job for job in different}
        try:
            for future in as_completed(waiting):
                key = waiting[future].key
                if (result := future.result()) is not None:
                    done[key] = result
                for job in jobs:
                    if job.key == key and on_part is not None:
                        on_part(job.part.name)
        except BaseException:  # an error, or Ctrl-C: the other threads end at their next look
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    place.trim()
    frames = max(math.ceil(score.duration_seconds * rate), *(sound.frames for sound, _, _ in done.values()), 0)
    stems = []
    for job in jobs:
        audio, sound, cached = done[job.key]
        stems.append(Stem(job.part.name, job.part.kind, audio.padded(frames), sound, cached))
    return stems


def _jobs(
    score: Score,
    fonts: Mapping[str, SoundFont] | SoundFont,
    presets: Mapping[str, str],
    facts: Mapping[str, str | int],
    cache: Cache,
) -> list[_Job]:
    """One job for each part, with the key of what it will sound like."""
    known = list(dict.fromkeys([*(part.name for part in score.parts), *(part.kind for part in score.parts)]))
    for name in presets:
        if name not in known:
            raise BadRequest(f"no part {name!r} to choose a preset for: there are {', '.join(known)}")
    identities: dict[Path, str] = {}
    jobs = []
    for part in score.parts:
        font, chosen = font_of(part, fonts)
        preset = presets.get(part.name, presets.get(part.kind))
        alone = score.only(part)
        try:
            identity = identities.get(font.path) or cache.identity(font.path)
        except OSError as error:
            raise BadFile(f"{font.path}: cannot be read ({error.strerror}); choose another SoundFont") from None
        identities[font.path] = identity
        sound = {"bank": part.bank, "program": part.program, "is_drum": part.is_drum}
        key = key_of(alone, **facts, font=identity, chosen=chosen, preset=preset or "", **sound)
        jobs.append(_Job(alone, font, chosen, preset, key))
    return jobs


def processors() -> int:
    """The processors this process may use (a container or ``taskset`` may allow fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
