"""Comparisons on constructed runs whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from tipr.bench import ablation
from tipr.cli.compare import compare
from tipr.evaluation import runs as runs_module
from tipr.evaluation.bootstrap import bootstrapped, paired
from tipr.evaluation.compare import comparison, rows_of, table
from tipr.evaluation.intervals import difference, interval
from tipr.evaluation.metrics import COLUMNS
from tipr.evaluation.records import RecordError, recorded, write_record
from tipr.evaluation.runs import Run, read_runs
from tipr.evaluation.significance import Spread, holm, p_of
from tipr.evaluation.vectors import Vectors
from tipr.experiments import clip_sdm

PEOPLE = torch.arange(60) // 2


def run(name: str, seed: int | None = None, better: float = 0.0, luck: int = 0) -> Run:
    """Scores of 30 people; all runs of `luck` find the same people hard."""
    torch.manual_seed(luck)
    hard = torch.rand(30, 1, dtype=torch.float64)[PEOPLE]
    torch.manual_seed(1000 + 7 * (seed or 0) + sum(name.encode()))
    noise = 0.05 * torch.randn(60, 5, dtype=torch.float64)
    values = (0.5 + 0.3 * (hard - 0.5) + better + noise).clamp(0, 1)
    source = f"{name}/seed-{seed}" if seed is not None else name
    return Run(source=source, group=name, row=name, seed=seed, person_ids=PEOPLE, values=values,
               gallery=40)  # fmt: skip


def test_one_row_is_scored_as_the_bootstrap_scores_it() -> None:
    only = run("a")
    facts = comparison([only])
    found = bootstrapped(only.values, PEOPLE)
    row = facts["rows"][0]
    assert row["scores"]["mAP"]["low"] == found.low[3].item()
    assert (row["difference"], facts["base"], facts["people"], facts["gallery"]) == (
        None, "a", 30, 40)  # fmt: skip


def test_two_runs_are_tested_by_exchanging_people() -> None:
    a, b = run("a"), run("b", better=0.05)
    told = comparison([a, b])["rows"][1]["difference"]
    found = paired(b.values, a.values, PEOPLE)
    assert told["over"] == "people"
    assert told["R1"]["mean"] == pytest.approx((b.values - a.values)[:, 0].mean().item())
    assert (told["R1"]["low"], told["R1"]["p"]) == (found.low[0].item(), found.p[0].item())
    assert told["R1"]["p_holm"] == told["R1"]["p"]


def test_seeds_of_an_experiment_are_one_row() -> None:
    found = comparison([run("a", 1), run("b", 0, 0.1), run("a", 0), run("b", 1, 0.1)])
    assert [(row["row"], row["seeds"]) for row in found["rows"]] == [("a", [0, 1]), ("b", [0, 1])]
    a, b = (torch.stack([run(n, s, d).values for s in (0, 1)]) for n, d in (("a", 0), ("b", 0.1)))
    expected, apart = interval(a, PEOPLE), difference(b, a, PEOPLE)
    assert found["rows"][0]["scores"]["R5"]["low"] == pytest.approx(expected.low[1].item())
    told = found["rows"][1]["difference"]
    assert (told["over"], told["seeds"]) == ("people and seeds", 2)
    assert {(told[metric]["p"], told[metric]["p_holm"]) for metric in COLUMNS} == {(None, None)}
    assert told["R5"]["high"] == pytest.approx(apart.high[1].item())


def test_only_seeds_that_both_have_are_paired() -> None:
    runs = [*(run("a", s) for s in (0, 1)), *(run("b", s, 0.1) for s in (0, 1, 2))]
    found = comparison(runs)
    told = found["rows"][1]["difference"]
    a, b = (torch.stack([r.values for r in part]) for part in (runs[:2], runs[2:4]))
    assert told["mINP"]["mean"] == pytest.approx(difference(b, a, PEOPLE).mean[4].item())
    assert "on those of both" in table(found)


def test_one_seed_against_three_is_a_matter_of_people() -> None:
    found = comparison([run("a", 0), *(run("b", s, 0.1) for s in (0, 1, 2))])
    told = found["rows"][1]["difference"]
    mean = torch.stack([run("b", s, 0.1).values for s in (0, 1, 2)]).mean(dim=0)
    assert told["over"] == "people"
    assert told["R1"]["p"] == paired(mean, run("a", 0).values, PEOPLE).p[0].item()


def test_a_seed_that_is_there_twice_is_a_row_of_its_own() -> None:
    rows = rows_of([run("a", 0), run("a", 0, 0.1), run("a", 1)])
    assert [(row.name, row.seeds) for row in rows] == [("a", [0, 1]), ("a #2", [0])]
    again = rows_of([run("a"), run("a #2"), run("a"), run("a")])
    assert [row.name for row in again] == ["a", "a #2", "a #3", "a #4"]


def test_the_base_is_chosen_by_name() -> None:
    runs = [run("a"), run("b", better=0.1), run("c", better=0.2)]
    found = comparison(runs, base="c")
    assert found["rows"][2]["difference"] is None
    assert found["rows"][0]["difference"]["R1"]["mean"] < -0.15
    with pytest.raises(ValueError, match=r"no row 'd' .* choose from a, b, c"):
        comparison(runs, base="d")
    with pytest.raises(ValueError, match="at least one"):
        comparison([])


def test_p_is_corrected_for_the_number_of_comparisons() -> None:
    found = comparison([run("a"), run("b", better=0.01), run("c", better=0.2)])
    parts = [row["difference"]["R1"] for row in found["rows"][1:]]
    assert [part["p_holm"] for part in parts] == holm([part["p"] for part in parts])
    assert parts[1]["p_holm"] == pytest.approx(2 * parts[1]["p"])


def test_holm_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_p_and_bonferroni_in_the_same_order(p: list[float]) -> None:
    found = holm(p)
    assert all(a <= b <= min(1, a * len(p)) + 1e-12 for a, b in zip(p, found, strict=True))
    order = sorted(range(len(p)), key=p.__getitem__)
    assert [found[i] for i in order] == sorted(found)


@pytest.mark.parametrize("apart", [0.0, 0.003, 0.02, 0.2])
def test_p_is_where_the_interval_reaches_0(apart: float) -> None:
    torch.manual_seed(8)
    a, b = (torch.rand(3, 60, 2, dtype=torch.float64) for _ in range(2))
    p = p_of(lambda level: difference(a + apart, b, PEOPLE, level))
    for column in range(2):
        found = difference(a + apart, b, PEOPLE, 1 - p[column].item())
        edge = torch.minimum(found.low.abs(), found.high.abs())[column]
        assert edge.item() == pytest.approx(0, abs=1e-6)


def test_p_of_single_queries_is_students() -> None:
    torch.manual_seed(9)
    a, b = (torch.rand(1, 25, 1, dtype=torch.float64) for _ in range(2))
    p = p_of(lambda level: difference(a, b, torch.arange(25), level))
    assert p.item() == pytest.approx(ttest_rel(a[0, :, 0], b[0, :, 0]).pvalue, rel=1e-6)


def test_no_spread_at_all_is_certain_or_no_difference() -> None:
    a = torch.rand(2, 60, 1, dtype=torch.float64).round(decimals=1)
    assert p_of(lambda level: difference(a, a, PEOPLE, level)).item() == 1.0
    ones = torch.ones_like(a)
    assert p_of(lambda level: difference(ones, 0 * ones, PEOPLE, level)).item() == 0.0


def saved(folder: Path, people: list[int], seed: int = 0, order: int = 1, gallery: int = 9) -> Path:
    """An evaluation of captions `c0, c1, ...` by a model drawn from the seed."""
    from tipr.data.pairs import Pair

    torch.manual_seed(seed)
    shown = torch.arange(9)[:gallery] % 3
    texts, images = torch.randn(len(people), 4), torch.randn(gallery, 4)
    pairs = [
        Pair(Path(f"/d/{n % gallery}.png"), f"c{n}", person, image_id=n % gallery)
        for n, person in enumerate(people)
    ]
    vectors = Vectors(texts[::order] if order > 0 else texts.flip(0), images,
                      torch.tensor(people[::order]), shown)  # fmt: skip
    write_record(recorded(vectors, pairs[::order], {"data": "d", "split": "test"}), folder)
    return folder


ASKED = [n % 3 for n in range(27)]


def test_saved_evaluations_are_compared_in_any_order_of_queries(tmp_path: Path) -> None:
    runs = [read_runs(saved(tmp_path / name, ASKED, seed, order))[0]
            for name, seed, order in (("a", 1, 1), ("b", 1, -1), ("c", 2, 1))]  # fmt: skip
    found = comparison(runs)
    assert found["rows"][1]["difference"]["mAP"] == {
        "mean": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "p_holm": 1.0}  # fmt: skip
    assert found["rows"][2]["difference"]["mAP"]["mean"] != 0.0
    assert [row["row"] for row in found["rows"]] == [str(tmp_path / n) for n in "abc"]


def test_other_splits_are_refused_and_it_is_said_what_differs(tmp_path: Path) -> None:
    one = read_runs(saved(tmp_path / "a", ASKED))
    for name, people, gallery, message in (
        ("fewer", ASKED[:-3], 9, r"the queries \(27 and 24\)"),
        ("pictures", ASKED, 6, r"the gallery \(9 and 6 pictures\)"),
        ("people", ASKED[1:] + ASKED[:1], 9, "the pictures of the gallery, which caption"),
    ):
        other = read_runs(saved(tmp_path / name, people, gallery=gallery))
        with pytest.raises(ValueError, match=f"different splits.*{message}"):
            comparison([*one, *other])
    unlike = Run(source="t", group="t", person_ids=torch.tensor(ASKED).flip(0),
                 values=one[0].values, gallery=9)  # fmt: skip
    with pytest.raises(ValueError, match="whom the queries ask for"):
        comparison([*one, unlike])


def finished(folder: Path, row: str, seed: int, made: Run, **facts: object) -> Path:
    """A run as `tipr bench ablation` leaves it."""
    folder.mkdir(parents=True)
    np.savez(folder / "queries.npz", person_ids=made.person_ids.numpy(),
             values=made.values.numpy())  # fmt: skip
    told = {"row": row, "seed": seed, "test": {"queries": 60, "gallery": 40}, **facts}
    (folder / "result.json").write_text(json.dumps(told))
    return folder


def test_runs_of_an_ablation_are_read_one_by_one_by_row_or_all(tmp_path: Path) -> None:
    assert (runs_module.RESULT, runs_module.QUERIES) == (ablation.RESULT, ablation.QUERIES)
    for row, seed in (("A", 0), ("A", 1), ("B, longer", 0)):
        folder = ablation.run_folder(tmp_path, row, seed)
        finished(folder, row, seed, run(row, seed))
    everything, of_a = read_runs(tmp_path), read_runs(tmp_path / "A")
    assert [(r.row, r.seed) for r in everything] == [("A", 0), ("A", 1), ("B, longer", 0)]
    assert [r.seed for r in of_a] == [0, 1]
    (one,) = read_runs(tmp_path / "A" / "seed-1" / "result.json")
    assert one.values.equal(run("A", 1).values) and one.gallery == 40
    assert [row.name for row in rows_of(everything)] == ["A", "B, longer"]


def test_what_holds_nothing_or_is_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no evaluation"):
        read_runs(tmp_path)
    folder = finished(tmp_path / "A" / "seed-0", "A", 0, run("A", 0))
    (folder / "queries.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(RecordError, match=r"the run in .*seed-0 is damaged"):
        read_runs(tmp_path)
    (folder / "result.json").write_text("{}")
    with pytest.raises(RecordError, match="is damaged"):
        read_runs(folder)


def test_the_command_prints_one_table_or_json(tmp_path: Path, capsys) -> None:
    for row, better in (("A", 0.0), ("B", 0.2)):
        for seed in (0, 1, 2):
            finished(tmp_path / row / f"seed-{seed}", row, seed, run(row, seed, better))
    compare([tmp_path], metric="mAP")
    head, first, second, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:8] == ["seeds", "R1", "R5", "R10", "mAP", "mINP", "mAP,", "95"]
    assert first.split()[:2] == ["A", "3"] and first.endswith("base")
    assert second.startswith("B") and "<0.0001" in second and "+19.73" in second
    page = tmp_path / "page.md"
    page.write_text("<!-- t -->\n<!-- /t -->\n")
    compare([tmp_path / "A", tmp_path / "B"], base="B", into=f"{page}#t", as_json=True)
    facts = json.loads(capsys.readouterr().out)
    mean = facts["rows"][0]["difference"]["R1"]["mean"]
    assert mean < -0.15 and f"{100 * mean:+.2f} (" in page.read_text()
    assert (facts["base"], facts["metric"]) == ("B", "R1")
    with pytest.raises(ValueError, match="no metric 'R2'"):
        compare([tmp_path], metric="R2")


def test_one_seed_is_said_to_tell_of_its_run_alone() -> None:
    assert "With one seed" in table(comparison([run("a"), run("b")]))
    two = [run(name, seed) for name in "ab" for seed in (0, 1)]
    assert "With one seed" not in table(comparison(two))


def test_p_over_seeds_is_told_from_three_on() -> None:
    def told(seeds: int) -> tuple[dict, str]:
        facts = comparison([run(n, s, 0.1 * (n == "b")) for n in "ab" for s in range(seeds)])
        return facts, table(facts)

    two, shown = told(2)
    assert "no p is told" in shown and "two-sided" not in shown
    assert shown.splitlines()[2].split()[-2:] == ["-", "-"]
    assert any("no p is told" in line for line in two["caveats"])
    three, shown = told(3)
    assert three["rows"][1]["difference"]["R1"]["p"] < 0.001 and "no p is told" not in shown
    assert "Over few seeds p is too small" in shown
    alone = table(comparison([run("a"), run("b", better=0.1)]))
    assert "Over few" not in alone and "no p is told" not in alone


def test_those_without_a_p_are_not_counted_as_tests() -> None:
    runs = [run("a", s) for s in (0, 1)] + [run("b", s, 0.1) for s in (0, 1)] + [run("c", 0, 0.01)]
    facts = comparison(runs)
    told = facts["rows"][2]["difference"]["R1"]
    assert told["p_holm"] == told["p"] is not None and "for 1 comparison." in table(facts)


@pytest.mark.parametrize(("people", "seeds"), [(2, 1), (2, 3), (13, 1), (13, 3)])
def test_p_is_never_below_what_so_few_people_can_give(people: int, seeds: int) -> None:
    ids = torch.arange(people + 1).repeat(2)

    def of(name: str, seed: int, score: float) -> Run:
        values = torch.full((len(ids), 5), score, dtype=torch.float64)
        values[ids == people] = torch.nan  # not scored, so not counted
        return Run(source=name, group=name, seed=seed, person_ids=ids, values=values, gallery=4)

    found = comparison([of(n, s, float(n == "b")) for n in "ab" for s in range(seeds)])
    assert found["rows"][1]["difference"]["R1"]["p"] == pytest.approx(2 / 2**people)
    assert f"Only {people} people were scored" in found["caveats"][-1]


def test_a_base_of_more_runs_than_a_row_is_told() -> None:
    runs = [*(run("a", s) for s in (0, 1, 2)), *(run("b", s, 0.1) for s in (0, 1))]
    assert "on those of both" in table(comparison(runs))
    assert "on those of both" not in table(comparison([*runs, run("b", 2, 0.1)]))
    assert "on those of both" not in table(comparison([run("a", 0), run("b")]))


def test_seeds_that_are_not_common_are_paired_in_order() -> None:
    runs = [*(run("a", s) for s in (0, 1, 2)), *(run("b", s, 0.1) for s in (2, 3, 4, 5))]
    told = comparison(runs)["rows"][1]["difference"]
    a, b = (torch.stack([r.values for r in part]) for part in (runs[:3], runs[3:6]))
    expected = difference(b, a, PEOPLE)
    assert (told["over"], told["seeds"]) == ("people and seeds", 3)
    assert told["R1"]["mean"] == pytest.approx(expected.mean[0].item())
    assert told["R1"]["low"] == pytest.approx(expected.low[0].item())


def test_rows_of_other_tables_are_rows_of_their_own(tmp_path: Path) -> None:
    for seed, (out, lr) in enumerate((("A", 1.0), ("A", 1.0), ("B", 2.0), ("C", 1.0))):
        folder = finished(tmp_path / out / "SDM" / f"seed-{seed}", "SDM", seed, run("SDM", seed))
        base = clip_sdm.tiny()
        settings = replace(base, seed=seed, optim=replace(base.optim, lr=lr))
        (folder / "experiment.json").write_text(settings.to_json())
    runs = [one for out in "ABC" for one in read_runs(tmp_path / out)]
    assert [(row.name, row.seeds) for row in rows_of(runs)] == [("SDM", [0, 1, 3]), ("SDM #2", [2])]
    for file in tmp_path.rglob("experiment.json"):
        file.unlink()
    runs = [one for out in "ABC" for one in read_runs(tmp_path / out)]
    assert [row.seeds for row in rows_of(runs)] == [[0, 1], [2], [3]]


def test_tables_of_other_data_are_refused_where_they_tell(tmp_path: Path) -> None:
    digests = dict.fromkeys(("gallery", "captions", "queries", "cameras"), "x")
    others = {**digests, "captions": "y"}
    told = {"a": {"digests": digests}, "b": {"digests": others}, "old": {}}
    for name, more in told.items():
        finished(tmp_path / name / "seed-0", name, 0, run(name, 0), **more)
    a, b, old = (read_runs(tmp_path / name)[0] for name in ("a", "b", "old"))
    with pytest.raises(ValueError, match="they differ in the captions;"):
        comparison([a, b])
    assert [row["row"] for row in comparison([a, old])["rows"]] == ["a", "old"]
    turned = replace(a, source="t", person_ids=a.person_ids.flip(0))
    with pytest.raises(ValueError, match="the order of the queries"):
        comparison([a, turned])


def test_p_over_few_seeds_is_as_optimistic_as_it_is_said_to_be() -> None:
    """Worlds without any difference, where seeds vary about as much as people do."""
    worlds, people = 1500, torch.arange(60)
    below = {}
    for seeds in (2, 3):
        torch.manual_seed(5)
        luck, person, both = (
            torch.randn(*shape, worlds, dtype=torch.float64)
            for shape in ((seeds, 1), (60,), (seeds, 60))
        )
        found = 0.2 * luck + 0.3 * person + 0.1 * both

        def around(level: float, found: torch.Tensor = found) -> Spread:
            return difference(found, torch.zeros_like(found), people, level)

        below[seeds] = (p_of(around) < 0.05).double().mean().item()
    assert below[2] == pytest.approx(0.17, abs=0.01)  # so p is not told
    assert below[3] == pytest.approx(0.10, abs=0.01)  # so it is told with that
