"""The mixing desk at work: strips, buses, sends and returns, block after block. Knows samples, never MIDI.

A part's strip: its balance, equaliser, compressor, ducking, then gain, width and pan. Parts are always added in the
order of their names, so the sum does not hang on the order in which they were given, to the last bit; and strips are
worked out side by side in threads, which changes nothing but the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from midigen import filtering
from midigen.audio import BLOCK_FRAMES, Signal
from midigen.effects import Effect
from midigen.effects.dynamics import GainRider
from midigen.effects.stereo import Stereo, factor
from midigen.session import MIX, Bus, Channel, Session
from midigen.signals import in_blocks

REVERB, DELAY = "reverb", "delay"
Blocks = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Line:
    """A part as it comes to the desk: ``sound`` (mono or stereo), the ``channel`` that is set for it with a pan of its
    own, the ``trim_db`` that balances it, and the ``keys`` (names of other lines) under which it ducks."""

    name: str
    sound: Signal
    channel: Channel
    trim_db: float = 0.0
    keys: tuple[str, ...] = ()


class Desk:
    """What comes out of the desk, before the master: a signal in stereo, worked out as it is read.

    ``lines`` are what is heard: one or more, at one rate. ``session`` has the buses, the reverb and the delay.
    ``threads`` (1 or more) changes the time taken, never the samples. The sound is in its place in time, whatever the
    latency of the effects, and followed by all that rings on.
    """

    def __init__(self, lines: Sequence[Line], session: Session, threads: int = 2) -> None:
        self._lines = sorted(lines, key=lambda line: line.name)
        self._session = session
        self._threads = threads
        self._frames = _Passage(self._lines, session).frames

    @property
    def rate(self) -> int:
        return self._lines[0].sound.rate

    @property
    def channels(self) -> int:
        return 2

    @property
    def frames(self) -> int:
        return self._frames

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        """See :class:`midigen.audio.Signal`."""
        passage = _Passage(self._lines, self._session)
        return in_blocks((added(list(tracks.values())) for tracks in passage.tracks(self._threads)), size)

    def tracks(self) -> Iterator[Blocks]:
        """The same sound in its parts, block after block: by its name each line as it goes into the mix, through its
        bus and all, and what the returns "reverb" and "delay" add, where something is sent there.

        Blocks are float32 ``(2, n)``; what stands together adds up to :meth:`blocks`, to within rounding.
        """
        return _Passage(self._lines, self._session, separate=True).tracks(self._threads)


class _Passage:
    """One passage of all lines over the desk, with the state of its effects. ``separate`` keeps lines apart to the end.

    Whatever has a latency is waited for twice: strips for the slowest strip, buses and returns for the slowest of them.
    """

    def __init__(self, lines: Sequence[Line], session: Session, *, separate: bool = False) -> None:
        rate = lines[0].sound.rate
        self._strips = {line.name: _Strip(line, rate) for line in lines}
        buses = {MIX: Bus(), **session.buses}
        members = {name: [line.name for line in lines if line.channel.bus == name] for name in sorted(buses)}
        self._ends: list[_Group | _Return] = [
            _Group(name, buses[name], names, rate, separate=separate) for name, names in members.items() if names
        ]
        taken = {*self._strips, *buses}
        for name, setting in ((REVERB, session.reverb), (DELAY, session.delay.at(session.tempo_qpm))):
            sends = {line.name: getattr(line.channel.sends, f"{name}_db") for line in lines}
            factors = {part: factor(send_db) for part, send_db in sends.items() if send_db is not None}
            if factors:
                gain_db = getattr(session, name).gain_db
                label = next(one for one in (name, f"{name} return", f"return of the {name}") if one not in taken)
                self._ends.append(_Return(label, setting.processor(rate), factors, gain_db))
        strips, ends = max(s.latency for s in self._strips.values()), max(end.latency for end in self._ends)
        for strip in self._strips.values():
            strip.wait(strips)
        for end in self._ends:
            end.wait(ends)
        self._latency = strips + ends
        self.frames = max(
            strip.frames + strip.tail + max(end.tail for end in self._ends if name in end.members)
            for name, strip in self._strips.items()
        )

    def tracks(self, threads: int) -> Iterator[Blocks]:
        """What comes out of buses (or of each line) and returns; together ``frames`` long."""
        early, place, end = self._latency, 0, self._latency + self.frames
        filtering.load()
        with ThreadPoolExecutor(threads) as pool:
            ahead = self._begin(pool, min(BLOCK_FRAMES, end))
            while place < end:
                frames = min(BLOCK_FRAMES, end - place)
                blocks = {name: future.result() for name, future in ahead.items()}
                place += frames
                if place < end:  # the strips go on in their threads, while what they gave is added up here
                    ahead = self._begin(pool, min(BLOCK_FRAMES, end - place))
                tracks: dict[str, np.ndarray] = {}
                for one in self._ends:
                    tracks.update(one.process(blocks))
                late = min(early, frames)
                early -= late
                if late < frames:
                    yield {name: block[:, late:] for name, block in tracks.items()} if late else tracks

    def _begin(self, pool: ThreadPoolExecutor, frames: int) -> dict[str, Future[np.ndarray]]:
        """Set the strips to work on the next ``frames``. All sounds are read before a strip may ask for a key."""
        read = {name: pool.submit(strip.read, frames) for name, strip in self._strips.items()}
        return {name: pool.submit(strip.process, read) for name, strip in self._strips.items()}


class _Chain:
    """Effects one after the other, and then a wait for slower ones beside them."""

    def __init__(self, effects: Sequence[Effect]) -> None:
        self._effects = list(effects)
        self.latency = sum(effect.latency_frames for effect in effects)
        self.tail = sum(effect.tail_frames for effect in effects)
        self._waiting: np.ndarray | None = None

    def wait(self, latency: int) -> None:
        """Come out after ``latency`` frames in all."""
        self._waiting = np.zeros((2, latency - self.latency), dtype=np.float32) if latency > self.latency else None

    def process(self, block: np.ndarray) -> np.ndarray:
        for effect in self._effects:
            block = effect.process(block)
        return self.delayed(block)

    def delayed(self, block: np.ndarray) -> np.ndarray:
        if self._waiting is None:
            return block
        both = np.concatenate([self._waiting, block], axis=1)
        self._waiting = both[:, block.shape[1] :]
        return both[:, : block.shape[1]]


class _Strip(_Chain):
    """A line's way to the pan. Effects that do nothing are left out: what is flat keeps its length, and every bit."""

    def __init__(self, line: Line, rate: int) -> None:
        channel = line.channel
        effects: list[Effect] = [channel.equaliser.processor(rate)]
        if channel.compressor is not None:
            effects.append(channel.compressor.processor(rate))
        super().__init__(effects)
        self.frames = line.sound.frames
        self._name, self._keys = line.name, line.keys
        # A mono sound goes to both sides at -3.01 dB, as the pan law has it in the middle.
        self._trim = np.float32(factor(line.trim_db) * (math.sqrt(0.5) if line.sound.channels == 1 else 1.0))
        self._ducker = channel.ducking.processor(rate) if channel.ducking is not None and line.keys else None
        self._panner = Stereo(channel.pan or 0.0, channel.width, channel.gain_db).processor(rate)
        self._sound = line.sound.blocks()
        self._kept = np.zeros((2, 0), dtype=np.float32)

    def read(self, frames: int) -> np.ndarray:
        """The next ``frames`` of the sound in stereo, balanced; silence after its end."""
        pieces, held = [self._kept], self._kept.shape[1]
        while held < frames:
            block = next(self._sound, None)
            if block is None:
                pieces.append(np.zeros((2, frames - held), dtype=np.float32))
                break
            trimmed = block * self._trim
            pieces.append(trimmed if len(trimmed) == 2 else np.repeat(trimmed, 2, axis=0))
            held += block.shape[1]
        whole = [piece for piece in pieces if piece.shape[1]]
        sound = whole[0] if len(whole) == 1 else np.concatenate(whole, axis=1)
        self._kept = sound[:, frames:]
        return sound[:, :frames]

    def process(self, read: Mapping[str, Future[np.ndarray]]) -> np.ndarray:  # type: ignore[override]
        block = read[self._name].result()
        for effect in self._effects:
            block = effect.process(block)
        if self._ducker is not None:
            block = self._ducker.process(block, added([read[key].result() for key in self._keys]))
        return self.delayed(self._panner.process(block))


class _Group:
    """A bus at work on the lines that go to it: as one sound, or ``separate``.

    Kept apart, lines add up to what the bus would make of their sum: its equaliser is linear, and its compressor
    listens to all of them and gives each the same gain.
    """

    def __init__(self, name: str, bus: Bus, members: Sequence[str], rate: int, *, separate: bool) -> None:
        self.members = members
        self._voices = {one: [one] for one in members} if separate else {name: list(members)}
        self._equalisers = {voice: _Chain([bus.equaliser.processor(rate)]) for voice in self._voices}
        self._riders: dict[str, GainRider] = {}
        if bus.compressor is not None:
            self._riders = {voice: bus.compressor.processor(rate) for voice in self._voices}
        self._gain = np.float32(factor(bus.gain_db))
        self._ways = {voice: _Chain([]) for voice in self._voices}
        first = next(iter(self._equalisers.values()))
        self.latency, self.tail = first.latency, first.tail

    def wait(self, latency: int) -> None:
        for way in self._ways.values():
            way.wait(latency - self.latency)

    def process(self, blocks: Blocks) -> dict[str, np.ndarray]:
        voices = {voice: self._equalisers[voice].process(added([blocks[one] for one in members]))
                  for voice, members in self._voices.items()}  # fmt: skip
        if self._riders:
            key = added(list(voices.values()))
            voices = {voice: self._riders[voice].process(block, key) for voice, block in voices.items()}
        if self._gain != 1:
            voices = {voice: block * self._gain for voice, block in voices.items()}
        return {voice: self._ways[voice].delayed(block) for voice, block in voices.items()}


class _Return(_Chain):
    """An effect, what is sent to it, and the gain with which it comes back."""

    def __init__(self, name: str, effect: Effect, factors: Mapping[str, float], gain_db: float) -> None:
        super().__init__([effect])
        self.members = list(factors)
        self._name = name
        # The gain is that of the way back; before or after a linear effect is the same.
        self._factors = {part: np.float32(one * factor(gain_db)) for part, one in factors.items()}

    def process(self, blocks: Blocks) -> dict[str, np.ndarray]:  # type: ignore[override]
        sent: np.ndarray | None = None
        for part, one in self._factors.items():
            if sent is None:
                sent = blocks[part] * one
                each = np.empty_like(sent)
            else:
                sent += np.multiply(blocks[part], one, out=each)
        assert sent is not None  # a return without sends is none
        return {self._name: super().process(sent)}


def added(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of ``blocks``, in their order; the very block where there is one."""
    if len(blocks) == 1:
        return blocks[0]
    total = blocks[0] + blocks[1]
    for block in blocks[2:]:
        total += block
    return total
