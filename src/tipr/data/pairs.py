"""What a text-to-image person retrieval dataset is: captioned photographs of known people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Pair:
    """One photograph and one sentence about it."""

    image: Path
    caption: str
    person_id: int  # the identity, across cameras
    image_id: int  # several captions may share one image


@dataclass
class Batch:
    """What every method trains on. Row `b` of each field is the same pair."""

    images: Float[Tensor, "B 3 H W"]
    tokens: Int[Tensor, "B L"]  # 0 is padding
    person_ids: Int[Tensor, " B"]  # contiguous from 0 over the training split

    def to(self, device: torch.device | str) -> Batch:
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def __len__(self) -> int:
        return len(self.images)


Batcher = Callable[[Sequence[Pair]], Batch]


@dataclass(frozen=True)
class Dataset:
    """Captioned pairs in three splits; no person stands in two of them."""

    name: str
    train: tuple[Pair, ...]
    val: tuple[Pair, ...]
    test: tuple[Pair, ...]

    def split(self, name: str) -> tuple[Pair, ...]:
        if name not in ("train", "val", "test"):
            raise ValueError(f"there is no split {name!r}; choose train, val or test")
        return getattr(self, name)


def contiguous(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], int]:
    """The same pairs with person ids 0..n-1 in order of appearance, and n."""
    seen: dict[int, int] = {}
    for pair in pairs:
        seen.setdefault(pair.person_id, len(seen))
    return tuple(replace(p, person_id=seen[p.person_id]) for p in pairs), len(seen)
