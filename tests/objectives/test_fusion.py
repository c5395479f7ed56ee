from __future__ import annotations

import pytest
import torch
from references.fusion import cross_fusion
from torch import Tensor

from tipr.objectives.fusion import Fusion

WIDTH, HEADS = 8, 2
ATTENDING = ["xattn", "selfattn", "gate"]
KINDS = [*ATTENDING, "mean", "max"]


def sets() -> tuple[Tensor, Tensor, Tensor]:
    """Five samples with four places for supports; the third sample has none."""
    torch.manual_seed(0)
    sample, supports = torch.randn(5, WIDTH).double(), torch.randn(5, 4, WIDTH).double()
    present = torch.rand(5, 4) < 0.7
    present[:, 0], present[2] = True, False
    return sample, supports, present


def woken(kind: str, *, feedforward: bool = False, anchor: bool = True) -> Fusion:
    """A fusion as after some training: nothing in it is zero."""
    torch.manual_seed(1)
    fusion = Fusion(WIDTH, HEADS, kind, feedforward, anchor=anchor).double().eval()
    for parameter in fusion.parameters():
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, std=0.5)
    return fusion


@pytest.mark.parametrize("anchor", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_supports_does_not_matter(kind, anchor) -> None:
    sample, supports, present = sets()
    order = torch.tensor([2, 0, 3, 1])
    fusion = woken(kind, anchor=anchor)
    expected = fusion(sample, supports, present)
    assert torch.allclose(fusion(sample, supports[:, order], present[:, order]), expected)


@pytest.mark.parametrize("anchor", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_masked_supports_change_nothing(kind, anchor) -> None:
    sample, supports, present = sets()
    fusion = woken(kind, anchor=anchor)
    expected = fusion(sample, supports, present)
    more = torch.cat([supports, 9 * torch.randn(5, 2, WIDTH).double()], dim=1)
    seen = torch.cat([present, torch.zeros(5, 2, dtype=torch.bool)], dim=1)
    assert torch.allclose(fusion(sample, more, seen), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_present_support_changes_the_sample(kind) -> None:
    sample, supports, present = sets()
    changed = (woken(kind)(sample, supports, present) - sample).abs().amax(dim=1) > 1e-6
    assert changed.tolist() == [True, True, False, True, True]


@pytest.mark.parametrize("kind", KINDS)
def test_without_supports_a_sample_stays_exactly_itself(kind) -> None:
    sample, supports, present = sets()
    fusion = woken(kind, feedforward=kind in ATTENDING)
    assert fusion(sample, supports, torch.zeros_like(present)).equal(sample)
    assert fusion(sample, supports[:, :0], present[:, :0]).equal(sample)


@pytest.mark.parametrize("feedforward", [True, False])
@pytest.mark.parametrize("kind", ATTENDING)
def test_training_begins_with_the_sample_itself(kind, feedforward) -> None:
    sample, supports, present = sets()
    fusion = Fusion(WIDTH, HEADS, kind, feedforward).double()
    assert fusion(sample, supports, present).equal(sample)
    fusion(sample, supports, present).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


def test_cross_attention_equals_the_loop() -> None:
    sample, supports, present = sets()
    fusion = woken("xattn")
    result = fusion(sample, supports, present)
    for row in (0, 1, 3, 4):
        there = [s for s, p in zip(supports[row], present[row], strict=True) if p]
        assert result[row].tolist() == pytest.approx(cross_fusion(fusion.mix, sample[row], there))


def test_the_mean_and_the_maximum_are_over_the_sample_and_its_supports() -> None:
    sample, supports, present = sets()
    mean, greatest = (woken(k)(sample, supports, present) for k in ("mean", "max"))
    for row in range(5):
        members = torch.cat([sample[row, None], supports[row][present[row]]])
        assert torch.allclose(mean[row], members.mean(dim=0))
        assert torch.allclose(greatest[row], members.amax(dim=0))
    alone = woken("mean", anchor=False)(sample, supports, present)
    assert torch.allclose(alone[0], supports[0][present[0]].mean(dim=0))


def test_leave_one_out_does_not_look_at_the_sample() -> None:
    sample, supports, present = sets()
    taken = {}
    for anchor in (True, False):
        fusion = woken("gate", anchor=anchor)
        taken[anchor] = [fusion(x, supports, present) - x for x in (sample, sample.flip(1))]
    assert torch.allclose(*taken[False])
    assert not torch.allclose(*taken[True])


def test_what_is_never_looked_at_gets_no_gradient() -> None:
    sample, supports, present = sets()
    supports.requires_grad_()
    woken("xattn")(sample, supports, present).square().sum().backward()
    assert supports.grad[~present].abs().max() == 0
    assert supports.grad[present].abs().amin(dim=-1).min() > 0


def test_impossible_fusions_are_named() -> None:
    with pytest.raises(ValueError, match="no parameters"):
        Fusion(WIDTH, HEADS, "mean", feedforward=True)
    with pytest.raises(ValueError, match="does not divide"):
        Fusion(WIDTH, 3, "gate")
