from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from midigen.instruments import INSTRUMENTS
from midigen.pictures import draw_song
from midigen.pictures.song import HEAD, LEFT
from midigen.score import Metre, Note, Part, Score, Text


def drawn(score: Score) -> bytes:
    buffer = io.BytesIO()
    draw_song(score, buffer)
    return buffer.getvalue()


def pixels(score: Score) -> np.ndarray:
    """``(height, width, 3)``, 0 to 255."""
    return np.rint(imread(io.BytesIO(drawn(score)))[..., :3] * 255).astype(int)


def area(image: np.ndarray, colour: str) -> int:
    """How many pixels of the roll have exactly this colour."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(image[HEAD:, LEFT:] - rgb).max(axis=-1) <= 1).sum())


def loud(kind: str, *notes: tuple[int, int, int]) -> Part:
    return Part(kind, kind, is_drum=kind == "drums", notes=tuple(Note(o, p, d, 127) for o, p, d in notes))


def test_the_same_score_gives_the_same_bytes(band: Callable[..., Score]) -> None:
    score = band(4, drums=True, guitars=2)
    first = drawn(score)
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30}):  # a reader's own style
        assert drawn(score) == first
    assert first.startswith(b"\x89PNG")
    assert b"Software\0midigen" in first[:512]  # and nothing that changes from one matplotlib to the next
    assert b"matplotlib" not in first


def test_every_part_is_seen_in_its_colour() -> None:
    parts = tuple(loud(kind, (0, 48 + 6 * i, 1920)) for i, kind in enumerate(INSTRUMENTS))
    image = pixels(Score(parts, bars=2))
    for kind, row in INSTRUMENTS.items():
        assert area(image, row.colour) > 0, kind
        without = Score(tuple(part for part in parts if part.kind != kind), bars=2)
        assert area(pixels(without), row.colour) == 0, kind


def test_longer_is_wider_and_softer_is_paler() -> None:
    colour = INSTRUMENTS["piano"].colour
    short = area(pixels(Score((loud("piano", (0, 60, 480)),), bars=2)), colour)
    long = area(pixels(Score((loud("piano", (0, 60, 1920)),), bars=2)), colour)
    assert 3.5 < long / short < 4.5
    soft = Score((Part("piano", "piano", notes=(Note(0, 60, 1920, 20),)),), bars=2)
    assert area(pixels(soft), colour) == 0
    assert not np.array_equal(pixels(soft), pixels(Score((Part("piano", "piano"),), bars=2)))


def test_a_page_has_a_system_for_every_sixteen_bars(band: Callable[..., Score]) -> None:
    heights = [pixels(band(bars)).shape[0] for bars in (16, 17, 32, 33, 64)]
    assert heights[0] < heights[1] == heights[2] < heights[3]
    steps = {b - a for a, b in itertools.pairwise((heights[0], heights[1], heights[3]))}
    assert len(steps) == 1
    assert heights[4] == heights[3] + steps.pop()


def test_chords_and_sections_are_written_over_the_roll(band: Callable[..., Score]) -> None:
    score = replace(band(2), markers=())
    bare = replace(score, chords=())
    assert pixels(score).shape[0] > pixels(bare).shape[0]
    other = replace(score, chords=(Text(0, "Bb7"), *score.chords[1:]))
    assert not np.array_equal(pixels(score), pixels(other))
    assert pixels(replace(score, markers=(Text(0, "intro"),))).shape[0] > pixels(score).shape[0]


@pytest.mark.parametrize(
    "score",
    [
        Score(()),
        Score((Part("silent", "piano"),)),
        Score((loud("drums", (0, 36, 0)),)),
        Score((loud("bass", (0, 0, 0), (5, 127, 10)),)),
        Score((loud("piano", (0, 60, 10_000)),), metres=(Metre(0, 3, 4), Metre(1440, 7, 8), Metre(2000, 4, 4))),
        Score((loud("piano", (1_000_000, 60, 480)),)),
        Score(tuple(Part(f"part {i}", "other", notes=(Note(0, 40 + i, 480, 64),)) for i in range(20))),
        Score((Part("$x_1$ <&> 音", "other", notes=(Note(0, 60, 480, 64),)),), title="50 % $ of $ it"),
    ],
    ids=["nothing", "silence", "one stroke", "lowest and highest", "metres", "far away", "many parts", "odd names"],
)
def test_any_score_can_be_drawn(score: Score) -> None:
    height, width, _ = pixels(score).shape
    assert 100 < height < 20_000
    assert 800 < width < 2_000
