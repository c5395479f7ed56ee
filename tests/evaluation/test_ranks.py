from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references.metrics import ranking, walked
from torch.overrides import TorchFunctionMode

from tipr.evaluation import ranks as module
from tipr.evaluation.metrics import measured
from tipr.evaluation.ranks import Items, Ranks, products, ranks, rows_of

score = st.sampled_from([-torch.inf, -1.0, -0.0, 0.0, 0.5, 0.5000001, torch.inf])  # with ties


@contextmanager
def set_to(**values: int) -> Generator[None]:
    """Sizes of the module for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        yield


@st.composite
def cases(draw: st.DrawFn) -> tuple[torch.Tensor, Items, Items]:
    """Scores with many ties, of people and cameras that often meet; sometimes one picture."""
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 12))

    def numbers(of: st.SearchStrategy, count: int) -> torch.Tensor:
        return torch.tensor(draw(st.lists(of, min_size=count, max_size=count)))

    person, camera = st.integers(1, 3), st.integers(-1, 1)
    sides = [Items(numbers(person, n), numbers(camera, n)) for n in (queries, gallery)]
    scores = numbers(score, queries * gallery).reshape(queries, gallery)
    return scores, *sides


def by_query(parts: Iterator[Ranks]) -> list[list[int]]:
    """The ranks of each query, as lists."""
    found = []
    for part in parts:
        found += [mine.tolist() for mine in part.ranks.split(part.counts.tolist())]
    return found


def places(ranked: list[bool]) -> list[int]:
    return [rank for rank, match in enumerate(ranked, 1) if match]


def by_loops(scores: torch.Tensor, queries: Items, gallery: Items) -> list[list[int]]:
    seen = gallery.cameras.tolist() if gallery.cameras is not None else []
    cameras = [-1] * len(scores) if queries.cameras is None else queries.cameras.tolist()
    asked = zip(scores.tolist(), queries.people.tolist(), cameras, strict=True)
    people = gallery.people.tolist()
    return [places(walked(row, person, people, camera, seen)) for row, person, camera in asked]


@settings(deadline=None)
@given(cases(), st.sampled_from([1, 64]), st.integers(1, 40))
def test_ranks_equal_the_walk_down_the_ranking(case, sorted_from: int, block: int) -> None:
    scores, queries, gallery = case
    with set_to(BLOCK=block, ROWS=1, SORTED_FROM=sorted_from):
        assert by_query(ranks(rows_of(scores), queries, gallery)) == by_loops(*case)
        plain = Items(queries.people), Items(gallery.people)
        assert by_query(ranks(rows_of(scores), *plain)) == by_loops(scores, *plain)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 30), st.integers(1, 60))
def test_blocks_of_any_size_rank_embeddings_as_the_whole_matrix(seed, queries, gallery, block):
    # whole numbers are multiplied without rounding, so ties are ties however they are multiplied
    random = torch.Generator().manual_seed(seed)
    q, g = (torch.randint(-1, 2, (n, 4), generator=random).float() for n in (queries, gallery))
    sides = [Items(torch.randint(3, (n,), generator=random)) for n in (queries, gallery)]
    with set_to(BLOCK=block, ROWS=1):
        found = [by_query(ranks(products(q, g, gallery_first=f), *sides)) for f in (False, True)]
    assert found == [by_loops(q @ g.T, *sides)] * 2


@pytest.mark.parametrize("sorted_from", [1, 10_000])
def test_a_collapsed_model_ranks_in_gallery_order(sorted_from: int) -> None:
    people = torch.tensor([2, 1, 1, 2, 1])
    with set_to(SORTED_FROM=sorted_from):
        found = ranks(iter([torch.zeros(1, 5)]), Items(torch.tensor([1])), Items(people))
        assert by_query(found) == [[2, 3, 5]]


def test_both_ways_of_counting_agree_on_many_matches() -> None:
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 3000, generator=random)  # some equal by chance, one row on purpose
    scores[1] = scores[1].round(decimals=1)
    sides = Items(torch.arange(4) % 2), Items(torch.randint(2, (3000,), generator=random))
    found = []
    for sorted_from in (1, 10_000):
        with set_to(SORTED_FROM=sorted_from):
            found.append(by_query(ranks(rows_of(scores), *sides)))
    assert found[0] == found[1] == by_loops(scores, *sides)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_scores_of_any_precision_are_ranked(dtype: torch.dtype) -> None:
    scores = torch.tensor([[0.5, 1.0, 0.5, 2.0]]).to(dtype)
    if dtype == torch.float64:
        scores[0, 2] += 1e-12  # equal in single precision
    sides = Items(torch.tensor([1])), Items(torch.tensor([1, 1, 1, 2]))
    assert by_query(ranks(rows_of(scores), *sides)) == [[2, 3, 4]]
    only = Items(torch.tensor([1, 2, 2, 2]))  # behind 1.0 and 2.0, and 0.5 + 1e-12 where it is told
    expected = 4 if dtype == torch.float64 else 3
    assert by_query(ranks(rows_of(scores), sides[0], only)) == [[expected]]


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_a_score_that_is_no_number_is_named_by_its_query(block: int) -> None:
    scores = torch.zeros(5, 3)
    scores[3, 1] = torch.nan
    sides = Items(torch.zeros(5).long()), Items(torch.zeros(3).long())
    with (
        set_to(BLOCK=block, ROWS=1),
        pytest.raises(ValueError, match=r"query 3 has a score .*\(NaN\)"),
    ):
        list(ranks(rows_of(scores), *sides))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 4), "are not of 2 queries and 3 in"), ((3, 3), "of 2 queries"), ((1, 3), "1 rows of")],
)
def test_scores_of_other_queries_or_another_gallery_are_refused(shape, message) -> None:
    sides = Items(torch.zeros(2).long()), Items(torch.zeros(3).long())
    with pytest.raises(ValueError, match=message):
        list(ranks(iter([torch.zeros(shape)]), *sides))


def test_no_query_and_no_gallery_rank_nothing() -> None:
    nobody, three = Items(torch.zeros(0).long()), Items(torch.zeros(3).long())
    assert by_query(ranks(products(torch.ones(0, 2), torch.ones(3, 2)), nobody, three)) == []
    assert by_query(ranks(rows_of(torch.zeros(3, 0)), three, nobody)) == [[], [], []]


# -- cameras, worked by hand


def test_what_the_querys_camera_saw_of_its_person_is_not_in_its_gallery() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]])
    # ranked as it stands; person 1 from camera 0. The first (camera 0, person 1) goes, the second
    # (camera 0, person 2) stays, so camera 1's is second of four and the unknown one's is fourth.
    gallery = Items(torch.tensor([1, 2, 1, 2, 1]), torch.tensor([0, 0, 1, 1, -1]))
    query = Items(torch.tensor([1]), torch.tensor([0]))
    assert by_query(ranks(rows_of(scores), query, gallery)) == [[2, 4]]


def test_a_query_of_no_camera_keeps_the_whole_gallery() -> None:
    gallery = Items(torch.tensor([1, 1]), torch.tensor([-1, 0]))
    query = Items(torch.tensor([1]), torch.tensor([-1]))
    assert by_query(ranks(iter([torch.zeros(1, 2)]), query, gallery)) == [[1, 2]]


# -- memory


class Largest(TorchFunctionMode):
    """The most elements that any tensor has which is made meanwhile."""

    elements = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@pytest.mark.parametrize("people", [60, 4])  # compared, and sorted
@pytest.mark.parametrize("gallery_first", [False, True])
def test_no_more_than_a_block_of_scores_is_ever_held(people: int, gallery_first: bool) -> None:
    size, width, block = 600, 4, 1 << 12
    random = torch.Generator().manual_seed(0)
    q, g = torch.randn(2, size, width, generator=random)
    sides = [Items(torch.randint(people, (size,), generator=random)) for _ in range(2)]
    with set_to(BLOCK=block, ROWS=1), Largest() as largest:
        measured(ranks(products(q, g, gallery_first=gallery_first), *sides))
    assert size * width < largest.elements <= block < size * size / 50


def test_a_large_gallery_is_multiplied_by_many_queries_at_once() -> None:
    with set_to(BLOCK=100):
        sizes = [len(block) for block in products(torch.ones(130, 2), torch.ones(1000, 2))]
    assert sizes == [44, 43, 43]  # three of 64 at most; never a few left over


@pytest.mark.parametrize("gallery_first", [False, True])
def test_pictures_with_the_same_embedding_score_the_same_in_every_block(gallery_first) -> None:
    random = torch.Generator().manual_seed(0)
    queries, one = torch.randn(300, 192, generator=random), torch.randn(1, 192, generator=random)
    with set_to(BLOCK=1):
        for block in products(queries, one.repeat(333, 1), gallery_first=gallery_first):
            assert block.equal(block[:, :1].expand(block.shape))


def test_the_references_ranking_is_torchs_stable_sort() -> None:
    scores = torch.tensor([0.5, 0.7, 0.5, -0.0, 0.0, 0.7])
    assert ranking(scores.tolist()) == scores.argsort(descending=True, stable=True).tolist()
