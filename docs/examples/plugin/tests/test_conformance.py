"""The plugin keeps unitcost's contract. A plain `python` can run the checks, too: no fixtures."""

import json
from pathlib import Path

from unitcost_acme import batch, prices
from unitcost_acme.server import SERVER

from unitcost.exporter.conformance import check_collector, check_price_source, check_server
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

RECORDINGS = Path(__file__).parent / "recordings"


def state(succeeded: int, failed: int = 0, engine: str = "a1") -> str:
    """What the engine writes."""
    counts = {"succeeded": succeeded, "failed": failed, "output_tokens": 30 * succeeded}
    return json.dumps({"engine": engine, "model": "anvil-7b", **counts})


def test_the_collector_conforms(tmp_path: Path) -> None:
    """The engine works on between the two readings."""
    file = tmp_path / "state.json"
    file.write_text(state(10))
    report = check_collector(
        batch,
        {"path": str(file), "workload": "nightly"},
        name="acme_batch",
        between=lambda: file.write_text(state(12, failed=1)),
    )
    assert report.ok, "\n".join(report.lines())
    assert report.notes == ()


def test_an_engine_that_starts_anew_may_count_from_zero(tmp_path: Path) -> None:
    """Its name has changed, so unitcost takes no fall for one."""
    file = tmp_path / "state.json"
    file.write_text(state(10))
    report = check_collector(
        batch,
        {"path": str(file)},
        between=lambda: file.write_text(state(1, engine="a2")),
    )
    assert report.ok, "\n".join(report.lines())


def test_the_table_counts_what_the_client_counted() -> None:
    """By the recordings, which must be of your real server."""
    expected = json.loads((RECORDINGS / "acme.expected.json").read_text())
    before, after = ((RECORDINGS / f"acme.{p}.prom").read_bytes() for p in ("before", "after"))
    report = check_server(SERVER, before, after, expected, name="acme")
    assert report.ok, "\n".join(report.lines())


def test_the_price_source_conforms(tmp_path: Path) -> None:
    """A price, one of another type, and a row that is none."""
    row = {
        "region": "dubai",
        "type": "a8",
        "currency": "AED",
        "per_hour": 91.5,
        "stated": 1767225600,
    }
    rows = [row, row | {"type": "a4"}, row | {"per_hour": -1}]
    (tmp_path / "prices.json").write_text(json.dumps(rows))
    host = HostIdentity("acme", "dubai", "", "a8", PriceModel.ON_DEMAND)
    options = {"path": "prices.json"}
    report = check_price_source(prices, options, host, name="acme_prices", folder=tmp_path)
    assert report.ok, "\n".join(report.lines())
    assert report.notes == ()
