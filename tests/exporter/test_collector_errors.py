"""What goes wrong with a collector: each thing is logged once, its own failures once each time."""

import logging

import pytest

from unitcost.exporter.gathering.errors import TIMEOUT, CollectorErrors


def test_an_endpoint_that_times_out_is_no_failure_of_its_collector(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Both are called a timeout; that of the endpoint is logged once, however long it lasts."""
    caplog.set_level(logging.INFO)
    errors = CollectorErrors("openmetrics")
    for _ in range(3):
        errors.answered()
        errors.count(TIMEOUT, "http://127.0.0.1:9/metrics: no whole answer in time")
    assert [record.message for record in caplog.records] == ["collector error"]
    assert errors.counts() == {TIMEOUT: 3}


def test_a_collector_that_fails_again_says_so_again(caplog: pytest.LogCaptureFixture) -> None:
    """Once it had worked in between; what it says meanwhile of others is not said again."""
    caplog.set_level(logging.INFO)
    errors = CollectorErrors("openmetrics")
    for _ in range(2):
        for _ in range(2):
            errors.fail(TIMEOUT, "did not answer in time")
        errors.answered()
        errors.count("malformed", "a page")
    messages = [record.message for record in caplog.records]
    again = ["collector error", "collector answers again"]
    assert messages == [*again, "collector error", *again]
