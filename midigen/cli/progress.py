"""What the user sees while they wait, and how long each stage took."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Any, ClassVar, Self


class Progress:
    """A bar on stderr while bars are composed and parts rendered, and a clock.

    The bar is drawn on a terminal only. Stages are those that :func:`midigen.compose` reports, and any other that is
    told with :meth:`stage`; :meth:`report` prints how long each took.
    """

    LABELS: ClassVar = {"compose": "Composing", "render": "Rendering", "mix": "Mixing", "write": "Writing"}

    def __init__(self, *, timings: bool = False) -> None:
        self._timings = timings
        self._bar: Any = None
        self._stages: list[tuple[str, float]] = []
        self._first_bar: float | None = None
        self._started = time.perf_counter()
        self._parts = 0

    def __enter__(self) -> Self:
        self.stage("prepare")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None and self._timings:
            self.report()

    def stage(self, name: str) -> None:
        """Tell that the stage ``name`` begins."""
        self.close()
        self._stages.append((name, time.perf_counter()))
        if name in ("mix", "write") and sys.stderr.isatty():
            self._open(self.LABELS[name], None, "")
        if name == "render" and self._parts:
            self._open(self.LABELS[name], self._parts, "part")

    def bar(self, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` bars are composed."""
        if self._first_bar is None and done:
            self._first_bar = time.perf_counter()
        if self._bar is None:
            self._open(self.LABELS["compose"], total, "bar")
        self._bar.update(done - self._bar.n)

    def part(self, name: str) -> None:
        """Tell that a part is rendered."""
        if self._bar is not None:
            self._bar.update(1)

    def expect_parts(self, count: int) -> None:
        """Tell how many parts will be rendered."""
        self._parts = count

    def _open(self, label: str, total: int | None, unit: str) -> None:
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no thread of its own for what lasts seconds
        layout = "{desc} {bar} {n}/{total} " + unit + "s, {remaining} left" if total else "{desc} ..."
        self._bar = tqdm(
            desc=f"{label:<9}", total=total, bar_format=layout, disable=None, leave=False, file=sys.stderr,
            ncols=shutil.get_terminal_size().columns or 80, mininterval=0.1,
        )  # fmt: skip

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def report(self) -> None:
        """Print the seconds of each stage to stderr, one a line."""
        ends = [start for _, start in self._stages[1:]] + [time.perf_counter()]
        for (name, start), end in zip(self._stages, ends, strict=True):
            print(f"{name:<10}{end - start:8.3f} s", file=sys.stderr)
            if name == "compose" and self._first_bar is not None:
                print(f"{'first bar':<10}{self._first_bar - self._started:8.3f} s after the start", file=sys.stderr)
        print(f"{'total':<10}{ends[-1] - self._started:8.3f} s", file=sys.stderr)


class Counter:
    """A bar on stderr for what is counted, one for each label, on a terminal only."""

    def __init__(self) -> None:
        self._label = ""
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def tell(self, label: str, done: int, total: int) -> None:
        """``done`` of ``total`` of what ``label`` says."""
        from tqdm import tqdm

        if label != self._label:
            self.__exit__()
            self._label = label
            tqdm.monitor_interval = 0  # no thread of its own
            layout = "{desc} {bar} {n}/{total}, {remaining} left"
            self._bar = tqdm(
                desc=label, total=total, bar_format=layout, disable=None, leave=False, file=sys.stderr,
                ncols=shutil.get_terminal_size().columns or 80,
            )  # fmt: skip
        self._bar.update(done - self._bar.n)
