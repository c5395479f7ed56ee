"""Which store a gallery's name means: a folder of this machine, or a server by its address."""

from __future__ import annotations

from pathlib import Path

from tipr.gallery.store import Store

_SERVERS = ("milvus://", "milvus+tls://")


def is_server(where: Path | str) -> bool:
    return str(where).startswith(_SERVERS)


def store_is_there(where: Path | str) -> bool:
    if is_server(where):
        from tipr.gallery.milvus_store import MilvusStore

        return MilvusStore.there(str(where))
    from tipr.gallery.local.files import POINTER

    return (Path(where) / POINTER).is_file()


def open_store(where: Path | str, width: int | None = None) -> Store:
    """The store at a folder or address; a new one of `width`, if that is given.

    Raises:
        StoreError: it is not there, or cannot be opened.
    """
    if is_server(where):
        from tipr.gallery.milvus_store import MilvusStore

        return MilvusStore(str(where), width, create=width is not None)
    from tipr.gallery.local import LocalStore

    return LocalStore(where, width)
