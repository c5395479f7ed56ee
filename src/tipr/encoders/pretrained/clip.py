"""CLIP's weights as OpenAI, open_clip and Hugging Face publish them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tipr.encoders.clip import CLIPConfig
from tipr.encoders.pretrained.clip_config import clip_facts
from tipr.encoders.pretrained.clip_names import SCAFFOLDING, Naming, Sources, naming_of
from tipr.encoders.pretrained.faults import WeightsError, named
from tipr.encoders.pretrained.folders import weight_file
from tipr.encoders.pretrained.loaded import (
    Loaded,
    as_fp32,
    check_numbers,
    check_ranks,
    expected,
    lacking,
    stacked,
)
from tipr.encoders.pretrained.positions import Grid, grid_of, resized_positions
from tipr.encoders.pretrained.tensors import read_checkpoint

FIELD = (384, 128)
RANKS = {
    "patches.weight": 4, "image_class": 1, "place": 2, "image_out.weight": 2, "word.weight": 2,
    "order": 2, "text_out.weight": 2,
}  # fmt: skip
HEAD = 64  # width of an attention head in every CLIP


def load_clip(
    path: Path | str, image_size: tuple[int, int] | None = FIELD, stride: int | None = None
) -> Loaded:
    """A file of weights, or a folder that has one beside its publisher's configuration."""
    file = weight_file(path)
    checkpoint = read_checkpoint(file)
    with named(file):
        facts = clip_facts(file.parent, naming_of(checkpoint.tensors))
        return clip_weights(checkpoint.tensors, image_size=image_size, stride=stride, facts=facts)


def clip_weights(
    tensors: Mapping[str, Tensor],
    *,
    image_size: tuple[int, int] | None = FIELD,
    stride: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Loaded:
    """CLIP's weights for pictures of `image_size`; None keeps the size they were trained for.

    Sizes are read off the tensors. `facts` may say what they do not show: `activation`,
    `image_heads`, `text_heads`, `end_id`, and `grid`, the (down, across) of their positions.
    """
    facts = facts or {}
    naming = naming_of(tensors)
    sources = naming.sources(tensors)
    used = {name for names in sources.values() for name in names}
    check_sources(tensors, sources)
    state = {ours: _joined(tensors, ours, sources, naming) for ours in sources}
    config, grid = _geometry(state, image_size, stride, facts)
    notes = [*_fit(state, config, grid), *_remarks(tensors, used, config, facts)]
    rest = sorted(set(tensors) - used)
    leftover = tuple(name for name in rest if SCAFFOLDING.fullmatch(name))
    return Loaded(
        config=config,
        state=state,
        matched=len(used),
        scaffolding=leftover,
        unknown=tuple(name for name in rest if name not in leftover),
        notes=tuple(notes),
    )


def check_sources(tensors: Mapping[str, Tensor], sources: Sources) -> None:
    """Raises WeightsError where an entry is missing or cannot be a CLIP's."""
    used = {name: tensors.get(name) for names in sources.values() for name in names}
    missing = tuple(sorted(name for name, tensor in used.items() if tensor is None))
    if missing:
        raise WeightsError(lacking(missing))
    check_numbers({name: tensors[name] for name in used})
    firsts = {ours: names[0] for ours, names in sources.items()}
    check_ranks({ours: tensors[name] for ours, name in firsts.items()}, RANKS, firsts)


def _joined(tensors: Mapping[str, Tensor], ours: str, sources: Sources, naming: Naming) -> Tensor:
    names = sources[ours]
    whole = stacked([as_fp32(tensors[name], name) for name in names], names[0])
    return whole.T.contiguous() if ours in naming.transposed else whole


def _geometry(
    state: dict[str, Tensor],
    image_size: tuple[int, int] | None,
    stride: int | None,
    facts: Mapping[str, Any],
) -> tuple[CLIPConfig, Grid]:
    """What the tensors are weights of, and the grid of their positions."""
    wide, _, _, patch = state["patches.weight"].shape
    vocabulary, deep = state["word.weight"].shape
    step, count = stride or patch, len(state["place"]) - 1
    wanted = None if image_size is None else _grid(image_size, patch, step)
    grid = tuple(facts.get("grid") or grid_of(count, wanted or (0, 0)))
    end = facts.get("end_id")
    config = CLIPConfig(
        image_size=image_size or ((grid[0] - 1) * step + patch, (grid[1] - 1) * step + patch),
        patch=patch,
        stride=None if step == patch else step,
        image_width=wide,
        image_layers=_layers(state, "image_blocks"),
        image_heads=_heads(wide, facts.get("image_heads")),
        text_width=deep,
        text_layers=_layers(state, "text_blocks"),
        text_heads=_heads(deep, facts.get("text_heads")),
        text_length=len(state["order"]),
        vocabulary=vocabulary,
        embedding=len(state["image_out.weight"]),
        end_id=vocabulary - 1 if end is None else end,
        activation=facts.get("activation") or "quick_gelu",
    )
    return config, grid


def _grid(image_size: tuple[int, int], patch: int, stride: int) -> Grid:
    if min(image_size) < patch:
        raise WeightsError(f"pictures of {image_size} are smaller than a patch of {patch}; choose "
                           "a larger image size")  # fmt: skip
    down, across = ((side - patch) // stride + 1 for side in image_size)
    return down, across


def _layers(state: dict[str, Tensor], tower: str) -> int:
    return sum(n.startswith(f"{tower}.") and n.endswith("attention.qkv.weight") for n in state)


def _heads(width: int, stated: int | None) -> int:
    if stated:
        return stated
    if width % HEAD:
        raise WeightsError(f"a width of {width} does not divide into heads of {HEAD}; the "
                           "publisher's configuration must lie beside the weights")  # fmt: skip
    return width // HEAD


def _fit(state: dict[str, Tensor], config: CLIPConfig, grid: Grid) -> list[str]:
    """Gives the tables our shapes and the picture's grid, in place; says what changed."""
    stride = config.stride or config.patch
    wanted = _grid(config.image_size, config.patch, stride)
    state["place"] = resized_positions(state["place"], grid, wanted)[None]
    state["order"] = state["order"][None]
    state["image_class"] = state["image_class"].view(1, 1, -1)
    for name, shape in expected(config).items():
        if state[name].shape != shape:
            raise WeightsError(f"{name} has the shape {tuple(state[name].shape)}, a CLIP of this "
                               f"geometry {tuple(shape)}: it is no original CLIP")  # fmt: skip
    if grid == wanted:
        return []
    return [f"position embeddings resized from {grid[0]}x{grid[1]} to {wanted[0]}x{wanted[1]} "
            "(bilinear)"]  # fmt: skip


def _remarks(
    tensors: Mapping[str, Tensor], used: set[str], config: CLIPConfig, facts: Mapping[str, Any]
) -> list[str]:
    remarks = [f"text positions {config.text_length}"]
    kinds = {str(tensors[n].dtype).removeprefix("torch.") for n in used} - {"float32"}
    remarks += [f"{kind} made float32" for kind in sorted(kinds)]
    if not facts.get("activation"):
        remarks.append("no configuration says which GELU: quick_gelu, as OpenAI's; many of "
                       "open_clip's need gelu")  # fmt: skip
    return remarks
