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
    if config.half_weights:
        keep_half(optimizer, _halved(method))
    return optimizer


def _algorithm(groups: list[dict[str, Any]], config: OptimConfig) -> Optimizer:
    if config.algorithm == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.betas[0])
    if config.algorithm == "adam":  # decay joins the gradient, so it is scaled like one
        return torch.optim.Adam(groups, lr=config.lr, betas=config.betas, eps=config.epsilon)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.epsilon)


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
