"""Groups, turns of cameras, pages and the least probability, against slow obvious references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tipr.gallery.results as module
from tipr.gallery.filters import Filter, Range
from tipr.gallery.record import Hit, Record
from tipr.gallery.results import Group, Wish, results
from tipr.gallery.store import MemoryStore

START = datetime(2026, 11, 1, 8, tzinfo=UTC)
QUERY = np.eye(4, dtype=np.float32)[0]


@dataclass
class Asked:
    """A search over a store, with the depths it was asked for."""

    store: MemoryStore
    where: Filter | None = None
    depths: list[int] | None = None

    def __call__(self, k: int) -> list[Hit]:
        if self.depths is not None:
            self.depths.append(k)
        return self.store.search(QUERY, k, self.where)


def ranked(*records: Record) -> MemoryStore:
    """The records are found in this order, and no two are alike."""
    store = MemoryStore(4)
    tilt = np.linspace(0.1, 1.5, len(records) + 1)[: len(records)]
    turn = np.arange(len(records)) * 2.4
    side = np.sin(tilt)
    vectors = np.stack([np.cos(tilt), side * np.cos(turn), side * np.sin(turn), 0 * tilt], axis=1)
    store.add(vectors, records)
    return store


def seen(
    id: object, camera: str = "", track: str = "", source: str = "", minute: int | None = None
) -> Record:
    when = None if minute is None else START + timedelta(minutes=minute)
    return Record(str(id), camera=camera, track=track, source=source, time=when)


def ids(groups: Sequence[Group]) -> list[list[str]]:
    return [[hit.record.id for hit in group.hits] for group in groups]


def heads(groups: Sequence[Group]) -> list[str]:
    return [group.best.record.id for group in groups]


def falling(hit: Hit) -> float:
    return max(0.0, hit.score)


# Groups


def test_hits_of_a_track_are_one_group_with_its_best_shot() -> None:
    store = ranked(
        seen("a", "lobby", "7", minute=5),
        seen("b", "gate"),
        seen("c", "lobby", "7", minute=1),
        seen("d", "lobby", "7", minute=9),
    )
    found = results(Asked(store), store, Wish(by="track"))
    assert ids(found.groups) == [["a", "c", "d"], ["b"]]
    track = found.groups[0]
    assert (track.count, track.cameras) == (3, ("lobby",))
    assert (track.first, track.last) == (
        START + timedelta(minutes=1),
        START + timedelta(minutes=9),
    )
    assert not found.more


def test_equal_track_numbers_of_other_cameras_and_sources_are_other_tracks() -> None:
    store = ranked(
        seen("a", "lobby", "7", "monday"),
        seen("b", "gate", "7", "monday"),
        seen("c", "lobby", "7", "tuesday"),
        seen("d", "", "7", "monday"),
        seen("e", "lobby", "7", "monday"),
    )
    found = results(Asked(store), store, Wish(by="track"))
    assert ids(found.groups) == [["a", "e"], ["b"], ["c"], ["d"]]
    assert [group.count for group in found.groups] == [2, 1, 1, 1]


def test_hits_without_a_track_stand_alone() -> None:
    store = ranked(seen("a", "lobby"), seen("b", "lobby"))
    assert ids(results(Asked(store), store, Wish(by="track")).groups) == [["a"], ["b"]]


def test_count_and_span_tell_of_the_whole_track_and_not_only_of_the_hits_seen() -> None:
    crops = [seen(n, "lobby", "7", minute=n) for n in range(300)]
    store = ranked(*crops[150:], seen("other", "lobby", "8", minute=0), *crops[:150])
    found = results(Asked(store), store, Wish(by="track", size=1))
    (group,) = found.groups
    assert len(group.hits) < 300
    assert (group.count, group.first, group.last) == (300, crops[0].time, crops[299].time)


def test_the_whole_track_is_told_under_the_filter() -> None:
    store = ranked(*[seen(n, "lobby", "7", minute=n) for n in range(10)])
    where = Range("time", at_least=START + timedelta(minutes=4))
    (group,) = results(Asked(store, where), store, Wish(by="track"), where).groups
    assert (group.count, group.first) == (6, START + timedelta(minutes=4))


def test_a_page_of_tracks_costs_one_query_over_the_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = ranked(*[seen(n, "lobby", str(n % 5)) for n in range(20)])
    queries: list[Filter | None] = []
    records = store.records
    monkeypatch.setattr(
        store, "records", lambda where=None: (queries.append(where), records(where))[1]
    )
    results(lambda k: [Hit(1 - n / 20, seen(n, "lobby", str(n % 5))) for n in range(20)], store,
            Wish(by="track"))  # fmt: skip
    assert len(queries) == 1
    assert queries[0] is not None
    assert not queries[0].matches(seen("x", "lobby", "9"))
    assert not queries[0].matches(seen("x", "gate", "1"))


def test_near_duplicates_join_the_best_hit_they_are_close_to() -> None:
    store = MemoryStore(4)
    angles = {"a": 0.0, "b": 0.2, "c": 0.4, "d": 0.6, "e": 1.2}  # cos 0.2 = 0.980, 0.4 = 0.921
    rows = [[np.cos(angle), np.sin(angle), 0, 0] for angle in angles.values()]
    store.add(rows, [seen(id, id, minute=n) for n, id in enumerate(angles)])
    found = results(Asked(store), store, Wish(by="duplicate", duplicate=0.95))
    assert ids(found.groups) == [["a", "b"], ["c", "d"], ["e"]]
    assert found.groups[1].cameras == ("c", "d")
    assert (found.groups[1].count, found.groups[1].first) == (2, START + timedelta(minutes=2))


def test_of_two_groups_that_a_hit_is_close_to_it_joins_the_better() -> None:
    store = MemoryStore(4)
    around = {"left": (0.30, 0.6), "right": (0.31, -0.6), "middle": (0.32, 0.0)}
    store.add(
        [[np.cos(a), np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), 0] for a, b in around.values()],
        [seen(id) for id in around],
    )
    found = results(Asked(store), store, Wish(by="duplicate"))
    assert ids(found.groups) == [["left", "middle"], ["right"]]


def test_equal_pictures_are_near_duplicates_at_a_threshold_of_one() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 512))
    store = MemoryStore(512)
    store.add(np.repeat(rows, 2, axis=0), [seen(n) for n in range(100)])
    found = results(
        lambda k: store.search(rows[0], k), store, Wish(by="duplicate", duplicate=1.0, size=50)
    )
    assert [group.count for group in found.groups] == [2] * 50


# Pages


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that short lists need several searches, blocks and turns."""
    shrink(monkeypatch)


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_LEAST", 2), ("_SPREAD", 6), ("_BLOCK", 2)):
        monkeypatch.setattr(module, name, value)


def test_search_goes_deeper_until_the_page_is_full() -> None:
    store = ranked(
        *[seen(n, "lobby", "7") for n in range(1000)],
        *[seen(1000 + n, "lobby", "8" if n < 500 else "9") for n in range(1000)],
    )
    ask = Asked(store, depths=[])
    found = results(ask, store, Wish(by="track", page=2, size=1))
    assert (heads(found.groups), found.more) == (["1000"], True)
    assert ask.depths == [128, 256, 512, 1024, 2048]
    assert found.looked_at == 2000


def test_a_deep_page_starts_deep_and_the_first_pages_look_alike_deep() -> None:
    store = ranked(*[seen(n) for n in range(600)])
    for page, depths in ((1, [128]), (12, [128]), (13, [256]), (40, [512])):
        ask = Asked(store, depths=[])
        results(ask, store, Wish(page=page))
        assert ask.depths == depths


def test_more_is_true_exactly_while_another_page_follows() -> None:
    store = ranked(*[seen(n) for n in range(6)])
    pages = [results(Asked(store), store, Wish(page=page, size=3)) for page in (1, 2, 3)]
    assert [len(page.groups) for page in pages] == [3, 3, 0]
    assert [page.more for page in pages] == [True, False, False]


record_lists = st.lists(
    st.tuples(
        st.sampled_from(["", "lobby", "gate", "yard"]),
        st.sampled_from(["", "1", "2", "3"]),
        st.sampled_from(["", "monday"]),
        st.integers(0, 5),  # pictures of the same number are alike
    ),
    max_size=40,
)
wishes = st.builds(
    Wish,
    by=st.sampled_from(["none", "track", "duplicate"]),
    per_camera=st.integers(0, 3),
    size=st.integers(1, 7),
    at_least=st.sampled_from([0.0, 0.5]),
)


def made(rows: list[tuple[str, str, str, int]]) -> MemoryStore:
    """Pictures around six directions, which the query likes differently."""
    rng = np.random.default_rng(7)
    store = MemoryStore(4)
    angles = [0.25 * kind for *_, kind in rows]
    vectors = np.array([[np.cos(a), np.sin(a), 0, 0] for a in angles]).reshape(-1, 4)
    store.add(
        vectors + rng.uniform(-0.02, 0.02, vectors.shape),
        [seen(n, *row[:3], minute=n) for n, row in enumerate(rows)],
    )
    return store


def every_page(store: MemoryStore, wish: Wish) -> list[Group]:
    groups: list[Group] = []
    for page in range(1, 100):
        found = results(Asked(store), store, replace(wish, page=page), probability=falling)
        groups += found.groups
        if not found.more:
            return groups
    raise AssertionError("the pages do not end")


def facts(wish: Wish) -> Callable[[Group], tuple[object, ...]]:
    """What a page says the same however deep it looked."""
    if wish.by == "duplicate":
        return lambda group: (group.best, group.probability)
    return lambda group: (group.best, group.count, group.first, group.last, group.cameras)


@settings(deadline=None)
@given(record_lists, wishes)
def test_pages_one_after_the_other_are_the_unpaged_result(rows, wish: Wish) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        store = made(rows)
        whole = results(Asked(store), store, replace(wish, size=500), probability=falling)
        paged = every_page(store, wish)
        assert [*map(facts(wish), paged)] == [*map(facts(wish), whole.groups)]
        for early, late in zip(ids(paged), ids(whole.groups), strict=True):
            assert early == late[: len(early)]


@settings(deadline=None)
@given(record_lists, wishes)
def test_every_likely_hit_lies_in_exactly_one_group_in_score_order(rows, wish: Wish) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        store = made(rows)
        hits = [hit for hit in Asked(store)(500) if falling(hit) >= wish.at_least]
        groups = results(Asked(store), store, replace(wish, size=500), probability=falling).groups
    ranks = {hit.record.id: rank for rank, hit in enumerate(hits)}
    places = [[ranks[id] for id in group] for group in ids(groups)]
    assert sorted(rank for group in places for rank in group) == list(range(len(hits)))
    assert all(group == sorted(group) for group in places)
    assert [group.best for group in groups] == [group.hits[0] for group in groups]


@settings(deadline=None)
@given(record_lists)
def test_near_duplicates_agree_with_a_greedy_loop(rows) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        store = made(rows)
        found = ids(results(Asked(store), store, Wish(by="duplicate", size=500)).groups)
    expected: list[list[str]] = []
    for hit in Asked(store)(500):
        (vector,) = store.vectors([hit.record.id])
        for group in expected:
            if store.vectors(group[:1])[0] @ vector >= 0.95 - 1e-6:
                group.append(hit.record.id)
                break
        else:
            expected.append([hit.record.id])
    assert found == expected


# Cameras


def test_cameras_take_turns() -> None:
    cameras = "LLLLGLGY"
    store = ranked(*[seen(f"{c}{n}", c) for n, c in enumerate(cameras)])

    def order(per_camera: int) -> str:
        wish = Wish(per_camera=per_camera)
        return " ".join(heads(results(Asked(store), store, wish).groups))

    assert order(0) == "L0 L1 L2 L3 G4 L5 G6 Y7"
    assert order(1) == "L0 G4 Y7 L1 G6 L2 L3 L5"
    assert order(2) == "L0 L1 G4 G6 Y7 L2 L3 L5"


@settings(deadline=None)
@given(record_lists, wishes)
def test_turns_keep_the_order_within_a_camera(rows, wish: Wish) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        store = made(rows)
        plain, turns = (
            results(
                Asked(store), store, replace(wish, size=500, per_camera=n), None, falling
            ).groups
            for n in (0, wish.per_camera)
        )
    for camera in ("", "lobby", "gate", "yard"):
        told = [[g.best for g in some if g.best.record.camera == camera] for some in (plain, turns)]
        assert told[0] == told[1]


def test_a_camera_has_its_turn_among_the_best_two_hundred_and_not_for_a_far_worse_hit() -> None:
    near = ranked(*[seen(n, "lobby") for n in range(199)], seen("gate", "gate"))
    far = ranked(*[seen(n, "lobby") for n in range(200)], seen("gate", "gate"))
    wish = Wish(per_camera=1, size=2)
    assert heads(results(Asked(near), near, wish).groups) == ["0", "gate"]
    assert heads(results(Asked(far), far, wish).groups) == ["0", "1"]


# Probability


def test_results_below_the_least_probability_are_cut_off_and_those_looked_at_are_counted() -> None:
    store = ranked(*[seen(n) for n in range(20)])
    likely = [hit for hit in Asked(store)(20) if hit.score >= 0.6]
    ask = Asked(store, depths=[])
    found = results(ask, store, Wish(at_least=0.6, size=50), probability=falling)
    assert 0 < len(likely) < 20
    assert heads(found.groups) == [hit.record.id for hit in likely]
    assert [group.probability for group in found.groups] == [hit.score for hit in likely]
    assert (found.looked_at, found.more) == (20, False)


@pytest.mark.usefixtures("small_steps")
def test_search_goes_no_deeper_than_the_first_improbable_hit() -> None:
    store = ranked(*[seen(n, "lobby", "7") for n in range(64)])
    ask = Asked(store, depths=[])
    floor = Asked(store)(64)[5].score
    found = results(ask, store, Wish(by="track", at_least=floor), probability=falling)
    assert ask.depths == [16]
    assert len(found.groups[0].hits) == 6


def test_a_least_probability_needs_a_calibration() -> None:
    store = ranked(seen("a"))
    with pytest.raises(ValueError, match="calibrate it first"):
        results(Asked(store), store, Wish(at_least=0.5))


def test_without_a_calibration_nothing_is_said_of_probability() -> None:
    store = ranked(seen("a"))
    assert results(Asked(store), store, Wish()).groups[0].probability is None


# What is written and refused


def test_an_empty_gallery_has_no_results() -> None:
    store = MemoryStore(4)
    for by in ("none", "track", "duplicate"):
        found = results(Asked(store), store, Wish(by=by, per_camera=1))
        assert (found.groups, found.more, found.looked_at) == ((), False, 0)


def test_a_group_is_told_in_json() -> None:
    record = seen("a", "lobby", "7", minute=0)
    told = Group(Hit(0.5, record), (Hit(0.5, record),), 3, START, None, ("lobby",), 0.9).to_json()
    assert told == {
        "best": {"score": 0.5, "record": record.to_json()},
        "hits": [{"score": 0.5, "record": record.to_json()}],
        "count": 3,
        "first": "2026-11-01T08:00:00+00:00",
        "last": None,
        "cameras": ["lobby"],
        "probability": 0.9,
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"by": "person"}, "not 'person'"),
        ({"page": 0}, "pages count from 1"),
        ({"size": 0}, "hold at least 1"),
        ({"per_camera": -1}, "0 for all"),
        ({"at_least": 1.5}, "between 0 and 1"),
        ({"at_least": float("nan")}, "between 0 and 1"),
        ({"duplicate": 0.0}, "above 0"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Wish(**wrong)
