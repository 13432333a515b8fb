"""Files broken by chance, each from a seed and a number alone."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

LARGEST = 1 << 20  # a case grows no further
_EXTREME = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(seeds: Sequence[bytes], words: Sequence[bytes], seed: int, number: int) -> bytes:
    """Case ``number`` of ``seed``: one of ``seeds`` with one to eight things done to it."""
    dice = random.Random(f"{seed} {number}")
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 2, 3, 5, 8))):
        _change(data, seeds, words, dice)
    if dice.random() < 0.5:
        mend_lengths(data)
    return bytes(data[:LARGEST])


def mend_lengths(data: bytearray) -> None:
    """Let the tracks of a MIDI file be as long as they say, so that what is in them is read; others have none."""
    places = [match.start() for match in re.finditer(b"MTrk", data)]
    for at, end in zip(places, [*places[1:], len(data)], strict=False):
        if at + 8 <= end:
            data[at + 4 : at + 8] = (end - at - 8).to_bytes(4, "big")


def _change(data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes], dice: random.Random) -> None:
    size = len(data)
    at = dice.randrange(size + 1)
    what = dice.randrange(10)
    if what == 0:  # cut short
        del data[at:]
    elif what == 1 and size:  # one bit
        data[at % size] ^= 1 << dice.randrange(8)
    elif what == 2 and size:  # one byte
        data[at % size] = dice.choice((0, 0xFF, 0x80, 0x7F, dice.randrange(256)))
    elif what == 3:  # something taken out
        del data[at : at + dice.choice((1, 2, 4, 16, 256))]
    elif what == 4:  # something said twice, or many times
        piece = data[at : at + dice.choice((1, 4, 16, 64))]
        data[at:at] = piece * dice.choice((1, 1, 2, 50))
    elif what == 5:  # a number that is too large, or none
        width = dice.choice((1, 2, 4, 8))
        value = dice.choice(_EXTREME) & ((1 << 8 * width) - 1)
        data[at : at + width] = value.to_bytes(width, dice.choice(("big", "little")))
    elif what == 6 and words:
        data[at:at] = dice.choice(words)
    elif what == 7 and words:
        word = dice.choice(words)
        data[at : at + len(word)] = word
    elif what == 8:  # the end of another
        other = dice.choice(seeds)
        data[at:] = other[dice.randrange(len(other) + 1) :]
    else:  # noise
        data[at:at] = dice.randbytes(dice.choice((1, 3, 20)))
