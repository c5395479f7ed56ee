"""Support sets from the data: other pictures and captions of each row's person (LCR2S)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from tipr.data.batching import PairBatcher
from tipr.data.pairs import Batch, Batcher, Pair, Support


@dataclass(frozen=True, kw_only=True)
class Supports:
    """Each row comes with up to `count` other pictures and as many other captions of its person.

    Drawn anew for every batch, pictures and captions independently; another caption of the row's
    own picture may be drawn. `augmented=False` leaves them as they are.
    """

    count: int = 3
    augmented: bool = True

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("data.batching.count is at least 1; without supports use Plain")

    def build(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batcher:
        return SupportBatcher(self, plain, pairs)


class SupportBatcher:
    def __init__(self, config: Supports, plain: PairBatcher, pairs: Sequence[Pair]) -> None:
        self.count, self.plain = config.count, plain
        self.others = plain if config.augmented else plain.unaugmented()
        pictures: dict[int, dict[int, Pair]] = defaultdict(dict)
        self.captions: dict[int, list[Pair]] = defaultdict(list)
        for pair in pairs:
            pictures[pair.person_id].setdefault(pair.image_id, pair)
            self.captions[pair.person_id].append(pair)
        self.pictures = {person: list(known.values()) for person, known in pictures.items()}

    def __call__(self, pairs: Sequence[Pair]) -> Batch:
        return replace(self.plain(pairs), support=self._support(pairs))

    def _support(self, pairs: Sequence[Pair]) -> Support:
        """One pass of the plain batcher: drawn pictures beside drawn captions, blanks by mask."""
        pictures = [self._drawn(self._other_pictures(p)) for p in pairs]
        captions = [self._drawn(self._other_captions(p)) for p in pairs]
        slots = [
            replace(
                anchor,
                image=pictures[b][s].image if s < len(pictures[b]) else anchor.image,
                caption=captions[b][s].caption if s < len(captions[b]) else anchor.caption,
            )
            for b, anchor in enumerate(pairs)
            for s in range(self.count)
        ]
        rows, shape = self.others(slots), (len(pairs), self.count)
        has_image, has_text = self._filled(pictures), self._filled(captions)
        return Support(
            images=rows.images.unflatten(0, shape) * has_image[..., None, None, None],
            tokens=rows.tokens.unflatten(0, shape) * has_text[..., None],
            has_image=has_image,
            has_text=has_text,
        )

    def _other_pictures(self, anchor: Pair) -> list[Pair]:
        return [p for p in self.pictures[anchor.person_id] if p.image_id != anchor.image_id]

    def _other_captions(self, anchor: Pair) -> list[Pair]:
        return [p for p in self.captions[anchor.person_id] if p.caption_id != anchor.caption_id]

    def _drawn(self, others: Sequence[Pair]) -> list[Pair]:
        return [others[i] for i in torch.randperm(len(others))[: self.count].tolist()]

    def _filled(self, drawn: Sequence[Sequence[Pair]]) -> Bool[Tensor, "B S"]:
        """True in the first places of each row, as many as were drawn."""
        return torch.arange(self.count) < torch.tensor([[len(row)] for row in drawn])
