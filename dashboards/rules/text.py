"""What alerts say: one text for each, written for Prometheus and for Grafana.

A text names labels and numbers in braces: ``{workload}`` is a label, ``{value|usd}`` the alert's
value, ``{other|ratio}`` one of its `values`. A word after ``|`` says how a number is shown.
"""

import re
from collections.abc import Callable

from unitcost.dashboards.rules.model import Alert, Value
from unitcost.dashboards.settings import Settings

SHOWN = {
    "usd": 'printf "$%.2f" | reReplaceAll "^[$]-" "-$"',
    "small_usd": 'printf "$%.3g" | reReplaceAll "^[$]-" "-$"',
    "ratio": 'printf "×%.2f"',
    "moved": 'printf "×%.2f" | reReplaceAll "×(0[.]9[89]|1[.]0[0-2])$" "unchanged"',
    "change": 'printf "%+.0f %%" | reReplaceAll "^[+]" "up " | reReplaceAll "^-" "down "',
    "percent": 'printf "%.0f %%"',
    "number": 'printf "%.0f"',
    "time": 'humanizeTimestamp | reReplaceAll ":[0-9.]+ [+]0000" ""',
    "duration": "humanizeDuration",
}
"""How a number is shown: Go template functions that Prometheus, vmalert and Grafana all have."""

_FIELD = re.compile(r"\{(\w+)(?:\|(\w+))?\}")


def annotations(alert: Alert, settings: Settings) -> dict[str, str]:
    """An alert's texts and links, for Prometheus and what is compatible with it."""

    def number(name: str, shown: str) -> str:
        if name == "value":
            return f"{{{{ $value | {shown} }}}}"
        return _asked(alert.values[name], shown)

    return {
        "summary": _filled(alert.summary, number),
        "description": _filled(alert.description, number),
        **links(alert, settings),
    }


def grafana_annotations(alert: Alert, settings: Settings) -> dict[str, str]:
    """The same texts and links for an alert that Grafana evaluates; numbers are its queries."""
    refs = ref_ids(alert)

    def number(name: str, shown: str) -> str:
        return f"{{{{ $values.{refs[name]}.Value | {shown} }}}}"

    return {
        "summary": _filled(alert.summary, number),
        "description": _filled(alert.description, number),
        **links(alert, settings),
    }


def ref_ids(alert: Alert) -> dict[str, str]:
    """What Grafana calls the query of each number: `value` is A, the condition is B."""
    letters = "CDEFGHIJKLMNOPQRSTUVWXYZ"
    return {"value": "A"} | dict(zip(alert.values, letters, strict=False))


def links(alert: Alert, settings: Settings) -> dict[str, str]:
    """Where to look and what to do."""
    variables = "&".join(
        f"var-{name}={{{{ {_label(name)} | urlquery }}}}" for name in alert.variables
    )
    board = f"{settings.grafana_url.rstrip('/')}/d/{alert.dashboard}"
    return {
        "dashboard_url": board + ("?" + variables if variables else ""),
        "runbook_url": f"{settings.runbook_url.rstrip('/')}/{alert.name}.md",
    }


def _filled(text: str, number: Callable[[str, str], str]) -> str:
    def one(found: re.Match[str]) -> str:
        name, shown = found.groups()
        return number(name, SHOWN[shown]) if shown else f"{{{{ $labels.{name} }}}}"

    return _FIELD.sub(one, text)


def _asked(value: Value, shown: str) -> str:
    """A query that the template asks by itself; a question mark where it has no answer."""
    match = ",".join(f"{name}=%q" for name in value.on)
    query = value.query.format(by="", match=match)
    labels = " ".join([_label(name) for name in value.on] * value.query.count("{match}"))
    return (
        f"{{{{ with printf {go_text(query)} {labels} | query }}}}"
        f"{{{{ . | first | value | {shown} }}}}{{{{ else }}}}?{{{{ end }}}}"
    )


def _label(name: str) -> str:
    """A label that may be absent: an empty text then, which in vmalert it is not by itself."""
    return f'(or $labels.{name} "")'


def go_text(text: str) -> str:
    """Text as a Go template writes it: in backquotes, which need no escapes."""
    if "`" in text:
        raise ValueError(f"a backquote in {text!r}")
    return f"`{text}`"
