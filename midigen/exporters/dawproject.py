"""DAWproject 1.0 (https://github.com/bitwig/dawproject): a ZIP of XML that Bitwig Studio, Studio One and Cubase open.

For every part a track with its notes and one with its stem, as a clip each from the beginning. Stems lie in the file,
brought to their place in a balanced band: with every fader at 0 dB it is the band that midigen's mixer begins with. So
the faders, pans, mutes and solos of the session mean what they mean in ``mix.toml``. Equalisers, compressors and sends
are left to the studio: the programs that read the format disagree about the units of its built-in devices.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from midigen import __version__
from midigen.audio import AudioFile, AudioWriter
from midigen.effects.stereo import factor
from midigen.exporters import Project, Strip
from midigen.exporters.markup import Archive, add, decimal, xml_bytes
from midigen.score import Bend, Control, Part, Score

LOUDEST = 2.0  # where faders end: +6 dB
SLOWEST_QPM, FASTEST_QPM = 1.0, 999.0


class DAWproject:
    """The exporter: ``.dawproject``."""

    suffixes = (".dawproject",)
    wants_stems = True

    def check(self) -> None:
        """Nothing is needed but Python."""

    def write(self, project: Project, path: Path, place: Path) -> None:
        with path.open("w+b") as file, Archive(file) as archive:
            archive.add_bytes("project.xml", xml_bytes(_project(project)))
            archive.add_bytes("metadata.xml", xml_bytes(_metadata(project)))
            for name, strip in _sounds(project):
                assert strip.stem is not None
                with tempfile.TemporaryDirectory(dir=path.parent, prefix=".audio.") as folder:
                    copy = os.path.join(folder, "stem.wav")
                    _write_balanced(strip.stem, strip.trim_db, copy)
                    archive.add_file(name, copy)


def _sounds(project: Project) -> list[tuple[str, Strip]]:
    """Each strip that has a stem, and the name of its sound in the archive."""
    return [(f"audio/{strip.name}.wav", strip) for strip in project.strips if strip.stem is not None]


def _write_balanced(stem: AudioFile, trim_db: float, path: str) -> None:
    gain = np.float32(factor(trim_db))
    peak = max((float(np.abs(block).max(initial=0.0)) for block in stem.blocks()), default=0.0) * float(gain)
    # Whole numbers as long as nothing is over full scale; floating point has no ceiling.
    with AudioWriter(path, stem.rate, stem.channels, 24 if peak <= 1 else 32) as writer:
        for block in stem.blocks():
            writer.write(block * gain)


def _metadata(project: Project) -> Element:
    root = Element("MetaData")
    add(root, "Title", project.title)
    add(root, "Comment", f"Made with midigen {__version__}")
    return root


class _Names:
    """Identifiers in the order in which they are asked for."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> str:
        self._count += 1
        return f"id{self._count - 1}"


def _project(project: Project) -> Element:
    score, names = project.score, _Names()
    root = Element("Project", version="1.0")
    add(root, "Application", name="midigen", version=__version__)
    transport = add(root, "Transport")
    tempo, metre = names.new(), names.new()
    add(
        transport, "Tempo", max=decimal(FASTEST_QPM), min=decimal(SLOWEST_QPM), unit="bpm",
        value=decimal(_within(score.tempos[0].qpm)), id=tempo, name="Tempo",
    )  # fmt: skip
    first = score.metres[0]
    add(transport, "TimeSignature", denominator=first.denominator, numerator=first.numerator, id=metre)
    structure = add(root, "Structure")
    master_track, master = names.new(), names.new()
    arrangement = add(root, "Arrangement", id=names.new(), name=project.title)
    lanes = add(arrangement, "Lanes", timeUnit="beats", id=names.new())
    for strip in project.strips:
        for kind in ("notes", "audio"):
            there = strip.part if kind == "notes" else strip.stem
            if there is None:
                continue
            track = names.new()
            # Notes sound through an instrument that the studio puts there; until then the stem does.
            both = strip.part is not None and strip.stem is not None
            name = f"{strip.name} (MIDI)" if both and kind == "notes" else strip.name
            entry = add(
                structure, "Track", contentType=kind, loaded="true", id=track, name=name, color=strip.colour
            )  # fmt: skip
            _add_channel(entry, strip, names, master)
            clips = add(add(lanes, "Lanes", track=track, id=names.new()), "Clips", id=names.new())
            if isinstance(there, Part):
                _add_notes(clips, there, score, names)
            else:
                _add_audio(clips, f"audio/{strip.name}.wav", strip.name, there, score, names)
    top = add(structure, "Track", contentType="audio notes", loaded="true", id=master_track, name="Master")
    channel = add(top, "Channel", audioChannels=2, role="master", solo="false", id=master)
    _add_fader(channel, names, muted=False, pan=0.0, gain_db=0.0)
    _add_map(arrangement, score, names, tempo, metre)
    add(root, "Scenes")
    return root


def _within(qpm: float) -> float:
    return min(max(qpm, SLOWEST_QPM), FASTEST_QPM)


def _add_channel(track: Element, strip: Strip, names: _Names, master: str) -> None:
    channel = add(
        track, "Channel", audioChannels=2, destination=master, role="regular",
        solo="true" if strip.channel.solo else "false", id=names.new(),
    )  # fmt: skip
    _add_fader(channel, names, muted=strip.channel.mute, pan=strip.pan, gain_db=strip.channel.gain_db)


def _add_fader(channel: Element, names: _Names, *, muted: bool, pan: float, gain_db: float) -> None:
    add(channel, "Mute", value="true" if muted else "false", id=names.new(), name="Mute")
    place = decimal((pan + 1) / 2)
    add(channel, "Pan", max="1", min="0", unit="normalized", value=place, id=names.new(), name="Pan")
    level = decimal(min(factor(gain_db), LOUDEST))
    add(channel, "Volume", max=decimal(LOUDEST), min="0", unit="linear", value=level, id=names.new(), name="Volume")


def _beats(ticks: float, score: Score) -> str:
    return decimal(ticks / score.ticks_per_quarter)


def _add_notes(clips: Element, part: Part, score: Score, names: _Names) -> None:
    clip = add(clips, "Clip", time="0", duration=_beats(max(score.end_ticks, 1), score), playStart="0", name=part.name)
    moves = list(_moves(part))
    holder = add(clip, "Lanes", id=names.new()) if moves else clip
    notes = add(holder, "Notes", id=names.new())
    channel = 9 if part.is_drum else 0
    for note in part.notes:
        add(
            notes, "Note", time=_beats(note.onset_ticks, score), duration=_beats(note.duration_ticks, score),
            channel=channel, key=note.pitch, vel=decimal(note.velocity / 127), rel="0",
        )  # fmt: skip
    for target, values in moves:
        points = add(holder, "Points", unit="normalized", id=names.new())
        add(points, "Target", channel=channel, **target)
        for tick, value in values:
            add(points, "RealPoint", time=_beats(tick, score), value=decimal(value), interpolation="hold")


def _moves(part: Part) -> Iterable[tuple[dict[str, object], list[tuple[int, float]]]]:
    """Controllers by number, then bends: what is moved, and the ticks and values (0 to 1)."""
    ordered: list[Control] = sorted(part.controls, key=lambda control: control.number)
    for number, group in groupby(ordered, key=lambda control: control.number):
        yield (
            {"expression": "channelController", "controller": number},
            [(control.tick, control.value / 127) for control in group],
        )
    bends: tuple[Bend, ...] = part.bends
    if bends:
        yield {"expression": "pitchBend"}, [(bend.tick, (bend.value + 8192) / 16383) for bend in bends]


def _add_audio(clips: Element, name: str, title: str, stem: AudioFile, score: Score, names: _Names) -> None:
    """The stem as one clip, warped by the tempo map: it keeps time when the tempo is changed in the studio."""
    warps = _warps(stem.seconds, score)
    end = warps[-1][0]
    clip = add(clips, "Clip", time="0", duration=decimal(end), playStart="0", fadeTimeUnit="beats", fadeInTime="0",
               fadeOutTime="0", name=title)  # fmt: skip
    inner = add(
        add(clip, "Clips", id=names.new()), "Clip", time="0", duration=decimal(end), contentTimeUnit="beats",
        playStart="0", fadeTimeUnit="beats", fadeInTime="0", fadeOutTime="0",
    )  # fmt: skip
    warped = add(inner, "Warps", contentTimeUnit="seconds", timeUnit="beats", id=names.new())
    audio = add(
        warped, "Audio", algorithm="stretch", channels=stem.channels, duration=decimal(stem.seconds, 9),
        sampleRate=stem.rate, id=names.new(),
    )  # fmt: skip
    add(audio, "File", path=name)
    for beat, seconds in warps:
        add(warped, "Warp", time=decimal(beat), contentTime=decimal(seconds, 9))


def _warps(seconds: float, score: Score) -> list[tuple[float, float]]:
    """Beats and seconds that belong together: at every change of tempo under the sound, and at its end."""
    ticks = np.array([tempo.tick for tempo in score.tempos])
    pairs = zip((ticks / score.ticks_per_quarter).tolist(), score.seconds(ticks).tolist(), score.tempos, strict=True)
    under = [(beat, at, tempo) for beat, at, tempo in pairs if at < seconds]
    beat, at, tempo = under[-1]
    found = [(beat, at) for beat, at, _ in under]
    return [*found, (beat + (seconds - at) * tempo.qpm / 60, seconds)]


def _add_map(arrangement: Element, score: Score, names: _Names, tempo: str, metre: str) -> None:
    if score.markers:
        markers = add(arrangement, "Markers", timeUnit="beats", id=names.new())
        for marker in score.markers:
            add(markers, "Marker", time=_beats(marker.tick, score), name=marker.text)
    if len(score.tempos) > 1:
        points = add(arrangement, "TempoAutomation", unit="bpm", timeUnit="beats", id=names.new())
        add(points, "Target", parameter=tempo)
        for change in score.tempos:
            time, value = _beats(change.tick, score), decimal(_within(change.qpm))
            add(points, "RealPoint", time=time, value=value, interpolation="hold")
    if len(score.metres) > 1:
        points = add(arrangement, "TimeSignatureAutomation", timeUnit="beats", id=names.new())
        add(points, "Target", parameter=metre)
        for mark in score.metres:
            add(
                points, "TimeSignaturePoint", time=_beats(mark.tick, score), numerator=mark.numerator,
                denominator=mark.denominator,
            )  # fmt: skip
