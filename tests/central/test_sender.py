"""From an agent's ledger to the fleet's: what is sent is what is there, and all of it."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.central.deliveries import name
from tests.crash.settling import ROUND, clock, observed, rules
from tests.places import Where
from unitcost.exporter.central.checking import check_central
from unitcost.exporter.central.faults import check
from unitcost.exporter.central.store import CentralLedger
from unitcost.exporter.config.pod_settings import Pod
from unitcost.exporter.config.settings import Host
from unitcost.exporter.fleet.agent import scope_of
from unitcost.exporter.fleet.outbox import Outbox, Whose
from unitcost.exporter.fleet.post import Failure, NotSent
from unitcost.exporter.fleet.protocol import DECODER, Delivery, encode
from unitcost.exporter.fleet.sender import Sender, spread
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.timeline import NS_PER_HOUR

AN_HOUR = NS_PER_HOUR // ROUND
SUMS = "SELECT hour, SUM(pico), SUM(quantity), COUNT(*) FROM charge GROUP BY hour ORDER BY hour"
UNITS = "SELECT SUM(micro) FROM unit_count"
ITEMS = "SELECT SUM(usd), SUM(pico) FROM item_charge WHERE hour <> 0"


class Direct:
    """Straight into a ledger; or it fails, for some hours or for all."""

    def __init__(self, ledger: CentralLedger) -> None:
        self.ledger = ledger
        self.fails: dict[int | None, Failure] = {}
        self.tried: Counter[int] = Counter()

    def send(self, delivery: Delivery) -> None:
        """As the server does."""
        self.tried[delivery.hour] += 1
        failure = self.fails.get(delivery.hour) or self.fails.get(None)
        if failure is not None:
            raise NotSent(failure, "a test's")
        again = DECODER.decode(encode(delivery))
        now_ns = (delivery.hour + 1) * NS_PER_HOUR
        check(again, now_ns)
        self.ledger.take(again, now_ns)


class Agent:
    """A host that settles round after round, and sends when it is told to."""

    def __init__(self, where: Where, central: CentralLedger, session: str = "s") -> None:
        self.where, self.keeper = where, where.keeper()
        found = self.keeper.open(clock(0).wall_ns)
        assert found is not None
        self.settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
        self.central = Direct(central)
        outbox = Outbox(where.place, Whose("host", "host", "host", name(session), "1"))
        self.sender = Sender(outbox, self.central, "host|host", 300.0, self.keeper.seq or 0)

    def tick(self, n: int) -> None:
        """As the exporter does."""
        self.settler.tick(observed(n), (), clock(n))
        self.settler.books.pending.sent += self.sender.acknowledged()
        assert self.keeper.commit(self.settler.books, clock(n).wall_ns)

    def unsent(self) -> list[int]:
        """The hours that are marked."""
        return [row[0] for row in self.where.rows("SELECT hour FROM unsent ORDER BY hour")]


@pytest.fixture
def central(tmp_path: Path) -> Iterator[CentralLedger]:
    """The fleet's ledger."""
    made = CentralLedger(tmp_path / "central.db")
    made.open()
    yield made
    made.close()


@pytest.fixture
def agent(where: Where, central: CentralLedger) -> Iterator[Agent]:
    """Its ledger is a file, or in a database."""
    made = Agent(where, central)
    yield made
    made.keeper.close()


def same(agent: Agent) -> None:
    """To the pico-dollar, hour by hour."""
    ours, theirs = agent.where, Where(agent.central.ledger.place)
    for query in (SUMS, UNITS, ITEMS):
        assert theirs.rows(query) == ours.rows(query)
    assert check_central(agent.central.ledger.place) == []


def test_all_hours_arrive_and_are_sent_again_only_when_they_change(agent: Agent) -> None:
    """The marks go with the commit after."""
    for n in range(1, 3 * AN_HOUR, 97):
        agent.tick(n)
    hours = agent.unsent()
    assert len(hours) == 3
    agent.sender.once()
    same(agent)
    assert agent.sender.progress.unsent == 0
    assert agent.sender.progress.last_success
    agent.sender.once()
    assert set(agent.central.tried.values()) == {1}
    agent.tick(3 * AN_HOUR - 1)
    assert agent.unsent() == hours[-1:]
    agent.sender.once()
    same(agent)
    assert agent.central.tried == Counter({**dict.fromkeys(hours, 1), hours[-1]: 2})


def test_an_outage_of_hours_is_made_up_for(agent: Agent) -> None:
    """What waits is the ledger; it is not tried in vain for each hour."""
    agent.central.fails[None] = Failure.UNREACHABLE
    for n in range(1, 5 * AN_HOUR, 97):
        agent.tick(n)
        agent.sender.once()
    assert len(agent.unsent()) == 5
    assert list(agent.central.tried) == agent.unsent()[:1]
    assert agent.sender.errors[Failure.UNREACHABLE] == sum(agent.central.tried.values())
    assert agent.sender.progress.unsent == 5
    agent.central.fails.clear()
    agent.sender.once()
    same(agent)
    assert agent.sender.progress.unsent == 0


def test_an_hour_that_is_not_taken_holds_up_no_other(agent: Agent) -> None:
    """It is tried again each time."""
    for n in range(1, 3 * AN_HOUR, 97):
        agent.tick(n)
    first, *rest = agent.unsent()
    agent.central.fails[first] = Failure.REJECTED
    agent.sender.once()
    agent.sender.once()
    assert agent.central.tried == Counter({first: 2, **dict.fromkeys(rest, 1)})
    assert agent.sender.errors[Failure.REJECTED] == 2
    assert agent.sender.progress.last_success is None


def test_another_process_goes_on_where_the_last_one_was(
    agent: Agent, where: Where, central: CentralLedger
) -> None:
    """Also where the acknowledgement of the last one got lost."""
    for n in range(1, 200, 7):
        agent.tick(n)
    agent.sender.once()
    agent.keeper.close()
    again = Agent(where, central, "t")
    for n in range(200, 300, 7):
        again.tick(n)
    again.sender.once()
    same(again)
    assert not any(again.sender.errors.values())
    again.keeper.close()


def test_a_ledger_that_cannot_be_read_is_waited_for(agent: Agent) -> None:
    """And counted."""
    agent.tick(1)
    agent.sender._outbox._place = Path("/nowhere/at/all")
    assert agent.sender.once() > 0
    assert agent.sender.errors[Failure.LEDGER] == 1


def test_agents_come_each_in_their_turn_and_wait_each_for_a_time_of_its_own(agent: Agent) -> None:
    """A thousand of them, spread over the interval; patience doubles up to ten minutes."""
    places = sorted(spread(f"node-{n}|host") for n in range(1000))
    gaps = [b - a for a, b in pairwise(places)]
    assert max(gaps) < 0.02
    assert places[0] >= 0
    assert places[-1] < 1
    agent.tick(1)
    agent.central.fails[None] = Failure.UNAVAILABLE
    waits = [agent.sender.once() for _ in range(12)]
    for n, wait in enumerate(waits):
        longest = min(5 * 2**n, 600)
        assert longest / 2 <= wait <= longest * 3 / 2
    agent.central.fails.clear()
    assert 0 < agent.sender.once() <= 300


def test_a_pods_agent_is_told_from_the_others_of_its_host() -> None:
    """By the pod, since it shares the host's name with them."""
    pods = [Host(name="n", scope="pod", pod=Pod(uid=uid)) for uid in ("1", "2")]
    scopes = {scope_of(host) for host in pods}
    assert len(scopes) == 2
    assert all(scope.startswith("pod:") and len(scope) <= 32 for scope in scopes)
    assert scope_of(Host(name="n")) == "host"
