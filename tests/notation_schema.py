"""The schema of MusicXML 4.0, from the wheel of the library ``musicxml``: nothing is looked up in the network."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

# What the schema takes from two others, of which it uses these attributes alone.
XLINK = "".join(f'<xs:attribute name="{name}"/>' for name in ("href", "type", "role", "title", "show", "actuate"))
XML = '<xs:attribute name="lang" type="xs:language"/><xs:attribute name="space"/>'
OTHERS = {"xlink": ("http://www.w3.org/1999/xlink", XLINK), "xml": ("http://www.w3.org/XML/1998/namespace", XML)}


def schema_file() -> Path | None:
    """Where the schema is, or ``None`` where the library is not installed. It is not imported."""
    found = importlib.util.find_spec("musicxml")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "generate_classes" / "musicxml_4_0.xsd"
    return path if path.is_file() else None


def load_schema(folder: Path):
    """The schema as lxml holds documents against it; ``folder`` is for its files."""
    from lxml import etree

    source = schema_file()
    assert source is not None
    for name, (namespace, body) in OTHERS.items():
        head = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{namespace}">'
        (folder / f"{name}.xsd").write_text(f"{head}{body}</xs:schema>", encoding="utf-8")
    text = source.read_text(encoding="utf-8")
    text = re.sub(r'schemaLocation="[^"]*/(xml|xlink)\.xsd"', r'schemaLocation="\1.xsd"', text)
    (folder / "musicxml.xsd").write_text(text, encoding="utf-8")
    return etree.XMLSchema(etree.parse(str(folder / "musicxml.xsd")))
