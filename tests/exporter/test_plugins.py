"""Plugins in the configuration, in the commands and in a running exporter."""

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.raw_server import body, raw_server
from tests.harness import parse
from tests.plugin_site import COLLECTOR, SERVER, install, install_acme
from unitcost.collectors.plugins import State
from unitcost.exporter import app, cli
from unitcost.exporter.config.load import ConfigError, Loaded, load, loads
from unitcost.exporter.doctor import doctor

QUIET = "price: {usd_per_hour: 1}\n"
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


def names(loaded: Loaded) -> set[str]:
    """The collectors that run."""
    return {found.name for found in loaded.collectors}


def test_a_plugin_is_on_as_soon_as_it_is_installed(site: Path) -> None:
    """With its defaults, beside the built-in ones."""
    install_acme(site)
    loaded = loads(QUIET)
    assert {"acme", "host"} <= names(loaded)
    assert loaded.collector_options["acme"].steps == 1
    assert loaded.context.plugin_servers["acme"].marker == ("acme_",)
    assert loaded.warnings == loads(QUIET + "plugins: {allow: []}").warnings


def test_its_section_is_decoded_by_its_own_options(site: Path) -> None:
    """And can switch it off."""
    install_acme(site)
    assert loads("collectors: {acme: {steps: 9}}").collector_options["acme"].steps == 9
    assert "acme" not in names(loads("collectors: {acme: {enabled: false}}"))
    for text, problem in (
        ("{stepz: 9}", "collectors.acme.stepz: unknown key, expected one of steps"),
        ("{steps: many}", "collectors.acme.steps: expected a whole number, got 'many'"),
    ):
        with pytest.raises(ConfigError) as caught:
            loads(f"collectors: {{acme: {text}}}")
        assert problem in str(caught.value)


def test_what_is_not_allowed_is_unknown(site: Path) -> None:
    """Its sections and its server are mistakes then, as if it were not installed."""
    install_acme(site)
    assert "acme" not in names(loads("plugins: {allow: []}"))
    with pytest.raises(ConfigError, match=r"collectors\.acme: unknown collector"):
        loads("plugins: {allow: [other]}\ncollectors: {acme: {}}")
    endpoint = "workloads: [{name: a, endpoints: [{url: 'http://127.0.0.1:1/', server: acme}]}]"
    with pytest.raises(ConfigError, match="unknown server 'acme'"):
        loads(f"plugins: {{allow: []}}\n{endpoint}")
    loads(endpoint)


def test_a_name_in_the_list_that_is_not_installed_is_a_warning(site: Path) -> None:
    """A misspelt one would switch off what was meant to be on."""
    install_acme(site)
    loaded = loads("plugins: {allow: [acme_unitcost, acme-unitcots]}")
    found = [warning for warning in loaded.warnings if warning.startswith("plugins.allow")]
    assert found == ["plugins.allow: acme-unitcots is not installed, or brings no plugin"]


def test_a_refused_plugin_is_a_warning_that_names_its_distribution(site: Path) -> None:
    """And the built-in collector and table stay what they are."""
    entries = {"unitcost.collectors": {"host": "evil"}, "unitcost.servers": {"vllm": "evil"}}
    install(site, "evil-unitcost", entries, {"evil": "raise SystemExit"})
    loaded = loads(QUIET)
    assert [w for w in loaded.warnings if w.startswith("plugin ")] == [
        "plugin collector host (evil-unitcost 1.2): is not used: "
        "the name is taken by what is built in",
        "plugin server vllm (evil-unitcost 1.2): is not used: "
        "the name is taken by what is built in",
    ]
    (host,) = [found for found in loaded.collectors if found.name == "host"]
    assert (host.origin, host.error) == ("", None)
    assert loaded.context.plugin_servers == {}


def test_a_table_of_the_configuration_takes_the_place_of_a_plugins(site: Path) -> None:
    """The user has the last word, and is told."""
    install_acme(site)
    table = "servers: {acme: {marker: [own_], requests_failed: [{metric: own_total}]}}"
    loaded = loads(table)
    assert "servers.acme: takes the place of the table that a plugin brings" in loaded.warnings
    assert loaded.context.servers["acme"].marker == ("own_",)


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_options_that_fail_without_a_section_break_that_plugin_alone(site: Path, name: str) -> None:
    """Nobody wrote a mistake into the configuration: it must load."""
    text = COLLECTOR.replace("steps: int = 1\n", BAD_OPTIONS[name])
    install(site, "bad", {"unitcost.collectors": {"bad": "bad_o"}}, {"bad_o": text})
    loaded = loads(QUIET)
    (bad,) = [found for found in loaded.collectors if found.name == "bad"]
    assert bad.module is None
    assert bad.error
    assert [plugin.state for plugin in loaded.plugins] == [State.BROKEN]
    assert any("collectors.bad (bad 1.2)" in warning for warning in loaded.warnings)


def test_a_mistake_in_a_plugins_section_is_a_mistake_of_the_configuration(site: Path) -> None:
    """It has a line and a key, as any other."""
    text = COLLECTOR.replace("steps: int = 1\n", BAD_OPTIONS["a required key"])
    install(site, "bad", {"unitcost.collectors": {"bad": "bad_s"}}, {"bad_s": text})
    with pytest.raises(ConfigError, match=r"collectors\.bad\.path: expected text") as caught:
        loads("collectors:\n  bad:\n    path:\n", source="f")
    assert caught.value.line == 3


def broken_beside_good(site: Path) -> Path:
    """A good distribution, one with everything broken, and a configuration that uses both."""
    install_acme(site)
    entries = {"unitcost.collectors": {"bad": "bad_c"}, "unitcost.servers": {"bad": "bad_c"}}
    install(site, "bad-unitcost", entries, {"bad_c": "1 / 0"})
    file = site / "unitcost.yaml"
    file.write_text(QUIET + "collectors: {acme: {steps: 5}, bad: {anything: 1}}\n")
    return file


def test_check_config_names_plugins_and_a_broken_one_is_a_warning(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0: an upgrade of a plugin that fails must not keep the exporter from starting."""
    file = broken_beside_good(site)
    assert cli.main(["check-config", str(file)]) == 0
    output = capsys.readouterr()
    reason = "ZeroDivisionError: division by zero"
    assert output.out.splitlines() == [
        f"{file}: plugin collector acme (acme-unitcost 1.2): used",
        f"{file}: plugin server acme (acme-unitcost 1.2): used",
        f"{file}: plugin collector bad (bad-unitcost 1.2): broken: {reason}",
        f"{file}: plugin server bad (bad-unitcost 1.2): broken: {reason}",
        f"{file}: ok",
    ]
    assert f"collectors.bad (bad-unitcost 1.2): cannot be imported: {reason}" in output.err
    assert f"plugin server bad (bad-unitcost 1.2): cannot be used: {reason}" in output.err


def test_the_list_of_plugins_fails_where_one_is_broken(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a script that has just installed one."""
    assert cli.main(["plugins"]) == 0
    assert capsys.readouterr().out == "no plugins are installed\n"
    file = broken_beside_good(site)
    assert cli.main(["plugins", "--config", str(file)]) == 1
    assert "collector bad (bad-unitcost 1.2): broken" in capsys.readouterr().out
    file.write_text("plugins: {allow: [acme-unitcost]}\n")
    assert cli.main(["plugins", "--config", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "collector acme (acme-unitcost 1.2): used"
    assert lines[2] == (
        "collector bad (bad-unitcost 1.2): not allowed: plugins.allow does not name it"
    )
    file.write_text("plugins: {allow: 3}\n")
    assert cli.main(["plugins", "--config", str(file)]) == 2


def test_the_doctor_says_whose_plugins_there_are(site: Path) -> None:
    """And what to do about a broken one."""
    loaded = load(broken_beside_good(site))
    out = io.StringIO()
    assert doctor.report(loaded, out) == 1
    text = out.getvalue()
    assert "collector acme (acme-unitcost 1.2): used" in text
    assert "read acme" in text
    (line,) = [each for each in text.splitlines() if "collector bad (bad-unitcost" in each]
    assert line.startswith("fail")
    assert "remove bad-unitcost" in line


def test_a_broken_plugin_breaks_its_own_series_alone(site: Path) -> None:
    """In an exporter that runs: the good one is up, the broken one counted."""
    page = parse(app.once(load(broken_beside_good(site))))
    assert page.one("unitcost_collector_up", collector="acme") == 1
    assert page.one("unitcost_collector_up", collector="host") == 1
    assert page.one("unitcost_collector_up", collector="bad") == 0
    assert page.one("unitcost_collector_errors_total", collector="bad", kind="import") == 1


@pytest.mark.parametrize("server", ["acme", "auto"])
def test_an_endpoint_is_read_by_a_plugins_table(site: Path, server: str) -> None:
    """By its name, and recognised by its marker."""
    install_acme(site)
    with raw_server(body(b"acme_requests_total 3\n")) as acme:
        loaded = loads(
            f"workloads: [{{name: a, endpoints: [{{url: '{acme.url}', server: {server}}}]}}]"
        )
        (found,) = [each for each in loaded.collectors if each.name == "openmetrics"]
        assert found.module is not None
        options = loaded.collector_options["openmetrics"]
        reading = found.module.make_collector(options, loaded.context).collect(
            time.monotonic() + 30
        )
    assert [sample.value for sample in reading.samples] == [3]


def test_a_server_whose_table_is_broken_costs_its_endpoint_alone(site: Path) -> None:
    """The configuration that names it loads, and the endpoint says what is wrong."""
    install(site, "bad", {"unitcost.servers": {"bad": "bad_t"}}, {"bad_t": SERVER + "\n1 / 0"})
    with raw_server(body(b"acme_requests_total 3\n")) as acme:
        loaded = loads(f"workloads: [{{name: a, endpoints: [{{url: '{acme.url}', server: bad}}]}}]")
        (found,) = [each for each in loaded.collectors if each.name == "openmetrics"]
        assert found.module is not None
        options = loaded.collector_options["openmetrics"]
        reading = found.module.make_collector(options, loaded.context).collect(
            time.monotonic() + 30
        )
    assert reading.samples == ()
    assert "bad" in reading.problems[0].detail
