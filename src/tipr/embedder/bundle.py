"""A model on disk: what training saves, searching loads and the hub carries.

A bundle is a folder laid out as the Hugging Face hub expects, and nothing in it executes:
`config.json` (encoder, transform, text length), `model.safetensors` (half-precision weights), the
tokenizer's files and `README.md`, the model card.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tipr.data.images import ImageTransform
from tipr.data.text import Tokenizer
from tipr.data.tokenizers import read_tokenizer
from tipr.embedder.card import card
from tipr.embedder.hub import HUB, downloaded
from tipr.embedder.mapped import mapped
from tipr.encoders.catalogue import from_json
from tipr.encoders.encoder import Encoder

FORMAT = 2
KIND = "tipr"
CONFIG, WEIGHTS, GRAPHS = "config.json", "model.safetensors", "graphs"
PARTS = frozenset({
    CONFIG, WEIGHTS, "README.md", "merges.txt", "vocab.json", "vocab.txt",
    "reranker.json", "reranker.safetensors", GRAPHS,
})  # fmt: skip
_ALONG = ("README.md", "reranker.json", "reranker.safetensors")
OWN = "shipped:"  # begins the name of a model that comes with the package
Weights = Literal["read", "mapped", "none"]
SHIPPED = Path(__file__).parents[1] / "weights"
_MALFORMED = (RuntimeError, TypeError, AttributeError, UnicodeDecodeError)


def write(
    folder: Path,
    encoder: Encoder,
    tokenizer: Tokenizer,
    description: dict[str, Any],
    graphs: Path | None = None,
    beside: Path | None = None,
) -> None:
    """Writes a bundle, whole or not at all; only a bundle is ever replaced.

    `graphs` is a folder of exported graphs, which is moved into it; `beside` is a bundle whose card
    and re-ranking head are taken along.

    Raises:
        ValueError: the folder holds anything else.
        OSError: it could not be written; a bundle that was there is intact.
    """
    folder = folder.resolve()
    check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    facts = {"model_type": KIND, "format": FORMAT, **description}
    try:
        save_file(half(encoder), draft / WEIGHTS, metadata={"format": "pt"})
        tokenizer.save(draft)
        _write_text(draft / CONFIG, json.dumps(facts, indent=2) + "\n")
        _write_text(draft / "README.md", card(facts, encoder))
        if beside is not None:
            for part in [one for one in _ALONG if (beside / one).is_file()]:
                shutil.copyfile(beside / part, draft / part)
        if graphs is not None:
            shutil.move(graphs, draft / GRAPHS)
        _open_to_all(draft)
        _swapped_in(draft, folder)
    except (OSError, SafetensorError) as error:
        raise OSError(f"the model could not be written to {folder} ({error}); free some disk "
                      "space and try again") from error  # fmt: skip
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read(folder: Path, weights: Weights = "read") -> tuple[Encoder, ImageTransform, Tokenizer]:
    """`mapped` weights are one file in memory for all processes that map them (`mapped.py`); with
    none the encoder is a shape that nothing can be embedded with.

    Raises:
        ValueError: the bundle is damaged, or of another version or kind; or it cannot be mapped.
    """
    try:
        facts = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        _check_kind(facts, folder)
        tokenizer = read_tokenizer(folder, facts["text_length"])
        encoder = _built(facts["encoder"], folder / WEIGHTS, weights)
        transform = ImageTransform.from_json(facts["transform"])
    except PermissionError as error:
        raise ValueError(
            f"the model in {folder} may not be read ({error}); ask its owner"
        ) from error
    except (OSError, KeyError, json.JSONDecodeError, SafetensorError, *_MALFORMED) as error:
        raise ValueError(f"the model in {folder} is damaged: {error}") from error
    return encoder, transform, tokenizer


def _built(facts: dict[str, Any], path: Path, weights: Weights) -> Encoder:
    with torch.device("meta"):  # no time is spent on numbers that are replaced
        encoder = from_json(facts).build()
    if weights == "mapped":
        encoder.load_state_dict(mapped(path), assign=True)
    elif weights == "read":
        encoder.to_empty(device="cpu")  # which keeps the memory format
        encoder.load_state_dict(load_file(path))
    return encoder


def find_bundle(path: Path | str) -> Path:
    """The folder of a model: a bundle, a run, a shipped name, or `hf:ORGANISATION/NAME`."""
    if str(path).startswith(HUB):
        return downloaded(str(path))
    name = str(path).removeprefix(OWN)
    ours, theirs = SHIPPED / name, Path(path)
    here = next((p for p in (theirs, theirs / "best") if (p / CONFIG).is_file()), None)
    if (ours / CONFIG).is_file() and Path(name).name == name:
        if here is not None:
            raise ValueError(f"{name} is a folder here and a model that comes with tipr; write "
                             f"./{name} or {OWN}{name}")  # fmt: skip
        return ours
    if here is not None:
        return here
    if Path(path).exists():
        raise ValueError(f"{path} is no model of tipr; if it holds weights of CLIP or a checkpoint "
                         f"of the field, convert it: tipr import {path} --out MODEL")  # fmt: skip
    shipped = ", ".join(sorted(p.parent.name for p in SHIPPED.glob(f"*/{CONFIG}"))) or "none"
    raise ValueError(
        f"there is no model at {path}; give a run folder of `tipr train` or a shipped model "
        f"({shipped})"
    )


def is_bundle(path: Path | str) -> bool:
    """Whether this names a model of ours.

    Raises:
        ValueError: it is a name of the hub that cannot be fetched.
    """
    if str(path).startswith(HUB):
        folder = downloaded(str(path))
    else:
        try:
            folder = find_bundle(path)
        except ValueError:
            return False
    return _kind(folder) == KIND


def name_of(folder: Path) -> str:
    """How a bundle is found again from anywhere: a shipped name, or the absolute path."""
    return OWN + folder.name if folder.parent == SHIPPED else str(folder.resolve())


def half(encoder: Encoder) -> dict[str, Tensor]:
    """The encoder's weights as they are saved."""
    return {k: v.detach().half().cpu().contiguous() for k, v in encoder.state_dict().items()}


def halves(folder: Path) -> dict[str, Tensor]:
    """The same of a bundle that is there. Raises ValueError where it is damaged."""
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"the model in {folder} is damaged: {error}") from error


def _check_kind(facts: Any, folder: Path) -> None:
    kind = facts.get("model_type") if isinstance(facts, dict) else None
    if kind != KIND:
        raise ValueError(f"{folder / CONFIG} is of a model of another kind ({kind}); convert it: "
                         f"tipr import {folder} --out MODEL")  # fmt: skip
    if facts["format"] != FORMAT:
        raise ValueError(f"the model in {folder} has format {facts['format']}, this tipr reads "
                         f"{FORMAT}")  # fmt: skip


def check_place(folder: Path) -> None:
    """Raises ValueError where writing a bundle would take something else away."""
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    others = sorted(names - PARTS)
    if others or (names and _kind(folder) != KIND):
        raise ValueError(f"{folder} holds other things ({', '.join(others or sorted(names))[:80]}) "
                         "and no model is written there; choose a new folder")  # fmt: skip


def _kind(folder: Path) -> str | None:
    try:
        facts = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return facts.get("model_type") if isinstance(facts, dict) else None


def _open_to_all(draft: Path) -> None:
    """As files and folders of this user are by default, not as temporary ones are."""
    mask = os.umask(0)
    os.umask(mask)
    for path in (draft, *draft.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _swapped_in(draft: Path, folder: Path) -> None:
    """Puts a finished folder in place of an older one, which is removed last."""
    old = folder.with_name(f".{folder.name}-old")
    if old.exists() and not folder.exists():  # a crash between the two renames
        old.replace(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    try:
        draft.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
