"""What every method promises; experiments are found by walking the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from batches import batch
from PIL import Image
from safetensors.torch import load_file

from tipr.data.images import ImageTransform
from tipr.data.tokenizers import read_tokenizer
from tipr.embedder import Embedder
from tipr.experiments.find import experiment_names, find_experiment
from tipr.training.experiment import Experiment

TINY = [name for name in experiment_names() if name.endswith("tiny")]


@pytest.fixture(params=TINY)
def experiment(request: pytest.FixtureRequest) -> Experiment:
    return find_experiment(request.param)


@pytest.fixture
def method(experiment: Experiment, tmp_path: Path):
    torch.manual_seed(0)
    config = experiment.method
    if getattr(config, "richer", None) == "":  # learns from a run: here of an untrained teacher
        teacher = config.teacher.build(experiment.encoder.build(), num_persons=4)
        torch.save({"method": teacher.state_dict()}, tmp_path / "last.pt")
        config = replace(config, richer=str(tmp_path))
    return config.build(experiment.encoder.build(), num_persons=4)


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


def test_only_the_encoder_ships_and_it_embeds_as_before(method, experiment, tmp_path) -> None:
    merges = read_tokenizer("own", 16)
    transform = ImageTransform(method.encoder.image_size)
    before = Embedder(method.encoder, transform, merges)
    before.save(tmp_path / "bundle")
    after = Embedder.load(tmp_path / "bundle", "cpu")
    shipped = set(load_file(tmp_path / "bundle" / "model.safetensors"))
    assert shipped == set(experiment.encoder.build().state_dict())
    texts = ["a man in a red coat", "a woman with a bag"]
    pictures = [Image.new("RGB", (32, 64), colour) for colour in ("red", "blue")]
    assert np.allclose(after.embed_texts(texts), before.embed_texts(texts), atol=2e-3)
    assert np.allclose(after.embed_images(pictures), before.embed_images(pictures), atol=2e-3)
    assert after.fingerprint == before.fingerprint


def test_what_is_frozen_gets_no_gradient(method) -> None:
    sum(method(batch()).values()).backward()
    frozen = [p for p in method.parameters() if not p.requires_grad]
    assert all(p.grad is None for p in frozen)


def test_a_resumed_method_gives_the_same_terms(method) -> None:
    values = {k: v.clone() for k, v in method.state_dict().items()}
    torch.manual_seed(1)
    before = {k: v.item() for k, v in method(batch()).items()}
    with torch.no_grad():
        for p in method.parameters():
            if p.requires_grad:
                p.add_(1.0)
    method.load_state_dict(values)
    torch.manual_seed(1)
    assert {k: v.item() for k, v in method(batch()).items()} == before
