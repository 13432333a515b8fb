"""What all effects keep, and signals through several of them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midigen.audio import Audio
from midigen.effects import Processed, Setting
from midigen.effects.delay import Delay
from midigen.effects.dynamics import Compressor, Ducking
from midigen.effects.equaliser import Equaliser
from midigen.effects.reverb import REVERBS, Reverb
from midigen.effects.stereo import Stereo
from midigen.errors import BadRequest

RATE = 8_000
FRAMES = 20_000  # past the first place where states are looked at, and over several partitions
SETTINGS: dict[str, Setting] = {
    "stereo": Stereo(pan=0.3, width=1.5, gain_db=-3),
    "equaliser": Equaliser(60, 24, low_db=3, mid_db=-6, mid_q=3, high_db=2, high_hz=3_000),
    "compressor": Compressor(threshold_db=-30, ratio=4, attack_ms=3, release_ms=40, makeup_db=2),
    "ducking": Ducking(depth_db=9, threshold_db=-20, attack_ms=5, release_ms=30),
    "delay": Delay(seconds=0.113, feedback=0.6),
    "ping-pong": Delay(seconds=0.05, feedback=0.5, damping_hz=0, low_cut_hz=0, ping_pong=True),
    "reverb": Reverb(decay_seconds=0.4, pre_delay_ms=3, size_m=6),
    "reverb with a late start": Reverb(decay_seconds=0.3, pre_delay_ms=500, size_m=0),
}
IDLE: dict[str, Setting] = {
    "stereo": Stereo(),
    "equaliser": Equaliser(low_hz=300, mid_hz=500, mid_q=5, high_hz=2_000),
    "compressor": Compressor(threshold_db=-60, ratio=1),
    "ducking": Ducking(depth_db=0),
}
every = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())


def music(frames: int = FRAMES, rate: int = RATE) -> np.ndarray:
    """Bursts of decaying noise with silence between them, different on both sides."""
    dice = np.random.default_rng(3)
    samples = dice.standard_normal((2, frames)) * np.exp(-np.arange(frames) % (rate // 2) / (0.05 * rate)) * 0.3
    samples[:, frames // 3 : frames // 2] = 0
    return samples.astype(np.float32)


def through(setting: Setting, samples: np.ndarray, cuts: list[int] | None = None, rate: int = RATE) -> np.ndarray:
    """``samples`` through a new processor, cut at the frames ``cuts``."""
    effect = setting.processor(rate)
    return np.concatenate([effect.process(piece) for piece in np.split(samples, sorted(cuts or []), axis=1)], axis=1)


@every
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=12))
def test_the_blocks_do_not_matter_to_the_last_bit(setting: Setting, cuts: list[int]) -> None:
    samples = music()
    assert through(setting, samples, cuts).tobytes() == through(setting, samples).tobytes()


@every
@pytest.mark.parametrize("size", [1, 7, 32, 1_000])
def test_small_blocks_are_as_good_as_large_ones(setting: Setting, size: int) -> None:
    samples = music(3_000)
    whole = through(setting, samples)
    assert np.array_equal(through(setting, samples, list(range(size, 3_000, size))), whole)
    assert whole.dtype == np.float32 and whole.shape == samples.shape and np.isfinite(whole).all()


@every
def test_a_block_is_never_written_into(setting: Setting) -> None:
    samples = music(2_000)
    samples.flags.writeable = False
    before = samples.copy()
    effect = setting.processor(RATE)
    effect.process(samples)
    given_back = effect.process(samples)
    after = given_back.copy()
    effect.process(samples)
    assert np.array_equal(samples, before)
    assert np.array_equal(given_back, after), "what was given back was written into later"


@every
def test_silence_stays_silence(setting: Setting) -> None:
    heard = through(setting, np.zeros((2, FRAMES), dtype=np.float32), [1, 500])
    assert not heard.any()


@every
def test_an_empty_block_changes_nothing(setting: Setting) -> None:
    effect, samples = setting.processor(RATE), music(2_000)
    empty = np.zeros((2, 0), dtype=np.float32)
    assert effect.process(empty).shape == (2, 0)
    pieces = [effect.process(samples[:, :999]), effect.process(empty), effect.process(samples[:, 999:])]
    assert np.array_equal(np.concatenate(pieces, axis=1), through(setting, samples))


@every
def test_it_rings_no_longer_than_it_says_and_then_is_silent_without_denormals(setting: Setting) -> None:
    loud, effect = music(4_000), setting.processor(RATE)
    effect.process(loud)
    ringing = effect.process(np.zeros((2, effect.latency_frames + effect.tail_frames), dtype=np.float32))
    after = effect.process(np.zeros((2, 20 * RATE), dtype=np.float32))
    if effect.tail_frames:
        assert np.abs(after).max() < 1e-3 * np.abs(ringing).max()
    assert not after[:, -RATE:].any(), "it never becomes silent"
    faint = np.abs(np.concatenate([ringing, after], axis=1))
    assert not ((faint > 0) & (faint < np.finfo(np.float32).tiny)).any()


@every
@pytest.mark.parametrize("level", [1e-30, 1e-10, 1e6])
def test_very_quiet_and_very_loud_sounds_give_numbers(setting: Setting, level: float) -> None:
    assert np.isfinite(through(setting, music(6_000) * np.float32(level))).all()


@every
@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000, 192_000])
def test_every_rate_is_served(setting: Setting, rate: int) -> None:
    heard = through(setting, music(5_000, rate), rate=rate)
    assert np.isfinite(heard).all()


@pytest.mark.parametrize("setting", IDLE.values(), ids=IDLE.keys())
def test_what_does_nothing_gives_the_very_block_back(setting: Setting) -> None:
    samples = music(1_000)
    assert setting.processor(RATE).process(samples) is samples


@pytest.mark.parametrize("setting", [*SETTINGS.values(), *REVERBS.values()], ids=[*SETTINGS.keys(), *REVERBS.keys()])
def test_settings_are_frozen_and_refuse_what_is_not_a_number(setting: Setting) -> None:
    kind = type(setting)
    for field in fields(setting):  # type: ignore[arg-type]  # every setting is a dataclass
        with pytest.raises(FrozenInstanceError):
            setattr(setting, field.name, 1)
        for value in (float("nan"), float("inf"), "loud", None, 1e9, -1e9):
            with pytest.raises(BadRequest) as raised:
                kind(**{field.name: value})
            assert "\n" not in str(raised.value) and repr(value) in str(raised.value) and ":" in str(raised.value)
    assert kind(**{field.name: getattr(setting, field.name) for field in fields(setting)}) == setting  # type: ignore[arg-type]


CHAIN = (Equaliser(mid_db=4), Compressor(-30, 3), Reverb(decay_seconds=0.3), Stereo(pan=-0.5))


@settings(max_examples=8)
@given(size=st.integers(1_000, 30_000))
def test_a_processed_signal_reads_the_same_in_any_blocks_and_again(size: int) -> None:
    signal = Processed(Audio(music(), RATE), CHAIN)
    whole = np.concatenate(list(signal.blocks()), axis=1)
    blocks = list(signal.blocks(size))
    assert max(block.shape[1] for block in blocks) <= size
    assert whole.shape == (2, signal.frames)
    assert np.array_equal(np.concatenate(blocks, axis=1), whole)


def test_a_processed_signal_is_in_its_place_whatever_the_latency() -> None:
    click = np.zeros((2, 3_000), dtype=np.float32)
    click[:, 1_234] = 1
    reverb = Reverb(decay_seconds=0.3, pre_delay_ms=0, size_m=0)
    signal = Processed(Audio(click, RATE), [reverb, Stereo(gain_db=6), reverb])
    assert signal.rate == RATE and signal.channels == 2
    heard = np.concatenate(list(signal.blocks()), axis=1)
    assert np.abs(heard[:, :1_234]).max() < 1e-6 < np.abs(heard[:, 1_234:1_240]).max()
    assert signal.frames == 3_000 + 2 * (reverb.response(RATE).shape[-1] - 1)


@pytest.mark.parametrize("frames", [0, 10, FRAMES, FRAMES + 5_000])
def test_a_processed_signal_may_be_cut_or_filled_to_a_length(frames: int) -> None:
    whole = np.concatenate(list(Processed(Audio(music(), RATE), CHAIN).blocks()), axis=1)
    cut = Processed(Audio(music(), RATE), CHAIN, frames=frames)
    read = [np.zeros((2, 0), dtype=np.float32), *cut.blocks(4_096)]
    heard = np.concatenate(read, axis=1)
    assert heard.shape == (2, cut.frames) == (2, frames)
    kept = min(frames, whole.shape[1])
    assert np.array_equal(heard[:, :kept], whole[:, :kept])
    assert np.abs(heard[:, whole.shape[1] :]).max(initial=0) < 1e-6  # the end of the tail, and then nothing


def test_a_mono_signal_goes_to_the_middle() -> None:
    mono = music()[:1]
    heard = np.concatenate(list(Processed(Audio(mono, RATE), [Stereo()]).blocks()), axis=1)
    assert np.array_equal(heard[0], heard[1])
    assert np.array_equal(heard, Stereo().processor(RATE).process(mono))


def test_what_cannot_be_processed_is_refused() -> None:
    with pytest.raises(BadRequest, match="3 channels"):
        Processed(Audio(np.zeros((3, 10), dtype=np.float32), RATE), CHAIN)
    with pytest.raises(BadRequest, match="-1 frames"):
        Processed(Audio(music(), RATE), CHAIN, frames=-1)
