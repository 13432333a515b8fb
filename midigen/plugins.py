"""Shelves: name to object, loaded on first use. Built-ins and other packages' entry points use the same door."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from midigen.errors import BadRequest


class Shelf:
    """A named collection of things that may be added to.

    ``noun`` names what stands on the shelf ("engine", "renderer"); it is used in messages, and another package adds
    to the shelf with an entry point in the group ``midigen.<noun>s``. Built-ins are given as ``"module:attribute"``
    strings, so that nothing is imported before it is asked for.
    """

    def __init__(self, noun: str, built_in: dict[str, str]) -> None:
        self.noun = noun
        self._targets = dict(built_in)
        self._loaded: dict[str, Any] = {}
        self._scanned = False

    def _scan(self) -> None:
        if not self._scanned:
            for point in entry_points(group=f"midigen.{self.noun}s"):
                self._targets.setdefault(point.name, point.value)
            self._scanned = True

    def names(self) -> list[str]:
        """All known names, sorted."""
        self._scan()
        return sorted(self._targets)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str) -> Any:
        """The object called ``name``. Raises :class:`BadRequest` that lists the known names."""
        if name not in self._loaded:
            if name not in self._targets:
                self._scan()
            if name not in self._targets:
                raise BadRequest(f"unknown {self.noun} {name!r}: choose one of {', '.join(self.names())}")
            module, _, attribute = self._targets[name].partition(":")
            self._loaded[name] = getattr(import_module(module), attribute)
        return self._loaded[name]
