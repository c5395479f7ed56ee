"""Whether MGRL's completion uses the picture: hidden words named from the text alone, with the
picture, and with somebody else's picture. Only the hard words count, which are what it is for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tipr.data.batching import PairBatcher
from tipr.data.pairs import Batch, Pair
from tipr.methods.mgrl import MGRL
from tipr.objectives.masking import chosen_words, hidden_losses

ROWS = 64
KINDS = ("text alone", "the picture", "a wrong picture")


@torch.inference_mode()
def completion_accuracy(
    method: MGRL, batcher: PairBatcher, pairs: Sequence[Pair], device: torch.device
) -> dict[str, float]:
    """The share of hard hidden tokens that are named right, by what helps; masks are drawn anew.

    Raises:
        ValueError: there are fewer than two people.
    """
    if len({pair.person_id for pair in pairs}) < 2:
        raise ValueError("a wrong picture needs at least two people in the split")
    right, asked = torch.zeros(3), 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        order = torch.randperm(len(pairs)).tolist()
        for start in range(0, len(order), ROWS):
            batch = batcher([pairs[i] for i in order[start : start + ROWS]]).to(device)
            hits, count = _hits(method, batch)
            right, asked = right + hits, asked + count
    return dict(zip(KINDS, (right / max(asked, 1)).tolist(), strict=True))


def _hits(method: MGRL, batch: Batch) -> tuple[Float[Tensor, " 3"], int]:
    hidden = chosen_words(batch.words, method.config.mask_rate, whole=method.config.whole_words)
    masked = batch.tokens.masked_fill(hidden, method.encoder.mask_id)
    read, image = method.encoder.encode_text(masked), method.encoder.encode_image(batch.images)
    guessed = method.text_only(read.tokens, read.padding, hidden)
    hard = method.hard_words(batch, hidden, hidden_losses(guessed, batch.tokens, hidden))
    seen = method.seen(image)
    other = _somebody_else(batch)
    hard &= (other != torch.arange(len(batch), device=other.device))[:, None]
    named = [guessed] + [
        method.with_vision(
            read.tokens + method.extraction(read.tokens, looked_at), read.padding, hidden
        )
        for looked_at in (seen, seen[other])
    ]
    asked, answers = hard[hidden], batch.tokens[hidden]
    hits = [((logits.argmax(dim=-1) == answers) & asked).sum().float() for logits in named]
    return torch.stack(hits).cpu(), int(asked.sum())


def _somebody_else(batch: Batch) -> Tensor:
    """For each row the first row after it, round and round, of another person; else itself."""
    count = len(batch)
    places = torch.arange(count, device=batch.person_ids.device)
    turn = (places[:, None] + places[None]) % count
    other = batch.person_ids[turn] != batch.person_ids[:, None]
    return turn.gather(1, other.int().argmax(dim=1, keepdim=True)).squeeze(1)
