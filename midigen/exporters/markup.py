"""XML and ZIP files whose bytes depend on what is in them alone: no times, no random identifiers."""

from __future__ import annotations

import io
import re
import zipfile
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

# What XML 1.0 has no way to write (production 2, Char), in text or in an attribute.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that ZIP knows


def add(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    """A new last child of ``parent``; underscores in the names of ``attributes`` stand for hyphens."""
    made = ElementTree.SubElement(
        parent, tag, {name.replace("_", "-"): clean(str(value)) for name, value in attributes.items()}
    )
    if text is not None:
        made.text = clean(str(text))
    return made


def clean(text: str) -> str:
    """``text`` without what XML cannot hold."""
    return _FORBIDDEN.sub("", text)


def xml_bytes(root: Element, doctype: str = "") -> bytes:
    """The document of ``root`` in UTF-8, indented, with ``doctype`` (a whole declaration) before it."""
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    head = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    return f"{head}{doctype}{chr(10) if doctype else ''}{body}\n".encode()


def decimal(value: float, places: int = 6) -> str:
    """A number as XML's decimals are written: no exponent, no trailing zeros, no minus before nothing."""
    text = f"{value:.{places}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class Archive:
    """A ZIP file to be filled; ``data`` are its bytes. Every file in it is of 1980, so the same files make the same."""

    def __init__(self, target: io.IOBase) -> None:
        self._zip = zipfile.ZipFile(target, "w")  # type: ignore[arg-type]  # a binary file

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def add_bytes(self, name: str, data: bytes, *, packed: bool = True) -> None:
        """A file of ``data``; ``packed`` by Deflate, or as it is (what is the first member of some formats)."""
        self._zip.writestr(self._entry(name, packed), data, compresslevel=6 if packed else None)

    def add_file(self, name: str, path: str) -> None:
        """A sound file as it is: samples hardly get smaller, and a studio reads them in place."""
        with open(path, "rb") as source, self._zip.open(self._entry(name, False), "w", force_zip64=True) as target:
            while block := source.read(1 << 20):
                target.write(block)

    @staticmethod
    def _entry(name: str, packed: bool) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(name, _EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        entry.external_attr = 0o644 << 16
        entry.create_system = 3  # as on Unix, wherever it is made
        return entry
