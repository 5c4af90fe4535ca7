"""A real Alertmanager tells a stand-in for Slack, by the generated configuration."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.alertmanager import Message, alertmanager, messages, post_alerts
from tests.exporter.notify.receiver import receiver
from tests.harness import wait_for
from unitcost.dashboards.build import write
from unitcost.dashboards.settings import Settings

CHAT = {"workload": "chat", "model": "m", "owner": "search", "severity": "warning"}
HOST = {"job": "unitcost", "instance": "host-1", "severity": "critical"}
OTHER_HOST = HOST | {"instance": "host-2", "severity": "warning"}


def alert(name: str, labels: dict[str, str], over: bool = False) -> dict[str, Any]:
    """An alert as it is sent: with labels and texts."""
    now = datetime.now(UTC).isoformat()
    return {
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": f"{name} of {labels}", "description": "Why."},
        **({"endsAt": now} if over else {}),
    }


@pytest.mark.real
def test_each_alert_arrives_once_and_its_end_and_what_others_explain_does_not(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """A total beside its factor, a collector of a host that is away, and an alert of others."""
    with receiver() as slack:
        (tmp_path / "url").write_text(slack.url)
        url_file = str(tmp_path / "url")
        write(Settings(group_wait=1, group_interval=1, slack_url_file=url_file), tmp_path)
        sent = [
            ("UnitcostDriftFast", CHAT | {"factor": "price"}),
            ("UnitcostDriftTotal", CHAT | {"factor": "price"}),
            ("UnitcostDriftTotal", CHAT | {"workload": "embed", "factor": "idle"}),
            ("UnitcostExporterDown", HOST),
            ("UnitcostCollectorDown", HOST | {"collector": "nvml", "severity": "warning"}),
            ("UnitcostPriceSourceDown", OTHER_HOST | {"source": "aws"}),
            ("NodeDown", HOST),
        ]
        told = {"UnitcostDriftFast", "UnitcostDriftTotal", "UnitcostExporterDown"}
        told |= {"UnitcostPriceSourceDown"}
        with alertmanager(real_tool, tmp_path / "alertmanager") as port:
            post_alerts(port, *(alert(*each) for each in sent))
            wait_for(lambda: len(slack.got) >= 4, "messages")
            began = messages(slack.got)
            assert {each.title.split()[0] for each in began} == told
            post_alerts(port, *(alert(*each, over=True) for each in sent))
            wait_for(lambda: len(slack.got) >= 8, "the ends")
    _assert_told(messages(slack.got), quiet=sent[1])


def _assert_told(found: list[Message], quiet: tuple[str, dict[str, str]]) -> None:
    """Four began and ended; what was quiet did not even end."""
    assert f"{quiet[0]} of {quiet[1]}" not in {each.title for each in found}
    firing = [each for each in found if not each.title.startswith("Over: ")]
    ends = [each for each in found if each.title.startswith("Over: ")]
    assert len(firing) == len(ends) == 4
    assert {f"Over: {each.title}" for each in firing} == {each.title for each in ends}
    assert {each.color for each in ends} == {"#2eb67d"}
    assert {each.color for each in firing} == {"#daa038", "#d72b3f"}
    assert all(each.text.startswith("Why.") for each in firing)
