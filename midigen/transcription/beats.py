"""Tempo and bar lines of what was played, by the sound and by the notes. The room of librosa.

The sound gives a first idea of the beat (D. P. W. Ellis, "Beat tracking by dynamic programming", Journal of New Music
Research 36, 2007, as librosa has it). The notes tell the rest: the period near it, or near a simple ratio of it, to
whose sixteenths and triplets they keep best; and, where no steady beat fits, every single beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from midigen.errors import MissingTool
from midigen.profiles.onsets import Curves

SLOWEST_QPM, FASTEST_QPM, USUAL_QPM = 40.0, 220.0, 110.0
RATIOS = (1.0, 2.0, 0.5, 1.5, 2 / 3, 3.0, 1 / 3, 4 / 3, 0.75)
SPREAD_OCTAVES = 0.65  # how far from the usual tempo a tempo may well be
REACH = 0.04  # of a period on either side, which the first idea may be off
STEADY_SECONDS = 0.025  # off its place: what notes of a steady beat are at most, as the median
SIXTEENTH_PRICE = 0.35  # a place between eighths must be used to be believed
TEMPO_SECONDS = 90.0  # of a recording, for the first idea of its tempo
NEAR_SECONDS = 0.03
PLACES = np.array([0, 1, 1 / 2, 1 / 4, 3 / 4, 1 / 3, 2 / 3])  # in a beat, and what a note there is worth
WORTH = np.array([1, 1, 0.85, 0.7, 0.7, 0.6, 0.6])
SHARPNESS = 2.0


@dataclass(frozen=True, eq=False)
class BarGrid:
    """``beats`` are the times of quarters in seconds, float64 ``(n,)``, from a bar line on; ``metre`` as ``"4/4"``.
    ``steady`` says that they are all as far apart. What lies beyond them goes on at the tempo of the nearest."""

    beats: np.ndarray
    metre: str
    steady: bool

    @property
    def qpm(self) -> float:
        """The tempo in quarters a minute: the median one."""
        return float(60 / np.median(np.diff(self.beats)))


def need_librosa() -> None:
    """Raise :class:`MissingTool` where librosa is not installed."""
    if find_spec("librosa") is None:
        raise MissingTool("librosa is not installed: the beat is found with it; pip install '.[audio]', or say --tempo")


def find_bars(curves: Curves, notes: np.ndarray, *, qpm: float | None = None, metre: str | None = None) -> BarGrid:
    """The bars of ``notes``, float64 ``(n, 4)`` (onset, end, pitch, velocity), in a sound with ``curves``.

    ``qpm`` and ``metre`` are what is known already. Raises :class:`MissingTool` where the tempo must be found without
    librosa.
    """
    onsets = np.sort(notes[:, 0])
    end = float(notes[:, 1].max(initial=1.0))
    if qpm is None and len(onsets) < 4:
        qpm = USUAL_QPM
    tracked = np.zeros(0)
    if qpm is None:
        need_librosa()
        first, tracked = _tracked(curves)
        periods = 60 / first / np.array(RATIOS)
    else:
        periods = np.array([60 / qpm])
    periods = periods[(periods >= 60 / FASTEST_QPM) & (periods <= 60 / SLOWEST_QPM)]
    fitted = [_fitted(onsets, period, fixed=qpm is not None) for period in periods]
    _, period, phase, error = max(fitted, key=lambda fit: fit[0])
    steady = qpm is not None or error <= STEADY_SECONDS or len(tracked) < 8
    if steady:
        first_beat = phase + np.floor((onsets[0] - phase) / period + 0.25) * period if len(onsets) else 0.0
        beats = first_beat + period * np.arange(int(np.ceil((end - first_beat) / period)) + 9)
    else:
        beats = _smoothed(tracked)
        before = beats[0] - np.arange(int(max(beats[0] - onsets[0], 0) / (beats[1] - beats[0])) + 1, 0, -1) * (
            beats[1] - beats[0]
        )
        beats = np.concatenate([before, beats])
        step = beats[-1] - beats[-2]
        after = int(max(end - beats[-1], 0) / step) + 9
        beats = np.concatenate([beats, beats[-1] + step * np.arange(1, after)])
    metre, lead = _bar_lines(beats, notes, metre)
    step = beats[1] - beats[0]
    beats = np.concatenate([beats[0] - step * np.arange(lead, 0, -1), beats])
    return BarGrid(beats, metre, steady)


def _tracked(curves: Curves) -> tuple[float, np.ndarray]:
    """The first idea of the tempo in quarters a minute, and the beats."""
    import librosa

    rate = 1 / curves.seconds
    # Of its tempogram librosa keeps eight seconds at every hundredth: of an hour, gigabytes. The middle will do.
    middle = max(len(curves.flux) - round(TEMPO_SECONDS * rate), 0) // 2
    part = curves.flux[middle : middle + round(TEMPO_SECONDS * rate)]
    tempo = librosa.feature.tempo(onset_envelope=part, sr=rate, hop_length=1, start_bpm=USUAL_QPM)
    first = float(np.atleast_1d(tempo)[0]) or USUAL_QPM
    _, beats = librosa.beat.beat_track(
        onset_envelope=curves.flux, sr=rate, hop_length=1, bpm=first, units="frames", trim=False
    )
    return first, np.asarray(beats, dtype=np.float64) * curves.seconds


def _fitted(onsets: np.ndarray, period: float, *, fixed: bool) -> tuple[float, float, float, float]:
    """How well ``onsets`` keep to a period near ``period``: a score, the period, a beat's time, the median error."""
    span = float(onsets[-1] - onsets[0]) if len(onsets) else 0.0
    if not len(onsets) or span <= 0:
        return 0.0, period, float(onsets[0]) if len(onsets) else 0.0, 0.0
    count = 1 if fixed else int(np.clip(2 * REACH * span / period * 16, 41, 4001)) | 1
    best: tuple[float, float, float] | None = None
    for tried in period * (1 + np.linspace(-REACH, REACH, count) * (not fixed)):
        # the strength and the phase of what repeats with a beat, with an eighth and with a sixteenth
        vectors = [np.exp(2j * np.pi * k * onsets / tried).mean() for k in (1, 2, 4)]
        strength = abs(vectors[0]) + abs(vectors[1]) + SIXTEENTH_PRICE * abs(vectors[2])
        if best is None or strength > best[0]:
            best = (float(strength), float(tried), 0.0)
    assert best is not None
    strength, found, _ = best
    phases = np.arange(96) / 96
    places = (onsets[None, :] / found - phases[:, None]) % 1
    off = np.abs(places[:, :, None] - PLACES) * found
    worth = (np.exp(-((off / NEAR_SECONDS) ** 2)) * WORTH).max(axis=2)
    # a dense grid is kept by chance: that is taken off
    chance = float((np.exp(-((np.abs(np.arange(200)[:, None] / 200 - PLACES) * found / NEAR_SECONDS) ** 2)) * WORTH)
                   .max(axis=1).mean())  # fmt: skip
    means = worth.mean(axis=1)
    at = int(np.argmax(means))
    error = float(np.median(off[at].min(axis=1)))
    usual = np.exp(-0.5 * (np.log2(60 / found / USUAL_QPM) / SPREAD_OCTAVES) ** 2)
    score = max((float(means[at]) - chance) / (1 - chance), 0.0) ** SHARPNESS * float(usual)
    phase = phases[at] * found
    # the exact phase: the mean of what the notes on the grid are off
    exact = onsets / found - phases[at]
    shift = exact * 4 - np.rint(exact * 4)
    near = np.abs(shift) / 4 * found < 0.05
    if near.any():
        phase += float(np.median(shift[near])) / 4 * found
    return score, found, float(phase), error


def _smoothed(beats: np.ndarray) -> np.ndarray:
    """``beats`` with a tempo that changes smoothly: medians over five."""
    steps = np.diff(beats)
    padded = np.pad(steps, 2, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    start = float(np.median(beats - np.concatenate([[0.0], np.cumsum(smooth)])))
    return np.concatenate([[start], start + np.cumsum(smooth)])


def _bar_lines(beats: np.ndarray, notes: np.ndarray, metre: str | None) -> tuple[str, int]:
    """The metre, and how many beats the first bar line lies before the first of ``beats``.

    Bars begin where much begins: low, loud and long notes, and other pitches than before.
    """
    weight, novelty = np.zeros(len(beats)), np.zeros(len(beats))
    chroma = np.zeros((len(beats), 12))
    at = np.clip(np.searchsorted(beats, notes[:, 0] + 0.06) - 1, 0, len(beats) - 1)
    on_beat = np.abs(notes[:, 0] - beats[at]) < 0.07
    low = np.exp(-(notes[:, 2] - notes[:, 2].min(initial=0)) / 12) if len(notes) else np.zeros(0)
    lengths = np.minimum(notes[:, 1] - notes[:, 0], 2.0)
    np.add.at(weight, at, on_beat * (0.3 + low) * notes[:, 3] / 100 * (0.5 + lengths))
    np.add.at(chroma, (at, notes[:, 2].astype(int) % 12), lengths)
    size = np.linalg.norm(chroma, axis=1) + 1e-9
    novelty[1:] = (1 - (chroma[1:] * chroma[:-1]).sum(axis=1) / (size[1:] * size[:-1])) * (size[1:] > 1e-6)
    accent = weight / (weight.mean() + 1e-9) + novelty / (novelty.mean() + 1e-9)
    if metre is None:
        metre = "3/4" if _repeats(accent, chroma, 3) > _repeats(accent, chroma, 4) + 0.15 else "4/4"
    above, below = metre.split("/")
    length = max(round(int(above) * 4 / int(below)), 1)
    sums = [accent[phase::length].mean() for phase in range(length)]
    first = int(np.argmax(sums))
    return metre, (length - first) % length


def _repeats(accent: np.ndarray, chroma: np.ndarray, beats: int) -> float:
    """How alike accents and harmonies are to those so many beats later, and twice as many."""
    likeness = 0.0
    for lag in (beats, 2 * beats):
        if len(accent) < 2 * lag + 4:
            return 0.0
        one, other = accent[:-lag] - accent.mean(), accent[lag:] - accent.mean()
        likeness += float((one * other).mean() / (accent.var() + 1e-9)) / 2
        sizes = np.linalg.norm(chroma[:-lag], axis=1) * np.linalg.norm(chroma[lag:], axis=1)
        both = sizes > 0
        likeness += (
            float(((chroma[:-lag] * chroma[lag:]).sum(axis=1)[both] / sizes[both]).mean()) / 2 if both.any() else 0
        )
    return likeness
