"""Work for several processes that know each other, as torchrun's do; on the CPU, without a port."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing


def together(work: Callable[..., Any], folder: Path, *arguments: Any, size: int = 2) -> list[Any]:
    """What `work(*arguments)` returns in each of `size` processes, in the order of ranks."""
    torch.multiprocessing.spawn(_joined, (work, folder, size, arguments), nprocs=size)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(size)]


def _joined(
    rank: int, work: Callable[..., Any], folder: Path, size: int, arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder / 'meeting'}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    try:
        torch.save(work(*arguments), folder / f"{rank}.pt")
    finally:
        dist.destroy_process_group()
