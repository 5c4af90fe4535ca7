"""Units against an oracle: replicas that come, go and restart, counters that are born late."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.meter import Event
from unitcost.pricing.resource import MICRO
from unitcost.pricing.sample import Kind, Outcome, Quantity, Sample, Subject
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.unit_points import UnitMeter, forget, rebased
from unitcost.pricing.units import Count, account_of, count
from unitcost.pricing.workload import OVERFLOW, Account, WorkloadKind

SECOND = 1_000_000_000
ZERO = 1_767_225_600 * SECOND
"""Unix time at which the monotonic clock stood at zero."""
METERED_SINCE = 10 * SECOND
DONE = (Quantity.REQUESTS, Outcome.SUCCEEDED)


def subject(name: str = "server", born: int | None = None, generation: str = "") -> Subject:
    """A server; `born`: nanoseconds on the monotonic clock."""
    wall = None if born is None else ZERO + born
    return Subject(
        f"server:{name}",
        "chat",
        WorkloadKind.INFERENCE,
        born_wall_ns=wall,
        generation=generation,
    )


def requests(
    who: Subject, value: float, at: int, part: str = "", model: str = "m", label: str = "succeeded"
) -> Sample:
    """Requests so far, of one engine."""
    return Sample(who.id, Quantity.REQUESTS, value, at, label=label, part=part, model=model)


def read(
    meter: UnitMeter, who: Subject | list[Subject], samples: list[Sample], since: int = 0
) -> Count:
    """One round; metered since `since` on the monotonic clock."""
    subjects = who if isinstance(who, list) else [who]
    now = max([9 * SECOND, *(sample.mono_ns for sample in samples)])
    return count(meter, subjects, samples, ZERO + since, ClockReading(ZERO + now, now, now, ""))


def total(found: Count) -> float:
    """All units of a round."""
    return sum(found.units.values()) / MICRO


@dataclass
class Engine:
    """One engine of a server: it exists or not, and has counted so much since it started."""

    name: str
    here: bool = False
    value: int = 0
    read: int | None = None
    done: int = 0


@dataclass
class Server:
    """A server with engines; it says when it was started, and in which generation."""

    name: str
    up: bool = True
    born: int = 0
    life: int = 0
    answered: bool = False
    engines: dict[str, Engine] = field(default_factory=dict)

    def subject(self) -> Subject:
        """What the collector says of it."""
        return replace(subject(self.name, self.born, f"life-{self.life}"), up=self.up)

    def restart(self, now: int) -> None:
        """All its counters stand at zero again."""
        self.born, self.life = now, self.life + 1
        for engine in self.engines.values():
            engine.value = engine.done = 0

    def expected(self) -> int:
        """What a round must count of it: all that was done since each engine was last read.

        A series that was not there when the server last answered has counted from zero since; so
        have all of a server that started in metered time.
        """
        proven = self.answered or self.born > METERED_SINCE
        engines = [each for each in self.engines.values() if each.here]
        return sum(each.done for each in engines if proven or each.read is not None)

    def was_read(self) -> None:
        """The round is over."""
        for engine in self.engines.values():
            if engine.here:
                engine.read, engine.done = engine.value, 0
        self.answered = True


NAMES = st.sampled_from(["a", "b"])
EVENTS = st.one_of(
    st.tuples(st.just("work"), NAMES, st.sampled_from(["0", "1"]), st.integers(0, 1000)),
    st.tuples(st.just("work"), NAMES, st.sampled_from(["0", "1"]), st.integers(0, 1000)),
    st.tuples(st.just("appear"), NAMES, st.sampled_from(["0", "1"]), st.just(0)),
    st.tuples(st.just("hide"), NAMES, st.sampled_from(["0", "1"]), st.just(0)),
    st.tuples(st.just("restart"), NAMES, st.just(""), st.just(0)),
    st.tuples(st.just("down"), NAMES, st.just(""), st.just(0)),
    st.tuples(st.just("read"), st.just(""), st.just(""), st.just(0)),
)


@given(st.lists(EVENTS, max_size=40))
def test_each_replica_counts_what_it_did_whatever_the_others_do(
    events: list[tuple[str, str, str, int]],
) -> None:
    """Engines that come, go and come back; servers that restart or do not answer."""
    servers = {name: Server(name) for name in ("a", "b")}
    meter, now = UnitMeter(), METERED_SINCE
    for what, name, part, amount in events:
        now += SECOND
        if what == "read":
            found = read(meter, *observed(servers, now), since=METERED_SINCE)
            assert total(found) == sum(s.expected() for s in servers.values() if s.up)
            assert all(micro >= 0 for micro in found.units.values())
            for server in servers.values():
                if server.up:
                    server.was_read()
                server.up = True
            meter = found.meter
        else:
            happen(servers[name], what, part, amount, now)


def happen(server: Server, what: str, part: str, amount: int, now: int) -> None:
    """One thing that servers do."""
    engine = server.engines.setdefault(part, Engine(part)) if part else None
    if what == "restart":
        server.restart(now)
    elif what == "down":
        server.up = False
    elif engine is not None and what == "work":
        # What is not exported yet is born with its first request.
        engine.here = True
        engine.value += amount
        engine.done += amount
    elif engine is not None and (what == "appear" or engine.read is not None):
        engine.here = what == "appear"


def observed(servers: dict[str, Server], now: int) -> tuple[list[Subject], list[Sample]]:
    """All subjects, and samples of those that answer."""
    subjects = [server.subject() for server in servers.values()]
    samples = [
        requests(server.subject(), engine.value, now, engine.name)
        for server in servers.values()
        for engine in server.engines.values()
        if engine.here and server.up
    ]
    return subjects, samples


def test_a_server_with_a_history_is_not_billed_for_it() -> None:
    """The first sight of it is a baseline; what comes later counts."""
    who = subject(born=2 * SECOND)
    first = read(UnitMeter(), who, [requests(who, 1000, 9 * SECOND)], since=5 * SECOND)
    assert (total(first), first.events) == (0, {Event.FIRST: 1})
    then = read(first.meter, who, [requests(who, 1003, 14 * SECOND)], since=5 * SECOND)
    assert total(then) == 3


def test_a_server_born_in_metered_time_counts_from_zero() -> None:
    """Its process or its counters say when they started."""
    who = subject(born=6 * SECOND)
    found = read(UnitMeter(), who, [requests(who, 12, 9 * SECOND)], since=5 * SECOND)
    assert (total(found), found.events) == (12, {Event.BORN: 1})


def test_a_counter_that_appears_later_was_zero_before() -> None:
    """MLServer has no series of a model before its first request."""
    who = subject()
    first = read(UnitMeter(), who, [requests(who, 5, 9 * SECOND)])
    later = [requests(who, 5, 14 * SECOND), requests(who, 2, 14 * SECOND, model="new")]
    assert total(read(first.meter, who, later)) == 2


def test_a_server_that_answered_without_any_counter_had_counted_nothing() -> None:
    """So its first ones count whole."""
    who = subject()
    first = read(UnitMeter(), who, [])
    assert total(read(first.meter, who, [requests(who, 4, 14 * SECOND)])) == 4


def test_a_server_that_does_not_answer_is_not_seen() -> None:
    """Neither its samples nor that it had no counters."""
    who = subject()
    down = replace(who, up=False)
    first = read(UnitMeter(), down, [requests(who, 3, 9 * SECOND)])
    assert (first.units, first.meter) == ({}, UnitMeter())
    assert total(read(first.meter, who, [requests(who, 4, 14 * SECOND)])) == 0


def test_the_same_series_twice_in_a_round_counts_once() -> None:
    """A faulty plug-in; else each would count against the last round's reading."""
    who = subject()
    first = read(UnitMeter(), who, [requests(who, 10, 9 * SECOND)])
    twice = [requests(who, 14, 14 * SECOND), requests(who, 14, 14 * SECOND + 1)]
    found = read(first.meter, who, twice)
    assert (total(found), found.events) == (4, {Event.COUNTED: 1, Event.DUPLICATE: 1})
    falling = [requests(who, 14, 14 * SECOND), requests(who, 3, 14 * SECOND + 1)]
    assert total(read(first.meter, who, falling)) == 4


def test_a_start_that_is_worked_out_anew_each_time_is_no_restart() -> None:
    """From the host's boot time, say, which wobbles with the clock: no spike of a whole history."""
    who = subject(born=3 * SECOND, generation="start:3.0")
    first = read(UnitMeter(), who, [requests(who, 1000, 9 * SECOND)])
    wobbled = subject(born=4 * SECOND, generation="start:4.0")
    then = read(first.meter, wobbled, [requests(wobbled, 1002, 14 * SECOND)])
    assert (total(then), then.events) == (2, {Event.COUNTED: 1})
    again = read(then.meter, who, [requests(who, 1005, 19 * SECOND)])
    assert total(again) == 3


def test_a_start_since_the_last_reading_is_a_restart() -> None:
    """All the new process has counted is new, though it be more than before."""
    who = subject(born=3 * SECOND, generation="start:3.0")
    first = read(UnitMeter(), who, [requests(who, 10, 9 * SECOND)])
    new = subject(born=12 * SECOND, generation="start:12.0")
    found = read(first.meter, new, [requests(new, 25, 14 * SECOND)])
    assert (total(found), found.events) == (25, {Event.RESET: 1})


def test_after_a_reboot_counters_go_on_though_the_monotonic_clock_starts_anew() -> None:
    """A state file on disk counts on; a server of this host started anew."""
    job = subject("job", born=3 * SECOND, generation="1")
    before = [requests(job, 40, 900 * SECOND)]
    meter = rebased(read(UnitMeter(), job, before).meter)
    found = read(meter, job, [requests(job, 42, 5 * SECOND)])
    assert total(found) == 2


def test_what_is_forgotten_is_seen_for_the_first_time_again() -> None:
    """Subjects that are gone for long; those still there keep their points, read or not."""
    gone, here = subject("gone"), subject("here")
    samples = [requests(gone, 10, 9 * SECOND), requests(here, 10, 9 * SECOND)]
    meter = read(UnitMeter(), [gone, here], samples).meter
    assert forget(meter, [here.id], 9 * SECOND) == meter
    meter = forget(meter, [here.id], 9 * SECOND + 1)
    samples = [requests(gone, 30, 20 * SECOND), requests(here, 30, 20 * SECOND)]
    found = read(meter, [gone, here], samples)
    assert (total(found), found.events) == (20, {Event.FIRST: 1, Event.COUNTED: 1})


def test_gauges_are_summed_and_not_counted() -> None:
    """Requests running in two engines."""
    who = subject()
    samples = [
        Sample(who.id, Quantity.REQUESTS_RUNNING, value, 9, Kind.GAUGE, model="m", part=part)
        for part, value in (("0", 2.0), ("1", 3.0))
    ]
    found = read(UnitMeter(), who, samples)
    assert found.units == {}
    assert found.gauges == {(Account("chat", "m"), Quantity.REQUESTS_RUNNING, ""): 5 * MICRO}


def test_units_are_booked_on_the_workload_its_model_and_its_run() -> None:
    """A reserved account has neither: over the cap nothing may grow."""
    who = subject()
    assert account_of(who, "m") == Account("chat", "m")
    assert account_of(replace(who, model="its own"), "m") == Account("chat", "its own")
    job = replace(who, run="r1", attempt=2)
    assert account_of(job) == Account("chat", "", "r1", 2)
    assert account_of(replace(job, workload=OVERFLOW), "m") == Account(OVERFLOW)
