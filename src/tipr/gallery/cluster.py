"""Joins a Ray cluster, or starts one on this machine, quietly and for no longer than needed."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

_QUIET = {"log_to_driver": False, "logging_level": "ERROR"}
_SECONDS = 10  # to answer; Ray itself asks for minutes, and ends the process


@contextmanager
def joined(address: str, count: int, gpus: float) -> Generator[Any]:
    """Ray, with room for `count` workers that hold a share of a GPU each.

    An empty address starts a cluster on this machine, which ends with the context. One that is in
    use in this process already is used, and left as it is.
    """
    ray = _ray()
    ours = not ray.is_initialized()
    if ours and address:
        _join(ray, address)
    elif ours:
        ray.init("local", num_cpus=count, include_dashboard=False, **_QUIET)
    try:
        _check_room(ray.cluster_resources(), count, gpus)
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # it tells of deaths on stdout
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "several workers need the ray package: pip install 'tipr[ray]'"
        ) from error
    return ray


def _join(ray: Any, address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():
            socket.create_connection((host, int(port)), _SECONDS).close()
        ray.init(address, **_QUIET)
    except OSError as error:
        raise ConnectionError(
            f"no Ray cluster answers at {address}; start one there: ray start --head"
        ) from error


def _check_room(there: dict[str, float], count: int, gpus: float) -> None:
    for what, each in (("CPU", 1), ("GPU", gpus)):
        if there.get(what, 0) < each * count:
            raise ValueError(
                f"{count} workers need {each * count:g} {what}s, the Ray cluster has "
                f"{there.get(what, 0):g}; ask for fewer workers"
            )
