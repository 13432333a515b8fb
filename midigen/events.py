"""A MIDI file as its events, each with the bytes it came with, and back: what an edit of somebody's file stands on.

What is not edited goes through untouched: a track that does not change keeps its bytes, and one that does keeps every
event of its own byte for byte, be it unknown, of a wrong length, or text in any charset. That is why no MIDI library
reads here. mido 1.3 forgets the time of a meta event it does not know (all that follows moves), turns escapes and
split SysEx into other messages, cuts or refuses metas of an unusual length; symusic and pretty_midi keep no messages.

The format: Standard MIDI Files 1.0 (RP-001), and RMID, the same in a RIFF file (RP-029).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from midigen.charsets import decode, guess_charset
from midigen.errors import BadFile
from midigen.score import LONGEST_TICKS, Text

LARGEST_FILE = 16 << 20  # bytes; a song of an hour has a fiftieth of that
MOST_EVENTS = 1_000_000  # in a file: what can be held in half a gigabyte
META, TEXT, TRACK_NAME, INSTRUMENT_NAME, LYRIC, MARKER, PORT, END_OF_TRACK = 0xFF, 1, 3, 4, 5, 6, 0x21, 0x2F
TEXTS = (TEXT, 2, TRACK_NAME, INSTRUMENT_NAME, LYRIC, MARKER, 7, 8, 9)  # the metas that hold words
TEMPO, TIME_SIGNATURE, KEY_SIGNATURE, SEQUENCER_SPECIFIC = 0x51, 0x58, 0x59, 0x7F
NOTE_OFF, NOTE_ON, CONTROL, PROGRAM, BEND = 0x80, 0x90, 0xB0, 0xC0, 0xE0
SYSEX = (0xF0, 0xF7)
# Bytes after a system message's status (MIDI 1.0, table 5). A file should not hold these; some do.
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}
_STATUS = [bytes([status]) for status in range(256)]


class Event(NamedTuple):
    """A message at an absolute ``tick``: ``data`` is its status byte (also where the file left it out as running
    status) and all that follows it; metas and SysEx hold their length as the file writes it."""

    tick: int
    data: bytes


class Stroke(NamedTuple):
    """A note of a track: the places of the events that begin and end it, and what it is.

    ``off`` and ``end`` are ``None`` for a note that is never let go.
    """

    on: int
    off: int | None
    channel: int
    pitch: int
    velocity: int
    onset: int
    end: int | None


@dataclass(frozen=True)
class Track:
    """One track: ``events`` in file order, ``chunk`` as it stands in the file, and the bytes after its end of track.

    ``running`` says whether the file leaves out a status byte that repeats.
    """

    events: tuple[Event, ...]
    chunk: bytes = b""
    tail: bytes = b""
    running: bool = True

    @property
    def end_tick(self) -> int:
        """The tick of the last event, which is the end of track where there is one."""
        return self.events[-1].tick if self.events else 0

    @cached_property
    def port(self) -> int:
        """The MIDI port the track plays on; 0 where it does not say."""
        ports = (meta_of(event) for event in self.events if event.data[0] == META and event.data[1] == PORT)
        return next((text[0] for _, text in ports if text), 0)

    @cached_property
    def paired(self) -> tuple[tuple[Stroke, ...], tuple[int, ...]]:
        """The notes in the order they begin, and the places of the note-offs that end none.

        Of several notes sounding on one key the first to begin is the first to end.
        """
        begun: dict[tuple[int, int], deque[int]] = defaultdict(deque)
        ends: dict[int, tuple[int, int] | None] = {}
        strays: list[int] = []
        for place, (tick, data) in enumerate(self.events):
            message = data[0] & 0xF0
            if message == NOTE_ON and data[2]:
                begun[data[0] & 0x0F, data[1]].append(place)
                ends[place] = None
            elif message in (NOTE_OFF, NOTE_ON):
                if waiting := begun[data[0] & 0x0F, data[1]]:
                    ends[waiting.popleft()] = (place, tick)
                else:
                    strays.append(place)
        strokes = []
        for on, let_go in ends.items():
            tick, data = self.events[on]
            off, end = let_go or (None, None)
            strokes.append(Stroke(on, off, data[0] & 0x0F, data[1], min(data[2], 127), tick, end))
        return tuple(strokes), tuple(strays)


@dataclass(frozen=True)
class EventFile:
    """A whole file: type (``kind`` 0 or 1), ticks a quarter (``division``), tracks, and the bytes between them.

    ``gaps`` has one more member than ``tracks``: the header chunk with what stands before the first track, chunks of
    other kinds between tracks, and what follows the last. ``wrapper`` is what a RIFF file has before and after.
    """

    kind: int
    division: int
    tracks: tuple[Track, ...]
    gaps: tuple[bytes, ...]
    wrapper: tuple[bytes, bytes] | None = None

    @property
    def wrapper_head(self) -> bytes:
        """What a RIFF file holds before its MIDI file, sizes apart, and after it; else nothing."""
        return b"" if self.wrapper is None else self.wrapper[0][8:-4] + self.wrapper[1]

    @property
    def end_tick(self) -> int:
        """The tick at which the longest track ends."""
        return max(track.end_tick for track in self.tracks)

    def with_tracks(self, changed: Mapping[int, Iterable[Event]], added: Sequence[Iterable[Event]] = ()) -> bytes:
        """The file's bytes with other events in the tracks that ``changed`` numbers and with tracks ``added`` last.

        Events are in order of their ticks and hold an end of track. All other tracks keep their bytes.
        """
        head = bytearray(self.gaps[0])
        if added:
            head[10:12] = (len(self.tracks) + len(added)).to_bytes(2, "big")
        out = [bytes(head)]
        for number, track in enumerate(self.tracks):
            out.append(track_chunk(changed[number], track.running, track.tail) if number in changed else track.chunk)
            if number == len(self.tracks) - 1:
                out += [track_chunk(events) for events in added]
            out.append(self.gaps[number + 1])
        data = b"".join(out)
        if self.wrapper is None:
            return data
        before, after = self.wrapper
        body = data + b"\0" * (len(data) % 2) + after
        size = len(before) - 8 + len(body)
        return b"RIFF" + size.to_bytes(4, "little") + before[8:-4] + len(data).to_bytes(4, "little") + body


def events(data: bytes, label: str = "MIDI data") -> list[tuple[int, int, bytes]]:
    """Every event of a file as ``(track, tick, bytes)``, track by track in file order. Raises :class:`BadFile`."""
    tracks = read_events(data, label).tracks
    return [(number, event.tick, event.data) for number, track in enumerate(tracks) for event in track.events]


def meta_of(event: Event) -> tuple[int, bytes]:
    """The type of a meta event (0..127) and what it holds, without its length."""
    return event.data[1], held(event)


def held(event: Event) -> bytes:
    """What a meta event or SysEx holds, without its length."""
    at = 2 if event.data[0] == META else 1
    while event.data[at] & 0x80:
        at += 1
    return event.data[at + 1 :]


def meta(kind: int, text: bytes = b"") -> bytes:
    """The ``data`` of a meta event of type ``kind`` that holds ``text``."""
    return bytes([META, kind]) + _variable(len(text)) + text


def charset_of(file: EventFile) -> str:
    """The charset that the texts of a file seem to be written in: see :mod:`midigen.charsets`."""
    metas = (meta_of(event) for track in file.tracks for event in track.events if event.data[0] == META)
    return guess_charset(text for kind, text in metas if kind in TEXTS)


def lyrics_of(file: EventFile, charset: str) -> dict[int, tuple[Text, ...]]:
    """The lyric events of each track (from 0) that has any, in order of time."""
    found = {
        number: tuple(
            Text(event.tick, decode(held(event), charset))
            for event in track.events
            if event.data[0] == META and event.data[1] == LYRIC
        )
        for number, track in enumerate(file.tracks)
    }
    return {number: texts for number, texts in found.items() if texts}


def read_events(data: bytes, label: str = "MIDI data") -> EventFile:
    """Read a Standard MIDI File of type 0 or 1, RIFF-wrapped or not; ``label`` names it in messages.

    Raises :class:`BadFile` with one line for what is no MIDI, truncated, broken, of type 2, or timed in film frames.
    """
    check_size(data, label)
    wrapper, body = _unwrapped(data)
    if body[:4] != b"MThd":
        raise BadFile(f"{label}: not a MIDI file (it does not begin with MThd); give a .mid file")
    at = 8 + int.from_bytes(body[4:8], "big")
    if len(body) < max(at, 14):
        raise BadFile(f"{label}: truncated MIDI file ({len(body)} bytes); export it again from its source")
    kind, count, division = (int.from_bytes(body[place : place + 2], "big") for place in (8, 10, 12))
    if kind == 2:
        raise BadFile(f"{label}: a MIDI file of type 2, whose tracks are songs of their own; export one as type 1")
    if kind > 2:
        raise BadFile(f"{label}: broken MIDI file (type {kind} is not 0 or 1); export it again from its source")
    if division & 0x8000:
        raise BadFile(f"{label}: its time is counted in film frames (SMPTE), not in beats; export it in ticks")
    if not division:
        raise BadFile(f"{label}: broken MIDI file (0 ticks a quarter); export it again from its source")
    if not count:
        raise BadFile(f"{label}: a MIDI file without a track; give one with music in it")
    tracks: list[Track] = []
    gaps, gap = [], 0
    room = MOST_EVENTS
    while len(tracks) < count:
        size = int.from_bytes(body[at + 4 : at + 8], "big")
        if len(body) < at + 8 + size or len(body) < at + 8:
            there = f"it ends inside track {len(tracks) + 1} of {count}"
            raise BadFile(f"{label}: truncated MIDI file ({there}); export it again from its source")
        end = at + 8 + size
        if body[at : at + 4] == b"MTrk":
            tracks.append(_read_track(body[at:end], f"{label}: broken MIDI file (track {len(tracks) + 1} ", room))
            room -= len(tracks[-1].events)
            if room < 0:
                raise BadFile(f"{label}: more than {MOST_EVENTS:,} events; give a song, or a part of this one")
            gaps.append(body[gap:at])
            gap = end
        at = end
    return EventFile(kind, division, tuple(tracks), (*gaps, body[gap:]), wrapper)


def read_file(source: str | Path, label: str) -> bytes:
    """What is in a MIDI file, or as much of it as tells that it is too large. Raises :class:`BadFile`."""
    try:
        with open(source, "rb") as file:
            return file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise BadFile(f"{label}: no such file; give the path of a .mid file") from None
    except OSError as error:
        raise BadFile(f"{label}: cannot be read ({error.strerror}); give the path of a .mid file") from None
    except ValueError:  # a NUL in its name
        raise BadFile(f"{label!r}: cannot be the name of a file; give the path of a .mid file") from None


def check_size(data: bytes, label: str) -> None:
    """Raise :class:`BadFile` for a file that is larger than songs are."""
    if len(data) > LARGEST_FILE:
        raise BadFile(f"{label}: larger than {LARGEST_FILE >> 20} MB; give a song, or a part of this one")


def _unwrapped(data: bytes) -> tuple[tuple[bytes, bytes] | None, bytes]:
    """What a RIFF file has around its MIDI file, up to and with that chunk's header and after it, and the MIDI file."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return None, data
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        start, end = at + 8, at + 8 + size
        if data[at : at + 4] == b"data":
            return (data[:start], data[end + size % 2 :]), data[start:end]
        at = end + size % 2
    return None, data[max(data.find(b"MThd"), 0) :]  # sizes that lead nowhere: what is found is given without them


def _read_track(chunk: bytes, broken: str, room: int) -> Track:
    """The events of a ``MTrk`` chunk up to its end of track, or a few more than there is ``room`` for; ``broken``
    begins the message where there are none."""
    found: list[Event] = []
    at, tick, status, running, size = 8, 0, 0, False, len(chunk)
    try:
        while at < size and len(found) <= room:
            delta = chunk[at]
            at += 1
            if delta & 0x80:
                delta, at = _number(chunk, at - 1)
            tick += delta
            byte = chunk[at]
            start = at
            if byte < 0xF0:
                if byte & 0x80:
                    status = byte
                    at += 1
                elif status:
                    running = True
                else:
                    raise ValueError("has data before any message")
                stop = at + (1 if 0xC0 <= status < 0xE0 else 2)
                if chunk[at] & 0x80:
                    raise ValueError(f"has a message without its data, at tick {tick}")
                found.append(Event(tick, chunk[start:stop] if byte & 0x80 else _STATUS[status] + chunk[at:stop]))
            else:
                if byte == META or byte in SYSEX:
                    length, stop = _number(chunk, at + (2 if byte == META else 1))
                    stop += length
                elif byte in _SYSTEM_BYTES:
                    stop = at + 1 + _SYSTEM_BYTES[byte]
                else:
                    raise ValueError(f"has a message 0x{byte:02X}, which MIDI does not know, at tick {tick}")
                found.append(Event(tick, chunk[start:stop]))
            if stop > size:
                raise IndexError
            at = stop
            if byte == META and chunk[start + 1] == END_OF_TRACK:
                break
    except IndexError:
        raise BadFile(f"{broken}ends inside an event); export it again from its source") from None
    except ValueError as error:
        raise BadFile(f"{broken}{error}); export it again from its source") from None
    if tick > LONGEST_TICKS:
        raise BadFile(f"{broken}ends beyond tick {LONGEST_TICKS}); export it again from its source")
    return Track(tuple(found), chunk, chunk[at:], running)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length (seven bits a byte, at most four bytes) at ``at``, and the place after it."""
    value = 0
    for place in range(at, at + 4):
        value = value << 7 | data[place] & 0x7F
        if not data[place] & 0x80:
            return value, place + 1
    raise ValueError("has a number of more than four bytes")


def _variable(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def track_chunk(track: Iterable[Event], running: bool = True, tail: bytes = b"") -> bytes:
    """``track`` as a ``MTrk`` chunk; ``running`` leaves out a status byte that repeats."""
    out, now, last = [], 0, 0
    for tick, data in track:
        out.append(_variable(tick - now))
        now = tick
        # After any other message the standard wants the status again.
        out.append(data[1:] if running and data[0] == last else data)
        last = data[0] if data[0] < 0xF0 else 0
    body = b"".join(out) + tail
    return b"MTrk" + len(body).to_bytes(4, "big") + body
