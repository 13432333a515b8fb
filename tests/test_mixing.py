"""The mixer, by its algebra, and its master, by the standard's meters."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.audio import Audio, write_wav
from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.limiter import limit
from midigen.loudness import integrated_lufs, true_peak_dbtp, true_peak_envelope
from midigen.mixing import BAND_LUFS, Mix, Strip, balance_trim_db, blend, master, mix
from midigen.renderers import Stem

RATE = 44_100


def stem(kind: str, seed: int, seconds: float = 3.0, level: float = 0.1, channels: int = 2, name: str = "") -> Stem:
    """Struck notes of filtered noise, different for each seed."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    wave = np.cumsum(rng.standard_normal((channels, frames)), axis=1)
    wave = np.diff(wave, axis=1, prepend=0) + 0.5 * rng.standard_normal((1, frames))
    strike = np.exp(-(np.arange(frames) % (RATE // (2 + seed % 3))) / 3_000)
    return Stem(name or kind, kind, Audio((level * wave * strike).astype(np.float32), RATE))


def sine(kind: str, hertz: float, level: float, channels: int = 2) -> Stem:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(3 * RATE) / RATE)
    return Stem(kind, kind, Audio(np.tile(wave.astype(np.float32), (channels, 1)), RATE))


@pytest.fixture(scope="module")
def band() -> list[Stem]:
    levels = {"piano": 0.02, "guitar": 0.3, "bass": 0.004, "drums": 0.9}
    return [stem(kind, number, level=level) for number, (kind, level) in enumerate(levels.items())]


def summed(stems: list[Stem], strips: dict[str, Strip] | None = None) -> np.ndarray:
    return blend(stems, strips)[0].samples


def test_equal_strips_are_a_balanced_band_whatever_the_levels_were(band: list[Stem]) -> None:
    for one in band:
        alone, _ = blend(band, {one.kind: Strip(solo=True, pan=0.0)})
        expected = BAND_LUFS + INSTRUMENTS[one.kind].level_lu
        assert integrated_lufs(alone) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("pan", [-1.0, -0.5, 0.0, 0.3, 1.0])
def test_pan_moves_a_centred_stem_without_changing_its_loudness(channels: int, pan: float) -> None:
    one = sine("bass", 440, 0.1, channels)
    moved, _ = blend([one], {"bass": Strip(pan=pan)})
    centred, _ = blend([one], {"bass": Strip(pan=0.0)})
    assert integrated_lufs(moved) == pytest.approx(integrated_lufs(centred), abs=0.01)
    left, right = np.sqrt((moved.samples**2).sum(axis=1))
    assert math.atan2(right, left) == pytest.approx((pan + 1) * math.pi / 4, abs=1e-5)


def test_the_balance_law_leaves_a_stereo_stem_at_the_centre_as_it_is(band: list[Stem]) -> None:
    one = band[0]
    total, (applied,) = blend([one], {"piano": Strip(pan=0.0)})
    expected = one.audio.samples * np.float32(10 ** (applied.trim_db / 20))
    np.testing.assert_allclose(total.samples, expected, rtol=1e-6)
    hard, _ = blend([one], {"piano": Strip(pan=-1.0)})
    assert not hard.samples[1].any()
    np.testing.assert_allclose(hard.samples[0], math.sqrt(2) * expected[0], rtol=1e-5)


def test_without_a_pan_an_instrument_takes_its_seat(band: list[Stem]) -> None:
    _, applied = blend(band)
    assert [a.pan for a in applied] == [INSTRUMENTS[one.kind].pan for one in band]
    seated = summed(band)
    told = summed(band, {one.kind: Strip(pan=INSTRUMENTS[one.kind].pan) for one in band})
    np.testing.assert_array_equal(seated, told)


@given(gain=st.floats(-30, 24, allow_nan=False))
@settings(max_examples=20, deadline=None)
def test_gain_up_and_down_is_identity(gain: float) -> None:
    one = sine("bass", 220, 0.1)
    up = summed([one], {"bass": Strip(gain_db=gain)}).astype(np.float64)
    np.testing.assert_allclose(up * 10 ** (-gain / 20), summed([one]), atol=1e-6)


def test_a_gain_is_that_many_decibels(band: list[Stem]) -> None:
    for gain_db in (-60, -6, 0, 3, 24):
        louder = summed(band[:1], {"piano": Strip(gain_db=gain_db)})
        np.testing.assert_allclose(louder, 10 ** (gain_db / 20) * summed(band[:1]), rtol=1e-5)


def test_the_order_of_stems_does_not_matter(band: list[Stem]) -> None:
    expected = summed(band)
    for order in permutations(band):
        np.testing.assert_allclose(summed(list(order)), expected, atol=1e-6)


def test_the_sum_is_linear(band: list[Stem]) -> None:
    strips = {"piano": Strip(gain_db=-3, pan=0.5), "drums": Strip(gain_db=4)}
    singly = sum(summed([one], {k: v for k, v in strips.items() if k == one.kind}) for one in band)
    np.testing.assert_allclose(summed(band, strips), singly, atol=1e-5)


@pytest.mark.parametrize("soloed", [["piano"], ["bass", "drums"]])
def test_solo_is_the_others_muted(band: list[Stem], soloed: list[str]) -> None:
    solo = {name: Strip(solo=True) for name in soloed}
    mute = {one.name: Strip(mute=True) for one in band if one.name not in soloed}
    np.testing.assert_array_equal(summed(band, solo), summed(band, mute))
    _, applied = blend(band, solo)
    assert [a.name for a in applied if a.heard] == soloed


def test_a_muted_part_stays_silent_when_soloed(band: list[Stem]) -> None:
    assert not summed(band, {"piano": Strip(solo=True, mute=True)}).any()


def test_trims_do_not_hang_on_gains_mutes_solos_or_other_stems(band: list[Stem]) -> None:
    _, plain = blend(band)
    strips = {"piano": Strip(gain_db=9, mute=True), "bass": Strip(solo=True, gain_db=-20), "drums": Strip(pan=1.0)}
    _, changed = blend(band, strips)
    assert [a.trim_db for a in changed] == [a.trim_db for a in plain]
    assert [blend([one])[1][0].trim_db for one in band] == [a.trim_db for a in plain]


def test_a_strip_for_a_kind_is_for_all_its_parts_and_a_name_goes_before_it() -> None:
    stems = [stem("guitar", 1, name="lead"), stem("guitar", 2, name="rhythm"), stem("bass", 3)]
    _, applied = blend(stems, {"guitar": Strip(gain_db=-6), "lead": Strip(gain_db=2)})
    assert [a.gain_db for a in applied] == [2, -6, 0]


def test_unknown_names_list_the_parts(band: list[Stem]) -> None:
    with pytest.raises(BadRequest, match="no part 'flute' to mix: there are piano, guitar, bass, drums"):
        mix(band, {"flute": Strip()})


def test_silence_stays_silence(band: list[Stem]) -> None:
    quiet = Stem("piano", "piano", Audio(np.zeros((2, RATE), dtype=np.float32), RATE))
    for result in (mix([quiet]), mix(band, {one.kind: Strip(mute=True) for one in band})):
        assert not result.audio.samples.any()
        assert (result.integrated_lufs, result.true_peak_dbtp) == (-math.inf, -math.inf)
        assert result.master_gain_db == 0
    assert balance_trim_db(quiet) == 0
    with_silence = summed([*band, Stem("x", "other", quiet.audio)])
    np.testing.assert_array_equal(with_silence, summed(band))


def test_what_is_nearly_silent_is_not_blown_up() -> None:
    faint = stem("piano", 1, level=5e-4)
    assert -70 < integrated_lufs(faint.audio) < BAND_LUFS - 41
    assert balance_trim_db(faint) == 40
    assert balance_trim_db(stem("unknown instrument", 1)) == pytest.approx(
        balance_trim_db(stem("bass", 1)) - INSTRUMENTS["bass"].level_lu
    )


def test_stems_of_different_lengths_and_channels_are_mixed() -> None:
    long, short = stem("piano", 1, 2.0), stem("bass", 2, 1.0, channels=1)
    total, _ = blend([long, short])
    assert total.samples.shape == (2, 2 * RATE)
    np.testing.assert_array_equal(total.samples[:, RATE:], summed([long])[:, RATE:])


def test_stems_that_do_not_fit_get_one_line() -> None:
    other_rate = Stem("bass", "bass", Audio(np.zeros((2, 9), dtype=np.float32), 48_000))
    surround = Stem("x", "other", Audio(np.zeros((5, 9), dtype=np.float32), RATE))
    for stems, says in (
        ([stem("piano", 1), other_rate], "44100 and 48000"),
        ([surround], "5 channels"),
        ([], "no stems"),
    ):
        with pytest.raises(BadRequest, match=says):
            mix(stems)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"gain_db": 24.1}, r"gain 24.1 dB is outside -60..\+24"),
        ({"gain_db": -61}, "gain -61"),
        ({"gain_db": math.nan}, "gain nan"),
        ({"pan": 1.01}, r"pan 1.01 is outside -1"),
        ({"pan": math.nan}, "pan nan"),
    ],
)
def test_strips_check_themselves(values: dict[str, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        Strip(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"target_lufs": 0.0}, "loudness target 0.0 LUFS is outside -70..-5"),
        ({"target_lufs": math.nan}, "target nan"),
        ({"ceiling_dbtp": 0.1}, "ceiling 0.1 dBTP is outside -20..0"),
    ],
)
def test_the_master_checks_its_values(band: list[Stem], values: dict[str, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        mix(band, **values)  # type: ignore[arg-type]


def check(result: Mix, target_lufs: float | None, ceiling_dbtp: float = -1.0) -> None:
    """What the mix says of itself is what the meters read, and it is what was asked for."""
    assert integrated_lufs(result.audio) == pytest.approx(result.integrated_lufs, abs=0.01)
    assert true_peak_dbtp(result.audio) == pytest.approx(result.true_peak_dbtp, abs=0.01)
    assert result.true_peak_dbtp <= ceiling_dbtp
    if target_lufs is not None:
        assert result.integrated_lufs == pytest.approx(target_lufs, abs=0.1)


@pytest.mark.parametrize("target", [-30.0, -23.0, -16.0, -14.0])
@pytest.mark.parametrize("ceiling", [-1.0, -3.0])
def test_loudness_and_ceiling_are_met(band: list[Stem], target: float, ceiling: float) -> None:
    check(mix(band, target_lufs=target, ceiling_dbtp=ceiling), target, ceiling)


@pytest.mark.parametrize("gain", [-60.0, 0.0, 24.0])
def test_they_are_met_whatever_the_gains(band: list[Stem], gain: float) -> None:
    check(mix(band, {"bass": Strip(gain_db=gain), "drums": Strip(pan=-1)}), -14.0)


def test_without_a_target_only_the_ceiling_is_kept(band: list[Stem]) -> None:
    low = mix(band, target_lufs=None)
    assert low.master_gain_db == 0
    loud = mix(band, {one.kind: Strip(gain_db=24) for one in band}, target_lufs=None)
    check(loud, None)
    assert loud.limited_db > 0


def test_a_quiet_mix_is_only_turned_up(band: list[Stem]) -> None:
    result = mix(band, target_lufs=-30)
    assert result.limited_db == 0
    expected = summed(band) * np.float32(10 ** (result.master_gain_db / 20))
    np.testing.assert_array_equal(result.audio.samples, expected)


def test_a_target_out_of_reach_keeps_the_ceiling_and_says_so() -> None:
    frames = np.zeros((2, 4 * RATE), dtype=np.float32)
    frames[:, :: RATE // 4] = 0.5  # clicks: loud peaks, little loudness
    result = mix([Stem("clicks", "other", Audio(frames, RATE))])
    assert result.integrated_lufs < -15
    assert result.limited_db == pytest.approx(12, abs=0.2)
    check(result, None)


def test_the_same_stems_give_the_same_bytes(band: list[Stem]) -> None:
    assert mix(band).audio.samples.tobytes() == mix(band).audio.samples.tobytes()


def test_master_works_alone_on_short_and_mono_sound() -> None:
    short = Audio(np.full((1, 30), 0.9, dtype=np.float32), RATE)
    result = master(short)
    assert result.audio.samples.shape == (1, 30)
    assert np.isfinite(result.audio.samples).all()
    assert result.true_peak_dbtp <= -1


@given(
    spikes=st.lists(st.tuples(st.integers(0, 19_999), st.floats(-8, 8, width=32)), min_size=1, max_size=12),
    gain_db=st.floats(-10, 12),
)
@settings(max_examples=40, deadline=None)
def test_the_limiter_brings_every_sample_under_the_ceiling_and_leaves_what_is_far_away(
    spikes: list[tuple[int, float]], gain_db: float
) -> None:
    samples = 0.01 * np.sin(np.arange(20_000) / 20, dtype=np.float64)
    for frame, value in spikes:
        samples[frame] += value
    sound = np.stack([samples, 0.5 * samples]).astype(np.float32)
    limited, taken_db = limit(sound, true_peak_envelope(sound), RATE, gain_db, -1.0)
    ceiling = 10 ** (-1 / 20)
    assert np.abs(limited).max() <= ceiling + 1e-6
    gained = sound * np.float32(10 ** (gain_db / 20))
    assert (np.abs(limited) <= np.abs(gained) + 1e-6).all()
    # both channels move together, so that the picture stays
    np.testing.assert_allclose(limited[1], 0.5 * limited[0], atol=1e-6)
    if taken_db == 0:
        np.testing.assert_array_equal(limited, gained)
    first = min(frame for frame, _ in spikes)
    untouched = max(first - 1_000, 0)
    np.testing.assert_array_equal(limited[:, :untouched], gained[:, :untouched])


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("target", [-23.0, -14.0])
def test_another_meter_reads_the_same(band: list[Stem], tmp_path: Path, target: float) -> None:
    path = write_wav(mix(band, target_lufs=target).audio, tmp_path / "mix.wav")
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    summary = report[report.rindex("Summary:") :]
    loudness = float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary)[1])  # type: ignore[index]
    peak = float(re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary)[1])  # type: ignore[index]
    assert loudness == pytest.approx(target, abs=0.1 + 1e-9)  # it prints one digit
    assert peak <= -1.0
