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
    from midigen.composing import compose, compose_again
    from midigen.edits import accompany, continue_song, harmonise, infill, vary
    from midigen.exporting import export
    from midigen.live.opening import open_live, play
    from midigen.lyrics import read_lyrics, set_lyrics
    from midigen.midi import read_midi, write_midi
    from midigen.prompt import Prompt
    from midigen.restoring import clean_files
    from midigen.score import Score
    from midigen.song import Song, mix_files, render_midi
    from midigen.transcribing import Hearing, transcribe

_HOMES = {
    "compose": "midigen.composing",
    "compose_again": "midigen.composing",
    "continue_song": "midigen.edits",
    "accompany": "midigen.edits",
    "harmonise": "midigen.edits",
    "infill": "midigen.edits",
    "vary": "midigen.edits",
    "set_lyrics": "midigen.lyrics",
    "read_lyrics": "midigen.lyrics",
    "open_live": "midigen.live.opening",
    "play": "midigen.live.opening",
    "export": "midigen.exporting",
    "render_midi": "midigen.song",
    "mix_files": "midigen.song",
    "clean_files": "midigen.restoring",
    "transcribe": "midigen.transcribing",
    "Hearing": "midigen.transcribing",
    "Song": "midigen.song",
    "Prompt": "midigen.prompt",
    "Score": "midigen.score",
    "read_midi": "midigen.midi",
    "write_midi": "midigen.midi",
}

__all__ = [
    "Hearing",
    "Prompt",
    "Score",
    "Song",
    "__version__",
    "accompany",
    "clean_files",
    "compose",
    "compose_again",
    "continue_song",
    "export",
    "harmonise",
    "infill",
    "mix_files",
    "open_live",
    "play",
    "read_lyrics",
    "read_midi",
    "render_midi",
    "set_lyrics",
    "transcribe",
    "vary",
    "write_midi",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'midigen' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
