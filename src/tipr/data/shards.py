"""Files inside tar archives, read where they lie.

A member is named by the path `SHARD.tar/MEMBER`. That path is a name and nothing else: it leads to
the archive's own index and never to a file on disk, whatever the member is called. Of an archive
only the headers are read for the index, once, and again when it changes; links, devices and folders
in it are no members.
"""

from __future__ import annotations

import tarfile
from functools import cache
from pathlib import Path, PurePosixPath

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
LARGEST = 1 << 28  # bytes of a member: it is read whole

Index = dict[str, tuple[int, int]]  # member -> where it begins, and how many bytes it has


class ShardError(ValueError):
    """An archive cannot be read, or lacks a member; the message says which and what to do."""


def shard_of(path: Path) -> Path | None:
    """The archive that a path leads into; None for a path on disk."""
    if ".tar/" not in path.as_posix().lower():
        return None
    for parent in reversed(path.parents):
        if parent.suffix.lower() == ".tar" and parent.is_file():
            return parent
    return None


def member_bytes(path: Path) -> bytes:
    """The contents of the member `SHARD.tar/MEMBER`.

    Raises:
        ShardError: the archive cannot be read, has no such member, or an enormous one.
    """
    shard = shard_of(path)
    if shard is None:
        raise ShardError(f"{path} lies in no .tar archive")
    place = index(shard).get(path.relative_to(shard).as_posix())
    if place is None:
        raise ShardError(f"{shard} has no member {path.relative_to(shard).as_posix()!r}")
    if place[1] > LARGEST:
        raise ShardError(f"{path} has {place[1]} bytes; the limit inside an archive is {LARGEST}")
    with shard.open("rb") as file:
        file.seek(place[0])
        return file.read(place[1])


def index(shard: Path) -> Index:
    """Where every plain file of an archive begins, by its name in plain form, in their order.

    Raises:
        ShardError: it is compressed, breaks off, or is no tar archive.
    """
    try:
        status = shard.stat()
        return _index(shard, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ShardError(f"{shard} cannot be read: {error.strerror}; copy it again") from error


@cache
def _index(shard: Path, modified: int, size: int) -> Index:
    del modified  # a changed archive is another one
    _check_uncompressed(shard)
    try:
        with tarfile.open(shard, "r:", encoding="utf-8") as archive:
            return _members(archive, shard, size)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        if isinstance(error, ShardError):
            raise
        raise ShardError(f"{shard} is no whole tar archive ({error}); copy it again") from error


def _members(archive: tarfile.TarFile, shard: Path, size: int) -> Index:
    found: Index = {}
    last = -1
    while (member := archive.next()) is not None:
        archive.members = []  # ty: ignore[missing-attribute]  # else every header is kept
        begins = member.offset_data
        if member.offset <= last or not 0 <= member.size <= size - begins:
            raise ShardError(f"{shard} breaks off in {member.name!r}; copy it again")
        last = member.offset
        if not member.isreg() or member.issparse():
            continue
        name = str(PurePosixPath(member.name))
        if name in found:
            raise ShardError(f"{shard} holds {name!r} twice; write the archive again")
        found[name] = (begins, member.size)
    return found


def _check_uncompressed(shard: Path) -> None:
    with shard.open("rb") as file:
        first = file.read(6)
    for magic, name in COMPRESSED.items():
        if first.startswith(magic):
            says = f"is compressed ({name}); its pictures can only be read from a plain tar"
            raise ShardError(f"{shard} {says}: unpack it to .tar first")
