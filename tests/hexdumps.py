"""MIDI files as annotated hexdumps: one event a line, as the appendix of the MIDI standard prints them."""

from __future__ import annotations

END = "00 ff2f00  # end of track"


def chunk(dump: str) -> bytes:
    """A ``MTrk`` chunk of the bytes in ``dump``; what follows a ``#`` is for the reader."""
    body = bytes.fromhex(" ".join(line.partition("#")[0] for line in dump.splitlines()))
    return b"MTrk" + len(body).to_bytes(4, "big") + body


def header(kind: int, tracks: int, division: int = 96) -> bytes:
    return b"MThd" + bytes([0, 0, 0, 6, 0, kind, 0, tracks]) + division.to_bytes(2, "big")


def smf(*dumps: str, kind: int = 1, division: int = 96) -> bytes:
    """A file of type ``kind`` with a track for each dump."""
    return header(kind, len(dumps), division) + b"".join(map(chunk, dumps))


def riff(data: bytes, more: bytes = b"") -> bytes:
    """``data`` in a RIFF file, followed by the chunks ``more``."""
    body = b"RMIDdata" + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2) + more
    return b"RIFF" + len(body).to_bytes(4, "little") + body
