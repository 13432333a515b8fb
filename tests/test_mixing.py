"""The mixer, by its algebra. The master has tests of its own."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import midigen.desk
from midigen.audio import Audio, Signal, read_audio, write_audio
from midigen.effects import Effect
from midigen.effects.dynamics import Compressor
from midigen.effects.equaliser import Equaliser
from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.loudness import integrated_lufs, measure
from midigen.mixing import BAND_LUFS, Mix, balance_trim_db, blend, export_stems, measure_stem, mix
from midigen.renderers import Stem
from midigen.session import Bus, Channel, ChannelEqualiser, DelayReturn, DuckedBy, Master, ReverbReturn, Sends, Session
from midigen.session.presets import PRESETS, preset

RATE = 44_100
DRY = Session()
# Everything that has no dynamics, on all parts.
LINEAR = Session(
    channels={
        "piano": Channel(2, 0.3, 1.2, equaliser=ChannelEqualiser(60, low_db=2, mid_db=-3), sends=Sends(-9, -12)),
        "guitar": Channel(-1, -0.4, 0.5, bus="band", equaliser=ChannelEqualiser(high_db=3), sends=Sends(-12)),
        "bass": Channel(bus="band", sends=Sends(delay_db=-15)),
        "drums": Channel(1, 0.0, 1.5, equaliser=ChannelEqualiser(30)),
    },
    buses={"band": Bus(-1.5, Equaliser(low_db=1))},
    reverb=ReverbReturn(decay_seconds=0.3, gain_db=-2),
    delay=DelayReturn(seconds=0.13, feedback=0.2),
)


def stem(kind: str, seed: int, seconds: float = 2.0, level: float = 0.1, channels: int = 2, name: str = "") -> Stem:
    """Struck notes of filtered noise, different for each seed."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    wave = np.cumsum(rng.standard_normal((channels, frames)), axis=1)
    wave = np.diff(wave, axis=1, prepend=0) + 0.5 * rng.standard_normal((1, frames))
    strike = np.exp(-(np.arange(frames) % (RATE // (2 + seed % 3))) / 3_000)
    return Stem(name or kind, kind, Audio((level * wave * strike).astype(np.float32), RATE))


def sine(kind: str, hertz: float, level: float, channels: int = 2, rate: int = RATE) -> Stem:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(2 * rate) / rate)
    return Stem(kind, kind, Audio(np.tile(wave.astype(np.float32), (channels, 1)), rate))


@pytest.fixture(scope="module")
def band() -> list[Stem]:
    levels = {"piano": 0.02, "guitar": 0.3, "bass": 0.004, "drums": 0.9}
    return [stem(kind, number, level=level) for number, (kind, level) in enumerate(levels.items())]


def read(signal: object) -> np.ndarray:
    return np.concatenate(list(signal.blocks()), axis=1)  # type: ignore[attr-defined]


def summed(stems: list[Stem], session: Session = DRY) -> np.ndarray:
    return read(blend(stems, session)[0])


def lufs_of(sound: Signal) -> float:
    return measure_stem(sound).lufs


def only(**channels: Channel) -> Session:
    return Session(channels=channels)


# Balance


def test_equal_strips_are_a_balanced_band_whatever_the_levels_were(band: list[Stem]) -> None:
    for one in band:
        alone, _, _ = blend(band, only(**{one.kind: Channel(solo=True, pan=0.0)}))
        assert integrated_lufs(alone) == pytest.approx(BAND_LUFS + INSTRUMENTS[one.kind].level_lu, abs=0.01)


def test_trims_do_not_hang_on_gains_mutes_solos_or_other_stems(band: list[Stem]) -> None:
    _, plain, _ = blend(band, DRY)
    channels = {"piano": Channel(9, mute=True), "bass": Channel(-20, solo=True), "drums": Channel(pan=1.0)}
    _, changed, _ = blend(band, Session(channels=channels))
    assert [a.trim_db for a in changed] == [a.trim_db for a in plain]
    assert [blend([one], DRY)[1][0].trim_db for one in band] == [a.trim_db for a in plain]


def test_what_is_nearly_silent_is_not_blown_up() -> None:
    faint = stem("piano", 1, level=5e-4)
    lufs = lufs_of(faint.audio)
    assert -70 < lufs < BAND_LUFS - 41
    assert balance_trim_db(lufs, "piano") == 40
    assert balance_trim_db(-30, "hurdy-gurdy") == balance_trim_db(-30, "bass") - INSTRUMENTS["bass"].level_lu
    assert balance_trim_db(-math.inf, "piano") == 0


def test_loudness_is_measured_anew_where_a_file_has_changed(tmp_path: Path) -> None:
    from midigen.audio import open_audio

    path = tmp_path / "piano.wav"
    quiet, loud = stem("piano", 1), stem("piano", 1, level=0.2, seconds=2.1)
    for one in (quiet, loud):
        write_audio(one.audio, path)
        assert measure_stem(open_audio(path)).lufs == pytest.approx(integrated_lufs(one.audio), abs=0.01)
        assert measure_stem(open_audio(path)).lufs == measure_stem(open_audio(path)).lufs


# Gain, pan, width


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("pan", [-1.0, -0.5, 0.0, 0.3, 1.0])
def test_pan_moves_a_centred_stem_without_changing_its_loudness(channels: int, pan: float) -> None:
    one = sine("bass", 440, 0.1, channels)
    moved, _, _ = blend([one], only(bass=Channel(pan=pan)))
    centred, _, _ = blend([one], only(bass=Channel(pan=0.0)))
    assert integrated_lufs(moved) == pytest.approx(integrated_lufs(centred), abs=0.01)
    left, right = np.sqrt((read(moved) ** 2).sum(axis=1))
    assert math.atan2(right, left) == pytest.approx((pan + 1) * math.pi / 4, abs=1e-5)


def test_without_a_pan_an_instrument_takes_its_seat(band: list[Stem]) -> None:
    _, applied, session = blend(band, DRY)
    assert [a.pan for a in applied] == [INSTRUMENTS[one.kind].pan for one in band]
    told = only(**{one.kind: Channel(pan=INSTRUMENTS[one.kind].pan) for one in band})
    np.testing.assert_array_equal(summed(band), summed(band, told))
    assert session.seated([(one.name, one.kind) for one in band]) == session


def test_width_of_nothing_is_mono(band: list[Stem]) -> None:
    left, right = summed(band[:1], only(piano=Channel(pan=0.0, width=0.0)))
    np.testing.assert_array_equal(left, right)


@given(gain=st.floats(-30, 24, allow_nan=False))
@settings(max_examples=10, deadline=None)
def test_gain_up_and_down_is_identity(gain: float) -> None:
    one = sine("bass", 220, 0.1)
    up = summed([one], only(bass=Channel(gain_db=gain))).astype(np.float64)
    np.testing.assert_allclose(up * 10 ** (-gain / 20), summed([one]), atol=1e-6)


@pytest.mark.parametrize("gain_db", [-60, -6, 0, 3, 24])
def test_a_gain_is_that_many_decibels_whatever_stands_before_it(band: list[Stem], gain_db: float) -> None:
    """It comes behind the dynamics: turning a part up changes nothing but its level, and what it sends."""
    session = preset("pop")
    louder = replace(
        session, channels={**session.channels, "piano": replace(session.channels["piano"], gain_db=gain_db)}
    )
    np.testing.assert_allclose(
        summed(band[:1], louder), 10 ** (gain_db / 20) * summed(band[:1], session), rtol=1e-5, atol=1e-7
    )


# Sums


def test_the_order_of_stems_does_not_matter_to_the_last_bit(band: list[Stem]) -> None:
    for session in (DRY, preset("rock")):
        expected = summed(band, session)
        for order in list(permutations(band))[1::7]:
            np.testing.assert_array_equal(summed(list(order), session), expected)


def test_without_dynamics_the_sum_is_linear(band: list[Stem]) -> None:
    whole = summed(band, LINEAR)
    singly = np.zeros(whole.shape, dtype=np.float64)
    for one in band:
        alone = summed([one], LINEAR)
        singly[:, : alone.shape[1]] += alone
    np.testing.assert_allclose(whole, singly, atol=2e-6)


@pytest.mark.parametrize("soloed", [["piano"], ["bass", "drums"]])
@pytest.mark.parametrize("name", ["dry", "rock"])
def test_solo_is_the_others_muted(band: list[Stem], soloed: list[str], name: str) -> None:
    parts = [(one.name, one.kind) for one in band]
    session = preset(name).seated(parts)
    solo = session.changed(parts, solo=soloed)
    muted = session.changed(parts, mute=[one.name for one in band if one.name not in soloed])
    np.testing.assert_array_equal(summed(band, solo), summed(band, muted))
    np.testing.assert_array_equal(summed(band, solo), summed([one for one in band if one.name in soloed], session))
    _, applied, _ = blend(band, solo)
    assert [a.name for a in applied if a.heard] == soloed


def test_where_nothing_is_heard_there_is_nothing_to_mix(band: list[Stem]) -> None:
    with pytest.raises(BadRequest, match="every part is muted; take mute off one of piano, guitar, bass, drums"):
        mix(band, only(**{one.kind: Channel(mute=True) for one in band}))
    with pytest.raises(BadRequest, match="what is soloed is muted too"):
        mix(band, only(piano=Channel(mute=True, solo=True)))


@pytest.mark.parametrize("name", PRESETS)
def test_silence_stays_silence(name: str, band: list[Stem]) -> None:
    quiet = Stem("strings", "other", Audio(np.zeros((2, RATE), dtype=np.float32), RATE))
    result = mix([quiet, replace(quiet, name="piano", kind="piano")], preset(name))
    assert not result.audio.samples.any()
    assert (result.integrated_lufs, result.true_peak_dbtp) == (-math.inf, -math.inf)
    assert result.master_gain_db == 0
    np.testing.assert_array_equal(summed([*band, quiet], preset(name)), summed(band, preset(name)))


def test_a_channel_for_an_instrument_is_for_all_its_parts_and_a_name_goes_before_it() -> None:
    stems = [stem("guitar", 1, name="lead"), stem("guitar", 2, name="rhythm"), stem("bass", 3)]
    _, applied, _ = blend(stems, only(guitar=Channel(-6), lead=Channel(2)))
    assert [a.gain_db for a in applied] == [2, -6, 0]


# Dynamics, buses, sends


def test_a_part_gives_way_while_another_sounds(band: list[Stem]) -> None:
    steady = sine("bass", 100, 0.1)
    hit = Stem("drums", "drums", Audio(np.zeros((2, 2 * RATE), dtype=np.float32), RATE))
    hits = hit.audio.samples.copy()  # type: ignore[attr-defined]
    hits[:, RATE // 2 : RATE] = 0.5 * np.sin(np.arange(RATE // 2) / 5)
    ducked = only(bass=Channel(ducking=DuckedBy(by="drums", depth_db=6, threshold_db=-40)))
    stems = [steady, Stem("drums", "drums", Audio(hits, RATE))]

    def level(tracks: dict[str, np.ndarray], start: float, stop: float) -> float:
        return float(np.abs(tracks["bass"][:, round(start * RATE) : round(stop * RATE)]).max())

    def bass(session: Session) -> dict[str, np.ndarray]:
        whole: dict[str, list[np.ndarray]] = {}
        for tracks in blend(stems, session)[0].tracks():
            for name, block in tracks.items():
                whole.setdefault(name, []).append(block)
        return {name: np.concatenate(blocks, axis=1) for name, blocks in whole.items()}

    plain, given_way = bass(DRY), bass(ducked)
    for start, stop, expected_db in ((0.1, 0.45, 0.0), (0.7, 0.95, -6.0)):
        change_db = 20 * math.log10(level(given_way, start, stop) / level(plain, start, stop))
        assert change_db == pytest.approx(expected_db, abs=0.1)
    # The other part's fader changes nothing in that; where it is not heard, there is nothing to give way to.
    louder = replace(ducked, channels={**ducked.channels, "drums": Channel(gain_db=12)})
    np.testing.assert_array_equal(bass(louder)["bass"], given_way["bass"])
    unheard = replace(ducked, channels={**ducked.channels, "drums": Channel(mute=True)})
    np.testing.assert_array_equal(bass(unheard)["bass"], plain["bass"])


@pytest.mark.parametrize("name", PRESETS)
def test_parts_and_returns_add_up_to_the_mix_before_its_master(name: str, band: list[Stem]) -> None:
    desk, _, _ = blend(band, preset(name))
    total = np.concatenate([sum(tracks.values()) for tracks in desk.tracks()], axis=1)  # type: ignore[arg-type]
    assert total.shape == (2, desk.frames)
    np.testing.assert_allclose(total, read(desk), atol=1e-6)


def test_exported_stems_add_up_to_the_mix_before_its_master(band: list[Stem], tmp_path: Path) -> None:
    session = replace(preset("rock"), channels={**preset("rock").channels, "drums": Channel(24, sends=Sends(-12))})
    parts = [*band[:3], replace(band[3], name="reverb")]  # a part may be called like a return
    paths = export_stems(parts, session, tmp_path / "stems")
    assert sorted(path.name for path in paths) == [
        "bass.wav", "guitar.wav", "piano.wav", "reverb return.wav", "reverb.wav",
    ]  # fmt: skip
    desk, _, _ = blend(parts, session)
    sounds = [read_audio(path) for path in paths]
    assert {(sound.frames, sound.rate, sound.channels) for sound in sounds} == {(desk.frames, RATE, 2)}
    assert max(np.abs(sound.samples).max() for sound in sounds) > 1  # louder than full scale, and kept
    np.testing.assert_allclose(sum(sound.samples for sound in sounds), read(desk), atol=1e-6)


def test_stems_are_exported_as_they_came_too(band: list[Stem], tmp_path: Path) -> None:
    paths = export_stems([replace(band[0], name="pia/no")], None, tmp_path, processed=False, suffix=".flac", bits=24)
    assert [path.name for path in paths] == ["pia-no.flac"]
    np.testing.assert_allclose(read_audio(paths[0]).samples, read(band[0].audio), atol=1e-7)


def test_reverb_is_added_in_its_place_and_rings_to_its_end() -> None:
    clicks = np.zeros((2, RATE), dtype=np.float32)
    clicks[0, 3_000] = clicks[1, RATE - 1] = 1.0
    one = Stem("piano", "piano", Audio(clicks, RATE))
    session = Session(channels={"piano": Channel(pan=0.0, sends=Sends(-6))}, reverb=ReverbReturn(decay_seconds=0.2))
    trim = np.float32(10 ** (balance_trim_db(lufs_of(one.audio), "piano") / 20))
    response = session.reverb.response(RATE) * trim * 10 ** (-6 / 20)
    mixed = summed([one], session)
    expected = np.zeros((2, RATE + response.shape[-1] - 1))
    expected[:, :RATE] = clicks * trim
    for side, frame in ((0, 3_000), (1, RATE - 1)):
        expected[:, frame : frame + response.shape[-1]] += response[side]
    assert mixed.shape == expected.shape
    np.testing.assert_allclose(mixed, expected, atol=float(1e-5 * trim))


def test_a_mix_ends_when_nothing_is_heard_any_more_and_not_before_its_stems() -> None:
    hit = np.zeros((2, RATE), dtype=np.float32)
    hit[:, :100] = 0.5
    stems = [Stem("piano", "piano", Audio(hit, RATE))]
    session = Session(channels={"piano": Channel(sends=Sends(delay_db=-30))}, delay=DelayReturn(seconds=0.4))
    mixed, desk = mix(stems, session), blend(stems, session)[0]
    assert 1.2 * RATE < mixed.signal.frames < desk.frames - RATE
    gain = 10 ** (mixed.master_gain_db / 20)
    assert np.abs(read(desk)[:, mixed.signal.frames :]).max() <= 1e-5
    assert np.abs(mixed.audio.samples[:, -1]).max() > 0.99e-5 * gain
    assert mix(stems, DRY).signal.frames == RATE


@dataclass(frozen=True)
class _Late(ChannelEqualiser):
    """An equaliser that does nothing, but late."""

    def processor(self, rate: int) -> Effect:  # type: ignore[override]
        return _Later()


class _Later:
    latency_frames, tail_frames = 1_001, 0

    def __init__(self) -> None:
        self.held = np.zeros((2, 1_001), dtype=np.float32)

    def process(self, block: np.ndarray) -> np.ndarray:
        both = np.concatenate([self.held, block], axis=1)
        self.held = both[:, block.shape[1] :]
        return both[:, : block.shape[1]]


def test_whatever_is_late_is_waited_for(band: list[Stem]) -> None:
    late = replace(
        LINEAR, channels={**LINEAR.channels, "guitar": replace(LINEAR.channels["guitar"], equaliser=_Late())}
    )
    prompt = replace(
        LINEAR, channels={**LINEAR.channels, "guitar": replace(LINEAR.channels["guitar"], equaliser=ChannelEqualiser())}
    )
    np.testing.assert_allclose(summed(band, late), summed(band, prompt), atol=1e-6)


def test_an_automatic_equaliser_sets_the_bands_that_are_off(band: list[Stem]) -> None:
    time = np.arange(3 * RATE) / RATE
    wave = np.sin(2 * np.pi * 110 * time) + 8 * np.sin(2 * np.pi * 270 * time) + 0.3 * np.sin(2 * np.pi * 1_000 * time)
    muddy = Stem("guitar", "guitar", Audio(np.tile(0.05 * wave, (2, 1)).astype(np.float32), RATE))
    auto = only(guitar=Channel(equaliser=ChannelEqualiser(high_db=1.0, auto=True)))
    _, (applied,), session = blend([muddy], auto)
    assert applied.channel.equaliser.mid_db == -3.0  # an octave that stands out
    assert applied.channel.equaliser.high_pass_hz > 20
    assert applied.channel.equaliser.high_db == 1.0  # the user's own
    assert session.channels["guitar"].equaliser == auto.channels["guitar"].equaliser  # so it is written down
    told = only(guitar=applied.channel)
    given_back = 10 ** ((applied.trim_db - balance_trim_db(applied.lufs, "guitar")) / 20)
    assert given_back > 1.2  # what it takes from the loudness
    np.testing.assert_allclose(summed([muddy], auto), given_back * summed([muddy], told), atol=1e-6)
    quiet = Stem("guitar", "guitar", Audio(np.zeros((2, RATE), dtype=np.float32), RATE))
    assert not summed([quiet], auto).any()


@pytest.mark.parametrize("kind", ["piano", "guitar", "bass", "drums"])
def test_an_automatic_equaliser_leaves_a_part_as_loud_as_the_balance_has_it(kind: str) -> None:
    rng = np.random.default_rng(3)
    noise = np.cumsum(rng.standard_normal((2, 4 * RATE)), axis=1)
    rumbling = (noise - np.linspace(noise[:, 0], noise[:, -1], noise.shape[1], axis=1)) / 2_000
    muddy = np.sin(2 * np.pi * 270 * np.arange(4 * RATE) / RATE) * 0.2
    dull = Stem(kind, kind, Audio((rumbling + muddy).astype(np.float32), RATE))
    desk, (applied,), _ = blend([dull], only(**{kind: Channel(equaliser=ChannelEqualiser(auto=True))}))
    assert applied.channel.equaliser != ChannelEqualiser(auto=True)  # it had something to do
    plain = balance_trim_db(applied.lufs, kind)
    assert abs(applied.trim_db - plain) > 0.2  # which takes from the loudness, or adds to it
    assert integrated_lufs(desk) == pytest.approx(BAND_LUFS + INSTRUMENTS[kind].level_lu, abs=0.15)


# Lengths, rates, blocks


def test_stems_of_different_lengths_and_channels_are_mixed() -> None:
    long, short = stem("piano", 1, 2.0), stem("bass", 2, 1.0, channels=1)
    total = summed([long, short])
    assert total.shape == (2, 2 * RATE)
    np.testing.assert_array_equal(total[:, RATE:], summed([long])[:, RATE:])


def test_stems_of_different_rates_are_brought_to_the_highest_or_the_one_asked_for() -> None:
    low, high = sine("bass", 440, 0.1, rate=22_050), sine("piano", 440, 0.1, rate=48_000)
    for rate in (None, 32_000):
        desk, _, _ = blend([low, high], only(piano=Channel(mute=True), bass=Channel(pan=0.0)), rate=rate)
        assert (desk.rate, desk.frames) == (rate or 48_000, 2 * (rate or 48_000))
        sound = read(desk)[0, desk.rate // 2 : desk.rate]
        time = np.arange(desk.rate // 2, desk.rate) / desk.rate
        trim = 10 ** (balance_trim_db(lufs_of(low.audio), "bass") / 20)
        np.testing.assert_allclose(sound, 0.1 * trim * np.sin(2 * np.pi * 440 * time), atol=1e-4)
    assert mix([low], DRY).signal.rate == 22_050


def test_stems_that_do_not_fit_get_one_line() -> None:
    surround = Stem("x", "other", Audio(np.zeros((5, 9), dtype=np.float32), RATE))
    one = stem("piano", 1, 0.1)
    for stems, says in (
        ([surround], "stem 'x' has 5 channels: give mono or stereo"),
        ([], "no stems"),
        ([one, one], "stem 'piano' is given twice"),
    ):
        with pytest.raises(BadRequest, match=says):
            mix(stems)
    for wrong, says in (({"threads": 0}, "threads 0"), ({"rate": 7}, "sample rate 7 is outside 8000")):
        with pytest.raises(BadRequest, match=says):
            mix([one], **wrong)  # type: ignore[arg-type]


def test_names_that_stand_for_nothing_are_refused(band: list[Stem]) -> None:
    with pytest.raises(BadRequest, match="no part 'flute': there are piano, guitar, bass, drums"):
        mix(band, only(flute=Channel()))
    with pytest.raises(BadRequest, match="bass is ducked by 'kick'"):
        mix(band, only(bass=Channel(ducking=DuckedBy(by="kick"))))


def test_the_samples_do_not_depend_on_the_blocks_or_the_threads(
    band: list[Stem], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = preset("rock").changed([], target_lufs="off")
    session = replace(session, channels={**session.channels, "piano": replace(LINEAR.channels["piano"], bus="rhythm")})
    expected = summed(band, session)
    for size in (1_000, 77_777):
        desk, _, _ = blend(band, session, threads=3)
        np.testing.assert_array_equal(np.concatenate(list(desk.blocks(size)), axis=1), expected)
        monkeypatch.setattr(midigen.desk, "BLOCK_FRAMES", size)
        np.testing.assert_array_equal(summed(band, session), expected)
    assert [len(block[0]) for block in blend(band, DRY)[0].blocks(30_000)] == [30_000, 30_000, 28_200]


def test_a_mix_may_be_read_again(band: list[Stem]) -> None:
    result = mix(band)
    np.testing.assert_array_equal(read(result.signal), read(result.signal))
    np.testing.assert_array_equal(result.audio.samples, read(result.signal))


@dataclass(frozen=True, eq=False)
class _Noise:
    """Minutes of noise that are never in memory."""

    seed: int
    rate: int = 8_000
    channels: int = 2
    frames: int = 8_000 * 60 * 5

    def blocks(self, size: int = 65_536) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        for start in range(0, self.frames, size):
            yield 0.1 * rng.standard_normal((2, min(size, self.frames - start)), dtype=np.float32)


def test_a_long_mix_never_holds_a_stem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midigen.signals.MOST_BYTES_IN_MEMORY", 0)
    stems = [Stem(kind, kind, _Noise(seed)) for seed, kind in enumerate(["piano", "bass"])]
    mix([stem("piano", 1, 0.5)], DRY)  # so that libraries that are loaded do not count
    tracemalloc.start()
    try:
        result = mix(stems, DRY)
        assert sum(block.shape[1] for block in result.signal.blocks()) == _Noise.frames
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.6 * _Noise.frames * 2 * 4


# The whole way


def check(result: Mix, target_lufs: float | None, ceiling_dbtp: float = -1.0) -> None:
    """What the mix says of itself is what the meters read, and it is what was asked for."""
    read_off = measure(result.signal)
    assert read_off.integrated_lufs == pytest.approx(result.integrated_lufs, abs=0.01)
    assert read_off.true_peak_dbtp == pytest.approx(result.true_peak_dbtp, abs=0.01)
    assert result.true_peak_dbtp <= ceiling_dbtp
    if target_lufs is not None:
        assert result.integrated_lufs == pytest.approx(target_lufs, abs=0.1)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_meet_a_loudness_and_their_ceiling(name: str, band: list[Stem]) -> None:
    check(mix(band, preset(name).changed([], target_lufs=-18)), -18)


@pytest.mark.parametrize(("target", "ceiling"), [("broadcast", -3.0), (-30.0, -1.0), ("off", -1.0)])
def test_loudness_and_ceiling_are_what_the_session_says(target: float | str, ceiling: float, band: list[Stem]) -> None:
    master = Master(target_lufs=target, ceiling_dbtp=ceiling)
    check(mix(band, Session(master=master)), master.lufs, ceiling)


def test_the_master_has_an_equaliser_and_a_compressor(band: list[Stem]) -> None:
    def pressed(**settings: object) -> Mix:
        return mix(band, Session(master=Master(target_lufs="off", ceiling_dbtp=0, **settings)))  # type: ignore[arg-type]

    plain = pressed()
    assert pressed(compressor=Compressor(-30, 4)).integrated_lufs < plain.integrated_lufs - 3
    filtered = pressed(equaliser=Equaliser(high_pass_hz=2_000)).audio.samples[:, : 2 * RATE]
    spectra = [np.abs(np.fft.rfft(one[0, : 2 * RATE])) for one in (filtered, plain.audio.samples)]
    assert spectra[0][:1_000].sum() < 0.1 * spectra[1][:1_000].sum()  # under 500 Hz


def test_a_target_out_of_reach_keeps_the_ceiling_and_says_so() -> None:
    frames = np.zeros((2, 4 * RATE), dtype=np.float32)
    frames[:, :: RATE // 4] = 0.5  # clicks: loud peaks, little loudness
    result = mix([Stem("clicks", "other", Audio(frames, RATE))], DRY)
    assert result.integrated_lufs < -15
    assert result.limited_db == pytest.approx(12, abs=0.2)
    check(result, None)


def test_the_same_stems_give_the_same_bytes(band: list[Stem]) -> None:
    assert mix(band).audio.samples.tobytes() == mix(band).audio.samples.tobytes()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_another_meter_reads_the_same(band: list[Stem], tmp_path: Path) -> None:
    path = write_audio(mix(band).signal, tmp_path / "mix.wav")
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    summary = report[report.rindex("Summary:") :]
    loudness = float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary)[1])  # type: ignore[index]
    peak = float(re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary)[1])  # type: ignore[index]
    assert loudness == pytest.approx(-14, abs=0.1 + 1e-9)  # it prints one digit
    assert peak <= -1.0
