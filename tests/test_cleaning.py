"""Recordings made clean: noise goes, music stays, whatever the file."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, melody, noise, plucked, si_sdr_db

from midigen.__main__ import main
from midigen.audio import Audio, open_audio, read_audio, write_audio, write_wav
from midigen.cleaning import TARGET_LUFS, Cleaning, clean
from midigen.cleaning.denoising import SEGMENT_WINDOWS, Denoised, resynthesised, spectrogram, with_context
from midigen.cleaning.hum import find_hum
from midigen.cleaning.lowlines import FIRST_DILATIONS, LINES, Network, first_gain, networks, second_gain
from midigen.cleaning.noise import find_noise, noise_of, window_lengths
from midigen.errors import BadRequest
from midigen.loudness import measure
from midigen.restoring import clean_files

PLAIN = Cleaning(trim=False, target_lufs=None)


def as_audio(*channels: np.ndarray, rate: int = RATE) -> Audio:
    return Audio(np.stack(channels).astype(np.float32), rate)


def noisy(kind: str, snr_db: float, seconds: float = 9.0, lead: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    music = melody(seconds, lead)
    return music, music + noise(kind, len(music)) * np.sqrt(np.mean(music**2)) * 10 ** (-snr_db / 20)


def samples_of(signal) -> np.ndarray:
    return np.concatenate(list(signal.blocks()), axis=1)


@pytest.mark.parametrize("snr_db", [10, 30])
@pytest.mark.parametrize("kind", ["white", "hum", "hiss", "room"])
def test_noise_goes_and_music_stays(kind: str, snr_db: float) -> None:
    music, sound = noisy(kind, snr_db)
    cleaned = samples_of(clean(as_audio(sound), PLAIN).signal)[0]
    heard = slice(RATE, None)  # not where the music is silent: that is easy
    assert si_sdr_db(music[heard], cleaned[heard]) >= si_sdr_db(music[heard], sound[heard]) + 5


@pytest.mark.parametrize("lead", [0.0, 1.0])
def test_a_clean_recording_is_left_as_it_is(lead: float) -> None:
    music = melody(9, lead)
    assert si_sdr_db(music, samples_of(clean(as_audio(music), PLAIN).signal)[0]) > 45


def test_an_offset_goes_whatever_the_noise() -> None:
    music, sound = noisy("white", 30)
    result = clean(as_audio(sound + 0.01, sound - 0.02), PLAIN)
    assert result.before.offset == pytest.approx(-0.02, abs=1e-4)
    assert abs(result.after.offset) < 1e-4
    assert si_sdr_db(music, samples_of(result.signal)[1]) > 35


def test_silence_between_notes_stays_silent() -> None:
    music = plucked([(1.0, 220.0)], 6)
    music[5 * RATE :] = 0
    music[RATE : 2 * RATE] += 0.02  # a note with an offset of its own
    cleaned = samples_of(clean(as_audio(music), PLAIN).signal)[0]
    assert not cleaned[:RATE].any() and not cleaned[5 * RATE :].any()


def test_silence_before_the_first_note_is_cut_and_told() -> None:
    result = clean(as_audio(noisy("white", 30, lead=1.5)[1]))
    assert result.start_seconds == pytest.approx(1.45, abs=0.05)
    assert result.signal.frames == 9 * RATE - round(result.start_seconds * RATE)


def test_rate_and_loudness_are_set() -> None:
    result = clean(as_audio(noisy("hiss", 25)[1]), Cleaning(rate=44_100))
    assert result.signal.rate == 44_100
    reading = measure(result.signal)
    assert reading.integrated_lufs == pytest.approx(TARGET_LUFS, abs=0.1)
    assert result.after.integrated_lufs == pytest.approx(reading.integrated_lufs, abs=0.01)


def test_peaks_forbid_more_loudness() -> None:
    clicks = np.zeros(4 * RATE)
    clicks[:: RATE // 2] = 0.1
    assert measure(clean(as_audio(clicks), Cleaning(target_lufs=-10.0)).signal).true_peak_dbtp <= -0.95


def test_noise_is_found_where_there_is_no_lead_in() -> None:
    notes = [(at, 330.0) for at in (0.0, 0.5, 1.0, 5.0, 5.5, 6.0)]
    music = plucked(notes, 9)
    sound = music + 0.003 * noise("white", len(music))
    profile = find_noise(as_audio(sound))
    assert profile.source == "quietest passages"
    assert profile.level_db == pytest.approx(20 * math.log10(0.003), abs=2)


def test_a_lead_in_whose_noise_moves_is_one() -> None:
    music = melody(9)
    moving = 10 ** (np.interp(np.arange(len(music)) / RATE, [0, 0.2, 0.25, 9], [4, 4, 0, 0]) / 20)  # it begins louder
    profile = find_noise(as_audio(music + 0.001 * moving * noise("white", len(music))))
    assert profile.source == "lead-in"
    assert profile.spans == ((0.0, pytest.approx(1.0, abs=0.06)),)
    assert profile.level_db == pytest.approx(-59, abs=1)


def test_a_profile_may_be_given() -> None:
    music, sound = noisy("white", 20, lead=0.0)
    example = as_audio(0.2 * noise("white", RATE, seed=5))
    assert noise_of(example, as_audio(sound, sound), "example").level_db == pytest.approx(-14, abs=0.3)
    with_span = np.concatenate([music[:0], sound])
    scale = np.sqrt(np.mean((sound - music) ** 2))
    result = clean(
        as_audio(with_span), Cleaning(trim=False, target_lufs=None, noise=as_audio(scale * example.samples[0] * 5))
    )
    assert si_sdr_db(music, samples_of(result.signal)[0]) > si_sdr_db(music, sound) + 5


def test_noise_from_a_passage_must_be_in_the_sound() -> None:
    with pytest.raises(BadRequest, match=r"noise from 8 to 12 s: give two times in order within 0\.\.9\.00 s"):
        clean(as_audio(melody(9)), Cleaning(noise_span=(8, 12)))


def test_hum_is_told_from_music() -> None:
    music, sound = noisy("hum", 20)
    hum, none = find_hum(as_audio(sound, music))
    assert hum is not None and hum.mains_hz == 60 and none is None  # as the noise of this seed has it
    assert hum.level_db == pytest.approx(10 * math.log10(np.mean((sound - music) ** 2)), abs=1.5)
    steady = np.sin(2 * np.pi * 349.23 * np.arange(6 * RATE) / RATE)  # F4 is 7 times 49.9 Hz
    assert find_hum(as_audio(0.3 * steady)) == (None,)


def test_what_is_cleaned_does_not_depend_on_blocks() -> None:
    sound = as_audio(noisy("white", 20, 14)[1])  # more than a segment
    signal = Denoised(sound, find_noise(sound), 30)
    whole = samples_of(signal)
    assert whole.shape == (1, sound.frames)
    assert np.array_equal(whole, np.concatenate(list(signal.blocks(777)), axis=1))
    short = as_audio(sound.samples[0, : SEGMENT_WINDOWS * 4096 + 5])
    assert samples_of(Denoised(short, find_noise(sound), 30)).shape == short.samples.shape


def test_segments_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = as_audio(noisy("room", 30, 9)[1])
    profile = find_noise(sound)
    whole = samples_of(Denoised(sound, profile, 30))
    monkeypatch.setattr("midigen.cleaning.denoising.SEGMENT_WINDOWS", 11)
    assert np.allclose(samples_of(Denoised(sound, profile, 30)), whole, atol=1e-5)


def test_networks_pay_under_basses(monkeypatch: pytest.MonkeyPatch) -> None:
    rate = 44_100
    music = plucked(
        [(1 + 0.4 * beat, 41.2 * 2 ** (step / 12)) for beat, step in enumerate((0, 0, 7, 5, 3, 0, 10, 12))], 5, rate
    )
    sound = music + noise("room", len(music), 3, rate) * np.sqrt(np.mean(music**2)) * 10 ** (-30 / 20)
    learned = samples_of(clean(as_audio(sound, rate=rate), PLAIN).signal)[0]
    monkeypatch.setattr("midigen.cleaning.denoising.first_gain", lambda ratio, window, rule: rule)
    monkeypatch.setattr("midigen.cleaning.denoising.second_gain", lambda ratio, music, window, rule: rule)
    ruled = samples_of(clean(as_audio(sound, rate=rate), PLAIN).signal)[0]
    heard = slice(rate, None)
    assert si_sdr_db(music[heard], learned[heard]) > si_sdr_db(music[heard], ruled[heard]) + 0.3


@pytest.mark.parametrize("length", window_lengths(RATE))
def test_a_spectrogram_comes_back_as_sound(length: int) -> None:
    samples = noise("white", 20 * length).astype(np.float32)
    back = resynthesised(spectrogram(samples, length), length, len(samples))
    assert np.allclose(back[length:-length], samples[length:-length], atol=1e-4)


def test_networks_are_worked_out_as_they_were_learned() -> None:
    torch = pytest.importorskip("torch")
    network = networks()[0][1]
    shown = np.random.default_rng(0).normal(size=(2, 20, 30)).astype(np.float32)
    heard = torch.from_numpy(shown)[None]
    for number, (frames, lines) in enumerate(FIRST_DILATIONS):
        kernel = torch.from_numpy(network.kernels[number]).reshape(len(network.last), -1, 3, 3)
        shift = torch.from_numpy(network.shifts[number])
        convolved = torch.nn.functional.conv2d(heard, kernel, shift, padding=(frames, lines), dilation=(frames, lines))
        heard = torch.relu(convolved) + (heard if number else 0)
    expected = np.tensordot(network.last, heard[0].numpy(), axes=1) + network.bias
    assert np.allclose(network.values(shown), expected, atol=1e-3)


@pytest.mark.parametrize("window", range(3))
def test_low_lines_go_by_the_networks_and_high_ones_by_the_rule(window: int) -> None:
    lines = 2 * LINES[window]
    rule = np.full((40, lines), 0.5, dtype=np.float32)
    noise_alone = np.random.default_rng(0).exponential(size=(40, lines)).astype(np.float32)
    gain = first_gain(noise_alone, window, rule)
    assert np.array_equal(gain[:, LINES[window] :], rule[:, LINES[window] :])
    low = slice(2, LINES[window] // 2)
    assert np.sqrt((gain[:, low] ** 2 * noise_alone[:, low]).mean()) < 0.25  # noise goes
    loud = np.full_like(noise_alone, 1e6)
    assert first_gain(loud, window, rule)[:, low].min() > 0.999  # and music stays, whatever was learned
    assert second_gain(loud, loud, window, rule)[:, low].min() > 0.999


def test_nothing_sounds_before_a_note_begins() -> None:
    rate = 44_100  # for windows of the longest kind
    music = plucked([(2.0, 55.0), (2.0, 110.0)], 5, rate)
    sound = music + noise("room", len(music), rate=rate) * np.sqrt(np.mean(music**2)) * 10 ** (-30 / 20)
    cleaned = samples_of(clean(as_audio(sound, rate=rate), PLAIN).signal)[0]
    before = slice(round(1.8 * rate), 2 * rate)
    assert np.mean(cleaned[before] ** 2) < np.mean(sound[before] ** 2) / 2  # no more than the noise that was there


def test_networks_for_other_windows_are_told_apart() -> None:
    first, second = networks()
    assert len(first) == len(second) == len(window_lengths(44_100)) == len(LINES)
    assert [2 * (lines - 1) * 16 for lines in LINES] == window_lengths(44_100)
    assert isinstance(first[0], Network)


@pytest.mark.parametrize("frames", [1, 99, 100, 101, 350])
def test_segments_with_context_cover_all(frames: int) -> None:
    sound = as_audio(np.arange(frames) / 1000)
    pieces = list(with_context(sound, 100, 30))
    assert all(piece.shape == (1, 160) for piece in pieces)
    assert np.array_equal(np.concatenate([p[:, 30:130] for p in pieces], axis=1)[:, :frames], sound.samples)
    joined = np.pad(sound.samples, ((0, 0), (30, 300)))
    assert all(np.array_equal(p, joined[:, n * 100 : n * 100 + 160]) for n, p in enumerate(pieces))


def test_a_folder_is_cleaned_in_its_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    write_wav(as_audio(noisy("white", 20, 3)[1]), tmp_path / "in" / "a.wav", 16)
    write_wav(as_audio(melody(3), melody(3)), tmp_path / "in" / "sub" / "b.wav")
    (tmp_path / "in" / "c.wav").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(400))  # a video by another name
    output = tmp_path / "out"
    assert main(["clean", str(tmp_path / "in"), "-o", str(output), "--jobs", "1", "--rate", "16000"]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "c.wav: is not audio or is damaged" in err
    assert "a.wav" in out and "lead-in" in out
    assert sorted(str(p.relative_to(output)) for p in output.rglob("*.*")) == [
        "a.png", "a.wav", "cleaning.json", "sub/b.png", "sub/b.wav",
    ]  # fmt: skip
    assert read_audio(output / "a.wav").rate == 16_000
    facts = json.loads((output / "cleaning.json").read_text())
    assert [one["file"] is None for one in facts] == [False, True, False]
    assert facts[0]["after"]["snr_db"] > facts[0]["before"]["snr_db"] + 10
    assert main(["clean", str(tmp_path / "in" / "a.wav"), "-o", str(output)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_wav(as_audio(noisy("white", 20, 2)[1]), tmp_path / f"{name}.wav")
    clean_files([tmp_path / "a.wav", tmp_path / "b.wav"], tmp_path / "two", jobs=2)
    clean_files([tmp_path / "a.wav"], tmp_path / "one")
    assert (tmp_path / "two" / "b.wav").read_bytes() == (tmp_path / "one" / "a.wav").read_bytes()


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("seconds", [0.001, 0.25, 0.7, 3.0])
def test_short_sounds_and_silence_are_no_trouble(channels: int, seconds: float) -> None:
    frames = max(round(seconds * 8000), 1)
    for level in (0.0, 0.1):
        sound = as_audio(*(level * noise("white", frames, seed) for seed in range(channels)), rate=8000)
        result = clean(sound)
        assert result.signal.channels == channels and np.isfinite(samples_of(result.signal)).all()


def test_refusals_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wav(Audio(np.zeros((8, 8000), dtype=np.float32), 8000), tmp_path / "eight.wav")
    (tmp_path / "empty.wav").write_bytes(b"")
    nan = tmp_path / "nan.wav"
    write_audio(as_audio(melody(1, 0.0)), nan, bits=32)
    data = bytearray(nan.read_bytes())
    data[-4000:-3996] = b"\0\0\xc0\x7f"
    nan.write_bytes(data)
    for words, said in (
        ([str(tmp_path / "eight.wav")], "loudness of 8 channels: give 1 to 5"),
        ([str(tmp_path / "empty.wav")], "is empty (0 bytes)"),
        ([str(nan)], "NaN"),
        ([str(tmp_path / "none.wav")], "no such file"),
        ([str(nan), "--noise-from", "x"], "START-END"),
        ([str(nan), "--reduction", "99"], "outside 0..80"),
        ([str(nan), "--rate", "5"], "sample rate 5 is outside"),
    ):
        assert main(["clean", *words, "-o", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and said in error
    assert not list((tmp_path / "out").rglob("*.wav"))


def test_a_long_recording_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    bar = as_audio(noisy("white", 20, 9)[1])
    write_wav(as_audio(np.tile(bar.samples[0], 20)), path, 16)  # three minutes
    code = (
        "import resource, sys\n"
        "from midigen.audio import open_audio\n"
        "from midigen.cleaning import clean\n"
        "from midigen.restoring import sheet_of\n"
        "base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for block in clean(open_audio(sys.argv[1])).signal.blocks(): pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300_000  # kB
    assert open_audio(path).frames == 20 * bar.frames
