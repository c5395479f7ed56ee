"""Which dataset a folder holds, and its entries.

What is recognised, in this order: a published annotation by its name; RaSa's `processed_data`
(Bai et al., IJCAI 2023); APTM's `data/finetune` beside `images` (Yang et al., ACM MM 2023); a table
or JSON lines of one's own; tar archives; any other JSON list. `tipr.data.readers.places` knows
the names. SSAN (Ding et al., 2021) and those after it keep the published JSON beside pickles made
of it, and the JSON is what is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tipr.data.readers.entries import (
    DatasetError,
    Entry,
    Fault,
    Report,
    Row,
    refused,
    strict,
)
from tipr.data.readers.fields import PERSON_KEYS, BadField, file_of
from tipr.data.readers.gathered import Gathering, Reading, named_split
from tipr.data.readers.places import (
    CUHK,
    OF_APTM,
    Found,
    found_in,
    image_folders,
    is_folder,
    named_by,
    without_splits,
)
from tipr.data.readers.rows import rows
from tipr.data.readers.webdataset import samples

OWN = "own data"
_FEW = 10
_TRIED = 2000  # entries whose files are looked for until one is found


@dataclass(frozen=True)
class Layout:
    """Where a dataset's annotations and pictures lie."""

    name: str  # "CUHK-PEDES", "ICFG-PEDES", "RSTPReid", "UFine6926", "rendered people", "own data"
    root: Path
    annotations: tuple[Path, ...]
    images: Path  # the folder that the files of entries are relative to

    @property
    def annotation(self) -> Path:
        return self.annotations[0]


def recognised(root: Path | str, *, pictures: bool = True) -> Layout:
    """The layout of a folder, or of one annotation file or tar archive.

    Without `pictures` none of them has to be there, nor any entry that can be used: what is missing
    is then for the caller to say.

    Raises:
        DatasetError: there is no dataset, more than one, or none of its pictures is found.
    """
    try:
        return _recognised(Path(root), pictures)
    except OSError as error:
        path = error.filename or root
        raise DatasetError(f"{path} {refused(path, error)}") from error


def _recognised(root: Path, pictures: bool) -> Layout:
    found = found_in(root)
    first = found.annotations[0]
    if first.suffix.lower() == ".tar":
        return Layout(OWN, found.root, found.annotations, first.parent)
    files = _first_files(found, pictures)
    name = found.name or named_by(files[0] if files else "")
    folder = _image_folder(image_folders(found.root, name), files)
    if folder is None and pictures:
        raise DatasetError(_not_found(image_folders(found.root, name), files[0]))
    folder = folder or _expected(image_folders(found.root, name), found.root)
    return Layout(name or OWN, found.root, found.annotations, folder)


def entries(layout: Layout, faults: list[Fault] | None = None) -> list[Entry]:
    """Every entry, one for each file. Runs of white space in captions are made single blanks.

    A row that repeats another, and an empty caption among others, are left out; with a list of
    `faults` they are told there, and so is everything that is an error without it.

    Raises:
        DatasetError: at the first fault, if there is no list to put it into.
    """
    report = strict if faults is None else faults.append
    gathering = Gathering(report)
    for annotation in layout.annotations:
        gathering.take(_rows(annotation, report), _reading(annotation))
    found = _with_splits(gathering.entries(), layout, report)
    if not found and not faults:
        report(Fault("none", str(layout.annotation), "holds no entries; is it the whole file?"))
    return found


def _rows(annotation: Path, report: Report) -> Iterator[Row]:
    read = samples if annotation.suffix.lower() == ".tar" else rows
    return read(annotation, report)


def _reading(annotation: Path) -> Reading:
    """Only APTM calls the person's id `image_id`; elsewhere that is the number of a picture."""
    by_image = OF_APTM.fullmatch(annotation.name) is not None
    keys = (*PERSON_KEYS, "image_id") if by_image else PERSON_KEYS
    return Reading(source=annotation.name, split=named_split(annotation), person_keys=keys)


def _with_splits(found: list[Entry], layout: Layout, report: Report) -> list[Entry]:
    """The entries that have a split; all of them where own data has none at all."""
    without = [entry for entry in found if entry.split is None]
    if len(without) == len(found) and layout.name == OWN:
        return found
    if without and len(without) == len(found):
        says = without_splits(layout.annotation) if layout.name == CUHK else "has no splits at all"
        report(Fault("split", str(layout.annotation), says))
        return []
    for entry in without:
        where = f"{layout.annotation.parent / entry.source}, entry {entry.number}"
        report(Fault("split", where, "names no split; write train, val or test as elsewhere"))
    return [entry for entry in found if entry.split is not None]


def _first_files(found: Found, needed: bool) -> list[str]:
    """Some files that the first entries name, and one of each further folder.

    Entries in disorder are passed over here; none may be left if none is `needed`."""
    files: dict[str, str] = {}
    faults: list[Fault] = []
    for annotation in found.annotations:
        for row in islice(rows(annotation, faults.append), _TRIED):
            try:
                file = file_of(row.fields)
                files.setdefault(file if len(files) < _FEW else file.rpartition("/")[0], file)
            except BadField as error:
                faults.append(Fault(error.kind, row.where, str(error)))
    if files or not needed:
        return list(files.values())
    if faults:
        raise DatasetError(str(faults[0]))
    raise DatasetError(f"{found.annotations[0]} holds no entries; is it the whole file?")


def _image_folder(folders: Sequence[Path], files: Sequence[str]) -> Path | None:
    """The folder of pictures: the first in which any of these files is.

    One missing folder among many is no reason not to read the rest.
    """
    for file in files:
        for folder in folders:
            if _is_file(folder / file):
                return folder
    return None


def _expected(folders: Sequence[Path], root: Path) -> Path:
    """Where the pictures belong that are not there."""
    below = (folder for folder in folders if folder != root and is_folder(folder))
    return next(below, folders[0])


def _not_found(folders: Sequence[Path], file: str) -> str:
    for folder in folders:
        try:
            (folder / file).stat()
        except PermissionError as error:
            return f"{folder} {refused(folder, error)}"
        except OSError:
            continue
    places = ", ".join(str(folder / file) for folder in folders)
    return f"the first image was found at none of {places}; unpack the images there"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a locked folder, or a name longer than the disk allows
        return False
