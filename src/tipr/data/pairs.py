"""What a text-to-image person retrieval dataset is: captioned photographs of known people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Pair:
    """One photograph and one sentence about it."""

    image: Path
    caption: str
    person_id: int  # the identity, across cameras
    image_id: int  # several captions may share one image
    caption_id: int = 0  # names the caption among the pairs that are trained on
    camera: str = ""  # where it is known


def _moved(value: Any, device: torch.device | str) -> Any:
    """The same dataclass with every tensor in it on `device`."""
    parts = {f.name: getattr(value, f.name) for f in fields(value)}
    return replace(value, **{n: p.to(device) for n, p in parts.items() if hasattr(p, "to")})


@dataclass
class Support:
    """Other pictures and sentences of each row's person: S of each, fewer where there are fewer."""

    images: Float[Tensor, "B S 3 H W"]
    tokens: Int[Tensor, "B S L"]
    has_image: Bool[Tensor, "B S"]  # False where a row has no such picture
    has_text: Bool[Tensor, "B S"]

    def to(self, device: torch.device | str) -> Support:
        return _moved(self, device)


@dataclass
class Batch:
    """What every method trains on. Row `b` of each field is the same pair."""

    images: Float[Tensor, "B 3 H W"]
    tokens: Int[Tensor, "B L"]  # 0 is padding
    words: Int[Tensor, "B L"]  # which word of its sentence a token is part of, from 1; 0 is none
    person_ids: Int[Tensor, " B"]  # contiguous from 0 over the training split
    image_ids: Int[Tensor, " B"]
    caption_ids: Int[Tensor, " B"]
    tags: Int[Tensor, "B L"] | None = None  # `data.tagging.Tag` of each token, where asked for
    difficulty: Float[Tensor, "B L"] | None = None  # how hard each word is to guess, 0 to 1
    support: Support | None = None  # others of the same people, where asked for
    levels: int = 1  # blocks of rows that tell the same pairs at another level of language

    def to(self, device: torch.device | str) -> Batch:
        return _moved(self, device)

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
    layout: str = ""  # "CUHK-PEDES", "own data", ...
    carved_val: bool = False  # `val` was taken from train, since there was none
    person_names: Mapping[int, str] = field(default_factory=dict)  # empty where ids are numbers

    def person(self, person_id: int) -> str:
        """The id of a person as the annotation has it, for whatever a user reads.

        It is for the `person_id` of this dataset's pairs; what `contiguous` numbers anew has lost
        its name.
        """
        return self.person_names.get(person_id, str(person_id))

    def people(self, split: str) -> dict[int, str]:
        """Everybody in a split as they first appear: `person_id`, and the id in the annotation."""
        ids = dict.fromkeys(pair.person_id for pair in self.split(split))
        return {person_id: self.person(person_id) for person_id in ids}

    def split(self, name: str) -> tuple[Pair, ...]:
        if name not in ("train", "val", "test"):
            raise ValueError(f"there is no split {name!r}; choose train, val or test")
        return getattr(self, name)


def contiguous(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], int]:
    """The same pairs, captions numbered, with person ids 0..n-1 in order of appearance, and n."""
    seen: dict[int, int] = {}
    for pair in pairs:
        seen.setdefault(pair.person_id, len(seen))
    numbered = (replace(p, person_id=seen[p.person_id], caption_id=i) for i, p in enumerate(pairs))
    return tuple(numbered), len(seen)
