"""Stems that are begun while the score is written: the samples are those of a render that waited."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from conftest import make_band
from synthetic_soundfont import write_soundfont

from midigen.composing import compose
from midigen.renderers import AnotherPart, Stem, ahead, render
from midigen.renderers.ahead import STEP_BARS, Ahead
from midigen.renderers.cache import Cache
from midigen.renderers.fluidsynth import FluidSynth
from midigen.score import Score
from midigen.soundfonts import SoundFont, read_soundfont

BARS = 12
WHOLE = make_band(BARS, drums=True)


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> SoundFont:
    return read_soundfont(write_soundfont(tmp_path_factory.mktemp("fonts") / "synthetic.sf2"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "stems")


def so_far(score: Score, bars: int) -> Score:
    """What is known when ``bars`` bars are written: the notes that begin in them."""
    end = int(score.bar_starts(bars + 1)[-1])
    return replace(
        score,
        parts=tuple(replace(p, notes=tuple(n for n in p.notes if n.onset_ticks < end)) for p in score.parts),
        bars=BARS,
    )


def digests(stems: list[Stem]) -> list[str]:
    return [hashlib.sha256(b"".join(block.tobytes() for block in stem.audio.blocks())).hexdigest() for stem in stems]


def wait_for(growing: Ahead, parts: int) -> None:
    """Until so many parts are begun and the thread waits for news."""
    for _ in range(500):
        if len(growing._begun) >= parts and growing._news is None:
            break
        time.sleep(0.01)
    time.sleep(0.02)


@pytest.mark.parametrize("stops", [(4, 8), (4, 8, 12), (5,), (12,), ()])
@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_the_samples_are_those_of_a_render_that_waited(
    font: SoundFont, cache: Cache, stops: tuple[int, ...], rate: int
) -> None:
    waited = render(WHOLE, font, rate=rate, cache=Cache(None))
    with Ahead(font, rate=rate, cache=cache) as growing:
        for bars in stops:
            growing.tell(bars, lambda bars=bars: so_far(WHOLE, bars))  # type: ignore[misc]
            wait_for(growing, len(WHOLE.parts))
        stems = render(WHOLE, font, rate=rate, cache=cache, begun=growing)
    assert digests(stems) == digests(waited)
    assert [stem.sound for stem in stems] == [stem.sound for stem in waited]
    again = render(WHOLE, font, rate=rate, cache=cache)  # they are kept under their own names
    assert all(stem.cached for stem in again) and digests(again) == digests(waited)


def test_what_was_played_ahead_is_not_played_again(
    font: SoundFont, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[str] = []
    play = FluidSynth.play

    def counted(self, score, *arguments, **settings):
        played.append(score.parts[0].name)
        return play(self, score, *arguments, **settings)

    monkeypatch.setattr(FluidSynth, "play", counted)
    with Ahead(font, cache=cache) as growing:
        growing.tell(8, lambda: so_far(WHOLE, 8))
        wait_for(growing, len(WHOLE.parts))
        render(WHOLE, font, cache=cache, begun=growing)
    assert played == []


def test_another_beginning_is_rendered_anew(font: SoundFont, cache: Cache) -> None:
    (first, *rest) = WHOLE.parts
    higher = tuple(replace(note, pitch=note.pitch + 1) for note in first.notes)
    other = replace(WHOLE, parts=(replace(first, notes=higher), *rest))
    with Ahead(font, cache=cache) as growing:
        growing.tell(8, lambda: so_far(WHOLE, 8))
        wait_for(growing, len(WHOLE.parts))
        stems = render(other, font, cache=cache, begun=growing)
    assert digests(stems) == digests(render(other, font, cache=Cache(None)))
    assert digests(stems)[0] != digests(render(WHOLE, font, cache=Cache(None)))[0]


def test_a_part_that_ends_early_rings_on_as_it_would(font: SoundFont, cache: Cache) -> None:
    """Its tail begins after its last message, although bars that it rests in were known to be whole."""
    short = so_far(WHOLE, 3)
    with Ahead(font, cache=cache) as growing:
        for bars in (4, 8, 12):
            growing.tell(bars, lambda bars=bars: so_far(short, bars))  # type: ignore[misc]
            wait_for(growing, len(WHOLE.parts))
        stems = render(short, font, cache=cache, begun=growing)
    assert digests(stems) == digests(render(short, font, cache=Cache(None)))


def test_a_player_refuses_what_does_not_go_on(font: SoundFont) -> None:
    part = WHOLE.parts[0]
    pieces: list[np.ndarray] = []
    playing = FluidSynth().begin(
        so_far(WHOLE, 4).only(so_far(WHOLE, 4).parts[0]), font, rate=44_100, chosen=False, preset=None,
        write=lambda piece: pieces.append(piece.copy()),
    )  # fmt: skip
    with playing:
        grown = so_far(WHOLE, 4)
        playing.go_on(grown.only(grown.parts[0]), int(WHOLE.bar_starts(5)[4]), Event())
        with pytest.raises(AnotherPart):
            playing.finish(WHOLE.only(replace(part, notes=part.notes[3:])), Event())


def test_nothing_is_left_where_a_song_is_given_up(font: SoundFont, cache: Cache) -> None:
    with pytest.raises(KeyboardInterrupt), Ahead(font, cache=cache) as growing:
        growing.tell(8, lambda: so_far(WHOLE, 8))
        wait_for(growing, 2)
        raise KeyboardInterrupt
    assert not growing._thread.is_alive()
    assert cache.folder is not None and not list(cache.folder.iterdir())


def test_an_error_ahead_is_left_to_the_render(font: SoundFont, cache: Cache) -> None:
    def fails() -> Score:
        raise RuntimeError("not yet")

    with Ahead(font, cache=cache) as growing:
        growing.tell(4, fails)
        stems = render(WHOLE, font, cache=cache, begun=growing)
    assert digests(stems) == digests(render(WHOLE, font, cache=Cache(None)))


def test_composing_with_a_core_to_spare_gives_the_same_song(
    tiny_model: Path, font: SoundFont, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDIGEN_CACHE", "off")
    told: list[int] = []
    tell = Ahead.tell

    def noted(self: Ahead, bars: int, score_of: object) -> None:
        told.append(bars)
        tell(self, bars, score_of)  # type: ignore[arg-type]

    monkeypatch.setattr(ahead.Ahead, "tell", noted)
    monkeypatch.setattr("midigen.renderers.processors", lambda: 2)
    songs = [
        compose(bars=8, seed=3, metre="4/4", checkpoint=str(tiny_model), soundfont=str(font.path), threads=threads)
        for threads in (None, 1)
    ]
    assert told == sorted(told) and told[-1] == 8 and STEP_BARS < 8  # by the first of them only
    assert digests(list(songs[0].stems)) == digests(list(songs[1].stems))
    assert songs[0].midi == songs[1].midi and songs[0].record == songs[1].record
