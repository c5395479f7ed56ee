"""One transformer that reads pictures and sentences (IVT, Shu et al., ECCV workshops 2022).

Attention and norms are the same weights for both; what differs is how tokens are embedded and, as
released, the feed-forward of every block. A picture is its class token, a sentence its start
token, both after the final norm, without a projection. 28.35 M weights of attention serve both;
56.67 M of feed-forward and the embeddings serve one each.

As published it starts from a ViT-B/16 and from BERT's feed-forwards and word tables. For a CPU the
patches may come from a convolutional stem instead, as in `encoders/compact.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tipr.encoders.compact import stem
from tipr.encoders.encoder import Encoded, Encoder, Modality, parameters_of, visible_only
from tipr.transformer import (
    Attention,
    DropPath,
    Recompute,
    attended,
    attention_to,
    chosen,
    fed_forward,
    recomputed,
)


@dataclass(frozen=True, kw_only=True)
class SharedConfig:
    """Defaults are the released geometry for RSTPReid; the other sets take `stride=12`."""

    image_size: tuple[int, int] = (384, 128)
    patch: int = 16
    stride: int = 16  # smaller than the patch: patches overlap
    stem: tuple[int, ...] = ()  # channels after each halving, in place of `patch` and `stride`
    width: int = 768
    layers: int = 12
    heads: int = 12
    vocabulary: int = 30522
    text_length: int = 512
    drop_path: float = 0.1  # of the last block; grows evenly from 0 at the first
    dropout: float = 0.1  # of embedded words

    def __post_init__(self) -> None:
        if self.stem and self.stem[-1] != self.width:
            raise ValueError(f"the stem ends in {self.stem[-1]} channels, the transformer is "
                             f"{self.width} wide; make them equal")  # fmt: skip
        if self.stem and any(side % 2 ** len(self.stem) for side in self.image_size):
            raise ValueError(f"pictures of {self.image_size} cannot be halved {len(self.stem)} "
                             "times; change image_size or the stem")  # fmt: skip

        if min(self.grid) < 1 or self.stride < 1:
            raise ValueError(f"pictures of {self.image_size} hold no patches of {self.patch} in "
                             f"steps of {self.stride}; enlarge image_size")  # fmt: skip

    @property
    def grid(self) -> tuple[int, int]:
        """Patches (down, across) of a picture."""
        patch = 2 ** len(self.stem) if self.stem else self.patch
        return patch_grid(self.image_size, patch, patch if self.stem else self.stride)

    def build(self) -> SharedEncoder:
        return SharedEncoder(self)


class SharedEncoder(Encoder):
    mask_id = 1

    def __init__(self, config: SharedConfig) -> None:
        super().__init__()
        self.config = config
        self.width, self.vocabulary = config.width, config.vocabulary
        self.word_ids = range(4, config.vocabulary)
        self.patch = 2 ** len(config.stem) if config.stem else config.patch
        stride = self.patch if config.stem else config.stride
        self.grid = config.grid
        self.picture = PictureEmbedding(config, stride, self.num_patches)
        self.sentence = SentenceEmbedding(config)
        rates = torch.linspace(0, config.drop_path, config.layers, device="cpu").tolist()
        self.blocks = nn.ModuleList(SharedBlock(config.width, config.heads, r) for r in rates)
        self.norm = nn.LayerNorm(config.width, eps=1e-6)

    @property
    def image_size(self) -> tuple[int, int]:
        return self.config.image_size

    def stages(self, modality: Modality) -> list[list[nn.Parameter]]:
        first = self.picture if modality == "image" else self.sentence
        blocks = [block for block in self.blocks if isinstance(block, SharedBlock)]
        layers = [block.parameters_for(modality) for block in blocks]
        return [parameters_of(first), *layers, parameters_of(self.norm)]

    def encode_image(
        self, images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        if keep is not None and self.config.stem:  # convolutions would look across the border
            images = visible_only(images, keep, self.grid)
        x = self._encoded(self.picture(images, keep), "image")
        return Encoded(embedding=x[:, 0], tokens=x[:, 1:])

    def encode_text(
        self, tokens: Int[Tensor, "B L"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        """Raises ValueError when `keep` leaves out the start token, a sentence's embedding."""
        if keep is not None and keep[:, 0].any():
            raise ValueError("a sentence lost its start token, which it is read from; keep place 0")
        x, padding = self.sentence(tokens), tokens == 0
        if keep is not None:
            x, padding = chosen(x, keep), padding.gather(1, keep)
        x = self._encoded(x, "text", attention_to(~padding, x.shape[1]))
        return Encoded(embedding=x[:, 0], tokens=x, padding=padding)

    def embed_image(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        return self._first(self.picture(images), "image")

    def embed_text(self, tokens: Int[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        return self._first(self.sentence(tokens), "text", tokens != 0)

    def _first(
        self,
        x: Float[Tensor, "B N D"],
        modality: Modality,
        present: Bool[Tensor, "B N"] | None = None,
    ) -> Float[Tensor, "B D"]:
        """The first token of each row; in the last block nothing else is worked out."""
        visible = None if present is None else attention_to(present, x.shape[1])
        seen = None if present is None else attention_to(present)
        *blocks, last = self.blocks
        for block in blocks:
            x = block(x, modality, visible)
        return self.norm(last.first(x, modality, seen))  # ty: ignore[not-callable]

    def _encoded(
        self,
        x: Float[Tensor, "B N D"],
        modality: Modality,
        visible: Bool[Tensor, "B 1 N N"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        for block in self.blocks:
            x = block(x, modality, visible)
        return self.norm(x)


class SharedBlock(nn.Module):
    """Attention and norms for both modalities, a feed-forward for each."""

    recompute: Recompute = "none"

    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm_feedforward = nn.LayerNorm(width, eps=1e-6)
        self.feedforward = nn.ModuleDict(
            {"image": _feedforward(width), "text": _feedforward(width)}
        )
        self.drop_path = DropPath(drop_path)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        modality: Modality,
        visible: Bool[Tensor, "B 1 N N"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        return recomputed(self, ("blocks",), self._added, x, modality, visible)

    def first(
        self,
        x: Float[Tensor, "B N D"],
        modality: Modality,
        visible: Bool[Tensor, "B 1 1 N"] | None,
    ) -> Float[Tensor, "B D"]:
        """What `forward` gives for the first token in evaluation, without the work for others."""
        start = torch.zeros(x.shape[0], dtype=torch.long, device=x.device)
        one = x[:, 0] + self.attention.at(start, self.norm_attention(x), visible)
        return one + self.feedforward[modality](self.norm_feedforward(one))

    def parameters_for(self, modality: Modality) -> list[nn.Parameter]:
        shared = (self.norm_attention, self.attention, self.norm_feedforward)
        return parameters_of(*shared, self.feedforward[modality])

    def _added(
        self,
        x: Float[Tensor, "B N D"],
        modality: Modality,
        visible: Bool[Tensor, "B 1 N N"] | None,
    ) -> Float[Tensor, "B N D"]:
        mixed = attended(self, self.norm_attention, self.attention, x, visible)
        x = x + self.drop_path(mixed)
        fed = fed_forward(self, self.norm_feedforward, self.feedforward[modality], x)
        return x + self.drop_path(fed)


class PictureEmbedding(nn.Module):
    """A class token and patches, each with its place and, as released, a type of its own."""

    def __init__(self, config: SharedConfig, stride: int, num_patches: int) -> None:
        super().__init__()
        self.patches = (
            stem(config.stem)
            if config.stem
            else nn.Conv2d(3, config.width, config.patch, stride)
        )  # fmt: skip
        self.class_token = _table(1, 1, config.width)
        self.place = _table(1, 1 + num_patches, config.width)
        self.kind = _table(1, 1 + num_patches, config.width)

    def forward(
        self, images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B N D"]:
        where = self.place + self.kind
        if isinstance(self.patches, nn.Sequential):
            images = images.contiguous(memory_format=torch.channels_last)
        x = self.patches(images).flatten(2).mT + where[:, 1:]
        if keep is not None:
            x = chosen(x, keep)
        first = (self.class_token + where[:, :1]).expand(x.shape[0], -1, -1)
        return torch.cat([first, x], dim=1)


class SentenceEmbedding(nn.Module):
    """Words as BERT embeds them (Devlin et al., NAACL 2019): word, place and segment, normalised.

    The second segment is in BERT's table and never used.
    """

    def __init__(self, config: SharedConfig) -> None:
        super().__init__()
        self.word = _table(config.vocabulary, config.width)
        self.place = _table(config.text_length, config.width)
        self.segment = _table(2, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        where = self.place[: tokens.shape[1]] + self.segment[0]
        return self.dropout(self.norm(F.embedding(tokens, self.word) + where))


def patch_grid(image_size: tuple[int, int], patch: int, stride: int) -> tuple[int, int]:
    """Patches (down, across) that lie wholly within the picture."""
    height, width = image_size
    return (height - patch) // stride + 1, (width - patch) // stride + 1


def _table(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(*shape), std=0.02))


def _feedforward(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
