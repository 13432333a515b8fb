"""Processes that were begun by another do not outlive it."""

from __future__ import annotations

import os
from multiprocessing import parent_process
from threading import Thread

from midigen.folders import clear_unfinished


def end_with_parent() -> None:
    """First thing in a process of a pool: when the one that began it is gone, however it went, end too, and leave
    nothing half written. Python's pools wait for ever for work from one that was killed."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        clear_unfinished()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
