"""What holders were doing: busy by the best signal there is, loading until one of them is ready."""

import pytest

from tests.sites import rules, workload_rule
from unitcost.exporter.settling.states import (
    busy_of,
    by_holder,
    holding_account,
    now_ready,
    still_loading,
)
from unitcost.pricing.allocate import ALWAYS, Busy
from unitcost.pricing.layers import Counted
from unitcost.pricing.resource import MICRO
from unitcost.pricing.sample import NS_PER_SECOND, Quantity, Subject
from unitcost.pricing.workload import Account, WorkloadKind

SPAN = 5 * NS_PER_SECOND
CHAT = Account("chat")
MODEL = Account("chat", "m")


def subject(
    running: bool | None = None, ready: bool | None = None, workload: str = "chat", run: str = ""
) -> Subject:
    """A server, or a process of a run."""
    kind = WorkloadKind.TRAINING if run else WorkloadKind.INFERENCE
    return Subject("s", workload, kind, run=run, ready=ready, running=running)


def units(seconds: float | None = None, requests: int | None = None) -> Counted:
    """What a tick counted."""
    found: Counted = {}
    if seconds is not None:
        found[MODEL, Quantity.REQUEST_SECONDS, ""] = round(seconds * MICRO)
    if requests is not None:
        found[MODEL, Quantity.REQUESTS, "succeeded"] = requests * MICRO
    return found


@pytest.mark.parametrize(
    ("running", "ran_before", "counted", "expected"),
    [
        (True, True, units(0.0, 0), Busy(1, 1, "running")),
        (True, True, units(1.0, 1), Busy(1, 1, "running")),
        (True, False, units(2.0, 1), Busy(2 * NS_PER_SECOND, SPAN, "request_seconds")),
        (True, False, units(0.0, 0), Busy(1, 1, "units")),
        (False, True, units(2.0, 1), Busy(2 * NS_PER_SECOND, SPAN, "request_seconds")),
        (None, False, units(99.0, 1), Busy(SPAN, SPAN, "request_seconds")),
        (None, False, units(None, 1), Busy(1, 1, "units")),
        (None, False, units(None, 0), Busy(0, 1, "units")),
        (False, False, units(), Busy(0, 1, "units")),
        (None, False, units(), ALWAYS),
    ],
)
def test_the_best_signal_says_how_busy_a_server_was(
    running: bool | None, ran_before: bool, counted: Counted, expected: Busy
) -> None:
    """Work at both ends, else seconds of requests, else any unit; without all three: always."""
    own = by_holder(counted).get(CHAT, {})
    assert busy_of(CHAT, [subject(running)], own, SPAN, ran_before) == expected


def test_a_running_training_process_is_busy_from_its_first_tick_on() -> None:
    """It does nothing else."""
    job = subject(True, run="r1")
    assert busy_of(holding_account(job), [job], {}, SPAN, False) == Busy(1, 1, "running")


def test_what_others_counted_is_no_signal() -> None:
    """Another workload, or another run of the same."""
    others: Counted = {
        (Account("other", "m"), Quantity.REQUEST_SECONDS, ""): MICRO,
        (Account("chat", "", "r1"), Quantity.STEPS, ""): MICRO,
    }
    own = by_holder(others).get(CHAT, {})
    assert busy_of(CHAT, [subject()], own, SPAN, False) == ALWAYS


def test_ready_is_who_was_ready_and_is_still_there_and_who_has_proven_it() -> None:
    """By its subject's word, or by a unit; holders that are gone are dropped."""
    holders = {CHAT: frozenset({"1@1"}), Account("b"): frozenset({"2@2"})}
    assert now_ready([], holders, {}, frozenset({"1@1", "9@9"})) == {"1@1"}
    assert now_ready([subject(ready=True)], holders, {}, frozenset()) == {"1@1"}
    assert now_ready([subject(ready=False)], holders, {}, frozenset()) == frozenset()
    assert now_ready([subject()], holders, units(None, 1), frozenset()) == {"1@1"}
    assert now_ready([subject()], holders, units(0.0, 0), frozenset()) == frozenset()


def test_only_those_load_whose_readiness_can_be_seen() -> None:
    """They have a subject or a configured endpoint; where nothing can be seen nobody loads."""
    site = rules(workloads=(workload_rule("b", endpoint=True), workload_rule("c")))
    holders = {CHAT: frozenset({"1@1"}), **{Account(n): frozenset({n}) for n in ("b", "c", "d")}}
    assert still_loading(site, [subject()], holders, frozenset()) == {CHAT, Account("b")}
    assert still_loading(site, [subject()], holders, frozenset({"1@1"})) == {Account("b")}
    assert still_loading(site, [subject(workload="gone")], holders, frozenset({"b"})) == set()
