"""The whole mix as values: what every part's strip, the buses, the effects and the master are set to.

A :class:`Session` is what a producer would find on a desk, as frozen dataclasses that check themselves. It knows no
samples. :mod:`midigen.session.presets` has some with names, :mod:`midigen.session.files` reads and writes them as
``mix.toml``, and :mod:`midigen.mixing` does what they say.

The way of a part: balance, high-pass and equaliser, compressor, ducking, then gain, width and pan, then its bus. Sends
to reverb and delay branch off behind the pan. Buses and returns meet in the mix, which goes through the master's
equaliser and compressor to its loudness and under its ceiling.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from midigen.effects import check_flag, check_number
from midigen.effects.delay import Delay, note_seconds
from midigen.effects.dynamics import Compressor, Ducking
from midigen.effects.equaliser import Equaliser
from midigen.effects.reverb import Reverb
from midigen.effects.stereo import HIGHEST_GAIN_DB, LOWEST_GAIN_DB, Stereo
from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS, OTHER
from midigen.mastering import (
    CEILING_DBTP,
    HIGHEST_CEILING_DBTP,
    HIGHEST_TARGET_LUFS,
    LOWEST_CEILING_DBTP,
    LOWEST_TARGET_LUFS,
    TARGET_LUFS,
)

MIX = "mix"  # the bus that all others end in
OFF = "off"
# What a mix is brought to, by what it is for: what Spotify and YouTube play at, what Apple asks of podcasts, EBU R 128.
TARGETS_LUFS = {"streaming": TARGET_LUFS, "podcast": -16.0, "broadcast": -23.0}
KINDS = (*INSTRUMENTS, OTHER)
SLOWEST_QPM, FASTEST_QPM = 10.0, 1_000.0

Parts = Iterable[tuple[str, str]]  # of each part its name and its instrument


@dataclass(frozen=True)
class ChannelEqualiser(Equaliser):
    """An :class:`~midigen.effects.equaliser.Equaliser`; with ``auto``, what the part's own spectrum asks for is added
    to the bands that are off."""

    auto: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self.auto, "auto")


@dataclass(frozen=True, kw_only=True)
class DuckedBy(Ducking):
    """:class:`~midigen.effects.dynamics.Ducking` under the part, or all parts of the instrument, called ``by``.

    The key is what the other part sounds like when it is balanced, before its own strip: its fader does not change
    how much this one gives way. A part that is not heard ducks nobody.
    """

    by: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_text(self.by, "by")
        if not self.by:
            raise BadRequest("ducking by nobody: let by name the part that is to come through, such as drums")


@dataclass(frozen=True)
class Sends:
    """How much of a part, as it is in the mix, goes to ``reverb_db`` and ``delay_db``, -60 to 24 dB; ``None``: none."""

    reverb_db: float | None = None
    delay_db: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("reverb", self.reverb_db), ("delay", self.delay_db)):
            if value is not None:
                _check_gain(value, f"send to the {name}", "-18 to -9 is usual; leave it out for none")


@dataclass(frozen=True)
class Channel:
    """The strip of a part, or of all parts of an instrument.

    ``gain_db`` -60 to 24 above the balanced band. ``pan`` -1 (left) to 1 (right), ``None`` for the instrument's seat;
    ``width`` 0 (mono) over 1 (as it is) to 2. ``mute`` silences; ``solo`` silences all that are not soloed (a muted
    part stays silent even so). ``bus`` is one of the session's, or "mix".
    """

    gain_db: float = 0.0
    pan: float | None = None
    width: float = 1.0
    mute: bool = False
    solo: bool = False
    bus: str = MIX
    equaliser: ChannelEqualiser = field(default_factory=ChannelEqualiser)
    compressor: Compressor | None = None
    ducking: DuckedBy | None = None
    sends: Sends = field(default_factory=Sends)

    def __post_init__(self) -> None:
        Stereo(0.0 if self.pan is None else self.pan, self.width, self.gain_db)  # checks all three
        check_flag(self.mute, "mute")
        check_flag(self.solo, "solo")
        _check_text(self.bus, "bus")


@dataclass(frozen=True)
class Bus:
    """Where parts meet on their way to the mix: ``gain_db`` -60 to 24, an equaliser, a compressor."""

    gain_db: float = 0.0
    equaliser: Equaliser = field(default_factory=Equaliser)
    compressor: Compressor | None = None

    def __post_init__(self) -> None:
        _check_gain(self.gain_db, "gain", "0 leaves it as it is")


@dataclass(frozen=True)
class ReverbReturn(Reverb):
    """The room that parts send to, and ``gain_db`` -60 to 24, with which it comes back."""

    gain_db: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_gain(self.gain_db, "gain", "0 leaves it as it is")


@dataclass(frozen=True)
class DelayReturn(Delay):
    """The echoes that parts send to, and ``gain_db`` -60 to 24, with which they come back.

    ``note``, such as "1/8." (a dotted eighth) or "1/4", is the time at the session's tempo, in place of ``seconds``.
    """

    note: str = ""
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_gain(self.gain_db, "gain", "0 leaves it as it is")
        _check_text(self.note, "note")
        if self.note:
            note_seconds(self.note, 120)  # raises for what is no note value

    def at(self, tempo_qpm: float) -> Delay:
        """The delay at a tempo, its time in seconds. Raises :class:`BadRequest` where a note lasts too long."""
        seconds = note_seconds(self.note, tempo_qpm) if self.note else self.seconds
        return Delay(seconds, self.feedback, self.damping_hz, self.low_cut_hz, self.ping_pong)


@dataclass(frozen=True)
class Master:
    """What the whole mix goes through.

    ``target_lufs`` is the integrated loudness to reach: -70 to -5, or "streaming" (-14), "podcast" (-16), "broadcast"
    (-23), or "off" to leave the level as it falls. ``ceiling_dbtp``, -20 to 0, is the true peak that is never passed.
    """

    target_lufs: float | str = "streaming"
    ceiling_dbtp: float = CEILING_DBTP
    equaliser: Equaliser = field(default_factory=Equaliser)
    compressor: Compressor | None = None

    def __post_init__(self) -> None:
        loudness_target(self.target_lufs)
        check_number(self.ceiling_dbtp, LOWEST_CEILING_DBTP, HIGHEST_CEILING_DBTP, "ceiling", "dBTP", "-1 is usual")

    @property
    def lufs(self) -> float | None:
        """The target as a number, ``None`` where there is none."""
        return loudness_target(self.target_lufs)


@dataclass(frozen=True)
class StemFile:
    """Where a part's sound is: ``file`` relative to the session's own, and its ``kind`` (a row of the instrument table,
    or "other"). ``soundfont`` and ``preset`` tell what played it."""

    file: str
    kind: str = OTHER
    soundfont: str = ""
    preset: str = ""

    def __post_init__(self) -> None:
        for name in ("file", "kind", "soundfont", "preset"):
            _check_text(getattr(self, name), name)
        if not self.file:
            raise BadRequest("a stem without a file: give the path of its sound file")
        if self.kind not in KINDS:
            raise BadRequest(f"kind {self.kind!r}{nearest(self.kind, KINDS)}: choose {', '.join(KINDS)}")


@dataclass(frozen=True)
class Session:
    """A whole mix. ``channels`` are by the name of a part, or by instrument for all parts of it that have none of
    their own; ``stems`` and ``buses`` by name; ``tempo_qpm`` (10 to 1,000) is for delays in note values; ``title`` and
    ``artist`` are for the tags of the mix.

    Raises :class:`BadRequest` for a bus that is not there.
    """

    stems: Mapping[str, StemFile] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    buses: Mapping[str, Bus] = field(default_factory=dict)
    reverb: ReverbReturn = field(default_factory=ReverbReturn)
    delay: DelayReturn = field(default_factory=DelayReturn)
    master: Master = field(default_factory=Master)
    tempo_qpm: float = 120.0
    title: str = ""
    artist: str = ""

    def __post_init__(self) -> None:
        _check_text(self.title, "title")
        _check_text(self.artist, "artist")
        check_number(
            self.tempo_qpm, SLOWEST_QPM, FASTEST_QPM, "tempo", "quarter notes a minute", "give the song's, such as 120"
        )
        for name in ("stems", "channels", "buses"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
            if "" in getattr(self, name):
                raise BadRequest(f"{name}: one has no name; give it one")
        if MIX in self.buses:
            raise BadRequest(f"bus {MIX!r} is the one that all others end in; use master for it, or another name")
        self.delay.at(self.tempo_qpm)
        for name, channel in self.channels.items():
            if channel.bus != MIX and channel.bus not in self.buses:
                there = ", ".join([MIX, *self.buses])
                raise BadRequest(
                    f"{name} goes to bus {channel.bus!r}, which is not there{nearest(channel.bus, self.buses)}: "
                    f"choose {there}, or add a section [buses.{channel.bus}]"
                )

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The name and the instrument of every stem."""
        return [(name, stem.kind) for name, stem in self.stems.items()]

    def channel_of(self, name: str, kind: str) -> Channel:
        """The channel of the part ``name``: its own, else that of its instrument, else an empty one."""
        return self.channels.get(name) or self.channels.get(kind) or Channel()

    def check(self, parts: Parts, *, general: bool = False) -> None:
        """Raise :class:`BadRequest` for a channel of no part, and a part that is ducked by itself or by a missing one.

        A channel for an instrument that is not among the ``parts`` is no mistake; nor is, in a session that is
        ``general``, ducking by such an instrument.
        """
        parts = list(parts)
        names = [name for name, _ in parts]
        known = list(dict.fromkeys([*names, *(kind for _, kind in parts)]))
        for name in self.channels:
            if name not in known and name not in KINDS:
                raise BadRequest(f"no part {name!r}{nearest(name, known)}: there are {', '.join(known)}")
        for name, kind in parts:
            ducking = self.channel_of(name, kind).ducking
            if ducking is None or keys_of(name, ducking.by, parts):
                continue
            if ducking.by in (name, kind):
                raise BadRequest(f"{name} is ducked by itself: let by name another part, or leave the ducking out")
            if general and ducking.by in KINDS:
                continue
            others = ", ".join(other for other in known if other not in (name, kind)) or "none yet"
            raise BadRequest(
                f"{name} is ducked by {ducking.by!r}, which is not there{nearest(ducking.by, known)}: choose "
                f"another part ({others}), or leave the ducking out"
            )

    def heard(self, parts: Parts) -> dict[str, bool]:
        """Whether each of the ``parts`` is heard: not where it is muted, nor where only others are soloed.

        Raises :class:`BadRequest` where none is: nobody wants silence.
        """
        channels = {name: self.channel_of(name, kind) for name, kind in parts}
        any_solo = any(channel.solo for channel in channels.values())
        heard = {name: not channel.mute and (channel.solo or not any_solo) for name, channel in channels.items()}
        if not any(heard.values()):
            why = "what is soloed is muted too" if any_solo else "every part is muted"
            raise BadRequest(f"nothing to mix: {why}; take mute off one of {', '.join(heard)}")
        return heard

    def seated(self, parts: Parts) -> Session:
        """The session made for these ``parts``: a channel for each by its name, in its instrument's seat.

        An instrument that has no channel takes that of "other". Ducking by an instrument that is not there is left
        out. Raises :class:`BadRequest` as :meth:`check` does for a general session.
        """
        parts = list(parts)
        self.check(parts, general=True)
        channels = {}
        for name, kind in parts:
            channel = self.channels.get(name) or self.channels.get(kind) or self.channels.get(OTHER) or Channel()
            if channel.pan is None:
                channel = replace(channel, pan=INSTRUMENTS[kind].pan if kind in INSTRUMENTS else 0.0)
            if channel.ducking is not None and not keys_of(name, channel.ducking.by, parts):
                channel = replace(channel, ducking=None)
            channels[name] = channel
        return replace(self, channels=channels)

    def changed(
        self,
        parts: Parts,
        *,
        gain_db: Mapping[str, float] | None = None,
        pan: Mapping[str, float] | None = None,
        mute: Sequence[str] = (),
        solo: Sequence[str] = (),
        target_lufs: float | str | None = None,
        auto_equaliser: bool = False,
    ) -> Session:
        """The session with what a user asks for beside it.

        Mappings and names are by part or by instrument (a part goes before an instrument). ``mute`` and ``solo`` are
        added to what is muted and soloed already; ``None`` keeps the loudness; ``auto_equaliser`` makes the equalisers
        of all parts automatic. Raises :class:`BadRequest` for a part
        that is not among ``parts`` and for a value out of its range, with the part that it was for.
        """
        parts = list(parts)
        known = list(dict.fromkeys([*(name for name, _ in parts), *(kind for _, kind in parts)]))
        gain_db, pan = gain_db or {}, pan or {}
        for wanted in (*gain_db, *pan, *mute, *solo):
            if wanted not in known:
                raise BadRequest(f"no part {wanted!r}{nearest(wanted, known)}: choose from {', '.join(known)}")
        channels = dict(self.channels)
        for name, kind in parts:
            channel = self.channel_of(name, kind)
            try:
                channels[name] = replace(
                    channel,
                    gain_db=gain_db.get(name, gain_db.get(kind, channel.gain_db)),
                    pan=pan.get(name, pan.get(kind, channel.pan)),
                    mute=channel.mute or name in mute or kind in mute,
                    solo=channel.solo or name in solo or kind in solo,
                    equaliser=replace(channel.equaliser, auto=channel.equaliser.auto or auto_equaliser),
                )
            except BadRequest as error:
                raise BadRequest(f"{name}: {error}") from None
        master = self.master if target_lufs is None else replace(self.master, target_lufs=target_lufs)
        return replace(self, channels=channels, master=master)


def keys_of(name: str, by: str, parts: Parts) -> list[str]:
    """The parts that duck ``name`` where its ducking says ``by``: that part, or all of that instrument but itself."""
    parts = list(parts)
    named = [other for other, _ in parts if other == by]
    return [other for other in named or [other for other, kind in parts if kind == by] if other != name]


def loudness_target(value: float | str) -> float | None:
    """A loudness as a number of LUFS, ``None`` for "off". Raises :class:`BadRequest` for what is neither."""
    names = ", ".join(TARGETS_LUFS)
    if isinstance(value, str):
        if value == OFF:
            return None
        if value not in TARGETS_LUFS:
            raise BadRequest(
                f"loudness {value!r}{nearest(value, [*TARGETS_LUFS, OFF])}: choose {names}, {OFF} or a number of LUFS"
            )
        return TARGETS_LUFS[value]
    check_number(
        value, LOWEST_TARGET_LUFS, HIGHEST_TARGET_LUFS, "loudness", "LUFS", f"streaming services play at -14 ({names})"
    )
    return float(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """ " (did you mean x?)" where ``word`` is nearly one of the ``known``, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _check_gain(value: float, what: str, cure: str) -> None:
    check_number(value, LOWEST_GAIN_DB, HIGHEST_GAIN_DB, what, "dB", cure)


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise BadRequest(f"{what} {value!r}: give a text")
