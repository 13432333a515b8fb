"""Tasks on a Ray cluster, or on Ray's own workers on this machine. Needs the extra ``cluster``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from midigen.errors import BadRequest, MidigenError, MissingTool


class Cluster:
    """Ray's workers. ``address`` is that of a running cluster, as ``ray.init`` takes it (``"auto"``: the one this
    machine is part of); ``None`` begins one on this machine alone, with ``hands`` workers, which ends with the last
    task. On every node the same midigen must be installed; its disks need not be shared. See
    :class:`midigen.workers.Crew`."""

    shares_disk = False

    def __init__(self, hands: int | None = None, address: str | None = None) -> None:
        if find_spec("ray") is None:
            raise MissingTool("ray is not installed: a cluster needs it; pip install '.[cluster]'")
        self._hands, self._address = hands, address

    def run(self, task: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See :class:`midigen.workers.Crew`."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        said: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._address is None:
            said |= {"num_cpus": self._hands, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        else:
            said |= {"address": self._address}
        try:
            ray.init(**said)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BadRequest(
                f"Ray at {self._address or 'this machine'} cannot be reached ({_first_line(error)}); begin one with "
                "ray start --head, or leave the address out"
            ) from None
        try:
            remote = ray.remote(task).options(num_cpus=1, max_retries=2)
            slots = self._hands or max(int(ray.cluster_resources().get("CPU", 1)), 1)
            running: dict[Any, int] = {}
            for number, job in enumerate(jobs):
                running[remote.remote(job)] = number
                if len(running) > slots:
                    yield from _finished(ray, running)
            while running:
                yield from _finished(ray, running)
        finally:
            ray.shutdown()


def _finished(ray: Any, running: dict[Any, int]) -> Iterator[tuple[int, Any]]:
    done, _ = ray.wait(list(running), num_returns=1)
    for reference in done:
        number = running.pop(reference)
        try:
            yield number, ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, MidigenError):
                raise error.cause from None
            raise MidigenError(f"a task failed on the cluster: {_first_line(error.cause)}") from None
        except ray.exceptions.RayError as error:
            raise MidigenError(
                f"the cluster lost a task: {_first_line(error)}; run the same command to go on"
            ) from None


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
