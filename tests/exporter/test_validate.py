"""Nothing impossible gets past the door."""

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.collectors.base import Problem, Reading
from unitcost.exporter.gathering.validate import MAX_ITEMS, MAX_TEXT, MAX_VALUE, Junk, validate
from unitcost.exporter.gathering.validate_devices import MAX_PARTS
from unitcost.pricing.container import (
    Allocatable,
    ContainerUse,
    Grant,
    Kubelet,
    Pod,
    PodContainer,
)
from unitcost.pricing.device import Device, DeviceProcess, Instance, SmSample
from unitcost.pricing.energy import Meter, Scope
from unitcost.pricing.sample import (
    EpochMark,
    Listener,
    Outcome,
    Phase,
    Process,
    Quantity,
    Sample,
    Subject,
    TokenType,
)
from unitcost.pricing.workload import WorkloadKind

SAMPLE = Sample("host", Quantity.CPU_SECONDS, 1.5, 7)
SUBJECT = Subject("s", "w", WorkloadKind.TRAINING, pid=1, started=2, port=3, ready=True)
PROCESS = Process(pid=1, started=2, parent=0, cpu_ns=3, reaped_cpu_ns=4, memory_bytes=5)
WHOLE = Reading(
    samples=(SAMPLE,),
    subjects=(SUBJECT,),
    processes=(PROCESS,),
    listeners=(Listener(80, 1, 2),),
    marks=(EpochMark("s", 0.5, 9),),
    problems=(Problem("hidden", "some"),),
    devices=(
        Device(
            "gpu:GPU-1",
            "H100",
            index=0,
            minor=0,
            slices=7,
            instances=(Instance("MIG-1", 1, 0, 3, "3g.40gb", 0.5, "gpm_engine_active"),),
            processes=(DeviceProcess(1, 2, "MIG-1"),),
            samples=(SmSample(1, 2, 3),),
            busy=0.25,
            busy_signal="gpu_utilization",
        ),
    ),
    meters=(
        Meter("m", Scope.GPU, ("gpu:GPU-1",), 1, 2.5, 3.0, 4.0, wraps_at=9.0, limit_watts=9.0),
    ),
    kubelet=Kubelet(
        5, 5, (Grant("n", "p", "c", "nvidia.com/gpu", "GPU-1", 5),), (Allocatable("r", "GPU-1"),)
    ),
    pods=(Pod("u", "n", "p", "n/Pod/p", containers=(PodContainer("c", "id", True, 1, 2),)),),
    containers=(ContainerUse("id", "u", 1, 2, 3, 4),),
)
PARTS = tuple(field.name for field in fields(Reading) if field.name != "kubelet")
OPTIONAL = ("devices", "pods", "containers")
ITEMS = [(part, field.name) for part in PARTS for field in fields(getattr(WHOLE, part)[0])]


class Sly(str):
    """A text that is more than a text."""

    __slots__ = ()


class Unmade:
    """Knows nothing of the fields it should have."""


def other(item: Any, field: str, value: object) -> Any:
    """The same item with another value in a field, whatever its type."""
    return replace(item, **{field: value})


def broken(part: str, field: str, value: object) -> Reading:
    """The whole reading, with one field of one item set to something else."""
    item = getattr(WHOLE, part)[0]
    twin = object.__new__(type(item))
    for each in fields(item):
        object.__setattr__(twin, each.name, getattr(item, each.name))
    object.__setattr__(twin, field, value)
    reading: Reading = other(WHOLE, part, (twin,))
    return reading


def test_a_reading_with_everything_in_it_passes_as_it_is() -> None:
    """The same object: nothing is copied, nothing is mended."""
    assert validate(WHOLE) is WHOLE
    assert validate(Reading()) == Reading()


def test_labels_may_be_our_own_names() -> None:
    """An outcome, a token type and a phase are texts."""
    labels = (Outcome.ABORTED, TokenType.CACHED_INPUT, Phase.DECODE)
    reading = Reading(samples=tuple(replace(SAMPLE, label=label) for label in labels))
    assert validate(reading) is reading


@pytest.mark.parametrize(("part", "field"), ITEMS)
def test_a_foreign_type_in_any_field_is_refused(part: str, field: str) -> None:
    """Each field of each type is looked at."""
    for foreign in (object(), [], b"x", Unmade, 1j, Sly("x")):
        with pytest.raises(Junk):
            validate(broken(part, field, foreign))


@pytest.mark.parametrize(("part", "field"), ITEMS)
def test_a_field_that_was_never_set_is_refused(part: str, field: str) -> None:
    """As of an object that was made by hand."""
    item = object.__new__(type(getattr(WHOLE, part)[0]))
    for each in fields(item):
        if each.name != field:
            object.__setattr__(item, each.name, getattr(getattr(WHOLE, part)[0], each.name))
    with pytest.raises(Junk):
        validate(other(WHOLE, part, (item,)))


BAD_NUMBERS = [math.nan, math.inf, -math.inf, -1, -0.5, True, 10**400, -(10**400), MAX_VALUE * 2]


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=lambda v: str(v)[:12] if v == v else "nan")
@pytest.mark.parametrize(
    ("part", "field"),
    [
        ("samples", "value"),
        ("samples", "wraps_at"),
        ("subjects", "resumed_epoch"),
        ("marks", "epoch"),
    ],
)
def test_numbers_that_no_counter_shows_are_refused(part: str, field: str, value: Any) -> None:
    """Not finite, negative, or beyond what a float counts exactly."""
    with pytest.raises(Junk):
        validate(broken(part, field, value))


@pytest.mark.parametrize("field", [f.name for f in fields(Process)][:6])
@pytest.mark.parametrize("value", [-1, 2**63, 1.0, True, None])
def test_whole_numbers_of_a_process_are_whole_and_not_negative(field: str, value: object) -> None:
    """Its pid, times and bytes."""
    with pytest.raises(Junk):
        validate(broken("processes", field, value))


@pytest.mark.parametrize("text", ["x" * (MAX_TEXT + 1), "lone \ud800 surrogate"])
def test_texts_that_cannot_be_shown_are_refused(text: str) -> None:
    """Too long, or not Unicode."""
    with pytest.raises(Junk):
        validate(broken("samples", "model", text))


def test_more_items_than_any_host_has_are_refused() -> None:
    """Before they are looked at one by one."""
    with pytest.raises(Junk, match="more than"):
        validate(Reading(listeners=(Listener(1, 1, 1),) * (MAX_ITEMS + 1)))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "junk",
    [None, [], (None,), (Unmade(),), "text", iter(())],
    ids=["none", "list", "of none", "of unmade", "text", "iterator"],
)
def test_a_part_that_is_no_tuple_of_its_type_is_refused(part: str, junk: Any) -> None:
    """Lists change after they were looked at. Some parts may be None: nothing was looked for."""
    reading = replace(WHOLE, **{part: junk})
    if junk is None and part in OPTIONAL:
        assert validate(reading) is reading
        return
    with pytest.raises(Junk):
        validate(reading)


def nested(
    part: str, field: str, type_: type, index: int = 0
) -> Iterator[tuple[str, str, object, str]]:
    """Each field of the first item of a part inside of an item."""
    for each in fields(type_):
        yield part, field, getattr(getattr(WHOLE, part)[index], field)[0], each.name


NESTED = [
    *nested("devices", "instances", Instance),
    *nested("devices", "processes", DeviceProcess),
    *nested("devices", "samples", SmSample),
    *nested("pods", "containers", PodContainer),
]


@pytest.mark.parametrize(("part", "field", "item", "inner"), NESTED)
def test_so_are_foreign_types_inside_of_an_item(
    part: str, field: str, item: Any, inner: str
) -> None:
    """Instances, processes and samples of a device; containers of a pod."""
    for foreign in (object(), [], b"x", 1j, Sly("x"), -1, math.nan):
        with pytest.raises(Junk):
            validate(broken(part, field, (replace(item, **{inner: foreign}),)))


@pytest.mark.parametrize("field", [each.name for each in fields(Kubelet)])
def test_a_kubelet_s_view_is_looked_at_too(field: str) -> None:
    """Its spans and its grants."""
    for foreign in (object(), [], (None,), b"x", -1, (Unmade(),)):
        view = object.__new__(Kubelet)
        for each in fields(Kubelet):
            object.__setattr__(view, each.name, getattr(WHOLE.kubelet, each.name))
        object.__setattr__(view, field, foreign)
        with pytest.raises(Junk):
            validate(replace(WHOLE, kubelet=view))
    with pytest.raises(Junk):
        validate(replace(WHOLE, kubelet=object.__new__(Kubelet)))
    with pytest.raises(Junk):
        validate(other(WHOLE, "kubelet", "view"))


@pytest.mark.parametrize(("field", "value"), [("busy", 1.5), ("busy", math.inf), ("id", "GPU-1")])
def test_a_device_s_own_limits_hold(field: str, value: object) -> None:
    """A ratio is no more than 1, and a resource's name says what it is."""
    with pytest.raises(Junk):
        validate(broken("devices", field, value))


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=lambda v: str(v)[:12] if v == v else "nan")
@pytest.mark.parametrize(
    "field", ["joules", "watts", "instant_watts", "wraps_at", "limit_watts", "mono_ns"]
)
def test_no_meter_shows_an_impossible_number(field: str, value: Any) -> None:
    """Of energy, power or time."""
    with pytest.raises(Junk):
        validate(broken("meters", field, value))


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("devices", "samples", (SmSample(1, 2, 101),)),
        ("devices", "instances", (Instance("MIG-1", 1, 0, 3, busy=1.01),)),
        ("devices", "samples", (SmSample(1, 2, 3),) * (MAX_PARTS + 1)),
        ("devices", "processes", (DeviceProcess(1),) * (MAX_PARTS + 1)),
        ("devices", "lost", 0),
        ("meters", "path", ("gpu", 1)),
        ("meters", "path", ["gpu"]),
        ("meters", "scope", "gpu"),
        ("meters", "source", "counter"),
        ("meters", "power_source", "sensor"),
        ("pods", "kind", "other"),
        ("pods", "containers", (PodContainer("c", ready=1),)),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_with_a_part_is_wrong_with_the_whole(
    part: str, field: str, value: object
) -> None:
    """More than all of the time, more than any host has, texts that only look like names."""
    with pytest.raises(Junk):
        validate(broken(part, field, value))


def test_the_largest_values_that_can_be_pass() -> None:
    """All of the time, and as many parts as there may be."""
    parts = (SmSample(1, 2, 100),) * MAX_PARTS
    reading = broken("devices", "samples", parts)
    assert validate(reading) is reading
    ratio = broken("devices", "instances", (Instance("MIG-1", 1, 0, 3, busy=1),))
    assert validate(ratio) is ratio


@pytest.mark.parametrize("part", ["grants", "allocatable"])
def test_every_field_of_a_grant_is_looked_at(part: str) -> None:
    """And of what could be given; there may be nothing that says the latter."""
    assert WHOLE.kubelet is not None
    (item,) = getattr(WHOLE.kubelet, part)
    for each in fields(item):
        for foreign in (object(), b"x", 1.5, -1, None, Sly("x")):
            view = other(WHOLE.kubelet, part, (other(item, each.name, foreign),))
            with pytest.raises(Junk):
                validate(replace(WHOLE, kubelet=view))
    without = replace(WHOLE, kubelet=replace(WHOLE.kubelet, allocatable=None))
    assert validate(without) is without


def test_a_subclass_of_a_reading_is_refused() -> None:
    """Its attributes may run any code, and answer differently the second time."""

    class Clever(Reading):
        pass

    with pytest.raises(Junk):
        validate(Clever())


finite = st.floats(min_value=0, max_value=MAX_VALUE)


@given(st.lists(st.one_of(finite, st.integers(0, 2**53)), max_size=5))
def test_every_finite_number_up_to_the_limit_passes(values: list[float]) -> None:
    """Both ends included."""
    samples = tuple(replace(SAMPLE, value=value) for value in values)
    assert validate(Reading(samples=samples)).samples is samples


@given(st.sampled_from(ITEMS), st.from_type(object))
def test_whatever_is_put_in_a_field_it_passes_or_is_junk(
    item: tuple[str, str], value: object
) -> None:
    """Nothing else is ever raised, and the text is short."""
    refused = None
    try:
        validate(broken(*item, value))
    except Junk as junk:
        refused = junk
    assert refused is None or len(str(refused)) <= 200
