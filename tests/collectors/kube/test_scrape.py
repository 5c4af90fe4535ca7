"""Pods that say where their metrics page is: what may be said, and that it is read."""

import ipaddress
import string
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unitcost.collectors.kube.roster as roster
import unitcost.collectors.kube.scrape as scrape
from tests.collectors.fake_apiserver import NODE, FakeApiServer, owner, pod, service_account
from tests.collectors.kube.reading import MakeCollector, collect, until
from tests.collectors.listeners import TABLE, Seeker, listener, seeker
from unitcost.collectors.address import parse_url, refused
from unitcost.collectors.base import Target
from unitcost.collectors.discovery.pod_targets import MAX_PODS, own_ports, pod_targets
from unitcost.collectors.kube.api_types import Page, PodObject
from unitcost.collectors.kube.known import KnownPods
from unitcost.collectors.kube.pods import Labels, rows, scrape_faults
from unitcost.collectors.kube.scrape import MAX_PATH, Refused, address_of, scrape_of
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.container import Pod, Scrape
from unitcost.pricing.workload import WorkloadKind

KEYS = ("scrape", "port", "path", "server", "scheme")
LABELS = Labels((), ())


def made(name: str = "web-0", ip: str | None = "10.1.2.3", **said: str) -> dict[str, Any]:
    """A pod with annotations, by the keys' last words."""
    annotations = {f"unitcost.io/{key}": value for key, value in said.items()}
    return pod(name, metadata={"annotations": annotations}, status={"podIP": ip})


def decoded(*pods: dict[str, Any]) -> tuple[PodObject, ...]:
    """The pods as they come from the API server."""
    body = msgspec.json.encode({"items": pods})
    return msgspec.json.decode(body, type=Page[PodObject]).items or ()


def test_what_a_pod_says_is_where_its_page_is() -> None:
    """All of it, and the least of it; a pod that says nothing is not read."""
    one = made(scrape="true", port="8002", path="/v1/metrics", server="triton", scheme="https")
    (row,) = rows(decoded(one), LABELS)
    assert row.scrape == Scrape(8002, "/v1/metrics", "triton", "https")
    assert (row.address, row.kind) == ("10.1.2.3", WorkloadKind.INFERENCE)
    (row,) = rows(decoded(made(scrape="true", port="8000")), LABELS)
    assert row.scrape == Scrape(8000)
    for said in ({}, {"scrape": "false", "port": "8000"}, {"port": "8000"}):
        (row,) = rows(decoded(made(**said)), LABELS)
        assert row.scrape is None
        assert row.kind is WorkloadKind.OTHER


def test_labels_do_where_they_can_say_it() -> None:
    """Annotations come first."""
    labels = {"unitcost.io/scrape": "true", "unitcost.io/port": "8000"}
    metadata = {"labels": labels, "annotations": {"unitcost.io/port": "9000"}}
    (row,) = rows(decoded(pod("a", metadata=metadata)), LABELS)
    assert row.scrape == Scrape(9000)


def test_a_pod_whose_sidecar_counts_is_not_read() -> None:
    """Though it says where its page is; it is still a server, and charged as one."""
    one = made(units="sidecar", scrape="true", port="8000")
    (row,) = rows(decoded(one), LABELS)
    assert (row.scrape, row.counts_itself, row.kind) == (None, True, WorkloadKind.INFERENCE)
    (other,) = rows(decoded(made(units="agent")), LABELS)
    assert not other.counts_itself
    (fault,) = scrape_faults(decoded(made(units="agent")))
    assert "unitcost.io/units must be sidecar" in fault


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scrape", "yes"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "80a"),
        ("port", "٨٠٠٠"),
        ("path", "metrics"),
        ("path", "/a b"),
        ("path", "/a#b"),
        ("path", "/a\\b"),
        ("path", "/" + "a" * MAX_PATH),
        ("path", "/@evil"),
        ("server", "a b"),
        ("server", "x" * 65),
        ("scheme", "file"),
    ],
)
def test_what_cannot_be_used_is_told_with_the_pod_and_the_key(key: str, value: str) -> None:
    """And that pod is not read; others are."""
    said = {"scrape": "true", "port": "8000", key: value}
    found = decoded(made(**said), made("fine", scrape="true", port="8000"))
    (fault,) = scrape_faults(found)
    assert fault.startswith(f"default/web-0: unitcost.io/{key} must be")
    assert value not in fault or value in ("0",)
    assert [row.scrape for row in rows(found, LABELS)] == [None, Scrape(8000)]


def test_a_pod_without_a_port_cannot_be_read() -> None:
    """It is not guessed."""
    with pytest.raises(Refused, match="/port must"):
        scrape_of(decoded(made(scrape="true"))[0])


@pytest.mark.parametrize(
    "ip",
    [
        *(None, "", "x", "127.0.0.1", "::1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "::"),
        *("224.0.0.1", "255.255.255.255", "100.100.100.200"),
        *("::ffff:127.0.0.1", "::ffff:169.254.1.1"),
    ],
)
def test_an_address_that_is_no_pods_is_none(ip: str | None) -> None:
    """Loopback, link-local, metadata services, multicast and junk."""
    assert address_of(decoded(made(ip=ip))[0]) == ""


text = st.one_of(
    st.sampled_from(["true", "http", "8000", "/metrics", "", "/", "/x?y=z", "auto"]),
    st.text(st.sampled_from(string.printable + "\u0661\x00\u202e"), max_size=300),
)


@given(st.dictionaries(st.sampled_from(KEYS), text), st.one_of(st.ip_addresses().map(str), text))
def test_whatever_a_pod_says_leads_to_itself_or_nowhere(said: dict[str, str], ip: str) -> None:
    """To its own address and the port it named, by a URL that says just that."""
    found = rows(decoded(made(ip=ip, **said)), LABELS)
    targets, problems = pod_targets(found, ())
    assert problems == []
    for target in targets:
        place = parse_url(target.url)
        assert ipaddress.ip_address(place.host) == ipaddress.ip_address(ip)
        assert refused(place.host) is None
        assert not ipaddress.ip_address(place.host).is_loopback
        assert said["scrape"] == "true"
        assert place.port == int(said["port"])
        assert place.target == (said.get("path") or "/metrics")
        assert (target.workload, target.pod) == ("", "default/web-0")


def test_a_pod_that_ended_or_is_gone_has_no_address() -> None:
    """Another pod may have it by now."""
    over = made(scrape="true", port="8000") | {
        "status": {"phase": "Succeeded", "podIP": "10.1.2.3"}
    }
    (row,) = rows(decoded(over), LABELS)
    assert (row.address, row.scrape) == ("", None)
    known = KnownPods()
    known.update(rows(decoded(made(scrape="true", port="8000")), LABELS))
    known.update(())
    (gone,) = known.take((), dict)
    assert (gone.address, gone.scrape) == ("", None)
    (_, guessed) = (
        known.take([("default", "web-0")], dict),
        known.take([("default", "web-1")], dict),
    )
    assert all(each.scrape is None for each in guessed)


def a_pod(number: int, address: str, port: int = 8000) -> Pod:
    """A pod that is to be read."""
    name = f"web-{number}"
    return Pod(f"u{number}", "ns", name, "ns/StatefulSet/web", address=address, scrape=Scrape(port))


def test_there_are_limits_and_nobody_is_read_twice() -> None:
    """256 pods; what the configuration reads is left out, and so is who shares a page."""
    many = [a_pod(n, f"10.0.{n // 250}.{n % 250 + 1}") for n in range(300)]
    targets, problems = pod_targets(many, ())
    assert len(targets) == MAX_PODS
    assert [problem.kind for problem in problems] == ["pod"]
    own = Target("http://10.0.0.1:8000/x", "chat", WorkloadKind.INFERENCE)
    targets, _ = pod_targets(
        [a_pod(1, "10.0.0.1"), a_pod(2, "10.0.0.2"), a_pod(3, "10.0.0.2")], [own]
    )
    assert [target.pod for target in targets] == ["ns/web-3"]
    assert targets[0].url == "http://10.0.0.2:8000/metrics"
    (six, _) = pod_targets([a_pod(1, "2001:db8::1")], ())
    assert six[0].url == "http://[2001:db8::1]:8000/metrics"


def test_a_pod_on_the_hosts_network_is_not_discovered_as_a_process_too(tmp_path: Path) -> None:
    """Its port is read as the pod's. (127.0.0.1 stands for the host's address.)"""
    with listener(tmp_path) as server, seeker() as looking:
        pods = (a_pod(1, "127.0.0.1", server.port),)
        assert own_ports(pods) == {server.port}
        (found,) = _look(looking, pods)
        assert server.asked == []
    assert (found.pod, found.workload, found.fallback) == ("ns/web-1", "", "ns/StatefulSet/web")


def _look(looking: Seeker, pods: tuple[Pod, ...]) -> list[Target]:
    looking.look(pods=pods)
    return [each.target for each in looking.look(11.0, pods)]


def test_pods_of_this_node_come_and_go(
    api: FakeApiServer,
    make: MakeCollector,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the API server to a target. Pods have loopback addresses here, for want of others."""
    monkeypatch.setattr(scrape, "is_loopback", lambda _: False)
    monkeypatch.setattr(roster, "_PERIOD", 0.05)
    monkeypatch.setattr(roster, "_LEAST", 0.05)
    host, _, port = api.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setenv("NODE_NAME", NODE)
    account = str(service_account(tmp_path / "account", certificate[0]))
    web = {"scrape": "true", "port": "8000"}
    api.pods = [made("web-x7k2p", "127.0.0.7", **web), made("bad", scrape="maybe"), made("db")]
    api.pods[0]["metadata"] |= owner("ReplicaSet", "web")
    collector = make(service_account=account)
    reading = validate(collect(collector))
    assert [(p.kind, p.detail.partition(" must")[0]) for p in reading.problems] == [
        ("annotation", "default/bad: unitcost.io/scrape")
    ]
    assert collect(collector).problems == ()
    with seeker(tables=(TABLE,)) as looking:
        (target,) = _look(looking, reading.pods or ())
        assert target.url == "http://127.0.0.7:8000/metrics"
        assert (target.pod, target.fallback) == ("default/web-x7k2p", "default/ReplicaSet/web")
        api.pods = api.pods[1:]
        until(lambda: not _look(looking, collect(collector).pods or ()))
