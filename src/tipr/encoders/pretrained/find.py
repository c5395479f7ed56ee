"""Whose weights a file holds, told by the names in it, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from tipr.encoders.pretrained.bert import is_bert
from tipr.encoders.pretrained.clip import FIELD, clip_weights
from tipr.encoders.pretrained.clip_config import clip_facts
from tipr.encoders.pretrained.clip_names import naming_of
from tipr.encoders.pretrained.faults import WeightsError, named
from tipr.encoders.pretrained.field import is_field, load_field
from tipr.encoders.pretrained.folders import weight_file
from tipr.encoders.pretrained.hybrid import bert_half, fitting_config, hybrid, vit_half
from tipr.encoders.pretrained.ivt import is_ivt, load_ivt
from tipr.encoders.pretrained.loaded import Loaded
from tipr.encoders.pretrained.tensors import read_checkpoint
from tipr.encoders.pretrained.vit import is_vit

SUPPORTED = (
    "CLIP (OpenAI's, open_clip's or Hugging Face's names), checkpoints of IRRA, RDE, SEN, "
    "MLLM4Text-ReID, HAM and IVT, and VIT+BERT"
)
BEST = ("best.pth", "checkpoint_best.pth")  # of a run's folder in the field
TOWERS = ("visual.", "vision_model.", "text_model.")


def load_weights(
    source: Path | str, *, image_size: tuple[int, int] | None = None, stride: int | None = None
) -> Loaded:
    """The encoder in a file or folder, or in two joined by a plus, VIT+BERT.

    Pictures are 384 x 128 by default, or of a trained checkpoint's own size. Raises WeightsError
    where the weights are not recognised or do not fit, UnsafeWeights where reading would run code.
    """
    halves = _halves(source)
    if halves:
        return _joined(*halves, image_size or FIELD, stride)
    file = chosen_file(Path(source))
    tensors = read_checkpoint(file).tensors
    with named(file):
        return _read(file, tensors, image_size, stride)


def _read(
    file: Path, tensors: dict[str, Tensor], image_size: tuple[int, int] | None, stride: int | None
) -> Loaded:
    if is_field(tensors):
        return load_field(tensors, image_size=image_size, stride=stride, file=file)
    if is_ivt(tensors):
        return load_ivt(tensors, image_size=image_size, stride=stride, file=str(file))
    if any(name.startswith(TOWERS) for name in tensors):
        facts, size = clip_facts(file.parent, naming_of(tensors)), image_size or FIELD
        return clip_weights(tensors, image_size=size, stride=stride, facts=facts)
    raise WeightsError(_strange(file, tensors))


def chosen_file(source: Path) -> Path:
    """The file itself; in a run's folder its best checkpoint, in others the usual name."""
    best = (source / name for name in BEST)
    return next((path for path in best if path.is_file()), None) or weight_file(source)


def _halves(source: Path | str) -> tuple[Path, Path] | None:
    """The two paths around a plus, unless the plus is in the name of one file."""
    text = str(source)
    if "+" not in text or Path(text).exists():
        return None
    cuts = [i for i, letter in enumerate(text) if letter == "+"]
    pairs = [(Path(text[:i]), Path(text[i + 1 :])) for i in cuts]
    return next((p for p in pairs if p[0].exists() and p[1].exists()), pairs[0])


def _joined(vit: Path, bert: Path, image_size: tuple[int, int], stride: int | None) -> Loaded:
    vit, bert = chosen_file(vit), chosen_file(bert)
    first, second = read_checkpoint(vit).tensors, read_checkpoint(bert).tensors
    if is_bert(first) and is_vit(second):
        raise WeightsError(f"{vit} is the BERT and {bert} the ViT; name the ViT first, VIT+BERT")
    picture, sentence = vit_half(vit, first), bert_half(bert, second)
    return hybrid(picture, sentence, fitting_config(picture, sentence, image_size, stride))


def _strange(file: Path, names: Iterable[str]) -> str:
    if is_vit(names):
        return (f"{file} is a picture transformer alone; name a BERT as well, joined by a plus: "
                f"{file}+bert-base-uncased")  # fmt: skip
    if is_bert(names):
        return (f"{file} is a BERT alone; name a ViT as well, joined by a plus: "
                f"vit-base-patch16-224+{file}")  # fmt: skip
    first = ", ".join(sorted(names)[:5])
    return f"{file} holds weights of an unknown kind ({first}, ...); known are {SUPPORTED}"
