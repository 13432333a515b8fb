"""Mixes and profiles made ready to be looked at: the numbers in words, and what the pictures draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.effects.equaliser import Equaliser
from midigen.pictures.mix import MixTrace, StemRow
from midigen.pictures.page import clock
from midigen.pictures.profile import FontSheet, StemSheet, pitch_name
from midigen.profiles import CLEAR, Profile
from midigen.profiles.equalising import EqualiserSuggestion, suggest_equaliser, usual_db
from midigen.profiles.fonts import DRUM_KEYS, HELD_SECONDS, FontProfile
from midigen.profiles.onsets import onsets_of
from midigen.profiles.pitch import midi_pitch
from midigen.profiles.timbre import Quartiles
from midigen.tracing import trace_of

if TYPE_CHECKING:
    from midigen.mixing import Mix

CURVE_HZ = tuple(np.geomspace(25, 20_000, 240).tolist())
UNKNOWN = "cannot be told"
_NARROW, _WIDE = 0.02, 0.35  # of the difference of the sides in the energy


def mix_trace(mix: Mix, title: str = "mix") -> MixTrace:
    """What :func:`midigen.pictures.draw_mix` draws of ``mix``, whose signal is read once."""
    trace = trace_of(mix.signal)
    hz = np.array(CURVE_HZ)
    hz = hz[hz < 0.49 * mix.signal.rate]
    # As balance and fader have it: what an equaliser and a compressor take, make-up gain is there to give back.
    rows = [
        StemRow(stem.name, stem.kind, stem.lufs + stem.trim_db + stem.gain_db, stem.pan, stem.heard)
        for stem in mix.applied
    ]
    return MixTrace(
        seconds=trace.seconds,
        column_seconds=trace.envelope.seconds_a_column,
        lowest=trace.envelope.lowest,
        highest=trace.envelope.highest,
        rms=trace.envelope.rms,
        momentary_lufs=mix.loudness.momentary_lufs,
        short_term_lufs=mix.loudness.short_term_lufs,
        integrated_lufs=mix.integrated_lufs,
        range_lu=mix.loudness.range_lu,
        true_peak_dbtp=mix.true_peak_dbtp,
        spectrum_hz=hz,
        spectrum_db=trace.spectrum.bands_db(hz, 1 / 3),
        stems=rows,
        target_lufs=mix.session.master.lufs,
        ceiling_dbtp=mix.session.master.ceiling_dbtp,
        title=title,
    )


def stem_sheet(profile: Profile, name: str, kind: str) -> StemSheet:
    """What :func:`midigen.pictures.draw_profile` draws of the part ``name``, an instrument of ``kind``."""
    suggestion = suggest_equaliser(profile, kind)
    hz = np.array(CURVE_HZ)
    hz = hz[hz < 0.49 * profile.rate]
    sounds = [note.sound for note in profile.notes]
    pitched = [s.pitch_hz if s.pitch_hz and (s.harmonicity or 0) >= CLEAR else None for s in sounds]
    facts = [*_levels(profile), *_pitches(profile), *_timbre(profile)]
    facts += [("stereo", _width(profile.width, profile.channels))]
    facts += _equaliser(suggestion)
    return StemSheet(
        title=name,
        kind=kind,
        seconds=profile.seconds,
        level_seconds=profile.curves.seconds,
        level_db=profile.curves.level_db,
        onsets=onsets_of(profile.curves),
        note_level_db=_column([s.level_db for s in sounds]),
        note_centroid_hz=_column([s.centroid_hz for s in sounds]),
        note_pitch=midi_pitch(_column(pitched)),
        note_attack_seconds=_column([s.attack_seconds for s in sounds]),
        note_decay_seconds=_column([s.decay_seconds for s in sounds]),
        spectrum_hz=hz,
        spectrum_db=profile.spectrum.bands_db(hz, 1 / 3),
        usual_db=usual_db(profile.spectrum, kind, hz),
        equaliser_db=Equaliser(**suggestion.settings()).response_db(hz, profile.rate),  # type: ignore[arg-type]
        pitch_remark=profile.pitch_remark,
        headline=[
            kind,
            clock(profile.seconds),
            f"{profile.rate} Hz",
            {1: "mono", 2: "stereo"}.get(profile.channels, f"{profile.channels} channels"),
            f"{profile.onsets} notes or chords",
        ],
        facts=facts,
    )


def font_sheet(profile: FontProfile) -> FontSheet:
    """What :func:`midigen.pictures.draw_font_profile` draws."""
    is_drums = profile.kind == "drums"
    names = [DRUM_KEYS.get(p, str(p)) if is_drums else pitch_name(p) for p in profile.pitches]
    middle = profile.outlines[0].pitch if profile.outlines else profile.pitches[len(profile.pitches) // 2]
    by_velocity = profile.by_velocity
    soft, loud = by_velocity[0], by_velocity[-1]
    facts = [
        ("loudness", f"{_db(soft.loudness_lufs)} to {_db(loud.loudness_lufs)} LUFS, velocity {soft.velocity} to "
                     f"{loud.velocity}"),
        ("velocity law", _known(profile.velocity_law_db, "{:.0f} dB for ten times the velocity")),
        ("brightness (centroid)", f"{soft.centroid_hz:.0f} Hz soft, {loud.centroid_hz:.0f} Hz loud"),
        ("brighter with level", _known(profile.brightness_octaves_per_10_db, "{:+.2f} octaves for 10 dB")),
        ("attack", _quartiles(profile.attack_seconds, 1000, "ms")),
        ("decay by 60 dB", _known(profile.decay_seconds, "{:.1f} s")),
    ]  # fmt: skip
    if not is_drums:
        facts += [
            ("release by 60 dB", _known(profile.release_seconds, "{:.2f} s")),
            ("harmonicity", _quartiles(profile.harmonicity, 1, "")),
            ("inharmonicity B", _known(profile.inharmonicity, "{:.1e}")),
        ]
    facts.append(("stereo", _width(profile.width, 2)))
    if profile.silent:
        facts.append(("silent at", ", ".join(n for p, n in zip(profile.pitches, names, strict=True)
                                             if p in profile.silent)))  # fmt: skip
    return FontSheet(
        title=f"{profile.preset}, {profile.font}",
        kind=profile.kind,
        pitches=profile.pitches,
        pitch_names=names,
        velocities=profile.velocities,
        loudness_lufs=_grid(profile, lambda note: note.loudness_lufs),
        centroid_hz=_grid(profile, lambda note: note.sound.centroid_hz),
        attack_seconds=_grid(profile, lambda note: note.sound.attack_seconds),
        decay_seconds=_grid(profile, lambda note: note.sound.decay_seconds),
        outlines=[(one.velocity, one.seconds, one.level_db) for one in profile.outlines],
        outline_name=names[profile.pitches.index(middle)],
        held_seconds=None if is_drums else HELD_SECONDS,
        headline=[
            profile.kind,
            f"{len(profile.notes)} test notes",
            *([] if is_drums else [f"{names[0]} to {names[-1]}"]),
        ],
        facts=facts,
    )


def _levels(profile: Profile) -> list[tuple[str, str]]:
    levels, dynamics = profile.levels, profile.dynamics
    if dynamics is None:
        return [("loudness", "silence")]
    lines = [
        ("loudness", f"{_db(levels.integrated_lufs)} LUFS, range {levels.range_lu:.1f} LU"),
        ("true peak", f"{_db(levels.true_peak_dbtp)} dBTP, {levels.crest_db:.0f} dB over the mean"),
        ("level of the notes", f"{_db(dynamics.soft_db)} to {_db(dynamics.loud_db)} dBFS ({dynamics.range_db:.0f} dB)"),
    ]
    if levels.clipped_frames:
        lines.append(("clipped", f"{levels.clipped_frames} frames at full scale"))
    return lines


def _pitches(profile: Profile) -> list[tuple[str, str]]:
    pitch = profile.pitch
    if pitch is None:
        return [] if profile.timbre is None else [("pitch", UNKNOWN)]
    names = [pitch_name(one) for one in (pitch.lowest, pitch.highest, pitch.median)]
    return [("pitch", f"{names[0]} to {names[1]}, around {names[2]}: {pitch.register}")]


def _timbre(profile: Profile) -> list[tuple[str, str]]:
    timbre = profile.timbre
    if timbre is None:
        return []
    held = timbre.decay_db_per_second is not None and timbre.decay_seconds is None
    lines = [
        ("brightness (centroid)", _quartiles(timbre.centroid_hz, 1, "Hz")),
        ("rolloff (95 %)", _quartiles(timbre.rolloff_hz, 1, "Hz")),
        ("brighter with level", _known(timbre.brightness_octaves_per_10_db, "{:+.2f} octaves for 10 dB")),
        ("attack", _quartiles(timbre.attack_seconds, 1000, "ms")),
        ("decay by 60 dB", "held" if held else _known(timbre.decay_seconds, "{:.1f} s")),
        ("harmonicity", _quartiles(timbre.harmonicity, 1, "")),
    ]
    if timbre.inharmonicity is not None:
        lines.append(("inharmonicity B", f"{timbre.inharmonicity:.1e}"))
    return lines


def _equaliser(suggestion: EqualiserSuggestion) -> list[tuple[str, str]]:
    bands = [
        f"{gain_db:+.1f} dB {where}"
        for gain_db, where in (
            (suggestion.mid_db, f"at {suggestion.mid_hz:.0f} Hz"),
            (suggestion.high_db, f"over {suggestion.high_hz / 1000:g} kHz"),
        )
        if gain_db
    ]
    lines = [f"high-pass {suggestion.high_pass_hz:.0f} Hz"] if suggestion.high_pass_hz else []
    lines += [", ".join(bands)] if bands else []
    return [("suggested equaliser", line) for line in lines or ["nothing to do"]]


def _quartiles(values: Quartiles | None, times: float, unit: str) -> str:
    if values is None:
        return UNKNOWN
    low, median, high = (_digits(times * value) for value in (values.low, values.median, values.high))
    return f"{median}{' ' + unit if unit else ''} (half: {low} to {high})"


def _digits(value: float) -> str:
    """Three digits, and no powers of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _known(value: float | None, text: str) -> str:
    return UNKNOWN if value is None else text.format(value).replace("-0.00", "+0.00")


def _db(value: float) -> str:
    return f"{value:.1f}"


def _width(width: float, channels: int) -> str:
    if channels == 1 or width == 0:
        return "mono"
    word = "nearly mono" if width < _NARROW else "wide" if width > _WIDE else "stereo"
    return f"{word} ({width:.0%} of the energy is difference)"


def _column(values: list[float | None] | list[float]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _grid(profile: FontProfile, value: Any) -> np.ndarray:
    grid = np.full((len(profile.pitches), len(profile.velocities)), np.nan)
    for note in profile.notes:
        found = value(note)
        if found is not None and np.isfinite(found):
            grid[profile.pitches.index(note.pitch), profile.velocities.index(note.velocity)] = found
    return grid
