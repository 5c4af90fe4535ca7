"""Puts a lookup together from the configuration."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unitcost.collectors.base import Found
from unitcost.collectors.price_contract import PriceSource, SourceContext
from unitcost.collectors.reference import siblings
from unitcost.collectors.reference.table import BadTable
from unitcost.exporter.config.agreed import discounts_of, wants_sibling
from unitcost.exporter.config.settings import Currency, Instance, Lookup, Price, SplitWeights
from unitcost.exporter.log import fields
from unitcost.exporter.prices.accepted import shape_problem, text_of
from unitcost.exporter.prices.exchange import make_exchange
from unitcost.exporter.prices.lookup import Identified, PriceLookup, SiblingOf, no_sibling
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.sibling import Sibling

_log = logging.getLogger(__name__)
CONFIGURATION = "configuration"
NO_RATES = Currency()
IDENTIFY_SECONDS = 6.0
"""How long the clouds and the cluster have to say what this host is."""


def make_lookup(price: Price, sources: tuple[tuple[Found, Any], ...], folder: Path) -> PriceLookup:
    """The lookup of a configuration; a source that cannot be made is logged and left out."""
    lookup = price.lookup or Lookup()
    context = _context(folder)
    made = [source for found, options in sources if (source := _make(found, options, context))]
    return PriceLookup(
        _identify(lookup, context),
        made,
        exchange=make_exchange(price.currency, folder),
        sibling_of=_sibling_of(price.split),
        discounts=discounts_of(price),
    )


def _sibling_of(split: SplitWeights) -> SiblingOf:
    """Says by whose price a host's is split: the sibling that is named, else the table's."""
    if not wants_sibling(split):
        return no_sibling

    def sibling_of(host: HostIdentity) -> Sibling | None:
        known = _of_table(host)
        if split.sibling and (known is None or known.sku != split.sibling):
            known = Sibling(split.sibling)
        # A type is split by another's price, never by its own.
        return None if known is None or known.sku == host.sku else known

    return sibling_of


def _of_table(host: HostIdentity) -> Sibling | None:
    try:
        return siblings.sibling_of(host)
    except BadTable as error:
        _log.warning("no sibling is known: prices are split by weights", extra=fields(detail=error))
        return None


def make_local(
    identity: HostIdentity,
    sources: tuple[tuple[Found, Any], ...],
    folder: Path,
    currency: Currency = NO_RATES,
) -> PriceLookup:
    """A lookup of a host that is known, by the sources alone that ask nobody beyond this host."""
    context = _context(folder)
    made = [source for found, options in sources if (source := _make(found, options, context))]
    local = [source for source in made if getattr(source, "local", False)]
    return PriceLookup(lambda: (identity, ()), local, exchange=make_exchange(currency, folder))


def _context(folder: Path) -> SourceContext:
    return SourceContext(folder, time.time_ns, os.environ.get("NODE_NAME", ""))


def _identify(lookup: Lookup, context: SourceContext) -> Callable[[], Identified]:
    """Says what this host is: by the configuration, and by whoever may know the rest."""
    stated = stated_identity(lookup.instance)
    if not lookup.metadata:
        return lambda: (stated, ())
    # Imported where it is used: it brings what asks clouds and the cluster.
    from unitcost.collectors.identity.combine import WhoAmI

    who = WhoAmI(context, stated)

    def identify() -> Identified:
        found = who.identify(time.monotonic() + IDENTIFY_SECONDS)
        return found.identity, tuple(problem.detail for problem in found.problems)

    return identify


def _make(found: Found, options: Any, context: SourceContext) -> PriceSource | None:
    try:
        if found.module is None:
            raise ImportError(found.error)
        source: PriceSource = found.module.make_source(options, context)
        if problem := shape_problem(source, found.name):
            raise TypeError(problem)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - one that cannot be made breaks no other
        detail = fields(source=found.name, detail=f"{type(error).__name__}: {text_of(error)}")
        _log.warning("price source cannot be used", extra=detail)
        return None
    return source


def stated_identity(instance: Instance) -> HostIdentity:
    """What the configuration says of this host."""
    said = {
        "provider": instance.provider,
        "region": instance.region,
        "zone": instance.zone,
        "sku": instance.type,
        "model": instance.terms,
    }
    return HostIdentity(
        provider=instance.provider,
        region=instance.region,
        zone=instance.zone,
        sku=instance.type,
        model=PriceModel(instance.terms) if instance.terms else None,
        said_by=tuple((name, CONFIGURATION) for name, value in said.items() if value),
    )
