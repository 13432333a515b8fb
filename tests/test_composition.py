"""Composing with a model that knows nothing: whatever was asked for comes out all the same, and always alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from midigen.analysis import FLATS, SHARPS, beat_length
from midigen.checkpoint import save_checkpoint
from midigen.composition import SILENT_BARS, compose_score
from midigen.errors import CheckpointError
from midigen.grid import METRES, bar_positions
from midigen.instruments import INSTRUMENTS
from midigen.model import Size, parameter_shapes
from midigen.prompt import METRES as ASKABLE
from midigen.prompt import Prompt
from midigen.score import Score, parse_key
from midigen.tokenizers.vocabulary import END, Vocabulary

BAND = ("piano", "guitar", "bass", "drums")


def make_model(folder: Path, context: int, ending: float, **more: Any) -> Path:
    """Random weights, but for a habit of ending a cell that grows with ``ending``."""
    vocabulary = Vocabulary()
    size = Size(d_model=32, layers=1, heads=2, kv_heads=1, d_ff=64, context=context, head_dim=16)
    dice = np.random.default_rng(1)
    state = {
        name: (np.ones(shape) if len(shape) == 1 else dice.normal(0, 0.15, shape)).astype(np.float32)
        for name, shape in parameter_shapes(size, vocabulary.size).items()
    }
    # The embedding is the output layer, too: a direction that every token has, and those that end a cell have more of.
    embedding = state["model.embed_tokens.weight"]
    embedding[:, 0] = 1
    enders = vocabulary.mask("lane") | vocabulary.mask("bar")
    enders[END] = True
    embedding[enders, 0] += ending
    return save_checkpoint(folder, state, size, {**vocabulary.to_spec(), **more}, {})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "brief", 2048, 1.3)


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes in C major and A minor alone; of minor keys it has met none."""
    keys = [0.5, 0, 0, 0, 0, 0, 0, 0.5, 0, 0, 0, 0] + [0.0] * 12
    return make_model(tmp_path_factory.mktemp("models") / "home", 2048, 1.3, transpose="key", keys=keys)


def check(score: Score, prompt: Prompt) -> None:
    """Everything that must hold of any piece."""
    assert prompt.bars is not None
    assert score.bars == prompt.bars
    (metre,) = score.metres
    name = str(metre)
    assert name in ASKABLE and name == (prompt.metre or name)
    bar = bar_positions(name) * 40
    assert len(score.tempos) == 1 and score.tempos[0].qpm == (prompt.tempo_qpm or score.tempos[0].qpm)
    (key,) = score.keys
    if prompt.key:
        assert (key.tonic, key.mode) == parse_key(prompt.key)
    assert tuple(p.kind for p in score.parts) == prompt.kinds
    assert tuple(p.name for p in score.parts) == prompt.part_names
    for part in score.parts:
        row = INSTRUMENTS[part.kind]
        assert part.is_drum == row.is_drum and part.program in row.programs
        onsets, durations, pitches, _ = part.note_table.T
        assert list(part.notes) == sorted(part.notes)
        assert (pitches >= row.lowest).all() and (pitches <= row.highest).all()
        assert (onsets % 40 == 0).all() and (durations > 0).all()
        assert (onsets + durations <= prompt.bars * bar).all()  # nothing sounds after the last bar
        for pitch in np.unique(pitches):
            mine = pitches == pitch
            assert (np.diff(onsets[mine]) >= durations[mine][:-1]).all()  # nothing sounds twice at a time
        played = set((onsets // bar).tolist())
        for first in range(max(prompt.bars - SILENT_BARS, 0) + 1):
            assert played & set(range(first, min(first + SILENT_BARS, prompt.bars)))
    assert score.chords and score.chords[0].tick == 0
    beat = beat_length(METRES.index(name)) * 40
    assert all(c.tick % bar % beat == 0 and c.tick < prompt.bars * bar for c in score.chords)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "asked",
    [
        {"bars": 1},
        {"bars": 4, "metre": "3/4", "tempo_qpm": 171.0, "key": "F# minor", "parts": BAND},
        {"bars": 3, "metre": "6/8", "key": "Eb", "parts": ("bass",), "tempo_qpm": 20.0},
        {"bars": 5, "metre": "2/4", "parts": ("drums",), "tempo_qpm": 300.0},
        {"bars": 9, "parts": ("guitar", "guitar", "piano", "piano")},
    ],
    ids=str,
)
def test_what_was_asked_for_comes_out(model: Path, asked: dict[str, Any], seed: int) -> None:
    prompt = Prompt(**asked, seed=seed, temperature=0.8)
    check(compose_score(prompt, checkpoint=model), prompt)


@pytest.mark.parametrize("temperature", [0.05, 2.0])
def test_the_coolest_and_the_hottest_choice_keep_the_rules(model: Path, temperature: float) -> None:
    prompt = Prompt(bars=17, parts=BAND, seed=1, temperature=temperature, top_p=1.0)
    check(compose_score(prompt, checkpoint=model), prompt)


def test_a_long_piece_is_written_in_several_windows(model: Path) -> None:
    prompt = Prompt(bars=40, parts=("piano", "bass"), seed=5, temperature=0.8)
    told: list[tuple[int, int]] = []
    score = compose_score(prompt, checkpoint=model, on_bar=lambda *bar: told.append(bar))
    check(score, prompt)
    assert told == [(bar, 40) for bar in range(1, 41)]


def test_a_context_that_fills_up_costs_bars_and_no_rules(tmp_path: Path) -> None:
    model = make_model(tmp_path / "small", 500, 1.1)
    prompt = Prompt(bars=24, parts=("piano", "guitar", "bass"), seed=2, temperature=0.8)
    told: list[int] = []
    check(compose_score(prompt, checkpoint=model, on_bar=lambda done, _: told.append(done)), prompt)
    assert told == list(range(1, 25))


def test_a_bar_that_does_not_fit_is_said(tmp_path: Path) -> None:
    model = make_model(tmp_path / "narrow", 40, 0.0)
    with pytest.raises(CheckpointError, match="does not fit the model's context of 40 tokens; ask for fewer parts"):
        compose_score(Prompt(bars=2, parts=BAND, seed=0), checkpoint=model)


def test_a_seed_is_a_piece(model: Path) -> None:
    def piece(seed: int | None, **options: Any) -> Score:
        return compose_score(Prompt(bars=6, parts=BAND, seed=seed, temperature=0.8), checkpoint=model, **options)

    first = piece(11)
    assert piece(11) == first and piece(11, threads=2) == first
    assert piece(12).parts != first.parts
    assert piece(None).title != piece(None).title


def test_another_take_in_the_same_process_changes_nothing(model: Path) -> None:
    prompt = Prompt(bars=5, parts=("piano", "bass"), seed=3, temperature=0.8)
    alone = compose_score(prompt, checkpoint=model)
    inside: list[Score] = []

    def meanwhile(done: int, _: int) -> None:
        if done in (1, 3):
            np.random.seed(done)  # nobody's business
            inside.append(compose_score(prompt, checkpoint=model))

    assert compose_score(prompt, checkpoint=model, on_bar=meanwhile) == alone
    assert inside == [alone, alone]


@pytest.mark.parametrize("seed", range(3))
def test_exact_engines_write_the_same_notes(model: Path, seed: int) -> None:
    """Not promised for every seed, for roundings differ; a difference in these would be more than rounding."""
    pytest.importorskip("torch")
    prompt = Prompt(bars=3, parts=("guitar", "bass", "drums"), seed=seed, temperature=0.8)
    onnx, torch = (compose_score(prompt, checkpoint=model, engine=name, mode="exact") for name in ("onnx", "torch"))
    assert onnx.parts == torch.parts and onnx.chords == torch.chords


@pytest.mark.parametrize("key", [None, "E", "G# minor", "Gb"])
def test_a_model_that_learned_in_one_key_composes_in_all(at_home: Path, key: str | None) -> None:
    for seed in range(4 if key is None else 1):
        prompt = Prompt(bars=4, parts=BAND, seed=seed, key=key, temperature=0.8)
        score = compose_score(prompt, checkpoint=at_home)
        check(score, prompt)
        if key is None and score.keys[0].mode == "major":
            assert score.keys[0].tonic in (0, 7)


def test_the_key_moves_the_music_as_a_whole(at_home: Path) -> None:
    def piece(key: str) -> Score:
        return compose_score(Prompt(bars=4, parts=("guitar",), seed=8, key=key, temperature=0.8), checkpoint=at_home)

    home, up = piece("C"), piece("D")

    def root(score: Score) -> tuple[int, str]:
        """The first chord, which is drawn before any note, and so alike in every key."""
        text = score.chords[0].text
        names = {name: place for spelling in (SHARPS, FLATS) for place, name in enumerate(spelling)}
        name = max((n for n in names if text.startswith(n)), key=len)
        return names[name], text.removeprefix(name).split("/")[0]

    (low, quality), (high, other) = root(home), root(up)
    assert (high - low) % 12 == 2 and quality == other


def test_no_note_is_too_soft_to_be_heard(model: Path) -> None:
    score = compose_score(Prompt(bars=4, parts=BAND, seed=2, temperature=1.5), checkpoint=model)
    assert min(note.velocity for part in score.parts for note in part.notes) >= 16


def test_where_the_chart_says_so_everybody_rests(model: Path) -> None:
    prompt = Prompt(bars=4, parts=("piano", "guitar", "bass"), chords="C | N.C. | F | C", metre="4/4", seed=2)
    score = compose_score(prompt, checkpoint=model)
    assert all(not 1920 <= note.onset_ticks < 3840 for part in score.parts for note in part.notes)
    assert [text.text for text in score.chords] == ["C", "N.C.", "F", "C"]


def test_a_bass_plays_the_root_or_the_fifth_on_a_change(model: Path) -> None:
    firm = [(0, 7), (9, 4), (9,), (7, 2)]
    held = []
    for seed in range(18):  # a model that has learned nothing, so that only the hands know the chart
        prompt = Prompt(bars=8, parts=("bass",), chords="C | Am7 | F/A | G", metre="4/4", seed=seed, temperature=0.8)
        (bass,) = compose_score(prompt, checkpoint=model).parts
        starts = [note for note in bass.notes if note.onset_ticks % 1920 == 0 and note.onset_ticks < 7 * 1920]
        held += [note.pitch % 12 in firm[note.onset_ticks // 1920 % 4] for note in starts]
    assert len(held) > 10 and np.mean(held) > 0.6  # a sixth by chance


def test_a_form_comes_back_and_is_marked(model: Path) -> None:
    prompt = Prompt(bars=12, parts=("piano", "bass"), form="A4 B4 A4", metre="4/4", seed=3, temperature=0.8)
    score = compose_score(prompt, checkpoint=model)
    assert [(text.tick // 1920, text.text) for text in score.markers] == [(0, "A"), (4, "B"), (8, "A")]

    def bar(number: int) -> set[tuple[int, int]]:
        notes = (note for part in score.parts for note in part.notes if note.onset_ticks // 1920 == number)
        return {(note.onset_ticks % 1920, note.pitch) for note in notes}

    def likeness(one: int, other: int) -> float:
        both = bar(one) | bar(other)
        return len(bar(one) & bar(other)) / len(both) if both else 1.0

    # The last bar closes the piece, and of a section that comes back a bar in a few is varied.
    assert np.median([likeness(n, n + 8) for n in range(3)]) > 0.7
    assert any(bar(n) for n in range(4)) and [bar(n) for n in range(4)] != [bar(n) for n in range(4, 8)]


def test_parts_that_nobody_asked_a_density_of_are_rather_drawn_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    from midigen.composition import open_player, settling

    player = open_player()

    def densities(more: float, **asked: Any) -> list[int | None]:
        monkeypatch.setattr(settling, "DENSER", more)
        found = []
        for seed in range(12):
            request = settling.Request.read(Prompt(8, parts=("guitar", "bass"), metre="4/4", seed=seed, **asked))
            random = np.random.Generator(np.random.PCG64(seed))
            table, _ = settling.open_table(
                request, player.engine, player.vocabulary, player.tokenizer, settling.Sampling(), random
            )
            found += [lane.header.density for lane in table.lanes]
        return found

    plain, leaning, asked = densities(0.0), densities(0.5), densities(0.5, density={"guitar": "sparse"})
    assert sum(map(int, filter(None, leaning))) > sum(map(int, filter(None, plain)))
    assert len(set(asked[::2])) == 1  # what is asked for is not leaned on
