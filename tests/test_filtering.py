"""Filters without ``scipy.signal``: as it has them, and in a hundredth of its time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from midigen import filtering
from midigen.filtering import butterworth, filtered, windowed_lowpass


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["highpass", "lowpass"])
@pytest.mark.parametrize("hz", [25.0, 180.0, 9_000.0])
def test_butterworth_is_scipys(order: int, kind: str, hz: float) -> None:
    from scipy.signal import butter, freqz_sos

    ours, theirs = butterworth(hz, 44_100, kind, order), butter(order, hz, kind, fs=44_100, output="sos")
    at = np.geomspace(5, 20_000, 300)
    ours, theirs = (freqz_sos(sections, at, fs=44_100)[1] for sections in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, atol=1e-8)
    np.testing.assert_allclose(np.abs(freqz_sos(butterworth(hz, 44_100, kind, order), [hz], fs=44_100)[1]), 0.5**0.5)


def test_the_windowed_lowpass_is_scipys() -> None:
    from scipy.signal import firwin

    np.testing.assert_allclose(
        windowed_lowpass(193, 1 / 8, 4.0), firwin(193, 1 / 8, window=("kaiser", 4.0)), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_filtering_is_scipys_to_the_bit_and_goes_on(kind: type[np.floating]) -> None:
    from scipy.signal import sosfilt

    assert filtering._loop() is not None  # with the scipy that is installed here
    sections = np.concatenate([butterworth(80, 44_100, "highpass", 4), butterworth(9_000, 44_100, "lowpass", 1)])
    samples: np.ndarray = np.random.default_rng(0).normal(size=(2, 3_000)).astype(kind)
    expected, last = sosfilt(sections, samples, axis=1, zi=np.zeros((3, 2, 2)))
    state, pieces = np.zeros((3, 2, 2)), []
    for start in range(0, 3_000, 700):
        before = state.copy()
        piece, after = filtered(sections, samples[:, start : start + 700], state)
        np.testing.assert_array_equal(state, before)
        pieces.append(piece)
        state = after
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), expected)
    np.testing.assert_array_equal(state, last)


def test_without_the_compiled_loop_scipy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = butterworth(80, 44_100, "highpass", 2)
    samples: np.ndarray = np.random.default_rng(1).normal(size=(1, 500))
    state = np.zeros((1, 1, 2))
    quick = filtered(sections, samples, state)
    monkeypatch.setattr(filtering, "_loop", lambda: None)
    for ours, theirs in zip(quick, filtered(sections, samples, state), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_mix_loads_no_scipy_signal() -> None:
    program = (
        "import sys, numpy; from midigen.effects.equaliser import SectionFilter, pass_sections\n"
        "from midigen.loudness import KWeighting; from midigen.truepeak import _between\n"
        "SectionFilter(pass_sections(80, 44100, 'highpass', 2)).filter(numpy.ones((2, 64), numpy.float32))\n"
        "KWeighting(44100, 2).filtered(numpy.ones((2, 64))); _between()\n"
        "assert 'scipy.signal' not in sys.modules and 'scipy.stats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
