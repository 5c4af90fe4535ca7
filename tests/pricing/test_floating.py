"""Servers that nobody configured land on the workload that has their process or pod anyway."""

from dataclasses import replace
from typing import Any

import pytest

from unitcost.pricing.container import Pod
from unitcost.pricing.floating import Ground, landed
from unitcost.pricing.sample import Process, Subject
from unitcost.pricing.workload import OVERFLOW, SYSTEM, Account, WorkloadKind

FOUND = Subject(
    "server:8000",
    "",
    WorkloadKind.INFERENCE,
    pid=7,
    started=70,
    port=8000,
    fallback="vllm:8000",
)
OWN = replace(FOUND, workload="vllm:8000")
"""It is a workload of its own, and claims its process."""
IDENTITY = "7@70"


def process(command: str = "/usr/bin/vllm serve", cgroup: str = "") -> Process:
    """The server's process."""
    return Process(7, 70, 1, 0, 0, 0, command, cgroup=cgroup)


def pod(name: str, workload: str) -> Pod:
    """A pod of a workload."""
    return Pod("uid", "team", name, workload, WorkloadKind.OTHER, "", "", 1, ())


def land(subject: Subject = FOUND, account: str | None = None, **ground: Any) -> list[Subject]:
    """Where one lands whose process is on an account."""
    accounts = {} if account is None else {IDENTITY: Account(account)}
    return list(landed([subject], Ground(accounts, **ground)))


def test_one_with_a_workload_stays_where_it_is() -> None:
    """Alone or among others, in their order."""
    named = replace(FOUND, id="server:1", workload="chat")
    assert landed([named], Ground()) == (named,)
    lost = replace(FOUND, pid=None)
    assert landed(iter([named, lost]), Ground()) == (named, replace(lost, workload="vllm:8000"))


def test_a_process_that_is_a_workload_s_brings_its_server() -> None:
    """Which claims nothing: its process may become another's."""
    expected = replace(FOUND, workload="chat", pid=None, started=None, port=None)
    assert land(account="chat") == [expected]
    assert land(account="chat", processes=[process("/usr/bin/other")]) == [expected]


@pytest.mark.parametrize("nobody", [SYSTEM, OVERFLOW, "vllm:8000"])
def test_a_process_that_is_nobody_s_is_the_server_s(nobody: str) -> None:
    """Also in the second round, when it has its own name already."""
    assert land(account=nobody) == [OWN]


def test_a_process_known_by_its_program_alone_is_the_server_s() -> None:
    """Unless the configuration names a workload so."""
    assert land(account="vllm", processes=[process()]) == [OWN]
    named = land(account="vllm", processes=[process()], named=frozenset({"vllm"}))
    assert named == [replace(FOUND, workload="vllm", pid=None, started=None, port=None)]
    unit = process(cgroup="/system.slice/vllm.service")
    assert land(account="vllm", processes=[unit]) == [OWN]


def test_a_container_without_a_pod_is_no_name() -> None:
    """Its id is another after each start."""
    assert land(account="container/abc") == [OWN]
    named = land(account="container/abc", named=frozenset({"container/abc"}))
    assert named[0].workload == "container/abc"


def test_of_whom_nothing_is_known_yet_is_left_out() -> None:
    """Until its process has been seen; one whose process cannot be told is its own."""
    assert land() == []
    other = Ground({"8@70": Account("chat"), "7@71": Account("chat")})
    assert landed([FOUND], other) == ()
    for half in ({"pid": None}, {"started": None}):
        subject = replace(FOUND, **half)  # type: ignore[arg-type] # as given
        assert land(subject, "chat") == [replace(subject, workload="vllm:8000")]


def test_a_pod_is_its_controller_s() -> None:
    """By its namespace and name; whose pod is not known yet is left out."""
    subject = replace(FOUND, pod="team/chat-0")
    pods = [pod("chat-1", "team/Deployment/other"), pod("chat-0", "team/Deployment/chat")]
    (found,) = land(subject, "ignored", pods=pods)
    assert found == replace(
        subject, workload="team/Deployment/chat", pid=None, started=None, port=None
    )
    assert land(subject, "ignored", pods=pods[:1]) == []
    assert land(subject, pods=[pod("chat-0", "")]) == []


def test_a_pod_s_name_is_cleaned() -> None:
    """It comes from outside."""
    (found,) = land(replace(FOUND, pod="team/chat-0"), pods=[pod("chat-0", " __system__ ")])
    assert found.workload == "___system__"
