"""How quick a gallery's store is, as ratios to an exact NumPy scan in the same run.

The scan has all vectors and all filter columns in memory and gives row numbers, no records. Queries
are made-up sentences, others than those the index was measured with, and take turns with the scan.
The floor is the time to read the bytes of the vectors once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tipr.bench.gallery_vectors import People, people
from tipr.bench.machine import commit, machine
from tipr.gallery.filters import Among, Filter, Range
from tipr.gallery.local import LocalStore
from tipr.gallery.record import Record

Search = Callable[[int], object]
Progress = Callable[[str], None]

CAMERAS, DAYS = 100, 30
START = datetime(2026, 11, 1, tzinfo=UTC)
_BATCH = 5000
_ASKED = 100  # sentences timed
_MANY = 64  # queries at once
_SINGLES = 20  # records added one by one


@dataclass(frozen=True, kw_only=True)
class Narrow:
    """A filter, and the same as a mask over the columns of the scan."""

    name: str
    where: Filter
    mask: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]  # camera, seconds


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Milliseconds of the store (median, 95th percentile) and of the scan, and what was found."""

    what: str
    p50: float
    p95: float
    scan: float
    recall: float

    @property
    def ratio(self) -> float:
        return self.p50 / self.scan


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One size. Times in seconds unless the name says otherwise; `memory` is of a process that
    only searches, in MiB above its imports: its own, and with the pages it shares."""

    rows: int
    width: int
    ingest: float
    build: float
    bytes_each: float
    index: dict[str, Any]
    opening: float
    floor: float
    adding: float
    adding_worst: float
    memory: tuple[float, float]
    timings: list[Timing] = field(default_factory=list)


def measure(
    sizes: Sequence[int], width: int = 512, told: Progress = lambda _: None
) -> dict[str, Any]:
    """Makes a store of each size in a temporary folder and measures it; JSON values."""
    found = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="tipr-bench-") as folder:
            found.append(_measured(Path(folder) / "gallery", people(rows, width, CAMERAS), told))
    return {
        "commit": commit(),
        "hardware": machine(torch.device("cpu"))["hardware"],
        "sizes": [
            {**asdict(one), "timings": [{**asdict(t), "ratio": t.ratio} for t in one.timings]}
            for one in found
        ],
    }


def _measured(folder: Path, made: People, told: Progress) -> Measured:
    rows, width = made.pictures.shape
    told(f"{rows:,} rows: storing")
    seconds = np.arange(rows, dtype=np.int64) * (DAYS * 86_400) // rows
    store = LocalStore(folder, width)
    ingest = _timed(lambda: _fill(store, made, seconds))
    told("building the index")
    build = _timed(lambda: store.maintain(made.sentences(200, 1)))
    facts = store.facts()
    store.close()
    opening = _timed(lambda: LocalStore(folder).close())
    store = LocalStore(folder)
    asked = made.sentences(_ASKED, 2)
    timings = list(_timings(store, made, seconds, asked, told))
    told("memory, adding")
    memory = _memory(folder, asked[:30])
    adding = _adding(store, asked)
    store.close()
    return Measured(
        rows=rows, width=width, ingest=rows / ingest, build=build,
        bytes_each=facts["bytes"] / rows, index=facts["codes"] or {}, opening=opening,
        floor=_floor(made.pictures), adding=float(np.median(adding)), adding_worst=max(adding),
        memory=memory, timings=timings,
    )  # fmt: skip


def _fill(store: LocalStore, made: People, seconds: NDArray[np.int64]) -> None:
    for start in range(0, len(made.pictures), _BATCH):
        some = range(start, min(len(made.pictures), start + _BATCH))
        records = [
            Record(
                f"{row:032x}", f"/crops/{row:09d}.jpg", camera=f"cam{made.camera[row]}",
                time=START + timedelta(seconds=int(seconds[row])), track=str(made.person[row]),
            )
            for row in some
        ]  # fmt: skip
        store.add(made.pictures[some.start : some.stop], records)


def _narrows() -> list[Narrow]:
    def named(count: int) -> Among:
        return Among("camera", tuple(f"cam{n}" for n in range(count)))

    window = Range("time", START + timedelta(days=10), START + timedelta(days=13))
    low, high = 10 * 86_400, 13 * 86_400
    return [
        Narrow(name="10 %", where=named(10), mask=lambda c, s: c < 10),
        Narrow(name="1 %", where=named(10) & window,
               mask=lambda c, s: (c < 10) & (s >= low) & (s < high)),
        Narrow(name="0.1 %", where=named(1) & window,
               mask=lambda c, s: (c < 1) & (s >= low) & (s < high)),
    ]  # fmt: skip


def _timings(
    store: LocalStore, made: People, seconds: NDArray[np.int64], asked: Any, told: Progress
) -> Any:
    rows = made.pictures

    def scanned(query: Any, k: int) -> NDArray[np.int64]:
        return _top(rows @ query, k)

    def narrowed(narrow: Narrow, query: Any, k: int) -> NDArray[np.int64]:
        chosen = np.flatnonzero(narrow.mask(made.camera, seconds))
        return chosen[_top(rows[chosen] @ query, k)]

    for k in (10, 100):
        told(f"searching for {k}")
        yield _compared(f"k = {k}", asked, lambda q, k=k: store.search(q, k),
                        lambda q, k=k: scanned(q, k))  # fmt: skip
    for narrow in _narrows():
        told(f"a filter of {narrow.name}")
        yield _compared(
            f"k = 10, filter of {narrow.name}", asked,
            lambda q, n=narrow: store.search(q, 10, n.where),
            lambda q, n=narrow: narrowed(n, q, 10),
        )  # fmt: skip
    told(f"{_MANY} at once")
    yield _together(store, rows, asked[:_MANY])


def _top(scores: Any, k: int) -> NDArray[np.int64]:
    return (
        np.argpartition(scores, len(scores) - k)[-k:] if len(scores) > k else np.arange(len(scores))
    )


def _compared(
    what: str, asked: Any, search: Callable[[Any], Any], scan: Callable[[Any], Any]
) -> Timing:
    search(asked[0]), scan(asked[0])
    ours, theirs, recall = [], [], []
    for query in asked:
        start = time.perf_counter()
        hits = search(query)
        middle = time.perf_counter()
        true = scan(query)
        theirs.append(time.perf_counter() - middle)
        ours.append(middle - start)
        shared = {int(hit.record.id, 16) for hit in hits} & set(true.tolist())
        recall.append(len(shared) / len(true) if len(true) else 1.0)
    return Timing(what=what, p50=1000 * float(np.median(ours)),
                  p95=1000 * float(np.percentile(ours, 95)), scan=1000 * float(np.median(theirs)),
                  recall=float(np.mean(recall)))  # fmt: skip


def _together(store: LocalStore, rows: Any, asked: Any) -> Timing:
    """All queries in one call; the scan is one matrix product."""

    def scan() -> Any:
        return np.stack([_top(scores, 10) for scores in asked @ rows.T])

    found = store.search_many(asked, 10)
    ours = [_timed(lambda: store.search_many(asked, 10)) for _ in range(5)]
    true = scan()
    theirs = [_timed(scan) for _ in range(3)]
    shares = [
        len({int(hit.record.id, 16) for hit in hits} & set(best.tolist())) / 10
        for hits, best in zip(found, true, strict=True)
    ]
    return Timing(what=f"k = 10, {len(asked)} at once", p50=1000 * float(np.median(ours)),
                  p95=1000 * max(ours), scan=1000 * float(np.median(theirs)),
                  recall=float(np.mean(shares)))  # fmt: skip


def _adding(store: LocalStore, asked: Any) -> list[float]:
    """Seconds until a new record is stored and found."""
    spent = []
    for number in range(_SINGLES):
        start = time.perf_counter()
        store.add(asked[number : number + 1], [Record(f"new{number}", camera="new")])
        hits = store.search(asked[number], 1)
        spent.append(time.perf_counter() - start)
        if hits[0].record.id != f"new{number}":
            raise RuntimeError(f"a record that was added is not found: new{number}")
    return spent


def _floor(rows: Any) -> float:
    tensor = torch.from_numpy(rows)
    tensor.sum()
    return min(_timed(tensor.sum) for _ in range(5))


_SEARCHER = """
import json, sys
import numpy as np, psutil
from tipr.bench.gallery import _narrows
from tipr.gallery.local import LocalStore
import faiss
before = psutil.Process().memory_info()
store = LocalStore(sys.argv[1])
asked = np.load(sys.argv[2])
most = [0, 0]
for query in asked:
    for where in (None, *(narrow.where for narrow in _narrows())):
        store.search(query, 10, where)
        now = psutil.Process().memory_info()
        own = now.rss - now.shared - before.rss + before.shared
        most = [max(most[0], own), max(most[1], now.rss - before.rss)]
print(json.dumps([value / 2**20 for value in most]))
"""


def _memory(folder: Path, asked: Any) -> tuple[float, float]:
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, asked)
        command = [sys.executable, "-c", _SEARCHER, str(folder), file.name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    own, all_ = json.loads(done.stdout)
    return own, all_


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
