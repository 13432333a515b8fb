"""Who does many tasks at once: the processes of this machine, or a Ray cluster. One protocol, one shelf.

A crew runs ``task`` on every one of ``jobs`` and hands the results back as they are done. A task is a function of a
module and what it takes and gives can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from midigen.plugins import Shelf

CREWS = Shelf(
    "crew", {"processes": "midigen.workers.processes:Processes", "ray": "midigen.workers.ray_cluster:Cluster"}
)


class Crew(Protocol):
    """What stands on the shelf: a class that is made with ``hands``, how many tasks run at once (``None``: as many as
    there are processors), and where it is to be found (``address``; ``None``: here).

    ``shares_disk`` says whether a task writes to the disk that the caller reads.
    """

    shares_disk: bool

    def __init__(self, hands: int | None = None, address: str | None = None) -> None: ...

    def run(self, task: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """The number of each job, from 0, with what ``task`` gave, in the order in which they are done. What a task
        raises is raised here, and the others are let go."""
        ...
