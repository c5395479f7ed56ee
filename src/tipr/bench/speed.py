"""How fast models decode, preprocess, encode, index and search, beside what the machine can do.

Every model, of every build of tipr, is measured by a process of its own (`speed_worker.py`). The
processes take turns stage by stage, beginning with another in each round, so that a machine that is
slow for a while is slow for all; what the machine itself can do is read just before each stage that
is judged by it. All numbers are seconds for one item, ratios are medians of the rounds' ratios.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import torch

from tipr.bench.gallery_vectors import people
from tipr.bench.input import photographs
from tipr.bench.machine import commit, machine
from tipr.bench.speed_facts import PEAKS, STAGES, Round, rows
from tipr.bench.subjects import COLOURS
from tipr.embedder import find_bundle

SOURCE = Path(__file__).parents[2]  # the folder that holds this tipr
SCRIPT = Path(__file__).with_name("speed_worker.py")
WARM_UP = 1  # rounds that are not counted
TEXTS = 4000  # sentences; no round of an ordinary bench sees one again
SENTENCE = "A {} with {} hair wears a {} {}, {} {} and {} shoes, and carries a {} {}."
WORDS = (
    ("young man", "woman", "pedestrian"),
    ("short", "long", "dark", "curly"),
    COLOURS,
    ("jacket", "striped shirt", "coat"),
    COLOURS,
    ("jeans", "trousers", "shorts"),
    COLOURS,
    ("small", "large"),
    ("backpack", "handbag", "suitcase"),
)

Told = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is measured: photographs, rows in the gallery, and how often."""

    crops: int = 512
    rows: int = 100_000
    rounds: int = 5

    def __post_init__(self) -> None:
        if min(self.crops, self.rows, self.rounds) < 1:
            raise ValueError("--crops, --rows and --rounds are at least 1")


class Asked(Protocol):
    """Whatever says how long a stage takes."""

    def run(self, stage: str) -> list[float]: ...


class Worker:
    """A process that measures a model (`name` of `words`) with the tipr that lies in `source`."""

    def __init__(self, name: str, source: Path, words: Sequence[str], log: Path) -> None:
        self.name, self._log = name, log
        command = [sys.executable, "-P", str(SCRIPT), *words]
        with log.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**os.environ, "PYTHONPATH": str(source)},
            )  # fmt: skip

    def ask(self, *order: str) -> Any:
        """Raises RuntimeError when the process has died, with what it said last."""
        inward, outward = self._process.stdin, self._process.stdout
        try:
            print(json.dumps(order), file=inward, flush=True)
            answer = outward.readline() if outward else ""
        except BrokenPipeError:
            answer = ""
        if answer:
            return json.loads(answer)
        status = self._process.wait()
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reason = said[-1] if said and status == 1 else f"its process ended with status {status}"
        raise RuntimeError(f"measuring {self.name} failed at {' '.join(order)}: {reason}")

    def run(self, stage: str) -> list[float]:
        return self.ask("run", stage)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(BrokenPipeError), self._process:  # of an order that it died before
            self._process.kill()


def measure(
    models: Sequence[str],
    amount: Amount,
    against: Path | None = None,
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Models of this build, and those of the build in `against`, to the first of them; JSON values.

    Raises:
        ValueError: there is no such model or no such build.
        RuntimeError: a model could not be measured.
    """
    for model in models:
        find_bundle(model)
    subjects = {model: (SOURCE, model) for model in models}
    if against is not None:
        if not (against / "tipr" / "__init__.py").is_file():
            raise ValueError(f"there is no tipr in {against}; --against takes the folder that "
                             "holds it, as the src of another checkout")  # fmt: skip
        subjects |= {f"{model} of {against}": (against.resolve(), model) for model in models}
    with tempfile.TemporaryDirectory(prefix="tipr-speed-") as folder, ExitStack() as stack:
        place = Path(folder)
        told("photographs")
        _prepare(place, amount)
        workers = {}
        for number, (name, (source, model)) in enumerate(subjects.items()):
            told(f"{name}: loading")
            worker = Worker(name, source, [model, folder], place / f"{number}.log")
            workers[name] = stack.enter_context(worker)
            _fill(workers[name], source, place, amount.rows, told)
        bare = stack.enter_context(Worker("the machine", SOURCE, [], place / "machine.log"))
        rounds = in_turn(bare, workers, amount.rounds, told)
        facts = {name: worker.ask("told") for name, worker in workers.items()}
        work = {model: workers[model].ask("work") for model in models}
    for name, (_, model) in subjects.items():
        facts[name] |= {"model": model, "work": work[model]}
    threads = torch.get_num_threads()
    return {
        "commit": commit(), **machine(torch.device("cpu")), "crops": amount.crops,
        "rows": amount.rows, "rounds": amount.rounds, "subjects": facts,
        "stages": rows(rounds, {name: one["work"] for name, one in facts.items()}, threads),
    }  # fmt: skip


def in_turn(bare: Asked, workers: Mapping[str, Asked], count: int, told: Told) -> list[Round]:
    """Every stage of every worker in every round; the first rounds do not count."""
    names, rounds = list(workers), []
    for number in range(WARM_UP + count):
        first = number % len(names)
        one = Round({}, {name: {} for name in names})
        for stage in STAGES:
            told(f"round {number} of {count}: {stage}" if number else f"warming up: {stage}")
            if stage in PEAKS:
                [one.peaks[stage]] = bare.run(PEAKS[stage])
            for name in names[first:] + names[:first]:
                one.taken[name][stage] = workers[name].run(stage)
        rounds.append(one)
    return rounds[WARM_UP:]


def sentences(count: int = TEXTS) -> list[str]:
    """Different ones of about 25 tokens."""
    drawn = random.Random(0).sample(list(product(*WORDS)), count)
    return [SENTENCE.format(*words) for words in drawn]


def _prepare(place: Path, amount: Amount) -> None:
    """Photographs and sentences, the same for all."""
    photographs(place, -(-amount.crops // 2))  # two of each person
    for path in sorted((place / "images").iterdir())[amount.crops :]:
        path.unlink()
    (place / "sentences.json").write_text(json.dumps(sentences()), encoding="utf-8")


def _fill(worker: Worker, source: Path, place: Path, rows: int, told: Told) -> None:
    """Gives it a gallery of made-up vectors as wide as its model's."""
    ready = worker.ask("ready")
    if Path(ready["tipr"]).resolve().parents[1] != source.resolve():
        raise RuntimeError(f"measuring {worker.name} failed: {ready['tipr']} was imported in place "
                           "of the build that is asked for")  # fmt: skip
    vectors = place / f"vectors-{ready['width']}"
    if not vectors.exists():
        vectors.mkdir()
        made = people(rows, ready["width"])
        np.save(vectors / "rows.npy", made.pictures)
        np.save(vectors / "queries.npy", made.sentences(200, 1))
    told(f"{worker.name}: a gallery of {rows:,} rows")
    worker.ask("fill", str(vectors))
