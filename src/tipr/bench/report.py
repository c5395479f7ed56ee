"""What a table of runs says: numbers with intervals, differences to the base row, claims judged."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tipr.bench.ablation import FAILED, QUERIES, RESULT, run_folder
from tipr.bench.pages import escaped
from tipr.evaluation.intervals import Interval, difference, interval
from tipr.evaluation.metrics import COLUMNS
from tipr.experiments.table import Claim, Table

LEVEL = 0.95
FEWEST = 3  # seeds that a claim is judged by
_LABELS = {"R1": "R@1"}
MADE_WITH = ("commit", "hardware", "torch")


@dataclass(frozen=True)
class Measured:
    """One finished run."""

    person_ids: Tensor
    values: Tensor  # queries x COLUMNS
    facts: dict[str, Any]


Runs = dict[str, dict[int, Measured]]  # by row and seed


def report(table: Table, out: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """All that the finished runs below `out` say, ready for JSON; scores are fractions.

    Raises:
        ValueError: the runs were measured on different test splits.
    """
    runs: Runs = {row: _finished(out, row, seeds) for row in table.rows}
    _check(runs)
    made = [run.facts for by_seed in runs.values() for run in by_seed.values()]
    return {
        "base": table.base,
        "level": LEVEL,
        "rows": {name: _row(runs, name, table) for name in table.rows},
        "failed": _failures(table, out, seeds),
        "claims": [_judged(runs, claim) for claim in table.claims],
        "made_with": {key: sorted({str(facts.get(key)) for facts in made}) for key in MADE_WITH},
    }


def write_report(facts: dict[str, Any], out: Path) -> str:
    """Writes `table.json` and `table.md` into `out`; the latter's text."""
    text = markdown(facts)
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (out / "table.md").write_text(text, encoding="utf-8", newline="\n")
    return text


def _finished(out: Path, row: str, seeds: Sequence[int]) -> dict[int, Measured]:
    found = {}
    for seed in seeds:
        folder = run_folder(out, row, seed)
        if (folder / RESULT).is_file():
            facts = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            with np.load(folder / QUERIES, allow_pickle=False) as arrays:
                people, values = (torch.from_numpy(arrays[n]) for n in ("person_ids", "values"))
            found[seed] = Measured(people, values, facts)
    return found


def _failures(table: Table, out: Path, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Runs that did not finish, each with its reason."""
    places = [(row, seed, run_folder(out, row, seed)) for row in table.rows for seed in seeds]
    return [
        {"row": row, "seed": seed,
         "reason": json.loads((folder / FAILED).read_text(encoding="utf-8"))["reason"]}
        for row, seed, folder in places if (folder / FAILED).is_file()
    ]  # fmt: skip


def _check(runs: Runs) -> None:
    found = [run for by_seed in runs.values() for run in by_seed.values()]
    sizes = {(run.facts["test"]["queries"], run.facts["test"]["gallery"]) for run in found}
    if len(sizes) > 1 or any(not run.person_ids.equal(found[0].person_ids) for run in found):
        raise ValueError("the runs were measured on different test splits, which cannot be "
                         "compared; choose another --out")  # fmt: skip


def _row(runs: Runs, name: str, table: Table) -> dict[str, Any]:
    """One row's scores, and its paired differences to the base over the seeds both have."""
    mine, base = runs[name], table.base
    if not mine:
        return {"seeds": []}
    found = interval(_stacked(mine, mine), _people(mine), LEVEL)
    compared = None if name == base else _compared(runs, name, base)
    return {
        "seeds": list(mine),
        "longer": table.rows[name].longer,
        "scores": _by_metric(found),
        "difference": _by_metric(compared) if compared else None,
        "seconds": statistics.median(run.facts["seconds"] for run in mine.values()),
        "relative_seconds": _relative_seconds(mine, runs[base]),
        "also": _also(mine),
    }


def _compared(runs: Runs, one: str, other: str) -> Interval | None:
    """`one` minus `other`, on the same people and the same seeds."""
    seeds = _common(runs, one, other)
    if not seeds:
        return None
    a, b = runs[one], runs[other]
    return difference(_stacked(a, seeds), _stacked(b, seeds), _people(a), LEVEL)


def _common(runs: Runs, one: str, other: str) -> list[int]:
    return sorted(set(runs[one]) & set(runs[other]))


def _judged(runs: Runs, claim: Claim) -> dict[str, Any]:
    compared = _compared(runs, claim.better, claim.worse)
    found = _by_metric(compared)[claim.metric] if compared else None
    seeds = _common(runs, claim.better, claim.worse)
    better, worse = runs[claim.better], runs[claim.worse]
    apart = [_mean(better[seed], claim.metric) - _mean(worse[seed], claim.metric) for seed in seeds]
    return {
        "says": claim.says, "better": claim.better, "worse": claim.worse, "metric": claim.metric,
        "verdict": verdict(found, len(seeds)), "difference": found,
        "seeds": seeds, "difference_of_each_seed": apart,
    }  # fmt: skip


def verdict(found: dict[str, float] | None, seeds: int) -> str:
    """Whether the interval of the paired difference lies above 0, given seeds enough to tell."""
    if found is None:
        return "not measured"
    if seeds < FEWEST:
        return f"not judged ({'one run' if seeds == 1 else 'two runs'})"
    if found["low"] > 0:
        return "showed"
    return "the opposite" if found["high"] < 0 else "did not show"


def _mean(run: Measured, metric: str) -> float:
    return run.values[:, COLUMNS.index(metric)].nanmean().item()


def _also(mine: dict[int, Measured]) -> dict[str, dict[str, float]]:
    """Further measurements: of each the mean over the seeds that have it."""
    found = [run.facts.get("also", {}) for run in mine.values()]
    names = dict.fromkeys(name for also in found for name in also)
    return {name: _means([also[name] for also in found if name in also]) for name in names}


def _means(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.fmean(values[key] for values in found) for key in found[0]}


def _stacked(runs: dict[int, Measured], seeds: Sequence[int] | dict[int, Measured]) -> Tensor:
    return torch.stack([runs[seed].values for seed in seeds])


def _people(runs: dict[int, Measured]) -> Tensor:
    return next(iter(runs.values())).person_ids


def _by_metric(found: Interval) -> dict[str, dict[str, float]]:
    columns = zip(found.mean.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    return {
        name: {"mean": mean, "low": low, "high": high}
        for name, (mean, low, high) in zip(COLUMNS, columns, strict=True)
    }


def _relative_seconds(mine: dict[int, Measured], base: dict[int, Measured]) -> float | None:
    ratios = [mine[s].facts["seconds"] / base[s].facts["seconds"] for s in mine if s in base]
    return statistics.median(ratios) if ratios else None


def markdown(facts: dict[str, Any]) -> str:
    """The report as a page: the table, the claims, what failed, what it was made with."""
    base = escaped(facts["base"])
    rows = {name: row for name, row in facts["rows"].items() if row["seeds"]}
    lines = [
        f"| row | seeds | R@1 | mAP | R@1 to {base} | mAP to {base} | training time |",
        "|---|---|---|---|---|---|---|",
        *(_line(name, row) for name, row in rows.items()),
        "",
        _legend(facts),
        *_measured_also(rows),
    ]
    absent = [name for name in facts["rows"] if name not in rows]
    if absent:
        lines += ["", f"No finished run yet: {', '.join(absent)}."]
    if facts["claims"]:
        lines += ["", *(_claim_line(claim) for claim in facts["claims"])]
    if facts["failed"]:
        lines += ["", *(f"- failed: {f['row']}, seed {f['seed']}: {_one_line(f['reason'])}"
                        for f in facts["failed"])]  # fmt: skip
    made = "; ".join(f"{key} {', '.join(seen)}" for key, seen in facts["made_with"].items() if seen)
    return "\n".join([*lines, "", *([f"Made with {made}."] if made else [])]).rstrip() + "\n"


def _legend(facts: dict[str, Any]) -> str:
    told = (
        f"Text to image on the test split, per cent, with {100 * facts['level']:.0f} % intervals "
        "over people and seeds; differences are paired; training time relative to "
        f"{facts['base']}."
    )
    if any(len(row["seeds"]) == 1 for row in facts["rows"].values()):
        told += " An interval of one seed holds for that training run alone."
    return told


def _measured_also(rows: dict[str, Any]) -> list[str]:
    """A line for each further measurement of a row."""
    lines = []
    for row, facts in rows.items():
        for name, values in facts["also"].items():
            told = ", ".join(f"{_LABELS.get(k, k)} {100 * v:.1f}" for k, v in values.items())
            lines.append(f"- {row}, {name}: {told}")
    return ["", *lines] if lines else []


def _line(name: str, row: dict[str, Any]) -> str:
    scores, differences = row["scores"], row["difference"]
    longer = "" if row["longer"] == 1 else f" ({row['longer']} times the epochs)"
    cells = [escaped(name) + longer, str(len(row["seeds"]))]
    cells += [_shown(scores[metric]) for metric in ("R1", "mAP")]
    for metric in ("R1", "mAP"):
        cells.append(_shown(differences[metric], "+") if differences else "-")
    relative = row["relative_seconds"]
    cells.append("-" if relative is None else f"{relative:.2f}")
    return "| " + " | ".join(cells) + " |"


def _claim_line(claim: dict[str, Any]) -> str:
    metric = _LABELS.get(claim["metric"], claim["metric"])
    told = ""
    if claim["difference"]:
        apart = ", ".join(f"{100 * apart:+.1f}" for apart in claim["difference_of_each_seed"])
        told = f": {_shown(claim['difference'], '+')}; seed by seed {apart}"
    compared = f"{metric} of {claim['better']} over {claim['worse']}{told}"
    return f"- **{claim['verdict']}**: {claim['says']} ({compared})"


def _shown(found: dict[str, float], sign: str = "") -> str:
    mean, low, high = (format(100 * found[key], f"{sign}.1f") for key in ("mean", "low", "high"))
    return f"{mean} ({low}..{high})"


def _one_line(text: str) -> str:
    return " ".join(text.split())
