"""Ctrl-C while threads are at work: the process ends at once, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from midigen.folders import clear_unfinished


def stop_at_once() -> None:
    """From here on Ctrl-C, or a request to terminate, clears unfinished folders away and ends the process.

    Python's own way, an exception in whatever the main thread is doing, is not safe beside threads that import: raised
    inside the import system it leaves a lock behind that they wait for, raised inside a callback or an extension's
    initialisation it is lost or turned into another error. Nothing is raised here, and no lock is taken.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # whoever runs us in a thread keeps their own handlers
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not break off the clearing away
    clear_unfinished()
    if number == signal.SIGINT:
        os.write(2, (b"\n" if sys.stderr.isatty() else b"") + b"midigen: stopped\n")
    os._exit(128 + number)
