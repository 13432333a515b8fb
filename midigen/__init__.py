"""midigen composes, renders and mixes multi-track songs, offline on a CPU.

    import midigen

    song = midigen.compose(bars=32, key="A minor", seed=7)
    song.save("my-song")

The names below are loaded on first use, so that importing midigen costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from midigen.midi import read_midi, write_midi
    from midigen.prompt import Prompt
    from midigen.score import Score
    from midigen.song import Song, compose, compose_again, mix_files, render_midi

_HOMES = {
    "compose": "midigen.song",
    "compose_again": "midigen.song",
    "render_midi": "midigen.song",
    "mix_files": "midigen.song",
    "Song": "midigen.song",
    "Prompt": "midigen.prompt",
    "Score": "midigen.score",
    "read_midi": "midigen.midi",
    "write_midi": "midigen.midi",
}

__all__ = [
    "Prompt",
    "Score",
    "Song",
    "__version__",
    "compose",
    "compose_again",
    "mix_files",
    "read_midi",
    "render_midi",
    "write_midi",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'midigen' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
