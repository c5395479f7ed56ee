"""Torch's own files, read by its restricted unpickler, which imports nothing."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tipr.encoders.pretrained.archives import check_archive, program_of, without_code
from tipr.encoders.pretrained.faults import UnsafeWeights, WeightsError, damaged
from tipr.encoders.pretrained.numbers import STANDINS
from tipr.encoders.pretrained.opcodes import SCANNED, holds_bytearray, imports, is_pickle

SCRIPTED = "__torch__."  # where TorchScript keeps the classes of an archive
LISTS = tuple(f"torch.jit._pickle.build_{kind}list" for kind in ("int", "double", "bool", "tensor"))
HARMLESS = ("torch.", "collections.", SCRIPTED)
LONGEST = 300  # letters of a tensor's dotted name


class Part:
    """Stands in for a module of a TorchScript archive: holds its attributes, does nothing."""

    held: dict[str, Any]

    def __new__(cls) -> Part:  # the unpickler calls nothing else
        part = super().__new__(cls)
        part.held = {}
        return part

    def __setstate__(self, state: object) -> None:
        self.held = state if isinstance(state, dict) else {}


def read_pickled(path: Path) -> object:
    """What `torch.save` saved, mapped from the disk where the format allows it."""
    zipped = zipfile.is_zipfile(path)
    if zipped:
        check_archive(path)
    if zipped and path.suffix != ".safetensors":  # torch goes by that name
        return _loaded(path, path, mmap=True)
    with path.open("rb") as file:
        return _loaded(path, file)


def read_script(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers of a TorchScript archive by their dotted names.

    Its code is left out and its classes are replaced by ones that do nothing, so that torch's
    restricted unpickler takes what remains: a tree of attributes.
    """
    copy, program = without_code(path)
    inert = [(Part, name) for name in imports(program) if name.startswith(SCRIPTED)]
    with torch.serialization.safe_globals([*inert, *((list, name) for name in LISTS)]):
        root = _loaded(path, copy)
    return dict(_tensors(path, root))


def old_pickle(path: Path) -> WeightsError | None:
    """What to say of a pickle without a mark of its protocol, which torch never writes."""
    program = program_of(path, SCANNED)
    if not is_pickle(program):
        return None
    foreign = _first_foreign(program)
    if foreign:
        return UnsafeWeights(path, foreign)
    return WeightsError(f"{path} is an unsafe pickle of an old protocol, which was not opened; "
                        "save it again with torch.save(model.state_dict(), ...)")  # fmt: skip


def _tensors(path: Path, root: object) -> Iterator[tuple[str, Tensor]]:
    """Walks the tree; a part that several others share appears under the first name."""
    waiting, seen = [("", root)], set()
    while waiting:
        prefix, part = waiting.pop()
        if not isinstance(part, Part) or id(part.held) in seen:
            continue
        seen.add(id(part.held))
        if len(prefix) + max((len(str(name)) for name in part.held), default=0) > LONGEST:
            raise WeightsError(f"{path} is damaged or hostile: the names in it have more than "
                               f"{LONGEST} letters; download it again")  # fmt: skip
        for name, value in part.held.items():
            if isinstance(value, Tensor):
                yield f"{prefix}{name}", value.detach()
            waiting.append((f"{prefix}{name}.", value))


def _loaded(
    path: Path, source: Path | io.BytesIO | io.BufferedReader, mmap: bool = False
) -> object:
    if holds_bytearray(path):
        raise WeightsError(f"{path} asks for a bytearray, which can fill the memory and which no "
                           "weights need; save model.state_dict() alone")  # fmt: skip
    try:
        with warnings.catch_warnings():  # about pickle protocols; what matters raises
            warnings.simplefilter("ignore")
            with torch.serialization.safe_globals([*STANDINS]):
                return torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged or hostile pickle raises anything
        foreign = _foreign(path, str(error))
        if foreign:
            raise UnsafeWeights(path, foreign) from None
        raise damaged(path, error) from error


def _foreign(path: Path, message: str) -> str | None:
    """The import that torch refused, if that was the reason."""
    named = re.search(r"GLOBAL (\S+)", message)
    if named:
        return named[1]
    refused = "operand" in message or "unrecognized function" in message
    return _first_foreign(program_of(path, SCANNED)) if refused else None


def _first_foreign(program: bytes) -> str | None:
    known = {name for _, name in STANDINS}
    names = (name for name in imports(program) if name not in known)
    return next((name for name in names if not name.startswith(HARMLESS)), None)
