"""Requests for pieces, everything in them drawn at random: what :mod:`midigen.evaluation.controls` measures.

Of four requests two ask at once for bars, metre, tempo, key, parts (some with roles), their sounds, how much and how
high they play or in what range, mostly for a form, and for an ending. The third gives a chord chart instead of wishes
for the parts and of a form. The fourth asks for piano, guitar and bass and says nothing of how they play: what the
other wishes cost its form and ending shows beside it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from midigen.analysis import note_names
from midigen.composition.settling import Request
from midigen.composition.wishes import DENSITIES, REGISTERS, ROLES
from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.prompt import DEFAULT_PARTS, METRES, Prompt
from midigen.score import KEY_NAMES, parse_key
from midigen.tokenizers.vocabulary import DENSITY_EDGES

BARS = (8, 12, 16, 20, 24, 28, 32)
FORMS = ("AABA", "ABAB", "ABAC", "AA'BA'", "ABA'B", "AABB", "intro:2 verse chorus verse chorus2", "verse verse2 chorus")
CHANCES = {"piano": 0.85, "guitar": 0.85, "bass": 0.8, "drums": 0.5}
SECOND, ROLE, FORM, RANGE = 0.2, 0.2, 0.75, 0.4  # chances of a second guitar or piano, of a role, a form, a range
STRANGER = 0.15  # of a sound from another family
# Roots, in semitones above the tonic, and qualities of four bars: turns that anybody would write in a chart.
PROGRESSIONS = {
    "major": (
        ((0, ""), (7, ""), (9, "m"), (5, "")),
        ((0, ""), (9, "m"), (5, ""), (7, "7")),
        ((2, "m7"), (7, "7"), (0, "maj7"), (9, "m7")),
        ((5, ""), (7, ""), (4, "m"), (9, "m")),
        ((0, ""), (4, "7"), (9, "m"), (2, "7")),
        ((0, ""), (5, "m"), (10, ""), (7, "sus4")),
    ),
    "minor": (
        ((0, "m"), (8, ""), (3, ""), (10, "")),
        ((0, "m"), (5, "m"), (7, "7"), (0, "m")),
        ((2, "m7b5"), (7, "7"), (0, "m"), (0, "m")),
        ((0, "m"), (10, ""), (8, "maj7"), (7, "7")),
        ((5, "m7"), (10, "7"), (3, "maj7"), (7, "7")),
    ),
}
THIRD_IN_BASS = 0.15  # chance that a major triad stands on its third


def has_chart(seed: int) -> bool:
    """Whether the request of ``seed`` gives chords."""
    return seed % 4 == 2


def is_plain(seed: int) -> bool:
    """Whether the request of ``seed`` says nothing of its parts."""
    return seed % 4 == 3


def draw_chart(random: np.random.Generator, key: str, bars: int) -> str:
    """A chart of ``bars`` bars, a chord a bar, that turns in ``key``."""
    tonic, mode = parse_key(key)
    names = note_names(tonic, mode)
    chords: list[str] = []
    while len(chords) < bars:
        turn = PROGRESSIONS[mode][int(random.integers(len(PROGRESSIONS[mode])))]
        for step, quality in turn * int(random.integers(1, 3)):
            bass = f"/{names[(tonic + step + 4) % 12]}" if not quality and random.random() < THIRD_IN_BASS else ""
            chords.append(names[(tonic + step) % 12] + quality + bass)
    return " | ".join(chords[:bars])


def draw_prompt(seed: int) -> Prompt:
    """A request for a piece, everything in it drawn with ``seed``; its ending is "close" for half of each sort."""
    random = np.random.default_rng([seed, 2])
    while True:
        kinds = [kind for kind, chance in CHANCES.items() if random.random() < chance]
        if len(set(kinds) - {"drums"}) < 2:
            continue
        if random.random() < SECOND:
            kinds.append(str(random.choice([k for k in kinds if k in ("piano", "guitar")] or ["piano"])))
        parts = tuple(f"{k}:{random.choice(list(ROLES[k]))}" if random.random() < ROLE else k for k in kinds)
        density, register, span, program = {}, {}, {}, {}
        for kind in dict.fromkeys(kinds):
            row = INSTRUMENTS[kind]
            words = list(DENSITIES[kind])
            # In words, or in notes a bar between those of the words' outer bins.
            bins = DENSITIES[kind][words[0]], DENSITIES[kind][words[-1]]
            number = round(float(random.uniform(DENSITY_EDGES[bins[0] - 1], DENSITY_EDGES[bins[1]])), 1)
            density[kind] = str(random.choice(words)) if random.random() < 0.7 else number
            program[kind] = int(random.integers(128) if random.random() < STRANGER else random.choice(row.programs))
            if kind == "drums":
                continue
            if random.random() < RANGE:
                low = int(random.integers(row.lowest, row.highest - 18))
                span[kind] = (low, int(random.integers(low + 12, min(low + 36, row.highest) + 1)))
            else:
                register[kind] = str(random.choice(list(REGISTERS[kind])))
        mode = str(random.choice(("major", "minor")))
        prompt = Prompt(
            bars=int(random.choice(BARS)),
            parts=parts,
            tempo_qpm=float(random.integers(50, 201)),
            key=f"{random.choice(KEY_NAMES[mode])} {mode}",
            metre=str(random.choice(METRES)),
            seed=seed,
            form=str(random.choice(FORMS)) if random.random() < FORM else None,
            density=density, register=register, span=span, program=program,
            ending="close" if (seed // 4 + seed) % 2 == 0 else "open",
        )  # fmt: skip
        if is_plain(seed):
            form = prompt.form or FORMS[0]
            prompt = replace(prompt, parts=DEFAULT_PARTS, density={}, register={}, span={}, program={}, form=form)
        if has_chart(seed):
            assert prompt.key is not None and prompt.bars is not None
            chart = draw_chart(random, prompt.key, prompt.bars)
            prompt = replace(
                prompt, parts=DEFAULT_PARTS, density={}, register={}, span={}, program={}, form=None, chords=chart
            )
        try:
            Request.read(prompt)
        except BadRequest:  # a form that does not go into so few bars
            continue
        return prompt
