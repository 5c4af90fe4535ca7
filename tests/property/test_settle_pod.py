"""A sidecar under random histories: what its pod holds is charged, exactly, and nothing else is.

The same histories as a host's (`test_settle.py`); all that is seen is the pod's.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests import audit
from tests.property.test_settle import STEPPED, TROUBLED, steps
from tests.sites import Site, rented, rules, workload_rule
from tests.story import Step, Story
from unitcost.exporter.settling.batch import Batch
from unitcost.exporter.settling.pod import PodRule
from unitcost.pricing.allocate import Holding
from unitcost.pricing.pod import pooled
from unitcost.pricing.resource import GIB, Resource
from unitcost.pricing.sample import Quantity
from unitcost.pricing.tenants import Request
from unitcost.pricing.workload import UNALLOCATED, Account

SIZE = ((Quantity.DEVICES_PRESENT, 0.0),)
POD = PodRule(Account("chat-1"), "pod:a", request=Request(1000, 2 * GIB), own_pid=1, size=SIZE)
CONFIGURED = (
    workload_rule("chat-1", cores="0.5", gibs=1, endpoint=True),
    workload_rule("chat-2", cores="0.25", gibs=1, endpoint=True),
)
WORKLOADS = st.lists(
    st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1, max_size=5
)


class PodStory(Story):
    """Audits what a sidecar charges: rows that balance, at most the time, at least the requests."""

    known: frozenset[str] = frozenset()

    def _audit(self, batch: Batch, resources: tuple[Resource, ...]) -> None:
        audit.check_rows(batch.posting, self.site)
        audit.check_units(self.site, self.oracle)
        audit.check_state(self.site)
        names = {key.account.workload for key in batch.posting.charges}
        assert UNALLOCATED not in names
        points = self.site.points()
        audit.check_scrape(points, self.points)
        self.points = points
        (component,) = self.site.rules.book.components
        due = self.passed.due(component, owned=False)
        elapsed = {
            resource.id: sum(
                row.elapsed_ns
                for key, row in batch.posting.accruals.items()
                if key.resource == resource.id and not key.revision
            )
            for resource in resources
        }
        assert all(0 <= ns <= due for ns in elapsed.values())
        if self.passed.present and not self.passed.slept_ns and self.passed.rebooted_ns is None:
            cuts = sum(not key.revision for key in batch.posting.accruals)
            for part in self.known:
                # A core of four, two GiB of sixteen; each part of a tick is rounded down.
                least = due // (4 if part == "cpu" else 8) - cuts
                assert elapsed.get(part, least) >= least
        self.known = self._known()

    def _known(self) -> frozenset[str]:
        """Resources that were measured before, and not only after ticks that could not be."""
        shares = self.site.settler.state.shares
        return frozenset(
            each.resource.id
            for each in shares
            if each.resource.id in ("cpu", "memory")
            and any(share.account.workload != UNALLOCATED for share in each.shares)
        )


def site() -> Site:
    """A sidecar in a pod that asked for a core and two GiB."""
    return Site(replace(rules(rented(), CONFIGURED), scope="pod", pod=POD))


@given(steps(*TROUBLED))
def test_a_pod_pays_for_what_it_holds_and_no_more(history: list[Step]) -> None:
    """While the sidecar is stopped or killed, the host sleeps, the price changes."""
    PodStory(site()).tell(history)


@given(steps(*STEPPED))
def test_so_it_does_when_the_clock_is_set(history: list[Step]) -> None:
    """By seconds, an hour or a day, forward and back."""
    PodStory(site(), births=False).tell(history)


@given(WORKLOADS)
def test_requests_are_one_pool(amounts: list[tuple[int, int]]) -> None:
    """All together hold the larger of what is requested and what is used; each at least its use."""
    given_ = {Account(str(n)): Holding(*each) for n, each in enumerate(amounts)}
    held = pooled(given_)
    total = sum(each.reserved for each in held.values())
    assert total == max(sum(u for u, _ in amounts), sum(r for _, r in amounts))
    for account, each in held.items():
        assert each.used == given_[account].used <= each.reserved
        assert each.reserved <= max(given_[account].used, given_[account].reserved)
