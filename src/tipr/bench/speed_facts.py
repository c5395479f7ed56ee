"""What the rounds of `tipr bench speed` say: rates, ratios, and how near the machine's limit.

A stage's limit is the time that its work takes at the best that the machine showed in the same
round, and `reached` is how much of the stage's own time that is.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tipr.bench.pages import escaped

STAGES = {  # in the order they run, and what they are called; "" are measured for another's limit
    "decode alone": "",
    "decode": "decode",
    "preprocess alone": "",
    "preprocess": "preprocess",
    "images at once": "image encoder, 64 at once",
    "one image": "image encoder, 1 at a time",
    "one text": "text encoder, 1 at a time",
    "texts at once": "text encoder, 256 at once",
    "index": "index, decode to stored",
    "search": "search, with its sentence",
}
ENCODERS = ("images at once", "one image", "one text", "texts at once")
PEAKS = {  # what the machine is asked for just before
    "images at once": "matrix", "one image": "matrix",
    "one text": "matrix", "texts at once": "matrix", "search": "memory",
}  # fmt: skip
WORK = {
    "images at once": "image", "one image": "image",
    "one text": "text", "texts at once": "text", "search": "search",
}  # fmt: skip
_UNITS = {"one text": "sentences", "texts at once": "sentences", "search": "queries"}
_HEAD = ["stage", "model", "rate", "to the first", "p50 ms", "p95 ms", "limit", "reached",
         "the limit is"]  # fmt: skip
_SINGLE = ("one image", "one text", "search")

Work = Mapping[str, Any]  # FLOPs of an image and of a text, bytes of a search, what it reads


@dataclass(frozen=True)
class Round:
    """Seconds: of a FLOP or a byte at best, before a stage; of an item, by worker and stage."""

    peaks: dict[str, float]
    taken: dict[str, dict[str, list[float]]]

    def seconds(self, worker: str, stage: str) -> float:
        return statistics.median(self.taken[worker][stage])

    def limit(self, worker: str, stage: str, work: Work, threads: int) -> float:
        """Seconds for an item, were the machine used to its full."""
        if stage in WORK:
            return work[WORK[stage]] * self.peaks[stage]
        if stage != "index":
            return self.seconds(worker, f"{stage} alone") / threads
        alone = sum(self.seconds(worker, f"{part} alone") for part in ("decode", "preprocess"))
        return alone / threads + self.seconds(worker, "images at once")


def rows(rounds: Sequence[Round], work: Mapping[str, Work], threads: int) -> list[dict[str, Any]]:
    """One for each stage and worker, as JSON values; ratios are to the first worker."""
    measured = next(iter(rounds[0].taken.values()))
    return [
        _row(rounds, name, stage, work[name], threads)
        for stage, told in STAGES.items()
        if told and stage in measured
        for name in work
    ]


def _row(
    rounds: Sequence[Round], name: str, stage: str, work: Work, threads: int
) -> dict[str, Any]:
    taken = [one.seconds(name, stage) for one in rounds]
    limits = [one.limit(name, stage, work, threads) for one in rounds]
    first = next(iter(rounds[0].taken))
    each = [seconds for one in rounds for seconds in one.taken[name][stage]]
    half, most = (1000 * float(np.percentile(each, share)) for share in (50, 95))
    return {
        "stage": STAGES[stage],
        "subject": name,
        "unit": _UNITS.get(stage, "crops"),
        "rate": 1 / statistics.median(taken),
        "ratio": statistics.median(one.seconds(first, stage) / one.seconds(name, stage)
                                   for one in rounds),
        "p50_ms": half if stage in _SINGLE else None,
        "p95_ms": most if stage in _SINGLE else None,
        "limit": 1 / statistics.median(limits),
        "reached": statistics.median(a / b for a, b in zip(limits, taken, strict=True)),
        "meaning": _meaning(rounds, name, stage, work, threads),
    }  # fmt: skip


def _meaning(
    rounds: Sequence[Round], name: str, stage: str, work: Work, threads: int
) -> str:  # fmt: skip
    """What the limit is."""
    if stage == "index":
        return "decode, preprocess and encoder as fast as alone, and no core ever idle"
    if stage not in WORK:
        return f"{threads} times what one thread does alone"
    amount, speed = work[WORK[stage]], 1e-9 / statistics.median(r.peaks[stage] for r in rounds)
    if stage != "search":
        return f"{amount / 1e9:.3g} GFLOP at {speed:.0f} GFLOP/s, a float32 matrix product"
    text = statistics.median(r.seconds(name, "one text") / r.seconds(name, stage) for r in rounds)
    return (f"{amount / 1e6:.3g} MB of {work['searched']} read at {speed:.1f} GB/s; its sentence "
            f"alone takes {text:.0%} of the time")  # fmt: skip


def table(facts: Mapping[str, Any]) -> str:
    """Markdown: the stages, then what ran and how much memory it held."""
    several = len(facts["subjects"]) > 1
    cells = [_HEAD, ["---"] * len(_HEAD), *(_cells(row) for row in facts["stages"])]
    shown = [line if several else [line[0], line[2], *line[4:]] for line in cells]
    lines = [f"| {' | '.join(line)} |" for line in shown]
    lines += ["", *(_ran(name, one) for name, one in facts["subjects"].items())]
    counted = f"{facts['crops']:,} crops, {facts['rows']:,} rows, {facts['rounds']} rounds"
    made_with = f"{facts['hardware']}, torch {facts['torch']}, commit {facts['commit']}"
    return "\n".join([*lines, "", f"{counted}; {made_with}."])


def _cells(row: Mapping[str, Any]) -> list[str]:
    singles = ("-" if row[p] is None else f"{row[p]:.1f}" for p in ("p50_ms", "p95_ms"))
    return [row["stage"], escaped(row["subject"]), f"{_short(row['rate'])} {row['unit']}/s",
            f"{row['ratio']:.2f}", *singles, f"{_short(row['limit'])} {row['unit']}/s",
            f"{_short(100 * row['reached'])} %", row["meaning"]]  # fmt: skip


def _ran(name: str, one: Mapping[str, Any]) -> str:
    held = "memory not told" if one["held"] is None else f"at most {one['held'] >> 20:,} MiB held"
    return f"- `{name}`: {one['runtime']}, {held}."


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
