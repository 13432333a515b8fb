"""A score as a player reads it: bars, staves, voices, noteheads by name, rests, ties and tuplets.

:func:`engrave` turns any :class:`~midigen.score.Score` into a :class:`Sheet`: onsets on sixteenths and triplets, swing
and looseness left out, a keyboard's notes on two staves, guitar and bass an octave above where they sound, drums on
their lines. How a sheet is written to a file is the business of :mod:`midigen.exporters.musicxml`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise

import numpy as np

from midigen.analysis import estimate_key
from midigen.charts.symbols import Symbol
from midigen.errors import BadRequest
from midigen.notation.percussion import drum_of
from midigen.notation.quantising import Strike, hear_swing, quantised, straightened
from midigen.notation.rhythm import UNITS, Measure, Piece, Tuplet, make_measure, pieces
from midigen.notation.sheet import (
    BASS,
    DRUM_CLEF,
    GUITAR_CLEF,
    HIGH_TREBLE,
    LOW_BASS,
    TREBLE,
    Clef,
    Head,
    Lyric,
    Placed,
    Sheet,
    SheetPart,
    Sign,
    Staff,
    Voice,
)
from midigen.notation.spelling import spelled
from midigen.notation.voices import (
    Chord,
    in_voices,
    settled,
    tuplets_of,
    two_hands,
    without_overlaps,
)
from midigen.notation.words import chords_over, lyrics_under, place_of, tempos_over, with_singer
from midigen.score import Key, Part, Score

MOST_MEASURES = 2048
TWO_STAVES = frozenset((*range(0, 8), *range(16, 24), 46))  # keyboards, organs, the harp
GUITARS, BASSES = range(24, 32), range(32, 40)


def engrave(score: Score) -> Sheet:
    """The notation of ``score``.

    Where it has no key one is heard. Raises :class:`BadRequest` for a score without notes, and for one of more than
    :data:`MOST_MEASURES` bars.
    """
    if not any(part.notes for part in score.parts):
        raise BadRequest("it holds no notes: there is nothing to write down")
    score = with_singer(score)
    swing = hear_swing(score)
    if swing is not None:
        score = straightened(score, swing)
    measures = _measures(score)
    keys = _keys(score, measures)
    chords = chords_over(score, measures)
    parts = tuple(_part(part, score, measures, keys, chords) for part in score.parts if part.notes)
    marks = tuple(Placed(*place_of(text.tick, score, measures, to_bar=True), text.text) for text in score.markers)
    tempos = tempos_over(score, measures)
    return Sheet(score.title, measures, keys, parts, chords, marks, tempos, swing)


def _measures(score: Score) -> tuple[Measure, ...]:
    scale = UNITS / score.ticks_per_quarter
    last = max(note.onset_ticks for part in score.parts for note in part.notes)
    last += score.ticks_per_quarter // 8  # what is a little early for a bar line belongs behind it
    ticks = score.bar_starts(MOST_MEASURES + 2)
    if ticks[-1] <= last:
        raise BadRequest(f"it has more than {MOST_MEASURES} bars; cut it into shorter files")
    count = max(int((ticks <= last).sum()), score.bars or 0)
    edges = np.rint(ticks[: count + 1] * scale).astype(int).tolist()
    found: list[Measure] = []
    for tick, (start, stop) in zip(ticks.tolist(), pairwise(edges), strict=False):
        if stop > start:  # a metre that is taken back at once leaves a bar of no length
            found.append(make_measure(len(found) + 1, start, stop - start, score.metre_at(tick)))
    return tuple(found)


def _keys(score: Score, measures: Sequence[Measure]) -> tuple[Key, ...]:
    """The key of each measure."""
    keys = list(score.keys)
    if not keys:
        chroma = np.zeros(12)
        for part in score.parts:
            if not part.is_drum and part.notes:
                np.add.at(chroma, part.note_table[:, 2] % 12, part.note_table[:, 1] + 1.0)
        tonic, mode = estimate_key(chroma)
        keys = [Key(0, tonic, mode)]
    found, current = [], keys[0]
    for measure in measures:
        upto = (measure.start + UNITS / 2) * score.ticks_per_quarter / UNITS
        current = ([key for key in keys if key.tick <= upto] or [current])[-1]
        found.append(current)
    return tuple(found)


def _part(
    part: Part, score: Score, measures: Sequence[Measure], keys: Sequence[Key], chords: Sequence[Placed]
) -> SheetPart:
    strikes, tuplets = quantised(part.notes, measures, score.ticks_per_quarter)
    stop = measures[-1].start + measures[-1].length
    strikes = [strike for strike in strikes if strike.onset < stop]
    lyrics = lyrics_under(part, strikes, score.ticks_per_quarter)
    if part.is_drum:
        keys_used = tuple(sorted({strike.pitch for strike in strikes}))
        staff = _drum_staff(strikes, tuplets, measures)
        return SheetPart(part.name, part.kind, part.program, True, (staff,), keys_used)
    if _needs_two_staves(part):
        groups = list(two_hands(strikes, frozenset(lyrics)))
        clefs: Sequence[Clef] = (TREBLE, BASS)
        tables = []
        for hand in groups:
            # Each hand is quantised by itself: two against three is two hands' business.
            ticks = {(strike.tick, strike.pitch) for strike in hand}
            notes = [note for note in part.notes if (note.onset_ticks, note.pitch) in ticks]
            own, found = quantised(notes, measures, score.ticks_per_quarter)
            tables.append(([strike for strike in own if strike.onset < stop], found))
    else:
        clefs, tables = (_clef_of(part),), [(strikes, tuplets)]
    most = 1 if part.program in BASSES else 2
    staves = []
    for clef, (own, found) in zip(clefs, tables, strict=True):
        slices = in_voices(without_overlaps(own), measures, most)
        own_tuplets = [tuplets_of(voice, found, measures) for voice in slices]
        voices = [settled(voice, measures, t) for voice, t in zip(slices, own_tuplets, strict=True)]
        staves.append(Staff(clef, _bars(voices, own_tuplets, measures, keys, chords, lyrics)))
    return SheetPart(part.name, part.kind, part.program, False, tuple(staves))


def _needs_two_staves(part: Part) -> bool:
    table = part.note_table
    low, high = np.quantile(table[:, 2], 0.05), np.quantile(table[:, 2], 0.95)
    if len(table) < 2:
        return False
    together = bool((table[1:, 0] - table[:-1, 0] < 0.25 * np.maximum(table[:-1, 1], 1)).mean() > 0.1)
    if part.program in TWO_STAVES:
        return together or (low < 55 and high > 64)
    if part.program in GUITARS or part.program in BASSES:
        return False
    return bool(together and low < 52 and high > 69)


def _clef_of(part: Part) -> Clef:
    if part.program in GUITARS:
        return GUITAR_CLEF
    if part.program in BASSES:
        return LOW_BASS
    pitches = part.note_table[:, 2]
    # An octave clef only where ledger lines would pile up without it.
    prices = {TREBLE: 0.0, BASS: 0.0, HIGH_TREBLE: 3.0, LOW_BASS: 3.0}
    return min(prices, key=lambda clef: prices[clef] + float(np.maximum(np.abs(pitches - clef.middle) - 10, 0).mean()))


def _drum_staff(
    strikes: Sequence[Strike], tuplets: dict[int, tuple[Tuplet, ...]], measures: Sequence[Measure]
) -> Staff:
    """Hands above, feet below. A stroke has no length: it is written to the next one, or to its beat's end."""
    voices, used = [], []
    for feet in (False, True):
        own = [strike for strike in strikes if drum_of(strike.pitch).foot is feet]
        slices = [tuple(group) for _, group in groupby(own, key=lambda strike: strike.onset)]
        if not slices:
            continue
        own_tuplets = tuplets_of(slices, tuplets, measures)
        chords = []
        for number, here in enumerate(slices):
            onset = here[0].onset
            bar = measures[bisect_right(measures, onset, key=lambda measure: measure.start) - 1]
            place = onset - bar.start
            until = bar.beat_of(place)[1]
            if number + 1 < len(slices):
                until = min(until, slices[number + 1][0].onset - bar.start)
            written = pieces(bar, place, until, own_tuplets.get(bar.number, ()), rest=False)
            chords.append(Chord(onset, bar.start + written[0].stop, here))  # a stroke is not tied
        voices.append(chords)
        used.append(own_tuplets)
    return Staff(DRUM_CLEF, _bars(voices, used, measures, (), (), {}))


def _bars(
    voices: Sequence[Sequence[Chord]],
    tuplets: Sequence[Mapping[int, tuple[Tuplet, ...]]],
    measures: Sequence[Measure],
    keys: Sequence[Key],
    chords: Sequence[Placed],
    lyrics: dict[int, Lyric],
) -> tuple[tuple[Voice, ...], ...]:
    """The voices of one staff bar by bar: what crosses a bar line is tied, what is silent gets rests.

    Of ``lyrics`` those are taken out that found their note.
    """
    sounding = _harmony(chords, measures)
    bars: list[tuple[Voice, ...]] = []
    per_voice = [_by_measure(voice, measures) for voice in voices]
    following = [_following(voice) for voice in voices]
    for index, measure in enumerate(measures):
        found: list[Voice] = []
        for number, voice in enumerate(per_voice):
            here = voice.get(index, [])
            if here:
                key = keys[index] if keys else None
                own = tuplets[number].get(measure.number, ())
                found.append(_voice(here, measure, own, key, sounding, following[number], lyrics))
            elif number == 0:
                found.append((_whole_rest(measure),))
        # A bar that only the lower voice plays is that voice's.
        if len(found) == 2 and found[0][0].fills_bar and found[0][0].is_rest:
            found = found[1:]
        bars.append(tuple(found) or ((_whole_rest(measure),),))
    return tuple(bars)


def _whole_rest(measure: Measure) -> Sign:
    return Sign(Piece(0, measure.length, "whole", 0), (), fills_bar=True)


def _by_measure(voice: Sequence[Chord], measures: Sequence[Measure]) -> dict[int, list[Chord]]:
    found: dict[int, list[Chord]] = {}
    index = 0
    for chord in voice:
        while measures[index].start + measures[index].length <= chord.onset:
            index += 1
        at = index
        while at < len(measures) and measures[at].start < chord.end:
            found.setdefault(at, []).append(chord)
            at += 1
    return found


def _following(voice: Sequence[Chord]) -> dict[int, int]:
    """Of each chord, by its onset, the highest pitch of the next one: where the line goes.

    A note that is struck again goes on being called what it was called, so it leads nowhere.
    """
    tops = [chord.strikes[-1].pitch for chord in voice]
    return {
        chord.onset: tops[n + 1]
        for n, chord in enumerate(voice[:-1])
        if not (n and tops[n - 1] == tops[n]) and tops[n + 1] != tops[n]
    }


def _harmony(chords: Sequence[Placed], measures: Sequence[Measure]) -> list[tuple[int, Symbol]]:
    return [
        (measures[placed.number - 1].start + placed.place, placed.symbol)
        for placed in chords
        if placed.symbol is not None
    ]


def _chord_at(sounding: Sequence[tuple[int, Symbol]], place: int) -> Symbol | None:
    number = bisect_right(sounding, place, key=lambda one: one[0]) - 1
    return sounding[number][1] if number >= 0 else None


def _voice(
    chords: Sequence[Chord],
    measure: Measure,
    tuplets: tuple[Tuplet, ...],
    key: Key | None,
    sounding: Sequence[tuple[int, Symbol]],
    following: dict[int, int],
    lyrics: dict[int, Lyric],
) -> Voice:
    signs: list[Sign] = []
    at = 0
    for chord in chords:
        start = max(chord.onset - measure.start, 0)
        stop = min(chord.end - measure.start, measure.length)
        signs += [Sign(piece, ()) for piece in pieces(measure, at, start, tuplets, rest=True)] if start > at else []
        written = pieces(measure, start, stop, tuplets, rest=False)
        symbol, leads, top = _chord_at(sounding, chord.onset), following.get(chord.onset), chord.strikes[-1]
        for piece in written:
            from_before = piece.start > start or chord.onset < measure.start
            goes_on = piece.stop < stop or chord.end > measure.start + measure.length
            heads = tuple(
                Head(
                    strike.pitch,
                    strike.velocity,
                    None if key is None else spelled(strike.pitch, key, symbol, leads if strike is top else None),
                    from_before,
                    goes_on,
                    strike.tick,
                )
                for strike in chord.strikes
            )
            signs.append(Sign(piece, heads, lyric=None if from_before else lyrics.pop(chord.onset, None)))
        at = stop
    if at < measure.length:
        signs += [Sign(piece, ()) for piece in pieces(measure, at, measure.length, tuplets, rest=True)]
    return tuple(signs)
