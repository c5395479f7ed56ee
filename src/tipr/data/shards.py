"""Files inside tar archives, read where they lie.

A member is named by the path `SHARD.tar/MEMBER`. That path is a name and nothing else: it leads to
the archive's own index and never to a file on disk, whatever the member is called. Of an archive
only the headers are read for the index, once, and again when it changes, and up to 16 MiB of what
follows them, which must be zeros. Links, devices and sparse files stand in the index with the
reason why they are not read; folders do not.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from tipr.data.plain import plain

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
LARGEST = 1 << 28  # bytes of a member: it is read whole
EXTENSION = 1 << 20  # bytes of a header that goes before another, for a long name say
TAIL = 1 << 24  # bytes of zeros after the last member; tar writes 10 KiB

_BEFORE_OTHERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE,
                  tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """Where a file in an archive begins, and how many bytes it has."""

    begins: int
    size: int
    unread: str = ""  # why it cannot be read, and the way out


Index = dict[str, Member]


class ShardError(ValueError):
    """An archive cannot be read, or lacks a member; the message says which and what to do."""

    def __init__(self, says: str) -> None:
        super().__init__(plain(says))


class _Header(tarfile.TarInfo):
    """A header that cannot ask for more memory than `EXTENSION`, whatever it claims."""

    __slots__ = ()

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _BEFORE_OTHERS and not 0 <= header.size <= EXTENSION:
            says = f"a long name or PAX header claims {header.size} bytes, the limit is {EXTENSION}"
            raise tarfile.ReadError(says)
        return header

    def _proc_gnusparse_10(self, member: tarfile.TarInfo, *_: object) -> None:
        """Leaves the map of a sparse file unread, as the file itself is."""
        member.sparse = b""


def shard_of(path: Path) -> Path | None:
    """The archive that a path leads into; None for a path on disk."""
    if ".tar/" not in path.as_posix().lower():
        return None
    for parent in reversed(path.parents):
        if parent.suffix.lower() == ".tar" and _is_file(parent):
            return parent
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a locked folder: opening the path says so
        return False


def member_bytes(path: Path) -> bytes:
    """The contents of the member `SHARD.tar/MEMBER`.

    Raises:
        ShardError: the archive cannot be read, has no such member, or an enormous one.
    """
    shard = shard_of(path)
    if shard is None:
        raise ShardError(f"{path} lies in no .tar archive")
    member = index(shard).get(path.relative_to(shard).as_posix())
    if member is None:
        raise ShardError(f"{shard} has no member {path.relative_to(shard).as_posix()!r}")
    if member.unread:
        raise ShardError(f"{path} {member.unread}")
    if member.size > LARGEST:
        raise ShardError(
            f"{path} has {member.size} bytes; the limit inside an archive is {LARGEST}"
        )
    with shard.open("rb") as file:
        file.seek(member.begins)
        return file.read(member.size)


def index(shard: Path) -> Index:
    """Every member of an archive but folders, by its name in plain form, in their order.

    Raises:
        ShardError: it is compressed, damaged or cut off, or is no tar archive.
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
        with tarfile.open(shard, "r:", encoding="utf-8", tarinfo=_Header) as archive:
            found = _members(archive, shard, size)
            _check_end(shard, archive.offset, size)
            return found
    except (ShardError, OSError):
        raise
    except Exception as error:  # damaged headers make tarfile raise nearly anything
        why = str(error) or type(error).__name__
        raise ShardError(f"{shard} is no whole tar archive ({why}); copy it again") from error


def _members(archive: tarfile.TarFile, shard: Path, size: int) -> Index:
    found: Index = {}
    last = -1
    while (header := archive.next()) is not None:
        archive.members = []  # ty: ignore[missing-attribute]  # else every header is kept
        unread = _unread(header)
        whole = bool(unread) or 0 <= header.size <= size - header.offset_data
        if header.offset <= last or not whole:
            raise ShardError(f"{shard} breaks off in {header.name!r}; copy it again")
        last = header.offset
        if header.isdir():
            continue
        name = str(PurePosixPath(header.name))
        if name in found:
            raise ShardError(f"{shard} holds {name!r} twice; write the archive again")
        found[name] = Member(header.offset_data, header.size, unread)
    return found


def _unread(header: tarfile.TarInfo) -> str:
    if header.islnk() or header.issym():
        return "is a link; pack it with tar --dereference --hard-dereference"
    if header.issparse():
        return "is stored with holes; pack it without tar --sparse"
    return "" if header.isreg() else "is no regular file; pack the picture or text itself"


def _check_end(shard: Path, end: int, size: int) -> None:
    """Refuses an archive that does not end in zeros after its last member.

    Where it was cut or damaged, `tarfile` takes what came before for the whole.
    """
    with shard.open("rb") as file:
        file.seek(end)
        block = file.read(tarfile.BLOCKSIZE)
        if len(block) < tarfile.BLOCKSIZE:
            raise ShardError(f"{shard} breaks off at byte {size}, before its end; copy it again")
        if block.strip(b"\0"):
            raise ShardError(f"{shard} has a damaged header at byte {end}; copy it again")
        if size - end > TAIL:
            says = f"holds nothing in its last {size - end} bytes; is the download unfinished?"
            raise ShardError(f"{shard} {says} Copy it again")
        if file.read(TAIL).strip(b"\0"):
            says = f"goes on after its end at byte {end}: two archives in one file?"
            raise ShardError(f"{shard} {says} Keep them as two files")


def _check_uncompressed(shard: Path) -> None:
    with shard.open("rb") as file:
        first = file.read(6)
    for magic, name in COMPRESSED.items():
        if first.startswith(magic):
            says = f"is compressed ({name}); its pictures can only be read from a plain tar"
            raise ShardError(f"{shard} {says}: unpack it to .tar first")
