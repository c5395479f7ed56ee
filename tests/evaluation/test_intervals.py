"""Intervals against cases worked by hand and against simulated worlds whose truth is known."""

from __future__ import annotations

import math
import runpy
import sys

import pytest
import torch
from references.intervals import degrees_of_freedom, variances
from references.matching import average_precision
from scipy.stats import t as student

from tipr.evaluation import intervals
from tipr.evaluation.intervals import Interval, difference, interval
from tipr.evaluation.metrics import averaged, per_query, retrieval_metrics

WORLDS, PEOPLE, EACH = 600, 60, 4
ASKED = torch.arange(PEOPLE * EACH) // EACH


def column(*seeds: list[float]) -> torch.Tensor:
    """One metric: a list of its values for the queries, for each seed."""
    return torch.tensor(seeds, dtype=torch.float64)[..., None]


def reach(found: Interval) -> torch.Tensor:
    return (found.high - found.low) / 2


def compared(luck: float, person: float, run: float, seeds: int = 3) -> Interval:
    """Differences in worlds where the truth is 0; deviations of seeds, people and their cells."""
    torch.manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, WORLDS, dtype=torch.float64)

    cells = luck * drawn(seeds, 1) + person * drawn(PEOPLE) + run * drawn(seeds, PEOPLE)
    values = cells[:, ASKED] + 0.01 * drawn(seeds, len(ASKED))
    return difference(values, torch.zeros_like(values), ASKED)


def held(found: Interval) -> float:
    return ((found.low <= 0) & (found.high >= 0)).double().mean().item()


def test_the_mean_is_that_of_all_queries_and_seeds() -> None:
    found = interval(column([1, 0, 0, 1], [1, 1, 1, 1]), torch.tensor([1, 1, 2, 3]))
    assert found.mean.tolist() == [0.75]


def test_values_without_any_spread_give_a_point() -> None:
    for seeds in (1, 3):
        found = interval(column(*[[0.5] * 4] * seeds), torch.tensor([1, 1, 2, 3]))
        assert (found.low.item(), found.mean.item(), found.high.item()) == (0.5, 0.5, 0.5)


def test_two_people_in_two_runs_worked_by_hand() -> None:
    # mean 4, errors -1 3 / -3 1: people (-4, 4), seeds (2, -2), cells 1 + 9 + 9 + 1 = 20;
    # of 4 values: 2 * 32 / 16 = 4 by people, 2 * 8 / 16 = 1 by seeds, 4 / 3 * 20 / 16 = 5 / 3;
    # 4 + 1 - 5 / 3 < 4, so the people alone count: one degree of freedom, t = 12.706
    found = difference(column([3, 7], [1, 5]), column([0, 0], [0, 0]), torch.tensor([8, 9]))
    assert found.mean.item() == 4.0
    assert reach(found).item() == pytest.approx(12.7062 * 2, rel=1e-5)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("luck", [0.0, 0.2, 2.0])
def test_the_reach_is_that_of_the_loops(seeds: int, luck: float) -> None:
    torch.manual_seed(seeds)
    people = torch.tensor([4, 4, 4, 9, 9, 2, 7, 7, 7, 7, 5])
    values = torch.randn(seeds, 11, dtype=torch.float64)
    values += luck * torch.randn(seeds, 1, dtype=torch.float64)
    found = difference(values[..., None], torch.zeros_like(values)[..., None], people, level=0.9)
    of_people, _, _, joint = variances(values.tolist(), people.tolist())
    freedom = degrees_of_freedom(of_people, joint, seeds, persons=5)
    expected = student.ppf(0.95, freedom) * math.sqrt(joint)
    assert reach(found).item() == pytest.approx(expected, rel=1e-9)
    assert found.mean.item() == pytest.approx(values.mean().item())


def test_an_interval_of_proportions_stays_among_them_and_a_difference_need_not() -> None:
    values, people = column([1, 1, 1, 0], [1, 1, 0, 0]), torch.tensor([1, 2, 3, 4])
    found, apart = interval(values, people), difference(values, column([0] * 4, [0] * 4), people)
    assert (found.low.item(), found.high.item()) == (0.0, 1.0)
    assert apart.low.item() < 0 and apart.high.item() > 1


def test_a_run_does_not_differ_from_itself() -> None:
    for seeds in (1, 3):
        values = torch.rand(seeds, 40, 5, dtype=torch.float64)
        found = difference(values, values, torch.arange(40) // 4)
        assert not any(part.any() for part in (found.mean, found.low, found.high))


def test_a_paired_difference_is_known_better_than_its_parts() -> None:
    torch.manual_seed(0)
    people = torch.arange(200) // 4
    a = torch.rand(2, 200, 1, dtype=torch.float64)
    paired = difference(a + 0.01, a, people)
    assert paired.low.item() == pytest.approx(0.01) == paired.high.item()
    assert reach(interval(a, people)).item() > 0.01


def test_captions_of_a_person_that_agree_count_once() -> None:
    torch.manual_seed(0)
    people = torch.arange(400) // 8
    values = (torch.rand(50, dtype=torch.float64) < 0.5).double()[people][None, :, None]
    wider = reach(interval(values, people)) / reach(interval(values, torch.arange(400)))
    assert wider.item() == pytest.approx(8**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("luck", "person", "run"),
    [(0.01, 0.3, 0.1), (0.3, 0.1, 0.1), (0.0, 0.02, 0.3), (0.03, 0.3, 0.2)],
    ids=["people", "seeds", "noise of runs", "all"],
)
def test_about_95_of_100_intervals_of_three_seeds_hold_the_truth(luck, person, run) -> None:
    assert 0.90 <= held(compared(luck, person, run)) <= 0.995


def test_people_alone_or_seeds_alone_would_hold_it_too_seldom() -> None:
    by_luck, by_people = compared(0.3, 0.1, 0.1), compared(0.01, 0.3, 0.1)
    of_people = (0.1**2 / PEOPLE + 0.1**2 / 3 / PEOPLE) ** 0.5
    assert (by_luck.mean.abs() <= 2 * of_people).double().mean() < 0.2
    assert reach(by_luck).median() > 5 * of_people
    of_seeds = (0.01**2 / 3 + 0.1**2 / 3 / PEOPLE) ** 0.5
    assert reach(by_people).median() > 4.3 * of_seeds


def test_noise_of_single_runs_is_not_counted_twice() -> None:
    found, honest = reach(compared(0.0, 0.02, 0.3)), 1.96 * (0.3**2 / 3 + 0.02**2) ** 0.5
    honest /= PEOPLE**0.5
    assert found.median() <= 1.25 * honest
    assert found.mean() <= 1.35 * honest  # three seeds look unlike by chance now and then


def test_one_seed_tells_of_its_run_alone() -> None:
    found = compared(0.3, 0.1, 0.0, seeds=1)
    assert held(found) < 0.3  # of the luck of training it knows nothing
    assert reach(found).median().item() == pytest.approx(2.0 * 0.1 / PEOPLE**0.5, rel=0.1)


def test_no_less_is_known_of_more_seeds() -> None:
    wide = [reach(compared(0.3, 0.1, 0.1, seeds)).median().item() for seeds in (2, 3, 5)]
    assert wide == sorted(wide, reverse=True)


def test_scipy_is_asked_for_in_words(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(ImportError, match=r"pip install 'tipr\[bench\]'"):
        runpy.run_path(str(intervals.__file__))


def test_unmatched_queries_are_left_out() -> None:
    values, people = torch.rand(2, 6, 5, dtype=torch.float64), torch.tensor([1, 1, 2, 2, 3, 4])
    there = values.clone()
    values[:, 5] = torch.nan
    assert interval(values, people).low.equal(interval(there[:, :5], people[:5]).low)
    with pytest.raises(ValueError, match="no query was scored"):
        interval(values[:, 5:], people[5:])
    with pytest.raises(ValueError, match="of one person"):
        interval(there[:, :2], people[:2])


def test_queries_are_scored_as_one_at_a_time() -> None:
    torch.manual_seed(0)
    for queries, gallery, persons in ((7, 5, 3), (300, 40, 60), (520, 90, 4)):
        similarity = torch.randn(queries, gallery).round(decimals=1)  # with equal scores
        asked, shown = torch.randint(persons, (queries,)), torch.randint(persons, (gallery,))
        rows = per_query(similarity, asked, shown)
        for row, scores, person in zip(rows.tolist(), similarity, asked, strict=True):
            ranked = (shown[scores.argsort(descending=True, stable=True)] == person).tolist()
            assert row == pytest.approx(_scores(ranked), nan_ok=True)
        whole = retrieval_metrics(similarity, asked, shown).to_json()
        assert averaged(rows, gallery).to_json().items() <= whole.items()


def _scores(ranked: list[bool]) -> list[float]:
    if not any(ranked):
        return [float("nan")] * 5
    hits = [rank for rank, right in enumerate(ranked, 1) if right]
    within = [float(hits[0] <= k) for k in (1, 5, 10)]
    return [*within, average_precision(ranked), len(hits) / hits[-1]]


def test_no_queries_give_no_rows() -> None:
    empty = torch.zeros(0, dtype=torch.long)
    assert per_query(torch.zeros(0, 3), empty, torch.tensor([1, 2, 3])).shape == (0, 5)
