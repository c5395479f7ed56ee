"""One update of all parameters, in the precision and with the memory that are wanted."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from tipr.data.pairs import Batch
from tipr.encoders.compact import Stem
from tipr.encoders.encoder import Encoder
from tipr.encoders.shared import SharedBlock
from tipr.training.cached import in_chunks
from tipr.training.checkpoint import State
from tipr.training.experiment import OptimConfig
from tipr.training.freed import give_back
from tipr.training.precision import arithmetic
from tipr.transformer import Block

SMALLEST_SCALE = 2.0**-10  # losses that overflow even then do so for another reason


def prepare(method: nn.Module, config: OptimConfig, backend: str = "inductor") -> None:
    """Tells every block how to be computed; the blocks of encoders may be compiled too."""
    for part in method.modules():
        if isinstance(part, Block | SharedBlock | Stem):
            part.recompute = config.recompute
    if config.recompute != "none":
        give_back(True)
    if config.compile:
        encoders = [part for part in method.modules() if isinstance(part, Encoder)]
        for block in {block for encoder in encoders for block in _blocks(encoder)}:
            block.compile(backend=backend)


def train_step(state: State, batch: Batch, config: OptimConfig) -> dict[str, float]:
    """One update of all parameters; the value of every term of the loss before it."""
    with arithmetic(batch.images.device, config.precision):
        with in_chunks(state.method, config.chunk) as replay:
            terms = state.parallel(batch)
        values = {name: value.detach().item() for name, value in terms.items()}
        loss = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(loss) and not state.scaler.is_enabled():
            raise FloatingPointError(f"the loss is no longer a number ({values}); lower optim.lr")
        state.optimizer.zero_grad(set_to_none=True)
        state.scaler.scale(loss).backward()
        replay()
        state.parallel.average()
    _move(state, config.clip_norm)
    state.shipped.follow(state.method.encoder)
    return values


def _move(state: State, clip_norm: float) -> None:
    """Updates the parameters, unless scaled gradients overflowed: the next scale is smaller then.

    Raises:
        FloatingPointError: no scale is small enough.
    """
    scaler = state.scaler
    if clip_norm:
        scaler.unscale_(state.optimizer)
        state.parallel.clip(clip_norm)
    before = scaler.get_scale()
    scaler.step(state.optimizer)
    scaler.update()
    if scaler.get_scale() >= before:
        state.scheduler.step()
        return
    state.progress.skipped += 1
    if scaler.get_scale() < SMALLEST_SCALE:
        raise FloatingPointError("gradients overflow half precision at any scale; lower optim.lr "
                                 "or set optim.precision to bf16")  # fmt: skip
    with warnings.catch_warnings():  # torch takes a skipped first step for a mistake
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        state.scheduler.step()


def _blocks(part: nn.Module) -> list[Block | SharedBlock]:
    return [block for block in part.modules() if isinstance(block, Block | SharedBlock)]
