"""Models that no training is needed for: an experiment's encoder as it starts, with its graphs.

Speed does not depend on what the weights say, accuracy does: nothing here is for searching.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tipr.bench.plain_step import plainly
from tipr.embedder import Embedder
from tipr.embedder.exporting import calibration, graph_files, write_bundle
from tipr.embedder.graphs import Way
from tipr.embedder.runtime import ENGINES, Eager, Precision, Vectors
from tipr.encoders.encoder import Encoder
from tipr.experiments.find import find_experiment
from tipr.training.start import new_embedder

NAMED, PLAIN = "untrained:", "plain"
_CALIBRATED = 16  # pictures


def untrained(
    experiment: str, out: Path, pictures: Sequence[Path], texts: Sequence[str], graphs: bool
) -> Path:
    """The bundle of an experiment's encoder, untrained; all graphs are in it if they are wanted."""
    torch.manual_seed(0)
    embedder = new_embedder(replace(find_experiment(experiment), init_from=""), "")
    if not graphs:
        embedder.save(out)
        return out
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        folder = Path(scratch) / "graphs"
        folder.mkdir()
        given = calibration(embedder, pictures[:_CALIBRATED], texts[:_CALIBRATED])
        precisions = get_args(Precision)
        graph_files(embedder, folder, precisions, given)
        ways = [Way(engine=engine, precision=p) for engine in ENGINES for p in precisions]
        write_bundle(embedder, out, folder, ways)
    return out


class Plain(Eager):
    """The encoder as research code runs it: `nn.MultiheadAttention`, all tokens, all padding."""

    name = "plain PyTorch"

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        plainly(encoder)

    def images(self, pixels: Float[Tensor, "B 3 H W"]) -> Vectors:
        return self._vectors(lambda batch: self.encoder.encode_image(batch).embedding, pixels)

    def texts(self, tokens: Int[Tensor, "B L"]) -> Vectors:
        longest = self.encoder.config.text_length
        whole = F.pad(tokens, (0, longest - tokens.shape[1]))
        return self._vectors(lambda batch: self.encoder.encode_text(batch).embedding, whole)


def plain(embedder: Embedder) -> Embedder:
    """The same model computed plainly."""
    return embedder.computed_by(Plain(embedder.encoder))
