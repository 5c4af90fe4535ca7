"""What `unitcost doctor` says of the price: what this host is, by whom it is priced, how fresh.

A laptop is not slowed down: whom to ask is first read from the firmware, and where the price is
not to be looked up nobody is asked unless the firmware names a cloud or we are in a cluster.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from unitcost.collectors.price_contract import SourceContext
from unitcost.exporter.config.load import Loaded
from unitcost.exporter.config.settings import Settings
from unitcost.exporter.doctor.ask import Scene
from unitcost.exporter.doctor.cluster import ACCOUNT
from unitcost.exporter.doctor.host import Finding, ok, warn
from unitcost.exporter.prices.explain import in_words
from unitcost.exporter.prices.looked import Looked, SourceState, rate_problem
from unitcost.exporter.prices.make import IDENTIFY_SECONDS, make_lookup
from unitcost.exporter.prices.owned import metered_lines
from unitcost.exporter.settling.rules import metered_prices, price_book
from unitcost.pricing.identity import METADATA
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Chosen, Rank

DAY_NS = 24 * 3600 * 10**9
STALE_DAYS = 90
"""A price that nobody has stated again for so long is told of."""
SOURCE_SECONDS = 10.0
"""How long price sources have to answer; `unitcost prices explain` waits for the slowest."""
GET_NODES = (
    "let our service account get nodes: add the rule "
    '{apiGroups: [""], resources: [nodes], verbs: [get]} to its ClusterRole'
)
_STATE = "state it under price.lookup.instance"
_DOWNWARD = "set NODE_NAME by the downward API (fieldRef: spec.nodeName)"
_HOST, _PRICE = "this host", "price"
# Fragments of what was said, and the mend; the first all of whose fragments are in it counts.
_MENDS = (
    (("our node", "HTTP 403"), GET_NODES),
    (("our node", "HTTP 401"), "the cluster does not know our token: mount it, do not copy it"),
    (("our node", "HTTP 404"), _DOWNWARD),
    (("our node", "NODE_NAME"), _DOWNWARD),
    (("metadata service is silent",), f"let us reach it (from a pod, two hops), or {_STATE}"),
)


def price_findings(loaded: Loaded, scene: Scene) -> Iterator[Finding]:
    """Whether this host is priced, by what and how fresh; or what is in the way."""
    price = loaded.settings.price
    folder = Path(loaded.source).absolute().parent
    if price.lookup is None or loaded.settings.host.scope == "units":
        yield from _stated(loaded.settings, scene, folder)
    else:
        made = make_lookup(price, loaded.price_sources, folder)
        yield from lookup_findings(*made.ask_within(SOURCE_SECONDS), time.time_ns())


def _stated(settings: Settings, scene: Scene, folder: Path) -> Iterator[Finding]:
    book = price_book(settings.price, settings.host.scope)
    now_ns = time.time_ns()
    first = ""
    stated = settings.price.owned is not None or settings.price.usd_per_hour is not None
    if book.components and not stated:
        identity, problems = _who(scene, folder)
        yield from _problems(problems)
        if identity.provider:
            yield ok(_HOST, _what(identity))
            first = "price.lookup: {} to have it looked up, or "
    for component in book.components:
        price = book.at(component, now_ns)
        if price is None:
            mend = f"set {first}price.usd_per_hour or price.owned (docs/configuration.md)"
            yield warn(_PRICE, f"{component} is unpriced: its cost is unknown, not 0", mend)
        else:
            yield ok(_PRICE, f"{component} {price.usd_per_hour:.6f} USD/h ({price.model})")
    for line in metered_lines(metered_prices(settings), now_ns):
        yield ok(_PRICE, line)


def _who(scene: Scene, folder: Path) -> tuple[HostIdentity, Sequence[str]]:
    """What the cloud and the cluster say this host is, where there is one for sure."""
    from unitcost.collectors.identity.combine import WhoAmI
    from unitcost.collectors.identity.firmware import firmware

    place = str(scene.sysfs / "class/dmi/id")
    machine = firmware(place)
    node = scene.environ.get("NODE_NAME", "")
    in_cluster = bool(node and scene.environ.get("KUBERNETES_SERVICE_HOST"))
    in_cloud = machine.sure and bool(machine.ask)
    if not (in_cloud or in_cluster):
        return HostIdentity(), ()
    account = scene.option("kubernetes", "service_account", ACCOUNT)
    context = SourceContext(folder, time.time_ns, node, account)
    who = WhoAmI(context, firmware_folder=place, ask_clouds=in_cloud)
    found = who.identify(time.monotonic() + IDENTIFY_SECONDS)
    return found.identity, [problem.detail for problem in found.problems]


def lookup_findings(looked: Looked, late: Sequence[str], now_ns: int) -> Iterator[Finding]:
    """What a lookup came to; `late` are the sources that were not waited for."""
    yield from _problems(looked.notes)
    yield _identity(looked)
    for state in looked.sources:
        if state.name in late and looked.identity.provider:
            text = f"{state.name} takes longer than {SOURCE_SECONDS:g} s and was not waited for"
            yield ok(_PRICE, f"{text} (unitcost prices explain does)")
        else:
            yield from _source(state)
    if looked.exchange.error:
        yield warn(
            _PRICE, f"exchange rates: {looked.exchange.name} failed: {looked.exchange.error}"
        )
    yield _price(looked, late, now_ns)
    if problem := rate_problem(looked, now_ns):
        yield warn(_PRICE, problem, "see docs/prices.md, Currency")


def _problems(notes: Sequence[str]) -> Iterator[Finding]:
    for note in notes:
        mends = (mend for parts, mend in _MENDS if all(part in note for part in parts))
        yield warn(_HOST, note, next(mends, ""))


def _identity(looked: Looked) -> Finding:
    missing = looked.resolution.missing
    if not missing:
        return ok(_HOST, _what(looked.identity))
    known = f" of {_what(looked.identity)}" if looked.identity.provider else ""
    return warn(_HOST, f"not known{known}: {', '.join(missing)}", _STATE)


def _what(identity: HostIdentity) -> str:
    """What it is, and who says so: a metadata service by its cloud's name."""
    parts = (identity.provider, identity.region, identity.zone, identity.sku, identity.model)
    service = f"the metadata service of {identity.provider}"
    said = dict.fromkeys(who for _, who in identity.said_by)
    by = ", ".join(service if who == METADATA else who for who in said)
    return f"{' '.join(str(part) for part in parts if part)} (by {by})"


def _source(state: SourceState) -> Iterator[Finding]:
    if state.error:
        yield warn(_PRICE, f"{state.name} failed: {state.error}")
    elif state.last_success_ns is not None and not state.not_here:
        yield ok(_PRICE, f"{state.name} ({state.rank}) answered: {len(state.quotes)} quotes")


def _price(looked: Looked, late: Sequence[str], now_ns: int) -> Finding:
    chosen = looked.paid.at(now_ns)
    if chosen is not None:
        return _dated(chosen, now_ns)
    why = "no source has a price for exactly this host"
    if looked.resolution.missing:
        why = "it is not known what this host is"
    elif late:
        why = f"no source that answered has a price, and {', '.join(late)} did not yet"
    return warn(_PRICE, f"unpriced: {why}; its cost is unknown, not 0", "see docs/prices.md")


def _dated(chosen: Chosen, now_ns: int) -> Finding:
    """The price with its age. The card that comes with us is stale from the day it was written."""
    days = (now_ns - chosen.quote.as_of_ns) // DAY_NS
    text = f"{in_words(chosen)}, {days} days ago" if chosen.quote.as_of_ns else in_words(chosen)
    if chosen.rank is Rank.RATE_CARD:
        mend = "switch a live source on under price.lookup.sources (docs/prices.md)"
        return warn(_PRICE, f"stale: {text}", mend)
    if chosen.quote.as_of_ns and days > STALE_DAYS:
        return warn(_PRICE, f"stale: {text}", "see that it still holds, and state its new day")
    return ok(_PRICE, text)
