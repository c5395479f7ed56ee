from __future__ import annotations

import json
from pathlib import Path

import pytest

from tipr.evaluation.selection import selection


def run(folder: Path, rows: list[tuple[str, int, float]]) -> Path:
    (folder / "last").mkdir()
    lines = [
        {"time": 0.0, "kind": kind, "step": epoch, "R1": score / 2, "R5": score, "mAP": score}
        for kind, epoch, score in rows
    ]
    lines.append({"time": 0.0, "kind": "train", "step": 3, "itc": 1.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


VAL = [("val", 1, 0.2), ("val", 2, 0.4), ("val", 3, 0.4), ("val", 4, 0.3)]


def test_the_epoch_is_chosen_on_validation_whatever_test_says(tmp_path) -> None:
    test = [("test", 1, 0.9), ("test", 2, 0.1), ("test", 3, 0.2), ("test", 4, 0.3)]
    found = selection(run(tmp_path, VAL + test))
    assert found is not None
    assert (found.best_on_val, found.last, found.best_on_test) == (2, 4, 1)  # the first of equals
    assert found.test[1] == {"R1": 0.45, "R5": 0.9, "mAP": 0.9}
    assert "not a result" in found.to_json()["best_on_test_is"]


def test_a_run_that_never_looked_at_test_tells_nothing_of_it(tmp_path) -> None:
    found = selection(run(tmp_path, VAL))
    assert found is not None
    assert found.best_on_test is None and "best_on_test_is" not in found.to_json()


def test_a_bundle_or_an_unfinished_run_has_no_selection(tmp_path) -> None:
    assert selection(tmp_path) is None
    run(tmp_path, VAL)
    (tmp_path / "last").rmdir()
    assert selection(tmp_path) is None
    (tmp_path / "last").mkdir()
    (tmp_path / "metrics.jsonl").write_text("")
    assert selection(tmp_path) is None


@pytest.mark.parametrize("damaged", ["{", "[]", '{"kind": "val"}', '{"kind": "val", "step": 1}'])
def test_a_damaged_log_is_named(tmp_path, damaged) -> None:
    run(tmp_path, VAL)
    (tmp_path / "metrics.jsonl").write_text(damaged)
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged"):
        selection(tmp_path)
