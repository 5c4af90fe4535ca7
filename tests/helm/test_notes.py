"""What Helm says after an install: what to look at next, in each mode."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.helm.charts import Charts, agent_of, merged, pod_of, the
from tests.helm.options import DAEMONSET, DEPLOYMENT, FLEET, Values
from unitcost.exporter import cli

pytestmark = pytest.mark.real
SHOWN = """apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data:
  notes: {{ include "unitcost.notes" . | quote }}
"""


@pytest.fixture(scope="module")
def telling(charts: Charts, tmp_path_factory: pytest.TempPathFactory) -> Charts:
    """The chart with its notes as an object: `helm template` leaves them out."""
    folder = tmp_path_factory.mktemp("notes") / "unitcost"
    shutil.copytree(charts.folder, folder)
    (folder / "templates" / "shown.yaml").write_text(SHOWN, encoding="utf-8")
    return Charts(charts.helm, folder)


def notes(telling: Charts, values: Values) -> str:
    """The text."""
    (found,) = [each for each in telling.render(values) if each["metadata"]["name"] == "notes"]
    return str(found["data"]["notes"])


def test_the_node_s_agent(telling: Charts) -> None:
    """Its objects by their names, and commands that there are."""
    text = notes(telling, {})
    daemon = the(telling.render(), "DaemonSet")["metadata"]["name"]
    assert f"rollout status daemonset/{daemon}" in text
    assert "Nothing has a price yet" in text
    assert "image.repository" in text
    assert "split equally" in text
    (command,) = re.findall(r"-- unitcost (\w+)", text)
    assert cli.main([command, "--help"]) == 0


def test_what_is_done_is_not_asked_for(telling: Charts) -> None:
    """With a price, an image, processes and a monitor there is nothing left of it."""
    values = {**DAEMONSET["host"], **DAEMONSET["pod monitor"], **DAEMONSET["config"]}
    text = notes(telling, {**values, "image": {"repository": "example.com/unitcost"}})
    for done in ("no dollars", "image.repository", "split equally", "Nobody scrapes"):
        assert done not in text


def test_the_fleet_s_ledger(telling: Charts) -> None:
    """How agents reach it, once they can."""
    assert "nothing ends TLS yet" in notes(telling, FLEET)
    text = notes(telling, merged(FLEET, DEPLOYMENT["reached from outside"]))
    assert 'url: "https://costs.example.com"' in text
    text = notes(telling, merged(FLEET, DEPLOYMENT["by TLS of its own"]))
    assert 'url: "https://u-unitcost.finops.svc:9842"' in text
    assert "no dollars" not in text


@pytest.mark.parametrize("version", ["1.28", "1.29"])
def test_the_sidecar_s_snippet_is_what_the_template_adds(
    telling: Charts, beside: Charts, version: str, root: Path
) -> None:
    """For those who have no chart of their own: the same container, without what needs the pod."""
    (found,) = [
        each
        for each in telling.render({"mode": "sidecar"}, version)
        if each["metadata"]["name"] == "notes"
    ]
    snippet = re.search(r"^    - .*?(?=^\*)", found["data"]["notes"], re.MULTILINE | re.DOTALL)
    assert snippet
    containers, _, volumes = snippet[0].partition("    volumes:\n")
    (shown,) = yaml.safe_load(containers)
    pod = pod_of(the(beside.render({}, version), "Deployment"))
    agent = agent_of(pod)
    names = {each["name"] for each in shown["env"]}
    agent["env"] = [each for each in agent["env"] if each["name"] in names]
    assert "UNITCOST_POD_GPUS" not in names  # it cannot be known, and is no zero
    assert shown == agent
    given = {each["name"]: each for each in pod["volumes"]}
    for volume in yaml.safe_load(volumes):
        assert volume["name"] in given
