"""Songs into studios: DAWproject and REAPER, their levels and their maps; and the verb that exports."""

from __future__ import annotations

import base64
import io
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest
import soundfile
from conftest import Ended, make_band, needs_fluidsynth
from studio_schema import check_project

import midigen as package
from midigen.audio import Audio, open_audio, write_audio
from midigen.effects.stereo import factor
from midigen.errors import BadFile, BadRequest, MissingTool, OutputError
from midigen.exporters import EXPORTERS, Project, Strip, plain_tempo
from midigen.exporting import export, format_of, formats_of, project_of, read_project, write_export
from midigen.midi import midi_bytes, read_midi, write_midi
from midigen.mixing import balance_trim_db
from midigen.score import Bend, Control, Key, Metre, Note, Part, Score, Tempo, Text
from midigen.session import Channel, Master, Session, StemFile
from midigen.session.files import write_session

RATE = 8_000
LOUD_LUFS = {"piano": -20.0, "guitar": -45.0, "bass": -30.0, "drums": -25.0}


def whole_band() -> Score:
    """A band with all that a studio is told: a tempo map, metres, sections, words, controllers and bends."""
    band = make_band(4, drums=True)
    piano, guitar, *others = band.parts
    piano = replace(piano, bends=(Bend(480, 8191), Bend(960, -8192)))
    guitar = replace(guitar, lyrics=(Text(0, "Hel"), Text(240, "lo \r")), bank=130)
    return replace(
        band,
        parts=(piano, guitar, *others),
        tempos=(Tempo(0, 120.0), Tempo(1920, 60.0), Tempo(5000, 90.5)),
        metres=(Metre(0, 4, 4), Metre(3840, 3, 4)),
        markers=(Text(0, "verse"), Text(3840, 'the "chorus"')),
        bars=None,
    )


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song's folder as compose writes it, its stems noise of known loudness."""
    folder = tmp_path_factory.mktemp("songs") / "song"
    (folder / "stems").mkdir(parents=True)
    score = whole_band()
    write_midi(score, folder / "song.mid")
    dice = np.random.default_rng(1)
    frames = int(score.duration_seconds * RATE)
    stems = {}
    for part in score.parts:
        level = factor(LOUD_LUFS[part.name]) * 0.8
        sound = Audio((dice.normal(0, level, (2, frames))).clip(-1, 1).astype(np.float32), RATE)
        write_audio(sound, folder / "stems" / f"{part.name}.wav")
        stems[part.name] = StemFile(f"stems/{part.name}.wav", part.kind)
    channels = {
        "piano": Channel(gain_db=-3.0, pan=-0.5),
        "guitar": Channel(gain_db=2.5, pan=1.0, mute=True),
        "bass": Channel(gain_db=20.0, pan=0.0, solo=True),
        "drums": Channel(),
    }
    session = Session(stems=stems, channels=channels, master=Master(target_lufs=-14.0), tempo_qpm=120.0)
    write_session(session, folder / "mix.toml")
    return folder


@pytest.fixture(scope="module")
def trims(song: Path) -> dict[str, float]:
    return {strip.name: strip.trim_db for strip in read_project(song).strips}


def opened(path: Path) -> tuple[Element, zipfile.ZipFile]:
    archive = zipfile.ZipFile(path)
    return ElementTree.fromstring(archive.read("project.xml")), archive


@pytest.fixture(scope="module")
def dawproject(song: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Element, zipfile.ZipFile]:
    return opened(export(song, tmp_path_factory.mktemp("out") / "song.dawproject"))


def test_stems_are_measured_as_the_mixer_measures_them(song: Path, trims: dict[str, float]) -> None:
    from midigen.mixdown import open_stems
    from midigen.mixing import mix

    stems, session = open_stems([song])
    applied = {one.name: one.trim_db for one in mix(stems, session).applied}
    assert trims == pytest.approx(applied, abs=5e-4)
    assert trims["guitar"] > trims["bass"] > trims["piano"]
    assert balance_trim_db(-23.0, "bass") == 0


# DAWproject


def test_dawproject_is_as_its_schema_has_it(dawproject: tuple[Element, zipfile.ZipFile]) -> None:
    root, archive = dawproject
    check_project(root)
    names = archive.namelist()
    assert names[:2] == ["project.xml", "metadata.xml"]
    assert all(file.get("path") in names for file in root.iter("File"))
    title = ElementTree.fromstring(archive.read("metadata.xml")).findtext("Title")
    assert title == "band"


def test_the_schema_would_notice(dawproject: tuple[Element, zipfile.ZipFile]) -> None:
    root, _ = dawproject
    broken = ElementTree.fromstring(ElementTree.tostring(root))
    next(broken.iter("Pan")).set("unit", "degrees")
    with pytest.raises(AssertionError, match="Pan unit"):
        check_project(broken)


def test_a_track_for_the_notes_and_one_for_the_sound(dawproject: tuple[Element, zipfile.ZipFile]) -> None:
    root, _ = dawproject
    tracks = [(track.get("name"), track.get("contentType")) for track in root.iter("Track")]
    parts = ["piano", "guitar", "bass", "drums"]
    both = [row for name in parts for row in ((f"{name} (MIDI)", "notes"), (name, "audio"))]
    assert tracks == [*both, ("Master", "audio notes")]
    assert {track.get("color") for track in root.iter("Track") if "piano" in str(track.get("name"))} == {"#3b6fb6"}


def test_faders_pans_mutes_and_solos_are_the_session_s(dawproject: tuple[Element, zipfile.ZipFile]) -> None:
    root, _ = dawproject
    found = {}
    for track in root.iter("Track"):
        channel = track.find("Channel")
        assert channel is not None
        values = {child.tag: child.get("value") for child in channel}
        found[track.get("name")] = (
            float(values["Volume"] or 0), float(values["Pan"] or 0), values["Mute"], channel.get("solo"),
        )  # fmt: skip
    for suffix in ("", " (MIDI)"):
        assert found[f"piano{suffix}"] == (pytest.approx(10 ** (-3 / 20), abs=1e-6), 0.25, "false", "false")
        assert found[f"guitar{suffix}"] == (pytest.approx(10 ** (2.5 / 20), abs=1e-6), 1.0, "true", "false")
        assert found[f"bass{suffix}"] == (2.0, 0.5, "false", "true")  # faders end at +6 dB
        assert found[f"drums{suffix}"] == (1.0, 0.5, "false", "false")
    assert found["Master"] == (1.0, 0.5, "false", "false")


def test_its_sounds_are_the_stems_in_balance(
    dawproject: tuple[Element, zipfile.ZipFile], song: Path, trims: dict[str, float]
) -> None:
    _, archive = dawproject
    for name, trim in trims.items():
        samples, rate = soundfile.read(io.BytesIO(archive.read(f"audio/{name}.wav")), dtype="float32", always_2d=True)
        dry, _ = soundfile.read(song / "stems" / f"{name}.wav", dtype="float32", always_2d=True)
        assert rate == RATE
        np.testing.assert_allclose(samples, dry * factor(trim), atol=2e-7)
    info = {name: soundfile.info(io.BytesIO(archive.read(f"audio/{name}.wav"))).subtype for name in trims}
    assert set(info.values()) <= {"PCM_24", "FLOAT"}


def test_notes_are_those_of_the_song(dawproject: tuple[Element, zipfile.ZipFile]) -> None:
    root, _ = dawproject
    names = {track.get("id"): str(track.get("name")) for track in root.iter("Track")}
    score = whole_band()
    for lanes in root.findall("Arrangement/Lanes/Lanes"):
        name = names[lanes.get("track")]
        if not name.endswith("(MIDI)"):
            continue
        part = next(part for part in score.parts if f"{part.name} (MIDI)" == name)
        found = [
            (float(n.get("time") or 0), float(n.get("duration") or 0), int(n.get("key") or 0), float(n.get("vel") or 0))
            for n in lanes.iter("Note")
        ]
        assert found == [
            (
                pytest.approx(n.onset_ticks / 480, abs=1e-6), pytest.approx(n.duration_ticks / 480, abs=1e-6), n.pitch,
                pytest.approx(n.velocity / 127, abs=1e-6),
            )
            for n in part.notes
        ]  # fmt: skip
        assert {n.get("channel") for n in lanes.iter("Note")} == {"9" if part.is_drum else "0"}
    moved = {target.get("expression"): target.get("controller") for target in root.iter("Target")}
    assert moved["channelController"] == "64" and "pitchBend" in moved
    bends = [p for p in root.iter("Points") if p.find("Target").get("expression") == "pitchBend"]  # type: ignore[union-attr]
    assert [point.get("value") for point in bends[0].iter("RealPoint")] == ["1", "0"]


def test_tempo_metre_and_sections(dawproject: tuple[Element, zipfile.ZipFile]) -> None:
    root, _ = dawproject
    tempos = [(float(p.get("time") or 0), p.get("value")) for p in root.findall(".//TempoAutomation/RealPoint")]
    assert tempos == [(0, "120"), (4, "60"), (pytest.approx(5000 / 480, abs=1e-6), "90.5")]
    metres = [(p.get("time"), p.get("numerator")) for p in root.iter("TimeSignaturePoint")]
    assert metres == [("0", "4"), ("8", "3")]
    assert [(m.get("time"), m.get("name")) for m in root.iter("Marker")] == [("0", "verse"), ("8", 'the "chorus"')]


def test_stems_are_warped_by_the_tempo_map(dawproject: tuple[Element, zipfile.ZipFile], song: Path) -> None:
    root, _ = dawproject
    score = whole_band()
    seconds = open_audio(song / "stems" / "piano.wav").seconds
    for warps in root.iter("Warps"):
        pairs = [(float(w.get("time") or 0), float(w.get("contentTime") or 0)) for w in warps.iter("Warp")]
        assert pairs[:3] == [
            (pytest.approx(tempo.tick / 480, abs=1e-6), pytest.approx(float(score.seconds(tempo.tick)), abs=1e-6))
            for tempo in score.tempos
        ]
        assert pairs[-1][1] == pytest.approx(seconds, abs=1e-6)
        # The end in beats is where the tempo map puts the end in seconds.
        assert pairs[-1][0] == pytest.approx(10.416667 + (seconds - pairs[2][1]) * 90.5 / 60, abs=1e-4)


# REAPER


@pytest.fixture(scope="module")
def reaper(song: Path):
    rpp = pytest.importorskip("rpp")
    path = export(song, to="rpp")
    assert path == song / "song.rpp"
    return rpp.loads(path.read_text(encoding="utf-8"))


def lines(element, tag: str) -> list[list[str]]:
    return [child for child in element if isinstance(child, list) and child[0] == tag]


def test_reaper_tracks_have_the_session_s_faders(reaper, song: Path, trims: dict[str, float]) -> None:
    session = read_project(song)
    channels = {strip.name: strip.channel for strip in session.strips}
    tracks = {track.find("NAME")[1]: track for track in reaper.findall("TRACK")}
    assert len(tracks) == 8
    for name, channel in channels.items():
        for track in (tracks[name], tracks[f"{name} (MIDI)"]):
            volume, pan = map(float, track.find("VOLPAN")[1:3])
            assert (volume, pan) == (pytest.approx(factor(channel.gain_db)), channel.pan)
            assert track.find("MUTESOLO")[1:3] == [str(int(channel.mute)), str(int(channel.solo))]
            assert int(track.find("PEAKCOL")[1]) & 0x1000000
        item = tracks[name].find("ITEM")
        assert float(item.find("VOLPAN")[1]) == pytest.approx(factor(trims[name]))
        source = item.find("SOURCE")
        assert (source.attrib, source.find("FILE")[1]) == (["WAVE"], f"stems/{name}.wav")
        assert float(item.find("LENGTH")[1]) == pytest.approx(open_audio(song / "stems" / f"{name}.wav").seconds)
    red = int(tracks["piano"].find("PEAKCOL")[1])
    assert (red & 0xFF, red >> 8 & 0xFF, red >> 16 & 0xFF) == (0x3B, 0x6F, 0xB6)


def heard(source) -> tuple[set[tuple[int, int, int, int]], list[tuple[int, list[str]]], list[tuple[int, bytes]]]:
    """The notes (onset, duration, pitch, velocity), other messages and texts of a MIDI item's source."""
    now, begun, notes, others, texts = 0, {}, set(), [], []
    for child in source:
        if isinstance(child, list) and child[0] == "E":
            now += int(child[1])
            status, first, second = (int(word, 16) for word in child[2:5])
            if status & 0xF0 == 0x90:
                begun[first] = (now, second)
            elif status & 0xF0 == 0x80:
                onset, velocity = begun.pop(first)
                notes.add((onset, now - onset, first, velocity))
            else:
                others.append((now, child[2:5]))
        elif not isinstance(child, list | str):
            now += int(child.attrib[0])
            texts.append((now, base64.b64decode(child.children[0])))
    return notes, others, texts


def test_reaper_items_hold_the_notes(reaper) -> None:
    score = whole_band()
    tracks = {track.find("NAME")[1]: track for track in reaper.findall("TRACK")}
    for part in score.parts:
        item = tracks[f"{part.name} (MIDI)"].find("ITEM")
        assert float(item.find("LENGTH")[1]) == pytest.approx(float(score.seconds(score.end_ticks)))
        source = item.find("SOURCE")
        assert source.find("HASDATA")[1:] == ["1", "480", "QN"]
        notes, others, texts = heard(source)
        assert notes == {(n.onset_ticks, n.duration_ticks, n.pitch, n.velocity) for n in part.notes}
        assert others[-1] == (score.end_ticks, ["b0", "7b", "00"])
        channel = 9 if part.is_drum else 0
        assert (0, [f"{0xC0 | channel:02x}", f"{part.program:02x}", "00"]) in others
        assert texts == [(text.tick, b"\xff\x05" + text.text.strip("\r").encode()) for text in part.lyrics]
        if part.bank:
            assert others[:2] == [(0, ["b0", "00", "01"]), (0, ["b0", "20", "02"])]
        if part.bends:
            assert (480, ["e0", "7f", "7f"]) in others and (960, ["e0", "00", "00"]) in others


def test_reaper_map_and_regions(reaper) -> None:
    score = whole_band()
    assert reaper.find("TEMPO")[1:] == ["120", "4", "4"]
    points = [[float(value) for value in line[1:]] for line in lines(reaper.find("TEMPOENVEX"), "PT")]
    ticks = (0, 1920, 3840, 5000)
    assert [point[0] for point in points] == [pytest.approx(float(score.seconds(tick))) for tick in ticks]
    assert [point[1] for point in points] == [120, 60, 60, 90.5]
    assert [int(point[3]) if len(point) > 3 else None for point in points] == [4 << 16 | 4, None, 4 << 16 | 3, None]
    markers = lines(reaper, "MARKER")
    assert [(line[1], line[3]) for line in markers] == [("1", "verse"), ("1", ""), ("2", 'the "chorus"'), ("2", "")]
    assert float(markers[2][2]) == pytest.approx(float(score.seconds(3840)))


def test_a_project_elsewhere_finds_the_stems(song: Path, tmp_path: Path) -> None:
    rpp = pytest.importorskip("rpp")
    (tmp_path / "deep").mkdir()
    path = export(song, tmp_path / "deep" / "x.rpp")
    root = rpp.loads(path.read_text(encoding="utf-8"))
    files = [item.find("SOURCE").find("FILE") for track in root.findall("TRACK") for item in track.findall("ITEM")]
    found = [(path.parent / file[1]).resolve() for file in files if file is not None]
    assert len(found) == 4 and all(file.is_file() for file in found)


def test_names_that_break_lines_do_not_break_the_file(tmp_path: Path) -> None:
    rpp = pytest.importorskip("rpp")
    band = make_band(1)
    strange = replace(
        band,
        title="a \"b\" 'c' `d`\n>",
        markers=(Text(0, "<TRACK\n>"), Text(480, "")),
        parts=tuple(replace(part, lyrics=(Text(0, "so>\n"), Text(480, '"'))) for part in band.parts),
    )
    root = rpp.loads(export(strange, tmp_path / "x.rpp").read_text(encoding="utf-8"))
    assert len(root.findall("TRACK")) == 3
    assert [line[3] for line in lines(root, "MARKER")] == ["<TRACK >", "", "section 2", ""]


# What all exports share


@pytest.mark.parametrize("to", ["musicxml", "dawproject", "rpp"])
def test_the_same_song_makes_the_same_bytes(song: Path, to: str, tmp_path: Path) -> None:
    suffix = EXPORTERS.get(to).suffixes[0]
    one, other = (export(song, tmp_path / f"{name}{suffix}", to=to) for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


@pytest.mark.parametrize("to", ["musicxml", "dawproject", "rpp"])
def test_a_file_alone_will_do(to: str, tmp_path: Path) -> None:
    path = write_midi(whole_band(), tmp_path / "mine.mid")
    target = export(path, to=to)
    assert target == tmp_path / f"mine{EXPORTERS.get(to).suffixes[0]}" and target.stat().st_size > 1000
    if to == "dawproject":
        root, archive = opened(target)
        check_project(root)
        assert archive.namelist() == ["project.xml", "metadata.xml"]
        assert [track.get("name") for track in root.iter("Track")] == ["piano", "guitar", "bass", "drums", "Master"]


def test_chords_and_title_are_read_back_from_the_file(song: Path) -> None:
    project = read_project(song, stems=False)
    assert [chord.text for chord in project.score.chords[:4]] == ["Am", "F", "C", "G"]
    assert project.score.title == "band"
    words = replace(make_band(1), chords=(Text(0, "Am"), Text(1, "written in a hurry"), Text(2, "by someone")))
    assert project_of(words).score.chords == words.chords
    data = midi_bytes(words)
    assert not read_midi(data).chords


def test_words_are_no_chords(tmp_path: Path) -> None:
    words = replace(make_band(1), chords=(Text(0, "A"), Text(1, "song"), Text(2, "by someone")))
    assert not read_project(write_midi(words, tmp_path / "x.mid")).score.chords


def test_a_failure_leaves_what_was_there(song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "song.rpp"
    target.write_text("mine")

    def breaks(self: object, project: Project, path: Path, place: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EXPORTERS.get("rpp"), "write", breaks)
    with pytest.raises(OutputError, match="no space left"):
        export(song, target)
    assert target.read_text() == "mine" and list(tmp_path.iterdir()) == [target]


def test_another_package_adds_a_format(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Names:
        suffixes = (".txt",)
        wants_stems = False

        def check(self) -> None: ...

        def write(self, project: Project, path: Path, place: Path) -> None:
            path.write_text(",".join(part.name for part in project.score.parts))

    monkeypatch.setitem(EXPORTERS._targets, "names", "nowhere:Names")
    monkeypatch.setitem(EXPORTERS._loaded, "names", Names)
    assert export(make_band(1), tmp_path / "x.txt").read_text() == "piano,guitar,bass"


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: object, **more: object):
        if name == "rpp":
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingTool, match=r"rpp is not installed.*pip install rpp"):
        export(make_band(1), tmp_path / "x.rpp")
    assert not list(tmp_path.iterdir())


def test_requests_that_cannot_be_met(tmp_path: Path, song: Path) -> None:
    for text, words in (("mp5", "unknown format 'mp5'"), ("musicxm", "did you mean musicxml")):
        with pytest.raises(BadRequest, match=words):
            formats_of(text)
    assert formats_of("RPP, musicxml,rpp") == ("rpp", "musicxml")
    with pytest.raises(BadRequest, match="its suffix is of no format"):
        format_of(Path("x.pdf"))
    with pytest.raises(BadRequest, match="export to what"):
        export(song)
    with pytest.raises(BadFile, match=r"holds no song\.mid"):
        export(tmp_path, to="rpp")
    with pytest.raises(OutputError, match="is a folder"):
        export(make_band(1), tmp_path, to="rpp")
    with pytest.raises(OutputError, match="is the song itself"):
        export(song / "song.mid", song / "song.mid", to="musicxml")
    with pytest.raises(OutputError, match="cannot be written"):
        export(make_band(1), tmp_path / "no" / "such" / "x.rpp")
    assert package.export is export


def test_tempos_without_the_microseconds() -> None:
    for qpm in (86.0, 119.5, 60.0, 133.33):
        assert plain_tempo(6e7 / round(6e7 / qpm)) == qpm
    assert plain_tempo(120.123456) == 120.123456


def test_strips_of_unknown_instruments() -> None:
    strip = Strip("x", "other")
    assert strip.colour.startswith("#") and strip.pan == 0.0
    assert Project(make_band(1)).title == "band" and Project(Score(())).title == "midigen"
    assert Project(make_band(1)).seconds == pytest.approx(2.0, abs=0.1)


def any_score(seed: int) -> Score:
    """A score that no musician would write, of all that a MIDI file may hold."""
    dice = random.Random(seed)
    quarter = dice.choice((1, 2, 24, 96, 120, 480, 960, 10_080, 32_767))
    end = dice.randint(1, 8) * 4 * quarter
    metres = [Metre(0, dice.randint(1, 17), 2 ** dice.randint(0, 6))]
    for _ in range(dice.randint(0, 3)):
        metres.append(
            Metre(metres[-1].tick + dice.randint(1, 9 * quarter), dice.randint(1, 12), 2 ** dice.randint(1, 4))
        )
    tempos = [Tempo(0, dice.choice((0.5, 20.0, 120.0, 3000.5)))]
    tempos += [Tempo(dice.randint(1, end) + n * end, dice.uniform(5, 400)) for n in range(dice.randint(0, 3))]

    def words(known: Sequence[str]) -> tuple[Text, ...]:
        return tuple(sorted(Text(dice.randint(0, end), dice.choice(known)) for _ in range(dice.randint(0, 6))))

    parts = []
    for number in range(dice.randint(1, 3)):
        notes = []
        for _ in range(dice.randint(1, 50)):
            onset = dice.randint(0, end)
            onset = onset // max(quarter // 4, 1) * max(quarter // 4, 1) if dice.random() < 0.6 else onset
            length = dice.choice((0, 1, quarter // 8, quarter // 2, quarter, 9 * quarter))
            notes.append(Note(onset, dice.randint(0, 127), length, dice.randint(1, 127)))
        parts.append(
            Part(
                f"{number} {dice.choice(('piano', '<&>', 'ü', 'a' * 80))}", dice.choice(("piano", "guitar", "other")),
                dice.randint(0, 127), dice.random() < 0.25, notes=tuple(sorted(notes)),
                controls=tuple(sorted(Control(dice.randint(0, end), dice.randint(0, 127), 5) for _ in range(2))),
                bends=(Bend(dice.randint(0, end), dice.randint(-8192, 8191)),),
                lyrics=words(("la ", "lo", "\r", "é-", "好", "_")),
            )
        )  # fmt: skip
    keys = (Key(0, dice.randint(0, 11), dice.choice(("major", "minor"))),)[: dice.randint(0, 1)]
    chords = words(("Am", "C7(b9)/E", "N.C.", "Bb", "F#m7b5", "rubbish", "E7#9", "Dbmaj13", "Ebdim7"))
    return Score(
        tuple(parts), tuple(tempos), tuple(metres), keys, words(("A", "", 'verse & "x"')), chords,
        title=dice.choice(("", "<>")), ticks_per_quarter=quarter,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(24))
def test_whatever_a_score_holds_can_be_written(seed: int, tmp_path: Path) -> None:
    project = project_of(any_score(seed))
    root, _ = opened(write_export(project, "dawproject", tmp_path / "x.dawproject"))
    check_project(root)
    page = ElementTree.parse(write_export(project, "musicxml", tmp_path / "x.musicxml")).getroot()
    for measure in page.iter("measure"):
        lengths, at = set(), 0
        for element in measure:
            if element.tag == "backup":
                lengths.add(at)
                at -= int(element.findtext("duration") or 0)
            elif element.tag == "note" and element.find("chord") is None:
                at += int(element.findtext("duration") or 0)
        assert lengths | {at} == {at} and at > 0
    rpp = pytest.importorskip("rpp")
    text = write_export(project, "rpp", tmp_path / "x.rpp").read_text(encoding="utf-8")
    assert len(rpp.loads(text).findall("TRACK")) == len(project.strips)


# The command line


def test_the_verb(midigen: Callable[..., Ended], song: Path) -> None:
    done = midigen("export", song, "--to", "musicxml", "-o", "page.musicxml")
    assert done.code == 0 and done.out.startswith("page.musicxml: ")
    assert midigen("export", song / "song.mid", "-o", "x.mxl").code == 0
    assert zipfile.is_zipfile("x.mxl")
    assert midigen("export", song, "--to", "pdf").complains("unknown format", "dawproject, musicxml, rpp")
    assert midigen("export", song).complains("export to what?", "--to")
    assert midigen("export", "nothing.mid", "--to", "rpp").complains("nothing.mid", "no such file")
    Path("bad.mid").write_bytes(b"MThd\0\0\0\6\0\1\0\1\0\0MTrk\0\0\0\4\0\xff\x2f\0")
    assert midigen("export", "bad.mid", "--to", "rpp").code == 2
    write_midi(Score(()), "empty.mid")
    assert midigen("export", "empty.mid", "--to", "musicxml").complains("empty.mid", "no notes")
    assert sorted(path.name for path in Path().iterdir()) == ["bad.mid", "empty.mid", "page.musicxml", "x.mxl"]


def test_a_format_that_is_not_known_is_refused_before_the_work(midigen: Callable[..., Ended], song: Path) -> None:
    for words in (
        ["compose", "--bars", 1],
        ["compose", "--count", 2, "--bars", 1],
        ["render", song / "song.mid"],
        ["infill", song, "--bars", "1-1"],
    ):
        assert midigen(*words, "--export", "xml").complains("unknown format", "choose one of")
    assert not list(Path().iterdir())


@needs_fluidsynth
def test_a_song_is_written_with_its_exports(midigen: Callable[..., Ended]) -> None:
    write_midi(make_band(2), "mine.mid")
    done = midigen("render", "mine.mid", "--export", "musicxml,dawproject", "--export", "rpp", "-o", "out")
    assert done.code == 0, done.err
    files = {"song.musicxml", "song.dawproject", "song.rpp"}
    assert files <= {path.name for path in Path("out").iterdir()} and files <= set(done.out.split())
    record = json.loads(Path("out/midigen.json").read_text(encoding="utf-8"))
    assert files <= set(record["files"])
    assert "stems/piano.wav" in Path("out/song.rpp").read_text(encoding="utf-8")
    root, _ = opened(Path("out/song.dawproject"))
    check_project(root)
    # The verb makes of the folder what the option made of the song.
    for name in sorted(files):
        before = Path("out", name).read_bytes()
        assert midigen("export", "out", "-o", Path("out", name)).code == 0
        assert Path("out", name).read_bytes() == before, name
    # A song with exports is one that may be replaced, and loses them where they are not asked for again.
    assert midigen("render", "mine.mid", "-o", "out", "--force").code == 0
    assert not files & {path.name for path in Path("out").iterdir()}


def test_write_export_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"give a file such as .*song\.musicxml"):
        write_export(project_of(make_band(1)), "musicxml", tmp_path)
