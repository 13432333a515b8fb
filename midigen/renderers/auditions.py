"""Four bars for each instrument, to hear what a SoundFont makes of it: melody, chords, high and low, soft and loud.

All go over A minor, F, C and G at one tempo: played together they are a band.
"""

from __future__ import annotations

from dataclasses import replace

from midigen.errors import BadFile
from midigen.instruments import INSTRUMENTS, OTHER, instrument, kind_of
from midigen.renderers import Stem, render
from midigen.renderers.presets import DRUM_BANK, choose_preset
from midigen.score import TICKS_PER_QUARTER, Control, Metre, Note, Part, Score, Tempo
from midigen.soundfonts import SoundFont

TEMPO_QPM = 92.0
BARS = 4
_PEDAL = 64  # MIDI 1.0, table of control changes
# Of each bar: its place in quarters, and the notes of its chord above A1, from the root up.
_CHORDS = ((0, (45, 52, 57, 60, 64)), (4, (41, 48, 57, 60, 65)), (8, (48, 55, 60, 64, 67)), (12, (43, 50, 59, 62, 67)))
_Played = tuple[float, int, float, int]  # onset in quarters, pitch, length in quarters, velocity

# A tune that begins low and soft, climbs to its loudest note in the third bar, and comes home.
_TUNE: tuple[_Played, ...] = (
    (0, 64, 1.5, 62), (1.5, 69, 0.5, 68), (2, 71, 1, 74), (3, 72, 1, 78),
    (4, 72, 1.5, 80), (5.5, 69, 0.5, 72), (6, 65, 1.5, 70), (7.5, 67, 0.5, 76),
    (8, 76, 1.5, 96), (9.5, 79, 0.5, 104), (10, 76, 1, 98), (11, 74, 0.5, 90), (11.5, 72, 0.5, 84),
    (12, 71, 1, 80), (13, 74, 0.5, 76), (13.5, 71, 0.5, 70), (14, 67, 2, 62),
)  # fmt: skip
_BASS: tuple[_Played, ...] = (
    (0, 33, 1.4, 100), (1.5, 33, 0.4, 84), (2, 40, 0.9, 92), (3, 43, 0.45, 88), (3.5, 45, 0.45, 96),
    (4, 29, 1.4, 102), (5.5, 29, 0.4, 84), (6, 36, 0.9, 92), (7, 33, 0.45, 86), (7.5, 34, 0.45, 80),
    (8, 36, 0.45, 104), (8.5, 36, 0.2, 70), (9, 48, 0.4, 110), (9.5, 36, 0.45, 84), (10, 43, 0.9, 96),
    (11, 40, 0.45, 88), (11.5, 38, 0.45, 84),
    (12, 31, 1.4, 104), (13.5, 31, 0.2, 70), (14, 43, 0.45, 108), (14.5, 41, 0.45, 92), (15, 38, 0.45, 88),
    (15.5, 35, 0.45, 94),
)  # fmt: skip


def phrase(kind: str, program: int | None = None) -> Score:
    """Four bars for one part of ``kind``, a row of the instrument table or ``"other"``, on ``program`` (0..127).

    Without a program the instrument's usual one plays. Raises :class:`midigen.errors.BadRequest` for another kind.
    """
    row = None if kind == OTHER else instrument(kind)
    played = {"piano": _piano, "guitar": _guitar, "drums": _drums}.get(kind)
    rows = played() if played else list(_BASS if kind == "bass" else _TUNE)
    if program is None:
        program = row.default_program if row else 0
    notes = tuple(
        sorted(
            Note(round(onset * TICKS_PER_QUARTER), pitch, round(length * TICKS_PER_QUARTER), velocity)
            for onset, pitch, length, velocity in rows
        )
    )
    pedal: list[Control] = []
    if kind == "piano":
        for start, _ in _CHORDS:  # caught just after each chord, let go as the next one comes
            pedal.append(Control(round((start + 0.1) * TICKS_PER_QUARTER), _PEDAL, 127))
            pedal.append(Control(round((start + 3.98) * TICKS_PER_QUARTER), _PEDAL, 0))
    part = Part(kind, kind, program, is_drum=row is not None and row.is_drum, notes=notes, controls=tuple(pedal))
    return Score((part,), (Tempo(0, TEMPO_QPM),), (Metre(0, 4, 4),), title=f"audition: {kind}", bars=BARS)


def audition(
    font: SoundFont, preset: str | None = None, *, rate: int = 44_100, threads: int | None = None
) -> list[Stem]:
    """A stem for each instrument of the table that ``font`` has a sound for, each playing its :func:`phrase`.

    With a ``preset`` (a name, a program, or ``"bank:program"``) that sound alone, playing the phrase of the instrument
    it belongs to. ``rate`` and ``threads`` as :func:`midigen.renderers.render` takes them, and raises what that does.
    """
    from midigen.renderers.library import presets

    known = presets(font)
    places = {(p.bank == DRUM_BANK, p.program) for p in known}
    if preset is not None:
        wanted = choose_preset(known, Part(""), font.name, asked=preset)
    else:
        kinds = [
            row.name
            for row in INSTRUMENTS.values()
            if any(is_drum == row.is_drum and program in row.programs for is_drum, program in places)
        ]
        if kinds:
            parts = tuple(phrase(kind).parts[0] for kind in kinds)
            return render(replace(phrase(kinds[0]), parts=parts), font, rate=rate, threads=threads)
        if not known:
            raise BadFile(f"{font.path}: holds no sounds; choose another SoundFont")
        wanted = known[0]  # one sound of another kind
    kind = kind_of(wanted.program, wanted.bank == DRUM_BANK)
    place = f"{wanted.bank}:{wanted.program}"
    return render(phrase(kind, wanted.program), font, rate=rate, presets={kind: place}, threads=threads)


def _piano() -> list[_Played]:
    """The tune in the right hand, over octaves and broken chords in the left."""
    rows = list(_TUNE)
    for start, (root, *chord) in _CHORDS:
        loud = 84 if start == 8 else 62
        rows += [(start, root - 12, 3.9, loud + 6), (start, root, 3.9, loud)]
        rows += [(start + 0.5 + 0.5 * i, chord[i % 3], 0.5, loud - 8 + 3 * (i % 2)) for i in range(6)]
    rows.append((14, 88, 2, 48))  # a soft bell at the top, and the lowest A under the last chord
    rows.append((14, 21, 2, 70))
    return rows


def _guitar() -> list[_Played]:
    """Fingers: the thumb on root and fifth, the others in between; and a strum to end."""
    rows: list[_Played] = []
    order = (0, 2, 3, 1, 4, 2, 3, 4)
    for start, chord in _CHORDS:
        for eighth, string in enumerate(order):
            if start == 12 and eighth >= 4:
                break
            pitch = chord[string] if chord[string] >= 40 else chord[string] + 12
            rows.append((start + eighth / 2, pitch, 0.9, (92 if string < 2 else 70) + 5 * (start == 8)))
    for up, pitch in enumerate((43, 47, 50, 55, 59, 67)):  # an open G, down
        rows.append((14 + 0.03 * up, pitch, 2 - 0.03 * up, 104 - 3 * up))
    return rows


def _drums() -> list[_Played]:
    """A backbeat with ghost notes, an open hi-hat, the ride in the third bar, and a fill over the toms to a crash.

    Pitches are General MIDI's percussion keys.
    """
    kick, snare, closed, opened, ride, crash, side = 36, 38, 42, 46, 51, 49, 37
    rows: list[_Played] = [(0, crash, 1, 100)]
    for bar in range(BARS):
        start = 4 * bar
        for eighth in range(8 if bar < 3 else 4):
            cymbal = ride if bar == 2 else opened if eighth == 7 else closed
            rows.append((start + eighth / 2, cymbal, 0.25, 92 if eighth % 2 == 0 else 64))
        rows += [(start, kick, 0.25, 112), (start + 1, side if bar == 0 else snare, 0.25, 106)]
        if bar < 3:
            rows += [(start + 1.75, snare, 0.1, 34), (start + 2.25, snare, 0.1, 30)]  # ghosts
            rows += [(start + 2.5, kick, 0.25, 100), (start + 3, snare, 0.25, 110)]
    for sixteenth, drum in enumerate((38, 38, 50, 50, 48, 47, 45, 43)):
        rows.append((14 + sixteenth / 4, drum, 0.2, 84 + 5 * sixteenth))
    return rows
