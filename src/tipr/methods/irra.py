"""IRRA: implicit relation reasoning and aligning (Jiang & Ye, CVPR 2023).

1. Dual encoder                                      -> `encoders/clip.py`, `encoders/compact.py`
2. Similarity distribution matching (SDM)            -> `sdm`
3. Implicit relation reasoning (IRR): hidden words are named with the picture's help
                                                     -> `Completion`
4. One identity classifier for both modalities       -> `IdentityLoss`

Inference searches with the dual encoder's embeddings; the completion never leaves training.

As released, the masking writes into the caption that SDM and the classifier read, so they never
see a whole one: `alias_caption`. Padding is not looked at, as batches here are only as long as
their longest sentence; the authors' 77 tokens all look at each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tipr.data.pairs import Batch
from tipr.encoders.encoder import Encoder
from tipr.methods.method import Method
from tipr.objectives.completion import Completion
from tipr.objectives.identity import IdentityLoss
from tipr.objectives.masking import chosen_words, corrupted, masked_words
from tipr.objectives.matching import sdm


@dataclass(frozen=True, kw_only=True)
class IRRAConfig:
    temperature: float = 0.02
    mask_rate: float = 0.15
    whole_words: bool = False  # as released, pieces of words are hidden one by one
    mlm_weight: float = 1.0  # the terms are added unweighted
    identity_weight: float = 1.0
    layers: int = 4  # after the cross-attention
    alias_caption: bool = False  # published quirk: SDM and ID see the masked caption

    def build(self, encoder: Encoder, num_persons: int) -> IRRA:
        return IRRA(self, encoder, num_persons)


class IRRA(Method):
    def __init__(self, config: IRRAConfig, encoder: Encoder, num_persons: int) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.identity = IdentityLoss(encoder.width, num_persons)
        self.complete = Completion(encoder.width, encoder.vocabulary, config.layers)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        c, ids = self.config, batch.person_ids
        hidden = chosen_words(batch.words, c.mask_rate, whole=c.whole_words)
        masked = corrupted(batch.tokens, hidden, self.encoder.mask_id, self.encoder.word_ids)
        image, read = self.encoder.encode_image(batch.images), self.encoder.encode_text(masked)
        text = read if c.alias_caption else self.encoder.encode_text(batch.tokens)
        i, t = image.embedding, text.embedding
        seen = torch.cat([i[:, None], image.tokens], dim=1)
        completed = self.complete(read.tokens, seen, read.padding, hidden)
        return {
            "sdm": sdm(i, t, ids, c.temperature),
            "id": c.identity_weight * self.identity(i, t, ids),
            "mlm": c.mlm_weight * masked_words(completed, batch.tokens, hidden),
        }
