"""The CLIP dual encoder (Radford et al., ICML 2021) in the field's geometry.

Pictures are 384 x 128 pixels in patches of 16, sentences at most 77 tokens; both towers are
projected to 512. The image is its class token, the sentence its first end token under a causal
mask; what follows that token is padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tipr.encoders.encoder import Encoded, Encoder, Modality, parameters_of
from tipr.transformer import Block, QuickGELU, attention_to, chosen

ACTIVATIONS: dict[str, type[nn.Module]] = {"quick_gelu": QuickGELU, "gelu": nn.GELU}


@dataclass(frozen=True, kw_only=True)
class CLIPConfig:
    """Defaults are ViT-B/16 at the 384 x 128 pixels that the field uses, with CLIP's own ids."""

    image_size: tuple[int, int] = (384, 128)
    patch: int = 16
    stride: int | None = None  # smaller than the patch: patches overlap; None: side by side
    image_width: int = 768
    image_layers: int = 12
    image_heads: int = 12
    text_width: int = 512
    text_layers: int = 12
    text_heads: int = 8
    text_length: int = 77
    vocabulary: int = 49408
    embedding: int = 512
    end_id: int = 49407  # of the token that a sentence is read from
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"  # the GELU in some of open_clip's

    def __post_init__(self) -> None:
        if not 0 <= self.end_id < self.vocabulary:
            raise ValueError(f"a vocabulary of {self.vocabulary} has no end token {self.end_id}; "
                             "set end_id to the tokenizer's")  # fmt: skip
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"the activation {self.activation!r} is none of {list(ACTIVATIONS)}")

    def build(self) -> CLIPEncoder:
        return CLIPEncoder(self)


class CLIPEncoder(Encoder):
    mask_id = 1

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.width, self.patch, self.vocabulary = config.embedding, config.patch, config.vocabulary
        self.word_ids = range(4, config.vocabulary)
        stride = config.stride or config.patch
        height, across = ((side - config.patch) // stride + 1 for side in config.image_size)
        self.grid = (height, across)
        wide, deep = config.image_width, config.text_width
        activation = ACTIVATIONS[config.activation]
        self.patches = nn.Conv2d(3, wide, config.patch, stride, bias=False)
        self.image_class = nn.Parameter(wide**-0.5 * torch.randn(1, 1, wide))
        self.place = nn.Parameter(wide**-0.5 * torch.randn(1, 1 + self.num_patches, wide))
        self.norm_patches, self.norm_image = nn.LayerNorm(wide), nn.LayerNorm(wide)
        self.image_blocks = _blocks(wide, config.image_heads, config.image_layers, activation)
        self.image_out = nn.Linear(wide, config.embedding, bias=False)
        self.word = nn.Embedding(config.vocabulary, deep)
        nn.init.normal_(self.word.weight, std=0.02)
        self.order = nn.Parameter(0.01 * torch.randn(1, config.text_length, deep))
        self.text_blocks = _blocks(deep, config.text_heads, config.text_layers, activation)
        self.norm_text = nn.LayerNorm(deep)
        self.text_out = nn.Linear(deep, config.embedding, bias=False)

    @property
    def image_size(self) -> tuple[int, int]:
        return self.config.image_size

    def stages(self, modality: Modality) -> list[list[nn.Parameter]]:
        if modality == "image":
            first = parameters_of(self.patches, self.image_class, self.place, self.norm_patches)
            layers, last = self.image_blocks, parameters_of(self.norm_image, self.image_out)
        else:
            first = parameters_of(self.word, self.order)
            layers, last = self.text_blocks, parameters_of(self.norm_text, self.text_out)
        return [first, *map(parameters_of, layers), last]

    def encode_image(
        self, images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        x = self._patches(images, keep)
        for block in self.image_blocks:
            x = block(x)
        x = self.image_out(self.norm_image(x))
        return Encoded(embedding=x[:, 0], tokens=x[:, 1:])

    def embed_image(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        x = self._patches(images)
        *blocks, last = self.image_blocks
        for block in blocks:
            x = block(x)
        first = torch.zeros(x.shape[0], dtype=torch.long, device=x.device)
        return self.image_out(self.norm_image(last.at(first, x)))  # ty: ignore[not-callable]

    def _patches(
        self, images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"] | None = None
    ) -> Float[Tensor, "B N D"]:
        x = self.patches(images).flatten(2).mT + self.place[:, 1:]
        if keep is not None:
            x = chosen(x, keep)
        first = (self.image_class + self.place[:, :1]).expand(x.shape[0], -1, -1)
        return self.norm_patches(torch.cat([first, x], dim=1))

    def encode_text(
        self, tokens: Int[Tensor, "B L"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        """Raises ValueError when `keep` leaves out a sentence's end token, its embedding."""
        x = self.word(tokens) + self.order[:, : tokens.shape[1]]
        if keep is not None:
            x, tokens = chosen(x, keep), tokens.gather(1, keep)
            if not (tokens == self.config.end_id).any(dim=1).all():
                raise ValueError("a sentence lost its end token, which CLIP reads it from; drop "
                                 "words row by row (shared_positions=False)")  # fmt: skip
        visible = _earlier(tokens)
        for block in self.text_blocks:
            x = block(x, visible)
        x = self.text_out(self.norm_text(x))
        end, padding = _ends(tokens, self.config.end_id)
        rows = torch.arange(x.shape[0], device=x.device)
        return Encoded(embedding=x[rows, end], tokens=x, padding=padding)

    def embed_text(self, tokens: Int[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        x = self.word(tokens) + self.order[:, : tokens.shape[1]]
        visible, (end, padding) = _earlier(tokens), _ends(tokens, self.config.end_id)
        *blocks, last = self.text_blocks
        for block in blocks:
            x = block(x, visible)
        x = last.at(end, x, attention_to(~padding))  # ty: ignore[not-callable]
        return self.text_out(self.norm_text(x))


def _blocks(width: int, heads: int, layers: int, activation: type[nn.Module]) -> nn.ModuleList:
    return nn.ModuleList(Block(width, heads, activation) for _ in range(layers))


def _earlier(tokens: Int[Tensor, "B L"]) -> Bool[Tensor, "B 1 L L"]:
    """Every token looks at itself and those before it."""
    length = tokens.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=tokens.device).tril()
    return earlier.expand(tokens.shape[0], 1, length, length)


def _ends(tokens: Int[Tensor, "B L"], end_id: int) -> tuple[Int[Tensor, " B"], Bool[Tensor, "B L"]]:
    """Each row's first end token, or its last place, and which places come after it."""
    length = tokens.shape[1]
    places = torch.arange(length, device=tokens.device)
    end = places.masked_fill(tokens != end_id, length - 1).amin(dim=1)
    return end, places > end[:, None]
