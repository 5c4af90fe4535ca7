"""The teller: what it does before there is a ledger, and while ticks fail."""

import json
from pathlib import Path
from typing import cast

from tests.exporter.notify.receiver import receiver
from tests.harness import wait_for
from unitcost.exporter.config.load import load
from unitcost.exporter.notify.alerts import Points
from unitcost.exporter.serving.publish import Points as Given
from unitcost.exporter.settling.settle import Settler
from unitcost.exporter.telling import Teller

START_NS = 1_767_225_600 * 10**9
STALE: Points = {"unitcost_ledger_last_commit_timestamp_seconds": [((), 1_767_225_600.0)]}


class Remembers:
    """What the teller needs of a settler."""

    notify = ""


def test_data_that_stands_still_is_told_while_there_is_no_settler(tmp_path: Path) -> None:
    """Nothing can be remembered then; it is told all the same."""
    with receiver() as channel:
        (tmp_path / "url").write_text(channel.url)
        config = tmp_path / "unitcost.yaml"
        config.write_text(json.dumps({"notify": {"webhook_url_file": "url"}}))
        teller, settler = Teller(), Remembers()
        teller.use(load(config))
        points = cast("Given", STALE)
        teller.tick(None, points, START_NS)
        assert teller.points() == {}
        teller.tick(cast("Settler", settler), points, START_NS)
        for minute in (6, 8):
            teller.tick(None, points, START_NS + minute * 60 * 10**9)
        wait_for(lambda: channel.got, "the post")
        teller.close()
    (alert,) = channel.got[0]["alerts"]
    assert (alert["name"], alert["severity"]) == ("UnitcostCostDataStale", "critical")
    assert alert["runbook"] == "docs/runbooks/UnitcostCostDataStale.md"
    assert json.loads(settler.notify)["next_id"] == 1
