"""Entries into the pairs of three splits."""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

from tipr.data.pairs import Dataset, Pair
from tipr.data.readers.entries import SPLITS, DatasetError, Entry, Split
from tipr.data.readers.layouts import Layout, entries, recognised
from tipr.data.readers.splits import carved, dealt

_NAMED = 3  # people, of those in two splits


def read_dataset(root: Path | str) -> Dataset:
    """Reads a dataset: a folder in any layout that is known, one annotation file, or one archive.

    Splits come from the annotation. Own data without any gets them by person, 80/10/10. Where there
    is no validation split, about a tenth of the people of train, at least one, becomes it
    (`Dataset.carved_val`). Both go by a hash of the person's id, fixed for all time. Pictures are
    not opened, and but for one not looked for.

    Raises:
        DatasetError: no dataset is there, an entry is malformed, or a person is in two splits.
    """
    with _uncollected():
        return _read(Path(root))


@contextmanager
def _uncollected() -> Generator[None]:
    """Spares Python the search for cycles: there are none in what is read, and it costs a quarter
    of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _read(root: Path) -> Dataset:
    layout = recognised(root)
    found = entries(layout)
    if all(entry.split is None for entry in found):
        found = dealt(found)
    _check_disjoint(found, layout, root)
    found, is_carved = carved(found)
    people, names = _numbered(found)
    return Dataset(
        name=_name(root),
        **_pairs(found, people, layout.images),
        layout=layout.name,
        carved_val=is_carved,
        person_names=names,
    )


def _name(root: Path) -> str:
    return root.stem if root.is_file() else root.absolute().name


def _numbered(found: Sequence[Entry]) -> tuple[dict[int | str, int], dict[int, str]]:
    """Each person's number, and the names of those whose number is not their id.

    Whole numbers stay as they are; where any id is a name, all are numbered as they first appear.
    """
    if all(isinstance(entry.person, int) for entry in found):
        return {entry.person: int(entry.person) for entry in found}, {}
    numbers: dict[int | str, int] = {}
    for entry in found:
        numbers.setdefault(entry.person, len(numbers))
    return numbers, {number: str(person) for person, number in numbers.items()}


def _pairs(
    found: Sequence[Entry], people: dict[int | str, int], images: Path
) -> dict[str, tuple[Pair, ...]]:
    """The pairs of each split, one for each caption."""
    splits: dict[str, list[Pair]] = {split: [] for split in SPLITS}
    for image_id, entry in enumerate(found):
        pairs = splits[entry.split or "train"]
        image, person = images / entry.file, people[entry.person]
        for caption in entry.captions:
            pairs.append(Pair(image, caption, person, image_id, camera=entry.camera))
    return {split: tuple(pairs) for split, pairs in splits.items()}


def _check_disjoint(found: Sequence[Entry], layout: Layout, root: Path) -> None:
    people = {split: {e.person for e in found if e.split == split} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        shared = people[one] & people[other]
        if shared:
            number = f"{len(shared)} people stand" if len(shared) > 1 else "1 person stands"
            named = "; ".join(
                f"person {person}: {_first(found, person, one)}, {_first(found, person, other)}"
                for person in sorted(shared, key=str)[:_NAMED]
            )
            raise DatasetError(
                f"{layout.annotation}: {number} in both {one} and {other} ({named}); scores on it "
                f"would mean nothing: keep each in one. `tipr data check {root}` lists them"
            )


def _first(found: Sequence[Entry], person: int | str, split: Split) -> str:
    entry = next(e for e in found if e.person == person and e.split == split)
    return f"{split} in entry {entry.number} of {entry.source} ({entry.file})"
