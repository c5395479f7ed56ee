"""Our training steps beside plain ones of the same loss (`bench/plain_step.py`).

Steps are timed in one process, ours and the plain one in turn, and compared within each round;
the peak of memory is of a process of its own for each (`bench/memory.py`).
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tipr.bench.cost import in_turn
from tipr.bench.memory import altered, peak_memory
from tipr.bench.plain_step import check_same_loss, plain_memory, plain_step, plain_subject
from tipr.bench.subjects import fed, made_up, subject
from tipr.embedder import pick_device
from tipr.training.freed import give_back

WAYS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "recompute norms": ("optim.recompute=norms",),
    "recompute blocks": ("optim.recompute=blocks",),
}  # what each changes
PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One way of ours; what is `relative` is compared with the plain step, below 1 is better."""

    name: str
    way: str
    seconds: float
    plain_seconds: float
    relative_time: float  # in the same rounds
    memory: int  # bytes
    plain_memory: int
    relative_memory: float


def measure(
    names: Sequence[str],
    batch: int = 64,
    steps: int = 10,
    device: str = "auto",
    announce: Callable[[str], None] | None = None,
) -> tuple[list[Step], dict[str, str]]:
    """Every way of every experiment, and why some could not be measured.

    The pictures are noise and the people made up, which changes no amount of work.

    Raises:
        ValueError: a number is too small.
    """
    if batch < 4 or steps < 1:
        raise ValueError("--batch is at least 4 and --steps at least 1")
    place, found, skipped = pick_device(device), list[Step](), dict[str, str]()
    with tempfile.TemporaryDirectory(prefix="tipr-step-") as folder:
        root = made_up(Path(folder) / "data", batch)
        for name in names:
            if announce is not None:
                announce(name)
            try:
                memory = _memory(name, root, batch, Path(folder), place)
                seconds = _seconds(name, root, batch, Path(folder), place, steps)
                found += [_step(name, way, seconds, memory) for way in WAYS]
            except (ValueError, ImportError, RuntimeError) as error:
                skipped[name] = str(error)
    return found, skipped


def table(found: Sequence[Step]) -> str:
    """The steps as Markdown."""
    lines = ["| experiment | step | time | plain | to plain | MiB | plain | to plain |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for s in found:
        lines.append(
            f"| {s.name} | {s.way} | {s.seconds:.3f} s | {s.plain_seconds:.3f} s | "
            f"{s.relative_time:.2f} | {s.memory >> 20:,} | {s.plain_memory >> 20:,} | "
            f"{s.relative_memory:.2f} |"
        )
    return "\n".join(lines)


def _memory(
    name: str, root: Path, batch: int, folder: Path, device: torch.device
) -> dict[str, int]:
    fed(name, root, batch, folder)  # a teacher is saved once, for all
    ours = {w: peak_memory(name, root, batch, folder, device, c) for w, c in WAYS.items()}
    return {PLAIN: plain_memory(name, root, batch, folder, device), **ours}


def _seconds(
    name: str, root: Path, batch: int, folder: Path, device: torch.device, rounds: int
) -> dict[str, list[float]]:  # fmt: skip
    """Of every way in every round.

    Raises:
        RuntimeError: the losses differ.
    """
    experiment = fed(name, root, batch, folder)
    plain = plain_subject(experiment, root, device)
    works: dict[str, Callable[[], None]] = {PLAIN: _with_memory(False, lambda: plain_step(plain))}
    for way, changes in WAYS.items():
        ours = subject(altered(experiment, changes), root, device)
        check_same_loss(ours, plain)
        works[way] = _with_memory(ours.experiment.optim.recompute != "none", ours.step)
    return in_turn(works, rounds, device)


def _with_memory(given_back: bool, step: Callable[[], object]) -> Callable[[], None]:
    """The step, with freed memory treated as it is where this way is the only one."""

    def done() -> None:
        give_back(given_back)
        step()

    return done


def _step(name: str, way: str, seconds: dict[str, list[float]], memory: dict[str, int]) -> Step:
    ratios = [mine / plain for mine, plain in zip(seconds[way], seconds[PLAIN], strict=True)]
    return Step(
        name=name,
        way=way,
        seconds=statistics.median(seconds[way]),
        plain_seconds=statistics.median(seconds[PLAIN]),
        relative_time=statistics.median(ratios),
        memory=memory[way],
        plain_memory=memory[PLAIN],
        relative_memory=memory[way] / memory[PLAIN],
    )
