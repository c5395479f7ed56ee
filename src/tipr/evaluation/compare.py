"""One table of several models on one split: scores with intervals, differences with tests.

Runs of one experiment that differ in their seed alone are one row. How far its numbers may be off:

one seed       people redrawn (`bootstrap`); holds for that training run alone
several seeds  variance over people and seeds at once (`intervals`)

Differences to the base are paired, query by query. With two seeds or more on both sides they are
paired by seed as well, and p is one minus the level at which the interval would just reach 0;
otherwise people exchange signs (`bootstrap.paired`). Simulated, two seeds without any difference
have p below 0.05 in up to 17 of 100 cases, so there p is not told; three have it in up to 10, so it
is told as optimistic. It is never below what exchanging the signs of so few people can give.

One p in twenty is below 0.05 by chance, so p is also given as corrected for the number of
comparisons (Holm, 1979), for each metric by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from tipr.evaluation.bootstrap import bootstrapped, caveat, paired, people_scored
from tipr.evaluation.metrics import COLUMNS
from tipr.evaluation.runs import Run, on_one_split
from tipr.evaluation.significance import LEVEL, Spread, holm, p_of

FEWEST = 3  # seeds that p is told of


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
    scored = people_scored(runs[0].values, people)
    return {
        "base": chosen.name,
        "level": LEVEL,
        "queries": len(people),
        "people": len(people.unique()),
        "gallery": runs[0].gallery,
        "rows": found,
        "caveats": [*_caveats(found), *filter(None, [caveat(scored)])],
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
        name = group[0].row or group[0].source
        numbered = (f"{name} #{number}" for number in count(2))
        names.append(next(n for n in chain([name], numbered) if n not in names))
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
    least = 2 * 0.5 ** people_scored(row.runs[0].values, people)  # exchanging signs gives no less
    pairs = _paired_seeds(row, base)
    if pairs is None:
        found = paired(row.averaged(), base.averaged(), people, level=LEVEL)
        return {"over": "people", "seeds": 1, **_tested(found, found.p.clamp(min=least))}
    from tipr.evaluation.intervals import difference

    mine, others = pairs

    def around(level: float) -> Spread:
        return difference(mine, others, people, level)

    p = p_of(around).clamp(min=least) if len(mine) >= FEWEST else None
    return {"over": "people and seeds", "seeds": len(mine), **_tested(around(LEVEL), p)}


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
    """Those without a p are no tests, so they are not counted."""
    for metric in COLUMNS:
        told = [found[metric] for found in differences if found[metric]["p"] is not None]
        for one, p in zip(told, holm([one["p"] for one in told]), strict=True):
            one["p_holm"] = p


def _tested(found: Spread, p: Float64[Tensor, " M"] | None) -> dict[str, dict[str, float | None]]:
    every = [None] * len(COLUMNS) if p is None else p.tolist()
    parts = zip(_by_metric(found).items(), every, strict=True)
    return {name: {**told, "p": one, "p_holm": one} for (name, told), one in parts}


def _by_metric(found: Spread) -> dict[str, dict[str, float]]:
    parts = {"mean": found.mean, "low": found.low, "high": found.high}
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


def _p(p: float | None) -> str:
    if p is None:
        return "-"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def _legend(facts: dict[str, Any], metric: str) -> list[str]:
    compared = [row for row in facts["rows"] if row["difference"]]
    told = [f"{facts['queries']} queries about {facts['people']} people, {facts['gallery']} "
            "pictures; per cent."]  # fmt: skip
    if compared:
        told.append(f"Differences of {metric} to {facts['base']}, paired.")
    if many := sum(row["difference"][metric]["p"] is not None for row in compared):
        told.append(f"p is two-sided, then corrected for {many} comparison"
                    f"{'' if many == 1 else 's'}.")  # fmt: skip
    return [*told, *facts["caveats"]]


def _caveats(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the numbers do not tell, in words."""
    base = next(row for row in rows if row["difference"] is None)
    over_seeds = [d["seeds"] for row in rows if (d := row["difference"]) and d["seeds"] > 1]
    told = []
    if any(max(row["runs"], base["runs"]) > 1 and row["seeds"] != base["seeds"] for row in rows):
        told.append("Rows with other seeds than the base are compared on those of both; without "
                    "two in common, on as many of each, and one run with the mean of "
                    "all.")  # fmt: skip
    if any(row["runs"] == 1 for row in rows):
        told.append("With one seed, intervals and p tell what other people would have changed, not "
                    "what another seed would have.")  # fmt: skip
    if any(seeds < FEWEST for seeds in over_seeds):
        told.append(f"Over fewer than {FEWEST} seeds no p is told: it would be far too small.")
    if any(seeds >= FEWEST for seeds in over_seeds):
        told.append(f"Over few seeds p is too small: with {FEWEST}, up to 10 of 100 comparisons "
                    "without any difference have p below 0.05.")  # fmt: skip
    return told
