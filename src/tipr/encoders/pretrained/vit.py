"""A picture transformer's weights (ViT, Dosovitskiy et al., ICLR 2021) under the shared encoder's
names.

Read are timm's names, as in jx_vit_base_p16_224, and those of transformers: the ones it saves and
the ones its modules have had in memory since version 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from tipr.encoders.pretrained.faults import WeightsError
from tipr.encoders.pretrained.loaded import check_numbers, check_ranks, stacked

Rules = Iterable[tuple[str, str]]  # a pattern of their whole name, and our name

_KIND = r"(weight|bias)"
NUMBER = r"(\d{1,3})"  # of a block; beyond is nobody's
_TIMM = rf"blocks\.{NUMBER}\."
_SAVED = rf"(?:vit\.)?encoder\.layer\.{NUMBER}\."
_MODULES = rf"(?:vit\.)?layers\.{NUMBER}\."
_BLOCK = r"blocks.\1."

ATTENTION: tuple[tuple[str, str], ...] = (
    (_TIMM + r"norm1\." + _KIND, _BLOCK + r"norm_attention.\2"),
    (_TIMM + r"norm2\." + _KIND, _BLOCK + r"norm_feedforward.\2"),
    (_TIMM + r"attn\.qkv\." + _KIND, _BLOCK + r"attention.qkv.\2"),
    (_TIMM + r"attn\.proj\." + _KIND, _BLOCK + r"attention.out.\2"),
)
PICTURE: tuple[tuple[str, str], ...] = (
    ("cls_token", "picture.class_token"),
    ("pos_embed", "picture.place"),
    (r"patch_embed\.proj\." + _KIND, r"picture.patches.\1"),
    (r"norm\." + _KIND, r"norm.\1"),
)
_FEEDFORWARD = (
    (_TIMM + r"mlp\.fc1\." + _KIND, _BLOCK + r"feedforward.image.0.\2"),
    (_TIMM + r"mlp\.fc2\." + _KIND, _BLOCK + r"feedforward.image.2.\2"),
)
_TRANSFORMERS = (
    (r"(?:vit\.)?embeddings\.cls_token", "picture.class_token"),
    (r"(?:vit\.)?embeddings\.position_embeddings", "picture.place"),
    (r"(?:vit\.)?embeddings\.patch_embeddings\.projection\." + _KIND, r"picture.patches.\1"),
    (r"(?:vit\.)?layernorm\." + _KIND, r"norm.\1"),
    *(
        (layer + theirs + r"\." + _KIND, _BLOCK + ours + r".\2")
        for layer, theirs, ours in (
            (_SAVED, r"attention\.attention\.query", "attention.query"),
            (_SAVED, r"attention\.attention\.key", "attention.key"),
            (_SAVED, r"attention\.attention\.value", "attention.value"),
            (_SAVED, r"attention\.output\.dense", "attention.out"),
            (_SAVED, "layernorm_before", "norm_attention"),
            (_SAVED, "layernorm_after", "norm_feedforward"),
            (_SAVED, r"intermediate\.dense", "feedforward.image.0"),
            (_SAVED, r"output\.dense", "feedforward.image.2"),
            (_MODULES, r"attention\.q_proj", "attention.query"),
            (_MODULES, r"attention\.k_proj", "attention.key"),
            (_MODULES, r"attention\.v_proj", "attention.value"),
            (_MODULES, r"attention\.o_proj", "attention.out"),
            (_MODULES, "layernorm_before", "norm_attention"),
            (_MODULES, "layernorm_after", "norm_feedforward"),
            (_MODULES, r"mlp\.fc1", "feedforward.image.0"),
            (_MODULES, r"mlp\.fc2", "feedforward.image.2"),
        )
    ),
)
_RANKS = {
    "picture.class_token": 3, "picture.place": 3, "picture.kind": 3, "picture.patches.weight": 4,
    "sentence.word": 2, "sentence.place": 2, "sentence.segment": 2,
}  # fmt: skip
_HEADS = r"(head|head_dist|pre_logits|pooler|vit\.pooler|classifier)\..*"  # of ImageNet's classes


@dataclass(frozen=True, kw_only=True)
class Part:
    """What somebody's weights give to an encoder: tensors by our names, and what they leave."""

    state: dict[str, Tensor]
    origin: dict[str, str] = field(default_factory=dict)  # our names to the names in the file
    scaffolding: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def matched(self) -> int:
        return len(self.origin)


def is_vit(names: Iterable[str]) -> bool:
    firsts = {"patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight"}
    return any(name.removeprefix("vit.") in firsts for name in names)


def vit_part(tensors: dict[str, Tensor]) -> Part:
    """Everything but `kind`, which no ViT has, and the sentences' own weights."""
    rules = (*PICTURE, *ATTENTION, *_FEEDFORWARD, *_TRANSFORMERS)
    part = translated(tensors, rules, scaffolding=_HEADS)
    return Part(
        state=_fused(part.state, part.origin),
        origin=part.origin,
        scaffolding=part.scaffolding,
        unknown=part.unknown,
    )


def translated(tensors: dict[str, Tensor], rules: Rules, *, scaffolding: str) -> Part:
    """The tensors that a rule names; of the others, those that the pattern knows, and the rest.

    Raises WeightsError where one that is named holds no weights.
    """
    compiled = [(re.compile(theirs), ours) for theirs, ours in rules]
    names = {theirs: _renamed(theirs, compiled) for theirs in tensors}
    left = [theirs for theirs, ours in names.items() if ours is None]
    known = [name for name in left if re.fullmatch(scaffolding, name)]
    origin = {ours: theirs for theirs, ours in names.items() if ours is not None}
    state = {ours: tensors[theirs] for ours, theirs in origin.items()}
    check_numbers({theirs: tensors[theirs] for theirs in origin.values()})
    check_ranks(state, _RANKS, origin)
    return Part(
        state=state,
        origin=origin,
        scaffolding=tuple(known),
        unknown=tuple(name for name in left if name not in known),
    )


def _renamed(name: str, rules: Iterable[tuple[re.Pattern[str], str]]) -> str | None:
    matches = ((pattern.fullmatch(name), ours) for pattern, ours in rules)
    return next((match.expand(ours) for match, ours in matches if match), None)


def _fused(state: dict[str, Tensor], origin: dict[str, str]) -> dict[str, Tensor]:
    """Queries, keys and values in one tensor, in this order, as timm and ours have them."""
    thirds = re.compile(r"(.*\.attention\.)(?:query|key|value)(\..*)")
    fused = {name: tensor for name, tensor in state.items() if not thirds.fullmatch(name)}
    for name in state:
        found = thirds.fullmatch(name)
        if found is None:
            continue
        names = [f"{found[1]}{third}{found[2]}" for third in ("query", "key", "value")]
        if not all(third in state for third in names):
            raise WeightsError(f"{origin[name]} lacks a query, a key or a value beside it; the "
                               "file is not complete, download or copy it again")  # fmt: skip
        thirds_of = [state[third] for third in names]
        fused[f"{found[1]}qkv{found[2]}"] = stacked(thirds_of, origin[name])
    return fused
