"""From a prompt to an open table: what the musician says is set, what is left open is read off the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.analysis import HOME, home_shift
from midigen.composition.layout import FIRST_FILL
from midigen.composition.table import Lane, Table
from midigen.composition.wishes import NOTES_A_BAR, NOTES_AT_ONCE, Wish, bin_bounds, wishes_of
from midigen.engines import Engine
from midigen.errors import BadRequest
from midigen.generation import Sampling, sample
from midigen.grid import METRES
from midigen.instruments import INSTRUMENTS
from midigen.prompt import FASTEST_QPM, MOST_BARS, SLOWEST_QPM, Prompt
from midigen.prompt import METRES as ASKABLE_METRES
from midigen.score import parse_key
from midigen.tokenizers.spelling import spell_chords
from midigen.tokenizers.vocabulary import (
    DENSITY_EDGES,
    POLYPHONY_EDGES,
    REGISTER_EDGES,
    START,
    UNSET,
    Vocabulary,
    tempo_bin,
)
from midigen.tokenizers.window import HARMONY, PartHeader

if TYPE_CHECKING:
    from midigen.charts import Chart
    from midigen.forms import Form

USUAL_BARS = 32
# Nats a bin by which a part that nobody asked a density of is rather drawn dense: the model has learned headers from
# windows in which parts rest for bars as well, and parts of a piece hardly do ("Guitars that play as much" in the lab
# book). Not beside parts of a song, which say themselves how full it is.
DENSER = 0.25


@dataclass(frozen=True)
class Request:
    """A prompt that has been read: its parts, chart and form, and how many bars that makes. Checks itself."""

    prompt: Prompt
    wishes: tuple[Wish, ...]
    chart: Chart | None
    form: Form | None
    bars: int

    @classmethod
    def read(cls, prompt: Prompt) -> Request:
        """Raises :class:`BadRequest` for a chart, a form or a wish that cannot be had."""
        chart, form = None, None
        if prompt.chords is not None:
            from midigen.charts import read_chart

            chart = read_chart(prompt.chords)
            metre = chart.stated_metre if chart.stated_metre in ASKABLE_METRES else None
            tempo = chart.stated_tempo_qpm
            tempo = tempo if tempo is not None and SLOWEST_QPM <= tempo <= FASTEST_QPM else None
            prompt = replace(prompt, metre=prompt.metre or metre, tempo_qpm=prompt.tempo_qpm or tempo)
        if prompt.form is not None:
            from midigen.forms import parse_form

            form = parse_form(prompt.form)
        bars = prompt.bars
        if bars is None:
            said = form is not None and (form.is_settled or chart is None)
            bars = form.bars if form is not None and said else len(chart) if chart is not None else USUAL_BARS
        if bars > MOST_BARS:
            raise BadRequest(
                f"{bars} bars: a piece may have {MOST_BARS}; shorten the chart or the form, or give --bars"
            )
        if form is not None:
            form = form.fit(bars)
        return cls(prompt, tuple(wishes_of(prompt)), chart, form, bars)


class Header:
    """The header while it is read off the model: every value knows those before it."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary, sampling: Sampling, random: np.random.Generator) -> None:
        self._engine, self._v, self._random = engine, vocabulary, random
        # Drawn a little more safely than the notes: one odd tempo spoils all of them.
        self._calm = Sampling(sampling.temperature, min(sampling.top_p, 0.9))
        self.fed = [START]

    def settle(self, kind: str, value: int | None, allowed: list[int], more: float = 0.0) -> int:
        """``value``, or one of those ``allowed`` drawn by the model; each higher one is likelier by ``more`` nats than
        the model has it."""
        if value is None:
            mask = np.zeros(self._v.size, dtype=bool)
            mask[[self._v.id(kind, a) for a in allowed]] = True
            self._engine.rewind(0)
            logits = self._engine.feed(np.array(self.fed))
            logits[[self._v.id(kind, a) for a in allowed]] += more * np.asarray(allowed, dtype=np.float32)
            value = self._v.value(sample(logits, mask, self._calm, self._random))[1]
        self.fed.append(self._v.id(kind, value))
        return value

    def known(self, header: PartHeader) -> None:
        """A part whose header is settled already."""
        said = (("program", header.program), ("density", header.density), ("polyphony", header.polyphony))
        self.fed.append(self._v.lane(header.kind, header.slot))
        for kind, value in (*said, ("register", header.register)):
            self.fed.append(UNSET if value is None else self._v.id(kind, value))

    def part(self, wish: Wish, shift: int, slot: int | None = None, denser: float = 0.0) -> PartHeader:
        """The header of one part, its open values drawn; pitches are said in the model's key, ``shift`` away. Each bin
        of density is likelier by ``denser`` nats than the model has it, beside the one below; not of drums."""
        row = INSTRUMENTS[wish.kind]
        slot = wish.slot if slot is None else slot
        self.fed.append(self._v.lane(wish.kind, slot))
        program = None
        if row.is_drum:
            self.fed.append(UNSET)
        else:
            # A sound from another family has taught the model nothing of this instrument: its usual one stands for it.
            asked = wish.program if wish.program is None or wish.program in row.programs else row.default_program
            program = self.settle("program", asked, list(row.programs))
        # How much a part plays is planned before its first note; the sparsest bin is next to silence.
        denser = 0.0 if row.is_drum else denser
        density = self.settle("density", wish.density, list(range(1, self._v.sizes["density"])), denser)
        polyphony = self.settle("polyphony", wish.polyphony, list(range(self._v.sizes["polyphony"])))
        register = None
        if row.is_drum:
            self.fed.append(UNSET)
        else:
            register = None if wish.pitch is None else int(np.searchsorted(REGISTER_EDGES, wish.pitch + shift, "right"))
            register = self.settle("register", register, list(range(self._v.sizes["register"])))
        return PartHeader(wish.kind, slot, program, density, polyphony, register)


def open_table(
    request: Request,
    engine: Engine,
    vocabulary: Vocabulary,
    tokenizer: Mapping[str, Any],
    sampling: Sampling,
    random: np.random.Generator,
) -> tuple[Table, tuple[int, str]]:
    """The table of ``request`` with every part's cells to be written, and the key that the piece is in.

    A model that learned all music in C major or A minor (``tokenizer["transpose"] == "key"``) chooses between those
    two; which key they stand for is drawn by how often songs are in it.
    """
    prompt, v = request.prompt, vocabulary
    header = Header(engine, v, sampling, random)
    asked_metre = METRES.index(prompt.metre) if prompt.metre else None
    metre = header.settle("metre", asked_metre, [METRES.index(m) for m in ASKABLE_METRES])
    tempo = tempo_bin(prompt.tempo_qpm) if prompt.tempo_qpm else None
    tempo = header.settle("tempo", tempo, list(range(3, v.sizes["tempo"] - 3)))
    at_home = tokenizer.get("transpose") == "key"
    asked = parse_key(prompt.key) if prompt.key else request.chart.key() if request.chart else None
    known = None
    if asked:
        known = (HOME[asked[1]] if at_home else asked[0]) + (12 if asked[1] == "minor" else 0)
    homes = [HOME["major"], HOME["minor"] + 12]
    key = header.settle("key", known, homes if at_home else list(range(24)))
    mode = "minor" if key >= 12 else "major"
    if asked is None:
        shares = np.array(tokenizer["keys"])[12 * (key // 12) : 12 * (key // 12) + 12] if at_home else np.zeros(0)
        if at_home:
            shares = shares if shares.any() else np.ones(12)  # it may draw a mode that no song of its corpus is in
            asked = int(random.choice(12, p=shares / shares.sum())), mode
        else:
            asked = key % 12, mode
    shift = home_shift(*asked) if at_home else 0
    header.fed += [v.id("opening", 1), v.id("bars", min(request.bars, FIRST_FILL) - 1), v.form_lane, v.harmony_lane]
    lanes = [_lane(header.part(wish, shift, denser=DENSER), wish) for wish in request.wishes]
    bars = request.bars
    table = Table(
        vocabulary=v,
        lanes=lanes,
        metres=np.full(bars, metre),
        tempos=np.full(bars, tempo),
        shifts=np.full(bars, shift),
        keys=np.full(bars, key),
        wanted=np.ones((len(lanes), bars), dtype=bool),
        ends=prompt.ending == "close",
        holds_key=at_home,
    )
    if request.chart is not None:
        set_chords(table, request.chart, METRES[metre])
    if request.form is not None:
        table.follows = list(request.form.follows)
        table.sections = [section.first for section in request.form.sections for _ in range(section.bars)]
    return table, asked


def _lane(header: PartHeader, wish: Wish) -> Lane:
    """A part as its header and the musician have it.

    Where nobody asked for a density or a polyphony, what the model drew is its plan: left alone it writes a bin less,
    and one note at a time where it meant chords.
    """
    plan = stacks = None
    if wish.density is None and wish.kind != "drums" and header.density is not None:
        plan = bin_bounds(DENSITY_EDGES, header.density, *NOTES_A_BAR)
    if wish.polyphony is None and wish.kind in ("piano", "guitar") and header.polyphony is not None:
        stacks = bin_bounds(POLYPHONY_EDGES, header.polyphony, *NOTES_AT_ONCE)
    bounds = wish.density_bounds, wish.register_bounds, wish.polyphony_bounds
    return Lane(header, wish.name, wish.program, wish.span, *bounds, plan=plan, stacks=stacks)


def set_chords(table: Table, chart: Chart, metre: str) -> None:
    """Write the musician's chords into the harmony lane of every bar."""
    ids, lengths = spell_chords(chart.chords(table.bars, metre), table.bars, table.vocabulary)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for bar in range(table.bars):
        table.cells[HARMONY][bar] = ids[starts[bar] : starts[bar + 1]].astype(np.uint16)
