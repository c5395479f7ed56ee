"""Removing rows, and proving that nothing of them is left.

Rows younger than the minimum of the retention policy stay, unless a reason is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tipr.gallery import traces
from tipr.gallery.filters import Among, Filter
from tipr.gallery.record import utc
from tipr.gallery.retention import policy_of, protected
from tipr.gallery.store import Store

LIMITS = (
    "Not looked at, because a gallery cannot: backups, snapshots of the file system, blocks that a "
    "drive keeps for wear levelling, files that other programs still have open, and other copies "
    "of the pictures."
)
_KEPT_PICTURES = " The pictures that were indexed were not deleted."
_DIGITS = 32  # of a SHA-256 in the id of an indexed picture
_BATCH = 1000

Selection = Filter | Sequence[str]


@dataclass(frozen=True)
class Removed:
    """How many rows went, and how many stayed because of the policy; `force` is why none did."""

    removed: int
    protected: int
    force: str = ""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was erased, where it was looked for afterwards, and what was found there.

    `ids` are SHA-256 digests of the ids. `unseen` is what could not be looked at or looked for.
    """

    when: datetime
    removed: int
    protected: int
    missing: int  # ids that were asked for and were not there
    force: str
    ids: tuple[str, ...]
    looked: tuple[str, ...]
    unseen: tuple[str, ...]
    found: tuple[str, ...]
    pictures: int | None  # files deleted; None where that was not asked for

    @property
    def complete(self) -> bool:
        return not self.found

    def to_json(self) -> dict[str, Any]:
        limits = LIMITS if self.pictures is not None else LIMITS + _KEPT_PICTURES
        facts = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        told = {"when": self.when.isoformat(), "complete": self.complete, "limits": limits}
        return facts | told


class ErasureError(RuntimeError):
    """Something is left; `proof` says what and where."""

    def __init__(self, proof: Proof) -> None:
        super().__init__(
            f"the erasure is not complete: {'; '.join(proof.found)}. The rows are removed from "
            "the gallery; see to what is named here, then erase the same ids again"
        )
        self.proof = proof


def remove(store: Store, where: Selection, now: datetime, force: str = "") -> Removed:
    """Removes rows; what is left of them in files goes with the next `compact`."""
    ids, kept = _chosen(store, where, now, force)
    return Removed(_remove(store, ids), kept, force)


def erase(
    store: Store,
    where: Selection,
    now: datetime,
    force: str = "",
    pictures: bool = False,
) -> Proof:
    """Removes rows from the files of the store too, then looks for what may be left of them.

    `pictures` deletes the files of the pictures as well, those that are still what was indexed.

    Raises:
        ErasureError: something was found.
    """
    ids, kept = _chosen(store, where, now, force)
    known = traces.of(store, ids)
    deleted, found = _delete_pictures(store, ids) if pictures else (None, [])
    removed = _remove(store, ids)
    store.compact()
    seen = traces.left(store, known)
    proof = Proof(
        when=utc(now),
        removed=removed,
        protected=kept,
        missing=len(ids) - removed,
        force=force,
        ids=tuple(hashlib.sha256(id.encode()).hexdigest() for id in ids),
        looked=seen.looked,
        unseen=seen.unseen,
        found=(*found, *seen.found),
        pictures=deleted,
    )
    if not proof.complete:
        raise ErasureError(proof)
    return proof


def _chosen(store: Store, where: Selection, now: datetime, force: str) -> tuple[list[str], int]:
    """The ids that may go, and how many others may not."""
    young = None if force.strip() else protected(policy_of(store), now)
    if isinstance(where, Filter):
        ids = store.ids(where if young is None else where & ~young)
        return ids, 0 if young is None else store.count(where & young)
    ids = list(dict.fromkeys(where))
    if young is None:
        return ids, 0
    stay = {id for some in _slices(ids) for id in store.ids(Among("id", some) & young)}
    return [id for id in ids if id not in stay], len(stay)


def _remove(store: Store, ids: list[str]) -> int:
    return sum(store.remove(some) for some in _slices(ids))


def _delete_pictures(store: Store, ids: list[str]) -> tuple[int, list[str]]:
    """Before the rows go: after a kill, the rows still say where the pictures lie."""
    deleted, faults = 0, []
    for some in _slices(ids):
        for record in store.records(Among("id", some)):
            try:
                deleted += bool(record.path) and _delete(Path(record.path), record.id)
            except OSError as error:
                said = error.strerror or str(error)
                faults.append(f"the picture {record.path} could not be deleted: {said}")
    return deleted, faults


def _delete(path: Path, id: str) -> bool:
    """Deletes the file, and what it links to, if its contents are still those of the id."""
    if len(id) < _DIGITS or not path.is_file():
        return False
    with path.open("rb") as file:
        if not hashlib.file_digest(file, "sha256").hexdigest().startswith(id):
            return False
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    return True


def _slices(ids: list[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(ids[start : start + _BATCH]) for start in range(0, len(ids), _BATCH))
