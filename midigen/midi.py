"""``.mid`` to ``Score`` and back: the only room that knows MIDI libraries.

Reading is symusic's (in ticks, in C++: 0.5 ms a song where pretty_midi takes 140 ms, which is what lets ``prepare``
read thousands of songs). Writing goes through :mod:`midigen.events`, message by message (mido takes ten times as long).
:func:`to_mido`, :func:`to_pretty_midi` and :func:`from_pretty_midi` are the doors to what speaks these in Python.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.chordmarks import chord_events
from midigen.errors import BadFile, BadRequest, OutputError
from midigen.events import (
    BEND,
    CONTROL,
    END_OF_TRACK,
    KEY_SIGNATURE,
    LYRIC,
    MARKER,
    MOST_EVENTS,
    NOTE_OFF,
    NOTE_ON,
    PORT,
    PROGRAM,
    TEMPO,
    TIME_SIGNATURE,
    TRACK_NAME,
    Event,
    charset_of,
    check_size,
    lyrics_of,
    meta,
    read_events,
    read_file,
    track_chunk,
)
from midigen.instruments import OTHER, kind_of
from midigen.score import LONGEST_TICKS, Bend, Control, Key, Metre, Note, Part, Score, Tempo, Text

if TYPE_CHECKING:
    import mido
    import pretty_midi

DRUM_CHANNEL = 9  # the tenth, counted from 0 (General MIDI)
_SHARPS = {  # in the key signatures that go with KEY_NAMES; flats are below 0
    "major": (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5),
    "minor": (-3, 4, -1, -6, 1, -4, 3, -2, 5, 0, -5, 2),
}
BANK_SELECT = (0, 32)  # the controllers that choose a bank: the first counts 128 banks, the second one
_tick_of = attrgetter("tick")


def read_midi(source: str | Path | bytes, name: str = "") -> Score:
    """Read a Standard MIDI File (type 0 or 1, or RIFF-wrapped) into a :class:`Score`.

    ``source`` is a path, or the file's bytes (``name`` is then used in messages). Every channel of a track and every
    program becomes a part of its own. Raises :class:`BadFile` for what is missing, truncated or not MIDI.
    """
    if isinstance(source, bytes):
        data, label = source, name or "MIDI data"
    else:
        label = str(source)
        data = read_file(source, label)
    return _sung(from_symusic(_parse(data, label), label), data, label)


def _parse(data: bytes, label: str) -> Any:
    import symusic  # 0.15 s: only when a file is read

    check_size(data, label)
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        at = data.find(b"MThd")
        data = data[at:] if at >= 0 else data
    if data[:4] != b"MThd":
        raise BadFile(f"{label}: not a MIDI file (it does not begin with MThd); give a .mid file")
    if len(data) < 14:
        raise BadFile(f"{label}: truncated MIDI file ({len(data)} bytes); export it again from its source")
    if data[12] & 0x80:
        raise BadFile(f"{label}: its time is counted in film frames (SMPTE), not in beats; export it in ticks")
    try:
        score: Any = symusic.Score.from_midi(data)
    except Exception as error:  # symusic raises RuntimeError and ValueError with long texts of its own
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise BadFile(f"{label}: broken MIDI file ({reason}); export it again from its source") from None
    if score.ticks_per_quarter < 1:
        raise BadFile(f"{label}: broken MIDI file (0 ticks a quarter); export it again from its source")
    return score


def _key(tick: int, sharps: int, minor: int) -> Key:
    tonic = (7 * sharps) % 12  # the circle of fifths
    return Key(tick, (tonic + 9) % 12 if minor else tonic, "minor" if minor else "major")


def from_symusic(raw: Any, label: str = "score") -> Score:
    """A :class:`Score` from a ``symusic.Score`` in ticks; ``label`` names it in messages and as the title."""
    count = sum(len(track.notes) + len(track.controls) + len(track.pitch_bends) for track in raw.tracks)
    if count > MOST_EVENTS // 2:
        raise BadFile(f"{label}: more than {MOST_EVENTS // 2:,} notes and controls; give a song, or a part of this one")
    maps = (raw.tempos, raw.time_signatures, raw.key_signatures, raw.markers)
    moves = (events for t in raw.tracks for events in (t.controls, t.pitch_bends, t.lyrics))
    if any(event.time < 0 for events in (*maps, *moves) for event in events):  # it counts in 32 bits
        raise BadFile(f"{label}: an event beyond tick {LONGEST_TICKS}; the file is broken")
    parts = []
    lyrics: list[Text] = []
    # In a file of one track (type 0) every channel has that track's name: the song's, and no part's.
    named = {track.name for track in raw.tracks if len(track.notes)}
    is_one_track = len(named) == 1 and sum(len(track.notes) > 0 for track in raw.tracks) > 1
    for number, track in enumerate(raw.tracks):
        lyrics += [Text(int(t.time), t.text) for t in track.lyrics]
        if not len(track.notes):
            continue
        table = track.notes.numpy()
        rows = np.stack([table[k].astype(np.int64) for k in ("time", "pitch", "duration", "velocity")], axis=1)
        rows = rows[(rows[:, 3] > 0) & (rows[:, 0] >= 0) & (rows[:, 2] >= 0)]
        rows = rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))]
        if rows.size and int((rows[:, 0] + rows[:, 2]).max()) > LONGEST_TICKS:
            raise BadFile(f"{label}: a note ends beyond tick {LONGEST_TICKS}; the file is broken")
        # Sorted by time alone: of several at one tick, such as a pedal let go and pressed again, the order is music.
        events = sorted(
            (Control(c.time, c.number, c.value) for c in track.controls if 0 <= c.value <= 127), key=_tick_of
        )
        banks = [c for c in events if c.number in BANK_SELECT]
        first = {c.number: c.value for c in banks if c.tick == banks[0].tick}
        bank = 128 * first.get(BANK_SELECT[0], 0) + first.get(BANK_SELECT[1], 0)
        kind = kind_of(track.program, track.is_drum)
        parts.append(
            Part(
                name=("" if is_one_track else track.name.strip()) or (kind if kind != OTHER else f"part {number + 1}"),
                kind=kind,
                program=int(track.program),
                is_drum=bool(track.is_drum),
                bank=bank,
                notes=tuple(Note(o, p, d, v) for o, p, d, v in rows.tolist()),
                controls=tuple(c for c in events if c.number not in BANK_SELECT),  # said by ``bank``
                bends=tuple(sorted((Bend(b.time, b.value) for b in track.pitch_bends), key=_tick_of)),
            )
        )
    tempos = _last_of_tick(Tempo(t.time, float(t.qpm)) for t in raw.tempos if t.qpm > 0)
    metres = _last_of_tick(
        Metre(m.time, m.numerator, m.denominator)
        for m in raw.time_signatures
        if 1 <= m.numerator <= 255 and m.denominator in (1, 2, 4, 8, 16, 32, 64)
    )
    return Score(
        parts=tuple(parts),
        tempos=tempos,
        metres=metres,
        keys=_last_of_tick(_key(k.time, k.key, k.tonality) for k in raw.key_signatures if -7 <= k.key <= 7),
        markers=tuple(sorted(Text(m.time, m.text) for m in raw.markers)),
        lyrics=tuple(sorted(lyrics, key=_tick_of)),
        title=Path(label).stem,
        ticks_per_quarter=int(raw.ticks_per_quarter),
    )


def _sung(score: Score, data: bytes, label: str) -> Score:
    """The score with lyrics given to the part whose track holds them: symusic keeps them apart from the notes.

    Those of a track without notes, or with several parts, belong to the whole.
    """
    if not score.lyrics:
        return score
    try:
        file = read_events(data, label)
    except BadFile:  # symusic takes some files as they are that are broken elsewhere
        return score
    tracks: list[int] = []
    for number, track in enumerate(file.tracks):
        programs: dict[int, int] = {}
        played: dict[tuple[int, int], None] = {}  # what symusic makes a part of
        for _, event in track.events:
            if event[0] & 0xF0 == PROGRAM:
                programs[event[0] & 0x0F] = event[1]
            elif event[0] & 0xF0 == NOTE_ON and event[2]:
                played[event[0] & 0x0F, programs.get(event[0] & 0x0F, 0)] = None
        tracks += [number] * len(played)
    if len(tracks) != len(score.parts):
        return score
    lyrics = lyrics_of(file, charset_of(file))
    parts = [
        replace(part, lyrics=lyrics.pop(number)) if number in lyrics and tracks.count(number) == 1 else part
        for part, number in zip(score.parts, tracks, strict=True)
    ]
    rest = sorted((text for texts in lyrics.values() for text in texts), key=_tick_of)
    return replace(score, parts=tuple(parts), lyrics=tuple(rest))


def _last_of_tick(events):
    """One event a tick, the last one said, in order."""
    by_tick = {}
    for event in events:
        by_tick[event.tick] = event
    return tuple(by_tick[tick] for tick in sorted(by_tick))


def to_mido(score: Score) -> mido.MidiFile:
    """The score as a :class:`mido.MidiFile` (``charset="utf-8"``): what :func:`midi_bytes` writes."""
    import mido

    return mido.MidiFile(file=io.BytesIO(midi_bytes(score)), charset="utf-8")


def midi_bytes(score: Score) -> bytes:
    """The score as the bytes of a ``.mid`` file of type 1.

    A conductor track (title, tempo, metre, key, markers, chord symbols as :mod:`midigen.chordmarks` writes them, and
    the lyrics of no part), then one track a part with its name, bank, program, controllers, bends, lyrics and notes;
    drums on channel 10. Text is UTF-8. From the sixteenth melodic part on channels come again, on another port.
    """
    end = score.end_ticks
    tracks = [_conductor(score)]
    melodic = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    tuned = 0
    several = sum(not part.is_drum for part in score.parts) > len(melodic)
    for part in score.parts:
        port, place = (0, 0) if part.is_drum else divmod(tuned, len(melodic))
        tuned += not part.is_drum
        channel = DRUM_CHANNEL if part.is_drum else melodic[place]
        tracks.append(_part_events(part, channel, min(port, 127) if several else None))
    head = b"MThd" + (6).to_bytes(4, "big")
    head += b"".join(number.to_bytes(2, "big") for number in (1, len(tracks), score.ticks_per_quarter))
    return head + b"".join(track_chunk(_ended(track, end)) for track in tracks)


_Ordered = tuple[int, int, bytes]  # tick, order among others at that tick, message


def _conductor(score: Score) -> list[_Ordered]:
    found: list[_Ordered] = []
    if score.title:
        found.append((0, 0, meta(TRACK_NAME, _utf8(score.title))))
    for m in score.metres:  # 24 clocks a click and 8 thirty-seconds a quarter, as everybody writes
        found.append((m.tick, 1, meta(TIME_SIGNATURE, bytes([m.numerator, m.denominator.bit_length() - 1, 24, 8]))))
    for k in score.keys:
        minor = k.mode == "minor"
        sharps = _SHARPS[k.mode][k.tonic]
        found.append((k.tick, 2, meta(KEY_SIGNATURE, bytes([sharps & 0xFF, minor]))))
    for t in score.tempos:
        microseconds = min(max(round(6e7 / t.qpm), 1), 2**24 - 1)
        found.append((t.tick, 3, meta(TEMPO, microseconds.to_bytes(3, "big"))))
    for kind, order, texts in ((MARKER, 4, score.markers), (LYRIC, 6, score.lyrics)):
        found += [(text.tick, order, meta(kind, _utf8(text.text))) for text in texts]
    onsets = sorted({note.onset_ticks for part in score.parts for note in part.notes}) if score.chords else []
    found += [(tick, 5, data) for tick, data in chord_events(score.chords, score.ticks_per_quarter, _utf8, onsets)]
    return found


def _part_events(part: Part, channel: int, port: int | None) -> list[_Ordered]:
    found: list[_Ordered] = [(0, 0, meta(TRACK_NAME, _utf8(part.name)))]
    if port is not None:
        found.append((0, 0, meta(PORT, bytes([port]))))
    if part.bank:
        for number, value in zip(BANK_SELECT, divmod(part.bank, 128), strict=True):
            found.append((0, 1, bytes([CONTROL | channel, number, value])))
    for c in part.controls:
        found.append((c.tick, 1 if c.number in BANK_SELECT else 3, bytes([CONTROL | channel, c.number, c.value])))
    found.append((0, 2, bytes([PROGRAM | channel, part.program])))
    for b in part.bends:
        found.append((b.tick, 3, bytes([BEND | channel, b.value + 8192 & 0x7F, b.value + 8192 >> 7])))
    found += [(text.tick, 4, meta(LYRIC, _utf8(text.text))) for text in part.lyrics]
    for n in part.notes:
        # A note of no length ends after it begins; any other ends before the next one at its tick begins.
        found.append((n.onset_ticks, 6, bytes([NOTE_ON | channel, n.pitch, n.velocity])))
        found.append((n.end_ticks, 5 if n.duration_ticks else 7, bytes([NOTE_OFF | channel, n.pitch, 0])))
    return found


def _ended(events: list[_Ordered], end: int) -> list[Event]:
    """Events in their order, and an end of track at ``end`` or after the last."""
    events.sort(key=lambda event: event[:2])
    if events and events[0][0] < 0:
        raise BadRequest(f"an event at tick {events[0][0]}: ticks are counted from 0")
    last = max(end, events[-1][0] if events else 0)
    return [*(Event(tick, data) for tick, _, data in events), Event(last, meta(END_OF_TRACK))]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def write_midi(score: Score, path: str | Path) -> Path:
    """Write ``score`` to ``path`` (beside it first, then renamed, so that nothing is left half-written)."""
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(midi_bytes(score))
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"{path}: cannot be written ({error.strerror}); give another place") from None
        raise
    return path


def to_symusic(score: Score) -> Any:
    """The score as a ``symusic.Score`` in ticks, which is what miditok reads."""
    import symusic

    return symusic.Score.from_midi(midi_bytes(score))


def to_pretty_midi(score: Score) -> pretty_midi.PrettyMIDI:
    """The score as a :class:`pretty_midi.PrettyMIDI` (seconds, not ticks; markers and chord symbols are not kept)."""
    import pretty_midi

    return pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(score)), charset="utf-8")


def from_pretty_midi(midi: pretty_midi.PrettyMIDI, name: str = "pretty_midi") -> Score:
    """A :class:`Score` from a :class:`pretty_midi.PrettyMIDI`."""
    buffer = io.BytesIO()
    midi.write(buffer)
    return read_midi(buffer.getvalue(), name)
