"""Named tensors out of any file that the field keeps weights in, without executing any of it."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tipr.encoders.pretrained.archives import script_inside
from tipr.encoders.pretrained.faults import UnsafeWeights, WeightsError
from tipr.encoders.pretrained.folders import settings_in
from tipr.encoders.pretrained.pickled import old_pickle, read_pickled, read_script

__all__ = ["Checkpoint", "UnsafeWeights", "WeightsError", "read_checkpoint"]

WRAPPERS = ("model", "state_dict", "net", "module")
PREFIXES = ("module.", "_orig_mod.")  # of DistributedDataParallel and of torch.compile
TRAINING = ("optim", "sched", "scaler", "amp")  # states that only a resumed run wants
INDEX = ".index.json"
ZIP, PICKLE, POINTER = b"PK\x03\x04", b"\x80", b"version https://git-lfs"
HEADER = b"\0\0\0\0{"  # of safetensors: the high half of its length, and how it starts
NAMED, DEEP, PLAIN = 255, 8, 100_000  # bytes of a file's name, wrappers, values beside tensors
SHARED, SLACK = 4, 16 * 2**20  # tensors may have so many times the file's bytes, and some more
AGAIN = "download or copy it again"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by their original names, and the plain values that were saved beside them."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Reads safetensors (also in shards, by their index), torch's files and TorchScript archives.

    What a file is shows in its first bytes, not in its name. Raises UnsafeWeights where reading
    would run code, WeightsError where the file is not what it should be.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder; name the file in it" if path.is_dir() else "does not exist"
        raise WeightsError(f"{path} {kind}")
    if path.name.endswith(INDEX):
        return _shards(path)
    with path.open("rb") as file:
        first = file.read(512)
    if first[4:9] == HEADER:
        return _safetensors(path)
    if first.startswith((ZIP, PICKLE)):
        script = first.startswith(ZIP) and script_inside(path)
        return _unwrapped(read_script(path) if script else read_pickled(path), path)
    raise old_pickle(path) or WeightsError(_what_it_is_instead(path, first))


def _what_it_is_instead(path: Path, first: bytes) -> str:
    if not first:
        return f"{path} is empty (0 bytes); {AGAIN}"
    if first.startswith(POINTER):
        return (
            f"{path} is a git-lfs pointer, not the weights; run `git lfs pull` where it came from"
        )
    if first.lstrip().startswith(b"<"):
        return f"{path} is a web page, not weights: the download met a login or an error; {AGAIN}"
    return (f"{path} is neither safetensors nor a file of torch.save; "
            f"if it should be one, {AGAIN}")  # fmt: skip


def _safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Checkpoint(_bare(tensors), dict(file.metadata() or {}))
    except SafetensorError as error:
        raise WeightsError(f"{path} is cut off or damaged ({error}); {AGAIN}") from error


def _shards(index: Path) -> Checkpoint:
    """One checkpoint out of several files beside the index."""
    try:
        places = json.loads(settings_in(index))["weight_map"]
        files = sorted(set(places.values()), key=str)
    except WeightsError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{index} is not an index of shards: it needs a weight_map from tensors "
                           f"to files; {AGAIN}") from error  # fmt: skip
    tensors: dict[str, Tensor] = {}
    for name in files:
        if not _is_beside(name):
            raise WeightsError(f"{index} names the shard {reprlib.repr(name)}, which is not "
                               "beside it; shards must lie in the index's own folder")  # fmt: skip
        if not (index.parent / name).is_file():
            raise WeightsError(f"{index} names the shard {name}, which is not there; {AGAIN}")
        tensors |= read_checkpoint(index.parent / name).tensors
    absent = sorted(set(_bare(places)) - set(tensors))
    if absent:
        raise WeightsError(f"{index} promises {absent[0]!r} (of {len(absent)}) that no shard "
                           f"holds; {AGAIN}")  # fmt: skip
    return Checkpoint(tensors)


def _is_beside(name: object) -> bool:
    if not isinstance(name, str) or name.endswith(INDEX) or "\0" in name:
        return False
    return Path(name).name == name and len(name.encode(errors="replace")) <= NAMED


def _unwrapped(saved: object, path: Path) -> Checkpoint:
    """The tensors of the innermost wrapper, and the plain values of all of them."""
    facts: dict[str, Any] = {}
    for _ in range(DEEP):
        if not isinstance(saved, Mapping):
            break
        facts |= dict(_plain_entries(saved))
        inner = next((saved[name] for name in WRAPPERS if _holds_tensors(saved.get(name))), None)
        if inner is None:
            break
        saved = inner
    if not isinstance(saved, Mapping) or not _holds_tensors(saved):
        raise WeightsError(f"{path} holds no named tensors; save model.state_dict() instead")
    named = {n: t.detach() for n, t in saved.items() if isinstance(t, Tensor)}
    _check(named, path)
    return Checkpoint(_bare(named), facts)


def _check(named: dict[Any, Tensor], path: Path) -> None:
    """Raises WeightsError where an entry has no name, or not all of its numbers in the file."""
    for name, tensor in named.items():
        told = f"{path}: the entry {reprlib.repr(name)}"
        if not isinstance(name, str):
            raise WeightsError(f"{told} should have a name; save model.state_dict() instead")
        if tensor.layout != torch.strided or tensor.is_nested or tensor.device.type != "cpu":
            kind = "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
            raise WeightsError(f"{told} is a tensor of the kind {kind}; only ordinary ones can be "
                               "read, save them so")  # fmt: skip
    total = sum(tensor.nbytes for tensor in named.values())
    if total > SHARED * path.stat().st_size + SLACK:
        largest = max(named, key=lambda name: named[name].nbytes)
        raise WeightsError(f"{path} has {path.stat().st_size} bytes, but its tensors would take "
                           f"{total}, most of all {reprlib.repr(largest)}; save them with "
                           ".contiguous(), or do not trust it")  # fmt: skip


def _holds_tensors(value: object, depth: int = 3) -> bool:
    if not isinstance(value, Mapping) or not depth:
        return False
    inner = (value.get(name) for name in WRAPPERS)
    return any(isinstance(v, Tensor) for v in value.values()) or any(
        _holds_tensors(v, depth - 1) for v in inner
    )


def _plain_entries(saved: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in saved.items():
        kept = isinstance(name, str) and not name.lower().startswith(TRAINING)
        if kept and _is_plain(value):
            yield name, value


def _is_plain(value: object) -> bool:
    """Whether it is numbers and strings, or not too many of them in lists and by name."""
    waiting = [value]
    for _ in range(PLAIN):
        if not waiting:
            return True
        part = waiting.pop()
        if isinstance(part, Mapping) and all(isinstance(name, str) for name in part):
            inner: list[object] = list(part.values())
        elif isinstance(part, list | tuple):
            inner = list(part)
        elif part is None or isinstance(part, str | int | float):
            continue
        else:
            return False
        if len(waiting) + len(inner) > PLAIN:
            return False
        waiting += inner
    return not waiting


def _bare(named: dict[str, Any]) -> dict[str, Any]:
    """The entries without the prefix that all of them share."""
    while prefix := next((p for p in PREFIXES if _all_start(named, p)), None):
        named = {name.removeprefix(prefix): value for name, value in named.items()}
    return named


def _all_start(named: dict[str, Any], prefix: str) -> bool:
    return bool(named) and all(name.startswith(prefix) for name in named)
