"""``midigen chords``"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midigen.cli.values import song_file

if TYPE_CHECKING:
    from midigen.score import Score
    from midigen.sections import Heard


WRITTEN = "chords as they are written in the file; --from-notes hears them in its notes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "midi", metavar="SONG.mid", type=song_file, help="any Standard MIDI File, or a folder that compose has written"
    )
    parser.add_argument(
        "--from-notes", action="store_true",
        help="hear the chords in the notes, also where the file has chord symbols written in it",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for programs: every chord with its place and its notes")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=None,
        help="write it there in place of the screen; compose --chords FILE reads it back",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    import json

    from midigen.errors import BadFile, BadRequest, OutputError
    from midigen.folders import writing
    from midigen.midi import read_midi
    from midigen.opened import open_song
    from midigen.sections import hear
    from midigen.written import written_symbols

    target = Path(args.output) if args.output is not None else None
    if target is not None and target.is_dir():
        raise OutputError(f"{target}: is a folder; give a file such as {target / 'chords.txt'}")
    if target is not None and target.exists() and Path(args.midi).exists() and target.samefile(args.midi):
        raise OutputError(f"{target}: is the song itself; choose another name")
    score = read_midi(args.midi)
    try:
        heard = hear(score, () if args.from_notes else written_symbols(open_song(args.midi)))
    except BadRequest as error:
        raise BadFile(f"{args.midi}: {error}") from None
    text = json.dumps(_values(heard, score), indent=1, ensure_ascii=False) if args.json else _text(heard)
    if target is None:
        print(text)
        return 0
    with writing(target):
        target.write_text(text + "\n", encoding="utf-8")
    source = ", the chords as they are written in the file" if heard.is_written else ""
    print(f"{target}: {len(heard.chart)} bars, {_key(heard)}{source}")
    return 0


def _key(heard: Heard) -> str:
    from midigen.score import KEY_NAMES

    tonic, mode = heard.key
    return f"{KEY_NAMES[mode][tonic]} {mode}"


def _text(heard: Heard) -> str:
    """A chart with its head, as :func:`midigen.charts.parse_chart` reads it."""
    chart = heard.chart
    title = "".join(" " if sign in "{}\r\n" else sign for sign in chart.title).strip()
    head = [f"{{title: {title}}}"] if title else []
    head += [f"{{key: {_key(heard)}}}", f"{{tempo: {round(chart.stated_tempo_qpm or 0, 2):g}}}"]
    head += [f"{{time: {chart.stated_metre}}}"] if chart.stated_metre else []
    head += [f"# {remark}" for remark in _remarks(heard)]
    return "\n".join([*head, f"# form: {heard.form}", str(chart)])


def _remarks(heard: Heard) -> list[str]:
    """What a chart has no words for."""
    tempos = heard.grid.tempos
    metres = _metres(heard)
    changes = [n for n in range(1, len(metres)) if metres[n] != metres[n - 1]]
    remarks = [WRITTEN] if heard.is_written else []
    remarks += [f"tempo from {tempos.min():.4g} to {tempos.max():.4g}"] if tempos.max() - tempos.min() >= 1 else []
    shown = [f"{metres[n]} from bar {n + 1}" for n in changes[:8]] + (["..."] if len(changes) > 8 else [])
    return remarks + ([f"time {metres[0]}, {', '.join(shown)}"] if changes else [])


def _metres(heard: Heard) -> list[str]:
    """The metre of each bar; for one that is cut short, or in a metre the grid does not know, its length."""
    from midigen.grid import METRES, POSITIONS_PER_QUARTER

    grid = heard.grid
    return [
        METRES[metre] if metre >= 0 else f"{length / POSITIONS_PER_QUARTER:.3g} quarters"
        for metre, length in zip(grid.metres.tolist(), grid.bar_lengths.tolist(), strict=True)
    ]


def _values(heard: Heard, score: Score) -> dict[str, Any]:
    from midigen.grid import POSITIONS_PER_QUARTER

    chart, starts = heard.chart, heard.grid.bar_starts
    chords = []
    for chord, symbol in zip(heard.chords, chart.in_order, strict=True):
        quarter = (int(starts[chord.bar]) + chord.position) / POSITIONS_PER_QUARTER
        chords.append(
            {
                "bar": chord.bar + 1,
                "quarter_in_bar": round(chord.position / POSITIONS_PER_QUARTER, 4),
                "seconds": round(float(score.seconds(round(quarter * score.ticks_per_quarter))), 4),
                "symbol": symbol.text,
                "root": symbol.root if symbol.is_chord else None,
                "quality": symbol.quality if symbol.is_chord else None,
                "bass": symbol.bass if symbol.is_chord else None,
                "pitch_classes": sorted(symbol.tones),
            }
        )
    return {
        "title": chart.title,
        "key": _key(heard),
        "tempo_qpm": round(chart.stated_tempo_qpm or 0, 2),
        "metre": chart.stated_metre,
        "bars": len(chart),
        "chords_from": "symbols" if heard.is_written else "notes",
        "form": [
            {"name": section.name, "first_bar": section.first + 1, "bars": section.bars}
            for section in heard.form.sections
        ],
        "chords": chords,
    }
