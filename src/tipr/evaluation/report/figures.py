"""The plots of a report, each with a line on what it shows and its numbers as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float32
from torch import Tensor

from tipr.evaluation.openset import Calibration
from tipr.evaluation.report.contents import Contents
from tipr.evaluation.report.plots import (
    Axis,
    Look,
    Markup,
    Point,
    Series,
    columns,
    curves,
    linear,
    logarithmic,
    percents,
)

_KS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # of the table
_RANKS = (1, 5, 10, 50, 100)  # the last of each column
_BINS = 40


@dataclass(frozen=True, kw_only=True)
class Figure:
    title: str
    svg: Markup
    note: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def recall(found: Contents) -> Figure:
    """R@k of both directions, and of a gallery in random order."""
    most = max(found.t2i.gallery, found.i2t.gallery)
    ways: dict[str, tuple[Callable[[int], float], int, Look]] = {
        "text to image": (found.t2i.found, found.t2i.gallery, "solid"),
        "image to text": (found.i2t.found, found.i2t.gallery, "dashed"),
        "random order, text to image": (found.t2i.by_chance, found.t2i.gallery, "dotted"),
    }
    series = [
        Series(name=name, look=look, points=[(k, 100 * at(k)) for k in _spread(gallery)])
        for name, (at, gallery, look) in ways.items()
    ]
    ks = [k for k in _KS if k <= found.t2i.gallery]
    rows = [
        (f"{k:,}", *(percent(at(k)) if k <= size else "-" for at, size, _ in ways.values()))
        for k in ks
    ]
    title = "R@k: a right result among the first k"
    told = f"R@k rises from {rows[0][1]} % at k = {rows[0][0]} to {rows[-1][1]} % at {rows[-1][0]}."
    return Figure(
        title=title,
        svg=curves(title, told, logarithmic("k", 1, most), percents("% of queries"), series),
        note="The share of queries with a right result among the first k; those without a match "
        "are left out.",
        head=("k", *(f"{name}, %" for name in ways)),
        rows=rows,
    )


def first_ranks(found: Contents) -> Figure:
    """How many queries find their person first at which ranks."""
    ranks, queries = found.record.ranks, len(found.record.ranks)
    ends = [0, *_RANKS]
    counts = {
        str(last) if last == before + 1 else f"{before + 1}-{last}":
            int(((ranks > before) & (ranks <= last)).sum())
        for before, last in pairwise(ends)
    }  # fmt: skip
    counts[f"over {ends[-1]}"] = int((ranks > ends[-1]).sum())
    counts["no match"] = int((ranks == 0).sum())
    shares = [(name, 100 * count / queries) for name, count in counts.items()]
    title = "Where the first right picture ranks"
    told = ", ".join(f"{name}: {share:.1f} %" for name, share in shares)
    return Figure(
        title=title,
        svg=columns(title, told, "rank of the first right picture", shares),
        note="Every caption of the split is in one column.",
        head=("rank", "queries"),
        rows=[(name, f"{count:,}") for name, count in counts.items()],
    )


def scores(found: Contents) -> Figure:
    """How the best right and the best wrong picture of every query score."""
    sides = {"best right picture": found.record.scores, "best wrong picture": found.record.others}
    known = {name: values[~values.isnan()] for name, values in sides.items()}
    ends = torch.cat(list(known.values()))
    x = linear("score (cosine)", ends.min().item(), ends.max().item())
    looks: tuple[Look, ...] = ("solid", "dashed")
    series = [
        Series(name=name, look=look, points=_steps(values, x))
        for (name, values), look in zip(known.items(), looks, strict=True)
    ]
    tallest = max((y for one in series for _, y in one.points), default=1.0)
    title = "Scores of right and wrong pictures"
    rows = [_spreading(name, values) for name, values in known.items()]
    told = "; ".join(f"{row[0]}: median {row[3]}" for row in rows)
    return Figure(
        title=title,
        svg=curves(title, told, x, linear("% of queries in a bin", 0, tallest), series),
        note="The more the two overlap, the less a score alone tells whether a picture is right.",
        head=("picture", "queries", "5 % below", "median", "5 % above"),
        rows=rows,
    )


def detections(found: Contents) -> Figure:
    """Detection and identification at every false-alarm rate."""
    absent = found.open_set.absent
    points = [(100 * d.asked, 100 * d.rate) for d in found.detections]
    title = "Open set: who is found at which false-alarm rate"
    rows = [
        (f"{100 * d.asked:g}", percent(d.false_alarms), f"{d.threshold:.4f}", percent(d.rate))
        for d in found.open_set.detections
    ]
    told = "; ".join(f"{rate} % are found at {asked} % allowed" for asked, _, _, rate in rows)
    x = logarithmic("false alarms allowed, % of absent queries", 100 / max(absent, 2), 100)
    return Figure(
        title=title,
        svg=curves(title, told, x, percents("% of present queries"), [
            Series(name="found with the right person first", look="solid", points=points)
        ]),
        note=f"A threshold that lets at most so many of the {absent:,} absent queries raise an "
        f"alarm; one of them alone is {100 / absent:.2g} %.",
        head=("allowed, %", "false alarms, %", "threshold", "found, %"),
        rows=rows,
    )  # fmt: skip


def calibrated(known: Calibration) -> Figure:
    """What is said to be right and what is, in bins of equal size."""
    points = [(100 * b.predicted, 100 * b.observed) for b in known.bins]
    name = f"one of {len(points)} equal parts of the queries"
    title = "Calibration: is the first picture as often right as its score says?"
    told = f"ECE {percent(known.ece)} %, Brier score {known.brier:.4f}."
    series = [
        Series(name="as it should be", look="dotted", points=[(0, 0), (100, 100)]),
        Series(name=name, look="marks", points=points),
    ]
    return Figure(
        title=title,
        svg=curves(title, told, percents("said to be right, %"), percents("are right, %"), series),
        note=f"{told} ECE is the mean distance of the marks from the line.",
        head=("said, %", "right, %", "queries"),
        rows=[(percent(b.predicted), percent(b.observed), f"{b.queries:,}") for b in known.bins],
    )


def _spread(most: int) -> list[int]:
    """Ranks from 1 to the last, dense where a logarithmic axis shows it."""
    exact = torch.logspace(0, math.log10(most), 60, dtype=torch.float64)
    return sorted({*exact.round().long().tolist(), most})


def _steps(values: Float32[Tensor, " Q"], x: Axis) -> list[Point]:
    """A histogram as the line along its top."""
    if not len(values):
        return []
    counts = torch.histc(values.double(), _BINS, x.low, x.high) / len(values)
    edges = torch.linspace(x.low, x.high, _BINS + 1, dtype=torch.float64).tolist()
    heights = [100 * count for count in counts.tolist()]
    tops = [
        point for height, (left, right) in zip(heights, pairwise(edges), strict=True)
        for point in ((left, height), (right, height))
    ]  # fmt: skip
    return [(edges[0], 0.0), *tops, (edges[-1], 0.0)]


def _spreading(name: str, values: Sequence[float] | Tensor) -> tuple[str, ...]:
    known = torch.as_tensor(values).double()
    ends = known.quantile(torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)).tolist()
    return (name, f"{len(known):,}", *(f"{end:.4f}" for end in ends))


def percent(share: float) -> str:
    return f"{100 * share:.2f}"
