"""How people play, in numbers: what :mod:`midigen.performance` plays by, and what they are numbers of.

Measured by ``python -m benchmarks.timing band-train.tar.xz`` on 5,426 songs in 2/4, 3/4 and 4/4 from collections of
sequenced songs. 1,758 have a part that was played in rather than typed: 4,034 such parts, drums by section. Loudness is
of 26,895 parts with eight different velocities or more. Every number is the median over parts, so it is what one part
does, not what tells parts apart. That script says what counts as played, and measures in the same way what is made of
these numbers. What it found besides:

- Timing scales with the beat: the spread of an onset is 2 % of a quarter from 40 to 200 quarters a minute (medians of
  seven bands of tempo: 10.4 to 11.5 ms at 120). So times here are milliseconds at 120, in proportion at other tempos.
- No place in the beat is late or early as such: medians within 1 ms on beats, offbeats and sixteenths.
- Two players have hardly anything in common (covariance of simultaneous onsets 1.4 ms², correlation 0.05): these songs
  were played to a click. The hands and feet of a drummer have not either (0.3 ms², 0.03).
- A fifth of the songs swing (median place of a lone offbeat beyond 0.54 of its quarter): median place 0.67, quartiles
  0.65 and 0.67. The swing of :func:`midigen.performance.swing` at 1 is that.
- Note lengths vary far more than notation has room for, and are written in it; nothing was taken from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midigen.grid import POSITIONS_PER_QUARTER
from midigen.instruments import OTHER
from midigen.score import Part, Score

ACCENTS = ("downbeat", "half bar", "beat", "offbeat", "sixteenth", "triplet")  # places in a bar, for loudness
PLACES = ACCENTS[2:]  # places in a beat, for timing
QUARTER_MS = 500.0  # of a quarter at 120 a minute

# How far an onset's deviation goes on 0.5, 1, 2, 3, 6 quarters later: correlations 0.30, 0.19, 0.10, 0.05, 0.02 in
# piano, guitar and bass; 0.11, 0.11, 0.08, 0.01, 0.02 in drums. Shares of the variance that wander, and their memory:
# 0.29, 0.20, 0.10, 0.05, 0.00 and 0.10, 0.07, 0.03, 0.02, 0.00.
TIMING_WANDERS, DRUMS_WANDER, TIMING_QUARTERS = 0.42, 0.15, 1.35
TOGETHER_MS = 1.2  # what all players share
LAG_MS = 4.0  # from part to part, how late it is as a whole (quartiles over 1.35; the drums are the beat)
# Velocities 0.5, 1, 2, 3, 6, 10 quarters later: 0.26, 0.26, 0.22, 0.14, 0.10, 0.07. This one: 0.28, 0.26, 0.22, 0.19,
# 0.12, 0.06.
LOUDNESS_WANDERS, LOUDNESS_QUARTERS = 0.3, 6.5


@dataclass(frozen=True, slots=True)
class Feel:
    """How a section plays.

    ``spread_ms``: standard deviation of its onsets by :data:`PLACES`; ``chord_ms``: of notes struck together (in
    guitars: where a chord is not strummed). ``accents``: by how many velocities it is louder than its mean at
    :data:`ACCENTS`; ``loudness``: standard deviation of its onsets' velocities around those; ``chord_loudness``: of
    the velocities of notes struck together.
    """

    spread_ms: tuple[float, float, float, float]
    chord_ms: float
    accents: tuple[float, float, float, float, float, float]
    loudness: float
    chord_loudness: float


FEELS = {
    "piano": Feel((9.8, 10.0, 13.3, 11.7), 4.4, (1.1, 0.8, 0.7, -0.5, -0.8, -1.4), 9.3, 6.7),
    "guitar": Feel((9.3, 9.5, 10.9, 10.5), 5.3, (2.1, 0.9, 1.1, -0.6, -1.9, -1.5), 9.0, 6.7),
    "bass": Feel((8.5, 8.5, 10.6, 9.6), 5.3, (1.9, 0.7, 0.5, -0.6, -2.2, -1.9), 7.5, 5.9),  # few chords: as a guitar
    "kick": Feel((4.5, 4.6, 4.3, 8.5), 0.0, (4.0, 2.4, 0.3, -3.2, -6.9, -7.3), 7.4, 0.0),
    "snare": Feel((5.2, 6.5, 5.7, 11.2), 0.0, (0.2, -0.6, 2.1, -4.3, -10.5, -10.1), 8.9, 0.0),
    "hats": Feel((5.0, 4.6, 4.8, 7.8), 0.0, (7.0, 5.9, 8.9, -2.9, -10.3, -8.0), 8.7, 0.0),
    "toms": Feel((6.1, 7.2, 10.8, 7.5), 0.0, (1.5, 0.4, 2.7, -1.0, -2.6, -1.3), 11.6, 0.0),
    OTHER: Feel((11.0, 11.6, 13.3, 13.3), 4.9, (0.4, 0.6, 0.5, -0.2, -0.6, -0.3), 8.4, 5.5),
}


@dataclass(frozen=True, slots=True)
class Strum:
    """How a guitar's hand goes: ``string_ms`` from one string to the next, and how often upward at :data:`PLACES`.

    A triplet is taken as a beat; :mod:`midigen.performance` looks at which of the three it is.
    """

    string_ms: float
    upward: tuple[float, float, float, float]


# By whether the guitar is an acoustic one, then by whether the hand goes in sixteenths. Of the acoustic guitars with
# chords of three notes or more 66 % strum them, of the electric ones 52 %; the numbers are of those that do.
STRUMS = {
    (True, False): Strum(7.8, (0.03, 0.90, 0.85, 0.03)),
    (True, True): Strum(6.5, (0.03, 0.03, 0.94, 0.03)),
    (False, False): Strum(7.8, (0.05, 0.24, 0.71, 0.05)),
    (False, True): Strum(6.9, (0.05, 0.12, 0.93, 0.05)),
}
ACOUSTIC_PROGRAMS = (24, 25)
FINE_STRUMMER = 0.1  # the share of a guitar's chords on sixteenths from which its hand goes in sixteenths

# General MIDI percussion by what plays it: a foot, the hand that keeps the backbeat, the hand that keeps time.
_KICK, _SNARE, _HATS = (35, 36), (37, 38, 39, 40), (42, 44, 46, 51, 53, 54, 59, 69, 70, 82)
DRUM_SECTIONS = ("kick", "snare", "hats", "toms")  # the last is everything else, cymbals too


def sections_of(part: Part) -> np.ndarray:
    """The row of :data:`FEELS` that plays each note of ``part``, ``(n,)`` of str."""
    if not part.is_drum:
        return np.full(len(part.notes), part.kind if part.kind in FEELS else OTHER)
    pitch = part.note_table[:, 2]
    known = [np.isin(pitch, pitches) for pitches in (_KICK, _SNARE, _HATS)]
    return np.select(known, DRUM_SECTIONS[:3], DRUM_SECTIONS[3])


def accents_of(score: Score, positions: np.ndarray) -> np.ndarray:
    """The place in its bar of each of ``positions`` (grid positions from tick 0, ``(n,)``), by :data:`ACCENTS`.

    A beat is a quarter, in 6/8, 9/8 and 12/8 a dotted quarter. The half bar is the beat that begins the second half of
    a bar with an even number of beats.
    """
    scale = POSITIONS_PER_QUARTER / score.ticks_per_quarter
    lines = score.bar_starts()
    starts = np.rint(lines * scale).astype(np.int64)
    compound = np.array([m.denominator == 8 and m.numerator in (6, 9, 12) for m in score.metres])
    length = np.array([round(m.quarters * POSITIONS_PER_QUARTER) for m in score.metres])
    bar = np.maximum(np.searchsorted(starts, positions, side="right") - 1, 0)
    metre = np.searchsorted([m.tick for m in score.metres], lines[bar], side="right") - 1
    beat = np.where(compound[metre], 18, POSITIONS_PER_QUARTER)
    inside = positions - starts[bar]
    place = inside % beat
    triplet = ~compound[metre] & np.isin(place, (4, 8))
    out = np.where(triplet, ACCENTS.index("triplet"), ACCENTS.index("sixteenth"))
    # Position 7 is a lightly swung 6.
    offbeat = np.where(compound[metre], place % 6 == 0, (place == 6) | (place == 7))
    out = np.where(offbeat, ACCENTS.index("offbeat"), out)
    out = np.where(place == 0, ACCENTS.index("beat"), out)
    half = (inside * 2 == length[metre]) & (length[metre] % (2 * beat) == 0)
    out = np.where(half, ACCENTS.index("half bar"), out)
    return np.where(inside == 0, ACCENTS.index("downbeat"), out)
