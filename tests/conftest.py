"""A dataset of coloured rectangles: enough for a tiny encoder to learn within seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rectangles import COLOURS, TEMPLATES, rectangles

from tipr.data.bpe import BytePairs, learn_merges
from tipr.data.images import ImageTransform
from tipr.data.text import Tokenizer
from tipr.embedder import Embedder
from tipr.experiments import clip
from tipr.training.experiment import Experiment


@pytest.fixture(scope="session")
def rectangles_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rectangles(tmp_path_factory.mktemp("rectangles"))


@pytest.fixture
def tiny(rectangles_root: Path) -> Experiment:
    base = clip.tiny()
    return replace(
        base,
        data=replace(base.data, root=rectangles_root),
        optim=replace(base.optim, epochs=2),
    )


@pytest.fixture
def embedder() -> Embedder:
    """An untrained tiny model."""
    torch.manual_seed(0)
    encoder = clip.TINY.build()
    captions = [t.format(a, b) for t in TEMPLATES for a in COLOURS for b in COLOURS]
    tokenizer = Tokenizer(BytePairs(learn_merges(captions, 200)), 48)
    return Embedder(encoder, ImageTransform(encoder.image_size), tokenizer, "untrained")
