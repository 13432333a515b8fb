"""What every key of ``mix.toml`` means, in the words that are written beside it."""

from __future__ import annotations

from midigen.effects.dynamics import Compressor
from midigen.effects.equaliser import Equaliser
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
    StemFile,
)

_GAIN = "-60 to 24 dB"
_EQUALISER = {
    "high_pass_hz": "10 to 2000 Hz: what lies under it goes; 0 is off",
    "high_pass_slope_db": "12 or 24 dB an octave",
    "low_db": "-24 to 24 dB: a shelf under low_hz",
    "low_hz": "20 to 2000 Hz",
    "mid_db": "-24 to 24 dB: a bell around mid_hz",
    "mid_hz": "20 to 20000 Hz",
    "mid_q": "0.1 to 10: small is wide",
    "high_db": "-24 to 24 dB: a shelf over high_hz",
    "high_hz": "500 to 20000 Hz",
}
_TIMES = {
    "attack_ms": "0.1 to 500 ms: how fast it takes hold",
    "release_ms": "1 to 5000 ms: how fast it lets go",
}

WORDS: dict[type, dict[str, str]] = {
    Session: {
        "channels": "the strip of each part",
        "buses": "where parts meet on their way to the mix",
        "reverb": "the room that channels send to",
        "delay": "the echoes that channels send to",
        "master": "what the whole mix goes through",
        "stems": "the sound of each part",
        "title": "of the song: for the tags of its mix",
        "artist": "who is to be named in them",
        "tempo_qpm": "10 to 1000 quarter notes a minute, for a delay in note values",
    },
    StemFile: {
        "file": "relative to this file",
        "kind": "its place in the balance: piano, guitar, bass, drums or other",
        "soundfont": "what played it",
        "preset": "and its sound there",
    },
    Channel: {
        "gain_db": f"{_GAIN}; 0 for all is a balanced band",
        "pan": "-1 to 1: left to right; left out: the instrument's seat",
        "width": "0 to 2: mono, 1 as it is, wide",
        "mute": "true: not in the mix",
        "solo": "true: the others are not in the mix",
        "bus": "mix, or one of the buses",
        "equaliser": "a high-pass and three bands",
        "compressor": "makes what is loud less loud",
        "ducking": "gives way to another part",
        "sends": "how much goes to reverb and delay",
    },
    Bus: {
        "gain_db": _GAIN,
        "equaliser": "a high-pass and three bands",
        "compressor": "makes what is loud less loud",
    },
    Sends: {
        "reverb_db": f"{_GAIN}: how much goes to the reverb; left out: nothing",
        "delay_db": f"{_GAIN}: how much goes to the delay; left out: nothing",
    },
    Equaliser: _EQUALISER,
    ChannelEqualiser: {**_EQUALISER, "auto": "true: bands that are off are set by the part's own spectrum"},
    Compressor: {
        "threshold_db": "-80 to 0 dB: peaks over it come out lower",
        "ratio": "1 to 100: so many dB over the threshold become one",
        **_TIMES,
        "knee_db": "0 to 40 dB: hard to soft",
        "makeup_db": "-24 to 24 dB: a gain for everything",
    },
    DuckedBy: {
        "by": "the part, or the instrument, that is to come through",
        "depth_db": "0 to 48 dB: how far this part goes down at most",
        "threshold_db": "-80 to 0 dB: peaks of the other part over it count",
        **_TIMES,
    },
    ReverbReturn: {
        "gain_db": f"{_GAIN}: how loud all of it comes back",
        "decay_seconds": "0.1 to 10 s: 0.5 is a room, 2 a hall",
        "pre_delay_ms": "0 to 500 ms: how long before it begins",
        "damping_hz": "1000 to 20000 Hz: where it dies away twice as fast; 0 is off",
        "low_cut_hz": "20 to 1000 Hz: no reverb under it; 0 is off",
        "width": "0 to 1: mono to wide",
        "size_m": "3 to 60 m: how long the room is; 0 has no walls",
    },
    DelayReturn: {
        "gain_db": f"{_GAIN}: how loud all of it comes back",
        "note": "such as 1/4, 1/8. (dotted) or 1/8t (triplet); empty: the seconds count",
        "seconds": "0.01 to 5 s from echo to echo",
        "feedback": "0 to 0.95: how much of an echo is in the next",
        "damping_hz": "200 to 20000 Hz: echoes lose what lies over it; 0 is off",
        "low_cut_hz": "20 to 2000 Hz: echoes lose what lies under it; 0 is off",
        "ping_pong": "true: from side to side",
    },
    Master: {
        "target_lufs": "-70 to -5 LUFS, or streaming (-14), podcast (-16), broadcast (-23), off",
        "ceiling_dbtp": "-20 to 0 dB: true peaks stay under it",
        "equaliser": "a high-pass and three bands",
        "compressor": "makes what is loud less loud",
    },
}
