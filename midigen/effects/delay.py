"""Echoes: a delay line with feedback, in seconds or in note values, straight or from side to side."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from midigen.effects import QUIET, TAIL_DB, check_flag, check_number
from midigen.effects.equaliser import SectionFilter, pass_sections
from midigen.errors import BadRequest

SHORTEST_SECONDS, LONGEST_SECONDS = 0.01, 5.0
MOST_FEEDBACK = 0.95
_NOTE = re.compile(r"([1-9]\d?)/(1|2|4|8|16|32|64)(\.|t|)")


def note_seconds(note: str, tempo_qpm: float) -> float:
    """How long ``note`` lasts at ``tempo_qpm`` quarter notes a minute (10 to 1,000), in seconds.

    ``"1/4"`` is a quarter, ``"1/8."`` a dotted eighth, ``"1/8t"`` one of three in the time of two eighths, ``"3/16"``
    three sixteenths. Raises :class:`BadRequest` for what is none of these.
    """
    check_number(tempo_qpm, 10, 1_000, "tempo", "quarter notes a minute", "give one such as 120")
    read = _NOTE.fullmatch(note.strip().lower()) if isinstance(note, str) else None
    if read is None:
        raise BadRequest(f"note value {note!r}: write one such as 1/4, 1/8. (dotted) or 1/8t (triplet)")
    count, part, kind = read.groups()
    quarters = 4 * int(count) / int(part) * {"": 1.0, ".": 1.5, "t": 2 / 3}[kind]
    return quarters * 60 / tempo_qpm


@dataclass(frozen=True)
class Delay:
    """Echoes alone, without the sound itself: what a send returns.

    ``seconds`` 0.01 to 5 from one to the next (:func:`note_seconds` knows note values); each is ``feedback`` (0 to
    0.95) of the one before, the first as loud as the sound. On every round what lies above ``damping_hz`` (0, off, or
    200 to 20,000) and under ``low_cut_hz`` (0, off, or 20 to 2,000) falls off by 6 dB an octave. With ``ping_pong``
    the sound is taken in mono (with the power that it has in the middle) and its echoes come from the left, from the
    right, and so on.
    """

    seconds: float = 0.375
    feedback: float = 0.35
    damping_hz: float = 5_000.0
    low_cut_hz: float = 120.0
    ping_pong: bool = False

    def __post_init__(self) -> None:
        check_number(self.seconds, SHORTEST_SECONDS, LONGEST_SECONDS, "delay", "seconds", "0.2 to 0.6 is usual")
        check_number(self.feedback, 0, MOST_FEEDBACK, "delay feedback", "", "at 1 echoes would never end")
        check_number(self.damping_hz, 200, 20_000, "delay damping", "Hz", "5000 is usual", or_zero=True)
        check_number(self.low_cut_hz, 20, 2_000, "delay low cut", "Hz", "120 is usual", or_zero=True)
        check_flag(self.ping_pong, "ping-pong")

    def processor(self, rate: int) -> EchoLine:
        """A processor for ``rate`` frames a second."""
        return EchoLine(self, rate)


class EchoLine:
    """The delay line at work; see :class:`Delay`."""

    latency_frames = 0

    def __init__(self, setting: Delay, rate: int) -> None:
        frames = max(round(setting.seconds * rate), 1)
        self._line = np.zeros((2, frames))  # float64: it is part of a recursion
        self._place = 0
        self._feedback = setting.feedback
        self._ping_pong = setting.ping_pong
        sections = []
        if setting.damping_hz and setting.damping_hz < 0.49 * rate:
            sections.append(pass_sections(setting.damping_hz, rate, "lowpass", 1))
        if setting.low_cut_hz:
            sections.append(pass_sections(setting.low_cut_hz, rate, "highpass", 1))
        self._filter = SectionFilter(np.concatenate(sections)) if sections else None
        rounds = math.ceil(TAIL_DB / (20 * math.log10(setting.feedback))) if setting.feedback else 0
        self.tail_frames = frames * (1 + rounds)

    def process(self, block: np.ndarray) -> np.ndarray:
        """Float32 ``(2, n)`` to float32 ``(2, n)``."""
        echoes = np.empty_like(block)
        start, frames = 0, block.shape[1]
        while start < frames:
            # No longer than the line: what is written now is not read before the next round.
            stop = min(start + self._line.shape[1] - self._place, frames)
            line = self._line[:, self._place : self._place + stop - start]
            heard = line if self._filter is None else self._filter.filter(line)
            echoes[:, start:stop] = heard
            self._fill(line, block[:, start:stop], heard)
            self._place = (self._place + stop - start) % self._line.shape[1]
            start = stop
        return echoes

    def _fill(self, line: np.ndarray, sound: np.ndarray, heard: np.ndarray) -> None:
        """Write into ``line`` what is to be heard a round later."""
        back = heard * self._feedback
        if self._ping_pong:
            # float64 before the sum, which could pass the largest float32
            line[0] = (sound[0].astype(np.float64) + sound[1]) * math.sqrt(0.5) + back[1]
            line[1] = back[0]
        else:
            np.add(sound, back, out=line)
        # Seldom anything, and then written: a mask costs as much as all the rest.
        if np.abs(line).min(initial=1.0) < QUIET:
            line[np.abs(line) < QUIET] = 0.0
