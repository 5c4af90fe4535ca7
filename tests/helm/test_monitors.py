"""Prometheus and Grafana find what they should, once, under names that last."""

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.helm.charts import LOADER, Charts, Manifest, agent_of, of_kind, pod_of, the
from tests.helm.options import DAEMONSET, SIDECAR, WEB
from unitcost.dashboards.build import build
from unitcost.dashboards.settings import Settings

pytestmark = pytest.mark.real
MIB = 1 << 20


def selected(monitor: Manifest, labels: dict[str, str]) -> bool:
    """Whether the monitor's selector takes something with these labels."""
    wanted: dict[str, str] = monitor["spec"]["selector"]["matchLabels"]
    return wanted.items() <= labels.items()


def ports(manifests: list[Manifest], kind: str) -> set[str]:
    """The names of the agent's ports."""
    return {each["name"] for each in agent_of(pod_of(the(manifests, kind)))["ports"]}


def test_a_node_s_series_are_named_by_the_node(charts: Charts) -> None:
    """A new pod goes on with the old one's counters, so nothing of the pod may be in a label."""
    manifests = charts.render(DAEMONSET["pod monitor"])
    monitor = the(manifests, "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert {
        "sourceLabels": ["__meta_kubernetes_pod_node_name"],
        "targetLabel": "instance",
    } in endpoint["relabelings"]
    assert {"action": "labeldrop", "regex": "pod"} in endpoint["relabelings"]
    assert endpoint["port"] in ports(manifests, "DaemonSet")
    labels = the(manifests, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    assert selected(monitor, labels)
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_by_a_service_it_is_the_same(charts: Charts) -> None:
    """The service leads to the pods, and its series have the same names."""
    manifests = charts.render(DAEMONSET["service monitor"])
    monitor, service = the(manifests, "ServiceMonitor"), the(manifests, "Service")
    assert selected(monitor, service["metadata"]["labels"])
    (endpoint,) = monitor["spec"]["endpoints"]
    (by_pod,) = the(charts.render(DAEMONSET["pod monitor"]), "PodMonitor")["spec"][
        "podMetricsEndpoints"
    ]
    assert endpoint == by_pod
    assert endpoint["port"] in {each["name"] for each in service["spec"]["ports"]}
    labels = the(manifests, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_a_sidecar_s_series_are_named_by_the_pod(beside: Charts) -> None:
    """Its counters begin with the pod. A daemonset's agent is not scraped as one."""
    manifests = beside.render({"unitcost": SIDECAR["pod monitor"]})
    monitor = the(manifests, "PodMonitor")
    labels = the(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert selected(monitor, labels)
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in ports(manifests, "Deployment")
    (relabeling,) = endpoint["relabelings"]
    assert relabeling["targetLabel"] == "instance"


def test_what_a_sidecar_counts_is_left_to_it(beside: Charts) -> None:
    """By an annotation that the node's agent knows; only where that agent charges."""
    for scope, said in (("units", "sidecar"), ("pod", None)):
        manifests = beside.render({"unitcost": {"sidecar": {"scope": scope}}})
        annotations = the(manifests, "Deployment")["spec"]["template"]["metadata"]["annotations"]
        assert annotations.get("unitcost.io/units") == said


@pytest.mark.parametrize("values", [DAEMONSET["pod monitor"], WEB])
def test_a_scrape_is_limited(charts: Charts, values: dict[str, object]) -> None:
    """An agent that goes mad does not take Prometheus down."""
    spec = the(charts.render(values), "PodMonitor")["spec"]
    for limit in ("sampleLimit", "labelLimit", "labelNameLengthLimit", "labelValueLengthLimit"):
        assert isinstance(spec[limit], int)


def test_with_tls_probes_and_scrapes_speak_https(charts: Charts) -> None:
    """Probes cannot know a password: health is answered without one; nothing else is."""
    manifests = charts.render(WEB)
    agent = agent_of(pod_of(the(manifests, "DaemonSet")))
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert agent[probe]["httpGet"]["scheme"] == "HTTPS"
        assert agent[probe]["httpGet"]["path"] in ("/-/healthy", "/-/ready")
    (endpoint,) = the(manifests, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["basicAuth"]["password"] == {"name": "scraper", "key": "password"}
    web = yaml.safe_load(the(manifests, "ConfigMap")["data"]["unitcost.yaml"])["web"]
    assert web["health_without_auth"] is True
    mounts = {each["mountPath"] for each in agent["volumeMounts"]}
    assert str(Path(web["config_file"]).parent) in mounts


def test_the_rules_are_those_that_are_built(charts: Charts) -> None:
    """To the letter; templates of alerts are not taken for Helm's."""
    rule = the(charts.render(DAEMONSET["rules and dashboards"]), "PrometheusRule")
    built = build(Settings())["rules/unitcost.yaml"]
    assert rule["spec"] == yaml.load(built, Loader=LOADER)  # noqa: S506 - a safe one


def test_the_dashboards_are_those_that_are_built(charts: Charts) -> None:
    """Each in a config map of its own, with the label for which Grafana's sidecar looks."""
    manifests = charts.render(DAEMONSET["rules and dashboards"])
    built = {
        Path(path).name: json.loads(text)
        for path, text in build(Settings()).items()
        if path.startswith("dashboards/")
    }
    found = {}
    for each in of_kind(manifests, "ConfigMap"):
        if "unitcost.yaml" in each["data"]:
            assert "grafana_dashboard" not in each["metadata"]["labels"]
            continue
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert each["metadata"]["annotations"] == {"grafana_folder": "unitcost"}
        ((name, text),) = each["data"].items()
        assert len(text.encode()) < MIB
        found[name] = json.loads(text)
    assert found == built


def test_a_release_fits_into_a_secret(charts: Charts) -> None:
    """Helm keeps each release in one: chart and manifests, packed, in at most a MiB."""
    files = [path for path in charts.folder.rglob("*") if path.is_file()]
    release = {
        "chart": {path.name: base64.b64encode(path.read_bytes()).decode() for path in files},
        "manifest": charts.text(DAEMONSET["rules and dashboards"]),
    }
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    assert len(packed) < MIB // 2


@pytest.mark.parametrize("settings", [["nosuch=1"], ["idle_share"], ["idle_share=two"], []])
def test_a_setting_that_is_none_makes_no_chart(
    root: Path, tmp_path: Path, settings: list[str]
) -> None:
    """One line says which; without a folder, how it is called."""
    folder = [str(tmp_path)] if settings else []
    command = [sys.executable, "-I", str(root / "deploy/helm/chart.py"), *folder, *settings]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert "".join(settings).partition("=")[0] in run.stderr


def test_straight_from_a_checkout_it_says_what_is_missing(charts: Charts, root: Path) -> None:
    """Rules and dashboards are generated: without them all else can be installed."""
    chart = root / "deploy" / "helm" / "unitcost"
    assert charts.render({}, folder=chart) == charts.render()
    for name in ("alertmanagerConfig", "dashboards", "prometheusRule"):
        with pytest.raises(Exception, match=r"\./dev chart"):
            charts.text({name: {"enabled": True}}, folder=chart)


def test_alertmanager_tells_slack_what_its_example_tells(
    charts: Charts, real_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """The operator's form of alertmanager.yml: the same route and quiet, and the same texts."""
    config = the(charts.render(DAEMONSET["rules and dashboards"]), "AlertmanagerConfig")["spec"]
    built = build(Settings())
    example = yaml.safe_load(built["alertmanager/alertmanager.yml"])
    (receiver,) = config["receivers"]
    assert receiver["name"] == config["route"]["receiver"]
    (message,) = receiver["slackConfigs"]
    assert message["apiURL"] == {"name": "slack", "key": "url"}
    assert config["route"]["groupBy"] == example["route"]["routes"][0]["group_by"]
    for given, rule in zip(config["inhibitRules"], example["inhibit_rules"], strict=True):
        for key, its in (("sourceMatch", "source_matchers"), ("targetMatch", "target_matchers")):
            assert [_matcher(each) for each in given[key]] == rule[its]
        assert given["equal"] == rule["equal"]

    amtool = str(real_tool("amtool"))
    texts = example["receivers"][1]["slack_configs"][0]
    named = {"titleLink": "title_link"}
    nothing = tmp_path / "nothing.tmpl"
    nothing.write_text("", encoding="utf-8")
    templates = tmp_path / "unitcost.tmpl"
    templates.write_text(built["alertmanager/unitcost.tmpl"], encoding="utf-8")
    for key in ("title", "titleLink", "text", "fallback", "color"):
        shown = _shown(amtool, nothing, message[key])
        assert shown == _shown(amtool, templates, texts[named.get(key, key)])
        assert shown or key == "titleLink"


def _matcher(given: dict[str, str]) -> str:
    """As alertmanager.yml writes it."""
    return f'{given["name"]} {given["matchType"]} "{given["value"]}"'


def _shown(amtool: str, templates: Path, text: str) -> str:
    """What Alertmanager makes of a text, for alerts of its own."""
    command = [amtool, "template", "render", f"--template.glob={templates}"]
    run = subprocess.run(
        [*command, f"--template.text={text}"], capture_output=True, text=True, check=True
    )
    return run.stdout.removesuffix("\n")
