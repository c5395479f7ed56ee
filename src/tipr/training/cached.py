"""Large batches on small memory: gradients cached at the encoder (Gao et al., RepL4NLP 2021).

The batch is encoded a few rows at a time, and nothing is kept but the result. The loss is that of
the whole batch, and its gradients stop at the encoder's results. Then the same rows are encoded
again, a few at a time, and their share of those gradients goes on into the weights. Loss and
gradients are those of the whole batch; the price is encoding twice.

What the heads of a method keep still grows with the batch. Dropout within the encoder is drawn
anew for every few rows: another draw than one for all rows, of the same distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tipr.encoders.encoder import Encoded, Encoder
from tipr.training.draws import Draws, drawn_again, drawn_so_far

Piece = tuple[Tensor, Tensor | None]  # images or tokens, and which of their places to look at
Encode = Callable[[Tensor, Tensor | None], Encoded]
_MIXING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@contextmanager
def in_chunks(method: nn.Module, rows: int) -> Generator[Callable[[], None]]:
    """Within, every encoder of the method works `rows` at a time; 0 leaves it as it is.

    What is yielded is to be called once after `backward()`: only then has the encoder gradients.
    """
    places = [
        (owner, name, part)
        for owner in method.modules()
        for name, part in owner.named_children()
        if isinstance(part, Encoder) and rows
    ]
    cached = [CachedEncoder(part, rows) for _, _, part in places]

    def replay() -> None:
        for stand_in in cached:
            stand_in.replay()

    try:
        for (owner, name, _), stand_in in zip(places, cached, strict=True):
            setattr(owner, name, stand_in)
        yield replay
    finally:
        for owner, name, part in places:
            setattr(owner, name, part)


class CachedEncoder(Encoder):
    """Stands in for an encoder during one step; all else about it is that encoder's."""

    def __init__(self, whole: Encoder, rows: int) -> None:
        super().__init__()
        if any(isinstance(part, _MIXING) for part in whole.modules()):
            raise ValueError("this encoder normalises over the batch, so a few rows at a time "
                             "would give something else; set optim.chunk to 0")  # fmt: skip
        self.whole, self.rows, self.training = whole, rows, whole.training
        self._calls: list[_Call] = []

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("whole"), name)

    @property
    def image_size(self) -> tuple[int, int]:
        return self.whole.image_size

    @property
    def num_patches(self) -> int:
        return self.whole.num_patches

    def encode_image(
        self, images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        return self._encoded(self.whole.encode_image, images, keep)

    def encode_text(
        self, tokens: Int[Tensor, "B L"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        return self._encoded(self.whole.encode_text, tokens, keep)

    def replay(self) -> None:
        """Encodes everything again, with gradients, and hands on those that came back."""
        with _fresh_casts():
            for call in self._calls:
                _replay(call)
        self._calls.clear()

    def _encoded(self, encode: Encode, rows: Tensor, keep: Tensor | None) -> Encoded:
        """Raises ValueError where the rows are learned themselves: they would learn nothing."""
        learning = torch.is_grad_enabled()
        if learning and rows.requires_grad:
            raise ValueError("what is encoded asks for a gradient of its own, which is not cached; "
                             "set optim.chunk to 0")  # fmt: skip
        pieces = list(zip(*(_pieces(x, len(rows), self.rows) for x in (rows, keep)), strict=True))
        call, parts = _Call(encode, pieces), []
        with torch.no_grad(), _fresh_casts():
            for piece in pieces:
                call.draws.append(drawn_so_far(rows.device))
                parts.append(encode(*piece))
        found = _joined(parts)
        if not learning:
            return found
        self._calls.append(call)
        source = torch.zeros((), requires_grad=True)
        embedding, tokens = _Cut.apply(source, call, found.embedding, found.tokens)
        return Encoded(embedding=embedding, tokens=tokens, padding=found.padding)


@dataclass
class _Call:
    """One use of the encoder: what it was given, where random numbers stood, what came back."""

    encode: Encode
    pieces: Sequence[Piece]
    draws: list[Draws] = field(default_factory=list)  # before each piece
    gradients: Sequence[Tensor | None] = (None, None)  # of the embedding and of the tokens


class _Cut(torch.autograd.Function):
    """Passes values on and notes their gradients; holds no value that nobody else needs."""

    @staticmethod
    def forward(
        ctx: Any, source: Tensor, call: _Call, embedding: Tensor, tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.call = call
        ctx.set_materialize_grads(False)
        return embedding.view_as(embedding), tokens.view_as(tokens)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[None, None, None, None]:
        ctx.call.gradients = gradients
        return None, None, None, None


def _replay(call: _Call) -> None:
    if all(gradient is None for gradient in call.gradients):
        return
    sizes = [len(rows) for rows, _ in call.pieces]
    shares = zip(*(_pieces(g, sum(sizes), sizes[0]) for g in call.gradients), strict=True)
    for piece, draws, share in zip(call.pieces, call.draws, shares, strict=True):
        with drawn_again(draws, piece[0].device):
            part = call.encode(*piece)
        found = zip((part.embedding, part.tokens), share, strict=True)
        known = [(y, g) for y, g in found if g is not None and y.requires_grad]
        if not known:  # nothing on this way is trained
            return
        torch.autograd.backward([y for y, _ in known], [g for _, g in known])


def _pieces(x: Tensor | None, count: int, rows: int) -> Sequence[Any]:
    """`x` in pieces of `rows`, or nothing as often as there are pieces of `count` rows."""
    return x.split(rows) if x is not None else [None] * max(-(-count // rows), 1)


def _joined(parts: Sequence[Encoded]) -> Encoded:
    padding = [part.padding for part in parts if part.padding is not None]
    return Encoded(
        embedding=torch.cat([part.embedding for part in parts]),
        tokens=torch.cat([part.tokens for part in parts]),
        padding=torch.cat(padding) if padding else None,
    )


@contextmanager
def _fresh_casts() -> Generator[None]:
    """Autocast keeps no copies of weights: those made without gradient would be used with one."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)
