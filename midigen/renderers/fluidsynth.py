"""One part to one stem with FluidSynth.

Every part gets a fresh synthesizer, so that a stem depends on its own notes and on nothing else.
"""

from __future__ import annotations

import ctypes
import math
import platform
from collections.abc import Callable, Iterable
from functools import partial
from threading import Event

import numpy as np

from midigen.errors import BadFile
from midigen.renderers import TAIL_SECONDS, AnotherPart
from midigen.renderers.events import BLOCK, Message, blocks_of, messages
from midigen.renderers.library import Sounding, library_version, presets
from midigen.renderers.presets import Preset, choose_preset
from midigen.renderers.unpacking import Unpacker
from midigen.score import Part, Score
from midigen.soundfonts import SoundFont

RENDERING = 1  # of this module: to be raised whenever the samples it gives change
PIECE_BLOCKS = 1024  # 65,536 frames: what is in memory of a stem
SILENT = 10 ** (-80 / 20)  # a release is over when it stays under this
FADE_SECONDS = 0.5  # of a tail that is still sounding when it has to end
DRUM_CHANNEL, MELODIC_CHANNEL = 9, 0
# A sound that wants no delay gets one of 2**-10 s (SoundFont 2.04, section 8.1.3, generator 33), in whole blocks: none
# at 44,100 frames a second, one from 65,536 on.
DELAY_SECONDS = 2.0**-10
LOOK_BLOCKS = 64  # blocks of a tail rendered between two looks at its level


class FluidSynth:
    """A :class:`midigen.renderers.Renderer`.

    Stems are stereo and dry (reverb and chorus belong to the mix). An onset lies within 32 samples of
    :meth:`Score.seconds`: on the nearest of the 64-sample blocks that FluidSynth works in. The release is kept until
    it falls under -80 dBFS, at most 10 s. What plays a part: :func:`midigen.renderers.presets.choose_preset`.
    """

    def version(self) -> str:
        return f"{RENDERING} {library_version()} {platform.machine()}"

    def play(
        self,
        score: Score,
        font: SoundFont,
        *,
        rate: int,
        chosen: bool,
        preset: str | None,
        write: Callable[[np.ndarray], None],
        stop: Event,
    ) -> str:
        with self.begin(score, font, rate=rate, chosen=chosen, preset=preset, write=write) as playing:
            return playing.finish(score, stop)

    def begin(
        self,
        score: Score,
        font: SoundFont,
        *,
        rate: int,
        chosen: bool,
        preset: str | None,
        write: Callable[[np.ndarray], None],
    ) -> FluidSynthPlaying:
        return FluidSynthPlaying(score, font, rate, chosen, preset, write)


class FluidSynthPlaying:
    """A part that is being played; keeps :class:`midigen.renderers.Playing`."""

    def __init__(
        self,
        score: Score,
        font: SoundFont,
        rate: int,
        chosen: bool,
        preset: str | None,
        write: Callable[[np.ndarray], None],
    ) -> None:
        self._font, self._rate, self._write = font, rate, write
        self._chosen, self._asked = chosen, preset
        (part,) = score.parts
        self._presets = presets(font)
        self._sound = self._choose(part)
        self._player: _Player | None = None  # none before the first note
        self._sent: list[Message] = []

    def _choose(self, part: Part) -> Preset:
        return choose_preset(self._presets, part, self._font.name, chosen=self._chosen, asked=self._asked)

    def __enter__(self) -> FluidSynthPlaying:
        return self

    def __exit__(self, *error: object) -> None:
        if self._player is not None:
            self._player.sounding.close()

    def go_on(self, score: Score, until_tick: int, stop: Event) -> None:
        """Play what comes before the block of ``until_tick``; notes from there on may still change."""
        until = int(blocks_of(score, until_tick, self._rate))
        player, coming = self._prepare(score)
        if player is None:
            return
        for message in coming:
            # Never beyond the last message: what rings on after it is the tail, unless something follows.
            player.advance(min(message.block, until), stop)
            if message.block >= until or stop.is_set():
                return
            player.send(message)
            self._sent.append(message)

    def finish(self, score: Score, stop: Event) -> str:
        player, coming = self._prepare(score)
        if player is not None:
            _play(player, coming, self._rate, stop)
        return self._sound.name

    def _prepare(self, score: Score) -> tuple[_Player | None, list[Message]]:
        """The player, once there are notes, and the messages that it has not had. Raises :class:`AnotherPart`."""
        (part,) = score.parts
        coming = messages(score, part, self._rate) if part.notes else []
        if coming[: len(self._sent)] != self._sent or self._choose(part) != self._sound:
            raise AnotherPart
        if self._player is None and part.notes:
            channel = DRUM_CHANNEL if part.is_drum else MELODIC_CHANNEL
            sounding = Sounding(self._font, self._sound, self._rate, channel)
            self._player = _Player(sounding, self._write, int(DELAY_SECONDS * self._rate / BLOCK))
        coming = coming[len(self._sent) :]
        if self._player is not None and coming and coming[0].block < self._player.now:
            raise AnotherPart
        return self._player, coming


class OpenSynthesizer:
    """A synthesizer for ``part`` that stays open and plays what it is sent, block after block: for live use.

    The same messages at the same blocks give the samples that :class:`FluidSynth` renders. ``sound`` names what plays.
    One thread at a time may use it. Raises what :meth:`FluidSynth.play` raises.
    """

    def __init__(
        self, part: Part, font: SoundFont, rate: int, *, chosen: bool = False, preset: str | None = None
    ) -> None:
        found = choose_preset(presets(font), part, font.name, chosen=chosen, asked=preset)
        channel = DRUM_CHANNEL if part.is_drum else MELODIC_CHANNEL
        self.sound = found.name
        self._again = partial(Sounding, font, found, rate, channel)
        self._player = _Player(self._again(), lambda piece: None)
        self._unpacker: Unpacker | None = None
        self.ahead = int(DELAY_SECONDS * rate / BLOCK)  # blocks by which all sounds late

    def send(self, message: Message) -> None:
        """Do what ``message`` says, from the next block on."""
        self._player.send(message)

    def play(self, blocks: int) -> np.ndarray:
        """The next ``blocks`` of 64 frames: float32 ``(2, 64 * blocks)``."""
        sound = np.zeros((2, blocks * BLOCK), dtype=np.float32)  # the library adds to what is there
        self._player.play_into(sound, 0, blocks)
        return sound

    def close(self) -> None:
        """Give the synthesizer back; it cannot play any more."""
        if self._unpacker is not None:
            self._unpacker.close()
        self._player.sounding.close()

    def unpack(self) -> None:
        """Unpack what this may play, in a thread beside: a note then need not wait for it."""
        if self._player.sounding.pieces is not None and self._unpacker is None:
            self._unpacker = Unpacker(self._again())

    def expect(self, coming: Iterable[Message]) -> None:
        """These messages will be sent soon."""
        if self._unpacker is not None:
            for message in coming:
                if message.action == "on":
                    self._unpacker.expect(*message.values)


class _Player:
    """A synthesizer that plays from block to block and hands on what it played, a piece at a time.

    The first ``ahead`` blocks are left out: nothing sounds that early, and the rest comes to its time.
    """

    def __init__(self, sounding: Sounding, write: Callable[[np.ndarray], None], ahead: int = 0) -> None:
        self.sounding = sounding
        self.library, self.synth = sounding.library, sounding.synth
        self.write = write
        self._left_out = ahead * BLOCK
        self.now = 0  # the block that comes next
        self._piece = np.zeros((2, PIECE_BLOCKS * BLOCK), dtype=np.float32)
        self._filled = 0  # blocks of the piece
        self._send = {
            "off": self.library.fluid_synth_noteoff,
            "control": self.library.fluid_synth_cc,
            "bend": self.library.fluid_synth_pitch_bend,
        }

    def send(self, message: Message) -> None:
        if message.action == "on":
            self.sounding.press(*message.values)
        else:
            self._send[message.action](self.synth, self.sounding.channel, *message.values)

    def advance(self, until: int, stop: Event) -> None:
        """Play up to the block ``until``, and hand on the pieces that are full."""
        while self.now < until and not stop.is_set():
            blocks = min(until - self.now, PIECE_BLOCKS - self._filled)
            self.play_into(self._piece, self._filled, blocks)
            self._filled += blocks
            if self._filled == PIECE_BLOCKS:
                self.flush()

    def flush(self) -> None:
        """Hand on what was played."""
        self.write(self._piece[:, self._left_out : self._filled * BLOCK])
        self._left_out = 0
        self._piece[:] = 0  # the library adds to what is there
        self._filled = 0

    def play_into(self, sound: np.ndarray, block: int, blocks: int) -> None:
        """Add the next ``blocks`` to ``sound`` (float32 ``(2, any)``), at its block ``block``."""
        pointers = (ctypes.c_void_p * 2)(*(row.ctypes.data + block * BLOCK * sound.itemsize for row in sound))
        if self.library.fluid_synth_process(self.synth, blocks * BLOCK, 0, None, 2, pointers) != 0:
            raise BadFile("FluidSynth stopped while rendering; try another SoundFont")
        self.now += blocks


def _play(player: _Player, score: list[Message], rate: int, stop: Event) -> None:
    """Send the messages at their blocks, and play what lies between and what rings on after the last."""
    for message in score:
        player.advance(message.block, stop)
        if stop.is_set():
            return
        player.send(message)
    player.flush()
    longest = math.ceil(TAIL_SECONDS * rate / BLOCK)
    tail = np.zeros((2, longest * BLOCK), dtype=np.float32)
    now = 0
    while now < longest and not stop.is_set():
        blocks = min(LOOK_BLOCKS, longest - now)
        player.play_into(tail, now, blocks)
        peak = float(np.abs(tail[:, now * BLOCK : (now + blocks) * BLOCK]).max())
        now += blocks
        if peak < SILENT or player.library.fluid_synth_get_active_voice_count(player.synth) == 0:
            player.write(tail[:, : now * BLOCK])
            return
    fade = min(round(FADE_SECONDS * rate), tail.shape[1])  # still sounding: end it without a click
    tail[:, tail.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    player.write(tail)
