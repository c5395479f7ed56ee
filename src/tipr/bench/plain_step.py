"""A training step as one writes it first, to compare ours with: `python -m tipr.bench.plain_step`.

The method, its weights, its batch and its loss are ours. Attention is `nn.MultiheadAttention`,
sentences are padded to the longest that the tokenizer gives, the optimiser updates one parameter
after the other, and nothing is computed twice to save memory.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tipr.bench.memory import asked, risen
from tipr.bench.subjects import Subject, fed, subject
from tipr.data.pairs import Batch
from tipr.training.experiment import Experiment
from tipr.training.precision import products_in
from tipr.training.step import train_step
from tipr.transformer import Attention

TOLERANCE = 1e-4  # of each term of the loss, relative where it is above 1


class PlainAttention(nn.Module):
    """torch's attention with the weights of ours."""

    def __init__(self, ours: Attention) -> None:
        super().__init__()
        width = ours.out.in_features
        theirs = nn.MultiheadAttention(width, ours.heads, batch_first=True, device="meta")
        theirs.in_proj_weight, theirs.in_proj_bias = ours.qkv.parameters()
        theirs.out_proj.weight, theirs.out_proj.bias = ours.out.parameters()
        self.theirs, self.qkv = theirs, nn.Identity()

    def forward(
        self, x: Float[Tensor, "B N D"], visible: Bool[Tensor, "B 1 N N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        return self.mixed(x, visible)

    def mixed(
        self, x: Float[Tensor, "B N D"], visible: Bool[Tensor, "B 1 N N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        padding, hidden = (None, None) if visible is None else _masks(visible)
        return self.theirs(x, x, x, padding, need_weights=False, attn_mask=hidden)[0]


def _masks(
    visible: Bool[Tensor, "B 1 N N"],
) -> tuple[Bool[Tensor, "B N"] | None, Bool[Tensor, "N N"] | None]:
    """As padding where all tokens of a row see the same ones, as one mask where all rows do."""
    if len(visible) == 1:
        return None, ~visible[0, 0]
    if visible.stride(2) == 0:
        return ~visible[:, 0, 0], None
    if visible.stride(0) == 0:
        return None, ~visible[0, 0]
    raise RuntimeError("every token of every row sees others of its own: nn.MultiheadAttention has "
                       "no mask for that")  # fmt: skip


def plain_subject(experiment: Experiment, root: Path, device: torch.device) -> Subject:
    """The experiment's method written plainly; its steps are `plain_step`'s."""
    one = subject(experiment, root, device)
    plainly(one.state.method)
    for group in one.state.optimizer.param_groups:
        group.update(fused=False, foreach=False)
    return replace(one, batch=padded(one.batch, experiment.data.text_length))


def plainly(module: nn.Module) -> None:
    """Puts torch's attention in place of ours, everywhere inside."""
    for owner in list(module.modules()):
        for name, part in list(owner.named_children()):
            if isinstance(part, Attention):
                setattr(owner, name, PlainAttention(part).train(part.training))


def padded(batch: Batch, length: int) -> Batch:
    """The same with every sentence `length` tokens long."""

    def longer(tokens: Tensor | None) -> Tensor | None:
        return None if tokens is None else F.pad(tokens, (0, length - tokens.shape[-1]))

    names = ("tokens", "words", "tags", "difficulty")
    changes = {name: longer(getattr(batch, name)) for name in names}
    support = batch.support
    if support is not None:
        support = replace(support, tokens=longer(support.tokens))
    return replace(batch, **changes, support=support)


def plain_step(one: Subject) -> dict[str, float]:
    """One update, in the precision of ours; the value of every term of the loss before it."""
    state, config = one.state, one.experiment.optim
    device = one.batch.images.device
    lower = products_in(device, config.precision)
    with torch.autocast(device.type, lower, enabled=lower is not None):
        terms = state.method(one.batch)
        loss = torch.stack(list(terms.values())).sum()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if config.clip_norm:
        nn.utils.clip_grad_norm_(state.method.parameters(), config.clip_norm, foreach=False)
    state.optimizer.step()
    state.scheduler.step()
    return {name: value.item() for name, value in terms.items()}


def check_same_loss(ours: Subject, plain: Subject) -> None:
    """Raises RuntimeError when the two do not compute the same loss from the same draws.

    Ours is given the plain one's sentences here: how many words are hidden, and which, is drawn by
    the length of a batch.
    """
    torch.manual_seed(0)
    first = train_step(ours.state, plain.batch, ours.experiment.optim)
    torch.manual_seed(0)
    second = plain_step(plain)
    if not _alike(first, second):
        raise RuntimeError(f"the plain step has the loss {second}, ours {first}; they cannot be "
                           "compared, so please report this")  # fmt: skip


def _alike(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    return first.keys() == second.keys() and all(
        math.isclose(first[name], second[name], rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        for name in first
    )


def plain_memory(name: str, root: Path, batch: int, folder: Path, device: torch.device) -> int:
    """Bytes of an experiment's plain steps, as `peak_memory` tells those of ours."""
    return asked("tipr.bench.plain_step", name, root, batch, folder, device)


if __name__ == "__main__":
    _name, _root, _batch, _folder, _device = sys.argv[1:]
    _place = torch.device(_device)
    _one = plain_subject(fed(_name, Path(_root), int(_batch), Path(_folder)), Path(_root), _place)
    print(risen(lambda: plain_step(_one), _place))
