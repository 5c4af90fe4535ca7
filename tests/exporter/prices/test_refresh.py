"""`unitcost prices refresh`: everybody asked by hand, and what changed since the last time."""

import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.prices.web import Answer, Asked, Web, ok, web
from tests.collectors.test_currency_ecb import one_day
from tests.exporter.prices.test_billed_elsewhere import running
from tests.harness import wait_for
from unitcost.exporter import cli
from unitcost.exporter.config.load import load
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.prices import tell
from unitcost.exporter.prices.progress import Progress
from unitcost.exporter.prices.refresh import refresh

INSTANCE = "instance: {provider: acme, region: here, type: big, terms: on_demand}"
HEADER = "provider,region,zone,sku,model,currency,per_hour,as_of,valid_from,valid_to\n"
NOW = datetime.now(UTC)
YESTERDAY = NOW.date() - timedelta(days=1)


def row(per_hour: str, currency: str = "USD", start: str = "2026-01-01", end: str = "") -> str:
    """A price of this host's."""
    return f"acme,here,,big,on_demand,{currency},{per_hour},2026-01-01,{start},{end}\n"


@pytest.fixture
def server() -> Iterator[Web]:
    """Two lists of prices, and the bank's rates."""
    with web(ok("")) as served:
        say(served, row("4"))
        yield served


def say(server: Web, *rows: str, rates: bytes | None = None) -> None:
    """From now on these prices, and these rates; without rates the bank is away."""

    def answer(asked: Asked) -> Answer:
        if asked.target == "/rates":
            return ok(rates) if rates is not None else (503, b"", {})
        return ok(HEADER + "".join(rows)) if rows else (500, b"", {})

    server.answer = answer


@pytest.fixture
def file(tmp_path: Path, server: Web) -> Path:
    """A configuration that looks a price up."""
    configure(tmp_path, server)
    return tmp_path / "unitcost.yaml"


def configure(folder: Path, server: Web, currency: str = "") -> None:
    """With that section of exchange rates."""
    source = f"sources: {{price_file: {{url: '{server.url}/p.csv'}}}}"
    (folder / "unitcost.yaml").write_text(
        f"ledger: {{path: ledger.db}}\n"
        f"price:\n  lookup: {{{INSTANCE}, metadata: false, {source}}}\n  currency: {{{currency}}}\n"
    )


def remember(file: Path, usd: float) -> None:
    """Let an exporter find the price, and end."""
    with running(file, file.parent / "ledger.db") as exporter:
        wait_for(lambda: host_usd(exporter) == pytest.approx(usd), "a price")
        host_usd(exporter)


def host_usd(exporter: Exporter) -> float:
    """What the host costs an hour after another tick."""
    exporter.tick()
    name = "unitcost_price_usd_per_hour{"
    lines = exporter.exposition().body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def refreshed(file: Path, *options: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of the command as it is typed."""
    out, err = io.StringIO(), io.StringIO()
    loaded = load(file)
    found = refresh(loaded, Progress(err))
    assert found is not None
    if options:
        out.write(json.dumps(tell.document(found)))
    else:
        out.write("\n".join(tell.lines(found)))
    return tell.exit_code(found), out.getvalue(), err.getvalue()


def test_what_changed_is_told_by_key_with_the_percentage(file: Path, server: Web) -> None:
    """The price of now, and one of the future."""
    remember(file, 4)
    assert refreshed(file)[1].splitlines()[0] == "nothing changed"
    say(server, row("5", end="2099-01-01"), row("3", start="2099-01-01"))
    code, out, err = refreshed(file)
    assert code == 0
    lines = out.splitlines()
    assert lines[:3] == [
        "changed:",
        "  acme big here on_demand: 4 -> 5 (+25.00 %) USD an hour, until 2099-01-01",
        "  acme big here on_demand: 4 -> 3 (-25.00 %) USD an hour, from 2099-01-01",
    ]
    assert lines[3].startswith("price: 5 USD an hour, on_demand, from 2026-01-01 until 2099-01-01")
    assert "price_file (live source): 2 quotes" in err
    assert "what this host is: acme here big on_demand" in err
    assert "\r" not in err


def test_a_price_is_new_or_gone(file: Path, server: Web) -> None:
    """Gone is only what a source that answers does not say any more."""
    code, out, _ = refreshed(file)
    assert "there is no ledger at" in out
    assert "  acme big here on_demand: new, 4 USD an hour" in out
    assert code == 0
    remember(file, 4)
    say(server, "acme,here,,small,on_demand,USD,4,2026-01-01,2026-01-01,\n")
    code, out, _ = refreshed(file)
    assert "  acme big here on_demand: gone, 4 USD an hour" in out
    assert "price: none" in out
    assert code == 1


def test_who_gives_no_answer_is_told_and_what_it_said_last_is_not_gone(
    file: Path, server: Web
) -> None:
    """Exit code 1."""
    remember(file, 4)
    say(server)
    code, out, err = refreshed(file)
    assert code == 1
    assert out.splitlines()[0] == "nothing changed"
    assert "price: 4 USD an hour" in out
    assert (
        "! price_file gave no answer that can be used: what it said last, if anything, holds" in out
    )
    assert "price_file: failed: " in err


def test_rates_are_asked_for_and_compared(tmp_path: Path, file: Path, server: Web) -> None:
    """Of the currencies that are in use."""
    configure(tmp_path, server, f"ecb: {{url: '{server.url}/rates'}}")
    euros = row("4", "EUR")
    say(server, euros, rates=one_day({"USD": "1.25", "GBP": "0.8"}, str(YESTERDAY)))
    remember(file, 5)
    assert refreshed(file)[1].splitlines()[0] == "nothing changed"
    say(server, euros, rates=one_day({"USD": "1.6", "GBP": "0.8"}, str(YESTERDAY)))
    code, out, err = refreshed(file)
    assert f"  EUR for a dollar: 0.8 (of {YESTERDAY}) -> 0.625 (of {YESTERDAY})" in out
    assert "  = 6.4 USD an hour, at 0.625 EUR for a dollar" in out
    assert f"exchange rates, ecb: 2 currencies, the latest of {YESTERDAY}" in err
    assert code == 0
    say(server, euros)
    code, out, _ = refreshed(file)
    assert "nothing changed" in out
    assert "= 5 USD an hour" in out
    assert "! exchange rates gave no answer that can be used" in out
    assert code == 1


def test_a_machine_gets_all_of_it(tmp_path: Path, file: Path, server: Web) -> None:
    """Amounts as text, exactly; instants with their zone."""
    remember(file, 4)
    say(server, row("4.000000000001"), row("7", "EUR", end="2026-01-02"))
    code, out, _ = refreshed(file, "--json")
    found: dict[str, Any] = json.loads(out)
    assert code == 0
    assert found["host"]["type"] == "big"
    assert found["host"]["missing"] == []
    (change,) = found["changes"]
    assert (change["kind"], change["before"], change["after"]) == ("changed", "4", "4.000000000001")
    assert (change["percent"], change["to"], change["terms"]) == ("0.000000", None, "on_demand")
    assert datetime.fromisoformat(change["from"]).tzinfo is not None
    assert (found["price"]["usd_per_hour"], found["price"]["rate"]["units_per_usd"]) == (
        "4.000000000001",
        "1",
    )
    assert {each["name"]: each["error"] for each in found["sources"]} == {
        "rate_card": None,
        "price_file": None,
    }
    assert (found["compared"], found["failed"], found["exchange_rates"]) == (True, [], None)
    say(server)
    _, out, _ = refreshed(file, "--json")
    assert json.loads(out)["failed"] == ["price_file"]


def test_a_running_exporter_does_not_notice(file: Path, server: Web) -> None:
    """It goes on committing, charges by what it had, and finds no file beside its ledger."""
    folder = file.parent
    with running(file, folder / "ledger.db") as exporter:
        wait_for(lambda: host_usd(exporter) == pytest.approx(4), "a price")
        host_usd(exporter)
        beside = sorted(os.listdir(folder))
        say(server, row("9"))
        assert "4 -> 9 (+125.00 %)" in refreshed(file)[1]
        assert sorted(os.listdir(folder)) == beside
        assert host_usd(exporter) == pytest.approx(4)
        body = exporter.exposition().body.decode()
        assert "\nunitcost_ledger_write_errors_total 0" in body
    assert sorted(os.listdir(folder)) == ["ledger.db", "ledger.db.lock", "unitcost.yaml"]
    refreshed(file)
    assert sorted(os.listdir(folder)) == ["ledger.db", "ledger.db.lock", "unitcost.yaml"]


def test_as_it_is_typed(
    file: Path, server: Web, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit codes: 0 asked, 1 somebody failed, 2 nothing to ask or a bad configuration."""
    command = ["prices", "refresh", "--config"]
    assert cli.main([*command, str(file)]) == 0
    output = capsys.readouterr()
    assert "price: 4 USD an hour" in output.out
    assert "price_file (live source): 1 quotes" in output.err
    assert cli.main([*command, str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["price"]["per_hour"] == "4"
    say(server)
    assert cli.main([*command, str(file)]) == 1
    file.write_text("price: {usd_per_hour: 1}\n")
    capsys.readouterr()
    assert cli.main([*command, str(file)]) == 2
    assert capsys.readouterr().err == ("nothing to ask: the configuration has no price.lookup\n")
    file.write_text("price: [\n")
    assert cli.main([*command, str(file)]) == 2
    assert cli.main(["prices", "refresh", "--nonsense"]) == 2


def test_nobody_knows_what_the_host_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is asked, nothing is gone, and it is no success."""
    remember(file, 4)
    text = file.read_text().replace("type: big, ", "")
    file.write_text(text)
    assert cli.main(["prices", "refresh", "--config", str(file)]) == 1
    output = capsys.readouterr()
    assert "price: none. Not known of this host: instance type." in output.out
    assert "gone" not in output.out


def test_decimals_of_any_length_are_shown(file: Path, server: Web) -> None:
    """A price of 24 digits after the point against one of a million."""
    say(server, row("0.000000000000000000000001"))
    with running(file, file.parent / "ledger.db") as exporter:
        wait_for(lambda: 'source="price_file' in body_of(exporter), "a price")
        host_usd(exporter)
    say(server, row("1000000"))
    code, out, _ = refreshed(file, "--json")
    (change,) = json.loads(out)["changes"]
    assert Decimal(change["percent"]) > 10**30
    assert "1000000 (+" in refreshed(file)[1]
    assert code == 0


def body_of(exporter: Exporter) -> str:
    """The page after another tick."""
    exporter.tick()
    return exporter.exposition().body.decode()
