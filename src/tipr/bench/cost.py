"""What methods cost beside one another: time and memory of a training step, and what they ship.

Times are taken in one process, one step of each method in turn, and compared within each round, so
that a machine that is slow for a while is slow for all. The work of preparing batches is left out.

What ships is an encoder, as its settings and its weights. Equal settings are the same work,
whatever the method that trained them, and are timed once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tipr.bench.memory import peak_memory
from tipr.bench.subjects import Subject, fed, made_up, subject, teacher_of
from tipr.embedder import pick_device
from tipr.experiments.find import experiment_names

BASE = "clip_sdm:small"
WARM_UP = 2  # rounds that are not counted


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One method; what is `relative` is compared with the base in the same rounds."""

    name: str
    step_seconds: float
    relative_step: float
    memory: int  # bytes; see `bench/memory.py`
    parameters: int  # of what ships: the encoder
    relative_parameters: float
    encode_seconds: float  # a batch of pictures and a batch of sentences
    relative_encode: float


def small_experiments() -> list[str]:
    """Every method's `small`, each after the `richer` that it learns from."""
    small = [name for name in experiment_names() if name.endswith(":small")]
    return [name for one in small for name in (teacher_of(one), one) if name]


def table(costs: Sequence[Cost]) -> str:
    """The costs as Markdown."""
    lines = ["| experiment | step | to base | MiB | ships | to base | encoding | to base |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for c in costs:
        lines.append(
            f"| {c.name} | {c.step_seconds:.3f} s | {c.relative_step:.2f} | {c.memory >> 20} | "
            f"{c.parameters:,} | {c.relative_parameters:.2f} | {c.encode_seconds:.3f} s | "
            f"{c.relative_encode:.2f} |"
        )
    return "\n".join(lines)


def measure(
    names: Sequence[str],
    data: Path | None = None,
    batch: int = 64,
    steps: int = 10,
    device: str = "auto",
    base: str = BASE,
) -> tuple[list[Cost], dict[str, str]]:
    """The cost of each experiment, the base first; and why some could not be measured.

    Without `data` the pictures are noise and the people made up, which changes no amount of work.

    Raises:
        ValueError: a number is too small, or the base cannot be built.
    """
    if batch < 4 or steps < 1:
        raise ValueError("--batch is at least 4 and --steps at least 1")
    place, skipped = pick_device(device), dict[str, str]()
    subjects, memory = dict[str, Subject](), dict[str, int]()
    with tempfile.TemporaryDirectory(prefix="tipr-cost-") as folder:
        root = data or made_up(Path(folder) / "data", batch)
        for name in dict.fromkeys([base, *names]):
            try:
                ready = subject(fed(name, root, batch, Path(folder)), root, place)
                memory[name] = peak_memory(name, root, batch, Path(folder), place)
                subjects[name] = ready
            except (ValueError, ImportError, RuntimeError) as error:
                if name == base:
                    raise
                skipped[name] = str(error)
    training = in_turn({name: s.step for name, s in subjects.items()}, steps, place)
    alike = {name: _first_alike(s, subjects) for name, s in subjects.items()}
    shipped = in_turn({n: subjects[n].encode for n in alike.values()}, steps, place)
    encoding = {name: shipped[alike[name]] for name in subjects}
    sizes = {name: _size(s) for name, s in subjects.items()}
    costs = [
        Cost(
            name=name,
            step_seconds=statistics.median(training[name]),
            relative_step=_relative(training[name], training[base]),
            memory=memory[name],
            parameters=sizes[name],
            relative_parameters=sizes[name] / sizes[base],
            encode_seconds=statistics.median(encoding[name]),
            relative_encode=_relative(encoding[name], encoding[base]),
        )
        for name in subjects
    ]
    return costs, skipped


def in_turn(
    works: dict[str, Callable[[], None]], rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each work in each round; a round does each once, beginning with another."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for number in range(WARM_UP + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken = _timed(works[name], device)
            if number >= WARM_UP:
                seconds[name].append(taken)
    return seconds


def _first_alike(one: Subject, subjects: dict[str, Subject]) -> str:
    """The first method that ships an encoder of the same settings."""
    config = one.encoder.config
    return next(name for name, other in subjects.items() if other.encoder.config == config)


def _timed(work: Callable[[], None], device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _relative(mine: Sequence[float], base: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(mine, base, strict=True))


def _size(of: Subject) -> int:
    return sum(p.numel() for p in of.encoder.parameters())
