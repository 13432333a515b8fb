"""``midigen compose``"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from midigen.cli.progress import Counter, Progress
from midigen.cli.steering import (
    MODEL_OPTIONS,
    PART_OPTIONS,
    PLAYED_OPTIONS,
    SAMPLING_OPTIONS,
    TAKES_OPTIONS,
    add_model_options,
    add_part_options,
    add_played_options,
    add_sampling_options,
)
from midigen.cli.stopping import stop_at_once
from midigen.cli.values import (
    MIX_OPTIONS,
    SOUNDFONT_OPTIONS,
    add_mix_options,
    add_output_options,
    add_soundfont_options,
    given,
    merged,
    number,
    part_names,
    whole,
)
from midigen.errors import BadRequest

PROMPT_OPTIONS = (
    "bars", "parts", "tempo_qpm", "key", "metre", "chords", "form", "ending",
    *SAMPLING_OPTIONS, *PART_OPTIONS, *PLAYED_OPTIONS,
)  # fmt: skip


LYRICS_OPTIONS = ("lyrics", "lyrics_part", "lyrics_language", "pinyin")


def add_music_options(parser: argparse.ArgumentParser) -> None:
    """What is to be composed."""
    music = parser.add_argument_group("music (what is left out is the model's to choose)")
    music.add_argument(
        "--bars", metavar="N", type=whole, help="1 to 512 (default: as many as the chords or the form have, else 32)"
    )
    music.add_argument(
        "--parts", metavar="LIST", type=part_names,
        help="from piano, guitar, bass, drums; piano and guitar may come twice; with a role where one is wanted: "
        "guitar:lead,guitar:rhythm (default: piano,guitar,bass)",
    )  # fmt: skip
    music.add_argument(
        "--tempo", dest="tempo_qpm", metavar="QPM", type=number, help="quarter notes a minute, 20 to 300"
    )
    music.add_argument("--key", metavar="KEY", help="such as 'A minor', 'Bb' or F#m")
    music.add_argument("--metre", metavar="METRE", help="4/4, 3/4, 2/4 or 6/8")
    music.add_argument(
        "--chords", metavar="CHART|FILE", help="such as 'C | Am7 | F G/B | C', or a file of them (ChordPro too)"
    )
    music.add_argument("--form", metavar="FORM", help="such as AABA, or 'intro:4 verse:8 chorus:8 outro:4'")
    music.add_argument("--ending", choices=("close", "open"), help="how the last bar ends (default: close)")
    add_played_options(music)
    add_part_options(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.argument_default = argparse.SUPPRESS
    add_music_options(parser)
    words = parser.add_argument_group("lyrics")
    words.add_argument("--lyrics", metavar="WORDS.txt", help="words to set to the notes of a part, a line a phrase")
    words.add_argument(
        "--lyrics-part", metavar="PART", help="who sings: piano, guitar ... (default: who has most of a melody)"
    )
    words.add_argument(
        "--lyrics-language", metavar="CODE", help="such as en, de, pt, zh, ja (default: found in the words)"
    )
    words.add_argument("--pinyin", action="store_true", help="write Chinese characters as pinyin")
    takes = parser.add_argument_group("takes")
    add_sampling_options(takes)
    takes.add_argument(
        "--most-shared", metavar="NOTES", type=whole,
        help="draw again what shares a longer run than this with a training song; runs under 12 are not told "
        "(default: 16)",
    )  # fmt: skip
    takes.add_argument(
        "--again", metavar="SONG", help="start from the settings of this song (its folder or midigen.json)"
    )
    many = parser.add_argument_group("many songs (a folder for each, with seeds that count up; run again to go on)")
    many.add_argument("--count", metavar="N", type=whole, help="how many songs to compose")
    many.add_argument("--jobs", metavar="N", type=whole, help="songs made at once (default: one a processor)")
    many.add_argument(
        "--cluster", metavar="ADDRESS", nargs="?", const="",
        help="on a Ray cluster: its address, or auto; without an address on Ray's workers on this machine",
    )  # fmt: skip
    add_soundfont_options(parser)
    add_mix_options(parser)
    add_model_options(parser)
    add_output_options(parser, "song-SEED or, of many, songs-SEED; or the next free name")


def run(args: argparse.Namespace) -> int:
    stop_at_once()
    if hasattr(args, "count"):
        return _compose_many(args)
    for option in ("jobs", "cluster"):
        if hasattr(args, option):
            raise BadRequest(f"--{option} is for many songs: give --count, too")
    with Progress(timings=args.timings) as progress:
        return _compose(args, progress)


def _compose(args: argparse.Namespace, progress: Progress) -> int:
    from midigen.cli.summary import tell
    from midigen.composing import compose, settings_of
    from midigen.exporting import formats_of
    from midigen.folders import free_name, new_folder
    from midigen.prompt import Prompt

    changes = given(
        args, (*PROMPT_OPTIONS, *LYRICS_OPTIONS, *TAKES_OPTIONS, *SOUNDFONT_OPTIONS, *MIX_OPTIONS, *MODEL_OPTIONS)
    )
    settings = merged(settings_of(args.again) if hasattr(args, "again") else {}, changes)
    # The seed is settled here, since the folder is called after it.
    wish = Prompt(**{f.name: settings[f.name] for f in fields(Prompt) if f.name in settings}).with_seed()
    settings["seed"] = wish.seed
    progress.expect_parts(len(wish.parts))
    folder = Path(args.output) if args.output is not None else free_name(f"song-{wish.seed}")
    formats = formats_of(args.export)  # refused before anything is made
    with new_folder(folder, force=args.force) as draft:
        song = compose(
            **settings, **given(args, ["threads"]),
            on_bar=progress.bar, on_stage=progress.stage, on_part=progress.part,
        )  # fmt: skip
        progress.stage("write")
        song.write_into(draft, formats)
    progress.close()
    tell(song, folder, formats)
    return 0


def _compose_many(args: argparse.Namespace) -> int:
    from midigen.album import TABLE, compose_album, table_of
    from midigen.composing import settings_of
    from midigen.folders import free_name
    from midigen.prompt import Prompt

    if args.force:
        raise BadRequest("--force is for one song: many songs go on in their folder, or begin in another one")
    changes = given(args, (*PROMPT_OPTIONS, *TAKES_OPTIONS, *SOUNDFONT_OPTIONS, *MIX_OPTIONS, *MODEL_OPTIONS))
    settings = merged(settings_of(args.again) if hasattr(args, "again") else {}, changes)
    wish = Prompt(**{f.name: settings[f.name] for f in fields(Prompt) if f.name in settings})
    if args.output is None:
        settings["seed"] = wish.with_seed().seed
    folder = Path(args.output) if args.output is not None else free_name(f"songs-{settings['seed']}")
    if hasattr(args, "cluster"):
        settings |= {"crew": "ray", "address": args.cluster or None}
    with Counter() as counter:
        rows = compose_album(
            folder, args.count, export=args.export,
            on_song=lambda done, total: counter.tell("Composing songs", done, total),
            **given(args, ["jobs"]), **settings,
        )  # fmt: skip
    print("\n".join(table_of(rows)))
    print(folder / TABLE)
    return 1 if any(row.error for row in rows) else 0
