"""Who held which part of an accelerator: grants in every form, processes, configuration."""

from dataclasses import replace
from fractions import Fraction

import pytest

from unitcost.pricing.container import Allocatable, Grant, Kubelet
from unitcost.pricing.device import Device, DeviceProcess, Instance
from unitcost.pricing.device_holders import (
    Granted,
    Holdings,
    Holds,
    claims_by_process,
    granted,
    parts_of,
)
from unitcost.pricing.device_shares import MILLION, WHOLE, device_shares
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, Account

SPAN = 5
A, B, C = Account("a"), Account("b"), Account("c")
PODS = {("n", name): Account(name) for name in "abcd"} | {("n", "a2"): A}
UUID = "GPU-5a1b2c3d-0f0f-4a4a-8b8b-00112233aabb"
GPU = Device(f"gpu:{UUID}", "A100", index=4, minor=3)
WHOLE_GPU = (GPU.id, "")
MIG = replace(
    GPU,
    slices=7,
    instances=(
        Instance("MIG-aaa", 1, 0, 3),
        Instance("MIG-bbb", 3, 0, 2),
        Instance("MIG-ccc", 9, 1, 1),
    ),
)

Shares = dict[tuple[str, str], Fraction]


def grant(pod: str, device: str = UUID, held: int = SPAN, container: str = "main") -> Grant:
    """A device given to a container of a pod for so long."""
    return Grant("n", pod, container, "nvidia.com/gpu", device, held)


def resolved(
    *grants: Grant,
    devices: tuple[Device, ...] = (GPU,),
    could: tuple[str, ...] | None = None,
    loading: frozenset[tuple[str, str]] = frozenset(),
) -> Granted:
    """Grants resolved, of a view that spans `SPAN`; `could`: ids that can be given out."""
    ids = None if could is None else tuple(Allocatable("nvidia.com/gpu", each) for each in could)
    return granted(Kubelet(100, SPAN, grants, ids), devices, PODS, loading)


def shares(device: Device, holdings: Holdings, sm: dict[Account, int] | None = None) -> Shares:
    """The device's parts by workload and method."""
    split = device_shares(parts_of(device, holdings, sm), device.slices or 1, frozenset(), {})
    assert sum(share.weight for share in split.shares) == WHOLE
    found: Shares = {}
    for share in split.shares:
        key = (share.account.workload, str(share.method))
        found[key] = found.get(key, Fraction(0)) + Fraction(share.weight, WHOLE)
    return {key: part.limit_denominator(1000) for key, part in found.items()}


def given_out(*grants: Grant, device: Device = GPU, could: tuple[str, ...] | None = None) -> Shares:
    """The shares of one device by grants alone."""
    found = resolved(*grants, devices=(device,), could=could)
    assert found.unknown == ()
    return shares(device, Holdings(found.holds))


@pytest.mark.parametrize(
    ("device", "place"),
    [
        (UUID, WHOLE_GPU),
        ("nvidia3", WHOLE_GPU),
        ("4", WHOLE_GPU),
        ("4::1", WHOLE_GPU),
        (f"{UUID}::1", WHOLE_GPU),
        ("nvidia3/vgpu1", WHOLE_GPU),
        ("MIG-bbb", (GPU.id, "MIG-bbb")),
        ("MIG-bbb::0", (GPU.id, "MIG-bbb")),
        (f"MIG-{UUID}/9/1", (GPU.id, "MIG-ccc")),
        ("nvidia3/gi3", (GPU.id, "MIG-bbb")),
        ("nvidia3/gi1/vgpu1", (GPU.id, "MIG-aaa")),
    ],
)
def test_an_id_in_any_form_names_the_same_place(device: str, place: tuple[str, str]) -> None:
    """UUIDs, replicas, old names of MIG instances, and what GKE writes."""
    found = resolved(grant("a", device), devices=(MIG,))
    assert list(found.holds) == [place]
    assert found.holds[place].held == {A: SPAN}
    assert found.holds[place].replicated is ("::" in device or "vgpu" in device)
    assert found.unknown == ()


@pytest.mark.parametrize(
    "device",
    [
        "GPU-another",
        "MIG-another",
        "nvidia4",
        "3",
        "4:0",
        f"MIG-{UUID}/9/0",
        "MIG-GPU-another/9/1",
        "nvidia3/gi2",
        "nvidia4/gi3",
        "gpu.nvidia.com/node-a/gpu-0",
        "",
        "::1",
    ],
)
def test_what_names_no_device_that_there_is_stays_unknown(device: str) -> None:
    """It is said to be so, and takes nothing from anybody."""
    wanted = grant("a", device)
    found = resolved(wanted, devices=(MIG,), could=(device,))
    assert found == Granted({}, (wanted,))


def test_a_device_without_a_number_is_not_found_by_one() -> None:
    """Its minor number may be unknown, and `nvidia0` is not it."""
    unnumbered = replace(GPU, minor=None, index=None)
    wanted = (grant("a", "nvidia0"), grant("a", "4"))
    assert resolved(*wanted, devices=(unnumbered,)).holds == {}
    unnamed = replace(GPU, id="gpu:")
    assert resolved(grant("a", "0"), grant("a", "nvidia4"), devices=(unnamed,)).holds == {}


def test_a_pod_that_has_a_device_to_itself_has_all_of_it() -> None:
    """Nothing is said of replicas."""
    assert given_out(grant("a")) == {("a", "exclusive"): 1}
    assert given_out(grant("a"), could=(UUID,)) == {("a", "exclusive"): 1}


def test_two_pods_one_after_the_other_pay_for_what_each_held() -> None:
    """Two seconds each of five: the fifth is nobody's. Nothing is shared."""
    assert given_out(grant("a", held=2), grant("b", held=2)) == {
        ("a", "exclusive"): Fraction(2, 5),
        ("b", "exclusive"): Fraction(2, 5),
        (UNALLOCATED, "remainder"): Fraction(1, 5),
    }


def test_two_pods_with_one_device_all_the_time_have_half_of_it_each() -> None:
    """A claim that both share (DRA): there are no replicas, and no more than one device."""
    both = (grant("a"), grant("b"))
    assert given_out(*both) == {
        ("a", "equal_split"): Fraction(1, 2),
        ("b", "equal_split"): Fraction(1, 2),
    }
    three = given_out(*both, grant("c", held=2))
    assert three["a", "equal_split"] == Fraction(5, 12)
    assert three["c", "equal_split"] == Fraction(2, 12)


def test_a_pod_holds_a_device_once_however_many_of_its_containers_were_given_it() -> None:
    """Containers of one pod share its claim; that makes it neither shared nor twice as dear."""
    inside = (grant("a", container="one"), grant("a", container="two"))
    assert given_out(*inside) == {("a", "exclusive"): 1}
    assert set(given_out(*inside, grant("b")).values()) == {Fraction(1, 2)}
    turns = (grant("a", held=2, container="init"), grant("a", held=3, container="main"))
    assert given_out(*turns) == {("a", "exclusive"): 1}


def test_two_pods_of_one_workload_share_with_nobody() -> None:
    """Both are its own; beside a third one each pod counts."""
    mine = (grant("a"), grant("a2"))
    assert given_out(*mine) == {("a", "exclusive"): 1}
    found = given_out(*mine, grant("b"))
    assert found["a", "equal_split"] == Fraction(2, 3)
    (part,) = parts_of(replace(GPU, busy=0.5), Holdings(resolved(*mine).holds), None)
    active, idle = device_shares([part], 1, frozenset(), {}).shares
    assert active.weight == idle.weight == WHOLE // 2


def test_replicas_count_each_whether_held_or_not() -> None:
    """Two of four are held, one for a part of the time; the rest is nobody's."""
    four = tuple(f"{UUID}::{number}" for number in range(4))
    found = given_out(grant("a", four[0]), grant("b", four[3], held=2), could=four)
    assert found == {
        ("a", "equal_split"): Fraction(1, 4),
        ("b", "equal_split"): Fraction(1, 10),
        (UNALLOCATED, "remainder"): Fraction(13, 20),
    }
    unasked = given_out(grant("a", four[0]), grant("b", four[3]))
    assert set(unasked.values()) == {Fraction(1, 2)}
    assert given_out(could=four) == {(UNALLOCATED, "remainder"): 1}


def test_all_replicas_of_one_pod_are_the_whole_device() -> None:
    """And more ids of one pod are more of it."""
    two = (f"{UUID}::0", f"{UUID}::1")
    assert given_out(*(grant("a", each) for each in two)) == {("a", "equal_split"): 1}
    three = given_out(*(grant("a", each) for each in two), grant("b", f"{UUID}::2"))
    assert three["a", "equal_split"] == Fraction(2, 3)


def test_there_is_as_much_to_hold_as_there_are_replicas_or_holders() -> None:
    """Two pods may be listed with one replica; a whole device beside its replicas is one more."""
    twice = resolved(grant("a", f"{UUID}::0"), grant("b", f"{UUID}::0")).holds[WHOLE_GPU]
    assert twice == Holds({A: SPAN, B: SPAN}, 2 * SPAN, replicated=True)
    for ids in ((f"{UUID}::0", UUID), (UUID, f"{UUID}::0")):
        mixed = resolved(grant("a", ids[0]), could=ids).holds[WHOLE_GPU]
        assert mixed == Holds({A: SPAN}, 2 * SPAN, replicated=True)


def test_mig_instances_are_their_holders_by_slices() -> None:
    """3g, 2g and 1g of seven; replicas inside of one share it, and that is their method."""
    grants = (grant("a", "MIG-aaa"), grant("b", "MIG-bbb"), grant("c", f"MIG-{UUID}/9/1"))
    assert given_out(*grants, device=MIG) == {
        ("a", "mig_slice"): Fraction(3, 7),
        ("b", "mig_slice"): Fraction(2, 7),
        ("c", "mig_slice"): Fraction(1, 7),
        (UNALLOCATED, "remainder"): Fraction(1, 7),
    }
    inside = ("MIG-aaa::0", "MIG-aaa::1")
    found = given_out(grant("a", inside[0]), grant("b", "MIG-bbb"), device=MIG, could=inside)
    assert found == {
        ("a", "equal_split"): Fraction(3, 14),
        ("b", "mig_slice"): Fraction(2, 7),
        (UNALLOCATED, "remainder"): Fraction(1, 2),
    }


def test_an_instance_is_busy_as_its_own_signal_says() -> None:
    """SM samples are of whole devices only: there are none of an instance."""
    instances = (replace(MIG.instances[0], busy=0.25, busy_signal="gpm"), *MIG.instances[1:])
    device = replace(MIG, instances=instances, busy=0.9, busy_signal="engine")
    first, second, _ = parts_of(device, Holdings(), {A: MILLION})
    assert (first.busy_millionths, first.busy_signal, first.sm_millionths) == (250_000, "gpm", None)
    assert (second.busy_millionths, second.busy_signal) == (None, "")
    (whole,) = parts_of(replace(device, slices=0), Holdings(), None)
    assert (whole.busy_millionths, whole.busy_signal) == (900_000, "engine")


def test_a_whole_device_that_was_given_out_has_the_instances_that_nobody_else_has() -> None:
    """A plug-in that knows nothing of MIG gives the GPU; stranded slices stay nobody's."""
    assert given_out(grant("a"), grant("b", "MIG-bbb"), device=MIG) == {
        ("a", "mig_slice"): Fraction(4, 7),
        ("b", "mig_slice"): Fraction(2, 7),
        (UNALLOCATED, "remainder"): Fraction(1, 7),
    }
    configured = Holdings(configured={WHOLE_GPU: {A: 1}, (GPU.id, "MIG-bbb"): {B: 1}})
    assert shares(MIG, configured)["a", "mig_slice"] == Fraction(4, 7)
    assert shares(GPU, configured) == {("a", "configured"): 1}
    by_process = Holdings(by_process={WHOLE_GPU: {A: 1}})
    assert shares(MIG, by_process) == {(UNALLOCATED, "remainder"): 1}


def test_a_pod_that_is_not_ready_loads_what_it_holds_and_no_more() -> None:
    """Of a workload with an older pod that is ready."""
    other = replace(GPU, id="gpu:GPU-2", minor=5)
    new = frozenset({("n", "a2")})
    grants = (grant("a"), grant("a2", "GPU-2"))
    found = resolved(*grants, devices=(GPU, other), loading=new)
    assert found.holds[WHOLE_GPU].loading == frozenset()
    assert found.holds["gpu:GPU-2", ""].loading == {A}
    together = resolved(*grants, grant("a", "GPU-2"), devices=(GPU, other), loading=new)
    assert together.holds["gpu:GPU-2", ""].loading == frozenset()
    gone = resolved(grant("a", "GPU-2", held=0), *grants, devices=(GPU, other), loading=new)
    assert gone.holds["gpu:GPU-2", ""].loading == {A}
    (part,) = parts_of(other, Holdings(found.holds), None)
    assert part.loading == {A}
    replica = resolved(grant("a2", f"{UUID}::0"), loading=new)
    assert replica.holds[WHOLE_GPU].loading == {A}
    sliced = resolved(grant("a2", "MIG-aaa"), devices=(MIG,), loading=new)
    assert [p.loading for p in parts_of(MIG, Holdings(sliced.holds), None)] == [{A}, set(), set()]


def test_a_view_without_a_span_says_nothing_yet() -> None:
    """As the very first one: nobody held anything for any time."""
    found = granted(Kubelet(100, 0, (grant("a", held=0),)), (GPU,), PODS)
    assert found.holds == {WHOLE_GPU: Holds({}, 1, replicated=False)}


def test_processes_that_compute_make_holders() -> None:
    """Those that only draw do not, nor do the system's or the unknown; many count once."""
    device = replace(
        MIG,
        processes=(
            DeviceProcess(1, 10, "MIG-aaa"),
            DeviceProcess(2, None, "MIG-aaa"),
            DeviceProcess(3, 10, "MIG-bbb"),
            DeviceProcess(3, 10),
            DeviceProcess(4, 10, "MIG-bbb", graphics=True),
            DeviceProcess(5, 10, "MIG-ccc"),
            DeviceProcess(6, 10, "MIG-ccc"),
        ),
    )
    accounts = {1: A, 2: A, 3: B, 4: C, 5: Account(SYSTEM)}
    assert claims_by_process(device, accounts) == {
        (GPU.id, "MIG-aaa"): {A: 1},
        (GPU.id, "MIG-bbb"): {B: 1},
        WHOLE_GPU: {B: 1},
    }
    assert claims_by_process(GPU, accounts) == {}
