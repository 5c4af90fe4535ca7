"""Whether Kubernetes would take a manifest: its own schemas of every version, read once each."""

import functools
import re
from typing import Any

import jsonschema
from kubernetes_validate import utils
from referencing import Registry, Resource

VERSIONS = tuple(dict.fromkeys(map(utils.major_minor, utils.all_versions())))
OPERATORS = {
    "AlertmanagerConfig",
    "PodMonitor",
    "PrometheusRule",
    "SecurityContextConstraints",
    "ServiceMonitor",
}
"""Kinds of custom resources, of which these schemas know nothing."""


@functools.cache
def _validator(kind: str, api: str, version: str) -> jsonschema.Draft202012Validator:
    full = next(each for each in utils.all_versions() if utils.major_minor(each) == version)
    folder = f"kubernetes-json-schema/v{full}-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    schema = utils.schema_contents(f"{folder}/{kind.lower()}-{group}.json", version)
    return jsonschema.Draft202012Validator(schema, registry=_definitions(folder, version))


@functools.cache
def _definitions(folder: str, version: str) -> Any:
    definitions = utils.schema_contents(f"{folder}/_definitions.json", version)
    return Resource.from_contents(definitions) @ Registry()


def faults(manifests: list[dict[str, Any]], version: str) -> list[str]:
    """What Kubernetes of that version would refuse."""
    return [
        f"{each['kind']} {each['metadata']['name']} ({version}): {error.json_path}: {error.message}"
        for each in manifests
        if each["kind"] not in OPERATORS
        for error in _validator(each["kind"], each["apiVersion"], version).iter_errors(each)
    ]
