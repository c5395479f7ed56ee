"""Claims about every store; the one in memory says what is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tipr.gallery import MemoryStore, Record, Store
from tipr.gallery.filters import All, Among, Filter, Known, Range, TimeOfDay

NewStore = Callable[[int], Store]


def records(*ids: str) -> list[Record]:
    return [Record(id, f"{id}.jpg") for id in ids]


def full(id: str) -> Record:
    """Every fact is known, none of them plain."""
    return Record(
        id,
        'caf\u00e9/it\'s "1".jpg',
        {"camera": 3, "tags": ["a", None], "deep": {"x": 1.5}},
        camera="north door; -- x",
        time=datetime(2026, 10, 25, 2, 30, 0, 123456, timezone(timedelta(hours=2))),
        track="7'",
        box=(-3, 4, 64, 128),
        frame=0,
        source="a\\b.mp4",
        indexed=datetime(1969, 12, 31, tzinfo=UTC),
        model="ab12",
    )


def found(store: Store, query: list[float], k: int) -> list[str]:
    return [hit.record.id for hit in store.search(query, k)]


def test_the_nearest_direction_comes_first_whatever_its_length(new_store: NewStore):
    store = new_store(2)
    store.add([[5, 0], [0.1, 0.1], [0, 3]], records("east", "north-east", "north"))
    assert found(store, [0, 9], 3) == ["north", "north-east", "east"]
    assert [round(h.score, 6) for h in store.search([0, 9], 3)] == [1, 0.707107, 0]


def test_a_record_comes_back_as_it_was_given(new_store: NewStore):
    store = new_store(2)
    given = full("o'neil")
    store.add([[1, 0]], [given])
    assert store.search([1, 0], 1)[0].record == given
    assert store.get("o'neil") == given
    assert store.get("nobody") is None


def test_equal_scores_keep_the_order_of_insertion(new_store: NewStore):
    store = new_store(3)
    names = [f"{n * 7919 % 100:02d}" for n in range(100)]
    for start in range(0, 100, 25):
        store.add(np.tile([1, 2, 3], (25, 1)), records(*names[start : start + 25]))
    assert found(store, [1, 1, 1], 3) == names[:3]
    assert found(store, [1, 1, 1], 100) == names
    assert store.ids() == names
    assert list(store.records()) == records(*names)


def test_tidying_up_changes_no_answer(new_store: NewStore):
    store = new_store(2)
    for n in range(8):
        store.add([[1, n % 2]], records(str(n)))
    store.remove(["3"])
    before = store.search([1, 0.2], 8)
    store.maintain()
    assert store.search([1, 0.2], 8) == before
    assert store.ids() == ["0", "1", "2", "4", "5", "6", "7"]


def test_more_results_than_rows_is_all_rows(new_store: NewStore):
    store = new_store(2)
    store.add([[1, 0], [0, 1]], records("a", "b"))
    assert found(store, [1, 0], 1000) == ["a", "b"]


def test_an_empty_store_answers_with_nothing(new_store: NewStore):
    store = new_store(4)
    assert store.search([1, 0, 0, 0], 5) == []
    assert len(store) == 0
    assert store.ids() == []
    assert list(store.records()) == []
    assert store.update([]) == store.update(records("nobody")) == 0
    assert store.remove(["nobody"]) == 0
    store.compact()
    assert list(store.scan()) == []
    assert store.search([1, 0, 0, 0], 5, Among("camera", ("a",))) == []
    store.maintain()
    assert store.add(np.empty((0, 4)), []) == 0


def test_adding_an_id_again_keeps_the_first_record(new_store: NewStore):
    store = new_store(2)
    assert store.add([[1, 0]], [Record("a", "first.jpg")]) == 1
    assert store.add([[0, 1], [0, 1]], [Record("a", "second.jpg"), Record("b", "b.jpg")]) == 1
    assert len(store) == 2
    assert store.search([1, 0], 1)[0].record.path == "first.jpg"


def test_an_updated_record_keeps_its_vector_and_its_place(new_store: NewStore):
    store = new_store(2)
    store.add([[1, 0], [0, 1]], records("a", "b"))
    store.add([[1, 1]], records("c"))
    moved = [Record("c", "new/c.jpg"), Record("a", "caf\u00e9/it's.jpg", {"name": 'the "a"'})]
    assert store.update([*moved, Record("nobody", "nobody.jpg")]) == 2
    for _ in range(2):
        assert list(store.records()) == [moved[1], *records("b"), moved[0]]
        assert store.ids() == ["a", "b", "c"]
        assert store.get("a") == moved[1]
        assert [hit.record for hit in store.search([1, 0], 2)] == [moved[1], moved[0]]
        store.maintain()
    assert store.add([[0, 1]], records("a")) == 0


def test_a_removed_row_is_not_found_and_may_come_back(new_store: NewStore):
    store = new_store(2)
    store.add([[1, 0], [0, 1]], records("a", "b"))
    assert store.remove(["a", "nobody"]) == 1
    assert found(store, [1, 0], 5) == ["b"]
    store.add([[1, 0]], records("a"))
    assert store.ids() == ["b", "a"]


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_result_is_refused(new_store: NewStore, k: int):
    with pytest.raises(ValueError, match="at least 1"):
        new_store(2).search([1, 0], k)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ([np.nan, 0], "vector 1 of 2 is zero or has values that are no number"),
        ([np.inf, 0], "vector 1 of 2"),
        ([0, 0], "vector 1 of 2 is zero"),
    ],
)
def test_a_vector_without_a_direction_is_refused_whole(new_store, vector, words):
    store = new_store(2)
    with pytest.raises(ValueError, match=words):
        store.add([[1, 0], vector], records("a", "b"))
    with pytest.raises(ValueError, match="vector 0 of 1"):
        store.search(vector, 1)
    assert len(store) == 0


def test_another_width_is_refused_by_number(new_store: NewStore):
    store = new_store(3)
    with pytest.raises(ValueError, match=r"holds vectors \(N, 3\), these have shape \(1, 2\)"):
        store.add([[1, 0]], records("a"))
    with pytest.raises(ValueError, match=r"searched with a vector \(3,\)"):
        store.search([1, 0], 1)


def test_as_many_records_as_vectors_each_with_its_own_id(new_store: NewStore):
    store = new_store(2)
    with pytest.raises(ValueError, match="2 vectors but 1 records"):
        store.add([[1, 0], [0, 1]], records("a"))
    with pytest.raises(ValueError, match="stands twice"):
        store.add([[1, 0], [0, 1]], records("a", "a"))
    with pytest.raises(ValueError, match="stands twice"):
        store.update(records("a", "a"))


def cosine_by_hand(row: Sequence[int], query: Sequence[int]) -> float:
    dot = sum(a * b for a, b in zip(row, query, strict=True))
    return dot / (sum(a * a for a in row) * sum(b * b for b in query)) ** 0.5


grid = st.integers(-3, 3)
rows = st.lists(st.tuples(grid, grid, grid).filter(any), min_size=1, max_size=40)


def test_searching_equals_sorting_every_row_by_its_cosine(new_store):
    store = new_store(3)  # one for all examples: a server takes its time to make one

    @settings(max_examples=25, deadline=None, database=None)
    @given(rows=rows, query=st.tuples(grid, grid, grid).filter(any), k=st.integers(1, 45))
    def holds(rows, query, k):
        store.remove(store.ids())
        store.add(np.asarray(rows), records(*(str(number) for number in range(len(rows)))))
        hits = store.search(query, k)
        truth = [cosine_by_hand(row, query) for row in rows]
        chosen = [int(hit.record.id) for hit in hits]
        scores = [hit.score for hit in hits]
        assert scores == pytest.approx(sorted(truth, reverse=True)[:k], abs=1e-6)
        assert scores == pytest.approx([truth[row] for row in chosen], abs=1e-6)
        for row in set(rows):  # rows that are the same vector
            equal = [number for number in chosen if rows[number] == row]
            places = [number for number in range(len(rows)) if rows[number] == row]
            assert equal == places[: len(equal)]

    holds()


def test_both_stores_answer_alike_to_the_last_digit(new_store: NewStore):
    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((3000, 64)) + 4  # a narrow cone, as pictures are
    queries = rng.standard_normal((5, 64)) - 1  # sentences lie elsewhere
    names = records(*(str(number) for number in range(3000)))
    store, reference = new_store(64), MemoryStore(64)
    store.add(vectors, names)
    reference.add(vectors, names)
    for query in queries:
        assert store.search(query, 50) == reference.search(query, 50)


def test_a_picture_kept_small_comes_back_byte_for_byte(new_store: NewStore):
    store = new_store(2)
    store.add([[1, 0], [0, 1]], records("a", "b"), [bytes(range(256)), None])
    store.add([[1, 1]], records("a"), [b"another"])
    assert store.thumbnail("a") == bytes(range(256))
    assert store.thumbnail("b") is None
    assert store.thumbnail("nobody") is None
    store.compact()
    assert store.thumbnail("a") == bytes(range(256))
    store.remove(["a"])
    assert store.thumbnail("a") is None
    with pytest.raises(ValueError, match="1 thumbnails but 2 records"):
        store.add([[1, 0], [0, 1]], records("c", "d"), [None])


def test_vectors_come_back_in_the_order_asked(new_store: NewStore):
    store = new_store(2)
    store.add([[3, 4], [0, 2]], records("a", "b"))
    assert np.allclose(store.vectors(["b", "a", "b"]), [[0, 1], [0.6, 0.8], [0, 1]])
    assert store.vectors([]).shape == (0, 2)
    with pytest.raises(KeyError, match="nobody"):
        store.vectors(["a", "nobody"])


def test_known_ids_are_those_that_are_there(new_store: NewStore):
    store = new_store(2)
    store.add([[1, 0], [0, 1]], records("a", "o'b"))
    assert store.known(["x", "o'b", "a", "a"]) == {"a", "o'b"}
    assert store.known([]) == set()


def test_notes_are_kept_replaced_and_removed(new_store: NewStore):
    store = new_store(2)
    assert store.note("policy") is None
    for text in ("first", 'the "second"\n' * 1000):
        store.put_note("policy", text)
        store.compact()
        assert store.note("policy") == text
    store.put_note("other", "")
    assert store.note("other") == ""
    store.put_note("policy", None)
    assert store.note("policy") is None


def test_a_scan_gives_every_row_once_with_its_vector(new_store: NewStore):
    store = new_store(2)
    store.add([[n + 1, 1] for n in range(7)], records(*"abcdefg"))
    store.remove(["c"])
    pieces = list(store.scan(batch=4))
    assert [len(some) for _, some in pieces] == [4, 2]
    names = [record.id for _, some in pieces for record in some]
    assert names == list("abdefg")
    vectors = np.concatenate([rows for rows, _ in pieces])
    assert (vectors == store.vectors(names)).all()
    [(_, chosen)] = store.scan(where=~Among("id", ("a", "b")))
    assert [record.id for record in chosen] == list("defg")


def test_compacting_changes_no_answer(new_store: NewStore):
    store = new_store(3)
    rng = np.random.default_rng(0)
    store.add(rng.standard_normal((50, 3)), records(*(f"{n:02d}" for n in range(50))))
    store.remove([f"{n:02d}" for n in range(0, 50, 3)])
    store.update([Record("01", "new.jpg", camera="x")])
    before = store.search([1, 2, 3], 50)
    store.compact()
    assert store.search([1, 2, 3], 50) == before
    assert store.ids(Among("camera", ("x",))) == ["01"]
    store.add([[1, 2, 3]], records("after"))
    assert store.search([1, 2, 3], 1)[0].record.id == "after"
    assert store.ids()[-1] == "after"


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def varied(count: int) -> list[Record]:
    """Cameras, hours, tracks, ages: each known of some rows only."""
    return [
        Record(
            f"{n:04d}", f"{n}.jpg",
            {"age": n % 90, "tags": ["odd"]} if n % 2 else {"colour": "red" if n % 3 else None},
            camera=("", "gate", "lobby", "north door")[n % 4],
            time=NOON + timedelta(hours=n) if n % 5 else None,
            track=str(n // 7), frame=n if n % 3 else None,
        )
        for n in range(count)
    ]  # fmt: skip


DAY = Range("time", NOON + timedelta(hours=10), NOON + timedelta(hours=34))
FILTERS: list[Filter] = [
    Among("camera", ("gate",)),
    ~Among("camera", ("gate", "lobby")),
    Among("camera", ()),
    Known("camera") & ~Known("time"),
    Range("time", NOON + timedelta(hours=10), NOON + timedelta(hours=40)),
    Range("time", NOON, NOON),
    TimeOfDay(time(22), time(4), "Europe/Berlin") & Among("camera", ("lobby", "gate")),
    Among("age", (7, 31.0)) | Among("track", ("3",)),
    ~Range("age", 10, 80),
    Among("tags", ("odd",)) & Range("frame", 20, None),
    ~Known("colour") | Among("colour", ("red",)),
    Among("id", ("0005", "0150", "nobody")),
    ~(Among("camera", ("gate",)) | (Known("time") & ~Range("frame", None, 100))),
    All(()),
    DAY & Among("track", tuple(str(n) for n in range(9))) & ~Among("camera", ("gate",)),
    ~(DAY & (Among("camera", ("gate", "lobby")) | Known("age")) & Range("frame", 13, None)),
    DAY & TimeOfDay(time(6), time(7), "UTC") & ~All((Known("frame"), DAY, Known("age"))),
]


def test_a_filter_loses_nothing_and_lets_nothing_else_through(new_store: NewStore):
    rng = np.random.default_rng(3)
    vectors, queries = rng.standard_normal((200, 16)) + 2, rng.standard_normal((3, 16))
    store, reference = new_store(16), MemoryStore(16)
    for filled in (store, reference):
        filled.add(vectors, varied(200))
        filled.remove(["0011", "0012"])
    for where in FILTERS:
        for k in (1, 10, 500):
            assert store.search_many(queries, k, where) == reference.search_many(queries, k, where)
        assert store.ids(where) == reference.ids(where), where
        assert store.count(where) == reference.count(where)
        assert list(store.records(where)) == list(reference.records(where))


def test_many_queries_are_answered_as_one_by_one(new_store: NewStore):
    rng = np.random.default_rng(5)
    store = new_store(8)
    store.add(rng.standard_normal((300, 8)), records(*(str(n) for n in range(300))))
    queries = rng.standard_normal((20, 8))
    assert store.search_many(queries, 7) == [store.search(query, 7) for query in queries]
    assert store.search_many(queries, 7, exact=True) == store.search_many(queries, 7)
    assert store.search_many(np.empty((0, 8)), 7) == []


def test_the_store_says_what_it_is(new_store: NewStore):
    store = new_store(2)
    store.add([[1, 0]], records("a"))
    facts: dict[str, Any] = store.facts()
    assert facts["rows"] == len(store) == store.count() == 1
    assert {"engine", "index", "bytes"} <= set(facts)


def test_a_change_is_made_of_what_is_there(new_store: NewStore):
    store = new_store(2)
    store.add([[1, 0], [0, 1]], records("a", "b"))
    assert store.change(["a", "nobody"], lambda one: replace(one, camera=one.path)) == 1
    assert [one.camera for one in store.records()] == ["a.jpg", ""]
    assert store.change([], lambda one: one) == 0
