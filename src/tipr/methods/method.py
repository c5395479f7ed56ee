"""A method is an encoder plus what it is trained to do. Only the encoder outlives training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from torch import Tensor, nn

from tipr.data.pairs import Batch
from tipr.encoders.encoder import Encoder
from tipr.objectives.extraction import TextGuidedExtraction


class Method(nn.Module, ABC):
    encoder: Encoder
    epoch: int = 0  # finished epochs; the trainer keeps it
    varying: bool = False  # whether steps differ in which parameters they use
    uneven: bool = False  # whether processes may encode more or less often than each other

    @property
    def reranking(self) -> TextGuidedExtraction | None:
        """What can score pairs at search time, where the method has such a thing."""
        return None

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted terms of the loss, by name; training minimises their sum."""


class MethodConfig(Protocol):
    def build(self, encoder: Encoder, num_persons: int) -> Method:
        """The method around this encoder, for a training split of `num_persons` people."""
        ...
