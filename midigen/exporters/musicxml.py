"""MusicXML 4.0 (W3C Music Notation Community Group): a sheet as the file that every notation program opens.

Written with the standard library: of the libraries that were tried, music21 loses which drum is meant and stamps the
day's date and random names into the file, and musicxml takes 3 ms a note (see the lab book). The schema comes with the
latter, and the tests hold what is written here against it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from xml.etree.ElementTree import Element

from midigen import __version__
from midigen.exporters import Project
from midigen.exporters.harmony import add_harmony
from midigen.exporters.markup import Archive, add, decimal, xml_bytes
from midigen.notation import engrave
from midigen.notation.percussion import drum_of
from midigen.notation.quantising import Swing
from midigen.notation.rhythm import UNITS, Measure
from midigen.notation.sheet import Clef, Head, Placed, Sheet, SheetPart, Sign, Voice
from midigen.notation.spelling import fifths_of
from midigen.score import Key, Score

DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)
MIME = "application/vnd.recordare.musicxml"
ABBREVIATIONS = {"piano": "Pno.", "guitar": "Gtr.", "bass": "Bass", "drums": "Dr."}
FLAGS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4}
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
FORTE = 90  # the velocity that MusicXML's dynamics are per cent of


class MusicXML:
    """The exporter: ``.musicxml``, or ``.mxl``, which is the same in a ZIP file."""

    suffixes = (".musicxml", ".mxl", ".xml")
    wants_stems = False

    def check(self) -> None:
        """Nothing is needed but Python."""

    def write(self, project: Project, path: Path, place: Path) -> None:
        document = musicxml(project.score)
        path.write_bytes(compressed(document) if place.suffix.lower() == ".mxl" else document)


def musicxml(score: Score) -> bytes:
    """``score`` as a MusicXML file. Raises :class:`midigen.errors.BadRequest` as :func:`midigen.notation.engrave`."""
    return sheet_bytes(engrave(score))


def compressed(document: bytes) -> bytes:
    """A MusicXML file as ``.mxl``: in a ZIP file, behind a note that says where it is."""
    container = Element("container")
    add(add(container, "rootfiles"), "rootfile", full_path="score.musicxml", media_type=f"{MIME}+xml")
    buffer = io.BytesIO()
    with Archive(buffer) as archive:
        archive.add_bytes("mimetype", MIME.encode(), packed=False)
        archive.add_bytes("META-INF/container.xml", xml_bytes(container))
        archive.add_bytes("score.musicxml", document)
    return buffer.getvalue()


def sheet_bytes(sheet: Sheet) -> bytes:
    """A sheet as the bytes of a MusicXML file."""
    root = Element("score-partwise", version="4.0")
    if sheet.title:
        add(add(root, "work"), "work-title", sheet.title)
    encoding = add(add(root, "identification"), "encoding")
    add(encoding, "software", f"midigen {__version__}")
    for element in ("accidental", "beam", "stem"):
        add(encoding, "supports", element=element, type="yes")
    parts = add(root, "part-list")
    channels = iter([channel for channel in range(1, 17) if channel != 10] * (len(sheet.parts) // 15 + 1))
    for number, part in enumerate(sheet.parts, 1):
        _add_instruments(parts, part, f"P{number}", 10 if part.is_drum else next(channels))
    leader = next((number for number, part in enumerate(sheet.parts) if not part.is_drum), 0)
    for number, part in enumerate(sheet.parts):
        written = add(root, "part", id=f"P{number + 1}")
        # Players of chords want to see them; everybody else finds them at the top of the system.
        chords = number == leader or part.kind == "guitar"
        for measure in sheet.measures:
            _add_measure(written, sheet, part, f"P{number + 1}", measure, number == 0, chords and not part.is_drum)
    return xml_bytes(root, DOCTYPE)


def _add_instruments(parts: Element, part: SheetPart, identifier: str, channel: int) -> None:
    entry = add(parts, "score-part", id=identifier)
    add(entry, "part-name", part.name)
    add(entry, "part-abbreviation", _abbreviated(part))
    instruments = [(f"{identifier}-I{key}", drum_of(key).name, key) for key in part.keys]
    if not part.is_drum:
        instruments = [(f"{identifier}-I1", part.name, -1)]
    for name, what, _ in instruments:
        add(add(entry, "score-instrument", id=name), "instrument-name", what)
    for name, _, key in instruments:
        midi = add(entry, "midi-instrument", id=name)
        add(midi, "midi-channel", channel)
        add(midi, "midi-program", part.program + 1)
        if part.is_drum:
            add(midi, "midi-unpitched", key + 1)


def _abbreviated(part: SheetPart) -> str:
    words = part.name.split()
    number = f" {words[-1]}" if len(words) > 1 and words[-1].isdigit() else ""
    return ABBREVIATIONS.get(part.kind, f"{part.name[:4].strip()}.") + number


def _add_measure(
    parent: Element, sheet: Sheet, part: SheetPart, identifier: str, measure: Measure, is_first: bool, chords: bool
) -> None:
    index = measure.number - 1
    written = add(parent, "measure", number=measure.number)
    _add_attributes(written, sheet, part, measure)
    said = list(_directions(sheet, measure, chords)) if chords else []
    said = sorted([*said, *(_told(sheet, measure) if is_first else [])], key=lambda one: (one[0], one[1]))
    voice_number = 0
    for staff_number, staff in enumerate(part.staves, 1):
        voices = staff.bars[index]
        shown = _Accidentals(sheet.keys[index], voices)
        for place, voice in enumerate(voices):
            if (staff_number, place) != (1, 0):
                add(add(written, "backup"), "duration", measure.length)
            # On a piano's lower staff voices count from five, as programs that keep four to a staff expect.
            voice_number = place + 1 + 4 * (staff_number - 1)
            stem = ("up", "down")[place] if len(voices) == 2 else None
            _add_voice(
                written, part, identifier, measure, voice, voice_number, staff_number, stem, shown,
                said if (staff_number, place) == (1, 0) else [],
            )  # fmt: skip
    if measure is sheet.measures[-1]:
        add(add(written, "barline", location="right"), "bar-style", "light-heavy")
    elif any(mark.number == measure.number + 1 for mark in sheet.marks):
        add(add(written, "barline", location="right"), "bar-style", "light-light")


def _add_attributes(written: Element, sheet: Sheet, part: SheetPart, measure: Measure) -> None:
    index = measure.number - 1
    before = sheet.measures[index - 1] if index else None
    key = sheet.keys[index]
    new_key = index == 0 or fifths_of(key) != fifths_of(sheet.keys[index - 1])
    new_metre = before is None or str(before.metre) != str(measure.metre)
    if not (new_key or new_metre):
        return
    attributes = add(written, "attributes")
    if index == 0:
        add(attributes, "divisions", UNITS)
    if new_key:
        signature = add(attributes, "key")
        add(signature, "fifths", 0 if part.is_drum else fifths_of(key))
        if not part.is_drum:
            add(signature, "mode", key.mode)
    if new_metre:
        time = add(attributes, "time")
        add(time, "beats", measure.metre.numerator)
        add(time, "beat-type", measure.metre.denominator)
    if index == 0:
        if len(part.staves) > 1:
            add(attributes, "staves", len(part.staves))
        for number, staff in enumerate(part.staves, 1):
            _add_clef(attributes, staff.clef, number if len(part.staves) > 1 else None)
        if part.is_drum:
            add(add(attributes, "staff-details"), "staff-lines", 5)


def _add_clef(attributes: Element, clef: Clef, number: int | None) -> None:
    written = add(attributes, "clef", **({"number": number} if number else {}))
    add(written, "sign", clef.sign)
    add(written, "line", clef.line)
    if clef.octaves:
        add(written, "clef-octave-change", clef.octaves)


# Things said at a place of a bar, by place and by the order in which they stand there.
_Said = tuple[int, int, object]


def _directions(sheet: Sheet, measure: Measure, chords: bool) -> Iterator[_Said]:
    yield from ((chord.place, 3, chord) for chord in sheet.chords if chord.number == measure.number)


def _told(sheet: Sheet, measure: Measure) -> list[_Said]:
    """Rehearsal marks, tempos, and that it swings: what is said to all."""
    found: list[_Said] = [(mark.place, 0, mark.text) for mark in sheet.marks if mark.number == measure.number]
    for number, place, qpm, shown in sheet.tempos:
        if number == measure.number:
            found.append((place, 1, (qpm, shown, len(measure.beats) > 1 and measure.beats[1] % 72 == 0)))
    if sheet.swing is not None and measure.number == 1:
        found.append((0, 2, sheet.swing))
    return found


def _say(written: Element, what: object, offset: int) -> None:
    if isinstance(what, Placed):
        assert what.symbol is not None
        add_harmony(written, what.symbol, what.text, offset)
        return
    if isinstance(what, tuple) and not what[1]:
        sound = add(written, "sound", tempo=decimal(what[0]))
        if offset:
            add(sound, "offset", offset)
        return
    direction = add(written, "direction", placement="above")
    kind = add(direction, "direction-type")
    if isinstance(what, str):
        add(kind, "rehearsal", what)
    elif isinstance(what, tuple):
        qpm, _, compound = what
        metronome = add(kind, "metronome")
        add(metronome, "beat-unit", "quarter")
        if compound:
            add(metronome, "beat-unit-dot")
        add(metronome, "per-minute", decimal(round(qpm / 1.5 if compound else qpm), 0))
    elif isinstance(what, Swing):
        add(kind, "words", "Swing" if what.unit == "eighth" else "Swing 16ths", font_weight="bold")
    if offset:
        add(direction, "offset", offset)
    if isinstance(what, tuple):
        add(direction, "sound", tempo=decimal(what[0]))
    elif isinstance(what, Swing):
        late = round(100 * what.place)
        swing = add(add(direction, "sound"), "swing")
        add(swing, "first", late)
        add(swing, "second", 100 - late)
        add(swing, "swing-type", {"eighth": "eighth", "sixteenth": "16th"}[what.unit])


def _add_voice(
    written: Element, part: SheetPart, identifier: str, measure: Measure, voice: Voice, number: int, staff: int,
    stem: str | None, shown: _Accidentals, said: list[_Said],
) -> None:  # fmt: skip
    beams = _beams(voice, measure)
    said = list(said)
    for at, sign in enumerate(voice):
        while said and (said[0][0] < sign.piece.stop or at == len(voice) - 1):
            place, _, what = said.pop(0)
            _say(written, what, place - sign.piece.start)
        tuplet = sign.piece.tuplet
        first = tuplet is not None and (at == 0 or voice[at - 1].piece.tuplet != tuplet)
        last = tuplet is not None and (at + 1 == len(voice) or voice[at + 1].piece.tuplet != tuplet)
        heads: list[Head | None] = [*sorted(sign.heads, key=lambda one: one.pitch)]
        for order, head in enumerate(heads or [None]):
            note = add(written, "note")
            if head is not None:
                note.set("dynamics", decimal(100 * head.velocity / FORTE, 2))
                if order:
                    add(note, "chord")
            _add_what(note, head, sign)
            add(note, "duration", sign.piece.length)
            if head is not None:
                _add_ties(note, head)
                if part.is_drum:
                    add(note, "instrument", id=f"{identifier}-I{head.pitch}")
            add(note, "voice", number)
            if not sign.fills_bar:
                add(note, "type", sign.piece.kind)
                for _ in range(sign.piece.dots):
                    add(note, "dot")
            accidental = shown.of(sign, head) if head is not None else None
            if accidental:
                add(note, "accidental", accidental)
            if tuplet is not None:
                change = add(note, "time-modification")
                add(change, "actual-notes", 3)
                add(change, "normal-notes", 2)
            if head is not None and sign.piece.kind != "whole":
                if stem:
                    add(note, "stem", stem)
                elif part.is_drum:
                    add(note, "stem", "down" if drum_of(head.pitch).foot else "up")
            if head is not None and part.is_drum and drum_of(head.pitch).head != "normal":
                add(note, "notehead", drum_of(head.pitch).head)
            if len(part.staves) > 1:
                add(note, "staff", staff)
            if head is not None and not order:
                for level, how in beams.get(at, ()):
                    add(note, "beam", how, number=level)
            _add_notations(note, head, order, first, last, sign)
            if sign.lyric is not None and not order:
                lyric = add(note, "lyric", number=1)
                add(lyric, "syllabic", sign.lyric.syllabic)
                add(lyric, "text", sign.lyric.text)
                if sign.lyric.is_held:
                    add(lyric, "extend")


def _add_what(note: Element, head: Head | None, sign: Sign) -> None:
    if head is None:
        add(note, "rest", **({"measure": "yes"} if sign.fills_bar else {}))
    elif head.name is None:
        drum, what = drum_of(head.pitch), add(note, "unpitched")
        add(what, "display-step", drum.step)
        add(what, "display-octave", drum.octave)
    else:
        what = add(note, "pitch")
        add(what, "step", head.name.step)
        if head.name.alter:
            add(what, "alter", head.name.alter)
        add(what, "octave", min(max(head.name.octave, 0), 9))  # there are no others in the format


def _add_ties(parent: Element, head: Head, tag: str = "tie") -> None:
    if head.tied_from:
        add(parent, tag, type="stop")
    if head.tied_to:
        add(parent, tag, type="start")


def _add_notations(note: Element, head: Head | None, order: int, first: bool, last: bool, sign: Sign) -> None:
    tied = head is not None and (head.tied_from or head.tied_to)
    bracket = order == 0 and (first or last)
    if not (tied or bracket):
        return
    notations = add(note, "notations")
    if tied and head is not None:
        _add_ties(notations, head, "tied")
    if bracket and first:
        add(notations, "tuplet", type="start", bracket="yes", show_number="actual")
    if bracket and last:
        add(notations, "tuplet", type="stop")


class _Accidentals:
    """Which noteheads of a staff in a bar need a sign before them: those that differ from what holds there."""

    def __init__(self, key: Key, voices: Sequence[Voice]) -> None:
        self._signs: dict[tuple[int, int], str | None] = {}
        fifths = fifths_of(key)
        usual = {step: _alter_in(step, fifths) for step in "CDEFGAB"}
        holds: dict[tuple[str, int], int] = {}
        heads = [(sign.piece.start, sign, head) for voice in voices for sign in voice for head in sign.heads]
        for _, sign, head in sorted(heads, key=lambda one: (one[0], one[2].pitch)):
            name = head.name
            if name is None:
                continue
            place = (name.step, name.octave)
            if head.tied_from:
                continue  # it is said already, and what comes after it in this bar is said again
            if holds.get(place, usual[name.step]) != name.alter:
                self._signs[id(sign), head.pitch] = ACCIDENTALS[name.alter]
                holds[place] = name.alter

    def of(self, sign: Sign, head: Head) -> str | None:
        return self._signs.get((id(sign), head.pitch))


def _alter_in(step: str, fifths: int) -> int:
    sharps = "FCGDAEB"
    if fifths >= 0:
        return int(step in sharps[:fifths])
    return -int(step in sharps[::-1][:-fifths])


def _beams(voice: Voice, measure: Measure) -> dict[int, list[tuple[int, str]]]:
    """The beams of each sign of ``voice``: level and how."""
    groups: list[list[int]] = []
    before: tuple[int, int] | None = None
    for at, sign in enumerate(voice):
        if sign.is_rest or sign.piece.kind not in FLAGS:
            before = None
            continue
        span = _beamed_span(voice, measure, sign.piece.start)
        if before == span and groups:
            groups[-1].append(at)
        else:
            groups.append([at])
        before = span
    found: dict[int, list[tuple[int, str]]] = {}
    for group in groups:
        if len(group) < 2:
            continue
        flags = [FLAGS[voice[at].piece.kind] for at in group]
        for level in range(1, max(flags) + 1):
            for long_enough, run in groupby(range(len(group)), key=lambda n: flags[n] >= level):
                places = list(run)
                if not long_enough:
                    continue
                for n in places:
                    if len(places) == 1:
                        how = "backward hook" if n else "forward hook"
                    else:
                        how = "begin" if n == places[0] else "end" if n == places[-1] else "continue"
                    found.setdefault(group[n], []).append((level, how))
    return found


def _beamed_span(voice: Voice, measure: Measure, place: int) -> tuple[int, int]:
    """What is beamed together around ``place``: a beat, or a group of beats (a half of 4/4, all of 3/4) where it is
    nothing but eighths."""
    begin, end = measure.group_of(place)
    if measure.metre.denominator <= 4:
        inside = [sign for sign in voice if begin <= sign.piece.start < end]
        plain = all(sign.piece.length == UNITS // 2 and not sign.is_rest for sign in inside)
        if plain and inside and len(inside) * (UNITS // 2) == end - begin:
            return begin, end
    return measure.beat_of(place)
