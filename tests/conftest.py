"""What several tests share: a small band, and the command line as a function."""

from __future__ import annotations

import ctypes.util
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from midigen.score import Control, Key, Metre, Note, Part, Score, Tempo, Text

# The same examples in every run, however busy the machine is.
hypothesis.settings.register_profile("midigen", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("midigen")

has_fluidsynth = ctypes.util.find_library("fluidsynth") is not None
needs_fluidsynth = pytest.mark.skipif(not has_fluidsynth, reason="libfluidsynth is not installed")


def make_band(bars: int = 4, *, drums: bool = False, guitars: int = 1, seed: int = 0) -> Score:
    """A band that plays Am F C G, a chord a bar: every kind of thing that a score can hold is in it."""
    dice = random.Random(seed)
    bar, eighth = 1920, 240
    roots = ((9, "Am"), (5, "F"), (0, "C"), (7, "G"))
    piano, bass, kit = [], [], []
    guitar: list[list[Note]] = [[] for _ in range(guitars)]
    chords = []
    for number in range(bars):
        root, symbol = roots[number % 4]
        start = number * bar
        chords.append(Text(start, symbol))
        third = 3 if symbol.endswith("m") else 4
        for tone in (root, root + third, root + 7):
            piano.append(Note(start, 60 + tone % 12, 1800, dice.randint(40, 100)))
        for step in range(8):
            tone = (root, root + third, root + 7)[step % 3]
            for line, notes in enumerate(guitar):
                notes.append(Note(start + step * eighth, 52 + 12 * line + tone % 12, 200, dice.randint(50, 110)))
            kit.append(Note(start + step * eighth, 42, 60, dice.randint(40, 110)))
        for beat in range(4):
            bass.append(Note(start + beat * 480, 36 + root % 12, 430, dice.randint(70, 120)))
            kit.append(Note(start + beat * 480, 36 if beat % 2 == 0 else 38, 60, 110))
    parts = [
        Part("piano", "piano", 0, notes=tuple(sorted(piano)), controls=(Control(0, 64, 127), Control(1900, 64, 0)))
    ]
    for line, notes in enumerate(guitar):
        name = f"guitar {line + 1}" if line else "guitar"
        parts.append(Part(name, "guitar", 25 + line, notes=tuple(sorted(notes))))
    parts.append(Part("bass", "bass", 33, notes=tuple(sorted(bass))))
    if drums:
        parts.append(Part("drums", "drums", 0, is_drum=True, notes=tuple(sorted(kit))))
    return Score(
        tuple(parts),
        tempos=(Tempo(0, 120.0),),
        metres=(Metre(0, 4, 4),),
        keys=(Key(0, 9, "minor"),),
        markers=(Text(0, "verse"),),
        chords=tuple(chords),
        title="band",
        bars=bars,
    )


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stems are kept in a folder of the tests, not in that of whoever runs them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MIDIGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture
def band() -> Callable[..., Score]:
    return make_band


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that goes through every step as a trained one does, in a tenth of a second; it plays nonsense."""
    from midigen.checkpoint import save_checkpoint
    from midigen.model import Size, parameter_shapes
    from midigen.tokenizers.vocabulary import Vocabulary

    vocabulary = Vocabulary()
    size = Size(d_model=32, layers=1, heads=2, kv_heads=1, d_ff=64, context=16384, head_dim=16)
    dice = np.random.default_rng(0)
    state = {
        name: (np.ones(shape) if len(shape) == 1 else dice.normal(0, 0.05, shape)).astype(np.float32)
        for name, shape in parameter_shapes(size, vocabulary.size).items()
    }
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return save_checkpoint(folder, state, size, vocabulary.to_spec(), {"weights": "random"})


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def complains(self, *words: str) -> bool:
        """Whether it said one line, in midigen's voice, with these words, and ended as errors of users do."""
        one_line = self.err.count("\n") == 1 and self.err.startswith("midigen: ")
        return self.code == 2 and one_line and all(word in self.err for word in words)


@pytest.fixture
def midigen(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Ended]]:
    """Run the command line in an empty folder of its own: ``midigen("compose", "--bars", 4)``."""
    from midigen.__main__ import main

    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in signals}

    def run(*words: object) -> Ended:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)
