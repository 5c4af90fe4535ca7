"""`unitcost prices list`: what is known without asking anybody."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.collectors.prices.web import Web, ok, web
from tests.collectors.test_currency_ecb import one_day
from tests.exporter.prices.test_refresh import HEADER, INSTANCE, remember, row
from unitcost.exporter import cli
from unitcost.exporter.config.settings import Instance, Lookup
from unitcost.exporter.prices.listing import Filter, identity_of
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey

AZURE = "instance: {provider: azure, region: uaenorth, type: Standard_ND96isr_H100_v5, terms: %s}"


@pytest.fixture
def server() -> Iterator[Web]:
    """A list of prices."""
    with web(ok(HEADER + row("4"))) as served:
        yield served


def configure(folder: Path, instance: str, sources: str, currency: str = "") -> Path:
    """A configuration that looks a price up."""
    file = folder / "unitcost.yaml"
    file.write_text(
        f"ledger: {{path: ledger.db}}\nprice:\n"
        f"  lookup: {{{instance}, metadata: false, sources: {{{sources}}}}}\n"
        f"  currency: {{{currency}}}\n"
    )
    return file


def listed(capsys: pytest.CaptureFixture[str], file: Path | None, *options: str) -> list[str]:
    """The lines of the command as it is typed."""
    capsys.readouterr()
    config = ["--config", str(file)] if file else []
    assert cli.main(["prices", "list", *config, *options]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out.splitlines()


def test_what_was_looked_up_is_listed_without_asking(
    tmp_path: Path, server: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a star at what is in use; the server is not asked again."""
    source = f"price_file: {{url: '{server.url}/p.csv'}}"
    file = configure(tmp_path, INSTANCE, source)
    assert "no prices are known" in listed(capsys, file)
    remember(file, 4)
    asked = len(server.asked)
    header, line = listed(capsys, file)
    assert header.split() == [
        *("USD/h", "billed/h", "terms", "region", "type", "from", "until", "as", "of", "source"),
    ]
    assert line.split() == [
        *("*", "4", "4", "USD", "on_demand", "here", "acme", "big", "2026-01-01", "2026-01-01"),
        *("price_file", "p.csv", "(snapshot", "in", "the", "ledger)"),
    ]
    assert len(server.asked) == asked


def test_a_file_of_one_s_own_is_read_and_comes_before_the_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its currency and in dollars; without a rate there are none."""
    (tmp_path / "p.csv").write_text(
        HEADER.replace("currency,per_hour", "currency,per_hour,discount_percent")
        + "azure,uaenorth,,Standard_ND96isr_H100_v5,on_demand,AED,367.25,10,2026-01-01,,\n"
        + "azure,uaenorth,,Standard_ND96isr_H100_v5,spot,EUR,30,,2026-01-01,,\n"
    )
    source = "price_file: {path: p.csv, override: true}"
    file = configure(tmp_path, AZURE % "on_demand", source)
    _, mine, card, note = listed(capsys, file)
    assert mine.startswith("*  90")
    assert "330.525 AED  on_demand  uaenorth" in mine
    assert not card.startswith("*")
    assert "(built-in rate card)" in card
    assert note.startswith("! there is no ledger at")
    file = configure(tmp_path, AZURE % "spot", source)
    _, mine, _ = listed(capsys, file)
    assert mine.startswith("*  none   30 EUR")
    (tmp_path / "r.xml").write_bytes(
        one_day({"USD": "1.25"}, str(datetime.now(UTC).date() - timedelta(days=1)))
    )
    file = configure(tmp_path, AZURE % "spot", source, "ecb_file: r.xml")
    _, mine, _ = listed(capsys, file)
    assert mine.startswith("*  37.5   30 EUR")


def test_the_card_is_listed_by_a_filter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a shell does it, in any case; without a configuration as well."""
    lines = listed(capsys, None, "--provider", "AZURE", "--region", "uae*", "--type", "*h100*")
    *rows, note = lines[1:]
    assert note == "! no price is looked up: the configuration has no price.lookup"
    assert rows
    assert all("azure" in each and "uae" in each and "H100" in each for each in rows)
    nothing = listed(capsys, None, "--type", "no-such-type")
    assert nothing[0] == "no prices are known"


def test_a_machine_gets_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts as text, instants with their zone."""
    file = configure(tmp_path, AZURE % "on_demand", "")
    found = json.loads("\n".join(listed(capsys, file, "--json")))
    used = [each for each in found["prices"] if each["in_use"]]
    assert len(used) == 1
    assert used[0]["usd_per_hour"] == used[0]["per_hour"]
    assert used[0]["type"] == "Standard_ND96isr_H100_v5"
    assert datetime.fromisoformat(used[0]["as_of"]).tzinfo is not None
    assert found["notes"][0].startswith("there is no ledger")


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with a mistake, a ledger that is none, a host nobody knows."""
    (tmp_path / "p.csv").write_text(HEADER + row("NaN"))
    (tmp_path / "ledger.db").write_text("junk" * 500)
    file = configure(tmp_path, INSTANCE, "price_file: {path: p.csv}")
    lines = listed(capsys, file)
    assert lines[0] == "no prices are known"
    assert "cannot be read: file is not a database" in lines[1]
    assert lines[2] == "! price_file cannot be read: line 2: no number"
    file = configure(tmp_path, "instance: {}", "")
    assert (
        "provider, region, instance type, price model (unitcost prices explain asks)"
        in (listed(capsys, file)[-1])
    )


def test_what_the_configuration_leaves_open_is_what_was_remembered() -> None:
    """Unless that differs."""
    from decimal import Decimal

    from unitcost.pricing.quote import Quote

    spot = PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.SPOT, "us-east-1a")
    quotes = [Quote(spot, Decimal(1), "x"), Quote(spot, Decimal(2), "x", 5)]
    found = identity_of(Lookup(), quotes)
    assert found == HostIdentity("aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.SPOT)
    stated = identity_of(Lookup(instance=Instance(region="us-east-2")), quotes)
    assert (stated.region, stated.sku) == ("us-east-2", "p5.48xlarge")


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Filter(), True),
        (Filter(provider="acme"), True),
        (Filter(provider="ACME", type="b?g"), True),
        (Filter(region="h*e"), True),
        (Filter(type="bi"), False),
        (Filter(provider="acme", region="there"), False),
        (Filter(type="[b"), False),
    ],
)
def test_filters(wanted: Filter, fits: bool) -> None:
    """All that are given must fit, as a whole."""
    assert wanted.matches(PriceKey("acme", "here", "big", PriceModel.SPOT)) is fits
