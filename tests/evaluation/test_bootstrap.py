"""Resampled intervals and tests against loops, theory, and simulated worlds whose truth is known.

The columns of one call are many worlds, so a property of chance is seen over hundreds of them.
"""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import bootstrap as slow

from tipr.evaluation.bootstrap import bootstrapped, exchanged, paired
from tipr.evaluation.intervals import interval

WORLDS = 400


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def worlds(people: int, each: int, person: float, caption: float) -> torch.Tensor:
    """Scores around 0: of each person, and of each of their captions; a column for each world."""
    torch.manual_seed(100)  # not the seed of the draws: the same numbers would not be independent
    of_person = person * torch.randn(people, 1, WORLDS, dtype=torch.float64)
    of_caption = caption * torch.randn(people, each, WORLDS, dtype=torch.float64)
    return (of_person + of_caption).flatten(0, 1)


def asked(people: int, each: int) -> torch.Tensor:
    return torch.arange(people * each) // each


def test_the_interval_is_that_of_the_loops_on_the_same_people() -> None:
    ids, samples = [5, 2, 2, 9, 5, 2, 7], 200
    torch.manual_seed(1)
    values = torch.rand(7, 2, dtype=torch.float64)
    drawn = torch.randint(4, (samples, 4), generator=torch.Generator().manual_seed(3)).tolist()
    found = bootstrapped(values, torch.tensor(ids), samples, level=0.9, seed=3)
    for place in range(2):
        means = slow.redrawn_means(values[:, place].tolist(), ids, drawn)
        assert found.low[place].item() == pytest.approx(slow.percentile(means, 0.05))
        assert found.high[place].item() == pytest.approx(slow.percentile(means, 0.95))
    assert found.mean.tolist() == pytest.approx(values.mean(dim=0).tolist())


def test_it_covers_the_truth_as_often_as_the_slow_reference_does() -> None:
    values, ids = worlds(30, 3, 0.3, 0.2), asked(30, 3)
    found = bootstrapped(values, ids, 1000)
    held = (found.low <= 0) & (found.high >= 0)
    assert 0.91 <= held.double().mean() <= 0.97
    rng = random.Random(0)
    for world in range(12):
        low, high = slow.interval(values[:, world].tolist(), ids.tolist(), 300, rng)
        width = high - low
        assert found.low[world].item() == pytest.approx(low, abs=0.15 * width)
        assert found.high[world].item() == pytest.approx(high, abs=0.15 * width)


def test_captions_taken_for_people_would_cover_it_too_seldom() -> None:
    values = worlds(30, 6, 0.3, 0.1)
    found = bootstrapped(values, torch.arange(180), 500)
    assert ((found.low <= 0) & (found.high >= 0)).double().mean() < 0.7


def test_it_agrees_with_the_analytic_interval_on_many_people() -> None:
    torch.manual_seed(2)
    counts = torch.randint(1, 8, (800,))
    ids = torch.arange(800).repeat_interleave(counts)
    easy = torch.rand(800, 1, dtype=torch.float64)[ids]
    values = (torch.rand(len(ids), 5, dtype=torch.float64) < easy).double()
    found, analytic = bootstrapped(values, ids), interval(values[None], ids)
    assert torch.allclose(found.mean, analytic.mean)
    reach = (analytic.high - analytic.low) / 2
    for mine, theirs in ((found.low, analytic.low), (found.high, analytic.high)):
        assert ((mine - theirs).abs() < 0.06 * reach).all()


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_queries_does_not_matter(rng: random.Random) -> None:
    torch.manual_seed(4)
    a, b = (torch.rand(40, 2, dtype=torch.float64) for _ in range(2))
    ids = torch.randint(15, (40,))
    order = torch.tensor(rng.sample(range(40), 40))
    one, two = paired(a, b, ids, 100), paired(a[order], b[order], ids[order], 100)
    for name in ("mean", "low", "high", "p"):
        assert torch.allclose(getattr(one, name), getattr(two, name), atol=1e-12)


def test_both_of_a_pair_are_redrawn_on_the_same_people() -> None:
    torch.manual_seed(5)
    a, ids = torch.rand(200, 1, dtype=torch.float64), asked(50, 4)
    found = paired(a + 0.01, a, ids)
    assert found.low.item() == pytest.approx(0.01) == found.high.item()
    alone = bootstrapped(a, ids)
    assert (alone.high - alone.low).item() > 0.01


def test_blocks_do_not_change_the_draws(monkeypatch) -> None:
    values, ids = worlds(20, 2, 0.3, 0.2)[:, :3], asked(20, 2)
    whole = paired(values, values.flip(1), ids, 50)
    monkeypatch.setattr("tipr.evaluation.bootstrap._CELLS", 140)
    parts = paired(values, values.flip(1), ids, 50)
    assert torch.allclose(parts.low, whole.low) and parts.p.equal(whole.p)


def test_three_people_worked_by_hand() -> None:
    # sums 2, 1, 1: of 8 exchanges only + + + and - - - give 4 or more; with the last turned
    # round 2 - 1 + 1 = 2 is reached by six: not by the two where 2 stands against 1 + 1
    ids = torch.tensor([1, 1, 2, 3])
    assert exchanged(column(1, 1, 1, 1), ids).item() == 2 / 8
    assert exchanged(column(1, 1, -1, 1), ids).item() == 6 / 8


@pytest.mark.parametrize("people", [2, 5, 9, 12])
def test_few_people_are_tested_exactly(people: int) -> None:
    torch.manual_seed(people)
    ids = torch.cat([torch.arange(people), torch.randint(people, (8,))])
    differences = torch.randn(len(ids), 1, dtype=torch.float64).round(decimals=1)
    expected = slow.exact_p(differences[:, 0].tolist(), ids.tolist())
    assert exchanged(differences, ids, samples=7).item() == pytest.approx(expected)


def test_drawn_exchanges_come_near_all_of_them() -> None:
    torch.manual_seed(6)
    ids = torch.arange(13)
    differences = torch.randn(13, 1, dtype=torch.float64) + 0.5
    exact = slow.exact_p(differences[:, 0].tolist(), ids.tolist())
    assert exchanged(differences, ids, samples=20_000).item() == pytest.approx(exact, abs=0.01)


def test_p_is_uniform_when_two_models_are_alike() -> None:
    p = exchanged(worlds(25, 3, 0.2, 0.2), asked(25, 3), samples=999).sort().values
    expected = torch.arange(1, WORLDS + 1, dtype=torch.float64) / WORLDS
    distance = torch.maximum((p - expected).abs(), (p - expected + 1 / WORLDS).abs()).max()
    assert distance < 1.36 / WORLDS**0.5  # Kolmogorov's bound of 5 %


def test_a_difference_everybody_shows_has_the_smallest_p_there_is() -> None:
    values = worlds(40, 2, 0.01, 0.01)[:, :1] + 1
    assert exchanged(values, asked(40, 2), samples=999).item() == 1 / 1000
    assert exchanged(values - values, asked(40, 2), samples=99).item() == 1.0


def test_unscored_queries_are_left_out() -> None:
    values, ids = torch.rand(8, 2, dtype=torch.float64), torch.tensor([1, 1, 2, 2, 3, 3, 4, 4])
    there = values.clone()
    values[6:] = torch.nan
    assert bootstrapped(values, ids, 50).low.equal(bootstrapped(there[:6], ids[:6], 50).low)
    with pytest.raises(ValueError, match="no query was scored"):
        bootstrapped(values[6:], ids[6:])
    with pytest.raises(ValueError, match="of one person"):
        exchanged(there[:2], ids[:2])
