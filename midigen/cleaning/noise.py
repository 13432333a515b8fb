"""What noise there is in a recording: given by an example, or found where nobody plays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from midigen.audio import Audio, Signal
from midigen.errors import BadRequest
from midigen.signals import at_rate, in_blocks
from midigen.spectra import power_db

WINDOW_SECONDS = (0.045, 0.09, 0.18)  # about: the nearest powers of two are taken
CELL_SECONDS = 0.05  # of the level curve in which quiet passages are looked for
QUIET_CELLS = 6  # together: 0.3 s
QUIET_SHARE = 0.02  # of the cells lies at or under the level that counts as the quietest
QUIET_DB = 3.0  # over that, a passage is still as quiet
LEAD_DB = 10.0  # so much does the music stand out behind a lead-in of noise
NEAR_DB = 4.0  # over the quietest part of a lead-in its noise may move
SILENT_DB = -96.0  # under what 16 bits hold: a gate or a digital silence, no noise
MOST_SECONDS = 20.0  # of noise are listened to
LEAST_SECONDS = 0.2
MAINS_HZ, HIGHEST_MAINS_HZ = (50.0, 60.0), 1_000.0
LEAD_IN = "lead-in"  # the source of a profile that was taken from the silence before the music
SNIPPETS, SNIPPET_SECONDS = 240, 0.6  # spread over the whole: what is in all of them is noise
LOW_SHARE = 0.05  # of the values of noise lie under the mean times LOW_PART: its power is exponentially distributed
LOW_PART, MIDDLE_PART = -math.log(1 - LOW_SHARE), math.log(2)
BESIDE_LINES, BESIDE_OCTAVES = 4, 1 / 12  # on either side: lines that are taken together
STEEPEST_DB = 20.0  # an octave, that a noise may rise or fall
NOISY_DB = 3.0  # so much more may the middle of the values stand over the lowest than it does in noise
MOST_OVER_FLOOR = 3.0  # the power of noise in a lead-in over that floor
ALONE_SHARE = 0.25  # of the power, that the floor has at least in a lead-in of noise alone; a soft beginning has tones
BANDS = 200  # in which this is looked at
STEADY_FRAMES = 24  # frames of an average that tells a power well enough; fewer are smoothed over lines


@dataclass(frozen=True, eq=False)
class NoiseProfile:
    """The power of the noise by channel and frequency.

    ``powers`` has an array ``(channels, length / 2 + 1)`` for each of :func:`window_lengths`, of lines as
    :func:`midigen.cleaning.denoising.spectrogram` has them, full scale at 1. ``source`` says where it is from, and
    ``spans`` are the passages listened to, in seconds. ``alone``: it was heard without music; otherwise it is a guess,
    and some of it may be soft music. ``level_db`` is the noise's mean square in dB, ``-inf`` for none.
    """

    powers: tuple[np.ndarray, ...]
    rate: int
    source: str
    spans: tuple[tuple[float, float], ...] = ()
    alone: bool = True

    @property
    def level_db(self) -> float:
        return float(power_db(np.array(self.powers[-1].mean())))

    @property
    def hz(self) -> np.ndarray:
        """The frequencies of the last of ``powers``."""
        return np.linspace(0, self.rate / 2, self.powers[-1].shape[1])


def window_lengths(rate: int) -> list[int]:
    """How many frames the three windows have at ``rate``, from short to long; powers of two."""
    return [2 ** round(math.log2(seconds * rate)) for seconds in WINDOW_SECONDS]


def noise_window(length: int) -> np.ndarray:
    """Hann's, with a sum of squares of one: noise of a mean square has that power in every line, whatever the length.

    Its side lobes fall by 18 dB an octave: there is less of a bass between its partials than with a sine window.
    """
    window: np.ndarray = (1 - np.cos(2 * np.pi * np.arange(length) / length)) / np.sqrt(1.5 * length)
    return window


def no_noise(signal: Signal, source: str = "none found") -> NoiseProfile:
    """The profile of silence."""
    powers = tuple(np.zeros((signal.channels, length // 2 + 1)) for length in window_lengths(signal.rate))
    return NoiseProfile(powers, signal.rate, source)


def noise_of(example: Signal, like: Signal, source: str) -> NoiseProfile:
    """The profile of an ``example`` of nothing but noise, for a sound ``like`` that one: its rate and channels.

    An example of one channel, or of another number than ``like`` has, is averaged over its channels. At most
    ``MOST_SECONDS`` are listened to. Raises :class:`BadRequest` for less than ``LEAST_SECONDS``.
    """
    if example.frames < LEAST_SECONDS * example.rate:
        seconds = example.frames / example.rate
        raise BadRequest(f"{source}: {seconds:.2f} s of noise; give {LEAST_SECONDS:g} s or more")
    samples = _beginning(at_rate(example, like.rate), round(MOST_SECONDS * like.rate))
    samples = samples - samples.mean(axis=1, keepdims=True)
    powers = []
    for length in window_lengths(like.rate):
        power = _power([samples], length)
        powers.append(power if len(power) == like.channels else np.repeat(power.mean(axis=0)[None], like.channels, 0))
    return NoiseProfile(tuple(powers), like.rate, source, ((0.0, samples.shape[1] / like.rate),))


@dataclass(frozen=True, eq=False)
class LevelCurve:
    """Mean squares over cells of ``seconds``, float64 ``(n,)``, over all channels; the last cell may be shorter."""

    seconds: float
    squares: np.ndarray

    @property
    def level_db(self) -> np.ndarray:
        return power_db(self.squares)


def level_curve(signal: Signal, cell_seconds: float = CELL_SECONDS) -> LevelCurve:
    """The level of ``signal`` over time, in cells of ``cell_seconds`` or the nearest whole frames to that."""
    cell = max(round(cell_seconds * signal.rate), 1)
    squares = [np.square(block, dtype=np.float64).mean() for block in in_blocks(signal.blocks(), cell)]
    return LevelCurve(cell / signal.rate, np.array(squares))


def find_noise(signal: Signal, levels: LevelCurve | None = None) -> NoiseProfile:
    """The noise of ``signal``, whose offset is gone, found where it is quietest.

    A lead-in that is much softer than what follows is taken nearly as it is. Otherwise it is what the quietest passages
    have between their tones, and no more than there is at all times; where values are spread wider than those of noise,
    there is less noise or none. So a sound that is silent between its notes has no noise, and a clean one hardly any.
    """
    levels = level_curve(signal) if levels is None else levels
    quiet, is_lead = _quiet_cells(levels.level_db)
    if not quiet.any():
        return no_noise(signal)
    spans = tuple((first * levels.seconds, end * levels.seconds) for first, end in _runs(quiet))
    lengths = window_lengths(signal.rate)
    if is_lead:
        (span,) = spans
        pieces = list(_stretches(signal, [_inside(span, signal.rate)]))
        if pieces and pieces[0].shape[1] >= LEAST_SECONDS * signal.rate:
            powers = [_power(pieces, length) for length in lengths]
            floor = _floor(_frames_of(iter(pieces), lengths[-1]), signal.rate)
            alone = floor is not None and floor.sum() > ALONE_SHARE * powers[-1].sum()
            if floor is not None:  # what stands out of it may be a soft beginning, or hum that was not subtracted
                powers = [
                    np.where(
                        _on_mains(p.shape[1], signal.rate), p,
                        np.minimum(p, MOST_OVER_FLOOR * _at_lines(floor, p.shape[1])),
                    )
                    for p in powers
                ]  # fmt: skip
            return NoiseProfile(tuple(powers), signal.rate, LEAD_IN, spans, alone)
    longest = lengths[-1]
    throughout = _floor(_frames_of(_snippets(signal), longest), signal.rate)
    if throughout is None:
        return no_noise(signal)
    passages = _stretches(signal, [_inside(span, signal.rate) for span in spans])
    quietest = _floor(_frames_of(passages, longest), signal.rate)
    floor, source = throughout, "what is there throughout"
    if quietest is not None:
        floor, source = np.minimum(quietest, throughout), "quietest passages"
    powers = [_at_lines(floor, length // 2 + 1) for length in lengths]
    return NoiseProfile(tuple(powers), signal.rate, source, spans if quietest is not None else (), alone=False)


def _on_mains(lines: int, rate: int) -> np.ndarray:
    """Which of so many lines lie at multiples of 50 or 60 Hz, or beside them, as far as these are told apart."""
    hz = np.arange(lines) * rate / 2 / (lines - 1)
    step = hz[1]
    near = [np.abs(hz - mains * np.maximum(np.rint(hz / mains), 1)) <= 1.5 * step for mains in MAINS_HZ]
    low: np.ndarray = (near[0] | near[1]) & (hz <= HIGHEST_MAINS_HZ) & (step < MAINS_HZ[0] / 6)
    return low


def _at_lines(power: np.ndarray, lines: int) -> np.ndarray:
    """``power`` of a noise, ``(channels, any)``, at so many lines up to the same frequency."""
    there = np.linspace(0, 1, power.shape[1])
    return np.stack([np.interp(np.linspace(0, 1, lines), there, channel) for channel in power])


def _quiet_cells(levels_db: np.ndarray) -> tuple[np.ndarray, bool]:
    """Which cells are as quiet as it gets, in passages of 0.3 s or more; and whether they are a lead-in."""
    quiet = np.zeros(len(levels_db), dtype=bool)
    if len(levels_db) < QUIET_CELLS:
        return quiet, False
    squares = np.where(levels_db > SILENT_DB, 10 ** (levels_db / 10), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(squares, QUIET_CELLS)
    means = power_db(np.where(np.isnan(windows).any(axis=1), np.nan, windows.mean(axis=1)))
    known = means[~np.isnan(means)]
    if not len(known):
        return quiet, False
    limit = float(np.quantile(known, QUIET_SHARE)) + QUIET_DB
    for first in np.flatnonzero(means <= limit).tolist():
        quiet[first : first + QUIET_CELLS] = True
    runs = list(_runs(quiet))
    first, end = runs[0]
    heard = np.flatnonzero(levels_db > SILENT_DB)
    lead = 10 * math.log10(float(np.mean(10 ** (levels_db[first:end] / 10))))
    begin = first
    while begin > heard[0] and levels_db[begin - 1] <= lead + NEAR_DB:
        begin -= 1
    if begin <= heard[0] + 1:  # noise that moves, such as a room's: all of it
        while end < len(levels_db) and levels_db[end] <= lead + NEAR_DB:
            end += 1
        first = begin
    rest = levels_db[end:]
    # from the first sound on, and what follows soon stands out
    is_lead = bool(first <= heard[0] + 1 and len(rest) and np.median(rest) > lead + LEAD_DB)
    if is_lead:
        quiet[first:end] = True
        quiet[end:] = False
    return quiet, is_lead


def _runs(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and end of each run of what is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _inside(span: tuple[float, float], rate: int) -> tuple[int, int]:
    """A passage in frames, less a cell at its end, where a note may have begun."""
    first, end = round(span[0] * rate), round((span[1] - CELL_SECONDS) * rate)
    return first, min(end, first + round(MOST_SECONDS * rate))


def _stretches(signal: Signal, spans: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    """The samples of ``spans`` of ``signal``, in order, ``MOST_SECONDS`` at most in all."""
    left = round(MOST_SECONDS * signal.rate)
    waiting = [span for span in spans if span[1] > span[0]]
    kept: list[np.ndarray] = []
    place = 0
    for block in signal.blocks():
        while waiting and left > 0 and waiting[0][0] < place + block.shape[1]:
            first, end = waiting[0]
            piece = block[:, max(first - place, 0) : end - place][:, :left]
            kept.append(piece.copy())
            left -= piece.shape[1]
            if end > place + block.shape[1] and left > 0:
                break
            yield np.concatenate(kept, axis=1)
            kept = []
            waiting.pop(0)
        if not waiting or left <= 0:
            break
        place += block.shape[1]
    if kept:
        yield np.concatenate(kept, axis=1)


def _beginning(signal: Signal, frames: int) -> np.ndarray:
    return next(_stretches(signal, [(0, min(frames, signal.frames))]))


def _power(pieces: list[np.ndarray], length: int) -> np.ndarray:
    """The mean power of each line in ``pieces`` of noise, ``(channels, lines)``, averaged over lines where frames are
    few; shorter pieces are lengthened by silence, and count for what they have."""
    window = noise_window(length)
    total, weight = 0.0, 0.0
    for piece in pieces:
        missing = max(length - piece.shape[1], 0)
        share = min(piece.shape[1] / length, 1.0)
        samples = np.pad(piece, ((0, 0), (0, missing)))
        frames = np.lib.stride_tricks.sliding_window_view(samples, length, axis=1)[:, :: length // 2]
        lines = np.fft.rfft(frames * window, axis=2)
        total = total + (lines.real**2 + lines.imag**2).sum(axis=1)
        weight += share * frames.shape[1]
    power: np.ndarray = np.asarray(total) / weight
    beside = round((STEADY_FRAMES / weight - 1) / 2)
    return _smoothed(power, beside) if beside > 0 else power


def _smoothed(power: np.ndarray, beside: int) -> np.ndarray:
    """Means over each line and so many on either side."""
    padded = np.pad(power, ((0, 0), (beside, beside)), mode="reflect")
    means: np.ndarray = np.lib.stride_tricks.sliding_window_view(padded, 2 * beside + 1, axis=1).mean(axis=2)
    return means


def _snippets(signal: Signal) -> Iterator[np.ndarray]:
    """Short pieces of ``signal``, spread over the whole of it, those that are not silent."""
    size = round(SNIPPET_SECONDS * signal.rate)
    step = max(signal.frames // SNIPPETS, size)
    spans = [(first, first + size) for first in range(0, max(signal.frames - size, 1), step)]
    for samples in _each(signal, spans):
        if power_db(np.square(samples, dtype=np.float64).mean()) > SILENT_DB:
            yield samples


def _frames_of(pieces: Iterator[np.ndarray], length: int) -> np.ndarray:
    """The power of all whole frames in ``pieces``, ``(frames, channels, lines)``.

    With a window whose side lobes lie 92 dB down (Harris 1978): what is between tones shows, and not the tones.
    """
    turns = 2 * np.pi * np.arange(length) / length
    window = 0.35875 - 0.48829 * np.cos(turns) + 0.14128 * np.cos(2 * turns) - 0.01168 * np.cos(3 * turns)
    window = (window / np.sqrt(np.square(window).sum())).astype(np.float32)
    powers = []
    for samples in pieces:
        if samples.shape[1] >= length:
            frames = np.lib.stride_tricks.sliding_window_view(samples, length, axis=1)[:, :: length // 2]
            lines = np.fft.rfft(frames * window, axis=2)
            powers.append((lines.real**2 + lines.imag**2).astype(np.float32).swapaxes(0, 1))
    return np.concatenate(powers) if powers else np.zeros((0, 1, length // 2 + 1), dtype=np.float32)


def _floor(powers: np.ndarray, rate: int) -> np.ndarray | None:
    """The power of a noise that all of ``powers``, ``(frames, channels, lines)``, have: ``(channels, lines)``.

    It is told by the lowest values of some lines together, and lowered where these are spread wider than those of
    noise: there lies music, or nothing. ``None`` where there are too few frames.
    """
    frames, channels, lines = powers.shape
    if frames < 4:
        return None
    places = np.unique(np.rint(np.geomspace(2, lines - 1, BANDS)).astype(int))
    reach = 2**BESIDE_OCTAVES
    levels = np.zeros((channels, len(places)))
    for at, place in enumerate(places.tolist()):
        first = max(min(math.floor(place / reach), place - BESIDE_LINES), 1)
        band = powers[:, :, first : max(math.ceil(place * reach), place + BESIDE_LINES) + 1].swapaxes(0, 1)
        octaves = np.log2(np.arange(first, first + band.shape[2]) / place)
        band = (band / _slope(np.median(band, axis=1), octaves)[:, None]).reshape(channels, -1)
        low, middle = np.quantile(band, [LOW_SHARE, 0.5], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = power_db(middle / low) - 10 * math.log10(MIDDLE_PART / LOW_PART) - NOISY_DB
        doubt = np.clip(np.nan_to_num(excess, posinf=100.0), 0.0, 100.0)
        levels[:, at] = low / LOW_PART * 10 ** (-doubt / 10)
    every = np.arange(lines)
    return np.stack([np.interp(every, places, row) for row in levels])


def _slope(power: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """The straight line, in decibels over octaves, nearest to ``power``, ``(channels, lines)``: factors.

    The noise of a room falls steeply at its low end; tones are no slope.
    """
    heard = np.all(power > 0, axis=1)
    levels = power_db(np.where(heard[:, None], power, 1.0))
    across = octaves - octaves.mean()
    steep = np.clip(levels @ across / np.square(across).sum(), -STEEPEST_DB, STEEPEST_DB)
    factors: np.ndarray = 10 ** (steep[:, None] * octaves / 10)
    return factors


def _each(signal: Signal, spans: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    """The samples of ``spans``, which do not overlap, as :func:`_stretches` but for its bound."""
    place, number = 0, 0
    kept: list[np.ndarray] = []
    for block in signal.blocks():
        while number < len(spans) and spans[number][0] < place + block.shape[1]:
            first, end = spans[number]
            kept.append(block[:, max(first - place, 0) : end - place].copy())
            if end > place + block.shape[1]:
                break
            yield np.concatenate(kept, axis=1)
            kept = []
            number += 1
        place += block.shape[1]


def example_from(signal: Signal, start_seconds: float, end_seconds: float) -> Audio:
    """The passage of ``signal`` from ``start_seconds`` to ``end_seconds``, in memory.

    Raises :class:`BadRequest` for a passage that is empty, longer than ``MOST_SECONDS`` or not in the sound.
    """
    length = signal.frames / signal.rate
    if not (0 <= start_seconds < end_seconds <= length + CELL_SECONDS):
        raise BadRequest(
            f"noise from {start_seconds:g} to {end_seconds:g} s: give two times in order within 0..{length:.2f} s"
        )
    span = (round(start_seconds * signal.rate), min(round(end_seconds * signal.rate), signal.frames))
    return Audio(np.ascontiguousarray(next(_stretches(signal, [span]))), signal.rate)
