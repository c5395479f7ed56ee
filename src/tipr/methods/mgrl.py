"""MGRL: mutual-guidance representation learning (Lv et al., ICASSP 2024).

Described mechanism, reconstructed: neither code nor the full text is public. Losses, masks, depths
and how "difficult" is decided are our reading, on the host that IRRA made usual.

1. Dual encoder, matched by identity                 -> `encoders/clip.py`, `sdm`, `IdentityLoss`
2. Iterative text-guided feature extraction (ITFE)   -> `objectives/extraction.py`
3. Vision-assisted specific mask complement (VSMC)   -> `_hidden`, `hard_words`, `_weight`
   a. which words the text alone cannot complete     -> `text_only`, `objectives/difficulty.py`
   b. completing those with what ITFE extracted      -> `with_vision`
4. Ours: extraction teaches the embeddings           -> `mutual_guidance`

Inference searches with the dual encoder's embeddings; `reranking` can order the first hits anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tipr.data.difficulty import Table
from tipr.data.pairs import Batch
from tipr.data.tagging import Tag
from tipr.data.text import Tokenizer
from tipr.encoders.encoder import Encoded, Encoder
from tipr.methods.method import Method
from tipr.objectives import difficulty
from tipr.objectives.completion import Prediction
from tipr.objectives.extraction import (
    ExtractionConfig,
    Output,
    TextGuidedExtraction,
    mutual_guidance,
)
from tipr.objectives.identity import IdentityLoss
from tipr.objectives.masking import chosen_words, corrupted, hidden_losses, masked_words
from tipr.objectives.matching import cosine, sdm, sdm_of

Selection = Literal["hard", "soft", "placement", "table", "gain", "linguistic", "random"]
Guidance = Literal["masked", "clean"]
DESCRIBING = (int(Tag.NOUN), int(Tag.ADJECTIVE))


@dataclass(frozen=True, kw_only=True)
class MGRLConfig:
    """Every default is a reconstruction; the weights of the terms are not published either."""

    iterations: int = 3
    heads: int = 8
    share_iterations: bool = True
    output: Output = "found"
    patches_only: bool = False  # the extraction does not see the image's global token
    mask_rate: float = 0.15
    whole_words: bool = True
    selection: Selection = "hard"
    threshold: float = 0.5  # of difficulty; of nats for "gain"
    gamma: float = 2.0  # of "soft"
    warmup_epochs: int = 2  # until then every hidden word counts
    gain_from: int = 10  # the same for "gain", which needs a trained completion
    guidance: Guidance = "masked"  # "clean" shows ITFE the hidden word; for comparison
    guided_weight: float = 1.0
    complement_weight: float = 1.0
    text_weight: float = 1.0
    identity_weight: float = 1.0
    mutual_weight: float = 0.0  # ours
    temperature: float = 0.02
    alias_caption: bool = False  # IRRA's quirk: matching sees the masked caption

    def __post_init__(self) -> None:
        for name, choices in (("selection", Selection), ("guidance", Guidance), ("output", Output)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"method.{name} is one of {', '.join(get_args(choices))}")
        if self.alias_caption and self.guidance == "clean":
            raise ValueError("with method.alias_caption no clean caption is read to guide with; "
                             "set method.guidance to masked")  # fmt: skip

    def build(self, encoder: Encoder, num_persons: int) -> MGRL:
        return MGRL(self, encoder, num_persons)


class MGRL(Method):
    def __init__(self, config: MGRLConfig, encoder: Encoder, num_persons: int) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        width, vocabulary = encoder.width, encoder.vocabulary
        self.identity = IdentityLoss(width, num_persons)
        self.extraction = ExtractionConfig(
            width=width, heads=config.heads, iterations=config.iterations,
            shared=config.share_iterations, output=config.output,
        ).build()  # fmt: skip
        self.text_only = Prediction(width, vocabulary, layers=2, heads=config.heads)
        self.with_vision = Prediction(width, vocabulary, layers=1, heads=config.heads)

    @property
    def reranking(self) -> TextGuidedExtraction | None:
        """What is saved beside the encoder to score texts with images pair by pair.

        Nothing with `patches_only`, as re-ranking shows the global token too, nor without the
        guided term, which alone teaches the extraction to match.
        """
        fit = self.config.guided_weight != 0 and not self.config.patches_only
        return self.extraction if fit else None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        c, ids = self.config, batch.person_ids
        hidden = self._hidden(batch)
        masked = corrupted(batch.tokens, hidden, self.encoder.mask_id, self.encoder.word_ids)
        image, read = self.encoder.encode_image(batch.images), self.encoder.encode_text(masked)
        text = read if c.alias_caption else self.encoder.encode_text(batch.tokens)
        i, t, seen = image.embedding, text.embedding, self.seen(image)
        scores = self.extraction.scores(t, seen)

        guessed = self.text_only(read.tokens.detach(), read.padding, hidden)
        losses = hidden_losses(guessed.detach(), batch.tokens, hidden)
        hard = self.hard_words(batch, hidden, losses)
        if c.selection == "placement":
            read = self.encoder.encode_text(difficulty.placement(batch.tokens, masked, hard))
        found = self.extraction((text if c.guidance == "clean" else read).tokens, seen)
        completed = self.with_vision(read.tokens + found, read.padding, hidden)
        weight = self._weight(batch, hidden, hard, losses, completed.detach())
        return {
            "sdm": sdm(i, t, ids, c.temperature),
            "id": c.identity_weight * self.identity(i, t, ids),
            "guided": c.guided_weight * sdm_of(scores, ids, c.temperature),
            "vsmc": c.complement_weight * masked_words(completed, batch.tokens, hidden, weight),
            "text": c.text_weight * masked_words(guessed, batch.tokens, hidden),
        } | self._ours(scores, cosine(t, i))

    def _ours(
        self, scores: Float[Tensor, "B B"], similarity: Float[Tensor, "B B"]
    ) -> dict[str, Tensor]:
        c = self.config
        if c.mutual_weight == 0:
            return {}
        return {"mutual": c.mutual_weight * mutual_guidance(scores, similarity, c.temperature)}

    def seen(self, image: Encoded) -> Float[Tensor, "B N D"]:
        """What ITFE looks at: all tokens, the global one first."""
        if self.config.patches_only:
            return image.tokens
        return torch.cat([image.embedding[:, None], image.tokens], dim=1)

    def _hidden(self, batch: Batch) -> Bool[Tensor, "B L"]:
        """The words that are hidden from the text encoder, of which some will be asked for."""
        c = self.config
        if c.selection != "table":
            return chosen_words(batch.words, c.mask_rate, whole=c.whole_words)
        if batch.difficulty is None:
            raise ValueError("selection 'table' needs to know how hard words are; set "
                             "data.batching to tipr.data.difficulty.Difficulty(...)")  # fmt: skip
        rates = difficulty.hiding_rates(batch.difficulty, batch.words, c.mask_rate)
        return chosen_words(batch.words, rates, whole=c.whole_words)

    def hard_words(
        self, batch: Batch, hidden: Bool[Tensor, "B L"], losses: Float[Tensor, "B L"]
    ) -> Bool[Tensor, "B L"]:
        """The specific set: what the text alone does not complete; all until it has learned to."""
        threshold = self.config.threshold if self.epoch >= self.config.warmup_epochs else 0.0
        known = difficulty.word_difficulty((-losses).exp(), batch.words, hidden)
        return difficulty.hardest(hidden, known, threshold)

    def _weight(
        self,
        batch: Batch,
        hidden: Bool[Tensor, "B L"],
        hard: Bool[Tensor, "B L"],
        losses: Float[Tensor, "B L"],
        completed: Float[Tensor, "M V"],
    ) -> Float[Tensor, "B L"]:
        """How much each hidden word counts, by the chosen selection."""
        c, d = self.config, difficulty
        match c.selection:
            case "soft":
                known = d.word_difficulty((-losses).exp(), batch.words, hidden)
                gamma = c.gamma if self.epoch >= c.warmup_epochs else 0.0
                return d.softly(hidden, known, gamma)
            case "gain":
                helped = hidden_losses(completed, batch.tokens, hidden)
                gain = d.information_gain(losses, helped, batch.words, hidden)
                threshold = c.threshold if self.epoch >= c.gain_from else -torch.inf
                asked = d.hardest(hidden, gain, threshold)
            case "linguistic":
                asked = d.linguistic(hidden, _tags(batch), DESCRIBING)
            case "random":
                asked = d.at_random(hidden, batch.words, hard)
            case "table":
                asked = hidden
            case _:  # hard, placement
                asked = hard
        return asked.to(losses)


def _tags(batch: Batch) -> Int[Tensor, "B L"]:
    if batch.tags is None:
        raise ValueError("selection 'linguistic' needs to know nouns from verbs; set data.batching "
                         "to tipr.data.tagging.Tagged()")  # fmt: skip
    return batch.tags


# ---------------------------------------------------------------- the table of selection "table"


@torch.no_grad()
def caption_difficulty(method: MGRL, tokenizer: Tokenizer, captions: Sequence[str]) -> Table:
    """How badly the text alone guesses each word of each caption when only that is hidden.

    A word that stands in a caption several times gets the mean. `data.difficulty.save_difficulty`
    writes the table for `Difficulty` to read.
    """
    training = method.training
    method.eval()
    try:
        return {caption: _left_out(method, tokenizer, caption) for caption in captions}
    finally:
        method.train(training)


def _left_out(method: MGRL, tokenizer: Tokenizer, caption: str) -> dict[str, float]:
    device = next(method.parameters()).device
    tokens, numbers = (ids.to(device) for ids in tokenizer.numbered([caption]))
    each = numbers[numbers > 0].unique()
    hidden = numbers == each[:, None]  # one row for each word left out
    tokens, numbers = tokens.expand(len(each), -1), numbers.expand(len(each), -1)
    read = method.encoder.encode_text(tokens.masked_fill(hidden, method.encoder.mask_id))
    losses = hidden_losses(method.text_only(read.tokens, read.padding, hidden), tokens, hidden)
    hard = difficulty.word_difficulty((-losses).exp(), numbers, hidden).amax(dim=1)
    spelled = tokenizer.words(caption)
    found: dict[str, list[float]] = {}
    for number, value in zip(each.tolist(), hard.clamp(0, 1).tolist(), strict=True):
        found.setdefault(spelled[number - 1], []).append(value)
    return {word: sum(values) / len(values) for word, values in found.items()}
