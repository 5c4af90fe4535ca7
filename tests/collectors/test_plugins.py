"""What other distributions bring: found by entry point, refused by name, broken alone."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugin_site import COLLECTOR, SERVER, install, install_acme
from unitcost.collectors.base import Context
from unitcost.collectors.page.recognise import Recogniser
from unitcost.collectors.page.table_reading import make_plan
from unitcost.collectors.plugins import (
    Part,
    Plugin,
    State,
    collectors_of,
    find_plugins,
    tables_of,
)
from unitcost.collectors.servers.vllm import SERVER as VLLM

TAKEN = {Part.COLLECTOR: ["host", "nvml"], Part.SERVER: ["vllm"]}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the import path to install into; what is imported from it is forgotten after."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def found(allow: list[str] | None = None) -> dict[tuple[str, str], Plugin]:
    """The plugins of the folder, by part and name."""
    plugins = find_plugins(TAKEN, allow)
    return {(each.part.value, each.name): each for each in plugins}


def test_without_any_there_are_none() -> None:
    """Whatever else is installed where the tests run."""
    assert find_plugins(TAKEN) == ()


def test_a_collector_and_a_table_are_found_and_say_whose_they_are(site: Path) -> None:
    """By their entry points' names."""
    install_acme(site)
    plugins = found()
    assert {key: each.state for key, each in plugins.items()} == {
        ("collector", "acme"): State.USED,
        ("server", "acme"): State.USED,
    }
    (collector,) = collectors_of(plugins.values())
    assert (collector.name, collector.error, collector.origin) == (
        "acme",
        None,
        "acme-unitcost 1.2",
    )
    assert collector.module is not None
    made = collector.module.make_collector(collector.module.Options(steps=7), Context())
    assert made.collect(0.0).samples[0].value == 7
    table = tables_of(plugins.values())["acme"]
    assert (table.name, table.marker) == ("acme", ("acme_",))


def test_a_module_with_a_table_will_do(site: Path) -> None:
    """As the built-in ones are."""
    install(site, "a", {"unitcost.servers": {"acme": "m_server"}}, {"m_server": SERVER})
    assert tables_of(found().values())["acme"].requests_succeeded[0].metric == "acme_requests_total"


def test_nothing_is_imported_before_it_is_asked_for(site: Path) -> None:
    """Nor what is not allowed, nor what is refused."""
    bomb = {"bomb": "raise SystemExit('imported')"}
    install(site, "bomb-unitcost", {"unitcost.collectors": {"host": "bomb", "b": "bomb"}}, bomb)
    assert "bomb" not in sys.modules
    states = {key: each.state for key, each in found(allow=[]).items()}
    assert set(states.values()) == {State.NOT_ALLOWED}
    assert found()["collector", "host"].state is State.REFUSED
    broken = found()["collector", "b"]
    assert (broken.state, broken.reason) == (State.BROKEN, "SystemExit: imported")


@pytest.mark.parametrize("allow", [["acme-unitcost"], ["Acme.Unitcost", "other"], None])
def test_the_list_of_those_allowed_takes_any_spelling(site: Path, allow: list[str] | None) -> None:
    """As installers do."""
    install_acme(site)
    assert {each.state for each in found(allow).values()} == {State.USED}


@pytest.mark.parametrize("allow", [[], ["acme"], ["acme-unitcost-extras"]])
def test_what_the_list_leaves_out_is_not_used(site: Path, allow: list[str]) -> None:
    """The whole name counts."""
    install_acme(site)
    plugins = found(allow).values()
    assert {each.state for each in plugins} == {State.NOT_ALLOWED}
    assert collectors_of(plugins) == []
    assert tables_of(plugins) == {}


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("unitcost.collectors", "host"),
        ("unitcost.servers", "vllm"),
        ("unitcost.servers", "auto"),
        ("unitcost.collectors", "a b"),
        ("unitcost.collectors", "x" * 65),
        ("unitcost.servers", "ü"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused(site: Path, group: str, name: str) -> None:
    """A built-in one, a word of the configuration, or one that is no key."""
    install(site, "acme", {group: {name: "anything"}})
    (plugin,) = found().values()
    assert (plugin.state, plugin.origin) == (State.REFUSED, "acme 1.2")
    assert "name" in plugin.reason
    assert plugin.made is None


def test_of_two_with_one_name_the_second_is_refused_and_the_first_is_named(site: Path) -> None:
    """In the order of the distributions' names, whatever the order on the disk."""
    install(site, "zeta", {"unitcost.collectors": {"acme": "zeta_c"}}, {"zeta_c": COLLECTOR})
    install(site, "alpha", {"unitcost.collectors": {"acme": "alpha_c"}}, {"alpha_c": COLLECTOR})
    first, second = find_plugins(TAKEN)
    assert (first.distribution, first.state) == ("alpha", State.USED)
    assert (second.distribution, second.state) == ("zeta", State.REFUSED)
    assert second.reason == "the name is taken by alpha 1.2"


BROKEN_COLLECTORS = {
    "no module": ("nowhere_at_all", "", "ModuleNotFoundError"),
    "no attribute": ("broken_m:missing", "", "AttributeError"),
    "raises": ("broken_m", "1 / 0", "ZeroDivisionError"),
    "exits": ("broken_m", "raise SystemExit(3)", "SystemExit: 3"),
    "no Exception": ("broken_m", "raise __import__('asyncio').CancelledError()", "CancelledError"),
    "none, and mute": (
        "broken_m",
        "class E(BaseException):\n  def __str__(self): raise E\nraise E",
        "E",
    ),
    "syntax": ("broken_m", "def", "SyntaxError"),
    "nothing in it": ("broken_m", "", "no function make_collector"),
    "no module but a class": ("broken_m:A", "class A: make_collector = 1", "expected a module"),
    "silent": (
        "broken_m",
        "class E(Exception):\n  def __str__(self): raise ValueError\nraise E",
        "E",
    ),
    "long": ("broken_m", "raise ValueError('x' * 9999)", "ValueError: xxx"),
    "unprintable": ("broken_m", "raise ValueError('a\\nb\\x1b[0m')", r"ValueError: a\nb\x1b[0m"),
}


@pytest.mark.parametrize("name", BROKEN_COLLECTORS)
def test_a_broken_collector_says_why_and_breaks_nothing_else(site: Path, name: str) -> None:
    """One line of text, of bounded length."""
    value, text, reason = BROKEN_COLLECTORS[name]
    install(site, "broken", {"unitcost.collectors": {"broken": value}}, {"broken_m": text})
    install_acme(site)
    plugins = found()
    broken = plugins["collector", "broken"]
    assert (broken.state, broken.made) == (State.BROKEN, None)
    assert reason in broken.reason
    assert broken.reason.isprintable()
    assert len(broken.reason) <= 200
    assert plugins["collector", "acme"].state is State.USED
    assert {each.name: bool(each.error) for each in collectors_of(plugins.values())} == {
        "acme": False,
        "broken": True,
    }


TABLE = "from unitcost.collectors.tables import Series, ServerTable\nSERVER = "
BROKEN_TABLES = {
    "no table": ("SERVER = 3", "no ServerTable"),
    "a class of it": (TABLE + "ServerTable", "no ServerTable"),
    "an unknown field": (TABLE + "ServerTable(tokens=())", "TypeError"),
    "another name": (
        TABLE + "ServerTable(name='x', requests_failed=(Series(metric='a'),))",
        "name: must be 'acme'",
    ),
    "no series": (TABLE + "ServerTable(marker=('acme_',))", "names no series"),
    "no metric": (
        TABLE + "ServerTable(requests_failed=(Series(metric='a b'),))",
        "requests_failed: 0: metric: expected a sample name, got 'a b'",
    ),
    "a scale of nothing": (
        TABLE + "ServerTable(requests_failed=(Series(metric='a', scale=0.0),))",
        "scale: must be above 0",
    ),
    "another type": (TABLE + "ServerTable(marker=3)", "ValidationError"),
    "a text for a list": (TABLE + "ServerTable(marker='acme_')", "ValidationError"),
    "an object": (TABLE + "ServerTable(marker=(object(),))", "TypeError"),
    "advice beside series": (
        TABLE + "ServerTable(advice='x', requests_failed=(Series(metric='a'),))",
        "names series",
    ),
}


@pytest.mark.parametrize("name", BROKEN_TABLES)
def test_a_broken_table_says_why(site: Path, name: str) -> None:
    """It is held to what a table in the configuration is held to."""
    text, reason = BROKEN_TABLES[name]
    install(site, "broken", {"unitcost.servers": {"acme": "broken_t"}}, {"broken_t": text})
    (plugin,) = found().values()
    assert plugin.state is State.BROKEN
    assert reason in plugin.reason


def test_a_table_with_advice_alone_is_good(site: Path) -> None:
    """For a server without a metrics page."""
    text = TABLE + "ServerTable(advice='put a gateway in front of it')"
    install(site, "acme", {"unitcost.servers": {"acme": "advice_t"}}, {"advice_t": text})
    assert found()["server", "acme"].state is State.USED


def test_a_plugins_table_gives_way_to_every_built_in_one(site: Path) -> None:
    """It cannot take what is recognised already, not even by accident."""
    text = TABLE + "ServerTable(marker=('p',), requests_failed=(Series(metric='a'),))"
    install(site, "greedy", {"unitcost.servers": {"greedy": "greedy_t"}}, {"greedy_t": text})
    tables = tables_of(found().values())
    assert tables["greedy"].yields_to == ("vllm",)
    plans = {name: make_plan(table) for name, table in {**tables, "vllm": VLLM}.items()}
    recogniser = Recogniser({}, plans)
    both = b"process_start_time_seconds 1\nvllm:num_requests_running 1\n"
    assert recogniser.plan("auto", both).table.name == "vllm"
    assert recogniser.plan("auto", b"process_start_time_seconds 1\n").table.name == "greedy"


DAMAGED: Mapping[str, Callable[[Path], None]] = {
    "no equals sign": lambda info: _write(info, b"[unitcost.collectors]\nacme\n"),
    "not UTF-8": lambda info: _write(info, b"[unitcost.collectors]\n\xff = a\n"),
    "no metadata": lambda info: (info / "METADATA").unlink(),
    "no name": lambda info: _metadata(info, "Version: 1\n"),
}


def _write(info: Path, data: bytes) -> None:
    (info / "entry_points.txt").write_bytes(data)


def _metadata(info: Path, text: str) -> None:
    (info / "METADATA").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_metadata_of_one_distribution_costs_that_one_alone(site: Path, name: str) -> None:
    """A half-removed installation must not stop the exporter."""
    install(site, "damaged", {"unitcost.collectors": {"damaged": "nothing"}})
    DAMAGED[name](site / "damaged-1.2.dist-info")
    install_acme(site)
    assert found()["collector", "acme"].state is State.USED
    assert ("collector", "damaged") not in found()


def test_of_two_installations_of_one_distribution_the_first_on_the_path_counts(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for imports: what lies behind it is hidden, its entry points too."""
    install_acme(site)
    front = tmp_path_factory.mktemp("front")
    monkeypatch.syspath_prepend(str(front))
    install(front, "Acme.Unitcost", "[console_scripts]\n", version="2.0")
    assert found() == {}


WORDS = (
    "[unitcost.collectors]",
    "[unitcost.servers]",
    "a",
    "host",
    "=",
    "nowhere:x",
    "\n",
    " ",
    ":",
)


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=20))
def test_no_file_of_entry_points_stops_the_search(parts: list[str]) -> None:
    """Whatever is in it, nothing is raised, and what is found can be shown."""
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), "odd", "")
        text = "".join(parts).encode("utf-8", "surrogatepass")
        (Path(folder) / "odd-1.2.dist-info" / "entry_points.txt").write_bytes(text)
        sys.path.insert(0, folder)
        try:
            plugins = find_plugins(TAKEN)
        finally:
            sys.path.remove(folder)
    for plugin in plugins:
        assert plugin.failed
        assert plugin.line().isprintable()
