"""Torch's own files, read by its restricted unpickler, which imports nothing."""

from __future__ import annotations

import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from tipr.encoders.pretrained.faults import UnsafeWeights, WeightsError

SCRIPTED = "__torch__."  # where TorchScript keeps the classes of an archive
LISTS = tuple(f"torch.jit._pickle.build_{kind}list" for kind in ("int", "double", "bool", "tensor"))
SCANNED = 64 * 2**20  # bytes of a pickle that are searched for names


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
    if zipfile.is_zipfile(path) and path.suffix != ".safetensors":  # torch goes by that name
        return _loaded(path, path, mmap=True)
    with path.open("rb") as file:
        return _loaded(path, file)


def script_inside(path: Path) -> bool:
    """Whether the zip archive is TorchScript's."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(n).name == "constants.pkl" for n in archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(path, error) from error


def read_script(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers of a TorchScript archive by their dotted names.

    Its code is left out and its classes are replaced by ones that do nothing, so that torch's
    restricted unpickler takes what remains: a tree of attributes.
    """
    copy, names = _without_code(path)
    inert = [(Part, name) for name in names if name.startswith(SCRIPTED)]
    with torch.serialization.safe_globals([*inert, *((list, name) for name in LISTS)]):
        root = _loaded(path, copy)
    return dict(_tensors(root))


def _without_code(path: Path) -> tuple[io.BytesIO, list[str]]:
    """The archive with its tensors and their tree alone, and the names that the tree imports."""
    copy = io.BytesIO()
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as kept:
            tree = _tree(archive)
            folder = tree.removesuffix("data.pkl")
            data = [e for e in archive.infolist() if _is_data(e.filename.removeprefix(folder))]
            if sum(entry.file_size for entry in data) > path.stat().st_size:
                raise WeightsError(f"{path} unpacks to more than its own size, which torch's "
                                   "archives never do; do not trust it")  # fmt: skip
            for entry in data:
                kept.writestr(entry.filename, archive.read(entry))
            names = list(_imports(archive.read(tree)))
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(path, error) from error
    copy.seek(0)
    return copy, names


def _tree(archive: zipfile.ZipFile) -> str:
    """The entry that says what is in the archive: the only one not nested further."""
    names = [n for n in archive.namelist() if PurePosixPath(n).name == "data.pkl"]
    if not names:
        raise zipfile.BadZipFile("the archive has no data.pkl")
    return min(names, key=len)


def _is_data(name: str) -> bool:
    return name in ("data.pkl", "version", "byteorder") or name.startswith("data/")


def _tensors(root: object) -> Iterator[tuple[str, Tensor]]:
    """Walks the tree; a part that several others share appears under the first name."""
    waiting, seen = [("", root)], set()
    while waiting:
        prefix, part = waiting.pop()
        if not isinstance(part, Part) or id(part) in seen:
            continue
        seen.add(id(part))
        for name, value in part.held.items():
            if isinstance(value, Tensor):
                yield f"{prefix}{name}", value.detach()
            waiting.append((f"{prefix}{name}.", value))


def _loaded(
    path: Path, source: Path | io.BytesIO | io.BufferedReader, mmap: bool = False
) -> object:
    try:
        with warnings.catch_warnings():  # about pickle protocols; what matters raises
            warnings.simplefilter("ignore")
            return torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged or hostile pickle raises anything
        foreign = _foreign(path, str(error))
        if foreign:
            raise UnsafeWeights(path, foreign) from None
        raise _damaged(path, error) from error


def _foreign(path: Path, message: str) -> str | None:
    """The import that torch refused, if that was the reason."""
    named = re.search(r"GLOBAL (\S+)", message)
    if named:
        return named[1]
    harmless = ("torch.", "collections.", SCRIPTED)
    refused = "operand" in message or "unrecognized function" in message
    names = _imports(_program(path)) if refused else iter(())
    return next((name for name in names if not name.startswith(harmless)), None)


def _program(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return file.read(SCANNED)
    with zipfile.ZipFile(path) as archive, archive.open(_tree(archive)) as file:
        return file.read(SCANNED)


def _imports(program: bytes) -> Iterator[str]:
    """The names that a pickle would import, read off its opcodes without running them."""
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name in ("GLOBAL", "INST"):
                yield str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                yield ".".join(strings[-2:])
            elif isinstance(argument, str):
                strings.append(argument)
    except ValueError:  # cut off, or garbage: what came before counts
        return


def _damaged(path: Path, error: Exception) -> WeightsError:
    told = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    reason = told.split("\n", 1)[0][:200] or type(error).__name__
    return WeightsError(f"{path} is cut off or damaged ({reason}); download or copy it again")
