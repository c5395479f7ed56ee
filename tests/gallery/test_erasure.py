"""Erased rows are gone from every way in and from every byte of the files, or the proof says so."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tipr.gallery.erasure import ErasureError, Removed, erase, remove
from tipr.gallery.filters import All, Among, Known
from tipr.gallery.local import LocalStore
from tipr.gallery.record import Hit, Record
from tipr.gallery.retention import Ages, Policy, keep
from tipr.gallery.store import MemoryStore, Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WIDTH = 64
RANDOM = np.random.default_rng(7)


def id_of(n: int | str) -> str:
    return hashlib.sha256(str(n).encode()).hexdigest()[:32]


def jpeg(seed: int, size: tuple[int, int] = (16, 32)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def fill(store: Store, count: int = 6) -> Store:
    """Rows of which the even ones are of the lobby; row n is n days old."""
    records = [
        Record(id_of(n), camera="lobby" if n % 2 == 0 else "gate", time=NOW - timedelta(days=n))
        for n in range(count)
    ]
    store.add(RANDOM.normal(size=(count, WIDTH)), records, [jpeg(n) for n in range(count)])
    return store


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        made: Store = MemoryStore(WIDTH)
    else:
        made = LocalStore(tmp_path / "rows", WIDTH)
    yield fill(made)
    made.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalStore]:
    made = LocalStore(tmp_path / "rows", WIDTH)
    fill(made)
    yield made
    made.close()


def holding(folder: Path, needle: bytes) -> list[str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if needle in path.read_bytes()]


LOBBY = Among("camera", ("lobby",))


def test_rows_are_removed_by_filter_or_by_id(store: Store):
    assert remove(store, LOBBY, NOW) == Removed(3, 0)
    assert store.ids() == [id_of(1), id_of(3), id_of(5)]
    assert remove(store, [id_of(5), "nobody", id_of(5)], NOW) == Removed(1, 0)
    assert store.ids() == [id_of(1), id_of(3)]


@pytest.mark.parametrize("how", ["filter", "ids"])
def test_rows_below_their_minimum_stay_unless_a_reason_is_given(store: Store, how: str):
    keep(store, Policy({"lobby": Ages(minimum=3)}))
    where = Known("camera") if how == "filter" else store.ids()
    assert remove(store, where, NOW) == Removed(4, 2)
    assert store.ids() == [id_of(0), id_of(2)]
    assert remove(store, where, NOW, force="  ") == Removed(0, 2, "  ")
    assert remove(store, where, NOW, force="court order 7") == Removed(2, 0, "court order 7")
    assert len(store) == 0


def test_an_erasure_keeps_to_the_minimum_too(store: Store):
    keep(store, Policy({"*": Ages(minimum=3)}))
    proof = erase(store, LOBBY, NOW)
    assert (proof.removed, proof.protected, proof.force) == (1, 2, "")
    proof = erase(store, LOBBY, NOW, force="court order 7")
    assert (proof.removed, proof.protected, proof.force) == (2, 0, "court order 7")


def test_what_was_erased_stands_in_no_byte_of_the_files(local: LocalStore, tmp_path: Path):
    gone, stays = id_of(2), id_of(3)
    wanted = {
        id: [id.encode(), local.vectors([id]).tobytes(), local.thumbnail(id) or b"none"]
        for id in (gone, stays)
    }
    assert all(holding(tmp_path, needle) for needle in wanted[gone])
    proof = erase(local, [gone], NOW)
    assert [holding(tmp_path, needle) for needle in wanted[gone]] == [[], [], []]
    assert all(holding(tmp_path, needle) for needle in wanted[stays])
    assert proof.complete
    assert proof.unseen == ()
    assert "every byte of the store's files: 3 byte strings" in proof.looked[-1]


def test_without_compaction_the_traces_are_found(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    needle = id_of(2).encode()
    monkeypatch.setattr(local, "compact", lambda: None)
    with pytest.raises(ErasureError, match=r"an id stands in the file 0001/rows\.db") as error:
        erase(local, [id_of(2)], NOW)
    assert holding(tmp_path, needle) != []
    assert "the store still holds 1 rows that were removed" in error.value.proof.found
    monkeypatch.undo()
    again = erase(local, [id_of(2)], NOW)
    assert (again.complete, again.removed, again.missing) == (True, 0, 1)
    assert holding(tmp_path, needle) == []


@pytest.mark.parametrize("kind", ["id", "vector", "thumbnail"])
def test_a_planted_trace_is_found_and_its_file_named(local: LocalStore, tmp_path: Path, kind: str):
    small = local.thumbnail(id_of(2)) or b""
    planted = {
        "id": id_of(2).encode(),
        "vector": local.vectors([id_of(2)]).tobytes()[80:-80],
        "thumbnail": small[len(small) // 2 :],
    }
    (tmp_path / "rows/cache").mkdir()
    (tmp_path / "rows/cache/old.bin").write_bytes(b"x" * 99 + planted[kind] + b"y" * 99)
    what = "an id" if kind == "id" else "a vector or a thumbnail"
    with pytest.raises(ErasureError, match=f"{what} stands in the file cache/old.bin") as error:
        erase(local, [id_of(2), id_of(4)], NOW)
    assert error.value.proof.removed == 2
    assert len(error.value.proof.found) == 1
    assert error.value.proof.to_json()["complete"] is False
    erase(local, [id_of(3)], NOW)  # which the planted trace is not of


def test_an_id_that_a_row_which_stays_tells_of_is_a_trace(local: LocalStore):
    local.update([Record(id_of(1), extra={"same person": id_of(2)})])
    with pytest.raises(ErasureError, match="perhaps among the facts of a row that stays"):
        erase(local, [id_of(2)], NOW)


def test_what_rows_that_stay_hold_as_well_is_no_trace(local: LocalStore):
    vector, small = local.vectors([id_of(2)])[0], local.thumbnail(id_of(2))
    other = RANDOM.normal(size=WIDTH)
    twins = [Record(id_of("same vector")), Record(id_of("same thumbnail"))]
    local.add([vector, other], twins, [jpeg(77), small])
    proof = erase(local, [id_of(2)], NOW)
    assert proof.complete
    assert proof.unseen == ("2 byte strings that rows which stay hold as well",)
    (local.folder / "old.bin").write_bytes(id_of("same vector").encode())
    with pytest.raises(ErasureError):
        erase(local, [id_of("same vector")], NOW)


def test_thumbnails_that_have_their_headers_in_common_are_told_apart(local: LocalStore):
    ids = [id_of(f"tiny {n}") for n in range(2)]
    tiny = [jpeg(n, (8, 8)) for n in range(90, 92)]
    middle = len(tiny[0]) // 2
    assert tiny[0][middle - 32 : middle + 32] in tiny[1]
    local.add(RANDOM.normal(size=(2, WIDTH)), [Record(id) for id in ids], tiny)
    assert erase(local, ids[:1], NOW).unseen == ()


def test_a_vector_with_zeros_in_its_middle_is_looked_for_whole(local: LocalStore):
    vector = np.where(np.abs(np.arange(WIDTH) - WIDTH / 2) < 12, 0, RANDOM.normal(size=WIDTH))
    local.add(vector[None], [Record(id_of("hollow"))])
    (local.folder / "old.bin").write_bytes(local.vectors([id_of("hollow")]).tobytes())
    with pytest.raises(ErasureError, match=r"a vector or a thumbnail stands in the file old\.bin"):
        erase(local, [id_of("hollow")], NOW)


def test_what_is_too_plain_to_be_looked_for_is_told(local: LocalStore):
    local.add(np.eye(WIDTH)[:1], [Record(id_of("plain"))], [bytes(500)])
    proof = erase(local, [id_of("plain")], NOW)
    assert proof.unseen == ("2 byte strings that are too plain to be told from others",)


def test_a_store_without_files_of_its_own_says_what_was_not_looked_at():
    proof = erase(fill(MemoryStore(WIDTH)), LOBBY, NOW)
    assert proof.complete
    assert proof.unseen == ("the files of this store, which only its engine can read",)


class Liar(MemoryStore):
    """Goes on answering for rows that were removed, in one of its ways."""

    def __init__(self, way: str) -> None:
        super().__init__(WIDTH)
        self.way = way
        fill(self)

    def remove(self, ids: Any) -> int:
        self.before = MemoryStore(WIDTH)
        fill(self.before)
        return super().remove(ids)

    def asked(self, way: str) -> MemoryStore | None:
        return getattr(self, "before", None) if way == self.way else None

    def get(self, id: str) -> Record | None:
        return MemoryStore.get(self.asked("get") or self, id)

    def known(self, ids: Any) -> set[str]:
        return MemoryStore.known(self.asked("known") or self, ids)

    def thumbnail(self, id: str) -> bytes | None:
        return MemoryStore.thumbnail(self.asked("thumbnail") or self, id)

    def records(self, where: Any = None) -> Iterator[Record]:
        return MemoryStore.records(self.asked("records") or self, where)

    def search_many(
        self, queries: Any, k: int, where: Any = None, *, exact: bool = False
    ) -> list[list[Hit]]:
        return MemoryStore.search_many(self.asked("search") or self, queries, k, where)

    def facts(self) -> dict[str, Any]:
        return {"removed": 1 if self.asked("facts") else 0}


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("get", "get still knows 3 of the ids"),
        ("known", "known still knows 3 of the ids"),
        ("thumbnail", "thumbnail still knows 3 of the ids"),
        ("records", "records still knows 3 of the ids"),
        ("search", "search still finds 3 of the ids"),
        ("facts", "the store still holds 1 rows that were removed"),
    ],
)
def test_every_way_in_is_asked(way: str, says: str):
    with pytest.raises(ErasureError, match=says) as error:
        erase(Liar(way), LOBBY, NOW)
    assert error.value.proof.found == (says,)


def test_the_proof_has_digests_of_the_ids_and_not_the_ids(local: LocalStore):
    facts = erase(local, [id_of(2), id_of("nobody")], NOW).to_json()
    ids = (id_of(2), id_of("nobody"))
    assert facts["ids"] == [hashlib.sha256(id.encode()).hexdigest() for id in ids]
    assert not any(id in json.dumps(facts) for id in ids)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["when"] == "2026-11-22T12:00:00+00:00"
    assert (facts["removed"], facts["missing"], facts["protected"]) == (1, 1, 0)
    assert (facts["found"], facts["complete"], facts["pictures"]) == ([], True, None)
    assert [text.split(":")[0] for text in facts["looked"]] == [
        "known", "get", "thumbnail", "records", "search", "every byte of the store's files",
    ]  # fmt: skip
    assert "backups" in facts["limits"]
    assert facts["limits"].endswith("The pictures that were indexed were not deleted.")


def test_many_rows_are_looked_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tipr.gallery.traces._AT_ONCE", 700)
    store = LocalStore(tmp_path / "rows", WIDTH)
    count = 2500
    ids = [id_of(n) for n in range(count)]
    store.add(RANDOM.normal(size=(count, WIDTH)), [Record(id) for id in ids])
    planted = tmp_path / "rows/old.bin"
    planted.write_bytes(store.vectors([ids[2222]]).tobytes())
    with pytest.raises(ErasureError, match=r"old\.bin") as error:
        erase(store, All(()), NOW)
    proof = error.value.proof
    assert (proof.removed, len(proof.ids), len(proof.found)) == (2500, 2500, 1)
    assert "search: 834 of the vectors" in proof.looked
    assert "every byte of the store's files: 5000 byte strings" in proof.looked[-1]
    store.close()
