"""Untrained models in the bench: plain research code computes the same vectors, in any batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tipr.bench.speed import sentences, way_of
from tipr.bench.untrained import plain, untrained
from tipr.embedder import Embedder
from tipr.experiments.find import find_experiment


@pytest.mark.parametrize("experiment", ["clip:tiny", "ivt:tiny"])
def test_plain_code_gives_the_same_vectors(tmp_path: Path, experiment: str) -> None:
    path = untrained(experiment, tmp_path / "model", [], [], graphs=False)
    ours, theirs = Embedder.load(path), plain(Embedder.load(path))
    assert theirs.runtime.name == "plain PyTorch"
    noise = np.random.default_rng(0).random((3, 3, *ours.transform.size), np.float32)
    import torch

    for rows in (1, 3):
        pixels = torch.from_numpy(noise[:rows])
        a, b = (one.runtime.images(pixels) for one in (ours, theirs))
        np.testing.assert_allclose(a, b, atol=1e-5)
        texts = sentences()[:rows]
        np.testing.assert_allclose(ours.embed_texts(texts), theirs.embed_texts(texts), atol=1e-5)


def test_an_untrained_model_has_the_size_of_its_experiment_and_all_graphs(tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 16), "red").save(picture)
    path = untrained("clip:tiny", tmp_path / "model", [picture] * 4, sentences()[:4], graphs=True)
    config = find_experiment("clip:tiny").encoder
    assert Embedder.load(path, "pytorch").encoder.config.image_size == config.image_size
    for way in ("openvino:fp32", "onnxruntime:int8"):
        assert Embedder.load(path, way).embed_texts(["a man"]).shape[0] == 1


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("shipped:small", ("shipped:small", "")),
        ("shipped:small@plain", ("shipped:small", "plain")),
        ("runs/a@openvino:int8", ("runs/a", "openvino:int8")),
        ("hf:us/model@v1", ("hf:us/model@v1", "")),
        ("runs/me@home/best", ("runs/me@home/best", "")),
    ],
)
def test_a_way_is_told_from_the_rest_of_a_name(name: str, parts: tuple[str, str]) -> None:
    assert way_of(name) == parts
