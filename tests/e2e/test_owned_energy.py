"""An owned GPU host, end to end: the real exporter and bindings on a pretended driver; each
workload's dollars of electricity are its joules times what a joule costs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_nvml import FakeNvml, pretend
from tests.harness import Exporter, Scrape
from unitcost.exporter.ledger.tools import check

pytest.importorskip("pynvml")

JOULES = "unitcost_energy_joules_total"
COST = "unitcost_resource_cost_usd_total"
PER_KWH, PUE = 0.30, 1.4
PER_JOULE = PER_KWH * PUE / 3_600_000
SLEEP = "import sys; sys.stdin.read()  # {}"


@pytest.fixture
def driver(tmp_path: Path) -> FakeNvml:
    """Two H100s."""
    return pretend(tmp_path, "h100")


@pytest.fixture
def jobs(driver: FakeNvml) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes on the first GPU; one works three times as much as the other."""
    command = [sys.executable, "-c"]
    found = [
        subprocess.Popen([*command, SLEEP.format(name)], stdin=subprocess.PIPE)
        for name in ("energy-one", "energy-two")
    ]
    for job, sm in zip(found, (60, 20), strict=True):
        driver.gpu(0).run(job.pid, sm=sm)
    driver.gpu(0).power_watts = 400.0
    driver.write()
    yield found
    for job in found:
        job.kill()
        job.communicate()


@pytest.fixture
def running(driver: FakeNvml, tmp_path: Path) -> Iterator[Exporter]:
    """The exporter on hardware that was got for nothing and costs nothing but its energy."""
    owned: dict[str, Any] = {
        "purchase_usd": 0,
        "life_years": 4,
        "electricity": {"usd_per_kwh": str(PER_KWH), "pue": str(PUE), "unmetered_watts": 120},
    }
    workloads = [
        {"name": name, "kind": "other", "match": {"command": f"# energy-{name}"}}
        for name in ("one", "two")
    ]
    settings: dict[str, Any] = {
        "price": {"owned": owned},
        "workloads": workloads,
        "period": 0.5,
        "gather_deadline": 0.45,
        "collectors": {
            "rapl": {"enabled": False},
            "node_power": {"enabled": False},
            "training": {"directories": [str(tmp_path / "train")]},
        },
    }
    exporter = Exporter(tmp_path, settings, driver.environment)
    try:
        yield exporter
    finally:
        exporter.stop(signal.SIGKILL)


def electricity(scrape: Scrape, resource: str) -> float:
    """Dollars of a resource's electricity."""
    return scrape.total(COST, resource=resource, component="electricity")


@pytest.mark.usefixtures("jobs")
def test_each_workload_pays_for_its_joules(driver: FakeNvml, running: Exporter) -> None:
    """Over a kill as well; and the ledger agrees with itself."""
    running.start()
    running.wait_tick(4)
    assert running.stop(signal.SIGKILL) == -signal.SIGKILL
    running.start()
    scrape = running.wait_tick(3)
    gpu = f"gpu:{driver.gpu(0).uuid}"
    for name in ("one", "two"):
        joules = scrape.total(JOULES, workload=name, resource=gpu)
        assert joules > 0
        paid = scrape.total("unitcost_cost_usd_total", workload=name, resource=gpu)
        assert paid == pytest.approx(joules * PER_JOULE, rel=1e-6, abs=1e-10)
    one, two = (scrape.total(JOULES, workload=name, resource=gpu) for name in ("one", "two"))
    assert one > two
    for number in range(len(driver.gpus)):
        resource = f"gpu:{driver.gpu(number).uuid}"
        joules = scrape.total("unitcost_device_energy_joules_total", device=resource)
        assert electricity(scrape, resource) == pytest.approx(joules * PER_JOULE, abs=1e-11)
    assert electricity(scrape, "cpu") + electricity(scrape, "memory") > 0
    assert scrape.one("unitcost_electricity_price_usd_per_kwh") == PER_KWH
    assert scrape.total("unitcost_resource_unpriced") == 0
    assert scrape.one("unitcost_conservation_residual_usd") == 0
    assert running.stop() == 0
    assert check(running.ledger) == []
    query = "SELECT COUNT(*) FROM price WHERE unit = 'kwh' AND rule = 'measured'"
    assert running.rows(query) == [(len(driver.gpus),)]


@pytest.mark.usefixtures("jobs")
def test_on_a_rented_host_the_same_energy_costs_nothing(
    driver: FakeNvml, running: Exporter
) -> None:
    """It is in the rent."""
    running.settings["price"] = {"usd_per_hour": "36"}
    running.start()
    scrape = running.wait_tick(4)
    assert scrape.total(JOULES, workload="one") > 0
    components = {dict(labels)["component"] for labels in scrape.each(COST)}
    assert components == {"rent"}
    assert scrape.each("unitcost_electricity_price_usd_per_kwh") == {}
    assert os.path.exists(running.ledger)
    assert running.rows("SELECT DISTINCT unit FROM price") == [("hour",)]
