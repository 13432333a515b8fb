"""How loud a part is going to be, from its sound alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import make_band, needs_fluidsynth
from synthetic_soundfont import SOUNDS, write_soundfont

from midigen.errors import BadFile
from midigen.mixing import measure_stem
from midigen.profiles.levels import OFFSETS_LU, PHRASES, expected_lufs
from midigen.renderers import render
from midigen.score import Part
from midigen.soundfonts import SoundFont


@needs_fluidsynth
def test_a_band_is_about_as_loud_as_expected(tmp_path: Path) -> None:
    path = write_soundfont(tmp_path / "synthetic.sf2", SOUNDS)
    font = SoundFont("synthetic", path, path.stat().st_size, "Public domain")
    score = make_band(4, drums=True)
    for part, stem in zip(score.parts, render(score, font), strict=True):
        assert expected_lufs(part, font) == pytest.approx(measure_stem(stem.audio).lufs, abs=9)
    # The same sound as loud, whatever the part plays.
    assert expected_lufs(Part("x", "bass", 33), font) == expected_lufs(score.parts[2], font)


@needs_fluidsynth
def test_a_font_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.sf2"
    path.write_bytes(b"RIFF")
    with pytest.raises(BadFile, match="cannot use this SoundFont"):
        expected_lufs(Part("piano", "piano"), SoundFont("broken", path, 4, ""))


def test_every_instrument_has_a_phrase() -> None:
    assert PHRASES.keys() == OFFSETS_LU.keys() == {"piano", "guitar", "bass", "drums"}
