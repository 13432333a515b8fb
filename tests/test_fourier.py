"""Transforms without ``scipy.fft``: as it has them, to the bit, and without loading it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from midigen import fourier


@pytest.fixture(params=["compiled", "package"])
def transforms(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fourier._transforms.cache_clear()
    if request.param == "package":  # scipy has moved its compiled modules

        def missing(name: str) -> None:
            raise StopIteration

        monkeypatch.setattr(fourier, "compiled", missing)
    yield
    fourier._transforms.cache_clear()


@pytest.mark.usefixtures("transforms")
@pytest.mark.parametrize("frames", [1_000, 1_024, 1_501])
def test_spectra_and_sound_are_scipys_to_the_bit(frames: int) -> None:
    from scipy import fft

    samples = np.random.default_rng(0).normal(size=(2, 3, 1_000)).astype(np.float32)
    spectra = fourier.rfft(samples, frames)
    assert spectra.dtype == np.complex64
    np.testing.assert_array_equal(spectra, fft.rfft(samples, frames))
    again = fourier.irfft(spectra, frames)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, fft.irfft(spectra, frames))
    np.testing.assert_allclose(again[..., :1_000], samples, atol=1e-5)


def test_the_package_is_not_loaded_where_its_compiled_part_is_there() -> None:
    code = (
        "import sys, numpy; from midigen.fourier import rfft; rfft(numpy.ones((1, 4), numpy.float32));"
        "print('scipy.fft' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"  # with the scipy that is installed here
