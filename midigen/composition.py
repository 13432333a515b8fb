"""The verbs: what a musician asks for becomes a score.

``compose`` is written as a series of windows. Each window is laid out by :mod:`midigen.tokenizers.window`, its missing
cells are drawn under the grammar, and the next window is given the last bars and those that they follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from midigen.analysis import FORM_DISTANCES, HOME, beat_length, home_shift, note_names
from midigen.checkpoint import open_checkpoint
from midigen.engines import Engine, open_engine
from midigen.errors import CheckpointError
from midigen.generation import Drawn, Forced, OutOfContext, Sampling, sample, write
from midigen.grid import METRES, bar_positions
from midigen.instruments import INSTRUMENTS
from midigen.prompt import METRES as ASKABLE_METRES
from midigen.prompt import Prompt
from midigen.score import KEY_NAMES, Key, Score, Tempo, parse_key
from midigen.tokenizers.decoding import read_piece
from midigen.tokenizers.grammar import Cell, FormCell, HarmonyCell, PartCell
from midigen.tokenizers.spelling import read_form
from midigen.tokenizers.vocabulary import END, FILL, START, UNSET, Vocabulary, tempo_bin, tempo_of
from midigen.tokenizers.window import (
    ABSENT,
    FIRST_PART,
    FORM,
    GIVEN,
    HARMONY,
    MISSING,
    PartHeader,
    Window,
    bar_ids,
    header_ids,
    lane_id,
)

FIRST_FILL, NEXT_FILL, RECENT = 16, 8, 8  # bars: in the first window, in a later one, and given again before those
QUIETEST = 4  # velocity bin (18); SoundFonts play the faintest velocities as silence
SILENT_BARS = 2  # a part that was asked for plays at least once in as many bars
ROOM_FOR_A_BAR = 1.6  # a bar may be that much longer than the longest so far before the window is closed

OnBar = Callable[[int, int], None]


@dataclass
class Piece:
    """A piece while it is written: the cells of every lane, and what the header settled."""

    bars: int
    parts: list[PartHeader]
    metre: int
    tempo: int
    key: int  # as the model writes it; the piece sounds ``shift`` semitones higher
    shift: int = 0
    cells: list[list[np.ndarray | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cells = [[None] * self.bars for _ in range(FIRST_PART + len(self.parts))]

    def cell(self, row: int, bar: int) -> np.ndarray:
        """The ids of a cell that is written."""
        cell = self.cells[row][bar]
        if cell is None:
            raise ValueError(f"cell {row}, {bar} is not written yet")
        return cell

    def tokens(self, bar: int) -> int:
        """How many tokens a written bar takes in a window: its cells, and what opens them and it."""
        return 3 + len(self.parts) + sum(len(self.cell(row, bar)) for row in range(len(self.cells)))

    def written(self) -> int:
        """The number of bars, from the first, whose every cell is there."""
        for bar in range(self.bars):
            if any(row[bar] is None for row in self.cells):
                return bar
        return self.bars


def compose_score(
    prompt: Prompt,
    *,
    checkpoint: str | Path | None = None,
    engine: str = "onnx",
    mode: str = "fast",
    threads: int | None = None,
    on_bar: OnBar | None = None,
) -> Score:
    """Compose the piece that ``prompt`` asks for.

    ``checkpoint`` is a folder or the name of a shipped one (``None``: the default). What the prompt leaves open
    (metre, tempo, key, each part's sound) is drawn by the model. The same prompt with a seed gives the same score on
    the same machine and version, whatever the number of threads. ``on_bar(done, total)`` is called after every bar.
    """
    opened = open_checkpoint(checkpoint)
    vocabulary = Vocabulary.from_spec(opened.tokenizer)
    player = open_engine(opened, engine, mode, threads)
    prompt = prompt.with_seed()
    random = np.random.Generator(np.random.PCG64(prompt.seed))
    sampling = Sampling(prompt.temperature, prompt.top_p)
    piece = _settle(prompt, player, vocabulary, opened.tokenizer, sampling, random)
    while piece.written() < piece.bars:
        _write_window(piece, player, vocabulary, sampling, random, on_bar)
    cells = [[moved(cell, row, piece, vocabulary) for cell in piece.cells[row]] for row in range(len(piece.cells))]
    tonic, mode = (piece.key + piece.shift) % 12, "minor" if piece.key >= 12 else "major"
    notes = note_names(tonic, mode)
    score = read_piece(piece.parts, cells, METRES[piece.metre], vocabulary, names=prompt.part_names, notes=notes)
    return replace(
        score,
        tempos=(Tempo(0, prompt.tempo_qpm or float(tempo_of(piece.tempo))),),
        keys=(Key(0, tonic, mode),),
        title=f"midigen {prompt.seed} in {KEY_NAMES[mode][tonic]} {mode}",
    )


def moved(cell: np.ndarray | None, row: int, piece: Piece, vocabulary: Vocabulary) -> np.ndarray | None:
    """A cell of ``piece``, from the key it was written in to the one it sounds in."""
    if cell is None or not piece.shift:
        return cell
    kind = piece.parts[row - FIRST_PART].kind if row >= FIRST_PART else ""
    return vocabulary.transposition(piece.shift, kind)[cell.astype(np.int64)]


def _settle(
    prompt: Prompt,
    engine: Engine,
    vocabulary: Vocabulary,
    tokenizer: Mapping[str, Any],
    sampling: Sampling,
    random: np.random.Generator,
) -> Piece:
    """Read the header's open values off the model, one after the other, each knowing those before it.

    A model that learned all music in C major or A minor (``tokenizer["transpose"] == "key"``) chooses between those
    two; which key they stand for is drawn by how often songs are in it.
    """
    v = vocabulary
    asked_metre = METRES.index(prompt.metre) if prompt.metre else None
    at_home = tokenizer.get("transpose") == "key"
    asked = parse_key(prompt.key) if prompt.key else None
    key = None
    if asked:
        key = (HOME[asked[1]] if at_home else asked[0]) + (12 if asked[1] == "minor" else 0)
    tempo = tempo_bin(prompt.tempo_qpm) if prompt.tempo_qpm else None
    fed = [START]

    def settle(kind: str, value: int | None, allowed: list[int]) -> int:
        if value is None:
            mask = np.zeros(v.size, dtype=bool)
            mask[[v.id(kind, a) for a in allowed]] = True
            # The header is drawn a little more safely than the notes: one odd tempo spoils all of them.
            calm = Sampling(sampling.temperature, min(sampling.top_p, 0.9))
            engine.rewind(0)
            value = v.value(sample(engine.feed(np.array(fed)), mask, calm, random))[1]
        fed.append(v.id(kind, value))
        return value

    metre = settle("metre", asked_metre, [METRES.index(m) for m in ASKABLE_METRES])
    tempo = settle("tempo", tempo, list(range(3, v.sizes["tempo"] - 3)))
    homes = [HOME["major"], HOME["minor"] + 12]
    key = settle("key", key, homes if at_home else list(range(24)))
    shift = 0
    if at_home:
        mode = "minor" if key >= 12 else "major"
        if asked is None:
            shares = np.array(tokenizer["keys"])[12 * (key // 12) : 12 * (key // 12) + 12]
            shares = shares if shares.any() else np.ones(12)  # it may draw a mode that no song of its corpus is in
            asked = int(random.choice(12, p=shares / shares.sum())), mode
        shift = -home_shift(*asked)
    window = min(prompt.bars, FIRST_FILL)
    fed += [v.id("opening", 1), v.id("bars", window - 1), v.form_lane, v.harmony_lane]
    parts: list[PartHeader] = []
    for kind in prompt.parts:
        slot = sum(p.kind == kind for p in parts)
        fed.append(v.lane(kind, slot))
        is_drum = INSTRUMENTS[kind].is_drum
        if is_drum:
            fed.append(UNSET)
        program = None if is_drum else settle("program", None, list(INSTRUMENTS[kind].programs))
        # How much a part plays is planned before its first note; the sparsest bin is next to silence.
        density = settle("density", None, list(range(1, v.sizes["density"])))
        polyphony = settle("polyphony", None, list(range(v.sizes["polyphony"])))
        register = None if is_drum else settle("register", None, list(range(v.sizes["register"])))
        if is_drum:
            fed.append(UNSET)
        parts.append(PartHeader(kind, slot, program, density, polyphony, register))
    return Piece(prompt.bars, parts, metre, tempo, key, shift)


def _empty(parts: list[PartHeader], bars: int) -> Window:
    rows = FIRST_PART + len(parts)
    nothing = np.zeros(0, dtype=np.uint16)
    return Window(
        parts=parts,
        cells=[[nothing] * bars for _ in range(rows)],
        status=np.full((rows, bars), ABSENT, dtype=np.int8),
        left=np.zeros(bars, dtype=np.int64),
    )


def _layout(piece: Piece, context: int, vocabulary: Vocabulary) -> tuple[Window, int]:
    """The next window and the bar of the piece that it begins at."""
    done = piece.written()
    most = vocabulary.sizes["bar"]
    fill = min(FIRST_FILL if not done else NEXT_FILL, piece.bars - done)
    first = max(0, done + fill - most)
    window = _empty(piece.parts, done + fill - first)
    window.metre, window.tempo, window.key = piece.metre, piece.tempo, piece.key
    window.opening = first == 0
    window.left = piece.bars - 1 - np.arange(first, done + fill)
    window.status[:, done - first :] = MISSING
    if not done:
        return window, first
    sizes = [piece.tokens(bar) for bar in range(done)]
    # Given again: the last bars, then the bars that those follow (they will be followed again), then earlier ones.
    room = context - 16 - 5 * len(piece.parts) - int(max(sizes[-RECENT:]) * ROOM_FOR_A_BAR * min(fill, NEXT_FILL))
    recent = list(range(done - 1, max(done - 1 - RECENT, first - 1), -1))
    distances = [read_form(int(piece.cell(FORM, bar)[0]), vocabulary)[0] for bar in recent]
    followed = [bar - distance for bar, distance in zip(recent, distances, strict=True) if distance]
    ahead = [b - d for d in FORM_DISTANCES for b in range(done, done + fill) if d >= NEXT_FILL]
    for number, bar in enumerate(dict.fromkeys(recent + followed + ahead + list(range(done - 1, first - 1, -1)))):
        if first <= bar < done and (room >= sizes[bar] or number == 0):
            room -= sizes[bar]
            window.status[:, bar - first] = GIVEN
            for row in range(window.status.shape[0]):
                window.cells[row][bar - first] = piece.cell(row, bar)
    return window, first


def _write_window(
    piece: Piece,
    engine: Engine,
    vocabulary: Vocabulary,
    sampling: Sampling,
    random: np.random.Generator,
    on_bar: OnBar | None,
) -> None:
    v = vocabulary
    window, first = _layout(piece, engine.context, v)
    before = piece.written()
    present = (window.status != ABSENT).any(axis=0)
    length = bar_positions(METRES[piece.metre])
    prompt = header_ids(window, v)
    for bar in np.flatnonzero(window.status[FORM] == GIVEN).tolist():
        prompt += bar_ids(window, bar, v)
        for row in range(window.status.shape[0]):
            lane = lane_id(window, row, v)
            prompt += ([lane] if lane is not None else []) + window.cells[row][bar].tolist()
    prompt.append(FILL)

    def open_cell(row: int, bar: int) -> Cell:
        if row == FORM:
            return FormCell(bar, present, v)
        if row == HARMONY:
            return HarmonyCell(length, beat_length(piece.metre), v, silence=False)
        earlier = piece.cells[row][max(0, first + bar - SILENT_BARS + 1) : first + bar]
        silent = all(cell is None or not len(cell) for cell in earlier)
        last_chance = silent and (len(earlier) == SILENT_BARS - 1 or first + bar == piece.bars - 1)
        return PartCell(
            piece.parts[row - FIRST_PART].kind, length, v, must_play=last_chance, shift=piece.shift, quietest=QUIETEST
        )

    def keep(row: int, bar: int, ids: list[int]) -> None:
        piece.cells[row][first + bar] = np.array(ids, dtype=np.uint16)
        if row == window.status.shape[0] - 1 and on_bar:
            on_bar(first + bar + 1, piece.bars)

    items: list[Forced | Drawn] = []
    for bar in np.flatnonzero(window.status[FORM] == MISSING).tolist():
        opening = bar_ids(window, bar, v)
        for row in range(window.status.shape[0]):
            lane = lane_id(window, row, v)
            opening += [lane] if lane is not None else []
            items.append(Forced(opening))
            opening = []
            items.append(Drawn(partial(open_cell, row, bar), partial(keep, row, bar)))
    items.append(Forced([END]))
    engine.rewind(0)
    try:
        write(engine, prompt, items, sampling, random)
    except OutOfContext:
        # The bars that are whole stand; the one that broke off is written again in the next window.
        whole = piece.written()
        for cells in piece.cells:
            cells[whole:] = [None] * (piece.bars - whole)
        if whole == before:
            raise CheckpointError(
                f"one bar of {len(piece.parts)} parts does not fit the model's context of {engine.context} tokens; "
                "ask for fewer parts"
            ) from None
