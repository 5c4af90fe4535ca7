"""Where exchange rates come from, in the configuration: what is right, and what is a mistake."""

from datetime import date
from decimal import Decimal

import pytest

from unitcost.exporter.config.currency import MAX_RATES, fixed_rates
from unitcost.exporter.config.load import ConfigError, loads
from unitcost.pricing.currency import Rate, day_ns

EUR = "currency: EUR, valid_from: 2026-01-01"


def currency(text: str) -> str:
    """A configuration with that currency section."""
    return f"price: {{lookup: {{metadata: false}}, currency: {{{text}}}}}"


def rates(*rows: str) -> str:
    """A configuration with rates of its own."""
    return currency(f"rates: [{', '.join(f'{{{row}}}' for row in rows)}]")


def test_rates_are_exact_dated_and_fixed() -> None:
    """Either way round, from a day or an instant on; they never grow stale."""
    loaded = loads(
        rates(
            f"{EUR}, usd_per_unit: 1.0842",
            "currency: AED, valid_from: 2026-01-01, units_per_usd: 3.6725",
            "currency: EUR, valid_from: 2026-07-01T02:00:00.5+04:00, usd_per_unit: 1.1",
        )
    )
    found = fixed_rates(loaded.settings.price.currency)
    start = day_ns(date(2026, 1, 1))
    later = day_ns(date(2026, 6, 30)) + 22 * 3600 * 10**9
    assert found == (
        *(
            Rate(
                "EUR",
                Decimal(1),
                Decimal("1.0842"),
                date(2026, 1, 1),
                start,
                *("configuration", True),
            ),
            Rate(
                "AED",
                Decimal("3.6725"),
                Decimal(1),
                date(2026, 1, 1),
                start,
                *("configuration", True),
            ),
            Rate(
                "EUR", Decimal(1), Decimal("1.1"), date(2026, 7, 1), later, *("configuration", True)
            ),
        ),
    )


def test_the_bank_is_not_asked_unless_the_configuration_says_so() -> None:
    """An empty section is enough."""
    assert loads("").settings.price.currency.ecb is None
    ecb = loads(currency("ecb: {}")).settings.price.currency.ecb
    assert ecb is not None
    assert (ecb.url, ecb.refresh_seconds, ecb.timeout) == ("", 21600.0, 20.0)
    assert loads(currency("ecb_file: rates.xml")).settings.price.currency.ecb_file == "rates.xml"


BAD = {
    "rates of a price that is stated": (
        "price: {usd_per_hour: 1, currency: {ecb: {}}}",
        "price.currency",
        "needs price.lookup",
    ),
    "the bank and its file": (currency("ecb: {}, ecb_file: x"), "price.currency.ecb_file", "both"),
    "a bank by ftp": (currency("ecb: {url: 'ftp://x/'}"), "price.currency.ecb.url", "http"),
    "a bank with a password": (
        currency("ecb: {url: 'https://a:CANARY@x/'}"),
        "price.currency.ecb.url",
        "no user name",
    ),
    "a bank asked all the time": (
        currency("ecb: {refresh_seconds: 1}"),
        "price.currency.ecb.refresh_seconds",
        "between 60",
    ),
    "an unknown key": (currency("bank: x"), "price.currency.bank", "unknown key"),
    "a file of control characters": (
        currency(r'ecb_file: "a\nb"'),
        "price.currency.ecb_file",
        "control",
    ),
    "no date": (
        rates("currency: EUR, usd_per_unit: 1"),
        "price.currency.rates[0].valid_from",
        "missing, expected text",
    ),
    "no rate": (rates(EUR), "price.currency.rates[0]", "either"),
    "two rates": (
        rates(f"{EUR}, usd_per_unit: 1, units_per_usd: 1"),
        "price.currency.rates[0]",
        "",
    ),
    "a rate of 0": (
        rates(f"{EUR}, usd_per_unit: 0"),
        "price.currency.rates[0].usd_per_unit",
        "must be between",
    ),
    "a negative rate": (
        rates(f"{EUR}, units_per_usd: -3"),
        "price.currency.rates[0].units_per_usd",
        "must be between",
    ),
    "a rate that is no number": (
        rates(f"{EUR}, units_per_usd: NaN"),
        "price.currency.rates[0].units_per_usd",
        "expected a number",
    ),
    "a rate beyond all": (
        rates(f"{EUR}, units_per_usd: 1e10"),
        "price.currency.rates[0].units_per_usd",
        "must be between",
    ),
    "a currency that is none": (
        rates("currency: euro, valid_from: 2026-01-01, usd_per_unit: 1"),
        "price.currency.rates[0].currency",
        "such as EUR",
    ),
    "a rate of the dollar": (
        rates("currency: USD, valid_from: 2026-01-01, usd_per_unit: 1"),
        "price.currency.rates[0].currency",
        "not USD",
    ),
    "a day that is none": (
        rates("currency: EUR, valid_from: 2026-02-30, usd_per_unit: 1"),
        "price.currency.rates[0].valid_from",
        "such as 2026-01-31",
    ),
    "a week": (
        rates("currency: EUR, valid_from: 2026-W05-6, usd_per_unit: 1"),
        "price.currency.rates[0].valid_from",
        "UTC offset missing",
    ),
    "an instant without its offset": (
        rates("currency: EUR, valid_from: '2026-01-01T00:00:00', usd_per_unit: 1"),
        "price.currency.rates[0].valid_from",
        "UTC offset missing",
    ),
    "a day before all": (
        rates("currency: EUR, valid_from: 1970-01-01, usd_per_unit: 1"),
        "price.currency.rates[0].valid_from",
        "between the years",
    ),
    "two from the same instant": (
        rates(
            f"{EUR}, usd_per_unit: 1",
            "currency: EUR, valid_from: '2026-01-01T04:00:00+04:00', usd_per_unit: 2",
        ),
        "price.currency.rates[1].valid_from",
        "rates[0] has a rate of EUR",
    ),
    "too many": (
        rates(
            *(
                f"currency: EUR, usd_per_unit: 1, valid_from: {1971 + n // 12}-{1 + n % 12:02}-01"
                for n in range(MAX_RATES + 1)
            )
        ),
        "price.currency.rates",
        f"at most {MAX_RATES}",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_named(name: str) -> None:
    """With the key, what is expected, and no secret."""
    text, key, problem = BAD[name]
    with pytest.raises(ConfigError) as caught:
        loads(text)
    assert (caught.value.key, "\n" in str(caught.value)) == (key, False)
    assert problem in caught.value.problem
    assert "CANARY" not in str(caught.value)
