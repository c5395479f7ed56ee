"""Adapting an encoder to data of one's own without forgetting what it knew.

Frozen parts      a tower, or all but the last layers, keep the weights they start with
LoRA              low-rank additions to the layers' matrices learn in their place (Hu et al., ICLR
                  2022), by the library peft; they are added up before the encoder is used or saved
EMA               what is kept is a moving average of the weights over steps (Polyak & Juditsky,
                  1992)
towards_start     what is kept is a mixture of the weights it began with and those it came to
                  (WiSE-FT, Wortsman et al., CVPR 2022)

Heads of a method learn in any case. The model is chosen on validation as it would be shipped, so
averages and mixtures are what is validated.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tipr.encoders.encoder import MODALITIES, Encoder
from tipr.training.experiment import AdaptConfig


@dataclass
class Shipped:
    """What becomes of the encoder that is trained when it is validated and saved."""

    config: AdaptConfig = field(default_factory=AdaptConfig)
    start: dict[str, Tensor] = field(default_factory=dict)  # the weights it began with
    average: AveragedModel | None = None

    @property
    def changes(self) -> bool:
        """Whether it computes otherwise than the one that is trained."""
        return bool(self.config.ema or self.config.towards_start)

    def follow(self, encoder: Encoder) -> None:
        """Takes a step's weights into the average."""
        if self.average is not None:
            self.average.update_parameters(encoder)

    def encoder(self, trained: Encoder) -> Encoder:
        """The encoder itself, or what it comes to."""
        chosen: Encoder = trained if self.average is None else self.average.module  # ty: ignore
        if not (self.config.lora_rank or self.config.towards_start):
            return chosen
        chosen = merged(deepcopy(chosen))
        mixed = {
            name: value.lerp(self.start[name].to(value), self.config.towards_start)
            for name, value in chosen.state_dict().items()
            if self.config.towards_start and value.is_floating_point()
        }
        chosen.load_state_dict(mixed, strict=False)
        return chosen

    def state_dict(self) -> dict[str, Any]:
        return {} if self.average is None else {"average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def adapted(encoder: Encoder, config: AdaptConfig, start: dict[str, Tensor] | None) -> Shipped:
    """Freezes what is to stay, adds what learns in its place, and begins averages.

    `start` are the weights that training begins with, where they are wanted later.

    Raises:
        ValueError: the encoder has no such layers, or none of them has matrices to add to.
        ImportError: peft is wanted and not installed.
    """
    learning = _learning(encoder, config)
    for parameter in encoder.parameters():
        parameter.requires_grad_(parameter in learning)
    if config.lora_rank:
        _add_lora(encoder, config, learning)
    average = None
    if config.ema:
        average = AveragedModel(encoder, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
    return Shipped(config, start or {}, average)


def merged(encoder: Encoder) -> Encoder:
    """Low-rank additions become part of the matrices that they were added to, in place."""
    for name, part in list(encoder.named_modules()):
        if hasattr(part, "lora_A") and hasattr(part, "base_layer"):
            part.merge(safe_merge=True)
            owner, _, attribute = name.rpartition(".")
            setattr(encoder.get_submodule(owner), attribute, part.base_layer)
    return encoder


def _learning(encoder: Encoder, config: AdaptConfig) -> set[nn.Parameter]:
    """The encoder's parameters that are not frozen. What both towers share is one tower's too."""
    every = set(encoder.parameters())
    if config.frozen == "none" and config.last_layers < 0:
        return every
    towers = [name for name in MODALITIES if config.frozen not in (name, "both")]
    stages = [_last(encoder.stages(name), config.last_layers) for name in towers]
    return {parameter for tower in stages for stage in tower for parameter in stage}


def _last(
    stages: Sequence[Sequence[nn.Parameter]], layers: int
) -> Sequence[Sequence[nn.Parameter]]:
    """The last layers and the output after them; all where `layers` is negative."""
    if layers < 0:
        return stages
    there = len(stages) - 2  # besides embedding and output
    if layers > there:
        raise ValueError(f"adapt.last_layers is {layers}, but a tower has {there} layers")
    return stages[len(stages) - 1 - layers :]


def _add_lora(encoder: Encoder, config: AdaptConfig, learning: set[nn.Parameter]) -> None:
    """To the matrices of the layers that learn; what they are added to, and all else, is frozen."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError("adapt.lora_rank needs: pip install 'tipr[lora]'") from error
    layers = {id(p) for name in MODALITIES for s in encoder.stages(name)[1:-1] for p in s}
    targets = [
        name for name, part in encoder.named_modules()
        if isinstance(part, nn.Linear) and part.weight in learning and id(part.weight) in layers
    ]  # fmt: skip
    if not targets:
        raise ValueError("adapt.lora_rank finds no matrices in layers that learn; raise "
                         "adapt.last_layers or set adapt.frozen to none")  # fmt: skip
    wanted = LoraConfig(
        r=config.lora_rank, lora_alpha=config.lora_alpha, lora_dropout=config.lora_dropout,
        target_modules=targets,
    )  # fmt: skip
    inject_adapter_in_model(wanted, encoder)  # freezes all else
