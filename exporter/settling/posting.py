"""From how an interval is to be charged to the rows of one part of it, by the hour."""

from collections.abc import Sequence

from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.gaps import Cost
from unitcost.exporter.settling.metering import shares_of
from unitcost.pricing.charge import Posting, post, post_held
from unitcost.pricing.pod import held_weights
from unitcost.pricing.price import UnitPrice
from unitcost.pricing.resource import Resource
from unitcost.pricing.timeline import Period


def post_hours(
    posting: Posting,
    part: Period,
    cost: Cost,
    prices: Sequence[tuple[Resource, UnitPrice]],
    books: Books,
    *,
    pod: bool,
) -> None:
    """Charge a part of an interval at the prices by the hour.

    With `pod`, only what somebody holds; of a resource without shares that is nothing.
    """
    for resource, price in prices:
        if price.component not in cost.components:
            continue
        shares = cost.shares.get(resource.id, ()) if pod else shares_of(cost, resource.id)
        if pod and not held_weights(shares)[0]:
            continue
        books.use(price)
        (post_held if pod else post)(posting, part, resource, price, shares, books.elapsed_of)
