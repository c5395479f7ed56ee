"""The store on a Milvus server or cluster, for galleries that outgrow one machine.

True here: a reader sees what was acknowledged to any writer before it asked; an addition that
returned survives the end of the server process; ids are kept once, whoever adds them. Searches with
a filter look at every row that it lets through, others at every row too until `maintain` measured
that fewer lists of the index do. The engine's scores choose candidates; their order is settled in
float64 with the vectors themselves, as in `MemoryStore`.

The server must run with `queryNode.segcore.interimIndex.enableIndex: false`. Otherwise, until
`maintain`, it searches new rows through a coarse index of its own that nothing can pass by: of the
true results it found 0.87 without a filter and 0.07 with one that lets 0.1 % through. Whether a
write survives the loss of power is for the server's message log and object store.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tipr.gallery.filters import Among, Filter
from tipr.gallery.milvus_client import SESSION, Address, Client, pieces, walked
from tipr.gallery.milvus_filters import TRUE, Span, among, expression
from tipr.gallery.milvus_rows import (
    LISTS,
    RECORD,
    Row,
    jpeg,
    note_row,
    notes_of,
    record,
    requests,
    row,
    schemas,
    thumbnail_row,
    thumbnails_of,
)
from tipr.gallery.milvus_search import asking, best, candidates, measured, scanned
from tipr.gallery.record import Hit, Record, microseconds
from tipr.gallery.store import (
    StoreError,
    Thumbnails,
    Vectors,
    check_ids,
    check_k,
    check_records,
    unit_query,
    unit_rows,
)

_EXACT = 200_000  # rows that are all looked at, whatever was measured
_QUERIES = 64  # whose results are fetched together
_INDEX_NOTE, _YEAR = "tipr/index", "tipr/year/"


class MilvusStore:
    """The gallery of an address; `create` makes it, `width` wide, where it is not there."""

    def __init__(self, uri: str, width: int | None = None, create: bool = False) -> None:
        self._address = Address.read(uri)
        self._name = self._address.name
        self._notes, self._thumbnails = notes_of(self._name), thumbnails_of(self._name)
        self._client = Client(self._address)
        try:
            if not self._client.ask("has_collection", self._name):
                self._create(width if create else None)
            self.width = self._opened()
        except BaseException:
            self.close()
            raise
        if width is not None and self.width != width:
            self.close()
            raise ValueError(
                f"{self._name} on {self._address} holds vectors of width {self.width}, not {width}"
            )
        self._last = 0  # number that was given to a row
        self._years: set[int] = set()
        self._index: dict[str, Any] = json.loads(self.note(_INDEX_NOTE) or "{}")

    @staticmethod
    def there(uri: str) -> bool:
        client = Client(Address.read(uri))
        try:
            return bool(client.ask("has_collection", client.address.name))
        finally:
            client.close()

    def _create(self, width: int | None) -> None:
        if width is None:
            raise StoreError(
                f"there is no gallery {self._name} on {self._address}; index pictures into it: "
                "tipr index PHOTOS --gallery ADDRESS --model MODEL"
            )
        self._client.create(schemas(self._name, width))

    def _opened(self) -> int:
        """The width, once all three collections can be searched."""
        fields = self._client.ask("describe_collection", self._name)["fields"]
        columns = {one["name"]: one["params"] for one in fields}
        lacking = {"vector", "number", "clock", "facts", *RECORD} - columns.keys()
        if lacking:
            raise StoreError(
                f"the collection {self._name} on {self._address} is no gallery of tipr: it lacks "
                f"{', '.join(sorted(lacking))}; choose another name"
            )
        for collection in (self._notes, self._thumbnails, self._name):
            if not self._client.ask("has_collection", collection):
                raise StoreError(
                    f"the gallery {self._name} on {self._address} is damaged: its collection "
                    f"{collection} is gone; drop {self._name} and index the pictures again"
                )
            self._client.load(collection)
        return int(columns["vector"]["dim"])

    def add(
        self, vectors: ArrayLike, records: Sequence[Record], thumbnails: Thumbnails | None = None
    ) -> int:
        units = unit_rows(vectors, self.width)
        check_records(units, records, thumbnails)
        there = self.known([one.id for one in records])
        new = [place for place, one in enumerate(records) if one.id not in there]
        start = max(self._last + 1, time.time_ns())  # so writers need not agree on a count
        self._last = start + len(new)
        rows = [
            {**row(records[place]), "vector": units[place], "number": start + number}
            for number, place in enumerate(new)
        ]
        small = [
            thumbnail_row(records[place].id, picture)
            for place in new
            if thumbnails and (picture := thumbnails[place]) is not None
        ]
        self._write(self._thumbnails, small)  # first: no row is there without what belongs to it
        self._write_rows(rows, records)
        return len(new)

    def _write_rows(self, rows: Sequence[Row], records: Sequence[Record]) -> None:
        """Also notes the years of their times, which times of day are looked up by."""
        years = {one.time.year for one in records if one.time} - self._years
        self._write(self._notes, [note_row(f"{_YEAR}{year}", "") for year in sorted(years)])
        self._years |= years
        self._write(self._name, rows)

    def _write(self, collection: str, rows: Sequence[Row]) -> None:
        for some in requests(rows):
            self._client.ask("upsert", collection, some)

    def search(
        self, query: ArrayLike, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[Hit]:
        return self.search_many(unit_query(query, self.width)[None], k, where, exact=exact)[0]

    def search_many(
        self, queries: ArrayLike, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[list[Hit]]:
        check_k(k)
        probes = LISTS if exact or where is not None else self._index.get("probes", LISTS)
        ask = asking(self._client, self._name, self._expression(where))
        found: list[list[Hit]] = []
        for some in pieces(unit_rows(queries, self.width), _QUERIES):
            near = candidates(ask, some, k, probes)
            rows = self._rows({id for ids in near.values() for id in ids})
            for place, query in enumerate(some):
                if place not in near:
                    found.append(scanned(query, k, self.scan(where=where)))
                    continue
                found.append(best(query, k, [rows[id] for id in near[place] if id in rows]))
        return found

    def _rows(self, ids: Collection[str]) -> dict[str, Row]:
        """Whole rows, by id, those that are there."""
        columns = [*RECORD, "vector", "number"]
        found = self._client.rows_of(self._name, list(ids), columns, **SESSION)
        missing = [id for id in ids if id not in found]  # removed, or this replica is behind
        return {**found, **self._client.rows_of(self._name, missing, columns)}

    def get(self, id: str) -> Record | None:
        found = self._client.rows_of(self._name, [id], RECORD)
        return record(found[id]) if found else None

    def known(self, ids: Sequence[str]) -> set[str]:
        return set(self._client.rows_of(self._name, ids, []))

    def vectors(self, ids: Sequence[str]) -> Vectors:
        found = self._client.rows_of(self._name, ids, ["vector"])
        return np.asarray([found[id]["vector"] for id in ids], np.float32).reshape(-1, self.width)

    def thumbnail(self, id: str) -> bytes | None:
        found = self._client.rows_of(self._thumbnails, [id], ["jpeg"])
        return jpeg(found[id]) if found else None

    def ids(self, where: Filter | None = None) -> list[str]:
        return [one["id"] for one in self._walked(where, [])]

    def records(self, where: Filter | None = None) -> Iterator[Record]:
        return map(record, self._walked(where, RECORD))

    def scan(
        self, batch: int = 1000, where: Filter | None = None
    ) -> Iterator[tuple[Vectors, list[Record]]]:
        rows = self._walked(where, [*RECORD, "vector"])
        while some := list(islice(rows, batch)):
            yield np.stack([one["vector"] for one in some]), [record(one) for one in some]

    def _walked(self, where: Filter | None, columns: Sequence[str]) -> Iterator[Row]:
        return walked(self._client, self._name, self._expression(where) or TRUE, columns)

    def count(self, where: Filter | None = None) -> int:
        return self._client.count(self._name, self._expression(where))

    def _expression(self, where: Filter | None) -> str:
        return f"({expression(where, self._span)})" if where is not None else ""

    def _span(self) -> Span:
        """From the first to the last year that a row was ever of."""
        found = self._client.rows(self._notes, f'id like "{_YEAR}%"', ["id"])
        if not found:
            return None
        years = [int(one["id"].removeprefix(_YEAR)) for one in found]
        first = datetime(min(years), 1, 1, tzinfo=UTC)
        last = datetime(max(years), 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
        return microseconds(first), microseconds(last)

    def update(self, records: Sequence[Record]) -> int:
        check_ids(records)
        changed = [(one, row(one)) for one in records]
        count = 0
        for some in pieces(changed):
            ids = [one.id for one, _ in some]
            there = self._client.rows_of(self._name, ids, ["vector", "number"])
            rows = [{**new, **there[one.id]} for one, new in some if one.id in there]
            self._write_rows(rows, [one for one, _ in some])
            count += len(rows)
        return count

    def change(self, ids: Sequence[str], how: Callable[[Record], Record]) -> int:
        """Not in one step: of two who change a record at once, the later one counts."""
        return self.update([how(record) for record in self.records(Among("id", tuple(ids)))])

    def remove(self, ids: Sequence[str]) -> int:
        there = self.known(ids)
        for some in pieces(list(ids)):
            for collection in (self._thumbnails, self._name):  # so that it can be repeated
                self._client.ask("delete", collection, filter=among("id", some))
        return len(there)

    def note(self, name: str) -> str | None:
        found = self._client.rows_of(self._notes, [name], ["text"])
        return found[name]["text"] if found else None

    def put_note(self, name: str, text: str | None) -> None:
        if text is None:
            self._client.ask("delete", self._notes, filter=among("id", [name]))
        else:
            self._write(self._notes, [note_row(name, text)])

    def maintain(self, queries: ArrayLike | None = None) -> None:
        """Has what was added indexed; measures how much of the index must be looked at."""
        self._client.use_index(self._name)
        rows = len(self)
        if rows <= _EXACT:
            self._index = {}
        elif queries is not None:
            units, ask = unit_rows(queries, self.width), asking(self._client, self._name, "")
            self._index = {"rows": rows, **measured(ask, units)}
        self.put_note(_INDEX_NOTE, json.dumps(self._index) if self._index else None)

    def compact(self) -> None:
        """Has the server rewrite the segments that hold removed rows.

        Afterwards nothing of them can be asked for. The server itself deletes the old segments when
        its `dataCoord.gc.dropTolerance` is over (three hours, as it comes), and what was once
        written leaves its message log with the log's retention (`rocksmq` three days, Pulsar and
        Kafka as they are set): only then is it gone from the disks.
        """
        for collection in (self._name, self._thumbnails, self._notes):
            self._client.compact(collection)

    def facts(self) -> dict[str, Any]:
        """`bytes` are those of the vectors alone; the server does not tell its files."""
        rows, replicas = len(self), self._client.ask("describe_replica", self._name)
        return {
            "engine": "milvus",
            "version": self._client.ask("get_server_version"),
            "rows": rows,
            "index": "IVF_FLAT" if self._index else "exact",
            "lists": LISTS,
            **{name: self._index.get(name) for name in ("probes", "recall")},
            "nodes": len({node for one in replicas for node in one.group_nodes}),
            "bytes": rows * self.width * 4,
        }

    def __len__(self) -> int:
        return self.count()

    def close(self) -> None:
        """Nothing is pending: every addition was safe when it returned."""
        self._client.close()
