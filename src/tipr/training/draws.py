"""Where random numbers stand, noted and put back: what was drawn can be drawn again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The state of the CPU's generator, and of a GPU's where one computes."""

    cpu: Tensor
    gpu: Tensor | None = None


def drawn_so_far(device: torch.device) -> Draws:
    gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return Draws(cpu=torch.get_rng_state(), gpu=gpu)


def put_back(draws: Draws, device: torch.device) -> None:
    """What is drawn after this is what was drawn after `draws` was noted."""
    torch.set_rng_state(draws.cpu)
    if draws.gpu is not None and device.type == "cuda":
        torch.cuda.set_rng_state(draws.gpu, device)


@contextmanager
def drawn_again(draws: Draws, device: torch.device) -> Generator[None]:
    """Within, draws repeat themselves; afterwards they go on as if nothing had been drawn."""
    now = drawn_so_far(device)
    put_back(draws, device)
    try:
        yield
    finally:
        put_back(now, device)
