"""`scope: units`, beside an agent that charges: units are counted, and no dollar is."""

from pathlib import Path

from tests.e2e.test_demo_server import demo_server, settings_for
from tests.harness import exporter, free_port, wait_for


def test_units_are_counted_and_nothing_is_charged(tmp_path: Path) -> None:
    """So the same dollar is never charged by two agents."""
    port = free_port()
    settings = {**settings_for(port), "host": {"scope": "units"}}
    with demo_server(port) as client, exporter(tmp_path, **settings) as running:
        name = "unitcost_requests_total"
        wait_for(lambda: running.scrape().each(name, workload="chat"), "the server to be seen")
        for _ in range(3):
            client.ask("hello")
        wait_for(lambda: running.scrape().total(name, workload="chat") == 3, "three requests")
        scrape = running.wait_tick()
        money = {metric for metric, _ in scrape.samples if "_usd" in metric}
        assert money == {"unitcost_conservation_residual_usd"}
        assert running.rows("SELECT * FROM charge") == []
