from __future__ import annotations

from typing import Any

import pytest

from midigen.errors import BadRequest
from midigen.prompt import LARGEST_SEED, MOST_BARS, Prompt, parse_parts


def test_the_usual_song_needs_no_words() -> None:
    prompt = Prompt()
    assert (prompt.bars, prompt.parts) == (None, ("piano", "guitar", "bass"))
    assert prompt.tempo_qpm is prompt.key is prompt.metre is prompt.seed is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"bars": 0}, ("bars 0", "1 to 512")),
        ({"bars": 10_001}, ("bars 10001", "1 to 512")),
        ({"bars": True}, ("bars True",)),
        ({"bars": 2.5}, ("bars 2.5",)),
        ({"parts": ()}, ("no parts",)),
        ({"parts": ("violin",)}, ("'violin'", "piano, guitar, bass, drums")),
        ({"parts": ("bass", "bass")}, ("'bass'", "2 times", "at most 1")),
        ({"tempo_qpm": 19.9}, ("tempo 19.9", "20 to 300")),
        ({"tempo_qpm": float("nan")}, ("tempo nan",)),
        ({"tempo_qpm": "fast"}, ("tempo 'fast'",)),
        ({"key": "H"}, ("'H'", "A minor")),
        ({"metre": "5/4"}, ("5/4", "4/4, 3/4, 2/4, 6/8")),
        ({"metre": "waltz"}, ("waltz", "4/4")),
        ({"seed": -1}, ("seed -1",)),
        ({"seed": LARGEST_SEED + 1}, (str(LARGEST_SEED + 1),)),
        ({"temperature": 0}, ("temperature 0", "above 0")),
        ({"temperature": 2.1}, ("temperature 2.1", "up to 2")),
        ({"top_p": 0.0}, ("top-p 0.0", "above 0")),
        ({"top_p": 1.01}, ("top-p 1.01", "up to 1")),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_in_one_line(wrong: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest) as refused:
        Prompt(**wrong)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    "edge",
    [{"bars": 1}, {"bars": MOST_BARS}, {"tempo_qpm": 20}, {"tempo_qpm": 300}, {"seed": 0}, {"top_p": 1}],
    ids=str,
)
def test_the_edges_are_allowed(edge: dict[str, Any]) -> None:
    Prompt(**edge)


@pytest.mark.parametrize(
    ("said", "kept"), [("Am", "A minor"), ("bb", "Bb major"), ("D# minor", "Eb minor"), (None, None)]
)
def test_a_key_has_one_spelling(said: str | None, kept: str | None) -> None:
    assert Prompt(key=said).key == kept
    assert Prompt(key=Prompt(key=said).key).key == kept


def test_parts_of_one_kind_are_numbered() -> None:
    prompt = Prompt(parts=("guitar", "piano", "guitar", "piano"))
    assert prompt.part_names == ("guitar", "piano", "guitar 2", "piano 2")
    assert parse_parts(" Piano ,bass") == ("piano", "bass")


def test_a_seed_is_drawn_once() -> None:
    settled = Prompt().with_seed()
    assert settled.seed is not None
    assert settled.with_seed() is settled
    assert len({Prompt().with_seed().seed for _ in range(5)}) > 1
