"""What the exporter tells is what the rules tell: same names, same severity, with a runbook."""

from pathlib import Path

import pytest

from unitcost.dashboards.rules.all_rules import all_alerts
from unitcost.dashboards.settings import Settings
from unitcost.exporter.notify.told.all_told import NOT_TOLD, all_told

RULES = {alert.name: alert for alert in all_alerts(Settings())}
TOLD = {name: each for each in all_told() for name in each.names}
RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"


def test_each_alert_of_the_rules_is_told_or_there_is_a_reason() -> None:
    """And nothing has a name that the rules do not know."""
    assert not TOLD.keys() & NOT_TOLD.keys()
    assert TOLD.keys() | NOT_TOLD.keys() == RULES.keys()
    assert all(len(reason) > 20 for reason in NOT_TOLD.values())


@pytest.mark.parametrize("name", sorted(TOLD))
def test_severity_and_runbook_are_those_of_the_rules(name: str) -> None:
    """Whoever is told by both is told the same."""
    assert str(TOLD[name].severity) == str(RULES[name].severity)
    assert (RUNBOOKS / f"{name}.md").is_file()


def test_only_what_the_rules_lack_has_no_name() -> None:
    """A budget that is nearly spent; by kind."""
    assert [each.kind for each in all_told() if not each.names] == ["budget"]
