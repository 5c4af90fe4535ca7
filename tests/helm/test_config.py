"""Every unitcost.yaml that the chart writes is one that the agent takes."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.charts import Charts, agent_of, configuration, merged, pod_of, the
from tests.helm.options import CENTRAL, DAEMONSET, DEPLOYMENT, FLEET, SIDECAR, WEB, Values
from unitcost.exporter import cli
from unitcost.exporter.config.central import load_central

pytestmark = pytest.mark.real
DATABASE: Values = {
    "secretMounts": [{"name": "ledger", "secret": "ledger"}],
    "config": {"ledger": {"database_url_file": "/etc/unitcost-secrets/ledger/url"}},
}
RICH: Values = {
    "config": {
        "price": {"usd_per_hour": 98.32, "split": {"rest_usd_per_hour": 0.0625}},
        "timezone": "Europe/Berlin",
        "budgets": [{"name": "chat", "usd": 1234567890, "period": "month"}],
        "collectors": {"kubernetes": {"owner_labels": ["team"]}, "rapl": {"enabled": True}},
        "log": {"format": "json"},
    }
}


def checked(text: str, folder: Path) -> None:
    """Check it as an agent with these mounts would."""
    assert cli.main(["check-config", str(placed(text, folder))]) == 0


def taken_in(text: str, folder: Path) -> None:
    """Check it as `unitcost central` would."""
    settings = load_central(str(placed(text, folder)))
    assert settings.web.port == yaml.safe_load(text)["web"]["port"]


def placed(text: str, folder: Path) -> Path:
    """The file, with a folder of the test's in the place of what is mounted, secrets included."""
    text = text.replace("/var/lib/unitcost", f"{folder}/ledger")
    text = text.replace("/etc/unitcost-secrets", f"{folder}/secrets")
    for value in _files(yaml.safe_load(text), f"{folder}/secrets/"):
        path = Path(value)
        path.parent.mkdir(parents=True, exist_ok=True)
        web = path.parent.name == "web"
        path.write_text("{}\n" if web else "https://example.com/hook\n", encoding="utf-8")
        path.chmod(0o600)
    file = folder / "unitcost.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def _files(value: Any, below: str) -> list[str]:
    if isinstance(value, dict):
        return [found for each in value.values() for found in _files(each, below)]
    return [value] if isinstance(value, str) and value.startswith(below) else []


@pytest.mark.parametrize("name", [*DAEMONSET, "rich", "web", "database"])
def test_the_agent_takes_it(
    charts: Charts, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With each option; what it warns of is only that nothing has a price."""
    values = {**DAEMONSET, "rich": RICH, "web": WEB, "database": DATABASE}[name]
    checked(configuration(charts.render(values)), tmp_path)
    said = capsys.readouterr()
    warnings = [line for line in said.err.splitlines() if "unpriced" not in line]
    assert warnings == []


@pytest.mark.parametrize("scope", ["pod", "units"])
@pytest.mark.parametrize("name", SIDECAR)
def test_the_sidecar_takes_it(beside: Charts, name: str, scope: str, tmp_path: Path) -> None:
    """With each option, in each scope."""
    values: Values = {**SIDECAR[name], "sidecar": {"scope": scope}}
    checked(configuration(beside.render({"unitcost": values})), tmp_path)


def test_an_agent_that_sends_takes_it(charts: Charts, tmp_path: Path) -> None:
    """To the fleet's ledger, with a token from a secret."""
    checked(configuration(charts.render(CENTRAL)), tmp_path)


@pytest.mark.parametrize("name", DEPLOYMENT)
def test_the_fleet_s_ledger_takes_it(charts: Charts, name: str, tmp_path: Path) -> None:
    """With each option; it has a file of its own kind."""
    taken_in(configuration(charts.render(merged(FLEET, DEPLOYMENT[name]))), tmp_path)


def test_what_the_user_says_goes_first(charts: Charts) -> None:
    """And leaves what the chart says beside it; numbers stay what they were."""
    said = yaml.safe_load(configuration(charts.render(RICH)))
    assert said["price"] == RICH["config"]["price"]
    assert said["budgets"][0]["usd"] == 1234567890
    assert said["collectors"]["kubernetes"]["owner_labels"] == ["team"]
    assert said["collectors"]["kubernetes"]["enabled"] is True
    assert said["collectors"]["rapl"] == {"enabled": True, "sysfs": "/host/sys"}


@pytest.mark.parametrize("name", DAEMONSET)
def test_what_it_reads_is_mounted(charts: Charts, name: str) -> None:
    """No collector that is on looks at a folder that is not there."""
    manifests = charts.render(DAEMONSET[name])
    said = yaml.safe_load(configuration(manifests))
    agent = agent_of(pod_of(the(manifests, "DaemonSet")))
    mounted = ["/proc", "/sys", *(each["mountPath"] for each in agent["volumeMounts"])]
    read = {
        path
        for section in said["collectors"].values()
        if section.get("enabled", True)
        for value in section.values()
        for path in (value if isinstance(value, list) else [value])
        if isinstance(path, str) and path.startswith("/")
    }
    read |= {said["ledger"]["path"]}
    assert read
    assert {path for path in read if not _below(path, mounted)} == set()


def _below(path: str, folders: list[str]) -> bool:
    return any(os.path.commonpath([path, folder]) == folder for folder in folders)
