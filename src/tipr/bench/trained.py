"""A method as training left it, heads and all, to measure what the shipped encoder cannot tell."""

from __future__ import annotations

from pathlib import Path

import torch

from tipr.data.batching import PairBatcher
from tipr.data.pairs import contiguous
from tipr.data.readers import read_dataset
from tipr.methods.method import Method
from tipr.training.adaptation import adapted
from tipr.training.experiment import Experiment
from tipr.training.start import resumed_embedder


def trained_method(
    run: Path, experiment: Experiment, device: torch.device
) -> tuple[Method, PairBatcher]:
    """The method at the end of a run, in evaluation mode, with what feeds it unaugmented.

    Raises:
        ValueError: the run has no checkpoint, or the experiment names no dataset.
    """
    checkpoint = run / "last.pt"
    if not checkpoint.is_file() or experiment.data.root is None:
        raise ValueError(f"{run} has no checkpoint of the whole method; train it again")
    persons = contiguous(read_dataset(experiment.data.root).train)[1]
    embedder = resumed_embedder(experiment, str(run), run)
    method = experiment.method.build(embedder.encoder, persons)
    adapted(method.encoder, experiment.adapt, None)
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["method"]
    method.load_state_dict(weights)
    return method.to(device).eval(), PairBatcher(embedder.transform, embedder.tokenizer)
