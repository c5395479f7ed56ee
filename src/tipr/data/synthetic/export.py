"""The files of a rendered dataset, written while it grows.

dataset.json        what it is: seed, level, counts, and the SHA-256 of its annotations
annotations.jsonl   a line per picture: person, family, camera, view, what is visible, captions
identities.jsonl    a line per person: every attribute, and the family
reid_raw.json       the same pictures and captions in the layout of CUHK-PEDES
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from tipr.data.synthetic.splits import SPLITS
from tipr.data.synthetic.twins import Member

VERSION = "1.0"

_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")


class Export:
    """Open annotation files of a dataset; pictures are added in the order of their people."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hash = hashlib.sha256()
        self._counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
        self._annotations = _open(folder / "annotations.jsonl")
        self._identities = _open(folder / "identities.jsonl")
        self._raw = _open(folder / "reid_raw.json")
        self._raw.write("[")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in (self._annotations, self._identities, self._raw):
            file.close()

    def add(self, member: Member, person: dict[str, Any], records: list[dict[str, Any]]) -> None:
        """One person: their line of facts, then the records of their pictures."""
        line = person | {"attributes": asdict(member.identity)}
        self._identities.write(json.dumps(line) + "\n")
        for record in records:
            line = json.dumps(record) + "\n"
            self._hash.update(line.encode())
            self._annotations.write(line)
            self._raw.write("," * bool(sum(counts["images"] for counts in self._counts.values())))
            self._raw.write("\n" + json.dumps(_as_cuhk_pedes(record)))
            counts = self._counts[record["split"]]
            counts["images"] += 1
            counts["captions"] += len(record["captions"])
        self._counts[person["split"]]["people"] += 1

    def finish(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Writes `dataset.json`, these facts and the counts, and returns what it says."""
        self._raw.write("\n]\n")
        total = sum(self._counts.values(), Counter())
        description = facts | {
            "version": VERSION,
            **{name: total[name] for name in ("people", "images", "captions")},
            "splits": {split: dict(counts) for split, counts in self._counts.items()},
            "annotations_sha256": self._hash.hexdigest(),
        }
        text = json.dumps(description, indent=2) + "\n"
        (self._folder / "dataset.json").write_text(text, encoding="utf-8")
        return description


def _open(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")


def _as_cuhk_pedes(record: dict[str, Any]) -> dict[str, Any]:
    """The record under the keys of CUHK-PEDES; paths are relative to the folder of images."""
    captions = [caption["text"] for caption in record["captions"]]
    return {
        "split": record["split"],
        "captions": captions,
        "file_path": record["image"].removeprefix("images/"),
        "processed_tokens": [_WORD.findall(caption.lower()) for caption in captions],
        "id": record["id"],
    }
