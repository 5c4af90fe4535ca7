"""An instance of Amazon EC2, by version 2 of its metadata service: a token, then one value each.

Nothing is asked without a token, so that nobody who merely answers is believed. A pod reaches the
service only where the instance's hop limit is 2 or more; where it is 1, node labels must do.
"""

import re
import time
from collections.abc import Mapping
from typing import Any

from unitcost.collectors.fetch import FetchError
from unitcost.collectors.identity.metadata import NOT_FOUND, Place, ask, limited
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.pricing.identity import AWS, plain
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

TOKEN_TARGET = "/latest/api/token"  # noqa: S105 - where one is had
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - a header's name
VALUES = "/latest/meta-data/"

KEYS: Mapping[str, str] = {
    "sku": "instance-type",
    "region": "placement/region",
    "zone": "placement/availability-zone",
    "instance_id": "instance-id",
}
LIFE_CYCLE = "instance-life-cycle"
DEDICATED_HOST = "placement/host-id"
"""There only on a Dedicated Host, which is paid for as a whole: no instance price is its."""

MODELS: Mapping[str, PriceModel] = {
    "on-demand": PriceModel.ON_DEMAND,
    "spot": PriceModel.SPOT,
    "capacity-block": PriceModel.CAPACITY_BLOCK,
}
"""Others (``scheduled``) are terms of their own: unknown."""
_SHAPES: Mapping[str, re.Pattern[str]] = {
    "sku": re.compile(r"[a-z0-9-]+\.[a-z0-9-]+"),
    "region": re.compile(r"[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}"),
    "zone": re.compile(r"[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}[a-z0-9-]+"),
    "instance_id": re.compile(r"i-[0-9a-f]{8,32}"),
}
_SECONDS = re.compile(r"[0-9]{1,6}")


def identify(_context: SourceContext, deadline: float) -> HostIdentity:
    """Ask, a second at most. Raises NotHere, and PriceSourceError where answers make no sense."""
    until = limited(deadline)
    place, token = _token(until)
    keys = (*KEYS.values(), LIFE_CYCLE, DEDICATED_HOST)
    return read({key: _value(place, key, token, until) for key in keys})


def read(values: Mapping[str, str]) -> HostIdentity:
    """What the service's values say; those that are empty it did not have.

    Raises PriceSourceError for one that cannot be what it should.
    """
    fields: dict[str, Any] = {field: values.get(key, "") for field, key in KEYS.items()}
    for field, text in fields.items():
        if text and not (plain(field, text) and _SHAPES[field].fullmatch(text)):
            raise PriceSourceError(f"the metadata service's {KEYS[field]} is none")
    shared = not values.get(DEDICATED_HOST)
    model = MODELS.get(values.get(LIFE_CYCLE, "")) if shared else None
    return HostIdentity(provider=AWS, model=model, **fields)


def _token(until: float) -> tuple[Place, str]:
    """A token and where it is good. IPv4 has half of the time, since few hosts have IPv6 only."""
    now = time.monotonic()
    for place, limit in ((Place.IPV4, now + (until - now) / 2), (Place.AMAZON_IPV6, until)):
        try:
            answer = ask(TOKEN_TARGET, {TTL: "60"}, method="PUT", deadline=limit, place=place)
        except FetchError:
            continue
        if _SECONDS.fullmatch(answer.headers.get(TTL.lower(), "")):
            return place, answer.text
    raise NotHere


def _value(place: Place, key: str, token: str, until: float) -> str:
    try:
        return ask(VALUES + key, {TOKEN: token}, deadline=until, place=place).text.strip()
    except FetchError as error:
        if error.status == NOT_FOUND:
            return ""
        raise PriceSourceError(f"the metadata service's {key}: {error}") from None
