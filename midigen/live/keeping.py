"""What was heard as a song that stays: its MIDI, stems, mix, pictures and record."""

from __future__ import annotations

import hashlib
from typing import Any

from midigen.errors import BadRequest
from midigen.live.playing import Live
from midigen.midi import midi_bytes
from midigen.record import RECORD_FORMAT
from midigen.song import OnPart, OnStage, Song, finish


def kept(live: Live, *, on_stage: OnStage | None = None, on_part: OnPart | None = None) -> Song:
    """The song that ``live`` has played: the bars as they were heard, and the mix as it was set at the end.

    It is rendered and mixed anew, as a whole: balanced and mastered exactly. Raises :class:`BadRequest` where not one
    bar was heard.
    """
    score = live.heard()
    if not score.parts or not score.bar_starts().size or not live.report().bars:
        raise BadRequest("nothing was heard that could be kept")
    sound = live.sound
    record: dict[str, Any] = {
        "made_by": "midigen play",
        "format": RECORD_FORMAT,
        "live": [f"{news.bar + 1}: {news.text}" for news in live.report().news if not news.error],
    }
    if live.source is not None:
        data = live.source.read_bytes()
        record["source"] = {"name": live.source.name, "sha256": hashlib.sha256(data).hexdigest()}
        record["settings"] = sound.settings()
    else:
        from midigen.checkpoint import open_checkpoint

        data = midi_bytes(score)
        model = open_checkpoint(live.model["checkpoint"])
        record["settings"] = {**live.prompt.settings(), **sound.settings(), **live.model}
        record["checkpoint"] = {"name": model.path.name, "sha256": model.sha256}
    parts = [(part.name, part.kind) for part in score.parts]
    fonts = sound.fonts(parts)
    return finish(score, data, record, fonts, sound, None, on_stage, on_part, session=live.session)
