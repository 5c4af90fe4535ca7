"""How a post reads: in Slack, and as JSON for whoever takes a webhook."""

from collections.abc import Mapping
from typing import Any

from unitcost.exporter.notify.alerts import Alert, Severity
from unitcost.exporter.notify.book import Post, Telling

COLOURS = {Severity.CRITICAL: "#d72b3f", Severity.WARNING: "#daa038", Severity.INFO: "#439fe0"}
OVER = "#2eb67d"
MAX_TEXT = 2_900
"""Slack cuts a section at 3,000 characters."""
Json = Mapping[str, Any]


def slack(post: Post, host: str, link: str, runbooks: str = "") -> Json:
    """A message as Slack's incoming webhooks take it: text for the notification, then the cards."""
    if post.text:
        return {"text": _escaped(f"unitcost on {host}\n{post.text}")[:MAX_TEXT]}
    cards = [_card(each, runbooks) for each in post.tellings]
    first = post.tellings[0]
    text = _escaped(_line(first))
    if more := len(post.tellings) - 1 + post.more:
        text += f" and {more} more"
    left_out = f", {post.more} more are not shown" if post.more else ""
    foot = _escaped(f"unitcost on {host}{left_out}")
    if link:
        foot = f"<{link}|{foot}>"
    cards[-1] = {**cards[-1], "footer": foot}
    return {"text": text, "attachments": cards}


def _card(telling: Telling, runbooks: str) -> dict[str, Any]:
    alert = telling.alert
    body = f"*{_escaped(_line(telling))}*"
    if alert.detail and not telling.resolved:
        body += f"\n{_escaped(alert.detail)}"
    body = body[:MAX_TEXT]
    if alert.name and not telling.resolved:
        where = runbook(alert, runbooks)
        is_link = where.startswith(("http://", "https://"))
        body += f"\n<{where}|{alert.name}>" if is_link else f"\n{alert.name}: {where}"
    return {
        "color": OVER if telling.resolved else COLOURS[alert.severity],
        "fallback": _escaped(_line(telling)),
        "mrkdwn_in": ["text"],
        "text": body,
    }


def runbook(alert: Alert, runbooks: str) -> str:
    """Where it says what to do about an alert; empty for one that the rules do not have."""
    return f"{runbooks.rstrip('/')}/{alert.name}.md" if alert.name else ""


def _line(telling: Telling) -> str:
    if telling.resolved:
        return f"Over: {telling.alert.headline}"
    return f"Still: {telling.alert.headline}" if telling.again else telling.alert.headline


def _escaped(text: str) -> str:
    """Names come from pods and servers: none may mention people or make a link."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, entity)
    return text


def webhook(post: Post, host: str, link: str, runbooks: str = "") -> Json:
    """The same as JSON, with every figure by itself."""
    return {
        "id": f"{host}/{post.id}",
        "host": host,
        "at": post.at_ns / 10**9,
        "link": link,
        "text": post.text,
        "more": post.more,
        "alerts": [
            _plain(each.alert, runbooks) | {"status": "resolved" if each.resolved else "firing"}
            for each in post.tellings
        ],
    }


def _plain(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "kind": alert.kind,
        "name": alert.name,
        "runbook": runbook(alert, runbooks),
        "subject": list(alert.subject),
        "severity": str(alert.severity),
        "headline": alert.headline,
        "detail": alert.detail,
        "since": alert.since,
        "usd_per_day": alert.usd_per_day,
    }
