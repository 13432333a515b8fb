"""Where an edit of a MIDI file may write, and the check that it wrote nowhere else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from midigen.charsets import encode
from midigen.chordmarks import chord_events
from midigen.errors import BadRequest, OutputError
from midigen.events import (
    CONTROL,
    END_OF_TRACK,
    MARKER,
    META,
    NOTE_OFF,
    NOTE_ON,
    TEXT,
    Event,
    EventFile,
    Track,
    meta,
    read_events,
)
from midigen.opened import DRUM_CHANNEL, OpenedSong
from midigen.score import SUSTAIN_PEDAL, Note, Part, Text

Ranges = dict[tuple[int, int], list[tuple[int, int]]]


@dataclass(frozen=True)
class Span:
    """A stretch of one part: its notes that begin at ``start_tick`` or later and before ``end_tick`` are taken out, and
    ``notes`` put in.

    ``part`` is its number from 0 in :class:`midigen.opened.OpenedSong`. Ticks are the file's. New notes begin inside
    the span and may end after it. Raises :class:`BadRequest`.
    """

    part: int
    start_tick: int
    end_tick: int
    notes: Sequence[Note] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.start_tick < self.end_tick:
            raise BadRequest(
                f"a span from tick {self.start_tick} to {self.end_tick}: it must begin at 0 or later and end after that"
            )
        object.__setattr__(self, "notes", tuple(sorted(self.notes)))
        for note in self.notes:
            if not self.start_tick <= note.onset_ticks < self.end_tick:
                raise BadRequest(
                    f"a note at tick {note.onset_ticks} lies outside its span ({self.start_tick} to before "
                    f"{self.end_tick}); put it into another"
                )


@dataclass(frozen=True)
class Difference:
    """What an edit took out of a file and put into it, as ``(track, tick, bytes)``; ends of tracks are left out."""

    removed: tuple[tuple[int, int, bytes], ...]
    added: tuple[tuple[int, int, bytes], ...]


def text_event(text: Text, charset: str) -> Event:
    """A text as the event that holds nothing else."""
    return Event(text.tick, meta(TEXT, encode(text.text, charset)))


def text_events(markers: Iterable[Text], chords: Iterable[Text], charset: str, division: int) -> list[Event]:
    """Markers and chord symbols as the meta events that :func:`midigen.midi.midi_bytes` writes, in order of time."""
    found = [Event(text.tick, meta(MARKER, encode(text.text, charset))) for text in markers]
    found += chord_events(chords, division, lambda text: encode(text, charset))
    return sorted(found, key=lambda event: event.tick)


def is_end(event: Event) -> bool:
    """Whether the event ends its track."""
    return event.data[0] == META and event.data[1] == END_OF_TRACK


def check_spans(song: OpenedSong, spans: Sequence[Span]) -> None:
    """Raise :class:`BadRequest` where a span is of no part of ``song``, or two of one part overlap."""
    for span in spans:
        if not 0 <= span.part < len(song.parts):
            raise BadRequest(f"part {span.part}: the song has parts 0 to {len(song.parts) - 1}, counted from 0")
    ordered = sorted(spans, key=lambda span: (span.part, span.start_tick))
    for one, other in pairwise(ordered):
        if one.part == other.part and other.start_tick < one.end_tick:
            raise BadRequest(
                f"two spans of part {one.part} overlap at tick {other.start_tick}; join them or move one of them"
            )


def inside(tick: int, ranges: Iterable[tuple[int, int]]) -> bool:
    """Whether ``tick`` lies in one of ``ranges`` (start, end); the end itself does not."""
    return any(start <= tick < end for start, end in ranges)


def ranges_of(song: OpenedSong, spans: Iterable[Span], *, by_port: bool = False) -> Ranges:
    """The stretches of ``spans`` for each track and channel, or for each port and channel."""
    found: Ranges = defaultdict(list)
    for span in spans:
        part = song.parts[span.part]
        found[part.port if by_port else part.track, part.channel].append((span.start_tick, span.end_tick))
    return found


def channels_in_use(file: EventFile, taken_out: Ranges) -> set[tuple[int, int]]:
    """The ports and channels that play notes beside those that begin in ``taken_out`` (by track and channel)."""
    return {
        (track.port, stroke.channel)
        for number, track in enumerate(file.tracks)
        for stroke in track.paired[0]
        if not inside(stroke.onset, taken_out.get((number, stroke.channel), ()))
    }


def difference(
    before: OpenedSong,
    after: bytes,
    spans: Sequence[Span] = (),
    *,
    added: Sequence[Part] = (),
    markers: Sequence[Text] = (),
    chords: Sequence[Text] = (),
) -> Difference:
    """What lies between a song and its edit; raises :class:`OutputError` where that is more than was asked for.

    Asked for are: other notes that begin in ``spans``, the sustain pedal of their channels inside them and at their
    ends, a track for each part ``added`` (in a file of type 0: notes on channels that played none), and the texts. All
    other events must be there with their track, tick and bytes, in their order, and no track may end earlier.
    """
    file, other = before.file, read_events(after, before.label)
    check = _Check(before, spans, added, text_events(markers, chords, before.charset, file.division))
    count, more = len(file.tracks), len(other.tracks) - len(file.tracks)
    if (file.kind, file.division) != (other.kind, other.division) or file.wrapper_head != other.wrapper_head:
        raise check.refused("its header")
    if more != (len(added) if file.kind else 0):
        raise check.refused(f"{more} more tracks for {len(added)} parts")
    if other.gaps[1:] != (*file.gaps[1:count], *(b"",) * more, file.gaps[count]):
        raise check.refused("what stands between its tracks")
    removed: list[tuple[int, int, bytes]] = []
    put: list[tuple[int, int, bytes]] = []
    for number, now in enumerate(other.tracks):
        was = file.tracks[number] if number < count else Track(())
        if was.chunk == now.chunk:
            continue
        if number >= count:
            check.new_track(number, now)
        else:
            check.old_track(number, was, now)
        olds, news = (Counter(event for event in track.events if not is_end(event)) for track in (was, now))
        removed += [(number, *event) for event in (olds - news).elements()]
        put += [(number, *event) for event in (news - olds).elements()]
    return Difference(tuple(sorted(removed)), tuple(sorted(put)))


class _Check:
    """The rules of :func:`difference` for one edit."""

    def __init__(self, before: OpenedSong, spans: Sequence[Span], added: Sequence[Part], texts: Sequence[Event]):
        self.before, self.texts, self.adds = before, set(texts), bool(added)
        self.notes = ranges_of(before, spans)
        self.pedals = ranges_of(before, spans, by_port=True)
        self.in_use = channels_in_use(before.file, self.notes)
        self.adds_drums = any(part.is_drum for part in added)

    def refused(self, what: str) -> OutputError:
        return OutputError(
            f"{self.before.label}: the edit would have changed what was not asked for ({what}); nothing was written, "
            "please report this file"
        )

    def old_track(self, number: int, was: Track, now: Track) -> None:
        """Everything outside the spans is still there, in order, and nothing strange beside it."""
        kept = self._outside(number, was)
        found = 0
        for event in self._outside(number, now):
            if found < len(kept) and event == kept[found]:
                found += 1
            elif not self._may_add(number, now.port, event):
                lost = found < len(kept) and kept[found] not in now.events
                event = kept[found] if lost else event
                raise self.refused(_named(number, event, "is gone or has moved" if lost else "is new"))
        if found < len(kept):
            raise self.refused(_named(number, kept[found], "is gone or has moved"))
        if now.end_tick < was.end_tick or now.tail != was.tail:
            raise self.refused(f"the end of track {number + 1}")

    def new_track(self, number: int, now: Track) -> None:
        """A track for a new part plays only on a channel that no other part plays on, drums apart."""
        for event in now.events:
            if event.data[0] < 0xF0 and not self._is_free(now.port, event):
                raise self.refused(_named(number, event, "is on another part's channel"))

    def _outside(self, number: int, track: Track) -> list[Event]:
        """The events of a track without the notes and pedals that the spans give free, and without its end."""
        free = set()
        for stroke in track.paired[0]:
            if inside(stroke.onset, self.notes.get((number, stroke.channel), ())):
                free |= {stroke.on, stroke.off}
        return [
            event
            for place, event in enumerate(track.events)
            if place not in free
            and not is_end(event)
            and not (_is_pedal(event) and inside(event.tick, self._pedal_ranges(track.port, event)))
        ]

    def _pedal_ranges(self, port: int, event: Event) -> Sequence[tuple[int, int]]:
        return self.pedals.get((port, event.data[0] & 0x0F), ())

    def _may_add(self, number: int, port: int, event: Event) -> bool:
        if _is_pedal(event) and any(event.tick == end for _, end in self._pedal_ranges(port, event)):
            return True
        if number == 0 and event in self.texts:
            return True
        return self.adds and not self.before.file.kind and event.data[0] < 0xF0 and self._is_free(port, event)

    def _is_free(self, port: int, event: Event) -> bool:
        channel = event.data[0] & 0x0F
        if channel == DRUM_CHANNEL and self.adds_drums and event.data[0] & 0xF0 in (NOTE_OFF, NOTE_ON):
            return True
        return (port, channel) not in self.in_use


def _is_pedal(event: Event) -> bool:
    return event.data[0] & 0xF0 == CONTROL and event.data[1] == SUSTAIN_PEDAL


def _named(number: int, event: Event, what: str) -> str:
    return f"track {number + 1}, tick {event.tick}: {event.data[:8].hex(' ')} {what}"
