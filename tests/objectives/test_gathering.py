"""Losses on two processes are those of one with all rows; what is random here is seeded alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
from processes import together
from torch import Tensor

from tipr.objectives.distillation import feature_distance, relation_distance
from tipr.objectives.gathering import everyone, gathered, own_rows
from tipr.objectives.identity import identity_loss
from tipr.objectives.matching import cmpm, hardest_triplet, info_nce, sdm
from tipr.objectives.support import SupportBank, inbatch_pool, person_means

IDS = torch.tensor([0, 1, 0, 2, 2, 0])
ITEMS = torch.tensor([7, 3, 8, 5, 5, 7])  # rows 3 and 4 show one item, rows 0 and 5 too
EVENLY, UNEVENLY = (3, 3), (5, 1)
KINDS = [torch.bool, torch.int64, torch.uint8, torch.float16, torch.bfloat16, torch.float64]


class Rows:
    """Six rows of a global batch, of which a process holds some; what is learned is a leaf."""

    def __init__(self, own: slice) -> None:
        g = torch.Generator().manual_seed(0)
        image, text, rich_image, rich_text = torch.randn(4, 6, 5, generator=g).double()
        self.image, self.text = image[own].requires_grad_(), text[own].requires_grad_()
        self.teacher = rich_image[own], rich_text[own]
        self.ids, self.items = IDS[own], ITEMS[own]
        self.shared = torch.randn(3, 5, generator=g).double().requires_grad_()  # as a parameter is


def supported(rows: Rows) -> Tensor:
    """A row with the supports of it, each by its own share of the loss."""
    pool, present = inbatch_pool(rows.image, rows.ids, rows.items)
    mean = (pool * present[..., None]).sum(dim=1) / present.sum(dim=1, keepdim=True).clamp(min=1)
    return sdm(rows.image + mean, rows.text, rows.ids, 0.5)


def towards_persons(rows: Rows) -> Tensor:
    return sdm(person_means(rows.image, rows.ids), rows.text, rows.ids, 0.5)


COUPLED: dict[str, Callable[[Rows], Tensor]] = {
    "info_nce": lambda r: info_nce(r.image, r.text, r.shared.square().mean()),
    "sdm": lambda r: sdm(r.image @ r.shared.T, r.text @ r.shared.T, r.ids, 0.3),
    "cmpm": lambda r: cmpm(r.image, r.text @ r.shared.T @ r.shared, r.ids),
    "cmpm as released": lambda r: cmpm(r.image, r.text, r.ids, "l2"),
    "hardest_triplet": lambda r: hardest_triplet(r.image, r.text, r.ids, 0.5),
    "relation_distance": lambda r: relation_distance((r.image, r.text), r.teacher),
    "supports": supported,
    "prototypes": towards_persons,
}
ROW_BY_ROW: dict[str, Callable[[Rows], Tensor]] = {
    "identity": lambda r: identity_loss(r.image, r.text, r.ids, r.shared),
    "feature_distance": lambda r: feature_distance(r.image, r.teacher[0]),
}
FORMULAS = COUPLED | ROW_BY_ROW


def part(split: tuple[int, ...]) -> slice:
    """The rows of this process."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    return slice(sum(split[:rank]), sum(split[: rank + 1]))


def learned(split: tuple[int, ...]) -> dict[str, dict[str, Tensor]]:
    """Every formula's value and gradients."""
    found = {}
    for name, formula in FORMULAS.items():
        rows = Rows(part(split))
        loss = formula(rows)
        loss.backward()
        nothing = torch.zeros(1).double()
        grads = {n: getattr(rows, n).grad for n in ("image", "text", "shared")}
        grads = {n: nothing if grad is None else grad for n, grad in grads.items()}
        found[name] = {"loss": loss.detach(), **grads}
    return found


def remembered(split: tuple[int, ...]) -> dict[str, Tensor]:
    """The bank of supports after two batches."""
    rows, bank = Rows(part(split)), SupportBank(3, 2, 5).double()
    for features in (rows.image, rows.text):
        bank.write(rows.ids, rows.items, features.detach())
    return bank.state_dict()


def kinds() -> list[Tensor]:
    rank = dist.get_rank()
    return [gathered(torch.full((2, 3), rank).to(kind)) for kind in KINDS]


def shapes() -> dict[str, Any]:
    """The first process holds no row, the second two."""
    rank = dist.get_rank()
    numbers, names = everyone(torch.arange(2 * rank), torch.zeros(2 * rank, 3, 1))
    none = torch.zeros(2 * rank)
    return {
        "numbers": numbers,
        "names": names.shape,
        "own": (own_rows(none).start, own_rows(none).stop),
    }


def half_gradient() -> Tensor:
    x = torch.zeros(1, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.tensor([3.0, 4.0] if dist.get_rank() else [1.0, 2.0])
    (gathered(x).float() * weight).sum().backward()
    return x.grad if x.grad is not None else torch.zeros(0)


def refused() -> str:
    try:
        everyone(torch.zeros(2), torch.zeros(3))
    except ValueError as error:
        return str(error)
    return ""


def all_of_it() -> dict[str, Any]:
    return {
        "evenly": learned(EVENLY),
        "unevenly": learned(UNEVENLY),
        "bank": remembered(UNEVENLY),
        "kinds": kinds(),
        "shapes": shapes(),
        "half": half_gradient(),
        "refused": refused(),
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return together(all_of_it, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def one() -> dict[str, dict[str, Tensor]]:
    return learned((6,))


def averaged(two: list[dict[str, Any]], split: str, name: str) -> dict[str, Tensor]:
    """The losses' mean, and gradients as data parallel averages them."""
    here, there = (process[split][name] for process in two)
    rows = {n: torch.cat([here[n], there[n]]) / 2 for n in ("image", "text")}
    return {n: (here[n] + there[n]) / 2 for n in ("loss", "shared")} | rows


def assert_alike(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, value in expected.items():
        if value.numel() > 1 or name == "loss":
            assert torch.allclose(found[name], value, rtol=1e-9, atol=1e-9), name


@pytest.mark.parametrize("split", ["evenly", "unevenly"])
@pytest.mark.parametrize("name", COUPLED)
def test_two_processes_learn_what_one_does(two, one, name: str, split: str) -> None:
    assert one[name]["image"].abs().max() > 1e-3
    assert_alike(averaged(two, split, name), one[name])


@pytest.mark.parametrize("name", COUPLED)
def test_every_process_knows_the_loss_of_the_whole_batch(two, one, name: str) -> None:
    for process in two:
        assert torch.allclose(process["unevenly"][name]["loss"], one[name]["loss"], rtol=1e-9)


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_means_of_rows_are_exact_where_everyone_holds_as_many(two, one, name: str) -> None:
    assert_alike(averaged(two, "evenly", name), one[name])
    uneven = averaged(two, "unevenly", name)["loss"]
    assert not torch.allclose(uneven, one[name]["loss"], rtol=1e-3)


def test_all_processes_remember_the_same_supports(two) -> None:
    expected = remembered((6,))
    for process in two:
        assert all(process["bank"][name].equal(value) for name, value in expected.items())


def test_numbers_of_every_kind_travel_unchanged(two) -> None:
    for process in two:
        for kind, found in zip(KINDS, process["kinds"], strict=True):
            assert found.dtype == kind
            assert found.equal(torch.tensor([[0] * 3, [0] * 3, [1] * 3, [1] * 3]).to(kind))


def test_a_process_may_hold_no_row(two) -> None:
    for rank, process in enumerate(two):
        found = process["shapes"]
        assert found["numbers"].tolist() == [0, 1] and found["names"] == (2, 3, 1)
        assert found["own"] == [(0, 0), (0, 2)][rank]


def test_rows_in_half_precision_get_gradients_of_their_kind_from_everybody(two) -> None:
    gradients = [process["half"] for process in two]
    assert [gradient.item() for gradient in gradients] == [1 + 3, 2 + 4]
    assert {gradient.dtype for gradient in gradients} == {torch.bfloat16}


def test_rows_that_do_not_belong_together_are_refused(two) -> None:
    assert "[2, 3]" in two[0]["refused"]


def test_one_process_gets_its_own_rows_back() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    assert gathered(x) is x and own_rows(x) == slice(0, 3)
