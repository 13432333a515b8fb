"""Words set to music: divided, placed, written, read again."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from conftest import Ended, needs_fluidsynth
from hexdumps import END, riff, smf
from hypothesis import given
from hypothesis import strategies as st
from songs import make_song

import midigen.lyrics.languages as languages
from midigen.errors import BadFile, BadRequest, MissingTool
from midigen.events import LYRIC, events, meta
from midigen.lyrics import read_lyrics, set_lyrics, sing
from midigen.lyrics.files import with_lyrics
from midigen.lyrics.languages import LANGUAGES, detect, language_of
from midigen.lyrics.melody import choose_part, top_line
from midigen.lyrics.sheet import lyrics_text, read_sheet
from midigen.lyrics.splitting import split_word
from midigen.midi import midi_bytes, read_midi
from midigen.opened import open_song
from midigen.score import Note, Part, Score, Text
from midigen.syllables import Syllable, syllables_of

# As singers and dictionaries divide them.
DIVIDED = {
    "en": "a-way o-ver o-pen i-de-a ev-ery eve-ning in-to mem-o-ry an-oth-er beau-ti-ful run-ning lit-tle peo-ple "
    "wa-ter gon-na heav-en dar-ling be-lieve for-ev-er re-mem-ber to-night a-bove a-round wom-an ra-di-o love loved "
    "want-ed some-thing yes-ter-day seemed look-ing through win-dow fire hour don't did-n't could-n't gone hap-py "
    "na-tion spe-cial cu-ri-ous be-ing cry-ing day-light si-lence eyes smile whis-per lone-li-ness ta-ble ap-ple "
    "ques-tion qui-et the time breathe young your beau-ty cra-zy ba-by fa-ther flow-er o'er",
    "de": "A-bend Mu-sik Stra-ße Lie-be im-mer Au-gen-blick o-ben Er-de ge-liebt a-ber The-a-ter Him-mel Ster-ne "
    "träu-men Freu-de schö-ner Göt-ter-fun-ken Toch-ter E-ly-si-um wir be-tre-ten feu-er-trun-ken Hei-lig-tum ü-ber",
    "fr": "belle a-mour ou-bli-er mu-sique lu-mière é-toile frère dor-mez vous son-nez ma-tines vie chan-son cœur rose "
    "so-leil pa-role tou-jours ja-mais voy-age é-té monde fille",
    "es": "co-ra-zón vi-da a-mor tie-rra cie-lo a-gua can-ción a-ho-ra o-es-te dí-a gui-ta-rra can-tar no-che llo-ro",
    "it": "a-mo-re cie-lo a-ria vo-la-re mai vi-ta a-ni-ma stel-la can-to cuo-re bel-la fio-re se-ra not-te so-gno "
    "fi-glio",
    "pt": "co-ra-ção sau-da-de a-mor a-go-ra e-la ga-ro-ta lin-da mais gra-ça can-ção noi-te ma-nhã",
    "nl": "lief-de a-vond mor-gen wa-ter o-ver al-leen mooi zon-der jou huis ster-ren kij-ken",
    "sv": "kär-lek ö-ver som-mar jag äls-kar nat-ten him-len",
    "fi": "rak-kaus ra-kas tuu-li me-ri kau-nis syö-dä au-rin-ko il-ta yö",
    "pl": "mi-łość nie-bo kwia-ty ser-ce wie-czór mu-zy-ka ra-dio",
    "cs": "lás-ka srd-ce vlk prst mou-cha ne-be pís-nič-ka",
    "hu": "sze-re-lem csil-lag vi-rág é-des",
    "tr": "sev-gi a-şık gö-nül is-tan-bul",
    "ru": "ка-лин-ка мо-я лю-бовь не-бо э-то ве-чер",
    "el": "α-γά-πη ου-ρα-νός θά-λασ-σα",
    "id": "cin-ta ha-ti ma-lam la-gu",
    "ko": "사-랑-해-요 안-녕",
}


@pytest.mark.parametrize(("code", "words"), DIVIDED.items(), ids=DIVIDED)
def test_words_are_divided_as_they_are_sung(code: str, words: str) -> None:
    wanted = words.split()
    found = ["-".join(split_word(word.replace("-", ""), LANGUAGES[code])) for word in wanted]
    assert found == wanted


@given(st.text(max_size=40), st.sampled_from(sorted(LANGUAGES)))
def test_any_word_is_divided_and_nothing_of_it_lost(word: str, code: str) -> None:
    pieces = split_word(word, LANGUAGES[code])
    assert "".join(pieces) == word
    assert all(pieces) or not word


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Walking down the river road this morning", "en"),
        ("Freude, schöner Götterfunken, Tochter aus Elysium", "de"),
        ("Frère Jacques, dormez-vous? Sonnez les matines", "fr"),
        ("Wlazł kotek na płotek i mruga", "pl"),
        ("Garota de Ipanema, olha que coisa mais linda", "pt"),
        ("さくら さくら 野山も里も", "ja"),
        ("月亮代表我的心", "zh"),
        ("사랑해요 안녕", "ko"),
        ("Ой у лузі червона калина похилилася", "uk"),
        ("Σ' αγαπώ γιατί είσαι ωραία", "el"),
        ("la la", "en"),
        ("...", "en"),
    ],
)
def test_the_language_is_found(text: str, code: str) -> None:
    assert detect(text).code == code


def test_languages_have_names() -> None:
    assert language_of("german").code == "de"
    assert language_of("pt_BR").code == language_of("pt-BR").code == "pt"
    assert language_of("no").code == "nb"
    with pytest.raises(BadRequest, match="language 'klingon': choose from en, de"):
        language_of("klingon")


def sung(text: str, **options: object) -> list[list[str]]:
    """Lines as their syllables: ``-`` where one goes on, ``_`` for each note it is held."""
    sheet = read_sheet(text, **options)  # type: ignore[arg-type]
    return [
        [s.text + "-" * s.joins + "_" * s.holds for s in line.syllables]
        for section in sheet.sections
        for line in section.lines
    ]


def test_marks_are_honoured() -> None:
    assert sung("Twinkle lit-tle star__ won_-der", language="en") == [
        ["Twin-", "kle", "lit-", "tle", "star__", "won-_", "der"]
    ]
    assert sung("hel - lo you~are well\\-known _ fire-work", language="en") == [
        ["hel-", "lo", "you are", "well--", "known_", "fire-", "work"]
    ]
    assert sung("now — then…\n* * day", language="en") == [["now —", "then…"], ["", "", "day"]]
    bars = read_sheet("one two | three", "en").sections[0].lines[0].syllables
    assert [s.new_bar for s in bars] == [False, False, True]
    assert sung("Dormez-vous ?", language="fr") == [["Dor-", "mez--", "vous ?"]]  # its hyphen is read: see below
    spelled = read_sheet("Dormez-vous", "fr").sections[0].lines[0].syllables
    assert "".join(syllable.text for syllable in spelled) == "Dormez-vous"


def test_sections_headings_and_other_formats() -> None:
    sheet = read_sheet(
        "{title: My song}\n# a remark\n[Verse 1]\nOne [Am]two\nthree\n\n\n[Chorus]\nfour\n\nfive\n", "en"
    )
    assert sheet.title == "My song"
    assert [(s.name, [line.text for line in s.lines]) for s in sheet.sections] == [
        ("Verse 1", ["One two", "three"]),
        ("Chorus", ["four"]),
        ("", ["five"]),
    ]
    assert [line.number for s in sheet.sections for line in s.lines] == [4, 5, 9, 11]
    lrc = read_sheet("[ti:Of time]\n[00:12.00]Some <00:13.00>words\n", "en")
    assert (lrc.title, lrc.sections[0].lines[0].text) == ("Of time", "Some words")


def test_chinese_japanese_and_pinyin() -> None:
    assert sung("月亮，我的 love") == [["月-", "亮，-", "我-", "的", "love"]]
    assert sung("我行我素", pinyin=True) == [["wǒ", "xíng", "wǒ", "sù"]]
    assert sung("去银行", pinyin=True) == [["qù", "yín", "háng"]]  # the same character in another word
    assert sung("きょうは「夢(ゆめ)」 がっこう ラーメン") == [
        ["きょ-", "う-", "は-", "「ゆ-", "め」", "がっ-", "こ-", "う", "ラ-", "ー-", "メ-", "ン"]
    ]
    assert "夢(ゆめ)" in read_sheet("さくら 桜").remarks[0]


@given(st.text(st.sampled_from("ab é月あ-_*|~\\[]{}<>:\n\r\t'「」1.—\u0301\ud55c"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        sheet = read_sheet(text)
    except BadRequest as refused:
        assert "\n" not in str(refused)
        return
    assert all(line.syllables and line.notes >= 1 for section in sheet.sections for line in section.lines)


def test_files_of_words(tmp_path: Path) -> None:
    assert lyrics_text("la la\nlu") == "la la\nlu"
    (tmp_path / "w.txt").write_bytes("\ufeffgrün".encode())
    assert lyrics_text(tmp_path / "w.txt") == "grün"
    (tmp_path / "w.txt").write_bytes("grün".encode("utf-16"))
    assert lyrics_text(str(tmp_path / "w.txt")) == "grün"
    for data, words in ((b"gr\xfcn", "not text in UTF-8"), (bytes(2 << 20), "longer than 1 MB")):
        (tmp_path / "w.txt").write_bytes(data)
        with pytest.raises(BadFile, match=words):
            lyrics_text(tmp_path / "w.txt")
    with pytest.raises(BadFile, match="no such file"):
        lyrics_text("gone.txt")
    with pytest.raises(BadRequest, match="no words"):
        read_sheet("\n[Verse]\n")
    with pytest.raises(BadRequest, match="at most"):
        read_sheet("a " * 1_000_000)
    with pytest.raises(BadRequest, match="20000 syllables"):
        read_sheet("a " * 30_000, "en")


def test_a_library_that_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "find_spec", lambda name: None)
    with pytest.raises(MissingTool, match="pip install py3langid, or say --language"):
        read_sheet("Walking down the river road this morning")
    with pytest.raises(MissingTool, match="pip install pypinyin"):
        read_sheet("月亮", pinyin=True)


def tune(*notes: tuple[float, float, int], name: str = "voice", **more: object) -> Score:
    """A score of one part from (onset, length, pitch), in quarters."""
    part = Part(name, notes=tuple(sorted(Note(round(o * 480), p, round(d * 480), 90) for o, d, p in notes)))
    return Score((part,), **more)  # type: ignore[arg-type]


def placed(score: Score, text: str, **options: str) -> list[tuple[float, str]]:
    found, _ = sing(score, read_sheet(text, "en"), **options)
    return [(t.tick / 480, t.text) for part in found.parts for t in part.lyrics]


SCALE = tune(*((n, 1, 60 + n) for n in range(16)))


def test_a_syllable_a_note_where_they_are_as_many() -> None:
    assert placed(SCALE, "one two three four\nfive six sev-en") == [
        (0, "one "), (1, "two "), (2, "three "), (3, "four \r"), (4, "five "), (5, "six "), (6, "sev"), (7, "en \n"),
    ]  # fmt: skip


def test_marks_place_syllables() -> None:
    assert placed(SCALE, "one_ two * three | four") == [
        (0, "one "), (2, "two "), (4, "three "), (8, "four \n"),
    ]  # fmt: skip
    score, lyrics = sing(SCALE, read_sheet("a | | b", "en"))
    assert [t.tick for t in score.parts[0].lyrics] == [0, 4 * 480]
    assert not [remark for remark in lyrics.remarks if "|" in remark]


def test_long_and_strong_notes_carry_the_syllables() -> None:
    # Two bars: a dotted quarter with an eighth running into each next quarter.
    running = tune((0, 1.5, 60), (1.5, 0.5, 62), (2, 1.5, 64), (3.5, 0.5, 65), (4, 2, 67))
    assert placed(running, "la lo lu") == [(0, "la "), (2, "lo "), (4, "lu \n")]
    # A note struck again takes a new one.
    again = tune((0, 1, 60), (1, 1, 62), (2, 1, 64), (3, 1, 64), (4, 1, 65))
    assert {0, 3, 4} <= {tick for tick, _ in placed(again, "la la la la")}


def test_lines_go_with_the_phrases() -> None:
    # Three phrases of five notes and a rest; lines of five, three and four syllables.
    phrases = tune(*((8 * p + n, 1, 60 + n) for p in range(3) for n in range(5)))
    found = placed(phrases, "one two three four five\nsix sev-en\nmore and more and")
    starts = [found[0][0], *(found[n + 1][0] for n, (_, text) in enumerate(found[:-1]) if text[-1] in "\r\n")]
    assert starts == [0, 8, 16]


def test_sections_begin_at_their_markers() -> None:
    marks = (Text(0, "verse"), Text(16 * 480, "Chorus"), Text(32 * 480, "verse"))
    score = tune(*((n, 1, 60 + n % 5) for n in range(48)), markers=marks)
    text = "[Verse]\none two three four\n\n[chorus]\nla la\n\n[verse]\nfive six"
    found = placed(score, text)
    assert [(tick, text) for tick, text in found if text[:2] in ("on", "fi")] == [(0, "one "), (32, "five ")]
    assert next(tick for tick, text in found if text == "la ") == 16


def test_what_does_not_fit_is_told() -> None:
    short = tune(*((n, 1, 60 + n) for n in range(6)))
    score, lyrics = sing(short, read_sheet("one two three four\nfive six sev-en\nla la la\nlo", "en"))
    assert len(score.parts[0].lyrics) == 6
    assert lyrics.remarks == (
        "line 2 (five six sev-en): 2 of its 4 syllables found no note",
        "lines 3 to 4: no note is left for their 4 syllables",
    )
    _, lyrics = sing(SCALE, read_sheet("one two", "en"))
    assert re.fullmatch(r"1\d notes without words after the last line, from bar 1", lyrics.remarks[0])
    _, lyrics = sing(tune((0, 1, 60), (1, 1, 60)), read_sheet("a | b", "en"))
    assert "a | found no bar line" in lyrics.remarks[0]


counts = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(counts, st.integers(1, 60), st.randoms(use_true_random=False))
def test_every_syllable_has_a_note_of_its_own_in_order(lines: list[int], notes: int, dice) -> None:
    onset, made = 0.0, []
    for _ in range(notes):
        made.append((onset, 0.5, dice.randrange(50, 80)))
        onset += dice.choice((0.25, 0.5, 1, 3))
    score = tune(*made)
    text = "\n".join(" ".join(f"la{'_' * dice.randrange(2)}" for _ in range(count)) for count in lines)
    found, lyrics = sing(score, read_sheet(text, "en"))
    ticks = [t.tick for t in found.parts[0].lyrics]
    onsets = {note.onset_ticks for note in found.parts[0].notes}
    assert ticks == sorted(set(ticks)) and set(ticks) <= onsets
    needed = sum(line.notes for section in read_sheet(text, "en").sections for line in section.lines)
    if needed <= notes:
        assert len(ticks) == sum(lines)
    else:
        assert len(ticks) < sum(lines) or notes >= sum(lines)
        assert any("note" in remark for remark in lyrics.remarks)


def test_the_top_line_is_sung() -> None:
    chords = Part("piano", notes=tuple(Note(n * 480, p, 480, 80) for n in range(8) for p in (48, 55, 72 + n % 3)))
    assert [note.pitch for note in top_line(chords, 480)] == [72 + n % 3 for n in range(8)]
    held = Part("piano", notes=(Note(0, 72, 1920, 80), *(Note(240 * n, 50, 240, 80) for n in range(1, 8))))
    assert [note.pitch for note in top_line(held, 480)] == [72]


def test_the_singer_is_chosen() -> None:
    band = make_song("ballad", bars=8)
    assert band.parts[choose_part(band)].kind in ("piano", "guitar")
    voice = replace(band, parts=(*band.parts, replace(band.parts[0], name="Lead Vocal")))
    assert choose_part(voice) == 4
    assert choose_part(band, "bass") == choose_part(band, "3") == 2
    with pytest.raises(BadRequest, match=r"part 'oboe' is not in this song: there are piano \(piano\)"):
        choose_part(band, "oboe")
    with pytest.raises(BadRequest, match="no part with a melody"):
        choose_part(Score((Part("kit", is_drum=True, notes=band.parts[3].notes),)))


def as_lyrics(data: bytes) -> list[tuple[int, int, bytes]]:
    return [event for event in events(data) if event[2][:2] == bytes([0xFF, LYRIC])]


def test_nothing_but_the_lyrics_changes() -> None:
    strange = smf(
        "00 ff0305 4cf67665 21\n00 ff5103 07a120\n00 ff0a02 beef\n" + END,
        """00 ff0501 61         # lyrics of another track
           00 903c40
           60 3c00              # running status
           00 ff7f03 414243     # sequencer-specific
           00 f0034312f7
           00 903e40
           60 803e00
        """
        + END,
        "00 c01e\n00 914040\n60 814000\n00 914240\n60 814200\n" + END,
    )
    for data in (strange, riff(strange, b"LIST\4\0\0\0INFO")):
        song = open_song(data)
        changed = with_lyrics(song, 1, [Syllable(0, "grö", True), Syllable(0x60, "ße", ends="section")])
        assert [event for event in events(changed) if event not in as_lyrics(changed)] == [
            event for event in events(data) if event not in as_lyrics(data)
        ]
        assert as_lyrics(changed) == [
            (1, 0, meta(LYRIC, b"a")),
            (2, 0, meta(LYRIC, "grö".encode())),
            (2, 0x60, meta(LYRIC, "ße \n".encode())),
        ]
        track = [event[2] for event in events(changed) if event[0] == 2]
        assert track.index(meta(LYRIC, "grö".encode())) < track.index(bytes.fromhex("914040"))
        with pytest.raises(BadRequest, match="has lyrics already"):
            with_lyrics(open_song(changed), 1, [])
        assert with_lyrics(open_song(changed), 1, [], replacing=True) == data


TEXT = "Wal-king down the ri-ver road\nü-ber al-len Gip-feln ist Ruh\n\n月 光 光"


def test_what_is_written_is_read_by_others(tmp_path: Path) -> None:
    data = midi_bytes(make_song("ballad", bars=16))
    lyrics = set_lyrics(data, TEXT, part="piano", language="en", title="Über allen")
    texts = [text.text for text in read_midi(lyrics.midi).parts[0].lyrics]
    file = mido.MidiFile(file=io.BytesIO(lyrics.midi), charset="utf-8")
    assert [m.text for m in file.tracks[1] if m.type == "lyrics"] == texts
    assert [lyric.text for lyric in pretty_midi.PrettyMIDI(io.BytesIO(lyrics.midi), charset="utf-8").lyrics] == texts
    assert lyrics.text == "Walking down the river road\nüber allen Gipfeln ist Ruh\n\n月 光 光"
    again = read_lyrics(lyrics.midi)
    assert [(one.part, one.syllables, one.text) for one in again] == [("piano", lyrics.syllables, lyrics.text)]
    assert read_lyrics(lyrics.kar)[0].syllables == lyrics.syllables
    kar = mido.MidiFile(file=io.BytesIO(lyrics.kar), charset="utf-8")
    assert kar.type == 1 and not any(m.type == "lyrics" for track in kar.tracks for m in track)
    soft, words = kar.tracks[-2:]
    assert [m.text for m in soft if m.type == "text"] == ["@KMIDI KARAOKE FILE", "@V0100"]
    said = [m.text for m in words if m.type == "text"]
    assert said[:5] == ["@LENGL", "@TÜber allen", "\\Wal", "king ", "down "]
    assert said[9] == "/ü" and "\\月 " in said
    assert [part.notes for part in read_midi(lyrics.kar).parts] == [part.notes for part in read_midi(data).parts]
    set_again = set_lyrics(lyrics.midi, lyrics.marked, part="piano", language="en", replacing=True)
    assert set_again.syllables == lyrics.syllables
    paths = lyrics.save(tmp_path / "sung.mid")
    assert [path.name for path in paths] == ["sung.mid", "sung.kar", "sung.lrc"]
    assert [path.read_bytes() for path in paths] == [lyrics.midi, lyrics.kar, lyrics.lrc.encode()]


def test_a_file_of_one_track_becomes_a_karaoke_file_of_several() -> None:
    one = smf(
        "00 ff5103 07a120\n" + "\n".join(f"00 90{p:02x}50\n60 80{p:02x}00" for p in range(60, 66)) + "\n" + END, kind=0
    )
    lyrics = set_lyrics(one, "la le li lo", language="en")
    kar = mido.MidiFile(file=io.BytesIO(lyrics.kar))
    assert (kar.type, len(kar.tracks)) == (1, 3)
    assert len(as_lyrics(lyrics.midi)) == 4


def test_times_of_lines_and_words() -> None:
    score = tune(*((n, 1, 60 + n) for n in range(8)))  # 120: half a second a note
    _, lyrics = sing(replace(score, title="Half"), read_sheet("hel-lo world now\nla la la la", "en"))
    assert lyrics.lrc == (
        "[ti:Half]\n[length:00:04]\n[re:midigen]\n\n"
        "[00:00.00]<00:00.00>hello <00:01.00>world <00:01.50>now <00:02.00>\n"
        "[00:02.00]<00:02.00>la <00:02.50>la <00:03.00>la <00:03.50>la <00:04.00>\n[00:04.00]\n"
    )


def test_the_verb(midigen: Callable[..., Ended]) -> None:
    Path("song.mid").write_bytes(midi_bytes(make_song("ballad", bars=8)))
    Path("words.txt").write_text("Walking down the river road\nle temps des cerises\n", encoding="utf-8")
    ended = midigen("lyrics", "song.mid", "words.txt", "--part", "piano", "--language", "en")
    assert ended.code == 0 and ended.out.startswith("song-lyrics.mid: 1")
    assert {p.name for p in Path().iterdir()} >= {"song-lyrics.mid", "song-lyrics.kar", "song-lyrics.lrc"}
    assert midigen("lyrics", "song-lyrics.mid").out == "Walking down the river road\nle temps des cerises\n"
    assert midigen("lyrics", "song-lyrics.mid", "--marks", "-o", "marks.txt").code == 0
    assert "Walk" in Path("marks.txt").read_text(encoding="utf-8")
    assert midigen("lyrics", "song-lyrics.kar", "-o", "again.lrc").code == 0
    for words, says in (
        (("song.mid",), "holds no lyrics"),
        (("song.mid", "gone.txt"), "no such file"),
        (("song.mid", "words.txt", "--part", "oboe"), "not in this song"),
        (("song.mid", "words.txt", "-o", "song.mid"), "the song itself"),
        (("song.mid", "words.txt", "-o", "song-lyrics.mid"), "--force"),
        (("song.mid", "words.txt", "-o", "x.kar"), "ends in .mid"),
        (("song-lyrics.mid", "words.txt", "--part", "piano"), "--replace"),
        (("song-lyrics.mid", "-o", "x.wav"), ".lrc, .kar or .txt"),
        (("song-lyrics.mid", "--part", "oboe"), "has no lyrics"),
        (("song-lyrics.mid", "--pinyin"), "give their file"),
        (("song.mid", "words.txt", "--marks"), "leave the words out"),
        (("song.mid", "words.txt", "--language", "xx"), "choose from"),
    ):
        assert midigen("lyrics", *words).complains(says), words


@needs_fluidsynth
def test_a_song_is_composed_with_its_words(midigen: Callable[..., Ended], tiny_model: Path) -> None:
    Path("words.txt").write_text("la la la\nle lo", encoding="utf-8")
    asked = ("--bars", 2, "--parts", "piano,bass", "--seed", 1, "--model", tiny_model, "--lyrics", "words.txt")
    done = midigen("compose", *asked, "--lyrics-part", "piano", "--lyrics-language", "en", "-o", "song")
    assert done.code == 0, done.err
    assert "syllables for piano, English" in done.out
    (lyrics,) = read_lyrics("song/song.mid")
    assert lyrics.part == "piano" and lyrics.text.startswith("la")  # nonsense has few notes
    assert read_lyrics("song/song.kar")[0].text == lyrics.text
    assert "[00:" in Path("song/song.lrc").read_text(encoding="utf-8")
    Path("words.txt").unlink()  # the record holds the words themselves
    assert midigen("compose", "--again", "song", "--model", tiny_model, "-o", "again").code == 0
    assert Path("again/song.mid").read_bytes() == Path("song/song.mid").read_bytes()
    assert midigen("compose", *asked[:-2], "--lyrics", "la", "--lyrics-part", "oboe").complains("not in the band")
    assert midigen("compose", *asked, "--lyrics-part", "piano").complains("words.txt: no such file")


def test_many_words_and_many_notes_take_little_time_and_room() -> None:
    dice = np.random.default_rng(1)
    onsets = np.cumsum(dice.choice([120, 240, 480], 5_000))
    part = Part(
        "voice",
        notes=tuple(Note(int(o), int(p), 100, 80) for o, p in zip(onsets, dice.integers(50, 80, 5_000), strict=True)),
    )
    _, lyrics = sing(Score((part,)), read_sheet("la lo li lu lei\n" * 500, "en"))
    assert len(syllables_of(read_midi(lyrics.midi).parts[0].lyrics)) == 2_500


def test_chord_symbols_are_no_words_of_a_karaoke_file() -> None:
    chords = tuple(Text(240 * number, ("Am", "F")[number % 2]) for number in range(32))  # more than there are words
    notes = tuple(Note(480 * number, 69, 400, 80) for number in range(6))
    data = midi_bytes(Score((Part("piano", "piano", notes=notes),), chords=chords))
    lyrics = set_lyrics(data, "one two three\nfour five six", language="en")
    assert read_lyrics(lyrics.kar)[0].syllables == lyrics.syllables
    assert open_song(lyrics.kar).score.chords == ()
    assert open_song(lyrics.midi).score.chords == chords
