"""Rows are kept for at least, and at most, as long as the policy of their camera says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tipr.gallery.filters import Filter
from tipr.gallery.local import LocalStore
from tipr.gallery.record import Record
from tipr.gallery.retention import (
    Ages,
    Policy,
    PolicyError,
    expire,
    expired,
    keep,
    policy_of,
    protected,
)
from tipr.gallery.store import MemoryStore, Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def policy(**cameras: tuple[float, float | None]) -> Policy:
    """`rest` stands for "*"."""
    return Policy({
        "*" if camera == "rest" else camera: Ages(minimum=low, maximum=high)
        for camera, (low, high) in cameras.items()
    })  # fmt: skip


def aged(id: str, days: float, camera: str = "", **facts: Any) -> Record:
    return Record(id, camera=camera, time=NOW - timedelta(days=days), **facts)


def through(where: Filter | None, *records: Record) -> list[str]:
    assert where is not None
    return [record.id for record in records if where.matches(record)]


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MemoryStore(3) if request.param == "memory" else LocalStore(tmp_path / "rows", 3)
    yield made
    made.close()


def filled(store: Store, *records: Record) -> Store:
    store.add([[1, 2, n] for n in range(len(records))], records)
    return store


def test_each_camera_has_its_own_maximum_and_a_star_the_rest():
    where = expired(policy(lobby=(0, 3), gate=(0, None), rest=(0, 30)), NOW)
    rows = [aged(f"{camera}{days}", days, camera)
            for camera in ("lobby", "gate", "yard", "") for days in (2, 4, 29, 31)]  # fmt: skip
    assert through(where, *rows) == ["lobby4", "lobby29", "lobby31", "yard31", "31"]


def test_each_camera_has_its_own_minimum_and_a_star_the_rest():
    where = protected(policy(lobby=(3, None), gate=(0, 9), rest=(30, None)), NOW)
    rows = [aged(f"{camera}{days}", days, camera)
            for camera in ("lobby", "gate", "") for days in (2, 4, 31)]  # fmt: skip
    assert through(where, *rows) == ["lobby2", "2", "4"]


def test_a_row_of_exactly_the_age_is_neither_expired_nor_protected():
    half = policy(rest=(0.5, 0.5))
    moment = NOW - timedelta(hours=12)
    rows = [Record(f"{step:+}", time=moment + step * TICK) for step in (-1, 0, 1)]
    assert through(expired(half, NOW), *rows) == ["-1"]
    assert through(protected(half, NOW), *rows) == ["+1"]


def test_age_counts_from_the_picture_else_from_the_indexing_else_there_is_none():
    old, new = NOW - timedelta(days=10), NOW - timedelta(days=1)
    rows = [
        Record("old picture", time=old, indexed=new),
        Record("new picture", time=new, indexed=old),
        Record("indexed long ago", indexed=old),
        Record("indexed now", indexed=new),
        Record("ageless"),
    ]
    assert through(expired(policy(rest=(0, 5)), NOW), *rows) == ["old picture", "indexed long ago"]
    assert through(protected(policy(rest=(5, 9)), NOW), *rows) == ["new picture", "indexed now"]


def test_pictures_from_the_future_are_protected_and_not_expired():
    rows = [aged("tomorrow", -1)]
    assert through(protected(policy(rest=(1, 2)), NOW), *rows) == ["tomorrow"]
    assert through(expired(policy(rest=(0, 0)), NOW), *rows) == []


def test_without_limits_there_is_nothing_to_select():
    assert expired(policy(lobby=(3, None)), NOW) is None
    assert protected(policy(lobby=(0, 3)), NOW) is None
    assert expired(Policy({}), NOW) is None


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no zone"):
        expired(policy(rest=(0, 3)), datetime(2026, 11, 22))


def test_a_policy_is_kept_with_the_rows(store: Store, tmp_path: Path):
    kept = policy(lobby=(1, 3.5), gate=(30, None), rest=(0, 30))
    assert policy_of(store) == Policy({})
    keep(store, kept)
    assert policy_of(store) == kept
    assert Policy.from_json(json.loads(json.dumps(kept.to_json()))) == kept
    keep(store, Policy({}))
    assert policy_of(store) == Policy({})
    assert store.note("retention") is None


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"lobby": {"minimum": 5, "maximum": 3}}, "lobby: the minimum of 5 days is above .* of 3"),
        ({"lobby": {"maximum": -1}}, "lobby: the maximum is -1; write a number of days"),
        ({"lobby": {"maximum": math.nan}}, "lobby: the maximum is nan"),
        ({"lobby": {"minimum": math.inf}}, "lobby: the minimum is inf"),
        ({"lobby": {"maximum": "3"}}, "lobby: the maximum is '3'"),
        ({"lobby": {"maximum": True}}, "lobby: the maximum is True"),
        ({"lobby": {"minimum": None}}, "lobby: the minimum is None"),
        ({"lobby": {"maximum": 36_501}}, "lobby: the maximum is 36501; .* to 36500"),
        ({"lobby": {"max": 3}}, "lobby: {'max': 3} is not as"),
        ({"lobby": 3}, "lobby: 3 is not as"),
        ({"": {"maximum": 3}}, "names no camera"),
        ([], "no policy; write"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(facts: Any, says: str):
    with pytest.raises(PolicyError, match=says):
        Policy.from_json(facts)


def test_a_damaged_policy_is_told(store: Store):
    store.put_note("retention", '{"*": ')
    with pytest.raises(PolicyError, match="retention policy of this gallery is damaged"):
        policy_of(store)


def test_what_is_past_its_maximum_is_removed_and_counted(store: Store):
    rows = [
        aged("a", 40, indexed=NOW),
        aged("b", 4, "lobby"),
        aged("c", 2, "lobby"),
        aged("d", 9, "lobby"),
    ]
    filled(store, *rows, Record("e", camera="lobby"), aged("f", 29))
    keep(store, policy(lobby=(1, 3), rest=(0, 30)))
    dry = expire(store, NOW, dry=True)
    assert len(store) == 6
    told: list[tuple[int, int]] = []
    report = expire(store, NOW, progress=lambda done, total: told.append((done, total)))
    assert report == dry
    assert report.cameras == {"": 1, "lobby": 2}
    assert (report.oldest, report.newest) == (NOW - timedelta(40), NOW - timedelta(4))
    assert (report.ids, report.ageless) == (3, 1)
    assert told == [(3, 3)]
    assert store.ids() == ["c", "e", "f"]
    assert expire(store, NOW).ids == 0


def test_many_rows_go_in_batches(store: Store):
    filled(store, *(aged(f"{n}", 1 + n % 2) for n in range(2500)))
    keep(store, policy(rest=(0, 1.5)))
    steps: list[tuple[int, int]] = []
    expire(store, NOW, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1000, 1250), (1250, 1250)]
    assert store.ids() == [f"{n}" for n in range(0, 2500, 2)]


def test_without_a_policy_nothing_expires(store: Store):
    assert expire(filled(store, aged("a", 36_000)), NOW).ids == 0
    assert store.ids() == ["a"]


def test_what_expired_is_gone_from_the_files_too(tmp_path: Path):
    store = LocalStore(tmp_path / "rows", 3)
    filled(store, aged("0123456789abcdef", 9, source="corridor.mp4"), aged("fedcba9876543210", 1))
    keep(store, policy(rest=(0, 3)))
    expire(store, NOW)
    assert holding(tmp_path, b"0123456789abcdef") == holding(tmp_path, b"corridor.mp4") == []
    assert holding(tmp_path, b"fedcba9876543210") != []
    store.close()


def test_a_run_that_was_killed_before_it_compacted_is_made_good(tmp_path: Path):
    store = LocalStore(tmp_path / "rows", 3)
    filled(store, aged("0123456789abcdef", 9), aged("fedcba9876543210", 1))
    keep(store, policy(rest=(0, 3)))
    store.remove(["0123456789abcdef"])
    assert holding(tmp_path, b"0123456789abcdef") != []
    expire(store, NOW, dry=True)
    assert holding(tmp_path, b"0123456789abcdef") != []
    expire(store, NOW)
    assert holding(tmp_path, b"0123456789abcdef") == []
    store.close()


def test_where_nothing_is_past_its_maximum_the_files_are_left_alone(tmp_path: Path):
    store = LocalStore(tmp_path / "rows", 3)
    keep(filled(store, aged("a", 1)), policy(rest=(0, 3)))
    before = sorted(path.name for path in (tmp_path / "rows").iterdir())
    expire(store, NOW)
    assert sorted(path.name for path in (tmp_path / "rows").iterdir()) == before
    store.close()


def holding(folder: Path, needle: bytes) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if needle in path.read_bytes()]
