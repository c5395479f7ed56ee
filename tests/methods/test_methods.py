"""What every method promises; experiments are found by walking the package."""

from __future__ import annotations

import pytest
import torch
from batches import batch

from tipr.experiments.find import experiment_names, find_experiment

TINY = [name for name in experiment_names() if name.endswith(":tiny")]


@pytest.fixture(params=TINY)
def method(request: pytest.FixtureRequest):
    torch.manual_seed(0)
    experiment = find_experiment(request.param)
    return experiment.method.build(experiment.encoder.build(), num_persons=4)


def test_terms_are_finite_scalars(method) -> None:
    terms = method(batch())
    assert terms
    assert all(t.ndim == 0 and torch.isfinite(t) for t in terms.values())


def test_every_parameter_gets_a_gradient(method) -> None:
    sum(method(batch()).values()).backward()
    idle = [name for name, p in method.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


def test_one_batch_can_be_learned_by_heart(method) -> None:
    optimizer = torch.optim.AdamW(method.parameters(), 2e-3)
    first = sum(method(batch()).values()).detach().item()
    for _ in range(40):
        optimizer.zero_grad()
        loss = sum(method(batch()).values())
        loss.backward()
        optimizer.step()
    assert loss.detach().item() < 0.5 * first
    b = batch()
    i = method.encoder.encode_image(b.images).embedding
    t = method.encoder.encode_text(b.tokens).embedding
    nearest = torch.nn.functional.cosine_similarity(t[:, None], i[None], dim=-1).argmax(dim=1)
    assert (b.person_ids[nearest] == b.person_ids).float().mean() >= 0.75
