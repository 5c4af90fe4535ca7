"""Differences of two counters that are counted at different instants: they may fall a little."""

from collections.abc import Iterable

from unitcost.collectors.base import Target
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.table_reading import make_plan, read_table
from unitcost.collectors.tables import Series, ServerTable, Term
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.unit_points import UnitMeter
from unitcost.pricing.units import count
from unitcost.pricing.workload import WorkloadKind

TARGET = Target("http://127.0.0.1/", "chat", WorkloadKind.INFERENCE, by_tenant=True)
PLAN = make_plan(
    ServerTable(
        tenant_labels=("team",),
        tokens_input=(Series(metric="prompt", less=(Term(metric="cached"),)),),
    )
)


def page(prompt: int, cached: int, teams: int = 1) -> bytes:
    """What each of so many teams had."""
    lines = [
        f'{name}{{team="t{number}"}} {value}\n'
        for name, value in (("prompt", prompt), ("cached", cached))
        for number in range(teams)
    ]
    return "".join(lines).encode()


def tokens(pages: Iterable[bytes], *, restarts: bool = False) -> list[float]:
    """What is counted of all, at each reading; `restarts`: by another exporter each time."""
    meter, counted, endpoint = UnitMeter(), [], Endpoint(TARGET)
    for second, body in enumerate(pages, 1):
        at = second * NS_PER_SECOND
        endpoint = Endpoint(TARGET) if restarts else endpoint
        reading = endpoint.read(read_table(PLAN, body, ""), Instant(at, at))
        found = count(meter, reading.subjects, reading.samples, 0, ClockReading(at, at, at, ""))
        meter = found.meter
        assert sum(found.tenants.values()) == sum(found.units.values())
        counted.append(sum(found.units.values()) / 10**6)
    return counted


PAGES = ((1000, 100), (1010, 112), (1020, 112), (1030, 112))
"""At the second reading a request's cached tokens are there, its prompt is not yet."""


def test_a_difference_that_falls_a_little_is_no_restart() -> None:
    """Else the server's whole history would be billed again."""
    assert tokens(page(*each) for each in PAGES) == [0, 0, 8, 10]


def test_nor_is_it_across_a_restart_of_the_exporter() -> None:
    """Which remembers the count and not what it was the difference of."""
    assert tokens((page(*each) for each in PAGES), restarts=True) == [0, 0, 8, 10]


def test_nor_is_it_where_there_are_many_tenants() -> None:
    """As many as are told apart at all."""
    assert tokens(page(*each, 2000) for each in PAGES) == [0, 0, 8 * 2000, 10 * 2000]


def test_a_server_that_starts_anew_counts_from_zero() -> None:
    """It says nothing of its start, and its counters fall by more than half."""
    assert tokens(page(*each) for each in ((1000, 100), (60, 20))) == [0, 40]
    assert tokens((page(*each) for each in ((1000, 100), (60, 20))), restarts=True) == [0, 40]
