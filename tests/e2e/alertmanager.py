"""A real Alertmanager with the generated configuration, and what arrives in Slack's place."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.processes import answers, ask, started
from tests.harness import free_port


@dataclass(frozen=True, slots=True)
class Message:
    """One message in Slack, as a person sees it."""

    title: str
    text: str
    color: str
    link: str


def messages(posts: list[Any]) -> list[Message]:
    """What was posted. Each post is one message with one attachment."""
    found = []
    for post in posts:
        (shown,) = post["attachments"]
        assert shown["fallback"] == shown["title"]
        link = shown.get("title_link", "")
        found.append(Message(shown["title"], shown["text"], shown["color"], link))
    return found


@contextlib.contextmanager
def alertmanager(
    real_tool: Callable[[str], Path], folder: Path, port: int | None = None
) -> Iterator[int]:
    """An Alertmanager by the example in a folder; yields the port that it listens on."""
    port = port or free_port()
    command: list[str | Path] = [
        real_tool("prometheus-alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with started(command, folder, lambda: answers(port, "/-/ready")):
        yield port


def post_alerts(port: int, *alerts: Mapping[str, Any]) -> None:
    """Send alerts as Prometheus does."""
    assert ask(port, "/api/v2/alerts", alerts).status == 200


READS = re.compile(
    r"(?P<over>Over: )?cost per request of (?P<name>\S+) \((?P<model>[^)]+)\) "
    r"(?P<change>(?:up|down) \d+ %) since (?P<since>\d{4}-\d\d-\d\d \d\d:\d\d UTC|\?), "
    r"(?P<usd>-?\$[\d.]+) a day, because (?P<because>[^(]+) "
    r"\((?P<factor>\w+) ×(?P<ratio>[\d.]+)(?P<others>(?:; \w+ (?:×[\d.]+|unchanged)){5})\)"
)
"""How the alert of a drift reads. When it ends, since when may be gone before the text is made."""
