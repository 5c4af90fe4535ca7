"""What a run waited for, and how long."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unitcost_client
from unitcost_client import _stalls
from unitcost_client._stalls import KINDS, Block, Stalls

Records = Callable[[], list[dict[str, Any]]]
Spawn = Callable[..., Any]
Eventually = Callable[[Callable[[], bool]], None]
SECOND = 10**9


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 5 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that stalls are measured with."""
    made = Clock()
    monkeypatch.setattr(_stalls, "_clock", made)
    return made


def one(records: Records) -> dict[str, Any]:
    """The only record there is."""
    (record,) = records()
    return record


def test_nothing_measured_is_not_zero(records: Records) -> None:
    """A job that never says what it waits for has no stalls."""
    run = unitcost_client.start("mnist")
    run.step()
    run.end()
    assert one(records)["stalls"] == {}


def test_the_time_a_loader_takes_is_waiting_for_data(records: Records, clock: Clock) -> None:
    """Its start and each batch, the one included that never comes; not the work in between."""

    class Loader:
        def __iter__(self) -> Iterator[int]:
            clock.now += 3 * SECOND
            return self.batches()

        def batches(self) -> Iterator[int]:
            for batch in range(4):
                clock.now += SECOND // 2
                yield batch
            clock.now += SECOND // 4

    run = unitcost_client.start("mnist")
    for _ in run.steps(Loader()):
        clock.now += 60 * SECOND
    run.end()
    assert one(records)["stalls"] == {"data_loading": 3 + 4 * 0.5 + 0.25}


def test_a_loader_that_fails_leaves_no_wait_behind(records: Records, clock: Clock) -> None:
    """What comes after it is no stall."""
    run = unitcost_client.start("mnist")
    with pytest.raises(TypeError):
        next(run.steps(7))  # type: ignore[arg-type]

    def broken() -> Iterator[int]:
        clock.now += SECOND
        yield 1
        raise OSError("the loader's own")

    with pytest.raises(OSError, match="the loader's own"):
        for _ in run.steps(broken()):
            pass
    clock.now += 100 * SECOND
    run.end()
    assert one(records)["stalls"] == {"data_loading": 1}


def test_a_block_that_fails_has_waited_all_the_same(records: Records, clock: Clock) -> None:
    """The exception is the caller's."""
    run = unitcost_client.start("mnist")

    def save() -> None:
        with run.stalled("checkpoint"):
            clock.now += 2 * SECOND
            raise KeyError

    with pytest.raises(KeyError):
        save()
    clock.now += SECOND
    run.end()
    assert one(records)["stalls"] == {"checkpoint": 2}


def test_a_stall_inside_another_counts_once(records: Records, clock: Clock) -> None:
    """For the inner one: no second is in two sums."""
    run = unitcost_client.start("mnist")
    with run.stalled("checkpoint"):
        clock.now += SECOND
        with run.stalled("straggler"):
            clock.now += 4 * SECOND
        clock.now += 2 * SECOND
    run.end()
    assert one(records)["stalls"] == {"checkpoint": 3, "straggler": 4}


@pytest.mark.parametrize("kind", ["coffee", "", None, 7, [], b"checkpoint"])
def test_an_unknown_kind_is_left_out_with_one_warning(
    records: Records, clock: Clock, caplog: pytest.LogCaptureFixture, kind: Any
) -> None:
    """The block runs; around it the outer stall goes on."""
    run = unitcost_client.start("mnist")
    with run.stalled("checkpoint"), run.stalled(kind):
        clock.now += SECOND
        with run.stalled(kind):
            clock.now += SECOND
    run.end()
    assert one(records)["stalls"] == {"checkpoint": 2}


def test_stalls_of_threads_do_not_end_each_other(records: Records, clock: Clock) -> None:
    """Each thread waits for itself: a checkpoint written beside the training is one more wait."""
    run = unitcost_client.start("mnist")
    inside, leave = threading.Event(), threading.Event()

    def save() -> None:
        with run.stalled("checkpoint"):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=save)
    thread.start()
    assert inside.wait(60)
    with run.stalled("straggler"):
        clock.now += 3 * SECOND
    leave.set()
    thread.join()
    clock.now += SECOND
    run.end()
    assert one(records)["stalls"] == {"checkpoint": 3, "straggler": 3}


def test_a_long_stall_is_written_while_it_lasts(records: Records, eventually: Eventually) -> None:
    """Whole seconds of it, though nothing is counted meanwhile; then it ends as it was."""
    run = unitcost_client.start("mnist")
    eventually(lambda: "unitcost-client" not in {t.name for t in threading.enumerate()})
    began = time.perf_counter()
    with run.stalled("checkpoint"):
        eventually(lambda: one(records)["stalls"].get("checkpoint", 0) >= 1)
        seen = one(records)["stalls"]["checkpoint"]
        assert seen <= time.perf_counter() - began
    run.end()
    assert seen <= one(records)["stalls"]["checkpoint"] <= time.perf_counter() - began


def test_a_killed_process_leaves_the_stall_it_was_in(spawn: Spawn, records: Records) -> None:
    """Waiting for data that never comes: seconds of it are on disk."""
    process = spawn(
        "import time, unitcost_client\n"
        "def loader():\n"
        "    yield 1\n"
        "    time.sleep(2.5)\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "for _ in unitcost_client.start('mnist').steps(loader()):\n"
        "    pass\n"
    )
    process.kill()
    process.wait()
    assert one(records)["steps"] == 1
    assert 1 <= one(records)["stalls"]["data_loading"] < 60


def test_workers_forked_by_a_loader_meet_no_thread(records: Records, spawn: Spawn) -> None:
    """Loaders fork inside the wait for data, and Python warns of threads when it forks."""
    process = spawn(
        "import os, unitcost_client\n"
        "class Loader:\n"
        "    def __iter__(self):\n"
        "        for _ in range(5):\n"
        "            if os.fork() == 0: os._exit(0)\n"
        "        while True:\n"
        "            try: os.wait()\n"
        "            except ChildProcessError: break\n"
        "        return iter(range(3))\n"
        "run = unitcost_client.start('mnist')\n"
        "for _ in run.steps(Loader()): pass\n"
        "run.end()\n"
        "print('ready', flush=True)\n"
    )
    assert process.wait(60) == 0
    assert one(records)["steps"] == 3
    assert one(records)["stalls"]["data_loading"] > 0


def test_blocks_that_end_in_another_order_than_they_began(records: Records, clock: Clock) -> None:
    """As tasks of asyncio do on one thread: nobody waits any more when all have ended."""

    async def wait(kind: str, begin: asyncio.Event, end: asyncio.Event) -> None:
        await begin.wait()
        with run.stalled(kind):
            await end.wait()

    async def both() -> None:
        events = [asyncio.Event() for _ in range(4)]
        first = asyncio.create_task(wait("checkpoint", events[0], events[2]))
        second = asyncio.create_task(wait("data_loading", events[1], events[3]))
        for event in events:
            event.set()
            for _ in range(3):
                await asyncio.sleep(0)
            clock.now += SECOND
        await asyncio.gather(first, second)

    run = unitcost_client.start("mnist")
    asyncio.run(both())
    clock.now += 100 * SECOND
    run.end()
    assert one(records)["stalls"] == {"checkpoint": 1, "data_loading": 2}


BLOCKS = st.lists(st.integers(0, 5), max_size=40)


@given(moves=BLOCKS)
def test_whatever_the_order_of_blocks_no_wait_outlives_them(moves: list[int]) -> None:
    """Six blocks that begin and end at will: one waits exactly while any of them is open."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stalls, "_clock", clock)
        stalls, waited = Stalls(), 0
        waits = stalls.here()
        inside: dict[int, Block] = {}
        for each in moves:
            if each in inside:
                waits.leave(inside.pop(each))
            else:
                inside[each] = waits.enter(KINDS[each % 3])
            clock.now += SECOND
            waited += SECOND if inside else 0
            assert bool(waits.kind) == bool(inside)
        for block in inside.values():
            waits.leave(block)
        assert waits.kind == ""
        assert sum(spent for _, spent in stalls.so_far()) == waited


MOVES = st.lists(
    st.tuples(st.sampled_from(["", *KINDS]), st.integers(0, 3 * SECOND)), min_size=1, max_size=30
)


@given(moves=MOVES)
def test_stalls_never_shrink_and_never_exceed_the_time(moves: list[tuple[str, int]]) -> None:
    """Whatever is waited for, read at every instant."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stalls, "_clock", clock)
        stalls, began, before = Stalls(), clock.now, dict.fromkeys(KINDS, 0)
        waits = stalls.here()
        truth: dict[str, int] = {each: 0 for each in KINDS}
        for kind, passes in moves:
            waits.switch(kind)
            clock.now += passes
            truth[kind or "nothing"] = truth.get(kind or "nothing", 0) + passes
            now = dict(stalls.so_far())
            assert all(now.get(each, 0) >= before[each] for each in KINDS)
            assert sum(now.values()) <= clock.now - began
            before = {each: now.get(each, 0) for each in KINDS}
        waits.switch("")
        final = dict(stalls.so_far())
    assert json.loads(json.dumps(final)) == {
        kind: truth[kind] for kind in KINDS if any(kind == move for move, _ in moves)
    }
