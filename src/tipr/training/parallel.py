"""Several processes that train one method: `torchrun --nproc-per-node 4 -m tipr.cli train ...`.

What a run does, and where (the world's part is in `training/world.py`):

    with started(device) as world:              around all of it; a world of one without torchrun
        method = config.build(...)              from the same seed on every process
        parallel = wrapped(method.to(world.device), world, sharded=..., chunked=...)
        build_optimizer(parallel.method, ...)   only now: sharding replaces the parameters
        EpochBatches(sampling, pairs, size, world.rank, world.size)      drawn alike everywhere
        own_draws(world, seed, epoch)           then, so that dropout differs between processes
        terms = parallel(batch)                 in place of method(batch)
        loss.backward(); parallel.average()     after the replay of cached gradients
        parallel.clip(most)                     in place of clip_grad_norm_
        mean_over(world, terms)                 for the log; highest(world, asked) to stop together
        values = parallel.state(part)           of method and optimiser; all call, the first writes
        parallel.load(part, values)             all read the file
        with parallel.whole() as method:        for validation and bundles; None but on the first
            ...
        barrier(world)                          the others wait for the first

The method itself stays what it was: its attributes (`epoch`, `reranking`, `encoder`) are read and
set on `parallel.method`. Losses compare the rows of all processes (`objectives/gathering.py`), so
gradients, averaged here, are those of one process with the global batch.

Either every process has a copy of the method (DistributedDataParallel), which exchange gradients
while the backward pass goes on; or its parameters are shared out (`training/sharding.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from tipr.data.pairs import Batch
from tipr.methods.method import Method
from tipr.training.world import World

BUCKET = 64 << 20  # bytes of gradients that travel at a time


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """A method with its part in a world; calling it gives the terms of this process's batch."""

    method: Method
    world: World
    step: Callable[[Batch], dict[str, Tensor]]
    averages: bool = False  # whether nothing else averages the gradients
    sharded: bool = False
    twin: Method | None = None  # of a sharded method: the first process's whole one

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        return self.step(batch)

    def average(self) -> None:
        """Gradients become their mean over processes, where they are not yet."""
        if self.averages:
            average_gradients(self.method.parameters(), self.world)

    def clip(self, most: float) -> None:
        """Gradients shrink together until their norm is `most`."""
        if self.sharded:
            _sharding().clip_gradients(self.method.parameters(), most)
        else:
            torch.nn.utils.clip_grad_norm_(self.method.parameters(), most)

    def state(self, part: nn.Module | Optimizer) -> dict[str, Any]:
        """The state of the method or its optimiser as one process would have it, on the first.

        All processes call this; the others are given nothing.
        """
        state = part.state_dict()
        if self.sharded:
            state = _sharding().put_together(state, keep=self.world.is_first)
        return state if self.world.is_first else {}

    def load(self, part: nn.Module | Optimizer, state: dict[str, Any]) -> None:
        """Takes a state as `state` gives it; every process brings it.

        Raises what `load_state_dict` does.
        """
        part.load_state_dict(_sharding().shared_out(part, state) if self.sharded else state)

    @contextmanager
    def whole(self) -> Generator[Method | None]:
        """The method as one process would hold it, on the first; all processes call this."""
        if not self.sharded:
            yield self.method if self.world.is_first else None
            return
        values = self.state(self.method)
        if self.twin is None:
            yield None
            return
        self.twin.load_state_dict(values)
        self.twin.to(self.world.device).train(self.method.training)
        self.twin.epoch = self.method.epoch
        yield self.twin
        self.twin.cpu()


def alone(method: Method) -> Parallel:
    """A method that nobody else trains."""
    device = next(method.parameters()).device
    return Parallel(method=method, world=World(device=device), step=method)


def wrapped(
    method: Method, world: World, *, sharded: bool = False, chunked: bool = False
) -> Parallel:
    """The method for this world; `chunked` where gradients are cached (`training/cached.py`).

    A method whose steps differ in which parameters they use says so with `varying = True`; what no
    step uses needs no word. With one process nothing is wrapped.

    Raises:
        ValueError: `sharded` and `chunked` are both asked for, or processes may encode unlike
            often.
    """
    if world.size == 1:
        return Parallel(method=method, world=world, step=method)
    if sharded and chunked:
        raise ValueError("cached gradients need whole encoders: set optim.sharded to false or "
                         "optim.chunk to 0")  # fmt: skip
    if sharded and method.uneven:
        raise ValueError(
            "processes that encode unlike often cannot share out what they encode "
            "with; set optim.sharded to false, or method.supports to inbatch or bank"
        )
    _from_first([*method.parameters(), *method.buffers()])
    if sharded:
        twin = deepcopy(method).cpu() if world.is_first else None
        _sharding().share_out(method, world)
        return Parallel(method=method, world=world, step=method, sharded=True, twin=twin)
    if chunked:
        return Parallel(method=method, world=world, step=method, averages=True)
    return Parallel(method=method, world=world, step=_copied(method))


def _copied(method: Method) -> DistributedDataParallel:
    """Buffers stay a process's own: what has to be alike is gathered where it is written."""
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    settings: dict[str, Any] = {buffers: False, "static_graph": not method.varying}
    return DistributedDataParallel(method, find_unused_parameters=method.varying, **settings)


@torch.no_grad()
def _from_first(tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        same = tensor.detach().contiguous()
        dist.broadcast(same, src=0)
        tensor.copy_(same)


def average_gradients(parameters: Iterable[nn.Parameter], world: World) -> None:
    """What a parameter learned on any process counts on all; without a gradient it counts zero."""
    learned = [p for p in parameters if p.requires_grad]
    has = torch.tensor([int(p.grad is not None) for p in learned], device=world.device)
    dist.all_reduce(has, dist.ReduceOp.MAX)
    gradients = []
    for parameter, known in zip(learned, has.tolist(), strict=True):
        if known:
            grad = parameter.grad
            parameter.grad = torch.zeros_like(parameter) if grad is None else grad
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat)
        means = (flat / world.size).split([gradient.numel() for gradient in bucket])
        for gradient, mean in zip(bucket, means, strict=True):
            gradient.copy_(mean.view_as(gradient))


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Neighbours of one kind, as many as travel at a time."""
    found: list[list[Tensor]] = []
    size = 0
    for tensor in tensors:
        if not found or found[-1][0].dtype != tensor.dtype or size + tensor.nbytes > BUCKET:
            found.append([])
            size = 0
        found[-1].append(tensor)
        size += tensor.nbytes
    return found


def _sharding() -> Any:
    """Only where it is needed: a second of imports."""
    from tipr.training import sharding

    return sharding
