"""Rates, limits and ratios of rounds whose seconds are known."""

from __future__ import annotations

from typing import Any

import pytest

from tipr.bench.speed_facts import STAGES, Round, rows, table

WORK: dict[str, Any] = {"image": 100, "text": 40, "search": 2000, "searched": "codes"}
PEAKS = {"images at once": 0.001, "one image": 0.002, "one text": 0.001, "texts at once": 0.002,
         "search": 0.0001}  # fmt: skip
TAKEN = {
    "decode alone": [2.0], "decode": [1.25], "preprocess alone": [1.0], "preprocess": [0.5],
    "images at once": [0.2], "one image": [0.3, 0.5], "one text": [0.1, 0.1],
    "texts at once": [0.08], "index": [3.4], "search": [0.3, 0.4, 1.4],
}  # fmt: skip


def slowed(times: float) -> dict[str, list[float]]:
    return {stage: [times * one for one in each] for stage, each in TAKEN.items()}


def told(rounds: list[Round]) -> dict[tuple[str, str], dict[str, Any]]:
    found = rows(rounds, {name: WORK for name in rounds[0].taken}, 2)
    return {(row["stage"], row["subject"]): row for row in found}


def test_limits_are_what_the_machine_did_at_best() -> None:
    found = told([Round(PEAKS, {"a": TAKEN})])
    reached = {stage: row["reached"] for (stage, _), row in found.items()}
    assert reached == pytest.approx({
        "decode": 2.0 / 2 / 1.25,
        "preprocess": 1.0 / 2 / 0.5,
        "image encoder, 64 at once": 0.1 / 0.2,
        "image encoder, 1 at a time": 0.2 / 0.4,
        "text encoder, 1 at a time": 0.04 / 0.1,
        "text encoder, 256 at once": 0.08 / 0.08,
        "index, decode to stored": ((2.0 + 1.0) / 2 + 0.2) / 3.4,
        "search, with its sentence": 0.2 / 0.4,
    })  # fmt: skip
    encoder = found["image encoder, 1 at a time", "a"]
    assert encoder["rate"] == pytest.approx(2.5) and encoder["limit"] == pytest.approx(5)
    assert [row["unit"] for row in found.values()] == ["crops"] * 4 + ["sentences"] * 2 + [
        "crops", "queries"]  # fmt: skip


def test_ratios_are_of_the_same_round() -> None:
    drifting = [Round(PEAKS, {"a": slowed(a), "b": slowed(b)})
                for a, b in ((1, 2), (10, 20), (3, 1))]  # fmt: skip
    found = told(drifting)
    assert {row["ratio"] for (_, name), row in found.items() if name == "a"} == {1}
    ratios = [row["ratio"] for (_, name), row in found.items() if name == "b"]
    assert ratios == pytest.approx([0.5] * 8)  # the medians' own would be 1.5
    assert found["decode", "b"]["rate"] == pytest.approx(1 / 2.5)


def test_what_is_reached_is_of_the_same_round() -> None:
    slow = {stage: 10 * peak for stage, peak in PEAKS.items()}
    rounds = [Round(PEAKS, {"a": slowed(5)}), Round(slow, {"a": slowed(10)}),
              Round(slow, {"a": slowed(20)})]  # fmt: skip
    row = told(rounds)["image encoder, 64 at once", "a"]
    assert row["reached"] == pytest.approx(0.25)  # the medians' own would be 0.5
    assert row["rate"] == pytest.approx(0.5) and row["limit"] == pytest.approx(1)


def test_single_items_have_their_percentiles_over_all_rounds() -> None:
    found = told([Round(PEAKS, {"a": slowed(times)}) for times in (1, 2, 3)])
    for stage in ("image encoder, 64 at once", "index, decode to stored", "decode"):
        assert found[stage, "a"]["p50_ms"] is None and found[stage, "a"]["p95_ms"] is None
    search = found["search, with its sentence", "a"]
    # 300 400 1400, 600 800 2800, 900 1200 4200
    assert search["p50_ms"] == pytest.approx(900)
    assert search["p95_ms"] == pytest.approx(4200 - 0.4 * 1400)


def test_limits_say_what_they_are() -> None:
    peaks = {stage: 1e-11 for stage in PEAKS} | {"search": 1e-10}
    work = {"image": 34.4e9, "text": 48e6, "search": 4_800_000, "searched": "codes"}
    found = rows([Round(peaks, {"a": TAKEN})], {"a": work}, 2)
    meanings = {row["stage"]: row["meaning"] for row in found}
    assert meanings["decode"] == "2 times what one thread does alone"
    assert meanings["image encoder, 64 at once"] == (
        "34.4 GFLOP at 100 GFLOP/s, a float32 matrix product")  # fmt: skip
    assert meanings["text encoder, 1 at a time"].startswith("0.048 GFLOP at 100 GFLOP/s")
    assert meanings["search, with its sentence"] == (
        "4.8 MB of codes read at 10.0 GB/s; its sentence alone takes 25% of the time")  # fmt: skip


def facts(names: list[str], held: int | None) -> dict[str, Any]:
    rounds = [Round(PEAKS, dict.fromkeys(names, TAKEN))]
    return {
        "crops": 64, "rows": 100_000, "rounds": 5, "hardware": "a processor", "torch": "2.6",
        "commit": "abc", "stages": rows(rounds, dict.fromkeys(names, WORK), 2),
        "subjects": {name: {"runtime": "PyTorch", "held": held} for name in names},
    }  # fmt: skip


def test_the_table_compares_only_where_there_are_several() -> None:
    alone = table(facts(["a"], 5 << 20)).splitlines()
    assert alone[0] == "| stage | rate | p50 ms | p95 ms | limit | reached | the limit is |"
    assert alone[4] == ("| image encoder, 64 at once | 5 crops/s | - | - | 10 crops/s | 50 % | "
                        "1e-07 GFLOP at 0 GFLOP/s, a float32 matrix product |")  # fmt: skip
    assert "- `a`: PyTorch, at most 5 MiB held." in alone
    assert alone[-1] == ("64 crops, 100,000 rows, 5 rounds; a processor, torch 2.6, commit abc.")
    both = table(facts(["a", "b|c"], None)).splitlines()
    assert both[0].startswith("| stage | model | rate | to the first | p50 ms |")
    assert both[3].startswith("| decode | b\\|c | 0.8 crops/s | 1.00 | - | - | 1 crops/s | 80 % |")
    assert "- `a`: PyTorch, memory not told." in both
    assert len([line for line in both if line.startswith("|")]) == 2 + 2 * sum(
        bool(label) for label in STAGES.values())  # fmt: skip
