"""The desk while it plays: the same strips, buses and returns as :mod:`midigen.desk`, turned as they sound.

What a whole mix knows is not known here: how loud each part is, and how loud all of it. Both begin with what is
expected and are ridden, a little at each bar, towards what was measured so far: each part to its place in the balanced
band, the whole to the session's loudness. The ceiling is kept by a limiter that looks ahead. Whatever is turned is
faded over, so that nothing clicks: strips and buses that change are warmed up with the last quarter of a second, and a
reverb or a delay that is taken away rings on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from midigen.desk import DELAY, REVERB, added
from midigen.effects import Effect
from midigen.effects.delay import Delay
from midigen.effects.dynamics import GainRider
from midigen.effects.reverb import Reverb
from midigen.effects.stereo import Stereo, factor
from midigen.limiter import LiveLimiter
from midigen.loudness import Meter
from midigen.mixing import BAND_LUFS, balance_trim_db
from midigen.session import MIX, Bus, Channel, Master, Session, keys_of

FADE_SECONDS = 0.02
WARM_SECONDS = 0.25
STEP_DB = 0.5  # by which a part or the whole is ridden at a bar
HEARD_SECONDS = 4.0  # of a part, before its loudness is believed
RECENT_SECONDS = 10.0
GATHERED = 16  # blocks that a meter listens to at a time
SUM_LU = 4.0  # how far above the balanced parts the whole lies before it is measured: three or four of them
Voices = Mapping[str, np.ndarray]


class LiveDesk:
    """Mixes ``parts`` (name and instrument) block by block, as ``session`` says.

    ``expected_lufs`` is how loud each part is thought to be. Blocks are of ``block_frames``, or of less at the end.
    What goes in comes out ``latency_frames`` later. Equalisers that are to be set by their part's spectrum are not: it
    is not known yet. Raises :class:`midigen.errors.BadRequest` for a session that does
    not fit the parts, or lets none of them be heard.
    """

    def __init__(
        self,
        parts: Sequence[tuple[str, str]],
        session: Session,
        expected_lufs: Mapping[str, float],
        rate: int,
        block_frames: int = 512,
    ) -> None:
        self._parts, self._rate, self._late = list(parts), rate, block_frames
        self._memory = math.ceil(WARM_SECONDS * rate / block_frames)
        self._session = session.seated(self._parts)
        self._heard = self._session.heard(self._parts)
        trims = {name: balance_trim_db(expected_lufs[name], kind) for name, kind in self._parts}
        self._strips = {
            name: _Strip(kind, trims[name], self._turned(self._strip(name)), _Gathered(rate, 3 * place), rate)
            for place, (name, kind) in enumerate(sorted(self._parts))
        }
        self._buses = {bus: self._turned(self._bus(bus)) for bus in self._bus_names()}
        self._returns: dict[str, _Return] = {}
        self._ringing: list[_Return] = []  # that nothing is sent to any more
        self._set_returns()
        master = self._session.master
        self._master = self._turned(self._master_effects())
        self._gain_db = _expected_gain_db(master)
        self._gain = factor(self._gain_db)
        self._loudness = _RecentLoudness(rate)
        self._limiter = LiveLimiter(rate, master.ceiling_dbtp)
        self._waiting = np.zeros((2, self._late), dtype=np.float32)

    @property
    def session(self) -> Session:
        """What is mixed by now, with a channel for every part."""
        return self._session

    @property
    def latency_frames(self) -> int:
        return self._late + self._limiter.latency_frames

    @property
    def limited_db(self) -> float:
        """The most that the limiter took away so far."""
        return self._limiter.limited_db

    def expect(self, lufs: Mapping[str, float]) -> None:
        """Take the parts to be as loud as this; before anything was played."""
        for name, strip in self._strips.items():
            strip.trim_db = balance_trim_db(lufs[name], strip.kind)
            strip.begin()

    def set(self, session: Session) -> None:
        """Mix as ``session`` says from the next block on. Raises :class:`midigen.errors.BadRequest` for one that does
        not fit the parts, or lets none of them be heard, and leaves everything as it is."""
        session = session.seated(self._parts)
        heard = session.heard(self._parts)
        before, heard_before = self._session, self._heard
        keys_before = {name: self._keys(name) for name in self._strips}
        self._session, self._heard = session, heard
        for name, strip in self._strips.items():
            now = (session.channels[name], heard[name], self._keys(name))
            if now != (before.channels[name], heard_before[name], keys_before[name]):
                strip.way.turn(self._strip(name))
        moved = {name for name in self._strips if session.channels[name].bus != before.channels[name].bus}
        for bus in self._bus_names():
            known = self._buses.get(bus)
            if known is None:
                self._buses[bus] = self._turned(self._bus(bus))
            elif moved or session.buses.get(bus) != before.buses.get(bus):
                known.turn(self._bus(bus))
        for bus in self._buses.keys() - set(self._bus_names()):
            self._buses[bus].turn(_Chain([], members=()))
        self._set_returns()
        master, old = session.master, before.master
        if (master.equaliser, master.compressor) != (old.equaliser, old.compressor):
            self._master.turn(self._master_effects())
        if master.lufs != old.lufs:  # heard at once; riding goes on from there
            self._gain_db += _expected_gain_db(master) - _expected_gain_db(old)
        if master.ceiling_dbtp != old.ceiling_dbtp:
            self._limiter.set_ceiling(master.ceiling_dbtp)

    def at_bar(self) -> None:
        """A bar begins: ride the parts and the whole a step towards their places."""
        for strip in self._strips.values():
            strip.ride()
        target, measured = self._session.master.lufs, self._loudness.lufs()
        if target is not None and measured > -math.inf:
            self._gain_db += _step(target - measured - self._gain_db)

    def process(self, blocks: Voices) -> np.ndarray:
        """A block of every part, float32 ``(2, n)``, to one of the mix."""
        balanced = {name: strip.balanced(blocks[name]) for name, strip in self._strips.items()}
        voices = {name: strip.way.process(balanced) for name, strip in self._strips.items()}
        dry = added([self._buses[bus].process(voices) for bus in sorted(self._buses)])
        frames = dry.shape[1]
        dry = np.concatenate([self._waiting, dry], axis=1)
        self._waiting = dry[:, frames:]
        wet = [one.process(voices) for one in self._returns.values()]
        wet += [one.process(voices) for one in self._ringing]
        for one in self._ringing:
            one.tail_frames -= frames
        self._ringing = [one for one in self._ringing if one.tail_frames > 0]
        mixed = self._master.process({MIX: added([dry[:, :frames], *wet])})
        self._loudness.feed(mixed)
        gain, self._gain = self._gain, factor(self._gain_db)
        return self._limiter.process(_ramped(mixed, gain, self._gain))

    def _turned(self, process: _Chain) -> _Turned:
        return _Turned(process, max(round(FADE_SECONDS * self._rate), 1), self._memory)

    def _strip(self, name: str) -> _Chain:
        channel = self._session.channels[name]
        effects = _effects(channel, self._rate)
        ducking, keys = channel.ducking, self._keys(name)
        ducker = ducking.processor(self._rate) if ducking is not None and keys else None
        placed = Stereo(channel.pan or 0.0, channel.width, channel.gain_db).processor(self._rate)
        return _Chain(effects, members=(name,), ducker=ducker, keys=keys, last=placed, heard=self._heard[name])

    def _keys(self, name: str) -> tuple[str, ...]:
        ducking = self._session.channels[name].ducking
        keys = keys_of(name, ducking.by, self._parts) if ducking is not None else []
        return tuple(sorted(key for key in keys if self._heard[key]))

    def _bus_names(self) -> list[str]:
        return sorted({channel.bus for channel in self._session.channels.values()})

    def _bus(self, name: str) -> _Chain:
        bus = {MIX: Bus(), **self._session.buses}[name]
        members = tuple(one for one in self._strips if self._session.channels[one].bus == name)
        gain = Stereo(gain_db=bus.gain_db).processor(self._rate)
        return _Chain(_effects(bus, self._rate), members=members, last=gain)

    def _master_effects(self) -> _Chain:
        return _Chain(_effects(self._session.master, self._rate), members=(MIX,))

    def _set_returns(self) -> None:
        """Turn the sends, and change the effects that are set otherwise."""
        session = self._session
        room = Reverb(**{field.name: getattr(session.reverb, field.name) for field in fields(Reverb)})
        settings: tuple[tuple[str, Reverb | Delay], ...]
        settings = ((REVERB, room), (DELAY, session.delay.at(session.tempo_qpm)))
        for name, setting in settings:
            gain = factor(getattr(session, name).gain_db)
            sends = {part: getattr(session.channels[part].sends, f"{name}_db") for part in self._strips}
            factors = {part: 0.0 if db is None else factor(db) * gain for part, db in sends.items()}
            known = self._returns.get(name)
            if known is None:
                if any(factors.values()):
                    self._returns[name] = _Return(setting, self._effect(setting), factors, self._late)
            elif known.setting == setting:
                known.factors = factors
            else:
                known.factors = dict.fromkeys(factors, 0.0)
                self._ringing.append(known)
                self._returns[name] = _Return(setting, self._effect(setting), known.factors, self._late)
                self._returns[name].factors = factors  # from nothing, in a block

    def _effect(self, setting: Reverb | Delay) -> Effect:
        if isinstance(setting, Reverb):
            return setting.live_processor(self._rate, self._late)
        return setting.processor(self._rate)


class _Chain:
    """What happens to the sum of ``members``: effects, ducking under ``keys``, a last one that places or gains."""

    def __init__(
        self,
        effects: Sequence[Effect],
        members: Sequence[str],
        ducker: GainRider | None = None,
        keys: Sequence[str] = (),
        last: Effect | None = None,
        heard: bool = True,
    ) -> None:
        self._effects, self._last = effects, last
        self._members, self._ducker, self._keys, self._heard = members, ducker, keys, heard

    def __call__(self, voices: Voices) -> np.ndarray:
        if not self._members:
            return np.zeros_like(next(iter(voices.values())))
        block = added([voices[one] for one in self._members])
        for effect in self._effects:
            block = effect.process(block)
        if self._ducker is not None:
            block = self._ducker.process(block, added([voices[key] for key in self._keys]))
        if self._last is not None:
            block = self._last.process(block)
        return block if self._heard else np.zeros_like(block)


class _Turned:
    """A process that may be turned to another while it sounds: warmed up, then faded over."""

    def __init__(self, process: _Chain, fade_frames: int, memory: int) -> None:
        self._process, self._fade_frames = process, fade_frames
        self._before: _Chain | None = None
        self._faded = 0
        self._past: deque[Voices] = deque(maxlen=memory)

    def turn(self, process: _Chain) -> None:
        for voices in self._past:
            process(voices)
        # Turned again inside a fade: what was on its way out is gone, and the fade begins anew.
        self._before, self._process, self._faded = self._process, process, 0

    def process(self, voices: Voices) -> np.ndarray:
        self._past.append(voices)
        block = self._process(voices)
        if self._before is None:
            return block
        frames = block.shape[1]
        way = np.clip((self._faded + np.arange(1, frames + 1)) / self._fade_frames, 0, 1)
        share = (0.5 - 0.5 * np.cos(np.pi * way)).astype(np.float32)
        before = self._before(voices)
        self._faded += frames
        if self._faded >= self._fade_frames:
            self._before = None
        return before + (block - before) * share


@dataclass
class _Strip:
    """A part: its balance, how loud it was so far, and the way it takes."""

    kind: str
    trim_db: float
    way: _Turned
    meter: _Gathered
    rate: int

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._trim = factor(self.trim_db)

    def balanced(self, block: np.ndarray) -> np.ndarray:
        self.meter.feed(block)
        before, self._trim = self._trim, factor(self.trim_db)
        return _ramped(block, before, self._trim)

    def ride(self) -> None:
        lufs = self.meter.lufs()
        if lufs > -math.inf and self.meter.frames >= HEARD_SECONDS * self.rate:
            self.trim_db += _step(balance_trim_db(lufs, self.kind) - self.trim_db)


class _Return:
    """An effect and what is sent to it; it comes back ``late`` frames after the sound that is sent."""

    def __init__(self, setting: object, effect: Effect, factors: dict[str, float], late: int) -> None:
        self.setting, self.factors = setting, factors
        self._effect, self._now = effect, dict(factors)
        self._waiting = np.zeros((2, late - effect.latency_frames), dtype=np.float32)
        self.tail_frames = effect.tail_frames + late

    def process(self, voices: Voices) -> np.ndarray:
        before, self._now = self._now, dict(self.factors)
        sent = [_ramped(voices[one], before[one], now) for one, now in self._now.items() if before[one] or now]
        block = added(sent) if sent else np.zeros_like(next(iter(voices.values())))
        sound = np.concatenate([self._waiting, self._effect.process(block)], axis=1)
        self._waiting = sound[:, block.shape[1] :]
        return sound[:, : block.shape[1]]


class _Gathered:
    """A meter that listens to several blocks at a time: its filters cost as much for one as for many. ``phase`` sets
    meters apart, so that they do not all listen in the same block."""

    def __init__(self, rate: int, phase: int) -> None:
        self._meter = Meter(rate, 2, true_peak=False)
        self._blocks: list[np.ndarray] = []
        self._due = GATHERED - phase % GATHERED
        self.frames = 0

    def feed(self, block: np.ndarray) -> None:
        self._blocks.append(block)
        self.frames += block.shape[1]
        if len(self._blocks) >= self._due:
            self._listen()
            self._due = GATHERED

    def lufs(self) -> float:
        return self._meter.reading().integrated_lufs

    def _listen(self) -> None:
        self._meter.feed(np.concatenate(self._blocks, axis=1))
        self._blocks = []


class _RecentLoudness:
    """The loudness of the last ten to twenty seconds: what lies before was balanced otherwise."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._older, self._newer = _Gathered(rate, 0), _Gathered(rate, GATHERED // 2)

    def feed(self, block: np.ndarray) -> None:
        self._older.feed(block)
        self._newer.feed(block)

    def lufs(self) -> float:
        if self._newer.frames >= RECENT_SECONDS * self._rate:
            self._older, self._newer = self._newer, _Gathered(self._rate, GATHERED // 2)
        return self._older.lufs()


def _effects(setting: Channel | Bus | Master, rate: int) -> list[Effect]:
    effects: list[Effect] = [setting.equaliser.processor(rate)]
    if setting.compressor is not None:
        effects.append(setting.compressor.processor(rate))
    return effects


def _ramped(block: np.ndarray, before: float, now: float) -> np.ndarray:
    """``block`` times a gain that goes from ``before`` to ``now`` on its way."""
    if before == now:
        return block if now == 1 else block * np.float32(now)
    return block * np.linspace(before, now, block.shape[1], dtype=np.float32)


def _step(missing_db: float) -> float:
    return max(-STEP_DB, min(missing_db, STEP_DB))


def _expected_gain_db(master: Master) -> float:
    return 0.0 if master.lufs is None else master.lufs - (BAND_LUFS + SUM_LU)
