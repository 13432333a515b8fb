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
        inside: list[tuple[int, int, int, int | None]] = []
        outside: list[tuple[int, int, int, int | None]] = []
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
            if not any(start <= tick < end for start, end in ranges):
                assert now[tick] == was[tick] or tick >= ends
            elif len({row[0] for row in map(before.row, before.notes) if row[1] == channel}) == 1:
                assert now[tick] == 0
            elif now[tick] != was[tick]:
                changing = {
                    t for (t, c), found in free.items() if c == channel and any(a <= tick < b for a, b in found)
                }
                for row in kept:
                    assert row[0] in changing or not row[2] <= tick < (last if row[5] is None else row[5])


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


# ---- One thing at a time --------------------------------------------------------------------------------------------


def raw(data: bytes, track: int = 0) -> list[tuple[int, str]]:
    """The events of a track as ticks and hexadecimal digits."""
    return [(tick, said.hex()) for number, tick, said in events(data) if number == track]


def notes_of(data: bytes, part: int = 0) -> tuple[Note, ...]:
    return open_song(data).score.parts[part].notes


# C, C and E, the second C struck while the first sounds; a bend and a volume between.
OVERLAP = """00 903c40
             10 e00050   # a bend
             10 903c41   # C again: two sound
             10 b00764   # a volume
             10 803c00   # ends the first
             10 803c00   # ends the second
             10 904040
             10 804000
          """


def test_of_overlapping_notes_each_goes_with_its_own_end() -> None:
    song = open_song(smf(OVERLAP + END))
    assert song.score.parts[0].notes == (Note(0, 60, 64, 64), Note(32, 60, 48, 65), Note(96, 64, 16, 64))
    first = patch(song, spans=[Span(0, 0, 10)])
    assert raw(first) == [e for e in raw(song.data) if e not in ((0, "903c40"), (64, "803c00"))]
    second = patch(song, spans=[Span(0, 32, 33)])
    assert raw(second) == [e for e in raw(song.data) if e not in ((32, "903c41"), (80, "803c00"))]
    assert notes_of(second) == (Note(0, 60, 64, 64), Note(96, 64, 16, 64))


def test_new_notes_lie_between_the_events_of_their_ticks() -> None:
    song = open_song(smf(OVERLAP + END))
    data = patch(song, spans=[Span(0, 32, 96, [Note(64, 67, 32, 90), Note(80, 62, 0, 91), Note(64, 64, 32, 92)])])
    assert raw(data)[3:] == [
        (64, "803c00"),
        (64, "90405c"),
        (64, "90435a"),
        (80, "903e5b"),  # a note of no length: on, then off
        (80, "803e00"),
        (96, "804000"),  # new notes end before the kept E begins
        (96, "804300"),
        (96, "904040"),
        (112, "804000"),
        (112, "ff2f00"),
    ]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Note(50, 60, 10, 9), None),  # all of it under the kept note
        (Note(50, 60, 30, 9), None),  # most of it
        (Note(50, 60, 60, 9), Note(80, 60, 30, 9)),  # half of it is left
        (Note(80, 60, 10, 9), Note(80, 60, 10, 9)),  # it begins where the kept one ends
        (Note(90, 60, 100, 9), Note(90, 60, 60, 9)),  # it ends where the next one is struck
        (Note(50, 61, 100, 9), Note(50, 61, 100, 9)),  # another key
    ],
)
def test_no_kept_note_is_shortened(asked: Note, found: Note | None) -> None:
    kept = (Note(0, 60, 80, 64), Note(150, 60, 10, 64))
    song = open_song(smf("00 903c40\n50 803c00\n46 903c40\n0a 803c00\n" + END))
    assert song.score.parts[0].notes == kept
    data = patch(song, spans=[Span(0, 40, 140, [asked])])
    assert notes_of(data) == tuple(sorted((*kept, *([found] if found else []))))


def test_the_notes_of_other_tracks_on_the_channel_count() -> None:
    track = "00 903c40\n40 803c00\n10 903c40\n10 803c00\n" + END  # 0..64 and 80..96
    song = open_song(smf(track, "00 903040\n10 803000\n" + END, track.replace("903c", "903d").replace("803c", "803d")))
    middle = [Note(64, 60, 16, 9), Note(64, 61, 16, 9)]
    data = patch(song, spans=[Span(1, 10, 90, middle)])
    # Of events at one tick those of the first track come first: its C ends before the new one begins, but would begin
    # before that ends. The last track's C# ends too late.
    assert notes_of(data, 1) == (Note(0, 48, 16, 64), Note(64, 60, 15, 9), Note(65, 61, 15, 9))


def test_a_note_that_would_begin_after_its_span_is_dropped() -> None:
    song = open_song(smf("00 903c40\n60 803c00\n" + END))
    late = Note(80, 60, 60, 9)  # its key is free from 96 on
    assert notes_of(patch(song, spans=[Span(0, 40, 97, [late])])) == (Note(0, 60, 96, 64), Note(96, 60, 44, 9))
    assert notes_of(patch(song, spans=[Span(0, 40, 96, [late])])) == (Note(0, 60, 96, 64),)


def test_a_key_that_is_never_let_go_is_not_struck_again() -> None:
    song = open_song(smf("00 903c40\n8100 ff2f00"))
    data = patch(song, spans=[Span(0, 10, 90, [Note(20, 60, 10, 9), Note(20, 61, 10, 9)])])
    assert notes_of(data) == (Note(0, 60, 128, 64), Note(20, 61, 10, 9))


def test_new_notes_of_one_key_follow_each_other() -> None:
    song = open_song(smf("8100 ff2f00", "00 903040\n10 803000\n" + END))
    new = [Note(0, 60, 50, 9), Note(20, 60, 10, 8), Note(40, 60, 5, 7), Note(40, 60, 9, 6)]
    data = patch(song, spans=[Span(0, 0, 96, new)])
    assert notes_of(data) == (Note(0, 60, 20, 9), Note(20, 60, 10, 8), Note(40, 60, 9, 6))
    # An end in a later track would come after a note that begins in an earlier one.
    both = open_song(smf(*("00 903040\n10 803000\n" + END for _ in range(2))))
    spans = [Span(0, 0, 96, [Note(20, 60, 10, 8)]), Span(1, 0, 96, [Note(0, 60, 20, 9), Note(30, 60, 10, 7)])]
    data = patch(both, spans=spans)
    assert (notes_of(data, 0), notes_of(data, 1)) == (
        (Note(20, 60, 10, 8),),
        (Note(0, 60, 19, 9), Note(30, 60, 10, 7)),
    )


PEDAL = """00 b0407f   # down
           00 903c40
           30 803c00   # let go at 48, held by the pedal
           10 b04000   # up at 64
           10 b0407f   # down at 80
           10 903e40   # 96, in what stays
           30 803e00
           10 b04000
        """


def pedals(data: bytes) -> list[tuple[int, int]]:
    return [(tick, int(said[4:], 16)) for tick, said in raw(data) if said.startswith("b040")]


def test_the_pedal_is_lifted_in_the_span_and_put_down_after_it() -> None:
    song = open_song(smf(PEDAL + END))
    new = [Note(60, 72, 36, 90)]
    data = patch(song, spans=[Span(0, 60, 96, new)])
    assert pedals(data) == [(0, 127), (60, 0), (96, 127), (160, 0)]
    at_96 = [said for tick, said in raw(data) if tick == 96]
    assert at_96 == ["804800", "b0407f", "903e40"]  # the new note ends before the pedal could hold it
    # Two spans that touch are one.
    assert pedals(patch(song, spans=[Span(0, 60, 70, new), Span(0, 70, 96)])) == pedals(data)
    # What is half down is lifted too, and comes back as it was.
    half = open_song(smf(PEDAL.replace("b0407f", "b04030") + END))
    assert pedals(patch(half, spans=[Span(0, 60, 96, new)])) == [(0, 48), (60, 0), (96, 48), (160, 0)]
    # Where nothing plays later nobody needs it.
    held = open_song(smf("00 b0407f\n00 903c40\n30 803c00\n30 903c40\n30 803c00\n" + END))
    assert pedals(patch(held, spans=[Span(0, 60, 100)])) == [(0, 127), (60, 0)]
    # Where the file moves it at the very end of the span, that is enough.
    assert pedals(patch(song, spans=[Span(0, 10, 64)])) == [(0, 127), (10, 0), (64, 0), (80, 127), (160, 0)]


def test_the_pedal_stays_where_another_part_of_the_channel_sounds() -> None:
    other = "20 905440\n10 805400\n30 905440\n10 805400\n" + END  # its notes at 32..48 and 96..112
    song = open_song(smf(PEDAL + END, other))
    assert pedals(patch(song, spans=[Span(0, 70, 90)])) == [(0, 127), (64, 0), (90, 127), (160, 0)]
    for untouched in (Span(0, 0, 90), Span(0, 20, 33), Span(0, 50, 60), Span(0, 90, 97)):
        assert pedals(patch(song, spans=[untouched])) == pedals(song.data)
    # Where the other part changes too, the pedal is nobody's.
    both = patch(song, spans=[Span(0, 0, 90), Span(1, 0, 90)])
    assert pedals(both) == [(90, 127), (160, 0)]
    one_for_longer = patch(song, spans=[Span(0, 0, 90), Span(1, 0, 20)])
    assert pedals(one_for_longer) == [(20, 127), (64, 0), (80, 127), (160, 0)]


def test_other_controllers_bends_and_metas_in_the_span_stay() -> None:
    song = open_song(smf("00 ff0101 41\n" + OVERLAP + "00 ff0601 42\n" + END))
    data = patch(song, spans=[Span(0, 0, 200, [Note(5, 50, 5, 5)])])
    kept = [said for _, said in raw(data)]
    assert kept == ["ff010141", "903205", "803200", "e00050", "b00764", "ff060142", "ff2f00"]


def test_nothing_asked_for_changes_nothing() -> None:
    odd = header(1, 2) + chunk("00 903c40\n60 3c00") + b"XFIH\0\0\0\1a" + chunk(END + "\n00 00") + b"\0"
    song = open_song(odd)
    assert patch(song) == odd
    assert patch(song, spans=[Span(0, 5, 9)], end_tick=3) == odd
    assert difference(song, odd).removed == ()


def test_a_track_that_does_not_change_keeps_its_bytes() -> None:
    strange = "00 903c40\n60 903c00  # no running status where there could be\n00 ff01 8001 41\n" + END
    song = open_song(smf(strange, "00 913c40\n60 3c00\n" + END))
    data = patch(song, spans=[Span(1, 0, 9, [Note(0, 62, 96, 64)])])
    assert data == smf(strange, "00 913e40\n60 813e00\n" + END)


def test_a_file_in_riff_stays_in_riff() -> None:
    info = b"LIST\4\0\0\0INFO"
    song = open_song(riff(smf("00 903c40\n60 3c00\n" + END), info))
    data = patch(song, spans=[Span(0, 0, 9, [Note(0, 62, 20, 64), Note(30, 62, 20, 64)][:1])])
    assert data[:4] == b"RIFF"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    size = int.from_bytes(data[16:20], "little")
    assert data[20 : 20 + size] == smf("00 903e40\n14 803e00\n" + "4c ff2f00")
    assert data.endswith(info)


def test_ends_of_tracks_move_only_where_they_must() -> None:
    song = open_song(smf("20 ff2f00", "00 903c40\n60 803c00\n" + END))

    def ends(data: bytes) -> list[int]:
        return [track.end_tick for track in read_events(data).tracks]

    assert ends(patch(song, spans=[Span(0, 0, 90, [Note(50, 60, 10, 9)])])) == [32, 96]
    assert ends(patch(song, spans=[Span(0, 100, 900, [Note(500, 60, 10, 9)])])) == [32, 510]
    assert ends(patch(song, spans=[Span(0, 100, 900, [Note(500, 60, 10, 9)])], end_tick=600)) == [600, 510]
    assert ends(patch(song, end_tick=96)) == [32, 96]
    assert ends(patch(song, end_tick=97)) == [97, 96]
    assert ends(patch(song, added=[Part("x", notes=(Note(0, 60, 9, 9),))])) == [32, 96, 96]
    assert ends(patch(song, chords=[Text(50, "Am")])) == [50, 96]
    endless = open_song(smf("00 903c40\n60 803c00"))
    assert raw(patch(endless, spans=[Span(0, 0, 9)])) == [(96, "ff2f00")]


BAND = (
    "00 ff5103 07a120\n60 ff2f00",
    "00 c000\n00 903c40\n60 803c00\n" + END,
    "00 c221\n00 923c40\n60 823c00\n00 b10740  # a volume for nobody on channel 2\n" + END,
    "00 c910\n00 992440\n60 892400\n" + END,
)
NEW_BASS = Part(
    "Bässe", "bass", 33, notes=(Note(10, 40, 20, 99),), controls=(Control(20, 11, 100),), bends=(Bend(12, -8192),)
)


def test_a_new_part_gets_a_track_and_a_free_channel() -> None:
    song = open_song(smf(*BAND))
    data = patch(song, added=[NEW_BASS, replace(NEW_BASS, name="", kind="guitar", bank=128 * 8 + 1)])
    assert data[: len(song.data)][14:] == song.data[14:]  # after the header only something more
    assert raw(data, 4) == [
        (0, meta(3, "Bässe".encode()).hex()),
        (0, "b30000"),  # channel 4 is the first on which there is nothing at all
        (0, "b32000"),
        (0, "c321"),
        (0, "b30764"),
        (0, "b30a40"),
        (10, "932863"),
        (12, "e30000"),
        (20, "b30b64"),
        (30, "832800"),
        (96, "ff2f00"),
    ]
    assert [said for tick, said in raw(data, 5) if not tick] == ["b40008", "b42001", "c421", "b40764", "b40a50"]
    again = open_song(data)
    assert (again.parts[3].name, again.parts[3].kind, again.parts[3].channel) == ("Bässe", "bass", 3)


def test_what_a_new_part_says_of_volume_and_pan_is_left_to_it() -> None:
    quiet = replace(NEW_BASS, controls=(Control(0, 7, 50), Control(0, 10, 10)))
    said = [event for event in raw(patch(open_song(smf(*BAND)), added=[quiet]), 4) if event[1].startswith("b3")]
    assert said == [(0, "b30000"), (0, "b32000"), (0, "b30732"), (0, "b30a0a")]


def test_new_drums_join_the_drum_channel_and_leave_its_kit() -> None:
    kit = Part("Kit", "drums", 8, is_drum=True, notes=(Note(0, 36, 10, 99), Note(0, 38, 10, 99)))
    beside = patch(open_song(smf(*BAND)), added=[kit])
    assert [said for _, said in raw(beside, 4)] == [
        meta(3, b"Kit").hex(),
        "992663",
        "892600",
        "ff2f00",
    ]  # the 36 is taken
    alone = patch(open_song(smf(*BAND[:3])), added=[kit])
    assert [said for _, said in raw(alone, 3)][:5] == [meta(3, b"Kit").hex(), "c908", "b90764", "b90a40", "992463"]


def test_a_new_part_in_a_file_of_type_0_joins_the_one_track() -> None:
    song = open_song(smf("00 ff0301 41\n00 903c40\n10 803c00\n50 ff2f00", kind=0))
    data = patch(song, added=[NEW_BASS], chords=[Text(0, "Am")])
    assert len(read_events(data).tracks) == 1
    found = raw(data)
    assert found[0] == (0, "ff030141")
    assert [event for event in found if event in raw(song.data)] == raw(song.data)
    assert [part.kind for part in open_song(data).parts] == ["piano", "bass"]


def test_no_channel_is_free() -> None:
    tracks = [f"00 {0x90 | c:02x}3c40\n60 {0x80 | c:02x}3c00\n" + END for c in range(16) if c not in (4, 9)]
    song = open_song(smf(*tracks))
    one = patch(song, added=[NEW_BASS])
    assert {part.channel for part in open_song(one).parts} == set(range(16)) - {9}
    with pytest.raises(BadRequest, match=r"no MIDI channel is free for 'Bässe'") as refused:
        patch(song, added=[NEW_BASS, NEW_BASS])
    assert "\n" not in str(refused.value)
    patch(song, added=[NEW_BASS], spans=[Span(0, 0, 97)])  # a part that goes leaves its channel
    full = open_song(one)
    freed_ = patch(full, added=[NEW_BASS], spans=[Span(2, 0, 200)])
    assert open_song(freed_).parts[-1].channel == full.parts[2].channel


def test_ports_are_kept_apart() -> None:
    here = [f"00 ff2101 00\n00 {0x90 | c:02x}3c40\n60 {0x80 | c:02x}3c00\n" + END for c in range(16) if c != 9]
    there = "00 ff2101 01\n00 903c40\n60 803c00\n" + END
    data = patch(open_song(smf(*here, there)), added=[NEW_BASS])
    new = open_song(data).parts[-1]
    assert (new.port, new.channel) == (1, 1)
    # Many programs know no ports: rather a channel that is set up for nobody than one that plays on another port.
    set_up = "\n".join(f"00 {0xB0 | channel:02x}0740" for channel in range(2, 16) for _ in range(9)) + "\n" + END
    elsewhere = there.replace("903c", "913c").replace("803c", "813c")
    new = open_song(patch(open_song(smf(here[0], elsewhere, set_up)), added=[NEW_BASS])).parts[-1]
    assert (new.port, new.channel) == (0, 2)
    # A key on one port is another than that on the other port.
    song = open_song(smf(here[0], there))
    data = patch(song, spans=[Span(1, 0, 50, [Note(20, 60, 10, 9)])])
    assert notes_of(data, 1) == (Note(20, 60, 10, 9),)


def test_a_new_part_sets_its_sound_after_a_reset() -> None:
    reset = "00 f005 7e7f0901f7\n20 f005 7e7f0901f7  # General MIDI on, again at 32\n" + END
    song = open_song(smf(reset, "00 ff2f00"))
    late = replace(NEW_BASS, notes=(Note(40, 40, 9, 9),), controls=(), bends=())
    assert {tick for tick, said in raw(patch(song, added=[late]), 2) if said[0] in "bc"} == {32}
    soon = replace(NEW_BASS, notes=(Note(10, 40, 9, 9),), controls=(), bends=())
    assert {tick for tick, said in raw(patch(song, added=[soon]), 2) if said[0] in "bc"} == {0}


def test_texts_go_to_the_first_track_in_the_files_charset() -> None:
    name = "00 " + meta(3, "Песенка о медведях".encode("cp1251")).hex()
    song = open_song(smf(name + "\n00 ff0102 416d\n60 ff2f00", "00 903c40\n60 803c00\n" + END))
    data = patch(song, markers=[Text(48, "Куплет"), Text(0, "東京")], chords=[Text(0, "Am"), Text(48, "F#m7")])
    assert raw(data)[1:-1] == [
        (0, "ff0102416d"),  # that chord was there already
        (0, meta(6, "東京".encode()).hex()),
        (48, meta(6, "Куплет".encode("cp1251")).hex()),
        (48, "ff0100"),  # no program takes the symbol for a lyric
        (48, meta(1, b"F#m7").hex()),
    ]
    assert raw(data, 1) == raw(song.data, 1)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: Span(0, 9, 9), "a span from tick 9 to 9"),
        (lambda: Span(0, -1, 9), "a span from tick -1 to 9"),
        (lambda: Span(0, 0, 9, [Note(9, 60, 1, 1)]), "a note at tick 9 lies outside its span"),
        (lambda: patch(open_song(smf(*BAND)), spans=[Span(3, 0, 9)]), "part 3: the song has parts 0 to 2"),
        (lambda: patch(open_song(smf(*BAND)), spans=[Span(0, 0, 9), Span(0, 8, 20)]), "part 0 overlap at tick 8"),
    ],
)
def test_what_cannot_be_asked_for(ask, words: str) -> None:
    with pytest.raises(BadRequest, match=words) as refused:
        ask()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (smf(*BAND, kind=0), "its header"),
        (smf(*BAND, division=480), "its header"),
        (riff(smf(*BAND)), "its header"),
        (smf(*BAND, END), "1 more tracks for 0 parts"),
        (smf(*BAND) + b"\0", "what stands between"),
        (smf(BAND[0].replace("60 ff", "50 ff"), *BAND[1:]), "the end of track 1"),
        (
            smf(BAND[0].replace("07a120", "07a121"), *BAND[1:]),
            "track 1, tick 0: ff 51 03 07 a1 20 is gone or has moved",
        ),
        (smf(BAND[0], BAND[1].replace("00 c000", ""), *BAND[2:]), "track 2, tick 0: c0 00 is gone or has moved"),
        (smf(*BAND[:2], "00 b10740\n" + BAND[2], BAND[3]), "track 3, tick 0: b1 07 40 is new"),
    ],
)
def test_the_check_says_what_is_wrong(broken: bytes, words: str) -> None:
    song = open_song(smf(*BAND), "song.mid")
    with pytest.raises(OutputError, match=words) as refused:
        difference(song, broken, [Span(0, 0, 50)])
    assert str(refused.value).startswith("song.mid: the edit would have changed what was not asked for (")
    assert "\n" not in str(refused.value)


def test_no_edit_leaves_without_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    song = open_song(smf(*BAND))
    monkeypatch.setattr("midigen.patching.inside", lambda tick, ranges: True)  # takes all notes out
    with pytest.raises(OutputError, match="is gone or has moved"):
        patch(song, spans=[Span(0, 0, 50)])


def test_the_check_knows_the_channels_of_new_parts() -> None:
    song = open_song(smf(*BAND))
    good = patch(song, added=[NEW_BASS])
    difference(song, good, added=[NEW_BASS])
    with pytest.raises(OutputError, match="1 more tracks for 0 parts"):
        difference(song, good)
    with pytest.raises(OutputError, match="is on another part's channel"):
        difference(song, smf(*BAND, "00 922840\n10 822800\n" + END), added=[NEW_BASS])


def test_texts_belong_on_the_first_track() -> None:
    song, chord = open_song(smf(*BAND)), "00 ff0101 46\n"
    difference(song, smf(chord + BAND[0], *BAND[1:]), chords=[Text(0, "F")])
    with pytest.raises(OutputError, match="track 2, tick 0: ff 01 01 46 is new"):
        difference(song, smf(BAND[0], chord + BAND[1], *BAND[2:]), chords=[Text(0, "F")])


def test_the_difference_is_told() -> None:
    song = open_song(smf(OVERLAP + END))
    spans = [Span(0, 90, 100, [Note(90, 65, 10, 9)])]
    found = difference(song, patch(song, spans=spans, chords=[Text(0, "F")]), spans, chords=[Text(0, "F")])
    assert found.removed == ((0, 96, bytes.fromhex("904040")), (0, 112, bytes.fromhex("804000")))
    assert found.added == (
        (0, 0, bytes.fromhex("ff0100")),
        (0, 0, bytes.fromhex("ff010146")),
        (0, 90, bytes.fromhex("904109")),
        (0, 100, bytes.fromhex("804100")),
    )
