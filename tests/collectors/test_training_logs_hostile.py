"""Logs of training as other users can write them: none costs another job its counts."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors import event_files
from tests.collectors.test_training_logs import (
    EVENTS,
    NOW,
    Clock,
    counts,
    hugging_face,
    logs,
    read,
    state,
    write,
)
from unitcost.collectors.base import Problem
from unitcost.collectors.training_logs import MAX_VERSIONS, JobLogs, Options, TrainingLogs
from unitcost.collectors.trainlog.events import MAX_RECORD
from unitcost.collectors.trainlog.folder import LogFile
from unitcost.collectors.trainlog.versions import StateVersion
from unitcost.exporter.gathering.validate import validate


@pytest.fixture
def clock() -> Clock:
    """At `NOW`."""
    return Clock()


@pytest.mark.parametrize(
    ("field", "steps", "kinds"),
    [
        ("global_step", 5, ["corrupt"]),
        ("max_steps", 9, []),
        ("num_input_tokens_seen", 9, []),
    ],
)
def test_a_whole_number_without_end_is_none_there_was(
    clock: Clock, tmp_path: Path, field: str, steps: int, kinds: list[str]
) -> None:
    """JSON sets no limit, and a float has one."""
    collector = logs(clock, tmp_path)
    write(clock, tmp_path / "checkpoint-5" / "trainer_state.json", state(5, 1.0))
    huge = f'{{"global_step": 9, "{field}": 1{"0" * 400}}}'
    write(clock, tmp_path / "checkpoint-9" / "trainer_state.json", huge)
    reading = read(collector)
    assert [problem.kind for problem in reading.problems] == kinds
    assert counts(reading)["steps"] == steps


def test_a_state_with_values_that_are_no_numbers_is_read(clock: Clock, tmp_path: Path) -> None:
    """Python writes NaN and Infinity as they are: the norm of gradients with float16, a loss."""
    text = '{"epoch": 0.5, "global_step": 5, "log_history": [{"grad_norm": NaN}, {"a": -Infinity}]}'
    write(clock, tmp_path / "checkpoint-5" / "trainer_state.json", text)
    reading = read(logs(clock, tmp_path))
    assert reading.problems == ()
    assert counts(reading) == {"steps": 5, "epochs": 0.5}


def test_a_folder_whose_name_is_no_text_costs_itself_alone(clock: Clock, tmp_path: Path) -> None:
    """File names are bytes."""
    collector = logs(clock, tmp_path)
    write(clock, tmp_path / "good" / EVENTS, hugging_face(1))
    for number, data in enumerate((hugging_face(1), b"0" * 64)):
        odd = os.path.join(os.fsencode(tmp_path), b"odd\xff%d" % number)
        os.mkdir(odd)
        with open(os.path.join(odd, EVENTS.encode()), "wb") as file:
            file.write(data)
        os.utime(file.name, (NOW, NOW))
    reading = validate(read(collector))
    assert {problem.kind for problem in reading.problems} == {"corrupt"}
    assert counts(reading) == {"steps": 20, "epochs": 2}


def test_a_file_in_the_place_of_one_that_was_removed_is_read_from_its_start(
    clock: Clock, tmp_path: Path
) -> None:
    """File systems give its number to the next one at once."""
    collector = logs(clock, tmp_path)
    first = tmp_path / EVENTS
    longer = event_files.scalars(NOW, 1, [("train/loss of quite another length", 1.0)])
    write(clock, first, event_files.version(NOW) + longer)
    inode = first.stat().st_ino
    read(collector)
    first.unlink()
    second = tmp_path / EVENTS.replace("host.1", "host.2")
    write(clock, second, hugging_face(3))
    if second.stat().st_ino != inode:
        pytest.skip("this file system does not reuse numbers at once")
    reading = read(collector)
    assert reading.problems == ()
    assert counts(reading) == {"steps": 30, "epochs": 3}


def test_old_folders_do_not_keep_new_ones_out(clock: Clock, tmp_path: Path) -> None:
    """A project gathers hundreds of versions; only those that are being written are followed."""
    row = "epoch,step,train_loss\n0,1,0.5\n"
    for number in range(MAX_VERSIONS + 10):
        write(clock, tmp_path / f"version_{number}" / "metrics.csv", row)
    clock.seconds += 200_000
    collector = logs(clock, tmp_path, run="night")
    assert read(collector).problems == ()
    newest = MAX_VERSIONS + 10
    write(clock, tmp_path / f"version_{newest}" / "metrics.csv", row)
    reading = read(collector)
    assert reading.problems == ()
    (subject,) = reading.subjects
    assert (subject.attempt, subject.running) == (newest, True)


def test_a_job_with_endless_logs_leaves_the_others_their_time(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is the first to be read in its turn."""
    for name in ("a", "b"):
        write(clock, tmp_path / name / EVENTS, event_files.version(NOW))
    jobs = tuple(JobLogs(job=name, path=str(tmp_path / name)) for name in ("a", "b"))
    collector = TrainingLogs(Options(jobs=jobs), clock)
    read(collector)
    write(clock, tmp_path / "b" / EVENTS, hugging_face(1))
    take, spent = TrainingLogs._take, [0.0]

    def slow(self, job, key, file):  # type: ignore[no-untyped-def]
        yield from take(self, job, key, file)
        if job.settings.job == "a":
            spent[0] += 100.0

    monkeypatch.setattr(TrainingLogs, "_take", slow)
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + spent[0])
    told = [counts(collector.collect(time.monotonic() + 5)) for _ in range(2)]
    assert told[-1] == {"steps": 10, "epochs": 1}


HEADER = "epoch,step,train_loss\n"
ROWS = "".join(f"{step // 10},{step},0.5\n" for step in range(30))
BIG = {
    "tensorboard": {f"runs/{EVENTS}": hugging_face(3)},
    "lightning_csv": {"version_0/metrics.csv": (HEADER + ROWS).encode()},
    "pictures": {
        f"runs/{EVENTS}": hugging_face(1)
        + event_files.record(bytes(2 * MAX_RECORD))
        + event_files.record(bytes(2 * MAX_RECORD))
        + hugging_face(3, first=11)
    },
}


@pytest.mark.parametrize("kind", BIG)
def test_logs_that_are_long_are_told_of_when_all_is_read(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """After a restart: less than was told before would be a start anew, and count twice."""
    if kind != "pictures":
        monkeypatch.setattr("unitcost.collectors.trainlog.versions.MAX_READ", 256)
    for name, data in BIG[kind].items():
        write(clock, tmp_path / name, data)
    collector = logs(clock, tmp_path)
    told = [counts(read(collector)) for _ in range(40)]
    assert all(found in ({}, told[-1]) for found in told)
    assert told[0] == {}
    assert told[-1]["steps"] == 30


def test_what_was_written_before_a_damaged_record_counts(clock: Clock, tmp_path: Path) -> None:
    """As it did while the file grew, whether or not the exporter was started anew since."""
    write(clock, tmp_path / EVENTS, hugging_face(1) + b"0" * 64)
    reading = read(logs(clock, tmp_path))
    assert [problem.kind for problem in reading.problems] == ["corrupt"]
    assert counts(reading) == {"steps": 10, "epochs": 1}


def test_logs_that_were_not_all_read_in_time_are_not_told_of(clock: Clock, tmp_path: Path) -> None:
    """Which of a job's checkpoints is its last is not known then."""
    for step in (5, 9):
        write(clock, tmp_path / f"checkpoint-{step}" / "trainer_state.json", state(step, 1.0))
    collector = logs(clock, tmp_path)
    folder = StateVersion.look

    def slow(self: StateVersion, file: LogFile) -> Iterator[Problem]:
        yield from folder(self, file)
        time.sleep(0.2)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StateVersion, "look", slow)
        reading = collector.collect(time.monotonic() + 0.1)
    assert [problem.kind for problem in reading.problems] == ["deadline"]
    assert reading.samples == ()
    assert counts(read(collector))["steps"] == 9


@pytest.mark.parametrize("tag", ["train/epoch", "epoch", "epoch_loss", "loss_epoch"])
@pytest.mark.parametrize("step", [2**53, 2**62, 2**63 - 1])
def test_a_step_beyond_all_counts_is_none(
    clock: Clock, tmp_path: Path, tag: str, step: int
) -> None:
    """Else the reading of all jobs would be refused for it."""
    data = event_files.version(NOW)
    for second in range(1, 6):
        data += event_files.scalars(NOW + second, step - 5 + second, [(tag, 1.0)])
    write(clock, tmp_path / "bad" / EVENTS, data)
    write(clock, tmp_path / "good" / EVENTS, hugging_face(1))
    reading = validate(read(logs(clock, tmp_path)))
    assert {each.value for each in reading.samples if each.subject.endswith("good")} == {1, 10}
