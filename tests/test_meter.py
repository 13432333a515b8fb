"""``midigen meter``: what it prints, for one file, for several, as JSON, and for what is no sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Ended

from midigen.audio import Audio, write_audio

RATE = 48_000


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A tone at -23 LUFS, the same 10 dB up in mono as OGG, and silence."""
    wave = 10 ** (-23 / 20) * np.sin(2 * np.pi * 1_000 * np.arange(4 * RATE) / RATE)
    tone = Audio(np.tile(wave.astype(np.float32), (2, 1)), RATE)
    louder = Audio(tone.samples[:1] * np.float32(10 ** (10 / 20)), RATE)
    silence = Audio(np.zeros((2, RATE), dtype=np.float32), RATE)
    sounds = {"tone.wav": tone, "louder.ogg": louder, "silence.flac": silence}
    return [write_audio(sound, tmp_path / name) for name, sound in sounds.items()]


def test_one_file_gets_a_line_for_each_value(files: list[Path], midigen: Callable[..., Ended]) -> None:
    ended = midigen("meter", files[0])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"{files[0]}: 0:04, 48000 Hz, stereo",
        "  integrated             -23.0 LUFS",
        "  short-term, maximum    -23.0 LUFS",
        "  momentary, maximum     -23.0 LUFS",
        "  range                    0.0 LU",
        "  sample peak            -23.0 dBFS",
        "  true peak              -23.0 dBTP",
    ]


def test_several_files_get_a_line_each(files: list[Path], midigen: Callable[..., Ended]) -> None:
    ended = midigen("meter", *files)
    assert (ended.code, ended.err) == (0, "")
    heads, *lines = ended.out.splitlines()
    assert heads.split() == ["time", "LUFS", "short", "moment", "LU", "dBFS", "dBTP"]
    assert [line.split()[0] for line in lines] == [str(path) for path in files]
    assert len({len(line) for line in [heads, *lines]}) == 1
    values = [line.split()[1:] for line in lines]
    assert values[0] == ["0:04", "-23.0", "-23.0", "-23.0", "0.0", "-23.0", "-23.0"]
    assert [float(value) for value in values[1][1:3]] == pytest.approx([-16.0, -16.0], abs=0.11)
    assert values[2] == ["0:01", "-inf", "-inf", "-inf", "0.0", "-inf", "-inf"]


def test_json_says_the_same_and_null_for_silence(files: list[Path], midigen: Callable[..., Ended]) -> None:
    ended = midigen("meter", "--json", *files)
    assert (ended.code, ended.err) == (0, "")
    tone, _, silence = json.loads(ended.out)
    assert tone["file"] == str(files[0])
    assert tone["seconds"] == 4.0
    assert tone["integrated_lufs"] == pytest.approx(-23, abs=0.01)
    assert tone["true_peak_dbtp"] == pytest.approx(-23, abs=0.05)
    assert silence["range_lu"] == 0
    assert all(silence[field] is None for field in tone if field not in ("file", "seconds", "range_lu"))
    assert isinstance(json.loads(midigen("meter", "--json", files[0]).out), list)


def test_what_cannot_be_measured_gets_one_line(
    files: list[Path], tmp_path: Path, midigen: Callable[..., Ended]
) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    six = write_audio(Audio(np.zeros((6, 999), dtype=np.float32), RATE), tmp_path / "six.wav")
    for words, says in (
        ([tmp_path / "missing.wav"], ["missing.wav: no such file"]),
        ([text], ["text.wav: is not audio"]),
        ([tmp_path], ["is a folder"]),
        ([six], ["six.wav: loudness of 6 channels: give 1 to 5"]),
        ([], ["FILE"]),
        (["--jsn", files[0]], ["unknown option --jsn (did you mean --json?)"]),
    ):
        assert midigen("meter", *words).complains(*says), words
    # it is said before the first is measured
    assert midigen("meter", files[0], text).out == ""
