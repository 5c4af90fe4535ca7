"""The whole exporter tells a stand-in for Slack of an unpriced host: once, over a kill, its end."""

from pathlib import Path

import pytest

from tests.exporter.notify.receiver import receiver
from tests.harness import Exporter, wait_for

pytest.importorskip("slack_sdk", reason="slack-sdk is not installed")


def test_an_unpriced_host_is_told_once_and_when_it_has_a_price(tmp_path: Path) -> None:
    """Killed while Slack is away, it tells afterwards what it had to tell."""
    with receiver() as slack:
        slack.status = 503
        (tmp_path / "slack-url").write_text(slack.url)
        settings = {
            "notify": {"slack_webhook_url_file": "slack-url"},
            "period": 0.2,
            "gather_deadline": 0.1,
            "time_scale": 1500,
        }
        running = Exporter(tmp_path, settings)
        try:
            running.start()
            wait_for(lambda: slack.refused >= 2, "tries")
            running.wait_tick(2)
            running.stop(9)
            slack.status = 200
            running.start()
            wait_for(lambda: slack.got, "the post")
            wait_for(
                lambda: (
                    running.scrape().one("unitcost_notifications_waiting", channel="slack") == 0
                ),
                "it to be crossed off",
            )
            text = str(slack.got)
            assert "no price for rent" in text
            assert "UnitcostHostUnpriced" in text
            assert slack.url not in running.log
            settings["price"] = {"usd_per_hour": 1}
            running.write_config()
            assert running.process is not None
            running.process.send_signal(1)
            wait_for(lambda: "Over: this host has no price" in str(slack.got), "its end")
            # At this scale of time one slow tick is longer than what is waited for: its end may be
            # told, and that it is back. What was posted just before the kill may come twice.
            over = ["Over:" in str(each) for each in slack.got if "no price" in str(each)]
            assert over.count(False) <= over.count(True) + 1
        finally:
            running.stop(9)
