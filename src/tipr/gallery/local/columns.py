"""What filters look at, as arrays: one place for each slot, so that a filter is a few comparisons.

Derived from the database and kept up with it; a copy on disk spares the next process the reading.
Fields that are no column here (ids, paths, the owner's own) are asked of the database, and the
answer is kept until something changes.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tipr.data.whole import put
from tipr.gallery import sql
from tipr.gallery.filters import All, Among, AnyOf, Filter, Known, Not, Range, moments
from tipr.gallery.local.database import Database, moment
from tipr.gallery.local.vectors import Slots
from tipr.gallery.record import microseconds

Mask = NDArray[np.bool_]
Places = Slots | slice  # slots, or all of them

_TEXTS = ("camera", "track", "source", "model")
_NUMBERS = ("time", "frame", "indexed")
_TIMES = ("time", "indexed")
_UNKNOWN = np.iinfo(np.int64).min
_READ = "slot, camera, track, source, model, time, frame, indexed"
_AT_ONCE = 50_000
_ANSWERS = 16  # of the database, kept
_LITTLE = 4  # a quarter of the rows: fewer are gathered sooner than all are compared
_COMPARED = 6  # words compared one by one are quicker than a table of all words


class Columns:
    """The rows of a database up to `change`, of which `size` slots exist, some of them dead."""

    def __init__(self) -> None:
        self.size = 0
        self.change = 0
        self.alive: Mask = np.empty(0, bool)
        self._codes = {name: np.empty(0, np.int32) for name in _TEXTS}
        self._numbers = {name: np.empty(0, np.int64) for name in _NUMBERS}
        self._words: dict[str, dict[str, int]] = {name: {"": 0} for name in _TEXTS}
        self._answers: dict[str, Slots] = {}
        self._times: tuple[datetime | None, datetime | None] | None = None

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive[: self.size]))

    def follow(self, database: Database) -> None:
        """Takes in what was committed since."""
        self._answers.clear()
        self._times = None
        changed = database.all("SELECT number, slot FROM changes WHERE number > ?", [self.change])
        while rows := database.all(
            f"SELECT {_READ} FROM rows WHERE slot >= ? ORDER BY slot LIMIT {_AT_ONCE}", [self.size]
        ):
            self._take(rows)
        if changed:
            self._changed(database, [slot for _, slot in changed if slot < self.size])
            self.change = changed[-1][0]
        self._cover(int(database.state("next") or 0))

    def _changed(self, database: Database, slots: list[int]) -> None:
        self.alive[slots] = False
        for start in range(0, len(slots), _AT_ONCE):
            some = json.dumps(slots[start : start + _AT_ONCE])
            wanted = "slot IN (SELECT value FROM json_each(?))"
            self._take(database.all(f"SELECT {_READ} FROM rows WHERE {wanted}", [some]))

    def _take(self, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        slots, *values = zip(*rows, strict=True)
        places = np.asarray(slots, np.int64)
        self._cover(int(places.max()) + 1)
        self.alive[places] = True
        for name, column in zip((*_TEXTS, *_NUMBERS), values, strict=True):
            if name in _TEXTS:
                words = self._words[name]
                codes = [words.setdefault(word, len(words)) for word in column]
                self._codes[name][places] = codes
            else:
                self._numbers[name][places] = [_UNKNOWN if v is None else v for v in column]

    def _cover(self, size: int) -> None:
        """Grows by doubling; new slots are dead until a row is seen."""
        room = len(self.alive)
        if size > room:
            more = max(size, 2 * room) - room
            self.alive = np.concatenate([self.alive, np.zeros(more, bool)])
            for columns in (self._codes, self._numbers):
                for name, old in columns.items():
                    columns[name] = np.concatenate([old, np.zeros(more, old.dtype)])
        self.size = max(self.size, size)

    def chosen(self, where: Filter | None, database: Database) -> Slots:
        """The living slots that the filter lets through, ascending."""
        alive = self.alive[: self.size]
        if where is None:
            return np.flatnonzero(alive)
        first, last = self._span()
        mask = self._mask(moments(where, first, last), database, slice(self.size))
        return np.flatnonzero(mask if alive.all() else mask & alive)

    def _span(self) -> tuple[datetime | None, datetime | None]:
        """The first and the last time of living rows, kept until something changes."""
        if self._times is None:
            times = self._numbers["time"][: self.size]
            known = times[self.alive[: self.size] & (times != _UNKNOWN)]
            ends = (int(known.min()), int(known.max())) if known.size else (None, None)
            self._times = moment(ends[0]), moment(ends[1])
        return self._times

    def _mask(self, where: Filter, database: Database, places: Places) -> Mask:
        """Which of the places the filter lets through."""
        match where:
            case All(parts):
                return self._all(sorted(parts, key=_cost), database, places)
            case AnyOf(parts) if len(parts) > 2 and (bounds := _windows(parts)) is not None:
                place = np.searchsorted(bounds, self._numbers["time"][places], "right")
                return place % 2 == 1
            case AnyOf(parts):
                masks = [self._mask(part, database, places) for part in parts]
                return reduce(np.logical_or, masks, np.zeros(self._count(places), bool))
            case Not(part):
                return ~self._mask(part, database, places)
        leaf = self._leaf(where, places)
        return self._asked(where, database)[places] if leaf is None else leaf

    def _all(self, parts: Sequence[Filter], database: Database, places: Places) -> Mask:
        """Each part looks only at what those before it let through, once that is little."""
        if not parts:
            return np.ones(self._count(places), bool)
        mask = self._mask(parts[0], database, places)
        for part in parts[1:]:
            if np.count_nonzero(mask) * _LITTLE > len(mask):
                mask &= self._mask(part, database, places)
                continue
            left = np.flatnonzero(mask)
            some = left if isinstance(places, slice) else places[left]
            mask[left] = self._mask(part, database, some)
        return mask

    def _count(self, places: Places) -> int:
        return self.size if isinstance(places, slice) else len(places)

    def _leaf(self, where: Filter, places: Places) -> Mask | None:
        match where:
            case Among(field, values) if field in _TEXTS:
                return self._coded(field, values, places)
            case Known(field) if field in _TEXTS:
                return self._codes[field][places] != 0
            case Known(field) if field in _NUMBERS:
                return self._numbers[field][places] != _UNKNOWN
            case Range(field, low, high) if field in _TIMES:
                return _between(self._numbers[field][places], _micro(low), _micro(high))
        return None

    def _coded(self, field: str, values: Sequence[Any], places: Places) -> Mask:
        column, words = self._codes[field][places], self._words[field]
        codes = {words.get(value, 0) for value in values if isinstance(value, str)} - {0}
        if len(codes) <= _COMPARED:
            masks = (column == code for code in codes)
            return reduce(np.logical_or, masks, np.zeros(len(column), bool))
        wanted = np.zeros(len(words), bool)
        wanted[list(codes)] = True
        return wanted[column]

    def _asked(self, where: Filter, database: Database) -> Mask:
        key = json.dumps(where.to_json())  # Among("x", (1,)) == Among("x", (True,)) in Python
        slots = self._answers.get(key)
        if slots is None:
            text, values = sql.condition(where, *self._span())
            rows = database.all(f"SELECT slot FROM rows WHERE {text}", values)
            slots = np.asarray([slot for (slot,) in rows if slot < self.size], np.int64)
            if len(self._answers) >= _ANSWERS:
                self._answers.pop(next(iter(self._answers)))
            self._answers[key] = slots
        mask = np.zeros(self.size, bool)
        mask[slots] = True
        return mask

    def save(self, path: Path) -> None:
        """Raises OSError, and leaves what was there."""
        arrays: dict[str, Any] = {"alive": self.alive[: self.size]}
        arrays |= {name: column[: self.size] for name, column in self._codes.items()}
        arrays |= {name: column[: self.size] for name, column in self._numbers.items()}
        words = json.dumps({name: list(words) for name, words in self._words.items()})
        arrays["words"] = np.frombuffer(words.encode(), np.uint8)
        arrays["reached"] = np.asarray([self.size, self.change], np.int64)
        data = io.BytesIO()
        np.savez(data, **arrays)
        put(path, data.getvalue())

    @classmethod
    def load(cls, path: Path) -> Columns:
        """What was saved. Raises OSError or ValueError for a file that is no such."""
        columns = cls()
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                columns.size, columns.change = (int(value) for value in arrays["reached"])
                columns.alive = arrays["alive"]
                columns._codes = {name: arrays[name] for name in _TEXTS}
                columns._numbers = {name: arrays[name] for name in _NUMBERS}
                words = json.loads(arrays["words"].tobytes())
                columns._words = {
                    name: {word: code for code, word in enumerate(words[name])} for name in _TEXTS
                }
        except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path} holds no columns: {error}") from error
        everything = [columns.alive, *columns._codes.values(), *columns._numbers.values()]
        if any(len(column) != columns.size for column in everything):
            raise ValueError(f"the columns in {path} are of different lengths")
        if any(columns._codes[n].max(initial=0) >= len(columns._words[n]) for n in _TEXTS):
            raise ValueError(f"the columns in {path} name words that are not there")
        return columns


def _cost(part: Filter) -> int:
    """What is quick to look at comes first; what the database must be asked for, last."""
    match part:
        case Range(field) if field in _TIMES:
            return 0
        case Known(field) if field in _NUMBERS:
            return 0
        case Among(field) | Known(field) if field in _TEXTS:
            return 1
        case All() | AnyOf() | Not():
            return 2
    return 3


def _between(column: NDArray[np.int64], low: int | None, high: int | None) -> Mask:
    mask = column != _UNKNOWN if low is None else column >= low
    return mask if high is None else mask & (column < high)


def _micro(when: Any) -> int | None:
    return None if when is None else microseconds(when)


def _windows(parts: tuple[Filter, ...]) -> NDArray[np.int64] | None:
    """The bounds of windows of time that follow each other; None if the parts are anything else."""
    bounds: list[int] = []
    for part in parts:
        if not (isinstance(part, Range) and part.field == "time"):
            return None
        if part.at_least is None or part.below is None:
            return None
        low, high = _micro(part.at_least), _micro(part.below)
        if low is None or high is None or low > high or (bounds and low < bounds[-1]):
            return None
        bounds += [low, high]
    return np.asarray(bounds, np.int64)
