"""A real MLServer, read by the collector: its samples are what the client counted itself."""

import time
from pathlib import Path

import pytest

from tests.collectors.reading import values
from tests.e2e.mlserver import MODEL, Ports, mlserver
from unitcost.collectors.base import Context, Reading, Target
from unitcost.collectors.openmetrics import OpenMetricsCollector, Options, make_collector
from unitcost.collectors.page.endpoint import START_JITTER
from unitcost.exporter.clock import SystemClock
from unitcost.pricing.sample import Outcome, Phase, Quantity
from unitcost.pricing.unit_points import UnitMeter
from unitcost.pricing.units import count
from unitcost.pricing.workload import Account, WorkloadKind

GOOD, BAD, UNKNOWN = 37, 5, 2
PATIENCE = 30.0


def read(collector: OpenMetricsCollector) -> Reading:
    """One reading, in which nothing went wrong."""
    reading = collector.collect(time.monotonic() + PATIENCE)
    assert reading.problems == ()
    return reading


def collector_of(url: str) -> OpenMetricsCollector:
    """The collector of one endpoint, with a limit that suits a loaded machine."""
    target = Target(url, "scoring", WorkloadKind.INFERENCE)
    return make_collector(Options(timeout=PATIENCE), Context(targets=(target,)))


@pytest.mark.real
def test_the_samples_of_a_real_mlserver_equal_the_clients_own_count(tmp_path: Path) -> None:
    """Successes, failures, requests for a model it does not have; health checks are none."""
    began = time.time_ns()
    with mlserver(tmp_path) as server:
        collector = collector_of(server.metrics_url)
        (subject,) = read(collector).subjects
        assert (subject.up, subject.ready, subject.port) == (True, True, server.ports.metrics_port)
        assert subject.born_wall_ns is not None
        assert began - 2 * 10**9 < subject.born_wall_ns < time.time_ns()

        succeeded = server.infer(GOOD)
        bad = server.post(BAD, features=9)
        unknown = server.post(UNKNOWN, model="nosuch")
        assert succeeded == GOOD
        assert 200 not in bad + unknown
        assert server.get("/v2/health/live") == 200
        reading = read(collector)

    (after,) = reading.subjects
    assert after.generation == subject.generation
    assert after.running is False
    assert {
        (outcome, model): value
        for (outcome, model, _), value in values(reading, Quantity.REQUESTS).items()
    } == {
        (Outcome.SUCCEEDED, MODEL): GOOD,
        (Outcome.FAILED, MODEL): BAD,
        (Outcome.SUCCEEDED, "nosuch"): 0,
        (Outcome.FAILED, "nosuch"): UNKNOWN,
    }
    timed = values(reading, Quantity.REQUESTS_TIMED)
    assert sum(timed.values()) == GOOD + BAD + UNKNOWN
    seconds = values(reading, Quantity.PHASE_SECONDS)
    assert all(phase == Phase.COMPUTE for phase, _, _ in seconds)
    assert 0 < sum(seconds.values()) < 60


@pytest.mark.real
def test_a_real_restart_is_metered_without_loss_or_doubling(tmp_path: Path) -> None:
    """First life: 3 before the first reading (not billed), 4 after it. Second life: 5, all new."""
    ports, meter, counted, generations = Ports(), UnitMeter(), 0, []
    collector = collector_of(f"http://127.0.0.1:{ports.metrics_port}/metrics")
    for before, after in ((3, 4), (5, 0)):
        with mlserver(tmp_path, ports) as server:
            for requests in (before, after):
                assert server.infer(requests) == requests
                reading = read(collector)
                generations.append(reading.subjects[0].generation)
                clock = SystemClock().read()
                now = clock.wall_ns
                result = count(meter, reading.subjects, reading.samples, now, clock)
                meter = result.meter
                key = (Account("scoring", MODEL), Quantity.REQUESTS, Outcome.SUCCEEDED)
                counted += result.units.get(key, 0) // 10**6
        assert not collector.collect(time.monotonic() + PATIENCE).subjects[0].up
        time.sleep(START_JITTER)  # starts that are less apart may be taken for one
    assert counted == 4 + 5
    assert generations[0] == generations[1] != generations[2] == generations[3]
