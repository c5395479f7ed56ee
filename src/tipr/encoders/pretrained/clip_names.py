"""What CLIP's weights are called by those who publish them, and here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tipr.encoders.pretrained.faults import WeightsError

Sources = dict[str, tuple[str, ...]]  # our name -> the entries that are stacked to it
AFFINE = ("weight", "bias")

SCAFFOLDING = re.compile(
    r"logit_scale|logit_bias|input_resolution|context_length|vocab_size|(.*\.)?position_ids"
    r"|(.*\.)?attn_mask|(.*\.)?num_batches_tracked"
)
STRANGERS = {
    r"visual\.(layer\d|attnpool)\.": "a ResNet CLIP",
    r"visual\.trunk\.": "a CLIP with a tower of timm's (SigLIP, EVA or ConvNeXt)",
    r"vision_model\.head\.": "SigLIP",
    r"text\.transformer\.(encoder|embeddings)\.": "a CLIP with a foreign text tower",
    r".*\.(ls_1|ls_2|head_scale|attn_pool|ln_attn)\b": "a CLIP with layers that the original lacks",
    r"text\.cls_emb$": "CoCa",
}


@dataclass(frozen=True, kw_only=True)
class Naming:
    """The entries of one publisher; `image` and `text` go before those of each tower."""

    publisher: str
    singles: dict[str, str]  # our name -> theirs
    affine: dict[str, str]  # the same for pairs of weight and bias
    image_blocks: str
    text_blocks: str
    parts: dict[str, tuple[str, ...]]  # of a block, weight and bias each
    bare_input: bool  # the joined input projection is `in_proj_weight`, not `in_proj.weight`
    transposed: tuple[str, ...] = field(default=())  # of our names

    def sources(self, entries: Iterable[str]) -> Sources:
        """Every entry that an encoder of as many blocks needs."""
        entries = list(entries)
        table: Sources = {ours: (theirs,) for ours, theirs in self.singles.items()}
        for ours, theirs in self.affine.items():
            table |= {f"{ours}.{end}": (f"{theirs}.{end}",) for end in AFFINE}
        towers = {"image_blocks": self.image_blocks, "text_blocks": self.text_blocks}
        for ours, theirs in towers.items():
            for index in range(_blocks(entries, theirs)):
                table |= self._block(f"{ours}.{index}.", f"{theirs}{index}.")
        return table

    def _block(self, ours: str, theirs: str) -> Sources:
        joint = "_" if self.bare_input else "."
        return {
            f"{ours}{part}.{end}": tuple(
                f"{theirs}{name}{joint if name.endswith('in_proj') else '.'}{end}" for name in names
            )
            for part, names in self.parts.items()
            for end in AFFINE
        }


def _blocks(entries: list[str], prefix: str) -> int:
    """How many there are; a gap in their numbers shows as an entry that is missing."""
    numbers = (re.match(rf"{re.escape(prefix)}(\d{{1,3}})\.", name) for name in entries)
    return len({int(found[1]) for found in numbers if found})


def _original(text: str) -> Naming:
    """OpenAI's names; `text` goes before those of the sentence tower."""
    return Naming(
        publisher="open_clip" if text else "OpenAI",
        singles={
            "patches.weight": "visual.conv1.weight",
            "image_class": "visual.class_embedding",
            "place": "visual.positional_embedding",
            "image_out.weight": "visual.proj",
            "word.weight": f"{text}token_embedding.weight",
            "order": f"{text}positional_embedding",
            "text_out.weight": f"{text}text_projection",
        },
        affine={
            "norm_patches": "visual.ln_pre",
            "norm_image": "visual.ln_post",
            "norm_text": f"{text}ln_final",
        },
        image_blocks="visual.transformer.resblocks.",
        text_blocks=f"{text}transformer.resblocks.",
        parts={
            "norm_attention": ("ln_1",),
            "attention.qkv": ("attn.in_proj",),
            "attention.out": ("attn.out_proj",),
            "norm_feedforward": ("ln_2",),
            "feedforward.0": ("mlp.c_fc",),
            "feedforward.2": ("mlp.c_proj",),
        },
        bare_input=True,
        transposed=("image_out.weight", "text_out.weight"),
    )


OPENAI = _original("")
OPEN_CLIP = _original("text.")
HUGGING_FACE = Naming(
    publisher="Hugging Face",
    singles={
        "patches.weight": "vision_model.embeddings.patch_embedding.weight",
        "image_class": "vision_model.embeddings.class_embedding",
        "place": "vision_model.embeddings.position_embedding.weight",
        "image_out.weight": "visual_projection.weight",
        "word.weight": "text_model.embeddings.token_embedding.weight",
        "order": "text_model.embeddings.position_embedding.weight",
        "text_out.weight": "text_projection.weight",
    },
    affine={
        "norm_patches": "vision_model.pre_layrnorm",  # spelt so by the publisher
        "norm_image": "vision_model.post_layernorm",
        "norm_text": "text_model.final_layer_norm",
    },
    image_blocks="vision_model.encoder.layers.",
    text_blocks="text_model.encoder.layers.",
    parts={
        "norm_attention": ("layer_norm1",),
        "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attention.out": ("self_attn.out_proj",),
        "norm_feedforward": ("layer_norm2",),
        "feedforward.0": ("mlp.fc1",),
        "feedforward.2": ("mlp.fc2",),
    },
    bare_input=False,
)
NAMINGS = (OPENAI, OPEN_CLIP, HUGGING_FACE)


def naming_of(entries: Iterable[str]) -> Naming:
    """Raises WeightsError that says what the entries are instead."""
    entries = list(entries)
    for pattern, kind in STRANGERS.items():
        odd = next((name for name in entries if re.match(pattern, name)), None)
        if odd:
            raise WeightsError(f"this is {kind} (it has {odd}); only CLIPs whose picture tower is "
                               "the original vision transformer can be read")  # fmt: skip
    for naming in NAMINGS:
        if _towers(naming) <= set(entries):
            return naming
    for naming in NAMINGS:
        if _towers(naming) & set(entries):
            raise WeightsError("this is one tower of a CLIP; the other one is needed as well: "
                               f"{' and '.join(sorted(_towers(naming)))}")  # fmt: skip
    some = ", ".join(sorted(entries)[:3])
    raise WeightsError(f"this is no CLIP under OpenAI's, open_clip's or Hugging Face's names; "
                       f"its entries are {some}, ...")  # fmt: skip


def _towers(naming: Naming) -> set[str]:
    return {naming.singles["patches.weight"], naming.singles["word.weight"]}
