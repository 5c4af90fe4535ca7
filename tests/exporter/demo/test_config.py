"""The demo's configuration is one that the exporter takes, scaled to the machine."""

from decimal import Decimal
from pathlib import Path

import pytest

from unitcost.exporter.config import load as exporter_config
from unitcost.exporter.demo import config
from unitcost.exporter.demo.engine import Counters


def plan(folder: Path, cores: int = 2, memory_gib: float = 8.0) -> config.Plan:
    """A plan for a machine of that size."""
    return config.Plan(folder, 9841, 8000, Decimal("1.23"), cores, memory_gib)


@pytest.mark.parametrize(
    ("cores", "reserved"), [(1, "0.25"), (2, "0.5"), (3, "0.75"), (4, "1"), (64, "1")]
)
def test_reservations_and_use_fit_the_machine(cores: int, reserved: str, tmp_path: Path) -> None:
    made = plan(tmp_path, cores, memory_gib=float(cores))
    assert made.reserved_cores == Decimal(reserved)
    assert 2 * made.reserved_cores <= Decimal(cores) / 2
    assert 0 < made.training_share < made.reserved_cores
    assert 0 < 2 * made.reserved_gib <= cores


def test_the_exporter_takes_the_configuration(tmp_path: Path) -> None:
    made = plan(tmp_path)
    made.write()
    settings = exporter_config.load(made.file).settings
    assert settings.price.usd_per_hour == Decimal("1.23")
    assert [w.name for w in settings.workloads] == ["demo-server", "demo-train"]
    assert settings.workloads[0].reserve.cpu == Decimal("0.5")
    assert settings.web.address == "127.0.0.1"
    assert settings.ledger.path == str(tmp_path / "ledger.db")
    assert settings.servers["demo"].tokens_output[0].metric == "demo_generated_tokens_total"
    assert made.state.stat().st_mode & 0o777 == 0o700


def test_every_metric_of_the_table_is_one_the_server_has() -> None:
    text = Counters().exposition().decode()
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines()}
    for field, alternatives in config.SERVER_TABLE.items():
        if field != "marker":
            assert {series["metric"] for series in alternatives} <= names, field


def test_each_workloads_pattern_finds_its_own_process_only(tmp_path: Path) -> None:
    import re

    made = plan(tmp_path)
    server, trainer = (w["match"]["command"] for w in made.settings()["workloads"])
    serving = f"/usr/bin/python3 -P -m {config.SERVER_MODULE} --port 8000 --weights {made.weights}"
    training = f"/usr/bin/python3 -P -m {config.TRAINER_MODULE} --share 1 --weights {made.weights}"
    exporting = f"/usr/bin/python3 -P -m unitcost.exporter.cli run --config {made.file}"
    assert re.search(server, serving)
    assert re.search(trainer, training)
    assert not any(re.search(server, other) for other in (training, exporting))
    assert not any(re.search(trainer, other) for other in (serving, exporting))
    assert not re.search(server, serving.replace(str(tmp_path), str(tmp_path / "another")))
