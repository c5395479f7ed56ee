"""IVT's checkpoints (Shu et al., ECCV workshops 2022) under the shared encoder's names.

As released, the encoder is `encoder_vl`: a ViT in timm's naming whose blocks have a feed-forward
for pictures (`mlp_vis`) and one for sentences (`mlp_txt`), beside BERT's `embeddings`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from tipr.encoders.pretrained.bert import WORDS
from tipr.encoders.pretrained.clip import FIELD
from tipr.encoders.pretrained.faults import WeightsError
from tipr.encoders.pretrained.hybrid import (
    KIND,
    PLACE,
    WORD,
    depth,
    fitted,
    heads,
    resize_notes,
    resized,
)
from tipr.encoders.pretrained.loaded import Loaded, expected
from tipr.encoders.pretrained.positions import Grid
from tipr.encoders.pretrained.vit import ATTENTION, NUMBER, PICTURE, translated
from tipr.encoders.shared import SharedConfig, patch_grid

STRIDES = (16, 14, 12)  # besides the patch itself, that the field's runs take
_FEEDFORWARDS = tuple(
    (rf"blocks\.{NUMBER}\.{theirs}\.fc{layer}\.(weight|bias)", rf"blocks.\1.feedforward.{ours}.\2")
    for theirs, layer, ours in (
        ("mlp_vis", 1, "image.0"),
        ("mlp_vis", 2, "image.2"),
        ("mlp_txt", 1, "text.0"),
        ("mlp_txt", 2, "text.2"),
    )
)
_RULES = tuple(
    (r"(?:encoder_vl\.)?" + theirs, ours)
    for theirs, ours in (*PICTURE, ("type_embed", KIND), *ATTENTION, *_FEEDFORWARDS, *WORDS)
)
_SCAFFOLDING = (
    r"(classifier_img|bottleneck_img|loss_cmpm|encoder_fusion|itm|mlm_head)\..*"
    r"|temp|(encoder_vl\.)?embeddings\.position_ids"
)


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How a picture was cut into patches."""

    image_size: tuple[int, int]
    stride: int
    grid: Grid


def is_ivt(names: Iterable[str]) -> bool:
    return any(name.removeprefix("encoder_vl.") == "blocks.0.mlp_vis.fc1.weight" for name in names)


def load_ivt(
    tensors: dict[str, Tensor],
    *,
    image_size: tuple[int, int] | None = None,
    stride: int | None = None,
    file: str = "IVT's checkpoint",
) -> Loaded:
    """The encoder for pictures of its own size, or resized to `image_size` and `stride`.

    Raises WeightsError where it is not whole or its own size cannot be told.
    """
    part = translated(tensors, _RULES, scaffolding=_SCAFFOLDING)
    needed = (PLACE, KIND, "picture.patches.weight", WORD, "sentence.place")
    if lost := next((name for name in needed if name not in part.state), None):
        raise WeightsError(f"{file} lacks the weights for {lost}; download or copy it again")
    patch = part.state["picture.patches.weight"].shape[-1]
    count, width = part.state[PLACE].shape[1] - 1, part.state[PLACE].shape[-1]
    own = own_geometry(count, patch, image_size, stride, file)
    config = SharedConfig(
        image_size=image_size or own.image_size,
        patch=patch,
        stride=stride or own.stride,
        width=width,
        layers=depth(part.state),
        heads=heads(width),
        vocabulary=len(part.state[WORD]),
        text_length=len(part.state["sentence.place"]),
    )
    tables = {name: resized(part.state[name], own.grid, config.grid) for name in (PLACE, KIND)}
    return Loaded(
        config=config,
        state=fitted({**part.state, **tables}, expected(config), file, part.origin),
        matched=part.matched,
        scaffolding=part.scaffolding,
        unknown=part.unknown,
        notes=(f"IVT's: {described(own, patch)}", *resize_notes(own.grid, config.grid)),
    )


def own_geometry(
    count: int,
    patch: int,
    image_size: tuple[int, int] | None,
    stride: int | None,
    file: str,
) -> Geometry:
    """What has so many patches: pictures of `image_size`, or else of the field's 384 x 128.

    Raises WeightsError where neither has.
    """
    sizes = (image_size, FIELD) if image_size else (FIELD,)
    strides = tuple(dict.fromkeys((stride or patch, patch, *STRIDES)))
    for size, step in ((size, step) for size in sizes for step in strides):
        grid = patch_grid(size, patch, step)
        if math.prod(grid) == count:
            return Geometry(image_size=size, stride=step, grid=grid)
    raise WeightsError(f"{file} has positions for {count} patches, as no picture of 384 x 128 "
                       "has; pass the height and width that it was trained with, as "
                       "--image-size 256 128")  # fmt: skip


def described(own: Geometry, patch: int) -> str:
    (height, width), (down, across) = own.image_size, own.grid
    return (f"{down * across} patches are taken for pictures of {height} x {width} cut into "
            f"{down} x {across} of {patch} pixels, {own.stride} apart")  # fmt: skip
