"""Filters as SQL let through exactly the rows that they match."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from generated import MEANINGS, NUMBERS, filters, records
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tipr.gallery.fields import DEEPEST, FilterError
from tipr.gallery.filters import All, Among, AnyOf, Filter, Not, Range, TimeOfDay
from tipr.gallery.record import Record, microseconds
from tipr.gallery.sql import condition, extra_text

COLUMNS = ("id", "path", "camera", "track", "source", "model", "frame", "time", "indexed", "extra")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def table(records: Sequence[Record] = ()) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    texts = ", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS[:6])
    numbers = "frame INTEGER, time INTEGER, indexed INTEGER, extra TEXT NOT NULL"
    database.execute(f"CREATE TABLE rows (place INTEGER PRIMARY KEY, {texts}, {numbers})")
    for one in records:
        row = [getattr(one, name) for name in COLUMNS[:7]]
        row += [when and microseconds(when) for when in (one.time, one.indexed)]
        marks = ", ".join("?" * len(COLUMNS))
        database.execute(
            f"INSERT INTO rows ({', '.join(COLUMNS)}) VALUES ({marks})",
            [*row, extra_text(one.extra)],
        )
    return database


def found(database: sqlite3.Connection, where: Filter, records: Sequence[Record]) -> list[bool]:
    times = [one.time for one in records if one.time is not None]
    text, values = condition(where, min(times, default=None), max(times, default=None))
    rows = database.execute(f"SELECT {text} FROM rows ORDER BY place", values).fetchall()
    chosen = database.execute(f"SELECT place FROM rows WHERE {text}", values).fetchall()
    answers = [answer for (answer,) in rows]
    assert set(answers) <= {0, 1}
    assert {place - 1 for (place,) in chosen} == {n for n, answer in enumerate(answers) if answer}
    return [bool(answer) for answer in answers]


def check(where: Filter, *records: Record) -> list[bool]:
    database = table(records)
    answers = found(database, where, records)
    database.close()
    assert answers == [where.matches(one) for one in records]
    return answers


@settings(max_examples=200, deadline=None)
@given(filters(), st.lists(records(), min_size=1, max_size=6))
def test_sql_lets_through_the_rows_that_match_and_its_negation_the_others(
    where: Filter, some: list[Record]
) -> None:
    database = table(some)
    answers = found(database, where, some)
    assert answers == [where.matches(one) for one in some]
    assert found(database, ~where, some) == [not answer for answer in answers]
    database.close()


@pytest.mark.parametrize(("filter", "extra", "answer"), MEANINGS)
def test_a_value_of_the_owners_is_compared_as_elsewhere(
    filter: Filter, extra: dict[str, Any], answer: bool
) -> None:
    assert check(filter, Record("x", extra=extra)) == [answer]


def test_clocks_are_right_over_years_of_summer_times() -> None:
    hours = [NOON + timedelta(hours=7 * n) for n in range(4000)]
    check(TimeOfDay(time(22, 30), time(5), "Europe/Berlin"), *(Record("x", time=h) for h in hours))


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.sampled_from(NUMBERS))
@example(0.1 + 0.2)
@example(123456789012345678)
def test_every_number_finds_itself_in_extra(number: float) -> None:
    record = Record("x", extra={"n": number, "list": [number]})
    for field in ("n", "list"):
        assert check(Among(field, (number,)), record) == [True]
    assert check(Range("n", at_least=number), record) == [True]
    assert check(Range("n", below=number), record) == [False]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(codec="utf-8")))
def test_every_text_finds_itself_alone(text: str, other: str) -> None:
    some = [
        Record("x", camera=text, extra={"n": text}),
        Record("y", camera=other, extra={"n": other}),
    ]
    wanted = text.replace("\0", "-")
    check(Among("camera", (wanted,)), *some)
    check(Among("n", (wanted,)), *some)


def test_a_list_longer_than_any_number_of_parameters_works() -> None:
    ids = tuple(f"id {n}" for n in range(100_000))
    assert check(Among("id", ids), Record("id 99999"), Record("id")) == [True, False]
    assert check(Among("n", (*range(100_000),)), Record("a", extra={"n": 7}), Record("b")) == [
        True,
        False,
    ]


@pytest.mark.parametrize("kind", [All, AnyOf])
def test_a_thousand_conditions_can_be_joined(kind: type[All] | type[AnyOf]) -> None:
    parts = tuple(Range("frame", n, n + 1) for n in range(1500))
    check(kind(parts), Record("a", frame=1499), Record("b", frame=1500))


def test_the_deepest_filter_is_not_too_deep_for_the_engine() -> None:
    way = ".".join("abcdefghijkl")
    ranges = [Range(way, n, n + 1) for n in range(200)]
    clock = TimeOfDay(time(22), time(5), "Europe/Berlin")
    hard: Filter = AnyOf((Among(way, ("x", 1, True)), *ranges, clock))
    while hard.depth < DEEPEST:
        hard = AnyOf((clock, hard)) if hard.depth % 2 else All((clock, hard))
    with pytest.raises(FilterError, match="nest 12 deep"):
        Not(hard)
    database = table([Record("a", time=NOON), Record("b", time=NOON - timedelta(days=9000))])
    text, values = condition(hard, NOON - timedelta(days=9000), NOON)
    database.execute(
        f"SELECT count(*) FROM (SELECT * FROM rows WHERE place > 0 AND {text})", values
    )
    database.close()


def test_a_name_that_is_sql_or_a_path_is_only_a_name() -> None:
    for name in ["x') OR 1=1 --", "$", '$"x', "a[0]", "#-1", "x' IS NULL", "?"]:
        bare = Record("a", extra={"a": ["v"], "x": "v"})
        assert check(Among(name, ("v",)), Record("b", extra={name: "v"}), bare) == [True, False]


def test_rows_are_told_apart_when_no_row_has_a_time() -> None:
    check(~TimeOfDay(time(1), time(2), "UTC"), Record("a"))


@pytest.mark.parametrize(
    ("where", "plan"),
    [
        (Among("camera", ("lobby",)), "camera=?"),
        (Among("camera", ("lobby", "gate")), "camera=?"),
        (Range("time", at_least=NOON), "time>?"),
        (Range("time", NOON, NOON + timedelta(days=1)), "time>? AND time<?"),
        (
            Among("camera", ("lobby", "gate")) & Range("time", NOON, NOON + timedelta(days=1)),
            "camera=? AND time>? AND time<?",
        ),
        (Among("camera", ("lobby",)) & ~Among("colour", ("red",)), "camera=?"),
        (Among("id", ("one", "two")), "id=?"),
    ],
)
def test_an_index_is_used_for_cameras_times_and_ids(where: Filter, plan: str) -> None:
    database = table()
    for name, columns in [("c", "camera, time"), ("t", "time"), ("i", "id")]:
        database.execute(f"CREATE INDEX {name} ON rows ({columns})")
    text, values = condition(where, NOON, NOON)
    rows = database.execute(f"EXPLAIN QUERY PLAN SELECT place FROM rows WHERE {text}", values)
    steps = [step for *_, step in rows if step.startswith(("SEARCH rows", "SCAN rows"))]
    database.close()
    assert len(steps) == 1
    assert f"({plan})" in steps[0]


def test_extra_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        extra_text({"n": float("nan")})


def test_text_that_looks_like_an_escape_is_text() -> None:
    some = [Record(t, extra={"n": t}) for t in ("a\\u0000", "a", "a\0", "\ufdd0")]
    assert check(Among("id", ("a\\u0000",)), *some) == [True, False, False, False]
    assert check(Among("n", ("a\\u0000",)), *some) == [True, False, False, False]
    assert check(Among("n", ("a",)), *some) == [False, True, False, False]
