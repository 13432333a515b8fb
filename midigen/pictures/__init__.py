"""Pictures: a score as a piano roll, a mix as meters show it, an instrument's sound in curves, a recording before
and after it was cleaned. Each is a PNG.

They take plain values, and know no other room but the ground floor.
"""

from midigen.pictures.cleaning import CleaningSheet, draw_cleaning
from midigen.pictures.mix import MixTrace, StemRow, draw_mix
from midigen.pictures.page import MADE_BY
from midigen.pictures.profile import FontSheet, StemSheet, draw_font_profile, draw_profile
from midigen.pictures.song import draw_song

__all__ = [
    "MADE_BY",
    "CleaningSheet",
    "FontSheet",
    "MixTrace",
    "StemRow",
    "StemSheet",
    "draw_cleaning",
    "draw_font_profile",
    "draw_mix",
    "draw_profile",
    "draw_song",
]
