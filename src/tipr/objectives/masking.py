"""Choose, hide and restore words and patches.

Choices are drawn from torch's global generator, on the device of what they are made for.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def chosen_words(
    words: Int[Tensor, "B L"], rate: float | Float[Tensor, "B L"], whole: bool = True
) -> Bool[Tensor, "B L"]:
    """Words to hide, each with probability `rate`, at least one in every row that has any.

    `words` says which word (1..) each token is part of; where it is 0 nothing is hidden. A word is
    hidden whole, at the rate of its first piece, or piece by piece with `whole=False`. If chance
    spares a whole row, the word that came closest relative to its rate is hidden.
    """
    draws = torch.rand(words.shape, device=words.device)
    if not isinstance(rate, Tensor):
        rate = torch.full_like(draws, rate)
    if whole:
        first = _first_piece(words)
        draws, rate = draws.gather(1, first), rate.gather(1, first)
    distance = (draws / rate.clamp(min=1e-9)).masked_fill(words == 0, torch.inf)
    closest = distance.argmin(dim=1, keepdim=True)
    spared = words == words.gather(1, closest) if whole else _only(closest, words.shape[1])
    return ((draws < rate) | spared) & (words != 0)


def _first_piece(words: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    return (words[:, :, None] == words[:, None, :]).int().argmax(dim=2)


def _only(place: Int[Tensor, "B 1"], length: int) -> Bool[Tensor, "B L"]:
    return torch.arange(length, device=place.device) == place


def corrupted(
    tokens: Int[Tensor, "B L"], hidden: Bool[Tensor, "B L"], mask_id: int, word_ids: range
) -> Int[Tensor, "B L"]:
    """The tokens as the model sees them (BERT, Devlin et al., NAACL 2019, section 3.1).

    Of the hidden ones 80 % become the mask, 10 % any piece of a word and 10 % stay what they are.
    """
    draws = torch.rand(tokens.shape, device=tokens.device)
    others = torch.randint_like(tokens, word_ids.start, word_ids.stop)
    masked = tokens.masked_fill(hidden & (draws < 0.8), mask_id)
    return torch.where(hidden & (draws >= 0.8) & (draws < 0.9), others, masked)


def hidden_losses(
    logits: Float[Tensor, "M V"], tokens: Int[Tensor, "B L"], hidden: Bool[Tensor, "B L"]
) -> Float[Tensor, "B L"]:
    """How surprising each hidden token is, its cross-entropy; 0 elsewhere.

    `logits` are those of the hidden places, in reading order.
    """
    losses = F.cross_entropy(logits, tokens[hidden], reduction="none")
    return losses.new_zeros(tokens.shape).masked_scatter(hidden, losses)


def masked_words(
    logits: Float[Tensor, "B L V"] | Float[Tensor, "M V"],
    tokens: Int[Tensor, "B L"],
    hidden: Bool[Tensor, "B L"],
    weight: Float[Tensor, "B L"] | None = None,
) -> Float[Tensor, ""]:
    """How surprising the hidden tokens are, on (weighted) average; 0 if none is hidden.

    `logits` are those of all places, or of the hidden ones alone as rows in reading order.
    """
    named = logits[hidden] if logits.ndim == 3 else logits
    losses = F.cross_entropy(named, tokens[hidden], reduction="none")
    shares = torch.ones_like(losses) if weight is None else weight[hidden].to(losses)
    total = shares.sum()
    return (losses * shares).sum() / torch.where(total > 0, total, torch.ones_like(total))


def kept_tokens(
    present: Bool[Tensor, "B N"],
    most: float = 0.2,
    shared: bool = True,
    fixed: Bool[Tensor, "B N"] | None = None,
) -> Int[Tensor, "B K"]:
    """Places that stay, in order, when up to a share of `most` is left out (IVT, ECCVW 2022).

    How many go is drawn evenly from none to `most`, once for the batch. With `shared`, as released,
    the same places go in every row; without, each row draws its own. The first place and `fixed`
    ones always stay; absent ones (padding) may go like any other.
    """
    rows, count = present.shape
    stays = torch.zeros_like(present) if fixed is None else fixed.clone()
    stays[:, 0] = True
    if shared:
        stays = stays.any(dim=0, keepdim=True)
    gone = int(torch.randint(int(most * count) + 1, (), device="cpu"))
    gone = min(gone, count - int(stays.sum(dim=1).max()))
    draws = torch.rand(stays.shape, device=present.device).masked_fill(stays, -1)
    keep = draws.argsort(dim=1)[:, : count - gone].sort(dim=1).values
    return keep.expand(rows, -1)


def shuffled_patches(
    rows: int, count: int, device: torch.device | str | None = None
) -> Int[Tensor, "B N"]:
    """The numbers of all patches, in an order of its own for every row."""
    return torch.rand(rows, count, device=device).argsort(dim=1)


def visible_count(num_patches: int, hidden: float) -> int:
    """How many patches are seen when a share of `hidden` is not: 56 of 192 at 0.7.

    As SEN releases it, which counts the global token among the visible ones.
    """
    visible = int((num_patches + 1) * (1 - hidden)) - 1
    if not 1 <= visible < num_patches:
        raise ValueError(
            f"hiding {hidden} of {num_patches} patches would leave {max(visible, 0)} to be seen: "
            "choose a share that leaves at least one seen and one hidden"
        )
    return visible


def patchify(images: Float[Tensor, "B C H W"], patch: int) -> Float[Tensor, "B N P"]:
    """Square patches, row by row; within one: row, column, channel, the channel fastest."""
    rows, channels, height, width = images.shape
    if height % patch or width % patch:
        raise ValueError(
            f"an image of {height} x {width} does not divide into patches of {patch} pixels"
        )
    split = images.view(rows, channels, height // patch, patch, width // patch, patch)
    return split.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def masked_pixels(
    prediction: Float[Tensor, "B N P"],
    images: Float[Tensor, "B C H W"],
    keep: Int[Tensor, "B K"],
    patch: int,
    overlooked: Int[Tensor, " B"] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error over the patches that were not kept (MAE, He et al., CVPR 2022).

    `overlooked` is one more patch per row that is not scored although nobody saw it.
    """
    error = (prediction - patchify(images, patch)).square().mean(dim=2)
    hidden = torch.ones_like(error).scatter(1, keep, 0)
    if overlooked is not None:
        hidden = hidden.scatter(1, overlooked[:, None], 0)
    return (error * hidden).sum() / hidden.sum().clamp(min=1)


def greyscale(images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """The brightness (ITU-R BT.601) of whatever the channels hold, three times."""
    shares = images.new_tensor([0.2989, 0.5870, 0.1140])[:, None, None]
    return (images * shares).sum(dim=1, keepdim=True).expand_as(images)
