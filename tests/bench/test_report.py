"""What a table says of values made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tipr.bench.ablation import run_folder
from tipr.bench.report import markdown, report, verdict, write_report
from tipr.experiments import clip
from tipr.experiments.table import Claim, Row, Table

PEOPLE = np.arange(60) // 3
BASE = np.random.default_rng(0).random((60, 5)) / 2
NOISE = np.random.default_rng(1).normal(size=(60, 5))


def put(out: Path, row: str, seed: int, values: np.ndarray, **facts: object) -> None:
    folder = run_folder(out, row, seed)
    folder.mkdir(parents=True)
    np.savez(folder / "queries.npz", person_ids=facts.pop("people", PEOPLE), values=values)
    facts = {"seconds": 10.0, "commit": None, "hardware": "a CPU", "torch": "2", **facts}
    (folder / "result.json").write_text(json.dumps(facts))


def table(*rows: str, metric: str = "R1") -> Table:
    claims = tuple(
        Claim(says=f"{row} helps", better=row, worse="base", metric=metric) for row in rows
    )
    named = {name: Row(experiment=clip.tiny()) for name in ("base", *rows)}
    return Table(rows=named, base="base", claims=claims)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for seed in (0, 1):
        put(tmp_path, "base", seed, BASE)
        put(tmp_path, "better", seed, BASE + 0.1 + 0.01 * NOISE, seconds=15.0)
        put(tmp_path, "worse", seed, BASE - 0.1 + 0.01 * NOISE, seconds=5.0)
        put(tmp_path, "alike", seed, BASE + 0.1 * NOISE)
    return tmp_path


def test_claims_are_judged_by_the_interval_of_the_paired_difference(out) -> None:
    facts = report(table("better", "worse", "alike", "absent"), out, [0, 1])
    verdicts = [claim["verdict"] for claim in facts["claims"]]
    assert verdicts == ["showed", "the opposite", "did not show", "not measured"]
    assert facts["claims"][0]["difference"]["mean"] == pytest.approx(0.1, abs=0.01)
    assert facts["claims"][3]["difference"] is None


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.01, 0.02, "showed"), (0.0, 0.02, "did not show"), (-0.1, -0.01, "the opposite"),
     (-0.1, 0.0, "did not show"), (0.0, 0.0, "did not show")],
)  # fmt: skip
def test_an_interval_that_touches_zero_shows_nothing(low, high, expected) -> None:
    assert verdict({"mean": (low + high) / 2, "low": low, "high": high}) == expected


def test_a_claim_is_judged_by_its_own_metric(out) -> None:
    values = BASE.copy()
    values[:, 3] += 0.1  # mAP alone
    put(out, "ranks", 0, values)
    by_r1 = report(table("ranks"), out, [0, 1])["claims"][0]
    by_map = report(table("ranks", metric="mAP"), out, [0, 1])["claims"][0]
    assert (by_r1["verdict"], by_map["verdict"]) == ("did not show", "showed")
    assert by_map["seeds"] == [0]  # those that both rows have


def test_rows_hold_every_metric_with_its_interval_and_the_relative_time(out) -> None:
    rows = report(table("better", "worse"), out, [0, 1])["rows"]
    assert rows["base"]["difference"] is None
    assert (rows["better"]["relative_seconds"], rows["worse"]["relative_seconds"]) == (1.5, 0.5)
    for column, name in enumerate(("R1", "R5", "R10", "mAP", "mINP")):
        score = rows["base"]["scores"][name]
        assert score["mean"] == pytest.approx(BASE[:, column].mean())
        assert score["low"] < score["mean"] < score["high"]


def test_the_page_and_the_json_say_the_same(out) -> None:
    facts = report(table("better", "absent"), out, [0, 1])
    page = write_report(facts, out)
    assert (out / "table.md").read_text() == page == markdown(facts)
    assert json.loads((out / "table.json").read_text()) == facts
    assert "| better | 2 | " in page and "| 1.50 |" in page
    assert "- **showed**: better helps (R@1 of better over base: +" in page
    assert "- **not measured**: absent helps (R@1 of absent over base)" in page
    assert "No finished run yet: absent." in page and "hardware a CPU" in page


def test_runs_on_different_people_are_not_compared(out) -> None:
    put(out, "other", 0, BASE, people=PEOPLE + 1)
    with pytest.raises(ValueError, match="different test splits"):
        report(table("other"), out, [0, 1])


def test_a_table_without_runs_is_a_page_too(tmp_path) -> None:
    assert "No finished run yet: base, row." in markdown(report(table("row"), tmp_path, [0]))
