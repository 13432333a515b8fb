"""A score to stems: one part at a time, each by a synthesizer of its own, side by side in threads."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from threading import Event
from typing import Protocol

from midigen.audio import Audio
from midigen.errors import BadRequest
from midigen.plugins import Shelf
from midigen.score import Part, Score
from midigen.soundfonts import SoundFont

RENDERERS = Shelf("renderer", {"fluidsynth": "midigen.renderers.fluidsynth:render_part"})
DEFAULT = "default"  # the key of the font for parts that no other key names


@dataclass(frozen=True, eq=False)
class Stem:
    """One part as sound. ``kind`` is a row of the instrument table or ``"other"``; ``sound`` names what played it."""

    name: str
    kind: str
    audio: Audio
    sound: str = ""


class Renderer(Protocol):
    """What stands on the shelf: a score of one part to its stem, with its release tail.

    ``chosen`` says that the user asked for this font for this very part. The renderer looks at ``stop`` now and then
    and returns early, with anything, once it is set. Same arguments, same samples.
    """

    def __call__(self, score: Score, font: SoundFont, *, rate: int, chosen: bool, stop: Event) -> Stem: ...


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
    threads: int | None = None,
    on_part: Callable[[str], None] | None = None,
    renderer: str = "fluidsynth",
) -> list[Stem]:
    """Render every part of ``score``, in their order, at ``rate`` frames a second (8,000 to 96,000).

    ``fonts`` is one font, or fonts by part name or kind, with ``"default"`` for the rest. ``threads`` is 1 or more
    (without it, as many as there are parts, up to the number of processors); the samples do not depend on it.
    ``on_part`` is called with a part's name when it is done. All stems get the length of the longest, and the score's
    at least. Raises :class:`BadRequest`, :class:`midigen.errors.BadFile` and :class:`midigen.errors.MissingTool`.
    """
    if not 8_000 <= rate <= 96_000:
        raise BadRequest(f"sample rate {rate} is outside 8000..96000 frames a second")
    if threads is not None and threads < 1:
        raise BadRequest(f"threads {threads}: must be 1 or more")
    if not score.parts:
        raise BadRequest("the score has no parts: nothing to render")
    _check_memory(score, rate)
    render_part: Renderer = RENDERERS.get(renderer)
    jobs = [(score.only(part), *font_of(part, fonts)) for part in score.parts]
    stop = Event()
    stems: list[Stem | None] = [None] * len(jobs)
    with ThreadPoolExecutor(min(threads or _processors(), len(jobs))) as pool:
        # The most notes first: the longest job then never starts last.
        order = sorted(range(len(jobs)), key=lambda i: (-len(score.parts[i].notes), i))
        waiting = {}
        for i in order:
            alone, font, chosen = jobs[i]
            waiting[pool.submit(render_part, alone, font, rate=rate, chosen=chosen, stop=stop)] = i
        try:
            for future in as_completed(waiting):
                stems[waiting[future]] = stem = future.result()
                if on_part is not None:
                    on_part(stem.name)
        except BaseException:  # an error, or Ctrl-C: the other threads end at their next look
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    done = [stem for stem in stems if stem is not None]
    frames = max(math.ceil(score.duration_seconds * rate), *(stem.audio.frames for stem in done))
    return [replace(stem, audio=stem.audio.padded(frames)) for stem in done]


def _check_memory(score: Score, rate: int) -> None:
    """Raise :class:`BadRequest` where the stems and their mix would not fit into the machine's memory."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:  # Windows
        return
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # two channels of float32 for each stem, and four times that for mixing
    needed = score.duration_seconds * rate * 2 * 4 * (len(score.parts) + 4)
    if needed > there:
        raise BadRequest(
            f"{score.duration_seconds / 60:.0f} minutes of {len(score.parts)} parts need {needed / 2**30:.0f} GB of "
            f"memory as sound, this machine has {there / 2**30:.0f}: render a shorter song, or fewer parts"
        )


def _processors() -> int:
    """The processors this process may use (a container or ``taskset`` may allow fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
