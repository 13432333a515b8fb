"""The rules of the house, held by reading the code: who may import whom, and what every module owes its reader."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "midigen"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_LINES = 420

# Each wing from its source to its mouth: a room may use the rooms before it in its wing, and the ground floor.
GROUND = [
    "errors",
    "plugins",
    "general_midi",
    "instruments",
    "score",
    "syllables",
    "prompt",
    "recognition",
    "charsets",
    "events",
    "chordmarks",  # what the next two write for a chord symbol
    "midi",
    "opened",
    "spans",
    "patching",
    "wavfiles",
    "soundfiles",
    "audio",
    "folders",
    "orphans",  # processes of a pool clear away what they had begun
    "lyrics",  # words on the notes of any file: it knows neither the model nor sound
]
SYMBOLIC = [
    "grid",
    "analysis",
    "fingerprints",
    "charts",
    "written",
    "forms",
    "sections",
    "feel",
    "performance",
    "notation",
    "tokenizers",
    "cells",
    "originality",
    "corpus",
    "attention",
    "model",
    "quantization",  # the grids of a checkpoint's numbers, for who stores them and who multiplies by them
    "checkpoint",
    "engines",
    "dataset",
    "processes",
    "runs",  # a run's folder, for who goes on with it, packs it or draws it
    "training",
    "losscurves",
    "rounding",  # weights to 4 bits, for what the model is given: needs windows of songs
    "packing",
    "drafting",  # feeds an engine ahead of whoever draws
    "generation",
]
SOUND = [
    "soundfonts",
    "renderers",
    "filtering",  # what a mix needs of scipy.signal, without its half second
    "fourier",  # and of scipy.fft, without its sixth of one
    "truepeak",
    "loudness",
    "limiter",
    "effects",
    "mastering",
    "session",
    "signals",
    "spectra",
    "tracing",
    "cleaning",  # measures what it is given and gives back another signal
    "profiles",
    "desk",
    "mixing",
    "livedesk",
    "mixdown",
    "transcription",  # brings a cleaned recording back to notes
    "sound",
]
PICTURES = ["pictures"]
# The hall and the front door stand before everything. Composing a score knows no sound, so it looks to one wing only.
HALL = [
    "composition", "evaluation", "portraits", "record", "exporters", "exporting", "song", "composing", "workers",
    "album", "edits", "restoring", "live", "transcribing",
]  # fmt: skip
ABOVE = {
    "composition": GROUND + SYMBOLIC,
    "portraits": [*GROUND, *SOUND, *PICTURES],  # what was measured, made ready to be drawn
    "record": [*GROUND, "renderers", "__init__"],
    "evaluation": [*GROUND, *SYMBOLIC, *PICTURES, "composition"],  # composes pieces to measure them
    "workers": GROUND,  # who does many tasks at once; knows none of them
    "album": [*GROUND, *SYMBOLIC, "composition", "exporting", "composing", "workers"],
    # Other programs get the notes and the mix, so these look to both wings.
    "exporters": [*GROUND, *SYMBOLIC, *SOUND, "__init__"],
    "exporting": [*GROUND, *SYMBOLIC, *SOUND, "exporters"],
    "song": [*GROUND, *SYMBOLIC, *SOUND, *PICTURES, "composition", "portraits", "record", "exporting"],
    "composing": [*GROUND, *SYMBOLIC, *SOUND, "composition", "record", "song"],
    "edits": [*GROUND, *SYMBOLIC, *SOUND, "composition", "record", "song"],
    "restoring": [*GROUND, *SOUND, *PICTURES, "workers"],  # recordings come in here: cleaned, drawn, written
    "transcribing": [*GROUND, *SYMBOLIC, *SOUND, "workers"],  # recordings to scores, with a key
    # Plays what "composition" writes bar by bar; what was heard becomes a song like any other.
    "live": [*GROUND, *SYMBOLIC, *SOUND, "composition", "record", "song"],
    "__init__": [*GROUND, *HALL],
    "cli": [*GROUND, *SYMBOLIC, *SOUND, *PICTURES, *HALL],
    "__main__": ["errors", "cli"],
}
ALLOWED = {
    room: set(rooms)
    for room, rooms in (
        *((room, GROUND[:place]) for place, room in enumerate(GROUND)),
        *((room, GROUND + SYMBOLIC[:place]) for place, room in enumerate(SYMBOLIC)),
        *((room, GROUND + SOUND[:place]) for place, room in enumerate(SOUND)),
        *((room, GROUND) for room in PICTURES),
        *ABOVE.items(),
    )
}

# Libraries with weight or with ways of their own stay where they are looked after.
GUESTS = {
    "symusic": {"midi", "tokenizers"},
    "pyphen": {"lyrics"},
    "py3langid": {"lyrics"},
    "pypinyin": {"lyrics"},
    "mido": {"midi"},
    "pretty_midi": {"midi"},
    "miditok": {"tokenizers"},
    "torch": {
        "dataset",
        "attention",
        "processes",
        "model",
        "checkpoint",
        "training",
        "runs",
        "rounding",
        "packing",
        "engines",
        "evaluation",
    },
    "transformers": {"attention", "model", "checkpoint", "training", "engines"},
    "accelerate": {"training"},
    "onnx": {"engines"},
    "onnxruntime": {"engines", "transcription"},
    "greenlet": {"engines"},
    "safetensors": {"checkpoint", "runs", "training", "packing", "model"},
    "fluidsynth": {"renderers"},
    "platformdirs": {"renderers"},
    "soundfile": {"audio", "soundfiles"},
    "librosa": {"transcription"},
    "soxr": {"signals"},
    "tomlkit": {"session"},
    "rpp": {"exporters"},
    "scipy": {"filtering", "fourier", "limiter", "cleaning"},
    "matplotlib": {"pictures", "losscurves"},
    "tqdm": {"cli"},
    "sounddevice": {"live"},
    "rtmidi": {"live"},
    "ray": {"workers"},
}
# Not to be had before somebody asks for what they do.
HEAVY = set(GUESTS) - {"mido"}
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "config", "manager", "misc"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            assert node.module is not None
            yield node.module
            if node.module == "midigen":
                yield from (f"midigen.{alias.name}" for alias in node.names if alias.name != "__version__")


@pytest.fixture(params=MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def module(request: pytest.FixtureRequest) -> tuple[Path, ast.Module]:
    path: Path = request.param
    return path, ast.parse(path.read_text(encoding="utf-8"))


def test_imports_point_upstream(module: tuple[Path, ast.Module]) -> None:
    path, tree = module
    room = room_of(path)
    assert room in ALLOWED, f"{room} has no place in the house yet: give it one in this table, with a reason"
    for name in imports(tree):
        if name.startswith("midigen."):
            other = name.split(".")[1]
            assert other == room or other in ALLOWED[room], f"{room} must not know {other}"


def test_guests_stay_in_their_rooms(module: tuple[Path, ast.Module]) -> None:
    path, tree = module
    for name in imports(tree):
        guest = name.split(".")[0]
        assert room_of(path) in GUESTS.get(guest, {room_of(path)}), f"{guest} belongs to {sorted(GUESTS[guest])}"


def test_a_module_is_short_and_well_named(module: tuple[Path, ast.Module]) -> None:
    path, _ = module
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_LINES, "split it by noun"
    assert not BANNED_NAMES & {part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts}


def test_what_is_public_is_explained(module: tuple[Path, ast.Module]) -> None:
    path, tree = module
    assert ast.get_docstring(tree), "the module does not say what it is for"
    if room_of(path) == "cli":  # its public functions are the two that every verb has
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} does not say what it is for"


def test_nothing_is_read_or_run_at_import(module: tuple[Path, ast.Module]) -> None:
    path, tree = module
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.If):
            continue
        for inner in ast.walk(node):
            text = ast.unparse(inner) if isinstance(inner, ast.Attribute) else ""
            assert text not in ("os.environ", "os.getenv", "subprocess.run", "subprocess.Popen"), f"{path}: {text}"


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after ``code``."""
    ask = f"import sys\n{code}\nprint('\\n' + ' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True, cwd=PACKAGE.parent, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words",
    (["--help"], ["compose", "--help"], ["play", "--help"], ["render", "--help"], ["mix", "--help"]),
    ids=" ".join,
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    loaded = loaded_by(f"from midigen.__main__ import main\nmain({words!r})")
    assert "midigen" in loaded
    assert not loaded & (HEAVY | {"numpy", "mido"})


def test_importing_midigen_loads_nothing_heavy() -> None:
    assert not loaded_by("import midigen") & (HEAVY | {"numpy", "mido"})


def test_reading_a_score_and_mixing_need_no_model() -> None:
    loaded = loaded_by("import midigen.song, midigen.midi, midigen.mixing, midigen.renderers.fluidsynth")
    assert not loaded & {"torch", "transformers", "onnxruntime", "onnx", "miditok"}


def test_every_public_name_of_the_package_is_there() -> None:
    import midigen

    for name in midigen.__all__:
        assert getattr(midigen, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = midigen.nothing_such
