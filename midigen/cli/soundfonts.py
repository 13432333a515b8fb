"""``midigen soundfonts``"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb has no options."""


def run(args: argparse.Namespace) -> int:
    from midigen.soundfonts import CURE, find_soundfonts, search_places

    fonts = find_soundfonts()
    for number, font in enumerate(fonts):
        size = f"{font.bytes / 1e6:.0f} MB"
        print(f"{font.name:<28} {size:>7}  {font.path}{'  (default)' if number == 0 else ''}")
        also = f"also called {', '.join(font.aliases)}" if font.aliases else ""
        about = "; ".join(text for text in (font.licence, also) if text)
        if about:
            print(f"{'':<28} {'':>7}  {about}")
    if not fonts:
        print(f"No SoundFont found; {CURE}.")
    print("\nLooked for in:")
    for place in search_places():
        print(f"  {place}{'' if place.exists() else '  (not there)'}")
    return 0
