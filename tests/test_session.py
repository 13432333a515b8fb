"""A mix as values and as a file: what is written is read again, and what is wrong is told in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.effects.dynamics import Compressor
from midigen.effects.equaliser import Equaliser
from midigen.errors import BadFile, BadRequest, MidigenError, OutputError
from midigen.instruments import INSTRUMENTS
from midigen.session import (
    KINDS,
    MIX,
    TARGETS_LUFS,
    Bus,
    Channel,
    ChannelEqualiser,
    DelayReturn,
    DuckedBy,
    Master,
    ReverbReturn,
    Sends,
    Session,
    StemFile,
    keys_of,
    loudness_target,
)
from midigen.session.files import NAME, read_session, session_text, write_session
from midigen.session.presets import DEFAULT_PRESET, PRESETS, preset
from midigen.session.words import WORDS

BAND = [(name, name) for name in INSTRUMENTS]

# Sessions of every shape

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


def or_zero(low: float, high: float) -> st.SearchStrategy[float]:
    return st.just(0.0) | number(low, high)


gains = number(-60, 24)
bands = {
    "high_pass_hz": or_zero(10, 2_000),
    "high_pass_slope_db": st.sampled_from([12, 24]),
    "low_db": number(-24, 24),
    "mid_hz": number(20, 20_000),
    "high_hz": number(500, 20_000),
}
equalisers = st.builds(Equaliser, **bands)
compressors = st.builds(Compressor, threshold_db=number(-80, 0), ratio=number(1, 100), knee_db=number(0, 40))


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    buses = draw(st.dictionaries(names.filter(lambda name: name != MIX), st.builds(
        Bus, gain_db=gains, equaliser=equalisers, compressor=st.none() | compressors), max_size=2))  # fmt: skip
    channels = st.builds(
        Channel,
        gain_db=gains,
        pan=st.none() | number(-1, 1),
        width=number(0, 2),
        mute=st.booleans(),
        solo=st.booleans(),
        bus=st.sampled_from([MIX, *buses]),
        equaliser=st.builds(ChannelEqualiser, **bands, auto=st.booleans()),
        compressor=st.none() | compressors,
        ducking=st.none() | st.builds(DuckedBy, by=names, depth_db=number(0, 48)),
        sends=st.builds(Sends, st.none() | gains, st.none() | gains),
    )
    delays = st.builds(DelayReturn, note=st.sampled_from(["", "1/8.", "1/4"]), feedback=number(0, 0.95), gain_db=gains)
    return Session(
        channels=draw(st.dictionaries(names, channels, max_size=2)),
        buses=buses,
        reverb=draw(st.builds(ReverbReturn, decay_seconds=number(0.1, 10), gain_db=gains)),
        delay=draw(delays),
        master=draw(st.builds(
            Master, target_lufs=st.sampled_from([*TARGETS_LUFS, "off"]) | number(-70, -5), equaliser=equalisers,
            ceiling_dbtp=number(-20, 0), compressor=st.none() | compressors,
        )),
        tempo_qpm=draw(number(40, 1_000)),
    )  # fmt: skip


stems = st.builds(StemFile, file=names, kind=st.sampled_from(KINDS), soundfont=st.text(max_size=5), preset=st.just(""))


@given(session=sessions(), title=st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read_again(session: Session, title: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / NAME
    titled = replace(session, title=title, artist=title[::-1])
    assert read_session(write_session(titled, path)) == titled


@given(stems=st.dictionaries(st.text(min_size=1, max_size=6), stems, min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_stems_are_read_again_whatever_they_are_called(
    stems: dict[str, StemFile], tmp_path_factory: pytest.TempPathFactory
) -> None:
    session = Session(stems=stems, channels={name: Channel(gain_db=1.0) for name in stems})
    path = tmp_path_factory.getbasetemp() / NAME
    try:
        write_session(session, path)
    except OutputError as error:  # half of a surrogate pair is no text
        assert "is not text" in str(error)
    else:
        assert read_session(path) == session


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_sessions_for_any_band(name: str, tmp_path: Path) -> None:
    for parts in (BAND, BAND[:1], [("lead", "guitar"), ("pad", "other"), ("guitar", "guitar")]):
        session = preset(name).seated(parts)
        session.check(parts)
        assert list(session.channels) == [part for part, _ in parts]
        assert all(channel.pan is not None for channel in session.channels.values())
        assert read_session(write_session(session, tmp_path / NAME)) == session
        assert session.seated(parts) == session


def test_presets_have_names_and_unknown_ones_list_them() -> None:
    assert set(PRESETS) >= {"pop", "rock", "jazz-trio", "ballad", "dry"}
    assert DEFAULT_PRESET in PRESETS
    assert preset("dry") == Session()
    with pytest.raises(BadRequest, match=r"unknown preset 'jazz' \(did you mean jazz-trio\?\): choose from pop"):
        preset("jazz")


# What the file tells its reader


def test_every_key_has_words() -> None:
    for kind, words in WORDS.items():
        assert list(words) and set(words) == {field.name for field in fields(kind)}, kind


def made(kind: type, key: str, value: Any) -> Any:
    needed = {DuckedBy: {"by": "drums"}, StemFile: {"file": "x.wav"}}.get(kind, {})
    return kind(**{**needed, key: value})


RANGES: list[tuple[type, str, float, float]] = [
    (kind, key, float(found[1]), float(found[2]))
    for kind, words in WORDS.items()
    for key, text in words.items()
    if (found := re.match(r"(-?[\d.]+) to (-?[\d.]+)", text))
]


def test_the_ranges_that_are_told_are_those_that_hold() -> None:
    assert len(RANGES) > 40
    for kind, key, low, high in RANGES:
        for good in (low, high):
            assert getattr(made(kind, key, good), key) == good
        beyond = (low - 0.01 * abs(low) - 0.001, high * 1.01 if high > 0 else high + 0.001, float("nan"), float("inf"))
        for bad in beyond:
            with pytest.raises(BadRequest):
                made(kind, key, bad)


def test_a_producer_finds_all_that_can_be_turned(tmp_path: Path) -> None:
    """What a session does without stands in comments, and is right when the marks are taken away."""
    session = Session(stems={"piano": StemFile("piano.wav", "piano"), "drums": StemFile("drums.wav", "drums")},
                      channels={"piano": Channel(), "drums": Channel()})  # fmt: skip
    text = session_text(session)
    for kind, words in WORDS.items():
        for key in words:
            assert re.search(rf"\b{key}\b", text), (kind, key)
    written, examples = text.split("# More that can be turned", 1)
    examples = re.sub(r"^# ?", "", examples.split("\n", 1)[1], flags=re.MULTILINE)
    path = tmp_path / NAME
    path.write_text(written + examples, encoding="utf-8")
    more = read_session(path)
    assert list(more.buses) == ["band"]
    piano = more.channels["piano"]
    assert (
        piano.compressor
        and piano.ducking
        and piano.sends.reverb_db is not None
        and piano.equaliser != Channel().equaliser
    )


def test_the_same_session_gives_the_same_bytes_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    session = preset("rock").seated(BAND)
    first = write_session(session, tmp_path / NAME).read_bytes()
    assert write_session(session, tmp_path / NAME).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    with pytest.raises(OutputError, match="cannot be written"):
        write_session(session, tmp_path / "gone" / NAME)


# What is wrong in a file

PIANO = '[stems.piano]\nfile = "piano.wav"\nkind = "piano"\n'
WRONG: list[tuple[str, str]] = [
    ("[channels.piano]\ngian_db = 1", r"\[channels.piano\] has no key 'gian_db' \(did you mean gain_db\?\): there"),
    ("[channel.piano]\ngain_db = 1", r"mix.toml: has no section 'channel' \(did you mean channels\?\)"),
    ("[channels.piano.compresor]\nratio = 2", r"no section 'compresor' \(did you mean compressor\?\)"),
    ("[channels.piano.compressor]\nration = 2", r"piano.compressor\] has no key 'ration' \(did you mean rat"),
    ("[channels.piano]\ngain_db = 'loud'", r'\[channels.piano\] gain_db = "loud": give a number: -60 to 24 dB'),
    ("[channels.piano]\ngain_db = true", r"gain_db = true: give a number"),
    ("[channels.piano]\nmute = 1", r"mute = 1: give true or false"),
    ("[channels.piano]\ngain_db = 500", r"\[channels.piano\] gain 500.0 is not a number of -60 to 24 dB"),
    ("[channels.piano]\ngain_db = nan", "gain nan is not a number"),
    ("[channels.piano]\npan = -inf", "pan -inf is not a number of -1 to 1"),
    ("[channels.piano]\nbus = 'bnad'\n[buses.band]", r"to bus 'bnad', .* \(did you mean band\?\): choose mix, band"),
    ("[channels.piano]\nequaliser = 3", r"equaliser = 3: is a section, write it as \[channels.piano.equaliser\]"),
    ("[channels]\npiano = 3", r"\[channels\] piano = 3: give each of them a section, such as \[channels.piano\]"),
    ("[channels.piano.gain_db]\nx = 1", r"\[channels.piano\] has no section 'gain_db'; gain_db is a key"),
    ("[channels.piano.equaliser]\nhigh_pass_slope_db = 12.5", "give a whole number: 12 or 24 dB an octave"),
    ("[channels.piano.equaliser]\nhigh_pass_slope_db = 18", "high-pass slope 18: choose 12 or 24"),
    ("[channels.piano.ducking]\ndepth_db = 3", r"\[channels.piano.ducking\] lacks by: the part"),
    ("[channels.piano.ducking]\nby = 'piano'", "piano is ducked by itself: let by name another part"),
    ("[channels.piano.ducking]\nby = 'drums'", "piano is ducked by 'drums', which is not there: choose another part"),
    ("[channels.flute]\ngain_db = 1", "no part 'flute': there are piano"),
    ("[buses.mix]\ngain_db = 1", "bus 'mix' is the one that all others end in"),
    ("[delay]\nnote = '1/5'", r"\[delay\] note value '1/5': write one such as 1/4"),
    ("tempo_qpm = 10\n[delay]\nnote = '2/1'", "delay 48.0 is not a number of 0.01 to 5 seconds"),
    ("[master]\ntarget_lufs = 'loud'", r"\[master\] loudness 'loud': choose streaming, podcast, broadcast, off or a"),
    ("[master]\ntarget_lufs = 'brodcast'", r"did you mean broadcast\?"),
    ("[master]\ntarget_lufs = 3", "loudness 3.0 is not a number of -70 to -5 LUFS"),
    ("[master]\nceiling_dbtp = 1" + "0" * 400, "ceiling 1e\\+300 is not a number of -20 to 0 dBTP"),
    ("[stems.bass]\nkind = 'bass'", r"\[stems.bass\] lacks file: relative to this file"),
    ("[stems.bass]\nfile = 'b.wav'\nkind = 'bas'", r"kind 'bas' \(did you mean bass\?\): choose piano"),
    ("format = 2", "of format 2, this midigen reads 1; update midigen"),
    ("x = = 1", r"line 4 is not TOML \(Invalid value\)"),
    ("[master]\nceiling_dbtp = -1\nceiling_dbtp = -2", "line 6 is not TOML"),
    ("[master", "line 4 is not TOML"),
    ("x = 2026-13-45", "line 4 is not TOML"),
    ("x = " + "[" * 5_000, "is not TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), WRONG, ids=[text[:40] for text, _ in WRONG])
def test_what_is_wrong_in_a_file_is_told_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    at_the_top = text.startswith(("format", "tempo", "x ="))
    path.write_text(text + "\n" + PIANO if at_the_top and "line 4" not in says else PIANO + text, encoding="utf-8")
    with pytest.raises(BadFile, match=says) as caught:
        read_session(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with pytest.raises(BadFile, match=r"no such file; give a mix\.toml"):
        read_session(path)
    with pytest.raises(BadFile, match="no such file"):
        read_session(tmp_path)  # a folder stands for its mix.toml
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadFile, match="is not a text in UTF-8"):
        read_session(path)
    path.write_bytes(b"\xef\xbb\xbfformat = 1\r\n[channels.piano]\r\ngain_db = 2\r\n")  # as Notepad saves it
    assert read_session(path).channels == {"piano": Channel(gain_db=2)}


@given(
    text=st.text(max_size=60)
    | st.builds(
        "[{}]\n{} = {}".format,
        st.sampled_from(["master", "channels.piano", "stems.x", "reverb", "buses.b"]),
        names,
        st.sampled_from(["1", "''", "nan", "[]", "{}"]),
    )
)
@settings(max_examples=80, deadline=None)
def test_whatever_a_file_holds_there_is_no_traceback(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / NAME
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        read_session(path)
    except BadFile as error:
        assert str(error).isprintable(), repr(str(error))


# What a session does


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Channel(gain_db=24.1), r"gain 24.1 is not a number of -60 to 24 dB"),
        (lambda: Channel(pan=1.01), "pan 1.01 is not a number of -1 to 1"),
        (lambda: Channel(width=-0.1), "width"),
        (lambda: Channel(mute="yes"), "mute 'yes': say true or false"),  # type: ignore[arg-type]
        (lambda: Sends(reverb_db=25), "send to the reverb 25"),
        (lambda: DuckedBy(by=""), "ducking by nobody"),
        (lambda: Session(channels={"piano": Channel(bus="band")}), r"piano goes to bus 'band'.*\[buses.band\]"),
        (lambda: Session(channels={"": Channel()}), "channels: one has no name"),
        (lambda: Session(tempo_qpm=0), "tempo 0"),
        (lambda: Master(target_lufs=0.0), "loudness 0.0"),
        (lambda: StemFile(""), "a stem without a file"),
    ],
)
def test_what_cannot_be_had_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        make()


def test_a_session_cannot_be_changed() -> None:
    channels = {"piano": Channel()}
    session = Session(channels=channels)
    channels["bass"] = Channel()
    assert list(session.channels) == ["piano"]
    with pytest.raises(TypeError):
        session.channels["bass"] = Channel()  # type: ignore[index]


def test_a_name_goes_before_an_instrument() -> None:
    parts = [("lead", "guitar"), ("rhythm", "guitar"), ("bass", "bass")]
    session = Session().changed(parts, gain_db={"guitar": -6, "lead": 2}, mute=["guitar"], solo=["bass"])
    assert [session.channels[name].gain_db for name, _ in parts] == [2, -6, 0]
    assert [session.channels[name].mute for name, _ in parts] == [True, True, False]
    assert [session.channels[name].solo for name, _ in parts] == [False, False, True]


def test_changes_are_added_to_what_is_set() -> None:
    session = preset("rock").seated(BAND)
    changed = session.changed(BAND, gain_db={"bass": -3}, mute=["piano"], target_lufs="off")
    assert changed.channels["bass"] == replace(session.channels["bass"], gain_db=-3)
    assert changed.channels["drums"] == session.channels["drums"]
    assert changed.changed(BAND, mute=["drums"]).channels["piano"].mute
    assert (changed.master.lufs, session.master.lufs) == (None, -14)
    assert session.changed(BAND) == session


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gain_db": {"piano": 500.0}}, "piano: gain 500.0 is not a number of -60 to 24 dB: 0 leaves it as it is"),
        ({"pan": {"bass": 2.0}}, "bass: pan 2.0 is not a number of -1 to 1"),
        ({"gain_db": {"flute": 1.0}}, "no part 'flute': choose from piano, guitar, bass, drums"),
        ({"mute": ["drum"]}, r"no part 'drum' \(did you mean drums\?\)"),
        ({"target_lufs": 3.0}, "loudness 3.0"),
    ],
)
def test_changes_that_cannot_be_made_name_the_part_and_the_range(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(MidigenError, match=says):
        Session().changed(BAND, **changes)


def test_who_ducks_whom() -> None:
    parts = [("lead", "guitar"), ("rhythm", "guitar"), ("bass", "bass")]
    assert keys_of("bass", "guitar", parts) == ["lead", "rhythm"]
    assert keys_of("lead", "guitar", parts) == ["rhythm"]
    assert keys_of("bass", "lead", parts) == ["lead"]
    assert keys_of("bass", "bass", parts) == keys_of("bass", "drums", parts) == []
    general = Session(channels={"bass": Channel(ducking=DuckedBy(by="drums"))})
    assert general.seated(parts).channels["bass"].ducking is None
    assert general.seated([*parts, ("kit", "drums")]).channels["bass"].ducking is not None
    with pytest.raises(
        BadRequest, match=r"ducked by 'drums', which is not there: choose another part \(lead, rhythm, guitar\)"
    ):
        general.check(parts)


def test_loudness_has_names() -> None:
    assert [loudness_target(name) for name in ("streaming", "podcast", "broadcast", "off")] == [-14, -16, -23, None]
    assert loudness_target(-9) == -9
    with pytest.raises(BadRequest, match=r"loudness 'podcats' \(did you mean podcast\?\)"):
        loudness_target("podcats")


def test_all_settings_are_dataclasses_with_defaults() -> None:
    """What is left out of a file has its default, but for what must be said."""
    needed = {(kind, field.name) for kind in WORDS for field in fields(kind)
              if field.default is MISSING and field.default_factory is MISSING}  # fmt: skip
    assert all(is_dataclass(kind) for kind in WORDS)
    assert needed == {(StemFile, "file"), (DuckedBy, "by")}
