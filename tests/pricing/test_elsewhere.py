"""Units of pods whose own sidecar counts them: left out, and nothing else is."""

from unitcost.pricing.container import Pod, PodContainer
from unitcost.pricing.elsewhere import counted_elsewhere
from unitcost.pricing.sample import Process, Subject
from unitcost.pricing.workload import WorkloadKind

UID, OTHER = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
STATIC, ANY = "c" * 64, "d" * 64


def pod(name: str, uid: str, *containers: str, itself: bool = True) -> Pod:
    """A pod of the node."""
    found = tuple(PodContainer("main", each) for each in containers)
    return Pod(uid, "shop", name, f"shop/Deployment/{name}", containers=found, counts_itself=itself)


def process(pid: int, uid: str, container: str = ANY) -> Process:
    """A process in a container."""
    return Process(pid, 7, 1, 0, 0, 0, cgroup=f"/kubepods/pod{uid}/{container}")


def subject(name: str, pid: int | None = None, of: str = "", started: int = 7) -> Subject:
    """Something that counts."""
    since = None if pid is None else started
    return Subject(name, "w", WorkloadKind.INFERENCE, pid=pid, started=since, pod=of)


def test_by_the_pod_that_was_read_or_the_process_that_counts() -> None:
    """By uid, and by container id where the uid on the node is another (a static pod)."""
    pods = [pod("chat", UID), pod("static", "mirror", STATIC), pod("plain", OTHER, itself=False)]
    processes = [process(10, UID), process(11, OTHER, STATIC), process(12, OTHER)]
    subjects = [
        subject("page", of="shop/chat"),
        subject("job", 10),
        subject("static", 11),
        subject("of another", 12),
        subject("before", 10, started=6),
        subject("page of another", of="shop/plain"),
        subject("configured"),
    ]
    assert counted_elsewhere(subjects, processes, pods) == {"page", "job", "static"}


def test_where_no_pod_says_so_nothing_is_left_out() -> None:
    """Nor is a subject without a process, for want of one."""
    subjects = [subject("configured"), subject("job", 12)]
    assert not counted_elsewhere(subjects, [process(12, OTHER)], [pod("p", OTHER, itself=False)])
    assert not counted_elsewhere(subjects, [], [pod("chat", UID)])
