"""Stems to a mix: every part balanced by its loudness, over the desk, to a loudness under a ceiling.

*Balance.* Every stem is first brought to its instrument's place in a balanced band: by its own integrated loudness,
to ``level_lu`` of the instrument table. Where its equaliser is automatic, the loudness is that which its spectrum will
have behind what that equaliser chose. The trim looks at nothing else, so what the user asks for is heard against the
same band whatever is muted, soloed or turned up. Zero decibels everywhere is the balanced band.

*Desk.* Strips, buses, sends and returns as the session has them: :mod:`midigen.desk`.

*Master.* The session's equaliser and compressor on the whole, then its loudness and its ceiling:
:mod:`midigen.mastering`.

Nothing here holds a whole stem: sound is read block by block, once for its loudness and once for the mix.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Hashable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from midigen import filtering
from midigen.audio import (
    HIGHEST_RATE,
    LOWEST_RATE,
    Audio,
    AudioFile,
    AudioWriter,
    Signal,
    Tags,
    check_sound_file,
    write_audio,
)
from midigen.desk import Desk, Line
from midigen.effects import Processed, Setting
from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.loudness import Loudness, Meter, k_weighting_power
from midigen.mastering import master
from midigen.session import Channel, Session, keys_of
from midigen.session.presets import DEFAULT_PRESET, preset
from midigen.signals import Beginning, Recorded, at_rate
from midigen.spectra import Spectrum, SpectrumMeter

BAND_LUFS = -23.0  # where an instrument of level 0 lies before the master: far from both noise and full scale
LARGEST_TRIM_DB = 40.0  # what is still quieter than that is nearly nothing, and is not blown up to a voice of the band
_THREADS = 2  # strips side by side: what comes after them, in a thread of its own, takes as long as two

_measured_sounds: WeakKeyDictionary[Signal, Measured] = WeakKeyDictionary()
_measured_files: dict[tuple[str, int, int], Measured] = {}


class Source(Protocol):
    """What is mixed: a stem of a renderer, or a sound file with a name."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def audio(self) -> Signal: ...


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to one stem.

    ``lufs`` is its own loudness (``-inf`` for silence) and ``trim_db`` the gain that balanced it; ``channel`` is what
    its strip was set to, with its seat and what an automatic equaliser chose; ``heard`` is false where it is muted, or
    others are soloed.
    """

    name: str
    kind: str
    lufs: float
    trim_db: float
    channel: Channel
    heard: bool

    @property
    def gain_db(self) -> float:
        return self.channel.gain_db

    @property
    def pan(self) -> float:
        return self.channel.pan or 0.0


@dataclass(frozen=True, eq=False)
class Mix:
    """The mix: ``signal`` in stereo, the ``session`` as it was done, ``applied`` to each stem in their order.

    ``loudness`` was measured on the signal (``-inf`` for silence). ``master_gain_db`` is the gain before the limiter;
    ``limited_db`` is the most that the limiter took away (0 or more).
    """

    signal: Signal
    session: Session
    applied: tuple[Applied, ...]
    loudness: Loudness
    master_gain_db: float
    limited_db: float

    @property
    def integrated_lufs(self) -> float:
        return self.loudness.integrated_lufs

    @property
    def true_peak_dbtp(self) -> float:
        return self.loudness.true_peak_dbtp

    @cached_property
    def audio(self) -> Audio:
        """The whole mix in memory: for looking at samples, where it is no hour long."""
        blocks = [np.zeros((2, 0), dtype=np.float32), *self.signal.blocks()]
        return Audio(np.concatenate(blocks, axis=1), self.signal.rate)


def mix(
    stems: Sequence[Source], session: Session | None = None, *, rate: int | None = None, threads: int | None = None
) -> Mix:
    """Mix ``stems`` (mono or stereo, of any lengths and rates) as ``session`` says, or the default preset.

    A session without stems of its own, such as a preset, is made to fit these. The mix is at ``rate`` frames a second,
    8,000 to 384,000, or at the highest of the stems'; others are resampled. ``threads`` (1 or more) changes the time
    taken, never the samples. Silent stems make a silent mix; where everything is muted there is nothing to mix.
    Raises :class:`BadRequest` for that, for names in the session that stand for nothing, and for stems that do not fit.
    """
    desk, applied, session = blend(stems, session, rate=rate, threads=threads)
    settings: list[Setting] = [session.master.equaliser]
    if session.master.compressor is not None:
        settings.append(session.master.compressor)
    recorded = Recorded(Processed(desk, settings))
    # What rings on is kept as long as it is heard, and no stem is cut.
    longest = max(math.ceil(stem.audio.frames * desk.rate / stem.audio.rate) for stem in stems)
    whole = Beginning(recorded, max(recorded.heard_frames, longest))
    mastered = master(whole, target_lufs=session.master.lufs, ceiling_dbtp=session.master.ceiling_dbtp)
    return Mix(mastered.signal, session, applied, mastered.loudness, mastered.gain_db, mastered.limited_db)


def blend(
    stems: Sequence[Source], session: Session | None = None, *, rate: int | None = None, threads: int | None = None
) -> tuple[Desk, tuple[Applied, ...], Session]:
    """The mix before its master, what was applied, and the session as it fits the stems; see :func:`mix`."""
    _check_stems(stems)
    if threads is not None and threads < 1:
        raise BadRequest(f"threads {threads}: must be 1 or more")
    parts = [(stem.name, stem.kind) for stem in stems]
    session = preset(DEFAULT_PRESET) if session is None else session
    if session.stems:
        session.check(parts)
    session = session.seated(parts)
    heard = session.heard(parts)
    if rate is None:
        rate = max(stem.audio.rate for stem in stems)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadRequest(f"sample rate {rate} is outside {LOWEST_RATE}..{HIGHEST_RATE} frames a second: 48000 is usual")
    wanted = [(stem.audio, session.channels[stem.name].equaliser.auto) for stem in stems]
    filtering.load()
    with ThreadPoolExecutor(threads or _processors()) as pool:
        measured = list(pool.map(lambda one: measure_stem(one[0], with_spectrum=one[1]), wanted))
    applied, lines = [], []
    for stem, found in zip(stems, measured, strict=True):
        channel = equalised(session.channels[stem.name], found.spectrum, stem.kind)
        trim_db = balance_trim_db(found.lufs + equaliser_lu(session.channels[stem.name], channel, found), stem.kind)
        applied.append(Applied(stem.name, stem.kind, found.lufs, trim_db, channel, heard[stem.name]))
        if heard[stem.name]:
            by = channel.ducking.by if channel.ducking is not None else ""
            keys = tuple(sorted(key for key in keys_of(stem.name, by, parts) if heard[key]))
            lines.append(Line(stem.name, at_rate(stem.audio, rate), channel, trim_db, keys))
    return Desk(lines, session, threads or _THREADS), tuple(applied), session


def equaliser_lu(before: Channel, after: Channel, found: Measured) -> float:
    """How much louder the equaliser of ``after`` leaves a stem than that of ``before``, in LU.

    Of its spectrum, weighted as a meter does; 0 where no spectrum was measured.
    """
    if found.spectrum is None or before.equaliser == after.equaliser:
        return 0.0
    hz = found.spectrum.hz[1:-1]
    heard = found.spectrum.power[1:-1] * k_weighting_power(hz, found.spectrum.rate)
    powers = [
        float(heard @ 10 ** (channel.equaliser.response_db(hz, found.spectrum.rate) / 10))
        for channel in (before, after)
    ]
    return 10 * math.log10(powers[1] / powers[0]) if min(powers) > 0 else 0.0


def balance_trim_db(lufs: float, kind: str) -> float:
    """The gain that brings a stem of loudness ``lufs`` to its instrument's place; 0 for silence, 40 dB at most."""
    if lufs == -math.inf:
        return 0.0
    row = INSTRUMENTS.get(kind)
    return min(BAND_LUFS + (row.level_lu if row else 0.0) - lufs, LARGEST_TRIM_DB)


@dataclass(frozen=True, eq=False)
class Measured:
    """What the mixer knows of a stem before it is mixed: its loudness and, where it was asked for, its spectrum."""

    lufs: float
    spectrum: Spectrum | None = None


def measure_stem(sound: Signal, *, with_spectrum: bool = False) -> Measured:
    """Read ``sound`` once to measure it; what was measured before, and has not changed, is remembered."""
    if not isinstance(sound, AudioFile):
        return _remembered(_measured_sounds, sound, sound, with_spectrum)  # type: ignore[arg-type]  # by identity
    try:
        facts = sound.path.stat()
    except OSError:  # where it is gone, reading it says so
        return _measure(sound, with_spectrum)
    file = (str(sound.path.absolute()), facts.st_mtime_ns, facts.st_size)
    return _remembered(_measured_files, file, sound, with_spectrum)


def _remembered(known: MutableMapping[Any, Measured], key: Hashable, sound: Signal, with_spectrum: bool) -> Measured:
    found = known.get(key)
    if found is None or (with_spectrum and found.spectrum is None):
        known[key] = found = _measure(sound, with_spectrum)
    return found


def _measure(sound: Signal, with_spectrum: bool) -> Measured:
    meter = Meter(sound.rate, sound.channels, true_peak=False)
    spectrum = SpectrumMeter(sound.rate, sound.channels) if with_spectrum else None
    for block in sound.blocks():
        meter.feed(block)
        if spectrum is not None:
            spectrum.feed(block)
    return Measured(meter.reading().integrated_lufs, None if spectrum is None else spectrum.reading())


def equalised(channel: Channel, spectrum: Spectrum | None, kind: str) -> Channel:
    """``channel`` with the bands of its equaliser that are off set to what ``spectrum`` asks for, where it is
    automatic; see :func:`midigen.profiles.equalising.suggest_equaliser`."""
    if not channel.equaliser.auto or spectrum is None:
        return channel
    from midigen.profiles.equalising import suggest_equaliser

    suggested, own = suggest_equaliser(spectrum, kind), channel.equaliser
    changes: dict[str, float] = {}
    if not own.high_pass_hz:
        changes["high_pass_hz"] = suggested.high_pass_hz
    if not own.mid_db:
        changes |= {"mid_db": suggested.mid_db, "mid_hz": suggested.mid_hz, "mid_q": suggested.mid_q}
    if not own.high_db:
        changes |= {"high_db": suggested.high_db, "high_hz": suggested.high_hz}
    return replace(channel, equaliser=replace(own, **changes))  # type: ignore[arg-type]  # numbers, by their names


def export_stems(
    stems: Sequence[Source],
    session: Session | None,
    folder: str | Path,
    *,
    processed: bool = True,
    suffix: str = ".wav",
    bits: int = 32,
    rate: int | None = None,
    threads: int | None = None,
) -> list[Path]:
    """Write a sound file for every part into ``folder``, which is made where it is not there; returns their paths.

    ``processed`` stems are what is heard of each part in the mix, through its strip and its bus, and a file each for
    what comes back from reverb and delay: together they are the mix before its master, to within rounding, and so all
    of one length. Without it the files are the stems as they came. ``suffix`` says the format (.wav, .flac, .ogg or
    .mp3); 32 ``bits`` (floating point, .wav only) keep what is louder than full scale.
    Raises :class:`BadRequest` as :func:`mix` does and :class:`midigen.errors.OutputError`.
    """
    folder = Path(folder)
    check_sound_file(f"stem{suffix}", rate or max((stem.audio.rate for stem in stems), default=48_000), 2, bits)
    if not processed:
        _check_stems(stems)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{name}{suffix}" for name in _file_names([stem.name for stem in stems])]
        return [
            write_audio(stem.audio, path, bits, Tags(title=stem.name)) for stem, path in zip(stems, paths, strict=True)
        ]
    desk, _, _ = blend(stems, session, rate=rate, threads=threads)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        writers: dict[str, AudioWriter] = {}
        for tracks in desk.tracks():
            if not writers:
                for name, file in zip(tracks, _file_names(list(tracks)), strict=True):
                    writer = AudioWriter(folder / f"{file}{suffix}", desk.rate, 2, bits, Tags(title=name))
                    writers[name] = stack.enter_context(writer)
            for name, block in tracks.items():
                writers[name].write(block)
    return [writer.path for writer in writers.values()]


def _check_stems(stems: Sequence[Source]) -> None:
    if not stems:
        raise BadRequest("no stems to mix: give one or more")
    names = [stem.name for stem in stems]
    for name in names:
        if names.count(name) > 1:
            raise BadRequest(f"stem {name!r} is given twice: give every stem a name of its own")
    for stem in stems:
        if stem.audio.channels > 2:
            raise BadRequest(f"stem {stem.name!r} has {stem.audio.channels} channels: give mono or stereo")


def _file_names(names: Sequence[str]) -> list[str]:
    """Names of parts as names of files on any system, each another."""
    files: list[str] = []
    for name in names:
        file = first = re.sub(r'[\x00-\x1f/\\:*?"<>|]+', "-", name).strip(" .") or "part"
        again = 1
        while file.casefold() in map(str.casefold, files):  # some file systems do not tell "Bass" from "bass"
            again += 1
            file = f"{first} {again}"
        files.append(file)
    return files


def _processors() -> int:
    """The processors this process may use (a container or ``taskset`` may allow fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
