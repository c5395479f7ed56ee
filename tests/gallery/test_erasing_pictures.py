"""The pictures of erased rows are deleted where that is asked for, and no other files."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tipr.gallery.erasure import ErasureError, Proof, erase
from tipr.gallery.record import Record
from tipr.gallery.retention import Ages, Policy, keep
from tipr.gallery.store import MemoryStore

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def picture(folder: Path, seed: int) -> Record:
    path = folder / f"{seed}.jpg"
    path.write_bytes(b"picture %d" % seed)
    return Record(hashlib.sha256(path.read_bytes()).hexdigest()[:32], str(path))


def erased(records: list[Record], **more: Any) -> Proof:
    store = MemoryStore(4)
    store.add(np.eye(len(records), 4) + 1, records)
    return erase(store, [record.id for record in records], NOW, **more)


def test_pictures_stay_unless_it_is_asked_for(tmp_path: Path):
    record = picture(tmp_path, 1)
    assert erased([record]).pictures is None
    assert Path(record.path).exists()
    proof = erased([record], pictures=True)
    assert proof.pictures == 1
    assert "not deleted" not in proof.to_json()["limits"]
    assert not Path(record.path).exists()


def test_only_files_that_are_still_what_was_indexed_are_deleted(tmp_path: Path):
    records = [picture(tmp_path, n) for n in range(4)]
    Path(records[1].path).write_bytes(b"another picture")
    Path(records[2].path).unlink()
    short = Record(records[3].id[:4], records[3].path)
    nowhere = Record("0" * 32)
    assert erased([*records[:3], short, nowhere], pictures=True).pictures == 1
    assert [Path(record.path).exists() for record in records] == [False, True, False, True]


def test_a_picture_behind_a_link_is_deleted_with_the_link(tmp_path: Path):
    record = picture(tmp_path, 1)
    link = tmp_path / "link.jpg"
    link.symlink_to(record.path)
    assert erased([Record(record.id, str(link))], pictures=True).pictures == 1
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_protected_rows_stay(tmp_path: Path):
    store = MemoryStore(4)
    record = picture(tmp_path, 1)
    store.add(np.ones((1, 4)), [Record(record.id, record.path, time=NOW)])
    keep(store, Policy({"*": Ages(minimum=1)}))
    assert erase(store, [record.id], NOW, pictures=True).pictures == 0
    assert Path(record.path).exists()


def test_a_picture_that_cannot_be_deleted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    record = picture(tmp_path, 1)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ErasureError, match=r"1\.jpg could not be deleted: Permission denied"):
        erased([record], pictures=True)
