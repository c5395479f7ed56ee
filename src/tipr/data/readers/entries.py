"""What one line of an annotation says, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tipr.data.plain import plain

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

HARMLESS = ("duplicate", "empty caption")  # left out of what is read, and no reason to stop


class DatasetError(ValueError):
    """A dataset cannot be read; the message names the file, the entry and the way out."""

    def __init__(self, says: str) -> None:
        super().__init__(plain(says))


@dataclass(slots=True)
class Row:
    """One entry before anything about it was checked."""

    number: int  # from 0
    where: str  # file, entry and line, for messages
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One photograph with all its captions."""

    number: int  # place in the annotation, from 0; of the first of several rows about one file
    file: str  # as written, relative to the layout's `images`
    captions: tuple[str, ...]  # runs of white space are single blanks
    person: int | str
    split: Split | None  # None where the annotation has no splits at all
    camera: str = ""
    source: str = ""  # name of the annotation file that it stands in


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with an annotation.

    `kind` is one of: json, csv, shard (the file breaks off or cannot be parsed there), file (it
    cannot be opened), text (it is no UTF-8), none (there are no entries), keys (one is missing),
    twice (one is there twice), type (a value of a wrong one), path (a file name that leaves the
    folder), split, person (one file, two people), and the harmless `duplicate` and `empty caption`.
    """

    kind: str
    where: str  # annotation file and entry
    says: str  # what is wrong and the fix

    def __str__(self) -> str:
        return plain(f"{self.where}: {self.says}")


def refused(path: Path | str, error: OSError) -> str:
    """What is said of a file or folder that the system does not let be read."""
    way = f"; allow it: chmod -R u+rX {path}" if isinstance(error, PermissionError) else ""
    return f"cannot be read: {(error.strerror or str(error)).lower()}{way}"


Report = Callable[[Fault], None]


def strict(fault: Fault) -> None:
    """Raises DatasetError unless the fault is harmless."""
    if fault.kind not in HARMLESS:
        raise DatasetError(str(fault))
