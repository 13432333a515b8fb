"""Playing while composing, into files and against a simulated clock: the notes, the bars at which things change, and no
gap as long as the composer is fast enough."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Ended, make_band, needs_fluidsynth
from synthetic_soundfont import SOUNDS, write_soundfont

import midigen as package
from midigen.audio import read_audio
from midigen.composition import open_player, write_piece
from midigen.composition.live import Bar, Change
from midigen.composition.settling import Request
from midigen.errors import BadFile, BadRequest, MidigenError, MissingTool, OutputError
from midigen.limiter import ATTACK_SECONDS
from midigen.live.commands import VERBS, Command, check_commands, read_command, read_commands
from midigen.live.handover import Closed, Handover
from midigen.live.opening import open_live
from midigen.live.playing import Live, Output
from midigen.live.ports import PortBand
from midigen.live.ring import Ring
from midigen.live.sinks import DeviceSink, FileSink
from midigen.live.sources import SongSource, bars_of
from midigen.live.transport import Played, Transport
from midigen.midi import read_midi, write_midi
from midigen.mixing import mix
from midigen.prompt import Prompt
from midigen.renderers import render
from midigen.score import Metre, Note, Part, Score, Tempo
from midigen.session import Session
from midigen.session.files import read_session, write_session
from midigen.session.presets import preset
from midigen.sound import Sound

BARS = 6


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_soundfont(tmp_path_factory.mktemp("fonts") / "synthetic.sf2", SOUNDS))


@pytest.fixture
def settings(tiny_model: Path, font: str) -> dict[str, Any]:
    """A short piece of a tiny model and a tiny font."""
    return {
        "bars": BARS, "parts": "piano,bass,drums", "metre": "2/4", "tempo_qpm": 240, "seed": 5,
        "checkpoint": str(tiny_model), "soundfont": font, "preset": "dry",
    }  # fmt: skip


# Into a file


@needs_fluidsynth
def test_what_is_heard_is_what_compose_writes(tmp_path: Path, settings: dict[str, Any], tiny_model: Path) -> None:
    with open_live(to=tmp_path / "live.wav", **settings) as live:
        bars = list(live)
    prompt = Prompt(bars=BARS, parts=("piano", "bass", "drums"), metre="2/4", tempo_qpm=240, seed=5)
    whole, _ = write_piece(Request.read(prompt), open_player(tiny_model), mends=False)
    assert live.heard() == whole
    assert [bar.number for bar in bars] == list(range(BARS))
    for bar in bars:
        for part, full in zip(bar.parts, whole.parts, strict=True):
            expected = [n for n in full.notes if bar.start_ticks <= n.onset_ticks < bar.end_ticks]
            assert [(n.onset_ticks, n.pitch) for n in part.notes] == [(n.onset_ticks, n.pitch) for n in expected]
    report = live.report()
    assert report.bars == BARS and report.waits == 0 and report.gaps == 0
    assert report.seconds == pytest.approx(BARS * 0.5, abs=0.01)
    assert report.factor is not None and report.factor > 0
    assert read_audio(tmp_path / "live.wav").seconds > BARS * 0.5


@needs_fluidsynth
def test_the_sound_is_the_mix_of_its_stems(tmp_path: Path, font: str) -> None:
    """But for a slow ride of levels; with `dry` and levels that are right from the start, one gain for all."""
    score = replace(make_band(2, drums=True), title="")
    live = Live(song=score, sound=Sound(soundfont=font, preset="dry"), output=Output(to=tmp_path / "live.wav"))
    for _ in live:
        pass
    got = read_audio(tmp_path / "live.wav").samples
    fonts = Sound(soundfont=font).fonts([(part.name, part.kind) for part in score.parts])
    expected = mix(render(score, fonts), live.session).audio.samples
    frames = min(got.shape[1], expected.shape[1])
    got, expected = got[:, :frames], expected[:, :frames]
    # In time to the sample: the two go together best without any shift.
    match = {shift: float((np.roll(got[0], shift) * expected[0]).sum()) for shift in (-64, -1, 0, 1, 64)}
    assert max(match, key=lambda shift: match[shift]) == 0
    alike = match[0] / np.sqrt((got[0] ** 2).sum() * (expected[0] ** 2).sum())
    assert alike > 0.9


@needs_fluidsynth
def test_changes_happen_at_their_bars_and_again_in_the_same_way(tmp_path: Path, settings: dict[str, Any]) -> None:
    commands = ["2: gain bass -20", "4: chords Eb Bb", "5: mute piano"]
    files, scores = [], []
    for number in range(2):
        news: list[Played] = []
        to = tmp_path / f"{number}.wav"
        live = open_live(to=to, commands=commands, on_news=news.append, **settings)
        for _ in live:
            pass
        assert [(one.bar + 1, one.text, one.error) for one in news] == [
            (2, "gain bass -20", ""), (4, "chords Eb Bb", ""), (5, "mute piano", ""),
        ]  # fmt: skip
        files.append(to.read_bytes())
        scores.append(live.heard())
    assert files[0] == files[1] and scores[0] == scores[1]
    assert [text.text for text in scores[0].chords if text.tick >= 3 * 960] == ["Eb", "Bb", "Eb"]
    assert live.session.channels["piano"].mute and live.session.channels["bass"].gain_db == -20
    plain = open_live(to=tmp_path / "plain.wav", **settings)
    for _ in plain:
        pass
    before, after = (read_audio(tmp_path / f"{name}.wav").samples for name in ("plain", "0"))
    bar, ahead = 22_050, round((2 * ATTACK_SECONDS + 0.002) * 44_100)  # the least of so far, smoothed over as much
    # Not a sample earlier, but for what the limiter sees coming.
    assert np.array_equal(before[:, : bar - ahead], after[:, : bar - ahead])
    assert not np.array_equal(before[:, bar : 2 * bar], after[:, bar : 2 * bar])


@needs_fluidsynth
def test_what_is_said_in_a_bar_is_heard_in_the_next(tmp_path: Path, settings: dict[str, Any]) -> None:
    spoken = open_live(to=tmp_path / "spoken.wav", **settings)
    for bar in spoken:
        if bar.number == 2:
            spoken.say("chords F#")
            spoken.say("pan bass 1")
    written = open_live(to=tmp_path / "written.wav", commands=["4: chords F#", "4: pan bass 1"], **settings)
    for _ in written:
        pass
    assert spoken.heard() == written.heard()
    assert (tmp_path / "spoken.wav").read_bytes() == (tmp_path / "written.wav").read_bytes()


@needs_fluidsynth
def test_chords_change_in_the_last_bar_too(tmp_path: Path, settings: dict[str, Any]) -> None:
    live = open_live(to=tmp_path / "x.wav", **settings)
    for bar in live:
        if bar.number == BARS - 2:
            live.say("chords F#")
        if bar.number == BARS - 1:
            assert [text.text for text in bar.chords] == ["F#"]
            live.say("chords C")  # nothing is left for it
    assert live.report().bars == BARS
    assert [news.text for news in live.report().news] == ["chords F#"]


@needs_fluidsynth
def test_stop_ends_with_its_bar_and_rings_out(tmp_path: Path, settings: dict[str, Any]) -> None:
    live = open_live(to=tmp_path / "x.wav", **settings)
    for bar in live:
        if bar.number == 1:
            live.stop()
    assert live.report().bars == 2
    assert live.heard().bars == 2
    sound = read_audio(tmp_path / "x.wav")
    assert sound.seconds > 1.0
    assert np.abs(sound.samples[:, -100:]).max() < 1e-3


@needs_fluidsynth
def test_a_mix_that_is_edited_is_heard_at_the_next_bar(tmp_path: Path, settings: dict[str, Any]) -> None:
    parts = [("piano", "piano"), ("bass", "bass"), ("drums", "drums")]
    file = write_session(preset("dry").seated(parts), tmp_path / "mix.toml")
    news: list[Played] = []
    live = open_live(to=tmp_path / "x.wav", mix_file=file, on_news=news.append, **settings)
    for bar in live:
        if bar.number == 1:
            session = read_session(file)
            louder = {**session.channels, "bass": replace(session.channels["bass"], gain_db=-12.5)}
            write_session(replace(session, channels=louder), file)
        if bar.number == 3:
            file.write_text("nonsense = ")
    assert [(one.bar, one.text) for one in news] == [(2, str(file)), (4, str(file))]
    assert not news[0].error and "is not TOML" in news[1].error
    assert live.session.channels["bass"].gain_db == -12.5


@needs_fluidsynth
def test_a_folder_of_the_song_is_kept(tmp_path: Path, settings: dict[str, Any]) -> None:
    package.play(to=tmp_path / "x.wav", keep=tmp_path / "kept", commands=["3: gain bass -6"], **settings)
    folder = tmp_path / "kept"
    names = {"song.mid", "mix.wav", "mix.toml", "mix.png", "song.png", "midigen.json", "stems"}
    assert {path.name for path in folder.iterdir()} == names
    assert read_session(folder).channels["bass"].gain_db == -6
    # and played again, as a song that is there
    report = package.play(folder, to=tmp_path / "again.wav", soundfont=settings["soundfont"])
    assert report.bars == BARS and report.factor is None


@needs_fluidsynth
@pytest.mark.parametrize(
    ("metres", "tempos"),
    [
        ((Metre(0, 4, 4),), (Tempo(0, 120.0),)),
        ((Metre(0, 2, 4), Metre(1920, 7, 8)), (Tempo(0, 300.0), Tempo(960, 97.3), Tempo(4000, 180.0))),
        ((Metre(0, 3, 4), Metre(2000, 4, 4)), (Tempo(0, 61.7),)),
    ],
    ids=["plain", "changing", "cut short"],
)
def test_a_song_in_any_metre_and_tempo_is_played_to_its_end(
    tmp_path: Path, font: str, metres: tuple[Metre, ...], tempos: tuple[Tempo, ...]
) -> None:
    score = replace(make_band(3), metres=metres, tempos=tempos, bars=None)
    live = Live(song=score, sound=Sound(soundfont=font, preset="dry"), output=Output(to=tmp_path / "x.wav"))
    bars = list(live)
    for number, part in enumerate(score.parts):
        assert tuple(note for bar in bars for note in bar.parts[number].notes) == part.notes
        assert tuple(c for bar in bars for c in bar.parts[number].controls) == part.controls
    end = float(score.seconds(bars[-1].end_ticks))
    assert live.report().seconds == pytest.approx(end, abs=0.01)
    sound = read_audio(tmp_path / "x.wav").samples
    onsets = [float(score.seconds(note.onset_ticks)) for note in score.parts[2].notes]
    last = round(onsets[-1] * 44_100)
    assert np.abs(sound[:, last + 200 : last + 4000]).max() > 0.01


@needs_fluidsynth
def test_a_file_of_type_0_is_played(tmp_path: Path, font: str) -> None:
    import mido

    write_midi(make_band(2), tmp_path / "band.mid")
    file = mido.MidiFile(tmp_path / "band.mid")
    flat = mido.MidiFile(type=0, ticks_per_beat=file.ticks_per_beat)
    flat.tracks.append(mido.merge_tracks(file.tracks))
    flat.save(tmp_path / "flat.mid")
    report = package.play(tmp_path / "flat.mid", to=tmp_path / "x.wav", soundfont=font)
    assert report.bars == len(bars_of(read_midi(tmp_path / "flat.mid")))
    assert np.abs(read_audio(tmp_path / "x.wav").samples).max() > 0.05


# A simulated clock


class Silent:
    """A band of nobody: it only counts."""

    rate, latency_frames = 6_400, 0

    def __init__(self) -> None:
        self.session, self.begun, self.waited = preset("dry"), list[Bar](), 0

    def begin(self, bar: Bar) -> None:
        self.begun.append(bar)

    def set(self, session: Session) -> None:
        self.session = session

    def play(self, frames: int) -> np.ndarray:
        return np.zeros((2, frames), dtype=np.float32)

    def wait(self, frames: int) -> np.ndarray:
        self.waited += frames
        return np.zeros((2, frames), dtype=np.float32)

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


class Stage:
    """Composer and player against a clock that moves with the sound: the composer takes ``seconds_a_bar``, and
    ``rewriting`` more where it has to read a window again. Both run as they do in the program, in two threads; a turn
    passes from one to the other, so that nothing hangs on how fast the machine is."""

    def __init__(
        self, bars: int, seconds_a_bar: Callable[[int], float], rewriting: float = 0.0, bar_seconds: float = 1.0
    ) -> None:
        self.now = 0.0
        self.band = Silent()
        qpm = 240.0 / bar_seconds
        self.score = Score((Part("piano", "piano"),), tempos=(Tempo(0, qpm),), bars=bars)
        self.handover = Handover(lambda: self.transport.seconds_left, lambda: self.now, bars)
        self.waits: list[int] = []
        self.transport = Transport(
            self.score, self.handover, self.band, patient=False, block_frames=64, on_wait=self.waits.append
        )
        self._seconds, self._rewriting, self._bars = seconds_a_bar, rewriting, bars
        self.versions: dict[int, int] = {}
        self._turn = threading.Condition()
        self._asleep_until: float | None = None
        self._thread = threading.Thread(target=self._compose, daemon=True)

    def _sleep(self, seconds: float) -> None:
        with self._turn:
            self._asleep_until = self.now + seconds
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._asleep_until is None, timeout=20)

    def _compose(self) -> None:
        number, version, pause = 0, 0, 0.0
        try:
            while number < self._bars:
                self._sleep(self._seconds(number) + pause)
                bar = Bar(number, number * 1920, (number + 1) * 1920, self.score.parts, cells=(np.array([version]),))
                change = self.handover.put(bar)
                number, pause = number + 1, 0.0
                if change is not None:
                    number, version, pause = change.first, version + 1, self._rewriting
        except Closed:
            pass

    def _let_the_composer_work(self) -> None:
        """Wake it where its time has come, and wait until it sleeps again or has nothing to do."""
        with self._turn:
            if self._asleep_until is not None and self._asleep_until <= self.now + 1e-9:
                self._asleep_until = None
                self._turn.notify_all()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with self._turn:
                if self._asleep_until is not None:
                    return
            if not self._thread.is_alive() or self.handover.composer_rests:
                return
            time.sleep(0.0002)
        raise AssertionError("the composer is stuck")

    def play(self, at_bar: Callable[[int], None] = lambda bar: None) -> None:
        self._thread.start()
        for item in self.transport.blocks():
            if isinstance(item, Bar):
                self.versions[item.number] = int(item.cells[0][0])
                at_bar(item.number)
                continue
            self._let_the_composer_work()
            self.now += item.shape[1] / self.band.rate
        self.handover.close()
        self._thread.join(20)


def test_no_gap_while_composing_keeps_a_factor_of_two() -> None:
    dice = np.random.default_rng(0)
    costs = dice.uniform(0.2, 0.8, 60)  # of a bar that lasts a second
    costs[[20, 40]] = 4.0  # and what lies ready bridges that
    stage = Stage(60, lambda number: float(costs[number]))
    stage.play()
    assert [bar.number for bar in stage.band.begun] == list(range(60))
    assert stage.waits == [] and stage.transport.waits == 0
    assert stage.now == pytest.approx(costs[0] + 60, abs=0.5)  # the first bar at once, and none late


def test_a_composer_that_is_too_slow_is_waited_for_and_it_is_said() -> None:
    stage = Stage(12, lambda number: 1.5)
    stage.play()
    assert [bar.number for bar in stage.band.begun] == list(range(12))
    assert len(stage.waits) > 2
    # Two bars are ready before the music goes on, so it does not stutter from bar to bar.
    assert np.diff(stage.waits).min() >= 2
    assert stage.now == pytest.approx(12 * 1.5 + 1, abs=1.1)


def test_chords_change_at_the_next_bar_where_there_is_time() -> None:
    stage = Stage(20, lambda number: 0.2, rewriting=0.2)
    stage.play(lambda bar: stage.handover.wish(None, "chords") if bar == 9 else None)
    assert stage.versions == {number: int(number >= 10) for number in range(20)}
    assert stage.waits == []
    assert stage.handover.effective == [(10, "chords")]


def test_chords_that_cannot_be_had_in_time_change_later_and_leave_no_gap() -> None:
    stage = Stage(20, lambda number: 0.2, rewriting=1.7)  # nobody knew that before
    stage.play(lambda bar: stage.handover.wish(None, "chords") if bar == 9 else None)
    assert stage.waits == []
    ((first, _),) = stage.handover.effective
    assert 11 <= first <= 15
    versions = [stage.versions[number] for number in range(20)]
    assert versions[:first] == [0] * first
    assert all(version > 0 for version in versions[first:])


def test_changes_at_numbered_bars_wait_for_them() -> None:
    stage = Stage(20, lambda number: 0.2, rewriting=0.1)
    stage.handover.wish(None, "first", 4)
    stage.handover.wish(None, "second", 12)
    stage.play()
    assert stage.handover.effective == [(4, "first"), (12, "second")]
    assert [stage.versions[number] for number in (3, 4, 11, 12)] == [0, 1, 1, 2]


def test_an_error_of_the_composer_is_raised_after_what_there_was() -> None:
    handover = Handover(lambda: float("inf"), time.monotonic, 8)
    band = Silent()
    score = Score((Part("piano", "piano"),), bars=8)
    transport = Transport(score, handover, band, patient=True)
    handover.put(Bar(0, 0, 1920, score.parts))
    handover.fail(BadRequest("too many tokens"))
    with pytest.raises(BadRequest, match="too many tokens"):
        list(transport.blocks())
    assert len(band.begun) == 1


# Ring, devices, ports


def test_a_ring_hands_every_frame_on_once_and_counts_what_it_lacks() -> None:
    ring = Ring(1000)
    dice = np.random.default_rng(0)
    sound = dice.normal(size=(2, 20_000)).astype(np.float32)
    heard: list[np.ndarray] = []
    done = threading.Event()

    def read() -> None:
        while not (done.is_set() and not ring.held):
            out = np.empty((min(ring.held, 37), 2), dtype=np.float32)
            ring.read_into(out)
            heard.append(out)

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, 20_000, 160):
        while not ring.write(sound[:, start : start + 160]):
            time.sleep(0)
    done.set()
    reader.join(20)
    assert np.array_equal(np.concatenate(heard).T, sound)
    assert ring.gaps == 0
    out = np.ones((8, 2), dtype=np.float32)
    ring.write(sound[:, :5])
    ring.read_into(out)
    assert np.array_equal(out[:5].T, sound[:, :5]) and not out[5:].any() and ring.gaps == 1
    ring.end()
    ring.read_into(out)
    assert ring.gaps == 1


class FakeStream:
    """PortAudio's stream as far as it is used: a thread that calls back."""

    def __init__(self, *, samplerate: int, callback: Any, **settings: Any) -> None:
        self.rate, self.callback, self.settings = samplerate, callback, settings
        self.heard: list[np.ndarray] = []
        self.active = False

    def start(self) -> None:
        self.active = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while self.active:
            out = np.empty((441, 2), dtype=np.float32)
            self.callback(out, 441, None, None)
            self.heard.append(out)
            time.sleep(0.002)

    def stop(self) -> None:
        self.active = False
        self.thread.join(5)

    def close(self) -> None:
        pass


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    fake = types.ModuleType("sounddevice")
    fake.streams = []  # type: ignore[attr-defined]

    class PortAudioError(Exception):
        pass

    def stream(**settings: Any) -> FakeStream:
        if settings["device"] == 2:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        fake.streams.append(FakeStream(**settings))  # type: ignore[attr-defined]
        return fake.streams[-1]  # type: ignore[attr-defined,no-any-return]

    names = [("Microphone", 0), ("Speakers", 2), ("Old card", 2)]
    fake.query_devices = lambda: [{"name": n, "max_output_channels": c} for n, c in names]  # type: ignore[attr-defined]
    fake.PortAudioError, fake.OutputStream = PortAudioError, stream  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    yield fake


def test_a_device_plays_all_of_it_in_order(sounddevice: Any) -> None:
    sound = np.random.default_rng(0).normal(size=(2, 40 * 512)).astype(np.float32)
    with DeviceSink(44_100, "speak", 0.1) as sink:
        for start in range(0, sound.shape[1], 512):
            sink.write(sound[:, start : start + 512])
    (stream,) = sounddevice.streams
    assert stream.settings["device"] == 1 and stream.settings["latency"] == "high"
    heard = np.concatenate(stream.heard).T
    assert np.array_equal(heard[:, : sound.shape[1]], sound)
    assert sink.gaps == 0


@needs_fluidsynth
def test_music_is_heard_through_a_device(sounddevice: Any, settings: dict[str, Any]) -> None:
    live = open_live(buffer_seconds=0.2, **settings)
    bars = [bar.number for bar in live]
    assert bars == list(range(BARS))
    assert np.abs(np.concatenate(sounddevice.streams[0].heard)).max() > 0.05


def test_a_device_that_goes_away_is_told_of(sounddevice: Any) -> None:
    block = np.zeros((2, 512), dtype=np.float32)
    with pytest.raises(OutputError, match="the audio device has stopped"), DeviceSink(44_100, None, 0.1) as sink:
        for number in range(200):
            if number == 20:
                sounddevice.streams[0].active = False
            sink.write(block)


@needs_fluidsynth
def test_who_turns_away_ends_the_music(sounddevice: Any, settings: dict[str, Any]) -> None:
    with open_live(buffer_seconds=0.2, **settings) as live:
        for bar in live:
            if bar.number == 1:
                break
    names = {thread.name for thread in threading.enumerate()}
    assert "player" not in names
    with pytest.raises(BadRequest, match="played already"):
        list(live)


def test_devices_that_cannot_be_had_get_one_line(sounddevice: Any) -> None:
    with pytest.raises(BadRequest, match=r"audio device 'violin' is not there: there are Speakers, Old card; or play"):
        DeviceSink(44_100, "violin")
    with pytest.raises(OutputError, match=r"no audio device plays at 44100 .*Invalid sample rate.*--to song.wav"):
        DeviceSink(44_100, "old")
    with pytest.raises(BadRequest, match=r"buffer 9 is outside 0.05 to 5 seconds"):
        DeviceSink(44_100, None, 9.0)


def test_missing_libraries_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingTool, match=r"pip install sounddevice .*--to song.wav"):
        DeviceSink(44_100)
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(MissingTool, match=r"pip install python-rtmidi"):
        list(open_live(bars=1, seed=1, midi_port="synth"))


class FakePort:
    def __init__(self, ports: list[str]) -> None:
        self.ports, self.opened, self.closed = ports, -1, False
        self.clock = FakeClock()
        self.sent: list[tuple[float, list[int]]] = []

    def get_ports(self) -> list[str]:
        return self.ports

    def open_port(self, number: int) -> None:
        self.opened = number

    def send_message(self, message: list[int]) -> None:
        assert all(0 <= byte <= 127 for byte in message[1:])
        self.sent.append((self.clock.time - 100, message))

    def close_port(self) -> None:
        self.closed = True


class FakeClock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def sleep_until(self, seconds: float) -> None:
        self.time = max(self.time, seconds)


def test_a_port_gets_every_note_at_its_time(tiny_model: Path) -> None:
    score = make_band(2, drums=True)
    port = FakePort(["synth"])
    clock = port.clock
    session = preset("dry").seated([(part.name, part.kind) for part in score.parts])
    band = PortBand(score, session, port, clock)  # type: ignore[arg-type]  # a clock that does not sleep
    source = SongSource(score)
    handover = Handover(lambda: float("inf"), clock.now, source.bars)
    transport = Transport(score, handover, band, patient=True)

    def write() -> None:
        with contextlib.suppress(Closed):
            source.write(handover.put)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    transport.add([Command("gain", "bass -12", 2), Command("mute", "piano", 2)])
    for _ in transport.blocks():
        pass
    handover.close()
    band.close()
    ons = [(at, message) for at, message in port.sent if message[0] & 0xF0 == 0x90]
    expected = sorted(
        (float(score.seconds(n.onset_ticks)), n.pitch, n.velocity) for part in score.parts for n in part.notes
    )
    assert len(ons) == len(expected)
    for (at, message), (onset, pitch, velocity) in zip(
        sorted(ons, key=lambda one: (round(one[0], 2), one[1][1:])),
        sorted(expected, key=lambda one: (round(one[0], 2), one[1:])), strict=True,
    ):  # fmt: skip
        assert abs(at - onset) <= 64 / 48_000
        assert message[1:] == [pitch, velocity]
    offs = [message for _, message in port.sent if message[0] & 0xF0 == 0x80]
    assert len(offs) <= len(ons)
    sounding: dict[tuple[int, int], int] = {}
    for _, message in port.sent:
        if message[0] & 0xF0 in (0x80, 0x90):
            key = message[0] & 0xF, message[1]
            sounding[key] = int(message[0] & 0xF0 == 0x90)
    assert not any(sounding.values())
    drums = {message[0] & 0xF for _, message in ons if message[1] in (36, 38, 42)}
    assert 9 in drums
    volumes = [(round(at, 1), message) for at, message in port.sent if message[0] & 0xF0 == 0xB0 and message[1] == 7]
    assert (2.0, [0xB0, 7, 0]) in volumes and (2.0, [0xB2, 7, 50]) in volumes
    assert [0xB0, 123, 0] in [message for _, message in port.sent] and port.closed


def test_ports_that_are_not_there_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("rtmidi")
    fake.MidiOut = lambda: FakePort(["Midi Through", "FLUID Synth"])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rtmidi", fake)
    with pytest.raises(BadRequest, match=r"MIDI port 'moog' is not there: there are Midi Through, FLUID Synth"):
        list(open_live(bars=1, seed=1, midi_port="moog"))

    def none() -> FakePort:
        raise OSError("error creating ALSA sequencer client object")

    fake.MidiOut = none  # type: ignore[attr-defined]
    with pytest.raises(OutputError, match=r"no MIDI ports .*--to"):
        list(open_live(bars=1, seed=1, midi_port="moog"))


# Words


def test_commands_are_read() -> None:
    assert read_command("  # a remark") is None and read_command("") is None
    assert read_command("gain bass -3") == Command("gain", "bass -3")
    assert read_command("12: CHORDS Am | F  C | G") == Command("chords", "Am | F C | G", 12)
    assert str(Command("mute", "piano", 3)) == "3: mute piano"
    assert read_commands(["", "stop"]) == [Command("stop")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("gian bass -3", r"unknown command 'gian' \(did you mean gain\?\)"),
        ("0: stop", "bars count from 1"),
        ("gain bass", "write gain PART DB"),
        ("gain", "lacks its words"),
        ("chords H7x", "H7x"),
        ("stop now", "takes nothing after it"),
        ("gain flute -3", r"no part 'flute'"),
        ("gain bass -300", "-300"),
        ("pan bass 2", "pan"),
        ("preset disco", "unknown preset 'disco'"),
        ("mute piano,bass", "nothing to mix"),
        ("loudness shout", "shout"),
    ],
)
def test_commands_that_cannot_be_followed_say_why(line: str, says: str) -> None:
    parts = [("piano", "piano"), ("bass", "bass")]
    with pytest.raises(BadRequest, match=says):
        check_commands(read_commands([line]), preset("pop").seated(parts), parts)


def test_every_turn_of_the_mix_can_be_taken_back() -> None:
    parts = [("piano", "piano"), ("bass", "bass")]
    session = preset("dry").seated(parts)
    lines = ["mute bass", "solo piano", "gain piano -3", "unsolo piano", "unmute bass", "gain piano 0"]
    now = session
    for command in read_commands(lines):
        before, now = now, command.turned(now, parts)
        assert now != before
    assert now == session
    assert {line.split()[0] for line in lines} <= set(VERBS)
    louder = Command("loudness", "-18").turned(session, parts)
    assert louder.master.lufs == -18
    assert Command("preset", "rock").turned(session, parts).buses


def test_a_file_of_commands_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "commands.txt"
    file.write_text("2: gain bass -3\n# so\nmuet piano\n")
    with pytest.raises(BadRequest, match=r"commands.txt, line 3: unknown command 'muet'"):
        read_commands(file)
    with pytest.raises(BadFile, match="no such file"):
        read_commands(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"to": "a.wav", "midi_port": "x"}, "--to and --midi-port: give one of them"),
        ({"to": "a.wav", "takes": 4}, "takes is nothing that play takes"),
        ({"to": "a.wav", "commands": ["gain flute 3"]}, "no part 'flute'"),
        ({"to": "a.xyz"}, "a.xyz"),
        ({"to": "a.wav", "humanise": 0.5}, "humanise needs the whole piece"),
        ({"to": "a.wav", "bars": 900}, "900"),
        ({"to": "a.wav", "mute": "piano,guitar,bass"}, "nothing to mix"),
    ],
)
def test_what_cannot_be_had_gets_one_line(
    settings: dict[str, Any], says: str, tiny_model: Path, font: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MidigenError, match=says):
        list(open_live(**{"checkpoint": str(tiny_model), "soundfont": font, "seed": 1, **settings}))
    assert not list(tmp_path.iterdir())


# The command line


@needs_fluidsynth
def test_the_command_line_plays_and_keeps(
    midigen: Callable[..., Ended], tiny_model: Path, font: str, tmp_path: Path
) -> None:
    commands = tmp_path / "commands.txt"
    commands.write_text("2: gain bass -3\n3: chords Am F\n")
    words = ["--model", tiny_model, "--soundfont", font, "--seed", 1, "--bars", 4, "--metre", "2/4", "--tempo", 240]
    done = midigen("play", *words, "--to", "a.flac", "--commands", commands, "-o", "kept")
    assert done.code == 0 and done.err == ""
    assert "playing 4 bars" in done.out and "seed 1" in done.out
    assert "bar 2: gain bass -3" in done.out and "bar 3: chords Am F" in done.out
    assert "a.flac: 4 bars, 0:02" in done.out
    assert Path("kept/midigen.json").is_file() and Path("a.flac").is_file()
    assert midigen("play", *words, "--to", "b.wav", "-o", "kept").complains("kept", "--force")
    assert midigen("play", "kept", "--bars", 4).complains("bars is for composing")
    assert midigen("play", "nothing.mid").complains("nothing.mid", "no such file")
    assert midigen("play", "kept", "--to", "c.wav", "--soundfont", font).code == 0


def test_changes_are_refused_for_a_song_that_is_there(tmp_path: Path) -> None:
    write_midi(make_band(1), tmp_path / "band.mid")
    with pytest.raises(BadRequest, match="chords change only while midigen composes"):
        open_live(tmp_path / "band.mid", to=tmp_path / "x.wav", commands=["chords C"])
    write_midi(Score((Part("piano", "piano"),)), tmp_path / "empty.mid")
    with pytest.raises(BadFile, match="holds no notes"):
        open_live(tmp_path / "empty.mid", to=tmp_path / "x.wav")
    with pytest.raises(BadFile, match=r"holds no song\.mid"):
        open_live(tmp_path, to=tmp_path / "x.wav")


def test_a_file_sink_leaves_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(KeyError), FileSink(tmp_path / "x.wav", 44_100) as sink:
        sink.write(np.zeros((2, 512), dtype=np.float32))
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_change_keeps_what_it_is_told() -> None:
    note = Note(0, 60, 480, 90)
    bar = Bar(0, 0, 1920, (Part("piano", "piano", notes=(note,)),))
    assert Change(1, None, (bar,)).heard[0].parts[0].notes == (note,)
