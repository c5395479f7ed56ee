"""Where a run stands, written so that a kill or a full disk never costs the previous state."""

from __future__ import annotations

import math
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.amp.grad_scaler import GradScaler

from tipr.methods.method import Method
from tipr.objectives.gathering import gathered
from tipr.training.adaptation import Shipped
from tipr.training.draws import Draws, drawn_so_far, put_back
from tipr.training.parallel import Parallel

_UNREADABLE = (OSError, EOFError, LookupError, RuntimeError, TypeError, pickle.UnpicklingError)


@dataclass
class Progress:
    """What an epoch under way has come to."""

    steps: int = 0  # batches done
    sums: dict[str, float] = field(default_factory=dict)  # of every term of the loss
    summed: int = 0  # batches whose terms were finite
    skipped: int = 0  # steps that the gradient scaler left out

    def add(self, terms: dict[str, float]) -> None:
        self.steps += 1
        if all(math.isfinite(value) for value in terms.values()):
            self.summed += 1
            for name, value in terms.items():
                self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        return {name: value / self.summed for name, value in self.sums.items()}


@dataclass
class State:
    """All that changes during training. Processes that train together save and load together."""

    parallel: Parallel
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    scaler: GradScaler = field(default_factory=lambda: GradScaler("cpu", enabled=False))
    epoch: int = 0  # finished epochs
    best: float = -1.0  # the best validation score so far
    progress: Progress = field(default_factory=Progress)  # of the epoch after those
    logged: int | None = None  # bytes of the log that tell of what is done; None: all of them
    draws: Draws | None = None  # where this process's random numbers stood, if it is known
    shipped: Shipped = field(default_factory=Shipped)

    @property
    def method(self) -> Method:
        return self.parallel.method

    @property
    def device(self) -> torch.device:
        return self.parallel.world.device

    def save(self, path: Path) -> None:
        """Replaces the checkpoint in one step; only the first process writes."""
        values = self._values()
        if not self.parallel.world.is_first:
            return
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("wb") as file:
                torch.save(values, file)
                file.flush()
                os.fsync(file.fileno())  # or a power failure may leave the new name on no contents
            temporary.replace(path)
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            raise OSError(
                f"{path} could not be written ({error}); the checkpoint before it is intact: "
                "free some disk space, and --resume continues from it"
            ) from error

    def load(self, path: Path) -> None:
        """Continues from a checkpoint; raises ValueError when it does not fit."""
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
        except _UNREADABLE as error:
            raise ValueError(f"{path} cannot be read as a checkpoint: {error}") from error
        try:
            self.parallel.load(self.method, values["method"])
            self.parallel.load(self.optimizer, values["optimizer"])
            self.scheduler.load_state_dict(values["scheduler"])
            self.epoch, self.best = values["epoch"], values["best"]
            if "progress" in values:  # since it is saved within epochs
                self._load_rest(values)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not fit this experiment: {error}") from error

    def go_on(self) -> bool:
        """Puts random numbers back to where the checkpoint was written, if it is known."""
        if self.draws is None:
            return False
        put_back(self.draws, self.device)
        return True

    def _load_rest(self, values: dict[str, Any]) -> None:
        self.scaler.load_state_dict(values["scaler"])
        self.progress, self.logged = Progress(**values["progress"]), values["logged"]
        self.shipped.load_state_dict(values["shipped"])
        world, draws = self.parallel.world, values["draws"]
        self.draws = Draws(**draws[world.rank]) if len(draws) == world.size else None

    def _values(self) -> dict[str, Any]:
        return {
            "method": self.parallel.state(self.method),
            "optimizer": self.parallel.state(self.optimizer),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "best": self.best,
            "progress": vars(self.progress),
            "logged": self.logged,
            "shipped": self.shipped.state_dict(),
            "draws": _of_all(drawn_so_far(self.device)),
        }


def _of_all(draws: Draws) -> list[dict[str, Any]]:
    """Every process's, in the order of their ranks."""
    cpu = gathered(draws.cpu[None])
    gpu = [None] * len(cpu) if draws.gpu is None else gathered(draws.gpu[None])
    return [{"cpu": c.clone(), "gpu": g} for c, g in zip(cpu, gpu, strict=True)]
