"""What the README says is so: its commands and snippets are run, its other commands and links are looked up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import needs_fluidsynth
from documents import ROOT, commands_of, fences_of, run_fences

from midigen.checkpoint import checkpoint_names
from midigen.cli import VERBS, build_parser

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


FENCES = fences_of(TEXT)
COMMANDS = [line for fence in FENCES if fence.language == "sh" for line in fence.body.splitlines() if line.strip()]


def test_the_readme_has_commands_and_snippets_that_run() -> None:
    assert TEXT.count("```") == 2 * len(FENCES)
    assert {fence.language for fence in FENCES if fence.runs} == {"sh", "python"}


@needs_fluidsynth
@pytest.mark.skipif("default" not in checkpoint_names(), reason="no checkpoint in this tree")
def test_the_commands_and_snippets_run_in_their_order(tmp_path: Path) -> None:
    run_fences(FENCES, tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    folders = {"song-1", "chart", "waltz", "waltz-softer", "another-bass", "guitar-only", "bass-profile"}
    assert folders | {"softer-piano.flac", "without-bass.wav", "duo.mp3"} <= made
    tree = next(fence.body for fence in FENCES if fence.body.startswith("song-1/"))
    told = set(re.findall(r"[\w.-]+\.\w+(?= |$)", tree, re.MULTILINE))
    assert {path.name for path in (tmp_path / "song-1").rglob("*") if path.is_file()} <= told


@pytest.mark.parametrize("words", commands_of(FENCES), ids=" ".join)
def test_every_command_is_one_that_midigen_knows(words: list[str]) -> None:
    parser, chosen = build_parser(words[0])
    assert chosen is not None, f"no verb {words[0]}"
    args, strange = parser.parse_known_args(words)
    assert args.verb == words[0]
    assert not strange


def test_every_verb_is_told_of() -> None:
    for verb in VERBS:
        assert f"midigen {verb}" in TEXT, verb


def test_make_targets_are_there() -> None:
    targets = re.findall(r"^make (\S+)", "\n".join(COMMANDS), re.MULTILINE)
    assert {"song", "test"} <= set(targets)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_packages_to_install_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (line,) = [command for command in COMMANDS if "apt-get install" in command]
    for package in ("libfluidsynth3", "musescore-general-soundfont-small"):
        assert package in line
        assert package in makefile


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]*)(#[^)]*)?\)", TEXT)
    assert links
    headings = {
        "#" + re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)", TEXT, re.M)
    }
    for path, anchor in links:
        if path:
            assert (ROOT / path).exists(), path
        else:
            assert anchor in headings, anchor
