"""Finding and choosing SoundFonts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Ended, needs_fluidsynth
from synthetic_soundfont import write_soundfont

from midigen import soundfonts
from midigen.errors import BadFile, BadRequest
from midigen.instruments import INSTRUMENTS, OTHER
from midigen.score import Note, Part, Score
from midigen.soundfonts import choose_soundfont, find_soundfonts, read_soundfont, search_places

Command = Callable[..., Ended]


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


GIGABYTES = 3 * 2**30


def sparse(path: Path, head: bytes, tail: bytes = b"", size: int = GIGABYTES) -> Path:
    """A file of ``size`` bytes between whose ends nothing lies on the disk."""
    with path.open("wb") as file:
        file.write(head)
        file.seek(size - len(tail))
        file.write(tail)
        file.truncate(size)
    return path


def huge_font(folder: Path) -> Path:
    """A good font whose samples are followed by gigabytes of silence."""
    good = write_soundfont(folder / "good.sf2").read_bytes()
    smpl, sdta, more = good.index(b"smpl") + 4, good.index(b"sdta") - 4, GIGABYTES - len(good)
    length = int.from_bytes(good[smpl : smpl + 4], "little")
    head, tail = bytearray(good[: smpl + 4 + length]), good[smpl + 4 + length :]
    for place, size in ((4, GIGABYTES - 8), (sdta, length + 12 + more), (smpl, length + more)):
        head[place : place + 4] = size.to_bytes(4, "little")
    return sparse(folder / "huge.sf2", bytes(head), tail)


def test_gigabytes_are_looked_at_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = huge_font(tmp_path)
    good = (tmp_path / "good.sf2").read_bytes()
    with huge.open("rb") as file:
        head = file.read(8_000)
    bad = {
        sparse(tmp_path / "zeros.sf2", b""): "not a SoundFont",
        sparse(tmp_path / "hollow.sf2", b"RIFF" + (GIGABYTES - 8).to_bytes(4, "little") + b"sfbk"): "damaged SoundFont",
        sparse(tmp_path / "short.sf2", head, size=GIGABYTES - 1): "cut short",
        sparse(tmp_path / "beyond.sf2", good, size=5 * 2**30): r"has \d+ bytes, a SoundFont 4294967303 at most",
    }
    read = 0
    opened = Path.open

    class Counted:
        """A file that tells how much is read from it."""

        def __init__(self, path: Path, mode: str) -> None:
            self.file = opened(path, mode, buffering=0)

        def read(self, size: int) -> bytes:
            nonlocal read
            read += size
            return self.file.read(size)

        def seek(self, place: int) -> int:
            return self.file.seek(place)

        def __enter__(self) -> Counted:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    monkeypatch.setattr(Path, "open", lambda path, mode: Counted(path, mode))
    assert read_soundfont(huge).bytes == GIGABYTES
    for path, says in bad.items():
        with pytest.raises(BadFile, match=says) as caught:
            read_soundfont(path)
        assert "\n" not in str(caught.value)
    assert 0 < read < 100_000


@needs_fluidsynth
def test_a_font_of_gigabytes_is_played_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from midigen.renderers import render

    monkeypatch.setenv("MIDIGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read"))
    (stem,) = render(Score((Part("x", notes=(Note(0, 60, 480, 100),)),)), read_soundfont(huge_font(tmp_path)))
    assert stem.sound == "Sine" and any(block.any() for block in stem.audio.blocks())


@pytest.mark.parametrize("table", [b"phdr", b"pdta"])
def test_a_font_without_its_list_of_presets_is_damaged(tmp_path: Path, table: bytes) -> None:
    path = write_soundfont(tmp_path / "a.sf2")
    path.write_bytes(path.read_bytes().replace(table, b"none"))
    with pytest.raises(BadFile, match=r"a\.sf2: is a damaged SoundFont .its list of presets is missing"):
        read_soundfont(path)


@pytest.mark.parametrize("odd", [True, False], ids=["as MuseScore writes it", "as the standard has it"])
def test_a_chunk_of_odd_length_is_no_hindrance(tmp_path: Path, odd: bool) -> None:
    good = write_soundfont(tmp_path / "a.sf2", copyright="(c) Ms Oddly").read_bytes()
    size = good.index(b"LIST", 12) + 4
    end = size + 4 + int.from_bytes(good[size : size + 4], "little")
    info = good[size + 4 : end] + b"ICMT\1\0\0\0x"  # of odd length, at the end of the list
    body = b"sfbkLIST" + len(info).to_bytes(4, "little") + info + (b"" if odd else b"\0") + good[end:]
    (tmp_path / "b.sf2").write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    assert read_soundfont(tmp_path / "b.sf2").licence == "(c) Ms Oddly"


@needs_fluidsynth
class TestCommand:
    """``midigen soundfonts`` with its options."""

    @pytest.fixture(autouse=True)
    def no_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MIDIGEN_CACHE", "off")

    @pytest.fixture
    def font(self, tmp_path: Path) -> Path:
        return write_soundfont(tmp_path / "synthetic.sf2")

    def test_presets_are_listed(self, midigen: Command, font: Path) -> None:
        listed = midigen("soundfonts", "--presets", font).out.splitlines()
        assert [line.split(maxsplit=1) for line in listed][:3] == [["0:0", "Sine"], ["0:1", "Step"], ["0:8", "Bell"]]
        assert listed[-1].split() == ["128:0", "Kit"]

    def test_an_audition_is_a_phrase_for_each_instrument_that_is_there(self, midigen: Command, font: Path) -> None:
        from midigen.audio import read_audio
        from midigen.loudness import integrated_lufs

        Path("audition-synthetic").mkdir()  # the name is taken
        ended = midigen("soundfonts", "--audition", font)
        assert ended.out.splitlines() == [
            f"audition-synthetic-2/{name}.wav  {sound}"
            for name, sound in (("piano", "Sine"), ("bass", "Bass"), ("drums", "Kit"))
        ]
        heard = {name: read_audio(f"audition-synthetic-2/{name}.wav") for name in ("piano", "bass", "drums")}
        assert all(audio.seconds > 10 for audio in heard.values())
        for name in ("piano", "bass"):
            assert integrated_lufs(heard[name]) == pytest.approx(-20, abs=0.2)
        assert -30 < integrated_lufs(heard["drums"]) < -19.8  # clicks: the limiter will not have more

    @pytest.mark.parametrize(
        ("asked", "written"), [("33", "bass.wav  Bass"), ("128:0", "drums.wav  Kit"), ("other sine", "piano.wav  Oth")]
    )
    def test_one_preset_can_be_auditioned(self, midigen: Command, font: Path, asked: str, written: str) -> None:
        ended = midigen("soundfonts", "--audition", font, "--preset", asked, "-o", "here")
        assert ended.out.startswith(f"here/{written}") and ended.out.count("\n") == 1
        assert [path.name for path in Path("here").iterdir()] == [written.split()[0]]

    def test_what_cannot_be_done_gets_one_line(self, midigen: Command, font: Path) -> None:
        for words, says in (
            (("--presets", "gone.sf2"), ("'gone.sf2'", "not found")),
            (("--audition", font, "--preset", "Bels"), ("'Bels'", "0:8 Bell", "--presets synthetic")),
            (("--preset", "25"), ("--preset is for --audition",)),
            (("-o", "here"), ("--output is for --audition",)),
            (("--presets", font, "--clear-cache"), ("not allowed with",)),
        ):
            assert midigen("soundfonts", *words).complains(*says), words
        assert not list(Path.cwd().iterdir())
        (Path.cwd() / "mine").mkdir()
        (Path.cwd() / "mine" / "song.txt").touch()
        assert midigen("soundfonts", "--audition", font, "-o", "mine").complains("mine", "not empty")


def test_phrases_are_played_in_the_range_of_their_instrument() -> None:
    from midigen.renderers.auditions import BARS, phrase

    rows = [*INSTRUMENTS.values(), None]
    scores = [phrase(row.name if row else OTHER) for row in rows]
    for row, score in zip(rows, scores, strict=True):
        (part,) = score.parts
        pitches = {note.pitch for note in part.notes}
        if row is not None:
            assert row.lowest <= min(pitches) and max(pitches) <= row.highest
            assert part.program == row.default_program and part.is_drum == row.is_drum
        assert len(part.notes) >= 4 * BARS and len(pitches) >= 8
        velocities = [note.velocity for note in part.notes]
        assert max(velocities) - min(velocities) >= 30
        assert score.bars == BARS and part.end_ticks <= score.bar_starts(BARS + 1)[-1]
    assert len({score.parts[0].notes for score in scores}) == len(rows)
    with pytest.raises(BadRequest, match="unknown part 'flute'"):
        phrase("flute")
