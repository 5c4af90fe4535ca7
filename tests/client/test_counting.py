"""What is counted, and what becomes of values that cannot be counted."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unitcost_client
from unitcost.collectors.state_files import decode

Records = Callable[[], list[dict[str, Any]]]
Eventually = Callable[[Callable[[], bool]], None]


def one(records: Records) -> dict[str, Any]:
    """The only record there is."""
    (record,) = records()
    return record


def test_a_run_counts_steps_samples_tokens_and_epochs(records: Records) -> None:
    """All sums are in the last record."""
    run = unitcost_client.start("mnist", total_epochs=3, total_steps=30)
    for _ in range(3):
        for _ in run.steps(range(10)):
            pass
        run.step(0, samples=320, tokens=1000)
        run.epoch()
    run.end()
    record = one(records)
    assert (record["steps"], record["samples"], record["tokens"]) == (30, 960, 3000)
    assert (record["epochs"], record["total_epochs"], record["total_steps"]) == (3, 3, 30)
    assert [epoch for epoch, _ in record["epoch_marks"]] == [1, 2, 3]
    assert record["state"] == "ended"


def test_marks_tell_when_each_epoch_ended(records: Records) -> None:
    """Between the instants before and after the call."""
    run = unitcost_client.start("mnist")
    before = time.time_ns()
    run.epoch()
    after = time.time_ns()
    run.end()
    ((epoch, wall_ns),) = one(records)["epoch_marks"]
    assert epoch == 1
    assert before <= wall_ns <= after


def test_an_epoch_is_on_disk_when_the_call_returns(records: Records) -> None:
    """Whatever happens to the process next, the epoch has been counted."""
    run = unitcost_client.start("mnist")
    for epoch in range(1, 6):
        run.epoch()
        assert one(records)["epochs"] == epoch
    run.end()


def test_only_the_last_64_marks_are_kept(records: Records) -> None:
    """The record stays small; the count of epochs is exact all the same."""
    run = unitcost_client.start("mnist")
    for _ in range(100):
        run.epoch()
    run.end()
    record = one(records)
    assert record["epochs"] == 100
    assert [epoch for epoch, _ in record["epoch_marks"]] == list(range(37, 101))


def test_fractions_of_an_epoch_add_up_and_only_a_whole_one_leaves_a_mark(records: Records) -> None:
    """Ten tenths are one."""
    run = unitcost_client.start("mnist")
    for _ in range(25):
        run.epoch(0.1)
    run.end()
    record = one(records)
    assert record["epochs"] == 2.5
    assert [epoch for epoch, _ in record["epoch_marks"]] == [1, 2]


def test_a_resumed_run_goes_on_counting_from_where_it_was(records: Records) -> None:
    """Epoch numbers and step numbers are those of the run, not of the process."""
    run = unitcost_client.start("mnist", run="r1", epoch=4, step=400)
    run.step()
    run.epoch()
    run.end()
    record = one(records)
    assert (record["resumed_epoch"], record["resumed_step"]) == (4, 400)
    assert (record["epochs"], record["steps"]) == (5, 401)
    assert record["epoch_marks"][0][0] == 5


def test_the_epoch_timer_counts_an_epoch_that_succeeds(records: Records) -> None:
    """And none that raises; the exception is the caller's."""
    run = unitcost_client.start("mnist")
    with run.epoch_timer():
        pass
    with pytest.raises(KeyError), run.epoch_timer():
        raise KeyError
    run.end()
    assert one(records)["epochs"] == 1


def test_steps_counts_a_batch_only_when_it_was_worked_on(records: Records) -> None:
    """The batch at which the loop breaks off or the loader fails is not a step."""
    run = unitcost_client.start("mnist")

    def loader() -> Iterator[int]:
        yield from range(3)
        raise OSError("the loader's own")

    with pytest.raises(OSError, match="the loader's own"):
        for _ in run.steps(loader()):
            pass
    for batch in run.steps(range(10)):
        if batch == 2:
            break
    run.end()
    assert one(records)["steps"] == 3 + 2


def test_threads_lose_no_step(records: Records) -> None:
    """Eight threads at once, with and without the fast path."""
    run = unitcost_client.start("mnist")

    def work() -> None:
        for _ in range(5000):
            run.step(samples=2)
            run.step(True, 1.0)  # type: ignore[arg-type]  # takes the slow path

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.end()
    record = one(records)
    assert (record["steps"], record["samples"]) == (80_000, 120_000)


def test_steps_before_a_pause_are_written_and_the_thread_goes(
    records: Records, eventually: Eventually
) -> None:
    """Nobody calls anything after the last step; a second later it is on disk all the same."""
    run = unitcost_client.start("mnist")
    run.step(7)
    eventually(lambda: one(records)["steps"] == 7)
    names = {thread.name for thread in threading.enumerate()}
    eventually(lambda: "unitcost-client" not in {t.name for t in threading.enumerate()})
    assert "unitcost-client" in names
    run.step(2)
    eventually(lambda: one(records)["steps"] == 9)
    run.end()


def test_steps_are_written_once_a_second_at_most(records: Records) -> None:
    """However many there are: so many writes as seconds, and one at the start and at the end."""
    began = time.monotonic()
    run = unitcost_client.start("mnist")
    while time.monotonic() - began < 2.5:
        run.step()
    run.end()
    record = one(records)
    assert 3 <= record["seq"] <= time.monotonic() - began + 2
    assert record["steps"] > 1000


def test_what_comes_after_the_end_is_ignored(records: Records, eventually: Eventually) -> None:
    """The last record is final, and the first word about the end counts."""
    run = unitcost_client.start("mnist")
    run.step()
    run.end("failed")
    final = one(records)
    run.step()
    run.epoch()
    run.end()
    eventually(lambda: "unitcost-client" not in {t.name for t in threading.enumerate()})
    assert one(records) == final
    assert final["state"] == "failed"


def test_two_runs_of_one_process_have_a_file_each(records: Records) -> None:
    """Also with the same name."""
    first = unitcost_client.start("sweep")
    second = unitcost_client.start("sweep")
    first.step(1)
    second.step(2)
    first.end()
    second.end()
    assert [record["steps"] for record in records()] == [1, 2]
    assert len({record["run"] for record in records()}) == 2


def test_the_place_can_be_said_late(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a launcher that sets its variables after the start, or by a call."""
    run = unitcost_client.start("mnist")
    assert (one(records)["rank"], one(records)["world_size"]) == (0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    run.epoch()
    assert (one(records)["rank"], one(records)["world_size"]) == (3, 8)
    run.set_place(5, 16, local_rank=1, local_world_size=4)
    run.epoch()
    record = one(records)
    assert (record["rank"], record["world_size"]) == (5, 16)
    assert (record["local_rank"], record["local_world_size"]) == (1, 4)
    run.end()


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError

    def __index__(self) -> int:
        raise RuntimeError

    def __float__(self) -> float:
        raise RuntimeError


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**52, max_value=2**1030),
    st.floats(),
    st.text(),
    st.binary(),
    st.dictionaries(st.text(), st.text()),
    st.lists(st.integers()),
    st.builds(Hostile),
    st.complex_numbers(),
)


@given(arguments=st.lists(JUNK, min_size=13, max_size=13))
def test_no_argument_whatever_raises_or_spoils_the_record(
    tmp_path_factory: pytest.TempPathFactory, arguments: list[Any]
) -> None:
    """Junk counts as nothing, and the record can still be read by the strict reader."""
    folder = tmp_path_factory.mktemp("junk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITCOST_STATE_DIR", str(folder))
        a, b, c, d, e, f, g, h, i, j, k, m, n = arguments
        run = unitcost_client.start(
            a, run=b, labels=c, epoch=d, step=e, total_epochs=f, total_steps=g
        )
        run.step(h, i, j)
        run.epoch(k)
        run.set_place(m, n)
        run.end(m)
    (path,) = folder.glob("train-*.json")
    assert decode(path.read_bytes()).state in ("ended", "failed")


@pytest.mark.parametrize(
    ("value", "counted"), [(True, 1), (5.0, 5), (-1, 0), (0.5, 0), ("7", 0), (None, 0)]
)
def test_only_whole_numbers_from_zero_on_are_steps(
    records: Records, value: Any, counted: int
) -> None:
    """Other number types count if they are whole."""
    run = unitcost_client.start("mnist")
    run.step(value)
    run.end()
    assert one(records)["steps"] == counted


def test_numpy_numbers_count(records: Records) -> None:
    """Batch sizes are often numbers of NumPy."""
    numpy = pytest.importorskip("numpy")
    run = unitcost_client.start("mnist")
    run.step(numpy.int64(2), samples=numpy.float32(32), tokens=numpy.uint8(200))
    run.end()
    record = one(records)
    assert (record["steps"], record["samples"], record["tokens"]) == (2, 32, 200)


def test_counts_never_grow_beyond_what_a_reader_keeps_exactly(records: Records) -> None:
    """They stay at the largest such number."""
    run = unitcost_client.start("mnist")
    for _ in range(3):
        run.step(2**53 - 1)
    run.end()
    assert one(records)["steps"] == 2**53 - 1


def test_labels_are_few_and_short(records: Records) -> None:
    """Sixteen at most, with short keys and values."""
    labels: dict[Any, Any] = {f"key{i}" + "k" * 100: "v" * 1000 for i in range(40)}
    run = unitcost_client.start("mnist", labels=labels)
    run.end()
    kept = one(records)["labels"]
    assert len(kept) == 16
    assert {len(key) for key in kept} == {64}
    assert {len(value) for value in kept.values()} == {128}


def test_the_file_is_named_for_job_process_and_start(folder: Path, records: Records) -> None:
    """With nothing in the name that a path or a shell could stumble over."""
    run = unitcost_client.start("../my job/$x\n")
    run.end()
    (path,) = folder.glob("*")
    record = one(records)
    assert path.name == f"train-.._my_job__x-{record['pid']}-{record['started_ns']}.json"
    assert record["job"] == "../my job/$x"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("/jobs/fit.py", "fit"),
        ("/jobs/pretrain/__main__.py", "pretrain"),
        ("fit", "fit"),
        ("", "train"),
    ],
)
def test_a_job_without_a_name_is_called_like_its_script(
    records: Records, monkeypatch: pytest.MonkeyPatch, script: str, name: str
) -> None:
    """Unless UNITCOST_JOB says otherwise."""
    monkeypatch.setattr("sys.argv", [script])
    unitcost_client.start().end()
    monkeypatch.setenv("UNITCOST_JOB", "named")
    unitcost_client.start().end()
    assert [record["job"] for record in records()] == [name, "named"]
