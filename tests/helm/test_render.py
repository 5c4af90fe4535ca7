"""Every mode and option renders to what Kubernetes takes, from the oldest version to the newest."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helm.charts import NEWEST, OLDEST, Charts, Refused, agent_of, merged, pod_of, the
from tests.helm.options import CENTRAL, DAEMONSET, DEPLOYMENT, FLEET, SIDECAR, WEB, Values
from tests.helm.valid import VERSIONS, faults

pytestmark = pytest.mark.real
EVERYTHING: Values = {}
for _name, _values in DAEMONSET.items():
    if _name not in ("everything off", "service monitor", "scheduling of others"):
        EVERYTHING = merged(EVERYTHING, _values)


def test_helm_s_own_check_has_nothing_to_say(charts: Charts) -> None:
    """With warnings as errors; in each mode."""
    command = [str(charts.helm), "lint", "--strict", str(charts.folder), "-f", "-"]
    for values in ({}, {"mode": "sidecar"}, FLEET):
        given = json.dumps(values)
        run = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_the_node_s_agent_is_valid(charts: Charts, version: str) -> None:
    """As it comes, for every version of Kubernetes."""
    assert faults(charts.render({}, version), version) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sidecar_is_valid(beside: Charts, version: str) -> None:
    """In a pod of somebody else's."""
    assert faults(beside.render({}, version), version) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_fleet_s_ledger_is_valid(charts: Charts, version: str) -> None:
    """With a way in from outside."""
    values = merged(FLEET, DEPLOYMENT["reached from outside"])
    assert faults(charts.render(values, version), version) == []


OTHERS = {"web": WEB, "central": CENTRAL, "everything": EVERYTHING}
OTHERS["certificates"] = merged(WEB, {"web": {"clientCertificates": True}})


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", DEPLOYMENT)
def test_each_option_of_the_fleet_s_ledger_is_valid(
    charts: Charts, name: str, version: str
) -> None:
    """One by one."""
    assert faults(charts.render(merged(FLEET, DEPLOYMENT[name]), version), version) == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", [*DAEMONSET, *OTHERS])
def test_each_option_is_valid(charts: Charts, name: str, version: str) -> None:
    """Alone, and all of them together."""
    values = DAEMONSET.get(name) or OTHERS[name]
    assert faults(charts.render(values, version), version) == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", [*SIDECAR, "web"])
def test_each_option_of_the_sidecar_is_valid(beside: Charts, name: str, version: str) -> None:
    """Whether or not Kubernetes knows of sidecars."""
    values = {"unitcost": SIDECAR.get(name, WEB)}
    assert faults(beside.render(values, version), version) == []


def test_what_is_invalid_is_noticed(charts: Charts) -> None:
    """The check above would fail: for an unknown field, and for a wrong type."""
    manifests = charts.render()
    agent = agent_of(pod_of(the(manifests, "DaemonSet")))
    agent["imagePullPolice"] = "Always"
    agent["env"][0]["name"] = 1
    assert len(faults(manifests, NEWEST)) == 2


def test_a_kubernetes_that_is_too_old_is_refused(charts: Charts) -> None:
    """By the chart itself."""
    with pytest.raises(Refused, match="kubeVersion"):
        charts.render({}, "1.24")


def test_the_image_is_of_the_project_s_version(charts: Charts, root: Path) -> None:
    """Chart, image and project have one version."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((charts.folder / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == project["version"]
    agent = agent_of(pod_of(the(charts.render(), "DaemonSet")))
    assert agent["image"] == f"unitcost:{project['version']}"
    values = yaml.safe_load((charts.folder / "values.yaml").read_text(encoding="utf-8"))
    user = values["sidecar"]["runAsUser"]
    assert f"\nUSER {user}:{user}\n" in (root / "Dockerfile").read_text(encoding="utf-8")


def test_a_change_of_the_configuration_replaces_the_pods(charts: Charts) -> None:
    """By a checksum; and nothing else does."""

    def checksum(values: Values) -> str:
        template = the(charts.render(values), "DaemonSet")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    priced = {"config": {"price": {"usd_per_hour": 2}}}
    assert checksum(priced) != checksum({})
    assert checksum({"image": {"tag": "other"}}) == checksum({})


def test_two_agents_never_share_a_ledger(charts: Charts) -> None:
    """The old pod ends before the new one starts."""
    strategy = the(charts.render(), "DaemonSet")["spec"]["updateStrategy"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    }
