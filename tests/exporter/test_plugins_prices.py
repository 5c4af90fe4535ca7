"""Price sources of third parties: in the configuration, in the commands, in a running exporter."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporter.prices.test_billed_elsewhere import host_price, running
from tests.harness import wait_for
from tests.plugin_site import PRICES, install
from unitcost.collectors.plugins import State
from unitcost.exporter import cli
from unitcost.exporter.config.load import ConfigError, load, loads
from unitcost.exporter.conformance import __main__ as conformance
from unitcost.exporter.prices.report import report

GROUP = "unitcost.price_sources"
INSTANCE = "instance: {provider: acme, region: here, type: big, terms: on_demand}"
BAD_OPTIONS = {
    "a required key": "path: str\n",
    "its own error": "path: str = ''\n    def __post_init__(self): raise KeyError('x')\n",
    "no Exception": "path: str = ''\n    def __post_init__(self): raise SystemExit(3)\n",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the import path to install into; what is imported from it is forgotten after."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def install_source(site: Path, text: str = PRICES, name: str = "acme_prices") -> None:
    """A distribution that brings one price source."""
    install(site, "acme-unitcost", {GROUP: {name: "acme_p"}}, {"acme_p": text})


def configuration(sources: str, more: str = "") -> str:
    """A host of Acme's whose price is looked up."""
    return f"price: {{lookup: {{{INSTANCE}, metadata: false, sources: {{{sources}}}}}}}\n{more}"


def wanted(text: str) -> dict[str, str | None]:
    """The sources that are asked, and what is wrong with each."""
    return {found.name: found.error for found, _ in loads(text).price_sources}


def test_it_is_asked_where_it_has_a_section(site: Path) -> None:
    """As those that are built in; installing it alone changes no price."""
    install_source(site)
    assert wanted(configuration("")) == {"rate_card": None}
    assert wanted(configuration("acme_prices: {}")) == {"rate_card": None, "acme_prices": None}
    assert wanted(configuration("acme_prices: {enabled: false}")) == {"rate_card": None}
    loaded = loads(configuration("acme_prices: {usd: '7'}"))
    assert [options.usd for found, options in loaded.price_sources if found.origin] == ["7"]
    assert [plugin.line() for plugin in loaded.plugins] == [
        "price source acme_prices (acme-unitcost 1.2): used"
    ]
    assert not any("acme" in warning for warning in loaded.warnings)


def test_a_mistake_in_its_section_is_a_mistake_of_the_configuration(site: Path) -> None:
    """With its key; so is a name that nobody has."""
    install_source(site)
    for sources, problem in (
        ("acme_prices: {usd: [1]}", "price.lookup.sources.acme_prices.usd: expected text"),
        ("acme_prices: {eur: 1}", "price.lookup.sources.acme_prices.eur: unknown key"),
        ("acme: {}", "unknown source 'acme', expected one of acme_prices, aws_bulk"),
    ):
        with pytest.raises(ConfigError) as caught:
            loads(configuration(sources))
        assert problem in str(caught.value)


def test_what_is_not_allowed_is_unknown(site: Path) -> None:
    """And is not even imported."""
    install_source(site, "raise SystemExit")
    with pytest.raises(ConfigError, match="unknown source 'acme_prices'"):
        loads(configuration("acme_prices: {}", "plugins: {allow: [other]}"))
    loaded = loads("plugins: {allow: []}")
    assert [plugin.state for plugin in loaded.plugins] == [State.NOT_ALLOWED]
    assert "acme_p" not in sys.modules


@pytest.mark.parametrize("name", ["rate_card", "price_file", "aws_spot", "azure_retail"])
def test_no_plugin_takes_the_place_of_a_built_in_source(site: Path, name: str) -> None:
    """It is refused by name, not imported, and told."""
    install_source(site, "raise SystemExit", name)
    loaded = loads(configuration("rate_card: {}"))
    assert [found.origin for found, _ in loaded.price_sources] == [""]
    assert [plugin.state for plugin in loaded.plugins] == [State.REFUSED]
    assert (
        f"plugin price source {name} (acme-unitcost 1.2): is not used: "
        "the name is taken by what is built in" in loaded.warnings
    )


def test_a_name_may_be_a_collector_s_and_a_source_s(site: Path) -> None:
    """They are asked for in different sections."""
    install_source(site, name="host")
    assert [plugin.state for plugin in loads("").plugins] == [State.USED]


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_options_that_fail_by_themselves_break_that_source_alone(site: Path, name: str) -> None:
    """An empty section is no mistake of the user's: it is told, and the others are asked."""
    install_source(site, PRICES.replace('usd: str = "2.5"\n', BAD_OPTIONS[name]))
    loaded = loads(configuration("acme_prices: {}"))
    (bad,) = [found for found, _ in loaded.price_sources if found.origin]
    assert bad.module is None
    assert [plugin.state for plugin in loaded.plugins] == [State.BROKEN]
    (told,) = [warning for warning in loaded.warnings if "acme_prices" in warning]
    assert told.startswith("price.lookup.sources.acme_prices (acme-unitcost 1.2): cannot be used: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("make_source = 5", "TypeError: the module has no function make_source"),
    ],
)
def test_a_broken_one_is_a_warning_and_breaks_nothing(
    site: Path, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The configuration that names it is good; the list of plugins fails."""
    install_source(site, text)
    file = site / "unitcost.yaml"
    file.write_text(configuration("acme_prices: {anything: 1}"))
    assert cli.main(["check-config", str(file)]) == 0
    told = f"price.lookup.sources.acme_prices (acme-unitcost 1.2): cannot be used: {reason}"
    assert told in capsys.readouterr().err
    assert cli.main(["plugins", "--config", str(file)]) == 1
    line = f"price source acme_prices (acme-unitcost 1.2): broken: {reason}"
    assert line in capsys.readouterr().out
    words = "\n".join(report(load(file)))
    assert "price: none" in words


IMPOSTOR = PRICES.replace('name = "acme_prices"', 'name = "rate_card"')
ODD = PRICES.replace("rank = Rank.LIVE", "rank = 'first'")


@pytest.mark.parametrize("text", [IMPOSTOR, ODD])
def test_one_that_is_made_otherwise_than_it_should_be_is_left_out(
    site: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Above all one that calls itself as a built-in source does."""
    install_source(site, text)
    file = site / "unitcost.yaml"
    file.write_text(configuration("acme_prices: {}"))
    words = "\n".join(report(load(file)))
    assert "price: none" in words
    assert "rate_card: knows no hosts of this provider" in words
    assert [each.message for each in caplog.records] == ["price source cannot be used"]


def test_a_host_is_charged_by_it(site: Path) -> None:
    """In an exporter that runs."""
    install_source(site)
    file = site / "unitcost.yaml"
    file.write_text(configuration("acme_prices: {}"))
    with running(file, site / "ledger.db") as exporter:
        wait_for(lambda: host_price(exporter) == pytest.approx(2.5), "a price")
        body = exporter.exposition().body.decode()
        assert 'price_model="on_demand",source="acme"' in body


def test_the_command_of_conformance_asks_it(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its section, of the host that the configuration says; without one by its defaults."""
    install_source(site)
    file = site / "unitcost.yaml"
    file.write_text(configuration("acme_prices: {}"))
    assert conformance.main(["acme-unitcost", "--config", str(file)]) == 0
    assert capsys.readouterr().out == "price source acme_prices: ok\n"
    assert conformance.main(["acme-unitcost"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "price source acme_prices: ok",
        "  note: it was asked of no host that it knows: give one",
    ]
    file.write_text(configuration("acme_prices: {usd: '-1'}"))
    assert conformance.main(["acme-unitcost", "--config", str(file)]) == 1
    assert "raises: ValueError: a price is a number" in capsys.readouterr().out
