"""What filters mean, in Python, as JSON and in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import pytest
from generated import MEANINGS, filters, records
from hypothesis import given

from tipr.gallery.fields import FIELDS
from tipr.gallery.filters import (
    All,
    Among,
    AnyOf,
    Filter,
    FilterError,
    Known,
    Not,
    Range,
    TimeOfDay,
    describe,
    fields,
    filter_from_json,
)
from tipr.gallery.record import Record

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(("filter", "extra", "answer"), MEANINGS)
def test_a_value_of_the_owners_is_compared_by_kind_and_value(
    filter: Filter, extra: dict, answer: bool
) -> None:
    record = Record("x", extra=extra)
    assert filter.matches(record) is answer
    assert (~filter).matches(record) is not answer


@pytest.mark.parametrize("field", ["camera", "frame", "time", "colour", "vehicle.colour"])
def test_a_record_without_the_field_matches_nothing_but_the_negation(field: str) -> None:
    record = Record("x", extra={"vehicle": "red"})
    some: list[Filter] = [Known(field)]
    some += [Among(field, (1,))] if field in ("frame", "colour") else []
    some += [Range(field)] if field != "camera" else [Among(field, ("a", ""))]
    for one in some:
        assert not one.matches(record)
        assert (~one).matches(record)


def test_a_window_of_time_has_its_start_and_not_its_end() -> None:
    window = Range("time", NOON, NOON + DAY)
    answers = [window.matches(Record("x", time=NOON + DAY * n)) for n in (-0.001, 0, 0.999, 1)]
    assert answers == [False, True, True, False]
    assert not Range("time", NOON, NOON).matches(Record("x", time=NOON))


def test_limits_are_the_same_moment_in_any_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    assert Range("time", elsewhere) == Range("time", NOON)
    assert hash(Range("time", elsewhere)) == hash(Range("time", NOON))


def test_conditions_combine_flat() -> None:
    a, b, c = Known("a"), Known("b"), Known("c")
    assert a & b & c == All((a, b, c))
    assert a | (b | c) == AnyOf((a, b, c))
    assert a & b | c == AnyOf((All((a, b)), c))
    assert ~~a == a
    assert ~(a & b) == Not(All((a, b)))


@given(filters())
def test_a_filter_goes_through_json_unchanged(filter: Filter) -> None:
    text = json.dumps(filter.to_json(), allow_nan=False)
    again = filter_from_json(json.loads(text))
    assert again == filter
    assert json.dumps(again.to_json()) == text  # True and 1 are equal in Python


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (["camera"], r'filter: \["camera"\] is no filter'),
        ({}, "filter: {} is no filter.*among"),
        ({"field": "camera"}, 'is no filter.*"among"'),
        ({"known": "a", "field": "b"}, "is no filter"),
        ({"field": "age", "at_least": 1, "above": 2}, "is no filter"),
        ({"all": [{"known": "a"}, {"any": [{"not": 3}]}]}, r"filter\.all\[1\]\.any\[0\]\.not: 3"),
        ({"not": {"field": "camera", "among": [3]}}, r"filter\.not: camera is text; write '3'"),
        ({"field": "age", "among": [[1]]}, r"age is compared with .* not \[1\]"),
        ({"field": "age", "among": [float("inf")]}, "finite"),
        ({"field": "time", "at_least": "2026-11-01"}, "no zone.*say which"),
        ({"field": "time", "at_least": "tomorrow"}, "filter: .*tomorrow"),
        ({"field": "time", "below": 3}, "datetimes"),
        ({"field": "age", "below": "3"}, "age is compared with"),
        ({"time_of_day": {"start": "15", "end": "25:00", "zone": "UTC"}}, "filter: "),
        ({"time_of_day": {"start": "15", "end": "16", "zone": "Berlin"}}, "Europe/Berlin"),
        ({"known": 3}, "name is text"),
        ({"known": "a..b"}, "names no field"),
    ],
)
def test_a_mistake_in_json_is_named_with_its_place(facts: object, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        filter_from_json(facts)


def test_json_that_nests_too_deep_is_refused_and_not_followed() -> None:
    facts: dict = {"known": "a"}
    for _ in range(5000):
        facts = {"not": facts}
    with pytest.raises(FilterError, match="12 deep at most"):
        filter_from_json(facts)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Range("time", datetime(2026, 11, 1)), "no zone"),
        (lambda: Range("time", datetime.max.replace(tzinfo=timezone(-DAY / 2))), "open"),
        (lambda: Range("camera", 1, 2), "camera is text"),
        (lambda: Range("age", NOON), "age is compared with"),
        (lambda: Range("age", float("nan")), "finite"),
        (lambda: Range("frame", True), "frame is compared with a number"),
        (lambda: Among("camera", "lobby"), r"\('lobby',\)"),
        (lambda: Among("time", (NOON,)), r"Range\('time'"),
        (lambda: Among("frame", ("7",)), "frame is compared with a number"),
        (lambda: Among("id", ("a\0b",)), "characters"),
        (lambda: Among("path", ("\udcff.jpg",)), "characters"),
        (lambda: Among("colour", (None,)), "not None"),
        (lambda: Among("", ("a",)), "names no field"),
        (lambda: TimeOfDay(time(1), time(2), "Mars/Base"), "'Mars/Base'.*IANA.*Europe/Berlin"),
        (lambda: TimeOfDay(time(1), time(2), "../etc/passwd"), "IANA"),
        (lambda: TimeOfDay(time(1), time(2), "Europe"), "IANA"),
        (lambda: TimeOfDay(time(1, tzinfo=UTC), time(2), "UTC"), "without a zone"),
        (lambda: All((Known("a"), "camera:lobby")), "All joins filters"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_made(make, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        make()


@given(filters(), records())
def test_only_the_named_fields_are_read(filter: Filter, record: Record) -> None:
    seen: dict[str, Any] = {"id": "x", "extra": record.extra}
    seen |= {name: getattr(record, name) for name in fields(filter) & set(FIELDS)}
    assert filter.matches(Record(**seen)) == filter.matches(record)


def test_fields_are_told_as_written() -> None:
    both = Known("extra.camera") | ~(Among("a.b", (1,)) & TimeOfDay(time(1), time(2), "UTC"))
    assert fields(both) == {"extra.camera", "a.b", "time"}


@pytest.mark.parametrize(
    ("filter", "words"),
    [
        (Among("camera", ("lobby", "gate")), "camera is lobby or gate"),
        (Among("camera", ("north door",)), 'camera is "north door"'),
        (Among("age", ("7", 7)), "age is 7"),
        (Among("hat", (True,)), "hat is true"),
        (Among("id", tuple(map(str, range(9)))), "id is 0 or 1 or 2 or 3 or 4 or 4 others"),
        (~Among("camera", ("lobby",)), "camera is not lobby"),
        (~Known("track"), "track is not known"),
        (Range("time", NOON), "after 2026-11-01 12:00 UTC"),
        (
            Range("time", NOON, NOON + DAY / 86400),
            "after 2026-11-01 12:00 UTC and before 2026-11-01 12:00:01 UTC",
        ),
        (Range("indexed", below=NOON), "indexed before 2026-11-01 12:00 UTC"),
        (Range("age", 30, 40), "age at least 30 and below 40"),
        (Range("age"), "age is a number"),
        (TimeOfDay(time(15), time(16), "UTC"), "between 15:00 and 16:00 in UTC"),
        (
            Known("a") & (Known("b") | (Known("c") & Known("d"))),
            "a is known; (b is known) or (c is known; d is known)",
        ),
        (Not(Known("a") & Known("b")), "not (a is known; b is known)"),
        (All(()), "everything"),
        (AnyOf(()), "nothing"),
        (Among("camera", ()), "nothing"),
        (Not(Among("camera", ())), "not (nothing)"),
    ],
)
def test_a_filter_is_told_in_english(filter: Filter, words: str) -> None:
    assert describe(filter) == words


@given(filters())
def test_every_filter_can_be_told(filter: Filter) -> None:
    assert describe(filter)
