"""Examples on the pages work: Prometheus accepts them, and code does what the page says."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
import yaml

from unitcost.collectors.base import Context, NoData, discover
from unitcost.collectors.kube.api_types import PodObject
from unitcost.collectors.kube.scrape import scrape_of
from unitcost.collectors.price_contract import SourceContext
from unitcost.collectors.price_sources import price_file
from unitcost.collectors.tables import ServerTable
from unitcost.exporter.conformance import check_price_source
from unitcost.pricing.container import Scrape
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.sample import Quantity

FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def fences(root: Path, candidates: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """All examples: page, language, text."""
    return [
        (name, language, text)
        for name in candidates
        if name.endswith(".md")
        for language, text in FENCE.findall((root / name).read_text(encoding="utf-8"))
    ]


def test_every_yaml_example_says_which_file_it_is(fences: list[tuple[str, str, str]]) -> None:
    """So that there is a test that reads it: test_config_docs.py, tests/helm, or the ones below."""
    first_lines = {text.split("\n")[0] for _, language, text in fences if language == "yaml"}
    assert "# unitcost.yaml" in first_lines
    known = {"# unitcost.yaml", "# prometheus.yml", "# a pod template", "# prices.yaml"}
    known |= {"# web-config.yml", "# values.yaml", "# values.yaml of your chart"}
    known |= {"# central.yaml", "# in the pod template of the workload"}
    assert {line.split(":")[0] for line in first_lines} <= known


def test_every_pod_template_is_understood(fences: list[tuple[str, str, str]]) -> None:
    """Its annotations say where its metrics page is, as the exporter reads them."""
    texts = [text for _, _, text in fences if text.startswith("# a pod template")]
    assert texts
    for text in texts:
        pod = msgspec.convert(yaml.safe_load(text), PodObject)
        assert scrape_of(pod) == Scrape(8000, server="vllm")


def test_every_price_file_is_read(fences: list[tuple[str, str, str]], tmp_path: Path) -> None:
    """As the source that reads it."""
    texts = [text for _, _, text in fences if text.startswith("# prices.yaml")]
    assert texts
    for text in texts:
        (tmp_path / "prices.yaml").write_text(text, encoding="utf-8")
        context = SourceContext(tmp_path, time.time_ns)
        source = price_file.make_source(price_file.Options(path="prices.yaml"), context)
        host = HostIdentity("lambda", "us-east-1", "", "gpu_8x_h100_sxm5", PriceModel.ON_DEMAND)
        (quote,) = source.quotes(host, time.monotonic() + 10)
        assert quote.per_hour == Decimal("23.92")


def test_the_price_source_on_the_page_of_plugins_conforms(
    fences: list[tuple[str, str, str]],
) -> None:
    """It is a whole one."""
    (text,) = [
        text
        for name, language, text in fences
        if (name, language) == ("docs/plugins.md", "python") and "make_source" in text
    ]
    made = ModuleType("acme_contract")
    exec(compile(text, "plugins.md", "exec"), made.__dict__)  # noqa: S102 - our own page
    host = HostIdentity("acme", "dubai", "", "a8", PriceModel.ON_DEMAND)
    report = check_price_source(made, None, host, name="acme_contract")
    assert (report.violations, report.notes) == ((), ())


def test_every_prometheus_example_is_accepted_by_promtool(
    fences: list[tuple[str, str, str]], tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """README.md shows how to be scraped."""
    texts = [text for _, _, text in fences if text.startswith("# prometheus.yml")]
    assert texts
    for text in texts:
        for name in re.findall(r"_file: ([\w.-]+)", text):
            (tmp_path / name).touch()
        file = tmp_path / "prometheus.yml"
        file.write_text(text, encoding="utf-8")
        command = [str(real_tool("promtool")), "check", "config", str(file)]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def package(tmp_path: Path, fences: list[tuple[str, str, str]]) -> Iterator[ModuleType]:
    """The two modules that CONTRIBUTING.md shows, in a package of their own."""
    server, collector = [
        text for name, language, text in fences if (name, language) == ("CONTRIBUTING.md", "python")
    ]
    (tmp_path / "server.py").write_text(server, encoding="utf-8")
    (tmp_path / "step_file.py").write_text(collector, encoding="utf-8")
    made = ModuleType("contributed")
    made.__path__ = [str(tmp_path)]
    sys.modules["contributed"] = made
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == "contributed"]:
        del sys.modules[name]


def test_the_collector_that_contributing_shows_is_found_and_works(
    package: ModuleType, tmp_path: Path
) -> None:
    """It reads its number, has nothing to say without a file, and raises for junk."""
    (found,) = discover(package)
    assert (found.name, found.error) == ("step_file", None)
    assert found.module is not None
    file = tmp_path / "steps.txt"
    file.write_text("1200\n", encoding="ascii")
    make = found.module.make_collector
    collector = make(found.module.Options(path=str(file)), Context())
    (sample,) = collector.collect(deadline=0.0).samples
    assert (sample.quantity, sample.value) == (Quantity.STEPS, 1200.0)
    file.write_text("many", encoding="ascii")
    with pytest.raises(ValueError, match="many"):
        collector.collect(deadline=0.0)
    with pytest.raises(NoData):
        make(found.module.Options(), Context()).collect(deadline=0.0)


def test_the_server_that_contributing_shows_is_found(package: ModuleType) -> None:
    """By the constant that every table has."""
    (found,) = discover(package, marker="SERVER")
    assert found.module is not None
    assert isinstance(found.module.SERVER, ServerTable)
    assert found.module.SERVER.requests_succeeded[0].labels == {"status": ("ok",)}
