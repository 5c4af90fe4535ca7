"""The command and the files it writes: complete, stable, replaced whole, and documented."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.contract import allowed
from tests.dashboards.promql import names
from tests.dashboards.promtool import run
from unitcost.dashboards import document
from unitcost.dashboards.build import build
from unitcost.dashboards.rules.all_rules import all_alerts
from unitcost.dashboards.settings import Settings

ALERTING = "grafana/provisioning/alerting/unitcost.yaml"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`unitcost dashboards …`."""
    words = [sys.executable, "-Im", "unitcost.exporter", "dashboards", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_command_writes_what_build_makes(tmp_path: Path) -> None:
    """With the settings it is given, over what was there, and nothing beside it."""
    out = tmp_path / "deep" / "out"
    command("build", "-o", str(out))
    ran = command("build", "-o", str(out), "--set", "team=finops", "--set", "time_scale=2")
    assert (ran.returncode, ran.stderr) == (0, "")
    made = build(Settings(team="finops", time_scale=2))
    files = {
        str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()
    }
    assert files == made
    assert sorted(ran.stdout.split()) == sorted(str(out / name) for name in made)


@pytest.mark.parametrize(
    ("text", "said"),
    [("team", "--set team: expected NAME=VALUE"), ("nothing=1", "--set nothing: no such setting")],
)
def test_a_bad_setting_is_bad_usage(tmp_path: Path, text: str, said: str) -> None:
    """One line, and nothing is written."""
    ran = command("build", "-o", str(tmp_path / "out"), "--set", text)
    assert ran.returncode == 2
    assert ran.stderr.startswith(said)
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    """And said so."""
    (tmp_path / "file").write_text("")
    ran = command("build", "-o", str(tmp_path / "file" / "out"))
    assert ran.returncode == 1
    assert "file" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_without_grafanalib_it_says_what_to_install(tmp_path: Path) -> None:
    """It is in an extra: nothing else needs it."""
    code = "import sys; sys.modules['grafanalib'] = None; from unitcost.exporter import cli; "
    code += f"sys.exit(cli.main(['dashboards', 'build', '-o', {str(tmp_path / 'out')!r}]))"
    ran = subprocess.run([sys.executable, "-Ic", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "pip install 'unitcost[dashboards]'" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_the_tables_of_the_page_are_up_to_date(root: Path) -> None:
    """If not: `./dev docs`."""
    page = (root / "docs/alerts.md").read_text(encoding="utf-8")
    assert page == document.updated(page)


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    """So that the test above cannot pass by finding none."""
    with pytest.raises(ValueError, match="alerts"):
        document.updated("# Alerts\n")


def test_every_alert_has_its_page_and_every_page_its_alert(root: Path) -> None:
    """docs/runbooks/ holds just these, each with what to check and what to do."""
    pages = {path.stem: path.read_text("utf-8") for path in (root / "docs/runbooks").glob("*.md")}
    assert set(pages) == {alert.name for alert in all_alerts(Settings())}
    for name, text in pages.items():
        assert text.startswith(f"# {name}\n")
        assert re.findall("^## (.*)$", text, re.MULTILINE) == ["How to check", "What to do"]


def grafana_rules() -> list[dict[str, Any]]:
    """The alerts that Grafana evaluates."""
    content = yaml.safe_load(build(Settings())[ALERTING])
    assert content["apiVersion"] == 1
    return [rule for group in content["groups"] for rule in group["rules"]]


def test_grafana_has_every_alert_once() -> None:
    """With a uid of its own, and an interval that it can keep."""
    rules = grafana_rules()
    assert [rule["title"] for rule in rules] == [each.name for each in all_alerts(Settings())]
    assert len({rule["uid"] for rule in rules}) == len(rules)
    assert all(len(rule["uid"]) <= 40 for rule in rules)
    for group in yaml.safe_load(build(Settings(time_scale=7))[ALERTING])["groups"]:
        assert int(group["interval"].removesuffix("s")) % 10 == 0


@pytest.mark.parametrize("rule", grafana_rules(), ids=lambda rule: str(rule["title"]))
def test_a_text_for_grafana_names_only_its_own_queries(rule: dict[str, Any], root: Path) -> None:
    """Grafana's templates cannot ask by themselves: each number is a query of the rule."""
    queries = {each["refId"]: each["model"] for each in rule["data"]}
    texts = " ".join(rule["annotations"].values())
    named = set(re.findall(r"\$values\.(\w+)\.", texts))
    assert named <= set(queries) - {"B"}
    assert re.search(r"\| query|\$value ", texts) is None
    assert queries.pop(rule["condition"])["expression"] == "is_number($A)"
    known = allowed(root)
    for model in queries.values():
        for metric, labels, _ in names(model["expr"]).metrics:
            assert labels <= known[metric]


@pytest.mark.real
def test_promtool_can_parse_every_query_for_grafana_and_in_texts(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """As recording rules, because that is what promtool reads."""
    exprs = [
        each["model"]["expr"]
        for rule in grafana_rules()
        for each in rule["data"]
        if "expr" in each["model"]
    ]
    for alert in all_alerts(Settings()):
        exprs += [value.query.format(by="", match='job="x"') for value in alert.values.values()]
    rules = [{"record": f"a:b:c{number}", "expr": expr} for number, expr in enumerate(exprs)]
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]})
    )
    result = run(real_tool("promtool"), "check", "rules", "rules.yaml", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(exprs)} rules found" in result.stdout
