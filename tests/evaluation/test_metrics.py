from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references.matching import average_precision
from references.metrics import averaged as averaged_by_loops
from references.metrics import scored as scored_by_loops
from references.metrics import walked

from tipr.evaluation.evaluate import Report
from tipr.evaluation.metrics import (
    COLUMNS,
    RetrievalMetrics,
    averaged,
    measured,
    per_query,
    retrieval_metrics,
    scored,
)
from tipr.evaluation.ranks import Items, ranks, rows_of

score = st.sampled_from([-torch.inf, -0.5, 0.0, 0.5, 1.0])  # with ties
NAMES = (*COLUMNS, "mAP_trapezoid", "R_precision")


def scores(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


def one_query(similarity: list[float], person: int, gallery: list[int]) -> RetrievalMetrics:
    return retrieval_metrics(scores(similarity), torch.tensor([person]), torch.tensor(gallery))


def in_places(*matches: int, gallery: int) -> RetrievalMetrics:
    """One query whose matches are ranked there."""
    people = [1 if rank in matches else 2 for rank in range(1, gallery + 1)]
    return one_query([-float(rank) for rank in range(gallery)], 1, people)


# -- worked by hand


def test_a_match_at_rank_two_counts_half() -> None:
    m = one_query([0.9, 0.8, 0.1], 7, [1, 7, 2])
    assert (m.R1, m.R5, m.mAP, m.mINP) == (0.0, 1.0, 0.5, 0.5)


def test_a_case_worked_by_hand() -> None:
    # matches at ranks 1 and 4: AP = (1/1 + 2/4) / 2, INP = 2/4
    m = one_query([0.9, 0.2, 0.8, 0.3], 5, [5, 5, 1, 2])
    assert (m.R1, m.mAP, m.mINP) == (1.0, 0.75, 0.5)


def test_three_matches_of_which_two_are_among_the_first_three() -> None:
    # ranks 1, 3, 4: AP = (1/1 + 2/3 + 3/4) / 3 = 29/36, INP = 3/4, R-precision = 2/3;
    # trapezoid = ((1 + 1)/2 + (1/2 + 2/3)/2 + (2/3 + 3/4)/2) / 3 = 55/72
    m = in_places(1, 3, 4, gallery=6)
    assert (m.mAP, m.mINP, m.R_precision) == pytest.approx((29 / 36, 3 / 4, 2 / 3))
    assert m.mAP_trapezoid == pytest.approx((1 + 7 / 12 + 17 / 24) / 3) == pytest.approx(55 / 72)


@pytest.mark.parametrize(
    ("rank", "within"),
    [
        (1, [1, 1, 1]),
        (2, [0, 1, 1]),
        (5, [0, 1, 1]),
        (6, [0, 0, 1]),
        (10, [0, 0, 1]),
        (11, [0] * 3),
    ],
)
def test_the_kth_place_is_within_the_first_k_and_the_next_is_not(rank, within) -> None:
    m = in_places(rank, gallery=12)
    reached = [m.R1, m.R5, m.R10]
    assert reached == within
    assert m.mAP == m.mINP == pytest.approx(1 / rank) and m.R_precision == (rank == 1)


def test_a_gallery_of_matches_alone_is_perfect() -> None:
    m = in_places(1, 2, 3, gallery=3)
    assert [getattr(m, name) for name in NAMES] == [1.0] * 7


def test_matches_that_come_last_score_the_least_there_is() -> None:
    # ranks 4 and 5: AP = (1/4 + 2/5) / 2 = 13/40, INP = 2/5, none among the first two;
    # trapezoid = ((0 + 1/4)/2 + (1/4 + 2/5)/2) / 2 = 9/40
    m = in_places(4, 5, gallery=5)
    assert (m.R1, m.mAP, m.mINP, m.R_precision) == pytest.approx((0.0, 13 / 40, 2 / 5, 0.0))
    assert m.mAP_trapezoid == pytest.approx(9 / 40)


@pytest.mark.parametrize(("people", "rank"), [([1, 2, 2], 1), ([2, 1, 2], 2), ([2, 2, 1], 3)])
def test_equal_scores_keep_the_order_of_the_gallery(people, rank: int) -> None:
    assert one_query([0.5, 0.5, 0.5], 1, people).mAP == pytest.approx(1 / rank)


def test_a_match_that_ties_stands_between_its_equals() -> None:
    # ranking: picture 3 (0.9), then 0, 1, 4 (all 0.5), then 2; matches 1 and 4 are third and fourth
    m = one_query([0.5, 0.5, 0.1, 0.9, 0.5], 1, [2, 1, 2, 2, 1])
    assert (m.mAP, m.mINP, m.R_precision) == pytest.approx(((1 / 3 + 2 / 4) / 2, 2 / 4, 0.0))


def test_a_picture_stored_twice_is_two_matches() -> None:
    # duplicates at ranks 1 and 2, the other match at rank 4: AP = (1 + 1 + 3/4) / 3
    m = one_query([0.9, 0.9, 0.4, 0.3], 1, [1, 1, 2, 1])
    assert (m.mAP, m.mINP, m.R_precision) == pytest.approx((11 / 12, 3 / 4, 2 / 3))


def test_scores_of_minus_infinity_are_last_in_gallery_order() -> None:
    # ranking: picture 2, then 0, 1, 3; matches 1 and 2 stand third and first
    never = -torch.inf
    m = one_query([never, never, 0.2, never], 1, [2, 1, 1, 2])
    assert (m.R1, m.mAP, m.mINP) == pytest.approx((1.0, (1 + 2 / 3) / 2, 2 / 3))


def test_a_gallery_of_one_picture_is_found_or_not_there() -> None:
    two = scores([0.0], [-torch.inf]), torch.tensor([3, 4]), torch.tensor([3])
    m = retrieval_metrics(*two)
    assert [getattr(m, name) for name in NAMES] == [1.0] * 7
    assert (m.queries, m.gallery, m.unmatched) == (2, 1, 1)


def test_a_query_without_a_match_is_counted_and_left_out() -> None:
    two = scores([0.9, 0.1], [0.9, 0.1]), torch.tensor([1, 9]), torch.tensor([1, 2])
    m = retrieval_metrics(*two)
    assert (m.R1, m.queries, m.unmatched) == (1.0, 2, 1)
    rows, areas = scored(*two)
    assert rows.isnan().tolist() == [[False] * 5, [True] * 5]
    assert areas.isnan().tolist() == [False, True]
    found = measured(ranks(rows_of(two[0]), *map(Items, two[1:])))
    assert found.r_precisions.isnan().tolist() == [False, True]


def test_no_match_at_all_is_an_error_in_words() -> None:
    with pytest.raises(ValueError, match="no query shows a person of the gallery"):
        retrieval_metrics(scores([0.5]), torch.tensor([1]), torch.tensor([2]))


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"query 1 has a score that is no number \(NaN\)"):
        per_query(scores([0.5], [torch.nan]), torch.tensor([1, 1]), torch.tensor([1]))


# -- against loops


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any))
def test_average_precision_equals_the_loop(ranked: list[bool]) -> None:
    similarity = -torch.arange(len(ranked)).float()[None]
    m = retrieval_metrics(similarity, torch.tensor([1]), torch.tensor(ranked).long())
    assert m.mAP == pytest.approx(average_precision(ranked))
    assert 0 < m.mINP <= 1 and 0 < m.mAP <= 1
    assert m.R1 <= m.R5 <= m.R10


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[list[float]], list[int], list[int]]:
    """Many ties, duplicates, minus infinity; at times one picture, at times nobody to find."""
    queries, gallery = draw(st.integers(1, 5)), draw(st.integers(1, 14))
    row = st.lists(score, min_size=gallery, max_size=gallery)
    matrix = draw(st.lists(row, min_size=queries, max_size=queries))
    if draw(st.booleans()):
        matrix = [[row[0]] * gallery for row in matrix]
    people = [draw(st.lists(st.integers(1, 3), min_size=n, max_size=n)) for n in (queries, gallery)]
    return matrix, *people


@settings(deadline=None)
@given(searches())
def test_every_metric_equals_the_walk_down_the_ranking(search) -> None:
    matrix, asked, shown = search
    expected = [
        scored_by_loops(walked(row, who, shown)) for row, who in zip(matrix, asked, strict=True)
    ]
    tensors = torch.tensor(matrix), torch.tensor(asked), torch.tensor(shown)
    found = measured(ranks(rows_of(tensors[0]), *map(Items, tensors[1:])))
    columns = torch.cat([found.values, found.areas[:, None], found.r_precisions[:, None]], dim=1)
    for row, values in zip(columns, expected, strict=True):
        assert row.isnan().all() if values is None else row.tolist() == pytest.approx(
            [values[name] for name in NAMES])  # fmt: skip
    assert per_query(*tensors).nan_to_num(-1).equal(found.values.nan_to_num(-1))
    if any(expected):
        m = retrieval_metrics(*tensors)
        assert {n: getattr(m, n) for n in NAMES} == pytest.approx(averaged_by_loops(expected))
        assert m.unmatched == expected.count(None) and 0 < m.mAP_trapezoid <= m.mAP + 1e-12


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
    # of two matches one is among the first two, of two one, of one none
    assert m.R_precision == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)


def test_a_query_without_a_match_has_no_area_either() -> None:
    m = retrieval_metrics(
        scores([0.1, 0.9], [0.9, 0.1]), torch.tensor([1, 9]), torch.tensor([1, 2])
    )
    assert (m.mAP, m.mAP_trapezoid) == (0.5, 0.25)


# -- what is stored


def test_areas_and_r_precision_are_reported_as_json_and_the_saved_columns_stay_five() -> None:
    asked = scores([0.1, 0.9]), torch.tensor([1]), torch.tensor([1, 2])
    m = retrieval_metrics(*asked)
    facts = Report(t2i=m, i2t=m, persons=2).to_json()
    assert facts["t2i"]["mAP_trapezoid"] == 0.25 and facts["t2i"]["R_precision"] == 0.0
    rows = per_query(*asked)
    assert rows.shape == (1, 5) and COLUMNS == ("R1", "R5", "R10", "mAP", "mINP")
    assert not {"mAP_trapezoid", "R_precision"} & averaged(rows, 2).to_json().keys()
    assert averaged(rows, 2) == m  # what old files do not hold is not compared
