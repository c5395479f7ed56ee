"""Facts are set and cleared by hand; vectors stay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tipr.gallery.editing import assignment, edit, edited
from tipr.gallery.facts import FactError
from tipr.gallery.filters import Among, Range
from tipr.gallery.local import LocalStore
from tipr.gallery.record import Record
from tipr.gallery.store import MemoryStore, Store

WHEN = datetime(2026, 11, 1, 15, tzinfo=UTC)
FULL = Record(
    "a", "a.jpg", {"colour": "red", "car": {"make": "x", "doors": 4}}, "lobby", WHEN, "7",
    (1, 2, 30, 40), 5, "x.mp4", WHEN, "m",
)  # fmt: skip


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MemoryStore(3) if request.param == "memory" else LocalStore(tmp_path / "rows", 3)
    yield made
    made.close()


def test_fields_and_keys_of_extra_are_set():
    found = edited(
        Record("a"),
        {"camera": "lobby", "time": WHEN, "track": 7, "box": [1, 2, 30, 40], "frame": 5,
         "source": "x.mp4", "path": "a.jpg", "colour": "red", "car.make": "x", "car.doors": 4},
    )  # fmt: skip
    assert found == Record("a", "a.jpg", FULL.extra, "lobby", WHEN, "7", (1, 2, 30, 40), 5, "x.mp4")


@pytest.mark.parametrize("nothing", [None, ""])
def test_none_and_empty_text_clear(nothing: str | None):
    names = ["camera", "time", "track", "box", "frame", "source", "path", "colour", "car.make"]
    found = edited(FULL, dict.fromkeys(names, nothing))
    assert found == Record("a", extra={"car": {"doors": 4}}, indexed=WHEN, model="m")
    assert FULL.extra["car"] == {"make": "x", "doors": 4}


def test_clearing_what_is_not_there_changes_nothing():
    assert edited(FULL, {"height": None, "bag.colour": None, "car.seats": ""}) == FULL


def test_a_key_may_have_the_name_of_a_field():
    found = edited(FULL, {"extra.camera": 3})
    assert (found.camera, found.extra["camera"]) == ("lobby", 3)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("camera", 1.5, "camera is 1.5; write text"),
        ("track", True, "track is True; write text"),
        ("source", ["a"], "source is .* write text"),
        ("camera", "a\0b", "no text"),
        ("time", "yesterday", "time is 'yesterday'; write 2026-11-01T15:00"),
        ("time", datetime(2026, 11, 1), "in no time zone"),
        ("time", "2026-11-01T15:00", "in no time zone"),
        ("time", 1e300, "time is 1e"),
        ("time", math.nan, "time is nan"),
        ("time", "0001-01-01T00:00+14:00", "time is '0001"),
        ("frame", 1.5, "frame is 1.5; write a whole number"),
        ("frame", "one", "frame is 'one'"),
        ("frame", 2**63, "frame is 9223"),
        ("frame", False, "frame is False"),
        ("box", [1, 2, 3], r"box is \[1, 2, 3\]; write left,top,width,height"),
        ("box", [1, 2, 0, 4], "a width and a height above 0"),
        ("box", "1,2,3,x", "box is '1,2,3,x'"),
        ("box", 7, "box is 7"),
        ("box", [1, 2, math.inf, 3], "box is"),
        ("colour", {1, 2}, "colour is .* JSON cannot hold"),
        ("colour", math.nan, "colour is nan, which JSON cannot hold"),
        ("colour.shade", "dark", "colour.shade leads into 'red', which is no object"),
        ("id", "b", "id is not given by hand"),
        ("indexed", WHEN, "indexed is not given by hand"),
        ("model", "x", "model is not given by hand"),
        ("extra", {}, "extra is not given by hand"),
        ("a..b", 1, "names no field"),
    ],
)
def test_what_a_field_cannot_have_is_named(name: str, value: Any, says: str):
    with pytest.raises(FactError, match=says):
        edited(FULL, {name: value})


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("camera=north door", "camera", "north door"),
        ("camera = 12", "camera", "12"),
        ("camera=", "camera", None),
        ("track=007", "track", "007"),
        ("frame=151", "frame", 151),
        ("box=40,12,64,128", "box", (40, 12, 64, 128)),
        ("box=-4.6, 12, 64.2, 128", "box", (-5, 12, 64, 128)),
        ("time=2026-11-01T15:00+01:00", "time", WHEN - timedelta(hours=1)),
        ("time=2026-11-01T15:00Z", "time", WHEN),
        ("time=1793545200", "time", WHEN),
        ("time=1793545200.25", "time", WHEN + timedelta(seconds=0.25)),
        ("source=a=b.mp4", "source", "a=b.mp4"),
        ("age=31", "age", 31),
        ("hat=true", "hat", True),
        ("tags=[1, 2]", "tags", [1, 2]),
        ("code=007", "code", "007"),
        ("code=NaN", "code", "NaN"),
        ("code=1e999", "code", "1e999"),
        ("colour=dark red", "colour", "dark red"),
        ("colour=null", "colour", None),
    ],
)
def test_an_assignment_is_read_from_text(text: str, name: str, value: Any):
    assert assignment(text) == (name, value)


def test_a_time_without_a_zone_is_of_the_zone_given():
    berlin = timezone(timedelta(hours=1))
    expected = datetime(2026, 11, 1, 15, tzinfo=berlin)
    assert assignment("time=2026-11-01 15:00", "Europe/Berlin") == ("time", expected)
    midnight = datetime(2026, 11, 1, tzinfo=berlin)
    assert assignment("time=20261101", "Europe/Berlin") == ("time", midnight)
    with pytest.raises(FactError, match="no time zone 'Berlin'"):
        assignment("time=2026-11-01 15:00", "Berlin")


@pytest.mark.parametrize("text", ["camera", "=lobby", "camera:lobby", ""])
def test_an_assignment_without_a_name_and_a_value_is_refused(text: str):
    with pytest.raises(FactError, match="write camera=lobby"):
        assignment(text)


def test_a_mistake_in_an_assignment_is_told_with_it():
    with pytest.raises(FactError, match=r"^frame=x: frame is 'x'"):
        assignment("frame=x")


def test_rows_are_edited_and_their_vectors_stay(store: Store):
    store.add(
        np.eye(3),
        [Record("a", camera="x"), Record("b", camera="y"), Record("c", camera="x", extra={"k": 1})],
        [b"jpeg", None, None],
    )
    before = store.vectors(["a", "b", "c"])
    assert edit(store, Among("camera", ("x",)), {"camera": "lobby", "colour": "red"}) == 2
    assert list(store.records()) == [
        Record("a", camera="lobby", extra={"colour": "red"}),
        Record("b", camera="y"),
        Record("c", camera="lobby", extra={"k": 1, "colour": "red"}),
    ]
    assert np.array_equal(store.vectors(["a", "b", "c"]), before)
    assert store.thumbnail("a") == b"jpeg"
    assert store.search([0, 0, 1], 1, Among("colour", ("red",)))[0].record.id == "c"


def test_many_rows_are_edited_once_each_even_where_they_match_no_more(store: Store):
    rows = [Record(f"{n}", frame=n) for n in range(2500)]
    store.add([[1, 2, n] for n in range(2500)], rows)
    steps: list[tuple[int, int]] = []
    changed = edit(
        store, Range("frame", at_least=100), {"frame": 1}, lambda *step: steps.append(step)
    )
    assert changed == 2400
    assert steps == [(1000, 2400), (2000, 2400), (2400, 2400)]
    assert [r.frame for r in store.records()] == [*range(100), *[1] * 2400]


def test_a_mistake_shows_before_anything_is_written(store: Store):
    store.add([[1, 0, 0]], [Record("a")])
    with pytest.raises(FactError, match="frame is 'x'"):
        edit(store, Among("id", ("nobody",)), {"camera": "lobby", "frame": "x"})
    store.add([[1, 1, 0]], [Record("b", extra={"car": "red"})])
    with pytest.raises(FactError, match=r"record b stays as it is: car\.make leads into 'red'"):
        edit(store, None, {"car.make": "x"})
    assert list(store.records()) == [Record("a"), Record("b", extra={"car": "red"})]
