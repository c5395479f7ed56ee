"""Which model of a run is reported: the last, the best on validation, and the best on test.

Only the first two are results. The best on test is what much of the field prints, since its code
chooses the epoch on the test split; it is told for comparison with such numbers, and marked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

METRICS, LAST = "metrics.jsonl", "last"  # of a run's folder


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Epochs by number from 1; test scores where the run told them (`log.test`)."""

    best_on_val: int
    last: int
    best_on_test: int | None = None
    test: dict[int, dict[str, float]]  # by epoch

    def to_json(self) -> dict[str, Any]:
        facts = asdict(self)
        if self.best_on_test is not None:
            facts["best_on_test_is"] = "chosen on the test split: not a result"
        return facts


def selection(run: Path) -> Selection | None:
    """What a finished run's log says; None where there is no such run.

    Raises:
        ValueError: the log cannot be read.
    """
    if not (run / METRICS).is_file() or not (run / LAST).is_dir():
        return None
    try:
        rows = [json.loads(line) for line in (run / METRICS).read_text("utf-8").splitlines()]
        scores = {kind: _by_epoch(rows, kind) for kind in ("val", "test")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{run / METRICS} is damaged ({error}); evaluate {run / 'best'} "
                         "alone") from error  # fmt: skip
    val, test = scores["val"], scores["test"]
    if not val:
        return None
    chosen = _highest(test) if test else None
    return Selection(best_on_val=_highest(val), last=max(val), best_on_test=chosen, test=test)


def _by_epoch(rows: list[dict[str, Any]], kind: str) -> dict[int, dict[str, float]]:
    told = [row for row in rows if row["kind"] == kind]
    return {int(row["step"]): {n: float(row[n]) for n in ("R1", "R5", "mAP")} for row in told}


def _highest(scores: dict[int, dict[str, float]]) -> int:
    """The first epoch with the highest mAP, which is what training keeps."""
    return max(scores, key=lambda epoch: (scores[epoch]["mAP"], -epoch))
