from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references.reranking import reranked_order

from tipr.evaluation.metrics import retrieval_metrics
from tipr.evaluation.shortlist import reranked, shortlist

score = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])  # with ties


@st.composite
def two_scores(draw: st.DrawFn) -> tuple[list[list[float]], list[list[float]]]:
    queries, gallery = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    row = st.lists(score, min_size=gallery, max_size=gallery)
    matrix = st.lists(row, min_size=queries, max_size=queries)
    return draw(matrix), draw(matrix)


def orders(matrix: torch.Tensor) -> list[list[int]]:
    return matrix.argsort(dim=1, descending=True, stable=True).tolist()


@given(two_scores(), st.integers(0, 11))
def test_reranking_equals_the_slow_loop(scores, depth: int) -> None:
    first, second = scores
    expected = [reranked_order(a, b, depth) for a, b in zip(first, second, strict=True)]
    assert orders(reranked(torch.tensor(first), torch.tensor(second), depth)) == expected


@given(two_scores(), st.integers(0, 11))
def test_the_tail_keeps_the_order_of_the_dual_encoder_strictly_behind(scores, depth: int) -> None:
    first, second = map(torch.tensor, scores)
    ranked = reranked(first, second, depth)
    assert [row[depth:] for row in orders(ranked)] == [row[depth:] for row in orders(first)]
    assert all(len(set(row)) == len(row) for row in ranked.tolist())


@given(two_scores())
def test_depth_zero_is_the_dual_encoder_and_all_of_it_the_pairwise_order(scores) -> None:
    first, second = map(torch.tensor, scores)
    assert orders(reranked(first, second, 0)) == orders(first)
    columns = first.shape[1]
    tied_by_first = torch.stack(
        [row[order] for row, order in zip(second, torch.tensor(orders(first)), strict=True)]
    )
    whole = torch.tensor(orders(reranked(first, second, columns)))
    assert torch.equal(second.gather(1, whole), tied_by_first.sort(dim=1, descending=True)[0])


@given(two_scores(), st.integers(0, 11))
def test_only_the_shortlist_is_read_and_what_is_no_number_comes_last_in_it(scores, depth) -> None:
    first, second = map(torch.tensor, scores)
    asked = shortlist(first, depth)
    assert asked.sum(dim=1).tolist() == [min(depth, first.shape[1])] * len(first)
    only = torch.where(asked, second, torch.nan)
    assert torch.equal(reranked(first, only, depth), reranked(first, second, depth))
    nothing = torch.full_like(second, torch.nan)
    assert orders(reranked(first, nothing, depth)) == orders(first)


def test_many_rows_are_ranked_as_few(monkeypatch) -> None:
    first, second = torch.rand(7, 5), torch.rand(7, 5)
    whole = reranked(first, second, 3), shortlist(first, 3)
    monkeypatch.setattr("tipr.evaluation.shortlist._ROWS", 2)
    assert torch.equal(reranked(first, second, 3), whole[0])
    assert torch.equal(shortlist(first, 3), whole[1])


def test_map_is_of_a_whole_ranking() -> None:
    # the second match lies behind the depth: rank 3 of the dual encoder, wherever it is stored
    first, second = torch.tensor([[0.9, 0.1, 0.8, 0.7]]), torch.tensor([[0.1, 0.0, 0.9, 0.0]])
    ranked = reranked(first, second, 2)
    m = retrieval_metrics(ranked, torch.tensor([1]), torch.tensor([2, 3, 1, 1]))
    assert (m.R1, m.mAP) == (1.0, pytest.approx((1 + 2 / 3) / 2))


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more; not -1"):
        reranked(torch.zeros(1, 1), torch.zeros(1, 1), -1)
