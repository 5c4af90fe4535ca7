"""A report over agents and sidecars: what both charged counts once, and requests of both count."""

from dataclasses import replace
from pathlib import Path

from tests.reports import report, row_of, written
from tests.sites import Site, rented, rules, workload_rule
from unitcost.exporter.settling.pod import PodRule
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import Quantity
from unitcost.pricing.tenants import Request
from unitcost.pricing.workload import Account

CHAT = "shop/Deployment/chat"
POD = PodRule(
    Account(CHAT), "pod:a", request=Request(1000, GIB), size=((Quantity.DEVICES_PRESENT, 0.0),)
)


def site(scope: str, asks: int = 0) -> Site:
    """A minute of a host that an agent charges, or of a pod on it."""
    made = rules(rented(usd="24"), (workload_rule(CHAT, cores="1", gibs=1, endpoint=True),))
    if scope == "pod":
        made = replace(made, scope=scope, pod=POD)
    found = Site(made)
    server = found.host.serve(CHAT, 8000, cores=0.5)
    found.settle()
    server.work(asks)
    found.tick(12)
    return found


def charged(found: Site) -> int:
    """Pico-dollars of one ledger."""
    return sum(found.charged().values())


def test_a_pods_dollars_are_its_hosts_where_an_agent_charges_that(tmp_path: Path) -> None:
    """Its requests are not; on another host, that nobody charges as a whole, both count."""
    agent, beside, alone = site("host"), site("pod", 10), site("pod", 5)
    path = written(agent.ledger, tmp_path / "fleet.db", "node-1", "host")
    written(beside.ledger, path, "node-1", "pod:1")
    written(alone.ledger, path, "node-2", "pod:2")
    assert charged(beside) > 0
    found = report(path, "host,workload")
    assert found.missing == 0
    assert found.total == charged(agent) + charged(alone)
    whole, part = row_of(found, "node-1", CHAT), row_of(found, "node-2", CHAT)
    assert whole.usd == agent.usd(CHAT)
    assert part.usd == alone.usd(CHAT)
    assert [each.units and each.units.column("requests") for each in (whole, part)] == [10, 5]
