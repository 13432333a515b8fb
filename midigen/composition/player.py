"""A model that is ready to write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from midigen.checkpoint import open_checkpoint
from midigen.engines import Engine, open_engine
from midigen.originality import Index
from midigen.tokenizers.vocabulary import Vocabulary


@dataclass(frozen=True)
class Player:
    """A model that is ready to write: its engine, its vocabulary, what its tokenizer is said to be, and an index of
    the songs that it has learned from, where there is one."""

    engine: Engine
    vocabulary: Vocabulary
    tokenizer: Mapping[str, Any]
    index: Index | None = None


def open_player(
    checkpoint: str | Path | None = None, engine: str = "onnx", mode: str = "fast", threads: int | None = None
) -> Player:
    """Open a checkpoint (a folder, the name of a shipped one, or ``None`` for the default) with an engine."""
    opened = open_checkpoint(checkpoint)
    vocabulary = Vocabulary.from_spec(opened.tokenizer)
    index = Index.from_file(opened.index_file) if opened.index_file else None
    return Player(open_engine(opened, engine, mode, threads), vocabulary, opened.tokenizer, index)
