"""Filters as people type them, alone and inside a description."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipr.gallery.filter_text import parse_filter, split
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
)

BERLIN = "Europe/Berlin"
LOBBY = Among("camera", ("lobby",))
GATE = Among("camera", ("gate",))
SEVEN = Among("track", ("7",))


def utc(*parts: Any) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("token", "filter"),
    [
        ("camera:lobby,gate", Among("camera", ("lobby", "gate"))),
        ("-camera:lobby", Not(LOBBY)),
        ("track:7", SEVEN),
        ("source:a.mp4", Among("source", ("a.mp4",))),
        ("path:C:\\shots\\1.jpg", Among("path", ("C:\\shots\\1.jpg",))),
        ("camera:lobby(2)", Among("camera", ("lobby(2)",))),
        ("after:2026-11-01", Range("time", utc(2026, 10, 31, 23))),
        ("before:2026-07-02T15:00", Range("time", below=utc(2026, 7, 2, 13))),
        ("after:2026-11-01T15:00Z", Range("time", utc(2026, 11, 1, 15))),
        ("after:2026-11-01T15:00+09:00", Range("time", utc(2026, 11, 1, 6))),
        ("time:15:00-16:00", TimeOfDay(time(15), time(16), BERLIN)),
        ("time:22-5:30", TimeOfDay(time(22), time(5, 30), BERLIN)),
        ("time:22:00-24:00", TimeOfDay(time(22), time(0), BERLIN)),
        (
            "time:8-9,17-18",
            AnyOf((TimeOfDay(time(8), time(9), BERLIN), TimeOfDay(time(17), time(18), BERLIN))),
        ),
        ("time:2026-11-01..", Range("time", utc(2026, 10, 31, 23))),
        (
            "indexed:2026-11-01..2026-11-02",
            Range("indexed", utc(2026, 10, 31, 23), utc(2026, 11, 1, 23)),
        ),
        ("frame:100..200", Range("frame", 100, 200)),
        ("frame:100", Among("frame", (100,))),
        ("age:30..40", Range("age", 30, 40)),
        ("age:-1.5..", Range("age", -1.5)),
        ("age:..1e3", Range("age", below=1000.0)),
        ("age:1..3,7", AnyOf((Among("age", ("7", 7)), Range("age", 1, 3)))),
        ("age:7", Among("age", ("7", 7))),
        ("plate:007", Among("plate", ("007",))),
        ("plate:1e999", Among("plate", ("1e999",))),
        ('age:"7"', Among("age", ("7",))),
        ('age:"1..3"', Among("age", ("1..3",))),
        ("hat:true", Among("hat", ("true", True))),
        ("colour:red", Among("colour", ("red",))),
        ("vehicle.colour:red", Among("vehicle.colour", ("red",))),
        ("extra.camera:red", Among("extra.camera", ("red",))),
        ("has:camera", Known("camera")),
        ("-has:camera,track", Not(AnyOf((Known("camera"), Known("track"))))),
        ('camera:"north door"', Among("camera", ("north door",))),
        ('camera:"a,b","say ""hi"""', Among("camera", ("a,b", 'say "hi"'))),
        ("größe:m", Among("größe", ("m",))),
    ],
)
def test_a_token_means(token: str, filter: Filter) -> None:
    assert parse_filter(token, BERLIN).to_json() == filter.to_json()
    assert parse_filter([token], BERLIN).to_json() == filter.to_json()


@pytest.mark.parametrize(
    ("text", "filter"),
    [
        ("", All(())),
        ("camera:lobby -track:7", All((LOBBY, Not(SEVEN)))),
        ("camera:lobby AND track:7", All((LOBBY, SEVEN))),
        ("camera:lobby OR camera:gate track:7", All((AnyOf((LOBBY, GATE)), SEVEN))),
        ("track:7 camera:lobby OR camera:gate", All((SEVEN, AnyOf((LOBBY, GATE))))),
        ("( camera:lobby OR camera:gate ) -track:7", All((AnyOf((LOBBY, GATE)), Not(SEVEN)))),
        ("(camera:lobby OR camera:gate) NOT track:7", All((AnyOf((LOBBY, GATE)), Not(SEVEN)))),
        ("-(camera:lobby track:7)", Not(All((LOBBY, SEVEN)))),
        ("NOT (camera:lobby track:7)", Not(All((LOBBY, SEVEN)))),
        ("NOT -track:7", SEVEN),
        ("((camera:lobby) OR (camera:gate track:7))", AnyOf((LOBBY, All((GATE, SEVEN))))),
        ("camera:lobby AND (track:7 OR camera:gate)", All((LOBBY, AnyOf((SEVEN, GATE))))),
    ],
)
def test_tokens_are_joined(text: str, filter: Filter) -> None:
    assert parse_filter(text, "UTC") == filter
    assert parse_filter([text], "UTC") == filter
    assert parse_filter(text.split(), "UTC") == filter


def test_an_argument_keeps_the_spaces_that_the_shell_left_in_it() -> None:
    door = Among("camera", ("north door",))
    assert parse_filter(["camera:north door", "track:7"], "UTC") == All((door, SEVEN))
    assert parse_filter(["camera:north door,lobby"], "UTC") == Among(
        "camera", ("north door", "lobby")
    )
    assert parse_filter(["after:2026-11-01 15:00"], "UTC") == Range("time", utc(2026, 11, 1, 15))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lobby", "lobby is no filter.*camera:lobby"),
        ("camera: lobby", "camera: lacks its value"),
        ("camera:lobby,", "camera:lobby,: a value is missing"),
        ('camera:""', "-has:camera"),
        ('camera:"north door', "quote is not closed"),
        ('camera:"north"door"', "quote is not closed"),
        ("camera:lobby or camera:gate", "capitals: OR"),
        ("camera:lobby OR", "OR stands alone"),
        ("( camera:lobby", r"\( stands alone"),
        ("camera:lobby )", r"\) stands alone"),
        ("NOT", "NOT stands alone"),
        ("camera:a AND track:1 OR track:2", "brackets"),
        ("after:tomorrow", "after:tomorrow: tomorrow is no date; write 2026-11-01"),
        ("after:2026-11-01,2026-11-02", "one date"),
        ("after:0001-01-01", "has no date in UTC"),
        ("time:15:00", "time:15:00: write a time of day, time:15:00-16:00"),
        ("time:2026-11-01", "time:2026-11-01..2026-11-02"),
        ("time:15:00-25:00", "25:00; write 00:00 to 23:59"),
        ("time:15:00-15:00", "equal times"),
        ("indexed:2026-11-01", "indexed:2026-11-01..2026-11-02"),
        ("indexed:2026-11-02..2026-11-01", "second must be greater"),
        ("age:40..30", "age:40..30: the second must be greater"),
        ("age:40..40", "does not belong"),
        ("age:1..1e999", "finite"),
        ("frame:first", "whole number: frame:100"),
        ("frame:1.5", "whole number"),
        ("has:a..b", "has:a..b: .*names no field"),
        ("https://example.org", "is no filter"),
        ("after:2026-11-02 before:2026-11-01", "nothing lies after .* and before"),
        ("before:2026-11-01 track:7 after:2026-11-01", "a whole day is"),
        ("track:7 OR (after:2026-11-02 before:2026-11-01)", "nothing lies"),
        (
            "camera:lobby camera:gate",
            "camera is lobby and camera is gate cannot.*camera:lobby,gate",
        ),
    ],
)
def test_a_mistake_is_named_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        parse_filter(text, BERLIN)


def test_what_looks_contradictory_but_can_match_is_let_through() -> None:
    for text in (
        "after:2026-11-02 OR before:2026-11-01",
        "after:2026-11-02 -before:2026-11-01",
        "camera:a,b camera:b,c",
        "camera:a -camera:b",
        "tag:a tag:b",
    ):
        parse_filter(text, "UTC")


def test_an_unknown_zone_is_named_at_once() -> None:
    for read in (parse_filter, split):
        with pytest.raises(FilterError, match="'CEST'; write an IANA name: UTC, Europe/Berlin"):
            read("", "CEST")


@pytest.mark.parametrize(
    ("description", "text", "filter"),
    [
        ("a man in red", "a man in red", None),
        ("a man  (in red)", "a man  (in red)", None),
        ("camera:lobby", "", LOBBY),
        ("a man camera:lobby in red", "a man in red", LOBBY),
        ("a man, camera:lobby, in red.", "a man, in red.", LOBBY),
        ("a man in red camera:lobby.", "a man in red", LOBBY),
        ("a man frame:1..", "a man", Range("frame", 1)),
        ("a man in red -camera:lobby track:7", "a man in red", All((Not(LOBBY), SEVEN))),
        ("track:7 a man camera:lobby", "a man", All((SEVEN, LOBBY))),
        ("(camera:lobby OR camera:gate) a man", "a man", AnyOf((LOBBY, GATE))),
        ("a man -(camera:lobby track:7)", "a man", Not(All((LOBBY, SEVEN)))),
        ("a man (in red camera:lobby) OR a dog", "a man (in red ) OR a dog", LOBBY),
        ("red coat AND camera:lobby", "red coat", LOBBY),
        ("camera:lobby AND red coat", "red coat", LOBBY),
        ("red coat AND camera:lobby AND hat", "red coat AND hat", LOBBY),
        ("red AND NOT camera:lobby AND NOT hat", "red AND NOT hat", Not(LOBBY)),
        ("red coat OR hat camera:lobby", "red coat OR hat", LOBBY),
        (
            "like https://example.org/a at 15:00 note: tall",
            "like https://example.org/a at 15:00 note: tall",
            None,
        ),
        ('a man camera:"north door"', "a man", Among("camera", ("north door",))),
    ],
)
def test_tokens_are_taken_out_of_a_sentence(
    description: str, text: str, filter: Filter | None
) -> None:
    assert split(description, "UTC") == (text, filter)


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ("a man OR camera:lobby", "camera:lobby beside OR.*search twice"),
        ("camera:lobby OR a man", "camera:lobby beside OR"),
        ("a man camera: lobby", "camera: lacks its value"),
        ('a man camera:"north door', "quote is not closed"),
        ("a man after:noon", "after:noon: noon is no date"),
        ("camera:lobby a man camera:gate", "cannot both hold"),
    ],
)
def test_a_sentence_with_a_mistaken_token_is_refused(description: str, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        split(description, "UTC")


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
days = st.dates(datetime(1900, 1, 1).date(), datetime(2100, 1, 1).date())


@st.composite
def tokens(draw: st.DrawFn) -> tuple[str, Filter]:
    """A token, and what it means."""
    kind = draw(st.sampled_from(["text", "quoted", "range", "date", "has"]))
    minus = draw(st.booleans())
    name = draw(st.sampled_from(["colour", "extra.camera", "a.b", "größe"]))
    token, filter = name, Known(name)
    if kind == "text":
        plain = st.from_regex("[a-z.][a-zA-Z_./:-]*z", fullmatch=True)
        chosen = draw(st.lists(plain, min_size=1, max_size=3))
        token, filter = f"{name}:{','.join(chosen)}", Among(name, tuple(chosen))
    elif kind == "quoted":
        chosen = draw(st.lists(values, min_size=1, max_size=3))
        quoted = ['"' + value.replace('"', '""') + '"' for value in chosen]
        token, filter = f"{name}:{','.join(quoted)}", Among(name, tuple(chosen))
    elif kind == "range":
        low, size = draw(st.integers(-(10**6), 10**6)), draw(st.integers(1, 10**6))
        token, filter = f"{name}:{low}..{low + size}", Range(name, low, low + size)
    elif kind == "date":
        day = draw(days)
        token, filter = f"after:{day}", Range("time", utc(day.year, day.month, day.day))
    else:
        token = f"has:{name}"
    return ("-" + token, Not(filter)) if minus else (token, filter)


@given(st.lists(tokens(), min_size=1, max_size=5))
def test_a_list_of_tokens_means_all_of_them(some: list[tuple[str, Filter]]) -> None:
    wanted = All(tuple(filter for _, filter in some)) if len(some) > 1 else some[0][1]
    texts = [token for token, _ in some]
    assert parse_filter(texts, "UTC") == wanted
    assert parse_filter(" ".join(texts), "UTC") == wanted
    either = AnyOf(wanted.parts) if isinstance(wanted, All) else wanted
    assert parse_filter(" OR ".join(texts), "UTC") == either


@given(st.lists(tokens() | st.sampled_from(["a", "man", "(in", "red)", "hat's"]), max_size=6))
def test_a_sentence_keeps_its_words_and_loses_its_tokens(
    pieces: list[tuple[str, Filter] | str],
) -> None:
    words = [piece for piece in pieces if isinstance(piece, str)]
    found = [piece[1] for piece in pieces if not isinstance(piece, str)]
    text, filter = split(" ".join(p if isinstance(p, str) else p[0] for p in pieces), "UTC")
    assert text == " ".join(words)
    assert filter == (All(tuple(found)) if len(found) > 1 else found[0] if found else None)


@given(st.text(st.sampled_from('ab:"(),-. NOTRAD1')))
def test_no_text_breaks_the_reader(text: str) -> None:
    for read in (parse_filter, split):
        try:
            read(text, "UTC")
        except FilterError as error:
            assert str(error)


@pytest.mark.parametrize("text", ["(" * 5000, "NOT " * 5000 + "camera:a"])
def test_nesting_has_an_end(text: str) -> None:
    for read in (parse_filter, split):
        with pytest.raises(FilterError, match="12 deep"):
            read(text, "UTC")


def test_many_quotes_are_read_in_a_moment() -> None:
    with pytest.raises(FilterError, match="quote"):
        parse_filter("camera:" + '""' * 5000 + '"', "UTC")
