from __future__ import annotations

import pytest
import torch
from references import distillation as reference

from tipr.objectives.distillation import feature_distance, relation_distance

Rows = tuple[torch.Tensor, torch.Tensor]


def pair(width: int, seed: int) -> Rows:
    random = torch.Generator().manual_seed(seed)
    image, text = torch.randn(2, 6, width, generator=random, dtype=torch.float64)
    return image, text


@pytest.fixture
def student() -> Rows:
    return pair(5, 0)


@pytest.fixture
def teacher() -> Rows:
    return pair(5, 1)


def test_feature_distance_equals_the_loop(student, teacher) -> None:
    a, b = student[0], teacher[0]
    unit, raw = feature_distance(a, b).item(), feature_distance(a, b, "raw").item()
    assert unit == pytest.approx(reference.unit_distance(a.tolist(), b.tolist()), rel=1e-9)
    assert raw == pytest.approx(reference.raw_distance(a.tolist(), b.tolist()), rel=1e-9)


def test_only_raw_features_have_a_length(student, teacher) -> None:
    a, b = student[0], teacher[0]
    assert torch.allclose(feature_distance(a, b), feature_distance(3 * a, b / 7))
    assert not torch.allclose(feature_distance(a, b, "raw"), feature_distance(3 * a, b, "raw"))


def test_opposite_directions_are_four_apart() -> None:
    ahead = torch.tensor([[2.0, 0.0], [0.0, 3.0]], dtype=torch.float64)
    assert feature_distance(ahead, -ahead).item() == pytest.approx(4)
    assert feature_distance(ahead, ahead.flip(1)).item() == pytest.approx(2)


def test_relation_distance_equals_the_loop(student, teacher) -> None:
    lists = [tuple(x.tolist() for x in rows) for rows in (student, teacher)]
    loss = relation_distance(student, teacher).item()
    assert loss == pytest.approx(reference.relation_distance(*lists), rel=1e-9)


def test_relations_of_two_pairs_by_hand() -> None:
    """The student tells all apart; the teacher also sees image 0 in text 1, at a cosine of .6."""
    apart = torch.eye(2, dtype=torch.float64)
    near = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    loss = relation_distance((apart, apart), (apart, near))
    assert loss.item() == pytest.approx((0.6**2 + 0.2**2) / 2, rel=1e-9)


def test_relations_compare_models_of_any_width(student) -> None:
    assert relation_distance(student, pair(9, 2)).isfinite()


def test_a_student_equal_to_its_teacher_has_nothing_to_learn(student) -> None:
    for space in ("unit", "raw"):
        assert feature_distance(student[0], student[0].clone(), space).item() == 0
    assert relation_distance(student, student).item() == 0


def test_the_teacher_learns_nothing(student, teacher) -> None:
    everyone = [*student, *teacher]
    for x in everyone:
        x.requires_grad_()
    loss = relation_distance(student, teacher)
    for space in ("unit", "raw"):
        loss = loss + feature_distance(student[0], teacher[0], space)
        loss = loss + feature_distance(student[1], teacher[1], space)
    loss.backward()
    assert all(x.grad is None for x in teacher)
    assert all(x.grad is not None and x.grad.abs().min() > 0 for x in student)
