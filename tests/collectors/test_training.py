"""The training collector: state files in, subjects, counters and epoch marks out."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unitcost.collectors.state_files as state_files
import unitcost.collectors.training as training
from unitcost.collectors.base import Context, NoData, Reading
from unitcost.collectors.state_files import Folder, open_folder
from unitcost.collectors.training import Clocks, Options, TrainingCollector, make_collector
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.sample import NS_PER_SECOND, Quantity, Subject

NOW_NS = 1_800_000_000 * NS_PER_SECOND
LATER = {"stalls", "total_epochs", "total_steps"}
"""Fields that records of earlier clients may lack."""
GONE = 2**31 - 1
"""A pid that no process can have: above the kernel's largest."""
BASE: dict[str, Any] = {
    "v": 1,
    "job": "mnist",
    "run": "r1",
    "attempt": 0,
    "rank": 0,
    "local_rank": 0,
    "world_size": 1,
    "local_world_size": None,
    "pid": GONE,
    "pid_started": 123,
    "pid_namespace": None,
    "started_ns": NOW_NS - 600 * NS_PER_SECOND,
    "now_ns": NOW_NS - NS_PER_SECOND,
    "seq": 7,
    "steps": 50,
    "epochs": 2,
    "samples": 1600,
    "tokens": 0,
    "resumed_epoch": 0,
    "resumed_step": 0,
    "epoch_marks": [[1, NOW_NS - 400 * NS_PER_SECOND], [2, NOW_NS - 200 * NS_PER_SECOND]],
    "total_epochs": None,
    "total_steps": None,
    "stalls": {},
    "labels": {},
    "state": "running",
}


def put(folder: Path, name: str = "train-mnist-1-1", **fields: Any) -> Path:
    """Write a state file as the client does: a new file each time."""
    path = folder / f"{name}.json"
    temporary = folder / ".new"
    temporary.write_text(json.dumps({**BASE, **fields}))
    temporary.rename(path)
    return path


def collector(folder: Path, now_ns: int = NOW_NS, **options: Any) -> TrainingCollector:
    """A collector of that folder, at an instant of our choice."""
    clocks = Clocks(wall_ns=lambda: now_ns, mono_ns=lambda: 1000)
    return TrainingCollector(Options(directories=(str(folder),), **options), clocks)


def collect(of: TrainingCollector | Path) -> Reading:
    """One reading, which is also one that the exporter takes."""
    of = collector(of) if isinstance(of, Path) else of
    return validate(of.collect(time.monotonic() + 60))


def only(reading: Reading) -> Subject:
    """Its one subject."""
    (subject,) = reading.subjects
    return subject


def values(reading: Reading) -> dict[tuple[str, Quantity], float]:
    """The samples by subject and quantity."""
    found = {(sample.subject, sample.quantity): sample.value for sample in reading.samples}
    assert len(found) == len(reading.samples)
    return found


def kinds(reading: Reading) -> list[str]:
    """The kinds of its problems."""
    return [problem.kind for problem in reading.problems]


def test_a_state_file_becomes_a_subject_its_counters_and_its_marks(tmp_path: Path) -> None:
    """With the file's name as identity."""
    put(tmp_path)
    reading = collect(tmp_path)
    subject = only(reading)
    assert (subject.id, subject.workload, subject.run) == ("run:train-mnist-1-1", "mnist", "r1")
    assert (subject.kind, subject.hosts, subject.attempt) == ("training", 1, 0)
    assert subject.born_wall_ns == BASE["started_ns"]
    assert (subject.ready, subject.resumed_epoch) == (True, 0)
    assert values(reading) == {
        (subject.id, Quantity.EPOCHS): 2,
        (subject.id, Quantity.STEPS): 50,
        (subject.id, Quantity.SAMPLES): 1600,
    }
    assert [(mark.subject, mark.epoch) for mark in reading.marks] == [
        (subject.id, 1),
        (subject.id, 2),
    ]
    assert {sample.mono_ns for sample in reading.samples} == {1000}
    assert reading.problems == ()


def test_counters_of_a_resumed_process_begin_at_zero(tmp_path: Path) -> None:
    """What an earlier process did is not counted again."""
    mark = [[11, NOW_NS - NS_PER_SECOND]]
    put(tmp_path, steps=530, resumed_step=500, epochs=11, resumed_epoch=10, epoch_marks=mark)
    reading = collect(tmp_path)
    subject = only(reading)
    assert values(reading)[subject.id, Quantity.STEPS] == 30
    assert values(reading)[subject.id, Quantity.EPOCHS] == 1
    assert subject.resumed_epoch == 10
    assert [mark.epoch for mark in reading.marks] == [11]


@pytest.mark.parametrize(
    ("fields", "ready"),
    [
        ({"steps": 9, "resumed_step": 9, "epochs": 1.5, "resumed_epoch": 1.5}, False),
        ({"steps": 10, "resumed_step": 9, "epochs": 1.5, "resumed_epoch": 1.5}, True),
        ({"steps": 0, "epochs": 0.5}, True),
    ],
)
def test_a_run_is_ready_with_its_first_step(
    tmp_path: Path, fields: dict[str, Any], ready: bool
) -> None:
    """Where it resumes is no step."""
    put(tmp_path, epoch_marks=[], **fields)
    assert only(collect(tmp_path)).ready is ready


def test_tokens_are_input_and_are_absent_until_one_is_counted(tmp_path: Path) -> None:
    """Most jobs never count them, which is not the same as zero."""
    put(tmp_path, tokens=4096, samples=0)
    reading = collect(tmp_path)
    (tokens,) = [s for s in reading.samples if s.quantity is Quantity.TOKENS]
    assert (tokens.value, tokens.label) == (4096, "input")
    assert Quantity.SAMPLES not in {sample.quantity for sample in reading.samples}


def test_stalls_are_each_ranks_own_and_only_what_was_measured(tmp_path: Path) -> None:
    """Zero was measured; a kind that is absent was not; one of a later client is passed over."""
    put(tmp_path, "train-mnist-0-1", world_size=2, stalls={"data_loading": 0, "checkpoint": 2.5})
    put(tmp_path, "train-mnist-1-1", world_size=2, rank=1, stalls={"straggler": 7, "coffee": 9})
    reading = collect(tmp_path)
    stalls = [sample for sample in reading.samples if sample.quantity is Quantity.STALL_SECONDS]
    assert {(stall.part, stall.label, stall.value) for stall in stalls} == {
        ("0", "data_loading", 0),
        ("0", "checkpoint", 2.5),
        ("1", "straggler", 7),
    }


def test_a_record_of_an_earlier_client_says_nothing_of_stalls_and_goals(tmp_path: Path) -> None:
    """The fields came later; without them nothing is known, and nothing is refused."""
    record = {key: value for key, value in BASE.items() if key not in LATER}
    (tmp_path / "train-mnist-1-1.json").write_text(json.dumps(record))
    reading = collect(tmp_path)
    assert (only(reading).goal_epochs, only(reading).goal_steps) == (None, None)
    assert Quantity.STALL_SECONDS not in {sample.quantity for sample in reading.samples}


@pytest.mark.parametrize(
    ("epochs", "steps", "goal"),
    [(10, 500, (10, 500)), (2.5, None, (2.5, None)), (0, 0, (None, None))],
)
def test_a_run_says_where_it_resumed_and_where_it_will_end(
    tmp_path: Path, epochs: float, steps: int | None, goal: tuple[float | None, int | None]
) -> None:
    """A goal of nothing is none."""
    put(tmp_path, resumed_step=20, total_epochs=epochs, total_steps=steps)
    subject = only(collect(tmp_path))
    assert (subject.goal_epochs, subject.goal_steps) == goal
    assert subject.resumed_step == 20


def test_rank_0_counts_epochs_and_steps_and_every_rank_its_own_samples(tmp_path: Path) -> None:
    """Eight ranks do not make eight epochs of one."""
    for rank in range(4):
        name = f"train-mnist-{rank}-1"
        put(tmp_path, name, rank=rank, local_rank=rank, world_size=4, local_world_size=4)
    reading = collect(tmp_path)
    by_quantity: dict[Quantity, list[tuple[float, str]]] = {}
    for sample in reading.samples:
        by_quantity.setdefault(sample.quantity, []).append((sample.value, sample.part))
    assert by_quantity == {
        Quantity.EPOCHS: [(2, "0")],
        Quantity.STEPS: [(50, "0")],
        Quantity.SAMPLES: [(1600, "0"), (1600, "1"), (1600, "2"), (1600, "3")],
    }
    assert {mark.subject for mark in reading.marks} == {"run:train-mnist-0-1"}
    assert {subject.hosts for subject in reading.subjects} == {1}


def test_a_host_without_rank_0_counts_no_epoch_but_cuts_at_its_lowest_ranks_marks(
    tmp_path: Path,
) -> None:
    """The host of rank 0 counts them; here its part of each epoch's cost is kept."""
    for rank in (5, 4, None):
        put(tmp_path, f"train-mnist-{rank}-1", rank=rank, local_rank=None, world_size=8)
    reading = collect(tmp_path)
    assert {sample.quantity for sample in reading.samples} == {Quantity.SAMPLES}
    assert {mark.subject for mark in reading.marks} == {"run:train-mnist-4-1"}


@pytest.mark.parametrize(
    ("ranks", "fields", "hosts"),
    [
        ([0], {"world_size": 16, "local_world_size": 8}, 2),
        ([0], {"world_size": 9, "local_world_size": 8}, 2),
        ([0], {"world_size": 8, "local_world_size": 8}, 1),
        ([0, 1, 2, 3], {"world_size": 8}, 2),
        ([0, 1, 2, 3], {"world_size": 4}, 1),
        ([0, 2, 3], {"world_size": 8}, 1),
        ([0], {"world_size": 8}, 1),
        ([None], {"world_size": 8}, 1),
    ],
)
def test_the_hosts_of_a_run_are_its_size_by_this_hosts(
    tmp_path: Path, ranks: list[int | None], fields: dict[str, Any], hosts: int
) -> None:
    """As the launcher said, else by the local ranks seen; 1 where nothing tells."""
    for rank in ranks:
        put(tmp_path, f"train-mnist-{rank}-1", rank=rank, local_rank=rank, **fields)
    assert {subject.hosts for subject in collect(tmp_path).subjects} == {hosts}


CHILD = """
import unitcost_client
from unitcost_client import _run
_run.EPOCH_WAIT = _run.EXIT_WAIT = 60
run = unitcost_client.start('real', run='r')
run.step(5)
run.epoch()
print('ready', flush=True)
input()
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A real training process that has done an epoch and waits."""
    pytest.importorskip("unitcost_client")
    env = {"UNITCOST_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-I", "-c", CHILD]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_living_process_is_seen_running(child: subprocess.Popen[str], tmp_path: Path) -> None:
    """With the pid and start by which the host's processes are told apart."""
    subject = only(collect(collector(tmp_path, time.time_ns())))
    assert (subject.running, subject.failed, subject.ready) == (True, False, True)
    assert subject.pid == child.pid
    started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    assert subject.started == int(started)


def test_an_ended_process_keeps_its_totals(child: subprocess.Popen[str], tmp_path: Path) -> None:
    """It runs no more, and did not fail."""
    child.communicate("\n")
    reading = collect(collector(tmp_path, time.time_ns()))
    subject = only(reading)
    assert (subject.running, subject.failed) == (False, False)
    assert values(reading)[subject.id, Quantity.STEPS] == 5


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "zombie"])
def test_a_killed_process_has_failed_after_three_missed_writes(
    child: subprocess.Popen[str], tmp_path: Path, reaped: bool
) -> None:
    """Until then its last word may be on its way; it keeps its totals."""
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    if reaped:
        child.wait()
    (path,) = tmp_path.glob("*.json")
    said_ns = int(json.loads(path.read_bytes())["now_ns"])
    early = only(collect(collector(tmp_path, said_ns + 2 * NS_PER_SECOND)))
    assert (early.running, early.failed) == (False, False)
    late = collect(collector(tmp_path, said_ns + 3 * NS_PER_SECOND))
    assert (only(late).running, only(late).failed) == (False, True)
    assert values(late)[only(late).id, Quantity.EPOCHS] == 1


def fake_process(root: Path, pid: int, started: int) -> None:
    """A /proc with one process in it, whose name is made to mislead."""
    fields = ["S", *["0"] * 18, str(started), "0", "0"]
    (root / str(pid)).mkdir(parents=True)
    (root / str(pid) / "stat").write_text(f"{pid} (a) S 1 (b) {' '.join(fields)}\n")


@pytest.mark.parametrize(("started", "running"), [(123, True), (124, False)])
def test_a_reused_pid_is_another_process(tmp_path: Path, started: int, running: bool) -> None:
    """The start time tells them apart."""
    put(tmp_path, pid=77)
    fake_process(tmp_path / "proc", 77, started)
    subject = only(collect(collector(tmp_path, procfs=str(tmp_path / "proc"))))
    assert subject.running is running


@pytest.mark.parametrize("fields", [{"pid_namespace": 1}, {"pid_started": None}])
def test_a_pid_that_means_nothing_here_is_not_used(tmp_path: Path, fields: dict[str, Any]) -> None:
    """In another container a pid says nothing: neither alive nor dead, and no claim on ours."""
    put(tmp_path, pid=os.getpid(), **fields)
    subject = only(collect(tmp_path))
    assert (subject.running, subject.failed) == (None, False)
    assert (subject.pid, subject.started) == (None, None)


def test_a_process_that_said_it_failed_has_failed(tmp_path: Path) -> None:
    """At once."""
    put(tmp_path, state="failed")
    assert (only(collect(tmp_path)).failed, only(collect(tmp_path)).running) == (True, False)


def test_a_birth_in_the_future_proves_nothing(tmp_path: Path) -> None:
    """Somebody's clock is wrong; the counters are used as those of an unknown past."""
    put(tmp_path, started_ns=NOW_NS + 1)
    assert only(collect(tmp_path)).born_wall_ns is None


def test_old_files_of_processes_that_are_gone_are_left_out(tmp_path: Path) -> None:
    """And stay where they are: removing them is their owner's business."""
    old = NOW_NS - 3601 * NS_PER_SECOND
    fake_process(tmp_path / "proc", 77, 123)
    put(tmp_path, "train-dead-1-1", now_ns=old)
    put(tmp_path, "train-ended-1-1", now_ns=old, pid=77, state="ended")
    put(tmp_path, "train-unknown-1-1", now_ns=old, pid_started=None)
    put(tmp_path, "train-alive-1-1", now_ns=old, pid=77)
    put(tmp_path, "train-young-1-1", now_ns=old + NS_PER_SECOND)
    reading = collect(collector(tmp_path, retire_after=3600, procfs=str(tmp_path / "proc")))
    assert {subject.id for subject in reading.subjects} == {
        "run:train-alive-1-1",
        "run:train-young-1-1",
    }
    assert len(list(tmp_path.glob("*.json"))) == 5


def test_marks_of_runs_long_over_are_not_repeated_for_ever(tmp_path: Path) -> None:
    """An hour after the end everyone has had them."""
    put(tmp_path, now_ns=NOW_NS - training.MARKS_KEPT_NS)
    reading = collect(tmp_path)
    assert len(reading.subjects) == 1
    assert reading.marks == ()


def test_a_reading_never_has_more_marks_than_the_exporter_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest are kept, and it is said."""
    monkeypatch.setattr(training, "MAX_MARKS", 3)
    for number in range(2):
        put(tmp_path, f"train-mnist-{number}-1", run=f"r{number}")
    reading = collect(tmp_path)
    assert [mark.epoch for mark in reading.marks] == [1, 2, 2]
    assert kinds(reading) == ["too_many_marks"]


def test_nothing_to_read_is_said_as_such(tmp_path: Path) -> None:
    """No folder, or no file in it: no error."""
    missing = collector(tmp_path / "missing")
    with pytest.raises(NoData, match="there is no "):
        missing.collect(time.monotonic() + 60)
    (tmp_path / "notes.txt").write_text("no state file")
    (tmp_path / ".train-mnist-1-1.json.tmp").write_text("{}")
    with pytest.raises(NoData, match="no state file in "):
        collector(tmp_path).collect(time.monotonic() + 60)


def test_a_file_that_two_folders_have_counts_once(tmp_path: Path) -> None:
    """One folder may be mounted in two places."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        put(tmp_path / name)
    folders = (str(tmp_path / "one"), str(tmp_path / "two"))
    reading = TrainingCollector(Options(directories=folders)).collect(time.monotonic() + 60)
    assert len(reading.subjects) == 1


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    """It is known by inode, time and size; one that does change is read."""
    path = put(tmp_path, steps=50)
    stamp = path.stat().st_mtime_ns - 100 * NS_PER_SECOND
    os.utime(path, ns=(stamp, stamp))
    of = collector(tmp_path)
    assert values(collect(of))["run:train-mnist-1-1", Quantity.STEPS] == 50
    path.write_text(json.dumps({**BASE, "steps": 60}))
    os.utime(path, ns=(stamp, stamp))
    assert values(collect(of))["run:train-mnist-1-1", Quantity.STEPS] == 50
    put(tmp_path, steps=70)
    assert values(collect(of))["run:train-mnist-1-1", Quantity.STEPS] == 70


def test_a_file_written_a_moment_ago_is_read_again(tmp_path: Path) -> None:
    """Two writes in one tick of the file system's clock look the same from outside."""
    path = put(tmp_path, steps=50)
    stamp = path.stat().st_mtime_ns
    of = collector(tmp_path)
    collect(of)
    path.write_text(json.dumps({**BASE, "steps": 60}))
    os.utime(path, ns=(stamp, stamp))
    assert values(collect(of))["run:train-mnist-1-1", Quantity.STEPS] == 60


def test_after_the_deadline_what_is_known_is_used(tmp_path: Path) -> None:
    """Late is better than wrong: nothing vanishes, and it is said."""
    put(tmp_path, "train-known-1-1", steps=50)
    of = collector(tmp_path)
    collect(of)
    put(tmp_path, "train-known-1-1", steps=60)
    put(tmp_path, "train-new-1-1")
    reading = of.collect(time.monotonic() - 1)
    assert values(reading)["run:train-known-1-1", Quantity.STEPS] == 50
    assert len(reading.subjects) == 1
    assert set(kinds(reading)) == {"deadline"}


BAD_FIELDS: list[dict[str, Any]] = [
    {"v": 2},
    {"v": None},
    {"job": ""},
    {"job": " \t"},
    {"job": 7},
    {"job": "x" * 600},
    {"run": None},
    {"attempt": -1},
    {"attempt": 1.5},
    {"rank": 1},
    {"rank": -1},
    {"world_size": 0},
    {"pid": 0},
    {"pid": True},
    {"steps": -1},
    {"steps": 2**53},
    {"steps": "7"},
    {"epochs": -0.5},
    {"epochs": float("nan")},
    {"epochs": float("inf")},
    {"epochs": 2.0**60},
    {"samples": -1},
    {"tokens": None},
    {"resumed_step": 51},
    {"resumed_epoch": 2.5},
    {"resumed_epoch": 1},
    {"started_ns": 0},
    {"now_ns": 2**63},
    {"epoch_marks": [[1, 5], [1, 6]]},
    {"epoch_marks": [[2, 5], [1, 6]]},
    {"epoch_marks": [[3, 5]]},
    {"epoch_marks": [[1]]},
    {"epoch_marks": [[1, 5, 6]]},
    {"epoch_marks": [[1, -5]]},
    {"epoch_marks": [[i / 64, 5] for i in range(1, 66)]},
    {"epoch_marks": None},
    {"state": "paused"},
    {"total_epochs": -1},
    {"total_epochs": float("nan")},
    {"total_steps": 0.5},
    {"total_steps": 2**53},
    {"stalls": None},
    {"stalls": []},
    {"stalls": {"checkpoint": -0.1}},
    {"stalls": {"checkpoint": "3"}},
    {"stalls": {"straggler": float("inf")}},
    {"stalls": {"data_loading": 1e300}},
]


@pytest.mark.parametrize("fields", BAD_FIELDS, ids=str)
def test_a_record_that_is_not_as_described_is_refused_whole(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    """And the good one beside it is used."""
    put(tmp_path, "train-bad-1-1", **fields)
    put(tmp_path, "train-good-1-1")
    reading = collect(tmp_path)
    assert only(reading).id == "run:train-good-1-1"
    assert kinds(reading) == ["invalid"]


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"{" * 60_000, b"[" * 60_000, b'{"v":1', b"1e999"],
    ids=lambda data: repr(data[:8]),
)
def test_what_is_no_record_at_all_is_refused(tmp_path: Path, data: bytes) -> None:
    """Each time it is read: a bad file stays a bad file."""
    (tmp_path / "train-bad-1-1.json").write_bytes(data)
    of = collector(tmp_path)
    for _ in range(2):
        assert kinds(collect(of)) == ["invalid"]


def test_fields_of_a_later_client_are_passed_over(tmp_path: Path) -> None:
    """Version 1 may grow."""
    put(tmp_path, loss=0.3, nested={"a": [1]})
    assert only(collect(tmp_path)).id == "run:train-mnist-1-1"


def test_links_pipes_folders_and_giants_are_not_opened(tmp_path: Path) -> None:
    """A folder that many may write to holds whatever they like."""
    state = tmp_path / "state"
    state.mkdir()
    outside = put(tmp_path, "train-outside-1-1")
    (state / "train-link-1-1.json").symlink_to(outside)
    (state / "train-dangling-1-1.json").symlink_to("/nowhere")
    (state / "train-folder-1-1.json").mkdir()
    os.mkfifo(state / "train-pipe-1-1.json")
    with (state / "train-giant-1-1.json").open("wb") as giant:
        giant.truncate(1 << 40)
    put(state, "train-good-1-1")
    reading = collect(state)
    assert only(reading).id == "run:train-good-1-1"
    assert sorted(kinds(reading)) == ["not_a_file"] * 4 + ["too_large"]


def test_a_link_put_in_place_after_the_listing_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check and the opening are not one step; the opening alone must be safe."""
    outside = put(tmp_path, "train-outside-1-1")
    state = tmp_path / "state"
    state.mkdir()
    path = put(state)
    listed = state_files._bytes_of

    def swapped(name: str, descriptor: int) -> bytes:
        path.unlink()
        path.symlink_to(outside)
        return listed(name, descriptor)

    monkeypatch.setattr(state_files, "_bytes_of", swapped)
    reading = collect(state)
    assert reading.subjects == ()
    assert kinds(reading) == ["unreadable"]


def test_a_file_that_grew_after_the_listing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read than is allowed."""
    path = put(tmp_path)
    listed = state_files._bytes_of

    def grown(name: str, descriptor: int) -> bytes:
        path.write_bytes(json.dumps(BASE).encode() + b" " * (1 << 20))
        data = listed(name, descriptor)
        assert len(data) == state_files.MAX_BYTES + 1
        return data

    monkeypatch.setattr(state_files, "_bytes_of", grown)
    assert kinds(collect(tmp_path)) == ["invalid"]


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    """It is somebody else's and he keeps it to himself."""
    if os.geteuid() == 0:
        pytest.skip("root may read anything")
    put(tmp_path).chmod(0)
    assert kinds(collect(tmp_path)) == ["unreadable"]


def test_a_folder_that_is_a_file_is_reported(tmp_path: Path) -> None:
    """The others are read all the same."""
    (tmp_path / "file").write_text("")
    put(tmp_path)
    options = Options(directories=(str(tmp_path / "file"), str(tmp_path)))
    reading = make_collector(options, Context()).collect(time.monotonic() + 60)
    assert len(reading.subjects) == 1
    assert kinds(reading) == ["folder"]


def test_of_too_many_files_the_newest_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In all folders together."""
    monkeypatch.setattr(state_files, "MAX_FILES", 3)
    for number in range(5):
        path = put(tmp_path, f"train-mnist-{number}-1", run=f"r{number}")
        os.utime(path, (1000 + number, 1000 + number))
    reading = collect(tmp_path)
    assert {subject.run for subject in reading.subjects} == {"r2", "r3", "r4"}
    assert kinds(reading) == ["too_many"]


@pytest.mark.parametrize("level", ["unitcost-7", "unitcost-7/train"])
def test_a_users_folder_must_be_his_and_no_link(tmp_path: Path, level: str) -> None:
    """Anyone may make names under /tmp."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "train").mkdir(parents=True)
    (tmp_path / level).parent.mkdir(exist_ok=True)
    (tmp_path / level).symlink_to(elsewhere)
    folder = Folder(f"{tmp_path}/unitcost-7/train", os.geteuid())
    with pytest.raises(OSError), open_folder(folder):  # noqa: PT011 - the kernel chooses which
        pass


def test_a_users_folder_that_is_another_users_is_refused(tmp_path: Path) -> None:
    """Whatever lies in it."""
    (tmp_path / "unitcost-7/train").mkdir(parents=True)
    path = f"{tmp_path}/unitcost-7/train"
    with open_folder(Folder(path, os.geteuid())):
        pass
    with pytest.raises(PermissionError), open_folder(Folder(path, os.geteuid() + 1)):
        pass


def test_by_default_it_reads_where_the_client_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For root that is every user's folder, each of which must be that user's."""
    for name in ("unitcost-0", "unitcost-1000", "unitcost-x", "unitcost-", "other", "unitcost-٣"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(training, "TEMPORARY", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    env = {"UNITCOST_STATE_DIR": "/named", "XDG_RUNTIME_DIR": "/run/user/1000"}
    assert training.default_folders(env) == (
        Folder("/named"),
        Folder("/run/unitcost/train"),
        Folder("/run/user/1000/unitcost/train", 1000),
        Folder(f"{tmp_path}/unitcost-1000/train", 1000),
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = training.default_folders({})
    assert Folder(f"{tmp_path}/unitcost-0/train", 0) in found
    assert Folder(f"{tmp_path}/unitcost-1000/train", 1000) in found
    assert {folder.owner for folder in found if folder.path.startswith(str(tmp_path))} == {0, 1000}


def test_the_client_and_the_collector_agree_on_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of its folders the client takes, the collector looks there."""
    client = pytest.importorskip("unitcost_client._folder")
    monkeypatch.setattr(client, "SYSTEM", str(tmp_path / "system"))
    monkeypatch.setattr(training, "SYSTEM_FOLDER", str(tmp_path / "system"))
    (tmp_path / "runtime").mkdir()
    named = {"UNITCOST_STATE_DIR": str(tmp_path / "named")}
    for env in (named, {"XDG_RUNTIME_DIR": str(tmp_path / "runtime")}, {}):
        paths = [folder.path for folder in training.default_folders(env)]
        assert client.choose_folder(env).path in paths
    (tmp_path / "system").mkdir()
    assert client.choose_folder({}).path in [f.path for f in training.default_folders({})]


NUMBERS = st.one_of(
    st.integers(-5, 70), st.integers(), st.floats(), st.just(2**53 - 1), st.just(2**63 - 1)
)
VALUES = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    st.text(max_size=200),
    st.sampled_from(["running", "ended", "failed", "__unallocated__", "\udcff", " "]),
    st.lists(st.lists(NUMBERS, max_size=3), max_size=70),
    st.dictionaries(st.text(max_size=5), NUMBERS, max_size=3),
)
MUTATED = st.dictionaries(st.sampled_from(sorted(BASE)), VALUES, max_size=4)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], Reading]:
    """Puts bytes into a state file and collects it, beside a good one."""
    folder = tmp_path_factory.mktemp("fuzz")
    put(folder, "train-good-1-1")
    of = collector(folder, retire_after=1e12)

    def read(data: bytes) -> Reading:
        (folder / ".new").write_bytes(data)
        (folder / ".new").rename(folder / "train-fuzz-1-1.json")
        reading = collect(of)
        assert "run:train-good-1-1" in {subject.id for subject in reading.subjects}
        assert len(reading.subjects) + len(reading.problems) == 2
        return reading

    return read


@given(changes=MUTATED)
def test_no_mutated_record_gets_past_the_collector(
    fuzzed: Callable[[bytes], Reading], changes: dict[str, Any]
) -> None:
    """It is a good subject or a problem; never an exception, never a number below zero."""
    fuzzed(json.dumps({**BASE, **changes}).encode())


@given(data=st.data())
def test_no_broken_bytes_get_past_the_collector(
    fuzzed: Callable[[bytes], Reading], data: st.DataObject
) -> None:
    """Cut, overwritten, doubled, or junk from the start."""
    good = json.dumps(BASE).encode()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    junk = data.draw(st.binary(max_size=40) | st.sampled_from([b"-", b"1e400", b"NaN", b"\\ud800"]))
    fuzzed(data.draw(st.sampled_from([good[:start] + junk + good[end:], good[:end], junk])))
