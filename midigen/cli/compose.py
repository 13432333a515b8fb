"""``midigen compose``"""

from __future__ import annotations

import argparse
from pathlib import Path

from midigen.cli.progress import Progress
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

PROMPT_OPTIONS = ("bars", "parts", "tempo_qpm", "key", "metre", "seed", "temperature", "top_p")
MODEL_OPTIONS = ("checkpoint", "engine", "mode")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.argument_default = argparse.SUPPRESS
    music = parser.add_argument_group("music (what is left out is the model's to choose)")
    music.add_argument("--bars", metavar="N", type=whole, help="1 to 512 (default: 32)")
    music.add_argument(
        "--parts", metavar="LIST", type=part_names,
        help="from piano, guitar, bass, drums; piano and guitar may come twice (default: piano,guitar,bass)",
    )  # fmt: skip
    music.add_argument(
        "--tempo", dest="tempo_qpm", metavar="QPM", type=number, help="quarter notes a minute, 20 to 300"
    )
    music.add_argument("--key", metavar="KEY", help="such as 'A minor', 'Bb' or F#m")
    music.add_argument("--metre", metavar="METRE", help="4/4, 3/4, 2/4 or 6/8")
    music.add_argument("--seed", metavar="N", type=whole, help="the same seed and options give the same song")
    music.add_argument(
        "--temperature", metavar="T", type=number, help="above 0, up to 2: lower is safer (default: 0.95)"
    )
    music.add_argument(
        "--top-p", metavar="P", type=number, help="draw from this share of the likeliest, up to 1 (default: 0.98)"
    )
    music.add_argument(
        "--again", metavar="SONG", help="start from the settings of this song (its folder or midigen.json)"
    )
    add_soundfont_options(parser)
    add_mix_options(parser)
    model = parser.add_argument_group("model")
    model.add_argument("--model", dest="checkpoint", metavar="NAME|PATH", help="a checkpoint (default: midigen's own)")
    model.add_argument("--engine", metavar="NAME", help="onnx, or torch with the extra 'train' (default: onnx)")
    model.add_argument(
        "--mode", choices=("fast", "exact"), help="fast: 8-bit; exact: 32-bit arithmetic (default: fast)"
    )
    add_output_options(parser, "song-SEED, or the next free name")


def run(args: argparse.Namespace) -> int:
    stop_at_once()
    with Progress(timings=args.timings) as progress:
        return _compose(args, progress)


def _compose(args: argparse.Namespace, progress: Progress) -> int:
    from midigen.cli.summary import tell
    from midigen.folders import free_name, new_folder
    from midigen.prompt import Prompt
    from midigen.song import compose, settings_of

    changes = given(args, (*PROMPT_OPTIONS, *SOUNDFONT_OPTIONS, *MIX_OPTIONS, *MODEL_OPTIONS))
    settings = merged(settings_of(args.again) if hasattr(args, "again") else {}, changes)
    # The seed is settled here, since the folder is called after it.
    wish = Prompt(**{name: settings[name] for name in PROMPT_OPTIONS if name in settings}).with_seed()
    settings["seed"] = wish.seed
    progress.expect_parts(len(wish.parts))
    folder = Path(args.output) if args.output is not None else free_name(f"song-{wish.seed}")
    with new_folder(folder, force=args.force) as draft:
        song = compose(
            **settings, **given(args, ["threads"]),
            on_bar=progress.bar, on_stage=progress.stage, on_part=progress.part,
        )  # fmt: skip
        progress.stage("write")
        song.write_into(draft)
    progress.close()
    tell(song, folder)
    return 0
