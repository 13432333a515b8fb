"""More doors into midigen: corpora and runs of training, fonts that are played, songs that are played or exported."""

from __future__ import annotations

import io
import json
import shutil
import struct
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studios import studio_song
from midigen.midi import midi_bytes

COMMANDS = (
    b"gain bass -3\n# a remark\n5: chords Am F C G\nmute piano\n9: preset rock\nloudness -16\npan guitar=0.3\nstop\n",
    b"solo bass,drums\n3 : unsolo bass\nunmute piano\n12: gain drums 2.5\nchords\nhelp\n",
)
COMMAND_WORDS = (
    b"99999999999999999999:", b"gain piano nan", b"gain piano 1e999", b"chords " + b"|: " * 400, b":", b"\xff\xfe",
    b"pan bass -inf", b"loudness podcast", b"\0", "²: stop".encode(),
)  # fmt: skip


def read_command_file(path: Path, data: bytes) -> None:
    """As ``play --commands`` does, with the parts of a band."""
    from midigen.live.commands import check_commands, read_commands
    from midigen.sound import Sound

    parts = [("piano", "piano"), ("guitar", "guitar"), ("bass", "bass"), ("drums", "drums")]
    check_commands(read_commands(path), Sound().session(parts, 120.0), parts)


def read_played(path: Path, data: bytes) -> None:
    """As ``play SONG.mid`` does: a score, bar by bar."""
    from midigen.live.sources import bars_of
    from midigen.midi import read_midi
    from midigen.score import named_apart

    bars_of(named_apart(read_midi(data, "broken.mid")))


def read_exported(path: Path, data: bytes) -> None:
    """As ``export SONG.mid`` does, to notation and to a studio."""
    from midigen.errors import MidigenError
    from midigen.exporting import export

    refusals = []
    for to in ("musicxml", "rpp", "dawproject"):
        try:
            export(path, path.with_name(f"out.{to}"), to=to)
        except MidigenError as error:
            refusals.append(error)
    if len(refusals) == 3:
        raise refusals[0]


def read_profiled(path: Path, data: bytes) -> None:
    """As ``profile``, ``meter`` and ``mix`` do with a stem."""
    from midigen.audio import open_audio
    from midigen.loudness import Meter
    from midigen.profiles import profile_of
    from midigen.tracing import trace_of

    signal = open_audio(path)
    meter = Meter(signal.rate, signal.channels)
    for block in signal.blocks():
        meter.feed(block)
    meter.reading()
    trace_of(signal)
    profile_of(signal)


def read_synth(path: Path, data: bytes) -> None:
    """A font that is played: FluidSynth reads it, and a note sounds."""
    from midigen.renderers import render
    from midigen.score import Note, Part, Score
    from midigen.soundfonts import read_soundfont

    score = Score((Part("piano", "piano", notes=(Note(0, 69, 240, 90), Note(240, 48, 240, 20))),))
    for stem in render(score, read_soundfont(path)):
        for block in stem.audio.blocks():
            assert np.isfinite(block).all(), "the font sounds like no number"


def synth_seeds(folder: Path) -> list[bytes]:
    """A SoundFont with a looped sine: SoundFont Technical Specification 2.04."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    wave = (16_000 * np.sin(np.arange(400) * np.pi / 50)).astype("<i2").tobytes() + bytes(92)
    info = chunk(b"ifil", struct.pack("<HH", 2, 4)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"Tiny\0\0")
    tables = b"".join((
        chunk(b"phdr", struct.pack("<20sHHHIII", b"Sine", 0, 0, 0, 0, 0, 0)
              + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0)),
        chunk(b"pbag", struct.pack("<HHHH", 0, 0, 1, 0)),
        chunk(b"pmod", bytes(10)),
        chunk(b"pgen", struct.pack("<HHHH", 41, 0, 0, 0)),
        chunk(b"inst", struct.pack("<20sH", b"Sine", 0) + struct.pack("<20sH", b"EOI", 1)),
        chunk(b"ibag", struct.pack("<HHHH", 0, 0, 3, 1)),
        chunk(b"imod", struct.pack("<HHhHH", 0x0502, 48, 400, 0, 0) + bytes(10)),
        chunk(b"igen", struct.pack("<HhHHHHHH", 38, -6000, 54, 1, 53, 0, 0, 0)),
        chunk(b"shdr", struct.pack("<20sIIIIIBbHH", b"Sine", 0, 400, 100, 300, 44_000, 69, 0, 0, 1)
              + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    ))  # fmt: skip
    body = b"sfbk" + chunk(b"LIST", b"INFO" + info) + chunk(b"LIST", b"sdta" + chunk(b"smpl", wave))
    body += chunk(b"LIST", b"pdta" + tables)
    return [b"RIFF" + struct.pack("<I", len(body)) + body]


def read_corpus(path: Path, data: bytes) -> None:
    """The bytes are ``corpus.json`` and a shard, one after the other: what training, packing and the index read."""
    from midigen.cells import Cells
    from midigen.dataset import Windows
    from midigen.originality import build_index
    from midigen.packing import key_shares

    size = int.from_bytes(data[:4], "little") % (len(data) + 1)
    folder = path.parent / "corpus"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "corpus.json").write_bytes(data[4 : 4 + size])
    (folder / "train-0000.npz").write_bytes(data[4 + size :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names the shard that is left out
        cells = Cells(folder, "train")
    Windows(cells, 1024, 0)[0]
    key_shares(cells)
    build_index(cells, 4096)


def corpus_seeds(folder: Path) -> list[bytes]:
    """A corpus of one song."""
    from midigen.corpus import prepare
    from midigen.score import Note, Part, Score

    notes: dict[str, list[Note]] = {"piano": [], "bass": []}
    for bar in range(16):
        root = (57, 53, 48, 55)[bar % 4]
        for beat in range(4):
            at = 1920 * bar + 480 * beat
            notes["piano"] += [Note(at, root + step, 400, 70 + beat) for step in (0, 4, 7)]
            notes["bass"].append(Note(at, root - 12, 440, 90 - beat))
    song = Score(
        tuple(Part(name, name, {"piano": 0, "bass": 33}[name], notes=tuple(sorted(n))) for name, n in notes.items())
    )
    (folder / "songs").mkdir(exist_ok=True)
    (folder / "songs" / "one.mid").write_bytes(midi_bytes(song))
    prepare([folder / "songs"], folder / "prepared", validation_share=0, jobs=1)
    table, shard = ((folder / "prepared" / name).read_bytes() for name in ("corpus.json", "train-0000.npz"))
    with np.load(io.BytesIO(shard)) as arrays:
        plain = io.BytesIO()
        np.savez(plain, allow_pickle=False, **dict(arrays))
    return [len(table).to_bytes(4, "little") + table + data for data in (shard, plain.getvalue())]


RUN_FILES = ("best.json", "plan.json", "log.jsonl", "best.safetensors", "originality.bin", "state.pt")


def read_run(path: Path, data: bytes) -> None:
    """One of the files of a training run, which the first byte says, as ``train``, ``pack`` and ``compose`` read it."""
    from midigen.losscurves import draw_losses
    from midigen.originality import Index
    from midigen.packing import plan_of
    from midigen.runs import earlier, read_facts, read_state, read_weights
    from midigen.training import Plan

    name = RUN_FILES[(data[:1] or b"\0")[0] % len(RUN_FILES)]
    with tempfile.TemporaryDirectory() as place:
        run = Path(place)
        (run / name).write_bytes(data[1:])
        if name == "best.json":
            (run / "best.safetensors").write_bytes(b"")
            read_facts(run / name)
            earlier(str(run / "best.safetensors"))
            return
        reads: dict[str, Callable[[], object]] = {
            "plan.json": lambda: plan_of(run),
            "log.jsonl": lambda: draw_losses(run),
            "best.safetensors": lambda: read_weights(run / name),
            "originality.bin": lambda: Index.from_file(run / name).knows(np.arange(3, dtype=np.uint64)),
            "state.pt": lambda: read_state(run / name, json.loads(json.dumps(asdict(Plan(steps=9))))),
        }
        reads[name]()


def run_seeds(folder: Path) -> list[bytes]:
    """Each file as a run leaves it."""
    from safetensors.numpy import save

    from midigen.originality import Index
    from midigen.training import Plan

    plan = json.loads(json.dumps(asdict(Plan(steps=9))))
    row = {"step": 1, "share": 0.1, "loss": 5.0, "learning_rate": 0.003, "tokens": 900, "seconds": 1.5}
    log = [{**row, "validation": {}}, {**row, "tokens": 1800, "validation": {"loss": 4.0, "per_note": 9.0}}]
    best: dict[str, Any] = {**row, "vocabulary": {"note_tokens": "running"}, "before": [row], "parameters": 1000}
    files = {
        "best.json": json.dumps(best).encode(),
        "plan.json": json.dumps(plan).encode(),
        "log.jsonl": "".join(json.dumps(line) + "\n" for line in log).encode(),
        "best.safetensors": save({"a": np.zeros((2, 3), np.float32)}),
        "originality.bin": Index(np.zeros(64, np.uint8), 3).to_bytes(),
    }
    if find_spec("torch"):
        import torch

        held = io.BytesIO()
        state = {"plan": plan, "weights": {"a": torch.zeros(2, 3)}, "optimizers": [], "step": 1, "tokens": 900,
                 "seconds": 1.0, "best": 9.0, "since_best": 0, "rows": 2}  # fmt: skip
        torch.save(state, held)
        files["state.pt"] = held.getvalue()
    return [bytes([RUN_FILES.index(name)]) + data for name, data in files.items()]


def small_song(folder: Path) -> list[bytes]:
    """The song with everything in it, and a note."""
    track = bytes.fromhex("00ff58040602180800ff510307a12000903c4060803c00 00ff2f00")
    tiny = b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk" + struct.pack(">I", len(track)) + track
    return [midi_bytes(studio_song()), tiny]
