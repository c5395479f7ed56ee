"""Tiny models with exported graphs, the compact one made once for all tests of a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rectangles import COLOURS, TEMPLATES, draw

from tipr.data.bpe import BytePairs, learn_merges
from tipr.data.images import ImageTransform
from tipr.data.text import Tokenizer
from tipr.embedder import Embedder
from tipr.embedder.exporting import calibration, graph_files, write_bundle
from tipr.embedder.graphs import Way
from tipr.experiments import clip

TEXTS = [t.format(a, b) for t in TEMPLATES for a in COLOURS for b in COLOURS]
WORDS = Tokenizer(BytePairs(learn_merges(TEXTS, 200)), 48)
PICTURES = [draw(top, bottom) for top in COLOURS for bottom in COLOURS]
ENGINES = ("openvino", "onnxruntime")
WAYS = (
    Way(engine="openvino", precision="int8"),
    Way(engine="onnxruntime", precision="int8"),
    Way(engine="openvino", precision="fp16"),
    Way(engine="onnxruntime", precision="fp16"),
    Way(engine="openvino", precision="fp32"),
    Way(engine="onnxruntime", precision="fp32"),
)


def untrained(config: Any) -> Embedder:
    """Its weights are as a bundle holds them: in half precision."""
    torch.manual_seed(0)
    encoder = config.build().half().float()
    return Embedder(encoder, ImageTransform(encoder.image_size), WORDS)


def written(embedder: Embedder, out: Path) -> Path:
    """The model with graphs of all precisions."""
    folder = out.with_name(f"{out.name}-graphs")
    folder.mkdir()
    given = calibration(embedder, PICTURES[::2], TEXTS[::2])
    graph_files(embedder, folder, ("fp32", "fp16", "int8"), given)
    write_bundle(embedder, out, folder, WAYS)
    return out


def exported_model(factory: pytest.TempPathFactory) -> Path:
    """The compact one: copy it before changing it."""
    out = factory.getbasetemp() / "exported"
    return out if out.exists() else written(untrained(clip.TINY), out)


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
