"""Our evaluation beside the usual one, which holds all scores and sorts them: time and memory.

Both rank the same made-up embeddings, each in a process of its own, in turn: seconds are those of
the evaluation alone, memory is the most that its process held. `python -m tipr.bench.evaluation`
is such a process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tipr.evaluation.metrics import COLUMNS, measured
from tipr.evaluation.ranks import Items, products, ranks

_LAUNCHER = Path(__file__).with_name("measured.py")
USUAL_BYTES = 18  # of memory for each pair of a query and a picture
TOLERANCE = 1e-4  # two queries of 20,000: scores equal but for rounding may change places
_APART = 3.0  # how far items are from their person; half of ICFG-PEDES's number are found at once


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How much is compared. Item i shows person i modulo `people`."""

    queries: int = 19_848
    gallery: int = 19_848
    width: int = 512
    people: int = 1_000

    def __post_init__(self) -> None:
        if min(self.width, self.people) < 1 or min(self.queries, self.gallery) < self.people:
            raise ValueError("--width and --people are at least 1, and there is a query and a "
                             "picture of each person: raise --queries and --gallery")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Way:
    """What one way of evaluating took."""

    seconds: float  # on the clock, the median of all rounds
    busy: float  # of processor time, on all threads
    peak: int | None  # bytes held by the process, Python and torch included; None where not told
    scores: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both ways, and how many times as much the usual one takes; or ours alone."""

    shape: Shape
    rounds: int
    ours: Way
    usual: Way | None = None
    time_ratio: float | None = None  # on the clock, the median of the rounds' ratios
    memory_ratio: float | None = None
    difference: float | None = None  # the largest of any metric

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    shape: Shape,
    rounds: int = 3,
    announce: Callable[[str], None] | None = None,
    with_usual: bool = True,
) -> Comparison:
    """Runs both ways in turn, or ours alone.

    Raises:
        ValueError: a number is too small, or the usual way needs more memory than is free.
        RuntimeError: a process failed, or the two do not agree.
    """
    if rounds < 1:
        raise ValueError("--rounds is at least 1")
    if with_usual:
        _check_memory(shape)
    names = ("ours", "usual") if with_usual else ("ours",)
    took: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        for name, runs in took.items():
            if announce is not None:
                announce(f"{name}, round {number + 1} of {rounds}")
            runs.append(_in_a_process(name, shape))
    ours = _way(took["ours"])
    if not with_usual:
        return Comparison(shape=shape, rounds=rounds, ours=ours)
    usual = _way(took["usual"])
    apart = max(abs(ours.scores[name] - usual.scores[name]) for name in COLUMNS)
    if not apart <= TOLERANCE:
        raise RuntimeError(f"the two evaluations differ by {apart:.2g}: {ours.scores} and "
                           f"{usual.scores}; please report this")  # fmt: skip
    rows = zip(took["usual"], took["ours"], strict=True)
    return Comparison(
        shape=shape, rounds=rounds, ours=ours, usual=usual, difference=apart,
        time_ratio=statistics.median(a["seconds"] / b["seconds"] for a, b in rows),
        memory_ratio=usual.peak / ours.peak if usual.peak and ours.peak else None,
    )  # fmt: skip


def table(found: Comparison) -> str:
    """The comparison as Markdown."""
    lines = ["| evaluation | seconds | of processor | peak MiB | R@1 | mAP |"]
    lines.append("|---|---|---|---|---|---|")
    ways = [("ours", found.ours), ("usual", found.usual)]
    for name, way in ((name, way) for name, way in ways if way is not None):
        peak = "-" if way.peak is None else f"{way.peak >> 20:,}"
        scores = f"{100 * way.scores['R1']:.2f} | {100 * way.scores['mAP']:.2f}"
        lines.append(f"| {name} | {way.seconds:.1f} | {way.busy:.1f} | {peak} | {scores} |")
    ratio, s = found.memory_ratio, found.shape
    memory = "" if ratio is None else f" and {ratio:.1f} times the memory"
    told = (f"{s.queries:,} queries, {s.gallery:,} pictures of {s.people:,} people, width "
            f"{s.width}, rounds: {found.rounds}")  # fmt: skip
    if found.usual is not None:
        told = (f"The usual evaluation takes {found.time_ratio:.1f} times as long{memory}. {told}; "
                f"no metric differs by more than {found.difference:.1g}")  # fmt: skip
    return "\n".join([*lines, "", f"{told}."])


def ours(
    texts: Float[Tensor, "Q D"],
    images: Float[Tensor, "G D"],
    asked: Int[Tensor, " Q"],
    shown: Int[Tensor, " G"],
) -> dict[str, float]:
    """The evaluation of this package."""
    found = measured(ranks(products(texts, images), Items(asked), Items(shown)))
    metrics = found.averaged(len(images))
    return {name: getattr(metrics, name) for name in COLUMNS}


def usual(
    texts: Float[Tensor, "Q D"],
    images: Float[Tensor, "G D"],
    asked: Int[Tensor, " Q"],
    shown: Int[Tensor, " G"],
) -> dict[str, float]:
    """As it is usually written: all scores, a full sort, and the people in its order."""
    similarity = texts @ images.T
    order = similarity.argsort(dim=1, descending=True)
    del similarity
    matches = shown[order] == asked[:, None]
    del order
    places, counts = torch.arange(1, 1 + len(shown)), matches.sum(dim=1)
    precision = matches.cumsum(dim=1) / places
    average = (precision * matches).sum(dim=1) / counts
    del precision
    worst = (places * matches).amax(dim=1)
    scores = [matches[:, :k].any(dim=1) for k in (1, 5, 10)] + [average, counts / worst]
    return {name: s.double().mean().item() for name, s in zip(COLUMNS, scores, strict=True)}


_WAYS = {"ours": ours, "usual": usual}


def _made_up(shape: Shape) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Directions at random around those of their people."""
    random = torch.Generator().manual_seed(0)
    people = torch.randn(shape.people, shape.width, generator=random)
    asked, shown = (torch.arange(n) % shape.people for n in (shape.queries, shape.gallery))
    sides = []
    for who in (asked, shown):
        noise = torch.randn(len(who), shape.width, generator=random).mul_(_APART)
        sides.append(F.normalize(noise.add_(people[who])))
    return sides[0], sides[1], asked, shown


def _way(runs: list[dict[str, Any]]) -> Way:
    peaks = [run["peak"] for run in runs if run["peak"] is not None]
    return Way(
        seconds=statistics.median(run["seconds"] for run in runs),
        busy=statistics.median(run["busy"] for run in runs),
        peak=max(peaks, default=None),
        scores=runs[0]["scores"],
    )


def _in_a_process(name: str, shape: Shape) -> dict[str, Any]:
    sizes = [str(size) for size in asdict(shape).values()]
    words = [sys.executable, "-m", "tipr.bench.evaluation", name, *sizes]
    with tempfile.TemporaryDirectory() as folder:
        facts = Path(folder) / "facts.json"
        done = subprocess.run([sys.executable, "-P", str(_LAUNCHER), str(facts), *words],
                              capture_output=True, text=True, check=False)  # fmt: skip
        took = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {"code": "-"}
    if took["code"]:
        reason = done.stderr.strip().splitlines()[-1:] or ["no message; out of memory?"]
        raise RuntimeError(f"the evaluation {name!r} failed ({took['code']}): {reason[0]}")
    return {**json.loads(done.stdout), "peak": took["peak"]}


def _check_memory(shape: Shape) -> None:
    needed, free = USUAL_BYTES * shape.queries * shape.gallery, _free_memory()
    if free is not None and needed > free:
        raise ValueError(
            f"the usual evaluation of {shape.queries:,} x {shape.gallery:,} takes about "
            f"{needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free; choose less "
            "with --queries and --gallery"
        )


def _free_memory() -> int | None:
    """Bytes; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(found[0]) if found else None


def _process(name: str, *sizes: int) -> dict[str, Any]:
    """One evaluation, here."""
    queries, gallery, width, people = sizes
    made = _made_up(Shape(queries=queries, gallery=gallery, width=width, people=people))
    began, busy = time.perf_counter(), time.process_time()
    scores = _WAYS[name](*made)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    return {"seconds": seconds, "busy": busy, "scores": scores}


if __name__ == "__main__":
    _name, *_sizes = sys.argv[1:]
    print(json.dumps(_process(_name, *map(int, _sizes))))
