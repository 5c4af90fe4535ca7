"""The tables of docs/alerts.md. Run as a module it writes them into the page again."""

import re
import sys
from dataclasses import fields
from pathlib import Path

from unitcost.dashboards.rules.all_rules import all_alerts
from unitcost.dashboards.settings import Settings, number


def updated(page: str) -> str:
    """The page with its tables made anew; everything else stays as it is."""
    for name, table in (("alerts", alerts_table()), ("settings", settings_table())):
        begin = f"<!-- table of {name}: made by `./dev docs` -->\n"
        part = re.compile(f"{re.escape(begin)}.*?<!-- end -->", re.DOTALL)
        found = part.findall(page)
        if len(found) != 1:
            raise ValueError(f"the page has no place for the table of {name}")
        page = page.replace(found[0], f"{begin}{table}<!-- end -->")
    return page


def alerts_table() -> str:
    """One row for each alert."""
    lines = ["| alert | severity | fires when |", "|---|---|---|"]
    lines += [
        f"| [{alert.name}](runbooks/{alert.name}.md) | {alert.severity} | {alert.means} |"
        for alert in all_alerts(Settings())
    ]
    return "\n".join(lines) + "\n"


def settings_table() -> str:
    """One row for each setting."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    plain = Settings()
    for each in fields(Settings):
        default = getattr(plain, each.name)
        shown = default and f"`{default}`" if isinstance(default, str) else number(default)
        lines.append(f"| `{each.name}` | {shown} | {each.metadata['text']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(updated(file.read_text(encoding="utf-8")), encoding="utf-8")
