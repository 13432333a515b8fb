"""What midigen clean gains: SI-SDR of recordings with noise, beside other ways to be rid of it.

    python -m benchmarks.denoising clean.tar.xz --font TimGM6mb --songs 16 --seed 1

Recordings are those of benchmarks.recordings, 15 s of each: bass, piano, guitar, and all three together, in turn, with
a second of silence before them. To these come, at 10, 20 and 30 dB, white noise, hiss, the noise of a room and of an
office, and hum. Each recording has another noise of its kind: its colour, mains frequency, multiples and movements are
drawn (``--seed``). A seed, font and songs by which something was chosen are of no use for a report.

SI-SDR (J. Le Roux and others, "SDR - half-baked or well done?", ICASSP 2019) is taken after the second of silence.
Columns: midigen, which is told nothing; noisereduce (if installed), which is given that second as its profile; and the
Wiener filter that knows music and noise apart: no filter of its kind does better (hum is subtracted, which may). The
last line: what is left of recordings that have no noise.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.recordings import RATE, recordings
from midigen.audio import Audio
from midigen.cleaning import Cleaning, clean
from midigen.cleaning.denoising import resynthesised, spectrogram

SECONDS, LEAD = 15.0, RATE
KINDS = ("bass", "piano", "guitar")
WINDOW = 4096


def noise(kind: str, frames: int, seed: int, rate: int = RATE) -> np.ndarray:
    """Noise of mean square 1, float64 ``(frames,)``; what is left open is drawn from ``seed``."""
    dice = np.random.default_rng(seed)
    sound = _MAKERS[kind](dice, frames, rate)
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))


def _shaped(
    dice: np.random.Generator, frames: int, rate: int, hz: Sequence[float], db: Sequence[float] | np.ndarray
) -> np.ndarray:
    """White noise with the levels ``db`` at ``hz``, straight between them over octaves."""
    lines = np.fft.rfftfreq(frames, 1 / rate)
    levels = np.interp(np.log(np.maximum(lines, hz[0])), np.log(hz), db)
    levels[0] = -200
    return np.fft.irfft(np.fft.rfft(dice.standard_normal(frames)) * 10 ** (levels / 20), frames)


def _slow(dice: np.random.Generator, frames: int, rate: int, seconds: float) -> np.ndarray:
    """A curve that wanders between about -1 and 1, with a new aim every few ``seconds``."""
    from scipy.interpolate import PchipInterpolator

    length = frames / rate
    aims = dice.uniform(-1, 1, int(length / seconds) + 3)
    start = dice.uniform(0, 1)
    return np.asarray(PchipInterpolator(np.arange(len(aims)), aims)(start + np.arange(frames) / rate / seconds))


def _white(dice: np.random.Generator, frames: int, rate: int) -> np.ndarray:
    return dice.standard_normal(frames)


def _hiss(dice: np.random.Generator, frames: int, rate: int) -> np.ndarray:
    """Tape and preamplifiers: rising by 2 to 8 dB an octave, from some place on level or falling."""
    corner, slope, after = dice.uniform(2_000, 9_000), dice.uniform(2, 8), dice.uniform(-6, 1)
    hz = [20 * 2 ** (octave / 2) for octave in range(21)]
    db = [slope * np.log2(min(f, corner) / 20) + after * np.log2(max(f, corner) / corner) for f in hz]
    return _shaped(dice, frames, rate, hz, db)


def _room(dice: np.random.Generator, frames: int, rate: int, least: float = 3.5, most: float = 6.5) -> np.ndarray:
    """A room: its octaves fall by 5 dB each (RC curves, ANSI S12.2), give or take 1.5, unevenly; there is a fan's bump,
    and the level moves by some decibels."""
    hz = [31.5 * 2**octave for octave in range(10)]
    db = -(dice.uniform(least, most) + 3) * np.arange(10) + dice.normal(0, 2, 10)  # an octave is twice as wide
    still = _shaped(dice, frames, rate, hz, db)
    centre = dice.uniform(100, 600)
    fan = _shaped(dice, frames, rate, [20, centre / 1.4, centre, centre * 1.4, 20_480], [-60, -20, 0, -20, -60])
    fan *= np.sqrt(np.mean(still**2) / np.mean(fan**2)) * 10 ** (dice.uniform(-15, -6) / 20)
    return (still + fan) * 10 ** (1.5 * _slow(dice, frames, rate, 4.0) / 20)


def _office(dice: np.random.Generator, frames: int, rate: int) -> np.ndarray:
    """As a room, but its octaves fall by 3 dB at most, as in an office (Hoth noise, IEEE 269): much of it lies where
    music does."""
    return _room(dice, frames, rate, 0.0, 3.0)


def _hum(dice: np.random.Generator, frames: int, rate: int) -> np.ndarray:
    """The mains, 50 or 60 Hz and up to 0.12 Hz off, wandering by 0.03 Hz: of all multiples, of the odd ones (coils), or
    mostly of the even ones (rectifiers), each weaker or stronger than its neighbours; the level moves a little."""
    hz = dice.choice((50, 60)) + dice.uniform(-0.12, 0.12) + 0.03 * _slow(dice, frames, rate, 7.0)
    turns = 2 * np.pi * np.cumsum(hz) / rate
    numbers = np.arange(1, int(dice.integers(6, 21)))
    sizes = numbers ** -dice.uniform(0.6, 1.6) * np.exp(dice.normal(0, 0.6, len(numbers)))
    sizes *= dice.choice((np.ones(len(numbers)), numbers % 2, np.where(numbers % 2, 0.25, 1)))
    phases = dice.uniform(0, 2 * np.pi, len(numbers))
    sound = np.sum([a * np.sin(n * turns + p) for n, a, p in zip(numbers, sizes, phases, strict=True)], axis=0)
    return sound * 10 ** (0.5 * _slow(dice, frames, rate, 5.0) / 20)


_MAKERS = {"white": _white, "hiss": _hiss, "room": _room, "office": _office, "hum": _hum}
NOISES = tuple(_MAKERS)


def si_sdr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """The scale-invariant ratio of signal to distortion, in dB."""
    reference, estimate = reference - reference.mean(), estimate - estimate.mean()
    part = np.dot(estimate, reference) / np.dot(reference, reference) * reference
    return float(10 * np.log10(np.sum(part**2) / max(np.sum((estimate - part) ** 2), 1e-30)))


def by_midigen(sound: np.ndarray) -> np.ndarray:
    """Cleaned by midigen, which is told nothing."""
    signal = clean(Audio(sound[None].astype(np.float32), RATE), Cleaning(trim=False, target_lufs=None)).signal
    return np.concatenate(list(signal.blocks()), axis=1)[0].astype(np.float64)


def by_noisereduce(sound: np.ndarray) -> np.ndarray | None:
    """Cleaned by noisereduce, which is given the silence before the music."""
    try:
        import noisereduce
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cleaned: np.ndarray = noisereduce.reduce_noise(sound, RATE, y_noise=sound[:LEAD], stationary=True)
    return cleaned


def by_ideal(music: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """The Wiener filter that knows what is music and what is noise."""
    padded, wanted, other = (np.pad(x, WINDOW).astype(np.float32) for x in (sound, music, sound - music))
    lines = spectrogram(padded, WINDOW)
    power, usual = np.abs(spectrogram(wanted, WINDOW)) ** 2, (np.abs(spectrogram(other, WINDOW)) ** 2).mean(axis=0)
    ideal = resynthesised(lines * (power / (power + usual + 1e-14)), WINDOW, len(padded))
    return ideal[WINDOW:-WINDOW].astype(np.float64)


def pieces(sources: Sequence[str], font: str, count: int, skip: int = 2) -> list[np.ndarray]:
    """The music: of each song one part, or every fourth time all three."""
    frames = round(SECONDS * RATE)
    parts = {
        kind: [
            np.resize(one.audio.samples[0, LEAD:], frames) for one in recordings(sources, kind, font, count, skip=skip)
        ]
        for kind in KINDS
    }
    music = []
    for number in range(count):
        if number % 4 == 3:
            chosen = np.sum([parts[kind][number % len(parts[kind])] for kind in KINDS], axis=0)
        else:
            kind = KINDS[number % 4]
            chosen = parts[kind][number % len(parts[kind])]
        music.append(np.concatenate([np.zeros(LEAD), chosen.astype(np.float64)]))
    return music


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--font", default="FluidR3_GM")
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--skip", type=int, default=2, help="songs of the sources that are passed over first")
    parser.add_argument("--seed", type=int, default=1, help="of the noises")
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=NOISES)
    parser.add_argument("--alone", action="store_true", help="midigen alone")
    args = parser.parse_args()
    music = pieces(args.sources, args.font, args.songs, args.skip)
    ways: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray | None]] = {
        "midigen": lambda _, sound: by_midigen(sound),
        "noisereduce": lambda _, sound: by_noisereduce(sound),
        "ideal mask": by_ideal,
    }
    if args.alone:
        del ways["noisereduce"], ways["ideal mask"]
    print(f"| noise | dB in | mean | median | least | {''.join(f'{way} | ' for way in list(ways)[1:])}")
    print("|---|" + "--:|" * (3 + len(ways)))
    for kind in args.noises:
        for level in (10, 20, 30):
            gains: dict[str, list[float]] = defaultdict(list)
            for number, wanted in enumerate(music):
                strength = np.sqrt(np.mean(wanted[LEAD:] ** 2)) * 10 ** (-level / 20)
                sound = wanted + strength * noise(kind, len(wanted), 1_000 * args.seed + number)
                before = si_sdr_db(wanted[LEAD:], sound[LEAD:])
                for name, way in ways.items():
                    cleaned = way(wanted, sound)
                    if cleaned is not None:
                        gains[name].append(si_sdr_db(wanted[LEAD:], cleaned[LEAD:]) - before)
            ours = gains.pop("midigen")
            others = "".join(f"{np.mean(values):.1f} | " for values in gains.values())
            print(
                f"| {kind} | {level} | **{np.mean(ours):.1f}** | {np.median(ours):.1f} | {min(ours):.1f} | {others}",
                flush=True,
            )
            if args.alone:
                print(" ", " ".join(f"{value:.1f}" for value in ours), file=sys.stderr, flush=True)
    kept = [si_sdr_db(wanted[LEAD:], by_midigen(wanted)[LEAD:]) for wanted in music]
    print(f"\nWithout noise, of {len(kept)} recordings is left: {min(kept):.0f} dB at least, "
          f"{np.median(kept):.0f} dB in the median.")  # fmt: skip


if __name__ == "__main__":
    main()
