"""Support sets: others of the same person that enrich a sample (LCR2S, Yan et al., ACM MM 2023).

A pool holds all that may support each row, `(supports, present)`; `drawn` takes a few of it at
random. Described mechanism, reconstructed: the paper draws supports at random from the other views
of a person; where they come from (the batch, a memory) is chosen here. With several processes the
batch is that of all together (`objectives/gathering.py`).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tipr.objectives.gathering import everyone, own_rows
from tipr.objectives.matching import same_person
from tipr.transformer import chosen

Pool = tuple[Float[Tensor, "B S D"], Bool[Tensor, "B S"]]  # supports, and whether each is there


def inbatch_support(
    person_ids: Int[Tensor, " B"], item_ids: Int[Tensor, " B"] | None = None
) -> Bool[Tensor, "B B"]:
    """[b, s] is True when row s supports row b: the same person, and not the same item.

    `item_ids` says which rows hold the same picture (or caption); without it every row is one.
    """
    items = torch.arange(len(person_ids), device=person_ids.device)
    items = items if item_ids is None else item_ids
    return same_person(person_ids) & (items[:, None] != items[None])


def inbatch_pool(
    rows: Float[Tensor, "B D"], person_ids: Int[Tensor, " B"], item_ids: Int[Tensor, " B"]
) -> Pool:
    """Every row of the batch, of which those that `inbatch_support` names are present.

    An item that stands in several rows supports through the first of them alone.
    """
    own = own_rows(rows)
    pool, person_ids, item_ids = everyone(rows, person_ids, item_ids)
    again = _earlier(same_person(item_ids)).any(dim=1)
    present = inbatch_support(person_ids, item_ids)[own] & ~again
    return pool[None].expand(len(present), -1, -1), present


def drawn(
    supports: Float[Tensor, "B N D"], present: Bool[Tensor, "B N"], most: int
) -> tuple[Float[Tensor, "B S D"], Bool[Tensor, "B S"]]:
    """At most `most` supports of each row, at random and without replacement; all when few."""
    if present.shape[1] <= most:
        return supports, present
    order = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
    places = order.topk(most, dim=1).indices
    return chosen(supports, places), present.gather(1, places)


def strangers(
    supports: Float[Tensor, "B S D"], present: Bool[Tensor, "B S"], person_ids: Int[Tensor, " B"]
) -> Pool:
    """Each row gets the supports of a random row of another person: a control, not a method.

    Among the rows at hand: several processes each choose among their own.
    """
    other = ~same_person(person_ids)
    row = torch.rand(other.shape, device=other.device).masked_fill(~other, -1.0).argmax(dim=1)
    return supports[row], present[row] & other.any(dim=1, keepdim=True)


def person_means(rows: Float[Tensor, "B D"], person_ids: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
    """For each row the mean over the batch's rows of its person, itself among them."""
    everybody, everyones_ids = everyone(rows, person_ids)
    same = (person_ids[:, None] == everyones_ids).to(rows.dtype)
    return (same @ everybody) / same.sum(dim=1, keepdim=True)


class SupportBank(nn.Module):
    """Remembers features of each person's items: the last `slots` that came, by item id.

    A remembered item follows its new features by momentum. Everything is a buffer, so a checkpoint
    holds it; nothing gets a gradient.
    """

    features: Tensor
    items: Tensor
    written: Tensor

    def __init__(self, num_persons: int, slots: int, width: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.slots, self.momentum = slots, momentum
        self.register_buffer("features", torch.zeros(num_persons, slots, width))
        self.register_buffer("items", torch.full((num_persons, slots), -1))  # -1 is empty
        self.register_buffer("written", torch.zeros(num_persons, dtype=torch.long))

    def read(
        self, person_ids: Int[Tensor, " B"], item_ids: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B S D"], Bool[Tensor, "B S"]]:
        """What is remembered of each row's person, without the row's own item."""
        items = self.items[person_ids]
        return self.features[person_ids], (items >= 0) & (items != item_ids[:, None])

    @torch.no_grad()
    def write(
        self,
        person_ids: Int[Tensor, " B"],
        item_ids: Int[Tensor, " B"],
        features: Float[Tensor, "B D"],
    ) -> None:
        """Refreshes what is known; what is new takes the place of what came first.

        An item that stands in the batch twice counts once. All processes remember the same.
        """
        person_ids, item_ids, features = everyone(person_ids, item_ids, features)
        features = features.to(self.features.dtype)
        first = ~_earlier(same_person(person_ids) & same_person(item_ids)).any(dim=1)
        places = self.items[person_ids] == item_ids[:, None]
        known = places.any(dim=1)
        rows, slots = (first & known).nonzero()[:, 0], places.long().argmax(dim=1)
        where = person_ids[rows], slots[rows]
        self.features[where] = torch.lerp(features[rows], self.features[where], self.momentum)
        rows = (first & ~known).nonzero()[:, 0]
        self._append(person_ids[rows], item_ids[rows], features[rows])

    def _append(
        self,
        person_ids: Int[Tensor, " R"],
        item_ids: Int[Tensor, " R"],
        features: Float[Tensor, "R D"],
    ) -> None:
        """Distinct new items, one after the other; of too many for a person, the last."""
        same = same_person(person_ids)
        before = _earlier(same).sum(dim=1)
        last = same.sum(dim=1) - before <= self.slots
        where = person_ids[last], (self.written[person_ids] + before)[last] % self.slots
        self.features[where], self.items[where] = features[last], item_ids[last]
        self.written.index_add_(0, person_ids, torch.ones_like(person_ids))


def _earlier(same: Bool[Tensor, "B B"]) -> Bool[Tensor, "B B"]:
    """Only the pairs whose second row stands before the first."""
    return same.tril(diagonal=-1)
