"""Times of day are what clocks on the wall show, whatever summer time does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from generated import ZONES, clocks, filters, records
from hypothesis import given, settings
from hypothesis import strategies as st

from tipr.gallery import clock
from tipr.gallery.fields import DEEPEST
from tipr.gallery.filters import AnyOf, Filter, Not, Range, TimeOfDay, moments
from tipr.gallery.record import Record, microseconds

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ODD_ZONES = ["Africa/Freetown", "America/Noronha", "Asia/Gaza", "Africa/Casablanca", *ZONES]
lifetimes = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
near = st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 10), timezones=st.just(UTC))
windows = st.builds(TimeOfDay, clocks, clocks, st.sampled_from(ZONES))


@settings(deadline=None)
@given(lifetimes, clocks, clocks, st.sampled_from(ODD_ZONES))
def test_time_of_day_is_what_a_clock_on_the_wall_shows(
    when: datetime, start: time, end: time, zone: str
) -> None:
    shown = when.astimezone(ZoneInfo(zone)).time()
    wanted = start <= shown < end if start <= end else shown >= start or shown < end
    assert TimeOfDay(start, end, zone).matches(Record("x", time=when)) is wanted


def test_a_skipped_hour_never_matches_and_a_repeated_one_twice() -> None:
    half_past_two = TimeOfDay(time(2, 30), time(2, 45), "Europe/Berlin")

    def hits(day: datetime) -> int:
        quarters = [day + timedelta(minutes=15 * n) for n in range(96)]
        return sum(half_past_two.matches(Record("x", time=quarter)) for quarter in quarters)

    assert [hits(datetime(2026, 3, d, 22, tzinfo=UTC)) for d in (27, 28, 29)] == [1, 0, 1]
    assert [hits(datetime(2026, 10, d, 22, tzinfo=UTC)) for d in (23, 24, 25)] == [1, 2, 1]


def test_equal_ends_and_unknown_times_match_no_time_of_day() -> None:
    assert not TimeOfDay(time(5), time(5), "UTC").matches(Record("x", time=NOON))
    assert not TimeOfDay(time(5), time(4), "UTC").matches(Record("x"))


@pytest.mark.parametrize("year", [1, 9999])
def test_the_first_and_last_days_have_a_time_of_day(year: int) -> None:
    edge = datetime.min if year == 1 else datetime.max
    record = Record("x", time=edge.replace(tzinfo=UTC))
    always = AnyOf(
        (
            TimeOfDay(time(0), time(12), "Asia/Tokyo"),
            TimeOfDay(time(12), time(0), "Asia/Tokyo"),
        )
    )
    assert always.matches(record)
    assert moments(always, record.time, record.time).matches(record)


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_every_change_of_a_zones_clocks_is_found(zone: str) -> None:
    named = ZoneInfo(zone)
    hours = [datetime(1939, 1, 1, tzinfo=UTC) + timedelta(hours=6 * n) for n in range(6000)]
    hours += [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=6 * n) for n in range(3000)]
    held = clock.offsets(named, microseconds(hours[0]), microseconds(hours[-1]))
    place = 0
    for hour in hours:
        while place + 1 < len(held) and held[place + 1][0] <= microseconds(hour):
            place += 1
        assert timedelta(microseconds=held[place][1]) == hour.astimezone(named).utcoffset()


def test_a_change_is_known_to_the_microsecond() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    day = microseconds(datetime(2026, 3, 29, tzinfo=UTC))
    hour = 3_600_000_000
    assert clock.offsets(berlin, day, day + 24 * hour) == [(day, hour), (day + hour, 2 * hour)]
    assert clock.offsets(berlin, day, day + hour - 1) == [(day, hour)]
    assert clock.offsets(berlin, day, day + hour) == [(day, hour), (day + hour, 2 * hour)]
    assert clock.offsets(berlin, day + hour, day + 2 * hour) == [(day + hour, 2 * hour)]
    assert clock.offsets(berlin, day + hour, day + hour) == [(day + hour, 2 * hour)]
    assert clock.offsets(berlin, day, day - 1) == []


@settings(deadline=None)
@given(filters(near) | windows, st.lists(records(near), min_size=1, max_size=4))
def test_ranges_of_moments_say_the_same_as_times_of_day(filter: Filter, some: list[Record]) -> None:
    times = [one.time for one in some if one.time]
    ranges = moments(filter, min(times, default=None), max(times, default=None))
    assert "time_of_day" not in json.dumps(ranges.to_json())
    assert [ranges.matches(one) for one in some] == [filter.matches(one) for one in some]


def test_a_window_every_day_is_one_range_a_day() -> None:
    ranges = moments(TimeOfDay(time(22), time(5), "Europe/Berlin"), NOON, NOON + 2 * DAY)
    night = NOON.replace(hour=21)
    wanted = [Range("time", night + n * DAY, night + n * DAY + DAY * 7 / 24) for n in (0, 1)]
    assert ranges == AnyOf(tuple(wanted))


def test_the_deepest_filter_can_be_told_in_moments() -> None:
    deep: Filter = TimeOfDay(time(1), time(2), "UTC")
    while deep.depth < DEEPEST:
        deep = Not(deep)
    moments(deep, NOON, NOON)


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_windows_that_a_change_of_clocks_cuts_are_cut(day: datetime) -> None:
    some = [Record("x", time=day + timedelta(minutes=10 * n)) for n in range(30)]
    for minute in range(0, 240, 30):
        start, end = time(minute // 60, minute % 60), time(minute // 60 + 1, minute % 60)
        window = TimeOfDay(start, end, "Europe/Berlin")
        ranges = moments(window, day, day + DAY)
        assert [ranges.matches(one) for one in some] == [window.matches(one) for one in some]
