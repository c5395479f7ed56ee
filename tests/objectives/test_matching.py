from __future__ import annotations

import pytest
import torch
from references import matching as reference

from tipr.objectives.identity import IdentityLoss
from tipr.objectives.matching import cosine, info_nce, sdm


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    image, text = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    return image, text, torch.tensor([0, 1, 0, 2, 2, 2])


def test_cosine_ignores_length(rows) -> None:
    image, text, _ = rows
    assert torch.allclose(cosine(image, text), cosine(3 * image, 0.1 * text))
    expected = reference.cosine(image[1].tolist(), text[2].tolist())
    assert cosine(image, text)[1, 2].item() == pytest.approx(expected)


def test_info_nce_equals_the_loop(rows) -> None:
    image, text, _ = rows
    expected = reference.info_nce(image.tolist(), text.tolist(), 0.2)
    assert info_nce(image, text, 0.2).item() == pytest.approx(expected)


def test_sdm_equals_the_loop(rows) -> None:
    image, text, ids = rows
    expected = reference.sdm(image.tolist(), text.tolist(), ids.tolist(), 0.1, 1e-8)
    assert sdm(image, text, ids, 0.1).item() == pytest.approx(expected)


def test_sdm_is_least_when_only_the_right_people_agree() -> None:
    ids = torch.tensor([0, 0, 1, 1])
    apart = torch.eye(4)[ids]
    mixed = torch.eye(4)[torch.tensor([0, 1, 0, 1])]
    assert sdm(apart, apart, ids) < 1e-3 < sdm(mixed, mixed, ids)


def test_both_modalities_share_one_classifier(rows) -> None:
    image, text, ids = (x.float() if x.is_floating_point() else x for x in rows)
    loss = IdentityLoss(5, 3)
    assert loss(image, text, ids).detach().item() == pytest.approx(
        torch.tensor(3.0).log().item(), abs=0.05
    )
    loss(image, text, ids).backward()
    assert sum(1 for _ in loss.parameters()) == 2
