"""The run of a richer model as LCR2S's student finds it on disk: weights, settings, identity.

`last.pt` holds the weights, and `experiment.json` beside it says what they were trained as: weights
alone do not tell four heads from eight, nor the mean from the maximum.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from tipr.data.tokenizers import read_tokenizer
from tipr.encoders.encoder import Encoder

ALIKE = ("fusion", "heads", "anchor", "feedforward", "alignment")  # of a richer model's settings
_OTHER_WEIGHTS = ("lora_rank", "ema", "towards_start")
_ADVICE = (
    "train the richer model first: `tipr train lcr2s:richer --data DIR --out runs/richer` "
    "(lcr2s:cuhk_pedes_richer and so on for CLIP), then add `--set method.richer=runs/richer`"
)
_UNREADABLE = (OSError, EOFError, LookupError, RuntimeError, TypeError, pickle.UnpicklingError)


def check_alike(richer: str, teacher: Any, encoder: Encoder) -> None:
    """Raises ValueError when the run was configured otherwise than `teacher` and `encoder` are.

    `slots` and `supports` may differ. Without its experiment.json a checkpoint is taken as it is.
    """
    record = _checkpoint(richer).with_name("experiment.json")
    if not record.is_file():
        return
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        method, theirs = facts["method"], facts["encoder"]
        kind = method["is"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{record} cannot be read ({error}); restore it") from error
    if kind != type(teacher).__name__:
        raise ValueError(f"{richer} is a run of {kind}, not of a richer model; {_ADVICE}")
    adapt = facts.get("adapt", {})
    if changed := [name for name in _OTHER_WEIGHTS if adapt.get(name)]:
        raise ValueError(f"{richer} was trained with adapt.{changed[0]}, so its checkpoint holds "
                         "other weights than it keeps; train the richer model without")  # fmt: skip
    for name in ALIKE:
        _compare(f"method.teacher.{name}", getattr(teacher, name), method, richer)
    own = {"is": type(encoder.config).__name__, **asdict(encoder.config)}
    for name, value in json.loads(json.dumps(own, default=str)).items():
        _compare(f"encoder.{name}", value, theirs, richer)
    _compare_words(record.parent / "best", encoder)


def load_into(model: nn.Module, richer: str) -> None:
    """Fills the model with the run's weights. Raises ValueError when they are of another kind."""
    path = _checkpoint(richer)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)["method"]
    except _UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a checkpoint ({error}); {_ADVICE}") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{richer} holds another richer model: give this run the same encoder and data, and "
            f"set method.teacher as its experiment.json says ({error})"
        ) from error


def digest(module: nn.Module) -> UInt8[Tensor, " 16"]:
    """Names a model's weights: equal exactly when they are."""
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return torch.tensor(list(found.digest()[:16]), dtype=torch.uint8)


def _checkpoint(richer: str) -> Path:
    """The weights in a run folder, or in its last.pt. Raises ValueError when there are none."""
    if not richer:
        raise ValueError(f"LCR2S learns from a richer model; {_ADVICE}")
    path = Path(richer) / "last.pt" if Path(richer).is_dir() else Path(richer)
    if not path.is_file():
        raise ValueError(f"there is no richer model at {path}; {_ADVICE}")
    return path


def _compare(field: str, own: Any, theirs: dict[str, Any], richer: str) -> None:
    """One setting with that of the run, where its record has it."""
    other = theirs.get(field.rpartition(".")[2], own)
    if own == other:
        return
    advice = f"add `--set {field}={_text(other)}`"
    if field == "encoder.is":
        advice = "choose an experiment with that encoder"
    raise ValueError(f"{field} is {_text(own)} here, but the richer model in {richer} was trained "
                     f"with {_text(other)}; {advice}")  # fmt: skip


def _compare_words(folder: Path, encoder: Encoder) -> None:
    """The encoder's ids of pieces of words with those of the tokenizer that the run saved."""
    if not folder.is_dir():
        return
    own, other = encoder.word_ids, read_tokenizer(folder, 3).word_ids
    if own != other:
        raise ValueError(f"data.tokenizer gives {len(own)} pieces of words here, but the richer "
                         f"model in {folder.parent} was trained with {len(other)}; add "
                         f"`--set data.tokenizer={folder}`")  # fmt: skip


def _text(value: Any) -> str:
    """As `--set` reads it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
