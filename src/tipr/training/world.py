"""The processes that torchrun started, seen from one of them."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist

from tipr.data.batching import seed_of
from tipr.embedder import pick_device

PATIENCE = timedelta(hours=2)  # the others wait while the first validates
_RENDEZVOUS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, kw_only=True)
class World:
    """One process among `size`; alone unless torchrun started more."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this one speaks for all: logs, validates, writes."""
        return self.rank == 0


@contextmanager
def started(device: str = "auto") -> Generator[World]:
    """Joins the processes that torchrun started, and leaves them at the end.

    Raises:
        ValueError: torchrun's environment is incomplete, or the device is not there for everyone.
        ConnectionError: the processes do not find each other.
    """
    world = world_of(os.environ, device)
    if world.size == 1:
        yield world
        return
    cuda = world.device.type == "cuda"
    if cuda:
        torch.cuda.set_device(world.device)
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ConnectionError(f"process {world.rank} of {world.size} could not join the others "
                              f"({error}); start all of them with torchrun") from error  # fmt: skip
    try:
        yield world
    finally:
        dist.destroy_process_group()


def world_of(environment: Mapping[str, str], device: str = "auto") -> World:
    """What torchrun's variables say; a process of its own where there are none.

    Raises:
        ValueError: some are missing, or there are fewer GPUs than processes.
    """
    if int(environment.get("WORLD_SIZE", "1")) == 1:
        return World(device=pick_device(device))
    missing = [name for name in _RENDEZVOUS if name not in environment]
    if missing:
        raise ValueError(f"WORLD_SIZE is {environment['WORLD_SIZE']}, but {', '.join(missing)} is "
                         "not set; start with torchrun, or unset WORLD_SIZE")  # fmt: skip
    rank, size, local = (int(environment[n]) for n in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if not 0 <= rank < size:
        raise ValueError(f"RANK is {rank}, which is no process of {size}; start with torchrun")
    return World(rank=rank, size=size, device=_own_device(device, local))


def _own_device(name: str, local: int) -> torch.device:
    """Each process of a machine computes on its own GPU, or all on the CPU."""
    device = pick_device(name)
    if device.type != "cuda":
        return device
    if device.index is not None:
        raise ValueError(f"several processes cannot all compute on {name}; use --device cuda")
    there = torch.cuda.device_count()
    if local >= there:
        raise ValueError(f"process {local + 1} of this machine finds only {there} GPUs; "
                         f"start torchrun with --nproc-per-node {there}, or use --device "
                         "cpu")  # fmt: skip
    return torch.device("cuda", local)


def own_draws(world: World, seed: int, epoch: int) -> None:
    """From here on what a method draws follows from the epoch, and differs between processes.

    The first process draws what a single one would.
    """
    torch.manual_seed(seed_of("model", seed, epoch, *([world.rank] if world.rank else [])))


def mean_over(world: World, values: Mapping[str, float]) -> dict[str, float]:
    """The mean of each value over processes; all name the same ones, in the same order."""
    if world.size == 1:
        return dict(values)
    total = torch.tensor(list(values.values()), dtype=torch.float64, device=world.device)
    dist.all_reduce(total)
    return dict(zip(values, (total / world.size).tolist(), strict=True))


def highest(world: World, *numbers: int) -> tuple[int, ...]:
    """The largest of each number on any process; every process is told the same."""
    if world.size == 1:
        return numbers
    found = torch.tensor(numbers, device=world.device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return tuple(found.tolist())


def from_first(world: World, value: float) -> float:
    """The first process's number, on every process."""
    if world.size == 1:
        return value
    told = torch.tensor(value, dtype=torch.float64, device=world.device)
    dist.broadcast(told, src=0)
    return told.item()


def barrier(world: World) -> None:
    """Nobody goes on before everybody is here."""
    highest(world, 0)
