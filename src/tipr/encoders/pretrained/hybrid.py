"""IVT's start (Shu et al., ECCV workshops 2022): one network out of a ViT and a BERT, as released.

The ViT gives patches, class token, positions, attention, norms and the pictures' feed-forwards;
BERT gives the embedding of words and the sentences' feed-forwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tipr.encoders.pretrained.bert import bert_part
from tipr.encoders.pretrained.faults import WeightsError, named
from tipr.encoders.pretrained.folders import described, weight_file, whole
from tipr.encoders.pretrained.loaded import Loaded, as_fp32, expected
from tipr.encoders.pretrained.positions import Grid, resized_positions
from tipr.encoders.pretrained.tensors import read_checkpoint
from tipr.encoders.pretrained.vit import Part, vit_part
from tipr.encoders.shared import SharedConfig, patch_grid

PLACE, KIND, WORD = "picture.place", "picture.kind", "sentence.word"
OF_SENTENCES = re.compile(r"sentence\..*|blocks\.\d+\.feedforward\.text\..*")
KIND_NOTE = "no ViT has IVT's type embedding of patches; it is random, the same at every import"
SIZES = "the widths and the numbers of blocks of both files must be the encoder's"


@dataclass(frozen=True, kw_only=True)
class Half:
    """What one of the two files gives."""

    file: Path
    part: Part
    facts: Mapping[str, Any]  # of transformers' config.json beside it


def load_hybrid(vit: Path, bert: Path, config: SharedConfig) -> Loaded:
    """Files or folders. Raises WeightsError where they are not a ViT and a BERT of these sizes."""
    vit, bert = weight_file(vit), weight_file(bert)
    picture = vit_half(vit, read_checkpoint(vit).tensors)
    return hybrid(picture, bert_half(bert, read_checkpoint(bert).tensors), config)


def vit_half(file: Path, tensors: dict[str, Tensor]) -> Half:
    with named(file):
        part = vit_part(tensors)
    if PLACE not in part.state:
        raise WeightsError(f"{file} holds no picture transformer (no table of positions); give a "
                           "ViT in timm's or transformers' naming")  # fmt: skip
    facts = described(file.parent, "config.json") or {}
    return Half(file=file, part=part, facts=facts if facts.get("model_type") == "vit" else {})


def bert_half(file: Path, tensors: dict[str, Tensor]) -> Half:
    with named(file):
        part = bert_part(tensors)
    if WORD not in part.state:
        raise WeightsError(f"{file} holds no BERT (no word embeddings); give one in transformers' "
                           "naming, such as bert-base-uncased")  # fmt: skip
    return Half(file=file, part=part, facts={})


def hybrid(vit: Half, bert: Half, config: SharedConfig) -> Loaded:
    """Raises WeightsError where the halves are not of the config's sizes."""
    if config.stem:
        raise ValueError("a convolutional stem has no patches to start from a ViT's; leave the "
                         "stem empty")  # fmt: skip
    own, shapes = _own_grid(vit, config), expected(config)
    picture = {**vit.part.state, KIND: _drawn(shapes[KIND])}
    picture[PLACE] = resized(picture[PLACE], own, config.grid)
    sentence = dict(bert.part.state)
    if "sentence.place" in sentence:
        sentence["sentence.place"] = sentence["sentence.place"][: config.text_length]
    words = {name for name in shapes if OF_SENTENCES.fullmatch(name)}
    ours = {n: shape for n, shape in shapes.items() if n not in words}
    theirs = {n: shape for n, shape in shapes.items() if n in words}
    state = fitted(picture, ours, str(vit.file), vit.part.origin)
    return Loaded(
        config=config,
        state=state | fitted(sentence, theirs, str(bert.file), bert.part.origin),
        matched=vit.part.matched + bert.part.matched,
        scaffolding=(*vit.part.scaffolding, *bert.part.scaffolding),
        unknown=(*vit.part.unknown, *bert.part.unknown),
        notes=(*resize_notes(own, config.grid), KIND_NOTE),
    )


def fitting_config(
    vit: Half, bert: Half, image_size: tuple[int, int], stride: int | None
) -> SharedConfig:
    """The shared encoder of the ViT's width and depth and of BERT's vocabulary."""
    patches, places = vit.part.state.get("picture.patches.weight"), bert.part.state
    width = vit.part.state[PLACE].shape[-1]
    patch = SharedConfig.patch if patches is None else patches.shape[-1]
    return SharedConfig(
        image_size=image_size,
        patch=patch,
        stride=stride or patch,
        width=width,
        layers=depth(vit.part.state),
        heads=_stated_heads(vit, width),
        vocabulary=len(places[WORD]),
        text_length=len(places.get("sentence.place", range(SharedConfig.text_length))),
    )


def depth(state: Mapping[str, Tensor]) -> int:
    """How many blocks there are."""
    return len({int(n.split(".")[1]) for n in state if n.startswith("blocks.")})


def heads(width: int) -> int:
    """As all of timm's plain ViTs divide their width; no tensor tells."""
    return max(1, width // 64)


def _stated_heads(vit: Half, width: int) -> int:
    where = f"{vit.file.parent / 'config.json'}: num_attention_heads"
    stated = whole(vit.facts.get("num_attention_heads", heads(width)), where)
    if width % stated:
        raise WeightsError(f"{where} is {stated}, which does not divide the width of {width}; use "
                           "the file that was published with the weights")  # fmt: skip
    return stated


def fitted(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, torch.Size],
    file: str,
    origin: Mapping[str, str],
) -> dict[str, Tensor]:
    """The tensors in fp32: all that are needed, no other, each of the shape that is needed.

    `origin` has their names in the file. Raises WeightsError.
    """
    for name, shape in shapes.items():
        if name not in state:
            raise WeightsError(f"{file} lacks the weights for {name}; {SIZES}")
        if state[name].shape != shape:
            raise WeightsError(f"{file}: {origin.get(name, name)} is {_by(state[name].shape)}, "
                               f"where the encoder takes {_by(shape)}; {SIZES}")  # fmt: skip
    beyond = next((name for name in state if name not in shapes), None)
    if beyond is not None:
        raise WeightsError(f"{file}: {origin.get(beyond, beyond)} has no place in the encoder; "
                           f"{SIZES}")  # fmt: skip
    with named(file):
        return {name: as_fp32(state[name], origin.get(name, name)) for name in shapes}


def resized(table: Tensor, own: Grid, grid: Grid) -> Tensor:
    """A table of 1 x (1 + patches) x width for another grid; the class token's row stays."""
    return resized_positions(table[0].float(), own, grid)[None]


def resize_notes(own: Grid, grid: Grid) -> tuple[str, ...]:
    if own == grid:
        return ()
    return (f"position embeddings resized from {_by(own)} to {_by(grid)} patches (bilinear)",)


def _own_grid(vit: Half, config: SharedConfig) -> Grid:
    """What the ViT was trained with: as its config.json says or, as is usual, a square."""
    count = vit.part.state[PLACE].shape[1] - 1
    side = math.isqrt(count)
    for grid in (_stated_grid(vit, config.patch), (side, side), config.grid):
        if math.prod(grid) == count:
            return grid
    raise WeightsError(f"{vit.file} has positions for {count} patches, which are no square; put "
                       "the config.json with its image_size beside it")  # fmt: skip


def _stated_grid(vit: Half, patch: int) -> Grid:
    size = vit.facts.get("image_size")
    if size is None:
        return 0, 0
    where = f"{vit.file.parent / 'config.json'}: image_size"
    sides = size if isinstance(size, list) and len(size) == 2 else [size, size]
    height, width = (whole(side, where) for side in sides)
    return patch_grid((height, width), patch, patch)


def _drawn(shape: torch.Size) -> Tensor:
    seed = torch.Generator().manual_seed(0)
    return nn.init.trunc_normal_(torch.empty(shape), std=0.02, generator=seed)


def _by(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))
