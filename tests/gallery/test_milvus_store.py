"""What only a store on a Milvus server can promise; the claims about all stores hold for it too."""

from __future__ import annotations

import importlib.util
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from datetime import time as clock
from pathlib import Path

import numpy as np
import pytest
from generated import filters, records
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from milvus_server import MilvusServer, empty_store, milvus_files, milvus_uri
from numpy.typing import NDArray

from tipr.gallery import MemoryStore, Record, StoreError, milvus_client, milvus_search, milvus_store
from tipr.gallery.filters import Among, AnyOf, Filter, Range, TimeOfDay
from tipr.gallery.milvus_client import Address
from tipr.gallery.milvus_rows import requests
from tipr.gallery.milvus_store import MilvusStore

needs_client = pytest.mark.skipif(
    importlib.util.find_spec("pymilvus") is None, reason="needs the package pymilvus"
)
Floats = NDArray[np.float32]


@pytest.fixture
def store() -> Iterator[MilvusStore]:
    made = empty_store(2)
    yield made
    made.close()


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
    store.add(np.ones((len(some[::2]), 2)), some[::2])
    store.maintain()
    store.add(np.ones((len(some[1::2]), 2)), some[1::2])
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
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False))
@example(2**53 + 1)
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
    evening = TimeOfDay(clock(18), clock(20), "Europe/Berlin")
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


def recall(
    store: MilvusStore, pictures: Floats, sentences: Floats, exact: bool
) -> dict[str, float]:
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
    pictures, sentences = clustered(20_000, 40, 128)
    store = empty_store(128)
    some = [Record(str(n), frame=n) for n in range(20_000)]
    for start in range(0, 20_000, 5000):
        store.add(pictures[start : start + 5000], some[start : start + 5000])
    everything = dict.fromkeys(SHARES, 1.0)
    assert recall(store, pictures, sentences, exact=False) == everything
    monkeypatch.setattr(milvus_store, "_EXACT", 10_000)
    monkeypatch.setattr(milvus_search, "_PROBES", (1, 8, 32, 128))
    store.maintain(sentences)
    facts = store.facts()
    assert facts["index"] == "IVF_FLAT"
    assert facts["probes"] in (32, 128)  # 8 lists lose one in ten
    assert facts["recall"] >= 0.99
    assert recall(store, pictures, sentences, exact=False)["all"] >= 0.99
    store._index["probes"] = 8
    assert recall(store, pictures, sentences, exact=True) == everything
    through = recall(store, pictures, sentences, exact=False)
    assert through.pop("all") < 0.97
    assert set(through.values()) == {1.0}
    again = MilvusStore(address(store))
    assert again.facts()["probes"] == facts["probes"]
    again.close()
    store.close()


# Limits of the engine


def test_rows_beyond_one_page_come_in_order_and_in_full_batches(store: MilvusStore, monkeypatch):
    monkeypatch.setattr(milvus_client, "_PAGE", 7)
    ids = [f"{n * 7919 % 100:02d}" for n in range(100)]
    for start in range(0, 100, 25):
        some = [Record(id, camera=id[0]) for id in ids[start : start + 25]]
        store.add(np.ones((25, 2)), some)
    assert store.ids() == ids
    assert store.ids(Among("camera", ("1", "2"))) == [id for id in ids if id[0] in "12"]
    assert [len(some) for _, some in store.scan(30)] == [30, 30, 30, 10]


def test_a_writer_whose_clock_is_behind_loses_nothing(store: MilvusStore, monkeypatch):
    store.add([[1, 0], [0, 1]], [Record("a"), Record("b")])
    monkeypatch.setattr("time.time_ns", lambda: 1)
    store.add([[1, 0], [0, 1]], [Record("c"), Record("d")])
    assert store.ids() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("most", [20, 60])
def test_more_results_or_ties_than_milvus_gives_are_found_by_reading_all(
    store: MilvusStore, monkeypatch, most: int
):
    monkeypatch.setattr(milvus_search, "_MOST", most)
    rows = np.repeat([[1, 0], [0, 1], [1, 1]], 70, axis=0)
    some = [Record(f"{n * 7919 % 210:03d}", frame=n) for n in range(210)]
    reference = MemoryStore(2)
    for one in (store, reference):
        one.add(rows, some)
        one.update([replace(first, camera="x") for first in some[:30]])  # now last in its files
    queries = [[1, 0.1], [0.3, 1], [1, 2]]
    for k in (1, 3, 75, 500):
        for where in (None, Range("frame", 60, 160)):
            assert store.search_many(queries, k, where) == reference.search_many(queries, k, where)


def test_requests_are_kept_small():
    small = [{"vector": np.zeros(4), "text": "x"} for _ in range(2500)]
    assert [len(some) for some in requests(small)] == [1000, 1000, 500]
    large = [{"vector": np.zeros(1_000_000), "text": "x" * 60_000}] * 7
    assert [len(some) for some in requests(large)] == [3, 3, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Record("a", "\ud800.jpg"), "the path of record 'a' is no Unicode"),
        (Record("a", source="\u00e9" * 40_000), "the source of record 'a' has 80000 bytes"),
        (Record("a", extra={"x": "y" * 65_530}), "the extra of record 'a' has 65538 bytes"),
        (Record("a", extra={"x": float("nan")}), "the extra of record 'a' cannot be kept"),
        (Record("a", extra={"x": 10**400}), "extra of record 'a' cannot be kept: a whole"),
        (Record("a", frame=2**63), "the frame of record 'a' is too large"),
    ],
)  # fmt: skip
def test_what_milvus_cannot_keep_is_named_and_nothing_is_written(store, given, words):
    with pytest.raises(ValueError, match=words):
        store.add([[1, 0], [0, 1]], [Record("fine"), given], [b"small", None])
    assert len(store) == 0
    assert store.thumbnail("fine") is None


def test_a_thumbnail_that_is_too_large_is_named(store: MilvusStore):
    with pytest.raises(ValueError, match=r"thumbnail of 'b' has 50000 bytes; Milvus keeps 49149"):
        store.add([[1, 0], [0, 1]], [Record("a"), Record("b")], [b"x" * 49_149, b"x" * 50_000])
    assert len(store) == 0
    store.add([[1, 0]], [Record("a")], [b"x" * 49_149])
    assert store.thumbnail("a") == b"x" * 49_149
    with pytest.raises(ValueError, match="the note 'long' has 70000 bytes"):
        store.put_note("long", "x" * 70_000)


# Many readers and writers


def test_another_store_sees_at_once_what_was_written(store: MilvusStore):
    other = MilvusStore(address(store), 2)
    for n in range(10):
        store.add([[1, n]], [Record(f"{n}")], [b"small"])
        assert other.search([1, n], 1)[0].record.id == f"{n}"
        assert len(other) == n + 1
        assert other.thumbnail(f"{n}") == b"small"
    store.remove(["0"])
    assert other.known(["0", "1"]) == {"1"}
    other.close()
    assert len(store) == 9


def test_two_that_add_the_same_rows_at_once_keep_each_once(store: MilvusStore):
    others = [MilvusStore(address(store)) for _ in range(3)]
    some = [Record(f"{n}") for n in range(200)]

    def fill(one: MilvusStore) -> None:
        for start in range(0, 200, 20):
            one.add(np.ones((20, 2)), some[start : start + 20])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(fill, others))
    assert sorted(store.ids()) == sorted(one.id for one in some)
    assert len(store.search([1, 0], 500)) == 200
    for one in others:
        one.close()


def test_what_was_removed_is_in_no_file_of_rows_after_compaction(store: MilvusStore):
    name = f"needle {uuid.uuid4().hex}"

    def files() -> list[Path]:
        return [
            path
            for path in milvus_files().rglob("*")
            if path.is_file() and name.encode() in path.read_bytes()
        ]

    store.add(np.eye(2), [Record("a", source=name), Record("b", camera="x")], [b"a", b"b"])
    store.maintain()
    assert len(files()) == 1
    assert store.remove(["a", "a", "nobody"]) == 1
    store.compact()
    assert store.ids(Among("camera", ("x",))) == store.ids() == ["b"]
    assert (store.thumbnail("a"), store.thumbnail("b")) == (None, b"b")
    end = time.monotonic() + 30
    while files() and time.monotonic() < end:
        time.sleep(0.2)
    assert files() == []


# Addresses and trouble


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("milvus://host", "takes no gallery named ''"),
        ("milvus://host/a/b", "takes no gallery named 'a/b'"),
        ("milvus://host/7up", "begins with no digit"),
        ("milvus://host/north-door", "letters, digits and _"),
        ("milvus://host/people_notes", "does not end in _notes"),
        ("milvus://host:port/people", "cannot be read; write it as milvus://host:19530/NAME"),
        ("milvus:///people", "names no Milvus server"),
    ],
)
def test_an_address_that_cannot_be_meant_is_told_with_an_example(uri: str, words: str):
    with pytest.raises(StoreError, match=words):
        MilvusStore(uri)


def test_an_address_may_have_credentials_a_port_and_encryption():
    read = Address.read("milvus+tls://a%40b:p%3Aw@[::1]:99/people")
    assert (read.host, read.port, read.name, read.tls) == ("::1", 99, "people", True)
    assert (read.user, read.password) == ("a@b", "p:w")
    assert "p:w" not in repr(read) + str(read)
    assert Address.read("milvus://host/people").port == 19530


def test_without_the_client_package_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(StoreError, match=r"pip install 'tipr\[milvus\]'"):
        MilvusStore("milvus://127.0.0.1/people")


@needs_client
def test_a_server_that_does_not_answer_is_named():
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"127.0.0.1:{port} does not answer; start it"):
            MilvusStore.there(f"milvus://127.0.0.1:{port}/people")


def test_a_segment_that_changes_hands_is_waited_for(store: MilvusStore, monkeypatch):
    pymilvus = pytest.importorskip("pymilvus")
    answers = [pymilvus.MilvusException(message="channel not available[channel=x]")] * 2

    def busy(*arguments: object, **named: object) -> None:
        if answers:
            raise answers.pop()
        monkeypatch.undo()
        return store._client._client.query(*arguments, **named)

    monkeypatch.setattr(store._client._client, "query", busy)
    assert len(store) == 0
    assert answers == []


@needs_client
def test_what_is_no_milvus_server_is_told_in_words(monkeypatch):
    monkeypatch.setattr(milvus_client, "SECONDS", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreError, match="refuses visitors without a name, or it is none"):
            MilvusStore(f"milvus://127.0.0.1:{port}/people")


@pytest.mark.parametrize("who", ["root:wrong@", "nobody:x@", ""])
def test_refused_credentials_are_told_without_the_password(who: str):
    uri = milvus_uri().replace("root:Milvus@", who)
    with pytest.raises(StoreError, match=r"refuses (user '(root|nobody)'|visitors)") as told:
        MilvusStore(f"{uri}/people")
    assert "wrong" not in str(told.value)


def test_a_gallery_that_is_not_there_is_made_only_if_asked_for(store: MilvusStore):
    uri = f"{milvus_uri()}/nowhere"
    assert not MilvusStore.there(uri)
    with pytest.raises(StoreError, match=r"there is no gallery nowhere on 127\.0\.0\.1"):
        MilvusStore(uri)
    with pytest.raises(StoreError, match="there is no gallery nowhere"):
        MilvusStore(uri, 2)
    assert MilvusStore.there(address(store))
    with pytest.raises(ValueError, match="holds vectors of width 2, not 3"):
        MilvusStore(address(store), 3, create=True)


def test_collections_that_are_damaged_or_foreign_are_named():
    name = f"t{uuid.uuid4().hex}"
    uri = f"{milvus_uri()}/{name}"
    made = MilvusStore(uri, 2, create=True)
    made.add([[1, 0]], [Record("a")])
    made._client.ask("drop_collection", f"{name}_thumbnails")
    with pytest.raises(StoreError, match=f"is damaged: its collection {name}_thumbnails is gone"):
        MilvusStore(uri)
    with pytest.raises(StoreError, match="refuses to query"):
        made.thumbnail("a")
    made._client.ask("drop_collection", name)
    made._client.ask("rename_collection", f"{name}_notes", name)
    with pytest.raises(StoreError, match="is no gallery of tipr: it lacks box, camera"):
        MilvusStore(uri)
    made.close()


def test_a_server_that_was_killed_has_everything_that_was_acknowledged(tmp_path: Path, monkeypatch):
    milvus_uri()  # skips where there is no server
    (tmp_path / "bin").symlink_to(milvus_files().parents[1] / "bin")
    server = MilvusServer(tmp_path, common_session_ttl="3")  # else it waits a minute for itself
    uri = f"{server.start()}/people"
    store = MilvusStore(uri, 8, create=True)
    rows = np.random.default_rng(0).standard_normal((300, 8))
    some = [Record(f"{n:03d}", camera=str(n % 3)) for n in range(300)]
    store.add(rows[:100], some[:100], [b"small"] * 100)
    store.maintain()
    store.put_note("policy", "keep")
    for start in range(100, 300, 20):
        store.add(rows[start : start + 20], some[start : start + 20])
    store.remove(["000", "299"])
    store.update([replace(some[150], camera="x")])
    server.kill()
    monkeypatch.setattr(milvus_client, "SECONDS", 2.0)
    with pytest.raises(StoreError, match="does not answer"):
        store.add(rows[:1], [Record("later")])
    store.close()
    monkeypatch.undo()
    uri = f"{server.start()}/people"
    again = MilvusStore(uri)
    assert again.ids() == [one.id for one in some[1:299]]
    assert again.get("150") == replace(some[150], camera="x")
    assert (again.thumbnail("099"), again.note("policy")) == (b"small", "keep")
    reference = MemoryStore(8)
    reference.add(rows[1:299], some[1:299])
    reference.update([replace(some[150], camera="x")])
    assert again.search_many(rows[:5], 20) == reference.search_many(rows[:5], 20)
    assert again.add(rows[:1], [Record("later")]) == 1
    again.close()
    server.kill()
