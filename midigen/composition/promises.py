"""What was asked for, measured again on what was written, before anybody hears it."""

from __future__ import annotations

import numpy as np

from midigen.analysis import estimate_key
from midigen.composition.settling import Request
from midigen.errors import MidigenError
from midigen.score import KEY_NAMES, Part, Score, parse_key, parse_metre


class BrokenPromise(MidigenError):
    """A piece that is not what was asked for: a fault of midigen, not of the request."""

    exit_code = 1


def keep_promises(score: Score, request: Request) -> None:
    """Raise :class:`BrokenPromise` unless bars, metre, tempo, key signature, parts, sounds, ranges, chord symbols and
    sections of ``score`` are those of ``request``."""
    prompt = request.prompt
    metre = (score.metres[0].numerator, score.metres[0].denominator)
    said: list[tuple[str, object, object]] = [
        ("bars", score.bars, request.bars),
        ("parts", tuple(part.name for part in score.parts), prompt.part_names),
        ("instruments", tuple(part.kind for part in score.parts), prompt.kinds),
    ]
    if prompt.metre:
        said.append(("metre", metre, parse_metre(prompt.metre)))
    if prompt.tempo_qpm is not None:
        said.append(("tempo", score.tempos[0].qpm, prompt.tempo_qpm))
    if prompt.key:
        said.append(("key", (score.keys[0].tonic, score.keys[0].mode), parse_key(prompt.key)))
    if request.form is not None:
        said.append(("sections", [m.text for m in score.markers], [s.name for s in request.form.sections]))
    for part, wish in zip(score.parts, request.wishes, strict=True):
        if wish.program is not None:
            said.append((f"program of {part.name}", part.program, wish.program))
        if wish.span is not None:
            outside = [n.pitch for n in part.notes if not wish.span[0] <= n.pitch <= wish.span[1]]
            said.append((f"notes of {part.name} outside its range", outside, []))
    end = int(score.bar_starts(request.bars + 1)[-1])
    said.append(("notes after the end", sum(n.end_ticks > end for part in score.parts for n in part.notes), 0))
    for what, got, wanted in said:
        if got != wanted:
            raise BrokenPromise(
                f"{what}: {got!r} where {wanted!r} was asked for (seed {prompt.seed}); this is a fault of midigen, "
                "please report it"
            )


def shortfalls(score: Score, request: Request) -> list[str]:
    """The wishes that are matters of degree and were missed: how much, how high and how many notes at once parts play,
    and the key that the piece is heard in."""
    missed = []
    if request.chart is None and not _is_in_key(score):
        missed.append("the notes are heard in another key than the signature's")
    if request.chart is not None and request.prompt.key:
        tonic, mode = request.chart.key()
        if _signature(tonic, mode) != _signature(*parse_key(request.prompt.key)):
            chart = f"{KEY_NAMES[mode][tonic]} {mode}"
            missed.append(f"the chords are in {chart}; the signature is that of {request.prompt.key}, as asked for")
    for part, wish in zip(score.parts, request.wishes, strict=True):
        if wish.density_bounds is not None:
            density = len(part.notes) / request.bars
            if not wish.density_bounds[0] <= density < wish.density_bounds[1]:
                missed.append(f"{part.name} plays {density:.1f} notes a bar")
        if wish.register_bounds is not None and part.notes:
            mean = _mean_pitch(part)
            if not wish.register_bounds[0] <= mean < wish.register_bounds[1]:
                missed.append(f"{part.name} lies at pitch {mean:.0f}")
        if wish.polyphony_bounds is not None and part.notes:
            together = len(part.notes) / len({note.onset_ticks for note in part.notes})
            if not wish.polyphony_bounds[0] <= together < wish.polyphony_bounds[1]:
                missed.append(f"{part.name} plays {together:.1f} notes at once")
    return missed


def _is_in_key(score: Score) -> bool:
    """Whether the notes are heard in the key of the signature, or in its relative."""
    sounding = np.zeros(12)
    for part in score.parts:
        if not part.is_drum and part.notes:
            np.add.at(sounding, part.note_table[:, 2] % 12, part.note_table[:, 1])
    if not sounding.any():
        return True
    heard = estimate_key(sounding)
    return _signature(*heard) == _signature(score.keys[0].tonic, score.keys[0].mode)


def _signature(tonic: int, mode: str) -> int:
    """The tonic of the major key with the same signature."""
    return (tonic + (3 if mode == "minor" else 0)) % 12


def _mean_pitch(part: Part) -> float:
    return float(np.mean([note.pitch for note in part.notes]))
