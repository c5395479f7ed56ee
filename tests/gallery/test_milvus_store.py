"""What only a store on a Milvus server can promise; the claims about all stores hold for it too."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path

import numpy as np
import pytest
from generated import filters, records
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from milvus_server import MilvusServer, empty_store, milvus_uri
from numpy.typing import NDArray

from tipr.gallery import MemoryStore, Record, StoreError
from tipr.gallery.filters import AnyOf, Filter, Known, Not, Range, TimeOfDay

pytest.importorskip("pymilvus", reason="needs the package pymilvus")

from tipr.gallery import milvus_client, milvus_search, milvus_store
from tipr.gallery.milvus_client import Address
from tipr.gallery.milvus_rows import requests, row
from tipr.gallery.milvus_store import MilvusStore

Floats = NDArray[np.float32]


@pytest.fixture
def store() -> Iterator[MilvusStore]:
    made = empty_store(2)
    yield made
    made.close()


def named(*ids: str) -> list[Record]:
    return [Record(id) for id in ids]


def address(store: MilvusStore) -> str:
    return f"{milvus_uri()}/{store._name}"


# Filters


@pytest.fixture(scope="module")
def many() -> Iterator[tuple[MilvusStore, list[Record]]]:
    """A store of records of every kind, half of them on disk as segments, half in memory."""
    some: list[Record] = []

    @settings(max_examples=300, database=None, derandomize=True, phases=[Phase.generate])
    @given(records())
    def draw(one: Record) -> None:
        some.append(one)

    draw()
    some = [replace(one, id=f"{one.id}-{n}" if n else one.id) for n, one in enumerate(some)]
    store = empty_store(2)
    for half in (some[::2], some[1::2]):
        store.add(np.ones((len(half), 2)), half)
        store.maintain()
    yield store, some[::2] + some[1::2]
    store.close()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=filters())
def test_a_filter_lets_through_exactly_the_rows_that_match(many, where: Filter):
    store, some = many
    assert store.ids(where) == [one.id for one in some if where.matches(one)]


def test_every_record_comes_back_as_it_was_given(many):
    store, some = many
    assert list(store.records()) == some


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_of_any_size_are_compared_exactly(store: MilvusStore, number: float):
    some = [
        Record(f"{n}", extra={"n": value, "a/b~1": {'"': value}})
        for n, value in enumerate([number, number - 1, number + 1, float(number), True, "1", [1]])
        if not isinstance(value, int) or -(2**63) <= value < 2**63
    ]
    store.remove([str(n) for n in range(7)])
    store.add(np.ones((len(some), 2)), some)
    for name in ("n", 'a/b~1."'):
        for where in (Range(name, at_least=number), Range(name, below=number), Range(name)):
            assert store.ids(where) == [one.id for one in some if where.matches(one)]
            assert store.count(~where) == len(some) - store.count(where)


def test_thousands_of_alternatives_are_no_trouble(store: MilvusStore):
    store.add([[1, 0], [0, 1]], [Record("a", frame=4000), Record("b", frame=4001)])
    where = AnyOf(tuple(Range("frame", n, n + 1) for n in range(0, 6000, 2)))
    assert store.ids(where) == ["a"]


def test_a_time_of_day_finds_rows_of_years_that_another_store_added(store: MilvusStore):
    evening = TimeOfDay(time(18), time(20), "Europe/Berlin")
    assert store.ids(evening) == []
    other = MilvusStore(address(store))
    for year in (1999, 2026, 2012):  # 18:30 in winter, 19:30 in summer
        record = Record(f"{year}", time=datetime(year, 1 + year % 12, 1, 17, 30, tzinfo=UTC))
        other.add([[1, 0]], [record])
        assert store.ids(evening)[-1] == f"{year}"
    other.update([Record("2012", time=datetime(2035, 6, 1, 17, tzinfo=UTC))])
    assert store.ids(evening) == ["1999", "2026", "2012"]
    other.close()


# Recall


def clustered(count: int, queries: int, width: int) -> tuple[Floats, Floats]:
    """Pictures of people in a cone, several of each, and sentences in another with a weak hint."""
    rng = np.random.default_rng(0)
    spectrum = 1 / np.sqrt(np.arange(1, width + 1))
    people = rng.standard_normal((count // 20, width)) * spectrum
    cones = rng.standard_normal((2, width)) * spectrum * 2
    noise = rng.standard_normal((count + queries, width)) * spectrum / 2
    pictures = cones[0] + people[np.arange(count) % len(people)] + noise[:count]
    sentences = cones[1] + 0.4 * people[:queries] + noise[count:]
    return tuple(
        (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        for rows in (pictures, sentences)
    )


SHARES: dict[str, tuple[Filter | None, int]] = {
    "all": (None, 20_000),
    "10 %": (Range("frame", 0, 2000), 2000),
    "1 %": (Range("frame", 0, 200), 200),
    "0.1 %": (Range("frame", 0, 20), 20),
}


def recall(store: MilvusStore, pictures: Floats, sentences: Floats, exact: bool) -> dict[str, float]:
    found = {}
    for name, (where, count) in SHARES.items():
        best = np.argsort(-(sentences @ pictures[:count].T), axis=1)[:, :10]
        hits = store.search_many(sentences, 10, where, exact=exact)
        same = [
            len({int(hit.record.id) for hit in some} & set(truth.tolist()))
            for some, truth in zip(hits, best, strict=True)
        ]
        found[name] = sum(same) / best.size
    return found


def test_sentences_find_all_right_after_an_import_and_through_the_index(monkeypatch):
    pictures, sentences = clustered(20_000, 40, 256)
    store = empty_store(256)
    some = [Record(str(n), frame=n) for n in range(20_000)]
    for start in range(0, 20_000, 5000):
        store.add(pictures[start : start + 5000], some[start : start + 5000])
    everything = dict.fromkeys(SHARES, 1.0)
    assert recall(store, pictures, sentences, exact=False) == everything
    monkeypatch.setattr(milvus_store, "_EXACT", 10_000)
    store.maintain(sentences)
    facts = store.facts()
    assert facts["index"] == "IVF_FLAT"
    assert 32 < facts["probes"] < 1024  # fewer would lose people, and not all lists are needed
    assert recall(store, pictures, sentences, exact=True) == everything
    through = recall(store, pictures, sentences, exact=False)
    assert 0.99 <= through.pop("all") < 1
    assert set(through.values()) == {1.0}
    again = MilvusStore(address(store))
    assert again.facts()["probes"] == facts["probes"]
    again.close()
    store.close()
