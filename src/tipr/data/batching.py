"""From pairs to batches. A batcher is the collate function of the DataLoader, nothing more."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import UInt8
from torch import Tensor

from tipr.data.augment import Augmenting
from tipr.data.images import ImageTransform, open_image
from tipr.data.pairs import Batch, Batcher, Pair
from tipr.data.text import Tokenizer


class PixelCache:
    """Pictures decoded and resized once, kept as bytes while they fit into `limit` bytes."""

    def __init__(self, transform: ImageTransform, limit: int) -> None:
        self.transform, self._limit, self._used = transform, limit, 0
        self._kept: dict[Path, UInt8[Tensor, "3 H W"]] = {}

    def __call__(self, path: Path) -> UInt8[Tensor, "3 H W"]:
        pixels = self._kept.get(path)
        if pixels is None:
            pixels = self.transform.resized(open_image(path))
            if self._used + pixels.nbytes <= self._limit:
                self._kept[path], self._used = pixels, self._used + pixels.nbytes
        return pixels


class PairBatcher:
    """The plain batcher: one row per pair; with an augmentation when training."""

    def __init__(
        self,
        transform: ImageTransform,
        tokenizer: Tokenizer,
        augmentation: Augmenting | None = None,
        cache: int = 0,
    ) -> None:
        self.pixels = PixelCache(transform, cache)
        self.transform, self.tokenizer, self.augmentation = transform, tokenizer, augmentation

    def unaugmented(self) -> PairBatcher:
        """The same without augmentation, over the same decoded pictures."""
        plain = copy(self)
        plain.augmentation = None
        return plain

    def __call__(self, pairs: Sequence[Pair]) -> Batch:
        return self.captioned(pairs)[0]

    def captioned(self, pairs: Sequence[Pair]) -> tuple[Batch, list[str]]:
        """The batch, and the captions that it holds after augmentation."""
        images = torch.stack([self.pixels(p.image) for p in pairs]).float() / 255
        captions = [p.caption for p in pairs]
        if self.augmentation is not None:
            flipped = torch.rand(len(pairs)) < self.augmentation.flip
            images = self.augmentation.images(images, flipped)
            captions = [
                self.augmentation.caption(caption, bool(flip))
                for caption, flip in zip(captions, flipped, strict=True)
            ]
        tokens, numbers = self.tokenizer.numbered(captions)
        batch = Batch(
            images=self.transform.normalised(images),
            tokens=tokens,
            words=numbers,
            person_ids=torch.tensor([p.person_id for p in pairs]),
            image_ids=torch.tensor([p.image_id for p in pairs]),
            caption_ids=torch.tensor([p.caption_id for p in pairs]),
        )
        return batch, captions


class Batching(Protocol):
    """How a method wants its batches: a frozen dataclass named in the experiment."""

    def build(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batcher:
        """A batcher around the plain one; `pairs` are all that is trained on."""
        ...


@dataclass(frozen=True, kw_only=True)
class Plain:
    """One row per pair, as it is."""

    def build(self, plain: PairBatcher, pairs: Sequence[Pair]) -> Batcher:
        return plain


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch yet to be prepared: which rows it shows, and the seed of all that changes them."""

    seed: int
    rows: Sequence[int]


class Prepared:
    """Batches of a training split: each depends on what was drawn for it, on nothing before it.

    So it does not matter which process prepares it, or whether earlier ones were prepared at all.
    """

    def __init__(self, pairs: Sequence[Pair], batcher: Batcher) -> None:
        self.pairs, self.batcher = pairs, batcher

    def __getitem__(self, drawn: Drawn) -> Batch:
        with seeded(drawn.seed), _one_thread():
            return self.batcher([self.pairs[row] for row in drawn.rows])


def drawn_batches(
    batches: Iterable[Sequence[int]], seed: int, epoch: int, rank: int = 0
) -> list[Drawn]:
    """All batches of an epoch; `batches` draws their order anew whenever it is walked through.

    Processes that share a batch change their rows of it each in their own way.
    """
    with seeded(seed_of("order", seed, epoch)):
        rows = list(batches)
    who = [rank] if rank else []  # so that the first draws what a single one would
    return [Drawn(seed_of("batch", seed, epoch, k, *who), each) for k, each in enumerate(rows)]


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Within, the CPU's draws follow from `seed`; afterwards they go on as before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # a GPU's draws are none of this one's business
        yield


@contextmanager
def _one_thread() -> Generator[None]:
    """As in the DataLoader's processes: some of torch's operations round by how they are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seed_of(purpose: str, *numbers: int) -> int:
    """A seed for each purpose and place in a run, unlike all its neighbours'."""
    text = " ".join([purpose, *map(str, numbers)])
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest())
