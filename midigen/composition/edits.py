"""The verbs on a musician's own song: continue, accompany, harmonise, infill, vary. What is not asked for stays.

Each reads the song into a table, opens the cells that are to be written, and gives back what changed as an
:class:`Edit`; nothing here writes a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from midigen.analysis import note_names
from midigen.composition.leaning import USUAL, Leaning
from midigen.composition.mending import mend
from midigen.composition.player import Player
from midigen.composition.reading import Reading, described, notes_of, read_song, says_its_chords
from midigen.composition.settling import Header
from midigen.composition.wishes import wishes_of
from midigen.composition.writing import OnBar, Writer
from midigen.errors import BadRequest
from midigen.generation import Sampling, Tally
from midigen.grid import METRES
from midigen.instruments import INSTRUMENTS
from midigen.opened import OpenedSong
from midigen.prompt import MOST_BARS, Prompt
from midigen.score import Control, Part, Text
from midigen.spans import Span
from midigen.tokenizers.spelling import read_chords, spell_chords
from midigen.tokenizers.window import FIRST_PART, HARMONY, PartHeader

STIFFEST = 5.0  # nats, towards the present notes, of the faintest variation
NEIGHBOURS = 16  # bars around an edit that say how a part is to go on


@dataclass(frozen=True)
class Edit:
    """What changes in a song: ``spans`` of its parts and parts that are ``added``; the chords that were written with
    them, as text at ticks; and how unlikely the model found what it wrote."""

    spans: tuple[Span, ...] = ()
    added: tuple[Part, ...] = ()
    chords: tuple[Text, ...] = ()
    tally: Tally = field(default_factory=Tally)


def continue_song(
    song: OpenedSong, prompt: Prompt, player: Player, leaning: Leaning = USUAL, on_bar: OnBar | None = None
) -> Edit:
    """``prompt.bars`` more bars (16 where it does not say) for every part that the model knows, in its own way.

    Parts of other instruments rest there. The last bar closes the piece unless ``prompt.ending`` is "open".
    """
    more = prompt.bars or 16
    _check_notes(song)
    reading = read_song(song, player.vocabulary, more=more)
    table, first = reading.table, reading.table.bars - more
    if not table.lanes:
        raise BadRequest("the song has no piano, guitar, bass or drum part to go on with; accompany it first")
    _check_metres(reading, range(first, table.bars))
    table.ends = prompt.ending == "close"
    table.tempos[first:] = table.tempos[first - 1]
    table.shifts[first:], table.keys[first:] = table.shifts[first - 1], table.keys[first - 1]
    for lane in range(len(table.lanes)):
        described(reading, lane, range(max(0, first - NEIGHBOURS), first))
    if prompt.chords is not None:
        _set_chart(reading, prompt.chords, range(first, table.bars))
    tally = _write(reading, prompt, player, leaning, on_bar)
    bars = range(first, table.bars)
    return Edit(_spans(reading, range(len(table.lanes)), bars), (), _chords(reading, bars), tally)


def accompany_song(
    song: OpenedSong,
    prompt: Prompt,
    player: Player,
    *,
    keep: Sequence[str] | None = None,
    harmonise: bool = False,
    leaning: Leaning = USUAL,
    on_bar: OnBar | None = None,
) -> Edit:
    """New parts (``prompt.parts``) beside those of the song, or beside the ones that are to be kept.

    Where the song says its chords they are followed; a melody alone is harmonised by the model, as everything is with
    ``harmonise``. A chart in ``prompt.chords`` goes before both. Raises :class:`BadRequest`.
    """
    parts = song.score.parts
    _check_notes(song)
    kept = list(range(len(parts))) if keep is None else _named(song, keep)
    if not kept:
        raise BadRequest("no part is kept: name one that the others are to accompany")
    heard = song.with_parts(kept)
    wishes = wishes_of(prompt)
    reading = read_song(heard, player.vocabulary, added=wishes)
    table = reading.table
    bars = range(table.bars)
    playable = [bar for bar in bars if table.metres[bar] >= 0]
    if not playable:
        raise BadRequest(f"the song's bars are in no metre the model knows: {', '.join(METRES)}")
    table.wanted[:, table.metres < 0] = False
    for bar in np.flatnonzero(table.metres < 0).tolist():
        for row in range(table.rows):
            if table.cells[row][bar] is None:
                table.cells[row][bar] = np.zeros(0, dtype=np.uint16)
    if prompt.chords is not None:
        _set_chart(reading, prompt.chords, bars)
    elif harmonise or not says_its_chords(reading.heard, list(range(len(heard.score.parts)))):
        table.cells[HARMONY] = [None if bar in playable else table.cells[HARMONY][bar] for bar in bars]
    _settle(reading, prompt, player)
    tally = _write(reading, prompt, player, leaning, on_bar)
    new = [lane for lane, source in enumerate(reading.sources) if source is None]
    added = tuple(_part(reading, lane, playable) for lane in new)
    removed = tuple(Span(number, 0, song.score.end_ticks + 1, ()) for number in range(len(parts)) if number not in kept)
    return Edit(removed, added, _chords(reading, playable), tally)


def infill_song(
    song: OpenedSong,
    prompt: Prompt,
    player: Player,
    *,
    parts: Sequence[str],
    bars: tuple[int, int],
    strength: float | None = None,
    leaning: Leaning = USUAL,
    on_bar: OnBar | None = None,
) -> Edit:
    """The named ``parts`` (all where there are none) written anew in ``bars``, first and last, counted from 1.

    With a ``strength`` from 0 to 1 what is there is varied: 0 leaves it, 1 keeps nothing of it. The chords are those of
    the song, or of ``prompt.chords``. Raises :class:`BadRequest`.
    """
    _check_notes(song)
    targets = _named(song, parts) if parts else _playable(song)
    if strength is not None and not 0 <= strength <= 1:
        raise BadRequest(f"strength {strength:g} is outside 0 (as it is) to 1 (all new)")
    reading = read_song(song, player.vocabulary, targets=targets)
    table = reading.table
    first, last = bars[0] - 1, bars[1]
    if not 0 <= first < last <= table.bars:
        raise BadRequest(f"bars {bars[0]}-{bars[1]}: the song has bars 1 to {table.bars}; give FIRST-LAST inside them")
    span = range(first, last)
    _check_metres(reading, span)
    if strength == 0:
        return Edit()
    table.ends = last == table.bars and prompt.ending == "close" and strength is None
    around = [*range(max(0, first - NEIGHBOURS), first), *range(last, min(table.bars, last + NEIGHBOURS))]
    lanes = [reading.lane_of(number) for number in targets]
    for lane in lanes:
        described(reading, lane, around if strength is None else [*around, *span])
        table.wanted[lane, first:last] = True
        for bar in span:
            if strength is not None:
                # The odds of a present note fall evenly on a scale of nats; at 1 nothing leans on it.
                table.sketches[lane, bar] = (table.cell(FIRST_PART + lane, bar), STIFFEST * (1 - strength))
            table.cells[FIRST_PART + lane][bar] = None
    if prompt.chords is not None:
        _set_chart(reading, prompt.chords, span)
    others = [number for number in range(len(song.score.parts)) if number not in targets]
    if strength is not None and strength > 0.7 and not others:
        for bar in span:
            table.cells[HARMONY][bar] = None
    _apply(reading, lanes, prompt, song)
    tally = _write(reading, prompt, player, leaning, on_bar)
    chords = _chords(reading, span) if prompt.chords is not None else ()
    return Edit(_spans(reading, lanes, span), (), chords, tally)


def _write(reading: Reading, prompt: Prompt, player: Player, leaning: Leaning, on_bar: OnBar | None) -> Tally:
    assert prompt.seed is not None
    random = np.random.Generator(np.random.PCG64(prompt.seed))
    sampling = Sampling(prompt.temperature, prompt.top_p)
    writer = Writer(reading.table, player.engine, sampling, random, leaning, on_bar)
    tally = writer.write()
    mend(writer)
    return tally


def _settle(reading: Reading, prompt: Prompt, player: Player) -> None:
    """Let the model settle what is open in the headers of new parts, knowing those of the others."""
    table, v = reading.table, player.vocabulary
    assert prompt.seed is not None
    random = np.random.Generator(np.random.PCG64([prompt.seed, 1]))
    header = Header(player.engine, v, Sampling(prompt.temperature, prompt.top_p), random)
    begin = int(np.flatnonzero(table.metres >= 0)[0])
    header.settle("metre", int(table.metres[begin]), [])
    header.settle("tempo", int(table.tempos[begin]), [])
    header.settle("key", int(table.keys[begin]), [])
    header.fed += [v.id("opening", 1), v.id("bars", min(table.bars, v.sizes["bars"]) - 1), v.form_lane, v.harmony_lane]
    shift = int(np.median(table.shifts))
    wishes = {wish.name: wish for wish in wishes_of(prompt)}
    for number, lane in enumerate(table.lanes):
        if reading.sources[number] is None:
            lane.header = header.part(wishes[lane.name], shift, slot=lane.header.slot)
        else:
            header.known(lane.header)


def _apply(reading: Reading, lanes: Sequence[int], prompt: Prompt, song: OpenedSong) -> None:
    """Set what the musician says of parts that are written anew: density, register and range."""
    said = (prompt.density, prompt.register, prompt.span)
    if not any(said):
        return
    for lane in lanes:
        row = reading.table.lanes[lane]
        wish = wishes_of(prompt.only(row.kind, row.name))[0]
        header = row.header
        row.span, row.density, row.register = wish.span, wish.density_bounds, wish.register_bounds
        if wish.density is not None:
            row.header = PartHeader(
                header.kind, header.slot, header.program, wish.density, header.polyphony, header.register
            )


def _set_chart(reading: Reading, text: str, bars: Sequence[int]) -> None:
    """The musician's chords for ``bars``, from their first on."""
    from midigen.charts import read_chart

    table, chart = reading.table, read_chart(text)
    metre = METRES[int(table.metres[bars[0]])]
    ids, lengths = spell_chords(chart.chords(len(bars), metre), len(bars), table.vocabulary)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for number, bar in enumerate(bars):
        table.cells[HARMONY][bar] = ids[starts[number] : starts[number + 1]].astype(np.uint16)


def _check_notes(song: OpenedSong) -> None:
    if not song.score.parts:
        raise BadRequest("the song holds no notes: give one with music in it")


def _check_metres(reading: Reading, bars: Sequence[int]) -> None:
    for bar in bars:
        if reading.table.metres[bar] < 0:
            raise BadRequest(
                f"bar {bar + 1} is cut short or in a metre the model does not know ({', '.join(METRES)}); "
                "leave it out of the bars"
            )
    if len(bars) > MOST_BARS:
        raise BadRequest(f"{len(bars)} bars: at most {MOST_BARS} can be written at once; do it in parts")


def _named(song: OpenedSong, names: Sequence[str]) -> list[int]:
    """The numbers of the parts that are called ``names``: a part's name, its number from 1, or an instrument."""
    parts = song.score.parts
    found: list[int] = []
    for name in names:
        plain = name.strip().casefold()
        fits = [n for n, part in enumerate(parts) if part.name.casefold() == plain]
        fits = fits or [n for n, part in enumerate(parts) if part.kind == plain]
        fits = fits or ([int(plain) - 1] if plain.isdigit() and 0 < int(plain) <= len(parts) else [])
        if not fits:
            there = ", ".join(f"{part.name} ({part.kind})" for part in parts)
            raise BadRequest(f"part {name!r} is not in this song: there are {there}")
        found += fits
    return sorted(set(found))


def _playable(song: OpenedSong) -> list[int]:
    found = [n for n, part in enumerate(song.score.parts) if part.kind in INSTRUMENTS]
    if not found:
        raise BadRequest("the song has no piano, guitar, bass or drum part; name the part to be written anew")
    free = {name: row.slots for name, row in INSTRUMENTS.items()}
    kept = []
    for number in sorted(found, key=lambda n: -len(song.score.parts[n].notes)):
        kind = song.score.parts[number].kind
        if free[kind]:
            free[kind] -= 1
            kept.append(number)
    return sorted(kept)


def _spans(reading: Reading, lanes: Sequence[int], bars: Sequence[int]) -> tuple[Span, ...]:
    start, end = int(reading.ruler.starts[bars[0]]), int(reading.ruler.starts[bars[-1] + 1])
    return tuple(
        Span(source, start, end, tuple(notes_of(reading, lane, bars, end)))
        for lane in lanes
        if (source := reading.sources[lane]) is not None
    )


def _part(reading: Reading, lane: int, bars: Sequence[int]) -> Part:
    row = reading.table.lanes[lane]
    end = int(reading.ruler.starts[-1])
    usual = INSTRUMENTS[row.kind].default_program
    program = row.program if row.program is not None else row.header.program
    return Part(
        name=row.name,
        kind=row.kind,
        program=usual if program is None else program,
        is_drum=INSTRUMENTS[row.kind].is_drum,
        notes=tuple(notes_of(reading, lane, bars, end)),
        controls=(Control(0, 7, 100), Control(0, 10, 64)),
    )


def _chords(reading: Reading, bars: Sequence[int]) -> tuple[Text, ...]:
    """The chords of ``bars`` as symbols at the song's ticks, where they change."""
    table = reading.table
    symbols: list[Text] = []
    for bar in bars:
        key = int(table.keys[bar])
        tonic = (key - int(table.shifts[bar])) % 12
        names = note_names(tonic, "minor" if key >= 12 else "major")
        for chord in read_chords(table.cell(HARMONY, bar), bar, table.vocabulary):
            symbol = chord.spelled(names)
            if not symbols or symbols[-1].text != symbol:
                symbols.append(Text(reading.ruler.tick(bar, chord.position), symbol))
    return tuple(symbols)
