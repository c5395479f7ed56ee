"""Checkpoints of the IRRA family (Jiang and Ye, CVPR 2023), which share its layout.

`base_model` is a CLIP in OpenAI's naming whose positions were resized; what stands beside it is
named here by the code that was released with each. `configs.yaml` is the run's settings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from tipr.encoders.pretrained.clip import check_sources, clip_weights
from tipr.encoders.pretrained.clip_names import naming_of
from tipr.encoders.pretrained.faults import WeightsError
from tipr.encoders.pretrained.folders import settings_in
from tipr.encoders.pretrained.ivt import Geometry, described, own_geometry
from tipr.encoders.pretrained.loaded import Loaded
from tipr.encoders.shared import patch_grid

PREFIX = "base_model."
CONFIGS = "configs.yaml"
Settings = Mapping[str, list[str]]  # the words of each entry

_HEADS = {
    "RDE": r"(visul|texual)_emb_layer\..*",
    "SEN": r"(cross_attn_(mlm|TextImage|Text|Image)|cross_modal_transformer_(mlm|mae)|norm_[1-7]"
    r"|norm_image|norm_text|decoder_embed|decoder_pred|fuse_head)\..*"
    r"|mask_token|decoder_pos_embed",
    "IRRA": r"(cross_attn|cross_modal_transformer|mlm_head|ln_pre_[ti]|ln_post|classifier)\..*",
}
_SCAFFOLDING = re.compile("|".join(_HEADS.values()))
_NOTES = {
    "RDE": "only the global half (BGE) of RDE's score is imported; RDE averages it with the "
    "similarity of selected tokens (TSE), and its published figures are of both",
    "SEN": "SEN searches with the encoder alone",
    "IRRA": "IRRA searches with the encoder alone",
    "MLLM4Text-ReID": "MLLM4Text-ReID is IRRA's network with other captions (its configs.yaml "
    "has nam) and searches with the encoder alone",
    "": "an encoder without heads, as IRRA's code leaves it when trained by SDM alone: HAM's and "
    "MLLM4Text-ReID's pre-trained models are so",
}


def is_field(names: Iterable[str]) -> bool:
    return any(name.startswith(PREFIX) for name in names)


def load_field(
    tensors: Mapping[str, Tensor],
    *,
    image_size: tuple[int, int] | None = None,
    stride: int | None = None,
    file: Path = Path("best.pth"),
) -> Loaded:
    """The CLIP for pictures of its own size, or resized to `image_size` and `stride`.

    Its own size is that of the configs.yaml beside the file, or else what its positions fit.
    Raises WeightsError where neither tells.
    """
    encoder = {n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)}
    beside = [name for name in tensors if not name.startswith(PREFIX)]
    settings = read_settings(file.parent / CONFIGS)
    count, patch = _cut(encoder)
    stated = _stated(settings, count, patch, file)
    own = stated or own_geometry(count, patch, image_size, stride, str(file))
    loaded = clip_weights(
        encoder,
        image_size=image_size or own.image_size,
        stride=stride or own.stride,
        facts={"grid": own.grid, "activation": "quick_gelu"},
    )
    known = [name for name in beside if _SCAFFOLDING.fullmatch(name)]
    other = [name for name in beside if not _SCAFFOLDING.fullmatch(name)]
    guess = () if stated else (f"no {CONFIGS} beside it: {described(own, patch)}",)
    notes = (_NOTES[family_of(beside, settings)], *guess, *_training(settings, beside, loaded))
    return replace(
        loaded,
        scaffolding=(*known, *(PREFIX + name for name in loaded.scaffolding)),
        unknown=(*other, *(PREFIX + name for name in loaded.unknown)),
        notes=(*notes, *loaded.notes),
    )


def family_of(beside: Iterable[str], settings: Settings) -> str:
    """Whose code it is by what stands beside the encoder; empty where nothing does."""
    beside = list(beside)
    for family, heads in _HEADS.items():
        if any(re.fullmatch(heads, name) for name in beside):
            return "MLLM4Text-ReID" if family == "IRRA" and "nam" in settings else family
    return "MLLM4Text-ReID" if "nam" in settings else ""


def read_settings(path: Path) -> dict[str, list[str]]:
    """The flat entries of a settings file that PyYAML wrote; empty where there is none.

    Only `key: value`, `key: [a, b]` and lists of `- a` lines are read; tags, which name Python's
    types there, are passed over.
    """
    if not path.is_file():
        return {}
    settings: dict[str, list[str]] = {}
    key = ""
    for line in settings_in(path).decode("utf-8", errors="replace").splitlines():
        if entry := re.match(r"(\w+)\s*:(?:\s+(.*))?$", line):
            key = entry[1]
            settings[key] = _words(entry[2] or "")
        elif (item := re.match(r"\s*-\s+(.*)$", line)) and key:
            settings[key] += _words(item[1])
    return settings


def _words(text: str) -> list[str]:
    bare = re.sub(r"(^|\s)#.*$|!!?\S+|&\w+", " ", text)
    return [word.strip("'\"") for word in re.split(r"[\[\](),\s]+", bare) if word]


def _cut(encoder: Mapping[str, Tensor]) -> tuple[int, int]:
    """How many patches there are, and the pixels of a patch's side."""
    sources = naming_of(encoder).sources(encoder)
    check_sources(encoder, sources)
    (places,), (patches,) = sources["place"], sources["patches.weight"]
    return len(encoder[places]) - 1, encoder[patches].shape[-1]


def _stated(settings: Settings, count: int, patch: int, file: Path) -> Geometry | None:
    """What configs.yaml says, which the positions must bear out."""
    if "img_size" not in settings:
        return None
    where = file.parent / CONFIGS
    height, width = _numbers(settings, "img_size", 2, where)
    (stride,) = (
        _numbers(settings, "stride_size", 1, where) if "stride_size" in settings else [patch]
    )
    grid = patch_grid((height, width), patch, stride)
    if math.prod(grid) != count:
        raise WeightsError(f"{where} says {height} x {width} in steps of {stride}, which are "
                           f"{math.prod(grid)} patches, but {file.name} has {count}: it is of "
                           "another run; move it away, or put the right one there")  # fmt: skip
    return Geometry(image_size=(height, width), stride=stride, grid=grid)


def _numbers(settings: Settings, key: str, count: int, where: Path) -> list[int]:
    words = settings[key]
    if len(words) != count or not all(re.fullmatch(r"[1-9]\d{0,4}", word) for word in words):
        want = "height and width in pixels, as [384, 128]" if count == 2 else "one whole number"
        raise WeightsError(f"{where}: {key} is {' '.join(words) or 'empty'}; it must be {want}")
    return [int(word) for word in words]


def _training(settings: Settings, beside: Iterable[str], loaded: Loaded) -> Iterable[str]:
    """What else matters of how it was trained."""
    vocabulary, length = len(loaded.state["word.weight"]), loaded.state["order"].shape[1]
    if any(name.startswith("mlm_head.") for name in beside):
        yield f"trained with masked words: token {vocabulary - 3} is its mask"
    told = {key: " ".join(settings.get(key, ())) for key in ("dataset_name", "loss_names")}
    if all(told.values()):
        yield f"{CONFIGS}: trained on {told['dataset_name']} with {told['loss_names']}"
    for key, own in (("text_length", length), ("vocab_size", vocabulary)):
        if settings.get(key, [str(own)]) != [str(own)]:
            yield f"{CONFIGS}: {key} is {' '.join(settings[key])}, the weights have {own}"
