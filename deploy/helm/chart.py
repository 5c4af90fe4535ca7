"""Makes the chart ready to install: `python chart.py FOLDER [NAME=VALUE ..]`, as ./dev chart does.

The chart in the repository has no dashboards and rules, for these are generated. This copies the
chart into FOLDER/unitcost, adds them, and packages it where there is a `helm`. Settings of alerts
(docs/alerts.md) may follow. `python chart.py --readme` writes the table of values in README.md.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "unitcost"
BEGIN, END = "<!-- values -->\n", "<!-- end of values -->\n"
_KEY = re.compile(r"( *)([A-Za-z]+):")
_MATCHER = re.compile(r'(\w+) (=~|=) "(.*)"')
_BETWEEN = re.compile(r"(?:^{{/\*.*\*/}}|(?<=end }}))\s+(?={{ define)")
_COMMENT = re.compile(r" *# ?(-- )?(.*)")


def generated(settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What goes into the chart's `files`: dashboards without their white space, rules, messages."""
    # Imported where it is used: it takes unitcost[dashboards], and the table of values does not.
    from unitcost.dashboards.build import build
    from unitcost.dashboards.settings import Settings

    built = build(Settings().with_values(dict(settings)))
    for path, text in built.items():
        if path.startswith("dashboards/"):
            yield path, json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True) + "\n"
        elif path == "rules/unitcost.yaml":
            yield "rules.yaml", text
    yield "alertmanager.json", json.dumps(alertmanager_config(built), indent=1) + "\n"


def alertmanager_config(built: Mapping[str, str]) -> dict[str, Any]:
    """The example for Alertmanager as its operator has it, without the receiver's address.

    Such a receiver cannot bring a template's file, so each of its texts brings what it uses.
    """
    example = yaml.safe_load(built["alertmanager/alertmanager.yml"])
    (route,) = example["route"]["routes"]
    (slack,) = (each for each in example["receivers"] if "slack_configs" in each)
    (message,) = slack["slack_configs"]
    defined = _BETWEEN.sub("", built["alertmanager/unitcost.tmpl"]).strip()
    texts = {key: defined + text for key, text in message.items() if isinstance(text, str)}
    del texts["api_url_file"]
    return {
        "route": {
            **{_camel(key): each for key, each in route.items() if key != "matchers"},
            "matchers": _matchers(route["matchers"]),
        },
        "inhibitRules": [
            {
                "sourceMatch": _matchers(rule["source_matchers"]),
                "targetMatch": _matchers(rule["target_matchers"]),
                "equal": rule["equal"],
            }
            for rule in example["inhibit_rules"]
        ],
        "message": {"sendResolved": True, **{_camel(key): text for key, text in texts.items()}},
    }


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(each.capitalize() for each in others)


def _matchers(texts: Iterable[str]) -> list[dict[str, str]]:
    parts = (_MATCHER.fullmatch(text) for text in texts)
    return [{"name": m[1], "matchType": m[2], "value": m[3]} for m in parts if m]


def make(folder: Path, settings: Mapping[str, str]) -> Path:
    """The whole chart as FOLDER/unitcost. Raises OSError."""
    chart = folder / "unitcost"
    shutil.rmtree(chart, ignore_errors=True)
    shutil.copytree(CHART, chart)
    for name, text in generated(settings):
        path = chart / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return chart


def rows(text: str) -> Iterator[tuple[str, str]]:
    """Each value of values.yaml that has a comment, and what that says."""
    path: list[str] = []
    said: list[str] = []
    for line in text.splitlines():
        if comment := _COMMENT.fullmatch(line):
            begins, words = comment.groups()
            said = [words] if begins else [*said, words] if said else []
        elif key := _KEY.match(line):
            path[len(key[1]) // 2 :] = [key[2]]
            if said:
                yield ".".join(path), " ".join(said)
            said = []


def table(text: str) -> str:
    """The rows of README.md."""
    values = yaml.safe_load(text)
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for key, said in rows(text):
        value: Any = values
        for part in key.split("."):
            value = value[part]
        lines.append(f"| `{key}` | {_shown(value)} | {said} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return f"`{json.dumps(value)}`" if value not in ("", [], {}) else ""


def readme() -> str:
    """README.md with the table of today's values."""
    before, _, rest = (CHART / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    return f"{before}{BEGIN}{table(values)}{END}{after}"


def main(arguments: list[str]) -> int:
    """Run; return the exit code."""
    if arguments == ["--readme"]:
        (CHART / "README.md").write_text(readme(), encoding="utf-8")
        return 0
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        chart = make(folder, dict(each.partition("=")[::2] for each in arguments[1:]))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if helm := shutil.which("helm"):
        return subprocess.run([helm, "package", chart, "-d", folder], check=False).returncode  # noqa: S603
    print(chart)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
