"""Somebody's MIDI file, opened to be edited: its bytes, its events, its parts and the score they make.

:func:`midigen.midi.read_midi` is the quick way to a score; this keeps where in the file every note came from, so that
:mod:`midigen.patching` can change some of them and nothing else.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from midigen.charsets import decode, one_line
from midigen.events import (
    BEND,
    CONTROL,
    INSTRUMENT_NAME,
    KEY_SIGNATURE,
    MARKER,
    META,
    PROGRAM,
    SYSEX,
    TEMPO,
    TEXT,
    TIME_SIGNATURE,
    TRACK_NAME,
    EventFile,
    Stroke,
    Track,
    charset_of,
    held,
    lyrics_of,
    meta_of,
    read_events,
    read_file,
)
from midigen.general_midi import GM_NAMES
from midigen.instruments import OTHER, kind_of
from midigen.midi import BANK_SELECT, DRUM_CHANNEL
from midigen.recognition import kind_by_name
from midigen.score import Bend, Control, Key, Metre, Note, Part, Score, Tempo, Text

# A chord symbol by its letters; what it means is read elsewhere.
_SYMBOL = re.compile(
    r"N\.?C\.?|[A-G][#b♯♭]?(?:maj|min|dim|aug|sus|add|alt|omit|no|[mM0-9øØ°Δ∆+#b♯♭(),\-])*(?:/[A-G][#b♯♭]?)?"
)
# Low and one at a time: a bass, where nothing else says what plays. E2 is 40; guitars and left hands lie higher.
LOW_PITCH, MOST_TOGETHER, FEWEST_NOTES = 45.0, 0.1, 8
CONTRABASS, BASS_AND_LEAD = 43, 87  # General MIDI programs that belong to no row, but may well play the bass
VOICES = (52, 53, 54)  # a choir's bass is no bass
PERCUSSIVE = range(112, 128)  # General MIDI's percussive and sound effects


@dataclass(frozen=True, slots=True)
class SourcePart:
    """One part of a file: what one channel (0..15) of one track (from 0) plays.

    ``kind``, ``program`` (0..127), ``is_drum`` and ``bank`` as in :class:`midigen.score.Part`; the program is the one
    that plays most of the notes, and may lie outside the row of ``kind`` (a bass line on a lead sound, a part that
    names its instrument and sets no program). ``port`` is the MIDI port of the track.
    """

    name: str
    kind: str
    program: int
    is_drum: bool
    bank: int
    track: int
    channel: int
    port: int = 0


@dataclass(frozen=True)
class OpenedSong:
    """A file that may be edited: ``data`` as it was given, ``file`` as its events, ``parts`` and, in the same order and
    with all their notes, those of ``score``. ``charset`` is what its texts seem to be written in."""

    label: str
    data: bytes
    file: EventFile
    parts: tuple[SourcePart, ...]
    score: Score
    charset: str

    def with_parts(self, numbers: Sequence[int]) -> OpenedSong:
        """The song as heard with only the parts that are numbered (from 0); its file is the whole one still."""
        parts = tuple(self.parts[number] for number in numbers)
        return replace(
            self, parts=parts, score=replace(self.score, parts=tuple(self.score.parts[number] for number in numbers))
        )


def open_song(source: str | Path | bytes, label: str = "") -> OpenedSong:
    """Open a MIDI file (type 0 or 1, or RIFF-wrapped): a path, or its bytes, which ``label`` then names in messages.

    There is a part for each channel of each track that has notes. A note that is never let go lasts to the end of the
    file; controllers and bends are those that the part's channel hears, whichever track sends them. A file without
    notes has no parts. Chord symbols are the texts of a track without notes, where all of them look like symbols.
    Raises :class:`BadFile` with one line for what is missing, truncated, broken or no MIDI.
    """
    if isinstance(source, bytes):
        data, label = source, label or "MIDI data"
    else:
        label = label or str(source)
        data = read_file(source, label)
    file = read_events(data, label)
    metas = [(event.tick, *meta_of(event)) for track in file.tracks for event in track.events if event.data[0] == META]
    charset = charset_of(file)
    lines = list(_lines(file, charset))
    names = _names(lines)
    parts = tuple(
        SourcePart(name, line.kind, line.program, line.is_drum, line.bank, line.track, line.channel, line.port)
        for name, line in zip(names, lines, strict=True)
    )
    return OpenedSong(label, data, file, parts, _score(file, parts, lines, metas, charset, Path(label).stem), charset)


class _Line(NamedTuple):
    """A part while it is being read."""

    track: int
    channel: int
    port: int
    named: str
    kind: str
    program: int
    is_drum: bool
    bank: int
    notes: tuple[Note, ...]


class _Patch(NamedTuple):
    """A sound from ``tick`` on."""

    tick: int
    program: int
    bank: int


def _lines(file: EventFile, charset: str) -> Iterator[_Line]:
    own = [_patches(track) for track in file.tracks]
    everyone: dict[tuple[int, int], list[_Patch]] = defaultdict(list)
    for track, patches in zip(file.tracks, own, strict=True):
        for channel, changes in patches.items():
            everyone[track.port, channel] += changes
    for changes in everyone.values():
        changes.sort(key=lambda change: change.tick)
    any_said = bool(everyone)
    drums, banks = drum_channels(file)
    end = file.end_tick
    for number, track in enumerate(file.tracks):
        strokes: dict[int, list[Stroke]] = defaultdict(list)
        for stroke in track.paired[0]:
            strokes[stroke.channel].append(stroke)
        # In a file of one track its name is the song's, and one track of many channels is no part either.
        named = _track_name(track, charset) if len(strokes) == 1 and file.kind else ""
        for channel in sorted(strokes):
            # Where the track sets no sound for its channel, another may have done so (a track of set-up alone).
            patch = _usual(strokes[channel], own[number].get(channel, []), everyone.get((track.port, channel), []))
            program, bank = (patch.program, patch.bank) if patch else (0, 0)
            is_drum = channel in drums or bank // 128 in banks
            rows = [
                (s.onset, s.pitch, (end if s.end is None else s.end) - s.onset, s.velocity) for s in strokes[channel]
            ]
            notes = tuple(Note(*row) for row in sorted(rows))
            kind = _kind(named, program, any_said, patch is not None, is_drum, notes)
            yield _Line(number, channel, track.port, named, kind, program, kind == "drums", bank, notes)


def _patches(track: Track) -> dict[int, list[_Patch]]:
    """For each channel the sounds that a track sets, in order; a bank counts once a program is chosen from it."""
    banks: dict[int, dict[int, int]] = defaultdict(dict)
    found: dict[int, list[_Patch]] = defaultdict(list)
    for tick, data in track.events:
        channel = data[0] & 0x0F
        if data[0] & 0xF0 == CONTROL and data[1] in BANK_SELECT:
            banks[channel][data[1]] = data[2] & 0x7F
        elif data[0] & 0xF0 == PROGRAM:
            coarse, fine = (banks[channel].get(number, 0) for number in BANK_SELECT)
            found[channel].append(_Patch(tick, data[1], 128 * coarse + fine))
    return found


def _usual(strokes: Sequence[Stroke], own: Sequence[_Patch], everyone: Sequence[_Patch]) -> _Patch | None:
    """The sound that plays most of the notes; ``None`` where none is set."""
    for changes in (own, everyone):
        ticks = [change.tick for change in changes]
        places = Counter(bisect_right(ticks, stroke.onset) for stroke in strokes)
        counts: Counter[tuple[int, int]] = Counter()
        for place, count in sorted(places.items()):
            if place:
                counts[changes[place - 1].program, changes[place - 1].bank] += count
        if counts:
            return _Patch(0, *counts.most_common(1)[0][0])
    return None


def drum_channels(file: EventFile) -> tuple[set[int], tuple[int, ...]]:
    """The channels that play drums, and the banks (their first number) that make any channel do so.

    Channel 10, and what Roland's GS (use for rhythm part, 40 1x 15) and Yamaha's XG (part mode, 08 pp 07) make of it
    and others by SysEx. Bank 120 is drums in General MIDI 2; 126 and 127 are in XG, and something else in GS.
    """
    channels: set[int] = {DRUM_CHANNEL}
    banks: tuple[int, ...] = (120,)
    for track in file.tracks:
        for event in track.events:
            if event.data[0] not in SYSEX:
                continue
            said = held(event)
            if len(said) > 7 and said[:1] == b"\x41" and said[2:5] == b"\x42\x12\x40" and said[6:7] == b"\x15":
                block = said[5] & 0x0F
                channel = block - 1 if 0 < block < 10 else block or DRUM_CHANNEL
                (channels.add if said[7] else channels.discard)(channel)
            elif said[:1] == b"\x43" and said[2:3] == b"\x4c" and len(said) > 6:
                if said[3:6] == b"\x00\x00\x7e":
                    banks = (120, 126, 127)
                elif said[3] == 8 and said[5] == 7 and said[4] < 16:
                    (channels.add if said[6] else channels.discard)(said[4])
    return channels, banks


def _kind(named: str, program: int, any_said: bool, said: bool, is_drum: bool, notes: Sequence[Note]) -> str:
    """What plays a part: drums by channel, else its program, else its name, else how low it lies.

    Program 0 is what programs write who mean nothing by it, so a name goes before it.
    """
    if is_drum:
        return "drums"
    by_name = kind_by_name(named)
    if program:
        by_program = kind_of(program, False)
        if by_program != OTHER:
            return by_program
        if by_name == "drums" and program in PERCUSSIVE:
            return by_name
        if by_name in ("bass", "guitar") and program not in VOICES:
            return by_name
        return "bass" if program in (CONTRABASS, BASS_AND_LEAD) and _is_bass_line(notes) else OTHER
    if by_name is not None and (by_name != OTHER or not said):
        return by_name
    if any_said:
        return kind_of(0, False)
    return "bass" if _is_bass_line(notes) else OTHER


def _is_bass_line(notes: Sequence[Note]) -> bool:
    if len(notes) < FEWEST_NOTES or float(np.mean([note.pitch for note in notes])) >= LOW_PITCH:
        return False
    latest = together = 0
    for note in notes:
        # Legato overlaps by a little; two notes at once share most of their time.
        together += min(latest, note.end_ticks) - note.onset_ticks > note.duration_ticks / 2
        latest = max(latest, note.end_ticks)
    return together <= MOST_TOGETHER * len(notes)


def _track_name(track: Track, charset: str) -> str:
    """The first name of a track that says something; else of its instrument."""
    metas = [meta_of(event) for event in track.events if event.data[0] == META]
    for wanted in (TRACK_NAME, INSTRUMENT_NAME):
        for kind, text in metas:
            if kind == wanted and (name := one_line(decode(text, charset))):
                return name
    return ""


def _names(lines: Iterable[_Line]) -> list[str]:
    """A name for each part, unique whatever its case: its track's, else its instrument's; a second is numbered."""
    taken: set[str] = set()
    names = []
    for line in lines:
        usual = line.kind if line.kind != OTHER else GM_NAMES[line.program].lower() if line.program else "part"
        name = base = line.named or usual
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{base} {number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _score(
    file: EventFile,
    parts: Sequence[SourcePart],
    lines: Sequence[_Line],
    metas: Sequence[tuple[int, int, bytes]],
    charset: str,
    title: str,
) -> Score:
    controls, bends = _moves(file)
    tempos: dict[int, Tempo] = {}
    metres: dict[int, Metre] = {}
    keys: dict[int, Key] = {}
    texts: dict[int, list[Text]] = defaultdict(list)
    # Metas may be longer or shorter than the standard has them, and hold what it forbids: that is passed over.
    for tick, kind, said in sorted(metas, key=lambda meta: meta[0]):
        if kind == TEMPO and len(said) >= 3 and any(said[:3]):
            tempos[tick] = Tempo(tick, 6e7 / int.from_bytes(said[:3], "big"))
        elif kind == TIME_SIGNATURE and len(said) >= 2 and said[0] and said[1] <= 6:
            metres[tick] = Metre(tick, said[0], 2 ** said[1])
        elif kind == KEY_SIGNATURE and len(said) >= 2 and (sharps := (said[0] + 128) % 256 - 128) in range(-7, 8):
            minor = said[1] == 1
            keys[tick] = Key(tick, (7 * sharps + 9 * minor) % 12, "minor" if minor else "major")
        elif kind == MARKER:
            texts[kind].append(Text(tick, decode(said, charset)))
    sung = lyrics_of(file, charset)
    playing = {part.track for part in parts}
    chords = [
        text for number, track in enumerate(file.tracks) if number not in playing for text in _chords(track, charset)
    ]
    alone = Counter(part.track for part in parts)
    return Score(
        parts=tuple(
            Part(
                name=part.name,
                kind=part.kind,
                program=part.program,
                is_drum=part.is_drum,
                bank=part.bank,
                notes=line.notes,
                controls=tuple(controls[part.port, part.channel]),
                bends=tuple(bends[part.port, part.channel]),
                lyrics=sung.pop(part.track, ()) if alone[part.track] == 1 else (),
            )
            for part, line in zip(parts, lines, strict=True)
        ),
        tempos=tuple(tempos.values()),
        metres=tuple(metres.values()),
        keys=tuple(keys.values()),
        markers=tuple(sorted(texts[MARKER])),
        chords=tuple(sorted(chords, key=lambda text: text.tick)),
        lyrics=tuple(sorted((text for texts in sung.values() for text in texts), key=lambda text: text.tick)),
        title=title,
        ticks_per_quarter=file.division,
    )


def _chords(track: Track, charset: str) -> list[Text]:
    """The chord symbols of a track: its texts, where all of them look like one, as midigen writes them.

    An empty one stands before each (see :mod:`midigen.chordmarks`).
    """
    texts = [
        Text(event.tick, text)
        for event in track.events
        if event.data[0] == META and event.data[1] == TEXT and (text := decode(held(event), charset).strip())
    ]
    return texts if all(_SYMBOL.fullmatch(text.text) for text in texts) else []


def _moves(file: EventFile) -> tuple[dict[tuple[int, int], list[Control]], dict[tuple[int, int], list[Bend]]]:
    """The controllers (banks apart) and bends that each channel of each port hears, in order of time."""
    controls: dict[tuple[int, int], list[Control]] = defaultdict(list)
    bends: dict[tuple[int, int], list[Bend]] = defaultdict(list)
    for track in file.tracks:
        for tick, data in track.events:
            if data[0] & 0xF0 == CONTROL and data[1] not in BANK_SELECT:
                controls[track.port, data[0] & 0x0F].append(Control(tick, data[1], data[2] & 0x7F))
            elif data[0] & 0xF0 == BEND:
                value = (data[1] | (data[2] & 0x7F) << 7) - 8192
                bends[track.port, data[0] & 0x0F].append(Bend(tick, value))
    for heard in controls.values():
        heard.sort(key=lambda control: control.tick)
    for bent in bends.values():
        bent.sort(key=lambda bend: bend.tick)
    return controls, bends
