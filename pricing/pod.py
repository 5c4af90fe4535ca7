"""What a pod holds of its host: the part of a host's price that a sidecar charges.

Shares are of the whole host, as everywhere; what is not the pod's is on `__unallocated__`, and is
charged to nobody here.
"""

from collections.abc import Iterable, Mapping, Sequence

from unitcost.pricing.allocate import Holding, Share, unheld
from unitcost.pricing.money import distribute
from unitcost.pricing.workload import UNALLOCATED, Account


def pooled(holdings: Mapping[Account, Holding]) -> dict[Account, Holding]:
    """Holdings of which the reservations are one pool: all together max(reserved, used) is held.

    What one uses beyond its own reservation is taken from what the others leave unused.
    """
    used = sum(each.used for each in holdings.values())
    spare = [max(0, each.reserved - each.used) for each in holdings.values()]
    unused = max(0, sum(each.reserved for each in holdings.values()) - used)
    parts = distribute(unused, spare) if unused else [0] * len(spare)
    return {
        account: Holding(each.used, each.used + part)
        for (account, each), part in zip(holdings.items(), parts, strict=True)
    }


def own_part(shares: Iterable[Share], replicas: int = 1) -> list[Share]:
    """The shares that workloads have, of a device that is there in so many replicas."""
    shares = list(shares)
    whole = replicas * sum(share.weight for share in shares)
    own = [share for share in shares if not share.account.reserved]
    left = whole - sum(share.weight for share in own)
    return own + unheld(left) if left else own


def held_weights(shares: Sequence[Share]) -> tuple[int, int]:
    """How much of a resource the pod holds, and how much there is of it."""
    whole = sum(share.weight for share in shares)
    return whole - sum(s.weight for s in shares if s.account.workload == UNALLOCATED), whole
