"""Filters in second-order sections, without loading ``scipy.signal``.

That package takes half a second to load, for it loads statistics, optimisation and interpolation with it: as long as
composing the first bars. What a mix needs of it is one compiled loop, a thousandth of a second to load by itself, and
two designs that are closed formulas. Where the loop is not found as it is expected, the package is loaded.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np


def filtered(sections: np.ndarray, samples: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``samples`` ``(channels, frames)`` through ``sections`` ``(n, 6)``; float64, and the state that follows.

    ``state`` is ``(n, channels, 2)``, zeros for silence before; it is not changed. As ``scipy.signal.sosfilt``, to the
    bit.
    """
    loop = _loop()
    if loop is None:
        from scipy.signal import sosfilt

        sound, after = sosfilt(sections, samples, axis=1, zi=state)
        return sound, after
    sound = np.array(samples, dtype=np.float64, order="C")
    after = np.array(state.transpose(1, 0, 2), dtype=np.float64, order="C")
    loop(np.ascontiguousarray(sections, dtype=np.float64), sound, after)
    return sound, after.transpose(1, 0, 2)


def butterworth(hz: float, rate: int, kind: str, order: int) -> np.ndarray:
    """The sections ``(n, 6)`` of a Butterworth filter of ``order``, 3 dB down at ``hz``; ``kind`` is "highpass" or
    "lowpass". By the bilinear transform with the corner kept in place (Oppenheim and Schafer, Discrete-Time Signal
    Processing, section 7.2)."""
    corner = math.tan(math.pi * hz / rate)
    rows = []
    if order % 2:
        gain = 1 / (corner + 1)
        b = [corner, corner, 0.0] if kind == "lowpass" else [1.0, -1.0, 0.0]
        rows.append([*(gain * value for value in b), 1.0, (corner - 1) * gain, 0.0])
    for pair in range(order // 2 - 1, -1, -1):  # the sharpest last
        damping = 2 * math.sin((2 * pair + 1) * math.pi / (2 * order)) * corner
        gain = 1 / (1 + damping + corner**2)
        b = [corner**2, 2 * corner**2, corner**2] if kind == "lowpass" else [1.0, -2.0, 1.0]
        rows.append([*(gain * value for value in b), 1.0, 2 * (corner**2 - 1) * gain, (1 - damping + corner**2) * gain])
    return np.array(rows)


def windowed_lowpass(taps: int, cutoff: float, beta: float) -> np.ndarray:
    """``taps`` coefficients that sum up to 1: a sinc with its edge at ``cutoff`` (1 is half the rate), under a Kaiser
    window of ``beta``."""
    frames = np.arange(taps) - (taps - 1) / 2
    shape = np.sinc(cutoff * frames) * np.kaiser(taps, beta)
    result: np.ndarray = shape / shape.sum()
    return result


def load() -> None:
    """Have the libraries of filters at hand. To be called before several threads filter: two of them that load parts of
    scipy for the first time may find it half loaded."""
    import scipy  # noqa: F401

    _loop()


def compiled(name: str) -> Any:
    """A compiled module of scipy, such as ``signal/_sosfilt``, without the package around it. Raises whatever goes
    wrong: it is nobody's promise that it is there."""
    package = importlib.util.find_spec("scipy")
    places = list(package.submodule_search_locations or ()) if package is not None else []
    files = [Path(place) / f"{name}{ending}" for place in places for ending in EXTENSION_SUFFIXES]
    spec = importlib.util.spec_from_file_location(Path(name).name, next(file for file in files if file.is_file()))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _loop() -> Callable[..., None] | None:
    """``scipy.signal``'s compiled loop, ``None`` where it is not where it was or does not do what it did."""
    try:
        loop: Callable[..., None] = compiled("signal/_sosfilt")._sosfilt
        sound, state = np.array([[1.0, 0.0, 0.0]]), np.zeros((1, 1, 2))
        loop(np.array([[0.5, 0.25, 0.125, 1.0, -0.5, 0.25]]), sound, state)
    except Exception:  # whatever it is: there is another way
        return None
    expected = sound.tolist() == [[0.5, 0.5, 0.25]] and state.tolist() == [[[0.0, -0.0625]]]
    return loop if expected else None
