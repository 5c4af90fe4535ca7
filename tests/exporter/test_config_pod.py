"""What a configuration and the environment say of the pod we are in, and what is refused."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.exporter.config.load import ConfigError, Loaded, loads
from unitcost.exporter.settling.pod import pod_rule
from unitcost.exporter.settling.rules import rules_of
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import Quantity
from unitcost.pricing.tenants import Request
from unitcost.pricing.workload import Account, WorkloadKind

STATE = {"XDG_STATE_HOME": "/tmp"}  # noqa: S108 - never written to
ENVIRON = {
    "NODE_NAME": "node-1",
    "POD_NAMESPACE": "shop",
    "POD_NAME": "chat-7d9-x2x4z",
    "POD_UID": "uid-1",
    "UNITCOST_POD_GPUS": "2",
    "UNITCOST_POD_CPU_MILLI_SERVER": "7500",
    "UNITCOST_POD_CPU_MILLI_UNITCOST": "20",
    "UNITCOST_POD_MEMORY_BYTES_SERVER": str(64 * GIB),
    "UNITCOST_POD_MEMORY_BYTES_UNITCOST": "83886081",
}
POD = "host: {scope: pod}\nprice: {usd_per_hour: 1}\n"


def load(text: str, environ: dict[str, str] = ENVIRON) -> Loaded:
    """A configuration in that environment."""
    return loads(text, environ=STATE | environ, folder=Path("/"))


def test_the_environment_says_what_the_file_leaves_out() -> None:
    """Requests are the sum over containers, exactly; the host is the node."""
    loaded = load(POD)
    rule = rules_of(loaded.settings).pod
    assert rule is not None
    assert rule.account == Account("shop/Pod/chat-7d9-x2x4z")
    assert rule.request == Request(7520, 64 * GIB + 83_886_081)
    assert (rule.gpus, rule.uid, rule.kind) == (2, "uid-1", WorkloadKind.INFERENCE)
    assert loaded.settings.host.name == "node-1"
    assert loaded.warnings == ()


def test_the_file_comes_before_the_environment() -> None:
    """All of it."""
    said = "{workload: shop/Deployment/chat, kind: training, cpu: 1.5, memory_gib: 2, gpus: 0}"
    text = f"host:\n  scope: pod\n  name: n\n  pod: {said}\n  size: {{cores: 96, gpus: 8}}\n"
    rule = rules_of(load(text + "price: {usd_per_hour: 1}\n").settings).pod
    assert rule is not None
    assert rule.account == Account("shop/Deployment/chat")
    assert rule.request == Request(1500, 2 * GIB)
    assert (rule.gpus, rule.kind) == (0, WorkloadKind.TRAINING)
    assert rule.size == ((Quantity.CPU_CAPACITY, 96.0), (Quantity.DEVICES_PRESENT, 8.0))


def test_the_only_workload_names_the_pod() -> None:
    """Unless the environment does; of several none does."""
    one = POD + "workloads: [{name: chat, match: {command: x}}]\n"
    pod = load(one).settings.host.pod
    assert pod is not None
    assert pod.workload == "chat"
    named = load(one, ENVIRON | {"UNITCOST_POD_WORKLOAD": "a/Job/b"}).settings.host.pod
    assert named is not None
    assert named.workload == "a/Job/b"
    two = POD + "workloads: [{name: a, match: {command: x}}, {name: b, match: {command: y}}]\n"
    both = load(two).settings.host.pod
    assert both is not None
    assert both.workload == "shop/Pod/chat-7d9-x2x4z"


def test_unknown_requests_are_none_and_told() -> None:
    """Only what is used is charged then."""
    loaded = load(POD, {"POD_NAME": "p"})
    assert loaded.settings.host.pod is not None
    assert loaded.settings.host.pod.cpu is None
    assert [line.split(":")[0] for line in loaded.warnings] == ["host.pod"]
    assert "cpu and memory_gib" in loaded.warnings[0]


def test_only_an_exporter_beside_a_workload_is_in_a_pod() -> None:
    """An agent on a node has these variables, too; one that counts units has them only in a pod."""
    assert load("host: {scope: host}").settings.host.pod is None
    assert pod_rule(load("host: {scope: host}").settings) is None
    assert load("host: {scope: units}", {"NODE_NAME": "n"}).settings.host.pod is None
    units = load("host: {scope: units}").settings.host.pod
    assert units is not None
    assert units.cpu == Decimal("7.52")


def test_in_a_pod_the_cluster_is_not_watched_unless_somebody_wants_it() -> None:
    """Its pods' pages would be read by each of its sidecars."""
    assert "kubernetes" not in {each.name for each in load(POD).collectors}
    wanted = POD + "collectors: {kubernetes: {enabled: true}}\n"
    assert "kubernetes" in {each.name for each in load(wanted).collectors}
    assert "kubernetes" in {each.name for each in load("price: {usd_per_hour: 1}").collectors}


@pytest.mark.parametrize(
    ("text", "environ", "key", "problem"),
    [
        ("host: {pod: {gpus: 1}}", {}, "host.pod", "is for scope: pod and scope: units"),
        ("host: {scope: units, size: {gpus: 8}}", {}, "host.size", "is for scope: pod"),
        (
            "host: {scope: pod}\n"
            "price: {owned: {purchase_usd: 1, life_years: 1, electricity: none}}",
            {},
            "price.owned",
            "state usd_per_hour or lookup",
        ),
        (
            POD.replace("1}", "1, split: {rest_usd_per_hour: 1}}"),
            {},
            "price.split.rest_usd_per_hour",
            "not with host.scope pod",
        ),
        (POD, {"UNITCOST_POD_CPU_MILLI_A": "0.5"}, "host.pod.cpu", "UNITCOST_POD_CPU_MILLI_A"),
        (POD, {"UNITCOST_POD_MEMORY_BYTES_A": "-1"}, "host.pod.memory_gib", "a whole number"),
        (POD, {"UNITCOST_POD_GPUS": "one"}, "host.pod.gpus", "got 'one'"),
        (POD, {"UNITCOST_POD_WORKLOAD": "__system__"}, "host.pod.workload", "reserved"),
        ("host: {scope: pod, pod: {gpus: 1.5}}", {}, "host.pod.gpus", "a whole number"),
    ],
)
def test_what_is_refused_is_named(
    text: str, environ: dict[str, str], key: str, problem: str
) -> None:
    """One line with the key, and the variable where it is one's."""
    with pytest.raises(ConfigError) as raised:
        load(text, environ)
    assert raised.value.key == key
    assert problem in raised.value.problem


@given(st.dictionaries(st.sampled_from(sorted(ENVIRON)), st.text(max_size=30)))
def test_junk_in_the_environment_is_a_mistake_or_a_name(environ: dict[str, str]) -> None:
    """Never another exception, never a number that nobody wrote."""
    pod = None
    key = "host."
    try:
        pod = load(POD, environ).settings.host.pod
    except ConfigError as error:
        key = error.key
    assert key.startswith("host.")
    if pod is not None:
        assert pod.workload.isprintable()
        assert pod.gpus is None or pod.gpus == int(environ["UNITCOST_POD_GPUS"])
