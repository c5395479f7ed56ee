"""What of a picture answers a sentence: the iterative text-guided extraction (ITFE) of MGRL.

(Lv et al., ICASSP 2024; described mechanism, reconstructed.) A query looks at the image's tokens,
takes what it found into the next question and looks again. What is returned is what was found
last, never the question: it is made of the image alone, and the text only says where to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tipr.transformer import QuickGELU

Output = Literal["found", "query"]
KeyValue = Float[Tensor, "2 B heads N each"]


@dataclass(frozen=True, kw_only=True)
class ExtractionConfig:
    width: int
    heads: int = 8
    iterations: int = 3
    shared: bool = True  # one set of weights for all iterations
    feedforward: bool = True  # between looks
    output: Output = "found"  # "query" lets the text through to the answer; for comparison

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(
                f"a width of {self.width} does not divide into {self.heads} heads; change heads"
            )
        if self.iterations < 1:
            raise ValueError("the extraction looks at the image at least once: iterations >= 1")
        if self.output not in get_args(Output):
            raise ValueError(f"output is one of {', '.join(get_args(Output))}, not {self.output!r}")

    def build(self) -> TextGuidedExtraction:
        return TextGuidedExtraction(self)


class TextGuidedExtraction(nn.Module):
    """Queries look at image tokens, repeatedly; no query ever sees another."""

    def __init__(self, config: ExtractionConfig) -> None:
        super().__init__()
        self.config = config
        width, looks = config.width, config.iterations
        turns = looks - (config.output == "found")  # after the last answer nothing is asked
        if config.shared:
            looks, turns = 1, min(turns, 1)
        self.norm_query, self.norm_image = nn.LayerNorm(width), nn.LayerNorm(width)
        self.memories = nn.ModuleList(Memory(width, config.heads) for _ in range(looks))
        self.looks = nn.ModuleList(Look(width, config.heads) for _ in range(looks))
        self.turns = nn.ModuleList(Turn(width, config.feedforward) for _ in range(turns))
        self.norm_out = nn.LayerNorm(width)

    def forward(
        self, query: Float[Tensor, "B Q D"], image_tokens: Float[Tensor, "B N D"]
    ) -> Float[Tensor, "B Q D"]:
        """What each query finds in the image of its row."""
        image = self.norm_image(image_tokens)
        memories = [memory(image) for memory in self.memories]  # once, however often looked at
        query = self.norm_query(query)
        found = self.looks[0](query, memories[0])
        for k in range(1, self.config.iterations):
            query = _of(self.turns, k - 1)(query, found)
            found = _of(self.looks, k)(query, _of(memories, k))
        if self.config.output == "query":
            found = self.turns[-1](query, found)
        return self.norm_out(found)

    def pairwise(
        self, text: Float[Tensor, "T D"], image_tokens: Float[Tensor, "I N D"]
    ) -> Float[Tensor, "T I D"]:
        """What every text finds in every image; an image's keys and values are computed once."""
        found = self(text.expand(len(image_tokens), -1, -1), image_tokens)
        return found.transpose(0, 1)

    def scores(
        self, text: Float[Tensor, "T D"], image_tokens: Float[Tensor, "I N D"]
    ) -> Float[Tensor, "T I"]:
        """How well each text fits what it finds in each image: their cosine.

        In single precision or better, as `objectives.matching.cosine`.
        """
        found = self.pairwise(text, image_tokens)
        exact = torch.promote_types(torch.promote_types(text.dtype, found.dtype), torch.float32)
        with torch.autocast(text.device.type, enabled=False):
            return F.cosine_similarity(text[:, None].to(exact), found.to(exact), dim=-1)


def mutual_guidance(
    scores: Float[Tensor, "T I"], similarity: Float[Tensor, "T I"], temperature: float = 0.02
) -> Float[Tensor, ""]:
    """How far the cosines of embeddings are from the scores of extraction, which learn nothing.

    Not the authors': each text's scores over all images, as a distribution, teach its cosines.
    """
    teacher = (scores.detach() / temperature).log_softmax(dim=1)
    student = (similarity / temperature).log_softmax(dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


class Memory(nn.Module):
    """The keys and values of images, by head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.key_value = nn.Linear(width, 2 * width)

    def forward(self, image: Float[Tensor, "B N D"]) -> KeyValue:
        return self.key_value(image).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)


class Look(nn.Module):
    """Attention of queries to an image that is remembered."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, query: Float[Tensor, "B Q D"], memory: KeyValue) -> Float[Tensor, "B Q D"]:
        asked = self.query(query).unflatten(2, (self.heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(asked, memory[0], memory[1])
        return self.out(mixed.transpose(1, 2).flatten(2))


class Turn(nn.Module):
    """The next question: what was asked and what was found, normalised."""

    def __init__(self, width: int, feedforward: bool) -> None:
        super().__init__()
        self.norm_found = nn.LayerNorm(width)
        self.think = Think(width) if feedforward else nn.Identity()

    def forward(
        self, query: Float[Tensor, "B Q D"], found: Float[Tensor, "B Q D"]
    ) -> Float[Tensor, "B Q D"]:
        return self.think(self.norm_found(query + found))


class Think(nn.Module):
    """A feed-forward added to what came in, then normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.feedforward = nn.Sequential(
            nn.Linear(width, 4 * width), QuickGELU(), nn.Linear(4 * width, width)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B Q D"]) -> Float[Tensor, "B Q D"]:
        return self.norm(x + self.feedforward(x))


def _of(parts: Any, k: int) -> Any:
    """The part of iteration k; where weights are shared there is one for all."""
    return parts[min(k, len(parts) - 1)]
