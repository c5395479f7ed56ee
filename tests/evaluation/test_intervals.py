"""Intervals against cases worked by hand and against simulated worlds whose truth is known."""

from __future__ import annotations

import pytest
import torch
from references.matching import average_precision

from tipr.evaluation.intervals import difference, interval
from tipr.evaluation.metrics import averaged, per_query, retrieval_metrics


def column(*seeds: list[float]) -> torch.Tensor:
    """One metric: a list of its values for the queries, for each seed."""
    return torch.tensor(seeds, dtype=torch.float64)[..., None]


def test_the_mean_is_that_of_all_queries_and_seeds() -> None:
    found = interval(column([1, 0, 0, 1], [1, 1, 1, 1]), torch.tensor([1, 1, 2, 3]))
    assert found.mean.tolist() == [0.75]


def test_values_without_any_spread_give_a_point() -> None:
    found = interval(column([0.5] * 4), torch.tensor([1, 1, 2, 3]))
    assert (found.low.item(), found.mean.item(), found.high.item()) == (0.5, 0.5, 0.5)


def test_two_people_give_the_three_means_worked_by_hand() -> None:
    # drawn: 1 and 1 (mean 0), 2 and 2 (mean 1), one of each (3 ones among 4 queries)
    values, people = column([0, 1, 1, 1]), torch.tensor([1, 2, 2, 2])
    assert interval(values, people, level=0.9).low.item() == 0.0
    assert interval(values, people, level=0.9).high.item() == 1.0
    middle = interval(values, people, level=0.2)
    assert middle.low.item() == middle.high.item() == 0.75


def test_two_seeds_are_drawn_one_at_a_time() -> None:
    found = interval(column([0, 0], [1, 1]), torch.tensor([1, 2]))
    assert (found.low.item(), found.mean.item(), found.high.item()) == (0.0, 0.5, 1.0)


def test_a_run_does_not_differ_from_itself() -> None:
    values = torch.rand(3, 40, 5, dtype=torch.float64)
    found = difference(values, values, torch.arange(40) // 4)
    assert not any(part.any() for part in (found.mean, found.low, found.high))


def test_a_paired_difference_is_known_better_than_its_parts() -> None:
    torch.manual_seed(0)
    people = torch.arange(200) // 4
    a = torch.rand(2, 200, 1, dtype=torch.float64)
    paired = difference(a + 0.01, a, people)
    assert paired.low.item() == pytest.approx(0.01) == paired.high.item()
    assert (interval(a, people).high - interval(a, people).low).item() > 0.02


def test_captions_of_a_person_that_agree_count_once() -> None:
    torch.manual_seed(0)
    people = torch.arange(400) // 8
    values = (torch.rand(50, dtype=torch.float64) < 0.5).double()[people][None, :, None]
    by_person, by_query = interval(values, people), interval(values, torch.arange(400))
    wider = (by_person.high - by_person.low) / (by_query.high - by_query.low)
    assert wider.item() == pytest.approx(8**0.5, rel=0.25)


@pytest.mark.parametrize("seeds", [1, 4])
def test_about_95_of_100_intervals_hold_the_truth(seeds: int) -> None:
    torch.manual_seed(0)
    people, held, worlds = torch.arange(240) // 4, 0, 200
    for _ in range(worlds):
        luck = 0.03 * torch.randn(seeds, 1, dtype=torch.float64) if seeds > 1 else 0.0
        person = torch.randn(60, dtype=torch.float64)[people]
        values = 0.4 + luck + 0.3 * person + 0.3 * torch.randn(seeds, 240, dtype=torch.float64)
        found = interval(values[..., None], people, draws=400)
        held += bool(found.low <= 0.4 <= found.high)
    assert 0.89 <= held / worlds <= 0.99


def test_intervals_do_not_depend_on_what_was_drawn_before() -> None:
    values, people = torch.rand(2, 30, 5, dtype=torch.float64), torch.arange(30) // 3
    first = interval(values, people)
    torch.rand(100)
    assert interval(values, people).low.equal(first.low)
    assert not interval(values, people, seed=1).low.equal(first.low)


def test_unmatched_queries_are_left_out() -> None:
    values, people = torch.rand(2, 6, 5, dtype=torch.float64), torch.tensor([1, 1, 2, 2, 3, 4])
    there = values.clone()
    values[:, 5] = torch.nan
    assert interval(values, people).low.equal(interval(there[:, :5], people[:5]).low)
    with pytest.raises(ValueError, match="no query was scored"):
        interval(values[:, 5:], people[5:])


def test_queries_are_scored_as_one_at_a_time() -> None:
    torch.manual_seed(0)
    for queries, gallery, persons in ((7, 5, 3), (300, 40, 60), (520, 90, 4)):
        similarity = torch.randn(queries, gallery).round(decimals=1)  # with equal scores
        asked, shown = torch.randint(persons, (queries,)), torch.randint(persons, (gallery,))
        rows = per_query(similarity, asked, shown)
        for row, scores, person in zip(rows.tolist(), similarity, asked, strict=True):
            ranked = (shown[scores.argsort(descending=True, stable=True)] == person).tolist()
            assert row == pytest.approx(_scores(ranked), nan_ok=True)
        assert averaged(rows, gallery) == retrieval_metrics(similarity, asked, shown)


def _scores(ranked: list[bool]) -> list[float]:
    if not any(ranked):
        return [float("nan")] * 5
    hits = [rank for rank, right in enumerate(ranked, 1) if right]
    within = [float(hits[0] <= k) for k in (1, 5, 10)]
    return [*within, average_precision(ranked), len(hits) / hits[-1]]


def test_no_queries_give_no_rows() -> None:
    empty = torch.zeros(0, dtype=torch.long)
    assert per_query(torch.zeros(0, 3), empty, torch.tensor([1, 2, 3])).shape == (0, 5)
