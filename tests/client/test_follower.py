"""What the adapters share, without any framework: runs that follow somebody else's counts."""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unitcost_client
from unitcost_client._environment import Place
from unitcost_client._follower import Follower, read

Records = Callable[[], list[dict[str, Any]]]
SECOND = 10**9


def test_a_run_follows_the_counts_and_never_goes_back(records: Records) -> None:
    """Whole epochs leave marks; thirds of one add up to it."""
    follower = Follower("mnist", None, {"team": "ada"})
    follower.begin(10, 1, total_steps=40, total_epochs=4)
    for step in range(11, 20):
        follower.reach(step, step / 10)
    for step, epoch in [(20, 1 + 1 / 3), (20, 1 + 2 / 3), (20, 2.0), (3, 0.5)]:
        follower.reach(step, epoch)
    follower.end()
    (record,) = records()
    assert (record["resumed_step"], record["steps"], record["total_steps"]) == (10, 20, 40)
    assert (record["resumed_epoch"], record["epochs"], record["total_epochs"]) == (1, 2, 4)
    assert [epoch for epoch, _ in record["epoch_marks"]] == [2]
    assert (record["labels"], record["state"]) == ({"team": "ada"}, "ended")


def test_training_twice_is_two_runs(records: Records) -> None:
    """Unless the user has started one himself, which goes on and is his to end."""
    follower = Follower("mnist", None, None)
    for _ in range(2):
        follower.begin(0, 0)
        follower.reach(5, 1)
        follower.end()
    assert [record["steps"] for record in records()] == [5, 5]
    own = unitcost_client.start("sweep", step=100, epoch=10)
    follower = Follower("unused", own, None)
    for _ in range(3):
        follower.begin(7, 2)
        follower.reach(12, 3)
        follower.end("failed")
    assert own.reached == (115, 13)
    assert records()[-1]["state"] == "running"
    own.end()


def test_a_training_that_begins_anew_goes_on_with_its_run(records: Records) -> None:
    """As where a framework finds the batch too large: what was done counts, and is done again."""
    follower = Follower("mnist", None, None)
    follower.begin(0, 0)
    follower.reach(3, 0.5)
    follower.begin(0, 0, place=Place(0, 0, 2, 2, found=True))
    follower.reach(10, 1)
    follower.end()
    (record,) = records()
    assert (record["steps"], record["epochs"], record["world_size"]) == (13, 1.5, 2)


@pytest.mark.parametrize("own", [False, True])
def test_a_wait_that_the_user_declares_between_two_hooks_counts_once(
    records: Records, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """A barrier after the update, in a callback of his own: it is no wait for data as well."""
    now = [5 * SECOND]
    monkeypatch.setattr("unitcost_client._stalls._clock", lambda: now[0])
    run = unitcost_client.start("mnist")
    follower = Follower("mnist", run if own else None, None)
    run.add_stall("straggler", 9.0)
    follower.begin(0, 0)
    assert follower.run is not None
    now[0] += SECOND
    follower.mark()
    with follower.run.stalled("straggler"):
        now[0] += 7 * SECOND
    follower.run.add_stall("checkpoint", 2.0)
    now[0] += 5 * SECOND
    follower.waited("data_loading")
    follower.run.add_stall("checkpoint", 100.0)
    follower.waited("data_loading")
    follower.end()
    run.end()
    stalls = records()[0 if own else -1]["stalls"]
    straggler = 16 if own else 7
    assert stalls == {"data_loading": 3, "checkpoint": 102, "straggler": straggler}


def test_ranks_that_only_the_framework_knows_share_a_run(records: Records) -> None:
    """Where a run resumes, each rank goes on with what that rank has left."""
    for rank in (0, 1):
        follower = Follower("mnist", None, None)
        follower.begin(0, 0, place=Place(rank, rank, 2, 2, found=True))
        follower.end()
    first, second = records()
    assert (first["rank"], second["rank"]) == (0, 1)
    assert first["run"] == second["run"]
    assert (first["attempt"], second["attempt"]) == (0, 0)


COUNTS = st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.complex_numbers())


@given(counts=st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=5))
def test_no_count_of_a_framework_raises(
    tmp_path_factory: pytest.TempPathFactory, counts: list[tuple[Any, Any]]
) -> None:
    """Infinite goals, missing epochs, negative steps: what is no count is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITCOST_STATE_DIR", str(tmp_path_factory.mktemp("counts")))
        follower = Follower("mnist", None, None)
        follower.begin(*counts[0], *counts[-1])
        for step, epoch in counts:
            before = follower.run.reached if follower.run else (0, 0)
            follower.reach(step, epoch)
            assert follower.run is not None
            assert follower.run.reached >= before
        follower.end()


def test_attributes_that_a_version_lacks_are_unknown() -> None:
    """And so are those whose property raises."""

    class Broken:
        @property
        def inner(self) -> int:
            raise RuntimeError

    assert read("a.b", SimpleNamespace(a=SimpleNamespace(b=3))) == 3
    assert read("a.c", SimpleNamespace(a=SimpleNamespace(b=3))) is None
    assert read("inner", Broken()) is None


@pytest.mark.parametrize("name", ["lightning", "huggingface", "keras"])
def test_an_adapter_without_its_framework_says_so(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With the import error that everybody knows; the client itself needs none of them."""
    for missing in ("lightning.pytorch", "pytorch_lightning", "transformers", "keras.callbacks"):
        monkeypatch.setitem(sys.modules, missing, None)
        monkeypatch.setitem(sys.modules, missing.partition(".")[0], None)
    monkeypatch.delitem(sys.modules, f"unitcost_client.{name}", raising=False)
    with pytest.raises(ImportError):
        importlib.import_module(f"unitcost_client.{name}")


def test_outside_of_ray_a_run_starts_as_everywhere(
    records: Records, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without Ray or without a worker of it: the environment says which rank this is."""
    import unitcost_client.ray

    monkeypatch.setitem(sys.modules, "ray.train", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RANK", "1")
    unitcost_client.ray.start("mnist", epoch=2).end()
    (record,) = records()
    assert (record["job"], record["rank"], record["resumed_epoch"]) == ("mnist", 1, 2)


def test_what_a_report_of_ray_raises_is_the_callers(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time until then was waited all the same; arguments are handed on."""
    import unitcost_client.ray

    seen: list[tuple[Any, ...]] = []

    def report(metrics: object, *, checkpoint: object, **others: object) -> None:
        seen.append((metrics, checkpoint, others))
        raise OSError("Ray's own")

    train = ModuleType("ray.train")
    train.report = report  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.setitem(sys.modules, "ray.train", train)
    run = unitcost_client.start("mnist")
    with pytest.raises(OSError, match="Ray's own"):
        unitcost_client.ray.report(run, {"loss": 1}, checkpoint="here", validation=True)
    run.end()
    assert seen == [({"loss": 1}, "here", {"validation": True})]
    assert set(records()[0]["stalls"]) == {"checkpoint"}
