"""One method whose parameters are shared out between processes (FSDP2).

Each process holds a part of every parameter, gradient and moment; a block is put together when it
computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from tipr.encoders.shared import SharedBlock
from tipr.methods.method import Method
from tipr.training.world import World
from tipr.transformer import Block


def share_out(method: Method, world: World) -> None:
    """Each block by itself, what is left together; single numbers stay on every process."""
    for parameter in method.parameters():
        parameter.data = parameter.data.contiguous()  # FSDP takes no channels-last weights
    single = {p for p in method.parameters() if p.ndim == 0}
    mesh = init_device_mesh(world.device.type, (world.size,))
    for part in method.modules():
        if isinstance(part, Block | SharedBlock):
            fully_shard(part, mesh=mesh)
    fully_shard(method, mesh=mesh, ignored_params=single)
    for parameter in single:
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(_mean_gradient)


def _mean_gradient(parameter: Tensor) -> None:
    if parameter.grad is not None:
        dist.all_reduce(parameter.grad)
        parameter.grad /= dist.get_world_size()


def clip_gradients(parameters: Iterable[nn.Parameter], most: float) -> None:
    """`clip_grad_norm_`, where some gradients are shared out and some are not."""
    learned = [p for p in parameters if p.grad is not None]
    kinds = [[p for p in learned if isinstance(p, DTensor) is shared] for shared in (False, True)]
    grads = [[p.grad for p in kind if p.grad is not None] for kind in kinds]
    norms = [_whole(torch.nn.utils.get_total_norm(kind)) for kind in grads]
    norm = torch.stack([n.to(norms[1].device) for n in norms]).norm()
    for kind in kinds:
        torch.nn.utils.clip_grads_with_norm_(kind, most, norm)


def put_together(value: Any, keep: bool) -> Any:
    """The same state without parts, on the CPU; only where it is to be kept, but all call."""
    if isinstance(value, DTensor):
        whole = value.full_tensor()
        return whole.cpu() if keep else None
    if isinstance(value, dict):
        return {name: put_together(each, keep) for name, each in value.items()}
    return value


def shared_out(part: nn.Module | Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """The same state in parts, as `part` has its own."""
    if isinstance(part, Optimizer):
        return _shared_moments(part, state)
    own = part.state_dict()
    return {name: _like(own.get(name), value) for name, value in state.items()}


def _shared_moments(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments = {
        number: {name: _like(parameters[number], value) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": moments}


def _like(own: Any, value: Any) -> Any:
    """Shared out as `own` is, where it is and the value has its shape."""
    if isinstance(own, DTensor) and isinstance(value, Tensor) and value.shape == own.shape:
        return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)
    return value


def _whole(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value
