"""Parts of the NVML collector that no driver needs to be pretended for."""

import functools
import time
from types import SimpleNamespace
from typing import Any, cast

import pynvml
import pytest

from unitcost.collectors.base import Problem
from unitcost.collectors.nvidia.binding import Fault, Nvml
from unitcost.collectors.nvidia.calls import Calls
from unitcost.collectors.nvidia.crew import Crew
from unitcost.collectors.nvidia.fields import OF_GPU, Fields
from unitcost.collectors.nvidia.gpu import Gpu
from unitcost.collectors.nvidia.lists import Buffer
from unitcost.collectors.nvidia.worker import Worker


def raising(error: Exception, *arguments: Any) -> Any:
    """A function of the binding that fails."""
    raise error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (pynvml.NVMLError(15), "gpu_is_lost"),
        (pynvml.NVMLError(777), "unnamed_code"),
        (pynvml.NVMLLibraryMismatchError("too old"), "function_not_found"),
        (AttributeError("no such function"), "function_not_found"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text"), "garbage"),
    ],
)
def test_whatever_the_binding_raises_is_a_fault(error: Exception, kind: str) -> None:
    """Not all of its errors are of its own kind."""
    names = {**vars(pynvml), "nvmlCall": functools.partial(raising, error)}
    with pytest.raises(Fault) as found:
        Nvml(SimpleNamespace(**names)).call("nvmlCall")
    assert found.value.kind == kind


def test_more_items_than_a_device_can_have_are_not_believed() -> None:
    """Nor is a driver that says again and again that there is too little room."""
    buffer = Buffer(Nvml(pynvml), "the_call", pynvml.c_nvmlSample_t)
    rooms: list[int] = []

    def wants(more: int, array: Any, count: Any) -> int:
        rooms.append(len(array))
        count.value = more
        return 7

    with pytest.raises(Fault, match="more than 3000 items"):
        buffer.fill(functools.partial(wants, 1_000_000))
    assert rooms == [32]
    with pytest.raises(Fault, match="insufficient_size"):
        buffer.fill(functools.partial(wants, 1))
    assert rooms == [32, 32, 64, 128, 256]


def test_a_field_of_an_unknown_type_is_absent() -> None:
    """A newer driver may have more types."""
    value = pynvml.c_nvmlFieldValue_t()
    value.valueType = 99
    names = {**vars(pynvml), "nvmlDeviceGetFieldValues": lambda *_: [value]}
    calls = Calls(Nvml(SimpleNamespace(**names)), "GPU 0")
    assert Fields(calls, OF_GPU[:1]).read(None) == {}
    assert [problem.kind for problem in calls.problems()] == ["garbage"]


def test_an_error_in_reading_one_gpu_is_a_problem_of_that_gpu() -> None:
    """Whatever it is."""
    broken = SimpleNamespace(
        index=3,
        read=functools.partial(raising, KeyError("x")),
        calls=SimpleNamespace(current="nvmlCall"),
    )
    crew = Crew()
    (reading,) = crew.read([cast(Gpu, broken)], time.monotonic() + 30)
    crew.end()
    assert reading.device is None
    assert reading.problems == (Problem("raised", "GPU 3: nvmlCall: KeyError: 'x'"),)


def test_a_worker_that_was_never_asked_has_no_thread() -> None:
    """Ending it is nothing, and one that ended can be asked again."""
    worker = Worker("test-worker")
    worker.end()
    assert not worker.busy
    assert [worker.ask(lambda: 1).result(30), worker.ask(lambda: 2).result(30)] == [1, 2]
    worker.end()
    assert worker.ask(lambda: 3).result(30) == 3
    worker.end()
