"""Datasets as they lie on disk, read into pairs. Splits come from the annotation, never a folder.

Two published layouts are read: CUHK-PEDES (`reid_raw.json`, key `file_path`; rendered sets are
written in it too) and RSTPReid (`data_captions.json`, key `img_path`); ICFG-PEDES ships either
spelling of `ICFG-PEDES.json` with the keys of CUHK-PEDES.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tipr.data.pairs import Dataset, Pair

ANNOTATIONS = (
    "reid_raw.json",
    "data_captions.json",
    "ICFG-PEDES.json",
    "ICFG_PEDES.json",
)
IMAGE_FOLDERS = ("imgs", "images", "")


class DatasetError(ValueError):
    """A dataset folder cannot be read; the message says what is missing."""


def read_dataset(root: Path | str) -> Dataset:
    """Reads a dataset folder whatever its layout.

    Raises:
        DatasetError: the folder, its annotation or its images are missing or malformed.
    """
    root = Path(root)
    annotation = _annotation_file(root)
    rows = _rows(annotation)
    folder = _image_folder(root, rows[0])
    splits: dict[str, list[Pair]] = {"train": [], "val": [], "test": []}
    for image_id, row in enumerate(rows):
        splits[_split(row, annotation)].extend(_pairs(row, folder, image_id, annotation))
    _check_disjoint(splits, annotation)
    return Dataset(
        name=root.name,
        train=tuple(splits["train"]),
        val=tuple(splits["val"]),
        test=tuple(splits["test"]),
    )


def _check_disjoint(splits: dict[str, list[Pair]], annotation: Path) -> None:
    people = {name: {pair.person_id for pair in pairs} for name, pairs in splits.items()}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = people[one] & people[other]
        if shared:
            raise DatasetError(
                f"{annotation}: {len(shared)} people stand in both {one} and {other} "
                f"(as {min(shared)}); scores on it would mean nothing"
            )


def _annotation_file(root: Path) -> Path:
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder; `tipr data synth {root}` renders a dataset there")
    for name in ANNOTATIONS:
        if (root / name).is_file():
            return root / name
    raise DatasetError(f"{root} holds none of {', '.join(ANNOTATIONS)}; is it a dataset folder?")


def _rows(annotation: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(annotation.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DatasetError(f"{annotation} is not valid JSON ({error}); copy it again") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DatasetError(f"{annotation} holds no list of images")
    return rows


def _image_name(row: dict[str, Any]) -> str:
    name = row.get("file_path", row.get("img_path"))
    if not isinstance(name, str):
        raise DatasetError(f"an image without file_path or img_path: {row}")
    return name


def _image_folder(root: Path, row: dict[str, Any]) -> Path:
    name = _image_name(row)
    for folder in IMAGE_FOLDERS:
        if (root / folder / name).is_file():
            return root / folder
    places = ", ".join(str(root / folder / name) for folder in IMAGE_FOLDERS)
    raise DatasetError(f"the first image was found at none of {places}; unpack the images there")


def _split(row: dict[str, Any], annotation: Path) -> str:
    split = row.get("split")
    if split not in ("train", "val", "test"):
        raise DatasetError(f"{annotation} names the split {split!r}; expected train, val or test")
    return split


def _pairs(row: dict[str, Any], folder: Path, image_id: int, annotation: Path) -> list[Pair]:
    captions, person = row.get("captions"), row.get("id")
    if not isinstance(person, int) or not isinstance(captions, list):
        raise DatasetError(f"{annotation}: {_image_name(row)} lacks an id or a list of captions")
    image = folder / _image_name(row)
    return [Pair(image, str(caption), person, image_id) for caption in captions]
