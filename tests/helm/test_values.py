"""Values that cannot be are refused before anything is installed, by name."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.charts import Charts, Refused, merged
from tests.helm.options import FLEET

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "unitcost"

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown mode": ({"mode": "agent"}, "mode"),
    "an unknown key": ({"hostpid": True}, "hostpid"),
    "a misspelt key of the image": ({"image": {"repo": "x"}}, "repo"),
    "a repository with a space": ({"image": {"repository": "my image"}}, "image.repository"),
    "a tag with a slash": ({"image": {"tag": "a/b"}}, "image.tag"),
    "a digest that is none": ({"image": {"digest": "sha256:12"}}, "image.digest"),
    "an unknown pull policy": ({"image": {"pullPolicy": "Sometimes"}}, "image.pullPolicy"),
    "a pull secret given": ({"image": {"pullSecrets": [{"token": "x"}]}}, "image.pullSecrets.0"),
    "a configuration as text": ({"config": "price: 1"}, "config"),
    "an unknown right": ({"kubernetes": {"pods": True}}, "pods"),
    "a right as text": ({"kubernetes": {"dra": "yes"}}, "kubernetes.dra"),
    "an unknown GPU option": ({"nvidia": {"gpm": True}}, "gpm"),
    "a driver in no folder": ({"nvidia": {"driverHostPath": "nvidia"}}, "nvidia.driverHostPath"),
    "an unknown host mount": ({"host": {"dev": True}}, "dev"),
    "a relative ledger": ({"ledger": {"hostPath": "var/lib"}}, "ledger.hostPath"),
    "an unknown ledger": ({"ledger": {"type": "pvc"}}, "ledger.type"),
    "an unknown size": ({"ledger": {"sizeLimit": "lots"}}, "ledger.sizeLimit"),
    "an unknown capability": ({"security": {"sysAdmin": True}}, "sysAdmin"),
    "a user by name": ({"security": {"runAsUser": "root"}}, "security.runAsUser"),
    "an unknown resource": ({"resources": {"requests": {"gpu": 1}}}, "gpu"),
    "an amount that is none": ({"resources": {"limits": {"memory": "1 GB"}}}, "memory"),
    "an unknown toleration": ({"tolerations": [{"keys": "a"}]}, "keys"),
    "an unknown effect": ({"tolerations": [{"effect": "Never"}]}, "tolerations.0.effect"),
    "an unknown affinity": ({"affinity": {"gpuAffinity": {}}}, "gpuAffinity"),
    "a selector that is no text": ({"nodeSelector": {"gpu": True}}, "nodeSelector.gpu"),
    "no pod at a time": ({"updateStrategy": {"maxUnavailable": 0}}, "updateStrategy"),
    "a surge": ({"updateStrategy": {"maxSurge": 1}}, "maxSurge"),
    "no time to commit": ({"terminationGracePeriodSeconds": 1}, "terminationGracePeriodSeconds"),
    "a port that is none": ({"web": {"port": 70000}}, "web.port"),
    "a password": ({"web": {"password": "hunter2"}}, "password"),
    "an address in the values": ({"notify": {"slack": {"url": "https://x"}}}, "url"),
    "a folder of our own": ({"secretMounts": [{"name": "web", "secret": "x"}]}, "secretMounts.0"),
    "an unknown interval": ({"podMonitor": {"interval": "often"}}, "podMonitor.interval"),
    "no samples": ({"podMonitor": {"sampleLimit": 0}}, "podMonitor.sampleLimit"),
    "an unknown TLS option": ({"podMonitor": {"tlsConfig": {"caFile": "x"}}}, "caFile"),
    "a priority above all": ({"priorityClass": {"value": 2000000000}}, "priorityClass.value"),
    "a label that is none": ({"podLabels": {"a b": "c"}}, "podLabels"),
    "an annotation that is no text": ({"podAnnotations": {"a": 1}}, "podAnnotations.a"),
    "an unknown peer": ({"networkPolicy": {"from": [{"pods": {}}]}}, "pods"),
    "an unknown variable": ({"env": [{"name": "A", "val": "b"}]}, "val"),
    "an unknown scope": ({"sidecar": {"scope": "node"}}, "sidecar.scope"),
    "a fleet's ledger without TLS": ({"central": {"url": "http://costs"}}, "central.url"),
    "a database's address": ({"deployment": {"database": {"url": "x"}}}, "url"),
    "half a replica": ({"deployment": {"replicas": 0.5}}, "deployment.replicas"),
    "a volume without a name": ({"extraVolumes": [{"emptyDir": {}}]}, "name"),
}


@pytest.mark.real
@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused_by_name(charts: Charts, name: str) -> None:
    """The message says which key it is."""
    values, key = BAD[name]
    with pytest.raises(Refused) as refused:
        charts.text(values)
    assert "values don't meet the specifications of the schema" in str(refused.value)
    assert key in str(refused.value)


@pytest.mark.real
@pytest.mark.parametrize(
    ("values", "key"),
    [
        (
            {
                "podMonitor": {"enabled": True},
                "serviceMonitor": {"enabled": True},
                "service": {"enabled": True},
            },
            "podMonitor.enabled and serviceMonitor.enabled",
        ),
        ({"serviceMonitor": {"enabled": True}}, "service.enabled"),
        ({"alertmanagerConfig": {"enabled": True}}, "alertmanagerConfig.secret"),
        ({"mode": "deployment"}, "deployment.database.secret"),
        (merged(FLEET, {"deployment": {"ingress": {"enabled": True}}}), "deployment.ingress"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    charts: Charts, values: dict[str, Any], key: str
) -> None:
    """What the schema cannot say."""
    with pytest.raises(Refused, match=key):
        charts.text(values)


def _closed(schema: Any, path: str = "") -> Iterator[str]:
    """Objects with known keys that would take others as well."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield path
        for key, each in schema.items():
            yield from _closed(each, f"{path}/{key}")
    elif isinstance(schema, list):
        for i, each in enumerate(schema):
            yield from _closed(each, f"{path}/{i}")


def test_no_level_takes_unknown_keys() -> None:
    """But a volume's, of which Kubernetes has dozens of kinds."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert list(_closed(schema)) == ["/definitions/volume"]


def test_every_value_is_explained_and_in_the_schema(root: Path) -> None:
    """A comment for each in values.yaml; and neither knows of more than the other."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    chart = runpy.run_path(str(root / "deploy/helm/chart.py"))
    explained = {key for key, _ in chart["rows"](text)}
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load(text)
    assert _keys(values) - explained == set()
    assert _known(schema, schema["definitions"]) - {"global"} == _keys(values) | {
        key for key in explained if _at(values, key) in ({}, [])
    }


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


FREE = ("nodeSelector", "tolerations", "resources")
"""Whose keys are not the chart's."""


def _keys(value: Any, path: str = "") -> set[str]:
    """The keys of values.yaml that have no keys below them."""
    if not isinstance(value, dict) or not value or path in FREE:
        return {path}
    return {key for name, each in value.items() for key in _keys(each, f"{path}.{name}".strip("."))}


def _known(schema: Any, definitions: Any, path: str = "") -> set[str]:
    """The same of the schema."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "properties" not in schema or path in (*FREE, "affinity", "podMonitor.tlsConfig"):
        return {path}
    return {
        key
        for name, each in schema["properties"].items()
        for key in _known(each, definitions, f"{path}.{name}".strip("."))
    }


def test_the_readme_s_table_is_that_of_the_values(root: Path) -> None:
    """`./dev docs` writes it."""
    chart = runpy.run_path(str(root / "deploy/helm/chart.py"))
    assert (CHART / "README.md").read_text(encoding="utf-8") == chart["readme"]()
