"""Compressed SoundFonts in pieces: the very samples of the whole, and unpacked only as far as they sound."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import needs_fluidsynth
from synthetic_soundfont import chunk

from midigen.renderers import divided as module
from midigen.renderers import library, render
from midigen.renderers.divided import Divided, divided
from midigen.renderers.events import Message
from midigen.renderers.fluidsynth import OpenSynthesizer
from midigen.renderers.library import Sounding, presets
from midigen.renderers.unpacking import Unpacker
from midigen.score import Control, Note, Part, Score
from midigen.soundfonts import SoundFont, find_soundfonts, read_soundfont

RATE = 44_100
SPLITS = (0, 50, 60, 70, 128)  # keys of the samples of each of the two layers
LOUD = 100  # velocity from which the second layer sounds
KEYS, VELOCITIES, PAN, RELEASE, ROOT, MODES, SAMPLE, INSTRUMENT = 43, 44, 17, 38, 58, 54, 53, 41


def stream(number: int, path: Path) -> bytes:
    """An Ogg stream of some tenths of a second, unlike those of other numbers."""
    time = np.arange(8_000) / RATE
    wave = 0.4 * np.sin(2 * np.pi * (220 + 40 * number) * time) + 0.1 * np.sin(2 * np.pi * 2_000 * time)
    soundfile.write(path, wave, RATE, format="OGG", subtype="VORBIS")
    return path.read_bytes()


def write_sf3(path: Path, *, type_: int = 0x11, twice: bool = False) -> Path:
    """A font with a sound in eight samples, four along the keys in two layers that overlap by a velocity, and one
    without: two instruments, zones of defaults and a modulator in both tables."""
    streams = [stream(number, path.with_suffix(".ogg")) for number in range(9)]
    smpl, shdr = b"", b""
    for number, data in enumerate(streams):
        head = f"sample {number}".encode(), len(smpl), len(smpl) + len(data), 1_000, 7_000, RATE, 60, 0, 0, type_
        shdr += struct.pack("<20sIIIIIBbHH", *head)
        smpl += data
    pgen, pmod, pbag, igen, imod, ibag = b"", b"", b"", b"", b"", b""
    modulator = struct.pack("<HHhHH", 0x0502, 48, -300, 0, 0)  # velocity to attenuation

    def amount(number: int, value: int) -> bytes:
        return struct.pack("<HH", number, value & 0xFFFF)

    def bag(generators: bytes, modulators: bytes) -> bytes:
        return struct.pack("<HH", len(generators) // 4, len(modulators) // 10)

    for layer in range(2):
        ibag += bag(igen, imod)
        igen, imod = igen + amount(RELEASE, 600 - 1_200 * layer), imod + modulator
        for place in range(4):
            ibag += bag(igen, imod)
            low, high = SPLITS[place], SPLITS[place + 1] - 1
            igen += amount(KEYS, low | high << 8) + amount(PAN, 100 * place) + amount(ROOT, 60) + amount(MODES, 1)
            igen += amount(SAMPLE, 4 * layer + place)
    ibag += bag(igen, imod)
    igen += amount(SAMPLE, 8)
    ibag += bag(igen, imod)
    pbag += bag(pgen, pmod)
    pgen, pmod = pgen + amount(RELEASE, 100), pmod + modulator
    for layer, (soft, loud) in enumerate(((1, LOUD), (LOUD, 127))):
        pbag += bag(pgen, pmod)
        pgen += amount(VELOCITIES, soft | loud << 8) + amount(PAN, -50) + amount(INSTRUMENT, layer)
    pbag += bag(pgen, pmod)
    pgen += amount(INSTRUMENT, 2)
    pbag += bag(pgen, pmod)
    phdr = struct.pack("<20sHHHIII", b"Layers", 0, 0, 0, 0, 0, 0)
    phdr += struct.pack("<20sHHHIII", b"Plain", 0 if twice else 33, 0, 3, 0, 0, 0)
    phdr += struct.pack("<20sHHHIII", b"EOP", 0, 0, 4, 0, 0, 0)
    inst = b"".join(struct.pack("<20sH", name, at) for name, at in ((b"a", 0), (b"b", 5), (b"c", 10), (b"EOI", 11)))
    tables = {
        b"phdr": phdr, b"pbag": pbag, b"pmod": pmod + bytes(10), b"pgen": pgen + bytes(4), b"inst": inst,
        b"ibag": ibag, b"imod": imod + bytes(10), b"igen": igen + bytes(4),
        b"shdr": shdr + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }  # fmt: skip
    info = chunk(b"ifil", struct.pack("<HH", 3, 1)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"Layered\0")
    body = chunk(b"LIST", b"INFO" + info) + chunk(b"LIST", b"sdta" + chunk(b"smpl", smpl))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(name, data) for name, data in tables.items()))
    path.write_bytes(chunk(b"RIFF", b"sfbk" + body))
    return path


@pytest.fixture
def font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoundFont:
    monkeypatch.setenv("MIDIGEN_CACHE", "off")
    monkeypatch.setattr(module, "LEAST_BYTES", 0)
    return read_soundfont(write_sf3(tmp_path / "layers.sf3"))


def played(font: SoundFont, part: Part, seed: int = 1) -> np.ndarray:
    """Notes, the pedal, bends and keys that are pressed again, at random."""
    random = np.random.default_rng(seed)
    synthesizer = OpenSynthesizer(part, font, RATE)
    pieces = []
    for number in range(150):
        pitch, velocity = int(random.integers(20, 100)), int(random.integers(1, 128))
        if part.is_drum:
            pitch = int(random.integers(30, 80))
        synthesizer.send(Message(0, "on", (pitch, velocity)))
        if number % 5 == 0:  # the key is down: the other layer, perhaps
            synthesizer.send(Message(0, "on", (pitch, 128 - velocity)))
        if number % 37 in (5, 20):
            synthesizer.send(Message(0, "control", (64, 127 if number % 37 == 5 else 0)))
        if number % 53 == 9:
            synthesizer.send(Message(0, "bend", (int(random.integers(0, 16_383)),)))
        pieces.append(synthesizer.play(int(random.integers(1, 30))))
        if random.random() < 0.6:
            synthesizer.send(Message(0, "off", (pitch,)))
    synthesizer.close()
    return np.concatenate(pieces, axis=1)


def as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "divided", lambda *words: None)


@needs_fluidsynth
def test_a_sound_in_pieces_is_the_whole_to_the_bit(font: SoundFont, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part("piano", "piano")
    in_pieces = played(font, part)
    as_a_whole(monkeypatch)
    assert np.abs(in_pieces).max() > 0.01
    np.testing.assert_array_equal(in_pieces, played(font, part))


@needs_fluidsynth
def test_the_fonts_of_this_machine_in_pieces_are_the_whole_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = [font for font in find_soundfonts() if font.path.suffix == ".sf3"][:1]
    if not fonts:
        pytest.skip("no SF3 font is installed")
    divisible = 0
    for font in fonts:
        for part in (Part("piano", "piano"), Part("drums", "drums", is_drum=True)):
            in_pieces = played(font, part)
            sound = next(s for s in presets(font) if (s.bank, s.program) == (128 if part.is_drum else 0, 0))
            divisible += divided(font, sound.bank, sound.program) is not None
            with monkeypatch.context() as patched:
                as_a_whole(patched)
                np.testing.assert_array_equal(in_pieces, played(font, part))
    assert divisible


@needs_fluidsynth
def test_stems_do_not_depend_on_it(font: SoundFont, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = tuple(Note(240 * n, 40 + 3 * n, 300, 60 + 5 * n) for n in range(13))
    score = Score((Part("piano", "piano", notes=notes, controls=(Control(500, 64, 127), Control(2_000, 64, 0))),))
    in_pieces = render(score, font)
    as_a_whole(monkeypatch)
    whole = render(score, font)
    assert in_pieces[0].sound == whole[0].sound == "Layers"
    expected = np.concatenate(list(whole[0].audio.blocks()), axis=1)
    np.testing.assert_array_equal(np.concatenate(list(in_pieces[0].audio.blocks()), axis=1), expected)


def test_a_piece_for_all_that_sounds_alike(font: SoundFont) -> None:
    pieces = divided(font, 0, 0)
    assert pieces is not None
    numbers = pieces.numbers
    assert (numbers[:, 0] == -1).all() and (numbers[:, 1:] >= 0).all()
    assert numbers.max() + 1 == 4 * 3  # soft, loud, and the one velocity that is both
    assert len(np.unique(numbers[50:60, 1:LOUD])) == 1 and numbers[49, 80] != numbers[50, 80] != numbers[50, LOUD]
    order = pieces.usual_first()
    assert sorted(order) == list(range(12)) and order[0] == numbers[60, 72]
    again = divided(font, 0, 0)
    assert again is pieces  # one for all
    assert len(pieces.path.read_bytes()) < font.bytes + 5_000


def test_the_file_is_gone_with_who_used_it(font: SoundFont, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module.os, "memfd_create", raising=False)
    (tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    pieces = divided(font, 0, 0)
    assert pieces is not None and list((tmp_path / "t").iterdir()) == [pieces.path]
    del pieces
    assert not list((tmp_path / "t").iterdir())


def test_without_room_the_font_plays_as_it_is(font: SoundFont, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module.os, "memfd_create", raising=False)
    (tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "write", full)
    assert divided(font, 0, 0) is None
    assert not list((tmp_path / "t").iterdir())


@pytest.mark.parametrize("what", ["not compressed", "of ROM", "two of a place", "not there", "small", "cut"])
def test_what_is_unlike_others_is_left_alone(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if what != "small":
        monkeypatch.setattr(module, "LEAST_BYTES", 0)
    type_ = {"not compressed": 1, "of ROM": 0x8011}.get(what, 0x11)
    path = write_sf3(tmp_path / "odd.sf3", type_=type_, twice=what == "two of a place")
    if what == "cut":
        path.write_bytes(path.read_bytes()[:-2_000])
    font = SoundFont("odd", path, path.stat().st_size)
    assert divided(font, 0, 9 if what == "not there" else 0) is None


@needs_fluidsynth
def test_only_what_sounds_is_unpacked_and_the_rest_beside(font: SoundFont) -> None:
    sound = next(sound for sound in presets(font) if sound.name == "Layers")
    with Sounding(font, sound, RATE, 0) as sounding:
        assert isinstance(sounding.pieces, Divided) and not sounding._there
        sounding.press(62, 72)
        sounding.press(63, 72)
        assert len(sounding._there) == 1
        beside = Sounding(font, sound, RATE, 0)
        unpacker = Unpacker(beside)
        unpacker.expect(20, 127)
        unpacker._thread.join()
        assert len(beside._there) == 12
        unpacker.close()
        sounding.press(20, 127)
        assert len(sounding._there) == 2
    synthesizer = OpenSynthesizer(Part("piano", "piano"), font, RATE)
    synthesizer.unpack()
    synthesizer.expect([Message(0, "on", (60, 100)), Message(0, "off", (60,))])
    synthesizer.close()  # at once, whatever is left to do
    assert synthesizer._unpacker is not None and not synthesizer._unpacker._thread.is_alive()
