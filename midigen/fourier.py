"""Fourier transforms of sound in float32, without loading ``scipy.fft``.

``scipy.fft`` transforms float32 as such, where numpy's own takes up to forty times as long or goes by way of float64.
But to load it takes 0.17 s, for all that it is compatible with; its compiled transforms alone take a hundredth. They
are loaded from where scipy has them, and where that is not so any more ``scipy.fft`` itself is asked: the results are
the same, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import Lock

import numpy as np

from midigen.filtering import compiled

_loading = Lock()  # two threads that load a library at once may find it half loaded
_Transforms = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray, int], np.ndarray]]


def rfft(samples: np.ndarray, frames: int | None = None) -> np.ndarray:
    """The spectra of the rows of ``samples`` (float32 ``(..., n)``), complex64; zeros follow up to ``frames``."""
    missing = (samples.shape[-1] if frames is None else frames) - samples.shape[-1]
    if missing:
        samples = np.concatenate([samples, np.zeros((*samples.shape[:-1], missing), dtype=samples.dtype)], axis=-1)
    return _found()[0](samples)


def irfft(spectra: np.ndarray, frames: int) -> np.ndarray:
    """The samples, float32 ``(..., frames)``, whose spectra are ``spectra`` (complex64)."""
    return _found()[1](spectra, frames)


def _found() -> _Transforms:
    with _loading:
        return _transforms()


@cache
def _transforms() -> _Transforms:
    """Forwards, and backwards to so many frames."""
    try:
        module = compiled("fft/_pocketfft/pypocketfft")

        def forwards(samples: np.ndarray) -> np.ndarray:
            spectra: np.ndarray = module.r2c(samples, (-1,), True, 0, None, 1)
            return spectra

        def backwards(spectra: np.ndarray, frames: int) -> np.ndarray:
            samples: np.ndarray = module.c2r(spectra, (-1,), frames, False, 2, None, 1)
            return samples

        spectrum = forwards(np.array([[1, 0, 0, 2]], dtype=np.float32))
        if spectrum.dtype == np.complex64 and spectrum.tolist() == [[3, 1 + 2j, -1]]:
            again = backwards(spectrum, 4)
            if again.dtype == np.float32 and again.tolist() == [[1, 0, 0, 2]]:
                return forwards, backwards
    except Exception:  # whatever it is: there is another way
        pass
    from scipy import fft

    return fft.rfft, fft.irfft
