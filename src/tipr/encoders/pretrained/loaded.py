"""Weights as they came out of somebody's checkpoint, with an account of every entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tipr.encoders.catalogue import EncoderConfig
from tipr.encoders.encoder import Encoder
from tipr.encoders.pretrained.faults import WeightsError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


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


def check_numbers(tensors: Mapping[str, Tensor]) -> None:
    """Raises WeightsError that names the first entry that holds no plain weights."""
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(f"{name} holds {kind} numbers; quantised and other such weights "
                               "cannot be read, give them in float16 or float32")  # fmt: skip
        if not tensor.numel():
            raise WeightsError(f"{name} is empty, {tuple(tensor.shape)}; download or copy the "
                               "file again")  # fmt: skip


def check_ranks(
    tensors: Mapping[str, Tensor], ranks: Mapping[str, int], origin: Mapping[str, str]
) -> None:
    """Raises WeightsError that names the first entry of another number of dimensions.

    Tensors and ranks go by our names, to which `origin` has those in the file.
    """
    for name, rank in ranks.items():
        if name in tensors and tensors[name].ndim != rank:
            raise WeightsError(f"{origin.get(name, name)} has the shape "
                               f"{tuple(tensors[name].shape)}, where {rank} dimensions are "
                               "needed; the file is damaged or of another kind")  # fmt: skip


def stacked(parts: Sequence[Tensor], name: str) -> Tensor:
    """The parts one below the other; `name` is the first one's in the file."""
    try:
        return torch.cat(list(parts))
    except RuntimeError as error:
        shapes = ", ".join(str(tuple(part.shape)) for part in parts)
        raise WeightsError(f"{name} does not fit what belongs beside it ({shapes}); download or "
                           "copy the file again") from error  # fmt: skip


def as_fp32(tensor: Tensor, name: str) -> Tensor:
    """A contiguous copy in fp32, independent of the file it came from and finite.

    `name` is the entry's. Tensors without numbers, which only tell shapes, stay so.
    """
    whole = tensor.detach().to(torch.float32, copy=True).contiguous()
    if not whole.is_meta and not torch.isfinite(whole).all():
        raise WeightsError(f"{name} holds numbers that are infinite or none (NaN): its training "
                           "failed, or the file is damaged; take another checkpoint")  # fmt: skip
    return whole
