"""Changing some notes of somebody's MIDI file and nothing else.

An edit takes the notes of some parts out of some stretch of time, puts others there, and may add parts, markers and
chord symbols. Every other event keeps its track, its tick, its bytes, and its place among those that are left;
:func:`midigen.spans.difference` looks that up in every patched file before it is given out.

What an edit does on the channel it writes to:

* A note of the file is never shortened. Where one still sounds on the key of a new note, the new note begins after it
  if half of it is left, and is dropped if not; where one is struck before the new note ends, that ends there. A note
  that the file never lets go keeps its key to the end. The same among new notes: one ends where the next is struck.
* New notes are as long as they are to sound, so the sustain pedal (controller 64) of the old performance goes: it is
  taken out of the span, lifted at its start if it was down, and put down again at its end if music after it relies on
  that. It stays where another part of the same channel sounds in the span. Other controllers, bends and metas stay.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from midigen.charsets import encode
from midigen.errors import BadRequest
from midigen.events import (
    BEND,
    CONTROL,
    END_OF_TRACK,
    META,
    NOTE_OFF,
    NOTE_ON,
    PORT,
    PROGRAM,
    SYSEX,
    TRACK_NAME,
    Event,
    EventFile,
    Stroke,
    meta,
)
from midigen.instruments import INSTRUMENTS
from midigen.midi import BANK_SELECT
from midigen.opened import DRUM_CHANNEL, OpenedSong, drum_channels
from midigen.score import SUSTAIN_PEDAL, Note, Part, Text
from midigen.spans import (
    Span,
    channels_in_use,
    check_spans,
    difference,
    inside,
    is_end,
    ranges_of,
    text_event,
    text_events,
)

# The order of events at one tick. A note ends before the file's own events, which may strike its key again, and begins
# after them, which may choose its sound.
ENDS, PEDAL, KEPT, SET_UP, BEGINS, ENDS_AT_ONCE = range(6)
FOREVER = 2**62
VOLUME, PAN = 7, 10  # controllers of the MIDI standard; 100 and 64 are what General MIDI begins with
USUAL_VOLUME, MIDDLE = 100, 64


def patch(
    song: OpenedSong,
    *,
    spans: Sequence[Span] = (),
    added: Sequence[Part] = (),
    markers: Sequence[Text] = (),
    chords: Sequence[Text] = (),
    end_tick: int | None = None,
) -> bytes:
    """The bytes of ``song`` with the notes of ``spans`` changed, parts ``added``, and texts on its first track.

    Ticks are the file's own. A part that is added gets a track of its own and the free channel that has least on it
    (drums the tenth, beside those that are there); in a file of type 0 it goes into the one track. The song lasts to
    ``end_tick`` at least; tracks end later only where they must. Where nothing changes, the bytes are those that were
    given. Raises :class:`BadRequest` for spans that overlap or are of no part, and where no channel is free.
    """
    check_spans(song, spans)
    draft = _Draft(song.file)
    taken_out = ranges_of(song, spans)
    for number, track in enumerate(song.file.tracks):
        for stroke in track.paired[0]:
            if inside(stroke.onset, taken_out.get((number, stroke.channel), ())):
                draft.gone[number] |= {stroke.on} if stroke.off is None else {stroke.on, stroke.off}
    _clear_pedals(song, spans, draft)
    wanted = [
        _Wanted(part.track, part.port, part.channel, span.end_tick, note)
        for span in spans
        for part in (song.parts[span.part],)
        for note in span.notes
    ]
    in_use = channels_in_use(song.file, taken_out)
    for part in added:
        wanted += _set_up(song, part, in_use, draft)
    _put_notes(wanted, draft)
    there = set(song.file.tracks[0].events)
    chords = [chord for chord in chords if text_event(chord, song.charset) not in there]
    for event in text_events(markers, chords, song.charset, song.file.division):
        if event not in there:
            draft.put(0, event.tick, SET_UP, event.data)
    data = draft.written(song, end_tick)
    if data != song.data:
        difference(song, data, spans, added=added, markers=markers, chords=chords)
    return data


class _Draft:
    """An edit while it is made: for each track the places of events that go, and the events that come."""

    def __init__(self, file: EventFile):
        self.file = file
        self.gone: list[set[int]] = [set() for _ in file.tracks]
        self.new: list[list[tuple[int, int, bytes]]] = [[] for _ in file.tracks]

    def put(self, track: int, tick: int, order: int, data: bytes) -> None:
        """Put an event at ``tick`` of a track, in the ``order`` given above among others at that tick."""
        self.new[track].append((tick, order, data))

    @cached_property
    def kept(self) -> dict[tuple[int, int], list[tuple[int, Stroke]]]:
        """The notes that stay, with the numbers of their tracks, by port and channel; to be asked for once all others
        are ``gone``."""
        found: dict[tuple[int, int], list[tuple[int, Stroke]]] = defaultdict(list)
        for number, track in enumerate(self.file.tracks):
            for stroke in track.paired[0]:
                if stroke.on not in self.gone[number]:
                    found[track.port, stroke.channel].append((number, stroke))
        return found

    def written(self, song: OpenedSong, end_tick: int | None) -> bytes:
        """The file with what is gone left out and what is new put in."""
        count = len(self.file.tracks)
        changed = {n: self._events(n) for n in range(count) if self.gone[n] or self.new[n]}
        added = [self._events(n) for n in range(count, len(self.new))]
        end = max(self.file.end_tick, end_tick or 0, *(events[-1].tick for events in (*changed.values(), *added)), 0)
        if end_tick is not None and end == end_tick > self.file.end_tick:
            changed[0] = [*changed.get(0, self._events(0))[:-1], self._end(0, end)]
        added = [[*events[:-1], events[-1]._replace(tick=end)] for events in added]
        return self.file.with_tracks(changed, added) if changed or added else song.data

    def _events(self, number: int) -> list[Event]:
        """The events of a track as they are to be, with its end no earlier than it was."""
        old = self.file.tracks[number].events if number < len(self.file.tracks) else ()
        gone = self.gone[number] if old else set()
        kept = [
            (event.tick, KEPT, event.data) for place, event in enumerate(old) if place not in gone and not is_end(event)
        ]
        merged = sorted(kept + self.new[number], key=lambda entry: entry[:2])
        events = [Event(tick, data) for tick, _, data in merged]
        last = max(events[-1].tick if events else 0, old[-1].tick if old else 0)
        return [*events, self._end(number, last)]

    def _end(self, number: int, tick: int) -> Event:
        old = self.file.tracks[number].events if number < len(self.file.tracks) else ()
        return Event(tick, old[-1].data if old and is_end(old[-1]) else meta(END_OF_TRACK))


class _Wanted(NamedTuple):
    """A new note on its way into a track and channel; it may not begin at ``until`` or later."""

    track: int
    port: int
    channel: int
    until: int
    note: Note


def _clear_pedals(song: OpenedSong, spans: Sequence[Span], draft: _Draft) -> None:
    """Take the sustain pedal out of the spans, so that what lies outside hears it as before."""
    homes: dict[tuple[int, int], list[tuple[int, Span]]] = defaultdict(list)
    for span in spans:
        part = song.parts[span.part]
        homes[part.port, part.channel].append((part.track, span))
    pedals: dict[tuple[int, int], list[tuple[int, int, int, int]]] = defaultdict(list)
    for number, track in enumerate(song.file.tracks):
        for place, (tick, data) in enumerate(track.events):
            if data[0] & 0xF0 == CONTROL and data[1] == SUSTAIN_PEDAL:
                pedals[track.port, data[0] & 0x0F].append((tick, number, place, data[2]))
    for (port, channel), there in homes.items():
        kept = draft.kept[port, channel]
        moves = sorted(pedals[port, channel])
        ticks = [tick for tick, *_ in moves]
        alone = []
        for _, span in there:
            start, end = span.start_tick, span.end_tick
            place = bisect_left(ticks, start)
            while place and moves[place - 1][3]:
                place -= 1
            # What was let go since the pedal went down sounds at the start still.
            since = min(ticks[place], start) if place < len(ticks) else start
            changing = {number for number, other in there if other.start_tick <= start and end <= other.end_tick}
            if not any(
                stroke.onset < end and (stroke.end is None or stroke.end > since)
                for number, stroke in kept
                if number not in changing
            ):
                alone.append((start, end))
        for start, end in _joined(alone):
            first, last = bisect_left(ticks, start), bisect_left(ticks, end)
            for _, number, place, _ in moves[first:last]:
                draft.gone[number].add(place)
            if first and moves[first - 1][3]:
                draft.put(there[0][0], start, PEDAL, bytes([CONTROL | channel, SUSTAIN_PEDAL, 0]))
            needed = any(stroke.end is None or stroke.end > end for _, stroke in kept) and end not in ticks
            if needed and last and moves[last - 1][3]:
                draft.put(there[0][0], end, PEDAL, bytes([CONTROL | channel, SUSTAIN_PEDAL, moves[last - 1][3]]))


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges with those that touch or overlap made one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _put_notes(wanted: Sequence[_Wanted], draft: _Draft) -> None:
    """Put new notes into the draft, each fitted among the others and the kept notes of its key."""
    keys: dict[tuple[int, int], dict[int, list[_Wanted]]] = defaultdict(lambda: defaultdict(list))
    for want in wanted:
        keys[want.port, want.channel][want.note.pitch].append(want)
    for (port, channel), by_pitch in keys.items():
        kept: dict[int, list[_Taken]] = defaultdict(list)
        for number, stroke in draft.kept[port, channel]:
            end = FOREVER if stroke.end is None else stroke.end
            kept[stroke.pitch].append(_Taken(stroke.onset, end, number, True))
        for number, track in enumerate(draft.file.tracks):
            for event in (track.events[place] for place in track.paired[1] if track.port == port):
                if event.data[0] & 0x0F == channel:
                    kept[event.data[1]].append(_Taken(event.tick, event.tick, number, False))
        for pitch, wants in by_pitch.items():
            for want, onset, end in _apart(_fitted(wants, sorted(kept[pitch]))):
                draft.put(want.track, onset, BEGINS, bytes([NOTE_ON | channel, pitch, want.note.velocity]))
                order = ENDS if end > onset else ENDS_AT_ONCE
                draft.put(want.track, end, order, bytes([NOTE_OFF | channel, pitch, 0]))


class _Taken(NamedTuple):
    """When a key is taken: by a note that stays, or for a moment by a note-off of the file that ends none."""

    onset: int
    end: int
    track: int
    is_note: bool


def _fitted(wants: Sequence[_Wanted], kept: Sequence[_Taken]) -> Iterator[tuple[_Wanted, int, int]]:
    """The new notes of one key with the onsets and ends that leave what is ``kept`` of it alone.

    Events of one tick are played in the order of the tracks. So a note of a later track, ending on a new note's onset,
    would end that as well; and a note of an earlier one, beginning on a new note's end, would be ended by it.
    """
    onsets = [one.onset for one in kept]
    free_from, free_until = {}, {}
    for track in {want.track for want in wants}:
        ends = (one.end + (one.track > track) for one in kept)
        free_from[track] = list(accumulate(ends, max))
        begins = (one.onset - (one.is_note and one.track < track) for one in reversed(kept))
        free_until[track] = list(accumulate(begins, min))[::-1]
    for want in wants:
        onset, end = want.note.onset_ticks, want.note.end_ticks
        begin = onset
        while (place := bisect_right(onsets, begin)) and free_from[want.track][place - 1] > begin:
            begin = free_from[want.track][place - 1]
        if begin >= want.until or (begin > onset and 2 * (end - begin) < end - onset):
            continue
        if place < len(kept):
            end = min(end, free_until[want.track][place])
        if end > begin or (end == begin and not want.note.duration_ticks):
            yield want, begin, end


def _apart(fitted: Iterable[tuple[_Wanted, int, int]]) -> list[tuple[_Wanted, int, int]]:
    """New notes of one key made to follow each other; of those that begin together the longest stays."""
    found: list[tuple[_Wanted, int, int]] = []
    for want, onset, end in sorted(fitted, key=lambda entry: (entry[1], -entry[2], entry[0].track)):
        if found and found[-1][1] == onset:
            continue
        found.append((want, onset, end))
    for place, (one, other) in enumerate(pairwise(found)):
        end = min(one[2], max(other[1] - (one[0].track > other[0].track), one[1]))
        found[place] = (one[0], one[1], end)
    return found


def _set_up(song: OpenedSong, part: Part, in_use: set[tuple[int, int]], draft: _Draft) -> list[_Wanted]:
    """Give a new part its track and channel, with name and sound; returns its notes, still to be fitted."""
    file = song.file
    port, channel = _free_channel(song, part, in_use)
    number = 0
    if file.kind:
        number = len(draft.new)
        draft.new.append([])
        if any(event.data[:2] == bytes([META, PORT]) for track in file.tracks for event in track.events):
            draft.put(number, 0, SET_UP, meta(PORT, bytes([port])))
        if part.name:
            draft.put(number, 0, SET_UP, meta(TRACK_NAME, encode(part.name, song.charset)))
    first = min((note.onset_ticks for note in part.notes), default=0)
    if (port, channel) not in in_use:  # drums beside drums leave the kit as it is
        for tick, message in _sound(part, file, first):
            draft.put(number, tick, SET_UP, bytes([message[0] | channel, *message[1:]]))
    in_use.add((port, channel))
    return [_Wanted(number, port, channel, FOREVER, note) for note in sorted(part.notes)]


def _sound(part: Part, file: EventFile, first: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The messages, for channel 0, that choose a part's sound, and its controllers and bends."""
    # SysEx such as "General MIDI on" would put it back to a piano.
    resets = (event.tick for track in file.tracks for event in track.events if event.data[0] in SYSEX)
    start = max((tick for tick in resets if tick <= first), default=0)
    if part.bank or not part.is_drum:  # in XG, bank 0 would make the drum channel play another instrument
        for control, value in zip(BANK_SELECT, divmod(part.bank, 128), strict=True):
            yield start, (CONTROL, control, value)
    yield start, (PROGRAM, part.program)
    said = {control.number for control in part.controls}
    row = INSTRUMENTS.get(part.kind)
    pan = round(MIDDLE + (MIDDLE - 1) * row.pan) if row else MIDDLE
    for control, value in ((VOLUME, USUAL_VOLUME), (PAN, pan)):
        if control not in said:
            yield start, (CONTROL, control, value)
    for move in part.controls:
        yield max(move.tick, start), (CONTROL, move.number, move.value)
    for bend in part.bends:
        yield bend.tick, (BEND, (bend.value + 8192) & 0x7F, (bend.value + 8192) >> 7)


def _free_channel(song: OpenedSong, part: Part, in_use: set[tuple[int, int]]) -> tuple[int, int]:
    """A port and channel that play no notes: if possible on no port at all (many programs know no ports), and with the
    fewest events of another kind."""
    ports = sorted({track.port for track in song.file.tracks if any(e.data[0] < 0xF0 for e in track.events)} or {0})
    if part.is_drum:
        return ports[0], DRUM_CHANNEL
    events: dict[int, int] = defaultdict(int)
    for track in song.file.tracks:
        for event in track.events:
            if event.data[0] < 0xF0:
                events[event.data[0] & 0x0F] += 1
    busy = {channel for _, channel in in_use}
    drums, _ = drum_channels(song.file)
    free = [
        (channel in busy, events[channel], port, channel)
        for port in ports
        for channel in range(16)
        if channel not in drums | {DRUM_CHANNEL} and (port, channel) not in in_use
    ]
    if not free:
        raise BadRequest(
            f"no MIDI channel is free for {part.name!r}: the song plays on all 15 that are not the drums'; "
            "add fewer parts, or keep fewer of the song's"
        )
    _, _, port, channel = min(free)
    return port, channel
