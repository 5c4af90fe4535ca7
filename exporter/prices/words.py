"""Prices in words: days, figures, and what a price is of."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from unitcost.pricing.quote import HostIdentity, PriceKey

NS_PER_SECOND = 10**9
_DAY, _MINUTE = "%Y-%m-%d", "%Y-%m-%d %H:%M"


def day(ns: int | None) -> str:
    """The day (UTC) of an instant; the beginning of time is no day."""
    return f"{_utc(ns):{_DAY}}" if ns else "always"


def at(ns: int) -> str:
    """An instant: its day where one begins then, else with the time, in UTC."""
    instant = _utc(ns)
    midnight = (instant.hour, instant.minute) == (0, 0)
    return f"{instant:{_DAY if midnight else _MINUTE}}"


def iso(ns: int | None) -> str | None:
    """An instant for a machine (ISO 8601, UTC); None as it is."""
    return None if ns is None else _utc(ns).isoformat()


def _utc(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // NS_PER_SECOND, UTC)


def plain(figure: Decimal) -> str:
    """A figure without needless zeros, and never as a power of ten."""
    return f"{figure.normalize():f}"


def name_of(key: PriceKey) -> str:
    """What is priced: whose, which type, where, under which terms."""
    place = "/".join(part for part in (key.region, key.zone) if part)
    return f"{key.provider} {key.sku} {place} {key.model}"


def host_fields(identity: HostIdentity) -> dict[str, str]:
    """What a host is, as the configuration calls it; "" where that is unknown."""
    return {
        "provider": identity.provider,
        "region": identity.region,
        "zone": identity.zone,
        "type": identity.sku,
        "terms": str(identity.model or ""),
    }


def key_fields(key: PriceKey) -> dict[str, Any]:
    """What is priced, as the configuration and price files call it."""
    return {
        "provider": key.provider,
        "region": key.region,
        "zone": key.zone,
        "type": key.sku,
        "terms": str(key.model),
        "currency": key.currency,
    }
