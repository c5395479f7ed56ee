"""CLIP with similarity distribution matching: IRRA without its masked language modelling.

(Jiang & Ye, CVPR 2023; a row of its ablation.)

1. Dual encoder                                      -> `encoders/clip.py`, `encoders/compact.py`
2. Similarity distribution matching (SDM)            -> `sdm`
3. One identity classifier for both modalities       -> `IdentityLoss`
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tipr.data.pairs import Batch
from tipr.encoders.encoder import Encoder
from tipr.methods.method import Method
from tipr.objectives.identity import IdentityLoss
from tipr.objectives.matching import sdm


@dataclass(frozen=True, kw_only=True)
class CLIPSDMConfig:
    temperature: float = 0.02  # the authors' value
    identity_weight: float = 1.0  # the terms are added unweighted

    def build(self, encoder: Encoder, num_persons: int) -> CLIPSDM:
        return CLIPSDM(self, encoder, num_persons)


class CLIPSDM(Method):
    def __init__(self, config: CLIPSDMConfig, encoder: Encoder, num_persons: int) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.identity = IdentityLoss(encoder.width, num_persons)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        i = self.encoder.encode_image(batch.images).embedding
        t = self.encoder.encode_text(batch.tokens).embedding
        ids = batch.person_ids
        return {
            "sdm": sdm(i, t, ids, self.config.temperature),
            "id": self.config.identity_weight * self.identity(i, t, ids),
        }
