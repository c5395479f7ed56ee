"""One table of several models on one split: scores with intervals, differences with tests.

Runs of one experiment that differ in their seed alone are one row. How far its numbers may be off:

one seed       people redrawn (`bootstrap`); holds for that training run alone
several seeds  variance over people and seeds at once (`intervals`)

Differences to the base are paired, query by query. With two seeds or more on both sides they are
paired by seed as well, and p is one minus the level at which the interval would just reach 0;
otherwise people exchange signs (`bootstrap.paired`). One p in twenty is below 0.05 by chance, so
p is also given as corrected for the number of comparisons (Holm, 1979), for each metric by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float64
from torch import Tensor

from tipr.evaluation.bootstrap import bootstrapped, paired
from tipr.evaluation.metrics import COLUMNS
from tipr.evaluation.runs import Run, on_one_split

LEVEL = 0.95
_HALVINGS = 60
_MOST_FREEDOM = 1e9  # as good as the normal distribution


@runtime_checkable
class Spread(Protocol):
    """A mean and where it may lie, for each metric."""

    @property
    def mean(self) -> Tensor: ...
    @property
    def low(self) -> Tensor: ...
    @property
    def high(self) -> Tensor: ...


@dataclass(frozen=True)
class Row:
    """The runs of one experiment; of a model whose seed is not known, that one."""

    name: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs if run.seed is not None]

    def stacked(self, seeds: Sequence[int] | None = None) -> Float64[Tensor, "S Q M"]:
        chosen = self.runs if seeds is None else [run for run in self.runs if run.seed in seeds]
        return torch.stack([run.values for run in chosen])

    def averaged(self) -> Float64[Tensor, "Q M"]:
        """Each query's mean over the runs."""
        return self.stacked().mean(dim=0)


def comparison(runs: Sequence[Run], base: str | None = None) -> dict[str, Any]:
    """All that the runs say about each other, ready for JSON; scores are fractions.

    `base` names the row that the others are compared to, the first when it is not given.

    Raises:
        ValueError: there is nothing to compare, the splits differ, or there is no such base.
    """
    if not runs:
        raise ValueError("give at least one evaluation to compare")
    rows = rows_of(on_one_split(runs))
    names = [row.name for row in rows]
    if base is not None and base not in names:
        raise ValueError(f"there is no row {base!r} to compare with; choose from "
                         f"{', '.join(names)}")  # fmt: skip
    chosen = rows[names.index(base)] if base is not None else rows[0]
    found = [_told(row, None if row is chosen else chosen) for row in rows]
    _correct([row["difference"] for row in found if row["difference"]])
    people = runs[0].person_ids
    return {
        "base": chosen.name,
        "level": LEVEL,
        "queries": len(people),
        "people": len(people.unique()),
        "gallery": runs[0].gallery,
        "rows": found,
    }


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """Runs of one experiment side by side, by seed; a seed that is there twice begins a new row."""
    groups: list[list[Run]] = []
    for run in runs:
        home = next((g for g in groups if _belongs(run, g)), None)
        if home is None:
            groups.append([run])
        else:
            home.append(run)
    ordered = [sorted(group, key=lambda run: run.seed or 0) for group in groups]
    return [Row(name, tuple(g)) for name, g in zip(_names(groups), ordered, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """Corrected for being several: the smallest times their number, and so on, never falling."""
    order = sorted(range(len(p)), key=p.__getitem__)
    corrected, highest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, p[index] * (len(p) - place)))
        corrected[index] = highest
    return corrected


def p_of(around: Callable[[float], Spread]) -> Float64[Tensor, " M"]:
    """One minus the level whose interval just reaches 0, where `around` gives that of a level.

    The intervals are Student's, so two of them tell the degrees of freedom: the fewer, the wider
    is the wide one beside the narrow one.
    """
    from scipy.stats import t as student

    wide, narrow = around(LEVEL), around(0.5)
    reach = (wide.high - wide.low) / 2
    ratio = (reach / ((narrow.high - narrow.low) / 2)).numpy()
    low, high = torch.zeros_like(reach), torch.full_like(reach, math.log(_MOST_FREEDOM))
    for _ in range(_HALVINGS):
        freedom = ((low + high) / 2).exp().numpy()
        usual = student.ppf((1 + LEVEL) / 2, freedom) / student.ppf(0.75, freedom)
        more = torch.from_numpy(usual > ratio)
        middle = (low + high) / 2
        low, high = torch.where(more, middle, low), torch.where(more, high, middle)
    freedom = high.exp().numpy()
    quantile = torch.from_numpy(student.ppf((1 + LEVEL) / 2, freedom))
    p = 2 * torch.from_numpy(student.sf((wide.mean.abs() * quantile / reach).numpy(), freedom))
    return torch.where(reach > 0, p, (wide.mean == 0).double())


def table(facts: dict[str, Any], metric: str = "R1") -> str:
    """The comparison as lines for a terminal; one metric with its interval and its tests."""
    if metric not in COLUMNS:
        raise ValueError(f"there is no metric {metric!r}; choose from {', '.join(COLUMNS)}")
    percent = f"{100 * facts['level']:.0f} %"
    head = ["", "seeds", *COLUMNS, f"{metric}, {percent}", "difference", "p", "p (Holm)"]
    rows = [head, *(_cells(row, metric) for row in facts["rows"])]
    wide = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, wide, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", *_legend(facts, metric)])


def _belongs(run: Run, group: Sequence[Run]) -> bool:
    same = run.group == group[0].group and run.seed is not None
    return same and all(run.seed != other.seed for other in group)


def _names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """A row of a table has its name, a saved evaluation the path of its first seed."""
    names: list[str] = []
    for group in groups:
        first = group[0]
        name = first.source if first.digests else first.group
        names.append(name if name not in names else f"{name} #{names.count(name) + 1}")
    return names


def _told(row: Row, base: Row | None) -> dict[str, Any]:
    return {
        "row": row.name,
        "records": [run.source for run in row.runs],
        "seeds": row.seeds,
        "runs": len(row.runs),
        "scores": _by_metric(_scores(row)),
        "difference": _difference(row, base) if base else None,
    }


def _scores(row: Row) -> Spread:
    people = row.runs[0].person_ids
    if len(row.runs) == 1:
        return bootstrapped(row.runs[0].values, people, level=LEVEL)
    from tipr.evaluation.intervals import interval  # asks for scipy

    return interval(row.stacked(), people, LEVEL)


def _difference(row: Row, base: Row) -> dict[str, Any]:
    """Of `row - base`: the interval and p of each metric, and what they hold for."""
    people = row.runs[0].person_ids
    pairs = _paired_seeds(row, base)
    if pairs is None:
        found = paired(row.averaged(), base.averaged(), people, level=LEVEL)
        return {"over": "people", "seeds": 1, **_by_metric(found, found.p)}
    from tipr.evaluation.intervals import difference

    mine, others = pairs

    def around(level: float) -> Spread:
        return difference(mine, others, people, level)

    told = _by_metric(around(LEVEL), p_of(around))
    return {"over": "people and seeds", "seeds": len(mine), **told}


def _paired_seeds(
    row: Row, base: Row
) -> tuple[Float64[Tensor, "S Q M"], Float64[Tensor, "S Q M"]] | None:
    """The seeds both have, or, with fewer than two in common, the first of each; None for one."""
    common = sorted(set(row.seeds) & set(base.seeds))
    if len(common) >= 2:
        return row.stacked(common), base.stacked(common)
    fewest = min(len(row.runs), len(base.runs))
    if fewest < 2:
        return None
    return row.stacked()[:fewest], base.stacked()[:fewest]


def _correct(differences: Sequence[dict[str, Any]]) -> None:
    for metric in COLUMNS:
        corrected = holm([found[metric]["p"] for found in differences])
        for found, p in zip(differences, corrected, strict=True):
            found[metric]["p_holm"] = p


def _by_metric(
    found: Spread, p: Float64[Tensor, " M"] | None = None
) -> dict[str, dict[str, float]]:  # fmt: skip
    parts = {"mean": found.mean, "low": found.low, "high": found.high}
    parts |= {} if p is None else {"p": p}
    return {
        name: {part: values[column].item() for part, values in parts.items()}
        for column, name in enumerate(COLUMNS)
    }


def _cells(row: dict[str, Any], metric: str) -> list[str]:
    scores, found = row["scores"], (row["difference"] or {}).get(metric)
    told = scores[metric]
    cells = [row["row"], str(row["runs"])]
    cells += [f"{100 * scores[name]['mean']:.2f}" for name in COLUMNS]
    cells.append(f"{100 * told['low']:.2f}..{100 * told['high']:.2f}")
    if found is None:
        return [*cells, "base", "", ""]
    difference = (f"{100 * found['mean']:+.2f} ({100 * found['low']:+.2f}.."
                  f"{100 * found['high']:+.2f})")  # fmt: skip
    return [*cells, difference, _p(found["p"]), _p(found["p_holm"])]


def _p(p: float) -> str:
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def _legend(facts: dict[str, Any], metric: str) -> list[str]:
    compared = [row for row in facts["rows"] if row["difference"]]
    told = [f"{facts['queries']} queries about {facts['people']} people, {facts['gallery']} "
            "pictures; per cent."]  # fmt: skip
    if compared:
        several = f"{len(compared)} comparison{'s' if len(compared) > 1 else ''}"
        told.append(f"Differences of {metric} to {facts['base']}, paired; p is two-sided, then "
                    f"corrected for {several}.")  # fmt: skip
    if any(row["difference"]["seeds"] not in (1, row["runs"]) for row in compared):
        told.append("Rows with other seeds than the base are compared on those of both.")
    alone = [row for row in facts["rows"] if row["runs"] == 1]
    if alone:
        told.append("With one seed, intervals and p tell what other people would have changed, not "
                    "what another seed would have.")  # fmt: skip
    return told
