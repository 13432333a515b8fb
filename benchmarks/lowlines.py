"""Learn the networks of midigen.cleaning.lowlines from rendered songs and drawn noises.

    python -m benchmarks.lowlines band-train.tar.xz --fonts MuseScore_General:80:600 FluidR3Mono_GM:80:1500

Music is that of benchmarks.denoising (FONT:80:600 are 80 recordings after the first 600 songs), of which stretches of
four seconds are drawn; to each comes a noise of its kinds, most of them rooms, at 8 to 38 dB. What is learned from is
what the filter would get: a noise's power from a second of its own elsewhere. What is learned for is what is measured:
the decibels by which the error of the whole filter's sound, both passes and all windows, is less than the noise was.
All is done at a sixteenth of the rate, where the low lines are all lines there are. Needs torch (the extra "train").

Songs, fonts and seeds that are measured later must not be among those given here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.denoising import LEAD, noise, pieces
from benchmarks.recordings import RATE
from midigen.cleaning import lowlines
from midigen.cleaning.denoising import OVERLAP
from midigen.cleaning.noise import STEADY_FRAMES, noise_window

SIXTEENTH = 16
SLOW = RATE // SIXTEENTH
LENGTHS = [2 * (lines - 1) for lines in lowlines.LINES]
UNITS = (12, 8)  # channels of the first and of the second networks
BATCH, STRETCH = 6, 4 * SLOW
LEVELS_DB = (8.0, 38.0)
SPEEDS = (0.7, 1.4)  # at which each recording is heard once more: other pitches, other lengths
TOGETHER = 0.25  # of the stretches are two recordings at once
NOISES = {"room": 32, "office": 16, "hiss": 6, "white": 4}  # how many of each are drawn
NOISE_SECONDS = 20
FASTEST, SLOWEST, WARM_STEPS = 4e-3, 1e-5, 50
FIRST_COUNTS = 0.3  # how much the error of the first estimate counts beside that of the second
LEAST_GAIN = 10 ** (-30 / 20)


class Layers(nn.Module):
    """One :class:`midigen.cleaning.lowlines.Network` in training; lines before frames."""

    def __init__(self, shown: int, units: int, dilations: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.rows = [
            nn.Conv2d(units if number else shown, units, 3, padding=(lines, frames), dilation=(lines, frames))
            for number, (frames, lines) in enumerate(dilations)
        ]
        self.convolutions = nn.ModuleList(self.rows)  # for the optimiser to find
        self.last = nn.Conv2d(units, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, shown: Tensor) -> Tensor:
        for number, convolution in enumerate(self.rows):
            heard = torch.relu(convolution(shown))
            shown = shown + heard if number else heard
        answer: Tensor = self.last(shown)[:, 0]
        return answer

    def written(self) -> dict[str, Any]:
        """As weights.json has it."""
        kernels = [one.weight.detach().numpy().transpose(0, 1, 3, 2) for one in self.rows]
        return {
            "kernels": [_rounded(kernel.reshape(len(kernel), -1)) for kernel in kernels],
            "shifts": [_rounded(_bias(one)) for one in self.rows],
            "last": _rounded(self.last.weight.detach().numpy()[0, :, 0, 0]),
            "bias": _rounded(_bias(self.last))[0],
        }


def _bias(one: nn.Conv2d) -> np.ndarray:
    assert one.bias is not None
    return one.bias.detach().numpy()


def _rounded(values: np.ndarray) -> Any:
    return [_rounded(row) for row in values] if values.ndim > 1 else [float(f"{value:.5g}") for value in values]


class Filter(nn.Module):
    """What midigen.cleaning.denoising does to the low lines."""

    def __init__(self) -> None:
        super().__init__()
        self.first = [Layers(2, UNITS[0], lowlines.FIRST_DILATIONS) for _ in LENGTHS]
        self.second = [Layers(3, UNITS[1], lowlines.SECOND_DILATIONS) for _ in LENGTHS]
        self.networks = nn.ModuleList([*self.first, *self.second])

    def forward(self, sounds: Tensor, noises: list[Tensor]) -> tuple[Tensor, Tensor]:
        """``sounds`` ``(n, frames)`` and the powers of their noises by window, ``(n, lines)``: both estimates."""
        frames = sounds.shape[1]
        spectra = [_spectra(sounds, length) for length in LENGTHS]
        first, second, shown = torch.zeros_like(sounds), torch.zeros_like(sounds), []
        for network, length, lines, power in zip(self.first, LENGTHS, spectra, noises, strict=True):
            logs = torch.log(_power(lines) / power[:, :, None] + lowlines.LEAST_RATIO)
            heights = torch.linspace(0, 1, logs.shape[1])[None, :, None].expand_as(logs)
            shown.append((_shown(logs), heights))
            gain = torch.sigmoid(logs + network(torch.stack(shown[-1], 1)))
            first = first + _sound(lines * gain, length, frames) / len(LENGTHS)
        for number, (network, length, lines, power) in enumerate(
            zip(self.second, LENGTHS, spectra, noises, strict=True)
        ):
            heard = torch.log(_power(_spectra(first, length)) / power[:, :, None] + lowlines.LEAST_MUSIC)
            logs, heights = shown[number]
            gain = torch.sigmoid(heard + network(torch.stack([logs, _shown(heard), heights], 1)))
            second = second + _sound(lines * gain.clamp(min=LEAST_GAIN), length, frames) / len(LENGTHS)
        return second, first


def _shown(logs: Tensor) -> Tensor:
    return (logs * lowlines.SHOWN).clamp(lowlines.SHOWN_FROM, lowlines.SHOWN_TO)


def _window(length: int) -> Tensor:
    return torch.from_numpy(noise_window(length).astype(np.float32))


def _spectra(sounds: Tensor, length: int) -> Tensor:
    return torch.stft(
        sounds, length, length // OVERLAP, window=_window(length), pad_mode="constant", return_complex=True
    )


def _sound(lines: Tensor, length: int, frames: int) -> Tensor:
    return torch.istft(lines, length, length // OVERLAP, window=_window(length), length=frames)


def _power(lines: Tensor) -> Tensor:
    return lines.real**2 + lines.imag**2


def profiles(alone: Tensor) -> list[Tensor]:
    """The power of noise by window from ``alone``, ``(n, frames)``, as midigen.cleaning.noise takes it."""
    powers = []
    for length in LENGTHS:
        framed = alone.unfold(1, length, length // 2) * _window(length)
        power = _power(torch.fft.rfft(framed, dim=2)).mean(1)
        beside = round((STEADY_FRAMES / framed.shape[1] - 1) / 2)
        if beside > 0:
            padded = nn.functional.pad(power[:, None], (beside, beside), mode="reflect")
            power = nn.functional.avg_pool1d(padded, 2 * beside + 1, 1)[:, 0]
        powers.append(power.clamp(min=1e-14))
    return powers


def slower(sound: np.ndarray) -> np.ndarray:
    """A sixteenth of the rate."""
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(sound, 1, SIXTEENTH), dtype=np.float32)


def at_speed(sound: np.ndarray, speed: float) -> np.ndarray:
    """``sound`` so much faster and higher."""
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(sound, 100, round(100 * speed)), dtype=np.float32)


def learn(music: list[np.ndarray], steps: int, seed: int) -> Filter:
    """The networks after so many ``steps``."""
    torch.manual_seed(seed)
    dice = np.random.default_rng(seed)
    drawn = [
        slower(noise(kind, NOISE_SECONDS * SLOW * SIXTEENTH, 900_000 + 10_000 * place + number))
        for place, (kind, count) in enumerate(NOISES.items())
        for number in range(count)
    ]
    music = music + [at_speed(one, dice.uniform(*SPEEDS)) for one in music]
    levels = [np.sqrt(np.mean(one[LEAD // SIXTEENTH :] ** 2)) for one in music]
    filtering = Filter()
    filtering.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half as much again in speed
    optimiser = torch.optim.Adam(filtering.parameters(), FASTEST)
    began, gained = time.monotonic(), []
    inside = slice(LENGTHS[-1] // 2, -LENGTHS[-1] // 2)
    for step in range(steps):
        for group in optimiser.param_groups:
            fall = 0.5 * (1 + np.cos(np.pi * step / steps))
            group["lr"] = FASTEST * min(1, (step + 1) / WARM_STEPS) * fall + SLOWEST
        rows: list[list[np.ndarray]] = [[], [], []]
        for _ in range(BATCH):
            number = dice.integers(len(music))
            played, other = music[number], drawn[dice.integers(len(drawn))]
            start, after = (
                dice.integers(SLOW // 2, len(played) - STRETCH),
                dice.integers(2 * SLOW, len(other) - STRETCH),
            )
            played = played[start : start + STRETCH]
            level = levels[number]
            if dice.uniform() < TOGETHER:
                other_number = dice.integers(len(music))
                begun = dice.integers(SLOW // 2, len(music[other_number]) - STRETCH)
                played = played + music[other_number][begun : begun + STRETCH]
                level = np.hypot(level, levels[other_number])
            level *= 10 ** (-dice.uniform(*LEVELS_DB) / 20) * dice.choice((1, -1))
            before = dice.integers(0, SLOW)
            rows[0].append(played)
            rows[1].append(level * other[after : after + STRETCH])
            rows[2].append(level * other[before : before + SLOW])
        wanted, added, alone = (torch.from_numpy(np.array(row, dtype=np.float32)) for row in rows)
        usual = (added[:, inside] ** 2).sum(1)
        lost = [
            10 * torch.log10(((estimate - wanted)[:, inside] ** 2).sum(1) / usual + 1e-6).mean()
            for estimate in filtering(wanted + added, profiles(alone))
        ]
        optimiser.zero_grad()
        (lost[0] + FIRST_COUNTS * lost[1]).backward()
        nn.utils.clip_grad_norm_(filtering.parameters(), 5.0)
        optimiser.step()
        gained.append(-lost[0].item())
        if (step + 1) % 100 == 0:
            print(f"{step + 1} steps, {time.monotonic() - began:.0f} s: {np.mean(gained[-100:]):.2f} dB", flush=True)
    return filtering


def main() -> None:
    """Learn, and write weights.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--fonts", nargs="+", default=["MuseScore_General:80:600", "FluidR3Mono_GM:80:1500"])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    music = []
    for one in args.fonts:
        font, count, skip = one.split(":")
        music += [slower(sound) for sound in pieces(args.sources, font, int(count), int(skip))]
    filtering = learn(music, args.steps, args.seed)
    learned = {
        "first": [one.written() for one in filtering.first],
        "second": [one.written() for one in filtering.second],
    }  # fmt: skip
    lowlines.WEIGHTS.write_text(json.dumps(learned) + "\n", encoding="utf-8")
    print(f"{lowlines.WEIGHTS}: {lowlines.WEIGHTS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
