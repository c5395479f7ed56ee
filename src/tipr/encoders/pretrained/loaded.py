"""Weights as they came out of somebody's checkpoint, with an account of every entry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tipr.encoders.catalogue import EncoderConfig
from tipr.encoders.encoder import Encoder
from tipr.encoders.pretrained.faults import WeightsError


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """`state` has our names and is fp32; the other fields say what became of the file's entries."""

    config: EncoderConfig
    state: dict[str, Tensor]
    matched: int  # entries of the file that the encoder uses
    scaffolding: tuple[str, ...] = ()  # known leftovers of training
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # what the encoder needs and the file lacks
    notes: tuple[str, ...] = ()  # what was changed on the way, in words

    def build(self) -> Encoder:
        """A new encoder with a copy of the weights."""
        if self.missing:
            raise WeightsError(lacking(self.missing))
        with torch.device("meta"):
            encoder = self.config.build()
        copies = {name: tensor.clone() for name, tensor in self.state.items()}
        encoder.load_state_dict(copies, assign=True)
        return encoder


def lacking(missing: tuple[str, ...]) -> str:
    some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return f"the weights lack {len(missing)} entries that the encoder needs: {some}"


def expected(config: EncoderConfig) -> dict[str, torch.Size]:
    """The shape of everything in the encoder's state, without building it in memory."""
    with torch.device("meta"):
        state = config.build().state_dict()
    return {name: tensor.shape for name, tensor in state.items()}


def as_fp32(tensor: Tensor) -> Tensor:
    """A contiguous copy in fp32, independent of the file it came from."""
    return tensor.detach().to(torch.float32, copy=True).contiguous()
