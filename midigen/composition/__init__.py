"""The verbs: what a musician asks for becomes a score.

A piece is a table of cells (:mod:`~midigen.composition.table`). What is asked for, and what the model settles before
its first note, opens it (:mod:`~midigen.composition.settling`); a musician's own song is read into one
(:mod:`~midigen.composition.reading`). The open cells are written window by window
(:mod:`~midigen.composition.layout`, :mod:`~midigen.composition.writing`), with hands that lean on the model's choices
where something was asked for (:mod:`~midigen.composition.leaning`, :mod:`~midigen.composition.hands`,
:mod:`~midigen.composition.tonality`); what is off all the same is written again (:mod:`~midigen.composition.mending`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np

from midigen.analysis import note_names
from midigen.composition.leaning import USUAL, Leaning
from midigen.composition.mending import mend
from midigen.composition.player import Player, open_player
from midigen.composition.promises import keep_promises, shortfalls
from midigen.composition.settling import Request, open_table
from midigen.composition.table import Table
from midigen.composition.takes import MOST_SHARED, Take, make_takes
from midigen.composition.writing import SILENT_BARS, OnBar, Writer
from midigen.generation import Sampling, Tally
from midigen.grid import METRES
from midigen.prompt import Prompt
from midigen.score import KEY_NAMES, Key, Score, Tempo, Text
from midigen.tokenizers.decoding import TICKS_PER_POSITION, read_piece
from midigen.tokenizers.vocabulary import tempo_of
from midigen.tokenizers.window import PartHeader

OnWritten = Callable[[int, Callable[[], Score]], None]

__all__ = ["SILENT_BARS", "Leaning", "Player", "Take", "compose_score", "compose_takes", "open_player"]


def compose_score(
    prompt: Prompt,
    *,
    checkpoint: str | Path | None = None,
    engine: str = "onnx",
    mode: str = "fast",
    threads: int | None = None,
    leaning: Leaning = USUAL,
    on_bar: OnBar | None = None,
) -> Score:
    """Compose the piece that ``prompt`` asks for.

    ``checkpoint`` is a folder or the name of a shipped one (``None``: the default). What the prompt leaves open
    (metre, tempo, key, each part's sound) is drawn by the model. The same prompt with a seed gives the same score on
    the same machine and version, whatever the number of threads. ``on_bar(done, total)`` is called after every bar.
    """
    (take,) = compose_takes(
        prompt, 1, checkpoint=checkpoint, engine=engine, mode=mode, threads=threads, leaning=leaning, on_bar=on_bar
    )
    return take.score


def compose_takes(
    prompt: Prompt,
    takes: int,
    *,
    most_shared: int = MOST_SHARED,
    checkpoint: str | Path | None = None,
    engine: str = "onnx",
    mode: str = "fast",
    threads: int | None = None,
    leaning: Leaning = USUAL,
    on_bar: OnBar | None = None,
    on_written: OnWritten | None = None,
) -> list[Take]:
    """Several takes of what ``prompt`` asks for, the best first (see :mod:`~midigen.composition.takes`).

    The first take that is made is the one that :func:`compose_score` makes; every take has a seed that makes it alone.
    One that shares more than ``most_shared`` notes in a row with a song that the model has learned from is at fault.
    ``on_bar`` counts the bars of all takes together; ``on_written`` is told of the first take how many bars from the
    beginning are written, with a function that gives the score so far, to be called when and where one likes.
    """
    request = Request.read(prompt.with_seed())
    assert request.prompt.seed is not None
    player = open_player(checkpoint, engine, mode, threads)
    count = _Count(request.bars * takes, on_bar)

    def make(number: int, seed: int, player: Player) -> tuple[Score, Tally, list[str]]:
        own = replace(request, prompt=replace(request.prompt, seed=seed))
        score, tally = write_piece(own, player, leaning, count.one, None if number else on_written)
        keep_promises(score, own)
        return score, tally, shortfalls(score, own)

    return make_takes(make, player, request.prompt.seed, takes, threads, most_shared=most_shared)


class _Count:
    """Bars done, of several takes that are written side by side."""

    def __init__(self, total: int, on_bar: OnBar | None) -> None:
        self._total, self._on_bar = total, on_bar
        self._done, self._lock = 0, Lock()

    def one(self, done: int, total: int) -> None:
        with self._lock:
            self._done += 1
            self._total = max(self._total, self._done)  # a take more than was asked for
            if self._on_bar:
                self._on_bar(self._done, self._total)


def write_piece(
    request: Request,
    player: Player,
    leaning: Leaning = USUAL,
    on_bar: OnBar | None = None,
    on_written: OnWritten | None = None,
    *,
    mends: bool = True,
) -> tuple[Score, Tally]:
    """One take of ``request``: the score, and how unlikely the model found it. ``mends`` says whether bars that are off
    are written again when all are there."""
    prompt = request.prompt
    assert prompt.seed is not None
    random = np.random.Generator(np.random.PCG64(prompt.seed))
    sampling = Sampling(prompt.temperature, prompt.top_p)
    table, key = open_table(request, player.engine, player.vocabulary, player.tokenizer, sampling, random)
    whole = 0  # bars from the beginning

    def told(done: int, total: int) -> None:
        nonlocal whole
        if on_bar is not None:
            on_bar(done, total)
        before = whole
        while whole < table.bars and not table.open(whole):
            whole += 1
        if on_written is not None and whole > before:
            now = replace(table, cells=[list(row) for row in table.cells])
            on_written(whole, lambda: played(score_of(request, now, key), prompt))

    writer = Writer(table, player.engine, sampling, random, leaning, told)
    tally = writer.write()
    if mends:
        mend(writer)
    return played(score_of(request, table, key), prompt), tally


def score_of(request: Request, table: Table, key: tuple[int, str]) -> Score:
    """The score that a written ``table`` spells; ``key`` (tonic and mode) is the one that it sounds in."""
    prompt, (tonic, mode) = request.prompt, key
    metre = METRES[int(table.metres[0])]
    headers = [_sounding(lane.header, lane.program) for lane in table.lanes]
    names = [lane.name for lane in table.lanes]
    score = read_piece(headers, table.cells, metre, table.vocabulary, names=names, notes=note_names(tonic, mode))
    bar_ticks = table.length(0) * TICKS_PER_POSITION
    chords = score.chords
    if request.chart is not None:  # as the musician wrote them
        places = request.chart.symbols(table.bars, metre)
        symbols = [Text(bar * bar_ticks + position * TICKS_PER_POSITION, symbol) for bar, position, symbol in places]
        chords = tuple(
            t for before, t in zip([None, *symbols], symbols, strict=False) if not before or before.text != t.text
        )
    markers: tuple[Text, ...] = ()
    if request.form is not None:
        markers = tuple(Text(section.first * bar_ticks, section.name) for section in request.form.sections)
    elif request.chart is not None:
        markers = tuple(Text(bar * bar_ticks, name) for bar, name in request.chart.labels if bar < table.bars)
    return replace(
        score,
        tempos=(Tempo(0, prompt.tempo_qpm or float(tempo_of(int(table.tempos[0])))),),
        keys=(Key(0, tonic, mode),),
        chords=chords,
        markers=markers,
        title=f"midigen {prompt.seed} in {KEY_NAMES[mode][tonic]} {mode}",
    )


def _sounding(header: PartHeader, program: int | None) -> PartHeader:
    return header if program is None else replace(header, program=program)


def played(score: Score, prompt: Prompt) -> Score:
    """The score as it is to be played: swung, then with a human hand."""
    if prompt.swing:
        from midigen.performance import swing

        score = swing(score, prompt.swing, prompt.swing_unit)
    if prompt.humanise:
        from midigen.performance import humanise

        assert prompt.seed is not None
        score = humanise(score, prompt.humanise, prompt.seed)
    return score
