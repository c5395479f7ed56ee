"""Wall clocks: what a clock in a time zone shows at a moment, summer time included.

Moments are microseconds since 1970 in UTC (`record.microseconds`), so no year overflows here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from tipr.gallery.record import microseconds

DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_YEARS = range(1800, 2200)  # before, clocks had no zones; later rules are not known: none changes
_STEP = 3 * DAY  # no zone has ever changed its clocks twice within three days


def of_day(at: time) -> int:
    """Microseconds since midnight."""
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000 + at.microsecond


def offset(zone: ZoneInfo, moment: int) -> int:
    """How far clocks in the zone are ahead of UTC, in microseconds."""
    safe = min(max(moment, _begin(_YEARS.start)), _begin(_YEARS.stop))
    ahead = (EPOCH + timedelta(microseconds=safe)).astimezone(zone).utcoffset() or timedelta(0)
    return ahead // _SECOND * 1_000_000


def offsets(zone: ZoneInfo, first: int, last: int) -> list[tuple[int, int]]:
    """(since, offset) for the moments first..last: each offset holds until the next one's since.

    Local time of day at moment m is (m + offset) % DAY. Empty if last is before first.
    """
    if last < first:
        return []
    years = [year for year in _YEARS if first < _begin(year + 1) and _begin(year) <= last]
    changes = (change for year in years for change in _changes(zone, year))
    return [(first, offset(zone, first)), *(one for one in changes if first < one[0] <= last)]


def windows(
    zone: ZoneInfo, start: time, end: time, first: int, last: int
) -> Iterator[tuple[int, int]]:
    """The moments [from, to) within first..last at which the zone's clocks show [start, end)."""
    opens, length = of_day(start), (of_day(end) - of_day(start)) % DAY
    held = offsets(zone, first, last)
    until = [since for since, _ in held[1:]] + [last + 1]
    for (since, ahead), stop in zip(held, until, strict=False):
        day = (since + ahead) // DAY - 1
        while (begins := day * DAY + opens - ahead) < stop:
            low, high = max(begins, since), min(begins + length, stop)
            if low < high:
                yield low, high
            day += 1


@cache
def _begin(year: int) -> int:
    return microseconds(datetime(year, 1, 1, tzinfo=UTC))


@cache
def _changes(zone: ZoneInfo, year: int) -> list[tuple[int, int]]:
    """When the zone's clocks change in the year (after its first moment), and to which offset."""
    found = []
    here, end = _begin(year), _begin(year + 1)
    while here < end:
        there = min(here + _STEP, end)
        if offset(zone, there) != offset(zone, here):
            found.append(_change(zone, here, there))
        here = there
    return found


def _change(zone: ZoneInfo, before: int, after: int) -> tuple[int, int]:
    """The first moment in (before, after] with another offset than at `before`, and that offset."""
    old = offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if offset(zone, middle) == old else (before, middle)
    return after, offset(zone, after)
