"""LCR2S: learning comprehensive representations with richer self (Yan et al., ACM MM 2023).

Described mechanism, reconstructed: no code was released and the layers, weights and schedule are
not published in a form that could be had; every value below is inferred.

1. A sample's support set: other pictures (captions) of its person, drawn at random
                                       -> `RicherConfig.supports`, `objectives/support.py`
2. Multi-head attentional fusion (MHAF) enriches the sample with it  -> `objectives/fusion.py`
3. The richer model aligns enriched pictures with enriched captions  -> `Richer`
4. A student that sees one picture or one sentence is trained from scratch towards the frozen
   richer model's features and its image-text relations  -> `LCR2S`, `methods/richer_run.py`

Two runs: first `Richer`, then `LCR2S`, whose `richer` names the folder of the first. Inference
searches with the student's encoder; support sets and the richer model never leave training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tipr.data.pairs import Batch
from tipr.encoders.encoder import Encoded, Encoder
from tipr.methods import richer_run
from tipr.methods.method import Method
from tipr.objectives import support
from tipr.objectives.distillation import Space, feature_distance, relation_distance
from tipr.objectives.fusion import Fusion, FusionKind
from tipr.objectives.identity import IdentityLoss
from tipr.objectives.matching import cmpm, sdm

Alignment = Literal["sdm", "cmpm"]
Source = Literal["inbatch", "forward", "bank"]
Target = Literal["enriched", "prototype", "single"]
SupportOf = Literal["own", "wrong"]
Both = tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]  # image, text


@dataclass(frozen=True, kw_only=True)
class RicherConfig:
    """The richer model. `supports` says where its support sets come from.

    inbatch   rows of the same person; for data.sampling=PersonBalanced, costs nothing
    forward   pictures and captions that come with the batch; for data.batching=Supports
    bank      features remembered from earlier batches, without gradient
    """

    supports: Source = "inbatch"
    slots: int = 3  # supports a sample is fused with, at most
    fusion: FusionKind = "xattn"
    heads: int = 8
    feedforward: bool = False
    dropout: float = 0.1  # of attention weights
    anchor: bool = True  # the sample is among what is fused
    alignment: Alignment = "sdm"
    temperature: float = 0.02  # of sdm
    identity_weight: float = 1.0
    unfused_weight: float = 0.0  # alignment of the features before fusion
    bank_slots: int = 8  # items remembered per person
    bank_momentum: float = 0.9

    def __post_init__(self) -> None:
        _check(self, supports=Source, fusion=FusionKind, alignment=Alignment)

    def build(self, encoder: Encoder, num_persons: int) -> Richer:
        return Richer(self, encoder, num_persons)


class Richer(Method):
    def __init__(self, config: RicherConfig, encoder: Encoder, num_persons: int) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.uneven = config.supports == "forward"
        self.fuse_image, self.fuse_text = self._fusion(), self._fusion()
        self.identity = IdentityLoss(encoder.width, num_persons)
        if config.supports == "bank":
            size = num_persons, config.bank_slots, encoder.width
            self.images = support.SupportBank(*size, config.bank_momentum)
            self.captions = support.SupportBank(*size, config.bank_momentum)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        c, ids = self.config, batch.person_ids
        image, text = self.single(batch)
        rich_image, rich_text = self.fused((image, text), self.pools(batch, (image, text)))
        if c.supports == "bank" and self.training:
            self.images.write(ids, batch.image_ids, image.detach())
            self.captions.write(ids, batch.caption_ids, text.detach())
        return {
            c.alignment: aligned(rich_image, rich_text, ids, c.alignment, c.temperature),
            "id": c.identity_weight * self.identity(rich_image, rich_text, ids),
            "unfused": c.unfused_weight * aligned(image, text, ids, c.alignment, c.temperature),
        }

    def enrich(self, batch: Batch) -> Both:
        """Each picture and each caption, enriched with supports of its own kind."""
        single = self.single(batch)
        return self.fused(single, self.pools(batch, single))

    def single(self, batch: Batch) -> Both:
        """Before fusion: what the encoder makes of one picture and one caption."""
        image = self.encoder.encode_image(batch.images).embedding
        return image, self.encoder.encode_text(batch.tokens).embedding

    def pools(self, batch: Batch, single: Both) -> tuple[support.Pool, support.Pool]:
        """All that may support each row, as pictures and as captions."""
        (image, text), ids = single, batch.person_ids
        if self.config.supports == "inbatch":
            images = support.inbatch_pool(image, ids, batch.image_ids)
            return images, support.inbatch_pool(text, ids, batch.caption_ids)
        if self.config.supports == "bank":
            images = self.images.read(ids, batch.image_ids)
            return images, self.captions.read(ids, batch.caption_ids)
        if batch.support is None:
            raise ValueError("method.supports=forward needs batches with supports; make "
                             "data.batching Supports() in the experiment")  # fmt: skip
        s = batch.support
        images = encoded_where(self.encoder.encode_image, s.images, s.has_image, image)
        captions = encoded_where(self.encoder.encode_text, s.tokens, s.has_text, text)
        return (images, s.has_image), (captions, s.has_text)

    def fused(self, single: Both, pools: tuple[support.Pool, support.Pool]) -> Both:
        """One draw of supports from the pools, fused with the samples."""
        (image, text), (images, captions), slots = single, pools, self.config.slots
        enriched = self.fuse_image(image, *support.drawn(*images, slots))
        return enriched, self.fuse_text(text, *support.drawn(*captions, slots))

    def _fusion(self) -> Fusion:
        c = self.config
        return Fusion(self.encoder.width, c.heads, c.fusion, c.feedforward, c.dropout, c.anchor)


@dataclass(frozen=True, kw_only=True)
class LCR2SConfig:
    """The student. With `feature_weight` and `relation_weight` 0 it needs no richer model.

    `teacher` is how that run was configured, which its `experiment.json` tells and this run checks;
    `slots` may differ, and so may where supports come from, except that a bank is part of a model.

    Controls: `target` "prototype" is the mean of the richer model's plain features of a person,
    "single" its plain feature; `support_of` "wrong" takes the supports of somebody else.
    """

    richer: str = ""  # the run folder of the richer model, or its last.pt
    teacher: RicherConfig = field(default_factory=RicherConfig)
    feature_weight: float = 1.0
    relation_weight: float = 1.0
    feature_space: Space = "unit"
    draws: int = 1  # averaged; matters where there are more than method.teacher.slots supports
    blend: float = 1.0  # how much of the target is enriched; the rest is the plain feature
    target: Target = "enriched"
    support_of: SupportOf = "own"
    from_teacher: bool = False  # begin with the richer model's encoder
    alignment: Alignment = "sdm"
    temperature: float = 0.02  # of sdm
    identity_weight: float = 1.0

    def __post_init__(self) -> None:
        _check(self, feature_space=Space, target=Target, support_of=SupportOf, alignment=Alignment)
        if self.draws < 1:
            raise ValueError("method.draws is at least 1")
        if not 0 <= self.blend <= 1:
            raise ValueError(f"method.blend is a share from 0 to 1, not {self.blend}")

    @property
    def distils(self) -> bool:
        return bool(self.feature_weight or self.relation_weight or self.from_teacher)

    def build(self, encoder: Encoder, num_persons: int) -> LCR2S:
        return LCR2S(self, encoder, num_persons)


class LCR2S(Method):
    """The frozen teacher is no part of the state that a checkpoint holds; its run has it.

    The state names the teacher's weights (`learned_from`), so that no other takes its place.
    """

    teacher: Richer | None
    learned_from: Tensor

    def __init__(self, config: LCR2SConfig, encoder: Encoder, num_persons: int) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.identity = IdentityLoss(encoder.width, num_persons)
        self.teacher = frozen_teacher(config, encoder, num_persons) if config.distils else None
        if self.teacher is not None:
            self.uneven = self.teacher.uneven
            self.register_buffer("learned_from", richer_run.digest(self.teacher))
            if config.from_teacher:
                encoder.load_state_dict(self.teacher.encoder.state_dict())
        self.register_state_dict_post_hook(_leave_teacher_out)
        self.register_load_state_dict_pre_hook(_expect_same_teacher)
        self.register_load_state_dict_post_hook(_miss_no_teacher)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        c, ids = self.config, batch.person_ids
        image = self.encoder.encode_image(batch.images).embedding
        text = self.encoder.encode_text(batch.tokens).embedding
        terms = {
            c.alignment: aligned(image, text, ids, c.alignment, c.temperature),
            "id": c.identity_weight * self.identity(image, text, ids),
        }
        if self.teacher is None:
            return terms
        rich, space = self.targets(batch, self.teacher), c.feature_space
        features = feature_distance(image, rich[0], space) + feature_distance(text, rich[1], space)
        relations = relation_distance((image, text), rich)
        return terms | {
            "features": c.feature_weight * features,
            "relations": c.relation_weight * relations,
        }

    @torch.no_grad()
    def targets(self, batch: Batch, teacher: Richer) -> Both:
        """What the student is to become: the teacher's features of each row."""
        c, ids = self.config, batch.person_ids
        image, text = single = teacher.single(batch)
        if c.target == "single":
            return single
        if c.target == "prototype":
            return support.person_means(image, ids), support.person_means(text, ids)
        images, captions = teacher.pools(batch, single)
        if c.support_of == "wrong":
            images, captions = support.strangers(*images, ids), support.strangers(*captions, ids)
        draws = [teacher.fused(single, (images, captions)) for _ in range(c.draws)]
        rich_image, rich_text = (torch.stack(d).mean(dim=0) for d in zip(*draws, strict=True))
        plain = 1 - c.blend
        return plain * image + c.blend * rich_image, plain * text + c.blend * rich_text

    def train(self, mode: bool = True) -> LCR2S:
        """The teacher stays as it is used: without dropout, its statistics untouched."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self


def aligned(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    person_ids: Int[Tensor, " B"],
    alignment: Alignment,
    temperature: float,
) -> Float[Tensor, ""]:
    """Every picture with all captions of its person; labels sum to 1, as P x K batches need."""
    if alignment == "cmpm":
        return cmpm(image, text, person_ids, label_norm="l1")
    return sdm(image, text, person_ids, temperature)


def encoded_where(
    encode: Callable[[Tensor], Encoded],
    supports: Tensor,
    present: Bool[Tensor, "B S"],
    like: Float[Tensor, "B D"],
) -> Float[Tensor, "B S D"]:
    """Embeddings of the supports that are there, zeros for those that are not."""
    rows = like.new_zeros(*present.shape, like.shape[1])
    if present.any():
        rows[present] = encode(supports[present]).embedding.to(rows.dtype)
    return rows


def frozen_teacher(config: LCR2SConfig, encoder: Encoder, num_persons: int) -> Richer:
    """The richer model of the run `config.richer`; raises ValueError when it cannot be had."""
    richer_run.check_alike(config.richer, config.teacher, encoder)
    teacher = config.teacher.build(encoder.config.build(), num_persons)
    richer_run.load_into(teacher, config.richer)
    return teacher.requires_grad_(False).eval()


def _leave_teacher_out(_: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    for name in [n for n in state if n.startswith(f"{prefix}teacher.")]:
        del state[name]


def _expect_same_teacher(student: LCR2S, state: Mapping[str, Tensor], *rest: Any) -> None:
    saved = state.get("learned_from")
    if student.teacher is None or saved is None or saved.cpu().equal(student.learned_from.cpu()):
        return
    raise ValueError(f"the richer model in {student.config.richer} is not the one that this run "
                     "began with; put that one back")  # fmt: skip


def _miss_no_teacher(_: nn.Module, keys: Any) -> None:
    keys.missing_keys[:] = [n for n in keys.missing_keys if not n.startswith("teacher.")]


def _check(config: Any, **choices: Any) -> None:
    """Each named field holds one of its choices."""
    for name, kind in choices.items():
        if getattr(config, name) not in get_args(kind):
            raise ValueError(f"method.{name} is one of {', '.join(get_args(kind))}")
