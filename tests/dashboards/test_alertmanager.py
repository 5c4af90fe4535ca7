"""Alertmanager's files: accepted by amtool, who is told of what, and how a message reads."""

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from unitcost.dashboards.build import build, write
from unitcost.dashboards.rules.alertmanager import HOSTS_DATA, OTHERS, RECEIVER
from unitcost.dashboards.rules.all_rules import all_alerts
from unitcost.dashboards.settings import Settings

Amtool = Callable[..., str]


@pytest.fixture(scope="module")
def amtool(tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]) -> Amtool:
    """Runs amtool beside the generated files; what it prints."""
    made = tmp_path_factory.mktemp("alertmanager")
    write(Settings(), made)

    def ran(*arguments: str, folder: Path = made / "alertmanager") -> str:
        command = [str(real_tool("amtool")), *arguments]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    return ran


@cache
def config(made: Settings) -> dict[str, Any]:
    """The generated configuration."""
    return dict(yaml.safe_load(build(made)["alertmanager/alertmanager.yml"]))


@pytest.mark.real
def test_amtool_accepts_it(amtool: Amtool, tmp_path: Path) -> None:
    """With its templates, at another time scale, too."""
    write(Settings(time_scale=1000), tmp_path)
    said = amtool("check-config", "alertmanager.yml")
    quick = amtool("check-config", "alertmanager.yml", folder=tmp_path / "alertmanager")
    assert said == quick
    assert "1 templates" in said
    assert "4 inhibit rules" in said


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "told"), [("UnitcostDriftFast", RECEIVER), ("NodeDown", OTHERS), ("", OTHERS)]
)
def test_only_our_alerts_come_to_our_channel(amtool: Amtool, name: str, told: str) -> None:
    """The rest stays with whoever had it."""
    route = ("config", "routes", "test", "--config.file=alertmanager.yml")
    assert amtool(*route, f"alertname={name}", "severity=warning").strip() == told


def test_what_is_made_quiet_are_alerts_that_there_are() -> None:
    """By their full names, which must hold as a whole."""
    names = {alert.name for alert in all_alerts(Settings())}
    for rule in config(Settings())["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            (matcher,) = rule[side]
            _, _, quoted = matcher.partition(" =~ ")
            assert set(json.loads(quoted).split("|")) <= names
    health = {f"Unitcost{each}" for each in HOSTS_DATA}
    of_hosts = {
        alert.name for alert in all_alerts(Settings()) if alert.variables[-1:] == ("instance",)
    }
    assert health == of_hosts - {"UnitcostExporterDown"}


def test_a_webhook_is_a_file_and_has_its_own_channel_and_name() -> None:
    """The colour is set, because versions of Alertmanager have different ones."""
    made = config(Settings(slack_url_file="/run/secrets/slack"))
    (slack,) = made["receivers"][1]["slack_configs"]
    assert slack["api_url_file"] == "/run/secrets/slack"
    assert slack["color"]
    assert slack["send_resolved"] is True
    assert not {"channel", "username", "api_url"} & set(slack)


def alert(status: str = "firing", severity: str = "warning", **changed: str) -> dict[str, Any]:
    """One alert as a template gets it."""
    annotations = {
        "summary": "cost per request of chat up 42 %",
        "description": "1,000 requests cost $2.",
        "dashboard_url": "https://g.example/d/unitcost-drift?var-cluster=&var-workload=chat",
        "runbook_url": "https://r.example/UnitcostDriftFast.md",
    }
    return {
        "status": status,
        "labels": {"severity": severity, "owner": "search"},
        "annotations": annotations | changed,
        "startsAt": "2026-03-01T14:10:02.25Z",
        "endsAt": "2026-03-01T15:40:00Z",
    }


def shown(amtool: Amtool, folder: Path, *alerts: dict[str, Any]) -> dict[str, str]:
    """How a message about these reads, part by part."""
    firing = any(each["status"] == "firing" for each in alerts)
    data = {"status": "firing" if firing else "resolved", "alerts": alerts}
    (folder / "data.json").write_text(json.dumps(data))
    return {
        part: amtool(
            *("template", "render", "--template.glob=*.tmpl"),
            f'--template.text={{{{ template "unitcost.slack.{part}" . }}}}',
            f"--template.data={folder / 'data.json'}",
        )
        for part in ("title", "text", "color", "link")
    }


@pytest.mark.real
def test_a_message_says_what_and_where_to_look(amtool: Amtool, tmp_path: Path) -> None:
    """The title is the summary; below it the figures, and links in Slack's own way."""
    assert shown(amtool, tmp_path, alert()) == {
        "title": "cost per request of chat up 42 %",
        "text": "1,000 requests cost $2.\n"
        "<https://g.example/d/unitcost-drift?var-cluster=&amp;var-workload=chat|Dashboard> · "
        "<https://r.example/UnitcostDriftFast.md|What to do> · owner search",
        "color": "#daa038",
        "link": "https://g.example/d/unitcost-drift?var-cluster=&var-workload=chat",
    }


@pytest.mark.real
def test_a_message_of_an_end_says_how_long_it_was(amtool: Amtool, tmp_path: Path) -> None:
    """And has another colour."""
    found = shown(amtool, tmp_path, alert("resolved"))
    assert found["title"] == "Over: cost per request of chat up 42 %"
    assert found["text"].startswith("Over since 2026-03-01 15:40 UTC, after 1h29m58s.\n<https:")
    assert found["color"] == "#2eb67d"


@pytest.mark.real
def test_one_message_about_several(amtool: Amtool, tmp_path: Path) -> None:
    """The worst that fires gives the colour; of very many, ten are shown."""
    critical = alert(severity="critical", summary="second", description="Two.")
    found = shown(amtool, tmp_path, alert(), critical, alert("resolved", summary="third"))
    assert found["title"] == "cost per request of chat up 42 % (and others, 3 in all)"
    assert found["color"] == "#d72b3f"
    assert "· owner search\n\n*second*\nTwo.\n" in found["text"]
    assert "\n\n*Over: third*\nOver since" in found["text"]
    many = shown(amtool, tmp_path, *[alert(severity="info")] * 12)
    assert many["text"].count("Dashboard") == 10
    assert many["text"].endswith("owner search\n\nOnly 10 of 12 are shown.")
    assert many["color"] == "#439fe0"


@pytest.mark.real
def test_names_can_neither_call_people_nor_make_links(amtool: Amtool, tmp_path: Path) -> None:
    """They come from pods and servers. Links that are only paths are no links."""
    hostile = "<!channel> <http://x|y> & more"
    page = "docs/runbooks/UnitcostDriftFast.md"
    paths = {"dashboard_url": "/d/unitcost-drift", "runbook_url": page}
    found = shown(amtool, tmp_path, alert(summary=hostile, description=hostile, **paths))
    escaped = "&lt;!channel&gt; &lt;http://x|y&gt; &amp; more"
    assert found["title"] == escaped
    assert found["text"] == f"{escaped}\nWhat to do: {page} · owner search"
    assert found["link"] == ""
