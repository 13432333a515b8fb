"""Stems that are begun while the score is still being written.

Whoever writes tells now and then how far it is; a thread beside plays the parts up to there. When the score is whole,
:func:`midigen.renderers.render` plays the rest. Every stem is checked against the whole score: one that begins in
another way is given up and rendered anew, so the samples are those of a render that waited.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Condition, Event, Thread

from midigen.renderers import RENDERERS, TAIL_SECONDS, AnotherPart, Playing, Renderer, font_of
from midigen.renderers.cache import Cache, Draft, open_cache
from midigen.renderers.stemfiles import FRAME_BYTES, StemSound
from midigen.score import Score
from midigen.soundfonts import SoundFont

STEP_BARS = 4  # so many new bars at least before the parts are looked at again: that costs the writer time


@dataclass(eq=False)
class _Begun:
    """A part on its way: who plays it, where its sound goes, and what closes both."""

    playing: Playing
    draft: Draft
    font: SoundFont
    chosen: bool
    preset: str | None
    resources: ExitStack


class Ahead:
    """Renders the parts of a growing score in a thread; close it at the end of a ``with`` statement.

    Arguments as those of :func:`midigen.renderers.render`.
    """

    def __init__(
        self,
        fonts: Mapping[str, SoundFont] | SoundFont,
        *,
        rate: int = 44_100,
        presets: Mapping[str, str] | None = None,
        renderer: str = "fluidsynth",
        cache: Cache | None = None,
    ) -> None:
        self._fonts, self._rate, self._presets = fonts, rate, presets or {}
        self._renderer: Renderer = RENDERERS.get(renderer)()
        self._cache = open_cache() if cache is None else cache
        self._begun: dict[str, _Begun] = {}  # by the part's name
        self._changed = Condition()
        self._news: tuple[int, Callable[[], Score]] | None = None
        self._told = 0
        self._stop = Event()
        self._failed = False
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *error: object) -> None:
        self._halt()
        for begun in self._begun.values():
            begun.resources.close()
        self._begun.clear()

    def tell(self, bars: int, score_of: Callable[[], Score]) -> None:
        """The first ``bars`` bars are written and will not change; ``score_of`` gives the score as it is now, in all
        its bars, and is called from another thread. Returns at once."""
        if bars < self._told + STEP_BARS:
            return
        self._told = bars
        with self._changed:
            self._news = bars, score_of
            self._changed.notify()

    def finish(
        self, score: Score, font: SoundFont, chosen: bool, preset: str | None, key: str, stop: Event
    ) -> tuple[StemSound, str] | None:
        """The stem of the one part of ``score``, which is whole, and what played it; ``None`` where that part was not
        begun, or in another way. Several threads may finish parts at the same time."""
        self._halt()
        begun = self._begun.get(score.parts[0].name)
        if begun is None or self._failed or (begun.font, begun.chosen, begun.preset) != (font, chosen, preset):
            return None
        try:
            sound = begun.playing.finish(score, stop)
        except AnotherPart:
            return None
        return None if stop.is_set() else (begun.draft.finish(sound, key), sound)

    def _halt(self) -> None:
        """Let the thread come to its end: where it stands, a stem can be gone on with."""
        self._stop.set()
        with self._changed:
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                with self._changed:
                    while self._news is None and not self._stop.is_set():
                        self._changed.wait()
                    news, self._news = self._news, None
                if news is not None and not self._stop.is_set():
                    self._advance(*news)
        except Exception:  # whatever it is: who renders the whole meets it again, and says it
            self._failed = True

    def _advance(self, bars: int, score_of: Callable[[], Score]) -> None:
        score = score_of()
        until_tick = int(score.bar_starts(max(bars, 1) + 1)[bars])
        for part in score.parts:
            if self._stop.is_set():
                return
            alone = score.only(part)
            if part.name not in self._begun:
                if not part.notes:
                    continue
                self._begin(alone)
            self._begun[part.name].playing.go_on(alone, until_tick, self._stop)

    def _begin(self, score: Score) -> None:
        (part,) = score.parts
        font, chosen = font_of(part, self._fonts)
        preset = self._presets.get(part.name, self._presets.get(part.kind))
        seconds = float(score.seconds(int(score.bar_starts((score.bars or 1) + 1)[-1])))
        place = self._cache.with_room(math.ceil((seconds + TAIL_SECONDS) * self._rate) * FRAME_BYTES)
        with ExitStack() as resources:
            draft = resources.enter_context(place.draft("ahead", self._rate))
            playing = resources.enter_context(
                self._renderer.begin(score, font, rate=self._rate, chosen=chosen, preset=preset, write=draft.write)
            )
            self._begun[part.name] = _Begun(playing, draft, font, chosen, preset, resources.pop_all())
