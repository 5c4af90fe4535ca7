"""Posting for real, to a server on this host: in order, once, later if it is away; no secrets."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.exporter.notify.receiver import Receiver, receiver
from tests.harness import wait_for
from unitcost.exporter.notify.alerts import Alert, Severity
from unitcost.exporter.notify.book import Post, Telling
from unitcost.exporter.notify.messages import slack, webhook
from unitcost.exporter.notify.sender import Sender, channels_of

pytest.importorskip("slack_sdk", reason="slack-sdk is not installed")
DRIFT = Alert(
    "drift",
    ("chat", "m"),
    Severity.WARNING,
    "chat: a request costs 42 % more",
    "idle ×1.9",
    12.5,
    310.0,
)


def post(number: int = 1, resolved: bool = False, more: int = 0) -> Post:
    """One with one telling."""
    return Post(number, 10**18, (Telling(DRIFT, resolved=resolved),), more)


@pytest.fixture
def slack_server() -> Iterator[Receiver]:
    """A stand-in for Slack."""
    with receiver() as found:
        yield found


@pytest.fixture
def other_server() -> Iterator[Receiver]:
    """Somebody else."""
    with receiver("/hook?token=secret") as found:
        yield found


def sender(folder: Path, scale: float = 200.0, **urls: str) -> Sender:
    """Channels with these addresses, each in a file; waits are that much shorter."""
    for name, url in urls.items():
        (folder / name).write_text(url + "\n")
    files = {name: name for name in urls}
    return Sender(channels_of(files, folder, "node-a", "https://grafana/d/1"), scale)


def collected(sending: Sender, sent: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """What got there so far."""
    sent += sending.sent()
    return sent


def test_both_channels_get_it_and_say_so(
    tmp_path: Path, slack_server: Receiver, other_server: Receiver
) -> None:
    """Slack a message, the other one figures."""
    sending = sender(tmp_path, slack=slack_server.url, webhook=other_server.url)
    sending.offer({"slack": [post()], "webhook": [post()]})
    wait_for(lambda: slack_server.got and other_server.got, "both")
    sent: list[tuple[str, int]] = []
    wait_for(lambda: len(collected(sending, sent)) == 2, "both to be crossed off")
    assert sorted(sent) == [("slack", 1), ("webhook", 1)]
    (message,) = slack_server.got
    assert message["text"] == "chat: a request costs 42 % more"
    assert message["attachments"][0]["color"].startswith("#")
    assert "https://grafana/d/1" in message["attachments"][0]["footer"]
    (plain,) = other_server.got
    assert plain["id"] == "node-a/1"
    assert plain["alerts"][0]["usd_per_day"] == 310.0
    assert plain["alerts"][0]["status"] == "firing"
    sending.close()


def test_while_it_is_away_posts_wait_and_then_come_in_order(
    tmp_path: Path, slack_server: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once that they wait."""
    slack_server.status = 503
    sending = sender(tmp_path, slack=slack_server.url)
    with caplog.at_level(logging.WARNING):
        waiting = [post(number) for number in (3, 1, 2)]
        sending.offer({"slack": waiting})
        wait_for(lambda: slack_server.refused >= 3, "three tries")
        assert sending.sent() == []
        slack_server.status = 200
        sent: list[tuple[str, int]] = []
        wait_for(lambda: len(collected(sending, sent)) == 3, "all of them")
    assert [number for _, number in sent] == [1, 2, 3]
    assert len(slack_server.got) == 3
    assert sending.counts["slack", "sent"] == 3
    assert sending.counts["slack", "failed"] == slack_server.refused
    assert len([each for each in caplog.records if "waits" in each.message]) == 1
    sending.close()


def test_one_that_is_away_does_not_hold_up_the_other(
    tmp_path: Path, slack_server: Receiver, other_server: Receiver
) -> None:
    """Each has its own pace."""
    slack_server.status = 500
    sending = sender(tmp_path, slack=slack_server.url, webhook=other_server.url)
    sending.offer({"slack": [post()], "webhook": [post()]})
    wait_for(lambda: other_server.got, "the other one")
    sending.close()


def test_slack_says_how_long_to_wait(tmp_path: Path, slack_server: Receiver) -> None:
    """429 with Retry-After: nothing is sent before."""
    slack_server.status, slack_server.headers = 429, {"Retry-After": "3600"}
    sending = sender(tmp_path, slack=slack_server.url)
    sending.offer({"slack": [post()]})
    wait_for(lambda: slack_server.refused == 1, "a try")
    slack_server.status = 200
    sending.offer({"slack": [post()]})
    wait_for(lambda: sending.counts["slack", "failed"] == 1, "it to be counted")
    assert slack_server.got == []
    sending.close()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://hooks.example.com/secret", "must be https"),
        ("ftp://127.0.0.1/secret", "must be https"),
        ("secret", "must be https"),
        ("http://[secret", "cannot be read"),
        ("", "must be https"),
    ],
)
def test_a_bad_address_is_told_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, address: str, why: str
) -> None:
    """It is a secret."""
    with caplog.at_level(logging.DEBUG, logger="unitcost"):
        sending = sender(tmp_path, webhook=address)
        sending.offer({"webhook": [post()]})
        wait_for(lambda: sending.counts["webhook", "failed"] >= 1, "a try")
        wait_for(lambda: caplog.records, "a word")
    assert why in str(caplog.records[0].__dict__)
    assert "secret" not in str([each.__dict__ for each in caplog.records])
    sending.close()


def test_an_address_can_be_changed_while_it_runs(tmp_path: Path, slack_server: Receiver) -> None:
    """The file is read each time, so a secret can be rotated."""
    sending = sender(tmp_path, slack=slack_server.url + "-old")
    sending.offer({"slack": [post()]})
    wait_for(lambda: slack_server.refused, "a refusal")
    (tmp_path / "slack").write_text(slack_server.url)
    wait_for(lambda: slack_server.got, "the new address")
    sending.close()


def test_names_cannot_mention_people_or_make_links() -> None:
    """A workload's name is whatever a pod says."""
    bad = Alert("drift", ("<!channel>", ""), Severity.WARNING, "<!channel> & <http://x|y>: dearer")
    message = slack(Post(1, 0, (Telling(bad),)), "<@U1>", "")
    assert "<" not in str(message).replace("&lt;", "")
    assert "&lt;!channel&gt; &amp;" in message["text"]


def test_a_message_names_the_alert_and_its_runbook() -> None:
    """As a link where that is a URL; what the rules do not have has none."""
    idle = replace(DRIFT, name="UnitcostIdleDrift")
    told = Post(1, 0, (Telling(idle),))

    def text(runbooks: str) -> str:
        return str(slack(told, "node-a", "", runbooks)["attachments"][0]["text"])

    assert text("docs/runbooks").endswith("\nUnitcostIdleDrift: docs/runbooks/UnitcostIdleDrift.md")
    assert text("https://example.com/r/").endswith(
        "\n<https://example.com/r/UnitcostIdleDrift.md|UnitcostIdleDrift>"
    )
    (plain,) = webhook(told, "node-a", "", "https://example.com/r")["alerts"]
    assert plain["name"] == "UnitcostIdleDrift"
    assert plain["runbook"] == "https://example.com/r/UnitcostIdleDrift.md"
    (plain,) = webhook(post(), "node-a", "", "docs")["alerts"]
    assert (plain["name"], plain["runbook"]) == ("", "")
    assert "docs" not in slack(post(), "node-a", "", "docs")["attachments"][0]["text"]


def test_a_message_says_what_is_over_still_there_and_left_out() -> None:
    """And a digest is text."""
    over = slack(post(resolved=True), "node-a", "")
    assert over["text"].startswith("Over: chat")
    assert "idle" not in over["attachments"][0]["text"]
    again = slack(Post(1, 0, (Telling(DRIFT, again=True),), 4), "node-a", "")
    assert again["text"] == "Still: chat: a request costs 42 % more and 4 more"
    assert "4 more are not shown" in again["attachments"][-1]["footer"]
    text = Post(1, 0, text="$5 since the last digest")
    assert slack(text, "node-a", "")["text"] == "unitcost on node-a\n$5 since the last digest"
    assert webhook(text, "node-a", "")["alerts"] == []
    assert len(slack(Post(1, 0, text="x" * 10_000), "a", "")["text"]) <= 2_900
