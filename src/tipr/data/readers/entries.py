"""What one line of an annotation says, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

HARMLESS = ("duplicate", "empty caption")  # left out of what is read, and no reason to stop


class DatasetError(ValueError):
    """A dataset cannot be read; the message names the file, the entry and the way out."""


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

    `kind` is one of: json, csv, shard (the file breaks off or cannot be parsed there), keys (one is
    missing), type (a value of a wrong one), path (a file name that leaves the folder), split,
    person (one file, two people), and the harmless `duplicate` and `empty caption`.
    """

    kind: str
    where: str  # annotation file and entry
    says: str  # what is wrong and the fix

    def __str__(self) -> str:
        return f"{self.where}: {self.says}"


Report = Callable[[Fault], None]


def strict(fault: Fault) -> None:
    """Raises DatasetError unless the fault is harmless."""
    if fault.kind not in HARMLESS:
        raise DatasetError(str(fault))
