from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references.matching import average_precision

from tipr.evaluation.evaluate import Report
from tipr.evaluation.metrics import COLUMNS, averaged, per_query, retrieval_metrics


def average_precision_by_trapezoids(ranked: list[bool]) -> float:
    """The evaluation's own loop: recall steps times the mean of two neighbouring precisions."""
    area, hits, recall_before, precision_before = 0.0, 0, 0.0, 1.0
    for rank, match in enumerate(ranked, 1):
        hits += match
        recall, precision = hits / sum(ranked), hits / rank
        area += (recall - recall_before) * (precision_before + precision) / 2
        recall_before, precision_before = recall, precision
    return area


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


# -- the area under the curve of precision, as the Oxford buildings evaluation has it


def test_the_area_of_three_queries_over_five_pictures_worked_by_hand() -> None:
    similarity = -torch.arange(5.0).repeat(3, 1)  # ranked as they stand
    gallery, queries = torch.tensor([1, 2, 1, 3, 2]), torch.tensor([1, 2, 3])
    m = retrieval_metrics(similarity, queries, gallery)
    # matches at 1 and 3, at 2 and 5, at 4; (precision before + precision at) / 2 of each:
    areas = [((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2) / 2,
             ((0 + 1 / 2) / 2 + (1 / 4 + 2 / 5) / 2) / 2,
             (0 + 1 / 4) / 2]  # fmt: skip
    assert areas == pytest.approx([0.7916667, 0.2875, 0.125])
    assert m.mAP_trapezoid == pytest.approx(sum(areas) / 3)
    assert m.mAP == pytest.approx(((1 + 2 / 3) / 2 + (1 / 2 + 2 / 5) / 2 + 1 / 4) / 3)


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any))
def test_the_area_equals_the_loop_over_ranks_and_never_exceeds_the_steps(ranked) -> None:
    similarity = -torch.arange(len(ranked)).float()[None]
    m = retrieval_metrics(similarity, torch.tensor([1]), torch.tensor(ranked).long())
    assert m.mAP_trapezoid == pytest.approx(average_precision_by_trapezoids(ranked))
    assert 0 < m.mAP_trapezoid <= m.mAP + 1e-12


def test_a_query_without_a_match_has_no_area_either() -> None:
    m = retrieval_metrics(
        scores([0.1, 0.9], [0.9, 0.1]), torch.tensor([1, 9]), torch.tensor([1, 2])
    )
    assert (m.mAP, m.mAP_trapezoid) == (0.5, 0.25)


def test_the_area_is_reported_as_json_and_the_saved_columns_stay_five() -> None:
    asked = scores([0.1, 0.9]), torch.tensor([1]), torch.tensor([1, 2])
    m = retrieval_metrics(*asked)
    facts = Report(t2i=m, i2t=m, persons=2).to_json()
    assert facts["t2i"]["mAP_trapezoid"] == 0.25
    rows = per_query(*asked)
    assert rows.shape == (1, 5) and COLUMNS == ("R1", "R5", "R10", "mAP", "mINP")
    assert "mAP_trapezoid" not in averaged(rows, 2).to_json()
