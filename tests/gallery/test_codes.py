"""Coarse codes: what they find, how they are measured, and that they never cost a result."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tipr.gallery import MemoryStore, Record
from tipr.gallery.filters import Among, Range
from tipr.gallery.local import LocalStore, building, searching
from tipr.gallery.local.files import Generation


def records(*ids: str) -> list[Record]:
    return [Record(id, f"{id}.jpg") for id in ids]


@pytest.fixture
def coded(tmp_path: Path, monkeypatch) -> tuple[LocalStore, MemoryStore, np.ndarray]:
    """Stores of 4,000 rows in a narrow cone, with sentences elsewhere; the local one has codes."""
    for module, name, value in ((searching, "EXACT", 500), (building, "_TAIL", 200)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(building, "_LADDER", (50, 100, 200, 400, 800))
    seconds = itertools.cycle([2.0, 1.0])  # of the scan, and of the codes
    monkeypatch.setattr(building, "_seconds", lambda search, queries: next(seconds))
    rng = np.random.default_rng(11)
    vectors = rng.standard_normal((4000, 32)) + 3
    queries = rng.standard_normal((60, 32)) - 1
    rows = [Record(f"{n:05d}", camera=str(n % 4), extra={"n": n}) for n in range(4000)]
    stores = LocalStore(tmp_path / "s", 32), MemoryStore(32)
    for store in stores:
        store.add(vectors, rows)
    stores[0].maintain(queries)
    return *stores, queries


def agreement(store: LocalStore, truth: MemoryStore, queries: np.ndarray, k: int, where) -> float:
    """The share of the true results that is found."""
    pairs = zip(
        store.search_many(queries, k, where), truth.search_many(queries, k, where), strict=True
    )
    shared = [
        len({h.record.id for h in found} & {h.record.id for h in true}) / k for found, true in pairs
    ]
    return float(np.mean(shared))


def test_codes_find_what_an_exact_scan_finds(coded):
    store, truth, queries = coded
    facts = store.facts()
    assert facts["index"] == "codes"
    assert facts["codes"]["recall"]["10"] >= 0.99
    assert agreement(store, truth, queries, 10, None) >= 0.99
    assert agreement(store, truth, queries, 10, Among("camera", ("1", "2"))) >= 0.99
    assert store.search_many(queries, 10, exact=True) == truth.search_many(queries, 10)
    narrow = Range("n", 100, 400)
    assert store.search_many(queries, 10, narrow) == truth.search_many(queries, 10, narrow)


def test_rows_added_and_removed_after_the_codes_are_followed_at_once(coded):
    store, truth, queries = coded
    best = [hits[0].record.id for hits in truth.search_many(queries, 1)]
    for changed in (store, truth):
        changed.remove(best)
        changed.add(queries[:5], records(*"abcde"))
    found = store.search_many(queries, 10)
    assert not {hit.record.id for hits in found for hit in hits} & set(best)
    assert [hits[0].record.id for hits in found[:5]] == list("abcde")
    assert agreement(store, truth, queries, 10, None) >= 0.99
    again = LocalStore(store.folder)
    assert again.search_many(queries, 10) == found


def test_codes_grow_with_the_rows(coded):
    store, truth, queries = coded
    before = store.facts()["codes"]
    more = np.random.default_rng(12).standard_normal((1000, 32)) + 3
    for changed in (store, truth):
        changed.add(more, [Record(f"more{n:04d}") for n in range(1000)])
    store.maintain(queries)
    after = store.facts()["codes"]
    assert (before["rows"], after["rows"]) == (4000, 5000)
    assert after["trained"] == before["trained"]
    assert agreement(store, truth, queries, 10, None) >= 0.99


def test_a_filter_that_goes_against_the_query_loses_nothing(coded):
    store, truth, _ = coded
    far = truth.search(np.ones(32), 4000)
    query = np.ones(32)
    worst = tuple(hit.record.id for hit in far[-700:])
    where = Among("id", worst)
    assert store.search(query, 10, where) == truth.search(query, 10, where)


def test_rows_without_codes_do_not_stand_in_for_those_that_have_some(coded):
    store, truth, _queries = coded
    more = np.random.default_rng(13).standard_normal((700, 32)) - 3
    query = np.ones(32)
    worst = truth.search(query, 4000)[-600:]
    for changed in (store, truth):
        changed.add(more, [Record(f"tail{n}", camera="x") for n in range(700)])
        changed.update([replace(hit.record, camera="x") for hit in worst])
    where = Among("camera", ("x",))
    assert store.search(query, 10, where) == truth.search(query, 10, where)


def test_codes_that_lose_too_much_are_not_used(coded, monkeypatch):
    store, truth, queries = coded
    monkeypatch.setattr(building, "_LADDER", (10,))
    monkeypatch.setattr(building, "_TAIL", -1)
    store.maintain(queries)
    assert store.facts()["codes"]["recall"]["10"] < 0.99
    assert store.facts()["index"] == "exact"
    assert store.search_many(queries, 10) == truth.search_many(queries, 10)


def test_lost_codes_cost_time_and_no_result(coded):
    store, truth, queries = coded
    [path] = store.folder.rglob("codes.faiss")
    path.write_bytes(path.read_bytes()[:1000])
    again = LocalStore(store.folder)
    assert again.facts()["index"] == "exact"
    assert any("codes.faiss" in fault for fault in again.check())
    assert again.search_many(queries, 10) == truth.search_many(queries, 10)
    again.maintain(queries)
    assert again.facts()["index"] == "codes"


def test_nothing_of_a_removed_row_is_left_in_the_codes_after_compaction(coded):
    store, _, queries = coded
    best = store.search(queries[0], 1)[0].record.id
    needle = store.vectors([best]).tobytes()
    store.remove([best])
    store.compact()
    assert store.traces([needle]) == []
    assert not list(store.folder.rglob("codes.faiss"))
    store.maintain(queries)
    assert store.facts()["index"] == "codes"
    assert best not in {hit.record.id for hits in store.search_many(queries, 10) for hit in hits}


def test_without_sentences_to_measure_with_there_are_no_codes(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(searching, "EXACT", 5)
    store = LocalStore(tmp_path / "s", 8)
    store.add(np.eye(50, 8) + 1, records(*(str(n) for n in range(50))))
    store.maintain()
    assert store.facts()["index"] == "exact"


def test_a_width_that_is_odd_has_codes_too(coded, tmp_path: Path):
    rng = np.random.default_rng(1)
    store, truth = LocalStore(tmp_path / "odd", 31), MemoryStore(31)
    vectors, queries = rng.standard_normal((2000, 31)) + 2, rng.standard_normal((40, 31))
    for filled in (store, truth):
        filled.add(vectors, records(*(str(n) for n in range(2000))))
    store.maintain(queries)
    assert store.facts()["index"] == "codes"
    assert agreement(store, truth, queries, 10, None) >= 0.99


def test_rows_of_fewer_bytes_than_the_codes_are_scored_one_by_one(coded, monkeypatch):
    store, truth, queries = coded
    monkeypatch.setattr(searching, "EXACT", 10)
    asked = []
    monkeypatch.setattr(Generation, "coarse", lambda now: asked.append(now))
    for below, through_codes in ((4000 // 16, False), (4000 // 16 + 1, True)):
        few = Range("n", 0, below)
        assert store.search_many(queries, 10, few) == truth.search_many(queries, 10, few)
        assert bool(asked) == through_codes
