"""What each mode installs, line by line, and that a new version keeps what an old one had.

Recorded anew with UNITCOST_WRITE_GOLDEN=1; look at the difference before you keep it. The files of
a version that was released, tests/golden/helm/VERSION-*.yaml, stay as they are.
"""

import os
from pathlib import Path

import pytest
import yaml

from tests.helm.charts import LOADER, Charts, Manifest, agent_of, merged, pod_of, the
from tests.helm.options import CENTRAL, DAEMONSET, DEPLOYMENT, FLEET, WEB, Values

pytestmark = pytest.mark.real
GOLDEN = Path(__file__).parents[1] / "golden" / "helm"
FIRST = "0.1.0-daemonset.yaml"
ALL: Values = {}
for _name in ("config", "api", "host", "training", "secrets", "pod monitor", "network"):
    ALL = merged(ALL, DAEMONSET[_name])
ALL = merged(ALL, CENTRAL)
CASES: dict[str, Values] = {
    "daemonset": {},
    "daemonset-options": ALL,
    "daemonset-web": WEB,
    "deployment": FLEET,
    "deployment-ingress": merged(FLEET, DEPLOYMENT["reached from outside"]),
}


def compare(name: str, text: str) -> None:
    """With what was recorded."""
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UNITCOST_WRITE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_what_is_installed_is_what_was_recorded(charts: Charts, name: str) -> None:
    """Each mode as it comes, with options, and behind TLS."""
    compare(name, charts.text(CASES[name]))


@pytest.mark.parametrize("version", ["1.28", "1.29"])
def test_the_sidecar_is_what_was_recorded(beside: Charts, version: str) -> None:
    """For a Kubernetes that knows sidecars and for one that does not."""
    compare(f"sidecar-{version}", beside.text({}, version))


def test_an_upgrade_from_the_first_version_keeps_ledger_and_daemonset(charts: Charts) -> None:
    """Kubernetes refuses another selector, and another folder would be another ledger."""
    text = (GOLDEN / FIRST).read_text(encoding="utf-8")
    first = the([each for each in yaml.load_all(text, Loader=LOADER) if each], "DaemonSet")
    today = the(charts.render(), "DaemonSet")
    assert first["metadata"]["name"] == today["metadata"]["name"]
    assert first["spec"]["selector"] == today["spec"]["selector"]
    labels = today["spec"]["template"]["metadata"]["labels"]
    assert first["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert _ledger(first) == _ledger(today)


def _ledger(daemon: Manifest) -> tuple[str, str, list[Manifest]]:
    """Where it lies on the node, where the agent has it, and under which name it keeps charges."""
    pod = pod_of(daemon)
    (volume,) = [each for each in pod["volumes"] if each["name"] == "ledger"]
    agent = agent_of(pod)
    (mount,) = [each for each in agent["volumeMounts"] if each["name"] == "ledger"]
    named = [each for each in agent["env"] if each["name"] == "NODE_NAME"]
    return volume["hostPath"]["path"], mount["mountPath"], named
