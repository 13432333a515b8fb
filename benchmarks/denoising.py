"""What midigen clean gains: SI-SDR of recordings with noise, beside other ways to be rid of it.

    python -m benchmarks.denoising band-val.tar.xz --font FluidR3_GM --songs 8

Recordings are those of benchmarks.recordings, 15 s of each: bass, piano, guitar, and all three together, in turn, with
a second of silence before them. To these come, at 10, 20 and 30 dB:

- white noise; hiss (over 3 kHz); room: the background noise of a quiet room by octaves, curve NC-15 of ANSI S12.2;
- hum: 50 Hz and its multiples, falling, whose frequency wanders by 0.02 Hz.

The filter's few numbers were chosen on other songs in another font, with white and pink noise; hiss and room have no
part in that. SI-SDR (J. Le Roux and others, "SDR - half-baked or well done?", ICASSP 2019) is taken after the second of
silence. Columns: midigen, which is told nothing; noisereduce (if installed), which is given that second as its
profile; and the Wiener filter that knows music and noise apart: no filter of its kind does better (hum is subtracted,
which may). The last line: what is left of recordings that have no noise.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from benchmarks.recordings import RATE, recordings
from midigen.audio import Audio
from midigen.cleaning import Cleaning, clean
from midigen.cleaning.denoising import resynthesised, spectrogram

SECONDS, LEAD = 15.0, RATE
KINDS = ("bass", "piano", "guitar")
NOISES = ("white", "hiss", "room", "hum")
ROOM_HZ = (31.5, 63, 125, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000)
ROOM_DB = (58, 47, 36, 29, 22, 17, 14, 12, 11, 10)  # NC-15, with an octave more at either end
WINDOW = 4096


def noise(kind: str, frames: int, seed: int, rate: int = RATE) -> np.ndarray:
    """Noise of mean square 1, float64 ``(frames,)``."""
    from scipy.signal import butter, sosfilt

    dice = np.random.default_rng(seed)
    white = dice.standard_normal(frames)
    if kind == "hiss":
        sound = sosfilt(butter(2, 3000, "high", fs=rate, output="sos"), white)
    elif kind == "room":
        hz = np.maximum(np.fft.rfftfreq(frames, 1 / rate), ROOM_HZ[0])
        level_db = np.interp(np.log(hz), np.log(ROOM_HZ), np.array(ROOM_DB) - 10 * np.log10(ROOM_HZ))
        sound = np.fft.irfft(np.fft.rfft(white) * 10 ** (level_db / 20), frames)
    elif kind == "hum":
        times = np.arange(frames) / rate
        turns = 2 * np.pi * np.cumsum(49.98 + 0.02 * np.sin(2 * np.pi * times / 37)) / rate
        sound = np.sum([np.sin(k * turns + dice.uniform(0, 6.28)) / k for k in (1, 2, 3, 4, 5, 7, 9)], axis=0)
    else:
        sound = white
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))


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


def pieces(sources: Sequence[str], font: str, count: int) -> list[np.ndarray]:
    """The music: of each song one part, or every fourth time all three."""
    frames = round(SECONDS * RATE)
    parts = {
        kind: [np.resize(one.audio.samples[0, LEAD:], frames) for one in recordings(sources, kind, font, count, skip=2)]
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
    args = parser.parse_args()
    music = pieces(args.sources, args.font, args.songs)
    print("| noise | dB in | midigen gains | least | noisereduce | ideal mask |")
    print("|---|--:|--:|--:|--:|--:|")
    for kind in NOISES:
        for level in (10, 20, 30):
            gains: dict[str, list[float]] = defaultdict(list)
            for number, wanted in enumerate(music):
                strength = np.sqrt(np.mean(wanted[LEAD:] ** 2)) * 10 ** (-level / 20)
                sound = wanted + strength * noise(kind, len(wanted), 100 + number)
                before = si_sdr_db(wanted[LEAD:], sound[LEAD:])
                for name, cleaned in (
                    ("midigen", by_midigen(sound)),
                    ("noisereduce", by_noisereduce(sound)),
                    ("ideal", by_ideal(wanted, sound)),
                ):
                    if cleaned is not None:
                        gains[name].append(si_sdr_db(wanted[LEAD:], cleaned[LEAD:]) - before)
            values = [np.mean(gains[name]) if gains[name] else np.nan for name in ("midigen", "noisereduce", "ideal")]
            least = min(gains["midigen"])
            print(
                f"| {kind} | {level} | **{values[0]:.1f}** | {least:.1f} | {values[1]:.1f} | {values[2]:.1f} |",
                flush=True,
            )
    kept = [si_sdr_db(wanted[LEAD:], by_midigen(wanted)[LEAD:]) for wanted in music]
    print(f"\nWithout noise, of {len(kept)} recordings is left: {min(kept):.0f} dB at least, "
          f"{np.median(kept):.0f} dB in the median.")  # fmt: skip


if __name__ == "__main__":
    main()
