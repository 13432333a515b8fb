"""What must work where almost nothing is installed: composing without torch, training without the music libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from songs import write_songs

from midigen.__main__ import main
from midigen.corpus import prepare

# Only what midigen's own code imports is refused: torch and transformers look for optional guests of their own.
BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {names!r}:
            return None
        frame = sys._getframe(1)
        while frame and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        if frame and {house!r} in frame.f_code.co_filename:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""
HOUSE = str(Path(__file__).parents[1] / "midigen")


def run_without(names: set[str], program: str, *arguments: str) -> str:
    """Run a Python program in a process where importing any of ``names`` fails; returns what it printed."""
    code = BLOCK.format(names=names, house=HOUSE) + program
    command = [sys.executable, "-W", "error::UserWarning:midigen", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_needs_torch_transformers_numpy_and_safetensors_alone(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    write_songs(tmp_path / "songs", 8)
    prepare([tmp_path / "songs"], tmp_path / "corpus", validation_share=0.3, jobs=1)
    for leftover in (tmp_path / "corpus" / "chunks").iterdir():
        leftover.unlink()  # shards and corpus.json are all that is carried
    program = """
from midigen.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    music = {
        "symusic", "mido", "miditok", "pretty_midi", "scipy", "tqdm", "matplotlib", "onnx", "onnxruntime", "soundfile",
        "pyloudnorm", "fluidsynth",
    }  # fmt: skip
    said = run_without(
        music, program, "train", str(tmp_path / "corpus"), "-o", str(tmp_path / "run"), "--size", "tiny",
        "--steps", "2", "--windows-a-step", "2", "--validate-every", "2", "--threads", "1",
    )  # fmt: skip
    assert "nats a note" in said
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_composing_needs_neither_torch_nor_transformers_nor_miditok() -> None:
    program = """
from midigen.composition import compose_score
from midigen.prompt import Prompt
print(sum(len(part.notes) for part in compose_score(Prompt(bars=2, seed=1)).parts))
"""
    assert int(run_without({"torch", "transformers", "miditok", "tokenizers", "symusic"}, program)) > 0


@pytest.mark.parametrize(
    "verb", [["train", "CORPUS", "-o", "RUN", "--steps", "1"], ["pack", "RUN", "--corpus", "CORPUS"]]
)
def test_training_without_torch_says_what_to_install(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("midigen.errors.find_spec", lambda name: None)
    assert main(verb) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "torch" in said and "pip install '.[train]'" in said
