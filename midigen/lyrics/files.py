"""Lyrics in files: put into somebody's MIDI file and found in one, and the karaoke files KAR and LRC."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from midigen.charsets import decode
from midigen.errors import BadRequest, OutputError
from midigen.events import (
    END_OF_TRACK,
    LYRIC,
    META,
    NOTE_ON,
    TEXT,
    TRACK_NAME,
    Event,
    EventFile,
    lyrics_of,
    meta,
    meta_of,
    read_events,
)
from midigen.opened import OpenedSong
from midigen.score import Score, Text
from midigen.syllables import LINE, SECTION, Syllable, lines_of, syllables_of, texts_of

_NO_BRACKETS = str.maketrans("[]\r\n", "()  ")


def with_lyrics(song: OpenedSong, part: int, syllables: Sequence[Syllable], *, replacing: bool = False) -> bytes:
    """The song's bytes with ``syllables`` as lyric events (UTF-8) in the track of a part (from 0), before its notes.

    Lyrics that the track has already are replaced if asked for; else :class:`BadRequest` is raised. Nothing else
    changes: every other event keeps its track, tick, bytes and order, which is looked up in the result.
    """
    source = song.parts[part]
    track = song.file.tracks[source.track]
    there = [event for event in track.events if _is_lyric(event)]
    if there and not replacing:
        raise BadRequest(
            f"{song.label}: {source.name!r} has lyrics already ({len(there)} events); add --replace to set new ones"
        )
    kept = [event for event in track.events if not _is_lyric(event)]
    new = [Event(text.tick, meta(LYRIC, text.text.encode("utf-8"))) for text in texts_of(syllables)]
    begins = {
        event.tick: place
        for place, event in reversed(list(enumerate(kept)))
        if event.data[0] & 0xF0 == NOTE_ON and event.data[2]
    }
    ticks = [event.tick for event in kept]
    events = list(kept)
    for event in reversed(new):
        events.insert(begins.get(event.tick, bisect_left(ticks, event.tick)), event)
    if events == list(track.events):
        return song.data
    data = song.file.with_tracks({source.track: events})
    _check(song, source.track, new, read_events(data, song.label))
    return data


def _check(song: OpenedSong, number: int, new: Sequence[Event], after: EventFile) -> None:
    """Raise :class:`OutputError` where anything but the lyrics of a track has changed."""
    pairs = zip(song.file.tracks, after.tracks, strict=True)
    same = all(
        was.chunk == now.chunk
        if place != number
        else [e for e in was.events if not _is_lyric(e)] == [e for e in now.events if not _is_lyric(e)]
        for place, (was, now) in enumerate(pairs)
    )
    if (
        not same
        or [e for e in after.tracks[number].events if _is_lyric(e)] != list(new)
        or after.gaps != song.file.gaps
    ):
        raise OutputError(
            f"{song.label}: more than the lyrics would have changed; nothing was written, please report this file"
        )


def _is_lyric(event: Event) -> bool:
    return event.data[0] == META and event.data[1] == LYRIC


def _is_shown(event: Event) -> bool:
    """Whether karaoke players show the event as words."""
    return event.data[0] == META and event.data[1] in (TEXT, LYRIC)


def lyrics_in(song: OpenedSong) -> list[tuple[str, tuple[Syllable, ...]]]:
    """What is sung in a file, as ``(who, syllables)``: the lyric events of each track, or, where there are none, the
    texts of a karaoke file."""
    names = {part.track: part.name for part in reversed(song.parts)}
    found = [
        (names.get(number, ""), syllables_of(texts)) for number, texts in lyrics_of(song.file, song.charset).items()
    ]
    found = [(name, syllables) for name, syllables in found if syllables]
    return found or _karaoke(song)


def _karaoke(song: OpenedSong) -> list[tuple[str, tuple[Syllable, ...]]]:
    """The texts of a karaoke file, by its tag or its slashes: of the track with most slashes, or most texts."""
    tracks = []
    tagged = False
    for track in song.file.tracks:
        texts = [
            Text(event.tick, decode(meta_of(event)[1], song.charset))
            for event in track.events
            if event.data[0] == META and event.data[1] == TEXT
        ]
        tagged = tagged or any(text.text.startswith("@K") for text in texts)
        tracks.append(texts)
    lines = [sum(text.text[:1] in ("/", "\\") for text in texts) for texts in tracks]
    slashes, _, words = max(
        zip(lines, map(len, tracks), tracks, strict=True), key=lambda row: row[:2], default=(0, 0, [])
    )
    if not words or not (tagged or slashes > 1):
        return []
    syllables = syllables_of(words)
    return [("", syllables)] if syllables else []


def kar_bytes(song: OpenedSong, syllables: Sequence[Syllable], *, title: str = "", language: str = "English") -> bytes:
    """The song as a karaoke file (Tune 1000's Soft Karaoke): type 1, its words as text events in a track of their own.

    A backslash begins a verse and a slash a line; ``@K``, ``@V``, ``@L`` and ``@T`` say what the file is, its version,
    language and title. Lyric events and other texts are left out, so that no player shows the words twice, or chord
    symbols among them.
    """
    file = song.file
    head = [meta(TRACK_NAME, b"Soft karaoke"), meta(TEXT, b"@KMIDI KARAOKE FILE"), meta(TEXT, b"@V0100")]
    letters = unicodedata.normalize("NFKD", language).encode("ascii", "ignore").decode().upper()
    first = [meta(TEXT, f"@L{letters[:4]}".encode()), meta(TEXT, f"@T{title or song.score.title}".encode())]
    words = [Event(0, meta(TRACK_NAME, b"Words")), *(Event(0, data) for data in first)]
    begins = SECTION
    for syllable in syllables:
        mark = {SECTION: "\\", LINE: "/", "": ""}[begins]
        space = "" if syllable.joins or syllable.ends else " "
        words.append(Event(syllable.tick, meta(TEXT, f"{mark}{syllable.text}{space}".encode())))
        begins = syllable.ends
    end = file.end_tick
    plain = {
        number: [event for event in track.events if not _is_shown(event)]
        for number, track in enumerate(file.tracks)
        if any(map(_is_shown, track.events))
    }
    done = meta(END_OF_TRACK)
    added = [[*(Event(0, data) for data in head), Event(0, done)], [*words, Event(max(end, words[-1].tick), done)]]
    header = bytearray(file.gaps[0])
    header[8:10] = (1).to_bytes(2, "big")
    return replace(file, kind=1, gaps=(bytes(header), *file.gaps[1:]), wrapper=None).with_tracks(plain, added)


def lrc_text(score: Score, syllables: Sequence[Syllable], ends: Sequence[int] = (), *, title: str = "") -> str:
    """The words with their times, as LRC: a time a line (``[mm:ss.cc]``), and a time a word (``<mm:ss.cc>``, the
    enhanced format), with the end of each line where ``ends`` (ticks, one a syllable) is given.

    A verse ends with an empty line at its last word's end.
    """
    length = score.duration_seconds
    out = [f"[ti:{title or score.title}]"] if title or score.title else []
    out += [f"[length:{int(length) // 60:02d}:{int(length) % 60:02d}]", "[re:midigen]", ""]
    number = 0
    for line in lines_of(syllables):
        begin = _clock(float(score.seconds(line[0].tick)))
        words = ""
        fresh = True
        for syllable in line:
            words += f"<{_clock(float(score.seconds(syllable.tick)))}>" if fresh else ""
            words += syllable.text + ("" if syllable.joins else " ")
            fresh = not syllable.joins
            number += 1
        end = _clock(float(score.seconds(ends[number - 1]))) if len(ends) >= number else ""
        out.append(f"[{begin}]{words.rstrip()}" + (f" <{end}>" if end else ""))
        if line[-1].ends == SECTION and end:
            out.append(f"[{end}]")
    return "\n".join(out) + "\n"


def _clock(seconds: float) -> str:
    hundredths = round(seconds * 100)
    return f"{hundredths // 6000:02d}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def marked_text(syllables: Sequence[Syllable], ticks: Sequence[int], markers: Sequence[Text] = ()) -> str:
    """The words with marks that :func:`midigen.lyrics.sheet.read_sheet` reads: ``-`` between syllables, ``_`` for each
    note (of those that begin at ``ticks``) that holds one, and the name of a section that begins with a marker."""
    out: list[str] = []
    words = ""
    names = {ticks[place]: m.text for m in markers if (place := bisect_left(ticks, m.tick)) < len(ticks)}
    begins = True
    for number, syllable in enumerate(syllables):
        if begins and syllable.tick in names:
            out.append(f"[{names[syllable.tick].translate(_NO_BRACKETS)}]")
        until = syllables[number + 1].tick if number + 1 < len(syllables) and not syllable.ends else syllable.tick + 1
        held = bisect_left(ticks, until) - bisect_left(ticks, syllable.tick + 1)
        text = syllable.text.replace("-", "\\-").replace(" ", "~")
        words += text + "_" * max(held, 0) + ("-" if syllable.joins else " ")
        begins = syllable.ends == SECTION
        if syllable.ends:
            out += [words.rstrip(), *([""] if begins else [])]
            words = ""
    return "\n".join([*out, words.rstrip()]).strip() + "\n"
