"""Logs of training: files as the frameworks write them, as they grow, cut off and damaged."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collectors import event_files
from unitcost.collectors.base import Context, NoData, Reading
from unitcost.collectors.training_logs import JobLogs, Options, TrainingLogs, make_collector
from unitcost.collectors.trainlog.events import (
    MAX_RECORD,
    Corrupt,
    EventFile,
    Scalar,
    masked_crc,
    parse_event,
)
from unitcost.collectors.trainlog.folder import MAX_ENTRIES
from unitcost.pricing.sample import NS_PER_SECOND, Subject

NOW = 1_800_000_000.0
EVENTS = f"events.out.tfevents.{int(NOW)}.host.1.0"


class Clock:
    """Wall time that stands until it is moved; files are made to be of it."""

    def __init__(self) -> None:
        self.seconds = NOW

    def __call__(self) -> int:
        return int(self.seconds * NS_PER_SECOND)


@pytest.fixture
def clock() -> Clock:
    """At `NOW`."""
    return Clock()


def logs(clock: Clock, path: Path, **options: Any) -> TrainingLogs:
    """The collector of one job."""
    job = JobLogs(job="tuner", path=str(path), **options)
    return TrainingLogs(Options(jobs=(job,)), clock)


def read(collector: TrainingLogs) -> Reading:
    """A reading."""
    return collector.collect(time.monotonic() + 5)


def counts(reading: Reading) -> dict[str, float]:
    """What was counted, by quantity, of all subjects together."""
    found: dict[str, float] = {}
    for sample in reading.samples:
        name = sample.quantity.value
        found[name] = found.get(name, 0) + sample.value
    return found


def write(clock: Clock, path: Path, data: bytes | str) -> None:
    """Write a file now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    os.utime(path, (clock.seconds, clock.seconds))


def hugging_face(epochs: int, steps: int = 10, seconds: float = 5.0, first: int = 1) -> bytes:
    """What the Trainer writes: a log after each step, with the epoch as it then is."""
    data = event_files.version(NOW)
    for step in range(first, epochs * steps + 1):
        wall = NOW + (step - first + 1) * seconds / steps
        values = [("train/loss", 1.0), ("train/epoch", step / steps)]
        for value in values:
            data += event_files.scalars(wall, step, [value])
    return data


def test_nothing_is_read_where_no_job_is_configured() -> None:
    """As it comes."""
    with pytest.raises(NoData):
        make_collector(Options(), Context()).collect(0)


def test_the_trainers_events(clock: Clock, tmp_path: Path) -> None:
    """Steps and epochs as its state has them; marks where epochs ended."""
    data = hugging_face(3)
    write(clock, tmp_path / "runs" / "Aug01" / EVENTS, data)
    clock.seconds += 20
    reading = read(logs(clock, tmp_path))
    assert counts(reading) == {"steps": 30, "epochs": 3}
    expected = [(epoch, int((NOW + 5 * epoch) * NS_PER_SECOND)) for epoch in (1.0, 2.0, 3.0)]
    assert [(mark.epoch, mark.wall_ns) for mark in reading.marks] == expected
    (subject,) = reading.subjects
    assert (subject.workload, subject.run, subject.pid) == ("tuner", "logs-runs/Aug01", None)
    assert subject.born_wall_ns == int(NOW * NS_PER_SECOND)
    assert subject.running
    assert reading.problems == ()


def test_a_file_is_followed_as_it_grows(clock: Clock, tmp_path: Path) -> None:
    """Wherever it is cut off, a part of a record waits for the rest."""
    data = hugging_face(2)
    collector, seen = logs(clock, tmp_path), []
    for end in range(0, len(data), 97):
        write(clock, tmp_path / EVENTS, data[:end])
        clock.seconds += 0.01
        reading = read(collector)
        assert reading.problems == ()
        seen.append(counts(reading).get("steps", 0.0))
    write(clock, tmp_path / EVENTS, data)
    assert counts(read(collector)) == {"steps": 20, "epochs": 2}
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


def test_a_resumed_run_counts_what_it_does_itself(clock: Clock, tmp_path: Path) -> None:
    """It has more at its first record than it can have done by then: that is shown first."""
    write(clock, tmp_path / EVENTS, hugging_face(60, first=501))
    collector = logs(clock, tmp_path)
    first, second = counts(read(collector)), counts(read(collector))
    assert 499 <= first["steps"] <= 501
    assert second == {"steps": 600, "epochs": 60}
    (subject,) = read(collector).subjects
    assert subject.born_wall_ns is None


def test_lightnings_events(clock: Clock, tmp_path: Path) -> None:
    """`epoch` and `step` say what is under way; a metric of the whole epoch says it is done."""
    data = event_files.version(NOW)
    for step in range(6):
        wall = NOW + step + 1
        data += event_files.scalars(wall, step, [("train_loss_step", 1.0)])
        data += event_files.scalars(wall, step, [("epoch", step // 3)])
        if step % 3 == 2:
            data += event_files.scalars(wall, step, [("val_loss_epoch", 1.0)])
            data += event_files.scalars(wall, step, [("epoch", step // 3)])
            data += event_files.scalars(wall, step, [("train_loss_epoch", 1.0)])
            data += event_files.scalars(wall, step, [("epoch", step // 3)])
    write(clock, tmp_path / "version_0" / EVENTS, data)
    assert counts(read(logs(clock, tmp_path))) == {"steps": 6, "epochs": 2}


def test_keras_events(clock: Clock, tmp_path: Path) -> None:
    """The step is the epoch, from 0; what is in `validation` is of the same training."""
    data = event_files.version(NOW)
    for epoch in range(4):
        data += event_files.scalars(NOW + epoch + 1, epoch, [("epoch_loss", 1.0)])
    write(clock, tmp_path / "train" / EVENTS, data)
    write(clock, tmp_path / "validation" / EVENTS, data)
    assert counts(read(logs(clock, tmp_path))) == {"epochs": 4}


HEADER = "epoch,step,train_loss,train_loss_epoch,val_loss\n"


def test_lightnings_csv(clock: Clock, tmp_path: Path) -> None:
    """A row says what is under way; one with a metric of the whole epoch, that it is done."""
    (tmp_path / "logs").mkdir()
    collector = logs(clock, tmp_path)
    read(collector)
    clock.seconds += 5
    path, text = tmp_path / "logs" / "version_0" / "metrics.csv", HEADER
    text += "0,0,1.0,,\n0,1,0.9,,\n0,1,,,0.5\n0,1,,0.95,\n"
    write(clock, path, text + "1,2,0.8")
    reading = read(collector)
    assert counts(reading) == {"steps": 2, "epochs": 1}
    assert [mark.epoch for mark in reading.marks] == [1]
    assert reading.subjects[0].born_wall_ns == int(NOW * NS_PER_SECOND)
    clock.seconds += 5
    write(clock, path, text + "1,2,0.8,,\n1,3,,0.75,\n")
    reading = read(collector)
    assert counts(reading) == {"steps": 4, "epochs": 2}
    wider = text.replace("val_loss\n", "val_loss,lr\n") + "1,2,0.8,,,1\n1,3,,0.75,,\n2,4,1,,,1\n"
    clock.seconds += 5
    write(clock, path, wider)
    assert counts(read(collector)) == {"steps": 5, "epochs": 2}


def test_csv_that_was_there_before_us_is_a_baseline(clock: Clock, tmp_path: Path) -> None:
    """Nobody knows when it began."""
    write(clock, tmp_path / "version_0" / "metrics.csv", HEADER + "3,7,1,,\n")
    reading = read(logs(clock, tmp_path))
    assert counts(reading) == {"steps": 8, "epochs": 3}
    assert reading.subjects[0].born_wall_ns is None


def state(step: int, epoch: float, **more: Any) -> str:
    """What the Trainer saves with a checkpoint."""
    return json.dumps({"global_step": step, "epoch": epoch, "log_history": [{"x": 1}], **more})


def test_checkpoints(clock: Clock, tmp_path: Path) -> None:
    """The subject is there before the first one: that one counts from zero."""
    collector = logs(clock, tmp_path)
    before = read(collector)
    assert [subject.id for subject in before.subjects] == ["logs:tuner/trainer_state/"]
    assert before.samples == ()
    goals = {"max_steps": 1000, "num_train_epochs": 2, "num_input_tokens_seen": 777}
    write(clock, tmp_path / "checkpoint-500" / "trainer_state.json", state(500, 1.0, **goals))
    reading = read(collector)
    assert counts(reading) == {"steps": 500, "epochs": 1, "tokens": 777}
    (subject,) = reading.subjects
    assert subject.id == before.subjects[0].id
    assert (subject.goal_steps, subject.goal_epochs) == (1000, 2)
    clock.seconds += 100
    write(clock, tmp_path / "checkpoint-1000" / "trainer_state.json", state(1000, 2.0, **goals))
    reading = read(collector)
    assert counts(reading)["steps"] == 1000
    assert (reading.marks[-1].epoch, reading.marks[-1].wall_ns) == (2, clock())


def test_several_formats_of_one_training_count_once(clock: Clock, tmp_path: Path) -> None:
    """Of those that tell of progress, the first in the order that is documented."""
    write(clock, tmp_path / "runs" / "a" / EVENTS, hugging_face(3))
    write(clock, tmp_path / "checkpoint-30" / "trainer_state.json", state(30, 3.0))
    clock.seconds += 20
    assert counts(read(logs(clock, tmp_path))) == {"steps": 30, "epochs": 3}
    only = logs(clock, tmp_path, format="trainer_state")
    assert [subject.id for subject in read(only).subjects] == ["logs:tuner/trainer_state/"]


def test_another_folder_is_another_attempt_of_a_named_run(clock: Clock, tmp_path: Path) -> None:
    """Version 10 comes after version 2."""
    for number in (0, 2, 10):
        row = f"0,{number},1,,\n"
        write(clock, tmp_path / f"version_{number}" / "metrics.csv", HEADER + row)
    subjects = read(logs(clock, tmp_path, run="night")).subjects
    assert {(s.run, s.attempt, s.id.rpartition("/")[2]) for s in subjects} == {
        ("night", 0, "version_0"),
        ("night", 1, "version_2"),
        ("night", 2, "version_10"),
    }


def test_a_silent_run_is_over_and_then_left_out(clock: Clock, tmp_path: Path) -> None:
    """By the time of its last word."""
    write(clock, tmp_path / "version_0" / "metrics.csv", HEADER + "0,1,1,,\n")
    collector = logs(clock, tmp_path)

    def there() -> list[Subject]:
        return [each for each in read(collector).subjects if "csv" in each.id]

    assert [subject.running for subject in there()] == [True]
    clock.seconds += 3601
    assert [subject.running for subject in there()] == [False]
    clock.seconds += 86_400
    assert there() == []


def test_links_and_odd_files_are_left_alone(clock: Clock, tmp_path: Path) -> None:
    """Nothing outside of the folder is read, and nothing that is no regular file."""
    outside = tmp_path / "outside"
    write(clock, outside / EVENTS, hugging_face(3))
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / EVENTS).symlink_to(outside / EVENTS)
    os.mkfifo(inside / "metrics.csv")
    deep = inside / "1" / "2" / "3" / "4" / "5"
    write(clock, deep / EVENTS, hugging_face(3))
    reading = read(logs(clock, inside))
    assert reading.samples == ()
    assert reading.problems == ()


def test_too_many_names_are_a_problem(clock: Clock, tmp_path: Path) -> None:
    """Counted, and the rest is read."""
    for number in range(MAX_ENTRIES + 1):
        (tmp_path / f"{number}").touch()
    assert [problem.kind for problem in read(logs(clock, tmp_path)).problems] == ["too_many"]


def test_a_folder_that_is_not_there_is_a_problem(clock: Clock, tmp_path: Path) -> None:
    """It may come."""
    collector = logs(clock, tmp_path / "later")
    reading = read(collector)
    assert [problem.kind for problem in reading.problems] == ["folder"]
    assert reading.subjects == ()
    write(clock, tmp_path / "later" / EVENTS, hugging_face(1))
    assert counts(read(collector))["steps"] == 10


@pytest.mark.parametrize("name", ["trainer_state.json", "metrics.csv", EVENTS])
@given(data=st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_any_bytes_may_be_in_a_file(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    """Problems at most; nothing that cannot be is counted."""
    clock, folder = Clock(), tmp_path_factory.mktemp("any")
    write(clock, folder / name, data)
    collector = logs(clock, folder)
    for _ in range(2):
        for sample in read(collector).samples:
            assert 0 <= sample.value < 2**53


@given(place=st.integers(0), bit=st.integers(0, 7))
@settings(max_examples=200, deadline=None)
def test_damage_is_found_out(place: int, bit: int) -> None:
    """Of any bit of small records: what is before it counts, what is behind it does not."""
    data = bytearray(hugging_face(1, steps=3))
    place %= len(data)
    whole = EventFile().feed(bytes(data))
    data[place] ^= 1 << bit
    file = EventFile()
    with pytest.raises(Corrupt):
        file.feed(bytes(data))
    assert file.offset <= place
    before = EventFile().feed(bytes(data[: file.offset]))
    assert before == whole[: len(before)]


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_may_be_an_event(data: bytes) -> None:
    """Scalars, or Corrupt."""
    try:
        _, found = parse_event(data)
    except Corrupt:
        return
    assert all(type(scalar) is Scalar for scalar in found)


@given(st.binary(max_size=64))
def test_the_checksum_is_the_reference(data: bytes) -> None:
    """And that of RFC 3720, B.4, is right."""
    assert masked_crc(data) == int.from_bytes(event_files.masked(data), "little")
    assert event_files.crc32c(bytes(32)) == 0x8A9136AA


def test_long_records_are_skipped() -> None:
    """Pictures, mostly: the next record counts."""
    size = MAX_RECORD + 1
    length = size.to_bytes(8, "little")
    head = length + event_files.masked(length)
    behind = event_files.scalars(NOW, 7, [("train/epoch", 1.0)])
    file = EventFile()
    assert file.feed(head) == []
    assert file.offset == size + 16
    assert [scalar.step for scalar in file.feed(behind)] == [7]
