"""Where a run stands, written so that a kill or a full disk never costs the previous state."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

_UNREADABLE = (OSError, EOFError, LookupError, RuntimeError, TypeError, pickle.UnpicklingError)


@dataclass
class State:
    """All that changes during training."""

    method: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    epoch: int = 0  # finished epochs
    best: float = -1.0  # the best validation score so far

    def save(self, path: Path) -> None:
        """Replaces the checkpoint in one step."""
        temporary = path.with_suffix(".part")
        try:
            torch.save(self._values(), temporary)
            temporary.replace(path)
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            raise OSError(
                f"{path} could not be written ({error}); the checkpoint before it is intact. "
                "Free some disk space and continue with --resume"
            ) from error

    def load(self, path: Path) -> None:
        """Continues from a checkpoint; raises ValueError when it does not fit."""
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
        except _UNREADABLE as error:
            raise ValueError(f"{path} cannot be read as a checkpoint: {error}") from error
        try:
            self.method.load_state_dict(values["method"])
            self.optimizer.load_state_dict(values["optimizer"])
            self.scheduler.load_state_dict(values["scheduler"])
            self.epoch, self.best = values["epoch"], values["best"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(f"{path} does not fit this experiment: {error}") from error

    def _values(self) -> dict[str, Any]:
        return {
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "epoch": self.epoch,
            "best": self.best,
        }
