"""The command line: a table of verbs, and a parser that answers with one line.

Each verb is a module with ``add_arguments(parser)`` and ``run(args) -> int``. Only the module of the verb that is asked
for is imported. argparse of the standard library parses: it costs 15 ms where click and typer cost 60 and more, and a
verb that is a plain function needs no more.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NoReturn

from midigen import __version__
from midigen.errors import BadRequest

# verb: (module, what it does)
VERBS: dict[str, tuple[str, str]] = {
    "compose": ("midigen.cli.compose", "compose a song: MIDI, stems, mix and picture"),
    "play": ("midigen.cli.play", "play while composing, or play a song, and change it on the way"),
    "continue": ("midigen.cli.continuing", "write more bars for a song of your own"),
    "accompany": ("midigen.cli.accompany", "write parts beside those of a song of your own"),
    "harmonise": ("midigen.cli.harmonise", "find chords for a melody, and a band that plays them"),
    "infill": ("midigen.cli.infill", "write some bars of some parts of a song anew"),
    "vary": ("midigen.cli.vary", "vary some bars of a song"),
    "chords": ("midigen.cli.chords", "tell the chords, key and form of a song"),
    "lyrics": ("midigen.cli.lyrics", "set words to a song, or print those it has"),
    "render": ("midigen.cli.render", "render any MIDI file to stems and a mix"),
    "export": ("midigen.cli.export", "write a song as notation, or as a project of a studio"),
    "mix": ("midigen.cli.mix", "mix stems again, without rendering"),
    "meter": ("midigen.cli.meter", "measure the loudness and the peaks of sound files"),
    "profile": ("midigen.cli.profile", "describe the sound of an instrument, from a stem or a SoundFont"),
    "clean": ("midigen.cli.clean", "clean recordings: offset, noise, silence, rate, loudness"),
    "transcribe": ("midigen.cli.transcribe", "bring recordings back to notes: MIDI for every other verb"),
    "prepare": ("midigen.cli.prepare", "read a corpus of MIDI files for training"),
    "train": ("midigen.cli.train", "train a model on a prepared corpus"),
    "evaluate": ("midigen.cli.evaluate", "measure how good a model is, beside real songs"),
    "pack": ("midigen.cli.pack", "make a trained model one that composes"),
    "soundfonts": ("midigen.cli.soundfonts", "list SoundFonts and their sounds, and listen to them"),
}


class Parser(argparse.ArgumentParser):
    """argparse, but what is wrong is said in one line, by the same door as every other error."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("allow_abbrev", False)  # a script must not change its meaning when an option is added
        super().__init__(**settings)  # type: ignore[arg-type]  # argparse's own keywords, passed on

    def error(self, message: str) -> NoReturn:
        raise BadRequest(f"{message}; see {self.prog} --help")

    def options(self) -> list[str]:
        return [option for action in self._actions for option in action.option_strings if option.startswith("--")]


def build_parser(verb: str | None) -> tuple[Parser, Parser | None]:
    """The whole parser, and the one of ``verb``, whose arguments alone are filled in."""
    parser = Parser(
        prog="midigen",
        description="Compose, render and mix songs for piano, guitar, bass and drums, offline.",
        epilog="Each verb has its own help: midigen compose --help. The first song: midigen compose --bars 32",
    )
    parser.add_argument("--version", action="version", version=f"midigen {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    chosen: Parser | None = None
    for name, (module, what) in VERBS.items():
        one = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        if name == verb:
            import_module(module).add_arguments(one)
            chosen = one
    return parser, chosen


def run(argv: Sequence[str]) -> int:
    """Run what ``argv`` asks for and return the exit code. Raises :class:`midigen.errors.MidigenError`."""
    verb = next((word for word in argv if not word.startswith("-")), None)
    if verb is not None and verb not in VERBS:
        raise BadRequest(f"unknown verb {verb!r}{_nearest(verb, VERBS)}: choose from {', '.join(VERBS)}")
    parser, chosen = build_parser(verb)
    try:
        args, strange = parser.parse_known_args(argv)
    except SystemExit as end:  # --help and --version end here, and with them only
        return int(end.code or 0)
    if chosen is None:
        if strange:
            parser.error(f"unknown option {strange[0]}{_nearest(strange[0], parser.options())}")
        parser.print_help()
        return 0
    if strange:
        option = strange[0].partition("=")[0]
        what = "option" if option.startswith("-") else "argument"
        chosen.error(f"unknown {what} {option}{_nearest(option, chosen.options())}")
    return int(import_module(VERBS[args.verb][0]).run(args))


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
