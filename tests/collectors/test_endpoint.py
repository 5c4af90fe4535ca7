"""What is remembered of an endpoint: restarts, other servers in its place, fields that failed."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.raw_server import body, capture, raw_server
from tests.collectors.reading import WALL_NS, collect, collector_of, target, values
from unitcost.collectors.base import Reading, Target
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.table_reading import make_plan, read_table
from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.sample import NS_PER_SECOND, Quantity
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.unit_points import UnitMeter
from unitcost.pricing.units import count
from unitcost.pricing.workload import Account, WorkloadKind

START = 1_795_000_000.0
TABLE = ServerTable(
    name="own",
    requests_succeeded=(Series(metric="good_total"),),
    requests_failed=(Series(metric="bad_total"),),
    tokens_input=(Series(metric="all_total", minus="cached_total"),),
    requests_running=(Series(metric="running"),),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
)
PLAN = make_plan(TABLE)


def text(start: float | None = START, **samples: float | str) -> bytes:
    """An exposition of a server that started then."""
    if start is not None:
        samples["process_start_time_seconds"] = repr(start)
    return "".join(f"{name} {value}\n" for name, value in samples.items()).encode()


class Watched:
    """An endpoint read every so many seconds on clocks that a test moves."""

    def __init__(self, host: str = "127.0.0.1", clock: float = 0.0) -> None:
        self.endpoint = Endpoint(Target(f"http://{host}/", "chat", WorkloadKind.INFERENCE))
        self.clock = clock
        self.seconds = 100.0

    def read(self, content: bytes, *, after: float = 5.0) -> Reading:
        """Read it again."""
        self.seconds += after
        wall = START + self.seconds + self.clock
        at = Instant(int(self.seconds * NS_PER_SECOND), int(wall * NS_PER_SECOND))
        return self.endpoint.read(read_table(PLAN, content), at)


def generation(reading: Reading) -> str:
    """The generation of the one subject, which must be up."""
    (subject,) = reading.subjects
    assert subject.up
    return subject.generation


def test_a_server_that_starts_anew_gets_another_generation_and_birth() -> None:
    """Its counters begin at zero, even where they soon show more than before."""
    watched = Watched()
    first = watched.read(text(good_total=5))
    assert generation(watched.read(text(good_total=6))) == generation(first)
    again = watched.read(text(START + 112, good_total=7), after=5)
    assert generation(again) not in ("", generation(first))
    assert again.subjects[0].born_wall_ns == int((START + 112) * NS_PER_SECOND)


def test_another_server_behind_the_same_address_is_not_a_restart() -> None:
    """A service with two replicas: each one's whole history would be billed at every change."""
    watched = Watched()
    watched.read(text(good_total=5000))
    watched.read(text(good_total=5001))
    for start in (START - 3600, START + 20):
        other = watched.read(text(start, good_total=9000), after=30)
        assert other.samples == ()
        assert not other.subjects[0].up
        assert [problem.kind for problem in other.problems] == ["replicas"]
    back = watched.read(text(good_total=5002))
    assert [sample.value for sample in back.samples] == [5002]


def test_a_restart_is_one_on_a_host_whose_clock_is_wrong_too() -> None:
    """Its clock is an hour behind ours: the starts are compared by its own."""
    watched = Watched("10.0.0.7", clock=3600)
    first = generation(watched.read(text(good_total=5)))
    assert generation(watched.read(text(good_total=6), after=50)) == first
    assert generation(watched.read(text(START + 160, good_total=7), after=10)) != first
    other = watched.read(text(START + 20, good_total=7), after=10)
    assert [problem.kind for problem in other.problems] == ["replicas"]


def test_a_start_time_that_wavers_is_the_same_start() -> None:
    """Some servers work it out from their uptime at every request."""
    watched = Watched()
    marks = {generation(watched.read(text(START + wave, good_total=1))) for wave in (0, 1, -1, 0.5)}
    assert len(marks) == 1


def test_a_server_that_is_back_within_two_seconds_has_started_anew() -> None:
    """Read one second after its start, killed, and back before the next reading."""
    watched = Watched()
    watched.read(text(START + 104, good_total=5))
    assert generation(watched.read(text(START + 105.7, good_total=7), after=1)) != (
        f"start:{START + 104!r}"
    )
    wavering = Watched()
    first = generation(wavering.read(text(START + 104, good_total=5)))
    assert generation(wavering.read(text(START + 105, good_total=7), after=1)) == first


def test_a_start_time_that_comes_and_goes_changes_nothing() -> None:
    """Nor does one that cannot be read."""
    watched = Watched()
    first = generation(watched.read(text(good_total=1)))
    assert generation(watched.read(text(None, good_total=1))) == first
    assert (
        generation(watched.read(text(None, good_total=1, process_start_time_seconds="NaN")))
        == first
    )
    unknown = Watched()
    assert generation(unknown.read(text(None, good_total=1))) == ""
    assert generation(unknown.read(text(START, good_total=1))) == ""
    assert generation(unknown.read(text(START + 1000, good_total=1), after=1000)) != ""


@pytest.mark.parametrize("start", [START + 3600, 0, 1e15])
def test_a_birth_that_cannot_be_is_none(start: float) -> None:
    """In the future by our clock, or at the beginning of time."""
    (subject,) = Watched().read(text(start, good_total=1)).subjects
    assert subject.born_wall_ns is None


def fields(reading: Reading) -> set[tuple[Quantity, str]]:
    """Which quantities and labels a reading has samples of."""
    return {(sample.quantity, sample.label) for sample in reading.samples}


GOOD, BAD = (Quantity.REQUESTS, "succeeded"), (Quantity.REQUESTS, "failed")


def test_a_counter_that_cannot_be_read_now_is_absent_now() -> None:
    """The others are read, and it is again when it can be."""
    watched = Watched()
    assert fields(watched.read(text(good_total=1, bad_total=1))) == {GOOD, BAD}
    broken = watched.read(text(good_total=1, bad_total="NaN"))
    assert fields(broken) == {GOOD}
    assert [problem.kind for problem in broken.problems] == ["malformed"]
    assert fields(watched.read(text(good_total=1, bad_total=2))) == {GOOD, BAD}


def test_a_counter_that_cannot_be_read_at_first_sight_is_left_out_until_a_restart() -> None:
    """Later it would look as if it had just been born, and its whole history as new."""
    watched = Watched()
    watched.read(text(good_total=1, bad_total="NaN"))
    muted = watched.read(text(good_total=1, bad_total=5_000_000))
    assert fields(muted) == {GOOD}
    assert [problem.kind for problem in muted.problems] == ["muted"]
    assert fields(watched.read(text(START + 112, good_total=0, bad_total=0))) == {GOOD, BAD}


def test_a_difference_of_two_counters_never_falls_without_a_restart() -> None:
    """A server adds to the two at different instants; a fall would be taken for a reset."""
    watched = Watched()
    seen = []
    for whole, cached in ((100, 20), (150, 75), (200, 90), (10, 4), (12, 8), (30, 9)):
        reading = watched.read(text(all_total=whole, cached_total=cached))
        seen.append(values(reading, Quantity.TOKENS)["input", "", ""])
    assert seen == [80, 80, 110, 6, 6, 21]
    restarted = watched.read(text(START + 200, all_total=90, cached_total=80), after=100)
    assert values(restarted, Quantity.TOKENS)["input", "", ""] == 10


ACCOUNT = Account("chat", "tinyllama")

# --- with the meter ------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, bool, bool]]:
    """A server's life: requests since the last step, whether it restarted, whether it is down."""
    step = st.tuples(st.integers(0, 50), st.booleans(), st.booleans())
    return draw(st.lists(step, min_size=1, max_size=12))


def life(steps: list[tuple[int, bool, bool]]) -> Iterator[bytes | None]:
    """What the server serves at each step; None: it is down."""
    start, counter = START + 101.0, 0
    for index, (requests, restarted, down) in enumerate(steps):
        if restarted:
            start, counter = START + 100.0 + 5 * index + 3, 0
        counter += requests
        yield None if down else text(start, good_total=counter)


@given(histories())
def test_the_meter_counts_what_the_server_counted(steps: list[tuple[int, bool, bool]]) -> None:
    """Over restarts and gaps; what a life counted after it was last read is lost with it."""
    watched, meter = Watched(), UnitMeter()
    counted, expected, unread = 0, 0, 0
    for content, (requests, restarted, _) in zip(life(steps), steps, strict=True):
        if restarted:
            unread = 0
        unread += requests
        if content is None:
            watched.seconds += 5
            continue
        reading = watched.read(content)
        expected += unread
        unread = 0
        zero, now = int(START * NS_PER_SECOND), int(watched.seconds * NS_PER_SECOND)
        clock = ClockReading(zero + now, now, now, "boot")
        result = count(meter, reading.subjects, reading.samples, zero, clock)
        meter = result.meter
        counted += result.units.get((Account("chat"), *GOOD), 0) // 10**6
    assert counted == expected


def test_a_server_that_was_down_comes_back_with_what_it_counted_meanwhile() -> None:
    """The collector and the meter, over HTTP."""
    content = capture("vllm-cpu.after")
    count_line = b'generation_tokens_total{engine="0",model_name="tinyllama"} %d.0\n'
    assert count_line % 569 in content
    answers = [
        body(content),
        body(b"", status="503 Loading"),
        body(content.replace(count_line % 569, count_line % 600)),
    ]
    meter, counted = UnitMeter(), []
    with raw_server(answers[0]) as server:
        collector = collector_of(target(server))
        for answer in answers:
            server.answer = answer
            reading = collect(collector)
            now = time.monotonic_ns()
            clock = ClockReading(WALL_NS, now, now, "boot")
            result = count(meter, reading.subjects, reading.samples, WALL_NS, clock)
            meter = result.meter
            counted.append(result.units.get((ACCOUNT, Quantity.TOKENS, "output")))
    assert counted == [0, None, 31 * 10**6]
