from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tipr.data.pairs import Pair
from tipr.data.sampling import EpochBatches, PersonBalanced, Shuffled, UpToPerPerson

PEOPLE = st.lists(st.integers(0, 9), min_size=8, max_size=80)
SAMPLINGS = [Shuffled(), PersonBalanced(per_person=2), UpToPerPerson(most=2)]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@given(ids=PEOPLE)
def test_batches_are_full_and_no_more_than_announced(sampling, ids: list[int]) -> None:
    batches = list(sampling.epoch(ids, 4))
    assert all(len(batch) == 4 for batch in batches)
    assert all(0 <= row < len(ids) for batch in batches for row in batch)
    assert len(batches) <= sampling.length(ids, 4)


@given(ids=PEOPLE)
def test_shuffling_shows_every_pair_once(ids: list[int]) -> None:
    rows = [row for batch in Shuffled().epoch(ids, 4) for row in batch]
    assert len(set(rows)) == len(rows) == len(ids) // 4 * 4


@given(ids=PEOPLE)
def test_a_balanced_batch_holds_as_many_pairs_of_each_person(ids: list[int]) -> None:
    for batch in PersonBalanced(per_person=2).epoch(ids, 4):
        assert sorted(Counter(ids[row] for row in batch).values()) == [2, 2]


def test_a_person_with_one_pair_fills_a_group_with_it() -> None:
    (batch,) = PersonBalanced(per_person=4).epoch([5], 4)
    assert batch == [0, 0, 0, 0]


def test_a_balanced_epoch_shows_no_more_pairs_than_there_are() -> None:
    """Ten pairs of a person fill two groups of four; the third, half repeated, may not count."""
    ids = [person for person in range(12) for _ in range(10)]
    sampling = PersonBalanced(per_person=4)
    assert len(list(sampling.epoch(ids, 16))) == sampling.length(ids, 16) == 120 // 16


@given(ids=PEOPLE)
def test_a_balanced_epoch_has_one_batch_or_no_more_rows_than_pairs(ids: list[int]) -> None:
    batches = list(PersonBalanced(per_person=4).epoch(ids, 8))
    assert len(batches) <= max(len(ids) // 8, 1)


def test_a_balanced_batch_must_divide() -> None:
    with pytest.raises(ValueError, match=r"change data\.batch_size"):
        next(PersonBalanced(per_person=4).epoch([0] * 9, 6))


def test_groups_of_up_to_two_show_about_98_people_in_128_rows() -> None:
    torch.manual_seed(0)
    ids = [person for person in range(1000) for _ in range(6)]
    batches = list(UpToPerPerson(most=2).epoch(ids, 128))
    people = [len({ids[row] for row in batch}) for batch in batches]
    assert 90 < sum(people) / len(people) < 105
    rows = [row for batch in batches for row in batch]
    assert len(set(rows)) == len(rows) > 0.9 * len(ids)


def test_epochs_differ_and_a_seed_repeats_them(tmp_path) -> None:
    pairs = [Pair(tmp_path, "x", i // 2, i) for i in range(40)]
    batches = EpochBatches(PersonBalanced(per_person=2), pairs, 8)
    torch.manual_seed(0)
    first, second = list(batches), list(batches)
    torch.manual_seed(0)
    assert first != second and first == list(batches)
    assert len(batches) == 5


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_what_a_method_draws_does_not_change_the_order(tmp_path, sampling) -> None:
    pairs = [Pair(tmp_path, "x", i // 4, i) for i in range(40)]
    batches = EpochBatches(sampling, pairs, 8)
    torch.manual_seed(0)
    alone = list(batches)
    torch.manual_seed(0)
    assert [(batch, torch.rand(3))[0] for batch in batches] == alone


def shares(sampling, ids: list[int], size: int, processes: int) -> list[list[list[int]]]:
    """What each process draws from the same state of the generator."""
    pairs = [Pair(Path("x"), "x", person, row) for row, person in enumerate(ids)]
    drawn = []
    for rank in range(processes):
        torch.manual_seed(0)
        drawn.append(list(EpochBatches(sampling, pairs, size, rank, processes)))
    return drawn


@pytest.mark.parametrize("sampling", SAMPLINGS)
@given(ids=PEOPLE, processes=st.sampled_from([1, 2, 4]))
def test_parts_in_the_order_of_processes_are_the_batch_of_one(sampling, ids, processes) -> None:
    (whole,) = shares(sampling, ids, 8, 1)
    parts = shares(sampling, ids, 8, processes)
    assert [len(drawn) for drawn in parts] == [len(whole)] * processes
    for batch, *own in zip(whole, *parts, strict=True):
        assert {len(rows) for rows in own} == {8 // processes}
        assert [row for rows in own for row in rows] == batch


@given(ids=PEOPLE, processes=st.sampled_from([2, 4]))
def test_no_pair_is_drawn_by_two_processes(ids, processes) -> None:
    drawn = [row for part in shares(Shuffled(), ids, 4, processes) for rows in part for row in rows]
    assert len(set(drawn)) == len(drawn) == len(ids) // 4 * 4


@given(ids=PEOPLE)
def test_people_stay_whole_on_a_process(ids) -> None:
    first, second = shares(PersonBalanced(per_person=2), ids, 8, 2)
    for here, there in zip(first, second, strict=True):
        people, others = ([ids[row] for row in rows] for rows in (here, there))
        assert sorted(Counter(people).values()) == sorted(Counter(others).values()) == [2, 2]
        assert not set(people) & set(others)


@given(count=st.integers(1, 40), processes=st.sampled_from([1, 2]))
def test_the_last_batch_may_be_smaller(count, processes) -> None:
    sampling, ids = Shuffled(keep_last=True), list(range(count))
    parts = shares(sampling, ids, 8, processes)
    sizes = [[len(rows) for rows in part] for part in parts]
    rest = count % 8
    last = [rest // processes] if rest > 1 else []
    assert all(own == [8 // processes] * (count // 8) + last for own in sizes)
    assert sampling.length(ids, 8) == count // 8 + bool(last)
    drawn = [row for part in parts for rows in part for row in rows]
    assert len(set(drawn)) == len(drawn)


def test_a_batch_that_processes_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"3 processes .* data\.batch_size to a multiple of 3"):
        EpochBatches(Shuffled(), [], 64, 0, 3)
