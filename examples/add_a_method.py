"""A method of your own in one file: a symmetric margin loss, trained like any other.

tipr train ./examples/add_a_method.py:margin_small --data DATASET --out runs/margin
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from tipr.data.pairs import Batch
from tipr.encoders.encoder import Encoder
from tipr.experiments import clip
from tipr.methods.method import Method
from tipr.objectives.matching import cosine, same_person
from tipr.training.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class MarginConfig:
    margin: float = 0.2

    def build(self, encoder: Encoder, num_persons: int) -> Margin:
        return Margin(self, encoder)


class Margin(Method):
    """Each sentence is closer to its own picture than to anyone else's, by a margin."""

    def __init__(self, config: MarginConfig, encoder: Encoder) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        image = self.encoder.encode_image(batch.images).embedding
        text = self.encoder.encode_text(batch.tokens).embedding
        similarity = cosine(text, image)
        own = similarity.diagonal()[:, None]
        excess = (self.config.margin - own + similarity).relu()
        return {"margin": excess.masked_fill(same_person(batch.person_ids), 0).mean()}


def margin_tiny() -> Experiment:
    return replace(clip.tiny(), method=MarginConfig())


def margin_small() -> Experiment:
    return replace(clip.small(), method=MarginConfig())
