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
from tipr.bench.speed_facts import ENCODERS, PEAKS, STAGES, Round, rows
from tipr.bench.subjects import COLOURS
from tipr.bench.untrained import NAMED, PLAIN, untrained
from tipr.embedder import find_bundle
from tipr.embedder.runtime import ENGINES, PYTORCH

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
    encoders: bool = False  # nothing but them

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
        if not model.startswith(NAMED):
            find_bundle(way_of(model)[0])
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
        begun = _begun(models, place, told)
        workers = {}
        for number, (name, (source, model)) in enumerate(subjects.items()):
            told(f"{name}: loading")
            worker = Worker(name, source, [*begun[model], folder], place / f"{number}.log")
            workers[name] = stack.enter_context(worker)
            _check_build(worker, source)
            if not amount.encoders:
                _fill(worker, place, amount.rows, told)
        bare = stack.enter_context(Worker("the machine", SOURCE, [], place / "machine.log"))
        stages = ENCODERS if amount.encoders else tuple(STAGES)
        rounds = in_turn(bare, workers, amount.rounds, told, stages)
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


def in_turn(
    bare: Asked, workers: Mapping[str, Asked], count: int, told: Told,
    stages: Sequence[str] = tuple(STAGES),
) -> list[Round]:  # fmt: skip
    """Every stage of every worker in every round; the first rounds do not count."""
    names, rounds = list(workers), []
    for number in range(WARM_UP + count):
        first = number % len(names)
        one = Round({}, {name: {} for name in names})
        for stage in stages:
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


def way_of(name: str) -> tuple[str, str]:
    """`MODEL@WAY` apart; the way is empty where none is named."""
    model, at, way = name.rpartition("@")
    named = at and way.partition(":")[0] in (PLAIN, PYTORCH, *ENGINES)
    return (model, way) if named else (name, "")


def _begun(models: Sequence[str], place: Path, told: Told) -> dict[str, tuple[str, str]]:
    """Where each lies, and its way; what is untrained is made, once, with graphs if one of its ways
    is one."""
    pictures, begun = sorted((place / "images").iterdir()), {}
    ways = [way_of(model) for model in models]
    for model, (name, way) in zip(models, ways, strict=True):
        if not name.startswith(NAMED):
            begun[model] = name, way
            continue
        out = place / name.replace(":", "-")
        graphs = any(o == name and w not in ("", PLAIN, PYTORCH) for o, w in ways)
        if not out.exists():
            told(f"{name}: making")
            untrained(name.removeprefix(NAMED), out, pictures, sentences(), graphs)
        begun[model] = str(out), way or (PYTORCH if graphs else "")
    return begun


def _check_build(worker: Worker, source: Path) -> None:
    ready = worker.ask("ready")
    if Path(ready["tipr"]).resolve().parents[1] != source.resolve():
        raise RuntimeError(f"measuring {worker.name} failed: {ready['tipr']} was imported in place "
                           "of the build that is asked for")  # fmt: skip


def _fill(worker: Worker, place: Path, rows: int, told: Told) -> None:
    """Gives it a gallery of made-up vectors as wide as its model's."""
    width = worker.ask("ready")["width"]
    vectors = place / f"vectors-{width}"
    if not vectors.exists():
        vectors.mkdir()
        made = people(rows, width)
        np.save(vectors / "rows.npy", made.pictures)
        np.save(vectors / "queries.npy", made.sentences(200, 1))
    told(f"{worker.name}: a gallery of {rows:,} rows")
    worker.ask("fill", str(vectors))
