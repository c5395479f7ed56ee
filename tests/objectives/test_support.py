from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tipr.objectives.support import (
    SupportBank,
    drawn,
    inbatch_pool,
    inbatch_support,
    person_means,
    strangers,
)

PEOPLE = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12)


@given(PEOPLE)
def test_a_row_is_supported_by_other_items_of_its_person_only(rows) -> None:
    ids, items = (torch.tensor(column) for column in zip(*rows, strict=True))
    supported = inbatch_support(ids, items)
    for b, (person, item) in enumerate(rows):
        for s, (other, others_item) in enumerate(rows):
            assert supported[b, s] == (person == other and item != others_item)
    alone = inbatch_support(ids)
    assert alone.equal((ids[:, None] == ids) & ~torch.eye(len(rows), dtype=torch.bool))


@given(PEOPLE, st.integers(1, 5))
def test_a_draw_takes_of_what_is_there_and_each_once(rows, most) -> None:
    ids, items = (torch.tensor(column) for column in zip(*rows, strict=True))
    numbered = torch.arange(len(rows)).float()[:, None]
    pool, there = inbatch_pool(numbered, ids, items)
    supports, present = drawn(pool, there, most)
    assert supports.shape[1] <= max(most, len(rows))
    assert present.sum(dim=1).equal(there.sum(dim=1).clamp(max=most))
    for b in range(len(rows)):
        taken = supports[b][present[b]].long().flatten().tolist()
        assert len(set(taken)) == len(taken)
        assert there[b][taken].all()


def test_draws_differ() -> None:
    torch.manual_seed(0)
    pool, there = torch.arange(20.0).view(1, 20, 1), torch.ones(1, 20, dtype=torch.bool)
    taken = [frozenset(drawn(pool, there, 3)[0].flatten().tolist()) for _ in range(10)]
    assert len(set(taken)) > 5


def test_strangers_support_with_another_person() -> None:
    torch.manual_seed(0)
    ids = torch.tensor([0, 0, 1, 1, 2, 2])
    pool, there = inbatch_pool(ids[:, None].float(), ids, torch.arange(6))
    for _ in range(5):
        supports, present = strangers(pool, there, ids)
        assert present.sum(dim=1).tolist() == [1] * 6
        assert (supports[present].flatten().long() != ids).all()
    pool, there = inbatch_pool(torch.zeros(2, 1), ids[:2], torch.arange(2))
    assert not strangers(pool, there, ids[:2])[1].any()


def test_an_item_in_several_rows_supports_once() -> None:
    people, items = torch.tensor([1, 1, 1, 1, 2]), torch.tensor([7, 7, 8, 9, 5])
    _, present = inbatch_pool(torch.zeros(5, 2), people, items)
    assert [items[row].tolist() for row in present] == [[8, 9], [8, 9], [7, 9], [7, 8], []]


def test_a_prototype_is_the_mean_of_a_person() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 5.0], [3.0, 2.0]])
    means = person_means(rows, torch.tensor([4, 7, 4]))
    assert means.tolist() == [[2.0, 1.0], [0.0, 5.0], [2.0, 1.0]]


def vectors(*values: float) -> torch.Tensor:
    return torch.tensor(values).float()[:, None]


def ids(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_the_bank_never_gives_a_row_its_own_item() -> None:
    bank = SupportBank(num_persons=2, slots=3, width=1)
    assert not bank.read(ids(0), ids(5))[1].any()
    bank.write(ids(0, 0, 1), ids(5, 6, 5), vectors(50, 60, 150))
    supports, present = bank.read(ids(0, 0, 0, 1), ids(5, 6, 7, 5))
    found = [sorted(s[p].flatten().tolist()) for s, p in zip(supports, present, strict=True)]
    assert found == [[60], [50], [50, 60], []]


def test_a_known_item_follows_by_momentum() -> None:
    bank = SupportBank(1, 2, 1, momentum=0.9)
    bank.write(ids(0), ids(1), vectors(10))
    bank.write(ids(0), ids(1), vectors(20))
    supports, present = bank.read(ids(0), ids(2))
    assert supports[present].item() == pytest.approx(11)
    assert bank.written.tolist() == [1]


def test_the_bank_is_a_ring_and_forgets_what_came_first() -> None:
    bank = SupportBank(2, 2, 1)
    bank.write(ids(0, 1, 0), ids(1, 1, 2), vectors(1, 11, 2))
    bank.write(ids(0), ids(3), vectors(3))
    assert sorted(bank.items[0].tolist()) == [2, 3]
    bank.write(ids(0, 0, 0), ids(4, 5, 6), vectors(4, 5, 6))  # more than there are slots
    assert sorted(bank.items[0].tolist()) == [5, 6]
    assert sorted(bank.features[0].flatten().tolist()) == [5, 6]
    assert bank.items[1].tolist() == [1, -1]


def test_an_item_twice_in_a_batch_is_written_once() -> None:
    bank = SupportBank(1, 3, 1)
    bank.write(ids(0, 0, 0), ids(8, 8, 9), vectors(1, 2, 3))
    assert bank.items.tolist() == [[8, 9, -1]]
    bank.write(ids(0, 0), ids(8, 8), vectors(1, 5))
    assert bank.features[0, 0].item() == 1


def remembered(slots: list[list[float]], new: dict[int, float]) -> list[list[float]]:
    """A ring of two [item, feature], oldest first, after a batch; momentum one half."""
    refreshed = [[i, (f + new[int(i)]) / 2 if i in new else f] for i, f in slots]
    known = [item for item, _ in slots]
    return [*refreshed, *([i, f] for i, f in new.items() if i not in known)][-2:]


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1), max_size=5))
def test_the_bank_equals_a_list_for_each_person(batches) -> None:
    bank = SupportBank(3, 2, 1, momentum=0.5)
    slots: list[list[list[float]]] = [[], [], []]
    for number, batch in enumerate(batches):
        rows = {pair: 10.0 * number + i for i, pair in enumerate(dict.fromkeys(batch))}
        people, items = zip(*rows, strict=True)
        bank.write(ids(*people), ids(*items), vectors(*rows.values()))
        for person in range(3):
            new = {item: value for (owner, item), value in rows.items() if owner == person}
            slots[person] = remembered(slots[person], new)
    supports, present = bank.read(ids(0, 1, 2), ids(-9, -9, -9))
    for features, there, expected in zip(supports, present, slots, strict=True):
        assert sorted(features[there].flatten().tolist()) == sorted(f for _, f in expected)


def test_a_checkpoint_holds_the_bank_and_gradients_do_not_reach_it() -> None:
    bank = SupportBank(2, 2, 3)
    features = torch.randn(2, 3, requires_grad=True)
    bank.write(ids(0, 1), ids(4, 4), features)
    again = SupportBank(2, 2, 3)
    again.load_state_dict(bank.state_dict())
    assert all(a.equal(b) for a, b in zip(again.buffers(), bank.buffers(), strict=True))
    assert not again.read(ids(0), ids(1))[0].requires_grad
    assert not list(bank.parameters())
