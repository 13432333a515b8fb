"""What documents promise, as code: their fenced commands and snippets, looked up and run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language, whether it is run (``"run"``) or is to be refused (``"fails"``), and its text."""

    language: str
    how: str
    body: str

    @property
    def runs(self) -> bool:
        return self.how == "run"


def fences_of(text: str) -> list[Fence]:
    """All fenced blocks of a Markdown text that name a language."""
    return [
        Fence(words.split()[0], [*words.split(), ""][1], textwrap.dedent(body))
        for words, body in re.findall(r"^[ ]*```(\w[^\n]*)\n(.*?)^[ ]*```$", text, re.MULTILINE | re.DOTALL)
    ]


def commands_of(fences: list[Fence]) -> list[list[str]]:
    """The words of every midigen command, from the verb on."""
    lines = [line for fence in fences if fence.language == "sh" for line in fence.body.splitlines()]
    found = [shlex.split(line) for line in lines if "midigen " in line and not line.lstrip().startswith("#")]
    return [words[words.index("midigen") + 1 :] for words in found if "midigen" in words]


def run_fences(fences: list[Fence], folder: Path) -> None:
    """Run, in ``folder`` and in order, the commands that are to run or to fail, then all Python snippets as one."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
    }
    snippets = "\n".join(fence.body for fence in fences if fence.runs and fence.language == "python")
    shell = ["bash", "-euo", "pipefail", "-c"]
    jobs = [([*shell, f.body], f.how) for f in fences if f.how in ("run", "fails") and f.language == "sh"]
    for words, how in [*jobs, ([sys.executable, "-c", snippets], "run")]:
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
        if how == "fails":
            assert done.returncode == 2, words[-1]
            assert done.stderr.count("\n") == 1, done.stderr
        else:
            assert done.returncode == 0, f"{words[-1]}\n{done.stderr}"
            assert done.stderr == "", words[-1]
