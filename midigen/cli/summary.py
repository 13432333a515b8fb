"""The closing lines: what was made, and where it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midigen.mixing import Mix
    from midigen.song import Song


def tell(song: Song, folder: Path, exports: Sequence[str] = ()) -> None:
    """Print what ``song`` is and what lies in ``folder``; ``exports`` are the formats it was also written in."""
    from midigen.exporting import file_of
    from midigen.record import describe

    music = describe(song.score)
    minutes, seconds = divmod(round(music["seconds"]), 60)
    facts = [
        f"{music['bars']} bar{'s' if music['bars'] != 1 else ''}",
        *([music["key"]] if music["key"] else []),
        f"{music['tempo_qpm']:g} bpm",
        music["metre"],
        f"{minutes}:{seconds:02d}",
    ]
    print(f"{folder}: {', '.join(facts)}")
    notes = [f"{name} {count}" for name, count in music["notes"].items()]
    print(f"  notes     {', '.join(notes)}")
    print(f"  {'mix.' + song.format:<9} {levels(song.mix)}")
    print(f"  stems/    {', '.join(f'{stem.name}.wav' for stem in song.stems)}")
    sung = ["song.kar", "song.lrc"] if song.lyrics is not None else []
    others = [file_of(name) for name in exports]
    print("  " + "  ".join(["mix.png", "mix.toml", "song.mid", *sung, "song.png", *others, "midigen.json"]))
    for fault in (song.record.get("takes") or [{}])[0].get("faults", ()):
        print(f"  but       {fault}")
    if song.lyrics is not None:
        print(f"  lyrics    {len(song.lyrics.syllables)} syllables for {song.lyrics.part}, {song.lyrics.language}")
        for remark in song.lyrics.remarks:
            print(f"            {remark}")


def levels(mix: Mix) -> str:
    """The loudness and the peak of a mix, in words; silence as such."""
    if math.isinf(mix.integrated_lufs) or math.isinf(mix.true_peak_dbtp):
        return "silent" if math.isinf(mix.true_peak_dbtp) else f"true peak {mix.true_peak_dbtp:.1f} dBTP"
    return f"{mix.integrated_lufs:.1f} LUFS, true peak {mix.true_peak_dbtp:.1f} dBTP"
