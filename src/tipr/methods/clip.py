"""CLIP fine-tuned, the plainest baseline (Radford et al., ICML 2021).

1. Dual encoder                                      -> `encoders/clip.py`, `encoders/compact.py`
2. Image-text contrast, learned temperature (ITC)    -> `info_nce`
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tipr.data.pairs import Batch
from tipr.encoders.encoder import Encoder
from tipr.methods.method import Method
from tipr.objectives.matching import info_nce


@dataclass(frozen=True, kw_only=True)
class CLIPMethodConfig:
    temperature: float = 0.07  # at the start (Sec. 2.5)
    largest_scale: float = 100.0  # the learned inverse temperature is clipped here (Sec. 2.5)

    def build(self, encoder: Encoder, num_persons: int) -> CLIPMethod:
        return CLIPMethod(self, encoder)


class CLIPMethod(Method):
    def __init__(self, config: CLIPMethodConfig, encoder: Encoder) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        image = self.encoder.encode_image(batch.images).embedding
        text = self.encoder.encode_text(batch.tokens).embedding
        with torch.no_grad():  # the parameter itself is clipped, so that it can come back
            self.log_scale.clamp_(max=math.log(self.config.largest_scale))
        return {"itc": info_nce(image, text, (-self.log_scale).exp())}
