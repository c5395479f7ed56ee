"""Captions shortened to the words that name and describe: SEN's pruning text augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from tipr.data.batching import PairBatcher
from tipr.data.pairs import Batch, Batcher, Pair
from tipr.data.tagging import Tag, tag, tagger, with_tags


def pruned(caption: str) -> str:
    """A caption's nouns, adjectives and pronouns (Liu et al., Neural Networks, 2025; as released).

    A caption of which nothing would be left stays as it is, where the release trains on an empty
    text.
    """
    kept = [word for word, kind in tag(caption) if kind is not Tag.OTHER]
    return " ".join(kept) or caption


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """One row per pair, some with their captions pruned before anything else changes them."""

    rate: float = 0.2  # the share of captions, as released
    tags: bool = False  # give the part of speech of every token too

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"data.batching.rate is a share from 0 to 1, not {self.rate}")

    def build(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batcher:
        tagger()  # if it is missing, say so now and not in a worker
        return partial(self._batch, plain)

    def _batch(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batch:
        draws = torch.rand(len(pairs)).tolist()
        shown = [
            replace(pair, caption=pruned(pair.caption)) if draw < self.rate else pair
            for pair, draw in zip(pairs, draws, strict=True)
        ]
        batch, captions = plain.captioned(shown)
        return with_tags(batch, captions, plain.tokenizer) if self.tags else batch
