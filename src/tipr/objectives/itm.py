"""Image-text matching: do this sentence and this picture belong together? (ALBEF, Li et al.,
NeurIPS 2021; as IVT's vision-language pre-training uses it.)

A fusion stack lets the words look at the picture; its first token is judged. The wrong partners
are drawn among the rows of the batch, the more similar the likelier.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tipr.transformer import Attention, CrossAttention, attention_to


def hard_negatives(
    similarity: Float[Tensor, "B B"], same: Bool[Tensor, "B B"]
) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
    """A wrong picture for every sentence and a wrong sentence for every picture, one draw each.

    `similarity` (text, image) is sharp already: its softmax, plus 1e-4, are the chances. Partners
    that are the `same` are never drawn: the diagonal as released, or everybody of one person.
    Several processes each draw among their own rows, as ALBEF's do: a partner is fused token by
    token, and tokens do not travel. Raises ValueError when a row has no wrong partner.
    """
    if same.all(dim=1).any() or same.all(dim=0).any():
        raise ValueError("a batch of one person has no wrong pairs; draw several people a batch, "
                         "on every process")  # fmt: skip
    picture = _drawn(similarity, same)
    return picture, _drawn(similarity.T, same.T)


def _drawn(similarity: Float[Tensor, "B B"], same: Bool[Tensor, "B B"]) -> Int[Tensor, " B"]:
    chances = similarity.detach().softmax(dim=1) + 1e-4
    return torch.multinomial(chances.masked_fill(same, 0), 1).squeeze(1)


class FusionStack(nn.Module):
    """Words that look at each other, then at the picture: BERT's layers with cross-attention."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FusionLayer(width, heads) for _ in range(layers))

    def forward(
        self,
        text: Float[Tensor, "B L D"],
        present: Bool[Tensor, "B L"],
        image: Float[Tensor, "B N D"],
    ) -> Float[Tensor, "B L D"]:
        """`present` is False where a word is padding."""
        visible = attention_to(present, text.shape[1])
        for layer in self.layers:
            text = layer(text, visible, image)
        return text


class FusionLayer(nn.Module):
    """Each part is added to what came in and the sum normalised, BERT's order."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention, self.norm_attention = Attention(width, heads), nn.LayerNorm(width)
        self.looking, self.norm_looking = CrossAttention(width, heads), nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.norm_feedforward = nn.LayerNorm(width)

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        visible: Bool[Tensor, "B 1 L L"],
        image: Float[Tensor, "B N D"],
    ) -> Float[Tensor, "B L D"]:
        x = self.norm_attention(x + self.attention(x, visible))
        x = self.norm_looking(x + self.looking(x, image))
        return self.norm_feedforward(x + self.feedforward(x))


class MatchingLoss(nn.Module):
    """Tells B right from 2B wrong pairs by their fused first tokens, as released."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, 2)

    def forward(
        self, right: Float[Tensor, "R D"], wrong: Float[Tensor, "W D"]
    ) -> Float[Tensor, ""]:
        labels = torch.arange(len(right) + len(wrong), device=right.device) < len(right)
        return F.cross_entropy(self.classifier(torch.cat([right, wrong])), labels.long())


class WordPredictor(nn.Module):
    """BERT's head on a fused word; its last layer is its own, not the table of words."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.words = nn.Linear(width, vocabulary)

    def forward(self, fused: Float[Tensor, "*places D"]) -> Float[Tensor, "*places V"]:
        return self.words(self.transform(fused))


def at_most(
    hidden: Bool[Tensor, "B L"], words: Int[Tensor, "B L"], most: int
) -> Bool[Tensor, "B L"]:
    """The same words hidden, but no more than `most` a row; which ones stay is drawn."""
    draws = torch.rand(len(words), int(words.max()) + 1, device=words.device)
    chosen = torch.zeros_like(draws).scatter_reduce(1, words, hidden.to(draws), "amax") > 0
    rank = draws.masked_fill(~chosen, 2.0).argsort(dim=1).argsort(dim=1)
    return hidden & (rank < most).gather(1, words)
