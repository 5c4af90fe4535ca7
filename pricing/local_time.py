"""Local calendars: when a day begins in a time zone, whatever its clocks do around midnight.

A zone is the caller's (`tzinfo`): nothing here reads the time zone database.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from unitcost.pricing.sample import NS_PER_SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_date(instant_ns: int, zone: tzinfo) -> date:
    """The local date at an instant (Unix nanoseconds)."""
    moment = _EPOCH + timedelta(seconds=instant_ns // NS_PER_SECOND)
    return moment.astimezone(zone).date()


def day_start_ns(day: date, zone: tzinfo) -> int:
    """The first instant at which local clocks show this day, or a later one, in Unix nanoseconds.

    Where clocks are set forward over midnight that is the instant of the change; where midnight
    comes twice, the first.
    """
    midnight = datetime.combine(day, time(), tzinfo=zone)
    start = _seconds(midnight)
    if _local(start, zone) != midnight.replace(tzinfo=None):
        start = _change(_seconds(midnight.replace(fold=1)), start, zone)
    return start * NS_PER_SECOND


def _seconds(moment: datetime) -> int:
    """Unix seconds; of a local time that does not exist, by the offset that its `fold` takes."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(seconds=1)


def _local(seconds: int, zone: tzinfo) -> datetime:
    moment = _EPOCH + timedelta(seconds=seconds)
    return moment.astimezone(zone).replace(tzinfo=None)


def _change(before: int, after: int, zone: tzinfo) -> int:
    """The first second in (before, after] with another offset from UTC than `before` has."""
    offset = _local(before, zone) - _local(before, UTC)
    while after - before > 1:
        middle = (before + after) // 2
        if _local(middle, zone) - _local(middle, UTC) == offset:
            before = middle
        else:
            after = middle
    return after
