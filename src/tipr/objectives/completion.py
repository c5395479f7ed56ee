"""Name hidden words: from the words around them, or with the picture's help as IRRA does.

(Implicit relation reasoning; Jiang & Ye, CVPR 2023.) Initial weights are CLIP's scaled
normals, as released, and biases begin at zero.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from tipr.transformer import Block, CrossAttention, QuickGELU, attention_to


class Prediction(nn.Module):
    """Every place of a sentence, read in both directions, as chances over the vocabulary."""

    def __init__(self, width: int, vocabulary: int, layers: int, heads: int | None = None) -> None:
        super().__init__()
        heads = heads or heads_of(width)
        blocks = [Block(width, heads, QuickGELU) for _ in range(layers)]
        self.blocks, self.norm = nn.ModuleList(blocks), nn.LayerNorm(width)
        dense, words = nn.Linear(width, width), nn.Linear(width, vocabulary)
        self.head = nn.Sequential(dense, QuickGELU(), nn.LayerNorm(width), words)
        inner, outer = (2 * width) ** -0.5, out_scale(width, layers)
        for block in blocks:
            _normal(block.attention.qkv, width**-0.5)
            _normal(block.attention.out, outer)
            _normal(block.feedforward[0], inner)
            _normal(block.feedforward[2], outer)
        _normal(dense, inner)
        _normal(words, outer)

    def forward(
        self,
        tokens: Float[Tensor, "B L D"],
        padding: Bool[Tensor, "B L"] | None = None,
        at: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """`padding` is True where there is no token; nobody looks there.

        With `at` only the places where it is True are named, as rows in reading order: a
        vocabulary of chances for every place is most of the memory of a training step.
        """
        visible = None if padding is None else attention_to(~padding, tokens.shape[1])
        for block in self.blocks:
            tokens = block(tokens, visible)
        tokens = self.norm(tokens)
        return self.head(tokens if at is None else tokens[at])


class Completion(nn.Module):
    """Hidden words from the picture: text tokens ask the image's, then read what they were told.

    Nothing of the text is added to the answers: what the sentence says only steers where its
    tokens look.
    """

    def __init__(
        self, width: int, vocabulary: int, layers: int = 4, heads: int | None = None
    ) -> None:
        super().__init__()
        self.norm_text, self.norm_image = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look = CrossAttention(width, heads or heads_of(width))
        _normal(self.look.query, width**-0.5)
        _normal(self.look.key_value, width**-0.5)
        _normal(self.look.out, out_scale(width, layers))
        self.predict = Prediction(width, vocabulary, layers, heads)

    def forward(
        self,
        text_tokens: Float[Tensor, "B L D"],
        image_tokens: Float[Tensor, "B N D"],
        padding: Bool[Tensor, "B L"] | None = None,
        at: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """As `Prediction`: all places, or those of `at`."""
        told = self.look(self.norm_text(text_tokens), self.norm_image(image_tokens))
        return self.predict(told, padding, at)


def heads_of(width: int) -> int:
    """CLIP's rule: one head for every 64 dimensions."""
    return max(width // 64, 1)


def out_scale(width: int, layers: int) -> float:
    """CLIP's deviation of what is added to a stream of tokens, smaller the more layers add."""
    return width**-0.5 * (2 * max(layers, 1)) ** -0.5


def _normal(layer: nn.Module, std: float) -> None:
    weight, bias = layer.parameters()
    nn.init.normal_(weight, std=std)
    nn.init.zeros_(bias)
