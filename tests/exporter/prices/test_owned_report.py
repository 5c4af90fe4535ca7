"""`unitcost prices explain` on owned hardware: each part of its cost, at what is paid now."""

import pytest

from unitcost.exporter.config.load import loads
from unitcost.exporter.prices.owned import metered_lines
from unitcost.exporter.prices.report import report
from unitcost.exporter.settling.rules import metered_prices
from unitcost.pricing.currency import Rates

FIRST = "price: owned hardware, by the configuration (owned); now:"
LONG_AGO, FAR = "in_service: 2000-01-01T00:00:00+00:00", "in_service: 2199-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("owned", "lines"),
    [
        (
            "purchase_usd: 8760, life_years: 1, electricity: none",
            [
                "amortisation: 1.000000 USD an hour (configuration)",
                "overhead: 0.000000 USD an hour (configuration)",
            ],
        ),
        (
            f"purchase_usd: 1, life_years: 1, {FAR}, electricity: {{usd_per_kwh: 0.2, watts: 500}}",
            [
                "amortisation: no price yet; unpriced until the hardware is in service",
                "electricity: 0.100000 USD an hour (configuration)",
                "overhead: 0.000000 USD an hour (configuration)",
            ],
        ),
        (
            f"purchase_usd: 500, method: units_of_production, expected_gpu_hours: 1000, {LONG_AGO}"
            ", "
            "electricity: {tariff: {per_kwh: 0.3, currency: AED}, unmetered_watts: 20.5}, "
            "overheads: {cooling: {usd_per_kwh: 0.01}}",
            [
                "amortisation: 0.000000 USD an hour (configuration)",
                "overhead: 0.000000 USD an hour (configuration)",
                "electricity: 0.081688 USD for a kWh at the meter (configuration), "
                "by what sensors measure",
                "electricity: 20.5 W are stated for what no sensor sees",
                "overhead: 0.010000 USD for a kWh at the server",
                "amortisation: 0.500000 USD for each hour in which a GPU works",
            ],
        ),
        (
            "purchase_usd: 0, life_years: 1, electricity: {tariff: {per_kwh: 0.3}, watts: 20}",
            [
                "amortisation: 0.000000 USD an hour (configuration)",
                "overhead: 0.000000 USD an hour (configuration)",
                "electricity: 0.300000 USD for a kWh at the meter (configuration), "
                "by the stated draw",
            ],
        ),
    ],
)
def test_each_part_is_told_with_who_says_so(owned: str, lines: list[str]) -> None:
    """By the hour, by the kWh, by the hour of work."""
    found = list(report(loads(f"price: {{owned: {{{owned}}}}}")))
    assert found == [FIRST, *(f"  {line}" for line in lines)]


def test_a_tariff_before_its_currency_had_a_rate_says_so() -> None:
    """The peg began in 1998."""
    tariff = "{tariff: {per_kwh: 0.3, currency: AED}}"
    text = f"price: {{owned: {{purchase_usd: 0, life_years: 1, electricity: {tariff}}}}}"
    metered = metered_prices(loads(text).settings)
    assert Rates().at("AED", 0) is None
    (line,) = metered_lines(metered, 0)
    assert line.startswith("electricity: no rate of its currency for a kWh")
