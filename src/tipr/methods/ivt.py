"""IVT: implicit visual-textual learning (Shu et al., ECCV workshops 2022, arXiv:2208.08608).

1. One transformer for pictures and sentences         -> `encoders/shared.py`
2. Multi-level alignment (MLA): every pair is seen as word, phrase and sentence, each with its
   own view of the picture; all match in one matrix   -> `Levels` in `data/levels.py`, `_aligned`
3. Bidirectional mask modelling (BMM): some patches and words are left out, and what remains
   must still match; nothing is restored              -> `kept_tokens`
4. Vision-language pre-training on generic pairs: contrast, matching with hard negatives, masked
   words through a fusion stack                       -> `IVTPretraining`, `objectives/itm.py`

The loss of a training step is one CMPM, without a temperature. Searching encodes each modality
alone, whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tipr.data.pairs import Batch
from tipr.encoders.encoder import Encoder
from tipr.methods.method import Method
from tipr.objectives.gathering import everyone
from tipr.objectives.itm import FusionStack, MatchingLoss, WordPredictor, at_most, hard_negatives
from tipr.objectives.masking import chosen_words, corrupted, kept_tokens, masked_words
from tipr.objectives.matching import LabelNorm, cmpm, cosine, divergence, products, same_person


@dataclass(frozen=True, kw_only=True)
class IVTConfig:
    hide: float = 0.2  # the largest share of tokens left out; 10 % on average (as released)
    hide_images: bool = True
    hide_texts: bool = True
    shared_positions: bool = True  # one choice for a batch (as released); False: each row its own
    level_losses: int = 1  # one matrix over all levels (as released); 3: each level's own, added
    temperature: float | None = None  # None: CMPM (as published); a number: cosines over it, SDM
    label_norm: LabelNorm = "l1"  # quirk: "l2" as released, whose rows do not sum to 1

    def __post_init__(self) -> None:
        if not 0 <= self.hide < 1:
            raise ValueError(f"hide is a share, from 0 to below 1, not {self.hide}")
        if self.label_norm not in get_args(LabelNorm):
            raise ValueError(f"label_norm is one of {', '.join(get_args(LabelNorm))}")
        if self.level_losses < 1:
            raise ValueError("level_losses is 1, or how many levels a batch has")

    def build(self, encoder: Encoder, num_persons: int) -> IVT:
        return IVT(self, encoder)


class IVT(Method):
    def __init__(self, config: IVTConfig, encoder: Encoder) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Raises ValueError when a batch does not have `level_losses` levels."""
        image = self.encoder.encode_image(batch.images, self._seen_patches(batch)).embedding
        text = self.encoder.encode_text(batch.tokens, self._seen_words(batch)).embedding
        levels = self.config.level_losses
        if levels not in (1, batch.levels):
            raise ValueError(f"method.level_losses is 1, or {batch.levels} as many as the batch "
                             f"has levels; it is {levels}")  # fmt: skip
        blocks = zip(*(x.chunk(levels) for x in (image, text, batch.person_ids)), strict=True)
        return {"mla": torch.stack([self._aligned(*block) for block in blocks]).sum()}

    def _aligned(
        self, image: Float[Tensor, "B D"], text: Float[Tensor, "B D"], ids: Int[Tensor, " B"]
    ) -> Float[Tensor, ""]:
        c = self.config
        if c.temperature is None:
            return cmpm(image, text, ids, c.label_norm)
        image, text, ids = everyone(image, text, ids)
        logits, labels = cosine(text, image) / c.temperature, same_person(ids)
        by_text = divergence(logits, labels, c.label_norm)
        return by_text + divergence(logits.T, labels, c.label_norm)

    def _seen_patches(self, batch: Batch) -> Int[Tensor, "B K"] | None:
        """Place 0 is the class token, which counts among the tokens and always stays."""
        if not self.config.hide_images:
            return None
        places = (len(batch), 1 + self.encoder.num_patches)
        every = torch.ones(places, dtype=torch.bool, device=batch.images.device)
        return kept_tokens(every, self.config.hide, self.config.shared_positions)[:, 1:] - 1

    def _seen_words(self, batch: Batch) -> Int[Tensor, "B K"] | None:
        """Row by row, start and end stay; as released only the start, and padding may go too."""
        if not self.config.hide_texts:
            return None
        present = batch.tokens != 0
        shared = self.config.shared_positions
        fixed = None if shared else present & (batch.words == 0)
        return kept_tokens(present, self.config.hide, shared, fixed)


@dataclass(frozen=True, kw_only=True)
class IVTPretraining:
    """The stage before, on any captioned pictures; the three terms are added unweighted."""

    fusion_layers: int = 6
    fusion_heads: int = 12
    normalised: bool = True  # contrast cosines; quirk: False as released, with temperature 0.5
    temperature: float = 0.07  # of the contrast, at the start; learned
    by_person: bool = True  # wrong pairs show another person; False as released: another pair
    mask_rate: float = 0.25  # of whole words
    most_masked: int = 8  # words of a sentence

    def build(self, encoder: Encoder, num_persons: int) -> Pretraining:
        return Pretraining(self, encoder)


class Pretraining(Method):
    def __init__(self, config: IVTPretraining, encoder: Encoder) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))
        self.fusion = FusionStack(encoder.width, config.fusion_heads, config.fusion_layers)
        self.matching = MatchingLoss(encoder.width)
        self.words = WordPredictor(encoder.width, encoder.vocabulary)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        image = self.encoder.encode_image(batch.images)
        text = self.encoder.encode_text(batch.tokens)
        picture = torch.cat([image.embedding[:, None], image.tokens], dim=1)
        logits = self._similarity(image.embedding, text.embedding)
        ids = batch.person_ids if self.config.by_person else _rows(batch)
        return {
            "itc": _contrast(self._similarity(*everyone(image.embedding, text.embedding))),
            "itm": self._matched(text.tokens, batch.tokens != 0, picture,
                                 hard_negatives(logits, same_person(ids))),
            "mlm": self._guessed(batch, picture),
        }  # fmt: skip

    def _similarity(
        self, image: Float[Tensor, "B D"], text: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B B"]:
        with torch.no_grad():  # as CLIP does; released without a bound
            self.log_scale.clamp_(max=math.log(100.0))
        alike = cosine(text, image) if self.config.normalised else products(text, image)
        return alike * self.log_scale.exp()

    def _matched(
        self,
        text: Float[Tensor, "B L D"],
        present: Bool[Tensor, "B L"],
        picture: Float[Tensor, "B N D"],
        wrong: tuple[Int[Tensor, " B"], Int[Tensor, " B"]],
    ) -> Float[Tensor, ""]:
        """Each sentence with a wrong picture, each picture with a wrong sentence."""
        pictures, sentences = wrong
        right = self.fusion(text, present, picture)[:, 0]
        texts = torch.cat([text, text[sentences]])
        there = torch.cat([present, present[sentences]])
        mixed = self.fusion(texts, there, torch.cat([picture[pictures], picture]))[:, 0]
        return self.matching(right, mixed)

    def _guessed(self, batch: Batch, picture: Float[Tensor, "B N D"]) -> Float[Tensor, ""]:
        """Masked words, read off the rest of the sentence and the picture."""
        c, e = self.config, self.encoder
        hidden = at_most(chosen_words(batch.words, c.mask_rate), batch.words, c.most_masked)
        seen = corrupted(batch.tokens, hidden, e.mask_id, e.word_ids)
        fused = self.fusion(e.encode_text(seen).tokens, batch.tokens != 0, picture)
        return masked_words(self.words(fused[hidden]), batch.tokens, hidden)


def _contrast(logits: Float[Tensor, "B B"]) -> Float[Tensor, ""]:
    """Each row's partner against all others, the mean of both directions."""
    partner = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, partner) + F.cross_entropy(logits.T, partner)) / 2


def _rows(batch: Batch) -> Int[Tensor, " B"]:
    return torch.arange(len(batch), device=batch.person_ids.device)
