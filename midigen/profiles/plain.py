"""Profiles as plain values, as JSON has them."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from midigen.spectra import THIRDS_HZ, Spectrum

DIGITS = 6  # that are kept of a number: more than any of them is good for


def plain(value: Any) -> Any:
    """``value`` (dataclasses, mappings, sequences, numbers, texts) as what JSON can hold.

    Numbers are kept to six digits; what is not finite is ``None``. A spectrum is told by its thirds of an octave.
    """
    if isinstance(value, Spectrum):
        return {"thirds_hz": plain(THIRDS_HZ), "thirds_db": plain(value.thirds_db())}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value
