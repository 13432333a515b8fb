"""How loud a part is going to be, before a note of it is known: by a phrase of its instrument.

SoundFonts play one velocity more than 10 dB louder or softer than others do, so what a part is to be balanced by, while
it is still written, is heard from the very sound that will play it: two seconds of the usual, which take some
hundredths of a second. The loudness of the stem that comes of it is missed by 3.5 LU (standard deviation; ten pieces,
three fonts: docs/lab-book.md).
"""

from __future__ import annotations

import numpy as np

from midigen.loudness import Meter
from midigen.renderers.events import BLOCK, messages
from midigen.renderers.fluidsynth import OpenSynthesizer
from midigen.score import Note, Part, Score
from midigen.soundfonts import SoundFont

RATE = 44_100
_SILENT_LUFS = -23.0  # of a part that the phrase does not make sound: nothing is known of it

# Chords and lines as the parts of songs have them: ticks at 120 quarters a minute, MIDI pitches, length, velocity.
_PIANO = [Note(480 * n, pitch, 460, 72) for n in range(4) for pitch in ((48, 60, 64, 67), (55, 64, 67))[n % 2]]
_GUITAR = [Note(240 * n, (45, 52, 57, 60, 64, 60, 57, 52)[n], 460, 76) for n in range(8)]
_BASS = [Note(480 * n, (33, 33, 40, 36)[n], 440, 84) for n in range(4)]
_DRUMS = sorted(
    [Note(240 * n, 42, 100, 70) for n in range(8)]
    + [Note(960 * n, 36, 100, 96) for n in range(2)]
    + [Note(480 + 960 * n, 38, 100, 96) for n in range(2)]
)
PHRASES = {"piano": _PIANO, "guitar": _GUITAR, "bass": _BASS, "drums": _DRUMS}
# How much louder or softer the stems of whole pieces are than the phrase: medians, docs/lab-book.md.
OFFSETS_LU = {"piano": 3.2, "guitar": 1.7, "bass": 2.0, "drums": 4.0}


def expected_lufs(part: Part, font: SoundFont, *, chosen: bool = False, preset: str | None = None) -> float:
    """The integrated loudness to expect of ``part`` (its instrument and sound; its notes do not matter) as ``font``
    plays it. Raises what :class:`midigen.renderers.fluidsynth.OpenSynthesizer` raises."""
    phrase = PHRASES.get(part.kind, _PIANO)
    alone = Part(part.name, part.kind, part.program, part.is_drum, part.bank, tuple(phrase))
    synthesizer = OpenSynthesizer(alone, font, RATE, chosen=chosen, preset=preset)
    meter = Meter(RATE, 2, true_peak=False)
    try:
        now = 0
        for message in [*messages(Score((alone,)), alone, RATE), None]:
            until = message.block if message is not None else int(2 * RATE / BLOCK)
            if until > now:
                meter.feed(synthesizer.play(until - now))
                now = until
            if message is not None:
                synthesizer.send(message)
    finally:
        synthesizer.close()
    lufs = meter.reading().integrated_lufs
    return lufs + OFFSETS_LU.get(part.kind, 2.0) if np.isfinite(lufs) else _SILENT_LUFS
