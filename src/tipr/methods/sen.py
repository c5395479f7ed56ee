"""SEN: semantically enhanced network (Liu et al., Neural Networks 184, 2025; code released).

1. Dual encoder, matched by person (SDM, identities)   -> `encoders/clip.py`, `sdm`, `IdentityLoss`
2. Text-guided image restoration (TIR): a grey picture
   with most patches hidden gets its colours and pixels
   back from the sentence                              -> `_restoration_error`, `Restoration`
3. Cross-modal triplet on the hardest other person     -> `hardest_triplet`
4. Pruning text augmentation                           -> `data/pruning.py`
5. Up to two pairs of a person in a batch              -> `UpToPerPerson` in `data/sampling.py`

Searching needs the encoder alone. As released, two quirks are on: every loss reads captions with
words masked (`alias_caption`; the paper does not speak of it, the code masks in place), and one
hidden patch of each picture is never scored (`forget_one_patch`). Here both are off unless asked
for. A token's chance to be masked follows the tag of its word in the sentence; the release tags
each piece by itself, and hides position 1 where chance spares a whole caption. The decoder listens
to padding up to the batch's longest caption, where the release always has 77 places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tipr.data.pairs import Batch
from tipr.data.tagging import Tag
from tipr.encoders.encoder import Encoded, Encoder
from tipr.methods.method import Method
from tipr.objectives.identity import IdentityLoss
from tipr.objectives.masking import (
    chosen_words,
    corrupted,
    greyscale,
    masked_pixels,
    shuffled_patches,
    visible_count,
)
from tipr.objectives.matching import hardest_triplet, sdm
from tipr.objectives.restoration import Guide, Restoration


@dataclass(frozen=True, kw_only=True)
class SENConfig:
    """The values of the released recipe; a weight of 0 leaves its term out altogether."""

    temperature: float = 0.02
    identity_weight: float = 1.0
    triplet_weight: float = 10.0
    margin: float = 0.05  # of cosines
    restoration_weight: float = 10.0
    hidden_patches: float = 0.7
    grey: bool = True  # the encoder sees what is left of the picture without its colours
    depth: int = 4  # blocks of the decoder
    guidance: Guide = "text"  # none: a masked autoencoder beside the matching
    residual: bool = False  # the decoder keeps what it saw beside what it heard
    mask_padding: bool = False  # the decoder does not listen to padding
    forget_one_patch: bool = False  # quirk: 135 of the 136 hidden patches are scored
    alias_caption: bool = False  # quirk: all losses read masked captions
    alias_rates: tuple[float, float] = (0.30, 0.05)  # of nouns and adjectives, of other words

    def __post_init__(self) -> None:
        if self.guidance not in get_args(Guide):
            raise ValueError(f"method.guidance is one of {', '.join(get_args(Guide))}")
        if not 0 < self.hidden_patches < 1:
            raise ValueError(f"method.hidden_patches is a share between 0 and 1, not "
                             f"{self.hidden_patches}")  # fmt: skip
        if self.guidance == "none" and (self.residual or self.mask_padding):
            raise ValueError("without guidance there is no sentence to add to or to mask; set "
                             "method.residual and method.mask_padding to false")  # fmt: skip

    def build(self, encoder: Encoder, num_persons: int) -> SEN:
        return SEN(self, encoder, num_persons)


class SEN(Method):
    def __init__(self, config: SENConfig, encoder: Encoder, num_persons: int) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        if config.identity_weight:
            self.identity = IdentityLoss(encoder.width, num_persons)
        if config.restoration_weight:
            self.restore = _decoder(config, encoder)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        c, ids = self.config, batch.person_ids
        image = self.encoder.encode_image(batch.images)
        text = self.encoder.encode_text(self._read(batch))
        i, t = image.embedding, text.embedding
        terms = {
            "sdm": (1.0, lambda: sdm(i, t, ids, c.temperature)),
            "id": (c.identity_weight, lambda: self.identity(i, t, ids)),
            "triplet": (c.triplet_weight, lambda: hardest_triplet(i, t, ids, c.margin)),
            "tir": (c.restoration_weight, lambda: self._restoration_error(batch.images, text)),
        }
        return {name: weight * term() for name, (weight, term) in terms.items() if weight}

    def _read(self, batch: Batch) -> Int[Tensor, "B L"]:
        """The captions that all losses see."""
        if not self.config.alias_caption:
            return batch.tokens
        if batch.tags is None:
            raise ValueError("method.alias_caption masks nouns and adjectives more often, so it "
                             "needs data.batching=Pruning(tags=True); "
                             "`--set data.batching.tags=true` where it prunes")  # fmt: skip
        often, seldom = self.config.alias_rates
        named = (batch.tags == Tag.NOUN) | (batch.tags == Tag.ADJECTIVE)
        rates = torch.where(named, often, seldom)
        hidden = chosen_words(batch.words, rates, whole=False)
        return corrupted(batch.tokens, hidden, self.encoder.mask_id, self.encoder.word_ids)

    def _restoration_error(
        self, images: Float[Tensor, "B 3 H W"], text: Encoded
    ) -> Float[Tensor, ""]:
        c, encoder = self.config, self.encoder
        order = shuffled_patches(len(images), encoder.num_patches, images.device)
        visible = visible_count(encoder.num_patches, c.hidden_patches)
        keep = order[:, :visible]
        seen = encoder.encode_image(greyscale(images) if c.grey else images, keep)
        padding = text.padding if c.mask_padding else None
        prediction = self.restore(seen.embedding, seen.tokens, keep, text.tokens, padding)
        overlooked = order[:, visible] if c.forget_one_patch else None
        return masked_pixels(prediction, images, keep, encoder.patch, overlooked)


def _decoder(config: SENConfig, encoder: Encoder) -> Restoration:
    height, width = encoder.image_size
    if encoder.num_patches * encoder.patch**2 != height * width:
        raise ValueError(f"{encoder.num_patches} patches of {encoder.patch} pixels do not tile a "
                         f"picture of {height} x {width}, so SEN cannot restore it; choose an "
                         "encoder whose patches neither overlap nor leave gaps")  # fmt: skip
    return Restoration(
        encoder.width, encoder.grid, encoder.patch, config.depth, config.guidance, config.residual
    )
