"""How parameters move: groups by object, schedules as functions, the field's quirks by name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tipr.methods.method import Method
from tipr.training.experiment import OptimConfig


def build_optimizer(method: Method, config: OptimConfig) -> Optimizer:
    """The encoder at `lr`, everything else at `head_lr`; vectors at `bias_lr` times that."""
    encoder = set(method.encoder.parameters())
    groups = []
    for lr, members in (
        (config.lr, [p for p in method.parameters() if p in encoder]),
        (config.head_lr, [p for p in method.parameters() if p not in encoder]),
    ):
        trained = [p for p in members if p.requires_grad]
        decay = config.weight_decay
        matrices = [p for p in trained if p.ndim > 1]
        vectors = [p for p in trained if p.ndim <= 1]
        groups.append({"params": matrices, "lr": lr, "weight_decay": decay})
        groups.append({"params": vectors, "lr": config.bias_lr * lr,
                       "weight_decay": decay if config.decay_vectors else 0.0})  # fmt: skip
    optimizer = _algorithm([g for g in groups if g["params"]], config)
    fuse(optimizer)
    if config.half_weights:
        keep_half(optimizer, _halved(method))
    return optimizer


def _algorithm(groups: list[dict[str, Any]], config: OptimConfig) -> Optimizer:
    if config.algorithm == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.betas[0])
    if config.algorithm == "adam":  # decay joins the gradient, so it is scaled like one
        return torch.optim.Adam(groups, lr=config.lr, betas=config.betas, eps=config.epsilon)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.epsilon)


def fuse(optimizer: Optimizer) -> None:
    """All parameters of a group move in one pass, also after a checkpoint of before is loaded.

    Parameters that processes share out move as they did. The pass goes through memory as it lies
    and does not look how: on CPUs it silently updates the wrong numbers where a gradient or a
    moment lies otherwise than its parameter, as channels-last weights that were saved plain do.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    fused = {"fused": all(type(p) is nn.Parameter for p in parameters) or None}

    def lay_alike(*_: Any) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad = _laid(parameter.grad, parameter)
            state = optimizer.state.get(parameter, {})
            state.update({name: _laid(value, parameter) for name, value in state.items()})

    def keep_fused(_: Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
        return {**saved, "param_groups": [{**group, **fused} for group in saved["param_groups"]]}

    optimizer.register_load_state_dict_pre_hook(keep_fused)
    for group in optimizer.param_groups:
        group.update(fused)
    if fused["fused"]:
        optimizer.register_step_pre_hook(lay_alike)


def _laid(value: Any, parameter: Tensor) -> Any:
    """The tensor as the parameter lies in memory, where it has its shape."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    alike = value.stride() == parameter.stride()
    return value if alike else torch.empty_like(parameter).copy_(value)


def schedule(step: int, steps_per_epoch: int, config: OptimConfig) -> float:
    """Linear warm-up, then half a cosine to `floor`; in steps, or in whole epochs."""
    place = step // steps_per_epoch if config.by_epoch else step
    unit = 1 if config.by_epoch else steps_per_epoch
    warmup, total = round(config.warmup_epochs * unit), config.epochs * unit
    if place < warmup:
        first = 1 / warmup if config.warmup_from is None else config.warmup_from
        return first + (1 - first) * place / max(warmup - (config.warmup_from is None), 1)
    start = 0 if config.cosine_from_start else warmup
    done = min((place - start) / max(total - start, 1), 1.0)
    return config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * done))


def _halved(method: Method) -> list[nn.Parameter]:
    """What CLIP's `convert_weights` halves: linear and convolution layers, not norms or tables."""
    kinds = (nn.Linear, nn.Conv2d)
    return [p for m in method.modules() if isinstance(m, kinds) for p in m.parameters(False)]


def keep_half(optimizer: Optimizer, parameters: Iterable[nn.Parameter]) -> None:
    """Weights, gradients and the optimiser's state hold only what half precision can.

    IRRA and SEN train with half-precision weights, no master copy and no loss scaling: an update
    smaller than half the distance to the next half-precision number is lost, a gradient below
    6e-8 is zero. This reproduces those numbers on any device while computing in full precision.
    """
    halved = list(parameters)

    def before(*_: Any) -> None:
        for parameter in halved:
            if parameter.grad is not None:
                _round(parameter.grad)

    def after(*_: Any) -> None:
        for parameter in halved:
            _round(parameter.data)
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    _round(value)

    after()
    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)


def _round(values: Tensor) -> None:
    values.copy_(values.half())
