"""Several models on one server: what the server held is split over them, and sums to it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from unitcost.pricing.allocate import Share
from unitcost.pricing.layers import Counted
from unitcost.pricing.money import distribute
from unitcost.pricing.sample import Outcome, Quantity
from unitcost.pricing.workload import Account

Weights = Mapping[str, Mapping[Account, int]]
"""For each workload, how its models did the work; all zero where that is not known."""

_BEST_FIRST = (Quantity.PHASE_SECONDS, Quantity.TOKENS, Quantity.REQUESTS)


def model_weights(units: Counted) -> dict[str, dict[Account, int]]:
    """Weights of each workload's models: by compute seconds, else tokens, else requests.

    The same quantity is used for all models of a workload: the best that all of them have which
    did anything; where there is none, the best that any of them has.
    """
    weights = {}
    worked = _worked(units)
    for name, quantities in _sums(units).items():
        accounts = {account for by_account in quantities.values() for account in by_account}
        best = _best(quantities, worked)
        chosen = quantities[best] if best else {}
        weights[name] = {account: chosen.get(account, 0) for account in sorted(accounts)}
    return weights


def split_methods(units: Counted) -> dict[str, str]:
    """By what each workload's cost is split over its models; only of those that have several."""
    found = {}
    worked = _worked(units)
    for name, quantities in _sums(units).items():
        models = {account.model for by_account in quantities.values() for account in by_account}
        if len(models) > 1:
            found[name] = str(_best(quantities, worked) or "equal")
    return found


_Sums = dict[Quantity, dict[Account, int]]


def _sums(units: Counted) -> dict[str, _Sums]:
    """What each model of each workload did, by quantity."""
    sums: dict[str, _Sums] = {}
    for (account, quantity, _), micro in units.items():
        if not account.run:
            by_account = sums.setdefault(account.workload, {}).setdefault(quantity, {})
            by_account[account] = by_account.get(account, 0) + micro
    return sums


def _worked(units: Counted) -> set[Account]:
    """Models that did anything. A client can make up names of models that only fail."""
    return {
        account
        for (account, quantity, label), micro in units.items()
        if micro
        and quantity in _BEST_FIRST
        and (quantity is not Quantity.REQUESTS or label == Outcome.SUCCEEDED)
    }


def _best(quantities: _Sums, worked: Set[Account]) -> Quantity | None:
    there = [q for q in _BEST_FIRST if any(quantities.get(q, {}).values())]
    ours = {a for q in there for a in quantities[q] if a in worked}
    return next((q for q in there if ours <= quantities[q].keys()), next(iter(there), None))


def split_by_model(shares: Sequence[Share], done: Weights) -> list[Share]:
    """Give each server's shares to its models, by the work `done` over the window, now included.

    By the window and not by the tick alone, also where the server was busy: servers count a
    request's work when it ends, and whose long request runs while others' short ones end would pay
    too little. Where nothing tells the models apart they get equal parts; where none is known yet,
    the share stays on the workload.
    """
    split: list[Share] = []
    for share in shares:
        known = done.get(share.account.workload, {})
        if share.account.run or share.account.reserved or not known:
            split.append(share)
            continue
        weights = known if any(known.values()) else dict.fromkeys(known, 1)
        parts = distribute(share.weight, list(weights.values()))
        split += [
            replace(share, account=account, weight=part)
            for account, part in zip(weights, parts, strict=True)
            if part
        ]
    return split
