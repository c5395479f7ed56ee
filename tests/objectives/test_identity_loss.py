from __future__ import annotations

import math

import pytest
import torch
from references import identity as reference

from tipr.objectives.identity import IdentityLoss, identity_loss

IDS = torch.tensor([0, 1, 0, 2, 2, 2])


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)


def test_identity_loss_equals_the_loop(rows) -> None:
    image, text = rows
    weight, bias = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    lists = image.tolist(), text.tolist(), IDS.tolist(), weight.tolist()
    with_bias = identity_loss(image, text, IDS, weight, bias).item()
    assert with_bias == pytest.approx(reference.identity_loss(*lists, bias.tolist()), rel=1e-9)
    without = identity_loss(image, text, IDS, weight).item()
    assert without == pytest.approx(reference.identity_loss(*lists, [0, 0, 0]), rel=1e-9)


def test_an_undecided_classifier_is_as_wrong_as_chance(rows) -> None:
    loss = identity_loss(*rows, IDS, torch.zeros(3, 5, dtype=torch.float64))
    assert loss.item() == pytest.approx(math.log(3), rel=1e-9)


def test_the_head_is_the_formula_with_its_own_classifier(rows) -> None:
    head = IdentityLoss(5, 3).double()
    weight, bias = head.classifier.weight, head.classifier.bias
    assert torch.equal(head(*rows, IDS), identity_loss(*rows, IDS, weight, bias))


def test_both_modalities_share_one_classifier(rows) -> None:
    head = IdentityLoss(5, 3).double()
    assert sum(1 for _ in head.parameters()) == 2
    image, text = rows
    assert torch.allclose(head(image, text, IDS), head(text, image, IDS))


def test_a_new_head_starts_undecided(rows) -> None:
    torch.manual_seed(0)
    head = IdentityLoss(512, 2000)
    assert head.classifier.weight.std().item() == pytest.approx(0.001, rel=0.01)
    assert head.classifier.bias.abs().max() == 0
