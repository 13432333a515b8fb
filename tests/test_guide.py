"""What the guide says is so: its commands and snippets are run, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import needs_fluidsynth
from documents import ROOT, commands_of, fences_of, run_fences

from midigen.checkpoint import checkpoint_names
from midigen.cli import VERBS, build_parser
from midigen.composition.wishes import ROLES

TEXT = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
FENCES = fences_of(TEXT)


@needs_fluidsynth
@pytest.mark.skipif("default" not in checkpoint_names(), reason="no checkpoint in this tree")
def test_the_commands_and_snippets_run_in_their_order(tmp_path: Path) -> None:
    run_fences(FENCES, tmp_path)


def test_every_command_of_the_guide_runs_or_is_refused() -> None:
    assert TEXT.count("```") == 2 * len(FENCES)
    # What needs loudspeakers or a MIDI port is only read: its options are looked up below, as all are.
    assert all(fence.how in ("run", "fails", "heard") for fence in FENCES)
    assert all("midigen play" in fence.body for fence in FENCES if fence.how == "heard")


@pytest.mark.parametrize("words", commands_of(FENCES), ids=" ".join)
def test_every_option_is_one_that_midigen_knows(words: list[str]) -> None:
    parser, chosen = build_parser(words[0])
    assert chosen is not None, f"no verb {words[0]}"
    _, strange = parser.parse_known_args(words)
    assert not strange


def test_every_role_is_told_of() -> None:
    for kind, roles in ROLES.items():
        for role in roles:
            assert f"`{kind}:{role}`" in TEXT


def test_every_verb_that_steers_is_told_of() -> None:
    for verb in ("compose", "continue", "accompany", "harmonise", "infill", "vary", "chords"):
        assert verb in VERBS and f"midigen {verb}" in TEXT
