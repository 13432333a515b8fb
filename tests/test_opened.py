"""Opening somebody's MIDI file: events, notes, parts, names; and files that are broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hexdumps import END, chunk, header, riff, smf
from hypothesis import given
from hypothesis import strategies as st

from midigen.charsets import decode, encode, guess_charset
from midigen.errors import BadFile, MidigenError
from midigen.events import Event, events, meta, meta_of, read_events
from midigen.midi import midi_bytes, read_midi
from midigen.opened import open_song
from midigen.recognition import kind_by_name
from midigen.score import Bend, Control, Key, Metre, Note, Score, Tempo, Text

NOTE = "00 903c40  # a C on channel 1\n60 803c40"


def name(text: str, charset: str = "utf-8") -> str:
    """A track name as a line of a dump."""
    return "00 " + meta(3, text.encode(charset)).hex()


def line(channel: int, *pitches: int) -> str:
    """A quarter of each pitch, one after the other."""
    return "\n".join(f"00 {0x90 | channel:02x}{pitch:02x}50\n60 {0x80 | channel:02x}{pitch:02x}00" for pitch in pitches)


def notes(dump: str, kind: int = 1) -> list[tuple[Note, ...]]:
    return [part.notes for part in open_song(smf(dump, kind=kind)).score.parts]


def test_every_kind_of_event_keeps_its_bytes() -> None:
    song = smf(
        """00 ff0103 e38394      # text
           00 ff01 8003 414243   # its length takes two bytes where one would do
           60 ff0a 02 beef      # an unknown meta, a quarter later
           00 f0 03 4312f7       # SysEx
           00 f0 02 4312         # SysEx in two pieces ...
           10 f7 02 01f7         # ... of which this is the second
           00 f7 01 f8           # an escape: a clock
           00 90 3c40            # a note
           60 3c00               # let go in running status
           00 ff5104 07a12000    # a tempo with a byte too many
           00 b0 0790            # a controller that is out of range
        """
        + END
    )
    assert [(tick, data.hex()) for _, tick, data in events(song)] == [
        (0, "ff0103e38394"),
        (0, "ff018003414243"),
        (0x60, "ff0a02beef"),
        (0x60, "f0034312f7"),
        (0x60, "f0024312"),
        (0x70, "f70201f7"),
        (0x70, "f701f8"),
        (0x70, "903c40"),
        (0xD0, "903c00"),
        (0xD0, "ff510407a12000"),
        (0xD0, "b00790"),
        (0xD0, "ff2f00"),
    ]


raw_events = st.one_of(
    st.tuples(st.integers(0x80, 0xBF), st.integers(0, 127), st.integers(0, 255)).map(bytes),
    st.tuples(st.integers(0xC0, 0xDF), st.integers(0, 127)).map(bytes),
    st.tuples(st.integers(0xE0, 0xEF), st.integers(0, 127), st.integers(0, 127)).map(bytes),
    st.builds(meta, st.integers(0, 127).filter(lambda kind: kind != 0x2F), st.binary(max_size=200)),
    st.binary(max_size=127).map(lambda data: bytes([0xF0, len(data)]) + data),
    st.binary(max_size=127).map(lambda data: bytes([0xF7, len(data)]) + data),
)
raw_tracks = st.lists(st.tuples(st.integers(0, 2**21), raw_events), max_size=30)


@given(st.lists(raw_tracks, min_size=1, max_size=3), st.booleans())
def test_what_is_written_is_read_event_for_event(tracks: list[list[tuple[int, bytes]]], wrapped: bool) -> None:
    empty = read_events(smf(*(END for _ in tracks)))
    timed = []
    for track in tracks:
        now, found = 0, []
        for delta, data in track:
            now += delta
            found.append((now, data))
        timed.append([*found, (now, meta(0x2F))])
    data = empty.with_tracks({n: [Event(*event) for event in track] for n, track in enumerate(timed)})
    if wrapped:
        data = riff(data, b"LIST\4\0\0\0INFO")
    assert events(data) == [(number, *event) for number, track in enumerate(timed) for event in track]


def test_the_notes_of_a_key_end_in_the_order_they_begin() -> None:
    twice = """00 903c40
               10 903c41    # struck again while it sounds
               10 803c00    # ends the first
               10 803c00    # ends the second
            """
    assert notes(twice + END) == [(Note(0, 60, 32, 64), Note(16, 60, 32, 65))]
    assert notes("00 903c40\n00 803c00\n" + END) == [(Note(0, 60, 0, 64),)]
    assert notes("00 803c00  # ends nothing\n00 903c40\n10 903c00\n" + END) == [(Note(0, 60, 16, 64),)]
    assert notes("00 903c40\n10 803c00\n00 903c42\n10 803c00\n" + END) == [(Note(0, 60, 16, 64), Note(16, 60, 16, 66))]


def test_a_note_that_is_never_let_go_lasts_to_the_end_of_the_file() -> None:
    song = open_song(smf("00 903c40\n10 903c41\n10 803c00\n" + END, "8100 ff2f00"))
    assert song.score.parts[0].notes == (Note(0, 60, 32, 64), Note(16, 60, 112, 65))


def test_a_track_without_an_end_or_with_more_after_it() -> None:
    assert notes(NOTE) == [(Note(0, 60, 96, 64),)]
    after = smf(NOTE + "\n" + END + "\n00 903e40\n60 803e40")
    assert [part.notes for part in open_song(after).score.parts] == [(Note(0, 60, 96, 64),)]


def test_parts_of_a_band() -> None:
    song = open_song(
        smf(
            "00 ff5103 07a120\n00 ff5804 03022408  # 3/4\n00 ff5902 ff01  # D minor\n" + END,
            name("Left hand") + "\n00 c000\n" + line(0, 60, 64) + END,
            name("") + "\n00 c11b  # clean guitar\n" + line(1, 52) + END,
            name("guitar") + "\n00 c219\n00 b20008  # a bank, chosen too late\n" + line(2, 52) + END,
            name("Kit") + "\n00 b90040\n00 c910\n" + line(9, 36, 38) + END,
            name("Solo") + "\n00 c349\n" + line(3, 72) + "\n" + line(4, 74) + END,
        )
    )
    assert [(p.name, p.kind, p.program, p.is_drum, p.track, p.channel) for p in song.parts] == [
        ("Left hand", "piano", 0, False, 1, 0),
        ("guitar", "guitar", 27, False, 2, 1),
        ("guitar 2", "guitar", 25, False, 3, 2),
        ("Kit", "drums", 16, True, 4, 9),
        ("flute", "other", 73, False, 5, 3),
        ("piano", "piano", 0, False, 5, 4),
    ]
    assert [p.bank for p in song.parts] == [0, 0, 0, 64 * 128, 0, 0]
    assert [(p.name, p.kind, p.program, p.is_drum, p.bank) for p in song.score.parts] == [
        (p.name, p.kind, p.program, p.is_drum, p.bank) for p in song.parts
    ]
    assert song.score.tempos == (Tempo(0, 120.0),)
    assert song.score.metres == (Metre(0, 3, 4),)
    assert song.score.keys == (Key(0, 2, "minor"),)
    assert song.score.ticks_per_quarter == 96
    heard = song.with_parts([2, 0])
    assert [p.name for p in heard.parts] == [p.name for p in heard.score.parts] == ["guitar 2", "Left hand"]
    assert heard.data == song.data


def test_a_file_of_one_track_is_named_by_its_instruments() -> None:
    song = open_song(
        smf(name("My song") + "\n00 c000\n00 c126\n" + line(0, 60) + line(1, 40) + line(9, 36) + END, kind=0)
    )
    assert [(p.name, p.kind, p.channel) for p in song.parts] == [
        ("piano", "piano", 0),
        ("bass", "bass", 1),
        ("drums", "drums", 9),
    ]
    alone = open_song(smf(name("My song") + "\n00 c021\n" + line(0, 40) + END, kind=0))
    assert [p.name for p in alone.parts] == ["bass"]


def test_the_program_that_plays_most_of_the_notes() -> None:
    song = open_song(smf("00 c018\n" + line(0, 60) + "\n00 c021\n" + line(0, 40, 41, 43) + END))
    assert [(p.program, p.kind, len(n.notes)) for p, n in zip(song.parts, song.score.parts, strict=True)] == [
        (33, "bass", 4)
    ]


def test_a_program_counts_from_its_tick_on() -> None:
    late = smf(END, "00 903c40\n01 c021\n60 803c00\n" + END)
    assert [(part.program, part.kind) for part in open_song(late).parts] == [(0, "piano")]
    later = smf(END, "00 903c40\n01 c021\n60 803c00\n" + line(0, 36) + END)
    assert [(part.program, part.kind) for part in open_song(later).parts] == [(33, "bass")]


def test_a_track_of_set_up_speaks_for_the_channels_of_others() -> None:
    set_up = "00 b00001\n00 c021\n00 b00780\n" + END
    song = open_song(smf(set_up, line(0, 40) + END, line(0, 60) + END, "00 c105\n" + line(1, 60) + END))
    assert [(p.program, p.bank, p.kind) for p in song.parts] == [(33, 128, "bass"), (33, 128, "bass"), (5, 0, "piano")]
    # What a channel hears is said to each of its parts, whoever sends it.
    assert [part.controls for part in song.score.parts] == [(Control(0, 7, 0),), (Control(0, 7, 0),), ()]
    turns = open_song(smf("50 b00740\n00 e00050\n" + END, "10 b00741\n00 e00060\n" + NOTE + "\n" + END))
    assert turns.score.parts[0].controls == (Control(16, 7, 65), Control(80, 7, 64))
    assert turns.score.parts[0].bends == (Bend(16, 4096), Bend(80, 2048))


def test_controllers_bends_and_texts() -> None:
    song = open_song(
        smf(
            "00 ff0605 5665727365  # Verse\n00 ff0502 6c61\n60 ff0104 4e6f7465\n" + END,
            "00 b04000\n00 b0407f\n00 e00060\n00 b02003\n" + line(0, 60) + END,
        )
    )
    (part,) = song.score.parts
    assert part.controls == (Control(0, 64, 0), Control(0, 64, 127))
    assert part.bends == (Bend(0, 4096),)
    assert song.score.markers == (Text(0, "Verse"),)
    assert song.score.lyrics == (Text(0, "la"),)


def test_metas_that_are_too_short_or_impossible_are_passed_over() -> None:
    song = open_song(
        smf(
            """00 ff5102 07a1        # a tempo of two bytes
               00 ff5103 000000      # and one of nothing
               00 ff5801 04          # a metre of one byte
               00 ff5804 00021808    # 0/4
               00 ff5804 04071808    # 4/128
               00 ff5902 0900        # nine sharps
               00 ff5900             # no key at all
               00 ff5405 ffffffffff  # no time of day
               10 ff5802 0602        # a metre that says only what is needed: 6/4
            """
            + NOTE
            + "\n"
            + END
        )
    )
    assert song.score.tempos == (Tempo(0, 120.0),)
    assert song.score.metres == (Metre(0, 4, 4), Metre(16, 6, 4))
    assert song.score.keys == ()


XG_ON, XG_PART = "00 f008 43104c00007e00f7", "00 f008 43104c08{part:02x}07{mode:02x}f7"


def test_drums_on_other_channels() -> None:
    def drums(*set_up: str) -> list[int]:
        tracks = ["\n".join(set_up) + "\n" + END, *(line(channel, 36) + END for channel in (0, 9, 10))]
        return [part.channel for part in open_song(smf(*tracks)).parts if part.is_drum]

    assert drums() == [9]
    assert drums("00 f00a 4110421240 1a 15 02 0ff7") == [9, 10]  # GS: block A is channel 11
    assert drums("00 f00a 4110421240 11 15 01 0ff7") == [0, 9]  # block 1 is channel 1
    assert drums("00 f00a 4110421240 10 15 00 0ff7") == []  # block 0 is channel 10, here not for rhythm
    assert drums(XG_PART.format(part=10, mode=2)) == [9, 10]
    bank = "00 b0007f\n00 c000"
    assert drums(bank) == [9]  # bank 127 says nothing by itself,
    assert drums(XG_ON, bank) == [0, 9]  # but much in XG
    assert drums("00 ba0078\n00 ca00") == [9, 10]  # General MIDI 2


@pytest.mark.parametrize(
    ("title", "set_up", "pitches", "kind"),
    [
        # Where programs are set they speak, and a name only beside program 0.
        ("Bass", "00 c000", [60] * 9, "bass"),
        ("Melody", "00 c000", [60] * 9, "piano"),
        ("Violin", "00 c000", [60] * 9, "piano"),
        ("Bass", "00 c01b", [40] * 9, "guitar"),
        ("Bass", "00 c051", [30] * 9, "bass"),
        ("Bass", "00 c034", [40] * 9, "other"),
        ("", "00 c026", [30] * 9, "bass"),
        ("", "00 c027", [30] * 9, "bass"),
        ("", "00 c02b", [30] * 9, "bass"),
        ("", "00 c02b", [70] * 9, "other"),
        ("Lead", "00 c057", [30] * 9, "bass"),
        ("Tom", "00 c075", [45] * 9, "other"),
        ("Drums", "00 c075", [45] * 9, "drums"),
        ("Drums", "00 c00c", [45] * 9, "other"),
        # Where no program is set in the whole file, names speak, and then how low a line lies.
        ("E-Bass", "", [60] * 9, "bass"),
        ("Gitarre", "", [60] * 9, "guitar"),
        ("Schlagzeug", "", [36] * 9, "drums"),
        ("", "", [36, 38, 40, 41] * 3, "bass"),
        ("Take 3", "", [36, 38, 40, 41] * 3, "bass"),
        ("Tuba", "", [36, 38, 40, 41] * 3, "other"),
        ("", "", [60, 62, 64, 65] * 3, "other"),
        ("", "", [36, 38], "other"),
    ],
)
def test_what_plays_a_part(title: str, set_up: str, pitches: list[int], kind: str) -> None:
    song = open_song(smf(END, name(title) + "\n" + set_up + "\n" + line(0, *pitches) + END))
    assert [(part.kind, part.is_drum) for part in song.parts] == [(kind, kind == "drums")]


def test_low_chords_are_no_bass() -> None:
    chords = "\n".join("00 902440\n00 902b40\n60 802400\n00 802b00" for _ in range(8))
    assert [part.kind for part in open_song(smf(chords + "\n" + END)).parts] == ["other"]
    legato = "00 902440\n" + "\n".join(
        f"58 90{on:02x}40\n08 80{off:02x}00" for off, on in zip([0x24, 0x26] * 5, [0x26, 0x24] * 5, strict=True)
    )
    assert [part.kind for part in open_song(smf(legato + "\n20 802400\n" + END)).parts] == ["bass"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            "bass",
            "Bass, E-Bass, Basse, Kontrabass, Contrebasse, Bajo, Baixo, basso, Synth Bass 1, Bass Guitar, slapbass",
        ),
        ("bass", "String Bass, Бас-гитара, ベース, 贝斯, 低音吉他, 베이스, BASS_2, Fretless Bs"),
        (
            "guitar",
            "Gitarre, guitare, Guitarra, chitarra, Lead GTR, E-Gitarre, Гитара 2, ギター, エレキギター, 吉他, 기타",
        ),
        (
            "piano",
            "Klavier, Pianoforte, Flügel, E.Piano, Rhodes, Keyboard, фортепиано, ピアノ, ﾋﾟｱﾉ, 钢琴, 鋼琴, 피아노",
        ),
        (
            "drums",
            "drums, Drum Kit, Schlagzeug, Bass Drum, Batería, batterie, Percussion, HiHat, Ударные, ドラムス, 鼓",
        ),
        ("other", "Bassoon, Bass Clarinet, Bass Voice, Steel Drums, Strings, Flügelhorn, Tuba, Violoncello, 小提琴"),
        (None, "Melody, Track 3, Channel #10, Basic, Barbara, , 2"),
    ],
)
def test_names_in_many_languages(kind: str | None, names: str) -> None:
    assert {one: kind_by_name(one) for one in names.split(", ")} == dict.fromkeys(names.split(", "), kind)


@pytest.mark.parametrize(
    ("charset", "words"),
    [
        ("utf-8", ["ピアノ", "Clarinet in B♭"]),
        ("cp1252", ["Flügel"]),
        ("cp1252", ["Batería"]),
        ("cp1252", ["Flûte", "Contrebasse à cordes"]),
        ("cp1252", ["© 1999 by somebody"]),
        ("cp1252", ["Dr. Eggman (Death Egg´s Hangar)"]),
        ("cp932", ["ピアノ"]),
        ("cp932", ["ギター", "ベース", "ドラムス"]),
        ("cp932", ["絃楽1"]),
        ("cp932", ["ﾋﾟｱﾉ"]),
        ("gb18030", ["钢琴"]),
        ("gb18030", ["吉他", "贝斯", "鼓", "弦乐"]),
        ("big5", ["鋼琴"]),
        ("cp949", ["피아노"]),
        ("cp1251", ["Бас"]),
        ("cp1251", ['Детские: "Песенка"', "слова: Л. Иванов"]),
        ("cp1250", ["wykonał"]),
    ],
)
def test_the_charset_of_names_is_guessed(charset: str, words: list[str]) -> None:
    raw = [word.encode(charset) for word in words]
    guess = guess_charset([b"Track 1", *raw])
    assert [decode(text, guess) for text in raw] == words
    assert [encode(word, guess) for word in words] == raw
    song = open_song(smf(END, *(name(word, charset) + "\n" + line(0, 60) + END for word in words)))
    assert [part.name for part in song.parts] == words


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_no_text_is_too_strange(texts: list[bytes]) -> None:
    charset = guess_charset(texts)
    for text in texts:
        assert isinstance(decode(text, charset), str)
    song = open_song(smf(*("00 " + meta(3, text).hex() + "\n" + NOTE + "\n" + END for text in (texts or [b""]))))
    assert len({part.name.casefold() for part in song.parts}) == len(song.parts)
    assert all(part.name and part.name.isprintable() for part in song.parts)


def test_names_are_unique_whatever_their_case() -> None:
    song = open_song(smf(*(name(text) + "\n" + NOTE + "\n" + END for text in ("Lead", "lead 2", "LEAD", "lead", ""))))
    assert [part.name for part in song.parts] == ["Lead", "lead 2", "LEAD 3", "lead 4", "part"]


def test_ports_are_read() -> None:
    song = open_song(smf("00 ff2101 00\n" + NOTE + "\n" + END, "00 ff2101 01\n" + NOTE + "\n" + END))
    assert [(part.port, part.channel) for part in song.parts] == [(0, 0), (1, 0)]


def test_a_riff_file_is_opened() -> None:
    plain = smf(NOTE + "\n00 ff0101 41\n" + END)  # of an odd length, so that a byte pads it
    assert len(plain) % 2
    song = open_song(riff(plain, b"LIST\4\0\0\0INFO"), "x.rmi")
    assert song.file.wrapper is not None
    assert events(song.data) == events(plain)
    assert song.file.with_tracks({}) == song.data
    mislaid = b"RIFF\xff\xff\0\0RMIDjunk\xff\xff\0\0" + plain
    assert events(mislaid) == events(plain)


def test_chunks_of_other_kinds_and_what_follows_the_last_stay() -> None:
    strange = b"XFIH\0\0\0\3abc"
    data = header(1, 2) + strange + chunk(NOTE) + strange + chunk(NOTE + "\n" + END) + b"\0\0\0"
    file = read_events(data)
    assert file.gaps == (header(1, 2) + strange, strange, b"\0\0\0")
    assert file.with_tracks({}) == data
    written = file.with_tracks({0: file.tracks[0].events, 1: file.tracks[1].events}, [file.tracks[1].events])
    assert events(written) == [*events(data), *((2, *event[1:]) for event in events(data) if event[0] == 1)]
    assert written.endswith(b"\0\0\0")


def test_the_same_score_as_the_quick_reader(band: Callable[..., Score]) -> None:
    data = midi_bytes(band(drums=True))
    quick, song = read_midi(data, "song.mid"), open_song(data, "song.mid")
    assert song.score == replace(quick, chords=band(drums=True).chords)  # texts are not the quick reader's


def test_texts_are_chords_where_all_of_a_track_look_like_it() -> None:
    said = "".join(f"00 {meta(1, text.encode()).hex()}\n" for text in ("Am", "C7(b9,#11)", "F♯m7b5/A", "N.C."))
    assert [text.text for text in open_song(smf(said + END, NOTE + "\n" + END)).score.chords] == [
        "Am", "C7(b9,#11)", "F♯m7b5/A", "N.C.",
    ]  # fmt: skip
    words = f"{said}00 {meta(1, b'A love song').hex()}\n"
    assert not open_song(smf(words + END, NOTE + "\n" + END)).score.chords


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a MIDI file"),
        (b"hello, I am a text", "not a MIDI file"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "not a MIDI file"),
        (b"MThd\x00\x00\x00\x06\x00", "truncated MIDI file .9 bytes"),
        (header(1, 1, 0xE728), "film frames .SMPTE"),  # 25 frames of 40 parts a second
        (header(1, 1, 0), "0 ticks a quarter"),
        (header(1, 0), "without a track"),
        (header(2, 1) + chunk(END), "type 2"),
        (header(7, 1) + chunk(END), "type 7"),
        (header(1, 1), "ends inside track 1 of 1"),
        (header(1, 2) + chunk(NOTE), "ends inside track 2 of 2"),
        (smf(NOTE)[:-1], "ends inside track 1 of 1"),
        (smf("00 90"), "track 1 ends inside an event"),
        (smf("00 903c40\n60"), "track 1 ends inside an event"),
        (smf("00 ff0120 41"), "track 1 ends inside an event"),
        (smf("00 f005 41"), "track 1 ends inside an event"),
        (smf(END, "00 3c40  # running on from nothing"), "track 2 has data before any message"),
        (smf("00 903c40\n60 9080"), "track 1 has a message without its data, at tick 96"),
        (smf("00 f4"), "0xF4"),
        (smf("ffffffff7f 903c40"), "a number of more than four bytes"),
        (smf("\n".join("ffffff7f b00000" for _ in range(9))), "ends beyond tick 2147483647"),
    ],
)
def test_what_cannot_be_edited_is_refused_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words) as refused:
        open_song(data, "x.mid")
    assert str(refused.value).startswith("x.mid: ")
    assert ";" in str(refused.value) or "(" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such file"):
        open_song(tmp_path / "gone.mid")
    with pytest.raises(BadFile, match="cannot be read"):
        open_song(tmp_path)
    (tmp_path / "song.mid").write_bytes(smf(NOTE))
    song = open_song(tmp_path / "song.mid")
    assert (song.label, song.score.title) == (str(tmp_path / "song.mid"), "song")


def test_a_file_without_notes_has_no_parts() -> None:
    song = open_song(smf("00 ff5103 07a120\n00 c005\n" + END))
    assert (song.parts, song.score.parts) == ((), ())


@given(st.binary(max_size=300), st.booleans())
def test_noise_is_refused_and_never_crashes(noise: bytes, with_header: bool) -> None:
    data = header(1, 1) + b"MTrk" + len(noise).to_bytes(4, "big") + noise if with_header else noise
    try:
        song = open_song(data, "noise.mid")
    except MidigenError as refused:
        assert str(refused).startswith("noise.mid: ")
        assert "\n" not in str(refused)
    else:
        assert song.file.with_tracks({}) == data


@given(st.data())
def test_a_file_cut_short_is_refused(data: st.DataObject) -> None:
    whole = smf(*("\n".join([name("Part"), NOTE, NOTE, END]) for _ in range(3)))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(BadFile, match=r"not a MIDI file|truncated"):
        open_song(whole[:cut], "cut.mid")


def test_a_meta_is_read_as_it_was_written() -> None:
    event, _ = read_events(smf("00 " + meta(1, b"x" * 300).hex() + "\n" + END)).tracks[0].events
    assert meta_of(event) == (1, b"x" * 300)
