"""A small batch with every field filled, for methods and objectives."""

from __future__ import annotations

import torch

from tipr.data.pairs import Batch, Support

ROWS, PEOPLE, LENGTH = 8, 4, 14


def batch(image_size: tuple[int, int] = (64, 32), supports: int = 2, seed: int = 0) -> Batch:
    """Four people, two pairs each; ten one- or two-piece words between start (2) and end (3)."""
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(4, 500, (ROWS, LENGTH), generator=g)
    tokens[:, 0] = 2
    words = torch.tensor([0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 9, 0, 0]).repeat(ROWS, 1)
    words[1::2, 9:] = 0  # every other sentence is shorter
    tokens[words == 0] = torch.where(torch.arange(LENGTH) == 0, 2, 0).expand(ROWS, -1)[words == 0]
    ends = words.argmax(dim=1) + 1
    tokens[torch.arange(ROWS), ends] = 3
    return Batch(
        images=torch.randn(ROWS, 3, *image_size, generator=g),
        tokens=tokens,
        words=words,
        person_ids=torch.arange(ROWS) // 2,
        image_ids=torch.arange(ROWS),
        caption_ids=torch.arange(ROWS),
        tags=torch.where(words > 0, torch.randint(0, 4, words.shape, generator=g), 0),
        difficulty=torch.where(words > 0, torch.rand(words.shape, generator=g), 0.0),
        support=_support(image_size, supports, g),
    )


def _support(image_size: tuple[int, int], supports: int, g: torch.Generator) -> Support:
    tokens = torch.randint(4, 500, (ROWS, supports, LENGTH), generator=g)
    tokens[:, :, 0], tokens[:, :, -1] = 2, 3
    has = torch.ones(ROWS, supports, dtype=torch.bool)
    has[::3, -1] = False  # some people have fewer others
    return Support(
        images=torch.randn(ROWS, supports, 3, *image_size, generator=g),
        tokens=tokens,
        has_image=has,
        has_text=has.clone(),
    )
