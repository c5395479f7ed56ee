"""What may be left of rows that were removed, and looking for it in every place that can be asked.

Byte strings that rows which stay hold as well, for example the vector of the same picture in
another file, prove nothing and are told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from tipr.gallery.filters import Among
from tipr.gallery.needles import Needles
from tipr.gallery.store import Store, Vectors

_BYTES = 64
_TELLING = 6  # different bytes; with fewer, a string stands in many files by chance
_BATCH = 1000
_SEARCHED = 1000
_AT_ONCE = 300_000
_SCAN = b"\xff\xda"  # where the pixels of a JPEG begin; what is before, many have in common

_Items = TypeVar("_Items", list[str], Vectors)
_Search = Callable[[Sequence[bytes]], list[str]]


@dataclass
class Known:
    """What is known of rows before they go; `queries` (N, D) are vectors of some of them."""

    ids: list[str]
    queries: Vectors
    names: list[bytes] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    plain: int = 0  # that are too plain to be looked for


@dataclass(frozen=True)
class Left:
    looked: tuple[str, ...]
    unseen: tuple[str, ...]
    found: tuple[str, ...]


def of(store: Store, ids: list[str]) -> Known:
    """Bytes to look for: of each id, of the middle of each vector and of each thumbnail."""
    there = store.known(ids)
    present = [id for id in ids if id in there]
    step = max(1, -(-len(present) // _SEARCHED))
    known = Known(ids, store.vectors(present[::step]))
    _note(known, known.names, (id.encode() for id in ids))
    for some in _slices(present):
        vectors = np.ascontiguousarray(store.vectors(some), np.float32)
        _note(known, known.contents, (_middle(row.tobytes()) for row in vectors))
        small = (store.thumbnail(id) for id in some)
        _note(known, known.contents, (_of_picture(jpeg) for jpeg in small if jpeg))
    return known


def left(store: Store, known: Known) -> Left:
    """Asks every way in for the ids, and searches the files where the store can."""
    ids, looked, found = set(known.ids), [], []
    for way, ask in _WAYS.items():
        answers = {id for some in _slices(known.ids) for id in ask(store, some)} & ids
        looked.append(f"{way}: {len(ids)} ids")
        if answers:
            found.append(f"{way} still knows {len(answers)} of the ids")
    near = {
        h.record.id for q in _slices(known.queries) for hs in store.search_many(q, 10) for h in hs
    }
    looked.append(f"search: {len(known.queries)} of the vectors")
    if near & ids:
        found.append(f"search still finds {len(near & ids)} of the ids")
    if dead := store.facts().get("removed"):
        found.append(f"the store still holds {dead} rows that were removed")
    files = _in_files(store, known)
    unseen = [*files.unseen]
    if known.plain:
        unseen.append(f"{known.plain} byte strings that are too plain to be told from others")
    return Left((*looked, *files.looked), tuple(unseen), (*found, *files.found))


def _in_files(store: Store, known: Known) -> Left:
    search: _Search | None = getattr(store, "traces", None)
    if search is None:
        return Left((), ("the files of this store, which only its engine can read",), ())
    count = len(known.names) + len(known.contents)
    looked = (f"every byte of the store's files: {count} byte strings of ids, vectors, thumbnails",)
    if not _holding(search, [*known.names, *known.contents]):
        return Left(looked, (), ())
    shared = _shared(store, known.contents)
    told = f"{len(shared)} byte strings that rows which stay hold as well"
    own = [needle for needle in known.contents if needle not in shared]
    found = [f"a vector or a thumbnail stands in the file {name}" for name in _holding(search, own)]
    found += [
        f"an id stands in the file {name}, perhaps among the facts of a row that stays"
        for name in _holding(search, known.names)
    ]
    return Left(looked, (told,) if shared else (), tuple(found))


def _holding(search: _Search, needles: list[bytes]) -> list[str]:
    parts = range(0, len(needles), _AT_ONCE)
    return sorted({name for at in parts for name in search(needles[at : at + _AT_ONCE])})


def _shared(store: Store, contents: list[bytes]) -> set[bytes]:
    """Those that stand in the vectors and thumbnails of the rows that are there."""
    wanted, shared = Needles(contents), set()
    for vectors, records in store.scan(_BATCH):
        shared |= wanted.found(np.ascontiguousarray(vectors, np.float32).tobytes())
        for record in records:
            shared |= wanted.found(store.thumbnail(record.id) or b"")
    return shared


def _note(known: Known, needles: list[bytes], found: Iterator[bytes]) -> None:
    for needle in found:
        if len(set(needle)) < _TELLING:
            known.plain += 1
        else:
            needles.append(needle)


def _of_picture(jpeg: bytes) -> bytes:
    return _middle(jpeg[jpeg.rfind(_SCAN) + len(_SCAN) :] if _SCAN in jpeg else jpeg)


def _middle(data: bytes) -> bytes:
    """64 bytes, or all of it where those tell nothing."""
    start = max(0, (len(data) - _BYTES) // 2)
    part = data[start : start + _BYTES]
    return part if len(set(part)) >= _TELLING else data


def _slices(items: _Items) -> Iterator[_Items]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def _gotten(store: Store, ids: list[str]) -> list[str]:
    return [id for id in ids if store.get(id) is not None]


def _pictured(store: Store, ids: list[str]) -> list[str]:
    return [id for id in ids if store.thumbnail(id) is not None]


def _recorded(store: Store, ids: list[str]) -> list[str]:
    return [record.id for record in store.records(Among("id", tuple(ids)))]


_WAYS: dict[str, Callable[[Store, list[str]], Sequence[str] | set[str]]] = {
    "known": lambda store, ids: store.known(ids),
    "get": _gotten,
    "thumbnail": _pictured,
    "records": _recorded,
}
