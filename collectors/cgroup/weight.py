"""What a control group's CPU weight says of a container's CPU request, in thousandths of a CPU.

The kubelet turns a request into shares (1024 to a CPU), the runtime those into a weight.
"""

import math
from collections.abc import Callable, Iterable

DEFAULT_WEIGHT = 100
DEFAULT_SHARES = 1024
LEAST_SHARES = 2
"""What a container without a request has."""
_MOST_SHARES = 262_144
_ROUND = (1000, 500, 250, 100, 50, 25, 10, 5)


def shares_of(milli: int) -> int:
    """The shares the kubelet gives for a request (MilliCPUToShares)."""
    return min(_MOST_SHARES, max(LEAST_SHARES, milli * 1024 // 1000))


def linear(shares: int) -> int:
    """The weight for shares by runc before 1.3.2 and crun before 1.23."""
    return 1 + ((shares - 2) * 9999) // 262_142


def quadratic(shares: int) -> int:
    """The weight for shares by later ones (opencontainers/cgroups 0.0.3): 1024 becomes 100."""
    log = math.log2(shares)
    return min(10_000, math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34)))


def is_quadratic(pairs: Iterable[tuple[int, int]], all_pods: int, cpus: int) -> bool:
    """Whether the runtime is proven to use `quadratic`.

    `pairs`: the weights of containers and of the pods they are in; `all_pods`: the weight of the
    group of all pods, 0 where it is not known. Those of pods are the kubelet's, by either formula:
    a pod has at least its container's shares, and all pods together those of `cpus` at most.
    """
    weights = list(pairs)
    if any(container > pod for container, pod in weights):
        return True
    same = any(container == pod > 1 for container, pod in weights)
    return same and all_pods > linear(shares_of(cpus * 1000))


def request_by_shares(shares: int, in_pod: bool) -> int | None:
    """The request that gives these shares; None where they are the default."""
    if shares <= LEAST_SHARES or (shares == DEFAULT_SHARES and not in_pod):
        return None
    return -(-shares * 1000 // 1024)


def request_by_weight(weight: int, in_pod: bool, formula: Callable[[int], int]) -> int | None:
    """The roundest of the requests that give this weight; None where it is the default.

    Up to 26 thousandths (linear) have one weight; people ask for round ones.
    """
    if weight <= 1 or (weight == DEFAULT_WEIGHT and not in_pod):
        return None
    least, most = _first(weight, formula), _first(weight + 1, formula) - 1
    for step in _ROUND:
        if (found := most // step * step) >= least:
            return found
    return max(least, most)


def _first(weight: int, formula: Callable[[int], int]) -> int:
    """The smallest request with at least this weight."""
    low, high = 0, _MOST_SHARES * 1000 // 1024 + 1
    while low < high:
        middle = (low + high) // 2
        if formula(shares_of(middle)) >= weight:
            high = middle
        else:
            low = middle + 1
    return low
