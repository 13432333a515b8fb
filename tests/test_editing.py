"""Editing somebody's MIDI file: what was asked for is there, and nothing else has changed.

The properties look at files with mido and pair notes on their own, so that they share nothing with what they test.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import accumulate

import mido
import pytest
from hexdumps import END, chunk, header, riff, smf
from hypothesis import given
from hypothesis import strategies as st

from midigen.errors import BadRequest, OutputError
from midigen.events import Event, events, meta, read_events
from midigen.opened import OpenedSong, open_song
from midigen.patching import Span, patch
from midigen.score import Bend, Control, Note, Part, Text
from midigen.spans import difference

# ---- Files of every sort, made with mido ----------------------------------------------------------------------------

KEYS, CHANNELS = st.integers(60, 62), st.sampled_from((0, 1, 9))
messages = st.one_of(
    st.builds(mido.Message, st.just("note_on"), channel=CHANNELS, note=KEYS, velocity=st.sampled_from((0, 50, 60))),
    st.builds(mido.Message, st.just("note_on"), channel=CHANNELS, note=KEYS, velocity=st.integers(1, 127)),
    st.builds(mido.Message, st.just("note_off"), channel=CHANNELS, note=KEYS, velocity=st.sampled_from((0, 64))),
    st.builds(mido.Message, st.just("note_off"), channel=CHANNELS, note=KEYS),
    st.builds(
        mido.Message,
        st.just("control_change"),
        channel=CHANNELS,
        control=st.sampled_from((64, 64, 7)),
        value=st.sampled_from((0, 50, 127)),
    ),
    st.builds(mido.Message, st.just("program_change"), channel=CHANNELS, program=st.integers(0, 40)),
    st.builds(mido.Message, st.just("pitchwheel"), channel=CHANNELS, pitch=st.integers(-100, 100)),
    st.builds(mido.Message, st.just("polytouch"), channel=CHANNELS, note=KEYS),
    st.builds(mido.MetaMessage, st.sampled_from(("text", "marker", "lyrics")), text=st.text("abc", max_size=3)),
    st.builds(mido.Message, st.just("sysex"), data=st.lists(st.integers(0, 127), max_size=3)),
)
deltas = st.sampled_from((0, 0, 1, 2, 5))


@st.composite
def songs(draw: st.DrawFn) -> OpenedSong:
    """Overlaps, notes of no length, hanging notes, several tracks on one channel, several channels on one track."""
    count = draw(st.integers(1, 3))
    file = mido.MidiFile(type=draw(st.integers(0, 1)) if count == 1 else 1, ticks_per_beat=4)
    for _ in range(count):
        track = mido.MidiTrack()
        for message, delta in draw(st.lists(st.tuples(messages, deltas), min_size=2, max_size=24)):
            track.append(message.copy(time=delta))
        track.append(mido.MetaMessage("end_of_track", time=draw(deltas)))
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return open_song(buffer.getvalue(), "song.mid")


@st.composite
def lines(draw: st.DrawFn, start: int, end: int) -> tuple[Note, ...]:
    rows = draw(st.lists(st.tuples(st.integers(start, end - 1), st.integers(60, 63), st.integers(0, 9)), max_size=6))
    return tuple(Note(onset, pitch, duration, 101) for onset, pitch, duration in rows)  # 101: a new note


@st.composite
def edits(draw: st.DrawFn) -> tuple[OpenedSong, tuple[Span, ...]]:
    song = draw(songs())
    spans = []
    for part in range(len(song.parts)):
        places = draw(st.lists(st.integers(0, song.file.end_tick + 9), max_size=4, unique=True).map(sorted))
        for start, end in zip(places[::2], places[1::2], strict=False):
            spans.append(Span(part, start, end, draw(lines(start, end))))
    return song, tuple(spans)


class Played:
    """A file as mido reads it: for each track its messages at absolute ticks, and its notes, paired first to first."""

    def __init__(self, data: bytes):
        self.file = mido.MidiFile(file=io.BytesIO(data))
        self.tracks: list[list[tuple[int, mido.Message]]] = []
        self.notes: list[tuple[int, int, int, int | None]] = []  # track, channel, place of its on and of its off
        for number, track in enumerate(self.file.tracks):
            ticks = accumulate(message.time for message in track)
            self.tracks.append([(tick, message.copy(time=0)) for tick, message in zip(ticks, track, strict=True)])
            sounding: dict[tuple[int, int], list[int]] = defaultdict(list)
            ends: dict[int, int | None] = {}
            for place, message in enumerate(track):
                if message.type == "note_on" and message.velocity:
                    sounding[message.channel, message.note].append(place)
                    ends[place] = None
                elif message.type in ("note_on", "note_off") and sounding[message.channel, message.note]:
                    ends[sounding[message.channel, message.note].pop(0)] = place
            self.notes += [(number, track[on].channel, on, off) for on, off in ends.items()]

    def split(self, free: dict[tuple[int, int], list[tuple[int, int]]]) -> tuple[list, list]:
        """Notes that begin in ``free`` (by track and channel), and the others."""
        inside, outside = [], []
        for note in self.notes:
            tick = self.tracks[note[0]][note[2]][0]
            hit = any(start <= tick < end for start, end in free.get(note[:2], ()))
            (inside if hit else outside).append(note)
        return inside, outside

    def row(self, note: tuple[int, int, int, int | None]) -> tuple:
        track, channel, on, off = note
        onset, message = self.tracks[track][on]
        end = None if off is None else self.tracks[track][off][0]
        return track, channel, onset, message.note, message.velocity, end

    def order(self) -> dict[tuple[int, int], int]:
        """The place in playing order of each event (track, place): by tick, then track, then place."""
        all_events = [(tick, t, p) for t, track in enumerate(self.tracks) for p, (tick, _) in enumerate(track)]
        return {(t, p): order for order, (_, t, p) in enumerate(sorted(all_events))}

    def pedal(self, channel: int, last_tick: int) -> list[int]:
        """The value of the sustain pedal on a channel after each tick."""
        moves = sorted(
            (
                (tick, t, p, message.value)
                for t, track in enumerate(self.tracks)
                for p, (tick, message) in enumerate(track)
                if message.type == "control_change" and (message.channel, message.control) == (channel, 64)
            ),
        )
        return [next((m[3] for m in reversed(moves) if m[0] <= tick), 0) for tick in range(last_tick + 1)]


def freed(song: OpenedSong, spans: tuple[Span, ...]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    found = defaultdict(list)
    for span in spans:
        part = song.parts[span.part]
        found[part.track, part.channel].append((span.start_tick, span.end_tick))
    return found


def is_pedal(message: mido.Message) -> bool:
    return message.type == "control_change" and message.control == 64


# ---- The properties -------------------------------------------------------------------------------------------------


@given(edits())
def test_nothing_outside_the_spans_changes(edit: tuple[OpenedSong, tuple[Span, ...]]) -> None:
    song, spans = edit
    free = freed(song, spans)
    data = patch(song, spans=spans)
    before, after = Played(song.data), Played(data)
    assert (after.file.type, after.file.ticks_per_beat) == (before.file.type, before.file.ticks_per_beat)
    assert len(after.tracks) == len(before.tracks)
    kept = [Counter(map(played.row, played.split(free)[1])) for played in (before, after)]
    assert kept[0] == kept[1]
    for number, (was, now) in enumerate(zip(before.tracks, after.tracks, strict=True)):
        left = []
        for played, track in ((before, was), (after, now)):
            gone = {place for note in played.split(free)[0] if note[0] == number for place in note[2:]}
            left.append([e for place, e in enumerate(track) if place not in gone and e[1].type != "end_of_track"])
        # All that is no note of the spans is there, in its order; a pedal may be missing or be new, on their channels.
        channels = {channel for _, channel in free}
        assert [e for e in left[0] if not is_pedal(e[1])] == [e for e in left[1] if not is_pedal(e[1])]
        pedals = [[e for e in side if is_pedal(e[1]) and e[1].channel not in channels] for side in left]
        assert pedals[0] == pedals[1]
        assert now[-1][0] >= was[-1][0] if was else True


@given(edits())
def test_the_new_notes_are_those_asked_for(edit: tuple[OpenedSong, tuple[Span, ...]]) -> None:
    song, spans = edit
    free = freed(song, spans)
    after = Played(patch(song, spans=spans))
    inside, outside = after.split(free)
    found = Counter(after.row(note) for note in inside)
    asked = [(song.parts[span.part], span, note) for span in spans for note in span.notes]
    strays = {
        (message.channel, message.note, tick)
        for number, track in enumerate(after.tracks)
        for place, (tick, message) in enumerate(track)
        if message.type in ("note_on", "note_off")
        and (number, place) not in {(n[0], p) for n in after.notes for p in n[2:]}
    }
    for part, _, note in asked:
        exact = (part.track, part.channel, note.onset_ticks, note.pitch, 101, note.end_ticks)
        others = [
            (row[2], row[5]) for row in map(after.row, outside) if row[1] == part.channel and row[3] == note.pitch
        ] + [
            (other.onset_ticks, other.end_ticks)
            for home, _, other in asked
            if home.channel == part.channel and other.pitch == note.pitch and other is not note
        ]
        touched = any(
            onset <= note.end_ticks + 1 and (end is None or end + 1 >= note.onset_ticks) for onset, end in others
        ) or any((part.channel, note.pitch, tick) in strays for tick in range(note.onset_ticks, note.end_ticks + 1))
        if not touched:
            assert found[exact] == 1
    for track, channel, onset, pitch, velocity, end in found.elements():
        assert velocity == 101
        assert any(
            (part.track, part.channel, note.pitch) == (track, channel, pitch)
            and note.onset_ticks <= onset <= end <= note.end_ticks
            and 2 * (end - onset if note.end_ticks == end else note.end_ticks - onset)
            >= note.end_ticks - note.onset_ticks
            and span.start_tick <= onset < span.end_tick
            for part, span, note in asked
        )


@given(edits())
def test_no_kept_note_is_cut_and_no_new_one_either(edit: tuple[OpenedSong, tuple[Span, ...]]) -> None:
    song, spans = edit
    after = Played(patch(song, spans=spans))
    inside, _ = after.split(freed(song, spans))
    order = after.order()
    keys = defaultdict(list)  # the events of each channel and pitch
    for number, track in enumerate(after.tracks):
        for place, (tick, message) in enumerate(track):
            if message.type in ("note_on", "note_off"):
                keys[message.channel, message.note].append((order[number, place], tick, message))
    for note in inside:
        number, channel, on, off = note
        assert off is not None
        (_, _, _, pitch, _, last), begin, end = after.row(note), order[number, on], order[number, off]
        for place, tick, message in keys[channel, pitch]:
            ends_with_it = tick == last and (message.type == "note_off" or not message.velocity)
            assert not begin < place < end or ends_with_it
        for other in after.notes:
            if other != note and after.row(other)[1:4:2] == (channel, pitch):
                stop = float("inf") if other[3] is None else order[other[0], other[3]]
                assert not order[other[0], other[2]] < begin < stop


@given(edits())
def test_the_pedal_of_the_old_notes_goes_and_that_of_the_others_stays(
    edit: tuple[OpenedSong, tuple[Span, ...]],
) -> None:
    song, spans = edit
    free = freed(song, spans)
    before, after = Played(song.data), Played(patch(song, spans=spans))
    _, outside = before.split(free)
    for channel in {channel for _, channel in free}:
        ranges = [r for (_, c), found in free.items() if c == channel for r in found]
        kept = [before.row(note) for note in outside if note[1] == channel]
        last = max((span.end_tick for span in spans), default=0) + 9
        was, now = before.pedal(channel, last), after.pedal(channel, last)
        ends = max((last if row[5] is None else row[5] for row in kept), default=-1)
        for tick in range(last):
            over = [(start, end) for start, end in ranges if start <= tick < end]
            if not over:
                assert now[tick] == was[tick] or tick >= ends
            elif not any(start <= row[2] < end for row in kept for start, end in over):
                assert now[tick] == 0


@given(songs(), st.data())
def test_new_parts_disturb_nobody(song: OpenedSong, data: st.DataObject) -> None:
    parts = [
        Part("new", "bass", 33, notes=data.draw(lines(0, 40))),
        Part("kit", "drums", 0, is_drum=True, notes=data.draw(lines(0, 40))),
    ]
    edited = patch(song, added=parts, markers=[Text(3, "Verse")], chords=[Text(3, "Am"), Text(5, "F")])
    before, after = Played(song.data), Played(edited)
    assert len(after.tracks) == len(before.tracks) + 2 * before.file.type
    for was, now in zip(before.tracks, after.tracks, strict=False):
        left = list(now)
        for event in was:
            if event[1].type != "end_of_track":
                left.remove(event)  # raises where it is not there
    used = {note[1] for note in before.notes}
    new = Counter(after.row(note)[2:] for note in after.notes) - Counter(before.row(note)[2:] for note in before.notes)
    assert {row[2] for row in new} <= {101}
    homes = {after.row(note)[1] for note in after.notes if after.row(note)[4] == 101}
    assert homes - {9} <= set(range(16)) - used
    texts = [event for event in after.tracks[0] if event[1].type in ("text", "marker")]
    for text in ((3, "marker", "Verse"), (3, "text", "Am"), (5, "text", "F")):
        assert text in [(tick, message.type, message.text) for tick, message in texts]


@given(edits(), st.data())
def test_whatever_else_changes_is_found(edit: tuple[OpenedSong, tuple[Span, ...]], data: st.DataObject) -> None:
    song, spans = edit
    file = read_events(patch(song, spans=spans))
    difference(song, file.with_tracks({}), spans)
    free = freed(song, spans)
    number = data.draw(st.integers(0, len(file.tracks) - 1))
    track = file.tracks[number]
    ours = {
        place
        for stroke in track.paired[0]
        if any(a <= stroke.onset < b for a, b in free.get((number, stroke.channel), ()))
        for place in (stroke.on, stroke.off)
    }
    channels = {channel for _, channel in free}
    others = [
        place
        for place, event in enumerate(track.events[:-1])
        if place not in ours
        and not (event.data[0] & 0xF0 == 0xB0 and event.data[1] == 64 and event.data[0] & 15 in channels)
    ]
    if not others:
        return
    place = data.draw(st.sampled_from(others))
    tick, raw = track.events[place]
    changed = list(track.events)
    how = data.draw(st.sampled_from(("lost", "moved", "other", "doubled")))
    if how == "lost":
        del changed[place]
    elif how == "moved":
        changed[place] = Event(tick + 1, raw)
        changed.sort(key=lambda event: event.tick)
    elif how == "other":
        changed[place] = Event(tick, raw[:-1] + bytes([raw[-1] ^ 1]))
    else:
        changed.insert(place, track.events[place])
    if Counter(changed) == Counter(track.events):
        return
    try:
        broken = file.with_tracks({number: changed})
        read_events(broken)
    except Exception:
        return  # no MIDI file any more, which nobody could take for an edit
    with pytest.raises(OutputError, match="not asked for"):
        difference(song, broken, spans)
