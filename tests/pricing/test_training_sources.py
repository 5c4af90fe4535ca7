"""One source for each training job, where a run began, and whose costs are a run's."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.sample import NS_PER_SECOND, Subject
from unitcost.pricing.training_sources import (
    SOURCES,
    Progress,
    adopted,
    base_of,
    doubles,
    source_of,
)
from unitcost.pricing.workload import Account, WorkloadKind

TRAINING = WorkloadKind.TRAINING


def subject(name: str, workload: str = "tuner", **parts: object) -> Subject:
    """A subject of a training job."""
    return replace(Subject(name, workload, TRAINING), **parts)  # type: ignore[arg-type] # as given


def kept(*subjects: Subject) -> list[str]:
    """Who is believed."""
    dropped = doubles(subjects)
    return [each.id for each in subjects if each.id not in dropped]


def test_the_client_is_preferred_to_all_others_by_the_jobs_name() -> None:
    """Whatever their runs are called, and though its run is over."""
    names = [f"{source}x" for source in SOURCES]
    client = subject(names[0], run="night", running=False)
    assert kept(*(subject(name, run=name) for name in names[1:]), client) == [names[0]]
    assert kept(*(subject(name) for name in names[2:])) == [names[2]]


def test_the_same_process_under_another_name_is_the_same_job() -> None:
    """All that its source tells of that job goes, its counts too."""
    client = subject("run:a", "mine", pid=7, started=1)
    process = subject("hf:b#7-1", "theirs", pid=7, started=1)
    counted = subject("hf:b", "theirs")
    assert kept(client, process, counted) == ["run:a"]
    reused = replace(process, started=2)
    assert kept(client, reused, counted) == ["run:a", "hf:b#7-1", "hf:b"]


def test_who_is_over_leaves_the_job_to_another_process() -> None:
    """State files stay for a day: a job that is told of otherwise since then counts at once."""
    over = subject("run:a", run="night", pid=7, started=1, running=False)
    process = subject("hf:b#8-1", run="hf-8-1", pid=8, started=1, running=True)
    counted = subject("hf:b", run="hf-8-1", running=True)
    earlier = subject("hf:c", run="hf-7-1", running=False)
    assert kept(over, process, counted, earlier) == ["run:a", "hf:b#8-1", "hf:b"]
    assert kept(replace(over, running=None), process, counted) == ["run:a"]
    assert kept(replace(over, pid=8), process, counted) == ["run:a"]
    rank = subject("run:d", run="night", pid=9, started=1, running=True)
    assert kept(over, rank, process, counted) == ["run:a", "run:d"]
    logs = subject("logs:e", run="logs", running=True)  # they lag behind: it may be the same job
    assert kept(over, logs) == ["run:a"]


def test_others_are_left_alone() -> None:
    """Several subjects of one source, other jobs, servers, and samples of the host."""
    server = Subject("hf:no", "tuner", WorkloadKind.INFERENCE)
    others = [subject("run:a"), subject("run:b"), subject("logs:c", "another"), server]
    assert kept(*others) == [each.id for each in others]
    assert source_of(server) is None


@given(
    st.lists(
        st.builds(
            lambda source, number, workload, pid: subject(
                f"{source}{number}", workload, pid=pid, started=pid
            ),
            st.sampled_from(SOURCES),
            st.integers(0, 3),
            st.sampled_from("abc"),
            st.none() | st.integers(1, 3),
        ),
        unique_by=lambda each: each.id,
        max_size=8,
    )
)
def test_each_job_has_one_source_and_no_job_is_lost(subjects: list[Subject]) -> None:
    """Of each name one source is left at most, and some source of every process or name."""
    dropped = doubles(subjects)
    left = [each for each in subjects if each.id not in dropped]
    sources: dict[str, set[int | None]] = {}
    for each in left:
        sources.setdefault(each.workload, set()).add(source_of(each))
    assert all(len(found) == 1 for found in sources.values())
    if subjects:
        assert min(source_of(each) or 0 for each in subjects) in {source_of(each) for each in left}
    assert not doubles(left)


def records(first: int, pace: float, count: int, wait: float = 5.0) -> list[Progress]:
    """Steps every 5 seconds, the first record `wait` seconds after the begin."""
    return [
        Progress(int((wait + 5 * n) * NS_PER_SECOND), int(first + pace * 5 * n), None)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("first", "pace", "count", "over", "base"),
    [
        (10, 2.0, 1, False, None),
        (10, 2.0, 1, True, 0),
        (10, 2.0, 2, False, 0),
        (10, 0.8, 2, False, 0),  # it slowed down
        (5010, 2.0, 2, False, None),
        (5010, 2.0, 4, False, 5010),
        (5010, 2.0, 3, True, 5010),
        (1, 0.0, 4, True, 0),
    ],
)
def test_where_a_run_began(
    first: int, pace: float, count: int, over: bool, base: int | None
) -> None:
    """At zero, unless it had done far more than its pace allows."""
    found = base_of(0, records(first, pace, count), over=over)
    assert (found and found.steps) == base


def test_one_slow_record_is_no_proof() -> None:
    """An evaluation after the first record: the pace is the best of those that follow."""
    early = [
        Progress(5 * NS_PER_SECOND, 50),
        Progress(305 * NS_PER_SECOND, 51),
        Progress(310 * NS_PER_SECOND, 101),
    ]
    assert base_of(0, early[:2], over=False) is None
    found = base_of(0, early, over=False)
    assert found is not None
    assert found.steps == 0


@given(
    start=st.integers(0, 10**6),
    paces=st.lists(st.integers(1, 1000), min_size=3, max_size=3),
    over=st.booleans(),
)
def test_a_base_is_never_more_than_the_first_record(
    start: int, paces: list[int], over: bool
) -> None:
    """Nor negative."""
    early = [Progress(NS_PER_SECOND, start, start / 8, start * 3)]
    for pace in paces:
        last = early[-1]
        done = (last.steps or 0) + pace
        early.append(Progress(last.wall_ns + NS_PER_SECOND, done, done / 8, done * 3))
    found = base_of(0, early, over=over)
    assert found is not None
    assert 0 <= (found.steps or 0) <= start
    assert 0 <= (found.epochs or 0) <= start / 8
    assert 0 <= (found.tokens or 0) <= start * 3


def test_costs_without_a_run_are_the_only_runs_that_goes_on() -> None:
    """Where no process is claimed for any run of the workload."""
    run = subject("logs:a", run="night", attempt=2, running=True)
    over = subject("logs:b", run="before", running=False)
    bare, own = Account("tuner"), Account("tuner", "", "night", 2)
    assert adopted([run, over]) == {bare: own}
    assert adopted([over]) == {}
    assert adopted([run, replace(run, run="another")]) == {}
    assert adopted([run, replace(over, pid=1, started=1)]) == {}
    assert adopted([Subject("server:x", "tuner", WorkloadKind.INFERENCE)]) == {}


def test_a_run_without_records_began_nowhere_yet() -> None:
    """Nothing can be told, over or not."""
    assert base_of(0, [], over=False) is None
    assert base_of(0, [], over=True) is None


def test_without_a_training_source_nothing_is_adopted() -> None:
    """A server's account is its own."""
    server = Subject("server:a", "tuner", WorkloadKind.INFERENCE, run="r", running=True)
    stranger = subject("other:a", run="r", running=True)
    assert adopted([]) == adopted([server, stranger]) == {}


def test_who_tells_of_no_run_or_no_training_is_passed_over() -> None:
    """The one run beside them is the workload's all the same."""
    server = Subject("server:a", "tuner", WorkloadKind.INFERENCE, run="x", running=True)
    bare = subject("hf:b", running=True)
    logged = subject("logs:a", run="r", attempt=2, running=True)
    expected = {Account("tuner"): Account("tuner", "", "r", 2)}
    assert adopted([server, bare, logged]) == expected
