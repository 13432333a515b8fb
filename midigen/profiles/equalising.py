"""What an equaliser may do for a part: its average spectrum beside that of many of its kind.

The references were measured by ``benchmarks/references.py`` on 24 November 2026: 60 seconds from the middle of 40 songs
(20 of the public-domain tunes that the MMA accompanist arranged, 20 sequenced songs of other makers), of each the
fullest part of every instrument, played with MuseScore General Lite and with FluidR3 GM; 80 renders an instrument. The
levels of the octave bands are medians, against the level of the whole. The deviations are medians and the distances
between the quartiles of what is left when a part is laid over these, as :func:`suggest_equaliser` does it. With another
draw of songs the bands within 25 dB of the whole came out up to 2.9 dB apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS, OTHER
from midigen.profiles.pitch import pitch_hz
from midigen.spectra import OCTAVES_HZ, Spectrum, power_db

LARGEST_DB = 3.0  # either way: a suggestion is no sound design
LEAST_DB = 0.3  # less is not worth a filter
MUD_HZ, MUD_Q = 280.0, 1.0  # from 200 to 400 Hz, as octaves go
PRESENCE_HZ = 3_000.0  # half of a shelf's decibels
MUD_BANDS, PRESENCE_BANDS = slice(3, 4), slice(6, 9)  # of the octaves: 250 Hz; 2, 4 and 8 kHz
TOLERANCE = 0.75  # of the distance between the quartiles, about one standard deviation: usual is what lies inside
AUDIBLE_DB = -25.0  # under the whole: reference bands over it say how loud a part is
CONTENT_DB = -30.0  # under the whole: what is left below is not what the part lives of
BELOW_CONTENT = 1.5  # a high-pass so far under the lowest content takes less than 1 dB of it
LOWEST_HIGH_PASS_HZ = 20.0
HIGHEST_HIGH_PASS_HZ = {"bass": 40.0, "drums": 40.0}  # they are the floor of the band
HIGHEST_HIGH_PASS_OTHERS_HZ = 120.0
LOWEST_CONTENT_HZ = 25.0  # of an instrument that is in no row of the table
SEMITONE = 2 ** (1 / 12)
THIRD_DB = -4.77  # of an octave that is level


@dataclass(frozen=True)
class Reference:
    """The usual spectrum of an instrument: octave bands from 31.5 Hz to 16 kHz, in dB against the whole.

    ``mud_db`` and ``presence_db`` are how parts deviate from that around 250 Hz, and from 1.4 to 11 kHz: the median,
    and the distance between the quartiles.
    """

    levels_db: tuple[float, ...]
    mud_db: tuple[float, float] = (0.0, 0.0)
    presence_db: tuple[float, float] = (0.0, 0.0)

    def deviations_db(self, octaves_db: np.ndarray) -> tuple[float, float]:
        """How far a part whose octave bands have the levels ``octaves_db`` (``-inf`` where nothing is) lies from this
        around 250 Hz and from 1.4 to 11 kHz, when the two are laid over each other where the reference is loud."""
        usual = np.array(self.levels_db) + self.level_db(octaves_db)
        mud, presence = (
            float(_together(octaves_db[bands]) - _together(usual[bands])) for bands in (MUD_BANDS, PRESENCE_BANDS)
        )
        return mud, presence

    def level_db(self, octaves_db: np.ndarray) -> float:
        """How loud a part is on the whole, against this: the median of the bands in which the reference is loud, so
        that one band that stands out does not move what it is measured against."""
        usual = np.array(self.levels_db)
        loud = np.isfinite(octaves_db) & (usual > AUDIBLE_DB)
        return float(np.median((octaves_db - usual)[loud])) if loud.any() else 0.0


REFERENCES: dict[str, Reference] = {
    "piano": Reference(
        (-46.5, -25.2, -20.7, -4.6, -3.6, -10.1, -12.5, -21.1, -30.6, -68.3),
        mud_db=(0.0, 1.9),
        presence_db=(0.3, 3.8),
    ),
    "guitar": Reference(
        (-55.2, -43.4, -18.6, -7.8, -6.9, -7.5, -10.9, -19.2, -44.1, -55.2),
        mud_db=(0.5, 6.8),
        presence_db=(0.3, 5.6),
    ),
    "bass": Reference(
        (-16.3, -4.9, -3.9, -8.7, -21.6, -30.0, -42.2, -51.5, -60.1, -86.8),
        mud_db=(0.0, 4.1),
        presence_db=(0.6, 5.8),
    ),
    "drums": Reference(
        (-14.1, -5.6, -6.2, -9.0, -15.9, -17.9, -17.3, -14.8, -14.3, -14.5),
        mud_db=(0.7, 5.2),
        presence_db=(0.2, 1.7),
    ),
}


@dataclass(frozen=True)
class EqualiserSuggestion:
    """What an equaliser may be set to. 0 dB, and a high-pass at 0 Hz, are off; ``reasons`` say why in words.

    ``mid_db``, -3 to 0, takes out mud around ``mid_hz`` with quality ``mid_q``; ``high_db``, -3 to 3, is a shelf that
    has half of its gain at ``high_hz``.
    """

    high_pass_hz: float = 0.0
    mid_hz: float = MUD_HZ
    mid_db: float = 0.0
    mid_q: float = MUD_Q
    high_hz: float = PRESENCE_HZ
    high_db: float = 0.0
    reasons: tuple[str, ...] = ()

    def settings(self) -> dict[str, float]:
        """The numbers, by the names that :class:`midigen.effects.equaliser.Equaliser` has for them."""
        return {name: value for name, value in vars(self).items() if name != "reasons"}


class Measured(Protocol):
    """What has a spectrum, such as a :class:`midigen.profiles.Profile`."""

    @property
    def spectrum(self) -> Spectrum: ...


def suggest_equaliser(profile: Measured | Spectrum, kind: str) -> EqualiserSuggestion:
    """What an equaliser may do for a part of ``kind`` (a row of the instrument table, or "other").

    A spectrum alone is enough (:func:`midigen.spectra.spectrum_of`): a whole profile takes longer.

    *High-pass*: half an octave and more under the lowest content, which is where the part has 0.1 % of its energy
    below it. What lies under the lowest note of the instrument is taken for rumble and not counted.

    *Mud*: the octave around 250 Hz, against the reference of the kind, with the two laid over each other where the
    reference is loud. What goes beyond three quarters of the distance between the quartiles is taken away, by 3 dB at
    most.

    *Presence*: the same for the octaves around 2, 4 and 8 kHz together, either way.

    Silence, and instruments without a reference, get no bands. Raises :class:`BadRequest` for an unknown kind.
    """
    if kind != OTHER and kind not in INSTRUMENTS:
        raise BadRequest(f"unknown part {kind!r}: choose from {', '.join([*INSTRUMENTS, OTHER])}")
    spectrum = profile if isinstance(profile, Spectrum) else profile.spectrum
    if not np.isfinite(spectrum.octaves_db()).any():
        return EqualiserSuggestion()
    reasons: list[str] = []
    high_pass_hz = _high_pass_hz(spectrum, kind)
    if high_pass_hz:
        reasons.append(f"high-pass at {high_pass_hz:g} Hz: the {kind} has nothing of its own below")
    mid_db = high_db = 0.0
    if kind in REFERENCES:
        reference = REFERENCES[kind]
        mud, presence = reference.deviations_db(spectrum.octaves_db())
        mid_db = _bounded(-max(_beyond(mud, reference.mud_db), 0.0))
        high_db = _bounded(-_beyond(presence, reference.presence_db))
    if mid_db:
        reasons.append(f"{mid_db:+.1f} dB around {MUD_HZ:g} Hz: more there than a {kind} usually has")
    if high_db:
        than = "duller" if high_db > 0 else "brighter"
        reasons.append(f"{high_db:+.1f} dB over {PRESENCE_HZ / 1000:g} kHz: {than} than a {kind} usually is")
    return EqualiserSuggestion(high_pass_hz=high_pass_hz, mid_db=mid_db, high_db=high_db, reasons=tuple(reasons))


def usual_db(spectrum: Spectrum, kind: str, hz: np.ndarray) -> np.ndarray | None:
    """What is usual for the instrument, laid over ``spectrum`` as :func:`suggest_equaliser` does it: levels of thirds
    of an octave in dB at the frequencies ``hz``. ``None`` without a reference, and for silence."""
    octaves_db = spectrum.octaves_db()
    if kind not in REFERENCES or not np.isfinite(octaves_db).any():
        return None
    reference = REFERENCES[kind]
    thirds = np.array(reference.levels_db) + reference.level_db(octaves_db) + THIRD_DB
    return np.interp(np.log(hz), np.log(OCTAVES_HZ), thirds)


def _beyond(value: float, usual: tuple[float, float]) -> float:
    """How far ``value`` lies outside what is ``usual`` (median, distance between the quartiles); 0 inside."""
    median, spread = usual
    if not np.isfinite(value):  # nothing can be lifted where nothing is
        return 0.0
    distance = abs(value - median) - TOLERANCE * spread
    return float(np.copysign(max(distance, 0.0), value - median))


def _together(levels_db: np.ndarray) -> np.ndarray:
    return power_db(np.asarray(np.sum(10 ** (levels_db / 10))))


def _high_pass_hz(spectrum: Spectrum, kind: str) -> float:
    lowest = pitch_hz(INSTRUMENTS[kind].lowest) / SEMITONE if kind in INSTRUMENTS else LOWEST_CONTENT_HZ
    lowest = max(lowest, LOWEST_CONTENT_HZ)
    grid = np.geomspace(lowest, 1_000, 400)
    rumble, whole = float(spectrum.power_below(np.array([lowest]))[0]), spectrum.mean_square
    if whole <= rumble:
        return 0.0
    share = power_db((spectrum.power_below(grid) - rumble) / (whole - rumble))
    content = float(grid[np.argmax(share >= CONTENT_DB)]) if (share >= CONTENT_DB).any() else float(grid[-1])
    hz = min(content / BELOW_CONTENT, HIGHEST_HIGH_PASS_HZ.get(kind, HIGHEST_HIGH_PASS_OTHERS_HZ))
    return float(round(hz)) if hz >= LOWEST_HIGH_PASS_HZ else 0.0


def _bounded(gain_db: float) -> float:
    gain_db = round(min(max(gain_db, -LARGEST_DB), LARGEST_DB), 1)
    return gain_db if abs(gain_db) >= LEAST_DB else 0.0
