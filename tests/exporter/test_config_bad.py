"""Bad configurations: each is one line that names file and key, and nothing starts."""

import re
import sys
import types
from pathlib import Path

import pytest

from unitcost.exporter import cli

OWNED = "price: {owned: {purchase_usd: 9000, life_years: 5, electricity: none}}"
LONG = "n" * 129
ENDPOINT = "workloads: [{name: a, endpoints: [%s]}]"
MATCH = "workloads: [{name: a, match: {%s}}]"
CHANGES = "price: {usd_per_hour: 2, changes: [%s]}"
NOTIFY = "notify: {webhook_url_file: url, %s}"
SERVER = "servers: {mine: {%s}}"

# name: (file, key that must be named, part of the message)
BAD: dict[str, tuple[str, str, str]] = {
    # YAML itself
    "not YAML": ("price: [1", "YAML", "expected"),
    "a tab for indentation": ("price:\n\tusd_per_hour: 1", "YAML", "cannot start any token"),
    "two documents": ("period: 5\n---\nperiod: 6", "YAML", "another document"),
    "a list at the top": ("- period: 5", "document", "expected a mapping of keys, got a list"),
    "text at the top": ("hello", "document", "expected a mapping of keys, got 'hello'"),
    "false at the top": ("false", "document", "expected a mapping of keys, got false"),
    "not UTF-8": ("period: 5 # \udcff", "YAML", "UTF-8"),
    "a control character": ("host: {name: a\x07b}", "YAML", "not allowed"),
    "an escape beyond Unicode": (r'host: {name: "\UFFFFFFFF"}', "YAML", "not YAML"),
    "half a surrogate pair": (r'host: {name: "\uD800"}', "host.name", "surrogate"),
    "a key twice": (
        "price:\n  usd_per_hour: 1\n  usd_per_hour: 2",
        "price.usd_per_hour",
        "given twice",
    ),
    "a section twice": ("web: {port: 1}\nweb: {port: 2}", "web", "given twice"),
    "a number as key": ("servers: {1: {}}", "servers", "keys must be text"),
    "a list as key": ("? [a]\n: 1", "YAML", "keys must be text"),
    "a merge key": ("a: &a {x: 1}\nb: {<<: *a}", "b", "merge keys"),
    "an unknown alias": ("period: *x", "YAML", "undefined alias"),
    "an alias to itself": ("workloads: &w [*w]", "workloads", "nested deeper"),
    "an object of Python": ("host: !!python/name:os.system x", "host", "not supported"),
    "a tag": ("period: !seconds 5", "period", "not supported"),
    "a wrong bool by tag": ("period: !!bool 5", "period", "not supported"),
    "too deep": ("servers: " + "[" * 60 + "]" * 60, "YAML", "nested deeper than 32"),
    "too big": ("#" * (1 << 20) + "\n", "YAML", "larger than"),
    "a bomb of aliases": (
        "a: &a [0,0,0,0,0,0,0,0,0,0]\n"
        + "".join(
            f"{y}: &{y} [{', '.join([f'*{x}'] * 10)}]\n"
            for x, y in zip("abcdef", "bcdefg", strict=True)
        ),
        "e",
        "more than 20000 values",
    ),
    # telling
    "nobody to tell": ("notify: {link: 'https://x'}", "notify", "nobody to tell"),
    "a digest at no time": (NOTIFY % "digest_at: '24:00'", "notify.digest_at", "time of day"),
    "a link to nowhere": (NOTIFY % "link: grafana", "notify.link", "http or https"),
    "runbooks nowhere": (NOTIFY % "runbook_url: ''", "notify.runbook_url", "a folder or a URL"),
    "runbooks that break out": (
        NOTIFY % "runbook_url: 'https://x|y'",
        "notify.runbook_url",
        "a folder or a URL",
    ),
    # carbon
    "carbon of nothing": ("carbon: {}", "carbon", "expected either country, or grams_per_kwh"),
    "carbon told twice": (
        "carbon: {country: AE, grams_per_kwh: 400, source: me}",
        "carbon",
        "expected either country, or grams_per_kwh",
    ),
    "a country of no figure": ("carbon: {country: XX}", "carbon.country", "no figure for 'XX'"),
    "a country by its name": ("carbon: {country: France}", "carbon.country", "only for AE AR"),
    "grams of nobody": ("carbon: {grams_per_kwh: 400}", "carbon.source", "who says so"),
    "grams of a reserved name": (
        "carbon: {grams_per_kwh: 400, source: __me__}",
        "carbon.source",
        "reserved",
    ),
    "grams below zero": ("carbon: {grams_per_kwh: -1, source: me}", "carbon.grams_per_kwh", ""),
    "too many grams": ("carbon: {grams_per_kwh: 5001, source: me}", "carbon.grams_per_kwh", ""),
    "a source beside a country": (
        "carbon: {country: AE, source: me}",
        "carbon.source",
        "leave it out with country",
    ),
    "a year beside a country": (
        "carbon: {country: AE, year: 2023}",
        "carbon.year",
        "leave it out with country",
    ),
    "a PUE below one": ("carbon: {country: AE, pue: 0.9}", "carbon.pue", ""),
    "two PUEs": (
        "price: {owned: {purchase_usd: 9, life_years: 5,"
        " electricity: {usd_per_kwh: 0.1, pue: 1.3}}}\ncarbon: {country: AE, pue: 1.2}",
        "carbon.pue",
        "price.owned.electricity.pue is 1.3: a host has one PUE",
    ),
    # keys and types
    # tenants, models and layers
    "a label that is none": (
        "workloads: [{name: a, tenants: {label: team-x}}]",
        "workloads[0].tenants.label",
        "expected the name of a label",
    ),
    "a label of keys without names": (
        "workloads: [{name: a, tenants: {label: hashed_api_key}}]",
        "workloads[0].tenants.label",
        "holds a key or its hash",
    ),
    "a tenant with a reserved name": (
        "workloads: [{name: a, tenants: {names: {x: __other__}}}]",
        "workloads[0].tenants.names.x",
        "reserved",
    ),
    "no tenant at all": (
        "workloads: [{name: a, tenants: {limit: 0}}]",
        "workloads[0].tenants.limit",
        "",
    ),
    "an unknown role": (
        ENDPOINT % "{url: 'http://a/', role: both}",
        "workloads[0].endpoints[0].role",
        "prefill",
    ),
    "an unknown layer": (
        ENDPOINT % "{url: 'http://a/', layer: proxy}",
        "workloads[0].endpoints[0].layer",
        "gateway",
    ),
    "a model without a name": (
        ENDPOINT % "{url: 'http://a/', models: [' ']}",
        "workloads[0].endpoints[0].models[0]",
        "empty",
    ),
    "an endpoint shared by all models and some": (
        ENDPOINT % "{url: 'http://a/', models: [x]}, {url: 'http://a/'}",
        "workloads[0].endpoints[1].url",
        "counted twice",
    ),
    "a model counted twice": (
        ENDPOINT % "{url: 'http://a/', models: [x, y]}, {url: 'http://a/', models: [y]}",
        "workloads[0].endpoints[1].url",
        "counted twice",
    ),
    "an unknown section": ("prices: {}", "prices", "unknown key, expected one of host, price"),
    "an unknown key": ("price: {usd_per_hr: 2}", "price.usd_per_hr", "usd_per_hour, changes"),
    "an unknown key in a list": (
        "workloads: [{name: a}, {name: b, endpoint: []}]",
        "workloads[1].endpoint",
        "unknown key, expected one of name",
    ),
    "a key with a line break": ('"a\\nb": 1', r"['a\nb']", "unknown key"),
    "a missing name": (
        "workloads: [{kind: training}]",
        "workloads[0].name",
        "missing, expected text",
    ),
    "a missing tariff": (
        "price: {owned: {purchase_usd: 1, life_years: 2}}",
        "price.owned.electricity",
        "missing",
    ),
    "a section without content": ("price:", "price", "expected a mapping of keys, got nothing"),
    "a mapping for a list": ("workloads: {name: a}", "workloads", "expected a list"),
    "a number for a name": (
        "workloads: [{name: 17}]",
        "workloads[0].name",
        "expected text, got the number 17",
    ),
    "text for a price": ("price: {usd_per_hour: two}", "price.usd_per_hour", "got 'two'"),
    "true for a price": ("price: {usd_per_hour: true}", "price.usd_per_hour", "got true"),
    "a price with underscores": (
        "price: {usd_per_hour: 1_000}",
        "price.usd_per_hour",
        "expected a number, got '1_000'",
    ),
    "a sexagesimal number": ("period: 1:30", "period", "expected a number, got '1:30'"),
    "an octal number": ("ledger: {retention_days: 0400}", "ledger.retention_days", "got '0400'"),
    "a fraction for a port": ("web: {port: 80.5}", "web.port", "expected a whole number"),
    "a quoted port": ('web: {port: "80"}', "web.port", "expected a whole number, got '80'"),
    "yes for true": (
        "collectors: {host: {enabled: yes}}",
        "collectors.host.enabled",
        "expected true or false, got 'yes'",
    ),
    "an unknown kind": (
        "workloads: [{name: a, kind: batch}]",
        "workloads[0].kind",
        "expected inference or training or other, got 'batch'",
    ),
    "an unknown scope": ("host: {scope: node}", "host.scope", "host or pod or units"),
    "an unknown level": ("log: {level: trace}", "log.level", "debug or info"),
    # ranges
    "a negative price": (
        "price: {usd_per_hour: -1}",
        "price.usd_per_hour",
        "between 0 and 1000000",
    ),
    "a price of minus nothing": ("price: {usd_per_hour: -0.0}", "price.usd_per_hour", "negative"),
    "an absurd price": ("price: {usd_per_hour: 1000001}", "price.usd_per_hour", "between"),
    "an infinite price": ('price: {usd_per_hour: "Infinity"}', "price.usd_per_hour", "a number"),
    "a price that is no number": ("price: {usd_per_hour: .nan}", "price.usd_per_hour", "'.nan'"),
    "a price of 13 places": (
        "price: {usd_per_hour: 0.0000000000001}",
        "price.usd_per_hour",
        "12 digits",
    ),
    "a number beyond floats": ("period: 1e400", "period", "finite"),
    "a number of 50 digits": (f"period: {'9' * 50}", "period", "longer than 40"),
    "a period too short": ("period: 0.1", "period", "between 0.2 and 300"),
    "a period too long": ("period: 301", "period", "between 0.2 and 300"),
    "a deadline over the period": ("period: 2", "gather_deadline", "less than period (2 s)"),
    "a window under the period": (
        "{period: 30, unit_costs: {window: 10}}",
        "unit_costs.window",
        "at least period (30 s)",
    ),
    "a window that scales to nothing": ("time_scale: 1000", "unit_costs.window", "time_scale"),
    "a minimum of no units": (
        "unit_costs: {minimum_units: 0}",
        "unit_costs.minimum_units",
        "0.001",
    ),
    "no retention": ("ledger: {retention_days: 0}", "ledger.retention_days", "between 1 and"),
    "port 0": ("web: {port: 0}", "web.port", "between 1 and 65535"),
    "port 65536": (MATCH % "port: 65536", "workloads[0].match.port", "between 1 and 65535"),
    "a negative weight": (
        "price: {split: {usd_per_core_hour: -0.1}}",
        "price.split.usd_per_core_hour",
        "between 0",
    ),
    "no weights": (
        "price: {split: {usd_per_core_hour: 0, usd_per_gib_hour: 0}}",
        "price.split",
        "must not both be 0",
    ),
    "a negative reservation": (
        "workloads: [{name: a, reserve: {cpu: -1}}]",
        "workloads[0].reserve.cpu",
        "between 0",
    ),
    # price
    "rented and owned": (
        "price: {usd_per_hour: 2, owned: {purchase_usd: 1, life_years: 2, electricity: none}}",
        "price.owned",
        "not both",
    ),
    "changes without a price": (
        "price: {changes: [{at: 2026-01-01T00:00:00Z, usd_per_hour: 3}]}",
        "price.changes",
        "needs usd_per_hour",
    ),
    "changes of an owned host": (
        OWNED[:-1] + ", changes: [{at: 2026-01-01T00:00:00Z, usd_per_hour: 3}]}",
        "price.changes",
        "rented host",
    ),
    "a change without offset": (
        CHANGES % "{at: 2026-01-01T00:00:00, usd_per_hour: 3}",
        "price.changes[0].at",
        "UTC offset missing",
    ),
    "a change on no day": (
        CHANGES % "{at: 2026-02-30T00:00:00Z, usd_per_hour: 3}",
        "price.changes[0].at",
        "expected a date and time",
    ),
    "a change in the year 1": (
        CHANGES % "{at: '0001-01-01T00:00:00+14:00', usd_per_hour: 3}",
        "price.changes[0].at",
        "between the years",
    ),
    "changes out of order": (
        CHANGES
        % "{at: 2026-02-01T00:00Z, usd_per_hour: 3}, {at: 2026-01-01T00:00Z, usd_per_hour: 2}",
        "price.changes[1].at",
        "before the change above",
    ),
    "changes at one instant": (
        CHANGES
        % "{at: 2026-01-01T00:00Z, usd_per_hour: 3}, {at: 2026-01-01T01+01:00, usd_per_hour: 2}",
        "price.changes[1].at",
        "the same instant",
    ),
    "a life of nothing": (OWNED.replace("5", "0"), "price.owned.life_years", "between 0.01"),
    "a residual over the purchase": (
        OWNED.replace("life", "residual_usd: 9001, life"),
        "price.owned.residual_usd",
        "not be more than the purchase (9000 USD)",
    ),
    "a PUE under 1": (
        OWNED.replace("none", "{usd_per_kwh: 0.3, pue: 0.9}"),
        "price.owned.electricity.pue",
        "between 1 and 10",
    ),
    "a tariff misspelt": (
        OWNED.replace("none", "non"),
        "price.owned.electricity",
        "expected a mapping of keys or none, got 'non'",
    ),
    # names
    "two workloads of one name": (
        "workloads: [{name: a}, {name: b}, {name: a}]",
        "workloads[2].name",
        "name of workloads[0]",
    ),
    "a reserved name": ("workloads: [{name: __unallocated__}]", "workloads[0].name", "reserved"),
    "a reserved form": ("workloads: [{name: __mine__}]", "workloads[0].name", "reserved"),
    "an empty name": ('workloads: [{name: ""}]', "workloads[0].name", "not be empty"),
    "a blank name": ('workloads: [{name: " "}]', "workloads[0].name", "not be empty"),
    "a name with a line break": ('workloads: [{name: "a\\nb"}]', "workloads[0].name", "control"),
    "a name too long": (f"workloads: [{{name: {LONG}}}]", "workloads[0].name", "at most 128 bytes"),
    "a host name too long": (f"host: {{name: {LONG}}}", "host.name", "at most 128 bytes"),
    "too many workloads": (
        "workloads:\n" + "".join(f"- name: w{i}\n" for i in range(257)),
        "workloads",
        "at most 256",
    ),
    # match
    "a match without condition": (MATCH % "", "workloads[0].match", "has no condition"),
    "a broken regex": (MATCH % "command: '(vllm'", "workloads[0].match.command", "not a regular"),
    "an empty regex": (MATCH % "command: ''", "workloads[0].match.command", "not be empty"),
    "a regex that matches all": (MATCH % "cgroup: '.*'", "workloads[0].match.cgroup", "everything"),
    "a regex too long": (MATCH % f"command: {'x' * 257}", "workloads[0].match.command", "256"),
    "a regex that may take for ever": (
        MATCH % "command: '(a+)+$'",
        "workloads[0].match.command",
        "for ever",
    ),
    "the same match twice": (
        "workloads: [{name: a, match: {port: 80}}, {name: b, match: {port: 80}}]",
        "workloads[1].match",
        "same conditions as workloads[0]",
    ),
    # endpoints
    "an endpoint without URL": (
        ENDPOINT % "{server: vllm}",
        "workloads[0].endpoints[0].url",
        "missing",
    ),
    **{
        f"an endpoint at {url!r}": (
            ENDPOINT % f"{{url: {url!r}}}",
            "workloads[0].endpoints[0].url",
            problem,
        )
        for url, problem in {
            "": "1 to 2048 characters",
            "localhost:8000/metrics": "must begin with http://",
            "file:///etc/passwd": "must begin with http://",
            "http:///metrics": "no valid host name",
            "http://user:CANARY@h/metrics": "no user name and no password",
            "http://h:99999/metrics": "a number from 1 to 65535",
            "http://h:0/metrics": "a number from 1 to 65535",
            "http://[::1/metrics": "IPv6",
            "http://h/a b": "without spaces",
            "http://169.254.169.254/latest": "link-local",
            "http://0.0.0.0:8000/metrics": "use 127.0.0.1",
            "http://h/metrics#top": "fragment",
        }.items()
    },
    "one endpoint for two workloads": (
        "workloads: [{name: a, endpoints: [{url: 'http://h/m'}]},"
        " {name: b, endpoints: [{url: 'HTTP://H:80/m'}]}]",
        "workloads[1].endpoints[0].url",
        "workloads[0].endpoints[0] is the same endpoint",
    ),
    "an unknown server": (
        ENDPOINT % "{url: 'http://h/metrics', server: vlm}",
        "workloads[0].endpoints[0].server",
        "unknown server 'vlm', expected one of auto",
    ),
    "a server that has no metrics page": (
        ENDPOINT % "{url: 'http://h/metrics', server: ollama}",
        "workloads[0].endpoints[0].server",
        "Ollama has no metrics page: put LiteLLM in front of it",
    ),
    "a token file that is not there": (
        ENDPOINT % "{url: 'http://h/metrics', bearer_token_file: missing.token}",
        "workloads[0].endpoints[0].bearer_token_file",
        "No such file",
    ),
    "a folder as token file": (
        ENDPOINT % "{url: 'http://h/metrics', bearer_token_file: /}",
        "workloads[0].endpoints[0].bearer_token_file",
        "not a regular file",
    ),
    "a token file with a NUL": (
        ENDPOINT % r"""{url: 'http://h/metrics', bearer_token_file: "/a\0b"}""",
        "workloads[0].endpoints[0].bearer_token_file",
        "control characters",
    ),
    # server tables
    "a server named auto": (
        "servers: {auto: {requests_succeeded: [{metric: a}]}}",
        "servers.auto",
        "another name",
    ),
    "a server without series": (SERVER % "model_label: m", "servers.mine", "names no series"),
    "a server of another name": (
        SERVER % "name: his, requests_succeeded: [{metric: a}]",
        "servers.mine.name",
        "must be 'mine'",
    ),
    "a series without metric": (
        SERVER % "requests_succeeded: [{}]",
        "servers.mine.requests_succeeded[0].metric",
        "missing",
    ),
    "a series of a bad metric": (
        SERVER % "tokens_input: [{metric: a-b}]",
        "servers.mine.tokens_input[0].metric",
        "sample name",
    ),
    "a series of a bad label": (
        SERVER % "tokens_input: [{metric: a, labels: {code: 200}}]",
        "servers.mine.tokens_input[0].labels.code",
        "expected a list, got the number 200",
    ),
    "a series scaled by nothing": (
        SERVER % "tokens_input: [{metric: a, scale: 0}]",
        "servers.mine.tokens_input[0].scale",
        "above 0",
    ),
    "a bad metric to subtract": (
        SERVER % "tokens_input: [{metric: a, less: [{metric: b}, {metric: c-d}]}]",
        "servers.mine.tokens_input[0].less[1].metric",
        "sample name",
    ),
    "two ways to subtract": (
        SERVER % "tokens_input: [{metric: a, minus: b, less: [{metric: c}]}]",
        "servers.mine.tokens_input[0].minus",
        "cannot stand with plus or less",
    ),
    # collectors, ledger, web, time zone
    "an unknown collector": ("collectors: {hosts: {}}", "collectors.hosts", "expected one of"),
    "an unknown option": ("collectors: {host: {proc: /p}}", "collectors.host.proc", "unknown key"),
    "an option of the wrong type": (
        "collectors: {host: {procfs: 1}}",
        "collectors.host.procfs",
        "expected text, got the number 1",
    ),
    "a ledger that is a folder": ("ledger: {path: /}", "ledger.path", "is a folder"),
    "a ledger in no folder": ("ledger: {path: /dev/null/l.db}", "ledger.path", "not a folder"),
    "a ledger path too long": (
        f"ledger: {{path: /{'x' * 5000}}}",
        "ledger.path",
        "File name too long",
    ),
    "an address that is none": ("web: {address: 300.1.1.1}", "web.address", "IP address"),
    "an address with a port": ("web: {address: 'localhost:80'}", "web.address", "IP address"),
    "a time zone that is none": ("timezone: Europe/Atlantis", "timezone", "IANA"),
    "a time zone that is a folder": ("timezone: Europe", "timezone", "IANA"),
    "a time zone outside": ("timezone: ../../etc/passwd", "timezone", "IANA"),
}


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The app is replaced by a module without anything in it: touching it fails the test."""
    monkeypatch.setitem(sys.modules, "unitcost.exporter.app", types.ModuleType("app"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize("command", ["check-config", "run"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_one_line_with_file_and_key_and_nothing_starts(
    name: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and a line that names the file, the key, and what is expected."""
    text, key, problem = BAD[name]
    file = tmp_path / "unitcost.yaml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    option = [str(file)] if command == "check-config" else ["--config", str(file)]
    assert cli.main([command, *option]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert len(lines) == 1
    place = re.escape(str(file)) + r"(?::\d+)?"
    found = re.fullmatch(rf"{place}: {re.escape(key)}: (.+)", lines[0])
    assert found, lines[0]
    assert problem in found[1]
    assert "CANARY" not in lines[0]


def test_there_are_enough_bad_configurations() -> None:
    """The promise is thirty at least."""
    assert len(BAD) >= 40


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize("kind", ["missing", "folder", "unreadable name"])
def test_a_file_that_cannot_be_read_is_one_line(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, as for what is in a file."""
    file = {
        "missing": str(tmp_path / "no.yaml"),
        "folder": str(tmp_path),
        "unreadable name": "a\0b",
    }
    assert cli.main(["check-config", file[kind]]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert ": file: cannot be read: " in output.err
