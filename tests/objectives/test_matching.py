from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references import matching as reference

from tipr.objectives.matching import (
    cmpm,
    cosine,
    divergence,
    hardest_triplet,
    info_nce,
    label_distribution,
    same_person,
    sdm,
    sdm_of,
)

EXACT = 1e-9
GROUPS = ([0, 1, 2, 3, 4, 5], [0, 1, 0, 2, 2, 2], [0, 0, 0, 1, 1, 1], [7, 7, 7, 7, 7, 7])
APART = torch.tensor([4, 2, 9])


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    image, text = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    return image, text, torch.tensor([0, 1, 0, 2, 2, 2])


def test_cosine_ignores_length(rows) -> None:
    image, text, _ = rows
    assert torch.allclose(cosine(image, text), cosine(3 * image, 0.1 * text))
    expected = reference.cosine(image[1].tolist(), text[2].tolist())
    assert cosine(image, text)[1, 2].item() == pytest.approx(expected, rel=EXACT)


def test_info_nce_equals_the_loop(rows) -> None:
    image, text, _ = rows
    expected = reference.info_nce(image.tolist(), text.tolist(), 0.2)
    assert info_nce(image, text, 0.2).item() == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("ids", GROUPS)
def test_sdm_equals_the_loop(rows, ids) -> None:
    image, text, _ = rows
    expected = reference.sdm(image.tolist(), text.tolist(), ids, 0.1, 1e-8)
    assert sdm(image, text, torch.tensor(ids), 0.1).item() == pytest.approx(expected, rel=EXACT)


def test_sdm_is_least_when_only_the_right_people_agree() -> None:
    ids = torch.tensor([0, 0, 1, 1])
    apart = torch.eye(4)[ids]
    mixed = torch.eye(4)[torch.tensor([0, 1, 0, 1])]
    assert sdm(apart, apart, ids) < 1e-3 < sdm(mixed, mixed, ids)


def test_sdm_of_cosines_is_sdm(rows) -> None:
    image, text, ids = rows
    assert torch.equal(sdm_of(cosine(text, image), ids, 0.1), sdm(image, text, ids, 0.1))


@pytest.mark.parametrize("ids", GROUPS)
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_cmpm_equals_the_loop(rows, ids, norm) -> None:
    image, text, _ = rows
    expected = reference.cmpm(image.tolist(), text.tolist(), ids, norm, 1e-8)
    loss = cmpm(image, text, torch.tensor(ids), norm)
    assert loss.item() == pytest.approx(expected, rel=EXACT)


def test_cmpm_of_two_pairs_by_hand() -> None:
    """Logits are 3, 0 and 0, 4 from the images, 1, 0 and 0, 2 from the texts."""
    image = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    text = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    right, wrong = math.log(1 + 1e-8), math.log(1e-8)
    expected = 0.0
    for sharpness in (3, 4, 1, 2):
        p = 1 / (1 + math.exp(-sharpness))
        expected += p * (math.log(p) - right) + (1 - p) * (math.log(1 - p) - wrong)
    loss = cmpm(image, text, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(expected / 2, rel=EXACT)


def test_length_of_the_query_sharpens_cmpm() -> None:
    image, ids = torch.eye(3, dtype=torch.float64), torch.arange(3)
    losses = [cmpm(scale * image, scale * image, ids).item() for scale in (1, 4, 16)]
    assert losses == sorted(losses, reverse=True)


def test_released_labels_change_cmpm_only_when_a_person_has_several_rows(rows) -> None:
    image, text, several = rows
    single = torch.arange(6)
    assert torch.equal(cmpm(image, text, single, "l1"), cmpm(image, text, single, "l2"))
    assert cmpm(image, text, several, "l1") > cmpm(image, text, several, "l2") + 0.1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_labels_sum_to_one_or_as_released_to_the_root_of_the_matches(ids) -> None:
    labels = same_person(torch.tensor(ids))
    matches = torch.tensor([float(ids.count(i)) for i in ids], dtype=torch.float64)
    proper = label_distribution(labels, "l1", torch.float64)
    released = label_distribution(labels, "l2", torch.float64)
    assert torch.allclose(proper.sum(1), torch.ones_like(matches), rtol=EXACT)
    assert torch.allclose(released.sum(1), matches.sqrt(), rtol=EXACT)
    assert torch.allclose(released.norm(dim=1), torch.ones_like(matches), rtol=EXACT)


def test_divergence_takes_any_gallery_and_rows_without_a_match() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([[True, True, False, False], [False, False, False, False]])
    uniform, nothing = math.log(1 / 4), math.log(1e-8)
    first = uniform - (math.log(1 / 2 + 1e-8) + nothing) / 2
    second = uniform - nothing
    loss = divergence(logits, labels)
    assert loss.item() == pytest.approx((first + second) / 2, rel=EXACT)


def test_divergence_keeps_its_epsilon_in_half_precision() -> None:
    logits = torch.zeros(2, 2, dtype=torch.float16)
    assert divergence(logits, torch.eye(2, dtype=torch.bool)).isfinite()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("mixed", [False, True])
def test_matching_is_in_full_precision_whatever_the_towers_were_in(rows, dtype, mixed) -> None:
    image, text, ids = (x.to(dtype) if x.is_floating_point() else x for x in rows)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        cosines, loss = cosine(text, image), cmpm(image, text, ids)
    image, text = image.double(), text.double()
    assert cosines.double() == pytest.approx(cosine(text, image), abs=1e-5)
    assert loss.item() == pytest.approx(cmpm(image, text, ids).item(), rel=1e-5)


@pytest.mark.parametrize("ids", GROUPS)
@pytest.mark.parametrize("margin", [0.0, 0.05, 0.5])
def test_hardest_triplet_equals_the_loop(rows, ids, margin) -> None:
    image, text, _ = rows
    expected = reference.hardest_triplet(image.tolist(), text.tolist(), ids, margin)
    loss = hardest_triplet(image, text, torch.tensor(ids), margin)
    assert loss.item() == pytest.approx(expected, rel=EXACT)


def test_hardest_triplet_of_two_pairs_by_hand() -> None:
    """Cosines, text by image, are 1, .6 and 0, .8: hinges .1 and 0 by text, 0 and .3 by image."""
    image = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    text = torch.tensor([[2.0, 0.0], [0.0, 5.0]], dtype=torch.float64)
    loss = hardest_triplet(image, text, torch.tensor([3, 8]), margin=0.5)
    assert loss.item() == pytest.approx((0.1 + 0.0) / 2 + (0.0 + 0.3) / 2, rel=EXACT)


def test_hardest_triplet_learns_from_the_hardest_row_alone() -> None:
    """Text 0 meets image 1, which is closer to it than image 2; all other triplets are fine."""
    image = torch.tensor([[1.0, 0, 0, 0], [0.9, 0.4, 0, 0], [0.1, 0, 1, 0]], dtype=torch.float64)
    text = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0.1], [0, 0, 1.0, 0]], dtype=torch.float64)
    image.requires_grad_()
    similarity = cosine(text, image)
    loss = hardest_triplet(image, text, APART, margin=0.1)
    by_hand = ((similarity[0, 1] - similarity[0, 0] + 0.1) / 3) + (
        (similarity[0, 1] - similarity[1, 1] + 0.1) / 3
    )
    assert loss.item() == pytest.approx(by_hand.item(), rel=EXACT)
    gradient, expected = (torch.autograd.grad(x, image)[0] for x in (loss, by_hand))
    assert torch.allclose(gradient, expected)
    assert gradient[2].abs().max() == 0


def test_hardest_triplet_never_takes_the_same_person_for_another() -> None:
    image = torch.eye(4, dtype=torch.float64)
    image[1] = image[0]
    assert hardest_triplet(image, image, torch.tensor([5, 5, 6, 7])).item() == 0


def test_a_batch_of_one_person_has_no_triplet_but_a_gradient(rows) -> None:
    image, text, _ = rows
    image.requires_grad_()
    loss = hardest_triplet(image, text, torch.zeros(6, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert image.grad is not None and image.grad.abs().max() == 0


@pytest.mark.parametrize("loss", [sdm, cmpm, hardest_triplet])
def test_gradients_are_those_of_finite_differences(rows, loss) -> None:
    image, text, ids = (x.requires_grad_() if x.is_floating_point() else x for x in rows)
    assert torch.autograd.gradcheck(lambda i, t: loss(i, t, ids), (image, text))


@pytest.mark.parametrize("loss", [sdm, cmpm, hardest_triplet])
def test_the_order_of_rows_is_of_no_account(rows, loss) -> None:
    image, text, ids = rows
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    expected = loss(image, text, ids).item()
    assert loss(image[order], text[order], ids[order]).item() == pytest.approx(expected, rel=EXACT)
