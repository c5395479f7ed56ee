"""What is done to a local store now and then: coarse codes, measured, and rows rewritten."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tipr.gallery.local import scan
from tipr.gallery.local.codes import Codes
from tipr.gallery.local.database import RECORD, Database
from tipr.gallery.local.files import Generation, current, flushed, following, point
from tipr.gallery.local.vectors import Slots, VectorFile, Vectors

_ENOUGH = 0.999  # of the true results must be among the candidates; promised is 0.99
_LADDER = (250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)
_DEPTHS = (10, 100)
_SENTENCES = 200  # to measure with
_TAIL = 20_000  # rows without codes, which are read one by one, before the codes are extended
_OUTGROWN = 4  # times the rows that the code book was made from
_PAGE = 5000


def candidates(database: Database, k: int) -> int:
    """How many rows the codes must name, so that the best `k` are among them."""
    depths = json.loads(database.state("codes") or "{}").get("candidates", {})
    for depth in _DEPTHS:
        if k <= depth:
            return depths[str(depth)]
    return depths[str(_DEPTHS[-1])] * k // _DEPTHS[-1]


def coded(
    now: Generation, count: int, alive: Slots, before: str | None, queries: Vectors
) -> dict[str, Any] | None:
    """Writes codes of `count` rows and says what was measured; None where they are good still."""
    facts = json.loads(before) if before else None
    codes = _codes_there(now) if facts and len(alive) <= _OUTGROWN * facts["trained"] else None
    if facts and codes and count - facts["rows"] <= _TAIL:
        return None
    rows = now.file.rows(count)
    trained = facts["trained"] if facts and codes else len(alive)
    if codes is None:
        codes = Codes.built(rows, alive)
    else:
        codes.extend(rows)
    told = measured(now.file, count, alive, codes, queries[:_SENTENCES])
    codes.save(now.codes_path)
    now_is = datetime.now(UTC).isoformat()
    return {"rows": count, "trained": trained, "made": now_is, **told}


def _codes_there(now: Generation) -> Codes | None:
    with suppress(OSError, ValueError):
        return Codes.load(now.codes_path)
    return None


def measured(
    file: VectorFile, count: int, alive: Slots, codes: Codes, queries: Vectors
) -> dict[str, Any]:
    """How many candidates find what an exact scan finds, the recall with them, and the time."""
    rows = None if len(alive) == count else alive
    dead = count - len(alive)
    truth = [slots for slots, _ in scan.best(file, count, rows, queries, _DEPTHS[-1])]
    near = codes.candidates(queries, _LADDER[-1] + dead)
    wanted, recall = {}, {}
    for depth in _DEPTHS:
        places = np.concatenate([
            _places(some, true[:depth], _LADDER[-1]) for some, true in zip(near, truth, strict=True)
        ])  # fmt: skip
        shares = [float((places < steps).mean()) for steps in _LADDER]
        best = next((n for n, share in enumerate(shares) if share >= _ENOUGH), len(_LADDER) - 1)
        wanted[str(depth)], recall[str(depth)] = _LADDER[best], round(shares[best], 5)
    steps = wanted[str(_DEPTHS[0])]
    exact = _seconds(lambda q: list(scan.best(file, count, rows, q[None], 10)), queries[:3])
    quick = _seconds(lambda q: _refined(file, count, codes, q[None], steps + dead), queries[:9])
    good = min(recall.values()) >= 0.99
    return {
        "used": bool(good and quick < exact),
        "candidates": wanted,
        "recall": recall,
        "queries": len(queries),
        "time": round(quick / exact, 4),
    }


def _places(some: Slots, true: Slots, nowhere: int) -> Slots:
    """Where each true slot stands among the candidates."""
    order = np.argsort(some, kind="stable")
    found = np.minimum(np.searchsorted(some[order], true), len(some) - 1)
    places = order[found]
    return np.where(some[places] == true, places, nowhere)


def _refined(file: VectorFile, count: int, codes: Codes, query: Vectors, steps: int) -> object:
    return list(scan.best(file, count, codes.candidates(query, steps)[0], query, _DEPTHS[0]))


def _seconds(search: Callable[[Vectors], object], queries: Vectors) -> float:
    """Median over the queries, after a first one that warms up."""
    search(queries[0])
    times = []
    for query in queries:
        start = time.perf_counter()
        search(query)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def rebuilt(now: Generation, folder: Path) -> None:
    """A new generation of the living rows, put in use; the old one holds nothing that it needs."""
    name = following(folder)
    new = Generation(folder / name, now.width)
    try:
        with new.database.writing():
            _copy_rows(now, new)
            new.database.put_state("lineage", now.lineage)
            new.database.many("INSERT INTO notes VALUES (?, ?)", now.database.stream(
                "SELECT name, text FROM notes"))  # fmt: skip
        new.follow()
        new.columns.save(new.columns_path)
    except BaseException:
        new.close()
        shutil.rmtree(folder / name, ignore_errors=True)
        raise
    new.close()
    flushed(folder / name)
    point(folder, name)
    flushed(folder)


def _copy_rows(now: Generation, new: Generation) -> None:
    place = 0
    for slots in _living(now):
        first, last = slots[0], slots[-1]
        new.file.write(place, now.file.rows(last + 1)[slots])
        moved = {old: place + n for n, old in enumerate(slots)}
        for table, names in (("rows", f"{RECORD}, checksum"), ("thumbnails", "jpeg")):
            found = now.database.stream(
                f"SELECT slot, {names} FROM {table} WHERE slot BETWEEN ? AND ?", [first, last]
            )
            marks = ", ".join("?" * (names.count(",") + 2))
            new.database.many(
                f"INSERT INTO {table}(slot, {names}) VALUES ({marks})",
                ((moved[slot], *rest) for slot, *rest in found),
            )
        place += len(slots)
    new.database.put_state("next", place)


def _living(now: Generation) -> Iterator[list[int]]:
    last = -1
    while rows := now.database.all(
        "SELECT slot FROM rows WHERE slot > ? ORDER BY slot LIMIT ?", [last, _PAGE]
    ):
        slots = [slot for (slot,) in rows]
        yield slots
        last = slots[-1]


def moved(other: Path, folder: Path) -> None:
    """Puts the generation of another folder in use in this one; the other folder goes."""
    name = following(folder)
    (other / current(other)).rename(folder / name)
    point(folder, name)
    flushed(folder)
    shutil.rmtree(other, ignore_errors=True)
