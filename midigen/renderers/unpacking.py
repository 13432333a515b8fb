"""A thread that unpacks the samples of a sound while others play it."""

from __future__ import annotations

from collections import deque
from threading import Event, Thread

from midigen.renderers.library import Sounding


class Unpacker:
    """Unpacks all of a sound, what a part is most likely to play first, and before that what it is told to expect.

    ``sounding`` is a synthesizer of the sound that nobody plays; it is closed with this. Until then what was unpacked
    is there for all synthesizers of the sound.
    """

    def __init__(self, sounding: Sounding) -> None:
        self._sounding = sounding
        self._stop = Event()
        self._expected: deque[int] = deque()
        self._thread = Thread(target=self._work, name="unpacker", daemon=True)
        self._thread.start()

    def expect(self, pitch: int, velocity: int) -> None:
        """This will be played soon."""
        if self._sounding.pieces is not None:
            self._expected.append(int(self._sounding.pieces.numbers[pitch, velocity]))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._sounding.close()

    def _work(self) -> None:
        if self._sounding.pieces is None:
            return
        for number in self._sounding.pieces.usual_first():
            while self._expected and not self._stop.is_set():
                if (expected := self._expected.popleft()) >= 0:
                    self._sounding.unpack(expected)
            if self._stop.is_set():
                return
            self._sounding.unpack(number)
