"""What some methods are measured by besides retrieval with their encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tipr.bench.completion import completion_accuracy
from tipr.bench.supported import queries_with_supports
from tipr.bench.trained import trained_method
from tipr.data.difficulty import save_difficulty
from tipr.data.pairs import Pair
from tipr.embedder import Embedder
from tipr.evaluation.evaluate import evaluate
from tipr.evaluation.reranking import PairwiseReranker, evaluate_reranked
from tipr.evaluation.selection import LAST, selection
from tipr.methods.lcr2s import RicherConfig
from tipr.methods.mgrl import MGRL, MGRLConfig, caption_difficulty
from tipr.training.experiment import Experiment

SUPPORTED = "with the supports of test items at hand (privileged)"
RERANKED = "the 128 best re-ranked pair by pair"
NAMED = "hard hidden words named right"
UNSELECTED = "the last epoch, which validation did not choose"
ON_TEST = "the epoch chosen on test, so no result"
Also = dict[str, dict[str, float]]


def measured_also(
    run: Path, experiment: Experiment, pairs: Sequence[Pair], embedder: Embedder
) -> Also:
    """Further measurements of a finished run, by what they are; none for most methods."""
    method, device = experiment.method, embedder.device
    also = _unselected(run, pairs, embedder)
    if isinstance(method, RicherConfig):
        rich = queries_with_supports(run, experiment, pairs, device).metrics
        also[SUPPORTED] = {"R1": rich.R1, "mAP": rich.mAP}
    if not isinstance(method, MGRLConfig):
        return also
    if method.complement_weight:
        whole, batcher = trained_method(run, experiment, device)
        if isinstance(whole, MGRL):
            also[NAMED] = completion_accuracy(whole, batcher, pairs, device)
    if method.guided_weight and not method.patches_only:
        reranker = PairwiseReranker.load(run, embedder)
        best = evaluate_reranked(reranker, pairs, 128)
        also[RERANKED] = {"R1": best.R1, "mAP": best.mAP}
    return also


def _unselected(run: Path, pairs: Sequence[Pair], embedder: Embedder) -> Also:
    """The last epoch where validation chose another, and the best on test where that was told."""
    chosen = selection(run)
    also: Also = {}
    if chosen is None:
        return also
    if chosen.last != chosen.best_on_val:
        last = Embedder.load(str(run / LAST), str(embedder.device))
        scores = evaluate(last, pairs).t2i
        also[UNSELECTED] = {"R1": scores.R1, "mAP": scores.mAP}
    if chosen.best_on_test is not None:
        best = chosen.test[chosen.best_on_test]
        also[ON_TEST] = {"R1": best["R1"], "mAP": best["mAP"]}
    return also


def hardest_words(run: Path, experiment: Experiment, pairs: Sequence[Pair], out: Path) -> None:
    """Writes how hard the words of these captions are for the text-only part of an MGRL run."""
    method, batcher = trained_method(run, experiment, torch.device("cpu"))
    if not isinstance(method, MGRL):
        raise ValueError(f"{run} is no run of MGRL, so it does not say how hard words are")
    captions = list(dict.fromkeys(pair.caption for pair in pairs))
    save_difficulty(caption_difficulty(method, batcher.tokenizer, captions), out)
