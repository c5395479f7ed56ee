"""Open-set measures against cases worked by hand and their definitions in loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from references import openset as slow
from scipy.optimize import minimize

from tipr.evaluation.openset import (
    Searches,
    auroc,
    calibration,
    calibration_error,
    detection,
    held_out,
    open_set,
    platt,
    searched,
)
from tipr.evaluation.vectors import Vectors

ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), min_size=2, max_size=30
).filter(lambda rows: 0 < sum(there for _, _, there in rows) < len(rows))


def searches(scores: list[float], right: list[int], present: list[int]) -> Searches:
    return Searches(
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor(right).bool(),
        torch.tensor(present).bool(),
    )


# ten absent queries score 0.0 to 0.9; present: 0.95 right, 0.85 right, 0.85 wrong, 0.05 right
BY_HAND = searches(
    [0.1 * k for k in range(10)] + [0.95, 0.85, 0.85, 0.05],
    [0] * 10 + [1, 1, 0, 1],
    [0] * 10 + [1] * 4,
)


def test_rates_worked_by_hand() -> None:
    none, one, three = (detection(BY_HAND, rate) for rate in (0.0, 0.1, 0.3))
    assert (none.threshold, none.false_alarms, none.rate) == (0.9, 0.0, 1 / 4)
    assert (one.threshold, one.false_alarms, one.rate) == (0.8, 0.1, 2 / 4)
    assert (three.false_alarms, three.rate) == (0.3, 2 / 4)  # the wrong one never counts


def test_fewer_absent_queries_than_a_rate_needs_raise_none() -> None:
    found = detection(BY_HAND, 0.001)
    assert (found.asked, found.false_alarms, found.rate) == (0.001, 0.0, 1 / 4)


def test_equal_scores_do_not_break_the_allowance() -> None:
    tied = searches([0.5, 0.5, 0.5, 0.5, 0.6], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1])
    found = detection(tied, 0.4)  # one alarm is allowed; at 0.5 there would be three
    assert (found.false_alarms, found.rate) == (0.0, 1 / 2)


@given(ROWS, st.sampled_from([0.0, 0.05, 0.1, 0.34, 0.9]))
def test_no_threshold_within_the_allowance_finds_more(rows, allowed: float) -> None:
    scores, right, present = ([row[i] for row in rows] for i in range(3))
    found = detection(searches(list(map(float, scores)), right, present), allowed)
    assert found.false_alarms <= allowed + 1e-9
    assert found.rate == pytest.approx(slow.detection(scores, right, present, allowed))


@given(ROWS)
def test_auroc_is_the_share_of_pairs_won(rows) -> None:
    present = [float(score) for score, _, there in rows if there]
    absent = [float(score) for score, _, there in rows if not there]
    found = auroc(*(torch.tensor(s, dtype=torch.float64) for s in (present, absent)))
    assert found == pytest.approx(slow.auroc(present, absent))


def test_platt_finds_the_likeliest_curve() -> None:
    torch.manual_seed(0)
    scores = 40 + 3 * torch.randn(300, dtype=torch.float64)
    right = torch.rand(300, dtype=torch.float64) < torch.sigmoid((scores - 41) / 2)
    slope, offset = platt(scores, right)
    found = slow.platt_loss(slope, offset, scores.tolist(), right.tolist())
    best = minimize(
        lambda w: slow.platt_loss(w[0], w[1], (scores - 40).tolist(), right.tolist()), [0.1, 0.0]
    )
    assert found <= best.fun + 1e-7
    assert slope == pytest.approx(best.x[0], rel=1e-3)


def test_perfect_separation_and_equal_scores_have_a_curve() -> None:
    right = torch.tensor([False] * 20 + [True] * 20)
    slope, offset = platt(torch.arange(40, dtype=torch.float64), right)
    p = torch.sigmoid(slope * torch.arange(40) + offset)
    assert p[0] < 0.1 and p[-1] > 0.9 and torch.isfinite(torch.tensor([slope, offset])).all()
    slope, offset = platt(torch.full((40,), 3.0, dtype=torch.float64), right)
    assert (slope, offset) == (0.0, pytest.approx(0.0))


def test_calibration_error_worked_by_hand() -> None:
    p = torch.tensor([0.1, 0.2, 0.8, 0.9], dtype=torch.float64)
    error, bins = calibration_error(p, torch.tensor([False, True, True, True]), bins=2)
    # means 0.15 against 1/2 and 0.85 against 1: (0.35 + 0.15) / 2
    assert error == pytest.approx(0.25)
    assert [(b.queries, b.observed) for b in bins] == [(2, 0.5), (2, 1.0)]


@given(st.lists(st.booleans(), min_size=1, max_size=50), st.integers(1, 20))
def test_calibration_error_is_that_of_the_loops(right: list[bool], bins: int) -> None:
    torch.manual_seed(len(right))
    p = torch.rand(len(right), dtype=torch.float64)
    error, found = calibration_error(p, torch.tensor(right), bins)
    assert error == pytest.approx(slow.calibration_error(p.tolist(), right, bins))
    assert sum(b.queries for b in found) == len(right)


def test_equal_probabilities_have_one_error_in_any_order() -> None:
    p = torch.full((12,), 0.5, dtype=torch.float64)
    right = torch.tensor([True] * 6 + [False] * 6)
    for order in (range(12), range(11, -1, -1)):
        assert calibration_error(p, right[list(order)], bins=3)[0] == 0.0


def test_a_true_probability_is_calibrated_and_a_boast_is_not() -> None:
    torch.manual_seed(1)
    scores = torch.randn(4000, dtype=torch.float64)
    right = torch.rand(4000, dtype=torch.float64) < torch.sigmoid(2 * scores - 1)
    there = torch.ones(4000, dtype=torch.bool)
    half = [Searches(x[0], x[1], x[2]) for x in
            zip(*(v.split(2000) for v in (scores, right, there)), strict=True)]  # fmt: skip
    found = calibration(*half)
    assert found.slope == pytest.approx(2, abs=0.3) and found.ece < 0.05
    shifted = Searches(half[0].scores + 2, half[0].right, half[0].present)
    boast = calibration(shifted, half[1])
    assert boast.ece > 0.2 and boast.brier > found.brier


def vectors() -> Vectors:
    """Five people with two pictures each; captions lie nearest to their own."""
    torch.manual_seed(0)
    people = torch.arange(5).repeat_interleave(2)
    own = torch.eye(5)
    images = F.normalize(own[people] + 0.1 * torch.rand(10, 5))
    texts = F.normalize(own[people] + 0.1 * torch.rand(10, 5))
    return Vectors(texts, images, people, people)


def test_the_absent_are_searched_in_a_gallery_without_them() -> None:
    found = searched(vectors(), torch.tensor([1, 4]))
    assert found.present.tolist() == [True] * 2 + [False] * 2 + [True] * 4 + [False] * 2
    assert found.right.equal(found.present)  # who is there is found, who is not cannot be
    assert found.scores[found.present].min() > found.scores[~found.present].max()
    report = open_set(found, found, rates=(0.0,))
    assert (report.present, report.absent, report.auroc) == (6, 4, 1.0)
    assert report.detections[0].rate == 1.0
    assert report.to_json()["calibration"]["bins"]
    assert open_set(found).calibration is None


def test_who_is_held_out_is_seeded_and_never_nobody_or_everybody() -> None:
    ids = torch.tensor([3, 3, 8, 5, 9, 1, 1])
    assert held_out(ids, 0.4, seed=1).equal(held_out(ids.flip(0), 0.4, seed=1))
    drawn = {tuple(held_out(ids, 0.4, seed).tolist()) for seed in range(20)}
    assert len(drawn) > 1 and all(len(who) == 2 and set(who) < {1, 3, 5, 8, 9} for who in drawn)
    assert len(held_out(ids, 0.01)) == 1 and len(held_out(ids, 0.99)) == 4


def test_what_is_no_open_set_is_refused() -> None:
    with pytest.raises(ValueError, match="two people or more"):
        held_out(torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="between 0 and 1"):
        held_out(torch.tensor([1, 2]), 1.0)
    with pytest.raises(ValueError, match="nobody is left"):
        searched(vectors(), torch.arange(5))
    with pytest.raises(ValueError, match="and about others"):
        open_set(searched(vectors(), torch.tensor([77])))
    with pytest.raises(ValueError, match="false-alarm rate"):
        detection(BY_HAND, 1.0)
