"""Values on the pages work: they render, and Kubernetes and the agent would take the result."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.charts import (
    NEWEST,
    OLDEST,
    Charts,
    Manifest,
    agent_of,
    configuration,
    pod_of,
    the,
)
from tests.helm.test_config import checked, taken_in
from tests.helm.valid import faults

pytestmark = pytest.mark.real
DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r"^```yaml\n(# values\.yaml( of your chart)?[^\n]*\n.*?)^```", re.M | re.S)
EXAMPLES = {
    f"{path.relative_to(DOCS)}, {i}": (text, bool(yours))
    for path in sorted(DOCS.rglob("*.md"))
    for i, (text, yours) in enumerate(FENCE.findall(path.read_text(encoding="utf-8")))
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_values_on_the_pages_work(
    charts: Charts, beside: Charts, name: str, tmp_path: Path
) -> None:
    """For the oldest and the newest Kubernetes."""
    text, yours = EXAMPLES[name]
    values: dict[str, Any] = yaml.safe_load(text)
    for version in (OLDEST, NEWEST):
        manifests: list[Manifest] = (beside if yours else charts).render(values, version)
        assert faults(manifests, version) == []
    if values.get("mode") == "deployment":
        taken_in(configuration(manifests), tmp_path)
    else:
        checked(configuration(manifests), tmp_path)


def test_the_sidecar_by_hand_is_that_of_the_chart(beside: Charts) -> None:
    """docs/sidecar.md says what the pod says of itself; the chart writes the same."""
    text = (DOCS / "sidecar.md").read_text(encoding="utf-8")
    fences = re.findall(r"^```yaml\n# in the pod template[^\n]*\n(.*?)^```", text, re.M | re.S)
    by_hand = [yaml.safe_load(each) for each in fences]
    (agent,) = [agent_of(each["spec"]) for each in by_hand if "spec" in each]
    charts_own = agent_of(pod_of(the(beside.render(), "Deployment")))

    def said(container: Manifest) -> set[tuple[str, str]]:
        """Names and values, but for what the other container is called."""
        text = yaml.safe_dump(container["env"]).replace("containerName: server", "containerName: x")
        text = text.replace("containerName: vllm", "containerName: x").replace("_SERVER", "_0")
        values = {each["name"]: each.get("valueFrom") for each in yaml.safe_load(text)}
        return {(name, str(value)) for name, value in values.items()}

    assert said(agent) == said(charts_own)
    assert agent["args"] == charts_own["args"]
    annotations = [each["metadata"]["annotations"] for each in by_hand if "metadata" in each]
    (units,) = annotations
    manifests = beside.render({"unitcost": {"sidecar": {"scope": "units"}}})
    template = the(manifests, "Deployment")["spec"]["template"]
    assert units.items() <= template["metadata"]["annotations"].items()


def test_every_page_has_values() -> None:
    """A page that says what to set says it as a file."""
    pages = {path.name for path in (DOCS / "kubernetes").glob("*.md")}
    assert {Path(name.partition(",")[0]).name for name in EXAMPLES} >= pages
