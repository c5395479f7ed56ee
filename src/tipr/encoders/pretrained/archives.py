"""Torch's zip archives, looked into before anything in them is unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tipr.encoders.pretrained.faults import WeightsError, damaged

BROKEN = (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, ValueError)
ENCRYPTED = 1  # a bit of an entry's flags


@contextmanager
def opened(path: Path) -> Generator[zipfile.ZipFile]:
    """What zipfile raises, here and within, names the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except WeightsError:
        raise
    except BROKEN as error:
        raise damaged(path, error) from error


def script_inside(path: Path) -> bool:
    """Whether the zip archive is TorchScript's."""
    with opened(path) as archive:
        return any(PurePosixPath(n).name == "constants.pkl" for n in archive.namelist())


def check_sizes(path: Path, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Raises WeightsError where unpacking would give more than the file has."""
    total = 0
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & ENCRYPTED:
            raise WeightsError(f"{path}: {entry.filename} is compressed or encrypted, which "
                               "torch's archives never are; save it again with torch.save, or do "
                               "not trust it")  # fmt: skip
        total += entry.file_size
    if total > path.stat().st_size:
        raise WeightsError(f"{path} unpacks to more than its own size, which torch's "
                           "archives never do; do not trust it")  # fmt: skip


def check_archive(path: Path) -> None:
    with opened(path) as archive:
        check_sizes(path, archive.infolist())


def without_code(path: Path) -> tuple[io.BytesIO, bytes]:
    """A TorchScript archive with its tensors and their tree alone, and that tree."""
    copy = io.BytesIO()
    with opened(path) as archive, zipfile.ZipFile(copy, "w") as kept:
        tree = _tree(archive)
        folder = tree.removesuffix("data.pkl")
        data = [e for e in archive.infolist() if _is_data(e.filename.removeprefix(folder))]
        check_sizes(path, data)
        for entry in data:
            kept.writestr(entry.filename, archive.read(entry))
        program = archive.read(tree)
    copy.seek(0)
    return copy, program


def program_of(path: Path, most: int) -> bytes:
    """The start of the pickle in a file of torch's, in a zip archive or not."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return file.read(most)
    with opened(path) as archive, archive.open(_tree(archive)) as file:
        return file.read(most)


def _tree(archive: zipfile.ZipFile) -> str:
    """The entry that says what is in the archive: the only one not nested further."""
    names = [n for n in archive.namelist() if PurePosixPath(n).name == "data.pkl"]
    if not names:
        raise zipfile.BadZipFile("the archive has no data.pkl")
    return min(names, key=len)


def _is_data(name: str) -> bool:
    return name in ("data.pkl", "version", "byteorder") or name.startswith("data/")
