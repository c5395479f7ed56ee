from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references.matching import average_precision

from tipr.evaluation.metrics import retrieval_metrics


def scores(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


def test_a_match_at_rank_two_counts_half() -> None:
    m = retrieval_metrics(scores([0.9, 0.8, 0.1]), torch.tensor([7]), torch.tensor([1, 7, 2]))
    assert (m.R1, m.R5, m.mAP, m.mINP) == (0.0, 1.0, 0.5, 0.5)


def test_a_case_worked_by_hand() -> None:
    # matches at ranks 1 and 4: AP = (1/1 + 2/4) / 2, INP = 2/4
    m = retrieval_metrics(
        scores([0.9, 0.2, 0.8, 0.3]), torch.tensor([5]), torch.tensor([5, 5, 1, 2])
    )
    assert (m.R1, m.mAP, m.mINP) == (1.0, 0.75, 0.5)


def test_equal_scores_keep_the_order_of_the_gallery() -> None:
    tied = scores([0.5, 0.5, 0.5])
    assert retrieval_metrics(tied, torch.tensor([1]), torch.tensor([1, 2, 3])).R1 == 1.0
    assert retrieval_metrics(tied, torch.tensor([1]), torch.tensor([2, 1, 3])).R1 == 0.0


def test_a_query_without_a_match_is_counted_and_left_out() -> None:
    m = retrieval_metrics(
        scores([0.9, 0.1], [0.9, 0.1]), torch.tensor([1, 9]), torch.tensor([1, 2])
    )
    assert (m.R1, m.queries, m.unmatched) == (1.0, 2, 1)


def test_no_match_at_all_is_an_error_in_words() -> None:
    with pytest.raises(ValueError, match="no query shows a person of the gallery"):
        retrieval_metrics(scores([0.5]), torch.tensor([1]), torch.tensor([2]))


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any))
def test_average_precision_equals_the_loop(ranked: list[bool]) -> None:
    similarity = -torch.arange(len(ranked)).float()[None]
    m = retrieval_metrics(similarity, torch.tensor([1]), torch.tensor(ranked).long())
    assert m.mAP == pytest.approx(average_precision(ranked))
    assert 0 < m.mINP <= 1 and 0 < m.mAP <= 1
    assert m.R1 <= m.R5 <= m.R10
