"""Impulse responses of rooms that were never built: what a reverb convolves with.

Two places of a source (left and right) and two ears give four responses. Each has two parts, which pass into one
another at the mixing time, the square root of the volume in cubic metres, in milliseconds (J.-D. Polack, 1988):

*Early reflections* are the images of the source in the walls of a box (J. B. Allen and D. A. Berkley, "Image method
for efficiently simulating small-room acoustics", J. Acoust. Soc. Am. 65, 1979), each from its direction. Together they
carry what the decay has over the same time, so the curve of the energy is straight from the beginning.

*The late part* is noise (J. A. Moorer, "About this reverberation business", 1979), in bands of half an octave that
decay each in its own time: ``decay / (1 + (f / damping)^2)``, the law of the losses in air. Within each band the four
noises are made orthogonal and equally strong, which they are only on average otherwise: no picture leans to one side,
and the sum of both sides loses nothing.

The noise is drawn as a spectrum, bin after bin from below, and the reflections are placed in continuous time: it is
the same room at every rate.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from midigen.effects import TAIL_DB
from midigen.effects.equaliser import Equaliser, pass_sections
from midigen.effects.stereo import pan_gains
from midigen.filtering import filtered

SEED = 1
METRES_A_SECOND = 343.0
HIGHEST_HZ, LOWEST_HZ = 20_000.0, 15.0  # what is heard of a room
_FADED = 0.8  # of the highest frequency: from there on up it fades out
_SHAPE = np.array([1 / 1.26, 1.0, 1 / 1.59])  # width, length, height of good rooms (R. H. Bolt, 1946), by the length
# Shares of width, length and height. Nobody is in the very middle, where reflections of both walls would coincide.
_EAR = np.array([0.53, 0.35, 0.30])
_SOURCES = np.array([[0.33, 0.72, 0.32], [0.69, 0.75, 0.32]])
_EARS_METRES = 0.2  # apart
_MOST_IMAGES = 5  # in every direction, in lengths of the room
_SIXTY_DB = math.log(1e3)  # an amplitude falls by 60 dB in the decay time


@lru_cache(maxsize=4)  # a reverb is read several times while a mix is made
def impulse_response(
    decay_seconds: float, damping_hz: float, low_cut_hz: float, width: float, size_m: float, rate: int
) -> np.ndarray:
    """The four responses: float32 ``(2 sources, 2 ears, frames)``, read-only, without the direct sound.

    ``decay_seconds`` is the time in which lows and mids fall by 60 dB, ``damping_hz`` the frequency at which it is
    half as long (0: nowhere), ``low_cut_hz`` where a high-pass is 3 dB down (0: none), ``width`` 0 (both ears hear the
    same) to 1 (unrelated sounds), ``size_m`` the length of the room (0: no early reflections).

    Scaled so that pink noise, as far up as ``rate`` carries it, comes back as loud as it goes in (by the weighting of
    ITU-R BS.1770).
    """
    seconds = -TAIL_DB / 60 * decay_seconds
    frames = math.ceil(seconds * rate)
    period = math.ceil(seconds + 0.1)  # whole seconds, so that the bins lie at the same frequencies at every rate
    highest_hz = min(HIGHEST_HZ, 0.475 * rate)
    hz = np.arange(math.floor(highest_hz * period) + 1) / period
    losses = (hz / damping_hz) ** 2 if damping_hz else np.zeros_like(hz)
    audible = np.where(hz < LOWEST_HZ, 0.0, np.cos(np.pi / 2 * np.clip((hz / highest_hz - _FADED) / 0.2, 0, 1)) ** 2)
    mixing_seconds = math.sqrt(float(_SHAPE.prod()) * size_m**3) / 1_000

    time = np.arange(frames) / rate
    late = _late(hz, losses, audible, time, decay_seconds, period, rate)
    rise = np.sin(np.pi / 2 * np.minimum(time / mixing_seconds, 1.0)) if mixing_seconds else np.ones(1)
    middle_side = (late * rise).reshape(2, 2, frames) / math.sqrt(1 + width**2)
    responses = np.stack([middle_side[:, 0] + width * middle_side[:, 1], middle_side[:, 0] - width * middle_side[:, 1]])
    responses = responses.swapaxes(0, 1)
    if mixing_seconds:
        spectra = _early(hz, losses, decay_seconds, size_m, mixing_seconds, width) * audible
        responses = responses + np.fft.irfft(_padded(spectra, period * rate), period * rate)[..., :frames]
    if low_cut_hz:
        sections, rows = pass_sections(low_cut_hz, rate, "highpass", 2), responses.reshape(-1, responses.shape[-1])
        responses = filtered(sections, rows, np.zeros((len(sections), len(rows), 2)))[0].reshape(responses.shape)
    fade = min(max(frames // 20, 1), frames)
    responses[..., frames - fade :] *= np.cos(np.pi / 2 * (np.arange(fade) + 1) / fade)
    scaled: np.ndarray = (responses / _loudness(responses, rate)).astype(np.float32)
    scaled.flags.writeable = False
    return scaled


def _late(
    hz: np.ndarray,
    losses: np.ndarray,
    audible: np.ndarray,
    time: np.ndarray,
    decay_seconds: float,
    period: int,
    rate: int,
) -> np.ndarray:
    """Four decaying noises, float64 ``(4, frames)``, unrelated and equally strong in every band."""
    # RandomState, for its numbers are promised to stay the same for ever (NEP 19).
    parts = np.random.RandomState(SEED).standard_normal((len(hz), 4, 2))
    noise = (parts[..., 0] + 1j * parts[..., 1]).T * math.sqrt(period / 2) * audible
    late = np.zeros((4, len(time)))
    for band, loss in _bands(hz, losses):
        decaying = np.fft.irfft(_padded(noise * band, period * rate), period * rate)[:, : len(time)]
        decaying *= np.exp(-_SIXTY_DB / decay_seconds * (1 + loss) * time)
        late += _unrelated(decaying)
    return late


def _bands(hz: np.ndarray, losses: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Bands that add up to one, as gains over ``hz``, each with what damping adds to the rate of its decay.

    The first has all that damping does not reach, the others are half an octave apart.
    """
    first = int(np.searchsorted(losses, 1 / 64))  # where the decay is 1.5 % shorter
    if first >= len(hz):
        return [(np.ones_like(hz), 0.0)]
    place = 2 * np.log2(np.maximum(hz, hz[first]) / hz[first])  # in half octaves
    bands = []
    for number in range(math.ceil(place[-1]) + 1):
        gain = np.cos(np.pi / 2 * np.clip(np.abs(place - number), 0, 1)) ** 2
        bands.append((gain, float(losses[first]) * 2.0**number))
    return bands


def _unrelated(sounds: np.ndarray) -> np.ndarray:
    """The nearest to ``sounds`` ``(n, frames)`` that are orthogonal and of one energy, which is their mean (Löwdin)."""
    products = sounds @ sounds.T
    energies, directions = np.linalg.eigh(products)
    if energies[0] <= 1e-12 * energies[-1]:  # nothing in this band, or too little to tell them apart
        return sounds
    energy = float(np.trace(products)) / len(sounds)
    turned: np.ndarray = (directions * np.sqrt(energy / energies)) @ directions.T @ sounds
    return turned


def _early(
    hz: np.ndarray, losses: np.ndarray, decay_seconds: float, size_m: float, mixing_seconds: float, width: float
) -> np.ndarray:
    """The reflections before the mixing time as spectra over ``hz``: complex ``(2 sources, 2 ears, bins)``."""
    room = _SHAPE * size_m
    surface = 2 * float(room[0] * room[1] + room[1] * room[2] + room[0] * room[2])
    free_path = 4 * float(room.prod()) / surface
    kept = math.exp(-_SIXTY_DB * free_path / METRES_A_SECOND / decay_seconds)  # of an amplitude, at a wall
    # The energy of the decay that the rise of the late part leaves to the early one, at both ears.
    time = (np.arange(1_000) + 0.5) / 1_000 * mixing_seconds
    decay = np.exp(-2 * _SIXTY_DB / decay_seconds * time)
    energy = 2 * float((np.cos(np.pi / 2 * time / mixing_seconds) ** 2 * decay).mean()) * mixing_seconds

    spectra = np.zeros((2, 2, len(hz)), dtype=np.complex128)
    for source, place in enumerate(_SOURCES * room):
        offsets, walls = _images(place, room)
        distance = np.sqrt((offsets**2).sum(axis=1))
        after = (distance - distance.min()) / METRES_A_SECOND
        chosen = (walls > 0) & (after < mixing_seconds)
        distance, after, side = distance[chosen], after[chosen], offsets[chosen, 0] / distance[chosen]
        gains = kept ** walls[chosen] / distance * np.cos(np.pi / 2 * after / mixing_seconds)
        ears = np.array([pan_gains(float(pan) * width, 1) for pan in side]) * gains[:, np.newaxis]
        # The noise at both ears has the same energy; so have the reflections, whatever the corner of the source.
        ears *= math.sqrt(energy / 2) / np.sqrt((ears**2).sum(axis=0))
        later = side * width * _EARS_METRES / 2 / METRES_A_SECOND  # at the left ear, for what comes from the right
        for seconds, shift, pair in zip(after, later, ears, strict=True):
            fall = np.exp(-_SIXTY_DB / decay_seconds * losses * seconds)
            for ear, arrives in enumerate((seconds + shift, seconds - shift)):
                spectra[source, ear] += pair[ear] * fall * _turned(2 * math.pi * float(hz[1] * arrives), len(hz))
    return spectra


def _turned(angle: float, count: int) -> np.ndarray:
    """``exp(-1j * angle * k)`` for ``k`` under ``count``, as products of two short tables: exponentials are slow."""
    step = math.isqrt(count) + 1
    coarse, fine = (np.exp(-1j * angle * stride * np.arange(step)) for stride in (step, 1))
    turned: np.ndarray = (coarse[:, np.newaxis] * fine).ravel()[:count]
    return turned


def _images(place: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the ear to the images of a source at ``place``, in metres ``(n, 3)``, and how many walls made each."""
    along, walls = [], []
    lengths = np.arange(-_MOST_IMAGES, _MOST_IMAGES + 1)
    for axis in range(3):
        straight, mirrored = 2 * lengths * room[axis] + place[axis], 2 * lengths * room[axis] - place[axis]
        along.append(np.concatenate([straight, mirrored]) - _EAR[axis] * room[axis])
        walls.append(np.concatenate([np.abs(2 * lengths), np.abs(2 * lengths - 1)]))
    offsets = np.stack([grid.ravel() for grid in np.meshgrid(*along, indexing="ij")], axis=1)
    return offsets, sum(grid.ravel() for grid in np.meshgrid(*walls, indexing="ij"))


def _padded(spectra: np.ndarray, frames: int) -> np.ndarray:
    """``spectra`` with empty bins up to half the rate, for a sound of ``frames``."""
    missing = frames // 2 + 1 - spectra.shape[-1]
    return np.pad(spectra, [(0, 0)] * (spectra.ndim - 1) + [(0, missing)])


def _loudness(responses: np.ndarray, rate: int) -> float:
    """What the power of pink noise in stereo is multiplied by, weighted as loudness is; as a factor on amplitudes."""
    power = (np.abs(np.fft.rfft(responses)) ** 2).sum(axis=(0, 1)) / 2
    hz = np.arange(len(power)) * rate / responses.shape[-1]
    heard = (hz >= 20) & (hz <= 20_000)
    # BS.1770 weights by a shelf of 4 dB at 1,682 Hz and a high-pass of Q 1/2 at 38.1 Hz; here as they are at one rate,
    # so that a room has one level at all of them. The pink noise is the 1 / f.
    shelf_db = Equaliser(high_db=4, high_hz=1_682).response_db(hz[heard], 96_000)
    weights = 10 ** (shelf_db / 10) * (1 + (38.1 / hz[heard]) ** 2) ** -2 / hz[heard]
    return math.sqrt(float((weights * power[heard]).sum() / weights.sum()))
