"""Dataset folders as the tests of the readers need them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from tipr.data.readers.entries import Fault
from tipr.data.readers.layouts import entries, recognised


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 8)).save(path)
    return path


def rows_of(key: str = "file_path") -> list[dict[str, Any]]:
    rows = []
    for person, split in enumerate(("train", "train", "val", "test")):
        name = f"{split}/{person}.jpg"
        rows.append({"id": 10 * person, key: name, "captions": ["one", "two"], "split": split})
    return rows


def folder(root: Path, annotation: str, key: str, images: str = "imgs") -> Path:
    rows = rows_of(key)
    for row in rows:
        picture(root / images / row[key])
    (root / annotation).write_text(json.dumps(rows))
    return root


def annotated(root: Path, rows: Any, name: str = "reid_raw.json") -> Path:
    """A dataset folder with these rows, and with the pictures a.jpg to d.jpg."""
    for letter in "abcd":
        (root / "imgs").mkdir(parents=True, exist_ok=True)
        (root / "imgs" / f"{letter}.jpg").touch()
    (root / name).write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return root


def row(file: str = "a.jpg", **changes: Any) -> dict[str, Any]:
    plain = {"id": 1, "file_path": file, "captions": ["a red coat"], "split": "train"}
    return {key: value for key, value in {**plain, **changes}.items() if value is not ...}


def faults_of(root: Path) -> list[Fault]:
    faults: list[Fault] = []
    entries(recognised(root), faults)
    return faults
