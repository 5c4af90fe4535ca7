"""What a configuration agrees on of a price that is looked up: discounts, and how it is split."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.instants import day_or_instant
from unitcost.exporter.config.settings import Price, PriceDiscount, SplitWeights
from unitcost.exporter.config.yaml_strict import Path
from unitcost.pricing.discount import Discount
from unitcost.pricing.identity import plain
from unitcost.pricing.price import PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT, SplitRule

MAX_DISCOUNTS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def agreed_mistakes(price: Price) -> Iterator[Mistake]:
    """What is wrong with ``price.discounts`` and ``price.split``, beside the types."""
    yield from _split_mistakes(price)
    path: Path = ("price", "discounts")
    if price.discounts and price.lookup is None:
        yield Mistake(path, "only a price that is looked up has a list price: needs price.lookup")
    if len(price.discounts) > MAX_DISCOUNTS:
        yield Mistake(path, f"at most {MAX_DISCOUNTS}, got {len(price.discounts)}")
    for index, stated in enumerate(price.discounts):
        yield from _discount_mistakes(stated, (*path, index))


def _split_mistakes(price: Price) -> Iterator[Mistake]:
    split, path = price.split, ("price", "split")
    if not (split.usd_per_core_hour or split.usd_per_gib_hour):
        yield Mistake(path, "usd_per_core_hour and usd_per_gib_hour must not both be 0")
    if split.sibling and split.rule == "weights":
        yield Mistake((*path, "sibling"), "is for rule: sibling, not for weights")
    if split.sibling and not plain("sku", split.sibling):
        problem = f"expected an instance type such as m5.xlarge, got {shown(split.sibling)}"
        yield Mistake((*path, "sibling"), problem)
    for key, value in (("rule", split.rule == "sibling"), ("sibling", split.sibling)):
        if value and price.lookup is None:
            problem = "a sibling's price is looked up: needs price.lookup"
            yield Mistake((*path, key), problem)


def _discount_mistakes(stated: PriceDiscount, path: Path) -> Iterator[Mistake]:
    for key in ("provider", "region", "type"):
        text = getattr(stated, key)
        if text != text.strip() or not text.isprintable():
            yield Mistake((*path, key), "must have no control characters, and no space at an end")
    times: dict[str, int | None] = {}
    for key in ("valid_from", "valid_to"):
        try:
            times[key] = _instant_ns(getattr(stated, key))
        except ValueError as error:
            yield Mistake((*path, key), str(error))
            return
    end = times["valid_to"]
    if end is not None and end <= (times["valid_from"] or 0):
        yield Mistake((*path, "valid_to"), "must be after valid_from")


def discounts_of(price: Price) -> tuple[Discount, ...]:
    """The discounts in the pricing core's type, of a section without mistakes."""
    return tuple(
        Discount(
            f"price.discounts[{index}]",
            stated.percent,
            stated.provider,
            stated.region,
            stated.type,
            PriceModel(stated.terms) if stated.terms else None,
            _instant_ns(stated.valid_from) or 0,
            _instant_ns(stated.valid_to),
        )
        for index, stated in enumerate(price.discounts)
    )


def wants_sibling(split: SplitWeights) -> bool:
    """Whether a sibling is to be looked for: unless the user's own weights are to be used."""
    default = SplitWeights()
    weights = (split.usd_per_core_hour, split.usd_per_gib_hour)
    own = weights != (default.usd_per_core_hour, default.usd_per_gib_hour)
    return split.rule == "sibling" or (split.rule == "" and (bool(split.sibling) or not own))


def split_rule(weights: SplitWeights) -> SplitRule:
    """The split by weights; named so that the exposition shows whose they are."""
    rule = SplitRule(
        "configured_weights",
        weights.usd_per_core_hour,
        weights.usd_per_gib_hour,
        weights.rest_usd_per_hour,
    )
    return DEFAULT_SPLIT if replace(rule, name=DEFAULT_SPLIT.name) == DEFAULT_SPLIT else rule


def _instant_ns(text: str) -> int | None:
    """Unix nanoseconds of a day or an instant; None for none. Raises ValueError."""
    if not text:
        return None
    at = day_or_instant(text)
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
