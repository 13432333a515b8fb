"""``midigen play``"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midigen.cli.compose import PROMPT_OPTIONS, add_music_options
from midigen.cli.progress import Progress
from midigen.cli.steering import MODEL_OPTIONS, add_model_options
from midigen.cli.stopping import stop_at_once
from midigen.cli.values import (
    REMIX_OPTIONS,
    SOUNDFONT_OPTIONS,
    add_mix_options,
    add_soundfont_options,
    given,
    number,
    whole,
)

if TYPE_CHECKING:
    from midigen.live.playing import Live, Report
    from midigen.live.transport import Played

OUTPUT_OPTIONS = ("to", "device", "midi_port", "buffer_seconds", "mix_file")
WORDS = """While it plays, type a line and press Enter:
{help}
Ctrl-C ends with the present bar, a second one at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument(
        "song", metavar="SONG", nargs="?", default=None,
        help="a MIDI file, or a folder that compose has written; without it a piece is composed while it plays",
    )  # fmt: skip
    add_music_options(parser)
    parser.add_argument("--seed", metavar="N", type=whole, help="the same seed and options give the same piece")
    parser.add_argument("--temperature", metavar="T", type=number, help="above 0, up to 2 (default: 1)")
    parser.add_argument("--top-p", metavar="P", type=number, help="up to 1 (default: 0.98)")
    where = parser.add_argument_group("where it is heard (default: the system's audio)")
    where.add_argument("--to", metavar="FILE", help="a sound file, written as fast as the music is composed")
    where.add_argument("--device", metavar="NAME", help="an audio device, by a part of its name")
    where.add_argument("--midi-port", metavar="NAME", help="a MIDI port, by a part of its name, instead of sound")
    where.add_argument(
        "--buffer", dest="buffer_seconds", metavar="SECONDS", type=number,
        help="of sound that lies ready, 0.05 to 5: more is safer, less answers sooner (default: 0.25)",
    )  # fmt: skip
    where.add_argument("--rate", metavar="HZ", type=whole, help="frames a second: 44100, 48000 or 96000")
    live = parser.add_argument_group("changing it on the way")
    live.add_argument(
        "--commands",
        metavar="FILE",
        help="a command a line, such as '5: chords Am F C G' (5: from bar 5 on); - is stdin",
    )
    live.add_argument(
        "--mix", dest="mix_file", metavar="FILE.toml",
        help="a mix.toml, read again at the next bar whenever it is saved (default: the one of the song's folder)",
    )  # fmt: skip
    add_soundfont_options(parser)
    add_mix_options(parser)
    add_model_options(parser)
    keep = parser.add_argument_group("keeping it")
    keep.add_argument(
        "-o", "--output", metavar="DIR", default=None, help="afterwards, write what was heard as compose writes a song"
    )
    keep.add_argument("--force", action="store_true", default=False, help="replace a song that is there already")
    parser.add_argument("--timings", action="store_true", default=False, help="tell on stderr when the first bar came")


def run(args: argparse.Namespace) -> int:
    from midigen.folders import check_place

    if args.output is not None:
        check_place(args.output, force=args.force)
    stop_at_once()
    with Progress() as progress:
        return _play(args, progress)


def _play(args: argparse.Namespace, progress: Progress) -> int:
    from midigen.live.opening import open_live

    names = (*PROMPT_OPTIONS, "seed", "temperature", "top_p", *SOUNDFONT_OPTIONS, *REMIX_OPTIONS, *MODEL_OPTIONS)
    settings: dict[str, Any] = {**given(args, (*names, *OUTPUT_OPTIONS)), "on_news": _tell, "on_wait": _tell_of_wait}
    heard = "to" not in settings
    commands = getattr(args, "commands", None)
    if commands is not None:
        settings["commands"] = commands if commands != "-" else ([] if heard else sys.stdin.readlines())
    with open_live(args.song, **settings) as live:
        _end_gracefully(live)
        if heard and (commands == "-" or _is_keyboard()):
            if _is_keyboard():
                from midigen.live.commands import HELP

                print(WORDS.format(help=HELP), file=sys.stderr)
            threading.Thread(target=_listen, args=(live,), daemon=True).start()
        total = None
        for bar in live:
            if total is None:
                total = live.bars
                print(_title(live), flush=True)
            if not heard:
                progress.bar(bar.number + 1, total)
        progress.close()
        report = live.report()
        _tell_report(report, args)
        if args.output is not None:
            _keep(live, args, progress)
    return 0


def _title(live: Live) -> str:
    from midigen.record import describe

    music = describe(live.score)
    facts = [f"{live.bars} bars", music["key"], f"{music['tempo_qpm']:g} bpm", music["metre"]]
    seed = f", seed {live.prompt.seed}" if live.source is None else ""
    return f"playing {', '.join(str(fact) for fact in facts if fact)}{seed}"


def _tell(news: Played) -> None:
    if news.error:
        print(f"midigen: bar {news.bar + 1}: {news.text}: {news.error}", file=sys.stderr, flush=True)
    else:
        print(f"bar {news.bar + 1}: {news.text}", flush=True)


def _tell_of_wait(bar: int) -> None:
    print(f"bar {bar + 1} is not composed yet: waiting", file=sys.stderr, flush=True)


def _tell_report(report: Report, args: argparse.Namespace) -> None:
    minutes, seconds = divmod(round(report.seconds), 60)
    told = [f"{report.bars} bar{'s' if report.bars != 1 else ''}", f"{minutes}:{seconds:02d}"]
    if report.waits:
        told.append(f"waited {report.waits} times, {report.waited_seconds:.1f} s")
    if report.gaps:
        told.append(f"{report.gaps} gaps: the machine was too busy, a larger --buffer may help")
    print(f"{getattr(args, 'to', 'played')}: {', '.join(told)}")
    if args.timings:
        print(f"first bar {report.first_bar_seconds:8.3f} s after the start", file=sys.stderr)
        if report.factor is not None:
            print(f"composed  {report.factor:8.2f} times as fast as it plays", file=sys.stderr)


def _keep(live: Live, args: argparse.Namespace, progress: Progress) -> None:
    from midigen.cli.summary import tell
    from midigen.folders import new_folder
    from midigen.live.keeping import kept

    folder = Path(args.output)
    progress.expect_parts(len(live.score.parts))
    with new_folder(folder, force=args.force) as draft:
        song = kept(live, on_stage=progress.stage, on_part=progress.part)
        progress.stage("write")
        song.write_into(draft)
    progress.close()
    tell(song, folder)


def _is_keyboard() -> bool:
    """Whether somebody may type: a terminal, and not in the background, where reading from it would stop us."""
    try:
        return sys.stdin.isatty() and (not hasattr(os, "tcgetpgrp") or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp())
    except (OSError, ValueError):
        return False


def _listen(live: Live) -> None:
    from midigen.errors import MidigenError
    from midigen.live.commands import HELP

    for line in sys.stdin:
        try:
            if line.strip().lower() == "help":
                print(HELP, file=sys.stderr)
            else:
                live.say(line)
        except MidigenError as error:
            print(f"midigen: {error}", file=sys.stderr, flush=True)


def _end_gracefully(live: Live) -> None:
    """Let the first Ctrl-C end the music with its bar; the second ends at once."""
    if threading.current_thread() is not threading.main_thread():
        return
    at_once = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, at_once)
        live.stop()

    signal.signal(signal.SIGINT, stop)
