"""Where SoundFonts are, which are found, and which one is meant. Knows files, not synthesizers."""

from __future__ import annotations

import importlib.util
import os
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from midigen.errors import BadFile

SUFFIXES = (".sf2", ".sf3")
ENVIRONMENT = "MIDIGEN_SOUNDFONTS"
FALLBACK = "TimGM6mb"  # small, and inside pretty_midi's wheel: always there
# What sounds best for piano, guitar, bass and drums comes first; a font that is not named here stands before the last.
ORDER_OF_CHOICE = ("musescoregenerallite", "musescoregeneral", "fluidr3")
LICENCES = re.compile(
    r"\bMIT\b|\bGPL\b|GNU General Public|\bCC0\b|\bCC[- ]BY(?:-[A-Z]{2})*\b|Creative Commons|[Pp]ublic [Dd]omain"
)
LARGEST = 2**32 + 7  # bytes: the sizes in a RIFF file are 32-bit numbers, and do not count the first eight
PRESET_BYTES = 38  # of a preset's header, section 7.2; the list ends with one more
CURE = "install one (Debian/Ubuntu: apt install musescore-general-soundfont-small) or put a .sf2 or .sf3 in soundfonts/"

_LONGEST_TEXT = 65_536  # section 5: what an INFO text may have
_MOST_CHUNKS = 1_000  # in one list; fonts have some twenty, and a file of zeros millions


@dataclass(frozen=True)
class SoundFont:
    """A SoundFont file (SF2 or SF3).

    ``name`` is the file's name without its ending, ``path`` where it is (symbolic links followed), ``bytes`` its
    size, ``presets`` how many sounds are in it, ``licence`` what its INFO chunk says about rights (one line, empty
    where it says nothing) and ``aliases`` the names of links to it.
    """

    name: str
    path: Path
    bytes: int
    licence: str = ""
    aliases: tuple[str, ...] = ()
    presets: int = 0


def search_places() -> list[Path]:
    """The folders (and files) that are looked into, in order, whether they exist or not.

    ``soundfonts`` in the current folder and in the checkout that midigen runs from, what the environment variable
    ``MIDIGEN_SOUNDFONTS`` lists, the user's and the system's folders, and the small font in pretty_midi's wheel.
    """
    places = [Path.cwd() / "soundfonts"]
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        places.append(checkout / "soundfonts")
    places += [Path(p).expanduser() for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p]
    home = Path.home()
    places.append(home / ".local/share/midigen/soundfonts")
    if sys.platform == "darwin":
        places.append(home / "Library/Audio/Sounds/Banks")
    if os.name == "nt":
        places.append(Path("C:/soundfonts"))
    else:
        places += [Path("/usr/share/sounds/sf2"), Path("/usr/share/sounds/sf3"), Path("/usr/share/soundfonts")]
    found = importlib.util.find_spec("pretty_midi")  # finds the wheel without importing it
    if found is not None and found.origin:
        places.append(Path(found.origin).with_name(f"{FALLBACK}.sf2"))
    return list(dict.fromkeys(places))


def find_soundfonts() -> list[SoundFont]:
    """All usable SoundFonts, best first; one that several links lead to is listed once. Broken files are left out."""
    fonts: dict[Path, SoundFont] = {}
    for path in _candidates():
        real = path.resolve()
        try:
            font = fonts.get(real) or read_soundfont(real)
        except BadFile:
            continue
        names = {*font.aliases, path.stem} - {font.name}
        fonts[real] = replace(font, aliases=tuple(sorted(names)))
    # sorted() is stable: of two files with one name, the one in the earlier place comes first
    return sorted(fonts.values(), key=lambda font: (_rank(font.name), font.name.lower()))


def choose_soundfont(name_or_path: str | None = None) -> SoundFont:
    """The SoundFont that is meant.

    ``None`` is the best one found. Otherwise a path, or a name in any case, whole or a part that fits one font only.
    Raises :class:`BadFile` for a file that is not a SoundFont, and, with what there is, for a name that is not found.
    """
    if name_or_path is None:
        fonts = find_soundfonts()
        if not fonts:
            raise BadFile(f"no SoundFont found; {CURE}")
        return fonts[0]
    path = Path(name_or_path).expanduser()
    if path.exists() or (path.suffix.lower() in SUFFIXES and path.name != str(name_or_path)):
        return read_soundfont(path)
    fonts = find_soundfonts()
    wanted = _plain(path.stem if path.suffix.lower() in SUFFIXES else name_or_path)
    for font in fonts:
        if wanted in {_plain(name) for name in (font.name, *font.aliases)}:
            return font
    partial = [f for f in fonts if wanted and any(wanted in _plain(name) for name in (f.name, *f.aliases))]
    if len(partial) == 1:
        return partial[0]
    if partial:
        raise BadFile(f"SoundFont {name_or_path!r} fits {', '.join(f.name for f in partial)}: say which")
    for broken in _candidates():  # there, but not usable: say why rather than "not found"
        if _plain(broken.stem) == wanted:
            return read_soundfont(broken)
    known = ", ".join(font.name for font in fonts)
    raise BadFile(f"SoundFont {name_or_path!r} not found: " + (f"choose {known}, or give a path" if known else CURE))


def read_soundfont(path: str | Path) -> SoundFont:
    """Look at a SoundFont's headers (not at its samples, so that gigabytes take no longer).

    The file must be RIFF of form ``sfbk``, as long as it declares, and hold a list of presets (SoundFont Technical
    Specification 2.04, section 4). Raises :class:`BadFile` where it is missing, a folder, empty, cut short, damaged,
    or something else.
    """
    path = Path(path)
    cure = "give a .sf2 or .sf3 file"
    if path.is_dir():
        raise BadFile(f"{path}: is a folder; {cure}")
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size == 0:
                raise BadFile(f"{path}: is empty (0 bytes); {cure}")
            head = file.read(12)
            if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"sfbk":
                raise BadFile(f"{path}: is not a SoundFont (no RIFF sfbk header); {cure}")
            if size > LARGEST:
                raise BadFile(f"{path}: has {size} bytes, a SoundFont {LARGEST} at most; it is damaged, or not one")
            declared = struct.unpack_from("<I", head, 4)[0] + 8
            if size < declared:
                raise BadFile(f"{path}: is cut short ({size} of {declared} bytes); download or copy it again")
            info, presets = _inside(file, declared)
    except FileNotFoundError:
        raise BadFile(f"{path}: no such SoundFont; {cure}") from None
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror}); {cure}") from None
    if presets < 1:
        raise BadFile(f"{path}: is a damaged SoundFont (its list of presets is missing); download or copy it again")
    real = path.resolve()
    aliases = (path.stem,) if path.stem != real.stem else ()
    return SoundFont(real.stem, real, size, _licence(info), aliases, presets)


def _candidates() -> Iterator[Path]:
    """Files with a SoundFont's ending in the search places and one folder below, in order."""
    for place in search_places():
        try:
            if place.is_dir():
                files = sorted([*place.iterdir(), *(f for d in place.iterdir() if d.is_dir() for f in d.iterdir())])
                yield from (f for f in files if f.suffix.lower() in SUFFIXES and f.is_file())
            elif place.is_file():
                yield place
        except OSError:  # a folder that may not be read holds nothing for us
            continue


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _rank(name: str) -> int:
    plain = _plain(name)
    if plain == _plain(FALLBACK):
        return len(ORDER_OF_CHOICE) + 1
    return next((i for i, start in enumerate(ORDER_OF_CHOICE) if plain.startswith(start)), len(ORDER_OF_CHOICE))


def chunks(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the contents and size of the RIFF chunks between two places of a file."""
    at = start
    for _ in range(_MOST_CHUNKS):
        if at + 8 > end:
            return
        file.seek(at)
        name, size = struct.unpack("<4sI", file.read(8))
        if at + 8 + size > end:
            return
        yield name, at + 8, size
        at += 8 + size
        if size % 2:  # a chunk begins at an even place; MuseScore's fonts know nothing of that
            file.seek(at)
            at += file.read(1) == b"\0"


def _inside(file: IO[bytes], end: int) -> tuple[dict[bytes, str], int]:
    """The texts of a font's INFO list, and how many presets it declares (0 where the list is missing or odd)."""
    texts: dict[bytes, str] = {}
    presets = 0
    for name, place, size in chunks(file, 12, end):
        file.seek(place)
        kind = file.read(4) if name == b"LIST" and size >= 4 else b""
        if kind == b"INFO":
            for text, at, length in chunks(file, place + 4, place + size):
                file.seek(at)
                texts[text] = file.read(min(length, _LONGEST_TEXT)).split(b"\0")[0].decode("utf-8", errors="replace")
        elif kind == b"pdta":
            for table, _, length in chunks(file, place + 4, place + size):
                if table == b"phdr" and length % PRESET_BYTES == 0:
                    presets = length // PRESET_BYTES - 1
    return texts, presets


def _licence(texts: dict[bytes, str]) -> str:
    """One line about rights: a licence named in the copyright or comment text, else the copyright's first line."""
    rights, comment = texts.get(b"ICOP", "").strip(), texts.get(b"ICMT", "")
    named = LICENCES.search(rights) or LICENCES.search(comment)
    first = " ".join(rights.splitlines()[0].split())[:100] if rights else ""
    if named and named[0] not in first:
        first = f"{named[0]} ({first})" if first else named[0]
    return first
