"""The configuration: what is accepted, what becomes of it, and what is only warned of."""

import os
import tempfile
import zoneinfo
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import unitcost.exporter.config.settings as settings_module
from unitcost.exporter import cli
from unitcost.exporter.config.host import default_ledger
from unitcost.exporter.config.load import ConfigError, Loaded, load, loads, needs_restart
from unitcost.pricing.workload import WorkloadKind

HOME = {"HOME": "/nonexistent/home", "XDG_STATE_HOME": "/tmp"}  # noqa: S108 - never written to

OWNED = "price: {owned: {purchase_usd: 9000, life_years: 5, electricity: none}}"
ENDPOINT = "workloads: [{name: a, endpoints: [%s]}]"
CHANGES = "price: {usd_per_hour: 2, changes: [%s]}"
SERVER = "servers: {mine: {%s}}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("period: 5\nprice:\n  usd_per_hour: -1\n", 3),
        ("workloads:\n- name: a\n- name: b\n  endpoints:\n  - server: vllm\n", 5),
        ("# a\n# b\nprices: {}\n", 3),
        ("period: 1\n\ngather_deadline: 2\n", 3),
    ],
)
def test_the_line_of_the_mistake_is_named(text: str, line: int) -> None:
    """The key's own line, or for what is missing the line of what should hold it."""
    with pytest.raises(ConfigError) as caught:
        loads(text, source="u.yaml", environ=HOME)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"u.yaml:{line}: ")


def read(text: str, folder: Path = Path("/")) -> Loaded:
    """Load a text that must be good."""
    return loads(text, environ=HOME, folder=folder)


def workload_warnings(text: str) -> list[str]:
    """What is warned of in the section of workloads."""
    return [line for line in read(text).warnings if line.startswith("workloads")]


GOOD: dict[str, str] = {
    "nothing": "",
    "a comment": "# nothing yet\n",
    "null": "~",
    "a rented host": "price: {usd_per_hour: 12.2885}",
    "a price as text": 'price: {usd_per_hour: "12.2885"}',
    "a price of nothing": "price: {usd_per_hour: 0}",
    "price changes": CHANGES
    % "{at: 2026-01-01T00:00Z, usd_per_hour: 3}, {at: 2026-01-01T01:00+00:00, usd_per_hour: 2}",
    "an owned host": OWNED,
    "an owned host with a tariff": OWNED.replace(
        "none", "{usd_per_kwh: 0.31, pue: 1.4, watts: 350}"
    ),
    "weights": "price: {usd_per_hour: 2, split: {usd_per_core_hour: 1, usd_per_gib_hour: 0}}",
    "a workload": "workloads: [{name: chat, match: {command: 'vllm serve', user: svc}}]",
    "words that YAML 1.1 takes for false": "workloads: [{name: no, owner: off}, {name: y}]",
    "an endpoint": ENDPOINT % "{url: 'http://127.0.0.1:8000/metrics'}",
    "a server in the file": SERVER % "requests_succeeded: [{metric: done_total}]"
    + "\n"
    + ENDPOINT % "{url: 'http://127.0.0.1:8000/metrics', server: mine}",
    "a collector switched off": "collectors: {host: {enabled: false}}",
    "another procfs": "collectors: {host: {procfs: /host/proc}}",
    "compressed time": "{period: 0.5, gather_deadline: 0.2, time_scale: 60}",
    "an anchor": "workloads: [{name: a, reserve: &r {cpu: 1}}, {name: b, reserve: *r}]",
    "a byte order mark": "\ufeffperiod: 10",
    "another time zone": "timezone: Europe/Paris",
    "IPv6": "web: {address: '::1', port: 9999}",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_configuration_is_accepted(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0, and it says so."""
    if "Europe/Paris" in GOOD[name] and not zoneinfo.available_timezones():
        pytest.skip("this system has no time zone data")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = tmp_path / "unitcost.yaml"
    file.write_text(GOOD[name], encoding="utf-8")
    assert cli.main(["check-config", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: ok\n"


def test_without_a_file_everything_has_its_default() -> None:
    """And the host is unpriced."""
    loaded = load(None, environ=HOME)
    assert loaded.source == ""
    assert loaded.settings.price == settings_module.Price()
    assert loaded.settings.host.name
    assert loaded.settings.ledger.path.endswith("/unitcost/ledger.db")
    assert loaded.context.targets == ()
    names = {found.name for found in loaded.collectors}
    assert "host" in names
    assert set(loaded.collector_options) <= names


@given(st.decimals(min_value=0, max_value=1_000_000, places=12))
@example(Decimal("0.1"))
@example(Decimal("12345.678901234567"))
def test_money_never_passes_through_a_binary_float(price: Decimal) -> None:
    """What is written is what is charged, to the last digit."""
    found = read(f"price: {{usd_per_hour: {price:f}}}").settings.price.usd_per_hour
    assert found == price


def test_the_context_says_what_collectors_need() -> None:
    """Targets, tables under their names, and the local ports whose process is wanted."""
    loaded = read(
        """
        workloads:
        - name: chat
          endpoints: [{url: "http://127.0.0.1:8000/metrics", server: mine, model: m}]
        - name: far
          kind: other
          match: {port: 7000}
          endpoints: [{url: "http://10.0.0.9:9000/metrics"}]
        servers: {mine: {requests_succeeded: [{metric: done_total, scale: 0.5}]}}
        """
    )
    near, far = loaded.context.targets
    assert (near.workload, near.kind, near.server) == ("chat", WorkloadKind.INFERENCE, "mine")
    assert (far.workload, far.kind, far.server) == ("far", WorkloadKind.OTHER, "auto")
    assert loaded.context.ports == {8000, 7000}
    assert loaded.context.servers["mine"].name == "mine"
    assert loaded.context.servers["mine"].requests_succeeded[0].scale == 0.5


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Wherever the exporter is started."""
    (tmp_path / "token").write_text("t")
    file = tmp_path / "unitcost.yaml"
    file.write_text(
        "ledger: {path: state/l.db}\n"
        + ENDPOINT % "{url: 'http://127.0.0.1:1/m', bearer_token_file: token}"
    )
    loaded = load(file, environ=HOME)
    assert loaded.settings.ledger.path == str(tmp_path / "state" / "l.db")
    assert loaded.context.targets[0].bearer_token_file == str(tmp_path / "token")


def test_a_token_that_all_can_read_is_a_warning_and_its_content_is_never_shown(
    tmp_path: Path,
) -> None:
    """Mode 0600 says nothing."""
    token = tmp_path / "token"
    token.write_text("CANARY")
    text = ENDPOINT % f"{{url: 'http://127.0.0.1:1/m', bearer_token_file: {token}}}"
    token.chmod(0o600)
    assert workload_warnings(text) == []
    token.chmod(0o644)
    (warning,) = workload_warnings(text)
    assert warning.startswith("workloads[0].endpoints[0].bearer_token_file: ")
    assert "CANARY" not in repr(read(text))


def test_reserving_more_than_the_host_has_is_a_warning() -> None:
    """It is allowed: reservations are scaled."""
    text = "workloads: [{name: a, match: {user: u}, reserve: {cpu: 99999, memory_gib: 9999999}}]"
    cpu, memory = workload_warnings(text)
    assert "99999 CPUs are reserved" in cpu
    assert "9999999 GiB are reserved" in memory


def test_a_workload_for_which_nothing_can_be_counted_is_a_warning() -> None:
    """A training workload is known by its state files, others need match or endpoints."""
    assert workload_warnings("workloads: [{name: a, kind: training}]") == []
    (warning,) = workload_warnings("workloads: [{name: a}]")
    assert warning.startswith("workloads[0]: has neither match nor endpoints")


def test_a_collector_that_is_switched_off_is_not_run() -> None:
    """Nor are its options among those given."""
    loaded = read("collectors: {host: {enabled: false}}")
    assert "host" not in {found.name for found in loaded.collectors}
    assert "host" not in loaded.collector_options


@pytest.fixture
def as_a_user() -> Iterator[None]:
    """Whoever runs the tests: root may write everywhere, so it stops being root for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder in which its owner may make no file; not under tmp_path, which is root's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_text("t")
        (folder / "token").chmod(0)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("ledger: {path: l.db}", "ledger.path", "is not writable by this user"),
        ("ledger: {path: deeper/l.db}", "ledger.path", "is not writable by this user"),
        ("ledger: {path: token}", "ledger.path", "is not readable and writable by this user"),
        (
            ENDPOINT % "{url: 'http://127.0.0.1:1/m', bearer_token_file: token}",
            "workloads[0].endpoints[0].bearer_token_file",
            "is not readable by this user",
        ),
    ],
)
def test_what_this_user_may_not_use_is_refused(
    closed_folder: Path, text: str, key: str, problem: str
) -> None:
    """Before anything starts, and not at the first write."""
    with pytest.raises(ConfigError) as caught:
        loads(text, folder=closed_folder, environ=HOME)
    assert caught.value.key == key
    assert problem in caught.value.problem


def test_the_default_ledger_goes_to_the_user_where_the_system_folder_is_closed(
    tmp_path: Path,
) -> None:
    """First the system's folder, then XDG_STATE_HOME, then under HOME."""
    closed = Path("/dev/null/unitcost")
    assert default_ledger({}, tmp_path) == tmp_path / "ledger.db"
    assert default_ledger({"XDG_STATE_HOME": "/s"}, closed) == Path("/s/unitcost/ledger.db")
    assert default_ledger({"XDG_STATE_HOME": "rel", "HOME": "/h"}, closed) == Path(
        "/h/.local/state/unitcost/ledger.db"
    )
    assert default_ledger({}, closed) == closed / "ledger.db"


def test_what_a_reload_cannot_change_is_named() -> None:
    """Everything else is taken over by a running exporter."""
    old = read("")
    assert needs_restart(old.settings, old.settings) == ()
    new = read("{web: {port: 1234}, ledger: {path: /tmp/other.db}, price: {usd_per_hour: 1}}")
    assert needs_restart(old.settings, new.settings) == ("ledger.path", "web")
    priced = read("price: {usd_per_hour: 1}")
    assert needs_restart(old.settings, priced.settings) == ()


def test_a_host_without_a_price_is_warned_about() -> None:
    """Unpriced is allowed, and said loudly; a host that charges nothing is not."""
    said = "price: none is given: time and units are counted, dollars are unpriced"
    assert said in loads("").warnings
    assert said not in loads("price: {usd_per_hour: 1}").warnings
    assert said not in loads("host: {scope: units}").warnings
