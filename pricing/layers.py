"""Layers that count the same requests (engine, its front, a gateway): one of them is billed.

For each workload and quantity that is the outermost layer which counts it: a gateway sees what
clients got, an engine alone knows its phases. Which one it is depends on what the layers can count
and never on whether they answer just now, so that a gateway that is down for a while does not make
the engine's count be billed and then its own as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from unitcost.pricing.sample import Layer, Outcome, Quantity
from unitcost.pricing.workload import Account

_OUTERMOST_FIRST = (Layer.GATEWAY, Layer.FRONTEND, Layer.ENGINE)
_INNERMOST = frozenset({Quantity.REQUESTS_RUNNING, Quantity.REQUESTS_WAITING})
"""Requests queue in the engine; further out they are only known to be under way."""
_WITH = {
    Quantity.REQUESTS_TIMED: Quantity.REQUEST_SECONDS,
    Quantity.OUTCOME_SECONDS: Quantity.REQUEST_SECONDS,
    Quantity.OUTCOME_TOKENS: Quantity.TOKENS,
}
"""Parts of another quantity are taken from the layer that this one is taken from."""
COMPARED = {Quantity.REQUESTS: Outcome.SUCCEEDED.value, Quantity.TOKENS: ""}
"""Quantities in which layers are compared, and by which label only (tokens: all types)."""

LayeredKey = tuple[Layer, Account, Quantity, str]
Layered = Mapping[LayeredKey, int]
"""Units of each layer by account, quantity and label, in millionths."""
Counted = dict[tuple[Account, Quantity, str], int]
"""Units of an account by quantity and label (outcome, token type, phase), in millionths."""
Authority = Mapping[tuple[str, Quantity], Layer]
"""Which layer of a workload is billed for a quantity."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A subject's word that it counts some quantities of a workload, whether it answers or not."""

    workload: str
    layer: Layer
    quantities: frozenset[Quantity]


def authority_of(claims: Iterable[Claim]) -> dict[tuple[str, Quantity], Layer]:
    """Which layer is billed, for each workload and each quantity that any of its layers counts."""
    by_workload: dict[str, dict[Layer, frozenset[Quantity]]] = {}
    for claim in claims:
        own = by_workload.setdefault(claim.workload, {})
        own[claim.layer] = own.get(claim.layer, frozenset()) | claim.quantities
    return {
        (workload, quantity): layer
        for workload, layers in by_workload.items()
        for quantity, layer in _chosen(layers)
    }


def _chosen(layers: Mapping[Layer, frozenset[Quantity]]) -> Iterator[tuple[Quantity, Layer]]:
    """Which layer of one workload is billed for each quantity that any of them counts."""
    if len(layers) == 1:
        for layer, quantities in layers.items():
            yield from ((quantity, layer) for quantity in quantities)
        return
    everything = frozenset[Quantity]().union(*layers.values())
    for quantity in everything:
        whole = _WITH.get(quantity, quantity)
        followed = whole if whole in everything else quantity
        in_order = reversed(_OUTERMOST_FIRST) if quantity in _INNERMOST else _OUTERMOST_FIRST
        yield quantity, next(each for each in in_order if followed in layers.get(each, ()))


@dataclass(frozen=True, slots=True)
class Billing:
    """Who is billed for what, and under which model's name; see `billed`."""

    authority: Authority
    renamed: Mapping[tuple[str, Layer, str], str | None]

    def account(self, layer: Layer, account: Account, quantity: Quantity) -> Account | None:
        """The account that something a layer counted is booked on; None where it is on none."""
        chosen = self.authority.get((account.workload, quantity))
        if chosen is not None and chosen is not layer:
            return None
        model = self.renamed.get((account.workload, layer, account.model), account.model)
        if model is None or model == account.model:
            return None if model is None else account
        return Account(account.workload, model, account.run, account.attempt)


def billing(authority: Authority, models: Mapping[tuple[str, Layer], Set[str]]) -> Billing:
    """The billing of a round; `models` as for `billed`."""
    return Billing(authority, _renamed(authority, models))


def billed(
    units: Layered, authority: Authority, models: Mapping[tuple[str, Layer], Set[str]]
) -> Counted:
    """What is billed of all layers' units, under one set of model names for each workload.

    `models`: the names each layer of a workload has for models that served anything. Other layers
    follow those of the layer that counts the requests. One that knows one model where that one
    knows one too means the same; else, unless the names agree, what it says of models is left out.
    """
    return billed_by(billing(authority, models), units)


def billed_by(rules: Billing, units: Layered) -> Counted:
    """The same, by a billing that is known."""
    found: Counted = {}
    for (layer, account, quantity, label), micro in units.items():
        booked = rules.account(layer, account, quantity)
        if booked is not None:
            key = (booked, quantity, label)
            found[key] = found.get(key, 0) + micro
    return found


def _renamed(
    authority: Authority, models: Mapping[tuple[str, Layer], Set[str]]
) -> dict[tuple[str, Layer, str], str | None]:
    """What models are called instead, by workload, layer and name; None: what none is called."""
    found: dict[tuple[str, Layer, str], str | None] = {}
    for (workload, layer), own in models.items():
        leading = _leading(authority, workload)
        if leading is None or leading is layer:
            continue
        theirs = models.get((workload, leading), frozenset())
        if not theirs or own == theirs:
            continue
        if len(own) == len(theirs) == 1:
            (mine,), (other,) = own, theirs
            found[workload, layer, mine] = other or mine
            found[workload, leading, other] = other or mine
        else:
            # An engine may call what it did for all adapters by its base model's name.
            found.update({(workload, layer, name): None for name in own})
    return found


def _leading(authority: Authority, workload: str) -> Layer | None:
    """The layer whose names of models are used: the one that counts requests, else tokens."""
    return authority.get((workload, Quantity.REQUESTS)) or authority.get(
        (workload, Quantity.TOKENS)
    )


def compared(units: Layered) -> dict[tuple[str, Quantity, Layer], int]:
    """What each layer of each workload counted of the quantities in which they are compared."""
    sums: dict[tuple[str, Quantity, Layer], int] = {}
    for (layer, account, quantity, label), micro in units.items():
        if quantity in COMPARED and COMPARED[quantity] in ("", label):
            key = (account.workload, quantity, layer)
            sums[key] = sums.get(key, 0) + micro
    return sums
