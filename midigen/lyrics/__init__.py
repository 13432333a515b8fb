"""Lyrics: words divided into syllables, set to a melody, written into MIDI files and karaoke files, and read again.

    from midigen.lyrics import set_lyrics

    sung = set_lyrics("song.mid", "Twin-kle, twin-kle, lit-tle star", part="piano")
    sung.save("song-with-words.mid")

Words are read by :mod:`~midigen.lyrics.sheet` (marks and sections) and divided by :mod:`~midigen.lyrics.splitting`
(languages: :mod:`~midigen.lyrics.languages`); :mod:`~midigen.lyrics.melody` finds what is sung and
:mod:`~midigen.lyrics.setting` brings both together. How lyric events spell syllables: :mod:`midigen.syllables`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from midigen.errors import BadFile
from midigen.events import lyrics_of
from midigen.folders import write_beside
from midigen.lyrics.files import kar_bytes, lrc_text, lyrics_in, marked_text, with_lyrics
from midigen.lyrics.melody import check_melody, choose_part, melody_of, top_line
from midigen.lyrics.setting import Setting, set_words
from midigen.lyrics.sheet import Sheet, lyrics_text, read_sheet
from midigen.midi import midi_bytes
from midigen.opened import OpenedSong, open_song
from midigen.score import Score
from midigen.syllables import Syllable, texts_of, words_of

__all__ = ["Lyrics", "Sheet", "lyrics_text", "read_lyrics", "read_sheet", "set_lyrics", "sing"]


@dataclass(frozen=True)
class Lyrics:
    """A song's words, set: ``part`` who sings, ``syllables`` with their ticks, ``language`` by its English name.

    ``midi``, ``kar`` and ``lrc`` are a MIDI file with lyric events, a karaoke file, and the words with their times;
    ``marked`` are the words with their syllables marked, to be edited and set again. ``remarks`` say what did not fit.
    """

    part: str
    language: str
    syllables: tuple[Syllable, ...]
    midi: bytes
    kar: bytes
    lrc: str
    marked: str
    remarks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The words as one reads them: a line a line, an empty line between verses."""
        return words_of(self.syllables)

    def __repr__(self) -> str:
        return f"<Lyrics: {len(self.syllables)} syllables for {self.part}, {self.language}>"

    def save(self, path: str | Path) -> list[Path]:
        """Write the MIDI file to ``path``, and beside it ``.kar`` and ``.lrc`` of the same name; returns all three.

        Raises :class:`midigen.errors.OutputError`.
        """
        path = Path(path)
        paths = [path, path.with_suffix(".kar"), path.with_suffix(".lrc")]
        for place, data in zip(paths, (self.midi, self.kar, self.lrc.encode("utf-8")), strict=True):
            write_beside(place, data)
        return paths


def set_lyrics(
    source: str | Path | bytes,
    words: str | Path,
    *,
    part: str | None = None,
    language: str | None = None,
    pinyin: bool = False,
    replacing: bool = False,
    title: str = "",
) -> Lyrics:
    """Words set to a part of a MIDI file, in which nothing changes but the lyric events of that part's track.

    ``words`` are a file's name or the text itself; ``part`` is a name, an instrument or a number from 1 (``None``: the
    part that is most of a melody); ``language`` a code such as ``"de"`` (``None``: the one they seem to be in);
    ``pinyin`` writes Chinese as pinyin; ``replacing`` allows words that are there already to go. Raises
    :class:`midigen.errors.MidigenError`.
    """
    sheet = read_sheet(lyrics_text(words), language, pinyin=pinyin)
    song = open_song(source)
    if not song.parts:
        raise BadFile(f"{song.label}: holds no notes; give a .mid file with music in it")
    number = choose_part(song.score, part, sheet.notes)
    setting = _set(sheet, song.score, number)
    data = with_lyrics(song, number, setting.syllables, replacing=replacing)
    return _lyrics(open_song(data, song.label), number, sheet, setting, title)


def sing(score: Score, sheet: Sheet, part: str | None = None) -> tuple[Score, Lyrics]:
    """A score with the words of ``sheet`` on one of its parts, and those words, set.

    ``part`` as in :func:`set_lyrics`. Raises :class:`midigen.errors.BadRequest`.
    """
    number = choose_part(score, part, sheet.notes)
    setting = _set(sheet, score, number)
    sung = replace(score.parts[number], lyrics=texts_of(setting.syllables))
    score = replace(score, parts=tuple(sung if n == number else one for n, one in enumerate(score.parts)))
    opened = open_song(midi_bytes(score), score.title)
    place = sum(1 for one in score.parts[:number] if one.notes)  # a part without notes is none in the file
    return score, _lyrics(opened, place, sheet, setting, sheet.title or score.title)


def read_lyrics(source: str | Path | bytes) -> list[Lyrics]:
    """The lyrics that a MIDI or karaoke file holds, one for each track that has any.

    Raises :class:`BadFile` for what is no MIDI, and where nothing is sung.
    """
    song = open_song(source)
    is_karaoke = not lyrics_of(song.file, song.charset)
    found = []
    for name, syllables in lyrics_in(song):
        numbers = [n for n, part in enumerate(song.parts) if part.name == name]
        ticks, ends = _sounding(song, numbers[0] if numbers else None, syllables)
        found.append(
            Lyrics(
                name,
                "",
                syllables,
                song.data,
                song.data if is_karaoke else kar_bytes(song, syllables),
                lrc_text(song.score, syllables, ends),
                marked_text(syllables, ticks, song.score.markers),
            )
        )
    if not found:
        raise BadFile(f"{song.label}: holds no lyrics; give a file of words to be set to it")
    return found


def _set(sheet: Sheet, score: Score, number: int) -> Setting:
    check = score.parts[number]
    melody = melody_of(score, number)
    check_melody(melody, check.name)
    return set_words(sheet, melody, score)


def _lyrics(song: OpenedSong, number: int, sheet: Sheet, setting: Setting, title: str) -> Lyrics:
    title = title or sheet.title
    ticks = [note.onset_ticks for note in top_line(song.score.parts[number], song.score.ticks_per_quarter)]
    return Lyrics(
        song.parts[number].name,
        sheet.language.name,
        setting.syllables,
        song.data,
        kar_bytes(song, setting.syllables, title=title, language=sheet.language.name),
        lrc_text(song.score, setting.syllables, setting.extents, title=title),
        marked_text(setting.syllables, ticks, song.score.markers),
        (*sheet.remarks, *setting.remarks),
    )


def _sounding(song: OpenedSong, number: int | None, syllables: tuple[Syllable, ...]) -> tuple[list[int], list[int]]:
    """The onsets of the melody that words of a file are sung to, and the ticks at which each syllable ends."""
    score = song.score
    if number is None:
        at = {syllable.tick for syllable in syllables}
        fits = [len(at & {note.onset_ticks for note in part.notes}) for part in score.parts]
        number = fits.index(max(fits)) if any(fits) else None
    if number is None:
        return [], []
    line = top_line(score.parts[number], score.ticks_per_quarter)
    ticks = [note.onset_ticks for note in line]
    ends = []
    for place, syllable in enumerate(syllables):
        until = syllables[place + 1].tick if place + 1 < len(syllables) else score.end_ticks + 1
        own = [note.end_ticks for note in line if syllable.tick <= note.onset_ticks < until]
        within = own[:1] if syllable.ends else own  # after a line's last note others may be without words
        ends.append(min(within[-1], until) if within else until)
    return ticks, ends
