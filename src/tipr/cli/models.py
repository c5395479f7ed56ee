"""`tipr import` and `tipr push`: models of others in, models of one's own out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tipr.cli.options import Flag, Json, Out

if TYPE_CHECKING:
    from tipr.encoders.pretrained.loaded import Loaded

_SHOWN = 8  # names of each kind on the terminal; --json has all


def import_(  # noqa: PLR0913 - one parameter for each flag
    source: str,
    *,
    out: Out,
    image_size: tuple[int, int] | None = None,
    stride: int | None = None,
    tokenizer: Path | None = None,
    text_length: int | None = None,
    as_json: Json = False,
) -> None:
    """Make a model of weights trained elsewhere; it evaluates, searches and trains like any other.

    Read are CLIP (Hugging Face folder, OpenAI's ViT-B-16.pt, open_clip), checkpoints of IRRA, RDE,
    SEN, MLLM4Text-ReID, HAM (best.pth) and IVT, and VIT+BERT, two files or folders joined by a
    plus. Nothing in them is executed.

    Parameters
    ----------
    source
        A file, a folder, hf:ORGANISATION/NAME, or VIT+BERT.
    image_size
        Height and width in pixels, as `--image-size 384 128`; positions are resized.
    stride
        Pixels from patch to patch, where patches overlap.
    tokenizer
        File or folder with the vocabulary, where the source brings none.
    text_length
        Tokens to read at most; fewer than the weights allow.
    """
    from tipr.embedder.foreign import import_model

    embedder, loaded = import_model(
        source, image_size=image_size, stride=stride, tokenizer=tokenizer, text_length=text_length
    )
    embedder.save(out)
    if as_json:
        facts = {"matched": loaded.matched, "scaffolding": loaded.scaffolding,
                 "unknown": loaded.unknown, "notes": loaded.notes}  # fmt: skip
        print(json.dumps({"model": str(out), "fingerprint": embedder.fingerprint, **facts}))
        return
    height, width = embedder.encoder.image_size
    count = sum(parameter.numel() for parameter in embedder.encoder.parameters())
    print(f"{out}: {count:,} parameters, pictures of {height} x {width}, sentences of up to "
          f"{embedder.tokenizer.length} tokens")  # fmt: skip
    _print_account(loaded)


def _print_account(loaded: Loaded) -> None:
    print(f"{loaded.matched} tensors of the source are the encoder")
    for names, what in (
        (loaded.scaffolding, "were only for training and stay behind"),
        (loaded.unknown, "are not known and stay behind"),
    ):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            print(f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}")
    for note in loaded.notes:
        print(f"note: {note}")


def push(
    model: str,
    repository: str,
    /,
    *,
    license_: str,
    data_terms: str,
    public: Flag = False,
    as_json: Json = False,
) -> None:
    """Publish a model on the Hugging Face hub, with the terms it stands under in its card.

    Parameters
    ----------
    model
        A run or bundle folder.
    repository
        hf:ORGANISATION/NAME, as hf:acme/irra-vit-b16-384x128-cuhk-pedes.
    license_
        Licence of the weights, by its identifier (apache-2.0, cc-by-nc-4.0, ...).
    data_terms
        What it was trained on, and on what terms that data is given.
    public
        For everyone to see; private when not given.
    """
    from tipr.embedder.publish import publish

    address = publish(model, repository, license_, data_terms, private=not public)
    print(json.dumps({"model": model, "address": address}) if as_json else address)
