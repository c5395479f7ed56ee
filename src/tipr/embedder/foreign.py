"""Models of others made into ours: CLIP's weights, the field's checkpoints, ViT and BERT.

Only the encoder is taken; what it was trained with stays behind and is listed.
"""

from __future__ import annotations

from pathlib import Path

from tipr.data.images import CLIP_MEAN, CLIP_STD, ImageTransform
from tipr.data.text import Tokenizer
from tipr.data.tokenizers import read_tokenizer
from tipr.embedder.embedder import Embedder
from tipr.embedder.hub import HUB, downloaded
from tipr.encoders.clip import CLIPConfig
from tipr.encoders.pretrained.find import load_weights
from tipr.encoders.pretrained.folders import described
from tipr.encoders.pretrained.loaded import Loaded
from tipr.encoders.shared import SharedConfig

_HALVES = (0.5, 0.5, 0.5)  # the mean and deviation that IVT's ViT was trained with
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "bpe_simple_vocab_16e6.txt.gz")


def import_model(
    source: Path | str,
    *,
    image_size: tuple[int, int] | None = None,
    stride: int | None = None,
    tokenizer: Path | str | None = None,
    text_length: int | None = None,
) -> tuple[Embedder, Loaded]:
    """The encoder of somebody else's weights, ready to embed, and what was and was not taken.

    `source` is a file, a folder, `hf:ORGANISATION/NAME`, or `VIT+BERT` for IVT's hybrid start.
    `tokenizer` is a folder or file with the vocabulary, needed where neither the source brings one
    nor the vocabulary is CLIP's.

    Raises:
        ValueError: the weights are not recognised, unsafe or damaged, or the tokenizer is missing.
    """
    if (stride is not None and stride < 1) or (text_length is not None and text_length < 3):
        raise ValueError("a stride is at least 1 pixel, a text length at least 3 tokens")
    places = [_place(part) for part in parts_of(source)]
    loaded = load_weights("+".join(map(str, places)), image_size=image_size, stride=stride)
    most = loaded.config.text_length
    words = _tokenizer(places, tokenizer, loaded, most if text_length is None else text_length)
    encoder = loaded.build()
    transform = _transform(places[0], loaded, encoder.image_size)
    return Embedder(encoder, transform, words, str(source)), loaded


def parts_of(source: Path | str) -> list[str]:
    """The two names of `VIT+BERT`, or the one; a plus in the name of a real file joins nothing."""
    return [str(source)] if Path(source).exists() else str(source).split("+")


def _place(part: str) -> Path:
    return downloaded(part) if part.startswith(HUB) else Path(part)


def _tokenizer(
    places: list[Path], named: Path | str | None, loaded: Loaded, length: int
) -> Tokenizer:
    """The words of the weights, of exactly their number."""
    source = named or _beside(places) or _usual(loaded)
    if source is None:
        raise ValueError(
            f"{places[-1]} brings no tokenizer for its {loaded.config.vocabulary} pieces of words; "
            "pass the folder or file that has it (vocab.txt for BERT's words) with --tokenizer"
        )
    words, config = read_tokenizer(source, length), loaded.config
    ends = isinstance(config, CLIPConfig) and config.end_id != words.specials.end
    if words.vocabulary != config.vocabulary or ends:
        raise ValueError(
            f"{source} has {words.vocabulary} pieces of words, the weights {config.vocabulary}"
            f"{' and another end of a sentence' if ends else ''}: it is not their tokenizer; "
            "name the right one with --tokenizer"
        )
    return words


def _beside(places: list[Path]) -> Path | None:
    """The folder that has a vocabulary; of VIT+BERT the second has the words."""
    folders = [place if place.is_dir() else place.parent for place in reversed(places)]
    return next((f for f in folders if any((f / n).is_file() for n in _TOKENIZER_FILES)), None)


def _usual(loaded: Loaded) -> str | None:
    return "clip" if loaded.config.vocabulary == CLIPConfig().vocabulary else None


def _transform(place: Path, loaded: Loaded, size: tuple[int, int]) -> ImageTransform:
    """As the publisher's files beside the weights say; otherwise as the kind of encoder is used."""
    usual = (_HALVES, _HALVES) if isinstance(loaded.config, SharedConfig) else (CLIP_MEAN, CLIP_STD)
    folder = place if place.is_dir() else place.parent
    facts = described(folder, "preprocessor_config.json") or {}
    other = (described(folder, "open_clip_config.json") or {}).get("preprocess_cfg") or {}
    mean = facts.get("image_mean") or other.get("mean") or usual[0]
    std = facts.get("image_std") or other.get("std") or usual[1]
    try:
        return ImageTransform.from_json({"size": size, "mean": mean, "std": std})
    except ValueError as error:
        raise ValueError(f"{folder}: the settings of its pictures are damaged ({error}); fetch its "
                         "JSON files again") from error  # fmt: skip
