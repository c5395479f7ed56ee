"""`tipr compare`: several models on one split, in one table with significance."""

from __future__ import annotations

from pathlib import Path

from tipr.cli.options import Into, Json, told


def compare(
    records: list[Path],
    /,
    *,
    metric: str = "R1",
    base: str | None = None,
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Compare models that were measured on the same split; runs of several seeds are one row.

    Parameters
    ----------
    records
        Folders that `tipr eval --save` wrote, or folders of `tipr bench ablation`: a run, a row or
        a whole table.
    metric
        R1, R5, R10, mAP or mINP: the one shown with its interval, its differences and their p.
    base
        The row that the others are compared to, by its name in the table; the first by default.
    """
    from tipr.evaluation.compare import comparison, table
    from tipr.evaluation.runs import read_runs

    facts = comparison([run for record in records for run in read_runs(record)], base)
    told(table(facts, metric), into, {"metric": metric, **facts} if as_json else None, fixed=True)
