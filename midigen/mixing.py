"""Stems to a mix: balance, gain, pan, mute and solo, then loudness and a ceiling. Knows samples, never MIDI.

*Balance.* Every stem is first brought to its instrument's place in a balanced band: by its own integrated loudness,
to ``level_lu`` of the instrument table. The trim looks at nothing else, so what the user asks for is heard against
the same band whatever is muted, soloed or turned up. Zero decibels everywhere is the balanced band.

*Pan.* The angle is ``(pan + 1) * 45`` degrees. A mono stem gets its cosine to the left and its sine to the right
(-3.01 dB each at the centre). For a stereo stem pan is a balance: left is multiplied by the square root of two times
the cosine, right by that times the sine, which leaves a stem at the centre as it is and gives a stem that is the same
on both sides the same power at every pan, as the mono law does. Hard left keeps the left side only, 3.01 dB up.

*Master.* One gain to the loudness target, then a look-ahead limiter where peaks would pass the ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from midigen.audio import Audio
from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.limiter import limit
from midigen.loudness import integrated_lufs, true_peak_dbtp, true_peak_envelope

LOWEST_GAIN_DB, HIGHEST_GAIN_DB = -60.0, 24.0
LOWEST_TARGET_LUFS, HIGHEST_TARGET_LUFS = -70.0, -5.0
BAND_LUFS = -23.0  # where an instrument of level 0 lies before the master: far from both noise and full scale
LARGEST_TRIM_DB = 40.0  # what is still quieter than that is nearly nothing, and is not blown up to a voice of the band
LARGEST_LIMITING_DB = 12.0  # the limiter may take this from the highest peak; beyond, the mix stays under its target
LOUDNESS_TOLERANCE_LU = 0.05
MOST_ROUNDS = 8


class Source(Protocol):
    """What is mixed: a stem of a renderer, or a sound file with a name."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def audio(self) -> Audio: ...


@dataclass(frozen=True, slots=True)
class Strip:
    """What the user sets for one instrument.

    ``gain_db`` -60..24, above the balanced level; ``pan`` -1 (left) to 1 (right), ``None`` for the instrument's seat;
    ``mute`` silences, ``solo`` silences all that are not soloed (a muted part stays silent even so).
    """

    gain_db: float = 0.0
    pan: float | None = None
    mute: bool = False
    solo: bool = False

    def __post_init__(self) -> None:
        if not LOWEST_GAIN_DB <= self.gain_db <= HIGHEST_GAIN_DB:  # refuses NaN too
            raise BadRequest(f"gain {self.gain_db} dB is outside {LOWEST_GAIN_DB:g}..+{HIGHEST_GAIN_DB:g} dB")
        if self.pan is not None and not -1 <= self.pan <= 1:
            raise BadRequest(f"pan {self.pan} is outside -1 (left)..1 (right)")


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to one stem: ``trim_db`` balanced it, ``gain_db`` and ``pan`` are the user's or the seat's;
    ``heard`` is false where it is muted, or others are soloed."""

    name: str
    kind: str
    trim_db: float
    gain_db: float
    pan: float
    heard: bool


@dataclass(frozen=True, eq=False)
class Mix:
    """The mix (stereo), what was applied to each stem in their order, and what was reached.

    ``integrated_lufs`` and ``true_peak_dbtp`` are measured on ``audio`` (``-inf`` for silence). ``master_gain_db`` is
    the gain before the limiter; ``limited_db`` is the most that the limiter took away (0 or more).
    """

    audio: Audio
    applied: tuple[Applied, ...]
    integrated_lufs: float
    true_peak_dbtp: float
    master_gain_db: float
    limited_db: float


def mix(
    stems: Sequence[Source],
    strips: Mapping[str, Strip] | None = None,
    *,
    target_lufs: float | None = -14.0,
    ceiling_dbtp: float = -1.0,
) -> Mix:
    """Mix ``stems`` (mono or stereo, one sample rate, any lengths).

    ``strips`` are by part name, or by kind for all parts of it (a name goes before a kind). ``target_lufs`` is the
    integrated loudness to reach, -70..-5, or ``None`` to leave the level as the balance makes it; ``ceiling_dbtp``,
    -20..0, is the true peak that is never passed. Where the target would need more than 12 dB of limiting the
    ceiling is kept and the mix stays quieter: :class:`Mix` says what was reached.
    Raises :class:`BadRequest` for values outside these, unknown names in ``strips``, and stems that do not fit.
    """
    blended, applied = blend(stems, strips)
    return master(blended, applied, target_lufs=target_lufs, ceiling_dbtp=ceiling_dbtp)


def blend(stems: Sequence[Source], strips: Mapping[str, Strip] | None = None) -> tuple[Audio, tuple[Applied, ...]]:
    """The balanced sum of ``stems`` with the user's ``strips``, before the master; see :func:`mix`."""
    if not stems:
        raise BadRequest("no stems to mix: give one or more")
    rates = sorted({stem.audio.rate for stem in stems})
    if len(rates) > 1:
        raise BadRequest(f"stems at {' and '.join(map(str, rates))} frames a second: render all at one rate")
    for stem in stems:
        if stem.audio.channels > 2:
            raise BadRequest(f"stem {stem.name!r} has {stem.audio.channels} channels: give mono or stereo")
    chosen = _strips_of(stems, strips or {})
    any_solo = any(strip.solo for strip in chosen)
    total = np.zeros((2, max(stem.audio.frames for stem in stems)), dtype=np.float32)
    applied = []
    for stem, strip in zip(stems, chosen, strict=True):
        pan = strip.pan if strip.pan is not None else _seat(stem.kind)
        heard = not strip.mute and (strip.solo or not any_solo)
        trim_db = balance_trim_db(stem)
        applied.append(Applied(stem.name, stem.kind, trim_db, strip.gain_db, pan, heard))
        if heard:
            samples = stem.audio.samples
            for side, factor in enumerate(_pan_gains(pan, stem.audio.channels)):
                # one side at a time, so that no third copy of a long stem is made
                gain = np.float32(factor * 10 ** ((trim_db + strip.gain_db) / 20))
                total[side, : stem.audio.frames] += samples[min(side, stem.audio.channels - 1)] * gain
    return Audio(total, rates[0]), tuple(applied)


def balance_trim_db(stem: Source) -> float:
    """The gain that brings ``stem`` to its instrument's place in the band; 0 for silence, 40 dB at most."""
    loudness = integrated_lufs(stem.audio)
    if loudness == -math.inf:
        return 0.0
    row = INSTRUMENTS.get(stem.kind)
    return min(BAND_LUFS + (row.level_lu if row else 0.0) - loudness, LARGEST_TRIM_DB)


def master(
    audio: Audio,
    applied: tuple[Applied, ...] = (),
    *,
    target_lufs: float | None = -14.0,
    ceiling_dbtp: float = -1.0,
) -> Mix:
    """Bring ``audio`` to a loudness under a ceiling; see :func:`mix`. Silence stays silence."""
    if target_lufs is not None and not LOWEST_TARGET_LUFS <= target_lufs <= HIGHEST_TARGET_LUFS:
        raise BadRequest(
            f"loudness target {target_lufs} LUFS is outside {LOWEST_TARGET_LUFS:g}..{HIGHEST_TARGET_LUFS:g}; "
            "streaming services play at about -14"
        )
    if not -20 <= ceiling_dbtp <= 0:
        raise BadRequest(f"ceiling {ceiling_dbtp} dBTP is outside -20..0; -1 is usual")
    peak_dbtp, loudness = true_peak_dbtp(audio), integrated_lufs(audio)
    if peak_dbtp == -math.inf:
        return Mix(audio, applied, -math.inf, -math.inf, 0.0, 0.0)
    highest_db = ceiling_dbtp - peak_dbtp + LARGEST_LIMITING_DB
    gain_db = 0.0
    if target_lufs is not None and loudness > -math.inf:
        gain_db = min(target_lufs - loudness, highest_db)
    if peak_dbtp + gain_db <= ceiling_dbtp:
        samples = audio.samples * np.float32(10 ** (gain_db / 20))
        return Mix(Audio(samples, audio.rate), applied, loudness + gain_db, peak_dbtp + gain_db, gain_db, 0.0)

    envelope = true_peak_envelope(audio.samples)
    tried: list[tuple[float, float]] = [(gain_db - 3.0, loudness + gain_db - 3.0)]  # what no limiter would do
    for _ in range(MOST_ROUNDS):
        samples, taken_db = limit(audio.samples, envelope, audio.rate, gain_db, ceiling_dbtp)
        reached = integrated_lufs(Audio(samples, audio.rate))
        if target_lufs is None or abs(target_lufs - reached) <= LOUDNESS_TOLERANCE_LU or gain_db >= highest_db:
            break
        # What the limiter takes from the loudness is put back in front of it, along the line through the last two.
        (gain_before, reached_before), tried = tried[-1], [*tried, (gain_db, reached)]
        steepness = (reached - reached_before) / (gain_db - gain_before) if gain_db != gain_before else 1.0
        gain_db = min(gain_db + (target_lufs - reached) / min(max(steepness, 0.25), 1.0), highest_db)
    result = Audio(samples, audio.rate)
    peak_dbtp = true_peak_dbtp(result)
    over_db = max(peak_dbtp - ceiling_dbtp, 0.0)
    if over_db:  # what the interpolator sees of the moving gain, beyond the limiter's margin
        over_db += 1e-4
        result = Audio(samples * np.float32(10 ** (-over_db / 20)), audio.rate)
    return Mix(result, applied, reached - over_db, peak_dbtp - over_db, gain_db, taken_db + over_db)


def _strips_of(stems: Sequence[Source], strips: Mapping[str, Strip]) -> list[Strip]:
    known = list(dict.fromkeys([*(stem.name for stem in stems), *(stem.kind for stem in stems)]))
    for name in strips:
        if name not in known:
            raise BadRequest(f"no part {name!r} to mix: there are {', '.join(known)}")
    return [strips.get(stem.name, strips.get(stem.kind, Strip())) for stem in stems]


def _seat(kind: str) -> float:
    return INSTRUMENTS[kind].pan if kind in INSTRUMENTS else 0.0


def _pan_gains(pan: float, channels: int) -> tuple[float, float]:
    """The factors for left and right; see the law at the top."""
    angle = (pan + 1) * math.pi / 4
    scale = 1.0 if channels == 1 else math.sqrt(2)
    # Exact where musicians expect it: nothing of the other side when hard panned, untouched in the centre.
    if pan == 0:
        return (scale * math.sqrt(0.5), scale * math.sqrt(0.5)) if channels == 1 else (1.0, 1.0)
    left, right = math.cos(angle), math.sin(angle)
    return (0.0 if pan == 1 else scale * left), (0.0 if pan == -1 else scale * right)
