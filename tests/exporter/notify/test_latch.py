"""One kind of thing that cannot be judged: it is logged, and the others are told."""

import logging
from collections.abc import Iterator

import pytest

from tests.exporter.notify.looking import Looking
from unitcost.exporter.notify.alerts import Found, Seen, Severity, Told
from unitcost.exporter.notify.latch import Latches


def _broken(seen: Seen) -> Iterator[Found]:
    yield Found(("a",), "a")
    if seen.now >= 60:
        raise ValueError("a defect")


def _fine(seen: Seen) -> Iterator[Found]:
    yield Found((), "fine", begins=seen.now < 30)


TOLD = (
    Told("broken", ("Broken",), Severity.WARNING, _broken, lambda _: 100.0),
    Told("fine", ("Fine",), Severity.WARNING, _fine),
)


def test_a_defect_of_one_is_logged_once_and_harms_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What it knew it goes on from, when it can."""
    looking, latches = Looking(), Latches()
    past, limits = looking.watch.past, looking.limits
    with caplog.at_level(logging.ERROR):
        for now in (0.0, 60.0, 120.0):
            found = latches.alerts(TOLD, Seen({}, past, limits, now))
            assert [each.name for each in found] == ["Fine"]
    assert len(caplog.records) == 1
    assert latches.since == {("broken", "a"): 0.0, ("fine",): 0.0}
