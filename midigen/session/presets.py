"""Mixes with names: what a producer would set a desk to before listening. Gentle, and meant to be turned further.

Levels, equalisers and compressors are per instrument; parts of any other kind take the channel "other". Compressors
stand behind the balance, so their thresholds meet every part at the same level, whatever its SoundFont. What a
compressor takes from a part's loudness its make-up gain gives back: zero decibels stay a balanced band.

Drums alone have an automatic equaliser, for their top: a kit of open hats is up to 3 dB brighter than a kit usually is,
one of toms as much duller, and no fixed shelf suits both. For the other parts, measured on two songs with three
SoundFonts each, it brought them nearer to the usual spectrum of their instrument by half a decibel of 8 at most, and
reading a stem's spectrum takes as long as reading its loudness. There it is for stems that come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from midigen.effects.dynamics import Compressor
from midigen.effects.equaliser import Equaliser
from midigen.errors import BadRequest
from midigen.instruments import OTHER
from midigen.session import (
    Bus,
    Channel,
    ChannelEqualiser,
    DelayReturn,
    DuckedBy,
    Master,
    ReverbReturn,
    Sends,
    Session,
    nearest,
)

# What suits a band of piano, guitar, bass and drums in most styles: a small room, little compression, nothing that
# draws attention to itself.
DEFAULT_PRESET = "pop"


def preset(name: str) -> Session:
    """The session called ``name``, for any parts: see :meth:`midigen.session.Session.seated`.

    pop: close and clear, in a small room; rock: bass and drums held together, dense; jazz-trio: dynamic, in a
    natural room, for -16 LUFS; ballad: wide, in a hall, with echoes; dry: balance and seats, and nothing else.
    Raises :class:`BadRequest` that lists the known names.
    """
    if name not in PRESETS:
        raise BadRequest(f"unknown preset {name!r}{nearest(name, PRESETS)}: choose from {', '.join(PRESETS)}")
    return PRESETS[name]()


def _equaliser(high_pass_hz: float, *, auto: bool = False, **bands: tuple[float, float]) -> ChannelEqualiser:
    """``low=(-1, 150)``: a decibel less under 150 Hz."""
    turned: dict[str, float] = {}
    for band, (gain_db, hz) in bands.items():
        turned |= {f"{band}_db": gain_db, f"{band}_hz": hz}
    return ChannelEqualiser(high_pass_hz, auto=auto, **turned)  # type: ignore[arg-type]  # none of them is the slope


@cache
def _pop() -> Session:
    return Session(
        channels={
            "piano": Channel(
                width=0.9,
                equaliser=_equaliser(45, low=(-1.0, 180), mid=(-1.5, 350), high=(2.0, 5_000)),
                compressor=Compressor(-16, 2, 20, 180, 8, 1.8),
                sends=Sends(reverb_db=-14),
            ),
            "guitar": Channel(
                equaliser=_equaliser(75, low=(-1.0, 200), mid=(-1.0, 450), high=(1.0, 6_000)),
                compressor=Compressor(-17, 2, 15, 160, 8, 1.1),
                sends=Sends(reverb_db=-14),
            ),
            "bass": Channel(
                equaliser=_equaliser(30, low=(1.0, 90), mid=(-2.0, 280)),
                compressor=Compressor(-20, 3, 25, 180, 6, 2.8),
                ducking=DuckedBy(by="drums", depth_db=1.5, threshold_db=-12, attack_ms=5, release_ms=120),
            ),
            "drums": Channel(
                equaliser=_equaliser(28, low=(1.0, 80), mid=(-1.5, 400), auto=True),
                compressor=Compressor(-12, 2.5, 20, 120, 6, 1.7),
                sends=Sends(reverb_db=-18),
            ),
            OTHER: Channel(equaliser=_equaliser(60), sends=Sends(reverb_db=-14)),
        },
        reverb=ReverbReturn(decay_seconds=0.9, pre_delay_ms=12, damping_hz=7_000, low_cut_hz=180, size_m=9),
        delay=DelayReturn(note="1/8.", feedback=0.25, damping_hz=4_000, low_cut_hz=250, ping_pong=True),
        master=Master(compressor=Compressor(-10, 1.5, 30, 200, 10)),
    )


@cache
def _rock() -> Session:
    return Session(
        channels={
            "piano": Channel(
                gain_db=-1,
                equaliser=_equaliser(70, low=(-2.0, 200), mid=(-1.5, 400), high=(2.5, 4_000)),
                compressor=Compressor(-18, 3, 15, 150, 6, 2.8),
                sends=Sends(reverb_db=-17),
            ),
            "guitar": Channel(
                gain_db=1,
                width=1.2,
                equaliser=_equaliser(85, low=(-1.0, 200), mid=(1.5, 1_800), high=(1.0, 5_000)),
                compressor=Compressor(-18, 3, 10, 150, 6, 1.0),
                sends=Sends(reverb_db=-17),
            ),
            "bass": Channel(
                bus="rhythm",
                equaliser=_equaliser(35, low=(1.5, 90), mid=(1.5, 800)),
                compressor=Compressor(-21, 4, 15, 150, 6, 3.6),
                ducking=DuckedBy(by="drums", depth_db=2.5, threshold_db=-12, attack_ms=3, release_ms=110),
            ),
            "drums": Channel(
                gain_db=1,
                bus="rhythm",
                equaliser=_equaliser(30, low=(2.0, 75), mid=(-2.5, 400), auto=True),
                compressor=Compressor(-14, 3, 15, 100, 6, 2.4),
                sends=Sends(reverb_db=-15),
            ),
            OTHER: Channel(equaliser=_equaliser(80), sends=Sends(reverb_db=-17)),
        },
        buses={"rhythm": Bus(compressor=Compressor(-12, 2, 20, 120, 8, 1.0))},
        reverb=ReverbReturn(decay_seconds=0.7, pre_delay_ms=8, damping_hz=7_000, low_cut_hz=200, size_m=8),
        delay=DelayReturn(note="1/8", feedback=0.2, damping_hz=4_000, low_cut_hz=250),
        master=Master(equaliser=Equaliser(high_db=0.5, high_hz=8_000), compressor=Compressor(-10, 2, 30, 150, 10)),
    )


@cache
def _jazz_trio() -> Session:
    return Session(
        channels={
            "piano": Channel(
                gain_db=1,
                pan=0.0,
                width=1.1,
                equaliser=_equaliser(35, mid=(-1.0, 350), high=(1.0, 6_000)),
                sends=Sends(reverb_db=-13),
            ),
            "guitar": Channel(
                equaliser=_equaliser(70, low=(-1.0, 180)),
                sends=Sends(reverb_db=-13),
            ),
            "bass": Channel(
                equaliser=_equaliser(35, mid=(1.0, 900)),
                compressor=Compressor(-16, 1.8, 30, 250, 10, 0.9),
                sends=Sends(reverb_db=-22),
            ),
            "drums": Channel(
                gain_db=-3,
                width=1.1,
                equaliser=_equaliser(30, low=(-1.0, 90), mid=(-1.0, 400), auto=True),
                sends=Sends(reverb_db=-14),
            ),
            OTHER: Channel(equaliser=_equaliser(50), sends=Sends(reverb_db=-13)),
        },
        reverb=ReverbReturn(decay_seconds=1.2, pre_delay_ms=10, damping_hz=5_500, low_cut_hz=120, size_m=13),
        delay=DelayReturn(note="1/4", feedback=0.2),
        master=Master(target_lufs=-16.0),
    )


@cache
def _ballad() -> Session:
    return Session(
        channels={
            "piano": Channel(
                width=1.15,
                equaliser=_equaliser(40, mid=(-1.5, 320), high=(1.5, 6_000)),
                compressor=Compressor(-16, 1.8, 30, 250, 10, 1.7),
                sends=Sends(reverb_db=-10),
            ),
            "guitar": Channel(
                width=1.15,
                equaliser=_equaliser(75, low=(-1.0, 200), high=(1.5, 7_000)),
                compressor=Compressor(-17, 1.8, 25, 220, 10, 0.8),
                sends=Sends(reverb_db=-10, delay_db=-18),
            ),
            "bass": Channel(
                equaliser=_equaliser(30, low=(1.0, 80), mid=(-1.5, 280)),
                compressor=Compressor(-20, 2.5, 30, 220, 8, 2.6),
                sends=Sends(reverb_db=-26),
            ),
            "drums": Channel(
                gain_db=-2,
                equaliser=_equaliser(28, mid=(-1.5, 400), auto=True),
                compressor=Compressor(-12, 2, 25, 150, 8, 1.5),
                sends=Sends(reverb_db=-13),
            ),
            OTHER: Channel(equaliser=_equaliser(60), sends=Sends(reverb_db=-10)),
        },
        reverb=ReverbReturn(decay_seconds=2.0, pre_delay_ms=25, damping_hz=5_000, low_cut_hz=200, size_m=24),
        delay=DelayReturn(note="1/4", feedback=0.3, damping_hz=3_500, low_cut_hz=250, ping_pong=True),
        master=Master(compressor=Compressor(-10, 1.4, 40, 300, 10)),
    )


PRESETS: dict[str, Callable[[], Session]] = {
    "pop": _pop,
    "rock": _rock,
    "jazz-trio": _jazz_trio,
    "ballad": _ballad,
    "dry": Session,
}
