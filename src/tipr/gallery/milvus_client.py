"""The way to a Milvus server: addresses, requests, and its errors in the user's words.

milvus://host/NAME    milvus://user:password@host:19530/NAME    milvus+tls://host/NAME
"""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from tipr.gallery.milvus_filters import among
from tipr.gallery.milvus_rows import INDEX, Row
from tipr.gallery.store import StoreError

SECONDS = 60.0  # for one request, repeats included
_PATIENCE = 3600.0  # seconds for work that grows with the collection: loading, indexing, compaction
_INDEXED = 1024  # rows from which on Milvus indexes a segment
_PAGE = 1000  # rows read at once
SESSION = {"consistency_level": "Session"}  # after a strong request, which waited for the others
_NAME = re.compile(r"(?!.*_(notes|thumbnails)$)[A-Za-z_][A-Za-z0-9_]{0,199}")
_REFUSED = ("illegal connection params", "auth check", "unauthenticated", "permission")
_PASSING = ("channel not available", "no available shard")  # segments change hands
_EXAMPLE = "write it as milvus://host:19530/NAME or milvus://user:password@host:19530/NAME"


@dataclass(frozen=True, kw_only=True)
class Address:
    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    tls: bool

    @classmethod
    def read(cls, uri: str) -> Address:
        """StoreError for what is no address; a password is never repeated."""
        try:
            parts = urlsplit(uri)
            port = parts.port or 19530
        except ValueError:
            raise StoreError(
                f"the address of the Milvus server cannot be read; {_EXAMPLE}"
            ) from None
        if parts.scheme not in ("milvus", "milvus+tls") or not parts.hostname:
            raise StoreError(f"the address names no Milvus server; {_EXAMPLE}")
        name = parts.path.strip("/")
        if not _NAME.fullmatch(name):
            raise StoreError(
                f"Milvus takes no gallery named {name!r}: a name is letters, digits and _, begins "
                "with no digit, has 200 characters at most and does not end in _notes or "
                f"_thumbnails; {_EXAMPLE}"
            )
        return cls(
            host=parts.hostname,
            port=port,
            name=name,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            tls=parts.scheme == "milvus+tls",
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Client:
    """A connection; every error is a StoreError that names the server."""

    def __init__(self, address: Address) -> None:
        try:
            import pymilvus  # with pandas in it, so only when a server is asked
        except ModuleNotFoundError:
            raise StoreError(
                "galleries on a Milvus server need pymilvus: pip install 'tipr[milvus]'"
            ) from None

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints what it also raises
        self.address = address
        host = f"[{address.host}]" if ":" in address.host else address.host
        with self._named_errors("reach the gallery"):
            self._client = pymilvus.MilvusClient(
                f"{'https' if address.tls else 'http'}://{host}:{address.port}",
                user=address.user,
                password=address.password,
                timeout=min(10, SECONDS),
            )

    def ask(self, verb: str, *arguments: Any, **named: Any) -> Any:
        """One request of MilvusClient, by the name of its method."""
        request = partial(getattr(self._client, verb), *arguments, **{"timeout": SECONDS, **named})
        end = time.monotonic() + SECONDS
        while True:
            try:
                with self._named_errors(verb.replace("_", " ")):
                    return request()
            except StoreError as error:
                passing = any(sign in str(error) for sign in _PASSING)
                if not passing or time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def rows(self, collection: str, where: str, columns: Sequence[str], **named: Any) -> list[Row]:
        """All of them, with columns `id` and those asked, and vectors as arrays."""
        named = {"filter": where, "output_fields": list(columns), **named}
        found = self.ask("query", collection, **{"consistency_level": "Strong", **named})
        for row in found:
            if "vector" in row:
                row["vector"] = np.asarray(row["vector"], np.float32)
        return list(found)

    def count(self, collection: str, where: str = "", **named: Any) -> int:
        return int(self.rows(collection, where, ["count(*)"], **named)[0]["count(*)"])

    def rows_of(
        self, collection: str, ids: Sequence[str], columns: Sequence[str], **named: Any
    ) -> dict[str, Row]:
        """By id, those that are there; `named` as for `rows`."""
        found: dict[str, Row] = {}
        for some in pieces(list(dict.fromkeys(ids))):
            for row in self.rows(collection, among("id", some), ["id", *columns], **named):
                found[row["id"]] = row
        return found

    def create(self, schemas: dict[str, Any]) -> None:
        """Collections with an index on `vector`, ready to be searched."""
        for name, schema in schemas.items():
            self.ask("create_collection", name, schema=schema, consistency_level="Strong")
            chosen = self._client.prepare_index_params()
            chosen.add_index("vector", **INDEX)
            self.ask("create_index", name, chosen, sync=False)
            self.ask("load_collection", name, _async=True)

    def settle(self, collection: str) -> None:
        """Waits until the index covers every row that was flushed."""

        def settled() -> bool:
            state = self.ask("describe_index", collection, "vector")
            return state["state"] == "Finished" and not state["pending_index_rows"]

        self._wait(settled, f"finished the index of {collection}")

    def use_index(self, collection: str) -> None:
        """Waits until every row is indexed and searches go through the index."""
        self.ask("flush", collection)
        self.settle(collection)
        self.ask("refresh_load", collection, timeout=_PATIENCE)

        def used() -> bool:
            segments = self.ask("list_loaded_segments", collection)
            return all(one.index_name for one in segments if one.num_rows >= _INDEXED)

        self._wait(used, f"loaded the index of {collection}")

    def compact(self, collection: str) -> None:
        """Returns when the segments that held removed rows are rewritten without them."""
        self.ask("flush", collection)
        written = int(self.ask("get_collection_stats", collection)["row_count"])
        if written == self.count(collection):
            return
        job = self.ask("compact", collection)
        self._wait(
            lambda: self.ask("get_compaction_state", job) == "Completed", f"compacted {collection}"
        )
        self.use_index(collection)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not done():
            if time.monotonic() > end:
                raise StoreError(
                    f"the Milvus server at {self.address} has not {what} in an hour; nothing is "
                    "lost, run the same command again later"
                )
            time.sleep(0.1)

    def load(self, collection: str) -> None:
        self.ask("load_collection", collection, timeout=_PATIENCE)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _named_errors(self, verb: str) -> Generator[None]:
        import grpc
        import pymilvus

        try:
            yield
        except (pymilvus.MilvusException, grpc.RpcError, OSError) as error:
            raise StoreError(
                self._words(verb, getattr(error, "message", "") or str(error))
            ) from error

    def _words(self, verb: str, said: str) -> str:
        where = f"the Milvus server at {self.address}"
        lower = said.lower()
        if not self._answers():
            return (
                f"{where} does not answer; start it or correct the address, then run the same "
                "command again: what was stored before is safe"
            )
        if any(sign in lower for sign in _REFUSED):
            who = f"user {self.address.user!r}" if self.address.user else "visitors without a name"
            return (
                f"{where} refuses {who}, or it is none; check the name and password in "
                "milvus://user:password@host:port/NAME, and milvus+tls:// where it wants TLS"
            )
        if "deadline" in lower or "timeout" in lower:
            return (
                f"{where} did not {verb} within {SECONDS:.0f} seconds; it may be loading or busy, "
                "run the same command again later: what was stored before is safe"
            )
        return f"{where} refuses to {verb} ({self.address.name}): {said.splitlines()[0][:300]}"

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.address.host, self.address.port), 5).close()
        except OSError:
            return False
        return True


def walked(client: Client, collection: str, where: str, columns: Sequence[str]) -> Iterator[Row]:
    """In order of insertion, which Milvus does not know.

    The span of the rows' numbers is halved until few of them are in a part.
    """
    waiting = [(0, 2**63 - 1, client.count(collection, where))]
    while waiting:
        low, high, count = waiting.pop()
        middle = (low + high) // 2
        if count > _PAGE and middle > low:
            here = f"{where} and number >= {low} and number < {middle}"
            left = client.count(collection, here, **SESSION)
            waiting += [(middle, high, count - left), (low, middle, left)]
        elif count > 0:
            here = f"{where} and number >= {low} and number < {high}"
            rows = client.rows(collection, here, [*columns, "number"], **SESSION)
            yield from sorted(rows, key=lambda row: (row["number"], row["id"]))


def pieces(values: Any, size: int = 1000) -> Iterator[Any]:
    return (values[start : start + size] for start in range(0, len(values), size))
