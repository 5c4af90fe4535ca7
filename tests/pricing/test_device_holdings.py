"""Which source decides who holds a device, and shares of devices of any layout."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.allocate import Method, State
from unitcost.pricing.container import Allocatable, Grant, Kubelet
from unitcost.pricing.device import Device, DeviceProcess, Instance, SmSample
from unitcost.pricing.device_holders import (
    Claims,
    Holdings,
    Holds,
    claims_by_process,
    granted,
    parts_of,
)
from unitcost.pricing.device_shares import WHOLE, device_shares
from unitcost.pricing.sm_time import sm_millionths
from unitcost.pricing.workload import OVERFLOW, SYSTEM, UNALLOCATED, Account

A, B = Account("a"), Account("b")
GPU = Device("gpu:GPU-1", "H100", minor=0)
PLACE = (GPU.id, "")
BY_GRANT = Holds({A: 3}, 5, replicated=False)
BY_PROCESS = Holds({B: 1}, 1, replicated=False)
CONFIGURED = Holds({A: 1}, 1, replicated=False, method=Method.CONFIGURED)
NOBODY = Holds({}, 5, replicated=False)


def test_grants_come_before_processes_and_these_before_the_configuration() -> None:
    """What the kubelet says that nobody holds may have been taken by other means."""
    by_process: Claims = {PLACE: {B: 1}}
    configured: Claims = {PLACE: {A: 1}}
    all_three = Holdings({PLACE: BY_GRANT}, by_process, configured)
    assert all_three.of(PLACE) == BY_GRANT
    assert replace(all_three, granted={}).of(PLACE) == BY_PROCESS
    assert replace(all_three, granted={PLACE: NOBODY}).of(PLACE) == BY_PROCESS
    assert Holdings({}, {}, configured).of(PLACE) == CONFIGURED
    assert Holdings({}, {PLACE: {}}, configured).of(PLACE) == CONFIGURED
    assert Holdings({PLACE: NOBODY}).of(PLACE).held == {}
    assert Holdings().of(PLACE) == Holds({}, 1, replicated=False)


def test_replicas_that_nobody_was_given_are_nobody_s_whoever_runs_there() -> None:
    """The kubelet rules a device that it can cut."""
    unheld = Holds({}, 20, replicated=True)
    assert Holdings({PLACE: unheld}, {PLACE: {B: 1}}).of(PLACE) == unheld


def test_several_with_processes_or_reservations_hold_it_at_once() -> None:
    """By as many replicas as each has."""
    found = Holdings(by_process={PLACE: {A: 1, B: 3}}).of(PLACE)
    assert found == Holds({A: 1, B: 3}, 4, replicated=True)


def test_a_mig_instance_does_not_ask_who_computes_on_the_whole() -> None:
    """Which instance that is, the driver did not say."""
    place = (GPU.id, "MIG-1")
    assert Holdings(by_process={PLACE: {B: 1}}).of(place).held == {}
    assert Holdings({PLACE: BY_GRANT}, {place: {B: 1}}).of(place) == BY_PROCESS
    assert Holdings({PLACE: BY_GRANT}, {PLACE: {B: 1}}).of(place) == BY_GRANT
    unheld = Holds({}, 2, replicated=True)
    assert Holdings({PLACE: BY_GRANT, place: unheld}).of(place) == unheld


def test_sm_time_of_whoever_holds_nothing_is_the_system_s() -> None:
    """Also that of an account that holds another device; no samples stay none."""
    holdings = Holdings(by_process={PLACE: {A: 1}})
    sm = {A: 1, B: 2, Account("a", "m"): 4, Account(SYSTEM): 8}
    (part,) = parts_of(GPU, holdings, sm)
    assert part.sm_millionths == {A: 1, Account(SYSTEM): 14}
    (unsampled,) = parts_of(GPU, holdings, None)
    assert unsampled.sm_millionths is None


def test_four_time_sliced_pods_from_the_kubelet_s_view_to_the_shares() -> None:
    """One of them works half the time, says the driver; a fifth process is nobody's."""
    ids = [f"GPU-1::{n}" for n in range(4)]
    accounts = {("n", f"pod{n}"): Account(f"w{n}") for n in range(4)}
    grants = tuple(Grant("n", f"pod{n}", "c", "r", each, 5) for n, each in enumerate(ids))
    kubelet = Kubelet(9, 5, grants, tuple(Allocatable("r", each) for each in ids))
    found = granted(kubelet, (GPU,), accounts)
    by_pid = sm_millionths([SmSample(10, 7, 50), SmSample(99, 7, 10)])
    sm = {Account("w0"): by_pid[10], Account(SYSTEM): by_pid[99]}
    split = device_shares(parts_of(GPU, Holdings(found.holds), sm), 1, frozenset(), {})
    weights = {(s.account.workload, s.state): s.weight * 10 // WHOLE for s in split.shares}
    assert weights[("w0", State.ACTIVE)] == 5
    assert weights[(SYSTEM, State.IDLE)] == 1
    assert {s.weight for s in split.shares if s.state is State.IDLE} == {WHOLE // 10}
    assert {s.method for s in split.shares} == {Method.PROCESS_SM_TIME}


NAMES = st.sampled_from([A, B, Account("c"), Account(OVERFLOW)])


@st.composite
def layouts(draw: st.DrawFn) -> Device:
    """A GPU in MIG mode: GPU instances on some of its slices, compute instances in these."""
    slices, taken, instances = draw(st.sampled_from([4, 7])), 0, []
    for number in range(draw(st.integers(0, 7))):
        size = draw(st.integers(1, 4))
        taken += size
        if taken > slices:
            break
        used = 0
        for inner in range(draw(st.integers(0, 2))):
            own = draw(st.integers(1, size))
            used += own
            if used <= size:
                name, busy = f"MIG-{number}-{inner}", draw(st.none() | st.floats(0, 1))
                instances.append(Instance(name, number, inner, own, busy=busy, busy_signal="gpm"))
    pids = st.integers(1, 5)
    places = st.sampled_from(["", *(each.id for each in instances)])
    processes = draw(st.lists(st.builds(DeviceProcess, pids, st.none(), places), max_size=6))
    return replace(
        GPU, slices=slices, instances=tuple(instances), processes=tuple(processes), busy=0.5
    )


@st.composite
def views(draw: st.DrawFn, device: Device) -> Kubelet:
    """Whatever a kubelet might say of it: replicas, whole devices, ids of nothing."""
    bases = ["GPU-1", "GPU-2", "nvidia0/gi1", *(each.id for each in device.instances)]
    ids = st.builds(
        "{}{}".format, st.sampled_from(bases), st.sampled_from(["", "", "::0", "::1", "/vgpu1"])
    )
    span = draw(st.integers(0, 10))
    pods, containers = st.sampled_from(["p", "q", "r"]), st.sampled_from(["one", "two"])
    grant = st.builds(
        Grant, st.just("n"), pods, containers, st.just("r"), ids, st.integers(0, span)
    )
    could = draw(st.none() | st.lists(st.builds(Allocatable, st.just("r"), ids), max_size=6))
    return Kubelet(
        99, span, tuple(draw(st.lists(grant, max_size=8))), None if could is None else tuple(could)
    )


@given(st.data(), layouts(), st.booleans(), st.fixed_dictionaries(dict.fromkeys("pqr", NAMES)))
def test_whatever_the_layout_and_the_grants_the_shares_are_the_whole_device(
    data: st.DataObject, device: Device, mig: bool, pods: dict[str, Account]
) -> None:
    """Of each only as much as its slices are; those of no instance are nobody's."""
    device = device if mig else replace(device, slices=0, instances=())
    accounts = {("n", pod): account for pod, account in pods.items()}
    of_pid = {1: A, 2: B, 3: Account(SYSTEM), 4: Account("d")}
    found = granted(data.draw(views(device)), (device,), accounts)
    holdings = Holdings(found.holds, claims_by_process(device, of_pid))
    parts = parts_of(device, holdings, data.draw(st.none() | st.just({A: 200_000, B: 10**6})))
    split = device_shares(parts, device.slices or 1, frozenset(), {})
    assert sum(share.weight for share in split.shares) == WHOLE
    assert all(share.weight > 0 for share in split.shares)
    assert all(s.state is State.IDLE for s in split.shares if s.account.reserved)
    known = {*pods.values(), *of_pid.values(), Account(UNALLOCATED)}
    assert {share.account for share in split.shares} <= known
    if not mig:
        return
    nobody = sum(s.weight for s in split.shares if s.account == Account(UNALLOCATED))
    stranded = device.slices - sum(each.slices for each in device.instances)
    assert nobody >= Fraction(WHOLE * stranded, device.slices) - 1
    assert Method.PROCESS_SM_TIME not in {share.method for share in split.shares}
    for share in split.shares:
        assert share.method is not Method.EXCLUSIVE
