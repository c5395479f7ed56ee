"""What a table says of values made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tipr.bench.ablation import run_folder
from tipr.bench.report import markdown, report, verdict, write_report
from tipr.experiments import clip
from tipr.experiments.table import Claim, Row, Table

PEOPLE = np.arange(60) // 3
BASE = np.random.default_rng(0).random((60, 5)) / 2
NOISE = np.random.default_rng(1).normal(size=(60, 5))
SEEDS = (0, 1, 2)


def put(out: Path, row: str, seed: int, values: np.ndarray, **facts: Any) -> None:
    folder = run_folder(out, row, seed)
    folder.mkdir(parents=True)
    np.savez(folder / "queries.npz", person_ids=facts.pop("people", PEOPLE), values=values)
    test = {"queries": len(values), "gallery": facts.pop("gallery", 20)}
    made = {"commit": None, "hardware": "a CPU", "torch": "2"}
    facts = {"seconds": 10.0, "test": test, **made, **facts}
    (folder / "result.json").write_text(json.dumps(facts))


def table(*rows: str, metric: Literal["R1", "mAP"] = "R1", longer: int = 1) -> Table:
    claims = tuple(
        Claim(says=f"{row} helps", better=row, worse="base", metric=metric) for row in rows
    )
    named = {name: Row(experiment=clip.tiny(), longer=longer) for name in rows}
    named = {"base": Row(experiment=clip.tiny()), **named}
    return Table(rows=named, base="base", claims=claims)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for seed in SEEDS:
        put(tmp_path, "base", seed, BASE)
        put(tmp_path, "better", seed, BASE + 0.1 + 0.01 * NOISE, seconds=15.0)
        put(tmp_path, "worse", seed, BASE - 0.1 + 0.01 * NOISE, seconds=5.0)
        put(tmp_path, "alike", seed, BASE + 0.1 * NOISE)
    return tmp_path


def test_claims_are_judged_by_the_interval_of_the_paired_difference(out) -> None:
    facts = report(table("better", "worse", "alike", "absent"), out, SEEDS)
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
    assert verdict({"mean": (low + high) / 2, "low": low, "high": high}, 3) == expected


@pytest.mark.parametrize(("seeds", "runs"), [([0], "one run"), ([0, 2], "two runs")])
def test_a_claim_is_not_judged_by_fewer_than_three_seeds(out, seeds, runs) -> None:
    facts = report(table("better", "absent"), out, seeds)
    judged, absent = facts["claims"]
    assert (judged["verdict"], absent["verdict"]) == (f"not judged ({runs})", "not measured")
    assert judged["difference"]["low"] > 0 and judged["seeds"] == seeds
    assert f"- **not judged ({runs})**: better helps (R@1 of better over base: +" in markdown(facts)
    assert ("holds for that training run alone" in markdown(facts)) == (len(seeds) == 1)


def test_a_claim_is_judged_by_the_seeds_that_both_rows_have(out) -> None:
    for seed in (2, 1):
        put(out, "part", seed, BASE + 0.1)
    assert report(table("part"), out, SEEDS)["claims"][0]["verdict"] == "not judged (two runs)"


def test_each_claim_shows_the_differences_of_single_seeds(out) -> None:
    for seed in SEEDS:
        put(out, "lucky", seed, BASE + 0.1 * seed - 0.05)
    facts = report(table("lucky"), out, SEEDS)
    claim = facts["claims"][0]
    assert claim["difference_of_each_seed"] == pytest.approx([-0.05, 0.05, 0.15])
    assert claim["difference"]["mean"] == pytest.approx(0.05)
    assert claim["verdict"] == "did not show"  # another three seeds might say otherwise
    assert "over base: +5.0 (-19.8..+29.8); seed by seed -5.0, +5.0, +15.0)" in markdown(facts)


def test_queries_without_a_match_count_nowhere(out) -> None:
    for seed in SEEDS:
        for row, values in (("left", BASE), ("right", BASE + 0.1)):
            values = values.copy()
            values[-3:] = np.nan
            put(out, row, seed, values)
    claim = report(Table(rows={row: Row(experiment=clip.tiny()) for row in ("left", "right")},
                         base="left", claims=(Claim(says="", better="right", worse="left"),)),
                   out, SEEDS)["claims"][0]  # fmt: skip
    assert claim["difference_of_each_seed"] == pytest.approx([0.1] * 3)


def test_longer_training_is_told_beside_the_row(out) -> None:
    facts = report(table("better", longer=2), out, SEEDS)
    assert (facts["rows"]["base"]["longer"], facts["rows"]["better"]["longer"]) == (1, 2)
    page = markdown(facts)
    assert "| better (2 times the epochs) | 3 | " in page and "| base | 3 | " in page


def test_a_further_measurement_stands_below_the_table(out) -> None:
    for seed in SEEDS[:2]:
        also = {"helped": {"R1": 0.5 + 0.1 * seed, "mAP": 0.4}}
        put(out, "rich", seed, BASE, also=also)
    facts = report(table("rich"), out, SEEDS)
    assert facts["rows"]["rich"]["also"]["helped"]["R1"] == pytest.approx(0.55)
    assert facts["rows"]["base"]["also"] == {}
    assert "- rich, helped: R@1 55.0, mAP 40.0" in markdown(facts)


def test_a_claim_is_judged_by_its_own_metric(out) -> None:
    values = BASE.copy()
    values[:, 3] += 0.1  # mAP alone
    for seed in SEEDS:
        put(out, "ranks", seed, values)
    by_r1 = report(table("ranks"), out, SEEDS)["claims"][0]
    by_map = report(table("ranks", metric="mAP"), out, SEEDS)["claims"][0]
    assert (by_r1["verdict"], by_map["verdict"]) == ("did not show", "showed")


def test_rows_hold_every_metric_with_its_interval_and_the_relative_time(out) -> None:
    rows = report(table("better", "worse"), out, SEEDS)["rows"]
    assert rows["base"]["difference"] is None
    assert (rows["better"]["relative_seconds"], rows["worse"]["relative_seconds"]) == (1.5, 0.5)
    for column, name in enumerate(("R1", "R5", "R10", "mAP", "mINP")):
        score = rows["base"]["scores"][name]
        assert score["mean"] == pytest.approx(BASE[:, column].mean())
        assert score["low"] < score["mean"] < score["high"]


def test_the_page_and_the_json_say_the_same(out) -> None:
    facts = report(table("better", "absent"), out, SEEDS)
    page = write_report(facts, out)
    assert (out / "table.md").read_text() == page == markdown(facts)
    assert json.loads((out / "table.json").read_text()) == facts
    assert "| better | 3 | " in page and "| 1.50 |" in page
    assert "- **showed**: better helps (R@1 of better over base: +" in page
    assert "- **not measured**: absent helps (R@1 of absent over base)" in page
    assert "No finished run yet: absent." in page and "hardware a CPU" in page


def test_runs_on_different_people_are_not_compared(out) -> None:
    put(out, "other", 0, BASE, people=PEOPLE + 1)
    put(out, "larger", 0, BASE, gallery=21)
    put(out, "fewer", 0, BASE[:30], people=PEOPLE[:30])
    for row in ("other", "larger", "fewer"):
        with pytest.raises(ValueError, match="different test splits"):
            report(table(row), out, SEEDS)


def test_a_table_without_runs_is_a_page_too(tmp_path) -> None:
    assert "No finished run yet: base, row." in markdown(report(table("row"), tmp_path, [0]))


def test_a_bar_in_a_name_does_not_end_its_cell(tmp_path) -> None:
    put(tmp_path, "base", 0, BASE)
    put(tmp_path, "a|b", 0, BASE)
    assert "| a\\|b | 1 |" in markdown(report(table("a|b"), tmp_path, [0]))
