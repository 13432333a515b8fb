"""What is said of parts, read into the units of the header."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.composition.wishes import DENSITIES, REGISTERS, ROLES, bin_bounds, parse_pitch, wishes_of
from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.prompt import Prompt
from midigen.tokenizers.vocabulary import DENSITY_EDGES, REGISTER_EDGES


def test_what_is_not_said_is_left_to_the_model() -> None:
    for wish in wishes_of(Prompt(parts=("piano", "guitar", "guitar", "bass", "drums"))):
        assert (wish.program, wish.density, wish.polyphony, wish.pitch, wish.span) == (None,) * 5
        assert wish.density_bounds is None and wish.register_bounds is None


def test_a_part_goes_before_its_instrument() -> None:
    prompt = Prompt(parts=("guitar:lead", "guitar:rhythm"), density={"guitar": 12, "guitar lead": "sparse"})
    lead, rhythm = wishes_of(prompt)
    assert (lead.name, lead.slot, rhythm.name, rhythm.slot) == ("guitar lead", 0, "guitar rhythm", 1)
    assert lead.density == DENSITIES["guitar"]["sparse"] and rhythm.density_bounds == (10, 14)
    assert lead.polyphony == 0 and rhythm.polyphony == ROLES["guitar"]["rhythm"].polyphony


def test_words_mean_what_can_be_told_apart() -> None:
    for table in (DENSITIES, REGISTERS):
        for words in table.values():
            assert sorted(words.values()) == list(dict.fromkeys(words.values()))
    assert set(DENSITIES) == set(ROLES) == set(INSTRUMENTS)


@given(st.floats(0.5, 45))
def test_a_number_of_notes_lies_in_its_bounds(notes: float) -> None:
    (wish,) = wishes_of(Prompt(parts=("piano",), density={"piano": notes}))
    assert wish.density is not None and wish.density_bounds is not None
    assert wish.density_bounds[0] <= notes <= wish.density_bounds[1]
    assert wish.density_bounds == bin_bounds(DENSITY_EDGES, wish.density, 0, 45)


@pytest.mark.parametrize(
    ("text", "pitch"),
    [("C4", 60), ("A0", 21), ("Bb3", 58), ("f#2", 42), ("C-1", 0), ("G9", 127), ("60", 60), ("B♭3", 58)],
)
def test_pitches(text: str, pitch: int) -> None:
    assert parse_pitch(text) == pitch


def test_a_range_and_a_register_meet() -> None:
    (wish,) = wishes_of(Prompt(parts=("guitar:lead",), span={"guitar": "E2-E3"}))
    assert wish.span == (40, 52) and wish.pitch == 46 and wish.register_bounds is None  # the range goes before the role
    (wish,) = wishes_of(Prompt(parts=("piano",), span={"piano": (48, 72)}, register={"piano": "C4"}))
    assert wish.pitch is not None and 48 <= wish.pitch <= 72
    bin_of = int(np.searchsorted(REGISTER_EDGES, 60, side="right"))
    assert wish.register_bounds == bin_bounds(REGISTER_EDGES, bin_of, 28, 90)


@pytest.mark.parametrize(
    ("said", "program"), [(27, 27), ("27", 27), ("acoustic bass", 32), ("Fretless", 35), ("sitar", 104), (0, 0)]
)
def test_sounds_by_number_and_by_name(said: Any, program: int) -> None:
    assert wishes_of(Prompt(parts=("bass",), program={"bass": said}))[0].program == program


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"density": {"guitar": "loud"}},
            "density guitar=loud: say sparse, medium, busy, or notes a bar from 0.5 to 45",
        ),
        ({"density": {"guitar": 99}}, "0.5 to 45"),
        ({"density": {"flute": "busy"}}, "no such part in this song; choose from piano, guitar, bass"),
        ({"register": {"guitar": "up"}}, "say low, middle, high, or a mean pitch such as C4"),
        ({"register": {"bass": "C7"}}, "bass plays from pitch 23 to 67"),
        ({"span": {"guitar": "E2"}}, "write it as LOWEST-HIGHEST"),
        ({"span": {"guitar": "E4-E2"}}, "5 semitones or more, lowest first"),
        ({"span": {"bass": "C1-C7"}}, "bass plays from pitch 23 to 67"),
        ({"span": {"bass": "H1-C3"}}, "write a note and its octave"),
        ({"program": {"piano": 128}}, "General MIDI programs are 0 to 127"),
        ({"program": {"piano": "kazoo"}}, "no General MIDI sound of that name"),
        ({"parts": ("guitar:wild",)}, "a guitar can be lead, rhythm, strum, arpeggio"),
        ({"span": {"piano": "C2-C3"}, "register": {"piano": "high"}}, "leave one of the two out"),
        ({"parts": ("drums",), "register": {"drums": "low"}}, "drums have no register"),
        ({"parts": ("drums",), "span": {"drums": "C2-C4"}}, "drums have no range"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_said_in_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest) as said:
        wishes_of(Prompt(**options))
    assert words in str(said.value) and "\n" not in str(said.value)
