"""How precisely a training step computes, and how its small gradients survive half precision."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext

import torch
from torch.amp.grad_scaler import GradScaler
from torch.nn.attention import SDPBackend, sdpa_kernel

from tipr.training.experiment import Precision


def products_in(device: torch.device, precision: Precision) -> torch.dtype | None:
    """What products are computed in; None leaves them in the weights' own precision.

    Raises:
        ValueError: the device has no bfloat16.
    """
    cuda = device.type == "cuda"
    if precision in ("bf16", "mixed"):
        if cuda and not torch.cuda.is_bf16_supported():
            raise ValueError("this GPU has no bfloat16; set optim.precision to fp16 or full")
        return torch.bfloat16
    if precision == "fp16":
        return torch.float16
    native = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if precision == "auto" and native else None


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Generator[None]:
    """The wanted precision; on CPUs also plain attention, whose backward pass is the faster one."""
    lower = products_in(device, precision)
    plain = sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
    with torch.autocast(device.type, lower, enabled=lower is not None), plain:
        yield


def gradient_scaler(device: torch.device, precision: Precision) -> GradScaler:
    """Lifts losses so that gradients stay above half precision's smallest; else does nothing."""
    return GradScaler(device.type, enabled=products_in(device, precision) is torch.float16)
