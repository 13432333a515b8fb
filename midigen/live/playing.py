"""Playing a piece while it is composed, or a song that is there: the threads, and what holds them together."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

import numpy as np

from midigen.composition.live import Bar, Change, LivePiece
from midigen.errors import BadRequest
from midigen.live.band import Band, SynthBand
from midigen.live.commands import Command, check_commands, read_command
from midigen.live.handover import Closed, Handover
from midigen.live.ports import PortBand, open_port
from midigen.live.rack import Rack, open_rack
from midigen.live.sinks import BUFFER_SECONDS, DeviceSink, FileSink, NullSink, Sink
from midigen.live.sources import SongSource, Source
from midigen.live.transport import Played, Transport
from midigen.prompt import Prompt
from midigen.score import Score
from midigen.session import Session
from midigen.sound import Sound

BLOCK_FRAMES = 512


@dataclass(frozen=True)
class Output:
    """Where the music goes: into the file ``to``, to a MIDI port whose name holds ``midi_port``, or to the system's
    audio (the device whose name holds ``device``), with ``buffer_seconds`` of sound ready."""

    to: str | Path | None = None
    device: str | None = None
    midi_port: str | None = None
    buffer_seconds: float = BUFFER_SECONDS

    def __post_init__(self) -> None:
        said = [name for name in ("to", "device", "midi_port") if getattr(self, name) is not None]
        if len(said) > 1:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in said)
            raise BadRequest(f"{names}: give one of them, the music goes to one place")

    @property
    def realtime(self) -> bool:
        return self.to is None


@dataclass(frozen=True)
class Report:
    """How it went: ``bars`` that were played, ``seconds`` of music, when the first bar's sound was there after the
    start; how often and how long the music had to ``wait`` for the composer; ``gaps`` are blocks that came too late for
    the audio system. ``factor`` is seconds of music over seconds of composing (``None`` for a song that was there);
    ``news`` is what was changed."""

    bars: int
    seconds: float
    first_bar_seconds: float
    waits: int
    waited_seconds: float
    gaps: int
    factor: float | None
    news: tuple[Played, ...]


class Live:
    """Plays while composing. Iterating over it plays, and gives each bar as it begins::

        with Live(Prompt(bars=16, seed=7), output=Output(to="song.wav")) as live:
            for bar in live:
                if bar.number == 7:
                    live.say("chords Am F C G")

    What is said while a bar is given takes effect at the next one; :mod:`midigen.live.commands` has the words. Into a
    file it plays as fast as it can, and the same words at the same bars give the same file; towards ears a thread of
    its own plays, and whoever iterates only watches. ``mix_file`` is a ``mix.toml`` that is read before and whenever it
    changes. ``song`` is a score that is there already, played in place of a composed piece; ``rack`` what
    :func:`midigen.live.rack.open_rack` gave, where that was done before. Raises
    :class:`midigen.errors.MidigenError`, for what cannot be had before anything is heard.
    """

    def __init__(
        self,
        prompt: Prompt | None = None,
        *,
        song: Score | None = None,
        sound: Sound | None = None,
        output: Output | None = None,
        mix_file: str | Path | None = None,
        commands: Iterable[Command] = (),
        checkpoint: str | None = None,
        engine: str = "onnx",
        mode: str = "fast",
        threads: int | None = None,
        on_news: Callable[[Played], None] = lambda news: None,
        on_wait: Callable[[int], None] = lambda bar: None,
        rack: Rack | None = None,
    ) -> None:
        self._began = time.perf_counter()
        self.sound, self.output = sound or Sound(), output or Output()
        self.prompt = (prompt or Prompt()).with_seed()
        self._song = song
        self.source: Path | None = None  # the file that is played
        self._checkpoint, self._engine, self._mode = checkpoint, engine, mode
        self._threads = threads
        self._on_news, self._on_wait = on_news, on_wait
        self._news: list[Played] = []
        self._resources = ExitStack()
        self._closing = Event()
        self._player: Thread | None = None
        self._rack = rack
        self._source: Source | None = None
        self._transport: Transport | None = None
        self._sink: Sink | None = None
        self._band: Band | None = None
        self._busy_seconds, self._since = 0.0, 0.0
        self._first_sound: float | None = None
        self._parts = self._named_parts()
        self.sound.check([name for name, _ in self._parts], [kind for _, kind in self._parts])
        self._mix_file = None if mix_file is None else Path(mix_file)
        self._first_session = self._read_mix()
        self._handover = Handover(self._seconds_left, time.perf_counter, self._bars())
        self._early: list[Command] = []  # said before there is a transport
        commands = list(commands)
        self._check(commands)
        for command in commands:
            self._carry_out(command)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def model(self) -> dict[str, str | None]:
        """Which model writes and how it is computed, by the names of :func:`midigen.compose`'s arguments."""
        return {"checkpoint": self._checkpoint, "engine": self._engine, "mode": self._mode}

    def close(self) -> None:
        """Let go of everything; a file that is not finished is not written."""
        self._closing.set()
        self._handover.close()
        if self._player is not None:  # it must not play with what is closed
            self._player.join()
        self._resources.close()

    def say(self, line: str) -> None:
        """Carry out a command from the next bar on, or at the bar that it names. From any thread. Raises
        :class:`BadRequest` for one that is not understood, or that these parts cannot follow."""
        command = read_command(line)
        if command is not None:
            self._check([command])
            self._carry_out(command)

    def stop(self) -> None:
        """End with the present bar, and ring out."""
        self._carry_out(Command("stop"))

    def __iter__(self) -> Iterator[Bar]:
        """Play; see :class:`Live`. Can be done once."""
        if self._source is not None:
            raise BadRequest("this music was played already: make another Live")
        self._open()
        if not self.output.realtime:
            yield from self._play()
            return
        bars: queue.SimpleQueue[Bar | BaseException | None] = queue.SimpleQueue()

        def run() -> None:
            end: BaseException | None = None
            try:
                for bar in self._play():
                    bars.put(bar)
            except BaseException as error:
                end = error
            bars.put(end)

        self._player = Thread(target=run, name="player", daemon=True)
        self._player.start()
        while isinstance(item := bars.get(), Bar):
            yield item
        if item is not None:
            raise item

    @property
    def score(self) -> Score:
        """The piece without its notes: tempo, metre, key, parts and their sounds."""
        assert self._source is not None, "play first"
        return self._source.score

    @property
    def bars(self) -> int:
        """How many bars there are in all."""
        return self._handover.bars

    @property
    def session(self) -> Session:
        """The mix as it is set by now."""
        return self._first_session if self._band is None else self._band.session

    def heard(self) -> Score:
        """What was played, as a whole."""
        bars = self._handover.played
        if self._song is not None:
            return self._song
        assert isinstance(self._source, LivePiece)
        return self._source.whole(bars)

    def report(self) -> Report:
        """How it went."""
        assert self._transport is not None and self._sink is not None and self._band is not None, "play first"
        bars, rate = self._handover.played, self._band.rate
        music = self._transport.music_frames / rate
        composed = float(self.score.seconds(bars[-1].end_ticks)) if bars else 0.0
        return Report(
            bars=len(bars),
            seconds=music,
            first_bar_seconds=(self._first_sound or time.perf_counter()) - self._began,
            waits=self._transport.waits,
            waited_seconds=self._transport.waited_frames / rate,
            gaps=self._sink.gaps,
            factor=composed / self._busy_seconds if self._song is None and self._busy_seconds else None,
            news=tuple(self._news),
        )

    # What is known before anything is opened

    def _named_parts(self) -> list[tuple[str, str]]:
        if self._song is not None:
            return [(part.name, part.kind) for part in self._song.parts]
        return list(zip(self.prompt.part_names, self.prompt.kinds, strict=True))

    def _bars(self) -> int:
        if self._song is not None:
            self._source_of_song = SongSource(self._song)
            return self._source_of_song.bars
        from midigen.composition.settling import Request

        self._request = Request.read(self.prompt)
        return self._request.bars

    def _read_mix(self) -> Session:
        tempo = round(self._song.tempos[0].qpm, 3) if self._song is not None else self.prompt.tempo_qpm
        if self._mix_file is None or not self._mix_file.is_file():
            return self.sound.session(self._parts, tempo)
        from midigen.session.files import read_session

        session = read_session(self._mix_file).seated(self._parts)
        sound = self.sound
        return session.changed(
            self._parts, gain_db=sound.gain_db, pan=sound.pan, mute=sound.mute, solo=sound.solo,
            target_lufs=sound.target_lufs,
        )  # fmt: skip

    def _check(self, commands: list[Command]) -> None:
        if self._song is not None and any(command.verb == "chords" for command in commands):
            raise BadRequest("chords change only while midigen composes: a song that is there keeps its own")
        check_commands(commands, self.session, self._parts)

    # The machinery

    def _seconds_left(self) -> float:
        if not self.output.realtime:
            return float("inf")
        return 0.0 if self._transport is None else self._transport.seconds_left

    def _open(self) -> None:
        sound = self.sound
        port = None if self.output.midi_port is None else open_port(self.output.midi_port)
        self._sink = self._opened_sink()
        rack = None if port is not None else self._rack or open_rack(sound, self._parts, self._song)
        self._source = self._opened_source()
        if rack is not None:
            rack.ask(self._source.score.parts)
        self._since = time.perf_counter()
        Thread(target=self._compose, name="composer", daemon=True).start()
        try:
            session = replace(self._first_session, tempo_qpm=round(self._source.score.tempos[0].qpm, 3))
            if rack is not None:
                self._band = SynthBand(self._source.score, rack, session, BLOCK_FRAMES)
            else:
                assert port is not None
                self._band = PortBand(self._source.score, session, port)
        except BaseException:
            self._handover.close()
            raise
        self._resources.callback(self._band.close)
        transport = Transport(
            self._source.score,
            self._handover,
            self._band,
            patient=not self.output.realtime,
            block_frames=BLOCK_FRAMES,
            mix_file=self._mix_file,
            on_news=self._tell,
            on_wait=self._on_wait,
        )
        transport.add(self._early)
        self._transport = transport

    def _opened_sink(self) -> Sink:
        output, rate = self.output, self.sound.rate
        if output.midi_port is not None:
            return NullSink()
        return (
            DeviceSink(rate, output.device, output.buffer_seconds) if output.to is None else FileSink(output.to, rate)
        )

    def _opened_source(self) -> Source:
        if self._song is not None:
            return self._source_of_song
        from midigen.composition import open_player

        player = open_player(self._checkpoint, self._engine, self._mode, self._threads)
        return LivePiece(self._request, player)

    def _carry_out(self, command: Command) -> None:
        if command.verb == "chords":
            bar = None if command.bar is None else command.bar - 1
            self._handover.wish(command.chart(), str(replace(command, bar=None)), bar)
        elif command.verb != "help":
            if self._transport is None:
                self._early.append(command)
            else:
                self._transport.add([command])

    def _compose(self) -> None:
        """The composing thread."""
        assert self._source is not None
        try:
            change = self._handover.first_change()
            if change is not None:
                self._source.begin_with(change)
            self._source.write(self._bar_written)
        except Closed:
            pass
        except BaseException as error:  # raised where the bars are played
            self._handover.fail(error)

    def _bar_written(self, bar: Bar) -> Change | None:
        self._busy_seconds += time.perf_counter() - self._since
        change = self._handover.put(bar)
        self._since = time.perf_counter()
        return change

    def _play(self) -> Iterator[Bar]:
        """The playing thread."""
        assert self._sink is not None and self._transport is not None
        with self._sink:
            try:
                for item in self._transport.blocks():
                    if isinstance(item, Bar):
                        self._tell_of_chords(item.number)
                        yield item
                        continue
                    if self._first_sound is None and item.shape[1]:
                        self._first_sound = time.perf_counter()
                    if self._closing.is_set():
                        raise Closed
                    self._sink.write(np.clip(item, -1.0, 1.0) if self.output.realtime else item)
            finally:
                self._handover.close()

    def _tell_of_chords(self, bar: int) -> None:
        for first, text in self._handover.effective:
            if first == bar:
                self._tell(Played(bar, text))

    def _tell(self, news: Played) -> None:
        self._news.append(news)
        self._on_news(news)
