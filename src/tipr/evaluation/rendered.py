"""What the renderer knows of its pictures: what is visible in them, and who is a near-duplicate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tipr.data.pairs import Pair

ANNOTATIONS = "annotations.jsonl"
_BESIDE = ("dataset.json", "identities.jsonl")  # others may have a file of that name
_DEEP = 6  # folders above a picture that are searched


@dataclass(frozen=True)
class Kin:
    """A person and the near-duplicate made of them: a twin or a swap, and what differs."""

    original: int
    duplicate: int
    relation: str
    attributes: tuple[str, ...]  # of a swap there are two

    @property
    def named(self) -> str:
        return "+".join(self.attributes)


@dataclass(frozen=True)
class Rendered:
    """The lines of a rendered dataset's annotations for the pictures of a split."""

    pictures: dict[Path, dict[str, Any]]
    kin: tuple[Kin, ...]

    def shown(self, picture: Path) -> float:
        """The share of the person's box in which the person is seen, 0 to 1."""
        line = self.pictures[picture]
        left, top, right, bottom = line["box"]
        area = max(1, (right - left) * (bottom - top))
        return min(1.0, sum(line["visible"].values()) / area)

    def told(self, pair: Pair) -> frozenset[str]:
        """The attributes that a caption speaks of."""
        captions = self.pictures[pair.image]["captions"]
        return frozenset(f for c in captions if c["text"] == pair.caption for f in c["facts"])


def rendered(pairs: Sequence[Pair]) -> Rendered | None:
    """The annotations above the pictures; None where nobody rendered them.

    Raises:
        ValueError: the file is damaged, or a picture is not in it.
    """
    root = _root(pairs[0].image) if pairs else None
    if root is None:
        return None
    wanted, pictures = {pair.image for pair in pairs}, {}
    try:
        with (root / ANNOTATIONS).open(encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                if (picture := root / line["image"]) in wanted:
                    pictures[picture] = line
        ids = {
            pictures[pair.image]["id"]: pair.person_id for pair in pairs if pair.image in pictures
        }
        kin = {_kin(line, ids) for line in pictures.values() if line["twin_of"] in ids}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{root / ANNOTATIONS} is damaged ({type(error).__name__}: {error}); "
                         "render the dataset again") from error  # fmt: skip
    if lost := wanted - pictures.keys():
        raise ValueError(f"{root / ANNOTATIONS} does not tell of {min(lost)}; render the dataset "
                         "again")  # fmt: skip
    return Rendered(pictures, tuple(sorted(kin, key=lambda k: (k.original, k.duplicate))))


def _kin(line: dict[str, Any], ids: dict[int, int]) -> Kin:
    """Under the numbers that the split's people have."""
    attributes = tuple(line["diff"]["attr"].split("+"))
    return Kin(ids[line["twin_of"]], ids[line["id"]], line["relation"], attributes)


def _root(picture: Path) -> Path | None:
    above, files = list(picture.parents)[:_DEEP], (ANNOTATIONS, *_BESIDE)
    return next((f for f in above if all((f / name).is_file() for name in files)), None)
