"""Recordings brought back to notes: what was played is what is written, in its bars."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, noise, plucked

from midigen.__main__ import main
from midigen.audio import Audio, write_wav
from midigen.corpus import prepare
from midigen.errors import BadRequest, MissingTool
from midigen.midi import read_midi
from midigen.opened import open_song
from midigen.profiles.onsets import Curves
from midigen.transcribing import Hearing, transcribe
from midigen.transcription import Heard, beats, listen
from midigen.transcription.activations import FRAME_SECONDS, STEP, activations_of
from midigen.transcription.beats import BarGrid, find_bars
from midigen.transcription.notes import ear_for
from midigen.transcription.writing import to_score

needs_librosa = pytest.mark.skipif(
    importlib.util.find_spec("librosa") is None, reason="librosa is not installed (the extra audio)"
)
# librosa compiles itself and what it compiles with warns
quiet = pytest.mark.filterwarnings("ignore")
BEAT = 0.5
BASS_LINE = (40, 40, 43, 45, 36, 36, 38, 40)
CHORDS = ((60, 64, 67), (57, 60, 64), (55, 59, 62), (60, 65, 69))


def hz(pitch: float) -> float:
    return float(440 * 2 ** ((pitch - 69) / 12))


def bass_line(seconds: float) -> tuple[np.ndarray, list[tuple[float, int]]]:
    """A bass in eighths at 120 a minute from half a second on."""
    notes = [(0.5 + n * BEAT / 2, BASS_LINE[n // 2 % 8]) for n in range(int((seconds - 1) / (BEAT / 2)))]
    return plucked([(at, hz(pitch)) for at, pitch in notes], seconds), notes


def chords(seconds: float) -> tuple[np.ndarray, list[tuple[float, int]]]:
    """A piano that strikes a chord on every beat, a new one every bar."""
    beats = [(0.5 + n * BEAT, CHORDS[n // 4 % 4]) for n in range(int((seconds - 1) / BEAT))]
    notes = [(at, pitch) for at, chord in beats for pitch in chord]
    return 0.4 * plucked([(at, hz(pitch)) for at, pitch in notes], seconds), notes


def as_audio(sound: np.ndarray) -> Audio:
    return Audio(sound[None].astype(np.float32), RATE)


def f_measure(truth: list[tuple[float, int]], notes: np.ndarray) -> float:
    left = [(on, int(pitch)) for on, pitch in notes[:, [0, 2]].tolist()]
    hits = 0
    for at, pitch in truth:
        near = [one for one in left if one[1] == pitch and abs(one[0] - at) <= 0.05]
        if near:
            left.remove(near[0])
            hits += 1
    return 2 * hits / (len(truth) + len(notes))


@pytest.mark.parametrize(
    ("kind", "made", "least"), [("bass", bass_line, 0.95), ("guitar", chords, 0.95), ("piano", chords, 0.8)]
)
def test_what_was_played_is_heard(kind: str, made, least: float) -> None:  # type: ignore[no-untyped-def]
    sound, truth = made(7)
    heard = listen(as_audio(sound), kind)
    assert f_measure(truth, heard.notes) >= least
    assert (heard.notes[:, 1] > heard.notes[:, 0]).all()
    assert ((heard.notes[:, 3] >= 1) & (heard.notes[:, 3] <= 127)).all()


def test_loud_notes_are_louder() -> None:
    notes = [(0.5, 60), (1.5, 64), (2.5, 67), (3.5, 72)]
    parts = [plucked([(at, hz(pitch))], 5) * loud for (at, pitch), loud in zip(notes, (1, 0.25, 1, 0.25), strict=True)]
    velocities = listen(as_audio(np.sum(parts, axis=0)), "piano").notes[:, 3]
    assert len(velocities) == 4
    assert min(velocities[0], velocities[2]) > max(velocities[1], velocities[3]) + 15


@pytest.mark.parametrize("seconds", [0.001, 0.3, 3.0])
def test_silence_has_no_notes(seconds: float) -> None:
    assert len(listen(as_audio(np.zeros(round(seconds * RATE))), "guitar").notes) == 0


def test_the_grid_of_the_network_has_no_seams() -> None:
    seconds = STEP * FRAME_SECONDS * 2.5
    sound = as_audio(plucked([(0.2, 220.0)], seconds))
    heard = activations_of(sound)
    assert heard.onsets.shape == heard.notes.shape == (sound.frames // 256 + 1, 88)
    onset = heard.onsets[:, 57 - 21]  # A3
    assert onset.argmax() * FRAME_SECONDS == pytest.approx(0.2, abs=0.03)


def test_an_instrument_that_cannot_be_heard_is_refused() -> None:
    with pytest.raises(BadRequest, match="instrument 'drums': notes are heard for piano, guitar, bass"):
        ear_for("drums")
    with pytest.raises(BadRequest, match="choose piano, guitar, bass"):
        Hearing(instrument="kazoo")
    with pytest.raises(BadRequest, match=r"grid '1/7': choose 1/4"):
        Hearing(quantise="1/7", tempo_qpm=120)


def played(qpm: float, bars: int = 8, offset: float = 0.3) -> tuple[Curves, np.ndarray]:
    """Bars of 4/4, low notes on the first beat, as notes and as the flux of a sound that has them."""
    rows = []
    for beat in range(4 * bars):
        for eighth in range(2):
            at = offset + (beat + eighth / 2) * 60 / qpm
            first = beat % 4 == 0 and eighth == 0
            rows.append((at, at + 0.2, 36 if first else 60 + beat // 4 % 3, 110 if first else 70))
    notes = np.array(rows, dtype=np.float64)
    flux = np.zeros(round((notes[-1, 1] + 1) * 100))
    flux[np.rint(notes[:, 0] * 100).astype(int)] = np.where(np.arange(len(notes)) % 2, 0.5, 1.0)
    return Curves(0.01, np.zeros(len(flux)), flux), notes


@needs_librosa
@quiet
@pytest.mark.parametrize("qpm", [84.0, 107.3, 132.0])
def test_tempo_and_bar_lines_are_found(qpm: float) -> None:
    grid = find_bars(*played(qpm))
    assert grid.steady and grid.metre == "4/4"
    assert grid.qpm == pytest.approx(qpm, rel=0.005)
    assert (grid.beats[0] - 0.3 + 0.02) % (240 / qpm) < 0.04


def test_a_tempo_that_is_known_needs_no_librosa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats, "find_spec", lambda name: None)
    curves, notes = played(96.0)
    grid = find_bars(curves, notes, qpm=96.0, metre="4/4")
    assert grid.beats[0] == pytest.approx(0.3, abs=0.02)
    with pytest.raises(MissingTool, match=r"librosa is not installed: .*pip install '\.\[audio\]', or say --tempo"):
        find_bars(curves, notes)
    with pytest.raises(MissingTool):
        Hearing()


def heard_at(rows: list[tuple[float, float, int, int]]) -> Heard:
    return Heard("piano", "piano", np.array(rows, dtype=np.float64), Curves(0.01, np.zeros(1), np.zeros(1)))


def test_notes_are_written_where_they_were_played_or_on_a_grid() -> None:
    grid = BarGrid(2.0 + 0.5 * np.arange(40), "4/4", True)
    part = heard_at([(4.01, 4.27, 60, 90), (4.49, 5.02, 64, 80), (4.5, 4.7, 64, 70)])
    score = to_score([part], grid)
    assert score.tempos[0].qpm == 120
    assert [(n.onset_ticks, n.duration_ticks) for n in score.parts[0].notes] == [(10, 249), (470, 10), (480, 192)]
    score = to_score([part], grid, quantise="1/8")
    assert [(n.onset_ticks, n.pitch, n.duration_ticks) for n in score.parts[0].notes] == [(0, 60, 240), (480, 64, 480)]


def test_a_tempo_that_wanders_is_followed() -> None:
    steps = np.linspace(0.45, 0.6, 32)
    times = np.concatenate([[1.0], 1.0 + np.cumsum(steps)])
    part = heard_at([(at, at + 0.3, 60, 90) for at in times[:-1].tolist()])
    score = to_score([part], BarGrid(times, "4/4", False))
    onsets = np.array([note.onset_ticks for note in score.parts[0].notes])
    assert np.abs(onsets - 480 * np.arange(32)).max() <= 4
    assert np.allclose(score.seconds(onsets), times[:-1] - 1.0, atol=0.06)


def test_stems_become_a_song_that_prepare_and_the_verbs_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stems = tmp_path / "take" / "stems"
    stems.mkdir(parents=True)
    bass, bass_notes = bass_line(19)
    piano, piano_notes = chords(19)
    write_wav(as_audio(bass), stems / "01 Bass.wav", 16)
    write_wav(as_audio(piano + 0.002 * noise("white", len(piano))), stems / "piano.wav", 16)
    write_wav(as_audio(noise("white", 4000)), stems / "drums.wav", 16)
    target = tmp_path / "song.mid"
    words = ["transcribe", str(tmp_path / "take"), "-o", str(target), "--tempo", "120", "--metre", "4/4"]
    assert main([*words, "--quantise", "1/8"]) == 0
    out = capsys.readouterr().out
    assert "bars of 4/4 at 120.0 a minute" in out and "drums.wav: left out" in out
    score = read_midi(target)
    assert [(part.name, part.kind) for part in score.parts] == [("piano", "piano"), ("bass", "bass")]
    for part, truth in zip(score.parts, (piano_notes, bass_notes), strict=True):
        table = part.note_table
        begins = np.array([(at - 0.5) / 0.5 * 480 for at, _ in truth])
        there = {(round(on), pitch) for on, (_, pitch) in zip(begins.tolist(), truth, strict=True)}
        shift = table[0, 0]
        hits = sum((int(on - shift), int(pitch)) in there for on, _, pitch, _ in table.tolist())
        assert 2 * hits / (len(there) + len(table)) > 0.85
    assert open_song(target).score.parts[1].kind == "bass"
    report = prepare([target], tmp_path / "corpus", jobs=1)
    assert sum(report.kept.values()) == 1


def test_refusals_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wav(as_audio(np.zeros(RATE)), tmp_path / "silent piano.wav", 16)
    write_wav(as_audio(noise("white", RATE)), tmp_path / "drums.wav", 16)
    (tmp_path / "video.wav").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(400))
    (tmp_path / "nothing").mkdir()
    for name, said in (
        ("silent piano.wav", "no notes are heard in it"),
        ("drums.wav", "drums have no pitches to be heard"),
        ("video.wav", "is not audio or is damaged"),
        ("nothing", "holds no sound files"),
        ("missing.wav", "no such file"),
    ):
        assert main(["transcribe", str(tmp_path / name), "-o", str(tmp_path / "x.mid"), "--tempo", "120"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and said in error
    assert not (tmp_path / "x.mid").exists()


def test_the_same_from_python(tmp_path: Path) -> None:
    sound, truth = bass_line(5)
    write_wav(as_audio(sound), tmp_path / "hum.wav", 16)
    how = Hearing(instrument="bass", tempo_qpm=120, key="E minor", as_is=True)
    score = transcribe(tmp_path / "hum.wav", how, "hum")
    assert score.title == "hum" and str(score.keys[0]) == "E minor"
    assert len(score.parts[0].notes) == pytest.approx(len(truth), abs=1)
    assert transcribe(tmp_path / "hum.wav", replace(how), "hum") == score
