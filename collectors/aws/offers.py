"""Which row of AWS's price list is the price of a plain instance: by six columns, and some more.

The columns are named as in the bulk file (CSV), whatever the row was read from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from unitcost.collectors.price_reading import Unusable, amount, instant_ns
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote

NEEDED = (
    "TermType",
    "EffectiveDate",
    "Unit",
    "PricePerUnit",
    "Currency",
    "LeaseContractLength",
    "PurchaseOption",
    "OfferingClass",
    "Product Family",
    "Instance Type",
    "Tenancy",
    "Operating System",
    "Pre Installed S/W",
    "CapacityStatus",
    "MarketOption",
    "Region Code",
)
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Commitment:
    """This host's reservation: its term in years, 0 for none, and its class."""

    years: int
    offering_class: str


def quote_of(row: Row, region: str, ours: Commitment) -> Quote:
    """The price that a row states for a plain instance, from a source yet to be named.

    Raises Unusable for all other rows.
    """
    _check(row, region)
    key = PriceKey("aws", region, row["Instance Type"], _model(row, ours), "", row["Currency"])
    price = amount(row["PricePerUnit"])
    if price == 0:
        raise Unusable("a price of 0")
    return Quote(key, price, "aws", valid_from_ns=instant_ns(row["EffectiveDate"]))


def currency_of(region: str) -> str:
    """What AWS bills in there."""
    return "CNY" if region.startswith("cn-") else "USD"


def _check(row: Row, region: str) -> None:
    """Drop what is not a plain instance under Linux, by the hour. Raises Unusable."""
    metal = ".metal" in row["Instance Type"]
    family = "Compute Instance (bare metal)" if metal else "Compute Instance"
    # A machine without a hypervisor is listed as Dedicated; that is its plain price.
    tenancy = "Dedicated" if metal else "Shared"
    decoys = {
        "another region": row["Region Code"] != region,
        "another product": row["Product Family"] != family,
        f"not {tenancy}": row["Tenancy"] != tenancy,
        "not Linux": row["Operating System"] != "Linux",
        "with software": row["Pre Installed S/W"] not in ("", "NA"),
        "not capacity in use": row["CapacityStatus"] != "Used",
        "capacity block or another market": row["MarketOption"] != "OnDemand",
        "another unit": row["Unit"] != "Hrs",
        "another currency": row["Currency"] != currency_of(region),
    }
    for reason, is_decoy in decoys.items():
        if is_decoy:
            raise Unusable(reason)


def _model(row: Row, ours: Commitment) -> PriceModel:
    if row["TermType"] == "OnDemand":
        return PriceModel.ON_DEMAND
    if row["TermType"] != "Reserved":
        raise Unusable("another kind of price")
    term = (row["LeaseContractLength"], row["OfferingClass"])
    if term != (f"{ours.years}yr", ours.offering_class):
        raise Unusable("a commitment of another term than ours")
    if row["PurchaseOption"] != "No Upfront":
        raise Unusable("a commitment with an upfront payment")
    return PriceModel.RESERVED
