"""What a split is, told so that two evaluations of it know each other on any machine.

Pictures are told by their names, not by their contents. They are named from the folder that holds
all of them, so it does not matter where that lies, nor in which archive of it a picture is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tipr.data.pairs import Pair

DIGESTS = ("gallery", "captions", "queries")  # what `split_digests` names


def query_keys(pairs: Sequence[Pair], person: Callable[[int], str] = str) -> tuple[str, ...]:
    """A name for each query that is the same wherever the dataset lies and however it is read."""
    pictures = _picture_names(pairs)
    rows = zip(pairs, pictures, strict=True)
    return tuple(digest(person(p.person_id), name, p.caption) for p, name in rows)


def split_digests(pairs: Sequence[Pair], person: Callable[[int], str] = str) -> dict[str, str]:
    """Names the gallery, the captions and which caption is about whom, whatever their order."""
    shown = {
        pair.image_id: (person(pair.person_id), name)
        for pair, name in zip(pairs, _picture_names(pairs), strict=True)
    }
    parts = (
        sorted(digest(*row) for row in shown.values()),
        sorted(digest(pair.caption) for pair in pairs),
        sorted(query_keys(pairs, person)),
    )
    return {name: digest(*part) for name, part in zip(DIGESTS, parts, strict=True)}


def digest(*parts: str) -> str:
    """A short name for texts, the same only for the same texts."""
    told = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _picture_names(pairs: Sequence[Pair]) -> list[str]:
    """Paths below the folder that holds all pictures."""
    parents = {parent: _unpacked(parent) for parent in {pair.image.parent for pair in pairs}}
    root = Path(os.path.commonpath(parents.values())) if parents else Path()
    below = {parent: folder.relative_to(root).as_posix() for parent, folder in parents.items()}
    return [f"{below[pair.image.parent]}/{pair.image.name}" for pair in pairs]


def _unpacked(folder: Path) -> Path:
    """Where the same pictures lie once archives are unpacked beside themselves."""
    return Path(*(part for part in folder.parts if not part.lower().endswith(".tar")))
