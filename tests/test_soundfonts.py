"""Finding and choosing SoundFonts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_soundfont import write_soundfont

from midigen import soundfonts
from midigen.errors import BadFile
from midigen.soundfonts import choose_soundfont, find_soundfonts, read_soundfont, search_places


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``soundfonts`` folder in the current folder, and nothing else to find."""
    folder = tmp_path / "soundfonts"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(soundfonts, "search_places", lambda: [folder])
    return folder


def fill(folder: Path, *names: str) -> None:
    for name in names:
        write_soundfont(folder / name)


def test_the_best_font_comes_first_and_the_fallback_last(shelf: Path) -> None:
    fill(
        shelf, "TimGM6mb.sf2", "zither.sf2", "Arachno.SF2", "FluidR3_GM.sf2", "MuseScore_General.sf3",
        "MuseScore_General_Lite.sf3",
    )  # fmt: skip
    names = [font.name for font in find_soundfonts()]
    assert names == [
        "MuseScore_General_Lite", "MuseScore_General", "FluidR3_GM", "Arachno", "zither", "TimGM6mb",
    ]  # fmt: skip
    assert choose_soundfont().name == "MuseScore_General_Lite"


def test_links_to_one_font_are_listed_once_and_still_name_it(shelf: Path) -> None:
    fill(shelf, "MuseScore_General_Lite.sf3")
    (shelf / "default-GM.sf3").symlink_to("MuseScore_General_Lite.sf3")
    (font,) = find_soundfonts()
    assert (font.name, font.aliases) == ("MuseScore_General_Lite", ("default-GM",))
    assert choose_soundfont("default-gm") == font


def test_broken_files_are_not_listed_but_asked_for_they_say_why(shelf: Path) -> None:
    (shelf / "broken.sf2").write_bytes(b"RIFFxxxxWAVE")
    (shelf / "notes.txt").write_text("not a font")
    fill(shelf, "good.sf2")
    assert [font.name for font in find_soundfonts()] == ["good"]
    with pytest.raises(BadFile, match=r"broken\.sf2: is not a SoundFont"):
        choose_soundfont("broken")


def test_a_folder_of_a_font_is_looked_into(shelf: Path) -> None:
    (shelf / "Grand").mkdir()
    fill(shelf / "Grand", "Salamander.sf2")
    assert [font.name for font in find_soundfonts()] == ["Salamander"]


@pytest.mark.parametrize("asked", ["FluidR3_GM", "fluidr3_gm", "FluidR3_GM.sf2", "fluid", "FluidR3 GM"])
def test_a_name_may_be_in_any_case_and_a_part_that_fits_one_font(shelf: Path, asked: str) -> None:
    fill(shelf, "FluidR3_GM.sf2", "Arachno.sf2", "Arachno-small.sf2")
    assert choose_soundfont(asked).name == "FluidR3_GM"


def test_a_whole_name_goes_before_longer_ones_and_a_part_that_fits_two_is_refused(shelf: Path) -> None:
    fill(shelf, "Arachno.sf2", "Arachno-small.sf2")
    assert choose_soundfont("arachno").name == "Arachno"
    with pytest.raises(BadFile, match="fits Arachno, Arachno-small: say which"):
        choose_soundfont("arach")


def test_what_is_not_found_lists_what_there_is(shelf: Path) -> None:
    with pytest.raises(BadFile, match="no SoundFont found; install one"):
        choose_soundfont()
    fill(shelf, "one.sf2", "two.sf2")
    for asked in ("three", "three.sf2"):
        with pytest.raises(BadFile, match=f"'{asked}' not found: choose one, two, or give a path"):
            choose_soundfont(asked)
    with pytest.raises(BadFile, match=r"away/three\.sf2: no such SoundFont"):
        choose_soundfont("away/three.sf2")


def test_a_path_chooses_a_font_wherever_it_is(tmp_path: Path, shelf: Path) -> None:
    path = write_soundfont(tmp_path / "mine.sf2", copyright="(c) Somebody, CC-BY 4.0")
    font = choose_soundfont(str(path))
    assert (font.name, font.path, font.bytes) == ("mine", path.resolve(), path.stat().st_size)
    assert font.licence == "(c) Somebody, CC-BY 4.0"


@pytest.mark.parametrize(
    ("rights", "shown"),
    [
        ("", ""),
        ("(c) 2001\nAll rights reserved", "(c) 2001"),
        ("Made by me\nunder the terms of the MIT licence", "MIT (Made by me)"),
        ("Many people, " * 20 + "CC0", "CC0 (" + ("Many people, " * 20)[:100] + ")"),
    ],
)
def test_what_a_font_says_about_rights_becomes_one_line(tmp_path: Path, rights: str, shown: str) -> None:
    assert read_soundfont(write_soundfont(tmp_path / "a.sf2", copyright=rights)).licence == shown


def test_files_that_are_no_soundfont_get_one_line(tmp_path: Path) -> None:
    good = write_soundfont(tmp_path / "good.sf2").read_bytes()
    (tmp_path / "empty.sf2").touch()
    (tmp_path / "short.sf2").write_bytes(good[:-100])
    (tmp_path / "head.sf2").write_bytes(good[:10])
    (tmp_path / "text.sf2").write_text("just words, and long enough to hold a header")
    cases = {
        "empty.sf2": "0 bytes",
        "short.sf2": f"cut short .{len(good) - 100} of {len(good)} bytes",
        "head.sf2": "not a SoundFont",
        "text.sf2": "not a SoundFont",
        "none.sf2": "no such SoundFont",
        "": "is a folder",
    }
    for name, says in cases.items():
        with pytest.raises(BadFile, match=says) as caught:
            read_soundfont(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_places_that_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIDIGEN_SOUNDFONTS", f"{tmp_path / 'a'}{soundfonts.os.pathsep}{tmp_path / 'b.sf2'}")
    places = search_places()
    assert places[0] == tmp_path / "soundfonts"
    assert places.index(tmp_path / "a") < places.index(tmp_path / "b.sf2")
    assert places[-1].name == "TimGM6mb.sf2" and places[-1].is_file()
    assert len(set(places)) == len(places)
    fill(tmp_path, "b.sf2")
    assert "b" in [font.name for font in find_soundfonts()]


def test_a_fallback_is_always_there_without_loading_the_library_it_comes_with(tmp_path: Path) -> None:
    code = (
        "import sys; from midigen.soundfonts import find_soundfonts;"
        "assert find_soundfonts()[-1].name == 'TimGM6mb'; assert 'pretty_midi' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="no Debian packages here")
def test_the_packaged_font_is_the_first_choice_where_it_is_installed() -> None:
    if not Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3").exists():
        pytest.skip("musescore-general-soundfont-small is not installed")
    assert choose_soundfont().name == "MuseScore_General_Lite"
    assert choose_soundfont("MuseScore_General").name.startswith("MuseScore_General")
