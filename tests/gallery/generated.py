"""Records and filters of every kind, drawn from small pools so that they often meet."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from tipr.gallery.filters import All, Among, AnyOf, Filter, Known, Not, Range, TimeOfDay
from tipr.gallery.record import Record

TEXTS = [
    "a",
    "A",
    "1",
    "true",
    "it's",
    "50%",
    'q"uote',
    "back\\slash",
    "[1]",
    "é😀",
    "a\\u0000b",
    "",
]
NUMBERS = [0, -0.0, 1, 1.0, 0.1, 0.30000000000000004, 5e-324, 2**53, 2.0**53, 2**53 + 1, 2**63 - 1]
NUMBERS += [2**63, -(2**63), 10**30, 1e30, 1e300, -1e300, 100]
KEYS = ["colour", "camera", "it's", 'a"b', "$", "a[0]", "') OR 1=1 --", "é", "back\\u0000slash"]
FIELDS = [*KEYS[:1], "extra.camera", *KEYS[2:], "colour.colour", "colour.it's.é"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]

MEANINGS = [
    (Among("n", (3,)), {"n": 3.0}, True),
    (Among("n", (1,)), {"n": True}, False),
    (Among("n", (True,)), {"n": 1}, False),
    (Among("n", (True,)), {"n": True}, True),
    (Among("n", ("3",)), {"n": 3}, False),
    (Among("n", ("red",)), {"n": "Red"}, False),
    (Among("n", ("red",)), {"n": ["blue", "red"]}, True),
    (Among("n", ("red",)), {"n": [["red"]]}, False),
    (Among("n", ("red",)), {"n": {"red": "red"}}, False),
    (Among("n", ('["red"]',)), {"n": ["red"]}, False),
    (Among("n", ("",)), {"n": ""}, False),
    (Among("n", ()), {"n": "red"}, False),
    (Among("a.b", (1,)), {"a": {"b": 1}}, True),
    (Among("a.b", (1,)), {"a.b": 1}, False),
    (Among("a.b", (1,)), {"a": [{"b": 1}]}, False),
    (Among("extra.camera", ("x",)), {"camera": "x"}, True),
    (Among("camera", ("x",)), {"camera": "x"}, False),
    (Among("n", (2**64,)), {"n": 2**64 + 1}, True),
    (Among("n", (2**53,)), {"n": 2**53 + 1}, False),
    (Range("n", 30, 40), {"n": 30}, True),
    (Range("n", 30, 40), {"n": 40}, False),
    (Range("n", 40, 30), {"n": 35}, False),
    (Range("n"), {"n": 0}, True),
    (Range("n"), {"n": "0"}, False),
    (Range("n", 0), {"n": True}, False),
    (Range("n", 0), {"n": 10**400}, True),
    (Range("n", 0), {"n": -(10**400)}, False),
    (Range("n", 0), {"n": [1]}, False),
    (Known("n"), {"n": 0}, True),
    (Known("n"), {"n": False}, True),
    (Known("n"), {"n": []}, True),
    (Known("n"), {"n": None}, False),
    (Known("n"), {"n": ""}, False),
    (All(()), {}, True),
    (AnyOf(()), {}, False),
]  # a filter, the extra of a record, whether it matches

moments = st.one_of(
    st.sampled_from(
        [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
    ).flatmap(
        lambda day: st.integers(-720, 2160).map(lambda minutes: day + timedelta(minutes=minutes))
    ),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime(1899, 12, 31, tzinfo=UTC)]),
)
clocks = st.one_of(st.sampled_from([time(0), time(2), time(2, 30), time(3), time.max]), st.times())
scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(TEXTS))
frames = st.sampled_from([0, 1, 100, 2**63 - 1])
known_texts = st.sampled_from([*TEXTS, "a\0b"])


def _inner(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    objects = st.dictionaries(st.sampled_from([*KEYS, "colour\0"]), values, max_size=3)
    return st.one_of(st.lists(values, max_size=3), objects)


extras = st.dictionaries(
    st.sampled_from([*KEYS, "colour\0"]),
    st.recursive(scalars | st.just("a\0b"), _inner, max_leaves=4),
    max_size=4,
)


def records(times: st.SearchStrategy[datetime] = moments) -> st.SearchStrategy[Record]:
    texts = {name: known_texts for name in ("path", "camera", "track", "source", "model")}
    facts = {"time": times, "indexed": moments, "frame": frames, "extra": extras, **texts}
    made = st.fixed_dictionaries({"id": known_texts}, optional=facts)
    return made.map(lambda given: Record(**given))


def filters(times: st.SearchStrategy[datetime] = moments) -> st.SearchStrategy[Filter]:
    numbers = st.sampled_from(NUMBERS)
    text_fields = st.sampled_from(["id", "path", "camera", "track", "source", "model"])
    free = st.sampled_from(FIELDS)
    values = st.one_of(st.booleans(), numbers, st.sampled_from(TEXTS))
    leaves = st.one_of(
        st.builds(Among, text_fields, st.lists(st.sampled_from(TEXTS), max_size=3).map(tuple)),
        st.builds(Among, st.just("frame"), st.lists(numbers, max_size=3).map(tuple)),
        st.builds(Among, free, st.lists(values, max_size=4).map(tuple)),
        st.builds(Range, free | st.just("frame"), st.none() | numbers, st.none() | numbers),
        st.builds(
            Range, st.sampled_from(["time", "indexed"]), st.none() | times, st.none() | times
        ),
        st.builds(TimeOfDay, clocks, clocks, st.sampled_from(ZONES)),
        st.builds(Known, text_fields | free | st.sampled_from(["frame", "time", "indexed"])),
    )

    def joined(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        several = st.lists(parts, max_size=3).map(tuple)
        return st.one_of(st.builds(All, several), st.builds(AnyOf, several), st.builds(Not, parts))

    return st.recursive(leaves, joined, max_leaves=6)
