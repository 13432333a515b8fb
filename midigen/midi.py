"""``.mid`` to ``Score`` and back: the only room that knows MIDI libraries.

Reading is symusic's (in ticks, in C++: 0.5 ms a song where pretty_midi takes 140 ms, which is what lets ``prepare``
read thousands of songs), writing is mido's (full control over the conductor track), and :func:`to_pretty_midi` and
:func:`from_pretty_midi` are the door to everything in Python that speaks pretty_midi.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.errors import BadFile, OutputError
from midigen.events import NOTE_ON, PROGRAM, charset_of, lyrics_of, read_events
from midigen.instruments import OTHER, kind_of
from midigen.score import KEY_NAMES, LONGEST_TICKS, Bend, Control, Key, Metre, Note, Part, Score, Tempo, Text

if TYPE_CHECKING:
    import mido
    import pretty_midi

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
        try:
            data = Path(source).read_bytes()
        except FileNotFoundError:
            raise BadFile(f"{label}: no such file; give the path of a .mid file") from None
        except OSError as error:
            raise BadFile(f"{label}: cannot be read ({error.strerror}); give the path of a .mid file") from None
    return _sung(from_symusic(_parse(data, label), label), data, label)


def _parse(data: bytes, label: str) -> Any:
    import symusic  # 0.15 s: only when a file is read

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
    parts = []
    lyrics: list[Text] = []
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
                name=track.name.strip() or (kind if kind != OTHER else f"part {number + 1}"),
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
    """A type 1 :class:`mido.MidiFile`: a conductor track (title, tempo, metre, key, markers, chord symbols, and the
    lyrics of no part), then one track a part with its name, bank, program, controllers, bends, lyrics and notes; drums
    on channel 10."""
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=score.ticks_per_quarter, charset="utf-8")
    conductor: list[tuple[int, int, mido.MetaMessage]] = []
    meta = mido.MetaMessage
    if score.title:
        conductor.append((0, 0, meta("track_name", name=score.title)))
    for m in score.metres:
        conductor.append((m.tick, 1, meta("time_signature", numerator=m.numerator, denominator=m.denominator)))
    for k in score.keys:
        name = KEY_NAMES[k.mode][k.tonic] + ("m" if k.mode == "minor" else "")
        conductor.append((k.tick, 2, meta("key_signature", key=name)))
    for t in score.tempos:
        conductor.append((t.tick, 3, meta("set_tempo", tempo=min(max(round(6e7 / t.qpm), 1), 2**24 - 1))))
    conductor += [(t.tick, 4, meta("marker", text=t.text)) for t in score.markers]
    conductor += [(t.tick, 5, meta("text", text=t.text)) for t in score.chords]
    conductor += [(t.tick, 6, meta("lyrics", text=t.text)) for t in score.lyrics]
    end = score.end_ticks
    file.tracks.append(_track(conductor, end))
    melodic = [c for c in range(16) if c != 9]
    for number, part in enumerate(score.parts):
        channel = 9 if part.is_drum else melodic[number % len(melodic)]
        events: list[tuple[int, int, mido.Message | mido.MetaMessage]] = [(0, 0, meta("track_name", name=part.name))]
        if part.bank:
            for number, value in zip(BANK_SELECT, divmod(part.bank, 128), strict=True):
                events.append((0, 1, mido.Message("control_change", control=number, value=value, channel=channel)))
        for c in part.controls:
            order = 1 if c.number in BANK_SELECT else 3
            message = mido.Message("control_change", control=c.number, value=c.value, channel=channel)
            events.append((c.tick, order, message))
        events.append((0, 2, mido.Message("program_change", program=part.program, channel=channel)))
        bends = [(b.tick, 3, mido.Message("pitchwheel", pitch=b.value, channel=channel)) for b in part.bends]
        events += bends
        events += [(t.tick, 4, meta("lyrics", text=t.text)) for t in part.lyrics]
        for n in part.notes:
            on = mido.Message("note_on", note=n.pitch, velocity=n.velocity, channel=channel)
            off = mido.Message("note_off", note=n.pitch, velocity=0, channel=channel)
            # A note of no length ends after it begins; any other ends before the next one at its tick begins.
            events += [(n.onset_ticks, 6, on), (n.end_ticks, 5 if n.duration_ticks else 7, off)]
        file.tracks.append(_track(events, end))
    return file


def _track(events, end: int) -> mido.MidiTrack:
    import mido

    track, now = mido.MidiTrack(), 0
    for tick, _, message in sorted(events, key=lambda e: (e[0], e[1])):
        message.time, now = tick - now, tick
        track.append(message)
    track.append(mido.MetaMessage("end_of_track", time=max(end - now, 0)))
    return track


def midi_bytes(score: Score) -> bytes:
    """The score as the bytes of a ``.mid`` file: what :func:`write_midi` writes."""
    buffer = io.BytesIO()
    to_mido(score).save(file=buffer)
    return buffer.getvalue()


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
